// Java's stack of TLS, and its clients of HTTP/1.1, HTTP/2 and WebSockets, against the server.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { Certificates } from "./support/certificates.mjs";
import { startServer, stats, test } from "./support/index.mjs";
import { installed } from "./support/service.mjs";

const run = promisify(execFile);
const SOURCE = fileURLToPath(new URL("support/TlsPeer.java", import.meta.url));

test("Java's TLS is served by what is safe, and refused by everything else", { skip: !installed("javac") && "no Java compiler", timeout: 300_000 }, async (t) => {
    const certificates = new Certificates(t);
    certificates.make("a", "DNS:localhost");
    const server = await startServer(t, { listen: ["127.0.0.1:0", "https://127.0.0.1:0"], config: certificates.config(["a"]) });
    const { stdout } = await run("java", [SOURCE, `${server.portOf("https")}`, certificates.path("ca.pem")], { cwd: certificates.dir });
    const got = JSON.parse(stdout);
    const is = (names, pattern) => names.forEach((name) => assert.match(got[name], pattern, name));
    is(["tls12", "gcm", "chacha"], /^ok TLSv1\.2$/);
    is(["tls13"], /^ok TLSv1\.3$/);
    is(["tls10", "tls11", "rsa_exchange", "cbc"], /^refused: .*(protocol_version|handshake_failure)/);
    is(["other_name"], /^refused: .*(other\.example|unrecognized_name)/);
    is(["garbage", "forged"], /^ended, 0 bytes$/);
    is(["half_closed"], /^ok$/);
    is(["h2"], /^h2$/);
    is(["http1"], /^http\/1\.1$/);
    is(["none"], /^$/);
    is(["no_such_thing"], /^refused: .*no_application_protocol/);
    is(["stream1"], /^HTTP_1_1 201 200 true$/);
    is(["stream2"], /^HTTP_2 201 200 true$/);
    is(["websocket"], /^ok$/);
    for (const name of ["resumed12", "resumed13"]) {
        assert.equal(got[name][0], false, name);
        assert.ok(got[name].slice(1).some(Boolean), `${name}: ${got[name]}`);
    }
    const { tls } = await stats(server);
    assert.ok(tls.resumed > 0 && tls.failed >= 5, JSON.stringify(tls));
    assert.equal((await server.get("/healthz")).status, 200);
});
