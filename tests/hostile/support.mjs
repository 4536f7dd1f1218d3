// What attackers and strangers share: plain sockets, requests, and WebSocket frames as bytes, since no
// well-behaved client would send them like that.

import http from "node:http";
import net from "node:net";
import zlib from "node:zlib";
import { setTimeout as pause } from "node:timers/promises";

export { pause };

/** A connected socket that reads nothing unless told, and does not mind being closed. */
export function connect(port, { read = true, allowHalfOpen = false } = {}) {
    return new Promise((resolve, reject) => {
        const socket = net.connect({ port, host: "127.0.0.1", allowHalfOpen });
        socket.once("connect", () => resolve(socket));
        socket.once("error", reject);
        socket.on("error", () => undefined);
        if (read) {
            socket.resume();
        }
    });
}

/** Many of them; those that are refused are left out. */
export async function connectMany(port, count, options) {
    const all = await Promise.allSettled(Array.from({ length: count }, () => connect(port, options)));
    return all.filter((one) => one.status === "fulfilled").map((one) => one.value);
}

/** Writes as fast as the other side reads, until the time is over. */
export async function flood(socket, bytes, until) {
    while (Date.now() < until && !socket.destroyed) {
        if (socket.write(bytes)) {
            await new Promise(setImmediate);
            continue;
        }
        const writable = new AbortController();
        const go = () => writable.abort();
        socket.once("drain", go);
        socket.once("close", go);
        await pause(Math.max(1, until - Date.now()), undefined, { signal: writable.signal }).catch(() => undefined);
        socket.off("drain", go);
        socket.off("close", go);
    }
}

const agent = new http.Agent({ keepAlive: true, maxSockets: 64 });

/** {status, text, headers}; status 0 when there was no answer. */
export function request(port, method, path, { body, headers = {} } = {}) {
    return new Promise((resolve) => {
        const none = (error) => resolve({ status: 0, text: String(error), headers: {} });
        const sent = http.request({ port, host: "127.0.0.1", method, path, headers, agent }, (answer) => {
            const parts = [];
            answer.on("data", (part) => parts.push(part));
            answer.on("end", () => resolve({
                status: answer.statusCode, headers: answer.headers, text: Buffer.concat(parts).toString(),
            }));
            answer.on("error", none);
        });
        sent.on("error", none);
        sent.end(body);
    });
}

export const get = (port, path) => request(port, "GET", path);

/** What /stats says; nothing if it has no answer. */
async function statsOf(port) {
    const answer = await get(port, "/stats");
    return answer.status === 200 ? JSON.parse(answer.text) : undefined;
}

export const subscribers = (stats) => stats.subscribers.total;
export const views = (stats) => stats.views;

/** Calls `come`, then waits until the server counts so many subscribers (or views) more, or until the time is over. */
export async function arrive(port, until, more, come, count = subscribers) {
    const before = await statsOf(port);
    const came = await come();
    for (let now = before; before && Date.now() < until && !(now && count(now) >= count(before) + more);) {
        await pause(20);
        now = await statsOf(port);
    }
    return came;
}

export async function untilThen(until) {
    await pause(Math.max(0, until - Date.now()));
}

/** Calls `each` again and again, `wide` at a time. */
export async function repeat(until, wide, each) {
    await Promise.all(Array.from({ length: wide }, async (_, lane) => {
        for (let n = 0; Date.now() < until; n++) {
            await each(n * wide + lane);
        }
    }));
}

/** Publishes many events by POST /events, `size` a request. */
export async function publishMany(port, events, size = 1000) {
    for (let i = 0; i < events.length; i += size) {
        const body = JSON.stringify(events.slice(i, i + size));
        const answer = await request(port, "POST", "/events", {
            body, headers: { "Content-Type": "application/json" },
        });
        if (answer.status === 503 || answer.status === 429) {
            await pause(50);
            i -= size;
        } else if (answer.status >= 300 || !answer.status) {
            throw new Error(`POST /events: ${answer.status} ${answer.text.slice(0, 200)}`);
        }
    }
}

export function getLine(path, extra = "") {
    return `GET ${path} HTTP/1.1\r\nHost: localhost\r\n${extra}\r\n`;
}

/** A path of /events that selects these channels or patterns. */
export function select(terms, rest = "") {
    return `/events?${terms.map((term) => `channel=${encodeURIComponent(term)}`).join("&")}${rest}`;
}

export function handshake(path, extra = "") {
    return getLine(path, "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n" +
        `Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n${extra}`);
}

export const DEFLATE = "Sec-WebSocket-Extensions: permessage-deflate\r\n";
export const FRESHET_V1 = "Sec-WebSocket-Protocol: freshet.v1\r\n";

/** One frame as a client sends it, masked by zeroes; `deflated`: the payload was deflated by the caller. */
export function frame(opcode, payload = "", { fin = true, deflate = false, deflated = deflate } = {}) {
    let bytes = Buffer.from(payload);
    if (deflate) {
        bytes = zlib.deflateRawSync(bytes, { finishFlush: zlib.constants.Z_SYNC_FLUSH }).subarray(0, -4);
    }
    const first = (fin ? 0x80 : 0) | (deflated ? 0x40 : 0) | opcode;
    let head;
    if (bytes.length < 126) {
        head = Buffer.from([first, 0x80 | bytes.length, 0, 0, 0, 0]);
    } else if (bytes.length < 65536) {
        head = Buffer.from([first, 0xfe, bytes.length >> 8, bytes.length & 255, 0, 0, 0, 0]);
    } else {
        head = Buffer.alloc(14);
        head[0] = first;
        head[1] = 0xff;
        head.writeBigUInt64BE(BigInt(bytes.length), 2);
    }
    return Buffer.concat([head, bytes]);
}

/** An open WebSocket as a bare socket. */
export async function openSocket(port, path, { extra = "", read = true } = {}) {
    const socket = await connect(port, { read: false });
    socket.write(handshake(path, extra));
    await new Promise((resolve) => {
        socket.once("readable", resolve);
        socket.once("close", resolve);
    });
    socket.read();
    if (read) {
        socket.resume();
    }
    return socket;
}

export async function openSockets(port, count, path, options) {
    const sockets = [];
    for (let i = 0; i < count; i++) {
        sockets.push(await openSocket(port, typeof path === "function" ? path(i) : path, options));
    }
    return sockets;
}

export function destroyAll(sockets) {
    sockets.forEach((socket) => socket.destroy());
}
