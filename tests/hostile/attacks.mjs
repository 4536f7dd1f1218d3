// The attacks: what one hostile peer, or a few, can send with little effort. Each is bounded in time and
// in what it sends. `prepare` brings the server to where the attack begins; `attack` runs until `until`.
//
//     node attacks.mjs prepare|attack NAME PORT SECONDS

import { fileURLToPath } from "node:url";
import {
    DEFLATE, FRESHET_V1, connect, connectMany, destroyAll, flood, frame, get, getLine, openSocket, openSockets,
    pause, publishMany, request, select,
} from "./support.mjs";

const TEXT = 1, CONTINUATION = 0, PONG = 10, PING = 9;
const MIB = 1 << 20;

async function untilThen(until) {
    await pause(Math.max(0, until - Date.now()));
}

/** Calls `each` again and again, `wide` at a time. */
async function repeat(until, wide, each) {
    await Promise.all(Array.from({ length: wide }, async (_, lane) => {
        for (let n = 0; Date.now() < until; n++) {
            await each(n * wide + lane);
        }
    }));
}

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
    large_event: {
        title: "500 streams of distinct selections, and events of 1 MiB",
        async attack(port, until) {
            const sockets = await connectMany(port, 500);
            sockets.forEach((socket, n) =>
                socket.write(getLine(select(["big", `none/${n}`], "&stream=ndjson"))));
            await pause(500);
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
            sockets.forEach((socket, n) => socket.write(frame(TEXT,
                JSON.stringify({ op: "subscribe", channels: ["big", `none/${n}`] }))));
            await pause(500);
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
            sockets.forEach((socket, n) =>
                socket.write(getLine(select(nearMisses(100, 25 * n), "&stream=ndjson"))));
            await pause(500);
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
    stats_while_deleting: {
        title: "/readyz, /stats and /metrics while a channel of many events is deleted",
        prepare: (port) => fillLog(port, 1, 200_000, 20),
        async attack(port, until) {
            const deleted = request(port, "DELETE", "/channels/old/0/in");
            await repeat(until, 2, (n) => get(port, ["/readyz", "/stats", "/metrics"][n % 3]));
            await deleted;
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
    never_reading: {
        title: "1,000 streams that never read while 100 MB pass",
        async attack(port, until) {
            const sockets = await connectMany(port, 1000, { read: false });
            sockets.forEach((socket) => socket.write(getLine("/channels/much?stream=ndjson")));
            await pause(300);
            for (let n = 0; n < 1600 && Date.now() < until; n++) {
                await request(port, "POST", "/channels/much", { body: "m".repeat(64_000) });
            }
            await untilThen(until);
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

if (process.argv[1] === fileURLToPath(import.meta.url)) {
    const [, , what, name, port, seconds] = process.argv;
    await attacks[name][what]?.(Number(port), Date.now() + Number(seconds) * 1000);
    process.exit(0);
}
