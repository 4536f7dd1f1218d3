// WebSocket clients by npm `ws`: frames in a queue that a test reads one at a time.

import assert from "node:assert/strict";
import WebSocket from "ws";
import { deadline } from "./wait.mjs";

/** The ws:// address of a path on a server. */
export function wsUrl(server, path) {
    return `ws://127.0.0.1:${server.port}${path}`;
}

/** One WebSocket. Whatever arrives, from the first byte on, is kept in order until it is read. */
export class Socket {
    /** Connects; the test `t` closes it. `options` go to npm `ws` (headers, origin, perMessageDeflate…). */
    static async open(t, server, path, { protocols = [], ...options } = {}) {
        const socket = new this(wsUrl(server, path), protocols, options);
        server.onStop?.(() => socket.ws.terminate()); /* a close that nobody answers is waited for */
        t.after(() => socket.ws.terminate());
        await deadline(socket.opened, `the WebSocket ${path} to open`);
        return socket;
    }

    constructor(url, protocols, options) {
        this.url = url;
        this.frames = [];
        this.end = undefined; /* {code, reason} once closed */
        this.waiters = [];
        this.head = undefined; /* the answer to the handshake: {status, headers} */
        this.ws = new WebSocket(url, protocols, { perMessageDeflate: false, ...options });
        this.ws.on(
            "upgrade",
            (res) => (this.head = { status: res.statusCode, headers: res.headers }),
        );
        this.ws.on("message", (data, isBinary) => {
            this.frames.push({
                bytes: data,
                isBinary,
                text: isBinary ? undefined : data.toString("utf8"),
            });
            this.#wake();
        });
        this.ws.on("close", (code, reason) => {
            this.end = { code, reason: reason.toString("utf8") };
            this.#wake();
        });
        this.opened = new Promise((resolve, reject) => {
            this.ws.once("open", resolve);
            this.ws.on("error", reject);
        });
        this.opened.catch(() => {});
    }

    #wake() {
        for (const waiter of this.waiters.splice(0)) {
            waiter();
        }
    }

    async #look(what) {
        while (this.frames.length === 0) {
            if (this.end !== undefined) {
                throw new Error(`the socket closed before ${what}: ${JSON.stringify(this.end)}`);
            }
            await new Promise((resolve) => this.waiters.push(resolve));
        }
        return this.frames.shift();
    }

    /** The next frame: {bytes, isBinary, text}. */
    next(what = "another frame", ms = undefined) {
        return deadline(this.#look(what), `${what} on ${this.url}`, ms);
    }

    /** The next frame, which must be a text frame of JSON. */
    async json(what, ms) {
        const frame = await this.next(what, ms);
        assert.equal(frame.isBinary, false, "JSON must come in a text frame");
        return JSON.parse(frame.text);
    }

    /** The next frame of JSON that is no heartbeat: servers may beat or leave it to ping frames. */
    async notBeat(what, ms) {
        for (;;) {
            const message = await this.json(what, ms);
            if (message.op !== "beat") {
                return message;
            }
        }
    }

    /** The next envelope on a channel socket, passing over heartbeats only. */
    async event(what = "an event") {
        const message = await this.notBeat(what);
        assert.equal(message.op, undefined, `not an event: ${JSON.stringify(message)}`);
        return message;
    }

    async events(count) {
        const events = [];
        while (events.length < count) {
            events.push(await this.event(`event ${events.length + 1} of ${count}`));
        }
        return events;
    }

    /** The next `count` frames, as the data alone: strings for text, buffers for binary. */
    async data(count) {
        const out = [];
        while (out.length < count) {
            const frame = await this.next(`frame ${out.length + 1} of ${count}`);
            out.push(frame.isBinary ? frame.bytes : frame.text);
        }
        return out;
    }

    send(data, options) {
        return new Promise((resolve, reject) =>
            this.ws.send(data, options ?? {}, (error) => (error ? reject(error) : resolve())),
        );
    }

    /** Sends a ping and waits for its pong: the server has then read all that was sent before. */
    ping(payload = "are you there") {
        const pong = new Promise((resolve) => {
            const listen = (data) => {
                if (data.toString() === payload) {
                    this.ws.off("pong", listen);
                    resolve(data);
                }
            };
            this.ws.on("pong", listen);
        });
        this.ws.ping(payload);
        return deadline(pong, `a pong on ${this.url}`);
    }

    /** Waits for the close: {code, reason}. */
    async closed(ms) {
        const look = async () => {
            while (this.end === undefined) {
                await new Promise((resolve) => this.waiters.push(resolve));
            }
            return this.end;
        };
        return deadline(look(), `the close of ${this.url}`, ms);
    }

    /** Starts the closing handshake and waits for its end. */
    close(code = 1000, reason = "") {
        this.ws.close(code, reason);
        return this.closed();
    }

    /** Gone without a word, as a laptop whose lid was shut. */
    vanish() {
        this.ws.terminate();
    }
}

/** Tries to connect where the server should refuse: {status, headers, bytes, text, json()}. */
export function refusal(server, path, { protocols = [], ...options } = {}) {
    const ws = new WebSocket(wsUrl(server, path), protocols, {
        perMessageDeflate: false,
        ...options,
    });
    const answer = new Promise((resolve, reject) => {
        ws.on("unexpected-response", (request, res) => {
            const chunks = [];
            res.on("data", (chunk) => chunks.push(chunk));
            res.on("end", () => {
                const bytes = Buffer.concat(chunks);
                resolve({
                    status: res.statusCode,
                    headers: res.headers,
                    bytes,
                    text: bytes.toString("utf8"),
                    json: () => JSON.parse(bytes.toString("utf8")),
                });
                request.destroy();
            });
        });
        ws.once("open", () => {
            ws.terminate();
            reject(new Error(`the WebSocket ${path} was opened, not refused`));
        });
        ws.on("error", reject);
    });
    return deadline(answer, `the refusal of ${path}`);
}

/** A connection that speaks freshet.v1 on /events. Every request gets a `ref` of its own. */
export class Freshet extends Socket {
    static async open(t, server, { path = "/events", ...options } = {}) {
        const socket = await super.open(t, server, path, { protocols: ["freshet.v1"], ...options });
        assert.equal(socket.ws.protocol, "freshet.v1");
        socket.lastRef = 0;
        return socket;
    }

    /** Sends one operation; answers its ref. */
    async ask(op) {
        const ref = op.ref ?? ++this.lastRef;
        await this.send(JSON.stringify({ ...op, ref }));
        return ref;
    }

    /** The next message that is no heartbeat, which must be this op. */
    async expect(op) {
        const message = await this.notBeat(`"${op}"`);
        assert.equal(message.op, op, `expected "${op}", got ${JSON.stringify(message)}`);
        return message;
    }

    /**
     * Subscribes and reads until the subscription is live: {ok, live, events, gaps}, where `events`
     * is what came in between, which may hold events of channels that were live before.
     */
    async subscribe(channels, { after, ...rest } = {}) {
        const ref = await this.ask({ op: "subscribe", channels, after, ...rest });
        const got = { ok: undefined, live: undefined, events: [], gaps: [], before: [] };
        while (got.live === undefined) {
            const message = await this.notBeat(`the subscription to ${channels} to be live`);
            assert.notEqual(message.op, "error", JSON.stringify(message));
            if (message.op === "event") {
                (got.ok === undefined ? got.before : got.events).push(message.event);
            } else if (message.op === "gap") {
                got.gaps.push(message);
            } else {
                assert.equal(message.ref, ref, JSON.stringify(message));
                got[message.op] = message;
            }
        }
        assert.ok(got.ok, "live came before ok");
        return got;
    }

    /** Asks and reads its answer, an ok or an error, passing over nothing but heartbeats. */
    async answer(op) {
        const ref = await this.ask(op);
        const message = await this.notBeat(`the answer to ${op.op}`);
        assert.equal(
            message.ref,
            ref,
            `not the answer to ${JSON.stringify(op)}: ${JSON.stringify(message)}`,
        );
        return message;
    }

    /** The next `count` events; anything else but heartbeats fails. */
    async pushed(count) {
        const events = [];
        while (events.length < count) {
            events.push((await this.expect("event")).event);
        }
        return events;
    }
}
