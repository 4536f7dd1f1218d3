// Access over HTTP/2: streams and WebSockets (RFC 8441) of one connection have each the rights of their own credential.

import assert from "node:assert/strict";
import { once } from "node:events";
import http from "node:http";
import * as jose from "jose";
import { deadline, eventually, sideBySide, startServer } from "./support/index.mjs";
import { ask, connect, follow, publish, socket } from "./support/h2.mjs";

const { test } = sideBySide(4);

const SECRET = "correct horse battery staple and more";
const CONFIG = `access: {anybody: [], cookie: session}
origins: [https://app.example, "https://*.shop.example"]
tokens: [{secret: "${SECRET}", leeway_s: 0}]
`;
const APP = "https://app.example";

function sign(grants, { sub = "alice", jti, ttl = "1h" } = {}) {
    const claims = { freshet: { grants: Object.entries(grants).map(([may, channels]) => ({ channels: [channels].flat(), may: [may] })) } };
    return new jose.SignJWT(jti ? { ...claims, jti } : claims).setProtectedHeader({ alg: "HS256" }).setSubject(sub)
        .setIssuedAt().setExpirationTime(ttl).sign(new TextEncoder().encode(SECRET));
}

const bearer = (token) => ({ authorization: `Bearer ${token}` });

async function admin() {
    return bearer(await sign({ admin: "**", publish: "**", read: "**" }, { sub: "root" }));
}

async function send(session, method, path, body) {
    const answer = await ask(session, { ":method": method, ":path": path, ...await admin() }, body && JSON.stringify(body));
    assert.ok(answer.status < 300, answer.body);
    return answer;
}

async function subscribersOf(session, mechanism) {
    return JSON.parse((await send(session, "GET", "/stats")).body).subscribers[mechanism];
}

/** What the answer to an extended CONNECT says that opens nothing. */
function knock(session, path, headers = {}) {
    return ask(session, { ":method": "CONNECT", ":protocol": "websocket", ":path": path, "sec-websocket-version": "13", ...headers });
}

async function closeOf(session, path, headers) {
    return deadline((await socket(session, path, headers)).closed, "the close code");
}

/** A freshet.v1 connection: `say` answers what came for its ref. */
async function freshet(session, headers = {}, protocols = "freshet.v1") {
    const it = await socket(session, "/events", { "sec-websocket-protocol": protocols, ...headers });
    const said = () => it.messages.map((text) => JSON.parse(text));
    let ref = 0;
    it.said = said;
    it.say = async (message) => {
        const own = ++ref;
        it.ws.send(JSON.stringify({ ...message, ref: own }));
        return eventually(() => said().find((answer) => answer.ref === own), "an answer");
    };
    return it;
}

test("a credential counts in each of its places, a cookie in several fields too", async (t) => {
    const server = await startServer(t, { config: CONFIG });
    const session = await connect(t, server);
    const token = await sign({ read: "a", publish: "a" });
    const cookies = { cookie: ["x=1", `session=${token}`, "y=2"] };
    const places = [["", bearer(token)], [`?token=${token}`, {}], ["", cookies], ["", { ...cookies, origin: APP }]];
    for (const [query, headers] of places) {
        assert.equal((await ask(session, { ":path": `/channels/a${query}`, ...headers })).status, 200);
        assert.equal((await ask(session, { ":path": "/channels/a" })).status, 401, "the request behind it has none");
        const one = await socket(session, `/channels/a${query}`, headers);
        one.ws.send("hello");
        await eventually(() => one.messages.length === 1, "its own message");
        one.ws.close();
        assert.equal((await knock(session, "/channels/a")).status, 401);
    }
    const v1 = await freshet(session, {}, `freshet.v1, freshet.token.${token}`);
    assert.equal(v1.head["sec-websocket-protocol"], "freshet.v1");
    assert.equal((await v1.say({ op: "subscribe", channels: ["a"] })).op, "ok");
    const later = await freshet(session);
    assert.equal((await later.say({ op: "subscribe", channels: ["a"] })).problem.status, 401);
    assert.equal((await later.say({ op: "auth", token })).op, "ok");
    assert.equal((await later.say({ op: "subscribe", channels: ["a"] })).op, "ok");
    assert.deepEqual((await later.say({ op: "auth", token: await sign({ read: "b" }) })).lost, ["a"]);
});

test("a cookie opens a WebSocket to pages of origins in full alone", async (t) => {
    const server = await startServer(t, { config: CONFIG });
    const session = await connect(t, server);
    const cookie = [`session=${await sign({ read: "a" })}`];
    for (const [origin, code] of [["https://x.shop.example", 4401], ["https://evil.example", 4403], ["null", 4403]]) {
        assert.equal(await closeOf(session, "/channels/a", { cookie, origin }), code);
    }
    assert.equal((await knock(session, "/channels/a", { cookie, "sec-fetch-site": "cross-site" })).status, 403);
    assert.equal((await knock(session, "/channels/a", { cookie, "sec-fetch-site": "same-site" })).status, 401);
    assert.equal((await knock(session, "/channels/a", { cookie, ":authority": "evil.example" })).status, 403);
    await socket(session, "/channels/a", { cookie, origin: APP });
});

test("trailers bring no credential", async (t) => {
    const server = await startServer(t, { config: CONFIG });
    const session = await connect(t, server);
    const token = await sign({ publish: "a" });
    const stream = session.request({ ":method": "POST", ":path": "/channels/a" }, { waitForTrailers: true });
    stream.on("wantTrailers", () => stream.sendTrailers(bearer(token)));
    stream.end("hello");
    const [head] = await deadline(once(stream, "response"), "an answer");
    assert.equal(head[":status"], 401);
});

test("each stream of a connection gets what its own credential grants", async (t) => {
    const server = await startServer(t, { config: CONFIG });
    const session = await connect(t, server);
    const open = async (name) => {
        const rights = bearer(await sign({ read: name }, { sub: name }));
        const v1 = await freshet(session, rights);
        assert.equal((await v1.say({ op: "subscribe", channels: [name] })).op, "ok");
        assert.equal((await v1.say({ op: "subscribe", channels: ["**"] })).problem.status, 403);
        return { name, rights, v1, sse: await follow(session, `/channels/${name}?stream=sse`, rights), ws: await socket(session, `/channels/${name}`, rights) };
    };
    const all = [await open("a"), await open("b")];
    for (const [from, to] of [["a", "b"], ["b", "a"]]) {
        const { rights } = all.find(({ name }) => name === from);
        for (const path of [`/channels/${to}`, `/channels/${to}?stream=sse`, `/channels/${to}?wait=20`, `/events?channel=a&channel=b`]) {
            assert.equal((await ask(session, { ":path": path, ...rights })).status, 403, path);
        }
        assert.equal((await knock(session, `/channels/${to}`, rights)).status, 403);
        assert.equal((await publish(session, from, "x", rights)).status, 403);
    }
    for (const text of ["to-a", "to-b", "end-a", "end-b"]) {
        assert.equal((await publish(session, text.at(-1), text, await admin())).status, 201);
    }
    for (const { name, v1, sse, ws } of all) {
        const heard = () => [sse.text, ws.messages.join(), v1.messages.join()];
        await eventually(() => heard().every((text) => text.includes(`end-${name}`)), "the last event");
        const other = name === "a" ? "b" : "a";
        for (const text of heard()) {
            assert.ok(text.includes(`to-${name}`) && !text.includes(`to-${other}`), text);
        }
    }
});

const endings = {
    "a revocation of the token": ({ session }) => send(session, "POST", "/revocations", { jti: "t-1" }),
    "a revocation of the subject": ({ session }) => send(session, "POST", "/revocations", { subject: "alice" }),
    "a request to disconnect": ({ session }) => send(session, "DELETE", "/subscribers?subject=alice"),
    "the end of the token's time": () => {},
};
for (const [what, end] of Object.entries(endings)) {
    test(`${what} ends the streams under it, and neither their connection nor others`, async (t) => {
        const server = await startServer(t, { config: CONFIG });
        const session = await connect(t, server);
        const open = async (headers) => ({
            sse: await follow(session, "/channels/a?stream=sse", headers), ws: await socket(session, "/channels/a", headers),
            v1: await freshet(session, headers), poll: ask(session, { ":path": "/channels/a?after=now&wait=50", ...headers }),
        });
        const expires = what.startsWith("the end");
        const alice = await open(bearer(await sign({ read: "a" }, { jti: "t-1", ttl: expires ? "15s" : "1h" })));
        const bob = await open(bearer(await sign({ read: "a" }, { sub: "bob", jti: "t-2" })));
        await eventually(async () => (await subscribersOf(session, "poll")) === 2, "the polls to wait");
        await end({ session });
        await deadline(alice.sse.ended, "the end of the stream");
        assert.match(alice.sse.text, /event: \$bye/);
        assert.equal(await deadline(alice.ws.closed, "the close of the WebSocket"), 4401);
        assert.equal(await deadline(alice.v1.closed, "the close of freshet.v1"), 4401);
        assert.equal((await alice.poll).status, 200);
        assert.equal((await publish(session, "a", "still here", await admin())).status, 201);
        assert.equal((await bob.poll).status, 200);
        await eventually(() => bob.sse.text.includes("still here") && bob.ws.messages.length === 1, "an event for the others");
        assert.ok(!alice.sse.text.includes("still here"));
    });
}

/** A site that is asked, and answers once it may. */
async function startSite(t) {
    const it = { asked: [], may: undefined };
    const server = http.createServer(async (request, response) => {
        let text = "";
        for await (const part of request) {
            text += part;
        }
        it.asked.push(JSON.parse(text));
        await it.may;
        response.end(JSON.stringify({ allow: true, subject: "alice" }));
    });
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    t.after(() => server.close().closeAllConnections());
    it.url = `http://127.0.0.1:${server.address().port}/may`;
    return it;
}

test("a WebSocket that waits for the site goes on with what it has said, and leaves nothing when it is reset", async (t) => {
    const site = await startSite(t);
    let answer;
    site.may = new Promise((resolve) => (answer = resolve));
    const secret = `whsec_${Buffer.alloc(32, 7).toString("base64")}`;
    const server = await startServer(t, { config: `${CONFIG}namespaces:
  - {prefix: users, authorize: {url: "${site.url}", secret: "${secret}", timeout_ms: 60000}}
` });
    const session = await connect(t, server);
    const begin = (name) => session.request({
        ":method": "CONNECT", ":protocol": "websocket", ":path": `/channels/users/${name}`, "sec-websocket-version": "13",
        cookie: ["sid=1", "x=2"], origin: APP,
    });
    const waits = begin("a"), gone = begin("b");
    gone.on("error", () => {});
    await eventually(() => site.asked.length === 2, "two questions");
    assert.equal(site.asked[0].headers.cookie, "sid=1; x=2");
    waits.write(Buffer.from([0x81, 0x82, 0, 0, 0, 0, 0x68, 0x69])); /* "hi", masked by zeroes */
    gone.close();
    assert.equal((await ask(session, { ":path": "/healthz" })).status, 200);
    answer();
    const [head] = await deadline(once(waits, "response"), "the handshake");
    assert.equal(head[":status"], 200);
    let got = "";
    waits.setEncoding("latin1").on("data", (text) => (got += text));
    await eventually(() => got.includes('"data":"hi"'), "its own message");
    assert.equal(await subscribersOf(session, "ws"), 1);
});
