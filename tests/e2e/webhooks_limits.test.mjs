// How many webhooks one subject may have: whoever may make some cannot take the places of others.

import assert from "node:assert/strict";
import fs from "node:fs";
import path from "node:path";
import * as jose from "jose";
import { eventually, startServer, test } from "./support/index.mjs";
import { assertProblem } from "./support/problems.mjs";

const SECRET = "correct horse battery staple and more";
const URL_OF_NOBODY = "http://127.0.0.1:9/";

function configOf(max) {
    return `webhooks: {allow: ["127.0.0.1"], subject_endpoints_max: ${max}}\n` +
        `access: {anybody: [read], authenticated: [read, webhooks]}\ntokens:\n  - {secret: "${SECRET}"}\n`;
}

/** What a subject asks of a server. */
async function asker(server, sub, grants = []) {
    const token = await new jose.SignJWT({ freshet: { grants } }).setProtectedHeader({ alg: "HS256" }).setSubject(sub)
        .setExpirationTime("1h").sign(new TextEncoder().encode(SECRET));
    return (method, where, body) => server.request(method, where, { headers: { Authorization: `Bearer ${token}` }, body });
}

function make(ask) {
    return ask("POST", "/webhooks", { url: URL_OF_NOBODY, channels: ["a"] });
}

async function begin(t, max, options = {}) {
    const server = await startServer(t, { config: configOf(max), ...options });
    const admin = await asker(server, "root", [{ channels: ["**"], may: ["admin"] }]);
    return {
        server,
        alice: await asker(server, "alice"),
        bob: await asker(server, "bob"),
        refused: async () => (await admin("GET", "/stats")).json().webhooks.refused,
    };
}

test("a subject has as many webhooks as it may, and others have theirs", async (t) => {
    const { alice, bob, refused } = await begin(t, 2);
    const answers = await Promise.all(Array.from({ length: 6 }, () => make(alice)));
    const made = answers.filter(({ status }) => status === 201).map((answer) => answer.json().id);
    assert.equal(made.length, 2);
    for (const answer of answers.filter(({ status }) => status !== 201)) {
        assertProblem(answer, 429, /subject_endpoints_max/);
    }
    assert.equal(await refused(), 4);
    const ofBob = await make(bob);
    assert.equal(ofBob.status, 201);
    assertProblem(await alice("PATCH", `/webhooks/${ofBob.json().id}`, { channels: ["b"] }), 429, /subject_endpoints_max/);
    assert.equal((await alice("PATCH", `/webhooks/${made[0]}`, { channels: ["b"] })).status, 200, "its own");
    assert.equal((await alice("DELETE", `/webhooks/${made[0]}`)).status, 204);
    assert.equal((await make(alice)).status, 201);
});

test("a webhook that was taken over counts for its new subject, after a restart as well", async (t) => {
    const { server, alice, bob } = await begin(t, 2, { data: true });
    const made = [await make(alice), await make(alice)].map((answer) => answer.json().id);
    assert.equal((await bob("PATCH", `/webhooks/${made[0]}`, { channels: ["b"] })).status, 200);
    assert.equal((await make(alice)).status, 201);
    assert.equal((await make(bob)).status, 201);
    for (let starts = 0; starts < 2; starts++) {
        for (const ask of [alice, bob]) {
            assertProblem(await make(ask), 429, /subject_endpoints_max/);
        }
        await server.restart();
    }
});

test("a reload changes how many webhooks a subject may have", async (t) => {
    const { server, alice } = await begin(t, 1);
    assert.equal((await make(alice)).status, 201);
    assertProblem(await make(alice), 429);
    fs.writeFileSync(path.join(server.dir, "freshet.yaml"), configOf(2));
    server.signal("SIGHUP");
    await eventually(async () => (await make(alice)).status === 201, "the new limit");
    assertProblem(await make(alice), 429);
});
