// An acknowledged publish survives: kill -9 at any moment, also while a log file is rolled and sealed.

import assert from "node:assert/strict";
import { randomBytes, randomInt, createHash } from "node:crypto";
import fs from "node:fs";
import path from "node:path";
import { eventually, page, publish, publishMany, request, startServer, test } from "./support/index.mjs";
import { assertChained, assertIncreasing, readAll } from "./support/checks.mjs";
import { follow, MECHANISMS } from "./support/follow.mjs";
import { run } from "./support/program.mjs";

const PUBLISHERS = 16;

/**
 * Publishes from many connections at once until the server is gone. `acked` gets id -> {channel, data}
 * of all that was acknowledged, and `onAck` is called with their number.
 */
class Load {
    constructor(server, name) {
        this.server = server;
        this.name = name;
        this.acked = new Map();
        this.sent = 0;
        this.onAck = () => {};
        this.over = false;
    }

    /** Runs until the server is gone or `over` is set. */
    run() {
        return Promise.all(Array.from({ length: PUBLISHERS }, (_, who) => this.#publisher(who)));
    }

    async #publisher(who) {
        for (let n = 0; !this.over; n++) {
            const channel = who % 2 ? `load/${who}` : "load/shared";
            const size = n % 7 === 0 ? 3 : 1;
            const events = Array.from({ length: size }, (_, i) => ({
                channel, data: `${this.name}/${who}/${n}/${i} ${"x".repeat(randomInt(0, 300))}`,
            }));
            this.sent += size;
            let answer;
            try {
                answer = size === 1
                    ? await request(this.server, "POST", `/channels/${channel}`, { body: events[0].data })
                    : await request(this.server, "POST", "/events", { body: events });
            } catch {
                return; /* killed: the fate of this one is unknown */
            }
            if (answer.status === 503) {
                return; /* draining */
            }
            assert.equal(answer.status, 201, answer.text);
            const told = size === 1 ? [answer.json()] : answer.json().events;
            told.forEach(({ id }, i) => {
                assert.ok(!this.acked.has(id), `the id ${id} was given twice`);
                this.acked.set(id, events[i]);
            });
            this.onAck(this.acked.size);
        }
    }

    /** Settles when so many were acknowledged. */
    reaches(count) {
        return new Promise((resolve) => {
            this.onAck = (acked) => acked >= count && resolve();
        });
    }
}

/** Asserts that the log holds all that was acknowledged, nothing twice, and is in good order. */
function assertHolds(events, acked) {
    assertIncreasing(events);
    assertChained(events);
    const byId = new Map(events.map((event) => [event.id, event]));
    for (const [id, { channel, data }] of acked) {
        const event = byId.get(id);
        assert.ok(event, `the acknowledged event ${id} in ${channel} is lost`);
        assert.equal(event.channel, channel);
        assert.equal(event.data, data);
    }
    const datas = new Set(events.map((event) => event.data));
    assert.equal(datas.size, events.length, "an event is there twice");
}

test("kill -9 at random moments under load loses nothing that was acknowledged, nor anything that a subscriber saw", async (t) => {
    const server = await startServer(t, { data: true });
    const acked = new Map();
    const seen = [];
    let newest = "";
    for (let round = 0; round < 8; round++) {
        const load = new Load(server, `round ${round}`);
        const watchers = [];
        for (const via of MECHANISMS) {
            watchers.push(await follow(t, server, via, "load/**"));
        }
        const enough = load.reaches(randomInt(1, 1500));
        const running = load.run();
        await Promise.race([enough, running]);
        await server.kill();
        await running;
        for (const [id, event] of load.acked) {
            assert.ok(id > newest, `${id} was given after ${newest}`);
            acked.set(id, event);
        }
        for (const watcher of watchers) {
            await watcher.ended;
            seen.push(...watcher.events);
        }
        await server.start();
        const { events } = await readAll(server, "channel=load/**");
        assertHolds(events, acked);
        const byId = new Map(events.map((event) => [event.id, event]));
        for (const event of seen) {
            assert.deepEqual(byId.get(event.id), event, "a subscriber saw an event that is no more");
        }
        newest = (await publish(server, "load/probe", `probe ${round}`)).id;
        assert.ok(newest > (events.at(-1)?.id ?? ""), "an id was given again");
        acked.set(newest, { channel: "load/probe", data: `probe ${round}` });
    }
});

test("a publish with a key that is repeated after a kill -9 is there once", async (t) => {
    const server = await startServer(t, { data: true });
    for (let round = 0; round < 5; round++) {
        const publishOnce = (body) => request(server, "POST", "/channels/keyed",
            { body, headers: { "Idempotency-Key": `"${body}"` } });
        const acked = new Map(); /* body -> id */
        const unsure = []; /* bodies whose answer never came */
        let enough;
        const reached = new Promise((resolve) => (enough = resolve));
        const publishers = Array.from({ length: PUBLISHERS }, async (_, who) => {
            for (let n = 0; ; n++) {
                const body = `${round}/${who}/${n}`;
                let answer;
                try {
                    answer = await publishOnce(body);
                } catch {
                    unsure.push(body);
                    return;
                }
                assert.equal(answer.status, 201, answer.text);
                acked.set(body, answer.json().id);
                if (acked.size >= 100 + round * 57) {
                    enough();
                }
            }
        });
        await reached;
        await server.kill();
        await Promise.all(publishers);
        await server.start();
        for (const [body, id] of [...acked].slice(-50)) {
            const answer = await publishOnce(body);
            assert.equal(answer.status, 200, `the key of an acknowledged event was forgotten: ${answer.text}`);
            assert.equal(answer.json().id, id);
            assert.equal(answer.json().duplicate, true);
        }
        for (const body of unsure) {
            const answer = await publishOnce(body);
            assert.ok([200, 201].includes(answer.status), answer.text);
        }
        const { events } = await readAll(server, "channel=keyed");
        const counts = new Map();
        for (const event of events) {
            counts.set(event.data, (counts.get(event.data) ?? 0) + 1);
        }
        for (const body of [...acked.keys(), ...unsure]) {
            assert.equal(counts.get(body), 1, `${body} is there ${counts.get(body) ?? 0} times`);
        }
    }
});

/** The files of the log in a folder of data. */
function logFiles(folder) {
    const log = path.join(folder, "log");
    return fs.existsSync(log) ? fs.readdirSync(log).filter((name) => /^\d+\.db$/.test(name)) : [];
}

test("kill -9 while a log file is rolled and sealed loses nothing that was acknowledged", async (t) => {
    const server = await startServer(t, { data: true });
    const folder = path.join(server.dir, "data");
    const acked = new Map();
    for (let round = 0; round < 3; round++) {
        const files = logFiles(folder).length;
        let over = false;
        const publishers = Array.from({ length: 4 }, async (_, who) => {
            for (let n = 0; !over; n++) {
                const body = randomBytes(400_000).toString("hex");
                try {
                    const answer = await request(server, "POST", `/channels/big/${who}`, { body });
                    assert.equal(answer.status, 201, answer.text);
                    acked.set(answer.json().id, createHash("sha256").update(body).digest("hex"));
                } catch {
                    return;
                }
            }
        });
        await eventually(() => logFiles(folder).length > files, "a second file of the log", 120_000);
        /* Some more publishes, so that the end comes at another moment of the sealing in each round. */
        const target = acked.size + round * 3;
        await eventually(() => acked.size >= target, "some more events");
        await server.kill();
        over = true;
        await Promise.all(publishers);
        await server.start();
        let after = "earliest";
        let last = "";
        const heads = new Map();
        const missing = new Map(acked);
        for (let more = true; more;) {
            const got = await page(server, `/events?channel=big/**&limit=20&after=${after}`);
            for (const event of got.events) {
                assert.ok(event.id > last);
                last = event.id;
                assertChained([event], "across the roll", heads);
                const hash = missing.get(event.id);
                if (hash !== undefined) {
                    assert.equal(createHash("sha256").update(event.data).digest("hex"), hash, `${event.id} was changed`);
                    missing.delete(event.id);
                }
            }
            ({ more, cursor: after } = got);
        }
        assert.deepEqual([...missing.keys()], [], "acknowledged events are lost");
    }
});

test("a history over several files is read forwards, backwards, by channel and by pattern as one", async (t) => {
    const server = await startServer(t, { data: true });
    const folder = path.join(server.dir, "data");
    const filler = "x".repeat(900_000);
    const small = [];
    let n = 0;
    while (logFiles(folder).length < 2 && n < 200) {
        await publish(server, `big/${n % 3}`, filler);
        small.push((await publish(server, "small", { n: n++ })).id);
    }
    assert.ok(logFiles(folder).length >= 2, "the log was not rolled after 180 MB");
    await server.restart();
    const ids = async (path) => (await page(server, path)).events.map((event) => event.id);
    assert.deepEqual(await ids("/channels/small?limit=1000"), small);
    assert.deepEqual(await ids("/events?channel=small&channel=nothing/**&limit=1000"), small);
    assert.deepEqual(await ids(`/channels/small?before=${small.at(-1)}&limit=10`), small.slice(-11, -1));
    assert.deepEqual(await ids(`/channels/small?after=${small[3]}&limit=5`), small.slice(4, 9));
    assert.deepEqual(await ids("/channels/small?last=7"), small.slice(-7));
    const events = await server.history("small", "?limit=1000");
    assertChained(events);
});

test("a server on a folder of data keeps a second one out, and is not disturbed", async (t) => {
    const server = await startServer(t, { data: true });
    await publish(server, "x", "one");
    const second = await run(t, ["serve", "--listen", "127.0.0.1:0", "--data", path.join(server.dir, "data")]);
    assert.ok(second.code > 0, `the second server ended with ${JSON.stringify(second)}`);
    assert.match(second.stderr, /lock|use|running/i, "it must say why");
    await publish(server, "x", "two");
    assert.deepEqual((await server.history("x")).map((event) => event.data), ["one", "two"]);
});

test("a memory server that was restarted tells an old cursor that there is a gap, whatever the mechanism", async (t) => {
    const server = await startServer(t, { memory: true });
    const ids = await publishMany(server, "x", 5);
    await server.restart();
    for (const published of [false, true]) {
        if (published) {
            await publish(server, "x", "since the restart");
        }
        const answer = await server.get(`/channels/x?after=${ids[2]}`);
        assert.equal(answer.status, 410, `a page after ${ids[2]} was answered ${answer.status} ${answer.text}`);
        for (const via of ["sse", "ndjson", "ws"]) {
            const follower = await follow(t, server, via, "x", { after: ids[2] });
            await publish(server, "x", "a mark");
            await follower.has(1);
            assert.equal(follower.gaps.length, 1, `${via} was silent about the gap`);
            assert.equal(follower.gaps[0].after, ids[2]);
            follower.stop();
        }
    }
});

test("ids go on rising over restarts, with a store and without", async (t) => {
    for (const options of [{ memory: true }, { data: true }]) {
        const server = await startServer(t, options);
        let last = "";
        for (let round = 0; round < 4; round++) {
            const ids = await publishMany(server, "x", 1000);
            assert.ok(ids[0] > last);
            last = ids.at(-1);
            await server.restart();
        }
    }
});

test("the retained events are the same before and after a restart, to the byte", async (t) => {
    const server = await startServer(t, { data: true });
    await publish(server, "x", '{"n": 1e400, "n":2}', { "Content-Type": "application/json", "Event-Type": "t" });
    await publish(server, "x", "grüße\r\n\u0000", { "Content-Type": "text/plain; charset=utf-8" });
    await publish(server, "x", Buffer.from([0, 255, 10]), { "Content-Type": "image/png" });
    await publish(server, "x", "");
    const before = (await server.get("/channels/x")).json();
    const text = (await server.get("/channels/x")).text;
    for (const how of ["kill", "terminate"]) {
        await server[how]();
        await server.start();
        const answer = await server.get("/channels/x");
        assert.deepEqual(answer.json().events, before.events);
        assert.equal(answer.text.slice(0, text.lastIndexOf("]")), text.slice(0, text.lastIndexOf("]")));
    }
});
