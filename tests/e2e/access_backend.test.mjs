// The operator's own server says who may do what: people with its session cookie get in, its answers are kept and
// shared, and whatever is not an answer keeps everybody out.

import assert from "node:assert/strict";
import { once } from "node:events";
import http from "node:http";
import { Webhook } from "standardwebhooks";
import { assertProblem, eventually, startServer, sideBySide } from "./support/index.mjs";
import { run } from "./support/program.mjs";
import { Freshet } from "./support/ws.mjs";

const { test } = sideBySide(4);

const SECRET = `whsec_${Buffer.alloc(32, "k").toString("base64")}`;
const SESSIONS = { "sid=alice": "alice", "sid=bob": "bob" };

/** The operator's server: alice may read chat/**, everybody in a session may publish to chat/open. */
function decide({ action, channels, headers }) {
    const subject = SESSIONS[headers.cookie];
    const allow = Boolean(subject) && channels.every((channel) => (action === "read" && subject === "alice") ||
        (action === "publish" && channel === "chat/open"));
    return { status: 200, body: JSON.stringify({ allow, subject, ttl_s: 60 }) };
}

async function backend(t, answer = decide) {
    const it = { asked: [], answer };
    const server = http.createServer(async (request, response) => {
        const parts = [];
        for await (const part of request)
            parts.push(part);
        const body = Buffer.concat(parts).toString();
        new Webhook(SECRET).verify(body, request.headers); /* throws, and the answer never comes */
        const question = JSON.parse(body);
        it.asked.push(question);
        const said = await it.answer(question, response);
        if (said)
            response.writeHead(said.status, { "content-type": "application/json" }).end(said.body);
    });
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    t.after(() => {
        server.closeAllConnections();
        server.close();
    });
    it.port = server.address().port;
    it.stop = () => new Promise((resolve) => {
        server.close(resolve);
        server.closeAllConnections();
    });
    return it;
}

function config(port, more = "      timeout_ms: 60000\n") {
    return `access: {anybody: [read]}
origins: [https://app.example]
namespaces:
  - prefix: chat
    authorize:
      url: http://127.0.0.1:${port}/may?key=hidden
      secret: ${SECRET}
${more}  - prefix: chat/admin
    access: {anybody: []}
`;
}

async function start(t, answer, more) {
    const app = await backend(t, answer);
    const server = await startServer(t, { config: config(app.port, more) });
    const get = (target, cookie, headers = {}) => server.get(target, { ...(cookie && { Cookie: cookie }), ...headers });
    return { app, server, get };
}

test("people with a session of the site get what the site allows", async (t) => {
    const { app, server, get } = await start(t);
    assert.equal((await get("/channels/chat/a?last=1", "sid=alice")).status, 200);
    assert.deepEqual(app.asked.at(-1), { action: "read", channels: ["chat/a"], address: "127.0.0.1",
        headers: { cookie: "sid=alice" } });
    assertProblem(await get("/channels/chat/a?last=1", "sid=bob"), 401);
    assertProblem(await get("/channels/chat/a?last=1"), 401);
    assert.equal((await server.request("POST", "/channels/chat/open", { headers: { Cookie: "sid=bob" }, body: "x" })).status, 201);
    assertProblem(await server.request("POST", "/channels/chat/a", { headers: { Cookie: "sid=bob" }, body: "x" }), 401);
    assert.equal((await get("/events?channel=chat/a&channel=chat/b/*&last=1", "sid=alice")).status, 200);
    assert.deepEqual(app.asked.at(-1).channels, ["chat/a", "chat/b/*"]);
});

test("a refusal says that the site was asked, on every way in", async (t) => {
    const { server, get } = await start(t);
    const asked = /`(read|publish|webhooks)`: the operator's server was asked/;
    const from = (options = {}) => ({ ...options, headers: { Cookie: "sid=bob", ...options.headers } });
    const admin = await get("/channels/chat/admin/x", "sid=bob");
    assertProblem(admin, 401);
    assert.doesNotMatch(admin.json().detail, asked, "nobody is asked about this one");
    const denied = await server.request("POST", "/channels/chat/a", from({ body: "x" }));
    assertProblem(denied, 401, asked);
    assert.match(denied.json().detail, asked);
    assert.equal(denied.json().may, "publish");
    const webhook = await server.request("POST", "/webhooks", from({ body: JSON.stringify({ url: "https://example.org/", channels: ["chat/a"] }) }));
    assertProblem(webhook, 401, asked);
    assert.match(webhook.json().detail, asked);
    const v1 = await Freshet.open(t, server, from());
    const refused = await v1.answer({ op: "publish", channel: "chat/a", data: "x" });
    assert.equal(refused.op, "error");
    assert.match(refused.problem.detail, asked);
    const elsewhere = await v1.answer({ op: "publish", channel: "news", data: "x" });
    assert.equal(elsewhere.problem.status, 401);
    assert.doesNotMatch(elsewhere.problem.detail, asked, "nobody is asked about this one");
});

test("a field that is not UTF-8 is refused for that, and nobody is asked", async (t) => {
    const { app, server, get } = await start(t);
    const answer = await get("/channels/chat/a?last=1", "sid=\xff");
    assertProblem(answer, 401);
    assert.match(answer.json().detail, /not UTF-8/);
    const v1 = await Freshet.open(t, server, { headers: { Cookie: "sid=\xff" } });
    assert.match((await v1.answer({ op: "publish", channel: "chat/a", data: "x" })).problem.detail, /not UTF-8/);
    assert.equal((await get("/channels/news?last=1", "sid=\xff")).status, 200);
    assert.equal(app.asked.length, 0);
});

test("a site that closes a kept connection when a question comes is asked again", async (t) => {
    const { app, get } = await start(t, (question, response) => {
        if (app.asked.length === 2) {
            response.socket.destroy();
            return undefined;
        }
        return decide(question);
    });
    for (const channel of ["a", "b", "c"])
        assert.equal((await get(`/channels/chat/${channel}?last=1`, "sid=alice")).status, 200, channel);
    assert.deepEqual(app.asked.map(({ channels }) => channels[0]), ["chat/a", "chat/b", "chat/b", "chat/c"]);
});

test("nobody is asked where rules decide, and a namespace below is its own", async (t) => {
    const { app, get } = await start(t);
    assert.equal((await get("/channels/news?last=1", "sid=alice")).status, 200);
    for (const target of ["/channels/chat/admin?last=1", "/events?channel=chat/**", "/events?channel=chat/a&channel=chat/admin/x",
        "/events?channel=**"])
        assertProblem(await get(target, "sid=alice"), 401);
    assert.equal(app.asked.length, 0);
});

test("cookies that a page of another site makes a browser send are not passed on", async (t) => {
    const { app, get } = await start(t);
    assertProblem(await get("/channels/chat/a?last=1", "sid=alice", { Origin: "https://evil.example" }), 403);
    assert.equal(app.asked.length, 0);
    assertProblem(await get("/channels/chat/a?last=1", "sid=alice", { Origin: "http://localhost:3000" }), 401);
    assert.deepEqual(app.asked.at(-1).headers, {});
    assert.equal((await get("/channels/chat/a?last=1", "sid=alice", { Origin: "https://app.example" })).status, 200);
});

test("a subject that was revoked stays out, whatever the site says", async (t) => {
    const { stdout, stderr } = await run(t, ["key", "generate"]);
    const [hash] = /fk_\w+:\w+/.exec(stderr);
    const app = await backend(t);
    const server = await startServer(t, {
        config: `${config(app.port)}keys: [{name: root, key: "${hash}", grants: [{channels: ["**"], may: [admin]}]}]\n`,
    });
    const get = (target, cookie) => server.get(target, { Cookie: cookie });
    const admin = { Authorization: `Bearer ${stdout.trimEnd()}` };
    assert.equal((await get("/channels/chat/a?last=1", "sid=alice")).status, 200);
    assert.equal((await server.request("POST", "/revocations", { headers: admin, body: JSON.stringify({ subject: "alice" }) })).status, 201);
    assertProblem(await get("/channels/chat/a?last=1", "sid=alice"), 401);
    assertProblem(await get("/channels/chat/b?last=1", "sid=alice"), 401);
    assertProblem(await server.request("POST", "/channels/chat/open", { headers: { Cookie: "sid=alice" }, body: "x" }), 401);
    assert.equal((await server.request("DELETE", "/revocations?subject=alice", { headers: admin })).status, 204);
    assert.equal((await get("/channels/chat/a?last=1", "sid=alice")).status, 200);
});

test("an answer is kept, and many who ask the same wait for one", async (t) => {
    let release;
    const held = new Promise((resolve) => { release = resolve; });
    const { app, get } = await start(t, async (question) => {
        await held;
        return decide(question);
    });
    const reads = Array.from({ length: 20 }, () => get("/channels/chat/a?last=1", "sid=alice"));
    assert.equal((await get("/channels/news?last=1")).status, 200); /* others go on meanwhile */
    release();
    for (const answer of await Promise.all(reads))
        assert.equal(answer.status, 200);
    assert.equal((await get("/channels/chat/a?last=1", "sid=alice")).status, 200);
    assert.equal(app.asked.length, 1);
});

test("an address has its share of the questions that wait, and /stats counts them all", async (t) => {
    let release;
    const held = new Promise((resolve) => { release = resolve; });
    const app = await backend(t, async (question) => {
        await held;
        return decide(question);
    });
    const { stdout, stderr } = await run(t, ["key", "generate"]);
    const [hash] = /fk_\w+:\w+/.exec(stderr), admin = { Authorization: `Bearer ${stdout.trimEnd()}` };
    const rest = `keys: [{name: root, key: "${hash}", grants: [{channels: ["**"], may: [admin]}]}]\n` +
        "trusted_proxies: [127.0.0.1]\nlimits: {authorize_address_max: 3}\n";
    const server = await startServer(t, { config: config(app.port) + rest });
    const get = (channel, address) =>
        server.get(`/channels/chat/${channel}?last=1`, { Cookie: "sid=alice", "X-Forwarded-For": address });
    const stats = async () => (await server.get("/stats", admin)).json().access.authorize;
    const waiting = ["a", "b", "b", "c"].map((channel, i) => get(channel, i < 3 ? "192.0.2.1" : "192.0.2.2"));
    await eventually(async () => (await stats()).waiting === 4, "four questions");
    const refused = await get("d", "192.0.2.1");
    assertProblem(refused, 503);
    assert.match(refused.json().detail, /authorize_address_max/);
    release();
    for (const answer of await Promise.all(waiting))
        assert.equal(answer.status, 200);
    assert.equal((await get("a", "192.0.2.1")).status, 200);
    assertProblem(await server.get("/channels/chat/a?last=1", { Cookie: "sid=bob" }), 401);
    const { kept_bytes, ...counted } = await stats();
    assert.deepEqual(counted, { asked: 4, cached: 1, coalesced: 1, refused: 1, denied: 1, failed: 0, timed_out: 0,
        waiting: 0, waiting_bytes: 0, addresses: 0, kept: 4 });
    assert.ok(kept_bytes > 400, `${kept_bytes}`);
    assert.match((await server.get("/metrics", admin)).text, /^freshet_authorize_coalesced_total 1$/m);
});

for (const [why, answer] of [
    ["an error", () => ({ status: 500, body: "{\"allow\":true}" })],
    ["a redirect", () => ({ status: 302, body: "{\"allow\":true}" })],
    ["garbage", () => ({ status: 200, body: "<html>allow: true" })],
    ["a huge answer", () => ({ status: 200, body: `{"allow":true,"x":"${"x".repeat(100_000)}"}` })],
    ["an answer that breaks off", (question, response) => {
        response.writeHead(200, { "content-length": 1000 }).write("{\"allow\":true}");
        response.socket.end();
    }],
    ["no answer", () => undefined],
])
    test(`a failure of the site keeps everybody out: ${why}`, async (t) => {
        const { get } = await start(t, answer, "      timeout_ms: 500\n");
        assertProblem(await get("/channels/chat/a?last=1", "sid=alice"), 503);
        assert.equal((await get("/channels/news?last=1", "sid=alice")).status, 200);
    });

test("a server that is dead keeps everybody out until it is back", async (t) => {
    const { app, server, get } = await start(t);
    await app.stop();
    assertProblem(await get("/channels/chat/a?last=1", "sid=alice"), 503);
    await eventually(() => /event=authorize_failed/.test(server.log()), "the log line");
    assert.ok(!server.log().includes("sid=alice"));
    assert.ok(!server.log().includes("hidden"));
});

test("a flood of failures does not flood the log", async (t) => {
    const { app, server, get } = await start(t);
    await app.stop();
    for (let i = 0; i < 40; i++)
        assertProblem(await get(`/channels/chat/${i}?last=1`), 503);
    await eventually(() => /event=authorize_failed/.test(server.log()), "a log line");
    const lines = server.log().match(/event=authorize_failed/g).length;
    assert.ok(lines < 30, `${lines} lines`);
});

test("a client that leaves while its permission is asked for harms nobody", async (t) => {
    let release;
    const held = new Promise((resolve) => { release = resolve; });
    const { app, server, get } = await start(t, async (question) => {
        await held;
        return decide(question);
    });
    const request = http.get(`${server.url}/channels/chat/a?stream=sse`, { headers: { Cookie: "sid=alice" } });
    request.on("error", () => {});
    while (!app.asked.length)
        await get("/channels/news?last=1");
    request.destroy();
    await get("/channels/news?last=1");
    release();
    assert.equal((await get("/channels/chat/a?last=1", "sid=alice")).status, 200);
});
