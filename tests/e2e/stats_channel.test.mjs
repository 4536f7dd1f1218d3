// The channel $stats: the server's figures as events, while somebody listens.

import assert from "node:assert/strict";
import { eventually, startServer, sideBySide } from "./support/index.mjs";
import { Socket } from "./support/ws.mjs";

const { test } = sideBySide(4);

test("a listener gets an event a second that tells rates, subscribers and latency", async (t) => {
    const server = await startServer(t, { args: ["--threads", "2"] });
    const news = await server.sse("/channels/news");
    const stream = await server.ndjson("/channels/$stats");
    const beats = setInterval(() => server.publish("news", "x").catch(() => {}), 20);
    t.after(() => clearInterval(beats));
    const reads = (one) => one.subscribers.sse === 1 && one.subscribers.ndjson === 1 && one.subscribers.total === 2;
    let event;
    do {
        event = await stream.event();
    } while (!(reads(event.data) && event.data.events_per_s > 5 && event.data.deliveries_per_s >= event.data.events_per_s / 2));
    clearInterval(beats);
    const { data, type, id } = event;
    assert.equal(type, "stats");
    assert.equal(id, undefined);
    assert.ok(data.events_per_s < 500, JSON.stringify(data));
    assert.ok(data.bytes_per_s > 100);
    assert.ok(data.connections >= 2);
    assert.ok(data.latency_ms.count > 0 && data.latency_ms.p50 <= data.latency_ms.p99 && data.latency_ms.p99 <= data.latency_ms.max);
    assert.ok(data.latency_ms.over_100 <= data.latency_ms.count);
    assert.equal(typeof data.log.retained, "number");
    assert.equal(data.webhooks.endpoints, 0);
    assert.deepEqual(data.limits, {});
    const [first, fourth] = [data, (await stream.events(4)).at(-1).data].map(({ at }) => Date.parse(at));
    assert.ok(fourth - first > 2000 && fourth - first < 120_000, `${fourth - first} ms`); /* a busy machine is late, too: with any of them */
    news.close();
});

test("figures come by WebSocket and poll as well, with the limits that were hit", async (t) => {
    const server = await startServer(t, { config: "rates: {channel: {events: 1}, window_s: 1}\n" });
    await eventually(async () => (await server.post("news", "x")).status === 429, "a limit to be hit");
    const page = await server.page("/channels/$stats?after=now&wait=50");
    assert.ok(page.events.length > 0);
    const socket = await Socket.open(t, server, "/channels/$stats");
    const data = await eventually(async () => {
        const frame = socket.frames.map(({ text }) => JSON.parse(text)).find(({ channel }) => channel === "$stats");
        return frame?.data;
    }, "an event");
    assert.ok(Object.values(data.limits).some((hits) => hits > 0), JSON.stringify(data.limits));
    const refused = await eventually(async () => {
        await Promise.all([1, 2, 3, 4].map(() => server.post("news", "x")));
        return socket.frames.map(({ text }) => JSON.parse(text)).find(({ data }) => data?.refused?.length)?.data.refused;
    }, "who hit it");
    assert.equal(refused[0].problem, "too-many");
    assert.equal(refused[0].address, "127.0.0.1");
    assert.ok(refused[0].count >= 1);
});

test("without a listener nothing is made", async (t) => {
    const server = await startServer(t);
    const stream = await server.ndjson("/channels/$stats");
    await stream.event();
    stream.close();
    const publishes = async () => (await server.get("/stats")).json().publishes;
    let before;
    await eventually(async () => {
        before = await publishes();
        await new Promise((resolve) => setTimeout(resolve, 2500));
        return before === await publishes();
    }, "the figures to end");
    assert.deepEqual((await server.page("/channels/$stats?after=earliest")).events, []);
});

test("reading the figures takes admin, or a grant that names them", async (t) => {
    const server = await startServer(t, { config: "access: {anybody: [read]}\ntokens:\n  - {secret: 0123456789abcdef0123456789abcdef, algorithm: HS256}\n" });
    const { createHmac } = await import("node:crypto");
    const bearer = (grants) => {
        const text = [{ alg: "HS256" }, { exp: Math.floor(Date.now() / 1000) + 600, sub: "x", freshet: { grants } }].map((part) => Buffer.from(JSON.stringify(part)).toString("base64url")).join(".");
        return { Authorization: `Bearer ${text}.${createHmac("sha256", "0123456789abcdef0123456789abcdef").update(text).digest("base64url")}` };
    };
    for (const [grants, status] of [[[{ channels: ["**"], may: ["read"] }], 403], [[{ channels: ["**"], may: ["admin"] }], 200], [[{ channels: ["$stats"], may: ["read"] }], 200]]) {
        assert.equal((await server.get("/channels/$stats", bearer(grants))).status, status, JSON.stringify(grants));
    }
    assert.equal((await server.get("/channels/$stats")).status, 401);
    assert.equal((await server.post("$stats", "1", bearer([{ channels: ["**"], may: ["publish", "admin"] }]))).status, 403);
});
