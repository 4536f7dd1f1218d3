// What the HTTP server takes, how much of it, and how it says that it is too much.

import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import {
    RawConn, assertProblem, dataOf, idsOf, rawRequest, startServer, sideBySide,
} from "./support/index.mjs";

const { bothStores, test } = sideBySide(4);

const MIB = 1024 * 1024;

function hostOf(server) {
    return `Host: 127.0.0.1:${server.port}\r\n`;
}

/** Sends, reads one answer that must be a problem, and waits for the server to close. */
async function refusedAndClosed(server, text, status, ms) {
    const conn = await RawConn.open(server.port);
    await conn.send(text);
    const answer = await conn.readResponse({ ms });
    assertProblem(answer, status);
    await conn.readToEnd("the connection to be closed", ms);
    conn.destroy();
    return answer;
}

test("a target too long is refused with 414", async (t) => {
    const server = await startServer(t);
    for (const target of [`/channels/${"a".repeat(70_000)}`, `/events?channel=${"a".repeat(300_000)}`]) {
        await refusedAndClosed(server, `GET ${target} HTTP/1.1\r\n${hostOf(server)}\r\n`, 414);
    }
    await refusedAndClosed(server, `GET /${"a".repeat(2 * MIB)}`, 414);
});

test("headers too long or too many are refused with 431", async (t) => {
    const server = await startServer(t);
    const line = `GET /healthz HTTP/1.1\r\n${hostOf(server)}`;
    await refusedAndClosed(server, `${line}X: ${"a".repeat(300_000)}\r\n\r\n`, 431);
    await refusedAndClosed(server, `${line}${"a".repeat(300_000)}: x\r\n\r\n`, 431);
    await refusedAndClosed(server, `${line}${"X: y\r\n".repeat(10_000)}\r\n`, 431);
    await refusedAndClosed(server, `${line}${"X: y\r\n".repeat(200_000)}`, 431);
});

test("requests of real clients fit: a 4 KiB target, 4 KiB of cookie, 50 headers", async (t) => {
    const server = await startServer(t);
    const names = Array.from({ length: 99 }, (_, n) => `channel=${`name-${n}`.padEnd(30, "x")}`).join("&");
    assert.ok(names.length > 3800);
    assert.equal((await server.get(`/events?${names}`)).status, 200);
    assert.equal((await server.get("/channels/a", { Cookie: "c".repeat(4096) })).status, 200);
    const many = Object.fromEntries(Array.from({ length: 50 }, (_, n) => [`X-Header-${n}`, "value"]));
    assert.equal((await server.get("/channels/a", many)).status, 200);
});

bothStores("a body of 1 MiB is taken, one byte more is 413", async (t, server) => {
    assert.equal((await server.post("a", "x".repeat(MIB))).status, 201);
    assertProblem(await server.post("a", "x".repeat(MIB + 1), {}, ""), 413);
    assert.equal((await server.history("a")).length, 1);
});

test("a body too large is refused before it is sent", async (t) => {
    const server = await startServer(t);
    const head = `POST /channels/a HTTP/1.1\r\n${hostOf(server)}`;
    for (const length of [MIB + 1, 10 * 1024 * MIB]) {
        const conn = await RawConn.open(server.port);
        await conn.send(`${head}Content-Length: ${length}\r\n\r\n`);
        assertProblem(await conn.readResponse(), 413);
        conn.destroy();
    }
    const conn = await RawConn.open(server.port);
    await conn.send(`${head}Content-Length: ${MIB + 1}\r\nExpect: 100-continue\r\n\r\n`);
    const answer = await conn.readResponse();
    assertProblem(answer, 413);
    assert.deepEqual(answer.interim, [], "it asked for a body that it refuses");
});

test("a chunked body too large is refused, however small its chunks", async (t) => {
    const server = await startServer(t);
    const head = `POST /channels/a HTTP/1.1\r\n${hostOf(server)}Transfer-Encoding: chunked\r\n\r\n`;
    const chunk = `10000\r\n${"x".repeat(65536)}\r\n`;
    const small = `10\r\n${"x".repeat(16)}\r\n`.repeat(70_000);
    for (const body of [chunk.repeat(17), small, `${(MIB + 1).toString(16)}\r\n`]) {
        const conn = await RawConn.open(server.port);
        await conn.send(head + body);
        assertProblem(await conn.readResponse(), 413);
        conn.destroy();
    }
    assert.deepEqual(await server.history("a"), []);
});

bothStores("a chunked body is taken, whatever its chunks", async (t, server) => {
    const head = `POST /channels/a HTTP/1.1\r\n${hostOf(server)}Transfer-Encoding: chunked\r\n`;
    const bodies = [
        "5\r\nhello\r\n0\r\n\r\n",
        "1\r\nh\r\n4\r\nello\r\n0\r\n\r\n",
        "05\r\nhello\r\n00\r\n\r\n",
        "5\r\nhello\r\n0\r\nX-Trailer: ignored\r\nY: z\r\n\r\n",
        "5;name=value\r\nhello\r\n0\r\n\r\n",
        '5;name="quoted value"\r\nhello\r\n0;last\r\n\r\n',
    ];
    for (const body of bodies) {
        const [answer] = await rawRequest(server.port, `${head}\r\n${body}`);
        assert.equal(answer.status, 201, `${JSON.stringify(body)}: ${answer.text}`);
    }
    const [upper, lower] = ["A", "a"].map((size) => `${size}\r\n0123456789\r\n0\r\n\r\n`);
    const answers = await rawRequest(server.port, `${head}\r\n${upper}${head}\r\n${lower}`, { count: 2 });
    assert.deepEqual(answers.map((answer) => answer.status), [201, 201]);
    assert.deepEqual(dataOf(await server.history("a")),
        [...bodies.map(() => "hello"), "0123456789", "0123456789"]);
});

test("an empty chunked body is an empty body", async (t) => {
    const server = await startServer(t);
    const [answer] = await rawRequest(server.port,
        `POST /channels/a HTTP/1.1\r\n${hostOf(server)}Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n`);
    assert.equal(answer.status, 201);
    assert.deepEqual(dataOf(await server.history("a")), [""]);
});

test("a trailer cannot set what a header would", async (t) => {
    const server = await startServer(t);
    const [answer] = await rawRequest(server.port,
        `POST /channels/a HTTP/1.1\r\n${hostOf(server)}Transfer-Encoding: chunked\r\n\r\n` +
        "1\r\nx\r\n0\r\nEvent-Type: trailer\r\nContent-Length: 50\r\nHost: evil.com\r\n\r\n");
    assert.ok([201, 400].includes(answer.status), `${answer.status}`);
    for (const event of await server.history("a")) {
        assert.equal(event.type, "message");
    }
});

bothStores("a request may arrive in any pieces", async (t, server) => {
    const json = '{"ä":[1,2,3]}';
    const sized = `POST /channels/a HTTP/1.1\r\n${hostOf(server)}Content-Type: application/json\r\n` +
        `Content-Length: ${Buffer.byteLength(json)}\r\n\r\n${json}`;
    const chunked = `POST /channels/a HTTP/1.1\r\n${hostOf(server)}Transfer-Encoding: chunked\r\n\r\n` +
        "3;x=y\r\nabc\r\n2\r\nde\r\n0\r\nT: x\r\n\r\n";
    for (const size of [1, 2, 3, 7]) {
        const conn = await RawConn.open(server.port);
        await conn.sendSlowly(sized + chunked, size);
        assert.equal((await conn.readResponse()).status, 201);
        assert.equal((await conn.readResponse()).status, 201);
        conn.destroy();
    }
    assert.deepEqual(dataOf(await server.history("a")),
        [1, 2, 3, 7].flatMap(() => [{ ä: [1, 2, 3] }, "abcde"]));
});

bothStores("pipelined requests are answered in order", async (t, server) => {
    const requests = [];
    for (let n = 0; n < 60; n++) {
        requests.push(`POST /channels/a HTTP/1.1\r\n${hostOf(server)}Content-Length: 2\r\n\r\n` +
            String(n).padStart(2, "0"));
        requests.push(`GET /channels/a?last=1 HTTP/1.1\r\n${hostOf(server)}\r\n`);
    }
    const answers = await rawRequest(server.port, requests.join(""), { count: 120 });
    for (let n = 0; n < 60; n++) {
        assert.equal(answers[2 * n].status, 201);
        const [event] = answers[2 * n + 1].json().events;
        assert.equal(event.id, answers[2 * n].json().id, "a pipelined read did not see the write before it");
        assert.equal(event.data, String(n).padStart(2, "0"));
    }
});

bothStores("a thousand publishes in flight on one connection keep their order", async (t, server) => {
    const requests = Array.from({ length: 1000 }, (_, n) =>
        `POST /channels/a HTTP/1.1\r\n${hostOf(server)}Content-Length: 3\r\n\r\n${String(n).padStart(3, "0")}`);
    const answers = await rawRequest(server.port, requests.join(""), { count: 1000 });
    const ids = answers.map((answer) => answer.json().id);
    const events = (await server.page("/channels/a?limit=1000")).events;
    assert.deepEqual(idsOf(events), ids);
    assert.deepEqual(dataOf(events), Array.from({ length: 1000 }, (_, n) => String(n).padStart(3, "0")));
});

test("a client that pipelines without reading is not served without limit", async (t) => {
    const server = await startServer(t);
    await server.publish("a", "x".repeat(500 * 1024));
    const conn = await RawConn.open(server.port);
    conn.stopReading();
    await conn.send(`GET /channels/a HTTP/1.1\r\n${hostOf(server)}\r\n`.repeat(500));
    assert.equal((await server.get("/healthz")).status, 200);
    conn.readAgain();
    for (let n = 0; n < 500; n++) {
        assert.equal((await conn.readResponse()).bytes.length > 500 * 1024, true);
    }
});

test("Expect: 100-continue is answered before the body comes", async (t) => {
    const server = await startServer(t);
    const conn = await RawConn.open(server.port);
    await conn.send(
        `POST /channels/a HTTP/1.1\r\n${hostOf(server)}Content-Length: 5\r\nExpect: 100-continue\r\n\r\n`);
    const interim = await conn.readHead();
    assert.equal(interim.status, 100);
    await conn.send("hello");
    assert.equal((await conn.readResponse()).status, 201);
    await conn.send(`POST /channels/a HTTP/1.1\r\n${hostOf(server)}Transfer-Encoding: chunked\r\n` +
        "expect: 100-Continue\r\n\r\n");
    assert.equal((await conn.readHead()).status, 100);
    await conn.send("2\r\nhi\r\n0\r\n\r\n");
    assert.equal((await conn.readResponse()).status, 201);
    assert.deepEqual(dataOf(await server.history("a")), ["hello", "hi"]);
});

test("an expectation that comes with its body, from HTTP/1.0, or unknown does no harm", async (t) => {
    const server = await startServer(t);
    const head = (version) => `POST /channels/a HTTP/${version}\r\n${hostOf(server)}Content-Length: 2\r\n`;
    const conn = await RawConn.open(server.port);
    await conn.send(`${head("1.1")}Expect: 100-continue\r\n\r\nhi`);
    assert.equal((await conn.readResponse()).status, 201);
    const [old] = await rawRequest(server.port, `${head("1.0")}Expect: 100-continue\r\n\r\nhi`);
    assert.equal(old.status, 201);
    assert.deepEqual(old.interim, []);
    const [unknown] = await rawRequest(server.port, `${head("1.1")}Expect: miracles\r\n\r\nhi`);
    assertProblem(unknown, 417);
});

test("HEAD has the length that GET would have, and the connection stays in step", async (t) => {
    const server = await startServer(t);
    await server.publish("a", "x");
    const conn = await RawConn.open(server.port);
    for (const path of ["/channels/a", "/healthz", "/stats", "/metrics", "/", "/channels"]) {
        await conn.send(`GET ${path} HTTP/1.1\r\n${hostOf(server)}\r\n`);
        const get = await conn.readResponse();
        assert.equal(get.status, 200, path);
        await conn.send(`HEAD ${path} HTTP/1.1\r\n${hostOf(server)}\r\n`);
        const head = await conn.readResponse({ method: "HEAD" });
        assert.equal(head.status, 200, path);
        assert.equal(head.headers["content-type"], get.headers["content-type"]);
    }
    await conn.send(`HEAD /channels/a HTTP/1.1\r\n${hostOf(server)}\r\n`);
    const head = await conn.readResponse({ method: "HEAD" });
    await conn.send(`GET /channels/a HTTP/1.1\r\n${hostOf(server)}\r\n`);
    const get = await conn.readResponse();
    if (head.headers["content-length"] !== undefined) {
        assert.equal(Number(head.headers["content-length"]), get.bytes.length);
    }
});

test("OPTIONS tells what a resource takes", async (t) => {
    const server = await startServer(t);
    const answer = await server.request("OPTIONS", "/channels/a");
    assert.ok([200, 204].includes(answer.status));
    for (const method of ["GET", "HEAD", "POST", "DELETE", "OPTIONS"]) {
        assert.ok(answer.headers.allow.split(/\s*,\s*/).includes(method), answer.headers.allow);
    }
    const [star] = await rawRequest(server.port, `OPTIONS * HTTP/1.1\r\n${hostOf(server)}\r\n`);
    assert.ok([200, 204].includes(star.status), `${star.status}`);
});

test("a method that nobody knows is refused and the connection goes on", async (t) => {
    const server = await startServer(t);
    const conn = await RawConn.open(server.port);
    for (const method of ["BREW", "get", "TRACE", "X-Y!"]) {
        await conn.send(`${method} /channels/a HTTP/1.1\r\n${hostOf(server)}\r\n`);
        assertProblem(await conn.readResponse(), [405, 501]);
    }
    await conn.send(`GET /healthz HTTP/1.1\r\n${hostOf(server)}\r\n`);
    assert.equal((await conn.readResponse()).status, 200);
});

bothStores("one connection serves many requests", async (t, server) => {
    const conn = await RawConn.open(server.port);
    for (let n = 0; n < 100; n++) {
        const body = `${n}`;
        await conn.send(
            `POST /channels/a HTTP/1.1\r\n${hostOf(server)}Content-Length: ${body.length}\r\n\r\n${body}`);
        assert.equal((await conn.readResponse()).status, 201);
    }
    assert.equal((await server.history("a")).length, 100);
});

test("Connection: close is obeyed and said", async (t) => {
    const server = await startServer(t);
    for (const value of ["close", "Close", "foo, close", "keep-alive, close"]) {
        const conn = await RawConn.open(server.port);
        await conn.send(`GET /healthz HTTP/1.1\r\n${hostOf(server)}Connection: ${value}\r\n\r\n`);
        const answer = await conn.readResponse();
        assert.equal(answer.status, 200);
        assert.match(answer.headers.connection ?? "", /\bclose\b/i);
        await conn.readToEnd();
    }
});

test("an HTTP/1.0 connection ends with its answer", async (t) => {
    const server = await startServer(t);
    await server.publish("a", "x");
    const conn = await RawConn.open(server.port);
    await conn.send(`GET /channels/a HTTP/1.0\r\n${hostOf(server)}\r\n`);
    const answer = await conn.readResponse();
    assert.equal(answer.status, 200);
    assert.equal(answer.json().events.length, 1);
    await conn.readToEnd();
});

test("a client that ends its side after the request still gets the answer", async (t) => {
    const server = await startServer(t);
    const conn = await RawConn.open(server.port);
    await conn.send(`GET /healthz HTTP/1.1\r\n${hostOf(server)}\r\n`);
    conn.halfClose();
    assert.equal((await conn.readResponse()).status, 200);
    await conn.readToEnd();
    const post = await RawConn.open(server.port);
    await post.send(`POST /channels/a HTTP/1.1\r\n${hostOf(server)}Content-Length: 2\r\n\r\nhi`);
    post.halfClose();
    assert.equal((await post.readResponse()).status, 201);
});

test("an absolute target is understood", async (t) => {
    const server = await startServer(t);
    const [answer] = await rawRequest(
        server.port, `GET http://127.0.0.1:${server.port}/channels/a?limit=1 HTTP/1.1\r\n${hostOf(server)}\r\n`);
    assert.equal(answer.status, 200);
});

test("an empty line in front of a request is no request", async (t) => {
    const server = await startServer(t);
    const conn = await RawConn.open(server.port);
    await conn.send(`GET /healthz HTTP/1.1\r\n${hostOf(server)}\r\n`);
    assert.equal((await conn.readResponse()).status, 200);
    await conn.send(`\r\nGET /healthz HTTP/1.1\r\n${hostOf(server)}\r\n`);
    assert.ok([200, 400].includes((await conn.readResponse()).status));
});

test("a client that vanishes in the middle of a request leaves nothing behind", async (t) => {
    const server = await startServer(t);
    const head = `POST /channels/a HTTP/1.1\r\n${hostOf(server)}`;
    for (const part of ["", "GET", head, `${head}Content-Length: 10\r\n\r\nhalf`,
        `${head}Transfer-Encoding: chunked\r\n\r\n5\r\nhel`,
        `${head}Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n`]) {
        const conn = await RawConn.open(server.port);
        await conn.send(part);
        conn.destroy();
        const half = await RawConn.open(server.port);
        await half.send(part);
        half.halfClose();
        await half.readToEnd();
    }
    assert.deepEqual(await server.history("a"), []);
});

test("bytes that are no HTTP are refused and do no harm", async (t) => {
    const server = await startServer(t);
    const hello = Buffer.from("16030100a5010000a10303", "hex"); // how TLS begins
    for (const bytes of [hello, Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), Buffer.from("\r\n\r\n\r\n\r\n"),
        randomBytes(5000), Buffer.alloc(5000), Buffer.alloc(5000, 0xff), Buffer.from("HELO mail\r\n\r\n")]) {
        const conn = await RawConn.open(server.port);
        await conn.send(bytes);
        conn.halfClose();
        await conn.readToEnd();
    }
    assert.equal((await server.get("/healthz")).status, 200);
});

test("connections that say nothing keep nobody else out", async (t) => {
    const server = await startServer(t);
    const conns = await Promise.all(Array.from({ length: 300 }, () => RawConn.open(server.port)));
    assert.equal((await server.get("/healthz")).status, 200);
    assert.equal(conns.length, 300);
});

test("a head that takes too long is answered with 408 and closed", { timeout: 180_000 }, async (t) => {
    const server = await startServer(t, { config: "limits: {}\n" });
    const stuck = await RawConn.open(server.port);
    await stuck.send(`GET /healthz HTTP/1.1\r\n${hostOf(server)}X: never ends`);
    const dripping = await RawConn.open(server.port);
    await dripping.send("GET /healthz HTTP/1.1\r\nX: ");
    const drip = setInterval(() => dripping.send("a"), 500); // to send something does not help
    try {
        for (const conn of [stuck, dripping]) {
            const answer = await conn.readResponse({ ms: 150_000 });
            assertProblem(answer, 408);
            clearInterval(drip);
            await conn.readToEnd();
        }
    } finally {
        clearInterval(drip);
    }
});

test("an answer says for how long its connection is kept", async (t) => {
    const server = await startServer(t);
    const short = await startServer(t, { config: "limits: {idle_ms: 90s}\n" });
    const never = await startServer(t, { config: "limits: {idle_ms: 999ms}\n" });
    for (const [one, timeout] of [[server, "timeout=620"], [short, "timeout=90"], [never, undefined]]) {
        for (const [method, path, status] of [["GET", "/channels/a", 200], ["GET", "/channels/a?after=now&wait=1", 200],
            ["POST", "/channels/a", 201], ["GET", "/nowhere", 404], ["OPTIONS", "/channels/a", 204], ["HEAD", "/stats", 200]]) {
            const length = method === "POST" ? "Content-Length: 1\r\n\r\nx" : "\r\n";
            const [kept] = await rawRequest(one.port, `${method} ${path} HTTP/1.1\r\n${hostOf(one)}${length}`, { method });
            assert.equal(kept.status, status);
            assert.equal(kept.headers["keep-alive"], timeout, `${method} ${path}`);
            const [last] = await rawRequest(one.port,
                `${method} ${path} HTTP/1.1\r\n${hostOf(one)}Connection: close\r\n${length}`, { method });
            assert.equal(last.headers["keep-alive"], undefined);
        }
        const stream = await one.sse("/channels/a");
        assert.equal(stream.headers["keep-alive"], undefined);
        stream.close();
    }
});
