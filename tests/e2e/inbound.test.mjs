// Inbound: other people's webhooks, signed by their own libraries, become events.

import assert from "node:assert/strict";
import { createHmac, generateKeyPairSync, sign as signWith } from "node:crypto";
import fs from "node:fs";
import path from "node:path";
import { sign as signAsGitHub } from "@octokit/webhooks-methods";
import { Webhook } from "standardwebhooks";
import Stripe from "stripe";
import { assertProblem, bothStores, startServer, temporaryFolder, test } from "./support/index.mjs";
import { run } from "./support/program.mjs";

const SECRET = "a-secret-of-this-test";
const STANDARD = `whsec_${Buffer.from("0123456789abcdef01234567").toString("base64")}`;

/** The configuration of one source, from its settings. */
function source(settings) {
    const { secrets = [SECRET], ...rest } = settings;
    const lines = Object.entries(rest).map(([key, value]) => `    ${key}: ${JSON.stringify(value)}`);
    if (secrets.length) {
        lines.push(`    secrets: ${JSON.stringify(secrets)}`);
    }
    return `inbound:\n  -\n${lines.join("\n")}\n`;
}

/** Posts bytes to a source. */
function deliver(server, name, body, headers) {
    return server.request("POST", `/inbound/${name}`, { body, headers: { "Content-Type": "application/json", ...headers } });
}

function nowS() {
    return Math.floor(Date.now() / 1000);
}

async function events(server, channel) {
    return server.history(channel);
}

bothStores("what GitHub's own library signs becomes an event, once, on the channel of its template", {
    config: source({
        source: "github", kind: "github", channel: "github/{header.x-github-event}/{body.repository.name}",
    }),
}, async (t, server) => {
    const body = '{"action":"opened",\n "repository": {"name":"a/b", "id": 12345678901234567890}}';
    const headers = {
        "X-GitHub-Event": "issues", "X-GitHub-Delivery": "72d3162e-cc78-11e3-81ab-4c9367dc0958",
        "X-Hub-Signature-256": await signAsGitHub(SECRET, body),
    };
    const first = await deliver(server, "github", body, headers);
    assert.equal(first.status, 201, first.text);
    assert.equal(first.json().channel, "github/issues/a-b");
    const again = await deliver(server, "github", body, headers);
    assert.equal(again.status, 200, again.text);
    assert.deepEqual(again.json(), { ...first.json(), duplicate: true });
    const [event, ...more] = await events(server, "github/issues/a-b");
    assert.equal(more.length, 0);
    assert.equal(event.id, first.json().id);
    assert.equal(event.type, "github.issues");
    const raw = await server.get("/channels/github/issues/a-b?format=data");
    assert.ok(raw.text.includes(body.replace("\n", " ")), "the data is not what came");
});

test("a body that was changed, another secret, and no signature are refused, and nothing is published", async (t) => {
    const server = await startServer(t, { config: source({ source: "github", kind: "github" }) });
    const signature = await signAsGitHub(SECRET, '{"a":1}');
    for (const [body, headers] of [
        ['{"a":2}', { "X-Hub-Signature-256": signature }],
        ['{"a":1} ', { "X-Hub-Signature-256": signature }],
        ['{"a":1}', { "X-Hub-Signature-256": await signAsGitHub("another", '{"a":1}') }],
        ['{"a":1}', { "X-Hub-Signature-256": signature.slice(0, -2) }],
        ['{"a":1}', {}],
        ["not json", {}],
    ]) {
        const problem = assertProblem(await deliver(server, "github", body, headers), 403);
        assert.match(problem.type, /bad-signature$/);
    }
    assertProblem(await deliver(server, "nobody", "{}", {}), 404);
    assertProblem(await deliver(server, "github/more", "{}", {}), 404);
    assert.equal((await server.get("/inbound/github")).status, 405);
    assert.deepEqual(await events(server, "github"), []);
});

test("Stripe's own library signs; a repeated delivery that says itself otherwise is the same event", async (t) => {
    const server = await startServer(t, { config: source({ source: "stripe", kind: "stripe", secrets: ["whsec_test_secret"] }) });
    const stripe = new Stripe("sk_test_nothing");
    const send = (payload, more = {}) => deliver(server, "stripe", payload, {
        "Stripe-Signature": stripe.webhooks.generateTestHeaderString({ payload, secret: "whsec_test_secret", ...more }),
    });
    const first = await send('{"id":"evt_1","object":"event","type":"charge.failed","pending_webhooks":2}');
    assert.equal(first.status, 201, first.text);
    const again = await send('{"id":"evt_1","object":"event","type":"charge.failed","pending_webhooks":1}');
    assert.equal(again.status, 200, again.text);
    assert.equal(again.json().id, first.json().id);
    const stale = assertProblem(await send('{"id":"evt_2"}', { timestamp: nowS() - 400 }), 403);
    assert.match(stale.detail, /timestamp/);
    assertProblem(await send('{"id":"evt_2"}', { timestamp: nowS() + 400 }), 403);
    assertProblem(await send('{"id":"evt_2"}', { secret: "whsec_other" }), 403);
    assert.deepEqual((await events(server, "stripe")).map((event) => event.type), ["stripe.charge.failed"]);
});

function asSlack(body, at = nowS()) {
    const signature = createHmac("sha256", SECRET).update(`v0:${at}:${body}`).digest("hex");
    return { "X-Slack-Request-Timestamp": String(at), "X-Slack-Signature": `v0=${signature}` };
}

test("Slack's challenge is answered when it is signed, and is no event", async (t) => {
    const server = await startServer(t, { config: source({ source: "slack", kind: "slack" }) });
    const body = '{"token":"x","challenge":"3eZbrw1aBm2rZgRNFdxV2595E9CY","type":"url_verification"}';
    const answer = await deliver(server, "slack", body, asSlack(body));
    assert.equal(answer.status, 200, answer.text);
    assert.equal(answer.text, "3eZbrw1aBm2rZgRNFdxV2595E9CY");
    assert.match(answer.headers["content-type"], /^text\/plain/);
    assertProblem(await deliver(server, "slack", body, {}), 403);
    assertProblem(await deliver(server, "slack", body, asSlack(body, nowS() - 301)), 403);
    assert.deepEqual(await events(server, "slack"), []);
});

test("Slack's events and forms are taken, and Slack is answered with nothing that it would show", async (t) => {
    const server = await startServer(t, {
        config: source({ source: "slack", kind: "slack", channel: "slack/{body.event.channel}" }),
    });
    const event = '{"type":"event_callback","event_id":"Ev1","event":{"type":"message","channel":"C1","text":"hi"}}';
    for (let i = 0; i < 2; i++) {
        const answer = await deliver(server, "slack", event, asSlack(event));
        assert.equal(answer.status, 200, answer.text);
        assert.equal(answer.text, "");
    }
    const command = "command=%2Fask&text=what+now";
    const answer = await deliver(server, "slack", command,
        { ...asSlack(command), "Content-Type": "application/x-www-form-urlencoded" });
    assert.equal(answer.status, 200, answer.text);
    const [message, ...more] = await events(server, "slack/C1");
    assert.deepEqual(more, []);
    assert.equal(message.type, "slack.message");
    const [form] = await events(server, "slack/none");
    assert.equal(form.data, command);
});

test("Standard Webhooks are taken by their own header names and by Svix's", async (t) => {
    const server = await startServer(t, { config: source({ source: "std", kind: "standard", secrets: [STANDARD] }) });
    const webhook = new Webhook(STANDARD);
    const body = '{"type":"contact.created","data":{"id":1}}';
    for (const prefix of ["webhook", "svix"]) {
        const id = `msg_${prefix}`;
        const headers = {
            [`${prefix}-id`]: id, [`${prefix}-timestamp`]: String(nowS()),
            [`${prefix}-signature`]: webhook.sign(id, new Date(), body),
        };
        assert.equal((await deliver(server, "std", body, headers)).status, 201);
        assert.equal((await deliver(server, "std", body, headers)).status, 200, "the id is not the key");
        assertProblem(await deliver(server, "std", body, { ...headers, [`${prefix}-id`]: "msg_x" }), 403);
        const then = new Date(Date.now() - 400_000);
        assertProblem(await deliver(server, "std", body, {
            [`${prefix}-id`]: id, [`${prefix}-timestamp`]: String(Math.floor(then / 1000)),
            [`${prefix}-signature`]: webhook.sign(id, then, body),
        }), 403, /timestamp/);
    }
    assert.deepEqual((await events(server, "std")).map((event) => event.type), ["contact.created", "contact.created"]);
});

test("a public key verifies Standard Webhooks' v1a", async (t) => {
    const { publicKey, privateKey } = generateKeyPairSync("ed25519");
    const raw = publicKey.export({ format: "der", type: "spki" }).subarray(-32).toString("base64");
    const server = await startServer(t, { config: source({ source: "std", kind: "standard", secrets: [`whpk_${raw}`] }) });
    const at = String(nowS());
    const signature = signWith(null, Buffer.from(`msg_1.${at}.{}`), privateKey).toString("base64");
    const headers = { "webhook-id": "msg_1", "webhook-timestamp": at, "webhook-signature": `v1a,${signature}` };
    assert.equal((await deliver(server, "std", "{}", headers)).status, 201);
    assertProblem(await deliver(server, "std", "[]", headers), 403);
});

test("Shopify's base64 is taken, and bytes that are no UTF-8 are verified as they came", async (t) => {
    const server = await startServer(t, { config: source({ source: "shop", kind: "shopify" }) });
    const body = Buffer.from([0x00, 0xff, 0xfe, 0x0a]);
    const answer = await deliver(server, "shop", body, {
        "Content-Type": "application/octet-stream", "X-Shopify-Topic": "orders/create",
        "X-Shopify-Hmac-SHA256": createHmac("sha256", SECRET).update(body).digest("base64"),
    });
    assert.equal(answer.status, 201, answer.text);
    const [event] = await events(server, "shop");
    assert.equal(event.type, "shopify.orders_create");
    assert.equal(event.data_base64, body.toString("base64"));
});

test("a generic HMAC is as it is configured: header, prefix, hash, encoding, time, id", async (t) => {
    const server = await startServer(t, {
        config: source({
            source: "crm", kind: "hmac", header: "X-Crm-Signature", prefix: "v1:", hash: "sha512", encoding: "base64",
            timestamp_header: "X-Crm-Time", signed: "{header.x-crm-id}|{timestamp}|{body}", id: "{header.x-crm-id}",
            tolerance_s: 60, channel: "crm/{body.deal.stage}", type: "crm.{body.event}",
        }),
    });
    const send = (at, id = "7") => {
        const body = '{"event":"moved","deal":{"stage":"won"}}';
        const mac = createHmac("sha512", SECRET).update(`${id}|${at}|${body}`).digest("base64");
        return deliver(server, "crm", body, { "X-Crm-Signature": `v1:${mac}`, "X-Crm-Time": String(at), "X-Crm-Id": id });
    };
    assert.equal((await send(nowS())).status, 201);
    assert.equal((await send(nowS())).status, 200);
    assert.equal((await send(Date.now(), "8")).status, 201, "milliseconds are a time as well");
    assertProblem(await send(nowS() - 90), 403);
    assert.deepEqual((await events(server, "crm/won")).map((event) => event.type), ["crm.moved", "crm.moved"]);
});

test("tokens and passwords are enough where a sender can do no more", async (t) => {
    const dir = temporaryFolder(t);
    fs.writeFileSync(path.join(dir, "password"), "me:from a file\n");
    const server = await startServer(t, {
        env: { THE_TOKEN: "from-the-environment" },
        config: "inbound:\n" +
            "  - {source: t, kind: token, header: X-Gitlab-Token, secrets: ['env:THE_TOKEN', older]}\n" +
            `  - {source: b, kind: basic, secrets: ['file:${dir}/password']}\n` +
            "  - {source: n, kind: none}\n",
    });
    const basic = (text) => ({ Authorization: `Basic ${Buffer.from(text).toString("base64")}` });
    assert.equal((await deliver(server, "t", "{}", { "X-Gitlab-Token": "from-the-environment" })).status, 201);
    assert.equal((await deliver(server, "t", "{}", { "X-Gitlab-Token": "older" })).status, 201);
    assertProblem(await deliver(server, "t", "{}", { "X-Gitlab-Token": "env:THE_TOKEN" }), 403);
    assert.equal((await deliver(server, "b", "{}", basic("me:from a file"))).status, 201);
    assertProblem(await deliver(server, "b", "{}", basic("me:from a fil")), 403);
    assert.equal((await deliver(server, "n", "{}", {})).status, 201);
});

test("a repeated delivery is the same event after a kill -9 as well", async (t) => {
    const server = await startServer(t, { data: true, config: source({ source: "crm", kind: "hmac", id: "{body.id}" }) });
    const send = (body) => deliver(server, "crm", body,
        { "X-Signature": createHmac("sha256", SECRET).update(body).digest("hex") });
    const first = await send('{"id":"e1","attempt":1}');
    assert.equal(first.status, 201, first.text);
    await server.restart();
    const again = await send('{"id":"e1","attempt":2}');
    assert.equal(again.status, 200, again.text);
    assert.equal(again.json().id, first.json().id);
    assert.equal((await events(server, "crm")).length, 1);
});

test("no publisher can take a webhook's id from it", async (t) => {
    const server = await startServer(t, { config: source({ source: "github", kind: "github" }) });
    const key = "github-1";
    assert.equal((await server.post("github", "first", { "Idempotency-Key": key })).status, 201);
    const answer = await deliver(server, "github", "{}", {
        "X-GitHub-Delivery": "1", "X-Hub-Signature-256": await signAsGitHub(SECRET, "{}"),
    });
    assert.equal(answer.status, 201, answer.text);
});

test("a verified body that says it is JSON and is not is refused as such", async (t) => {
    const server = await startServer(t, { config: source({ source: "github", kind: "github" }) });
    const problem = assertProblem(await deliver(server, "github", "{", { "X-Hub-Signature-256": await signAsGitHub(SECRET, "{") }), 400);
    assert.match(problem.type, /bad-json$/);
});

test("an event that came in is live for whoever follows the channel", async (t) => {
    const server = await startServer(t, { config: source({ source: "github", kind: "github", channel: "hub/x" }) });
    const stream = await server.ndjson("/channels/hub/x?stream=ndjson");
    const answer = await deliver(server, "github", '{"zen":1}', {
        "X-GitHub-Event": "ping", "X-Hub-Signature-256": await signAsGitHub(SECRET, '{"zen":1}'),
    });
    assert.equal(answer.status, 201);
    const event = await stream.event();
    assert.equal(event.id, answer.json().id);
    assert.equal(event.type, "github.ping");
});

test("a configuration that cannot be is refused, and no secret is told", async (t) => {
    const dir = temporaryFolder(t);
    const file = path.join(dir, "freshet.yaml");
    for (const [settings, why] of [
        [{ source: "x", kind: "gitea" }, /kind/],
        [{ source: "x", kind: "github", channel: "$x" }, /\$/],
        [{ source: "x", kind: "github", channel: "a//{source}" }, /segment/],
        [{ source: "x", kind: "github", channel: "{nothing}" }, /braces/],
        [{ source: "x", kind: "github", type: "a b" }, /type/],
        [{ source: "x", kind: "github", secrets: [] }, /secrets/],
        [{ source: "x", kind: "github", secrets: ["env:NOT_THERE_AT_ALL"] }, /secret/],
        [{ source: "x", kind: "standard" }, /base64/],
        [{ source: "x", kind: "github", surprise: "y" }, /surprise/],
        [{ source: "x/y", kind: "github" }, /name/],
        [{ source: "x", kind: "hmac", timestamp_header: "x-time" }, /time/],
    ]) {
        fs.writeFileSync(file, source(settings));
        const { code, stderr } = await run(t, ["serve", "--listen", "127.0.0.1:0", "--memory", "--config", file]);
        assert.equal(code, 2, `${JSON.stringify(settings)}: ${stderr}`);
        assert.match(stderr, why);
        assert.ok(!stderr.includes(SECRET), "the secret is told");
    }
});
