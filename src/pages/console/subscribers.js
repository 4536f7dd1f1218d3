/* The subscribers: address, subject, mechanism, how far behind, and an end to it. */

import { get, ownStreams, query, send } from "./api.js";
import { channelLink } from "./channels.js";
import { ago, h, many } from "./dom.js";
import { mechanismName } from "./overview.js";
import { badge, button, card, check, code, confirmed, empty, field, heading, Paged, say, select, table, text } from "./parts.js";

const LIMIT = 100,
    NAMES = 3;

/** The subject of a subscriber, or that it has none. */
export const who = ({ subject, address }) => (subject ? h("b", {}, subject) : h("span", {}, address ?? "a client"));

async function disconnect({ id, subject, address }, list) {
    try {
        await send("DELETE", `/subscribers${query({ id })}`);
        say(`${subject ?? address ?? "The subscriber"} is disconnected. It may connect again.`);
    } catch (error) {
        say(`Not disconnected: ${error.message}`);
    }
    await list.anew();
}

/** A button that ends a subscription; for this page's own a word. */
export const endButton = (one, list) =>
    ownStreams.has(one.id)
        ? badge("this page")
        : button("Disconnect", () => disconnect(one, list), { class: "small", "aria-label": `Disconnect ${one.subject ?? one.address}` });

const disconnectAll = (subject, list) =>
    confirmed(
        `Disconnect all that goes on under ${subject}?`,
        "Its streams and WebSockets end, and its polls are answered. It may connect again; to keep it out, revoke it under Keys.",
        "Disconnect",
        async () => {
            const { disconnected } = await send("DELETE", `/subscribers${query({ subject })}`);
            say(`${many(disconnected, "subscription")} of ${subject} ended.`);
            await list.anew();
            return true;
        },
    );

const isPattern = (name) => name.includes("*");

function channelNames(names) {
    const shown = names.slice(0, NAMES).map((name, i) => [i > 0 && ", ", isPattern(name) ? code(name) : channelLink(name)]);
    return [
        shown,
        names.length > NAMES && h("span", { class: "quiet", title: names.slice(NAMES).join(", ") }, ` and ${names.length - NAMES} more`),
    ];
}

/* Events of the whole log after its cursor: at most so many are for it. */
const behindOf = ({ behind, behind_events: events }) =>
    behind
        ? [badge("behind", "warn"), events > 0 && h("span", { class: "under quiet" }, `${many(events, "event")} of the log`)]
        : h("span", { class: "quiet" }, "caught up");

/* A browser's name is long and says little: the title has the whole. */
function agent(text) {
    const short = /(Firefox|Edg|Chrome|Safari)\/[\d]+/.exec(text ?? "")?.[0] ?? text ?? "";
    return short && h("span", { class: "quiet agent", title: text }, short);
}

export async function subscribers(main, params, { signal }) {
    const subject = text({ type: "search", name: "subject", value: params.get("subject") ?? "" });
    const channel = text({ type: "search", name: "channel", value: params.get("channel") ?? "" });
    const address = text({ type: "search", name: "address", value: params.get("address") ?? "" });
    const words = ["sse", "ndjson", "raw", "poll", "ws", "freshet.v1"];
    const mechanism = select({ name: "mechanism", value: params.get("mechanism") ?? "" }, [
        ["", "all"],
        ...words.map((word) => [word, mechanismName(word)]),
    ]);
    const behind = check("only those behind", { name: "behind" });
    const members = () => ({
        subject: subject.value.trim(),
        channel: channel.value.trim(),
        address: address.value.trim(),
        mechanism: mechanism.value,
        behind: behind.querySelector("input").checked,
    });
    const list = table("Subscribers", [
        { title: "who" },
        { title: "mechanism" },
        { title: "channels", kind: "wide" },
        { title: "since", kind: "time" },
        { title: "position" },
        { title: "disconnect", kind: "act" },
    ]);
    const none = h("div", {});
    const all = h("span");
    const paged = new Paged({
        parent: list.body,
        signal,
        none,
        key: ({ id }) => id,
        page: async (after) => {
            const { subscribers: items, next } = await get(`/subscribers${query({ ...members(), limit: LIMIT, after })}`, { signal });
            return { items, next };
        },
        make: (one) =>
            list.row([
                [
                    who(one),
                    h("span", { class: "under" }, one.subject && h("span", { class: "quiet number" }, one.address), agent(one.user_agent)),
                ],
                mechanismName(one.protocol ?? one.mechanism),
                channelNames(one.channels),
                ago(one.since),
                behindOf(one),
                endButton(one, paged),
            ]),
        onItems: (items) => {
            const isFiltered = Object.values(members()).some(Boolean);
            !items.length &&
                none.replaceChildren(
                    empty(
                        isFiltered ? "No subscriber is like that now." : "Nobody is connected by a stream, a WebSocket or a waiting poll.",
                    ),
                );
            const asked = subject.value.trim();
            all.replaceChildren(
                ...(asked && items.length
                    ? [button("Disconnect all of this subject", () => disconnectAll(asked, paged), { class: "danger" })]
                    : []),
            );
        },
    });
    let timer;
    const changed = () => {
        clearTimeout(timer);
        timer = setTimeout(
            () =>
                paged.refresh().then(
                    () => (trouble.hidden = true),
                    (error) => {
                        trouble.hidden = false;
                        trouble.textContent = error.message;
                    },
                ),
            200,
        );
    };
    const trouble = h("p", { class: "notice", role: "status", hidden: true });
    await paged.begin();
    main.replaceChildren(
        heading("Subscribers", all),
        h(
            "form",
            { class: "filters", role: "search", oninput: changed, onsubmit: (event) => (event.preventDefault(), changed()) },
            field("Subject", subject),
            field("Reads the channel", channel),
            field("Address", address),
            field("Mechanism", mechanism),
            behind,
        ),
        trouble,
        card("Connected now", list.node, paged.after),
    );
}
