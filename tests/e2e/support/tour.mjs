// Documents whose lines of shell are run as they stand, in order, against a server that has just been started.
//
//   ```sh          runs to its end and must succeed
//   ```sh stays    a stream in a terminal of its own: goes on until the document is over
//   ```sh waits    in a terminal of its own too, but silent until there is something
//   ```text        what the block before it prints;  ```text N: what the Nth of the terminals does
//
// The lines of a text block appear in that order, others may stand between them. Ids and times are
// those of another day, and `…` stands for anything.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { killGroup } from "./program.mjs";
import { BIN, startServer } from "./server.mjs";
import { eventually } from "./wait.mjs";

const PORT = 7070;

/** The blocks of a document, or of a part of it: {language, mark, body}. */
export function blocksOf(text) {
    return [...text.matchAll(/^```(\w+) ?(\w*)\n(.*?)^```$/gms)].map(
        ([, language, mark, body]) => ({ language, mark, body: body.trimEnd() }));
}

/**
 * Starts a server at the port of the documents, so that they can be taken at their word. If somebody runs a server there, this one gets
 * another port. For one test alone: two servers that start at the same moment may both have the port.
 */
export async function startDocumented(t, options) {
    try {
        return await startServer(t, { ...options, listen: `127.0.0.1:${PORT}` });
    } catch (error) {
        if (!/in use/i.test(error.message)) {
            throw error;
        }
        return startServer(t, options);
    }
}

/** The same lines for the program under test and, if it could not have port 7070, for its port; `ports` says what stands for other ports. */
export function forServer(server, script, ports = {}) {
    const all = Object.entries({ ...ports, [PORT]: server.port });
    const here = all.reduce((text, [from, to]) => text.replaceAll(`localhost:${from}`, `localhost:${to}`)
        .replaceAll(`127.0.0.1:${from}`, `127.0.0.1:${to}`), script);
    const url = server.port === PORT ? "" : ` --url http://localhost:${server.port}`;
    return here.replace(/^build\/freshet (webhook \w+|\w+)/gm, (_, verb) => `'${BIN}' ${verb}${verb === "webhook listen" ? "" : url}`);
}

class Terminal {
    constructor(script) {
        this.script = script;
        this.out = "";
        this.err = "";
        // A group of its own, so that what the shell started ends with it.
        this.child = spawn("sh", ["-euc", script],
            { detached: true, stdio: ["ignore", "pipe", "pipe"] });
        this.child.stdout.setEncoding("utf8").on("data", (text) => (this.out += text));
        this.child.stderr.setEncoding("utf8").on("data", (text) => (this.err += text));
        this.code = undefined;
        this.child.once("close", (code, signal) => (this.code = code ?? signal));
    }

    close() {
        if (this.code === undefined) {
            killGroup(this.child);
        }
    }

    show() {
        return `$ ${this.script}\n${this.out}${this.err}`;
    }

    async ended() {
        await eventually(() => this.code !== undefined, `the end of\n${this.show()}`);
        assert.equal(this.code, 0, this.show());
    }

    async shows(text) {
        const wanted = text.split("\n").map(pattern);
        await eventually(() => inOrder(wanted, this.out.split("\n")), text).catch((error) => {
            throw new Error(`${error.message}\n${this.show()}`);
        });
    }
}

function pattern(line) {
    const literal = line.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
    return new RegExp(`^${literal
        .replace(/\d{4}-\d\d-\d\dT[\d:\\.]+Z/g, "\\d{4}-\\d\\d-\\d\\dT[\\d:.]{15}Z")
        .replace(/(?!0{16})\d{16}/g, "\\d{16}")
        .replaceAll("…", ".*")}$`);
}

function inOrder(patterns, lines) {
    let next = 0;
    for (const line of lines) {
        if (next < patterns.length && patterns[next].test(line)) {
            next++;
        }
    }
    return next === patterns.length;
}

async function take(server, terminals, block, last, ports) {
    const { language, mark, body } = block;
    if (language === "text") {
        await (mark ? terminals[Number(mark) - 1] : last).shows(body);
        return last;
    }
    assert.equal(language, "sh");
    const terminal = new Terminal(forServer(server, body, ports));
    if (mark === "") {
        await terminal.ended();
        return terminal;
    }
    terminals.push(terminal);
    if (mark === "stays") {
        await eventually(() => terminal.out !== "", `the first record of\n${body}`);
    }
    return terminal;
}

/** Runs all blocks of shell, and compares those of text. */
export async function runBlocks(server, blocks, ports) {
    const terminals = [];
    let last;
    try {
        for (const block of blocks.filter(({ language }) => ["sh", "text"].includes(language))) {
            last = await take(server, terminals, block, last, ports);
        }
    } finally {
        terminals.forEach((terminal) => terminal.close());
    }
}
