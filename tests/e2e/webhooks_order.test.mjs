// What holds up what: a failing or slow event its channel at its endpoint, and nothing else.

import assert from "node:assert/strict";
import { eventually, publish, publishMany, startServer, test } from "./support/index.mjs";
import { Receiver } from "./support/receiver.mjs";

async function register(server, url, channels, more = {}) {
    const answer = await server.request("POST", "/webhooks", { body: { url, channels, ...more } });
    assert.equal(answer.status, 201, answer.text);
    return answer.json();
}

async function told(server, id) {
    return (await server.get(`/webhooks/${id}`)).json();
}

const idsIn = (receiver, channel) => receiver.deliveries.filter(({ body }) => body.channel === channel).map(({ body }) => body.id);

test("a failing event holds back its channel at its endpoint, and nothing else", async (t) => {
    const server = await startServer(t, { data: true });
    const receiver = await Receiver.start(t);
    const other = await Receiver.start(t);
    let broken = true;
    receiver.answer = ({ body }) => (broken && body.channel === "a/bad" && body.data.n === 0 ? 500 : 200);
    const { id } = await register(server, receiver.url, ["a/*"], { schedule: [3600] });
    await register(server, other.url, ["a/*"]);
    const bad = await publishMany(server, "a/bad", 50);
    const good = await publishMany(server, "a/good", 300);
    await receiver.until(() => idsIn(receiver, "a/good").length === 300, "the good channel");
    await other.events(350);
    assert.deepEqual(idsIn(receiver, "a/good"), good);
    assert.deepEqual(idsIn(receiver, "a/bad"), bad.slice(0, 1));
    await eventually(async () => (await told(server, id)).lag === 50, "the bad channel alone to be owed");
    assert.equal((await told(server, id)).held, 1);
    const failedOnes = async () => (await server.get(`/webhooks/${id}/deliveries?state=failed`)).json().deliveries;
    await eventually(async () => (await failedOnes()).length === 1, "the failure on record"); /* else it would be sent again at once */
    /* So it is after a crash. */
    await server.restart();
    const more = await publishMany(server, "a/good", 10);
    const newOf = () => idsIn(receiver, "a/good").filter((event) => more.includes(event));
    await receiver.until(() => newOf().length === 10, "the good channel");
    assert.deepEqual(newOf(), more);
    assert.deepEqual(idsIn(receiver, "a/bad"), bad.slice(0, 1));
    broken = false;
    const failed = await failedOnes();
    assert.equal(failed.length, 1);
    const retry = await server.request("POST", `/webhooks/${id}/deliveries/${failed[0].n}/retry`);
    assert.equal(retry.status, 202, retry.text);
    await receiver.until(() => idsIn(receiver, "a/bad").length === 51, "the bad channel");
    assert.deepEqual(idsIn(receiver, "a/bad"), [bad[0], ...bad]);
    await eventually(async () => (await told(server, id)).lag === 0, "nothing to be owed");
});

test("in order there is one request at a time in a channel, and several channels go side by side", async (t) => {
    const server = await startServer(t);
    const receiver = await Receiver.start(t);
    receiver.answer = () => "hang";
    await register(server, receiver.url, ["a/*"], { concurrency: 3 });
    const ids = await Promise.all(["1", "2", "3", "4"].map((name) => publishMany(server, `a/${name}`, 3)));
    await receiver.until(() => receiver.deliveries.length === 3, "three requests");
    assert.equal(new Set(receiver.deliveries.map(({ body }) => body.channel)).size, 3);
    receiver.answer = () => 200;
    receiver.release();
    await receiver.events(12);
    for (const [n, wanted] of ids.entries()) {
        assert.deepEqual(idsIn(receiver, `a/${n + 1}`), wanted);
    }
});

test("without order failing events are set aside, and the others go on, of the same channel too", async (t) => {
    const server = await startServer(t, { data: true });
    const receiver = await Receiver.start(t);
    receiver.answer = ({ body }, before) => (body.data.n % 50 === 0 && before === 0 ? 500 : 200);
    const { id } = await register(server, receiver.url, ["a"], { ordered: false, concurrency: 8, schedule: [0.01] });
    const ids = await publishMany(server, "a", 200);
    await receiver.until(() => receiver.deliveries.length === 204, "four to come again");
    assert.deepEqual(new Set(receiver.distinct().map((event) => event.id)), new Set(ids));
    await eventually(async () => (await told(server, id)).lag === 0, "nothing to be owed");
});

test("endpoints that hang or refuse do not keep the others from getting everything", async (t) => {
    const server = await startServer(t);
    const hanging = await Receiver.start(t);
    const refusing = await Receiver.start(t);
    const healthy = await Receiver.start(t);
    hanging.answer = () => "hang";
    refusing.answer = () => 503;
    for (let n = 0; n < 10; n++) {
        await register(server, hanging.url, ["a/*"]);
        await register(server, refusing.url, ["a/*"]);
    }
    const made = [];
    for (let n = 0; n < 80; n++) {
        made.push(await register(server, `${healthy.url}?${n}`, ["a/*"]));
    }
    const ids = await publishMany(server, "a/1", 20);
    await healthy.until(() => healthy.deliveries.length === 80 * 20, "all of the healthy", 60_000);
    for (let n = 0; n < 80; n++) {
        const got = healthy.deliveries.filter(({ path }) => path.endsWith(`?${n}`)).map(({ body }) => body.id);
        assert.deepEqual(got, ids);
    }
    await hanging.until(() => hanging.held.length >= 10, "the hanging ones to hang");
    assert.equal(hanging.distinct().length, 1);
});

test("when everything fails the circuit opens: what is new waits, and flows again after a success", async (t) => {
    const server = await startServer(t);
    const receiver = await Receiver.start(t);
    receiver.answer = () => 500;
    const { id } = await register(server, receiver.url, ["a/*"], { schedule: [3600], concurrency: 1 });
    const ids = [];
    for (let n = 0; n < 40; n++) {
        ids.push((await publish(server, `a/${n}`, "x")).id);
    }
    await eventually(async () => (await told(server, id)).circuit === "open", "the circuit to be open");
    assert.equal(receiver.distinct().length, 5, "after five failures nothing new is tried");
    assert.equal((await told(server, id)).state, "failing");
    receiver.answer = () => 200;
    assert.equal((await server.request("POST", `/webhooks/${id}/retry`)).status, 202);
    await receiver.events(40);
    await eventually(async () => (await told(server, id)).lag === 0, "nothing to be owed");
    assert.equal((await told(server, id)).circuit, "closed");
    assert.equal((await told(server, id)).state, "active");
    assert.deepEqual(new Set(receiver.distinct().map((event) => event.id)), new Set(ids));
});
