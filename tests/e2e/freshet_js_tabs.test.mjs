// freshet.js in a real browser, as the server has it: the tabs of a site share one connection, and go on when the one that has it closes
// or hangs.

import assert from "node:assert/strict";
import fs from "node:fs";
import nodeTest from "node:test";
import { eventually, startServer, subscribersOf, testWithin } from "./support/index.mjs";
import { Browser, BROWSERS, lacksBrowser } from "./support/browser.mjs";

const SOURCE = fs.readFileSync(new URL("../../clients/js/freshet.min.js", import.meta.url), "utf8");

/* Opens a frame, which is to the library what a tab is: a window with a life of its own. */
async function openTab(name, source, base, channels, options) {
    const frame = document.createElement("iframe");
    frame.id = name;
    document.body.append(frame);
    const script = frame.contentDocument.createElement("script");
    script.type = "module";
    source = source.replace("./freshet-presence.js", `${base}/freshet-presence.js`);
    script.textContent = `class Air extends BroadcastChannel { /* a tab that hangs says nothing */
            postMessage(message) { window.hangs || super.postMessage(message); }
        }
        window.BroadcastChannel = Air;
        const later = window.setTimeout.bind(window); /* the patience of tabs with each other is made short */
        window.setTimeout = (call, ms, ...values) => later(call, ms >= 30_000 && ms < 60_000 ? ms / 50 : ms, ...values);
        const { connect } = await import(URL.createObjectURL(new Blob([${JSON.stringify(source)}], { type: "text/javascript" })));
        window.got = [];
        window.failures = [];
        window.onunhandledrejection = ({ reason }) => failures.push(String(reason));
        window.freshet = connect(${JSON.stringify(base)}, ${JSON.stringify(options)});
        freshet.subscribe(${JSON.stringify(channels)}, (event) => got.push(event.data), { after: "earliest" });`;
    frame.contentDocument.body.append(script);
    while (!frame.contentWindow.freshet) {
        await new Promise((resolve) => setTimeout(resolve, 10));
    }
}

const closeTab = (name) => document.getElementById(name).remove();

const publishIn = (name, channel, data) => document.getElementById(name).contentWindow.freshet.publish(channel, data);

const setHanging = (name, hangs) => { document.getElementById(name).contentWindow.hangs = hangs; };

const watchIn = async (name, channel) => {
    const tab = document.getElementById(name).contentWindow;
    tab.room = await tab.freshet.presence(channel);
    await tab.room.set({ tab: name });
};

const roomOf = (name) => [...document.getElementById(name).contentWindow.room.members().values()];

const endIn = (name) => document.getElementById(name).contentWindow.freshet.close();

const failuresIn = (name) => document.getElementById(name).contentWindow.failures;

const look = (...names) => names.map((name) => {
    const { got, freshet } = document.getElementById(name).contentWindow;
    return { got, state: freshet.state, mechanism: freshet.mechanism };
});

for (const name of BROWSERS) {
    nodeTest(name, { skip: lacksBrowser(name) }, async (parent) => {
        const browser = await Browser.start(parent, name);
        try {
            await inBrowser(testWithin(parent), browser);
        } finally {
            await browser.stop();
        }
    });
}

async function inBrowser(test, browser) {
    for (const mechanism of ["ws", "sse", "poll"]) {
        await test(`tabs share one connection by ${mechanism}, and go on when its tab closes`, async (t) => {
            await browser.reload();
            const server = await startServer(t);
            const open = (tab, channels) =>
                browser.run(openTab, tab, SOURCE, server.url, channels, { mechanisms: [mechanism] });
            const shows = async (tabs, wanted) => {
                const have = () => browser.run(look, ...tabs);
                await eventually(async () => (await have()).every(({ got }, i) => got.length >= wanted[i].length), JSON.stringify(wanted));
                assert.deepEqual((await have()).map(({ got }) => got), wanted);
            };
            await server.publish("a", "a0");
            await open("first", ["a"]);
            await open("second", ["a", "b"]);
            await open("third", ["b"]);
            await browser.run(publishIn, "second", "b", "b1");
            await browser.run(publishIn, "third", "a", "a2");
            await shows(["first", "second", "third"], [["a0", "a2"], ["a0", "b1", "a2"], ["b1"]]);
            const live = async () => (await browser.run(look, "first", "second", "third")).map(({ state, mechanism: by }) => `${state} ${by}`);
            await eventually(async () => (await live()).every((state) => state === `live ${mechanism}`), "all to be live");
            await eventually(async () => (await subscribersOf(server, mechanism)) === 1, "the end of the streams that had fewer channels");
            await browser.run(closeTab, "first");
            await browser.run(publishIn, "second", "a", "a3");
            await browser.run(publishIn, "second", "b", "b4");
            await shows(["second", "third"], [["a0", "b1", "a2", "a3", "b4"], ["b1", "b4"]]);
            await browser.run(closeTab, "third");
            await browser.run(publishIn, "second", "b", "b5");
            await shows(["second"], [["a0", "b1", "a2", "a3", "b4", "b5"]]);
        });

        await test(`tabs go on by ${mechanism} when the one that reads for all hangs, and share again when it has woken up`, async (t) => {
            await browser.reload();
            const server = await startServer(t);
            for (const tab of ["first", "second", "third"]) {
                await browser.run(openTab, tab, SOURCE, server.url, ["a"], { mechanisms: [mechanism] });
            }
            const have = async (...tabs) => (await browser.run(look, ...tabs)).map(({ got }) => got.join());
            await server.publish("a", "a0");
            await eventually(async () => (await have("first", "second", "third")).every((got) => got === "a0"), "the first event");
            await browser.run(setHanging, "first", true);
            await server.publish("a", "a1");
            await eventually(async () => (await have("second", "third")).every((got) => got === "a0,a1"), "the event while the first hangs");
            await browser.run(setHanging, "first", false);
            await server.publish("a", "a2");
            await eventually(async () => (await have("first", "second", "third")).every((got) => got === "a0,a1,a2"), "the event for all");
            await eventually(async () => (await subscribersOf(server, mechanism)) === 1, "one connection");
            const states = async () => (await browser.run(look, "first", "second", "third")).map(({ state }) => state);
            await eventually(async () => (await states()).every((state) => state === "live"), "all to be live");
        });

        await test(`people see each other by ${mechanism}, whatever tabs they have`, async (t) => {
            await browser.reload();
            const server = await startServer(t, { config: "namespaces: [{prefix: chat, presence: true, presence_grace_ms: 300}]\n" });
            for (const [tab, as] of [["first", "alice"], ["second", "alice"], ["third", "bob"]]) {
                await browser.run(openTab, tab, SOURCE, server.url, ["chat/a"], { mechanisms: [mechanism], as });
                await browser.run(watchIn, tab, "chat/a");
            }
            const states = async (tab) => (await browser.run(roomOf, tab)).map(({ member, state }) => `${member} ${state?.tab}`).sort().join();
            await eventually(async () => (await states("first")) === "alice second,bob third" && (await states("third")) === "alice second,bob third", "both");
            await eventually(async () => (await subscribersOf(server, mechanism)) === 2, "a connection for each person");
            await browser.run(closeTab, "third");
            await eventually(async () => (await states("second")) === "alice second", "bob to go", 180_000);
        });

        await test(`a client that reads for all tabs by ${mechanism} ends alone`, async (t) => {
            await browser.reload();
            const server = await startServer(t);
            for (const tab of ["first", "second"]) {
                await browser.run(openTab, tab, SOURCE, server.url, ["a"], { mechanisms: [mechanism] });
            }
            const states = async () => (await browser.run(look, "first", "second")).map(({ state }) => state);
            await eventually(async () => (await states()).every((state) => state === "live"), "both to be live");
            await browser.run(endIn, "first");
            await server.publish("a", "a1");
            await eventually(async () => (await browser.run(look, "second"))[0].got.length === 1, "the event");
            await eventually(async () => (await states()).join() === "closed,live", "the second to be live");
            assert.deepEqual(await browser.run(failuresIn, "first"), []);
        });
    }
}
