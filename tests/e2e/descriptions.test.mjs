// What the server says of itself to programs: both documents are valid, they tell all that the server routes and nothing else,
// and what it answers is as they tell.

import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { Validator } from "@seriousme/openapi-schema-validator";
import { Described } from "./support/described.mjs";
import { Receiver } from "./support/receiver.mjs";
import { Socket } from "./support/ws.mjs";
import { argumentsOf, curl, curlStream, deadline, eventually, startServer, test } from "./support/index.mjs";

const { Parser } = createRequire(import.meta.url)("@asyncapi/parser");

test("the description of requests is valid OpenAPI 3.2", async (t) => {
    const server = await startServer(t);
    const document = (await server.get("/openapi.json")).json();
    const validator = new Validator();
    const { valid, errors } = await validator.validate(document);
    assert.ok(valid, JSON.stringify(errors, null, 1));
    assert.equal(validator.version, "3.2");
    assert.equal(document.openapi, "3.2.0");
    const ids = new Described(document).operations.map(({ operationId }) => operationId);
    assert.deepEqual(ids, [...new Set(ids)]);
});

for (const args of [[], ["--base", "/rt"]]) {
    test(`the description of messages is valid AsyncAPI 3.1 ${args}`, async (t) => {
        const server = await startServer(t, { args });
        const { text } = await server.get(`${args[1] ?? ""}/asyncapi.json`);
        const { document, diagnostics } = await new Parser().parse(text);
        const errors = diagnostics.filter(({ severity }) => severity === 0);
        assert.deepEqual(errors, []);
        assert.equal(document.version(), "3.1.0");
        const [socket] = document.servers().all().filter((one) => one.protocol() === "ws");
        assert.equal(socket.host(), `127.0.0.1:${server.port}`);
        assert.equal(socket.pathname(), args[1]);
    });
}

test("a document is compressed, kept by its ETag, and below a base it says so", async (t) => {
    const server = await startServer(t, { args: ["--base", "/rt"] });
    for (const path of ["/rt/openapi.json", "/rt/asyncapi.json"]) {
        const whole = await server.get(path);
        assert.equal(whole.headers["cache-control"], "no-cache");
        const again = await server.get(path, { "If-None-Match": whole.headers.etag });
        assert.deepEqual([again.status, again.bytes.length], [304, 0]);
        const packed = await server.get(path, { "Accept-Encoding": "gzip" });
        assert.equal(packed.headers["content-encoding"], "gzip");
        assert.ok(packed.bytes.length < whole.bytes.length / 3);
    }
    const { servers } = (await server.get("/rt/openapi.json")).json();
    assert.equal(servers[0].url, `${server.url}/rt`);
});

test("each path and method that the server routes is described, and no other", async (t) => {
    const server = await startServer(t);
    const { links } = (await server.get("/", { Accept: "application/json" })).json();
    const routed = new Set(links.flatMap(({ path, access }) => Object.keys(access).map((method) => `${method} ${path}`)));
    const described = new Map();
    for (const operation of (await Described.of(server)).operations) {
        const route = links.map(({ path }) => path).filter((path) => operation.path === path || operation.path.startsWith(`${path}/`))
            .sort((a, b) => b.length - a.length)[0];
        described.set(`${operation.method.toUpperCase()} ${route}`, operation);
    }
    assert.deepEqual([...described.keys()].sort(), [...routed].sort());
    for (const { path, access } of links) {
        for (const [method, action] of Object.entries(access)) {
            const operation = described.get(`${method} ${path}`);
            const open = ["nothing", "proof"].includes(action);
            assert.equal(operation["x-access"], open ? undefined : action, operation.operationId);
            assert.equal(Array.isArray(operation.security), open, operation.operationId);
        }
    }
});

/** What `curl -i` prints, as an answer. */
function answerOf(stdout) {
    const [head, ...body] = stdout.split("\r\n\r\n");
    const [first, ...lines] = head.split("\r\n");
    const headers = Object.fromEntries(lines.map((line) => line.split(/:\s*(.*)/s)).map(([name, value]) => [name.toLowerCase(), value]));
    return { status: Number(first.split(" ")[1]), headers, bytes: Buffer.from(body.join("\r\n\r\n")) };
}

/* Samples that take something away: run last, in this order. */
const LATE = ["leavePlayground", "dropDelivery", "deleteWebhook", "deleteChannel", "deleteKey", "endRevocation"];

const INBOUND = `
inbound:
  - source: github
    kind: none
    challenge: {method: GET, value: "{query.hub.challenge}"}
namespaces:
  - {prefix: chat, presence: true}
`;

test("each line of curl in the description works, and what it gets is as described", async (t) => {
    const server = await startServer(t, { data: true, config: INBOUND });
    const receiver = await Receiver.start(t);
    const described = await Described.of(server);
    receiver.answer = ({ body }) => (body.channel === "orders/bad" ? 500 : 200);
    await server.publish("news", "hello");
    await server.publish("chat/17", "hello");
    await server.ndjson("/channels/news"); /* somebody who reads */
    const ids = { wh_8f2k: "wh_8f2k", wh_visit: "wh_visit", abcdefghij: "abcdefghij", "deliveries/17": "deliveries/17" };
    const run = async (operation) => {
        const [{ source }] = operation["x-codeSamples"];
        const line = Object.entries(ids).reduce((text, [name, id]) => text.replaceAll(name, id), source);
        const args = argumentsOf(line.replaceAll("localhost:7070", `127.0.0.1:${server.port}`).replaceAll("http://localhost:9000/hook", receiver.url));
        const answer = answerOf((await curl(["-i", ...args])).stdout);
        assert.ok(answer.status < 300, `${line}: ${answer.status} ${answer.bytes}`);
        described.assertAnswers(operation, answer);
        return answer.bytes.length && /json/.test(answer.headers["content-type"]) ? JSON.parse(answer.bytes) : undefined;
    };
    const streams = (operation) => /^curl -N/.test(operation["x-codeSamples"][0].source); /* they have a test of their own */
    const now = described.operations.filter((operation) => !LATE.includes(operation.operationId) && !streams(operation));
    const first = ["publish", "publishMany", "createWebhook", "createKey", "revoke", "visitPlayground"];
    now.sort((a, b) => first.includes(b.operationId) - first.includes(a.operationId));
    for (const operation of now) {
        const body = await run(operation);
        if (operation.operationId === "createWebhook") {
            ids.wh_8f2k = body.id;
            await server.request("PATCH", `/webhooks/${body.id}`, { body: { schedule: [0.01] } });
            await server.publish("orders/bad", "refused");
            const path = `/webhooks/${body.id}/deliveries?state=dead`;
            const dead = await eventually(async () => {
                await server.publish("orders/good", "accepted"); /* what is refused is given up only while others are accepted */
                return (await server.get(path)).json().deliveries[0];
            }, "a dead letter");
            ids["deliveries/17"] = `deliveries/${dead.n}`;
        } else if (operation.operationId === "visitPlayground") {
            ids.wh_visit = body.id;
        } else if (operation.operationId === "createKey") {
            ids.abcdefghij = body.id;
        } else if (operation.operationId === "retryDelivery") {
            await eventually(async () => receiver.deliveries.filter(({ body: { channel } }) => channel === "orders/bad").length > 2, "a retry");
        }
    }
    const late = (operation) => LATE.indexOf(operation.operationId);
    for (const operation of described.operations.filter((one) => late(one) >= 0).sort((a, b) => late(a) - late(b))) {
        await run(operation);
    }
    /* The webhook itself. */
    const hooks = described.document.webhooks;
    const bodyOf = (name) => hooks[name].post.requestBody.content["application/json"].schema;
    assert.ok(receiver.pings.length > 0 && receiver.deliveries.length > 0);
    receiver.pings.filter(({ method, body }) => method === "POST" && body?.type === "$ping").forEach(({ body }) => described.assertIs(bodyOf("ping"), body, "a ping"));
    receiver.deliveries.forEach(({ body }) => described.assertIs(bodyOf("event"), body, "a delivery"));
    for (const { name } of hooks.event.post.parameters) {
        assert.ok(receiver.deliveries[0].headers[name.toLowerCase()], `a delivery has no ${name}`);
    }
});

/** The fields of a record of server-sent events. */
function sseFields(record) {
    const fields = {};
    for (const line of record.split("\n")) {
        const [, name, value] = /^(\w+): ?(.*)$/.exec(line);
        fields[name] = name === "retry" ? Number(value) : name in fields ? `${fields[name]}\n${value}` : value;
    }
    return fields;
}

test("records of streams and pages are as described, gaps and goodbyes too", async (t) => {
    const server = await startServer(t);
    const described = await Described.of(server);
    const [read] = described.operations.filter(({ operationId }) => operationId === "readChannel");
    const content = read.responses[200].content;
    await server.publish("news", "gone");
    await server.request("DELETE", "/channels/news");
    await server.publish("news", { a: 1 }, { "Event-Type": "t" });
    await server.publish("news", Buffer.from([0, 255]), { "Content-Type": "image/png" });
    const first = "0000000000000001";
    const streamed = (format, end) => curlStream(server, [`${server.url}/channels/news?stream=${format}&after=${first}`]).until(end);
    const ndjson = await streamed("ndjson", /data_base64.*\n/);
    const sse = await streamed("sse", /data_base64.*\n\n/);
    const lines = ndjson.trim().split("\n").map((line) => JSON.parse(line));
    assert.ok(lines.length >= 4 && lines.some(({ op }) => op === "gap"), ndjson);
    lines.forEach((line) => described.assertIs(content["application/x-ndjson"].itemSchema, line, "a line"));
    const records = sse.trim().split("\n\n").map(sseFields);
    assert.ok(records.some(({ event }) => event === "$gap"), sse);
    records.forEach((record) => described.assertIs(content["text/event-stream"].itemSchema, record, "a record"));
    for (const query of ["", "?format=data", "?wait=0", "?last=1"]) {
        described.assertAnswers(read, await server.get(`/channels/news${query}`));
    }
    described.assertIsA("Page", (await server.get("/channels/news")).json());
    const gap = await server.get(`/channels/news?after=${first}`);
    assert.equal(gap.status, 410);
    described.assertAnswers(read, gap);
});

/* For each operation a request that is refused, and the problem. Where nothing is said: an unknown parameter. */
const REFUSED = {
    publish: ["POST", "/channels/a/*", {}, "bad-channel"],
    publishMany: ["POST", "/events", { body: "{", headers: { "Content-Type": "application/json" } }, "bad-json"],
    receiveWebhook: ["POST", "/inbound/nobody", { body: "{}" }, "not-found"],
    answerChallenge: ["GET", "/inbound/nobody", {}, "not-found"],
    readChannel: ["GET", "/channels/a?after=9007199254740000", {}, "gap"],
    readEvents: ["GET", "/events?channel=a/**/b", {}, "bad-pattern"],
    deleteChannel: ["DELETE", "/channels/$audit", {}, "reserved-channel"],
    createWebhook: ["POST", "/webhooks", { body: { url: "http://10.0.0.1/", channels: ["a"] } }, "forbidden-target"],
    changeWebhook: ["PATCH", "/webhooks/nobody", { body: {} }, "not-found"],
    pingWebhook: ["POST", "/webhooks/x/ping", { body: { a: 1 } }, "bad-webhook"],
    createKey: ["POST", "/keys", { body: { name: "" } }, "bad-access"],
    revoke: ["POST", "/revocations", { body: {} }, "bad-access"],
    readPresence: ["GET", "/presence/a", {}, "no-presence"],
    setPresence: ["PUT", "/presence/a/me", { body: { state: 1 } }, "no-presence"],
    websub: ["POST", "/hub", { body: "hub.mode=x", headers: { "Content-Type": "application/x-www-form-urlencoded" } }, "bad-parameter"],
};

test("each operation is refused with a problem that is described", async (t) => {
    const server = await startServer(t);
    const described = await Described.of(server);
    for (const operation of described.operations) {
        const path = operation.path.replace(/\{(\w+)\}/g, (_, name) => (name === "delivery" ? "1" : "x"));
        const [method, target, options, slug] = REFUSED[operation.operationId] ??
            [operation.method.toUpperCase(), `${path}?nonsense=1`, {}, undefined];
        const answer = await server.request(method, target, options);
        assert.ok(answer.status >= 400, `${method} ${target}: ${answer.status}`);
        assert.match(answer.headers["content-type"], /^application\/problem\+json/);
        described.assertAnswers(operation, answer);
        assert.ok(!slug || answer.json().type.endsWith(`/errors/${slug}`), `${operation.operationId}: ${answer.text}`);
    }
});

test("messages of freshet.v1 are as described", async (t) => {
    const server = await startServer(t, { config: INBOUND });
    const described = await Described.of(server, "/asyncapi.json");
    const { channels, components } = described.document;
    const schemasOf = (names) => names.map((name) => components.messages[name].payload);
    const sent = schemasOf(["subscribe", "unsubscribe", "publish", "ping", "askPresence", "auth"]);
    const known = Object.values(channels.freshetV1.messages).map(({ $ref }) => described.resolve({ $ref }).payload);
    const socket = await Socket.open(t, server, "/events", { protocols: ["freshet.v1"] });
    await server.publish("news", "before");
    const ops = [
        { op: "subscribe", channels: ["news", "a/**"], after: "earliest", ref: 1 }, { op: "publish", channel: "news", data: { a: 1 }, type: "t", ref: 2 },
        { op: "ping", ref: 3 }, { op: "publish", channel: "a//b", data: 1, ref: 4 }, { op: "auth", token: "x", ref: 5 }, { op: "presence", channel: "chat/1", ref: 7 },
    ];
    const say = (op) => {
        described.assertIs({ anyOf: sent }, op, "a message to the server");
        socket.ws.send(JSON.stringify(op));
    };
    ops.forEach(say);
    const seen = new Set();
    const hear = async () => {
        while (!["ok", "pong", "presence", "error", "event", "live"].every((op) => seen.has(op))) {
            const message = JSON.parse((await socket.next()).text);
            described.assertIs({ anyOf: known }, message, "a message from the server");
            seen.add(message.op);
        }
    };
    await deadline(hear(), "a message of each kind"); /* beats go on for ever */
    seen.delete("ok");
    say({ op: "unsubscribe", channels: ["news"], ref: 6 });
    await deadline(hear(), "the answer to an unsubscribe");
});
