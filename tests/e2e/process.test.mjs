// The rights of the process: what it gives up, whom it becomes, how the program is linked, and the unit for systemd.

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import fs from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { BIN, startServer, temporaryFolder, test } from "./support/index.mjs";
import { installed } from "./support/service.mjs";

const UNIT = fileURLToPath(new URL("../../dist/freshet.service", import.meta.url));

function fieldOf(pid, name) {
    return new RegExp(`^${name}:\\s+(\\S+)`, "m").exec(fs.readFileSync(`/proc/${pid}/status`, "utf8"))[1];
}

test("the process gains no rights, and says what it gave up", async (t) => {
    const server = await startServer(t, { data: true });
    assert.match(server.err, /event=confined user=\d+ no_new_privileges=true core_files=\w+ landlock=\d+ seccomp=\w+/);
    assert.equal(fieldOf(server.pid, "NoNewPrivs"), "1");
    if (/ seccomp=true/.test(server.err))
        assert.equal(fieldOf(server.pid, "Seccomp"), "2");
    if (!/asan|tsan/.test(BIN))
        assert.match(server.err, / core_files=false /);
    assert.equal((await server.post("a", "1")).status, 201);
    const data = path.join(server.dir, "data");
    await server.terminate(); /* else files may come and go while they are looked at */
    for (const file of [data, ...fs.readdirSync(data, { recursive: true }).map((name) => path.join(data, name))])
        assert.equal(fs.statSync(file).mode & 0o077, 0, file);
    const open = await startServer(t, { env: { FRESHET_NO_SANDBOX: "1" } });
    assert.match(open.err, /event=confined .*no_new_privileges=false core_files=true landlock=0 seccomp=false/);
});

test("the server becomes another user once it has its addresses", { skip: process.getuid() !== 0 && "takes root" }, async (t) => {
    const data = path.join(temporaryFolder(t), "data");
    fs.chmodSync(path.dirname(data), 0o755);
    fs.mkdirSync(data, { mode: 0o700 });
    fs.chownSync(data, 65534, 65534);
    const server = await startServer(t, { config: "user: 65534\ngroup: 65534\nthreads: 2\n", data });
    assert.equal(fieldOf(server.pid, "Uid"), "65534");
    assert.equal(fieldOf(server.pid, "Gid"), "65534");
    for (let n = 0; n < 20; n++)
        assert.equal((await fetch(`${server.url}/channels/a`, { method: "POST", body: "1", headers: { Connection: "close" } })).status, 201);
});

test("files with secrets that others may read are named", async (t) => {
    const dir = temporaryFolder(t), secret = "tokens: [{secret: \"a secret that is long enough for it\"}]\n";
    const server = await startServer(t, { config: secret });
    fs.chmodSync(path.join(server.dir, "freshet.yaml"), 0o644);
    await server.restart();
    assert.match(server.err, /event=secret_readable path=\S*freshet\.yaml\S* mode=644/);
    assert.ok(!server.log().includes("long enough"), dir);
});

test("the program is position independent, and its tables are read-only", { skip: !installed("readelf") && "no readelf" }, (t) => {
    const { stdout } = spawnSync("readelf", ["-hldW", BIN], { encoding: "utf8" });
    if (/asan|tsan/.test(BIN))
        return t.skip("a sanitized program is linked in another way");
    assert.match(stdout, /Type: +DYN \(Position-Independent/);
    assert.match(stdout, /GNU_RELRO/);
    assert.match(stdout, /BIND_NOW|Flags: NOW/);
    assert.doesNotMatch(stdout, /GNU_STACK.*RWE/);
});

test("systemd finds little to say against the unit", { skip: !installed("systemd-analyze") && "no systemd-analyze" }, () => {
    const { stdout, stderr } = spawnSync("systemd-analyze", ["security", "--offline=true", "--no-pager", UNIT], { encoding: "utf8" });
    const [, exposure] = /exposure level for freshet\.service: ([\d.]+)/.exec(stdout) ?? assert.fail(stdout + stderr);
    assert.ok(Number(exposure) <= 2, exposure);
});
