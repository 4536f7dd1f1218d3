// HTTP streaming as NDJSON: one envelope a line, control records with `op`.

import assert from "node:assert/strict";
import { LINE, ID, assertLogOrder, sideBySide, idsOf } from "./support/index.mjs";

const { bothStores } = sideBySide(4);

bothStores("the headers and a first beat come at once, with the cursor in both", async (t, server) => {
    const { id } = await server.publish("elsewhere", "x");
    const stream = await server.ndjson("/channels/a");
    assert.equal(stream.headers.cursor, id);
    const { connection, ...beat } = await stream.next();
    assert.deepEqual(beat, { op: "beat", cursor: id });
    assert.match(connection, /^[0-9a-f]{24}$/);
});

bothStores("a stream says that nobody may store, transform or buffer it", async (t, server) => {
    const { headers } = await server.ndjson("/channels/a");
    assert.match(headers["cache-control"], /\bno-store\b/);
    assert.match(headers["cache-control"], /\bno-transform\b/);
    assert.equal(headers["x-accel-buffering"], "no");
    assert.equal(headers.incremental, "?1");
});

bothStores("each event is one line: the same envelope that a page has", async (t, server) => {
    const stream = await server.ndjson("/channels/a?after=earliest");
    await server.publish("a", "two\r\nlines \u2028 and \u0000", { "Event-Type": "note" });
    await server.publish("a", '{ "z":1e400,\n"a":"ä" }', { "Content-Type": "application/json" });
    await server.publish("a", Buffer.from([0xff, 10]), { "Content-Type": "image/png" });
    const events = await stream.events(3);
    const page = await server.page("/channels/a");
    assert.deepEqual(events, page.events);
    assert.ok(events[1][LINE].includes('"data":{ "z":1e400, "a":"ä" }'), events[1][LINE]);
    for (const event of events) {
        assert.match(event.id, ID);
        assert.ok(!("op" in event));
        assert.ok(!event[LINE].includes("\r"));
        assert.ok(page.answer.text.includes(event[LINE]), "a page writes an envelope as a stream does");
    }
});

bothStores("data that looks like a control record stays within its envelope", async (t, server) => {
    const stream = await server.ndjson("/channels/a");
    await server.publish("a", { op: "gap", after: "0", cursor: "1" });
    const event = await stream.event();
    assert.deepEqual(event.data, { op: "gap", after: "0", cursor: "1" });
});

bothStores("stream=ndjson asks for the same", async (t, server) => {
    const stream = await server.ndjson("/events?channel=**&stream=ndjson", { headers: { Accept: "*/*" } });
    const { id } = await server.publish("a/b", "x");
    assert.equal((await stream.event()).id, id);
});

bothStores("format=data gives the data alone, each as one JSON text a line", async (t, server) => {
    const stream = await server.ndjson("/channels/a?format=data");
    const first = await stream.next();
    assert.equal(first.op, "beat");
    await server.publish("a", { n: 1 });
    await server.publish("a", "text\nof two lines");
    await server.publish("a", Buffer.from([0xff]), { "Content-Type": "image/png" });
    const lines = [];
    while (lines.length < 3) {
        const line = await stream.line();
        if (line !== "" && JSON.parse(line)?.op !== "beat") {
            lines.push(JSON.parse(line));
        }
    }
    assert.deepEqual(lines,
        [{ n: 1 }, "text\nof two lines", { content_type: "image/png", data_base64: "/w==" }]);
});

bothStores("the cursor of a beat resumes without loss, by after or by Last-Event-ID", async (t, server) => {
    await server.publish("a", "before");
    const stream = await server.ndjson("/channels/a");
    const { cursor } = await stream.next();
    stream.close();
    const missed = await server.publishMany("a", 4);
    const byQuery = await server.ndjson(`/channels/a?after=${cursor}`);
    assert.deepEqual(idsOf(await byQuery.events(4)), missed);
    const byHeader = await server.ndjson("/channels/a", { headers: { "Last-Event-ID": cursor } });
    assert.deepEqual(idsOf(await byHeader.events(4)), missed);
});

bothStores("a heartbeat comes as often as asked and its cursor moves where nothing matches",
    async (t, server) => {
        const stream = await server.ndjson("/channels/quiet?beat=5");
        const first = await stream.next();
        const { id } = await server.publish("elsewhere", "x");
        let beat = await stream.next();
        while (beat.cursor < id) {
            beat = await stream.next();
        }
        assert.equal(beat.op, "beat");
        assert.equal(beat.cursor, id);
        assert.ok(beat.cursor > first.cursor);
    });

bothStores("many channels come in log order on one stream", async (t, server) => {
    const stream = await server.ndjson("/events?channel=c/**&after=earliest");
    const ids = [];
    for (let n = 0; n < 200; n++) {
        ids.push((await server.publish(`c/${n % 11}/${n % 3}`, `${n}`)).id);
    }
    const events = await stream.events(200);
    assert.deepEqual(idsOf(events), ids);
    assertLogOrder(events);
});

bothStores("40 channels at once, past and live, come in log order", async (t, server) => {
    const query = Array.from({ length: 40 }, (_, n) => `channel=m/${n}`).join("&");
    const ids = [];
    for (let n = 0; n < 120; n++) {
        ids.push((await server.publish(`m/${n % 40}`, `${n}`)).id);
        await server.publish("noise", "x");
    }
    const stream = await server.ndjson(`/events?${query}&after=earliest`);
    for (let n = 0; n < 40; n++) {
        ids.push((await server.publish(`m/${39 - n}`, `${n}`)).id);
    }
    assert.deepEqual(idsOf(await stream.events(160)), ids);
});

bothStores("an HTTP/1.0 client gets lines and no chunks", async (t, server) => {
    const stream = await server.ndjson("/channels/a?after=earliest", { version: "1.0" });
    assert.equal(stream.headers["transfer-encoding"], undefined);
    const { id } = await server.publish("a", "x");
    assert.equal((await stream.event()).id, id);
});
