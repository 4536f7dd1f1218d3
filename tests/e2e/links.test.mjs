// All links of all resources: each keeps every parameter but `token` and what it is there to replace, leads to an answer,
// and the pages that it leads through hold everything once.

import assert from "node:assert/strict";
import { bothStores, eventually, publish, startServer, test, SseStream } from "./support/index.mjs";
import { parseLinks } from "./support/http.mjs";
import { Receiver } from "./support/receiver.mjs";

const SECRET = "SECRET123";
/* Parameters that say a position or a mechanism: a link replaces them. */
const REPLACED = ["after", "lastEventId", "last-event-id", "told", "before", "last", "wait", "stream", "token"];
/* Passed over everywhere, and kept: `_` with characters that would end a link or a JSON text. */
const STRAY = "_=1%3E%22&_cache=<\"{\\}>&utm_source=a%20b+c&utm_empty=&_bare";

/** The parameters of a query but those that links replace, sorted. */
function kept(query, also = []) {
    const pairs = [...new URLSearchParams(query)].filter(([name]) => !REPLACED.includes(name) && !also.includes(name));
    return pairs.map(([name, value]) => `${name}=${value}`).sort();
}

const pathOf = (target) => target.split("?")[0];
const resolve = (server, target, href) => {
    const { pathname, search } = new URL(href, `${server.url}${target}`);
    return pathname + search;
};

/** Whatever an answer links to: by its header, by `next` in its body, by hrefs. */
function linksOf(answer) {
    const links = [...parseLinks(answer.headers.link)];
    const type = answer.headers["content-type"] ?? "";
    if (/json/.test(type) && answer.text) {
        const body = answer.json();
        if (typeof body.next === "string") {
            links.push({ href: body.next, rel: "next", where: "body" });
        }
        for (const { href } of body.links ?? []) {
            links.push({ href, rel: "item" });
        }
    }
    if (/html/.test(type)) {
        links.push(...[...answer.text.matchAll(/href="([^"]+)"/g)].map(([, href]) => ({ href, rel: "item" })));
    }
    return links;
}

/** Asserts what holds for every link, and follows it. */
async function check(server, target, link) {
    const where = `${target}: <${link.href}>; rel="${link.rel}"`;
    assert.match(link.href, /^[\x21-\x7e]*$/, where);
    assert.ok(!/[<>"\\]/.test(link.href), where);
    assert.ok(!link.href.includes(SECRET) && !link.href.includes("token"), where);
    const to = resolve(server, target, link.href);
    if (pathOf(to) === pathOf(target)) {
        const also = pathOf(target).endsWith("/deliveries") ? ["state"] : [];
        assert.deepEqual(kept(to.slice(pathOf(to).length), also), kept(target.slice(pathOf(target).length), also), where);
    }
    if (["/hub", "/playground/webhooks"].includes(pathOf(to))) {
        assert.equal((await server.get(to)).status, 405, where);
        return;
    }
    if (/stream=/.test(to)) {
        const stream = await SseStream.open(server, to);
        assert.equal(stream.status, 200, where);
        assert.equal(stream.headers["content-type"].split(";")[0], link.type, where);
        for (const other of parseLinks(stream.headers.link)) {
            assert.deepEqual(kept(resolve(server, to, other.href).split("?")[1] ?? ""), other.href.startsWith("?") ? kept(to.split("?")[1]) : [], where);
        }
        stream.close();
        return;
    }
    const answer = await server.get(to.replace(/\bwait=\d+/, "wait=0"));
    assert.ok([200, 404].includes(answer.status), `${where} answers ${answer.status} ${answer.text}`);
    if (answer.status === 404) {
        assert.ok(["/channels", "/topics", "/inbound"].some((path) => to.startsWith(path)) || link.rel === "item", where);
    }
}

/** GETs a target, by GET and HEAD, and checks all its links; answers what came. */
async function visit(server, target, status = 200) {
    const answer = await server.get(target);
    assert.equal(answer.status, status, `${target} answers ${answer.status} ${answer.text}`);
    assert.ok(!answer.text.includes(SECRET) && !JSON.stringify(answer.headers).includes(SECRET), `${target} repeats the token`);
    const head = await server.request("HEAD", target);
    assert.equal(head.headers.link, answer.headers.link, `HEAD ${target}`);
    for (const link of linksOf(answer)) {
        await check(server, target, link);
    }
    return answer;
}

/** Follows a rel from page to page; answers the items of all. */
async function walk(server, target, rel, items, more) {
    const pages = [];
    for (let at = target; at;) {
        const answer = await visit(server, at);
        const body = answer.json();
        pages.push(items(body));
        const link = linksOf(answer).find((one) => one.rel === rel);
        assert.ok(pages.length < 200, `${target} does not end`);
        at = link && more(body) ? resolve(server, at, link.href).replace(/\bwait=\d+/, "wait=0") : undefined;
    }
    return pages;
}

function assertOnce(pages, expected, what) {
    const all = pages.flat();
    assert.equal(new Set(all).size, all.length, `${what}: something is there twice`);
    assert.deepEqual([...all].sort(), [...expected].sort(), what);
}

/** Sixty events of two types on five channels, with names that need escaping. */
async function seed(server) {
    const channels = ["l/a b", "l/a%2", "l/é", "l/x&y=z", "l/deep/er", "m"];
    const events = [];
    for (let n = 0; n < 60; n++) {
        const [channel, type] = [channels[n % channels.length], n % 4 ? "t" : "u.v"];
        const { id } = await publish(server, channel, `${n}`, { "Event-Type": type });
        events.push({ id, channel, type });
    }
    return { channels, events };
}

bothStores("pages and streams of channels and patterns", async (t, server) => {
    const { events } = await seed(server);
    const newest = events.at(-1).id;
    const middle = events[30].id;
    const starts = ["", "&after=earliest", `&after=${events[10].id}`, `&after=${newest}&told=${events[5].id}`, "&after=2020-01-01T00:00:00Z",
        "&last=7", `&before=${middle}`, `&lastEventId=${events[3].id}`];
    for (const [path, query, isOf] of [
        ["/channels/l/a%20b", "type=t&type=u.v", ({ channel }) => channel === "l/a b"],
        ["/channels/l/x&y=z", "type=t", ({ channel, type }) => channel === "l/x&y=z" && type === "t"],
        ["/events", "channel=l/**&channel=m&type=t&type=u.v", () => true],
        ["/events", `channel=${encodeURIComponent("l/a%2")}&channel=l/%C3%A9&type=%74`, ({ channel, type }) => ["l/a%2", "l/é"].includes(channel) && type === "t"],
    ]) {
        const target = `${path}?${query}&format=event&limit=4&beat=20&echo=0&token=${SECRET}&${STRAY}`;
        const ids = events.filter(isOf).map(({ id }) => id);
        const idsOf = (body) => body.events.map(({ id }) => id);
        for (const start of starts) {
            await visit(server, `${target}${start}&wait=0`);
        }
        assertOnce(await walk(server, target, "next", idsOf, ({ more }) => more), ids, `${target} forward`);
        /* The newest page, and from there back. */
        const back = await walk(server, `${target}&before=${newest}`, "prev", idsOf, ({ events: { length } }) => length > 0);
        assertOnce(back, ids.filter((id) => id < newest), `${target} backward`);
        const first = (await visit(server, `${target}&last=2`)).links.find(({ rel }) => rel === "first");
        assertOnce(await walk(server, resolve(server, target, first.href), "next", idsOf, ({ more }) => more), ids, `${target} from the first`);
    }
});

bothStores("answers that tell a gap", async (t, server) => {
    const { events } = await seed(server);
    const [old] = events.filter(({ channel }) => channel === "m");
    assert.equal((await server.request("DELETE", "/channels/m")).status, 204);
    await publish(server, "m", "after");
    const query = `channel=m&channel=l/deep/**&type=t&type=u.v&type=message&limit=3&${STRAY}&token=${SECRET}`;
    const gap = await visit(server, `/events?${query}&after=${old.id}`, 410);
    const next = resolve(server, "/events", gap.json().next);
    const pages = await walk(server, next.replace(/\bwait=\d+/, "wait=0"), "next", (body) => body.events.map(({ id }) => id), ({ more }) => more);
    const expected = events.filter(({ id, channel }) => channel === "l/deep/er" && id > old.id).map(({ id }) => id);
    assertOnce(pages.map((page) => page.filter((id) => id <= events.at(-1).id)), expected, "behind the gap");
    await visit(server, `/events?${query}&after=9007199254740991`, 410);
});

bothStores("the list of channels", async (t, server) => {
    const names = Array.from({ length: 23 }, (_, n) => `list/${n} &%"<>é`);
    for (const name of [...names, "other", "list"]) {
        await publish(server, name, "x");
    }
    for (const prefix of ["prefix=list/", "prefix=list%2F"]) {
        const pages = await walk(server, `/channels?${prefix}&limit=5&${STRAY}`, "next", (body) => body.channels.map(({ channel }) => channel), ({ more }) => more);
        assertOnce(pages, names, prefix);
        assert.equal(pages.length, 5);
    }
    await visit(server, `/channels?limit=5&after=list%2F1&${STRAY}`);
});

bothStores("webhooks and their deliveries, with every filter", async (t, server) => {
    const receiver = await Receiver.start(t);
    receiver.answer = ({ body }) => (body.data === "poison" ? 400 : 200);
    const registered = await server.request("POST", "/webhooks",
        { body: { url: receiver.url, channels: ["d/**"], ordered: false, schedule: [0.01] } });
    assert.equal(registered.status, 201, registered.text);
    const { id } = registered.json();
    assert.equal((await server.get(registered.headers.location)).status, 200);
    const ids = [];
    for (let n = 0; n < 40; n++) {
        const hops = n % 10 === 9 ? "8" : "0";
        const data = n % 10 === 5 ? "poison" : "fine";
        ids.push((await publish(server, `d/${n % 2} &é`, data, { "Event-Hops": hops })).id);
    }
    const path = `/webhooks/${id}/deliveries`;
    const list = async (query) => (await server.get(`${path}?limit=1000&${query}`)).json().deliveries;
    let fine = ids.length - 8;
    await eventually(async () => {
        await publish(server, "d/again", "fine");
        fine++;
        return (await list("state=dead")).length === 4 && (await list("state=skipped")).length === 4 && (await list("state=failing")).length === 0;
    }, "all to be settled");
    await eventually(async () => (await list("state=delivered")).length === fine, "the last to be noted");
    for (const filter of [
        "", "state=delivered", "state=failed", "state=dead&state=skipped", "state=delivered&state=failing&state=dead&state=skipped",
        `channel=${encodeURIComponent("d/1 &é")}`, `event=${ids[5]}`, `state=skipped&channel=${encodeURIComponent("d/1 &é")}`, `event=${ids[9]}&state=skipped`,
    ]) {
        const numbers = (body) => body.deliveries.map(({ n }) => n);
        const before = (await list(filter)).map(({ n }) => n);
        const newest = Math.max(...before);
        const pages = await walk(server, `${path}?${filter}&limit=3&before=${newest + 1}&${STRAY}`, "next", numbers, ({ more }) => more);
        assertOnce(pages, before, filter);
        for (const state of new URLSearchParams(filter).getAll("state").slice(0, 1)) {
            const { next } = (await server.get(`${path}?${filter}&limit=1`)).json();
            assert.ok(next === undefined || new URLSearchParams(next).getAll("state").length >= (state === "failed" ? 2 : 1), next);
        }
    }
    for (const target of ["/webhooks", `/webhooks/${id}`, `${path}/${(await list(""))[0].n}`]) {
        await visit(server, `${target}?${STRAY}`);
    }
});

test("everything else that can be got", async (t) => {
    const server = await startServer(t, { config: "base: /realtime\n" });
    assert.equal((await server.request("POST", "/realtime/channels/a/b%20c", { body: "x" })).status, 201);
    for (const target of ["/realtime/", "/realtime/errors/", "/realtime/errors/gap", "/realtime/stats", "/realtime/metrics", "/realtime/healthz", "/realtime/readyz",
        "/realtime/webhooks", "/realtime/channels", "/realtime/topics/a/b%20c", "/realtime/channels/a/b%20c", "/realtime/events?channel=a/**"]) {
        const answer = await server.get(`${target}${target.includes("?") ? "&" : "?"}${STRAY}`, { Accept: target === "/realtime/" ? "text/html" : "*/*" });
        assert.equal(answer.status, 200, target);
        for (const { href, rel } of linksOf(answer)) {
            const to = resolve(server, target, href);
            assert.ok(to.startsWith("/realtime/"), `${target}: ${href}`);
            if (!/stream=|\bwait=[1-9]/.test(to)) {
                let { status, headers: { location } } = await server.get(to);
                if (status === 308) { /* a folder: the slash at its end is missing */
                    ({ status } = await server.get(resolve(server, to, location)));
                }
                const none = /\/(hub|events|inbound|playground\/webhooks|presence|subscribers|topics)$/.test(pathOf(to));
                assert.ok(status === 200 || (none && [400, 404, 405].includes(status)), `${target}: ${rel} ${href} answers ${status}`);
            }
        }
    }
    const { headers } = await server.get("/realtime/channels/a/b%20c");
    assert.deepEqual(parseLinks(headers.link).filter(({ rel }) => ["hub", "self", "webhooks"].includes(rel)).map(({ href }) => href).sort(),
        ["/realtime/hub", "/realtime/topics/a/b%20c", "/realtime/webhooks"]);
});
