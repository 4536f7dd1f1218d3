// What one address and one subject may have of the server: connections, streams and polls.

import assert from "node:assert/strict";
import http2 from "node:http2";
import net from "node:net";
import { once } from "node:events";
import * as jose from "jose";
import { WebSocket } from "ws";
import { assertProblem, deadline, eventually, startServer, sideBySide } from "./support/index.mjs";
import { freePort } from "./support/program.mjs";
import { Freshet } from "./support/ws.mjs";

const { test } = sideBySide(3);

const SECRET = "correct horse battery staple and more";
const CONFIG = `access: {anybody: [read], authenticated: [read, publish]}\ntokens:\n  - secret: "${SECRET}"\n`;

function token(sub) {
    return new jose.SignJWT({}).setProtectedHeader({ alg: "HS256" }).setSubject(sub).setExpirationTime("1h")
        .sign(new TextEncoder().encode(SECRET));
}

/** A connection that comes from an address of this machine: all of 127.0.0.0/8 is. */
async function connectFrom(t, server, localAddress) {
    const socket = net.connect({ host: "127.0.0.1", port: new URL(server.url).port, localAddress });
    socket.on("error", () => {});
    t.after(() => socket.destroy());
    await once(socket, "connect");
    return socket;
}

/** Its request's answer, as text. */
async function ask(socket, path = "/healthz", head = "") {
    let text = "";
    socket.on("data", (bytes) => (text += bytes));
    socket.write(`GET ${path} HTTP/1.1\r\nHost: localhost\r\n${head}\r\n`);
    await eventually(() => text.includes("\r\n\r\n"), "an answer");
    return text;
}

async function counter(server, name, headers = {}) {
    return (await server.get("/stats", { Connection: "close", ...headers })).json().limits[name];
}

test("an address has as many connections as it may, and others have theirs", async (t) => {
    const server = await startServer(t, { config: "limits: {address_connections_max: 3}\n", args: ["--threads", "2"] });
    const held = [];
    for (let n = 0; n < 3; n++) {
        held.push(await connectFrom(t, server, "127.0.0.2"));
        assert.match(await ask(held[n]), /^HTTP\/1.1 200 /);
    }
    const refused = await ask(await connectFrom(t, server, "127.0.0.2"));
    assert.match(refused, /^HTTP\/1.1 429 /);
    assert.match(refused, /\r\nRetry-After: \d/i);
    assert.match(refused, /address_connections_max/);
    const events = await ask(await connectFrom(t, server, "127.0.0.2"), "/channels/a", "Accept: text/event-stream\r\n");
    assert.match(events, /^HTTP\/1.1 200 [^]*retry: \d/); /* an EventSource comes back only after a 200 */
    assert.match(await ask(await connectFrom(t, server, "127.0.0.3")), /^HTTP\/1.1 200 /);
    assert.ok((await counter(server, "address_connections_refused")) >= 2);
    held.pop().destroy();
    await eventually(async () => (await ask(await connectFrom(t, server, "127.0.0.2"))).startsWith("HTTP/1.1 200"), "room");
});

test("HTTP/2 connections of an address count as others do", async (t) => {
    const server = await startServer(t, { config: "limits: {address_connections_max: 1}\n" });
    const begin = () => http2.connect(server.url, { createConnection: () =>
        net.connect({ host: "127.0.0.1", port: new URL(server.url).port, localAddress: "127.0.0.2" }) });
    const session = begin();
    t.after(() => session.destroy());
    await deadline(once(session, "remoteSettings"), "SETTINGS");
    assert.match(await ask(await connectFrom(t, server, "127.0.0.2")), /^HTTP\/1.1 429 /);
    const refused = begin();
    refused.on("error", () => {});
    t.after(() => refused.destroy());
    const [, , why] = await deadline(once(refused, "goaway"), "a GOAWAY");
    assert.match(why.toString(), /address_connections_max/);
    session.destroy();
    await eventually(async () => (await ask(await connectFrom(t, server, "127.0.0.2"))).startsWith("HTTP/1.1 200"), "room");
});

/** A server with a listener of the PROXY protocol, whose connections are `front`. */
async function startProxied(t, limits) {
    const port = await freePort();
    const server = await startServer(t, { listen: ["127.0.0.1:0", `proxy+http://127.0.0.1:${port}`], args: ["--threads", "2"],
        config: `limits: {${limits}}\ntrusted_proxies: [127.0.0.2, 10.0.0.0/8]\n` });
    return { server, front: { url: `http://127.0.0.1:${port}` } };
}

async function askBy(t, front, header, path, head) {
    const socket = await connectFrom(t, front, "127.0.0.2");
    socket.write(header);
    return { socket, text: await ask(socket, path, head) };
}

const of = (client) => `PROXY TCP${client.includes(":") ? 6 : 4} ${client} ${client.includes(":") ? "::1" : "127.0.0.1"} 1 2\r\n`;

test("a connection of the PROXY protocol counts for the client that its header names", async (t) => {
    const { server, front } = await startProxied(t, "address_connections_max: 2");
    for (const [one, same, other] of [["192.0.2.1", "192.0.2.1", "192.0.2.2"], ["2001:db8::1", "2001:db8::2", "2001:db8:0:1::1"]]) {
        const held = [await askBy(t, front, of(one)), await askBy(t, front, of(same))];
        assert.deepEqual(held.map(({ text }) => text.slice(9, 12)), ["200", "200"]);
        const { text } = await askBy(t, front, of(one));
        assert.match(text, /^HTTP\/1.1 429 [^]*address_connections_max/);
        const events = await askBy(t, front, of(one), "/channels/a", "Accept: text/event-stream\r\n");
        assert.match(events.text, /^HTTP\/1.1 200 [^]*retry: \d/);
        assert.match((await askBy(t, front, of(other))).text, /^HTTP\/1.1 200 /);
        held.forEach(({ socket }) => socket.destroy());
        await eventually(async () => (await askBy(t, front, of(one))).text.startsWith("HTTP/1.1 200"), "room");
    }
    assert.ok((await counter(server, "address_connections_refused")) >= 4);
});

test("a trusted proxy has as many connections as it makes, for itself and for another", async (t) => {
    const { front } = await startProxied(t, "address_connections_max: 1");
    for (const header of ["PROXY UNKNOWN\r\n", of("10.0.0.1")]) {
        for (let n = 0; n < 3; n++) {
            assert.match((await askBy(t, front, header)).text, /^HTTP\/1.1 200 /, header);
        }
    }
});

test("a client that is over its limit behind a proxy takes none of the places of others", async (t) => {
    const { server, front } = await startProxied(t, "address_connections_max: 1, connections_max: 150");
    await askBy(t, front, of("192.0.2.1"));
    for (let n = 0; n < 100; n++) {
        const { socket, text } = await askBy(t, front, of("192.0.2.1"));
        assert.match(text, /^HTTP\/1.1 429 /, `${n}`);
        socket.destroy();
    }
    const silent = await Promise.all(Array.from({ length: 100 }, () => connectFrom(t, front, "127.0.0.2")));
    silent.forEach((socket) => socket.write(of("192.0.2.1"))); /* more than are heard before they are refused */
    await eventually(async () => (await counter(server, "address_connections_refused")) >= 200, "refusals");
    const others = await Promise.all(Array.from({ length: 120 }, (_, n) => askBy(t, front, of(`192.0.2.${n + 2}`))));
    assert.ok(others.every(({ text }) => text.startsWith("HTTP/1.1 200")));
});

test("without the key an address has as many as come", async (t) => {
    const server = await startServer(t);
    const held = await Promise.all(Array.from({ length: 200 }, () => connectFrom(t, server, "127.0.0.2")));
    assert.match(await ask(held.at(-1)), /^HTTP\/1.1 200 /);
    assert.equal(await counter(server, "address_connections_refused"), 0);
});

test("a subject has as many streams, WebSockets and polls as it may, by whatever connection", async (t) => {
    const server = await startServer(t, { config: `${CONFIG}limits: {subject_connections_max: 3}\n`, args: ["--threads", "2"] });
    const alice = { Authorization: `Bearer ${await token("alice")}` };
    const bob = { Authorization: `Bearer ${await token("bob")}` };
    const stream = await connectFrom(t, server, "127.0.0.1");
    assert.match(await ask(stream, "/channels/a?stream=sse", `Authorization: ${alice.Authorization}\r\n`), /^HTTP\/1.1 200 /);
    const session = http2.connect(server.url);
    t.after(() => session.destroy());
    const over2 = session.request({ ":path": "/channels/a?stream=ndjson", authorization: alice.Authorization });
    assert.equal((await deadline(once(over2, "response"), "a response"))[0][":status"], 200);
    const socket = new WebSocket(`${server.url.replace("http", "ws")}/channels/a`, { headers: alice });
    t.after(() => socket.terminate());
    await deadline(once(socket, "open"), "a WebSocket");

    assertProblem(await server.get("/channels/a?stream=sse", alice), 429, /address|subject/);
    assertProblem(await server.get("/channels/a?after=now&wait=20", alice), 429, /address|subject/);
    const again = session.request({ ":path": "/channels/a?stream=sse", authorization: alice.Authorization });
    assert.equal((await deadline(once(again, "response"), "a response"))[0][":status"], 429);
    const fourth = new WebSocket(`${server.url.replace("http", "ws")}/channels/a`, { headers: alice });
    fourth.on("error", () => {});
    const [, answer] = await deadline(once(fourth, "unexpected-response"), "a refusal");
    assert.equal(answer.statusCode, 429);

    assert.equal((await server.request("POST", "/channels/a", { headers: alice, body: "x" })).status, 201);
    assert.equal((await server.get("/channels/a?last=1", bob)).status, 200);
    const nobody = await Freshet.open(t, server);
    const refused = await nobody.answer({ op: "auth", token: await token("alice") });
    assert.equal(refused.problem.status, 429);
    assert.equal((await nobody.answer({ op: "auth", token: await token("bob") })).op, "ok");
    over2.close();
    await eventually(async () => (await server.get("/channels/a?last=1", alice)).status === 200, "room");
});
