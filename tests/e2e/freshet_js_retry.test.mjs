// The pauses of freshet.js, and retry(), which ends them at once. Time stands still here, so none ends by itself.

import assert from "node:assert/strict";
import { test } from "node:test";
import { connect } from "../../clients/js/freshet.js";

const SETTLED = 50; /* turns of the event loop after which nothing is under way */

async function settle() {
    for (let n = 0; n < SETTLED; n++) {
        await new Promise(setImmediate);
    }
}

/** A client whose server is gone, and what it has asked for. */
function lost(t) {
    t.mock.timers.enable({ apis: ["setTimeout"] });
    const asked = [];
    const fetch = async (url) => {
        asked.push(new URL(url).pathname);
        throw new TypeError("no network");
    };
    const client = connect("http://192.0.2.1", { fetch, mechanisms: ["poll"] });
    t.after(() => client.close());
    return { client, asked };
}

test("retry() asks again for what a subscription and a publish wait for", async (t) => {
    const { client, asked } = lost(t);
    client.subscribe("a", () => {});
    client.publish("b", 1).catch(() => {});
    for (let n = 1; n <= 8; n++) {
        await settle();
        assert.equal(asked.filter((path) => path === "/events").length, n);
        assert.equal(asked.filter((path) => path === "/channels/b").length, n);
        client.retry();
    }
});

test("retry() of a client that waits for nothing asks for nothing", async (t) => {
    const { client, asked } = lost(t);
    await settle();
    client.retry();
    await settle();
    assert.deepEqual(asked, []);
    assert.equal(client.state, "idle");
});

test("close() rejects a publish that waits for its next try, and does not try again", async (t) => {
    const { client, asked } = lost(t);
    const published = client.publish("b", 1);
    const refused = assert.rejects(published, TypeError);
    await settle();
    client.close();
    await refused;
    await settle();
    assert.deepEqual(asked, ["/channels/b"]);
});

test("a subscription that is closed while the client waits for its next try leaves the pause as it is", async (t) => {
    t.mock.timers.enable({ apis: ["setTimeout"] });
    let polls = 0;
    const fetch = async (url) => {
        const { pathname, searchParams } = new URL(url);
        if (searchParams.has("limit")) {
            return Response.json({ events: [], cursor: "0000000000000001", more: false });
        }
        polls += pathname === "/events";
        throw new TypeError("no network");
    };
    const client = connect("http://192.0.2.1", { fetch, mechanisms: ["poll"] });
    t.after(() => client.close());
    client.subscribe("a", () => {});
    const one = client.subscribe("b", () => {});
    await settle();
    const before = polls;
    assert.ok(before > 0);
    one.close();
    await settle();
    assert.equal(polls, before);
    client.retry();
    await settle();
    assert.equal(polls, before + 1);
});

/** A client whose function for tokens never answers for the first `most` times, and what its requests have said. */
function silent(t, most) {
    t.mock.timers.enable({ apis: ["setTimeout"] });
    const got = { asked: 0, sent: [] };
    const fetch = async (_, { headers }) => {
        got.sent.push(headers.get("Authorization"));
        return Response.json({ channel: "a", time: "2026-01-01T00:00:00Z" });
    };
    const token = () => (got.asked++ < most ? new Promise(() => {}) : "late");
    const client = connect("http://192.0.2.1", { fetch, token, mechanisms: ["poll"] });
    t.after(() => client.close());
    return { client, got };
}

async function pass(t, ms) {
    await settle();
    t.mock.timers.tick(ms);
    await settle();
}

test("a function for tokens that never answers is asked again after a minute and a pause", async (t) => {
    const { client, got } = silent(t, 1);
    const published = client.publish("a", 1);
    await pass(t, 59_000);
    assert.deepEqual(got, { asked: 1, sent: [] });
    await pass(t, 1_000);
    assert.deepEqual(got, { asked: 1, sent: [] });
    await pass(t, 10_000);
    assert.deepEqual(got, { asked: 2, sent: ["Bearer late"] });
    assert.equal((await published).channel, "a");
});

test("an ephemeral event for which no token comes is rejected", async (t) => {
    const { client, got } = silent(t, Infinity);
    const rejected = assert.rejects(client.publish("a", "typing", { ephemeral: true }), { name: "FreshetError", message: "no token came" });
    await pass(t, 60_000);
    await pass(t, 10_000);
    await pass(t, 60_000);
    assert.deepEqual(got, { asked: 2, sent: [] });
    await rejected;
});

/** A client whose publishes are answered without a receipt for the first `most` times, and how often it has asked. */
function foreign(t, most) {
    t.mock.timers.enable({ apis: ["setTimeout"] });
    const got = { asked: 0 };
    const fetch = async () => Response.json(got.asked++ < most ? {} : { channel: "a", time: "2026-01-01T00:00:00Z" });
    const client = connect("http://192.0.2.1", { fetch, mechanisms: ["poll"] });
    t.after(() => client.close());
    return { client, got };
}

test("an answer without a receipt is none to a publish, which is repeated", async (t) => {
    const { client, got } = foreign(t, 1);
    const published = client.publish("a", 1);
    await settle();
    assert.equal(got.asked, 1);
    await pass(t, 10_000);
    assert.equal(got.asked, 2);
    assert.equal((await published).channel, "a");
});

test("an ephemeral event for which no receipt comes is rejected", async (t) => {
    const { client, got } = foreign(t, Infinity);
    const rejected = assert.rejects(client.publish("a", "typing", { ephemeral: true }), { name: "FreshetError", message: "no receipt" });
    await pass(t, 10_000);
    assert.equal(got.asked, 2);
    await rejected;
});

/** A client that is given the same `answer` to everything; what it has asked for. */
function given(t, answer) {
    t.mock.timers.enable({ apis: ["setTimeout"] });
    const asked = [];
    const fetch = async (url) => {
        asked.push(url);
        await new Promise(setImmediate);
        return answer();
    };
    const client = connect("http://192.0.2.1", { fetch, mechanisms: ["poll"] });
    t.after(() => client.close());
    client.subscribe("a", () => {});
    return asked;
}

for (const [what, answer, most] of [
    ["410 without a gap", () => new Response("<html>", { status: 410 }), 1],
    ["a problem that is none", () => Response.json(null, { status: 502 }), 1],
    ["a page that is none", () => Response.json({}), 1],
    ["empty pages without a wait", () => Response.json({ events: [], cursor: "0000000000000001", more: false }), 9],
    ["empty pages that promise more", () => Response.json({ events: [], cursor: "0000000000000001", more: true }), 2],
    ["the same gap", () => Response.json({ earliest: "0000000000000001", reason: "trimmed" }, { status: 410 }), 2],
]) {
    test(`${what}, from something in the server's place, is not asked for without a pause`, async (t) => {
        const asked = given(t, answer);
        await settle();
        assert.ok(asked.length > 0 && asked.length <= most, `${asked.length} requests`);
    });
}
