// The units of dist/ under a real systemd, installed by the lines of docs/operations.md: rights, reload, restart, crash, watchdog, sockets.

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { after } from "node:test";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { BIN, eventually, startServer, test } from "./support/index.mjs";
import { Container, lacksContainer, layOut } from "./support/container.mjs";
import { documentText } from "./support/documents.mjs";
import { installed } from "./support/service.mjs";

const SECTION = /^## As a service$.*?(?=^## )/ms.exec(documentText("operations.md"))[0];

/** The lines of the document's section that begin so, up to the end of their block. */
function documented(first) {
    const block = SECTION.split(/\n\n/).find((text) => text.startsWith(`    ${first}`)) ?? assert.fail(`no lines "${first}" in operations.md`);
    return block.replace(/^ {4}/gm, "");
}

async function bootOrWhy() {
    const lacks = /asan|tsan/.test(BIN) ? "a sanitized program is no service" : lacksContainer();
    if (lacks)
        return { lacks };
    const dir = fs.mkdtempSync(path.join(os.tmpdir(), "freshet-e2e-systemd-"));
    process.once("exit", () => fs.rmSync(dir, { recursive: true, force: true }));
    fs.chmodSync(dir, 0o755);
    layOut(dir);
    try {
        return { guest: await Container.boot(dir) };
    } catch (error) {
        return { lacks: `no container boots here: ${error.message.trim().split("\n").slice(-3).join("; ")}` };
    }
}

const { guest, lacks: skip } = await bootOrWhy();
after(() => guest?.stop());

/** A property of the service, as systemd has it. */
const property = async (name) => (await guest.shell(`systemctl show -P ${name} freshet`)).trim();

const journal = () => guest.shell("journalctl --no-pager -o cat -u freshet");

const ready = () => guest.until("curl -sf localhost:7070/readyz", "the server");

/** Writes a drop-in of the service, and a line of its configuration, and starts it anew. */
async function configure({ unit = "", config }) {
    await guest.shell("mkdir -p /etc/systemd/system/freshet.service.d; cat >/etc/systemd/system/freshet.service.d/test.conf; systemctl daemon-reload", { input: unit });
    if (config)
        await guest.shell("cat >/etc/freshet/freshet.yaml", { input: config });
    await guest.shell("systemctl restart freshet");
}

const OPEN = "access: {anybody: [read, publish]}\n";

test("the lines of operations.md install it, and it serves with the key that `freshet init` has printed", { skip }, async () => {
    await guest.shell("id freshet >/dev/null 2>&1 && userdel freshet; rm -rf /var/lib/freshet /etc/freshet /etc/systemd/system/freshet*");
    const said = await guest.shell(documented("useradd"));
    const [key] = /^ {2}(\S+)$/m.exec(said) ? [/^ {2}(\S+)$/m.exec(said)[1]] : assert.fail(said);
    await ready();
    assert.match(await guest.shell(`curl -s localhost:7070/channels/news -H 'Authorization: Bearer ${key}' -d first`), /"channel":"news"/);
    assert.match(await guest.shell("curl -s localhost:7070/channels/news -d first"), /"status":401/);
    assert.match(await guest.shell("curl -s 'localhost:7070/channels/news?last=1'"), /"data":"first"/);
});

test("the sandbox of the unit and that of the program are in force together", { skip }, async (t) => {
    const [, exposure] = /exposure level for freshet\.service: ([\d.]+)/.exec(await guest.shell("systemd-analyze security --no-pager freshet"));
    assert.ok(Number(exposure) <= 2, exposure);
    const log = await journal();
    const [, here] = await (await startServer(t)).logged(/event=confined .*landlock=(\d+)/);
    assert.match(log, new RegExp(`event=confined user=[1-9]\\d* no_new_privileges=true core_files=false landlock=${here} seccomp=true`));
    assert.match(log, /event=flush by=/);
    const pid = await property("MainPID");
    const status = await guest.shell(`cat /proc/${pid}/status`);
    assert.match(status, /^NoNewPrivs:\s+1$/m);
    assert.match(status, /^CapEff:\s+0*400$/m, "CAP_NET_BIND_SERVICE alone");
    assert.equal((await guest.shell("find /var/lib/freshet -perm /077")).trim(), "", "nobody else sees the data");
    assert.doesNotMatch(log, /level=(warn|error)|Try, each/);
});

test("a reload takes the file of then, and a broken file changes nothing", { skip }, async () => {
    const pid = await property("MainPID");
    await guest.shell("cat >/etc/freshet/freshet.yaml", { input: OPEN });
    await guest.shell("systemctl reload freshet");
    await guest.until("curl -sf localhost:7070/channels/news -d second", "the rule that was reloaded");
    await guest.shell("cat >/etc/freshet/freshet.yaml", { input: "access: {anybody: [fly]}\n" });
    await guest.shell("systemctl reload freshet");
    await eventually(async () => /event=reload_refused/.test(await journal()), "the refusal");
    assert.match(await guest.shell("curl -sf localhost:7070/channels/news -d third"), /"id"/);
    assert.equal(await property("MainPID"), pid);
});

test("a restart ends streams politely, and they lose nothing", { skip }, async () => {
    await guest.shell("cat >/etc/freshet/freshet.yaml", { input: OPEN });
    const stream = guest.run("exec curl -sN 'localhost:7070/channels/news?stream=sse&after=earliest'");
    await eventually(() => /data: third/.test(stream.soFar.stdout), "the stream");
    await guest.shell("systemctl restart freshet");
    const { code, stdout } = await stream;
    assert.equal(code, 0, "curl found the end of the answer");
    assert.match(stdout, /^retry: \d+$/m);
    await guest.shell("curl -sf localhost:7070/channels/news -d fourth");
    const [, cursor] = [...stdout.matchAll(/^id: (\S+)$/gm)].at(-1);
    assert.match(await guest.shell(`curl -sf 'localhost:7070/channels/news?after=${cursor}'`), /"data":"fourth"/);
    assert.match(await journal(), /event=draining.*event=stopped/s);
    assert.equal(await property("NRestarts"), "0");
});

test("after kill -9 it is started anew, with all that it had acknowledged", { skip }, async () => {
    await guest.shell("curl -sf localhost:7070/channels/news -d fifth; kill -KILL $(systemctl show -P MainPID freshet)");
    await guest.until("test $(systemctl show -P NRestarts freshet) -ge 1", "the restart");
    await ready();
    assert.match(await guest.shell("curl -sf 'localhost:7070/channels/news?last=1'"), /"data":"fifth"/);
});

test("a server that hangs is ended by the watchdog, and started anew", { skip }, async () => {
    await configure({ unit: "[Service]\nWatchdogSec=5\n" });
    await ready();
    const before = Number(await property("NRestarts"));
    await guest.shell("kill -STOP $(systemctl show -P MainPID freshet)");
    await guest.until(`test $(systemctl show -P NRestarts freshet) -ge ${before + 1}`, "the restart");
    await ready();
    assert.match(await journal(), /Watchdog timeout/);
});

test("a server that may not use io_uring says so, and what to do, and sends plainly", { skip }, async () => {
    await configure({ unit: "[Service]\nSystemCallFilter=~io_uring_setup\n" });
    await ready();
    assert.match(await journal(), /level=warn event=flush by=send worker=0 io_uring="Operation not permitted" right="permit io_uring_setup/);
    assert.match(await guest.shell("curl -sf 'localhost:7070/channels/news?last=1'"), /"data":"fifth"/);
});

test("a configuration that is wrong ends the start for good, with the reason in the journal", { skip }, async () => {
    await configure({ config: "listen: nowhere\n" }).catch(() => {});
    await guest.until("systemctl is-failed freshet", "the failure");
    assert.equal(await property("ExecMainStatus"), "2");
    assert.equal(await property("NRestarts"), "0");
    assert.match(await journal(), /freshet\.yaml:1: listen: "nowhere"/);
});

test("systemd's sockets: a port below 1024 without a right, a Unix socket of another group, and a restart that refuses nobody", { skip }, async () => {
    const addresses = "listen: ['127.0.0.1:80', '127.0.0.1:7070', 'unix:/run/freshet.sock']\n";
    const unit = fs.readFileSync(new URL("../../dist/freshet.socket", import.meta.url), "utf8");
    await guest.shell("systemctl reset-failed freshet; cat >/etc/freshet/freshet.yaml", { input: OPEN + addresses });
    await guest.shell("cat >dist/freshet.socket", { input: unit.replace(/^#(\S+=)/gm, "$1").replace("ListenStream=127.0.0.1:7070", "$&\nListenStream=127.0.0.1:80") });
    await guest.shell("cat >/etc/systemd/system/freshet.service.d/test.conf; systemctl daemon-reload",
        { input: "[Service]\nAmbientCapabilities=\nCapabilityBoundingSet=\n" });
    await guest.shell(documented("systemctl stop freshet"));
    await ready();
    assert.match(await guest.shell("cat /proc/$(systemctl show -P MainPID freshet)/status"), /^CapBnd:\s+0+$/m);
    assert.equal((await guest.shell("stat -c '%a %U %G' /run/freshet.sock")).trim(), "660 root www-data");
    assert.match(await guest.shell("curl -sf localhost:80/channels/news -d sixth; curl -sf --unix-socket /run/freshet.sock 'http://localhost/channels/news?last=1'"),
        /"data":"sixth"/);
    /* One may be cut off that had connected just before, and not asked yet (52, 56); none is refused (7). */
    const asking = guest.run("for n in $(seq 300); do curl -s -o /dev/null -w '%{http_code} %{exitcode}\\n' localhost:80/healthz || :; done");
    await eventually(() => /200/.test(asking.soFar.stdout), "the first answer");
    await guest.shell("systemctl restart freshet");
    const others = (await asking).stdout.trim().split("\n").filter((line) => line !== "200 0");
    assert.ok(others.length <= 1 && others.every((line) => /^000 (52|56)$/.test(line)), others.join(", "));
    await guest.shell("systemctl stop freshet");
    assert.match(await guest.shell("curl -sf localhost:80/channels/news -d seventh"), /"id"/, "a connection starts it");
});

test("operations.md names the packages of the libraries that the program is linked with", { skip: !(installed("readelf") && installed("dpkg-query")) && "no readelf or dpkg" }, () => {
    const { stdout } = spawnSync("readelf", ["-dW", BIN], { encoding: "utf8" });
    const libraries = [...stdout.matchAll(/NEEDED.*\[(\S+)\]/g)].map(([, name]) => name).filter((name) => !/^(libc|libm|libasan|libtsan|libubsan)\.so|^ld-/.test(name));
    const packages = libraries.map((name) => {
        const { stdout: owner } = spawnSync("dpkg-query", ["-S", `*/${name}`], { encoding: "utf8" });
        return /^([^:,]+)/.exec(owner)?.[1] ?? assert.fail(`no package has ${name}`);
    });
    const named = /^apt-get install (.*)$/m.exec(documented("apt-get install"))[1].split(" ");
    assert.deepEqual([...new Set([...packages, "ca-certificates"])].sort(), named.sort());
});
