// Clients that come back: each to a channel of its own, all at once, many files of the log behind.

import fs from "node:fs";
import net from "node:net";
import path from "node:path";
import { start } from "./servers.mjs";

const BATCH = 1000; // events of a publish: limits.batch_max
const PATIENCE_MS = 60_000;
const OPENING = 256; // connections that are opened at a time

const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
const nameOf = (number) => `user/${number}/inbox`;

/** One request of a connection of its own; the answer's body. */
function ask(url, head, body = "") {
    return new Promise((resolve, reject) => {
        const socket = net.connect(Number(url.port), url.hostname);
        const parts = [];
        socket.once("connect", () => socket.write(`${head} HTTP/1.1\r\nHost: ${url.host}\r\n` +
            `Connection: close\r\nContent-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`));
        socket.on("data", (data) => parts.push(data));
        socket.once("error", reject);
        socket.once("end", () => {
            socket.end();
            const answer = Buffer.concat(parts).toString();
            const at = answer.indexOf("\r\n\r\n");
            if (!/^HTTP\/1.1 2/.test(answer)) {
                return reject(new Error(answer.split("\r\n")[0] || "no answer"));
            }
            return resolve(answer.slice(at + 4));
        });
    });
}

/* A file that is sealed has no write-ahead log beside it. */
async function waitForSeal(dir) {
    const isOpen = () => fs.readdirSync(path.join(dir, "log")).some((name) => /-wal$/.test(name));
    for (let waited = 0; isOpen(); waited += 5) {
        if (waited > PATIENCE_MS) {
            throw new Error("the file of the log is not sealed");
        }
        await sleep(5);
    }
}

/* Channels in an order that is the same in every run, each as often as any other: a file has a tenth
 * of them if there are ten times as many as a batch has events. */
function* numbers(channels) {
    for (let i = 0; ; i++) {
        yield (i * 7919 + Math.floor(i / channels)) % channels;
    }
}

async function publish(running, url, { channels, files }) {
    const next = numbers(channels);
    const sent = new Map();
    for (let file = 0; file < files; file++) {
        const events = Array.from({ length: BATCH }, () => {
            const channel = nameOf(next.next().value);
            sent.set(channel, (sent.get(channel) ?? 0) + 1);
            return { channel, data: `${sent.get(channel)}`.padStart(100, "x") };
        });
        await ask(url, "POST /events", JSON.stringify(events));
        await waitForSeal(running.dir);
    }
    return sent;
}

const cpuMs = (pid) => {
    const stat = fs.readFileSync(`/proc/${pid}/stat`, "utf8");
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    return (Number(fields[11]) + Number(fields[12])) * 10; // a tick is 10 ms
};

async function comeBack(url, sent) {
    const waiting = [...sent.keys()];
    const one = async () => {
        for (let channel; (channel = waiting.pop());) {
            const page = JSON.parse(await ask(url, `GET /channels/${channel}?after=0&limit=1000`));
            const got = page.events.map((event) => Number(event.data.replace(/^x*/, "")));
            if (got.length !== sent.get(channel) || got.some((n, i) => n !== i + 1)) {
                throw new Error(`${channel}: ${got.length} of ${sent.get(channel)} events`);
            }
        }
    };
    await Promise.all(Array.from({ length: OPENING }, one));
}

/** How long until all have what they missed, and what one file costs that has something for one. */
export async function returns(channels, files) {
    const running = await start("freshet, small files");
    try {
        const url = new URL(running.load[0]);
        const pid = running.load[running.load.indexOf("--pid") + 1];
        const sent = await publish(running, url, { channels, files });
        const cpu = cpuMs(pid);
        const begun = process.hrtime.bigint();
        await comeBack(url, sent);
        return {
            ms: Number(process.hrtime.bigint() - begun) / 1e6,
            cpu_us_per_file: (cpuMs(pid) - cpu) * 1000 / (files * BATCH),
        };
    } finally {
        await running.stop();
    }
}
