// Webhooks: an endpoint is registered, pinged, and then owed every event from its cursor on, in order,
// signed by Standard Webhooks, until it has them.

import assert from "node:assert/strict";
import { randomInt } from "node:crypto";
import net from "node:net";
import { Webhook } from "standardwebhooks";
import { assertProblem, deadline, eventually, publish, publishMany, startServer, sideBySide } from "./support/index.mjs";
import { freePort } from "./support/program.mjs";
import { assertSigned, Receiver } from "./support/receiver.mjs";

const { bothStores, test } = sideBySide(8);

/* How long a first retry may take: after 5 s give or take, the receiver's own delays aside. */
const RETRY_MS = 60_000;

/** Registers an endpoint and must succeed: answers what came back, secret included. */
async function register(server, url, channels, more = {}) {
    const answer = await server.request("POST", "/webhooks", { body: { url, channels, ...more } });
    assert.equal(answer.status, 201, answer.text);
    return answer.json();
}

/** The endpoint as the server tells it now. */
async function endpoint(server, id) {
    const answer = await server.get(`/webhooks/${id}`);
    assert.equal(answer.status, 200, answer.text);
    return answer.json();
}

/** How many events are still owed. */
function lagOf(told) {
    return typeof told.lag === "object" && told.lag !== null ? told.lag.events : told.lag;
}

function isDisabled(told) {
    return told.state === "disabled" || told.status === "disabled" || told.enabled === false || told.disabled === true;
}

function idsOf(events) {
    return events.map((event) => event.id);
}

/** The events of each channel, in the order in which they stand. */
function byChannel(events) {
    const channels = {};
    for (const event of events) {
        (channels[event.channel] ??= []).push(event);
    }
    return channels;
}

/* ---- registering ---- */

bothStores("registering answers 201 with an id and a secret, which is never shown again", async (t, server) => {
    const receiver = await Receiver.start(t);
    const answer = await server.request("POST", "/webhooks",
        { body: { url: receiver.url, channels: ["a/**"], types: ["t"], description: "for the books" } });
    assert.equal(answer.status, 201, answer.text);
    assert.match(answer.headers["content-type"], /^application\/json\b/);
    assert.match(answer.headers["cache-control"], /\bno-store\b/);
    const made = answer.json();
    assert.equal(typeof made.id, "string");
    assert.match(made.id, /^[A-Za-z0-9._~-]+$/);
    assert.equal(made.url, receiver.url);
    assert.deepEqual(made.channels, ["a/**"]);
    assert.match(made.secret, /^whsec_[A-Za-z0-9+/]+=*$/);
    const key = Buffer.from(made.secret.slice("whsec_".length), "base64");
    assert.ok(key.length >= 24 && key.length <= 64, `a key of ${key.length} bytes`);

    for (const path of ["/webhooks", `/webhooks/${made.id}`]) {
        const told = await server.get(path);
        assert.equal(told.status, 200);
        assert.ok(told.text.includes(made.id), `${path} does not tell ${made.id}`);
        assert.ok(told.text.includes("for the books"));
        assert.ok(!told.text.includes("whsec_"), `${path} shows a secret`);
        assert.ok(!told.text.includes(made.secret.slice(6)), `${path} shows a secret`);
    }
    const told = await endpoint(server, made.id);
    assert.equal(told.url, receiver.url);
    assert.deepEqual(told.channels, ["a/**"]);
    assert.deepEqual(told.types, ["t"]);
    assert.ok(!server.log().includes(made.secret), "the secret stands in the log");
});

test("every endpoint has an id and a secret of its own", async (t) => {
    const server = await startServer(t);
    const receiver = await Receiver.start(t);
    const made = [];
    for (let n = 0; n < 10; n++) {
        made.push(await register(server, receiver.url, ["a"]));
    }
    assert.equal(new Set(made.map(({ id }) => id)).size, 10);
    assert.equal(new Set(made.map(({ secret }) => secret)).size, 10);
});

test("a registration that cannot be kept is refused with a problem that says what is wrong", async (t) => {
    const server = await startServer(t);
    const url = "http://127.0.0.1:9/hook";
    for (const body of [
        "{", "[]", "null", '"x"', "{}", JSON.stringify({ url }), JSON.stringify({ channels: ["a"] }),
        JSON.stringify({ url: 7, channels: ["a"] }), JSON.stringify({ url: "", channels: ["a"] }),
        JSON.stringify({ url: "/hook", channels: ["a"] }), JSON.stringify({ url: "ftp://127.0.0.1/", channels: ["a"] }),
        JSON.stringify({ url: "file:///etc/passwd", channels: ["a"] }), JSON.stringify({ url: "javascript:alert(1)", channels: ["a"] }),
        JSON.stringify({ url: "http://", channels: ["a"] }), JSON.stringify({ url: "http://127.0.0.1:99999/", channels: ["a"] }),
        JSON.stringify({ url: "http://127.0.0.1/\r\nX-Evil: 1", channels: ["a"] }),
        JSON.stringify({ url, channels: [] }), JSON.stringify({ url, channels: "a" }), JSON.stringify({ url, channels: [1] }),
        JSON.stringify({ url, channels: ["a//b"] }), JSON.stringify({ url, channels: ["a*"] }), JSON.stringify({ url, channels: [""] }),
        JSON.stringify({ url, channels: Array.from({ length: 101 }, (_, n) => `c${n}`) }),
        JSON.stringify({ url, channels: ["a"], types: ["a b"] }), JSON.stringify({ url, channels: ["a"], types: "t" }),
        JSON.stringify({ url, channels: ["a"], after: "yesterday" }),
    ]) {
        const answer = await server.request("POST", "/webhooks", { body, headers: { "Content-Type": "application/json" } });
        assertProblem(answer, [400, 422]);
    }
    const { text } = await server.get("/webhooks");
    assert.ok(!text.includes("127.0.0.1:9"), "a refused endpoint is listed");
});

test("an endpoint that is not there is 404, and one that was deleted is not there", async (t) => {
    const server = await startServer(t);
    const receiver = await Receiver.start(t);
    assertProblem(await server.get("/webhooks/nobody"), 404);
    assertProblem(await server.request("DELETE", "/webhooks/nobody"), 404);
    const { id } = await register(server, receiver.url, ["a"]);
    const gone = await server.request("DELETE", `/webhooks/${id}`);
    assert.ok([200, 204].includes(gone.status), `deleting was answered ${gone.status}`);
    assertProblem(await server.get(`/webhooks/${id}`), 404);
    assert.ok(!(await server.get("/webhooks")).text.includes(id));
});

test("a deleted endpoint gets no more, the others do", async (t) => {
    const server = await startServer(t);
    const deleted = await Receiver.start(t);
    const kept = await Receiver.start(t);
    const { id } = await register(server, deleted.url, ["a"]);
    await register(server, kept.url, ["a"]);
    await publish(server, "a", "both");
    await Promise.all([deleted.events(1), kept.events(1)]);
    await server.request("DELETE", `/webhooks/${id}`);
    await publishMany(server, "a", 20);
    await kept.events(21);
    assert.equal(deleted.deliveries.length, 1);
});

/* ---- the ping ---- */

test("a new endpoint is pinged, signed with the secret that was shown", async (t) => {
    const server = await startServer(t);
    const receiver = await Receiver.start(t);
    const { secret } = await register(server, receiver.url, ["a"]);
    await receiver.until(() => receiver.pings.length > 0, "a ping");
    const [ping] = receiver.pings;
    assert.equal(ping.method, "POST");
    assert.equal(ping.path, "/hook");
    assertSigned(ping, secret);
});

test("a ping can be asked for", async (t) => {
    const server = await startServer(t);
    const receiver = await Receiver.start(t);
    const { id, secret } = await register(server, receiver.url, ["a"]);
    await receiver.until(() => receiver.pings.length === 1, "the first ping");
    const answer = await server.request("POST", `/webhooks/${id}/ping`);
    assert.ok(answer.status >= 200 && answer.status < 300, answer.text);
    await receiver.until(() => receiver.pings.length === 2, "the second ping");
    assertSigned(receiver.pings[1], secret);
    assert.notEqual(receiver.pings[0].headers["webhook-id"], receiver.pings[1].headers["webhook-id"]);
});

/* ---- deliveries ---- */

bothStores("every event is delivered once, in its channel's order, signed, as the envelope that a page shows", async (t, server) => {
    const receiver = await Receiver.start(t);
    const { secret } = await register(server, receiver.url, ["a/**"]);
    await publish(server, "a/text", "hello");
    await publish(server, "a/json", '{"price": 1e400,"a":1, "a":2}', { "Content-Type": "application/json", "Event-Type": "trade" });
    await publish(server, "a/binary", Buffer.from([0, 255]), { "Content-Type": "image/png" });
    await publish(server, "a/utf8", "grüße 😀 \u2028");
    await publishMany(server, "a/many", 100);
    const events = await receiver.events(104);
    const { events: page } = await server.page("/events?channel=a/**&limit=1000");
    assert.deepEqual(byChannel(events), byChannel(page));
    assert.equal(receiver.deliveries.length, 104, "an event was delivered twice");
    for (const delivery of receiver.deliveries) {
        assert.equal(delivery.method, "POST");
        assert.match(delivery.headers["content-type"], /^application\/json\b/);
        assertSigned(delivery, secret);
    }
    const wanted = receiver.deliveries.find(({ body }) => body.channel === "a/json").bytes.toString("utf8");
    assert.ok(wanted.includes('{"price": 1e400,"a":1, "a":2}'), `JSON must be kept byte for byte: ${wanted}`);
    const ids = receiver.deliveries.map((delivery) => delivery.headers["webhook-id"]);
    assert.equal(new Set(ids).size, 104, "each event needs a webhook-id of its own");
});

test("a signature is worth something: neither another body, nor another secret, nor another id fits it", async (t) => {
    const server = await startServer(t);
    const receiver = await Receiver.start(t);
    const one = await register(server, receiver.url, ["a"]);
    const two = await register(server, "http://127.0.0.1:9/", ["none"]);
    await publish(server, "a", "hello");
    await receiver.events(1);
    const { bytes, headers } = receiver.deliveries[0];
    const body = bytes.toString("utf8");
    new Webhook(one.secret).verify(body, headers);
    assert.throws(() => new Webhook(one.secret).verify(body.replace("hello", "hullo"), headers));
    assert.throws(() => new Webhook(two.secret).verify(body, headers));
    assert.throws(() => new Webhook(one.secret).verify(body, { ...headers, "webhook-id": "another" }));
});

test("only what the patterns select is delivered", async (t) => {
    const server = await startServer(t);
    const receiver = await Receiver.start(t);
    await register(server, receiver.url, ["a/*", "b/**", "c"]);
    const wanted = [];
    for (const channel of ["a", "a/1", "a/1/2", "b", "b/1", "b/1/2", "c", "c/1", "d", "a/2"]) {
        const { id } = await publish(server, channel, channel);
        if (["a/1", "b/1", "b/1/2", "c", "a/2"].includes(channel)) {
            wanted.push(id);
        }
    }
    assert.deepEqual(idsOf(await receiver.events(5)).sort(), wanted); /* between channels there is no order */
});

test("an event that several patterns select is delivered once", async (t) => {
    const server = await startServer(t);
    const receiver = await Receiver.start(t);
    await register(server, receiver.url, ["a/b", "a/*", "a/**", "**"]);
    const ids = await publishMany(server, "a/b", 10);
    await receiver.events(10);
    assert.deepEqual(receiver.deliveries.map((delivery) => delivery.body.id), ids);
});

test("only the types asked for are delivered, and the others do not hold them up", async (t) => {
    const server = await startServer(t);
    const receiver = await Receiver.start(t);
    const { id } = await register(server, receiver.url, ["a"], { types: ["yes", "also/yes"] });
    const wanted = [];
    for (const type of ["no", "yes", "message", "also/yes", "Yes", "no"]) {
        const event = await publish(server, "a", type, { "Event-Type": type });
        if (["yes", "also/yes"].includes(type)) {
            wanted.push(event.id);
        }
    }
    assert.deepEqual(idsOf(await receiver.events(2)), wanted);
    await eventually(async () => lagOf(await endpoint(server, id)) === 0, "nothing to be owed");
    assert.equal(receiver.deliveries.length, 2);
});

test("an endpoint begins now, or where after says", async (t) => {
    const server = await startServer(t);
    const ids = await publishMany(server, "a", 10);
    const fromNow = await Receiver.start(t);
    const fromFirst = await Receiver.start(t);
    const fromFifth = await Receiver.start(t);
    await register(server, fromNow.url, ["a"]);
    await register(server, fromFirst.url, ["a"], { after: "earliest" });
    await register(server, fromFifth.url, ["a"], { after: ids[4] });
    const { id } = await publish(server, "a", "new");
    assert.deepEqual(idsOf(await fromFirst.events(11)), [...ids, id]);
    assert.deepEqual(idsOf(await fromFifth.events(6)), [...ids.slice(5), id]);
    assert.deepEqual(idsOf(await fromNow.events(1)), [id]);
});

test("the headers of a registration go with its deliveries, and cannot replace the signature", async (t) => {
    const server = await startServer(t);
    const receiver = await Receiver.start(t);
    const { secret } = await register(server, receiver.url, ["a"], { headers: { "X-Team": "red", Authorization: "Bearer 123" } });
    await publish(server, "a", "hello");
    await receiver.events(1);
    const { headers } = receiver.deliveries[0];
    assert.equal(headers["x-team"], "red");
    assert.equal(headers.authorization, "Bearer 123");
    assertSigned(receiver.deliveries[0], secret);
});

test("ephemeral events are not delivered", async (t) => {
    const server = await startServer(t);
    const receiver = await Receiver.start(t);
    await register(server, receiver.url, ["a"]);
    const answer = await server.post("a", "typing", {}, "?ephemeral=1");
    assert.equal(answer.status, 202);
    const { id } = await publish(server, "a", "said");
    await receiver.events(1);
    assert.deepEqual(receiver.deliveries.map((delivery) => delivery.body.id), [id]);
});

test("a slow endpoint holds up no other", async (t) => {
    const server = await startServer(t);
    const slow = await Receiver.start(t);
    slow.answer = () => "hang";
    const quick = await Receiver.start(t);
    await register(server, slow.url, ["a"]);
    await register(server, quick.url, ["a"]);
    const ids = await publishMany(server, "a", 200);
    assert.deepEqual(idsOf(await quick.events(200)), ids);
    await slow.events(1);
    assert.equal(slow.distinct().length, 1, "an ordered endpoint is owed one event at a time");
    slow.answer = () => 200;
    slow.release();
    assert.deepEqual(idsOf(await slow.events(200)), ids);
});

test("an endpoint tells how far behind it is", async (t) => {
    const server = await startServer(t);
    const receiver = await Receiver.start(t);
    receiver.answer = () => "hang";
    const { id } = await register(server, receiver.url, ["a"]);
    await publishMany(server, "a", 10);
    await receiver.events(1);
    await eventually(async () => lagOf(await endpoint(server, id)) > 0, "a lag of some events");
    receiver.answer = () => 200;
    receiver.release();
    await receiver.events(10);
    await eventually(async () => lagOf(await endpoint(server, id)) === 0, "a lag of none");
});

/* ---- failures ---- */

for (const [name, verdict] of Object.entries({
    "500": 500, "503 with Retry-After": { status: 503, headers: { "Retry-After": "1" } }, "404": 404, "400": 400,
    "429": 429, "a connection that breaks off": "reset",
})) {
    test(`after ${name} an event is tried again under the same webhook-id, before those that follow it`, async (t) => {
        const server = await startServer(t);
        const receiver = await Receiver.start(t);
        receiver.answer = (request, before) => (request.body.data.n === 1 && before === 0 ? verdict : 200);
        const { secret } = await register(server, receiver.url, ["a"]);
        const ids = await publishMany(server, "a", 4);
        await receiver.events(4, RETRY_MS);
        assert.deepEqual(receiver.deliveries.map((delivery) => delivery.body.id), [ids[0], ids[1], ids[1], ids[2], ids[3]]);
        const [, first, second] = receiver.deliveries;
        assert.equal(second.headers["webhook-id"], first.headers["webhook-id"]);
        assert.ok(second.bytes.equals(first.bytes), "the body changed between attempts");
        assert.ok(Number(second.headers["webhook-timestamp"]) >= Number(first.headers["webhook-timestamp"]));
        for (const delivery of receiver.deliveries) {
            assertSigned(delivery, secret);
        }
    });
}

test("a redirect is a failure, and is not followed", async (t) => {
    const server = await startServer(t);
    await Promise.all([301, 302, 303, 307, 308].map(async (status) => {
        const receiver = await Receiver.start(t);
        const elsewhere = await Receiver.start(t);
        receiver.answer = (request, before) => (before === 0 ? { status, headers: { Location: elsewhere.url } } : 200);
        await register(server, receiver.url, [`a/${status}`]);
        const { id } = await publish(server, `a/${status}`, "hello");
        await receiver.until(() => receiver.deliveries.length === 2, `another attempt after ${status}`, RETRY_MS);
        assert.deepEqual(receiver.deliveries.map((delivery) => delivery.body.id), [id, id]);
        assert.deepEqual(elsewhere.requests, [], `${status} was followed`);
    }));
});

test("an endpoint that nobody listens on gets its events once somebody does", async (t) => {
    const server = await startServer(t);
    /* Takes each connection and closes it: an attempt that fails, and that can be seen. */
    const closed = net.createServer((socket) => socket.destroy());
    const port = await freePort();
    await new Promise((resolve) => closed.listen(port, "127.0.0.1", resolve));
    const attempted = new Promise((resolve) => closed.once("connection", resolve));
    await register(server, `http://127.0.0.1:${port}/hook`, ["a"]);
    const ids = await publishMany(server, "a", 5);
    await deadline(attempted, "an attempt");
    await new Promise((resolve) => closed.close(resolve));
    const receiver = new Receiver();
    t.after(() => receiver.stop());
    await new Promise((resolve) => receiver.http.listen(port, "127.0.0.1", resolve));
    /* The ping may have been that attempt, and an event the next: two failures at most. */
    assert.deepEqual(idsOf(await receiver.events(5, 6 * RETRY_MS)), ids);
});

bothStores("410 disables an endpoint: nothing more is sent to it", async (t, server) => {
    const gone = await Receiver.start(t);
    const other = await Receiver.start(t);
    gone.answer = () => 410;
    const { id } = await register(server, gone.url, ["a"]);
    await register(server, other.url, ["a"]);
    await publish(server, "a", "first");
    await gone.events(1);
    await eventually(async () => isDisabled(await endpoint(server, id)), "the endpoint to be told as disabled");
    await publishMany(server, "a", 20);
    await other.events(21);
    assert.equal(gone.deliveries.length, 1);
});

/* ---- restarts ---- */

for (const [how, end] of [["SIGTERM", (server) => server.terminate()], ["kill -9", (server) => server.kill()]]) {
    test(`a delivery that was under way at ${how} is made after the restart, and all that follow, in order`, async (t) => {
        const server = await startServer(t, { data: true });
        const receiver = await Receiver.start(t);
        const { id, secret } = await register(server, receiver.url, ["a"]);
        const ids = await publishMany(server, "a", 3);
        await receiver.events(3);
        receiver.answer = () => "hang";
        ids.push(...await publishMany(server, "a", 5));
        await receiver.events(4);
        await end(server);
        receiver.answer = () => 200;
        receiver.held.splice(0);
        await server.start();
        ids.push(...await publishMany(server, "a", 3));
        assert.deepEqual(idsOf(await receiver.events(11, RETRY_MS)), ids);
        for (const delivery of receiver.deliveries) {
            assertSigned(delivery, secret);
        }
        assert.equal((await endpoint(server, id)).url, receiver.url);
    });
}

test("events published while the endpoint's retry is waited for are not lost by a kill -9", async (t) => {
    const server = await startServer(t, { data: true });
    const receiver = await Receiver.start(t);
    receiver.answer = (request, before) => (before === 0 && receiver.distinct().length === 1 ? 500 : 200);
    await register(server, receiver.url, ["a"]);
    const ids = await publishMany(server, "a", 10);
    await receiver.events(1);
    await server.restart();
    assert.deepEqual(idsOf(await receiver.events(10, RETRY_MS)), ids);
});

test("a kill -9 in the midst of deliveries loses none, and repeats but those that were not noted", async (t) => {
    const server = await startServer(t, { data: true });
    const receiver = await Receiver.start(t);
    const { secret } = await register(server, receiver.url, ["a/**"]);
    const ids = [];
    const channels = {};
    for (let round = 0; round < 5; round++) {
        channels[`a/${round}`] = await publishMany(server, `a/${round}`, 200);
        ids.push(...channels[`a/${round}`]);
        const stopAt = Math.min(ids.length, receiver.distinct().length + randomInt(1, 150));
        await receiver.until(() => receiver.distinct().length >= stopAt, `${stopAt} events`);
        await server.restart();
    }
    const got = byChannel(await receiver.events(ids.length, RETRY_MS));
    for (const [channel, wanted] of Object.entries(channels)) {
        assert.deepEqual(idsOf(got[channel]), wanted);
    }
    for (const delivery of receiver.deliveries) {
        assertSigned(delivery, secret);
    }
    /* Repeated is what was under way, or accepted and not noted yet: together at most 32. */
    const repeats = receiver.deliveries.length - ids.length;
    assert.ok(repeats <= 5 * 32, `${repeats} deliveries came again over 5 kills`);
});

test("events delivered before a SIGTERM are not delivered again", async (t) => {
    const server = await startServer(t, { data: true });
    const receiver = await Receiver.start(t);
    const { id } = await register(server, receiver.url, ["a"]);
    const ids = await publishMany(server, "a", 50);
    await receiver.events(50);
    await eventually(async () => lagOf(await endpoint(server, id)) === 0, "the last delivery to be noted");
    await server.terminate();
    await server.start();
    ids.push((await publish(server, "a", "after")).id);
    await receiver.events(51);
    assert.deepEqual(receiver.deliveries.map((delivery) => delivery.body.id), ids);
});

test("a deleted endpoint stays deleted, and a disabled one disabled, over a kill -9", async (t) => {
    const server = await startServer(t, { data: true });
    const deleted = await Receiver.start(t);
    const disabled = await Receiver.start(t);
    const kept = await Receiver.start(t);
    disabled.answer = () => 410;
    const one = await register(server, deleted.url, ["a"]);
    const two = await register(server, disabled.url, ["a"]);
    await register(server, kept.url, ["a"]);
    await publish(server, "a", "first");
    await Promise.all([deleted.events(1), disabled.events(1), kept.events(1)]);
    await server.request("DELETE", `/webhooks/${one.id}`);
    await eventually(async () => isDisabled(await endpoint(server, two.id)), "the endpoint to be told as disabled");
    await server.restart();
    assertProblem(await server.get(`/webhooks/${one.id}`), 404);
    /* A kill right after the 410 may come before its note: then the first event is sent once more. */
    await eventually(async () => isDisabled(await endpoint(server, two.id)), "the endpoint to be disabled still");
    await publishMany(server, "a", 10);
    await kept.events(11);
    assert.equal(deleted.deliveries.length, 1);
    assert.equal(disabled.distinct().length, 1);
});

test("a request about webhooks has at most 64 KiB, and larger ones change nothing", async (t) => {
    const server = await startServer(t);
    const receiver = await Receiver.start(t);
    const { id } = await register(server, receiver.url, ["a"], { description: "as it was" });
    const sized = (members, bytes) => {
        const body = JSON.stringify(members);
        return { body: body + " ".repeat(bytes - body.length), headers: { "Content-Type": "application/json" } };
    };
    const create = { url: receiver.url, channels: ["a"] };
    const change = { description: "another" };
    const requests = [
        ["POST", "/webhooks", create, 201],
        ["PATCH", `/webhooks/${id}`, change, 200],
        ["POST", `/webhooks/${id}/replay`, { after: "now" }, 200],
    ];
    for (const [method, path, members] of requests) {
        for (const bytes of [64 * 1024 + 1, 128 * 1024, 1024 * 1024]) {
            assertProblem(await server.request(method, path, sized(members, bytes)), 413, /64 KiB/);
        }
    }
    assert.equal((await endpoint(server, id)).description, "as it was");
    assert.equal((await (await server.get("/webhooks")).json()).webhooks.length, 1);
    const form = { body: "hub.mode=subscribe&x=" + "x".repeat(64 * 1024), headers: { "Content-Type": "application/x-www-form-urlencoded" } };
    assertProblem(await server.request("POST", "/hub", form), 413, /64 KiB/);
    for (const [method, path, members, status] of requests) {
        const answer = await server.request(method, path, sized(members, 64 * 1024));
        assert.equal(answer.status, status, answer.text);
    }
    assert.equal((await endpoint(server, id)).description, "another");
});
