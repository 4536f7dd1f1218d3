// Which names a channel may have, which are refused, and what patterns match.

import assert from "node:assert/strict";
import {
    assertProblem, bothStores, dataOf, encodeChannel, idsOf, page, startServer, test,
} from "./support/index.mjs";

/** Publishes and reads at a raw path, which is not encoded for the test. */
async function refusedEverywhere(server, path) {
    for (const [method, body] of [["POST", "x"], ["GET", undefined], ["DELETE", undefined]]) {
        const answer = await server.request(method, `/channels/${path}`, { body });
        assert.equal(answer.status, 400, `${method} /channels/${path} answered ${answer.status}`);
        assertProblem(answer, 400);
    }
}

function select(channels, rest = "") {
    return `/events?${channels.map((c) => `channel=${encodeURIComponent(c)}`).join("&")}${rest}`;
}

bothStores("a channel comes into being by use, with any number of segments", async (t, server) => {
    for (const channel of ["a", "a/b", "a/b/c/d/e/f/g", "trades/btc-usd", "käse/ブリー/🧀", "a b"]) {
        const answer = await server.publish(channel, "x");
        assert.equal(answer.channel, channel);
        const [event] = await server.history(channel);
        assert.equal(event.channel, channel);
        assert.equal(event.id, answer.id);
    }
});

test("a channel that nobody has used yet reads as empty", async (t) => {
    const server = await startServer(t);
    const answer = await server.page("/channels/never/heard/of");
    assert.deepEqual(answer.events, []);
    assert.equal(answer.more, false);
});

test("a path is decoded once, segment by segment", async (t) => {
    const server = await startServer(t);
    const names = [
        ["%6eews", "news"],
        ["%6E%65%77%73", "news"],
        ["caf%C3%A9", "café"],
        ["caf%c3%a9", "café"],
        ["%2541", "%41"],
        ["a%252Fb", "a%2Fb"],
        ["a+b", "a+b"],
        ["a%20b", "a b"],
        ["a%3Fb%26c%3Dd%23e", "a?b&c=d#e"],
        ["x;y=1", "x;y=1"],
        ["a:b@c!d'e(f)g,h", "a:b@c!d'e(f)g,h"],
        ["a/%24b", "a/$b"],
        ["...", "..."],
        [".a/b.", ".a/b."],
    ];
    for (const [path, name] of names) {
        const answer = await server.request("POST", `/channels/${path}`, { body: "x" });
        assert.equal(answer.status, 201, `${path}: ${answer.text}`);
        assert.equal(answer.json().channel, name);
    }
});

test("names are compared byte by byte: case and Unicode form make different channels", async (t) => {
    const server = await startServer(t);
    for (const name of ["News", "news", "caf\u00e9", "cafe\u0301"]) {
        await server.publish(name, name);
    }
    for (const name of ["News", "news", "caf\u00e9", "cafe\u0301"]) {
        assert.deepEqual(dataOf(await server.history(name)), [name]);
    }
});

test("a segment that is empty, a dot or two dots is refused", async (t) => {
    const server = await startServer(t);
    for (const path of ["a//b", "a/", "/a", "a/b/", ".", "..", "a/.", "a/..", "a/./b", "a/../b",
        "%2e", "%2E%2e", ".%2e", "a/%2E/b", "a/%2e%2E"]) {
        await refusedEverywhere(server, path);
    }
});

test("an encoded slash is refused and never becomes a separator", async (t) => {
    const server = await startServer(t);
    await refusedEverywhere(server, "a%2Fb");
    await refusedEverywhere(server, "a%2fb");
    await refusedEverywhere(server, "%2F");
    assert.deepEqual(await server.history("a/b"), []);
});

test("control characters in a name are refused: C0, DEL and C1", async (t) => {
    const server = await startServer(t);
    for (const path of ["%00", "a%00b", "%01", "%09", "%0A", "%0D", "a%1F", "%7F", "%C2%80", "a%C2%85",
        "%C2%9F"]) {
        await refusedEverywhere(server, path);
    }
    assert.equal((await server.publish("a\u00a0b", "x")).channel, "a\u00a0b"); // the first above C1
});

test("a name that is not UTF-8 is refused", async (t) => {
    const server = await startServer(t);
    for (const path of ["%FF", "%80", "a%C3", "%C0%AF", "%C0%80", "%E0%80%AF", "%ED%A0%80", "%ED%BF%BF",
        "%F4%90%80%80", "%F8%88%80%80%80", "%E2%82"]) {
        await refusedEverywhere(server, path);
    }
});

test("a percent sign that begins no escape is refused", async (t) => {
    const server = await startServer(t);
    for (const path of ["%", "a%", "a%4", "%zz", "%4g", "a%%41"]) {
        await refusedEverywhere(server, path);
    }
});

test("patterns are refused where a name is due", async (t) => {
    const server = await startServer(t);
    for (const path of ["*", "**", "a/*", "a/**", "*/a", "a*b", "%2A", "a/%2a%2A"]) {
        await refusedEverywhere(server, path);
    }
});

bothStores("a name of 255 bytes is accepted and one of 256 refused, once decoded", async (t, server) => {
    const fits = ["a".repeat(255), `${"é".repeat(127)}a`, `${"a/".repeat(127)}a`, "🧀".repeat(63) + "abc"];
    for (const name of fits) {
        assert.equal(Buffer.byteLength(name), 255);
        assert.equal((await server.publish(name, "x")).channel, name);
        assert.equal((await server.history(name)).length, 1);
    }
    for (const name of ["a".repeat(256), "é".repeat(128), `${"a/".repeat(127)}aa`, "a".repeat(2000)]) {
        await refusedEverywhere(server, encodeChannel(name));
    }
});

test("nobody publishes where the first segment begins with a dollar sign", async (t) => {
    const server = await startServer(t);
    for (const path of ["$sys", "%24sys", "$", "$sys/a/b"]) {
        assertProblem(await server.request("POST", `/channels/${path}`, { body: "x" }), [400, 403]);
    }
    assertProblem(
        await server.request("POST", "/events", { body: [{ channel: "$sys/a", data: 1 }] }), [400, 403]);
    assert.equal((await server.publish("a/$b", "x")).channel, "a/$b");
});

test("a star stands for exactly one segment", async (t) => {
    const server = await startServer(t);
    for (const channel of ["a", "a/b", "a/c", "a/b/c", "b/b", "a/b/d"]) {
        await server.publish(channel, channel);
    }
    const matches = async (pattern) => dataOf((await server.page(select([pattern]))).events);
    assert.deepEqual(await matches("*"), ["a"]);
    assert.deepEqual(await matches("a/*"), ["a/b", "a/c"]);
    assert.deepEqual(await matches("*/b"), ["a/b", "b/b"]);
    assert.deepEqual(await matches("*/*"), ["a/b", "a/c", "b/b"]);
    assert.deepEqual(await matches("a/*/c"), ["a/b/c"]);
    assert.deepEqual(await matches("*/*/*"), ["a/b/c", "a/b/d"]);
});

test("two stars at the end stand for one segment or more, not for none", async (t) => {
    const server = await startServer(t);
    for (const channel of ["a", "a/b", "a/b/c", "b", "b/a", "ab/c"]) {
        await server.publish(channel, channel);
    }
    const matches = async (pattern) => dataOf((await server.page(select([pattern]))).events);
    assert.deepEqual(await matches("a/**"), ["a/b", "a/b/c"]);
    assert.deepEqual(await matches("**"), ["a", "a/b", "a/b/c", "b", "b/a", "ab/c"]);
    assert.deepEqual(await matches("*/**"), ["a/b", "a/b/c", "b/a", "ab/c"]);
    assert.deepEqual(await matches("a/b/**"), ["a/b/c"]);
    assert.deepEqual(await matches("*/b/**"), ["a/b/c"]);
});

test("a malformed pattern is refused", async (t) => {
    const server = await startServer(t);
    for (const pattern of ["a/**/b", "**/a", "a*", "*a", "a/b*c", "***", "a/***", "a//*", "/*", "*/", "",
        "a/../*", "a/\u0001", `${"a".repeat(255)}/*`,
        "*/*/*/*/*", "a/*/b/*/c/*/d/*/e/*", `${"a/".repeat(16)}*`, `${"*/a/".repeat(8)}**`]) {
        const answer = await server.get(select([pattern]));
        assert.equal(answer.status, 400, `${JSON.stringify(pattern)} answered ${answer.status}`);
        assertProblem(answer, 400);
    }
});

test("a channel in a query is decoded once, then split", async (t) => {
    const server = await startServer(t);
    const plain = await server.publish("a/b", "1");
    const odd = await server.request("POST", "/channels/a%252Fb", { body: "2" });
    assert.equal(odd.status, 201);
    const read = async (query) => idsOf((await server.page(`/events?${query}`)).events);
    assert.deepEqual(await read("channel=a/b"), [plain.id]);
    assert.deepEqual(await read("channel=a%2Fb"), [plain.id]);
    assert.deepEqual(await read("channel=a%252Fb"), [odd.json().id]);
    assert.deepEqual(await read("channel=a%2F%2A"), [plain.id]);
});

bothStores("an event is handed out once, however many of the patterns match it", async (t, server) => {
    const { id } = await server.publish("a/b", "x");
    const path = select(["a/b", "a/*", "a/**", "**", "*/b", "a/b"]);
    assert.deepEqual(idsOf((await page(server, path)).events), [id]);
    const stream = await server.ndjson(`${path}&after=earliest`);
    assert.equal((await stream.event()).id, id);
    const next = await server.publish("a/b", "y");
    assert.equal((await stream.event()).id, next.id);
});

test("a pattern also matches channels that come into being later", async (t) => {
    const server = await startServer(t);
    const stream = await server.ndjson(select(["new/**"]));
    await server.publish("old/one", "not this");
    const first = await server.publish("new/one", "this");
    const second = await server.publish("new/one/deeper", "and this");
    assert.deepEqual(idsOf(await stream.events(2)), [first.id, second.id]);
});

test("up to 100 channels can be asked for at once, not 101, and not none", async (t) => {
    const server = await startServer(t);
    const names = Array.from({ length: 100 }, (_, n) => `c/${n}`);
    await server.publish("c/0", "first");
    await server.publish("c/99", "last");
    assert.deepEqual(dataOf((await server.page(select(names))).events), ["first", "last"]);
    assertProblem(await server.get(select([...names, "c/100"])), 400);
    assertProblem(await server.get("/events"), 400);
});
