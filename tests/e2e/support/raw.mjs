// HTTP/1.x over a bare socket: for requests that no well-behaved client would send, and for answers
// read so strictly that a sloppy server is found out.

import assert from "node:assert/strict";
import net from "node:net";
import { deadline } from "./wait.mjs";

const openConns = new Map(); // port -> Set of RawConn

/** Destroys every raw connection to `port`: a server that drains need not wait for its tests. */
export function destroyRawConns(port) {
    for (const conn of openConns.get(port) ?? []) {
        conn.destroy();
    }
    openConns.delete(port);
}

function remember(conn) {
    if (!openConns.has(conn.port)) {
        openConns.set(conn.port, new Set());
    }
    openConns.get(conn.port).add(conn);
}

export class RawConn {
    /** Connects to 127.0.0.1:port. A server's end of file does not end our side (allowHalfOpen). */
    static async open(port) {
        const conn = new RawConn(port);
        await deadline(
            new Promise((resolve, reject) => {
                conn.socket.once("connect", resolve);
                conn.socket.once("error", reject);
            }),
            `a connection to port ${port}`,
        );
        return conn;
    }

    constructor(port) {
        this.port = port;
        this.buffer = Buffer.alloc(0);
        this.ended = false; /* the server closed or reset: nothing more will come */
        this.reset = false;
        this.waiters = [];
        this.socket = net.connect({ host: "127.0.0.1", port, allowHalfOpen: true });
        this.socket.setNoDelay(true);
        this.socket.on("data", (chunk) => {
            this.buffer = this.buffer.length ? Buffer.concat([this.buffer, chunk]) : chunk;
            this.#wake();
        });
        this.socket.on("end", () => this.#finish());
        this.socket.on("close", () => this.#finish());
        this.socket.on("error", (error) => {
            this.reset = error.code === "ECONNRESET" || error.code === "EPIPE";
            this.#finish();
        });
        remember(this);
    }

    #wake() {
        for (const waiter of this.waiters.splice(0)) {
            waiter();
        }
    }

    #finish() {
        this.ended = true;
        this.#wake();
    }

    /** Writes all of it; the promise settles once the kernel has it. A refused write is no error. */
    send(data) {
        return new Promise((resolve) => this.socket.write(data, () => resolve()));
    }

    /** Writes `size` bytes at a time, giving the server a chance to look at each piece alone. */
    async sendSlowly(data, size = 1) {
        const bytes = Buffer.from(data);
        for (let at = 0; at < bytes.length && !this.ended; at += size) {
            await this.send(bytes.subarray(at, at + size));
            await new Promise((resolve) => setImmediate(resolve));
        }
    }

    /** Ends our side of the connection; the server may still answer. */
    halfClose() {
        this.socket.end();
    }

    /** Stops reading: the kernel's buffers fill, then the server cannot send. */
    stopReading() {
        this.socket.pause();
    }

    readAgain() {
        this.socket.resume();
    }

    destroy() {
        this.socket.destroy();
        openConns.get(this.port)?.delete(this);
    }

    /** Waits until `ready()` answers something other than undefined, looking again at each arrival. */
    async waitFor(ready, what, ms) {
        const look = async () => {
            for (;;) {
                const value = ready();
                if (value !== undefined) {
                    return value;
                }
                if (this.ended) {
                    throw new Error(
                        `the server closed the connection before ${what}; unread: ` +
                            JSON.stringify(this.buffer.toString("latin1").slice(0, 400)),
                    );
                }
                await new Promise((resolve) => this.waiters.push(resolve));
            }
        };
        return deadline(look(), what, ms);
    }

    take(count) {
        const bytes = this.buffer.subarray(0, count);
        this.buffer = this.buffer.subarray(count);
        return bytes;
    }

    readExactly(count, what = `${count} bytes`) {
        return this.waitFor(
            () => (this.buffer.length >= count ? this.take(count) : undefined), what);
    }

    /** Reads up to and with `mark`. */
    readUntil(mark, what = JSON.stringify(mark), ms = undefined) {
        return this.waitFor(() => {
            const at = this.buffer.indexOf(mark, 0, "latin1");
            return at < 0 ? undefined : this.take(at + mark.length);
        }, what, ms);
    }

    /** Waits for the server to close; answers what it still sent. */
    async readToEnd(what = "the server to close the connection", ms = undefined) {
        await this.waitFor(() => (this.ended ? true : undefined), what, ms);
        return this.take(this.buffer.length);
    }

    async readHead(ms) {
        const bytes = await this.readUntil("\r\n\r\n", "the head of an answer", ms);
        return parseHead(bytes.toString("latin1"));
    }

    /** One whole final answer; interim ones (1xx) are kept in `interim`. `method` is what was asked. */
    async readResponse({ method = "GET", ms = undefined } = {}) {
        const interim = [];
        let head = await this.readHead(ms);
        while (head.status >= 100 && head.status < 200 && head.status !== 101) {
            interim.push(head);
            head = await this.readHead(ms);
        }
        const body = new BodyReader(this, head, method);
        const chunks = [];
        for (let part = await body.read(ms); part !== null; part = await body.read(ms)) {
            chunks.push(part);
        }
        return response(head, Buffer.concat(chunks), interim);
    }
}

function response(head, bytes, interim) {
    return {
        ...head,
        interim,
        bytes,
        get text() {
            return bytes.toString("utf8");
        },
        json() {
            return JSON.parse(bytes.toString("utf8"));
        },
    };
}

const TOKEN = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;

/** Reads a head as the grammar of RFC 9112 has it, or fails the test. */
export function parseHead(text) {
    const lines = text.slice(0, -4).split("\r\n");
    const line = /^HTTP\/(1\.[01]) (\d{3}) ([\t\x20-\x7e\x80-\xff]*)$/.exec(lines[0]);
    assert.ok(line, `not a status line: ${JSON.stringify(lines[0])}`);
    const fields = lines.slice(1).map((field) => {
        const colon = field.indexOf(":");
        const name = field.slice(0, colon);
        assert.match(name, TOKEN, `not a header field: ${JSON.stringify(field)}`);
        const value = field.slice(colon + 1).trim();
        assert.doesNotMatch(value, /[\0\r\n]/, `a control character in ${JSON.stringify(field)}`);
        return [name.toLowerCase(), value];
    });
    const headers = {};
    for (const [name, value] of fields) {
        headers[name] = name in headers ? `${headers[name]}, ${value}` : value;
    }
    assert.ok(
        !("content-length" in headers && "transfer-encoding" in headers),
        "an answer with both Content-Length and Transfer-Encoding",
    );
    return { version: line[1], status: Number(line[2]), reason: line[3], headers, fields };
}

/** Hands out a body piece by piece as it arrives: sized, chunked, or delimited by close. */
export class BodyReader {
    constructor(conn, head, method = "GET") {
        this.conn = conn;
        this.done = false;
        const encoding = head.headers["transfer-encoding"];
        const length = head.headers["content-length"];
        if (method === "HEAD" || head.status === 204 || head.status === 304 || head.status < 200) {
            this.mode = "none";
        } else if (encoding !== undefined) {
            assert.equal(encoding.toLowerCase(), "chunked");
            assert.equal(head.version, "1.1", "chunked to an HTTP/1.0 client");
            this.mode = "chunked";
        } else if (length !== undefined) {
            assert.match(length, /^\d+$/);
            this.mode = "sized";
            this.left = Number(length);
        } else {
            this.mode = "close";
        }
    }

    /** The next bytes, or null at the end of the body. */
    async read(ms) {
        if (this.done) {
            return null;
        }
        const part = await this[this.mode](ms);
        this.done = part === null;
        return part;
    }

    async none() {
        return null;
    }

    async sized(ms) {
        if (this.left === 0) {
            return null;
        }
        const part = await this.conn.waitFor(
            () => (this.conn.buffer.length ? this.conn.take(this.left) : undefined),
            `the ${this.left} bytes that are left of the body`, ms);
        this.left -= part.length;
        return part;
    }

    async chunked(ms) {
        const line = (await this.conn.readUntil("\r\n", "the size of a chunk", ms)).toString("latin1");
        assert.match(line, /^[0-9a-fA-F]+\r\n$/, `not a chunk size: ${JSON.stringify(line)}`);
        const size = parseInt(line, 16);
        const part = await this.conn.readExactly(size, `a chunk of ${size} bytes`);
        const end = await this.conn.readExactly(2, "the end of a chunk");
        assert.equal(end.toString("latin1"), "\r\n", "a chunk must end with CR LF");
        return size === 0 ? null : part;
    }

    async close(ms) {
        const conn = this.conn;
        return conn.waitFor(() => {
            if (conn.buffer.length) {
                return conn.take(conn.buffer.length);
            }
            return conn.ended ? null : undefined;
        }, "more of a body delimited by close", ms);
    }
}

/** Sends `bytes` as they are and reads `count` answers (all of them until close if count is 0). */
export async function rawRequest(port, bytes, { count = 1, method = "GET", ms } = {}) {
    const conn = await RawConn.open(port);
    try {
        await conn.send(bytes);
        const answers = [];
        while (count === 0 ? !(conn.ended && conn.buffer.length === 0) : answers.length < count) {
            answers.push(await conn.readResponse({ method, ms }));
            if (count === 0) {
                await conn.waitFor(
                    () => (conn.buffer.length || conn.ended ? true : undefined),
                    "another answer or the end", ms);
            }
        }
        return answers;
    } finally {
        conn.destroy();
    }
}
