// The configurations of docs/proxies.md, as they stand there, in front of the program: every mechanism, restarts, silence.

import assert from "node:assert/strict";
import http2 from "node:http2";
import https from "node:https";
import { EventSource } from "eventsource";
import WebSocket from "ws";
import {
    assertProblem, deadline, encodeChannel, eventually, openNdjson, openRaw, openSse, publish, rawRequest, request, startProxy, startServer, stats, test,
} from "./support/index.mjs";
import { Follower, MECHANISMS } from "./support/follow.mjs";
import { changedBy, CONFIG, lacks, PROXIES, startFront } from "./support/fronts.mjs";
import { freePort } from "./support/program.mjs";
import { Receiver } from "./support/receiver.mjs";
import { Freshet, Socket } from "./support/ws.mjs";

const SECRET = "a-secret-of-this-test";
const BODY_MAX = 4 * 1024 * 1024;

/* The document's lines end within `limits`. */
const ALL = `${CONFIG}  body_max: 4MiB
inbound:
  - {source: door, kind: token, secrets: [${SECRET}]}
`;

const PATIENCE_MS = 90_000; /* an EventSource takes up to 5 seconds to come back, twice if need be */

/** A server on a port to which it comes back, and the proxy before it. */
async function start(t, name, { args, change } = {}) {
    const server = await startServer(t, { data: true, listen: `127.0.0.1:${await freePort()}`, config: ALL, args });
    return { server, front: await startFront(t, name, server, { change }) };
}

/** One test for each proxy. */
function each(name, fn) {
    for (const proxy of PROXIES) {
        test(`${proxy}: ${name}`, { skip: lacks(proxy) }, (t) => fn(t, proxy));
    }
}

each("each event is there by every mechanism before the next is published", async (t, name) => {
    const { front } = await start(t, name);
    const receiver = await Receiver.start(t);
    const registered = await request(front, "POST", "/webhooks", { body: { url: receiver.url, channels: ["a"] } });
    assert.equal(registered.status, 201, registered.text);
    const streams = [await openSse(front, "/channels/a"), await openNdjson(front, "/channels/a")];
    const raw = await openRaw(front, "/channels/a");
    const socket = await Socket.open(t, front, "/channels/a");
    const freshet = await Freshet.open(t, front);
    await freshet.subscribe(["a"]);
    const publisher = await Freshet.open(t, front);
    let next = "?after=now&wait=55";
    const everywhere = async (poll, data) => {
        for (const stream of streams) {
            const event = await stream.event();
            assert.ok(event.data === data, JSON.stringify(event));
        }
        assert.equal(String(await raw.notBeat()), data);
        assert.equal((await socket.event()).data, data);
        assert.equal((await freshet.pushed(1))[0].data, data);
        const { events, next: link } = (await poll).json();
        assert.deepEqual(events.map((event) => event.data), [data]);
        next = link;
    };
    const before = await request(front, "GET", "/channels/a");
    next = `?after=${before.json().cursor}&wait=55`;
    const poll = () => request(front, "GET", `/channels/a${next}`);
    for (let n = 0; n < 5; n++) {
        const waiting = poll();
        await publish(front, "a", `event ${n}`);
        await everywhere(waiting, `event ${n}`);
        assert.equal((await receiver.events(n + 1)).length, n + 1);
    }
    let waiting = poll();
    await socket.send("by the socket of a channel");
    await everywhere(waiting, "by the socket of a channel");
    waiting = poll();
    assert.equal((await publisher.answer({ op: "publish", channel: "a", data: "by freshet.v1" })).op, "ok");
    await everywhere(waiting, "by freshet.v1");
});

each("a webhook of somebody else's comes in", async (t, name) => {
    const { server, front } = await start(t, name);
    const deliver = (token) => request(front, "POST", "/inbound/door",
        { body: { hello: "world" }, headers: { Authorization: `Bearer ${token}` } });
    const answer = await deliver(SECRET);
    assert.equal(answer.status, 201, answer.text);
    assert.deepEqual((await server.history("door"))[0].data, { hello: "world" });
    assertProblem(await deliver("wrong"), 403);
});

/** A client that begins anew from its cursor whenever its connection ends: the data that it got, in order. */
function comesBack(t, server, front, via) {
    const got = { data: [] };
    let stopped = false;
    let follower;
    const stop = () => {
        stopped = true;
        follower?.stop();
    };
    const begin = (cursor) => {
        follower = new Follower(front, via, { channels: ["a"] }, { after: cursor, keep: false, onEvent: (event) => got.data.push(event.data) });
        const mine = follower;
        mine.ended.then(() => !stopped && setTimeout(begin, 100, mine.cursor));
    };
    begin("earliest");
    server.onStop(stop);
    t.after(stop);
    return got;
}

/** An EventSource by a client that nobody here wrote, which is as strict as browsers are. */
function eventSource(t, server, url) {
    const source = new EventSource(`${url}/channels/a?after=earliest`);
    const got = { source, data: [] };
    source.onmessage = ({ data }) => got.data.push(data);
    server.onStop(() => source.close());
    t.after(() => source.close());
    return got;
}

each("over a kill -9 of freshet nobody misses anything or gets anything twice", async (t, name) => {
    const { server, front } = await start(t, name);
    const tap = await startProxy(front);
    const readers = [eventSource(t, server, tap.url), ...MECHANISMS.map((via) => comesBack(t, server, front, via))];
    const wanted = [];
    const publishSome = async (what) => {
        for (let n = 0; n < 10; n++) {
            wanted.push(`${what} ${n}`);
            await server.publish("a", wanted.at(-1));
        }
        await eventually(() => readers.every(({ data }) => data.length >= wanted.length),
            `all to have ${wanted.length} events`, PATIENCE_MS);
    };
    await publishSome("before");
    await server.kill();
    const { gets } = tap;
    await eventually(() => tap.gets > gets, "the EventSource to come while freshet is away", PATIENCE_MS);
    await server.start();
    await publishSome("after");
    for (const { data } of readers) {
        assert.deepEqual(data, wanted);
    }
    assert.equal(readers[0].source.readyState, EventSource.OPEN);
});

/* The configurations wait up to 30 seconds for freshet; nobody needs to see that. */
const impatient = (text) => text.replace("lb_try_duration 30s", "lb_try_duration 300ms").replace("retries 30", "retries 1");

each("while freshet is away an EventSource is answered 200, and others 503", async (t, name) => {
    const { server, front } = await start(t, name, { change: impatient });
    const origin = { Origin: "https://app.example" };
    await server.kill();
    const events = await request(front, "GET", "/channels/a", { headers: { ...origin, Accept: "text/event-stream" } });
    assert.equal(events.status, 200, events.text);
    assert.match(events.headers["content-type"], /^text\/event-stream\b/);
    assert.match(events.text, /^retry: \d+\n\n/);
    assert.equal(events.headers["access-control-allow-origin"], origin.Origin);
    for (const method of ["GET", "POST"]) {
        const answer = await request(front, method, "/channels/a", { headers: { ...origin, "Content-Type": "text/plain" }, body: method === "POST" ? "lost" : undefined });
        assert.ok([502, 503].includes(answer.status), `${method}: ${answer.status}`);
        assert.equal(answer.headers["access-control-allow-origin"], origin.Origin, method);
    }
    const reader = eventSource(t, server, front.url);
    await eventually(() => reader.source.readyState === EventSource.CONNECTING, "the EventSource to be waiting");
    await server.start();
    await server.publish("a", "back");
    await eventually(() => reader.data.length > 0, "the EventSource to come back", PATIENCE_MS);
    assert.deepEqual(reader.data, ["back"]);
});

test("haproxy: a publish that meets a restart waits for it and is published once", { skip: lacks("haproxy") }, async (t) => {
    const { server, front } = await start(t, "haproxy");
    await server.kill();
    const published = publish(front, "a", "patient");
    await server.start();
    const { id } = await published;
    assert.deepEqual((await server.history("a")).map((event) => [event.id, event.data]), [[id, "patient"]]);
});

each("a body as large as body_max goes through, and freshet itself refuses a larger one", async (t, name) => {
    const { server, front } = await start(t, name);
    const { id } = await publish(front, "a", "x".repeat(BODY_MAX));
    const [event] = await server.history("a");
    assert.equal(event.id, id);
    assert.equal(event.data.length, BODY_MAX);
    assertProblem(await request(front, "POST", "/channels/a", { body: "x".repeat(BODY_MAX + 1), headers: { "Content-Type": "text/plain" } }), 413);
});

each("a reader that leaves takes its place in freshet along", async (t, name) => {
    const { server, front } = await start(t, name);
    const readers = [await openSse(front, "/channels/a"), await openNdjson(front, "/channels/a"), await Socket.open(t, front, "/channels/a")];
    readers.forEach((reader) => reader.vanish ? reader.vanish() : reader.close());
    await eventually(async () => {
        if (name === "apache") {
            await server.publish("a", "Apache notices when it writes");
        }
        const { subscribers } = await stats(server);
        return subscribers.sse + subscribers.ndjson + subscribers.ws === 0;
    }, "nobody to be left");
});

each("names of channels and queries come through as they were sent", async (t, name) => {
    const { server, front } = await start(t, name);
    for (const channel of ["a b/c", "päß/Ω", "100%/x", "q?/#", "semi;colon/a=b&c", "plus+/:@", "a%2Fb"]) {
        const { id } = await publish(front, channel, "x");
        assert.equal((await server.history(channel))[0]?.id, id, channel);
        const { events } = (await request(front, "GET", `/events?channel=${encodeURIComponent(channel)}&limit=1`)).json();
        assert.equal(events[0].channel, channel);
        assert.equal((await request(front, "GET", `/channels/${encodeChannel(channel)}?after=earliest`)).json().events.length, 1);
    }
});

each("below a path it does the same", async (t, name) => {
    const { front } = await start(t, name, { args: ["--base", "/rt"], change: changedBy("Below a path", name) });
    const below = (path) => `/rt${path}`;
    const stream = await openSse(front, below("/channels/a"));
    const socket = await Socket.open(t, front, below("/channels/a"));
    const answer = await request(front, "POST", below("/channels/a"), { body: "x", headers: { "Content-Type": "text/plain" } });
    assert.equal(answer.status, 201, answer.text);
    assert.equal((await stream.event()).id, answer.json().id);
    assert.equal((await socket.event()).id, answer.json().id);
    const page = await request(front, "GET", below("/channels/a"));
    const { href } = page.links.find(({ rel }) => rel === "webhooks");
    assert.equal((await request(front, "GET", new URL(href, `${front.url}${below("/channels/a")}`).pathname)).status, 200);
    assert.equal((await request(front, "GET", "/channels/a")).headers.cursor, undefined, "the rest of the site is not freshet's");
});

/** Server-sent events of channel `a` over TLS: by one connection of HTTP/2, or several of HTTP/1.1. What has come of each. */
function eventsByTls(server, front, count, byHttp2) {
    const session = byHttp2 && http2.connect(`https://127.0.0.1:${front.port}`, { rejectUnauthorized: false });
    if (session) {
        server.onStop(() => session.destroy());
        session.on("error", () => {});
    }
    return Array.from({ length: count }, () => {
        const got = { text: "" };
        const read = (stream) => stream.setEncoding("utf8").on("data", (text) => (got.text += text));
        const accept = "text/event-stream";
        const stream = session ? read(session.request({ ":path": "/channels/a", accept }))
            : https.get(`https://127.0.0.1:${front.port}/channels/a`, { headers: { accept }, rejectUnauthorized: false, agent: false }, read);
        stream.on("error", () => {}); /* its end, when the test ends */
        return got;
    });
}

each("with TLS twenty streams share a connection of HTTP/2, where the document has it, and WebSockets have theirs", async (t, name) => {
    const { server, front } = await start(t, name, { change: changedBy("TLS and HTTP/2", name) });
    const streams = eventsByTls(server, front, 20, name !== "apache");
    const socket = new WebSocket(`wss://127.0.0.1:${front.port}/channels/a`, { rejectUnauthorized: false });
    t.after(() => socket.terminate());
    server.onStop(() => socket.terminate());
    const heard = [];
    socket.on("message", (bytes) => heard.push(JSON.parse(bytes).data));
    await eventually(async () => {
        const { subscribers } = await stats(server);
        return subscribers.sse === streams.length && subscribers.ws === 1;
    }, "all to be there");
    for (let n = 0; n < 5; n++) {
        await server.publish("a", `event ${n}`);
        await eventually(() => streams.every(({ text }) => text.includes(`data: event ${n}\n\n`)) && heard.length > n, `event ${n}`);
    }
});

each("the lines that close paths and DELETE close them, however they are spelled, and nothing else", async (t, name) => {
    const { server, front } = await start(t, name, { change: changedBy("What to close", name) });
    await publish(front, "a", "x");
    const closed = ["/webhooks", "/webhooks/x", "/%77ebhooks", "/webhook%73/x", "/hub", "/stats", "/%73tats", "/metrics", "//stats", "/./stats", "/x/../stats",
        "/keys", "/keys/x", "/revocations", "/subscribers", "/subscriber%73", "/configuration"];
    for (const path of closed) {
        const answer = await rawRequest(front.port, `GET ${path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n`);
        assert.ok(answer[0].status >= 300, `${path}: ${answer[0].status}`);
    }
    const registered = await request(front, "POST", "/webhooks", { body: { url: `${server.url}/channels/b`, channels: ["a"] } });
    assert.equal(registered.status, 403, registered.text);
    assert.equal((await request(front, "POST", "/keys", { body: { name: "a", grants: [{ channels: ["**"], may: ["admin"] }] } })).status, 403);
    assert.equal((await request(front, "POST", "/revocations", { body: { subject: "a" } })).status, 403);
    assert.equal((await request(front, "DELETE", "/channels/a")).status, 403);
    assert.equal((await server.history("a")).length, 1);
    assert.deepEqual((await server.get("/webhooks")).json().webhooks, []);
    const socket = await Socket.open(t, front, "/channels/a?after=earliest");
    assert.equal((await socket.event()).data, "x");
});

each("the public name and the configured origin may use it, and other origins may not", async (t, name) => {
    const { front } = await start(t, name);
    const from = (origin) => ({ Host: "app.example", Origin: origin });
    const text = { "Content-Type": "text/plain" };
    const ours = from("https://app.example");
    const answer = await request(front, "POST", "/channels/a", { body: "x", headers: { ...ours, ...text } });
    assert.equal(answer.status, 201, answer.text);
    assert.equal(answer.headers["access-control-allow-origin"], ours.Origin);
    const socket = await Socket.open(t, front, "/channels/a?after=earliest", { headers: ours });
    assert.equal((await socket.event()).id, answer.json().id);
    const theirs = from("https://evil.example");
    assertProblem(await request(front, "POST", "/channels/a", { body: "x", headers: { ...theirs, ...text } }), 403);
    assert.equal((await (await Socket.open(t, front, "/channels/a", { headers: theirs })).closed()).code, 4403);
});

/* ---- silence ---- */

const SILENCE_MS = 6 * 60_000; /* six times what is waited for */
const there = PROXIES.filter((name) => !lacks(name));

test("no proxy cuts the longest silence that clients can ask for", { skip: there.length ? false : "no proxy is installed" }, async (t) => {
    const server = await startServer(t, { listen: `127.0.0.1:${await freePort()}`, config: ALL });
    const fronts = await Promise.all(there.map((name) => startFront(t, name, server)));
    const silent = async (front) => {
        const path = `/channels/${front.name}`;
        const poll = request(front, "GET", `${path}?after=now&wait=55`, { ms: SILENCE_MS });
        const streams = [await openSse(front, `${path}?beat=60`), await openNdjson(front, `${path}?beat=60`)];
        const socket = await Socket.open(t, front, `${path}?beat=60`);
        const pinged = new Promise((resolve) => socket.ws.once("ping", resolve));
        const freshet = await Freshet.open(t, front, { path: "/events?beat=60" });
        await freshet.subscribe([front.name]);
        for (const stream of streams) {
            assert.ok(stream.isBeat(await stream.next()));
        }
        const answer = await poll;
        assert.equal(answer.status, 200, `${front.name}: ${answer.text}`);
        assert.deepEqual(answer.json().events, []);
        for (const stream of streams) {
            const record = await stream.next(SILENCE_MS);
            assert.ok(record !== null && stream.isBeat(record), `${front.name}: ${JSON.stringify(record)}`);
        }
        await deadline(pinged, "a ping", SILENCE_MS);
        assert.equal((await freshet.json("a beat", SILENCE_MS)).op, "beat", front.name);
        const { id } = await publish(front, front.name, "still there");
        for (const reader of [...streams, socket]) {
            assert.equal((await reader.event()).id, id);
        }
    };
    await Promise.all(fronts.map(async (front) => {
        try {
            await silent(front);
        } catch (error) {
            error.message = `${front.name}: ${error.message}`;
            throw error;
        }
    }));
});

/* ---- lateness ---- */

async function latenessMs(t, server, change) {
    const front = await startFront(t, "haproxy", server, { change });
    const stream = await openSse(front, "/channels/a");
    const late = [];
    for (let n = 0; n < 20; n++) {
        const begun = performance.now();
        const { id } = await server.publish("a", `${n}`);
        assert.equal((await stream.event()).id, id);
        late.push(performance.now() - begun);
    }
    return late.sort((a, b) => a - b)[10];
}

test("haproxy: what option http-no-delay gives, to be looked at", { skip: lacks("haproxy") }, async (t) => {
    const server = await startServer(t, { listen: `127.0.0.1:${await freePort()}`, config: ALL });
    const withIt = await latenessMs(t, server, (text) => text);
    const without = await latenessMs(t, server, (text) => text.replace("    option http-no-delay\n", ""));
    t.diagnostic(`median lateness ${withIt.toFixed(1)} ms with it, ${without.toFixed(1)} ms without: ${(without / withIt).toFixed(1)} times`);
});
