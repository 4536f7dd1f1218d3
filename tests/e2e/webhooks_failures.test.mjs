// What becomes of what fails: attempts on record, letters that are given up and sent again, endpoints that are
// disabled, and the events that say so.

import assert from "node:assert/strict";
import { eventually, publish, publishMany, startServer, sideBySide } from "./support/index.mjs";
import { assertProblem } from "./support/problems.mjs";
import { Receiver } from "./support/receiver.mjs";

const { test } = sideBySide(4);

async function register(server, url, channels, more = {}) {
    const answer = await server.request("POST", "/webhooks", { body: { url, channels, ...more } });
    assert.equal(answer.status, 201, answer.text);
    return answer.json();
}

const told = async (server, id) => (await server.get(`/webhooks/${id}`)).json();
const deliveries = async (server, id, query = "") => (await server.get(`/webhooks/${id}/deliveries${query}`)).json();
const notices = async (server, id) => server.history(`$webhooks/${id}`);

/** The dead letter of a webhook, once it is on record. */
const deadLetter = (server, id) => eventually(async () => (await deliveries(server, id, "?state=dead")).deliveries[0], "the letter on record");

test("each attempt is on record: when, how long, what came back", async (t) => {
    const server = await startServer(t, { data: true });
    const receiver = await Receiver.start(t);
    receiver.answer = (request, before) => (before < 2 ? { status: 500 + before } : 200);
    const { id } = await register(server, receiver.url, ["a"], { schedule: [0.01, 0.01] });
    const event = await publish(server, "a", "x", { "Event-Type": "t" });
    await receiver.until(() => receiver.deliveries.length === 3, "three attempts");
    const [one] = await eventually(async () => {
        const { deliveries: list } = await deliveries(server, id, "?state=delivered");
        return list.length === 1 && list;
    }, "the delivery on record");
    assert.equal(one.event, event.id);
    assert.equal(one.channel, "a");
    assert.equal(one.type, "t");
    assert.deepEqual(one.attempts.map(({ number, status }) => [number, status]), [[1, 500], [2, 501], [3, 200]]);
    for (const attempt of one.attempts) {
        assert.ok(attempt.ms >= 0 && attempt.ms < 30_000);
        assert.ok(Math.abs(Date.parse(attempt.time) - Date.now()) < 60_000);
    }
    assert.deepEqual((await deliveries(server, id, "?state=failed")).deliveries, []);
    assert.deepEqual((await server.get(`/webhooks/${id}/deliveries/${one.n}`)).json(), one);
    await server.restart();
    assert.deepEqual((await deliveries(server, id)).deliveries, [one]);
    assertProblem(await server.get(`/webhooks/${id}/deliveries/999999`), 404);
    assertProblem(await server.get(`/webhooks/${id}/deliveries?state=lost`), 400);
});

test("the record is paged, newest first, and filtered by channel and event", async (t) => {
    const server = await startServer(t);
    const receiver = await Receiver.start(t);
    const { id } = await register(server, receiver.url, ["a/*"]);
    const ids = [...await publishMany(server, "a/1", 25), ...await publishMany(server, "a/2", 5)];
    await receiver.events(30);
    await eventually(async () => (await deliveries(server, id)).deliveries.length === 30, "30 on record");
    const seen = [];
    for (let next = "?limit=7"; next;) {
        const page = await deliveries(server, id, next);
        assert.ok(page.deliveries.length <= 7);
        seen.push(...page.deliveries);
        next = page.next;
    }
    assert.deepEqual(seen.map(({ n }) => n), seen.map(({ n }) => n).toSorted?.((a, b) => b - a) ?? seen.map(({ n }) => n).slice().sort((a, b) => b - a));
    assert.deepEqual(new Set(seen.map(({ event }) => event)), new Set(ids));
    assert.equal((await deliveries(server, id, "?channel=a/2")).deliveries.length, 5);
    assert.deepEqual((await deliveries(server, id, `?event=${ids[3]}`)).deliveries.map(({ event }) => event), [ids[3]]);
});

for (const ordered of [true, false]) {
    test(`a delivery refused while others are accepted becomes a dead letter, and is sent again on request (ordered: ${ordered})`, async (t) => {
        const server = await startServer(t, { data: true });
        const receiver = await Receiver.start(t);
        let healed = false;
        receiver.answer = ({ body }) => (!healed && body.data === "poison" ? 400 : 200);
        const { id } = await register(server, receiver.url, ["a/*"], { ordered, schedule: [0.01] });
        const poison = await publish(server, "a/1", "poison");
        await receiver.events(1);
        const behind = await publish(server, "a/1", "behind");
        await eventually(async () => {
            await publish(server, "a/2", "fine");
            return (await told(server, id)).dead === 1;
        }, "the letter to be dead");
        await receiver.until(() => receiver.deliveries.some(({ body }) => body.id === behind.id), "what was behind it");
        const letter = await deadLetter(server, id);
        assert.equal(letter.event, poison.id);
        await eventually(async () => (await notices(server, id)).some(({ type, data }) =>
            type === "exhausted" && data.event === poison.id && data.delivery === letter.n), "the notice");
        await server.restart();
        assert.equal((await told(server, id)).dead, 1);
        /* Its event is kept with it, whatever becomes of the log. */
        await server.request("DELETE", "/channels/a/1");
        healed = true;
        const before = receiver.deliveries.length;
        assert.deepEqual((await server.request("POST", `/webhooks/${id}/retry`)).json(), { retrying: 1 });
        const again = await receiver.until(() => receiver.deliveries.slice(before).find(({ body }) => body.id === poison.id), "the letter");
        assert.equal(again.body.data, "poison");
        await eventually(async () => (await told(server, id)).dead === 0, "no dead letter");
        assert.deepEqual((await deliveries(server, id, "?state=failed")).deliveries, []);
    });
}

test("a dead letter that was dealt with otherwise is dropped by DELETE", async (t) => {
    const server = await startServer(t);
    const receiver = await Receiver.start(t);
    receiver.answer = ({ body }) => (body.data === "poison" ? 400 : 200);
    const { id } = await register(server, receiver.url, ["a/*"], { schedule: [0.01] });
    await publish(server, "a/1", "poison");
    await eventually(async () => {
        await publish(server, "a/2", "fine");
        return (await told(server, id)).dead === 1;
    }, "the letter to be dead");
    const letter = await deadLetter(server, id);
    assert.equal((await server.request("DELETE", `/webhooks/${id}/deliveries/${letter.n}`)).status, 204);
    assert.equal((await told(server, id)).dead, 0);
    assertProblem(await server.request("DELETE", `/webhooks/${id}/deliveries/${letter.n}`), 404);
});

test("failing and recovered are told on $webhooks/ID, by any mechanism, and nobody else publishes there", async (t) => {
    const server = await startServer(t);
    const receiver = await Receiver.start(t);
    receiver.answer = (request, before) => (before < 5 ? 500 : 200);
    const { id } = await register(server, receiver.url, ["a"], { schedule: Array(9).fill(0.01) });
    const stream = await server.ndjson(`/channels/$webhooks/${id}`);
    await publish(server, "a", "x");
    await receiver.until(() => receiver.deliveries.length === 6, "six attempts");
    await eventually(async () => (await notices(server, id)).length >= 2, "two notices");
    const [failing, recovered] = await notices(server, id);
    assert.equal(failing.type, "failing");
    assert.equal(failing.data.webhook, id);
    assert.equal(failing.data.status, 500);
    assert.ok(Date.parse(failing.data.disabled_at) > Date.now() + 4 * 86400_000);
    assert.equal(recovered.type, "recovered");
    assert.equal(recovered.data.failures, 5);
    stream.close?.();
    assertProblem(await server.post(`$webhooks/${id}`, "fake"), 403);
});

test("410 is told as disabled; resuming takes up at the cursor", async (t) => {
    const server = await startServer(t, { data: true });
    const receiver = await Receiver.start(t);
    receiver.answer = () => 410;
    const { id } = await register(server, receiver.url, ["a"]);
    const first = await publish(server, "a", "1");
    await eventually(async () => (await told(server, id)).state === "disabled", "it to be disabled");
    const second = await publish(server, "a", "2");
    await eventually(async () => (await notices(server, id)).some(({ type, data }) => type === "disabled" && data.reason === "gone"), "the notice");
    receiver.answer = () => 200;
    assert.equal((await server.request("POST", `/webhooks/${id}/resume`)).status, 200);
    await receiver.events(2);
    assert.deepEqual(receiver.deliveries.map(({ body }) => body.id), [first.id, first.id, second.id]);
});

test("a request that takes longer than the endpoint's timeout has failed", async (t) => {
    const server = await startServer(t);
    const receiver = await Receiver.start(t);
    receiver.answer = (request, before) => (before === 0 ? "hang" : 200);
    const { id } = await register(server, receiver.url, ["a"], { timeout: 1, schedule: [0.01] });
    await publish(server, "a", "x");
    await receiver.until(() => receiver.deliveries.length === 2, "another attempt");
    const [one] = await eventually(async () => (await deliveries(server, id, "?state=delivered")).deliveries, "the record");
    await eventually(async () => (await deliveries(server, id, "?state=delivered")).deliveries.length === 1, "the record");
    const [done] = (await deliveries(server, id)).deliveries;
    assert.equal(done.attempts[0].status, null);
    assert.match(done.attempts[0].error, /[Tt]imeout/);
    assert.ok(one === undefined || one.n === done.n);
});

test("a delivered event is sent again when asked, under the same webhook-id", async (t) => {
    const server = await startServer(t);
    const receiver = await Receiver.start(t);
    const { id } = await register(server, receiver.url, ["a"]);
    await publish(server, "a", "x");
    await receiver.events(1);
    await eventually(async () => (await deliveries(server, id)).deliveries.length === 1, "it on record");
    const [{ n }] = (await deliveries(server, id)).deliveries;
    assert.equal((await server.request("POST", `/webhooks/${id}/deliveries/${n}/retry`)).status, 202);
    await receiver.until(() => receiver.deliveries.length === 2, "it to come again");
    const [one, two] = receiver.deliveries;
    assert.equal(one.headers["webhook-id"], two.headers["webhook-id"]);
    await eventually(async () => (await deliveries(server, id)).deliveries[0].attempts.length === 2, "both attempts");
    assertProblem(await server.request("POST", `/webhooks/${id}/deliveries/4711/retry`), 404);
});

test("many deliveries can be sent again, one after the other", async (t) => {
    const server = await startServer(t, { data: true });
    const receiver = await Receiver.start(t);
    const { id } = await register(server, receiver.url, ["a"]);
    await publishMany(server, "a", 80);
    await receiver.events(80);
    await eventually(async () => (await deliveries(server, id)).deliveries.length === 80, "them on record");
    for (const { n } of (await deliveries(server, id)).deliveries) {
        assert.equal((await server.request("POST", `/webhooks/${id}/deliveries/${n}/retry`)).status, 202);
    }
    await receiver.until(() => receiver.deliveries.length === 160, "all of them again");
});
