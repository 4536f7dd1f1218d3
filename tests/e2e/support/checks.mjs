// What must hold for any list of events, and what /proc tells about the server.

import assert from "node:assert/strict";
import fs from "node:fs";
import { page } from "./http.mjs";

const ID = /^\d{16}$/;

/** Asserts that ids have their form and strictly increase: as strings, which is what clients compare. */
export function assertIncreasing(events, what = "the events") {
    let last = "";
    for (const [n, event] of events.entries()) {
        assert.match(event.id, ID);
        assert.ok(event.id > last, `${what}: number ${n} has id ${event.id} after ${last}`);
        last = event.id;
    }
}

/** Asserts for complete lists that each event's `prev` is the id before it in its channel. */
export function assertChained(events, what = "the events", heads = new Map()) {
    for (const event of events) {
        const before = heads.get(event.channel);
        if (before !== undefined) {
            assert.equal(event.prev, before, `${what}: prev of ${event.id} in ${event.channel}`);
        } else {
            assert.match(event.prev, /^\d{1,16}$/);
            assert.ok(Number(event.prev) < Number(event.id), `${what}: prev of ${event.id}`);
        }
        heads.set(event.channel, event.id);
    }
}

/** Reads everything that is retained of a selection, page by page. `query` names it. */
export async function readAll(server, query, after = "earliest") {
    const events = [];
    for (;;) {
        const got = await page(server, `/events?${query}&limit=1000&after=${after}`);
        events.push(...got.events);
        if (!got.more) {
            return { events, cursor: got.cursor };
        }
        assert.ok(got.events.length > 0, "a page with more to come must hold at least one event");
        assert.notEqual(got.cursor, after, "a page with more to come must move the cursor");
        after = got.cursor;
    }
}

function statusOf(pid, name) {
    const match = new RegExp(`^${name}:\\s+(\\d+) kB`, "m").exec(
        fs.readFileSync(`/proc/${pid}/status`, "utf8"),
    );
    return Number(match[1]) * 1024;
}

/** Bytes of memory that a process has in use now. */
export function memoryOf(pid) {
    return statusOf(pid, "VmRSS");
}

/** A sanitizer reserves terabytes and keeps what was freed: its memory says nothing about ours. */
export function isSanitized(pid) {
    return statusOf(pid, "VmSize") > 1024 ** 4;
}

/** How many files and sockets a process holds open. */
export function filesOf(pid) {
    return fs.readdirSync(`/proc/${pid}/fd`).length;
}
