// Without access rules: loopback only, whatever a browser may be talked into sending.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import {
    BIN, assertProblem, bothStores, deadline, openSse, rawRequest, startServer, temporaryFolder, test,
} from "./support/index.mjs";

const EVIL_HOSTS = ["evil.com", "evil.com:7070", "127.0.0.1.evil.com", "localhost.evil.com", "evil-localhost",
    "localhostx", "0x7f.evil.com", "192.168.1.1", "10.0.0.1:80", "8.8.8.8", "[2001:db8::1]",
    "[::ffff:8.8.8.8]", "127.0.0.1.nip.io", "128.0.0.1", "1.27.0.0"];

const EVIL_ORIGINS = ["http://evil.com", "https://evil.com", "null", "http://localhost.evil.com",
    "http://127.0.0.1.evil.com", "http://evil.com:7070", "http://localhost@evil.com",
    "http://evil.com#localhost", "http://evil.com/localhost", "http://evil.com?http://localhost",
    "http://notlocalhost", "http://localhostx:80", "http://192.168.1.1", "http://[2001:db8::1]",
    "file://", "chrome-extension://localhost", "http://localhost http://evil.com", "evil.com", "*"];

const GOOD_ORIGINS = ["http://localhost", "http://localhost:3000", "https://localhost:8443",
    "http://127.0.0.1", "http://127.0.0.1:5173", "https://127.0.0.1", "http://[::1]", "http://[::1]:8080"];

const PREFLIGHT = {
    "Access-Control-Request-Method": "POST",
    "Access-Control-Request-Headers": "authorization,content-type,event-type,idempotency-key,if-match",
};

function words(header) {
    return (header ?? "").toLowerCase().split(/\s*,\s*/).filter(Boolean);
}

/** A request with exactly these header lines. */
async function ask(server, method, path, headers, body = "") {
    const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`).join("");
    const length = method === "POST" ? `Content-Length: ${body.length}\r\n` : "";
    const [answer] = await rawRequest(
        server.port, `${method} ${path} HTTP/1.1\r\n${lines}${length}\r\n${body}`, { method });
    return answer;
}

test("a Host that is not loopback is refused with 403, everywhere: no DNS rebinding", async (t) => {
    const server = await startServer(t);
    for (const host of EVIL_HOSTS) {
        for (const [method, path] of [["GET", "/channels/a"], ["POST", "/channels/a"], ["GET", "/stats"],
            ["DELETE", "/channels/a"], ["POST", "/events"], ["GET", "/"], ["GET", "/channels"]]) {
            const answer = await ask(server, method, path, { Host: host });
            assert.equal(answer.status, 403, `${method} ${path} with Host: ${host}: ${answer.status}`);
            assertProblem(answer, 403);
        }
    }
    assert.deepEqual(await server.history("a"), []);
});

test("a Host that is loopback is served, however it is spelled", async (t) => {
    const server = await startServer(t);
    for (const host of ["127.0.0.1", "localhost", "LocalHost", "[::1]"]) {
        for (const port of ["", `:${server.port}`]) {
            const answer = await ask(server, "GET", "/channels/a", { Host: `${host}${port}` });
            assert.equal(answer.status, 200, `Host: ${host}${port} answered ${answer.status}`);
        }
    }
});

test("rebinding by an absolute target is refused too", async (t) => {
    const server = await startServer(t);
    const answer = await ask(server, "GET", "http://evil.com/channels/a",
        { Host: `127.0.0.1:${server.port}` });
    assert.ok([400, 403].includes(answer.status), `${answer.status}`);
    const both = await ask(server, "POST", "/channels/a",
        { Host: "evil.com", Origin: "http://evil.com" }, "x");
    assert.equal(both.status, 403);
    assert.deepEqual(await server.history("a"), []);
});

test("an Origin that is not loopback is refused with 403, reading, writing and asking", async (t) => {
    const server = await startServer(t);
    const host = { Host: `127.0.0.1:${server.port}` };
    for (const origin of EVIL_ORIGINS) {
        for (const [method, path] of [["GET", "/channels/a"], ["POST", "/channels/a"],
            ["DELETE", "/channels/a"], ["GET", "/channels/a?stream=sse"], ["GET", "/stats"]]) {
            const answer = await ask(server, method, path, { ...host, Origin: origin });
            assert.equal(answer.status, 403, `${method} with Origin: ${origin} answered ${answer.status}`);
            assert.equal(answer.headers["access-control-allow-origin"], undefined, origin);
        }
        const preflight = await ask(server, "OPTIONS", "/channels/a",
            { ...host, Origin: origin, ...PREFLIGHT });
        assert.equal(preflight.headers["access-control-allow-origin"], undefined, origin);
        assert.equal(preflight.status, 403, origin);
    }
    assert.deepEqual(await server.history("a"), []);
});

test("a request by a page of another site is refused with 403 even without an Origin", async (t) => {
    const server = await startServer(t);
    const host = { Host: `127.0.0.1:${server.port}` };
    const loads = [["no-cors", "image"], ["no-cors", "script"], ["no-cors", "empty"], ["navigate", "iframe"],
        ["navigate", "document"], ["websocket", "websocket"]];
    for (const [mode, dest] of loads) {
        const fetch = { "Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": mode, "Sec-Fetch-Dest": dest };
        for (const path of ["/channels/a", "/events?channel=a&after=0000000000000001", "/stats"]) {
            const answer = await ask(server, "GET", path, { ...host, ...fetch });
            assert.equal(answer.status, 403, `${mode} ${dest} ${path}: ${answer.status}`);
            assertProblem(answer, 403);
        }
    }
});

test("requests by the visitor, and by pages of this machine, are not taken for another site's", async (t) => {
    const server = await startServer(t);
    const host = { Host: `127.0.0.1:${server.port}` };
    const followed = { "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document", "Sec-Fetch-User": "?1" };
    for (const headers of [{ "Sec-Fetch-Site": "none", ...followed }, { "Sec-Fetch-Site": "cross-site", ...followed },
        { "Sec-Fetch-Site": "same-origin" }, { "Sec-Fetch-Site": "same-site", "Sec-Fetch-Mode": "no-cors" },
        { "Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "cors", Origin: "http://localhost:3000" }]) {
        const answer = await ask(server, "GET", "/channels/a", { ...host, ...headers });
        assert.equal(answer.status, 200, JSON.stringify(headers));
    }
});

bothStores("a loopback Origin on any port is allowed to read and write", async (t, server) => {
    for (const origin of GOOD_ORIGINS) {
        const posted = await server.post("a", "x", { Origin: origin });
        assert.equal(posted.status, 201, `${origin}: ${posted.text}`);
        const read = await server.get("/channels/a", { Origin: origin });
        assert.equal(read.status, 200);
        for (const { headers } of [posted, read]) {
            assert.ok(["*", origin].includes(headers["access-control-allow-origin"]), origin);
            if (headers["access-control-allow-origin"] !== "*") {
                assert.ok(words(headers.vary).includes("origin"), `Vary: ${headers.vary}`);
            }
        }
    }
});

bothStores("what a script needs to see is exposed to it", async (t, server) => {
    const { headers } = await server.get("/channels/a", { Origin: "http://localhost:3000" });
    const exposed = words(headers["access-control-expose-headers"]);
    for (const name of ["link", "cursor", "preference-applied", "retry-after"]) {
        assert.ok(exposed.includes(name), `${name} in ${headers["access-control-expose-headers"]}`);
    }
});

test("a preflight allows every method and header that the API has", async (t) => {
    const server = await startServer(t);
    for (const path of ["/channels/a/b", "/events"]) {
        for (const method of path === "/events" ? ["GET", "POST"] : ["GET", "POST", "DELETE"]) {
            const answer = await server.request("OPTIONS", path, { headers: {
                Origin: "http://localhost:3000",
                "Access-Control-Request-Method": method,
                "Access-Control-Request-Headers": "last-event-id, prefer",
            } });
            assert.ok([200, 204].includes(answer.status), `${answer.status}`);
            assert.ok(["*", "http://localhost:3000"].includes(answer.headers["access-control-allow-origin"]));
            assert.ok(words(answer.headers["access-control-allow-methods"]).includes(method.toLowerCase()));
            const allowed = words(answer.headers["access-control-allow-headers"]);
            for (const name of ["authorization", "content-type", "event-type", "idempotency-key", "if-match",
                "last-event-id", "prefer"]) {
                assert.ok(allowed.includes(name), `${name} in ${allowed}`);
            }
        }
    }
});

test("a preflight allows the headers that it asks for, and repeats nothing else", async (t) => {
    const server = await startServer(t);
    const host = { Host: `127.0.0.1:${server.port}` };
    const preflight = async (asked, origin = "http://localhost:3000") => ask(server, "OPTIONS", "/channels/a", {
        ...host, Origin: origin, "Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": asked,
    });
    const asked = ["cache-control", "x-requested-with", "traceparent", "tracestate", "pragma", "baggage"];
    const allowed = words((await preflight(asked.join(","))).headers["access-control-allow-headers"]);
    for (const name of [...asked, "authorization", "event-type"]) {
        assert.equal(allowed.filter((one) => one === name).length, 1, `${name} once in ${allowed}`);
    }
    const once = words((await preflight("AUTHORIZATION , Prefer")).headers["access-control-allow-headers"]);
    assert.deepEqual(once, [...new Set(once)]);
    for (const bad of ["a b", "x:y", '"quoted"', "a;b", "(x)"]) {
        const answer = await preflight(`good, ${bad}`);
        assert.equal(answer.status, 204);
        const names = answer.headers["access-control-allow-headers"];
        assert.ok(words(names).includes("good") && !names.includes(bad), names);
    }
    const evil = await preflight("cache-control", "http://evil.com");
    assert.equal(evil.status, 403);
    assert.equal(evil.headers["access-control-allow-headers"], undefined);
});

/* What is wrong, the status, and the pieces that are sent; ORIGIN is replaced by the header line. */
const POST = "POST /channels/a HTTP/1.1\r\nHost: localhost\r\n";
const GET = "GET / HTTP/1.1\r\nHost: localhost\r\n";
const LONG_LINE = `GET /channels/${"a".repeat(9_000)}`;
const EARLY = [
    [413, `${POST}ORIGINContent-Length: 9999999\r\n\r\n`],
    [413, `${POST}Content-Length: 9999999\r\nORIGIN\r\n`],
    [413, `${POST}ORIGINTransfer-Encoding: chunked\r\n\r\n`, "fffffff\r\n"],
    [414, `${LONG_LINE} HTTP/1.1\r\nHost: localhost\r\nORIGIN\r\n`],
    [414, LONG_LINE, " HTTP/1.1\r\nHost: loc", "alhost\r\nORIGIN", "\r\n"],
    [417, `${POST}ORIGINExpect: tea\r\nContent-Length: 1\r\n\r\n`],
    [417, `${POST}Expect: tea\r\nContent-Length: 1\r\nORIGIN\r\n`],
    [431, `${GET}ORIGINX: ${"x".repeat(40_000)}`, "\r\n\r\n"],
    [431, `${GET}X: ${"x".repeat(40_000)}`, "\r\nORIGIN", "\r\n"],
    [431, `${GET}${"x: y\r\n".repeat(100)}ORIGIN\r\n`],
    [400, "GET / HTTP/1.1\r\nORIGINContent-Length: x\r\n\r\n"],
    [400, `${GET}\x01: y\r\nORIGIN\r\n`],
    [400, `${POST}ORIGINTransfer-Encoding: chunked\r\n\r\n`, "x\r\n"],
    [505, "GET / HTTP/2.5\r\nHost: localhost\r\nORIGIN\r\n"],
];

test("a script can read the refusal of a request that could not be parsed", async (t) => {
    const server = await startServer(t);
    for (const [status, ...pieces] of EARLY) {
        for (const [origin, named] of [["http://localhost:3000", true], ["http://evil.com", false],
            ["http://127.0.0.1.evil.com", false], ["null", false]]) {
            const conn = await server.connect();
            for (const piece of pieces) {
                await conn.send(piece.replace("ORIGIN", `Origin: ${origin}\r\n`));
            }
            const answer = await conn.readResponse();
            assertProblem(answer, status);
            assert.equal(answer.headers["access-control-allow-origin"], named ? origin : undefined,
                `${status} from ${origin}: ${pieces[0].slice(0, 60)}`);
            conn.destroy();
        }
    }
});

test("a script can read the answer to a request that timed out", async (t) => {
    const server = await startServer(t, { config: "limits: {head_ms: 8s, body_ms: 8s}\n" });
    const origin = "Origin: http://localhost:3000\r\n";
    const host = `Host: localhost\r\n`;
    await Promise.all([`GET / HTTP/1.1\r\n${host}${origin}X: `,
        `POST /channels/a HTTP/1.1\r\n${host}${origin}Content-Length: 9\r\n\r\nx`,
        `POST /channels/a HTTP/1.1\r\n${host}${origin}Transfer-Encoding: chunked\r\n\r\n5\r\nx`].map(async (text) => {
        const conn = await server.connect();
        await conn.send(text);
        const answer = await conn.readResponse();
        assertProblem(answer, 408);
        assert.equal(answer.headers["access-control-allow-origin"], "http://localhost:3000", text);
        conn.destroy();
    }));
});

test("pages of a configured origin may come, with credentials", async (t) => {
    const server = await startServer(t, { config: 'origins: [https://app.example, "http://app.example:8080"]\n' });
    const host = { Host: `127.0.0.1:${server.port}` };
    for (const [origin, status, credentials] of [["https://app.example", 200, "true"],
        ["http://app.example:8080", 200, "true"], ["http://localhost:3000", 200, undefined],
        ["https://app.example:8080", 403, undefined], ["http://app.example", 403, undefined],
        ["https://app.example.evil.com", 403, undefined], ["null", 403, undefined]]) {
        for (const [method, path] of [["GET", "/channels/a"], ["OPTIONS", "/channels/a"], ["GET", "/nowhere"]]) {
            const answer = await ask(server, method, path, { ...host, ...PREFLIGHT, Origin: origin });
            const wanted = status === 403 ? 403 : path === "/nowhere" ? 404 : method === "OPTIONS" ? 204 : 200;
            assert.equal(answer.status, wanted, `${method} ${path} from ${origin}`);
            assert.equal(answer.headers["access-control-allow-credentials"], credentials, origin);
            assert.equal(answer.headers["access-control-allow-origin"], status === 200 ? origin : undefined);
        }
    }
});

test("an error can be read by a script from an allowed origin", async (t) => {
    const server = await startServer(t);
    const origin = "http://localhost:3000";
    for (const path of ["/channels/a//b", "/nowhere", "/channels/a?after=x",
        "/channels/a?after=9007199254740991"]) {
        const answer = await server.get(path, { Origin: origin });
        assertProblem(answer, [400, 404, 410]);
        assert.ok(["*", origin].includes(answer.headers["access-control-allow-origin"]), path);
    }
});

bothStores("a stream too can be read by a script from an allowed origin", async (t, server) => {
    const origin = "http://127.0.0.1:3000";
    const stream = await openSse(server, "/channels/a", { headers: { Origin: origin } });
    assert.ok(["*", origin].includes(stream.headers["access-control-allow-origin"]));
    await server.publish("a", "x");
    assert.equal((await stream.event()).data, "x");
});

test("without rules the server refuses to listen anywhere but on loopback", async (t) => {
    const child = spawn(BIN, ["serve", "--memory", "--listen", "0.0.0.0:0"],
        { cwd: temporaryFolder(t), stdio: ["ignore", "pipe", "pipe"] });
    t.after(() => child.kill("SIGKILL"));
    let said = "";
    child.stdout.on("data", (text) => (said += text));
    child.stderr.on("data", (text) => (said += text));
    const code = await deadline(new Promise((resolve) => child.once("close", resolve)), "the refusal");
    assert.ok(code > 0, `it ended with ${code}`);
    assert.match(said, /insecure/); // it says what would be right
    assert.doesNotMatch(said, /Sanitizer|runtime error/);
});
