// Refusals on a WebSocket: a browser is told after the upgrade, by a close code, because its scripts
// cannot see a failed handshake; every other client gets an ordinary problem document.

import assert from "node:assert/strict";
import { assertProblem, assertTypeHasPage, publishMany, startServer, test } from "./support/index.mjs";
import { handshake } from "./support/wsraw.mjs";
import { Freshet, refusal, Socket } from "./support/ws.mjs";
import { RawConn } from "./support/raw.mjs";

const HOME = "http://localhost:5173"; /* a page that a developer serves on this machine */
const STRANGER = "https://evil.example";

/** What is wrong with a request, and the status that says so. */
const WRONG = [
    ["/channels/a/*", 400], ["/channels/a//b", 400], ["/channels/a%2Fb", 400], ["/channels/%ff", 400],
    [`/channels/${"x".repeat(256)}`, 400], ["/channels/a%00b", 400],
    ["/channels/x?after=yesterday", 400], ["/channels/x?after=-1", 400],
    ["/channels/x?last=many", 400], ["/channels/x?format=xml", 400], ["/channels/x?type=a%20b", 400],
    ["/channels/x?format=data&after=9007199254740000", 410],
];

/** Connects as a browser would: the handshake must succeed, the close tells. */
async function closeOf(t, server, path, { origin = HOME, ...options } = {}) {
    const socket = await Socket.open(t, server, path, { origin, ...options });
    const end = await socket.closed();
    assert.deepEqual(socket.frames, [], "a refused socket gets no frames");
    return end;
}

for (const [path, status] of WRONG) {
    const shown = path.slice(0, 60);
    test(`${shown} is refused to a program with a problem of ${status}`, async (t) => {
        const server = await startServer(t);
        const problem = assertProblem(await refusal(server, path), status);
        await assertTypeHasPage(server, problem);
    });

    test(`${shown} is refused to a browser with ${4000 + status} and the type of the same problem`, async (t) => {
        const server = await startServer(t);
        const { type } = assertProblem(await refusal(server, path), status);
        const { code, reason } = await closeOf(t, server, path);
        assert.equal(code, 4000 + status);
        assert.equal(reason, type);
    });
}

test("a cursor whose events are gone is refused with 410 where there is no band for a gap", async (t) => {
    const server = await startServer(t);
    const ids = await publishMany(server, "x", 3);
    assert.ok((await server.request("DELETE", "/channels/x")).status < 300);
    const path = `/channels/x?format=data&after=${ids[0]}`;
    const answer = await refusal(server, path);
    assertProblem(answer, 410);
    const { code } = await closeOf(t, server, path);
    assert.equal(code, 4410);
});

test("pages served from this machine are welcome, whatever their port and whichever name they use", async (t) => {
    const server = await startServer(t);
    for (const origin of [
        "http://localhost", "http://localhost:1", "http://localhost:65535", "http://127.0.0.1:8080", "http://[::1]:3000",
        `http://127.0.0.1:${server.port}`,
    ]) {
        const socket = await Socket.open(t, server, "/channels/x", { origin });
        await socket.send("hello");
        assert.equal((await socket.event()).data, "hello", origin);
    }
});

test("pages of other sites are refused with 4403 on a channel's WebSocket, and publish nothing", async (t) => {
    const server = await startServer(t);
    for (const origin of [
        STRANGER, "http://evil.example", "null", "http://localhost.evil.example", "http://127.0.0.1.evil.example",
        "http://evil.example:7070", "http://localhostevil", "http://evil.example/localhost", "http://localhost@evil.example",
        "http://[::2]", "file://", "http://0.0.0.0", "http://127.0.0.1:80@evil.example",
    ]) {
        const socket = await Socket.open(t, server, "/channels/x", { origin });
        await socket.send("a stranger was here").catch(() => {});
        const { code, reason } = await socket.closed();
        assert.equal(code, 4403, origin);
        assert.match(reason, /\/errors\/[a-z0-9._-]+$/i);
    }
    assert.deepEqual(await server.history("x"), []);
});

test("pages of other sites are refused with 4403 on /events too", async (t) => {
    const server = await startServer(t);
    const { code } = await closeOf(t, server, "/events", { origin: STRANGER, protocols: ["freshet.v1"] });
    assert.equal(code, 4403);
});

test("a list of two origins is refused", async (t) => {
    const server = await startServer(t);
    const text = handshake(server, "/channels/x", { Origin: STRANGER })
        .replace("\r\n\r\n", `\r\nOrigin: ${HOME}\r\n\r\n`);
    const conn = await RawConn.open(server.port);
    t.after(() => conn.destroy());
    await conn.send(text);
    const head = await conn.readHead();
    if (head.status === 101) {
        const [first, size] = await conn.readExactly(2);
        assert.equal(first, 0x88, "a Close must be the first thing that comes");
        assert.equal((await conn.readExactly(size)).readUInt16BE(), 4403);
    } else {
        assert.ok([400, 403].includes(head.status), `answered ${head.status}`);
    }
});

test("a name that was rebound to this machine is refused, with an origin and without", async (t) => {
    const server = await startServer(t);
    const headers = { Host: "evil.example" };
    assertProblem(await refusal(server, "/channels/x", { headers }), 403);
    const { code } = await closeOf(t, server, "/channels/x", { origin: "http://evil.example", headers });
    assert.equal(code, 4403);
});

test("a handshake that is none is refused as HTTP even to a browser: there is no socket to close", async (t) => {
    const server = await startServer(t);
    for (const [fields, status] of [
        [{ "Sec-WebSocket-Version": "8" }, 426], [{ "Sec-WebSocket-Key": "short" }, 400], [{ "Sec-WebSocket-Key": undefined }, 400],
    ]) {
        const conn = await RawConn.open(server.port);
        t.after(() => conn.destroy());
        await conn.send(handshake(server, "/channels/x", { Origin: HOME, ...fields }));
        assertProblem(await conn.readResponse(), status);
    }
});

test("a path that is no channel has no WebSocket", async (t) => {
    const server = await startServer(t);
    for (const path of ["/nowhere", "/", "/healthz", "/channels", "/channels/"]) {
        const answer = await refusal(server, path);
        assert.ok(answer.status >= 400 && answer.status < 500, `${path} was answered ${answer.status}`);
    }
});

test("a refused browser costs the server nothing: it serves the next", async (t) => {
    const server = await startServer(t);
    for (let n = 0; n < 100; n++) {
        await closeOf(t, server, "/channels/x", { origin: STRANGER });
    }
    const socket = await Freshet.open(t, server, { origin: HOME });
    assert.equal((await socket.answer({ op: "ping" })).op, "pong");
});

test("an unreadable Last-Event-ID is no refusal but a gap: a browser cannot correct it", async (t) => {
    const server = await startServer(t);
    await publishMany(server, "x", 2);
    const socket = await Socket.open(t, server, "/channels/x", { origin: HOME, headers: { "Last-Event-ID": "what is this" } });
    const gap = await socket.notBeat("a gap");
    assert.equal(gap.op, "gap");
    assert.ok(gap.reason);
});

test("a handshake whose Upgrade was removed is told which setting of the proxy is missing", async (t) => {
    const server = await startServer(t);
    await server.publish("x", "history");
    for (const path of ["/channels/x", "/channels/x?after=earliest", "/events?channel=x", "/events"]) {
        for (const [fields, version] of [[{ Upgrade: undefined }, "1.1"], [{ Connection: "keep-alive" }, "1.1"],
            [{ Upgrade: undefined, Connection: "close" }, "1.1"], [{ Upgrade: "h2c" }, "1.1"],
            [{ Upgrade: undefined, Connection: "close" }, "1.0"], [{}, "1.0"]]) {
            for (const origin of [undefined, HOME]) {
                const conn = await RawConn.open(server.port);
                await conn.send(handshake(server, path, { Origin: origin, ...fields }).replace("HTTP/1.1", `HTTP/${version}`));
                const answer = await conn.readResponse();
                const { detail } = assertProblem(answer, 426);
                assert.match(detail, /proxy_set_header Upgrade/);
                assert.match(answer.headers.upgrade, /websocket/);
                conn.destroy();
            }
        }
    }
    assert.equal((await server.get("/channels/x")).status, 200);
});

test("a client that offers only subprotocols that are not spoken is closed with a reason", async (t) => {
    const server = await startServer(t);
    for (const [path, offered, reason] of [["/channels/x", ["mqtt"], /\/events/], ["/channels/x", ["freshet.v1"], /\/events/],
        ["/channels/x?after=earliest", ["graphql-ws", "mqtt"], /no subprotocol/], ["/events", ["mqtt"], /freshet\.v1/],
        ["/events?channel=x", ["freshet.v2", "Freshet.v1"], /freshet\.v1/]]) {
        const socket = await Socket.open(t, server, path, { origin: HOME, protocols: offered });
        const end = await socket.closed();
        assert.equal(end.code, 4400);
        assert.match(end.reason, reason);
        assert.deepEqual(socket.frames, []);
        const conn = await RawConn.open(server.port); // a program: nothing is chosen, and the close tells
        t.after(() => conn.destroy());
        await conn.send(handshake(server, path, { "Sec-WebSocket-Protocol": offered.join(", ") }));
        const head = await conn.readHead();
        assert.equal(head.status, 101);
        assert.equal(head.headers["sec-websocket-protocol"], undefined);
        const [first, size] = await conn.readExactly(2);
        assert.equal(first, 0x88);
        assert.equal((await conn.readExactly(size)).readUInt16BE(), 4400);
    }
});
