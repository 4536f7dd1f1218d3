// Who a client is behind trusted proxies: the address that the audit log names.

import assert from "node:assert/strict";
import fs from "node:fs";
import http2 from "node:http2";
import path from "node:path";
import { deadline, eventually, RawConn, rawRequest, startServer, test } from "./support/index.mjs";
import { Freshet } from "./support/ws.mjs";

const RULES = "access: {anybody: []}\nhosts: [rt.example.org]\n";

/** What the audit log says of the address of the last refusal, once there are `count`. */
async function addressOf(server, count) {
    const found = await eventually(() => {
        const all = [...server.err.matchAll(/event=audit .*?address="?([^\s"]*)/g)];
        return all.length >= count && all;
    }, `${count} entries of the audit log`);
    return found[count - 1][1];
}

/* Fields, and the address that counts, of a request from 127.0.0.1 where that and 10.0.0.0/8 are trusted. */
const FIELDS = [
    ["", "127.0.0.1"],
    ["X-Forwarded-For: 192.0.2.7", "192.0.2.7"],
    ["X-Forwarded-For: 192.0.2.7:4711", "192.0.2.7"],
    ["X-Forwarded-For: 2001:db8::7", "2001:db8::7"],
    ["X-Forwarded-For: [2001:DB8::7]:4711", "2001:db8::7"],
    ["X-Forwarded-For: ::ffff:192.0.2.7", "192.0.2.7"],
    ["X-Forwarded-For: 203.0.113.9, 192.0.2.7", "192.0.2.7"],
    ["X-Forwarded-For: 203.0.113.9, 192.0.2.7, 10.1.2.3", "192.0.2.7"],
    ["X-Forwarded-For: 203.0.113.9\r\nX-Forwarded-For: 192.0.2.7", "192.0.2.7"],
    ["X-Forwarded-For: 10.9.9.9, 10.1.2.3", "10.9.9.9"],
    ["X-Forwarded-For: 192.0.2.7, unknown", "127.0.0.1"],
    ["X-Forwarded-For: 192.0.2.7, garbage, 10.1.2.3", "10.1.2.3"],
    ["X-Forwarded-For: \"192.0.2.7, 198.51.100.1", "198.51.100.1"],
    ["X-Forwarded-For: 0x7f000001", "127.0.0.1"],
    ["X-Forwarded-For: ,,", "127.0.0.1"],
    ["Forwarded: for=192.0.2.7", "127.0.0.1"], /* is not read: this proxy would pass it on as it is */
];

test("the client is the first address from the right that is no trusted proxy", async (t) => {
    const server = await startServer(t, { config: `${RULES}trusted_proxies: [127.0.0.1, 10.0.0.0/8]\n` });
    for (const [index, [fields, address]] of FIELDS.entries()) {
        const [answer] = await rawRequest(server.port,
            `GET /channels/a HTTP/1.1\r\nHost: rt.example.org\r\n${fields}${fields && "\r\n"}\r\n`);
        assert.equal(answer.status, 401);
        assert.equal(await addressOf(server, index + 1), address, fields);
    }
});

test("`forwarded_header: forwarded` reads that field, and no other", async (t) => {
    const server = await startServer(t, { config: `${RULES}trusted_proxies: ["127.0.0.0/8"]\nforwarded_header: forwarded\n` });
    for (const [index, [fields, address]] of [
        ["Forwarded: for=203.0.113.9, for=\"[2001:db8::7]:4711\";proto=https", "2001:db8::7"],
        ["Forwarded: for=\"open, for=192.0.2.7", "192.0.2.7"],
        ["Forwarded: for=_hidden", "127.0.0.1"],
        ["Forwarded: for=\"192.0.2.8:_port\"", "192.0.2.8"],
        ["X-Forwarded-For: 192.0.2.7", "127.0.0.1"]].entries()) {
        await rawRequest(server.port, `GET /channels/a HTTP/1.1\r\nHost: rt.example.org\r\n${fields}\r\n\r\n`);
        assert.equal(await addressOf(server, index + 1), address, fields);
    }
});

test("a peer that is not trusted is the client, whatever it says", async (t) => {
    for (const [index, more] of ["", "trusted_proxies: [10.0.0.0/8]\n", "trusted_proxies: [unix]\n"].entries()) {
        const server = await startServer(t, { config: RULES + more });
        await server.get("/channels/a", { "X-Forwarded-For": "192.0.2.7" });
        assert.equal(await addressOf(server, 1), "127.0.0.1", `${index}`);
    }
});

test("each request of a connection has a client of its own, over HTTP/1.1, HTTP/2 and a WebSocket", async (t) => {
    const server = await startServer(t, { config: `${RULES}trusted_proxies: [127.0.0.1]\n` });
    const request = (address) => `GET /channels/a HTTP/1.1\r\nHost: localhost\r\n${address && `X-Forwarded-For: ${address}\r\n`}\r\n`;
    await rawRequest(server.port, request("192.0.2.1") + request("192.0.2.2") + request(""), { count: 3 });
    assert.deepEqual([await addressOf(server, 1), await addressOf(server, 2), await addressOf(server, 3)],
        ["192.0.2.1", "192.0.2.2", "127.0.0.1"]);
    const session = http2.connect(server.url);
    server.onStop(() => session.destroy());
    for (const address of ["192.0.2.4", "192.0.2.5"]) {
        const stream = session.request({ ":path": "/channels/a", "x-forwarded-for": address });
        await deadline(new Promise((resolve) => stream.once("response", resolve)), "an answer");
        stream.close();
    }
    assert.deepEqual([await addressOf(server, 4), await addressOf(server, 5)], ["192.0.2.4", "192.0.2.5"]);
    const socket = await Freshet.open(t, server, { headers: { "X-Forwarded-For": "192.0.2.6" } });
    await socket.ask({ op: "subscribe", channels: ["a"] });
    assert.equal(await addressOf(server, 6), "192.0.2.6");
});

test("requests that a proxy has sent without waiting are noted with the client of each", async (t) => {
    const server = await startServer(t, { config: `access: {anybody: [admin, publish]}\nhosts: [rt.example.org]\ntrusted_proxies: [127.0.0.1]\n` });
    const post = (path, body, address) => `POST ${path} HTTP/1.1\r\nHost: rt.example.org\r\nX-Forwarded-For: ${address}\r\n`
        + `Content-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body}`;
    const answers = await rawRequest(server.port, post("/revocations", '{"subject":"one"}', "192.0.2.1")
        + post("/revocations", '{"subject":"two"}', "192.0.2.2") + post("/channels/a", '"x"', "192.0.2.3"), { count: 3 });
    assert.deepEqual(answers.map(({ status }) => status), [201, 201, 201]);
    assert.deepEqual([await addressOf(server, 1), await addressOf(server, 2)], ["192.0.2.1", "192.0.2.2"]);
});

for (const [then, address] of [["", "127.0.0.1"], ["trusted_proxies: [10.0.0.0/8]\n", "127.0.0.1"], ["trusted_proxies: [unix]\n", "127.0.0.1"],
    ["trusted_proxies: [127.0.0.0/8]\nforwarded_header: forwarded\n", "192.0.2.2"]]) {
    test(`a reload to ${then || "no trusted proxies"} counts for connections that are there`, async (t) => {
        const server = await startServer(t, { config: `${RULES}trusted_proxies: [127.0.0.1]\n` });
        const conn = await RawConn.open(server.port);
        const head = "GET /channels/a HTTP/1.1\r\nHost: localhost\r\nX-Forwarded-For: 192.0.2.1\r\nForwarded: for=192.0.2.2\r\n\r\n";
        conn.send(head);
        assert.equal(await addressOf(server, 1), "192.0.2.1");
        fs.writeFileSync(path.join(server.dir, "freshet.yaml"), RULES + then);
        server.signal("SIGHUP");
        await eventually(() => server.err.includes("event=reloaded"), "a reload");
        conn.send(head);
        assert.equal(await addressOf(server, 2), address);
    });
}
