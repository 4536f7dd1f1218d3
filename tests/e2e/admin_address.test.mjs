// An address for management: what it alone answers, over HTTP/1.1, HTTP/2 and a Unix socket.

import assert from "node:assert/strict";
import { once } from "node:events";
import http2 from "node:http2";
import { RawConn, assertProblem, eventually, startServer, test } from "./support/index.mjs";
import { run } from "./support/program.mjs";
import { Freshet, Socket, refusal } from "./support/ws.mjs";

const MANAGEMENT = [["GET", "/keys"], ["POST", "/keys"], ["DELETE", "/keys/abcdefghij"], ["GET", "/revocations"], ["POST", "/revocations"],
    ["DELETE", "/revocations?subject=a"], ["GET", "/subscribers"], ["DELETE", "/subscribers?subject=a"], ["GET", "/configuration"], ["GET", "/stats"], ["HEAD", "/stats"], ["GET", "/metrics"], ["GET", "/webhooks"], ["POST", "/webhooks"],
    ["GET", "/webhooks/wh_x"], ["DELETE", "/webhooks/wh_x"], ["DELETE", "/channels/a"]];
const ORDINARY = [["GET", "/channels/a?last=1"], ["POST", "/channels/a"], ["GET", "/healthz"], ["GET", "/readyz"], ["GET", "/"], ["GET", "/events?channel=a&last=1"]];

const WORDS = "this server is managed at its admin address alone (`admin: true` of `listen`)";

/** Both addresses of a server: {server, admin}. */
async function start(t, rules, options) {
    const server = await startServer(t, { ...options, listen: false, config: `listen: [127.0.0.1:0, {address: "127.0.0.1:0", admin: true}]\n${rules}` });
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

/* What the server says of itself, as each mechanism asks for it. */
const OWN = ["$audit", "$stats", "$webhooks/**"];
const reads = (own) => [`/events?channel=${own}&last=1`, `/events?channel=${own}`, `/events?channel=${own}&before=5`, `/events?channel=a&channel=${own}&after=now&wait=30`,
    ...["sse", "ndjson", "raw"].map((format) => `/events?channel=${own}&stream=${format}`),
    ...(own.includes("*") ? [] : [`/channels/${own}`, `/channels/${own}?last=1`, `/channels/${own}?stream=sse`, `/topics/${own}`])];

/** Asks for all of it by every way in, and expects the same refusal. */
async function assertHidden(t, server, headers, v1) {
    for (const own of OWN) {
        for (const target of reads(own)) {
            const answer = await server.get(target, headers);
            assertProblem(answer, 404);
            assert.equal(answer.json().detail, WORDS, target);
            assert.equal(answer.json().may, undefined, target);
        }
        for (const [path, protocols] of [[`/events?channel=${own}`, []], [`/events?channel=${own}`, ["freshet.v1"]]]) {
            const refused = await refusal(server, path, { protocols, headers });
            assert.equal(refused.status, 404, path);
            assert.equal(refused.json().detail, WORDS, path);
        }
        for (const channels of [[own], ["a", own]]) {
            const { op, problem } = await v1.answer({ op: "subscribe", channels });
            assert.deepEqual([op, problem.status, problem.detail], ["error", 404, WORDS], own);
        }
    }
    const listed = await server.get("/channels?prefix=$webhooks/", headers);
    assert.equal(listed.json().detail, WORDS);
    const names = (await server.get("/channels", headers)).json().channels.map(({ channel }) => channel);
    assert.deepEqual(names.filter((name) => name.startsWith("$")), []);
    const form = `hub.mode=subscribe&hub.topic=${server.url}/topics/$audit&hub.callback=http://127.0.0.1:9/`;
    assertProblem(await server.request("POST", "/hub", { headers, body: form }), 400); /* no topic, at any address */
}

test("channels of the server itself are read at the admin address alone, by every mechanism, whoever asks", async (t) => {
    const { stdout, stderr } = await run(t, ["key", "generate"]);
    const [hash] = /fk_\w+:\w+/.exec(stderr), root = { Authorization: `Bearer ${stdout.trimEnd()}` };
    const grants = `[{channels: ["**", "$audit", "$stats", "$webhooks/**"], may: [read, publish, presence, webhooks, admin]}]`;
    const { server, admin } = await start(t, `access: {anybody: [read]}\nkeys: [{name: root, key: "${hash}", grants: ${grants}}]\n`);
    await assertHidden(t, server, root, await Freshet.open(t, server, { headers: root }));
    /* Another credential on the same connection changes nothing, and neither does a pattern. */
    const v1 = await Freshet.open(t, server);
    await v1.subscribe(["**"]);
    assert.equal((await v1.answer({ op: "auth", token: stdout.trimEnd() })).op, "ok");
    assert.equal((await v1.answer({ op: "subscribe", channels: ["$audit"] })).problem.detail, WORDS);
    const noted = await fetch(`${admin}/revocations`, { method: "POST", headers: root, body: "{\"subject\":\"nobody\"}" });
    assert.equal(noted.status, 201, await noted.text());
    await eventually(async () => (await (await fetch(`${admin}/channels/$audit?last=1`, { headers: root })).json()).events.length, "the note of it");
    assert.equal((await server.post("a", "1", root)).status, 201);
    assert.equal((await v1.pushed(1))[0].channel, "a");
    /* At the admin address the rights decide, and nobody there has them without a credential. */
    for (const own of OWN) {
        for (const target of reads(own).filter((each) => !/stream|wait|topics/.test(each)))
            assert.notEqual((await statusOf(admin, ["GET", target], root)).status, 404, target);
        assert.equal((await statusOf(admin, ["GET", `/events?channel=${own}`])).status, 401, own);
    }
});

test("without rules as well, and whatever was asked at the admin address before", async (t) => {
    const { server, admin } = await start(t, "", { args: ["--threads", "1"] });
    await assertHidden(t, server, {}, await Freshet.open(t, server));
    const at = { port: Number(new URL(admin).port) };
    const figures = await Freshet.open(t, at);
    await figures.subscribe(["$stats"]);
    assert.equal((await figures.pushed(1))[0].channel, "$stats");
    const socket = await Socket.open(t, at, "/channels/$stats");
    assert.equal((await socket.event()).channel, "$stats");
    /* A request that the server knows byte for byte, as it has answered it at the other address. */
    const known = "GET /channels/$stats?after=earliest HTTP/1.1\r\nHost: localhost\r\n\r\n";
    for (const [port, status] of [[at.port, 200], [at.port, 200], [at.port, 200], [server.port, 404], [at.port, 200]]) {
        const conn = await RawConn.open(port);
        t.after(() => conn.destroy());
        for (let i = 0; i < 4; i++) {
            await conn.send(known);
            assert.equal((await conn.readResponse()).status, status);
        }
    }
    const made = await fetch(`${admin}/webhooks`, { method: "POST", body: JSON.stringify({ url: "http://127.0.0.1:9/", channels: ["$audit"] }) });
    assert.equal(made.status, 201, await made.text());
});

test("presence is told at every address", async (t) => {
    const { server } = await start(t, "namespaces: [{prefix: chat, presence: true}]\n");
    const v1 = await Freshet.open(t, server);
    await v1.subscribe(["$presence/chat/a", "$occupied/chat/**"]);
    assert.equal((await server.get("/presence/chat/a")).status, 200);
});

test("without an admin address every address answers everything", async (t) => {
    const server = await startServer(t, { listen: ["127.0.0.1:0", "127.0.0.1:0"] });
    for (const base of [server.url, `http://${/and http:\/\/(\S+)/.exec(server.out)[1]}`])
        assert.equal((await statusOf(base, ["GET", "/stats"])).status, 200);
});
