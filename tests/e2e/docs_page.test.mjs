// The page /docs in Chromium: the API by task, from the descriptions that programs read.

import assert from "node:assert/strict";
import { argumentsOf, curl, eventually, startServer, test } from "./support/index.mjs";
import { assertFits, launch, LOOKS, newPage, openPage, skip } from "./support/pages.mjs";

/** The page /docs of `server`, once it has rendered; it complains of what comes from elsewhere, too. */
async function open(server, path, options = {}) {
    const page = await newPage(await launch(server), { permissions: ["clipboard-read", "clipboard-write"], ...options });
    page.on("request", (request) => new URL(request.url()).origin === server.url || request.url().startsWith("data:") || page.complaints.push(request.url()));
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
    const line = await eventually(() => page.evaluate(() => navigator.clipboard.readText()), "a line in the clipboard");
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

for (const [what, options] of LOOKS) {
    for (const [path, opens] of [["/docs", ["#publish", "#readEvents", "#createWebhook"]], ["/errors", []], ["/errors/gap", []]]) {
        test(`${what}, ${path} fits, and axe finds nothing`, { skip }, async (t) => {
            const server = await startServer(t);
            const page = path === "/docs" ? await open(server, path, options) : await openPage(server, path, options);
            for (const id of opens) {
                await page.locator(`${id} > summary`).click();
            }
            if (process.env.SHOTS) {
                await page.screenshot({ path: `${process.env.SHOTS}/${what.replaceAll(" ", "_")}${path.replaceAll("/", "_")}.png` });
            }
            await assertFits(page);
            assert.deepEqual(page.complaints, []);
        });
    }
}
