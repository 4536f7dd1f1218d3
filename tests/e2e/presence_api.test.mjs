// GET /presence/{channel}, PUT /presence/{channel}/me and the operation `presence` of freshet.v1: who is there, what they say of
// themselves, and how far they have read.

import assert from "node:assert/strict";
import { once } from "node:events";
import http2 from "node:http2";
import * as jose from "jose";
import { assertProblem, assertTypeHasPage, deadline, eventually, openNdjson, startServer, sideBySide } from "./support/index.mjs";
import { Freshet, Socket, refusal } from "./support/ws.mjs";

const { test } = sideBySide(4);

const SECRET = "correct horse battery staple and more";
const ON = "namespaces: [{prefix: chat, presence: true, presence_grace_ms: 200}]\n";
const RULES = `
access: {anybody: []}
tokens: [{secret: "${SECRET}"}]
namespaces: [{prefix: chat, presence: true, presence_grace_ms: 200, access: {anybody: [read, presence]}}]
`;

function token(sub, may = ["read", "publish", "presence"], channels = ["chat/**"]) {
    return new jose.SignJWT({ freshet: { grants: [{ channels, may }] } }).setProtectedHeader({ alg: "HS256" }).setSubject(sub)
        .setExpirationTime("1h").sign(new TextEncoder().encode(SECRET));
}

const bearer = async (...of) => ({ Authorization: `Bearer ${await token(...of)}` });

async function list(server, channel, query = "", headers = {}) {
    const answer = await server.get(`/presence/${channel}${query}`, headers);
    assert.equal(answer.status, 200, answer.text);
    return answer.json();
}

const put = (server, channel, query, body, headers = {}) =>
    server.request("PUT", `/presence/${channel}/me${query}`, { body, headers });

/** Waits until the members of a channel are these, as "name connections". */
async function becomes(server, channel, wanted) {
    let found;
    await eventually(async () => {
        found = (await list(server, channel)).members.map(({ member, connections }) => `${member} ${connections}`).sort();
        return String(found) === String([...wanted].sort());
    }, `${wanted}`).catch((error) => assert.fail(`${error.message}; found ${found}`));
}

test("members come by every mechanism that reads one channel, and those without a name are counted", async (t) => {
    const server = await startServer(t, { config: ON });
    await server.sse("/channels/chat/a?as=alice");
    await server.ndjson("/channels/chat/a?as=bob");
    await server.raw("/events?channel=chat/a&as=carol");
    await Socket.open(t, server, "/channels/chat/a?as=dave");
    const v1 = await Freshet.open(t, server);
    await v1.subscribe(["chat/a"], { as: "eve" });
    const named = await Freshet.open(t, server, { path: "/events?as=frank" });
    await named.subscribe(["chat/a"]);
    const poll = server.get("/channels/chat/a?wait=50&as=grace");
    await server.ndjson("/channels/chat/a");
    await server.ndjson("/channels/chat/a?as=alice");
    await server.ndjson("/events?channel=chat/*&as=pattern");
    await becomes(server, "chat/a", ["alice 2", "bob 1", "carol 1", "dave 1", "eve 1", "frank 1", "grace 1"]);
    const page = await list(server, "chat/a");
    assert.deepEqual(Object.keys(page), ["channel", "count", "anonymous", "members", "more", "cursor"]);
    assert.deepEqual([page.channel, page.count, page.anonymous, page.more], ["chat/a", 7, 1, false]);
    assert.match(page.cursor, /^\d{16}$/);
    for (const member of page.members) {
        assert.deepEqual(Object.keys(member), ["member", "verified", "connections", "since"]);
        assert.equal(member.verified, false);
        assert.ok(Date.parse(member.since) > Date.now() - 3_600_000);
    }
    const counts = await list(server, "chat/a", "?list=0");
    assert.deepEqual([counts.count, counts.anonymous, counts.members], [7, 1, []]);
    await server.publish("chat/a", "end");
    assert.equal((await poll).status, 200);
});

test("the list is good up to its cursor, and the events behind that tell each change", async (t) => {
    const server = await startServer(t, { config: ON });
    const alice = await server.ndjson("/channels/chat/a?as=alice");
    await becomes(server, "chat/a", ["alice 1"]);
    const { cursor } = await list(server, "chat/a");
    const follower = await openNdjson(server, `/events?channel=$presence/chat/a&channel=$occupied/chat/a&stream=ndjson&after=${cursor}`);
    server.onStop(() => follower.close());
    const bob = await server.ndjson("/channels/chat/a?as=bob");
    await becomes(server, "chat/a", ["alice 1", "bob 1"]);
    assert.equal((await put(server, "chat/a", "?as=bob", { state: { n: 1 } })).status, 200);
    const { id } = await server.publish("chat/a", "x");
    assert.equal((await put(server, "chat/a", "?as=bob", { read: id })).status, 200);
    bob.close();
    alice.close();
    const seen = [];
    while (!seen.some(([type]) => type === "vacated")) {
        const { type, data } = await follower.event();
        seen.push([type, data]);
    }
    const of = (wanted) => seen.filter(([type]) => wanted === type).map(([, data]) => data);
    const who = { member: "bob", verified: false };
    assert.deepEqual(of("joined"), [who]);
    assert.deepEqual(of("updated"), [{ ...who, state: { n: 1 } }]);
    assert.deepEqual(of("read"), [{ ...who, read: id }]);
    assert.deepEqual(of("left").map(({ member }) => member).sort(), ["alice", "bob"]);
    assert.deepEqual(of("vacated"), [{ channel: "chat/a" }]);
});

test("a state takes membership, is JSON of at most 1 KiB, and null removes it", async (t) => {
    const server = await startServer(t, { config: ON });
    const away = await put(server, "chat/a", "?as=alice", { state: 1 });
    await assertTypeHasPage(server, assertProblem(away, 409));
    assert.match(away.json().type, /not-a-member$/);
    await server.ndjson("/channels/chat/a?as=alice");
    await becomes(server, "chat/a", ["alice 1"]);
    for (const state of [{ a: [1, "zwei"] }, "text", 0, false, [], `${"x".repeat(1022)}`]) {
        const answer = await put(server, "chat/a", "?as=alice", JSON.stringify({ state }));
        assert.equal(answer.status, 200, answer.text);
        assert.deepEqual(answer.json().state, state);
        assert.deepEqual((await list(server, "chat/a")).members[0].state, state);
    }
    const over = await put(server, "chat/a", "?as=alice", { state: "x".repeat(1023) });
    assertProblem(over, 413, /1024/);
    assertProblem(await put(server, "chat/a", "?as=alice", "x".repeat(5000)), 413);
    const gone = (await put(server, "chat/a", "?as=alice", { state: null })).json();
    assert.ok(!("state" in gone));
    assert.ok(!("state" in (await list(server, "chat/a")).members[0]));
    for (const [body, status] of [["", 400], ["{", 400], ["[]", 400], ["{}", 400], ['{"stat":1}', 400], ['{"state":1,"state":2}', 400],
        ['{"read":17}', 400], ['{"read":"x"}', 400], ['{"read":"0"}', 400], ['{"read":null}', 400], [`{"state":${"[".repeat(40)}${"]".repeat(40)}}`, 400]]) {
        assertProblem(await put(server, "chat/a", "?as=alice", body), status);
    }
    assertProblem(await put(server, "chat/a", "", { state: 1 }), 400, /as=NAME/);
    assertProblem(await put(server, "chat/a", "?as=", { state: 1 }), 400);
    assertProblem(await put(server, "chat/a", `?as=${"x".repeat(256)}`, { state: 1 }), 400);
    assertProblem(await put(server, "chat/a", "?as=alice&limit=1", { state: 1 }), 400, /limit/);
    assertProblem(await server.request("PUT", "/presence/chat/a", { body: { state: 1 } }), 404, /\/me/);
});

test("a state with line feeds is one line of a stream", async (t) => {
    const server = await startServer(t, { config: ON });
    await server.ndjson("/channels/chat/a?as=alice");
    const follower = await openNdjson(server, "/events?channel=$presence/chat/a&stream=ndjson&type=updated");
    server.onStop(() => follower.close());
    await becomes(server, "chat/a", ["alice 1"]);
    assert.equal((await put(server, "chat/a", "?as=alice", '{"state":{\r\n"a":\n1}}')).status, 200);
    assert.deepEqual((await follower.event()).data.state, { a: 1 });
});

test("a read mark moves forward alone, takes no membership, and survives a restart", async (t) => {
    const server = await startServer(t, { config: ON, data: true });
    const ids = [];
    for (let n = 0; n < 3; n++) {
        ids.push((await server.publish("chat/a", String(n))).id);
    }
    const read = async (id, status = 200) => {
        const answer = await put(server, "chat/a", "?as=alice", { read: id });
        assert.equal(answer.status, status, answer.text);
        return answer.json();
    };
    assert.equal((await read(ids[1])).read, ids[1]);
    assert.equal((await read(ids[0])).read, ids[1]);
    await read(String(Number(ids[2]) + 1000), 400);
    const away = await read(ids[2]);
    assert.deepEqual([away.read, away.connections, away.since], [ids[2], 0, undefined]);
    assert.deepEqual((await list(server, "chat/a")).members, []);
    const marks = [{ member: "alice", verified: false, read: ids[2] }];
    assert.deepEqual((await list(server, "chat/a", "?marks=1")).marks, marks);
    await server.kill();
    await server.start();
    assert.deepEqual((await list(server, "chat/a", "?marks=1")).marks, marks);
    assert.equal((await read(ids[0])).read, ids[2]);
    await server.ndjson("/channels/chat/a?as=alice");
    await becomes(server, "chat/a", ["alice 1"]);
    assert.equal((await list(server, "chat/a")).members[0].read, ids[2]);
});

test("pages of members and marks lead on by their link, and have each once", async (t) => {
    const server = await startServer(t, { config: RULES });
    const { id } = (await server.request("POST", "/channels/chat/a", { headers: await bearer("writer"), body: "x" })).json();
    const names = Array.from({ length: 23 }, (_, n) => `m&${String(n).padStart(2, "0")}`);
    for (const name of names) {
        await server.ndjson(`/channels/chat/a?as=${encodeURIComponent(name)}`);
        assert.equal((await put(server, "chat/a", `?as=${encodeURIComponent(name)}`, { read: id })).status, 200);
    }
    await server.ndjson("/channels/chat/a", { headers: await bearer("m&05") });
    await eventually(async () => (await list(server, "chat/a")).count === 24, "all members");
    const members = [], marks = [];
    let next = "?limit=5&marks=1&_x=1", pages = 0;
    for (; next; pages++) {
        const answer = await server.get(`/presence/chat/a${next}`);
        const page = answer.json();
        assert.ok(page.members.length <= 5 && page.marks.length <= 5);
        members.push(...page.members.map(({ member, verified }) => `${verified} ${member}`));
        marks.push(...page.marks.map(({ member }) => member));
        next = /<([^>]*)>; rel="next"/.exec(answer.headers.link ?? "")?.[1];
        assert.equal(Boolean(next), page.more || page.more_marks);
    }
    assert.equal(pages, 5);
    assert.deepEqual([...members].sort(), [...names.map((name) => `false ${name}`), "true m&05"].sort());
    assert.deepEqual([...marks].sort(), names);
});

test("a name beside another subject is refused on every read, and the subject itself is fine", async (t) => {
    const server = await startServer(t, { config: RULES });
    const headers = await bearer("alice");
    for (const target of ["/channels/chat/a?last=1", "/channels/chat/a?stream=sse", "/channels/chat/a?stream=ndjson", "/channels/chat/a?wait=1",
        "/events?channel=chat/a&stream=raw"]) {
        assertProblem(await server.get(`${target}&as=mallory`, headers), 400, /as/);
    }
    assertProblem(await put(server, "chat/a", "?as=mallory", { state: 1 }, headers), 400);
    assertProblem(await server.get("/presence/chat/a?as=mallory", headers), 400);
    for (const path of ["/channels/chat/a?as=mallory", "/events?channel=chat/a&as=mallory"]) {
        assert.equal((await refusal(server, path, { headers })).status, 400);
    }
    await server.ndjson("/channels/chat/a?as=alice", { headers });
    await server.ndjson("/channels/chat/a", { headers });
    await server.ndjson("/channels/chat/a?as=alice");
    await becomes(server, "chat/a", ["alice 1", "alice 2"]); /* the workers tell of their connections in any order */
    const { members } = await list(server, "chat/a");
    assert.deepEqual(members.map(({ member, verified, connections }) => [member, verified, connections]).sort((a, b) => a[2] - b[2]),
        [["alice", false, 1], ["alice", true, 2]]);
    const v1 = await Freshet.open(t, server, { headers });
    assert.equal((await v1.answer({ op: "subscribe", channels: ["chat/a"], as: "mallory" })).problem.status, 400);
    assert.equal((await v1.answer({ op: "presence", channel: "chat/a", state: 1, as: "mallory" })).problem.status, 400);
    assert.equal((await v1.answer({ op: "presence", channel: "chat/a", state: 1, as: "alice" })).verified, true);
});

test("a namespace without presence says which key to set", async (t) => {
    const server = await startServer(t, { config: ON });
    for (const answer of [await server.get("/presence/other"), await server.get("/presence/$presence/chat/a"),
        await put(server, "other", "?as=alice", { state: 1 })]) {
        const problem = assertProblem(answer, 404, /presence: true/);
        assert.match(problem.type, /no-presence$/);
        await assertTypeHasPage(server, problem);
    }
    const plain = await startServer(t);
    assertProblem(await plain.get("/presence/chat/a"), 404, /presence: true/);
    await plain.ndjson("/channels/chat/a?as=alice");
    const v1 = await Freshet.open(t, plain);
    assert.match((await v1.answer({ op: "presence", channel: "chat/a" })).problem.type, /no-presence$/);
});

test("names of channels are decoded as elsewhere, and malformed requests are refused", async (t) => {
    const server = await startServer(t, { config: ON });
    await server.ndjson("/channels/chat/a%20b/me?as=alice");
    await becomes(server, "chat/a%20b/me", ["alice 1"]);
    assert.equal((await list(server, "chat/a%20b/me")).channel, "chat/a b/me");
    assert.equal((await put(server, "chat/a%20b/me", "?as=alice", { state: 1 })).status, 200);
    for (const target of ["/presence", "/presence/", "/presence/chat/*", "/presence/chat//a", "/presence/chat/%2f"]) {
        assertProblem(await server.get(target), 400);
    }
    for (const query of ["limit=0", "limit=1001", "list=2", "afer_member=x", "after_member=", "marks=yes"]) {
        assertProblem(await server.get(`/presence/chat/a?${query}`), 400);
    }
});

test("HEAD, OPTIONS and preflights are as on other routes", async (t) => {
    const server = await startServer(t, { config: ON });
    const head = await server.request("HEAD", "/presence/chat/a");
    assert.deepEqual([head.status, head.bytes.length, head.headers["cache-control"]], [200, 0, "no-store"]);
    const options = await server.request("OPTIONS", "/presence/chat/a");
    assert.equal(options.status, 204);
    assert.deepEqual(options.headers.allow.split(", ").sort(), ["GET", "HEAD", "OPTIONS", "PUT"]);
    const page = { Origin: "http://localhost:3000" };
    const preflight = await server.request("OPTIONS", "/presence/chat/a/me", {
        headers: { ...page, "Access-Control-Request-Method": "PUT", "Access-Control-Request-Headers": "content-type" } });
    assert.match(preflight.headers["access-control-allow-methods"], /PUT/);
    const answer = await put(server, "chat/a", "?as=alice", { state: 1 }, page);
    assert.equal(answer.status, 409);
    assert.equal(answer.headers["access-control-allow-origin"], "http://localhost:3000");
    assertProblem(await server.request("POST", "/presence/chat/a", { body: "x" }), 405);
    assertProblem(await server.request("DELETE", "/presence/chat/a/me"), 405);
});

test("freshet.v1 asks and changes as HTTP does", async (t) => {
    const server = await startServer(t, { config: ON });
    const { id } = await server.publish("chat/a", "x");
    const v1 = await Freshet.open(t, server);
    assert.match((await v1.answer({ op: "presence", channel: "chat/a", state: 1, as: "eve" })).problem.type, /not-a-member$/);
    await v1.subscribe(["chat/a"], { as: "eve" });
    const changed = await v1.answer({ op: "presence", channel: "chat/a", state: { a: 1 }, read: id, as: "eve" });
    assert.equal(changed.op, "ok");
    assert.deepEqual([changed.member, changed.verified, changed.connections, changed.state, changed.read], ["eve", false, 1, { a: 1 }, id]);
    await eventually(async () => { /* the cursor moves on while changes are told */
        const { op, ref, ...told } = await v1.answer({ op: "presence", channel: "chat/a", marks: true });
        assert.equal(op, "presence");
        assert.deepEqual(told, await list(server, "chat/a", "?marks=1"));
        return true;
    }, "the same answer by both");
    assert.deepEqual((await v1.answer({ op: "presence", channel: "chat/a", list: false })).members, []);
    assert.deepEqual((await v1.answer({ op: "presence", channel: "chat/a", limit: 1, after_member: "eve", after_verified: false })).members, []);
    for (const message of [{ state: 1 }, { state: 1, as: "" }, { state: 1, as: 7 }, { read: 7, as: "eve" }, { read: id }, { limit: 0 }, { limit: 1001 },
        { limit: "5" }, { list: 0 }, { marks: 1 }, { after_member: 5 }, { channel: "chat/*" }, { channel: 5 }, { channel: undefined }, { types: ["x"] }]) {
        const answer = await v1.answer({ op: "presence", channel: "chat/a", ...message });
        assert.equal(answer.op, "error", JSON.stringify(message));
        assert.equal(answer.problem.status, 400, JSON.stringify(message));
    }
    assert.equal((await v1.answer({ op: "presence", channel: "chat/a", as: "eve", state: "x".repeat(1024) })).problem.status, 413);
    assert.equal((await v1.answer({ op: "ping" })).op, "pong");
});

test("the name of a handshake gives way to the subject that auth brings", async (t) => {
    const server = await startServer(t, { config: RULES });
    const v1 = await Freshet.open(t, server, { path: "/events?as=bob" });
    await v1.subscribe(["chat/a"]);
    await becomes(server, "chat/a", ["bob 1"]);
    assert.equal((await v1.answer({ op: "auth", token: await token("alice") })).op, "ok");
    await becomes(server, "chat/a", ["alice 1"]);
    await v1.subscribe(["chat/b"]);
    await becomes(server, "chat/b", ["alice 1"]);
    const changed = await v1.answer({ op: "presence", channel: "chat/b", state: 1 });
    assert.deepEqual([changed.member, changed.verified], ["alice", true]);
    assert.equal((await v1.answer({ op: "presence", channel: "chat/b", state: 1, as: "bob" })).problem.status, 400);
});

test("a connection that asks and leaves harms nobody, and one that asks too much at once is told so", async (t) => {
    const server = await startServer(t, { config: ON });
    for (let round = 0; round < 20; round++) {
        const v1 = await Freshet.open(t, server);
        for (let n = 0; n < 50; n++) {
            v1.ws.send(JSON.stringify({ op: "presence", channel: "chat/a", ref: n }));
        }
        v1.vanish();
    }
    const v1 = await Freshet.open(t, server, { path: "/events?channel=chat/a&as=eve" });
    await becomes(server, "chat/a", ["eve 1"]);
    for (let n = 0; n < 500; n++) {
        v1.ws.send(JSON.stringify({ op: "presence", channel: "chat/a", state: n, ref: n }));
    }
    const answers = [];
    while (answers.length < 500) {
        const message = await v1.json("an answer");
        if ("ref" in message && message.op !== "live")
            answers.push(message);
    }
    for (const { op, problem } of answers) {
        assert.ok(op === "ok" || problem.status === 429, JSON.stringify(problem));
    }
    assert.ok(answers.some(({ op }) => op === "ok"));
});

test("rights are asked for on the channel: presence for all, read too for a mark", async (t) => {
    const server = await startServer(t, { config: `access: {anybody: []}\ntokens: [{secret: "${SECRET}"}]\nnamespaces: [{prefix: chat, presence: true}]\n` });
    const { id } = (await server.request("POST", "/channels/chat/a", { headers: await bearer("writer"), body: "x" })).json();
    const sees = await bearer("alice", ["presence"]), reads = await bearer("alice", ["read"]);
    assertProblem(await server.get("/presence/chat/a"), 401, /presence/);
    assertProblem(await server.get("/presence/chat/a", reads), 403, /presence/);
    assertProblem(await put(server, "chat/a", "", "{", reads), 403, /presence/);
    assert.equal((await server.get("/presence/chat/a", sees)).status, 200);
    assertProblem(await put(server, "chat/a", "", { read: id }, sees), 403, /read/);
    assertProblem(await put(server, "chat/a", "", { state: 1 }, sees), 409);
    assert.equal((await put(server, "chat/a", "", { read: id }, await bearer("alice"))).json().verified, true);
    assert.equal((await server.get("/channels/$presence/chat/a?last=5", sees)).status, 200);
    assertProblem(await server.get("/channels/$presence/chat/a?last=5", reads), 403);
    assertProblem(await server.get("/events?channel=$presence/chat/*&last=5", await bearer("alice", ["presence"], ["chat/a"])), 403);
    assert.equal((await server.get("/events?channel=$presence/chat/*&last=5", sees)).status, 200);
    const v1 = await Freshet.open(t, server, { headers: sees });
    assert.equal((await v1.answer({ op: "presence", channel: "chat/a" })).op, "presence");
    assert.equal((await v1.answer({ op: "presence", channel: "chat/a", read: id })).problem.may, "read");
    assert.equal((await v1.answer({ op: "presence", channel: "other" })).problem.status, 403);
});

test("changes count against the rates of publishing", async (t) => {
    const server = await startServer(t, { config: `rates: {channel: {events: 1}, window_s: 10}\n${ON}` });
    await server.ndjson("/channels/chat/a?as=alice");
    await becomes(server, "chat/a", ["alice 1"]);
    const answers = await Promise.all(Array.from({ length: 30 }, (_, n) => put(server, "chat/a", "?as=alice", { state: n })));
    const answer = answers.find(({ status }) => status === 429);
    assertProblem(answer, 429, /wait/);
    assert.ok(Number(answer.headers["retry-after"]) > 0);
    assert.match(answer.headers["ratelimit-policy"], /channel-events/);
});

test("HTTP/2 answers as HTTP/1.1 does", async (t) => {
    const server = await startServer(t, { config: ON });
    const session = http2.connect(server.url);
    session.on("error", () => {});
    server.onStop(() => session.destroy());
    t.after(() => session.destroy());
    const ask = async (headers, body) => {
        const stream = session.request(headers);
        stream.end(body);
        const [head] = await deadline(once(stream, "response"), "a response");
        stream.setEncoding("utf8");
        let text = "";
        for await (const part of stream) {
            text += part;
        }
        return { status: head[":status"], text };
    };
    const follower = session.request({ ":path": "/channels/chat/a?stream=ndjson&as=alice" });
    await deadline(once(follower, "response"), "the stream");
    await becomes(server, "chat/a", ["alice 1"]);
    const changed = await ask({ ":method": "PUT", ":path": "/presence/chat/a/me?as=alice" }, '{"state":2}');
    assert.deepEqual([changed.status, JSON.parse(changed.text).state], [200, 2]);
    await eventually(async () => { /* the cursor moves on while changes are told */
        const told = await ask({ ":path": "/presence/chat/a" });
        assert.equal(told.text.trim(), JSON.stringify(await list(server, "chat/a")));
        return true;
    }, "the same answer by both");
    follower.close();
    await becomes(server, "chat/a", []);
});
