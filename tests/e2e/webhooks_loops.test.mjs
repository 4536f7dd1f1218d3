// Loops: deliveries that lead back to a channel that their webhook reads end after so many hops, by whatever way they
// come back, and are on record.

import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import http from "node:http";
import { assertProblem, bothStores, eventually, publish, startServer, stats, test } from "./support/index.mjs";
import { Receiver } from "./support/receiver.mjs";

const HOPS = 8;

async function register(server, url, channels, more = {}) {
    const answer = await server.request("POST", "/webhooks", { body: { url, channels, ...more } });
    assert.equal(answer.status, 201, answer.text);
    return answer.json();
}

const deliveries = async (server, id, query = "") => (await server.get(`/webhooks/${id}/deliveries${query}`)).json().deliveries;
const skipped = (server, id) => deliveries(server, id, "?state=skipped");
const told = async (server, id) => (await server.get(`/webhooks/${id}`)).json();

/* Events of a page that come one behind the other are noted together. */
const eventsOf = (list) => list.reduce((sum, { events = 1 }) => sum + events, 0);

/** Waits until so many events of a webhook were skipped; answers what the record has of that. */
async function ended(server, id, count = 1) {
    return eventually(async () => {
        const list = await skipped(server, id);
        return eventsOf(list) >= count && list;
    }, `${count} skipped on record`);
}

async function assertWell(server, id) {
    const endpoint = await told(server, id);
    assert.equal(endpoint.state, "active");
    assert.equal(endpoint.dead, 0);
    assert.deepEqual(await deliveries(server, id, "?state=failed"), []);
}

/** Passes requests on to a server, headers and all, as a proxy does. */
async function proxy(t, target) {
    const host = http.createServer((req, res) => {
        const onward = http.request({ host: "127.0.0.1", port: target.port, method: req.method, path: req.url, headers: { ...req.headers, host: `localhost:${target.port}` } },
            (answer) => {
                res.writeHead(answer.statusCode, answer.headers);
                answer.pipe(res);
            });
        onward.on("error", () => res.destroy());
        req.pipe(onward);
    });
    await new Promise((resolve) => host.listen(0, "127.0.0.1", resolve));
    t.after(() => {
        host.closeAllConnections?.();
        host.close();
    });
    return `http://127.0.0.1:${host.address().port}`;
}

bothStores("a webhook onto the channel that it reads stops after 8 hops, on record, and the channel goes on", async (t, server) => {
    const { id } = await register(server, `${server.url}/channels/loop`, ["loop"]);
    await publish(server, "loop", "round and round");
    const [one] = await ended(server, id);
    assert.equal(one.state, "skipped");
    assert.equal(one.channel, "loop");
    assert.deepEqual(one.attempts.map(({ number, status, error }) => [number, status, error]), [[1, null, "loop: 8 hops"]]);
    assert.deepEqual((await server.get(`/webhooks/${id}/deliveries/${one.n}`)).json(), one);
    /* The ping has one hop, and what was published none: each goes round until it has eight. */
    await ended(server, id, 2);
    const events = await server.history("loop");
    assert.equal(events.length, HOPS + HOPS + 1, "events in the channel");
    assert.ok((await skipped(server, id)).some(({ event, last = event }) => last === events.at(-1).id));
    await assertWell(server, id);
    assert.equal((await stats(server)).webhooks.looped, 2);
    const { length } = await skipped(server, id);
    await server.logged(new RegExp(`(event=webhook_loop id=${id} event=\\d{16} events=[12] hops=8[^]*){${length}}`));
    assert.equal(server.err.match(/event=webhook_loop/g).length, length);
    await eventually(async () => (await told(server, id)).lag === 0 || (await told(server, id)).lag?.events === 0, "nothing to be owed");
    await publish(server, "loop", "again");
    await ended(server, id, 3);
    assert.equal((await server.history("loop")).length, events.length + HOPS + 1);
});

bothStores("two webhooks that lead to one another stop after 8 hops in all", async (t, server) => {
    const a = await register(server, `${server.url}/channels/b`, ["a"]);
    const b = await register(server, `${server.url}/channels/a`, ["b"]);
    await publish(server, "a", "to and fro");
    const inChannel = async (channel) => (await server.history(channel)).filter(({ data }) => JSON.stringify(data).includes("to and fro"));
    await eventually(async () => (await inChannel("a")).length === HOPS / 2 + 1, "the last event");
    const last = (await inChannel("a")).at(-1);
    await eventually(async () => (await skipped(server, a.id)).some(({ event, last: newest = event }) => newest === last.id), "it to be skipped");
    assert.equal((await inChannel("a")).length, HOPS / 2 + 1);
    assert.equal((await inChannel("b")).length, HOPS / 2);
    await assertWell(server, a.id);
    await assertWell(server, b.id);
});

test("pages stop too, in order and without", async (t) => {
    for (const ordered of [true, false]) {
        const server = await startServer(t);
        const { id } = await register(server, `${server.url}/channels/pages`, ["pages"], { batch: 10, ordered });
        const many = Array.from({ length: 30 }, (_, n) => ({ channel: "pages", data: { n } }));
        assert.equal((await server.request("POST", "/events", { body: many })).status, 201);
        await ended(server, id);
        /* A page is one event where it comes back, so that each round has fewer. */
        const quiet = async () => {
            const { webhooks } = await stats(server);
            const { lag } = await told(server, id);
            return Object.values(webhooks.requests).every((count) => count === 0) && (lag === 0 || lag?.events === 0);
        };
        await eventually(quiet, "all to be settled");
        const { length } = await server.history("pages", "?limit=1000");
        assert.ok(length < 30 + 30 * HOPS, `${length} events`);
        await assertWell(server, id);
    }
});

test("an event of the page that came round too often does not hold back the others", async (t) => {
    const server = await startServer(t);
    const receiver = await Receiver.start(t);
    for (const [ordered, channel] of [[true, "one"], [false, "two"]]) {
        const { id } = await register(server, receiver.url, [channel], { batch: 100, ordered, concurrency: 1 });
        await server.request("POST", `/webhooks/${id}/pause`);
        for (const hops of [0, 8, 0, 3, 255, 8, 7]) {
            await publish(server, channel, { hops }, { "Event-Hops": String(hops), "Content-Type": "application/json" });
        }
        await server.request("POST", `/webhooks/${id}/resume`);
        const pages = () => receiver.pings.filter(({ body }) => body?.events?.[0].channel === channel);
        const carried = () => pages().flatMap(({ body }) => body.events.map(({ data }) => data.hops));
        await receiver.until(() => carried().length >= 4, "four events");
        assert.deepEqual(carried(), [0, 0, 3, 7]);
        for (const { headers, body } of pages()) {
            assert.equal(headers["event-hops"], String(Math.max(...body.events.map(({ data }) => data.hops)) + 1));
        }
        assert.equal(eventsOf(await ended(server, id, 3)), 3);
        await assertWell(server, id);
    }
});

test("a loop through an inbound source stops, and so does one through a proxy", async (t) => {
    const server = await startServer(t, { config: "inbound:\n  - {source: back, kind: none, channel: inbound}\n" });
    const inbound = await register(server, `${server.url}/inbound/back`, ["inbound"]);
    await publish(server, "inbound", "x");
    await ended(server, inbound.id);
    const proxied = await register(server, `${await proxy(t, server)}/channels/proxied`, ["proxied"]);
    await publish(server, "proxied", "x");
    await ended(server, proxied.id);
    await assertWell(server, inbound.id);
    await assertWell(server, proxied.id);
});

test("a loop over two servers stops", async (t) => {
    const [here, there] = [await startServer(t), await startServer(t)];
    const a = await register(here, `${there.url}/channels/x`, ["x"]);
    const b = await register(there, `${here.url}/channels/x`, ["x"]);
    await publish(here, "x", "there and back");
    await eventually(async () => (await skipped(here, a.id)).length + (await skipped(there, b.id)).length >= 1, "the end");
    const bounced = async () => {
        const all = [...await here.history("x"), ...await there.history("x")];
        return all.filter(({ data }) => JSON.stringify(data).includes("there and back")).length;
    };
    await eventually(async () => (await bounced()) === HOPS + 1, "nine events");
});

test("a subscription of WebSub onto an inbound source stops", async (t) => {
    const secret = "a secret of this test";
    const server = await startServer(t, {
        config: `inbound:\n  - {source: back, kind: hmac, secrets: ["${secret}"], header: X-Hub-Signature, prefix: "sha256=", channel: news,\n`
            + "      challenge: {method: GET, value: '{query.hub.challenge}'}}\n",
    });
    const form = new URLSearchParams({
        "hub.mode": "subscribe", "hub.topic": `${server.url}/topics/news`, "hub.callback": `${server.url}/inbound/back`, "hub.secret": secret,
    });
    const headers = { "Content-Type": "application/x-www-form-urlencoded" };
    assert.equal((await server.request("POST", "/hub", { body: form.toString(), headers })).status, 202);
    const { id } = await eventually(async () => (await server.get("/webhooks")).json().webhooks[0], "the subscription");
    await publish(server, "news", "extra extra");
    const [one] = await ended(server, id);
    assert.equal(one.attempts[0].error, "loop: 8 hops");
    const events = await server.history("news");
    assert.deepEqual(events.map(({ data }) => data), Array(HOPS + 1).fill("extra extra"));
    /* Others cannot publish there. */
    const body = "forged";
    assertProblem(await server.request("POST", "/inbound/back", { body, headers: { "X-Hub-Signature": `sha256=${createHmac("sha256", "x").update(body).digest("hex")}` } }), 403);
});

test("gaps in a loop stop with it", async (t) => {
    const server = await startServer(t, { config: "namespaces:\n  - {prefix: few, retention: {count: 1}}\n" });
    const { id } = await register(server, `${server.url}/channels/few/1`, ["few/1"]);
    await server.request("POST", `/webhooks/${id}/pause`);
    for (let n = 0; n < 5; n++) {
        await publish(server, "few/1", "x");
    }
    await server.request("POST", `/webhooks/${id}/resume`);
    await ended(server, id);
    await eventually(async () => {
        const { lag } = await told(server, id);
        return lag === 0 || lag?.events === 0;
    }, "nothing to be owed");
    await assertWell(server, id);
});

test("the limit is the configuration's", async (t) => {
    const server = await startServer(t, { config: "webhooks: {hops_max: 2}\n" });
    const { id } = await register(server, `${server.url}/channels/loop`, ["loop"], { types: ["message"] });
    await publish(server, "loop", "x");
    const list = await ended(server, id, 2);
    assert.ok(list.every(({ attempts }) => attempts[0].error === "loop: 2 hops"));
    assert.equal((await server.history("loop")).filter(({ data }) => JSON.stringify(data).includes('"x')).length, 3);
});

test("a skipped event is sent on request, and survives a restart", async (t) => {
    const server = await startServer(t, { data: true });
    const receiver = await Receiver.start(t);
    const { id } = await register(server, receiver.url, ["a"]);
    const event = await publish(server, "a", "x", { "Event-Hops": "8" });
    const [one] = await ended(server, id);
    assert.equal(one.event, event.id);
    await server.restart();
    assert.deepEqual(await skipped(server, id), [one]);
    assert.equal(receiver.deliveries.length, 0);
    assert.equal((await server.request("POST", `/webhooks/${id}/deliveries/${one.n}/retry`)).status, 202);
    const [sent] = await receiver.until(() => receiver.deliveries.length && receiver.deliveries, "the delivery");
    assert.equal(sent.body.id, event.id);
    assert.equal(sent.headers["event-hops"], "9");
    await eventually(async () => (await deliveries(server, id, "?state=delivered")).some(({ n }) => n === one.n), "it to be delivered");
    /* The hops of an event are kept with it. */
    await publish(server, "a", "y", { "Event-Hops": "5" });
    await server.request("POST", `/webhooks/${id}/pause`);
    await publish(server, "a", "z", { "Event-Hops": "6" });
    await server.restart();
    await server.request("POST", `/webhooks/${id}/resume`);
    await receiver.until(() => receiver.deliveries.some(({ body }) => body.data === "z"), "z");
    const hops = Object.fromEntries(receiver.deliveries.map(({ body, headers }) => [body.data, headers["event-hops"]]));
    assert.deepEqual([hops.y, hops.z], ["6", "7"]);
});

test("a skipped event is sent alone, whatever other channels had meanwhile", async (t) => {
    const server = await startServer(t);
    const receiver = await Receiver.start(t);
    const { id } = await register(server, receiver.url, ["a", "b"]);
    await server.request("POST", `/webhooks/${id}/pause`);
    const first = await publish(server, "a", "1", { "Event-Hops": "8" });
    const between = await publish(server, "b", "2");
    const last = await publish(server, "a", "3", { "Event-Hops": "8" });
    await server.request("POST", `/webhooks/${id}/resume`);
    const list = await ended(server, id, 2);
    await receiver.until(() => receiver.deliveries.length, "the event of the other channel");
    for (const { n } of list) {
        assert.equal((await server.request("POST", `/webhooks/${id}/deliveries/${n}/retry`)).status, 202);
    }
    await eventually(async () => (await skipped(server, id)).length === 0, "all to be delivered");
    assert.deepEqual(receiver.deliveries.map(({ body }) => body.id).sort(), [first.id, between.id, last.id]);
});

test("a flood of events that came round too often is noted in few lines, and is no work for the receiver", async (t) => {
    const server = await startServer(t);
    const receiver = await Receiver.start(t);
    const { id } = await register(server, receiver.url, ["a/**"]);
    const COUNT = 5000;
    for (let n = 0; n < COUNT / 1000; n++) {
        const body = Array.from({ length: 1000 }, (_, i) => ({ channel: `a/${i % 50}`, data: i }));
        assert.equal((await server.request("POST", "/events", { body, headers: { "Event-Hops": "200" } })).status, 201);
    }
    await eventually(async () => (await stats(server)).webhooks.looped === COUNT, "all to be passed over");
    const last = await publish(server, "a/0", "after");
    await receiver.until(() => receiver.deliveries.some(({ body }) => body.id === last.id), "the event behind them");
    assert.equal(receiver.deliveries.length, 1);
    await server.logged(/event=webhook_loop/);
    assert.ok(server.err.match(/event=webhook_loop/g).length < 100);
    await assertWell(server, id);
});

test("Event-Hops is one number from 0 to 255, wherever it is heard", async (t) => {
    const server = await startServer(t, { config: "inbound:\n  - {source: n, kind: none}\n" });
    const targets = { "/channels/a": "x", "/events": '[{"channel":"a","data":1}]', "/inbound/n": "{}" };
    for (const [target, body] of Object.entries(targets)) {
        const send = (hops) => server.request("POST", target, { body, headers: { "Event-Hops": hops } });
        for (const good of ["0", "7", "255", "007"]) {
            assert.equal((await send(good)).status, 201, `${target}: ${good}`);
        }
        for (const bad of ["", "-1", "256", "1.0", "1e1", "0x1", "one", "1,2", "99999999999999999999", ["1", "2"]]) {
            assertProblem(await send(bad), 400, /Event-Hops/);
        }
    }
    assertProblem(await server.request("POST", "/webhooks", { body: { url: "http://127.0.0.1:9/", channels: ["a"], headers: { "event-hops": "1" } } }), 400);
});
