// The same key on the same channel publishes once; the key is as durable as its event.

import assert from "node:assert/strict";
import { assertProblem, bothStores, idsOf, startServer, test } from "./support/index.mjs";

const key = (value) => ({ "Idempotency-Key": value });

/** Asserts that `answer` says again what `first` said. */
function assertDuplicateOf(answer, first) {
    assert.equal(answer.status, 200, answer.text);
    assert.deepEqual(answer.json(), { ...first, duplicate: true });
}

bothStores("the same key and body are answered with the first answer and duplicate", async (t, server) => {
    const first = await server.publish("orders", "one", key("k1"));
    assert.ok(!("duplicate" in first));
    await server.publish("orders", "something else in between");
    assertDuplicateOf(await server.post("orders", "one", key("k1")), first);
    assertDuplicateOf(await server.post("orders", "one", key("k1")), first);
    assert.equal((await server.history("orders")).length, 2);
});

bothStores("another body under the same key is refused with 422", async (t, server) => {
    const first = await server.publish("orders", "one", key("k1"));
    assertProblem(await server.post("orders", "two", key("k1")), 422);
    assertProblem(await server.post("orders", "on", key("k1")), 422);
    assertProblem(await server.post("orders", "", key("k1")), 422);
    assertDuplicateOf(await server.post("orders", "one", key("k1")), first);
    assert.deepEqual(idsOf(await server.history("orders")), [first.id]);
});

bothStores("a key holds for its channel alone", async (t, server) => {
    const a = await server.publish("a", "same", key("k"));
    const b = await server.publish("b", "same", key("k"));
    const c = await server.publish("c", "other", key("k"));
    assert.equal(new Set([a.id, b.id, c.id]).size, 3);
    assertDuplicateOf(await server.post("b", "same", key("k")), b);
});

test("keys are compared byte by byte", async (t) => {
    const server = await startServer(t);
    const ids = new Set();
    for (const value of ["k", "K", "k.", "kk", "0", "00"]) {
        ids.add((await server.publish("a", "x", key(value))).id);
    }
    assert.equal(ids.size, 6);
});

bothStores("a key may come in the header or the query, quoted or not", async (t, server) => {
    const first = await server.publish("a", "x", key("abc-1"));
    assertDuplicateOf(await server.post("a", "x", key('"abc-1"')), first);
    assertDuplicateOf(await server.post("a", "x", {}, "?key=abc-1"), first);
    assertDuplicateOf(await server.post("a", "x", {}, "?key=%22abc-1%22"), first);
    const second = await server.publish("a", "x", {}, "?key=q%20%C3%A4");
    assertDuplicateOf(await server.post("a", "x", {}, "?key=q%20%C3%A4"), second);
    assertProblem(await server.post("a", "y", {}, "?key=abc-1"), 422);
});

test("a key of 255 bytes is accepted and one of 256 refused", async (t) => {
    const server = await startServer(t);
    const first = await server.publish("a", "x", key("k".repeat(255)));
    assertDuplicateOf(await server.post("a", "x", key("k".repeat(255))), first);
    assertProblem(await server.post("a", "x", key("k".repeat(256))), 400);
    assertProblem(await server.post("a", "x", {}, `?key=${"k".repeat(256)}`), 400);
    assert.equal((await server.history("a")).length, 1);
});

bothStores("of many who publish at once under one key, one appends and all learn its id", async (t, server) => {
    const answers = await Promise.all(
        Array.from({ length: 40 }, () => server.post("race", "x", key("once"))));
    const created = answers.filter((answer) => answer.status === 201);
    assert.equal(created.length, 1, `answers: ${answers.map((answer) => answer.status)}`);
    const first = created[0].json();
    for (const answer of answers.filter((answer) => answer.status !== 201)) {
        assertDuplicateOf(answer, first);
    }
    assert.deepEqual(idsOf(await server.history("race")), [first.id]);
});

bothStores("a duplicate reaches no subscriber a second time", async (t, server) => {
    const stream = await server.ndjson("/channels/a");
    const first = await server.publish("a", "x", key("k"));
    assertDuplicateOf(await server.post("a", "x", key("k")), first);
    const second = await server.publish("a", "y");
    assert.deepEqual(idsOf(await stream.events(2)), [first.id, second.id]);
});

test("a publish that was refused does not take its key", async (t) => {
    const server = await startServer(t);
    const json = { "Content-Type": "application/json" };
    assertProblem(await server.post("a", "{", { ...json, ...key("k") }), 400);
    assertProblem(await server.post("a", "{}", { ...json, ...key("k"), "Event-Type": "error" }), 400);
    assert.equal((await server.post("a", "{}", { ...json, ...key("k") })).status, 201);
});

bothStores("events of a batch have keys of their own, shared with single publishes", async (t, server) => {
    const single = await server.publish("a", "one", key("k1"));
    const body = [
        { channel: "a", data: "one", key: "k1" },
        { channel: "a", data: "two", key: "k2" },
        { channel: "b", data: "one", key: "k1" },
    ];
    const first = await server.request("POST", "/events", { body });
    assert.equal(first.status, 201, first.text);
    const events = first.json().events;
    assert.equal(events[0].id, single.id);
    assert.equal(events[0].time, single.time);
    assert.equal(events[0].duplicate, true);
    assert.ok(!events[1].duplicate && !events[2].duplicate);
    const again = await server.request("POST", "/events", { body });
    assert.ok([200, 201].includes(again.status), again.text);
    assert.deepEqual(idsOf(again.json().events), idsOf(events));
    assert.ok(again.json().events.every((event) => event.duplicate === true));
    const { duplicate, ...two } = again.json().events[1];
    assert.equal(duplicate, true);
    assertDuplicateOf(await server.post("a", "two", key("k2")), two);
    assert.equal((await server.history("a")).length, 2);
    assert.equal((await server.history("b")).length, 1);
});

bothStores("a key twice in one batch publishes once", async (t, server) => {
    const body = [
        { channel: "a", data: { n: 1 }, key: "k" },
        { channel: "a", data: { n: 2 } },
        { channel: "a", data: { n: 1 }, key: "k" },
    ];
    const answer = await server.request("POST", "/events", { body });
    assert.equal(answer.status, 201, answer.text);
    const [first, second, third] = answer.json().events;
    assert.equal(third.id, first.id);
    assert.equal(third.duplicate, true);
    assert.deepEqual(idsOf(await server.history("a")), [first.id, second.id]);
});

bothStores("another body under a key refuses the whole batch and names the index", async (t, server) => {
    await server.publish("a", "one", key("k"));
    const body = [{ channel: "a", data: "new" }, { channel: "a", data: "two", key: "k" }];
    const problem = assertProblem(await server.request("POST", "/events", { body }), 422);
    assert.equal(problem.index, 1);
    const within = [{ channel: "b", data: "x", key: "k" }, { channel: "b", data: "y", key: "k" }];
    assert.equal(assertProblem(await server.request("POST", "/events", { body: within }), 422).index, 1);
    assert.equal((await server.history("a")).length, 1);
    assert.deepEqual(await server.history("b"), []);
});

test("a key outlives kill -9 as its event does", async (t) => {
    const server = await startServer(t, { data: true });
    const first = await server.publish("a", "x", key("k"));
    await server.restart();
    assertDuplicateOf(await server.post("a", "x", key("k")), first);
    assertProblem(await server.post("a", "y", key("k")), 422);
    assert.deepEqual(idsOf(await server.history("a")), [first.id]);
});
