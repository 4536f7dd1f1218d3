// The playground in Chromium, as somebody sees it who has never heard of WebSockets.

import assert from "node:assert/strict";
import { eventually, startServer, test } from "./support/index.mjs";
import { assertFits, LOOKS, openPage, skip } from "./support/pages.mjs";
import { freePort } from "./support/program.mjs";

const NAMES = ["Streaming", "Long-polling", "WebSocket", "Webhook"];

const switchOf = (page, name) => page.getByRole("switch", { name });
const cells = (page, text) => page.locator("#arrivals tbody tr", { hasText: text }).first().locator("td.number").allTextContents();

/** Publishes by the page, and waits until the event is in the table; gives what the table says of it when `isDone`. */
async function say(page, text, isDone) {
    await page.getByLabel("Say something").fill(text);
    await page.getByRole("button", { name: "Publish" }).click();
    return eventually(async () => {
        const all = await cells(page, text);
        return all.length === 4 && isDone(all) && all;
    }, `${text} in the table`);
}

/** Pulls the plug of a way. That of the webhook is out when the server has said so, which delivers until then. */
async function cut(page, name) {
    const paused = name === "Webhook" && page.waitForResponse(/\/pause$/);
    await switchOf(page, name).uncheck();
    await paused;
}

const isTime = (cell) => /^\d+(\.\d)?$/.test(cell);

test("an event arrives in all four ways, and says after how many milliseconds", { skip }, async (t) => {
    const page = await openPage(await startServer(t), "/playground");
    assert.deepEqual(await page.locator(".way h2").allTextContents(), NAMES);
    await say(page, "hello you", (all) => all.every(isTime));
    for (const wire of await page.locator(".wire").allTextContents()) {
        assert.match(wire, /"data":"hello you"/);
    }
    await page.getByRole("button", { name: "Five at once" }).click();
    await eventually(async () => await page.locator("#arrivals tbody tr").count() === 6 &&
        (await page.locator("#arrivals td.number").allTextContents()).every(isTime), "five more");
    assert.deepEqual(page.complaints, []);
});

test("a way that is cut off misses events, and gets them in order when it is back", { skip }, async (t) => {
    const page = await openPage(await startServer(t), "/playground");
    await say(page, "before", (all) => all.every(isTime));
    for (const [index, name] of NAMES.entries()) {
        const state = page.locator(".way").nth(index).locator(".state");
        await cut(page, name);
        for (const text of [`one without ${name}`, `two without ${name}`]) {
            await say(page, text, (all) => all[index] === "off" && all.every((cell, i) => i === index || isTime(cell)));
        }
        await eventually(async () => /misses 2 events/.test(await state.textContent()), "what it misses");
        await switchOf(page, name).check();
        await eventually(async () => (await cells(page, `two without ${name}`))[index] === "caught up" &&
            (await cells(page, `one without ${name}`))[index] === "caught up", `${name} to catch up`);
    }
    await say(page, "after", (all) => all.every(isTime));
    assert.deepEqual(page.complaints, []);
});

test("an event from before the webhook is registered arrives by it too, also if it was cut off first", { skip }, async (t) => {
    const server = await startServer(t);
    const page = await openPage(server, "/demos/");
    let register;
    const held = new Promise((resolve) => (register = resolve));
    await page.route("**/playground/webhooks", (route) => held.then(() => route.continue()));
    await page.goto(`${server.url}/playground`);
    await say(page, "early", (all) => all.slice(0, 3).every(isTime));
    await switchOf(page, "Webhook").uncheck();
    await say(page, "without", (all) => all.slice(0, 3).every(isTime) && all[3] === "off");
    register();
    await switchOf(page, "Webhook").check();
    await eventually(async () => (await cells(page, "early"))[3] !== "…" && (await cells(page, "without"))[3] !== "off", "the webhook's");

    /* Nothing was said yet when the plug is pulled. */
    await page.reload();
    await page.getByText("Registered: the server calls").waitFor();
    await cut(page, "Webhook");
    await say(page, "missed", (all) => all.slice(0, 3).every(isTime) && all[3] === "off");
    await switchOf(page, "Webhook").check();
    await eventually(async () => (await cells(page, "missed"))[3] === "caught up", "the missed one");
    await say(page, "after", (all) => all.every(isTime));
    assert.deepEqual(page.complaints, []);
});

test("five questions say which way is mine", { skip }, async (t) => {
    const page = await openPage(await startServer(t), "/playground");
    const table = [[{ browser: "yes" }, "Streaming"], [{ server: "yes", browser: "no" }, "Webhook"], [{ talks: "yes" }, "WebSocket"],
        [{ proxies: "yes", always: "no" }, "Long-polling"]];
    for (const [answers, wanted] of table) {
        await page.reload();
        for (const [name, value] of Object.entries(answers)) {
            await page.locator(`input[name=${name}][value=${value}]`).check();
        }
        assert.equal(await page.locator("#advice h3").textContent(), wanted);
    }
});

for (const [what, options] of LOOKS) {
    test(`${what}, the playground fits, and axe finds nothing`, { skip }, async (t) => {
        const page = await openPage(await startServer(t), "/playground", options);
        await say(page, "a sentence that is long enough to be wrapped on a phone, twice even, if need be", (all) => all.every(isTime));
        await assertFits(page);
        assert.deepEqual(page.complaints, []);
    });
}

test("a server with access rules says what the playground lacks, and with that it works", { skip }, async (t) => {
    const closed = await openPage(await startServer(t, { config: "access: {anybody: []}\n" }), "/playground");
    const rules = await closed.locator("#rights pre").textContent();
    await closed.getByText("its playground is closed").waitFor();
    for (const state of await closed.locator(".way .state").all()) {
        await eventually(async () => /^Refused: /.test(await state.textContent()), "a refusal");
    }
    const page = await openPage(await startServer(t, { config: `access: {anybody: []}\n${rules}\n` }), "/playground");
    await say(page, "with rights", (all) => all.every(isTime)); /* the webhook too, which may go to no address of this machine */
    assert.equal(await page.locator("#rights").isVisible(), false);
    assert.match(await page.locator(".way").last().locator(".wire").textContent(), /webhook-signature: v1,/i);
});

test("when a server that keeps nothing is restarted, all four go on", { skip }, async (t) => {
    const port = await freePort();
    const server = await startServer(t, { listen: `127.0.0.1:${port}` });
    const page = await openPage(server, "/playground");
    await say(page, "before", (all) => all.every(isTime));
    const states = () => page.locator(".way .state").allTextContents();
    await server.kill();
    await eventually(async () => (await states()).every((text) => /^Not connected/.test(text)), "all four to notice");
    await server.start();
    await eventually(async () => (await states()).every((text) => /^(Live|Registered)/.test(text)), "all four");
    await say(page, "after", (all) => all.every(isTime));
});

test("two tabs leave room for each other, and a tab that is left takes its webhook along", { skip }, async (t) => {
    const server = await startServer(t);
    const first = await openPage(server, "/demos/");
    const context = await first.context().browser().newContext();
    await first.goto("about:blank");
    const [one, second] = [await context.newPage(), await context.newPage()];
    await one.goto(`${server.url}/playground`);
    await second.goto(`${server.url}/playground`);
    for (const page of [one, second]) {
        await say(page, "here", (all) => all.every(isTime));
    }
    await eventually(async () => (await server.get("/webhooks")).json().webhooks.length === 2, "two webhooks");
    await second.goto("about:blank");
    await eventually(async () => (await server.get("/webhooks")).json().webhooks.length === 1, "one webhook");
});
