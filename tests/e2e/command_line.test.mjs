// Options of all commands: one reading of them everywhere. Nothing behind `--` is an option, a value is a value
// whatever it looks like, and an empty variable of the environment is one that is not set.

import assert from "node:assert/strict";
import { startServer, temporaryFolder, test } from "./support/index.mjs";
import { run } from "./support/program.mjs";

const USAGE = 2;

for (const data of ["-h", "--help", "--json", "--", "--type=x"]) {
    test(`data behind two dashes is published as it is: ${data}`, async (t) => {
        const server = await startServer(t);
        const { code, stdout } = await run(t, ["pub", "--url", server.url, "chat", "--", data]);
        assert.equal(code, 0);
        assert.match(stdout, /^\d{16}/);
        assert.deepEqual((await server.history("chat")).map((event) => event.data), [data]);
    });
}

test("a channel that looks like an option is one behind two dashes", async (t) => {
    const server = await startServer(t);
    assert.equal((await run(t, ["pub", `--url=${server.url}`, "--", "-x", "hi"])).code, 0);
    assert.equal((await server.history("-x"))[0].data, "hi");
});

test("a value that looks like an option is a value", async (t) => {
    const server = await startServer(t);
    assert.equal((await run(t, ["pub", "--url", server.url, "--key", "-h", "chat", "hi"])).code, 0);
    assert.equal((await server.history("chat"))[0].data, "hi");
});

for (const command of [["serve"], ["pub"], ["sub"], ["presence"], ["webhook"], ["webhook", "ls"], ["webhook", "listen"], ["bench"],
    ["version"], ["help"], ["check"], ["repair"], ["token"], ["token", "inspect"]]) {
    test(`help is printed by freshet ${command.join(" ")} -h`, async (t) => {
        for (const option of ["-h", "--help"]) {
            const { code, stdout, stderr } = await run(t, [...command, option]);
            assert.equal(code, 0, stderr);
            assert.match(stdout, /usage/i);
            assert.equal(stderr, "");
        }
    });
}

for (const [args, why] of [
    [["serve", "--base", "/a", "--base=/b"], /--base is given twice/],
    [["serve", "--data=a", "--data=b"], /--data is given twice/],
    [["serve", "--threads=1", "--threads=2"], /--threads is given twice/],
    [["serve", "--memory=false"], /--memory takes no value/],
    [["serve", "--", "--memory"], /--memory/],
    [["serve", "--listne=127.0.0.1:0"], /--listne/],
    [["sub", "x", "--url=http://127.0.0.1:1", "--url", "http://127.0.0.1:2"], /--url is given twice/],
    [["sub", "x", "--last", "1e1"], /--last.*1e1/],
    [["sub", "x", "--last", "010"], /--last.*010/],
    [["bench", "--rate", "0x10"], /--rate.*0x10/],
]) {
    test(`options that cannot be meant are refused: freshet ${args.join(" ")}`, async (t) => {
        const { code, stdout, stderr } = await run(t, args, { cwd: temporaryFolder(t) });
        assert.equal(code, USAGE, stderr);
        assert.match(stderr, why);
        assert.equal(stdout, "");
    });
}

test("a variable of the environment that is empty is not set", async (t) => {
    const server = await startServer(t, { env: { FRESHET_NO_URING: "" } });
    const env = { FRESHET_URL: "", FRESHET_TOKEN: "" };
    assert.equal((await run(t, ["pub", `--url=${server.url}`, "x", "hi"], { env })).code, 0);
    const { stderr } = await run(t, ["webhook", "ls"], { env });
    assert.doesNotMatch(stderr, /URL is/);
});
