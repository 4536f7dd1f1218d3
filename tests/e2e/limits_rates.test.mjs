// Rates of publishing and sizes of events: every way in is refused alike, and told when to come again.

import assert from "node:assert/strict";
import { once } from "node:events";
import http2 from "node:http2";
import * as jose from "jose";
import { assertProblem, deadline, post, publish, startServer, test } from "./support/index.mjs";
import { Freshet, Socket } from "./support/ws.mjs";

const SECRET = "correct horse battery staple and more";

function token(sub) {
    return new jose.SignJWT({}).setProtectedHeader({ alg: "HS256" }).setSubject(sub).setExpirationTime("1h")
        .sign(new TextEncoder().encode(SECRET));
}

function assertTooFast(answer, policy, quota, window) {
    const problem = assertProblem(answer, 429, /wait/);
    assert.match(problem.type, /too-many$/);
    assert.ok(problem.retry_ms > 0, "retry_ms");
    assert.equal(answer.headers["retry-after"], String(Math.ceil(problem.retry_ms / 1000)));
    assert.equal(answer.headers["ratelimit-policy"], `"${policy}";q=${quota};w=${window}`);
    assert.equal(answer.headers.ratelimit, `"${policy}";r=0;t=${Math.ceil(problem.retry_ms / 1000)}`);
}

/* A batch of many into a small bucket: what it owes takes longer to flow in than the test runs. */
const SMALL = "rates: {channel: {events: 1}, window_s: 10}\n";
const MANY = JSON.stringify(Array.from({ length: 900 }, () => ({ channel: "a", data: 1 })));

test("every way to publish is refused alike", async (t) => {
    const server = await startServer(t, { config: SMALL });
    assert.equal((await server.request("POST", "/events", { body: MANY })).status, 201);
    assertTooFast(await post(server, "a", "x"), "channel-events", 10, 10);
    assertTooFast(await server.request("POST", "/channels/a?ephemeral=1", { body: "x" }), "channel-events", 10, 10);

    const session = http2.connect(server.url);
    t.after(() => session.destroy());
    const stream = session.request({ ":method": "POST", ":path": "/channels/a" });
    stream.end("x");
    const [head] = await deadline(once(stream, "response"), "a response");
    assert.equal(head[":status"], 429);
    assert.equal(head["ratelimit-policy"], '"channel-events";q=10;w=10');

    const v1 = await Freshet.open(t, server);
    const error = await v1.answer({ op: "publish", channel: "a", data: 1 });
    assert.equal(error.problem.status, 429);
    assert.ok(error.problem.retry_ms > 0);
    assert.notEqual((await v1.answer({ op: "publish", channel: "b", data: 1 })).op, "error");

    const socket = await Socket.open(t, server, "/channels/a");
    await socket.send("no");
    assert.equal((await socket.closed()).code, 4429);

    await publish(server, "other", "x");
    const { limits } = (await server.get("/stats")).json();
    assert.equal(limits.rates_refused, 5);
});

test("a batch counts as a whole or not at all", async (t) => {
    const server = await startServer(t, { config: `${SMALL}namespaces:\n  - {prefix: b, rates: {channel: {events: 1}, window_s: 1h}}\n` });
    await server.publishMany("b", 3000); /* there is room for six hundred more, and it takes minutes until there is for all of the batch */
    const nine = Array.from({ length: 9 }, () => ({ channel: "a", data: 1 }));
    const many = Array.from({ length: 990 }, () => ({ channel: "b", data: 1 }));
    for (let n = 0; n < 5; n++) { /* the events of a, which come first, are given back each time */
        const refused = await server.request("POST", "/events", { body: JSON.stringify([...nine, ...many]) });
        assertTooFast(refused, "channel-events", 3600, 3600);
        assert.ok(refused.json().index >= 9);
    }
    assert.deepEqual(await server.history("a"), []);
    assert.equal((await server.request("POST", "/events", { body: JSON.stringify(nine) })).status, 201);
});

test("a batch larger than a bucket passes when that is full", async (t) => {
    const server = await startServer(t, { config: SMALL });
    assert.equal((await server.request("POST", "/events", { body: MANY })).status, 201);
    assertTooFast(await server.request("POST", "/events", { body: MANY }), "channel-events", 10, 10);
    assertTooFast(await post(server, "a", "x"), "channel-events", 10, 10);
});

test("subjects and addresses have rates of their own, and namespaces rates in their place", async (t) => {
    const server = await startServer(t, { config: "access: {anybody: [publish], authenticated: [read, publish]}\n" +
        `tokens:\n  - secret: "${SECRET}"\n` +
        "rates: {subject: {events: 1}, window_s: 2}\n" +
        "namespaces:\n  - {prefix: fast, rates: {subject: {events: 1000}}}\n" +
        "  - {prefix: open, rates: {address: {bytes: 10, events: 1000}, window_s: 1h}}\n" });
    const alice = { Authorization: `Bearer ${await token("alice")}` };
    const bob = { Authorization: `Bearer ${await token("bob")}` };
    const send = (headers, channel, body = "x") => server.request("POST", `/channels/${channel}`, { headers, body });
    const first = await Promise.all(Array.from({ length: 20 }, () => send(alice, "a")));
    const refused = first.find((answer) => answer.status === 429);
    assertTooFast(refused, "subject-events", 2, 2);
    assert.equal((await send(bob, "a")).status, 201);
    assert.equal((await send({}, "a")).status, 201); /* nobody is no subject */
    for (let n = 0; n < 50; n++) {
        assert.equal((await send(alice, "fast/x")).status, 201);
    }
    assert.equal((await send({}, "open/a", "x".repeat(36000))).status, 201);
    const bytes = await send(alice, "open/b", "x".repeat(20_000)); /* that much takes half an hour to flow in */
    assertProblem(bytes, 429, /rates\.address/);
    assert.equal(bytes.headers["ratelimit-policy"], '"address-bytes";q=36000;qu="content-bytes";w=3600');
});

test("an event too large for its namespace is 413 by every way", async (t) => {
    const server = await startServer(t, { config: "namespaces:\n  - {prefix: small, event_max: 100}\n" });
    const large = "x".repeat(101);
    assertProblem(await post(server, "small/a", large), 413, /event_max/);
    assert.equal((await post(server, "small/a", "x".repeat(100))).status, 201);
    assert.equal((await post(server, "other", large)).status, 201);
    const batch = JSON.stringify([{ channel: "other", data: 1 }, { channel: "small/a", data: large }]);
    assert.equal((await server.request("POST", "/events", { body: batch })).status, 413);
    const v1 = await Freshet.open(t, server);
    assert.equal((await v1.answer({ op: "publish", channel: "small/a", data: large })).problem.status, 413);
    const socket = await Socket.open(t, server, "/channels/small/a");
    await socket.send(large);
    assert.equal((await socket.closed()).code, 4413);
    assert.equal((await server.get("/stats")).json().limits.events_refused, 4);
});

test("behind a trusted proxy each client has a rate of its own, on every way in", async (t) => {
    const config = "rates: {address: {events: 1}, window_s: 1h}\ntrusted_proxies: [127.0.0.1]\n";
    const server = await startServer(t, { config });
    const of = (client) => ({ "X-Forwarded-For": `203.0.113.1, ${client}` });
    for (let left = 3600; left > 0; left -= 900) {
        const many = JSON.stringify(Array.from({ length: 900 }, () => ({ channel: "a", data: 1 })));
        assert.equal((await server.request("POST", "/events", { body: many, headers: of("192.0.2.1") })).status, 201);
    }
    const send = (headers) => server.request("POST", "/channels/a", { body: "x", headers });
    assertTooFast(await send(of("192.0.2.1")), "address-events", 3600, 3600);
    for (const headers of [of("192.0.2.2"), of("2001:db8::1"), {}]) {
        assert.equal((await send(headers)).status, 201, JSON.stringify(headers));
    }
    const slow = await Freshet.open(t, server, { headers: of("192.0.2.1") });
    assert.equal((await slow.answer({ op: "publish", channel: "a", data: 1 })).problem.status, 429);
    const quick = await Freshet.open(t, server, { headers: of("192.0.2.2") });
    assert.notEqual((await quick.answer({ op: "publish", channel: "a", data: 1 })).op, "error");
    const session = http2.connect(server.url);
    t.after(() => session.destroy());
    for (const [client, status] of [["192.0.2.1", 429], ["192.0.2.2", 201]]) {
        const stream = session.request({ ":method": "POST", ":path": "/channels/a", "x-forwarded-for": client });
        stream.end("x");
        assert.equal((await deadline(once(stream, "response"), "a response"))[0][":status"], status);
    }
});
