/* The playground: one channel, four ways to follow it, and the bytes of each. Every way is an object with `open()`, which connects from
 * the cursor that it has, and `cut()`. What they share is a `way`: it shows bytes, and takes the records that were found in them. */

import { isAnswering, isSilence, noteSilence, showOutage, untilAnswers } from "./answering.js";
import { copyText } from "./copy.js";

const api = location.pathname.replace(/\/[^/]*$/, "");
const origin = location.origin + api;
const room = `playground/${crypto.getRandomValues(new Uint32Array(2)).reduce((text, n) => text + n.toString(36), "")}`;
const channel = `${origin}/channels/${room}`;
const sentAt = new Map(); /* what was published -> when */
const PAUSE_MS = [1000, 10_000]; /* before the next try: it doubles from the first to the last */
const HEARD_MS = 1500; /* of rest before something is read out */
const PAINT_MS = 500; /* until the page does not wait for its paint */
const KEPT = 6; /* events in the table */
const WIRE_MAX = 12_000; /* characters of a pane */

const byId = (id) => document.getElementById(id);
const make = (name, text, className) => Object.assign(document.createElement(name), { textContent: text, className: className ?? "" });
const shell = (text) => `'${text.replaceAll("'", "'\\''")}'`;

const copy = async (place, button) => { button.textContent = (await copyText(place)) ? "Copied" : "Press Ctrl+C"; };

/* Calls back when the page has been painted first. A tab that nobody sees is painted never, and does not wait; nor does a browser that tells
 * nothing of its paints. */
function afterPaint(callback) {
    let isDone = document.hidden;
    const once = () => isDone || ((isDone = true), setTimeout(callback));
    if (isDone) {
        callback();
        return;
    }
    new PerformanceObserver((list) => list.getEntriesByName("first-contentful-paint").length && once()).observe({ type: "paint", buffered: true });
    setTimeout(once, PAINT_MS);
}

/* ---- what the four have in common ---- */

class Way {
    constructor({ name, column, idea, by, curl }) {
        Object.assign(this, { name, column, cursor: null, missed: 0, on: true });
        const card = this.card = byId("way").content.cloneNode(true).firstElementChild;
        const part = (selector) => card.querySelector(selector);
        part(".name").textContent = name;
        part(".idea").textContent = idea;
        part(".curl").textContent = curl;
        part(".copy").onclick = ({ target }) => copy(part(".curl"), target);
        part(".switch input").setAttribute("aria-label", `${name} is connected`);
        this.label = part(".switch span");
        part(".switch input").onchange = ({ target }) => (target.checked ? this.connect() : this.disconnect());
        this.wire = part(".wire");
        this.state = part(".state");
        this.by = by(this);
        byId("ways").append(card);
    }

    connect() {
        this.on = true;
        this.isOut = false;
        this.label.textContent = "connecting …";
        this.card.classList.remove("off");
        this.catching = this.cursor && this.missed;
        this.say(this.catching ? `Coming back with the cursor ${this.cursor} …` : "Connecting …");
        this.by.open();
    }

    disconnect() {
        this.on = false;
        this.label.textContent = "cut off";
        this.card.classList.add("off");
        this.by.cut();
        this.missed = 0;
        this.note("the plug is pulled");
        this.say(this.cursor ? `Cut off. It has seen everything up to ${this.cursor}.` : "Cut off, before it has seen anything.");
    }

    say(text) {
        this.state.textContent = text;
        announce(this.name, text);
    }

    /* The connection has ended, or did not begin. Why, a WebSocket never tells: the page asks whether the server is there. */
    lost(error) {
        if (this.on) {
            this.label.textContent = "connecting …";
            this.say(`Not connected: ${said(error)} It comes back by itself${+this.cursor ? `, from ${this.cursor} on` : ""}.`);
        }
        error.problem || noteSilence();
    }

    well(text) {
        this.label.textContent = "connected";
        this.say(text);
    }

    /* Shows bytes: what was sent, what came, or a remark of this page. */
    show(text, kind) {
        const isAtEnd = this.wire.scrollHeight - this.wire.scrollTop - this.wire.clientHeight < 40;
        this.wire.append(make("span", text, kind));
        while (this.wire.textContent.length > WIRE_MAX) {
            this.wire.firstChild.remove();
        }
        if (isAtEnd) {
            this.wire.scrollTop = this.wire.scrollHeight;
        }
    }

    note(text) {
        this.show(`\n— ${text} —\n`, "note");
    }

    /* Events after the cursor are gone for good. A cursor that the server does not know is of a log that is no more. */
    gap({ earliest, reason }) {
        this.note(reason === "unknown" ? "the server has begun anew: what it kept in memory is gone, and so is this cursor"
            : "some events are gone for good, and the server says so");
        this.cursor = reason === "unknown" ? null : earliest;
        this.missed = 0;
    }

    /* The server does not let this page do that. Asking again would change nothing. */
    refused(problem) {
        this.isOut = true;
        this.say(`Refused: ${problem.detail ?? problem.title ?? problem.type}`);
        (this.by.end ?? this.by.cut)();
        byId("rights").hidden = false;
    }

    /* A position of the log without an event: all before it has been seen. */
    at(cursor) {
        this.cursor = cursor;
        this.live();
    }

    live() {
        if (!this.missed) {
            this.well(+this.cursor ? `Live. It has seen everything up to ${this.cursor}.` : "Live. Nothing has been said yet.");
        }
    }

    event({ id, data, time }, now = performance.now(), took) {
        if (this.cursor && id <= this.cursor) {
            return;
        }
        this.cursor = id;
        const late = this.missed > 0;
        this.missed = Math.max(this.missed - 1, 0);
        this.well(late ? `Caught up from its cursor; now at ${id}.` : `Live. It has seen everything up to ${id}.`);
        arrived(this, id, data, late ? null : took ?? now - (sentAt.get(data) ?? NaN));
    }
}

/* Reads a response as text while it comes. */
async function readText(response, take) {
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    for (let part = await reader.read(); !part.done; part = await reader.read()) {
        take(part.value);
    }
}

/* A request of this page as it is on the wire, as far as a page may know. */
function shown(method, url, headers = {}) {
    const { host, pathname, search } = new URL(url);
    return `${method} ${pathname}${search} HTTP/1.1\nHost: ${host}\n` +
        Object.entries(headers).map(([name, value]) => `${name}: ${value}\n`).join("") + "\n";
}

/* A loop that goes on until it is cut, and comes back after failures: ever more rarely if the server says no, when it answers if it is gone. */
function loop(way, turn) {
    let control, pause = PAUSE_MS[0];
    return {
        cut: () => control?.abort(),
        async open() {
            control?.abort();
            const own = control = new AbortController();
            while (!own.signal.aborted) {
                try {
                    await turn(own.signal);
                } catch (error) {
                    if ([401, 403].includes(error.problem?.status)) {
                        way.refused(error.problem);
                    } else if (error.problem?.status === 410) {
                        way.gap(error.problem);
                    } else if (!own.signal.aborted) {
                        way.lost(error);
                        pause = error.problem ? Math.min(2 * pause, PAUSE_MS[1]) : PAUSE_MS[0];
                        await new Promise((resolve) => setTimeout(resolve, pause));
                        await untilAnswers(own.signal);
                    }
                }
            }
        },
    };
}

async function checked(response) {
    if (isSilence(response)) {
        throw new TypeError("a proxy answers in its place");
    }
    if (!response.ok) {
        const problem = { status: response.status, ...await response.json().catch(() => ({})) };
        throw Object.assign(new Error(`${problem.detail ?? `the server answered ${response.status}`}.`), { problem });
    }
    return response;
}

/* Browsers have words of their own for a server that is not there. */
const said = (error) => (error instanceof TypeError ? "the server does not answer." : error.message);

/* A record of a stream or a WebSocket: an event, or if it has an `op` the server's own. */
function take(way, record, op, now) {
    if (op === "gap") {
        way.gap(record);
    } else if (op) {
        record.cursor && way.at(record.cursor);
    } else {
        way.event(record, now);
    }
}

/* ---- the four ---- */

const streaming = (way) => loop(way, async (signal) => {
    const url = `${channel}?stream=sse&format=event&after=${way.cursor ?? "earliest"}`;
    way.show(shown("GET", url), "sent");
    const response = await checked(await fetch(url, { signal, cache: "no-store" }));
    way.show(`HTTP/1.1 200 OK\nContent-Type: ${response.headers.get("content-type")}\n\n`);
    let rest = "";
    await readText(response, (text) => {
        const now = performance.now();
        way.show(text);
        const blocks = (rest + text).split("\n\n");
        rest = blocks.pop();
        for (const block of blocks) {
            const fields = Object.fromEntries(block.split("\n").map((text) => text.split(/: (.*)/s, 2)));
            fields.data && take(way, JSON.parse(fields.data), fields.event?.slice(1), now);
        }
    });
    throw new Error("the stream has ended.");
});

/* The first poll, and the first after a failure, does not wait: so the page knows at once that it is connected. */
const polling = (way, it = { isIn: false }) => loop(way, async (signal) => {
    const url = `${channel}?after=${way.cursor ?? "earliest"}${it.isIn ? "&wait=25" : ""}`;
    it.isIn = false;
    way.show(shown("GET", url), "sent");
    const response = await checked(await fetch(url, { signal, cache: "no-store" }));
    const text = await response.text();
    const now = performance.now();
    way.show(`HTTP/1.1 ${response.status} OK\nContent-Type: ${response.headers.get("content-type")}\n\n${text}\n\n`);
    const page = JSON.parse(text);
    page.events.forEach((event) => way.event(event, now));
    way.at(page.cursor);
    it.isIn = true;
});

const socket = (way) => loop(way, (signal) => new Promise((resolve, reject) => {
    const url = `${channel.replace(/^http/, "ws")}?after=${way.cursor ?? "earliest"}`;
    way.show(shown("GET", channel + new URL(url).search, { Upgrade: "websocket", Connection: "Upgrade" }), "sent");
    const ws = new WebSocket(url);
    const end = () => (ws.onclose = null, ws.close(), resolve());
    signal.addEventListener("abort", end);
    ws.onopen = () => {
        way.show("HTTP/1.1 101 Switching Protocols\n\n");
        way.live();
    };
    ws.onmessage = ({ data }) => {
        const now = performance.now();
        way.show(`◂ ${data}\n`);
        const record = JSON.parse(data);
        take(way, record, record.op, now);
    };
    ws.onclose = ({ code, reason }) => reject(closed(code, reason));
}));

/* The close of a WebSocket as an error: 4000 and more are a status of HTTP. */
const closed = (code, reason) => Object.assign(new Error("the connection was closed."),
    code > 4000 && { problem: { status: code - 4000, detail: `the server closed the connection with ${code} ${reason}` } });

/* A webhook is a request of the server's to a receiver. The receiver here is inside of the server: it publishes each request as it came on
 * a channel of its own, which this page reads by a WebSocket, since browsers open only six other connections to a host. The server keeps
 * what a receiver is owed, so a plug that is pulled is a receiver that answers nothing: the webhook is paused. It lives for a minute after
 * the page has last asked for it. */
const calling = (way) => {
    let hook, again, isOpen;
    const hooks = `${origin}/playground/webhooks`;
    const inbox = `${channel}/received`;
    const headers = { "Content-Type": "application/json" };
    /* A webhook begins behind what this page has seen: its registration may come later than the first event, or again after a restart. */
    const ask = async () => {
        const body = JSON.stringify({ channel: room, after: way.cursor ?? "earliest" });
        const answer = await fetch(hooks, { method: "POST", body, headers });
        if (answer.status === 400 && way.cursor) {
            way.cursor = null; /* it is of a log that is no more */
            return ask();
        }
        hook = await (await checked(answer)).json();
        if (way.on === (hook.state === "paused")) { /* the plug was moved while the server was away */
            await change(way.on ? "resume" : "pause");
        }
    };
    const change = (step) => fetch(`${hooks}/${hook.id}/${step}`, { method: "POST" }).then(checked);
    const received = ({ data }) => {
        const event = JSON.parse(data.body);
        way.show("POST /your/receiver HTTP/1.1\n");
        way.show(data.headers.map(([name, value]) => `${name}: ${value}\n`).join(""));
        way.show(`\n${data.body}\n\n`);
        way.show("HTTP/1.1 201 Created\n\n", "sent");
        if (event.channel === room && event.id) { /* not a gap */
            way.event(event, performance.now());
        }
    };
    const register = async () => {
        const url = "https://you.example/your/receiver";
        way.show(`POST /webhooks HTTP/1.1\nContent-Type: application/json\n\n${JSON.stringify({ url, channels: [room] })}\n\n`, "sent");
        await ask();
        way.show("HTTP/1.1 201 Created\n\n");
        way.note("on this page the receiver is inside of the server");
        way.on && way.well("Registered: the server calls when there is something.");
        again ??= setInterval(() => isAnswering() && ask().catch(() => {}), 20_000);
    };
    let at = "earliest";
    const inward = loop(way, (signal) => new Promise((resolve, reject) => {
        const ws = new WebSocket(`${inbox.replace(/^http/, "ws")}?after=${at}`);
        signal.addEventListener("abort", () => (ws.onclose = null, ws.close(), resolve()));
        /* A server that has begun anew may know nothing of the webhook; to ask for one that is there changes nothing. */
        ws.onopen = () => (hook ? ask().then(() => way.on && way.live()) : register()).catch((error) => (reject(error), ws.close()));
        ws.onmessage = ({ data }) => {
            const record = JSON.parse(data);
            at = record.op === "gap" ? "earliest" : record.id ?? record.cursor ?? at;
            record.op ? record.op === "gap" && way.gap(record) : received(record);
        };
        ws.onclose = ({ code, reason }) => reject(closed(code, reason));
    }));
    addEventListener("pagehide", () => hook && fetch(`${hooks}/${hook.id}`, { method: "DELETE", keepalive: true }));
    return {
        async open() {
            if (hook) {
                await change("resume").then(() => way.well("Registered: the server calls when there is something."), () => {});
            } else if (!isOpen) {
                isOpen = true;
                inward.open();
            }
        },
        end() {
            hook = isOpen = undefined;
            inward.cut();
        },
        /* A webhook that is being registered is paused when it is there. */
        cut: () => hook && change("pause").catch((error) => way.say(`Not paused: ${said(error)}`)),
    };
};

const line = (rest) => `curl -N ${shell(channel + rest)}`;
const ways = [
    new Way({ name: "Streaming", column: "stream", by: streaming, curl: line("?stream=sse"),
        idea: "You ask once, and the answer never ends: whenever something happens, another line comes." }),
    new Way({ name: "Long-polling", column: "poll", by: polling, curl: `curl ${shell(`${channel}?after=now&wait=25`)}`,
        idea: "You ask, and the server answers when there is something to say. Then you ask again, from where you were." }),
    new Way({ name: "WebSocket", column: "socket", by: socket, curl: `websocat ${shell(channel.replace(/^http/, "ws"))}`,
        idea: "A pipe between you and the server that both may speak into at any time." }),
    new Way({ name: "Webhook", column: "webhook", by: calling,
        curl: `curl ${origin}/webhooks --json ${shell(JSON.stringify({ url: "https://you.example/receiver", channels: [room] }))}`,
        idea: "You leave your address, and the server calls you. For programs that have an address of their own." }),
];

/* ---- the table ---- */

const rows = new Map(); /* id -> its cells by way */

function rowOf(id, data) {
    if (!rows.has(id)) {
        const row = Object.assign(make("tr"), { role: "row" });
        const cell = (text, className) => row.appendChild(Object.assign(make("td", text, className), { role: "cell" }));
        cell(data);
        const cells = new Map(ways.map((way) => [way, cell(way.isOut ? "–" : way.on ? "…" : "off", "number")]));
        rows.set(id, { row, cells });
        const body = byId("arrivals").tBodies[0];
        body.prepend(row);
        while (body.rows.length > KEPT) {
            body.lastChild.remove();
        }
        byId("nothing").hidden = true;
        ways.filter((way) => !way.on).forEach((way) => {
            way.missed++;
            way.say(`Cut off at ${way.cursor}. It misses ${way.missed === 1 ? "one event" : `${way.missed} events`}.`);
        });
    }
    return rows.get(id);
}

function arrived(way, id, data, ms) {
    const cell = rowOf(id, data).cells.get(way);
    cell.textContent = ms === null ? "caught up" : Number.isFinite(ms) ? ms.toFixed(ms < 10 ? 1 : 0) : "✓";
    cell.classList.toggle("slow", ms > 100);
    cell.classList.add("arrived");
}

byId("arrivals").tHead.rows[0].append(...ways.map(({ column }) => Object.assign(make("th", column, "number"), { scope: "col", role: "columnheader" })));

/* ---- publishing ---- */

/* Sends a request that publishes `texts`, and says what came of it. */
async function publish(texts, url, type, body, byHand) {
    texts.forEach((text) => sentAt.set(text, performance.now()));
    try {
        const response = await fetch(url, { method: "POST", body, headers: { "Content-Type": type } });
        const receipt = await response.json();
        byId("rights").hidden &&= ![401, 403].includes(response.status);
        byId("answer").textContent = response.ok ? `Published as ${(receipt.events ?? [receipt]).at(-1).id}. By hand:` : `Not published: ${receipt.detail ?? receipt.title}`;
        byId("by-hand").textContent = byHand;
    } catch (error) {
        byId("answer").textContent = `Not published: ${said(error)} If it has just been restarted, try again.`;
    }
}

/* Screen readers hear what has become of each way once nothing has changed for a while, and not each step on the way. */
const heard = new Map();
let hearing;

function announce(name, text) {
    heard.delete(name);
    heard.set(name, text);
    clearTimeout(hearing);
    hearing = setTimeout(() => {
        byId("heard").textContent = [...heard].map(([way, words]) => `${way}: ${words}`).join(" ");
        heard.clear();
    }, HEARD_MS);
}

const lineOf = (text) => `curl ${channel} -d ${shell(text)}`;

let count = 0;

byId("publish").onsubmit = (submitted) => {
    submitted.preventDefault();
    count++;
    const said = byId("text").value.trim() || "Hello, world";
    const text = sentAt.has(said) ? `${said} (${count})` : said;
    publish([text], channel, "text/plain", text, lineOf(text));
};

byId("five").onclick = () => {
    const texts = Array.from({ length: 5 }, () => `number ${++count}`);
    const body = JSON.stringify(texts.map((data) => ({ channel: room, data })));
    publish(texts, `${origin}/events`, "application/json", body, `curl ${origin}/events --json ${shell(body)}`);
};

/* ---- which one is for me ---- */

const QUESTIONS = [
    ["browser", "Does it run in a web page?"],
    ["server", "Does it run on a server that others can reach?"],
    ["talks", "Does it say a lot itself, many times a minute?"],
    ["always", "Does it need to know within a second, all the time?"],
    ["proxies", "Must it work in networks that you know nothing about: hotels, companies?"],
];

const ADVICE = {
    streaming: ["Streaming", "One request, and every language can read lines as they come. Browsers have EventSource for it, which comes back by itself."],
    polling: ["Long-polling", "Plain requests and answers, which get through everything. It costs a little more for each event, and loses none."],
    socket: ["WebSocket", "Both sides speak at any time over one connection. Use it where much goes in both directions."],
    webhook: ["Webhook", "Nothing to keep open: the server calls yours, tries again while yours is down, and signs what it sends."],
};

function advise() {
    const form = byId("questions");
    const says = Object.fromEntries(QUESTIONS.map(([name]) => [name, form.elements[name].value]));
    const is = (name) => says[name] === "yes";
    const choice = is("server") && !is("browser") && !is("talks") ? "webhook" : is("proxies") && !is("talks") && !is("always") ? "polling"
        : is("talks") ? "socket" : !is("always") && says.always && !is("browser") ? "polling" : "streaming";
    const isAnswered = QUESTIONS.some(([name]) => says[name]);
    const [name, why] = ADVICE[choice];
    const second = choice !== "polling" && is("proxies") ? " Where it does not get through, go on by long-polling, from the same cursor." : "";
    byId("advice").replaceChildren(...isAnswered ? [make("h3", name), make("p", why + second)]
        : [make("p", "Answer what you can. You can change your mind later: the cursor is the same in all four.", "quiet")]);
}

for (const [name, question] of QUESTIONS) {
    const set = make("fieldset");
    set.append(make("legend", question));
    for (const value of ["yes", "no"]) {
        const label = make("label");
        label.append(Object.assign(make("input"), { type: "radio", name, value }), value);
        set.append(label);
    }
    byId("questions").append(set);
}
byId("questions").onchange = advise;
advise();
byId("room").textContent = room;
showOutage(byId("outage"));
byId("by-hand").textContent = lineOf(byId("text").value);
/* The page is painted first: to connect takes time, and each of the panes measures itself as bytes come. */
afterPaint(() => ways.forEach((way) => way.connect()));

/* A browser opens six connections to a host for all of its tabs, so a tab that nobody sees holds none of them. */
const [stream, poll] = ways;
document.onvisibilitychange = () => [stream, poll].filter(({ on }) => on)
    .forEach((way) => (document.hidden ? way.by.cut() : way.connect()));
addEventListener("pageshow", ({ persisted }) => persisted && location.reload());
