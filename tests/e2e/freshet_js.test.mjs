// clients/js/freshet.js in Node: every mechanism brings the same events, and no lost connection loses any.

import assert from "node:assert/strict";
import http from "node:http";
import net from "node:net";
import * as jose from "jose";
import WebSocket from "ws";
import { connect, FreshetError, matches } from "../../clients/js/freshet.js";
import { beforeServersStop } from "./support/server.mjs";
import { eventually, startServer, sideBySide } from "./support/index.mjs";
import { freePort } from "./support/program.mjs";

const { test } = sideBySide(5);

/** Inflates nothing: `ws` does it in other threads, so slowly that a backlog grows. */
class Socket extends WebSocket {
    constructor(url, protocols) {
        super(url, protocols, { perMessageDeflate: false });
    }
}

/** A client that ends before the server of test `t` does. */
function client(t, url, options = {}) {
    const it = connect(url, { WebSocket: Socket, ...options });
    const end = () => it.close();
    beforeServersStop(t, end);
    t.after(end);
    return it;
}

/** What a subscription has got, as lists by kind. */
function collector() {
    const got = { events: [], gaps: [], errors: [] };
    return { got, handlers: {
        event: (event) => got.events.push(event),
        gap: (gap) => got.gaps.push(gap),
        error: (error) => got.errors.push(error),
    } };
}

const data = ({ events }) => events.map((event) => event.data);

/** Waits until `got` holds exactly `wanted`, in order. */
async function gets(got, wanted, what = "events") {
    await eventually(() => got.events.length >= wanted.length || got.errors.length > 0, `${wanted.length} ${what}`);
    assert.deepEqual(got.errors, []);
    assert.deepEqual(data(got), wanted);
}

/** All events of the log. */
async function wholeLog(server) {
    const events = [];
    for (let page = { next: "?channel=*&after=earliest&limit=1000", more: true }; page.more; events.push(...page.events)) {
        page = await server.page(`/events${page.next.replace(/&wait=\d+/, "")}`);
    }
    return events;
}

const numbers = (from, to) => Array.from({ length: to - from }, (_, i) => from + i);

/** Passes bytes on to `port`, and what `change` makes of the answers. */
async function proxyTo(t, port, change = (chunk) => chunk) {
    const sockets = new Set();
    let isHeld = false;
    const hold = () => { /* events that are under way stay so; pages pass */
        isHeld = true;
        sockets.forEach((socket) => socket.isFollowed && socket.pause());
    };
    const server = net.createServer((socket) => {
        const other = net.connect(port, "127.0.0.1");
        for (const one of [socket, other]) {
            sockets.add(one);
            one.on("error", () => {}).on("close", () => (sockets.delete(one), socket.destroy(), other.destroy()));
        }
        socket.on("data", (chunk) => {
            if (/^\w+ \//.test(chunk)) {
                other.isFollowed = /[?&](stream|wait)=|upgrade: websocket/i.test(chunk);
                isHeld && hold();
            }
            other.write(chunk);
        });
        other.on("data", (chunk) => socket.write(change(chunk)));
    });
    await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
    const cut = () => sockets.forEach((socket) => socket.destroy());
    const release = () => {
        isHeld = false;
        sockets.forEach((socket) => socket.resume());
    };
    t.after(() => (server.close(), cut()));
    return { url: `http://127.0.0.1:${server.address().port}`, cut, hold, release };
}

test("a name or pattern stands for the channels that the server says", () => {
    const table = [["a", "a", true], ["a", "b", false], ["a/*", "a/b", true], ["a/*", "a", false], ["a/*", "a/b/c", false],
        ["a/**", "a/b/c", true], ["a/**", "a", false], ["*/b", "a/b", true], ["**", "a", true], ["**", "$webhooks/x", false],
        ["*/x", "$webhooks/x", false], ["$webhooks/*", "$webhooks/x", true], ["*", "a/b", false]];
    for (const [pattern, channel, wanted] of table) {
        assert.equal(matches(pattern, channel), wanted, `${pattern} and ${channel}`);
    }
});

for (const mechanism of ["ws", "sse", "poll"]) {
    test(`by ${mechanism} history and new events come once and in order, across lost connections`, async (t) => {
        const port = await freePort();
        const server = await startServer(t, { data: true, listen: `127.0.0.1:${port}` });
        const proxy = await proxyTo(t, port);
        for (const n of numbers(0, 10)) {
            await server.publish("a/x", JSON.stringify(n), { "Content-Type": "application/json" });
        }
        const states = new Set();
        const freshet = client(t, proxy.url, { mechanisms: [mechanism], onState: (state) => states.add(state) });
        const all = collector(), two = collector();
        freshet.subscribe("a/*", all.handlers, { after: "earliest" });
        freshet.subscribe(["a/x", "b"], two.handlers, { last: 2 });
        await gets(all.got, numbers(0, 10));
        await gets(two.got, [8, 9]);
        await eventually(() => freshet.mechanism === mechanism, mechanism);
        for (let n = 10; n < 50; n++) {
            await freshet.publish("a/x", n);
            if (n % 10 === 5) {
                proxy.cut();
            }
        }
        await gets(all.got, numbers(0, 50));
        await server.kill();
        await server.start();
        await freshet.publish("a/x", 50);
        await gets(all.got, numbers(0, 51));
        await gets(two.got, numbers(8, 51));
        assert.deepEqual(all.got.gaps, []);
        assert.ok(states.has("live") && states.has("connecting"));
    });

    test(`by ${mechanism} subscriptions that come and go under load miss nothing`, async (t) => {
        const server = await startServer(t);
        const freshet = client(t, server.url, { mechanisms: [mechanism] });
        const channels = ["x", "y", "z"];
        let end = false;
        const load = (async () => {
            for (let n = 0; !end; n++) {
                await freshet.publish(channels[n % 3], n);
            }
        })();
        const many = [];
        for (const wanted of [["x"], ["x", "y"], ["*"], ["z", "y"], ["y"], ["**"], ["z"], ["x", "z"]]) {
            const one = { ...collector(), wanted };
            one.subscription = freshet.subscribe(wanted, one.handlers);
            many.push(one);
            await eventually(() => one.got.events.length >= 5, "some events");
            if (many.length === 4) {
                many[1].subscription.close();
                many[1].closed = many[1].got.events.length;
            }
        }
        end = true;
        await load;
        for (const channel of channels) {
            await freshet.publish(channel, "last");
        }
        const events = await wholeLog(server);
        for (const { got, wanted, closed } of many) {
            const mine = events.filter(({ channel }) => wanted.some((pattern) => matches(pattern, channel)));
            const first = mine.findIndex((event) => event.id === got.events[0].id);
            const expected = closed === undefined ? mine.slice(first) : mine.slice(first, first + closed);
            await eventually(() => got.events.length >= expected.length, `the last events of ${wanted}`);
            const ids = (list) => list.map(({ id }) => id).join(" ");
            assert.ok(ids(got.events) === ids(expected), `${wanted}: ${got.events.length} events of ${expected.length}`);
        }
    });

    test(`by ${mechanism} a gap is told once, and what is left follows`, async (t) => {
        const port = await freePort();
        const server = await startServer(t, { data: true, listen: `127.0.0.1:${port}` });
        const freshet = client(t, server.url, { mechanisms: [mechanism] });
        const { got, handlers } = collector();
        const first = await freshet.publish("a", "one");
        const subscription = freshet.subscribe("a", handlers, { after: "earliest" });
        await gets(got, ["one"]);
        subscription.close();
        await freshet.publish("a", "two");
        await server.request("DELETE", "/channels/a");
        await eventually(async () => (await server.history("a")).length === 0, "the channel to be empty");
        await freshet.publish("a", "three");
        const again = collector();
        freshet.subscribe("a", again.handlers, { after: first.id });
        await gets(again.got, ["three"]);
        assert.equal(again.got.gaps.length, 1);
        assert.equal(again.got.gaps[0].reason, "trimmed");
        await freshet.publish("a", "four");
        await gets(again.got, ["three", "four"]);
        assert.equal(again.got.gaps.length, 1);
    });
}

/** Passes on the answers to pages of a channel, those that are asked with `parameter`, once `open` is called. */
function gate(channel, parameter = "limit") {
    const door = { answered: 0 };
    const opened = new Promise((resolve) => (door.open = resolve));
    door.fetch = async (url, ...rest) => {
        const answer = await fetch(url, ...rest);
        const { searchParams } = new URL(url);
        if (searchParams.has(parameter) && searchParams.getAll("channel").includes(channel)) {
            door.answered++;
            await opened;
        }
        return answer;
    };
    return door;
}

for (const mechanism of ["ws", "sse", "poll"]) {
    test(`by ${mechanism} a channel that is followed already hides no events of those that begin`, async (t) => {
        const server = await startServer(t);
        const door = gate("b");
        const reader = client(t, server.url, { mechanisms: [mechanism], fetch: door.fetch });
        const one = collector(), both = collector();
        reader.subscribe("a", one.handlers, { after: "earliest" });
        await server.publish("a", "a0");
        await gets(one.got, ["a0"]);
        reader.subscribe(["a", "b"], both.handlers);
        await eventually(() => door.answered === 1, "a page without events, which is held back");
        await server.publish("b", "b1");
        await server.publish("a", "a2");
        await gets(one.got, ["a0", "a2"]);
        door.open();
        await gets(both.got, ["b1", "a2"]);
    });
}

for (const mechanism of ["ws", "sse", "poll"]) {
    test(`by ${mechanism} of two subscriptions to a channel, the one whose pages take longer misses nothing`, async (t) => {
        const server = await startServer(t);
        const door = gate("a", "last");
        const reader = client(t, server.url, { mechanisms: [mechanism], fetch: door.fetch });
        const slow = collector(), quick = collector();
        reader.subscribe("a", slow.handlers, { last: 1 });
        await eventually(() => door.answered === 1, "a page without events, which is held back");
        await server.publish("a", "a0");
        reader.subscribe("a", quick.handlers, { after: "earliest" });
        await gets(quick.got, ["a0"]);
        await eventually(() => reader.state === "live", "a connection that begins behind that event");
        door.open();
        await server.publish("a", "a1");
        await gets(slow.got, ["a0", "a1"]);
        await gets(quick.got, ["a0", "a1"]);
    });

    test(`by ${mechanism} a gap that one subscription knows is told to another that does not`, async (t) => {
        const server = await startServer(t);
        const proxy = await proxyTo(t, server.port);
        const reader = client(t, proxy.url, { mechanisms: [mechanism] });
        const behind = collector(), told = collector();
        const { id } = await server.publish("a", "a0");
        reader.subscribe("b", behind.handlers, { after: "earliest" });
        await server.publish("b", "b0");
        await gets(behind.got, ["b0"]);
        await eventually(() => reader.state === "live", "a connection");
        proxy.hold();
        for (const channel of ["b", "a"]) {
            await server.publish(channel, "gone");
            await server.request("DELETE", `/channels/${channel}`);
        }
        reader.subscribe("a", { ...told.handlers, live: () => (told.live = true) }, { after: id });
        await eventually(() => told.live, "the other subscription to be live");
        proxy.cut();
        proxy.release();
        await server.publish("b", "b2");
        await gets(behind.got, ["b0", "b2"]);
        assert.deepEqual([behind, told].map(({ got }) => got.gaps.map(({ reason }) => reason)), [["trimmed"], ["trimmed"]]);
    });

    test(`by ${mechanism} a subscription that begins while others catch up hides nothing from them`, async (t) => {
        const server = await startServer(t);
        const proxy = await proxyTo(t, server.port);
        const reader = client(t, proxy.url, { mechanisms: [mechanism] });
        const behind = collector(), fresh = collector();
        reader.subscribe("a", behind.handlers);
        await eventually(() => reader.state === "live", "a connection");
        proxy.hold();
        const filler = "x".repeat(250_000); /* more than sockets hold: most of it stays with the server */
        const wanted = numbers(0, 50).map((n) => n + filler);
        for (const text of wanted) {
            await server.publish("a", text);
        }
        reader.subscribe("b", { ...fresh.handlers, live: () => (fresh.live = true) }, { after: "earliest" });
        await eventually(() => fresh.live, "the pages of the other subscription");
        await server.publish("b", "b0");
        proxy.release();
        await gets(fresh.got, ["b0"]);
        await eventually(() => behind.got.events.length >= wanted.length, "all events");
        assert.ok(data(behind.got).every((text, i) => text === wanted[i]));
    });
}

for (const [when, closes] of [["an event", "event"], ["the word that it is live", "live"]]) {
    test(`a subscription that is closed at ${when} gets nothing more, and its cursor stays there`, async (t) => {
        const server = await startServer(t);
        const reader = client(t, server.url);
        for (const n of numbers(0, 3)) {
            await server.publish("a", String(n));
        }
        const calls = [], { got, handlers } = collector();
        const note = (name) => (value) => {
            calls.push(name);
            if (name === closes) {
                one.close();
            }
            handlers[name]?.(value);
        };
        const one = reader.subscribe("a", { event: note("event"), live: note("live") }, { after: "earliest" });
        await eventually(() => calls.includes(closes), when);
        const all = collector();
        reader.subscribe("a", all.handlers, { after: "earliest" });
        await server.publish("a", "3");
        await gets(all.got, ["0", "1", "2", "3"]);
        assert.deepEqual(calls, closes === "event" ? ["event"] : ["event", "event", "event", "live"]);
        assert.equal(one.cursor, got.events.at(-1).id);
    });
}

test("a client that is closed by a handler calls no other", async (t) => {
    const server = await startServer(t);
    for (const n of numbers(0, 3)) {
        await server.publish("a", String(n));
    }
    const reader = client(t, server.url), calls = [];
    const ended = new Promise((resolve) => {
        const event = () => (calls.push("event"), reader.close(), setImmediate(resolve));
        reader.subscribe("a", { event, live: () => calls.push("live") }, { after: "earliest" });
    });
    await ended;
    assert.deepEqual(calls, ["event"]);
});

/** Answers the first page with the cursor of another log, which is above all of this one's. */
function foreignPage(cursor) {
    let isFirst = true;
    return (url, ...rest) => {
        if (!isFirst)
            return fetch(url, ...rest);
        isFirst = false;
        return Promise.resolve(Response.json({ events: [], cursor, more: false }));
    };
}

for (const mechanism of ["ws", "sse", "poll"]) {
    for (const [when, ways] of [["it asks for", { after: true }], ["it has followed", { fetch: true }]]) {
        test(`a cursor of another log that ${when} is a gap, and the events of this log follow, by ${mechanism}`, async (t) => {
            const server = await startServer(t);
            const { id } = await server.publish("b", "before");
            const foreign = String(BigInt(id) + 3_600_000_000n);
            let requests = 0;
            const ask = ways.fetch ? foreignPage(foreign) : fetch;
            const reader = client(t, server.url, { mechanisms: [mechanism], fetch: (...given) => (requests++, ask(...given)) });
            const { got, handlers } = collector();
            const one = reader.subscribe("a", handlers, ways.after ? { after: foreign } : {});
            await eventually(() => got.gaps.length > 0, "the gap");
            await reader.publish("a", "after");
            await gets(got, ["after"]);
            assert.deepEqual(got.gaps.map(({ reason, after }) => [reason, after]), [["unknown", foreign]]);
            assert.ok(one.cursor < foreign);
            assert.ok(requests < 10, `${requests} requests`);
        });
    }
}

test("publishes arrive in the order of the calls, ephemeral events and bytes too", async (t) => {
    const server = await startServer(t);
    const freshet = client(t, server.url);
    const { got, handlers } = collector();
    freshet.subscribe("a/b c", { ...handlers, live: () => (got.live = true) });
    await eventually(() => got.live && freshet.state === "live", "the subscription to be live");
    await Promise.all(numbers(0, 30).map((n) => freshet.publish("a/b c", { n }, { type: "count" })));
    await gets(got, numbers(0, 30).map((n) => ({ n })));
    assert.ok(got.events.every(({ type }) => type === "count"));
    await freshet.publish("a/b c", "typing", { ephemeral: true });
    await freshet.publish("a/b c", Uint8Array.of(0, 255));
    await eventually(() => got.events.length === 32, "both");
    assert.equal(got.events[30].data, "typing");
    assert.equal(got.events[31].data_base64, "AP8=");
    const newest = got.events[31].id;
    await freshet.publish("a/b c", "on top", { ifMatch: newest });
    await assert.rejects(freshet.publish("a/b c", "late", { ifMatch: newest }), { status: 412 });
    const receipt = await freshet.publish("a/b c", "once", { key: "k" });
    assert.deepEqual(await freshet.publish("a/b c", "once", { key: "k" }), { ...receipt, duplicate: true });
});

test("types are what a subscription asked for", async (t) => {
    const server = await startServer(t);
    const freshet = client(t, server.url);
    const { got, handlers } = collector();
    await freshet.publish("a", "old", { type: "x" });
    freshet.subscribe("a", handlers, { types: ["x"], after: "earliest" });
    await gets(got, ["old"]);
    await freshet.publish("a", "no", { type: "y" });
    await freshet.publish("a", "new", { type: "x" });
    await gets(got, ["old", "new"]);
});

test("where WebSockets and streams do not get through, polls do", async (t) => {
    const server = await startServer(t);
    /* Answers whole or not at all, and knows no upgrade: as some proxies of companies do. */
    const proxy = http.createServer((request, response) => {
        const { pathname, search } = new URL(request.url, "http://x");
        if (search.includes("stream=")) {
            return void response.writeHead(502).end();
        }
        const on = http.request({ port: server.port, method: request.method, path: pathname + search, headers: request.headers },
            (answer) => answer.pipe(response.writeHead(answer.statusCode, answer.headers)));
        on.on("error", () => response.destroy());
        request.pipe(on);
    });
    proxy.on("upgrade", (request, socket) => socket.destroy());
    await new Promise((resolve) => proxy.listen(0, "127.0.0.1", resolve));
    t.after(() => (proxy.close(), proxy.closeAllConnections()));
    const freshet = client(t, `http://127.0.0.1:${proxy.address().port}`);
    const { got, handlers } = collector();
    freshet.subscribe("a", handlers, { after: "earliest" });
    await freshet.publish("a", "one");
    await eventually(() => freshet.mechanism === "poll", "polls");
    await freshet.publish("a", "two");
    await gets(got, ["one", "two"]);
});

const SECRET = "correct horse battery staple and more";
const RULES = `access: {anybody: []}\ntokens:\n  - secret: "${SECRET}"\n    leeway_s: 0\n`;

const tokenFor = (seconds, channels = ["chat/**"]) => new jose.SignJWT({ freshet: { grants: [{ channels, may: ["read", "publish"] }] } })
    .setProtectedHeader({ alg: "HS256" }).setSubject("alice").setExpirationTime(Math.floor(Date.now() / 1000) + seconds)
    .sign(new TextEncoder().encode(SECRET));

for (const mechanism of ["ws", "sse", "poll"]) {
    test(`by ${mechanism} a token that ends is replaced, and nothing is missed`, async (t) => {
        const server = await startServer(t, { config: RULES });
        let asked = 0;
        const freshet = client(t, server.url, { mechanisms: [mechanism], token: () => (asked++, tokenFor(3)) });
        const { got, handlers } = collector();
        freshet.subscribe("chat/a", handlers, { after: "earliest" });
        let n = 0;
        while (asked < 3) {
            await freshet.publish("chat/a", n++);
        }
        await gets(got, numbers(0, n));
    });
}

test("a function for tokens that fails is asked again", async (t) => {
    const server = await startServer(t, { config: RULES });
    const failures = [() => { throw new Error("not now"); }, () => Promise.reject(new Error("nor now"))];
    const freshet = client(t, server.url, { token: () => (failures.shift() ?? (() => tokenFor(60)))() });
    const { got, handlers } = collector();
    freshet.subscribe("chat/a", handlers, { after: "earliest" });
    await freshet.publish("chat/a", "fine");
    await gets(got, ["fine"]);
});

test("a refusal ends the subscription that it concerns, and says what is missing", async (t) => {
    const server = await startServer(t, { config: RULES });
    const freshet = client(t, server.url, { token: await tokenFor(60) });
    const good = collector(), bad = collector();
    freshet.subscribe("chat/a", good.handlers, { after: "earliest" });
    freshet.subscribe("staff", bad.handlers);
    await eventually(() => bad.got.errors.length === 1, "a refusal");
    assert.ok(bad.got.errors[0] instanceof FreshetError);
    assert.equal(bad.got.errors[0].status, 403);
    assert.equal(bad.got.errors[0].problem.channel, "staff");
    await freshet.publish("chat/a", "fine");
    await gets(good.got, ["fine"]);
    await assert.rejects(freshet.publish("staff", "no"), { status: 403 });
    await freshet.publish("chat/a", "still fine");
    await gets(good.got, ["fine", "still fine"]);
});
