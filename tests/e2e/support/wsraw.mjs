// WebSocket (RFC 6455) over a bare socket, frame by frame: for what no well-behaved client would send.

import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import { RawConn } from "./raw.mjs";
import { deadline } from "./wait.mjs";

export const OP = { CONT: 0, TEXT: 1, BINARY: 2, CLOSE: 8, PING: 9, PONG: 10 };

/** The Sec-WebSocket-Accept that belongs to a key. */
export function acceptOf(key) {
    return createHash("sha1").update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest("base64");
}

/** One frame as a client sends it. `length` lies about the payload's size, `bits` sets RSV1-3. */
export function frame(
    opcode,
    payload = "",
    { fin = true, bits = 0, masked = true, key, length } = {},
) {
    const bytes = Buffer.from(payload);
    const size = length ?? bytes.length;
    const head = [(fin ? 0x80 : 0) | (bits << 4) | opcode];
    const mark = masked ? 0x80 : 0;
    if (size < 126) {
        head.push(mark | size);
    } else if (size < 65536) {
        head.push(mark | 126, size >> 8, size & 0xff);
    } else {
        const long = Buffer.alloc(8);
        long.writeBigUInt64BE(BigInt(size));
        head.push(mark | 127, ...long);
    }
    if (!masked) {
        return Buffer.concat([Buffer.from(head), bytes]);
    }
    const mask = key ?? randomBytes(4);
    const hidden = Buffer.from(bytes);
    for (let i = 0; i < hidden.length; i++) {
        hidden[i] ^= mask[i & 3];
    }
    return Buffer.concat([Buffer.from(head), mask, hidden]);
}

/** A Close frame with a code and a reason. */
export function closeFrame(code, reason = "") {
    const body = Buffer.concat([Buffer.from([code >> 8, code & 0xff]), Buffer.from(reason)]);
    return frame(OP.CLOSE, body);
}

/** The text of a good handshake; `headers` add, replace, or (undefined) leave out a field. */
export function handshake(server, path, headers = {}, { method = "GET", version = "1.1" } = {}) {
    const fields = {
        Host: `127.0.0.1:${server.port}`,
        Upgrade: "websocket",
        Connection: "Upgrade",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
        ...headers,
    };
    const lines = Object.entries(fields)
        .filter(([, value]) => value !== undefined)
        .map(([name, value]) => `${name}: ${value}`);
    return `${method} ${path} HTTP/${version}\r\n${lines.join("\r\n")}\r\n\r\n`;
}

export class WsRaw {
    /** Connects and must be let in; `after` is sent in the same write as the handshake. */
    static async open(t, server, path, headers = {}, after = Buffer.alloc(0)) {
        const conn = await RawConn.open(server.port);
        server.onStop?.(() => conn.destroy()); /* a close that nobody answers is waited for */
        t.after(() => conn.destroy());
        await conn.send(
            Buffer.concat([Buffer.from(handshake(server, path, headers), "latin1"), after]),
        );
        const head = await conn.readHead();
        assert.equal(head.status, 101, `the handshake was answered ${head.status}`);
        return new WsRaw(conn, head);
    }

    constructor(conn, head) {
        this.conn = conn;
        this.head = head;
    }

    send(...frames) {
        return this.conn.send(Buffer.concat(frames.map((part) => Buffer.from(part))));
    }

    text(text) {
        return this.send(frame(OP.TEXT, text));
    }

    /** The next frame as it came: {fin, bits, opcode, payload}; what a server may not send fails. */
    async anyFrame() {
        const head = await this.conn.readExactly(2, "a frame");
        const fin = (head[0] & 0x80) !== 0;
        const opcode = head[0] & 0x0f;
        assert.equal(head[1] & 0x80, 0, "a server must not mask");
        let size = head[1] & 0x7f;
        if (opcode >= 8) {
            assert.ok(fin, "a control frame in fragments");
            assert.ok(size <= 125, "a control frame of more than 125 bytes");
        }
        if (size === 126) {
            size = (await this.conn.readExactly(2)).readUInt16BE();
            assert.ok(size > 125, "the length is not in its shortest form");
        } else if (size === 127) {
            size = Number((await this.conn.readExactly(8)).readBigUInt64BE());
            assert.ok(size > 65535, "the length is not in its shortest form");
        }
        const payload = Buffer.from(
            await this.conn.readExactly(size, `a payload of ${size} bytes`),
        );
        return { fin, bits: (head[0] >> 4) & 7, opcode, payload };
    }

    /** The next frame that is not the server's own ping, which is answered. */
    async frame() {
        for (;;) {
            const got = await this.anyFrame();
            if (got.opcode !== OP.PING) {
                return got;
            }
            await this.send(frame(OP.PONG, got.payload));
        }
    }

    /** The next whole data message: {opcode, payload, bits}; a control frame in its place fails. */
    async message() {
        const first = await this.frame();
        assert.ok(
            first.opcode === OP.TEXT || first.opcode === OP.BINARY,
            `expected a message, got opcode ${first.opcode} ${first.payload.toString("latin1")}`,
        );
        const parts = [first.payload];
        let last = first;
        while (!last.fin) {
            last = await this.frame();
            assert.equal(last.opcode, OP.CONT);
            parts.push(last.payload);
        }
        return { opcode: first.opcode, bits: first.bits, payload: Buffer.concat(parts) };
    }

    /** Waits for the server's Close, passing over messages and pongs: {code, reason}; code 1005 if it has none. */
    async closed() {
        for (;;) {
            const got = await this.frame();
            if (got.opcode === OP.CLOSE) {
                assert.notEqual(got.payload.length, 1, "a Close with half a code");
                return {
                    code: got.payload.length === 0 ? 1005 : got.payload.readUInt16BE(),
                    reason: got.payload.subarray(2).toString("utf8"),
                };
            }
        }
    }

    /** Asserts that the server closes with one of `codes` and then ends the connection. */
    async assertCloses(codes, why) {
        const { code } = await deadline(this.closed(), `a Close of ${codes}: ${why}`);
        assert.ok([codes].flat().includes(code), `closed with ${code}, expected ${codes}: ${why}`);
        /* Answered, so that a server which waits for that need not wait for its deadline. */
        await this.send(closeFrame(1000));
        this.conn.halfClose();
        await this.conn.readToEnd("the server to end the connection after its Close");
    }
}
