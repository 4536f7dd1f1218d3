// Reads that look at the whole log take turns with those of others, end after a million rows, and are
// dropped with their client.

import assert from "node:assert/strict";
import net from "node:net";
import { eventually, request, startServer, stats, test } from "./support/index.mjs";

const EVENTS = 200_000;
const LONG_READS = 8;
const SLICE_ROWS = 1024;
const LEAVING_ROWS = 64 * SLICE_ROWS; // for a client that has closed its side
const NOTHING = "/events?channel=**&type=none"; // looks at all, and finds nothing
const LONG = 600_000; // ms: a slow machine takes a while to publish

/** A server whose log is much longer than what it keeps in memory. */
async function startWithLog(t) {
    const server = await startServer(t, { data: true, config: "limits:\n  window_bytes: 65536\n" });
    for (let from = 0; from < EVENTS; from += 1000) {
        const lines = [];
        for (let n = from; n < from + 1000; n++) {
            lines.push(`{"channel":"noise/${n % 500}","data":${n}}`);
        }
        const answer = await request(server, "POST", "/events",
            { body: lines.join("\n"), headers: { "Content-Type": "application/x-ndjson" } });
        assert.equal(answer.status, 201, answer.text.slice(0, 500));
    }
    return server;
}

const readersOf = async (server) => (await stats(server)).readers;

async function assertIdle(server) {
    return eventually(async () => {
        const readers = await readersOf(server);
        return readers.queued + readers.running === 0 && readers;
    }, "the readers to have nothing to do");
}

test("a cold page is answered before long reads that began earlier", { timeout: LONG }, async (t) => {
    const server = await startWithLog(t);
    const newest = (await server.page("/channels/noise/0?last=1")).events[0].id;
    const order = [];
    const long = ["before=" + newest, "last=1000", "after=earliest&wait=1"];
    const reads = [];
    for (let n = 0; n < LONG_READS; n++) {
        reads.push(server.page(`${NOTHING}&${long[n % long.length]}`).then((page) => {
            assert.equal(page.events.length, 0);
            order.push("long");
        }));
    }
    await eventually(async () => {
        const readers = await readersOf(server);
        return readers.queued + readers.running > 1;
    }, "the long reads to be under way");
    const page = await server.page("/channels/noise/7?after=earliest&limit=3");
    order.push("short");
    assert.deepEqual(page.events.map((event) => event.data), [7, 507, 1007]);
    await Promise.all(reads);
    assert.equal(order.length, LONG_READS + 1);
    assert.ok(order.indexOf("short") <= 1, `the short read came after ${order.indexOf("short")} long ones`);
});

/** Sends a request and goes away; by a reset if told so. */
function askAndLeave(server, path, reset) {
    return new Promise((resolve, reject) => {
        const socket = net.connect(server.port, "127.0.0.1", () => {
            socket.write(`GET ${path} HTTP/1.1\r\nHost: localhost\r\n\r\n`, () => {
                if (reset) {
                    socket.resetAndDestroy();
                } else {
                    socket.destroy();
                }
            });
        });
        socket.on("error", reject);
        socket.on("close", resolve);
    });
}

test("a client that asks for the whole log and leaves at once does not have all of it read", { timeout: LONG }, async (t) => {
    const server = await startWithLog(t);
    const newest = (await server.page("/channels/noise/0?last=1")).events[0].id;
    const before = await assertIdle(server);
    for (const query of ["before=" + newest, "last=1000", "after=earliest"]) {
        for (let n = 0; n < LONG_READS; n++) {
            await askAndLeave(server, `${NOTHING}&${query}`, false);
        }
    }
    const left = await assertIdle(server);
    const most = 3 * LONG_READS * (LEAVING_ROWS + SLICE_ROWS);
    assert.ok(left.rows - before.rows <= most, `${left.rows - before.rows} rows, more than ${most}`);
    for (let n = 0; n < LONG_READS; n++) {
        await askAndLeave(server, `${NOTHING}&before=${newest}`, true);
    }
    const reset = await assertIdle(server);
    assert.ok(reset.rows - left.rows <= LONG_READS * LEAVING_ROWS);
});

test("consumers of patterns that catch up by scans have the rows read once for many", { timeout: LONG }, async (t) => {
    const server = await startWithLog(t);
    const before = await assertIdle(server);
    const consumers = 20;
    const pages = [];
    for (let n = 0; n < consumers; n++) {
        // Each is a selection of its own: the second pattern matches nothing.
        pages.push(server.page(`/events?channel=noise/*&channel=other${n}/**&type=none`));
    }
    for (const page of await Promise.all(pages)) {
        assert.equal(page.events.length, 0);
        assert.equal(page.more, false);
    }
    const after = await assertIdle(server);
    const rows = after.rows - before.rows;
    t.diagnostic(`${rows} rows for ${consumers} consumers of ${EVENTS} events`);
    assert.ok(rows < consumers * EVENTS / 2, `${rows} rows`);
});

test("a pattern of few channels costs no more rows than their events", { timeout: LONG }, async (t) => {
    const server = await startWithLog(t);
    const before = await assertIdle(server);
    const page = await server.page("/events?channel=*/77&limit=1000");
    assert.equal(page.events.length, EVENTS / 500);
    const after = await assertIdle(server);
    assert.ok(after.rows - before.rows < EVENTS / 100, `${after.rows - before.rows} rows`);
});
