// A reload reads every file that the configuration names before anything changes: one that is broken changes nothing, and is named.

import assert from "node:assert/strict";
import { createPrivateKey, generateKeyPairSync, randomBytes } from "node:crypto";
import fs from "node:fs";
import https from "node:https";
import { eventually, startServer, test } from "./support/index.mjs";
import { Certificates } from "./support/certificates.mjs";

const SECRET = "a secret that is long enough for HS256";

function newKey() {
    const alphabet = "abcdefghijklmnopqrstuvwxyz234567";
    const letters = (n) => [...randomBytes(n)].map((byte) => alphabet[byte % 32]).join("");
    return `fk_${letters(10)}_${letters(52)}`;
}

/** A server whose configuration names a file wherever it can. */
async function start(t) {
    const certificates = new Certificates(t);
    for (const name of ["server", "own"])
        certificates.make(name, "DNS:localhost,IP:127.0.0.1");
    const file = (name, text) => {
        fs.writeFileSync(certificates.path(name), text, { mode: 0o600 });
        return certificates.path(name);
    };
    const key = newKey(), ca = fs.readFileSync(certificates.path("ca.pem"));
    const files = {
        "tls": certificates.path("server.pem"),
        "tls.certificates.cert": certificates.path("server.pem"),
        "tls.client_ca": file("clients.pem", ca),
        "webhooks.ca_file": file("receivers.pem", ca),
        "webhooks.cert_file": certificates.path("own.pem"),
        "webhooks.key_file": certificates.path("own.key"),
        "keys": file("key", key),
        "tokens.secret": file("secret", SECRET),
        "tokens.key_file": file("jwks", JSON.stringify({ keys: [{ kty: "oct", alg: "HS256", k: Buffer.from(SECRET).toString("base64url") }] })),
        "namespaces.authorize.secret": file("authorize", `whsec_${randomBytes(24).toString("base64")}`),
        "inbound.secrets": file("inbound", "an inbound secret"),
        "inbound.challenge.secret": file("challenge", "a challenge's secret"),
    };
    const config = `listen: ["http://127.0.0.1:0", "https://127.0.0.1:0"]
tls:
  certificates: [{cert: ${files["tls.certificates.cert"]}, key: ${certificates.path("server.key")}}]
  client_ca: ${files["tls.client_ca"]}
webhooks: {ca_file: ${files["webhooks.ca_file"]}, cert_file: ${files["webhooks.cert_file"]}, key_file: ${files["webhooks.key_file"]}, cert_hosts: [127.0.0.1], allow: [127.0.0.1]}
access: {anybody: []}
keys: [{name: ops, key: "file:${files.keys}", grants: [{channels: ["**"], may: [read, publish, webhooks, admin]}]}]
tokens: [{secret: "file:${files["tokens.secret"]}", issuer: one}, {key_file: ${files["tokens.key_file"]}, issuer: two}]
namespaces: [{prefix: asked, authorize: {url: "http://127.0.0.1:9/", secret: "file:${files["namespaces.authorize.secret"]}"}}]
inbound:
  - source: a
    kind: hmac
    secrets: ["file:${files["inbound.secrets"]}"]
    challenge: {method: GET, value: "{query.challenge}", proof: "{query.proof}", secret: "file:${files["inbound.challenge.secret"]}"}
`;
    const server = await startServer(t, { listen: false, config, args: ["--threads", "1"] });
    return { server, files, certificates, admin: { Authorization: `Bearer ${key}` } };
}

/** Has the server read its configuration anew; answers what it says of that. */
async function reload(server) {
    const before = server.err.length;
    server.signal("SIGHUP");
    await eventually(() => /event=(reloaded|reload_refused)/.test(server.err.slice(before)), "a reload");
    await eventually(() => /event=reloaded|freshet serve: reload: .*\n/.test(server.err.slice(before)), "the reason");
    return server.err.slice(before);
}

test("each file that the configuration names is read by a reload, and one that is broken changes nothing and is named", async (t) => {
    const { server, files, admin } = await start(t);
    for (const [key, file] of Object.entries(files)) {
        const good = fs.readFileSync(file);
        const section = key.split(".")[0];
        for (const broken of [undefined, ""]) {
            if (broken === undefined)
                fs.renameSync(file, `${file}.away`);
            else
                fs.writeFileSync(file, broken);
            const told = await reload(server);
            assert.match(told, /event=reload_refused/, `${key} ${broken === undefined ? "missing" : "empty"}`);
            assert.ok(told.includes(section), `${key}: ${told}`);
            fs.rmSync(`${file}.away`, { force: true });
            fs.writeFileSync(file, good, { mode: 0o600 });
        }
        assert.equal((await server.get("/stats", admin)).status, 200, key);
    }
    assert.match(await reload(server), /event=reloaded/);
    const { reloads } = (await server.get("/stats", admin)).json();
    assert.deepEqual(reloads, { done: 1, refused: 2 * Object.keys(files).length });
});

test("a private key that is another's, or none, is refused by a reload with the line and the cause", async (t) => {
    const { server, certificates, admin } = await start(t);
    const key = certificates.path("server.key"), own = fs.readFileSync(certificates.path("own.key"), "utf8");
    const protectedKey = createPrivateKey(own).export({ type: "pkcs8", format: "pem", cipher: "aes-128-cbc", passphrase: "secret" });
    const otherKind = generateKeyPairSync("ed25519").privateKey.export({ type: "pkcs8", format: "pem" });
    const unfit = /freshet\.yaml:2: tls: the private key \S*server\.key: it is not that of the certificate \S*server\.pem/;
    const none = /freshet\.yaml:3: tls\.certificates\.key: "\S*server\.key" is not a file .* private key in PEM form, without a passphrase/;
    for (const [text, why] of [[own, unfit], [otherKind, unfit], [protectedKey, none], ["no key\n", none], ["", none]]) {
        fs.writeFileSync(key, text);
        assert.match(await reload(server), why);
        assert.equal((await server.get("/stats", admin)).status, 200);
    }
});

test("the certificate for receivers changes by a reload alone, and a key that is another's changes nothing", async (t) => {
    const { server, files, certificates, admin } = await start(t);
    const seen = [];
    const pair = certificates.make("receiver", "IP:127.0.0.1");
    const receiver = https.createServer({ ...pair, ca: certificates.ca, requestCert: true, rejectUnauthorized: true }, (req, res) => {
        seen.push(req.socket.getPeerCertificate().subject.CN);
        res.setHeader("Connection", "close");
        res.end();
    });
    await new Promise((resolve) => receiver.listen(0, "127.0.0.1", resolve));
    t.after(() => receiver.close());
    const made = await server.request("POST", "/webhooks", { headers: admin, body: { url: `https://127.0.0.1:${receiver.address().port}/`, channels: ["a"] } });
    assert.equal(made.status, 201, made.text);
    const shown = async () => {
        const before = seen.length;
        const ping = (await server.request("POST", `/webhooks/${made.json().id}/ping`, { headers: admin })).json();
        assert.equal(ping.ok, true, JSON.stringify(ping));
        return seen.slice(before).at(-1);
    };
    assert.equal(await shown(), "own");
    certificates.make("newer", "DNS:localhost");
    fs.copyFileSync(certificates.path("newer.pem"), files["webhooks.cert_file"]);
    assert.equal(await shown(), "own", "a file that is written waits for a reload");
    assert.match(await reload(server), /reload_refused[^]*the key in key_file is not that of the certificate/);
    assert.equal(await shown(), "own");
    fs.copyFileSync(certificates.path("newer.key"), files["webhooks.key_file"]);
    const told = await reload(server);
    assert.match(told, /event=reloaded/);
    assert.doesNotMatch(told, /reload_incomplete/);
    assert.equal(await shown(), "newer");
});

test("a file with a secret that others may read is reported, whichever key names it", async (t) => {
    const { server, files } = await start(t);
    for (const key of ["keys", "tokens.secret", "namespaces.authorize.secret", "inbound.secrets", "inbound.challenge.secret", "webhooks.key_file"]) {
        fs.chmodSync(files[key], 0o604);
        const told = await reload(server);
        await eventually(() => server.err.includes(`event=secret_readable path="${files[key]}"`), `a warning of ${key}\n${told}`);
        fs.chmodSync(files[key], 0o600);
    }
});
