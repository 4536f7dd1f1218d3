/* A webhook: its state, what it is owed, and its deliveries. */

import { every, get, query, send } from "./api.js";
import { channelLink } from "./channels.js";
import { ago, count, h, many, ms, replaceKeepingFocus, setText, when } from "./dom.js";
import { ask, badge, button, card, code, confirmed, empty, facts, field, heading, Paged, say, select, showOnce, text } from "./parts.js";
import { deliveryItem } from "./delivery.js";
import { lastOf, namesOf, stateBadge } from "./webhooks.js";

const LIMIT = 50;
const STATES = [
    ["", "all"],
    ["delivered", "delivered"],
    ["failed", "failed"],
    ["failing", "to be tried again"],
    ["dead", "dead letters"],
    ["skipped", "skipped"],
];

const pathOf = (id, rest = "") => `/webhooks/${encodeURIComponent(id)}${rest}`;

/* ---- actions ---- */

const PLACES = [
    ["time", "a time"],
    ["earliest", "the beginning of what is kept"],
    ["now", "now: skip what it is owed"],
    ["id", "an event's id"],
];

function replayFields() {
    const time = field("Time", h("input", { type: "datetime-local", name: "time", step: 1 }), "By the clock of this computer.");
    const id = field("Id", text({ name: "id", pattern: "[0-9]{16}", placeholder: "1795459080123456" }), "What comes behind it is sent.");
    const from = select({ name: "from", value: "time", onchange: () => show() }, PLACES);
    const show = () => {
        time.hidden = from.value !== "time";
        id.hidden = from.value !== "id";
    };
    show();
    return [h("p", {}, "The webhook goes back, or forward, and is sent what comes after that place."), field("From", from), time, id];
}

const replay = (id, done) =>
    ask({
        title: "Replay",
        body: replayFields(),
        action: "Replay",
        async run({ elements: { from, time, id: given } }) {
            const after =
                { time: () => time.value && new Date(time.value).toISOString(), id: () => given.value.trim() }[from.value]?.() ??
                from.value;
            if (!after) {
                throw new Error(from.value === "time" ? "Say from which time on." : "Say behind which event.");
            }
            await send("POST", pathOf(id, "/replay"), { json: { after } });
            await done("It is sent what comes after that place.");
            return true;
        },
    });

const change = (hook, done) =>
    ask({
        title: "Change the webhook",
        body: [
            field("URL", text({ name: "url", type: "url", required: true, value: hook.url })),
            field("Channels", text({ name: "channels", required: true, value: hook.channels.join(" ") })),
            field("Types", text({ name: "types", value: (hook.types ?? []).join(" "), placeholder: "all" })),
            field("Description", text({ name: "description", value: hook.description ?? "" })),
        ],
        action: "Change",
        async run({ elements: { url, channels, types, description } }) {
            const said = {
                url: url.value.trim(),
                channels: namesOf(channels.value),
                types: namesOf(types.value),
                description: description.value,
            };
            const differs = Object.entries(said).filter(
                ([name, value]) => JSON.stringify(value) !== JSON.stringify(hook[name] ?? (name === "types" ? [] : "")),
            );
            await send("PATCH", pathOf(hook.id), { json: Object.fromEntries(differs) });
            await done("The webhook is changed.");
            return true;
        },
    });

class Actions {
    constructor(id, made, refresh) {
        Object.assign(this, { id, made, refresh });
    }

    async run(what, request) {
        try {
            const answer = await request();
            say(typeof what === "function" ? what(answer) : what);
        } catch (error) {
            say(`Refused: ${error.message}`);
        }
        await this.refresh();
    }

    post(rest, what) {
        return () => this.run(what, () => send("POST", pathOf(this.id, rest)));
    }

    async rotate() {
        await confirmed(
            "Make a new secret?",
            "The old one signs as well for 24 hours, so the receiver has time to change.",
            "Make it",
            async () => {
                const { secret, asymmetric } = await send("POST", pathOf(this.id, "/rotate"));
                this.made.replaceChildren(
                    showOnce("The new secret", "It is shown this once.", [
                        ["Secret", secret],
                        ...(asymmetric ? [["Private key", asymmetric]] : []),
                    ]),
                );
                return true;
            },
        );
    }

    remove() {
        return confirmed("Delete this webhook?", "Nothing is sent to it any more, and its record goes with it.", "Delete", async () => {
            await send("DELETE", pathOf(this.id));
            location.hash = "#/webhooks";
            say("The webhook is deleted.");
            return true;
        });
    }

    /* `current` gives the webhook as it is when a button is pressed: it may have changed since the buttons were made. */
    buttons(state, current) {
        const done = (text) => (say(text), this.refresh());
        const isHeld = state === "paused" || state === "disabled";
        const pinged = ({ ok, status, ms: took, error }) =>
            ok ? `The ping was accepted with ${status}, after ${ms(took)}.` : `The ping failed: ${error ?? `the answer was ${status}`}.`;
        return [
            isHeld
                ? button("Resume", this.post("/resume", "It goes on where it was."), { class: "main" })
                : button("Pause", this.post("/pause", "It is paused. Nothing is lost.")),
            button("Send a ping", this.post("/ping", pinged)),
            button("Replay …", () => replay(this.id, done)),
            button(
                "Retry all that failed",
                this.post("/retry", ({ retrying }) => `Sent again: ${many(retrying ?? 0, "delivery", "deliveries")}.`),
            ),
            button("Change …", () => change(current(), done)),
            button("New secret …", () => this.rotate()),
            button("Delete …", () => this.remove(), { class: "danger" }),
        ];
    }
}

/* ---- the view ---- */

const stateFacts = (hook) =>
    facts([
        ["waiting", `${many(+hook.lag || 0, "event")}${hook.lag_exact === false ? " or more" : ""}`],
        ["under way", count(hook.inflight)],
        ["channels held back", count(hook.held)],
        ["dead letters", hook.dead ? badge(count(hook.dead), "bad") : "0"],
        ["sending", hook.circuit === "open" ? badge("rests after failures", "warn") : hook.circuit === "closed" ? "yes" : hook.circuit],
        ["failures in a row", count(hook.failures)],
        ["next attempt", hook.next_attempt && ago(hook.next_attempt)],
        ["last attempt", lastOf(hook)],
    ]);

const settingFacts = (hook) =>
    facts([
        ["channels", hook.channels.map((name, i) => [i > 0 && ", ", code(name)])],
        ["types", hook.types?.length ? hook.types.join(", ") : "all"],
        ["description", hook.description],
        ["body", hook.batch ? `pages of up to ${hook.batch}, as ${hook.format}` : hook.format],
        ["in order", hook.ordered ? "yes" : "no"],
        ["at once", many(hook.concurrency, "request")],
        ["time-out", `${hook.timeout} s`],
        ["own headers", hook.header_names?.join(", ")],
        ["topic", hook.topic],
        ["made", when(hook.created)],
    ]);

export async function webhook(main, params, { name: id, signal, refused }) {
    let hook = await get(pathOf(id), { signal });
    const state = h("span"),
        title = heading(hook.url, state),
        bar = h("div", { class: "bar actions" }),
        now = h("div"),
        settings = h("div"),
        made = h("div", { class: "bare" });
    const wanted = select({ name: "state", value: params.get("state") ?? "" }, STATES);
    const list = h("div", { class: "deliveries" });
    const paged = new Paged({
        parent: list,
        signal,
        key: ({ n }) => n,
        make: (delivery) => deliveryItem(hook, delivery, act),
        none: empty("There is no delivery like that. When an event is published to one of its channels, it is here with its answer."),
        page: async (after) => {
            const { deliveries, more, next } = await get(
                pathOf(id, `/deliveries${after ?? query({ state: wanted.value, limit: LIMIT })}`),
                { signal },
            );
            return { items: deliveries, next: more ? next : null };
        },
    });
    const show = () => {
        const { state: held } = hook;
        state.replaceChildren(stateBadge(hook.state));
        setText(title.querySelector("h1"), hook.url);
        bar.dataset.state !== held && replaceKeepingFocus(bar, ...actions.buttons(held, () => hook));
        bar.dataset.state = held;
        now.replaceChildren(stateFacts(hook));
        settings.replaceChildren(settingFacts(hook));
    };
    let turn = 0;
    /* An answer that a later request has overtaken is dropped, and a failed one is tried again by the timer. A webhook may also be gone. */
    const renew = async () => {
        const own = ++turn;
        const fresh = await get(pathOf(id), { signal }).catch((error) => error.status === 404 && refused(error));
        if (fresh && own === turn) {
            hook = fresh;
            show();
        }
    };
    const refresh = () => Promise.all([renew(), paged.anew()]);
    const actions = new Actions(id, made, refresh);
    const act = (n, what) =>
        actions.run(what === "drop" ? `Delivery ${n} is dropped.` : `Delivery ${n} is sent again.`, () =>
            what === "drop" ? send("DELETE", pathOf(id, `/deliveries/${n}`)) : send("POST", pathOf(id, `/deliveries/${n}/retry`)),
        );
    wanted.onchange = () => paged.anew();
    await paged.begin();
    show();
    main.replaceChildren(
        h("p", { class: "trail" }, h("a", { href: "#/webhooks" }, "Webhooks")),
        title,
        bar,
        made,
        h("div", { class: "two" }, card("State", now), card("Settings", settings)),
        card("Deliveries", h("div", { class: "filters" }, field("Show", wanted)), list, paged.after),
        h("p", { class: "quiet" }, "Its troubles are events on ", channelLink(`$webhooks/${id}`), "."),
    );
    every(2000, signal, renew);
}
