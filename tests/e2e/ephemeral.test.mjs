// Events that are not in the log: for whoever is live now, and for nobody later.

import assert from "node:assert/strict";
import { assertProblem, bothStores, eventually, idsOf, startServer, test } from "./support/index.mjs";

async function ephemeral(server, channel, data, headers = {}) {
    const answer = await server.post(channel, data, headers, "?ephemeral=1");
    assert.equal(answer.status, 202, answer.text);
    return answer;
}

bothStores("an ephemeral publish is answered with 202 and no id", async (t, server) => {
    const answer = await ephemeral(server, "typing", "me");
    if (answer.bytes.length > 0) {
        assert.ok(!("id" in answer.json()));
    }
});

bothStores("an ephemeral event never enters history", async (t, server) => {
    const first = await server.publish("a", "kept 1");
    await ephemeral(server, "a", "gone");
    const second = await server.publish("a", "kept 2");
    const events = await server.history("a");
    assert.deepEqual(idsOf(events), [first.id, second.id]);
    assert.equal(events[1].prev, first.id);
    const stream = await server.ndjson("/channels/a?after=earliest");
    assert.deepEqual(idsOf(await stream.events(2)), [first.id, second.id]);
    assert.deepEqual(idsOf((await server.page("/channels/a?last=5")).events), [first.id, second.id]);
});

bothStores("a live NDJSON subscriber gets it, without an id", async (t, server) => {
    const stream = await server.ndjson("/channels/a");
    await ephemeral(server, "a", { x: 1, y: 2 }, { "Event-Type": "pointer" });
    const event = await stream.event();
    assert.deepEqual(event.data, { x: 1, y: 2 });
    assert.equal(event.type, "pointer");
    assert.equal(event.channel, "a");
    assert.ok(!event.id, `an id: ${event.id}`);
});

bothStores("a live SSE subscriber gets it without an id line, so that its cursor stays", async (t, server) => {
    const kept = await server.publish("a", "kept");
    const stream = await server.sse(`/channels/a?after=earliest`);
    assert.equal((await stream.event()).id, kept.id);
    await ephemeral(server, "a", "now", { "Event-Type": "pointer" });
    const event = await stream.event();
    assert.equal(event.data, "now");
    assert.equal(event.event, "pointer");
    assert.equal(event.id, undefined);
    assert.ok(!event.lines.some((line) => line.startsWith("id")), `${event.lines}`);
});

bothStores("a raw subscriber gets its data", async (t, server) => {
    const stream = await server.raw("/channels/a");
    await ephemeral(server, "a", "now");
    assert.equal((await stream.event()).toString(), "now");
});

bothStores("a waiting poll is woken by it, and its cursor does not move", async (t, server) => {
    const { id } = await server.publish("a", "kept");
    let answered = false;
    const poll = server.page(`/channels/a?after=${id}&wait=55`).finally(() => (answered = true));
    await eventually(async () => {
        await ephemeral(server, "a", "now");
        return answered;
    }, "the poll to be answered");
    const page = await poll;
    assert.ok(page.events.length > 0);
    for (const event of page.events) {
        assert.equal(event.data, "now");
        assert.ok(!event.id);
    }
    assert.equal(page.cursor, id);
});

test("an ephemeral event reaches subscribers of a matching pattern and of no other channel", async (t) => {
    const server = await startServer(t);
    const pattern = await server.ndjson("/events?channel=room/*");
    const other = await server.ndjson("/channels/other");
    await ephemeral(server, "room/1", "psst");
    assert.equal((await pattern.event()).data, "psst");
    await server.publish("other", "mine");
    assert.equal((await other.event()).data, "mine");
});

test("the type filter holds for ephemeral events", async (t) => {
    const server = await startServer(t);
    const stream = await server.ndjson("/channels/a?type=b");
    await ephemeral(server, "a", "not this", { "Event-Type": "a" });
    await ephemeral(server, "a", "this", { "Event-Type": "b" });
    assert.equal((await stream.event()).data, "this");
});

test("an ephemeral publish is checked like any other", async (t) => {
    const server = await startServer(t);
    const json = { "Content-Type": "application/json" };
    assertProblem(await server.post("a", "{", json, "?ephemeral=1"), 400);
    assertProblem(await server.post("a", "x", { "Event-Type": "error" }, "?ephemeral=1"), 400);
    assertProblem(await server.post("$a", "x", {}, "?ephemeral=1"), [400, 403]);
});

bothStores("without a subscriber it is simply gone", async (t, server) => {
    for (let n = 0; n < 100; n++) {
        await ephemeral(server, "nobody", `${n}`);
    }
    const stream = await server.ndjson("/channels/nobody?after=earliest");
    const { id } = await server.publish("nobody", "somebody");
    const event = await stream.event();
    assert.equal(event.id, id);
    assert.equal(Number(event.prev), 0);
});
