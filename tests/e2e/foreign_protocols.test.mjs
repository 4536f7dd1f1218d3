// Clients that speak HTTP/2 or TLS are told that it is not spoken here, in words.

import assert from "node:assert/strict";
import http2 from "node:http2";
import tls from "node:tls";
import { assertProblem, eventually, RawConn, startServer, test } from "./support/index.mjs";

test("a client that speaks HTTP/2 with prior knowledge gets a GOAWAY that says why", async (t) => {
    const server = await startServer(t);
    const client = http2.connect(server.url);
    client.on("error", () => {}); /* it is refused */
    t.after(() => client.destroy());
    const [code, , text] = await new Promise((resolve) => client.once("goaway", (...args) => resolve(args)));
    assert.equal(code, http2.constants.NGHTTP2_HTTP_1_1_REQUIRED);
    assert.match(text.toString(), /^only HTTP\/1.1 is spoken here/);
    await new Promise((resolve) => (client.closed ? resolve() : client.once("close", resolve)));
});

test("the beginning of HTTP/2 is answered whatever comes behind it, and the connection ends", async (t) => {
    const server = await startServer(t);
    for (const rest of ["", "\r\nSM\r\n\r\n", "\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0", "x".repeat(1000)]) {
        const conn = await RawConn.open(server.port);
        await conn.send(Buffer.from(`PRI * HTTP/2.0\r\n${rest}${rest.includes("SM") ? "" : "\r\n\r\n"}`, "latin1"));
        const bytes = await conn.readToEnd("the connection to be closed");
        assert.match(bytes.toString("latin1"), /^\0\0\0\x04\0\0\0\0\0\0\0.\x07\0\0\0\0\0\0\0\0\0\0\0\0\x0donly HTTP/s);
        conn.destroy();
    }
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
