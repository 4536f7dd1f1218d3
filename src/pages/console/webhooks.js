/* The list of webhooks, and a new one. */

import { get, send } from "./api.js";
import { ago, count, h } from "./dom.js";
import { ask, badge, button, card, check, code, empty, field, heading, Paged, select, showOnce, table, text } from "./parts.js";

const KINDS = { active: "good", failing: "warn", paused: "calm", disabled: "bad" };

export const stateBadge = (state) => badge(state, KINDS[state] ?? "calm");

export const lagOf = ({ lag, lag_exact: isExact }) => (lag ? `${count(lag)}${isExact === false ? " or more" : ""}` : "0");

/** The outcome of the last attempt. */
export function lastOf({ last }) {
    if (!last) {
        return h("span", { class: "quiet" }, "nothing sent yet");
    }
    return [
        badge(last.status ? String(last.status) : "no answer", last.status >= 200 && last.status < 300 ? "good" : "warn"),
        " ",
        ago(last.time),
    ];
}

/** Names and patterns of a field, by blanks or commas. */
export const namesOf = (value) => value.split(/[\s,]+/).filter(Boolean);

const FORMATS = [
    ["event", "the event with its id, channel and type"],
    ["data", "the data alone"],
    ["cloudevents", "CloudEvents"],
    ["cloudevents-binary", "CloudEvents, binary"],
];

export const registerNew = (onMade) =>
    ask({
        title: "Register a webhook",
        body: [
            field(
                "URL",
                text({ name: "url", type: "url", required: true, placeholder: "https://you.example/receiver" }),
                "The server calls it by POST for each event.",
            ),
            field(
                "Channels",
                text({ name: "channels", required: true, placeholder: "orders/**" }),
                "Names and patterns, separated by blanks.",
            ),
            field("Types", text({ name: "types", placeholder: "all" }), "Only these types of events; empty for all."),
            field("Description", text({ name: "description" })),
            field("Body", select({ name: "format", value: "event" }, FORMATS)),
            check("in order: a channel waits for an event that fails", { name: "ordered", checked: true }),
            check("register only if a signed ping is accepted", { name: "verify" }),
        ],
        action: "Register",
        async run({ elements: { url, channels, types, description, format, ordered, verify } }) {
            const list = namesOf(types.value);
            onMade(
                await send("POST", "/webhooks", {
                    json: {
                        url: url.value.trim(),
                        channels: namesOf(channels.value),
                        ...(list.length && { types: list }),
                        format: format.value,
                        ordered: ordered.checked,
                        ...(description.value && { description: description.value }),
                        ...(verify.checked && { verify: "ping" }),
                    },
                }),
            );
            return true;
        },
    });

export const hookLink = ({ id, url }) => h("a", { class: "name", href: `#/webhooks/${encodeURIComponent(id)}` }, url);

export async function webhooks(main, params, { signal }) {
    const list = table("Webhooks", [
        { title: "URL", kind: "wide" },
        { title: "state" },
        { title: "channels" },
        { title: "waiting", kind: "number" },
        { title: "dead", kind: "number" },
        { title: "last attempt" },
    ]);
    const made = h("div", { class: "bare" });
    const add = () =>
        registerNew((hook) => {
            made.replaceChildren(
                showOnce(
                    "Registered",
                    [
                        "The secret below verifies the signatures of its deliveries. It is shown this once. ",
                        h("a", { href: `#/webhooks/${encodeURIComponent(hook.id)}` }, "Open the webhook"),
                    ],
                    [["Secret", hook.secret]],
                ),
            );
            paged.anew();
        });
    const paged = new Paged({
        parent: list.body,
        signal,
        key: ({ id }) => id,
        none: h(
            "div",
            {},
            empty("No webhook is registered. A webhook is a URL of yours that the server calls when something happens."),
            button("Register a webhook", add, { class: "main" }),
        ),
        page: async () => ({ items: (await get("/webhooks", { signal })).webhooks, next: null }),
        make: (hook) =>
            list.row([
                [hookLink(hook), hook.description && h("span", { class: "under quiet" }, hook.description)],
                stateBadge(hook.state),
                hook.channels.map((name, i) => [i > 0 && ", ", code(name)]),
                lagOf(hook),
                hook.dead ? badge(count(hook.dead), "bad") : "0",
                lastOf(hook),
            ]),
    });
    await paged.begin();
    main.replaceChildren(
        heading("Webhooks", button("Register", add, { class: "main" })),
        made,
        card("All webhooks", list.node, paged.after),
    );
}
