// Compressed streams (`compress` of a namespace), by the decoders of others: curl, node, undici's fetch, Python, and
// zlib, which refuses a stream that is cut short or whose checksum is wrong.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import crypto from "node:crypto";
import http from "node:http";
import http2 from "node:http2";
import https from "node:https";
import zlib from "node:zlib";
import { EventSource } from "eventsource";
import { Certificates } from "./support/certificates.mjs";
import { curlStream, eventually, startServer, subscribersOf, sideBySide } from "./support/index.mjs";

const { test } = sideBySide(4);

const CONFIG = "namespaces:\n- prefix: z\n  compress: true\n- prefix: z/secret\n";
const GZIP = { "Accept-Encoding": "gzip" };
const APP_KEY = `fk_abcdefghij_${"a2b3".repeat(13)}`; /* of this test alone */

const start = (t, options = {}) => startServer(t, { config: CONFIG, ...options });

/** Reads an answer to its end: its headers, the bytes as they came, and what they decode to. */
function follow(server, path, headers = GZIP) {
    const got = { bytes: [], text: "", tail: "" };
    const request = http.get(`${server.url}${path}`, { headers, agent: false });
    server.onStop(() => request.destroy());
    got.opened = new Promise((resolve, reject) => {
        request.on("error", reject);
        request.on("response", (answer) => {
            got.headers = answer.headers;
            const text = answer.headers["content-encoding"] === "gzip" ? answer.pipe(zlib.createGunzip()) : answer;
            answer.on("data", (bytes) => got.bytes.push(bytes));
            text.on("data", (bytes) => {
                got.text += bytes;
                got.tail = (got.tail + bytes).slice(-100_000); /* to search in all of it again and again takes long */
            });
            got.ended = new Promise((done, failed) => text.on("end", done).on("error", failed));
            got.ended.catch(() => {});
            resolve(got);
        });
    });
    got.until = (pattern) => eventually(() => pattern.test(got.tail), `${pattern}; so far: ${got.tail.slice(-2000)}`);
    return got.opened;
}

const lines = (text) => text.split("\n").filter(Boolean).map((line) => JSON.parse(line));
const numbers = (text) => lines(text).filter(({ id }) => id).map(({ data }) => data.n);
const upTo = (count) => Array.from({ length: count }, (_, n) => n);

test("a stream is compressed if the client asks and the namespaces of its channels allow it", async (t) => {
    const server = await start(t);
    const rows = [
        ["/channels/z/a?stream=sse", "gzip", true],
        ["/channels/z/a?stream=ndjson", "gzip;q=0.5, br", true],
        ["/channels/z/a?stream=raw", "*", true],
        ["/channels/z?stream=sse", "gzip", true],
        ["/events?channel=z/a&channel=z/b/**&stream=ndjson", "gzip", true],
        ["/channels/z/a?stream=sse", "identity", false],
        ["/channels/z/a?stream=sse", "gzip;q=0", false],
        ["/channels/z/a?stream=sse", "gzip;q=0.1, identity", false],
        ["/channels/z/secret?stream=sse", "gzip", undefined],
        ["/events?channel=z/**&stream=sse", "gzip", undefined], /* may be of z/secret */
        ["/channels/a?stream=sse", "gzip", undefined],
        ["/events?channel=z/a&channel=a&stream=ndjson", "gzip", undefined],
    ];
    for (const [path, coding, want] of rows) {
        for (const method of ["GET", "HEAD"]) {
            const answer = await new Promise((resolve, reject) => http.request(`${server.url}${path}`,
                { method, headers: { "Accept-Encoding": coding }, agent: false }, resolve).on("error", reject).end());
            answer.destroy();
            assert.equal(answer.statusCode, 200);
            assert.equal(answer.headers["content-encoding"], want ? "gzip" : undefined, `${path} ${coding} ${method}`);
            assert.equal(/accept-encoding/i.test(answer.headers.vary), want !== undefined, `${path} Vary`);
        }
    }
});

test("events, beats, gaps and the goodbye arrive at once, and the stream ends with its checksum", async (t) => {
    const server = await start(t);
    const gone = await server.publish("z/a", { n: -1 });
    await server.publish("z/a", { n: -1 });
    await server.request("DELETE", "/channels/z/a");
    const streams = [];
    for (const format of ["sse", "ndjson"]) {
        streams.push(await follow(server, `/channels/z/a?stream=${format}&beat=5&format=event&after=${gone.id}`));
    }
    for (let n = 0; n < 20; n++) {
        await server.publish("z/a", { n, text: "the same words again and again and again" });
        for (const stream of streams) {
            await stream.until(new RegExp(`"n":${n},`));
        }
    }
    await streams[0].until(/event: \$gap\n/);
    await streams[1].until(/"op":"gap"/);
    await eventually(() => streams.every(({ text }) => text.match(/beat"?\b/g)?.length > 1), "a beat of its own time");
    const ended = Promise.all(streams.map((stream) => stream.ended));
    await server.terminate();
    await ended;
    assert.match(streams[0].text, /event: \$bye\n/);
    assert.match(streams[1].text, /"op":"bye"/);
    assert.deepEqual(numbers(streams[1].text), upTo(20));
});

test("a thousand events to catch up with are a few parts, and much smaller", async (t) => {
    const server = await start(t);
    const COUNT = 3000;
    await server.publishMany("z/a", COUNT, (n) => ({ n, price: n * 7 % 1000, name: "an instrument of some name" }));
    const stream = await follow(server, "/channels/z/a?stream=ndjson&after=earliest");
    await stream.until(new RegExp(`"n":${COUNT - 1},`));
    assert.deepEqual(numbers(stream.text), upTo(COUNT));
    const bytes = stream.bytes.reduce((sum, part) => sum + part.length, 0);
    assert.ok(bytes * 5 < stream.text.length, `${bytes} for ${stream.text.length}`);
    await server.terminate();
    await stream.ended;
});

test("subscribers of a view get the same bytes for an event", async (t) => {
    const server = await start(t);
    const streams = [];
    for (let i = 0; i < 10; i++) {
        streams.push(await follow(server, "/channels/z/a?stream=ndjson"));
        await streams[i].until(/beat/);
    }
    const heads = streams.map(({ bytes }) => Buffer.concat(bytes).length);
    await server.publish("z/a", { n: 0, text: "the same words for all, the same words for all" });
    await Promise.all(streams.map((stream) => stream.until(/"n":0/)));
    const parts = streams.map(({ bytes }, i) => Buffer.concat(bytes).subarray(heads[i]).toString("base64"));
    assert.equal(new Set(parts).size, 1);
    assert.ok(Buffer.from(parts[0], "base64").length < 200, parts[0]);
});

/** Publishes events that do not compress much, of `size` bytes each. */
async function publishNoise(server, count, size) {
    const together = Math.min(100, Math.floor(500_000 / size));
    for (let n = 0; n < count; n += together) {
        const events = upTo(Math.min(together, count - n)).map((i) =>
            ({ channel: "z/a", data: { n: n + i, noise: crypto.randomBytes(size * 3 / 4).toString("base64") } }));
        const answer = await server.request("POST", "/events",
            { headers: { "Content-Type": "application/json" }, body: JSON.stringify(events) });
        assert.equal(answer.status, 201, answer.text);
    }
}

test("a reader that stalls gets every event, in order, and a whole stream", async (t) => {
    for (const [count, size] of [[20_000, 600], [200, 60_000]]) { /* many in a part; each a part of its own */
        const server = await start(t);
        const answer = await new Promise((resolve, reject) => http.get(`${server.url}/channels/z/a?stream=ndjson`,
            { headers: GZIP, agent: false }, resolve).on("error", reject));
        await publishNoise(server, count, size);
        const behind = await follow(server, "/channels/z/a?stream=ndjson&after=earliest");
        let text = "", tail = "";
        const gunzip = answer.pipe(zlib.createGunzip()).on("data", (bytes) => {
            text += bytes;
            tail = (tail + bytes).slice(-100_000);
        });
        const whole = new Promise((resolve, reject) => gunzip.on("end", resolve).on("error", reject));
        await eventually(() => tail.includes(`"n":${count - 1},`), "the last event");
        await behind.until(new RegExp(`"n":${count - 1},`));
        await server.terminate();
        await Promise.all([whole, behind.ended]);
        assert.deepEqual(numbers(text), upTo(count));
        assert.deepEqual(numbers(behind.text), upTo(count));
    }
});

test("over HTTP/2 streams of one connection are compressed as well, each to its end", async (t) => {
    const server = await start(t);
    const session = http2.connect(server.url);
    server.onStop(() => session.destroy());
    const open = (path, headers) => {
        const got = { text: "" };
        const stream = session.request({ ":path": path, ...headers });
        stream.on("response", (head) => (got.coding = head["content-encoding"]));
        const text = headers["accept-encoding"] ? stream.pipe(zlib.createGunzip()) : stream;
        text.on("data", (bytes) => (got.text += bytes));
        got.ended = new Promise((resolve, reject) => text.on("end", resolve).on("error", reject));
        return got;
    };
    const streams = [...Array(10)].map(() => open("/channels/z/a?stream=ndjson", { "accept-encoding": "gzip, br" }));
    const plain = open("/channels/z/a?stream=ndjson", {});
    await eventually(() => [plain, ...streams].every(({ text }) => text.includes("beat")), "all to begin");
    await publishNoise(server, 300, 2000); /* beyond the window of a stream */
    await server.publishMany("z/a", 100, (n) => ({ n: 300 + n }));
    await eventually(() => [plain, ...streams].every(({ text }) => text.includes('"n":399}')), "all to have all");
    await server.terminate();
    await Promise.all([plain, ...streams].map(({ ended }) => ended));
    for (const { text, coding } of streams) {
        assert.equal(coding, "gzip");
        assert.deepEqual(numbers(text), upTo(400));
    }
    assert.equal(plain.coding, undefined);
    assert.deepEqual(numbers(plain.text), upTo(400));
});

test("the streams that are compressed are counted until they end", async (t) => {
    const server = await start(t, { args: ["--threads", "1"] });
    const count = async () => (await server.get("/stats")).json().streams_compressed;
    assert.equal(await count(), 0);
    const session = http2.connect(server.url);
    server.onStop(() => session.destroy());
    const open = (path) => session.request({ ":path": path, "accept-encoding": "gzip" });
    const streams = ["/channels/z/a?stream=sse", "/channels/z/a?stream=raw", "/channels/a?stream=sse"].map(open);
    await follow(server, "/channels/z/b?stream=ndjson");
    await eventually(async () => await count() === 3, "three to be counted");
    assert.match((await server.get("/metrics")).text, /^freshet_streams_compressed 3$/m);
    streams[0].close();
    await eventually(async () => await count() === 2, "one to end");
    session.destroy();
    await eventually(async () => await count() === 1, "those of a connection to end");
});

test("curl --compressed shows each event at once, and ends without complaint", async (t) => {
    const server = await start(t);
    const streams = [];
    for (const version of ["--http1.1", "--http2-prior-knowledge", "--http1.0"]) {
        const stream = curlStream(server, ["--compressed", version, "-i", `${server.url}/channels/z/a?stream=sse`]);
        await stream.until(/content-encoding: gzip[^]*\$beat/i);
        await server.publish("z/a", { n: version });
        await stream.until(new RegExp(`data: {"n":"${version}"}`));
        streams.push(stream);
    }
    await server.terminate();
    for (const stream of streams) {
        assert.equal(await stream.exited, 0);
        assert.equal(stream.stderr, "");
        assert.match(stream.stdout, /event: \$bye/);
    }
});

test("fetch and EventSource of node, and Python's gzip, read on and come back", async (t) => {
    const server = await start(t);
    const source = new EventSource(`${server.url}/channels/z/a?after=earliest`);
    server.onStop(() => source.close());
    const heard = [];
    source.onmessage = ({ data }) => heard.push(JSON.parse(data).n);
    const answer = await fetch(`${server.url}/channels/z/a?stream=ndjson&after=earliest`, { headers: { "Accept-Encoding": "gzip" } });
    assert.equal(answer.headers.get("content-encoding"), "gzip");
    let text = "";
    const read = (async () => {
        for await (const bytes of answer.body) {
            text += Buffer.from(bytes).toString();
        }
    })();
    const python = spawn("python3", ["-u", "-c", `
import gzip, http.client, sys
connection = http.client.HTTPConnection("127.0.0.1", ${server.port})
connection.request("GET", "/channels/z/a?stream=ndjson&after=earliest", headers={"Accept-Encoding": "gzip"})
answer = connection.getresponse()
assert answer.headers["Content-Encoding"] == "gzip"
for line in gzip.GzipFile(fileobj=answer):
    sys.stdout.write(line.decode())
`]);
    server.onStop(() => python.kill());
    let printed = "", complaints = "";
    python.stdout.on("data", (bytes) => (printed += bytes));
    python.stderr.on("data", (bytes) => (complaints += bytes));
    const exited = new Promise((resolve) => python.on("close", resolve));
    for (let n = 0; n < 5; n++) {
        await server.publish("z/a", { n });
        await eventually(() => heard.length > n && text.includes(`"n":${n}}`), `event ${n}`);
    }
    await eventually(async () => (await subscribersOf(server, "ndjson")) === 2, "Python to have begun");
    await server.terminate();
    await read;
    assert.equal(await exited, 0, complaints);
    assert.deepEqual(numbers(text), upTo(5));
    assert.deepEqual(numbers(printed), upTo(5));
    assert.deepEqual(heard, upTo(5));
});

/** An answer as it came: head and raw body. */
function ask(server, path, headers = GZIP, method = "GET") {
    return new Promise((resolve, reject) => {
        http.request(`${server.url}${path}`, { method, headers, agent: false }, async (answer) => {
            const parts = [];
            for await (const part of answer) {
                parts.push(part);
            }
            resolve({ status: answer.statusCode, headers: answer.headers, bytes: Buffer.concat(parts) });
        }).on("error", reject).end();
    });
}

test("pages, polls and lists are compressed if the client asks", async (t) => {
    const server = await start(t);
    await server.publishMany("a", 100, (n) => ({ n, words: "the same words again" }));
    for (const path of ["/channels/a", "/channels/a?limit=50", "/channels/a?after=earliest&wait=5", "/stats", "/metrics", "/events?channel=a"]) {
        const plain = await ask(server, path, {});
        const packed = await ask(server, path);
        const head = await ask(server, path, GZIP, "HEAD");
        assert.equal(plain.status, 200);
        assert.equal(plain.headers["content-encoding"], undefined);
        assert.equal(packed.headers["content-encoding"], "gzip", path);
        assert.match(plain.headers.vary, /accept-encoding/i);
        assert.match(packed.headers.vary, /accept-encoding/i);
        assert.equal(Number(packed.headers["content-length"]), packed.bytes.length);
        assert.ok(packed.bytes.length < plain.bytes.length / 2, path);
        assert.equal(head.headers["content-encoding"], "gzip");
        assert.equal(head.bytes.length, 0);
        if (!/stats|metrics/.test(path)) {
            assert.equal(zlib.gunzipSync(packed.bytes).toString(), plain.bytes.toString());
            assert.equal(head.headers["content-length"], packed.headers["content-length"]);
        }
    }
    for (const coding of ["identity", "gzip;q=0", "br", "*;q=0"]) {
        assert.equal((await ask(server, "/channels/a", { "Accept-Encoding": coding })).headers["content-encoding"], undefined);
    }
    const short = await ask(server, "/channels/nothing");
    assert.equal(short.headers["content-encoding"], undefined);
    const only = await ask(server, "/channels/nothing", { "Accept-Encoding": "gzip, identity;q=0" });
    assert.equal(only.headers["content-encoding"], "gzip");
    assert.deepEqual(JSON.parse(zlib.gunzipSync(only.bytes)).events, []);
    const answers = await Promise.all([...Array(20)].map((_, i) => ask(server, "/channels/a?after=now&wait=50", i % 2 ? GZIP : {}))
        .concat(eventually(async () => (await subscribersOf(server, "poll")) === 20, "all to wait")
            .then(() => server.publish("a", "x".repeat(3000)))));
    answers.pop();
    const texts = answers.map(({ bytes, headers }) => (headers["content-encoding"] ? zlib.gunzipSync(bytes) : bytes).toString());
    assert.equal(new Set(texts).size, 1);
    assert.deepEqual(answers.map(({ headers }) => headers["content-encoding"]), answers.map((_, i) => i % 2 ? "gzip" : undefined));
});

test("answers under a credential are compressed only where their length tells nobody of it", async (t) => {
    const server = await startServer(t, { config: `${CONFIG}access:\n  anybody: [publish, read]\nkeys:\n- name: app\n  key: env:APP_KEY\n  grants:\n  - channels: ["**"]\n    may: [read]\n`, env: { APP_KEY } });
    await server.publishMany("a", 50);
    await server.publishMany("z/a", 50);
    const { headers: { "content-encoding": open } } = await ask(server, "/channels/a");
    assert.equal(open, "gzip");
    const bearer = { ...GZIP, Authorization: `Bearer ${APP_KEY}` };
    assert.equal((await ask(server, "/channels/z/a", bearer)).headers["content-encoding"], "gzip");
    assert.equal((await ask(server, "/channels/a", bearer)).headers["content-encoding"], undefined);
    assert.equal((await ask(server, "/events?channel=a&channel=z/a", bearer)).headers["content-encoding"], undefined);
    for (const more of [{ Cookie: "other=1" }, { Authorization: `Basic ${Buffer.from(`app:${APP_KEY}`).toString("base64")}` }]) {
        const answer = await ask(server, "/channels/z/a", { ...GZIP, ...more });
        assert.equal(answer.status, 200);
        assert.equal(answer.headers["content-encoding"], undefined, JSON.stringify(more));
    }
});

test("no answer over a connection with a client certificate is compressed", async (t) => {
    const certificates = new Certificates(t);
    certificates.make("a", "DNS:localhost,IP:127.0.0.1");
    const shown = certificates.make("client", "DNS:client", { subject: "/O=Example/CN=alice" });
    const server = await startServer(t, { listen: ["127.0.0.1:0", "https://127.0.0.1:0"],
        config: CONFIG + certificates.config(["a"], `  client_ca: ${certificates.path("ca.pem")}\n`) });
    await server.publishMany("z/a", 50);
    const coding = (path, client) => new Promise((resolve, reject) => https.get({ host: "127.0.0.1", port: server.portOf("https"),
        path, headers: GZIP, agent: false, ca: certificates.ca, ...client }, (answer) => {
        answer.resume();
        resolve(answer.headers["content-encoding"]);
    }).on("error", reject));
    for (const path of ["/channels/z/a", "/stats"]) {
        assert.equal(await coding(path), "gzip");
        assert.equal(await coding(path, shown), undefined); /* nor the answer that is kept for others */
    }
});
