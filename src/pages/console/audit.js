/* The audit log, as it grows. */

import { follow, get, query } from "./api.js";
import { h, many, setText, when } from "./dom.js";
import { badge, card, code, empty, field, heading, select, table, text } from "./parts.js";

const FIRST = 200,
    SHOWN = 1000;
const KINDS = { refused: "warn", changed: "good", managed: "calm", disconnected: "calm" };
const SHOWN_APART = new Set(["by", "subject", "key", "jti", "address"]);

const whoDid = ({ by, subject, key, jti }) => [
    subject ? h("b", {}, subject) : by,
    h("span", { class: "under quiet" }, subject && by !== "key" && `${by} `, key && `key ${key}`, jti && ` jti ${jti}`),
];

/* The members of an object, those of inner objects as well; empty ones are left out. */
const membersOf = (entry) =>
    Object.entries(entry).flatMap(([name, value]) => {
        const isEmpty = value === null || value === "";
        return isEmpty ? [] : typeof value === "object" && !Array.isArray(value) ? membersOf(value) : [[name, value]];
    });

function whatHappened({ method, path, problem, why, left_out: leftOut, ...entry }) {
    const rest = membersOf(Object.fromEntries(Object.entries(entry).filter(([name]) => !SHOWN_APART.has(name))));
    return [
        problem && h("b", {}, `${problem} `),
        method && code(`${method} ${path ?? ""}`),
        why && h("span", {}, ` ${why}`),
        h(
            "span",
            { class: "under quiet" },
            rest.map(([name, value], i) => [i > 0 && ", ", `${name} `, code(typeof value === "string" ? value : JSON.stringify(value))]),
        ),
        leftOut && h("span", { class: "under quiet" }, `${many(leftOut, "refusal")} before it left out`),
    ];
}

export async function audit(main, params, { signal }) {
    const page = await get(`/channels/$audit${query({ last: FIRST })}`, { signal });
    const events = page.events;
    const kind = select({ name: "kind" }, [["", "all"], ...Object.keys(KINDS).map((word) => [word, word])]);
    const words = text({ type: "search", placeholder: "alice" });
    const list = table("Audit log", [
        { title: "time", kind: "time" },
        { title: "what" },
        { title: "by" },
        { title: "from", kind: "time" },
        { title: "details", kind: "wide" },
    ]);
    const none = empty();
    const state = h("span", { class: "quiet" });
    const isWanted = (event) =>
        (!kind.value || event.type === kind.value) &&
        (!words.value || JSON.stringify(event.data).toLowerCase().includes(words.value.trim().toLowerCase()));
    const rowOf = (event) => {
        const row = list.row([
            when(event.time),
            badge(event.type, KINDS[event.type]),
            whoDid(event.data),
            event.data.address ?? "",
            whatHappened(event.data),
        ]);
        row.hidden = !isWanted(event);
        return row;
    };
    const settle = () => {
        const shown = events.some(isWanted);
        none.hidden = shown;
        list.node.hidden = !shown;
        setText(
            none,
            events.length ? "No entry is like that." : "Nothing was refused, changed or managed yet. Entries appear here as they are made.",
        );
    };
    const showAll = () => {
        list.body.replaceChildren(...events.map(rowOf).reverse());
        settle();
    };
    const take = (event) => {
        events.push(event);
        const row = rowOf(event);
        row.classList.add("arrived");
        list.body.prepend(row);
        if (events.length > SHOWN) {
            events.shift();
            list.body.lastChild.remove();
        }
        settle();
    };
    kind.onchange = words.oninput = showAll;
    main.replaceChildren(
        heading("Audit", state),
        h(
            "form",
            { class: "filters", role: "search", onsubmit: (event) => event.preventDefault() },
            field("What", kind),
            field("Contains", words),
        ),
        card("What was refused, changed and managed", none, list.node),
    );
    showAll();
    follow(["$audit"], {
        after: page.cursor,
        signal,
        event: take,
        live: () => setText(state, "New entries appear on top."),
        lost: () => setText(state, "Not connected. Trying again …"),
    }).catch((error) => setText(state, `Not live: ${error.message}`));
}
