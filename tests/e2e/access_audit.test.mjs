// The audit log: what was changed, as log lines and as events on `$audit` that every mechanism reads.

import assert from "node:assert/strict";
import { bothStores, eventually } from "./support/index.mjs";

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
    assert.equal((await ask(server, "GET", "/subscribers?subject=a")).status, 405);
});
