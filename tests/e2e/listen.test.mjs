// Where the server listens, and what it says when it cannot.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import http from "node:http";
import net from "node:net";
import os from "node:os";
import { BIN, temporaryFolder, test } from "./support/index.mjs";
import { freePort } from "./support/program.mjs";

const hasIpv6 = Object.values(os.networkInterfaces()).flat().some(({ address }) => address === "::1");

/** Starts a server; what it has printed once it serves or has ended. */
async function serve(t, args) {
    const child = spawn(BIN, ["serve", "--memory", ...args], { cwd: temporaryFolder(t) });
    const gone = new Promise((resolve) => child.once("close", (code) => resolve(code)));
    t.after(async () => {
        child.kill("SIGKILL");
        await gone;
    });
    const printed = { out: "", err: "" };
    child.stderr.on("data", (text) => (printed.err += text));
    const ready = new Promise((resolve) => child.stdout.on("data", (text) => {
        printed.out += text;
        if (/serves http:\/\/\S+/.test(printed.out)) {
            resolve();
        }
    }));
    await Promise.race([ready, gone]);
    return { ...printed, code: child.exitCode, port: Number(/serves http:\/\/\S+:(\d+)/.exec(printed.out)?.[1]) };
}

function statusOf(host, port) {
    return new Promise((resolve) => http.get({ host, port, path: "/healthz", agent: false }, (answer) => {
        answer.resume();
        resolve(answer.statusCode);
    }).on("error", (error) => resolve(error.code)));
}

test("localhost is both loopback addresses, with one port and for all workers", { skip: !hasIpv6 && "no IPv6" }, async (t) => {
    for (const args of [["--listen", "localhost:0"], ["--listen", "localhost:0", "--threads", "3"]]) {
        const { out, port } = await serve(t, args);
        assert.match(out, /serves http:\/\/localhost:\d+\n/);
        for (const host of ["127.0.0.1", "::1"]) {
            for (let n = 0; n < 10; n++) {
                assert.equal(await statusOf(host, port), 200, host);
            }
        }
    }
});

test("an address that is given is the only one", async (t) => {
    const { out, port } = await serve(t, ["--listen", "127.0.0.1:0"]);
    assert.match(out, /serves http:\/\/127\.0\.0\.1:\d+\n/);
    assert.equal(await statusOf("127.0.0.1", port), 200);
    assert.notEqual(await statusOf("::1", port), 200);
});

test("a port that another program has is told with what to do", async (t) => {
    for (const host of ["127.0.0.1", ...(hasIpv6 ? ["::1"] : [])]) {
        const port = await freePort();
        const other = net.createServer();
        await new Promise((resolve) => other.listen(port, host, resolve));
        t.after(() => new Promise((resolve) => other.close(resolve)));
        const { err, code } = await serve(t, ["--listen", `localhost:${port}`]);
        assert.equal(code, 1);
        assert.match(err, new RegExp(`cannot listen on \\S*${host}\\S*:${port}: Address already in use.*--listen localhost:7071`));
    }
});

test("servers that start on one port at the same moment do not share it", async (t) => {
    const port = await freePort();
    const started = await Promise.all(Array.from({ length: 6 }, () => serve(t, ["--listen", `127.0.0.1:${port}`, "--threads", "2"])));
    const refused = started.filter(({ code }) => code !== null);
    assert.ok(refused.length >= started.length - 1, `${started.length - refused.length} servers listen on one port`);
    for (const { code, err } of refused) {
        assert.equal(code, 1);
        assert.match(err, new RegExp(`cannot listen on 127\\.0\\.0\\.1:${port}: Address already in use.*--listen localhost:7071`));
    }
});

test("a port is served at the addresses of both families", { skip: !hasIpv6 && "no IPv6" }, async (t) => {
    const port = await freePort();
    const everywhere = ["--listen", `0.0.0.0:${port}`, "--listen", `[::]:${port}`, "--insecure", "--threads", "2"];
    const { err, code } = await serve(t, everywhere);
    assert.equal(code, null, err);
    for (const host of ["127.0.0.1", "::1"]) {
        assert.equal(await statusOf(host, port), 200, host);
    }
});
