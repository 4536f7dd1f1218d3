// SIGTERM drains: streams end politely, publishes in flight are answered, the exit code is 0.

import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import fs from "node:fs";
import { BIN, eventually, publish, publishMany, RawConn, request, startServer as startAny, subscribersOf, temporaryFolder, sideBySide } from "./support/index.mjs";
import { freePort } from "./support/program.mjs";
import { assertChained, assertIncreasing, readAll } from "./support/checks.mjs";
import { follow } from "./support/follow.mjs";
import { Freshet, Socket } from "./support/ws.mjs";

const { test } = sideBySide(3);

const CLEAN = { code: 0, signal: null };

/* Without a word about limits tests drain in a moment; here it goes as it goes for everybody. */
const startServer = (t, options) => startAny(t, { config: "limits: {}\n", ...options });

test("an idle server exits with 0", async (t) => {
    for (const options of [{ memory: true }, { data: true }]) {
        const server = await startServer(t, options);
        assert.deepEqual(await server.terminate(), CLEAN);
    }
});

test("an SSE and an NDJSON stream end between two records, with the body's proper end", async (t) => {
    const server = await startServer(t);
    const sse = await server.sse("/channels/x");
    const ndjson = await server.ndjson("/channels/x");
    const raw = await server.raw("/channels/x");
    await publish(server, "x", "last words");
    server.signal("SIGTERM");
    /* rest() fails on a body that breaks off within a chunk or a record. */
    assert.ok((await sse.rest()).some((record) => record.data === "last words"));
    assert.ok((await ndjson.rest()).some((record) => record.data === "last words"));
    assert.ok((await raw.rest()).some((line) => line.toString() === "last words"));
    assert.deepEqual(await server.exited, CLEAN);
});

test("an HTTP/1.0 stream ends by close, after a whole record", async (t) => {
    const server = await startServer(t);
    const ndjson = await server.ndjson("/channels/x", { version: "1.0" });
    await publish(server, "x", "last words");
    server.signal("SIGTERM");
    assert.ok((await ndjson.rest()).some((record) => record.data === "last words"));
    assert.deepEqual(await server.exited, CLEAN);
});

test("a waiting poll is answered with an empty page and a cursor to go on from", async (t) => {
    const server = await startServer(t, { data: true });
    const { id } = await publish(server, "x", "one");
    const conn = await RawConn.open(server.port);
    t.after(() => conn.destroy());
    await conn.send(`GET /channels/x?after=${id}&wait=55 HTTP/1.1\r\nHost: 127.0.0.1:${server.port}\r\n\r\n`);
    await eventually(async () => await subscribersOf(server, "poll") === 1, "the poll to wait");
    server.signal("SIGTERM");
    const answer = await conn.readResponse();
    assert.equal(answer.status, 200);
    assert.deepEqual(answer.json().events, []);
    assert.ok(answer.json().cursor >= id);
    assert.deepEqual(await server.exited, CLEAN);
});

test("WebSockets are closed with a code that says: come back", async (t) => {
    const server = await startServer(t);
    const channel = await Socket.open(t, server, "/channels/x");
    const protocol = await Freshet.open(t, server);
    await protocol.subscribe(["x"]);
    server.signal("SIGTERM");
    for (const socket of [channel, protocol]) {
        const { code } = await socket.closed();
        assert.ok([1001, 1012].includes(code), `closed with ${code}`);
    }
    assert.deepEqual(await server.exited, CLEAN);
});

test("a thousand streams all end, whole", async (t) => {
    const server = await startServer(t);
    const followers = await Promise.all(Array.from({ length: 1000 }, (_, n) =>
        follow(t, server, ["sse", "ndjson"][n % 2], "x")));
    const { id } = await publish(server, "x", "last words");
    server.signal("SIGTERM");
    for (const follower of followers) {
        const { error } = await follower.ended;
        assert.equal(error, undefined);
        assert.deepEqual(follower.events.map((event) => event.id), [id]);
    }
    assert.deepEqual(await server.exited, CLEAN);
});

test("a new connection is refused, or told to come back", async (t) => {
    const server = await startServer(t);
    const stream = await server.ndjson("/channels/x");
    await stream.next();
    server.signal("SIGTERM");
    await stream.rest();
    try {
        const answer = await request(server, "POST", "/channels/x", { body: "too late", fresh: true });
        assert.equal(answer.status, 503, answer.text);
    } catch (error) {
        assert.match(error.code ?? error.message, /ECONNREFUSED|ECONNRESET|EPIPE|hang up/);
    }
    assert.deepEqual(await server.exited, CLEAN);
});

test("a publish whose request was under way is answered, and is there if the answer says so", async (t) => {
    /* A busy machine may take more than the usual 2 s for the answers. */
    const server = await startServer(t, { data: true, config: "limits:\n  drain_ms: 1m\n" });
    const conns = [];
    const half = (n) => `POST /channels/x HTTP/1.1\r\nHost: 127.0.0.1:${server.port}\r\nContent-Length: 10\r\n\r\nhalf ${n}`;
    for (let n = 0; n < 20; n++) {
        const conn = await RawConn.open(server.port);
        t.after(() => conn.destroy());
        await conn.send(half(String(n).padStart(2, "0")));
        conns.push(conn);
    }
    const stream = await server.ndjson("/channels/x");
    await stream.next();
    server.signal("SIGTERM");
    await eventually(() => server.err.includes("event=draining"), "the drain");
    const wanted = [];
    for (const [n, conn] of conns.entries()) {
        await conn.send("end");
        const answer = await conn.readResponse();
        assert.ok([201, 503].includes(answer.status), `answered ${answer.status} ${answer.text}`);
        if (answer.status === 201) {
            wanted.push([answer.json().id, `half ${String(n).padStart(2, "0")}end`]);
        }
        conn.destroy();
    }
    stream.conn.destroy();
    assert.deepEqual(await server.exited, CLEAN);
    await server.start();
    assert.deepEqual((await server.history("x")).map((event) => [event.id, event.data]), wanted.sort());
});

/** Connections whose request for the subscribers is begun, over all workers. */
async function beginLists(t, server, count) {
    const conns = [];
    for (let n = 0; n < count; n++) {
        const conn = await RawConn.open(server.port);
        t.after(() => conn.destroy());
        await conn.send(`GET /subscribers HTTP/1.1\r\nHost: 127.0.0.1:${server.port}\r\n`);
        conns.push(conn);
    }
    return conns;
}

test("in a drain the list of subscribers has all that are still there", async (t) => {
    /* Streams end over the whole of that time: none does in this test. */
    const server = await startServer(t, { args: ["--threads", "2"], config: "limits: {drain_ms: 1d}\n" });
    const streams = [];
    for (let n = 0; n < 20; n++)
        streams.push(await server.ndjson("/channels/x"));
    const lists = await beginLists(t, server, 8);
    server.signal("SIGTERM");
    await eventually(() => server.err.includes("event=draining"), "the drain");
    for (const conn of lists) {
        await conn.send("\r\n");
        const answer = await conn.readResponse();
        assert.equal(answer.status, 200, answer.text);
        assert.equal(answer.json().subscribers.length, 20);
        conn.destroy();
    }
    for (const stream of streams)
        stream.conn.destroy();
    assert.deepEqual(await server.exited, CLEAN);
});

test("in a drain no request waits for workers that have ended", async (t) => {
    const server = await startServer(t, { args: ["--threads", "4"], config: "limits: {drain_ms: 1d}\n" });
    const [list] = await beginLists(t, server, 1);
    const end = await RawConn.open(server.port);
    await end.send(`DELETE /subscribers?subject=a HTTP/1.1\r\nHost: 127.0.0.1:${server.port}\r\n`);
    server.signal("SIGTERM");
    await eventually(() => server.err.includes("event=draining"), "the drain");
    for (const [conn, body] of [[list, { subscribers: [] }], [end, { disconnected: 0 }]]) {
        await conn.send("\r\n");
        assert.deepEqual((await conn.readResponse()).json(), body);
        conn.destroy();
    }
    assert.deepEqual(await server.exited, CLEAN);
});

test("under load every publish that was acknowledged is there after the restart", async (t) => {
    const server = await startServer(t, { data: true });
    for (let round = 0; round < 3; round++) {
        const acked = new Map();
        let enough;
        const reached = new Promise((resolve) => (enough = resolve));
        const publishers = Array.from({ length: 16 }, async (_, who) => {
            for (let n = 0; ; n++) {
                const body = `${round}/${who}/${n}`;
                let answer;
                try {
                    answer = await request(server, "POST", "/channels/x", { body });
                } catch {
                    return;
                }
                if (answer.status === 503) {
                    return;
                }
                assert.equal(answer.status, 201, answer.text);
                acked.set(answer.json().id, body);
                if (acked.size > 300) {
                    enough();
                }
            }
        });
        await reached;
        assert.deepEqual(await server.terminate(), CLEAN);
        await Promise.all(publishers);
        await server.start();
        const { events } = await readAll(server, "channel=x");
        assertIncreasing(events);
        assertChained(events);
        const byId = new Map(events.map((event) => [event.id, event.data]));
        for (const [id, body] of acked) {
            assert.equal(byId.get(id), body, `the acknowledged event ${id} is lost`);
        }
    }
});

test("a consumer that does not read does not keep the server from ending", async (t) => {
    const server = await startServer(t);
    const stream = await server.ndjson("/channels/x?after=earliest");
    await stream.next();
    stream.conn.stopReading();
    for (let n = 0; n < 20; n++) {
        await publishMany(server, "x", 100, () => "x".repeat(5000));
    }
    server.signal("SIGTERM");
    assert.deepEqual(await server.exited, CLEAN);
});

test("a client that holds an idle connection, or half a request, does not keep the server from ending", async (t) => {
    const server = await startServer(t);
    const idle = await RawConn.open(server.port);
    const half = await RawConn.open(server.port);
    t.after(() => [idle, half].forEach((conn) => conn.destroy()));
    await half.send("GET /channels/x HTTP/1.1\r\nHos");
    await publish(server, "x", "both connections were seen");
    server.signal("SIGTERM");
    assert.deepEqual(await server.exited, CLEAN);
});

test("a second SIGTERM ends the server at once, whatever is under way", async (t) => {
    const server = await startServer(t, { data: true });
    server.expectKilled = true; /* it need not say 0 */
    const { id } = await publish(server, "x", "safe");
    const half = await RawConn.open(server.port);
    t.after(() => half.destroy());
    await half.send(`POST /channels/x HTTP/1.1\r\nHost: 127.0.0.1:${server.port}\r\nContent-Length: 100\r\n\r\nhalf`);
    const stream = await server.ndjson("/channels/x?after=earliest");
    await stream.next();
    stream.conn.stopReading();
    const polite = await server.ndjson("/channels/x");
    await polite.next();
    server.signal("SIGTERM");
    await polite.rest(); /* it has taken notice of the first */
    server.signal("SIGTERM");
    const end = await server.exited;
    assert.ok(["SIGTERM", null].includes(end.signal), JSON.stringify(end));
    await server.start();
    assert.deepEqual((await server.history("x")).map((event) => event.id), [id]);
});

test("SIGINT, as a terminal sends it, drains too", async (t) => {
    const server = await startServer(t);
    const stream = await server.ndjson("/channels/x");
    await stream.next();
    server.signal("SIGINT");
    await stream.rest();
    assert.deepEqual(await server.exited, CLEAN);
});

test("with a delay /readyz says that the server is going, and everything is served meanwhile", async (t) => {
    const server = await startServer(t, { config: "limits:\n  drain_delay_ms: 1h\n" });
    server.expectKilled = true; /* the hour is not waited for */
    const stream = await server.ndjson("/channels/x");
    await stream.next();
    assert.equal((await server.get("/readyz")).status, 200);
    server.signal("SIGTERM");
    await eventually(async () => (await server.get("/readyz")).status === 503, "/readyz to say 503");
    assert.equal((await server.get("/healthz")).status, 200);
    const late = await server.ndjson("/channels/x");
    await late.next();
    const { id } = await publish(server, "x", "as before");
    for (const reader of [stream, late]) {
        assert.equal((await reader.event()).id, id);
    }
    server.signal("SIGTERM");
    assert.notDeepEqual(await server.exited, CLEAN);
});

test("after its delay the server drains", async (t) => {
    const server = await startServer(t, { config: "limits:\n  drain_delay_ms: 50ms\n" });
    const stream = await server.ndjson("/channels/x");
    await publish(server, "x", "last words");
    server.signal("SIGTERM");
    assert.ok((await stream.rest()).some((record) => record.data === "last words"));
    assert.deepEqual(await server.exited, CLEAN);
});

test("SIGHUP ends nothing, and the log says so", async (t) => {
    const server = await startServer(t, { config: null });
    const stream = await server.ndjson("/channels/x");
    await stream.next();
    server.signal("SIGHUP");
    await eventually(() => server.err.includes("signal=SIGHUP"), "a line in the log");
    server.signal("SIGHUP");
    const { id } = await publish(server, "x", "still there");
    assert.equal((await stream.event()).id, id);
    assert.deepEqual(await server.terminate(), CLEAN);
});

test("a server whose standard streams are closed writes to none of its connections", async (t) => {
    const dir = temporaryFolder(t);
    const port = await freePort();
    const child = spawn("sh", ["-c", `exec "${BIN}" serve --memory --listen 127.0.0.1:${port} <&- >&- 2>&-`],
        { cwd: dir, stdio: "ignore" });
    t.after(() => child.kill("SIGKILL"));
    const gone = new Promise((resolve) => child.once("close", (code) => resolve(code)));
    const url = `http://127.0.0.1:${port}`;
    await eventually(() => fetch(`${url}/healthz`).then(() => true, () => false), "the server to listen");
    for (const fd of [0, 1, 2]) {
        assert.equal(fs.readlinkSync(`/proc/${child.pid}/fd/${fd}`), "/dev/null");
    }
    const stream = await fetch(`${url}/channels/x?stream=ndjson`);
    child.kill("SIGHUP"); /* makes it write a line */
    child.kill("SIGTERM");
    for (const line of (await stream.text()).trim().split("\n")) {
        JSON.parse(line);
    }
    assert.equal(await gone, 0);
});

test("a server with too few file descriptors does not start; with few, it logs how many connections it can hold", async (t) => {
    const dir = temporaryFolder(t);
    const serve = (files) => spawnSync("sh", ["-c", `ulimit -n ${files}; exec "${BIN}" serve --memory --threads 2 --listen 127.0.0.1:0`],
        { cwd: dir, encoding: "utf8" });
    for (const files of [4, 20, 60, 79]) {
        const { status, stderr } = serve(files);
        assert.equal(status, 1, stderr);
        assert.match(stderr, /may open \d+ files, and a server with 2 workers needs 80/);
        assert.match(stderr, /ulimit -n/);
    }
    const server = await startServer(t);
    await eventually(() => /connections_max=\d+/.test(server.err), "the number in the log");
});
