// A subscriber is a cursor: one that stops reading costs the server next to nothing, and gets everything
// once it reads again.

import assert from "node:assert/strict";
import { publish, request, startServer, test } from "./support/index.mjs";
import { assertChained, isSanitized, memoryOf } from "./support/checks.mjs";
import { follow } from "./support/follow.mjs";

const MIB = 1024 * 1024;
const MAY_GROW = 32 * MIB;
const LONG = 600_000; /* ms: the bytes of these tests take a while on a slow machine */

/** Publishes `count` events of `size` bytes; calls `look` after each batch; answers the ids. */
async function flood(server, channel, count, size, look = () => {}) {
    const ids = [];
    const pad = "x".repeat(size);
    for (let from = 0; from < count; from += 500) {
        const lines = [];
        for (let n = from; n < Math.min(count, from + 500); n++) {
            lines.push(JSON.stringify({ channel, data: `${n} ${pad}`.slice(0, size) }));
        }
        const answer = await request(server, "POST", "/events",
            { body: lines.join("\n"), headers: { "Content-Type": "application/x-ndjson" } });
        assert.equal(answer.status, 201, answer.text.slice(0, 500));
        ids.push(...answer.json().events.map((event) => event.id));
        look();
    }
    return ids;
}

/** Follows the most that the server's memory was above where it is now. */
function watchMemory(t, server) {
    const before = memoryOf(server.pid);
    const watch = { most: 0 };
    watch.look = () => {
        watch.most = Math.max(watch.most, memoryOf(server.pid) - before);
    };
    watch.assert = () => {
        t.diagnostic(`the server's memory rose by ${(watch.most / MIB).toFixed(1)} MiB from ${(before / MIB).toFixed(1)} MiB`);
        if (!isSanitized(server.pid)) {
            assert.ok(watch.most <= MAY_GROW, `the server grew by ${watch.most} bytes`);
        }
    };
    return watch;
}

for (const via of ["ndjson", "sse", "ws"]) {
    test(`a ${via} subscriber that sleeps while 100,000 events of 1 KB pass gets all of them, in order, once, and costs no memory`, async (t) => {
        const server = await startServer(t, { data: true });
        const received = [];
        const follower = await follow(t, server, via, "x", {
            keep: false,
            onEvent: (event) => received.push([event.id, event.prev, event.data.split(" ")[0], event.data.length]),
        });
        const { id } = await publish(server, "x", "awake");
        await follower.has(1);
        follower.pause();
        const memory = watchMemory(t, server);
        const ids = await flood(server, "x", 100_000, 1024, memory.look);
        memory.look();
        follower.resume();
        await follower.has(100_001, LONG);
        memory.look();
        assert.deepEqual(received.map(([got]) => got), [id, ...ids]);
        assertChained(received.map(([got, prev]) => ({ id: got, prev, channel: "x" })));
        received.slice(1).forEach(([, , n, size], i) => assert.ok(n === String(i) && size === 1024, `event ${i} was changed`));
        assert.deepEqual(follower.gaps, []);
        memory.assert();
    });
}

test("a poll that was not asked for long finds all 20,000 events, page by page", async (t) => {
    const server = await startServer(t, { data: true });
    const { id } = await publish(server, "x", "first");
    const ids = await flood(server, "x", 20_000, 1024);
    const follower = await follow(t, server, "poll", "x", { after: id });
    await follower.has(20_000, LONG);
    assert.deepEqual(follower.events.map((event) => event.id), ids);
});

test("forty subscribers that sleep cost no more than their cursors, and do not hold up one that is awake", async (t) => {
    const server = await startServer(t, { data: true });
    const sleepers = [];
    for (let n = 0; n < 40; n++) {
        const via = ["ndjson", "sse", "ws"][n % 3];
        const selection = n % 2 ? "x" : { channels: ["x", "y/**"] };
        const ids = [];
        const follower = await follow(t, server, via, selection, { keep: false, onEvent: (event) => ids.push(event.id) });
        sleepers.push({ follower, ids });
    }
    const awake = await follow(t, server, "ndjson", "x", { keep: false });
    await publish(server, "x", "awake");
    for (const { follower } of sleepers) {
        await follower.has(1);
        follower.pause();
    }
    const memory = watchMemory(t, server);
    const ids = await flood(server, "x", 20_000, 1024, memory.look);
    await awake.has(20_001, LONG);
    memory.look();
    for (const { follower, ids: got } of sleepers) {
        follower.resume();
        await follower.has(20_001, LONG);
        memory.look();
        assert.deepEqual(got.slice(1), ids);
        assert.deepEqual(follower.gaps, []);
        follower.stop();
    }
    memory.assert();
});

test("a subscriber that vanishes in its sleep is forgotten, with all that it held", async (t) => {
    const server = await startServer(t, { data: true });
    const awake = await follow(t, server, "ndjson", "x", { keep: false });
    for (let n = 0; n < 30; n++) {
        const sleeper = await follow(t, server, ["ndjson", "sse", "ws"][n % 3], "x");
        sleeper.pause();
        await flood(server, "x", 500, 1024);
        sleeper.stop();
    }
    await awake.has(15_000, LONG);
});
