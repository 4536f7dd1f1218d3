// Situations of docs/access.md, run as they stand: each is a section whose `sh` blocks are run in an empty folder.
//
//   ```sh             runs to its end and must succeed
//   ```sh stays PORT  goes on, and answers at this port soon
//   ```text           lines of the block before it, in this order; `…` stands for anything
//
// Blocks in other languages are run by tests of their own, such as access_fronts.test.mjs.
//
// Ports are replaced by free ones, so that tests may run beside each other.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { symlinkSync } from "node:fs";
import net from "node:net";
import path from "node:path";
import { BIN, eventually, temporaryFolder, test } from "./support/index.mjs";
import { documentText } from "./support/documents.mjs";
import { freePort, killGroup } from "./support/program.mjs";

function sectionsOf(text) {
    return text.split(/^(?=## )/m).map((section) => ({
        title: /^## (.*)$/m.exec(section)?.[1],
        blocks: [...section.matchAll(/^```(\w+) ?(\w*) ?(\d*)\n(.*?)^```$/gms)]
            .map(([, language, mark, port, body]) => ({ language, mark, port, body }))
            .filter(({ language }) => language === "sh" || language === "text"),
    })).filter(({ blocks }) => blocks.length);
}

function answers(port) {
    return new Promise((resolve) => {
        const socket = net.connect(Number(port), "localhost", () => resolve(true) ?? socket.destroy());
        socket.on("error", () => resolve(false));
    });
}

class Shell {
    constructor(t, script, cwd, PATH) {
        this.out = "";
        this.child = spawn("sh", ["-euc", script], { cwd, detached: true, env: { ...process.env, PATH },
            stdio: ["ignore", "pipe", "pipe"] });
        for (const stream of [this.child.stdout, this.child.stderr])
            stream.setEncoding("utf8").on("data", (text) => (this.out += text));
        this.child.once("close", (code, signal) => (this.code = code ?? signal));
        t.after(() => this.code === undefined && killGroup(this.child));
    }

    async ended() {
        await eventually(() => this.code !== undefined, `the end: ${this.out}`);
        assert.equal(this.code, 0, this.out);
    }
}

function inOrder(wanted, out) {
    const patterns = wanted.trimEnd().split("\n").map((line) => new RegExp(`^${
        line.replace(/[.*+?^${}()|[\]\\]/g, "\\$&").replaceAll("…", ".*")}$`));
    for (const line of out.split("\n"))
        if (patterns.length && patterns[0].test(line))
            patterns.shift();
    assert.deepEqual(patterns, [], out);
    return true;
}

for (const { title, blocks } of sectionsOf(documentText("access.md")))
    test(`the document's commands work as they stand: ${title}`, async (t) => {
        const folder = temporaryFolder(t), bin = temporaryFolder(t);
        symlinkSync(BIN, path.join(bin, "freshet"));
        const ports = new Map();
        for (const { port } of blocks)
            if (port)
                ports.set(port, await freePort());
        let last;
        for (const { language, mark, port, body } of blocks) {
            if (language === "text") {
                await eventually(() => inOrder(body, last.out), "the output"); /* what stays may still say it */
                continue;
            }
            let script = body;
            for (const [from, to] of ports)
                script = script.replaceAll(from, to);
            script = script.replace("freshet serve", `freshet serve --listen localhost:${ports.get("7070")}`);
            last = new Shell(t, script, folder, `${bin}:${process.env.PATH}`);
            if (mark === "stays")
                await eventually(async () => last.code !== undefined || await answers(ports.get(port)), last.out);
            else
                await last.ended();
        }
    });
