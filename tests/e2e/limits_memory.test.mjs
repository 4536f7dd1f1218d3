// Past memory_max new work is refused, what is there goes on, and all is well again once there is memory.

import assert from "node:assert/strict";
import { once } from "node:events";
import http2 from "node:http2";
import { deadline, eventually, startServer, test } from "./support/index.mjs";
import { Freshet } from "./support/ws.mjs";

const MIB = 1 << 20;

/** Asks over a session; answers { status, headers, text } once the response is whole. */
function ask(session, method, path, body) {
    const stream = session.request({ ":method": method, ":path": path });
    const answer = { text: "" };
    stream.setEncoding("utf8");
    stream.on("response", (headers) => Object.assign(answer, { headers, status: headers[":status"] }));
    stream.on("data", (text) => (answer.text += text));
    stream.end(body);
    return deadline(once(stream, "close").then(() => answer), `an answer to ${method} ${path}`);
}

function assertFull(answer) {
    assert.equal(answer.status, 503, answer.text);
    assert.ok(answer.headers["retry-after"]);
    assert.match(answer.text, /memory_max/);
}

test("past memory_max new work is refused, streams go on, and the server recovers", async (t) => {
    const server = await startServer(t, { memory: true, args: ["--threads", "2"],
        config: "limits: {memory_max: 96MiB, body_max: 2MiB, window_bytes: 1MiB}\n" });
    const session = http2.connect(server.url);
    t.after(() => session.destroy());
    const v1 = await Freshet.open(t, server);
    const stream = session.request({ ":path": "/channels/small?stream=ndjson" });
    let heard = "";
    stream.setEncoding("utf8");
    stream.on("data", (text) => (heard += text));
    await deadline(once(stream, "response"), "a stream");

    let refused;
    for (let n = 0; n < 240 && !refused; n++) {
        const answer = await ask(session, "POST", "/channels/big", "x".repeat(MIB));
        refused = answer.status === 201 ? undefined : answer;
    }
    assertFull(refused);
    assertFull(await ask(session, "GET", "/channels/other?stream=sse"));
    assertFull(await ask(session, "GET", "/channels/small?after=now&wait=9"));
    assert.equal((await v1.answer({ op: "publish", channel: "small", data: 1 })).problem.status, 503);
    assert.equal((await v1.answer({ op: "subscribe", channels: ["small"] })).problem.status, 503);
    const late = await server.connect();
    await late.send("GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n");
    assert.equal((await late.readResponse()).status, 503);
    late.destroy();
    const { limits } = JSON.parse((await ask(session, "GET", "/stats")).text);
    assert.ok(limits.memory_refused >= 6, `${limits.memory_refused} refusals`);

    assert.ok((await ask(session, "DELETE", "/channels/big")).status < 300);
    await eventually(async () => (await ask(session, "POST", "/channels/small", "again")).status === 201, "memory");
    await eventually(() => heard.includes("again"), "the event on the stream that stayed");
    assert.equal((await server.get("/healthz")).status, 200);
});

test("a request may search for as long as read_ms, and gets a link to go on", async (t) => {
    const server = await startServer(t, { config: "limits: {read_ms: 1}\n" });
    const many = JSON.stringify(Array.from({ length: 1000 }, () => ({ channel: "busy", data: 1 })));
    for (let n = 0; n < 40; n++) {
        assert.equal((await server.request("POST", "/events", { body: many })).status, 201);
    }
    assert.equal((await server.request("POST", "/events", { body: JSON.stringify([{ channel: "rare", type: "odd", data: 1 }]) })).status, 201);
    let path = "/events?channel=**&type=odd&after=earliest", pages = 0, found = [];
    while (!found.length && pages++ < 1000) {
        const page = await server.get(path);
        assert.equal(page.status, 200, page.text);
        found = page.json().events;
        path = page.headers.link?.match(/<([^>]+)>; rel="?next/)?.[1] ?? path;
    }
    assert.equal(found.length, 1);
});
