// The situation "behind a proxy" of docs/access.md: its configurations as they stand there, in front of a server with rules and a name.

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import fs from "node:fs";
import http from "node:http";
import path from "node:path";
import {
    BIN, assertProblem, deadline, eventually, openNdjson, openSse, rawRequest, request, startServer, temporaryFolder, test,
} from "./support/index.mjs";
import { documentText, fencedBlock } from "./support/documents.mjs";
import { lacks, startFront } from "./support/fronts.mjs";
import { Receiver } from "./support/receiver.mjs";
import { Freshet, Socket } from "./support/ws.mjs";

const [SECTION] = /^## Behind nginx[^]*?(?=^## |$(?![^]))/m.exec(documentText("access.md"));
const FRONTS = { nginx: "nginx", haproxy: "haproxy", caddy: "caddyfile" };
const NAME = "rt.example.org";

/** A server that the document configures, and the proxy before it; `token` may do everything. */
async function start(t, name) {
    const secret = path.join(temporaryFolder(t), "secret");
    fs.writeFileSync(secret, "a secret of this test, which is long enough to sign by");
    const config = `${fencedBlock(SECTION, "yaml")}tokens: [{secret: "file:${secret}"}]\nwebhooks: {allow: [127.0.0.1]}\n`;
    const server = await startServer(t, { config });
    const front = await startFront(t, name, server, { change: () => fencedBlock(SECTION, FRONTS[name]) });
    const made = spawnSync(BIN, ["token", "--secret", `file:${secret}`, "--sub", "x", "--publish", "**", "--read", "**", "--webhooks", "**"]);
    assert.equal(made.status, 0, `${made.stderr}`);
    return { server, front, authorization: { Host: NAME, Authorization: `Bearer ${String(made.stdout).trim()}` } };
}

function each(what, fn) {
    for (const name of Object.keys(FRONTS)) {
        test(`${name}: ${what}`, { skip: lacks(name) }, (t) => fn(t, name));
    }
}

each("every mechanism works under the server's name", async (t, name) => {
    const { front, authorization } = await start(t, name);
    const receiver = await Receiver.start(t);
    const headers = { Host: NAME };
    const hook = await request(front, "POST", "/webhooks", { headers: authorization, body: { url: receiver.url, channels: ["news"] } });
    assert.equal(hook.status, 201, hook.text);
    const streams = [await openSse(front, "/channels/news", { headers }), await openNdjson(front, "/channels/news", { headers })];
    const own = { headers, origin: `https://${NAME}` };
    const socket = await Socket.open(t, front, "/channels/news", own);
    const freshet = await Freshet.open(t, front, own);
    await freshet.subscribe(["news"]);
    const poll = request(front, "GET", "/channels/news?after=earliest&wait=50", { headers, fresh: true });
    const posted = await request(front, "POST", "/channels/news", { headers: authorization, body: "hello" });
    assert.equal(posted.status, 201, posted.text);
    for (const stream of streams) {
        assert.equal((await stream.event()).data, "hello");
    }
    assert.equal((await socket.event()).data, "hello");
    assert.equal((await freshet.pushed(1))[0].data, "hello");
    await receiver.events(1);
    const page = await request(front, "GET", "/channels/news?last=1", { headers });
    assert.match(page.text, /hello/);
    assert.match((await poll).text, /hello/);
    assertProblem(await request(front, "POST", "/channels/news", { headers, body: "x" }), 401);
});

each("a foreign name and a foreign page are refused", async (t, name) => {
    const { front } = await start(t, name);
    const ask = async (host, more = "") =>
        (await rawRequest(front.port, `GET /channels/news HTTP/1.1\r\nHost: ${host}\r\n${more}Connection: close\r\n\r\n`))[0];
    assert.equal((await ask(NAME)).status, 200);
    assert.equal((await ask(NAME, `Origin: https://${NAME}\r\n`)).status, 200);
    assert.equal((await ask(NAME, "Origin: https://evil.com\r\n")).status, 403);
    const foreign = await ask("evil.com");
    assert.ok(foreign.status === 403 || !foreign.text.includes("events"), `${foreign.status}`); /* Caddy has no such site */
});

each("the audit log names the client, not the proxy, and not what the client made up", async (t, name) => {
    const { server, front } = await start(t, name);
    const answer = new Promise((resolve, reject) => {
        http.request({ host: "127.0.0.1", port: front.port, path: "/stats", localAddress: "127.0.0.2",
            headers: { Host: NAME, "X-Forwarded-For": "203.0.113.9" } }, resolve).on("error", reject).end();
    });
    assert.equal((await deadline(answer, "an answer")).resume().statusCode, 401);
    const entry = await eventually(() => /event=audit .*?address="?([^\s"]*)/.exec(server.err), "an entry of the audit log");
    assert.equal(entry[1], "127.0.0.2");
});
