// Content-Encoding of what is sent to the server: gzip is undone, anything else is refused.

import assert from "node:assert/strict";
import { gzipSync, deflateSync, brotliCompressSync } from "node:zlib";
import { sign as signAsGitHub } from "@octokit/webhooks-methods";
import { assertProblem, bothStores, RawConn, startServer, test } from "./support/index.mjs";

const GZIP = { "Content-Encoding": "gzip" };
const JSON_TYPE = { "Content-Type": "application/json" };
const MIB = 1 << 20;

bothStores("what a publisher compressed is stored as it was before", async (t, server) => {
    const bodies = [
        ["text", "hello", {}], ["é", "🧀 ".repeat(1000), {}], ["large", "x".repeat(300_000), {}],
        ["json", '{"a" : [1,2] }', JSON_TYPE],
        ["larger", `[${Array.from({ length: 60_000 }, (_, n) => n).join(",")}]`, JSON_TYPE],
    ];
    for (const [channel, body, headers] of bodies) {
        for (const coding of ["gzip", "x-gzip", "GZIP"]) {
            const answer = await server.post(channel, gzipSync(body), { ...headers, "Content-Encoding": coding });
            assert.equal(answer.status, 201, answer.text);
        }
        const kept = headers === JSON_TYPE ? JSON.parse(body) : body;
        assert.deepEqual((await server.history(channel)).map(({ data }) => data), [kept, kept, kept]);
    }
    const bytes = Buffer.from([0, 255, 128, 10]);
    await server.post("binary", gzipSync(bytes), { ...GZIP, "Content-Type": "application/octet-stream" });
    assert.equal((await server.history("binary"))[0].data_base64, bytes.toString("base64"));
});

bothStores("many events may be compressed together, as JSON or as lines", async (t, server) => {
    const events = Array.from({ length: 500 }, (_, n) => ({ channel: "many", data: `${n} ${"x".repeat(500)}` }));
    for (const [type, body] of [["application/json", JSON.stringify(events)],
        ["application/x-ndjson", events.map((event) => JSON.stringify(event)).join("\n")]]) {
        const answer = await server.request("POST", "/events", { body: gzipSync(body), headers: { ...GZIP, "Content-Type": type } });
        assert.equal(answer.status, 201, answer.text);
    }
    const { events: kept } = (await server.get("/channels/many?after=earliest&limit=1000")).json();
    assert.deepEqual(kept.map(({ data }) => data), [...events, ...events].map(({ data }) => data));
});

test("compressed bodies in chunks, and requests behind one another, keep their order", async (t) => {
    const server = await startServer(t);
    const conn = await RawConn.open(server.port);
    t.after(() => conn.destroy());
    const host = `Host: 127.0.0.1:${server.port}\r\n`;
    const bodies = ["a".repeat(300_000), "short", JSON.stringify({ b: "c".repeat(400_000) }), "", "plain"];
    for (const [n, body] of bodies.entries()) {
        const bytes = body === "plain" ? Buffer.from(body) : gzipSync(body);
        const head = `POST /channels/x HTTP/1.1\r\n${host}${body === "plain" ? "" : "Content-Encoding: gzip\r\n"}`;
        if (n % 2) {
            await conn.send(`${head}Content-Length: ${bytes.length}\r\n\r\n`);
            await conn.send(bytes);
            continue;
        }
        await conn.send(`${head}Transfer-Encoding: chunked\r\n\r\n`);
        for (let at = 0; at < bytes.length; at += 100) {
            const piece = bytes.subarray(at, at + 100);
            await conn.send(`${piece.length.toString(16)}\r\n`);
            await conn.send(piece);
            await conn.send("\r\n");
        }
        await conn.send("0\r\n\r\n");
    }
    for (const _ of bodies) {
        assert.equal((await conn.readResponse()).status, 201);
    }
    assert.deepEqual((await server.history("x")).map(({ data }) => data), bodies);
});

test("a bomb is 413 and what is not gzip 400; nothing is published, and others do not notice", async (t) => {
    const server = await startServer(t);
    const whole = gzipSync("a".repeat(1000));
    for (const [status, body] of [
        [413, gzipSync(Buffer.alloc(MIB + 1))], [413, gzipSync(Buffer.alloc(200 * MIB))],
        [413, Buffer.concat(Array.from({ length: 20 }, () => gzipSync(Buffer.alloc(MIB / 10))))],
        [400, "hello"], [400, whole.subarray(0, -1)], [400, whole.subarray(0, 12)], [400, Buffer.concat([whole, Buffer.from("more")])],
        [400, deflateSync("hello")], [400, Buffer.concat([whole.subarray(0, 20), Buffer.alloc(10), whole.subarray(20)])],
    ]) {
        assertProblem(await server.post("x", body, GZIP), status);
    }
    assert.equal((await server.post("x", gzipSync(Buffer.alloc(MIB, "a")), GZIP)).status, 201);
    assert.equal((await server.history("x")).length, 1);
});

test("another coding is 415, which says what may be sent, before the body is", async (t) => {
    const server = await startServer(t);
    for (const coding of ["br", "deflate", "zstd", "gzip, gzip", "compress", "gzip;q=1", "aws-chunked,gzip"]) {
        const answer = await server.post("x", brotliCompressSync("hello"), { "Content-Encoding": coding });
        const problem = assertProblem(answer, 415);
        assert.match(problem.type, /bad-coding$/);
        assert.equal(answer.headers["accept-encoding"], "gzip");
    }
    const conn = await RawConn.open(server.port);
    t.after(() => conn.destroy());
    await conn.send(`POST /channels/x HTTP/1.1\r\nHost: 127.0.0.1:${server.port}\r\nContent-Encoding: br\r\n` +
        "Expect: 100-continue\r\nContent-Length: 1000\r\n\r\n");
    assert.equal((await conn.readResponse()).status, 415);
    assert.equal((await server.post("x", "as it is", { "Content-Encoding": "identity" })).status, 201);
    assert.deepEqual((await server.history("x")).map(({ data }) => data), ["as it is"]);
});

test("webhooks of others are signed as they came, and become events as they were before", async (t) => {
    const server = await startServer(t, {
        config: 'inbound:\n  - source: github\n    kind: github\n    channel: "github/{body.repository.name}"\n    secrets: ["a-secret-of-this-test"]\n',
    });
    const body = JSON.stringify({ repository: { name: "a" }, more: "x".repeat(100_000) });
    const bytes = gzipSync(body);
    const deliver = (signature) => server.request("POST", "/inbound/github", {
        body: bytes, headers: { ...JSON_TYPE, ...GZIP, "X-GitHub-Event": "push", "X-GitHub-Delivery": "1", "X-Hub-Signature-256": signature },
    });
    const { createHmac } = await import("node:crypto");
    const answer = await deliver(`sha256=${createHmac("sha256", "a-secret-of-this-test").update(bytes).digest("hex")}`);
    assert.equal(answer.status, 201, answer.text);
    const [event] = await server.history("github/a");
    assert.deepEqual(event.data, JSON.parse(body));
    assertProblem(await deliver(await signAsGitHub("a-secret-of-this-test", body)), 403);
});

test("a webhook may be registered by a compressed body", async (t) => {
    const server = await startServer(t);
    const body = gzipSync(JSON.stringify({ url: "http://127.0.0.1:1/", channels: ["x"] }));
    const answer = await server.request("POST", "/webhooks", { body, headers: { ...JSON_TYPE, ...GZIP } });
    assert.equal(answer.status, 201, answer.text);
});
