// Access rules: what anybody may do by every mechanism, what is refused and how, and when a server starts.

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import fs from "node:fs";
import path from "node:path";
import { BIN, assertProblem, startServer, temporaryFolder, test } from "./support/index.mjs";
import { Socket } from "./support/ws.mjs";

const RULES = `
access:
  anybody: []
namespaces:
  - prefix: open
    access: {anybody: [read, publish]}
  - prefix: open/staff
    access: {anybody: [publish]}
`;

function ruled(t) {
    return startServer(t, { config: RULES });
}

function textOf(answer) {
    return JSON.parse(answer.bytes.toString("utf8"));
}

const READS = [
    (channel) => `/channels/${channel}`,
    (channel) => `/channels/${channel}?last=1`,
    (channel) => `/channels/${channel}?before=1`,
    (channel) => `/channels/${channel}?stream=sse`,
    (channel) => `/channels/${channel}?stream=ndjson`,
    (channel) => `/events?channel=open/a&channel=${channel}`,
    (channel) => `/topics/${channel}`,
];

test("a channel whose rule says nothing of anybody is closed, by every mechanism", async (t) => {
    const server = await ruled(t);
    for (const channel of ["closed", "open/staff", "open/staff/a", "$webhooks/x"]) {
        for (const read of READS) {
            const answer = await server.get(read(channel));
            assert.equal(answer.headers["www-authenticate"], "Bearer realm=\"freshet\"", read(channel));
            assertProblem(answer, 401);
            const { type, may, channel: wanted } = textOf(answer);
            assert.deepEqual({ type, may, wanted }, { type: "/errors/unauthorized", may: "read", wanted: channel });
        }
    }
    for (const [method, target] of [["POST", "/channels/closed"], ["DELETE", "/channels/open/a"], ["GET", "/stats"],
        ["GET", "/metrics"], ["GET", "/channels"], ["GET", "/channels?prefix=open/"], ["GET", "/webhooks"],
        ["POST", "/webhooks"], ["POST", "/hub"], ["GET", "/webhooks/wh_x"]]) {
        const answer = await server.request(method, target, { body: method === "POST" ? "{}" : undefined });
        assertProblem(answer, 401);
    }
});

test("rules open channels to anybody, and a pattern must lie within them", async (t) => {
    const server = await ruled(t);
    assert.equal((await server.post("open/a", "1")).status, 201);
    assert.equal((await server.post("open/staff", "1")).status, 201);
    assert.equal((await server.get("/channels/open/a?last=1")).status, 200);
    assert.equal((await server.get("/events?channel=open/*/x")).status, 401); /* open/staff/x is among them */
    assert.equal((await server.get("/events?channel=open/a/**")).status, 200);
    assert.equal((await server.get("/events?channel=open/**")).status, 401);
    assert.equal((await server.get("/healthz")).status, 200);
});

test("a poll that is known byte for byte is as open as the first one, and no more", async (t) => {
    const server = await ruled(t);
    const { id } = textOf(await server.post("open/a", "1"));
    for (let i = 0; i < 3; i++) {
        assert.equal((await server.get(`/channels/open/a?after=${id}`)).status, 200);
        assert.equal((await server.get(`/channels/closed?after=${id}`)).status, 401);
    }
});

test("a credential that nobody knows is refused, wherever it stands and whatever it asks for", async (t) => {
    const server = await ruled(t);
    for (const [target, headers] of [["/channels/open/a", { Authorization: "Bearer x" }],
        ["/channels/open/a?token=SECRET", {}], ["/channels/open/a", { Authorization: "Basic eDp5" }]]) {
        const answer = await server.get(target, headers);
        assertProblem(answer, 401);
        assert.match(answer.headers["www-authenticate"], /error="invalid_token"/);
        assert.ok(!answer.bytes.includes("SECRET"));
    }
    assert.ok(!server.log().includes("SECRET"));
});

test("freshet.v1 asks for the same rights: to subscribe and to publish", async (t) => {
    const server = await ruled(t);
    const socket = await Socket.open(t, server, "/events", { protocols: ["freshet.v1"] });
    const ask = async (message) => {
        socket.send(JSON.stringify(message));
        return JSON.parse((await socket.next()).text);
    };
    assert.equal((await ask({ op: "subscribe", channels: ["open/**"], ref: 1 })).problem.type, "/errors/unauthorized");
    const refused = await ask({ op: "publish", channel: "closed", data: 1, ref: 2 });
    assert.equal(refused.problem.may, "publish");
    assert.equal(refused.problem.channel, "closed");
    assert.equal((await ask({ op: "publish", channel: "open/a", data: 1, ref: 3 })).op, "ok");
});

test("the list of paths says what each method takes", async (t) => {
    const server = await ruled(t);
    const { links } = textOf(await server.get("/", { Accept: "application/json" }));
    const access = Object.fromEntries(links.map((link) => [link.path, link.access]));
    assert.deepEqual(access["/channels"], { GET: "read", POST: "publish", DELETE: "admin" });
    assert.deepEqual(access["/inbound"], { GET: "proof", POST: "proof" });
    assert.deepEqual(access["/healthz"], { GET: "nothing" });
});

/** What `freshet check` says of a configuration. */
function check(t, yaml, ...args) {
    const dir = temporaryFolder(t);
    fs.writeFileSync(path.join(dir, "freshet.yaml"), yaml);
    const { status, stdout, stderr } = spawnSync(BIN, ["check", "--memory", "--config", "freshet.yaml", ...args], { cwd: dir });
    return { status, said: String(stdout) + String(stderr) };
}

test("a public address takes rules, and the refusal to start says what to write", (t) => {
    const refused = check(t, "", "--listen", "0.0.0.0:0");
    assert.equal(refused.status, 2);
    assert.match(refused.said, /access: \{anybody: \[read\]\}/);
    assert.equal(check(t, "access: {anybody: [read]}\n", "--listen", "0.0.0.0:0").status, 0);
    assert.equal(check(t, "namespaces: [{prefix: a, access: {anybody: [read]}}]\n", "--listen", "0.0.0.0:0").status, 0);
    assert.equal(check(t, "", "--listen", "127.0.0.1:0").status, 0);
});

test("a cookie takes the origins whose pages may use it", (t) => {
    const alone = check(t, "access: {anybody: [], cookie: session}\n");
    assert.equal(alone.status, 2);
    assert.match(alone.said, /origins: \[https:\/\/app\.example\]/);
    assert.equal(check(t, "access: {anybody: [], cookie: session}\norigins: [https://app.example]\n").status, 0);
});
