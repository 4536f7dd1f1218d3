// The channel socket: one URL on which a plain WebSocket client reads and writes a channel.

import assert from "node:assert/strict";
import { bothStores, curl, publish, publishMany, startServer, test } from "./support/index.mjs";
import { assertChained, assertIncreasing } from "./support/checks.mjs";
import { Socket } from "./support/ws.mjs";

/** Opens a channel socket that carries the data alone. */
function openData(t, server, channel, query = "") {
    return Socket.open(t, server, `/channels/${channel}?format=data${query}`);
}

bothStores("what curl publishes arrives as one envelope in one text frame", async (t, server) => {
    const socket = await Socket.open(t, server, "/channels/news");
    const { code, stdout } = await curl([`${server.url}/channels/news`, "-d", "hello"]);
    assert.equal(code, 0);
    const answer = JSON.parse(stdout);
    const event = await socket.event();
    assert.equal(event.id, answer.id);
    assert.equal(event.time, answer.time);
    assert.equal(event.channel, "news");
    assert.equal(event.type, "message");
    assert.equal(event.data, "hello");
    assert.equal(Number(event.prev), 0);
    assert.ok(!("content_type" in event), "plain text needs no content_type");
});

test("the answer to the handshake carries the cursor", async (t) => {
    const server = await startServer(t);
    const { id } = await publish(server, "news", "before");
    const socket = await Socket.open(t, server, "/channels/news");
    assert.equal(socket.head.headers.cursor, id);
});

test("a connection that broke before its first event is resumed from the handshake's cursor without loss", async (t) => {
    const server = await startServer(t);
    await publish(server, "news", "before");
    const broken = await Socket.open(t, server, "/channels/news");
    const { cursor } = broken.head.headers;
    broken.vanish();
    const { id } = await publish(server, "news", "missed");
    const socket = await Socket.open(t, server, `/channels/news?after=${cursor}`);
    assert.equal((await socket.event()).id, id);
});

bothStores("a client's frame is published to the channel, and its sender gets nothing but the event", async (t, server) => {
    const socket = await Socket.open(t, server, "/channels/chat");
    await socket.send("hello");
    const event = await socket.event();
    assert.equal(event.data, "hello");
    assert.equal(event.channel, "chat");
    assert.equal(event.type, "message");
    const [stored] = await server.historyOf("chat", 1);
    assert.deepEqual(stored, event);
    await socket.send("again");
    assert.equal((await socket.event()).data, "again", "an acknowledgement came in between");
});

test("a text frame is text even where it looks like JSON", async (t) => {
    const server = await startServer(t);
    const socket = await Socket.open(t, server, "/channels/chat");
    await socket.send('{"a":1}');
    const event = await socket.event();
    assert.equal(event.data, '{"a":1}');
    assert.ok(!("content_type" in event));
});

test("a binary frame is binary", async (t) => {
    const server = await startServer(t);
    const socket = await Socket.open(t, server, "/channels/chat");
    const bytes = Buffer.from([0, 255, 10, 13, 128]);
    await socket.send(bytes);
    const event = await socket.event();
    assert.equal(event.data_base64, bytes.toString("base64"));
    assert.equal(event.content_type, "application/octet-stream");
    assert.ok(!("data" in event));
});

test("two sockets are a chat: both see all that both said, in one order", async (t) => {
    const server = await startServer(t);
    const anna = await Socket.open(t, server, "/channels/chat");
    const bert = await Socket.open(t, server, "/channels/chat");
    const count = 200;
    for (let n = 0; n < count; n++) {
        anna.ws.send(`anna ${n}`);
        bert.ws.send(`bert ${n}`);
    }
    const heard = await anna.events(2 * count);
    assert.deepEqual(await bert.events(2 * count), heard);
    assertIncreasing(heard);
    assertChained(heard);
    for (const name of ["anna", "bert"]) {
        const said = heard.map((event) => event.data).filter((data) => data.startsWith(name));
        assert.deepEqual(said, Array.from({ length: count }, (_, n) => `${name} ${n}`));
    }
});

test("a chat needs no other client: what one socket says is in the history", async (t) => {
    const server = await startServer(t);
    const socket = await Socket.open(t, server, "/channels/rooms/kitchen");
    for (let n = 0; n < 50; n++) {
        socket.ws.send(`line ${n}`);
    }
    const heard = await socket.events(50);
    assert.deepEqual(await server.historyOf("rooms/kitchen", 50), heard);
});

for (const query of ["", "&echo=1"]) {
    bothStores(`with format=data${query} opcode, order and emptiness survive, the sender included`, async (t, server) => {
        const sender = await openData(t, server, "x", query);
        const other = await openData(t, server, "x");
        const said = [
            "text", Buffer.from([0, 1, 2]), "", Buffer.alloc(0), "grüße, κόσμε, 😀", Buffer.from("text?"),
            '{"a": 1}', "\0", "two\nlines\r\n", Buffer.alloc(70_000, 7), "x".repeat(70_000),
        ];
        for (const data of said) {
            sender.ws.send(data);
        }
        assert.deepEqual(await sender.data(said.length), said);
        assert.deepEqual(await other.data(said.length), said);
    });
}

test("with format=data what HTTP published keeps its nature: text and JSON in text frames, the rest in binary ones", async (t) => {
    const server = await startServer(t);
    const socket = await openData(t, server, "x");
    await publish(server, "x", "plain");
    await publish(server, "x", '{"price": 1e400,"a":1, "a":2}', { "Content-Type": "application/json" });
    await publish(server, "x", Buffer.from([137, 80, 78, 71]), { "Content-Type": "image/png" });
    await publish(server, "x", "");
    assert.deepEqual(await socket.data(4),
        ["plain", '{"price": 1e400,"a":1, "a":2}', Buffer.from([137, 80, 78, 71]), ""]);
});

test("with echo=0 the sender is left out and gets all that others say, in order", async (t) => {
    const server = await startServer(t);
    const quiet = await openData(t, server, "x", "&echo=0");
    const other = await openData(t, server, "x");
    const said = [];
    for (let n = 0; n < 100; n++) {
        await quiet.send(`mine ${n}`);
        await other.send(`yours ${n}`);
        said.push(`yours ${n}`);
    }
    assert.deepEqual(await quiet.data(100), said);
    const all = await other.data(200);
    assert.deepEqual(all.filter((data) => data.startsWith("yours")), said);
    assert.deepEqual(all.filter((data) => data.startsWith("mine")),
        Array.from({ length: 100 }, (_, n) => `mine ${n}`));
});

test("echo=0 leaves out the sender's frames alone, not what its user publishes otherwise", async (t) => {
    const server = await startServer(t);
    const socket = await Socket.open(t, server, "/channels/x?echo=0");
    await socket.send("by frame");
    await socket.ping();
    await publish(server, "x", "by post");
    assert.equal((await socket.event()).data, "by post");
});

test("echo=0 also holds for one of two sockets of the same program", async (t) => {
    const server = await startServer(t);
    const one = await openData(t, server, "x", "&echo=0");
    const two = await openData(t, server, "x", "&echo=0");
    await one.send("from one");
    assert.equal((await two.next()).text, "from one");
    await two.send("from two");
    assert.equal((await one.next()).text, "from two");
});

bothStores("after=ID begins with the events after that cursor and goes on live, each once", async (t, server) => {
    const ids = await publishMany(server, "x", 10);
    const socket = await Socket.open(t, server, `/channels/x?after=${ids[3]}`);
    const more = await publishMany(server, "x", 5);
    assert.deepEqual((await socket.events(11)).map((event) => event.id), [...ids.slice(4), ...more]);
});

bothStores("after=earliest brings a long history completely, in order, then what is new", async (t, server) => {
    const ids = await publishMany(server, "x", 5000);
    const socket = await Socket.open(t, server, "/channels/x?after=earliest");
    const more = await publishMany(server, "x", 500);
    const events = await socket.events(5500);
    assert.deepEqual(events.map((event) => event.id), [...ids, ...more]);
    assertChained(events);
});

test("without a place to begin only what is new comes", async (t) => {
    const server = await startServer(t);
    await publishMany(server, "x", 5);
    const socket = await Socket.open(t, server, "/channels/x");
    const { id } = await publish(server, "x", "new");
    assert.equal((await socket.event()).id, id);
});

test("last=N begins with the newest N events", async (t) => {
    const server = await startServer(t);
    const ids = await publishMany(server, "x", 10);
    const socket = await Socket.open(t, server, "/channels/x?last=3");
    const { id } = await publish(server, "x", "new");
    assert.deepEqual((await socket.events(4)).map((event) => event.id), [...ids.slice(7), id]);
});

test("Last-Event-ID beats after beats last", async (t) => {
    const server = await startServer(t);
    const ids = await publishMany(server, "x", 10);
    const headers = { "Last-Event-ID": ids[8] };
    const first = await Socket.open(t, server, `/channels/x?after=${ids[2]}&last=1`, { headers });
    assert.equal((await first.event()).id, ids[9]);
    const second = await Socket.open(t, server, `/channels/x?after=${ids[2]}&last=1`);
    assert.equal((await second.event()).id, ids[3]);
    const third = await Socket.open(t, server, `/channels/x?last=1`, { headers: { "Last-Event-ID": "" } });
    assert.equal((await third.event()).id, ids[9]);
});

test("type selects, repeatedly, in history and live", async (t) => {
    const server = await startServer(t);
    for (const type of ["a", "b", "c", "a"]) {
        await publish(server, "x", `old ${type}`, { "Event-Type": type });
    }
    const socket = await Socket.open(t, server, "/channels/x?type=a&type=c&after=earliest");
    for (const type of ["b", "c"]) {
        await publish(server, "x", `new ${type}`, { "Event-Type": type });
    }
    assert.deepEqual((await socket.events(4)).map((event) => event.data), ["old a", "old c", "old a", "new c"]);
});

test("an ephemeral event reaches the socket without an id", async (t) => {
    const server = await startServer(t);
    const socket = await Socket.open(t, server, "/channels/x");
    const data = await openData(t, server, "x");
    const answer = await server.post("x", "typing", { "Event-Type": "typing" }, "?ephemeral=1");
    assert.equal(answer.status, 202);
    const event = await socket.event();
    assert.equal(event.data, "typing");
    assert.equal(event.type, "typing");
    assert.ok(!("id" in event));
    assert.equal((await data.next()).text, "typing");
});

test("a cursor above the newest id is told as a gap, then every retained event after it, none", async (t) => {
    const server = await startServer(t);
    await publishMany(server, "x", 3);
    const socket = await Socket.open(t, server, "/channels/x?after=9007199254740000");
    const gap = await socket.notBeat("a gap");
    assert.equal(gap.op, "gap");
    assert.equal(gap.reason, "unknown");
    assert.equal(gap.after, "9007199254740000");
    assert.match(gap.earliest, /^\d{16}$/);
});

test("events cut out of a channel are told as a gap", async (t) => {
    const server = await startServer(t);
    const ids = await publishMany(server, "x", 3);
    assert.ok((await server.request("DELETE", "/channels/x")).status < 300);
    const { id } = await publish(server, "x", "after the cut");
    const socket = await Socket.open(t, server, `/channels/x?after=${ids[0]}`);
    const gap = await socket.notBeat("a gap");
    assert.equal(gap.op, "gap");
    assert.equal(gap.after, ids[0]);
    assert.equal((await socket.event()).id, id);
});

test("a cut of what a socket with format=data has seen already is no gap to it", async (t) => {
    const server = await startServer(t);
    const [first] = await publishMany(server, "x", 3);
    const socket = await openData(t, server, "x", `&after=${first}`);
    await socket.data(2);
    await publish(server, "x", "last");
    await socket.data(1);
    /* It has seen all that is cut away: this is no gap to it. */
    assert.ok((await server.request("DELETE", "/channels/x")).status < 300);
    await publish(server, "x", "after the cut");
    assert.equal((await socket.next()).text, "after the cut");
});

test("sockets of other channels hear nothing", async (t) => {
    const server = await startServer(t);
    const near = await openData(t, server, "a/b");
    for (const channel of ["a", "a/b/c", "A/b", "a/B", "b"]) {
        await publish(server, channel, `for ${channel}`);
    }
    await publish(server, "a/b", "for a/b");
    assert.equal((await near.next()).text, "for a/b");
});

test("a channel's name is decoded once, segment by segment", async (t) => {
    const server = await startServer(t);
    const socket = await openData(t, server, "gr%C3%BC%C3%9Fe/a%20b/50%2525");
    await publish(server, "grüße/a b/50%25", "found");
    assert.equal((await socket.next()).text, "found");
    await socket.send("by frame");
    await socket.next();
    assert.deepEqual((await server.historyOf("grüße/a b/50%25", 2)).map((event) => event.data), ["found", "by frame"]);
});

test("five hundred sockets get every event, in order", async (t) => {
    const server = await startServer(t);
    const sockets = [];
    for (let n = 0; n < 500; n++) {
        sockets.push(openData(t, server, "x"));
    }
    const open = await Promise.all(sockets);
    const said = Array.from({ length: 20 }, (_, n) => `event ${n}`);
    for (const data of said) {
        await publish(server, "x", data);
    }
    for (const socket of open) {
        assert.deepEqual(await socket.data(said.length), said);
    }
});

test("the close of one socket is no matter to another", async (t) => {
    const server = await startServer(t);
    const stays = await openData(t, server, "x");
    for (let n = 0; n < 20; n++) {
        const goes = await openData(t, server, "x");
        await goes.send(`hello ${n}`);
        await goes.next();
        if (n % 2) {
            goes.vanish();
        } else {
            assert.equal((await goes.close(1000, "bye")).code, 1000);
        }
    }
    assert.deepEqual(await stays.data(20), Array.from({ length: 20 }, (_, n) => `hello ${n}`));
});

test("SIGTERM closes a socket with a code that says: come back", async (t) => {
    const server = await startServer(t);
    const socket = await openData(t, server, "x");
    server.signal("SIGTERM");
    const { code } = await socket.closed();
    assert.ok([1001, 1012].includes(code), `closed with ${code}`);
    assert.deepEqual(await server.exited, { code: 0, signal: null });
});
