// Tokens (JWT) of another library at the doors: by every way to carry one, with keys from the configuration and from a
// JWK Set that is fetched, rotated and lost.

import assert from "node:assert/strict";
import { generateKeyPairSync } from "node:crypto";
import { once } from "node:events";
import http from "node:http";
import * as jose from "jose";
import { assertProblem, eventually, startServer, sideBySide } from "./support/index.mjs";
import { Socket } from "./support/ws.mjs";

const { test } = sideBySide(4);

const SECRET = "correct horse battery staple and more";
const bytes = new TextEncoder().encode(SECRET);
const RULES = "access: {anybody: [], cookie: session}\norigins: [https://app.example]\n";
const BY_SECRET = `${RULES}tokens:\n  - secret: "${SECRET}"\n    leeway_s: 0\n`;
const READ_CHAT = [{ channels: ["chat/**"], may: ["read"] }];
const WRITE_CHAT = [{ channels: ["chat/**"], may: ["read", "publish"] }];

function sign(grants, { sub = "alice", ttl = "1h", alg = "HS256", key = bytes, kid, claims = {} } = {}) {
    return new jose.SignJWT({ freshet: { grants }, ...claims }).setProtectedHeader({ alg, kid }).setSubject(sub)
        .setExpirationTime(ttl).sign(key);
}

function bearer(token) {
    return { Authorization: `Bearer ${token}` };
}

/** A server of key sets: what it answers and when, and how often it was asked. */
async function keyServer(t) {
    const it = { keys: [], asked: 0, status: 200, held: undefined };
    const server = http.createServer(async (request, response) => {
        it.asked++;
        await it.held;
        response.writeHead(it.status, { "content-type": "application/json" });
        response.end(JSON.stringify({ keys: it.keys }));
    });
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    t.after(() => server.closeAllConnections() ?? server.close());
    it.url = `http://127.0.0.1:${server.address().port}/keys`;
    return it;
}

async function pairOf(kid, alg = "ES256") {
    const { privateKey, publicKey } = alg === "ES256" ? generateKeyPairSync("ec", { namedCurve: "P-256" })
        : alg === "EdDSA" ? generateKeyPairSync("ed25519") : generateKeyPairSync("rsa", { modulusLength: 2048 });
    return { kid, alg, key: privateKey, jwk: { ...await jose.exportJWK(publicKey), kid, alg, use: "sig" } };
}

test("a token gives what it grants, and nothing else", async (t) => {
    const server = await startServer(t, { config: BY_SECRET });
    const reader = bearer(await sign(READ_CHAT)), writer = bearer(await sign(WRITE_CHAT));
    assertProblem(await server.get("/channels/chat/a"), 401);
    assert.equal((await server.get("/channels/chat/a?last=1", reader)).status, 200);
    assertProblem(await server.get("/channels/news", reader), 403);
    assertProblem(await server.request("POST", "/channels/chat/a", { headers: reader, body: "x" }), 403);
    assert.equal((await server.request("POST", "/channels/chat/a", { headers: writer, body: "x" })).status, 201);
    assertProblem(await server.get("/events?channel=chat/a&channel=news", writer), 403);
    assertProblem(await server.get("/stats", writer), 403);
});

test("a publisher that may not read is not told the newest id by a refusal of If-Match", async (t) => {
    const server = await startServer(t, { config: BY_SECRET });
    const both = bearer(await sign(WRITE_CHAT));
    const blind = bearer(await sign([{ channels: ["chat/**"], may: ["publish"] }]));
    const post = (credential) => server.request("POST", "/channels/chat/a",
        { headers: { ...credential, "If-Match": '"0000000000000001"' }, body: "x" });
    const { id } = (await server.request("POST", "/channels/chat/a", { headers: both, body: "1" })).json();
    assert.equal(assertProblem(await post(both), 412).newest, id);
    assert.equal(assertProblem(await post(blind), 412).newest, undefined);
});

test("tokens without a subject have idempotency keys of their own, each as the one that comes again", async (t) => {
    const server = await startServer(t, { config: BY_SECRET });
    const nameless = async (jti) => bearer(await new jose.SignJWT({ freshet: { grants: WRITE_CHAT }, jti })
        .setProtectedHeader({ alg: "HS256" }).setExpirationTime("1h").sign(bytes));
    const [one, other] = [await nameless("1"), await nameless("2")];
    const post = (credential, body) => server.request("POST", "/channels/chat/a",
        { headers: { ...credential, "Idempotency-Key": "k" }, body });
    const first = await post(one, "x");
    assert.equal(first.status, 201);
    assert.equal((await post(other, "y")).status, 201);
    const again = await post(one, "x");
    assert.deepEqual([again.status, again.json().id], [200, first.json().id]);
});

test("a token that comes again is not verified again, and ends at once when it is revoked", async (t) => {
    const server = await startServer(t, { config: BY_SECRET.replace("anybody: []", "anybody: [admin]") });
    const token = bearer(await sign(READ_CHAT, { claims: { jti: "t1" } }));
    const tokens = async () => (await server.get("/stats")).json().access.tokens;
    for (let i = 0; i < 4; i++) {
        assert.equal((await server.get("/channels/chat/a?last=1", token)).status, 200);
    }
    assertProblem(await server.get("/channels/chat/a?last=1", bearer(await sign(READ_CHAT, { key: Buffer.alloc(32, "x") }))), 401);
    const { remembered, verified, kept, kept_bytes } = await tokens();
    assert.deepEqual([remembered, verified, kept], [3, 2, 1], "a token that is refused is not kept");
    assert.ok(kept_bytes > 100 && kept_bytes < 2000, `${kept_bytes}`);
    assert.equal((await server.request("POST", "/revocations", { body: { jti: "t1" } })).status, 201);
    assertProblem(await server.get("/channels/chat/a?last=1", token), 401);
    assert.match((await server.get("/metrics")).text, /^freshet_tokens_remembered_total 4$/m);
});

test("a token is carried by header, parameter, cookie and subprotocol", async (t) => {
    const server = await startServer(t, { config: BY_SECRET });
    const token = await sign(READ_CHAT);
    const target = "/channels/chat/a?last=1";
    assert.equal((await server.get(target, bearer(token))).status, 200);
    assert.equal((await server.get(`${target}&token=${token}`)).status, 200);
    assert.equal((await server.get(target, { Cookie: `a=b; session=${token}` })).status, 200);
    assert.equal((await server.get(target, { Cookie: `session=${token}`, Origin: "https://app.example" })).status, 200);
    assertProblem(await server.get(target, { Cookie: `session=${token}`, Origin: "https://evil.example" }), 403);
    const own = { Cookie: `session=${await sign(WRITE_CHAT)}`, Origin: server.url };
    for (const [site, status] of [["same-origin", 201], ["same-site", 401], ["cross-site", 401]]) {
        const headers = { ...own, "Sec-Fetch-Site": site };
        assert.equal((await server.request("POST", "/channels/chat/a", { headers, body: "x" })).status, status, site);
    }
    const socket = await Socket.open(t, server, "/events", { protocols: ["freshet.v1", `freshet.token.${token}`] });
    socket.send(JSON.stringify({ op: "subscribe", channels: ["chat/*"], ref: 1 }));
    assert.notEqual(JSON.parse((await socket.next()).text).op, "error");
    assert.ok(!server.log().includes(token));
});

test("a token among the subprotocols is not repeated when the WebSocket is refused", async (t) => {
    const server = await startServer(t, { config: BY_SECRET });
    const protocols = [`freshet.token.${await sign(READ_CHAT, { ttl: "-1h" })}`, "freshet.v1"];
    const socket = await Socket.open(t, server, "/events", { protocols, origin: "https://app.example" });
    assert.equal(socket.head.headers["sec-websocket-protocol"], "freshet.v1");
    assert.equal((await socket.closed()).code, 4401);
});

for (const [why, make] of [
    ["expired", () => sign(READ_CHAT, { ttl: "-1s" })],
    ["by another key", () => sign(READ_CHAT, { key: new TextEncoder().encode("another secret of 32 bytes or so") })],
    ["by another algorithm", () => sign(READ_CHAT, { alg: "HS384" })],
    ["for another audience", () => sign(READ_CHAT, { claims: { aud: "them" } })],
    ["of another form", () => "a.b.c"],
    ["unsigned", async () => new jose.UnsecuredJWT({ freshet: { grants: READ_CHAT } }).setExpirationTime("1h").encode()],
])
    test(`a token that is not valid is refused: ${why}`, async (t) => {
        const server = await startServer(t, { config: `${BY_SECRET}namespaces: [{prefix: open, access: {anybody: [read]}}]\n` });
        const headers = bearer(await make());
        for (const target of ["/channels/chat/a?last=1", "/channels/open?last=1"]) {
            const answer = await server.get(target, headers);
            assertProblem(answer, 401);
            assert.match(answer.headers["www-authenticate"], /error="invalid_token"/);
        }
    });

test("keys of a URL are fetched, rotated without a restart, and never taken from elsewhere", async (t) => {
    const idp = await keyServer(t);
    const old = await pairOf("k1"), next = await pairOf("k2", "EdDSA"), stranger = await pairOf("k1");
    idp.keys = [old.jwk];
    const server = await startServer(t, { config: `${RULES}tokens:\n  - jwks_url: ${idp.url}\n    refresh_s: 1\n` });
    const read = async (token) => (await server.get("/channels/chat/a?last=1", bearer(token))).status;
    assert.equal(await read(await sign(READ_CHAT, old)), 200);
    assert.equal(await read(await sign(READ_CHAT, stranger)), 401);
    assert.equal(await read(await sign(READ_CHAT, next)), 401);
    idp.keys = [next.jwk];
    const later = await sign(READ_CHAT, next);
    while (await read(later) !== 200)
        assert.ok(idp.asked < 1000);
    assert.equal(await read(await sign(READ_CHAT, old)), 401);
});

test("a token waits for the keys that it needs, and without them nothing is accepted", async (t) => {
    const idp = await keyServer(t);
    const pair = await pairOf("k1", "RS256");
    idp.status = 500;
    idp.keys = [pair.jwk];
    const server = await startServer(t, { config: `${RULES}tokens:\n  - jwks_url: ${idp.url}\n    refresh_s: 1\n` });
    const token = await sign(READ_CHAT, pair);
    assertProblem(await server.get("/channels/chat/a?last=1", bearer(token)), 503);
    idp.status = 200;
    while ((await server.get("/channels/chat/a?last=1", bearer(token))).status !== 200)
        assert.ok(idp.asked < 1000);
});

test("an address has its share of the tokens that wait for keys, and /stats counts them all", async (t) => {
    const idp = await keyServer(t);
    const pair = await pairOf("k1");
    let release;
    idp.held = new Promise((resolve) => { release = resolve; });
    idp.keys = [pair.jwk];
    const server = await startServer(t, { config: `${RULES}tokens:\n  - jwks_url: ${idp.url}\n  - secret: "${SECRET}"\n` +
        "trusted_proxies: [127.0.0.1]\nlimits: {jwks_address_max: 3}\n" });
    const token = await sign(READ_CHAT, pair);
    const admin = bearer(await sign([{ channels: ["**"], may: ["admin"] }]));
    const get = (address) => server.get("/channels/chat/a?last=1", { ...bearer(token), "X-Forwarded-For": address });
    const stats = async () => (await server.get("/stats", admin)).json().access.key_sets;
    const waiting = ["192.0.2.1", "192.0.2.1", "192.0.2.1", "192.0.2.2"].map(get);
    await eventually(async () => (await stats()).waiting === 4, "four tokens");
    const refused = await get("192.0.2.1");
    assertProblem(refused, 503);
    assert.match(refused.json().detail, /jwks_address_max/);
    assert.equal((await stats()).addresses, 2);
    release();
    for (const answer of await Promise.all(waiting))
        assert.equal(answer.status, 200);
    assert.deepEqual(await stats(), { fetched: 1, failed: 0, too_soon: 0, refused: 1, waiting: 0, addresses: 0 });
    assert.match((await server.get("/metrics", admin)).text, /^freshet_key_sets_refused_total 1$/m);
});

test("a stream ends when its token does", async (t) => {
    const server = await startServer(t, { config: BY_SECRET });
    const token = await sign(READ_CHAT, { ttl: "10s" });
    const headers = { ...bearer(token), Connection: "close" };
    const answer = await server.get("/channels/chat/a?stream=sse", headers); /* until it ends */
    assert.equal(answer.status, 200);
    assert.match(String(answer.bytes), /event: \$bye\nid: \d{16}\ndata: \{"reason":"expired"\}/);
    assertProblem(await server.get("/channels/chat/a?stream=sse", headers), 401);
});

test("a connection goes on under a newer token, and loses the channels that it does not grant", async (t) => {
    const server = await startServer(t, { config: BY_SECRET });
    const both = [{ channels: ["chat/**", "news"], may: ["read"] }];
    const socket = await Socket.open(t, server, "/events",
        { protocols: ["freshet.v1", `freshet.token.${await sign(both)}`] });
    let ref = 0;
    const ask = async (message) => {
        socket.send(JSON.stringify({ ...message, ref: ++ref }));
        for (;;) {
            const said = JSON.parse((await socket.next()).text);
            if (said.ref === ref)
                return said;
        }
    };
    assert.equal((await ask({ op: "subscribe", channels: ["chat/*", "news"] })).op, "ok");
    const refused = await ask({ op: "auth", token: await sign(both, { ttl: "-1s" }) });
    assert.equal(refused.problem.type, "/errors/bad-credential");
    const refreshed = await ask({ op: "auth", token: await sign(READ_CHAT) });
    assert.equal(refreshed.op, "ok");
    assert.deepEqual(refreshed.lost, ["news"]);
    assert.equal((await ask({ op: "subscribe", channels: ["news"] })).problem.type, "/errors/forbidden");
});
