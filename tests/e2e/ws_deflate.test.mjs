// permessage-deflate (RFC 7692): by npm `ws`, and by hand for what it would never send.

import assert from "node:assert/strict";
import zlib from "node:zlib";
import { publish, publishMany, RawConn, startServer, test } from "./support/index.mjs";
import { isSanitized, memoryOf } from "./support/checks.mjs";
import { frame, handshake, OP, WsRaw } from "./support/wsraw.mjs";
import { Freshet, Socket } from "./support/ws.mjs";

const ECHO = "/channels/x?format=data";
const COMPRESSED = 4; /* RSV1 among the reserved bits */
const { CONT, TEXT, BINARY, PING } = OP;
const MIB = 1024 * 1024;

const ALWAYS = { perMessageDeflate: { threshold: 0 } };

/** Opens a socket by npm `ws` that must have agreed on compression. */
async function openDeflating(t, server, path, perMessageDeflate = { threshold: 0 }) {
    const socket = await Socket.open(t, server, path, { perMessageDeflate });
    assert.match(socket.ws.extensions, /permessage-deflate/);
    return socket;
}

/** What a handshake with this offer is answered: {status, accepted}, accepted being undefined or its parameters. */
async function negotiate(t, server, offer) {
    const conn = await RawConn.open(server.port);
    t.after(() => conn.destroy());
    await conn.send(handshake(server, ECHO, { "Sec-WebSocket-Extensions": offer }));
    const head = await conn.readHead();
    const answer = head.headers["sec-websocket-extensions"];
    return { conn, head, status: head.status, accepted: answer === undefined ? undefined : parametersOf(answer) };
}

function parametersOf(answer) {
    const [name, ...rest] = answer.split(";").map((part) => part.trim());
    assert.equal(name, "permessage-deflate");
    assert.ok(!answer.includes(","), `one extension was accepted twice: ${answer}`);
    const parameters = {};
    for (const part of rest) {
        const [key, value] = part.split("=").map((half) => half.trim());
        assert.ok(!(key in parameters), `a parameter stands twice: ${answer}`);
        parameters[key] = value === undefined ? true : Number(value.replaceAll('"', ""));
    }
    return parameters;
}

/** A raw connection that has agreed on compression. */
async function openRawDeflating(t, server, offer = "permessage-deflate") {
    const { conn, head, accepted } = await negotiate(t, server, offer);
    assert.equal(head.status, 101);
    assert.ok(accepted, `${offer} was not accepted`);
    return Object.assign(new WsRaw(conn, head), { accepted });
}

/** One message compressed on its own, as section 7.2.1 has it. */
function deflate(data, options = {}) {
    const whole = zlib.deflateRawSync(data, { finishFlush: zlib.constants.Z_SYNC_FLUSH, ...options });
    assert.equal(whole.subarray(-4).toString("hex"), "0000ffff");
    return whole.subarray(0, -4);
}

/** The text of a message that may be compressed. */
function inflate(message, options = {}) {
    if (message.bits === 0) {
        return message.payload;
    }
    assert.equal(message.bits, COMPRESSED);
    const whole = Buffer.concat([message.payload, Buffer.from([0, 0, 255, 255])]);
    return zlib.inflateRawSync(whole, { finishFlush: zlib.constants.Z_SYNC_FLUSH, ...options });
}

/* ---- by npm ws ---- */

test("a client that offers compression gets it, one that does not gets none", async (t) => {
    const server = await startServer(t);
    await openDeflating(t, server, ECHO);
    const plain = await Socket.open(t, server, ECHO);
    assert.equal(plain.ws.extensions, "");
});

test("messages of all sizes come back whole through compression both ways", async (t) => {
    const server = await startServer(t);
    const socket = await openDeflating(t, server, ECHO);
    const said = [];
    for (const size of [0, 1, 2, 100, 125, 126, 127, 1000, 65535, 65536, 300_000, MIB]) {
        said.push("ab".repeat(size / 2 + 1).slice(0, size), Buffer.alloc(size, size));
    }
    /* And what no compression makes smaller. */
    const noise = Buffer.alloc(200_000);
    for (let n = 0, x = 1; n < noise.length; n++) {
        x = (x * 48271) % 2147483647;
        noise[n] = x >> 7;
    }
    said.push(noise);
    for (const data of said) {
        await socket.send(data);
    }
    for (const data of said) {
        const [back] = await socket.data(1);
        assert.ok(typeof back === typeof data && Buffer.from(back).equals(Buffer.from(data)), `${data.length} bytes`);
    }
});

for (const [name, perMessageDeflate] of Object.entries({
    "no context kept by the server": { threshold: 0, serverNoContextTakeover: true },
    "no context kept by the client": { threshold: 0, clientNoContextTakeover: true },
    "no context kept by either": { threshold: 0, serverNoContextTakeover: true, clientNoContextTakeover: true },
    "a window of 512 bytes for the server": { threshold: 0, serverMaxWindowBits: 9 },
    "a window of 32 KiB for the server": { threshold: 0, serverMaxWindowBits: 15 },
    "a window of 1 KiB for the client": { threshold: 0, clientMaxWindowBits: 10 },
})) {
    test(`a client with ${name} is served`, async (t) => {
        const server = await startServer(t);
        const socket = await Socket.open(t, server, ECHO, { perMessageDeflate });
        for (let n = 0; n < 200; n++) {
            await socket.send(`the same words again and again, but for the number ${n} ${"-".repeat(n * 10)}`);
        }
        const back = await socket.data(200);
        back.forEach((text, n) => assert.ok(text.startsWith(`the same words again and again, but for the number ${n} `)));
    });
}

test("a broadcast reaches clients with and without compression alike", async (t) => {
    const server = await startServer(t);
    const sockets = [];
    for (let n = 0; n < 24; n++) {
        const perMessageDeflate = [false, { threshold: 0 }, { threshold: 0, serverNoContextTakeover: true },
            { threshold: 0, serverMaxWindowBits: 9 + (n % 7) }][n % 4];
        sockets.push(await Socket.open(t, server, "/channels/x", { perMessageDeflate }));
    }
    for (let n = 0; n < 50; n++) {
        await publish(server, "x", { n, words: "to be or not to be ".repeat(n) });
    }
    const [first, ...others] = await Promise.all(sockets.map((socket) => socket.events(50)));
    assert.deepEqual(first.map((event) => event.data.n), Array.from({ length: 50 }, (_, n) => n));
    for (const events of others) {
        assert.deepEqual(events, first);
    }
});

test("a compressed socket that comes later, or resumes, reads on without an error", async (t) => {
    const server = await startServer(t);
    const ids = await publishMany(server, "x", 1000, (n) => ({ n, words: "again and again" }));
    const early = await openDeflating(t, server, "/channels/x?after=earliest");
    const late = await openDeflating(t, server, `/channels/x?after=${ids[700]}`);
    const more = await publishMany(server, "x", 100, (n) => ({ n, words: "and again" }));
    assert.deepEqual((await early.events(1100)).map((event) => event.id), [...ids, ...more]);
    assert.deepEqual((await late.events(399)).map((event) => event.id), [...ids.slice(701), ...more]);
});

test("freshet.v1 is spoken through compression too", async (t) => {
    const server = await startServer(t);
    const socket = await Freshet.open(t, server, ALWAYS);
    assert.match(socket.ws.extensions, /permessage-deflate/);
    await socket.subscribe(["a/**"]);
    for (let n = 0; n < 50; n++) {
        const { id } = await publish(server, `a/${n}`, "words ".repeat(50));
        assert.equal((await socket.pushed(1))[0].id, id);
    }
    assert.equal((await socket.answer({ op: "ping" })).op, "pong");
});

test("echo=0 leaves a compressing sender out and disturbs nobody's stream", async (t) => {
    const server = await startServer(t);
    const sender = await openDeflating(t, server, `${ECHO}&echo=0`);
    const other = await openDeflating(t, server, ECHO);
    for (let n = 0; n < 50; n++) {
        await sender.send(`mine ${n}`);
        await publish(server, "x", `theirs ${n}`);
    }
    const heard = await sender.data(50);
    assert.deepEqual(heard, Array.from({ length: 50 }, (_, n) => `theirs ${n}`));
    assert.equal((await other.data(100)).length, 100);
});

/* ---- negotiation (sections 5 and 7.1) ---- */

test("no parameter is accepted that was not offered, but for the server's own choice of no context", async (t) => {
    const server = await startServer(t);
    for (const offer of ["permessage-deflate", "permessage-deflate; client_max_window_bits"]) {
        const { status, accepted } = await negotiate(t, server, offer);
        assert.equal(status, 101);
        assert.ok(accepted, `${offer} was not accepted`);
        const allowed = ["server_no_context_takeover", "client_no_context_takeover", "server_max_window_bits"];
        if (offer.includes("client_max")) {
            allowed.push("client_max_window_bits");
        }
        for (const name of Object.keys(accepted)) {
            assert.ok(allowed.includes(name), `${name} in the answer to ${offer}`);
        }
    }
});

test("server_no_context_takeover, if accepted, is confirmed", async (t) => {
    const server = await startServer(t);
    const { accepted } = await negotiate(t, server, "permessage-deflate; server_no_context_takeover");
    assert.equal(accepted?.server_no_context_takeover, true);
});

test("a window that the client asks of the server is kept to, or the extension is declined", async (t) => {
    const server = await startServer(t);
    for (const value of ["8", "9", "12", "15", '"10"']) {
        const { status, accepted } = await negotiate(t, server, `permessage-deflate; server_max_window_bits=${value}`);
        assert.equal(status, 101);
        if (accepted) {
            const bits = Number(value.replaceAll('"', ""));
            assert.ok(accepted.server_max_window_bits <= bits, `${value} was answered ${JSON.stringify(accepted)}`);
            assert.ok(accepted.server_max_window_bits >= 8);
        }
    }
});

test("an offer that cannot be read is declined, and the connection goes on without it", async (t) => {
    const server = await startServer(t);
    for (const offer of [
        "permessage-deflate; server_max_window_bits=7", "permessage-deflate; server_max_window_bits=16",
        "permessage-deflate; server_max_window_bits=08", "permessage-deflate; server_max_window_bits",
        "permessage-deflate; server_max_window_bits=x", "permessage-deflate; client_max_window_bits=7",
        "permessage-deflate; client_max_window_bits=16", "permessage-deflate; unheard_of",
        "permessage-deflate; server_no_context_takeover=1", "permessage-deflate; client_no_context_takeover=x",
        "permessage-deflate; server_no_context_takeover; server_no_context_takeover",
        "permessage-deflate; server_max_window_bits=10; server_max_window_bits=11",
        "x-webkit-deflate-frame", "permessage-bzip2", "permessage-deflated",
    ]) {
        const { status, accepted, conn, head } = await negotiate(t, server, offer);
        assert.ok([101, 400].includes(status), `${offer} was answered ${status}`);
        assert.equal(accepted, undefined, `${offer} was accepted`);
        if (status === 101) {
            const socket = new WsRaw(conn, head);
            await socket.text("plain");
            const back = await socket.message();
            assert.equal(back.bits, 0);
            assert.equal(back.payload.toString(), "plain");
        }
    }
});

test("the first offer that can be accepted is", async (t) => {
    const server = await startServer(t);
    for (const offer of [
        "permessage-deflate; unheard_of, permessage-deflate",
        "permessage-bzip2; level=9, permessage-deflate",
        "permessage-deflate; server_max_window_bits=99, permessage-deflate; client_max_window_bits, permessage-deflate",
    ]) {
        const { status, accepted } = await negotiate(t, server, offer);
        assert.equal(status, 101);
        assert.ok(accepted, `${offer} was not accepted`);
    }
});

/* ---- messages (section 7.2) ---- */

test("a compressed message in fragments has the bit on its first alone, and control frames pass between", async (t) => {
    const server = await startServer(t);
    const socket = await openRawDeflating(t, server);
    const packed = deflate("fragments of one compressed message ".repeat(20));
    await socket.send(frame(TEXT, packed.subarray(0, 5), { fin: false, bits: COMPRESSED }), frame(PING, "between"));
    assert.equal((await socket.frame()).payload.toString(), "between");
    await socket.send(...[...packed.subarray(5)].map((byte) => frame(CONT, Buffer.from([byte]), { fin: false })), frame(CONT));
    assert.equal(inflate(await socket.message()).toString(), "fragments of one compressed message ".repeat(20));
});

test("uncompressed messages may stand among compressed ones", async (t) => {
    const server = await startServer(t);
    const socket = await openRawDeflating(t, server, "permessage-deflate; server_no_context_takeover");
    for (const text of ["one", "two", "three", "four"]) {
        await socket.send(text.length === 3 ? frame(TEXT, deflate(text), { bits: COMPRESSED }) : frame(TEXT, text));
        assert.equal(inflate(await socket.message()).toString(), text);
    }
});

test("empty messages, stored blocks, and a final block are all read", async (t) => {
    const server = await startServer(t);
    const socket = await openRawDeflating(t, server, "permessage-deflate; server_no_context_takeover");
    const cases = [
        ["", Buffer.from([0])], /* section 7.2.3.6 */
        ["Hello", Buffer.from("f248cdc9c90700", "hex")], /* 7.2.3.1 */
        ["Hello", Buffer.from("000500faff48656c6c6f00", "hex")], /* 7.2.3.3: no compression */
        ["Hello", Buffer.from("f348cdc9c9070000", "hex")], /* 7.2.3.4: a final block */
        ["Hello", Buffer.from("f248050000 00ffffcac9c90700".replaceAll(" ", ""), "hex")], /* 7.2.3.5: two blocks */
    ];
    for (const [text, packed] of cases) {
        await socket.send(frame(TEXT, packed, { bits: COMPRESSED }));
        assert.equal(inflate(await socket.message()).toString(), text, packed.toString("hex"));
    }
});

test("a client that keeps its context, where it may, is understood", async (t) => {
    const server = await startServer(t);
    const socket = await openRawDeflating(t, server, "permessage-deflate; server_no_context_takeover");
    /* 7.2.3.2: the second Hello refers back to the first. */
    await socket.send(frame(TEXT, Buffer.from("f248cdc9c90700", "hex"), { bits: COMPRESSED }));
    assert.equal(inflate(await socket.message()).toString(), "Hello");
    if (!socket.accepted.client_no_context_takeover) {
        await socket.send(frame(TEXT, Buffer.from("f200110000", "hex"), { bits: COMPRESSED }));
        assert.equal(inflate(await socket.message()).toString(), "Hello");
    }
});

test("a server that agreed to keep no context sends each message so that it can be read alone", async (t) => {
    const server = await startServer(t);
    const socket = await openRawDeflating(t, server, "permessage-deflate; server_no_context_takeover");
    const text = "the same text each time, long enough to be worth it ".repeat(10);
    for (let n = 0; n < 5; n++) {
        await socket.send(frame(TEXT, text));
        assert.equal(inflate(await socket.message()).toString(), text);
    }
});

test("a server keeps to the window that was agreed", async (t) => {
    const server = await startServer(t);
    const { accepted, conn, head } = await negotiate(t, server, "permessage-deflate; server_no_context_takeover; server_max_window_bits=9");
    assert.equal(head.status, 101);
    if (accepted) {
        const socket = new WsRaw(conn, head);
        /* What repeats after 2 KiB must not be referred to. zlib wants 9 bits at least. */
        const text = Array.from({ length: 512 }, (_, n) => n.toString(36).padStart(4, "#")).join("").repeat(8);
        await socket.send(frame(TEXT, text));
        const back = inflate(await socket.message(), { windowBits: Math.max(9, accepted.server_max_window_bits) });
        assert.equal(back.toString(), text);
    }
});

test("the bit of compression where it must not stand closes the connection with 1002", async (t) => {
    const server = await startServer(t);
    const packed = deflate("Hello");
    for (const parts of [
        [frame(PING, "x", { bits: COMPRESSED })],
        [frame(TEXT, packed.subarray(0, 2), { fin: false, bits: COMPRESSED }), frame(CONT, packed.subarray(2), { bits: COMPRESSED })],
        [frame(TEXT, "x", { fin: false }), frame(CONT, packed, { bits: COMPRESSED })],
        [frame(TEXT, packed, { bits: 2 })], [frame(TEXT, packed, { bits: 1 })], [frame(TEXT, packed, { bits: COMPRESSED | 1 })],
    ]) {
        const socket = await openRawDeflating(t, server);
        await socket.send(...parts);
        await socket.assertCloses(1002, "the bit of compression");
    }
    const plain = await WsRaw.open(t, server, ECHO);
    await plain.send(frame(TEXT, packed, { bits: COMPRESSED }));
    await plain.assertCloses(1002, "compression that was not agreed");
});

test("a message that cannot be decompressed closes the connection, and is not published", async (t) => {
    const server = await startServer(t);
    for (const bytes of [Buffer.from("ffffffff", "hex"), Buffer.from("not deflate at all"), Buffer.from([0x06])]) {
        const socket = await openRawDeflating(t, server);
        await socket.send(frame(BINARY, bytes, { bits: COMPRESSED }));
        await socket.assertCloses([1002, 1003, 1007], bytes.toString("hex"));
    }
    assert.deepEqual(await server.history("x"), []);
});

test("compressed text that is not UTF-8 closes the connection with 1007", async (t) => {
    const server = await startServer(t);
    const socket = await openRawDeflating(t, server);
    await socket.send(frame(TEXT, deflate(Buffer.from([0x41, 0xed, 0xa0, 0x80])), { bits: COMPRESSED }));
    await socket.assertCloses(1007, "a surrogate");
    assert.deepEqual(await server.history("x"), []);
});

test("a message that decompresses beyond the limit is refused with 1009, and costs no memory", async (t) => {
    const server = await startServer(t);
    const bomb = deflate(Buffer.alloc(200 * MIB), { level: 9 });
    assert.ok(bomb.length < MIB, "the bomb must pass the limit of the wire");
    const before = memoryOf(server.pid);
    for (let n = 0; n < 10; n++) {
        const socket = await openRawDeflating(t, server);
        socket.send(frame(BINARY, bomb, { bits: COMPRESSED }));
        await socket.assertCloses(1009, "a message of 200 MiB when unpacked");
    }
    const slightly = await openRawDeflating(t, server);
    await slightly.send(frame(BINARY, deflate(Buffer.alloc(MIB + 1)), { bits: COMPRESSED }));
    await slightly.assertCloses(1009, "one byte too many when unpacked");
    if (!isSanitized(server.pid)) {
        const grown = memoryOf(server.pid) - before;
        assert.ok(grown < 32 * MIB, `the server grew by ${grown} bytes`);
    }
    assert.deepEqual(await server.history("x"), []);
});

test("a bomb in fragments is refused too", async (t) => {
    const server = await startServer(t);
    const socket = await openRawDeflating(t, server);
    const bomb = deflate(Buffer.alloc(100 * MIB), { level: 9 });
    const parts = [];
    for (let at = 0; at < bomb.length; at += 1000) {
        parts.push(frame(at === 0 ? TEXT : CONT, bomb.subarray(at, at + 1000), { fin: at + 1000 >= bomb.length, bits: at === 0 ? COMPRESSED : 0 }));
    }
    socket.send(...parts);
    await socket.assertCloses(1009, "a bomb in fragments");
});
