// A while under a mixed load: 4 workers, 200 subscribers of all mechanisms that connect and vanish at
// random, 2,000 events a second. Each subscriber's own sequence must be complete and in order for as
// long as it was connected, or have been told where its gap was. SOAK_SECONDS says how long (10).

import assert from "node:assert/strict";
import { randomInt } from "node:crypto";
import { setTimeout as pause } from "node:timers/promises";
import { deadline, eventually, request, startServer, test } from "./support/index.mjs";
import {
    assertChained,
    assertIncreasing,
    filesOf,
    isSanitized,
    memoryOf,
    readAll,
} from "./support/checks.mjs";
import { Follower, MECHANISMS } from "./support/follow.mjs";

const SECONDS = Number(process.env.SOAK_SECONDS ?? 10);
const SUBSCRIBERS = Number(process.env.SOAK_SUBSCRIBERS ?? 200);
const RATE = Number(process.env.SOAK_RATE ?? 2000);
const WORKERS = 4;
const CHANNELS = 40;
const TICKS = 100; /* a second: how finely the rate is dealt out */

/** What one subscriber may select; most take one channel, a few everything. */
function someSelection() {
    const kind = randomInt(0, 20);
    const one = () => `soak/${randomInt(0, CHANNELS)}`;
    if (kind === 0) {
        return { channels: ["soak/**"] };
    }
    if (kind < 4) {
        return { channels: [...new Set([one(), one(), one()])] };
    }
    return { channels: [one()] };
}

/**
 * One subscriber over all its connections. Each event is held against the one before it in its channel:
 * by the number inside it, and by `prev`, which may not be above the cursor that the connection held.
 */
class Subscriber {
    constructor(server, n) {
        this.server = server;
        this.n = n;
        this.numbers = new Map(); /* channel -> the number of the last event seen */
        this.events = 0;
        this.gaps = 0;
        this.connections = 0;
        this.faults = [];
        this.cursor = undefined;
        this.selection = someSelection();
    }

    fault(text) {
        this.faults.push(
            `subscriber ${this.n} by ${this.via}, connection ${this.connections}: ${text}`,
        );
    }

    onEvent(event, follower) {
        this.events++;
        const before = follower.cursor;
        if (before !== undefined && before !== "earliest") {
            if (event.id <= before) {
                this.fault(`${event.id} came after ${before}`);
            }
            if (!this.gapped && event.prev > before) {
                this.fault(
                    `${event.id} follows ${event.prev}, but we are at ${before}: ${event.channel} lost something`,
                );
            }
        }
        const number = this.numbers.get(event.channel);
        if (number !== undefined && event.data.n !== number + 1 && !this.gapped) {
            this.fault(`number ${event.data.n} of ${event.channel} came after ${number}`);
        }
        if (number !== undefined && event.data.n <= number) {
            this.fault(`number ${event.data.n} of ${event.channel} came again after ${number}`);
        }
        this.numbers.set(event.channel, event.data.n);
    }

    /** Connects, stays for some events, vanishes, and begins anew, until `isOver()`. */
    async live(isOver) {
        while (!isOver()) {
            this.via = MECHANISMS[randomInt(0, 4)];
            this.connections++;
            if (this.cursor === undefined || randomInt(0, 4) === 0) {
                /* Somebody new, who begins now or at the beginning. */
                this.selection = someSelection();
                this.numbers.clear();
                this.cursor = randomInt(0, 20) === 0 ? "earliest" : undefined;
            }
            await this.connect(isOver);
        }
    }

    async connect(isOver) {
        this.gapped = false;
        const follower = new Follower(this.server, this.via, this.selection, {
            after: this.cursor,
            keep: false,
            onEvent: (event, self) => this.onEvent(event, self),
            onGap: () => {
                this.gaps++;
                this.gapped = true;
                this.numbers.clear();
            },
        });
        this.follower = follower;
        try {
            await deadline(follower.ready, `${this.via} to begin`);
            const stay = randomInt(1, 400);
            while (!isOver() && follower.count < stay && !follower.over) {
                await Promise.race([
                    new Promise((resolve) => follower.waiters.push(resolve)),
                    pause(250),
                ]);
            }
            if (follower.over?.error) {
                this.fault(`the connection ended: ${follower.over.error.message}`);
            }
        } finally {
            follower.stop();
            /* Not every mechanism told a cursor before it was left; then we begin anew. */
            this.cursor = /^\d{16}$/.test(follower.cursor ?? "") ? follower.cursor : undefined;
        }
    }
}

/** Publishes at the rate, or as near to it as the server and this machine come; answers how many. */
async function publishFor(server, seconds, numbers) {
    const started = Date.now();
    let sent = 0;
    let acked = 0;
    while (Date.now() - started < seconds * 1000) {
        const due = Math.floor(((Date.now() - started) / 1000) * RATE);
        while (sent < due) {
            const size = Math.min(due - sent, 1 + randomInt(0, (2 * RATE) / TICKS));
            const events = [];
            for (let i = 0; i < size; i++) {
                const c = randomInt(0, CHANNELS);
                numbers[c]++;
                events.push({
                    channel: `soak/${c}`,
                    data: { n: numbers[c], pad: "x".repeat(randomInt(0, 200)) },
                });
            }
            sent += size;
            /* One after the other, so that the numbers stand in the order of the log. */
            const answer = await request(server, "POST", "/events", { body: events });
            assert.equal(answer.status, 201, answer.text);
            acked += size;
        }
        await pause(1000 / TICKS);
    }
    return acked;
}

test(
    `${SUBSCRIBERS} subscribers that come and go for ${SECONDS} s at ${RATE} events/s each see a sequence that is complete and in order`,
    { timeout: (SECONDS + 240) * 1000 },
    async (t) => {
        const server = await startServer(t, { data: true, args: ["--threads", String(WORKERS)] });
        const files = filesOf(server.pid);
        const numbers = Array(CHANNELS).fill(0);
        let over = false;
        const subscribers = Array.from(
            { length: SUBSCRIBERS },
            (_, n) => new Subscriber(server, n),
        );
        const lives = subscribers.map((subscriber) => subscriber.live(() => over));
        const published = await publishFor(server, SECONDS, numbers);
        over = true;
        await Promise.all(lives);

        const sum = (of) => subscribers.reduce((total, subscriber) => total + of(subscriber), 0);
        t.diagnostic(
            `${published} events published, ${sum((s) => s.events)} received over ` +
                `${sum((s) => s.connections)} connections, ${sum((s) => s.gaps)} gaps told, ` +
                `${(memoryOf(server.pid) / 1024 / 1024).toFixed(1)} MiB of memory`,
        );
        const faults = subscribers.flatMap((subscriber) => subscriber.faults);
        assert.deepEqual(faults.slice(0, 20), [], `${faults.length} faults`);
        assert.ok(sum((s) => s.events) > 0);

        const { events } = await readAll(server, "channel=soak/**");
        assert.equal(events.length, published);
        assertIncreasing(events);
        assertChained(events);
        const counted = Array(CHANNELS).fill(0);
        for (const event of events) {
            const c = Number(event.channel.slice("soak/".length));
            assert.equal(event.data.n, ++counted[c]);
        }
        if (!isSanitized(server.pid)) {
            await eventually(
                () => filesOf(server.pid) <= files + 40,
                `the files of ${SUBSCRIBERS} subscribers that are gone to be closed; there were ${files}`,
            );
        }
        assert.equal((await request(server, "GET", "/healthz")).status, 200);
    },
);
