// A webhook ends with the rights of the token that made it, also if these have ended while no server ran, or just
// before it was killed; and it stays while the token gives them.

import assert from "node:assert/strict";
import fs from "node:fs";
import path from "node:path";
import * as jose from "jose";
import { eventually, startServer, test } from "./support/index.mjs";
import { Receiver } from "./support/receiver.mjs";
import { run } from "./support/program.mjs";

const SECRET = "correct horse battery staple and more";
const OTHER_SECRET = "another horse and its battery staple";
const GRANTS = [{ channels: ["chat/**"], may: ["read", "webhooks"] }];

/** A configuration that gives everybody with a credential `authenticated`, and has one issuer. */
function configOf({ hash, authenticated = "", secret = SECRET }) {
    const all = "may: [read, publish, presence, webhooks, admin]";
    return `webhooks: {allow: ["127.0.0.1"]}\naccess: {anybody: [], authenticated: [${authenticated}]}\n` +
        `keys: [{name: root, key: "${hash}", grants: [{channels: ["**"], ${all}}]}]\n` +
        `tokens:\n  - {secret: "${secret}", leeway_s: 0}\n`;
}

function mint(grants) {
    return new jose.SignJWT(grants ? { freshet: { grants } } : {}).setProtectedHeader({ alg: "HS256" }).setSubject("alice")
        .setJti("t1").setIssuedAt().setExpirationTime("1h").sign(new TextEncoder().encode(SECRET));
}

/** Starts a server on which a token has made a webhook that works. */
async function begin(t, { grants, authenticated }) {
    const { stdout, stderr } = await run(t, ["key", "generate"]);
    const [hash] = /fk_\w+:\w+/.exec(stderr);
    const server = await startServer(t, { data: true, config: configOf({ hash, authenticated }) });
    const root = { Authorization: `Bearer ${stdout.trimEnd()}` };
    const receiver = await Receiver.start(t);
    const made = await server.request("POST", "/webhooks", {
        headers: { Authorization: `Bearer ${await mint(grants)}` }, body: { url: receiver.url, channels: ["chat/**"] },
    });
    assert.equal(made.status, 201, made.text);
    const it = { server, root, receiver, id: made.json().id, hash };
    await publish(it);
    await receiver.until(() => receiver.deliveries.length === 1, "the first event");
    return it;
}

async function publish({ server, root }) {
    const answer = await server.request("POST", "/channels/chat/a", { headers: root, body: "x" });
    assert.equal(answer.status, 201, answer.text);
}

async function stateOf({ server, root, id }) {
    return (await server.get(`/webhooks/${id}`, root)).json().state;
}

async function killAndStart(it, config) {
    await it.server.kill();
    if (config) {
        fs.writeFileSync(path.join(it.server.dir, "freshet.yaml"), configOf({ hash: it.hash, ...config }));
    }
    await it.server.start();
}

for (const [what, { made, ends, config }] of Object.entries({
    "its token was revoked": { made: { grants: GRANTS }, ends: { jti: "t1" } },
    "the subject of its token was revoked": { made: { grants: GRANTS }, ends: { subject: "alice" } },
    "the rules that gave it are narrower": { made: { authenticated: "read, webhooks" }, config: {} },
    "the rules give only a part of it": { made: { authenticated: "read, webhooks" }, config: { authenticated: "webhooks" } },
    "the issuer of its token has another key": { made: { grants: GRANTS }, config: { secret: OTHER_SECRET } },
})) {
    test(`a webhook is disabled after kill -9 if ${what}`, async (t) => {
        const it = await begin(t, made);
        if (ends) {
            assert.equal((await it.server.request("POST", "/revocations", { headers: it.root, body: ends })).status, 201);
        }
        await killAndStart(it, config);
        await publish(it);
        await eventually(async () => await stateOf(it) === "disabled", "the webhook to be disabled");
        assert.equal(it.receiver.deliveries.length, 1);
    });
}

test("a revocation that comes after kill -9 ends a webhook of before", async (t) => {
    const it = await begin(t, { grants: GRANTS });
    await killAndStart(it);
    await publish(it);
    await it.receiver.until(() => it.receiver.distinct().length === 2, "the second event");
    const revoked = await it.server.request("POST", "/revocations", { headers: it.root, body: { jti: "t1" } });
    assert.equal(revoked.status, 201);
    await eventually(async () => await stateOf(it) === "disabled", "the webhook to be disabled");
});

for (const [what, { made, config }] of Object.entries({
    "its token gives it": { made: { grants: GRANTS }, config: {} },
    "its token gives it, though rules do not any more": { made: { grants: GRANTS, authenticated: "read, webhooks" }, config: {} },
    "rules give it": { made: { authenticated: "read, webhooks" }, config: { authenticated: "read, webhooks, publish" } },
})) {
    test(`a webhook goes on after kill -9 as long as ${what}`, async (t) => {
        const it = await begin(t, made);
        for (let start = 2; start < 4; start++) {
            await killAndStart(it, config);
            await publish(it);
            await it.receiver.until(() => it.receiver.distinct().length === start, `event ${start}`);
            assert.notEqual(await stateOf(it), "disabled");
        }
    });
}
