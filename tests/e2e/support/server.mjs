// Starts the program under test, one to a test, each in a folder of its own, and sees to its end.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { webcrypto } from "node:crypto";
import dns from "node:dns";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import nodeTest from "node:test";
import { destroyAgent, encodeChannel, page, post, publish, publishMany, request } from "./http.mjs";
import { destroyRawConns, RawConn } from "./raw.mjs";
import { openNdjson, openRaw, openSse } from "./streams.mjs";
import { deadline, eventually } from "./wait.mjs";

dns.setDefaultResultOrder("ipv4first"); // Node 18 tries one address of localhost alone, and servers of tests are at 127.0.0.1

globalThis.crypto ??= webcrypto; // browsers and Node from 19 on have it; freshet.js needs it

const ROOT = path.resolve(path.dirname(fileURLToPath(import.meta.url)), "../../..");

/** The program under test. */
export const BIN = path.resolve(process.env.FRESHET_BIN ?? path.join(ROOT, "build/freshet"));

const EXTRA_ARGS = (process.env.FRESHET_E2E_ARGS ?? "").split(" ").filter(Boolean);
const STORES = (process.env.FRESHET_E2E_STORES ?? "memory,data").split(",");
const DRAIN_MS = 5_000; /* how long a server may drain before it gets its second SIGTERM */
const EXIT_MS = 60_000; /* how long one may take to be gone: a leak check takes its time */

/* Limits of tests that are about something else. A server that stops spreads the ends of its streams over two seconds by default, which is
   longer than they want to wait; and it waits ten for the head of a request or the end of a handshake, which a busy machine may need. */
const LIMITS = "limits: {drain_ms: 50ms, head_ms: 5m, handshake_ms: 5m}\n";
const READY = /http:\/\/127\.0\.0\.1:(\d+)/;
const CRASH = /ERROR: \w*Sanitizer|WARNING: ThreadSanitizer|runtime error:|assertion .* failed/i;

const serversOf = new WeakMap(); // test context -> [Server]
const children = new Set(); // processes that must not outlive this one

process.on("exit", () => children.forEach((child) => child.kill("SIGKILL")));
for (const signal of ["SIGINT", "SIGTERM"]) {
    process.once(signal, () => process.exit(1)); // else "exit" is not told
}

const folders = new Set(); // they go with this process, also if it is killed in the middle of a test

process.on("exit", () => folders.forEach((dir) => {
    try {
        removeFolder(dir);
    } catch {} /* a process that was killed just now may still hold it */
}));

function makeFolder() {
    const dir = fs.mkdtempSync(path.join(os.tmpdir(), "freshet-e2e-"));
    folders.add(dir);
    return dir;
}

function removeFolder(dir) {
    fs.rmSync(dir, { recursive: true, force: true, maxRetries: 3 });
    folders.delete(dir);
}

/** A folder that goes when the test goes. */
export function temporaryFolder(t) {
    const dir = makeFolder();
    t.after(() => removeFolder(dir));
    return dir;
}

export class Server {
    constructor(dir, args, env) {
        this.dir = dir;
        this.args = args;
        this.env = env;
        this.out = "";
        this.err = "";
        this.port = undefined;
        this.expectKilled = false;
        this.beforeStop = [];
        this.services = []; /* other programs of the test; a failure tells their output as well */
    }

    /** `fn` is called before the server is stopped: clients that hang on would make it drain for long. */
    onStop(fn) {
        this.beforeStop.push(fn);
    }

    /** Spawns the program and waits until it says where it listens. */
    async start() {
        this.expectKilled = this.isEnding = false;
        this.out = "";
        this.process = spawn(BIN, this.args, {
            cwd: this.dir,
            env: { ...process.env, ...this.env },
            stdio: ["ignore", "pipe", "pipe"],
        });
        const child = this.process;
        children.add(child);
        this.exited = new Promise((resolve) => {
            child.once("error", (error) => resolve({ error }));
            child.once("close", (code, signal) => resolve({ code, signal }));
        });
        this.exited.then(() => children.delete(child));
        child.stderr.setEncoding("utf8").on("data", (text) => (this.err += text));
        const ready = new Promise((resolve) => {
            child.stdout.setEncoding("utf8").on("data", (text) => {
                this.out += text;
                const match = READY.exec(this.out);
                if (match) {
                    resolve({ port: Number(match[1]) });
                }
            });
        });
        const first = await deadline(Promise.race([ready, this.exited]), "the server to be ready");
        if (first.port === undefined) {
            this.expectKilled = true; /* the error says all there is to say */
            throw new Error(`the server did not start: ${JSON.stringify(first)} ` +
                `${first.error ?? ""}\n${this.log()}`);
        }
        this.port = first.port;
        this.url = `http://127.0.0.1:${this.port}`;
        return this;
    }

    /** The port of the first address that is spoken to by `scheme`, as the greeting has it. */
    portOf(scheme) {
        return Number(new RegExp(` ${scheme}://\\S+:(\\d+)`).exec(this.out)[1]);
    }

    get pid() {
        return this.process.pid;
    }

    log() {
        const others = this.services.map(({ output }) => `\n--- beside it\n${output}`).join("");
        return `--- ${BIN} ${this.args.join(" ")}\n--- stdout\n${this.out}\n--- stderr\n${this.err}${others}`;
    }

    /** Waits for a line in the log, and answers the match. Standard error may come later than answers, and than the greeting. */
    logged(pattern) {
        return eventually(() => pattern.exec(this.err), `${pattern} in the log of the server`);
    }

    get isRunning() {
        return this.process.exitCode === null && this.process.signalCode === null;
    }

    /** Sends a signal and does not wait. */
    signal(name) {
        this.isEnding ||= ["SIGTERM", "SIGINT"].includes(name);
        this.process.kill(name);
    }

    /** kill -9, as a power cut would; then it can be started again with `restart()`. */
    async kill() {
        this.expectKilled = true;
        this.process.kill("SIGKILL");
        const end = await deadline(this.exited, "a killed server to be gone");
        this.#forgetConnections();
        return end;
    }

    /** SIGTERM; answers {code, signal} of the exit. Connections of the tests are left alone. */
    async terminate() {
        this.signal("SIGTERM");
        return deadline(this.exited, "the server to exit after SIGTERM", EXIT_MS);
    }

    /** Starts it again on the same folder with the same arguments; the port is a new one. */
    async restart() {
        if (this.isRunning) {
            await this.kill();
        }
        return this.start();
    }

    /** Ends the server as politely as it lets us, and fails if it had crashed or ends badly. */
    async stop() {
        const died = !this.isRunning && !this.expectKilled;
        for (const fn of this.beforeStop.splice(0)) {
            await fn();
        }
        this.#forgetConnections();
        let askedTwice = false;
        if (this.isRunning) {
            /* A second one would end a drain that a test has begun, with exit code 1. */
            if (!this.isEnding) {
                this.process.kill("SIGTERM");
            }
            const again = setTimeout(() => {
                askedTwice = true;
                this.process.kill("SIGTERM");
            }, DRAIN_MS);
            const kill = setTimeout(() => this.process.kill("SIGKILL"), EXIT_MS);
            await this.exited;
            clearTimeout(again);
            clearTimeout(kill);
        }
        const end = await this.exited;
        const clean = end.code === 0 || this.expectKilled || (askedTwice && end.signal !== "SIGKILL");
        assert.ok(!CRASH.test(this.err), `the server reported a fault\n${this.log()}`);
        assert.ok(clean, `the server ended with ${JSON.stringify(end)}` +
            `${died ? " in the middle of the test" : ""}\n${this.log()}`);
    }

    #forgetConnections() {
        destroyRawConns(this.port);
        destroyAgent(this.port);
    }

    /* What tests say most often, so that they read as sentences. */

    get(target, headers = {}, options = {}) {
        return request(this, "GET", target, { headers, ...options });
    }

    request(method, target, options = {}) {
        return request(this, method, target, options);
    }

    post(channel, data, headers = {}, query = "") {
        return post(this, channel, data, headers, query);
    }

    publish(channel, data, headers = {}, query = "") {
        return publish(this, channel, data, headers, query);
    }

    publishMany(channel, count, data) {
        return publishMany(this, channel, count, data);
    }

    page(target, headers = {}) {
        return page(this, target, headers);
    }

    /** The events of one channel, as a page of history tells them. */
    async history(channel, query = "") {
        return (await page(this, `/channels/${encodeChannel(channel)}${query}`)).events;
    }

    /** The same once there are so many. Frames of a WebSocket have no answer, which would say that every worker has the event. */
    historyOf(channel, count) {
        return eventually(async () => {
            const events = await this.history(channel);
            return events.length >= count && events;
        }, `${count} events in ${channel}`);
    }

    connect() {
        return RawConn.open(this.port);
    }

    sse(target, options) {
        return openSse(this, target, options);
    }

    ndjson(target, options) {
        return openNdjson(this, target, options);
    }

    raw(target, options) {
        return openRaw(this, target, options);
    }
}

/** The text of the configuration file, with a short drain unless the test sets limits of its own. */
function configText(config = "") {
    if (/^limits:/m.test(config)) {
        return config;
    }
    return config + (config === "" || config.endsWith("\n") ? "" : "\n") + LIMITS;
}

/**
 * Starts a server for test `t`, which ends with it.
 *   memory  true (the default unless `data` is given): --memory
 *   data    true: --data on a folder within the server's own; a string: --data on that folder
 *   args    more arguments;  env  more environment
 *   config  text of a configuration file, given by --config, to which a short drain is added;  null: no file
 *   listen  what --listen says (127.0.0.1:0), or a list of that, the first over http;  false leaves it out
 */
export async function startServer(t, { args = [], data, memory, env = {}, config, listen } = {}) {
    const dir = makeFolder();
    const all = ["serve"];
    if (listen !== false) {
        all.push(...[listen ?? "127.0.0.1:0"].flat().flatMap((address) => ["--listen", address]));
    }
    if (data) {
        all.push("--data", data === true ? path.join(dir, "data") : data);
    } else if (memory !== false) {
        all.push("--memory");
    }
    if (config !== null) {
        fs.writeFileSync(path.join(dir, "freshet.yaml"), configText(config));
        all.push("--config", path.join(dir, "freshet.yaml"));
    }
    const server = new Server(dir, [...all, ...args, ...EXTRA_ARGS], env);
    if (!serversOf.has(t)) {
        serversOf.set(t, []);
    }
    serversOf.get(t).push(server);
    t.after(async () => {
        try {
            if (server.process !== undefined) {
                await server.stop();
            }
        } finally {
            removeFolder(dir);
        }
    });
    return server.start();
}

/** `fn` is called before the servers that the test has started are stopped. */
export function beforeServersStop(t, fn) {
    for (const server of serversOf.get(t) ?? []) {
        server.onStop(fn);
    }
}

/** Runs each clean-up of the test, also behind one that throws, after which node would skip the others and what they should end stays. */
function runEachAfter(t) {
    const all = [];
    t.after(async () => {
        const errors = [];
        for (const fn of all) {
            await Promise.resolve().then(fn).catch((error) => errors.push(error));
        }
        if (errors.length) {
            throw errors[0];
        }
    });
    t.after = (fn) => all.push(fn);
}

/** A test that on failure also tells what its servers had to say. */
function told(run) {
    return (name, options, fn) => {
        const [opts, body] = fn === undefined ? [{}, options] : [options, fn];
        return run(name, opts, async (t) => {
            runEachAfter(t);
            try {
                await body(t);
            } catch (error) {
                for (const server of serversOf.get(t) ?? []) {
                    error.message += `\n${server.log().slice(-8000)}`;
                }
                throw error;
            }
        });
    };
}

/** node's `test`, which on failure also tells what the servers of the test had to say. */
export const test = told(nodeTest);

/** The same for tests within test `t`, which share something that is slow to start. Await each. */
export function testWithin(t) {
    return told((...args) => t.test(...args));
}

/**
 * One test for each store: `fn(t, server)` with --memory, and again with --data. `options` go to
 * startServer, but `skip` and `timeout` go to the test.
 */
function bothStoresBy(run) {
    return (name, options, fn) => {
        const [opts, body] = fn === undefined ? [{}, options] : [options, fn];
        const { skip, timeout, ...serverOptions } = opts;
        for (const store of STORES) {
            const testOptions = skip === undefined ? { timeout } : { skip, timeout };
            run(`${name} [${store}]`, testOptions, async (t) => {
                await body(t, await startServer(t, { ...serverOptions, [store]: true }));
            });
        }
    };
}

export const bothStores = bothStoresBy(test);

/**
 * `test` and `bothStores` for the tests of a file that have servers of their own and mostly wait: `most` of them run at a time. Other
 * tests of the file run one after the other, before or after these.
 */
export function sideBySide(most) {
    const tests = [];
    let isBegun = false;
    nodeTest(`${most} at a time`, { concurrency: most }, async (t) => {
        await new Promise((resolve) => setImmediate(resolve)); /* by then the whole file has been read */
        isBegun = true;
        await Promise.all(tests.map((args) => t.test(...args)));
    });
    const run = told((...args) => {
        assert.ok(!isBegun, `too late for ${args[0]}: the tests have begun`);
        tests.push(args);
    });
    return { test: run, bothStores: bothStoresBy(run) };
}
