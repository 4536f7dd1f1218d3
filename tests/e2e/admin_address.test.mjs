// An address for management: what it alone answers, over HTTP/1.1, HTTP/2 and a Unix socket.

import assert from "node:assert/strict";
import { once } from "node:events";
import http2 from "node:http2";
import { assertProblem, startServer, test } from "./support/index.mjs";
import { Freshet } from "./support/ws.mjs";

const MANAGEMENT = [["GET", "/keys"], ["POST", "/keys"], ["DELETE", "/keys/abcdefghij"], ["GET", "/revocations"], ["POST", "/revocations"],
    ["DELETE", "/subscribers?subject=a"], ["GET", "/stats"], ["HEAD", "/stats"], ["GET", "/metrics"], ["GET", "/webhooks"], ["POST", "/webhooks"],
    ["GET", "/webhooks/wh_x"], ["DELETE", "/webhooks/wh_x"], ["DELETE", "/channels/a"]];
const ORDINARY = [["GET", "/channels/a?last=1"], ["POST", "/channels/a"], ["GET", "/healthz"], ["GET", "/readyz"], ["GET", "/"], ["GET", "/events?channel=a&last=1"]];

/** Both addresses of a server: {server, admin}. */
async function start(t, rules) {
    const server = await startServer(t, { listen: false, config: `listen: [127.0.0.1:0, {address: "127.0.0.1:0", admin: true}]\n${rules}` });
    const [, port] = /and http:\/\/127\.0\.0\.1:(\d+)/.exec(server.out);
    return { server, admin: `http://127.0.0.1:${port}` };
}

async function statusOf(base, [method, target], headers = {}) {
    const body = method === "POST" ? "{}" : undefined;
    const answer = await fetch(base + target, { method, headers, body });
    const text = await answer.text();
    return { status: answer.status, text };
}

test("management is answered at the admin address alone", async (t) => {
    const { server, admin } = await start(t, "");
    for (const request of MANAGEMENT) {
        const elsewhere = await statusOf(server.url, request);
        assert.equal(elsewhere.status, 404, request);
        if (request[0] !== "HEAD")
            assert.match(elsewhere.text, /admin address/);
        assert.doesNotMatch((await statusOf(admin, request)).text, /admin address/, request.join(" "));
    }
    for (const request of ORDINARY)
        assert.equal((await statusOf(server.url, request)).status, (await statusOf(admin, request)).status, request.join(" "));
    assert.equal((await statusOf(admin, ["GET", "/stats"])).status, 200);
    assertProblem(await server.get("/stats"), 404);
    const v1 = await Freshet.open(t, server);
    await v1.subscribe(["a"]);
});

test("the rules are asked at the admin address, and it comes before them at others", async (t) => {
    const { server, admin } = await start(t, "access: {anybody: [read]}\n");
    assert.equal((await statusOf(admin, ["GET", "/stats"])).status, 401);
    assert.equal((await statusOf(server.url, ["GET", "/stats"])).status, 404);
    assert.equal((await statusOf(server.url, ["GET", "/stats"], { Authorization: "Bearer fk_x" })).status, 404);
});

test("the streams of an HTTP/2 connection are told apart by its address as well", async (t) => {
    const { server, admin } = await start(t, "");
    for (const [base, status] of [[server.url, 404], [admin, 200]]) {
        const client = http2.connect(base);
        t.after(() => client.destroy());
        const stream = client.request({ ":path": "/stats" });
        const [headers] = await once(stream, "response");
        assert.equal(headers[":status"], status);
        stream.resume();
        client.destroy();
    }
});

test("without an admin address every address answers everything", async (t) => {
    const server = await startServer(t, { listen: ["127.0.0.1:0", "127.0.0.1:0"] });
    for (const base of [server.url, `http://${/and http:\/\/(\S+)/.exec(server.out)[1]}`])
        assert.equal((await statusOf(base, ["GET", "/stats"])).status, 200);
});
