// What becomes of a body: JSON byte for byte on one line, text as it came, anything else binary.

import assert from "node:assert/strict";
import {
    assertProblem, bothStores, nestedArrays, nestedObjects, startServer, test,
} from "./support/index.mjs";

const JSON_TYPE = { "Content-Type": "application/json" };

/** Publishes a body and answers the one event of its channel, with the text of the whole page. */
async function published(server, channel, body, headers = {}) {
    await server.publish(channel, body, headers);
    const page = await server.page(`/channels/${channel}?last=1`);
    return { event: page.events[0], text: page.answer.text };
}

bothStores("JSON is kept byte for byte", async (t, server) => {
    const bodies = [
        '{"z":1,"a":2}', '{"b":1, "a" : [ 1 ,2 ] }', '{"a":1,"a":2}', "1e400", "-0", "1.0", "1.50e+07",
        "123456789012345678901234567890.000", "0.1000", "-1E-5", '"\\u0000"', '"\\ud800"', '"\\/\\u0041"',
        '"\\ud83e\\uddc0"', '"🧀"', "true", "false", "null", '""', "{}", "[]", "[[],{}]",
        '{"":{"":""}}', '"a\u2028b\u2029c\u0085d"', '"\u007f"', '\t {"a":\t1} ', "9007199254740993",
        '"\ufeff"', '"\uffff"', '"</script><!--"',
    ];
    for (const [n, body] of bodies.entries()) {
        const { text } = await published(server, `json/${n}`, body, JSON_TYPE);
        assert.ok(text.includes(`"data":${body}`), `${body} became ${text}`);
    }
    const raw = await server.raw("/events?channel=json/*&after=earliest");
    for (const body of bodies) {
        let line = await raw.line();
        while (line === "") { // a heartbeat
            line = await raw.line();
        }
        assert.equal(line, body);
    }
});

bothStores("CR and LF between JSON tokens become spaces, so that an event is one line", async (t, server) => {
    const { text } = await published(
        server, "pretty", '\r\n{\n  "a": 1,\r\n  "b": "\\r\\n",\r"c":\n\n2\n}\n', JSON_TYPE);
    const kept = '  {   "a": 1,    "b": "\\r\\n", "c":  2 } ';
    assert.ok(text.includes(`"data":${kept}`), text);
    const raw = await server.raw("/channels/pretty?after=earliest");
    let line = await raw.line();
    while (line === "") {
        line = await raw.line();
    }
    assert.equal(line, kept);
});

test("JSON may nest 128 deep and no deeper", async (t) => {
    const server = await startServer(t);
    for (const nested of [nestedArrays, nestedObjects]) {
        assert.equal((await server.post("deep", nested(128), JSON_TYPE)).status, 201);
        assertProblem(await server.post("deep", nested(129), JSON_TYPE), 400);
    }
    assert.equal((await server.post("deep", `"${"[".repeat(500)}"`, JSON_TYPE)).status, 201);
    const flat = `[${Array(1000).fill("[]").join(",")}]`;
    assert.equal((await server.post("deep", flat, JSON_TYPE)).status, 201);
    assertProblem(await server.post("deep", "[".repeat(500_000), JSON_TYPE), 400);
    assertProblem(await server.post("deep", '{"a":'.repeat(100_000), JSON_TYPE), 400);
});

const NOT_JSON = [
    "", " ", "\n", "{", "}", "[", "]", '{"a"}', "{a:1}", '{"a":1,}', "[1,]", "[,1]", "[1 2]", '{"a" 1}',
    '{"a":1 "b":2}', "{1:2}", "01", "-01", "1.", ".5", "+1", "-", "1e", "1e+", "1.e5", "0x10", "1_000",
    "NaN", "Infinity", "-Infinity", "'a'", '"', '"a', '"\\"', '"\\x41"', '"\\u12"', '"\\u12g4"', '"\\a"',
    '"a\tb"', '"a\nb"', '"a\rb"', '"a\u0000b"', '"a\u001fb"', "tru", "True", "nul", "nullx", "truefalse",
    "1 2", "[] []", '{"a":1}{"b":2}', '{"a":1}\n{"b":2}', "// c\n1", "/* c */1", "1 // c", "[1]x", "\f1",
    "\v1", "\u00a01", "\u20281", "\ufeff{}", "\u0000", "{}\u0000", "undefined", "[1}", '{"a":1]',
];

test("text that is not JSON by RFC 8259 is refused, and nothing of it is kept", async (t) => {
    const server = await startServer(t);
    for (const body of NOT_JSON) {
        const answer = await server.post("strict", body, JSON_TYPE);
        assert.equal(answer.status, 400, `${JSON.stringify(body)} answered ${answer.status}`);
        assertProblem(answer, 400);
    }
    assert.deepEqual(await server.history("strict"), []);
});

test("JSON that is not UTF-8 is refused", async (t) => {
    const server = await startServer(t);
    const inside = ["ff", "80", "c3", "c0af", "c080", "e080af", "eda080", "edbfbf", "f4908080", "f888808080",
        "e282", "f09f98"];
    for (const hex of inside) {
        const body = Buffer.concat([Buffer.from('"a'), Buffer.from(hex, "hex"), Buffer.from('"')]);
        const answer = await server.post("utf8", body, JSON_TYPE);
        assert.equal(answer.status, 400, `${hex} in a string answered ${answer.status}`);
    }
    for (const encoding of ["utf16le", "latin1"]) {
        assertProblem(await server.post("utf8", Buffer.from('{"ä":1}', encoding), JSON_TYPE), 400);
    }
    assert.deepEqual(await server.history("utf8"), []);
});

test("every type that says JSON is JSON", async (t) => {
    const server = await startServer(t);
    const types = [
        "application/json", "Application/JSON", "application/json; charset=utf-8",
        "application/json;charset=UTF-8", 'application/json; charset="utf-8"', "application/ld+json",
        "application/vnd.api+json; charset=utf-8", "image/svg+json", "application/problem+JSON",
    ];
    for (const type of types) {
        const { event } = await published(server, "types", '{"a":[1]}', { "Content-Type": type });
        assert.deepEqual(event.data, { a: [1] }, type);
        assertProblem(await server.post("types", "{", { "Content-Type": type }), 400);
    }
});

bothStores("text is kept as it came, and told as plain text", async (t, server) => {
    const texts = [
        "hello", "", " leading and trailing ", "two\nlines", "CR\rLF\nCRLF\r\n", '{"not":"parsed"}',
        'quotes " and \\ backslashes', "tab\tand bell\u0007", "nul\u0000inside", "🧀 ä \u2028 \u0085",
        "\ufeffa mark at the start", "data: x\n\nevent: y\n", "</script>", "\u007f",
    ];
    const types = [undefined, "text/plain", "text/plain; charset=utf-8", "Text/Plain;Charset=\"UTF-8\"",
        "text/html", "text/csv", "application/x-www-form-urlencoded",
        "application/x-www-form-urlencoded; charset=utf-8"];
    for (const [n, type] of types.entries()) {
        for (const text of texts) {
            const headers = type === undefined ? {} : { "Content-Type": type };
            const { event } = await published(server, `text/${n}`, text, headers);
            assert.equal(event.data, text, `as ${type}`);
            assert.ok(!("content_type" in event), `a content_type for ${type}: ${event.content_type}`);
            assert.ok(!("data_base64" in event));
        }
    }
});

test("a form is text as it came: nothing in it is decoded", async (t) => {
    const server = await startServer(t);
    const { event } = await published(server, "form", "a=1&b=%20+%C3%A4&c=",
        { "Content-Type": "application/x-www-form-urlencoded" });
    assert.equal(event.data, "a=1&b=%20+%C3%A4&c=");
});

bothStores("anything else is binary: data_base64 with its content_type", async (t, server) => {
    const everyByte = Buffer.from(Array.from({ length: 256 }, (_, n) => n));
    const bodies = [everyByte, Buffer.alloc(0), Buffer.from([0]), Buffer.from("ab"), Buffer.from("abc"),
        Buffer.from("looks like text"), Buffer.from("{}")];
    for (const type of ["application/octet-stream", "image/png", "application/xml", "application/cbor",
        "application/x-ndjson", "multipart/form-data; boundary=x"]) {
        for (const body of bodies) {
            const { event } = await published(server, "binary", body, { "Content-Type": type });
            assert.equal(event.data_base64, body.toString("base64"), type);
            assert.equal(event.content_type, type);
            assert.ok(!("data" in event));
        }
    }
});

bothStores("text in another charset is binary, and says which charset", async (t, server) => {
    const body = Buffer.from("caf\u00e9", "latin1");
    const { event } = await published(
        server, "charset", body, { "Content-Type": "text/plain; charset=iso-8859-1" });
    assert.equal(event.data_base64, body.toString("base64"));
    assert.match(event.content_type, /^text\/plain\b.*iso-8859-1/i);
    assert.ok(!("data" in event));
    const utf16 = Buffer.from("hi", "utf16le");
    const other = await published(server, "charset", utf16, { "Content-Type": "text/plain;charset=utf-16" });
    assert.equal(other.event.data_base64, utf16.toString("base64"));
});

bothStores("text that is not UTF-8 is binary", async (t, server) => {
    for (const hex of ["ff", "80", "61c3", "c0af", "eda080", "f4908080", "61ff62"]) {
        const body = Buffer.from(hex, "hex");
        for (const type of [undefined, "text/plain", "application/x-www-form-urlencoded",
            "text/plain; charset=utf-8"]) {
            const headers = type === undefined ? {} : { "Content-Type": type };
            const { event } = await published(server, "broken", body, headers);
            assert.equal(event.data_base64, body.toString("base64"), `${hex} as ${type}`);
            assert.equal(typeof event.content_type, "string");
            assert.ok(!("data" in event));
        }
    }
});

test("a content type full of quotes leaves the envelope well-formed", async (t) => {
    const server = await startServer(t);
    const type = 'image/png; name="a\\"b\\\\c"';
    const { event } = await published(server, "odd", "x", { "Content-Type": type });
    assert.equal(event.content_type, type);
});

bothStores("a body of 1 MiB goes through unharmed, as JSON, text and binary", async (t, server) => {
    const size = 1024 * 1024;
    const text = "x".repeat(size);
    assert.equal((await published(server, "big", text)).event.data, text);
    const json = `"${"y".repeat(size - 2)}"`;
    assert.equal((await published(server, "big", json, JSON_TYPE)).event.data.length, size - 2);
    const bytes = Buffer.alloc(size, 0xa5);
    const { event } = await published(server, "big", bytes, { "Content-Type": "application/octet-stream" });
    assert.ok(Buffer.from(event.data_base64, "base64").equals(bytes));
});

const MARK = Buffer.from([0xef, 0xbb, 0xbf]);

test("a byte order mark before JSON is named", async (t) => {
    const server = await startServer(t);
    const json = { "Content-Type": "application/json" };
    const event = '{"channel":"a","data":1}';
    for (const [path, body] of [["/channels/a", "{}"], ["/channels/a", `"${"x".repeat(100_000)}"`],
        ["/channels/a", `{"x":"${"x".repeat(100_000)}"}`], ["/events", `[${event}]`], ["/events", `${event}\n${event}`]]) {
        const answer = await server.request("POST", path, { body: Buffer.concat([MARK, Buffer.from(body)]), headers: json });
        assertProblem(answer, 400);
        assert.match(answer.json().detail, /byte order mark/, path);
    }
    const later = Buffer.concat([Buffer.from(`${event}\n`), MARK, Buffer.from(event)]);
    const answer = await server.request("POST", "/events", { body: later, headers: json });
    assert.match(answer.json().detail, /byte order mark/);
    assert.deepEqual(await server.history("a"), []);
});
