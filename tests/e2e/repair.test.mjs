// A folder that a server cannot use: it says which file, why, and what to do; and `freshet repair`, which sets damaged
// files aside, keeps what can be read, and lets every reader know of the rest.

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { BIN, assertProblem, eventually, request, startServer, temporaryFolder, sideBySide } from "./support/index.mjs";
import { assertIncreasing, readAll } from "./support/checks.mjs";
import { follow, MECHANISMS } from "./support/follow.mjs";
import { Program, run } from "./support/program.mjs";

const { test } = sideBySide(4);

const CANNOT = 2;
const LOST = 1;

function filesOf(data) {
    return fs.readdirSync(path.join(data, "log")).filter((name) => /^\d{16}\.db$/.test(name)).sort();
}

function isAlone(data, name) {
    return !fs.existsSync(path.join(data, "log", `${name}-wal`));
}

/** A server that was stopped, whose log has at least three files, all but the last sealed. `ids` by channel. */
async function stopped(t) {
    const server = await startServer(t, { data: true, config: "log: {roll_bytes: 100KB}\n" });
    const data = path.join(server.dir, "data");
    const ids = { a: [], b: [] };
    const sealed = () => filesOf(data).filter((name) => isAlone(data, name)).length;
    for (let n = 0; n < 220; n++) {
        const channel = n % 2 ? "a" : "b";
        ids[channel].push((await server.publish(channel, `${n} ${"x".repeat(2000)}`)).id);
        if (n % 100 === 99) {
            await eventually(() => sealed() > n / 100, "a further file to be sealed");
        }
    }
    /* Some more, in a file that is not sealed. */
    await server.terminate();
    fs.writeFileSync(path.join(server.dir, "freshet.yaml"), "log: {roll_bytes: 64MiB}\n");
    await server.start();
    for (let n = 0; n < 20; n++) {
        ids.a.push((await server.publish("a", `last ${n} ${"x".repeat(2000)}`)).id);
    }
    await server.terminate();
    return { server, data, ids, files: filesOf(data).map((name) => path.join(data, "log", name)) };
}

function serve(t, data, options) {
    return run(t, ["serve", "--listen", "127.0.0.1:0", "--data", data], options);
}

function overwrite(file, at, bytes) {
    const fd = fs.openSync(file, "r+");
    fs.writeSync(fd, bytes, 0, bytes.length, at);
    fs.closeSync(fd);
}

function behead(file) {
    overwrite(file, 0, Buffer.from("garbage"));
}

/** Everything that lies in a folder, as one comparable value. */
function contents(folder) {
    return fs.readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
        const file = path.join(folder, entry.name);
        return entry.isDirectory() ? contents(file) : [[file, fs.readFileSync(file).toString("base64")]];
    }).filter(([file]) => !file.endsWith("-shm")).sort();
}

/* ---- errors ---- */

async function assertRefused(t, data, file, cause, options) {
    const { code, stdout, stderr } = await serve(t, data, options);
    assert.equal(code, 1, stderr);
    assert.equal(stdout, "");
    const line = stderr.split("\n").find((one) => one.startsWith("freshet serve: "));
    assert.ok(line?.includes(file), `${file} is not named: ${stderr}`);
    assert.match(line, cause);
    assert.match(line, /\. \S/, "it does not say what to do");
    assert.doesNotMatch(stderr, /Unknown error/);
}

test("a file that is damaged is named, with what is wrong with it and what to do", async (t) => {
    const { data, files } = await stopped(t);
    const whole = contents(data);
    const restore = () => {
        for (const [file, bytes] of whole) {
            fs.rmSync(file, { recursive: true, force: true });
            fs.writeFileSync(file, Buffer.from(bytes, "base64"));
        }
    };
    const state = path.join(data, "state.db");
    for (const file of [files[0], files[1], files.at(-1), state]) {
        behead(file);
        await assertRefused(t, data, file, /is damaged: .*freshet repair/);
        restore();
        fs.truncateSync(file, 5000);
        await assertRefused(t, data, file, /is damaged: it is cut off after 5000 of \d+ bytes/);
        restore();
        fs.rmSync(file);
        fs.mkdirSync(file);
        await assertRefused(t, data, file, /is not a file/);
        fs.rmdirSync(file);
        restore();
    }
    fs.truncateSync(files[0], 0);
    await assertRefused(t, data, files[0], /is damaged: it is empty/);
    restore();
    behead(path.join(data, "sums.db")); /* which can be made anew, and is */
    const server = await startServer(t, { data });
    assert.equal((await server.get("/readyz")).status, 200);
});

test("a folder that is none, or cannot be made, is named", async (t) => {
    const dir = temporaryFolder(t);
    fs.writeFileSync(path.join(dir, "file"), "x");
    for (const below of ["", "data"])
        await assertRefused(t, path.join(dir, "file", below), `${path.join(dir, "file")} is not a folder`, /is not a folder/);
    await assertRefused(t, path.join(dir, "none", "data"), path.join(dir, "none", "data"), /is not there.*the one above must exist/);
    fs.mkdirSync(path.join(dir, "data"));
    fs.writeFileSync(path.join(dir, "data", "log"), "x");
    await assertRefused(t, path.join(dir, "data"), path.join(dir, "data", "log"), /is not a folder/);
});

test("the process that has the folder is named", async (t) => {
    const server = await startServer(t, { data: true });
    const data = path.join(server.dir, "data");
    await assertRefused(t, data, data, new RegExp(`used by another freshet, process ${server.pid}\\b.*Stop`));
    const { code, stderr } = await run(t, ["repair", data]);
    assert.equal(code, CANNOT);
    assert.match(stderr, new RegExp(`^freshet repair: ${data} is used by another freshet, process ${server.pid}\\b`));
});

const hasSqlite = spawnSync("sqlite3", ["--version"]).status === 0;

test("a folder of a newer freshet is named with both formats, and repair leaves it alone",
    { skip: hasSqlite ? false : "needs sqlite3" }, async (t) => {
        const { data, files } = await stopped(t);
        const state = path.join(data, "state.db");
        for (const [file, sql, back] of [
            [files.at(-1), "UPDATE meta SET value = 77 WHERE name = 'version'", "UPDATE meta SET value = 1 WHERE name = 'version'"],
            [state, "UPDATE setting SET value = 77 WHERE name = 'courier_version'", "UPDATE setting SET value = 6 WHERE name = 'courier_version'"],
            [state, "UPDATE setting SET value = 77 WHERE name = 'version'", "UPDATE setting SET value = 1 WHERE name = 'version'"],
        ]) {
            assert.equal(spawnSync("sqlite3", [file, sql]).status, 0);
            await assertRefused(t, data, file, /made by a newer freshet: it has format 77, this one knows up to \d/);
            const check = await run(t, ["check", "--data", data]);
            assert.equal(check.code, CANNOT, check.stderr);
            assert.match(check.stderr, /format 77/);
            const before = contents(data);
            const repair = await run(t, ["repair", data]);
            assert.equal(repair.code, CANNOT);
            assert.match(repair.stderr, /format 77/);
            assert.deepEqual(contents(data), before);
            assert.equal(spawnSync("sqlite3", [file, back]).status, 0);
        }
    });

test("check looks at the folder and changes nothing", async (t) => {
    const { data, files } = await stopped(t);
    assert.equal((await run(t, ["check", "--data", data])).code, 0);
    behead(files[1]);
    const before = contents(data);
    const { code, stderr } = await run(t, ["check", "--data", data]);
    assert.equal(code, CANNOT);
    assert.ok(stderr.includes(files[1]), stderr);
    assert.deepEqual(contents(data), before);
    assert.equal((await run(t, ["check", "--data", path.join(data, "none")])).code, 0);
    assert.ok(!fs.existsSync(path.join(data, "none")));
});

/** Why no server can be started here as another user, or false. */
function whyNobody() {
    if (process.getuid() !== 0) {
        return "becoming another user needs root";
    }
    return spawnSync("setpriv", ["--reuid=65534", "--regid=65534", "--clear-groups", BIN, "version"]).status === 0
        ? false : "the program cannot be run as another user";
}

test("a file that the user may not open is named", { skip: whyNobody() }, async (t) => {
    const { server, data, files } = await stopped(t);
    const asNobody = (args) => run(t, ["--reuid=65534", "--regid=65534", "--clear-groups", BIN, ...args], { bin: "setpriv" });
    const told = async (file) => {
        const { code, stderr } = await asNobody(["serve", "--listen", "127.0.0.1:0", "--data", data]);
        assert.equal(code, 1, stderr);
        assert.ok(stderr.includes(`freshet serve: ${file} may not be used by user 65534`), stderr);
        assert.match(stderr, /chown/);
    };
    await told(data); /* the folder above is another's */
    fs.chmodSync(server.dir, 0o755);
    await told(path.join(data, "lock"));
    fs.chmodSync(data, 0o755);
    await told(path.join(data, "lock"));
    spawnSync("chown", ["-R", "65534:65534", data]);
    for (const file of [files.at(-1), path.join(data, "log"), path.join(data, "state.db")]) {
        fs.chownSync(file, 0, 0);
        fs.chmodSync(file, file.endsWith(".db") ? 0o600 : 0o700);
        await told(file);
        fs.chownSync(file, 65534, 65534);
    }
    /* Repaired by root, it is still the user's. */
    behead(files[0]);
    behead(path.join(data, "state.db"));
    assert.equal((await run(t, ["repair", data])).code, LOST);
    for (const name of fs.readdirSync(data, { recursive: true })) {
        assert.equal(fs.lstatSync(path.join(data, name)).uid, 65534, name);
    }
    const again = new Program(t, ["--reuid=65534", "--regid=65534", "--clear-groups", BIN, "serve", "--listen",
        "127.0.0.1:0", "--data", data], { bin: "setpriv" });
    await again.until(() => /event=started/.test(again.err), "a start as the owner");
});

test("root repairs a folder as its owner, and reaches nothing that the owner cannot", { skip: whyNobody() }, async (t) => {
    const { server, data, files } = await stopped(t);
    const secret = path.join(temporaryFolder(t), "secret.db");
    fs.copyFileSync(files[1], secret);
    fs.chmodSync(secret, 0o600);
    fs.chmodSync(path.dirname(secret), 0o755);
    spawnSync("chown", ["-R", "65534:65534", data]);
    const refused = async (cause) => {
        for (const args of [["repair", data], ["repair", data, "--dry-run"]]) {
            const { code, stdout, stderr } = await run(t, args);
            assert.equal(code, CANNOT, stdout);
            assert.match(stderr, cause);
        }
        assert.ok(!fs.existsSync(path.join(data, "damaged")));
    };
    /* A folder above is closed to the owner. */
    await refused(/cannot be repaired by root as its owner, user 65534: Permission denied.*sudo -u \S+ freshet repair/);
    fs.chmodSync(server.dir, 0o755);
    /* The owner has laid a link to a file of somebody else. */
    fs.rmSync(files[1]);
    fs.symlinkSync(secret, files[1]);
    behead(files[0]);
    await refused(/may not be used by user 65534/);
});

function mounted(t, folder = fs.mkdtempSync(path.join(os.tmpdir(), "freshet-mount-")), size = "1m") {
    const { status } = spawnSync("mount", ["-t", "tmpfs", "-o", `size=${size}`, "none", folder]);
    t.after(() => {
        spawnSync("umount", ["-l", folder]);
        fs.rmSync(folder, { recursive: true, force: true });
    });
    return status === 0 ? folder : undefined;
}

test("a disk that is full or read-only is told as that", async (t) => {
    const folder = mounted(t);
    if (!folder) {
        t.skip("mounting a small file system needs root");
        return;
    }
    const data = path.join(folder, "data");
    try {
        fs.writeFileSync(path.join(folder, "ballast"), Buffer.alloc(2 << 20, 1));
    } catch {
        /* as much of it as there is room for */
    }
    await assertRefused(t, data, data, /needs room.*Free some/);
    spawnSync("mount", ["-o", "remount,ro", folder]);
    await assertRefused(t, data, data, /read-only.*remount/);
    const { code, stderr } = await run(t, ["repair", data]);
    assert.equal(code, CANNOT);
    assert.match(stderr, /read-only/);
});

test("too few files are told with what to raise", async (t) => {
    const data = path.join(temporaryFolder(t), "data");
    const { code, stderr } = await run(t, ["-c", `ulimit -n 40; exec "$0" serve --listen 127.0.0.1:0 --data ${data}`, BIN],
        { bin: "bash" });
    assert.equal(code, 1);
    assert.match(stderr, /may open 40 files.*LimitNOFILE/);
});

/* ---- repair ---- */

test("repair of a folder in order says so and changes nothing", async (t) => {
    const { data } = await stopped(t);
    const before = contents(data);
    for (const args of [["repair", data], ["repair", data, "--dry-run"], ["repair", "--dry-run", "--", data]]) {
        const { code, stdout, stderr } = await run(t, args);
        assert.equal(code, 0, stderr);
        assert.match(stdout, /^nothing is damaged/);
        assert.equal(stderr, "");
        assert.deepEqual(contents(data), before);
    }
});

test("repair of a folder without data says that there is none", async (t) => {
    const { code, stdout } = await run(t, ["repair", temporaryFolder(t)]);
    assert.equal(code, 0);
    assert.match(stdout, /^nothing is damaged: \S+ holds no data of freshet\. Name the folder of --data\n$/);
});

test("repair is asked for with one folder", async (t) => {
    for (const args of [["repair"], ["repair", "a", "b"], ["repair", "--force", "a"], ["repair", path.join(temporaryFolder(t), "none")]]) {
        const { code, stdout, stderr } = await run(t, args);
        assert.equal(code, CANNOT, args.join(" "));
        assert.equal(stdout, "");
        assert.match(stderr, /^freshet repair: /);
    }
});

/** A server on the folder, that all readers can say what they have from their cursors on. */
async function assertGapIsTold(t, server, cursor, rest) {
    assertProblem(await server.get(`/channels/a?after=${cursor}`), 410);
    assertProblem(await server.get(`/events?channel=*&after=${cursor}`), 410);
    for (const via of MECHANISMS) {
        const follower = await follow(t, server, via, "a", { after: cursor });
        /* After 410 a poll begins at what is retained. */
        await eventually(() => follower.events.at(-1)?.id === rest.at(-1), `${via} to have the newest event`);
        assert.deepEqual(follower.events.map((event) => event.id).filter((id) => id > cursor), rest, via);
        assert.equal(follower.gaps.length, 1, `${via}: ${JSON.stringify(follower.gaps)}`);
        follower.stop();
    }
}

test("a file of the middle is set aside: what is left is read, and who has not read beyond it is told of a gap", async (t) => {
    const { server, data, ids, files } = await stopped(t);
    behead(files[1]);
    const dry = await run(t, ["repair", data, "--dry-run"]);
    assert.equal(dry.code, LOST);
    assert.match(dry.stdout, /would be set aside/);
    const { code, stdout, stderr } = await run(t, ["repair", data]);
    assert.equal(code, LOST, stderr);
    assert.ok(stdout.includes(path.basename(files[1])), stdout);
    const [, first, last] = /between the ids (\d{16}) and (\d{16})/.exec(stdout);
    assert.match(stdout, new RegExp(`not read beyond the id ${last} will be told of a gap`));
    assert.deepEqual(fs.readdirSync(path.join(data, "damaged")).map((name) => name.slice(0, 19)), [path.basename(files[1])]);
    await server.start();
    const left = ids.a.filter((id) => id < first || id > last);
    assert.ok(left.length > 0 && left.length < ids.a.length);
    const { events } = await readAll(server, "channel=a");
    assertIncreasing(events);
    assert.deepEqual(events.map((event) => event.id), left);
    await assertGapIsTold(t, server, left[0], left.slice(1));
    const newest = left.at(-1);
    assert.equal((await server.get(`/channels/a?after=${newest}`)).status, 200);
    assert.ok((await server.publish("a", "on it goes")).id > newest);
});

test("a damaged page of a file costs its events alone", async (t) => {
    const { server, data, ids, files } = await stopped(t);
    overwrite(files[0], 4096 * Math.floor(fs.statSync(files[0]).size / 4096 / 2), Buffer.alloc(4096));
    const { code, stdout } = await run(t, ["repair", data]);
    assert.equal(code, LOST, stdout);
    const [, kept, had] = /(\d+) of its (\d+) events can be read/.exec(stdout);
    assert.ok(Number(kept) < Number(had) && Number(kept) > Number(had) / 2, stdout);
    await server.start();
    const { events } = await readAll(server, "channel=*");
    assertIncreasing(events);
    const all = [...ids.a, ...ids.b];
    assert.equal(all.length - events.length, Number(had) - Number(kept));
});

test("the last file is cut off: ids go on above what was lost, and that is told", async (t) => {
    const { server, data, ids, files } = await stopped(t);
    fs.truncateSync(files.at(-1), Math.floor(fs.statSync(files.at(-1)).size / 8192) * 4096);
    const { code, stdout } = await run(t, ["repair", data]);
    assert.equal(code, LOST, stdout);
    await server.start();
    const { events } = await readAll(server, "channel=a");
    const left = events.map((event) => event.id);
    assert.deepEqual(left, ids.a.slice(0, left.length));
    assert.ok(left.length < ids.a.length);
    assertProblem(await server.get(`/channels/a?after=${ids.a.at(-1)}`), 410);
    assert.equal((await server.get("/readyz")).json().lost.holes, 1);
    const { id } = await server.publish("a", "new");
    assert.ok(id > ids.a.at(-1) && id > ids.b.at(-1));
    await assertGapIsTold(t, server, left[0], [...left.slice(1), id]);
});

test("a damaged state.db is made anew from what can be read, webhooks and all", async (t) => {
    const { server, data, ids } = await stopped(t);
    await server.start();
    const hook = { url: `${server.url}/channels/inbox`, channels: ["nothing"] };
    assert.equal((await request(server, "POST", "/webhooks", { body: hook })).status, 201);
    await server.terminate();
    const state = path.join(data, "state.db");
    /* The last page that is in use; the file is larger than they are together. */
    const pages = fs.readFileSync(state).readUInt32BE(28);
    overwrite(state, (pages - 1) * 4096, Buffer.alloc(4096, 0xff));
    const { code, stdout } = await run(t, ["repair", data]);
    assert.ok([0, LOST].includes(code), stdout);
    assert.match(stdout, /^state\.db is damaged/);
    await server.start();
    assert.deepEqual((await readAll(server, "channel=a")).events.map((event) => event.id), ids.a);
    await server.terminate();
    behead(state);
    const second = await run(t, ["repair", data]);
    assert.equal(second.code, LOST);
    assert.match(second.stdout, /lost: webhooks/);
    await server.start();
    assertProblem(await server.get(`/channels/a?after=${ids.a[0]}`), 410);
    assert.deepEqual((await server.get("/webhooks")).json().webhooks ?? [], []);
    assert.deepEqual((await readAll(server, "channel=a")).events.map((event) => event.id), ids.a);
});

test("a repair that was ended in an exchange is told at a start, and finished by the next repair", async (t) => {
    const { server, data, ids, files } = await stopped(t);
    for (const [file, lost] of [[files[1], true], [path.join(data, "state.db"), true], [path.join(data, "sums.db"), false]]) {
        fs.copyFileSync(file, `${file}.repaired`);
        fs.rmSync(`${file}-wal`, { force: true });
        behead(file);
        await assertRefused(t, data, file, /is half repaired: .*freshet repair .* finishes it/);
        const check = await run(t, ["check", "--data", data]);
        assert.equal(check.code, CANNOT);
        assert.match(check.stderr, /half repaired/);
        const before = contents(data);
        const dry = await run(t, ["repair", data, "--dry-run"]);
        assert.match(dry.stdout, /would be finished/);
        assert.deepEqual(contents(data), before);
        const { code, stdout } = await run(t, ["repair", data]);
        assert.equal(code, lost ? LOST : 0, stdout);
        assert.equal(dry.code, code);
        assert.match(stdout, /was being exchanged by a repair that was ended/);
        assert.ok(!fs.existsSync(`${file}.repaired`));
        assert.ok(fs.readdirSync(path.join(data, "damaged")).some((name) => name.startsWith(path.basename(file))));
        assert.match((await run(t, ["repair", data])).stdout, /^nothing is damaged/);
    }
    await server.start();
    assert.deepEqual((await readAll(server, "channel=a")).events.map((event) => event.id), ids.a);
});

test("a log on another file system than its folder has its damaged files beside it", async (t) => {
    const { server, data, ids, files } = await stopped(t);
    const log = path.join(data, "log");
    fs.cpSync(log, `${log}.copy`, { recursive: true });
    if (!mounted(t, log, "64m")) {
        t.skip("mounting a file system needs root");
        return;
    }
    try {
        fs.cpSync(`${log}.copy`, log, { recursive: true });
        behead(files[1]);
        behead(path.join(data, "sums.db"));
        for (const args of [["repair", data, "--dry-run"], ["repair", data]]) {
            const { code, stdout, stderr } = await run(t, args);
            assert.equal(code, LOST, stderr);
            assert.match(stdout, new RegExp(`set aside as log/damaged/${path.basename(files[1])}-`));
            assert.match(stdout, /set aside as damaged\/sums.db-/);
        }
        assert.equal(fs.readdirSync(path.join(log, "damaged")).length, 1);
        assert.equal(fs.readdirSync(path.join(data, "damaged")).length, 1);
        await server.start();
        const { events } = await readAll(server, "channel=a");
        assert.ok(events.length > 0 && events.length < ids.a.length);
        await server.terminate();
    } finally {
        /* Before the folder around it is removed. */
        spawnSync("umount", ["-l", log]);
    }
});

test("sums.db is set aside and nothing is lost", async (t) => {
    const { server, data, ids } = await stopped(t);
    behead(path.join(data, "sums.db"));
    const { code, stdout } = await run(t, ["repair", data]);
    assert.equal(code, 0, stdout);
    await server.start();
    assert.deepEqual((await readAll(server, "channel=a")).events.map((event) => event.id), ids.a);
    assert.equal((await server.get(`/channels/a?after=${ids.a[0]}`)).status, 200);
});
