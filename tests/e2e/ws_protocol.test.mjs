// freshet.v1: many channels over one WebSocket on /events, JSON both ways.

import assert from "node:assert/strict";
import { page, post, publish, publishMany, startServer, sideBySide } from "./support/index.mjs";
import { assertChained, assertIncreasing, readAll } from "./support/checks.mjs";
import { Freshet, Socket } from "./support/ws.mjs";

const { bothStores, test } = sideBySide(4);

const ID = /^\d{16}$/;

/** Asserts that a message is an error with a whole problem document; answers the document. */
function assertError(message, status) {
    assert.equal(message.op, "error", JSON.stringify(message));
    const { problem } = message;
    assert.match(problem.type, /\/errors\/[a-z0-9._-]+$/i);
    assert.ok(problem.title, "a problem needs a title");
    assert.ok(problem.detail, "a problem needs a detail");
    if (status !== undefined) {
        assert.ok([status].flat().includes(problem.status), JSON.stringify(problem));
    }
    return problem;
}

/** A mark that tells where everything sent before it has been read: an event on a channel of its own. */
async function mark(socket, server) {
    await socket.subscribe(["the/mark"]);
    const { id } = await publish(server, "the/mark", "mark");
    return id;
}

test("the server chooses freshet.v1 among the subprotocols that a client offers", async (t) => {
    const server = await startServer(t);
    const protocols = ["mqtt", "freshet.v1", "freshet.v99"];
    const socket = await Socket.open(t, server, "/events", { protocols });
    assert.equal(socket.ws.protocol, "freshet.v1");
});

bothStores("a subscription answers ok with its ref and cursor, then its history in order, then live, then what is new", async (t, server) => {
    const ids = await publishMany(server, "a", 5);
    const socket = await Freshet.open(t, server);
    const ref = await socket.ask({ op: "subscribe", channels: ["a"], after: ids[1] });
    const ok = await socket.expect("ok");
    assert.equal(ok.ref, ref);
    assert.match(ok.cursor, ID);
    assert.deepEqual((await socket.pushed(3)).map((event) => event.id), ids.slice(2));
    const live = await socket.expect("live");
    assert.equal(live.ref, ref);
    assert.ok(live.cursor >= ids[4], `live at ${live.cursor}, which is before ${ids[4]}`);
    const { id } = await publish(server, "a", "new");
    assert.equal((await socket.pushed(1))[0].id, id);
});

test("an event is the same envelope as in a page", async (t) => {
    const server = await startServer(t);
    await publish(server, "a", { deep: [1, { x: null }] }, { "Event-Type": "t" });
    await publish(server, "a", Buffer.from([0, 255]), { "Content-Type": "image/png" });
    const socket = await Freshet.open(t, server);
    const { events } = await socket.subscribe(["a"], { after: "earliest" });
    assert.deepEqual(events, await server.history("a"));
});

test("without after a subscription begins now", async (t) => {
    const server = await startServer(t);
    await publishMany(server, "a", 5);
    const socket = await Freshet.open(t, server);
    const { events } = await socket.subscribe(["a"]);
    assert.deepEqual(events, []);
    const { id } = await publish(server, "a", "new");
    assert.equal((await socket.pushed(1))[0].id, id);
});

test("the cursor of ok is good to resume from: nothing between it and the break is lost", async (t) => {
    const server = await startServer(t);
    await publishMany(server, "a", 3);
    const broken = await Freshet.open(t, server);
    const { ok } = await broken.subscribe(["a"]);
    broken.vanish();
    const { id } = await publish(server, "a", "missed");
    const socket = await Freshet.open(t, server);
    const { events } = await socket.subscribe(["a"], { after: ok.cursor });
    assert.deepEqual(events.map((event) => event.id), [id]);
});

test("the cursor of live is good to resume from", async (t) => {
    const server = await startServer(t);
    await publishMany(server, "a", 300);
    const broken = await Freshet.open(t, server);
    const { live } = await broken.subscribe(["a"], { after: "earliest" });
    broken.vanish();
    const { id } = await publish(server, "a", "missed");
    const socket = await Freshet.open(t, server);
    const { events } = await socket.subscribe(["a"], { after: live.cursor });
    assert.deepEqual(events.map((event) => event.id), [id]);
});

bothStores("a subscription resumes after the last id that another connection saw", async (t, server) => {
    const ids = await publishMany(server, "a", 30);
    const first = await Freshet.open(t, server);
    const { events } = await first.subscribe(["a"], { after: ids[9] });
    assert.equal(events[0].id, ids[10]);
    first.vanish();
    const second = await Freshet.open(t, server);
    const rest = await second.subscribe(["a"], { after: events[9].id });
    assert.deepEqual(rest.events.map((event) => event.id), ids.slice(20));
});

test("a time is a place to begin", async (t) => {
    const server = await startServer(t);
    await publish(server, "a", "old");
    const { time } = await publish(server, "a", "then");
    const later = await publish(server, "a", "later");
    const socket = await Freshet.open(t, server);
    const { events } = await socket.subscribe(["a"], { after: time });
    assert.equal(events.at(-1).id, later.id);
    assert.ok(!events.some((event) => event.data === "old"));
});

test("an unsubscribed channel falls silent, the others do not", async (t) => {
    const server = await startServer(t);
    const socket = await Freshet.open(t, server);
    await socket.subscribe(["a", "b"]);
    const ref = await socket.ask({ op: "unsubscribe", channels: ["a"] });
    assert.equal((await socket.expect("ok")).ref, ref);
    await publish(server, "a", "unheard");
    const { id } = await publish(server, "b", "heard");
    assert.equal((await socket.pushed(1))[0].id, id);
});

test("a channel that was left can be joined again where it was left", async (t) => {
    const server = await startServer(t);
    const socket = await Freshet.open(t, server);
    await socket.subscribe(["a"]);
    const { id } = await publish(server, "a", "one");
    assert.equal((await socket.pushed(1))[0].id, id);
    assert.equal((await socket.answer({ op: "unsubscribe", channels: ["a"] })).op, "ok");
    const missed = await publish(server, "a", "two");
    const { events } = await socket.subscribe(["a"], { after: id });
    assert.deepEqual(events.map((event) => event.id), [missed.id]);
});

bothStores("publish answers ok with its ref and the id, and every read then includes the event", async (t, server) => {
    const socket = await Freshet.open(t, server);
    for (let n = 0; n < 20; n++) {
        const ok = await socket.answer({ op: "publish", channel: "a/b", type: "t", data: { n } });
        assert.equal(ok.op, "ok", JSON.stringify(ok));
        assert.match(ok.id, ID);
        const { events } = await page(server, "/channels/a/b");
        assert.equal(events.at(-1).id, ok.id);
        assert.deepEqual(events.at(-1).data, { n });
        assert.equal(events.at(-1).type, "t");
    }
});

test("published data that is a string is text, anything else is JSON, byte for byte", async (t) => {
    const server = await startServer(t);
    const socket = await Freshet.open(t, server);
    for (const data of ['"text"', '""', "1e400", "12345678901234567890123", '{"b":1, "a":2,"a":3}', "[]", "null", "true"]) {
        const ref = ++socket.lastRef;
        await socket.send(`{"op":"publish","channel":"a","data":${data},"ref":${ref}}`);
        assert.equal((await socket.expect("ok")).ref, ref);
    }
    const { text } = await server.get("/channels/a");
    for (const data of ['"text"', '""', "1e400", "12345678901234567890123", '{"b":1, "a":2,"a":3}', "[]", "null", "true"]) {
        assert.ok(text.includes(`"data":${data}`), `${data} is not in ${text}`);
    }
});

test("a key makes a repeated publish a duplicate of the first", async (t) => {
    const server = await startServer(t);
    const socket = await Freshet.open(t, server);
    const op = { op: "publish", channel: "a", data: "once", key: "k1" };
    const first = await socket.answer(op);
    const second = await socket.answer(op);
    assert.equal(second.op, "ok");
    assert.equal(second.id, first.id);
    assert.equal(second.duplicate, true);
    const third = await socket.answer({ ...op, data: "something else" });
    assertError(third, 422);
    /* The key is the same one that a POST would have meant. */
    const posted = await post(server, "a", "once", { "Idempotency-Key": "k1" });
    assert.equal(posted.status, 200);
    assert.equal(posted.json().id, first.id);
    assert.equal((await server.history("a")).length, 1);
});

test("publishes of one connection are appended in the order sent", async (t) => {
    const server = await startServer(t);
    const socket = await Freshet.open(t, server);
    for (let n = 0; n < 500; n++) {
        socket.ws.send(JSON.stringify({ op: "publish", channel: "a", data: n, ref: n }));
    }
    const answers = new Map();
    while (answers.size < 500) {
        const ok = await socket.expect("ok");
        answers.set(ok.ref, ok.id);
    }
    const { events } = await readAll(server, "channel=a");
    assert.deepEqual(events.map((event) => event.data), Array.from({ length: 500 }, (_, n) => n));
    assert.deepEqual(events.map((event) => event.id), events.map((event) => answers.get(event.data)));
});

test("a publisher who subscribes hears itself, and the event is the one that ok named", async (t) => {
    const server = await startServer(t);
    const socket = await Freshet.open(t, server);
    await socket.subscribe(["a"]);
    const ref = await socket.ask({ op: "publish", channel: "a", data: "me" });
    const got = [await socket.notBeat(), await socket.notBeat()];
    const ok = got.find((message) => message.op === "ok");
    const event = got.find((message) => message.op === "event");
    assert.equal(ok.ref, ref);
    assert.equal(event.event.id, ok.id);
});

test("a bad publish is answered with a problem and its ref, and publishes nothing", async (t) => {
    const server = await startServer(t);
    const socket = await Freshet.open(t, server);
    const bad = [
        { channel: "", data: 1 }, { channel: "a//b", data: 1 }, { channel: "/a", data: 1 },
        { channel: "a/*", data: 1 }, { channel: "a/**", data: 1 }, { channel: "..", data: 1 },
        { channel: "x".repeat(256), data: 1 }, { channel: "a\nb", data: 1 }, { channel: 7, data: 1 }, { data: 1 },
        { channel: "a", data: 1, type: "error" }, { channel: "a", data: 1, type: "open" },
        { channel: "a", data: 1, type: "" }, { channel: "a", data: 1, type: "x".repeat(65) },
        { channel: "a", data: 1, type: "a b" }, { channel: "a", data: 1, type: "$beat" }, { channel: "a", data: 1, type: 5 },
        { channel: "a", data: 1, key: "k".repeat(256) }, { channel: "a" },
    ];
    for (const op of bad) {
        assertError(await socket.answer({ op: "publish", ...op }), 400);
    }
    assertError(await socket.answer({ op: "publish", channel: "$server/x", data: 1 }), [400, 403]);
    const { events } = await page(server, "/events?channel=**");
    assert.deepEqual(events, []);
});

test("ping is answered with pong and its ref, be it a number or a string", async (t) => {
    const server = await startServer(t);
    const socket = await Freshet.open(t, server);
    for (const ref of [1, 0, "seven", "", "ü", 4_000_000_000]) {
        await socket.send(JSON.stringify({ op: "ping", ref }));
        const pong = await socket.expect("pong");
        assert.deepEqual(pong.ref, ref);
    }
});

test("a ping without ref is answered too", async (t) => {
    const server = await startServer(t);
    const socket = await Freshet.open(t, server);
    await socket.send('{"op":"ping"}');
    assert.equal((await socket.expect("pong")).op, "pong");
});

test("a malformed message is answered with an error, and the connection lives on", async (t) => {
    const server = await startServer(t);
    const socket = await Freshet.open(t, server);
    await socket.subscribe(["a"]);
    const nonsense = [
        "", " ", "hello", "{", '{"op":"ping"', "{'op':'ping'}", '{"op":"ping"} {"op":"ping"}', '{"op":"ping",}',
        "[]", "1", "null", '"ping"', "{}", '{"op":null}', '{"op":1}', '{"op":["ping"]}', "\u0000",
        "[".repeat(5000), '{"op":"ping","ref":'.repeat(3000),
    ];
    for (const text of nonsense) {
        await socket.send(text);
        assertError(await socket.notBeat(`an answer to ${text.slice(0, 40)}`), 400);
    }
    const { id } = await publish(server, "a", "still here");
    assert.equal((await socket.pushed(1))[0].id, id);
});

test("an unknown operation is answered with an error and its ref", async (t) => {
    const server = await startServer(t);
    const socket = await Freshet.open(t, server);
    for (const op of ["bogus", "", "SUBSCRIBE", "event", "ok", "__proto__"]) {
        assertError(await socket.answer({ op }), 400);
    }
    assert.equal((await socket.answer({ op: "ping" })).op, "pong");
});

test("a bad subscription is answered with a problem and its ref, and selects nothing", async (t) => {
    const server = await startServer(t);
    const socket = await Freshet.open(t, server);
    const bad = [
        {}, { channels: "a" }, { channels: {} }, { channels: [] }, { channels: [1] }, { channels: [null] },
        { channels: [""] }, { channels: ["a//b"] }, { channels: ["a/"] }, { channels: ["**/a"] },
        { channels: ["a*"] }, { channels: ["***"] }, { channels: ["."] }, { channels: ["a/../b"] },
        { channels: ["x".repeat(256)] }, { channels: ["good", "bad//one"] }, { channels: ["a\u0001"] },
        { channels: ["good"], after: "yesterday" }, { channels: ["good"], after: "-1" },
        { channels: ["good"], after: {} }, { channels: ["good"], after: "12345678901234567890" },
    ];
    for (const op of bad) {
        assertError(await socket.answer({ op: "subscribe", ...op }), 400);
    }
    await publish(server, "good", "unheard");
    const marked = await mark(socket, server);
    assert.equal((await socket.pushed(1))[0].id, marked);
});

test("a subscription takes a hundred channels, and no more", async (t) => {
    const server = await startServer(t);
    const socket = await Freshet.open(t, server);
    const channels = Array.from({ length: 101 }, (_, n) => `c/${n}`);
    assertError(await socket.answer({ op: "subscribe", channels }), [400, 413]);
    await publish(server, "c/100", "unheard");
    const { ok } = await socket.subscribe(channels.slice(0, 100));
    assert.match(ok.cursor, ID);
    await publish(server, "c/100", "unheard");
    const { id } = await publish(server, "c/99", "heard");
    assert.equal((await socket.pushed(1))[0].id, id);
});

bothStores("an event that several subscriptions select is sent once", async (t, server) => {
    const socket = await Freshet.open(t, server);
    await socket.subscribe(["a/b", "a/*", "a/**", "**", "*/b"]);
    await socket.subscribe(["a/b"]);
    await socket.subscribe(["a/*"]);
    const ids = [];
    for (const channel of ["a/b", "a/c", "a/b/c", "z", "a/b"]) {
        ids.push((await publish(server, channel, channel)).id);
    }
    assert.deepEqual((await socket.pushed(5)).map((event) => event.id), ids);
});

test("an event in the history of several patterns is sent once, in order", async (t) => {
    const server = await startServer(t);
    const ids = [];
    for (let n = 0; n < 300; n++) {
        ids.push((await publish(server, ["a/b", "a/c", "b/b"][n % 3], { n })).id);
    }
    const socket = await Freshet.open(t, server);
    const { events } = await socket.subscribe(["a/*", "*/b", "a/b"], { after: "earliest" });
    assert.deepEqual(events.map((event) => event.id), ids);
});

bothStores("many overlapping subscriptions that are behind send each event once, whatever is unsubscribed meanwhile", async (t, server) => {
    const channels = Array.from({ length: 30 }, (_, n) => `c${n}/x`);
    const ids = [];
    for (let n = 0; n < 300; n++) {
        ids.push((await publish(server, channels[n % 30], "x".repeat(2000))).id);
    }
    const socket = await Freshet.open(t, server);
    const refs = [];
    for (const channel of channels) {
        refs.push(await socket.ask({ op: "subscribe", channels: [channel], after: "earliest" }));
        refs.push(await socket.ask({ op: "subscribe", channels: ["*/x", channel], last: 1000 }));
    }
    await socket.ask({ op: "unsubscribe", channels: ["c3/x", "c29/x", "c28/x"] });
    refs.push(await socket.ask({ op: "subscribe", channels: ["c28/x", "c29/x", "**"], after: "earliest" }));
    const live = new Set(), events = [];
    while (live.size < refs.length) {
        const message = await socket.notBeat("all subscriptions to be live");
        assert.ok(["ok", "live", "event"].includes(message.op), JSON.stringify(message));
        if (message.op === "live") {
            live.add(message.ref);
        } else if (message.op === "event") {
            events.push(message.event);
        }
    }
    assert.deepEqual([...live], refs, "subscriptions become live in the order in which they came");
    assert.deepEqual(events.map((event) => event.id).sort(), ids);
    for (const channel of channels) {
        assertIncreasing(events.filter((event) => event.channel === channel));
    }
    const { id } = await publish(server, "c29/x", "new");
    assert.equal((await socket.pushed(1))[0].id, id);
});

test("a second subscription brings the history of the channels that are new, not again that of the old", async (t) => {
    const server = await startServer(t);
    const old = await publishMany(server, "a/old", 20);
    const added = await publishMany(server, "a/new", 20);
    const socket = await Freshet.open(t, server);
    const first = await socket.subscribe(["a/old"], { after: "earliest" });
    assert.deepEqual(first.events.map((event) => event.id), old);
    const second = await socket.subscribe(["a/**"], { after: "earliest" });
    assert.deepEqual(second.events.map((event) => event.id), added);
});

test("unsubscribing a pattern leaves the channel that was also asked for by name", async (t) => {
    const server = await startServer(t);
    const socket = await Freshet.open(t, server);
    await socket.subscribe(["a/b"]);
    await socket.subscribe(["a/*"]);
    assert.equal((await socket.answer({ op: "unsubscribe", channels: ["a/*"] })).op, "ok");
    await publish(server, "a/c", "unheard");
    const { id } = await publish(server, "a/b", "heard");
    assert.equal((await socket.pushed(1))[0].id, id);
});

bothStores("once live, events of all channels come in the order of the log", async (t, server) => {
    const socket = await Freshet.open(t, server);
    await socket.subscribe(["a", "b/**", "c/*"]);
    const publishers = ["a", "b/1", "b/2/3", "c/4"].map(async (channel) => {
        for (let n = 0; n < 100; n++) {
            await publish(server, channel, { n });
        }
    });
    const events = await socket.pushed(400);
    await Promise.all(publishers);
    assertIncreasing(events);
    assertChained(events);
    const { events: all } = await readAll(server, "channel=**");
    assert.deepEqual(events, all);
});

bothStores("while a long history is fetched, what is live keeps coming, each channel in order and complete", async (t, server) => {
    const history = await publishMany(server, "long", 4000);
    const socket = await Freshet.open(t, server);
    await socket.subscribe(["live"]);
    let stop = false;
    const published = [];
    const publisher = (async () => {
        while (!stop) {
            published.push((await publish(server, "live", { n: published.length })).id);
        }
    })();
    const { events, before } = await socket.subscribe(["long"], { after: "earliest" });
    stop = true;
    await publisher;
    /* `mark` reads what is still on its way. */
    const marked = (await publish(server, "live", "mark")).id;
    const rest = [];
    for (let id = ""; id !== marked;) {
        const [event] = await socket.pushed(1);
        rest.push(event);
        id = event.id;
    }
    assertIncreasing(rest, "after all is live");
    const all = [...before, ...events, ...rest];
    const of = (channel) => all.filter((event) => event.channel === channel).map((event) => event.id);
    assert.deepEqual(of("long"), history);
    assert.deepEqual(of("live"), [...published, marked]);
});

test("a cursor above the newest id is told as a gap", async (t) => {
    const server = await startServer(t);
    await publishMany(server, "a", 3);
    const socket = await Freshet.open(t, server);
    const { gaps, events } = await socket.subscribe(["a"], { after: "9007199254740000" });
    assert.equal(gaps.length, 1);
    assert.equal(gaps[0].after, "9007199254740000");
    assert.equal(gaps[0].reason, "unknown");
    assert.match(gaps[0].earliest, ID);
    assert.deepEqual(events, []);
    const { id } = await publish(server, "a", "new");
    assert.equal((await socket.pushed(1))[0].id, id);
});

test("events trimmed from a channel are reported as a gap, then every retained event comes", async (t) => {
    const server = await startServer(t);
    const ids = await publishMany(server, "a", 3);
    assert.ok((await server.request("DELETE", "/channels/a")).status < 300);
    const kept = await publishMany(server, "a", 2);
    const socket = await Freshet.open(t, server);
    const { gaps, events } = await socket.subscribe(["a"], { after: ids[0] });
    assert.equal(gaps.length, 1);
    assert.equal(gaps[0].after, ids[0]);
    assert.deepEqual(events.map((event) => event.id), kept);
});

for (const path of ["/events?beat=5", "/events?beat=5&channel=quiet"]) {
    test(`a heartbeat comes as often as asked for and carries the cursor, which moves even where nothing matches: ${path}`, async (t) => {
        const server = await startServer(t);
        const socket = await Freshet.open(t, server, { path });
        if (!path.includes("channel")) {
            await socket.subscribe(["quiet"]);
        }
        const { id } = await publish(server, "loud", "elsewhere");
        for (;;) {
            const message = await socket.json("a heartbeat");
            if (message.op === "beat" && message.cursor >= id) {
                break;
            }
        }
    });
}

test("a client that publishes and subscribes at once mixes no answers up", async (t) => {
    const server = await startServer(t);
    const socket = await Freshet.open(t, server);
    const refs = new Map();
    for (let n = 0; n < 60; n++) {
        const op = [
            { op: "publish", channel: `c/${n}`, data: n },
            { op: "subscribe", channels: [`c/${n}`], after: "earliest" },
            { op: "ping" },
            { op: "bogus" },
        ][n % 4];
        refs.set(await socket.ask(op), { publish: "ok", subscribe: "ok", ping: "pong", bogus: "error" }[op.op]);
    }
    while (refs.size > 0) {
        const message = await socket.notBeat(`answers to ${[...refs.keys()]}`);
        if (refs.get(message.ref) === message.op) {
            refs.delete(message.ref);
        } else {
            assert.ok(["event", "live"].includes(message.op), JSON.stringify(message));
        }
    }
});

test("a drain says bye with a reason, then closes, and the server exits with 0", async (t) => {
    const server = await startServer(t);
    const socket = await Freshet.open(t, server);
    await socket.subscribe(["a"]);
    server.signal("SIGTERM");
    const bye = await socket.expect("bye");
    assert.ok(bye.reason, "a bye must say why");
    assert.match(bye.cursor, ID);
    assert.ok(bye.retry_ms >= 0 && bye.retry_ms < 60_000, `come back in ${bye.retry_ms} ms?`);
    const { code } = await socket.closed();
    assert.ok([1001, 1012].includes(code), `closed with ${code}`);
    assert.deepEqual(await server.exited, { code: 0, signal: null });
});

test("a message that is too large closes the connection with 1009", async (t) => {
    const server = await startServer(t);
    const socket = await Freshet.open(t, server);
    await socket.send(JSON.stringify({ op: "publish", channel: "a", data: "x".repeat(3 * 1024 * 1024) })).catch(() => {});
    assert.equal((await socket.closed()).code, 1009);
    assert.equal((await server.get("/healthz")).status, 200);
});

bothStores("a subscription with types brings events of these types alone, of history and of what is new", async (t, server) => {
    const socket = await Freshet.open(t, server);
    const trade = await publish(server, "a/1", 1, { "Event-Type": "trade" });
    await publish(server, "a/1", 2, { "Event-Type": "quote" });
    const news = await publish(server, "a/2", 3, { "Event-Type": "news" });
    const { events } = await socket.subscribe(["a/*"], { after: "earliest", types: ["news", "trade"] });
    assert.deepEqual(events.map((event) => event.id), [trade.id, news.id]);
    await publish(server, "a/1", 4, { "Event-Type": "quote" });
    const { id } = await publish(server, "a/1", 5, { "Event-Type": "trade" });
    assert.equal((await socket.pushed(1))[0].id, id);
});

test("a channel cannot be had with two lists of types; other channels can", async (t) => {
    const server = await startServer(t);
    const socket = await Freshet.open(t, server);
    await socket.subscribe(["a/*"], { types: ["trade"] });
    const problem = assertError(await socket.answer({ op: "subscribe", channels: ["b", "a/1"] }), 400);
    assert.match(problem.detail, /other types/);
    await socket.subscribe(["b"]);
    await publish(server, "a/1", "unheard");
    const ids = [
        (await publish(server, "b", "heard")).id,
        (await publish(server, "a/1", "heard", { "Event-Type": "trade" })).id,
    ];
    /* Across lists of types the order is that of each channel alone. */
    assert.deepEqual((await socket.pushed(2)).map((event) => event.id).sort(), ids);
    assert.equal((await socket.answer({ op: "unsubscribe", channels: ["a/*"] })).op, "ok");
    await socket.subscribe(["a/1"]);
    const { id } = await publish(server, "a/1", "any type");
    assert.equal((await socket.pushed(1))[0].id, id);
});

test("bad types are refused with the ref", async (t) => {
    const server = await startServer(t);
    const socket = await Freshet.open(t, server);
    for (const types of ["t", {}, [], [1], ["a b"], ["error"], ["$gap"], ["x".repeat(65)], Array(101).fill("t")]) {
        assertError(await socket.answer({ op: "subscribe", channels: ["a"], types }), 400);
    }
});

bothStores("a channel that is left while its history comes falls silent, and may be joined again", async (t, server) => {
    const history = await publishMany(server, "long", 3000);
    const socket = await Freshet.open(t, server);
    await socket.subscribe(["other"]);
    const joined = await socket.ask({ op: "subscribe", channels: ["long", "long/*"], after: "earliest" });
    const left = await socket.ask({ op: "unsubscribe", channels: ["long"] });
    const got = [];
    const seen = new Set();
    while (!seen.has("live")) {
        const message = await socket.notBeat("the end of the history");
        if (message.op === "event") {
            assert.ok(!seen.has("left"), "an event of a channel that was left");
            got.push(message.event.id);
        } else {
            seen.add(message.ref === left ? "left" : message.op);
            assert.ok([joined, left].includes(message.ref), JSON.stringify(message));
        }
    }
    assert.ok(seen.has("left") && seen.has("ok"));
    assert.deepEqual(got, history.slice(0, got.length), "what came of it came in order");
    await publish(server, "long", "unheard");
    const heard = [await publish(server, "long/x", "heard"), await publish(server, "other", "heard")];
    assert.deepEqual((await socket.pushed(2)).map((event) => event.id), heard.map((event) => event.id));
    const again = await socket.subscribe(["long"], { after: "earliest" });
    assert.equal(again.events.length, history.length + 1);
    assertChained(again.events);
});

test("a name that is left stays heard as long as a pattern has it", async (t) => {
    const server = await startServer(t);
    const socket = await Freshet.open(t, server);
    await socket.subscribe(["a/*", "a/b"]);
    assert.equal((await socket.answer({ op: "unsubscribe", channels: ["a/b"] })).op, "ok");
    const { id } = await publish(server, "a/b", "heard");
    assert.equal((await socket.pushed(1))[0].id, id);
});

test("a channel that was never subscribed to can be unsubscribed from", async (t) => {
    const server = await startServer(t);
    const socket = await Freshet.open(t, server);
    assert.equal((await socket.answer({ op: "unsubscribe", channels: ["a", "b/**"] })).op, "ok");
});

test("a connection takes a hundred channels and patterns in all its subscriptions together", async (t) => {
    const server = await startServer(t);
    const socket = await Freshet.open(t, server);
    await socket.subscribe(Array.from({ length: 60 }, (_, n) => `c/${n}`));
    const more = Array.from({ length: 41 }, (_, n) => `d/${n}`);
    const problem = assertError(await socket.answer({ op: "subscribe", channels: more }), 429);
    assert.match(problem.type, /too-many$/);
    await socket.subscribe([...more.slice(1), "c/7"]); // the one that is had already counts once
    await socket.answer({ op: "unsubscribe", channels: ["c/0"] });
    await socket.subscribe(["d/0"]);
});

test("last brings the newest of the whole selection, then what is new", async (t) => {
    const server = await startServer(t);
    const ids = [];
    for (let n = 0; n < 9; n++) {
        ids.push((await publish(server, ["a", "b"][n % 2], n)).id);
    }
    const socket = await Freshet.open(t, server);
    const { events } = await socket.subscribe(["a", "b"], { last: 4 });
    assert.deepEqual(events.map((event) => event.id), ids.slice(-4));
    for (const last of [0, 1001, -1, "4", 1.5]) {
        assertError(await socket.answer({ op: "subscribe", channels: ["c"], last }), 400);
    }
});

test("presence and auth are refused with their ref where a server has neither", async (t) => {
    const server = await startServer(t);
    const socket = await Freshet.open(t, server);
    for (const [op, status, type] of [[{ op: "presence", channel: "a" }, 404, /no-presence$/], [{ op: "auth", token: "x" }, 501, /not-built$/]]) {
        const problem = assertError(await socket.answer(op), status);
        assert.match(problem.type, type);
    }
    assert.equal((await socket.answer({ op: "ping" })).op, "pong");
});

test("every error of a connection carries the ref that was given, whatever its type", async (t) => {
    const server = await startServer(t);
    const socket = await Freshet.open(t, server);
    for (const ref of [7, "seven", "", true, null, 1.5]) {
        await socket.send(JSON.stringify({ op: "bogus", ref }));
        const error = await socket.expect("error");
        assert.deepEqual(error.ref, ref);
    }
    for (const ref of [{}, [], "x".repeat(100)]) {
        await socket.send(JSON.stringify({ op: "ping", ref }));
        const error = await socket.expect("error");
        assert.equal(error.ref, undefined);
        assert.match(error.problem.detail, /ref/);
    }
});

test("binary is published with its content type, and text in a namespace that is ephemeral has no id", async (t) => {
    const server = await startServer(t, { config: "namespaces:\n  - prefix: typing\n    ephemeral: true\n" });
    const socket = await Freshet.open(t, server);
    const ok = await socket.answer({ op: "publish", channel: "a", data_base64: "AP8=", content_type: "image/png" });
    assert.equal(ok.op, "ok");
    assert.equal(ok.channel, "a");
    const [event] = await server.history("a");
    assert.equal(event.data_base64, "AP8=");
    assert.equal(event.content_type, "image/png");
    await socket.subscribe(["typing/*"]);
    await socket.ask({ op: "publish", channel: "typing/me", data: "…" });
    const got = [await socket.notBeat(), await socket.notBeat()];
    const receipt = got.find((message) => message.op === "ok");
    assert.equal(receipt.id, undefined);
    assert.ok(receipt.time);
    assert.equal(got.find((message) => message.op === "event").event.data, "…");
    for (const op of [{ data: 1, data_base64: "AA==" }, { data_base64: "A" }, { data_base64: "AA==", content_type: "png" }]) {
        assertError(await socket.answer({ op: "publish", channel: "a", ...op }), 400);
    }
});
