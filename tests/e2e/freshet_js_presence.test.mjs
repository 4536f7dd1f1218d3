// client.presence() of clients/js/freshet.js in Node: the list that it keeps is the server's, across lost connections and restarts.

import assert from "node:assert/strict";
import * as jose from "jose";
import WebSocket from "ws";
import { connect, FreshetError } from "../../clients/js/freshet.js";
import { presence } from "../../clients/js/freshet-presence.js";
import { freePort } from "./support/program.mjs";
import { beforeServersStop } from "./support/server.mjs";
import { eventually, startServer, sideBySide } from "./support/index.mjs";

const { test } = sideBySide(6);

const ON = "namespaces: [{prefix: chat, presence: true, presence_grace_ms: 500}]\n";

function client(t, url, options = {}) {
    const it = connect(url, { WebSocket, ...options });
    const end = () => it.close();
    beforeServersStop(t, end);
    t.after(end);
    return it;
}

const names = (room) => [...room.members().values()].map(({ member }) => member).sort().join();

/** Handlers that note what they are told. */
function notes() {
    const got = [];
    const note = (kind) => (member) => got.push(`${kind} ${member.member ?? JSON.stringify(member)}`);
    return { got, handlers: Object.fromEntries(["joined", "left", "updated", "read", "count"].map((kind) => [kind, note(kind)])) };
}

for (const mechanism of ["ws", "sse", "poll"]) {
    test(`by ${mechanism} members come, say something, read, and go`, async (t) => {
        const server = await startServer(t, { config: ON });
        const alice = client(t, server.url, { as: "alice", mechanisms: [mechanism] });
        alice.subscribe("chat/a b", () => {});
        const { got, handlers } = notes();
        let changes = 0;
        const room = await alice.presence("chat/a b", { ...handlers, change: () => changes++ });
        await eventually(() => names(room) === "alice", "alice");
        const bob = client(t, server.url, { as: "bob", mechanisms: [mechanism] });
        bob.subscribe("chat/a b", () => {});
        const his = await bob.presence("chat/a b");
        const me = await his.set({ mood: "fine" });
        assert.deepEqual([me.member, me.verified, me.state], ["bob", false, { mood: "fine" }]);
        assert.equal(his.me, me);
        await eventually(() => names(room) === "alice,bob" && names(his) === "alice,bob", "both");
        const bobs = () => [...room.members().values()].find(({ member }) => member === "bob");
        await eventually(() => bobs().state?.mood === "fine", "his state");
        const { id } = await bob.publish("chat/a b", "hello");
        assert.equal((await his.read(id)).read, id);
        await eventually(() => bobs().read === id, "his mark");
        await eventually(() => room.count === 2 && bobs().state.mood === "fine", "his state beside it");
        await his.set(null);
        await eventually(() => bobs().state == null, "no state");
        bob.close();
        await eventually(() => names(room) === "alice", "bob to go", 180_000);
        for (const wanted of ["joined bob", "updated bob", "read bob", "left bob"]) {
            assert.ok(got.includes(wanted), wanted);
        }
        assert.ok(changes >= 5);
        room.close();
        const seen = changes;
        client(t, server.url, { as: "carol" }).subscribe("chat/a b", () => {});
        await eventually(async () => (await server.get("/presence/chat/a%20b")).json().count === 2, "carol");
        assert.equal(changes, seen);
    });
}

test("a state is said again after the server has lost it, and the list is right again", async (t) => {
    const port = await freePort();
    const server = await startServer(t, { config: ON, data: true, listen: `127.0.0.1:${port}` });
    const alice = client(t, server.url, { as: "alice" });
    alice.subscribe("chat/a", () => {});
    const room = await alice.presence("chat/a");
    await room.set("here");
    await server.kill();
    await server.start();
    await eventually(async () => (await server.get("/presence/chat/a")).json().members[0]?.state === "here", "the state");
    await eventually(() => room.members().size === 1 && [...room.members().values()][0].state === "here", "the list");
});

test("of two tabs of one person there is one member, and names of different kinds are two", async (t) => {
    const secret = "correct horse battery staple and more";
    const server = await startServer(t, { config: `access: {anybody: [read, presence]}\ntokens: [{secret: "${secret}"}]\n${ON}` });
    const token = () => new jose.SignJWT({}).setProtectedHeader({ alg: "HS256" }).setSubject("alice").setExpirationTime("1h")
        .sign(new TextEncoder().encode(secret));
    for (const options of [{ token }, { token }, { as: "alice" }]) {
        client(t, server.url, options).subscribe("chat/a", () => {});
    }
    const room = await client(t, server.url).presence("chat/a");
    await eventually(() => room.members().size === 2 && room.count === 2, "two");
    assert.deepEqual([...room.members().values()].map(({ member, verified }) => `${member} ${verified}`).sort(), ["alice false", "alice true"]);
});

test("more members than a page has are all in the list", async (t) => {
    const server = await startServer(t, { config: ON });
    const many = client(t, server.url);
    const real = many.json.bind(many);
    many.json = (path, parameters, options) => real(path, parameters?.limit === 1000 && path.startsWith("/presence") ? { ...parameters, limit: 3 } : parameters, options);
    for (let n = 0; n < 10; n++) {
        await server.ndjson(`/channels/chat/a?as=n${n}`);
    }
    await eventually(async () => (await server.get("/presence/chat/a")).json().count === 10, "all");
    assert.equal((await many.presence("chat/a")).members().size, 10);
});

test("members who are too many to be told singly are counted, and listed anew when they are fewer", async (t) => {
    const server = await startServer(t, { config: "namespaces: [{prefix: chat, presence: true, presence_grace_ms: 100, presence_list_max: 3}]\n" });
    const { got, handlers } = notes();
    const room = await client(t, server.url).presence("chat/a", handlers);
    const streams = [];
    for (let n = 0; n < 6; n++) {
        streams.push(await server.ndjson(`/channels/chat/a?as=n${n}`));
    }
    await eventually(() => room.count === 6, "the count");
    assert.ok(got.some((note) => note.includes('"listed":false')));
    streams.slice(2).forEach((stream) => stream.close());
    await eventually(() => room.count === 2 && names(room) === "n0,n1", "the list");
});

test("the list is read anew when the server says that it has lost events", async (t) => {
    const server = await startServer(t, { config: `limits: {channels_max: 2}\n${ON}` });
    await server.publish("x/1", "1");
    await server.publish("x/2", "2");
    const room = await client(t, server.url).presence("chat/a");
    await server.ndjson("/channels/chat/a?as=alice");
    await eventually(async () => (await server.get("/presence/chat/a")).json().count === 1, "alice");
    assert.equal(room.members().size, 0, "the log has no channel left for her event");
    await server.request("DELETE", "/channels/x/1");
    await server.request("DELETE", "/channels/x/2");
    await eventually(() => names(room) === "alice" && room.count === 1, "the list");
});

test("a mark over the share of an address is refused, and not tried again and again", async (t) => {
    const server = await startServer(t, { config: `limits: {presence_marks_max: 1000, presence_address_percent: 1}\n${ON}` });
    const { id } = (await server.publish("chat/a", "1"));
    for (let n = 0; n < 10; n++) {
        await server.request("PUT", `/presence/chat/a/me?as=m${n}`, { body: JSON.stringify({ read: id }) });
    }
    const room = await client(t, server.url, { as: "alice" }).presence("chat/a");
    await assert.rejects(room.read(id), (error) => error.status === 429 && /presence-share$/.test(error.problem.type));
});

test("refusals reach the caller: a state without a subscription, a namespace without presence", async (t) => {
    const server = await startServer(t, { config: ON });
    const freshet = client(t, server.url, { as: "alice" });
    await assert.rejects(freshet.presence("other"), (error) => error instanceof FreshetError && error.status === 404);
    const room = await freshet.presence("chat/a");
    freshet.subscribe("chat/*", () => {});
    await assert.rejects(room.set(1), { status: 409 });
    await assert.rejects(room.read("x"), { status: 400 });
});

/** A `fetch` that holds reads of /events back until `most` changes of a member were refused, and counts these. */
function gate(most) {
    const it = { refused: 0 };
    const open = new Promise((resolve) => (it.open = resolve));
    it.fetch = async (url, options) => {
        if (url.pathname === "/events") {
            await open;
        }
        const response = await fetch(url, options);
        it.refused += response.status === 409;
        if (it.refused >= most) {
            it.open();
        }
        return response;
    };
    return it;
}

test("a state waits for the subscription, however long that takes", async (t) => {
    const server = await startServer(t, { config: ON });
    const held = gate(8);
    const freshet = client(t, server.url, { as: "alice", mechanisms: ["sse"], fetch: held.fetch });
    freshet.subscribe("chat/a", () => {});
    const room = await freshet.presence("chat/a");
    assert.equal((await room.set("here")).state, "here");
    assert.ok(held.refused >= 8, `${held.refused}`);
});

test("a state that waits for a subscription which is closed is refused, and so is one without any, at once", async (t) => {
    const server = await startServer(t, { config: ON });
    const held = gate(Infinity);
    const freshet = client(t, server.url, { as: "alice", mechanisms: ["sse"], fetch: held.fetch });
    const subscription = freshet.subscribe("chat/a", () => {});
    const room = await freshet.presence("chat/a");
    const waiting = assert.rejects(room.set(1), { status: 409 });
    await eventually(() => held.refused, "a refusal");
    subscription.close();
    await waiting;
    const before = held.refused;
    await assert.rejects(room.set(2), { status: 409 });
    assert.equal(held.refused, before + 1);
});

/** A client of a server that is not there: its list is `answer`, and `tell` is an event of its. */
function alone(answer) {
    const said = [];
    let handlers;
    const one = {
        options: { as: "alice" },
        insist: (ask) => ask(),
        json: async (path, parameters, { method, body } = {}) => {
            if (method !== "PUT") {
                return structuredClone(answer);
            }
            said.push(JSON.parse(body));
            return { member: "alice", verified: false, ...said.at(-1) };
        },
        subscribe: (channel, given) => {
            handlers = given;
            return { close() {} };
        },
    };
    const tell = (type, data) => handlers.event({ type, time: "2026-11-30T08:00:00Z", data });
    return { one, said, tell };
}

const member = (name, more) => ({ member: name, verified: false, ...more });

test("a state is said again when the list that is read anew lacks it", async () => {
    const answer = { count: 1, anonymous: 0, members: [member("alice", { state: 1 })], more: false, cursor: "1" };
    const { one, said, tell } = alone(answer);
    const room = await presence(one, "chat/a");
    await room.set(1);
    tell("reset", { count: 1, anonymous: 0, listed: true });
    await eventually(() => room.members().size === 1, "the list");
    assert.deepEqual(said, [{ state: 1 }]);
    delete answer.members[0].state;
    tell("reset", { count: 1, anonymous: 0, listed: true });
    await eventually(() => said.length === 2, "the state to be said again");
    assert.deepEqual(said[1], { state: 1 });
});

test("of a list that is too long to be read whole the count goes on", async () => {
    const { one, tell } = alone({ count: 20_000, anonymous: 0, members: [member("alice")], more: true, cursor: "1" });
    const left = [];
    const room = await presence(one, "chat/a", { left: ({ member }) => left.push(member) });
    tell("read", member("alice", { read: "2" }));
    assert.equal(room.count, 20_000);
    tell("joined", member("bob"));
    assert.equal(room.count, 20_001);
    tell("left", member("zoe"));
    tell("left", member("bob"));
    assert.equal(room.count, 19_999);
    assert.deepEqual(left, ["zoe", "bob"]);
});

test("a read mark of the list is not moved back by an event that was on its way", async () => {
    const { one, tell } = alone({ count: 1, anonymous: 0, members: [member("alice", { read: "8" })], more: false, cursor: "1" });
    const told = [];
    const room = await presence(one, "chat/a", { read: ({ read }) => told.push(read) });
    tell("read", member("alice", { read: "5" }));
    assert.equal(room.members().get("?/alice").read, "8");
    tell("read", member("alice", { read: "9" }));
    assert.deepEqual([room.members().get("?/alice").read, told], ["9", ["9"]]);
});

for (const [what, close] of [["a room", (room) => room.close()], ["the client of a room", (_, one) => (one.closed = true)]]) {
    test(`${what} that is closed while the list is read anew calls no handler any more`, async () => {
        const { one, tell } = alone({ count: 0, anonymous: 0, members: [], more: false, cursor: "1" });
        const told = [];
        const note = (kind) => () => told.push(kind);
        const room = await presence(one, "chat/a", { error: note("error"), count: note("count") });
        const refused = new Promise((resolve) => {
            one.json = () => new Promise((_, reject) => setImmediate(() => (reject(new Error("closed")), setImmediate(resolve))));
        });
        told.length = 0;
        tell("reset", { count: 1, anonymous: 0, listed: true });
        close(room, one);
        await refused;
        assert.deepEqual(told, []);
    });
}

test("a channel whose name would lead to the list of another is refused", async (t) => {
    const server = await startServer(t, { config: ON });
    await assert.rejects(client(t, server.url).presence("chat/a/../b"), { status: 400 });
});

test("a publish leaves out the connection that it names", async (t) => {
    const server = await startServer(t);
    const one = client(t, server.url), two = client(t, server.url);
    const got = { one: [], two: [] };
    let live = 0;
    one.subscribe("a", { event: ({ data }) => got.one.push(data), live: () => live++ });
    two.subscribe("a", { event: ({ data }) => got.two.push(data), live: () => live++ });
    await eventually(() => live === 2 && one.connection && two.connection, "both to be live");
    await one.publish("a", "mine", { except: one.connection });
    await one.publish("a", "ours");
    await eventually(() => got.two.length === 2 && got.one.length === 1, "the events");
    assert.deepEqual(got, { one: ["ours"], two: ["mine", "ours"] });
});
