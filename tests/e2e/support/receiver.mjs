// An endpoint for webhooks: keeps every request, checks its signature, and answers as it is told.

import assert from "node:assert/strict";
import { createHmac, timingSafeEqual } from "node:crypto";
import http from "node:http";
import { Webhook } from "standardwebhooks";
import { deadline } from "./wait.mjs";

/** True for the body of an event's delivery, false for that of a ping. */
export function isEvent(body) {
    return (
        typeof body?.id === "string" &&
        /^\d{16}$/.test(body.id) &&
        typeof body.channel === "string" &&
        !String(body.type).startsWith("$")
    );
}

export class Receiver {
    /** Listens on loopback until the test ends. */
    static async start(t) {
        const receiver = new Receiver();
        await new Promise((resolve) => receiver.http.listen(0, "127.0.0.1", resolve));
        receiver.port = receiver.http.address().port;
        receiver.url = `http://127.0.0.1:${receiver.port}/hook`;
        t.after(() => receiver.stop());
        return receiver;
    }

    constructor() {
        this.requests = []; /* all of them: {path, headers, bytes, body, at} */
        this.deliveries = []; /* those that carried an event */
        this.pings = []; /* those that did not */
        this.waiters = [];
        /* What to answer to an event: a status, {status, headers}, "hang" or "reset". A function of
           (request, how many times this event was seen before). Pings are always answered 200. */
        this.answer = () => 200;
        this.held = [];
        this.http = http.createServer((req, res) => this.#take(req, res));
        this.http.keepAliveTimeout = 0;
    }

    stop() {
        this.http.closeAllConnections?.();
        return new Promise((resolve) => this.http.close(resolve));
    }

    #take(req, res) {
        const chunks = [];
        req.on("data", (chunk) => chunks.push(chunk));
        req.on("error", () => {});
        req.on("end", () => {
            const bytes = Buffer.concat(chunks);
            let body;
            try {
                body = JSON.parse(bytes.toString("utf8"));
            } catch {
                body = undefined;
            }
            this.#keep(
                { method: req.method, path: req.url, headers: req.headers, bytes, body },
                res,
            );
        });
    }

    #keep(request, res) {
        this.requests.push(request);
        let verdict = 200;
        if (isEvent(request.body)) {
            const before = this.deliveries.filter(
                (other) => other.body.id === request.body.id,
            ).length;
            this.deliveries.push(request);
            verdict = this.answer(request, before);
        } else {
            this.pings.push(request);
        }
        for (const waiter of this.waiters.splice(0)) {
            waiter();
        }
        this.#reply(res, verdict);
    }

    #reply(res, verdict) {
        if (verdict === "hang") {
            this.held.push(res);
        } else if (verdict === "reset") {
            res.socket.destroy();
        } else {
            const { status, headers = {} } =
                typeof verdict === "number" ? { status: verdict } : verdict;
            res.writeHead(status, { "Content-Length": 0, ...headers });
            res.end();
        }
    }

    /** Answers everything that hangs. */
    release(status = 200) {
        for (const res of this.held.splice(0)) {
            this.#reply(res, status);
        }
    }

    /** Waits until `ready()` is truthy, looking again at each request; answers it. */
    async until(ready, what, ms) {
        const look = async () => {
            for (;;) {
                const value = ready();
                if (value) {
                    return value;
                }
                await new Promise((resolve) => this.waiters.push(resolve));
            }
        };
        return deadline(
            look(),
            `${what}; so far ${this.deliveries.length} deliveries, ${this.pings.length} pings`,
            ms,
        );
    }

    /** Waits until so many different events have come; answers them in order of first arrival. */
    async events(count, ms) {
        await this.until(() => this.distinct().length >= count, `${count} events by webhook`, ms);
        return this.distinct();
    }

    /** The events in order of first arrival, each once. */
    distinct() {
        const seen = new Map();
        for (const { body } of this.deliveries) {
            if (!seen.has(body.id)) {
                seen.set(body.id, body);
            }
        }
        return [...seen.values()];
    }
}

/** Asserts that one request is signed as Standard Webhooks has it, by two readers of that text. */
export function assertSigned(request, secret) {
    const { headers, bytes } = request;
    const id = headers["webhook-id"];
    const timestamp = headers["webhook-timestamp"];
    const signatures = headers["webhook-signature"];
    assert.ok(id, "no webhook-id");
    assert.doesNotMatch(id, /\./, "webhook-id must not contain a dot: it separates what is signed");
    assert.match(timestamp, /^\d{10}$/, "webhook-timestamp must be in whole seconds");
    assert.match(signatures, /^v1,[A-Za-z0-9+/]+=*( v1a?,[A-Za-z0-9+/]+=*)*$/);

    const key = Buffer.from(secret.slice("whsec_".length), "base64");
    const expected = createHmac("sha256", key).update(`${id}.${timestamp}.`).update(bytes).digest();
    const one = signatures.split(" ").some((signature) => {
        const given = Buffer.from(signature.split(",")[1], "base64");
        return given.length === expected.length && timingSafeEqual(given, expected);
    });
    assert.ok(one, "no signature is the HMAC of id.timestamp.body");
    /* The library reads the body as JSON: all that we deliver is. */
    new Webhook(secret).verify(bytes.toString("utf8"), headers);
}
