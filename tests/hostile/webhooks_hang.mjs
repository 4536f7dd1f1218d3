// Webhooks whose receivers hang must not hold up those that answer.
//   node tests/hostile/webhooks_hang.mjs            1,000 endpoints of which 900 hang, at 1,024 and at 20,000 files
//   node tests/hostile/webhooks_hang.mjs --short    100 of which 90 hang, at 1,024 files, for a few seconds
// FRESHET_BIN is the server (build/freshet). Prints what the healthy endpoints saw, from the publish to the request
// at the receiver, as one JSON object a run. Exits with 1 if their p99 is above the goal or an event was lost.
//
// Of those that hang, a third never answer, a third accept after ten seconds, and a third accept their first
// request at once and never answer again. The first events find that out and are told apart: `warm_s` is how long
// it took until every healthy endpoint had its own first event, `onset_max_ms` the longest delay in the seconds
// after that.

import { spawn } from "node:child_process";
import fs from "node:fs";
import http from "node:http";
import os from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";

const here = path.dirname(fileURLToPath(import.meta.url));
const BIN = process.env.FRESHET_BIN ?? path.join(here, "../../build/freshet");
const GOAL_MS = 100;
const LATE_MS = 10_000;
const CHANNELS = 10;
const ONSET_S = 5;

const agent = new http.Agent({ keepAlive: true, maxSockets: 16 });

function request(port, method, target, body) {
    return new Promise((resolve, reject) => {
        const req = http.request({ host: "127.0.0.1", port, path: target, method, agent, headers: { "Content-Type": "application/json" } }, (res) => {
            const chunks = [];
            res.on("data", (chunk) => chunks.push(chunk));
            res.on("end", () => resolve({ status: res.statusCode, text: Buffer.concat(chunks).toString() }));
        });
        req.on("error", reject);
        req.end(body === undefined ? undefined : JSON.stringify(body));
    });
}

async function startServer(dir, files) {
    const command = `ulimit -n ${files} && exec "$0" serve --listen 127.0.0.1:0 --data "$1"`;
    const child = spawn("sh", ["-c", command, BIN, path.join(dir, `data-${files}`)], { stdio: ["ignore", "pipe", "ignore"] });
    const port = await new Promise((resolve, reject) => {
        let text = "";
        child.once("exit", (code) => reject(new Error(`the server ended with ${code}`)));
        child.stdout.on("data", (chunk) => {
            text += chunk;
            const match = /127\.0\.0\.1:(\d+)/.exec(text);
            if (match) {
                resolve(Number(match[1]));
            }
        });
    });
    return { child, port };
}

// `answer` is given the endpoint's number, how many requests came to it before, and the request's text.
async function startReceiver(answer) {
    const before = new Map();
    const server = http.createServer((req, res) => {
        const at = performance.now();
        const chunks = [];
        req.on("data", (chunk) => chunks.push(chunk));
        req.on("end", () => {
            const n = Number(req.url.slice(1));
            const count = before.get(n) ?? 0;
            before.set(n, count + 1);
            const after = answer(n, count, Buffer.concat(chunks).toString(), at);
            if (after >= 0) {
                setTimeout(() => res.writeHead(204).end(), after);
            }
        });
    });
    server.keepAliveTimeout = 60_000;
    await new Promise((resolve) => server.listen(0, "127.0.0.1", 4096, resolve));
    return { port: server.address().port, end: () => (server.closeAllConnections?.(), server.close()) };
}

function quantile(sorted, q) {
    return sorted.length ? sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * q))] : NaN;
}

async function until(deadline, done) {
    while (!done() && performance.now() < deadline) {
        await new Promise((resolve) => setTimeout(resolve, 20));
    }
    return done();
}

async function run({ files, endpoints, hang, seconds, rate }) {
    const dir = fs.mkdtempSync(path.join(os.tmpdir(), "freshet-hang-"));
    const { child, port } = await startServer(dir, files);
    const delays = [];
    const got = new Map(); // endpoint -> how many events
    const onset = [];
    let begun = 0;
    let measuring = false;
    const isPing = (text) => text.includes("\"$ping\"");
    const well = await startReceiver((n, count, text, at) => {
        if (!isPing(text)) {
            got.set(n, (got.get(n) ?? 0) + 1);
            if (measuring) {
                const sent = JSON.parse(text).data.at;
                (sent - begun > ONSET_S * 1000 ? delays : onset).push(at - sent);
            }
        }
        return 0;
    });
    const bad = [
        await startReceiver(() => -1),
        await startReceiver(() => LATE_MS),
        await startReceiver((n, count) => (count < 1 ? 0 : -1)),
    ];
    const healthy = [];
    const publish = async (i) => {
        const { status, text } = await request(port, "POST", `/channels/a/${i % CHANNELS}`, { at: performance.now() });
        if (status !== 201) {
            throw new Error(text);
        }
    };
    try {
        for (let n = 0; n < endpoints; n++) {
            // Spread among the others, as the order of registration must not matter.
            const isWell = (n * (endpoints - hang)) % endpoints < endpoints - hang;
            const at = isWell ? well.port : bad[n % 3].port;
            const { status, text } = await request(port, "POST", "/webhooks", { url: `http://127.0.0.1:${at}/${n}`, channels: [`a/${n % 97 % CHANNELS}`] });
            if (status !== 201) {
                throw new Error(text);
            }
            if (isWell) {
                healthy.push(n);
            }
        }
        // An endpoint is known to be well once it has accepted something.
        const warm = performance.now();
        for (let i = 0; i < CHANNELS; i++) {
            await publish(i);
        }
        await until(warm + 120_000, () => healthy.every((n) => got.get(n)));
        const warm_s = (performance.now() - warm) / 1000;
        await until(performance.now() + 1000, () => false);
        measuring = true;
        begun = performance.now();
        let events = 0;
        for (; performance.now() - begun < (ONSET_S + seconds) * 1000; events++) {
            await until(begun + (events * 1000) / rate, () => false);
            await publish(events);
        }
        const expected = (n) => 1 + Math.ceil((events - (n % 97 % CHANNELS)) / CHANNELS);
        const missing = () => healthy.reduce((sum, n) => sum + Math.max(0, expected(n) - (got.get(n) ?? 0)), 0);
        await until(performance.now() + 30_000, () => missing() === 0);
        delays.sort((a, b) => a - b);
        const result = { files, endpoints, hang, events, deliveries: delays.length, missing: missing(),
            warm_s: Number(warm_s.toFixed(2)),
            p50_ms: Number(quantile(delays, 0.5).toFixed(1)), p99_ms: Number(quantile(delays, 0.99).toFixed(1)),
            max_ms: Number(quantile(delays, 1).toFixed(1)),
            onset_max_ms: Number(Math.max(...onset).toFixed(1)),
            webhooks: JSON.parse((await request(port, "GET", "/stats")).text).webhooks };
        console.log(JSON.stringify(result));
        return result.missing === 0 && result.p99_ms <= GOAL_MS;
    } finally {
        child.kill("SIGKILL");
        [well, ...bad].forEach((receiver) => receiver.end());
        fs.rmSync(dir, { recursive: true, force: true });
    }
}

const short = process.argv.includes("--short");
const runs = short
    ? [{ files: 1024, endpoints: 100, hang: 90, seconds: 5, rate: 20 }]
    : [1024, 20000].map((files) => ({ files, endpoints: 1000, hang: 900, seconds: 60, rate: 10 }));
let good = true;
for (const options of runs) {
    good = (await run(options)) && good;
}
process.exit(good ? 0 : 1);
