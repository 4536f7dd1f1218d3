// Every parameter of every route is read strictly: what a route does not know, or cannot read, is
// refused with an error that names it. Nothing is passed over in silence but `_…` and `utm_…`.

import assert from "node:assert/strict";
import fs from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { assertProblem, bothStores, dataOf, idsOf, startServer, test } from "./support/index.mjs";
import { Freshet, refusal, Socket } from "./support/ws.mjs";

const API = fs.readFileSync(path.join(path.dirname(fileURLToPath(import.meta.url)), "../../docs/api.md"), "utf8");
const ID = "0000000000000001";

/* Kinds of values: some that are right, and those that are not. */
const boolean = {
    good: ["0", "1", "true", "false"],
    bad: ["", "flase", "True", "yes", "2", "00", "0 ", "true,true"],
};
const number = (least, most) => ({
    good: [`${least}`, `${most}`],
    bad: ["", "x", "-1", "+1", "1e2", "0x1", "1.5", " 1", "010", `${most + 1}`, "18446744073709551617",
        ...(least ? [`${least - 1}`] : [])],
});
const id = (good) => ({ good, bad: ["", "x", "-1", "1.0", "9007199254740992", "00000000000000001"] });
const words = (...good) => ({ good, bad: ["", "x", good[0].toUpperCase(), `${good[0]},${good[0]}`, "messages"] });
const text = (good, bad) => ({ good, bad });

const READ = {
    type: { ...text(["t"], ["", "a b", "error"]), repeats: true },
    after: text(["now", "earliest", "2026-01-01T00:00:00Z"], ["", "x", "-1", "NOW", "9007199254740992", "2026-01-01"]),
    told: id(["0"]),
    last: number(1, 1000),
    wait: { good: ["0"], bad: ["", "x", "-1", "1.5", "4294967296", "01"] },
    stream: words("sse", "ndjson", "raw"),
    format: words("event", "data"),
    limit: number(1, 1000),
    beat: number(5, 60),
    echo: boolean,
};
const BEFORE = { before: id([ID]) };
const LAST_EVENT_ID = { lastEventId: { good: ["", "0"], bad: [] } }; /* a bad one is a gap, as in the header */
const CHANNELS = { channel: { ...text(["a", "a/**"], ["", "a//b", "a/**/b"]), repeats: true } };
const PUBLISH = { type: text(["t"], ["", "a b", "$x"]), key: text(["k"], ["", "k".repeat(256)]), ephemeral: boolean };
const LIST = { prefix: text(["", "a"], []), after: text(["", "a"], []), limit: number(1, 1000) };
const DELIVERIES = {
    state: { ...words("delivered", "failing", "dead", "failed", "skipped"), repeats: true },
    channel: text(["a"], ["", "x".repeat(256)]),
    event: id([ID]),
    before: number(1, 1e15),
    limit: number(1, 1000),
};
DELIVERIES.before.bad = ["", "x", "0", "-1", "9223372036854775808"];

/** Ways to ask one route; each answers what was refused or not. */
const http = (method, route, options) => [`${method} ${route}`, route, (server, target) =>
    server.request(method, target, { body: method === "POST" ? "[]" : undefined, fresh: true, ...options })];
const accepting = (type, route) => http("GET", route, { headers: { Accept: type } });

/** Every route with a query of its own: [how, path with what it needs, how to ask, parameters]. */
function asked(webhook) {
    const reads = [["/channels/a", { ...READ, ...LAST_EVENT_ID }], ["/events?channel=a", { ...READ, ...LAST_EVENT_ID, ...CHANNELS }]];
    return [
        ...reads.flatMap(([route, parameters]) => [
            [...http("GET", route), { ...parameters, ...BEFORE }],
            [...http("HEAD", route), { ...parameters, ...BEFORE }],
            [...accepting("text/event-stream", route), parameters],
            [...accepting("application/x-ndjson", route), parameters],
            [...http("GET", `${route}${route.includes("?") ? "&" : "?"}wait=1`), parameters],
            [...http("GET", `${route}${route.includes("?") ? "&" : "?"}stream=raw`), parameters],
            ["upgrade", route, (server, target) => refusal(server, target), parameters],
        ]),
        [...http("GET", "/channels"), LIST],
        [...http("POST", "/channels/a"), PUBLISH],
        [...http("GET", `/webhooks/${webhook}/deliveries`), DELIVERIES],
    ];
}

/** Routes without parameters. */
function silent(webhook) {
    return [
        http("DELETE", "/channels/a"), http("POST", "/events"), http("GET", "/stats"), http("GET", "/metrics"),
        http("GET", "/healthz"), http("GET", "/readyz"), http("GET", "/errors"), http("GET", "/errors/gap"),
        http("GET", "/"), http("GET", "/topics/a"), http("POST", "/hub"), http("GET", "/webhooks"), http("POST", "/webhooks"),
        ...["GET", "PATCH", "DELETE"].map((method) => http(method, `/webhooks/${webhook}`)),
        ...["ping", "pause", "resume", "rotate", "replay", "retry"].map((verb) => http("POST", `/webhooks/${webhook}/${verb}`)),
        http("GET", `/webhooks/${webhook}/deliveries/1`), http("DELETE", `/webhooks/${webhook}/deliveries/1`),
        http("POST", `/webhooks/${webhook}/deliveries/1/retry`),
    ];
}

const withQuery = (route, ...pairs) => route + (route.includes("?") ? "&" : "?") +
    pairs.map(([name, value]) => `${encodeURIComponent(name)}=${encodeURIComponent(value)}`).join("&");

/** A misspelling of a name that is no other name. */
const misspelled = (name) => [`${name.slice(0, 1)}${name.slice(2)}`, `${name}${name.at(-1)}`, name.toUpperCase()];

async function start(t) {
    const server = await startServer(t);
    const answer = await server.request("POST", "/webhooks", { body: { url: "http://127.0.0.1:9/", channels: ["zzz"] } });
    assert.equal(answer.status, 201, answer.text);
    return { server, webhook: answer.json().id };
}

/** Asserts a refusal that names the parameter (HEAD has no body to say it in). */
async function assertRefused(server, how, ask, target, about) {
    const answer = await ask(server, target);
    if (how.startsWith("HEAD")) {
        assert.equal(answer.status, 400, `${how}: ${target}`);
        return;
    }
    assertProblem(answer, 400, about);
}

const escaped = (name) => name.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");

/** Parameters that the path has already given once. */
const isThere = (route, name) => new RegExp(`[?&]${name}=`).test(route);

test("a value that a parameter cannot have is refused and names it", async (t) => {
    const { server, webhook } = await start(t);
    for (const [how, route, ask, parameters] of asked(webhook)) {
        for (const [name, { bad, repeats }] of Object.entries(parameters)) {
            if (isThere(route, name) && !repeats) {
                continue;
            }
            for (const value of bad) {
                /* names and types have errors of their own, which say the rule */
                const about = ["type", "channel", "key"].includes(name) ? undefined : new RegExp(escaped(name));
                await assertRefused(server, how, ask, withQuery(route, [name, value]), about);
            }
            await assertRefused(server, how, ask, `${withQuery(route, [name, "x"])}%`, undefined);
            await assertRefused(server, how, ask, `${withQuery(route, [name, "x"])}%00`, undefined);
        }
    }
});

test("a parameter that is there twice is refused and named unless it repeats", async (t) => {
    const { server, webhook } = await start(t);
    for (const [how, route, ask, parameters] of asked(webhook)) {
        for (const [name, { good, repeats }] of Object.entries(parameters)) {
            if (repeats) {
                continue;
            }
            const pair = [name, good[0]];
            await assertRefused(server, how, ask, withQuery(route, pair, ["_", "1"], pair), new RegExp(`${name}.* twice`));
        }
    }
});

test("a misspelled parameter is refused and the right one named", async (t) => {
    const { server, webhook } = await start(t);
    for (const [how, route, ask, parameters] of asked(webhook)) {
        for (const name of Object.keys(parameters).filter((it) => it !== "lastEventId")) {
            for (const wrong of misspelled(name).filter((it) => !(it in parameters))) {
                await assertRefused(server, how, ask, withQuery(route, [wrong, "1"]), new RegExp(`"${escaped(wrong)}".*\\b${name}\\b`));
            }
        }
    }
});

test("words of other servers are refused and ours named", async (t) => {
    const { server } = await start(t);
    for (const [wrong, right] of [["afer", "after"], ["since", "after"], ["from", "after"], ["cursor", "after"],
        ["timeout", "wait"], ["count", "limit"], ["types", "type"], ["until", "before"]]) {
        for (const route of ["/channels/a", "/events?channel=a"]) {
            for (const headers of [{}, { Accept: "text/event-stream" }]) {
                assertProblem(await server.get(withQuery(route, [wrong, "1"]), headers), 400,
                    new RegExp(`"${wrong}".*did you mean ${right}\\?`));
            }
        }
    }
    assertProblem(await server.get("/channels/a?stream=messages"), 400, /stream is sse.*"messages"/);
    assertProblem(await server.get("/events?stream=messages"), 400, /channel=NAME/);
});

test("a parameter of another route is refused", async (t) => {
    const { server } = await start(t);
    assertProblem(await server.get("/channels/a?channel=b"), 400, /"channel"/);
    assertProblem(await server.post("a", "x", {}, "?after=now"), 400, /"after"/);
    assertProblem(await server.get("/channels?last=3"), 400, /"last"/);
    assertProblem(await server.get("/channels/a?ephemeral=1"), 400, /"ephemeral"/);
    assert.deepEqual(await server.history("a"), []);
});

test("a route without parameters refuses every one, and does nothing", async (t) => {
    const { server, webhook } = await start(t);
    await server.publish("a", "x");
    for (const [how, route, ask] of silent(webhook)) {
        for (const name of ["x", "limit", "after", "tokens"]) {
            await assertRefused(server, how, ask, withQuery(route, [name, "1"]), new RegExp(`"${name}"`));
        }
    }
    assert.deepEqual(dataOf(await server.history("a")), ["x"]);
    assert.equal((await server.get(`/webhooks/${webhook}`)).json().state, "active");
});

test("parameters added by caches and mailings, and credentials without rules, are ignored on every route", async (t) => {
    const { server } = await start(t);
    const query = "?_=1795459080123&_=2&utm_source=x&_cb&token=x";
    for (const route of ["/channels/a", "/channels", "/stats", "/healthz", "/readyz", "/", "/errors/gap", "/webhooks"]) {
        assert.equal((await server.get(route + query)).status, 200, route);
    }
    assert.equal((await server.post("a", "x", {}, query)).status, 201);
    assert.equal((await server.request("POST", `/events${query}`, { body: [] })).status, 201);
    assert.equal((await server.request("DELETE", `/channels/a${query}`)).status, 204);
    (await server.sse(`/channels/a${query}`)).close();
});

test("a good value of every parameter is taken", async (t) => {
    const { server } = await start(t);
    for (const [name, { good }] of Object.entries({ ...READ, ...BEFORE, ...LAST_EVENT_ID })) {
        for (const value of name === "stream" ? [] : good) {
            const answer = await server.get(withQuery("/channels/a", [name, value]));
            assert.equal(answer.status, 200, `${name}=${value}: ${answer.text}`);
        }
    }
    (await server.sse("/channels/a?stream=sse")).close();
    (await server.ndjson("/channels/a?stream=ndjson")).close();
    (await server.raw("/channels/a")).close();
    for (const value of LIST.prefix.good) {
        assert.equal((await server.get(`/channels?prefix=${value}&after=${value}&limit=1000`)).status, 200);
    }
});

bothStores("an event is ephemeral exactly if the query says so", async (t, server) => {
    for (const [value, status] of [["0", 201], ["false", 201], ["1", 202], ["true", 202], ["%31", 202], ["flase", 400], ["", 400], ["no", 400]]) {
        const answer = await server.post("a", value, {}, `?ephemeral=${value}`);
        assert.equal(answer.status, status, `ephemeral=${value}: ${answer.text}`);
    }
    assert.equal((await server.post("a", "bare", {}, "?ephemeral")).status, 400);
    assert.deepEqual(dataOf(await server.history("a")), ["0", "false"]);
});

test("echo=false is heard as echo=0 is", async (t) => {
    const server = await startServer(t);
    for (const [value, echoes] of [["0", false], ["false", false], ["1", true], ["true", true]]) {
        const socket = await Socket.open(t, server, `/channels/x/${value}?echo=${value}`);
        await socket.send("mine");
        await socket.ping();
        await server.publish(`x/${value}`, "theirs");
        assert.equal((await socket.event()).data, echoes ? "mine" : "theirs", `echo=${value}`);
    }
});

bothStores("lastEventId in the query is the twin of Last-Event-ID", async (t, server) => {
    const ids = [];
    for (const data of ["one", "two", "three"]) {
        ids.push((await server.publish("a", data)).id);
    }
    for (const name of ["lastEventId", "lasteventid", "LASTEVENTID", "last-event-id", "Last-Event-ID"]) {
        assert.deepEqual(idsOf(await server.history("a", `?${name}=${ids[0]}`)), ids.slice(1), name);
        const stream = await server.sse(`/channels/a?${name}=${ids[1]}`);
        assert.equal((await stream.event()).id, ids[2], name);
        stream.close();
    }
    const page = async (query, headers) => idsOf((await server.page(`/channels/a${query}`, headers)).events);
    assert.deepEqual(await page(`?after=earliest&lastEventId=${ids[1]}`), [ids[2]], "it is stronger than after");
    assert.deepEqual(await page(`?lastEventId=${ids[0]}`, { "Last-Event-ID": ids[1] }), [ids[2]], "the header is stronger");
    assert.deepEqual(await page("?lastEventId="), ids, "an empty one is none");
    assert.equal((await server.get("/channels/a?lastEventId=nonsense")).status, 410, "an unreadable one is a gap");
    assertProblem(await server.get("/channels/a?lastEventId=1&last-event-id=1"), 400, /twice/);
    const { next } = await server.page(`/channels/a?lastEventId=${ids[0]}&limit=1`);
    assert.ok(!/last-?event-?id/i.test(next), next);
    assert.deepEqual(await page(next), [ids[2]]);
});

test("a page that is asked for again and again is answered as its own query says", async (t) => {
    const server = await startServer(t);
    const ids = await server.publishMany("a", 3);
    for (let n = 0; n < 8; n++) {
        assert.equal((await server.page(`/channels/a?after=${ids[0]}`)).events.length, 2);
        assertProblem(await server.get(`/channels/a?after=${ids[0]}&limit=0`), 400, /limit/);
        assertProblem(await server.get(`/channels/a?after=${ids[0]}&after=${ids[0]}`), 400, /twice/);
        assertProblem(await server.get(`/channels/a?afte=${ids[0]}`), 400, /after/);
    }
});

test("a browser's WebSocket with a parameter that is not known is closed with 4400", async (t) => {
    const server = await startServer(t);
    for (const target of ["/channels/x?afer=1", "/channels/x?echo=flase", "/events?lst=3", "/channels/x?limit=1&limit=1"]) {
        const socket = await Socket.open(t, server, target, { origin: "http://localhost:5173" });
        const { code, reason } = await socket.closed();
        assert.equal(code, 4400, target);
        assert.match(reason, /bad-parameter/);
    }
});

/* The members of each operation of freshet.v1, with a right value. */
const OPS = {
    subscribe: { channels: ["b"], types: ["t"], after: "now", told: "0", last: 1 },
    unsubscribe: { channels: ["b"] },
    publish: { channel: "a", data: "x", data_base64: "eA==", type: "t", key: "k", content_type: "text/plain", ephemeral: false },
    ping: {},
};
const NEEDED = { subscribe: { channels: ["b"] }, unsubscribe: { channels: ["b"] }, publish: { channel: "a", data: "x" }, ping: {} };

test("a member that an operation of freshet.v1 does not have is refused and the right one named", async (t) => {
    const server = await startServer(t);
    const socket = await Freshet.open(t, server);
    const refused = async (op, about) => {
        const { op: answer, problem } = await socket.answer(op);
        assert.equal(answer, "error", JSON.stringify(op));
        assert.equal(problem.status, 400);
        assert.match(problem.detail, about);
    };
    for (const [op, members] of Object.entries(OPS)) {
        const needed = { op, ...NEEDED[op] };
        for (const name of Object.keys(members)) {
            for (const wrong of misspelled(name).filter((it) => !(it in members))) {
                await refused({ ...needed, [wrong]: members[name] }, new RegExp(`"${wrong}".*\\b${name}\\b`));
            }
        }
        for (const [other, theirs] of Object.entries(OPS)) {
            for (const name of Object.keys(theirs).filter((it) => other !== op && !(it in members))) {
                await refused({ ...needed, [name]: theirs[name] }, new RegExp(`"${name}"`));
            }
        }
        await refused({ ...needed, zzz: 1 }, /"zzz"/);
        await refused({ ...needed, _: 1 }, /"_"/);
    }
    assert.deepEqual((await server.page("/events?channel=**")).events, []);
});

test("a member that is there twice is refused", async (t) => {
    const server = await startServer(t);
    const socket = await Freshet.open(t, server);
    for (const [op, members] of Object.entries(NEEDED)) {
        for (const [name, value] of Object.entries({ op, ...members })) {
            const ref = `${op}/${name}`;
            const text = JSON.stringify({ ref, op, ...members });
            await socket.send(`${text.slice(0, -1)},${JSON.stringify({ [name]: value }).slice(1)}`);
            const { ref: answered, problem } = await socket.expect("error");
            assert.equal(answered, ref);
            assert.match(problem.detail, new RegExp(`"${name}" is there twice`));
        }
    }
    assert.deepEqual((await server.page("/events?channel=**")).events, []);
});

bothStores("freshet.v1 publishes ephemerally if it is told so, as POST does", async (t, server) => {
    const socket = await Freshet.open(t, server);
    const listener = await Freshet.open(t, server);
    await listener.subscribe(["a"]);
    const gone = await socket.answer({ op: "publish", channel: "a", data: "gone", ephemeral: true });
    assert.equal(gone.op, "ok");
    assert.equal(gone.id, undefined);
    const heard = await listener.expect("event");
    assert.deepEqual([heard.event.data, heard.event.id], ["gone", undefined]);
    const kept = await socket.answer({ op: "publish", channel: "a", data: "kept", ephemeral: false });
    assert.match(kept.id, /^\d{16}$/);
    for (const ephemeral of [0, 1, "true", "false", null, [], {}]) {
        const { op, problem } = await socket.answer({ op: "publish", channel: "a", data: "x", ephemeral });
        assert.equal(op, "error", JSON.stringify(ephemeral));
        assert.match(problem.detail, /ephemeral is true or false/);
    }
    assert.deepEqual(dataOf(await server.history("a")), ["kept"]);
});

bothStores("a member that an event of a batch does not have is refused and nothing is published", async (t, server) => {
    const good = { channel: "a", data: "x" };
    const names = ["channel", "data", "data_base64", "type", "key", "content_type"];
    const wrong = [...names.flatMap((name) => misspelled(name)), "id", "time", "prev", "_", "Channel", "if_match", "ephemral"];
    for (const name of wrong) {
        for (const body of [[good, { ...good, [name]: "x" }], `${JSON.stringify(good)}\n${JSON.stringify({ ...good, [name]: "x" })}\n`]) {
            const problem = assertProblem(await server.request("POST", "/events", { body }), 400, new RegExp(`"${name}"`));
            assert.equal(problem.index, 1);
        }
    }
    for (const name of Object.keys(good)) {
        const body = `[${JSON.stringify(good).slice(0, -1)},"${name}":"y"}]`;
        assertProblem(await server.request("POST", "/events", { body }), 400, new RegExp(`"${name}" is there twice`));
    }
    assert.deepEqual(await server.history("a"), []);
    assert.equal((await server.request("POST", "/events", { body: [{ ...good, ephemeral: false }] })).status, 201);
});

/* The members of a webhook, with values that they cannot have. */
const WEBHOOK = {
    url: ["", 1, null, "ftp://a.example/", "http:///h", "http://a.example:0/"],
    channels: [[], "a", ["a//b"], [1], null],
    types: ["t", ["a b"], [1], null],
    description: [1, "x".repeat(501), null],
    headers: [[], "x", { "": "x" }, { a: 1 }, null],
    ordered: [0, 1, "true", "flase", "", null],
    format: ["", "x", "EVENT", 1, null],
    batch: [-1, 1001, 1.5, "1", "", null],
    concurrency: [0, 257, 1.5, "1", "", null],
    timeout: [0, 61, 1.5, "1", "", null],
    schedule: [[], [0], [604801], ["1"], "1", null],
    asymmetric: [0, 1, "x", "", null],
};
const CREATED = { ...WEBHOOK, after: ["", "x", -1, null, true], secret: ["", "x", 1, null], verify: ["", "x", 1, null] };
const CHANGED = { ...WEBHOOK, state: ["", "x", "PAUSED", 1, null] };

test("a member that a webhook does not have, or cannot have so, is refused and named", async (t) => {
    const { server, webhook } = await start(t);
    const needed = { url: "http://127.0.0.1:9/", channels: ["a"] };
    const before = (await server.get("/webhooks")).text;
    for (const [method, route, members, rest] of [
        ["POST", "/webhooks", CREATED, needed],
        ["PATCH", `/webhooks/${webhook}`, CHANGED, {}],
        ["POST", `/webhooks/${webhook}/replay`, { after: CREATED.after }, {}],
    ]) {
        const refused = async (body, about) => assertProblem(await server.request(method, route, { body }), 400, about);
        for (const [name, values] of Object.entries(members)) {
            for (const value of values) {
                await refused({ ...rest, [name]: value }, ["channels", "types"].includes(name) ? undefined : new RegExp(name));
            }
            for (const wrong of misspelled(name).filter((it) => !(it in members))) {
                await refused({ ...rest, [wrong]: 1 }, new RegExp(`"${wrong}".*\\b${name}\\b`));
            }
            await refused(`{"${name}":"1","${name}":"1"}`, /twice/);
        }
        await refused({ ...rest, zzz: 1 }, /"zzz"/);
        await refused({ ...rest, _: 1 }, /"_"/);
        await refused("", /object|begin/);
        await refused("[]", /object|begin/);
    }
    assertProblem(await server.request("PATCH", `/webhooks/${webhook}`, { body: { secret: "x" } }), 400, /"secret"/);
    assertProblem(await server.request("POST", "/webhooks", { body: { ...needed, state: "paused" } }), 400, /"state"/);
    for (const verb of ["ping", "pause", "resume", "retry", "deliveries/1/retry"]) {
        for (const body of ["{", '{"after":"now"}', "[]", "x"]) {
            assertProblem(await server.request("POST", `/webhooks/${webhook}/${verb}`, { body }), 400, /no body/);
        }
    }
    assert.equal((await server.get("/webhooks")).text, before);
    for (const body of [undefined, "{}", "{}\n"]) {
        assert.equal((await server.request("POST", `/webhooks/${webhook}/pause`, { body })).status, 200);
    }
});

test("the document names every parameter", () => {
    for (const name of Object.keys({ ...READ, ...BEFORE, ...LAST_EVENT_ID, ...PUBLISH, ...LIST })) {
        assert.match(API, new RegExp("`(\\?)?" + name + "[`=]"), name);
    }
});
