// Many events in one request: all of them or none.

import assert from "node:assert/strict";
import {
    ID, TIME, assertLogOrder, assertProblem, bothStores, dataOf, idsOf, nestedArrays, startServer, test,
} from "./support/index.mjs";

function batch(server, body, headers = {}) {
    return server.request("POST", "/events", { body, headers });
}

async function all(server) {
    return (await server.page("/events?channel=**&limit=1000")).events;
}

bothStores("a JSON array is appended in its order, and answered in its order", async (t, server) => {
    const answer = await batch(server, [
        { channel: "a", data: "text", type: "first" },
        { channel: "b/c", data: { n: 2 } },
        { channel: "a", data: null },
        { channel: "a", data: [1, "two"] },
        { channel: "b/c", data_base64: "AAH/", content_type: "image/png", type: "pixel" },
    ]);
    assert.equal(answer.status, 201, answer.text);
    const told = answer.json().events;
    assert.deepEqual(told.map((event) => event.channel), ["a", "b/c", "a", "a", "b/c"]);
    for (const event of told) {
        assert.match(event.id, ID);
        assert.match(event.time, TIME);
        assert.ok(!event.duplicate);
    }
    const events = await all(server);
    assertLogOrder(events);
    assert.deepEqual(idsOf(events), idsOf(told));
    assert.deepEqual(events.map((event) => event.type), ["first", "message", "message", "message", "pixel"]);
    assert.deepEqual(dataOf(events), ["text", { n: 2 }, null, [1, "two"], undefined]);
    assert.equal(events[4].data_base64, "AAH/");
    assert.equal(events[4].content_type, "image/png");
    assert.ok(events.slice(0, 4).every((event) => !("content_type" in event)));
});

bothStores("NDJSON does the same, whatever its Content-Type", async (t, server) => {
    const lines = '{"channel":"a","data":1}\n{"channel":"a","data":"two","type":"t"}\n';
    const forms = [
        [lines, { "Content-Type": "application/x-ndjson" }],
        [lines.trimEnd(), { "Content-Type": "application/x-ndjson" }],
        [lines.replaceAll("\n", "\r\n"), { "Content-Type": "application/x-ndjson" }],
        [lines, { "Content-Type": "application/x-www-form-urlencoded" }],
        [lines, {}],
    ];
    for (const [body, headers] of forms) {
        const answer = await batch(server, body, headers);
        assert.equal(answer.status, 201, answer.text);
        assert.equal(answer.json().events.length, 2);
    }
    assert.deepEqual(dataOf(await all(server)), forms.flatMap(() => [1, "two"]));
});

test("a lone object is published as a list of one", async (t) => {
    const server = await startServer(t);
    const answer = await batch(server, { channel: "a", data: "x" });
    assert.equal(answer.status, 201, answer.text);
    assert.equal(answer.json().events.length, 1);
});

test("an array may stand behind white space and with any Content-Type", async (t) => {
    const server = await startServer(t);
    for (const headers of [{}, { "Content-Type": "application/json" },
        { "Content-Type": "application/x-www-form-urlencoded" }]) {
        const answer = await batch(server, ' \r\n\t[ {"channel" : "a", "data" : 1 } ]\n', headers);
        assert.equal(answer.status, 201, answer.text);
    }
    assert.equal((await all(server)).length, 3);
});

bothStores("JSON data in a batch is kept as exactly as in a single publish", async (t, server) => {
    const datas = ["1e400", "123456789012345678901234567890", '{"z":1,"a":2}', "-0", "1.50", '{"a":1,"a":2}',
        '"\\u0000"', "true", "null", "[]", nestedArrays(128)];
    const array = `[${datas.map((data) => `{"channel":"a","data":${data}}`).join(",")}]`;
    assert.equal((await batch(server, array)).status, 201);
    const ndjson = datas.map((data) => `{"data":${data},"channel":"b"}`).join("\n");
    assert.equal((await batch(server, ndjson)).status, 201);
    for (const channel of ["a", "b"]) {
        const { answer } = await server.page(`/channels/${channel}`);
        for (const data of datas.filter((data) => !data.startsWith('"'))) {
            assert.ok(answer.text.includes(`"data":${data}`), `${data} in ${answer.text}`);
        }
        assert.equal(answer.json().events[6].data, "\u0000");
    }
});

test("data spread over lines becomes one line", async (t) => {
    const server = await startServer(t);
    const answer = await batch(server, '[{"channel":"a","data":{\r\n"n":\n1}}]');
    assert.equal(answer.status, 201, answer.text);
    const raw = await server.raw("/channels/a?after=earliest");
    let line = await raw.line();
    while (line === "") {
        line = await raw.line();
    }
    assert.equal(line, '{  "n": 1}');
});

const BAD_EVENTS = [
    ["no channel", '{"data":1}'],
    ["a channel that is no string", '{"channel":1,"data":1}'],
    ["an empty channel", '{"channel":"","data":1}'],
    ["an empty segment", '{"channel":"a//b","data":1}'],
    ["a dot segment", '{"channel":"a/../b","data":1}'],
    ["a pattern", '{"channel":"a/*","data":1}'],
    ["a control character", '{"channel":"a\\u0000b","data":1}'],
    ["a lone surrogate", '{"channel":"a\\ud800","data":1}'],
    ["a channel too long", `{"channel":"${"a".repeat(256)}","data":1}`],
    ["no data", '{"channel":"a"}'],
    ["data twice over", '{"channel":"a","data":1,"data_base64":"AA=="}'],
    ["base64 that is none", '{"channel":"a","data_base64":"***"}'],
    ["base64 cut short", '{"channel":"a","data_base64":"AAA"}'],
    ["data_base64 that is no string", '{"channel":"a","data_base64":1}'],
    ["a bad type", '{"channel":"a","data":1,"type":"a b"}'],
    ["a reserved type", '{"channel":"a","data":1,"type":"error"}'],
    ["a type of the server's", '{"channel":"a","data":1,"type":"$gap"}'],
    ["a type that is no string", '{"channel":"a","data":1,"type":1}'],
    ["a key too long", `{"channel":"a","data":1,"key":"${"k".repeat(256)}"}`],
    ["a key that is no string", '{"channel":"a","data":1,"key":1}'],
    ["no object", "1"],
    ["an array within", "[]"],
    ["null", "null"],
    ["data too deep", `{"channel":"a","data":${nestedArrays(129)}}`],
];

bothStores("one bad event refuses the whole batch and is named by its index", async (t, server) => {
    const good = '{"channel":"a","data":"good"}';
    for (const [what, bad] of BAD_EVENTS) {
        for (const [form, body] of [["array", `[${good},${good},${bad},${good}]`],
            ["ndjson", `${good}\n${good}\n${bad}\n${good}\n`]]) {
            const answer = await batch(server, body);
            assert.equal(answer.status, 400, `${what} (${form}) answered ${answer.status} ${answer.text}`);
            assert.equal(assertProblem(answer, 400).index, 2, `${what} (${form}): ${answer.text}`);
        }
    }
    assert.deepEqual(await all(server), []);
});

test("a line that is not JSON refuses the whole batch and is named by its index", async (t) => {
    const server = await startServer(t);
    const good = '{"channel":"a","data":"good"}';
    for (const bad of ["{", '{"channel":"a","data":01}', "nonsense", `${good}${good}`, `${good},`]) {
        const answer = await batch(server, `${good}\n${bad}\n${good}\n`);
        assert.equal(assertProblem(answer, 400).index, 1, `${bad}: ${answer.text}`);
    }
    assert.deepEqual(await all(server), []);
});

test("an array that is not JSON is refused", async (t) => {
    const server = await startServer(t);
    const good = '{"channel":"a","data":"good"}';
    for (const body of ["[", `[${good}`, `[${good},]`, `[${good}] ${good}`, `[${good}${good}]`, `[${good}]]`,
        "", " ", "\n\n", '"text"', `[${good},{"channel":"a","data":NaN}]`]) {
        const answer = await batch(server, body);
        assert.equal(answer.status, 400, `${JSON.stringify(body)} answered ${answer.status}`);
        assertProblem(answer, 400);
    }
    assert.deepEqual(await all(server), []);
});

bothStores("1,000 events are taken at once, 1,001 refused with 413 and none appended", async (t, server) => {
    const events = Array.from({ length: 1001 }, (_, n) => ({ channel: `c/${n % 10}`, data: n }));
    assertProblem(await batch(server, events), 413);
    assertProblem(await batch(server, events.map((event) => JSON.stringify(event)).join("\n")), 413);
    assert.deepEqual(await all(server), []);
    const answer = await batch(server, events.slice(0, 1000));
    assert.equal(answer.status, 201, answer.text);
    assert.equal(answer.json().events.length, 1000);
    const stored = await all(server);
    assertLogOrder(stored);
    assert.deepEqual(dataOf(stored), Array.from({ length: 1000 }, (_, n) => n));
});

bothStores("a batch stays together: nothing of another comes between", async (t, server) => {
    const answers = await Promise.all(Array.from({ length: 20 }, (_, b) => batch(server,
        Array.from({ length: 50 }, (_, n) => ({ channel: "mixed", data: [b, n] })))));
    assert.ok(answers.every((answer) => answer.status === 201));
    const events = await all(server);
    assert.equal(events.length, 1000);
    for (let from = 0; from < 1000; from += 50) {
        const [b] = events[from].data;
        assert.deepEqual(dataOf(events.slice(from, from + 50)), Array.from({ length: 50 }, (_, n) => [b, n]));
    }
});

bothStores("events of a batch reach a live subscriber in order, each once", async (t, server) => {
    const stream = await server.ndjson("/events?channel=live/*");
    const answer = await batch(server,
        Array.from({ length: 300 }, (_, n) => ({ channel: `live/${n % 3}`, data: n })));
    const events = await stream.events(300);
    assert.deepEqual(idsOf(events), idsOf(answer.json().events));
    assertLogOrder(events);
});

test("binary without a content_type gets one", async (t) => {
    const server = await startServer(t);
    await batch(server, [{ channel: "a", data_base64: "/w==" }, { channel: "a", data_base64: "" }]);
    const events = await server.history("a");
    assert.deepEqual(events.map((event) => event.data_base64), ["/w==", ""]);
    assert.ok(events.every((event) => typeof event.content_type === "string"));
});
