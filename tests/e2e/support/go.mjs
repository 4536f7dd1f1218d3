// Programs that Go builds: a second TLS, h2spec, an authority. Tests that need one are skipped where Go is missing.

import { execFile, spawnSync } from "node:child_process";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { promisify } from "node:util";

const run = promisify(execFile);
const BUILD_MS = 300_000;

/** The command, or undefined. */
export const GO = ["go", "/usr/local/go/bin/go"].find((go) => !spawnSync(go, ["version"]).error);

/** The program of a module (`example.org/cmd/name@v1.2.3`), built once, into a folder of the user's that stays. */
export async function installedByGo(module) {
    const [, name, version] = /([^/@]+)@(.+)$/.exec(module);
    const folder = path.join(process.env.XDG_CACHE_HOME ?? path.join(os.homedir(), ".cache"), "freshet-tests", version);
    const program = path.join(folder, name);
    if (!fs.existsSync(program)) {
        await run(GO, ["install", module], { env: { ...process.env, GOBIN: folder, GOFLAGS: "-mod=mod" }, timeout: BUILD_MS });
    }
    return program;
}
