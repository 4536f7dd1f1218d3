// Optimistic concurrency: append only if what I saw last is still the channel's newest.

import assert from "node:assert/strict";
import { assertProblem, bothStores, idsOf, startServer, test } from "./support/index.mjs";

const ifMatch = (id) => ({ "If-Match": `"${id}"` });

bothStores("If-Match with the channel's newest id appends", async (t, server) => {
    const first = await server.publish("doc", "1");
    const second = await server.publish("doc", "2", ifMatch(first.id));
    const third = await server.publish("doc", "3", ifMatch(second.id));
    assert.deepEqual(idsOf(await server.history("doc")), [first.id, second.id, third.id]);
});

bothStores("If-Match with any other id is refused with 412 and appends nothing", async (t, server) => {
    const first = await server.publish("doc", "1");
    const second = await server.publish("doc", "2");
    const elsewhere = await server.publish("other", "newest of the log, not of the channel");
    for (const id of [first.id, elsewhere.id, "0000000000000001", "9007199254740991"]) {
        assertProblem(await server.post("doc", "3", ifMatch(id)), 412);
    }
    assertProblem(await server.post("empty", "1", ifMatch(first.id)), 412);
    assert.deepEqual(idsOf(await server.history("doc")), [first.id, second.id]);
    assert.deepEqual(await server.history("empty"), []);
});

test("the newest id of a channel does not depend on other channels", async (t) => {
    const server = await startServer(t);
    const mine = await server.publish("a", "1");
    await server.publish("b", "1");
    await server.publish("a/b", "1");
    assert.equal((await server.post("a", "2", ifMatch(mine.id))).status, 201);
});

test("an If-Match that is no quoted id never appends", async (t) => {
    const server = await startServer(t);
    const { id } = await server.publish("doc", "1");
    for (const value of ["abc", '"abc"', `W/"${id}"`, '"', '""', `"${id}`]) {
        assertProblem(await server.post("doc", "2", { "If-Match": value }), [400, 412]);
    }
    assert.equal((await server.history("doc")).length, 1);
});

bothStores("of many who saw the same newest id, one appends", async (t, server) => {
    const { id } = await server.publish("doc", "start");
    const answers = await Promise.all(
        Array.from({ length: 40 }, (_, n) => server.post("doc", `${n}`, ifMatch(id))));
    const statuses = answers.map((answer) => answer.status).sort();
    assert.equal(statuses.filter((status) => status === 201).length, 1, `${statuses}`);
    assert.equal(statuses.filter((status) => status === 412).length, 39, `${statuses}`);
    assert.equal((await server.history("doc")).length, 2);
});

bothStores("a counter kept by compare-and-append loses no increment", async (t, server) => {
    await server.publish("counter", { n: 0 });
    const increment = async () => {
        for (;;) {
            const [newest] = await server.history("counter", "?last=1");
            const answer = await server.post("counter", { n: newest.data.n + 1 }, ifMatch(newest.id));
            if (answer.status === 201) {
                return;
            }
            assertProblem(answer, 412);
        }
    };
    await Promise.all(Array.from({ length: 5 }, async () => {
        for (let n = 0; n < 8; n++) {
            await increment();
        }
    }));
    const events = await server.history("counter");
    assert.deepEqual(events.map((event) => event.data.n), Array.from({ length: 41 }, (_, n) => n));
});

bothStores("an ephemeral event does not change a channel's newest id", async (t, server) => {
    const { id } = await server.publish("doc", "1");
    assert.equal((await server.post("doc", "typing", {}, "?ephemeral=1")).status, 202);
    assert.equal((await server.post("doc", "2", ifMatch(id))).status, 201);
});

test("the newest id is still known after kill -9", async (t) => {
    const server = await startServer(t, { data: true });
    const first = await server.publish("doc", "1");
    await server.publish("other", "1");
    await server.restart();
    assertProblem(await server.post("doc", "2", ifMatch("0000000000000001")), 412);
    assert.equal((await server.post("doc", "2", ifMatch(first.id))).status, 201);
});
