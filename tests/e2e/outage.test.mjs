// A server that goes away while people look at its pages: each page says so, asks ever more rarely, comes back by itself, and has missed nothing.

import assert from "node:assert/strict";
import http from "node:http";
import { eventually, startServer, test } from "./support/index.mjs";
import { say, write, CONFIG } from "./support/demos.mjs";
import { launch, newPage, skip } from "./support/pages.mjs";
import { freePort } from "./support/program.mjs";

/* Those that come back in ways of their own. */
const DEMOS = ["chat", "ticker", "board"];
const VIEWS = ["overview", "channels/news", "keys", "configuration"];
const MOST_REQUESTS = 20; /* of a page whose server is gone, in a minute */

const server = async (t, options) => startServer(t, { config: CONFIG, listen: `127.0.0.1:${await freePort()}`, ...options });
const outage = (page) => page.locator("#outage", { hasText: /has not answered since \d\d:\d\d:\d\d/ });
const line = (page, text) => page.locator("#line", { hasText: text });
const states = (page) => page.locator(".way .state").allTextContents();
const areLive = (page) => eventually(async () => (await states(page)).every((text) => /^(Live|Registered)/.test(text)), "all four to be live");

/** The page at `path` in a window of its own, and how many requests it has made. */
async function visit(browser, { url }, path) {
    const page = await newPage(browser);
    page.requests = 0;
    page.on("request", () => page.requests++);
    page.on("websocket", () => page.requests++);
    await page.goto(url + path);
    return page;
}

const visitDemo = async (browser, it, name) => {
    const page = await visit(browser, it, `/demos/${name}/`);
    await line(page, "Live.").waitFor();
    return page;
};

const visitView = async (browser, it, name) => {
    const page = await visit(browser, it, `/console#/${name}`);
    await page.locator("#main:not([aria-busy]) h1").waitFor();
    return page;
};

/** Lets a minute go by in the page; its requests go where they go meanwhile. */
async function letAMinutePass(page) {
    for (let s = 0; s < 60; s++) {
        await page.clock.runFor(1000);
    }
}

/** The server is gone: each view says so, and asks for itself alone. */
async function assertRare(pages) {
    for (const page of pages) {
        await page.clock.install();
        page.requests = 0;
    }
    await Promise.all(pages.map(letAMinutePass));
    for (const page of pages) {
        assert.ok(page.requests <= MOST_REQUESTS, `${page.url()}: ${page.requests} requests in a minute`);
        await page.clock.resume();
    }
}

for (const signal of ["SIGTERM", "SIGKILL"]) {
    test(`each view of the console tells of a server that is gone (${signal}), and goes on when it is back`, { skip }, async (t) => {
        const it = await server(t, { data: true });
        await it.publish("news", "before");
        const browser = await launch(it);
        const views = Object.fromEntries(await Promise.all(VIEWS.map(async (name) => [name, await visitView(browser, it, name)])));
        await views.overview.getByText("healthy").waitFor();
        await (signal === "SIGKILL" ? it.kill() : it.terminate());
        await Promise.all(Object.values(views).map((page) => outage(page).waitFor()));
        await views.overview.getByText("not answering").waitFor();
        signal === "SIGKILL" && await assertRare(Object.values(views));
        await it.start();
        await it.publish("news", "meanwhile");
        await Promise.all(Object.values(views).map((page) => outage(page).waitFor({ state: "detached" })));
        await views.overview.getByText("healthy").waitFor();
        await views["channels/news"].getByText("meanwhile", { exact: true }).waitFor();
        await views["channels/news"].getByText("2 events kept").waitFor();
        await it.publish("news", "after");
        await views["channels/news"].getByText("after", { exact: true }).waitFor();
    });

    test(`the playground and the demos tell of a server that is gone (${signal}), and miss nothing`, { skip }, async (t) => {
        const it = await server(t, { data: true });
        const browser = await launch(it);
        const playground = await visit(browser, it, "/playground");
        const demos = Object.fromEntries(await Promise.all(DEMOS.map(async (name) => [name, await visitDemo(browser, it, name)])));
        const pages = [playground, ...Object.values(demos)];
        await areLive(playground);
        await say(demos.chat, "before");
        await demos.chat.locator(".ticks.sent").waitFor();
        await (signal === "SIGKILL" ? it.kill() : it.terminate());
        await eventually(async () => (await states(playground)).every((text) => /^Not connected: .* comes back by itself/.test(text)), "four ways without a server");
        await Promise.all(Object.values(demos).map((page) => line(page, "does not answer. The page comes back by itself, and misses nothing").waitFor()));
        assert.deepEqual(await playground.locator(".way .switch span").allTextContents(), Array(4).fill("connecting …"));
        signal === "SIGKILL" && await assertRare(pages);
        await say(demos.chat, "while it was gone");
        await it.start();
        await it.publish("demos/chat/lobby", { from: "Ann", text: "meanwhile", key: "k" });
        await areLive(playground);
        await playground.getByRole("button", { name: "Publish" }).click();
        await eventually(async () => (await playground.locator("#arrivals td.number").allTextContents()).filter((text) => /^\d/.test(text)).length === 4, "all four");
        await Promise.all(Object.values(demos).map((page) => line(page, "Back, and missed nothing.").waitFor()));
        for (const text of ["before", "while it was gone", "meanwhile"]) {
            await demos.chat.locator(".message p", { hasText: text }).waitFor();
        }
        assert.equal(await demos.chat.locator("#plug-label").textContent(), "connected");
    });
}

test("pages of a server that kept nothing show what it has now, and say so", { skip }, async (t) => {
    const it = await server(t);
    const browser = await launch(it);
    const [board, weather, chat] = await Promise.all(["board", "weather", "chat"].map((name) => visitDemo(browser, it, name)));
    const { id } = (await it.request("POST", "/webhooks", { body: { url: "http://127.0.0.1:9/", channels: ["news"] } })).json();
    const hook = await visitView(browser, it, `webhooks/${id}`);
    await write(board, "a note");
    await it.publish("demos/weather/oslo", { station: "Oslo", lat: 59.9, lon: 10.7, celsius: 7 }, { "Event-Type": "reading" });
    await weather.getByText("One reading of one station").waitFor();
    await say(chat, "a word");
    await chat.locator(".ticks.sent").waitFor();
    await it.kill();
    await it.start();
    await line(board, "Back, and up to date.").waitFor();
    assert.equal(await board.locator(".note").count(), 0);
    await write(board, "a new note");
    const other = await visitDemo(browser, it, "board");
    await eventually(async () => (await other.locator(".note textarea").inputValue()) === "a new note", "the note in another page");
    assert.equal(await board.getByText("Somebody was faster").count(), 0);
    await weather.getByText("No readings yet. Add the first.").waitFor();
    await chat.getByText("Some of what was said here is gone for good.").waitFor();
    await say(chat, "another word");
    await chat.locator(".message", { hasText: "another word" }).locator(".ticks.sent").waitFor();
    await hook.getByText("no webhook has this id").waitFor();
});

test("a feed in a tab waits for a server that is gone, and goes on with the same frame", { skip }, async (t) => {
    const it = await server(t, { data: true });
    const ticker = await visitDemo(await launch(it), it, "ticker");
    await ticker.getByRole("button", { name: "Start the feed" }).click();
    await ticker.locator(".change", { hasText: "%" }).first().waitFor();
    await it.kill();
    await ticker.getByText("The feed goes on when it does.").waitFor();
    await assertRare([ticker]);
    await it.start();
    await ticker.getByText("This tab is the feed").waitFor();
    const days = async () => (await it.history("demos/ticker/USD", "?last=1000")).map(({ data }) => data.frame);
    const before = (await days()).length;
    await eventually(async () => (await days()).length > before + 1, "more days");
    const all = await days();
    assert.deepEqual(all, all.map((_, n) => n));
});

/** Lets pauses of a second and more never end by themselves, and notes that one has begun. Only pauses are random, so all else goes on. */
const stretchPauses = () => {
    const later = window.setTimeout;
    window.setTimeout = (call, ms, ...values) => {
        const isPause = ms >= 1000 && !Number.isInteger(ms);
        window.isPausing ||= isPause;
        return later(call, isPause ? 2 ** 30 : ms, ...values);
    };
};

const dispatch = (name) => (page) => page.evaluate((type) => dispatchEvent(new Event(type)), name);
const tryNow = (page) => page.getByRole("button", { name: /^Try/ });

/* What shows that it is worth while to ask, each for a demo and for a view of the console. */
const REASONS = {
    "the network is back": dispatch("online"),
    "the window has the focus again": dispatch("focus"),
    "somebody types": (page) => page.keyboard.press("Shift"),
    "somebody clicks": (page) => page.mouse.click(3, 3),
    "somebody presses Try now": (page) => page.evaluate(() => [...document.querySelectorAll("button")].find(({ textContent }) => textContent === "Try now").click()),
};

test("a page tries again at once when there is a reason, however long its pauses have become", { skip }, async (t) => {
    const it = await server(t, { data: true });
    const browser = await launch(it);
    const pages = await Promise.all(Object.entries(REASONS).flatMap(([why, reason]) => ["/demos/board/", "/console#/keys"].map(async (path) => {
        const page = await newPage(browser);
        await page.addInitScript(stretchPauses);
        await page.goto(it.url + path);
        const isDemo = path !== "/console#/keys";
        await (isDemo ? line(page, "Live.") : page.getByText("There is no key yet.")).waitFor();
        const away = isDemo ? line(page, "does not answer") : outage(page);
        return { page, what: `${path}: ${why}`, reason, away, isBack: () => isDemo ? line(page, "Back, and missed nothing.").isVisible() : away.isHidden() };
    })));
    await it.kill();
    await Promise.all(pages.map(async ({ page, away }) => {
        await page.evaluate(() => dispatchEvent(new Event("focus"))); /* the console asks for itself every ten seconds only */
        await away.waitFor();
        await page.waitForFunction(() => window.isPausing);
        await tryNow(page).waitFor();
    }));
    await it.start();
    for (const { page, what, reason, isBack } of pages) {
        assert.ok(!await isBack(), `${what}: it came back by itself`);
        await eventually(async () => (await reason(page), isBack()), what);
        await tryNow(page).waitFor({ state: "hidden" });
        assert.notEqual(await page.evaluate(() => document.activeElement?.isConnected && document.activeElement.checkVisibility()), false, `${what}: the focus is lost`);
    }
});

/** A proxy that says 502 itself while the server is gone. */
async function startFront(it) {
    const front = http.createServer((request, response) => {
        const { method, url, headers } = request;
        const onward = http.request({ port: it.port, host: "127.0.0.1", method, path: url, headers }, (answer) => {
            response.writeHead(answer.statusCode, answer.headers);
            answer.pipe(response);
            answer.on("error", () => response.destroy());
        });
        onward.on("error", () => (response.headersSent ? response.destroy() : response.writeHead(502, { "Content-Type": "text/html" }).end("<h1>502</h1>")));
        response.on("close", () => onward.destroy());
        request.pipe(onward);
    });
    await new Promise((resolve) => front.listen(0, "127.0.0.1", resolve));
    it.onStop(() => (front.closeAllConnections(), front.close()));
    return { url: `http://127.0.0.1:${front.address().port}` };
}

test("the console behind a proxy that says 502 for its server comes back as well", { skip }, async (t) => {
    const it = await server(t, { data: true });
    await it.publish("news", "before");
    const front = await startFront(it);
    const page = await visitView(await launch(it), front, "channels/news");
    await page.getByText("New events appear on top.").waitFor();
    await it.kill();
    await outage(page).waitFor();
    await page.evaluate(() => (location.hash = "#/keys"));
    await page.getByText("What you want to see comes by itself").waitFor();
    await it.start();
    await page.getByText("There is no key yet.").waitFor();
    await outage(page).waitFor({ state: "detached" });
});

test("the page of the API waits for a server that does not answer yet", { skip }, async (t) => {
    const it = await server(t);
    const page = await newPage(await launch(it));
    let isGone = true;
    await page.route(/openapi\.json|healthz/, (route) => (isGone ? route.abort() : route.continue()));
    await page.goto(`${it.url}/docs`);
    await page.getByText("The server does not answer.").waitFor();
    isGone = false;
    await page.locator("#publish").waitFor();
});
