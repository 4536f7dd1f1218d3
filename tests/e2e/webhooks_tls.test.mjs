// Receivers with TLS: a certificate that is refused says why, in the delivery's attempt and in a ping's answer.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import https from "node:https";
import net from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { eventually, publish, startServer, test } from "./support/index.mjs";

/** A folder with an authority, and certificates by it or by themselves, made by openssl. */
class Certificates {
    constructor(t) {
        this.dir = mkdtempSync(join(tmpdir(), "freshet-tls-"));
        t.after(() => rmSync(this.dir, { recursive: true }));
        this.selfSigned("ca", "DNS:the.authority");
    }

    path(name) {
        return join(this.dir, name);
    }

    openssl(...args) {
        execFileSync("openssl", args, { cwd: this.dir, stdio: "pipe" });
    }

    selfSigned(name, san) {
        this.openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", `${name}.key`,
            "-out", `${name}.pem`, "-days", "30", "-subj", `/CN=${name}`, "-addext", `subjectAltName=${san}`);
        return this.pair(name);
    }

    /** By the authority, from and to a moment that is written like 20200101000000Z. */
    signed(name, san, from, to) {
        this.openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", `${name}.key`,
            "-out", `${name}.csr`, "-subj", `/CN=${name}`);
        writeFileSync(this.path(`${name}.txt`), "");
        writeFileSync(this.path(`${name}.cnf`), `[ca]\ndefault_ca = it\n[it]\ndatabase = ${name}.txt\nnew_certs_dir = .\nserial = ${name}.serial\n`
            + `default_md = sha256\npolicy = any\nx509_extensions = more\n[any]\ncommonName = supplied\n[more]\nsubjectAltName = ${san}\n`);
        this.openssl("ca", "-batch", "-config", `${name}.cnf`, "-create_serial", "-rand_serial", "-cert", "ca.pem", "-keyfile", "ca.key",
            "-in", `${name}.csr`, "-out", `${name}.pem`, "-notext", "-startdate", from, "-enddate", to);
        return this.pair(name);
    }

    pair(name) {
        return { key: readFileSync(this.path(`${name}.key`)), cert: readFileSync(this.path(`${name}.pem`)) };
    }
}

async function listen(t, server) {
    await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
    t.after(() => {
        server.closeAllConnections?.();
        server.close();
    });
    return server.address().port;
}

const receiver = async (t, pair) => `https://127.0.0.1:${await listen(t, https.createServer(pair, (req, res) => res.end()))}/hook`;

const LONG_AGO = "20200101000000Z";
const BEFORE = "20210101000000Z";
const LATER = "20480101000000Z";
const NEVER = "20490101000000Z";
const here = "IP:127.0.0.1";

async function register(server, url, more = {}) {
    return server.request("POST", "/webhooks", { body: { url, channels: ["a"], ...more } });
}

async function firstAttempt(server, id) {
    const [{ attempts }] = await eventually(async () => {
        const { deliveries } = (await server.get(`/webhooks/${id}/deliveries`)).json();
        return deliveries.length && deliveries;
    }, "an attempt on record");
    return attempts[0];
}

test("why a certificate is refused is told in the attempt, to a ping, and when verification fails", async (t) => {
    const certificates = new Certificates(t);
    const server = await startServer(t, { config: `webhooks:\n  ca_file: ${certificates.path("ca.pem")}\n` });
    const plain = await listen(t, net.createServer((socket) => socket.on("error", () => {}).end("HTTP/1.1 400 No\r\n\r\n")));
    const cases = [
        ["self-signed", /is self-signed/, await receiver(t, certificates.selfSigned("alone", here))],
        ["expired", /has expired/, await receiver(t, certificates.signed("expired", here, LONG_AGO, BEFORE))],
        ["too early", /is not valid yet/, await receiver(t, certificates.signed("early", here, LATER, NEVER))],
        ["another name", /for another name/, await receiver(t, certificates.signed("other", "DNS:elsewhere.example", LONG_AGO, NEVER))],
        ["another address", /for another name/, await receiver(t, certificates.signed("address", "IP:127.0.0.2", LONG_AGO, NEVER))],
        ["no TLS", /TLS could not be agreed on/, `https://127.0.0.1:${plain}/`],
    ];
    for (const [name, error, url] of cases) {
        const { id } = (await register(server, url, { schedule: [3600] })).json();
        await publish(server, "a", name);
        const attempt = await firstAttempt(server, id);
        assert.equal(attempt.status, null, name);
        assert.match(attempt.error, error, name);
        const ping = (await server.request("POST", `/webhooks/${id}/ping`)).json();
        assert.equal(ping.ok, false, name);
        assert.match(ping.error, error, name);
        const refused = await register(server, url, { verify: "ping" });
        assert.equal(refused.status, 400, name);
        assert.match(refused.json().detail, error, name);
        await server.request("DELETE", `/webhooks/${id}`);
    }
});

test("an authority of one's own is trusted if webhooks.ca_file has it, and only then", async (t) => {
    const certificates = new Certificates(t);
    const url = await receiver(t, certificates.signed("good", here, LONG_AGO, NEVER));
    const trusting = await startServer(t, { config: `webhooks:\n  ca_file: ${certificates.path("ca.pem")}\n` });
    assert.equal((await register(trusting, url, { verify: "ping" })).status, 201);
    const strict = await startServer(t);
    const refused = await register(strict, url, { verify: "ping" });
    assert.equal(refused.status, 400);
    assert.match(refused.json().detail, /an authority that is not known here/);
});

/** Has the server read its configuration anew, and answers which event of the log says how that went. */
async function reload(server) {
    const before = server.err.length;
    server.signal("SIGHUP");
    return eventually(() => /event=(reloaded|reload_refused)/.exec(server.err.slice(before))?.[1], "a reload");
}

test("webhooks.ca_file is read by a reload, whole, and by nothing else", async (t) => {
    const certificates = new Certificates(t);
    const other = certificates.selfSigned("other", "DNS:another.authority").cert;
    const own = readFileSync(certificates.path("ca.pem"));
    const url = await receiver(t, certificates.signed("good", here, LONG_AGO, NEVER));
    const file = certificates.path("trusted.pem");
    writeFileSync(file, other);
    const server = await startServer(t, { config: `webhooks:\n  ca_file: ${file}\n` });
    const verified = async () => (await register(server, url, { verify: "ping" })).status;
    assert.equal(await verified(), 400);
    writeFileSync(file, Buffer.concat([other, own]));
    assert.equal(await verified(), 400, "a file that is written waits for a reload");
    assert.equal(await reload(server), "reloaded");
    assert.ok(!server.err.includes("reload_incomplete"));
    assert.equal(await verified(), 201);
    writeFileSync(file, Buffer.concat([other, own]).subarray(0, other.length + 100));
    assert.equal(await reload(server), "reload_refused");
    await server.logged(/webhooks\.ca_file/);
    assert.equal(await verified(), 201, "a file with a fault changes nothing");
    writeFileSync(file, other);
    assert.equal(await reload(server), "reloaded");
    assert.equal(await verified(), 400, "a connection of before does not count");
});

test("a receiver that asks for a certificate gets the one of webhooks.cert_file, if its host is to see it", async (t) => {
    const certificates = new Certificates(t);
    certificates.signed("client", "DNS:this.server", LONG_AGO, NEVER);
    const seen = [];
    const asking = https.createServer({ ...certificates.signed("good", here, LONG_AGO, NEVER), ca: readFileSync(certificates.path("ca.pem")),
        requestCert: true, rejectUnauthorized: true }, (req, res) => {
        seen.push(req.socket.getPeerCertificate().subject.CN);
        res.end();
    });
    const url = `https://127.0.0.1:${await listen(t, asking)}/hook`;
    const config = (host) => `webhooks:\n  ca_file: ${certificates.path("ca.pem")}\n  cert_file: ${certificates.path("client.pem")}\n`
        + `  key_file: ${certificates.path("client.key")}\n  cert_hosts: [${host}]\n`;
    const known = await startServer(t, { config: config("127.0.0.1") });
    const { id } = (await register(known, url, { verify: "ping" })).json();
    assert.ok(id);
    await publish(known, "a", "x");
    await eventually(() => seen.length >= 2, "the ping and the event");
    assert.deepEqual([...new Set(seen)], ["client"]);
    const other = await startServer(t, { config: config("elsewhere.example") });
    assert.equal((await register(other, url, { verify: "ping" })).status, 400);
    assert.deepEqual([...new Set(seen)], ["client"]);
});
