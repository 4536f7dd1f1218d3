// Chromium and Firefox themselves, on a page of another origin: every mechanism, and who comes back when the server went away.

import assert from "node:assert/strict";
import nodeTest from "node:test";
import { eventually, startProxy, startServer, testWithin } from "./support/index.mjs";
import { Browser, BROWSERS, lacksBrowser } from "./support/browser.mjs";
import { sourceOfFollow } from "./support/documents.mjs";
import { CONFIG, lacks, PROXIES, startFront } from "./support/fronts.mjs";
import { freePort } from "./support/program.mjs";

const PATIENCE_MS = 120_000; /* an EventSource takes up to 6 seconds to come back, three times if need be */

/* ---- what runs in the page ---- */

/* Publishes one event after the other, and waits until each mechanism has it. */
async function everyMechanism(base) {
    const got = { eventsource: [], ndjson: [], poll: [], socket: [], freshet: [] };
    const url = `${base}/channels/a`;
    const ws = url.replace("http", "ws");
    const { cursor } = await (await fetch(url)).json();
    const at = `after=${cursor}`;
    const source = new EventSource(`${url}?${at}`);
    source.onmessage = ({ data }) => got.eventsource.push(data);
    (async () => {
        const stream = await fetch(`${url}?stream=ndjson&${at}`);
        let rest = "";
        const reader = stream.body.pipeThrough(new TextDecoderStream()).getReader();
        for (let part = await reader.read(); !part.done; part = await reader.read()) {
            const lines = (rest + part.value).split("\n");
            rest = lines.pop();
            got.ndjson.push(...lines.map((line) => JSON.parse(line)).filter(({ id }) => id).map(({ data }) => data));
        }
    })();
    (async () => {
        for (let next = `?${at}&wait=25`; ;) {
            const page = await (await fetch(url + next)).json();
            next = page.next;
            got.poll.push(...page.events.map(({ data }) => data));
        }
    })();
    const socket = new WebSocket(`${ws}?${at}`);
    socket.onmessage = ({ data }) => got.socket.push(JSON.parse(data).data);
    const freshet = new WebSocket(`${base.replace("http", "ws")}/events`, "freshet.v1");
    freshet.onopen = () => freshet.send(JSON.stringify({ op: "subscribe", channels: ["a"], after: cursor, ref: 1 }));
    freshet.onmessage = ({ data }) => {
        const message = JSON.parse(data);
        message.op === "event" && got.freshet.push(message.event.data);
    };
    const have = (count) => new Promise((resolve) => {
        const look = () => Object.values(got).every((data) => data.length >= count) ? resolve() : setTimeout(look, 10);
        look();
    });
    for (let n = 0; n < 4; n++) {
        const answer = await fetch(url, { method: "POST", body: `event ${n}`, headers: { "Event-Type": "message" } });
        if (answer.status !== 201) {
            throw new Error(`published: ${answer.status} ${await answer.text()}`);
        }
        await have(n + 1);
    }
    socket.send("by a socket");
    await have(5);
    return got;
}

/* An EventSource as anybody would write it. */
function listen(url) {
    window.heard = { data: [], errors: 0 };
    const source = new EventSource(url);
    source.onmessage = ({ data }) => window.heard.data.push(data);
    source.onerror = () => {
        window.heard.errors++;
        window.heard.state = source.readyState;
    };
}

/* The function of the document in its place. EventSource is watched, to know of its errors. */
const LISTEN_BY_FOLLOW = `(url) => {
    window.heard = { data: [], errors: 0 };
    const { EventSource: Native } = window;
    const EventSource = function (at) {
        const source = new Native(at);
        source.addEventListener("error", () => {
            window.heard.errors++;
            window.heard.state = source.readyState;
        });
        return source;
    };
    ${sourceOfFollow()}
    window.stop = follow(url, { message: ({ data }) => window.heard.data.push(data) });
}`;

/* ---- the tests ---- */

/** The server on a port to which it comes back, and before it a proxy, if there is to be one. */
async function start(t, front, { change, more = "" } = {}) {
    const server = await startServer(t, { data: true, listen: `127.0.0.1:${await freePort()}`, config: CONFIG + more });
    const proxy = front && await startFront(t, front, server, { change });
    return { server, proxy };
}

/** A page that listens by `code` and has all that was published; `publish` publishes and waits for it to come. */
async function listener(browser, server, url, code, before = []) {
    await browser.run(code, `${url}/channels/a?after=earliest`);
    const wanted = [...before];
    const heard = () => browser.run(() => window.heard);
    const publish = async (what) => {
        for (let n = 0; n < 5; n++) {
            wanted.push(`${what} ${n}`);
            await server.publish("a", wanted.at(-1));
        }
        await eventually(async () => (await heard()).data.length >= wanted.length, `${wanted.length} events`, PATIENCE_MS);
        assert.deepEqual((await heard()).data, wanted);
    };
    await publish("before");
    return { heard, publish };
}

/** Kills the server, waits for a first attempt of the page to come back in vain, and starts it again. */
async function refuseOnce(server, { heard }) {
    await server.kill();
    const { state } = await eventually(async () => {
        const now = await heard();
        return (now.errors >= 2 || now.state === 2) && now;
    }, "a first attempt to come back", PATIENCE_MS);
    await server.start();
    return state;
}

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
    const fresh = (fn) => async (t) => {
        await browser.reload();
        await fn(t);
    };

    for (const front of [undefined, ...PROXIES]) {
        await test(`each event is there by every mechanism before the next is published (${front ?? "no proxy"})`,
            { skip: front && lacks(front) }, fresh(async (t) => {
                const { server, proxy } = await start(t, front);
                const got = await browser.run(everyMechanism, (proxy ?? server).url);
                const wanted = [..."0123"].map((n) => `event ${n}`).concat("by a socket");
                assert.deepEqual(got, { eventsource: wanted, ndjson: wanted, poll: wanted, socket: wanted, freshet: wanted });
            }));
    }

    for (const front of PROXIES) {
        await test(`an EventSource behind ${front} comes back by itself after a kill -9, and misses nothing`,
            { skip: lacks(front) }, fresh(async (t) => {
                const { server, proxy } = await start(t, front);
                const tap = await startProxy(proxy);
                const page = await listener(browser, server, tap.url, listen);
                await server.kill();
                const { gets } = tap;
                await eventually(() => tap.gets > gets, "the page to come while freshet is away", PATIENCE_MS);
                await server.start();
                await page.publish("after");
            }));
    }

    await test("an EventSource comes back by itself after an orderly restart", fresh(async (t) => {
        const { server } = await start(t);
        const page = await listener(browser, server, server.url, listen);
        for (const what of ["once", "twice"]) {
            await server.terminate();
            await server.start();
            await page.publish(what);
        }
    }));

    await test("streams that are compressed bring each event at once, and come back after an orderly restart", fresh(async (t) => {
        const { server } = await start(t, undefined, { more: "\nnamespaces:\n- prefix: a\n  compress: true\n" });
        const tap = await startProxy(server);
        const got = await browser.run(everyMechanism, tap.url);
        assert.deepEqual(got.eventsource, [..."0123"].map((n) => `event ${n}`).concat("by a socket"));
        assert.deepEqual(got.ndjson, got.eventsource);
        assert.ok(tap.gzips >= 2, `${tap.gzips} answers were compressed`);
        await browser.reload();
        const page = await listener(browser, server, server.url, listen, got.eventsource);
        for (const what of ["once", "twice"]) {
            await server.terminate();
            await server.start();
            await page.publish(what);
        }
    }));

    await test("an EventSource whose first attempt to come back is refused", fresh(async (t) => {
        const { server } = await start(t);
        const page = await listener(browser, server, server.url, listen);
        const state = await refuseOnce(server, page);
        t.diagnostic(`readyState ${state} after the refusal`);
        if (browser.name === "chromium") {
            await page.publish("after");
        }
    }));

    await test("follow comes back after a refused attempt, and misses nothing", fresh(async (t) => {
        const { server } = await start(t);
        const page = await listener(browser, server, server.url, LISTEN_BY_FOLLOW);
        for (const what of ["once", "twice"]) {
            await browser.run(() => void (window.heard.errors = 0, window.heard.state = 0));
            await refuseOnce(server, page);
            await page.publish(what);
        }
    }));

    await test("follow comes back behind a proxy that said 502, and misses nothing", { skip: lacks("nginx") }, fresh(async (t) => {
        const { server, proxy } = await start(t, "nginx", { change: (text) => text.replace(/^ *error_page .*\n/m, "") });
        const page = await listener(browser, server, proxy.url, LISTEN_BY_FOLLOW);
        await server.kill();
        await eventually(async () => (await page.heard()).state === 2, "the EventSource to give up", PATIENCE_MS);
        await server.start();
        await page.publish("after");
        await browser.run(() => window.stop());
        await server.publish("a", "nobody listens");
    }));
}
