// Every error is a problem document (RFC 9457) whose type names a page.

import assert from "node:assert/strict";
import {
    UNKNOWN_CURSOR, assertProblem, argumentsOf, assertTypeHasPage, bothStores, curl, rawRequest, startServer, test,
} from "./support/index.mjs";
import { documents } from "./support/documents.mjs";

const JSON_TYPE = { "Content-Type": "application/json" };

/** [what, method, path, {headers, body}, status] of every refusal that one request can meet with. */
const REFUSALS = [
    ["a path that is nowhere", "GET", "/nowhere", {}, 404],
    ["a path below a page", "GET", "/healthz/x", {}, 404],
    ["a bad name", "GET", "/channels/a//b", {}, 400],
    ["a pattern as a name", "POST", "/channels/a/*", { body: "x" }, 400],
    ["a bad pattern", "GET", "/events?channel=a/**/b", {}, 400],
    ["no channel at all", "GET", "/events", {}, 400],
    ["a bad cursor", "GET", "/channels/a?after=x", {}, 400],
    ["an unknown cursor", "GET", `/channels/a?after=${UNKNOWN_CURSOR}`, {}, 410],
    ["a bad limit", "GET", "/channels/a?limit=x", {}, 400],
    ["a bad format", "GET", "/channels/a?format=x", {}, 400],
    ["bad JSON", "POST", "/channels/a", { headers: JSON_TYPE, body: "{" }, 400],
    ["a bad type", "POST", "/channels/a?type=error", { body: "x" }, 400],
    ["a key too long", "POST", `/channels/a?key=${"k".repeat(256)}`, { body: "x" }, 400],
    ["a newest id that is not", "POST", "/channels/a",
        { headers: { "If-Match": '"0000000000000001"' }, body: "x" }, 412],
    ["a body too large", "POST", "/channels/a", { body: "x".repeat(1024 * 1024 + 1) }, 413],
    ["a batch too long", "POST", "/events",
        { body: Array.from({ length: 1001 }, () => ({ channel: "a", data: 1 })) }, 413],
    ["a bad event in a batch", "POST", "/events", { body: [{ channel: "a//b", data: 1 }] }, 400],
    ["a method that a channel has not", "PUT", "/channels/a", { body: "x" }, 405],
    ["a method that events has not", "DELETE", "/events?channel=a", {}, 405],
    ["a method that health has not", "POST", "/healthz", {}, 405],
];

for (const [what, method, path, options, status] of REFUSALS) {
    test(`${what} is answered with a ${status} problem whose type is a page`, async (t) => {
        const server = await startServer(t);
        const problem = assertProblem(await server.request(method, path, options), status);
        await assertTypeHasPage(server, problem);
    });
}

test("a problem's title belongs to its type and its detail to the case", async (t) => {
    const server = await startServer(t);
    const one = assertProblem(await server.get("/channels/a?after=x"), 400);
    const other = assertProblem(await server.get("/channels/a?after=y"), 400);
    assert.equal(one.type, other.type);
    assert.equal(one.title, other.title);
});

test("a method that a resource has not is answered with those it has", async (t) => {
    const server = await startServer(t);
    const answer = await server.request("PUT", "/channels/a", { body: "x" });
    assertProblem(answer, 405);
    const allowed = answer.headers.allow.split(/\s*,\s*/);
    for (const method of ["GET", "HEAD", "POST", "DELETE", "OPTIONS"]) {
        assert.ok(allowed.includes(method), `${method} in ${answer.headers.allow}`);
    }
    const read = await server.request("DELETE", "/healthz");
    assertProblem(read, 405);
    assert.ok(read.headers.allow.split(/\s*,\s*/).includes("GET"));
});

test("the example on each page of an error gets that error", async (t) => {
    const server = await startServer(t);
    await server.publish("news", "hello");
    const list = (await server.get("/errors")).text;
    const slugs = [...list.matchAll(/\/errors\/(\S+)/g)].map(([, slug]) => slug);
    let examples = 0;
    for (const slug of slugs) {
        const { text, headers } = await server.get(`/errors/${slug}`);
        assert.match(headers["content-type"], /^text\/plain/);
        const line = /^ {2}(curl .*)$/m.exec(text)?.[1];
        if (line) {
            const { stdout } = await curl(argumentsOf(line));
            assert.match(stdout, new RegExp(`"type":"/errors/${slug}"`), `${line}: ${stdout}`);
            examples++;
        }
    }
    assert.ok(examples > 20, `${examples} examples`);
});

const BROWSER = { Accept: "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8" };

test("a browser gets a page for a path that is nowhere, or takes other methods; a program gets the problem", async (t) => {
    const server = await startServer(t);
    for (const [method, path, status] of [["GET", "/nowhere", 404], ["GET", "/hub", 405], ["POST", "/healthz", 405], ["GET", "/pages/none", 404]]) {
        const page = await server.request(method, path, { headers: BROWSER });
        assert.equal(page.status, status, path);
        assert.match(page.headers["content-type"], /^text\/html/);
        assert.match(page.headers.vary, /\bAccept\b/);
        assert.match(page.headers["cache-control"], /no-store/);
        assert.ok(page.text.includes(path), path);
        const problem = await server.request(method, path);
        assertProblem(problem, status);
        assert.match(problem.headers.vary, /\bAccept\b/);
        assert.equal(problem.headers.allow, page.headers.allow);
        const conn = await server.connect();
        await conn.send(`HEAD ${path} HTTP/1.1\r\nHost: 127.0.0.1:${server.port}\r\nAccept: ${BROWSER.Accept}\r\n\r\n`);
        const head = await conn.readResponse({ method: "HEAD" });
        if (method === "GET") {
            assert.deepEqual([head.status, head.headers["content-type"], head.headers["content-length"]],
                [status, page.headers["content-type"], String(page.bytes.length)]);
        }
    }
});

test("an errors page that does not exist is itself a problem", async (t) => {
    const server = await startServer(t);
    assertProblem(await server.get("/errors/no-such-thing"), 404);
    assertProblem(await server.get("/errors/../../etc/passwd"), [400, 404]);
});

bothStores("an error is found to say nothing that breaks JSON", async (t, server) => {
    for (const path of ["/channels/%22%5C%0A", "/channels/a?after=%22%0a%5c", "/channels/a?format=%22%7d",
        "/channels/a?type=%3Cscript%3E", "/channels/a?after=%FF%FE", "/events?channel=%22/**/%22",
        `/channels/a?after=${"9".repeat(3000)}`, "/%22%5C"]) {
        const answer = await server.get(path);
        assert.ok(answer.status >= 400 && answer.status < 500, `${path}: ${answer.status}`);
        assertProblem(answer, answer.status);
    }
});

test("an error leaves the connection open unless framing is in doubt", async (t) => {
    const server = await startServer(t);
    const host = `Host: 127.0.0.1:${server.port}\r\n`;
    const conn = await server.connect();
    for (const path of ["/channels/a//b", "/nowhere", "/channels/a?after=x"]) {
        await conn.send(`GET ${path} HTTP/1.1\r\n${host}\r\n`);
        const answer = await conn.readResponse();
        assert.ok(answer.status >= 400 && answer.status < 500);
    }
    await conn.send(`GET /healthz HTTP/1.1\r\n${host}\r\n`);
    assert.equal((await conn.readResponse()).status, 200);
});

test("an error to HEAD has the headers and no body", async (t) => {
    const server = await startServer(t);
    const host = `Host: 127.0.0.1:${server.port}\r\n`;
    const conn = await server.connect();
    await conn.send(`HEAD /nowhere HTTP/1.1\r\n${host}\r\n`);
    const head = await conn.readResponse({ method: "HEAD" });
    assert.equal(head.status, 404);
    await conn.send(`GET /healthz HTTP/1.1\r\n${host}\r\n`);
    assert.equal((await conn.readResponse()).status, 200);
});

test("an error to an HTTP/1.0 client is one that it can read", async (t) => {
    const server = await startServer(t);
    const [answer] = await rawRequest(
        server.port, `GET /nowhere HTTP/1.0\r\nHost: 127.0.0.1:${server.port}\r\n\r\n`);
    assert.equal(answer.headers["transfer-encoding"], undefined);
    assertProblem(answer, 404);
});

test("documents name the status of a problem type as it is", async (t) => {
    const server = await startServer(t);
    const statuses = new Map([...(await server.get("/errors")).text.matchAll(/^(\d+) +\/errors\/(\S+)/gm)].map(([, status, slug]) => [slug, status]));
    const wrong = documents().flatMap(([name, text]) => [...text.matchAll(/\b([45]\d\d) \[?`([a-z]+(?:-[a-z]+)*)`/g)]
        .filter(([, status, slug]) => statuses.has(slug) && statuses.get(slug) !== status).map(([words]) => `${name}: ${words}`));
    assert.deepEqual(wrong, []);
});
