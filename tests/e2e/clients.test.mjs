// The consumers of docs/clients.md, run as they stand there: each prints every event once, over a kill -9 of the server.

import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import fs from "node:fs";
import net from "node:net";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { eventually, startServer, temporaryFolder, sideBySide } from "./support/index.mjs";
import { freePort, killGroup } from "./support/program.mjs";

const { test } = sideBySide(5);

const here = path.dirname(fileURLToPath(import.meta.url));
const text = fs.readFileSync(path.join(here, "../../docs/clients.md"), "utf8");
const blocks = [...text.matchAll(/^```(python|js|go) (\w+)\n([^]*?)^```$/gm)].map(([, language, mechanism, code]) => ({ language, mechanism, code }));

/* The system's, which has its packages. */
const PYTHON = fs.existsSync("/usr/bin/python3") ? "/usr/bin/python3" : "python3";
const RUN = {
    python: { file: "consumer.py", command: [PYTHON], needs: { ws: [PYTHON, "-c", "import websockets"] } },
    js: { file: "consumer.mjs", command: ["node"] },
    go: { file: "consumer.go", command: ["./consumer"] },
};

/* Go takes a minute to compile its library for the first time: it is tried with CLIENTS=all. */
function lacks(language, mechanism) {
    if (language === "go" && process.env.CLIENTS !== "all") {
        return "tried with CLIENTS=all";
    }
    const { command, needs } = RUN[language];
    const [program, ...args] = needs?.[mechanism] ?? (language === "go" ? ["go", "version"] : [command[0], "--version"]);
    return spawnSync(program, args).status === 0 ? false : `${language} for ${mechanism} is not installed`;
}

/** Starts a consumer against a server; the lines that it has printed. */
function consume(t, { language, code }, port) {
    const dir = temporaryFolder(t);
    const { file, command } = RUN[language];
    fs.writeFileSync(path.join(dir, file), code.replaceAll("localhost:7070", `127.0.0.1:${port}`));
    fs.symlinkSync(path.join(here, "node_modules"), path.join(dir, "node_modules"));
    if (language === "go") {
        assert.equal(spawnSync("go", ["build", "-o", "consumer", file], { cwd: dir }).status, 0);
    }
    const child = spawn(command[0], [...command.slice(1), file], { cwd: dir, stdio: ["ignore", "pipe", "pipe"], detached: true });
    const printed = { out: "", err: "" };
    child.stdout.on("data", (bytes) => (printed.out += bytes));
    child.stderr.on("data", (bytes) => (printed.err += bytes));
    t.after(() => killGroup(child));
    return { printed, lines: () => printed.out.split("\n").slice(0, -1) };
}

/** A proxy in front of a server that breaks the connection within the next answer of which more than `most` bytes come. */
async function startCutter(t, server) {
    const cutter = { most: Infinity };
    const proxy = net.createServer((socket) => {
        const upstream = net.connect(server.port, "127.0.0.1");
        let came = 0;
        const end = () => [socket, upstream].forEach((each) => each.destroy());
        [socket, upstream].forEach((each) => each.on("error", end).on("close", end));
        socket.pipe(upstream);
        upstream.on("data", (bytes) => {
            socket.write(bytes.subarray(0, Math.max(0, cutter.most - came)));
            came += bytes.length;
            if (came > cutter.most) {
                cutter.most = Infinity;
                socket.end();
                upstream.destroy();
            }
        });
    });
    await new Promise((resolve) => proxy.listen(0, "127.0.0.1", resolve));
    t.after(() => proxy.close());
    cutter.port = proxy.address().port;
    return cutter;
}

test("there is a consumer for each language and mechanism", () => {
    assert.deepEqual(blocks.map(({ language, mechanism }) => `${language} ${mechanism}`),
        ["python ndjson", "js ndjson", "go ndjson", "python ws", "js ws"]);
});

for (const block of blocks) {
    const { language, mechanism } = block;
    test(`${language} by ${mechanism} misses nothing and prints nothing twice`, { skip: lacks(language, mechanism) }, async (t) => {
        const port = await freePort();
        const server = await startServer(t, { data: true, listen: `127.0.0.1:${port}` });
        const cutter = await startCutter(t, server);
        const consumer = consume(t, block, cutter.port);
        const wanted = [];
        const publish = async (name, count) => {
            for (let n = 0; n < count; n++) {
                wanted.push(`${name} ${n}`);
                await server.publish("news", `${name} ${n}`);
            }
        };
        const catchUp = () => eventually(() => consumer.lines().length >= wanted.length, `${wanted.length} lines; ${consumer.printed.err}`);
        await publish("before", 20);
        await catchUp();
        await publish("live", 20);
        await catchUp();
        cutter.most = 100_000;
        wanted.push("large ".repeat(50_000));
        await server.publish("news", wanted.at(-1));
        await catchUp();
        assert.equal(cutter.most, Infinity);
        await server.kill();
        await server.start();
        await publish("after", 20);
        await catchUp();
        assert.deepEqual(consumer.lines(), wanted);
    });
}
