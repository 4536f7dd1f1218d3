// The pages of mechanisms and the guides: their lines of shell and their code for browsers are run as they stand there.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import fs from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { UNKNOWN_CURSOR, eventually, startServer, temporaryFolder, sideBySide } from "./support/index.mjs";
import { documentText } from "./support/documents.mjs";
import { freePort } from "./support/program.mjs";
import { blocksOf, forServer, runBlocks } from "./support/tour.mjs";

const { test } = sideBySide(4);

const here = path.dirname(fileURLToPath(import.meta.url));

/* What a browser has and Node 18 has not. */
const BROWSER = `import { EventSource } from "eventsource";
import { WebSocket } from "ws";
import { webcrypto } from "node:crypto";
globalThis.EventSource ??= EventSource;
globalThis.WebSocket ??= WebSocket;
globalThis.crypto ??= webcrypto;
`;

/** Runs code of a document as a module of Node; what it prints. */
function runCode(t, code) {
    const dir = temporaryFolder(t);
    fs.writeFileSync(path.join(dir, "page.mjs"), code);
    fs.symlinkSync(path.join(here, "node_modules"), path.join(dir, "node_modules"));
    const child = spawn(process.execPath, ["page.mjs"], { cwd: dir, stdio: ["ignore", "pipe", "pipe"] });
    const page = { out: "", err: "" };
    child.stdout.on("data", (bytes) => (page.out += bytes));
    child.stderr.on("data", (bytes) => (page.err += bytes));
    t.after(() => child.kill("SIGKILL"));
    page.prints = (pattern) => eventually(() => pattern.test(page.out), pattern).catch((error) => {
        throw new Error(`${error.message}\n${code}\n${page.out}${page.err}`);
    });
    return page;
}

const codeOf = (name) => {
    const blocks = blocksOf(documentText(name)).filter(({ language }) => language === "js");
    assert.equal(blocks.length, 1, `${name} has one block of js`);
    return blocks[0].body;
};

/** The configuration that a document tells, if it tells any. */
const configOf = (name) => blocksOf(documentText(name)).find(({ language }) => language === "yaml")?.body;

for (const name of ["mechanisms/http-streaming.md", "mechanisms/long-polling.md", "mechanisms/websocket.md", "mechanisms/webhooks.md",
    "guides/chat.md", "guides/tickers.md", "guides/relays.md"]) {
    test(`the lines of shell in docs/${name} work`, async (t) => {
        const server = await startServer(t, { data: true, config: configOf(name) });
        await server.publish("news", "an event");
        await runBlocks(server, blocksOf(documentText(name)), { 9000: await freePort() });
    });
}

for (const name of ["http-streaming", "long-polling", "websocket"]) {
    test(`the code of docs/mechanisms/${name}.md follows a channel over a restart of the server`, async (t) => {
        const port = await freePort();
        const server = await startServer(t, { data: true, listen: `127.0.0.1:${port}` });
        await server.publish("news", "first");
        const page = runCode(t, BROWSER + forServer(server, codeOf(`mechanisms/${name}.md`)));
        await page.prints(/^first$/m);
        await server.publish("news", "second");
        await page.prints(/^second$/m);
        await server.kill();
        await server.start();
        await server.publish("news", "third");
        await page.prints(/^third$/m);
        assert.deepEqual(page.out.match(/^(first|second|third)$/gm), ["first", "second", "third"]);
    });
}

for (const [name, code] of [["mechanisms/long-polling.md", () => codeOf("mechanisms/long-polling.md")],
    ["tutorial.md", () => `const channel = "http://localhost:7070/channels/news";\nconst show = (list, text) => console.log(text);\n${
        blocksOf(documentText("tutorial.md")).find(({ body }) => body.startsWith("let next")).body}`]]) {
    test(`the polls of docs/${name} go on with a cursor that is of another log`, async (t) => {
        const server = await startServer(t);
        await server.publish("news", "anew");
        const page = runCode(t, BROWSER + forServer(server, code()).replace("after=earliest", `after=${UNKNOWN_CURSOR}`));
        await page.prints(/^anew$/m);
    });
}

test("the receiver of docs/mechanisms/webhooks.md prints what it is sent", async (t) => {
    const server = await startServer(t);
    const port = await freePort();
    const page = runCode(t, codeOf("mechanisms/webhooks.md").replace("9000", port));
    const body = { url: `http://127.0.0.1:${port}/hook`, channels: ["news"], verify: "ping" };
    await eventually(async () => (await server.request("POST", "/webhooks", { body })).status === 201, "a receiver");
    await server.publish("news", "hello");
    await page.prints(/^hello$/m);
});

test("the code of the guides shows what they say", async (t) => {
    const server = await startServer(t);
    const chat = runCode(t, BROWSER + forServer(server, codeOf("guides/chat.md")));
    await chat.prints(/^Ada: hello$/m);
    await server.publish("chat/17", JSON.stringify({ from: "Ada" }), { "Content-Type": "application/json", "Event-Type": "message" });
    const board = runCode(t, BROWSER + forServer(server, codeOf("guides/tickers.md")));
    await server.publish("trades/btc", JSON.stringify({ price: 1.5 }), { "Content-Type": "application/json" });
    await board.prints(/^trades\/btc 1\.5$/m);
});
