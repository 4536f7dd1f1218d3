// What every event has in common, said once.

import assert from "node:assert/strict";

/** An id, and a cursor: always 16 digits. */
export const ID = /^\d{16}$/;

/** A time as the server writes it: RFC 3339, UTC, microseconds. */
export const TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$/;

/** A cursor above every id there will ever be: what a client brings from another log. */
export const UNKNOWN_CURSOR = "9007199254740991";

export function idsOf(events) {
    return events.map((event) => event.id);
}

export function dataOf(events) {
    return events.map((event) => event.data);
}

/** JSON nested `depth` deep, in arrays or in objects. */
export function nestedArrays(depth) {
    return "[".repeat(depth) + "]".repeat(depth);
}

export function nestedObjects(depth) {
    return '{"a":'.repeat(depth - 1) + "{}" + "}".repeat(depth - 1);
}

/** Asserts that ids strictly increase, times never decrease, and `prev` links each channel. */
export function assertLogOrder(events) {
    const newest = new Map();
    for (const [n, event] of events.entries()) {
        assert.match(event.id, ID);
        assert.match(event.time, TIME);
        if (n > 0) {
            assert.ok(event.id > events[n - 1].id, `${event.id} after ${events[n - 1].id}`);
            assert.ok(event.time >= events[n - 1].time, `time ran backwards at ${event.id}`);
        }
        if (newest.has(event.channel)) {
            assert.equal(event.prev, newest.get(event.channel), `prev of ${event.id}`);
        }
        newest.set(event.channel, event.id);
    }
}

/** The query of a link that holds nothing else, as URLSearchParams. */
export function queryOf(link) {
    assert.match(link, /^\?/, `a link that is query-only: ${link}`);
    return new URLSearchParams(link);
}
