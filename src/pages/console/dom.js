/* Elements, and numbers and times as text. */

/** An element: `h("a", { href: "#/", onclick }, "text", node, [more])`. What is null or false is left out. */
export function h(name, attributes, ...children) {
    return fill(document.createElement(name), attributes, children);
}

/** The same for a drawing. */
export function svg(name, attributes, ...children) {
    return fill(document.createElementNS("http://www.w3.org/2000/svg", name), attributes, children);
}

/* A handler is not set as a property: one that gives false there stops the browser, so a field would not take the key that was pressed. */
function fill(node, attributes, children) {
    for (const [key, value] of Object.entries(attributes ?? {})) {
        if (key.startsWith("on")) {
            value && node.addEventListener(key.slice(2), value);
        } else if (key === "value" || key === "checked") {
            node[key] = value;
        } else if (value !== undefined && value !== null && value !== false) {
            node.setAttribute(key, value === true ? "" : value);
        }
    }
    node.append(...children.flat(Infinity).filter((child) => child !== undefined && child !== null && child !== false));
    return node;
}

/** Sets the text only if it differs, so that nothing is selected away or read out again. */
export function setText(node, text) {
    if (node.textContent !== text) {
        node.textContent = text;
    }
}

/* ---- numbers and times ---- */

const whole = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });

/** 1,234, and from a hundred thousand on 123 k, 1.23 M. */
export function count(n) {
    if (!Number.isFinite(+n)) {
        return "–";
    }
    const [size, unit] = [
        [1e12, "T"],
        [1e9, "G"],
        [1e6, "M"],
        [1e3, "k"],
    ].find(([least]) => n >= 1e5 && n >= least) ?? [1, ""];
    return unit ? `${(n / size).toPrecision(3)} ${unit}` : whole.format(n);
}

/** A rate: one digit behind the point below ten. */
export const rate = (n) => (Number.isFinite(+n) && n > 0 && n < 10 ? (+n).toFixed(1) : count(n));

export function bytes(n) {
    const units = ["B", "KiB", "MiB", "GiB", "TiB"];
    const step = n >= 1024 ? Math.min(Math.floor(Math.log2(n) / 10), 4) : 0;
    return Number.isFinite(+n)
        ? `${step ? (n / 1024 ** step).toFixed(n / 1024 ** step < 10 ? 1 : 0) : whole.format(n)} ${units[step]}`
        : "–";
}

export const ms = (n) => (Number.isFinite(+n) && n !== null ? `${(+n).toFixed(n < 10 ? 1 : 0)} ms` : "–");

/** "one event", "1,234 events". */
export const many = (n, one, more = `${one}s`) => (n === 1 ? `one ${one}` : `${count(n)} ${more}`);

const pad = (n) => String(n).padStart(2, "0");
const day = new Intl.DateTimeFormat("en", { day: "numeric", month: "short" });

/** The time of day. */
export const clock = (date) => [date.getHours(), date.getMinutes(), date.getSeconds()].map(pad).join(":");

/** A moment as people read it: the time of today, else the day as well. The whole of it is the title. */
export function when(moment) {
    const date = moment instanceof Date ? moment : new Date(moment);
    if (!moment || Number.isNaN(+date)) {
        return "–";
    }
    const isToday = date.toDateString() === new Date().toDateString();
    return h(
        "time",
        { class: "number", datetime: date.toISOString(), title: date.toISOString() },
        isToday ? clock(date) : `${day.format(date)} ${clock(date).slice(0, 5)}`,
    );
}

/** How long ago, or how soon, in one unit. */
export function ago(moment) {
    const date = moment instanceof Date ? moment : new Date(moment);
    if (!moment || Number.isNaN(+date)) {
        return "–";
    }
    const s = (Date.now() - date) / 1000;
    const text = span(Math.abs(s));
    return h(
        "time",
        { class: "number", datetime: date.toISOString(), title: date.toISOString() },
        s < -1 ? `in ${text}` : Math.abs(s) < 1.5 ? "just now" : `${text} ago`,
    );
}

export function span(s) {
    const [size, unit] = [
        [86_400, "d"],
        [3600, "h"],
        [60, "min"],
    ].find(([least]) => s >= 2 * least) ?? [1, "s"];
    return `${Math.floor(s / size)} ${unit}`;
}

/* ---- what a list shows ---- */

const FOCUSABLE = "a, button, input, select, textarea, summary";

/**
 * Makes the children of `parent` those of `items`, each made by `make(item)` under its key. Children that would be the same stay
 * the nodes that they are: nothing blinks, and the focus, a selection and an open `details` outlast a refresh.
 */
export function keyed(parent, items, keyOf, make) {
    const old = new Map([...parent.children].map((node) => [node.dataset.key, node]));
    const nodes = items.map((item) => {
        const key = String(keyOf(item));
        const fresh = make(item);
        fresh.dataset.key = key;
        fresh.made = fresh.outerHTML;
        const known = old.get(key);
        return known?.made === fresh.made ? known : carry(known, fresh);
    });
    const isSame = nodes.length === parent.children.length && nodes.every((node, i) => node === parent.children[i]);
    if (isSame) {
        return;
    }
    const stays = new Set(nodes);
    const lost = [...parent.children].findIndex((node) => !stays.has(node) && !nodes.some(({ focusAt }) => focusAt !== undefined) && node.contains(document.activeElement));
    [...parent.children].filter((node) => !stays.has(node)).forEach((node) => node.remove());
    nodes.forEach((node, i) => node !== parent.children[i] && parent.insertBefore(node, parent.children[i] ?? null));
    const focused = nodes.find((node) => node.focusAt !== undefined);
    focused?.querySelectorAll(FOCUSABLE)[focused.focusAt]?.focus();
    delete focused?.focusAt;
    lost >= 0 && focusNear(nodes[Math.min(lost, nodes.length - 1)]);
}

/* The focus of an item that has gone goes to the one in its place, or else to the heading of the view. */
function focusNear(node) {
    (node?.querySelector(FOCUSABLE) ?? document.querySelector("#main h1"))?.focus({ preventScroll: true });
}

/** Replaces the children, and leaves the focus on the one in the same place. */
export function replaceKeepingFocus(parent, ...children) {
    const at = [...parent.children].indexOf(document.activeElement);
    parent.replaceChildren(...children);
    at >= 0 && children[at]?.focus();
}

/* Gives a node what the one that it replaces had. */
function carry(known, fresh) {
    if (known?.contains(document.activeElement)) {
        fresh.focusAt = [...known.querySelectorAll(FOCUSABLE)].indexOf(document.activeElement);
    }
    if (known?.open) {
        fresh.open = true;
    }
    return fresh;
}
