// A service manager that opens sockets and hands them to the server; see activate.py.

import fs from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { BIN, temporaryFolder } from "./server.mjs";
import { Program } from "./program.mjs";

const SCRIPT = fileURLToPath(new URL("activate.py", import.meta.url));

export class Manager {
    /** `sockets` is a list of [address, name]; `args` are those of `freshet serve`, `config` is the text of its file. */
    constructor(t, sockets, { args = [], env = {}, config, memory = true } = {}) {
        this.dir = temporaryFolder(t);
        const all = ["serve", ...(memory ? ["--memory"] : ["--data", path.join(this.dir, "data")]), ...args];
        if (config !== undefined) {
            this.file = path.join(this.dir, "freshet.yaml");
            fs.writeFileSync(this.file, config);
            all.push("--config", this.file);
        }
        this.program = new Program(t, [SCRIPT, JSON.stringify(sockets), BIN, ...all], { bin: "python3", env, cwd: this.dir });
    }

    command(word) {
        this.program.child.stdin.write(`${word}\n`);
    }

    /** What the manager has said of `name` so far. */
    said(name) {
        return this.program.lines.filter((line) => line.startsWith("manager: {")).map((line) => JSON.parse(line.slice(9)))
            .filter((value) => name in value).map((value) => value[name]);
    }

    get out() {
        return this.program.out;
    }

    get err() {
        return this.program.err;
    }

    /** The port of the nth socket. */
    async port(nth = 0) {
        return (await this.program.until(() => this.said("addresses")[0], "the sockets"))[nth];
    }

    /** Starts the server and waits until it serves; answers its process id. */
    async start() {
        const greetings = () => this.out.split(" serves ").length, before = greetings(), pids = this.said("pid").length;
        this.command("start");
        await this.program.until(() => greetings() > before && this.said("pid").length > pids, "the server to serve");
        return this.said("pid").at(-1);
    }

    async #ended(word) {
        const before = this.said("ended").length;
        this.command(word);
        const code = await this.program.until(() => this.said("ended").length > before && this.said("ended").slice(-1), "the server to end");
        return code[0];
    }

    /** Stops the server; answers its exit code. */
    stop() {
        return this.#ended("stop");
    }

    /** Starts a server that is expected to end by itself; answers its exit code. */
    fail() {
        this.command("start");
        return this.#ended("wait");
    }
}
