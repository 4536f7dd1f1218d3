// Shares of presence: how many members and read marks an address and a subject may have; what a client is told beyond them; what
// the table takes of memory; and what a reload and a full log do to those who are there.

import assert from "node:assert/strict";
import fs from "node:fs";
import path from "node:path";
import * as jose from "jose";
import { assertProblem, assertTypeHasPage, eventually, openNdjson, startServer, stats, test } from "./support/index.mjs";
import { Freshet } from "./support/ws.mjs";

const SECRET = "correct horse battery staple and more";

/* One in a hundred of a thousand: ten. */
const LIMITS = "limits: {presence_members_max: 1000, presence_marks_max: 1000, presence_address_percent: 1, presence_subject_percent: 1}\n";
const ON = "namespaces: [{prefix: chat, presence: true, presence_grace_ms: 500}]\n";
const PROXY = "trusted_proxies: [127.0.0.1]\n";

const from = (address) => ({ "X-Forwarded-For": address });
const presenceOf = async (server) => (await stats(server)).presence;
const list = async (server, channel) => (await server.get(`/presence/${channel}?limit=1000`)).json();
const put = (server, channel, as, body, headers = {}) =>
    server.request("PUT", `/presence/${channel}/me${as ? `?as=${as}` : ""}`, { body: JSON.stringify(body), headers });

/** A connection that subscribes to one channel as each of these names. */
async function join(t, server, address, channel, names) {
    const v1 = await Freshet.open(t, server, { headers: from(address) });
    for (const [index, as] of names.entries()) {
        await v1.subscribe([`${channel}/${index}`], { as });
    }
    return v1;
}

const manyNames = (prefix, n) => Array.from({ length: n }, (_, i) => `${prefix}${i}`);

test("an address has its share of members, and others have theirs", async (t) => {
    const server = await startServer(t, { config: LIMITS + ON + PROXY });
    const greedy = await join(t, server, "192.0.2.1", "chat", manyNames("m", 12));
    await eventually(async () => (await presenceOf(server)).anonymous === 2, "two without a place");
    assert.equal((await presenceOf(server)).members, 10);
    assert.equal((await presenceOf(server)).address_refused, 2);
    /* Whoever is over the share gets its events, and is told why it is not seen. */
    await server.publish("chat/11", "still here");
    assert.equal((await greedy.pushed(1))[0].data, "still here");
    const refused = await put(server, "chat/11", "m11", { state: 1 }, from("192.0.2.1"));
    assertProblem(refused, 429, /presence_address_percent/);
    assert.match(refused.json().type, /\/errors\/presence-share$/);
    await assertTypeHasPage(server, refused.json());
    const error = await greedy.answer({ op: "presence", channel: "chat/11", as: "m11", state: 1 });
    assert.equal(error.op, "error");
    assert.match(error.problem.type, /\/errors\/presence-share$/);
    assert.match(error.problem.detail, /presence_address_percent/);
    await join(t, server, "192.0.2.2", "chat", ["other"]);
    await eventually(async () => (await presenceOf(server)).members === 11, "another address");
    const metrics = (await server.get("/metrics")).text;
    assert.match(metrics, /^freshet_presence_address_refused_total 2$/m);
});

test("an IPv6 network of 64 bits is one address, whatever mechanism its clients use", async (t) => {
    const server = await startServer(t, { config: LIMITS + ON + PROXY });
    await join(t, server, "2001:db8:1:2::1", "chat", manyNames("m", 6));
    for (let n = 0; n < 6; n++) {
        await openNdjson(server, `/channels/chat/x?stream=ndjson&as=n${n}`, { headers: from(`2001:db8:1:2::${n + 2}`) })
            .then((stream) => server.onStop(() => stream.close()));
    }
    await eventually(async () => (await presenceOf(server)).anonymous === 2, "two without a place");
    assert.equal((await presenceOf(server)).members, 10);
    await join(t, server, "2001:db8:1:3::1", "chat", ["other"]);
    await eventually(async () => (await presenceOf(server)).members === 11, "another network");
});

test("a member that reconnects has its seat, though the share of its address is used up", async (t) => {
    const config = LIMITS + PROXY + ON.replace("500", "60000");
    const server = await startServer(t, { config });
    const first = await join(t, server, "192.0.2.1", "chat", manyNames("m", 10));
    await eventually(async () => (await presenceOf(server)).members === 10, "ten");
    first.ws.terminate();
    await eventually(async () => (await list(server, "chat/0")).members[0].connections === 0, "the end of the connection");
    await join(t, server, "192.0.2.1", "chat/new", ["stranger"]);
    await eventually(async () => (await presenceOf(server)).address_refused === 1, "the stranger");
    await join(t, server, "192.0.2.1", "chat", manyNames("m", 10));
    await eventually(async () => (await list(server, "chat/9")).members[0]?.connections === 1, "all again");
    const { members, leaves, joins } = await presenceOf(server);
    assert.deepEqual([members, leaves, joins], [10, 0, 10]);
});

test("an address has its share of read marks, and marks that are there move on", async (t) => {
    const server = await startServer(t, { config: LIMITS + ON + PROXY });
    const mine = from("192.0.2.1");
    const { id } = (await server.publish("chat/a", "1"));
    for (let n = 0; n < 10; n++) {
        assert.equal((await put(server, "chat/a", `m${n}`, { read: id }, mine)).status, 200);
    }
    const refused = await put(server, "chat/a", "m10", { read: id }, mine);
    assertProblem(refused, 429, /presence_address_percent/);
    const later = (await server.publish("chat/a", "2")).id;
    assert.equal((await put(server, "chat/a", "m3", { read: later }, mine)).json().read, later);
    assert.equal((await put(server, "chat/a", "m10", { read: id }, from("192.0.2.2"))).status, 200);
    const { marks, marks_refused: marksRefused } = await presenceOf(server);
    assert.deepEqual([marks, marksRefused], [11, 1]);
});

test("a subject has its share of members, from wherever it comes", async (t) => {
    const rules = `access: {anybody: []}\ntokens: [{secret: "${SECRET}"}]\n`;
    const server = await startServer(t, { config: LIMITS + PROXY + rules + ON });
    const bearer = async (sub) => ({ Authorization: `Bearer ${await new jose.SignJWT({ freshet: { grants: [{ channels: ["**"], may: ["read", "presence", "admin"] }] } })
        .setProtectedHeader({ alg: "HS256" }).setSubject(sub).setExpirationTime("1h").sign(new TextEncoder().encode(SECRET))}` });
    const alice = await bearer("alice");
    const statsNow = async () => (await server.get("/stats", alice)).json().presence;
    for (let n = 0; n < 12; n++) {
        const v1 = await Freshet.open(t, server, { headers: { ...alice, ...from(`192.0.2.${n}`) } });
        await v1.subscribe([`chat/${n}`]);
    }
    await eventually(async () => (await statsNow()).subject_refused === 2, "two over the share");
    assert.deepEqual([(await statsNow()).members, (await statsNow()).anonymous], [10, 2]);
    const refused = await put(server, "chat/11", "", { state: 1 }, { ...alice, ...from("192.0.2.99") });
    assertProblem(refused, 429, /presence_subject_percent/);
    const v1 = await Freshet.open(t, server, { headers: { ...await bearer("bob"), ...from("192.0.2.1") } });
    await v1.subscribe(["chat/0"]);
    await eventually(async () => (await statsNow()).members === 11, "bob");
});

test("the memory of the table is in /stats and /metrics, and comes back", async (t) => {
    const server = await startServer(t, { config: ON.replace("500", "3600000") });
    const memory = async () => (await stats(server)).memory.presence;
    assert.deepEqual(Object.keys(await memory()), ["channels", "members", "marks", "graces", "total"]);
    const before = await memory();
    assert.deepEqual([before.members, before.marks, before.graces], [0, 0, 0]);
    const v1 = await Freshet.open(t, server);
    for (const as of manyNames("m", 20)) {
        await v1.subscribe([`chat/${as}`], { as });
    }
    await eventually(async () => (await presenceOf(server)).members === 20, "twenty");
    const { id } = (await server.publish("chat/m0", "1"));
    assert.equal((await put(server, "chat/m0", "m0", { read: id, state: "x".repeat(1000) })).status, 200);
    const full = await memory();
    assert.ok(full.members > 20 * 40 + 1000 && full.marks > 40 && full.channels > before.channels, JSON.stringify(full));
    assert.equal(full.total, full.channels + full.members + full.marks + full.graces);
    assert.match((await server.get("/metrics")).text, new RegExp(`^freshet_presence_bytes\\{kind="members"\\} ${full.members}$`, "m"));
    v1.ws.terminate();
    await eventually(async () => (await memory()).graces > 0, "graces");
    await reload(server, ON);
    await eventually(async () => (await presenceOf(server)).members === 0, "the end of the graces");
    const after = await memory();
    assert.deepEqual([after.members, after.graces], [0, 0]);
});

async function reload(server, text) {
    const before = server.err.length;
    fs.writeFileSync(path.join(server.dir, "freshet.yaml"), text);
    server.signal("SIGHUP");
    await eventually(() => server.err.slice(before).includes("event=reloaded"), "the reload");
}

test("members who named themselves have their names again when a reload brings presence back", async (t) => {
    const server = await startServer(t, { config: ON });
    await server.sse("/channels/chat/a?as=alice");
    await server.ndjson("/events?channel=chat/a&channel=chat/b&as=bob");
    const v1 = await Freshet.open(t, server);
    await v1.subscribe(["chat/a"], { as: "carol" });
    await server.ndjson("/channels/chat/a");
    const who = async (channel) => (await list(server, channel)).members?.map(({ member }) => member).join();
    await eventually(async () => await who("chat/a") === "alice,bob,carol", "three");
    for (let times = 0; times < 2; times++) {
        await reload(server, ON.replace("presence: true", "presence: false"));
        assert.equal((await server.get("/presence/chat/a")).status, 404);
        await reload(server, ON);
        await eventually(async () => await who("chat/a") === "alice,bob,carol", "the same three");
        await eventually(async () => await who("chat/b") === "bob", "bob in his other channel");
        await eventually(async () => (await list(server, "chat/a")).anonymous === 1, "the one without a name");
    }
});

test("a grace that a reload lowers ends earlier for those who are away", async (t) => {
    const server = await startServer(t, { config: ON.replace("500", "3600000") });
    const stream = await server.ndjson("/channels/chat/a?as=alice");
    await eventually(async () => (await list(server, "chat/a")).count === 1, "alice");
    stream.close();
    await eventually(async () => (await list(server, "chat/a")).members[0].connections === 0, "alice to be away");
    await reload(server, ON.replace("500", "100"));
    await eventually(async () => (await list(server, "chat/a")).count === 0, "alice to leave");
});

test("a mark that moves fast is told once a second, and then where it is", async (t) => {
    const server = await startServer(t, { config: ON });
    const follower = await openNdjson(server, "/events?channel=$presence/chat/a&stream=ndjson");
    server.onStop(() => follower.close());
    const began = Date.now();
    let last;
    for (let n = 0; n < 30; n++) {
        last = (await server.publish("chat/a", `${n}`)).id;
        assert.equal((await put(server, "chat/a", "alice", { read: last })).json().read, last);
    }
    const told = [];
    while (told.at(-1) !== last) {
        told.push((await follower.events(1))[0].data.read);
    }
    const seconds = (Date.now() - began) / 1000;
    assert.ok(told.length < 3 + seconds, `${told.length} events in ${seconds} s`);
    assert.deepEqual(told, [...told].sort());
});

test("followers are told to read anew once the log takes events of presence again", async (t) => {
    const server = await startServer(t, { config: `limits: {channels_max: 2}\n${ON}` });
    await server.publish("x/1", "1");
    await server.publish("x/2", "2");
    const follower = await openNdjson(server, "/events?channel=$presence/chat/a&channel=$occupied/chat/a&stream=ndjson");
    server.onStop(() => follower.close());
    await server.ndjson("/channels/chat/a?as=alice");
    await eventually(async () => (await presenceOf(server)).events_lost >= 2, "events to be lost");
    assert.equal((await list(server, "chat/a")).count, 1);
    for (const name of ["x/1", "x/2"]) {
        assert.equal((await server.request("DELETE", `/channels/${name}`)).status, 204);
    }
    const told = new Map();
    while (told.size < 2) {
        const { type, data } = (await follower.events(1))[0];
        told.set(type, data);
    }
    assert.deepEqual(told.get("reset"), { count: 1, anonymous: 0, listed: true });
    assert.deepEqual(told.get("occupied"), { channel: "chat/a" });
});
