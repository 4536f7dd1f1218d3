// Requests that two parsers could read differently are refused with 400 and the connection closed, so
// that nothing behind them is ever taken for a request.

import assert from "node:assert/strict";
import { assertProblem, RawConn, startServer, test } from "./support/index.mjs";

const CRLF = "\r\n";
const HOST = "Host: 127.0.0.1" + CRLF;
const POST = "POST /channels/probe HTTP/1.1" + CRLF + HOST;
const GET = "GET /channels/probe HTTP/1.1" + CRLF + HOST;
const CHUNKED = POST + "Transfer-Encoding: chunked" + CRLF + CRLF;

/** What an attacker wants to get through behind the refused request. */
const SMUGGLED =
    "POST /channels/smuggled HTTP/1.1" + CRLF + HOST + "Content-Length: 4" + CRLF + CRLF + "evil";

/** Sends each case on a connection of its own: one answer, 400, then the end, and nothing smuggled. */
function refused(name, cases, statuses = [400]) {
    test(name, async (t) => {
        const server = await startServer(t);
        for (const [what, text] of Object.entries(cases)) {
            await assertRefused(server, what, Buffer.from(text, "latin1"), statuses);
        }
        for (const channel of ["smuggled", "probe"]) {
            assert.deepEqual(await server.history(channel), [], `something got through to ${channel}`);
        }
    });
}

async function assertRefused(server, what, bytes, statuses) {
    const conn = await RawConn.open(server.port);
    try {
        await conn.send(Buffer.concat([bytes, Buffer.from(SMUGGLED)]));
        const answer = await conn.readResponse();
        assert.ok(statuses.includes(answer.status), `answered ${answer.status} ${answer.text}`);
        assertProblem(answer, answer.status);
        const rest = await conn.readToEnd(`the connection to be closed after ${what}`);
        assert.equal(rest.length, 0, `more came: ${rest.toString("latin1")}`);
    } catch (error) {
        error.message = `${what}: ${error.message}`;
        throw error;
    } finally {
        conn.destroy();
    }
}

refused("a request with both Content-Length and Transfer-Encoding is refused", {
    "CL then TE": POST + "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "TE then CL": POST + "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
    "CL 0 and TE": POST + "Content-Length: 0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "odd case": POST + "cOnTeNt-LeNgTh: 5\r\ntRANSFER-eNCODING: Chunked\r\n\r\n0\r\n\r\n",
    "on a GET": GET + "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
});

refused("more than one Content-Length is refused, equal or not", {
    "differing": POST + "Content-Length: 1\r\nContent-Length: 2\r\n\r\nxx",
    "equal": POST + "Content-Length: 1\r\nContent-Length: 1\r\n\r\nx",
    "a list of equals": POST + "Content-Length: 1, 1\r\n\r\nx",
    "a list that differs": POST + "Content-Length: 1, 2\r\n\r\nxx",
    "far apart": POST + "Content-Length: 1\r\nX: y\r\nAccept: */*\r\ncontent-length: 2\r\n\r\nxx",
});

refused("a Content-Length that is no plain number is refused", {
    "plus": POST + "Content-Length: +1\r\n\r\nx",
    "minus": POST + "Content-Length: -1\r\n\r\nx",
    "minus zero": POST + "Content-Length: -0\r\n\r\n",
    "hexadecimal": POST + "Content-Length: 0x1\r\n\r\nx",
    "a fraction": POST + "Content-Length: 1.0\r\n\r\nx",
    "an exponent": POST + "Content-Length: 1e0\r\n\r\nx",
    "two words": POST + "Content-Length: 1 1\r\n\r\nx",
    "a letter": POST + "Content-Length: 1a\r\n\r\nx",
    "empty": POST + "Content-Length:\r\n\r\n",
    "a quoted number": POST + 'Content-Length: "1"\r\n\r\nx',
    "a semicolon": POST + "Content-Length: 1;\r\n\r\nx",
    "an underscore": POST + "Content-Length: 1_0\r\n\r\nx",
    "superscript": POST + "Content-Length: \xb9\r\n\r\nx",
});

refused("a Content-Length beyond every number is refused", {
    "2^64 + 1": POST + "Content-Length: 18446744073709551617\r\n\r\nx",
    "2^63": POST + "Content-Length: 9223372036854775808\r\n\r\nx",
    "forty digits": POST + `Content-Length: ${"9".repeat(40)}\r\n\r\nx`,
    "2^32 + 1": POST + "Content-Length: 4294967297\r\n\r\nx",
}, [400, 413]);

refused("a Transfer-Encoding other than chunked alone is refused", {
    "xchunked": POST + "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    "chunkedx": POST + "Transfer-Encoding: chunkedx\r\n\r\n0\r\n\r\n",
    "chunked, identity": POST + "Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
    "identity, chunked": POST + "Transfer-Encoding: identity, chunked\r\n\r\n0\r\n\r\n",
    "chunked twice": POST + "Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n",
    "two fields": POST + "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "two fields that differ": POST + "Transfer-Encoding: chunked\r\nTransfer-Encoding: x\r\n\r\n0\r\n\r\n",
    "empty": POST + "Transfer-Encoding:\r\n\r\n",
    "a vertical tab": POST + "Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n",
    "a NUL": POST + "Transfer-Encoding: chunked\x00\r\n\r\n0\r\n\r\n",
    "quoted": POST + 'Transfer-Encoding: "chunked"\r\n\r\n0\r\n\r\n',
    "a comma": POST + "Transfer-Encoding: ,chunked\r\n\r\n0\r\n\r\n",
    "on HTTP/1.0": "POST /channels/probe HTTP/1.0\r\n" + HOST +
        "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
});

refused("a Transfer-Encoding that is known but not spoken is refused", {
    "deflate": POST + "Transfer-Encoding: Deflate\r\n\r\n",
    "compress, gzip, chunked": POST + "Transfer-Encoding: compress, gzip, chunked\r\n\r\n0\r\n\r\n",
    "gzip": POST + "Transfer-Encoding: gzip\r\n\r\n",
    "gzip, chunked": POST + "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
}, [501]);

refused("a Transfer-Encoding that does not say where the body ends is refused", {
    "identity": POST + "Transfer-Encoding: identity\r\n\r\n",
    "chunked, gzip": POST + "Transfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n",
    "gzip with a parameter": POST + "Transfer-Encoding: gzip;q=1, chunked\r\n\r\n0\r\n\r\n",
    "with a parameter": POST + "Transfer-Encoding: chunked;q=1\r\n\r\n0\r\n\r\n",
});

refused("a folded header line is refused", {
    "a space": POST + "X: a\r\n b\r\nContent-Length: 0\r\n\r\n",
    "a tab": POST + "X: a\r\n\tb\r\nContent-Length: 0\r\n\r\n",
    "folded framing": POST + "Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n",
    "the first line of all": "GET /channels/probe HTTP/1.1\r\n " + HOST + "\r\n",
    "only blanks": POST + "X: a\r\n  \r\nContent-Length: 0\r\n\r\n",
});

refused("a line that ends with LF alone is refused", {
    "the request line": "GET /channels/probe HTTP/1.1\n" + HOST + "\r\n",
    "a header": "GET /channels/probe HTTP/1.1\r\nHost: 127.0.0.1\nX: y\r\n\r\n",
    "the last header": "GET /channels/probe HTTP/1.1\r\nHost: 127.0.0.1\n\r\n",
    "the empty line": GET + "\n",
    "every line": "GET /channels/probe HTTP/1.1\nHost: 127.0.0.1\n\n",
    "framing behind it": POST + "X: y\nContent-Length: 40\r\n\r\n",
});

refused("a CR that is not followed by LF is refused", {
    "in a value": POST + "X: a\rb\r\nContent-Length: 0\r\n\r\n",
    "in front of a field": POST + "X: a\rContent-Length: 40\r\n\r\n",
    "CR CR LF": POST + "X: a\r\r\nContent-Length: 0\r\n\r\n",
    "in the request line": "GET /channels/probe\r HTTP/1.1\r\n" + HOST + "\r\n",
    "as every line's end": "GET /channels/probe HTTP/1.1\rHost: 127.0.0.1\r\r\n\r\n",
});

refused("a NUL anywhere in the head is refused", {
    "in a value": POST + "X: a\0b\r\nContent-Length: 0\r\n\r\n",
    "in a name": POST + "X\0Y: a\r\nContent-Length: 0\r\n\r\n",
    "in the target": "GET /channels/pro\0be HTTP/1.1\r\n" + HOST + "\r\n",
    "in the method": "GE\0T /channels/probe HTTP/1.1\r\n" + HOST + "\r\n",
    "in the length": POST + "Content-Length: 0\0\r\n\r\n",
    "in the host": "GET /channels/probe HTTP/1.1\r\nHost: 127.0.0.1\0.evil.com\r\n\r\n",
});

refused("other control characters in the head are refused", {
    "0x01 in a value": POST + "X: a\x01b\r\nContent-Length: 0\r\n\r\n",
    "ESC in a value": POST + "X: \x1b[31m\r\nContent-Length: 0\r\n\r\n",
    "DEL in a value": POST + "X: a\x7fb\r\nContent-Length: 0\r\n\r\n",
    "a form feed before a value": POST + "Content-Length:\x0c0\r\n\r\n",
    "a tab in the target": "GET /channels/\tprobe HTTP/1.1\r\n" + HOST + "\r\n",
});

refused("a chunk size that is no plain hexadecimal number is refused", {
    "minus": CHUNKED + "-1\r\nx\r\n0\r\n\r\n",
    "plus": CHUNKED + "+1\r\nx\r\n0\r\n\r\n",
    "0x": CHUNKED + "0x1\r\nx\r\n0\r\n\r\n",
    "a letter beyond f": CHUNKED + "g\r\nx\r\n0\r\n\r\n",
    "a blank in front": CHUNKED + " 1\r\nx\r\n0\r\n\r\n",
    "a tab in front": CHUNKED + "\t1\r\nx\r\n0\r\n\r\n",
    "empty": CHUNKED + "\r\nx\r\n0\r\n\r\n",
    "two numbers": CHUNKED + "1 1\r\nx\r\n0\r\n\r\n",
    "an underscore": CHUNKED + "0_1\r\nx\r\n0\r\n\r\n",
    "a NUL": CHUNKED + "1\0\r\nx\r\n0\r\n\r\n",
    "a semicolon alone": CHUNKED + ";\r\nx\r\n0\r\n\r\n",
    "a fraction": CHUNKED + "1.0\r\nx\r\n0\r\n\r\n",
});

refused("a chunk size that overflows is refused", {
    "2^64 + 1": CHUNKED + "10000000000000001\r\nx\r\n0\r\n\r\n",
    "2^68 - 1": CHUNKED + "FFFFFFFFFFFFFFFFF\r\nx\r\n0\r\n\r\n",
    "a hundred digits": CHUNKED + "1".repeat(100) + "\r\nx\r\n0\r\n\r\n",
});

refused("a chunk size beyond every body is refused", {
    "2^64 - 1": CHUNKED + "FFFFFFFFFFFFFFFF\r\nx\r\n0\r\n\r\n",
    "2^63": CHUNKED + "8000000000000000\r\nx\r\n0\r\n\r\n",
    "2^32 + 1": CHUNKED + "100000001\r\nx\r\n0\r\n\r\n",
}, [400, 413]);

refused("a chunk extension that is abused is refused", {
    "an LF within": CHUNKED + "1;a\nb\r\nx\r\n0\r\n\r\n",
    "ended by LF": CHUNKED + "1;a=b\nx\r\n0\r\n\r\n",
    "a CR within": CHUNKED + "1;a\rb\r\nx\r\n0\r\n\r\n",
    "a NUL within": CHUNKED + "1;a\0b\r\nx\r\n0\r\n\r\n",
    "on the last chunk": CHUNKED + "0;a\nb\r\n\r\n",
});

refused("chunk extensions without end are refused", {
    "a megabyte at once": CHUNKED + `1;${"a".repeat(1 << 20)}\r\nx\r\n0\r\n\r\n`,
    "a little in each of many chunks": CHUNKED + `1;${"a".repeat(200)}\r\nx\r\n`.repeat(5000) +
        "0\r\n\r\n",
}, [400, 413, 431]);

refused("a chunk that does not end where it said is refused", {
    "longer than said": CHUNKED + "1\r\nxx\r\n0\r\n\r\n",
    "ended by LF": CHUNKED + "1\r\nx\n0\r\n\r\n",
    "ended by CR": CHUNKED + "1\r\nx\r0\r\n\r\n",
    "not ended": CHUNKED + "1\r\nx0\r\n\r\n",
    "a size ended by LF": CHUNKED + "1\nx\r\n0\r\n\r\n",
    "a last size ended by LF": CHUNKED + "0\n\r\n",
    "an end of LF alone": CHUNKED + "0\r\n\n",
});

refused("a trailer section that is no header section is refused", {
    "a fold": CHUNKED + "0\r\nX: a\r\n b\r\n\r\n",
    "a NUL": CHUNKED + "0\r\nX: a\0b\r\n\r\n",
    "no colon": CHUNKED + "0\r\nnonsense\r\n\r\n",
    "a blank before the colon": CHUNKED + "0\r\nX : a\r\n\r\n",
    "LF alone": CHUNKED + "0\r\nX: a\n\r\n",
});

refused("a trailer section without end is refused", {
    "many fields": CHUNKED + "0\r\n" + "X: y\r\n".repeat(100_000) + "\r\n",
    "a long field": CHUNKED + `0\r\nX: ${"y".repeat(1 << 20)}\r\n\r\n`,
}, [400, 431]);

refused("a Host that is missing or doubled is refused", {
    "missing": "GET /channels/probe HTTP/1.1\r\n\r\n",
    "missing from a post": "POST /channels/probe HTTP/1.1\r\nContent-Length: 0\r\n\r\n",
    "twice the same": GET + HOST + "\r\n",
    "twice differing": GET + "Host: evil.com\r\n\r\n",
    "twice, one empty": GET + "Host:\r\n\r\n",
    "twice, in another case": GET + "hOST: 127.0.0.1\r\n\r\n",
});

test("a Host that is empty or malformed is never served", async (t) => {
    const server = await startServer(t);
    for (const host of ["", ":80", "127.0.0.1, 127.0.0.1", "127.0.0.1 evil.com", "127.0.0.1/x", "a@127.0.0.1",
        "127.0.0.1:x", "[::1", "::1", "127.0.0.1:80:80", "http://127.0.0.1", "127.0.0.1?", "127.0.0.1#",
        "local\x80host"]) {
        const conn = await RawConn.open(server.port);
        await conn.send(Buffer.from(`GET /channels/probe HTTP/1.1\r\nHost: ${host}\r\n\r\n`, "latin1"));
        const answer = await conn.readResponse();
        assert.ok([400, 403].includes(answer.status), `Host: ${host} answered ${answer.status}`);
        assertProblem(answer, answer.status);
        conn.destroy();
    }
});

refused("white space before a header's colon is refused", {
    "a space": POST + "X : y\r\nContent-Length: 0\r\n\r\n",
    "a tab": POST + "X\t: y\r\nContent-Length: 0\r\n\r\n",
    "before a length": POST + "Content-Length : 1\r\n\r\nx",
    "before an encoding": POST + "Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
    "before the host's": "GET /channels/probe HTTP/1.1\r\nHost : 127.0.0.1\r\n\r\n",
});

refused("a header name that is no token is refused", {
    "empty": POST + ": y\r\nContent-Length: 0\r\n\r\n",
    "no colon": POST + "nonsense\r\nContent-Length: 0\r\n\r\n",
    "a space within": POST + "Content Length: 1\r\n\r\nx",
    "brackets": POST + "X(y): z\r\nContent-Length: 0\r\n\r\n",
    "a quote": POST + '"X": z\r\nContent-Length: 0\r\n\r\n',
    "an eighth bit": POST + "X\xff: z\r\nContent-Length: 0\r\n\r\n",
    "a slash": POST + "X/Y: z\r\nContent-Length: 0\r\n\r\n",
    "a control character": POST + "X\x01: z\r\nContent-Length: 0\r\n\r\n",
});

refused("a request line that is not exactly one is refused", {
    "two spaces": "GET  /channels/probe HTTP/1.1\r\n" + HOST + "\r\n",
    "two spaces behind": "GET /channels/probe  HTTP/1.1\r\n" + HOST + "\r\n",
    "a tab": "GET\t/channels/probe HTTP/1.1\r\n" + HOST + "\r\n",
    "a space at the end": "GET /channels/probe HTTP/1.1 \r\n" + HOST + "\r\n",
    "a space in front": " GET /channels/probe HTTP/1.1\r\n" + HOST + "\r\n",
    "no version": "GET /channels/probe\r\n" + HOST + "\r\n",
    "a lower-case version": "GET /channels/probe http/1.1\r\n" + HOST + "\r\n",
    "a version of one number": "GET /channels/probe HTTP/1\r\n" + HOST + "\r\n",
    "a version with zeros": "GET /channels/probe HTTP/01.1\r\n" + HOST + "\r\n",
    "a version of letters": "GET /channels/probe HTTP/a.b\r\n" + HOST + "\r\n",
    "no target": "GET HTTP/1.1\r\n" + HOST + "\r\n",
    "a method that is no token": "GE(T /channels/probe HTTP/1.1\r\n" + HOST + "\r\n",
    "a target without slash": "GET channels/probe HTTP/1.1\r\n" + HOST + "\r\n",
    "a fragment": "GET /channels/probe#x HTTP/1.1\r\n" + HOST + "\r\n",
    "a space in the target": "GET /channels/a probe HTTP/1.1\r\n" + HOST + "\r\n",
    "an eighth bit in the target": "GET /channels/pr\xf6be HTTP/1.1\r\n" + HOST + "\r\n",
    "another protocol": "GET /channels/probe FTP/1.1\r\n" + HOST + "\r\n",
});

refused("a version that is not spoken is refused", {
    "2.0": "GET /channels/probe HTTP/2.0\r\n" + HOST + "\r\n",
    "0.9": "GET /channels/probe HTTP/0.9\r\n" + HOST + "\r\n",
    "3.0": "GET /channels/probe HTTP/3.0\r\n" + HOST + "\r\n",
}, [400, 505]);

test("a body on a GET is never taken for the next request", async (t) => {
    const server = await startServer(t);
    const conn = await RawConn.open(server.port);
    await conn.send(`${GET}Content-Length: ${SMUGGLED.length}\r\n\r\n${SMUGGLED}`);
    const first = await conn.readResponse();
    assert.ok([200, 400].includes(first.status));
    if (first.status === 200 && !conn.ended) {
        await conn.send(`${GET}\r\n`);
        await conn.readResponse();
    }
    assert.deepEqual(await server.history("smuggled"), []);
});

test("a body behind a refused publish is never taken for the next request", async (t) => {
    const server = await startServer(t);
    const conn = await RawConn.open(server.port);
    const path = "/channels/a//b";
    await conn.send(`POST ${path} HTTP/1.1\r\n${HOST}Content-Length: ${SMUGGLED.length}\r\n\r\n${SMUGGLED}`);
    assert.equal((await conn.readResponse()).status, 400);
    await conn.send(`GET ${path} HTTP/1.1\r\n${HOST}Connection: close\r\n\r\n`);
    const rest = (await conn.readToEnd()).toString("latin1");
    assert.ok(!rest.includes(" 201 "), rest);
    assert.deepEqual(await server.history("smuggled"), []);
});

test("a chunked body on any request is read to its end", async (t) => {
    const server = await startServer(t);
    for (const line of ["GET /channels/a", "DELETE /channels/a", "GET /nowhere", "PUT /channels/a"]) {
        const conn = await RawConn.open(server.port);
        const size = SMUGGLED.length.toString(16);
        await conn.send(`${line} HTTP/1.1\r\n${HOST}Transfer-Encoding: chunked\r\n\r\n` +
            `${size}\r\n${SMUGGLED}\r\n0\r\n\r\nGET /healthz HTTP/1.1\r\n${HOST}Connection: close\r\n\r\n`);
        await conn.readResponse();
        const rest = (await conn.readToEnd()).toString("latin1");
        assert.ok(!rest.includes(" 201 "), `${line}: ${rest}`);
        assert.deepEqual(await server.history("smuggled"), []);
    }
});

test("a case is refused however it arrives: byte by byte as at once", async (t) => {
    const server = await startServer(t);
    const cases = {
        both: POST + "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        fold: POST + "X: a\r\n b\r\nContent-Length: 0\r\n\r\n",
        "bare LF": "GET /channels/probe HTTP/1.1\r\nHost: 127.0.0.1\n\r\n\r\n",
        "chunk size": CHUNKED + "-1\r\nx\r\n0\r\n\r\n",
        "chunk end": CHUNKED + "1\r\nxx\r\n0\r\n\r\n",
    };
    for (const [what, text] of Object.entries(cases)) {
        const conn = await RawConn.open(server.port);
        await conn.sendSlowly(text + SMUGGLED);
        assert.equal((await conn.readResponse()).status, 400, what);
        await conn.readToEnd();
    }
    assert.deepEqual(await server.history("smuggled"), []);
    assert.deepEqual(await server.history("probe"), []);
});
