// Who is subscribed: the list of all workers, its filters and pages, who is behind, and the end of a single subscription.

import assert from "node:assert/strict";
import http2 from "node:http2";
import { RawConn, eventually, startServer, test } from "./support/index.mjs";
import { beforeServersStop } from "./support/server.mjs";
import { Freshet, Socket } from "./support/ws.mjs";

const NAME = /^[0-9a-f]{24}$/;

async function list(server, query = "", headers = {}) {
    const answer = await server.get(`/subscribers${query}`, headers);
    assert.equal(answer.status, 200, answer.text);
    return answer.json();
}

/** All pages of a list. */
async function all(server, query = "?limit=1000") {
    const found = [];
    for (let page = await list(server, query); ; page = await list(server, `${query}&after=${page.next}`)) {
        found.push(...page.subscribers);
        if (!page.next) {
            return found;
        }
    }
}

const poll = (server, path) => server.get(`${path}?after=now&wait=50`).catch(() => {});

/** Subscribers by every mechanism, over two workers. */
async function crowd(t, config) {
    const server = await startServer(t, { args: ["--threads", "2"], config });
    const streams = [];
    for (let i = 0; i < 4; i++) {
        streams.push(await server.sse("/channels/news"));
    }
    streams.push(await server.ndjson("/events?channel=chat/**&channel=news"));
    poll(server, "/channels/weather");
    await Socket.open(t, server, "/channels/chat/17");
    const freshet = await Freshet.open(t, server);
    await freshet.subscribe(["deep/*", "news"]);
    await eventually(async () => (await all(server)).filter(({ channels }) => channels.length).length === 8, "all eight");
    return { server, streams };
}

test("every mechanism is listed, once, with its channels and address", async (t) => {
    const { server } = await crowd(t);
    const found = await all(server);
    assert.deepEqual(found.map(({ mechanism }) => mechanism).sort(), ["ndjson", "poll", "sse", "sse", "sse", "sse", "ws", "ws"]);
    assert.equal(new Set(found.map(({ id }) => id)).size, 8);
    for (const { id, connection, address, since, behind, cursor } of found) {
        assert.match(id, NAME);
        assert.equal(connection, id);
        assert.equal(address, "127.0.0.1");
        assert.ok(Math.abs(Date.parse(since) - Date.now()) < 60_000, since);
        assert.equal(behind, false);
        assert.match(cursor ?? "0000000000000000", /^\d{16}$/);
    }
    const of = (mechanism) => found.filter((one) => one.mechanism === mechanism).map(({ channels }) => channels.join());
    assert.deepEqual(of("ndjson"), ["news,chat/**"]);
    assert.deepEqual(of("poll"), ["weather"]);
    assert.deepEqual(of("ws").sort(), ["chat/17", "news,deep/*"]);
    assert.equal(found.find(({ protocol }) => protocol === "freshet.v1").mechanism, "ws");
});

test("filters and pages agree with the whole", async (t) => {
    const { server } = await crowd(t);
    const whole = (await all(server)).map(({ id }) => id);
    for (const limit of [1, 3, 7, 8]) {
        assert.deepEqual((await all(server, `?limit=${limit}`)).map(({ id }) => id), whole, `limit=${limit}`);
    }
    for (const [query, count] of [["channel=news", 6], ["channel=chat/17", 2], ["channel=deep/x", 1], ["mechanism=sse", 4], ["mechanism=ws", 2],
        ["mechanism=freshet.v1", 1], ["address=127.0.0.1", 8], ["address=192.0.2.1", 0], ["behind=1", 0], ["behind=0", 8], ["subject=alice", 0],
        ["channel=news&mechanism=ndjson", 1]]) {
        assert.equal((await all(server, `?${query}`)).length, count, query);
    }
    for (const query of ["limit=0", "limit=1001", "mechanism=ftp", "behind=maybe", "after=x", "channel=a//b", "address=host", "colour=red"]) {
        assert.equal((await server.get(`/subscribers?${query}`)).status, 400, query);
    }
});

test("a single subscription is ended by its id, and no other", async (t) => {
    const { server, streams } = await crowd(t);
    const { connection } = (await all(server, "?mechanism=ndjson"))[0];
    const answer = await server.request("DELETE", `/subscribers?id=${connection}`);
    assert.deepEqual(answer.json(), { disconnected: 1 });
    const records = await streams[4].rest();
    assert.deepEqual([records.at(-1).op, records.at(-1).reason], ["bye", "disconnected"]);
    await eventually(async () => (await all(server)).length === 7, "it to be gone");
    assert.deepEqual((await server.request("DELETE", `/subscribers?id=${connection}`)).json(), { disconnected: 0 });
    assert.equal((await server.request("DELETE", "/subscribers?id=nobody")).status, 400);
});

test("a subscriber that does not read is behind, and by how much", async (t) => {
    const server = await startServer(t, { args: ["--threads", "1"] });
    const deaf = await RawConn.open(server.port);
    await deaf.send("GET /channels/big?stream=sse HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n");
    deaf.socket.pause();
    beforeServersStop(t, () => deaf.socket.destroy());
    await eventually(async () => (await all(server)).length === 1, "the subscriber");
    const data = "x".repeat(500_000);
    for (let i = 0; i < 40; i++) { /* more than the buffers of a socket hold */
        await server.publish("big", data);
    }
    await eventually(async () => (await all(server, "?behind=1")).length === 1, "it to fall behind");
    for (let i = 0; i < 5; i++) {
        await server.publish("big", "small");
    }
    const [one] = await all(server, "?behind=1");
    assert.ok(one.behind_events >= 5, JSON.stringify(one));
    assert.equal((await all(server, "?behind=0")).length, 0);
});

test("streams of one HTTP/2 connection are told apart", async (t) => {
    const server = await startServer(t);
    const session = http2.connect(server.url);
    beforeServersStop(t, () => session.destroy());
    const open = [1, 2, 3].map((n) => session.request({ ":path": `/channels/n${n}?stream=sse` }));
    open.forEach((stream) => stream.on("error", () => {}).resume());
    await eventually(async () => (await all(server)).length === 3, "three streams");
    const found = await all(server);
    assert.equal(new Set(found.map(({ connection }) => connection)).size, 1);
    assert.equal(new Set(found.map(({ id }) => id)).size, 3);
    const ended = new Promise((resolve) => open[1].on("end", resolve));
    const { id } = found.find(({ channels }) => channels[0] === "n2");
    assert.deepEqual((await server.request("DELETE", `/subscribers?id=${id}`)).json(), { disconnected: 1 });
    await ended;
    await eventually(async () => (await all(server)).map(({ channels }) => channels[0]).sort().join() === "n1,n3", "the others to be left");
});

test("a list of many subscribers is whole, and nobody waits for it", async (t) => {
    const server = await startServer(t, { args: ["--threads", "2"] });
    const MANY = 1500;
    const conns = [];
    beforeServersStop(t, () => conns.forEach((conn) => conn.socket.destroy()));
    for (let i = 0; i < MANY; i += 100) {
        conns.push(...await Promise.all(Array.from({ length: 100 }, () => RawConn.open(server.port))));
        await Promise.all(conns.slice(i).map((conn) => conn.send("GET /channels/many?stream=sse HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")));
    }
    await eventually(async () => (await all(server)).length === MANY, "all of them");
    const found = await all(server, "?limit=400");
    assert.equal(new Set(found.map(({ id }) => id)).size, MANY);
    assert.equal((await list(server, "?limit=1000")).subscribers.length, 1000);
});

test("with access rules the list has subjects, and takes admin", async (t) => {
    const server = await startServer(t, { args: ["--threads", "2"],
        config: "tokens:\n  - {secret: 0123456789abcdef0123456789abcdef, algorithm: HS256}\naccess: {anybody: [read]}\n" });
    const { createHmac } = await import("node:crypto");
    const token = (claims) => {
        const text = [{ alg: "HS256" }, { exp: Math.floor(Date.now() / 1000) + 600, ...claims }].map((part) => Buffer.from(JSON.stringify(part)).toString("base64url")).join(".");
        return `${text}.${createHmac("sha256", "0123456789abcdef0123456789abcdef").update(text).digest("base64url")}`;
    };
    const bearer = (claims) => ({ Authorization: `Bearer ${token(claims)}` });
    const root = bearer({ sub: "root", freshet: { grants: [{ channels: ["**"], may: ["admin"] }] } });
    const alice = await server.sse("/channels/news", { headers: bearer({ sub: "alice", freshet: { grants: [] } }) });
    await server.sse("/channels/news");
    await eventually(async () => (await list(server, "", root)).subscribers.length === 2, "both");
    const { subscribers: [found, ...others] } = await list(server, "?subject=alice", root);
    assert.equal(others.length, 0);
    assert.equal(found.subject, "alice");
    assert.equal(found.credential, "token");
    assert.ok(found.expires > new Date().toISOString());
    assert.equal((await server.get("/subscribers")).status, 401);
    assert.equal((await server.get("/subscribers", bearer({ sub: "alice", freshet: { grants: [{ channels: ["**"], may: ["read"] }] } }))).status, 403);
    assert.deepEqual((await server.request("DELETE", `/subscribers?id=${found.id}`, { headers: root })).json(), { disconnected: 1 });
    await alice.rest();
});
