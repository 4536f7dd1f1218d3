// Whoever was told of a gap goes on: a gap is told once, a new one is told too, and neither keeps a reader from the
// events behind it, even if something is trimmed before each of its requests.

import assert from "node:assert/strict";
import { assertProblem, eventually, idsOf, linkOf, queryOf, startServer, sideBySide } from "./support/index.mjs";
import { Receiver } from "./support/receiver.mjs";
import { Program } from "./support/program.mjs";
import { Freshet, Socket } from "./support/ws.mjs";

const { bothStores, test } = sideBySide(4);

const REQUESTS_MAX = 200;

/** Publishes to a channel of this name and deletes it: the newest event of `g/**` is gone. */
async function lose(server, channel = "g/lost") {
    const { id } = await server.publish(channel, "lost");
    assert.equal((await server.request("DELETE", `/channels/${channel}`)).status, 204);
    return id;
}

/**
 * Follows `next` until a page says that there is no more: {events, gaps, answers}, where `answers` is a letter for each
 * answer, p for a page and g for a gap. `before` is called before each request but the first.
 */
async function followNext(server, query, { path = "/events", wait, before = async () => {} } = {}) {
    const got = { events: [], gaps: [], answers: "" };
    for (let more = true, next = query; more;) {
        assert.ok(got.answers.length < REQUESTS_MAX, `${got.answers.length} answers and no end: ${got.answers}`);
        if (got.answers) {
            await before(got);
        }
        const parameters = queryOf(next);
        if (wait === undefined) {
            parameters.delete("wait");
        } else {
            parameters.set("wait", wait);
        }
        const answer = await server.get(`${path}?${parameters}`);
        const body = answer.status === 410 ? assertProblem(answer, 410) : answer.json();
        if (answer.status === 410) {
            got.gaps.push(body);
        } else {
            assert.equal(answer.status, 200, answer.text);
            got.events.push(...body.events);
            more = body.more;
        }
        got.answers += answer.status === 410 ? "g" : "p";
        got.last = body;
        ({ next } = body);
        assert.equal(linkOf(answer, "next").href, next);
    }
    return got;
}

function assertEach(events, ids, what) {
    assert.deepEqual(idsOf(events), ids, `${what}: ${events.length} events, not ${ids.length}`);
}

/* ---- retention ------------------------------------------------------------------------------ */

const NAMESPACES = {
    count: "namespaces:\n  - prefix: a\n    retention: {count: 7}\n",
    bytes: "namespaces:\n  - prefix: a\n    retention: {bytes: 300}\n",
    age: "namespaces:\n  - prefix: a\n    retention: {age_s: 1}\n",
};

for (const [kind, config] of Object.entries(NAMESPACES)) {
    bothStores(`pages over a namespace with a bound by ${kind} reach the end without a gap`, { config }, async (t, server) => {
        const old = await server.publishMany("log/1", 50);
        await server.publishMany("a/1", 60);
        await server.publishMany("log/2", 50);
        await server.publishMany("a/2", 60);
        await eventually(async () => (await server.history("a/1")).length < 60 && (await server.history("a/2")).length < 60,
            "something to be trimmed of both");
        for (const query of ["channel=**&limit=10&after=earliest", "channel=log/**&channel=a/*&limit=1000"]) {
            const { events } = await followNext(server, `?${query}`);
            const logged = events.filter(({ channel }) => channel.startsWith("log/"));
            assert.equal(logged.length, 100, query);
            assert.equal(new Set(idsOf(events)).size, events.length, "each once");
        }
        const { events, gaps, answers } = await followNext(server, `?channel=**&limit=10&after=${old[20]}`);
        assert.equal(answers[0], "g");
        assert.equal(gaps[0].after, old[20]);
        assertEach(events.filter(({ channel }) => channel === "log/1"), old.slice(21), "what is behind the gap");
    });
}

/* ---- pages and polls ------------------------------------------------------------------------ */

bothStores("a page after a gap goes on where the client was, with what is left of all channels", async (t, server) => {
    const ids = await server.publishMany("g/kept", 30);
    const lost = await lose(server);
    ids.push(...await server.publishMany("g/kept", 5));
    for (const wait of [undefined, 1]) {
        for (const limit of [1, 4, 100]) {
            const { events, gaps } = await followNext(server, `?channel=g/*&limit=${limit}&after=${ids[9]}`, { wait });
            assert.equal(gaps.length, 1);
            assert.equal(gaps[0].after, ids[9]);
            assert.equal(gaps[0].earliest, lost);
            assertEach(events, ids.slice(10), `limit=${limit} wait=${wait}`);
        }
    }
});

bothStores("a client that puts its own requests together goes on by cursor and told", async (t, server) => {
    const ids = await server.publishMany("g/kept", 12);
    await lose(server);
    const { earliest } = assertProblem(await server.get(`/events?channel=g/*&after=${ids[1]}`), 410);
    const seen = [];
    for (let after = ids[1], told = earliest, more = true; more;) {
        const page = await server.page(`/events?channel=g/*&limit=3&after=${after}${told ? `&told=${told}` : ""}`);
        seen.push(...page.events);
        ({ cursor: after, told, more } = page);
    }
    assertEach(seen, ids.slice(2), "by cursor and told");
});

bothStores("a new gap while paging is told, once, and no event comes twice", async (t, server) => {
    const ids = await server.publishMany("g/kept", 30);
    await lose(server);
    let losses = 0;
    const before = async ({ answers }) => {
        if (answers.endsWith("ppp") && losses++ < 3) {
            await lose(server);
            ids.push(...await server.publishMany("g/kept", 3));
        }
    };
    const { events, gaps } = await followNext(server, "?channel=g/*&limit=4&after=earliest", { before });
    assert.ok(gaps.length >= 1 && gaps.length <= 3, `${gaps.length} gaps`);
    assert.equal(new Set(gaps.map(({ earliest }) => earliest)).size, gaps.length, "none is told twice");
    assertEach(events, ids, "over new gaps");
});

for (const limit of [1, 5, 1000]) {
    bothStores(`something that goes before each request does not keep a client from the end (limit=${limit})`, async (t, server) => {
        const ids = await server.publishMany("g/kept", 20);
        await lose(server);
        const lost = [];
        const before = async () => lost.push(await lose(server));
        for (const start of ["earliest", ids[3]]) {
            lost.length = 0;
            const { events, gaps, answers, last } = await followNext(server, `?channel=g/*&limit=${limit}&after=${start}`, { before });
            assert.ok(!/ggg/.test(answers), answers);
            assertEach(events, start === "earliest" ? ids : ids.slice(4), answers);
            /* What went last is told as well, if the end of the log was read before it was. */
            const after = await followNext(server, last.next);
            assert.equal(after.events.length, 0);
            const told = [...gaps, ...after.gaps].at(-1)?.earliest ?? "";
            assert.ok(!lost.length || told >= lost.at(-1), `${lost.at(-1)} was passed over untold: ${answers}`);
        }
    });
}

bothStores("one channel of which all goes before each request still gives what is new", async (t, server) => {
    const [first] = await server.publishMany("one", 3);
    const published = [];
    const before = async () => {
        await server.request("DELETE", "/channels/one");
        published.push(...await server.publishMany("one", 2));
    };
    await before();
    const seen = [];
    let next = `?after=${first}`, gaps = 0;
    for (let i = 0; i < 12; i++) {
        const answer = await server.get(`/channels/one${next.replace("wait=25", "wait=0")}`);
        const body = answer.json();
        gaps += answer.status === 410;
        seen.push(...idsOf(body.events ?? []));
        ({ next } = body);
        await before();
    }
    assert.ok(gaps >= 4, `${gaps} gaps`);
    assert.ok(seen.length >= 8, `${seen.length} events in 12 requests`);
    assert.equal(new Set(seen).size, seen.length);
});

bothStores("a gap with nothing behind it is told to a poll at once", async (t, server) => {
    const [first] = await server.publishMany("g/a", 2);
    await lose(server, "g/a");
    const gap = assertProblem(await server.get(`/events?channel=g/*&wait=55&after=${first}`), 410);
    const more = await lose(server, "g/b");
    const again = assertProblem(await server.get(`/events${gap.next.replace("wait=25", "wait=55")}`), 410);
    assert.equal(again.earliest, more);
    const poll = server.page(`/events${again.next}`);
    const { id } = await server.publish("g/a", "new");
    assertEach((await poll).events, [id], "the poll");
});

bothStores("what last= and before= have given goes on without a gap", async (t, server) => {
    const ids = await server.publishMany("g/kept", 20);
    await lose(server);
    for (const query of ["last=10", `before=${ids[12]}&limit=5`, `after=${new Date(0).toISOString()}&limit=5`]) {
        const { events, gaps, last } = await followNext(server, `?channel=g/*&${query}`);
        const rest = await followNext(server, last.next);
        assert.equal(gaps.length + rest.gaps.length, 0, query);
        assert.equal([...events, ...rest.events].at(-1).id, ids.at(-1), query);
    }
});

bothStores("told is a position, and one that the log does not have is not believed", async (t, server) => {
    const ids = await server.publishMany("g/kept", 3);
    await lose(server);
    assertProblem(await server.get(`/events?channel=g/*&after=${ids[0]}&told=x`), 400);
    assertProblem(await server.get(`/events?channel=g/*&after=${ids[0]}&told=9007199254740991`), 410);
    assertProblem(await server.get(`/events?channel=g/*&after=${ids[0]}&told=${ids[1]}`, { "Last-Event-ID": ids[2] }), 410);
});

/* ---- the other mechanisms ------------------------------------------------------------------- */

bothStores("streams and sockets that are told what their client knows tell no gap again, but a new one", async (t, server) => {
    const ids = await server.publishMany("g/kept", 5);
    const told = await lose(server);
    const known = `after=${ids[0]}&told=${told}`;
    const quiet = [await server.ndjson(`/events?channel=g/*&${known}`), await server.sse(`/events?channel=g/*&${known}&format=event`)];
    for (const stream of quiet) {
        assertEach(await stream.events(4), ids.slice(1), "without a gap"); // events() fails on a control record
    }
    assertProblem(await server.get(`/events?channel=g/*&stream=raw&after=${ids[0]}`), 410);
    await (await server.raw(`/events?channel=g/*&${known}`)).event();
    const socket = await Freshet.open(t, server);
    assert.deepEqual((await socket.subscribe(["g/*"], { after: ids[0], told })).gaps, []);
    const lost = await lose(server);
    const other = await Freshet.open(t, server);
    const { gaps: [gap], events } = await other.subscribe(["g/*"], { after: ids[0], told });
    assert.equal(gap.earliest, lost);
    assertEach(events, ids.slice(1), "behind the new gap");
    for (const query of [known, `after=${ids[3]}&told=${ids[1]}`]) {
        const stream = await server.ndjson(`/events?channel=g/*&${query}`);
        const record = await stream.notBeat();
        assert.equal(record.op, "gap");
        assert.equal(record.earliest, lost);
    }
});

bothStores("a stream that comes back by Last-Event-ID behind its gap hears of no other", async (t, server) => {
    const ids = await server.publishMany("g/kept", 5);
    const told = await lose(server);
    const after = await server.publishMany("g/kept", 2);
    const url = `/events?channel=g/*&format=event&after=${ids[0]}&told=${told}`; // as EventSource repeats it
    const first = await server.sse(url);
    assertEach(await first.events(6), [...ids.slice(1), ...after], "the stream");
    first.close();
    await lose(server, "g/other");
    const again = await server.sse(url, { headers: { "Last-Event-ID": after[1] } });
    assert.equal((await again.notBeat()).event, "$gap");
    again.close();
    const newest = await server.publish("g/kept", "newest");
    const third = await server.sse(url, { headers: { "Last-Event-ID": newest.id } });
    const next = await server.publish("g/kept", "next");
    assert.equal((await third.event()).id, next.id);
});

test("data alone on a channel's socket goes on behind a gap that is known", async (t) => {
    const server = await startServer(t);
    const [old, newest] = await server.publishMany("a", 2);
    await server.request("DELETE", "/channels/a");
    await server.publish("a", "kept");
    const socket = await Socket.open(t, server, `/channels/a?format=data&after=${old}&told=${newest}`);
    assert.equal((await socket.next()).text, "kept");
});

for (const options of [{}, { ordered: false }, { batch: 10 }, { ordered: false, batch: 10 }]) {
    bothStores(`a webhook gets events though something goes whenever it is told of a gap ${JSON.stringify(options)}`, async (t, server) => {
        const receiver = await Receiver.start(t);
        const ids = await server.publishMany("g/kept", 10);
        await lose(server);
        /* Told of a gap, the receiver does not answer until there is another one. */
        let gaps = 0;
        receiver.http.removeAllListeners("request");
        const got = new Set();
        receiver.http.on("request", async (req, res) => {
            const chunks = [];
            for await (const chunk of req) {
                chunks.push(chunk);
            }
            const body = JSON.parse(Buffer.concat(chunks).toString());
            if (body.type === "$gap") {
                gaps++;
                await lose(server, `g/lost${gaps}`).catch(() => {}); // the test may be over
            }
            for (const event of body.events ?? [body]) {
                if (event.channel === "g/kept") {
                    got.add(event.id);
                }
            }
            res.writeHead(200).end();
        });
        const { id } = (await server.request("POST", "/webhooks",
            { body: { url: receiver.url, channels: ["g/*"], after: ids[1], ...options } })).json();
        assert.ok(id);
        await eventually(async () => got.size === 8, `8 events by a receiver that is told of gaps`);
        assert.deepEqual([...got].sort(), ids.slice(2));
        await eventually(async () => gaps >= 1, "a gap, which may come later than events of other channels if unordered");
    });
}

test("freshet sub by polls prints what is behind a gap, each once", async (t) => {
    const server = await startServer(t);
    const ids = await server.publishMany("g/kept", 30);
    await lose(server);
    for (const after of ["earliest", ids[9]]) {
        const expected = after === "earliest" ? 30 : 20;
        const program = new Program(t, ["sub", "--url", server.url, "g/**", "--via", "poll", "--after", after, "--count", String(expected)]);
        const { code } = await program.exited;
        assert.equal(code, 0, program.err);
        assertEach(program.lines.map((line) => JSON.parse(line)), ids.slice(-expected), program.err);
        assert.equal(program.err.split("$gap").length - 1, after === "earliest" ? 0 : 1, program.err);
    }
});
