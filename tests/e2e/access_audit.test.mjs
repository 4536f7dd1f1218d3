// The audit log: what was changed, as log lines and as events on `$audit` that every mechanism reads.

import assert from "node:assert/strict";
import { WebSocket } from "ws";
import { sideBySide, eventually } from "./support/index.mjs";

const { bothStores } = sideBySide(4);

const ask = async (server, method, target, body) => {
    const answer = await fetch(server.url + target, { method, body: body && JSON.stringify(body) });
    return { status: answer.status, text: await answer.text() };
};

bothStores("keys and revocations that are made and deleted are noted without a secret", async (t, server) => {
    const grants = [{ channels: ["a"], may: ["read"] }];
    const made = JSON.parse((await ask(server, "POST", "/keys", { name: "site", grants })).text);
    await ask(server, "DELETE", `/keys/${made.id}`);
    await ask(server, "POST", "/revocations", { subject: "alice", reason: "left" });
    await ask(server, "DELETE", "/revocations?subject=alice");
    const events = await eventually(async () => {
        const all = await server.history("$audit");
        assert.equal(all.length, 4);
        return all;
    });
    assert.deepEqual(events.map(({ type }) => type), Array(4).fill("changed"));
    assert.deepEqual(events.map(({ data }) => data.why),
        ["key made", "key revoked", "revoked", "revocation ended"]);
    assert.equal(events[0].data.by, "anybody");
    assert.equal(events[0].data.address, "127.0.0.1");
    assert.equal(events[0].data.id, made.id);
    assert.equal(events[1].data.id, made.id);
    assert.equal(events[2].data.revocation.reason, "left");
    assert.equal(events[3].data.id, "subject:alice");
    await server.logged(/(event=audit what=changed by=anybody[^]*){4}/);
    assert.equal(server.err.match(/event=audit what=changed by=anybody/g).length, 4);
    assert.ok(!(server.err + JSON.stringify(events)).includes(made.key.split("_")[2]));
});

bothStores("a request that changes nothing is not noted", async (t, server) => {
    await ask(server, "GET", "/keys");
    await ask(server, "DELETE", "/keys/abcdefghij");
    await ask(server, "POST", "/keys", {});
    await ask(server, "POST", "/revocations", { jti: "last" });
    const events = await eventually(async () => {
        const all = await server.history("$audit");
        assert.ok(all.length);
        return all;
    });
    assert.equal(events.length, 1);
});

bothStores("somebody who is not there is disconnected from nothing", async (t, server) => {
    assert.deepEqual(JSON.parse((await ask(server, "DELETE", "/subscribers?subject=alice")).text), { disconnected: 0 });
    assert.equal((await ask(server, "DELETE", "/subscribers")).status, 400);
    assert.equal((await ask(server, "DELETE", "/subscribers?subject=a&channel=b//c")).status, 400);
    assert.equal((await ask(server, "DELETE", "/subscribers?subject=a&name=b")).status, 400);
    assert.equal((await ask(server, "DELETE", "/subscribers?subject=a&id=0123456789abcdef01234567")).status, 400);
    assert.equal((await ask(server, "POST", "/subscribers?subject=a")).status, 405);
});

const RULES = "access: {anybody: [read]}\nkeys:\n  - {name: root, key: KEY, grants: [{channels: ['**'], may: [read, admin]}, {channels: [$audit], may: [read]}]}\n";
const KEY = `fk_${"a".repeat(10)}_${"b".repeat(52)}`;
const ADMIN = { Authorization: `Bearer ${KEY}` };

/** The refusals that the audit has, once there are `count`. */
const refusals = (server, count) => eventually(async () => {
    const { events } = await server.page("/channels/$audit?type=refused", ADMIN);
    assert.equal(events.length, count);
    return events.map(({ data }) => data);
});

bothStores("a refusal names method and path without the query", { config: RULES.replace("KEY", KEY) }, async (t, server) => {
    assert.equal((await ask(server, "POST", "/channels/a/b?type=secret", "x")).status, 401);
    assert.equal((await ask(server, "DELETE", "/channels/a/b")).status, 401);
    assert.equal((await ask(server, "GET", "/stats?token=a.b.c")).status, 401);
    const wish = { "hub.mode": "subscribe", "hub.topic": `${server.url}/topics/a`, "hub.callback": "https://example.org/" };
    assert.equal((await fetch(`${server.url}/hub`, { method: "POST", body: new URLSearchParams(wish) })).status, 401);
    const all = await refusals(server, 4);
    assert.deepEqual(all.map(({ method, path }) => `${method} ${path}`), ["POST /channels/a/b", "DELETE /channels/a/b", "GET /stats", "POST /hub"]);
    assert.ok(!JSON.stringify(all).includes("secret") && !server.err.includes("a.b.c"));
    await server.logged(/event=audit what=refused by=anybody .* method=POST path="\/channels\/a\/b" /);
    const { audit } = (await server.get("/stats", ADMIN)).json();
    assert.deepEqual([audit.refused, audit.left_out], [4, 0]);
    assert.match((await server.get("/metrics", ADMIN)).text, /freshet_audit_entries_total\{type="refused"\} 4\n/);
});

bothStores("a message of a WebSocket that is refused is noted", { config: RULES.replace("KEY", KEY) }, async (t, server) => {
    for (const [target, protocols, frame] of [["/channels/a", [], "hello"],
        ["/events", ["freshet.v1"], JSON.stringify({ op: "publish", channel: "a", data: "x" })]]) {
        const socket = new WebSocket(server.url.replace("http", "ws") + target, protocols);
        t.after(() => socket.terminate());
        const answer = new Promise((resolve) => socket.once("close", resolve).on("message", (text) => /"error"/.test(text) && resolve()));
        socket.once("open", () => socket.send(frame));
        await answer;
    }
    const all = await refusals(server, 2);
    for (const { by, problem, may, channel, address } of all) {
        assert.deepEqual([by, problem, may, channel, address], ["anybody", "unauthorized", "publish", "a", "127.0.0.1"]);
    }
});

bothStores("refusals beyond a burst are counted", { config: RULES.replace("KEY", KEY) }, async (t, server) => {
    await Promise.all(Array.from({ length: 60 }, () => ask(server, "GET", "/stats")));
    const { audit } = (await server.get("/stats", ADMIN)).json();
    assert.equal(audit.refused + audit.left_out, 60);
    assert.ok(audit.left_out > 0);
});
