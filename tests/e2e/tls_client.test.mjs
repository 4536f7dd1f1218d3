// The command over TLS: which servers it takes for good, the certificate that it shows, and its load generator.

import assert from "node:assert/strict";
import tls from "node:tls";
import { Certificates } from "./support/certificates.mjs";
import { startServer, stats, sideBySide } from "./support/index.mjs";
import { run } from "./support/program.mjs";

const { test } = sideBySide(4);

const LISTEN = ["127.0.0.1:0", "https://127.0.0.1:0"];
const LOCAL = "DNS:localhost,IP:127.0.0.1";
const FAILED = 1;
const USAGE = 2;

async function secured(t, { san = LOCAL, more = () => "" } = {}) {
    const certificates = new Certificates(t);
    certificates.make("a", san);
    const server = await startServer(t, { listen: LISTEN, config: certificates.config(["a"], more(certificates)) });
    return { server, certificates, port: server.portOf("https"), trust: ["--cacert", certificates.path("ca.pem")] };
}

const COMMANDS = [
    { name: "pub", args: ["pub", "news", "hello"], says: /^\d{16}$/m },
    { name: "pub, lines", args: ["pub", "news"], input: "a\nb\n", says: /^$/ },
    ...["sse", "ndjson", "poll", "ws"].map((via) => (
        { name: `sub by ${via}`, args: ["sub", "news", "--via", via, "--last", "1", "--count", "1", "--format", "data"], says: /^first$/m })),
    { name: "webhook ls", args: ["webhook", "ls"], says: /^$/ },
    { name: "key ls", args: ["key", "ls"], says: /^$/ },
];

for (const { name, args, input, says } of COMMANDS) {
    test(`freshet ${name} speaks TLS with servers that an authority vouches for, and with no others`, async (t) => {
        const { server, port, trust } = await secured(t);
        await server.publish("news", "first");
        const at = (url, ...more) => run(t, [...args, "--url", url, ...more], { input });
        for (const url of [`https://localhost:${port}`, `wss://127.0.0.1:${port}`]) {
            for (const good of [trust, ["--insecure"]]) {
                const { code, stdout, stderr } = await at(url, ...good);
                assert.equal(code, 0, stderr);
                assert.match(stdout, says);
            }
            const refused = await at(url);
            assert.equal(refused.code, FAILED);
            assert.match(refused.stderr, /certificate/);
            assert.equal(refused.stdout, "");
        }
    });
}

test("a certificate for another name or address is refused by every mechanism", async (t) => {
    for (const san of ["DNS:other.example", "IP:127.0.0.2", "DNS:127.0.0.1"]) {
        const { port, trust } = await secured(t, { san });
        for (const host of ["localhost", "127.0.0.1"]) {
            for (const args of [["pub", "a", "b"], ["sub", "a", "--last", "1", "--count", "1", "--via", "ws"]]) {
                const { code, stderr } = await run(t, [...args, "--url", `https://${host}:${port}`, ...trust]);
                assert.equal(code, FAILED, `${san} for ${host}`);
                assert.match(stderr, /mismatch|does not match|no alternative certificate/i);
            }
        }
    }
});

test("a certificate without names of its own is refused by every mechanism, whatever its subject says", async (t) => {
    for (const san of [null, "email:localhost", "URI:https://localhost/"]) {
        const certificates = new Certificates(t);
        certificates.make("a", san, { subject: "/CN=localhost" });
        const server = await startServer(t, { listen: LISTEN, config: certificates.config(["a"]) });
        const url = `https://localhost:${server.portOf("https")}`;
        for (const args of [["pub", "a", "b"], ["webhook", "ls"], ["sub", "a", "--last", "1", "--count", "1", "--via", "poll"],
            ["sub", "a", "--last", "1", "--count", "1", "--via", "ws"], ["bench", "--events", "1", "--subscribers", "1"]]) {
            const at = args[0] === "bench" ? [args[0], url, ...args.slice(1)] : [...args, "--url", url];
            const { code, stderr } = await run(t, [...at, "--cacert", certificates.path("ca.pem")]);
            assert.equal(code, FAILED, `${args} with ${san}`);
            assert.match(stderr, /mismatch/i, `${args} with ${san}`);
        }
    }
});

test("the command shows the certificate that it was given, and the server's authorities decide", async (t) => {
    const { port, trust, certificates, server } = await secured(t,
        { more: (made) => `  client_ca: ${made.path("ca.pem")}\n  client_required: true\n` });
    certificates.make("me", "DNS:me");
    await server.publish("a", "x");
    const mine = ["--cert", certificates.path("me.pem"), "--cert-key", certificates.path("me.key")];
    for (const args of [["pub", "a", "x"], ["sub", "a", "--last", "1", "--count", "1"], ["sub", "a", "--last", "1", "--count", "1", "--via", "ws"]]) {
        const at = (...more) => run(t, [...args, "--url", `https://localhost:${port}`, ...trust, ...more]);
        const shown = await at(...mine);
        assert.equal(shown.code, 0, shown.stderr);
        if (args[0] === "sub") { /* a publish is repeated: the server may have closed before it told why */
            const { code, stderr } = await at();
            assert.equal(code, FAILED);
            assert.notEqual(stderr, "");
        }
    }
});

test("a host is named in the handshake, an address is not", async (t) => {
    const certificates = new Certificates(t);
    const names = [];
    const server = tls.createServer(certificates.make("a", LOCAL), (socket) => {
        names.push(socket.servername);
        socket.end();
    });
    await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
    t.after(() => server.close());
    for (const host of ["localhost", "127.0.0.1"]) {
        await run(t, ["sub", "a", "--via", "ws", "--url", `wss://${host}:${server.address().port}`, "--insecure"]);
    }
    assert.deepEqual(names, ["localhost", false]);
});

test("options of TLS that contradict each other, and files that are not there, are told", async (t) => {
    for (const more of [["--cert-key", "k"], ["--cacert", "c", "--insecure"]]) {
        assert.equal((await run(t, ["pub", "a", "b", "--url", "https://localhost:1", ...more])).code, USAGE);
    }
    const { port } = await secured(t);
    for (const args of [["pub", "a", "b"], ["sub", "a", "--via", "ws"]]) {
        const { code, stderr } = await run(t, [...args, "--url", `https://localhost:${port}`, "--cacert", "/nonexistent.pem"]);
        assert.equal(code, FAILED);
        assert.match(stderr, /\/nonexistent\.pem/);
    }
});

test("a token never shows in what the command says about a server of TLS", async (t) => {
    const { port, trust } = await secured(t);
    for (const more of [trust, []]) {
        for (const args of [["pub", "a", "b"], ["sub", "a//b"], ["sub", "a//b", "--via", "ws"]]) {
            const { stdout, stderr } = await run(t, [...args, "--url", `https://localhost:${port}`, ...more],
                { env: { ...process.env, FRESHET_TOKEN: "frs_very_secret" } });
            assert.doesNotMatch(stdout + stderr, /very_secret/);
        }
    }
});

test("bench loads a server over TLS, resumes sessions, and loses nothing", async (t) => {
    const { server, port, trust } = await secured(t);
    const bench = async (...args) => {
        const { code, stdout, stderr } = await run(t, ["bench", ...args, "--subscribers", "300", "--events", "20", "--json", ...trust]);
        assert.equal(code, 0, stderr);
        return JSON.parse(stdout);
    };
    for (const args of [[`https://localhost:${port}`], [`wss://localhost:${port}`],
        [`https://localhost:${port}`, "--via", "poll"], [`https://localhost:${port}`, "--streams", "100"]]) {
        await bench(...args);
    }
    const before = (await stats(server)).tls;
    await bench(`https://localhost:${port}`, "--opening", "1");
    const { handshakes, resumed, failed } = (await stats(server)).tls;
    assert.ok(handshakes - before.handshakes < 10, "each connection has a ticket of the one before");
    assert.ok(resumed > 0);
    assert.equal(failed, 0);
});
