// A client of HTTP/2 with prior knowledge, by Node: requests, streams and WebSockets of one connection.

import assert from "node:assert/strict";
import http2 from "node:http2";
import { WebSocket } from "ws";
import { deadline } from "./wait.mjs";

/** A session that ends with the test. */
export async function connect(t, server, options = {}) {
    const session = http2.connect(server.url, options);
    session.on("error", () => {}); /* some tests end it so */
    server.onStop(() => session.destroy());
    t.after(() => session.destroy());
    await deadline(new Promise((resolve) => session.once("remoteSettings", resolve)), "the server's SETTINGS");
    return session;
}

/** Sends a request; answers { status, headers, body } once it is whole. */
export function ask(session, headers, body) {
    const stream = session.request({ ":path": "/", ...headers });
    return deadline(new Promise((resolve, reject) => {
        const answer = { body: "" };
        stream.setEncoding("utf8");
        stream.on("response", (head) => Object.assign(answer, { status: head[":status"], headers: head }));
        stream.on("data", (text) => (answer.body += text));
        stream.on("end", () => resolve(answer));
        stream.on("error", reject);
        stream.end(body);
    }), "an answer");
}

export function publish(session, channel, data, headers = {}) {
    return ask(session, { ":method": "POST", ":path": `/channels/${channel}`, ...headers }, data);
}

/** An open stream: what it got as `text`, and `ended` with its error, if any. */
export async function follow(session, path, headers = {}) {
    const stream = session.request({ ":path": path, ...headers });
    const got = { stream, text: "", error: undefined };
    stream.setEncoding("utf8");
    stream.on("data", (text) => (got.text += text));
    got.ended = new Promise((resolve) => {
        stream.on("error", (error) => (got.error = error));
        stream.on("close", resolve);
    });
    got.headers = await deadline(new Promise((resolve) => stream.once("response", resolve)), "the head of a stream");
    return got;
}

/** A WebSocket over a stream of the session. */
export async function socket(session, path, headers = {}) {
    const stream = session.request({
        ":method": "CONNECT", ":protocol": "websocket", ":path": path, "sec-websocket-version": "13", ...headers,
    });
    const head = await deadline(new Promise((resolve, reject) => stream.once("response", resolve).once("error", reject)), "a handshake");
    assert.equal(head[":status"], 200);
    stream.setNoDelay = () => {};
    const ws = new WebSocket(null, undefined, { autoPong: true });
    Object.assign(ws, { _isServer: false, _closeTimeout: 30_000 }); /* npm ws opens none over HTTP/2 by itself */
    ws.setSocket(stream, Buffer.alloc(0), { maxPayload: 1 << 20, skipUTF8Validation: false, allowSynchronousEvents: true });
    const got = { ws, stream, head, messages: [] };
    ws.on("message", (data) => got.messages.push(data.toString()));
    ws.on("error", (error) => (got.error = error));
    got.closed = new Promise((resolve) => ws.once("close", resolve));
    return got;
}
