// What a disk, or a hand, has taken from the log's folder is told as a gap by every mechanism: a file that is missing, one
// of another log in its place, and bytes that were changed. The server stays ready, and says what it has lost.

import assert from "node:assert/strict";
import fs from "node:fs";
import path from "node:path";
import {
    assertProblem, eventually, idsOf, linkOf, queryOf, startServer, stats, sideBySide,
} from "./support/index.mjs";
import { Receiver } from "./support/receiver.mjs";
import { Program, run } from "./support/program.mjs";
import { Freshet, Socket } from "./support/ws.mjs";

const { test } = sideBySide(4);

/* Every file is sealed within two seconds. */
const CONFIG = "log:\n  roll_bytes: 4096\n";
const FILES = 4;
const EVENTS = 30;

function logFolder(server) {
    return path.join(server.dir, "data/log");
}

/** The files of the log by name; those that are sealed have nothing beside them. */
function logFiles(server) {
    const names = fs.readdirSync(logFolder(server));
    const files = names.filter((name) => /^\d{16}\.db$/.test(name)).sort();
    return { files, sealed: files.filter((name) => !names.includes(`${name}-wal`)) };
}

/** Payloads that no other bytes of a file look like. */
function payload(file, n) {
    return `payload-${file}-${String(n).padStart(3, "0")}-${"abcdefgh".repeat(20)}`;
}

/**
 * A server with FILES sealed files, each with EVENTS events of `channel`, and one that is appended to: {server, parts}, where
 * parts[i] are the ids of file i. The server has been stopped.
 */
async function makeLog(t, channel = "a") {
    const server = await startServer(t, { data: true, config: CONFIG });
    const parts = [];
    for (let file = 0; file < FILES; file++) {
        parts.push(await server.publishMany(channel, EVENTS, (n) => payload(file, n)));
        await eventually(() => logFiles(server).sealed.length === file + 1, `file ${file + 1} to be sealed`);
    }
    parts.push(await server.publishMany(channel, EVENTS, (n) => payload(FILES, n)));
    await server.terminate();
    return { server, parts };
}

function fileOf(server, part) {
    return path.join(logFolder(server), `${part[0]}.db`);
}

function lostOf(server) {
    return server.get("/readyz").then((answer) => {
        assert.equal(answer.status, 200, "a server that has lost old events is ready for new ones");
        return answer.json().lost;
    });
}

function assertGap(gap, after, earliest) {
    assert.equal(gap.after, after);
    assert.equal(gap.earliest, earliest);
    assert.equal(gap.reason, "lost");
}

/** Follows `next` to the end: {events, gaps}. */
async function followNext(server, target) {
    const got = { events: [], gaps: [] };
    for (let more = true, next = target; more;) {
        const url = new URL(next, `${server.url}/channels/a`);
        url.searchParams.delete("wait");
        const answer = await server.get(url.pathname + url.search);
        const body = answer.status === 410 ? assertProblem(answer, 410) : answer.json();
        if (answer.status === 410) {
            got.gaps.push(body);
        } else {
            got.events.push(...body.events);
            more = body.more || body.told !== undefined;
        }
        ({ next } = body);
        assert.ok(got.gaps.length < 5, "it must get on");
    }
    return got;
}

/** A consumer at `after` is told by every mechanism of a gap up to `earliest`, and gets `rest`, each once. */
async function assertTold(t, server, after, earliest, rest) {
    const ndjson = await server.ndjson(`/channels/a?after=${after}`);
    assertGap(await ndjson.notBeat(), after, earliest);
    assert.deepEqual(idsOf(await ndjson.events(rest.length)), rest, "ndjson");

    const sse = await server.sse("/channels/a", { headers: { "Last-Event-ID": after } });
    const record = await sse.notBeat();
    assert.equal(record.event, "$gap");
    assertGap(JSON.parse(record.data), after, earliest);
    assert.deepEqual(idsOf(await sse.events(rest.length)), rest, "sse");

    const pattern = await server.ndjson(`/events?channel=**&after=${after}`);
    assertGap(await pattern.notBeat(), after, earliest);
    assert.deepEqual(idsOf(await pattern.events(rest.length)), rest, "by a pattern");

    for (const wait of ["", "&wait=20"]) {
        const answer = await server.get(`/channels/a?after=${after}${wait}`);
        assertGap(assertProblem(answer, 410), after, earliest);
        const { events, gaps } = await followNext(server, linkOf(answer, "next").href);
        assert.deepEqual(gaps, [], "told once");
        assert.deepEqual(idsOf(events), rest, "pages");
    }

    const socket = await Socket.open(t, server, `/channels/a?after=${after}`);
    const message = await socket.notBeat();
    assert.equal(message.op, "gap");
    assertGap(message, after, earliest);
    assert.deepEqual(idsOf(await socket.events(rest.length)), rest, "ws");

    const freshet = await Freshet.open(t, server);
    const got = await freshet.subscribe(["a"], { after });
    assert.equal(got.gaps.length, 1);
    assertGap(got.gaps[0], after, earliest);
    assert.deepEqual(idsOf(got.events), rest, "freshet.v1");

    assertProblem(await server.get(`/channels/a?stream=raw&after=${after}`), 410);
}

async function assertWebhookTold(t, server, after, earliest, rest) {
    const receiver = await Receiver.start(t);
    const answer = await server.request("POST", "/webhooks", { body: { url: receiver.url, channels: ["a"], after } });
    assert.equal(answer.status, 201, answer.text);
    const got = await receiver.events(rest.length);
    assert.deepEqual(idsOf(got), rest, "webhook");
    const gaps = receiver.pings.map(({ body }) => body).filter((body) => body?.type === "$gap");
    assert.equal(gaps.length, 1, JSON.stringify(gaps));
    assertGap(gaps[0], after, earliest);
}

test("a file that is missing from the middle is a gap for whoever was before it, and for nobody else", async (t) => {
    const { server, parts } = await makeLog(t);
    const missing = parts[1];
    const rest = [...parts[0].slice(5), ...parts[2], ...parts[3], ...parts[4]];
    fs.rmSync(fileOf(server, missing));
    for (let again = 0; again < 2; again++) {
        await server.start();
        await server.logged(new RegExp(`level=error event=file_missing path=\\S*${missing[0]}\\.db `));
        const lost = { holes: 1, after: parts[0].at(-1), upto: missing.at(-1), foreign_files: 0, damaged: 0 };
        assert.deepEqual(await lostOf(server), lost);
        assert.deepEqual((await stats(server)).log.lost, lost);
        assert.match((await server.get("/metrics")).text, /^freshet_holes 1$/m);

        await assertTold(t, server, parts[0][4], missing.at(-1), rest);
        await assertTold(t, server, missing[3], missing.at(-1), rest.slice(EVENTS - 5));
        await assertWebhookTold(t, server, parts[0][4], missing.at(-1), rest);

        const behind = await server.ndjson(`/channels/a?after=${missing.at(-1)}`);
        assert.deepEqual(idsOf(await behind.events(3 * EVENTS)), rest.slice(EVENTS - 5));
        const live = await server.sse("/channels/other");
        const { id } = await server.publish("other", "still ready");
        assert.equal((await live.event()).id, id);
        await server.terminate();
    }
});

test("a reader from the beginning is told of a missing file, and gets all that is left", async (t) => {
    const { server, parts } = await makeLog(t);
    const missing = parts[2];
    const rest = [...parts[0], ...parts[1], ...parts[3], ...parts[4]];
    fs.rmSync(fileOf(server, missing));
    await server.start();

    const ndjson = await server.ndjson("/channels/a?after=earliest");
    const gap = await ndjson.notBeat();
    assert.equal(gap.op, "gap");
    assert.equal(gap.earliest, missing.at(-1));
    assert.equal(gap.reason, "lost");
    assert.deepEqual(idsOf(await ndjson.events(rest.length)), rest);

    for (const query of ["?limit=1000", "?limit=7", "?limit=50&after=earliest"]) {
        const { events, gaps } = await followNext(server, query);
        assert.deepEqual(idsOf(events), rest, query);
        assert.equal(gaps.length, 1, query);
        assert.equal(gaps[0].earliest, missing.at(-1));
    }
    const newest = await server.page(`/channels/a?last=${2 * EVENTS}`);
    assert.deepEqual(idsOf(newest.events), rest.slice(-2 * EVENTS), "what is behind the hole alone");
    assert.equal(newest.told, undefined);
    const across = await server.page(`/channels/a?before=${parts[3][5]}&limit=10`);
    assert.deepEqual(idsOf(across.events), [...parts[1].slice(-5), ...parts[3].slice(0, 5)]);
    assert.ok(across.told < across.cursor, "a page that scrolls back over it says so");
    assertProblem(await server.get(`/channels/a?${queryOf(across.next)}`), 410);

    for (const via of ["poll", "sse", "ws"]) {
        const program = new Program(t, ["sub", "--url", server.url, "a", "--via", via, "--after", "earliest",
            "--count", String(rest.length)]);
        assert.equal((await program.exited).code, 0, program.err);
        assert.deepEqual(program.lines.map((line) => JSON.parse(line).id), rest);
        /* One page has all events, and the client has ended before it asks for the next. */
        assert.equal(program.err.split("$gap").length - 1, via === "poll" ? 0 : 1, program.err);
    }
});

test("a file of another log is left alone, in whatever place it lies", async (t) => {
    const other = await makeLog(t, "theirs");
    const stranger = fileOf(other.server, other.parts[1]);
    const bytes = fs.readFileSync(stranger);
    for (const swap of [true, false]) {
        const { server, parts } = await makeLog(t);
        const place = swap ? fileOf(server, parts[1]) : path.join(logFolder(server), path.basename(stranger));
        fs.copyFileSync(stranger, place);
        await server.start();
        await server.logged(new RegExp(`level=error event=file_foreign path=\\S*${path.basename(place)} `));
        assert.equal((await lostOf(server)).foreign_files, 1);
        assert.equal((await lostOf(server)).holes, swap ? 1 : 0);
        assert.equal((await server.get("/channels?prefix=theirs")).json().channels.length, 0);
        const rest = parts.flatMap((part, n) => (swap && n === 1 ? [] : part)).slice(1);
        if (swap) {
            await assertTold(t, server, parts[0][0], parts[1].at(-1), rest);
        } else {
            const stream = await server.ndjson(`/events?channel=**&after=${parts[0][0]}`);
            assert.deepEqual(idsOf(await stream.events(rest.length)), rest);
        }
        await server.publishMany("a", EVENTS);
        await server.terminate();
        assert.ok(fs.readFileSync(place).equals(bytes), "not a byte of it was changed");
    }
});

/** Changes the payload of event `n` of a part in its file. */
function spoil(server, parts, file, n) {
    const name = fileOf(server, parts[file]);
    const bytes = fs.readFileSync(name);
    const at = bytes.indexOf(payload(file, n));
    assert.ok(at > 0, "the payload stands in the file as it was published");
    bytes.write("XYZ", at + 20);
    fs.writeFileSync(name, bytes);
}

test("an event whose bytes were changed on the disk is not served, and told as a gap", async (t) => {
    const { server, parts } = await makeLog(t);
    spoil(server, parts, 1, 7);
    spoil(server, parts, 1, 8);
    spoil(server, parts, 3, 0);
    const bad = [parts[1][7], parts[1][8], parts[3][0]];
    await server.start();
    assert.equal(await lostOf(server), undefined, "nobody has read there");

    /* Who reads by one page after the other hears of each place when it comes there. */
    const first = await server.ndjson(`/channels/a?after=${parts[0].at(-1)}`);
    const told = [];
    const got = [];
    const want = [...parts[1], ...parts[2], ...parts[3], ...parts[4]].filter((id) => !bad.includes(id));
    while (got.length < want.length) {
        const record = await first.notBeat();
        if (record.op === "gap") {
            told.push(record);
            assert.equal(record.reason, "lost");
        } else {
            assert.match(record.data, /^payload-/);
            assert.doesNotMatch(record.data, /XYZ/);
            got.push(record.id);
        }
    }
    assert.deepEqual(got, want);
    assert.equal(told.at(-1).earliest, bad.at(-1));
    for (const { earliest } of told) {
        assert.ok(bad.includes(earliest), earliest);
    }

    const rest = [...parts[0].slice(1), ...want];
    await assertTold(t, server, parts[0][0], bad.at(-1), rest);
    await assertWebhookTold(t, server, parts[0][0], bad.at(-1), rest);
    assert.equal((await lostOf(server)).damaged, bad.length, "each counts once");
    assert.match((await server.get("/metrics")).text, /^freshet_damaged_total 3$/m);
    await server.logged(/level=error event=events_damaged path=\S*\.db /);
    assert.ok(server.err.split("event=events_damaged").length - 1 <= 3, "a line a second at most");
});

test("events removed by retention are no loss", async (t) => {
    const server = await startServer(t, {
        data: true, config: `${CONFIG}namespaces:\n  - prefix: a\n    retention: {count: 40}\n`,
    });
    const kept = await server.publish("kept", "in the oldest file");
    const ids = [];
    for (let file = 0; file < 4; file++) {
        ids.push(...await server.publishMany("a", EVENTS, (n) => payload(file, n)));
        await server.publish("b", `${file}`);
        await eventually(() => logFiles(server).files.length === logFiles(server).sealed.length, "all to be sealed");
    }
    await server.request("DELETE", "/channels/b");
    await eventually(() => !logFiles(server).files.includes(`${ids[EVENTS]}.db`), "a file in the middle to go");
    for (let again = 0; again < 2; again++) {
        await server.terminate();
        await server.start();
        assert.equal(await lostOf(server), undefined);
        await server.logged(/event=started[^]*/);
        assert.doesNotMatch(server.err, /event=file_missing/);
        assert.equal((await server.history("kept"))[0].id, kept.id);
        assert.equal((await server.page("/channels/a?limit=1000")).told, undefined);
    }
});

test("a file that was repaired is one of the log as before, and what it has lost is told", async (t) => {
    const { server, parts } = await makeLog(t);
    const name = fileOf(server, parts[1]);
    const bytes = fs.readFileSync(name);
    const page = Math.floor(bytes.indexOf(payload(1, 12)) / 4096);
    bytes.fill(0xff, page * 4096, page * 4096 + 100);
    fs.writeFileSync(name, bytes);
    const { code, stdout } = await run(t, ["repair", path.join(server.dir, "data")]);
    assert.equal(code, 1, stdout);
    for (let again = 0; again < 3; again++) {
        await server.start();
        const lost = await lostOf(server);
        assert.equal(lost.foreign_files, 0);
        assert.equal(lost.holes, 1);
        const stream = await server.ndjson(`/channels/a?after=${parts[0].at(-1)}`);
        const gap = await stream.notBeat();
        assert.equal(gap.reason, "lost");
        const left = [];
        while (left.at(-1) !== parts[4].at(-1)) {
            left.push((await stream.event()).id);
        }
        assert.ok(left.length < 4 * EVENTS && left.length > 3 * EVENTS, `${left.length}`);
        await eventually(() => logFiles(server).sealed.includes(path.basename(name)), "the repaired file to be sealed");
        await server.terminate();
    }
});
