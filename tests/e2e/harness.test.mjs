// The helpers of these tests themselves: a test that fails must say so and end, not hang on what it has started.

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import fs from "node:fs";
import path from "node:path";
import { test, temporaryFolder } from "./support/index.mjs";

const SUPPORT = new URL("./support/index.mjs", import.meta.url);

/** Runs a file with one test of this body, in a process of its own: {status, out}. */
function runTest(t, body) {
    const file = path.join(temporaryFolder(t), "inner.test.mjs");
    fs.writeFileSync(file, `import { startServer, test } from ${JSON.stringify(SUPPORT)};\n` +
        `test("inner", async (t) => {\n${body}\n});\n`);
    const env = { ...process.env };
    delete env.NODE_TEST_CONTEXT; // else its result would be one of ours
    const { status, stdout } = spawnSync(process.execPath, ["--test", file], { env, encoding: "utf8", timeout: 120_000 });
    return { status, out: stdout };
}

/* Something that keeps the process alive until it is ended. */
const ALIVE = "const alive = setInterval(() => {}, 100_000);\n";

const FAULTS = {
    "a server that died": "const server = await startServer(t);\nserver.process.kill('SIGKILL');\nawait server.exited;\n",
    "a clean-up that throws": "t.after(() => { throw new Error('middle of the test'); });\n",
    "a clean-up that rejects": "t.after(async () => { throw new Error('middle of the test'); });\n",
};

for (const [what, fault] of Object.entries(FAULTS)) {
    test(`${what} fails the test, and what comes behind it is cleaned up all the same`, (t) => {
        const { status, out } = runTest(t, `${ALIVE}${fault}t.after(() => clearInterval(alive));`);
        assert.equal(status, 1, out);
        assert.match(out, /middle of the test/);
    });
}
