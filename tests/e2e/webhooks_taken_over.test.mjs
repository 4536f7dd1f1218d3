// A webhook has a history: other channels, another receiver, another maker. Whoever may have it as it is now gets
// nothing of what it was before.

import assert from "node:assert/strict";
import fs from "node:fs";
import path from "node:path";
import * as jose from "jose";
import { eventually, startServer, test } from "./support/index.mjs";
import { assertProblem } from "./support/problems.mjs";
import { Receiver } from "./support/receiver.mjs";

const SECRET = "correct horse battery staple and more";
const ALL = ["read", "publish", "presence", "webhooks", "admin"];

function configOf({ authenticated = "" } = {}) {
    return `webhooks: {allow: ["127.0.0.1"]}\naccess: {anybody: [], authenticated: [${authenticated}]}\n` +
        `tokens:\n  - {secret: "${SECRET}", leeway_s: 0}\n`;
}

/** The headers of a caller with these rights on these channels. */
async function caller(sub, channels, may = ["read", "webhooks"]) {
    const grants = channels.length ? [{ channels, may }] : [];
    const token = await new jose.SignJWT({ freshet: { grants } }).setProtectedHeader({ alg: "HS256" }).setSubject(sub)
        .setJti(sub).setIssuedAt().setExpirationTime("1h").sign(new TextEncoder().encode(SECRET));
    return { Authorization: `Bearer ${token}` };
}

async function begin(t, settings) {
    const server = await startServer(t, { data: true, config: configOf(settings) });
    const root = await caller("root", ["**"], ALL);
    return {
        server,
        root,
        alice: await caller("alice", ["secret/**", "open/**"]),
        bob: await caller("bob", ["open/**"]),
        ask: (method, where, headers, body) => server.request(method, where, { headers, body }),
        publish: async (channel, data) => {
            const answer = await server.request("POST", `/channels/${channel}`, { headers: root, body: data });
            assert.equal(answer.status, 201, answer.text);
            return answer.json();
        },
    };
}

async function register(it, headers, body) {
    const made = await it.ask("POST", "/webhooks", headers, body);
    assert.equal(made.status, 201, made.text);
    return made.json();
}

/** Alice's webhook on secret/*, whose event there has become a dead letter. */
async function leaveLetter(it, receiver) {
    receiver.answer = ({ body }) => (body.data === "poison" ? 400 : 200);
    const { id } = await register(it, it.alice, { url: receiver.url, channels: ["secret/*"], schedule: [0.01] });
    const poison = await it.publish("secret/1", "poison");
    await eventually(async () => {
        await it.publish("secret/2", "fine");
        return (await it.ask("GET", `/webhooks/${id}`, it.alice)).json().dead === 1;
    }, "the letter to be dead");
    return { id, poison };
}

async function change(it, headers, id, body) {
    const changed = await it.ask("PATCH", `/webhooks/${id}`, headers, body);
    assert.equal(changed.status, 200, changed.text);
}

test("a dead letter of channels that a webhook has no more is sent to nobody", async (t) => {
    const it = await begin(t);
    const [first, second] = [await Receiver.start(t), await Receiver.start(t)];
    const { id } = await leaveLetter(it, first);
    await change(it, it.alice, id, { channels: ["open/*"] });
    assertProblem(await it.ask("GET", "/channels/secret/1?last=1", it.bob), 403);
    await change(it, it.bob, id, { url: second.url });
    for (const way of [`/webhooks/${id}/retry`, `/webhooks/${id}/deliveries/1/retry`]) {
        await it.ask("POST", way, it.bob);
        const mark = await it.publish("open/1", "mark");
        await second.until(() => second.deliveries.some(({ body }) => body.id === mark.id), "an event of now");
    }
    assert.deepEqual(second.deliveries.filter(({ body }) => body.channel.startsWith("secret/")), []);
    assert.equal((await it.ask("GET", `/webhooks/${id}`, it.alice)).json().dead, 1);
});

test("a letter that waits to be sent again is dropped with its channel", async (t) => {
    const it = await begin(t);
    const [first, second] = [await Receiver.start(t), await Receiver.start(t)];
    const { id, poison } = await leaveLetter(it, first);
    await it.ask("POST", `/webhooks/${id}/pause`, it.alice);
    await it.ask("POST", `/webhooks/${id}/retry`, it.alice);
    await change(it, it.alice, id, { channels: ["open/*"] });
    await change(it, it.bob, id, { url: second.url });
    await it.ask("POST", `/webhooks/${id}/resume`, it.bob);
    const mark = await it.publish("open/1", "mark");
    await second.until(() => second.deliveries.some(({ body }) => body.id === mark.id), "an event of now");
    assert.ok(!second.deliveries.some(({ body }) => body.id === poison.id));
});

test("the record of channels that a webhook has had takes the right to these", async (t) => {
    const it = await begin(t);
    const receiver = await Receiver.start(t);
    const { id } = await leaveLetter(it, receiver);
    await change(it, it.alice, id, { channels: ["open/*"] });
    const mark = await it.publish("open/1", "mark");
    const channels = async (headers) => {
        const answer = await it.ask("GET", `/webhooks/${id}/deliveries`, headers);
        return [...new Set(answer.json().deliveries.map(({ channel }) => channel))].sort();
    };
    await receiver.until(() => receiver.deliveries.some(({ body }) => body.id === mark.id), "an event of now");
    await eventually(async () => (await channels(it.alice)).length === 3, "all of it on record");
    assert.deepEqual(await channels(it.alice), ["open/1", "secret/1", "secret/2"]);
    assert.deepEqual(await channels(it.bob), ["open/1"]);
    assertProblem(await it.ask("GET", `/webhooks/${id}/deliveries/1`, it.bob), 404);
    assert.equal((await it.ask("GET", `/webhooks/${id}/deliveries/1`, it.alice)).status, 200);
});

test("another caller who takes a webhook over does not get the values of its headers", async (t) => {
    const it = await begin(t);
    const [first, second] = [await Receiver.start(t), await Receiver.start(t)];
    const { id } = await register(it, it.alice, {
        url: first.url, channels: ["open/*"], headers: { "X-Key": "of alice" },
    });
    for (const body of [{ url: second.url }, { channels: ["open/*"] }]) {
        assertProblem(await it.ask("PATCH", `/webhooks/${id}`, it.bob, body), 400, /headers/);
    }
    await change(it, it.alice, id, { url: `${first.url}/2` });
    await change(it, it.bob, id, { url: second.url, headers: { "X-Key": "of bob" } });
    await it.publish("open/1", "x");
    await second.until(() => second.deliveries.length === 1, "the event");
    assert.equal(second.deliveries[0].headers["x-key"], "of bob");
    await change(it, it.bob, id, { url: `${second.url}/2` });
});

test("callers whom nothing tells apart do not get the values of headers from each other", async (t) => {
    const receiver = await Receiver.start(t), other = await Receiver.start(t);
    const { server } = await begin(t);
    const named = { url: receiver.url, channels: ["open/*"], headers: { "X-Key": "of one" } };
    const nameless = async (jti) => ({ Authorization: `Bearer ${await new jose.SignJWT({
        jti, freshet: { grants: [{ channels: ["open/**"], may: ["read", "webhooks"] }] },
    }).setProtectedHeader({ alg: "HS256" }).setExpirationTime("1h").sign(new TextEncoder().encode(SECRET))}` });
    const [one, two] = [await nameless("1"), await nameless("2")];
    const made = await server.request("POST", "/webhooks", { headers: one, body: named });
    assert.equal(made.status, 201, made.text);
    const change = (headers) => server.request("PATCH", `/webhooks/${made.json().id}`, { headers, body: { url: other.url } });
    assertProblem(await change(two), 400, /headers/);
    assert.equal((await change(one)).status, 200);
});

test("a key of a creation does not open the webhook to whoever has lost the right to it", async (t) => {
    const it = await begin(t);
    const receiver = await Receiver.start(t);
    const body = { url: receiver.url, channels: ["open/*"] };
    const again = async (headers) => it.ask("POST", "/webhooks", { ...headers, "Idempotency-Key": "k" }, body);
    const made = await again(it.alice);
    assert.equal(made.status, 201);
    assert.equal((await again(it.alice)).json().secret, made.json().secret);
    const less = await caller("alice", ["other/**"]);
    const refused = await again(less);
    assertProblem(refused, 403);
    assert.ok(!refused.text.includes(made.json().secret));
    await change(it, it.alice, made.json().id, { channels: ["open/*", "secret/*"] });
    assertProblem(await again(await caller("alice", ["open/**"])), 403);
    assert.equal((await again(it.alice)).status, 200);
});

test("two callers may make webhooks under the same key at once", async (t) => {
    const it = await begin(t);
    const receiver = await Receiver.start(t);
    const slow = await Receiver.start(t);
    const held = [];
    slow.http.removeAllListeners("request");
    slow.http.on("request", (request, response) => held.push(response));
    const body = (url, more) => ({ url, channels: ["open/*"], ...more });
    const under = (headers) => ({ ...headers, "Idempotency-Key": "k" });
    const first = it.ask("POST", "/webhooks", under(it.alice), body(slow.url, { verify: true }));
    await eventually(() => held.length === 1, "the question to the slow receiver");
    const second = await it.ask("POST", "/webhooks", under(it.bob), body(receiver.url));
    assert.equal(second.status, 201, second.text);
    held.forEach((response) => response.end());
    assert.equal((await first).status, 201);
});

for (const [what, settings, end] of [
    ["a webhook whose receiver is being verified is not made if its token is revoked meanwhile", {}, (it) => it.ask("POST", "/revocations", it.root, { jti: "carol" })],
    ["a webhook whose receiver is being verified is not made if the rules that give it are narrower meanwhile", { authenticated: "read, webhooks" }, async (it) => {
        fs.writeFileSync(path.join(it.server.dir, "freshet.yaml"), configOf());
        it.server.signal("SIGHUP");
        await eventually(() => it.server.err.includes("event=reloaded"), "the reload");
    }],
]) {
    test(what, async (t) => {
        const it = await begin(t, settings);
        const held = [];
        const receiver = await Receiver.start(t);
        receiver.http.removeAllListeners("request");
        receiver.http.on("request", (request, response) => held.push([request, response]));
        const carol = await caller("carol", settings.authenticated ? [] : ["open/**"]);
        const making = it.ask("POST", "/webhooks", carol, { url: receiver.url, channels: ["open/*"], verify: true });
        await eventually(() => held.length === 1, "the question to the receiver");
        await end(it);
        held[0][1].end();
        assertProblem(await making, 403);
        await it.publish("open/1", "x");
        assert.deepEqual((await it.ask("GET", "/webhooks", it.root)).json().webhooks, []);
        assert.equal(held.length, 1);
    });
}
