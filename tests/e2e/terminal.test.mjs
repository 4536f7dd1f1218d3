// Whoever may publish writes to the terminals of those who follow: control characters of events, and of answers, are
// no orders for them. What goes into a pipe or a file stays byte for byte.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import http from "node:http";
import { promisify } from "node:util";
import { publish, startServer, test } from "./support/index.mjs";
import { BIN } from "./support/server.mjs";
import { DEADLINE_MS } from "./support/wait.mjs";

const ORDERS = "\u001b]0;owned\u0007\u009b2J\u007fgood\rbad";
const CONTROL = /[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f-\u009f]/;

/** The output of a command at a terminal of its own, or into a pipe. */
async function output(args, { terminal }) {
    const quoted = [BIN, ...args].map((part) => `'${part.replaceAll("'", "'\\''")}'`).join(" ");
    const [command, ...rest] = terminal ? ["script", "-qec", quoted, "/dev/null"] : [BIN, ...args];
    const { stdout } = await promisify(execFile)(command, rest, { timeout: DEADLINE_MS });
    return stdout;
}

for (const via of ["ndjson", "sse", "poll", "ws"]) {
    test(`a terminal gets no control characters of events (${via})`, async (t) => {
        const server = await startServer(t);
        await publish(server, "a", ORDERS);
        const args = ["sub", "a", "--via", via, "--last", "1", "--count", "1", "--url", server.url];
        for (const format of ["event", "data"]) {
            const shown = await output([...args, "--format", format], { terminal: true });
            assert.doesNotMatch(shown.replaceAll("\r\n", "\n"), CONTROL);
            assert.match(shown, /\\u001b\]0;owned\\u0007\\u009b2J\\u007fgood/);
        }
        assert.equal(await output([...args, "--format", "data"], { terminal: false }), `${ORDERS}\n`);
        const event = JSON.parse(await output([...args, "--format", "event"], { terminal: true }));
        assert.equal(event.data, ORDERS);
    });
}

test("a terminal gets no control characters of a server's answers", async (t) => {
    const hostile = http.createServer((request, response) => {
        const refuses = request.method === "POST";
        response.writeHead(refuses ? 403 : 200, { "Content-Type": "application/json" });
        response.end(JSON.stringify({ detail: ORDERS, webhooks: [{ id: ORDERS, url: ORDERS }], keys: [{ name: ORDERS }], members: [{ as: ORDERS }] }));
    });
    await new Promise((resolve) => hostile.listen(0, "127.0.0.1", resolve));
    t.after(() => hostile.close());
    const url = `http://127.0.0.1:${hostile.address().port}`;
    for (const args of [
        ["webhook", "ls"], ["webhook", "ls", "--json"], ["webhook", "show", "x"], ["key", "ls"], ["key", "ls", "--json"],
        ["presence", "x", "--once"], ["webhook", "pause", "x"], ["pub", "x", "y"], ["key", "create", "x", "--read", "x"],
    ]) {
        const shown = await output([...args, "--url", url], { terminal: true }).catch(({ stdout }) => stdout);
        assert.match(shown, /owned/, args.join(" "));
        assert.doesNotMatch(shown.replaceAll("\r\n", "\n"), CONTROL, args.join(" "));
    }
});
