// Retention by age, count and bytes, set for the channels under a prefix; and that no gap is silent.

import assert from "node:assert/strict";
import fs from "node:fs";
import path from "node:path";
import { assertProblem, eventually, linkOf, page, publish, publishMany, startServer, temporaryFolder, sideBySide } from "./support/index.mjs";
import { assertChained, assertIncreasing } from "./support/checks.mjs";
import { follow } from "./support/follow.mjs";
import { run } from "./support/program.mjs";

const { test } = sideBySide(4);

/* The keys of the configuration file, in this one place. */
const CONFIG = {
    file: (namespaces) => `namespaces:\n${namespaces.join("")}`,
    namespace: (prefix, retention) =>
        `  - prefix: ${prefix}\n    retention:\n${Object.entries(retention)
            .map(([key, value]) => `      ${key}: ${value}\n`).join("")}`,
    count: (events) => ({ count: events }),
    bytes: (bytes) => ({ bytes }),
    age: (seconds) => ({ age_s: seconds }),
};

function configOf(namespaces) {
    return CONFIG.file(Object.entries(namespaces).map(([prefix, keep]) => CONFIG.namespace(prefix, keep)));
}

/** Starts a server with these namespaces, on each store in turn, as a test of its own. */
function retains(name, namespaces, body) {
    for (const store of ["memory", "data"]) {
        test(`${name} [${store}]`, async (t) => {
            await body(t, await startServer(t, { [store]: true, config: configOf(namespaces) }));
        });
    }
}

/** The ids that a channel holds, by as many pages as it takes: one ends at 1 MiB whatever its limit. */
async function idsOf(server, channel) {
    const ids = [];
    for (let after = "earliest", more = true; more;) {
        const answer = await page(server, `/channels/${channel}?limit=1000&after=${after}`);
        ids.push(...answer.events.map((event) => event.id));
        ({ cursor: after, more } = answer);
    }
    return ids;
}

/** Waits until a channel holds these ids and no others: trimming may come a moment after the publish. */
function holds(server, channel, ids) {
    return eventually(async () => {
        assert.deepEqual(await idsOf(server, channel), ids);
        return true;
    }, `${channel} to hold ${ids.length} events`);
}

retains("a count keeps a channel's newest events, and leaves channels elsewhere alone", { kept: CONFIG.count(10) }, async (t, server) => {
    const ids = await publishMany(server, "kept/a", 30);
    const others = await publishMany(server, "free/a", 30);
    await holds(server, "kept/a", ids.slice(20));
    await holds(server, "free/a", others);
    const { events } = await page(server, "/channels/kept/a");
    assertChained(events);
    assert.equal(events[0].prev, ids[19], "prev tells the event before it, retained or not");
});

retains("a page or poll after an event that was trimmed is 410 and says where the first is", { kept: CONFIG.count(5) }, async (t, server) => {
    const ids = await publishMany(server, "kept/a", 20);
    await holds(server, "kept/a", ids.slice(15));
    for (const query of [`after=${ids[3]}`, `after=${ids[3]}&wait=25`, `after=${ids[13]}`]) {
        const answer = await server.get(`/channels/kept/a?${query}`);
        assertProblem(answer, 410);
        const first = linkOf(answer, "first");
        assert.ok(first, "a 410 needs a link to the first page");
        const url = new URL(first.href, `${server.url}/channels/kept/a`);
        const got = await page(server, `${url.pathname}${url.search}`);
        assert.deepEqual(got.events.map((event) => event.id), ids.slice(15));
    }
});

retains("a cursor at the newest trimmed event has missed nothing", { kept: CONFIG.count(5) }, async (t, server) => {
    const ids = await publishMany(server, "kept/a", 20);
    await holds(server, "kept/a", ids.slice(15));
    const { events } = await page(server, `/channels/kept/a?after=${ids[14]}`);
    assert.deepEqual(events.map((event) => event.id), ids.slice(15));
});

for (const via of ["sse", "ndjson", "ws"]) {
    retains(`a ${via} consumer whose cursor was trimmed is told the gap, then gets all that is retained`, { kept: CONFIG.count(5) }, async (t, server) => {
        const ids = await publishMany(server, "kept/a", 20);
        await holds(server, "kept/a", ids.slice(15));
        const follower = await follow(t, server, via, "kept/a", { after: ids[3] });
        await follower.has(5);
        assert.equal(follower.gaps.length, 1);
        assert.equal(follower.gaps[0].after, ids[3]);
        assert.ok(follower.gaps[0].reason);
        assert.match(follower.gaps[0].earliest, /^\d{16}$/);
        assert.ok(follower.gaps[0].earliest > ids[3]);
        const { id } = await publish(server, "kept/a", "new");
        await follower.has(6);
        assert.deepEqual(follower.events.map((event) => event.id), [...ids.slice(15), id]);
    });

    retains(`a ${via} consumer that keeps up hears of no gap while events are trimmed behind it`, { kept: CONFIG.count(3) }, async (t, server) => {
        const follower = await follow(t, server, via, "kept/**");
        const ids = [];
        for (let n = 0; n < 100; n++) {
            ids.push((await publish(server, `kept/${n % 2}`, { n })).id);
            await follower.has(n + 1);
        }
        assert.deepEqual(follower.events.map((event) => event.id), ids);
        assert.deepEqual(follower.gaps, []);
    });
}

retains("each channel of a namespace keeps its own count", { kept: CONFIG.count(4) }, async (t, server) => {
    const a = await publishMany(server, "kept/a", 10);
    const b = await publishMany(server, "kept/b", 3);
    await holds(server, "kept/a", a.slice(6));
    await holds(server, "kept/b", b);
});

retains("bytes keep the newest events that fit, and always make room for the next", { kept: CONFIG.bytes(100_000) }, async (t, server) => {
    const ids = await publishMany(server, "kept/a", 100, () => "x".repeat(10_000));
    const events = await eventually(async () => {
        const got = (await page(server, "/channels/kept/a?limit=1000")).events;
        return got.length < 20 && got;
    }, "most of the events to be trimmed");
    assert.ok(events.length >= 1);
    assert.deepEqual(events.map((event) => event.id), ids.slice(-events.length), "it is the newest that are kept");
    assertProblem(await server.get(`/channels/kept/a?after=${ids[0]}`), 410);
});

retains("age lets events go once they are old, and the channel goes on", { kept: CONFIG.age(8) }, async (t, server) => {
    const ids = await publishMany(server, "kept/a", 10);
    await holds(server, "kept/a", []);
    assertProblem(await server.get(`/channels/kept/a?after=${ids[2]}`), 410);
    const follower = await follow(t, server, "ndjson", "kept/a", { after: ids[9] });
    const next = await publish(server, "kept/a", "young");
    await follower.has(1);
    assert.deepEqual(follower.gaps, [], "everything up to this cursor was handed out");
    assert.equal(follower.events[0].id, next.id);
    assert.ok(follower.events[0].prev <= ids[9] && follower.events[0].prev !== undefined);
});

test("trimmed events stay trimmed, and are reported as a gap, after a kill -9", async (t) => {
    const server = await startServer(t, { data: true, config: configOf({ kept: CONFIG.count(5) }) });
    const ids = await publishMany(server, "kept/a", 20);
    await holds(server, "kept/a", ids.slice(15));
    await server.restart();
    await holds(server, "kept/a", ids.slice(15));
    assertProblem(await server.get(`/channels/kept/a?after=${ids[3]}`), 410);
    assert.equal((await page(server, "/channels/kept/a")).events[0].prev, ids[14]);
});

test("the longest prefix that fits decides", async (t) => {
    const config = configOf({ a: CONFIG.count(10), "a/b": CONFIG.count(2) });
    const server = await startServer(t, { memory: true, config });
    const far = await publishMany(server, "a/x", 20);
    const near = await publishMany(server, "a/b/x", 20);
    const alike = await publishMany(server, "a/bc", 20);
    await holds(server, "a/x", far.slice(10));
    await holds(server, "a/b/x", near.slice(18));
    await holds(server, "a/bc", alike.slice(10));
});

test("trimming gives the disk back", async (t) => {
    const server = await startServer(t, { data: true, config: configOf({ kept: CONFIG.bytes(1_000_000) }) });
    const folder = path.join(server.dir, "data", "log");
    const sizeOf = () => fs.readdirSync(folder).reduce((sum, name) => {
        try {
            return sum + fs.statSync(path.join(folder, name)).size;
        } catch {
            return sum; /* unlinked meanwhile */
        }
    }, 0);
    const events = 300;
    for (let n = 0; n < events; n++) {
        await publish(server, "kept/a", "x".repeat(1_000_000));
    }
    await eventually(() => sizeOf() < 200 * 1024 * 1024, `the log to shrink below 200 MiB; ${events} MB were published`);
    assert.ok((await server.history("kept/a")).length >= 1);
});

test("a slow consumer within retention gets everything; beyond it, it is told the gap", async (t) => {
    const server = await startServer(t, { data: true, config: configOf({ kept: CONFIG.count(1000) }) });
    const follower = await follow(t, server, "ndjson", "kept/a", { after: "earliest" });
    await publish(server, "kept/a", "first");
    await follower.has(1);
    follower.pause();
    const ids = await publishMany(server, "kept/a", 20_000, (n) => `${n} ${"x".repeat(1000)}`);
    await holds(server, "kept/a", ids.slice(-1000));
    follower.resume();
    await follower.until(() => follower.cursor === ids.at(-1), "the newest event");
    assertIncreasing(follower.events);
    assert.ok(follower.gaps.length >= 1, "events are missing and nothing was said");
    /* Whatever is missing lies in the gaps that were told. */
    assert.deepEqual(follower.events.slice(-1000).map((event) => event.id), ids.slice(-1000));
});

retains("a page from the earliest on is never refused, whatever is trimmed while it is read", { kept: CONFIG.count(50) }, async (t, server) => {
    let over = false;
    const flood = (async () => {
        const batch = Array.from({ length: 50 }, () => ({ channel: "kept/a", data: "x".repeat(300) }));
        for (let n = 0; n < 100; n++) {
            assert.equal((await server.request("POST", "/events", { body: batch })).status, 201);
        }
        over = true;
    })();
    flood.catch(() => (over = true));
    while (!over) {
        for (const start of ["after=earliest", "last=40", "after=2020-01-01T00:00:00Z"]) {
            const answer = await server.get(`/channels/kept/a?limit=30&${start}`);
            assert.equal(answer.status, 200, `${start}: ${answer.text}`);
        }
    }
    await flood;
});

test("a configuration with a key that nobody knows is refused, and the key named", async (t) => {
    const folder = temporaryFolder(t);
    for (const [text, wanted] of [
        [`${configOf({ kept: CONFIG.count(5) })}nonsense: 1\n`, /nonsense/],
        [configOf({ kept: { count: "many" } }), /count|many|line/i],
        ["namespaces: [\n", /line|yaml|pars/i],
    ]) {
        const file = path.join(folder, "freshet.yaml");
        fs.writeFileSync(file, text);
        const { code, stderr } = await run(t, ["serve", "--listen", "127.0.0.1:0", "--memory", "--config", file]);
        assert.ok(code > 0, `it ended with ${code}`);
        assert.match(stderr, wanted);
    }
    const missing = await run(t, ["serve", "--listen", "127.0.0.1:0", "--memory", "--config", path.join(folder, "none.yaml")]);
    assert.ok(missing.code > 0);
    assert.match(missing.stderr, /none\.yaml/);
});
