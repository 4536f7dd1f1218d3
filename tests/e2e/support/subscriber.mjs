// A subscriber of WebSub: it answers the hub's questions, and keeps what it is asked and sent.

import http from "node:http";
import { deadline } from "./wait.mjs";

/** A subscriber: confirms what `confirms` says, and keeps all that it is asked and sent. */
export class Subscriber {
    static async start(t) {
        const subscriber = new Subscriber();
        await new Promise((resolve) => subscriber.http.listen(0, "127.0.0.1", resolve));
        subscriber.origin = `http://127.0.0.1:${subscriber.http.address().port}`;
        subscriber.url = `${subscriber.origin}/callback`;
        t.after(() => new Promise((resolve) => {
            subscriber.http.closeAllConnections?.();
            subscriber.http.close(resolve);
        }));
        return subscriber;
    }

    constructor() {
        this.asked = []; /* {path, query: [[name, value]], ...the hub's own parameters} */
        this.sent = []; /* {path, headers, bytes} */
        this.waiters = [];
        this.confirms = ({ challenge }) => ({ status: 200, body: challenge });
        this.accepts = () => 204;
        this.http = http.createServer((req, res) => this.#take(req, res));
        this.http.keepAliveTimeout = 0;
    }

    #take(req, res) {
        const pieces = [];
        req.on("data", (piece) => pieces.push(piece));
        req.on("error", () => {});
        req.on("end", () => {
            const url = new URL(req.url, this.origin);
            if (req.method === "GET") {
                const last = (name) => url.searchParams.getAll(name).at(-1);
                const question = {
                    path: url.pathname, query: [...url.searchParams], mode: last("hub.mode"), topic: last("hub.topic"),
                    challenge: last("hub.challenge"), lease: last("hub.lease_seconds"), reason: last("hub.reason"),
                };
                this.asked.push(question);
                const { status, body = "", headers = {} } = this.confirms(question);
                res.writeHead(status, headers).end(body);
            } else {
                const request = { path: req.url, headers: req.headers, bytes: Buffer.concat(pieces) };
                this.sent.push(request);
                res.writeHead(this.accepts(request)).end();
            }
            for (const waiter of this.waiters.splice(0)) {
                waiter();
            }
        });
    }

    async until(ready, what) {
        const look = async () => {
            while (!ready()) {
                await new Promise((resolve) => this.waiters.push(resolve));
            }
        };
        await deadline(look(), `${what}; asked ${JSON.stringify(this.asked)}, sent ${this.sent.length}`);
    }

    async question(n = this.asked.length) {
        await this.until(() => this.asked.length > n, `question ${n}`);
        return this.asked[n];
    }

    async distribution(n) {
        await this.until(() => this.sent.length > n, `distribution ${n}`);
        return this.sent[n];
    }
}
