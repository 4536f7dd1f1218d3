// TLS as clients of others see it: curl, node, openssl s_client, EventSource's bytes and WebSockets.

import assert from "node:assert/strict";
import { execFile, spawn } from "node:child_process";
import crypto from "node:crypto";
import { once } from "node:events";
import fs from "node:fs";
import http2 from "node:http2";
import https from "node:https";
import net from "node:net";
import tls from "node:tls";
import { WebSocket } from "ws";
import { Certificates } from "./support/certificates.mjs";
import { Program, run } from "./support/program.mjs";
import { deadline, eventually, startServer, stats, sideBySide } from "./support/index.mjs";

const { test } = sideBySide(4);

const LISTEN = ["127.0.0.1:0", "https://127.0.0.1:0", "redirect://127.0.0.1:0"];
const LOCAL = "DNS:localhost,IP:127.0.0.1";

/** A server with an authority, and certificates by name. */
async function secured(t, { names = { a: LOCAL }, keys = {}, more = "", ...options } = {}) {
    const certificates = new Certificates(t);
    for (const [name, san] of Object.entries(names)) {
        certificates.make(name, san, { key: keys[name] });
    }
    const server = await startServer(t, { listen: LISTEN, config: certificates.config(Object.keys(names), more), ...options });
    return { server, certificates, port: server.portOf("https") };
}

/** One request over a connection of its own: {status, headers, body}. */
function ask(port, path, { body, ...options } = {}) {
    return new Promise((resolve, reject) => {
        const request = https.request({ host: "127.0.0.1", port, path, agent: false, ...options }, async (response) => {
            let text = "";
            for await (const part of response.setEncoding("utf8")) {
                text += part;
            }
            resolve({ status: response.statusCode, headers: response.headers, body: text });
        });
        request.once("error", reject);
        request.end(body);
    });
}

/** A connection after its handshake; rejects if that fails. */
function connect(t, port, options = {}) {
    return new Promise((resolve, reject) => {
        const socket = tls.connect({ host: "127.0.0.1", port, servername: "localhost", ...options });
        t.after(() => socket.destroy());
        socket.once("secureConnect", () => resolve(socket));
        socket.once("error", reject);
        socket.once("close", () => reject(new Error("closed")));
    });
}

/** Keeps all that comes from now on. */
function listen(socket) {
    if (socket.seen === undefined) {
        socket.seen = "";
        socket.setEncoding("latin1").on("data", (part) => (socket.seen += part));
    }
}

/** Reads until `pattern` is in all that has come, and answers that. */
async function readUntil(socket, pattern, what) {
    listen(socket);
    await eventually(() => pattern.test(socket.seen), what);
    return socket.seen;
}

const sClient = (port, ...args) =>
    new Promise((resolve) => {
        const child = execFile("openssl", ["s_client", "-connect", `127.0.0.1:${port}`, ...args], { timeout: 60_000 },
            (error, stdout, stderr) => resolve({ code: error?.code ?? 0, out: stdout + stderr }));
        child.stdin.end();
    });

test("curl publishes and reads over TLS", async (t) => {
    const { port, certificates } = await secured(t);
    const curl = (...args) => new Promise((resolve, reject) => execFile("curl",
        ["-sS", "--cacert", certificates.path("ca.pem"), ...args], (error, out) => (error ? reject(error) : resolve(out))));
    const url = `https://localhost:${port}`;
    assert.ok(JSON.parse(await curl(`${url}/channels/news`, "-d", "hello")).id);
    assert.equal(JSON.parse(await curl(`${url}/channels/news`)).events[0].data, "hello");
});

test("a stream over TLS has every event in order, and large ones whole", async (t) => {
    const { server, port, certificates } = await secured(t);
    const stream = await connect(t, port, { ca: certificates.ca });
    stream.write("GET /channels/a?stream=ndjson HTTP/1.1\r\nHost: localhost\r\n\r\n");
    await readUntil(stream, /\r\n\r\n/, "the head");
    const data = [];
    for (let i = 0; i < 60; i++) {
        data.push(i % 20 ? `event ${i}` : `${i}${crypto.randomBytes(60_000).toString("hex")}`);
        await server.publish("a", data[i]);
    }
    const text = await readUntil(stream, /event 59/, "the last event");
    const got = [...text.matchAll(/"data":"([^"]*)"/g)].map((match) => match[1]);
    assert.deepEqual(got, data);
});

test("a reader that stops and goes on over TLS gets everything, and the server holds little for it", async (t) => {
    const { server, port, certificates } = await secured(t);
    const stream = await connect(t, port, { ca: certificates.ca });
    stream.write("GET /channels/a?stream=raw HTTP/1.1\r\nHost: localhost\r\n\r\n");
    await readUntil(stream, /\r\n\r\n/, "the head");
    stream.pause();
    const blob = "x".repeat(500_000);
    for (let i = 0; i < 20; i++) {
        await server.publish("a", `${i}:${blob}`);
    }
    const kept = (await stats(server)).tls.kept;
    assert.ok(kept <= 20_000, `${kept} bytes`);
    let size = 0;
    const all = new Promise((resolve) => stream.on("data", (text) => {
        size += (text.match(/x/g) ?? []).length;
        if (size >= 20 * blob.length) {
            resolve();
        }
    }));
    stream.resume();
    await deadline(all, "all that was published");
});

test("an answer whose last record the socket has not taken is whole although the server stops", async (t) => {
    const { server, port, certificates } = await secured(t, { args: ["--threads", "1"], more: "limits: {drain_ms: 1m, stall_ms: 10m, head_ms: 5m, handshake_ms: 5m}\n" });
    const sizes = Array.from({ length: 60 }, (_, i) => 40_000 + 8_000 * i); /* a record ends anywhere in 16,000 bytes */
    const readers = [];
    for (const size of sizes) {
        await server.publish(`c${size}`, "x".repeat(size));
        const reader = await connect(t, port, { ca: certificates.ca, ALPNProtocols: ["http/1.1"] });
        reader.write(`GET /channels/c${size} HTTP/1.1\r\nHost: localhost\r\n\r\n`);
        readers.push(reader);
    }
    await eventually(async () => (await stats(server)).tls.kept > 0, "sockets that are full");
    server.signal("SIGTERM");
    await eventually(() => /event=draining/.test(server.err), "the drain");
    const texts = await Promise.all(readers.map((reader) => {
        let text = "";
        return deadline(new Promise((resolve) => reader.on("data", (part) => (text += part)).once("close", () => resolve(text))), "the end");
    }));
    for (const text of texts) {
        assert.equal(text.length - text.indexOf("\r\n\r\n") - 4, Number(/content-length: (\d+)/i.exec(text)?.[1]));
    }
    assert.equal((await server.exited).code, 0);
});

test("a WebSocket works over TLS", async (t) => {
    const { server, port, certificates } = await secured(t);
    const socket = new WebSocket(`wss://localhost:${port}/channels/a`, { ca: certificates.ca });
    t.after(() => socket.terminate());
    await new Promise((resolve, reject) => socket.once("open", resolve).once("error", reject));
    const got = new Promise((resolve) => socket.on("message", (bytes) => /from HTTP/.test(bytes) && resolve()));
    await server.publish("a", "from HTTP");
    await deadline(got, "the event");
    socket.close();
    await deadline(new Promise((resolve) => socket.once("close", resolve)), "the close");
});

test("SNI chooses the certificate, also by a wildcard, and the first is for all others", async (t) => {
    const { port, certificates } = await secured(t, { names: { a: LOCAL, b: "DNS:b.example,DNS:*.b.example" } });
    for (const [servername, cn] of [["localhost", "a"], ["b.example", "b"], ["x.b.example", "b"], ["X.B.Example", "b"],
        ["x.y.b.example", "a"], ["unknown.example", "a"], ["", "a"]]) {
        const socket = await connect(t, port, { ca: certificates.ca, servername, checkServerIdentity: () => undefined });
        assert.equal(socket.getPeerCertificate().subject.CN, cn, servername);
        socket.destroy();
    }
});

test("two certificates for the same names serve the clients of each kind", async (t) => {
    const { port } = await secured(t, { names: { a: LOCAL, b: LOCAL }, keys: { a: "rsa", b: "ec" } });
    for (const [algorithms, kind] of [["RSA+SHA256", /ECDHE-RSA/], ["ECDSA+SHA256", /ECDHE-ECDSA/]]) {
        const { out } = await sClient(port, "-tls1_2", "-sigalgs", algorithms, "-servername", "localhost");
        assert.match(out, kind);
    }
});

test("a second certificate for the same names by a key of the same kind is refused, first or third", async (t) => {
    const certificates = new Certificates(t);
    for (const [name, key] of [["a", "rsa"], ["b", "ec"], ["c", "ec"], ["d", "rsa"]]) {
        certificates.make(name, LOCAL, { key });
    }
    for (const names of [["b", "c"], ["a", "b", "c"], ["a", "b", "d"], ["b", "a", "c"]]) {
        const file = certificates.path("freshet.yaml");
        fs.writeFileSync(file, certificates.config(names));
        const { code, stderr } = await run(t, ["serve", "--listen", "https://127.0.0.1:0", "--memory", "--config", file]);
        assert.notEqual(code, 0, String(names));
        assert.match(stderr, new RegExp(`${names.at(-1)}\\.pem: another one in the list is for the same names`));
    }
});

test("only TLS 1.2 and 1.3 are spoken, with forward secrecy and without renegotiation or compression", async (t) => {
    const { server, port } = await secured(t, { keys: { a: "rsa" } });
    for (const version of ["-tls1", "-tls1_1"]) {
        const { out } = await sClient(port, version, "-cipher", "ALL:@SECLEVEL=0");
        assert.match(out, /alert protocol version|no protocols available|wrong version number/, version);
        assert.doesNotMatch(out, /Cipher is [A-Z0-9-]*SHA/);
    }
    for (const version of ["-tls1_2", "-tls1_3"]) {
        const { out } = await sClient(port, version);
        assert.match(out, /Cipher is (TLS_|ECDHE-)/, version);
        assert.match(out, /Compression: NONE/);
    }
    for (const cipher of ["AES128-SHA", "AES256-GCM-SHA384", "ECDHE-RSA-AES128-SHA", "DHE-RSA-AES128-GCM-SHA256", "eNULL:aNULL"]) {
        const { out } = await sClient(port, "-tls1_2", "-cipher", `${cipher}:@SECLEVEL=0`);
        assert.match(out, /handshake failure|no ciphers available/, cipher);
    }
    const child = spawn("openssl", ["s_client", "-connect", `127.0.0.1:${port}`, "-tls1_2"]);
    t.after(() => child.kill());
    let out = "";
    child.stdout.on("data", (text) => (out += text));
    child.stderr.on("data", (text) => (out += text));
    child.stdin.write("R\n");
    await eventually(() => /no renegotiation/.test(out), "the refusal");
    assert.ok(server.isRunning);
});

test("a ticket resumes a session, on either version and any worker, and early data is not offered", async (t) => {
    const { server, port, certificates } = await secured(t, { args: ["--threads", "2"] });
    for (const maxVersion of ["TLSv1.2", "TLSv1.3"]) {
        const first = tls.connect({ host: "127.0.0.1", port, ca: certificates.ca, servername: "localhost", maxVersion });
        const sessions = [];
        first.on("session", (session) => sessions.push(session));
        first.on("error", () => {});
        first.write("GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
        first.resume();
        await deadline(new Promise((resolve) => first.once("close", resolve)), "the answer");
        assert.ok(sessions.length, maxVersion);
        for (let i = 0; i < 6; i++) {
            const again = await connect(t, port, { ca: certificates.ca, maxVersion, session: sessions.at(-1) });
            assert.ok(again.isSessionReused(), `${maxVersion}, connection ${i}`);
            again.write("GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n");
            await readUntil(again, /"ok"/, "an answer");
        }
    }
    const { resumed, handshakes } = (await stats(server)).tls;
    assert.deepEqual([resumed, handshakes], [12, 2]);
    assert.match((await sClient(port, "-tls1_3")).out, /Early data was not sent|Max Early Data: 0/);
});

test("ALPN chooses h2 or http/1.1, clients without it get http/1.1, and others are refused", async (t) => {
    const { port, certificates } = await secured(t);
    for (const [ALPNProtocols, chosen] of [[["x", "http/1.1"], "http/1.1"], [["http/1.1", "h2"], "h2"], [undefined, false]]) {
        const socket = await connect(t, port, { ca: certificates.ca, ALPNProtocols });
        assert.equal(socket.alpnProtocol, chosen);
    }
    await assert.rejects(connect(t, port, { ca: certificates.ca, ALPNProtocols: ["x"] }), /no application protocol|alert/i);
});

test("HTTP/2 is spoken over TLS, with pages and streams side by side", async (t) => {
    const { server, port, certificates } = await secured(t);
    const client = http2.connect(`https://localhost:${port}`, { ca: certificates.ca });
    t.after(() => client.destroy());
    const stream = client.request({ ":path": "/channels/a?stream=ndjson" }).setEncoding("utf8");
    let seen = "";
    stream.on("data", (part) => (seen += part));
    const [head] = await deadline(new Promise((resolve) => stream.once("response", (...args) => resolve(args))), "the head");
    assert.equal(head[":status"], 200);
    for (let i = 0; i < 20; i++) {
        await server.publish("a", `${i}:${"x".repeat(i * 1000)}`);
    }
    await eventually(() => /"19:x{19000}"/.test(seen), "the events");
    const page = client.request({ ":path": "/channels/a" }).setEncoding("utf8");
    let body = "";
    for await (const part of page) {
        body += part;
    }
    assert.equal(JSON.parse(body).events.length, 20);
});

test("SIGHUP takes new certificates while streams go on, and a file with a fault changes nothing", async (t) => {
    const { server, port, certificates } = await secured(t);
    const cn = async () => (await connect(t, port, { ca: certificates.ca })).getPeerCertificate().subject.CN;
    const stream = await connect(t, port, { ca: certificates.ca });
    stream.write("GET /channels/a?stream=raw HTTP/1.1\r\nHost: localhost\r\n\r\n");
    await readUntil(stream, /\r\n\r\n/, "the head");
    certificates.make("a", LOCAL, { subject: "/CN=renewed" });
    server.signal("SIGHUP");
    await eventually(() => /event=reloaded signal=SIGHUP certificates=1/.test(server.err), "the reload");
    await eventually(async () => (await cn()) === "renewed", "the new certificate");
    fs.writeFileSync(certificates.path("a.key"), "no key\n");
    server.signal("SIGHUP");
    await eventually(() => /event=reload_refused faults=1[^]*a\.key/.test(server.err), "the refusal");
    assert.equal(await cn(), "renewed");
    await server.publish("a", "still here");
    await readUntil(stream, /still here/, "an event on the stream from before");
});

test("the figures say when the first of the certificates ends, also after a reload", async (t) => {
    const { server, certificates } = await secured(t, { names: { a: LOCAL, b: "DNS:b.example" } });
    const told = async (end) => (await stats(server)).tls.certificate_ends === end.toISOString().replace(".000Z", ".000000Z");
    for (const [name, end] of [["b", new Date("2040-02-29T12:00:00Z")], ["a", new Date("2039-12-31T23:59:59Z")]]) {
        const first = name === "b" ? new Date(new crypto.X509Certificate(fs.readFileSync(certificates.path("a.pem"))).validTo) : end;
        certificates.endAt(name, end);
        server.signal("SIGHUP");
        await eventually(() => told(first), `the end of what ends before ${name}`);
    }
    const metrics = await (await fetch(`${server.url}/metrics`)).text();
    assert.match(metrics, /^freshet_tls_certificate_end_seconds 2208988799$/m);
});

test("without TLS no figure speaks of a certificate", async (t) => {
    const server = await startServer(t);
    assert.equal((await stats(server)).tls.certificate_ends, undefined);
    assert.doesNotMatch(await (await fetch(`${server.url}/metrics`)).text(), /certificate/);
});

test("plain HTTP at a port of TLS is told the https URL", async (t) => {
    const { server, port } = await secured(t);
    const answer = await fetch(`http://127.0.0.1:${port}/channels/a?last=1`);
    assert.equal(answer.status, 400);
    assert.equal((await answer.json()).detail, `this port speaks TLS: use https://127.0.0.1:${port}/channels/a?last=1`);
    const publish = await fetch(`http://127.0.0.1:${port}/channels/a`, { method: "POST", body: "x" });
    assert.equal(publish.status, 400);
    assert.deepEqual(await server.history("a"), []);
});

test("HTTP/2 without TLS where that is wanted is told so", async (t) => {
    const { port } = await secured(t);
    const client = http2.connect(`http://127.0.0.1:${port}`);
    t.after(() => client.destroy());
    const goaway = new Promise((resolve) => client.on("error", () => {}).once("goaway", (...args) => resolve(args)));
    const [code, , text] = await deadline(goaway, "a GOAWAY");
    assert.equal(code, http2.constants.NGHTTP2_INADEQUATE_SECURITY);
    assert.match(String(text), /https:\/\//);
});

test("an address that redirects sends every request to https", async (t) => {
    const { server, port } = await secured(t);
    const redirect = /and http:\/\/127\.0\.0\.1:(\d+)/.exec(server.out)[1];
    for (const [method, path] of [["GET", "/"], ["POST", "/channels/a?x=%20"], ["GET", "/channels/a?stream=sse"]]) {
        const answer = await fetch(`http://127.0.0.1:${redirect}${path}`, { method, redirect: "manual" });
        assert.equal(answer.status, 308);
        assert.equal(answer.headers.get("location"), `https://127.0.0.1:${port}${path}`);
    }
});

test("a token that came without TLS is not repeated by the answer that leads to https", async (t) => {
    const { server, port } = await secured(t);
    const redirect = /and http:\/\/127\.0\.0\.1:(\d+)/.exec(server.out)[1];
    const rows = [["?token=SECRET", ""], ["?stream=sse&token=SECRET", "?stream=sse"], ["?token=SECRET&last=1&x", "?last=1&x"], ["?%74oken=SECRET", ""],
        ["?token=SECRET&a=%26&token=SECRET&b=", "?a=%26&b="], ["?tokens=1&token", "?tokens=1"], ["?to=token", "?to=token"]];
    for (const [query, left] of rows) {
        const answer = await fetch(`http://127.0.0.1:${redirect}/channels/a${query}`, { redirect: "manual" });
        assert.deepEqual([answer.status, answer.headers.get("location")], [308, `https://127.0.0.1:${port}/channels/a${left}`], query);
        const refused = await (await fetch(`http://127.0.0.1:${port}/channels/a${query}`)).json();
        assert.equal(refused.detail, `this port speaks TLS: use https://127.0.0.1:${port}/channels/a${left}`, query);
    }
    const client = http2.connect(`http://127.0.0.1:${redirect}`);
    t.after(() => client.destroy());
    const [headers] = await deadline(once(client.request({ ":path": "/channels/a?token=SECRET&last=1" }).resume(), "response"), "the response");
    assert.equal(headers.location, `https://127.0.0.1:${port}/channels/a?last=1`);
});

test("an address that redirects does so by HTTP/2 with prior knowledge, too", async (t) => {
    const { server, port } = await secured(t);
    const client = http2.connect(`http://127.0.0.1:${/and http:\/\/127\.0\.0\.1:(\d+)/.exec(server.out)[1]}`);
    t.after(() => client.destroy());
    for (const [method, path] of [["GET", "/"], ["POST", "/channels/a?x=%20"], ["GET", "/channels/a?stream=sse"]]) {
        const stream = client.request({ ":method": method, ":path": path });
        stream.end(method === "POST" ? "a body" : undefined);
        const [headers] = await deadline(once(stream.resume(), "response"), "the response");
        assert.deepEqual([headers[":status"], headers.location], [308, `https://127.0.0.1:${port}${path}`]);
    }
    assert.equal((await ask(port, "/channels/a", { rejectUnauthorized: false })).body.includes("a body"), false);
});

test("a record that was garbled, cut or is no record ends its connection alone", async (t) => {
    const { server, port, certificates } = await secured(t);
    const other = await connect(t, port, { ca: certificates.ca });
    for (const bytes of [Buffer.from("\x16\x03\x01\x00\x05hello", "latin1"), crypto.randomBytes(500), Buffer.from("\x17\x03\x03\x40\x01"),
        Buffer.alloc(20_000, 0x16), Buffer.from([0x80, 0x2e, 1, 0, 2])]) {
        const raw = net.connect(port, "127.0.0.1");
        t.after(() => raw.destroy());
        raw.on("error", () => {});
        raw.write(bytes);
        raw.resume();
        raw.end();
        await deadline(new Promise((resolve) => raw.once("close", resolve)), "the end");
    }
    /* A record within a session whose last byte was changed. */
    let mangles = false;
    const mangler = net.createServer((client) => {
        const onward = net.connect(port, "127.0.0.1");
        onward.pipe(client);
        client.on("data", (part) => {
            if (mangles) {
                part[part.length - 1] ^= 1;
            }
            onward.write(part);
        });
        for (const [one, two] of [[client, onward], [onward, client]]) {
            one.on("error", () => {});
            one.on("close", () => two.destroy());
        }
    });
    await new Promise((resolve) => mangler.listen(0, "127.0.0.1", resolve));
    t.after(() => mangler.close());
    const socket = await connect(t, mangler.address().port, { ca: certificates.ca });
    const failed = new Promise((resolve) => socket.once("error", resolve));
    socket.write("GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n");
    await readUntil(socket, /"ok"/, "an answer while nothing is changed");
    mangles = true;
    socket.write("POST /channels/a HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\n");
    socket.write("hello");
    assert.match((await deadline(failed, "the alert")).message, /bad record mac|alert|ECONNRESET/i);
    assert.deepEqual(await server.history("a"), []);
    other.write("GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n");
    await readUntil(other, /"ok"/, "an answer to the other");
});

test("a client that is done sending still gets its answer, and both sides say good-bye", async (t) => {
    const { port, certificates } = await secured(t);
    const socket = await connect(t, port, { ca: certificates.ca, allowHalfOpen: true });
    socket.setEncoding("latin1").end("GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n");
    let text = "";
    socket.on("data", (part) => (text += part));
    await deadline(new Promise((resolve) => socket.once("end", resolve)), "the end of the answer");
    assert.match(text, /"ok"/);
});

/** The first bytes of a client: its ClientHello. */
async function clientHello(t) {
    const server = net.createServer();
    await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
    t.after(() => server.close());
    const came = new Promise((resolve) => server.once("connection", (socket) => socket.once("data", (bytes) => {
        resolve(bytes);
        socket.destroy();
    })));
    tls.connect({ host: "127.0.0.1", port: server.address().port, servername: "localhost" }).once("error", () => {});
    return came;
}

/** A connection that has sent these bytes; `ended` is fulfilled when the server closes it. */
function stalled(t, port, bytes) {
    const raw = net.connect(port, "127.0.0.1");
    t.after(() => raw.destroy());
    raw.on("error", () => {}).resume().write(bytes);
    return { ended: new Promise((resolve) => raw.once("close", resolve)) };
}

test("unfinished handshakes over handshakes_max give way to newer ones, and honest clients come through", async (t) => {
    const { server, port, certificates } = await secured(t, { args: ["--threads", "1"], more: "limits: {handshakes_max: 200000, handshake_ms: 60000}\n" });
    const hello = await clientHello(t);
    const oldest = stalled(t, port, hello);
    await eventually(async () => (await stats(server)).tls.unfinished > 0, "the oldest");
    for (let i = 0; i < 11; i++) {
        stalled(t, port, hello);
    }
    await eventually(async () => (await stats(server)).limits.handshakes_shed >= 8, "those that give way");
    await deadline(oldest.ended, "the end of the oldest");
    const { unfinished } = (await stats(server)).tls;
    assert.ok(unfinished > 46_000 && unfinished <= 200_000, `${unfinished} bytes`);
    for (let i = 0; i < 3; i++) {
        assert.equal((await ask(port, "/healthz", { ca: certificates.ca, servername: "localhost" })).status, 200);
    }
});

test("a handshake that only leads to a refusal is not waited for as long as others", async (t) => {
    const { port, server } = await secured(t, { args: ["--threads", "1"], more: "limits: {connections_max: 1, handshake_ms: 600000}\n" });
    const first = await connect(t, port, { rejectUnauthorized: false });
    assert.ok(first.authorized === false);
    await deadline(stalled(t, port, "").ended, "the end of one that is over connections_max");
    first.destroy();
    await eventually(async () => (await stats(server)).limits.handshakes_late === 1, "the count of it");
});

test("idle connections are told when the server stops", async (t) => {
    const { server, port } = await secured(t);
    const idle = [[], ["-alpn", "h2"]].map((more) => {
        const child = spawn("openssl", ["s_client", "-connect", `127.0.0.1:${port}`, "-ign_eof", ...more]);
        const seen = { text: "" };
        child.stdout.on("data", (part) => (seen.text += part));
        child.stderr.on("data", (part) => (seen.text += part));
        seen.ended = new Promise((resolve) => child.once("close", resolve));
        t.after(() => child.kill());
        return seen;
    });
    await eventually(async () => (await stats(server)).tls.handshakes === 2, "the handshakes");
    server.signal("SIGTERM");
    for (const { ended } of idle) {
        await deadline(ended, "the end");
    }
    for (const { text } of idle) {
        assert.doesNotMatch(text, /unexpected eof|errno/);
        assert.match(text, /closed/);
    }
});

test("a server of more connections than it tells in a turn stops cleanly", async (t) => {
    const { server, port, certificates } = await secured(t, { args: ["--threads", "1"] });
    const load = new Program(t, ["bench", `https://127.0.0.1:${port}`, "--cacert", certificates.path("ca.pem"),
        "--subscribers", "1100", "--rate", "1", "--seconds", "600"]);
    await eventually(async () => (await stats(server)).connections > 1100, "the subscribers", 180_000);
    server.signal("SIGTERM");
    assert.equal((await deadline(server.exited, "the end of the server")).code, 0);
    await deadline(load.exited, "the end of the load");
});

test("a client that says nothing during its handshake is closed after handshake_ms, and counted", async (t) => {
    const { server, port } = await secured(t, { more: "limits: {handshake_ms: 100}\n" });
    for (const bytes of ["", "\x16", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"]) {
        const raw = net.connect(port, "127.0.0.1");
        t.after(() => raw.destroy());
        raw.on("error", () => {}); /* a reset, where the server has not read what was sent */
        raw.write(Buffer.from(bytes, "latin1"));
        await deadline(new Promise((resolve) => raw.resume().once("close", resolve)), "the close");
    }
    assert.equal((await stats(server)).limits.handshakes_late, 3);
});

/** A port that hands on what the server sends at once, and of what a client sends only its first bytes; the rest once asked. */
async function holdingPort(t, port) {
    const held = { sizes: [], parts: [] };
    const sockets = [];
    const proxy = net.createServer((client) => {
        const server = net.connect(port, "127.0.0.1");
        sockets.push(client, server);
        client.on("error", () => {});
        server.on("error", () => {}).pipe(client);
        client.once("data", (hello) => {
            const nth = held.sizes.push(0) - 1;
            server.write(hello);
            client.on("data", (part) => {
                held.sizes[nth] += part.length;
                held.parts.push(() => new Promise((resolve) => server.write(part, resolve)));
            });
        });
    });
    await new Promise((resolve) => proxy.listen(0, "127.0.0.1", resolve));
    t.after(() => {
        proxy.close();
        sockets.forEach((socket) => socket.destroy());
    });
    return { held, port: proxy.address().port };
}

/** How many bytes the kernel has for sockets at `port` that nobody has read; a socket that takes bytes may have them later. */
function unreadAt(port) {
    const local = `:${port.toString(16).toUpperCase().padStart(4, "0")} `;
    const ESTABLISHED = "01";
    return fs.readFileSync("/proc/net/tcp", "utf8").split("\n").map((row) => row.trim().split(/ +/))
        .filter(([, address, , state]) => `${address} `.endsWith(local) && state === ESTABLISHED)
        .reduce((sum, [, , , , queues]) => sum + parseInt(queues.split(":")[1], 16), 0);
}

/** Stops all threads of a server: the first of them that runs again hears of the signal, and the others from that one. */
async function freeze(server) {
    const tasks = `/proc/${server.pid}/task`;
    const stateOf = (task) => fs.readFileSync(`${tasks}/${task}/stat`, "utf8").split(") ")[1][0];
    server.signal("SIGSTOP");
    await eventually(() => fs.readdirSync(tasks).every((task) => stateOf(task) === "T"), "the stop of all threads");
}

test("requests that came with the end of their handshakes are answered before a drain", async (t) => {
    const CLIENTS = 150;
    const REQUEST = "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n";
    const { server, port, certificates } = await secured(t, { args: ["--threads", "2"], more: "limits: {drain_ms: 10s, head_ms: 5m, handshake_ms: 5m}\n" });
    const { held, port: holding } = await holdingPort(t, port);
    const clients = await Promise.all(Array.from({ length: CLIENTS }, () => connect(t, holding, { ca: certificates.ca })));
    clients.forEach((socket) => {
        listen(socket);
        socket.write(REQUEST);
    });
    const END = 80; /* bytes that end a handshake, at most */
    await eventually(() => held.sizes.length === CLIENTS && held.sizes.every((size) => size > END + REQUEST.length), "the ends of the handshakes, and the requests");
    await freeze(server);
    await Promise.all(held.parts.map((send) => send()));
    const sent = held.sizes.reduce((sum, size) => sum + size);
    await eventually(() => unreadAt(port) === sent || assert.fail(`${unreadAt(port)} of ${sent}`), "all bytes at the server");
    server.signal("SIGTERM");
    server.signal("SIGCONT");
    for (const socket of clients) {
        await readUntil(socket, /HTTP\/1\.1 200/, "an answer");
    }
    assert.deepEqual(await server.exited, { code: 0, signal: null });
});

test("a client certificate is wanted where the configuration says so", async (t) => {
    const certificates = new Certificates(t);
    certificates.make("a", LOCAL);
    const client = certificates.make("client", "DNS:client", { subject: "/O=Example/CN=alice" });
    const stranger = new Certificates(t).make("client", "DNS:client");
    const config = (required) => certificates.config(["a"], `  client_ca: ${certificates.path("ca.pem")}\n  client_required: ${required}\n`);
    for (const required of [true, false]) {
        const server = await startServer(t, { listen: LISTEN, config: config(required) });
        const port = server.portOf("https");
        assert.equal((await ask(port, "/healthz", { ca: certificates.ca, ...client })).status, 200);
        await assert.rejects(ask(port, "/healthz", { ca: certificates.ca, ...stranger }));
        if (required) {
            await assert.rejects(ask(port, "/healthz", { ca: certificates.ca }));
        } else {
            assert.equal((await ask(port, "/healthz", { ca: certificates.ca })).status, 200);
        }
    }
});

test("a session that a client certificate began ends with that certificate, on either version", async (t) => {
    const certificates = new Certificates(t);
    certificates.make("a", LOCAL);
    const { key } = certificates.make("client", "DNS:client");
    const config = certificates.config(["a"], `  client_ca: ${certificates.path("ca.pem")}\n  client_required: true\n`);
    const server = await startServer(t, { listen: LISTEN, config });
    let cert;
    const visit = (version, session) => new Promise((resolve, reject) => {
        const socket = tls.connect({ host: "127.0.0.1", port: server.portOf("https"), servername: "localhost", ca: certificates.ca,
            cert, key, session, minVersion: version, maxVersion: version, ALPNProtocols: ["http/1.1"] });
        let kept;
        let text = "";
        socket.on("session", (one) => (kept = one)).once("error", reject);
        socket.on("data", (part) => (text += part)).on("end", () => (text.includes(" 200 OK")
            ? resolve({ reused: socket.isSessionReused(), session: kept }) : reject(new Error(`answered ${text}`))));
        socket.write("GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    });
    for (const version of ["TLSv1.2", "TLSv1.3"]) {
        let session;
        for (const seconds of [3, 15]) { /* a busy machine may use a certificate when it has ended already */
            if (session === undefined) {
                cert = certificates.endAt("client", new Date(Date.now() + seconds * 1000));
                const visits = visit(version).then(async (first) => [first, await visit(version, first.session)]);
                const [first, second] = await visits.catch(() => [{}, {}]);
                ({ session } = first);
                assert.equal(session === undefined || second.reused, true);
            }
        }
        assert.ok(session, "two visits while the certificate is good");
        await eventually(() => visit(version).then(() => false, () => true), "the end of the certificate");
        await assert.rejects(visit(version, session));
    }
});

test("a flood of handshakes does not hold up the events of others", async (t) => {
    const { server, port } = await secured(t, { keys: { a: "rsa" }, args: ["--threads", "1"] });
    const stream = await server.ndjson("/channels/a");
    let flooding = true;
    const flood = Array.from({ length: 20 }, async () => {
        while (flooding) {
            const socket = tls.connect({ host: "127.0.0.1", port, rejectUnauthorized: false });
            await new Promise((resolve) => socket.once("secureConnect", resolve).once("error", resolve));
            await new Promise((resolve) => socket.end().resume().once("close", resolve));
        }
    });
    for (let i = 0; i < 20; i++) {
        await server.publish("a", `${i}`);
        await stream.next();
    }
    flooding = false;
    await Promise.all(flood);
    assert.ok((await stats(server)).tls.handshakes >= 20);
});
