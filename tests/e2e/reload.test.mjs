// SIGHUP: rules, keys, issuers and limits from the file as it is now, without a connection that ends but by what it lost.

import assert from "node:assert/strict";
import { generateKeyPairSync, randomBytes } from "node:crypto";
import { once } from "node:events";
import fs from "node:fs";
import http from "node:http";
import path from "node:path";
import * as jose from "jose";
import { assertProblem, eventually, openSse, startServer, temporaryFolder, sideBySide } from "./support/index.mjs";
import { Freshet, Socket } from "./support/ws.mjs";
import { Receiver } from "./support/receiver.mjs";

const { test } = sideBySide(4);

const OPEN = "access: {anybody: [read, publish, admin]}\n";
const rules = (prefixes) => "namespaces:\n" + Object.entries(prefixes)
    .map(([prefix, may]) => `  - {prefix: ${prefix}, access: {anybody: [${may}]}}\n`).join("");
/** A key's text, as a file names it by env:NAME. */
function newKey() {
    const alphabet = "abcdefghijklmnopqrstuvwxyz234567";
    const letters = (n) => [...randomBytes(n)].map((byte) => alphabet[byte % 32]).join("");
    return `fk_${letters(10)}_${letters(52)}`;
}

const ADMIN = newKey();
const KEYS = `keys:\n  - {name: ops, key: "env:KEY_ADMIN", grants: [{channels: ["**"], may: [admin]}]}\n`;
const TOP = "access: {anybody: []}\n";

process.env.KEY_ADMIN = ADMIN;

/** Replaces the file and waits until the server has put it into effect, or has refused it. */
async function reload(server, text, event = "reloaded") {
    await server.logged(/event=started/); /* what the start has logged may come late */
    const before = server.err.length;
    fs.writeFileSync(path.join(server.dir, "freshet.yaml"), text);
    server.signal("SIGHUP");
    await eventually(() => server.err.slice(before).includes(`event=${event}`), event);
    return server.err.slice(before);
}

function bearer(token) {
    return { Authorization: `Bearer ${token}` };
}

async function stats(server) {
    return JSON.parse((await server.get("/stats", bearer(ADMIN))).bytes.toString());
}

async function status(server, target, headers) {
    return (await server.get(target, headers)).status;
}

test("a file with secrets that others may read is reported by a reload", async (t) => {
    const config = `${TOP}${KEYS}tokens: [{secret: "a secret that is long enough for HS256"}]\n`;
    const server = await startServer(t, { config });
    const file = path.join(server.dir, "freshet.yaml");
    fs.chmodSync(file, 0o600);
    assert.doesNotMatch(await reload(server, config), /event=secret_readable/);
    fs.chmodSync(file, 0o604);
    await reload(server, config);
    await eventually(() => /event=secret_readable .*mode=604/.test(server.err), "a warning");
});

test("a key file of tokens that a reload brings is reported if it signs and others may read it", async (t) => {
    const server = await startServer(t, { config: TOP + KEYS });
    const { privateKey, publicKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
    const files = Object.entries({ private: privateKey.export({ type: "pkcs8", format: "pem" }), public: publicKey.export({ type: "spki", format: "pem" }) });
    for (const [name, pem] of files) {
        fs.writeFileSync(path.join(server.dir, `${name}.pem`), pem, { mode: 0o644 });
    }
    const told = await reload(server, TOP + KEYS + "tokens:\n" + files.map(([name]) => `  - {key_file: ${path.join(server.dir, `${name}.pem`)}}\n`).join(""));
    await eventually(() => /event=secret_readable path=\S*private\.pem/.test(server.err), "a warning");
    assert.doesNotMatch(told, /public\.pem/);
});

test("a request that was answered before is checked again", async (t) => {
    const site = (origin, hosts) => `${TOP}${rules({ a: "read" })}origins: ["${origin}"]\nhosts: [${hosts}]\n`;
    const server = await startServer(t, { config: site("https://app.example", "rt.example") });
    const rows = [["Origin", "https://app.example"], ["Host", "rt.example"]];
    const answers = async ([name, value]) => Promise.all(Array.from({ length: 16 }, () =>
        status(server, "/channels/a?after=0000000000000000", { [name]: value })));
    for (const row of rows)
        for (let i = 0; i < 2; i++)
            assert.deepEqual(new Set(await answers(row)), new Set([200]), row[0]);
    await reload(server, site("https://other.example", "other.example"));
    for (const row of rows)
        assert.ok((await answers(row)).every((got) => got >= 400), row[0]);
});

test("rules that become wider and narrower hold for the next request", async (t) => {
    const server = await startServer(t, { config: KEYS + TOP + rules({ a: "read" }) });
    assert.equal(await status(server, "/channels/a?last=1"), 200);
    assert.equal(await status(server, "/channels/b?last=1"), 401);
    await reload(server, KEYS + TOP + rules({ a: "read", b: "read, publish" }));
    assert.equal(await status(server, "/channels/b?last=1"), 200);
    assert.equal((await server.post("b", "1")).status, 201);
    await reload(server, KEYS + TOP + rules({ b: "read" }));
    assert.equal(await status(server, "/channels/a?last=1"), 401);
    assert.equal(await status(server, "/channels/b?last=1"), 200);
    assertProblem(await server.post("b", "1"), 401);
    assert.deepEqual((await stats(server)).reloads, { done: 2, refused: 0 });
    assert.match(await (await fetch(`${server.url}/metrics`, { headers: bearer(ADMIN) })).text(), /^freshet_reloads_total 2$/m);
});

test("a subscription ends when the rules take it away, and all others go on", async (t) => {
    const server = await startServer(t, { config: KEYS + TOP + rules({ kept: "read, publish", lost: "read, publish" }) });
    const [kept, lost] = [await openSse(server, "/channels/kept?stream=sse"), await openSse(server, "/channels/lost?stream=sse")];
    const both = await openSse(server, "/events?channel=kept&channel=lost&stream=sse");
    const poll = server.get("/channels/lost?after=now&wait=60");
    const keptSocket = await Socket.open(t, server, "/channels/kept"), lostSocket = await Socket.open(t, server, "/channels/lost");
    const v1 = await Freshet.open(t, server);
    await v1.subscribe(["kept"]);
    await v1.subscribe(["lost"]);
    await eventually(async () => (await stats(server)).subscribers.poll === 1, "the poll to wait");
    await reload(server, KEYS + TOP + rules({ kept: "read, publish", lost: "publish" }));
    for (const stream of [lost, both])
        await stream.rest(); /* to its end */
    assert.equal((await poll).status, 200);
    assert.equal((await lostSocket.closed()).code, 4403);
    assert.deepEqual((await v1.expect("lost")).channels, ["lost"]);
    for (const channel of ["lost", "kept"])
        assert.equal((await server.post(channel, "7")).status, 201);
    assert.equal((await kept.event()).data !== undefined, true);
    assert.equal((await v1.pushed(1))[0].channel, "kept");
    assert.equal((await v1.answer({ op: "subscribe", channels: ["lost"] })).problem.status, 401);
    await eventually(() => keptSocket.frames.length > 0, "the event on the socket");
});

test("rules that are switched on close what was open to everybody", async (t) => {
    const server = await startServer(t, { config: "limits: {}\n" });
    const stream = await openSse(server, "/channels/a?stream=sse");
    await reload(server, KEYS + TOP + rules({ b: "read" }));
    await stream.rest();
    assert.equal(await status(server, "/channels/a?last=1"), 401);
    await reload(server, "limits: {}\n");
    assert.equal(await status(server, "/channels/a?last=1"), 200);
});

test("a file that is empty while there are rules changes nothing", async (t) => {
    const server = await startServer(t, { config: TOP + rules({ a: "read, publish" }) });
    for (const text of ["", "\n", "# nothing\n", "---\n", "{}\n"]) {
        assert.match(await reload(server, text, "reload_refused"), /freshet\.yaml: is empty, and would take all access rules away/);
        assertProblem(await server.post("b", "x"), 401);
        assert.equal((await server.post("a", "x")).status, 201);
    }
    await reload(server, "limits: {}\n");
    assert.equal((await server.post("b", "x")).status, 201);
    await reload(server, "");
});

test("rules stay on while the server listens where others reach it, whatever the file says of addresses", async (t) => {
    const dir = temporaryFolder(t);
    const at = (...modes) => `listen: ["127.0.0.1:0"${modes.map((mode, i) => `, {address: "unix:${dir}/${i}", mode: ${mode}}`).join("")}]\n`;
    for (const started of [at(666), at(660, 662), at(606)]) {
        const server = await startServer(t, { listen: false, config: `${started}${TOP}` });
        for (const text of [at(660), at(), at(660, 660), "limits: {}\n"]) {
            assert.match(await reload(server, text, "reload_refused"), /no access rules/);
            assertProblem(await server.post("a", "1"), 401);
        }
        await reload(server, `${at()}access: {anybody: [publish]}\n`);
        assert.equal((await server.post("a", "1")).status, 201);
        await server.terminate();
    }
});

test("keys of the file come, go, and change what they grant", async (t) => {
    const text = newKey(), other = newKey();
    const entry = (name, env, may) => `  - {name: ${name}, key: "env:${env}", grants: [{channels: ["a", "b"], may: [${may}]}]}\n` ;
    const env = { KEY_ONE: text, KEY_TWO: other };
    const server = await startServer(t, { config: `${TOP}${KEYS}${entry("one", "KEY_ONE", "read, publish")}`, env });
    const stream = await openSse(server, "/channels/a?stream=sse", { headers: bearer(text) });
    assert.equal(await status(server, "/channels/a?last=1", bearer(other)), 401);
    await reload(server, `${TOP}${KEYS}${entry("one", "KEY_ONE", "read, publish")}${entry("two", "KEY_TWO", "read")}`);
    assert.equal(await status(server, "/channels/a?last=1", bearer(other)), 200);
    const second = await openSse(server, "/channels/a?stream=sse", { headers: bearer(other) });
    await server.request("POST", "/channels/a", { headers: bearer(text), body: "1" });
    await stream.event(); /* what has not changed goes on */
    await second.event();
    await reload(server, `${TOP}${KEYS}${entry("one", "KEY_ONE", "publish")}${entry("two", "KEY_TWO", "read")}`);
    await stream.rest();
    assert.equal(await status(server, "/channels/a?last=1", bearer(text)), 403);
    await server.request("POST", "/channels/a", { headers: bearer(text), body: "2" });
    await second.event();
    await reload(server, `${TOP}${KEYS}${entry("one", "KEY_ONE", "publish")}`);
    await second.rest();
    assert.equal(await status(server, "/channels/a?last=1", bearer(other)), 401);
});

/** A site that allows everything, with a key that reads `granted` by itself and asks it for s/**. `held` has answers that wait. */
async function vouched(t, options = {}) {
    const it = { held: [], holds: false };
    const site = http.createServer((request, response) => {
        const answer = () => response.end(JSON.stringify({ allow: true, ttl_s: 3600 }));
        request.resume().on("end", () => (it.holds ? it.held.push(answer) : answer()));
    });
    await once(site.listen(0, "127.0.0.1"), "listening");
    t.after(() => site.closeAllConnections() ?? site.close());
    const text = newKey();
    it.config = (granted) => `${TOP}keys:
  - {name: reader, key: "env:KEY_READER", grants: [{channels: [${granted}], may: [read, publish, webhooks]}]}
  - {name: ops, key: "env:KEY_ADMIN", grants: [{channels: ["**"], may: [publish, admin]}]}
namespaces:
  - prefix: s
    authorize: {url: "http://127.0.0.1:${site.address().port}/", secret: "whsec_${Buffer.alloc(32, "k").toString("base64")}", cache_s: 0, timeout_ms: 30000}
`;
    it.server = await startServer(t, { config: it.config("a"), env: { KEY_READER: text }, ...options });
    it.headers = bearer(text);
    it.both = "/events?channel=a&channel=s/x";
    return it;
}

test("a key that grants less takes the rest away from what a site has allowed besides", async (t) => {
    const { server, config, headers, both } = await vouched(t);
    const stream = await openSse(server, `${both}&stream=sse`, { headers });
    const site = await openSse(server, "/channels/s/x?stream=sse", { headers });
    const poll = server.get(`${both}&after=now&wait=60`, headers);
    const v1 = await Freshet.open(t, server, { headers });
    await v1.subscribe(["a"]);
    await v1.subscribe(["s/x"]);
    const socket = await Socket.open(t, server, "/channels/a", { headers });
    await eventually(async () => (await stats(server)).subscribers.poll === 1, "the poll to wait");
    await reload(server, config("other"));
    await stream.rest();
    assert.equal((await poll).status, 200);
    assert.equal((await socket.closed()).code, 4403);
    assert.deepEqual((await v1.expect("lost")).channels, ["a"]);
    for (const channel of ["a", "s/x"])
        assert.equal((await server.request("POST", `/channels/${channel}`, { headers: bearer(ADMIN), body: "1" })).status, 201);
    assert.equal((await v1.pushed(1))[0].channel, "s/x");
    await site.event();
});

test("rights that a site has given end with the reason rules when the file names no site any more", async (t) => {
    const { server, headers } = await vouched(t);
    const credentials = [{ Cookie: "sid=alice" }, headers];
    const streams = credentials.map((shown) => server.get("/channels/s/x?stream=ndjson", shown));
    const sockets = await Promise.all(credentials.map((shown) => Socket.open(t, server, "/channels/s/x", { headers: shown })));
    await eventually(async () => (await stats(server)).subscribers.ndjson === 2, "the streams");
    await reload(server, `${TOP}${KEYS}  - {name: reader, key: "env:KEY_READER", grants: [{channels: [a], may: [read]}]}\n`);
    for (const stream of streams)
        assert.equal(JSON.parse((await stream).bytes.toString().trim().split("\n").at(-1)).reason, "rules");
    for (const socket of sockets)
        assert.equal((await socket.closed()).code, 4403);
});

test("a key that grants less while a site is asked does not give more when the site has answered", async (t) => {
    const it = await vouched(t);
    const { server, config, headers, both } = it;
    const v1 = await Freshet.open(t, server, { headers });
    await v1.subscribe(["a"]);
    it.holds = true;
    const rows = ["stream=sse", "last=1", "after=now&wait=60"].map((how, i) => server.get(`${both}/${i}&${how}`, headers));
    await eventually(() => it.held.length === rows.length, "the questions");
    await v1.ask({ op: "subscribe", channels: ["a", "s/x"] });
    await eventually(() => it.held.length === rows.length + 1, "the question of the WebSocket");
    await reload(server, config("other"));
    assert.deepEqual((await v1.expect("lost")).channels, ["a"]);
    it.holds = false;
    it.held.forEach((answer) => answer());
    for (const answer of await Promise.all(rows))
        assertProblem(answer, 403);
    assert.equal((await v1.expect("error")).problem.status, 403);
});

test("issuers come and go, and their tokens with them", async (t) => {
    const secrets = ["a secret of the first issuer, long", "a secret of the second issuer, long"];
    const of = (...list) => `${TOP}tokens:\n${list.map((i) => `  - {secret: "${secrets[i]}"}\n`).join("")}`;
    const token = (i) => new jose.SignJWT({ freshet: { grants: [{ channels: ["a"], may: ["read", "publish"] }] } })
        .setProtectedHeader({ alg: "HS256" }).setSubject("alice").setExpirationTime("1h").sign(new TextEncoder().encode(secrets[i]));
    const [first, second] = [bearer(await token(0)), bearer(await token(1))];
    const server = await startServer(t, { config: of(0) });
    const stream = await openSse(server, "/channels/a?stream=sse", { headers: first });
    assert.equal(await status(server, "/channels/a?last=1", second), 401);
    await reload(server, of(0, 1));
    const other = await openSse(server, "/channels/a?stream=sse", { headers: second });
    await server.request("POST", "/channels/a", { headers: first, body: "1" });
    await stream.event();
    await reload(server, of(1));
    await stream.rest();
    assert.equal(await status(server, "/channels/a?last=1", first), 401);
    await server.request("POST", "/channels/a", { headers: second, body: "1" });
    await other.events(2);
    other.close();
});

test("limits change, a key that needs a restart is named, and a broken file changes nothing", async (t) => {
    const server = await startServer(t, { config: `${OPEN}limits: {body_max: 1000}\n` });
    const large = "x".repeat(2000);
    assertProblem(await server.post("a", large), 413);
    await reload(server, `${OPEN}limits: {body_max: 4000}\nthreads: 5\nlisten: "127.0.0.1:1"\nlog: {bytes_max: 1GiB}\n`);
    assert.equal((await server.post("a", large)).status, 201);
    await server.logged(/event=reload_incomplete .*keys=threads,log\.bytes_max/);
    for (const [text, why] of [["access: {anybody: [fly]}\n", /freshet\.yaml:1: access\.anybody: /],
        [`${OPEN}\tlimits: {`, /freshet\.yaml:2/], [`${OPEN}limits: {body_max: 1, bodymax: 2}\n`, /freshet\.yaml:2: limits\.bodymax: /],
        [`${OPEN}keys: [{name: a, key: "env:NOT_THERE", grants: []}]\n`, /freshet\.yaml:2: /]]) {
        const line = (await reload(server, text, "reload_refused")).split("\n").find((one) => one.includes("reload_refused"));
        assert.match(line, why);
        assert.equal((await server.post("a", large)).status, 201);
        assert.equal(await status(server, "/channels/a?last=1"), 200);
    }
    assert.deepEqual(JSON.parse((await server.get("/stats")).bytes.toString()).reloads, { done: 1, refused: 4 });
});

test("a webhook that the rules allow no more is disabled", async (t) => {
    const receiver = await Receiver.start(t);
    const all = `${TOP}namespaces:\n  - {prefix: a, access: {anybody: [read, publish, webhooks]}}\n`;
    const server = await startServer(t, { config: `${all}webhooks: {allow: [127.0.0.1]}\n` });
    const answer = await server.request("POST", "/webhooks", { headers: { "Content-Type": "application/json" }, body: JSON.stringify({ url: receiver.url, channels: ["a"] }) });
    assert.equal(answer.status, 201, answer.bytes.toString());
    const { id } = JSON.parse(answer.bytes.toString());
    await reload(server, `${TOP}namespaces:\n  - {prefix: a, access: {anybody: [publish, webhooks]}}\nwebhooks: {allow: [127.0.0.1]}\n`);
    await eventually(async () => JSON.parse((await server.get(`/webhooks/${id}`)).bytes.toString()).state === "disabled", "the webhook to be disabled");
});

test("webhooks reach this machine only while there are no rules", async (t) => {
    const receiver = await Receiver.start(t);
    const server = await startServer(t, { config: "limits: {}\n" });
    const ruled = "access: {anybody: [read, publish, webhooks, admin]}\n";
    const create = async (channel) => {
        const body = JSON.stringify({ url: receiver.url, channels: [channel] });
        const answer = await server.request("POST", "/webhooks", { headers: { "Content-Type": "application/json" }, body });
        return { status: answer.status, ...JSON.parse(answer.bytes.toString()) };
    };
    const hook = await create("a");
    assert.equal(hook.status, 201);
    assert.equal((await server.post("a", "1")).status, 201);
    await receiver.events(1); /* and its connection is kept */
    await reload(server, ruled);
    assert.equal((await create("b")).status, 403);
    assert.equal((await server.post("a", "2")).status, 201);
    await eventually(async () => JSON.parse((await server.get(`/webhooks/${hook.id}/deliveries`)).bytes.toString()).deliveries.length > 1, "an attempt");
    assert.equal(receiver.deliveries.length, 1);
    await reload(server, "limits: {}\n");
    assert.equal((await create("b")).status, 201);
});

test("webhooks that rules or keys allow no more are disabled, over a restart as well", async (t) => {
    const receiver = await Receiver.start(t), text = newKey(), secret = "a secret of the issuer that is long";
    const to = "webhooks: {allow: [127.0.0.1]}\n";
    const config = (anybody, key) => `${TOP}${to}tokens: [{secret: "${secret}"}]
${KEYS}  - {name: one, key: "env:KEY_HOOK", grants: [{channels: ["k"], may: [${key}]}]}
namespaces: [{prefix: a, access: {anybody: [${anybody}]}}]\n`;
    const all = "read, webhooks", less = "webhooks";
    const token = await new jose.SignJWT({ freshet: { grants: [{ channels: ["j"], may: ["read", "webhooks"] }] } })
        .setProtectedHeader({ alg: "HS256" }).setSubject("alice").setExpirationTime("1h").sign(new TextEncoder().encode(secret));
    for (const down of [true, false]) {
        const server = await startServer(t, { config: config(all, all), env: { KEY_HOOK: text }, data: true });
        const ids = {};
        for (const [channel, headers] of [["a", {}], ["k", bearer(text)], ["j", bearer(token)]]) {
            const body = JSON.stringify({ url: receiver.url, channels: [channel] });
            const answer = await server.request("POST", "/webhooks", { headers: { "Content-Type": "application/json", ...headers }, body });
            assert.equal(answer.status, 201, answer.bytes.toString());
            ids[channel] = JSON.parse(answer.bytes.toString()).id;
        }
        const state = async (channel, headers) =>
            JSON.parse((await server.get(`/webhooks/${ids[channel]}`, headers)).bytes.toString()).state;
        await server.restart();
        assert.deepEqual([await state("a"), await state("k", bearer(text)), await state("j", bearer(token))], ["active", "active", "active"]);
        if (down) {
            fs.writeFileSync(path.join(server.dir, "freshet.yaml"), config(less, less));
            await server.restart();
        } else {
            await reload(server, config(less, less));
        }
        await eventually(async () => await state("a") === "disabled", "the webhook of anybody");
        await eventually(async () => await state("k", bearer(text)) === "disabled", "the webhook of the key");
        assert.equal(await state("j", bearer(token)), "active");
        for (const [channel, headers] of [["a", {}], ["k", bearer(text)]]) { /* may have webhooks, but not read */
            for (const [method, below, body] of [["POST", "/resume"], ["POST", "/ping"], ["PATCH", "", "{\"state\":\"active\"}"]])
                assertProblem(await server.request(method, `/webhooks/${ids[channel]}${below}`, { headers: { "Content-Type": "application/json", ...headers }, body }), 403);
            assert.equal(await state(channel, headers), "disabled");
        }
        await server.terminate();
    }
});

test("many reloads in a row drop nothing while events are published and read", async (t) => {
    const text = (n) => `${KEYS}${TOP}${rules({ a: "read, publish", [`other${n % 3}`]: "read" })}limits: {body_max: ${1000 + n}}\n`;
    const server = await startServer(t, { config: text(0) });
    const streams = await Promise.all(Array.from({ length: 20 }, () => openSse(server, "/channels/a?stream=sse")));
    const v1 = await Freshet.open(t, server);
    await v1.subscribe(["a"]);
    let published = 0, over = false;
    const publisher = (async () => {
        while (!over) {
            assert.equal((await server.post("a", String(published))).status, 201);
            published++;
        }
    })();
    for (let n = 1; n <= 50; n++)
        await reload(server, text(n));
    over = true;
    await publisher;
    assert.ok(published > 0);
    for (const stream of streams) {
        const events = await stream.events(published);
        assert.equal(new Set(events.map(({ id }) => id)).size, published);
        stream.close();
    }
    assert.equal((await v1.pushed(published)).length, published);
    assert.equal((await stats(server)).reloads.done, 50);
});
