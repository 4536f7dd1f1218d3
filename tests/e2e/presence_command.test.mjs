// `freshet presence CHANNEL`: the members as lines, then each change.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { BIN, eventually, startServer, test } from "./support/index.mjs";
import { Program, run } from "./support/program.mjs";

const ON = "namespaces: [{prefix: chat, presence: true, presence_grace_ms: 200}]\n";

test("freshet presence prints who is there, and then each change", async (t) => {
    const server = await startServer(t, { config: ON });
    await server.ndjson("/channels/chat/a%20b?as=alice");
    await eventually(async () => (await server.get("/presence/chat/a%20b")).json().count === 1, "alice");
    const once = await run(t, ["presence", "--url", server.url, "--once", "chat/a b"]);
    assert.equal(once.code, 0, once.stderr);
    assert.deepEqual(once.stdout.trim().split("\n").map((line) => JSON.parse(line).member), ["alice"]);
    const child = spawn(BIN, ["presence", "--url", server.url, "chat/a b"], { stdio: ["ignore", "pipe", "inherit"] });
    server.onStop(() => child.kill());
    let out = "";
    child.stdout.setEncoding("utf8").on("data", (text) => (out += text));
    await eventually(() => out.includes("alice"), "the list");
    const bob = await server.ndjson("/channels/chat/a%20b?as=bob");
    await eventually(() => out.includes("joined"), "the change");
    bob.close();
    await eventually(() => out.includes("left"), "the end");
    const lines = out.trim().split("\n").map((line) => JSON.parse(line));
    assert.deepEqual(lines.map(({ member, type, data }) => member ?? `${type} ${data.member}`), ["alice", "joined bob", "left bob"]);
});

test("freshet presence says why there is no list", async (t) => {
    const server = await startServer(t, { config: ON });
    const off = await run(t, ["presence", "--url", server.url, "other"]);
    assert.equal(off.code, 1);
    assert.match(off.stderr, /404.*presence: true/s);
    const wrong = await run(t, ["presence", "--url", server.url, "chat/*"]);
    assert.equal(wrong.code, 2);
    assert.match(wrong.stderr, /patterns have no members/);
});

for (const via of ["sse", "ndjson", "poll", "ws"]) {
    test(`freshet sub --as is a member while it runs (${via})`, async (t) => {
        const server = await startServer(t, { config: ON });
        const members = async () => (await server.get("/presence/chat/1")).json().members.map(({ member }) => member);
        const sub = new Program(t, ["sub", "--url", server.url, "--via", via, "--as", "Ada & Bob", "chat/1"]);
        await eventually(async () => (await members()).join() === "Ada & Bob", "the member");
        await server.publish("chat/1", "hello");
        await sub.until(({ lines }) => lines.length === 1, "the event");
        sub.child.kill("SIGTERM");
        assert.equal((await sub.exited).code, 0);
        await eventually(async () => (await members()).length === 0, "its end", 180_000);
    });
}

test("freshet sub --as takes a name", async (t) => {
    const empty = await run(t, ["sub", "--as", "", "chat/1"]);
    assert.equal(empty.code, 2);
    assert.match(empty.stderr, /--as takes a name/);
});
