// Mistakes of people who use the command for the first time: each is told in one sentence, with what to do.

import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import fs from "node:fs";
import http from "node:http";
import path from "node:path";
import { BIN, startServer, temporaryFolder, test } from "./support/index.mjs";
import { freePort, run } from "./support/program.mjs";

/* What asks a server; each has a line of its own behind the command. */
const ASKING = [["pub", "news", "hi"], ["sub", "news"], ["sub", "news", "--via", "sse"], ["sub", "news", "--via", "poll"], ["sub", "news", "--via", "ws"],
    ["presence", "news"], ["webhook", "ls"], ["key", "ls"]];

const nameOf = (args) => `freshet ${args.join(" ")}`;

async function refused(t, args, why, options) {
    const { code, stdout, stderr } = await run(t, args, { cwd: temporaryFolder(t), ...options });
    assert.notEqual(code, 0, nameOf(args));
    assert.equal(stdout, "", nameOf(args));
    assert.match(stderr, why, nameOf(args));
}

test("a server that does not run is told how to start it", async (t) => {
    const url = `http://127.0.0.1:${await freePort()}`;
    for (const args of ASKING) {
        await refused(t, [...args, "--url", url], /Nothing listens there: start `freshet serve`, or name the server by --url or FRESHET_URL\n$/);
    }
    await refused(t, ["bench", url], /Nothing listens there: start `freshet serve`/);
});

test("a name that does not exist is told where names are given", async (t) => {
    for (const args of ASKING) {
        await refused(t, [...args, "--url", "http://nowhere.invalid"], /Name the server by --url or FRESHET_URL\n$/);
    }
});

test("https at a server of plain HTTP is told to say http", async (t) => {
    const server = await startServer(t);
    for (const args of ASKING) {
        await refused(t, [...args, "--url", server.url.replace("http:", "https:")], /no TLS there: say http:\/\//);
    }
});

test("a certificate of an unknown authority is told how to trust it, and one of another name what is wrong", async (t) => {
    const dir = temporaryFolder(t);
    const [cert, key] = ["cert.pem", "key.pem"].map((name) => path.join(dir, name));
    execFileSync("openssl", ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", key, "-out", cert, "-days", "2",
        "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"], { stdio: "ignore" });
    fs.chmodSync(key, 0o600);
    const server = await startServer(t, { listen: ["127.0.0.1:0", "https://127.0.0.1:0"], config: `tls: {certificates: [{cert: ${cert}, key: ${key}}]}\n` });
    const port = server.portOf("https");
    for (const args of ASKING) {
        await refused(t, [...args, "--url", `https://localhost:${port}`], /--cacert FILE names the authority that vouches for it\n$/);
        await refused(t, [...args, "--url", `https://127.0.0.1:${port}`, "--cacert", cert], /Call the server by a name that its certificate has\n$/);
    }
});

test("a server that is not freshet is told as one", async (t) => {
    const other = http.createServer((request, response) => response.writeHead(404).end("nothing here"));
    await new Promise((resolve) => other.listen(0, "127.0.0.1", resolve));
    t.after(() => new Promise((resolve) => {
        other.closeAllConnections?.();
        other.close(resolve);
    }));
    for (const args of ASKING) {
        await refused(t, [...args, "--url", `http://127.0.0.1:${other.address().port}`], /404: the answer is none of freshet's: look at the URL of the server\n$/);
    }
});

test("a refusal for lack of a credential says how to give one, and one of a credential does not", async (t) => {
    const server = await startServer(t, { config: "access: {anybody: []}\n" });
    for (const args of ASKING) {
        await refused(t, [...args, "--url", server.url], /401: .*--token-file FILE or FRESHET_TOKEN names yours\n$/);
        await refused(t, [...args, "--url", server.url], /401: (?!.*--token-file)/, { env: { FRESHET_TOKEN: "nonsense" } });
    }
});

for (const [args, why] of [
    [["server"], /^freshet: no command is called "server": did you mean freshet serve\?\nTry: freshet help\n$/],
    [["help", "webhok"], /did you mean freshet webhook\?/],
    [["sub", "news", "--foramt", "data"], /^freshet sub: there is no option --foramt: did you mean --format\?\nTry: freshet help sub\n$/],
    [["serve", "--confg", "x"], /there is no option --confg: did you mean --config\?\nTry: freshet help serve\n$/],
    [["serve", "8080"], /^freshet serve: "8080" is one word too many\n/],
    [["serve", "--config", "nofile.yaml"], /nofile\.yaml: there is no such file: `freshet init` writes one/],
    [["webhook", "list"], /^freshet webhook: unknown verb "list": did you mean ls\?\nTry: freshet help webhook\n$/],
    [["key", "delete", "x"], /^freshet key: unknown verb "delete": .*create, ls, revoke, generate\nTry: freshet help key\n$/],
    [["webhook", "add", "--tipe", "x"], /did you mean --type\?\nTry: freshet help webhook add\n$/],
    [["pub", "news", "hi", "--url", "localhost:7070"], /^freshet pub: "localhost:7070" is not the URL of a server: http:.*, as in http:\/\/127\.0\.0\.1:7070\nTry: freshet help pub\n$/],
    [["sub", "news", "--url", "localhost"], /"localhost" is not the URL of a server: .*ws or wss/],
    [["bench", "localhost:7070"], /"localhost:7070" is not the URL of a server/],
    [["pub", "news", "hi", "--token-file", "nofile"], /cannot read nofile: No such file or directory\n/],
]) {
    test(`a mistake is told in a sentence, with what to do: ${nameOf(args)}`, async (t) => {
        const { code, stdout, stderr } = await run(t, args, { cwd: temporaryFolder(t) });
        assert.equal(code, 2, stderr);
        assert.equal(stdout, "");
        assert.match(stderr, why);
    });
}

test("a port that webhook listen cannot have is told with what to do", async (t) => {
    const server = await startServer(t);
    await refused(t, ["webhook", "listen", new URL(server.url).host], /Address already in use\. Another program has that port: .*webhook listen 127\.0\.0\.1:9001\n$/);
});

test("a folder that init may not write to is told as one", { skip: process.getuid() !== 0 && "needs another user" }, (t) => {
    const dir = temporaryFolder(t);
    const program = path.join(dir, "freshet"); // a copy, since that user may not reach the one that was built
    fs.copyFileSync(BIN, program);
    fs.chmodSync(program, 0o555);
    fs.chmodSync(dir, 0o555);
    const { error, stderr } = spawnSync(program, ["init"], { cwd: dir, uid: 65534, gid: 65534 });
    assert.equal(error, undefined);
    assert.match(String(stderr), /Permission denied\. Go to a folder in which this user may write\n$/);
});
