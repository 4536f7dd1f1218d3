/* The console: which view is shown, by the part of the URL behind #. Each view is a function (main, params, {name, signal, again,
 * refused}) that fills `main`; `signal` is aborted when it goes. What it throws is shown in its place. */

import { answers, noteSilence, onOutage, showOutage, untilAnswers } from "./answering.js";
import { every, Unreachable } from "./console/api.js";
import { closeDialogs, heading, problemCard, say } from "./console/parts.js";

const WATCH_MS = 10_000;

/* The module of a view is fetched when it is shown first, so that the first view does not wait for the others. A browser does not
 * fetch a module again that did not come, so the whole page is loaded anew then. */
const from = (file, name) => {
    const fetchIt = () => import(`./console/${file}.js`);
    const load = () =>
        fetchIt().then(
            (module) => module[name],
            async (error) => {
                if (await answers()) {
                    throw error; /* this file alone does not come, and would not after a reload */
                }
                noteSilence().then(() => location.reload());
                throw new Unreachable();
            },
        );
    return Object.assign(load, { early: () => fetchIt().catch(() => {}) });
};

const VIEWS = {
    overview: { title: "Overview", all: from("overview", "overview") },
    channels: { title: "Channels", all: from("channels", "channels"), one: from("channel", "channel") },
    subscribers: { title: "Subscribers", all: from("subscribers", "subscribers") },
    webhooks: { title: "Webhooks", all: from("webhooks", "webhooks"), one: from("webhook", "webhook") },
    keys: { title: "Keys", all: from("keys", "keys") },
    audit: { title: "Audit", all: from("audit", "audit") },
    configuration: { title: "Configuration", all: from("configuration", "configuration") },
    credential: { title: "Credential", all: from("credential", "credentialView") },
};

const main = document.getElementById("main");
let control = new AbortController();

function decoded(text) {
    try {
        return decodeURIComponent(text);
    } catch {
        return text; /* somebody has typed it */
    }
}

/* "#/channels/trades%2Fbtc?x=1" as its view, the name behind it, and parameters. */
function readHash() {
    const [path, search] = location.hash.replace(/^#\/?/, "").split("?");
    const [word, name] = path.split("/");
    return { word: Object.hasOwn(VIEWS, word) ? word : "overview", name: name && decoded(name), params: new URLSearchParams(search) };
}

function markLinks(word) {
    for (const link of document.querySelectorAll("nav a")) {
        link.hash === `#/${word}` ? link.setAttribute("aria-current", "page") : link.removeAttribute("aria-current");
    }
}

async function show(isFirst) {
    control.abort();
    closeDialogs();
    const own = (control = new AbortController());
    const { word, name, params } = readHash();
    const view = VIEWS[word];
    const refused = (error) => {
        if (control === own) {
            own.abort(); /* what the view does again and again */
            const title = name && view.one ? name : view.title;
            main.replaceChildren(
                heading(title),
                problemCard(error, () => show(false)),
            );
            error instanceof Unreachable && untilAnswers().then(() => control === own && show(true));
        }
    };
    markLinks(word);
    document.title = `${name ? `${name}, ${view.title}` : view.title}: freshet`;
    main.setAttribute("aria-busy", "true");
    const place = document.createElement("div");
    place.className = "view";
    try {
        const fill = await (name && view.one ? view.one : view.all)();
        await fill(place, params, { name, signal: own.signal, again: () => show(false), refused });
        control === own && !own.signal.aborted && main.replaceChildren(place);
    } catch (error) {
        refused(error);
    }
    if (control === own) {
        main.removeAttribute("aria-busy");
        scrollTo(0, 0);
        isFirst || main.querySelector("h1")?.focus({ preventScroll: true });
    }
}

document.querySelector(".skip").onclick = (event) => {
    event.preventDefault();
    main.focus();
};

/* Views that ask for nothing just now should not look as if all were well when the server is gone. */
showOutage(document.getElementById("outage"));
onOutage((since) => since || say("The server answers again."));
every(WATCH_MS, new AbortController().signal, async () => (await answers()) || noteSilence());

addEventListener("hashchange", () => show(false));
addEventListener("pageshow", ({ persisted }) => persisted && show(true));
show(true).then(() => {
    performance.mark("first view");
    Object.values(VIEWS).forEach(({ all, one }) => [all, one].forEach((load) => load?.early()));
});
