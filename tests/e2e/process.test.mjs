// The rights of the process: what it gives up, whom it becomes, how the program is linked, and the unit for systemd.

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import fs from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { BIN, startServer, temporaryFolder, test } from "./support/index.mjs";
import { Program, run } from "./support/program.mjs";
import { installed } from "./support/service.mjs";

const UNIT = fileURLToPath(new URL("../../dist/freshet.service", import.meta.url));

function fieldOf(pid, name) {
    return new RegExp(`^${name}:\\s+(\\S+)`, "m").exec(fs.readFileSync(`/proc/${pid}/status`, "utf8"))[1];
}

test("the process gains no rights, and says what it gave up", async (t) => {
    const server = await startServer(t, { data: true });
    await server.logged(/event=confined user=\d+ no_new_privileges=true core_files=\w+ landlock=\d+ seccomp=\w+/);
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
    await open.logged(/event=confined .*no_new_privileges=false core_files=true landlock=0 seccomp=false/);
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

/** What `freshet serve` says that root starts as another user, with these groups, until it serves or ends. */
async function serveAs(t, { user = 65534, group = 65534, groups = [] }, config) {
    const dir = temporaryFolder(t), bin = path.join(dir, "freshet");
    fs.chmodSync(dir, 0o777);
    fs.copyFileSync(BIN, bin); /* the tree may be closed to others */
    fs.writeFileSync(path.join(dir, "freshet.yaml"), config.replaceAll("DIR", dir));
    const rights = ["--reuid", `${user}`, "--regid", `${group}`, ...(groups.length ? ["--groups", groups.join(",")] : ["--clear-groups"])];
    const program = new Program(t, [...rights, bin, "serve", "--memory", "--config", path.join(dir, "freshet.yaml")], { bin: "setpriv", cwd: dir });
    await Promise.race([program.exited, program.until(({ out }) => / serves /.test(out), "the server").catch(() => {})]);
    return { dir, program, pid: program.child.pid };
}

test("a server that is started as the user that it should become stays it, and others are refused", { skip: process.getuid() !== 0 && "takes root" }, async (t) => {
    const stays = await serveAs(t, { groups: [65534, 33] }, "listen: 127.0.0.1:0\nuser: 65534\n");
    assert.match(stays.program.out, / serves /, stays.program.err);
    assert.equal(fieldOf(stays.pid, "Uid"), "65534");
    assert.match(fs.readFileSync(`/proc/${stays.pid}/status`, "utf8"), /^Groups:.*\b33\b/m, "its groups are its own");
    for (const wanted of ["user: 65533", "user: root", "user: 65534\ngroup: 33"]) {
        const { program } = await serveAs(t, {}, `listen: 127.0.0.1:0\n${wanted}\n`);
        assert.deepEqual(program.end, { code: 1, signal: null }, wanted);
        assert.match(program.err, /cannot become user \d+ and group \d+: Operation not permitted\. This is user 65534 and group 65534: start it as root/);
    }
});

test("a Unix socket goes to a group that the process has, and to no other", { skip: process.getuid() !== 0 && "takes root" }, async (t) => {
    const config = "listen: {address: \"unix:DIR/s\", group: 33}\n";
    const has = await serveAs(t, { groups: [33] }, config.replace("{", "[{").replace("}", "}]"));
    assert.match(has.program.out, / serves /, has.program.err);
    assert.equal(fs.statSync(path.join(has.dir, "s")).gid, 33);
    const { program } = await serveAs(t, {}, config.replace("{", "[{").replace("}", "}]"));
    assert.equal(program.end?.code, 1);
    assert.match(program.err, /This user may not give the socket to that group/);
});

test("Landlock stays in force where the data folder cannot be made, and the cause is told", async (t) => {
    const dir = temporaryFolder(t);
    const { code, stderr } = await run(t, ["serve", "--listen", "127.0.0.1:0", "--data", path.join(dir, "missing/data")]);
    assert.equal(code, 1);
    assert.match(stderr, /No such file|is not there/);
    const [, here] = await (await startServer(t)).logged(/landlock=(\d+)/), [, there] = /landlock=(\d+)/.exec(stderr);
    assert.equal(there, here);
});

test("files with secrets that others may read are named", async (t) => {
    const dir = temporaryFolder(t), secret = "tokens: [{secret: \"a secret that is long enough for it\"}]\n";
    const server = await startServer(t, { config: secret });
    fs.chmodSync(path.join(server.dir, "freshet.yaml"), 0o644);
    await server.restart();
    await server.logged(/event=secret_readable path=\S*freshet\.yaml\S* mode=644/);
    assert.ok(!server.log().includes("long enough"), dir);
});

for (const [mode, isNamed] of [[0o777, true], [0o1777, true], [0o702, true], [0o770, false], [0o755, false], [0o700, false]]) {
    test(`a data folder of mode ${mode.toString(8)} is ${isNamed ? "" : "not "}named as one that others may write to`, async (t) => {
        const data = path.join(temporaryFolder(t), "data");
        fs.mkdirSync(data);
        fs.chmodSync(data, mode);
        const server = await startServer(t, { data });
        await server.logged(/event=started/); /* the line would come before */
        const named = new RegExp(`event=data_writable path=\\S*data\\S* mode=${(mode & 0o777).toString(8)}`);
        assert.equal(named.test(server.err), isNamed, server.err);
    });
}

test("the program is position independent, and its tables are read-only", { skip: !installed("readelf") && "no readelf" }, (t) => {
    const { stdout } = spawnSync("readelf", ["-hldW", BIN], { encoding: "utf8" });
    if (/asan|tsan/.test(BIN))
        return t.skip("a sanitized program is linked in another way");
    assert.match(stdout, /Type: +DYN \(Position-Independent/);
    assert.match(stdout, /GNU_RELRO/);
    assert.match(stdout, /BIND_NOW|Flags: NOW/);
    assert.doesNotMatch(stdout, /GNU_STACK.*RWE/);
});

test("every file of the program is compiled with the flags that make faults harder to use", { skip: !installed("readelf") && "no readelf" }, (t) => {
    if (/asan|tsan/.test(BIN))
        return t.skip("a sanitized program is compiled in another way");
    const options = { encoding: "utf8", maxBuffer: 1 << 30 };
    const { stdout: units } = spawnSync("readelf", ["--debug-dump=info", "--dwarf-depth=1", "-W", BIN], options);
    const producers = units.split("\n").filter((line) => /DW_AT_producer.*GNU C17/.test(line));
    assert.ok(producers.length > 200, `${producers.length} files`);
    const flags = ["-fstack-protector-strong", "-fstack-clash-protection", "-O2"];
    if (process.arch === "x64")
        flags.push("-fcf-protection=full");
    for (const flag of flags)
        assert.deepEqual(producers.filter((line) => !line.includes(` ${flag}`)), [], flag);
    const { stdout: symbols } = spawnSync("readelf", ["--dyn-syms", "-W", BIN], options);
    assert.match(symbols, /UND __stack_chk_fail@/);
    for (const name of ["__memcpy_chk", "__snprintf_chk", "__fprintf_chk"]) /* without _FORTIFY_SOURCE there are none */
        assert.match(symbols, new RegExp(`UND ${name}@`), name);
});

test("systemd finds little to say against the unit", { skip: !installed("systemd-analyze") && "no systemd-analyze" }, () => {
    const { stdout, stderr } = spawnSync("systemd-analyze", ["security", "--offline=true", "--no-pager", UNIT], { encoding: "utf8" });
    const [, exposure] = /exposure level for freshet\.service: ([\d.]+)/.exec(stdout) ?? assert.fail(stdout + stderr);
    assert.ok(Number(exposure) <= 2, exposure);
});
