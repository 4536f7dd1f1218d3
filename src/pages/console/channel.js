/* A channel: its events as they come and as they are kept, who reads it, and a box to publish. */

import { channelPath, every, follow, get, query, Refused, send } from "./api.js";
import { channelLink } from "./channels.js";
import { ago, bytes, count, h, many, setText, when } from "./dom.js";
import { button, card, check, confirmed, empty, field, heading, Paged, pretty, say, text } from "./parts.js";
import { endButton, who } from "./subscribers.js";
import { mechanismName } from "./overview.js";

const FIRST = 30,
    OLDER = 50,
    SHOWN = 300,
    A_FRAME = 100;
const LONG = 600;
const QUIET_MS = 3000; /* between two announcements */

/* ---- events ---- */

/** An event as an item of a list. With `named` its channel is shown as well. */
export function eventItem(event, { isNew, named } = {}) {
    const payload = pretty(event);
    const isLong = payload.length > LONG || payload.split("\n").length > 12;
    return h(
        "li",
        { class: isNew ? "event arrived" : "event", "data-id": event.id },
        h(
            "div",
            { class: "bar" },
            when(event.time),
            h("b", { class: "type" }, event.type),
            named && channelLink(event.channel),
            event.content_type && h("span", { class: "quiet" }, event.content_type),
            h("span", { class: "grow" }),
            h("span", { class: "quiet number" }, event.id ?? "ephemeral"),
        ),
        h(
            "pre",
            {
                class: isLong ? "long" : null,
                tabindex: isLong ? 0 : null,
                role: isLong ? "region" : null,
                "aria-label": isLong ? `data of ${event.id ?? "an event"}` : null,
            },
            payload,
        ),
    );
}

class Events {
    constructor(name, signal) {
        Object.assign(this, { name, signal, waiting: [] });
        this.list = h("ol", { class: "events", "aria-label": "Events, the newest first" });
        this.none = empty("No event is kept here. Publish one, or wait: it appears as it comes.");
        this.older = button("Older", () => this.#fetchOlder().catch((error) => say(error.message)), { class: "more" });
        this.state = h("span", { class: "quiet" });
        this.voice = h("p", { class: "hidden", role: "status" });
        this.unsaid = 0;
        this.live = h("input", {
            type: "checkbox",
            role: "switch",
            checked: true,
            onchange: ({ target }) => (target.checked ? this.start() : this.stop()),
        });
        this.node = card(
            "Events",
            h(
                "div",
                { class: "bar" },
                h("span", { class: "grow" }, this.state),
                h("label", { class: "switch" }, h("span", {}, "live"), this.live),
            ),
            this.none,
            this.voice,
            this.list,
            this.older,
        );
    }

    /* Screen readers hear how many have come, and not more often than every few seconds. */
    #announce(n) {
        this.unsaid += n;
        this.speaking ??= setTimeout(() => {
            this.voice.textContent = `${many(this.unsaid, "new event")}.`;
            this.unsaid = 0;
            this.speaking = undefined;
        }, QUIET_MS);
    }

    async begin() {
        const presence = this.name.startsWith("$") ? false : hasPresence(this.name, this.signal);
        const page = await get(`${channelPath(this.name)}${query({ last: FIRST })}`, { signal: this.signal, exact: true });
        this.cursor = page.cursor;
        this.list.append(...page.events.reverse().map((event) => eventItem(event)));
        this.first = page.events.at(-1);
        this.#settle();
        this.hasPresence = await presence;
        this.hasPresence ? this.#stayAway() : this.start();
    }

    /* Whoever follows a channel with presence is a member of it. An operator who looks should not be seen as one by mistake. */
    #stayAway() {
        this.live.checked = false;
        setText(this.state, "Not live, since this channel has presence: while it is on, this page counts as there.");
    }

    start() {
        const control = (this.control = new AbortController());
        this.signal.addEventListener("abort", () => control.abort(), { once: true });
        follow([this.name], {
            after: this.cursor,
            exact: true,
            signal: control.signal,
            event: (event) => this.#take(event),
            gap: ({ reason }) => this.#say(reason === "trimmed" ? "events were trimmed" : "events are gone for good"),
            live: () => setText(this.state, "New events appear on top."),
            lost: () => setText(this.state, "Not connected. Trying again …"),
        }).catch((error) => setText(this.state, `Not live: ${error.message}`));
    }

    stop() {
        this.control.abort();
        setText(this.state, "Stopped. Switch it on, and what was missed comes first.");
    }

    #say(text) {
        this.list.prepend(h("li", { class: "event" }, h("p", { class: "notice" }, text)));
    }

    /* Many events may come between two frames: the page shows the newest of them. */
    #take(event) {
        this.cursor = event.id ?? this.cursor;
        this.first ??= event;
        this.waiting.push(event);
        this.frame ??= requestAnimationFrame(() => {
            const left = this.waiting.length - A_FRAME;
            this.#announce(this.waiting.length);
            const shown = this.waiting.splice(0).slice(-A_FRAME);
            this.frame = undefined;
            this.list.prepend(...shown.reverse().map((one) => eventItem(one, { isNew: true })));
            left > 0 && this.#say(`${many(left, "event")} came too fast to be shown here`);
            while (this.list.children.length > SHOWN) {
                this.list.lastChild.remove();
                this.first = { id: this.list.lastChild.dataset.id, prev: "1" };
            }
            this.#settle();
        });
    }

    async #fetchOlder() {
        const page = await get(`${channelPath(this.name)}${query({ before: this.first.id, limit: OLDER })}`, {
            signal: this.signal,
            exact: true,
        });
        this.list.append(...page.events.reverse().map((event) => eventItem(event)));
        this.first = page.events.at(-1) ?? { prev: "0" };
        this.#settle();
    }

    #settle() {
        this.none.hidden = this.list.children.length > 0;
        this.older.hidden = !this.first || !this.first.id || !+this.first.prev;
    }

    clear() {
        this.list.replaceChildren();
        this.first = undefined;
        this.#settle();
    }
}

/* ---- publishing ---- */

const isJson = (data) => {
    try {
        JSON.parse(data);
        return true;
    } catch {
        return false;
    }
};

function publishCard(name) {
    const data = h("textarea", { name: "data", rows: 4, spellcheck: "false", required: true, placeholder: '{"price": 67123.5}' });
    const type = text({ name: "type", maxlength: 64, placeholder: "message", pattern: "[A-Za-z0-9._:\\/\\-]+" });
    const ephemeral = h("input", { type: "checkbox" });
    const kind = h("span", {}, "JSON or text");
    const answer = h("p", { class: "quiet", role: "status" });
    data.oninput = () => setText(kind, !data.value.trim() ? "JSON or text" : isJson(data.value) ? "goes as JSON" : "goes as text");
    const form = h(
        "form",
        {
            async onsubmit(event) {
                event.preventDefault();
                const path = channelPath(name) + query({ type: type.value.trim(), ephemeral: ephemeral.checked });
                const headers = { "Content-Type": isJson(data.value) ? "application/json" : "text/plain" };
                try {
                    const { id } = await send("POST", path, { body: data.value, headers });
                    setText(answer, id ? `Published as ${id}.` : "Sent to those who are connected now.");
                } catch (error) {
                    setText(answer, `Not published: ${error.message}`);
                }
            },
        },
        field("Data", data, kind),
        field("Type", type),
        check("ephemeral: not kept, only for those who are connected", {}),
        h("div", { class: "bar" }, h("button", { class: "main" }, "Publish"), h("span", { class: "quiet" }, "or Ctrl+Enter")),
        answer,
    );
    form.querySelector(".check input").replaceWith(ephemeral);
    data.addEventListener("keydown", (event) => event.key === "Enter" && (event.ctrlKey || event.metaKey) && form.requestSubmit());
    return card("Publish", form);
}

/* ---- who is there ---- */

function readersCard(name, signal) {
    const list = h("ul", { class: "people" });
    const number = h("span", { class: "quiet number" });
    const paged = new Paged({
        parent: list,
        signal,
        key: ({ id }) => id,
        none: empty("Nobody reads it now, by a stream, a WebSocket or a waiting poll."),
        page: async () => {
            const { subscribers, next } = await get(`/subscribers${query({ channel: name, limit: 20 })}`, { signal });
            setText(number, next ? "20 and more" : count(subscribers.length));
            return { items: subscribers, next: null };
        },
        make: (one) =>
            h(
                "li",
                {},
                h(
                    "span",
                    { class: "grow" },
                    who(one),
                    h("span", { class: "quiet" }, ` ${mechanismName(one.mechanism)}, came `),
                    ago(one.since),
                ),
                endButton(one, paged),
            ),
    });
    const all = h("a", { href: `#/subscribers?channel=${encodeURIComponent(name)}` }, "All of them");
    const node = card(["Subscribers ", number], list, paged.after, all);
    paged.begin().catch((error) => node.replaceChildren(...card("Subscribers", empty(error.message)).children));
    return node;
}

const memberItem = ({ member, verified, connections, state, read }) =>
    h(
        "li",
        {},
        h(
            "span",
            { class: "grow" },
            h("b", {}, member),
            !verified && h("span", { class: "quiet", title: "It has named itself" }, " (unverified)"),
            state !== undefined && h("code", {}, ` ${JSON.stringify(state)}`),
            read && h("span", { class: "quiet" }, ` has read up to ${read}`),
        ),
        h("span", { class: "quiet number" }, many(connections, "connection")),
    );

const presencePath = (name) => `/presence/${channelPath(name).slice("/channels/".length)}`;

const answers = (path, signal) =>
    get(path, { signal }).then(
        () => true,
        () => false,
    );

/* Whether a namespace of the channel has presence: the longest prefix decides. If the configuration may not be seen, ask for it. */
async function hasPresence(name, signal) {
    try {
        const { keys } = await get("/configuration", { signal });
        const namespaces = keys.find(({ key }) => key === "namespaces")?.value ?? [];
        const own = namespaces
            .filter(({ prefix }) => !prefix || name === prefix || name.startsWith(`${prefix}/`))
            .sort((a, b) => (b.prefix ?? "").length - (a.prefix ?? "").length)[0];
        return Boolean(own?.presence);
    } catch (error) {
        return error instanceof Refused && answers(presencePath(name), signal);
    }
}

async function membersCard(name, signal, place) {
    const list = h("ul", { class: "people" });
    const number = h("p", { class: "quiet number" });
    const paged = new Paged({
        parent: list,
        signal,
        key: ({ member, verified }) => `${verified} ${member}`,
        make: memberItem,
        none: empty("No member has a name now."),
        page: async () => {
            const { members, count: all, anonymous } = await get(presencePath(name), { signal });
            setText(number, `${many(all, "member")}${anonymous ? `, and ${many(anonymous, "connection")} without a name` : ""}`);
            return { items: members, next: null };
        },
    });
    const show = (...content) => place.replaceChildren(card("Members", ...content));
    await paged.begin().then(
        () => show(number, list, paged.after),
        (error) => signal.aborted || show(empty(error.message)),
    );
}

/* ---- the view ---- */

function trimButton(name, events) {
    return button(
        "Delete its events …",
        () =>
            confirmed(
                `Delete all events of ${name}?`,
                "They can no longer be read, and their bytes leave the disk. Consumers with an older cursor are told of the gap. The channel can be published to as before.",
                "Delete",
                async () => {
                    await send("DELETE", channelPath(name));
                    events.clear();
                    say(`The events of ${name} are deleted.`);
                    return true;
                },
            ),
        { class: "danger" },
    );
}

async function showFigures(name, place, trim) {
    const { channels } = await get(`/channels${query({ prefix: name, limit: 1 })}`);
    const own = channels.find(({ channel }) => channel === name);
    trim.hidden = !own?.count;
    place.replaceChildren(own?.count ? `${many(own.count, "event")} kept, ${bytes(own.bytes)}` : "no event kept");
}

export async function channel(main, params, { name, signal }) {
    const events = new Events(name, signal);
    const figures = h("span", { class: "quiet number" });
    const members = h("div", { class: "bare" });
    const isOwn = name.startsWith("$");
    const trim = trimButton(name, events);
    trim.hidden = true;
    await events.begin();
    main.replaceChildren(
        h("p", { class: "trail" }, h("a", { href: "#/channels" }, "Channels")),
        heading(name, figures, !isOwn && trim),
        h(
            "div",
            { class: "beside" },
            h("div", { class: "column" }, events.node),
            h("div", { class: "column" }, !isOwn && publishCard(name), readersCard(name, signal), members),
        ),
    );
    const refresh = () => showFigures(name, figures, trim).catch(() => {});
    refresh();
    every(3000, signal, refresh);
    events.hasPresence && membersCard(name, signal, members);
}
