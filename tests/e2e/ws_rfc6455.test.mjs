// WebSocket to the letter of RFC 6455, over bare sockets. /channels/x?format=data, which brings each
// frame back to its sender, is the echo server that Autobahn's cases ask for.

import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { assertProblem, publish, RawConn, startServer, sideBySide } from "./support/index.mjs";
import { acceptOf, closeFrame, frame, handshake, OP, WsRaw } from "./support/wsraw.mjs";

const { test } = sideBySide(6);

const ECHO = "/channels/x?format=data";
const LIMIT = 1024 * 1024; /* bytes of one message, as of a body */
const { CONT, TEXT, BINARY, CLOSE, PING, PONG } = OP;

function openEcho(t, server) {
    return WsRaw.open(t, server, ECHO);
}

/** Sends a handshake as it is and answers the HTTP answer, whatever it is. */
async function shake(t, server, headers, options, path = ECHO) {
    const conn = await RawConn.open(server.port);
    t.after(() => conn.destroy());
    await conn.send(Buffer.from(handshake(server, path, headers, options), "latin1"));
    return { conn, head: await conn.readHead() };
}

/** A handshake that must be refused with a problem. */
async function assertRefused(t, server, headers, status) {
    const conn = await RawConn.open(server.port);
    t.after(() => conn.destroy());
    await conn.send(Buffer.from(handshake(server, ECHO, headers), "latin1"));
    const answer = await conn.readResponse();
    assertProblem(answer, status);
    return answer;
}

async function assertAlive(t, server) {
    const socket = await openEcho(t, server);
    await socket.text("alive");
    assert.equal((await socket.message()).payload.toString(), "alive");
}

/* ---- the opening handshake (section 4.2) ---- */

test("a good handshake is answered 101 with the accept that RFC 6455 computes as its example", async (t) => {
    const server = await startServer(t);
    const { head } = await shake(t, server, {});
    assert.equal(head.status, 101);
    assert.equal(head.headers["sec-websocket-accept"], "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    assert.equal(head.headers.upgrade.toLowerCase(), "websocket");
    assert.match(head.headers.connection, /\bupgrade\b/i);
    assert.ok(!("sec-websocket-protocol" in head.headers), "no subprotocol was offered");
    assert.ok(!("sec-websocket-extensions" in head.headers), "no extension was offered");
});

test("each key has its own accept", async (t) => {
    const server = await startServer(t);
    for (let n = 0; n < 5; n++) {
        const key = randomBytes(16).toString("base64");
        const { head } = await shake(t, server, { "Sec-WebSocket-Key": key });
        assert.equal(head.headers["sec-websocket-accept"], acceptOf(key));
    }
});

test("names and tokens of the handshake are read in any case, and among other tokens", async (t) => {
    const server = await startServer(t);
    for (const headers of [
        { Upgrade: "WebSocket", Connection: "keep-alive, Upgrade" },
        { Upgrade: "WEBSOCKET", Connection: "UPGRADE,foo" },
        { Upgrade: undefined, upgrade: "websocket", Connection: undefined, connection: "upgrade" },
        { "Sec-WebSocket-Version": undefined, "SEC-WEBSOCKET-VERSION": "13" },
    ]) {
        const { head } = await shake(t, server, headers);
        assert.equal(head.status, 101, JSON.stringify(headers));
    }
});

test("a missing, short, long, or unreadable key is refused with 400", async (t) => {
    const server = await startServer(t);
    for (const key of [
        undefined, "", "short", "dGhlIHNhbXBsZSBub25jZQ", "dGhlIHNhbXBsZSBub25j", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAA==",
        "dGhlIHNhbXBsZSBub25jZQ=", "!!!!IHNhbXBsZSBub25jZQ==", "dGhlIHNhbXBs ZSBub25jZQ==",
    ]) {
        await assertRefused(t, server, { "Sec-WebSocket-Key": key }, 400);
    }
});

test("two keys are refused with 400", async (t) => {
    const server = await startServer(t);
    const text = handshake(server, ECHO).replace("\r\n\r\n", "\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n");
    const conn = await RawConn.open(server.port);
    t.after(() => conn.destroy());
    await conn.send(text);
    assertProblem(await conn.readResponse(), 400);
});

test("another version is refused with 426, which says that 13 is spoken", async (t) => {
    const server = await startServer(t);
    for (const version of ["12", "14", "8", "7", "0", "255", "013", "13x"]) {
        const answer = await assertRefused(t, server, { "Sec-WebSocket-Version": version }, [426, 400]);
        if (/^\d+$/.test(version) && version !== "013") {
            assert.equal(answer.status, 426);
        }
        if (answer.status === 426) {
            assert.equal(answer.headers["sec-websocket-version"], "13");
            assert.match(answer.headers.upgrade ?? "websocket", /websocket/i);
        }
    }
});

test("a missing version is refused", async (t) => {
    const server = await startServer(t);
    await assertRefused(t, server, { "Sec-WebSocket-Version": undefined }, [400, 426]);
});

test("Upgrade without Connection, of another protocol, in HTTP/1.0, or by POST is not a WebSocket", async (t) => {
    const server = await startServer(t);
    for (const [headers, options] of [
        [{ Connection: "keep-alive" }, {}],
        [{ Upgrade: "h2c" }, {}],
        [{ Upgrade: undefined }, {}],
        [{}, { version: "1.0" }],
        [{ "Content-Length": "0" }, { method: "POST" }],
    ]) {
        const { head } = await shake(t, server, headers, options);
        assert.notEqual(head.status, 101, JSON.stringify([headers, options]));
        assert.ok(head.status < 500, `${head.status} to ${JSON.stringify([headers, options])}`);
    }
    await assertAlive(t, server);
});

test("subprotocols and extensions that the channel socket does not speak are not accepted", async (t) => {
    const server = await startServer(t);
    const { head } = await shake(t, server, {
        "Sec-WebSocket-Protocol": "mqtt, wamp.2.json",
        "Sec-WebSocket-Extensions": "x-unheard-of, mux; max-channels=4",
    });
    assert.equal(head.status, 101);
    assert.ok(!("sec-websocket-protocol" in head.headers));
    assert.ok(!("sec-websocket-extensions" in head.headers));
});

test("frames in the same packet as the handshake are not lost", async (t) => {
    const server = await startServer(t);
    const socket = await WsRaw.open(t, server, ECHO, {}, Buffer.concat([frame(TEXT, "one"), frame(TEXT, "two")]));
    assert.equal((await socket.message()).payload.toString(), "one");
    assert.equal((await socket.message()).payload.toString(), "two");
});

test("a handshake may follow other requests on its connection, and may come byte by byte", async (t) => {
    const server = await startServer(t);
    const conn = await RawConn.open(server.port);
    t.after(() => conn.destroy());
    const get = `GET /channels/x HTTP/1.1\r\nHost: 127.0.0.1:${server.port}\r\n\r\n`;
    await conn.send(get);
    assert.equal((await conn.readResponse()).status, 200);
    await conn.sendSlowly(handshake(server, ECHO));
    const head = await conn.readHead();
    assert.equal(head.status, 101);
    const socket = new WsRaw(conn, head);
    await socket.text("hello");
    assert.equal((await socket.message()).payload.toString(), "hello");
});

/* ---- data frames (section 5) ---- */

for (const [name, opcode, fill] of [["text", TEXT, "*"], ["binary", BINARY, 0xfe]]) {
    test(`${name} messages of all the sizes at which the header changes come back whole`, async (t) => {
        const server = await startServer(t);
        const socket = await openEcho(t, server);
        for (const size of [0, 1, 125, 126, 127, 128, 65535, 65536, 65537, 1_000_000, LIMIT]) {
            const payload = Buffer.alloc(size, fill);
            await socket.send(frame(opcode, payload));
            const back = await socket.message();
            assert.equal(back.opcode, opcode);
            assert.ok(back.payload.equals(payload), `${size} bytes came back as ${back.payload.length}`);
        }
    });

    test(`${name} messages that arrive byte by byte come back whole`, async (t) => {
        const server = await startServer(t);
        const socket = await openEcho(t, server);
        for (const size of [0, 1, 125, 126, 300]) {
            const payload = Buffer.alloc(size, fill);
            await socket.conn.sendSlowly(frame(opcode, payload));
            const back = await socket.message();
            assert.equal(back.opcode, opcode);
            assert.ok(back.payload.equals(payload));
        }
    });
}

test("many messages in one packet come back one by one, in order", async (t) => {
    const server = await startServer(t);
    const socket = await openEcho(t, server);
    const count = 500;
    await socket.send(...Array.from({ length: count }, (_, n) => frame(n % 3 ? TEXT : BINARY, `message ${n}`)));
    for (let n = 0; n < count; n++) {
        const back = await socket.message();
        assert.equal(back.opcode, n % 3 ? TEXT : BINARY);
        assert.equal(back.payload.toString(), `message ${n}`);
    }
});

test("any mask does, also one of zeros, and masks change from frame to frame", async (t) => {
    const server = await startServer(t);
    const socket = await openEcho(t, server);
    for (const key of [Buffer.alloc(4), Buffer.alloc(4, 255), Buffer.from([1, 0, 0, 0]), randomBytes(4)]) {
        for (const size of [1, 2, 3, 4, 5, 7, 8, 9, 63, 64, 65]) {
            const payload = Buffer.alloc(size, "abcdefg");
            await socket.send(frame(TEXT, payload, { key }));
            assert.ok((await socket.message()).payload.equals(payload), `mask ${key.toString("hex")}, ${size} bytes`);
        }
    }
});

test("an unmasked frame closes the connection with 1002", async (t) => {
    const server = await startServer(t);
    for (const part of [
        frame(TEXT, "hello", { masked: false }),
        frame(TEXT, "", { masked: false }),
        frame(PING, "", { masked: false }),
        frame(CLOSE, Buffer.from([3, 232]), { masked: false }),
    ]) {
        const socket = await openEcho(t, server);
        await socket.send(part);
        await socket.assertCloses(1002, "unmasked");
    }
    assert.deepEqual(await server.history("x"), []);
});

test("a reserved bit that no extension has given a meaning closes the connection with 1002", async (t) => {
    const server = await startServer(t);
    for (const bits of [1, 2, 3, 4, 5, 6, 7]) {
        for (const opcode of [TEXT, BINARY, PING]) {
            const socket = await openEcho(t, server);
            await socket.send(frame(opcode, "x", { bits }));
            await socket.assertCloses(1002, `bits ${bits} on opcode ${opcode}`);
        }
    }
    assert.deepEqual(await server.history("x"), []);
});

test("a reserved opcode closes the connection with 1002", async (t) => {
    const server = await startServer(t);
    for (const opcode of [3, 4, 5, 6, 7, 11, 12, 13, 14, 15]) {
        const socket = await openEcho(t, server);
        await socket.send(frame(opcode, opcode % 2 ? "" : "payload"));
        await socket.assertCloses(1002, `opcode ${opcode}`);
    }
});

test("messages before a broken frame are published, those after it are not", async (t) => {
    const server = await startServer(t);
    const socket = await openEcho(t, server);
    await socket.send(frame(TEXT, "good"), frame(3, "broken"), frame(TEXT, "too late"));
    await socket.assertCloses(1002, "a reserved opcode");
    assert.deepEqual((await server.historyOf("x", 1)).map((event) => event.data), ["good"]);
});

/* ---- fragmentation (section 5.4) ---- */

test("a message in fragments is one event, of the opcode that its first fragment has", async (t) => {
    const server = await startServer(t);
    const socket = await openEcho(t, server);
    for (const [opcode, parts] of [
        [TEXT, ["frag", "ment"]], [BINARY, ["frag", "ment"]], [TEXT, ["", "", ""]], [BINARY, ["", "x", ""]],
        [TEXT, ["x".repeat(100), "", "y".repeat(70_000), "z"]], [TEXT, Array.from({ length: 200 }, (_, n) => `${n},`)],
    ]) {
        await socket.send(...parts.map((part, n) =>
            frame(n === 0 ? opcode : CONT, part, { fin: n === parts.length - 1 })));
        const back = await socket.message();
        assert.equal(back.opcode, opcode);
        assert.equal(back.payload.toString(), parts.join(""));
    }
    assert.equal((await server.historyOf("x", 6)).length, 6);
});

test("control frames between fragments are answered before the message is whole", async (t) => {
    const server = await startServer(t);
    const socket = await openEcho(t, server);
    await socket.send(frame(TEXT, "one ", { fin: false }), frame(PING, "first"));
    assert.deepEqual(await socket.frame(), { fin: true, bits: 0, opcode: PONG, payload: Buffer.from("first") });
    await socket.send(frame(CONT, "two ", { fin: false }), frame(PONG, "unasked"), frame(PING, "second"));
    assert.equal((await socket.frame()).payload.toString(), "second");
    assert.deepEqual(await server.history("x"), []);
    await socket.send(frame(CONT, "three"));
    assert.equal((await socket.message()).payload.toString(), "one two three");
});

test("a continuation of nothing closes the connection with 1002", async (t) => {
    const server = await startServer(t);
    for (const parts of [
        [frame(CONT, "x")],
        [frame(CONT, "x", { fin: false })],
        [frame(TEXT, "whole"), frame(CONT, "more")],
        [frame(TEXT, "a", { fin: false }), frame(CONT, "b"), frame(CONT, "c")],
    ]) {
        const socket = await openEcho(t, server);
        await socket.send(...parts);
        await socket.assertCloses(1002, "a continuation of nothing");
    }
});

test("a new message within a message in fragments closes the connection with 1002", async (t) => {
    const server = await startServer(t);
    for (const opcode of [TEXT, BINARY]) {
        const socket = await openEcho(t, server);
        await socket.send(frame(TEXT, "a", { fin: false }), frame(opcode, "b"));
        await socket.assertCloses(1002, "a message within a message");
    }
    assert.deepEqual(await server.history("x"), []);
});

test("a message that is never finished is never published", async (t) => {
    const server = await startServer(t);
    const socket = await openEcho(t, server);
    await socket.send(frame(TEXT, "unfinished", { fin: false }), frame(PING, "read"));
    assert.equal((await socket.frame()).payload.toString(), "read");
    socket.conn.destroy();
    const half = await openEcho(t, server);
    await half.send(frame(TEXT, "half of it", { length: 100 }));
    half.conn.destroy();
    await assertAlive(t, server);
    assert.deepEqual((await server.historyOf("x", 1)).map((event) => event.data), ["alive"]);
});

/* ---- control frames (section 5.5) ---- */

test("a ping is answered with a pong of the same payload", async (t) => {
    const server = await startServer(t);
    const socket = await openEcho(t, server);
    for (const payload of [Buffer.alloc(0), Buffer.from("hello"), Buffer.from([0, 255, 254, 253, 252, 251, 0]), Buffer.alloc(125, 0xfe)]) {
        await socket.send(frame(PING, payload));
        assert.deepEqual(await socket.frame(), { fin: true, bits: 0, opcode: PONG, payload });
    }
    await socket.conn.sendSlowly(frame(PING, Buffer.alloc(125, "slow")));
    assert.equal((await socket.frame()).opcode, PONG);
});

test("ten pings at once get ten pongs, in order", async (t) => {
    const server = await startServer(t);
    const socket = await openEcho(t, server);
    await socket.send(...Array.from({ length: 10 }, (_, n) => frame(PING, `ping ${n}`)));
    for (let n = 0; n < 10; n++) {
        assert.equal((await socket.frame()).payload.toString(), `ping ${n}`);
    }
});

test("a pong that nobody asked for is ignored", async (t) => {
    const server = await startServer(t);
    const socket = await openEcho(t, server);
    await socket.send(frame(PONG, ""), frame(PONG, "unasked"), frame(PING, "asked"));
    assert.equal((await socket.frame()).payload.toString(), "asked");
});

test("a control frame in fragments, or of more than 125 bytes, closes the connection with 1002", async (t) => {
    const server = await startServer(t);
    for (const part of [
        frame(PING, "x", { fin: false }), frame(PONG, "x", { fin: false }), frame(CLOSE, "", { fin: false }),
        frame(PING, Buffer.alloc(126)), frame(PONG, Buffer.alloc(126)), frame(PING, Buffer.alloc(70_000)),
        frame(CLOSE, Buffer.concat([Buffer.from([3, 232]), Buffer.alloc(124, "r")])),
    ]) {
        const socket = await openEcho(t, server);
        await socket.send(part);
        await socket.assertCloses(1002, `control frame ${part.subarray(0, 4).toString("hex")}`);
    }
});

/* ---- UTF-8 (section 8.1) ---- */

const VALID = [
    "κόσμε", "Hello-µ@ßöäüàá-UTF-8!!", "\0", "\x7f", "\u0080", "\u07ff", "\u0800", "\ud7ff", "\ue000", "\ufffd",
    "\ufffe", "\uffff", "\u{10000}", "\u{1fffe}", "\u{10ffff}", "\ufeff with a mark", "😀😀",
];

const INVALID = {
    "a continuation byte alone": [0x80],
    "the last continuation byte alone": [0xbf],
    "an overlong slash of two bytes": [0xc0, 0xaf],
    "an overlong slash of three bytes": [0xe0, 0x80, 0xaf],
    "an overlong slash of four bytes": [0xf0, 0x80, 0x80, 0xaf],
    "the largest overlong of two bytes": [0xc1, 0xbf],
    "the largest overlong of three bytes": [0xe0, 0x9f, 0xbf],
    "the largest overlong of four bytes": [0xf0, 0x8f, 0xbf, 0xbf],
    "an overlong NUL": [0xc0, 0x80],
    "the first surrogate": [0xed, 0xa0, 0x80],
    "the last surrogate": [0xed, 0xbf, 0xbf],
    "a pair of surrogates": [0xed, 0xa0, 0x81, 0xed, 0xb0, 0x80],
    "a code point above the last": [0xf4, 0x90, 0x80, 0x80],
    "the lead byte F5": [0xf5, 0x80, 0x80, 0x80],
    "five bytes": [0xf8, 0x88, 0x80, 0x80, 0x80],
    "the byte FE": [0xfe],
    "the byte FF": [0xff],
    "a lead byte before a letter": [0xc3, 0x41],
    "a sequence cut short before a letter": [0xe2, 0x82, 0x41],
};

const TRUNCATED = { "two bytes": [0xc3], "three bytes": [0xe2, 0x82], "four bytes": [0xf0, 0x9f, 0x98] };

test("all that is valid UTF-8 comes back, whole and cut into fragments between any two bytes", async (t) => {
    const server = await startServer(t);
    const socket = await openEcho(t, server);
    for (const text of VALID) {
        const bytes = Buffer.from(text);
        await socket.send(frame(TEXT, bytes));
        assert.ok((await socket.message()).payload.equals(bytes), JSON.stringify(text));
        const cut = [...bytes].map((byte, n) => frame(n === 0 ? TEXT : CONT, Buffer.from([byte]), { fin: false }));
        await socket.send(...cut, frame(CONT, ""));
        assert.ok((await socket.message()).payload.equals(bytes), `${JSON.stringify(text)} in fragments`);
    }
});

test("text that is not UTF-8 closes the connection with 1007 and is not published", async (t) => {
    const server = await startServer(t);
    for (const [name, bytes] of Object.entries(INVALID)) {
        for (const around of [["", ""], ["before ", " after"]]) {
            const socket = await openEcho(t, server);
            await socket.send(frame(TEXT, Buffer.concat([Buffer.from(around[0]), Buffer.from(bytes), Buffer.from(around[1])])));
            await socket.assertCloses(1007, name);
        }
    }
    assert.deepEqual(await server.history("x"), []);
});

test("text that ends within a character closes the connection with 1007", async (t) => {
    const server = await startServer(t);
    for (const [name, bytes] of Object.entries(TRUNCATED)) {
        const socket = await openEcho(t, server);
        await socket.send(frame(TEXT, Buffer.from(bytes)));
        await socket.assertCloses(1007, name);
        const other = await openEcho(t, server);
        await other.send(frame(TEXT, Buffer.from(bytes), { fin: false }), frame(CONT, ""));
        await other.assertCloses(1007, `${name}, in fragments`);
    }
});

test("invalid UTF-8 is found in the fragment that has it, before the message is whole", async (t) => {
    const server = await startServer(t);
    for (const [name, bytes] of Object.entries(INVALID)) {
        const socket = await openEcho(t, server);
        await socket.send(frame(TEXT, "κόσμε ", { fin: false }), frame(CONT, Buffer.from(bytes), { fin: false }));
        await socket.assertCloses(1007, name);
    }
});

test("a character cut off by a fragment is completed by the next, not by a letter", async (t) => {
    const server = await startServer(t);
    const socket = await openEcho(t, server);
    await socket.send(frame(TEXT, Buffer.from([0xe2, 0x82]), { fin: false }), frame(PING, "between"));
    assert.equal((await socket.frame()).payload.toString(), "between");
    await socket.send(frame(CONT, "x", { fin: false }));
    await socket.assertCloses(1007, "a letter where a continuation byte belongs");
});

test("binary messages may hold any bytes", async (t) => {
    const server = await startServer(t);
    const socket = await openEcho(t, server);
    for (const bytes of Object.values(INVALID)) {
        await socket.send(frame(BINARY, Buffer.from(bytes)));
        assert.deepEqual([...(await socket.message()).payload], bytes);
    }
});

/* ---- closing (section 7) ---- */

test("a Close is answered with a Close of the same code, then the connection ends", async (t) => {
    const server = await startServer(t);
    for (const code of [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 3000, 3999, 4000, 4999]) {
        const socket = await openEcho(t, server);
        await socket.send(closeFrame(code));
        await socket.assertCloses(code, `the echo of ${code}`);
    }
});

test("a Close without a code is answered", async (t) => {
    const server = await startServer(t);
    const socket = await openEcho(t, server);
    await socket.send(frame(CLOSE));
    await socket.assertCloses([1000, 1005], "a Close without a code");
});

test("a Close with a reason, up to the longest, is answered", async (t) => {
    const server = await startServer(t);
    for (const reason of ["bye", "grüße", "r".repeat(123)]) {
        const socket = await openEcho(t, server);
        await socket.send(closeFrame(1000, reason));
        await socket.assertCloses(1000, "a reason");
    }
});

test("a Close with a code that may not be sent is answered with 1002", async (t) => {
    const server = await startServer(t);
    for (const code of [0, 1, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999]) {
        const socket = await openEcho(t, server);
        await socket.send(closeFrame(code));
        await socket.assertCloses(1002, `the code ${code}`);
    }
});

test("a Close with a code beyond all ranges is answered, if not with 1002, then with that code", async (t) => {
    const server = await startServer(t);
    for (const code of [5000, 65535]) {
        const socket = await openEcho(t, server);
        await socket.send(closeFrame(code));
        await socket.assertCloses([1002, code], `the code ${code}`);
    }
});

test("a Close with half a code is answered with 1002", async (t) => {
    const server = await startServer(t);
    const socket = await openEcho(t, server);
    await socket.send(frame(CLOSE, Buffer.from([3])));
    await socket.assertCloses(1002, "half a code");
});

test("a Close whose reason is not UTF-8 is answered with 1007", async (t) => {
    const server = await startServer(t);
    const socket = await openEcho(t, server);
    await socket.send(closeFrame(1000, Buffer.from([0xce, 0xba, 0xe1, 0xbd, 0xb9, 0xed, 0xa0, 0x80])));
    await socket.assertCloses([1007, 1002], "a reason that is not UTF-8");
});

test("frames after a Close are ignored", async (t) => {
    const server = await startServer(t);
    const socket = await openEcho(t, server);
    await socket.send(frame(TEXT, "before"), closeFrame(1000), frame(TEXT, "after"), frame(PING, "after"), frame(3));
    assert.equal((await socket.message()).payload.toString(), "before");
    const close = await socket.frame();
    assert.equal(close.opcode, CLOSE, "the answer to a Close must be a Close");
    assert.equal(close.payload.readUInt16BE(), 1000);
    assert.equal((await socket.conn.readToEnd()).length, 0, "something came after the server's Close");
    assert.deepEqual((await server.historyOf("x", 1)).map((event) => event.data), ["before"]);
});

test("a Close between fragments ends the connection, and the message is not published", async (t) => {
    const server = await startServer(t);
    const socket = await openEcho(t, server);
    await socket.send(frame(TEXT, "unfinished", { fin: false }), closeFrame(1000));
    await socket.assertCloses(1000, "a Close between fragments");
    assert.deepEqual(await server.history("x"), []);
});

test("a client that does not answer the server's Close is cut off all the same", async (t) => {
    const server = await startServer(t);
    const socket = await openEcho(t, server);
    await socket.send(frame(3));
    assert.equal((await socket.closed()).code, 1002);
    /* We neither answer nor hang up: the closing handshake has a deadline. */
    await socket.conn.readToEnd("the server to end the connection by itself");
});

test("a client that hangs up without a Close is forgotten", async (t) => {
    const server = await startServer(t);
    for (let n = 0; n < 50; n++) {
        const socket = await openEcho(t, server);
        if (n % 2) {
            socket.conn.socket.resetAndDestroy?.();
        }
        socket.conn.destroy();
    }
    await publish(server, "x", "to nobody");
    await assertAlive(t, server);
});

/* ---- limits (section 10.4) ---- */

test("a message above the limit closes the connection with 1009", async (t) => {
    const server = await startServer(t);
    const socket = await openEcho(t, server);
    socket.send(frame(TEXT, Buffer.alloc(LIMIT + 1, "x")));
    await socket.assertCloses(1009, "one byte too many");
    assert.deepEqual(await server.history("x"), []);
});

test("a frame that announces too much is refused before its payload comes", async (t) => {
    const server = await startServer(t);
    for (const length of [LIMIT + 1, 2 ** 31, 2 ** 32, 2 ** 40, Number.MAX_SAFE_INTEGER]) {
        const socket = await openEcho(t, server);
        await socket.send(frame(BINARY, "", { length }));
        await socket.assertCloses(1009, `a frame of ${length} bytes`);
    }
});

test("a frame whose length has its highest bit set is refused", async (t) => {
    const server = await startServer(t);
    for (const first of [0x80, 0xff]) {
        const socket = await openEcho(t, server);
        await socket.send(Buffer.from([0x82, 0xff, first, 255, 255, 255, 255, 255, 255, 255, 1, 2, 3, 4]));
        await socket.assertCloses([1002, 1009], "a negative length");
    }
});

test("fragments that together exceed the limit close the connection with 1009", async (t) => {
    const server = await startServer(t);
    const socket = await openEcho(t, server);
    const part = Buffer.alloc(256 * 1024, "x");
    const parts = [frame(TEXT, part, { fin: false })];
    for (let n = 0; n < 4; n++) {
        parts.push(frame(CONT, part, { fin: false }));
    }
    socket.send(...parts);
    await socket.assertCloses(1009, "five quarters of the limit");
    assert.deepEqual(await server.history("x"), []);
});

test("a million empty fragments do no harm", async (t) => {
    const server = await startServer(t);
    const socket = await openEcho(t, server);
    const empty = frame(CONT, "", { fin: false });
    await socket.send(frame(TEXT, "", { fin: false }));
    for (let n = 0; n < 100; n++) {
        await socket.conn.send(Buffer.concat(Array(10_000).fill(empty)));
    }
    await socket.send(frame(CONT, "done"));
    /* It may count fragments and refuse, but may not fall over them. */
    const got = await socket.frame();
    if (got.opcode === CLOSE) {
        assert.ok([1008, 1009].includes(got.payload.readUInt16BE()));
    } else {
        assert.equal(got.payload.toString(), "done");
    }
    await assertAlive(t, server);
});

test("random bytes after the handshake never end the server", async (t) => {
    const server = await startServer(t);
    for (let n = 0; n < 100; n++) {
        const socket = await openEcho(t, server);
        await socket.conn.send(randomBytes(1 + n * 7));
        socket.conn.destroy();
    }
    await assertAlive(t, server);
});

test("a client that answers two pings with nothing is closed, one that answers stays", async (t) => {
    const server = await startServer(t);
    const silent = await RawConn.open(server.port);
    t.after(() => silent.destroy());
    await silent.send(handshake(server, "/channels/x?beat=5"));
    assert.equal((await silent.readHead()).status, 101);
    const lively = await WsRaw.open(t, server, "/channels/x?beat=5");
    const echo = lively.message(); // pings are answered while it waits
    await silent.readToEnd("the connection to be closed", 120_000);
    await server.publish("x", "still there");
    assert.match((await echo).payload.toString(), /still there/);
});
