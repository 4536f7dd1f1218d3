// What a publish is answered with, and the event's type with its query twin.

import assert from "node:assert/strict";
import { ID, TIME, assertProblem, bothStores, startServer, test } from "./support/index.mjs";

bothStores("a publish is answered with 201 and the event's id, channel and time", async (t, server) => {
    const before = Date.now();
    const answer = await server.post("news/today", "hello");
    const after = Date.now();
    assert.equal(answer.status, 201);
    assert.match(answer.headers["content-type"], /^application\/json\b/);
    assert.match(answer.headers["cache-control"], /\bno-store\b/);
    const body = answer.json();
    assert.match(body.id, ID);
    assert.ok(Number(body.id) < 2 ** 53);
    assert.equal(body.channel, "news/today");
    assert.match(body.time, TIME);
    const time = Date.parse(body.time);
    assert.ok(time >= before - 2000 && time <= after + 2000, `${body.time} is not now`);
    assert.ok(!("duplicate" in body));
    const [event] = await server.history("news/today");
    assert.equal(event.id, body.id);
    assert.equal(event.time, body.time);
});

bothStores("ids strictly increase over all channels and times never decrease", async (t, server) => {
    let last = { id: "", time: "" };
    for (let n = 0; n < 300; n++) {
        const answer = await server.publish(`c/${n % 7}`, "x");
        assert.ok(answer.id > last.id, `${answer.id} after ${last.id}`);
        assert.ok(answer.time >= last.time);
        last = answer;
    }
});

bothStores("ids stay unique when many publish at once", async (t, server) => {
    const answers = await Promise.all(
        Array.from({ length: 200 }, (_, n) => server.publish(`c/${n % 5}`, `${n}`)));
    assert.equal(new Set(answers.map((answer) => answer.id)).size, 200);
});

bothStores("an event's type comes from its header or from the query; else it is message", async (t, server) => {
    await server.publish("typed", "0");
    await server.publish("typed", "1", { "Event-Type": "trade" });
    await server.publish("typed", "2", {}, "?type=quote");
    await server.publish("typed", "3", { "event-type": "  padded  " });
    await server.publish("typed", "4", {}, "?type=a%2Fb%3Ac");
    const types = (await server.history("typed")).map((event) => event.type);
    assert.deepEqual(types, ["message", "trade", "quote", "padded", "a/b:c"]);
});

test("a type is 1 to 64 of letters, digits and . _ : / -", async (t) => {
    const server = await startServer(t);
    for (const type of ["a", "Z", "0", ".", "_", ":", "/", "-", "com.example/order:paid_v-2", "x".repeat(64),
        "Error", "OPEN", "errors", "opened", "message"]) {
        await server.publish("types", type, { "Event-Type": type });
        const [event] = await server.history("types", "?last=1");
        assert.equal(event.type, type);
    }
});

test("a type that is too long, oddly spelled or reserved is refused", async (t) => {
    const server = await startServer(t);
    const bad = ["x".repeat(65), "a b", "a,b", "a;b", 'a"b', "a*", "a+b", "a%b", "a\\b", "a@b", "(a)", "a$b",
        "error", "open", "$gap", "$beat", "$bye", "$", "$anything"];
    for (const type of bad) {
        const byHeader = await server.post("bad", "x", { "Event-Type": type });
        assert.equal(byHeader.status, 400, `Event-Type: ${type} answered ${byHeader.status}`);
        assertProblem(byHeader, 400);
        const byQuery = await server.post("bad", "x", {}, `?type=${encodeURIComponent(type)}`);
        assert.equal(byQuery.status, 400, `?type=${type} answered ${byQuery.status}`);
    }
    for (const query of ["?type=%C3%A4", "?type=a%00b", "?type=a%0Ab", "?type=%FF"]) {
        assertProblem(await server.post("bad", "x", {}, query), 400);
    }
    assert.deepEqual(await server.history("bad"), []);
});

test("a publish that is refused leaves the connection usable", async (t) => {
    const server = await startServer(t);
    const conn = await server.connect();
    const head = `POST /channels/a HTTP/1.1\r\nHost: 127.0.0.1:${server.port}\r\n`;
    await conn.send(`${head}Event-Type: error\r\nContent-Length: 5\r\n\r\nhello`);
    assertProblem(await conn.readResponse(), 400);
    await conn.send(`${head}Content-Length: 5\r\n\r\nhello`);
    assert.equal((await conn.readResponse()).status, 201);
});

test("a publisher of an event that many clients would refuse is warned, and of no other", async (t) => {
    for (const [soft, config] of [[32768, ""], [100, "limits:\n  event_soft_max: 100\n"]]) {
        const server = await startServer(t, { config });
        const warning = async (answer) => (assert.ok(answer.status < 300, answer.text), answer.headers["event-warning"]);
        const large = "x".repeat(soft + 1);
        assert.equal(await warning(await server.post("a", "x".repeat(soft))), undefined);
        assert.match(await warning(await server.post("a", large)), new RegExp(`^${soft + 1} bytes .*event_soft_max = ${soft}\\)`));
        assert.match(await warning(await server.post("a", large, {}, "?ephemeral=1")), /bytes/);
        const many = (...datas) => server.request("POST", "/events", {
            body: JSON.stringify(datas.map((data) => ({ channel: "a", data }))), headers: { "Content-Type": "application/json" },
        });
        assert.equal(await warning(await many("one", "two")), undefined);
        assert.match(await warning(await many("one", large, "three")), new RegExp(`^${soft + 1} bytes`));
    }
});
