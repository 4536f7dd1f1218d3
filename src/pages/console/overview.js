/* The overview: whether all is well, in numbers that change each second. */

import { onOutage } from "../answering.js";
import { every, get, Refused } from "./api.js";
import { bytes, count, h, keyed, many, ms, rate, setText, span, svg } from "./dom.js";
import { badge, card, empty, facts, heading, table } from "./parts.js";
import { Plot } from "./plot.js";
import { watchRates } from "./rates.js";

const TOP = 5; /* of those who were refused */

/* Names of mechanisms as people say them. */
const MECHANISMS = {
    sse: "server-sent events",
    ndjson: "NDJSON",
    raw: "raw stream",
    poll: "long-poll",
    ws: "WebSocket",
    "freshet.v1": "freshet.v1",
    webhook: "webhook",
};

export const mechanismName = (word) => MECHANISMS[word] ?? word;

/* The meaning of each limit's counter, in place of its name. */
const LIMITS = {
    connections_refused: "connections over connections_max, refused",
    address_connections_refused: "connections of an address over its limit, refused",
    subject_connections_refused: "streams and polls of a subject over its limit, refused",
    memory_refused: "refused, because memory_max is reached",
    subscriptions_refused: "subscriptions over those of a request or connection, refused",
    bodies_refused: "requests over body_max or batch_max, refused",
    events_refused: "publishes over the event_max of their namespace, refused",
    rates_refused: "publishes faster than a rate allows, refused",
    publishes_held: "waits of a connection with inflight_max publishes open",
    publishes_paused: "waits of a publisher because of pending_max",
    unsent_closed: "connections closed, because the peer does not read",
    patterns_refused: "subscriptions to patterns over branches_max, refused",
    held_closed: "closed or refused, by held_max",
    channels_refused: "publishes to a new channel over channels_max, refused",
    shares_refused: "publishes to a new channel over a share, refused",
    keys_refused: "publishes under a new key over keys_max, refused",
    messages_refused: "WebSocket messages over message_max, closed",
    idle_closed: "connections closed after idle_ms without a request",
    stalled_closed: "connections closed after stall_ms without progress",
    peers_gone: "subscribers whose peer was silent for two heartbeats",
    websockets_unclosed: "WebSockets whose peer did not answer a close",
    http2_floods: "HTTP/2 connections closed, over http2_control_max",
    http2_streams_refused: "HTTP/2 streams over http2_streams_max, refused",
    handshakes_late: "PROXY headers and TLS handshakes that took too long",
    handshakes_shed: "TLS handshakes given up for newer ones",
};

/* Counters that are told under a former name, too. */
const FORMER = new Set(["rests_closed", "unclosed_sockets"]);

function tile(name) {
    const value = h("b", { class: "number" }, "–");
    const under = h("span", { class: "quiet" });
    return { node: h("div", { class: "tile" }, h("span", { class: "label" }, name), value, under), value, under };
}

function bars() {
    const list = h("ul", { class: "bars" });
    const show = (counts) => {
        const most = Math.max(1, ...Object.values(counts));
        keyed(
            list,
            Object.entries(counts),
            ([name]) => name,
            ([name, n]) =>
                h(
                    "li",
                    {},
                    h("span", {}, mechanismName(name)),
                    svg(
                        "svg",
                        { viewBox: "0 0 100 8", preserveAspectRatio: "none", "aria-hidden": "true" },
                        svg("rect", { width: (100 * n) / most, height: 8, rx: 1 }),
                    ),
                    h("b", { class: "number" }, count(n)),
                ),
        );
    };
    return { node: list, show };
}

const withoutTotal = ({ total, ...rest }) => rest;

/* The problems and clients of the most refusals. */
function topOf(refusals) {
    const sums = new Map();
    for (const { problem, address, subject, count: times } of refusals) {
        const who = subject ?? address ?? "anybody";
        const sum = sums.get(`${problem} ${who}`) ?? { problem, who, times: 0 };
        sum.times += times;
        sums.set(`${problem} ${who}`, sum);
    }
    return [...sums.values()].sort((a, b) => b.times - a.times).slice(0, TOP);
}

function limitsCard() {
    const limits = table("Limits that were hit", [{ title: "limit" }, { title: "hits", kind: "number" }]);
    const none = empty("No limit was hit since the server was started.");
    const show = (all) => {
        const hit = Object.entries(all)
            .filter(([name, n]) => n > 0 && !FORMER.has(name))
            .sort(([, a], [, b]) => b - a);
        keyed(
            limits.body,
            hit,
            ([name]) => name,
            ([name, n]) => limits.row([[h("span", { title: name }, LIMITS[name] ?? name)], count(n)]),
        );
        none.hidden = hit.length > 0;
        limits.node.hidden = !hit.length;
    };
    const refused = table("Who was refused lately", [{ title: "refused lately" }, { title: "who" }, { title: "times", kind: "number" }]);
    refused.node.hidden = true;
    const showRefused = (samples) => {
        const top = topOf(samples.flatMap((sample) => sample.refused ?? []));
        keyed(
            refused.body,
            top,
            ({ problem, who }) => `${problem} ${who}`,
            ({ problem, who, times }) => refused.row([problem, who, count(times)]),
        );
        refused.node.hidden = !top.length;
    };
    return { node: card("Limits hit", none, limits.node, refused.node), show, showRefused };
}

/* The badges below the heading: what is not as it should be. */
function health(stats) {
    const { log, webhooks } = stats;
    return [
        log.writable === false ? badge("the store cannot be written", "bad") : badge("healthy", "good"),
        log.lost?.holes > 0 && badge(`${many(log.lost.holes, "hole")} in the log`, "bad"),
        log.given_up_files > 0 && badge(`${many(log.given_up_files, "file")} that upkeep cannot rewrite`, "warn"),
        webhooks.waiting > 0 && badge(`${many(webhooks.waiting, "webhook")} waiting for a request`, "warn"),
    ];
}

export async function overview(main, _, { signal, refused }) {
    const stats = await get("/stats", { signal });
    const tiles = Object.fromEntries(
        ["events", "deliveries", "latency", "sent", "subscribers", "connections"].map((name) => [name, tile(name)]),
    );
    const state = h("p", { class: "badges" });
    const uptime = h("span", { class: "quiet number" });
    const mechanisms = bars();
    const limits = limitsCard();
    const log = h("div"),
        webhooks = h("div"),
        latency = h("p", { class: "quiet tabular" });
    const events = new Plot({
        title: "Events a second",
        least: 10,
        format: rate,
        series: [
            { name: "published", of: (s) => s.events_per_s },
            { name: "delivered", of: (s) => s.deliveries_per_s },
        ],
    });
    const delays = new Plot({
        title: "From publish to delivery",
        least: 120,
        format: ms,
        line: { at: 100, name: "100 ms: feels like at once" },
        series: [
            { name: "half within (p50)", of: (s) => (s.latency_ms.count ? s.latency_ms.p50 : undefined) },
            { name: "99 % within (p99)", of: (s) => (s.latency_ms.count ? s.latency_ms.p99 : undefined) },
        ],
    });

    const showTotals = (all) => {
        const { log: kept, webhooks: hooks } = all;
        state.replaceChildren(...health(all).filter(Boolean));
        setText(uptime, `version ${all.version}, up for ${span(all.uptime_s)}, ${many(all.workers, "worker")}`);
        limits.show(all.limits);
        const { p50, p99, max, count: timed } = all.latency_us;
        setText(
            latency,
            timed
                ? `Since the start, of ${many(timed, "delivery", "deliveries")}: half within ${ms(p50 / 1000)}, 99 % within ${ms(p99 / 1000)}, the slowest ${ms(max / 1000)}.`
                : "No event of the log was delivered live yet.",
        );
        log.replaceChildren(
            facts([
                ["events kept", h("span", { class: "number" }, count(kept.retained))],
                ["their data", bytes(kept.retained_bytes)],
                ["channels", count(kept.channels)],
                ["published so far", count(kept.published)],
                ["in the store", bytes(kept.store_bytes)],
                ["memory", bytes(all.memory.rss)],
            ]),
        );
        webhooks.replaceChildren(
            ...(hooks.endpoints
                ? [facts([
                      ["webhooks", count(hooks.endpoints)],
                      ["deliveries", count(hooks.deliveries)],
                      ["failed attempts", count(hooks.failures)],
                      ["skipped as loops", count(hooks.skipped)],
                  ]), h("p", {}, h("a", { href: "#/webhooks" }, "How each of them does"))]
                : [empty("No webhook is registered. ", h("a", { href: "#/webhooks" }, "Register one"))]),
        );
    };

    const showNow = (samples) => {
        const now = samples.at(-1);
        events.show(samples);
        delays.show(samples);
        const counts = withoutTotal(now?.subscribers ?? stats.subscribers);
        mechanisms.show(counts);
        setText(tiles.subscribers.value, count(Object.values(counts).reduce((sum, n) => sum + n, 0)));
        setText(tiles.connections.value, count(now?.connections ?? stats.connections));
        setText(tiles.events.value, now ? rate(now.events_per_s) : "–");
        setText(tiles.deliveries.value, now ? rate(now.deliveries_per_s) : "–");
        const p99 = now?.latency_ms.count ? now.latency_ms.p99 : stats.latency_us.count ? stats.latency_us.p99 / 1000 : NaN;
        setText(tiles.latency.value, ms(p99));
        tiles.latency.node.classList.toggle("slow", p99 > 100);
        limits.showRefused(samples);
        setText(tiles.sent.value, now ? bytes(now.bytes_per_s) : "–");
        now?.limits && limits.show({ ...stats.limits, ...now.limits });
    };
    ["events", "deliveries", "sent"].forEach((name) => setText(tiles[name].under, "a second"));
    setText(tiles.latency.under, "99 % are faster");
    setText(tiles.subscribers.under, "now");
    setText(tiles.connections.under, "open");

    main.replaceChildren(
        heading("Overview", uptime),
        state,
        h(
            "div",
            { class: "tiles" },
            Object.values(tiles).map(({ node }) => node),
        ),
        h(
            "div",
            { class: "two" },
            h("section", { class: "card", "aria-label": "Events a second" }, events.node),
            h("section", { class: "card", "aria-label": "Latency" }, delays.node, latency),
        ),
        h("div", { class: "two" }, card("Subscribers by mechanism", mechanisms.node), limits.node),
        h("div", { class: "two" }, card("The log", log), card("Webhooks", webhooks)),
    );
    showTotals(stats);
    watchRates(showNow, refused, signal);
    onOutage((since) => since && state.replaceChildren(badge("not answering", "bad")), signal);
    every(5000, signal, () =>
        get("/stats", { signal }).then(
            (fresh) => showTotals(Object.assign(stats, fresh)),
            (error) => error instanceof Refused && refused(error),
        ),
    );
}
