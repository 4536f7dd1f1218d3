// How fast webhooks go, and whether the dead hold up the living.
//   node bench/webhooks/run.mjs speed [EVENTS] [CHANNELS]      the server on core 0, the receiver on core 1
//   node bench/webhooks/run.mjs crowd [ENDPOINTS] [EVENTS]     a tenth of them hang, a tenth refuse
// FRESHET_BIN is the server (build/freshet). Prints one JSON object a run.

import { execFileSync, spawn } from "node:child_process";
import fs from "node:fs";
import http from "node:http";
import os from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";

const here = path.dirname(fileURLToPath(import.meta.url));
const BIN = process.env.FRESHET_BIN ?? path.join(here, "../../build/freshet");
const dir = fs.mkdtempSync(path.join(os.tmpdir(), "freshet-bench-"));
const children = [];

process.on("exit", () => {
    children.forEach((child) => child.kill("SIGKILL"));
    fs.rmSync(dir, { recursive: true, force: true });
});

function start(core, command, args) {
    const child = spawn("taskset", ["-c", core, command, ...args], { stdio: ["ignore", "pipe", "ignore"] });
    children.push(child);
    return child;
}

async function startServer(store) {
    const args = ["serve", "--listen", "127.0.0.1:0", "--threads", "1", ...(store === "memory" ? ["--memory"] : ["--data", fs.mkdtempSync(path.join(dir, "data-"))])];
    const child = start("0", BIN, args);
    const port = await new Promise((resolve) => {
        let text = "";
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

function end(child) {
    agent.destroy();
    child.kill("SIGTERM");
    return new Promise((resolve) => child.once("exit", resolve));
}

const agent = new http.Agent({ keepAlive: true });

function post(port, target, body) {
    return new Promise((resolve, reject) => {
        const req = http.request({ host: "127.0.0.1", port, path: target, method: "POST", agent,
            headers: { "Content-Type": "application/json" } }, (res) => {
            const chunks = [];
            res.on("data", (chunk) => chunks.push(chunk));
            res.on("end", () => resolve({ status: res.statusCode, text: Buffer.concat(chunks).toString() }));
        });
        req.on("error", reject);
        req.end(JSON.stringify(body));
    });
}

function startReceiver(port, count, mode = "") {
    const child = start("1", path.join(dir, "receiver"), [port, count, mode].map(String));
    return new Promise((resolve) => child.stdout.on("data", (chunk) => resolve(JSON.parse(chunk))));
}

function cpuOf(pid) {
    const fields = fs.readFileSync(`/proc/${pid}/stat`, "utf8").split(") ")[1].split(" ");
    return (Number(fields[11]) + Number(fields[12])) / 100;
}

async function publish(port, channel, from, size) {
    const pad = "x".repeat(80);
    const events = Array.from({ length: size }, (_, n) => ({ channel: channel(from + n), data: { at: (performance.timeOrigin + performance.now()) / 1000, n: from + n, pad } }));
    const { status, text } = await post(port, "/events", events);
    if (status !== 201) {
        throw new Error(text);
    }
}

/* Everything is owed before the first is delivered: how fast they go then. */
async function speed(store, events, channels, more = {}) {
    const { child, port } = await startServer(store);
    const receiverPort = 20000 + Math.floor(Math.random() * 20000);
    const done = startReceiver(receiverPort, events);
    const made = await post(port, "/webhooks", { url: `http://127.0.0.1:${receiverPort}/`, channels: ["a/*"], concurrency: 64, ...more });
    const { id } = JSON.parse(made.text);
    await post(port, `/webhooks/${id}/pause`, {});
    for (let from = 0; from < events; from += 1000) {
        await publish(port, (n) => `a/${n % channels}`, from, Math.min(1000, events - from));
    }
    const cpu = cpuOf(child.pid);
    await post(port, `/webhooks/${id}/resume`, {});
    const result = await done;
    delete result.p50_ms;
    delete result.p99_ms;
    delete result.max_ms;
    const used = cpuOf(child.pid) - cpu;
    await end(child);
    return { what: "speed", store, channels, ...more, ...result, cpu_us_each: Math.round((used / events) * 1e6) };
}

/* Each event is owed to each endpoint; a tenth hang, a tenth refuse, and the rest should not notice. */
async function crowd(store, endpoints, events) {
    const { child, port } = await startServer(store);
    const ports = [0, 1, 2].map(() => 20000 + Math.floor(Math.random() * 20000));
    const tenth = Math.floor(endpoints / 10);
    const done = startReceiver(ports[0], events * (endpoints - 2 * tenth));
    startReceiver(ports[1], 10_000_000, "hang");
    startReceiver(ports[2], 10_000_000, "refuse");
    for (let n = 0; n < endpoints; n++) {
        const at = n < tenth ? ports[1] : n < 2 * tenth ? ports[2] : ports[0];
        await post(port, "/webhooks", { url: `http://127.0.0.1:${at}/${n}`, channels: [`a/${n % 100}`] });
    }
    for (let n = 0; n < events * 100; n++) {
        await publish(port, () => `a/${n % 100}`, n, 1);
        await new Promise((resolve) => setTimeout(resolve, 10));
    }
    const result = await done;
    await end(child);
    return { what: "crowd", store, endpoints, hang: tenth, refuse: tenth, ...result };
}

execFileSync("cc", ["-O2", "-D_GNU_SOURCE", "-o", path.join(dir, "receiver"), path.join(here, "receiver.c")]);
const [what = "speed", first, second] = process.argv.slice(2);
if (what === "speed") {
    for (const store of ["memory", "data"]) {
        for (const channels of [Number(second ?? 1000), 1]) {
            console.log(JSON.stringify(await speed(store, Number(first ?? 50000), channels)));
        }
    }
    console.log(JSON.stringify(await speed("data", Number(first ?? 50000), 1000, { ordered: false })));
} else {
    console.log(JSON.stringify(await crowd("data", Number(first ?? 1000), Number(second ?? 5))));
}
process.exit(0);
