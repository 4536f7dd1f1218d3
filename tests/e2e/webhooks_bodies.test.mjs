// What a delivery looks like: the envelope, the data alone, pages, CloudEvents; and by which keys it is signed.

import assert from "node:assert/strict";
import { createHmac, createPublicKey, verify } from "node:crypto";
import http from "node:http";
import { HTTP } from "cloudevents";
import { eventually, publish, publishMany, startServer, test } from "./support/index.mjs";
import { assertProblem } from "./support/problems.mjs";
import { assertSigned, Receiver } from "./support/receiver.mjs";

async function register(server, url, channels, more = {}) {
    const answer = await server.request("POST", "/webhooks", { body: { url, channels, ...more } });
    assert.equal(answer.status, 201, answer.text);
    return answer.json();
}

const posts = (receiver) => receiver.requests.filter(({ headers }) => !headers["webhook-id"]?.startsWith("ping_"));

/** The signatures of a request by version. */
function signaturesOf({ headers }, version) {
    return headers["webhook-signature"].split(" ").filter((one) => one.startsWith(`${version},`)).map((one) => one.slice(version.length + 1));
}

function signedBytes({ headers, bytes }) {
    return Buffer.concat([Buffer.from(`${headers["webhook-id"]}.${headers["webhook-timestamp"]}.`), bytes]);
}

function assertHmac(request, secret) {
    const key = Buffer.from(secret.slice(6), "base64");
    assert.ok(signaturesOf(request, "v1").includes(createHmac("sha256", key).update(signedBytes(request)).digest("base64")));
}

function isSignedBy(request, publicKey) {
    const der = Buffer.concat([Buffer.from("302a300506032b6570032100", "hex"), Buffer.from(publicKey.slice(5), "base64")]);
    const key = createPublicKey({ key: der, format: "der", type: "spki" });
    return signaturesOf(request, "v1a").some((one) => verify(null, signedBytes(request), key, Buffer.from(one, "base64")));
}

test("the data alone comes byte for byte, with its type, and headers say what it is", async (t) => {
    const server = await startServer(t);
    const receiver = await Receiver.start(t);
    const { secret } = await register(server, receiver.url, ["a/ü"], { format: "data" });
    await publish(server, "a/ü", Buffer.from([0, 255, 10]), { "Content-Type": "image/png", "Event-Type": "pic" });
    await publish(server, "a/ü", '{"a": 1e400}', { "Content-Type": "application/json" });
    await publish(server, "a/ü", "grüße");
    await receiver.until(() => posts(receiver).length === 3, "three deliveries");
    const [one, two, three] = posts(receiver);
    assert.deepEqual([...one.bytes], [0, 255, 10]);
    assert.equal(one.headers["content-type"], "image/png");
    assert.equal(one.headers["event-type"], "pic");
    assert.equal(decodeURIComponent(one.headers["event-channel"]), "a/ü");
    assert.equal(two.bytes.toString(), '{"a": 1e400}');
    assert.equal(two.headers["content-type"], "application/json");
    assert.equal(three.bytes.toString(), "grüße");
    assert.equal(three.headers["content-type"], "text/plain; charset=utf-8");
    posts(receiver).forEach((request) => assertHmac(request, secret));
});

for (const ordered of [true, false]) {
    test(`pages hold up to so many events, in order, and come again as they were (ordered: ${ordered})`, async (t) => {
        const server = await startServer(t, { data: true });
        const receiver = await Receiver.start(t);
        const { id, secret } = await register(server, receiver.url, ["a/*"], { batch: 10, ordered, concurrency: 2, schedule: [0.01] });
        await server.request("POST", `/webhooks/${id}/pause`);
        const ids = [...await publishMany(server, "a/1", 25), ...await publishMany(server, "a/2", 10)];
        receiver.http.removeAllListeners("request");
        receiver.http.on("request", (req, res) => {
            const chunks = [];
            req.on("data", (chunk) => chunks.push(chunk));
            req.on("end", () => {
                const bytes = Buffer.concat(chunks);
                receiver.requests.push({ headers: req.headers, bytes, body: JSON.parse(bytes) });
                receiver.waiters.splice(0).forEach((waiter) => waiter());
                res.writeHead(posts(receiver).length === 2 ? 500 : 200).end();
            });
        });
        await server.request("POST", `/webhooks/${id}/resume`);
        const pages = () => posts(receiver).map(({ body }) => body.events.map((event) => event.id));
        await receiver.until(() => new Set(pages().flat()).size === 35, "all events");
        await receiver.until(() => pages().flat().length > 35, "the page that failed");
        assert.ok(pages().every((page) => page.length >= 1 && page.length <= 10));
        const byId = new Map();
        for (const request of posts(receiver)) {
            const name = request.headers["webhook-id"];
            assert.equal(request.body.cursor, request.body.events.at(-1).id);
            assert.ok(byId.get(name)?.equals(request.bytes) ?? true, "a page changed between attempts");
            byId.set(name, request.bytes);
            assertSigned(request, secret);
        }
        if (ordered) {
            assert.deepEqual([...new Set(pages().flat())], ids);
        }
    });
}

test("CloudEvents: structured, as its library reads it", async (t) => {
    const server = await startServer(t);
    const receiver = await Receiver.start(t);
    const { secret } = await register(server, receiver.url, ["a/ü b"], { format: "cloudevents" });
    const json = await publish(server, "a/ü b", '{"n":1}', { "Content-Type": "application/json", "Event-Type": "order.made" });
    await publish(server, "a/ü b", "text");
    await publish(server, "a/ü b", Buffer.from([0, 255]), { "Content-Type": "image/png" });
    await receiver.until(() => posts(receiver).length === 3, "three deliveries");
    const [one, two, three] = posts(receiver).map(({ headers, bytes }) => HTTP.toEvent({ headers, body: bytes.toString() }));
    assert.equal(posts(receiver)[0].headers["content-type"], "application/cloudevents+json");
    assert.equal(one.id, json.id);
    assert.equal(one.type, "order.made");
    assert.equal(one.source, "/channels/a/%C3%BC%20b");
    assert.equal(one.subject, "a/ü b");
    assert.equal(one.sequence, json.id);
    assert.equal(Date.parse(one.time), Date.parse(json.time));
    assert.deepEqual(one.data, { n: 1 });
    assert.equal(two.data, "text");
    assert.deepEqual([...Buffer.from(three.data_base64, "base64")], [0, 255]);
    assert.equal(three.datacontenttype, "image/png");
    posts(receiver).forEach((request) => assertSigned(request, secret));
});

test("CloudEvents: batches are asked for", async (t) => {
    const server = await startServer(t);
    const receiver = await Receiver.start(t);
    const { id } = await register(server, receiver.url, ["a"], { format: "cloudevents", batch: 5 });
    await server.request("POST", `/webhooks/${id}/pause`);
    const ids = await publishMany(server, "a", 5);
    await server.request("POST", `/webhooks/${id}/resume`);
    await receiver.until(() => posts(receiver).length === 1, "a batch");
    const [{ headers, bytes }] = posts(receiver);
    assert.equal(headers["content-type"], "application/cloudevents-batch+json");
    assert.deepEqual(HTTP.toEvent({ headers, body: bytes.toString() }).map((event) => event.id), ids);
});

test("CloudEvents: binary, in headers", async (t) => {
    const server = await startServer(t);
    const receiver = await Receiver.start(t);
    const { secret } = await register(server, receiver.url, ["a/€ 😀"], { format: "cloudevents-binary" });
    const { id } = await publish(server, "a/€ 😀", '{"n":1}', { "Content-Type": "application/json", "Event-Type": "t" });
    await receiver.until(() => posts(receiver).length === 1, "a delivery");
    const [request] = posts(receiver);
    const event = HTTP.toEvent({ headers: request.headers, body: request.bytes.toString() });
    assert.equal(event.id, id);
    assert.equal(event.type, "t");
    assert.deepEqual(event.data, { n: 1 });
    assert.equal(request.headers["ce-subject"], "a/%E2%82%AC%20%F0%9F%98%80");
    assert.equal(request.headers["ce-specversion"], "1.0");
    assert.equal(request.headers["ce-datacontenttype"], undefined);
    assert.equal(request.headers["content-type"], "application/json");
    assert.ok(request.headers["webhook-request-origin"]);
    assertHmac(request, secret);
    assertProblem(await server.request("POST", "/webhooks",
        { body: { url: receiver.url, channels: ["a"], format: "cloudevents-binary", batch: 2 } }), 400);
});

test("on request a delivery is signed by ed25519 too, and by both keys after a rotation", async (t) => {
    const server = await startServer(t, { data: true });
    const receiver = await Receiver.start(t);
    const made = await register(server, receiver.url, ["a"], { asymmetric: true });
    assert.match(made.public_key, /^whpk_/);
    await publish(server, "a", "1");
    await receiver.events(1);
    assert.ok(isSignedBy(receiver.deliveries[0], made.public_key));
    assertSigned(receiver.deliveries[0], made.secret);
    const rotated = (await server.request("POST", `/webhooks/${made.id}/rotate`)).json();
    assert.notEqual(rotated.public_key, made.public_key);
    await server.restart();
    await publish(server, "a", "2");
    const second = await receiver.until(() => receiver.deliveries.find(({ body }) => body.data === "2"), "the second");
    for (const { public_key: key, secret } of [made, rotated]) {
        assert.ok(isSignedBy(second, key));
        assertSigned(second, secret);
    }
    const without = (await server.request("PATCH", `/webhooks/${made.id}`, { body: { asymmetric: false } })).json();
    assert.equal(without.public_key, undefined);
    const given = await register(server, receiver.url, ["b"], { asymmetric: "whsk_nWGxne/9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A=" });
    assert.equal(given.public_key, "whpk_11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=");
});

/* ---- verification when an endpoint is made ---- */

/** An http server that answers by `handle(req, body, res)`; its URL. */
async function serve(t, handle) {
    const server = http.createServer((req, res) => {
        const chunks = [];
        req.on("data", (chunk) => chunks.push(chunk));
        req.on("end", () => handle(req, Buffer.concat(chunks).toString(), res));
    });
    await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
    t.after(() => server.close());
    return `http://127.0.0.1:${server.address().port}/hook`;
}

const verifications = {
    ping: [(req, body, res) => res.writeHead(204).end(), (req, body, res) => res.writeHead(404).end()],
    cloudevents: [
        (req, body, res) => res.writeHead(405, req.method === "OPTIONS" ? { "WebHook-Allowed-Origin": req.headers["webhook-request-origin"], "WebHook-Allowed-Rate": "*" } : {}).end(),
        (req, body, res) => res.writeHead(200).end(),
    ],
    slack: [
        (req, body, res) => res.writeHead(200).end(JSON.parse(body).type === "url_verification" ? JSON.parse(body).challenge : "no"),
        (req, body, res) => res.writeHead(200).end("something else"),
    ],
};
for (const [how, [yes, no]] of Object.entries(verifications)) {
    test(`verify: ${how} makes an endpoint of who consents, and of nobody else`, async (t) => {
        const server = await startServer(t);
        const good = await serve(t, yes);
        const bad = await serve(t, no);
        await register(server, good, ["a"], { verify: how });
        const refused = await server.request("POST", "/webhooks", { body: { url: bad, channels: ["a"], verify: how } });
        assertProblem(refused, 400);
        assert.equal((await server.get("/webhooks")).json().webhooks.length, 1);
    });
}

/* ---- replay and change ---- */

test("a replay goes back to a cursor or a time, and forward", async (t) => {
    const server = await startServer(t, { data: true });
    const receiver = await Receiver.start(t);
    const { id } = await register(server, receiver.url, ["a"]);
    const ids = await publishMany(server, "a", 5);
    await receiver.events(5);
    const noted = () => eventually(async () => (await server.get(`/webhooks/${id}`)).json().lag === 0, "the deliveries to be noted");
    await noted();
    const replay = (after) => server.request("POST", `/webhooks/${id}/replay`, { body: { after } });
    const since = (count) => receiver.deliveries.slice(count).map(({ body }) => body.id);
    assert.equal((await replay(ids[1])).status, 200);
    await receiver.until(() => receiver.deliveries.length === 8, "three again");
    assert.deepEqual(since(5), ids.slice(2));
    await noted();
    assert.equal((await replay("2020-01-01T00:00:00Z")).status, 200);
    await receiver.until(() => receiver.deliveries.length === 13, "all again");
    assert.deepEqual(since(8), ids);
    await noted();
    await server.request("POST", `/webhooks/${id}/pause`);
    await publishMany(server, "a", 3);
    assert.equal((await replay("now")).status, 200);
    await server.request("POST", `/webhooks/${id}/resume`);
    const { id: last } = await publish(server, "a", "last");
    await receiver.until(() => receiver.deliveries.length === 14, "what came after now");
    assert.deepEqual(since(13), [last]);
    assertProblem(await replay("9007199254740991"), 400);
    assertProblem(await server.request("POST", `/webhooks/${id}/replay`, { body: {} }), 400);
});

test("a change of order, format and schedule counts from where it is", async (t) => {
    const server = await startServer(t, { data: true });
    const receiver = await Receiver.start(t);
    const { id } = await register(server, receiver.url, ["a"]);
    await publishMany(server, "a", 5);
    await receiver.events(5);
    const changed = await server.request("PATCH", `/webhooks/${id}`,
        { body: { ordered: false, concurrency: 7, schedule: [1, 2.5], timeout: 3, format: "event" } });
    assert.equal(changed.status, 200, changed.text);
    await server.restart();
    const told = (await server.get(`/webhooks/${id}`)).json();
    assert.deepEqual([told.ordered, told.concurrency, told.schedule, told.timeout], [false, 7, [1, 2.5], 3]);
    await publishMany(server, "a", 5);
    await receiver.events(10);
    await eventually(async () => (await server.get(`/webhooks/${id}`)).json().lag === 0, "nothing to be owed");
    for (const body of [{ batch: -1 }, { batch: 1001 }, { concurrency: 0 }, { timeout: 61 }, { schedule: [] }, { schedule: [0] },
        { schedule: "5" }, { format: "xml" }, { ordered: 1 }, { asymmetric: "whsk_AAAA" }, { secret: "x" }]) {
        assertProblem(await server.request("PATCH", `/webhooks/${id}`, { body }), 400);
    }
    for (const name of ["Host", "Connection", "Transfer-Encoding", "webhook-signature", "ce-id", "TE", "Proxy-Authorization", "Upgrade"]) {
        assertProblem(await server.request("PATCH", `/webhooks/${id}`, { body: { headers: { [name]: "x" } } }), 400);
    }
});
