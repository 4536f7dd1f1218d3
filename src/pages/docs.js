/* The API for people, from the documents for programs: operations by task, each with a line of curl that works on this server. */

import { isSilence, noteSilence, showOutage } from "./answering.js";
import { copyText } from "./copy.js";

const api = location.pathname.replace(/\/[^/]*$/, "");
const METHODS = ["post", "get", "put", "patch", "delete"];
const MANY = 4294967295; /* and more: no bound that anybody meets */
const DEPTH = 6; /* of schemas; a schema within itself is named, not shown */

const byId = (id) => document.getElementById(id);
const make = (name, text = "", className = "") => Object.assign(document.createElement(name), { textContent: text, className });
const link = (href, text) => Object.assign(make("a", text), { href });
const put = (parent, ...children) => (parent.append(...children), parent);

/** The line as it works here: the server of this page in the place of the one that documents speak of. */
function here(line) {
    const host = location.protocol === "https:" ? location.origin : location.host;
    return line.replaceAll("localhost:7070", host + api);
}

const copy = async (place, button) => { button.textContent = (await copyText(place)) ? "Copied" : "Press Ctrl+C"; };

/* ---- schemas ---- */

const resolve = (document, value) => (value?.$ref ? { ...resolve(document, value.$ref.slice(2).split("/").reduce((at, name) => at[name], document)),
    ...Object.fromEntries(Object.entries(value).filter(([name]) => name !== "$ref")), ref: value.$ref.split("/").pop() } : value);

function kindOf(document, value) {
    const schema = resolve(document, value) ?? {};
    if (schema.const !== undefined) {
        return JSON.stringify(schema.const);
    }
    if (schema.enum) {
        return schema.enum.map((one) => JSON.stringify(one)).join(" or ");
    }
    if (schema.type === "array") {
        return `list of ${kindOf(document, { ...resolve(document, schema.items ?? {}), default: undefined })}`;
    }
    const words = [[schema.type ?? "anything"].flat().join(" or ")];
    if (schema.maximum < MANY) {
        words.push(`${schema.minimum ?? 0} to ${schema.maximum}`);
    }
    if (schema.format) {
        words.push(schema.format);
    }
    if (schema.default !== undefined) {
        words.push(`default ${JSON.stringify(schema.default)}`);
    }
    return words.join(", ");
}

/** All members that a value of the schema may have, and those that it must. */
function membersOf(document, value) {
    const schema = resolve(document, value) ?? {};
    const parts = [schema, ...(schema.allOf ?? []).map((part) => membersOf(document, part))];
    return {
        properties: Object.assign({}, ...parts.map((part) => part.properties ?? {})),
        required: parts.flatMap((part) => part.required ?? []),
    };
}

function shapeOf(document, value, seen = []) {
    const schema = resolve(document, value) ?? {};
    if (schema.type === "array" && schema.items) {
        return shapeOf(document, schema.items, seen);
    }
    const kinds = schema.anyOf ?? (schema.properties ? undefined : schema.oneOf);
    const list = make("ul", "", "shape");
    if (kinds) {
        kinds.forEach((kind) => put(list, put(make("li"), make("em", `one kind: ${kind.$ref?.split("/").pop() ?? ""}`, "kind"), ...withShape(document, kind, seen))));
        return list;
    }
    const { properties, required } = membersOf(document, schema);
    for (const [name, member] of Object.entries(properties)) {
        const one = resolve(document, member);
        put(list, put(make("li"), make("code", name), " ", make("span", kindOf(document, member), "kind"),
            ...(required.includes(name) ? [" ", make("span", "always", "must")] : []),
            ...(one.description ? [" ", make("span", one.description)] : []), ...withShape(document, member, seen)));
    }
    return list;
}

/** The shape below a member, if it has members of its own. */
function withShape(document, value, seen) {
    const { ref } = resolve(document, value) ?? {};
    if (seen.length >= DEPTH || (ref && seen.includes(ref))) {
        return [];
    }
    const shape = shapeOf(document, value, ref ? [...seen, ref] : [...seen, ""]);
    return shape.children.length ? [shape] : [];
}

/* ---- operations ---- */

function table(caption, heads, rows) {
    const body = make("tbody");
    rows.forEach((cells) => put(body, put(make("tr"), ...cells.map((cell) => put(make("td"), ...[cell].flat())))));
    const head = put(make("thead"), put(make("tr"), ...heads.map((text) => Object.assign(make("th", text), { scope: "col" }))));
    const wide = put(make("div", "", "wide"), put(make("table"), head, body));
    Object.assign(wide, { tabIndex: 0, role: "group", ariaLabel: caption }); /* it can be scrolled by keys */
    return [make("h3", caption), wide];
}

function parameters(document, operation) {
    const rows = (operation.parameters ?? []).map((one) => resolve(document, one)).map((one) => [
        [make("code", one.name), ...(one.required ? [" ", make("span", "required", "must")] : [])], one.in,
        [make("p", one.description), make("p", [kindOf(document, one.schema), one.example === undefined ? "" : `for example ${[one.example].flat().join(", ")}`]
            .filter(Boolean).join(" · "), "quiet")]]);
    return rows.length ? table("Parameters", ["name", "where", "what"], rows) : [];
}

/** What is in a body of each media type. */
function contents(document, content) {
    return Object.entries(content ?? {}).flatMap(([media, { schema, itemSchema }]) => {
        const line = put(make("p"), make("code", media), itemSchema ? " a stream of items" : "");
        const value = schema ?? itemSchema;
        return value ? [line, ...withShape(document, value, [])] : [line];
    });
}

function request(document, { requestBody }) {
    return requestBody ? [make("h3", requestBody.required ? "Body" : "Body, if you send one"), ...contents(document, requestBody.content)] : [];
}

function answers(document, operation) {
    const good = Object.entries(operation.responses).filter(([status]) => Number(status) < 400).sort(([a], [b]) => (b[0] === "2") - (a[0] === "2"));
    return good.flatMap(([status, value]) => {
        const answer = resolve(document, value);
        const headers = Object.keys(answer.headers ?? {});
        return [make("h3", `Answer ${status}`), make("p", answer.description + (headers.length ? ` Headers: ${headers.join(", ")}.` : "")),
            ...contents(document, answer.content)];
    });
}

/** The types that a problem may have, as links to their pages. */
function problems(document, operation) {
    const rows = Object.entries(operation.responses).filter(([status]) => Number(status) >= 400).flatMap(([status, value]) => {
        const { schema } = resolve(document, value).content["application/problem+json"];
        return schema.allOf[1].properties.type.enum.map((type) => [status, link(type, type.split("/").pop())]);
    });
    const rest = put(make("p", "", "quiet"), "Any request can also be refused for reasons that ", link(`${api}/errors`, "all have"), ".");
    return [...(rows.length ? table("Errors", ["status", "type"], rows) : []), rest];
}

function accessOf(operation) {
    const word = operation["x-access"];
    return word ? `With access rules this takes the right “${word}”.` : "Everybody may do this.";
}

function show(document, operation) {
    const card = byId("operation").content.cloneNode(true).firstElementChild;
    const part = (selector) => card.querySelector(selector);
    const line = here(operation["x-codeSamples"][0].source);
    card.id = operation.operationId;
    Object.assign(part(".method"), { textContent: operation.method.toUpperCase() }).classList.toggle("changes", operation.method === "delete");
    part(".path").textContent = operation.path;
    part(".summary").textContent = operation.summary;
    part(".doc").textContent = operation.description ?? `${operation.summary}.`;
    part(".access").textContent = accessOf(operation);
    part(".curl").textContent = line;
    part(".copy").onclick = ({ target }) => copy(part(".curl"), target);
    /* Made when it is opened: all of them at once would be ten thousand nodes. */
    card.addEventListener("toggle", () => part(".parts").children.length ||
        put(part(".parts"), ...parameters(document, operation), ...request(document, operation), ...answers(document, operation), ...problems(document, operation)));
    card.words = JSON.stringify([operation.path, operation.summary, operation.description, operation.parameters]).toLowerCase();
    return card;
}

/* ---- messages ---- */

function showMessage(document, name) {
    const message = document.components.messages[name];
    const card = make("details", "", "card operation");
    const schema = resolve(document, message.payload);
    put(card, put(make("summary"), make("code", name, "path"), make("span", message.title, "summary")),
        make("p", schema.description ?? message.title, "doc"), put(make("div"), ...withShape(document, message.payload, [])));
    card.words = `${name} ${message.title} ${schema.description}`.toLowerCase();
    return card;
}

/** The messages of a WebSocket or of webhooks, in both directions. */
function showChannel(document, name) {
    const channel = document.channels[name];
    const section = put(make("section"), make("h3", channel.title), make("p", channel.description));
    for (const [action, words] of [["receive", "You send"], ["send", "The server sends"]]) {
        const operation = document.operations[`${name}.${action}`];
        if (operation) {
            put(section, make("h4", words), ...operation.messages.map(({ $ref }) => showMessage(document, $ref.split("/").pop())));
        }
    }
    return section;
}

/* ---- the page ---- */

function chapter(id, title, words, ...children) {
    put(byId("tasks"), put(make("li"), link(`#${id}`, title)));
    put(byId("all"), put(Object.assign(make("section"), { id }), make("h2", title), make("p", words), ...children));
}

function find(text) {
    const wanted = text.trim().toLowerCase();
    let found = 0;
    for (const card of document.querySelectorAll(".operation")) {
        card.hidden = !card.words.includes(wanted);
        found += !card.hidden;
    }
    for (const section of document.querySelectorAll("#all section")) {
        section.hidden = !section.querySelector(".operation:not([hidden])");
    }
    byId("state").textContent = found ? "" : `Nothing here has “${text}” in it. Try a shorter word.`;
    byId("state").hidden = found > 0;
}

function goTo(id) {
    const place = id && document.getElementById(decodeURIComponent(id));
    if (place) {
        place.open = true; /* of an operation */
        place.scrollIntoView();
    }
}

async function load(name) {
    const answer = await fetch(`${api}/${name}`).catch(() => null);
    if (!answer || isSilence(answer)) {
        byId("state").textContent = "The server does not answer. This page comes by itself when it does.";
        await noteSilence();
        return load(name);
    }
    const description = await answer.json();
    if (!answer.ok) {
        throw new Error(description.detail);
    }
    return description;
}

showOutage(byId("outage"));
try {
    const [openapi, asyncapi] = await Promise.all([load("openapi.json"), load("asyncapi.json")]);
    const all = Object.entries(openapi.paths).flatMap(([path, item]) =>
        METHODS.filter((method) => item[method]).map((method) => ({ path, method, ...item[method] })));
    for (const { name, description } of openapi.tags) {
        const id = `to-${name.toLowerCase()}`;
        chapter(id, name, description, ...all.filter(({ tags }) => tags.includes(name)).map((operation) => show(openapi, operation)));
    }
    chapter("messages", "Messages", "What goes over WebSockets, and what webhooks carry.",
        ...["freshetV1", "channelSocket", "webhook"].map((name) => showChannel(asyncapi, name)));
    byId("state").hidden = true;
    byId("find").oninput = ({ target }) => find(target.value);
    addEventListener("hashchange", () => goTo(location.hash.slice(1)));
    goTo(location.hash.slice(1));
} catch (error) {
    byId("state").textContent = `The description of this server did not come: ${error.message}`;
}
