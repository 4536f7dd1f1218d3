// The configuration as the program reads it: what it refuses, and how it says so. `freshet check` and `freshet serve`
// must agree on every file. All keys, each with all kinds of bad values, are tried by src/server/config_test.c.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import fs from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { startServer, temporaryFolder, test } from "./support/index.mjs";
import { run } from "./support/program.mjs";

const USAGE = 2;
const ROOT = path.resolve(path.dirname(fileURLToPath(import.meta.url)), "../..");

function write(t, text) {
    const file = path.join(temporaryFolder(t), "freshet.yaml");
    fs.writeFileSync(file, text);
    return file;
}

function check(t, file, args = [], env = {}) {
    return run(t, ["check", "--config", file, ...args], { env });
}

const REFUSED = [
    ["limits:\n  body_max: 1e6\n", 2, /limits\.body_max: "1e6".*as in \d+ or 1MiB/],
    ["limits:\n  body_max: 0x10\n", 2, /limits\.body_max: "0x10"/],
    ["threads: 010\n", 1, /threads: "010"/],
    ["namespaces:\n- prefix: a\n  retention:\n    count: 1_000\n", 4, /namespaces\.retention\.count: "1_000"/],
    ["namespaces:\n- prefix: a\n  retention:\n    age_s: 9223372036854775807\n", 4, /retention\.age_s: "9223372036854775807".*36500d/],
    ["namespaces:\n- prefix: a\n  retention:\n    age_s: 500ms\n", 4, /retention\.age_s: "500ms".*whole seconds/],
    ["memory: flase\n", 1, /memory: "flase" is not true or false/],
    ["memory:\n", 1, /memory: there is nothing behind it/],
    ["\nlisten:\n", 2, /listen: there is nothing behind it/],
    ["memory: true\ndata: d\n", 1, /memory.*data/],
    ["inbound:\n- source: g\n  kind: github\n  secrets: [\"env:FRESHET_E2E_UNSET\"]\n", 4, /FRESHET_E2E_UNSET is not set/],
    ["inbound:\n- source: g\n  kind: github\n  secrets: [\"file:/no/such/file\"]\n", 4, /\/no\/such\/file: No such file/],
    ["webhooks:\n  allow: [\"*.internal\"]\n", 2, /webhooks\.allow: "\*\.internal" matches nothing/],
    ["webhooks:\n  allow: [10.0.0.256]\n", 2, /webhooks\.allow: "10\.0\.0\.256"/],
    ["namespaces:\n- prefix: a\n- prefix: a\n", 3, /namespaces\.prefix.*twice/],
    ["namespaces:\n- prefix: $a\n", 2, /namespaces\.prefix: "\$a"/],
    ["limits:\n  idle_ms: 1s\n  idle_ms: 2s\n", 3, /limits\.idle_ms: is there twice/],
    ["limits:\n  idel_ms: 1s\n", 2, /limits\.idel_ms.*did you mean limits\.idle_ms/],
    ["limts:\n  idle_ms: 1s\n", 1, /limts: is not a key; did you mean limits\?/],
    ["\nlimits.idle_ms: 1s\n", 2, /limits\.idle_ms: has a dot/],
    ["access:\n  anybody: []\n  cookie: sid\n", 1, /access\.cookie: needs `origins`/],
    ["tls:\n  client_required: true\n", 1, /tls\.client_required: needs client_ca/],
    [`hosts: ${"[".repeat(100000)}${"]".repeat(100000)}\n`, 1, /nested deeper than 32 levels/],
];

for (const [text, line, why] of REFUSED) {
    test(`check and serve refuse ${JSON.stringify(text).slice(0, 100)} with line ${line}`, async (t) => {
        const file = write(t, text);
        for (const args of [["check", "--config", file], ["serve", "--listen=127.0.0.1:0", `--config=${file}`]]) {
            const { code, stdout, stderr } = await run(t, args, { cwd: path.dirname(file) });
            assert.equal(code, USAGE, stderr);
            assert.equal(stdout, "");
            assert.ok(stderr.includes(`${file}:${line}: `), stderr);
            assert.match(stderr, why);
        }
        assert.deepEqual(fs.readdirSync(path.dirname(file)), ["freshet.yaml"], "something was made");
    });
}

test("a FIFO that nobody writes to is refused wherever a file is named, and one with a writer is read", async (t) => {
    const fifo = path.join(temporaryFolder(t), "fifo");
    execFileSync("mkfifo", [fifo]);
    const texts = ["tls: {client_ca: FIFO}", "tls: {certificates: [{cert: FIFO, key: FIFO}]}", "webhooks: {ca_file: FIFO}", "tokens: [{key_file: FIFO}]",
        "tokens: [{secret: 'file:FIFO'}]", "keys: [{name: a, key: 'file:FIFO', grants: []}]"];
    const files = [fifo, ...texts.map((text) => write(t, `${text.replaceAll("FIFO", fifo)}\n`))];
    for (const { code, stderr } of await Promise.all(files.map((file) => check(t, file)))) {
        assert.equal(code, USAGE, stderr);
        assert.ok(stderr.includes(fifo) && /is not a file that can be read|a FIFO to which nobody has written/.test(stderr), stderr);
    }
    const [read] = await Promise.all([check(t, fifo), fs.promises.writeFile(fifo, "memory: true\n")]);
    assert.match(read.stdout, /^ok: .* memory /, read.stderr);
});

test("a configuration that is right is accepted, and nothing is started or made", async (t) => {
    const file = write(t, [
        "listen: 127.0.0.1:1", "data: made-by-nobody", "spin_us: 50us",
        "limits: {body_max: 64KiB, idle_ms: 5m, poll_pace_ms: 0}", "log: {bytes_max: 10GiB, roll_bytes: 10MB, roll_s: 1h}",
        "webhooks: {schedule_ms: [5s, 5m, 1h], records_age_s: 7d, allow: [10.0.0.0/8, hooks.internal]}",
        "namespaces: [{prefix: a, retention: {age_s: 1h}}, {prefix: b, ephemeral: on}]", "",
    ].join("\n"));
    const { code, stdout, stderr } = await run(t, ["check", "--config", file], { cwd: path.dirname(file) });
    assert.equal(code, 0, stderr);
    assert.match(stdout, /^ok: /);
    assert.deepEqual(fs.readdirSync(path.dirname(file)), ["freshet.yaml"]);
});

test("check reads the options and the environment that serve reads", async (t) => {
    const file = write(t, "memory: true\n");
    assert.equal((await check(t, file, ["--data", path.join(path.dirname(file), "x")])).code, 0);
    assert.equal((await check(t, file, ["--threads=65"])).code, USAGE);
    assert.equal((await check(t, file, ["--listen", "0.0.0.0:80"])).code, USAGE);
    assert.equal((await check(t, file, ["--listen", "0.0.0.0:80", "--insecure"])).code, 0);
    assert.equal((await check(t, file, [], { FRESHET_NO_URING: "" })).code, 0);
    assert.equal((await check(t, file, [], { FRESHET_NO_URING: "flase" })).code, USAGE);
    assert.equal((await check(t, file, [], { FRESHET_NO_SANDBOX: "maybe" })).code, USAGE);
    assert.equal((await check(t, path.join(path.dirname(file), "none.yaml"))).code, USAGE);
});

test("the command line wins over what the file says of memory and data", async (t) => {
    const dir = temporaryFolder(t);
    const data = path.join(dir, "data");
    const first = await startServer(t, { data: true, config: "memory: true\n" });
    await first.publish("a", "kept");
    await first.kill();
    await first.restart();
    assert.equal((await first.history("a"))[0].data, "kept");
    await startServer(t, { memory: true, config: `data: ${data}\n` });
    assert.ok(!fs.existsSync(data));
});

test("a webhook whose URL can never connect is refused", async (t) => {
    const server = await startServer(t);
    for (const url of ["http:///h", "http:/h", "http://h:0/", "http://256.1.1.1/", "http://1.2.3.4.5/", "http://a..b/", "http://*.a/"]) {
        const answer = await server.request("POST", "/webhooks", { body: { url, channels: ["a"] } });
        assert.equal(answer.status, 400, `${url}: ${answer.text}`);
        assert.match(answer.text, /url is http/);
    }
});

test("every example file, and the one of the document, is accepted", async (t) => {
    const examples = path.join(ROOT, "examples");
    const files = fs.readdirSync(examples).map((name) => path.join(examples, name, "freshet.yaml"));
    for (const file of files.filter((name) => fs.existsSync(name))) {
        const names = [...fs.readFileSync(file, "utf8").matchAll(/env:([A-Z_]+)/g)].map((match) => [match[1], "whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIz"]);
        const { code, stderr } = await check(t, file, [], Object.fromEntries(names));
        assert.equal(code, 0, stderr);
    }
    const document = fs.readFileSync(path.join(ROOT, "docs/configuration.md"), "utf8");
    const block = /\n\n( {4}listen: [\s\S]*?)\n\n(?! {4})/.exec(document)[1].replace(/^ {4}/gm, "");
    const { code, stderr } = await check(t, write(t, `${block}\n`));
    assert.equal(code, 0, stderr);
});

test("help configuration lists the keys with their least and greatest values", async (t) => {
    const { code, stdout } = await run(t, ["help", "configuration"]);
    assert.equal(code, 0);
    assert.match(stdout, /^limits\.body_max +bytes +1 +1GiB +1MiB /m);
    assert.match(stdout, /^namespaces\.retention\.age_s +s +0 +36500d /m);
});
