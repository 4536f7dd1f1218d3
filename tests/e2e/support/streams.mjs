// Readers of the three HTTP streams, over a bare socket, so that every byte can be looked at.

import assert from "node:assert/strict";
import { BodyReader, RawConn } from "./raw.mjs";
import { deadline } from "./wait.mjs";

/** A GET on its own connection whose body is read line by line while it arrives. */
export class Stream {
    static async open(server, path, { headers = {}, version = "1.1", method = "GET", ms } = {}) {
        const conn = await RawConn.open(server.port);
        const lines = [`${method} ${path} HTTP/${version}`];
        if (!Object.keys(headers).some((name) => name.toLowerCase() === "host")) {
            lines.push(`Host: 127.0.0.1:${server.port}`);
        }
        for (const [name, value] of Object.entries(headers)) {
            lines.push(`${name}: ${value}`);
        }
        await conn.send(`${lines.join("\r\n")}\r\n\r\n`);
        const head = await conn.readHead(ms);
        return new this(conn, head);
    }

    constructor(conn, head) {
        this.conn = conn;
        this.head = head;
        this.status = head.status;
        this.headers = head.headers;
        this.body = new BodyReader(conn, head);
        this.unread = Buffer.alloc(0);
        this.raw = []; /* every byte of the body so far, for tests that look at the wire */
    }

    /** The next line without its LF, as bytes; null at the end of the stream. */
    async lineBytes(ms) {
        for (;;) {
            const at = this.unread.indexOf(10);
            if (at >= 0) {
                const line = this.unread.subarray(0, at);
                this.unread = this.unread.subarray(at + 1);
                return line;
            }
            const part = await this.body.read(ms);
            if (part === null) {
                assert.equal(this.unread.length, 0, `the stream ended within a line: ${this.unread}`);
                return null;
            }
            this.raw.push(part);
            this.unread = Buffer.concat([this.unread, part]);
        }
    }

    async line(ms) {
        const bytes = await this.lineBytes(ms);
        return bytes === null ? null : bytes.toString("utf8");
    }

    /** Waits for the end of the body; answers the records that came before it. */
    async rest(ms) {
        const records = [];
        for (let record = await this.next(ms); record !== null; record = await this.next(ms)) {
            records.push(record);
        }
        return records;
    }

    /** The next `count` records that are events, passing over the server's own. */
    async events(count, ms) {
        const events = [];
        while (events.length < count) {
            events.push(await this.event(ms));
        }
        return events;
    }

    /** The next event, passing over heartbeats only: a gap in its place fails the test. */
    event(ms) {
        return deadline(this.#event(ms), "an event", ms); /* beats go on for ever */
    }

    async #event(ms) {
        for (;;) {
            const record = await this.next(ms);
            assert.notEqual(record, null, "the stream ended where an event was due");
            if (this.isBeat(record)) {
                continue;
            }
            assert.ok(!this.isControl(record), `not an event: ${JSON.stringify(record)}`);
            return record;
        }
    }

    /** The next record that is no heartbeat: an event or a control record; null at the end. */
    notBeat(ms) {
        return deadline(this.#notBeat(ms), "a record that is no heartbeat", ms);
    }

    async #notBeat(ms) {
        for (;;) {
            const record = await this.next(ms);
            if (record === null || !this.isBeat(record)) {
                return record;
            }
        }
    }

    close() {
        this.conn.destroy();
    }
}

/**
 * Server-sent events. A record is {event, id, data, comments, retry, lines}: `event`, `id`, `retry`
 * and `data` are undefined where the field was absent; several `data` fields are joined by LF.
 */
export class SseStream extends Stream {
    async next(ms) {
        const record = { lines: [], comments: [] };
        for (;;) {
            const line = await this.line(ms);
            if (line === null) {
                assert.equal(record.lines.length, 0, `the stream ended within a record: ${record.lines}`);
                return null;
            }
            if (line === "") {
                if (record.lines.length === 0) {
                    continue;
                }
                return record;
            }
            assert.ok(!line.includes("\r"), `a CR on the wire: ${JSON.stringify(line)}`);
            record.lines.push(line);
            addField(record, line);
        }
    }

    isBeat(record) {
        return record.event === "$beat" || onlyCommentOrRetry(record);
    }

    isControl(record) {
        return record.event !== undefined && record.event.startsWith("$");
    }
}

function onlyCommentOrRetry(record) {
    return record.event === undefined && record.data === undefined && record.id === undefined;
}

function addField(record, line) {
    if (line.startsWith(":")) {
        record.comments.push(line.slice(1));
        return;
    }
    const colon = line.indexOf(":");
    const name = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? "" : line.slice(colon + 1).replace(/^ /, "");
    assert.ok(["event", "data", "id", "retry"].includes(name), `an unknown SSE field: ${line}`);
    if (name === "data" && record.data !== undefined) {
        record.data += `\n${value}`;
    } else {
        assert.equal(record[name], undefined, `the field ${name} stands twice in one record`);
        record[name] = value;
    }
}

/** NDJSON. A record is the parsed line; the line itself is record[LINE]. Blank lines are no record. */
export const LINE = Symbol("the line as it came");

export class NdjsonStream extends Stream {
    async next(ms) {
        for (;;) {
            const line = await this.line(ms);
            if (line === null) {
                return null;
            }
            if (line !== "") {
                const record = JSON.parse(line);
                Object.defineProperty(record, LINE, { value: line, enumerable: false });
                return record;
            }
        }
    }

    isBeat(record) {
        return record.op === "beat";
    }

    isControl(record) {
        return record.op !== undefined;
    }
}

/** The raw stream: each record is one line of data, as bytes. Empty lines are heartbeats. */
export class RawStream extends Stream {
    next(ms) {
        return this.lineBytes(ms);
    }

    isBeat(record) {
        return record.length === 0;
    }

    isControl() {
        return false;
    }
}

/** Opens a stream that must be a success of the right type, whose first record is still unread. */
async function openAs(kind, type, server, path, options) {
    const stream = await kind.open(server, path, options);
    if (stream.status !== 200) {
        const body = await stream.body.read();
        assert.fail(`GET ${path} answered ${stream.status}: ${body}`);
    }
    assert.match(stream.headers["content-type"] ?? "", type);
    return stream;
}

export function openSse(server, path, { headers = {}, ...rest } = {}) {
    const asked = { Accept: "text/event-stream", ...headers };
    return openAs(SseStream, /^text\/event-stream\b/, server, path, { headers: asked, ...rest });
}

export function openNdjson(server, path, { headers = {}, ...rest } = {}) {
    const asked = { Accept: "application/x-ndjson", ...headers };
    return openAs(NdjsonStream, /^application\/x-ndjson\b/, server, path, { headers: asked, ...rest });
}

export function openRaw(server, path, options = {}) {
    const asked = path + (path.includes("?") ? "&" : "?") + "stream=raw";
    return openAs(RawStream, /^application\/octet-stream\b/, server, asked, options);
}
