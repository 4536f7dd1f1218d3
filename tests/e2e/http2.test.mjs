// HTTP/2 with prior knowledge: every mechanism over streams of one connection, and its limits.

import assert from "node:assert/strict";
import { execFile, spawnSync } from "node:child_process";
import http2 from "node:http2";
import { promisify } from "node:util";
import zlib from "node:zlib";
import { ask, connect, follow, publish, socket } from "./support/h2.mjs";
import { curl, deadline, eventually, startServer, stats, subscribersOf, test } from "./support/index.mjs";

const run = promisify(execFile);
const { constants } = http2;
const lacksH2load = spawnSync("h2load", ["--version"]).error && "h2load is not installed (nghttp2-client)";

/* ---- requests ---- */

test("requests of one connection publish, read, list and are refused as over HTTP/1.1", async (t) => {
    const server = await startServer(t);
    const session = await connect(t, server);
    const made = await publish(session, "a", '{"n":1}', { "content-type": "application/json", "event-type": "first" });
    assert.equal(made.status, 201);
    const { id } = JSON.parse(made.body);
    const page = await ask(session, { ":path": "/channels/a" });
    assert.equal(page.status, 200);
    assert.deepEqual(JSON.parse(page.body).events.map((event) => [event.id, event.type, event.data]), [[id, "first", { n: 1 }]]);
    assert.equal(page.headers["content-length"], `${Buffer.byteLength(page.body)}`);
    const head = await ask(session, { ":method": "HEAD", ":path": "/channels/a" });
    assert.deepEqual([head.status, head.body], [200, ""]);
    const batch = await ask(session, { ":method": "POST", ":path": "/events", "content-type": "application/x-ndjson" },
        '{"channel":"b","data":1}\n{"channel":"c","data":2}\n');
    assert.equal(batch.status, 201);
    const options = await ask(session, { ":method": "OPTIONS", ":path": "/events" });
    assert.equal(options.status, 204);
    assert.equal(options.headers.connection, undefined);
    const missing = await ask(session, { ":path": "/nothing" });
    assert.equal(missing.status, 404);
    assert.match(missing.headers["content-type"], /problem\+json/);
    const gone = await ask(session, { ":method": "DELETE", ":path": "/channels/a" });
    assert.ok(gone.status < 300);
    assert.equal((await stats(server)).connections_total >= 1, true);
});

test("the checks of hosts and origins are those of HTTP/1.1", async (t) => {
    const server = await startServer(t);
    const session = await connect(t, server);
    const host = await ask(session, { ":authority": "evil.example" });
    assert.equal(host.status, 403);
    const origin = await ask(session, { ":path": "/channels/a", origin: "https://evil.example" });
    assert.equal(origin.status, 403);
    const own = await ask(session, { ":path": "/channels/a", origin: "http://localhost:1" });
    assert.equal(own.headers["access-control-allow-origin"], "http://localhost:1");
});

test("bodies are bounded, decompressed, and large ones come whole", async (t) => {
    const server = await startServer(t, { config: "limits:\n  body_max: 400KiB\n" });
    const session = await connect(t, server);
    const large = JSON.stringify("x".repeat(300_000));
    assert.equal((await publish(session, "a", large, { "content-type": "application/json" })).status, 201);
    const zipped = await publish(session, "a", zlib.gzipSync(large), { "content-encoding": "gzip", "content-type": "application/json" });
    assert.equal(zipped.status, 201);
    const { events } = JSON.parse((await ask(session, { ":path": "/channels/a" })).body);
    assert.deepEqual(events.map(({ data }) => data.length), [300_000, 300_000]);
    assert.equal((await publish(session, "a", "x".repeat(500_000))).status, 413);
    assert.equal((await publish(session, "a", "x", { "content-encoding": "br" })).status, 415);
    const bomb = zlib.gzipSync(Buffer.alloc(10_000_000));
    assert.equal((await publish(session, "a", bomb, { "content-encoding": "gzip" })).status, 413);
    const long = await ask(session, { ":path": "/channels/a", "x-long": "x".repeat(45_000) }).catch((error) => error);
    assert.equal(long.status ?? 431, 431);
    assert.equal((await ask(session, { ":path": "/healthz" })).status, 200);
});

test("a client that waits for 100 Continue gets it", async (t) => {
    const server = await startServer(t);
    const session = await connect(t, server);
    const stream = session.request({ ":method": "POST", ":path": "/channels/a", expect: "100-continue", "content-length": 5 });
    await deadline(new Promise((resolve) => stream.once("continue", resolve)), "100 Continue");
    stream.end("hello");
    const head = await deadline(new Promise((resolve) => stream.once("response", resolve)), "an answer");
    assert.equal(head[":status"], 201);
});

/* ---- streams ---- */

test("a hundred streams of one connection, polls and publishes among them, each have every event", async (t) => {
    const server = await startServer(t, { args: ["--threads", "1"] });
    const session = await connect(t, server);
    const streams = [];
    for (let i = 0; i < 100; i++) {
        streams.push(await follow(session, i % 2 ? "/channels/a?stream=ndjson" : "/channels/a", i % 2 ? {} : { accept: "text/event-stream" }));
    }
    const polls = [1, 2, 3].map(() => ask(session, { ":path": "/channels/a?after=now&wait=50" }));
    await eventually(async () => (await subscribersOf(server, "poll")) === 3, "three polls to wait");
    const before = (await stats(server)).sends;
    for (let i = 0; i < 20; i++) {
        assert.equal((await publish(session, "a", `event ${i}.`)).status, 201);
    }
    await eventually(() => streams.every(({ text }) => text.includes("event 19.")), "the last event on every stream");
    for (const { text } of streams) {
        assert.deepEqual(text.match(/event \d+\./g), Array.from({ length: 20 }, (_, i) => `event ${i}.`));
    }
    for (const poll of await Promise.all(polls)) {
        assert.equal(JSON.parse(poll.body).events[0].data, "event 0."); /* it may be held for more */
    }
    const sends = (await stats(server)).sends - before;
    assert.ok(sends < 200, `2,000 deliveries took ${sends} sends`);
});

test("a stream that its client does not read holds up no other, and loses nothing", async (t) => {
    const server = await startServer(t, { args: ["--threads", "1"] });
    const session = await connect(t, server);
    const live = await follow(session, "/channels/a?stream=ndjson&format=data");
    const stalled = session.request({ ":path": "/channels/a?stream=ndjson&format=data" });
    await deadline(new Promise((resolve) => stalled.once("response", resolve)), "the head of a stream");
    stalled.pause();
    const data = "y".repeat(10_000);
    const publisher = await connect(t, server);
    for (let i = 0; i < 100; i++) {
        await publish(publisher, "a", `${i} ${data}`);
    }
    await eventually(() => live.text.includes("99 y"), "the last event");
    let text = "";
    stalled.setEncoding("utf8").on("data", (part) => (text += part));
    stalled.resume();
    await eventually(() => text.includes("99 y"), "the last event of the stream that was stalled");
    const numbers = (all) => all.match(/\d+ y/g).map((found) => parseInt(found, 10));
    assert.deepEqual(numbers(text), Array.from({ length: 100 }, (_, i) => i));
    assert.deepEqual(numbers(live.text), numbers(text));
});

test("a stream that its client cancels ends its subscription, and the others go on", async (t) => {
    const server = await startServer(t);
    const session = await connect(t, server);
    const [one, two] = [await follow(session, "/channels/a?stream=sse"), await follow(session, "/channels/a?stream=sse")];
    const poll = session.request({ ":path": "/channels/a?wait=50&after=now" });
    poll.on("error", () => {});
    await eventually(async () => (await subscribersOf(server, "poll")) === 1, "the poll to wait");
    one.stream.close(constants.NGHTTP2_CANCEL);
    poll.close(constants.NGHTTP2_CANCEL);
    await eventually(async () => (await subscribersOf(server, "sse")) === 1 && (await subscribersOf(server, "poll")) === 0,
        "the subscriptions to be gone");
    await publish(session, "a", "on");
    await eventually(() => two.text.includes("data: on"), "the event");
});

test("a server that stops says goodbye on each stream, then to the connection", async (t) => {
    const server = await startServer(t, { config: "limits:\n  drain_ms: 300\n" });
    const session = await connect(t, server);
    const streams = [];
    for (let i = 0; i < 10; i++) {
        streams.push(await follow(session, "/channels/a?stream=sse"));
    }
    const poll = ask(session, { ":path": "/channels/a?wait=50&after=now" });
    await eventually(async () => (await subscribersOf(server, "poll")) === 1, "the poll to wait");
    const goaway = new Promise((resolve) => session.once("goaway", resolve));
    const ended = new Promise((resolve) => session.once("close", resolve));
    server.signal("SIGTERM");
    assert.equal(await deadline(goaway, "a GOAWAY"), constants.NGHTTP2_NO_ERROR);
    for (const stream of streams) {
        await deadline(stream.ended, "the end of a stream");
        assert.equal(stream.error, undefined);
        assert.match(stream.text, /event: \$bye/);
    }
    assert.equal((await poll).status, 200);
    await deadline(ended, "the end of the connection");
    assert.equal((await deadline(server.exited, "the end of the server")).code, 0);
});

/* ---- WebSockets (RFC 8441) ---- */

test("WebSockets share the connection: a channel's, and freshet.v1", async (t) => {
    const server = await startServer(t, { args: ["--threads", "1"] });
    const session = await connect(t, server);
    assert.equal(session.remoteSettings.enableConnectProtocol, true);
    const channel = await socket(session, "/channels/a");
    const other = await socket(session, "/channels/a?echo=0");
    const v1 = await socket(session, "/events", { "sec-websocket-protocol": "freshet.v1" });
    assert.equal(v1.head["sec-websocket-protocol"], "freshet.v1");
    v1.ws.send(JSON.stringify({ op: "subscribe", channels: ["a"], ref: 1 }));
    await eventually(() => v1.messages.some((text) => JSON.parse(text).ref === 1), "the subscription");
    channel.ws.send("one");
    other.ws.send("two");
    v1.ws.send(JSON.stringify({ op: "publish", channel: "a", data: "three", ref: 2 }));
    const datas = ({ messages }) => messages.map((text) => JSON.parse(text)).map((message) => message.event ?? message)
        .map(({ data }) => data).filter((data) => data !== undefined).sort();
    await eventually(() => datas(channel).length === 3 && datas(v1).length === 3 && datas(other).length === 2, "the events");
    assert.deepEqual(datas(channel), ["one", "three", "two"]);
    assert.deepEqual(datas(v1), ["one", "three", "two"]);
    assert.deepEqual(datas(other), ["one", "three"]);
    channel.ws.close(1000);
    assert.equal(await deadline(channel.closed, "the close"), 1000);
    const large = "z".repeat(500_000);
    v1.ws.send(JSON.stringify({ op: "publish", channel: "a", data: large, ref: 3 }));
    await eventually(() => datas(other).includes(large), "the large event");
    other.stream.close(constants.NGHTTP2_CANCEL);
    await eventually(async () => (await subscribersOf(server, "ws")) === 1, "the cancelled socket to be gone");
    assert.equal((await ask(session, { ":path": "/healthz" })).status, 200);
});

test("a WebSocket that cannot be opened is refused with a problem", async (t) => {
    const server = await startServer(t);
    const session = await connect(t, server);
    const refusals = [["/channels/a", { "sec-websocket-version": "12" }, 426], ["/nothing", {}, 404], ["/channels", {}, 404], ["/channels/", {}, 404],
        ["/channels/a", { ":protocol": "connect-udp" }, 501]];
    for (const [path, headers, status] of refusals) {
        const stream = session.request({ ":method": "CONNECT", ":protocol": "websocket", ":path": path, "sec-websocket-version": "13", ...headers });
        const head = await deadline(new Promise((resolve) => stream.once("response", resolve)), "a refusal");
        assert.equal(head[":status"], status);
        assert.equal(head.upgrade, undefined);
        stream.destroy();
    }
    const other = session.request({ ":method": "CONNECT", ":authority": "127.0.0.1:80" });
    const head = await deadline(new Promise((resolve) => other.once("response", resolve)), "a refusal");
    assert.ok(head[":status"] >= 400);
});

/* ---- limits ---- */

test("requests over the limit of streams wait at their client, or are refused", async (t) => {
    const server = await startServer(t, { config: "limits:\n  http2_streams_max: 5\n", args: ["--threads", "1"] });
    const session = await connect(t, server);
    assert.equal(session.remoteSettings.maxConcurrentStreams, 5);
    const streams = [];
    for (let i = 0; i < 5; i++) {
        streams.push(await follow(session, "/channels/a?stream=sse"));
    }
    const late = ask(session, { ":path": "/healthz" }); /* node waits */
    streams[0].stream.close(constants.NGHTTP2_CANCEL);
    assert.equal((await late).status, 200);
});

test("a flood of resets ends the connection, and nobody else's", async (t) => {
    const server = await startServer(t, { config: "limits:\n  http2_control_max: 100\n", args: ["--threads", "1"] });
    const [bad, good] = [await connect(t, server), await connect(t, server)];
    const goaway = new Promise((resolve) => bad.once("goaway", resolve));
    let over = false;
    goaway.then(() => (over = true));
    while (!over && !bad.destroyed) {
        for (let i = 0; i < 20 && !bad.destroyed && !bad.closed; i++) {
            const stream = bad.request({ ":path": "/channels/a?wait=50&after=now" });
            stream.on("error", () => {});
            stream.close(constants.NGHTTP2_CANCEL);
        }
        await new Promise((resolve) => setImmediate(resolve));
    }
    assert.equal(await deadline(goaway, "a GOAWAY"), constants.NGHTTP2_ENHANCE_YOUR_CALM);
    assert.equal((await ask(good, { ":path": "/healthz" })).status, 200);
    assert.ok((await stats(server)).limits.http2_floods >= 1);
    await eventually(async () => (await subscribersOf(server, "poll")) === 0, "nothing to be left of it");
});

test("a flood of pings ends the connection", async (t) => {
    const server = await startServer(t, { config: "limits:\n  http2_control_max: 100\n" });
    const session = await connect(t, server);
    for (let i = 0; i < 9; i++) {
        await deadline(new Promise((resolve) => session.ping(resolve)), "an answer to a ping");
    }
    assert.equal((await ask(session, { ":path": "/healthz" })).status, 200);
    const raw = await server.connect();
    const frame = (type, payload) => Buffer.concat([Buffer.from([0, 0, payload.length, type, 0, 0, 0, 0, 0]), payload]);
    await raw.send(Buffer.concat([Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), frame(4, Buffer.alloc(0)),
        ...Array.from({ length: 300 }, () => frame(6, Buffer.alloc(8)))]));
    const bytes = await raw.readToEnd("the connection to be closed");
    assert.ok(bytes.includes(Buffer.from([0, 0, 0, constants.NGHTTP2_ENHANCE_YOUR_CALM])));
    assert.ok((await stats(server)).limits.http2_floods >= 1);
    assert.equal((await ask(session, { ":path": "/healthz" })).status, 200);
});

/* ---- programs of others ---- */

test("curl speaks it, and HTTP/1.1 on the same port", async (t) => {
    const server = await startServer(t);
    for (const version of ["--http1.1", "--http2", "--http2-prior-knowledge"]) {
        const { stdout } = await curl([version, "-w", " %{http_version}", "-d", "hello", `${server.url}/channels/a`]);
        assert.match(stdout, version === "--http2-prior-knowledge" ? /"id".* 2$/s : /"id".* 1\.1$/s);
    }
    const { stdout } = await curl(["--http2-prior-knowledge", `${server.url}/channels/a`]);
    assert.equal(JSON.parse(stdout).events.length, 3);
});

test("nghttp and h2load speak it", { skip: lacksH2load }, async (t) => {
    const server = await startServer(t);
    const { stdout: page } = await run("nghttp", [`${server.url}/`]);
    assert.ok(page.length > 0);
    const { stdout } = await run("h2load", ["-n", "4000", "-c", "4", "-m", "50", `${server.url}/channels/a`]);
    assert.match(stdout, /4000 succeeded, 0 failed, 0 errored/);
});
