// Every limit that an operator can set: what is refused is refused clearly, and it is counted.

import assert from "node:assert/strict";
import fs from "node:fs";
import path from "node:path";
import { EventSource } from "eventsource";
import { eventually, post, publish, startServer, sideBySide } from "./support/index.mjs";
import { run } from "./support/program.mjs";
import { temporaryFolder } from "./support/server.mjs";
import { Freshet, Socket } from "./support/ws.mjs";

const { test } = sideBySide(4);

/* A connection of its own for each: one that is kept may be closed for being idle. */
const ALONE = { Connection: "close" };

/** What /stats and /metrics say of a limit; they must say the same. */
async function counted(server, name) {
    const { limits } = (await server.get("/stats", ALONE)).json();
    const { text } = await server.get("/metrics", ALONE);
    const line = text.match(new RegExp(`^freshet_${name}_total (\\d+)$`, "m"));
    assert.ok(line, `/metrics has no freshet_${name}_total`);
    assert.equal(Number(line[1]), limits[name], `of ${name}`);
    return limits[name];
}

/** The same of a problem. */
async function problems(server, slug) {
    const { problems } = (await server.get("/stats", ALONE)).json();
    const { text } = await server.get("/metrics", ALONE);
    const line = text.match(new RegExp(`^freshet_problems_total\\{problem="${slug}"\\} (\\d+)$`, "m"));
    assert.ok(line, `/metrics has no freshet_problems_total of ${slug}`);
    assert.equal(Number(line[1]), problems[slug] ?? 0, `of ${slug}`);
    return problems[slug] ?? 0;
}

function limited(t, limits) {
    const lines = Object.entries(limits).map(([key, value]) => `  ${key}: ${value}\n`);
    return startServer(t, { config: `limits:\n${lines.join("")}`, args: ["--threads", "1"] });
}

function assertProblem(answer, status, slug) {
    assert.equal(answer.status, status, answer.text);
    assert.match(answer.json().type, new RegExp(`/errors/${slug}$`));
    assert.ok(answer.json().detail);
}

test("a publish to a channel too many is 429, and channels that there are go on", async (t) => {
    const server = await limited(t, { channels_max: 2 });
    await publish(server, "a", 1);
    await publish(server, "b", 1);
    const refused = await post(server, "c", "1");
    assertProblem(refused, 429, "too-many");
    assert.match(refused.json().detail, /channels_max/);
    assert.ok(refused.headers["retry-after"]);
    await publish(server, "a", 2);
    const socket = await Socket.open(t, server, "/channels/d");
    await socket.send("no");
    assert.equal((await socket.closed()).code, 4429);
    assert.equal(await counted(server, "channels_refused"), 2);
    assert.equal(await problems(server, "too-many"), 2);
});

test("a publish under a key too many is 429, without a key it is not", async (t) => {
    const server = await limited(t, { keys_max: 1 });
    await publish(server, "a", 1, { "Idempotency-Key": "one" });
    const refused = await post(server, "a", "2", { "Idempotency-Key": "two" });
    assertProblem(refused, 429, "too-many");
    assert.match(refused.json().detail, /keys_max/);
    assert.equal((await post(server, "a", 1, { "Idempotency-Key": "one" })).status, 200);
    await publish(server, "a", 3);
    const socket = await Freshet.open(t, server);
    const error = await socket.answer({ op: "publish", channel: "a", data: 4, key: "three" });
    assert.equal(error.problem.status, 429);
    assert.equal(await counted(server, "keys_refused"), 2);
});

test("a body and a batch too large are 413", async (t) => {
    const server = await limited(t, { body_max: 100, batch_max: 2 });
    assertProblem(await post(server, "a", "x".repeat(101)), 413, "too-large");
    await publish(server, "a", "x".repeat(100));
    const three = JSON.stringify([1, 2, 3].map((data) => ({ channel: "a", data })));
    const refused = await server.request("POST", "/events", { body: three });
    assertProblem(refused, 413, "too-large");
    assert.match(refused.json().detail, /at most 2 events/);
    assert.equal(await problems(server, "too-large"), 2);
    assert.equal(await counted(server, "bodies_refused"), 2);
});

test("more channels or types than a request or a connection may have are refused, and counted", async (t) => {
    const server = await startServer(t);
    const many = (name, n) => Array.from({ length: n }, (_, i) => `${name}${i}`);
    const query = (name, n) => many("a", n).map((text) => `${name}=${text}`).join("&");
    assertProblem(await server.get(`/events?${query("channel", 101)}`), 400, "bad-parameter");
    assertProblem(await server.get(`/events?channel=a&${query("type", 101)}`), 400, "bad-parameter");
    const v1 = await Freshet.open(t, server);
    assert.equal((await v1.answer({ op: "subscribe", channels: many("a", 101) })).problem.status, 400);
    await v1.subscribe(many("a", 60));
    assert.equal((await v1.answer({ op: "subscribe", channels: many("b", 60) })).problem.status, 429);
    await v1.subscribe(many("b", 40));
    assert.equal(await counted(server, "subscriptions_refused"), 4);
});

test("a connection too many is 503", async (t) => {
    const server = await limited(t, { connections_max: 3 });
    const held = [];
    for (let n = 0; n < 10; n++) {
        held.push(await server.connect());
    }
    const last = held.at(-1);
    const answer = await last.readResponse();
    assert.equal(answer.status, 503);
    assert.ok(answer.headers["retry-after"]);
    held.forEach((conn) => conn.destroy());
    for (;;) { // the server hears of it when it hears of it
        const answer = await server.get("/healthz", ALONE).catch(() => undefined);
        if (answer?.status === 200) {
            break;
        }
    }
    assert.ok((await counted(server, "connections_refused")) >= 6);
});

test("an EventSource that meets the connection limit comes back by itself", async (t) => {
    const server = await limited(t, { connections_max: 3 });
    const held = [];
    for (let n = 0; n < 3; n++) {
        held.push(await server.connect());
    }
    const post = await server.connect();
    await post.send("POST /channels/a HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\n\r\nx");
    assertProblem(await post.readResponse(), 503, "unavailable");
    const source = new EventSource(`${server.url}/channels/a?after=earliest`);
    server.onStop(() => source.close());
    const heard = [];
    source.onmessage = (event) => heard.push(event.data);
    const asked = await server.connect();
    await asked.send("GET /channels/a HTTP/1.1\r\nHost: localhost\r\nOrigin: http://localhost:3000\r\n" +
        "Accept: text/event-stream\r\n\r\n");
    const answer = await asked.readResponse();
    assert.equal(answer.status, 200);
    assert.match(answer.text, /^retry: \d{4}\n\n$/);
    assert.equal(answer.headers["access-control-allow-origin"], "http://localhost:3000");
    await asked.readToEnd("the connection to be closed");
    [...held, post, asked].forEach((conn) => conn.destroy());
    await eventually(async () => (await server.post("a", "there", ALONE)).status === 201, "room");
    await eventually(() => heard.includes("there"), "the event after it came back");
});

test("connections are counted over all workers", async (t) => {
    const server = await startServer(t, { config: "limits:\n  connections_max: 8\n",
        args: ["--threads", "4"] });
    const held = await Promise.all(Array.from({ length: 8 }, () => server.connect()));
    for (const conn of held) { // whichever worker got it
        conn.send("GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n");
        assert.equal((await conn.readResponse()).status, 200);
    }
    const refused = await server.connect();
    assert.equal((await refused.readResponse()).status, 503);
    [...held, refused].forEach((conn) => conn.destroy());
});

test("publishers are not held up by a courier that has no endpoint", async (t) => {
    const server = await limited(t, { pending_max: 65536 });
    for (let n = 0; n < 20; n++) {
        await publish(server, "a", "x".repeat(20000));
    }
    assert.equal(await counted(server, "publishes_paused"), 0);
});

test("a WebSocket message too large is closed with 1009", async (t) => {
    const server = await limited(t, { message_max: 200 });
    const socket = await Socket.open(t, server, "/channels/a");
    await socket.send("x".repeat(200));
    await socket.send("x".repeat(201));
    assert.equal((await socket.closed()).code, 1009);
    assert.equal(await counted(server, "messages_refused"), 1);
    assert.equal((await server.historyOf("a", 1)).length, 1);
});

test("a request that stays away is 408, a connection that says nothing more is closed", async (t) => {
    /* The requests for figures have the same time, and a busy machine may need some of it. */
    const server = await limited(t, { head_ms: 8000, body_ms: 8000, idle_ms: 8000 });
    const [head, body, idle] = [await server.connect(), await server.connect(), await server.connect()];
    head.send("GET /healthz HTTP/1.1\r\n");
    body.send("POST /channels/a HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\nhalf");
    idle.send("GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n");
    assert.equal((await idle.readResponse()).status, 200);
    for (const conn of [head, body]) {
        assert.equal((await conn.readResponse()).status, 408);
        await conn.readToEnd();
    }
    assert.equal(await problems(server, "timeout"), 2);
    await idle.readToEnd();
    assert.ok((await counted(server, "idle_closed")) >= 1);
});

test("a peer that does not answer a close is closed", async (t) => {
    const server = await limited(t, { close_ms: 200 });
    const conn = await server.connect();
    conn.send("GET /channels/$x HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n" +
        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n");
    /* A masked text frame, which nobody may publish there. */
    conn.send(Buffer.from([0x81, 0x81, 0, 0, 0, 0, 0x78]));
    await conn.readToEnd();
    assert.equal(await counted(server, "unclosed_sockets"), 1);
});

test("every limit has a counter that begins at 0, in /stats and in /metrics", async (t) => {
    const server = await startServer(t);
    const { limits } = (await server.get("/stats", ALONE)).json();
    const names = ["connections_refused", "address_connections_refused", "subject_connections_refused", "subscriptions_refused", "bodies_refused", "events_refused", "rates_refused", "memory_refused", "publishes_held", "publishes_paused", "rests_closed", "held_closed", "http2_floods", "http2_streams_refused", "patterns_refused", "channels_refused",
        "shares_refused", "keys_refused", "messages_refused", "idle_closed", "stalled_closed", "peers_gone", "unclosed_sockets",
        "handshakes_late", "handshakes_shed", "proxy_headers_refused", "unsent_closed", "websockets_unclosed"];
    assert.deepEqual(Object.keys(limits).sort(), [...names].sort());
    for (const name of names) {
        assert.equal(await counted(server, name), 0);
    }
});

test("a value out of range is refused at the start, and the key is named", async (t) => {
    for (const [config, key] of [
        ["limits:\n  inflight_max: 4294967296\n", /limits\.inflight_max/],
        ["limits:\n  idle_ms: 99999999999\n", /limits\.idle_ms/],
        ["limits:\n  poll_pace_ms: 1001\n", /limits\.poll_pace_ms/],
        ["threads: 65\n", /threads/],
        ["spin_us: 1000001\n", /spin_us/],
        ["limits:\n  no_such: 1\n", /no_such/],
    ]) {
        const file = path.join(temporaryFolder(t), "freshet.yaml");
        fs.writeFileSync(file, config);
        const { code, stderr } = await run(t, ["serve", "--listen", "127.0.0.1:0", "--memory", "--config", file]);
        assert.equal(code, 2, stderr);
        assert.match(stderr, key);
    }
});
