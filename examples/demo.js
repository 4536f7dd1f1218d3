/* Parts that the demos share: small helpers for pages, a line to the server that has a plug, and the feed of replayed data.
 *
 * Every demo is a page without build step: it imports freshet.js from the server that serves the page, and follows channels below `demos/`.
 * To take one for a site of your own, copy its folder and this file, and let `SERVER` be the URL of your server. */

import { connect } from "../freshet.js";
import { Feed } from "./feed.mjs";

const PATIENCE_MS = 4000; /* until the page says that it is the server */
const AGAIN_MS = 1000; /* between two tries that somebody's hands have asked for */
const REASONS = ["online", "focus", "visibilitychange", "pointerdown", "keydown"]; /* to try before the pause has ended */
const COMES_BACK = "The page comes back by itself, and misses nothing.";

const PAINT_MS = 500; /* until a page does not wait for its paint */
const QUIET_MS = 5000; /* between two announcements */

export const SERVER = new URL("..", import.meta.url).href;

export const $ = (id) => document.getElementById(id);

/* An element with properties and children. */
export function make(name, properties = {}, ...children) {
    const element = Object.assign(document.createElement(name), properties);
    element.append(...children);
    return element;
}

/* Sets the text only if it differs: screen readers read out each change of a live region, even one to the same words. */
export function setText(element, text) {
    if (element.textContent !== text) {
        element.textContent = text;
    }
}

/* Lets screen readers say what has come: the newest, and nothing more for a while, since a feed may be fast. */
export function announce(text) {
    news = text;
    if (!talking) {
        const speak = () => {
            talking = news ? setTimeout(speak, QUIET_MS) : null;
            news && setText(voice, news);
            news = "";
        };
        speak();
    }
}

/* The same for SVG, with attributes. */
export function draw(name, attributes = {}, ...children) {
    const element = document.createElementNS("http://www.w3.org/2000/svg", name);
    for (const [key, value] of Object.entries(attributes)) {
        element.setAttribute(key, value);
    }
    element.append(...children);
    return element;
}

const voice = document.body.appendChild(make("p", { className: "hidden", role: "status" }));
let news = "", talking = null;

/* Calls back when the page has been painted first: work before that would only delay what people see. A tab that nobody sees is painted never,
 * and does not wait; nor does a browser that tells nothing of its paints. */
export function afterPaint(callback) {
    let isDone = document.hidden;
    const once = () => isDone || ((isDone = true), setTimeout(callback));
    if (isDone) {
        callback();
        return;
    }
    new PerformanceObserver((list) => list.getEntriesByName("first-contentful-paint").length && once()).observe({ type: "paint", buffered: true });
    setTimeout(once, PAINT_MS);
}

/* The name by which this tab is known to others; two tabs are two people. */
export function myName() {
    const words = ["Quiet Amber Swift Brave Gentle Lucky Merry Noble", "Otter Heron Finch Badger Lynx Marten Plover Salmon"];
    const pick = (list) => list.split(" ")[Math.floor(Math.random() * 8)];
    const name = sessionStorage.getItem("freshet.demo.name") ?? words.map(pick).join(" ");
    sessionStorage.setItem("freshet.demo.name", name);
    return name;
}

export function rename(name) {
    sessionStorage.setItem("freshet.demo.name", name);
}

/* The name of a room or board, from the part of the address behind `#`. */
export function roomOfAddress(fallback) {
    const name = decodeURIComponent(location.hash.slice(1)).toLowerCase().replace(/[^a-z0-9-]+/g, "-").replace(/^-|-$/g, "");
    return name.slice(0, 40) || fallback;
}

/* The server lets nobody use these channels: the page says what its configuration lacks. */
export function showRights(error) {
    if (![401, 403].includes(error.status) || $("rights")) {
        return;
    }
    const rule = "namespaces:\n  - prefix: demos\n    presence: true\n    access: {anybody: [read, publish, presence]}";
    document.querySelector("main").prepend(make("div", { id: "rights", className: "notice", role: "status" },
        make("p", { textContent: "This server asks who you are, and lets nobody use the demos. If it is yours, put this into its configuration and start it again:" }),
        make("pre", { textContent: rule })));
}

/* Follows channels while the plug, the page's switch, is in. Pulled out, the line closes its connection, as a phone in a tunnel does. Put in
 * again, it goes on behind the last event that it has seen, so the page misses nothing. */
export class Line {
    /* `parts`: [{channels, event, from, counts}], where `from` says where the first connection begins, and `counts(event)` whether it is one that
     * the page tells of as missed: all are without it. `onGap` is called when events are gone for good that the page has not seen. A page that shows
     * a state, which may depend on them, gives `clear`, which takes all from the page: then the part begins as it did first. `onBack` is called
     * whenever the connection is there. */
    constructor(parts, { onCut, onLive, onBack, onGap, clear, ...options } = {}) {
        Object.assign(this, { parts, options, onCut, onLive, onBack, onGap, clear, triedAt: -Infinity });
        this.again = make("button", { type: "button", className: "small", textContent: "Try now", hidden: true, onclick: () => this.tryNow() });
        $("line").after(this.again);
        REASONS.forEach((name) => addEventListener(name, () => this.hasten()));
        $("plug").checked = true;
        $("plug").onchange = ({ target }) => (target.checked ? this.open() : this.cut());
        addEventListener("pageshow", ({ persisted }) => persisted && location.reload());
        this.painted = new Promise(afterPaint).then(() => $("plug").checked && this.open());
    }

    say(text) {
        setText($("line"), text);
    }

    /* Somebody is at the page, or the network is back: that is worth a try before the pause has ended. */
    hasten() {
        const now = performance.now();
        if (document.body.dataset.state === "connecting" && now - this.triedAt > AGAIN_MS) {
            this.triedAt = now;
            this.client.retry();
        }
    }

    tryNow() {
        if (document.body.dataset.state !== "connecting") {
            return; /* it is back meanwhile */
        }
        this.say("Trying …");
        this.wait();
        this.client.retry();
    }

    /* Says, if the server has not answered by then, that it does not. */
    wait() {
        clearTimeout(this.patience);
        this.patience = setTimeout(() => {
            this.say(`The server does not answer. ${COMES_BACK}`);
            this.again.hidden = false;
        }, PATIENCE_MS);
    }

    /* The connection is there, or nobody wants it. The focus does not go with the button. */
    endWait() {
        clearTimeout(this.patience);
        document.activeElement === this.again && $("plug").focus();
        this.again.hidden = true;
    }

    open() {
        const isBack = this.parts.some(({ at }) => at);
        const wanted = [...this.parts];
        const client = this.client = connect(SERVER, { ...this.options, onState: (state) => {
            if (this.client === client) {
                this.told(state);
                state === "live" && wanted.length && this.begin(wanted.shift(), tally);
            }
        } });
        const tally = { isBack, late: new Set(), waiting: this.parts.length }; /* ids: two parts may have the same event */
        this.wasLive = false;
        this.back = "";
        delete document.body.dataset.state;
        this.told("connecting");
        document.body.classList.remove("cut");
        this.begin(wanted.shift(), tally);
    }

    /* Subscribes to one part; the next follows when the connection is there, since a change of mind while it opens would make it open anew. */
    begin(part, tally) {
        const { client } = this;
        const isBack = Boolean(part.at?.cursor);
        let isLive = false;
        const event = (one) => {
            if (part.at !== own) {
                return;
            }
            if (!isLive && (!part.counts || part.counts(one))) {
                tally.late.add(one.id);
            }
            part.event(one, isLive);
        };
        const live = () => {
            isLive = true;
            if (--tally.waiting === 0) {
                const count = tally.late.size === 1 ? "one event" : `${tally.late.size} events`;
                this.back ||= tally.isBack ? `Back, and missed nothing: ${count} came that happened meanwhile.` : "";
                this.told(client.state);
                this.onLive?.(client);
            }
        };
        const gap = () => {
            if (part.at !== own) {
                return;
            }
            if (isBack || isLive) {
                this.back = `Back${this.clear ? ", and up to date" : ""}. The server has not kept all that happened meanwhile.`;
                this.told(client.state);
                this.onGap?.(part);
                this.clear && this.beginAnew(part, own);
            }
        };
        const error = (refusal) => {
            this.endWait();
            delete document.body.dataset.state;
            $("plug-label").textContent = "not connected";
            this.say(`Refused: ${refusal.message}`);
            showRights(refusal);
        };
        const own = part.at = client.subscribe(part.channels, { event, live, gap, error }, part.at?.cursor ? { after: part.at.cursor } : part.from);
    }

    beginAnew(part, old) {
        old.close();
        part.at = undefined;
        this.wasLive = false;
        this.clear();
        this.begin(part, { late: new Set(), waiting: 1 });
    }

    cut() {
        this.client?.close();
        this.client = null;
        this.endWait();
        document.body.dataset.state = "cut";
        $("plug-label").textContent = "cut off";
        document.body.classList.add("cut");
        this.say("Cut off. Others go on; switch it on again, and all that you miss comes in order.");
        this.onCut?.();
    }

    told(state) {
        const { dataset } = document.body;
        if (state === "live") {
            this.endWait();
            dataset.state = state;
            $("plug-label").textContent = "connected";
            this.say(this.back || "Live.");
            this.wasLive = true;
            this.onBack?.();
        } else if (state === "connecting" && dataset.state !== state) {
            dataset.state = state;
            $("plug-label").textContent = "connecting …";
            this.back = this.wasLive ? "Back, and missed nothing." : this.back;
            this.say(this.wasLive ? `The connection is lost. ${COMES_BACK}` : "Connecting …");
            this.wait();
        }
    }

    /* Publishes, if the plug is in. */
    async publish(...values) {
        await this.painted;
        if (!this.client) {
            throw new Error("cut off");
        }
        return this.client.publish(...values).catch((error) => {
            showRights(error);
            throw error;
        });
    }
}

/* The bar that starts and stops the feed, and says whether there is one: `hear` takes note of an event, `stop` ends this
 * tab's feed, `hasten` lets it try at once what has failed. */
export function feedBar(frames, intervalMs) {
    let heardAt = -Infinity, why = "";
    const show = () => {
        const isElsewhere = !feed.isOn && performance.now() - heardAt < 3 * intervalMs + 2000;
        const isCut = document.body.classList.contains("cut");
        const say = (text) => setText($("feed-state"), text);
        setText($("feed"), feed.isOn ? "Stop the feed" : "Start the feed");
        $("feed").classList.toggle("main", !feed.isOn && !isElsewhere);
        $("feed").disabled = isElsewhere || isCut;
        say(feed.isOn ? why || "This tab is the feed: it publishes, and everybody sees it."
            : isCut ? "Cut off." : isElsewhere ? "Somebody feeds." : why || "Nobody feeds just now. Any tab can.");
    };
    const feed = new Feed(SERVER, frames, { intervalMs, onState: (isOn, reason = "") => ((why = reason), show()) });
    $("feed").onclick = () => (feed.isOn ? feed.stop() : feed.start());
    setInterval(show, 500);
    show();
    return {
        hear({ data }, isLive) {
            if (isLive && data.feed !== feed.name) {
                heardAt = performance.now();
            }
            (isLive || !feed.isOn) && feed.hear(data); /* the past stops no feed that is on */
        },
        hasten: () => feed.hasten(),
        stop: () => (feed.isOn ? feed.stop() : show()),
    };
}
