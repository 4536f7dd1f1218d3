// What somebody meets who tries the server by hand for the first time: a refusal says what would be right, and an answer
// leaves the terminal's prompt on a line of its own.

import assert from "node:assert/strict";
import { startServer, test } from "./support/index.mjs";

const detailOf = (answer) => answer.json().detail;

test("each document of JSON ends with a newline", async (t) => {
    const server = await startServer(t);
    await server.publish("news", "hello");
    const made = await server.request("POST", "/webhooks", { body: JSON.stringify({ url: "http://localhost:9/", channels: ["none"] }) });
    const { id } = made.json();
    const answers = { "POST /webhooks": made, "POST /channels/news": await server.request("POST", "/channels/news", { body: "x" }),
        "POST /events": await server.request("POST", "/events", { body: '[{"channel":"a","data":1}]' }),
        "POST /webhooks/ID/pause": await server.request("POST", `/webhooks/${id}/pause`),
        "POST /keys": await server.request("POST", "/keys", { body: '{"name":"a","grants":[{"channels":["a"],"may":["read"]}]}' }),
        "POST /revocations": await server.request("POST", "/revocations", { body: '{"subject":"a"}' }) };
    for (const target of ["/", "/channels", "/channels/news", "/events?channel=news", "/webhooks", `/webhooks/${id}`, `/webhooks/${id}/deliveries`, "/keys",
        "/revocations", "/subscribers", "/configuration", "/stats", "/healthz", "/readyz", "/openapi.json", "/asyncapi.json", "/nowhere"]) {
        answers[`GET ${target}`] = await server.request("GET", target);
    }
    for (const [what, answer] of Object.entries(answers)) {
        assert.match(answer.headers["content-type"], /json/, what);
        assert.doesNotThrow(() => answer.json(), what);
        assert.equal(answer.text.slice(-2), "}\n", what);
    }
});

test("a method that a path does not have is answered with those that it has", async (t) => {
    const server = await startServer(t);
    const put = await server.request("PUT", "/channels/news", { body: "x" });
    assert.equal(put.status, 405);
    assert.equal(detailOf(put), `this path takes ${put.headers.allow}`);
    const nameless = await server.request("POST", "/channels", { body: "x" });
    assert.equal(nameless.status, 405);
    assert.equal(detailOf(nameless), "this path takes GET, HEAD, OPTIONS");
});

test("a publish to a path that is none says where channels are", async (t) => {
    const server = await startServer(t);
    const answer = await server.request("POST", "/news", { body: "x" });
    assert.equal(answer.status, 404);
    assert.match(detailOf(answer), /a channel is at \/channels\/NAME/);
});

test("a WebSocket to a path without one is told where they open", async (t) => {
    const server = await startServer(t);
    const headers = { Connection: "Upgrade", Upgrade: "websocket", "Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==" };
    for (const target of ["/stats", "/nowhere"]) {
        const answer = await server.request("GET", target, { headers, fresh: true });
        assert.equal(answer.status, 404);
        assert.match(detailOf(answer), /a WebSocket opens at \/channels\/NAME or \/events/);
    }
});

test("a time whose + was not encoded is told how to write it", async (t) => {
    const server = await startServer(t);
    const time = "2026-11-23T18:00:00+00:00";
    const wrong = await server.request("GET", `/channels/news?after=${time}`);
    assert.equal(wrong.status, 400);
    assert.match(detailOf(wrong), /a \+ as %2B/);
    assert.equal((await server.request("GET", `/channels/news?after=${encodeURIComponent(time)}`)).status, 200);
    assert.doesNotMatch(detailOf(await server.request("GET", "/channels/news?after=yesterday")), /%2B/);
});

test("a page that was opened as a file is told to be served", async (t) => {
    const server = await startServer(t);
    const file = await server.request("GET", "/channels/news", { headers: { Origin: "null" } });
    assert.equal(file.status, 403);
    assert.match(detailOf(file), /opened as a file.*python3 -m http\.server/);
    const other = await server.request("GET", "/channels/news", { headers: { Origin: "https://example.org" } });
    assert.doesNotMatch(detailOf(other), /opened as a file/);
});

test("If-Match of zeroes publishes to a channel that has never been", async (t) => {
    const server = await startServer(t);
    const first = { "If-Match": '"0000000000000000"' };
    assert.equal((await server.request("POST", "/channels/new", { body: "x", headers: first })).status, 201);
    assert.equal((await server.request("POST", "/channels/new", { body: "x", headers: first })).status, 412);
});

test("before overrides after, last and wait", async (t) => {
    const server = await startServer(t);
    const ids = [];
    for (const data of ["a", "b", "c"]) {
        ids.push((await server.publish("news", data)).id);
    }
    const answer = await server.request("GET", `/channels/news?before=${ids[2]}&after=${ids[1]}&last=1&wait=20`);
    assert.deepEqual(answer.json().events.map((event) => event.id), ids.slice(0, 2));
    const empty = await server.request("GET", `/channels/news?before=${ids[0]}&wait=20`);
    assert.deepEqual(empty.json().events, []);
});

test("the greeting leads to the pages, and names only what can be done", async (t) => {
    const open = await startServer(t);
    assert.match(open.out, new RegExp(`In a browser: ${open.url}/ leads to the playground`));
    assert.match(open.out, /channels\/inbox/);
    const guarded = await startServer(t, { config: "access: {anybody: []}\n" });
    assert.match(guarded.out, new RegExp(`Authorization: Bearer \\$KEY" ${guarded.url}/channels/news -d 'hello'`));
    assert.match(guarded.out, /In a browser: \S+\/console/);
    assert.doesNotMatch(guarded.out, /webhooks/);
});

test("a refusal of a body or an event says how large it may be", async (t) => {
    const server = await startServer(t, { config: "limits: {body_max: 1000}\nnamespaces: [{prefix: small, event_max: 10}]\n" });
    const body = await server.request("POST", "/channels/a", { body: "x".repeat(1001), fresh: true });
    assert.equal(body.status, 413);
    assert.match(detailOf(body), /more than 1000 bytes \(limits\.body_max\)/);
    const event = await server.request("POST", "/channels/small/a", { body: "x".repeat(11) });
    assert.equal(event.status, 413);
    assert.equal(event.json().max, 10);
});
