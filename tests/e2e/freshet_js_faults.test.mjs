// clients/js/freshet.js when something is wrong: with a server, a proxy, a token, or the functions that it is given.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import fs from "node:fs";
import http from "node:http";
import path from "node:path";
import WebSocket, { WebSocketServer } from "ws";
import { connect } from "../../clients/js/freshet.js";
import { beforeServersStop } from "./support/server.mjs";
import { eventually, sideBySide, startServer, test } from "./support/index.mjs";

/* For tests that neither replace nor watch something that all tests share: the console, rejections that nobody handled. */
const beside = sideBySide(6);

const CURSOR = "0000000000000001";
const ID = "0000000000000002";
const EVENT = { id: ID, channel: "a", type: "message", time: "2026-01-01T00:00:00.000000Z", data: "here" };

function client(t, url, options = {}) {
    const it = connect(url, { WebSocket, ...options });
    const end = () => it.close();
    beforeServersStop(t, end);
    t.after(end);
    return it;
}

/** A collector's handlers, and what they got. */
function collector() {
    const got = { data: [], gaps: [], errors: [] };
    return { got, handlers: {
        event: (event) => got.data.push(event.data),
        gap: (gap) => got.gaps.push(gap),
        error: (error) => got.errors.push(error),
    } };
}

/** The rejections that nobody handled while `t` ran. */
function unhandled(t) {
    const found = [];
    const note = (error) => found.push(error);
    process.on("unhandledRejection", note);
    t.after(() => process.off("unhandledRejection", note));
    return found;
}

const json = (response, status, body, headers = {}) =>
    void response.writeHead(status, { "Content-Type": "application/json", ...headers }).end(JSON.stringify(body));

const beat = `event: $beat\ndata: {"cursor":"${CURSOR}"}\n\n`;

/** A server that says what a test wants: `page`, `stream` and `socket` replace its answers; by default its log is empty. */
async function pretend(t, { page, stream, socket, other }) {
    const server = http.createServer((request, response) => {
        const url = new URL(request.url, "http://x");
        if (url.pathname === "/events" && url.searchParams.has("stream")) {
            stream ? stream(request, response, url) : response.writeHead(502).end();
        } else if (url.pathname === "/events") {
            page && page(request, response, url) || json(response, 200, { events: [], cursor: CURSOR, more: false });
        } else {
            other && other(request, response, url) || json(response, 200, { status: "ok" });
        }
    });
    const sockets = new WebSocketServer({ noServer: true });
    server.on("upgrade", (request, raw, head) => socket
        ? sockets.handleUpgrade(request, raw, head, (ws) => socket(ws, request.headers["sec-websocket-protocol"] ?? "")) : raw.destroy());
    await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
    t.after(() => (server.close(), server.closeAllConnections(), sockets.clients.forEach((ws) => ws.terminate())));
    return `http://127.0.0.1:${server.address().port}`;
}

const say = (ws, record) => ws.send(JSON.stringify(record));

for (const mechanism of ["ws", "sse", "poll"]) {
    beside.test(`by ${mechanism} data with separators of lines is data`, async (t) => {
        const server = await startServer(t);
        const freshet = client(t, server.url, { mechanisms: [mechanism] });
        const { got, handlers } = collector();
        freshet.subscribe("a", handlers, { after: "earliest" });
        await eventually(() => freshet.state === "live", "a connection");
        const texts = ["\u2028", "one\u2028two", "\u2029event: $bye\u2029", "x\u2028event: $beat\u2028y", "x\u2028data: {}", "\u0085", "a: b"];
        for (const text of texts) {
            await freshet.publish("a", { text });
        }
        await freshet.publish("a", "last");
        await eventually(() => got.data.at(-1) === "last", "the last");
        assert.deepEqual(got.data, [...texts.map((text) => ({ text })), "last"]);
    });

    test(`by ${mechanism} a function that throws keeps nothing from others, and ends nothing`, async (t) => {
        const errors = t.mock.method(console, "error", () => {});
        const server = await startServer(t);
        const bad = () => { throw new Error("mine"); };
        const freshet = client(t, server.url, { mechanisms: [mechanism], onState: bad });
        const { got, handlers } = collector();
        await freshet.publish("a", 0);
        freshet.subscribe("a", { event: bad, live: bad, gap: bad, error: bad }, { after: "earliest" });
        freshet.subscribe("a", handlers, { after: "earliest" });
        await eventually(() => freshet.state === "live", "a connection");
        for (const n of [1, 2, 3]) {
            await freshet.publish("a", n);
        }
        await eventually(() => got.data.length >= 4, "all events");
        assert.deepEqual(got.data, [0, 1, 2, 3]);
        assert.ok(errors.mock.callCount() >= 5);
    });

    beside.test(`by ${mechanism} more channels than a connection may have are refused for the newest subscription alone`, async (t) => {
        const server = await startServer(t);
        const freshet = client(t, server.url, { mechanisms: [mechanism] });
        const all = [0, 1, 2].map((block) => ({ ...collector(), channels: Array.from({ length: 40 }, (_, i) => `c/${block}/${i}`) }));
        for (const one of all) {
            freshet.subscribe(one.channels, one.handlers, { after: "earliest" });
            await eventually(() => freshet.state === "live", "a connection");
        }
        await eventually(() => all[2].got.errors.length === 1, "a refusal");
        await freshet.publish("c/0/1", "first");
        await freshet.publish("c/1/1", "second");
        await eventually(() => all[1].got.data.length === 1 && all[0].got.data.length === 1, "the others' events");
        assert.deepEqual(all.map(({ got }) => got.errors.length), [0, 0, 1]);
    });
}

beside.test("a token that a WebSocket is refused for is replaced", async (t) => {
    const url = await pretend(t, { socket(ws, protocols) {
        if (protocols.includes("freshet.token.old")) {
            return ws.close(4401, "/errors/bad-credential");
        }
        ws.on("message", () => (say(ws, { op: "ok", ref: 0 }), say(ws, { op: "event", event: EVENT })));
    } });
    const tokens = ["old", "new"];
    const freshet = client(t, url, { mechanisms: ["ws"], token: () => tokens.shift() ?? "new" });
    const { got, handlers } = collector();
    freshet.subscribe("a", handlers);
    await eventually(() => got.data.length || got.errors.length, "the event");
    assert.deepEqual(got.data, ["here"]);
});

test("a function for tokens that fails after a refusal is asked again", async (t) => {
    const rejections = unhandled(t);
    const url = await pretend(t, { stream(request, response) {
        if (request.headers.authorization !== "Bearer third") {
            return json(response, 401, { type: "/errors/bad-credential", status: 401 });
        }
        response.writeHead(200, { "Content-Type": "text/event-stream" }).write(`${beat}data: ${JSON.stringify(EVENT)}\n\n`);
    } });
    const tokens = [() => "first", () => { throw new Error("not now"); }, () => "third"];
    const freshet = client(t, url, { mechanisms: ["sse"], token: () => (tokens.shift() ?? (() => "third"))() });
    const { got, handlers } = collector();
    freshet.subscribe("a", handlers);
    await eventually(() => got.data.length || got.errors.length || rejections.length, "the event");
    assert.deepEqual(rejections, []);
    assert.deepEqual(got.data, ["here"]);
});

test("a token that comes when its connection has ended is not sent, and plans no other", async (t) => {
    const rejections = unhandled(t);
    const jwt = (seconds) => `a.${Buffer.from(JSON.stringify({ exp: Math.floor(Date.now() / 1000) + seconds })).toString("base64url")}.c`;
    let socket, give, asked = 0;
    const url = await pretend(t, { socket(ws) {
        socket = ws;
        ws.on("message", () => say(ws, { op: "ok", ref: 0 }));
    } });
    const freshet = client(t, url, { mechanisms: ["ws"],
        token: () => (asked++ ? new Promise((resolve) => (give = () => resolve(jwt(3)))) : jwt(3)) });
    freshet.subscribe("a", () => {});
    await eventually(() => give, "another token to be asked for");
    const closed = new Promise((resolve) => socket.on("close", resolve));
    freshet.close();
    await closed;
    give();
    await new Promise((resolve) => setImmediate(resolve));
    assert.deepEqual(rejections, []);
    assert.equal(asked, 2);
});

for (const [what, record] of [["the configuration", { op: "lost", channels: ["a"] }], ["the new token", { op: "ok", ref: 2, lost: ["a"] }]]) {
    beside.test(`a subscription that ${what} no longer grants ends with an error`, async (t) => {
        let isLost = false;
        const url = await pretend(t, {
            page: (_, response, at) => isLost && at.searchParams.getAll("channel").includes("a") &&
                (json(response, 403, { type: "/errors/forbidden", status: 403, channel: "a" }), true),
            socket: (ws) => ws.on("message", (text) => {
                say(ws, { op: "ok", ref: JSON.parse(text).ref });
                if (!isLost) {
                    isLost = true;
                    say(ws, record);
                }
            }),
        });
        const freshet = client(t, url, { mechanisms: ["ws"] });
        const gone = collector();
        freshet.subscribe("a", gone.handlers);
        await eventually(() => gone.got.errors.length, "the error");
        assert.equal(gone.got.errors[0].status, 403);
    });
}

const numbered = (n, channel) => ({ op: "event", event: { ...EVENT, id: String(n).padStart(16, "0"), channel, data: `${channel}${n}` } });

/** Answers a `subscribe`: with the records that are its history. */
const answer = (ws, ref, records = []) => [{ op: "ok", ref, cursor: CURSOR }, ...records, { op: "live", ref, cursor: CURSOR }].forEach((record) => say(ws, record));

beside.test("events that come apart from others, while their subscription begins, hide none of them", async (t) => {
    const url = await pretend(t, { socket: (ws) => ws.on("message", (text) => {
        const { ref } = JSON.parse(text);
        answer(ws, ref, ref === 0 ? [] : [numbered(9, "b"), numbered(5, "a"), numbered(7, "a")]);
    }) });
    const freshet = client(t, url, { mechanisms: ["ws"] });
    const a = collector(), b = collector();
    freshet.subscribe("a", a.handlers);
    await eventually(() => freshet.state === "live", "a connection");
    freshet.subscribe("b", b.handlers);
    await eventually(() => b.got.data.length === 1, "an event of the second subscription");
    assert.deepEqual(a.got.data, ["a5", "a7"]);
    assert.deepEqual(b.got.data, ["b9"]);
});

beside.test("a subscription for which too much waits while it begins misses nothing", async (t) => {
    const many = Array.from({ length: 10_001 }, (_, i) => numbered(i + 2, "a"));
    const last = numbered(10_003, "b");
    const url = await pretend(t, { socket: (ws) => ws.on("message", (text) => {
        const { ref, channels, after } = JSON.parse(text);
        const isBoth = channels.includes("b");
        answer(ws, ref, isBoth ? [...many, last].filter(({ event }) => ref !== 0 || event.id > after) : []);
    }) });
    const freshet = client(t, url, { mechanisms: ["ws"] });
    const a = collector(), b = collector();
    freshet.subscribe("a", a.handlers);
    await eventually(() => freshet.state === "live", "a connection");
    freshet.subscribe("b", b.handlers);
    await eventually(() => b.got.data.length === 1, "the event");
    assert.equal(a.got.data.length, many.length);
    assert.deepEqual(a.got.data, many.map(({ event }) => event.data));
});

beside.test("a subscription that is closed when its pages are read is not asked for", async (t) => {
    const asked = [];
    const url = await pretend(t, { socket: (ws) => ws.on("message", (text) => {
        const { ref, channels } = JSON.parse(text);
        asked.push(...channels);
        answer(ws, ref);
    }) });
    const freshet = client(t, url, { mechanisms: ["ws"] });
    freshet.subscribe("a", () => {});
    await eventually(() => freshet.state === "live", "a connection");
    const one = freshet.subscribe("b", { live: () => (one.close(), freshet.subscribe("c", () => {})) });
    await eventually(() => asked.includes("c"), "the next subscription");
    assert.deepEqual(asked, ["a", "c"]);
});

beside.test("a WebSocket that nobody wants any more when it is open says nothing against WebSockets", async (t) => {
    const sockets = [];
    class Slow {
        constructor() {
            sockets.push(this);
        }

        close() {}
    }
    let streams = 0;
    const url = await pretend(t, { stream: (_, response) => (streams++, response.writeHead(200, { "Content-Type": "text/event-stream" }).write(beat)) });
    const freshet = client(t, url, { mechanisms: ["ws", "sse"], WebSocket: Slow });
    for (let round = 1; round <= 4; round++) {
        const one = freshet.subscribe("a", () => {});
        await eventually(() => sockets.length === round || streams, "a connection");
        assert.equal(streams, 0);
        one.close();
        sockets.at(-1).onopen();
        await eventually(() => freshet.state === "idle", "the client to want nothing");
    }
});

beside.test("a channel that is left while its stream begins is not followed", async (t) => {
    const asked = [];
    let begin;
    const url = await pretend(t, { stream(_, response, at) {
        asked.push(at.searchParams.getAll("channel").join());
        begin = () => response.writeHead(200, { "Content-Type": "text/event-stream" }).write(beat);
        if (asked.length !== 2) {
            begin();
        }
    } });
    const freshet = client(t, url, { mechanisms: ["sse"] });
    freshet.subscribe("a", () => {});
    await eventually(() => freshet.state === "live", "a connection");
    const one = freshet.subscribe("b", () => {});
    await eventually(() => asked.length === 2, "the stream of both");
    one.close();
    begin();
    await eventually(() => asked.length === 3, "another stream");
    assert.deepEqual(asked, ["a", "a,b", "a"]);
});

beside.test("what a stream brought that lacked a channel hides no event of the next, which has it", async (t) => {
    const record = (channel, id) => `id: ${id}\ndata: ${JSON.stringify({ ...EVENT, id, channel, data: `${channel}${+id}` })}\n\n`;
    const id = (n) => `${n}`.padStart(16, "0");
    const streams = [];
    let answerPage;
    const url = await pretend(t, {
        page: (_, response, at) => at.searchParams.getAll("channel").join() === "a,b" &&
            (answerPage = () => json(response, 200, { events: [], cursor: CURSOR, more: false }), true),
        stream(_, response, at) {
            response.writeHead(200, { "Content-Type": "text/event-stream" }).write(beat);
            streams.push({ response, channels: at.searchParams.getAll("channel").join() });
        },
    });
    const freshet = client(t, url, { mechanisms: ["sse"] });
    const { got: first, handlers } = collector();
    const { got, handlers: both } = collector();
    let isLive = false;
    freshet.subscribe("a", handlers);
    await eventually(() => freshet.state === "live", "a stream");
    freshet.subscribe(["a", "b"], { ...both, live: () => (isLive = true) });
    await eventually(() => answerPage, "the page of both channels");
    streams[0].response.write(record("a", id(3)));
    await eventually(() => first.data.join() === "a3", "an event of the stream without b");

    freshet.subscribe("b", () => {});
    await eventually(() => streams.length === 2 && freshet.state === "live", "a stream with b");
    answerPage();
    await eventually(() => isLive, "the end of the pages");
    streams[1].response.write(record("b", id(2)) + record("a", id(3)) + record("b", id(4)));
    await eventually(() => got.data.includes("b4"), "the last event");
    assert.deepEqual(streams.map(({ channels }) => channels), ["a", "a,b"]);
    assert.deepEqual(got.data, ["b2", "a3", "b4"]);
});

beside.test("a stream that brings nonsense is closed", async (t) => {
    let isClosed = false;
    const url = await pretend(t, { stream(_, response) {
        response.writeHead(200, { "Content-Type": "text/event-stream" }).write("data: nonsense\n\n");
        response.on("close", () => (isClosed = true));
    } });
    client(t, url, { mechanisms: ["sse"] }).subscribe("a", () => {});
    await eventually(() => isClosed, "the end of the first stream");
});

beside.test("a server that says later keeps its mechanism, and is asked when it said", async (t) => {
    const asked = [];
    const url = await pretend(t, { stream(_, response) {
        asked.push(Date.now());
        asked.length < 4 ? json(response, 503, { type: "/errors/unavailable", status: 503 }, { "Retry-After": "1" })
            : response.writeHead(200, { "Content-Type": "text/event-stream" }).write(beat);
    } });
    const freshet = client(t, url, { mechanisms: ["sse", "poll"] });
    freshet.subscribe("a", () => {});
    await eventually(() => freshet.state === "live", "a connection");
    assert.equal(freshet.mechanism, "sse");
    assert.ok(asked.slice(1).every((at, i) => at - asked[i] >= 990), "it was asked too early");
});

beside.test("a mechanism that does not get through gives way, though the server was away at first", async (t) => {
    let away = 3;
    const url = await pretend(t, {
        other: (_, response) => away-- > 0 && response.destroy(),
        stream: (_, response) => response.writeHead(200, { "Content-Type": "text/event-stream" }).write(beat),
    });
    const freshet = client(t, url, { mechanisms: ["ws", "sse"] });
    freshet.subscribe("a", () => {});
    await eventually(() => freshet.mechanism === "sse", "the stream");
});

beside.test("a publish that no request can be is rejected, and the next goes on", async (t) => {
    const server = await startServer(t);
    const freshet = client(t, server.url);
    const never = [["a", { type: "no\nline" }], ["a", { key: "\u{1F600}" }], ["a/../b", {}], ["../healthz", {}], [".", {}], ["a//b", {}], ["", {}]];
    for (const [channel, options] of never) {
        await assert.rejects(freshet.publish(channel, "no", options), `${channel} ${JSON.stringify(options)}`);
    }
    assert.equal((await freshet.publish("a/...", "yes")).channel, "a/...");
    assert.equal((await server.get("/channels")).json().channels.length, 1);
});

beside.test("an ephemeral event is given up when the server does not take it", async (t) => {
    let asked = 0;
    const url = await pretend(t, { other: (_, response) => (asked++, json(response, 503, { status: 503 }), true) });
    await assert.rejects(client(t, url).publish("a", "typing", { ephemeral: true }), { status: 503 });
    assert.equal(asked, 2);
});

beside.test("Retry-After that is longer than a timer can be does not become a storm", async (t) => {
    let asked = 0;
    const url = await pretend(t, { other: (request, response) => request.method === "POST" &&
        (asked++, json(response, 503, { status: 503 }, { "Retry-After": "99999999" }), true) });
    const freshet = client(t, url);
    const published = freshet.publish("a", 1).catch((error) => error);
    await eventually(() => asked, "a request");
    for (let round = 0; round < 50; round++) {
        await (await fetch(url)).text();
    }
    assert.equal(asked, 1);
    freshet.close();
    assert.equal((await published).status, 503);
});

beside.test("Node ends after close(), whatever is under way", async (t) => {
    const url = await pretend(t, { other: (_, response) => (json(response, 503, { status: 503 }, { "Retry-After": "600" }), true),
        page: (_, response, at) => at.searchParams.has("wait") });
    const module = new URL("../../clients/js/freshet.js", import.meta.url);
    for (const address of [url, "http://127.0.0.1:1"]) {
        const program = `import { connect } from ${JSON.stringify(module.href)};
            const server = connect(${JSON.stringify(address)}, { mechanisms: ["poll"] });
            server.subscribe("a", () => {});
            server.publish("a", 1).catch(() => {});
            server.publish("a", 2).catch(() => {});
            setTimeout(() => server.close(), 700);`;
        const child = spawn(process.execPath, ["--input-type=module", "-e", program], { stdio: ["ignore", "inherit", "inherit"] });
        t.after(() => child.kill());
        assert.equal(await new Promise((resolve) => child.on("exit", resolve)), 0);
    }
});

beside.test("events that the disk has lost are told, to those who begin at the earliest too", async (t) => {
    const server = await startServer(t, { data: true, config: "log:\n  roll_bytes: 4096\n" });
    const folder = path.join(server.dir, "data/log");
    const sealed = () => fs.readdirSync(folder).filter((name, _, all) => /^\d{16}\.db$/.test(name) && !all.includes(`${name}-wal`)).sort();
    const parts = [];
    for (let file = 0; file < 3; file++) {
        parts.push(await server.publishMany("a", 30, (n) => `${file}-${n}-${"x".repeat(160)}`));
        await eventually(() => sealed().length === file + 1, "a sealed file");
    }
    await server.terminate();
    fs.rmSync(path.join(folder, `${parts[1][0]}.db`));
    await server.start();
    for (const mechanism of ["ws", "sse", "poll"]) {
        const { got, handlers } = collector();
        client(t, server.url, { mechanisms: [mechanism] }).subscribe("a", handlers, { after: "earliest" });
        await eventually(() => got.data.length === 60 && got.gaps.length, "events and a gap");
        assert.deepEqual(got.gaps.map(({ reason }) => reason), ["lost"]);
        assert.deepEqual(Object.keys(got.gaps[0]), ["after", "earliest", "reason"]);
    }
});
