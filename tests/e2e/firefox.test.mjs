// Every page, the demos and freshet.js in Firefox, wide and narrow: they do what they do, fit, and Firefox complains of nothing.

import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { firefox } from "playwright-core";
import { eventually, startServer, test } from "./support/index.mjs";
import { firefoxPreferences, lacksBrowser, programOf } from "./support/browser.mjs";
import { furnished, turn, VIEWS } from "./support/console.mjs";
import { CONFIG, FILL } from "./support/demos.mjs";
import { patient } from "./support/pages.mjs";

const skip = lacksBrowser("firefox");
const SHOTS = process.env.SCREENSHOTS; /* a folder for pictures, for people to look at */
const WIDTHS = { wide: { width: 1280, height: 900 }, narrow: { width: 390, height: 844 } };
const BETWEEN = fileURLToPath(new URL("support/firefox_bidi.mjs", import.meta.url));
const START_MS = 180_000; /* six times what Firefox takes on a machine that is busy */

/** The Firefox that is installed, by WebDriver BiDi; the end of the server closes it. */
async function launch(server) {
    const browser = patient(await firefox.launch({
        channel: "moz-firefox", executablePath: BETWEEN, env: { ...process.env, FIREFOX_PROGRAM: programOf("firefox") },
        firefoxUserPrefs: firefoxPreferences(), timeout: START_MS,
    }));
    server.onStop(() => browser.close());
    return browser;
}

/** A page of `server` whose `complaints` are those of Firefox. */
async function visit(browser, server, path, viewport = WIDTHS.wide) {
    const page = await browser.newPage({ viewport });
    page.complaints = [];
    page.on("console", (message) => ["error", "warning"].includes(message.type()) && page.complaints.push(message.text()));
    page.on("pageerror", (error) => page.complaints.push(error.message));
    await page.goto(`${server.url}/${path}`);
    return page;
}

async function check(page, name) {
    assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), `${name} is wider than the window`);
    assert.deepEqual(page.complaints, [], name);
    if (SHOTS) {
        await page.screenshot({ path: `${SHOTS}/firefox-${name.replaceAll(/\W+/g, "_")}.png` });
        page.complaints.length = 0; /* for a picture playwright tries to add a style of its own */
    }
}

/** Shows a view of the console. Playwright waits in vain for the end of a navigation within a page by BiDi. */
const show = (page, place) => page.evaluate((hash) => location.assign(hash), `#/${place}`);

for (const [what, viewport] of Object.entries(WIDTHS)) {
    test(`${what}, the first page, the API, errors and paths that are nowhere fit`, { skip }, async (t) => {
        const server = await startServer(t);
        const browser = await launch(server);
        for (const [path, text] of [["", "Try it"], ["docs", "Publish"], ["errors/", "What errors mean"], ["errors/gap", "What to do"], ["nowhere", "Nothing was found"], ["hub", "POST"]]) {
            const page = await visit(browser, server, path, viewport);
            await page.getByText(text).first().waitFor({ state: "attached" });
            page.complaints = page.complaints.filter((complaint) => !/\b40[45]\b/.test(complaint));
            await check(page, `${path || "first"} ${what}`);
            await page.close();
        }
    });

    test(`${what}, each view of the console shows what is there`, { skip }, async (t) => {
        const { server, hook } = await furnished(t);
        const page = await visit(await launch(server), server, "console", viewport);
        for (const place of [...VIEWS, "channels/orders%2F17", `webhooks/${hook.id}`]) {
            await turn(page, () => show(page, place));
            place === "overview" && await page.locator(".line-0[d*=L]").first().waitFor({ state: "attached" });
            await check(page, `${place.replace(hook.id, "one")} ${what}`);
        }
    });

    test(`${what}, an event that is published in the console shows`, { skip }, async (t) => {
        const server = await startServer(t);
        const page = await visit(await launch(server), server, "console#/channels/orders%2F17", viewport);
        await page.getByText("New events appear on top.").waitFor();
        await page.getByLabel("Data").fill("said in Firefox");
        await page.getByRole("button", { name: "Publish", exact: true }).click();
        await page.locator(".event", { hasText: "said in Firefox" }).waitFor();
        assert.equal((await server.history("orders/17")).at(-1).data, "said in Firefox");
        await check(page, `published ${what}`);
    });

    test(`${what}, the playground brings an event in all four ways`, { skip }, async (t) => {
        const server = await startServer(t);
        const page = await visit(await launch(server), server, "playground", viewport);
        await page.getByLabel("Say something").fill("hello you");
        await page.getByRole("button", { name: "Publish" }).click();
        const cells = () => page.locator("#arrivals tbody tr", { hasText: "hello you" }).first().locator("td.number").allTextContents();
        await eventually(async () => {
            const all = await cells();
            return all.length === 4 && all.every((cell) => /^\d+(\.\d)?$/.test(cell));
        }, "the event in all four ways");
        await check(page, `playground ${what}`);
    });

    test(`${what}, the demos show what a visitor does`, { skip }, async (t) => {
        const server = await startServer(t, { config: CONFIG });
        const browser = await launch(server);
        for (const [demo, fill] of Object.entries(FILL)) {
            const page = await visit(browser, server, `demos/${demo}`, viewport);
            await fill(page);
            await check(page, `demo ${demo || "list"} ${what}`);
            await page.close();
        }
    });
}

/* What a page does with the library: follows a channel by one mechanism, publishes, and watches who is there. */
async function useLibrary(base, mechanism) {
    const { connect } = await import(`${base}/freshet.js`);
    const client = connect(base, { mechanisms: [mechanism], as: "Ada" });
    const got = [];
    const room = await client.presence("demos/chat/ff");
    await new Promise((resolve, reject) => {
        client.subscribe(["demos/chat/ff"], {
            event: ({ data }) => got.push(data) === 2 && resolve(),
            live: () => client.publish("demos/chat/ff", mechanism).then(() => client.publish("demos/chat/ff", { n: 2 })).catch(reject),
            error: reject,
        });
    });
    await room.set({ mood: "calm" });
    const members = () => [...room.members().values()].map(({ member }) => member);
    while (!members().includes("Ada")) {
        await new Promise((resolve) => setTimeout(resolve, 20));
    }
    const used = client.mechanism;
    room.close();
    client.close();
    return { got, used };
}

test("freshet.js follows, publishes and watches by each mechanism", { skip }, async (t) => {
    const server = await startServer(t, { config: CONFIG });
    const browser = await launch(server);
    for (const mechanism of ["ws", "sse", "poll"]) {
        const page = await visit(browser, server, "");
        assert.deepEqual(await page.evaluate(`(${useLibrary})(${JSON.stringify(server.url)}, ${JSON.stringify(mechanism)})`),
            { got: [mechanism, { n: 2 }], used: mechanism });
        assert.deepEqual(page.complaints, []);
        await page.close();
    }
});
