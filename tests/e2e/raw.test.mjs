// The raw stream: the data alone, a newline after each.

import assert from "node:assert/strict";
import { ID, assertProblem, sideBySide, UNKNOWN_CURSOR } from "./support/index.mjs";

const { bothStores } = sideBySide(4);

/** Reads until the body so far ends with `end`, heartbeats (leading newlines) taken off. */
async function bodyUpTo(stream, end) {
    let bytes = Buffer.alloc(0);
    while (!bytes.subarray(-end.length).equals(end)) {
        const part = await stream.body.read();
        assert.notEqual(part, null, "the stream ended early");
        bytes = Buffer.concat([bytes, part]);
    }
    let from = 0;
    while (bytes[from] === 10) {
        from++;
    }
    return bytes.subarray(from);
}

bothStores("raw is served as octets that no browser sniffs, with the cursor in a header", async (t, server) => {
    const { id } = await server.publish("a", "x");
    const { headers } = await server.raw("/channels/a");
    assert.match(headers["content-type"], /^application\/octet-stream\b/);
    assert.equal(headers["x-content-type-options"], "nosniff");
    assert.match(headers["cache-control"], /\bno-store\b.*\bno-transform\b/);
    assert.equal(headers["x-accel-buffering"], "no");
    assert.equal(headers.incremental, "?1");
    assert.equal(headers.cursor, id);
});

bothStores("the first record is a newline, at once", async (t, server) => {
    const stream = await server.raw("/channels/a");
    assert.equal((await stream.lineBytes()).length, 0);
});

bothStores("each event is its data as it was published and a newline", async (t, server) => {
    const stream = await server.raw("/channels/a");
    await server.publish("a", "text");
    await server.publish("a", ' {"n": 1e400} ', { "Content-Type": "application/json" });
    await server.publish("a", "two\nlines\r\n");
    await server.publish("a", Buffer.from([0, 255, 13, 10, 128]), { "Content-Type": "image/png" });
    await server.publish("a", "end");
    const body = await bodyUpTo(stream, Buffer.from("end\n"));
    const expected = Buffer.concat([
        Buffer.from('text\n {"n": 1e400} \ntwo\nlines\r\n\n'), Buffer.from([0, 255, 13, 10, 128, 10]),
        Buffer.from("end\n"),
    ]);
    assert.ok(body.equals(expected), JSON.stringify(body.toString("latin1")));
});

bothStores("raw begins now, or where it is told", async (t, server) => {
    const first = await server.publish("a", "1");
    await server.publish("a", "2");
    const now = await server.raw("/channels/a");
    const past = await server.raw(`/channels/a?after=${first.id}`);
    const newest = await server.raw("/channels/a?last=1");
    await server.publish("a", "3");
    assert.equal((await now.event()).toString(), "3");
    for (const stream of [past, newest]) {
        assert.equal((await stream.event()).toString(), "2");
        assert.equal((await stream.event()).toString(), "3");
    }
});

bothStores("several channels come in log order", async (t, server) => {
    const stream = await server.raw("/events?channel=a/*");
    for (let n = 0; n < 50; n++) {
        await server.publish(`a/${n % 4}`, `${n}`);
    }
    const datas = (await stream.events(50)).map(String);
    assert.deepEqual(datas, Array.from({ length: 50 }, (_, n) => `${n}`));
});

bothStores("a cursor that is too old or unknown is refused with 410: raw has no band to tell a gap in",
    async (t, server) => {
        const old = await server.publish("a", "1");
        await server.publish("a", "2");
        await server.request("DELETE", "/channels/a");
        await server.publish("a", "3");
        assertProblem(await server.get(`/channels/a?stream=raw&after=${old.id}`), 410);
        assertProblem(await server.get("/channels/a?stream=raw", { "Last-Event-ID": old.id }), 410);
        assertProblem(await server.get("/channels/a?stream=raw", { "Last-Event-ID": "garbage" }), 410);
        assertProblem(await server.get(`/channels/a?stream=raw&after=${UNKNOWN_CURSOR}`), 410);
        const all = await server.raw("/channels/a?after=earliest");
        assert.match(all.headers.cursor, ID);
        assert.equal((await all.event()).toString(), "3");
    });
