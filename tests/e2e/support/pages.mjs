// Pages in Chromium as people see them: how they are opened, what the browser complains of, and whether they fit and are accessible.

import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { chromium } from "playwright-core";
import { lacksBrowser, programOf } from "./browser.mjs";
import { DEADLINE_MS } from "./wait.mjs";

const AXE = createRequire(import.meta.url).resolve("axe-core/axe.min.js");
const WIDE = { width: 1280, height: 900 };
const NARROW = { width: 390, height: 844 };

/** Why a test of pages is skipped; false where Chromium is installed. */
export const skip = lacksBrowser("chromium");

/** The looks in which each page must be right: their names, and the browser's options. The policy of our pages would keep axe out. */
export const LOOKS = [
    ["wide and light", { viewport: WIDE, colorScheme: "light", bypassCSP: true }],
    ["wide and dark", { viewport: WIDE, colorScheme: "dark", bypassCSP: true }],
    ["narrow and light", { viewport: NARROW, colorScheme: "light", bypassCSP: true }],
    ["narrow and dark", { viewport: NARROW, colorScheme: "dark", bypassCSP: true }],
];

/** Lets a page wait as long as tests do: the 30 s that playwright gives are near what a busy machine takes. */
export function patient(browser) {
    const open = browser.newContext.bind(browser); /* newPage() calls it, too */
    browser.newContext = async (...options) => {
        const context = await open(...options);
        context.setDefaultTimeout(DEADLINE_MS);
        return context;
    };
    return browser;
}

/** A browser that the end of `server` closes. */
export async function launch(server, ...args) {
    const browser = patient(await chromium.launch({ executablePath: programOf("chromium"), args: ["--no-sandbox", ...args], timeout: 3 * DEADLINE_MS }));
    server.onStop(() => browser.close());
    return browser;
}

/** An empty page of a person of its own; its `complaints` are what the browser complains of. */
export async function newPage(browser, options = {}) {
    const page = await browser.newPage({ viewport: WIDE, ...options });
    page.complaints = [];
    page.on("console", (message) => ["error", "warning"].includes(message.type()) && page.complaints.push(message.text()));
    page.on("pageerror", (error) => page.complaints.push(error.message));
    return page;
}

/** The page at `path` of `server`, in a browser of its own. */
export async function openPage(server, path, options = {}) {
    const page = await newPage(await launch(server), options);
    await page.goto(server.url + path);
    return page;
}

/** The page, opened in one of LOOKS, is no wider than its window, and axe finds nothing. */
export async function assertFits(page, what = "the page", axeOptions = {}) {
    assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), `${what} is wider than its window`);
    await page.addScriptTag({ path: AXE });
    const { violations } = await page.evaluate((options) => globalThis.axe.run(document, options), axeOptions);
    assert.deepEqual(violations.map(({ id, nodes }) => `${what}: ${id}: ${nodes.map(({ html }) => html).join(" ")}`), []);
}
