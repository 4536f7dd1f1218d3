// What is taken back is gone: by every mechanism, for what goes on and for what comes, within a
// second, and across restarts.

import assert from "node:assert/strict";
import http from "node:http";
import { EventSource } from "eventsource";
import { deadline, eventually, startServer, sideBySide } from "./support/index.mjs";
import { Receiver } from "./support/receiver.mjs";
import { run } from "./support/program.mjs";
import { Socket } from "./support/ws.mjs";

const { test } = sideBySide(4);

/* A second is what is promised. The rest is for a machine that is busy; without the promise nothing ends within a minute. */
const SOON_MS = 1000 + 19_000;

/** A server with rules that give nobody anything, and a key that may do everything. */
async function closed(t, options = {}) {
    const { stdout, stderr } = await run(t, ["key", "generate"]);
    const [hash] = /fk_\w+:\w+/.exec(stderr);
    const all = `may: [read, publish, presence, webhooks, admin]`;
    const config = `webhooks: {allow: ["127.0.0.1"]}\naccess: {anybody: []}\nkeys: [{name: root, key: "${hash}", grants: [{channels: ["**"], ${all}}]}]\n`;
    const server = await startServer(t, { config, ...options });
    server.root = stdout.trimEnd();
    return server;
}

async function ask(server, method, target, body, key = server.root) {
    const answer = await fetch(server.url + target, {
        method,
        headers: key ? { Authorization: `Bearer ${key}` } : {},
        body: body === undefined ? undefined : JSON.stringify(body),
    });
    const text = await answer.text();
    return { status: answer.status, body: text ? JSON.parse(text) : undefined };
}

async function makeKey(server, name, may = ["read", "publish"], more = {}) {
    const { status, body } = await ask(server, "POST", "/keys", { name, grants: [{ channels: ["chat/**"], may }], ...more });
    assert.equal(status, 201, JSON.stringify(body));
    return body;
}

/** Opens a subscription by each mechanism; `ended` of each resolves to how it ended. */
async function openAll(t, server, key) {
    const bearer = { headers: { Authorization: `Bearer ${key}` } };
    const read = async (answer) => {
        let text = "";
        for await (const piece of answer.body.pipeThrough(new TextDecoderStream())) {
            text += piece;
        }
        return text;
    };
    const ndjson = await fetch(`${server.url}/channels/chat/a?stream=ndjson`, bearer);
    const poll = fetch(`${server.url}/channels/chat/a?after=now&wait=60`, bearer);
    const source = new EventSource(`${server.url}/channels/chat/a?token=${key}`);
    t.after(() => source.close());
    const refused = new Promise((resolve) => source.addEventListener("error", (error) => error.code && resolve(error.code)));
    await new Promise((resolve) => source.addEventListener("open", resolve, { once: true }));
    const socket = await Socket.open(t, server, `/channels/chat/a?token=${key}`);
    const v1 = await Socket.open(t, server, "/events", { protocols: ["freshet.v1", `freshet.token.${key}`] });
    v1.ws.send(JSON.stringify({ op: "subscribe", channels: ["chat/*"] }));
    await v1.next();
    const v1Goodbye = new Promise((resolve) => v1.ws.on("message", (bytes) => {
        const message = JSON.parse(bytes);
        message.op === "bye" && resolve(message);
    }));
    const code = ({ ws }) => new Promise((resolve) => ws.once("close", resolve));
    const stats = async () => (await ask(server, "GET", "/stats")).body.subscribers;
    await eventually(async () => (await stats()).total === 5, "five subscribers");
    return {
        ndjson: read(ndjson), poll: poll.then((answer) => answer.status), eventsource: refused,
        websocket: code(socket), v1: code(v1), v1Goodbye,
    };
}

/** The last line of NDJSON, which is a goodbye. */
function goodbyeOf(text) {
    const record = JSON.parse(text.trim().split("\n").at(-1));
    assert.equal(record.op, "bye");
    return record;
}

async function assertEnded(all, since, reason = "revoked") {
    assert.equal(await deadline(all.poll, "the poll to be answered"), 200);
    assert.equal(goodbyeOf(await deadline(all.ndjson, "the stream to end")).reason, reason);
    assert.equal((await all.v1Goodbye).reason, reason);
    assert.equal(await deadline(all.websocket, "the WebSocket to close"), 4401);
    assert.equal(await deadline(all.v1, "freshet.v1 to close"), 4401);
    assert.ok(Date.now() - since < SOON_MS, `${Date.now() - since} ms`);
    assert.equal(await deadline(all.eventsource, "the EventSource to be refused"), 401);
}

async function assertRefused(server, key) {
    for (const target of ["/channels/chat/a", "/events?channel=chat/*", `/channels/chat/a?stream=sse`]) {
        const { status, body } = await ask(server, "GET", target, undefined, key);
        assert.equal(status, 401);
        assert.equal(body.type, "/errors/bad-credential");
    }
    assert.equal((await ask(server, "POST", "/channels/chat/a", 1, key)).status, 401);
}

for (const [what, method, target, body] of [
    ["a key that is deleted", "DELETE", (key) => `/keys/${key.id}`],
    ["a revocation of the key", "POST", () => "/revocations", (key) => ({ key: key.id })],
    ["a revocation of the subject", "POST", () => "/revocations", () => ({ subject: "site", reason: "left" })],
]) {
    test(`${what} ends everything that goes on, and is final across kill -9`, async (t) => {
        const server = await closed(t, { data: true });
        const key = await makeKey(server, "site"), other = await makeKey(server, "other");
        const all = await openAll(t, server, key.key);
        const since = Date.now();
        assert.ok((await ask(server, method, target(key), body?.(key))).status < 300);
        await assertEnded(all, since);
        await assertRefused(server, key.key);
        assert.equal((await ask(server, "GET", "/channels/chat/a", undefined, other.key)).status, 200);
        await server.restart();
        await assertRefused(server, key.key);
        assert.equal((await ask(server, "GET", "/channels/chat/a", undefined, other.key)).status, 200);
    });
}

test("a key that expires ends what goes on under it", async (t) => {
    const server = await closed(t);
    const key = await makeKey(server, "site", ["read"], { expires: new Date(Date.now() + 20_000).toISOString() });
    const all = await openAll(t, server, key.key);
    await assertEnded(all, Date.parse(key.expires), "expired");
    await assertRefused(server, key.key);
});

test("a revocation that was deleted lets the key in again", async (t) => {
    const server = await closed(t);
    const key = await makeKey(server, "site");
    await ask(server, "POST", "/revocations", { key: key.id });
    await assertRefused(server, key.key);
    assert.equal((await ask(server, "DELETE", `/revocations?key=${key.id}`)).status, 204);
    assert.equal((await ask(server, "GET", "/channels/chat/a", undefined, key.key)).status, 200);
});

test("somebody who is disconnected may come back", async (t) => {
    const server = await closed(t);
    const key = await makeKey(server, "site");
    const socket = await Socket.open(t, server, `/channels/chat/a?token=${key.key}`);
    const closing = new Promise((resolve) => socket.ws.once("close", resolve));
    assert.deepEqual((await ask(server, "DELETE", "/subscribers?subject=site&channel=chat/b")).body, { disconnected: 0 });
    assert.deepEqual((await ask(server, "DELETE", "/subscribers?subject=other")).body, { disconnected: 0 });
    assert.deepEqual((await ask(server, "DELETE", "/subscribers?subject=site&channel=chat/a")).body, { disconnected: 1 });
    assert.equal(await deadline(closing, "the WebSocket to close"), 4401);
    await Socket.open(t, server, `/channels/chat/a?token=${key.key}`);
});

/* ---- keys ---- */

test("a key grants no more than its maker has, and only admins make one", async (t) => {
    const server = await closed(t);
    const user = await makeKey(server, "user");
    assert.equal((await ask(server, "POST", "/keys", { name: "x", grants: [] }, user.key)).status, 403);
    assert.equal((await ask(server, "GET", "/keys", undefined, user.key)).status, 403);
    assert.equal((await ask(server, "GET", "/keys", undefined, null)).status, 401);
    const admin = (await ask(server, "POST", "/keys", {
        name: "admin", grants: [{ channels: ["**"], may: ["admin"] }, { channels: ["chat/**"], may: ["read"] }],
    })).body;
    const tries = [
        [[{ channels: ["chat/a"], may: ["read"] }], 201],
        [[{ channels: ["chat/a"], may: ["publish"] }], 403],
        [[{ channels: ["**"], may: ["read"] }], 403],
        [[{ channels: ["**"], may: ["admin"] }], 201],
    ];
    for (const [grants, status] of tries) {
        const made = await ask(server, "POST", "/keys", { name: "y", grants }, admin.key);
        assert.equal(made.status, status, JSON.stringify([grants, made.body]));
        if (status === 201) {
            assert.equal(made.body.made_by, "admin");
        }
    }
    const shown = (await ask(server, "GET", `/keys/${admin.id}`)).body;
    assert.ok(Math.abs(Date.parse(shown.last_used) - Date.now()) < 60_000);
});

test("the command uses the key of a file and of the environment", async (t) => {
    const server = await closed(t);
    const list = (options) => run(t, ["key", "ls", "--url", server.url], options);
    assert.match((await list({ env: { FRESHET_TOKEN: server.root } })).stdout, /\troot\t/);
    const none = await list();
    assert.equal(none.code, 1);
    assert.match(none.stderr, /401/);
});

/* ---- webhooks ---- */

for (const [what, method, target, body] of [
    ["deleted", "DELETE", (key) => `/keys/${key.id}`],
    ["revoked", "POST", () => "/revocations", (key) => ({ key: key.id })],
]) {
    test(`a webhook ends when the key that made it is ${what}, and stays so across kill -9`, async (t) => {
        const server = await closed(t, { data: true });
        const gone = await Receiver.start(t), stays = await Receiver.start(t);
        const key = await makeKey(server, "site", ["read", "publish", "webhooks"]);
        const hook = async ({ url }, secret) => (await ask(server, "POST", "/webhooks", { url, channels: ["chat/a"] }, secret)).body;
        const first = await hook(gone, key.key), second = await hook(stays, server.root);
        const state = async ({ id }) => (await ask(server, "GET", `/webhooks/${id}`)).body.state;
        await ask(server, "POST", "/channels/chat/a", 1);
        await gone.events(1);
        assert.ok((await ask(server, method, target(key), body?.(key))).status < 300);
        await eventually(async () => (await state(first)) === "disabled", "the webhook to end");
        await server.restart();
        await ask(server, "POST", "/channels/chat/a", 2);
        await stays.events(2);
        assert.equal(await state(first), "disabled");
        assert.equal(await state(second), "active");
        assert.equal((await ask(server, "POST", `/webhooks/${first.id}/resume`)).status, 403);
        assert.equal((await ask(server, "DELETE", `/webhooks/${first.id}`)).status, 204);
        assert.equal(gone.deliveries.length, 1);
    });
}

test("a webhook is sent elsewhere only by who may read its channels, and ends with them", async (t) => {
    const server = await closed(t);
    const receiver = await Receiver.start(t), other = await Receiver.start(t);
    const { id } = (await ask(server, "POST", "/webhooks", { url: receiver.url, channels: ["chat/a"] })).body;
    const patch = (key, change) => ask(server, "PATCH", `/webhooks/${id}`, change, key.key);
    const shown = async () => (await ask(server, "GET", `/webhooks/${id}`)).body;
    const blind = await makeKey(server, "blind", ["webhooks"]);
    for (const change of [{ url: other.url }, { channels: ["chat/b"] }, { url: other.url, description: "mine" }]) {
        assert.equal((await patch(blind, change)).status, 403, JSON.stringify(change));
    }
    assert.equal((await patch(blind, { description: "seen" })).status, 200);
    assert.equal((await shown()).url, receiver.url);
    const mover = await makeKey(server, "mover", ["webhooks", "read"]);
    for (const key of [blind, mover]) {
        assert.equal((await shown()).state, "active");
        assert.equal((await patch(mover, { url: other.url })).status, 200);
        await ask(server, "DELETE", `/keys/${key.id}`);
    }
    await eventually(async () => (await shown()).state === "disabled", "the webhook to end");
});

/* ---- the audit log ---- */

test("refusals are noted with their reason, and a flood of them is counted", async (t) => {
    const server = await closed(t);
    const key = await makeKey(server, "site", ["read"]);
    await ask(server, "POST", "/channels/chat/a", 1, key.key);
    await ask(server, "GET", "/channels/chat/a", undefined, null);
    await ask(server, "GET", "/channels/chat/a", undefined, key.key.replace(/.(?=.$)/, (digit) => (digit === "a" ? "b" : "a")));
    const events = async () => (await ask(server, "GET", "/channels/$audit?limit=1000")).body.events;
    const refused = await eventually(async () => {
        const all = (await events()).filter(({ type }) => type === "refused");
        assert.equal(all.length, 3);
        return all.map(({ data }) => data);
    });
    assert.deepEqual(refused.map(({ by, problem }) => [by, problem]),
        [["key", "forbidden"], ["anybody", "unauthorized"], ["anybody", "bad-credential"]]);
    assert.equal(refused[0].subject, "site");
    assert.equal(refused[0].key, key.id);
    assert.equal(refused[0].may, "publish");
    assert.equal(refused[0].channel, "chat/a");
    for (let i = 0; i < 300; i++) {
        await ask(server, "GET", "/channels/chat/a", undefined, null);
    }
    await ask(server, "DELETE", `/keys/${key.id}`);
    const all = await eventually(async () => {
        const found = await events();
        assert.ok(found.some(({ data }) => data.why === "key revoked"));
        return found;
    });
    assert.ok(all.length < 60, `${all.length} events`);
    assert.ok(all.reduce((sum, { data }) => sum + (data.left_out ?? 0), 0) > 200);
    assert.ok(!(server.err + JSON.stringify(all)).includes(key.key.split("_")[2]));
    assert.ok(!(server.err + JSON.stringify(all)).includes(server.root.split("_")[2]));
});

test("refused messages of WebSockets are noted, each once", async (t) => {
    const server = await closed(t);
    const key = await makeKey(server, "site", ["read"]);
    const headers = { Authorization: `Bearer ${key.key}` };
    const frames = await Socket.open(t, server, "/channels/chat/a", { headers });
    frames.send("hello");
    assert.equal((await frames.closed()).code, 4403);
    const messages = await Socket.open(t, server, "/events", { protocols: ["freshet.v1"], headers });
    messages.send(JSON.stringify({ op: "publish", channel: "chat/b", data: 1 }));
    await messages.next("the refusal");
    await eventually(async () => {
        const { body } = await ask(server, "GET", "/channels/$audit?limit=1000");
        const refused = body.events.filter(({ type }) => type === "refused").map(({ data }) => data);
        assert.deepEqual(refused.map(({ key: id, problem, may, channel }) => [id, problem, may, channel]),
            [[key.id, "forbidden", "publish", "chat/a"], [key.id, "forbidden", "publish", "chat/b"]]);
        return true;
    });
});

test("management with a key is noted", async (t) => {
    const server = await closed(t);
    await ask(server, "POST", "/channels/chat/a", 1);
    assert.equal((await ask(server, "DELETE", "/channels/chat/a")).status, 204);
    const hook = (await ask(server, "POST", "/webhooks", { url: "http://127.0.0.1:9/", channels: ["chat/a"] })).body;
    await ask(server, "POST", `/webhooks/${hook.id}/pause`);
    await ask(server, "GET", `/webhooks/${hook.id}`);
    await ask(server, "DELETE", `/webhooks/${hook.id}`);
    await ask(server, "DELETE", "/subscribers?subject=alice");
    await eventually(async () => {
        const { events } = (await ask(server, "GET", "/channels/$audit")).body;
        const done = events.filter(({ type }) => type === "managed").map(({ data }) => `${data.subject}: ${data.why}`);
        return done.join() === ["channel deleted", "webhook made", "webhook paused", "webhook deleted", "disconnected"]
            .map((why) => `root: ${why}`).join();
    }, "five entries");
});

test("management is noted although the client does not wait for the answer", async (t) => {
    const server = await closed(t);
    const request = (method, path, headers = {}) => http.request(`${server.url}${path}`, {
        method, agent: false, headers: { Authorization: `Bearer ${server.root}`, ...headers },
    });
    const connections = () => new Promise((resolve) => request("GET", "/stats").on("response", async (answer) => {
        resolve(JSON.parse(Buffer.concat(await answer.toArray())).connections);
    }).end());
    let pinged;
    const ping = new Promise((resolve) => (pinged = resolve));
    const receiver = http.createServer((_, response) => pinged(response));
    await new Promise((resolve) => receiver.listen(0, "127.0.0.1", resolve));
    t.after(() => receiver.closeAllConnections() ?? receiver.close());
    const making = request("POST", "/webhooks", { "Content-Type": "application/json" }).on("error", () => {});
    making.end(JSON.stringify({ url: `http://127.0.0.1:${receiver.address().port}/`, channels: ["chat/a"], verify: "ping" }));
    const response = await ping; /* the webhook is made when it is answered */
    making.socket.resetAndDestroy();
    await eventually(async () => await connections() === 1, "the client to be gone");
    response.end();
    await eventually(async () => (await ask(server, "GET", "/webhooks")).body.webhooks.length === 1, "the webhook");
    await eventually(async () => (await ask(server, "GET", "/channels/$audit")).body.events
        .some(({ data }) => data.why === "webhook made"), "its entry");
});

test("the audit log is for admins alone", async (t) => {
    const server = await closed(t);
    const { body: key } = await ask(server, "POST", "/keys", { name: "all", grants: [{ channels: ["**"], may: ["read", "publish"] }] });
    assert.equal((await ask(server, "GET", "/channels/$audit", undefined, key.key)).status, 403);
    assert.equal((await ask(server, "POST", "/channels/$audit", 1)).status, 403);
    assert.equal((await ask(server, "GET", "/channels/$audit")).status, 200);
});
