// The playground of a server with access rules: a namespace of its own, with limits, and webhooks to a receiver inside.

import assert from "node:assert/strict";
import { eventually, startServer, test } from "./support/index.mjs";

const CONFIG = "playground: true\naccess: {anybody: []}\n";
const visit = (server, channel, headers = {}) =>
    server.request("POST", "/playground/webhooks", { headers: { "Content-Type": "application/json", ...headers }, body: JSON.stringify({ channel }) });

test("anybody may read and publish below playground/, a little, and nowhere else", async (t) => {
    const server = await startServer(t, { config: CONFIG });
    assert.equal((await server.post("playground/x", "hello")).status, 201);
    assert.equal((await server.page("/channels/playground/x")).events.length, 1);
    assert.equal((await server.post("playground/x", "y".repeat(2000))).status, 413);
    assert.equal((await server.post("news", "hello")).status, 401);
    assert.equal((await server.get("/channels/news")).status, 401);
    assert.equal((await server.get("/channels/playground")).status, 200); /* the prefix itself belongs to it */
    await eventually(async () => { /* more at once than flows in meanwhile, however slow the machine is */
        const answers = await Promise.all(Array.from({ length: 80 }, (_, i) => server.post(`playground/${i % 8}`, "flood")));
        return answers.some(({ status }) => status === 429);
    }, "a flood to be refused");
    for (const [method, path] of [["POST", "/webhooks"], ["GET", "/webhooks"], ["DELETE", "/channels/playground/x"], ["GET", "/stats"]]) {
        assert.ok([401, 403].includes((await server.request(method, path)).status), `${method} ${path}`);
    }
});

test("without the setting nothing is open, and the refusal says how to open it", async (t) => {
    const server = await startServer(t, { config: "access: {anybody: []}\n" });
    assert.equal((await server.post("playground/x", "hello")).status, 401);
    const refused = await visit(server, "playground/x");
    assert.equal(refused.status, 403);
    assert.match(refused.json().detail, /playground: true/);
    assert.equal((await server.get("/playground")).status, 200);
});

for (const data of [false, true])
    test(`a visitor's webhook is delivered inside, signed, and ends (${data ? "disk" : "memory"})`, async (t) => {
        const server = await startServer(t, { config: CONFIG, data });
        const made = await visit(server, "playground/x");
        assert.equal(made.status, 201, made.text);
        const { id, url } = made.json();
        assert.equal(url, "inside:playground/x");
        const event = await server.publish("playground/x", { n: 1 });
        const first = await eventually(async () => (await server.page("/channels/playground/x/received")).events[0]?.data, "the delivery");
        assert.equal(first.method, "POST");
        const headers = Object.fromEntries(first.headers.map(([name, value]) => [name.toLowerCase(), value]));
        assert.equal(JSON.parse(first.body).id, event.id);
        assert.match(headers["webhook-signature"], /^v1,/);
        assert.match(headers["webhook-id"], /\d{16}/);
        assert.equal(headers.expect, undefined); /* is not sent, so it is not told */
        assert.equal((await visit(server, "playground/x")).status, 200); /* another minute */
        assert.equal((await server.request("POST", `/playground/webhooks/${id}/pause`)).status, 200);
        const second = await server.publish("playground/x", { n: 2 });
        assert.equal((await server.request("POST", `/playground/webhooks/${id}/resume`)).status, 200);
        const received = async () => (await server.page("/channels/playground/x/received")).events.map(({ data }) => JSON.parse(data.body).id);
        await eventually(async () => [...new Set(await received())].join() === `${event.id},${second.id}`, "what was owed");
        assert.equal((await server.request("DELETE", `/playground/webhooks/${id}`)).status, 204);
        assert.equal((await server.request("DELETE", `/playground/webhooks/${id}`)).status, 404);
    });

test("a visitor's webhook begins where its visitor says", async (t) => {
    const server = await startServer(t, { config: CONFIG });
    const [first, second] = [await server.publish("playground/x", 1), await server.publish("playground/x", 2)];
    const from = (channel, after) => server.request("POST", "/playground/webhooks", { body: JSON.stringify({ channel, after }) });
    const received = async () => (await server.page("/channels/playground/x/received")).events.map(({ data }) => JSON.parse(data.body).id);
    const now = (await visit(server, "playground/x")).json();
    assert.equal(now.cursor, second.id);
    await server.request("DELETE", `/playground/webhooks/${now.id}`);
    const { id } = (await from("playground/x", first.id)).json();
    await eventually(async () => (await received()).join() === second.id, "the second");
    await server.request("DELETE", `/playground/webhooks/${id}`);
    assert.equal((await from("playground/x", "earliest")).status, 201);
    await eventually(async () => (await received()).join() === [second.id, first.id, second.id].join(), "all from the first on");
    for (const [after, type] of [[7, "bad-webhook"], ["tomorrow", "bad-webhook"], ["1999999999999999", "bad-cursor"]]) {
        const refused = await from("playground/y", after);
        assert.equal(refused.status, 400, refused.text);
        assert.match(refused.json().type, new RegExp(`${type}$`));
    }
});

test("a visitor can make few webhooks, for channels of the playground alone", async (t) => {
    const server = await startServer(t, { config: CONFIG });
    for (let i = 0; i < 10; i++) {
        assert.equal((await visit(server, `playground/${i}`)).status, 201);
    }
    assert.equal((await visit(server, "playground/one-more")).status, 429);
    for (const channel of ["news", "playground", "playground/**", "$audit", "playground/x//y", "playground/x/received", 7]) {
        assert.equal((await visit(server, channel)).status, 400, String(channel));
    }
    const own = (await server.request("POST", "/playground/webhooks", { body: JSON.stringify({ channel: "playground/0", url: "http://127.0.0.1:1/" }) }));
    assert.equal(own.json().url, "inside:playground/0"); /* nothing that is said leads elsewhere */
});

test("a visitor who asks many times at once gets no more webhooks than one by one", async (t) => {
    const server = await startServer(t, { config: CONFIG, data: true });
    const same = await Promise.all(Array.from({ length: 8 }, () => visit(server, "playground/z")));
    assert.ok(same.every(({ status }) => [200, 201, 503].includes(status)));
    assert.equal(same.filter(({ status }) => status === 201).length, 1);
    const others = await Promise.all(Array.from({ length: 30 }, (_, n) => visit(server, `playground/${n}`)));
    assert.equal(others.filter(({ status }) => status === 201).length, 9);
    assert.equal(others.filter(({ status }) => status === 429).length, 21);
    assert.equal((await visit(server, "playground/z")).status, 200);
});

test("a webhook of somebody else is out of reach for visitors", async (t) => {
    const server = await startServer(t, { config: "playground: true\n" });
    const hook = await server.request("POST", "/webhooks", { headers: { "Content-Type": "application/json" },
        body: JSON.stringify({ url: "http://127.0.0.1:9/x", channels: ["news"] }) });
    assert.equal(hook.status, 201, hook.text);
    for (const [method, path] of [["DELETE", ""], ["POST", "/pause"], ["POST", "/resume"]]) {
        assert.equal((await server.request(method, `/playground/webhooks/${hook.json().id}${path}`)).status, 404, method);
    }
});

test("the operator's own settings for the playground stand", async (t) => {
    const server = await startServer(t, { config: "playground: true\naccess: {anybody: []}\nnamespaces:\n  - {prefix: playground, event_max: 3000}\n" });
    assert.equal((await server.post("playground/x", "y".repeat(2000))).status, 201);
    assert.equal((await server.post("playground/x", "y".repeat(4000))).status, 413);
});
