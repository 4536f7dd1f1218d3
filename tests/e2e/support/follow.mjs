// Consumers, one for each mechanism, that all look alike to a test: a selection, a cursor, a callback.
// They are made for volume: bytes are taken in whole lines, and nothing is kept but what is asked for.

import http from "node:http";
import WebSocket from "ws";
import { deadline } from "./wait.mjs";
import { wsUrl } from "./ws.mjs";

export const MECHANISMS = ["sse", "ndjson", "poll", "ws"];

function query(selection, more) {
    const params = new URLSearchParams();
    for (const channel of selection.channels) {
        params.append("channel", channel);
    }
    for (const type of selection.types ?? []) {
        params.append("type", type);
    }
    for (const [name, value] of Object.entries(more)) {
        if (value !== undefined) {
            params.set(name, value);
        }
    }
    return `/events?${params}`;
}

/** Cuts a byte stream into lines, without their LF, handed out as strings. */
class Lines {
    constructor(onLine) {
        this.onLine = onLine;
        this.rest = [];
    }

    take(chunk) {
        let from = 0;
        for (let at = chunk.indexOf(10); at >= 0; at = chunk.indexOf(10, from)) {
            const piece = chunk.subarray(from, at);
            from = at + 1;
            if (this.rest.length > 0) {
                this.rest.push(piece);
                this.onLine(Buffer.concat(this.rest.splice(0)).toString("utf8"));
            } else {
                this.onLine(piece.toString("utf8"));
            }
        }
        if (from < chunk.length) {
            this.rest.push(chunk.subarray(from));
        }
    }
}

/**
 * Follows a selection from `after` on by one mechanism until `stop()`.
 *   events   what has come, unless `keep` is false
 *   cursor   up to where everything was handed out
 *   gaps     what the server said is gone for good
 *   ready    settles when the server has begun to answer, with the cursor that it began at
 *   ended    settles when the connection ended, whoever ended it: {error} or {}
 * `onEvent(event, follower)` and `onGap(gap, follower)` are called for each, in order.
 */
export class Follower {
    constructor(server, via, selection, { after, keep = true, onEvent, onGap } = {}) {
        this.server = server;
        this.via = via;
        this.selection = selection;
        this.keep = keep;
        this.onEvent = onEvent ?? (() => {});
        this.onGap = onGap ?? (() => {});
        this.events = [];
        this.gaps = [];
        this.count = 0;
        this.cursor = after;
        this.stopped = false;
        this.waiters = [];
        this.ready = new Promise((resolve) => (this.isReady = resolve));
        this.ended = new Promise((resolve) => (this.isEnded = resolve));
        this[via](after);
    }

    #wake() {
        for (const waiter of this.waiters.splice(0)) {
            waiter();
        }
    }

    #end(error) {
        if (!this.over) {
            this.over = { error: this.stopped ? undefined : error };
            this.isReady(this.cursor);
            this.isEnded(this.over);
            this.#wake();
        }
    }

    #begin(cursor) {
        if (cursor !== undefined) {
            this.cursor = cursor;
        }
        this.isReady(this.cursor);
    }

    #take(event) {
        if (this.stopped) {
            return;
        }
        this.count++;
        if (this.keep) {
            this.events.push(event);
        }
        this.onEvent(event, this);
        this.cursor = event.id ?? this.cursor;
        this.#wake();
    }

    #gap(gap) {
        if (!this.stopped) {
            this.gaps.push(gap);
            this.onGap(gap, this);
        }
    }

    #get(path, headers, onAnswer) {
        this.request = http.get(
            {
                host: "127.0.0.1",
                port: this.server.port,
                path,
                headers,
                agent: this.agent ?? false,
            },
            (res) => {
                this.response = res;
                res.on("error", (error) => this.#end(error));
                res.on("aborted", () =>
                    this.#end(new Error("the server broke the connection off")),
                );
                onAnswer(res);
            },
        );
        this.request.on("error", (error) => this.#end(error));
    }

    #stream(accept, after, more, onLine) {
        this.#get(query(this.selection, { after, ...more }), { Accept: accept }, (res) => {
            if (res.statusCode !== 200) {
                res.resume();
                this.#end(new Error(`${this.via} was answered ${res.statusCode}`));
                return;
            }
            this.#begin(res.headers.cursor);
            const lines = new Lines(onLine);
            res.on("data", (chunk) => lines.take(chunk));
            res.on("end", () => this.#end());
        });
    }

    ndjson(after) {
        this.#stream("application/x-ndjson", after, {}, (line) => {
            if (line === "") {
                return;
            }
            const record = JSON.parse(line);
            if (record.op === undefined) {
                this.#take(record);
            } else if (record.op === "gap") {
                this.#gap(record);
            } else if (record.op === "beat") {
                this.cursor = record.cursor;
            }
        });
    }

    sse(after) {
        let event;
        let id;
        let data = [];
        const dispatch = () => {
            if (event === "$gap") {
                this.#gap(JSON.parse(data.join("\n")));
            } else if (event === undefined && data.length > 0) {
                this.#take(JSON.parse(data.join("\n")));
            }
            this.cursor = id ?? this.cursor;
            event = id = undefined;
            data = [];
        };
        this.#stream("text/event-stream", after, { format: "event" }, (line) => {
            if (line === "") {
                dispatch();
            } else if (line.startsWith("data: ")) {
                data.push(line.slice(6));
            } else if (line.startsWith("event: ")) {
                event = line.slice(7);
            } else if (line.startsWith("id: ")) {
                id = line.slice(4);
            }
        });
    }

    poll(after) {
        this.agent ??= new http.Agent({ keepAlive: true, maxSockets: 1 });
        /* The first does not wait, so that `ready` tells a cursor even where there is nothing yet. */
        const wait = this.polls > 0 ? 10 : undefined;
        this.polls = (this.polls ?? 0) + 1;
        const path = query(this.selection, { after: after ?? "now", limit: 1000, wait });
        this.#get(path, {}, (res) => {
            const chunks = [];
            res.on("data", (chunk) => chunks.push(chunk));
            res.on("end", () => this.#polled(res, Buffer.concat(chunks).toString("utf8")));
        });
    }

    #polled(res, text) {
        if (res.statusCode === 410) {
            this.#gap({ status: 410, after: this.cursor });
            this.poll("earliest");
            return;
        }
        if (res.statusCode !== 200) {
            this.#end(new Error(`a poll was answered ${res.statusCode} ${text}`));
            return;
        }
        const page = JSON.parse(text);
        for (const event of page.events) {
            this.#take(event);
        }
        this.cursor = page.cursor;
        this.isReady(this.cursor);
        if (this.stopped) {
            this.#end();
        } else {
            this.poll(this.cursor);
        }
    }

    ws(after) {
        this.socket = new WebSocket(wsUrl(this.server, "/events"), "freshet.v1", {
            perMessageDeflate: false,
        });
        this.socket.on("open", () => {
            this.socket.send(
                JSON.stringify({
                    op: "subscribe",
                    channels: this.selection.channels,
                    after,
                    ref: 1,
                }),
            );
        });
        this.socket.on("message", (bytes) => this.#message(JSON.parse(bytes.toString("utf8"))));
        this.socket.on("error", (error) => this.#end(error));
        this.socket.on("close", (code) =>
            this.#end(code === 1000 ? undefined : new Error(`closed with ${code}`)),
        );
    }

    #message(message) {
        if (message.op === "event") {
            this.#take(message.event);
        } else if (message.op === "ok") {
            this.#begin(message.cursor);
        } else if (message.op === "gap") {
            this.#gap(message);
        } else if (message.op === "beat" || message.op === "live") {
            this.cursor = message.cursor ?? this.cursor;
        } else if (message.op === "error") {
            this.#end(new Error(JSON.stringify(message.problem)));
        }
    }

    /** Reads no more: the kernel's buffers fill, then the server cannot send. */
    pause() {
        (this.response ?? this.socket).pause();
    }

    resume() {
        (this.response ?? this.socket).resume();
    }

    /** Gone without a word. */
    stop() {
        this.stopped = true;
        this.request?.destroy();
        this.agent?.destroy();
        this.socket?.terminate();
        this.#end();
    }

    /** Waits until `ready(this)` is truthy, looking again at each event. */
    async until(ready, what, ms) {
        const look = async () => {
            for (;;) {
                const value = ready(this);
                if (value) {
                    return value;
                }
                if (this.over) {
                    throw new Error(
                        `${this.via} ended before ${what}: ${this.over.error?.message ?? "politely"}`,
                    );
                }
                await new Promise((resolve) => this.waiters.push(resolve));
            }
        };
        try {
            return await deadline(look(), `${what} by ${this.via}`, ms);
        } catch (error) {
            error.message += `; ${this.count} events so far`;
            throw error;
        }
    }

    /** Waits until so many events have come in all. */
    has(count, ms) {
        return this.until(() => this.count >= count, `${count} events`, ms);
    }
}

/** Starts a follower that test `t` stops, and waits until the server has begun to answer it. */
export async function follow(t, server, via, selection, options) {
    const chosen = typeof selection === "string" ? { channels: [selection] } : selection;
    const follower = new Follower(server, via, chosen, options);
    t.after(() => follower.stop());
    await deadline(follower.ready, `${via} to begin`);
    if (follower.over?.error) {
        throw follower.over.error;
    }
    return follower;
}
