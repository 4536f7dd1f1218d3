// Server-sent events by a client nobody here wrote: the npm package eventsource.

import assert from "node:assert/strict";
import http from "node:http";
import { EventSource } from "eventsource";
import { sourceOfFollow } from "./support/documents.mjs";
import { deadline, eventually, idsOf, startProxy, startServer, sideBySide } from "./support/index.mjs";

const { bothStores, test } = sideBySide(6);

/** An EventSource that ends with the server and collects what it is sent, by type. */
function listen(server, url, types = ["message"]) {
    const source = new EventSource(url);
    server.onStop(() => source.close());
    const heard = { source, events: [], beats: [], gaps: [], errors: [] };
    for (const type of types) {
        source.addEventListener(type, (event) =>
            heard.events.push({ type, id: event.lastEventId, data: event.data }));
    }
    source.addEventListener("$beat", (event) => heard.beats.push(event.lastEventId));
    source.addEventListener("$gap", (event) => heard.gaps.push(JSON.parse(event.data)));
    source.addEventListener("error", (event) => heard.errors.push(event));
    heard.count = (count) => eventually(() => heard.events.length >= count,
        `${count} events; so far ${heard.events.length}`);
    return heard;
}

bothStores("EventSource hears events by their type, with their ids", async (t, server) => {
    const heard = listen(server, `${server.url}/channels/a`, ["message", "trade"]);
    await eventually(() => heard.beats.length > 0, "the first record");
    const first = await server.publish("a", "plain\ntext");
    const second = await server.publish("a", { p: 1 }, { "Event-Type": "trade" });
    const third = await server.publish("a", "");
    await heard.count(3);
    assert.deepEqual(heard.events, [
        { type: "message", id: first.id, data: "plain\ntext" },
        { type: "trade", id: second.id, data: '{"p":1}' },
        { type: "message", id: third.id, data: "" },
    ]);
});

bothStores("EventSource with format=event hears all types as messages", async (t, server) => {
    const heard = listen(server, `${server.url}/events?channel=a/*`);
    await eventually(() => heard.beats.length > 0, "the first record");
    const ids = [];
    for (const type of ["x", "y", "z"]) {
        ids.push((await server.publish(`a/${type}`, type, { "Event-Type": type })).id);
    }
    await heard.count(3);
    assert.deepEqual(idsOf(heard.events), ids);
    assert.deepEqual(heard.events.map((event) => JSON.parse(event.data).type), ["x", "y", "z"]);
});

bothStores("EventSource comes back by itself and misses nothing", async (t, server) => {
    const proxy = await startProxy(server);
    const heard = listen(server, `${proxy.url}/channels/a?after=earliest`);
    const ids = [];
    for (let round = 0; round < 3; round++) {
        for (let n = 0; n < 5; n++) {
            ids.push((await server.publish("a", `${round}.${n}`)).id);
        }
        await heard.count(ids.length);
        proxy.cut();
        ids.push((await server.publish("a", `${round} while it was away`)).id);
    }
    await heard.count(ids.length);
    assert.deepEqual(idsOf(heard.events), ids);
});

bothStores("EventSource cut off before its first event misses nothing", async (t, server) => {
    const proxy = await startProxy(server);
    await server.publish("a", "before it came");
    const heard = listen(server, `${proxy.url}/channels/a`);
    await eventually(() => heard.beats.length > 0, "the first record");
    proxy.cut();
    const ids = await server.publishMany("a", 3);
    await heard.count(3);
    assert.deepEqual(idsOf(heard.events), ids);
});

bothStores("EventSource is told of a gap and then goes on", async (t, server) => {
    const proxy = await startProxy(server);
    const heard = listen(server, `${proxy.url}/channels/a?after=earliest`);
    await server.publish("a", "seen");
    await heard.count(1);
    proxy.isAway = true; /* until all is gone: else it may come back in between, however long it waits */
    proxy.cut();
    await server.publishMany("a", 3);
    await server.request("DELETE", "/channels/a");
    const kept = await server.publish("a", "kept");
    proxy.isAway = false;
    await deadline(heard.count(2), "the event after the gap");
    assert.equal(heard.gaps.length, 1);
    assert.equal(heard.gaps[0].after, heard.events[0].id);
    assert.equal(heard.events[1].id, kept.id);
});

/* Common clients have one function for all records, which parses each one's data. */
bothStores("EventSource can parse the data of each record of the server as JSON", async (t, server) => {
    const proxy = await startProxy(server);
    const records = [];
    const source = new EventSource(`${proxy.url}/events?channel=a&after=earliest&format=event`);
    server.onStop(() => source.close());
    for (const type of ["message", "$beat", "$gap", "$bye"]) {
        source.addEventListener(type, (event) => records.push({ type, id: event.lastEventId, data: event.data }));
    }
    const heard = (type) => eventually(() => records.some((record) => record.type === type), `a ${type}`);
    await heard("$beat");
    await server.publish("a", "seen");
    await heard("message");
    proxy.isAway = true;
    proxy.cut();
    await server.publish("a", "trimmed");
    await server.request("DELETE", "/channels/a");
    proxy.isAway = false;
    await heard("$gap");
    const end = server.terminate();
    await heard("$bye");
    source.close();
    await end;
    for (const record of records) {
        const data = JSON.parse(record.data);
        assert.equal(typeof data, "object", `${record.type}: ${record.data}`);
        if (record.type === "$beat") {
            const { connection: _, ...rest } = data; /* the first has it */
            assert.deepEqual(rest, { cursor: record.id });
        }
    }
});

/* ---- behind a proxy that answers in the server's place ---- */

/** The function `follow` of docs/api.md, as it stands there. */
function followOfTheDocuments() {
    return new Function("EventSource", `${sourceOfFollow()}; return follow;`)(EventSource);
}

/** An HTTP proxy that answers 502 while there is no server; how often it did. */
async function gateway(t, server) {
    const proxy = { refused: 0 };
    const http1 = http.createServer((req, res) => {
        const onward = http.request({ host: "127.0.0.1", port: server.port, path: req.url, headers: req.headers, agent: false }, (answer) => {
            res.writeHead(answer.statusCode, answer.headers);
            answer.pipe(res);
            answer.on("error", () => res.destroy());
        });
        onward.on("error", () => {
            proxy.refused++;
            res.headersSent ? res.destroy() : res.writeHead(502).end("Bad Gateway");
        });
        res.on("close", () => onward.destroy());
        onward.end();
    });
    await new Promise((resolve) => http1.listen(0, "127.0.0.1", resolve));
    t.after(() => {
        http1.closeAllConnections?.();
        http1.close();
    });
    return Object.assign(proxy, { url: `http://127.0.0.1:${http1.address().port}` });
}

test("the lines of the documents come back through a proxy that said 502, and miss nothing", async (t) => {
    const server = await startServer(t, { data: true });
    const proxy = await gateway(t, server);
    const got = [], sources = [];
    const follow = followOfTheDocuments();
    follow(`${proxy.url}/channels/a?after=earliest`, {
        message: (event) => { sources.push(event.target); got.push(event.data); },
        trade: (event) => { sources.push(event.target); got.push(event.data); },
    });
    server.onStop(() => sources.forEach((source) => source.close()));
    await server.publish("a", "one");
    await server.publish("a", "two", { "Event-Type": "trade" });
    await eventually(() => got.length === 2, "two events");
    await server.kill();
    await eventually(() => proxy.refused > 0, "the proxy to answer in the server's place");
    await server.start();
    await server.publish("a", "three", { "Event-Type": "trade" });
    await server.publish("a", "four");
    await eventually(() => got.length >= 4, "what was published meanwhile");
    assert.deepEqual(got, ["one", "two", "three", "four"]);
});
