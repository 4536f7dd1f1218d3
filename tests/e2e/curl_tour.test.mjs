// What a newcomer types into a shell, by curl itself.

import assert from "node:assert/strict";
import { curl, curlStream, dataOf, startServer, subscribersOf, eventually, sideBySide }
    from "./support/index.mjs";

const { bothStores, test } = sideBySide(4);

bothStores("curl -d publishes text and prints the event's id", async (t, server) => {
    const { code, stdout } = await curl([`${server.url}/channels/news`, "-d", "hello"]);
    assert.equal(code, 0);
    const { id, channel } = JSON.parse(stdout);
    assert.equal(channel, "news");
    const [event] = await server.history("news");
    assert.deepEqual([event.id, event.data], [id, "hello"]);
});

bothStores("curl publishes JSON with a type", async (t, server) => {
    const { stdout } = await curl([`${server.url}/channels/trades/btc`, "-H", "Event-Type: trade",
        "-H", "Content-Type: application/json", "-d", '{"price": 67123.50}']);
    assert.match(JSON.parse(stdout).id, /^\d{16}$/);
    const page = await curl([`${server.url}/channels/trades/btc`]);
    assert.ok(page.stdout.includes('"data":{"price": 67123.50}'), page.stdout);
    assert.equal(JSON.parse(page.stdout).events[0].type, "trade");
});

test("curl --json publishes JSON", async (t) => {
    const server = await startServer(t);
    const version = /^curl (\d+)\.(\d+)/.exec((await curl(["--version"])).stdout);
    if (Number(version[1]) < 7 || (Number(version[1]) === 7 && Number(version[2]) < 82)) {
        t.skip("this curl has no --json");
        return;
    }
    await curl([`${server.url}/channels/a`, "--json", '{"n":1}']);
    assert.deepEqual(dataOf(await server.history("a")), [{ n: 1 }]);
});

bothStores("curl publishes a file, sized and chunked, with and without expectation", async (t, server) => {
    const big = "line of text\n".repeat(10_000);
    for (const headers of [[], ["-H", "Transfer-Encoding: chunked"], ["-H", "Expect: 100-continue"],
        ["-H", "Expect:"]]) {
        const { stdout } = await curl([...headers, "-H", "Content-Type: text/plain",
            "--data-binary", "@-", `${server.url}/channels/file`], { input: big });
        assert.match(JSON.parse(stdout).id, /^\d{16}$/);
    }
    assert.deepEqual(dataOf(await server.history("file")), [big, big, big, big]);
});

bothStores("curl reads the same by all four ways of HTTP", async (t, server) => {
    await curl([`${server.url}/channels/news`, "-d", "past"]);
    const sse = curlStream(server, ["-H", "Accept: text/event-stream",
        `${server.url}/channels/news?after=earliest`]);
    const ndjson = curlStream(server, [`${server.url}/channels/news?stream=ndjson&after=earliest`]);
    const raw = curlStream(server, [`${server.url}/channels/news?stream=raw&after=earliest`]);
    await sse.until(/^data: past$/m);
    await ndjson.until(/"data":"past"/);
    await raw.until(/^past$/m);
    const { cursor } = await server.page("/channels/news");
    const poll = curl(["-H", "Prefer: wait=50", `${server.url}/channels/news?after=${cursor}`]);
    await eventually(async () => (await subscribersOf(server, "poll")) === 1, "the poll to be waiting");
    const { stdout } = await curl([`${server.url}/channels/news`, "-d", "live"]);
    const { id } = JSON.parse(stdout);
    const said = await sse.until(/^data: live$/m);
    assert.ok(said.includes(`id: ${id}\n`) || said.includes(`id:${id}\n`), said);
    assert.ok((await ndjson.until(/"data":"live"/)).includes(`"id":"${id}"`));
    await raw.until(/^live$/m);
    const page = JSON.parse((await poll).stdout);
    assert.deepEqual(dataOf(page.events), ["live"]);
    assert.equal(page.cursor, id);
});

bothStores("curl publishes lines of NDJSON as a batch", async (t, server) => {
    const lines = Array.from({ length: 20 }, (_, n) => JSON.stringify({ channel: "log", data: `line ${n}` }));
    const { stdout } = await curl([`${server.url}/events`, "--data-binary", "@-"], { input: lines.join("\n") });
    assert.equal(JSON.parse(stdout).events.length, 20);
    assert.deepEqual(dataOf(await server.history("log")), lines.map((line) => JSON.parse(line).data));
});

test("curl --fail and -w see an error, and -i its problem document", async (t) => {
    const server = await startServer(t);
    const failed = await curl(["--fail", `${server.url}/nowhere`]);
    assert.equal(failed.code, 22);
    const whole = await curl(["-i", `${server.url}/channels/a?after=nonsense`]);
    assert.match(whole.stdout, /^HTTP\/1\.1 400 /);
    assert.match(whole.stdout, /content-type: application\/problem\+json/i);
});

test("curl -I shows the headers of a channel", async (t) => {
    const server = await startServer(t);
    await server.publish("a", "x");
    const { stdout } = await curl(["-I", `${server.url}/channels/a`]);
    assert.match(stdout, /^HTTP\/1\.1 200 /);
    assert.match(stdout, /^cursor: \d{16}\r$/im);
});

test("curl deletes a channel", async (t) => {
    const server = await startServer(t);
    await server.publish("a", "x");
    const { code } = await curl(["--fail", "-X", "DELETE", `${server.url}/channels/a`]);
    assert.equal(code, 0);
    assert.deepEqual(await server.history("a"), []);
});

bothStores("curl takes up a stream where another left it, by the id alone", async (t, server) => {
    const ids = await server.publishMany("a", 6, (n) => `event ${n}`);
    const rest = curlStream(server, ["-H", `Last-Event-ID: ${ids[2]}`, "-H", "Accept: text/event-stream",
        `${server.url}/channels/a`]);
    const said = await rest.until(/event 5/);
    assert.deepEqual(said.match(/event \d/g), ["event 3", "event 4", "event 5"]);
});

bothStores("curl over one connection publishes and reads in turn", async (t, server) => {
    const url = `${server.url}/channels/a`;
    const { stdout, code } = await curl(["-d", "1", url, "--next", "-sS", url, "--next", "-sS", "-d", "2", url,
        "--next", "-sS", `${url}?last=1`]);
    assert.equal(code, 0);
    const answers = stdout.match(/\{"(?:id|events)".*?(?=\{"(?:id|events)":|$)/gs);
    assert.ok(stdout.includes('"data":"1"') && stdout.includes('"data":"2"'), `${answers}`);
});
