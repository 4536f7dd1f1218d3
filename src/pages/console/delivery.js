/* A delivery of a webhook: what was sent, and each answer. */

import { channelPath, get, query } from "./api.js";
import { channelLink } from "./channels.js";
import { h, many, ms, when } from "./dom.js";
import { badge, button, empty, pretty } from "./parts.js";

const KINDS = { delivered: "good", failing: "warn", dead: "bad", skipped: "calm" };

const idBefore = (id) => String(BigInt(id) - 1n).padStart(16, "0");

/* The event that a delivery carried, from the log. */
async function eventOf({ event, channel }) {
    const { events } = await get(`${channelPath(channel)}${query({ after: idBefore(event), limit: 1 })}`, { exact: true });
    return events[0]?.id === event ? events[0] : null;
}

/* The request as it was sent, as far as it can be told afterwards: the signature is of its time, and values of own headers are secret. */
function requestText(hook, delivery, event) {
    const { pathname, search, host } = new URL(hook.url);
    const id = hook.batch ? `page_${delivery.event}_${delivery.last ?? delivery.event}` : delivery.event;
    const isData = hook.format.startsWith("data") && !hook.batch;
    const type =
        {
            data: event.content_type ?? (typeof event.data === "string" ? "text/plain" : "application/json"),
            cloudevents: "application/cloudevents+json",
        }[hook.format] ?? "application/json";
    const lines = [
        `POST ${pathname}${search} HTTP/1.1`,
        `Host: ${host}`,
        `Content-Type: ${type}`,
        `webhook-id: ${id}`,
        "webhook-timestamp: …",
        "webhook-signature: v1,…",
        ...(hook.header_names ?? []).map((name) => `${name}: …`),
    ];
    return `${lines.join("\n")}\n\n${isData ? pretty(event) : JSON.stringify(event, null, 2)}`;
}

function requestPart(hook, delivery) {
    const place = h("div", {}, empty("Reading it from the log …"));
    const none = () => place.replaceChildren(empty("The event is not in the log any more."));
    if (!delivery.channel) {
        place.replaceChildren(
            empty(`A page of ${many(delivery.events ?? 1, "event")}, from ${delivery.event} to ${delivery.last ?? delivery.event}.`),
        );
        return place;
    }
    eventOf(delivery)
        .then((event) => {
            const note =
                delivery.events > 1
                    ? `The first of ${many(delivery.events, "event")}. `
                    : hook.format.startsWith("cloudevents")
                      ? "Wrapped as a CloudEvent. "
                      : "";
            event
                ? place.replaceChildren(
                      h(
                          "pre",
                          { class: "long", tabindex: 0, role: "region", "aria-label": "the request" },
                          requestText(hook, delivery, event),
                      ),
                      note && h("p", { class: "quiet" }, note),
                  )
                : none();
        })
        .catch(none);
    return place;
}

function attemptItem({ number, time, ms: took, status, error, response }) {
    const isAccepted = status >= 200 && status < 300;
    return h(
        "li",
        {},
        h(
            "div",
            { class: "bar" },
            h("b", {}, `Attempt ${number}`),
            when(time),
            badge(status ? String(status) : "no answer", isAccepted ? "good" : "warn"),
            h("span", { class: "quiet number" }, ms(took)),
        ),
        error && h("p", { class: "quiet" }, error),
        response
            ? h("pre", { class: "long", tabindex: 0, role: "region", "aria-label": `the response to attempt ${number}` }, response)
            : status && h("p", { class: "quiet" }, "The response had no body."),
    );
}

/** A delivery as an item that opens. `act(n, what)` does `retry` or `drop`. */
export function deliveryItem(hook, delivery, act) {
    const { n, state, event, channel, type, events, attempts } = delivery;
    const last = attempts.at(-1);
    const inside = h("div", { class: "inside" });
    const node = h(
        "details",
        { class: "delivery" },
        h(
            "summary",
            {},
            badge(state, KINDS[state] ?? "calm"),
            h(
                "span",
                { class: "wide" },
                channel || `a page of ${many(events ?? 1, "event")}`,
                h("span", { class: "quiet" }, ` ${type ?? ""}`),
            ),
            h("span", { class: "quiet number aside" }, many(attempts.length, "attempt")),
            h("span", { class: "quiet number aside" }, last && ms(last.ms)),
            last ? when(last.time) : "",
        ),
        inside,
    );
    node.addEventListener("toggle", () => {
        if (!node.open || inside.children.length) {
            return;
        }
        inside.append(
            h(
                "div",
                { class: "bar" },
                h("span", { class: "grow quiet number" }, `delivery ${n}, event ${event}`),
                channel && channelLink(channel),
                button(state === "delivered" ? "Send again" : "Retry now", () => act(n, "retry"), { class: "small" }),
                state === "dead" && button("Drop", () => act(n, "drop"), { class: "small danger" }),
            ),
            h(
                "div",
                { class: "two" },
                h("div", {}, h("h3", {}, "Request"), requestPart(hook, delivery)),
                h(
                    "div",
                    {},
                    h("h3", {}, "Responses"),
                    attempts.length ? h("ol", { class: "attempts" }, [...attempts].reverse().map(attemptItem)) : empty("It was not sent."),
                ),
            ),
        );
    });
    return node;
}
