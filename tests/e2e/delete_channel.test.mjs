// DELETE trims all of a channel: privacy. Nothing of it is handed out again.

import assert from "node:assert/strict";
import { assertProblem, bothStores, dataOf, idsOf, startServer, test } from "./support/index.mjs";

async function remove(server, channel) {
    const answer = await server.request("DELETE", `/channels/${channel}`);
    assert.ok([200, 204].includes(answer.status), `DELETE ${channel}: ${answer.status} ${answer.text}`);
}

bothStores("a deleted channel is empty, whichever way one looks", async (t, server) => {
    await server.publishMany("a", 5);
    await remove(server, "a");
    for (const path of ["/channels/a", "/channels/a?after=earliest", "/channels/a?last=10",
        "/events?channel=a", "/events?channel=*", "/events?channel=**&last=1000",
        "/channels/a?before=9007199254740991", "/channels/a?limit=1&wait=0"]) {
        const answer = await server.get(path);
        assert.equal(answer.status, 200, `${path}: ${answer.text}`);
        assert.deepEqual(answer.json().events, [], path);
    }
    const stream = await server.ndjson("/channels/a?after=earliest");
    const { id } = await server.publish("a", "new");
    assert.equal((await stream.event()).id, id);
});

bothStores("the other channels keep what they have", async (t, server) => {
    const ids = [];
    for (let n = 0; n < 12; n++) {
        const { id } = await server.publish(`c/${n % 3}`, `${n}`);
        if (n % 3 !== 1) {
            ids.push(id);
        }
    }
    await remove(server, "c/1");
    assert.deepEqual(idsOf((await server.page("/events?channel=c/*")).events), ids);
    assert.deepEqual(idsOf((await server.page("/events?channel=c/*&last=100")).events), ids);
});

bothStores("a channel below or above the deleted one is another channel", async (t, server) => {
    await server.publish("a", "above");
    await server.publish("a/b", "deleted");
    await server.publish("a/b/c", "below");
    await remove(server, "a/b");
    assert.deepEqual(dataOf((await server.page("/events?channel=**")).events), ["above", "below"]);
});

bothStores("ids go on and prev names the id that is gone", async (t, server) => {
    const gone = await server.publishMany("a", 3);
    await remove(server, "a");
    const next = await server.publish("a", "next");
    assert.ok(next.id > gone[2]);
    const [event] = await server.history("a");
    assert.equal(event.prev, gone[2]);
});

bothStores("a channel can be deleted again, and used again, and again", async (t, server) => {
    for (let n = 0; n < 10; n++) {
        const { id } = await server.publish("a", `${n}`);
        assert.deepEqual(idsOf(await server.history("a")), [id]);
        await remove(server, "a");
        await remove(server, "a");
        assert.deepEqual(await server.history("a"), []);
    }
});

bothStores("deleting what never was does no harm", async (t, server) => {
    const answer = await server.request("DELETE", "/channels/never/was");
    assert.ok([200, 204, 404].includes(answer.status), `${answer.status}`);
    assert.deepEqual(await server.history("never/was"), []);
});

test("a pattern cannot be deleted, nor what belongs to the server", async (t) => {
    const server = await startServer(t);
    await server.publish("a/b", "x");
    assertProblem(await server.request("DELETE", "/channels/a/*"), 400);
    assertProblem(await server.request("DELETE", "/channels/**"), 400);
    assertProblem(await server.request("DELETE", "/events?channel=a/*"), 405);
    assert.equal((await server.history("a/b")).length, 1);
});

test("a deleted channel stays deleted after kill -9", async (t) => {
    const server = await startServer(t, { data: true });
    await server.publish("kept", "kept");
    const gone = await server.publishMany("a", 3);
    await remove(server, "a");
    await server.restart();
    assert.deepEqual(await server.history("a"), []);
    assert.deepEqual(dataOf((await server.page("/events?channel=*")).events), ["kept"]);
    assertProblem(await server.get(`/channels/a?after=${gone[0]}`), 410);
    const { id } = await server.publish("a", "new");
    const [event] = await server.history("a");
    assert.equal(event.id, id);
    assert.equal(event.prev, gone[2]);
});

bothStores("what was published while it was deleted is either there or gone", async (t, server) => {
    const publishing = server.publishMany("a", 2000);
    await remove(server, "a");
    const ids = await publishing;
    const left = idsOf((await server.page("/channels/a?limit=1000")).events);
    if (left.length > 0) {
        const from = ids.indexOf(left[0]);
        assert.ok(from === 0 || from === 1000, `a batch was cut in two at ${from}`);
        assert.deepEqual(left, ids.slice(from, from + 1000));
    }
});
