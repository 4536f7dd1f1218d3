/* API keys and revocations: make one, see it once, take it back. */

import { get, query, send } from "./api.js";
import { ago, h, when } from "./dom.js";
import {
    ask,
    badge,
    button,
    card,
    check,
    code,
    confirmed,
    empty,
    field,
    heading,
    Paged,
    say,
    select,
    showOnce,
    table,
    text,
} from "./parts.js";
import { namesOf } from "./webhooks.js";

const LIMIT = 100;
const ACTIONS = ["read", "publish", "presence", "webhooks", "admin"];
const TERMS = [
    ["", "never"],
    ["86400", "in a day"],
    ["2592000", "in 30 days"],
    ["7776000", "in 90 days"],
    ["31536000", "in a year"],
];

const grantText = ({ channels, may }) =>
    h(
        "span",
        { class: "grant" },
        may.join(", "),
        h("span", { class: "quiet" }, " on "),
        channels.map((name, i) => [i > 0 && " ", code(name)]),
    );

/* ---- a new key ---- */

function grantRow(isFirst) {
    const boxes = ACTIONS.map((word) => check(word, { name: word, checked: isFirst && word === "read" }));
    return h(
        "fieldset",
        { class: "grant-row" },
        h("legend", { class: "hidden" }, "A grant"),
        field("Channels", text({ name: "channels", value: isFirst ? "**" : "", placeholder: "chat/**", required: true })),
        h("div", { class: "checks" }, boxes),
    );
}

function grantsOf(rows) {
    return [...rows.children]
        .map((row) => ({
            channels: namesOf(row.querySelector("[name=channels]").value),
            may: ACTIONS.filter((word) => row.querySelector(`[name=${word}]`).checked),
        }))
        .filter(({ may }) => may.length);
}

function makeKey(onMade) {
    const rows = h("div", {}, grantRow(true));
    return ask({
        title: "Make a key",
        body: [
            field(
                "Name",
                text({ name: "name", required: true, maxlength: 255, placeholder: "backend" }),
                "The subject of what it does. Two keys of one name are one subject.",
            ),
            h("p", { class: "label" }, "It may"),
            rows,
            button("Another grant", () => rows.append(grantRow(false)), { class: "small" }),
            field("It ends", select({ name: "ends", value: "" }, TERMS)),
        ],
        action: "Make it",
        async run(form) {
            const { name, ends } = form.elements;
            onMade(
                await send("POST", "/keys", {
                    json: { name: name.value.trim(), grants: grantsOf(rows), ...(ends.value && { expires_in_s: +ends.value }) },
                }),
            );
            return true;
        },
    });
}

/* ---- a revocation ---- */

const revoke = (list) =>
    ask({
        title: "Revoke",
        body: [
            h(
                "p",
                {},
                "Takes back what was given, at once, on what goes on as well. Of a subject it takes back what was issued up to now.",
            ),
            field(
                "What",
                select({ name: "kind", value: "subject" }, [
                    ["subject", "a subject"],
                    ["jti", "a token, by its jti"],
                    ["key", "a key, by its id"],
                ]),
            ),
            field("Name", text({ name: "who", required: true })),
            field("Until", h("input", { type: "datetime-local", name: "until" }), "When the last of it expires; empty: until you end it."),
            field("Reason", text({ name: "reason", placeholder: "left" })),
        ],
        action: "Revoke",
        isDanger: true,
        async run({ elements: { kind, who, until, reason } }) {
            await send("POST", "/revocations", {
                json: {
                    [kind.value]: who.value.trim(),
                    ...(until.value && { until: new Date(until.value).toISOString() }),
                    ...(reason.value && { reason: reason.value }),
                },
            });
            say(`${who.value.trim()} is revoked.`);
            await list.anew();
            return true;
        },
    });

const kindOf = (revocation) => ["subject", "jti", "key"].find((kind) => revocation[kind] !== undefined);

async function endRevocation(kind, name, list) {
    await confirmed(`End the revocation of ${name}?`, "What it took back is valid again, unless it has expired.", "End it", async () => {
        await send("DELETE", `/revocations${query({ [kind]: name })}`);
        say(`The revocation of ${name} has ended.`);
        await list.anew();
        return true;
    });
}

function revocationsCard(signal) {
    const list = table("Revocations", [
        { title: "what" },
        { title: "name", kind: "wide" },
        { title: "since", kind: "time" },
        { title: "until", kind: "time" },
        { title: "reason" },
        { title: "end", kind: "act" },
    ]);
    const paged = new Paged({
        parent: list.body,
        signal,
        key: (one) => `${kindOf(one)} ${one[kindOf(one)]}`,
        none: empty("Nothing is revoked."),
        page: async (after) => {
            const { revocations: items, next } = await get(`/revocations${query({ limit: LIMIT, after })}`, { signal });
            return { items, next };
        },
        make: (one) => {
            const kind = kindOf(one),
                name = one[kind];
            return list.row([
                kind === "jti" ? "token" : kind,
                h("b", {}, name),
                ago(one.at),
                one.until ? when(one.until) : "you end it",
                [one.reason, one.made_by && h("span", { class: "under quiet" }, `by ${one.made_by}`)],
                button("End", () => endRevocation(kind, name, paged), { class: "small", "aria-label": `End the revocation of ${name}` }),
            ]);
        },
    });
    return { node: card("Revocations", list.node, paged.after), paged };
}

/* ---- the view ---- */

export async function keys(main, params, { signal }) {
    const list = table("API keys", [
        { title: "name" },
        { title: "may", kind: "wide" },
        { title: "last used", kind: "time" },
        { title: "ends", kind: "time" },
        { title: "made" },
        { title: "revoke", kind: "act" },
    ]);
    const made = h("div", { class: "bare" });
    const revocations = revocationsCard(signal);
    const add = () =>
        makeKey((key) => {
            made.replaceChildren(
                showOnce(`The key ${key.name}`, "Copy it now: it is shown this once, and the server keeps only a hash of it.", [
                    ["Key", key.key],
                ]),
            );
            paged.anew();
        });
    const remove = ({ id, name }) =>
        confirmed(
            `Revoke the key ${name}?`,
            "Whatever uses it is disconnected at once and refused from then on, and the webhooks that it has made are disabled.",
            "Revoke",
            async () => {
                await send("DELETE", `/keys/${encodeURIComponent(id)}`);
                say(`The key ${name} is revoked.`);
                await paged.anew();
                return true;
            },
        );
    const paged = new Paged({
        parent: list.body,
        signal,
        key: ({ id }) => id,
        none: h(
            "div",
            {},
            empty(
                "There is no key yet. A key is for a program: a backend, a script, a device. It may do what you grant it, and nothing else.",
            ),
            button("Make a key", add, { class: "main" }),
        ),
        page: async (after) => {
            const { keys: items, next } = await get(`/keys${query({ limit: LIMIT, after })}`, { signal });
            return { items, next };
        },
        make: (key) =>
            list.row([
                [h("b", {}, key.name), h("span", { class: "under quiet number" }, key.id)],
                key.grants.length
                    ? key.grants.map((grant) => h("div", {}, grantText(grant)))
                    : h("span", { class: "quiet" }, "what rules give to anybody with a key"),
                key.last_used ? ago(key.last_used) : h("span", { class: "quiet" }, "never"),
                key.expires ? when(key.expires) : h("span", { class: "quiet" }, "never"),
                [key.created ? ago(key.created) : "", key.made_by && h("span", { class: "under quiet" }, `by ${key.made_by}`)],
                key.configured
                    ? badge("in the file")
                    : button("Revoke", () => remove(key), { class: "small", "aria-label": `Revoke the key ${key.name}` }),
            ]),
    });
    await Promise.all([paged.begin(), revocations.paged.begin()]);
    main.replaceChildren(
        heading(
            "Keys",
            button("Revoke …", () => revoke(revocations.paged)),
            button("Make a key", add, { class: "main" }),
        ),
        made,
        card("API keys", list.node, paged.after),
        revocations.node,
    );
}
