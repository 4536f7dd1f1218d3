// Long-poll: the page as soon as there is something in it, else an empty page after the wait.

import assert from "node:assert/strict";
import { performance } from "node:perf_hooks";
import {
    RawConn, assertProblem, eventually, idsOf, startServer, subscribersOf, sideBySide,
} from "./support/index.mjs";

const { bothStores, test } = sideBySide(4);

/** Sends a poll on a bare connection and waits until the server counts it as waiting. */
async function waitingPoll(server, path, headers = "") {
    const conn = await RawConn.open(server.port);
    await conn.send(`GET ${path} HTTP/1.1\r\nHost: 127.0.0.1:${server.port}\r\n${headers}\r\n`);
    await eventually(async () => (await subscribersOf(server, "poll")) >= 1, "the poll to be waiting");
    return conn;
}

bothStores("a poll with something to tell answers at once", async (t, server) => {
    const { id } = await server.publish("a", "x");
    for (const [query, headers] of [["?wait=55", {}], ["", { Prefer: "wait=55" }]]) {
        const start = performance.now();
        const page = await server.page(`/channels/a${query}`, headers);
        assert.deepEqual(idsOf(page.events), [id]);
        assert.ok(performance.now() - start < 20_000);
    }
});

bothStores("a poll with nothing to tell waits for the next event", async (t, server) => {
    let { cursor } = await server.page("/channels/a");
    for (let n = 0; n < 20; n++) {
        const poll = server.page(`/channels/a?after=${cursor}&wait=55`);
        const { id } = await server.publish("a", `${n}`);
        const page = await poll;
        assert.deepEqual(idsOf(page.events), [id]);
        assert.equal(page.more, false);
        cursor = page.cursor;
    }
});

bothStores("nothing of the answer is sent before there is something to say", async (t, server) => {
    const conn = await waitingPoll(server, "/channels/a?after=now&wait=55");
    assert.equal(conn.buffer.length, 0, `sent too early: ${conn.buffer}`);
    const { id } = await server.publish("a", "x");
    const answer = await conn.readResponse();
    assert.equal(answer.status, 200);
    assert.deepEqual(idsOf(answer.json().events), [id]);
    assert.equal(answer.headers.cursor, id);
});

bothStores("after the wait comes an empty page with the newest cursor", async (t, server) => {
    await server.publish("a", "x");
    const { id } = await server.publish("elsewhere", "y");
    const start = performance.now();
    const page = await server.page("/channels/a?after=now&wait=1");
    assert.ok(performance.now() - start >= 900, "it did not wait");
    assert.deepEqual(page.events, []);
    assert.equal(page.more, false);
    assert.equal(page.cursor, id);
    assert.equal(page.answer.headers.cursor, id);
});

bothStores("while a poll waits its cursor moves over what does not match", async (t, server) => {
    const conn = await waitingPoll(server, "/channels/a?after=now&wait=3");
    const { id } = await server.publish("elsewhere", "x");
    const page = (await conn.readResponse()).json();
    assert.deepEqual(page.events, []);
    assert.equal(page.cursor, id);
});

bothStores("Prefer: wait is applied and says so", async (t, server) => {
    await server.publish("a", "x");
    for (const prefer of ["wait=7", "WAIT=7", "respond-async, wait=7", "wait=7; foo=bar, return=minimal",
        "wait = 7"]) {
        const { headers } = (await server.page("/channels/a", { Prefer: prefer })).answer;
        assert.match(headers["preference-applied"] ?? "", /^wait=7$/i, `for ${prefer}`);
        assert.match(headers.vary, /\bprefer\b/i);
    }
    const empty = await server.page("/channels/a?after=now", { Prefer: "wait=1" });
    assert.match(empty.answer.headers["preference-applied"], /^wait=1$/i);
});

test("a preference that means nothing is ignored", async (t) => {
    const server = await startServer(t);
    for (const prefer of ["wait=abc", "wait", "wait=-1", "waits=5", "respond-async", ",,;", '"']) {
        const page = await server.page("/channels/a", { Prefer: prefer });
        assert.deepEqual(page.events, []);
        assert.equal(page.answer.headers["preference-applied"], undefined, `for ${prefer}`);
    }
});

test("without a preference none is said to be applied", async (t) => {
    const server = await startServer(t);
    const { headers } = (await server.page("/channels/a")).answer;
    assert.equal(headers["preference-applied"], undefined);
});

bothStores("a wait beyond 55 seconds is taken as 55", async (t, server) => {
    await server.publish("a", "x");
    const page = await server.page("/channels/a", { Prefer: "wait=3600" });
    assert.match(page.answer.headers["preference-applied"], /^wait=55$/i);
    assert.equal((await server.get("/channels/a?wait=3600")).status, 200);
});

test("a wait of 0 is a page at once", async (t) => {
    const server = await startServer(t);
    assert.deepEqual((await server.page("/channels/a?wait=0")).events, []);
});

bothStores("polls begin at the earliest event", async (t, server) => {
    const ids = await server.publishMany("a", 3);
    assert.deepEqual(idsOf((await server.page("/channels/a?wait=5")).events), ids);
});

bothStores("only what matches wakes a poll", async (t, server) => {
    const conn = await waitingPoll(server, "/events?channel=a/*&type=go&after=now&wait=55");
    await server.publish("a/x", "wrong type", { "Event-Type": "stop" });
    await server.publish("b", "wrong channel", { "Event-Type": "go" });
    const { id } = await server.publish("a/y", "this", { "Event-Type": "go" });
    assert.deepEqual(idsOf((await conn.readResponse()).json().events), [id]);
});

bothStores("one publish wakes every poll that waits for it", async (t, server) => {
    const { cursor } = await server.page("/channels/a");
    const polls = Array.from({ length: 60 }, (_, n) =>
        server.page(n % 2 ? `/channels/a?after=${cursor}&wait=55`
            : `/events?channel=*&channel=a&after=${cursor}&wait=55`));
    const { id } = await server.publish("a", "x");
    for (const page of await Promise.all(polls)) {
        assert.deepEqual(idsOf(page.events), [id]);
        assert.equal(page.cursor, id);
    }
});

bothStores("a chain of polls loses nothing and repeats nothing", async (t, server) => {
    const { next } = await server.page("/channels/chain");
    const publishing = (async () => {
        const ids = [];
        for (let n = 0; n < 150; n++) {
            ids.push((await server.publish("chain", `${n}`)).id);
            if (n % 3 === 0) {
                await server.publish("noise", "x");
            }
        }
        return ids;
    })();
    const seen = [];
    for (let query = next; seen.length < 150;) {
        const page = await server.page(`/channels/chain${query}`);
        seen.push(...idsOf(page.events));
        query = page.next;
    }
    assert.deepEqual(seen, await publishing);
});

bothStores("a poll that waited answers with the limit it was given", async (t, server) => {
    const conn = await waitingPoll(server, "/channels/a?after=now&wait=55&limit=2");
    const body = Array.from({ length: 5 }, (_, n) => ({ channel: "a", data: n }));
    const told = (await server.request("POST", "/events", { body })).json().events;
    const page = (await conn.readResponse()).json();
    assert.ok(page.events.length >= 1 && page.events.length <= 2);
    assert.deepEqual(idsOf(page.events), idsOf(told).slice(0, page.events.length));
    assert.equal(page.more, true);
    assert.equal(page.cursor, page.events.at(-1).id);
});

bothStores("what is pipelined behind a poll waits for its answer", async (t, server) => {
    const conn = await RawConn.open(server.port);
    const host = `Host: 127.0.0.1:${server.port}\r\n\r\n`;
    await conn.send(`GET /channels/a?after=now&wait=55 HTTP/1.1\r\n${host}GET /channels/b HTTP/1.1\r\n${host}`);
    await eventually(async () => (await subscribersOf(server, "poll")) >= 1, "the poll to be waiting");
    assert.equal(conn.buffer.length, 0);
    await server.publish("b", "published while the poll waited");
    const { id } = await server.publish("a", "x");
    assert.deepEqual(idsOf((await conn.readResponse()).json().events), [id]);
    assert.equal((await conn.readResponse()).json().events.length, 1);
});

bothStores("a poll whose client has closed its sending side is answered", async (t, server) => {
    const { id } = await server.publish("a", "old");
    const request = (target, end = "") => `GET ${target} HTTP/1.1\r\nHost: 127.0.0.1:${server.port}\r\n${end}\r\n`;
    for (const target of ["/channels/a?after=now&wait=55", `/channels/a?after=${id}&wait=55`,
        "/events?channel=a&channel=b/**&wait=45&after=now", "/channels/quiet?last=1&wait=55"]) {
        for (const early of [true, false]) { // with the request, or while the poll waits
            for (const end of ["", "Prefer: wait=20\r\n", "Connection: close\r\n"]) {
                const conn = await RawConn.open(server.port);
                await conn.send(request(target, end));
                if (!early) {
                    await eventually(async () => (await subscribersOf(server, "poll")) === 1, "the poll to be waiting");
                }
                conn.halfClose();
                const answer = await conn.readResponse();
                assert.equal(answer.status, 200);
                assert.deepEqual(answer.json().events, []);
                assert.match(answer.json().cursor, /^\d{16}$/);
                await conn.readToEnd("the connection to be closed");
            }
        }
    }
    const conn = await RawConn.open(server.port);
    await conn.send(request("/channels/a?after=now&wait=55") + request("/channels/a"));
    conn.halfClose();
    assert.deepEqual((await conn.readResponse()).json().events, []);
    assert.equal((await conn.readResponse()).json().events[0].data, "old");
    await conn.readToEnd("the connection to be closed");
});

bothStores("a hang-up is noticed while a poll waits", async (t, server) => {
    const conns = [];
    for (let n = 0; n < 5; n++) {
        conns.push(await RawConn.open(server.port));
        await conns[n].send(
            `GET /channels/a?after=now&wait=55 HTTP/1.1\r\nHost: 127.0.0.1:${server.port}\r\n\r\n`);
    }
    await eventually(async () => (await subscribersOf(server, "poll")) === 5, "five polls to be waiting");
    for (const conn of conns) {
        conn.destroy();
    }
    await eventually(async () => (await subscribersOf(server, "poll")) === 0, "the hang-ups to be noticed");
});

bothStores("a hang-up is noticed even with a request pipelined behind the poll", async (t, server) => {
    const host = `Host: 127.0.0.1:${server.port}\r\n\r\n`;
    const conn = await RawConn.open(server.port);
    await conn.send(`GET /channels/a?after=now&wait=55 HTTP/1.1\r\n${host}GET /channels/b HTTP/1.1\r\n${host}`);
    await eventually(async () => (await subscribersOf(server, "poll")) === 1, "the poll to be waiting");
    conn.destroy();
    await eventually(async () => (await subscribersOf(server, "poll")) === 0, "the hang-up to be noticed");
});

bothStores("a poll's connection can be used again after its answer", async (t, server) => {
    const conn = await RawConn.open(server.port);
    const host = `Host: 127.0.0.1:${server.port}\r\n\r\n`;
    let after = "now";
    for (let n = 0; n < 5; n++) {
        await conn.send(`GET /channels/a?after=${after}&wait=55 HTTP/1.1\r\n${host}`);
        await eventually(async () => (await subscribersOf(server, "poll")) === 1, "the poll to be waiting");
        const { id } = await server.publish("a", `${n}`);
        const page = (await conn.readResponse()).json();
        assert.deepEqual(idsOf(page.events), [id]);
        after = page.cursor;
    }
});

bothStores("HEAD answers without a body, waiting or not", async (t, server) => {
    await server.publish("a", "x");
    const ready = await server.request("HEAD", "/channels/a?wait=5");
    assert.equal(ready.status, 200);
    assert.equal(ready.bytes.length, 0);
    const waited = await server.request("HEAD", "/channels/a?after=now&wait=1");
    assert.equal(waited.status, 200);
    assert.match(waited.headers.cursor, /^\d{16}$/);
});

test("a bad poll is refused at once", async (t) => {
    const server = await startServer(t);
    assertProblem(await server.get("/channels/a//b?wait=55"), 400);
    assertProblem(await server.get("/channels/a?wait=55&after=nonsense"), 400);
    assertProblem(await server.get("/events?wait=55"), 400);
});

test("while the server is busy, one who polls again and again gets every event once and in order", async (t) => {
    const server = await startServer(t, { args: ["--threads", "1"] });
    const conn = await RawConn.open(server.port);
    const busy = await RawConn.open(server.port);
    const want = Array.from({ length: 200 }, (_, n) => `${n}`);
    let done = false;
    const working = (async () => {
        while (!done) {
            await busy.send(`GET /stats HTTP/1.1\r\nHost: 127.0.0.1:${server.port}\r\n\r\n`.repeat(64));
            for (let n = 0; n < 64; n++) {
                assert.equal((await busy.readResponse()).status, 200);
            }
        }
    })();
    const publishing = (async () => {
        for (const data of want) {
            await server.publish("a", data);
        }
    })();
    const got = [];
    for (let next = "?after=earliest&wait=55"; got.length < want.length;) {
        await conn.send(`GET /channels/a${next} HTTP/1.1\r\nHost: 127.0.0.1:${server.port}\r\n\r\n`);
        const page = (await conn.readResponse()).json();
        got.push(...page.events.map((event) => event.data));
        next = page.next;
    }
    await publishing;
    done = true;
    await working;
    assert.deepEqual(got, want);
});
