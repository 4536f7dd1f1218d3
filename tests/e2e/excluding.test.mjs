// Excluding the sender: a subscriber knows the name of its connection, and a publisher that names it publishes to all others.

import assert from "node:assert/strict";
import http2 from "node:http2";
import { EventSource } from "eventsource";
import { bothStores, curl, deadline, eventually, publish, startServer, test } from "./support/index.mjs";
import { Receiver } from "./support/receiver.mjs";
import { Freshet, Socket } from "./support/ws.mjs";

const NAME = /^[0-9a-f]{24}$/;
/* Well formed, and of no connection: with a chance of 2^-64. */
const STRANGER = "0123456789abcdef01234567";

/** An EventSource that is open: its connection's name, and the data that it hears. */
async function listen(server, path) {
    const source = new EventSource(`${server.url}${path}`);
    const heard = [];
    server.onStop(() => source.close());
    source.onmessage = (event) => heard.push(event.data);
    const beat = await deadline(new Promise((resolve) => source.addEventListener("$beat", resolve, { once: true })), "a beat");
    const { connection } = JSON.parse(beat.data);
    assert.match(connection, NAME);
    return { connection, heard, source };
}

/** Publishes by curl; answers the status. */
async function post(server, channel, data, ...more) {
    const { stdout } = await curl(["-s", "-o", "/dev/null", "-w", "%{http_code}", `${server.url}/channels/${channel}`, "-d", data, ...more]);
    return Number(stdout);
}

/** Publishes to channel a by curl, with a header. */
async function postExcept(server, data, connection) {
    assert.equal(await post(server, "a", data, "-H", `Event-Except: ${connection}`), 201);
}

bothStores("an EventSource whose connection a publisher names misses that event alone, and its position moves on", async (t, server) => {
    const one = await listen(server, "/channels/a");
    const two = await listen(server, "/channels/a");
    assert.notEqual(one.connection, two.connection);
    await postExcept(server, "of one", one.connection);
    await postExcept(server, "of two", two.connection);
    const { id } = await publish(server, "a", "of nobody");
    await eventually(() => one.heard.length === 2 && two.heard.length === 2, "two events each");
    assert.deepEqual(one.heard, ["of two", "of nobody"]);
    assert.deepEqual(two.heard, ["of one", "of nobody"]);
    const { events, cursor } = await (await fetch(`${server.url}/channels/a`)).json();
    assert.deepEqual(events.map((event) => event.data), ["of one", "of two", "of nobody"], "history has all of them");
    assert.equal(cursor, id);
});

test("every way to publish takes the name: header, query, a batch, freshet.v1; and fetch reads it from NDJSON", async (t) => {
    const server = await startServer(t);
    const answer = await fetch(`${server.url}/channels/a?stream=ndjson`);
    const lines = answer.body.pipeThrough(new TextDecoderStream()).getReader();
    t.after(() => lines.cancel());
    let text = "";
    const line = async () => {
        while (!text.includes("\n")) {
            text += (await deadline(lines.read(), "a line")).value;
        }
        const [first] = text.split("\n", 1);
        text = text.slice(first.length + 1);
        return JSON.parse(first);
    };
    const { op, connection } = await line();
    assert.equal(op, "beat");
    assert.match(connection, NAME);
    const socket = await Freshet.open(t, server);
    const json = { "Content-Type": "application/json" };
    await postExcept(server, "header", connection);
    assert.equal(await post(server, `a?except=${connection}`, "query"), 201);
    for (const body of [JSON.stringify([{ channel: "a", data: "array", except: connection }, { channel: "a", data: "heard in between" }]),
        `${JSON.stringify({ channel: "a", data: "a line", except: connection })}\n`]) {
        assert.equal((await fetch(`${server.url}/events`, { method: "POST", headers: json, body })).status, 201);
    }
    assert.equal((await socket.answer({ op: "publish", channel: "a", data: "freshet.v1", except: connection })).op, "ok");
    assert.equal((await fetch(`${server.url}/channels/a?ephemeral=1&except=${connection}`, { method: "POST", body: "ephemeral" })).status, 202);
    await publish(server, "a", "heard");
    assert.equal((await line()).data, "heard in between");
    assert.equal((await line()).data, "heard");
});

bothStores("a freshet.v1 connection learns its name from each subscription, and can exclude itself and nobody else", async (t, server) => {
    const one = await Freshet.open(t, server);
    const two = await Freshet.open(t, server);
    const first = await one.subscribe(["a"]);
    const second = await one.subscribe(["b/**"]);
    assert.match(first.ok.connection, NAME);
    assert.equal(second.ok.connection, first.ok.connection);
    const other = await two.subscribe(["*", "b/**"]);
    assert.notEqual(other.ok.connection, first.ok.connection);
    for (const channel of ["a", "b/c"]) {
        assert.equal((await one.answer({ op: "publish", channel, data: "mine", except: first.ok.connection })).op, "ok");
    }
    await publish(server, "a", "end");
    assert.deepEqual((await one.pushed(1)).map((event) => event.data), ["end"]);
    assert.deepEqual((await two.pushed(3)).map((event) => event.data), ["mine", "mine", "end"]);
});

test("another connection of the same client, and a later one, get the event", async (t) => {
    const server = await startServer(t);
    const one = await listen(server, "/channels/a");
    const socket = await Socket.open(t, server, "/channels/a");
    const { cursor } = socket.head.headers;
    await postExcept(server, "mine", one.connection);
    assert.equal((await socket.event()).data, "mine");
    const again = await Socket.open(t, server, `/channels/a?after=${cursor}`);
    assert.equal((await again.event()).data, "mine");
    await publish(server, "a", "end");
    await eventually(() => one.heard.includes("end"), "the end");
    assert.deepEqual(one.heard, ["end"]);
});

test("a stream of an HTTP/2 connection has a name of its own", async (t) => {
    const server = await startServer(t);
    const session = http2.connect(server.url);
    server.onStop(() => session.destroy());
    t.after(() => session.destroy());
    const streams = [1, 2].map(() => {
        const stream = session.request({ ":path": "/channels/a?stream=ndjson" });
        const heard = { lines: [] };
        let text = "";
        stream.setEncoding("utf8").on("data", (part) => {
            text += part;
            heard.lines = text.split("\n").slice(0, -1).map((line) => JSON.parse(line));
        });
        return heard;
    });
    await eventually(() => streams.every(({ lines }) => lines.length === 1), "first records");
    const [one, two] = streams.map(({ lines }) => lines[0].connection);
    assert.match(one, NAME);
    assert.notEqual(one, two);
    await postExcept(server, "of one", one);
    await publish(server, "a", "end");
    await eventually(() => streams[0].lines.length === 2 && streams[1].lines.length === 3, "the events");
    assert.deepEqual(streams.map(({ lines }) => lines.slice(1).map((event) => event.data)), [["end"], ["of one", "end"]]);
});

test("a compressed stream leaves out the same events", async (t) => {
    const server = await startServer(t, { config: "namespaces:\n  - prefix: a\n    compress: true\n" });
    const answer = await fetch(`${server.url}/channels/a?stream=ndjson`, { headers: { "Accept-Encoding": "gzip" } });
    assert.equal(answer.headers.get("content-encoding"), "gzip");
    const lines = answer.body.pipeThrough(new TextDecoderStream()).getReader();
    t.after(() => lines.cancel());
    const { connection } = JSON.parse((await deadline(lines.read(), "a beat")).value);
    const batch = [0, 1, 2, 3].map((n) => ({ channel: "a", data: n, ...n % 2 ? { except: connection } : {} }));
    assert.equal((await fetch(`${server.url}/events`, { method: "POST", body: JSON.stringify(batch) })).status, 201);
    let text = "";
    while (text.split("\n").length < 3) {
        text += (await deadline(lines.read(), "events")).value;
    }
    assert.deepEqual(text.trim().split("\n").map((line) => JSON.parse(line).data), [0, 2]);
});

test("polls and webhooks get every event", async (t) => {
    const server = await startServer(t);
    const receiver = await Receiver.start(t);
    const { status } = await server.request("POST", "/webhooks", { body: { url: receiver.url, channels: ["a"] } });
    assert.equal(status, 201);
    const one = await listen(server, "/channels/a");
    const { cursor } = await (await fetch(`${server.url}/channels/a`)).json();
    const poll = fetch(`${server.url}/channels/a?after=${cursor}&wait=25`);
    await postExcept(server, "mine", one.connection);
    const { events } = await (await poll).json();
    assert.deepEqual(events.map((event) => event.data), ["mine"]);
    await receiver.events(1);
    await publish(server, "a", "end");
    await eventually(() => one.heard.includes("end"), "the end");
    assert.deepEqual(one.heard, ["end"]);
});

test("a name that no connection has excludes nobody", async (t) => {
    const server = await startServer(t);
    const one = await listen(server, "/channels/a");
    const { connection } = one;
    const flipped = connection.replace(/.$/, (digit) => digit === "0" ? "1" : "0");
    for (const name of [STRANGER, "0".repeat(24), flipped]) {
        await postExcept(server, name, name);
    }
    await eventually(() => one.heard.length >= 3, "three events");
    assert.deepEqual(one.heard, [STRANGER, "0".repeat(24), flipped]);
});

test("a name of before a restart excludes nobody", async (t) => {
    const server = await startServer(t);
    const before = await listen(server, "/channels/a");
    before.source.close();
    await server.kill();
    await server.restart();
    const after = await listen(server, "/channels/a");
    await postExcept(server, "heard", before.connection);
    await eventually(() => after.heard.length === 1, "the event");
    await postExcept(server, "mine", after.connection);
    await publish(server, "a", "end");
    await eventually(() => after.heard.length === 2, "the end");
    assert.deepEqual(after.heard, ["heard", "end"]);
});

test("a text that is no name is refused, and nothing is published", async (t) => {
    const server = await startServer(t);
    const json = { "Content-Type": "application/json" };
    const socket = await Freshet.open(t, server);
    for (const name of ["", "me", "0123", STRANGER.toUpperCase(), `${STRANGER}0`, `${STRANGER.slice(1)} `]) {
        const said = [
            await fetch(`${server.url}/channels/a`, { method: "POST", body: "x", headers: { "Event-Except": name } }),
            await fetch(`${server.url}/channels/a?except=${encodeURIComponent(name)}`, { method: "POST", body: "x" }),
            await fetch(`${server.url}/events`, { method: "POST", headers: json, body: JSON.stringify([{ channel: "a", data: 1, except: name }]) }),
        ];
        for (const answer of said) {
            assert.equal(answer.status, 400);
            assert.match((await answer.json()).detail, /except.*24 hexadecimal digits/);
        }
        const { op, problem } = await socket.answer({ op: "publish", channel: "a", data: 1, except: name });
        assert.equal(op, "error");
        assert.match(problem.detail, /except.*24 hexadecimal digits/);
    }
    const twice = await curl(["-s", `${server.url}/channels/a`, "-d", "x", "-H", `Event-Except: ${STRANGER}`, "-H", `Event-Except: ${STRANGER}`]);
    assert.equal(JSON.parse(twice.stdout).status, 400);
    for (const [path, headers] of [[`/events?except=${STRANGER}`, {}], ["/events", { "Event-Except": STRANGER }]]) {
        const answer = await fetch(`${server.url}${path}`, { method: "POST", headers: { ...json, ...headers }, body: '[{"channel":"a","data":1}]' });
        assert.equal(answer.status, 400, "members of a batch name it, each its own");
    }
    assert.deepEqual((await (await fetch(`${server.url}/channels/a`)).json()).events, []);
});

test("a publish that is repeated with the same key and another name is still a duplicate", async (t) => {
    const server = await startServer(t);
    const one = await listen(server, "/channels/a");
    const key = { "Idempotency-Key": '"k"' };
    const first = await publish(server, "a", "x", { ...key, "Event-Except": one.connection });
    const answer = await fetch(`${server.url}/channels/a`, { method: "POST", body: "x", headers: { ...key, "Event-Except": STRANGER } });
    const again = await answer.json();
    assert.equal(again.id, first.id);
    assert.equal(again.duplicate, true);
});
