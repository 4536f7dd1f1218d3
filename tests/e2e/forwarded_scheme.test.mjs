// How a client has called the server, as trusted proxies say it: the scheme and the host decide where redirect:// leads,
// and which pages are the server's own.

import assert from "node:assert/strict";
import { assertProblem, rawRequest, startServer, test } from "./support/index.mjs";

const RULES = "access: {anybody: [read, publish]}\n";
const TRUSTS = "trusted_proxies: [127.0.0.1, 10.0.0.0/8]\n";

/** The answer to a request with these fields, which node's own client would change. */
async function ask(server, fields, { method = "GET", target = "/healthz", body = "" } = {}) {
    const lines = Object.entries({ Host: "rt.example.org", ...fields, ...(body && { "Content-Length": body.length }) })
        .map(([name, value]) => `${name}: ${value}\r\n`).join("");
    const [answer] = await rawRequest(server.port, `${method} ${target} HTTP/1.1\r\n${lines}\r\n${body}`);
    return answer;
}

async function locationOf(server, fields, target = "/channels/a?last=1") {
    const answer = await ask(server, fields, { target });
    return answer.status === 308 ? answer.headers.location : answer.status;
}

/* redirect:// alone: the proxy has the certificate. */
const REDIRECTS = { listen: "redirect://127.0.0.1:0", config: `${RULES}${TRUSTS}hosts: [rt.example.org]\n` };

test("behind a proxy that speaks TLS, redirect:// serves what came by https, and redirects the rest", async (t) => {
    const server = await startServer(t, REDIRECTS);
    for (const [fields, expected] of [
        [{}, "https://rt.example.org/channels/a?last=1"],
        [{ "X-Forwarded-Proto": "http" }, "https://rt.example.org/channels/a?last=1"],
        [{ "X-Forwarded-Proto": "https" }, 200],
        [{ "X-Forwarded-Proto": "HTTPS" }, 200],
        [{ "X-Forwarded-Proto": "wss" }, 200],
        [{ "X-Forwarded-Proto": "gopher" }, "https://rt.example.org/channels/a?last=1"],
        [{ "X-Forwarded-Proto": "https, http" }, "https://rt.example.org/channels/a?last=1"],
        [{ "X-Forwarded-Proto": "https, http", "X-Forwarded-For": "192.0.2.1, 10.0.0.1" }, 200],
        [{ "X-Forwarded-Host": "public.example:8080" }, "https://public.example/channels/a?last=1"],
        [{ "X-Forwarded-Host": "evil.example/x" }, "https://rt.example.org/channels/a?last=1"],
        [{ Forwarded: "proto=https" }, "https://rt.example.org/channels/a?last=1"],
    ]) {
        assert.equal(await locationOf(server, fields), expected, JSON.stringify(fields));
    }
});

test("`forwarded_header: forwarded` has the scheme and the host as well", async (t) => {
    const server = await startServer(t, { ...REDIRECTS, config: `${REDIRECTS.config}forwarded_header: forwarded\n` });
    for (const [fields, expected] of [
        [{ Forwarded: "for=192.0.2.1;proto=https" }, 200],
        [{ Forwarded: "for=_hidden;proto=https, for=10.0.0.1;proto=http" }, 200],
        [{ Forwarded: "for=192.0.2.1;proto=https, for=_hidden;proto=http" }, "https://rt.example.org/channels/a?last=1"],
        [{ Forwarded: "for=192.0.2.1;proto=http;host=public.example" }, "https://public.example/channels/a?last=1"],
        [{ "X-Forwarded-Proto": "https" }, "https://rt.example.org/channels/a?last=1"],
    ]) {
        assert.equal(await locationOf(server, fields), expected, JSON.stringify(fields));
    }
});

test("pages and documents lead back to the server by the name that the proxy was called by", async (t) => {
    const server = await startServer(t, { config: `${RULES}${TRUSTS}hosts: [rt.example.org]\n` });
    const by = { "X-Forwarded-Proto": "https", "X-Forwarded-Host": "public.example:8443" };
    const page = await ask(server, { ...by, Accept: "text/html" }, { target: "/" });
    assert.match(page.text, /https:\/\/public\.example:8443/);
    const { servers } = JSON.parse((await ask(server, by, { target: "/asyncapi.json" })).text);
    assert.deepEqual(Object.values(servers).map(({ host, protocol }) => `${protocol}://${host}`),
        ["wss://public.example:8443", "https://public.example:8443"]);
    const openapi = JSON.parse((await ask(server, by, { target: "/openapi.json" })).text);
    assert.equal(openapi.servers[0].url, "https://public.example:8443");
    const { text } = await ask(server, by, { target: "/errors/not-found" });
    assert.match(text, /curl https:\/\/public\.example:8443\/nowhere/);
});

test("a peer that is not trusted is redirected, whatever it says", async (t) => {
    const server = await startServer(t, { ...REDIRECTS, config: `${RULES}trusted_proxies: [10.0.0.0/8]\nhosts: [rt.example.org]\n` });
    for (const fields of [{ "X-Forwarded-Proto": "https" }, { Forwarded: "proto=https" }, { "X-Forwarded-Host": "evil.example" }]) {
        assert.equal(await locationOf(server, fields), "https://rt.example.org/channels/a?last=1", JSON.stringify(fields));
    }
});

/* What a page of this origin gets for a publish, by a request with these fields. */
const PAGES = [
    ["https://rt.example.org", { "X-Forwarded-Proto": "https" }, 201],
    ["http://rt.example.org", { "X-Forwarded-Proto": "https" }, 403],
    ["http://rt.example.org", { "X-Forwarded-Proto": "http" }, 201],
    ["https://rt.example.org", {}, 201],
    ["https://public.example:8443", { "X-Forwarded-Proto": "https", "X-Forwarded-Host": "public.example:8443" }, 201],
    ["http://public.example:8443", { "X-Forwarded-Proto": "https", "X-Forwarded-Host": "public.example:8443" }, 403],
    ["https://evil.example", { "X-Forwarded-Proto": "https" }, 403],
];

test("a page that came without TLS is not the server's own if that was called with TLS", async (t) => {
    const server = await startServer(t, { config: `${RULES}${TRUSTS}hosts: [rt.example.org]\n` });
    for (const [Origin, fields, status] of PAGES) {
        const answer = await ask(server, { Origin, ...fields }, { method: "POST", target: "/channels/a", body: "x" });
        assert.equal(answer.status, status, `${Origin} ${JSON.stringify(fields)}`);
    }
});

/* The head of a poll that was answered is known byte for byte, and its page is looked at all the same. */
test("a poll that is repeated is looked at again", async (t) => {
    const server = await startServer(t, { config: `${RULES}trusted_proxies: [127.0.0.1]\nhosts: [rt.example.org]\n` });
    for (let i = 0; i < 4; i++) {
        for (const [scheme, status] of [["http", 403], ["https", 200]]) {
            const fields = { Origin: `${scheme}://rt.example.org`, "X-Forwarded-Proto": "https" };
            assert.equal((await ask(server, fields, { target: "/channels/a?after=0000000000000000" })).status, status);
        }
    }
});

test("by names that the server does not have nobody is let in, whatever a proxy says", async (t) => {
    const server = await startServer(t, { config: `${RULES}${TRUSTS}hosts: [rt.example.org]\n` });
    const fields = { Host: "evil.example", "X-Forwarded-Host": "rt.example.org", "X-Forwarded-Proto": "https" };
    assert.equal((await ask(server, fields)).status, 403);
    assertProblem(await server.get("/channels/a", { Host: "evil.example" }), 403);
});
