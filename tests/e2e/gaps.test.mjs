// What is gone for good is told, always, on the mechanism's own terms; and never where nothing is.

import assert from "node:assert/strict";
import {
    UNKNOWN_CURSOR, assertProblem, assertTypeHasPage, bothStores, dataOf, idsOf, linkOf, queryOf,
} from "./support/index.mjs";

/** A channel whose first events were deleted: {old: a cursor below, newest: of the deleted, kept}. */
async function trimmed(server, channel = "a") {
    const gone = await server.publishMany(channel, 3);
    const deleted = await server.request("DELETE", `/channels/${channel}`);
    assert.ok([200, 204].includes(deleted.status), `${deleted.status} ${deleted.text}`);
    const kept = await server.publishMany(channel, 2);
    return { old: gone[0], newest: gone[2], kept };
}

function assertGap(gap, after) {
    assert.equal(gap.after, after);
    assert.match(gap.earliest, /^\d{16}$/);
    assert.equal(typeof gap.reason, "string");
    assert.notEqual(gap.reason, "");
}

/** The $gap record of an SSE stream, which must be the first that is no heartbeat. */
async function sseGap(stream) {
    const record = await stream.notBeat();
    assert.equal(record?.event, "$gap", `not a gap: ${JSON.stringify(record)}`);
    return JSON.parse(record.data);
}

async function ndjsonGap(stream) {
    const record = await stream.notBeat();
    assert.equal(record?.op, "gap", `not a gap: ${JSON.stringify(record)}`);
    return record;
}

bothStores("a page from a cursor below what was removed is 410 with a link to the first", async (t, server) => {
    const { old, kept } = await trimmed(server);
    for (const [query, headers] of [[`?after=${old}`, {}], [`?after=${old}&wait=5`, {}],
        ["?limit=1", { "Last-Event-ID": old }]]) {
        const answer = await server.get(`/channels/a${query}`, headers);
        const problem = assertProblem(answer, 410);
        await assertTypeHasPage(server, problem);
        const first = linkOf(answer, "first");
        assert.equal(queryOf(first.href).get("after"), "earliest");
        const page = await server.page(`/channels/a${first.href}`);
        assert.deepEqual(idsOf(page.events).slice(0, 1), kept.slice(0, 1));
    }
});

bothStores("the link to the first keeps what was selected", async (t, server) => {
    const { old, kept } = await trimmed(server, "g/1");
    const answer = await server.get(`/events?channel=g/*&channel=h&limit=7&after=${old}`);
    assertProblem(answer, 410);
    const query = queryOf(linkOf(answer, "first").href);
    assert.deepEqual(query.getAll("channel").sort(), ["g/*", "h"]);
    assert.equal(query.get("limit"), "7");
    assert.deepEqual(idsOf((await server.page(`/events?${query}`)).events), kept);
});

bothStores("no cursor, earliest, now and last are never a gap", async (t, server) => {
    const { kept } = await trimmed(server);
    for (const query of ["", "?after=earliest", "?last=5"]) {
        assert.deepEqual(idsOf((await server.page(`/channels/a${query}`)).events), kept, query);
    }
    assert.deepEqual((await server.page("/channels/a?after=now")).events, []);
});

bothStores("a cursor at what was removed last is no gap", async (t, server) => {
    const { newest, kept } = await trimmed(server);
    assert.deepEqual(idsOf((await server.page(`/channels/a?after=${newest}`)).events), kept);
    const stream = await server.ndjson(`/channels/a?after=${newest}`);
    assert.deepEqual(idsOf(await stream.events(2)), kept);
});

bothStores("what was removed from one channel is no gap in another", async (t, server) => {
    const before = await server.publish("b", "1");
    await trimmed(server);
    const after = await server.publish("b", "2");
    assert.deepEqual(idsOf((await server.page(`/channels/b?after=${before.id}`)).events), [after.id]);
    const stream = await server.sse(`/channels/b?after=${before.id}`);
    assert.equal((await stream.event()).id, after.id);
});

bothStores("a gap in one of many is a gap in the whole selection", async (t, server) => {
    const { id } = await server.publish("g/quiet", "x");
    const { kept } = await trimmed(server, "g/1");
    for (const query of ["channel=g/**", "channel=g/quiet&channel=g/1", "channel=*/1"]) {
        assertProblem(await server.get(`/events?${query}&after=${id}`), 410);
        const stream = await server.ndjson(`/events?${query}&after=${id}`);
        assertGap(await ndjsonGap(stream), id);
        assert.deepEqual(idsOf(await stream.events(2)), kept);
    }
});

bothStores("an SSE stream tells a gap as $gap, then every event that is left", async (t, server) => {
    const asked = [
        (old) => [`?after=${old}`, {}],
        (old) => ["", { "Last-Event-ID": old }],
        (old) => [`?after=${old}&format=event`, {}],
        (old) => [`?after=${old}&last=1`, {}],
    ];
    for (const [n, ask] of asked.entries()) {
        const { old, kept } = await trimmed(server, `sse/${n}`);
        const [query, headers] = ask(old);
        const stream = await server.sse(`/channels/sse/${n}${query}`, { headers });
        assertGap(await sseGap(stream), old);
        assert.deepEqual(idsOf(await stream.events(2)), kept);
        const next = await server.publish(`sse/${n}`, "live");
        assert.equal((await stream.event()).id, next.id);
    }
});

bothStores("an NDJSON stream tells a gap as op gap, then every event that is left", async (t, server) => {
    const { old, kept } = await trimmed(server);
    const stream = await server.ndjson(`/channels/a?after=${old}`);
    assertGap(await ndjsonGap(stream), old);
    assert.deepEqual(idsOf(await stream.events(2)), kept);
    const next = await server.publish("a", "live");
    assert.equal((await stream.event()).id, next.id);
});

bothStores("after a gap comes what is left above the client's own cursor, of all channels", async (t, server) => {
    const start = await server.publish("g/b", "seen");
    const [b1] = await server.publishMany("g/b", 1);
    await trimmed(server, "g/a");
    const expected = (await server.page("/events?channel=g/*")).events.filter(({ id }) => id > start.id);
    const stream = await server.ndjson(`/events?channel=g/*&after=${start.id}`);
    assertGap(await ndjsonGap(stream), start.id);
    const events = await stream.events(expected.length);
    assert.deepEqual(idsOf(events), idsOf(expected));
    assert.equal(events[0].id, b1);
});

bothStores("a cursor above the newest id is unknown, and that is told", async (t, server) => {
    await server.publish("a", "x");
    assertProblem(await server.get(`/channels/a?after=${UNKNOWN_CURSOR}`), 410);
    assertProblem(await server.get("/channels/a", { "Last-Event-ID": UNKNOWN_CURSOR }), 410);
    assertProblem(await server.get(`/channels/a?wait=55&after=${UNKNOWN_CURSOR}`), 410);
    const sse = await server.sse("/channels/a", { headers: { "Last-Event-ID": UNKNOWN_CURSOR } });
    const gap = await sseGap(sse);
    assertGap(gap, UNKNOWN_CURSOR);
    assert.equal(gap.reason, "unknown");
    const ndjson = await server.ndjson(`/channels/a?after=${UNKNOWN_CURSOR}`);
    const told = await ndjsonGap(ndjson);
    assertGap(told, UNKNOWN_CURSOR);
    assert.equal(told.reason, "unknown");
});

bothStores("a stream from an unknown cursor goes on with what happens next", async (t, server) => {
    const streams = [await server.sse(`/channels/a?format=event&after=${UNKNOWN_CURSOR}`),
        await server.ndjson(`/channels/a?after=${UNKNOWN_CURSOR}`)];
    await sseGap(streams[0]);
    await ndjsonGap(streams[1]);
    const { id } = await server.publish("a", "next");
    for (const stream of streams) {
        assert.equal((await stream.event()).id, id);
    }
});

bothStores("a cursor of one above the newest id is unknown too", async (t, server) => {
    const { id } = await server.publish("a", "x");
    const above = String(BigInt(id) + 1n).padStart(16, "0");
    assertProblem(await server.get(`/channels/a?after=${above}`), 410);
    assert.equal((await server.get(`/channels/a?after=${id}`)).status, 200);
});

bothStores("a Last-Event-ID that cannot be read counts as a gap, since a browser cannot correct it",
    async (t, server) => {
        const kept = await server.publishMany("a", 2);
        for (const value of ["garbage", "-1", "1x", "12345678901234567890", "null", "0x10", "1 2"]) {
            const headers = { "Last-Event-ID": value };
            assertProblem(await server.get("/channels/a", headers), 410);
            const sse = await server.sse("/channels/a", { headers });
            const gap = await sseGap(sse);
            assert.equal(typeof gap.reason, "string");
            assert.match(gap.earliest, /^\d{16}$/);
            const ndjson = await server.ndjson("/channels/a", { headers });
            await ndjsonGap(ndjson);
            const next = await server.publish("a", "next");
            for (const stream of [sse, ndjson]) {
                let event = await stream.event();
                while (kept.includes(event.id)) {
                    event = await stream.event();
                }
                assert.equal(event.id, next.id);
                stream.close();
            }
            kept.push(next.id);
        }
    });

bothStores("a stream that has seen everything hears of no gap when its channel is deleted", async (t, server) => {
    const sse = await server.sse("/channels/a");
    const ndjson = await server.ndjson("/events?channel=*");
    const raw = await server.raw("/channels/a");
    const { id } = await server.publish("a", "1");
    assert.equal((await sse.event()).id, id);
    assert.equal((await ndjson.event()).id, id);
    assert.equal((await raw.event()).toString(), "1");
    await server.request("DELETE", "/channels/a");
    const next = await server.publish("a", "2");
    assert.equal((await sse.event()).id, next.id); // event() fails on a control record
    assert.equal((await ndjson.event()).id, next.id);
    assert.equal((await raw.event()).toString(), "2");
});

bothStores("a poll from a cursor that is current stays without a gap over a delete", async (t, server) => {
    const { id } = await server.publish("a", "1");
    await server.request("DELETE", "/channels/a");
    const poll = server.page(`/channels/a?after=${id}&wait=55`);
    const next = await server.publish("a", "2");
    assert.deepEqual(dataOf((await poll).events), ["2"]);
    assert.equal((await server.history("a"))[0].prev, id);
    assert.equal((await server.history("a"))[0].id, next.id);
});

bothStores("a gap is told once, not again after the events that follow it", async (t, server) => {
    const { old, kept } = await trimmed(server);
    const stream = await server.sse(`/channels/a?after=${old}`);
    await sseGap(stream);
    const last = (await stream.events(2)).at(-1).id;
    assert.equal(last, kept[1]);
    stream.close();
    const again = await server.sse("/channels/a", { headers: { "Last-Event-ID": last } });
    const next = await server.publish("a", "next");
    assert.equal((await again.event()).id, next.id);
});

bothStores("a client that breaks off right after the first record is told of the gap again", async (t, server) => {
    const { old, kept } = await trimmed(server);
    const stream = await server.sse(`/channels/a?after=${old}`);
    const first = await stream.next();
    stream.close();
    if (first.event === "$gap") {
        return; // told at once: then nothing is left to be lost
    }
    const again = await server.sse("/channels/a", { headers: { "Last-Event-ID": first.id } });
    assertGap(await sseGap(again), first.id);
    assert.deepEqual(idsOf(await again.events(2)), kept);
});
