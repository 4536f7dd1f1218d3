// `freshet init`: a file that a server takes as it stands, with a key that is shown once.

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import fs from "node:fs";
import path from "node:path";
import { BIN, startServer, temporaryFolder, test } from "./support/index.mjs";

function init(dir, ...args) {
    const { status, stdout, stderr } = spawnSync(BIN, ["init", ...args], { cwd: dir });
    return { status, said: String(stdout), complained: String(stderr) };
}

test("a server takes the file of init as it stands: everybody reads, and the key does everything", async (t) => {
    const dir = temporaryFolder(t);
    const { status, said } = init(dir);
    assert.equal(status, 0);
    const [key] = /fk_[a-z2-7]{10}_[a-z2-7]{52}/.exec(said);
    const file = path.join(dir, "freshet.yaml");
    const config = fs.readFileSync(file, "utf8");
    assert.ok(!config.includes(key));
    assert.equal(fs.statSync(file).mode & 0o777, 0o600);
    const server = await startServer(t, { config });
    assert.equal((await server.post("news", "hello")).status, 401);
    assert.equal((await server.post("news", "hello", { Authorization: `Bearer ${key}` })).status, 201);
    assert.equal((await server.get("/channels/news")).status, 200);
    assert.equal((await server.get("/stats")).status, 401);
    assert.equal((await server.get("/stats", { Authorization: `Bearer ${key}` })).status, 200);
});

test("a file that is there is left alone, and init takes no words", (t) => {
    const dir = temporaryFolder(t);
    fs.writeFileSync(path.join(dir, "freshet.yaml"), "mine\n");
    const second = init(dir);
    assert.equal(second.status, 1);
    assert.match(second.complained, /there is one already/);
    assert.equal(fs.readFileSync(path.join(dir, "freshet.yaml"), "utf8"), "mine\n");
    assert.equal(init(dir, "here").status, 2);
});

test("a check that was not told of the file says that it has not read it", (t) => {
    const dir = temporaryFolder(t);
    const check = (...args) => spawnSync(BIN, ["check", ...args], { cwd: dir });
    assert.equal(String(check().stderr), "");
    init(dir);
    const { status, stderr } = check();
    assert.equal(status, 0);
    assert.match(String(stderr), /freshet\.yaml of this folder was not read: name it by --config freshet\.yaml/);
    assert.equal(String(check("--config", "freshet.yaml").stderr), "");
});
