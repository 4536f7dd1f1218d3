// The demos in Chromium, each in two browsers, as two people have it: both see the same, also after one was cut off.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import path from "node:path";
import { BIN, eventually, startServer, test } from "./support/index.mjs";
import { addReading, CONFIG, EXAMPLES, FILL, say, write } from "./support/demos.mjs";
import { assertFits, launch, LOOKS, newPage, skip } from "./support/pages.mjs";
import { freePort, Program } from "./support/program.mjs";

let people = 0;

/** A page at `url` of somebody with a name, see newPage(). */
async function visit(browser, url, options = {}) {
    const page = await newPage(browser, options);
    await page.context().addInitScript((name) => location.protocol === "http:" && (sessionStorage["freshet.demo.name"] ??= name), `Person ${++people}`);
    await page.goto(url);
    return page;
}

/** Two people at a demo, and the server. */
async function two(t, demo, { config = CONFIG, ...options } = {}) {
    const server = await startServer(t, { config, ...options });
    const browser = await launch(server);
    const pages = [await visit(browser, `${server.url}/demos/${demo}`), await visit(browser, `${server.url}/demos/${demo}`)];
    for (const page of pages) {
        await page.locator("#line", { hasText: "Live." }).waitFor();
    }
    return { server, browser, pages };
}

const plug = (page) => page.getByRole("switch", { name: "connected" });
const all = (page, selector) => page.locator(selector).allTextContents();
const noComplaints = (...pages) => pages.forEach((page) => assert.deepEqual(page.complaints, []));
const attributes = (page, selector, name) => page.locator(selector).evaluateAll((found, name) => found.map((one) => one.getAttribute(name)), name);

/** Both pages give the same by `look`, and `isRight` says that it is what is wanted. */
async function same([one, other], look, isRight, what) {
    return eventually(async () => {
        const [here, there] = await Promise.all([look(one), look(other)]); /* a feed goes on meanwhile */
        return JSON.stringify(here) === JSON.stringify(there) && isRight(here) && [here];
    }, what);
}

test("`make run` starts the server with what the demos can do", () => {
    const command = execFileSync("make", ["--no-print-directory", "-n", "run"], { cwd: path.dirname(EXAMPLES), encoding: "utf8" }).trim().split("\n").at(-1);
    const [, config] = /^exec build\/freshet serve --listen localhost:7070 --config (.*)$/.exec(command);
    assert.equal(path.resolve(path.dirname(EXAMPLES), config), path.join(EXAMPLES, "freshet.yaml"));
});

test("the list of demos leads to each of them, with and without the slash", { skip }, async (t) => {
    const server = await startServer(t, { args: ["--base", "/rt"] });
    const browser = await launch(server);
    const page = await visit(browser, `${server.url}/rt/demos`);
    assert.equal(page.url(), `${server.url}/rt/demos/`);
    const links = await attributes(page, "main a", "href");
    assert.deepEqual(links, ["chat/", "ticker/", "odds/", "weather/", "board/"]);
    for (const link of links) {
        const demo = await visit(browser, `${server.url}/rt/demos/${link.slice(0, -1)}`);
        assert.equal(demo.url(), `${server.url}/rt/demos/${link}`);
        await demo.locator("#line", { hasText: "Live." }).waitFor();
    }
    const playground = await visit(browser, `${server.url}/rt/playground`);
    for (const link of links) {
        assert.equal(await playground.locator(`a[href="demos/${link}"]`).count(), 1);
    }
});

/* ---- replayed data ---- */

test("prices of the ticker are the same for both, and a page that was cut off has the days between", { skip }, async (t) => {
    const { pages } = await two(t, "ticker/");
    const [one, other] = pages;
    await one.getByRole("button", { name: "Start the feed" }).click();
    await other.getByText("Somebody feeds.").waitFor();
    const look = (page) => Promise.all([page.locator("#date").textContent(), all(page, ".rate"), attributes(page, ".curve", "d")]);
    const count = ([, , curves]) => Math.min(...curves.map((d) => d.split("L").length));
    await same(pages, look, ([date, rates, curves]) => /^2008-01-\d\d: /.test(date) && rates.length === 8 && count([0, 0, curves]) >= 2, "two days");
    assert.match((await all(other, ".rate"))[0], /^1\.\d{4}$/);

    await plug(other).uncheck();
    const before = await other.locator("#date").textContent();
    await eventually(async () => (await one.locator("#date").textContent()) > before && count(await look(one)) >= 5, "more days");
    assert.equal(await other.locator("#date").textContent(), before);
    await plug(other).check();
    await other.getByText(/^Back, and missed nothing: \d+ events/).waitFor();
    await one.getByRole("button", { name: "Stop the feed" }).click();
    await same(pages, look, (seen) => count(seen) >= 5, "the days between");

    /* Whoever feeds next goes on with the next day. */
    await other.getByText("Nobody feeds just now").waitFor();
    const last = await other.locator("#date").textContent();
    await other.getByRole("button", { name: "Start the feed" }).click();
    await same(pages, look, ([date]) => date > last, "the next day");
    noComplaints(...pages);
});

test("two feeds at once become one", { skip }, async (t) => {
    const { server, pages } = await two(t, "ticker/");
    /* Neither hears of the other before it has begun. */
    let release;
    const held = new Promise((resolve) => (release = resolve));
    await Promise.all(pages.map((page) => page.route("**/events", (route) => held.then(() => route.continue()))));
    await Promise.all(pages.map((page) => page.getByRole("button", { name: "Start the feed" }).click()));
    release();
    await eventually(async () => (await all(pages[0], "#feed")).concat(await all(pages[1], "#feed")).sort().join() === "Start the feed,Stop the feed", "one feed");
    await eventually(async () => (await server.page("/events?channel=demos/ticker/USD")).events.length, "an event");
    noComplaints(...pages);
});

test("matches of the odds board are the same for both, for a late third too", { skip }, async (t) => {
    const { server, browser, pages } = await two(t, "odds/");
    const [one, other] = pages;
    await one.getByRole("button", { name: "Start the feed" }).click();
    for (const page of pages) {
        await page.locator("#goals", { hasText: "1–0" }).waitFor();
    }
    await plug(other).uncheck();
    const [newest] = await all(one, "#goals span");
    await eventually(async () => (await all(one, "#goals span"))[0] !== newest, "another goal");
    await plug(other).check();
    await other.getByText(/^Back, and missed nothing/).waitFor();
    await one.getByRole("button", { name: "Stop the feed" }).click();
    const look = (page) => Promise.all([all(page, ".match"), attributes(page, ".curve", "d"), all(page, "#goals span")]);
    const [seen] = await same(pages, look, ([cards]) => cards.length === 8 && cards.some((text) => /Brazil\dVinícius Jr\. 7′/.test(text)), "both boards");
    const third = await visit(browser, `${server.url}/demos/odds/`);
    await same([one, third], look, ([cards]) => cards.length === 8, "the board of a page that came late");
    assert.ok(seen[2].length >= 2);
    noComplaints(...pages, third);
});

test("a chat that anybody may read alone says what the configuration lacks", { skip }, async (t) => {
    const server = await startServer(t, { config: "access: {anybody: [read]}\n" });
    const page = await visit(await launch(server), `${server.url}/demos/chat/`);
    await page.locator("#rights pre").waitFor();
});

test("a feed from a terminal says when nothing answers", async (t) => {
    const url = `http://127.0.0.1:${await freePort()}`;
    const program = new Program(t, [path.join(EXAMPLES, "play.mjs"), "ticker", url], { bin: process.execPath });
    assert.equal((await program.exited).code, 1);
    assert.match(program.err, new RegExp(`nothing answers at ${url}/`));
    assert.equal(program.out, "");
});

test("a feed plays from a terminal, and goes on over a restart of the server", { skip }, async (t) => {
    const port = await freePort();
    const server = await startServer(t, { data: true, listen: `127.0.0.1:${port}` });
    const program = new Program(t, [path.join(EXAMPLES, "play.mjs"), "ticker", server.url], { bin: process.execPath });
    await program.until((it) => /feeding/.test(it.out), "the feed");
    const days = async () => (await server.page("/channels/demos/ticker/USD?limit=1000")).events.map(({ data }) => data.date);
    await eventually(async () => (await days()).length >= 2, "two days");
    await server.restart();
    await eventually(async () => (await days()).length >= 4, "more days");
    const seen = await days();
    assert.deepEqual(seen, [...new Set(seen)].sort());
});

/* ---- weather ---- */

test("a reading that somebody adds is on the map and in the figures of both", { skip }, async (t) => {
    const { server, pages } = await two(t, "weather/");
    const [one, other] = pages;
    const look = async (page) => [await page.locator("#summary").textContent(), await all(page, "#stations tbody tr"), (await all(page, "#map .label")).sort()];
    await addReading(one, "London", 10);
    await same(pages, look, ([, rows]) => rows.length === 1, "the first");
    await addReading(other, "London", 14);
    await addReading(other, "Reykjavik", -2);
    await same(pages, look, ([summary, rows, labels]) => /^3 readings of 2 stations; the mean is 6\.0 °C, from Reykjavik \(−2\.0 °C\) to London/.test(summary) &&
        rows[0].replace(/\s+/g, " ") === "London14.0°12.0°10.0°14.0°2" && labels.join() === "14°,−2°", "three readings");

    /* A new place, by a click on the map; it is in the other's list from then on. */
    await plug(other).uncheck();
    await one.locator("#map svg").click({ position: { x: 400, y: 200 } });
    await one.getByLabel("Name of the place").fill("Ålesund Øst");
    await one.getByLabel("Degrees Celsius").fill("3.5");
    await one.getByRole("button", { name: "Add", exact: true }).click();
    await one.getByText(/^Added: Ålesund Øst/).waitFor();
    await plug(other).check();
    await other.getByText("Back, and missed nothing: one event came").waitFor();
    await same(pages, look, ([summary]) => /^4 readings of 3 stations/.test(summary), "the new place");
    await addReading(other, "Ålesund Øst", 4);

    /* Nonsense is passed over. */
    for (const data of [{ station: "London", lat: 51, lon: 0, celsius: 900 }, { station: "Paris", lat: 51, lon: 0, celsius: 9 }, "warm", 7]) {
        await server.publish("demos/weather/london", data, { "Event-Type": "reading" });
    }
    await addReading(one, "London", 15);
    await same(pages, look, ([summary]) => /^6 readings of 3 stations/.test(summary), "six readings");
    noComplaints(...pages);
});

/* ---- the board ---- */

const notesOf = (page) => page.locator(".note").evaluateAll((notes) => notes.map((note) => [note.querySelector("textarea").value, note.style.left, note.style.top]).sort());

/** Waits until the log has the first note at a place, and both pages have that from the log: what a hand shows is no state to go on from. The
 * line of a page brings events in their order, so one that has a later event has all before. */
async function assertPutDown(server, pages, x, y) {
    const newest = async () => (await server.page("/events?channel=demos/board/**")).events.at(-1).data;
    await eventually(async () => (await newest()).x === x && (await newest()).y === y, `the note at ${x},${y} in the log`);
    const mark = (type) => server.publish("demos/board/test/mark", { text: "mark", x: 900, y: 500 }, { "Event-Type": type });
    for (const [type, count] of [["note", 1], ["gone", 0]]) {
        await mark(type);
        await same(pages, async (page) => (await notesOf(page)).filter(([text]) => text === "mark").length, (found) => found === count, `the mark, ${type}`);
    }
}

/** Takes the first note by the mouse and moves it by 100 in both directions, without letting go of it. */
async function drag(page) {
    const box = await page.locator(".note").first().boundingBox();
    await page.mouse.move(box.x + 20, box.y + 100);
    await page.mouse.down();
    await page.mouse.move(box.x + 120, box.y + 200, { steps: 8 });
}

test("notes are the same for both, whoever writes and moves them", { skip }, async (t) => {
    const { server, browser, pages } = await two(t, "board/#test");
    const [one, other] = pages;
    await write(one, "buy tea");
    await same(pages, notesOf, (notes) => notes.length === 1 && notes[0][0] === "buy tea", "the note");
    await write(other, "water plants");
    await same(pages, notesOf, (notes) => notes.length === 2 && notes.every(([text]) => text), "two notes");

    const note = other.locator(".note").first();
    await note.focus();
    for (const key of ["ArrowRight", "ArrowRight", "ArrowDown"]) {
        await other.keyboard.press(key);
    }
    await same(pages, notesOf, (notes) => notes.some((it) => it.join() === "buy tea,80px,60px"), "the move by keys");
    await assertPutDown(server, pages, 80, 60);
    await drag(one);
    await other.locator(".pointer").waitFor();
    await eventually(async () => (await notesOf(other)).some(([text, left]) => text === "buy tea" && parseInt(left) > 80), "the note on its way");
    await one.mouse.up();
    await same(pages, notesOf, (notes) => notes.some((it) => it.join() === "buy tea,180px,160px"), "the move by mouse");
    await assertPutDown(server, pages, 180, 160);

    await other.locator(".note").first().focus();
    await other.keyboard.press("Delete");
    await same(pages, notesOf, (notes) => notes.length === 1, "one note");
    const third = await visit(browser, `${server.url}/demos/board/#test`);
    await same([one, third], notesOf, (notes) => notes.length === 1, "the board of a page that came late");
    noComplaints(...pages, third);
});

test("a note that somebody carries is shown where they carry it, and where it was if they never put it down", { skip }, async (t) => {
    const { server, pages } = await two(t, "board/#test");
    const [one, other] = pages;
    await write(one, "draft");
    await same(pages, notesOf, ([note]) => note?.join() === "draft,40px,40px", "the note");

    /* Both hold it; the first to let go sees where the other still holds it. */
    await drag(other);
    await same(pages, notesOf, ([note]) => note.join() === "draft,140px,140px", "the note in the hand of the other");
    await drag(one);
    await one.mouse.move(600, 600, { steps: 3 });
    const [[, left, top]] = await notesOf(one);
    await other.mouse.up();
    await eventually(async () => (await server.page("/events?channel=demos/board/**")).events.at(-1).data.x === 140, "the place in the log");
    await eventually(async () => (await notesOf(other))[0].join() === `draft,${left},${top}`, "the note in the hand of one");

    await one.evaluate(() => document.getElementById("plug").click());
    await one.mouse.up();
    await eventually(async () => (await notesOf(other))[0].join() === "draft,140px,140px", "the note where it was put down");
    noComplaints(...pages);
});

test("somebody who moves a note and writes at once is not in their own way", { skip }, async (t) => {
    const { server, pages } = await two(t, "board/#test");
    const [one] = pages;
    await write(one, "draft");
    await same(pages, notesOf, ([note]) => note?.[0] === "draft", "the note");
    await one.locator(".note").focus();
    await one.keyboard.press("ArrowRight");
    await one.keyboard.press("Enter");
    await one.locator(".note textarea:focus").fill("final");
    await eventually(async () => (await notesOf(pages[1]))[0][1] === "60px", "the move");
    const placeInLog = async () => (await server.page("/events?channel=demos/board/**")).events.at(-1).data.x;
    await eventually(async () => (await placeInLog()) === 60, "the move in the log, where it is once the keys rest");
    await one.keyboard.press("Escape");
    await same(pages, notesOf, ([note]) => note.join() === "final,60px,40px", "the text");
    noComplaints(...pages);
});

test("of two who change a note at once, the second is told, and nothing is overwritten", { skip }, async (t) => {
    const { pages } = await two(t, "board/#test");
    const [one, other] = pages;
    await write(one, "draft");
    await same(pages, notesOf, ([note]) => note?.[0] === "draft", "the note");
    for (const [page, text] of [[one, "by one"], [other, "by the other"]]) {
        await page.locator(".note").focus();
        await page.keyboard.press("Enter");
        await page.locator(".note textarea:focus").fill(text);
    }
    await other.keyboard.press("Escape");
    await same(pages, async (page) => page.locator(".note").getAttribute("aria-label").then((label) => label.replace(/^.*: /, "")), (text) => text === "by the other", "the first change");
    await one.keyboard.press("Escape");
    await one.getByText("Somebody was faster, so your change was not taken. You had written: “by one”").waitFor();
    await same(pages, notesOf, ([[text]]) => text === "by the other", "the same note");
    assert.deepEqual(other.complaints, []);
    assert.ok(one.complaints.every((text) => /412/.test(text)), one.complaints.join());
});

/* ---- the chat ---- */

const saidIn = (page) => all(page, ".message p");

test("messages of a room are the same for both, also those of a line that was cut", { skip }, async (t) => {
    const { server, browser, pages } = await two(t, "chat/#test");
    const [one, other] = pages;
    await say(one, "hello <b>you</b>");
    await same(pages, saidIn, (texts) => texts.join() === "hello <b>you</b>", "the first");
    await eventually(async () => { /* shown for four seconds only, so they go on until it is seen */
        await other.getByLabel("Message", { exact: true }).pressSequentially("h");
        return one.locator("#typing", { hasText: /is typing/ }).isVisible();
    }, "somebody who types");
    await say(other, "hello yourself");
    await eventually(async () => (await one.locator("#typing").textContent()) === "", "the end of typing");

    await plug(one).uncheck();
    await say(other, "are you there?");
    await server.historyOf("demos/chat/test", 3); /* before the other is back */
    await say(one, "in a tunnel");
    await one.getByText("waiting for the line").waitFor();
    await plug(one).check();
    await one.getByText("Back, and missed nothing: one event came that happened meanwhile.").waitFor();
    await same(pages, saidIn, (texts) => texts.join() === "hello <b>you</b>,hello yourself,are you there?,in a tunnel", "all four");
    const third = await visit(browser, `${server.url}/demos/chat/#test`);
    await same([one, third], saidIn, (texts) => texts.length === 4, "the history");

    const elsewhere = await visit(browser, `${server.url}/demos/chat/#kitchen`);
    await say(elsewhere, "who has made coffee?");
    await elsewhere.locator(".ticks.sent").waitFor();
    await one.locator("#rooms").getByRole("link", { name: /^kitchen.*new messages$/ }).click();
    await one.getByText("who has made coffee?").waitFor();
    assert.equal((await server.history("demos/chat/test")).length, 4);
});

const nameOf = (page) => page.getByLabel("You are").inputValue();
const here = (page) => all(page, "#here .person span:first-child");

async function beInSight(page, isInSight) {
    await page.evaluate((value) => {
        Object.defineProperty(document, "visibilityState", { value, configurable: true });
        document.dispatchEvent(new Event("visibilitychange"));
    }, isInSight ? "visible" : "hidden");
}

test("both see who is here, and one sees at once that the other has got and has read a message", { skip }, async (t) => {
    const { server, browser, pages } = await two(t, "chat/#test", { config: CONFIG.replace("presence: true", "presence: true\n    presence_grace_ms: 300") });
    const [one, other] = pages;
    const [me, you] = [await nameOf(one), await nameOf(other)];
    await same(pages, here, (names) => names.join() === [...new Set([me, you])].sort().join(), "both names");
    await say(one, "hello");
    await one.locator(".ticks.read").waitFor();
    await one.getByText(`Read by ${you}`).waitFor();

    await beInSight(other, false);
    await say(one, "look here");
    await one.locator(".message", { hasText: "look here" }).locator(".ticks.delivered").waitFor();
    await beInSight(other, true);
    await one.locator(".message", { hasText: "look here" }).locator(".ticks.read").waitFor();

    /* A read mark stays, also when its member has left. */
    await plug(other).uncheck();
    await eventually(async () => (await here(one)).join() === me, "one alone");
    await say(one, "are you gone?");
    await one.locator(".message", { hasText: "are you gone?" }).locator(".ticks.sent").waitFor();
    const again = await visit(browser, `${server.url}/demos/chat/#test`);
    await eventually(async () => (await here(one)).length === 2, "a third");
    await plug(other).check();
    await eventually(async () => (await here(one)).length === 3, "all three");
    await eventually(async () => (await all(one, "#readers")).join().includes(you), "who has read it");
    noComplaints(...pages, again);
});

test("a chat on a server without presence says so, and goes on without", { skip }, async (t) => {
    const { pages } = await two(t, "chat/#test", { config: "" });
    await pages[0].getByText("This server does not say who is here.").waitFor();
    await say(pages[0], "hello");
    await same(pages, saidIn, (texts) => texts.join() === "hello", "the message");
    await pages[0].locator(".ticks.sent").waitFor();
});

test("a chat goes on over a restart of the server, and a message that was on its way is there once", { skip }, async (t) => {
    const port = await freePort();
    const { server, pages } = await two(t, "chat/#test", { data: true, listen: `127.0.0.1:${port}` });
    await say(pages[0], "before");
    await same(pages, saidIn, (texts) => texts.length === 1, "the first");
    await server.kill();
    await say(pages[0], "meanwhile");
    await server.start();
    await same(pages, saidIn, (texts) => texts.join() === "before,meanwhile", "both");
    assert.equal((await server.history("demos/chat/test")).length, 2);
});

test("a room with a long past shows its end, and what was before on demand", { skip }, async (t) => {
    const server = await startServer(t, { config: CONFIG });
    await server.publishMany("demos/chat/test", 180, (n) => ({ from: "Ann", text: `number ${n}`, key: `k${n}` }));
    const page = await visit(await launch(server), `${server.url}/demos/chat/#test`);
    await eventually(async () => (await saidIn(page)).length === 100, "the newest hundred");
    await page.getByRole("button", { name: "Earlier messages" }).click();
    await eventually(async () => (await saidIn(page)).length === 150, "fifty more");
    await page.getByRole("button", { name: "Earlier messages" }).click();
    await eventually(async () => (await saidIn(page)).length === 180, "all");
    assert.deepEqual(await saidIn(page), Array.from({ length: 180 }, (_, n) => `number ${n}`));
    assert.equal(await page.getByRole("button", { name: "Earlier messages" }).isVisible(), false);
});

/* ---- the relay ---- */

test("a visitor's question is answered at the desk, and Slack has both", { skip }, async (t) => {
    const server = await startServer(t); /* its end closes the browser */
    const base = await freePort(4);
    const program = new Program(t, [path.join(EXAMPLES, "relay/run.mjs"), String(base)], { bin: process.execPath, env: { FRESHET_BIN: BIN } });
    try {
        await program.until((it) => /The page listens/.test(it.out), "the page");
        const browser = await launch(server);
        const page = await visit(browser, `http://127.0.0.1:${base}/`, { bypassCSP: true });
        const [chat, desk, slack] = ["#chat", "#desk", "#slack"].map((frame) => page.frameLocator(frame));
        await chat.getByLabel("Your question").fill("Do you ship to Iceland?");
        await chat.getByRole("button", { name: "Ask" }).click();
        await slack.getByText("Inquiry 1 from Ada: Do you ship to Iceland?").waitFor();
        await desk.getByLabel("Answer inquiry 1").fill("We do, on Mondays.");
        await desk.getByRole("button", { name: "Answer" }).click();
        await chat.getByText("We do, on Mondays.").waitFor();
        await slack.getByText("Bea answered inquiry 1: We do, on Mondays.").waitFor();
        await eventually(async () => /chat\/sales[^]*desk\/tickets[^]*desk\/answers-/.test(await page.locator("#log").textContent()), "the events");
        const stranger = await visit(browser, `http://127.0.0.1:${base + 1}/`);
        await stranger.getByText("Somebody is here to answer you.").waitFor();
        assert.equal(await stranger.getByText("We do, on Mondays.").count(), 0);
        const colleague = await visit(browser, `http://127.0.0.1:${base + 2}/`);
        await colleague.getByText("We do, on Mondays.").waitFor();
        noComplaints(page, stranger, colleague);
        for (const [, options] of LOOKS) {
            for (const place of [base, base + 1, base + 2, base + 3]) {
                const one = await visit(browser, `http://127.0.0.1:${place}/`, { ...options, bypassCSP: true });
                await check(one, `the relay's page at ${place - base}`);
            }
        }
    } finally {
        program.child.kill("SIGTERM"); /* which ends the programs that it has started */
        await program.exited;
    }
});

/* ---- how they look ---- */

for (const [what, options] of LOOKS) {
    test(`${what}, the demos fit, and axe finds nothing`, { skip }, async (t) => {
        const server = await startServer(t, { config: CONFIG });
        const browser = await launch(server);
        for (const [demo, fill] of Object.entries(FILL)) {
            const page = await visit(browser, `${server.url}/demos/${demo}`, options);
            await fill(page);
            await check(page, demo);
            if (process.env.SCREENSHOTS) {
                await page.screenshot({ path: `${process.env.SCREENSHOTS}/${demo.replace("/", "") || "index"}-${what.replaceAll(" ", "-")}.png`, fullPage: true });
            }
            await page.context().close();
        }
    });
}

/** The page is not wider than its window, axe finds nothing, and the browser did not complain. */
async function check(page, demo) {
    await page.evaluate(() => Promise.all(document.getAnimations().map((one) => one.finished.catch(() => {}))));
    await assertFits(page, demo, { iframes: false });
    noComplaints(page);
}

test("a server with access rules says what the demos lack, and with that they work", { skip }, async (t) => {
    const server = await startServer(t, { config: "access: {anybody: []}\n" });
    const browser = await launch(server);
    for (const demo of ["ticker/", "weather/", "board/", "chat/"]) {
        const page = await visit(browser, `${server.url}/demos/${demo}`);
        await page.getByText("lets nobody use the demos").waitFor();
        await page.getByText(/^Refused: /).waitFor();
    }
    const page = await visit(browser, `${server.url}/demos/ticker/`);
    const rules = await page.locator("#rights pre").textContent();
    const { pages } = await two(t, "weather/", { config: `access: {anybody: []}\n${rules}\n` });
    await addReading(pages[0], "London", 10);
    await pages[1].getByText(/^One reading of one station/).waitFor();
    assert.equal(await pages[0].locator("#rights").count(), 0);
});
