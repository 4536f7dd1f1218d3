// The page /docs in Chromium: the API by task, from the descriptions that programs read.

import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { chromium } from "playwright-core";
import { argumentsOf, curl, eventually, startServer, test } from "./support/index.mjs";
import { lacksBrowser, programOf } from "./support/browser.mjs";

const AXE = createRequire(import.meta.url).resolve("axe-core/axe.min.js");
const skip = lacksBrowser("chromium");

/** A page of `server` in a browser of its own, once it has rendered. */
async function open(server, path, options = {}) {
    const browser = await chromium.launch({ executablePath: programOf("chromium"), args: ["--no-sandbox"] });
    const context = await browser.newContext({ viewport: { width: 1280, height: 900 }, permissions: ["clipboard-read", "clipboard-write"], ...options });
    const page = await context.newPage();
    page.complaints = [];
    page.on("console", (message) => ["error", "warning"].includes(message.type()) && page.complaints.push(message.text()));
    page.on("pageerror", (error) => page.complaints.push(error.message));
    page.on("request", (request) => new URL(request.url()).origin === server.url || request.url().startsWith("data:") || page.complaints.push(request.url()));
    server.onStop(() => browser.close());
    await page.goto(server.url + path);
    await page.locator("#messages").waitFor({ state: "attached" });
    return page;
}

test("each operation is on the page, opens, and has a line of curl that works when it is copied", { skip }, async (t) => {
    const server = await startServer(t);
    const page = await open(server, "/docs");
    const { paths } = (await server.get("/openapi.json")).json();
    const ids = Object.values(paths).flatMap((item) => Object.values(item).map(({ operationId }) => operationId));
    for (const id of ids) {
        await page.locator(`#${id} > summary`).click();
        await page.locator(`#${id} .parts h3`, { hasText: /^Answer \d+/ }).first().waitFor();
    }
    await page.locator("#publish .copy").click();
    const line = await page.evaluate(() => navigator.clipboard.readText());
    const { stdout } = await curl(argumentsOf(line));
    assert.equal(JSON.parse(stdout).channel, "trades/btc");
    assert.match(await page.locator("#publish .parts").textContent(), /Idempotency-Key.*ephemeral|ephemeral.*Idempotency-Key/s);
    await page.locator("#publish .parts a", { hasText: "bad-channel" }).click();
    await page.getByRole("heading", { name: "What to do" }).waitFor();
    assert.deepEqual(page.complaints, []);
});

test("a word finds operations and messages, and a link leads to one", { skip }, async (t) => {
    const server = await startServer(t, { args: ["--base", "/rt"] });
    const page = await open(server, "/rt/docs#createWebhook");
    assert.equal(await page.locator("#createWebhook").evaluate((card) => card.open), true);
    assert.match(await page.locator("#createWebhook .curl").textContent(), new RegExp(`127.0.0.1:${server.port}/rt/webhooks`));
    await page.getByLabel("Find").fill("revoke");
    await eventually(async () => !(await page.locator("#publish").isVisible()), "others to go");
    assert.ok(await page.locator("#revoke").isVisible());
    await page.getByLabel("Find").fill("zzzz");
    await page.getByText("Nothing here has").waitFor();
    await page.getByLabel("Find").fill("");
    assert.ok(await page.locator("#publish").isVisible());
    assert.deepEqual(page.complaints, []);
});

for (const [what, options] of [["wide and light", { colorScheme: "light" }], ["wide and dark", { colorScheme: "dark" }],
    ["narrow and light", { viewport: { width: 390, height: 844 } }], ["narrow and dark", { viewport: { width: 390, height: 844 }, colorScheme: "dark" }]]) {
    for (const [path, opens] of [["/docs", ["#publish", "#readEvents", "#createWebhook"]], ["/errors", []], ["/errors/gap", []]]) {
        test(`${what}, ${path} fits, and axe finds nothing`, { skip }, async (t) => {
            const server = await startServer(t);
            const page = path === "/docs" ? await open(server, path, { ...options, bypassCSP: true }) : await plain(server, path, options);
            for (const id of opens) {
                await page.locator(`${id} > summary`).click();
            }
            if (process.env.SHOTS) {
                await page.screenshot({ path: `${process.env.SHOTS}/${what.replaceAll(" ", "_")}${path.replaceAll("/", "_")}.png` });
            }
            assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), "it is wider than the window");
            await page.addScriptTag({ path: AXE });
            const { violations } = await page.evaluate(() => globalThis.axe.run());
            assert.deepEqual(violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join(" ")}`), []);
            assert.deepEqual(page.complaints, []);
        });
    }
}

/** A page that needs no script. */
async function plain(server, path, options) {
    const browser = await chromium.launch({ executablePath: programOf("chromium"), args: ["--no-sandbox"] });
    server.onStop(() => browser.close());
    const page = await browser.newPage({ viewport: { width: 1280, height: 900 }, ...options, bypassCSP: true });
    page.complaints = [];
    await page.goto(server.url + path);
    return page;
}
