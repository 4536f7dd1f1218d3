// A scraper of metrics needs no right to change anything: whoever may read the channel $stats may read /stats and /metrics.

import assert from "node:assert/strict";
import { startServer, test } from "./support/index.mjs";
import { run } from "./support/program.mjs";

const bearer = (key) => ({ headers: key ? { Authorization: `Bearer ${key}` } : {} });

async function start(t) {
    const { stdout, stderr } = await run(t, ["key", "generate"]);
    const [hash] = /fk_\w+:\w+/.exec(stderr);
    const server = await startServer(t, {
        config: `access: {anybody: [read]}\nkeys: [{name: root, key: "${hash}", grants: [{channels: ["**"], may: [read, publish, presence, webhooks, admin]}]}]\n`,
    });
    const make = async (channels) => {
        const { headers } = bearer(stdout.trimEnd());
        const made = await server.request("POST", "/keys", { headers, body: JSON.stringify({ name: "a", grants: [{ channels, may: ["read"] }] }) });
        assert.equal(made.status, 201, made.text);
        return made.json().key;
    };
    return { server, make };
}

test("a key that may read $stats reads the figures, and may do nothing else that takes admin", async (t) => {
    const { server, make } = await start(t);
    const scraper = await make(["$stats"]);
    const status = async (method, path) => (await server.request(method, path, bearer(scraper))).status;
    for (const path of ["/stats", "/metrics"]) {
        assert.equal(await status("GET", path), 200, path);
        assert.equal(await status("HEAD", path), 200, path);
    }
    for (const path of ["/configuration", "/subscribers", "/keys", "/revocations"]) {
        assert.equal(await status("GET", path), 403, path);
    }
    assert.equal(await status("DELETE", "/channels/news"), 403);
    assert.equal(await status("GET", "/channels/$audit"), 403);
});

test("a key that may read all channels but the server's own does not read the figures", async (t) => {
    const { server, make } = await start(t);
    const reader = await make(["**"]);
    for (const path of ["/stats", "/metrics"]) {
        assert.equal((await server.request("GET", path, bearer(reader))).status, 403, path);
        assert.equal((await server.request("GET", path)).status, 401, path);
    }
});
