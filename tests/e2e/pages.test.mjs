// A page of history: what it holds, where it begins and ends, and how one goes on from it.

import assert from "node:assert/strict";
import {
    ID, TIME, assertLogOrder, assertProblem, dataOf, eventually, idsOf, linkOf, queryOf,
    startServer, sideBySide,
} from "./support/index.mjs";

const { bothStores, test } = sideBySide(4);

const enc = encodeURIComponent;

/** Follows `next` until a page says that there is no more; answers all events. */
async function walk(server, path, query) {
    const events = [];
    let at = query;
    for (let pages = 0; pages < 1000; pages++) {
        const page = await server.page(`${path}${at}`);
        events.push(...page.events);
        if (!page.more) {
            return events;
        }
        assert.ok(page.events.length > 0, "a page with more to come but nothing in it");
        at = page.next;
    }
    return assert.fail("the walk does not end");
}

bothStores("a page is an object of events, cursor, more and next", async (t, server) => {
    const told = await server.publish("news", "hello", { "Event-Type": "greeting" });
    const page = await server.page("/channels/news");
    assert.deepEqual(Object.keys(page).sort(), ["cursor", "events", "more", "next"]);
    assert.equal(page.more, false);
    assert.equal(page.cursor, told.id);
    const [event] = page.events;
    assert.deepEqual(event, {
        id: told.id, prev: event.prev, channel: "news", type: "greeting", time: told.time, data: "hello",
    });
    assert.equal(typeof event.prev, "string");
    assert.equal(Number(event.prev), 0);
    assert.match(event.time, TIME);
});

bothStores("ids and cursors always have 16 digits", async (t, server) => {
    const empty = await server.page("/channels/a");
    assert.match(empty.cursor, ID);
    const { id } = await server.publish("a", "x");
    const page = await server.page("/channels/a");
    assert.match(id, ID);
    assert.match(page.cursor, ID);
    assert.match(page.answer.headers.cursor, ID);
});

bothStores("every page is not to be stored, and varies by Accept and Prefer", async (t, server) => {
    await server.publish("a", "x");
    for (const path of ["/channels/a", "/events?channel=*", "/channels/nothing"]) {
        const { headers } = (await server.page(path)).answer;
        assert.match(headers["cache-control"], /\bno-store\b/);
        assert.match(headers.vary, /\baccept\b/i);
        assert.match(headers.vary, /\bprefer\b/i);
    }
});

bothStores("the Cursor header says what the body says", async (t, server) => {
    await server.publishMany("a", 5);
    for (const query of ["", "?limit=2", "?after=now", "?last=2", "?type=none"]) {
        const page = await server.page(`/channels/a${query}`);
        assert.equal(page.answer.headers.cursor, page.cursor, query);
    }
});

bothStores("with nothing more, the cursor is the log's newest id, with events or without", async (t, server) => {
    await server.publish("a", "1");
    const elsewhere = await server.publish("b", "2");
    assert.equal((await server.page("/channels/a")).cursor, elsewhere.id);
    assert.equal((await server.page("/channels/empty")).cursor, elsewhere.id);
    assert.equal((await server.page(`/channels/a?after=${elsewhere.id}`)).cursor, elsewhere.id);
    assert.equal((await server.page("/channels/a?type=none")).cursor, elsewhere.id);
    const later = await server.publish("c", "3");
    assert.equal((await server.page("/channels/empty")).cursor, later.id);
});

bothStores("with more to come, the cursor is the last event's id", async (t, server) => {
    const ids = await server.publishMany("a", 5);
    await server.publish("b", "elsewhere");
    const first = await server.page("/channels/a?limit=2");
    assert.deepEqual(idsOf(first.events), ids.slice(0, 2));
    assert.equal(first.more, true);
    assert.equal(first.cursor, ids[1]);
    const second = await server.page(`/channels/a${first.next}`);
    assert.deepEqual(idsOf(second.events), ids.slice(2, 4));
    assert.equal(second.more, true);
    const third = await server.page(`/channels/a${second.next}`);
    assert.deepEqual(idsOf(third.events), ids.slice(4));
    assert.equal(third.more, false);
});

bothStores("a page that ends exactly with the last event says that there is no more", async (t, server) => {
    const ids = await server.publishMany("a", 4);
    const page = await server.page("/channels/a?limit=4");
    assert.deepEqual(idsOf(page.events), ids);
    assert.equal(page.more, false);
    const rest = await server.page(`/channels/a?limit=2&after=${ids[1]}`);
    assert.deepEqual(idsOf(rest.events), ids.slice(2));
    assert.equal(rest.more, false);
});

bothStores("pages begin at the earliest event and hold 100 unless told otherwise", async (t, server) => {
    const ids = await server.publishMany("a", 1005);
    const page = await server.page("/channels/a");
    assert.deepEqual(idsOf(page.events), ids.slice(0, 100));
    assert.equal(page.more, true);
    assert.deepEqual(idsOf((await server.page("/channels/a?limit=1")).events), ids.slice(0, 1));
    assert.deepEqual(idsOf((await server.page("/channels/a?limit=1000")).events), ids.slice(0, 1000));
    const beyond = await server.get("/channels/a?limit=1001");
    if (beyond.status === 200) {
        assert.equal(beyond.json().events.length, 1000);
    } else {
        assertProblem(beyond, 400);
    }
    assert.deepEqual(idsOf(await walk(server, "/channels/a", "?limit=333")), ids);
    assert.deepEqual(idsOf(await walk(server, "/channels/a", "")), ids);
});

test("numbers that are none are refused", async (t) => {
    const server = await startServer(t);
    await server.publish("a", "x");
    for (const query of ["limit=abc", "limit=-1", "limit=1.5", "limit=1e2", "limit=99999999999999999999",
        "limit=+1%20", "last=abc", "last=-1", "last=99999999999999999999", "wait=abc", "wait=-1",
        "before=abc", "before=-1"]) {
        assertProblem(await server.get(`/channels/a?${query}`), 400);
    }
    for (const query of ["beat=abc", "beat=-5", "beat=99999999999999999999"]) {
        assertProblem(await server.get(`/channels/a?stream=ndjson&${query}`), 400);
    }
});

test("words that are none are refused", async (t) => {
    const server = await startServer(t);
    for (const query of ["format=xml", "stream=websocket", "type=a%20b", `type=${"x".repeat(65)}`]) {
        assertProblem(await server.get(`/channels/a?${query}`), 400);
    }
});

bothStores("after takes earliest, now, and an id", async (t, server) => {
    const ids = await server.publishMany("a", 5);
    const read = async (after) => idsOf((await server.page(`/channels/a?after=${after}`)).events);
    assert.deepEqual(await read("earliest"), ids);
    assert.deepEqual(await read("0"), ids);
    assert.deepEqual(await read("0000000000000000"), ids);
    assert.deepEqual(await read("now"), []);
    for (const [n, id] of ids.entries()) {
        assert.deepEqual(await read(id), ids.slice(n + 1));
    }
});

bothStores("after takes an id that is no event of the channel, or of none", async (t, server) => {
    const [first, second] = await server.publishMany("a", 2);
    const elsewhere = await server.publish("b", "x");
    const last = await server.publish("a", "y");
    const read = async (after) => idsOf((await server.page(`/channels/a?after=${after}`)).events);
    assert.deepEqual(await read(elsewhere.id), [last.id]);
    const between = String(BigInt(elsewhere.id) - 1n);
    assert.deepEqual(await read(between), [last.id]);
    assert.ok(first < between && second <= between);
});

bothStores("after takes an RFC 3339 time", async (t, server) => {
    await server.publish("a", "before");
    const start = Date.now();
    await eventually(() => Date.now() > start + 5, "the clock to move on");
    const between = new Date(Date.now() - 2);
    await eventually(() => Date.now() > start + 10, "the clock to move on");
    await server.publish("a", "after");
    const read = async (time) => dataOf((await server.page(`/channels/a?after=${enc(time)}`)).events);
    const iso = between.toISOString();
    assert.deepEqual(await read(iso), ["after"]);
    assert.deepEqual(await read(iso.replace("Z", "+00:00")), ["after"]);
    const shifted = new Date(between.getTime() + 2 * 3600_000).toISOString().replace("Z", "+02:00");
    assert.deepEqual(await read(shifted), ["after"]);
    const micros = iso.replace("Z", "123Z");
    assert.deepEqual(await read(micros), ["after"]);
    assert.deepEqual(await read("1970-01-02T00:00:00Z"), ["before", "after"]);
    assert.deepEqual(await read("1985-04-12T23:20:50.52Z"), ["before", "after"]);
});

test("an after that cannot be read is refused", async (t) => {
    const server = await startServer(t);
    await server.publish("a", "x");
    for (const after of ["abc", "-1", "1x", "0x10", "yesterday", "2026-13-45T00:00:00Z",
        "2026-02-30T00:00:00Z", "2026-01-01T25:00:00Z", "2026-01-01T00:00:00", "2026-01-01", "now%20",
        "Earliest%00", "1.5", "%FF"]) {
        for (const stream of ["", "&stream=sse", "&stream=ndjson", "&stream=raw", "&wait=1"]) {
            const answer = await server.get(`/channels/a?after=${after}${stream}`);
            assert.equal(answer.status, 400, `after=${after}${stream} answered ${answer.status}`);
            assertProblem(answer, 400);
        }
    }
});

bothStores("Last-Event-ID beats after, and after beats last", async (t, server) => {
    const ids = await server.publishMany("a", 6);
    const read = async (query, headers) => idsOf((await server.page(`/channels/a${query}`, headers)).events);
    const header = { "Last-Event-ID": ids[3] };
    assert.deepEqual(await read("?after=earliest&last=1", header), ids.slice(4));
    assert.deepEqual(await read("?after=now", header), ids.slice(4));
    assert.deepEqual(await read("?last=6", header), ids.slice(4));
    assert.deepEqual(await read(`?after=${ids[1]}&last=1`), ids.slice(2));
    assert.deepEqual(await read("?after=now&last=3"), []);
    assert.deepEqual(await read("?last=2"), ids.slice(4));
});

bothStores("an empty Last-Event-ID is none", async (t, server) => {
    const ids = await server.publishMany("a", 3);
    const header = { "Last-Event-ID": "" };
    assert.deepEqual(idsOf((await server.page(`/channels/a?after=${ids[0]}`, header)).events), ids.slice(1));
    assert.deepEqual(idsOf((await server.page("/channels/a", header)).events), ids);
});

bothStores("last is the newest of the whole selection, then one goes on from there", async (t, server) => {
    const ids = [];
    for (let n = 0; n < 9; n++) {
        ids.push((await server.publish(`c/${n % 3}`, `${n}`, { "Event-Type": n % 2 ? "odd" : "even" })).id);
    }
    const read = async (query) => server.page(`/events?${query}`);
    assert.deepEqual(idsOf((await read("channel=c/*&last=4")).events), ids.slice(5));
    assert.deepEqual(idsOf((await read("channel=c/0&channel=c/1&last=2")).events), [ids[6], ids[7]]);
    assert.deepEqual(idsOf((await read("channel=c/*&type=odd&last=2")).events), [ids[5], ids[7]]);
    assert.deepEqual(idsOf((await read("channel=c/*&last=1000")).events), ids);
    const page = await read("channel=c/*&last=3");
    assert.equal(page.more, false);
    assert.equal(page.cursor, ids[8]);
    const next = await server.publish("c/1", "next");
    assert.deepEqual(idsOf((await server.page(`/events${page.next}`)).events), [next.id]);
});

bothStores("last beyond 1,000 gives no more than 1,000", async (t, server) => {
    const ids = await server.publishMany("a", 1100);
    const full = await server.page("/channels/a?last=1000&limit=1000");
    assert.deepEqual(idsOf(full.events), ids.slice(100));
    const beyond = await server.get("/channels/a?last=1001&limit=1000");
    if (beyond.status === 200) {
        assert.equal(beyond.json().events.length, 1000);
    } else {
        assertProblem(beyond, 400);
    }
});

bothStores("before scrolls back: the newest below it, ascending, with a rel=prev link", async (t, server) => {
    const ids = await server.publishMany("a", 25);
    const first = await server.page(`/channels/a?before=${ids[24]}&limit=10`);
    assert.deepEqual(idsOf(first.events), ids.slice(14, 24));
    const back = [];
    let page = first;
    for (let pages = 0; pages < 10 && page.events.length > 0; pages++) {
        back.unshift(...idsOf(page.events));
        const prev = linkOf(page.answer, "prev");
        if (prev === undefined) {
            break;
        }
        assert.equal(queryOf(prev.href).get("before"), page.events[0].id);
        page = await server.page(`/channels/a${prev.href}`);
    }
    assert.deepEqual(back, ids.slice(0, 24));
    assert.ok(linkOf(first.answer, "prev"), "a link back where there is more behind");
});

bothStores("scrolling back keeps to types and channels", async (t, server) => {
    const ids = [];
    for (let n = 0; n < 12; n++) {
        ids.push((await server.publish(`c/${n % 2}`, `${n}`, { "Event-Type": n % 3 ? "x" : "y" })).id);
    }
    const { id: end } = await server.publish("c/0", "end");
    const page = await server.page(`/events?channel=c/*&type=y&before=${end}&limit=2`);
    assert.deepEqual(idsOf(page.events), [ids[6], ids[9]]);
    const prev = linkOf(page.answer, "prev");
    const query = queryOf(prev.href);
    assert.deepEqual(query.getAll("channel"), ["c/*"]);
    assert.equal(query.get("type"), "y");
    assert.equal(query.get("limit"), "2");
    const older = await server.page(`/events${prev.href}`);
    assert.deepEqual(idsOf(older.events), [ids[0], ids[3]]);
});

bothStores("type selects, repeatably, and the cursor moves over what it leaves out", async (t, server) => {
    const ids = {};
    for (const type of ["a", "b", "c", "message", "a"]) {
        const { id } = await server.publish("x", type, type === "message" ? {} : { "Event-Type": type });
        ids[type] = [...(ids[type] ?? []), id];
    }
    const read = async (query) => server.page(`/channels/x?${query}`);
    assert.deepEqual(idsOf((await read("type=a")).events), ids.a);
    assert.deepEqual(idsOf((await read("type=b&type=c")).events), [...ids.b, ...ids.c]);
    assert.deepEqual(idsOf((await read("type=message")).events), ids.message);
    assert.deepEqual(idsOf((await read("type=A")).events), []);
    const none = await read("type=none");
    assert.deepEqual(none.events, []);
    assert.equal(none.cursor, ids.a[1]);
});

bothStores("a page goes on over many events that do not match", async (t, server) => {
    const first = await server.publish("x", "first", { "Event-Type": "rare" });
    await server.publishMany("x", 5000);
    const last = await server.publish("x", "last", { "Event-Type": "rare" });
    const events = await walkWithEmptyPages(server, "/channels/x", "?type=rare&limit=10");
    assert.deepEqual(idsOf(events), [first.id, last.id]);
});

/** Like walk(), but a page may be empty and say more: a server may bound the rows it looks at. */
async function walkWithEmptyPages(server, path, query) {
    const events = [];
    let at = query;
    for (let pages = 0; pages < 1000; pages++) {
        const page = await server.page(`${path}${at}`);
        events.push(...page.events);
        if (!page.more) {
            return events;
        }
        at = page.next;
    }
    return assert.fail("the walk does not end");
}

bothStores("several channels come in log order", async (t, server) => {
    const ids = [];
    for (let n = 0; n < 40; n++) {
        const { id } = await server.publish(`c/${n % 4}`, `${n}`);
        if (n % 4 !== 3) {
            ids.push(id);
        }
    }
    const query = "channel=c/2&channel=c/0&channel=c/1&channel=c/0";
    const page = await server.page(`/events?${query}`);
    assert.deepEqual(idsOf(page.events), ids);
    assertLogOrder(page.events);
    assert.deepEqual(idsOf(await walk(server, "/events", `?${query}&limit=7`)), ids);
});

bothStores("prev links the events of each channel, whatever is selected", async (t, server) => {
    const byChannel = new Map();
    for (let n = 0; n < 30; n++) {
        const channel = `c/${n % 3}`;
        const { id } = await server.publish(channel, `${n}`, { "Event-Type": n % 2 ? "odd" : "even" });
        byChannel.set(channel, [...(byChannel.get(channel) ?? []), id]);
    }
    for (const query of ["channel=c/*", "channel=c/*&type=odd", "channel=c/1&last=3"]) {
        const { events } = await server.page(`/events?${query}`);
        assert.ok(events.length > 0);
        for (const event of events) {
            const chain = byChannel.get(event.channel);
            const at = chain.indexOf(event.id);
            const expected = at === 0 ? 0 : Number(chain[at - 1]);
            assert.equal(Number(event.prev), expected, `prev of ${event.id} under ${query}`);
        }
    }
});

bothStores("a page also ends at 1 MiB, with at least one event", async (t, server) => {
    const ids = [];
    for (let n = 0; n < 8; n++) {
        ids.push((await server.publish("big", "x".repeat(300 * 1024))).id);
    }
    const page = await server.page("/channels/big");
    assert.ok([3, 4].includes(page.events.length), `${page.events.length} events of 300 KiB`);
    assert.equal(page.more, true);
    assert.equal(page.cursor, page.events.at(-1).id);
    assert.deepEqual(idsOf(await walk(server, "/channels/big", "")), ids);
    const whole = await server.publish("big", "y".repeat(1024 * 1024));
    const last = await server.page(`/channels/big?after=${ids.at(-1)}`);
    assert.deepEqual(idsOf(last.events), [whole.id]);
});

bothStores("a page of events that grow when written stays bounded and complete", async (t, server) => {
    const ids = [];
    for (let n = 0; n < 4; n++) {
        ids.push((await server.publish("ctl", "\u0001".repeat(500 * 1024))).id);
    }
    assert.deepEqual(idsOf(await walk(server, "/channels/ctl", "")), ids);
});

bothStores("links are query-only and keep every parameter but the token", async (t, server) => {
    await server.publishMany("a/x", 5);
    const page = await server.page("/events?channel=a/*&channel=b&type=message&type=t&limit=2&format=event");
    const link = linkOf(page.answer, "next");
    assert.equal(link.href, page.next);
    for (const href of [page.next, linkOf(page.answer, "first").href]) {
        const query = queryOf(href);
        assert.deepEqual(query.getAll("channel").sort(), ["a/*", "b"]);
        assert.deepEqual(query.getAll("type").sort(), ["message", "t"]);
        assert.equal(query.get("limit"), "2");
        assert.equal(query.get("format"), "event");
    }
    assert.deepEqual(queryOf(page.next).getAll("after"), [page.cursor]);
    assert.match(queryOf(page.next).get("wait"), /^\d+$/);
    assert.deepEqual(queryOf(linkOf(page.answer, "first").href).getAll("after"), ["earliest"]);
});

bothStores("the next of a page with no parameters asks to wait", async (t, server) => {
    const { id } = await server.publish("a", "x");
    const page = await server.page("/channels/a");
    assert.equal(page.next, `?after=${id}&wait=25`);
    assert.equal(linkOf(page.answer, "first").href, "?after=earliest");
});

test("parameters survive links however they were spelled", async (t) => {
    const server = await startServer(t);
    const name = "ä b/c&d=e+f#g%h";
    const { id } = await server.publish(name, "x");
    const page = await server.page(`/events?channel=${enc(name)}&limit=1`);
    assert.deepEqual(idsOf(page.events), [id]);
    assert.deepEqual(queryOf(page.next).getAll("channel"), [name]);
    assert.match(page.next, /^[\x21-\x7e]+$/);
    const next = await server.publish(name, "y");
    assert.deepEqual(idsOf((await server.page(`/events${page.next}`)).events), [next.id]);
});

test("a token is never repeated in an answer and never logged", async (t) => {
    const server = await startServer(t);
    await server.publish("a", "x");
    for (const query of ["?token=SECRET123&limit=1", "?limit=1&token=SECRET123&wait=1"]) {
        const answer = await server.get(`/channels/a${query}`);
        assert.ok([200, 401].includes(answer.status), `${answer.status}`);
        assert.ok(!JSON.stringify(answer.rawHeaders).includes("SECRET123"));
        assert.ok(!answer.text.includes("SECRET123"));
    }
    await server.get("/channels/a//b?token=SECRET123");
    assert.ok(!server.log().includes("SECRET123"), server.log());
});

bothStores("format=data gives the data alone", async (t, server) => {
    await server.publish("a", "text");
    await server.publish("a", { n: 1 });
    await server.publish("a", "1e400", { "Content-Type": "application/json" });
    await server.publish("a", Buffer.from([0xff]), { "Content-Type": "image/png" });
    const page = await server.page("/channels/a?format=data");
    assert.deepEqual([page.events[0], page.events[1]], ["text", { n: 1 }]);
    assert.ok(page.answer.text.includes("1e400"));
    assert.deepEqual(page.events[3], { content_type: "image/png", data_base64: "/w==" });
});

bothStores("no from is told where nobody was authenticated", async (t, server) => {
    await server.publish("a", "x");
    assert.ok(!("from" in (await server.history("a"))[0]));
});

bothStores("HEAD answers as GET does, without the body", async (t, server) => {
    await server.publish("a", "x");
    const get = await server.get("/channels/a");
    const head = await server.request("HEAD", "/channels/a");
    assert.equal(head.status, 200);
    assert.equal(head.bytes.length, 0);
    for (const name of ["content-type", "cursor", "link", "vary", "cache-control"]) {
        assert.equal(head.headers[name], get.headers[name], name);
    }
});

bothStores("a walk by pages while others publish sees each event once, in order", async (t, server) => {
    const publishing = (async () => {
        const ids = [];
        for (let n = 0; n < 200; n++) {
            ids.push((await server.publish(`w/${n % 3}`, `${n}`)).id);
        }
        return ids;
    })();
    const seen = [];
    let query = "?channel=w/*&limit=3";
    let ids;
    publishing.then((all) => (ids = all));
    await eventually(async () => {
        const page = await server.page(`/events${query}`);
        seen.push(...idsOf(page.events));
        query = `?channel=w/*&limit=3&after=${page.cursor}`;
        return ids !== undefined && seen.length >= ids.length;
    }, "the walk to catch up");
    assert.deepEqual(seen, await publishing);
});
