// Every read tells the other ways to read the same.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { SseStream, bothStores, linkOf, parseLinks, startServer, test } from "./support/index.mjs";

const TYPES = ["text/event-stream", "application/x-ndjson"];

/** The target of a link from a page at `path`. */
function resolve(server, path, href) {
    const url = new URL(href, `${server.url}${path}`);
    return url.pathname + url.search;
}

bothStores("a page links to the streams of the same selection, and they work", async (t, server) => {
    const { id } = await server.publish("d/a", "x", { "Event-Type": "t" });
    for (const path of ["/channels/d/a", "/events?channel=d/*&channel=e&type=t"]) {
        const { answer } = await server.page(path);
        for (const type of TYPES) {
            const link = linkOf(answer, "alternate", type);
            assert.ok(link, `no alternate of type ${type} in ${answer.headers.link}`);
            assert.match(link.href, /^\?/);
            const target = resolve(server, path, link.href);
            const from = `${target}${target.includes("?") ? "&" : "?"}after=earliest`;
            const stream = await SseStream.open(server, target.includes("after=") ? target : from);
            assert.equal(stream.status, 200);
            assert.ok(stream.headers["content-type"].startsWith(type));
            stream.close();
        }
        const page = await server.page(path);
        assert.equal(page.events[0].id, id);
    }
});

bothStores("every read tells where webhooks are", async (t, server) => {
    for (const path of ["/channels/a", "/events?channel=*"]) {
        const { answer } = await server.page(path);
        assert.ok(linkOf(answer, "webhooks"), answer.headers.link);
    }
    for (const accept of TYPES) {
        const stream = await SseStream.open(server, "/channels/a", { headers: { Accept: accept } });
        const links = parseLinks(stream.headers.link);
        assert.ok(links.some((link) => link.rel === "webhooks"), stream.headers.link);
        assert.ok(links.some((link) => link.rel === "alternate"), stream.headers.link);
        stream.close();
    }
});

test("no link repeats a token", async (t) => {
    const server = await startServer(t);
    const stream = await SseStream.open(server, "/channels/a?stream=sse&token=SECRET123");
    assert.ok(!JSON.stringify(stream.headers).includes("SECRET123"));
    stream.close();
});

test("the root shows a person a page and a program the links", async (t) => {
    const server = await startServer(t);
    const person = await server.get("/", { Accept: "text/html,application/xhtml+xml,*/*;q=0.8" });
    assert.equal(person.status, 200);
    assert.match(person.headers["content-type"], /^text\/html\b/);
    assert.ok(person.text.includes("freshet"));
    for (const accept of [undefined, "application/json"]) {
        const program = await server.get("/", accept ? { Accept: accept } : {});
        assert.equal(program.status, 200);
        assert.match(program.headers["content-type"], /json\b/);
        assert.equal(typeof program.json(), "object");
    }
});

for (const config of ["", "playground: true\naccess: {anybody: []}\n"])
    test(`the line that publishes works as it stands: ${config.split("\n")[0] || "no rules"}`, async (t) => {
        const server = await startServer(t, { config });
        const { text } = await server.get("/", { Accept: "text/html" });
        const line = /<code>(curl <span.*)<\/code>/.exec(text)[1].replace(/<[^>]*>/g, "");
        const { stdout } = await promisify(execFile)("sh", ["-c", `${line} -s`]);
        assert.match(JSON.parse(stdout).id, /^\d{16}$/);
        assert.equal((await server.get("/", { Accept: "*/*" })).json().name, "freshet");
    });
