// HTTP streaming as server-sent events.

import assert from "node:assert/strict";
import {
    ID, SseStream, assertLogOrder, assertProblem, deadline, eventually, idsOf, openSse,
    startServer, subscribersOf, sideBySide,
} from "./support/index.mjs";

const { bothStores, test } = sideBySide(4);

bothStores("the headers and a first record come at once, with the cursor in both", async (t, server) => {
    const { id } = await server.publish("elsewhere", "x");
    const stream = await server.sse("/channels/a");
    assert.match(stream.headers["content-type"], /^text\/event-stream\b/);
    assert.equal(stream.headers.cursor, id);
    const first = await stream.next();
    assert.equal(first.event, "$beat");
    assert.equal(first.id, id);
    const { connection, ...data } = JSON.parse(first.data);
    assert.deepEqual(data, { cursor: id });
    assert.match(connection, /^[0-9a-f]{24}$/);
});

bothStores("a stream says that nobody may store, transform or buffer it", async (t, server) => {
    const { headers } = await server.sse("/channels/a");
    assert.match(headers["cache-control"], /\bno-store\b/);
    assert.match(headers["cache-control"], /\bno-transform\b/);
    assert.equal(headers["x-accel-buffering"], "no");
    assert.equal(headers.incremental, "?1");
    assert.match(headers.vary, /\baccept\b/i);
    assert.equal(headers["content-encoding"], undefined);
});

bothStores("a stream begins with a time to reconnect in, different for each client", async (t, server) => {
    const times = new Set();
    for (let n = 0; n < 20; n++) {
        const stream = await server.sse("/channels/a");
        let record = await stream.next();
        if (record.retry === undefined) {
            record = await stream.next();
        }
        assert.match(record.retry, /^\d+$/);
        times.add(record.retry);
        stream.close();
    }
    assert.ok(times.size > 1, `no jitter: ${[...times]}`);
});

bothStores("an event is its id, its type and its data", async (t, server) => {
    const stream = await server.sse("/channels/a");
    const { id } = await server.publish("a", { price: 1.5 }, { "Event-Type": "trade" });
    const event = await stream.event();
    assert.deepEqual([event.id, event.event, event.data], [id, "trade", '{"price":1.5}']);
    assert.equal(event.retry, undefined);
});

bothStores("an event without a type of its own is a message to EventSource", async (t, server) => {
    const stream = await server.sse("/channels/a");
    await server.publish("a", "x");
    const event = await stream.event();
    assert.ok(event.event === undefined || event.event === "message", event.event);
});

bothStores("data is split on CR, LF and CRLF, one data line each", async (t, server) => {
    const stream = await server.sse("/channels/a");
    const cases = [
        ["a\nb", "a\nb"], ["a\rb", "a\nb"], ["a\r\nb", "a\nb"], ["a\n\rb", "a\n\nb"], ["\n", "\n"],
        ["\r\n", "\n"], ["\r", "\n"], ["a\n", "a\n"], ["\na", "\na"], ["a\r\n\r\nb", "a\n\nb"],
        ["a\r\rb\n\nc", "a\n\nb\n\nc"], ["", ""], [" leading", " leading"], ["  two", "  two"],
        [":colon", ":colon"], ["id: 1\nevent: x\nretry: 5\n\ndata: y", "id: 1\nevent: x\nretry: 5\n\ndata: y"],
        ["a\u2028b\u0085c\u000bd\u000ce", "a\u2028b\u0085c\u000bd\u000ce"], ["\ufeffmark", "\ufeffmark"],
        ["nul\u0000inside", "nul\u0000inside"],
    ];
    for (const [text, expected] of cases) {
        const { id } = await server.publish("a", text);
        const event = await stream.event();
        assert.equal(event.id, id);
        assert.equal(event.data, expected, JSON.stringify(text));
        for (const line of event.lines.filter((line) => line.startsWith("data:"))) {
            assert.ok(line === "data:" || line.startsWith("data: "), `no space after the colon: ${line}`);
        }
    }
    assert.ok(!Buffer.concat(stream.raw).includes(13), "a CR on the wire");
});

bothStores("a stream does not begin with a byte order mark", async (t, server) => {
    const stream = await server.sse("/channels/a");
    await stream.next();
    assert.notEqual(Buffer.concat(stream.raw)[0], 0xef);
});

bothStores("JSON of many lines is one data line", async (t, server) => {
    const stream = await server.sse("/channels/a");
    await server.publish("a", '{\r\n"n":\n1}', { "Content-Type": "application/json" });
    const event = await stream.event();
    assert.equal(event.data, '{  "n": 1}');
});

bothStores("binary stands as its content type and base64", async (t, server) => {
    const stream = await server.sse("/channels/a");
    await server.publish("a", Buffer.from([0, 255, 10]), { "Content-Type": "image/png" });
    const event = await stream.event();
    assert.deepEqual(JSON.parse(event.data), { content_type: "image/png", data_base64: "AP8K" });
});

bothStores("format=event carries the envelope and no event field", async (t, server) => {
    const stream = await server.sse("/channels/a?format=event");
    await server.publish("a", "two\nlines", { "Event-Type": "note" });
    const event = await stream.event();
    assert.equal(event.event, undefined);
    assert.ok(!event.lines.some((line) => line.startsWith("event")));
    const [envelope] = await server.history("a");
    assert.deepEqual(JSON.parse(event.data), envelope);
    assert.equal(event.id, envelope.id);
});

bothStores("on /events the envelope is the default, and format=data gives the data alone", async (t, server) => {
    const envelopes = await server.sse("/events?channel=a");
    const datas = await server.sse("/events?channel=a&format=data");
    await server.publish("a", "x", { "Event-Type": "note" });
    const whole = await envelopes.event();
    assert.equal(whole.event, undefined);
    assert.equal(JSON.parse(whole.data).channel, "a");
    const alone = await datas.event();
    assert.equal(alone.event, "note");
    assert.equal(alone.data, "x");
});

bothStores("a stream begins now unless it is told where", async (t, server) => {
    const ids = await server.publishMany("a", 5);
    const now = await server.sse("/channels/a");
    const next = await server.publish("a", "next");
    assert.equal((await now.event()).id, next.id);
    const all = [...ids, next.id];
    const from = async (query, headers = {}) => {
        const stream = await server.sse(`/channels/a?${query}`, { headers });
        return stream;
    };
    assert.deepEqual(idsOf(await (await from("after=earliest")).events(6)), all);
    assert.deepEqual(idsOf(await (await from("last=2")).events(2)), all.slice(4));
    assert.deepEqual(idsOf(await (await from(`after=${ids[2]}`)).events(3)), all.slice(3));
    assert.deepEqual(idsOf(await (await from("after=earliest&last=1",
        { "Last-Event-ID": ids[3] })).events(2)), all.slice(4));
    assert.deepEqual(idsOf(await (await from(`after=${ids[3]}`, { "Last-Event-ID": "" })).events(2)),
        all.slice(4));
});

bothStores("past and live events join without seam", async (t, server) => {
    const past = await server.publishMany("a", 100);
    const publishing = (async () => {
        const ids = [];
        for (let n = 0; n < 200; n++) {
            ids.push((await server.publish("a", `${n}`)).id);
        }
        return ids;
    })();
    const streams = await Promise.all(
        Array.from({ length: 8 }, () => server.sse("/channels/a?after=earliest&format=event")));
    const expected = [...past, ...(await publishing)];
    for (const stream of streams) {
        const events = (await stream.events(300)).map((event) => JSON.parse(event.data));
        assert.deepEqual(idsOf(events), expected);
        assertLogOrder(events);
    }
});

bothStores("a client that broke off goes on from the last id it saw", async (t, server) => {
    const ids = await server.publishMany("a", 30);
    let last = "";
    const seen = [];
    for (let n = 0; n < 6; n++) {
        const headers = last === "" ? {} : { "Last-Event-ID": last };
        const stream = await server.sse("/channels/a?after=earliest", { headers });
        const events = await stream.events(5);
        seen.push(...idsOf(events));
        last = events.at(-1).id;
        stream.close();
    }
    assert.deepEqual(seen, ids);
});

bothStores("a client that broke off before its first event loses nothing", async (t, server) => {
    await server.publish("a", "before");
    const stream = await server.sse("/channels/a");
    const { id: last } = await stream.next();
    stream.close();
    const missed = await server.publishMany("a", 3);
    const again = await server.sse("/channels/a", { headers: { "Last-Event-ID": last } });
    assert.deepEqual(idsOf(await again.events(3)), missed);
});

bothStores("the first record of a stream from the past carries the cursor it begins at", async (t, server) => {
    const ids = await server.publishMany("a", 5);
    const stream = await server.sse(`/channels/a?after=${ids[1]}`);
    const first = await stream.next();
    assert.equal(first.event, "$beat");
    assert.equal(first.id, ids[1]);
    const early = await server.sse("/channels/a?after=earliest");
    const { id } = await early.next();
    assert.match(id, ID);
    early.close();
    const again = await server.sse("/channels/a", { headers: { "Last-Event-ID": id } });
    assert.deepEqual(idsOf(await again.events(5)), ids);
});

bothStores("a heartbeat comes as often as asked and carries a cursor that moved", async (t, server) => {
    const stream = await server.sse("/channels/quiet?beat=5");
    const first = await stream.next();
    const { id } = await server.publish("elsewhere", "x");
    let beat = await stream.next();
    while (beat.event !== "$beat" || beat.id < id) {
        beat = await stream.next();
    }
    assert.deepEqual(JSON.parse(beat.data), { cursor: id });
    assert.equal(beat.id, id);
    assert.ok(beat.id > first.id);
});

bothStores("types and patterns select on a stream as on a page", async (t, server) => {
    const stream = await server.sse("/events?channel=a/*&channel=b&type=x&type=y&format=data");
    const wanted = [];
    for (const [channel, type] of [["a/1", "x"], ["a/1", "z"], ["b", "y"], ["c", "x"], ["a", "x"],
        ["a/2", "y"], ["a/2", undefined], ["b", "x"]]) {
        const { id } = await server.publish(channel, "", type ? { "Event-Type": type } : {});
        if (channel !== "c" && channel !== "a" && (type === "x" || type === "y")) {
            wanted.push(id);
        }
    }
    assert.deepEqual(idsOf(await stream.events(wanted.length)), wanted);
});

bothStores("how one asks decides: stream beats Accept, Accept beats wait", async (t, server) => {
    await server.publish("a", "x");
    const kind = async (query, accept) => {
        const headers = accept === undefined ? {} : { Accept: accept };
        const stream = await SseStream.open(server, `/channels/a${query}`, { headers });
        assert.equal(stream.status, 200);
        stream.close();
        return stream.headers["content-type"].split(";")[0].trim();
    };
    const [sse, ndjson, json] = ["text/event-stream", "application/x-ndjson", "application/json"];
    assert.equal(await kind("?stream=sse"), sse);
    assert.equal(await kind("?stream=sse", ndjson), sse);
    assert.equal(await kind("?stream=ndjson", sse), ndjson);
    assert.equal(await kind("?stream=raw", sse), "application/octet-stream");
    assert.equal(await kind("?wait=5", sse), sse);
    assert.equal(await kind("?wait=5", ndjson), ndjson);
    assert.equal(await kind("", undefined), json);
    assert.equal(await kind("", "*/*"), json);
    assert.equal(await kind("", json), json);
    assert.equal(await kind("", "Text/Event-Stream"), sse);
    assert.equal(await kind("", "text/event-stream, */*;q=0.1"), sse);
    assert.equal(await kind("", "application/json;q=0.5, text/event-stream;q=0.9"), sse);
    assert.equal(await kind("", "application/json;q=0.9, text/event-stream;q=0.5"), json);
    assert.equal(await kind("", "text/event-stream;q=0.4,application/x-ndjson;q=0.8"), ndjson);
    assert.equal(await kind("", "text/event-stream;q=0, application/json"), json);
    assert.equal(await kind("", "text/event-stream; q=1.0 ,application/json; q=0.9"), sse);
});

bothStores("an HTTP/1.0 client gets a body that ends with the connection", async (t, server) => {
    const { id } = await server.publish("a", "past");
    const stream = await openSse(server, "/channels/a?after=earliest", { version: "1.0" });
    assert.equal(stream.headers["transfer-encoding"], undefined);
    assert.equal(stream.headers["content-length"], undefined);
    assert.equal((await stream.event()).id, id);
    const next = await server.publish("a", "live");
    assert.equal((await stream.event()).id, next.id);
});

bothStores("an HTTP/1.1 client gets chunks", async (t, server) => {
    const stream = await server.sse("/channels/a");
    assert.equal(stream.headers["transfer-encoding"], "chunked");
});

bothStores("what is pipelined behind a stream stays unread and does no harm", async (t, server) => {
    const stream = await server.sse("/channels/a");
    await stream.next();
    await stream.conn.send(
        `POST /channels/a HTTP/1.1\r\nHost: 127.0.0.1:${server.port}\r\nContent-Length: 8\r\n\r\nsmuggled`);
    for (let n = 0; n < 5; n++) {
        const { id } = await server.publish("a", `${n}`);
        assert.equal((await stream.event()).id, id);
    }
    assert.equal((await server.history("a")).length, 5);
});

bothStores("HEAD on a stream answers its headers and ends", async (t, server) => {
    const answer = await server.request("HEAD", "/channels/a", { headers: { Accept: "text/event-stream" } });
    assert.equal(answer.status, 200);
    assert.match(answer.headers["content-type"], /^text\/event-stream\b/);
    assert.equal(answer.bytes.length, 0);
});

bothStores("a subscriber that stops reading gets everything in order when it reads again", async (t, server) => {
    const stream = await server.sse("/channels/slow?format=event");
    await stream.next();
    stream.conn.stopReading();
    const text = "x".repeat(1000);
    const ids = await server.publishMany("slow", 12_000, (n) => `${n} ${text}`);
    const live = await server.publish("other", "still alive");
    assert.ok(live.id > ids.at(-1));
    stream.conn.readAgain();
    const events = (await stream.events(12_000)).map((event) => JSON.parse(event.data));
    assert.deepEqual(idsOf(events), ids);
    assertLogOrder(events);
    const next = await server.publish("slow", "live again");
    assert.equal((await stream.event()).id, next.id);
});

bothStores("a hundred streams all get everything", async (t, server) => {
    const streams = await Promise.all(Array.from({ length: 100 }, (_, n) =>
        server.sse(n % 2 ? "/channels/a?format=event" : "/events?channel=a&channel=b/*")));
    const ids = [];
    for (let n = 0; n < 30; n++) {
        ids.push((await server.publish("a", `${n}`)).id);
    }
    for (const stream of streams) {
        assert.deepEqual(idsOf(await stream.events(30)), ids);
    }
});

bothStores("SIGTERM ends a stream politely and the server with code 0", async (t, server) => {
    const stream = await server.sse("/channels/a");
    await stream.next();
    const ended = deadline(stream.rest(), "the stream to end");
    const end = await server.terminate();
    await ended; // the last chunk came: the stream did not break off
    assert.equal(end.code, 0);
});

test("a bad request for a stream is a problem, not a stream", async (t) => {
    const server = await startServer(t);
    const headers = { Accept: "text/event-stream" };
    assertProblem(await server.get("/channels/a//b", headers), 400);
    assertProblem(await server.get("/channels/a?after=nonsense", headers), 400);
    assertProblem(await server.get("/events", headers), 400);
});

test("a stream that nobody reads any longer is forgotten", async (t) => {
    const server = await startServer(t);
    const streams = await Promise.all(Array.from({ length: 10 }, () => server.sse("/channels/a")));
    await eventually(async () => (await subscribersOf(server, "sse")) === 10, "ten streams to be counted");
    for (const stream of streams) {
        stream.close();
    }
    await eventually(async () => (await subscribersOf(server, "sse")) === 0, "the streams to be forgotten");
});
