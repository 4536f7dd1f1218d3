// A disk whose calls fail now and then, and a server that is killed on it: what was acknowledged is there
// once, what was refused is not there, and a reader misses nothing.
//
// tests/faults/disk.c stands before the server's calls to write and sync. FAULT_ROUNDS and FAULT_SEED say how
// many rounds there are, and with which the first begins.

import assert from "node:assert/strict";
import { request, startServer, test } from "./support/index.mjs";
import { assertChained, assertIncreasing, readAll } from "./support/checks.mjs";
import { faultsOf, Gone, ON_A_FAILING_DISK, randomOf, ROUNDS, SEED, startFailing, untilGone } from "./support/faults.mjs";
import { follow, MECHANISMS } from "./support/follow.mjs";

const LIVES = 5; /* of a server in a round: each ends by kill -9 */
const PUBLISHERS = 6;
const CONFIG = "log:\n  roll_bytes: 8000\n";

/** What was asked for, by the event's data, and what the server said of it. */
class Model {
    constructor() {
        this.fates = new Map(); // data -> {channel, fate: "acked", "refused" or "unknown", id, past: [fate]}
        this.onAnswer = () => {};
        this.counts = { acked: 0, refused: 0, unknown: 0 };
    }

    note(datas, channel, fate, ids = []) {
        this.counts[fate]++;
        this.onAnswer(fate);
        datas.forEach((data, i) => this.fates.set(data,
            { channel, fate, id: ids[i], past: [...this.fates.get(data)?.past ?? [], fate] }));
    }

    /** Settles when so many answers have come; with `refused`, at the first refusal from then on. */
    reaches(count, refused) {
        return new Promise((resolve) => {
            this.onAnswer = (fate) => --count <= 0 && (!refused || fate === "refused" || count < -400) && resolve();
        });
    }
}

/** What an answer says of the events that were published. */
function fateOf(answer) {
    if (answer.status === 200 || answer.status === 201) {
        return "acked";
    }
    assert.ok([503, 507].includes(answer.status), `${answer.status} ${answer.text}`);
    return answer.json().type.endsWith("fate-unknown") ? "unknown" : "refused";
}

/** Publishes one event, or three that stand or fall together, until it is acknowledged or given up. */
async function publishOnce(server, model, random, channel, name) {
    const datas = Array.from({ length: random(4) === 0 ? 3 : 1 },
        (_, i) => `${name}/${i} ${"x".repeat(random(900))}`);
    const events = datas.map((data, i) => ({ channel, data, key: `${name}/${i}` }));
    for (let more = true; more; more = random(2) === 0) {
        let answer;
        try {
            answer = datas.length === 1
                ? await request(server, "POST", `/channels/${channel}`,
                    { body: datas[0], headers: { "Idempotency-Key": `"${name}/0"` } })
                : await request(server, "POST", "/events", { body: events });
        } catch (error) {
            assert.notEqual(error.code, "ERR_ASSERTION");
            model.note(datas, channel, "unknown");
            throw new Gone();
        }
        const fate = fateOf(answer);
        const told = fate !== "acked" ? [] : datas.length === 1 ? [answer.json()] : answer.json().events;
        model.note(datas, channel, fate, told.map(({ id }) => id));
        if (fate === "acked") {
            return;
        }
    }
}

async function publisher(server, model, random, who, name) {
    for (let n = 0; ; n++) {
        await publishOnce(server, model, random, who % 2 ? `load/${who}` : "load/shared", `${name}/${who}/${n}`);
    }
}

/** Publishes to channels of its own and deletes them. */
async function deleter(server, model, random, name) {
    for (let n = 0; ; n++) {
        const channel = `gone/${name}/${n}`;
        const from = model.fates.size;
        await publishOnce(server, model, random, channel, `${name}/deleted/${n}`);
        const answer = await request(server, "DELETE", `/channels/${channel}`).catch(() => undefined);
        if (answer?.status === 404) {
            continue; /* nothing was published */
        }
        const fate = answer === undefined ? "unknown" : answer.status === 204 ? "deleted" : fateOf(answer);
        for (const [data, asked] of [...model.fates].slice(from)) {
            if (asked.channel === channel && asked.fate === "acked" && fate !== "refused") {
                model.fates.set(data, { ...asked, fate });
            }
        }
        if (answer === undefined) {
            throw new Gone();
        }
    }
}

/** A reader that goes on from life to life by its cursor. */
class Reader {
    constructor(via) {
        this.via = via;
        this.events = [];
        this.gaps = [];
        this.cursor = undefined;
    }

    async begin(t, server) {
        this.follower = await follow(t, server, this.via, "load/**", { after: this.cursor ?? "earliest" });
    }

    async end() {
        await this.follower.ended;
        this.events.push(...this.follower.events);
        this.gaps.push(...this.follower.gaps);
        this.cursor = this.follower.cursor;
    }
}

/** One life of the server under load, until so many answers have come, and mostly a refusal behind them. */
async function live(t, server, model, readers, random, name) {
    for (const reader of readers) {
        await reader.begin(t, server);
    }
    const publishers = Promise.all([deleter(server, model, random, name), ...Array.from({ length: PUBLISHERS },
        (_, who) => publisher(server, model, random, who, name))].map(untilGone));
    await Promise.race([publishers, model.reaches(30 + random(400), random(4) > 0)]);
    await server.kill();
    await publishers;
    for (const reader of readers) {
        await reader.end();
    }
}

/** What is left in the channels that were deleted, or were to be. */
async function readDeleted(server, model) {
    const channels = new Set([...model.fates.values()].map(({ channel }) => channel));
    const events = [];
    for (const channel of [...channels].filter((name) => name.startsWith("gone/"))) {
        const answer = await server.get(`/channels/${channel}?after=earliest`);
        assert.ok([200, 404].includes(answer.status), answer.text);
        events.push(...(answer.status === 200 ? answer.json().events : []));
    }
    return events;
}

function assertKept(events, model) {
    assertIncreasing(events);
    const byData = new Map();
    for (const event of events) {
        assert.ok(!byData.has(event.data), `${event.data.slice(0, 30)} is there twice`);
        byData.set(event.data, event);
        const asked = model.fates.get(event.data);
        assert.ok(asked, `${event.id} was never published`);
        assert.equal(event.channel, asked.channel);
        assert.ok(["acked", "unknown"].includes(asked.fate),
            `${event.id} ${event.data.slice(0, 30)} was ${asked.past} and is there`);
    }
    for (const [data, { fate, id }] of model.fates) {
        if (fate === "acked") {
            assert.equal(byData.get(data)?.id, id, `the acknowledged event ${id} ${data.slice(0, 30)}`);
        }
    }
    assertChained(events);
}

/** What a reader saw in all lives is what the log holds, unless it was told of a gap. */
function assertRead(reader, events) {
    assert.deepEqual(reader.gaps, [], "nothing was trimmed");
    assertIncreasing(reader.events, reader.via);
    assert.deepEqual(reader.events.map(({ id, data }) => `${id} ${data}`),
        events.map(({ id, data }) => `${id} ${data}`), `what ${reader.via} has read`);
}

async function playRound(t, seed) {
    const random = randomOf(seed);
    const server = await startServer(t, { data: true, config: CONFIG });
    const model = new Model();
    const readers = MECHANISMS.map((via) => new Reader(via));
    const env = faultsOf(server, random, seed);
    await server.kill();
    for (let life = 0; life < LIVES; life++) {
        await startFailing(server, env, seed * 100 + life);
        await live(t, server, model, readers, random, `${seed}/${life}`);
    }
    server.env = {};
    await server.start();
    const { events } = await readAll(server, "channel=load/**");
    const all = [...events, ...await readDeleted(server, model)].sort((a, b) => a.id < b.id ? -1 : 1);
    t.diagnostic(`seed ${seed}: ${JSON.stringify(model.counts)}, ${all.length} events, ` +
        `${env.DISK_RATE} of 1,000 calls fail with ${env.DISK_ERRNO}`);
    assertKept(all, model);
    for (const reader of readers) {
        await reader.begin(t, server);
        await reader.follower.until(() => reader.follower.cursor >= events.at(-1).id, "the newest event");
        reader.follower.stop();
        await reader.end();
        assertRead(reader, events);
    }
    await server.stop();
}

for (let round = 0; round < ROUNDS; round++) {
    test(`calls to the disk fail, and the server is killed: seed ${SEED + round}`, ON_A_FAILING_DISK, async (t) => {
        await playRound(t, SEED + round);
    });
}
