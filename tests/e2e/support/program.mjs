// Runs the program for its other commands, and for a `serve` that is expected to end by itself.

import { spawn } from "node:child_process";
import net from "node:net";
import os from "node:os";
import { beforeServersStop, BIN } from "./server.mjs";
import { deadline } from "./wait.mjs";

/** A program that runs: what it has said so far, and its end. The test `t` kills it. */
export class Program {
    constructor(t, args, { env = {}, cwd = os.tmpdir(), bin = BIN } = {}) {
        this.args = args;
        this.out = "";
        this.err = "";
        this.waiters = [];
        this.child = spawn(bin, args, {
            cwd,
            env: { ...process.env, ...env },
            stdio: ["pipe", "pipe", "pipe"],
        });
        this.child.stdin.on("error", () => {}); /* it may end before it has read all */
        this.child.stdout.setEncoding("utf8").on("data", (text) => this.#said("out", text));
        this.child.stderr.setEncoding("utf8").on("data", (text) => this.#said("err", text));
        this.exited = new Promise((resolve, reject) => {
            this.child.once("error", reject);
            this.child.once("close", (code, signal) => {
                this.end = { code, signal };
                this.#said("out", "");
                resolve(this.end);
            });
        });
        this.exited.catch(() => {});
        beforeServersStop(t, () => this.child.kill("SIGKILL")); /* its connections would be drained */
        t.after(() => this.child.kill("SIGKILL"));
    }

    #said(where, text) {
        this[where] += text;
        for (const waiter of this.waiters.splice(0)) {
            waiter();
        }
    }

    /** The whole lines on standard output so far. */
    get lines() {
        return this.out.split("\n").slice(0, -1);
    }

    /** Waits until `ready(this)` is truthy, looking again at all that it says; answers that. */
    async until(ready, what, ms) {
        const look = async () => {
            for (;;) {
                const value = ready(this);
                if (value) {
                    return value;
                }
                if (this.end) {
                    throw new Error(
                        `freshet ${this.args.join(" ")} ended before ${what}: ${this.told()}`,
                    );
                }
                await new Promise((resolve) => this.waiters.push(resolve));
            }
        };
        try {
            return await deadline(look(), `${what} from freshet ${this.args.join(" ")}`, ms);
        } catch (error) {
            error.message += `; ${this.told()}`;
            throw error;
        }
    }

    told() {
        return `${JSON.stringify(this.end)}\n--- stdout\n${this.out.slice(-4000)}\n--- stderr\n${this.err.slice(-4000)}`;
    }
}

/** Kills a process that was spawned `detached`, and what it started; they may have ended already. */
export function killGroup(child) {
    try {
        process.kill(-child.pid, "SIGKILL");
    } catch (error) {
        if (error.code !== "ESRCH") {
            throw error;
        }
    }
}

/** Runs the program to its end: {code, signal, stdout, stderr}. */
export async function run(t, args, { input, ms, ...options } = {}) {
    const program = new Program(t, args, options);
    program.child.stdin.end(input);
    const { code, signal } = await deadline(program.exited, `freshet ${args.join(" ")} to end`, ms);
    return { code, signal, stdout: program.out, stderr: program.err };
}

/* The kernel gives ports from 32768 on to whoever asks for any: to connections that go out, and to servers on port 0. A
   port from there may be taken again before the server of a test listens. */
const PORTS = { first: 10_000, last: 32_000 };

function listens(port) {
    return new Promise((resolve) => {
        const server = net.createServer();
        server.once("error", () => resolve(false));
        server.listen(port, "127.0.0.1", () => server.close(() => resolve(true)));
    });
}

/** A port of loopback on which nobody listens, for a server that is to come back on the same one; the first of `count` in a row. */
export async function freePort(count = 1) {
    for (;;) {
        const port = PORTS.first + Math.floor(Math.random() * (PORTS.last - PORTS.first));
        const row = Array.from({ length: count }, (_, n) => listens(port + n));
        if ((await Promise.all(row)).every(Boolean)) {
            return port;
        }
    }
}
