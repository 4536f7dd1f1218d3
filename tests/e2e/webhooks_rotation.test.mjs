// Rotating the secret of a webhook: whoever has any secret of the last day can verify, and owners may bring their own.

import assert from "node:assert/strict";
import { generateKeyPairSync } from "node:crypto";
import { Webhook } from "standardwebhooks";
import { assertProblem, bothStores, startServer, test } from "./support/index.mjs";
import { Receiver } from "./support/receiver.mjs";

const OWN = `whsec_${Buffer.from("0123456789abcdef01234567").toString("base64")}`;

async function register(server, url, more = {}) {
    const answer = await server.request("POST", "/webhooks", { body: { url, channels: ["a"], ...more } });
    assert.equal(answer.status, 201, answer.text);
    return answer.json();
}

function rotate(server, id, body) {
    return server.request("POST", `/webhooks/${id}/rotate`, body === undefined ? {} : { body });
}

/** Which of the secrets verify a delivery. */
function verifying(secrets, { headers, bytes }) {
    return secrets.filter((secret) => {
        try {
            new Webhook(secret).verify(bytes.toString(), headers);
            return true;
        } catch {
            return false;
        }
    });
}

/** Publishes an event; answers its delivery. (Others may come again meanwhile: a restart repeats what was not noted.) */
async function deliver(server, receiver) {
    const { id } = await server.publish("a", "an event");
    const its = () => receiver.deliveries.find((delivery) => delivery.body.id === id);
    return receiver.until(its, `the delivery of ${id}`);
}

bothStores("each of the last ten secrets verifies, an older one does not, also after a restart", async (t, server) => {
    const receiver = await Receiver.start(t);
    const { id, secret } = await register(server, receiver.url);
    const secrets = [secret];
    for (let n = 1; n <= 12; n++) {
        const answer = await rotate(server, id);
        assert.equal(answer.status, 200, answer.text);
        secrets.push(answer.json().secret);
        if (n === 2 || n === 3 || n === 12) {
            const delivery = await deliver(server, receiver);
            assert.deepEqual(verifying(secrets, delivery), secrets.slice(-10));
            assert.equal(delivery.headers["webhook-signature"].split(" ").length, Math.min(10, n + 1));
        }
    }
    if (server.args.includes("--memory")) {
        return;
    }
    await server.restart();
    const delivery = await deliver(server, receiver);
    assert.deepEqual(verifying(secrets, delivery), secrets.slice(-10));
});

test("a secret of the owner's own takes the place of one that is made", async (t) => {
    const server = await startServer(t);
    const receiver = await Receiver.start(t);
    const { id, secret } = await register(server, receiver.url);
    for (const body of ["", {}]) {
        assert.notEqual((await rotate(server, id, body)).json().secret, OWN);
    }
    const answer = await rotate(server, id, { secret: OWN });
    assert.equal(answer.json().secret, OWN);
    assert.deepEqual(verifying([secret, OWN], await deliver(server, receiver)), [secret, OWN]);
});

test("a rotation with an unknown member is refused, and nothing is rotated", async (t) => {
    const server = await startServer(t);
    const receiver = await Receiver.start(t);
    const { id, secret } = await register(server, receiver.url);
    for (const [body, why] of [
        [{ secrte: OWN }, /secret/], [{ secret: "hello" }, /whsec_/], [{ secret: null }, /whsec_/], [{ url: receiver.url }, /url/],
        [{ asymmetric: true }, /PATCH/], [{ asymmetric: false }, /PATCH/], ["[]", /secret and asymmetric/], ["no json", /secret and asymmetric/],
        [`{"secret":"${OWN}","secret":"${OWN}"}`, /twice/],
    ]) {
        assert.match(assertProblem(await rotate(server, id, body), 400).detail, why);
    }
    const delivery = await deliver(server, receiver);
    assert.deepEqual(verifying([secret], delivery), [secret]);
    assert.equal(delivery.headers["webhook-signature"].split(" ").length, 1);
});

test("a key pair of the owner's own takes the place of the one before, which signs as well", async (t) => {
    const server = await startServer(t);
    const receiver = await Receiver.start(t);
    const { id } = await register(server, receiver.url, { asymmetric: true });
    const { privateKey } = generateKeyPairSync("ed25519");
    const seed = privateKey.export({ format: "der", type: "pkcs8" }).subarray(-32);
    const answer = await rotate(server, id, { asymmetric: `whsk_${seed.toString("base64")}` });
    assert.equal(answer.status, 200, answer.text);
    const signatures = (await deliver(server, receiver)).headers["webhook-signature"].split(" ");
    assert.deepEqual(signatures.map((one) => one.split(",")[0]), ["v1", "v1a", "v1", "v1a"]);
    for (const asymmetric of [false, true]) {
        const patched = await server.request("PATCH", `/webhooks/${id}`, { body: { asymmetric } });
        assert.equal(patched.status, 200, patched.text);
        const kinds = (await deliver(server, receiver)).headers["webhook-signature"].split(" ");
        assert.equal(kinds.filter((one) => one.startsWith("v1a")).length, asymmetric ? 2 : 0);
    }
});
