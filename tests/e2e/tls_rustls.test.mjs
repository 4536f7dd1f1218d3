// A stack of TLS in Rust against the server. Its crates are built once, into a folder of the user's that stays.

import assert from "node:assert/strict";
import { execFile, spawnSync } from "node:child_process";
import os from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { Certificates } from "./support/certificates.mjs";
import { startServer, stats, test } from "./support/index.mjs";

const run = promisify(execFile);
const SOURCE = fileURLToPath(new URL("support/rustls_peer/Cargo.toml", import.meta.url));
const TARGET = path.join(process.env.XDG_CACHE_HOME ?? path.join(os.homedir(), ".cache"), "freshet-tests", "rustls_peer");
const BUILD_MS = 300_000;

const CARGO = ["cargo", path.join(os.homedir(), ".cargo/bin/cargo")].find((cargo) => !spawnSync(cargo, ["--version"]).error);

/** The program, or undefined where its crates cannot be had. */
async function build(t) {
    try {
        await run(CARGO, ["build", "--quiet", "--locked", "--manifest-path", SOURCE, "--target-dir", TARGET], { timeout: BUILD_MS });
        return path.join(TARGET, "debug/rustls_peer");
    } catch (error) {
        if (!/error\[E\d+\]|could not compile `rustls_peer`/.test(error.stderr)) {
            t.skip(`the crates cannot be built here: ${error.stderr.split("\n")[0]}`);
            return undefined;
        }
        throw error;
    }
}

test("rustls is served by what is safe, and refused by everything else", { skip: CARGO ? false : "no cargo", timeout: BUILD_MS + 60_000 }, async (t) => {
    const program = await build(t);
    if (program === undefined)
        return;
    const certificates = new Certificates(t);
    certificates.make("a", "DNS:localhost");
    const server = await startServer(t, { listen: ["127.0.0.1:0", "https://127.0.0.1:0"], config: certificates.config(["a"]) });
    const { stdout } = await run(program, [`${server.portOf("https")}`, certificates.path("ca.pem")]);
    const got = JSON.parse(stdout);
    const is = (names, pattern) => names.forEach((name) => assert.match(got[name], pattern, name));
    is(["tls12"], /^ok TLSv1_2$/);
    is(["tls13", "x25519", "p256"], /^ok TLSv1_3$/);
    is(["other_name"], /^refused: .*certificate/);
    is(["garbage", "forged", "too_long", "truncated"], /^ended, 0 bytes$/);
    is(["half_closed"], /^ok$/);
    is(["h2"], /^h2$/);
    is(["http1"], /^http\/1\.1$/);
    is(["none"], /^$/);
    is(["no_such_thing"], /^refused: .*(no ?application ?protocol)/i);
    for (const name of ["resumed12", "resumed13"])
        assert.deepEqual(got[name], [false, true, true, true, true], name);
    assert.equal((await server.get("/healthz")).status, 200);
    assert.ok((await stats(server)).tls.failed >= 2);
});
