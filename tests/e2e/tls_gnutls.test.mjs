// GnuTLS against the server, by its command.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { Certificates } from "./support/certificates.mjs";
import { startServer, stats, test } from "./support/index.mjs";
import { installed } from "./support/service.mjs";
import { deadline } from "./support/wait.mjs";

const REQUEST = "GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";

test("GnuTLS is served by what is safe, and refused by everything else", { skip: !installed("gnutls-cli") && "no gnutls-cli", timeout: 300_000 }, async (t) => {
    const certificates = new Certificates(t);
    certificates.make("a", "DNS:localhost");
    certificates.make("b", "DNS:localhost", { key: "rsa" });
    const config = certificates.config(["a"], `  client_ca: ${certificates.path("ca.pem")}\n`);
    const server = await startServer(t, { listen: ["127.0.0.1:0", "https://127.0.0.1:0"], config });

    /** Asks once: {code, text} with all that the command printed. */
    const ask = (priority, ...more) => {
        const child = spawn("gnutls-cli", ["--x509cafile", certificates.path("ca.pem"), "--priority", priority, "-p", `${server.portOf("https")}`,
            ...more, ...(more.includes("127.0.0.1") ? [] : ["localhost"])]);
        t.after(() => child.kill("SIGKILL"));
        let text = "";
        child.stdin.on("error", () => {});
        child.stdin.write(REQUEST);
        for (const stream of [child.stdout, child.stderr])
            stream.setEncoding("latin1").on("data", (part) => (text += part));
        return deadline(new Promise((resolve) => child.once("close", (code) => resolve({ code, text }))), `gnutls-cli ${more}`);
    };
    const isServed = ({ code, text }, pattern) => {
        assert.match(text, /HTTP\/1\.1 200 OK/);
        assert.match(text, pattern);
        assert.equal(code, 0, text);
    };
    const isRefused = ({ code, text }, pattern) => {
        assert.doesNotMatch(text, /HTTP\/1\.1/);
        assert.match(text, pattern);
        assert.notEqual(code, 0);
    };

    isServed(await ask("NORMAL:-VERS-ALL:+VERS-TLS1.3"), /\(TLS1\.3[^)]*\)/);
    isServed(await ask("NORMAL:-VERS-ALL:+VERS-TLS1.2"), /\(TLS1\.2[^)]*\)/);
    isServed(await ask("NORMAL:-GROUP-ALL:+GROUP-X25519"), /X25519/);
    isServed(await ask("NORMAL:-GROUP-ALL:+GROUP-SECP256R1"), /SECP256R1/);
    isServed(await ask("NORMAL:-CIPHER-ALL:+CHACHA20-POLY1305"), /CHACHA20-POLY1305/);
    isServed(await ask("NORMAL", "--alpn", "http/1.1"), /Application protocol: http\/1\.1/);
    for (const version of ["1.0", "1.1"])
        isRefused(await ask(`LEGACY:-VERS-ALL:+VERS-TLS${version}`), /protocol version/i);
    isRefused(await ask("NORMAL:-VERS-ALL:+VERS-TLS1.2:-KX-ALL:+RSA"), /handshake|alert/i);
    isRefused(await ask("NORMAL:-VERS-ALL:+VERS-TLS1.2:-CIPHER-ALL:+AES-128-CBC"), /handshake|alert/i);
    isRefused(await ask("NORMAL", "--alpn", "spdy/3"), /application protocol/i);
    isRefused(await ask("NORMAL", "--verify-hostname", "other.example"), /name .*does not match|do(es)? not match/i);
    for (const version of ["1.2", "1.3"]) {
        const { text } = await ask(`NORMAL:-VERS-ALL:+VERS-TLS${version}`, "--resume", "--waitresumption");
        assert.match(text, /\*\*\* This is a resumed session/, version);
    }
    const renegotiated = await ask("NORMAL:-VERS-ALL:+VERS-TLS1.2", "--rehandshake");
    assert.notEqual(renegotiated.code, 0, "renegotiation is refused");
    isServed(await ask("NORMAL", "--x509certfile", certificates.path("b.pem"), "--x509keyfile", certificates.path("b.key")), /TLS1\.3/);
    assert.equal((await server.get("/healthz")).status, 200);
    assert.ok((await stats(server)).tls.failed >= 5);
});
