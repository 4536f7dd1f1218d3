// API keys and revocations: made, listed and deleted by API and by command; on disk across kill -9;
// the secret is shown once and is nowhere else.

import assert from "node:assert/strict";
import fs from "node:fs";
import path from "node:path";
import { startServer, temporaryFolder, sideBySide } from "./support/index.mjs";
import { curl } from "./support/curl.mjs";
import { run } from "./support/program.mjs";

const { bothStores, test } = sideBySide(4);

const KEY = /^fk_[a-z2-7]{10}_[a-z2-7]{52}$/;
const GRANTS = [{ channels: ["chat/**"], may: ["read", "publish"] }];

async function json(server, method, target, body, key) {
    const answer = await fetch(`${server.url}${target}`, {
        method, headers: key ? { Authorization: `Bearer ${key}` } : {}, body: body === undefined ? undefined : JSON.stringify(body),
    });
    const text = await answer.text();
    return { status: answer.status, body: text ? JSON.parse(text) : undefined, headers: answer.headers };
}

async function makeKey(server, settings = {}) {
    const { status, body } = await json(server, "POST", "/keys", { name: "backend", grants: GRANTS, ...settings });
    assert.equal(status, 201, JSON.stringify(body));
    return body;
}

/** All bytes of the files below a folder. */
function bytesOf(dir) {
    return Buffer.concat(fs.readdirSync(dir, { withFileTypes: true }).map((entry) => {
        const file = path.join(dir, entry.name);
        return entry.isDirectory() ? bytesOf(file) : fs.readFileSync(file);
    }));
}

bothStores("a key is made, listed, shown and revoked", async (t, server) => {
    const made = await makeKey(server, { expires_in_s: 3600 });
    assert.match(made.key, KEY);
    assert.equal(made.key.split("_")[1], made.id);
    const { key, ...shown } = made;
    assert.deepEqual(shown.grants, GRANTS);
    assert.equal(Date.parse(shown.expires) - Date.parse(shown.created), 3600_000);
    assert.deepEqual((await json(server, "GET", "/keys")).body, { keys: [shown] });
    assert.deepEqual((await json(server, "GET", `/keys/${made.id}`)).body, shown);
    assert.equal((await json(server, "DELETE", `/keys/${made.id}`)).status, 204);
    assert.equal((await json(server, "DELETE", `/keys/${made.id}`)).status, 404);
    assert.equal((await json(server, "GET", `/keys/${made.id}`)).status, 404);
    assert.deepEqual((await json(server, "GET", "/keys")).body, { keys: [] });
});

bothStores("a request that says anything unknown is refused, and says what would be right", async (t, server) => {
    const rows = [
        [{}, /name is a text/],
        [{ name: "a" }, /grants are a list/],
        [{ name: "a", grants: [{ channels: ["a"], may: ["write"] }] }, /read, publish, presence, webhooks and admin/],
        [{ name: "a", grants: [{ channels: ["a//b"], may: ["read"] }] }, /names and patterns/],
        [{ name: "a", grants: GRANTS, hash: "x" }, /name, grants and perhaps expires/],
        [{ name: "a", grants: GRANTS, expires: "2001-01-01T00:00:00Z" }, /a time to come/],
    ];
    for (const [body, says] of rows) {
        const answer = await json(server, "POST", "/keys", body);
        assert.equal(answer.status, 400, JSON.stringify(body));
        assert.equal(answer.body.type, "/errors/bad-access");
        assert.match(answer.body.detail, says);
    }
    assert.equal((await json(server, "PUT", "/keys", {})).status, 405);
    assert.equal((await json(server, "POST", "/keys/abc", {})).status, 405);
    assert.equal((await json(server, "DELETE", "/keys")).status, 405);
    assert.equal((await json(server, "GET", "/keys/a/b")).status, 404);
    assert.equal((await json(server, "GET", "/keys?state=1")).status, 400);
    assert.equal((await json(server, "GET", "/keys/abc?limit=1")).status, 400);
    assert.equal((await json(server, "POST", "/keys?limit=1", { name: "a", grants: GRANTS })).status, 400);
});

bothStores("the secret is shown once and is nowhere else", async (t, server) => {
    const { key } = await makeKey(server);
    const secret = key.split("_")[2];
    const texts = [];
    for (const target of ["/keys", "/stats", "/metrics", "/channels", `/keys/${key}`]) {
        texts.push(await (await fetch(server.url + target)).text());
    }
    texts.push(server.err, server.out);
    assert.ok(texts.every((text) => !text.includes(secret)));
    if (server.args.includes("--data")) {
        await server.terminate(); /* else files may come and go while they are read */
        assert.ok(!bytesOf(server.dir).includes(secret));
    }
});

test("keys and revocations survive kill -9", async (t) => {
    const server = await startServer(t, { data: true });
    const first = await makeKey(server);
    const second = await makeKey(server, { name: "other" });
    assert.equal((await json(server, "DELETE", `/keys/${first.id}`)).status, 204);
    assert.equal((await json(server, "POST", "/revocations", { jti: "t1" })).status, 201);
    await server.restart();
    const { keys } = (await json(server, "GET", "/keys")).body;
    assert.deepEqual(keys.map(({ id }) => id), [second.id]);
    assert.equal((await json(server, "GET", "/revocations")).body.revocations[0].jti, "t1");
});

/** All pages of a list from `after` on: the rows of each. `between` is called with the page that has come. */
async function pagesOf(server, target, member, between = async () => {}) {
    const pages = [];
    for (let after = ""; after !== undefined;) {
        const { status, body } = await json(server, "GET", `${target}${target.includes("?") ? "&" : "?"}${after && `after=${after}`}`);
        assert.equal(status, 200, JSON.stringify(body));
        assert.ok(pages.push(body[member]) < 100, "pages without end");
        await between(body);
        after = body.next;
    }
    return pages;
}

bothStores("keys and revocations are listed in pages, which miss and repeat none that stays", async (t, server) => {
    const ids = [], names = ["alice", "ä/&?%+ \u2028", "x".repeat(255), "bob", "carol"];
    for (const name of names) {
        ids.push((await makeKey(server, { name: "n" })).id);
        assert.equal((await json(server, "POST", "/revocations", { subject: name })).status, 201);
    }
    const shown = {
        "/keys": ["keys", ids, ({ id }) => id, (id) => `/keys/${id}`],
        "/revocations": ["revocations", names, ({ subject }) => subject, (name) => `/revocations?subject=${encodeURIComponent(name)}`],
    };
    for (const [path, [member, wanted, nameOf, target]] of Object.entries(shown)) {
        for (const [limit, sizes] of [[1, [1, 1, 1, 1, 1]], [2, [2, 2, 1]], [5, [5]], [1000, [5]]]) {
            const pages = await pagesOf(server, `${path}?limit=${limit}`, member);
            assert.deepEqual(pages.map(({ length }) => length), sizes);
            assert.deepEqual(pages.flat().map(nameOf), wanted);
        }
        const rest = await pagesOf(server, `${path}?limit=2`, member, async ({ next }) => {
            if (next) /* the row with which the page ended, while there is another one */
                assert.ok([204, 404].includes((await json(server, "DELETE", target(wanted[1]))).status));
        });
        assert.deepEqual(rest.flat().map(nameOf), wanted);
        assert.deepEqual((await pagesOf(server, path, member)).flat().map(nameOf), wanted.filter((_, i) => i !== 1));
    }
    assert.deepEqual((await json(server, "GET", "/revocations?subject=bob&limit=1")).body.revocations.map(({ subject }) => subject), ["bob"]);
    assert.equal((await json(server, "GET", "/revocations?subject=bob&limit=1")).body.next, undefined);
});

bothStores("a page of keys ends where it is large, and has a key at least", async (t, server) => {
    const channels = Array.from({ length: 100 }, (_, i) => `${"x".repeat(240)}/${i}`);
    for (let i = 0; i < 14; i++)
        await makeKey(server, { name: `key ${i}`, grants: [{ channels, may: ["read"] }, { channels, may: ["publish"] }] });
    const pages = await pagesOf(server, "/keys", "keys");
    assert.ok(pages.length > 1 && pages.every((page) => page.length > 0 && JSON.stringify(page).length < (256 + 64) * 1024));
    assert.deepEqual(pages.flat().map(({ name }) => name), Array.from({ length: 14 }, (_, i) => `key ${i}`));
    const listed = await run(t, ["key", "ls", "--url", server.url]);
    assert.deepEqual(listed.stdout.trimEnd().split("\n").map((line) => line.split("\t")[1]), pages.flat().map(({ name }) => name));
});

bothStores("a place in a list that no page has told is refused", async (t, server) => {
    await makeKey(server);
    for (const path of ["/keys", "/revocations"]) {
        for (const query of ["after=", "after=1", "after=1-", "after=-YQ", "after=1-%21", "after=x-YQ", "after=99999999999999999999-YQ", "after=01-YQ",
            `after=1-${"YWFh".repeat(120)}`, "limit=0", "limit=1001", "limit=x", "after=1-YQ&after=1-YQ"])
            assert.equal((await json(server, "GET", `${path}?${query}`)).status, 400, `${path}?${query}`);
        assert.equal((await json(server, "GET", `${path}?after=1-YQ`)).status, 200);
        assert.equal((await json(server, "GET", `${path}?after=9223372036854775807-YQ`)).status, 200);
    }
    assert.equal((await json(server, "DELETE", "/revocations?subject=a&limit=1")).status, 400);
});

bothStores("a revocation is made, listed and ended", async (t, server) => {
    const until = "2100-01-01T00:00:00.000000Z";
    const made = await json(server, "POST", "/revocations", { subject: "ä/lice", reason: "left", until });
    assert.equal(made.status, 201);
    assert.equal(made.body.subject, "ä/lice");
    assert.equal((await json(server, "POST", "/revocations", { key: "abcdefghij" })).status, 201);
    const list = (await json(server, "GET", "/revocations")).body.revocations;
    assert.deepEqual(list[0], made.body);
    assert.equal(list.length, 2);
    const target = `/revocations?subject=${encodeURIComponent("ä/lice")}`;
    assert.equal((await json(server, "GET", target)).body.revocations.length, 1);
    assert.equal((await json(server, "DELETE", target)).status, 204);
    assert.equal((await json(server, "DELETE", target)).status, 404);
    assert.equal((await json(server, "GET", target)).body.revocations.length, 0);
    assert.equal((await json(server, "DELETE", "/revocations")).status, 400);
    assert.equal((await json(server, "DELETE", "/revocations?key=abcdefghij&jti=x")).status, 400);
    for (const body of [{}, { subject: "" }, { subject: "a", jti: "b" }, { key: "short" }, { subject: "a", until: "soon" }]) {
        const answer = await json(server, "POST", "/revocations", body);
        assert.equal(answer.status, 400);
        assert.equal(answer.body.type, "/errors/bad-access");
    }
});

test("curl makes a key as the documents say", async (t) => {
    const server = await startServer(t);
    const { stdout } = await curl([`${server.url}/keys`, "--json", JSON.stringify({ name: "a", grants: GRANTS })]);
    assert.match(JSON.parse(stdout).key, KEY);
});

/* ---- the configuration ---- */

test("a key of the configuration is listed, and is removed there alone", async (t) => {
    const { stdout, stderr } = await run(t, ["key", "generate"]);
    const [hash] = /fk_\w+:\w+/.exec(stderr);
    const config = (key) => `keys: [{name: ops, key: "${key}", grants: [{channels: ["**"], may: [read, admin]}]}]\n`;
    const server = await startServer(t, { data: true, config: config(hash) });
    assert.equal((await json(server, "GET", "/keys")).status, 401);
    const [key] = (await json(server, "GET", "/keys", undefined, stdout.trimEnd())).body.keys;
    assert.equal(key.name, "ops");
    assert.equal(key.configured, true);
    assert.deepEqual(key.grants, [{ channels: ["**"], may: ["read", "admin"] }]);
    const refused = await json(server, "DELETE", `/keys/${key.id}`, undefined, stdout.trimEnd());
    assert.equal(refused.status, 405);
    assert.match(refused.headers.get("allow"), /GET/);
    const other = await startServer(t, { config: config("env:OPS_KEY"), env: { OPS_KEY: stdout.trimEnd() } });
    assert.equal((await json(other, "GET", "/keys", undefined, stdout.trimEnd())).body.keys[0].id, key.id);
});

test("a key of the configuration that is not whole is refused without repeating it", async (t) => {
    const dir = temporaryFolder(t);
    const file = path.join(dir, "freshet.yaml");
    const good = "fk_abcdefghij:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
    const grants = "grants: [{channels: [a], may: [read]}]";
    const rows = [
        [`{key: "${good}", ${grants}}`, /name is missing/],
        [`{name: a, ${grants}}`, /key is missing/],
        [`{name: a, key: "fk_abcdefghij_topsecret", ${grants}}`, /neither a key nor the hash of one/],
        [`{name: a, key: "${good}", grants: [{channels: [a]}]}`, /channels and may/],
        [`{name: a, key: "${good}", grants: [{channels: [a//b], may: [read]}]}`, /keys\.grants\.channels/],
        [`{name: a, key: "${good}", grants: [{channels: [a], may: [write]}]}`, /"write" is no action/],
        [`{name: a, key: "${good}", ${grants}, expires: soon}`, /keys\.expires/],
        [`{name: a, key: "${good}", ${grants}}, {name: b, key: "${good}", ${grants}}`, /there twice/],
    ];
    for (const [items, says] of rows) {
        fs.writeFileSync(file, `keys: [${items}]\n`);
        const { code, stderr } = await run(t, ["check", "--config", file]);
        assert.notEqual(code, 0, items);
        assert.match(stderr, says);
        assert.ok(!stderr.includes("topsecret"));
    }
});

/* ---- the command ---- */

test("the command makes a key on standard output alone, lists and revokes it", async (t) => {
    const server = await startServer(t);
    const key = (...args) => run(t, ["key", ...args, "--url", server.url]);
    const made = await key("create", "site", "--read", "chat/**", "--publish", "chat/a", "--ttl", "1d");
    assert.equal(made.code, 0, made.stderr);
    assert.match(made.stdout.trimEnd(), KEY);
    const [, id, secret] = made.stdout.trimEnd().split("_");
    assert.ok(!made.stderr.includes(secret));
    const list = await key("ls");
    assert.match(list.stdout, new RegExp(`^${id}\tsite\t-\t20[^\t]*Z\t`));
    const lines = (await key("ls", "--json")).stdout.trimEnd().split("\n").map((line) => JSON.parse(line));
    assert.deepEqual(lines[0].grants.map(({ may }) => may), [["read"], ["publish"]]);
    assert.equal((await key("revoke", id)).code, 0);
    const again = await key("revoke", id);
    assert.equal(again.code, 1);
    assert.match(again.stderr, /404: there is no such key/);
    assert.equal((await key("ls")).stdout, "");
});

test("a key for the configuration is made without a server", async (t) => {
    const { code, stdout, stderr } = await run(t, ["key", "generate"]);
    assert.equal(code, 0);
    assert.match(stdout.trimEnd(), KEY);
    assert.match(stderr, new RegExp(`key: fk_${stdout.split("_")[1]}:[0-9a-f]{64}\n$`));
    assert.ok(!stderr.includes(stdout.trimEnd().split("_")[2]));
});

test("the caller's own key is read from a file or the environment, never from the command line", async (t) => {
    const server = await startServer(t);
    const file = path.join(temporaryFolder(t), "token");
    fs.writeFileSync(file, "two words\n");
    const bad = await run(t, ["key", "ls", "--url", server.url, "--token-file", file]);
    assert.equal(bad.code, 2);
    assert.ok(!bad.stderr.includes("two words"));
    for (const command of [["key", "ls"], ["pub", "a", "b"], ["sub", "a"], ["presence", "a"], ["webhook", "ls"], ["bench"]]) {
        const at = command[0] === "bench" ? [] : ["--url", server.url];
        const line = await run(t, [...command, ...at, "--token", "fk_very_secret"]);
        assert.equal(line.code, 2, command[0]);
        assert.doesNotMatch(line.stdout + line.stderr, /very_secret/);
        if (command[0] !== "key")
            assert.match(line.stderr, /--token-file FILE, or set FRESHET_TOKEN/, command[0]);
    }
});

test("pub, sub, webhook, presence and bench take a key from a file as well, and wrong files are told without their text", async (t) => {
    const { stdout, stderr } = await run(t, ["key", "generate"]);
    const [hash] = /fk_\w+:\w+/.exec(stderr);
    const server = await startServer(t, { config: `access: {anybody: []}\nnamespaces: [{prefix: chat, presence: true, access: {anybody: []}}]\n` +
        `keys: [{name: a, key: "${hash}", grants: [{channels: ["**"], may: [read, publish, presence, webhooks, admin]}]}]\n` });
    const dir = temporaryFolder(t), file = path.join(dir, "token"), bad = path.join(dir, "bad");
    fs.writeFileSync(file, stdout);
    fs.writeFileSync(bad, "very secret\n");
    const commands = [["pub", "news", "hello"], ["sub", "news", "--last", "1", "--count", "1"], ["sub", "news", "--last", "1", "--count", "1", "--via", "ws"],
        ["webhook", "ls"], ["presence", "chat/a", "--once"], ["bench", "--events", "5", "--subscribers", "2"]];
    for (const args of commands) {
        const at = args[0] === "bench" ? [args[0], server.url, ...args.slice(1)] : [...args, "--url", server.url];
        const done = await run(t, [...at, "--token-file", file]);
        assert.equal(done.code, 0, `${args}: ${done.stderr}`);
        const read = await run(t, [...at, "--token-file", "-"], { input: stdout });
        assert.equal(read.code, 0, `${args} from standard input: ${read.stderr}`);
        assert.notEqual((await run(t, at)).code, 0, `${args} without`);
        for (const more of [["--token-file", bad], ["--token-file", path.join(dir, "none")], ["--token-file", file, "--token", "x"]]) {
            const refused = await run(t, [...at, ...more]);
            assert.equal(refused.code, 2, `${args} ${more}`);
            assert.ok(!/very secret/.test(refused.stderr), refused.stderr);
        }
    }
    const both = await run(t, ["pub", "news", "--url", server.url, "--token-file", "-"], { input: stdout });
    assert.equal(both.code, 2);
    assert.match(both.stderr, /standard input has the events/);
});

test("there is help for the command and for each verb", async (t) => {
    for (const verb of ["create", "ls", "revoke", "generate"]) {
        const { code, stdout } = await run(t, ["key", verb, "--help"]);
        assert.equal(code, 0);
        assert.match(stdout, new RegExp(`^Usage: freshet key ${verb}`));
        assert.equal((await run(t, ["help", "key", verb])).stdout, stdout);
    }
    assert.equal((await run(t, ["key"])).code, 2);
    assert.equal((await run(t, ["key", "make"])).code, 2);
});
