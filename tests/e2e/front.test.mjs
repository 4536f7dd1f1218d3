// The page that a person gets at /: wide and narrow, light and dark.

import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { chromium } from "playwright-core";
import { startServer, test } from "./support/index.mjs";
import { lacksBrowser, programOf } from "./support/browser.mjs";

const AXE = createRequire(import.meta.url).resolve("axe-core/axe.min.js");
const skip = lacksBrowser("chromium");

for (const [what, options] of [["wide and light", { colorScheme: "light" }], ["wide and dark", { colorScheme: "dark" }],
    ["narrow and light", { viewport: { width: 390, height: 844 } }], ["narrow and dark", { viewport: { width: 390, height: 844 }, colorScheme: "dark" }]])
    test(`${what}, the page fits, and axe finds nothing`, { skip }, async (t) => {
        const server = await startServer(t, { config: "base: /rt\n" });
        const browser = await chromium.launch({ executablePath: programOf("chromium"), args: ["--no-sandbox"] });
        server.onStop(() => browser.close());
        const page = await browser.newPage({ viewport: { width: 1280, height: 900 }, bypassCSP: true, ...options });
        const complaints = [];
        page.on("console", (message) => ["error", "warning"].includes(message.type()) && complaints.push(message.text()));
        page.on("pageerror", (error) => complaints.push(error.message));
        await page.goto(`${server.url}/rt/`);
        assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), "it is wider than the window");
        assert.equal(await page.locator("[data-origin]").first().textContent(), `${server.url}/rt`);
        await page.addScriptTag({ path: AXE });
        const { violations } = await page.evaluate(() => globalThis.axe.run());
        assert.deepEqual(violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join(" ")}`), []);
        await page.getByText("All paths of this server").click();
        await page.locator(".door").first().click();
        await page.waitForURL("**/rt/playground");
        assert.deepEqual(complaints, []);
    });
