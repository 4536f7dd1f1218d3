// A second stack of TLS against the server: Go's own, which shares nothing with OpenSSL.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { Certificates } from "./support/certificates.mjs";
import { GO } from "./support/go.mjs";
import { startServer, stats, test } from "./support/index.mjs";

const run = promisify(execFile);
const SOURCE = path.join(path.dirname(fileURLToPath(import.meta.url)), "support/tls_peer.go");

test("Go's TLS is served by what is safe, and refused by everything else", { skip: GO ? false : "Go is not installed", timeout: 300_000 }, async (t) => {
    const certificates = new Certificates(t);
    certificates.make("a", "DNS:localhost");
    const server = await startServer(t, { listen: ["127.0.0.1:0", "https://127.0.0.1:0"], config: certificates.config(["a"]) });
    const program = certificates.path("tls_peer");
    await run(GO, ["build", "-o", program, SOURCE], { env: { ...process.env, GO111MODULE: "off", GOFLAGS: "", CGO_ENABLED: "0" }, cwd: certificates.dir });
    const { stdout } = await run(program, [`${server.portOf("https")}`, certificates.path("ca.pem")]);
    const got = JSON.parse(stdout);
    const is = (names, pattern) => names.forEach((name) => assert.match(got[name], pattern, name));
    is(["tls12", "gcm", "chacha"], /^ok TLS 1\.2$/);
    is(["tls13", "p256"], /^ok TLS 1\.3$/);
    is(["tls10", "tls11", "rsa_exchange", "cbc", "p521"], /^refused: .*(protocol version|handshake failure|supported versions)/);
    is(["other_name"], /^refused: .*certificate/);
    is(["garbage", "forged", "too_long", "unknown_type", "truncated"], /^ended, 0 bytes$/);
    is(["half_closed"], /^ok$/);
    is(["h2"], /^h2$/);
    is(["http1"], /^http\/1\.1$/);
    is(["none"], /^$/);
    is(["no_such_thing"], /^refused: .*no application protocol/);
    for (const name of ["resumed12", "resumed13"]) {
        assert.deepEqual(got[name], [false, true, true, true, true], name);
    }
    assert.equal((await server.get("/healthz")).status, 200);
    assert.ok((await stats(server)).tls.failed >= 5);
});
