// Unix sockets: their mode, their files across stop and crash, and the clients and proxies that use them.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import fs from "node:fs";
import http from "node:http";
import path from "node:path";
import { assertProblem, eventually, startServer, temporaryFolder, test } from "./support/index.mjs";
import { curl } from "./support/curl.mjs";
import { run } from "./support/program.mjs";
import { lacks, startFront } from "./support/fronts.mjs";

/** A request over a Unix socket: {status, text}, or {code} of the error. */
function ask(socketPath, target, { method = "GET", body } = {}) {
    return new Promise((resolve) => {
        const request = http.request({ socketPath, path: target, method, agent: false }, (answer) => {
            let text = "";
            answer.setEncoding("utf8").on("data", (part) => (text += part)).on("end", () => resolve({ status: answer.statusCode, text }));
        });
        request.on("error", ({ code }) => resolve({ code })).end(body);
    });
}

function modeOf(file) {
    return fs.statSync(file).mode & 0o777;
}

test("curl publishes and reads over a Unix socket, on all workers, and its file goes at the end", async (t) => {
    const file = path.join(temporaryFolder(t), "freshet.sock");
    const server = await startServer(t, { listen: ["127.0.0.1:0", `unix:${file}`], args: ["--threads", "3"] });
    assert.match(server.out, new RegExp(`and unix:${file}\n`));
    assert.equal(modeOf(file), 0o660);
    assert.equal((await curl(["--unix-socket", file, "http://localhost/channels/news", "-d", "hello"])).code, 0);
    for (let n = 0; n < 20; n++)
        assert.match((await ask(file, "/channels/news?last=1")).text, /"data":"hello"/);
    const stream = http.request({ socketPath: file, path: "/channels/news?stream=ndjson", agent: false });
    const line = new Promise((resolve) => stream.on("response", (answer) => answer.on("data", (text) => String(text).includes("again") && resolve(String(text)))));
    stream.end();
    await eventually(async () => JSON.parse((await server.get("/stats")).bytes.toString()).subscribers.total === 1, "the stream");
    await server.post("news", "again");
    assert.match(await line, /again/);
    stream.destroy();
    await server.terminate();
    assert.equal(fs.existsSync(file), false);
});

test("mode and group are configured, and anything that makes no sense is refused with its line", async (t) => {
    const file = path.join(temporaryFolder(t), "s");
    const gid = process.getgid();
    await startServer(t, { listen: false, config: `listen:\n  - 127.0.0.1:0\n  - {address: "unix:${file}", mode: 600, group: ${gid}}\n` });
    assert.equal(modeOf(file), 0o600);
    assert.equal(fs.statSync(file).gid, gid);
    const dir = temporaryFolder(t), config = path.join(dir, "freshet.yaml");
    for (const [item, why] of [[`{address: "unix:/tmp/s", mode: 999}`, /:1: listen: .*octal/], [`{address: "127.0.0.1:1", mode: 600}`, /:1: listen: .*files alone/],
        [`{address: "unix:/tmp/s", group: no-such-group}`, /:1: listen: .*group/], [`"unix:"`, /:1: listen: /], [`"https://unix:/tmp/s"`, /:1: listen: /],
        [`{mode: 600}`, /:1: listen: .*address/], [`{address: "unix:/${"x".repeat(110)}"}`, /103 bytes/]]) {
        fs.writeFileSync(config, `listen: [${item}]\n`);
        const { code, stderr } = await run(t, ["check", "--config", config]);
        assert.equal(code, 2, item);
        assert.match(stderr, why);
    }
});

test("without rules a socket must keep other users out", async (t) => {
    const dir = temporaryFolder(t), config = path.join(dir, "freshet.yaml");
    for (const [mode, code] of [["660", 0], ["600", 0], ["666", 2], ["662", 2]]) {
        fs.writeFileSync(config, `listen: [{address: "unix:${dir}/s", mode: ${mode}}]\nmemory: true\n`);
        const end = await run(t, ["check", "--config", config]);
        assert.equal(end.code, code, mode + end.stderr);
        if (code)
            assert.match(end.stderr, /no access rules/);
    }
});

test("a file that a crash has left is replaced, and that of a process that runs is not", async (t) => {
    const file = path.join(temporaryFolder(t), "s");
    const listen = ["127.0.0.1:0", `unix:${file}`];
    const first = await startServer(t, { listen });
    const second = await run(t, ["serve", "--memory", "--listen", `unix:${file}`]);
    assert.equal(second.code, 1);
    assert.match(second.stderr, /Another process listens there/);
    assert.equal((await ask(file, "/healthz")).status, 200);
    await first.kill();
    assert.equal((await ask(file, "/healthz")).code, "ECONNREFUSED");
    await startServer(t, { listen });
    assert.equal((await ask(file, "/healthz")).status, 200);
    fs.writeFileSync(`${file}.txt`, "kept");
    const third = await run(t, ["serve", "--memory", "--listen", `unix:${file}.txt`]);
    assert.equal(third.code, 1);
    assert.match(third.stderr, /no socket/);
    assert.equal(fs.readFileSync(`${file}.txt`, "utf8"), "kept");
});

test("nginx has the socket as its upstream", { skip: lacks("nginx") }, async (t) => {
    const dir = temporaryFolder(t), file = path.join(dir, "s");
    fs.chmodSync(dir, 0o755); /* nginx's workers run as somebody else */
    const server = await startServer(t, { listen: false, config: `listen: [127.0.0.1:0, {address: "unix:${file}", mode: 666}]
hosts: [localhost, 127.0.0.1]\naccess: {anybody: [read, publish]}\n` });
    const front = await startFront(t, "nginx", server, { change: (text) => text.replaceAll("127.0.0.1:7070", `unix:${file}`) });
    const answer = await fetch(`${front.url}/channels/news`, { method: "POST", body: "hello" });
    assert.equal(answer.status, 201, await answer.text());
    assert.match(await (await fetch(`${front.url}/channels/news?last=1`)).text(), /"data":"hello"/);
    assertProblem(await server.get("/stats"), 401);
});
