// docs/acme.md as it stands: certbot has a certificate made by an ACME authority, and its hook reloads the server. The authority is Pebble, which
// Go builds, once; the name that it asks for is found by a server of DNS in this file. Everything is on loopback.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import fs from "node:fs";
import https from "node:https";
import net from "node:net";
import path from "node:path";
import tls from "node:tls";
import { promisify } from "node:util";
import { Certificates } from "./support/certificates.mjs";
import { documentText, fencedBlock } from "./support/documents.mjs";
import { GO, installedByGo } from "./support/go.mjs";
import { eventually, startServer, temporaryFolder, test } from "./support/index.mjs";
import { freePort } from "./support/program.mjs";
import { installed, listens, Service } from "./support/service.mjs";

const run = promisify(execFile);
const MODULE = "github.com/letsencrypt/pebble/v2/cmd/pebble@v2.10.3";
const PAGE = documentText("acme.md");
const NAME = "rt.example.org";
const UNIT = fs.readFileSync(new URL("../../dist/freshet.service", import.meta.url), "utf8");
const lacking = [!GO && "Go", !installed("certbot") && "certbot"].filter(Boolean).join(" and ");

/** The answer to a question of DNS: every name is 127.0.0.1. */
function resolved(query) {
    const end = query.indexOf(0, 12) + 5; /* of the question */
    const isIpv4 = query.readUInt16BE(end - 4) === 1;
    const head = [query[0], query[1], 0x81, 0x80, 0, 1, 0, isIpv4 ? 1 : 0, 0, 0, 0, 0];
    const address = [0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 1, 0, 4, 127, 0, 0, 1];
    return Buffer.concat([Buffer.from(head), query.subarray(12, end), Buffer.from(isIpv4 ? address : [])]);
}

/** A server of DNS over TCP, which is how Pebble asks. Answers its port. */
function names(t) {
    const server = net.createServer((socket) => {
        let got = Buffer.alloc(0);
        socket.on("error", () => {}).on("data", (part) => {
            got = Buffer.concat([got, part]);
            while (got.length >= 2 && got.length >= 2 + got.readUInt16BE(0)) {
                const answer = resolved(got.subarray(2, 2 + got.readUInt16BE(0)));
                got = got.subarray(2 + got.readUInt16BE(0));
                socket.write(Buffer.concat([Buffer.from([answer.length >> 8, answer.length & 255]), answer]));
            }
        });
    });
    t.after(() => server.close());
    return new Promise((resolve) => server.listen(0, "127.0.0.1", () => resolve(server.address().port)));
}

/** A test authority that proves names by HTTP at a port of loopback. */
async function authority(t, program, httpPort) {
    const dir = temporaryFolder(t);
    const certificates = new Certificates(t);
    const [port, managing] = [await freePort(), await freePort()];
    certificates.make("authority", "IP:127.0.0.1");
    fs.writeFileSync(path.join(dir, "pebble.json"), JSON.stringify({ pebble: {
        listenAddress: `127.0.0.1:${port}`, managementListenAddress: `127.0.0.1:${managing}`, httpPort, tlsPort: 1,
        certificate: certificates.path("authority.pem"), privateKey: certificates.path("authority.key"),
        retryAfter: { authz: 1, order: 1 }, profiles: { default: { description: "", validityPeriod: 7776000 } },
    } }));
    const service = new Service(dir, program, ["-config", path.join(dir, "pebble.json"), "-dnsserver", `127.0.0.1:${await names(t)}`],
        { PEBBLE_VA_NOSLEEP: "1", PEBBLE_WFE_NONCEREJECT: "0", PEBBLE_AUTHZREUSE: "0" });
    t.after(() => service.stop());
    await service.until(() => listens(managing), "Pebble to listen");
    const ca = certificates.ca;
    const root = await new Promise((resolve, reject) => https.get({ host: "127.0.0.1", port: managing, path: "/roots/0", ca, agent: false },
        async (response) => {
            let text = "";
            for await (const part of response.setEncoding("utf8")) {
                text += part;
            }
            resolve(text);
        }).on("error", reject));
    return { url: `https://127.0.0.1:${port}/dir`, caFile: certificates.path("ca.pem"), root };
}

/** The certificate that the server shows, verified by the authority's root for the name. */
function shown(port, ca) {
    return new Promise((resolve, reject) => {
        const socket = tls.connect({ host: "127.0.0.1", port, servername: NAME, ca }, () => {
            resolve(socket.getPeerCertificate().serialNumber);
            socket.destroy();
        }).on("error", reject);
    });
}

function script(file, text) {
    fs.writeFileSync(file, text, { mode: 0o755 });
}

test("certbot's certificate is served, and a renewed one after it, with no connection dropped",
    { skip: lacking ? `${lacking} is not installed` : false, timeout: 600_000 }, async (t) => {
        const dir = temporaryFolder(t), bin = path.join(dir, "bin"), etc = path.join(dir, "etc");
        const httpPort = await freePort();
        const { url, caFile, root } = await authority(t, await installedByGo(MODULE), httpPort);
        const here = (text) => text.replaceAll("/etc/freshet", etc);
        for (const folder of [bin, etc]) {
            fs.mkdirSync(folder);
        }
        /* Nobody has to be root here, nor to be called freshet. */
        script(path.join(etc, "renewed"), here(fencedBlock(PAGE, "sh")).replaceAll("-o root -g freshet ", ""));
        /* The service manager does what the unit says. */
        const reload = /^ExecReload=(.*)$/m.exec(UNIT)[1];
        script(path.join(bin, "systemctl"),
            `#!/bin/sh\n[ "$*" = "try-reload-or-restart freshet" ] || exit 1\n[ -e ${dir}/pid ] || exit 0\nMAINPID=$(cat ${dir}/pid)\n${reload}\n`);
        script(path.join(bin, "certbot"), `#!/bin/sh\nexec ${(await run("sh", ["-c", "command -v certbot"])).stdout.trim()} "$@" --server ${url} ` +
            `--http-01-address 127.0.0.1 --http-01-port ${httpPort} --config-dir ${dir}/certbot --work-dir ${dir}/work --logs-dir ${dir}/logs\n`);
        const certbot = (command) => run("sh", ["-euc", here(command)],
            { env: { ...process.env, PATH: `${bin}:${process.env.PATH}`, REQUESTS_CA_BUNDLE: caFile } });

        await certbot(fencedBlock(PAGE, "console"));
        const server = await startServer(t, { listen: ["127.0.0.1:0", "https://127.0.0.1:0"], config: here(fencedBlock(PAGE, "yaml")).replace("[read]", "[read, publish]") });
        fs.writeFileSync(path.join(dir, "pid"), `${server.pid}`);
        const port = server.portOf("https");
        const first = await shown(port, root);
        const stream = await server.ndjson("/channels/news");

        await certbot(`${/`(certbot renew [^`]*)`/.exec(PAGE)[1]} --no-random-sleep-on-renew`);
        await eventually(() => /event=reloaded/.test(server.err), "the reload");
        const second = await shown(port, root);
        assert.notEqual(second, first);
        assert.equal(fs.statSync(path.join(etc, "tls/privkey.pem")).mode & 0o777, 0o640);

        /* A renewal that brings something else changes nothing. */
        fs.writeFileSync(path.join(etc, "tls/fullchain.pem"), "no certificate\n");
        server.signal("SIGHUP");
        await eventually(() => /event=reload_refused/.test(server.err), "the refusal");
        assert.equal(await shown(port, root), second);
        await server.publish("news", "still here");
        assert.equal((await stream.event()).data, "still here");
    });
