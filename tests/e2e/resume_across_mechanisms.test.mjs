// One cursor for all mechanisms: a consumer reads on where another mechanism left off, over restarts too.

import assert from "node:assert/strict";
import { encodeChannel, page, publish, publishMany, startServer, sideBySide } from "./support/index.mjs";
import { assertChained, assertIncreasing } from "./support/checks.mjs";
import { follow, MECHANISMS } from "./support/follow.mjs";
import { Freshet, Socket } from "./support/ws.mjs";

const { test } = sideBySide(4);

/**
 * Ways to read `count` events after a cursor, one a mechanism and URL. Each answers the events and ends
 * its connection without a word, whatever was on its way.
 */
const READERS = {
    "long-poll": async (t, server, channel, after, count) => {
        const events = [];
        while (events.length < count) {
            const left = count - events.length;
            const got = await page(server, `/channels/${encodeChannel(channel)}?after=${after}&limit=${left}&wait=25`);
            events.push(...got.events);
            after = got.cursor;
        }
        return events;
    },
    "SSE": async (t, server, channel, after, count) => {
        const headers = after === "earliest" ? {} : { "Last-Event-ID": after };
        const query = after === "earliest" ? "&after=earliest" : "";
        const stream = await server.sse(`/channels/${encodeChannel(channel)}?format=event${query}`, { headers });
        const records = await stream.events(count);
        stream.close();
        return records.map((record) => {
            const event = JSON.parse(record.data);
            assert.equal(record.id, event.id);
            return event;
        });
    },
    "NDJSON": async (t, server, channel, after, count) => {
        const stream = await server.ndjson(`/channels/${encodeChannel(channel)}?after=${after}`);
        const events = await stream.events(count);
        stream.close();
        return events;
    },
    "WebSocket": async (t, server, channel, after, count) => {
        const socket = await Freshet.open(t, server);
        await socket.ask({ op: "subscribe", channels: [channel], after });
        const events = [];
        while (events.length < count) {
            const message = await socket.notBeat("an event");
            assert.notEqual(message.op, "gap");
            if (message.op === "event") {
                events.push(message.event);
            }
        }
        socket.vanish();
        return events;
    },
    "channel socket": async (t, server, channel, after, count) => {
        const socket = await Socket.open(t, server, `/channels/${encodeChannel(channel)}?after=${after}`);
        const events = await socket.events(count);
        socket.vanish();
        return events;
    },
};

test("ten events by long-poll, ten by SSE, kill -9, ten by NDJSON, ten by WebSocket: forty events, each once, in order", async (t) => {
    const server = await startServer(t, { data: true });
    const ids = await publishMany(server, "news", 40);
    const seen = [];
    const read = async (how) => {
        const after = seen.at(-1)?.id ?? "earliest";
        seen.push(...await READERS[how](t, server, "news", after, 10));
    };
    await read("long-poll");
    await read("SSE");
    await server.restart();
    await read("NDJSON");
    await read("WebSocket");
    assert.deepEqual(seen.map((event) => event.id), ids);
    assert.deepEqual(seen.map((event) => event.data), Array.from({ length: 40 }, (_, n) => ({ n })));
    assertChained(seen);
});

test("the same, while the events are being published and every reader waits for them", async (t) => {
    const server = await startServer(t, { data: true });
    const seen = [];
    const published = [];
    let n = 0;
    for (const how of ["long-poll", "SSE", "kill -9", "NDJSON", "WebSocket"]) {
        if (how === "kill -9") {
            await server.restart();
            continue;
        }
        const after = seen.at(-1)?.id ?? "earliest";
        const reading = READERS[how](t, server, "news", after, 10);
        for (const end = n + 10; n < end; n++) {
            published.push((await publish(server, "news", { n })).id);
        }
        seen.push(...await reading);
    }
    assert.deepEqual(seen.map((event) => event.id), published);
});

for (const first of Object.keys(READERS)) {
    test(`after ${first}, any mechanism reads on, over a kill -9 or none`, async (t) => {
        const server = await startServer(t, { data: true });
        for (const second of Object.keys(READERS)) {
            for (const killed of [false, true]) {
                const channel = `from/${first}/to/${second}/${killed}`;
                const ids = await publishMany(server, channel, 30);
                const seen = await READERS[first](t, server, channel, "earliest", 15);
                if (killed) {
                    await server.restart();
                }
                seen.push(...await READERS[second](t, server, channel, seen.at(-1).id, 15));
                assert.deepEqual(seen.map((event) => event.id), ids, channel);
            }
        }
    });
}

test("a consumer of patterns that changes its mechanism at every break misses nothing and gets nothing twice", async (t) => {
    const server = await startServer(t, { data: true });
    const selection = { channels: ["a/*", "b/**", "c"] };
    const seen = [];
    let after = "earliest";
    let n = 0;
    for (let round = 0; round < 12; round++) {
        const follower = await follow(t, server, MECHANISMS[round % 4], selection, { after });
        for (let i = 0; i < 20; i++, n++) {
            await publish(server, ["a/1", "b/1/2", "c", "not/this", "b/3"][n % 5], { n });
        }
        await follower.has(4 + (round % 9));
        assert.deepEqual(follower.gaps, []);
        seen.push(...follower.events);
        after = follower.cursor;
        follower.stop();
        if (round % 3 === 2) {
            await server.restart();
        }
    }
    const wanted = (await page(server, "/events?channel=a/*&channel=b/**&channel=c&limit=1000")).events;
    const last = await follow(t, server, "ndjson", selection, { after });
    await last.until(() => seen.length + last.count >= wanted.length, "the rest");
    seen.push(...last.events);
    assert.deepEqual(seen, wanted);
    assertIncreasing(seen);
});

for (const via of MECHANISMS) {
    test(`a ${via} consumer that broke before its first event resumes from the cursor it was told`, async (t) => {
        const server = await startServer(t, { data: true });
        await publishMany(server, "x", 5);
        const broken = await follow(t, server, via, "x");
        const { cursor } = broken;
        assert.match(cursor, /^\d{16}$/);
        broken.stop();
        const { id } = await publish(server, "x", "missed");
        await server.restart();
        for (const next of MECHANISMS) {
            const follower = await follow(t, server, next, "x", { after: cursor });
            await follower.has(1);
            assert.equal(follower.events[0].id, id, `by ${next}`);
            follower.stop();
        }
    });

    test(`the cursor of a ${via} consumer moves past what it did not ask for`, async (t) => {
        const server = await startServer(t);
        const follower = await follow(t, server, via, "quiet", { after: "earliest" });
        const ids = await publishMany(server, "loud", 10);
        const { id } = await publish(server, "quiet", "at last");
        await follower.has(1);
        assert.ok(id > ids[9]);
        assert.deepEqual(follower.events.map((event) => event.id), [id]);
        assert.equal(follower.cursor >= id || follower.via === "poll", true);
    });
}

test("a cursor means the same for another set of channels", async (t) => {
    const server = await startServer(t);
    await publish(server, "a", 1);
    const { id } = await publish(server, "b", 2);
    await publish(server, "a", 3);
    await publish(server, "c", 4);
    for (const via of MECHANISMS) {
        const follower = await follow(t, server, via, { channels: ["a", "c"] }, { after: id });
        await follower.has(2);
        assert.deepEqual(follower.events.map((event) => event.channel), ["a", "c"], via);
    }
});
