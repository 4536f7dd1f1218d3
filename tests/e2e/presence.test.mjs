// Who is there: members by every mechanism, over their graces, as events that every mechanism and webhook gets, and across
// restarts.

import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import fs from "node:fs";
import http from "node:http";
import path from "node:path";
import { assertProblem, eventually, startServer, sideBySide } from "./support/index.mjs";
import { Receiver } from "./support/receiver.mjs";
import { Socket } from "./support/ws.mjs";

const { test } = sideBySide(8);

/** A key's text, as a file names it by env:NAME. */
function newKey() {
    const alphabet = "abcdefghijklmnopqrstuvwxyz234567";
    const letters = (n) => [...randomBytes(n)].map((byte) => alphabet[byte % 32]).join("");
    return `fk_${letters(10)}_${letters(52)}`;
}

const NAMES = ["root", "alice", "bob", "reader", "caller"];
const KEYS = Object.fromEntries(NAMES.map((name) => [name, newKey()]));
const ENV = Object.fromEntries(NAMES.map((name) => [`KEY_${name}`, KEYS[name]]));
const GRANTS = {
    root: `{channels: ["**", "$presence/**"], may: [read, publish, presence, webhooks, admin]}`,
    alice: `{channels: ["chat/**"], may: [read, publish, presence]}`,
    bob: `{channels: ["chat/**"], may: [read, presence]}`,
    reader: `{channels: ["**", "$presence/**"], may: [read]}`,
    caller: `{channels: ["**"], may: [read, webhooks]}`,
};
const GRACE_MS = 500;
const POLLER_LEAVES_MS = 180_000; /* six times the grace of pollers */

function configOf(namespace = `presence: true, presence_grace_ms: ${GRACE_MS}`) {
    const keys = NAMES.map((name) => `  - {name: ${name}, key: "env:KEY_${name}", grants: [${GRANTS[name]}]}\n`).join("");
    return `access: {anybody: []}\nwebhooks: {allow: ["127.0.0.1"]}\nnamespaces:\n  - {prefix: chat, ${namespace}, access: {anybody: [read]}}\n` +
        `keys:\n${keys}`;
}

const start = (t, options = {}) => startServer(t, { config: configOf(), env: ENV, ...options });
const bearer = (name) => (name ? { Authorization: `Bearer ${KEYS[name]}` } : {});

/** Opens a stream and reads its lines until it is closed. */
async function open(t, server, target, name) {
    const request = http.get(server.url + target, { headers: bearer(name), agent: false });
    const close = () => request.destroy();
    t.after(close);
    server.onStop(close);
    const answer = await new Promise((resolve, reject) => request.once("response", resolve).on("error", reject));
    assert.equal(answer.statusCode, 200, target);
    const lines = [];
    const done = (async () => {
        let rest = "";
        for await (const piece of answer.setEncoding("utf8")) {
            rest += piece;
            const parts = rest.split("\n");
            rest = parts.pop();
            lines.push(...parts);
        }
    })().catch(() => {});
    return { lines, done, close };
}

/** Follows what presence tells; each event as "channel type member". */
async function follow(t, server, target = "/events?channel=$presence/**&channel=$occupied/**&stream=ndjson") {
    const stream = await open(t, server, target, "root");
    const events = () => stream.lines.filter(Boolean).map((line) => JSON.parse(line)).filter((event) => event.channel);
    const words = () => events().map(({ channel, type, data }) => `${channel} ${type} ${data.member ?? data.anonymous ?? data.channel}`);
    return { events, words, until: (wanted) => eventually(() => words().includes(wanted) && words(), wanted) };
}

async function statsOf(server) {
    return (await (await fetch(`${server.url}/stats`, { headers: bearer("root") })).json()).presence;
}

const until = (server, what, members) => eventually(async () => (await statsOf(server)).members === members, `${members} members: ${what}`);

/** Waits until a member of chat/x has so many connections: none while it is away for its grace. */
const connectionsOf = (server, name, count) => eventually(async () => {
    const { members } = await (await fetch(`${server.url}/presence/chat/x`, { headers: bearer("root") })).json();
    return members.find(({ member }) => member === name)?.connections === count;
}, `${name} to have ${count} connections`);

const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

const freshet = async (t, server, name) => Socket.open(t, server, "/events", { protocols: ["freshet.v1", `freshet.token.${KEYS[name]}`] });

/** A way to subscribe to a channel; resolves to what ends it. */
const mechanisms = {
    sse: async (t, server, name) => (await open(t, server, "/channels/chat/x?stream=sse", name)).close,
    ndjson: async (t, server, name) => (await open(t, server, "/channels/chat/x?stream=ndjson", name)).close,
    raw: async (t, server, name) => (await open(t, server, "/channels/chat/x?stream=raw", name)).close,
    events: async (t, server, name) => (await open(t, server, "/events?channel=chat/x&channel=other&stream=sse", name === "alice" ? "root" : name)).close,
    websocket: async (t, server, name) => {
        const socket = await Socket.open(t, server, "/channels/chat/x", { headers: bearer(name) });
        return () => socket.ws.terminate();
    },
    "freshet.v1": async (t, server, name) => {
        const socket = await freshet(t, server, name);
        socket.ws.send(JSON.stringify({ op: "subscribe", channels: ["chat/x"] }));
        return () => socket.ws.send(JSON.stringify({ op: "unsubscribe", channels: ["chat/x"] }));
    },
};

for (const [mechanism, subscribe] of Object.entries(mechanisms)) {
    test(`a subscriber by ${mechanism} joins, and leaves after its grace`, async (t) => {
        const server = await start(t);
        const told = await follow(t, server);
        const end = await subscribe(t, server, "alice");
        const who = mechanism === "events" ? "root" : "alice";
        await told.until(`$presence/chat/x joined ${who}`);
        assert.deepEqual(told.words(), ["$occupied/chat/x occupied chat/x", `$presence/chat/x joined ${who}`]);
        const since = Date.now();
        end();
        await told.until(`$presence/chat/x left ${who}`);
        assert.ok(Date.now() - since >= GRACE_MS - 50, `${Date.now() - since} ms`);
        await told.until("$occupied/chat/x vacated chat/x");
        const [{ data }] = told.events().filter(({ type }) => type === "joined");
        assert.deepEqual(data, { member: who, verified: true });
        assert.deepEqual(await statsOf(server), { members: 0, anonymous: 0, channels: 0, marks: 0, joins: 1, leaves: 1, refused: 0, marks_refused: 0,
            address_refused: 0, subject_refused: 0, events_lost: 0 });
    });
}

test("three devices are one member, whichever way they come", async (t) => {
    const server = await start(t);
    const told = await follow(t, server);
    const ends = await Promise.all(["sse", "websocket", "freshet.v1"].map((name) => mechanisms[name](t, server, "alice")));
    const bob = await mechanisms.sse(t, server, "bob");
    await until(server, "alice and bob", 2);
    await connectionsOf(server, "alice", 3);
    ends.slice(0, 2).forEach((end) => end());
    await connectionsOf(server, "alice", 1);
    bob();
    await told.until("$presence/chat/x left bob"); /* so late would alice have left */
    assert.equal((await statsOf(server)).members, 1);
    assert.equal(told.words().filter((word) => word.includes("alice")).length, 1);
    ends[2]();
    await told.until("$presence/chat/x left alice");
});

test("a reconnect within the grace is not told", async (t) => {
    const server = await start(t, { config: configOf("presence: true, presence_grace_ms: 5m") });
    const told = await follow(t, server);
    for (let i = 0; i < 4; i++) {
        const end = await mechanisms.sse(t, server, "alice");
        await told.until("$presence/chat/x joined alice");
        await connectionsOf(server, "alice", 1);
        end();
        await connectionsOf(server, "alice", 0);
    }
    await mechanisms.sse(t, server, "bob");
    const words = await told.until("$presence/chat/x joined bob");
    assert.deepEqual(words, ["$occupied/chat/x occupied chat/x", "$presence/chat/x joined alice", "$presence/chat/x joined bob"]);
});

test("a poller is a member between its polls, and a page of history is none", async (t) => {
    const server = await start(t);
    const told = await follow(t, server);
    assert.equal((await fetch(`${server.url}/channels/chat/x`, { headers: bearer("bob") })).status, 200);
    for (let i = 0; i < 3; i++) {
        const answer = await fetch(`${server.url}/channels/chat/x?after=now&wait=1`, { headers: bearer("alice") });
        assert.equal(answer.status, 200);
        await pause(GRACE_MS + 200);
        assert.equal((await statsOf(server)).members, 1);
    }
    assert.deepEqual(told.words(), ["$occupied/chat/x occupied chat/x", "$presence/chat/x joined alice"]);
});

test("subscribers without a name are counted, and by pattern not even that", async (t) => {
    const server = await start(t);
    const told = await follow(t, server);
    await open(t, server, "/events?channel=chat/*&stream=sse");
    await open(t, server, "/channels/chat/x?stream=sse");
    await open(t, server, "/channels/chat/x?stream=sse");
    await told.until("$presence/chat/x count 2");
    assert.deepEqual((({ members, anonymous, channels }) => ({ members, anonymous, channels }))(await statsOf(server)), { members: 0, anonymous: 2, channels: 1 });
});

test("a webhook hears that the first has come and the last has gone", async (t) => {
    const server = await start(t);
    const receiver = await Receiver.start(t);
    const body = JSON.stringify({ url: receiver.url, channels: ["$occupied/chat/**"] });
    const post = (name) => fetch(`${server.url}/webhooks`, { method: "POST", headers: bearer(name), body });
    assert.equal((await post("bob")).status, 403);
    assert.equal((await post("root")).status, 201);
    const ends = [await mechanisms.sse(t, server, "alice"), await mechanisms.ndjson(t, server, "bob")];
    await receiver.until(() => receiver.deliveries.length === 1, "occupied");
    ends.forEach((end) => end());
    await receiver.until(() => receiver.deliveries.length === 2, "vacated");
    const told = receiver.deliveries.map(({ body: { channel, type, data } }) => [channel, type, data.channel]);
    assert.deepEqual(told, [["$occupied/chat/x", "occupied", "chat/x"], ["$occupied/chat/x", "vacated", "chat/x"]]);
});

test("to read who is there takes presence on the channel itself, and nobody publishes it", async (t) => {
    const server = await start(t);
    const status = async (target, name) => (await fetch(server.url + target, { headers: bearer(name) })).status;
    const targets = ["/channels/$presence/chat/x", "/channels/$occupied/chat/x", "/events?channel=$presence/chat/**", "/events?channel=$occupied/chat/*"];
    for (const target of targets) {
        assert.equal(await status(target, "bob"), 200, target);
        assert.equal(await status(target, "root"), 200, target);
        assert.equal(await status(target, "reader"), 403, target);
        assert.equal(await status(target), 401, target);
    }
    assert.equal(await status("/events?channel=$presence/**", "bob"), 403);
    assert.equal(await status("/channels/$presence/other", "bob"), 403);
    const socket = await freshet(t, server, "reader");
    socket.ws.send(JSON.stringify({ op: "subscribe", channels: ["$presence/chat/x"], ref: 1 }));
    assert.equal((await socket.notBeat()).op, "error");
    const refused = await server.post("$presence/chat/x", "1", bearer("root"));
    assertProblem(refused, 403);
});

test("members of before a crash leave if they do not come back, and all others stay and are not told again", async (t) => {
    const server = await start(t, { data: true });
    const told = await follow(t, server);
    await mechanisms.sse(t, server, "alice");
    await mechanisms.sse(t, server, "bob");
    await told.until("$presence/chat/x joined bob");
    await server.kill();
    await server.restart();
    assert.equal((await statsOf(server)).members, 2);
    await mechanisms.sse(t, server, "alice");
    const again = await follow(t, server, "/events?channel=$presence/**&channel=$occupied/**&stream=ndjson&after=earliest");
    await eventually(async () => (await statsOf(server)).members === 1, "bob to leave", POLLER_LEAVES_MS);
    await again.until("$presence/chat/x left bob");
    assert.deepEqual(again.words().filter((word) => !word.includes(" count ")), [
        "$occupied/chat/x occupied chat/x", "$presence/chat/x joined alice", "$presence/chat/x joined bob", "$presence/chat/x left bob",
    ]);
});

test("a member who came back after a crash and goes again leaves, and the channel is vacated", async (t) => {
    const server = await start(t, { data: true });
    const told = await follow(t, server);
    await mechanisms.sse(t, server, "alice");
    await told.until("$presence/chat/x joined alice");
    await server.kill();
    await server.restart();
    const end = await mechanisms.sse(t, server, "alice");
    await connectionsOf(server, "alice", 1);
    const again = await follow(t, server, "/events?channel=$presence/**&channel=$occupied/**&stream=ndjson&after=earliest");
    end();
    /* She might be a poller: nobody knows that after a restart. */
    await eventually(() => again.words().includes("$occupied/chat/x vacated chat/x"), "vacated", POLLER_LEAVES_MS);
    assert.deepEqual(again.words().filter((word) => !word.includes(" count ")), [
        "$occupied/chat/x occupied chat/x", "$presence/chat/x joined alice", "$presence/chat/x left alice", "$occupied/chat/x vacated chat/x",
    ]);
});

test("a server that drains does not tell its members as gone", async (t) => {
    const server = await start(t, { data: true });
    const told = await follow(t, server);
    await mechanisms.sse(t, server, "alice");
    await told.until("$presence/chat/x joined alice");
    await server.terminate();
    await server.restart();
    await mechanisms.sse(t, server, "alice");
    await until(server, "alice", 1);
    const again = await follow(t, server, "/events?channel=$presence/**&channel=$occupied/**&stream=ndjson&after=earliest");
    await again.until("$presence/chat/x joined alice");
    assert.deepEqual(again.words(), ["$occupied/chat/x occupied chat/x", "$presence/chat/x joined alice"]);
});

test("a reload turns presence on and off for those who are there", async (t) => {
    const server = await start(t, { config: configOf("presence: false") });
    const reload = async (text) => {
        const before = server.err.length;
        fs.writeFileSync(path.join(server.dir, "freshet.yaml"), text);
        server.signal("SIGHUP");
        await eventually(() => server.err.slice(before).includes("event=reloaded"), "the reload");
    };
    const told = await follow(t, server);
    await mechanisms.sse(t, server, "alice");
    await mechanisms.websocket(t, server, "bob");
    await mechanisms["freshet.v1"](t, server, "bob");
    await reload(configOf());
    await told.until("$presence/chat/x joined alice");
    await told.until("$presence/chat/x joined bob");
    await reload(configOf("presence: false"));
    await told.until("$presence/chat/x left alice");
    await told.until("$occupied/chat/x vacated chat/x");
    await reload(configOf());
    await eventually(() => told.words().filter((word) => word.endsWith("joined alice")).length === 2, "alice again");
});

test("a reload that turns presence on is told at once, though nothing else happens on the server", async (t) => {
    const server = await startServer(t, { config: configOf("presence: false"), env: ENV, args: ["--threads", "1"] });
    const receiver = await Receiver.start(t);
    const body = JSON.stringify({ url: receiver.url, channels: ["$occupied/**"] });
    assert.equal((await fetch(`${server.url}/webhooks`, { method: "POST", headers: bearer("root"), body })).status, 201);
    await open(t, server, "/channels/chat/x?stream=sse&beat=60", "alice");
    fs.writeFileSync(path.join(server.dir, "freshet.yaml"), configOf());
    server.signal("SIGHUP");
    /* The courier has a thread of its own: nothing wakes the worker but what it told itself to do. Its next beat comes after 60 s. */
    await receiver.events(1, 40_000);
});

test("a webhook on presence takes the right to presence, and the refusal says so", async (t) => {
    const server = await start(t);
    const refused = await server.request("POST", "/webhooks", { headers: bearer("caller"),
        body: JSON.stringify({ url: "http://127.0.0.1:9/", channels: ["$presence/chat/**"] }) });
    assert.equal(refused.status, 403, refused.text);
    assert.deepEqual([refused.json().may, refused.json().channel], ["presence", "chat/**"]);
});
