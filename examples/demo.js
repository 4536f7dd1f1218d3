/* Parts that the demos share: small helpers for pages, a line to the server that has a plug, and the feed of replayed data.
 *
 * Every demo is a page without build step: it imports freshet.js from the server that serves the page, and follows channels below `demos/`.
 * To take one for a site of your own, copy its folder and this file, and let `SERVER` be the URL of your server. */

import { connect } from "../freshet.js";
import { Feed } from "./feed.mjs";

export const SERVER = new URL("..", import.meta.url).href;

export const $ = (id) => document.getElementById(id);

/* An element with properties and children. */
export function make(name, properties = {}, ...children) {
    const element = Object.assign(document.createElement(name), properties);
    element.append(...children);
    return element;
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
     * the page tells of as missed: all are without it. */
    constructor(parts, { onCut, onLive, ...options } = {}) {
        Object.assign(this, { parts, options, onCut, onLive });
        $("plug").checked = true;
        $("plug").onchange = ({ target }) => (target.checked ? this.open() : this.cut());
        addEventListener("pageshow", ({ persisted }) => persisted && location.reload());
        this.open();
    }

    say(text) {
        $("line").textContent = text;
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
        this.back = "";
        $("plug-label").textContent = "connected";
        document.body.classList.remove("cut");
        this.begin(wanted.shift(), tally);
    }

    /* Subscribes to one part; the next follows when the connection is there, since a change of mind while it opens would make it open anew. */
    begin(part, tally) {
        const { client } = this;
        let isLive = false;
        const event = (one) => {
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
        const gap = ({ reason }) => {
            this.back = reason === "unknown" ? "The server has begun anew: what it had kept is gone." : "Some events are gone for good: the server keeps only so many.";
            this.told(client.state);
        };
        const error = (refusal) => {
            this.say(`Refused: ${refusal.message}`);
            showRights(refusal);
        };
        part.at = client.subscribe(part.channels, { event, live, gap, error }, part.at?.cursor ? { after: part.at.cursor } : part.from);
    }

    cut() {
        this.client.close();
        this.client = null;
        $("plug-label").textContent = "cut off";
        document.body.classList.add("cut");
        this.say("Cut off. Others go on; switch it on again, and all that you miss comes in order.");
        this.onCut?.();
    }

    told(state) {
        document.body.dataset.state = state;
        if (state === "live") {
            this.say(this.back || "Live.");
        } else if (state === "connecting") {
            this.say("Connecting …");
        }
    }

    /* Publishes, if the plug is in. */
    async publish(...values) {
        if (!this.client) {
            throw new Error("cut off");
        }
        return this.client.publish(...values).catch((error) => {
            showRights(error);
            throw error;
        });
    }
}

/* The bar that starts and stops the feed, and says whether there is one: `hear` takes note of an event, `stop` ends this tab's feed. */
export function feedBar(frames, intervalMs) {
    let heardAt = -Infinity, why = "";
    const show = () => {
        const isElsewhere = !feed.isOn && performance.now() - heardAt < 3 * intervalMs + 2000;
        const isCut = document.body.classList.contains("cut");
        $("feed").textContent = feed.isOn ? "Stop the feed" : "Start the feed";
        $("feed").classList.toggle("main", !feed.isOn && !isElsewhere);
        $("feed").disabled = isElsewhere || isCut;
        $("feed-state").textContent = feed.isOn ? "This tab is the feed: it publishes, and everybody sees it."
            : isCut ? "Cut off." : isElsewhere ? "Somebody feeds." : why || "Nobody feeds just now. Any tab can.";
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
            feed.hear(data);
        },
        stop: () => (feed.isOn ? feed.stop() : show()),
    };
}
