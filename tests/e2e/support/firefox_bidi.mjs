#!/usr/bin/env node
// Starts the Firefox of FIREFOX_PROGRAM for playwright, and stands between the two: Firefox ESR lacks commands of WebDriver BiDi by which
// playwright sets what no test here asks for, such as the colour scheme of each page, and playwright takes no other answer than a success.

import { spawn } from "node:child_process";
import readline from "node:readline";
import { WebSocket, WebSocketServer } from "ws";

const LISTENING = /WebDriver BiDi listening on (ws:\/\/\S+)/;

/** The answer as playwright may have it: a command of `emulation` that Firefox does not know has done nothing. */
function answerOf(text, unneeded) {
    const answer = JSON.parse(text);
    const isPassedOver = unneeded.delete(answer.id) && answer.error === "unknown command";
    return isPassedOver ? JSON.stringify({ type: "success", id: answer.id, result: {} }) : text;
}

function join(client, url) {
    const browser = new WebSocket(url, { perMessageDeflate: false, maxPayload: 256 << 20 });
    const unneeded = new Set(); /* ids of commands that may be unknown */
    const opened = new Promise((resolve) => browser.once("open", resolve));
    client.on("message", async (bytes) => {
        const text = String(bytes);
        const { id, method } = JSON.parse(text);
        method.startsWith("emulation.") && unneeded.add(id);
        await opened;
        browser.send(text);
    });
    browser.on("message", (bytes) => client.send(answerOf(String(bytes), unneeded)));
    client.on("close", () => browser.close());
    browser.on("close", () => client.close());
    browser.on("error", () => client.close());
    client.on("error", () => {});
}

const firefox = spawn(process.env.FIREFOX_PROGRAM, process.argv.slice(2), { stdio: ["ignore", "inherit", "pipe"] });
readline.createInterface({ input: firefox.stderr }).on("line", (line) => {
    const url = LISTENING.exec(line)?.[1];
    if (!url) {
        process.stderr.write(`${line}\n`);
        return;
    }
    const server = new WebSocketServer({ host: "127.0.0.1", port: 0, perMessageDeflate: false }, () =>
        process.stderr.write(`WebDriver BiDi listening on ws://127.0.0.1:${server.address().port}\n`));
    server.on("connection", (client, request) => join(client, url + request.url));
});
firefox.on("exit", (code) => process.exit(code ?? 1));
process.on("SIGTERM", () => firefox.kill("SIGTERM"));
