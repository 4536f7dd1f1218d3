// Strangers who use the server while it is attacked: they ask /healthz, publish, and subscribe. They run
// in a process of their own and tell at the end what they saw.
//
//     node strangers.mjs PORT      ends by a line on standard input

import http from "node:http";
import readline from "node:readline";
import { pause, request } from "./support.mjs";

const port = Number(process.argv[2]);
const EVERY_MS = 20;
const SETTLE_MS = 60_000; /* for what was acknowledged to arrive, at most: sanitized servers are slow, and the machine is busy */

const seen = { healthz: [], publish: [], delivery: [], refused: 0, unanswered: 0, lost: [], twice: 0, disordered: 0 };
const acknowledged = new Map(); // id -> when it was sent
const delivered = new Map(); // id -> when it came
let running = true;
let newest = "";
let cut = 0;

async function timed(list, ask) {
    const start = performance.now();
    const answer = await ask();
    list.push(performance.now() - start);
    if (!answer.status) {
        seen.unanswered++;
    } else if (answer.status >= 400) {
        seen.refused++;
    }
    return answer;
}

async function askForHealth() {
    while (running) {
        await timed(seen.healthz, () => request(port, "GET", "/healthz"));
        await pause(EVERY_MS);
    }
}

async function publish() {
    for (let n = 0; running; n++) {
        const sent = performance.now();
        const answer = await timed(seen.publish, () =>
            request(port, "POST", "/channels/stranger/room", { body: `${n}` }));
        if (answer.status === 201) {
            acknowledged.set(JSON.parse(answer.text).id, sent);
        }
        await pause(EVERY_MS);
    }
}

function take(id) {
    if (delivered.has(id)) {
        seen.twice++;
    } else if (id < newest) {
        seen.disordered++;
    }
    delivered.set(id, performance.now());
    newest = id;
}

/** Follows as an EventSource does: it comes back by its cursor when it is cut off. */
function follow(cursor) {
    return new Promise((resolve) => {
        let last = cursor;
        const headers = { Accept: "text/event-stream", ...(cursor ? { "Last-Event-ID": cursor } : {}) };
        const asked = http.request({ port, host: "127.0.0.1", path: "/channels/stranger/room", headers }, (answer) => {
            let name = "";
            const lines = readline.createInterface({ input: answer });
            lines.on("error", () => undefined); /* passed on from `answer`, which closes next */
            lines.on("line", (line) => {
                if (line.startsWith("event: ")) {
                    name = line.slice(7);
                } else if (line.startsWith("id: ")) {
                    last = line.slice(4);
                    if (!name.startsWith("$")) {
                        take(last);
                    }
                } else if (!line) {
                    name = "";
                }
            });
            answer.on("error", () => undefined);
            answer.on("close", () => resolve(last));
        });
        asked.on("error", () => resolve(last));
        asked.end();
    });
}

async function followForGood() {
    let cursor = "0000000000000000";
    for (;;) {
        cursor = await follow(cursor);
        cut++;
        await pause(EVERY_MS);
    }
}

function figures(list) {
    const sorted = list.toSorted ? list.toSorted((a, b) => a - b) : [...list].sort((a, b) => a - b);
    const at = (share) => Number((sorted[Math.floor(share * (sorted.length - 1))] ?? 0).toFixed(1));
    return { count: sorted.length, p50: at(0.5), p99: at(0.99), max: at(1) };
}

followForGood();
const busy = Promise.all([askForHealth(), publish()]);
console.log("ready");
const orders = readline.createInterface({ input: process.stdin });
orders.once("close", () => running && process.exit(1)); /* the runner died */
await new Promise((resolve) => orders.once("line", resolve));
running = false;
await busy;
const missing = () => [...acknowledged.keys()].filter((id) => !delivered.has(id));
for (const until = Date.now() + SETTLE_MS; missing().length && Date.now() < until;) {
    await pause(EVERY_MS);
}
for (const [id, sent] of acknowledged) {
    if (delivered.has(id)) {
        seen.delivery.push(delivered.get(id) - sent);
    }
}
console.log(JSON.stringify({
    healthz: figures(seen.healthz), publish: figures(seen.publish), delivery: figures(seen.delivery),
    refused: seen.refused, unanswered: seen.unanswered, cut, lost: missing().length, twice: seen.twice,
    disordered: seen.disordered,
}));
process.exit(0);
