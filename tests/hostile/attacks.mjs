// The attacks: what one hostile peer, or a few, can send with little effort. Each is bounded in time and
// in what it sends. `prepare` brings the server to where the attack begins; `attack` runs until `until`. Those over
// HTTP/2 are in http2.mjs, and those over TLS in tls.mjs: `tls: true` gives the server a certificate and a port for it.
//
//     node attacks.mjs prepare|attack NAME PORT SECONDS [TLS-PORT]

import zlib from "node:zlib";
import { fileURLToPath } from "node:url";
import { attacks as http2 } from "./http2.mjs";
import {
    DEFLATE, FRESHET_V1, arrive, connect, connectMany, destroyAll, flood, frame, get, getLine, handshake, openSocket, openSockets,
    pause, publishMany, repeat, request, select, untilThen, views,
} from "./support.mjs";
import { attacks as tls } from "./tls.mjs";

const TEXT = 1, BINARY = 2, CONTINUATION = 0, PONG = 10, PING = 9;
const MIB = 1 << 20;

function json(path, document) {
    return (port) => request(port, "POST", path,
        { body: JSON.stringify(document), headers: { "Content-Type": "application/json" } });
}

async function fillLog(port, channels, events, size) {
    const data = "x".repeat(size);
    const all = Array.from({ length: events }, (_, n) => ({ channel: `old/${n % channels}/in`, data }));
    await publishMany(port, all);
}

/** Patterns that begin like a/a/…/a and fail at its end: as many as the bounds of a pattern allow. */
function nearMisses(count, skip = 0) {
    const patterns = [];
    for (let stars = 0; stars < 1 << 15 && patterns.length < skip + count; stars++) {
        const segments = Array.from({ length: 15 }, (_, i) => (stars >> i & 1 ? "*" : "a"));
        if (segments.filter((one) => one === "*").length === 4) {
            patterns.push(`${segments.join("/")}/b`);
        }
    }
    return patterns.slice(skip);
}

/** A name of 17 segments, which `nearMisses` all but match. */
const DEEP = Array(17).fill("a").join("/");

/** 98 patterns that overlap, of which only the first and the last match DEEP; others for each `n`. */
function overlapping(n) {
    const patterns = nearMisses(97, 20 * n);
    return ["a/**", ...patterns.slice(1), `${patterns[0].slice(0, -2)}/**`];
}

/** A binary message that inflates to little, by as many blocks of deflate as there is room for. */
function blocks(size) {
    const first = zlib.deflateRawSync(Buffer.alloc(40_000, "a"));
    const empty = Buffer.from([3, 0]); /* a block of fixed codes that ends at once */
    const count = Math.floor((size - first.length) / 2);
    return Buffer.concat([first, Buffer.alloc(2 * count, empty), Buffer.from([0])]);
}

/** The beginning of gzip, and stored blocks of no bytes. */
function emptyBlocks(size) {
    const head = Buffer.from([0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3]);
    const empty = Buffer.from([0, 0, 0, 0xff, 0xff]);
    return Buffer.concat([head, Buffer.alloc(size - size % 5, empty)]);
}

/** Connections of freshet.v1 that read nothing, each with subscriptions of which none is live. */
async function behind(port, count, channels) {
    const sockets = await openSockets(port, count, "/events", { extra: FRESHET_V1, read: false });
    sockets.forEach((socket, n) => socket.write(Buffer.concat(channels(n).map((one) => frame(TEXT,
        JSON.stringify({ op: "subscribe", channels: [one], after: "earliest" }))))));
    return sockets;
}

/** Larger events of DEEP than the sockets of those who do not read can take. */
async function fillDeep(port) {
    for (let n = 0; n < 40; n++) {
        await request(port, "POST", `/channels/${DEEP}`, { body: "x".repeat(60_000) });
    }
}

/** Whether a stream that is there gets an ephemeral event which is published then. */
async function getsEphemeral(port) {
    const socket = await connect(port, { read: false });
    let text = "";
    const has = (what) => new Promise((resolve) => {
        const look = () => (text.includes(what) || socket.destroyed) && resolve(text.includes(what));
        socket.on("data", (bytes) => { text += bytes; look(); });
        socket.once("close", look);
        socket.setTimeout(60_000, () => socket.destroy());
        look();
    });
    socket.write(getLine("/channels/e/x?stream=ndjson"));
    const there = await has('"beat"');
    const published = there && (await request(port, "POST", "/channels/e/x", { body: "hello" })).status === 202;
    const got = !published || await has("hello");
    socket.destroy();
    return got;
}

export const attacks = {
    pongs: {
        title: "one WebSocket sends small pongs at full speed",
        async attack(port, until) {
            const bytes = Buffer.concat(Array.from({ length: 8000 }, () => frame(PONG, "x")));
            await flood(await openSocket(port, "/channels/a"), bytes, until);
        },
    },
    pings: {
        title: "WebSockets send pings and small messages at full speed and read nothing",
        async attack(port, until) {
            const bytes = Buffer.concat(Array.from({ length: 4000 }, (_, n) =>
                (n % 2 ? frame(PING, "x") : frame(TEXT, ""))));
            const sockets = await openSockets(port, 4, "/channels/a", { read: false });
            await Promise.all(sockets.map((socket) => flood(socket, bytes, until)));
            destroyAll(sockets);
        },
    },
    pipelined: {
        title: "20 connections pipeline requests that are refused",
        async attack(port, until) {
            const bytes = Buffer.from(getLine("/nowhere").repeat(1000));
            const sockets = await connectMany(port, 20);
            await Promise.all(sockets.map((socket) => flood(socket, bytes, until)));
            destroyAll(sockets);
        },
    },
    unread: {
        title: "20 connections pipeline requests and read no answer",
        async attack(port, until) {
            const bytes = Buffer.from(getLine("/metrics").repeat(200));
            const sockets = await connectMany(port, 20, { read: false });
            await Promise.all(sockets.map((socket) => flood(socket, bytes, until)));
            destroyAll(sockets);
        },
    },
    tiny_chunks: {
        title: "bodies in chunks of one byte",
        async attack(port, until) {
            const head = "POST /channels/a HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n";
            const body = `${"1\r\nx\r\n".repeat(20_000)}0\r\n\r\n`;
            const sockets = await connectMany(port, 4);
            await Promise.all(sockets.map((socket) => flood(socket, Buffer.from(head + body), until)));
            destroyAll(sockets);
        },
    },
    bombs: {
        title: "messages of freshet.v1 that inflate from 1 KB to 1 MiB",
        async attack(port, until) {
            const bomb = frame(TEXT, `{"op":"ping","ref":"${"a".repeat(MIB - 100)}"}`, { deflate: true });
            const socket = await openSocket(port, "/events", { extra: FRESHET_V1 + DEFLATE });
            await flood(socket, Buffer.concat(Array(50).fill(bomb)), until);
            socket.destroy();
        },
    },
    published_bombs: {
        title: "100 sockets each publish 63 events that inflate from 1 KB to 1 MiB",
        async attack(port, until) {
            const bomb = frame(TEXT, `{"op":"publish","channel":"bomb","data":"${"a".repeat(MIB - 100)}","ref":1}`,
                { deflate: true });
            const sockets = await openSockets(port, 100, "/events", { extra: FRESHET_V1 + DEFLATE });
            sockets.forEach((socket) => socket.write(Buffer.concat(Array(63).fill(bomb))));
            await untilThen(until);
            destroyAll(sockets);
        },
    },
    block_bombs: {
        title: "messages of 1 MiB that are half a million blocks of deflate, and inflate to little",
        async attack(port, until) {
            const bomb = frame(BINARY, blocks(MIB - 16), { deflated: true });
            await repeat(until, 6, async () => { /* it is closed for it, and comes again */
                const socket = await openSocket(port, "/channels/a", { extra: DEFLATE });
                await flood(socket, bomb, until);
                socket.destroy();
            });
        },
    },
    gzip_bodies: {
        title: "bodies that decompress from 1 KB to 1 MiB, to more than may be, and from a MiB of blocks that hold nothing",
        async attack(port, until) {
            const bodies = [zlib.gzipSync(Buffer.alloc(MIB)), zlib.gzipSync(Buffer.alloc(100 * MIB)), emptyBlocks(MIB - 16)];
            await repeat(until, 24, (n) => request(port, "POST", `/channels/gzip/${n % 8}?ephemeral=1`,
                { body: bodies[n % bodies.length], headers: { "Content-Encoding": "gzip", "Content-Type": "application/json" } }));
        },
    },
    large_event: {
        title: "500 streams of distinct selections, and events of 1 MiB",
        async attack(port, until) {
            const sockets = await connectMany(port, 500);
            await arrive(port, until, sockets.length, () => sockets.forEach((socket, n) =>
                socket.write(getLine(select(["big", `none/${n}`], "&stream=ndjson")))));
            for (const fill of ["a", "\x01", "\n"]) {
                await request(port, "POST", "/channels/big", { body: fill.repeat(MIB) });
            }
            await untilThen(until);
            destroyAll(sockets);
        },
    },
    large_deflated: {
        title: "100 sockets with deflate and distinct selections, and texts of 1 MiB",
        async attack(port, until) {
            const sockets = await openSockets(port, 100, (n) => select(["big", `none/${n}`]),
                { extra: FRESHET_V1 + DEFLATE });
            await arrive(port, until, sockets.length, () => sockets.forEach((socket, n) => socket.write(frame(TEXT,
                JSON.stringify({ op: "subscribe", channels: ["big", `more/${n}`] })))), views);
            let text = "";
            for (let seed = 1; text.length < MIB - 100; seed = seed * 48271 % 2147483647) {
                text += seed.toString(36);
            }
            await request(port, "POST", "/channels/big", { body: text.slice(0, MIB - 100) });
            await untilThen(until);
            destroyAll(sockets);
        },
    },
    control_bytes: {
        title: "one subscriber, and events of a MiB of control bytes one after the other",
        async attack(port, until) {
            const socket = await connect(port);
            socket.write(getLine(select(["big"], "&stream=ndjson")));
            await repeat(until, 1, () => request(port, "POST", "/channels/big", { body: "\x01".repeat(MIB) }));
            socket.destroy();
        },
    },
    reconnecting: {
        title: "consumers of different channels with large events reconnect at once, amid pages of control bytes",
        async prepare(port) {
            for (let n = 0; n < 300; n++) {
                await request(port, "POST", `/channels/c/${n % 30}`, { body: "y".repeat(20_000) });
            }
            await request(port, "POST", "/channels/big", { body: "\x01".repeat(MIB) });
        },
        async attack(port, until) {
            const pages = await connect(port);
            pages.write(getLine("/channels/big?after=earliest").repeat(64));
            while (Date.now() < until) {
                const sockets = await connectMany(port, 30, { read: false });
                sockets.forEach((socket, n) =>
                    socket.write(getLine(`/channels/c/${n}?stream=ndjson&after=earliest`)));
                await pause(100);
                sockets.forEach((socket) => socket.resume());
                await pause(100);
                destroyAll(sockets);
            }
            pages.destroy();
        },
    },
    patterns: {
        title: "50 connections with 100 patterns each that all but match, and batches of 100 such events",
        async attack(port, until) {
            const sockets = await connectMany(port, 50);
            await arrive(port, until, sockets.length, () => sockets.forEach((socket, n) =>
                socket.write(getLine(select(nearMisses(100, 25 * n), "&stream=ndjson")))));
            const events = Array.from({ length: 100 }, (_, n) => ({ channel: `${"a/".repeat(15)}c${n}`, data: 1 }));
            await repeat(until, 1, () => json("/events", events)(port));
            destroyAll(sockets);
        },
    },
    pattern_webhooks: {
        title: "300 webhooks with patterns that all but match, and batches of 100 such events",
        args: ["--config"],
        config: "webhooks: {allow: [127.0.0.1]}\n",
        async attack(port, until) {
            const made = [];
            for (let n = 0; n < 300; n++) {
                made.push(await json("/webhooks", {
                    url: `http://127.0.0.1:9/${n}`, channels: nearMisses(100, 4 * n),
                })(port));
            }
            const events = Array.from({ length: 100 }, (_, n) => ({ channel: `${"a/".repeat(15)}c${n}`, data: 1 }));
            await repeat(until, 1, () => json("/events", events)(port));
            for (const { text } of made) { /* what the operator has registered may stay in memory */
                await request(port, "DELETE", `/webhooks/${JSON.parse(text).id}`);
            }
        },
    },
    subscribe_loop: {
        title: "a freshet.v1 connection subscribes to 99 deep patterns and leaves them, in a loop",
        async attack(port, until) {
            const channels = nearMisses(99);
            const bytes = frame(TEXT, JSON.stringify({ op: "subscribe", channels, ref: 1 }));
            const gone = frame(TEXT, JSON.stringify({ op: "unsubscribe", channels, ref: 2 }));
            const socket = await openSocket(port, "/events", { extra: FRESHET_V1 });
            await flood(socket, Buffer.concat(Array(20).fill([bytes, gone]).flat()), until);
            socket.destroy();
        },
    },
    unsubscribe_loop: {
        title: "a freshet.v1 connection that is behind leaves again and again what 99 later subscriptions want",
        prepare: fillDeep,
        async attack(port, until) {
            const channels = ["**", ...Array.from({ length: 99 }, (_, n) => `a/*/c${n}/*/e/f/g/**`)];
            const [socket] = await behind(port, 1, () => channels);
            const gone = frame(TEXT, JSON.stringify({ op: "unsubscribe", channels: ["**"] }));
            await flood(socket, Buffer.concat(Array(1000).fill(gone)), until);
            socket.destroy();
        },
    },
    behind_views: {
        title: "50 freshet.v1 connections that read nothing, with 98 overlapping patterns each, and batches that match",
        prepare: fillDeep,
        async attack(port, until) {
            const sockets = await arrive(port, until, 50, () => behind(port, 50, overlapping), views);
            const events = Array.from({ length: 20 }, () => ({ channel: DEEP, data: 1 }));
            await repeat(until, 1, () => json("/events", events)(port));
            destroyAll(sockets);
        },
    },
    many_parts: {
        title: "freshet.v1 connections with 100 subscriptions each that read nothing",
        prepare: (port) => fillLog(port, 100, 20_000, 500),
        async attack(port, until) {
            const sockets = await openSockets(port, 50, "/events", { extra: FRESHET_V1, read: false });
            const bytes = Buffer.concat(Array.from({ length: 100 }, (_, n) => frame(TEXT,
                JSON.stringify({ op: "subscribe", channels: [`old/${n}/in`], after: "earliest" }))));
            sockets.forEach((socket) => socket.write(bytes));
            await untilThen(until);
            destroyAll(sockets);
        },
    },
    window_scans: {
        title: "GETs with 100 patterns that match nothing, from within the window",
        prepare: (port) => fillLog(port, 100, 100_000, 20),
        async attack(port, until) {
            const page = JSON.parse((await get(port, "/channels/old/0/in?last=900&limit=1")).text);
            const path = select(Array.from({ length: 100 }, (_, n) => `o*/${n}/x`.replace("o*", "*")),
                `&after=${page.cursor}`);
            await repeat(until, 4, () => get(port, path));
        },
    },
    resolving: {
        title: "reads of 100 patterns that all but match, distinct each time, held against 50,000 channels",
        prepare: (port) => publishMany(port, Array.from({ length: 50_000 }, (_, n) =>
            ({ channel: `${"a/".repeat(15)}x${n}`, data: 1 }))),
        async attack(port, until) {
            await repeat(until, 8, async (n) => {
                const socket = await connect(port);
                socket.write(getLine(select(nearMisses(100, n % 1000), `&type=t${n}&after=earliest`)));
                await pause(50);
                socket.destroy();
            });
        },
    },
    cancelled_reads: {
        title: "1,000 streams of one view that read from different cursors are closed at once",
        prepare: (port) => fillLog(port, 100, 200_000, 20),
        async attack(port, until) {
            const { oldest } = JSON.parse((await get(port, "/stats")).text).log;
            while (Date.now() < until) {
                const sockets = await connectMany(port, 1000);
                await arrive(port, until, sockets.length, () => sockets.forEach((socket, n) => socket.write(getLine(
                    select(["**"], `&type=none&stream=ndjson&after=${String(Number(oldest) + n).padStart(16, "0")}`)))));
                destroyAll(sockets);
            }
        },
    },
    trimmed_scans: {
        title: "eight GETs at a time with 99 patterns over 4,000 trimmed channels",
        async prepare(port) {
            await fillLog(port, 4000, 4000, 10);
            for (let n = 0; n < 4000; n += 8) {
                await Promise.all(Array.from({ length: 8 }, (_, i) =>
                    request(port, "DELETE", `/channels/old/${n + i}/in`)));
            }
        },
        async attack(port, until) {
            const path = select(Array.from({ length: 99 }, (_, n) => `*/*/in${n}`), "&after=0000000000000001");
            await repeat(until, 8, () => get(port, path));
        },
    },
    backwards: {
        title: "eight reads at a time that walk the whole log backwards, whose clients have gone",
        prepare: (port) => fillLog(port, 1000, 300_000, 20),
        async attack(port, until) {
            const paths = [select(["*/none"], "&before=9000000000000000"), select(["*/none"], "&last=1000"),
                "/topics/none/at/all", select(["old/*/none"], "&last=1")];
            await repeat(until, 8, async (n) => {
                const socket = await connect(port);
                socket.write(getLine(paths[n % paths.length]));
                await pause(5);
                socket.destroy();
            });
        },
    },
    pattern_consumers: {
        title: "consumers of user/N/** catch up on the whole log",
        prepare: (port) => fillLog(port, 1000, 300_000, 20),
        async attack(port, until) {
            const sockets = await connectMany(port, 300);
            sockets.forEach((socket, n) =>
                socket.write(getLine(select([`old/${n}/**`], "&stream=ndjson&after=earliest"))));
            await untilThen(until);
            destroyAll(sockets);
        },
    },
    channel_lists: {
        title: "lists of channels whose names were created in falling order",
        async prepare(port) {
            const names = Array.from({ length: 200_000 }, (_, n) => `z/${String(200_000 - n).padStart(7, "0")}`);
            await publishMany(port, names.map((channel) => ({ channel, data: 1 })));
        },
        attack: (port, until) => repeat(until, 4, (n) =>
            get(port, n % 2 ? "/channels?limit=1000" : "/channels?prefix=z/01&limit=1000")),
    },
    deep_names: {
        title: "new channels whose names share 250 bytes, 1,000 a request, where each byte is a branch",
        async attack(port, until) {
            const base = "a".repeat(250);
            const branches = Array.from({ length: 250 * 6 }, (_, n) => base.slice(0, Math.floor(n / 6)) + "cqAie!"[n % 6]);
            await publishMany(port, branches.map((channel) => ({ channel, data: 1 })));
            for (let k = 0; k < 5 && Date.now() < until; k++) {
                await publishMany(port, Array.from({ length: 1000 }, (_, n) =>
                    ({ channel: `${base}${k}${String(n).padStart(3, "0")}`, data: 1 })));
            }
        },
    },
    ephemeral_behind_slices: {
        title: "400 streams of distinct selections and batches that all of them get, beside ephemeral events",
        config: "namespaces:\n  - prefix: e\n    ephemeral: true\n",
        async attack(port, until) {
            const sockets = await connectMany(port, 400);
            await arrive(port, until, sockets.length, () => sockets.forEach((socket, n) =>
                socket.write(getLine(select(["busy"], `&type=t&type=u${n}&stream=ndjson`)))));
            const events = Array.from({ length: 200 }, () => ({ channel: "busy", type: "t", data: 1 }));
            let lost = 0;
            await Promise.all([
                repeat(until, 1, () => json("/events", events)(port)),
                repeat(until, 1, async () => { lost += !await getsEphemeral(port); }),
            ]);
            destroyAll(sockets);
            if (lost) {
                throw new Error(`${lost} ephemeral events did not come to a stream that was there`);
            }
        },
    },
    stats_while_deleting: {
        title: "/readyz, /stats and /metrics while a channel of many events is deleted",
        prepare: (port) => fillLog(port, 1, 200_000, 20),
        async attack(port, until) {
            const deleted = request(port, "DELETE", "/channels/old/0/in");
            await repeat(until, 2, (n) => get(port, ["/readyz", "/stats", "/metrics"][n % 3]));
            await deleted;
        },
    },
    slow_heads: {
        title: "1,500 connections: heads that come a byte at a time, no head at all, and a closed side behind half a head",
        async attack(port, until) {
            const sockets = await connectMany(port, 1500, { allowHalfOpen: true });
            const text = getLine("/channels/a", `X-Slow: ${"y".repeat(2000)}\r\n`);
            sockets.forEach((socket, n) => n % 3 === 2 && socket.end(text.slice(0, 50)));
            for (let at = 0; Date.now() < until; at++) {
                sockets.forEach((socket, n) => n % 3 === 0 && socket.write(text[at]));
                await pause(20);
            }
            destroyAll(sockets);
        },
    },
    endless: {
        title: "heads, chunks, trailers and frames that never end",
        async attack(port, until) {
            const post = "POST /channels/a HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n";
            const socket = handshake("/channels/a");
            const kinds = [["GET / HTTP/1.1\r\nHost: localhost\r\n", "X-More: and more\r\n"], ["GET /", "x"], ["", "\r\n"],
                [post, "0"], [`${post}1;x=`, "y"], [`${post}0\r\n`, "X-More: and more\r\n"],
                [Buffer.concat([Buffer.from(socket), Buffer.from([0x82, 0xff, 0x7f, ...Array(11).fill(0xff)])]), "x"],
                [Buffer.concat([Buffer.from(socket), frame(TEXT, "x", { fin: false })]), frame(CONTINUATION, "", { fin: false })]];
            await repeat(until, 2 * kinds.length, async (n) => { /* it is refused, and comes again */
                const [first, more] = kinds[n % kinds.length].map((part) => Buffer.from(part));
                const socket = await connect(port).catch(() => undefined);
                socket?.write(first);
                await (socket ? flood(socket, Buffer.concat(Array(Math.ceil(16_000 / more.length)).fill(more)), until) : pause(20));
                socket?.destroy();
            });
        },
    },
    unfinished: {
        title: "300 WebSocket messages and 300 bodies that are never finished",
        async attack(port, until) {
            const sockets = await openSockets(port, 300, "/channels/a");
            sockets.forEach((socket) => socket.write(frame(TEXT, "a".repeat(MIB - 1), { fin: false })));
            const bodies = await connectMany(port, 300);
            bodies.forEach((socket) => socket.write("POST /channels/a HTTP/1.1\r\nHost: localhost\r\n" +
                `Content-Length: ${MIB}\r\n\r\n${"b".repeat(MIB - 1)}`));
            await untilThen(until);
            destroyAll([...sockets, ...bodies]);
        },
    },
    fragments: {
        title: "messages in fragments of one byte",
        async attack(port, until) {
            const sockets = await openSockets(port, 4, "/channels/a");
            const bytes = Buffer.concat(Array.from({ length: 8000 }, () => frame(CONTINUATION, "x", { fin: false })));
            await Promise.all(sockets.map(async (socket) => {
                socket.write(frame(TEXT, "x", { fin: false }));
                await flood(socket, bytes, until);
            }));
            destroyAll(sockets);
        },
    },
    presence_lists: {
        title: "60 freshet.v1 connections that ask for a list of 300 members with states of 1 KB, 64 questions at a time, half of them unread",
        config: "namespaces: [{prefix: chat, presence: true, presence_grace_ms: 0}]\nlimits: {presence_address_percent: 100}\n",
        async attack(port, until) {
            const members = await connectMany(port, 300);
            await arrive(port, until, members.length, () => members.forEach((socket, n) =>
                socket.write(getLine(`/channels/chat/much?stream=ndjson&as=${n}`))));
            await Promise.all(members.map((_, n) => request(port, "PUT", `/presence/chat/much/me?as=${n}`,
                { body: JSON.stringify({ state: "s".repeat(1000) }), headers: { "Content-Type": "application/json" } })));
            const question = frame(TEXT, JSON.stringify({ op: "presence", channel: "chat/much", limit: 1000 }));
            const questions = Buffer.concat(Array(64).fill(question));
            const open = (read) => openSockets(port, 30, "/events", { extra: FRESHET_V1, read });
            const sockets = [...await open(true), ...await open(false)];
            await Promise.all(sockets.map((socket) => flood(socket, questions, until)));
            destroyAll([...members, ...sockets]);
        },
    },
    never_reading: {
        title: "1,000 streams that never read while 100 MB pass",
        async attack(port, until) {
            const sockets = await connectMany(port, 1000, { read: false });
            await arrive(port, until, sockets.length, () =>
                sockets.forEach((socket) => socket.write(getLine("/channels/much?stream=ndjson"))));
            for (let n = 0; n < 1600 && Date.now() < until; n++) {
                await request(port, "POST", "/channels/much", { body: "m".repeat(64_000) });
            }
            await untilThen(until);
            destroyAll(sockets);
        },
    },
    slow_reading: {
        title: "1,000 streams that read a little now and then, of which each is behind, while 100 MB pass",
        async attack(port, until) {
            const sockets = await connectMany(port, 1000, { read: false });
            await arrive(port, until, sockets.length, () =>
                sockets.forEach((socket) => socket.write(getLine("/channels/much?stream=ndjson"))));
            await Promise.all([
                repeat(until, 1, () => request(port, "POST", "/channels/much", { body: "m".repeat(64_000) })),
                repeat(until, 1, async () => {
                    sockets.forEach((socket) => socket.read(1000));
                    await pause(100);
                }),
            ]);
            destroyAll(sockets);
        },
    },
    channel_churn: {
        title: "channels that come and go",
        async attack(port, until) {
            await repeat(until, 2, async (n) => {
                await json("/events", Array.from({ length: 500 }, (_, i) =>
                    ({ channel: `churn/${n}/${i}`, data: 1 })))(port);
                for (let i = 0; i < 500 && Date.now() < until; i += 50) {
                    await Promise.all(Array.from({ length: 50 }, (_, k) =>
                        request(port, "DELETE", `/channels/churn/${n}/${i + k}`)));
                }
            });
        },
    },
    connection_churn: {
        title: "connections that open and close, with a stream each",
        attack: (port, until) => repeat(until, 50, async (n) => {
            const socket = await connect(port).catch(() => undefined);
            socket?.write(getLine(select([`user/${n}/inbox`, `user/${n}/**`], "&stream=sse")));
            await pause(5);
            socket?.destroy();
        }),
    },
};

Object.assign(attacks, http2, tls);

if (process.argv[1] === fileURLToPath(import.meta.url)) {
    const [, , what, name, port, seconds, tlsPort] = process.argv;
    await attacks[name][what]?.(Number(port), Date.now() + Number(seconds) * 1000, Number(tlsPort));
    process.exit(0);
}
