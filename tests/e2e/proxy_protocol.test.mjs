// The PROXY protocol, versions 1 and 2: by hand, by HAProxy, before HTTP/1.1, HTTP/2 and TLS; and what is no header of it.

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import fs from "node:fs";
import http from "node:http";
import net from "node:net";
import path from "node:path";
import tls from "node:tls";
import { Certificates } from "./support/certificates.mjs";
import { fencedBlock, documentText } from "./support/documents.mjs";
import { lacks, startFront } from "./support/fronts.mjs";
import { freePort } from "./support/program.mjs";
import { BIN, deadline, eventually, openSse, request, startServer, test } from "./support/index.mjs";
import { Socket } from "./support/ws.mjs";

const RULES = "access: {anybody: []}\nhosts: [rt.example.org]\ntrusted_proxies: [127.0.0.1]\n";
const GET = "GET /channels/a HTTP/1.1\r\nHost: rt.example.org\r\nConnection: close\r\n\r\n";
const SIGNATURE = Buffer.from("\r\n\r\n\0\r\nQUIT\n", "latin1");

function v2(command, family, body) {
    const head = Buffer.from([command, family, body.length >> 8, body.length & 255]);
    return Buffer.concat([SIGNATURE, head, Buffer.from(body)]);
}

const V4 = [192, 0, 2, 7, 127, 0, 0, 1, 18, 103, 1, 187];
const V6 = [0x20, 1, 0xd, 0xb8, ...new Array(11).fill(0), 7, ...new Array(16).fill(0), 18, 103, 1, 187];

const GOOD = [
    ["PROXY TCP4 192.0.2.7 127.0.0.1 4711 443\r\n", "192.0.2.7"],
    ["PROXY TCP6 2001:db8::7 ::1 4711 443\r\n", "2001:db8::7"],
    ["PROXY UNKNOWN\r\n", "127.0.0.1"],
    [v2(0x21, 0x11, V4), "192.0.2.7"],
    [v2(0x21, 0x21, V6), "2001:db8::7"],
    [v2(0x21, 0x11, [...V4, 4, 0, 1, 0]), "192.0.2.7"],
    [v2(0x21, 0x11, [...V4, 0x20, 7, 208, ...new Array(2000).fill(0)]), "192.0.2.7"], /* long, like a client's certificate */
    [v2(0x20, 0, []), "127.0.0.1"],
];

const EVIL = ["", "PROXY TCP4 192.0.2.7 127.0.0.1 4711\r\n", "PROXY TCP4 192.0.2.777 127.0.0.1 4711 443\r\n", "proxy UNKNOWN\r\n",
    "PROXY UNKNOWN\n", `PROXY ${"x".repeat(200)}\r\n`, v2(0x22, 0x11, V4), v2(0x21, 0x21, V4), v2(0x11, 0x11, V4),
    v2(0x21, 0x41, V4), v2(0x21, 0x13, V4),
    Buffer.concat([SIGNATURE, Buffer.from([0x21, 0x11, 0xff, 0xff])])];

/** A server that takes the header at `port`, and its answers to whatever is sent there. */
async function start(t, { rules = RULES, secure = false, args } = {}) {
    const port = await freePort();
    const certificates = new Certificates(t);
    certificates.make("a", "DNS:rt.example.org");
    const listen = ["127.0.0.1:0", `proxy+${secure ? "https" : "http"}://127.0.0.1:${port}`];
    const server = await startServer(t, { listen, args, config: rules + certificates.config(["a"]) });
    return { server, port, ca: certificates.ca };
}

/** Sends pieces, each when the one before has gone out; answers all that comes back. */
function send(port, ...pieces) {
    const socket = net.connect(port, "127.0.0.1");
    socket.setNoDelay(true);
    let text = "";
    socket.setEncoding("latin1").on("data", (more) => (text += more)).on("error", () => {});
    const write = () => pieces.length && socket.write(pieces.shift(), () => setImmediate(write));
    socket.once("connect", write);
    return deadline(new Promise((resolve) => socket.once("close", () => resolve(text))), "the end of a connection");
}

async function addressOf(server, count) {
    const all = await eventually(() => {
        const found = [...server.err.matchAll(/event=audit .*?address="?([^\s"]*)/g)];
        return found.length >= count && found;
    }, `${count} entries of the audit log`);
    return all[count - 1][1];
}

test("the client is the one in the header, of either version, whole or in pieces", async (t) => {
    const { server, port } = await start(t);
    let count = 0;
    for (const [header, address] of GOOD) {
        const bytes = Buffer.from(header);
        assert.match(await send(port, Buffer.concat([bytes, Buffer.from(GET)])), /^HTTP\/1\.1 401 /);
        assert.equal(await addressOf(server, ++count), address, `${header}`);
        assert.match(await send(port, bytes.subarray(0, 5), bytes.subarray(5, 13), bytes.subarray(13), GET), /^HTTP\/1\.1 401 /);
        assert.equal(await addressOf(server, ++count), address, `${header} in pieces`);
    }
});

test("a client that is a trusted proxy itself may name another by X-Forwarded-For, and no other may", async (t) => {
    const { server, port } = await start(t);
    const forwarded = GET.replace("\r\n\r\n", "\r\nX-Forwarded-For: 198.51.100.3\r\n\r\n");
    await send(port, `PROXY TCP4 127.0.0.1 127.0.0.1 1 2\r\n${forwarded}`);
    assert.equal(await addressOf(server, 1), "198.51.100.3");
    await send(port, `PROXY TCP4 192.0.2.7 127.0.0.1 1 2\r\n${forwarded}`);
    assert.equal(await addressOf(server, 2), "192.0.2.7");
    /* A header without an address: what follows may come from anybody, for example by a Unix socket of the proxy. */
    for (const [index, header] of ["PROXY UNKNOWN\r\n", v2(0x20, 0, []), v2(0x21, 0, []), v2(0x21, 0x31, new Array(216).fill(0))].entries()) {
        await send(port, Buffer.concat([Buffer.from(header), Buffer.from(forwarded)]));
        assert.equal(await addressOf(server, index + 3), "127.0.0.1", `${header}`);
    }
});

async function statsOf(server) {
    return (await server.get("/stats")).json();
}

const ADMITS = RULES.replace("anybody: []", "anybody: [admin]");

test("a connection without a good header is closed without an answer, and the rest goes on", async (t) => {
    const { server, port } = await start(t, { rules: ADMITS });
    for (const header of EVIL) {
        assert.equal(await send(port, Buffer.concat([Buffer.from(header), Buffer.from(GET)])), "", `${header}`);
    }
    await server.logged(/event=proxy_header_refused/);
    const { limits, tls: { failed } } = await statsOf(server);
    assert.equal(limits.proxy_headers_refused, EVIL.length);
    assert.equal(failed, 0, "a plain door has no handshakes");
});

test("a peer that is not trusted is closed, and a listener without trusted proxies does not start", async (t) => {
    const { server, port } = await start(t, { rules: "access: {anybody: [admin]}\ntrusted_proxies: [10.0.0.0/8]\n" });
    assert.equal(await send(port, `${GOOD[0][0]}${GET}`), "");
    assert.equal((await statsOf(server)).limits.proxy_headers_refused, 1);
    const checked = spawnSync(BIN, ["check", "--memory", "--listen", "proxy+http://127.0.0.1:0"]);
    assert.equal(checked.status, 2);
    assert.match(`${checked.stdout}${checked.stderr}`, /trusted_proxies/);
});

test("checks that connect and reset the connection are not counted as refused", async (t) => {
    const { server, port } = await start(t, { rules: ADMITS, args: ["--threads", "1"] });
    for (let n = 0; n < 20; n++) {
        const socket = net.connect(port, "127.0.0.1").on("error", () => {});
        const closed = new Promise((resolve) => socket.once("close", resolve));
        await new Promise((resolve) => socket.write(n % 2 ? v2(0x20, 0, []) : "", resolve));
        socket.resetAndDestroy();
        await deadline(closed, "the end of a connection");
    }
    assert.match(await send(port, `PROXY UNKNOWN\r\n${GET}`), /^HTTP\/1\.1 /);
    assert.equal((await statsOf(server)).limits.proxy_headers_refused, 0);
});

test("a peer that is trusted no more when its header has come whole is closed", async (t) => {
    const { server, port } = await start(t);
    const [header] = GOOD[0];
    const socket = net.connect(port, "127.0.0.1");
    let text = "";
    socket.setEncoding("latin1").on("data", (more) => (text += more)).on("error", () => {});
    const closed = new Promise((resolve) => socket.once("close", resolve));
    await new Promise((resolve) => socket.write(header.slice(0, 20), resolve));
    fs.writeFileSync(path.join(server.dir, "freshet.yaml"), RULES.replace("127.0.0.1", "10.0.0.1"));
    server.signal("SIGHUP");
    await server.logged(/event=reloaded/);
    socket.write(`${header.slice(20)}${GET}`);
    await deadline(closed, "the end of a connection");
    assert.equal(text, "");
});

test("the header stands before the handshake of TLS", async (t) => {
    const { server, port, ca } = await start(t, { secure: true });
    const socket = net.connect(port, "127.0.0.1");
    await new Promise((resolve) => socket.write(v2(0x21, 0x11, V4), resolve));
    const secure = tls.connect({ socket, ca, servername: "rt.example.org" });
    let text = "";
    secure.setEncoding("latin1").on("data", (more) => (text += more)).on("error", () => {});
    secure.write(GET);
    await deadline(new Promise((resolve) => secure.once("close", resolve)), "the end");
    assert.match(text, /^HTTP\/1\.1 401 /);
    assert.equal(await addressOf(server, 1), "192.0.2.7");
});

for (const version of ["send-proxy", "send-proxy-v2"]) {
    test(`HAProxy: every mechanism comes through with ${version}`, { skip: lacks("haproxy") }, async (t) => {
        const { server, port } = await start(t, { rules: RULES.replace("anybody: []", "anybody: [read, publish]") });
        const config = fencedBlock(documentText("access.md"), "haproxy").replace("    option forwardfor\n", "")
            .replace(/server freshet .*/, `server freshet 127.0.0.1:${port} ${version}`);
        const front = await startFront(t, "haproxy", server, { change: () => config });
        const headers = { Host: "rt.example.org" };
        const stream = await openSse(front, "/channels/a", { headers });
        const socket = await Socket.open(t, front, "/channels/a", { headers });
        assert.equal((await request(front, "POST", "/channels/a", { headers, body: "hello" })).status, 201);
        assert.equal((await stream.event()).data, "hello");
        assert.equal((await socket.event()).data, "hello");
        const answer = new Promise((resolve, reject) => {
            http.request({ host: "127.0.0.1", port: front.port, path: "/stats", localAddress: "127.0.0.2",
                headers: { ...headers, "X-Forwarded-For": "203.0.113.9" } }, resolve).on("error", reject).end();
        });
        assert.equal((await deadline(answer, "an answer")).resume().statusCode, 401);
        assert.equal(await addressOf(server, 1), "127.0.0.2");
    });
}
