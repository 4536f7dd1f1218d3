// The commands of docs/presence.md, and of the section on presence in docs/api.md, as they stand there:
//
//   ```yaml      the configuration of the server; without one presence is on everywhere
//   ```sh        runs to its end and must succeed; a request that is refused fails
//   ```sh stays  goes on until the test ends
//   ```text      what the block before it prints, where `…` stands for anything; asked for again until it fits

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import http from "node:http";
import { deadline, eventually, startServer, test } from "./support/index.mjs";
import { documentText } from "./support/documents.mjs";
import { killGroup } from "./support/program.mjs";

function blocksOf(text) {
    return [...text.matchAll(/^```(\w+) ?(\w*)\n(.*?)^```$/gms)].map(([, language, mark, body]) => ({ language, mark, body }));
}

function patternOf(text) {
    const parts = text.trimEnd().split("…").map((part) => part.replace(/[.*+?^${}()|[\]\\]/g, "\\$&"));
    return new RegExp(`^${parts.join("[^]*")}$`);
}

function shell(script) {
    return spawn("sh", ["-euc", script], { detached: true, stdio: ["ignore", "pipe", "pipe"] });
}

/** Runs a script to its end; answers what it has printed. */
async function runToEnd(script) {
    const child = shell(script);
    let out = "";
    for (const stream of [child.stdout, child.stderr])
        stream.setEncoding("utf8").on("data", (text) => (out += text));
    const code = await deadline(new Promise((resolve) => child.once("close", resolve)), script);
    assert.equal(code, 0, `${script}\n${out}`);
    return out;
}

async function stay(t, server, script) {
    const child = shell(script);
    let out = "";
    child.stdout.setEncoding("utf8").on("data", (text) => (out += text));
    server.onStop(() => killGroup(child));
    await eventually(() => out.length > 0, `output of ${script}`);
}

/** A program that takes webhooks, at a port of its own. */
async function startReceiver(t) {
    const got = [];
    const receiver = http.createServer(async (request, response) => {
        const parts = [];
        for await (const part of request)
            parts.push(part);
        got.push(Buffer.concat(parts).toString());
        response.end();
    });
    await new Promise((resolve) => receiver.listen(0, "127.0.0.1", resolve));
    t.after(() => (receiver.close(), receiver.closeAllConnections()));
    return { got, port: receiver.address().port };
}

async function runBlocks(t, server, blocks, receiver) {
    const here = (script) => script.replaceAll("localhost:7070", `127.0.0.1:${server.port}`).replaceAll("127.0.0.1:9000", `127.0.0.1:${receiver?.port}`)
        .replaceAll("curl ", "curl -sS --fail-with-body ");
    for (const [i, { language, mark, body }] of blocks.entries()) {
        if (language !== "sh")
            continue;
        const wanted = blocks[i + 1]?.language === "text" && patternOf(blocks[i + 1].body);
        if (mark === "stays")
            await stay(t, server, here(body));
        else if (wanted)
            await eventually(async () => wanted.test((await runToEnd(here(body))).trimEnd()), `${body} to print ${blocks[i + 1].body}`);
        else
            await runToEnd(here(body));
    }
}

test("docs/presence.md can be followed from top to bottom", async (t) => {
    const blocks = blocksOf(documentText("presence.md"));
    const { body: config } = blocks.find(({ language }) => language === "yaml");
    const receiver = await startReceiver(t);
    const server = await startServer(t, { config });
    await runBlocks(t, server, blocks, receiver);
    await eventually(() => receiver.got.some((text) => text.includes("occupied") && text.includes("quotes/btc")), "the feed to be started");
});

test("the requests of docs/api.md about presence are right", async (t) => {
    const [section] = /^## Presence$[^]*?(?=^## )/m.exec(documentText("api.md"));
    const server = await startServer(t, { config: "namespaces: [{prefix: chat, presence: true}]\n" });
    await server.ndjson("/channels/chat/lobby?as=alice");
    await runBlocks(t, server, blocksOf(section));
});
