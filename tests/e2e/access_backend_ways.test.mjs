// Every way in asks the operator's server for what neither a rule nor a credential gives: a way that does not ask fails
// here. People come with a cookie, or with a credential that only that server knows; messages of a WebSocket wait for its
// answer in their order.

import assert from "node:assert/strict";
import { once } from "node:events";
import fs from "node:fs";
import http from "node:http";
import path from "node:path";
import { assertProblem, eventually, startServer, test } from "./support/index.mjs";
import { Socket } from "./support/ws.mjs";

const SECRET = `whsec_${Buffer.alloc(32, "k").toString("base64")}`;

/** A server of the operator: alice, by her cookie or her credential, may do everything in chat/alice and below. */
function decide({ channels, headers }) {
    const alice = headers.cookie === "sid=alice" || headers.authorization === "Bearer opaque-of-alice";
    const allow = alice && channels.every((channel) => /^chat\/alice(\/|$)/.test(channel));
    return { allow, subject: alice ? "alice" : undefined, ttl_s: 600 };
}

async function start(t, { answer = decide, namespace = "" } = {}) {
    const app = { asked: [], answer };
    const backend = http.createServer(async (request, response) => {
        const parts = [];
        for await (const part of request)
            parts.push(part);
        const question = JSON.parse(Buffer.concat(parts).toString());
        app.asked.push(question);
        response.end(JSON.stringify(await app.answer(question)));
    });
    backend.listen(0, "127.0.0.1");
    await once(backend, "listening");
    t.after(() => {
        backend.closeAllConnections();
        backend.close();
    });
    const server = await startServer(t, { config: `
access: {anybody: []}
webhooks: {allow: [127.0.0.1]}
namespaces:
  - prefix: open
    access: {anybody: [read, publish]}
  - prefix: chat
    presence: true
    authorize: {url: "http://127.0.0.1:${backend.address().port}/may", secret: ${SECRET}, cache_s: 0, timeout_ms: 60000}
${namespace}` });
    return { app, server };
}

const body = (channel) => JSON.stringify({ url: "http://127.0.0.1:9/", channels: [channel] });
const form = (server, channel) =>
    `hub.mode=subscribe&hub.topic=${server.url}/topics/${channel}&hub.callback=http://127.0.0.1:9/`;

/* The ways, by the path and method that GET / names, with the actions that are asked for. */
const WAYS = [
    ["GET /channels", ["read"], (c) => ["GET", `/channels/${c}?last=1`]],
    ["GET /channels", ["read"], (c) => ["GET", `/channels/${c}?before=5`]],
    ["GET /channels", ["read"], (c) => ["GET", `/channels/${c}?after=earliest`]],
    ["GET /channels", ["read"], (c, server, id) => ["GET", `/channels/${c}`, { "Last-Event-ID": id }]],
    ["GET /events", ["read"], (c) => ["GET", `/events?channel=${c}&channel=${c}/**&last=1`]],
    ["GET /topics", ["read"], (c) => ["GET", `/topics/${c}`]],
    ["POST /channels", ["publish"], (c) => ["POST", `/channels/${c}`, {}, "1"]],
    ["POST /channels", ["publish"], (c) => ["POST", `/channels/${c}?ephemeral=1`, {}, "1"]],
    ["POST /events", ["publish"], (c) => ["POST", "/events", {}, `[{"channel":"${c}","data":1},{"channel":"${c}/b","data":2}]`]],
    ["POST /events", ["publish"], (c) => ["POST", "/events", {}, `{"channel":"${c}","data":1}\n{"channel":"${c}/b","data":2}\n`]],
    ["GET /presence", ["presence"], (c) => ["GET", `/presence/${c}`]],
    ["PUT /presence", ["presence", "read"], (c, server, id) => ["PUT", `/presence/${c}/me?as=alice`, {}, JSON.stringify({ read: id })]],
    ["DELETE /channels", ["admin"], (c) => ["DELETE", `/channels/${c}`]],
    ["POST /webhooks", ["webhooks", "read"], (c) => ["POST", "/webhooks", {}, body(c)]],
    ["POST /hub", ["webhooks", "read"], (c, server) => ["POST", "/hub", { "Content-Type": "application/x-www-form-urlencoded" }, form(server, c)]],
];

/* What names no channel, or nothing that this server decides about. */
const NOBODY_IS_ASKED = ["GET /webhooks", "PATCH /webhooks", "DELETE /webhooks", "GET /inbound", "POST /inbound",
    "GET /healthz", "GET /readyz", "GET /errors", "GET /playground", "POST /playground/webhooks", "DELETE /playground/webhooks",
    "GET /freshet.js", "GET /freshet-presence.js", "GET /pages", "GET /console", "GET /demos",
    "GET /openapi.json", "GET /asyncapi.json", "GET /docs",
    "GET /", "GET /configuration", "GET /stats", "GET /metrics", "GET /keys", "POST /keys",
    "DELETE /keys", "GET /revocations", "POST /revocations", "DELETE /revocations", "GET /subscribers",
    "DELETE /subscribers"];

test("each path and method that the server names is among the ways", async (t) => {
    const { server } = await start(t);
    const { links } = (await server.get("/", { Accept: "application/json" })).json();
    const named = links.flatMap(({ path, access }) => Object.keys(access).map((method) => `${method} ${path}`));
    const known = new Set([...WAYS.map(([way]) => way), ...NOBODY_IS_ASKED]);
    assert.deepEqual(named.filter((way) => !known.has(way)), []);
});

for (const [kind, alice, bob] of [
    ["a cookie", { Cookie: "sid=alice" }, { Cookie: "sid=bob" }],
    ["a credential of the site's own", { Authorization: "Bearer opaque-of-alice" }, { Authorization: "Bearer forged" }],
])
    test(`every way over HTTP asks about ${kind}`, async (t) => {
        const { app, server } = await start(t);
        const { id } = (await server.request("POST", "/channels/chat/alice", { headers: alice, body: "first" })).json();
        for (const [way, actions, request] of WAYS) {
            for (const [headers, channel, may] of [[alice, "chat/alice", true], [alice, "chat/bob", false], [bob, "chat/alice", false]]) {
                const [method, target, more = {}, sent] = request(channel, server, id);
                app.asked.length = 0;
                const answer = await server.request(method, target, { headers: { ...headers, ...more }, body: sent });
                const about = `${way} ${target} as ${JSON.stringify(headers)}: ${answer.status} ${answer.bytes}`;
                if (may)
                    assert.ok(answer.status < 300, about);
                else
                    assert.ok([401, 403].includes(answer.status), about);
                const asked = app.asked.map(({ action }) => action);
                assert.deepEqual(asked, may ? actions : actions.slice(0, 1), about);
                for (const question of app.asked)
                    assert.ok(question.channels.every((name) => name.startsWith(channel)), about);
            }
        }
        assert.ok(!server.log().includes("opaque-of-alice"));
        assert.ok(!server.log().includes("sid=alice"));
    });

test("a batch over two namespaces asks both servers, and nobody about what is granted", async (t) => {
    const { app, server } = await start(t, {
        answer: () => ({ allow: true }),
        namespace: `  - prefix: mail
    authorize: {url: "http://127.0.0.1:9/nobody", secret: ${SECRET}, cache_s: 0}
`,
    });
    const batch = (...channels) => server.request("POST", "/events", {
        body: JSON.stringify(channels.map((channel) => ({ channel, data: 1 }))),
    });
    assert.equal((await batch("open/a", "chat/a", "open/b", "chat/b")).status, 201);
    assert.deepEqual(app.asked.map(({ channels }) => channels), [["chat/a", "chat/b"]]);
    assertProblem(await batch("chat/a", "mail/a"), 503);
    assertProblem(await batch("chat/a", "other"), 401);
    assert.equal((await batch(...Array.from({ length: 250 }, (_, i) => `chat/${i}`))).status, 201);
    assert.deepEqual(app.asked.slice(-3).map(({ channels }) => channels.length), [100, 100, 50]);
});

test("a credential that no server vouches for is refused, even where anybody may do what is asked", async (t) => {
    const { app, server } = await start(t);
    const headers = { Authorization: "Bearer opaque-of-alice" };
    for (const [method, target, sent] of [["GET", "/channels/open/a?last=1"], ["POST", "/channels/open/a", "x"], ["GET", "/channels"],
        ["GET", "/stats"], ["GET", "/webhooks"], ["POST", "/events", "[{\"channel\":\"open/a\",\"data\":1}]"]])
        assertProblem(await server.request(method, target, { headers, body: sent }), 401, /key/);
    assert.equal(app.asked.length, 0);
    assert.equal((await server.get("/channels/open/a?last=1")).status, 200);
    assertProblem(await server.get("/channels/chat/alice?last=1&token=fk_aaaaaaaaaa_bb"), 401, /key/);
    assert.equal(app.asked.length, 0, "a key is never passed on");
});

function asker(socket) {
    let ref = 0;
    return async (message) => {
        socket.send(JSON.stringify({ ...message, ref: ++ref }));
        for (;;) {
            const answer = JSON.parse((await socket.next("an answer")).text);
            if (answer.ref === ref)
                return answer;
        }
    };
}

test("messages of freshet.v1 ask, by cookie and by credential", async (t) => {
    const { app, server } = await start(t);
    for (const [options, allowed] of [
        [{ protocols: ["freshet.v1"], headers: { Cookie: "sid=alice" } }, true],
        [{ protocols: ["freshet.v1"], headers: { Cookie: "sid=bob" } }, false],
        [{ protocols: ["freshet.v1", "freshet.token.opaque-of-alice"] }, true],
        [{ protocols: ["freshet.v1", "freshet.token.forged"] }, false],
    ]) {
        const socket = await Socket.open(t, server, "/events", options);
        const ask = asker(socket);
        const op = allowed ? "ok" : "error";
        app.asked.length = 0;
        assert.equal((await ask({ op: "subscribe", channels: ["chat/alice", "chat/alice/*"] })).op, op);
        assert.equal((await ask({ op: "publish", channel: "chat/alice", data: 1 })).op, op);
        assert.deepEqual(app.asked.map(({ action, channels }) => [action, channels]),
            [["read", ["chat/alice", "chat/alice/*"]], ["publish", ["chat/alice"]]]);
        assert.equal((await ask({ op: "subscribe", channels: ["chat/bob"] })).op, "error");
        assert.equal((await ask({ op: "publish", channel: "chat/bob", data: 1 })).op, "error");
        socket.ws.terminate();
    }
});

test("the operation presence of freshet.v1 asks, and for a mark it asks for read as well", async (t) => {
    const { app, server } = await start(t);
    const { id } = (await server.request("POST", "/channels/chat/alice", { headers: { Cookie: "sid=alice" }, body: "x" })).json();
    for (const [sid, mine, theirs] of [["alice", ["presence", "ok"], ["error", "error"]], ["bob", ["error", "error"], ["error", "error"]]]) {
        const socket = await Socket.open(t, server, "/events", { protocols: ["freshet.v1"], headers: { Cookie: `sid=${sid}` } });
        const ask = asker(socket);
        for (const [channel, wanted] of [["chat/alice", mine], ["chat/bob", theirs]]) {
            app.asked.length = 0;
            const ops = [(await ask({ op: "presence", channel })).op, (await ask({ op: "presence", channel, read: id, as: "alice" })).op];
            assert.deepEqual(ops, wanted, `${sid} on ${channel}`);
            assert.deepEqual(app.asked.map(({ action }) => action), ops[0] === "error" ? ["presence", "presence"] : ["presence", "presence", "read"]);
        }
        socket.ws.terminate();
    }
});

test("auth asks for the subscriptions that the new credential does not give", async (t) => {
    const { app, server } = await start(t);
    const socket = await Socket.open(t, server, "/events", { protocols: ["freshet.v1"], headers: { Cookie: "sid=alice" } });
    const ask = asker(socket);
    assert.equal((await ask({ op: "subscribe", channels: ["chat/alice"] })).op, "ok");
    app.asked.length = 0;
    assert.equal((await ask({ op: "auth", token: "forged" })).op, "ok", "her cookie still counts");
    assert.deepEqual(app.asked.map(({ action, headers }) => [action, headers.authorization]), [["read", "Bearer forged"]]);
    app.answer = ({ headers }) => ({ allow: headers.authorization === "Bearer opaque-of-alice" });
    assert.equal((await ask({ op: "auth", token: "stolen" })).problem.type, "/errors/bad-credential");
    assert.deepEqual((await ask({ op: "auth", token: "opaque-of-alice" })).lost, []);
    await server.request("POST", "/channels/chat/alice", { headers: { Authorization: "Bearer opaque-of-alice" }, body: "x" });
    assert.equal(JSON.parse((await socket.next("the event")).text).event.data, "x");
});

test("a message that waits while auth succeeds is asked for again, with the new credential", async (t) => {
    const held = [];
    const { app, server } = await start(t);
    const socket = await Socket.open(t, server, "/events", { protocols: ["freshet.v1"], headers: { Cookie: "sid=alice" } });
    assert.equal((await asker(socket)({ op: "subscribe", channels: ["chat/alice"] })).op, "ok");
    app.answer = () => new Promise((resolve) => { held.push(resolve); });
    app.asked.length = 0;
    socket.send(JSON.stringify({ op: "auth", token: "opaque-of-bob", ref: "auth" }));
    await eventually(() => held.length === 1, "the question of auth");
    socket.send(JSON.stringify({ op: "subscribe", channels: ["chat/secret"], ref: "late" }));
    await eventually(() => held.length === 2, "the question of subscribe");
    const answer = async (ref) => {
        for (;;) {
            const message = JSON.parse((await socket.next(`the answer to ${ref}`)).text);
            if (message.ref === ref && message.op !== "live")
                return message;
        }
    };
    held[0]({ allow: true });
    assert.deepEqual((await answer("auth")).lost, []);
    held[1]({ allow: true });
    await eventually(() => held.length === 3, "the second question of subscribe");
    held[2]({ allow: false });
    assert.equal((await answer("late")).op, "error");
    assert.deepEqual(app.asked.map(({ channels, headers }) => [channels[0], headers.authorization]),
        [["chat/alice", "Bearer opaque-of-bob"], ["chat/secret", undefined], ["chat/secret", "Bearer opaque-of-bob"]]);
});

test("frames of a channel's WebSocket ask", async (t) => {
    const { app, server } = await start(t);
    const socket = await Socket.open(t, server, "/channels/chat/alice", { headers: { Cookie: "sid=alice" } });
    socket.send("hello");
    assert.equal(JSON.parse((await socket.next("the event")).text).data, "hello");
    assert.deepEqual(app.asked.map(({ action }) => action), ["read", "publish"]);
    app.answer = ({ action }) => ({ allow: action === "read" });
    const reader = await Socket.open(t, server, "/channels/chat/alice", { headers: { Cookie: "sid=alice" } });
    reader.send("hello");
    assert.equal((await reader.closed()).code, 4401);
});

test("messages that wait for answers keep their order, and reading goes on afterwards", async (t) => {
    const held = [];
    const { app, server } = await start(t, {
        answer: (question) => question.action === "read" ? { allow: true } : new Promise((resolve) => {
            held.push(() => resolve({ allow: true }));
        }),
    });
    const listener = await Socket.open(t, server, "/events?channel=chat/**&channel=open/**", { protocols: ["freshet.v1"] });
    const socket = await Socket.open(t, server, "/events", { protocols: ["freshet.v1"], headers: { Cookie: "sid=alice" } });
    const channels = Array.from({ length: 40 }, (_, i) => (i % 2 ? `open/${i}` : `chat/${i}`));
    channels.forEach((channel, ref) => socket.send(JSON.stringify({ op: "publish", channel, data: ref, ref })));
    for (let i = 0; i < 20; i++) {
        await eventually(() => held.length > i, "the next question");
        assert.equal(held.length, i + 1, "one question at a time");
        held[i]();
    }
    const refs = [], events = [];
    while (refs.length < 40) {
        const { op, ref } = JSON.parse((await socket.next("an answer")).text);
        if (op === "ok")
            refs.push(ref);
    }
    while (events.length < 40) {
        const { op, event } = JSON.parse((await listener.next("an event")).text);
        if (op === "event")
            events.push(event.data);
    }
    assert.deepEqual(refs, channels.map((_, i) => i));
    assert.deepEqual(events, channels.map((_, i) => i));
    assert.equal(app.asked.filter(({ action }) => action === "publish").length, 20);
});

test("a WebSocket that leaves while its message waits harms nobody", async (t) => {
    let release;
    const held = new Promise((resolve) => { release = resolve; });
    const { app, server } = await start(t, { answer: () => held });
    const socket = await Socket.open(t, server, "/events", { protocols: ["freshet.v1"], headers: { Cookie: "sid=alice" } });
    socket.send(JSON.stringify({ op: "publish", channel: "chat/alice", data: 1 }));
    await eventually(() => app.asked.length === 1, "the question");
    socket.ws.terminate();
    assert.equal((await server.get("/channels/open/a?last=1")).status, 200);
    release({ allow: true });
    assert.equal((await server.get("/channels/open/b?last=1")).status, 200);
});

test("a site that cannot be asked keeps messages out, and the connection goes on", async (t) => {
    const { server } = await start(t, { answer: () => "garbage" });
    const socket = await Socket.open(t, server, "/events", { protocols: ["freshet.v1"], headers: { Cookie: "sid=alice" } });
    const ask = asker(socket);
    assert.equal((await ask({ op: "publish", channel: "chat/alice", data: 1 })).problem.type, "/errors/unavailable");
    assert.equal((await ask({ op: "subscribe", channels: ["chat/alice"] })).problem.type, "/errors/unavailable");
    assert.equal((await ask({ op: "publish", channel: "open/a", data: 1 })).op, "ok");
});

test("a subscription ends when what was allowed for it does", async (t) => {
    const { server } = await start(t, { answer: () => ({ allow: true, ttl_s: 5 }) });
    const socket = await Socket.open(t, server, "/events", { protocols: ["freshet.v1"], headers: { Cookie: "sid=alice" } });
    assert.equal((await asker(socket)({ op: "subscribe", channels: ["chat/alice"] })).op, "ok");
    assert.equal((await socket.closed()).code, 4401);
});

test("a WebSocket goes on, by rules alone, when the configuration names no site to ask any more", async (t) => {
    const { server } = await start(t);
    const options = { protocols: ["freshet.v1"], headers: { Cookie: "sid=alice" } };
    const socket = await Socket.open(t, server, "/events", options);
    const ask = asker(socket);
    assert.equal((await ask({ op: "publish", channel: "chat/alice", data: 1 })).op, "ok");
    fs.writeFileSync(path.join(server.dir, "freshet.yaml"),
        "access: {anybody: []}\nnamespaces: [{prefix: open, access: {anybody: [read, publish]}}]\n");
    server.signal("SIGHUP");
    await eventually(() => server.err.includes("event=reloaded"), "the reload");
    assert.equal((await ask({ op: "publish", channel: "chat/alice", data: 2 })).problem.type, "/errors/unauthorized");
    assert.equal((await ask({ op: "subscribe", channels: ["chat/alice"] })).problem.type, "/errors/unauthorized");
    assert.equal((await ask({ op: "subscribe", channels: ["open/a"] })).op, "ok");
    await ask({ op: "auth", token: "opaque-of-alice" });
    assert.equal((await ask({ op: "publish", channel: "chat/alice", data: 3 })).op, "error");
});
