// Every page by the keyboard alone: Tab reaches all that can be used, shows where it is, and comes out at the end; dialogs give the focus back.

import assert from "node:assert/strict";
import { eventually, startServer, test } from "./support/index.mjs";
import { button, furnished, VIEWS } from "./support/console.mjs";
import { CONFIG, FILL } from "./support/demos.mjs";
import { launch, newPage, skip } from "./support/pages.mjs";

const MOST_STEPS = 400; /* of Tab, on any page */

/* Things to click that the keyboard reaches by another way, and by which. */
const ELSEWHERE = {
    "#map svg": "latitude and longitude are fields",
    ".station-mark": "each station is a button in the table",
};

/* In the page: where the focus is. */
const look = () => {
    const element = document.activeElement;
    const { outlineStyle, outlineWidth } = getComputedStyle(element);
    const box = element.getBoundingClientRect();
    const at = window.seen ??= new Map();
    const isNew = !at.has(element);
    at.set(element, true);
    return {
        html: element.cloneNode(false).outerHTML,
        isOutside: element === document.body || element === document.documentElement,
        isNew,
        hasRing: outlineStyle !== "none" && parseFloat(outlineWidth) > 0,
        isInSight: box.width > 0 && box.height > 0 && box.bottom > 0 && box.right > 0 && box.top < innerHeight && box.left < innerWidth,
    };
};

/* In the page: what can be used and was not reached; of a group of radio buttons one is enough. */
const missed = (elsewhere) => {
    const seen = window.seen ?? new Map();
    const shown = (element) => element.cloneNode(false).outerHTML;
    /* A list that refreshes itself has new elements in the place of those that Tab reached: each of these stands for one that is like it. */
    const gone = [...seen.keys()].filter((element) => !element.isConnected).map(shown);
    const tookPlace = (element) => gone.includes(shown(element)) && gone.splice(gone.indexOf(shown(element)), 1);
    const isUsable = (element) => element.checkVisibility({ visibilityProperty: true }) && !element.disabled && !element.closest("[inert]");
    const groups = new Set([...seen.keys()].filter(({ type }) => type === "radio").map(({ name }) => name));
    const wanted = [...document.querySelectorAll("a[href], button, input, select, textarea, summary, [tabindex]")]
        .filter((element) => isUsable(element) && element.getAttribute("tabindex") !== "-1" && !(element.type === "radio" && groups.has(element.name)));
    const clickable = [...document.querySelectorAll("body *")].filter((element) => isUsable(element) && element.onclick && element.tabIndex < 0 &&
        !element.closest(".note") && !elsewhere.some((selector) => element.matches(selector)));
    return [...wanted.filter((element) => !seen.has(element) && !tookPlace(element)), ...clickable].map(shown);
};

/** Presses Tab until the focus has gone round, and checks each place on its way. */
async function walk(page, what) {
    await page.evaluate(() => (document.activeElement?.blur(), window.seen = new Map()));
    let ends = 0, steps = 0;
    for (; steps < MOST_STEPS && ends < 2; steps++) {
        await page.keyboard.press("Tab");
        const place = await page.evaluate(look);
        if (place.isOutside) { /* behind the last; Tab may have begun in the middle, where something was clicked before */
            ends++;
            continue;
        }
        if (!place.isNew) {
            break;
        }
        assert.ok(place.hasRing, `${what}: no ring shows that the focus is on ${place.html}`);
        assert.ok(place.isInSight, `${what}: the focus is out of sight, on ${place.html}`);
    }
    assert.ok(steps < MOST_STEPS, `${what}: the focus never comes round`);
    assert.deepEqual(await page.evaluate(missed, Object.keys(ELSEWHERE)), [], `${what}: Tab does not reach these`);
    await assertNamed(page, what);
}

/** All that can have the focus has a name that is read out. */
async function assertNamed(page, what) {
    const session = await page.context().newCDPSession(page);
    const { nodes } = await session.send("Accessibility.getFullAXTree");
    await session.detach();
    const nameless = nodes.filter(({ ignored, role, name, properties }) => !ignored && !["RootWebArea", "main"].includes(role.value) && !name?.value &&
        properties.some((one) => one.name === "focusable" && one.value.value));
    assert.deepEqual(nameless.map(({ role }) => role.value), [], `${what}: without a name`);
}

/* What is there last on pages that a script fills. */
const READY = { "/playground": "#questions input", "/docs": "#messages", "/demos/chat/": "#rooms a" };

const PAGES = ["/", "/playground", "/docs", "/errors/", "/errors/gap", "/nowhere", ...Object.keys(FILL).map((name) => `/demos/${name}`)];

test("Tab reaches all that can be used on each page, and shows where it is", { skip }, async (t) => {
    const server = await startServer(t, { config: CONFIG });
    const browser = await launch(server);
    for (const path of PAGES) {
        const page = await newPage(browser);
        await page.goto(server.url + path);
        await page.locator(READY[path] ?? "body").first().waitFor();
        await FILL[/^\/demos\/(.*)$/.exec(path)?.[1]]?.(page);
        await walk(page, path);
        await page.close();
    }
});

test("Tab reaches all that can be used in each view of the console, and shows where it is", { skip }, async (t) => {
    const { server, hook } = await furnished(t);
    const page = await newPage(await launch(server));
    await page.goto(`${server.url}/console`);
    for (const view of [...VIEWS, "channels/news", "channels/orders%2F17", `webhooks/${hook.id}`]) {
        await page.goto(`${server.url}/console#/${view}`);
        await page.reload();
        await page.locator("#main:not([aria-busy]) h1").waitFor();
        await walk(page, view);
    }
});

/* Where a dialog opens, and by which button. */
const DIALOGS = [["channels", "Publish"], ["webhooks", "Register"], ["keys", "Make a key"], ["keys", "Revoke …"],
    ["webhooks/ID", "Replay …"], ["webhooks/ID", "Change …"], ["webhooks/ID", "New secret …"], ["webhooks/ID", "Delete …"]];

test("a dialog takes the focus, keeps it, and Escape gives it back to its button", { skip }, async (t) => {
    const { server, hook } = await furnished(t);
    const page = await newPage(await launch(server));
    for (const [view, name] of DIALOGS) {
        await page.goto(`${server.url}/console#/${view.replace("ID", hook.id)}`);
        await page.reload();
        const opener = button(page.locator("#main:not([aria-busy])"), name).first();
        await opener.focus();
        await page.keyboard.press("Enter");
        await page.locator("dialog[open]").waitFor();
        const isInside = () => page.evaluate(() => document.activeElement === document.body || document.activeElement.closest("dialog") !== null);
        const count = await page.locator("dialog :is(button, input, select, textarea)").count();
        for (let n = 0; n <= count; n++) {
            assert.ok(await isInside(), `${name}: the focus has left the dialog`);
            await page.keyboard.press("Tab");
        }
        await page.keyboard.press("Escape");
        await page.locator("dialog").waitFor({ state: "detached" });
        await eventually(() => opener.evaluate((element) => element === document.activeElement), `${name} to have the focus again`);
    }
});

test("the focus stays where it was when what it was on has done its work", { skip }, async (t) => {
    const { server, hook } = await furnished(t);
    const page = await newPage(await launch(server));
    const focused = () => page.evaluate(() => document.activeElement.textContent);
    await page.goto(`${server.url}/console#/webhooks/${hook.id}`);
    await button(page, "Pause").press("Enter");
    await button(page, "Resume").waitFor();
    await eventually(async () => await focused() === "Resume", "Resume in the place of Pause");
    await page.goto(`${server.url}/console#/keys`);
    await page.getByRole("button", { name: "Revoke the key backend" }).press("Enter");
    await page.locator("dialog").getByRole("button", { name: "Revoke", exact: true }).press("Enter");
    await page.getByText("There is no key yet").waitFor();
    await eventually(async () => await focused() === "Keys", "the heading in the place of the list");
});

test("Delete takes a note away, and the next one has the focus", { skip }, async (t) => {
    const server = await startServer(t, { config: CONFIG });
    const page = await newPage(await launch(server));
    await page.goto(`${server.url}/demos/board/`);
    await FILL["board/"](page);
    for (const left of [1, 0]) {
        await page.locator(".note").first().press("Delete");
        await eventually(async () => await page.locator(".note").count() === left, "the note to go");
        assert.ok(await page.evaluate((isNote) => document.activeElement.matches(isNote ? ".note" : "#add"), left > 0));
    }
});
