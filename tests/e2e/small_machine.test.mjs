// A machine that lacks what the server wants: a folder that it may write to, room on the disk, locked memory. It says what, and what to do.

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import fs from "node:fs";
import path from "node:path";
import { BIN, temporaryFolder, test } from "./support/index.mjs";
import { Program, run } from "./support/program.mjs";

const takesRoot = process.getuid() !== 0 && "takes root";

/** A folder with the program in it that every user can reach. */
function openFolder(t) {
    const dir = temporaryFolder(t);
    fs.chmodSync(dir, 0o755);
    fs.copyFileSync(BIN, path.join(dir, "freshet")); /* the tree may be closed to others */
    return dir;
}

/** A server that user 65534 starts in a folder, after a command of the shell; once it serves or has ended. */
async function startAsNobody(t, dir, args, first = ":") {
    const script = `${first} && exec setpriv --reuid 65534 --regid 65534 --clear-groups ./freshet serve --listen 127.0.0.1:0 "$@"`;
    const program = new Program(t, ["-c", script, "sh", ...args], { bin: "sh", cwd: dir });
    await Promise.race([program.exited, program.until(({ out }) => / serves /.test(out), "the server").catch(() => {})]);
    return program;
}

test("a user who may not make the data folder is told how it is made", { skip: takesRoot }, async (t) => {
    const dir = openFolder(t), data = path.join(dir, "data");
    for (const [args, folder, above] of [[[], "freshet-data", "this folder"], [["--data", data], data, dir]]) {
        const { end, err } = await startAsNobody(t, dir, args);
        assert.equal(end?.code, 1, err);
        assert.match(err, new RegExp(`^freshet serve: ${folder} cannot be made: user 65534 may not write to ${above}\\. ` +
            `Make it as root \\(install -d -m 700 -o 65534 ${folder}\\), or use another folder$`, "m"));
    }
    const made = await startAsNobody(t, dir, ["--data", data], `install -d -m 700 -o 65534 '${data}'`);
    assert.match(made.out, / serves /, made.err);
});

test("a disk that is full from the start is named, whichever file it hits", { skip: takesRoot }, async (t) => {
    const dir = temporaryFolder(t);
    for (const size of ["64k", "300k", "400k"]) {
        const small = path.join(dir, size);
        fs.mkdirSync(small);
        const { status, stderr: why } = spawnSync("mount", ["-t", "tmpfs", "-o", `size=${size}`, "none", small], { encoding: "utf8" });
        if (status !== 0)
            return t.skip(`no file system can be mounted here: ${why}`);
        try {
            const { code, stderr } = await run(t, ["serve", "--listen", "127.0.0.1:0", "--data", `${small}/data`]);
            assert.equal(code, 1, stderr);
            assert.match(stderr, /^freshet serve: \S+\/data\S* needs room, and the disk has none left\. Free some, then start again$/m, size);
        } finally {
            spawnSync("umount", ["-l", small]);
        }
    }
});

test("a server without the locked memory for io_uring serves, and says so if the kernel counts that memory", { skip: takesRoot }, async (t) => {
    const program = await startAsNobody(t, openFolder(t), ["--memory", "--threads", "1"], "ulimit -l 0");
    const url = /serves (\S+)/.exec(program.out)?.[1] ?? assert.fail(program.err);
    assert.equal((await fetch(`${url}/channels/a`, { method: "POST", body: "1" })).status, 201);
    const [, by] = await program.until(({ err }) => /event=flush (.*)\n/.exec(err), "how it sends");
    if (by !== "by=io_uring")
        assert.match(by, /^by=send worker=0 io_uring="(Cannot allocate memory|Operation not permitted)" right="(raise ulimit -l|permit io_uring_setup)/);
});
