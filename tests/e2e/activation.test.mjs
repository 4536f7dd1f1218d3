// Sockets that a service manager opens, and what the server tells the manager: by a small manager of our own that keeps them over
// several servers, and by systemd's.

import assert from "node:assert/strict";
import fs from "node:fs";
import http from "node:http";
import path from "node:path";
import { BIN, temporaryFolder, test } from "./support/index.mjs";
import { Manager } from "./support/activate.mjs";
import { Certificates } from "./support/certificates.mjs";
import { freePort, run } from "./support/program.mjs";
import { installed, Service } from "./support/service.mjs";

const RULES = "access: {anybody: [read, publish]}\n";

/** A request on a connection of its own: the status, or the code of the error. */
function ask(options, body) {
    return new Promise((resolve) => {
        const request = http.request({ host: "127.0.0.1", agent: false, ...options }, (answer) => {
            let text = "";
            answer.setEncoding("utf8").on("data", (part) => (text += part)).on("end", () => resolve({ status: answer.statusCode, text }));
        });
        request.on("error", ({ code }) => resolve({ code })).end(body);
    });
}

test("several sockets are served as they come, by all workers, and nothing of them is left in the environment", async (t) => {
    const file = path.join(temporaryFolder(t), "s");
    const manager = new Manager(t, [["127.0.0.1:0", "web"], [`unix:${file}`, ""], ["127.0.0.1:0", "admin"]], { args: ["--threads", "3"] });
    fs.chmodSync(await manager.port().then(() => file), 0o660);
    const pid = await manager.start(), port = await manager.port(), admin = await manager.port(2);
    assert.match(manager.out, new RegExp(`serves http://127\\.0\\.0\\.1:${port}\nand unix:${file}\nand http://127\\.0\\.0\\.1:${admin}\n`));
    const posts = await Promise.all(Array.from({ length: 60 }, (_, n) => ask({ port, path: "/channels/a", method: "POST" }, `${n}`)));
    assert.deepEqual([...new Set(posts.map(({ status }) => status))], [201]);
    assert.match((await ask({ socketPath: file, path: "/channels/a?last=1" })).text, /"data":/);
    assert.equal((await ask({ port, path: "/stats" })).status, 404, "management is at its own socket alone");
    assert.equal((await ask({ port: admin, path: "/stats" })).status, 200);
    const fds = fs.readdirSync(`/proc/${pid}/fd`).filter((fd) => Number(fd) >= 3 && Number(fd) < 6);
    assert.equal(fds.length, 3);
    for (const fd of fds)
        assert.match(fs.readFileSync(`/proc/${pid}/fdinfo/${fd}`, "utf8"), /flags:\s+02004002/, "close-on-exec, and not blocking");
    assert.equal(await manager.stop(), 0);
    assert.ok(fs.existsSync(file), "the file is the manager's");
});

test("clients that come between two servers wait for the second", async (t) => {
    const manager = new Manager(t, [["127.0.0.1:0", ""]], { memory: false });
    await manager.start();
    const port = await manager.port();
    assert.equal((await ask({ port, path: "/channels/a", method: "POST" }, "first")).status, 201);
    assert.equal(await manager.stop(), 0);
    const waiting = Array.from({ length: 5 }, () => ask({ port, path: "/channels/a?after=earliest" }));
    await manager.start();
    for (const { status, text } of await Promise.all(waiting)) {
        assert.equal(status, 200);
        assert.match(text, /"data":"first"/);
    }
});

test("a socket gets the scheme of the item of `listen` that has its address, and others are opened beside it", async (t) => {
    const certificates = new Certificates(t);
    certificates.make("a", "IP:127.0.0.1");
    const port = await freePort();
    const manager = new Manager(t, [[`127.0.0.1:${port}`, "ignored"]],
        { config: `listen: ["127.0.0.1:0", "https://127.0.0.1:${port}"]\n${certificates.config(["a"])}` });
    await manager.start();
    assert.match(manager.out, new RegExp(`serves http://127\\.0\\.0\\.1:\\d+\nand https://127\\.0\\.0\\.1:${port}\n`));
    const { get } = await import("node:https");
    const status = await new Promise((resolve, reject) => get({ host: "127.0.0.1", port, path: "/healthz", ca: certificates.ca, agent: false },
        (answer) => (answer.resume(), resolve(answer.statusCode))).on("error", reject));
    assert.equal(status, 200);
});

test("by their names sockets speak TLS without a word of `listen`", async (t) => {
    const certificates = new Certificates(t);
    certificates.make("a", "IP:127.0.0.1");
    const manager = new Manager(t, [["127.0.0.1:0", "redirect"], ["127.0.0.1:0", "https"]], { config: certificates.config(["a"]) });
    manager.command("start");
    await manager.program.until(() => / serves /.test(manager.out), "the server");
    const plain = await ask({ port: await manager.port(0), path: "/healthz" });
    assert.equal(plain.status, 308);
});

test("sockets that cannot be served are refused with what to do", async (t) => {
    for (const [sockets, config, why] of [
        [[["127.0.0.1:0", ""]], "listen: 127.0.0.1:1\n", /127\.0\.0\.1:\d+: is a socket of the service manager, and no item of `listen`/],
        [[["0.0.0.0:0", ""]], "memory: true\n", /there are no access rules/],
        [[["127.0.0.1:0", "https"]], "memory: true\n", /tls\.certificates: is missing/],
        [[["dgram:127.0.0.1:0", "x"]], "memory: true\n", /LISTEN_FDS: socket 1: "x" is no stream socket/],
        [[[`unix:@freshet-e2e-${process.pid}`, ""]], "memory: true\n", /unix:@freshet-e2e-\d+: can be reached/],
    ]) {
        const manager = new Manager(t, sockets, { config });
        assert.equal(await manager.fail(), 2, config);
        await manager.program.until(({ err }) => why.test(err), `${why}`);
    }
});

test("sockets that are meant for another process are left alone", async (t) => {
    const { code, stderr } = await run(t, ["serve", "--memory", "--listen", "256.0.0.1:1"], { env: { LISTEN_PID: "1", LISTEN_FDS: "1" } });
    assert.equal(code, 2);
    assert.doesNotMatch(stderr, /LISTEN_FDS/);
});

test("the manager is told of the start, reloads and the end, and hears the watchdog meanwhile", async (t) => {
    for (const name of [path.join(temporaryFolder(t), "notify"), `@freshet-e2e-${process.pid}`]) {
        const manager = new Manager(t, [["127.0.0.1:0", ""]], { config: RULES, env: { NOTIFY: name, WATCHDOG_USEC: "400000" } });
        await manager.start();
        const heard = () => manager.said("notify");
        const hears = (pattern) => manager.program.until(() => heard().some((text) => pattern.test(text)), `${pattern}`);
        await hears(/^READY=1$/);
        await manager.program.until(() => heard().filter((text) => text === "WATCHDOG=1").length >= 3, "three beats");
        manager.command("reload");
        await hears(/^RELOADING=1\nMONOTONIC_USEC=\d+$/);
        await manager.program.until(() => heard().filter((text) => text === "READY=1").length === 2, "the end of the reload");
        const [, us] = /MONOTONIC_USEC=(\d+)/.exec(heard().find((text) => text.startsWith("RELOADING")));
        const now = Number(process.hrtime.bigint() / 1000n);
        assert.ok(Math.abs(now - Number(us)) < 60e6, "the time is that of CLOCK_MONOTONIC");
        assert.equal(await manager.stop(), 0);
        await hears(/^STOPPING=1$/);
        const last = heard().filter((text) => text !== "WATCHDOG=1").at(-1);
        assert.equal(last, "STOPPING=1");
    }
});

test("systemd starts the server at its first connection", { skip: !installed("systemd-socket-activate") && "no systemd-socket-activate" }, async (t) => {
    const dir = temporaryFolder(t), ports = [await freePort(), await freePort()];
    const service = new Service(dir, "systemd-socket-activate", [...ports.flatMap((port) => ["-l", `127.0.0.1:${port}`]), "--fdname=web:admin",
        BIN, "serve", "--data", path.join(dir, "data"), "--threads", "2"]);
    t.after(() => service.stop());
    await service.until(async () => (await ask({ port: ports[0], path: "/healthz" })).status === 200, "the server");
    assert.equal((await ask({ port: ports[0], path: "/channels/a", method: "POST" }, "1")).status, 201);
    assert.equal((await ask({ port: ports[0], path: "/stats" })).status, 404);
    assert.equal((await ask({ port: ports[1], path: "/stats" })).status, 200);
});

test("the units belong together", () => {
    const unit = (name) => fs.readFileSync(new URL(`../../dist/${name}`, import.meta.url), "utf8");
    assert.match(unit("freshet.socket"), /^ListenStream=127\.0\.0\.1:7070$/m);
    assert.match(unit("freshet.service"), /^Type=notify$/m);
    assert.match(unit("freshet.service"), /^WatchdogSec=\d+$/m);
    assert.match(unit("freshet.service"), /^SystemCallFilter=chown$/m, "for listen.group");
});
