/* The configuration in force, key by key. */

import { onOutage } from "../answering.js";
import { get } from "./api.js";
import { bytes, h } from "./dom.js";
import { badge, card, check, code, empty, field, heading, table, text } from "./parts.js";

const UNITS = { percent: "%", us: "µs", ms: "ms", s: "s" };

/* A value with its unit. Sizes are shown as people say them, with the number of bytes behind. */
function shown({ value, unit }) {
    if (value === null || value === "") {
        return h("span", { class: "quiet" }, "not set");
    }
    if (typeof value === "object") {
        return Array.isArray(value) && value.every((one) => typeof one !== "object")
            ? value.map((one, i) => [i > 0 && ", ", code(String(one))])
            : h("pre", {}, JSON.stringify(value, null, 2));
    }
    const suffix = UNITS[unit] ?? (unit === "bytes" && value >= 1024 && `bytes, ${bytes(value)}`);
    return [code(String(value)), suffix && h("span", { class: "quiet" }, ` ${suffix}`)];
}

/* The keys by their first part, in the order of the document; those of one part are together. */
function sectionsOf(entries) {
    const sections = new Map();
    for (const entry of entries) {
        const name = entry.key.includes(".") ? entry.key.split(".")[0] : "the server";
        sections.set(name, [...(sections.get(name) ?? []), entry]);
    }
    return [...sections];
}

function sectionItem([name, entries], isOpen) {
    const list = table(name, [{ title: "key", kind: "wide" }, { title: "value" }, { title: "from" }]);
    const set = entries.filter((entry) => !entry.default).length;
    list.body.append(
        ...entries.map((entry) =>
            list.row([
                [code(entry.key), entry.meaning && h("span", { class: "under quiet" }, entry.meaning)],
                shown(entry),
                [
                    entry.default ? h("span", { class: "quiet" }, "default") : badge("set", "good"),
                    entry.waits && badge("changed: restart", "warn"),
                ],
            ]),
        ),
    );
    const words = entries.length === 1 ? "one key" : `${entries.length} keys`;
    return h(
        "details",
        { class: "section", open: isOpen },
        h(
            "summary",
            {},
            h("b", {}, name),
            h("span", { class: "grow quiet" }, words),
            set > 0 && badge(set === entries.length ? "set" : `${set} set`, "good"),
        ),
        list.node,
    );
}

export async function configuration(main, params, { signal }) {
    const { file, keys } = await get("/configuration", { signal });
    let entries = keys;
    const words = text({ type: "search", placeholder: "body_max" });
    const onlySet = check("only those that differ from the default", {});
    const sections = h("div", { class: "sections" });
    const none = empty();
    const show = () => {
        const word = words.value.trim().toLowerCase();
        const isOnlySet = onlySet.querySelector("input").checked;
        const wanted = entries.filter(
            (entry) => `${entry.key} ${entry.meaning ?? ""}`.toLowerCase().includes(word) && !(isOnlySet && entry.default),
        );
        sections.replaceChildren(...sectionsOf(wanted).map((section) => sectionItem(section, Boolean(word) || isOnlySet)));
        none.textContent = word ? "No key is like that." : "Everything is as it is by default.";
        none.hidden = wanted.length > 0;
    };
    /* A server that was started again may have another configuration. */
    const renew = async () => {
        const fresh = await get("/configuration", { signal }).catch(() => null);
        if (fresh && JSON.stringify(fresh.keys) !== JSON.stringify(entries)) {
            entries = fresh.keys;
            show();
        }
    };
    onOutage((since) => since || renew(), signal);
    show();
    main.replaceChildren(
        heading("Configuration"),
        h(
            "p",
            { class: "quiet" },
            file
                ? [
                      "What is in force now, from ",
                      code(file),
                      " and the options. Much of it changes without a restart: edit the file, and send SIGHUP.",
                  ]
                : ["What is in force now. The server was started without a file: ", code("--config freshet.yaml"), " names one."],
            " Secrets are hidden as ***.",
        ),
        h(
            "form",
            { class: "filters", role: "search", oninput: show, onsubmit: (event) => event.preventDefault() },
            field("Contains", words),
            onlySet,
        ),
        card("Keys", none, sections),
    );
}
