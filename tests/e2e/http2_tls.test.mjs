// HTTP/2 by ALPN: node, curl, and a hundred EventSources of one page over one connection of Chromium.

import assert from "node:assert/strict";
import http2 from "node:http2";
import { Browser, lacksBrowser } from "./support/browser.mjs";
import { Certificates } from "./support/certificates.mjs";
import { curl, deadline, eventually, startServer, stats, subscribersOf, test } from "./support/index.mjs";

const LISTEN = ["127.0.0.1:0", "https://127.0.0.1:0"];
const STREAMS = 100;

/** A server with a certificate for this machine. */
async function secured(t, { more = "", ...options } = {}) {
    const certificates = new Certificates(t);
    certificates.make("a", "DNS:localhost,IP:127.0.0.1");
    const server = await startServer(t, { listen: LISTEN, config: certificates.config(["a"], more), ...options });
    return { server, certificates, port: server.portOf("https") };
}

async function connect(t, server, port, certificates) {
    const session = http2.connect(`https://127.0.0.1:${port}`, { ca: certificates.ca });
    session.on("error", () => {}); /* some end so */
    server.onStop(() => session.destroy());
    t.after(() => session.destroy());
    return session;
}

/** The bytes of a stream, as they come. */
function follow(session, path) {
    const got = { text: "" };
    session.request({ ":path": path }).setEncoding("utf8").on("data", (text) => (got.text += text)).on("error", () => {});
    return got;
}

test("ALPN chooses HTTP/2 where the client offers it: streams, publishes and large answers", async (t) => {
    const { server, certificates, port } = await secured(t);
    const session = await connect(t, server, port, certificates);
    await deadline(new Promise((resolve) => session.once("connect", resolve)), "the connection");
    assert.equal(session.alpnProtocol, "h2");
    const streams = Array.from({ length: STREAMS }, () => follow(session, "/channels/a?stream=ndjson"));
    await eventually(async () => (await subscribersOf(server, "ndjson")) === STREAMS, "the streams");
    const large = "x".repeat(300_000);
    const made = session.request({ ":method": "POST", ":path": "/channels/a" });
    made.end(large);
    const head = await deadline(new Promise((resolve) => made.once("response", resolve)), "an answer");
    assert.equal(head[":status"], 201);
    await server.publish("a", "the last");
    await eventually(() => streams.every(({ text }) => text.includes("the last")), "the last event on every stream");
    assert.ok(streams.every(({ text }) => text.includes(large)));
});

test("curl speaks HTTP/2 over TLS", async (t) => {
    const { certificates, port } = await secured(t);
    const { stdout } = await curl(["--cacert", certificates.path("ca.pem"), "-w", " %{http_version}", "-d", "hello", `https://localhost:${port}/channels/a`]);
    assert.match(stdout, /"id".* 2$/s);
});

test("a connection over the limit is told so by a GOAWAY", async (t) => {
    const { server, certificates, port } = await secured(t, { more: "limits:\n  connections_max: 1\n", args: ["--threads", "1"] });
    const first = await connect(t, server, port, certificates);
    follow(first, "/channels/a?stream=sse");
    await deadline(new Promise((resolve) => first.once("remoteSettings", resolve)), "the first connection");
    const second = await connect(t, server, port, certificates);
    const code = await deadline(new Promise((resolve) => second.once("goaway", resolve)), "a GOAWAY");
    assert.equal(code, http2.constants.NGHTTP2_ENHANCE_YOUR_CALM);
});

/* ---- what runs in the page ---- */

async function manySources(base, count) {
    const sources = Array.from({ length: count }, () => new EventSource(`${base}/channels/a`));
    const got = sources.map(() => 0);
    sources.forEach((source, i) => (source.onmessage = () => got[i]++));
    await Promise.all(sources.map((source) => new Promise((resolve) => (source.onopen = resolve))));
    const answer = await fetch(`${base}/channels/a`, { method: "POST", body: "hello" });
    while (got.some((n) => n === 0)) {
        await new Promise((resolve) => setTimeout(resolve, 20));
    }
    const protocols = new Set(performance.getEntriesByType("resource").map(({ nextHopProtocol }) => nextHopProtocol).filter(Boolean));
    return { status: answer.status, got, protocols: [...protocols] };
}

test("a hundred EventSources of one page in Chromium share one connection", { skip: lacksBrowser("chromium"), timeout: 300_000 }, async (t) => {
    const { server, port } = await secured(t);
    const browser = await Browser.start(t, "chromium", ["--ignore-certificate-errors"]);
    t.after(() => browser.stop());
    const result = await browser.run(manySources, `https://127.0.0.1:${port}`, STREAMS);
    assert.equal(result.status, 201);
    assert.deepEqual(result.got, Array(STREAMS).fill(1));
    assert.equal(await subscribersOf(server, "sse"), STREAMS);
    await eventually(async () => (await stats(server)).connections <= 4, "the page's connection, the test's, and what the browser keeps ready");
});
