/* The parts of several views: headings, badges, tables, lists that are paged and refresh themselves, dialogs, and what is said
 * when something was refused. */

import { copyText } from "../copy.js";
import { credential, every, Refused, Unreachable } from "./api.js";
import { h, keyed, setText } from "./dom.js";

/** Says the result of an action, to eyes and to a screen reader, for a while. */
export function say(text) {
    const place = document.getElementById("said");
    place.replaceChildren(h("p", {}, text));
    clearTimeout(place.timer);
    place.timer = setTimeout(() => place.replaceChildren(), 6000);
}

const LONG = 60; /* characters of a title that is not written large */

/** The heading of a view, with what can be done beside it. The router puts the focus there. */
export const heading = (title, ...actions) =>
    h("div", { class: "bar heading" }, h("h1", { tabindex: "-1", class: title.length > LONG ? "grow long" : "grow" }, title), actions);

let titles = 0;

/** A card with a heading, as a region that screen readers list. */
export function card(title, ...children) {
    const id = `title-${++titles}`;
    return h("section", { class: "card", "aria-labelledby": id }, h("h2", { id }, title), children);
}

export const button = (text, onclick, attributes) => h("button", { type: "button", onclick, ...attributes }, text);

/** A word in a colour: `good`, `bad`, `warn` or `calm`. */
export const badge = (text, kind = "calm") => h("span", { class: `badge ${kind}` }, text);

export const empty = (...children) => h("p", { class: "empty" }, children);

export const code = (text) => h("code", {}, text);

const copy = async (place) => say((await copyText(place)) ? "Copied." : "Marked: press Ctrl+C.");

/** A line for a terminal that can be copied. */
export function command(text) {
    const place = h("pre", {}, text);
    return h("div", { class: "command" }, place, button("Copy", () => copy(place), { class: "small" }));
}

/** A label above its field. */
export const field = (label, input, hint) =>
    h("label", { class: "field" }, h("span", { class: "label" }, label), input, hint && h("span", { class: "quiet hint" }, hint));

export const check = (label, attributes) =>
    h("label", { class: "check" }, h("input", { type: "checkbox", ...attributes }), h("span", {}, label));

export const select = (attributes, options) =>
    h(
        "select",
        attributes,
        options.map(([value, text]) => h("option", { value, selected: attributes.value === value }, text)),
    );

export const text = (attributes) =>
    h("input", { type: "text", autocomplete: "off", spellcheck: "false", autocapitalize: "off", ...attributes });

/** Names and what they are. */
export const facts = (pairs) =>
    h(
        "dl",
        { class: "facts" },
        pairs
            .filter(([, value]) => value !== undefined && value !== null && value !== "")
            .map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", {}, value))),
    );

/** A payload as people read it. */
export function pretty({ data, data_base64: base64, content_type: type }) {
    if (base64 !== undefined) {
        return `${type ?? "binary"}, ${Math.floor((base64.length * 3) / 4)} bytes as base64:\n${base64}`;
    }
    return typeof data === "string" ? data : JSON.stringify(data, null, 2);
}

/* ---- tables ---- */

/**
 * A table that becomes a list of cards on a phone. `columns` are {title, kind}; the kind is a class of all of its cells: `number`,
 * `wide`, `name`, `act`. `row(cells)` makes a row.
 */
export function table(label, columns) {
    const head = h(
        "tr",
        { role: "row" },
        columns.map(({ title, kind }) =>
            h("th", { scope: "col", role: "columnheader", class: kind }, kind === "act" ? h("span", { class: "hidden" }, title) : title),
        ),
    );
    const body = h("tbody", { role: "rowgroup" });
    const node = h(
        "div",
        { class: "scroll" },
        h("table", { role: "table", class: "stack", "aria-label": label }, h("thead", { role: "rowgroup" }, head), body),
    );
    const row = (cells) =>
        h(
            "tr",
            { role: "row" },
            cells.map((cell, i) =>
                h(
                    "td",
                    { role: "cell", class: columns[i].kind, "data-label": columns[i].kind === "act" ? null : columns[i].title },
                    h("div", {}, cell),
                ),
            ),
        );
    return { node, body, row };
}

/* ---- lists ---- */

const EVERY_MS = 3000;

/**
 * A list that is fetched by pages and, while it is on its first page, anew every few seconds. `page(after)` gives {items, next};
 * `parent` gets what `make(item)` makes; `none` is shown in place of an empty list. `begin()` throws what the first page throws.
 */
export class Paged {
    constructor({ parent, page, key, make, none, signal, every = EVERY_MS, onItems }) {
        Object.assign(this, { parent, page, key, make, signal, every, onItems, items: [], next: null, turn: 0 });
        this.none = h("div", { hidden: true }, none);
        this.moreButton = button("More", () => this.more(), { class: "more", hidden: true });
        this.trouble = h("p", { class: "notice not-refreshed", hidden: true });
        this.after = [this.trouble, this.none, this.moreButton];
    }

    async begin() {
        await this.refresh();
        every(this.every, this.signal, () => this.isLong || this.anew());
        return this;
    }

    /** Fetches the first page anew, and tells beside the list if that fails: what the user has done before it is done. */
    anew() {
        return this.refresh().catch((error) => this.#tell(error));
    }

    #tell(error) {
        this.trouble.hidden = error?.name === "AbortError" || !error;
        setText(this.trouble, error ? `Not refreshed: ${error.message}` : "");
    }

    /** Fetches the first page anew. An answer that a later request has overtaken is dropped. */
    async refresh() {
        const turn = ++this.turn;
        const { items, next } = await this.page(null);
        if (turn === this.turn && !this.signal.aborted) {
            Object.assign(this, { items, next, isLong: false });
            this.#tell(null);
            this.show();
        }
    }

    async more() {
        const turn = ++this.turn;
        try {
            const { items, next } = await this.page(this.next);
            if (turn === this.turn && !this.signal.aborted) {
                Object.assign(this, { items: [...this.items, ...items], next, isLong: true });
                this.show();
            }
        } catch (error) {
            this.#tell(error);
        }
    }

    show() {
        keyed(this.parent, this.items, this.key, this.make);
        this.none.hidden = this.items.length > 0;
        this.moreButton.hidden = !this.next;
        const whole = this.parent.closest(".scroll");
        whole && (whole.hidden = !this.items.length);
        this.onItems?.(this.items);
    }
}

/* ---- dialogs ---- */

/**
 * A dialog with a form. `run(form)` is called when it is sent: the dialog closes when that is done, and shows what it throws. The
 * promise is of what `run` gave, or of undefined if the user has changed their mind or gone to another view.
 */
export function ask({ title, body, action, isDanger, run = () => true }) {
    const opener = document.activeElement;
    return new Promise((resolve) => {
        const trouble = h("p", { class: "notice", role: "alert", hidden: true });
        const submit = h("button", { class: isDanger ? "danger" : "main" }, action);
        let answer;
        const form = h(
            "form",
            {
                async onsubmit(event) {
                    event.preventDefault();
                    submit.disabled = true;
                    try {
                        answer = await run(form);
                        dialog.close();
                    } catch (error) {
                        trouble.hidden = false;
                        trouble.replaceChildren(error.message);
                    }
                    submit.disabled = false;
                },
            },
            h("h2", { id: "dialog-title" }, title),
            body,
            trouble,
            h(
                "div",
                { class: "bar buttons" },
                button("Cancel", () => dialog.close()),
                submit,
            ),
        );
        const onclose = () => {
            dialog.remove();
            opener.isConnected || document.querySelector("#main h1")?.focus({ preventScroll: true }); /* what it stood for is gone */
            resolve(answer);
        };
        const dialog = h("dialog", { "aria-labelledby": "dialog-title", onclose }, form);
        document.body.append(dialog);
        dialog.showModal();
    });
}

/** Closes the dialogs of a view that goes. */
export const closeDialogs = () => document.querySelectorAll("dialog").forEach((dialog) => dialog.close());

/** Asks before something that cannot be undone. */
export const confirmed = (title, why, action, run) => ask({ title, body: h("p", {}, why), action, isDanger: true, run });

/** A secret that is shown once. */
export function showOnce(title, why, secrets) {
    const lines = secrets.map(([name, secret]) => h("div", {}, h("p", { class: "label" }, name), command(secret)));
    return h("section", { class: "card once", "aria-label": title }, h("h2", {}, title), h("p", {}, why), lines);
}

/* ---- what is said when something was refused ---- */

/** The line that makes a key for all that the console does. */
export const MAKE_KEY = `freshet key create console \\
  --read '**' --publish '**' \\
  --presence '**' --webhooks '**' \\
  --admin '**'`;

/** The form for a credential. `onKept` is called when one was entered. */
export function credentialForm(onKept) {
    const input = text({ id: "credential", name: "credential", type: "password", required: true });
    const trouble = h("p", { class: "notice", role: "alert", hidden: true });
    const shown = check("show it", { onchange: ({ target }) => (input.type = target.checked ? "text" : "password") });
    return h(
        "form",
        {
            class: "credential",
            onsubmit(event) {
                event.preventDefault();
                const given = input.value.trim();
                trouble.hidden = credential.isPossible(given);
                setText(trouble, trouble.hidden ? "" : "A key or token has no blanks and no letters beyond ASCII. A key begins with fk_.");
                if (trouble.hidden) {
                    credential.keep(given);
                    onKept();
                }
            },
        },
        field("Key or token", input, "It stays in this tab, and is gone when you close it."),
        trouble,
        h("div", { class: "bar" }, h("button", { class: "main" }, "Use it"), shown),
    );
}

const howToMake = (why) => [h("p", { class: "quiet" }, why), command(MAKE_KEY)];

/** A card for what went wrong, and what would be right. `again` shows the view anew. */
export function problemCard(error, again) {
    if (error instanceof Unreachable || !(error instanceof Refused)) {
        return card(
            "The server does not answer",
            h("p", {}, error instanceof Unreachable ? `${error.message} What you want to see comes by itself when it answers.` : String(error)),
            button("Try again", again, { class: "main" }),
        );
    }
    if (error.status === 401) {
        const isWrong = error.kind === "bad-credential";
        return card(
            isWrong ? "This credential is not valid" : "Enter a key",
            h(
                "p",
                {},
                isWrong
                    ? "It is unknown, has expired, or was revoked. Enter another one."
                    : "This server asks who you are before it shows this.",
            ),
            credentialForm(again),
            howToMake("The key that freshet init has printed will do. With it as FRESHET_TOKEN, this makes another one:"),
        );
    }
    if (error.status === 403 && error.kind === "forbidden") {
        const { may, channel } = error.problem;
        return card(
            "Your credential does not grant this",
            h("p", {}, "It lacks ", may ? code(may) : "a right", channel && [" on ", code(channel)], ". Use one that has it:"),
            credentialForm(again),
            howToMake("To make a key that may do all that the console does:"),
        );
    }
    return card(error.problem.title ?? "The server refused", h("p", {}, error.message), button("Try again", again));
}
