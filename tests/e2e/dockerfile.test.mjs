// dist/Dockerfile installs by hand what the program's packages would bring: what it lacks, a container would miss at its start.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import fs from "node:fs";
import { BIN, test } from "./support/index.mjs";

const DOCKERFILE = fs.readFileSync(new URL("../../dist/Dockerfile", import.meta.url), "utf8");

/** The libraries that the program names itself, without those that every image of Debian has and those of sanitizers. */
function librariesOf(program) {
    const dynamic = execFileSync("readelf", ["-d", program], { encoding: "utf8" });
    return [...dynamic.matchAll(/\(NEEDED\).*\[(.*)\]/g)].map(([, name]) => name)
        .filter((name) => !/^(libc|libm|libgcc_s|ld-linux[^.]*|libasan|libubsan|libtsan)\.so/.test(name));
}

const packageOf = (library) => execFileSync("dpkg", ["-S", `*/${library}`], { encoding: "utf8" }).split(":")[0];

test("the image has each library that the program needs, and no other", () => {
    const needed = [...new Set(librariesOf(BIN).map(packageOf))].sort();
    const [, line] = /ca-certificates \\\n(.*) \\\n/.exec(DOCKERFILE);
    assert.deepEqual(line.trim().split(" ").sort(), needed);
});
