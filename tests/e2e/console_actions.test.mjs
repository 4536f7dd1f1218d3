// What an operator does in the console, each action seen to have effect by the API: webhooks changed and sent again from a time on, dead
// letters, subscribers, publishing, keys and revocations.

import assert from "node:assert/strict";
import { eventually, startServer, test } from "./support/index.mjs";
import { ALL, button, closedServer, deliveries, go, open, post, said, tokenFor } from "./support/console.mjs";
import { skip } from "./support/pages.mjs";
import { Receiver } from "./support/receiver.mjs";

/** A moment as the field of a form takes it: by the clock of this computer, to the second. */
function fieldTime(date) {
    const local = new Date(date - date.getTimezoneOffset() * 60_000);
    return local.toISOString().slice(0, 19);
}

/** A server with a webhook to `receiver`, and its page in the console. */
async function withHook(t, settings = {}) {
    const server = await startServer(t);
    const receiver = await Receiver.start(t);
    const hook = (await post(server, "/webhooks", { url: receiver.url, channels: ["orders/**"], ...settings })).json();
    const page = await open(t, server, `#/webhooks/${hook.id}`);
    const told = async () => (await server.get(`/webhooks/${hook.id}`)).json();
    return { server, receiver, hook, page, told, dialog: page.getByRole("dialog") };
}

test("a webhook is replayed from a time on, and sent nothing from before", { skip }, async (t) => {
    const { server, receiver, hook, page, dialog } = await withHook(t);
    await server.publish("orders/1", "before");
    await eventually(() => receiver.deliveries.length === 1, "the first");
    const between = new Date(Math.ceil((Date.now() + 1) / 1000) * 1000); /* the field has seconds */
    await eventually(() => Date.now() > +between, "the next second");
    await server.publish("orders/2", "after");
    await eventually(() => receiver.deliveries.length === 2, "the second");
    await button(page, "Replay …").click();
    await button(dialog, "Replay").click();
    await dialog.getByText("Say from which time on.").waitFor();
    await dialog.locator("[name=time]").fill(fieldTime(between));
    await button(dialog, "Replay").click();
    await said(page, "It is sent what comes after that place.");
    await eventually(() => receiver.deliveries.length === 3, "the second again");
    assert.deepEqual(receiver.deliveries.map(({ body }) => body.data), ["before", "after", "after"]);
    const before = receiver.deliveries[0].body.id;
    await button(page, "Replay …").click();
    await dialog.getByLabel("From").selectOption("id");
    assert.equal(await dialog.locator("[name=time]").isVisible(), false);
    await dialog.locator("[name=id]").fill(before);
    await button(dialog, "Replay").click();
    await eventually(() => receiver.deliveries.length === 4, "what comes behind the first");
    assert.equal((await deliveries(server, hook)).length > 0, true);
    assert.deepEqual(page.complaints, []);
});

test("a webhook is changed twice, and each change begins with what is in force", { skip }, async (t) => {
    const { receiver, page, told, dialog } = await withHook(t, { types: ["created"] });
    await button(page, "Change …").click();
    await dialog.getByLabel("Channels").fill("orders/** refunds");
    await dialog.getByLabel("Description").fill("the shop");
    await button(dialog, "Change").click();
    await said(page, "The webhook is changed.");
    const first = await told();
    assert.deepEqual([first.channels, first.types, first.description, first.url], [["orders/**", "refunds"], ["created"], "the shop", receiver.url]);
    await page.getByText("refunds", { exact: true }).waitFor();
    await button(page, "Change …").click();
    assert.equal(await dialog.getByLabel("Description").inputValue(), "the shop");
    assert.equal(await dialog.getByLabel("Channels").inputValue(), "orders/** refunds");
    await dialog.getByLabel("URL").fill(`${receiver.url}/new`);
    await dialog.getByLabel("Types").fill("");
    await dialog.getByLabel("Description").fill("");
    await button(dialog, "Change").click();
    await page.getByRole("heading", { level: 1, name: `${receiver.url}/new`, exact: true }).waitFor();
    const second = await told();
    assert.deepEqual([second.url, second.channels, second.types ?? [], second.description ?? ""], [`${receiver.url}/new`, ["orders/**", "refunds"], [], ""]);
    await button(page, "Change …").click();
    await dialog.getByLabel("Channels").fill("a//b");
    await button(dialog, "Change").click();
    await dialog.getByRole("alert").getByText(/channel|pattern|segment/).waitFor();
    await button(dialog, "Cancel").click();
    assert.deepEqual((await told()).channels, ["orders/**", "refunds"]);
    assert.deepEqual(page.complaints.filter((text) => !/status of 400/.test(text)), []);
});

test("dead letters are found, one is sent again, and another is dropped", { skip }, async (t) => {
    const { server, receiver, hook, page, told } = await withHook(t, { ordered: false, schedule: [0.01] });
    let status = 500;
    receiver.answer = ({ body }) => (body.channel === "orders/bad" ? status : 204);
    /* The circuit stays closed, since others are accepted meanwhile. */
    const dead = (n) => eventually(async () => {
        await server.publish("orders/good", "x");
        return (await told()).dead === n;
    }, `${n} dead letters`);
    await server.publish("orders/bad", "one");
    await server.publish("orders/bad", "two");
    await dead(2);
    await page.getByLabel("Show").selectOption("dead");
    await eventually(async () => await page.locator(".delivery").count() === 2, "two of them");
    await page.locator(".delivery summary").first().click();
    await page.getByText(/^POST \/hook HTTP/).waitFor();
    await button(page, "Drop").click();
    await said(page, /^Delivery \d+ is dropped/);
    await eventually(async () => (await told()).dead === 1, "one of them to be dropped");
    await eventually(async () => await page.locator(".delivery").count() === 1, "one left");
    const [left] = (await server.get(`/webhooks/${hook.id}/deliveries?state=dead`)).json().deliveries;
    const sent = () => receiver.deliveries.filter(({ body }) => body.channel === "orders/bad");
    const before = sent().length; /* twice each, and more often where nothing else was accepted between the two */
    status = 204;
    await page.locator(".delivery summary").first().click();
    await button(page, "Retry now").click();
    await said(page, /^Delivery \d+ is sent again/);
    await eventually(async () => (await told()).dead === 0, "no dead letter");
    await eventually(async () => await page.locator(".delivery").count() === 0, "an empty list");
    await page.getByText("There is no delivery like that.").waitFor();
    assert.equal((await deliveries(server, hook)).filter(({ state }) => state === "dead").length, 0);
    assert.deepEqual(sent().slice(before).map(({ body }) => body.id), [left.event], "the one that was left, once");
    status = 500;
    await server.publish("orders/bad", "three");
    await dead(1);
    status = 204;
    await button(page, "Retry all that failed").click();
    await said(page, "Sent again: one delivery.");
    await eventually(async () => (await told()).dead === 0, "none again");
    assert.deepEqual(page.complaints, []);
});

test("all that goes on under a subject is disconnected, and a reader of a channel from the channel's view", { skip }, async (t) => {
    const server = await closedServer(t);
    const bearer = async (subject) => ({ Authorization: `Bearer ${await tokenFor(ALL, subject)}` });
    const alice = [await server.ndjson("/channels/chat/1", { headers: await bearer("alice") }), await server.ndjson("/channels/chat/2", { headers: await bearer("alice") })];
    const bob = await server.ndjson("/channels/chat/1", { headers: await bearer("bob") });
    const page = await open(t, server, "#/subscribers?subject=alice");
    await page.getByLabel("Key or token").fill(await tokenFor(ALL));
    await button(page, "Use it").click();
    await eventually(async () => await page.locator("tbody tr:visible").count() === 2, "both of alice");
    await button(page, "Disconnect all of this subject").click();
    await button(page.getByRole("dialog"), "Disconnect").click();
    await said(page, "2 subscriptions of alice ended.");
    for (const stream of alice) {
        assert.equal((await stream.rest()).at(-1).reason, "disconnected");
    }
    await page.goto(`${server.url}/console#/channels/chat%2F1`);
    const readers = page.getByRole("region", { name: /^Subscribers/ });
    await readers.getByText("bob").waitFor();
    await button(readers, "Disconnect bob").click();
    await said(page, "bob is disconnected.");
    assert.equal((await bob.rest()).at(-1).reason, "disconnected");
    await eventually(async () => await readers.getByText("bob").count() === 0, "bob to be gone from the list");
    assert.deepEqual(page.complaints.filter((text) => !/status of 40[13]/.test(text)), []);
});

/** Opens the dialog that disconnects alice, with `held` in place of each later answer of the list. */
async function disconnecting(t, held) {
    const server = await closedServer(t);
    const headers = { Authorization: `Bearer ${await tokenFor(ALL, "alice")}` };
    const stream = await server.ndjson("/channels/chat/1", { headers });
    const page = await open(t, server, "#/subscribers?subject=alice");
    await page.getByLabel("Key or token").fill(await tokenFor(ALL));
    await button(page, "Use it").click();
    await button(page, "Disconnect all of this subject").click();
    await page.route(/\/subscribers\?/, (route) => (route.request().method() === "GET" ? held(route) : route.continue()));
    return { server, stream, page, dialog: page.getByRole("dialog") };
}

test("a dialog goes with its view, before it is answered and while its list is fetched anew", { skip }, async (t) => {
    const { page, dialog } = await disconnecting(t, () => {});
    await page.evaluate(() => (location.hash = "#/channels"));
    await page.getByRole("heading", { level: 1, name: "Channels" }).waitFor();
    assert.equal(await dialog.count(), 0);
    await page.unroute(/\/subscribers\?/);
    await page.evaluate(() => (location.hash = "#/subscribers?subject=alice"));
    await button(page, "Disconnect all of this subject").click();
    const asked = new Promise((resolve) => page.route(/\/subscribers\?/, (route) => (route.request().method() === "GET" ? resolve() : route.continue())));
    await button(dialog, "Disconnect").click();
    await said(page, "one subscription of alice ended.");
    await asked;
    await page.evaluate(() => (location.hash = "#/channels"));
    await page.getByRole("heading", { level: 1, name: "Channels" }).waitFor();
    assert.equal(await dialog.count(), 0);
});

test("an action that is done stays done in words if its list cannot be fetched anew", { skip }, async (t) => {
    const { stream, page, dialog } = await disconnecting(t, (route) => route.abort());
    await button(dialog, "Disconnect").click();
    await said(page, "one subscription of alice ended.");
    assert.equal((await stream.rest()).at(-1).reason, "disconnected");
    await page.getByText(/^Not refreshed: The server does not answer/).waitFor();
    assert.equal(await dialog.count(), 0);
});

test("the channel's view publishes JSON and text, kept and ephemeral, and says why it cannot", { skip }, async (t) => {
    const server = await startServer(t);
    const stream = await server.ndjson("/channels/orders/1");
    const page = await open(t, server, "#/channels/orders%2F1");
    await page.getByText("No event is kept here.").waitFor();
    await page.getByText("New events appear on top.").waitFor();
    const data = page.getByLabel("Data");
    await data.fill("plain words");
    await page.getByText("goes as text").waitFor();
    await data.press("Control+Enter");
    await page.getByText(/^Published as \d{16}\.$/).waitFor();
    await page.locator(".event", { hasText: "plain words" }).waitFor();
    await data.fill('{"price": 10.50}');
    await page.getByLabel("Type").fill("trade");
    await page.getByLabel(/^ephemeral/).check();
    await button(page, "Publish").click();
    await page.getByText("Sent to those who are connected now.").waitFor();
    await page.locator(".event", { hasText: "ephemeral" }).waitFor();
    const events = [];
    while (events.length < 2) {
        const record = await stream.next();
        record.op || events.push(record);
    }
    assert.deepEqual(events.map(({ type, data: said }) => [type, said]), [["message", "plain words"], ["trade", { price: 10.5 }]]);
    assert.equal((await server.history("orders/1")).length, 1);
    await page.getByLabel("Type").fill("error");
    await button(page, "Publish").click();
    await page.getByText(/^Not published: /).waitFor();
    assert.equal((await server.history("orders/1")).length, 1);
    assert.deepEqual(page.complaints.filter((text) => !/status of 400/.test(text)), []);
});

test("a key with two grants and an end is made, used and revoked, and what goes on under it ends", { skip }, async (t) => {
    const server = await closedServer(t);
    const page = await open(t, server, "#/keys");
    await page.getByLabel("Key or token").fill(await tokenFor(ALL));
    await button(page, "Use it").click();
    await button(page, "Make a key").first().click();
    const dialog = page.getByRole("dialog");
    await dialog.getByLabel("Name").fill("desk");
    await dialog.getByLabel("Channels").fill("orders/**, refunds");
    await button(dialog, "Another grant").click();
    const second = dialog.getByRole("group").nth(1);
    await second.getByLabel("Channels").fill("chat/*");
    await second.getByLabel("publish").check();
    await dialog.getByLabel("It ends").selectOption("86400");
    await button(dialog, "Make it").click();
    const key = await page.getByText(/^fk_/).textContent();
    const mine = { Authorization: `Bearer ${await tokenFor(ALL)}` };
    const [made] = (await server.get("/keys", mine)).json().keys;
    assert.deepEqual(made.grants, [{ channels: ["orders/**", "refunds"], may: ["read"] }, { channels: ["chat/*"], may: ["publish"] }]);
    assert.ok(Math.abs(Date.parse(made.expires) - Date.now() - 86400e3) < 60e3, made.expires);
    const row = page.locator("tbody tr", { hasText: "desk" });
    await row.getByText("never").waitFor();
    const stream = await server.ndjson("/channels/refunds", { headers: { Authorization: `Bearer ${key}` } });
    await eventually(async () => await row.getByText("never").count() === 0, "its use to be shown");
    await button(row, "Revoke the key desk").click();
    await button(dialog, "Cancel").click();
    assert.equal((await server.get("/keys", mine)).json().keys.length, 1);
    await button(row, "Revoke the key desk").click();
    await button(dialog, "Revoke").click();
    await said(page, "The key desk is revoked.");
    assert.equal((await stream.rest()).at(-1).reason, "revoked");
    assert.equal((await server.get("/keys", mine)).json().keys.length, 0);
    assert.deepEqual(page.complaints.filter((text) => !/status of 40[13]/.test(text)), []);
});

test("a token and a key are revoked until a time, with a reason, and the revocations are ended", { skip }, async (t) => {
    const server = await closedServer(t);
    const mine = { Authorization: `Bearer ${await tokenFor(ALL)}` };
    const { id, key } = (await post(server, "/keys", { name: "backend", grants: [{ channels: ["**"], may: ["read"] }] }, mine)).json();
    const page = await open(t, server, "#/keys");
    await page.getByLabel("Key or token").fill(await tokenFor(ALL));
    await button(page, "Use it").click();
    await page.getByText("Nothing is revoked.").waitFor();
    const dialog = page.getByRole("dialog");
    const until = new Date(Date.now() + 3600e3);
    for (const [kind, name] of [["key", id], ["jti", "token-17"]]) {
        await button(page, "Revoke …").click();
        await dialog.getByLabel("What").selectOption(kind);
        await dialog.getByLabel("Name").fill(name);
        await dialog.getByLabel("Until").fill(fieldTime(until).slice(0, 16));
        await dialog.getByLabel("Reason").fill("lost");
        await button(dialog, "Revoke").click();
        await said(page, `${name} is revoked.`);
    }
    const told = async () => (await server.get("/revocations", mine)).json().revocations;
    const list = await told();
    assert.deepEqual(list.map((one) => one.key ?? one.jti).sort(), [id, "token-17"].sort());
    for (const one of list) {
        assert.equal(one.reason, "lost");
        assert.ok(Math.abs(Date.parse(one.until) - until) <= 60e3, one.until);
    }
    const bearer = { Authorization: `Bearer ${key}` };
    assert.equal((await server.get("/channels/news", bearer)).status, 401);
    await button(page, `End the revocation of ${id}`).click();
    await button(dialog, "End it").click();
    await eventually(async () => (await told()).length === 1, "its end");
    assert.equal((await server.get("/channels/news", bearer)).status, 200);
    await button(page, "End the revocation of token-17").click();
    await button(dialog, "End it").click();
    await page.getByText("Nothing is revoked.").waitFor();
    await go(page, "Overview");
    assert.deepEqual(page.complaints.filter((text) => !/status of 40[13]/.test(text)), []);
});
