// What presence costs beside a subscription: the same subscribers on a server with presence and on one
// without, of which each is a member under a name of its own.

import fs from "node:fs";
import http2 from "node:http2";
import net from "node:net";
import { randomBytes } from "node:crypto";
import { start } from "./servers.mjs";

const STREAMS = 1000; // of a connection of HTTP/2
const TERMS = 100; // of a connection of freshet.v1: SELECTION_TERMS_MAX
const PATIENCE_MS = 110_000;

const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** Microseconds of all threads of these processes. */
function cpuOf(pids) {
    const tasks = pids.flatMap((pid) => fs.readdirSync(`/proc/${pid}/task`)
        .map((task) => `/proc/${pid}/task/${task}/schedstat`));
    return tasks.reduce((sum, file) => sum + Number(fs.readFileSync(file, "utf8").split(" ")[0]) / 1000, 0);
}

/** Bytes without the pages of files. */
function memoryOf(pids) {
    return pids.reduce((sum, pid) => sum +
        Number(/RssAnon:\s+(\d+)/.exec(fs.readFileSync(`/proc/${pid}/status`, "utf8"))[1]) * 1024, 0);
}

async function stats(port) {
    return (await fetch(`http://127.0.0.1:${port}/stats`)).json();
}

/** Waits until all of the subscriptions are there, and, with presence, are members. */
async function settled(port, members) {
    const end = Date.now() + PATIENCE_MS;
    for (;;) {
        const { presence } = await stats(port);
        if (presence.members >= members) {
            break;
        }
        if (Date.now() > end) {
            throw new Error(`${presence.members} of ${members} members`);
        }
        await sleep(50);
    }
    await sleep(1500); // counts are told, and what is freed is given back
}

/** Streams of one channel, many a connection of HTTP/2. The sessions, once all have their heads. */
async function openStreams(port, count) {
    const sessions = [];
    for (let first = 0; first < count; first += STREAMS) {
        const session = http2.connect(`http://127.0.0.1:${port}`, { settings: { initialWindowSize: 1 << 20 } });
        sessions.push(session);
        await new Promise((resolve, reject) => {
            let open = 0;
            const wanted = Math.min(STREAMS, count - first);
            session.once("error", reject);
            for (let i = 0; i < wanted; i++) {
                const name = `m${String(first + i).padStart(6, "0")}`;
                const stream = session.request({ ":path": `/channels/p/one?stream=ndjson&beat=60&as=${name}` });
                stream.once("response", (head) => (head[":status"] === 200
                    ? ++open === wanted && resolve() : reject(new Error(`status ${head[":status"]}`))));
                stream.once("error", reject);
                stream.resume();
            }
        });
    }
    return () => sessions.forEach((session) => session.destroy());
}

/** A frame of text from a client, whose mask is of zeroes. */
function frame(text) {
    const data = Buffer.from(text);
    const head = data.length < 126 ? Buffer.from([0x81, 0x80 | data.length, 0, 0, 0, 0])
        : Buffer.from([0x81, 0xfe, data.length >> 8, data.length & 255, 0, 0, 0, 0]);
    return Buffer.concat([head, data]);
}

/** A connection of freshet.v1 that subscribes to these channels under a name; resolves once they are live. */
function openSocket(port, channels, as) {
    return new Promise((resolve, reject) => {
        const socket = net.connect(port, "127.0.0.1");
        let text = "";
        socket.once("error", reject);
        socket.write(`GET /events?beat=60 HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n` +
            `Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: ${randomBytes(16).toString("base64")}\r\n` +
            "Sec-WebSocket-Protocol: freshet.v1\r\n\r\n");
        socket.on("data", (data) => {
            text += data.toString("latin1");
            if (text.includes('"op":"error"')) {
                reject(new Error(text));
            } else if (text.includes('"op":"live"')) {
                socket.removeAllListeners("data").resume();
                resolve(socket);
            }
        });
        socket.write(frame(JSON.stringify({ op: "subscribe", channels, as, ref: 1 })));
    });
}

/** Many channels of ten members each, over connections of freshet.v1. */
async function openSockets(port, count) {
    const channels = Math.max(TERMS, Math.round(count / 10));
    const sockets = [];
    for (let first = 0; first < count; first += TERMS) {
        const names = Array.from({ length: TERMS }, (_, i) => `p/${(first + i) % channels}`);
        sockets.push(await openSocket(port, names, `m${String(first / TERMS).padStart(6, "0")}`));
    }
    return () => sockets.forEach((socket) => socket.destroy());
}

const shapes = { one: openStreams, many: openSockets };

async function costOf(server, shape, count, members) {
    const running = await start(server);
    try {
        const cpu = cpuOf(running.family), memory = memoryOf(running.family);
        const close = await shapes[shape](running.port, count);
        await settled(running.port, members);
        const cost = { cpu_us: (cpuOf(running.family) - cpu) / count, bytes: (memoryOf(running.family) - memory) / count };
        close();
        return cost;
    } finally {
        await running.stop();
    }
}

/** What a member costs more than a subscriber: CPU of its join, and memory while it is idle. `shape`: "one"
 *  channel of `count`, or "many" channels of ten. */
export async function presenceCost(server, shape, count) {
    const members = await costOf(server, shape, count, count);
    const others = await costOf("freshet, absence", shape, count, 0);
    return { cpu_us: members.cpu_us - others.cpu_us, bytes: members.bytes - others.bytes };
}
