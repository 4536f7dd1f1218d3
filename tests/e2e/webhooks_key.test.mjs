// POST /webhooks with an Idempotency-Key: repeating a registration whose answer was lost makes nothing twice.

import assert from "node:assert/strict";
import { bothStores, eventually, startServer, test } from "./support/index.mjs";
import { assertProblem } from "./support/problems.mjs";
import { Receiver } from "./support/receiver.mjs";

const register = (server, key, body) =>
    server.request("POST", "/webhooks", { body, headers: key === undefined ? {} : { "Idempotency-Key": key } });
const listed = async (server) => (await server.get("/webhooks")).json().webhooks;

bothStores("the same key and body answer with the webhook that was made, secret and all, and send no ping", async (t, server) => {
    const receiver = await Receiver.start(t);
    const body = { url: receiver.url, channels: ["a"] };
    const first = await register(server, "k-1", body);
    assert.equal(first.status, 201, first.text);
    await receiver.until(() => receiver.pings.length === 1, "the first ping");
    for (const key of ["k-1", '"k-1"', " k-1 "]) {
        const again = await register(server, key, body);
        assert.equal(again.status, 200, again.text);
        assert.equal(again.json().id, first.json().id);
        assert.equal(again.json().secret, first.json().secret);
        assert.equal(again.headers.location ?? again.headers.get?.("location"), `/webhooks/${first.json().id}`);
    }
    assert.equal((await listed(server)).length, 1);
    assert.equal((await server.request("POST", `/webhooks/${first.json().id}/ping`)).json().ok, true);
    assert.equal(receiver.pings.length, 2, "a ping only where it was asked for");
    /* Another key, and none, make another. */
    assert.equal((await register(server, "k-2", body)).status, 201);
    assert.equal((await register(server, undefined, body)).status, 201);
    assert.equal((await register(server, undefined, body)).status, 201);
    assert.equal((await listed(server)).length, 4);
});

test("another body under the key is refused, however little it differs", async (t) => {
    const server = await startServer(t);
    const receiver = await Receiver.start(t);
    const body = { url: receiver.url, channels: ["a"] };
    assert.equal((await register(server, "k", body)).status, 201);
    for (const other of [{ ...body, channels: ["b"] }, { ...body, ordered: true }, { channels: ["a"], url: receiver.url }]) {
        assertProblem(await register(server, "k", other), 422, /key/);
    }
    assert.equal((await listed(server)).length, 1);
});

test("a key is known after a restart, after changes of its webhook, and no longer once that is deleted", async (t) => {
    const server = await startServer(t, { data: true });
    const receiver = await Receiver.start(t);
    const body = { url: receiver.url, channels: ["a"] };
    const { id, secret } = (await register(server, "k", body)).json();
    await server.restart();
    const again = await register(server, "k", body);
    assert.equal(again.status, 200);
    assert.deepEqual([again.json().id, again.json().secret], [id, secret]);
    assert.equal((await server.request("PATCH", `/webhooks/${id}`, { body: { channels: ["b"] } })).status, 200);
    const rotated = (await server.request("POST", `/webhooks/${id}/rotate`)).json().secret;
    await server.restart();
    const changed = (await register(server, "k", body)).json();
    assert.deepEqual([changed.id, changed.secret, changed.channels], [id, rotated, ["b"]]);
    assert.equal((await server.request("DELETE", `/webhooks/${id}`)).status, 204);
    const anew = await register(server, "k", body);
    assert.equal(anew.status, 201);
    assert.notEqual(anew.json().id, id);
    await server.restart();
    assert.equal((await register(server, "k", body)).json().id, anew.json().id);
});

test("many requests at once under one key make one webhook", async (t) => {
    const server = await startServer(t, { data: true });
    const receiver = await Receiver.start(t);
    const body = { url: receiver.url, channels: ["a"], verify: "ping" };
    const answers = await Promise.all(Array.from({ length: 12 }, () => register(server, "k", body)));
    assert.equal(answers.filter(({ status }) => status === 201).length, 1);
    for (const answer of answers) {
        assert.ok([200, 201, 503].includes(answer.status), answer.text);
    }
    assert.equal((await listed(server)).length, 1);
    assert.equal((await register(server, "k", body)).status, 200);
});

test("a refused registration leaves the key free", async (t) => {
    const server = await startServer(t);
    const receiver = await Receiver.start(t);
    const body = { url: receiver.url, channels: ["a"], verify: "slack" };
    assertProblem(await register(server, "k", { url: receiver.url }), 400);
    assertProblem(await register(server, "k", body), 400);
    assertProblem(await register(server, "k", { ...body, after: "9999999999999999", verify: "none" }), 400);
    assert.equal((await register(server, "k", { ...body, verify: "ping" })).status, 201);
    assert.equal((await listed(server)).length, 1);
});

test("a malformed key is refused", async (t) => {
    const server = await startServer(t);
    const body = { url: "http://127.0.0.1:9/", channels: ["a"] };
    for (const key of ["", '"', '""', "x".repeat(256)]) {
        assertProblem(await register(server, key, body), 400, /Idempotency-Key/);
    }
    assert.equal((await register(server, "x".repeat(255), body)).status, 201);
    await eventually(async () => (await listed(server)).length === 1, "one webhook");
});
