// Clients that speak TLS, or HTTP/2 where it cannot be, are told so in words.

import assert from "node:assert/strict";
import http2 from "node:http2";
import tls from "node:tls";
import { assertProblem, eventually, RawConn, startServer, test } from "./support/index.mjs";

test("a client of HTTP/2 over the limit of connections gets a GOAWAY that says why", async (t) => {
    const server = await startServer(t, { config: "limits:\n  connections_max: 1\n", args: ["--threads", "1"] });
    const first = await RawConn.open(server.port);
    await first.send("GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n");
    await first.readResponse();
    const client = http2.connect(server.url);
    client.on("error", () => {}); /* it is refused */
    t.after(() => client.destroy());
    const [code, , text] = await new Promise((resolve) => client.once("goaway", (...args) => resolve(args)));
    assert.equal(code, http2.constants.NGHTTP2_ENHANCE_YOUR_CALM);
    assert.match(text.toString(), /limits.connections_max/);
    await new Promise((resolve) => (client.closed ? resolve() : client.once("close", resolve)));
    first.destroy();
});

test("HTTP/2 begins with the first bytes of a connection or not at all", async (t) => {
    const server = await startServer(t);
    const conn = await RawConn.open(server.port);
    await conn.send(Buffer.from("GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"));
    assert.equal((await conn.readResponse()).status, 200);
    await conn.send(Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"));
    assertProblem(await conn.readResponse(), 505);
    await conn.readToEnd("the connection to be closed");
    conn.destroy();
});

test("a client that speaks TLS is refused at once, and the log says why", async (t) => {
    const server = await startServer(t);
    const error = await new Promise((resolve) => tls.connect({ port: server.port, host: "127.0.0.1" }).once("error", resolve));
    assert.ok(error);
    await eventually(() => /event=tls_refused .*use http:\/\//.test(server.err), "a line in the log");
    for (const bytes of ["\x16", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", `\x16\x03\x01${"\0".repeat(500)}`]) {
        const conn = await RawConn.open(server.port);
        await conn.send(Buffer.from(bytes, "latin1"));
        const answer = await conn.readResponse();
        assert.match(assertProblem(answer, 400).detail, /^TLS is not spoken here: use http:\/\//);
        await conn.readToEnd("the connection to be closed");
        conn.destroy();
    }
    assert.equal((await server.get("/healthz")).status, 200);
});
