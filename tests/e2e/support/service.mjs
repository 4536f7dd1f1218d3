// Programs of others that a test needs, such as proxies and browsers: started, watched, and ended with all that they started.

import { spawn, spawnSync } from "node:child_process";
import fs from "node:fs";
import net from "node:net";
import { deadline, eventually } from "./wait.mjs";

const running = new Set();

/* Before the folders are removed that they write to. */
process.prependListener("exit", () => running.forEach((service) => service.kill()));

/** The first of these programs that is installed, or undefined. */
export function installed(...names) {
    return names.find((name) => spawnSync("sh", ["-c", `command -v ${name}`], { env: PATHS }).status === 0);
}

/* Debian keeps servers where people's PATH does not look. */
const PATHS = { ...process.env, PATH: `${process.env.PATH}:/usr/sbin:/sbin` };

/** The ids of the processes that have `text` on their command line. */
function processesWith(text) {
    return fs.readdirSync("/proc").filter((name) => /^\d+$/.test(name)).filter((pid) => {
        try {
            return fs.readFileSync(`/proc/${pid}/cmdline`, "utf8").includes(text);
        } catch {
            return false; /* it has ended meanwhile */
        }
    }).map(Number);
}

/**
 * Ends a group of processes when this process is gone, in whatever way: its end of the pipe is closed then. A runner
 * of tests that is told to stop kills the process of a test, which has no time to clean up.
 */
function guard(group) {
    const child = spawn("sh", ["-c", 'read _; kill -s KILL -- "-$1"', "sh", `${group}`], { stdio: ["pipe", "ignore", "ignore"], detached: true });
    child.on("error", () => {});
    child.unref();
    child.stdin.unref?.();
    return child;
}

export class Service {
    /** `dir` is the service's own folder: whatever names it on its command line belongs to the service. */
    constructor(dir, command, args, env = {}) {
        this.dir = dir;
        this.output = "";
        this.child = spawn(command, args, {
            cwd: dir, env: { ...PATHS, HOME: dir, ...env }, stdio: ["ignore", "pipe", "pipe"], detached: true,
        });
        running.add(this);
        this.guard = guard(this.child.pid);
        for (const stream of [this.child.stdout, this.child.stderr]) {
            stream.setEncoding("utf8").on("data", (text) => (this.output = (this.output + text).slice(-20000)));
        }
        this.exited = new Promise((resolve) => {
            this.child.once("error", (error) => resolve(`${error}`));
            this.child.once("close", (code, signal) => resolve(`${code ?? signal}`));
        });
        this.exited.then((end) => (this.end = end));
    }

    /** Waits until `probe` answers something truthy, unless the program ends before. */
    async until(probe, what, ms) {
        try {
            return await eventually(() => this.end !== undefined || probe(), what, ms);
        } finally {
            if (this.end !== undefined) {
                throw new Error(`${this.child.spawnfile} ended with ${this.end} before ${what}\n${this.output}`);
            }
        }
    }

    kill() {
        for (const pid of [-this.child.pid, ...processesWith(this.dir)]) {
            try {
                process.kill(pid, "SIGKILL");
            } catch {} /* it was gone already */
        }
    }

    /** Kills it, and waits until it and what it started are gone. */
    async stop() {
        if (running.has(this)) {
            this.kill();
            await deadline(this.exited, `${this.child.spawnfile} to end`);
            await eventually(() => (this.kill(), processesWith(this.dir).length === 0), "what it started to end");
            running.delete(this);
            this.guard.kill("SIGKILL");
        }
    }
}

/** Whether anybody listens on a port of loopback. */
export function listens(port) {
    return new Promise((resolve) => {
        const socket = net.connect({ host: "127.0.0.1", port });
        socket.once("connect", () => resolve(true)).once("error", () => resolve(false));
        socket.once("connect", () => socket.destroy());
    });
}
