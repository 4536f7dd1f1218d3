/* The list of channels. */

import { channelPath, get, origin, query, send } from "./api.js";
import { bytes, count, h } from "./dom.js";
import { ask, button, card, code, command, empty, field, heading, Paged, table, text } from "./parts.js";

const LIMIT = 100;
const BEHIND_OWN = "$~"; /* sorts behind the server's own channels, which begin with $ and a letter */
const isOwn = ({ channel }) => channel.startsWith("$");

export const channelLink = (name) => h("a", { class: "name", href: `#/channels/${encodeURIComponent(name)}` }, name);

/** A page of channels. Without `own` those of the server are left out, and jumped over. */
export async function channelsPage({ prefix, own, after, signal }) {
    const page = await get(`/channels${query({ prefix, limit: LIMIT, after })}`, { signal });
    if (own || prefix.startsWith("$") || !page.channels.some(isOwn)) {
        return { items: page.channels, next: afterOf(page) };
    }
    const others = page.channels.filter((item) => !isOwn(item));
    const rest = await get(`/channels${query({ prefix, limit: LIMIT, after: BEHIND_OWN })}`, { signal });
    const before = others.filter(({ channel }) => channel < "$");
    return { items: [...before, ...rest.channels], next: afterOf(rest) };
}

const afterOf = ({ more, nextLink }) => (more && nextLink ? new URLSearchParams(nextLink.slice(1)).get("after") : null);

/** Asks for a channel and an event. */
export const publishNew = () =>
    ask({
        title: "Publish to a new channel",
        body: [
            field(
                "Channel",
                text({ name: "channel", required: true, maxlength: 255, placeholder: "news" }),
                "One or more words joined by /, such as trades/btc.",
            ),
            field("Data", h("textarea", { name: "data", rows: 3, required: true }, "hello")),
        ],
        action: "Publish",
        async run({ elements }) {
            const name = elements.channel.value.trim();
            await send("POST", channelPath(name), { body: elements.data.value, headers: { "Content-Type": "text/plain" } });
            location.hash = `#/channels/${encodeURIComponent(name)}`;
        },
    });

export async function channels(main, params, { signal }) {
    const search = text({ type: "search", value: params.get("prefix") ?? "", placeholder: "trades/", maxlength: 255 });
    const own = h("input", { type: "checkbox" });
    const list = table("Channels", [
        { title: "channel", kind: "wide" },
        { title: "events kept", kind: "number" },
        { title: "data", kind: "number" },
        { title: "newest id", kind: "number" },
    ]);
    const none = h("div", {});
    const row = ({ channel, count: n, bytes: size, last }) => list.row([channelLink(channel), count(n), bytes(size), last]);
    const paged = new Paged({
        parent: list.body,
        key: ({ channel }) => channel,
        make: row,
        none,
        signal,
        page: (after) => channelsPage({ prefix: search.value, own: own.checked, after, signal }),
        onItems: (items) =>
            !items.length &&
            none.replaceChildren(
                search.value
                    ? empty("No channel begins with ", code(search.value), ". Names are compared letter by letter.")
                    : h(
                          "div",
                          {},
                          empty("No channel has an event yet. The first publish creates one:"),
                          command(`curl ${origin}/channels/news -d hello`),
                      ),
            ),
    });
    let timer;
    const changed = () => {
        clearTimeout(timer);
        timer = setTimeout(() => paged.anew(), 150);
    };
    /* Enter opens the channel of that name, or the only one that is left. */
    const openOnly = () => {
        const found = paged.items.find(({ channel }) => channel === search.value) ?? (paged.items.length === 1 && paged.items[0]);
        found && (location.hash = `#/channels/${encodeURIComponent(found.channel)}`);
    };
    search.oninput = changed;
    own.onchange = changed;
    await paged.begin();
    main.replaceChildren(
        heading("Channels", button("Publish", publishNew)),
        h(
            "form",
            { class: "filters", role: "search", onsubmit: (event) => (event.preventDefault(), openOnly()) },
            field("Begins with", search),
            h("label", { class: "check" }, own, h("span", {}, "the server's own, $…")),
        ),
        card("Channels that hold events", list.node, paged.after),
    );
}
