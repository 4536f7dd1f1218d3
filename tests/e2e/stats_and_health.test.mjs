// Seen from outside: health, statistics, metrics, and the list of channels.

import assert from "node:assert/strict";
import {
    assertProblem, eventually, startServer, stats, subscribersOf, sideBySide,
} from "./support/index.mjs";

const { bothStores, test } = sideBySide(4);

/** Every number of a document with its path: {"latency.p50": 3, …}. */
function numbers(value, path = "") {
    if (typeof value === "number") {
        return { [path]: value };
    }
    if (value === null || typeof value !== "object") {
        return {};
    }
    return Object.assign({}, ...Object.entries(value).map(([name, inner]) =>
        numbers(inner, path ? `${path}.${name}` : name)));
}

function findNumber(document, pattern) {
    return Object.entries(numbers(document)).find(([path]) => pattern.test(path));
}

bothStores("health and readiness are told with 200", async (t, server) => {
    for (const path of ["/healthz", "/readyz"]) {
        const answer = await server.get(path);
        assert.equal(answer.status, 200, answer.text);
        assert.match(answer.headers["cache-control"], /\bno-store\b/);
        assert.equal((await server.request("HEAD", path)).status, 200);
    }
});

bothStores("stats count subscribers by mechanism", async (t, server) => {
    for (const mechanism of ["sse", "ndjson", "raw", "poll", "ws"]) {
        assert.equal(await subscribersOf(server, mechanism), 0);
    }
    const sse = await server.sse("/channels/a");
    const ndjson = [await server.ndjson("/channels/a"), await server.ndjson("/events?channel=*")];
    const raw = await server.raw("/channels/a");
    const poll = server.page("/channels/a?after=now&wait=55");
    for (const [mechanism, count] of [["sse", 1], ["ndjson", 2], ["raw", 1], ["poll", 1]]) {
        await eventually(async () => (await subscribersOf(server, mechanism)) === count,
            `${count} subscribers by ${mechanism}`);
    }
    await server.publish("a", "x");
    await poll;
    for (const stream of [sse, raw, ...ndjson]) {
        stream.close();
    }
    for (const mechanism of ["sse", "ndjson", "raw", "poll"]) {
        await eventually(async () => (await subscribersOf(server, mechanism)) === 0,
            `the subscribers by ${mechanism} to be gone`);
    }
});

bothStores("stats count events and deliveries, and time the way from publish to write", async (t, server) => {
    const before = await stats(server);
    const streams = await Promise.all(Array.from({ length: 5 }, () => server.sse("/channels/a")));
    for (let n = 0; n < 10; n++) {
        await server.publish("a", `${n}`);
    }
    await Promise.all(streams.map((stream) => stream.events(10)));
    const after = await eventually(async () => {
        const now = await stats(server);
        const [path, count] = findNumber(now, /deliver/) ?? [];
        return path && count - numbers(before)[path] >= 50 ? now : undefined;
    }, "50 deliveries in /stats");
    const [path, events] = findNumber(after, /^events(\.|$)|published/);
    assert.ok(events - numbers(before)[path] >= 10, `${path} went to ${events}`);
    for (const pattern of [/latency.*p50/, /latency.*p99/, /latency.*max/, /memory/]) {
        assert.ok(findNumber(after, pattern), `${pattern} in ${JSON.stringify(after)}`);
    }
    const p50 = findNumber(after, /latency.*p50/)[1];
    const p99 = findNumber(after, /latency.*p99/)[1];
    const max = findNumber(after, /latency.*max/)[1];
    assert.ok(p50 <= p99 && p99 <= max && max > 0, `p50 ${p50}, p99 ${p99}, max ${max}`);
});

bothStores("stats count how long workers had something to do", async (t, server) => {
    const before = await stats(server);
    for (let n = 0; n < 100; n++) {
        await server.publish("a", `${n}`);
    }
    const after = await stats(server);
    assert.ok(after.busy_us > before.busy_us, `${before.busy_us} to ${after.busy_us} µs`);
});

bothStores("stats say how long turns took and mail waited, and what peers make the server hold", async (t, server) => {
    const stream = await server.sse("/channels/a");
    for (let n = 0; n < 10; n++) {
        await server.publish("a", `${n}`);
    }
    await stream.events(10);
    const now = await stats(server);
    for (const name of ["turn_us", "lock_us", "mail_us"]) {
        const { count, p50, p99, max } = now[name];
        assert.ok(count > 0 && p50 <= p99 && p99 <= max && max > 0, `${name}: ${JSON.stringify(now[name])}`);
    }
    const { total, limit, ...kinds } = now.memory.held;
    assert.deepEqual(Object.keys(kinds), ["intake", "inflated", "batch", "chunks", "answers", "rests", "reads", "http2"]);
    assert.equal(Object.values(kinds).reduce((sum, n) => sum + n, 0), total);
    assert.ok(limit > 0 && total <= limit);
    assert.equal(typeof now.budgets.read, "number");
});

bothStores("what is fetched later does not count as latency", async (t, server) => {
    for (let n = 0; n < 10; n++) {
        await server.publish("a", `${n}`);
    }
    assert.equal((await server.history("a")).length, 10);
    const late = await server.sse("/channels/a?after=earliest");
    await late.events(10);
    assert.equal((await stats(server)).latency_us.count, 0);
    await server.publish("a", "live");
    await late.events(1);
    await eventually(async () => (await stats(server)).latency_us.count === 1, "one delivery timed");
});

/** Reads the Prometheus text format strictly: {name: {type, samples: Map of labels to value}}. */
function parseMetrics(text) {
    assert.ok(text.endsWith("\n"), "the last line must end with LF");
    const types = new Map();
    const samples = new Map();
    for (const line of text.slice(0, -1).split("\n")) {
        if (line.startsWith("#")) {
            const [, what, name, rest] = /^# (HELP|TYPE) ([a-zA-Z_:][\w:]*) (.+)$/.exec(line) ??
                assert.fail(`not a comment of the format: ${line}`);
            if (what === "TYPE") {
                assert.match(rest, /^(counter|gauge|histogram|summary|untyped)$/);
                assert.ok(!types.has(name), `two types for ${name}`);
                types.set(name, rest);
            }
            continue;
        }
        const sample =
            /^([a-zA-Z_:][\w:]*)(\{(?:[a-zA-Z_]\w*="(?:[^"\\\n]|\\.)*",?)*\})? (-?[\d.]+(?:[eE][+-]?\d+)?|[+-]Inf|NaN)$/
                .exec(line);
        assert.ok(sample, `not a sample: ${line}`);
        const key = sample[1] + (sample[2] ?? "");
        assert.ok(!samples.has(key), `twice: ${key}`);
        samples.set(key, Number(sample[3].replace("Inf", "Infinity")));
        const family = sample[1].replace(/_(bucket|sum|count)$/, "");
        assert.ok(types.has(sample[1]) || types.has(family), `no TYPE before ${sample[1]}`);
    }
    return { types, samples };
}

bothStores("metrics are Prometheus text, and counters count", async (t, server) => {
    const read = async () => {
        const answer = await server.get("/metrics");
        assert.equal(answer.status, 200);
        assert.match(answer.headers["content-type"], /^text\/plain\b.*version=0\.0\.4/);
        return parseMetrics(answer.text);
    };
    const before = await read();
    assert.ok(before.samples.size > 5);
    for (const name of before.types.keys()) {
        assert.match(name, /^(freshet|process)_/, `a metric of ours is named freshet_…: ${name}`);
    }
    await server.publishMany("a", 7);
    const after = await read();
    const grown = [...after.samples].filter(([key, value]) => value - (before.samples.get(key) ?? 0) === 7);
    assert.ok(grown.length > 0, "no metric grew by the 7 events that were published");
    for (const [key, value] of before.samples) {
        if (before.types.get(key.replace(/\{.*/, "")) === "counter") {
            assert.ok(after.samples.get(key) >= value, `the counter ${key} fell`);
        }
    }
    for (const [name, type] of after.types) {
        if (type === "histogram") {
            assertHistogram(name, after.samples);
        }
    }
});

function assertHistogram(name, samples) {
    const buckets = [...samples].filter(([key]) => key.startsWith(`${name}_bucket{`));
    assert.ok(buckets.some(([key]) => key.includes('le="+Inf"')), `${name} has no bucket +Inf`);
}

/** One page of /channels, read tolerantly: [{name, …}]. */
async function channels(server, query = "") {
    const answer = await server.get(`/channels${query}`);
    assert.equal(answer.status, 200, answer.text);
    const entries = answer.json().channels;
    assert.ok(Array.isArray(entries), answer.text);
    return entries.map((entry) => ({ name: entry.channel ?? entry.name, ...entry }));
}

function names(entries) {
    return entries.map((entry) => entry.name);
}

bothStores("channels are listed with their counts", async (t, server) => {
    await server.publishMany("b", 3);
    await server.publish("a/x", "1");
    await server.publish("a/y", "1");
    await server.publish("ä", "1");
    const all = await channels(server);
    assert.deepEqual(names(all).filter((name) => !name.startsWith("$")).sort(), ["a/x", "a/y", "b", "ä"].sort());
    const b = all.find((entry) => entry.name === "b");
    assert.ok(Object.values(b).includes(3), `a count of 3 in ${JSON.stringify(b)}`);
});

bothStores("the list of channels takes a prefix, a limit and where to go on", async (t, server) => {
    const wanted = Array.from({ length: 25 }, (_, n) => `p/${String(n).padStart(2, "0")}`);
    for (const name of [...wanted, "q/1", "p", "px"]) {
        await server.publish(name, "x");
    }
    const listed = names(await channels(server, `?prefix=${encodeURIComponent("p/")}`));
    assert.deepEqual([...listed].sort(), wanted);
    const walked = [];
    for (let after = ""; ;) {
        const query = `?prefix=p/&limit=10${after && `&after=${encodeURIComponent(after)}`}`;
        const page = names(await channels(server, query));
        assert.ok(page.length <= 10);
        walked.push(...page);
        if (page.length < 10) {
            break;
        }
        after = page.at(-1);
    }
    assert.deepEqual([...walked].sort(), wanted);
});

test("the lists and numbers can be read but not written", async (t) => {
    const server = await startServer(t);
    for (const path of ["/stats", "/metrics", "/healthz", "/readyz", "/channels"]) {
        for (const method of ["POST", "PUT", "DELETE"]) {
            assertProblem(await server.request(method, path, { body: method === "DELETE" ? undefined : "x" }), 405);
        }
        const { headers } = await server.get(path);
        assert.match(headers["cache-control"], /\bno-store\b/);
    }
});

bothStores("/stats tells what was published since the start, and what is retained now", async (t, server) => {
    await server.publishMany("a", 3);
    await server.publish("b", "four");
    let { log } = (await server.get("/stats")).json();
    assert.equal(log.published, 4);
    assert.equal(log.retained, 4);
    const bytes = log.retained_bytes;
    assert.equal(log.published_bytes, bytes);
    await server.request("DELETE", "/channels/a");
    ({ log } = (await server.get("/stats")).json());
    assert.deepEqual([log.published, log.retained, log.published_bytes, log.retained_bytes], [4, 1, bytes, 4]);
    const { text } = await server.get("/metrics");
    assert.match(text, /^freshet_events_total 4$/m);
    assert.match(text, /^freshet_events_retained 1$/m);
    assert.match(text, /^freshet_events_retained_bytes 4$/m);
});
