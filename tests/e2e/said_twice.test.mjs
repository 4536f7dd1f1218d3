// What a request says twice, or where it means nothing, is refused and not chosen among or dropped.

import assert from "node:assert/strict";
import { assertProblem, bothStores, request, startServer, test } from "./support/index.mjs";

/** One raw request; answers its status. */
async function statusOf(server, lines, body = "") {
    const conn = await server.connect();
    await conn.send(`${lines.join("\r\n")}\r\nHost: 127.0.0.1:${server.port}\r\n` +
        `Content-Length: ${body.length}\r\n\r\n${body}`);
    const { status } = await conn.readHead();
    conn.destroy();
    return status;
}

bothStores("a header that steers a publish is refused when it is there twice", async (t, server) => {
    const { id } = await server.publish("a", "first");
    for (const pair of [
        [`If-Match: "${id}"`, `If-Match: "${id}"`],
        ["Event-Type: x", "Event-Type: y"],
        ["Content-Type: text/plain", "Content-Type: application/json"],
        ["Idempotency-Key: k", "Idempotency-Key: l"],
    ]) {
        assert.equal(await statusOf(server, ["POST /channels/a HTTP/1.1", ...pair], "1"), 400, pair[0]);
    }
    assert.equal((await server.history("a")).length, 1);
});

test("a second Origin does not slip past the first", async (t) => {
    const server = await startServer(t);
    const origins = ["Origin: http://localhost", "Origin: http://evil.example"];
    for (const pair of [origins, [...origins].reverse()]) {
        assert.equal(await statusOf(server, ["GET /channels/a HTTP/1.1", ...pair]), 403);
    }
});

bothStores("a batch does not store what was asked not to be stored", async (t, server) => {
    const event = { channel: "a", data: "x" };
    for (const [path, body] of [
        ["/events?ephemeral=1", [event]],
        ["/events", [{ ...event, ephemeral: true }]],
        ["/events?key=k", [event]],
        ["/events?type=t", [event]],
    ]) {
        assertProblem(await request(server, "POST", path, { body }), 400);
    }
    assertProblem(await request(server, "POST", "/events", { body: [event], headers: { "Idempotency-Key": "k" } }), 400);
    assert.deepEqual(await server.history("a"), []);
});

bothStores("a batch of nothing is answered with nothing", async (t, server) => {
    const answer = await request(server, "POST", "/events", { body: [] });
    assert.equal(answer.status, 201);
    assert.deepEqual(answer.json(), { events: [] });
});

bothStores("an ephemeral event with If-Match is refused", async (t, server) => {
    const { id } = await server.publish("a", "first");
    assertProblem(await server.post("a", "x", { "If-Match": `"${id}"` }, "?ephemeral=1"), 400);
});

bothStores("an answer of 410 carries a cursor that leads to all that is retained", async (t, server) => {
    const first = await server.publish("a", "gone");
    await server.request("DELETE", "/channels/a");
    await server.publish("a", "kept");
    const before = String(BigInt(first.id) - 1n).padStart(16, "0");
    for (const after of [before, "9007199254740000"]) {
        const gone = await server.get(`/channels/a?after=${after}`);
        assert.equal(gone.status, 410);
        assert.match(gone.headers.cursor, /^\d{16}$/);
        const events = await server.history("a", `?after=${gone.headers.cursor}`);
        assert.deepEqual(events.map((event) => event.data), ["kept"]);
    }
});
