// Client certificates as subjects: rules say what their holders may do, over HTTP/1.1 and HTTP/2, and they can be revoked.

import assert from "node:assert/strict";
import http2 from "node:http2";
import https from "node:https";
import { WebSocket } from "ws";
import { Certificates } from "./support/certificates.mjs";
import { deadline, eventually, startServer, sideBySide } from "./support/index.mjs";

const { test } = sideBySide(4);

const ROOT = `fk_${"a".repeat(10)}_${"b".repeat(52)}`;
const READER = `fk_${"c".repeat(10)}_${"b".repeat(52)}`;
const PACKER = `fk_${"d".repeat(10)}_${"b".repeat(52)}`;
const RULES = `access: {anybody: [], authenticated: [read, publish]}
origins: ["https://app.example", "https://*.shop.example"]
keys:
  - {name: root, key: ${ROOT}, grants: [{channels: ['**'], may: [admin]}]}
  - {name: packer, key: ${PACKER}, grants: [{channels: [packed], may: [read]}]}
namespaces:
  - {prefix: open, access: {anybody: [read], authenticated: [publish]}}
  - {prefix: closed, access: {anybody: [], authenticated: []}}
  - {prefix: packed, compress: true}
`;

/** A server with rules that asks for certificates, and the clients by name. */
async function secured(t, more = "") {
    const certificates = new Certificates(t);
    certificates.make("a", "DNS:localhost,IP:127.0.0.1");
    const clients = {
        alice: certificates.make("alice", "DNS:other", { subject: "/O=Example/CN=alice" }),
        shop: certificates.make("shop", "URI:spiffe://example/shop", { subject: "/O=Example" }),
        nobody: certificates.make("nobody", "IP:127.0.0.2", { subject: "/O=Example" }),
    };
    const config = certificates.config(["a"], `  client_ca: ${certificates.path("ca.pem")}\n`) + RULES + more;
    const server = await startServer(t, { listen: ["127.0.0.1:0", "https://127.0.0.1:0"], config });
    return { server, certificates, clients, port: server.portOf("https"), ca: certificates.ca };
}

/** One request over a connection of its own: {status, headers, body}. */
function ask({ port, ca }, method, target, { client = {}, headers = {}, body } = {}) {
    return new Promise((resolve, reject) => {
        const request = https.request({ host: "localhost", port, ca, method, path: target, headers, agent: false, ...client }, async (response) => {
            let text = "";
            for await (const part of response.setEncoding("latin1")) {
                text += part;
            }
            resolve({ status: response.statusCode, headers: response.headers, body: text });
        });
        request.once("error", reject);
        request.end(body);
    });
}

function ask2(t, { port, ca }, target, client = {}) {
    const session = http2.connect(`https://localhost:${port}`, { ca, ...client });
    t.after(() => session.destroy());
    return deadline(new Promise((resolve, reject) => {
        session.once("error", reject);
        session.request({ ":path": target }).once("response", (headers) => resolve(headers[":status"])).once("error", reject).resume().end();
    }), "an answer over HTTP/2");
}

const revoke = (server, subject) => fetch(`${server.url}/revocations`,
    { method: "POST", headers: { Authorization: `Bearer ${ROOT}` }, body: JSON.stringify({ subject }) });

test("a certificate has what rules give to anybody with a credential, and nothing else", async (t) => {
    const room = await secured(t);
    const { alice, shop, nobody } = room.clients;
    const status = async (...args) => (await ask(room, ...args)).status;
    for (const client of [alice, shop]) {
        assert.equal(await status("POST", "/channels/news", { client, body: "hello" }), 201);
        assert.equal(await status("GET", "/channels/news", { client }), 200);
        assert.equal(await status("GET", "/channels/closed", { client }), 403);
        assert.equal(await status("GET", "/stats", { client }), 403);
        assert.equal(await ask2(t, room, "/channels/news", client), 200);
        assert.equal(await ask2(t, room, "/channels/closed", client), 403);
    }
    assert.equal(await status("GET", "/channels/news"), 401);
    assert.equal(await ask2(t, room, "/channels/news"), 401);
    assert.equal((await fetch(`${room.server.url}/channels/news`)).status, 401);
    const unnamed = await ask(room, "GET", "/channels/open", { client: nobody });
    assert.equal(unnamed.status, 401);
    assert.match(unnamed.body, /names nobody/);
    assert.equal(await status("GET", "/channels/open"), 200);
});

test("a poll whose head is known is answered by the certificate of each connection", async (t) => {
    const room = await secured(t);
    for (let i = 0; i < 3; i++) {
        assert.equal((await ask(room, "GET", "/channels/open")).status, 200);
        assert.equal((await ask(room, "GET", "/channels/open", { client: room.clients.nobody })).status, 401);
        assert.equal((await ask(room, "GET", "/channels/news", { client: room.clients.alice })).status, 200);
        assert.equal((await ask(room, "GET", "/channels/news")).status, 401);
    }
});

test("a credential that is sent goes before the certificate, also a bad one", async (t) => {
    const room = await secured(t);
    const client = room.clients.alice;
    for (const [headers, target, status] of [
        [{ Authorization: `Bearer ${ROOT}` }, "/stats", 200],
        [{ Authorization: `Bearer ${READER}` }, "/channels/news", 401],
        [{ Authorization: "Bearer a.b.c" }, "/channels/news", 401],
        [{}, "/channels/news?token=a.b.c", 401],
        [{}, "/channels/news", 200],
    ]) {
        assert.equal((await ask(room, "GET", target, { client, headers })).status, status, `${JSON.stringify(headers)} ${target}`);
    }
});

test("pages of other sites cannot use the certificate of their visitor", async (t) => {
    const room = await secured(t);
    const client = room.clients.alice;
    const publish = async (headers) => (await ask(room, "POST", "/channels/news", { client, headers, body: "x" })).status;
    assert.equal(await publish({ Origin: "https://app.example", "Sec-Fetch-Site": "cross-site" }), 201);
    assert.equal(await publish({ "Sec-Fetch-Site": "same-origin" }), 201);
    assert.equal(await publish({ Origin: "https://a.shop.example", "Sec-Fetch-Site": "cross-site" }), 401);
    assert.equal(await publish({ Origin: "https://evil.example", "Sec-Fetch-Site": "cross-site" }), 403);
    assert.equal(await publish({ "Sec-Fetch-Site": "cross-site" }), 403);
});

test("a revocation of the subject ends its streams and WebSockets, and a certificate that begins later is good", async (t) => {
    const room = await secured(t);
    const { server, certificates, port, ca } = room;
    const { key } = room.clients.alice;
    const client = room.clients.alice;
    const stream = await deadline(new Promise((resolve, reject) => https.get({ host: "localhost", port, ca, path: "/channels/news?stream=sse",
        agent: false, ...client }, resolve).once("error", reject)), "the stream");
    const ended = new Promise((resolve) => stream.once("end", () => resolve(stream.statusCode)).resume());
    const socket = new WebSocket(`wss://localhost:${port}/channels/news`, { ca, ...client });
    t.after(() => socket.terminate());
    const closed = new Promise((resolve) => socket.once("close", resolve));
    await deadline(new Promise((resolve, reject) => socket.once("open", resolve).once("error", reject)), "the WebSocket");
    assert.equal((await revoke(server, "alice")).status, 201);
    assert.equal(await deadline(ended, "the end of the stream"), 200);
    assert.equal(await deadline(closed, "the end of the WebSocket"), 4401);
    assert.equal((await ask(room, "GET", "/channels/news", { client })).status, 401);
    assert.equal((await ask(room, "GET", "/channels/news", { client: room.clients.shop })).status, 200);
    await eventually(async () => {
        const cert = certificates.endAt("alice", new Date(Date.now() + 60_000));
        return (await ask(room, "GET", "/channels/news", { client: { cert, key } })).status === 200;
    }, "a certificate that begins after the revocation");
});

test("a stream ends with the certificate by which it began", async (t) => {
    const room = await secured(t);
    const { certificates, port, ca } = room;
    const { key } = room.clients.alice;
    const follow = (cert) => deadline(new Promise((resolve, reject) => https.get({ host: "localhost", port, ca, cert, key, path: "/channels/news?stream=sse", agent: false },
        async (response) => {
            let all = `${response.statusCode} `;
            for await (const part of response.setEncoding("utf8")) {
                all += part;
            }
            resolve(all);
        }).once("error", reject)), "the end of the stream");
    let text;
    for (const seconds of [3, 15]) { /* a busy machine may use a certificate when it has ended already */
        text ??= await follow(certificates.endAt("alice", new Date(Date.now() + seconds * 1000))).catch(() => undefined);
    }
    assert.match(text, /^200 /);
});

test("the certificate of a trusted proxy says nothing of its clients", async (t) => {
    const room = await secured(t, "trusted_proxies: [127.0.0.1]\n");
    const { status } = await ask(room, "GET", "/channels/news", { client: room.clients.alice, headers: { "X-Forwarded-For": "192.0.2.7" } });
    assert.equal(status, 401);
});

test("answers are not compressed where a certificate is shown, and are where none is", async (t) => {
    const room = await secured(t);
    const headers = { "Accept-Encoding": "gzip" };
    const body = "compressible ".repeat(400);
    const client = room.clients.alice;
    const coding = async (target, options) => (await ask(room, "GET", target, { headers, ...options })).headers["content-encoding"];
    for (const channel of ["packed", "open"]) {
        assert.equal((await ask(room, "POST", `/channels/${channel}`, { client, body })).status, 201);
    }
    const key = { ...headers, Authorization: `Bearer ${PACKER}` };
    for (let i = 0; i < 3; i++) { /* also with an answer in the cache that somebody else was given */
        assert.equal(await coding("/channels/open"), "gzip");
        assert.equal(await coding("/channels/packed", { headers: key }), "gzip");
        assert.equal(await coding("/channels/packed", { client, headers: key }), undefined);
        assert.equal(await coding("/channels/open", { client }), undefined);
        assert.equal(await coding("/channels/packed", { client }), undefined);
    }
});
