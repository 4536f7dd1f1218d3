// What can be sent over TLS with little effort: handshakes that were recorded once are sent again, and records are
// made with the keys that the client's library tells.

import crypto from "node:crypto";
import net from "node:net";
import { Duplex } from "node:stream";
import tls from "node:tls";
import { arrive, connect, connectMany, destroyAll, flood, getLine, pause, repeat, request } from "./support.mjs";

const HANDSHAKE = 22, APPLICATION = 23;
const OPTIONS = { host: "127.0.0.1", rejectUnauthorized: false };
const SUITE = { ciphers: "TLS_AES_128_GCM_SHA256", minVersion: "TLSv1.3" };
const HASH = "sha256";

/** The first bytes that a client says, with a ticket if it has one. */
function recordHello(session) {
    return new Promise((resolve) => {
        const listener = net.createServer((socket) => {
            socket.on("error", () => undefined);
            socket.once("data", (bytes) => {
                resolve(bytes);
                socket.destroy();
                listener.close();
            });
        });
        listener.listen(0, "127.0.0.1", () =>
            tls.connect({ ...OPTIONS, port: listener.address().port, session }).on("error", () => undefined));
    });
}

/** A session that may be resumed. */
function newSession(port) {
    return new Promise((resolve, reject) => {
        const socket = tls.connect({ ...OPTIONS, port });
        socket.once("session", (session) => {
            resolve(session);
            socket.destroy();
        });
        socket.on("error", reject);
        socket.resume();
    });
}

/** An open connection over TLS; nothing if it is refused. */
function open(port, options = {}) {
    return new Promise((resolve) => {
        const socket = tls.connect({ ...OPTIONS, ...options, port });
        socket.once("secureConnect", () => resolve(socket));
        socket.once("close", () => resolve(undefined));
        socket.on("error", () => undefined);
    });
}

function expand(secret, label, length) {
    const name = Buffer.from(`tls13 ${label}`);
    const info = Buffer.concat([Buffer.from([0, length, name.length]), name, Buffer.from([0, 1])]);
    return crypto.createHmac(HASH, secret).update(info).digest().subarray(0, length);
}

/** Writes records of TLS 1.3 (RFC 8446, sections 5.2 and 7). */
class Records {
    #secret;
    #number = 0n;

    constructor(secret) {
        this.#secret = secret;
    }

    make(type, bytes) {
        const nonce = expand(this.#secret, "iv", 12);
        nonce.writeBigUInt64BE(nonce.readBigUInt64BE(4) ^ this.#number++, 4);
        const head = Buffer.from([APPLICATION, 3, 3, 0, bytes.length + 17]);
        const cipher = crypto.createCipheriv("aes-128-gcm", expand(this.#secret, "key", 16), nonce).setAAD(head);
        const text = cipher.update(Buffer.concat([Buffer.from(bytes), Buffer.from([type])]));
        return Buffer.concat([head, text, cipher.final(), cipher.getAuthTag()]);
    }

    /** New keys, and the wish that the other side changes its own. */
    keyUpdate() {
        const record = this.make(HANDSHAKE, [24, 0, 0, 1, 1]);
        this.#secret = expand(this.#secret, "traffic upd", 32);
        this.#number = 0n;
        return record;
    }
}

/** A connection behind its handshake, as a bare socket and what makes records for it; nothing if it is refused. */
async function openBare(port) {
    const bare = await connect(port, { read: false }).catch(() => undefined);
    if (!bare) {
        return undefined;
    }
    const between = new Duplex({
        read: () => undefined,
        write: (bytes, _, done) => bare.write(bytes, () => done()),
    });
    bare.on("data", (bytes) => between.push(bytes));
    bare.once("close", () => between.push(null));
    const socket = tls.connect({ ...OPTIONS, ...SUITE, socket: between });
    socket.on("error", () => undefined);
    const secret = new Promise((resolve) => socket.on("keylog", (line) => {
        const match = /^CLIENT_TRAFFIC_SECRET_0 \w+ (\w+)/.exec(line);
        if (match) {
            resolve(Buffer.from(match[1], "hex"));
        }
    }));
    const secure = new Promise((resolve) => socket.once("secureConnect", () => resolve(true)).once("close", () => resolve(false)));
    return await secure ? { bare, records: new Records(await secret) } : undefined;
}

/** Sends records without end, of which some are made each time. */
async function sendRecords(port, until, make) {
    const opened = await openBare(port);
    while (opened && Date.now() < until && !opened.bare.destroyed) {
        const bytes = Buffer.concat(Array.from({ length: 100 }, () => make(opened.records)));
        if (!opened.bare.write(bytes)) {
            await Promise.race([new Promise((resolve) => opened.bare.once("drain", resolve).once("close", resolve)), pause(200)]);
        }
        await new Promise(setImmediate);
    }
    opened?.bare.destroy();
}

async function renegotiate(port) {
    const socket = await open(port, { maxVersion: "TLSv1.2" });
    if (!socket) {
        return;
    }
    await Promise.race([pause(200), new Promise((resolve) => {
        socket.once("close", resolve);
        socket.renegotiate({ rejectUnauthorized: false }, resolve);
    })]);
    socket.destroy();
}

/** Subscribers that hardly read, while much is published. */
async function stall(port, until, tlsPort, count = 400) {
    const sockets = (await Promise.all(Array.from({ length: count }, () => open(tlsPort)))).filter(Boolean);
    await arrive(port, until, sockets.length, () => sockets.forEach((socket) => {
        socket.write(getLine("/channels/much?stream=ndjson"));
        socket.pause();
    }));
    const slow = sockets.slice(0, count / 4);
    await Promise.all([
        repeat(until, 1, () => request(port, "POST", "/channels/much", { body: "m".repeat(64_000) })),
        repeat(until, 1, async () => {
            slow.forEach((socket) => socket.read(1000));
            await pause(100);
        }),
    ]);
    destroyAll(sockets);
}

/** The status of a request by a connection of its own; 0 if there was no answer. */
async function askAnew(port) {
    const socket = await connect(port).catch(() => undefined);
    let text = "";
    socket?.on("data", (bytes) => (text += bytes));
    socket?.write(getLine("/healthz", "Connection: close\r\n"));
    await (socket ? Promise.race([new Promise((resolve) => socket.once("close", resolve)), pause(2000)]) : undefined);
    socket?.destroy();
    return Number(/^HTTP\/1\.1 (\d+)/.exec(text)?.[1] ?? 0);
}

/** Comes to a server that is full, in one of several manners, and goes again. */
async function comeInVain(port, tlsPort, hello, n) {
    const says = [getLine("/channels/a?stream=sse"), hello, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "", hello.subarray(0, 1)][n % 5];
    const socket = await connect(says.length && typeof says !== "string" ? tlsPort : port, { read: n % 2 === 0 }).catch(() => undefined);
    socket?.write(says);
    await pause(5);
    socket?.destroy();
}

export const attacks = {
    too_many: {
        title: "a server full of streams, and floods of connections beyond connections_max, plain and over TLS",
        tls: true,
        config: "limits: {connections_max: 200}\n",
        async attack(port, until, tlsPort) {
            const hello = await recordHello();
            /* The server is full when it has refused somebody: a connection that it has not taken yet leaves a place. */
            const sockets = await arrive(port, Date.now() + 60_000, 1, async () => {
                const all = await connectMany(port, 250);
                all.forEach((socket) => socket.write(getLine("/channels/a?stream=ndjson")));
                return all;
            }, ({ limits }) => Math.min(limits.connections_refused, 1));
            until = Math.max(until, Date.now() + 1000);
            let seen = 0, served = 0;
            await Promise.all([
                repeat(until, 50, (n) => comeInVain(port, tlsPort, hello, n)),
                repeat(until, 1, async () => {
                    const status = await askAnew(port);
                    seen += status === 503;
                    served += status === 200;
                }),
            ]);
            destroyAll(sockets);
            if (!seen || served) {
                throw new Error(`of requests to a full server ${seen} were refused and ${served} were not`);
            }
            let status;
            for (const end = Date.now() + 5000; status !== 200 && Date.now() < end; await pause(100)) {
                status = await askAnew(port);
            }
            if (status !== 200) {
                throw new Error(`the places of connections that have gone stay taken: ${status}`);
            }
        },
    },
    tls_handshakes: {
        title: "TLS: ClientHellos sent again and again, with tickets among them, whose handshakes are left; and renegotiations",
        tls: true,
        async attack(port, until, tlsPort) {
            const hellos = [await recordHello(), await recordHello(await newSession(tlsPort))];
            await Promise.all([
                repeat(until, 24, async (n) => {
                    const socket = await connect(tlsPort, { read: false }).catch(() => undefined);
                    socket?.write(hellos[n % hellos.length]);
                    await (socket ? Promise.race([new Promise((resolve) => socket.once("readable", resolve)), pause(200)]) : pause(20));
                    socket?.destroy();
                }),
                repeat(until, 2, () => renegotiate(tlsPort)),
            ]);
        },
    },
    tls_records: {
        title: "TLS: 1,000 half and slow handshakes, and floods of new keys, empty records, records of a byte and garbage",
        tls: true,
        async attack(port, until, tlsPort) {
            const hello = await recordHello();
            const slow = await connectMany(tlsPort, 1000);
            slow.forEach((socket, n) => n % 2 && socket.write(hello.subarray(0, hello.length / 2)));
            const garbage = [crypto.randomBytes(16_000), Buffer.concat([Buffer.from([HANDSHAKE, 3, 1, 0x3f, 0]), crypto.randomBytes(16_000)]),
                Buffer.concat([hello, crypto.randomBytes(16_000)])];
            await Promise.all([
                (async () => {
                    for (let at = 0; Date.now() < until; at++) {
                        slow.forEach((socket, n) => n % 2 || socket.write(hello.subarray(at, at + 1)));
                        await pause(20);
                    }
                })(),
                repeat(until, 2, () => sendRecords(tlsPort, until, (records) => records.keyUpdate())),
                repeat(until, 1, () => sendRecords(tlsPort, until, (records) => records.make(APPLICATION, []))),
                repeat(until, 1, () => sendRecords(tlsPort, until, (records) => records.make(APPLICATION, "x"))),
                repeat(until, 1, () => sendRecords(tlsPort, until, () => garbage[0])),
                repeat(until, 2, async (n) => {
                    const socket = await connect(tlsPort).catch(() => undefined);
                    await (socket ? flood(socket, garbage[n % garbage.length], Math.min(until, Date.now() + 200)) : pause(20));
                    socket?.destroy();
                }),
            ]);
            destroyAll(slow);
        },
    },
    tls_never_reading: {
        title: "TLS: 300 streams that never read, and 100 that read a little now and then, while 60 MB pass",
        tls: true,
        /* The room for the records of a slice, 2 MiB a worker, is the server's own: it is to have been used. */
        prepare: (port, _, tlsPort) => stall(port, Date.now() + 1000, tlsPort, 150),
        attack: (port, until, tlsPort) => stall(port, until, tlsPort),
    },
};
