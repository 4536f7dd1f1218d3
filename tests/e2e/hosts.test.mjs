// With access rules: by which names a server may be called, and from which pages, over every version of HTTP.

import assert from "node:assert/strict";
import http2 from "node:http2";
import { assertProblem, deadline, rawRequest, startServer, test } from "./support/index.mjs";
import { refusal, Socket } from "./support/ws.mjs";

const RULES = `
access: {anybody: [read, publish]}
hosts: [rt.example.org, "*.live.example.org"]
origins: [https://app.example, "https://*.shop.example"]
`;

const GOOD_HOSTS = ["rt.example.org", "RT.Example.Org", "rt.example.org:8443", "rt.example.org.", "a.b.live.example.org",
    "localhost", "127.0.0.1:7070", "[::1]", "192.168.1.1:7070", "[2001:db8::1]:80"];

const EVIL_HOSTS = ["evil.com", "evil.com:7070", "rt.example.org.evil.com", "evil-rt.example.org", "live.example.org",
    "example.org", "127.0.0.1.nip.io", "localhost.evil.com", "0x7f.0.0.1", "3232235777", "rt.example.org.."];

/* Not even a Host. */
const BROKEN_HOSTS = ["evil.com@rt.example.org", "rt.example.org@evil.com", "rt.example.org/a", "::1", "rt.example.org:80:80"];

/* A Host, an Origin, and whether the page may use the server; with cookies if that is "true". */
const PAGES = [
    ["rt.example.org", undefined, true], /* curl, and servers */
    ["rt.example.org", "https://app.example", true, "true"],
    ["127.0.0.1:7070", "https://app.example", true, "true"],
    ["rt.example.org", "https://a.shop.example", true],
    ["rt.example.org", "https://rt.example.org", true],
    ["127.0.0.1:7070", "https://rt.example.org", true], /* nginx, as it comes, puts its own Host there */
    ["rt.example.org:8443", "https://rt.example.org:8443", true],
    ["192.168.1.1:7070", "http://192.168.1.1:7070", true],
    ["localhost", "http://localhost:3000", true],
    ["rt.example.org", "http://localhost:3000", false],
    ["rt.example.org", "http://rt.example.org:3000", false],
    ["rt.example.org", "https://app.example:8443", false],
    ["rt.example.org", "http://app.example", false],
    ["rt.example.org", "https://APP.example", false],
    ["rt.example.org", "https://app.example.", false],
    ["rt.example.org", "https://app.example@evil.com", false],
    ["rt.example.org", "https://app.example.evil.com", false],
    ["rt.example.org", "https://evil.com/.shop.example", false],
    ["rt.example.org", "https://shop.example", false],
    ["rt.example.org", "http://[2001:db8::1]", false],
    ["rt.example.org", "https://evil.com", false],
    ["rt.example.org", "null", false],
    ["rt.example.org", "*", false],
];

function ruled(t) {
    return startServer(t, { config: RULES });
}

/** A request with exactly these fields; answers { status, headers } and perhaps more. */
async function ask1(server, { method = "GET", path = "/channels/a", host, origin }) {
    const line = origin === undefined ? "" : `Origin: ${origin}\r\n`;
    const length = method === "POST" ? "Content-Length: 1\r\n" : "";
    const [answer] = await rawRequest(server.port,
        `${method} ${path} HTTP/1.1\r\nHost: ${host}\r\n${line}${length}\r\n${length && "x"}`, { method });
    return answer;
}

async function connect(t, server) {
    const session = http2.connect(server.url);
    session.on("error", () => {});
    server.onStop(() => session.destroy());
    await deadline(new Promise((resolve) => session.once("remoteSettings", resolve)), "the server's SETTINGS");
    return session;
}

/** The same over a session of HTTP/2; a WebSocket with `socket` (RFC 8441), which the server `closes`. */
function ask2(session, { method = "GET", path = "/channels/a", host, origin, socket = false, closes = false }) {
    const what = socket ? { ":method": "CONNECT", ":protocol": "websocket", "sec-websocket-version": "13" } : { ":method": method };
    const stream = session.request({ ...what, ":path": path, ":authority": host, ...(origin === undefined ? {} : { origin }) });
    return deadline(new Promise((resolve, reject) => {
        stream.on("error", reject);
        let bytes = "";
        stream.setEncoding("latin1").on("data", (text) => (bytes += text));
        stream.on("response", (headers) => {
            const done = () => {
                resolve({ status: headers[":status"], headers, bytes });
                stream.close();
            };
            if (closes) {
                stream.once("data", done);
            } else {
                done();
            }
        });
        if (!socket) {
            stream.end(method === "POST" ? "x" : undefined);
        }
    }), "an answer");
}

test("a Host that is no name of the server is refused, whatever it asks for: no DNS rebinding", async (t) => {
    const server = await ruled(t);
    const session = await connect(t, server);
    for (const host of EVIL_HOSTS) {
        for (const [method, path] of [["GET", "/channels/a"], ["POST", "/channels/a"], ["GET", "/channels/a?stream=sse"],
            ["OPTIONS", "/channels/a"], ["GET", "/"]]) {
            const answer = await ask1(server, { method, path, host });
            assertProblem(answer, 403);
            assert.match(answer.text, /forbidden-host.*hosts: \[rt\.example\.org\]/s);
            assert.equal((await ask2(session, { method, path, host })).status, 403, `${method} ${path} over HTTP/2, ${host}`);
        }
        assert.equal((await ask2(session, { host, socket: true })).status, 403, `a WebSocket over HTTP/2, ${host}`);
        assert.equal((await refusal(server, "/channels/a", { headers: { Host: host } })).status, 403, `a WebSocket, ${host}`);
        const absolute = await ask1(server, { path: `http://${host}/channels/a`, host });
        assert.equal(absolute.status, 403, `an absolute target, ${host}`);
    }
    for (const host of BROKEN_HOSTS) {
        assert.equal((await ask1(server, { host })).status, 400, host);
    }
    assert.deepEqual(await server.history("a"), []);
});

test("a server answers to its names, to loopback ones and to addresses", async (t) => {
    const server = await ruled(t);
    const session = await connect(t, server);
    for (const host of GOOD_HOSTS) {
        assert.equal((await ask1(server, { host })).status, 200, host);
        assert.equal((await ask2(session, { host })).status, 200, `HTTP/2, ${host}`);
        assert.equal((await ask2(session, { host, socket: true })).status, 200, `a WebSocket over HTTP/2, ${host}`);
        await Socket.open(t, server, "/channels/a", { headers: { Host: host } });
    }
    assert.equal((await rawRequest(server.port, "GET /healthz HTTP/1.0\r\n\r\n"))[0].status, 200);
});

test("pages may use the server that is theirs or that names them, and cookies take a full name", async (t) => {
    const server = await ruled(t);
    const session = await connect(t, server);
    for (const [host, origin, good, credentials] of PAGES) {
        const about = `a page of ${origin} at ${host}`;
        for (const [method, path, status] of [["GET", "/channels/a", 200], ["GET", "/channels/a?stream=sse", 200],
            ["OPTIONS", "/channels/a", 204], ["POST", "/channels/b", 201]]) {
            const request = { method, path, host, origin };
            const answers = [await ask2(session, request)];
            if (!path.endsWith("sse")) {
                answers.push(await ask1(server, request));
            }
            for (const { status: got, headers } of answers) {
                assert.equal(got, good ? status : 403, `${method} ${path}: ${about}`);
                assert.equal(headers["access-control-allow-origin"], good ? origin : undefined, about);
                assert.equal(headers["access-control-allow-credentials"], credentials, about);
            }
        }
        const opened = await ask2(session, { host, origin, socket: true, closes: !good });
        assert.equal(opened.status, 200);
        const socket = await Socket.open(t, server, "/channels/a", { headers: { Host: host }, origin });
        if (!good) { /* a page sees no status of a handshake, so it gets a close code, and no more */
            assert.match(opened.bytes, /forbidden-origin/, about);
            assert.equal((await socket.closed()).code, 4403, about);
        }
    }
    assert.equal((await server.history("b")).length, 2 * PAGES.filter(([, , good]) => good).length);
});

test("a load by a page of another site, without an Origin, is refused, but for a link", async (t) => {
    const server = await ruled(t);
    const load = { "Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "script" };
    assertProblem(await server.get("/channels/a", load), 403);
    const followed = { "Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document", "Sec-Fetch-User": "?1" };
    assert.equal((await server.get("/channels/a", followed)).status, 200);
});

test("without `hosts` a server with rules answers to loopback names and addresses, and says what to write", async (t) => {
    const server = await startServer(t, { config: "access: {anybody: [read]}\n" });
    for (const host of ["localhost", `127.0.0.1:${server.port}`, "192.168.1.1"]) {
        assert.equal((await ask1(server, { host })).status, 200, host);
    }
    assert.match((await ask1(server, { host: "rt.example.org" })).text, /hosts: \[rt\.example\.org\]/);
    assert.match((await ask1(server, { host: "localhost", origin: "https://app.example" })).text, /origins: \[https:\/\/app\.example\]/);
});

test("without rules `hosts` adds names, as for a proxy on this machine, and no addresses", async (t) => {
    const server = await startServer(t, { config: "hosts: [rt.example.org]\n" });
    for (const [host, origin, status] of [["rt.example.org", undefined, 200], ["localhost", undefined, 200],
        ["rt.example.org", "https://rt.example.org", 200], ["rt.example.org", "https://evil.com", 403],
        ["evil.com", undefined, 403], ["192.168.1.1", undefined, 403]]) {
        assert.equal((await ask1(server, { host, origin })).status, status, `${host} ${origin}`);
    }
});

test("`origins: ['*']` lets every page in, without its user's cookies", async (t) => {
    const server = await startServer(t, { config: "access: {anybody: [read]}\norigins: ['*']\n" });
    for (const origin of ["https://evil.com", "null", "http://a.example:81"]) {
        const answer = await ask1(server, { host: "localhost", origin });
        assert.equal(answer.status, 200, origin);
        assert.equal(answer.headers["access-control-allow-origin"], origin);
        assert.equal(answer.headers["access-control-allow-credentials"], undefined);
    }
    assert.equal((await server.get("/channels/a", { "Sec-Fetch-Site": "cross-site" })).status, 200);
});
