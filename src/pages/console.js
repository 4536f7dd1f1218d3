/* The console: which view is shown, by the part of the URL behind #. Each view is a function (main, params, {name, signal, again,
 * refused}) that fills `main`; `signal` is aborted when it goes. What it throws is shown in its place. */

import { audit } from "./console/audit.js";
import { channel } from "./console/channel.js";
import { channels } from "./console/channels.js";
import { configuration } from "./console/configuration.js";
import { credentialView } from "./console/credential.js";
import { keys } from "./console/keys.js";
import { overview } from "./console/overview.js";
import { heading, problemCard } from "./console/parts.js";
import { subscribers } from "./console/subscribers.js";
import { webhook } from "./console/webhook.js";
import { webhooks } from "./console/webhooks.js";

const VIEWS = {
    overview: { title: "Overview", all: overview },
    channels: { title: "Channels", all: channels, one: channel },
    subscribers: { title: "Subscribers", all: subscribers },
    webhooks: { title: "Webhooks", all: webhooks, one: webhook },
    keys: { title: "Keys", all: keys },
    audit: { title: "Audit", all: audit },
    configuration: { title: "Configuration", all: configuration },
    credential: { title: "Credential", all: credentialView },
};

const main = document.getElementById("main");
let control = new AbortController();

/* "#/channels/trades%2Fbtc?x=1" as its view, the name behind it, and parameters. */
function readHash() {
    const [path, search] = location.hash.replace(/^#\/?/, "").split("?");
    const [word, name] = path.split("/");
    return { word: VIEWS[word] ? word : "overview", name: name && decodeURIComponent(name), params: new URLSearchParams(search) };
}

function markLinks(word) {
    for (const link of document.querySelectorAll("nav a")) {
        link.hash === `#/${word}` ? link.setAttribute("aria-current", "page") : link.removeAttribute("aria-current");
    }
}

async function show(isFirst) {
    control.abort();
    const own = (control = new AbortController());
    const { word, name, params } = readHash();
    const view = VIEWS[word];
    const refused = (error) => {
        if (!own.signal.aborted) {
            const title = name && view.one ? name : view.title;
            main.replaceChildren(
                heading(title),
                problemCard(error, () => show(false)),
            );
        }
    };
    markLinks(word);
    document.title = `${name ? `${name}, ${view.title}` : view.title}: freshet`;
    main.setAttribute("aria-busy", "true");
    const place = document.createElement("div");
    place.className = "view";
    try {
        await (name && view.one ? view.one : view.all)(place, params, { name, signal: own.signal, again: () => show(false), refused });
        own.signal.aborted || main.replaceChildren(place);
    } catch (error) {
        refused(error);
    }
    if (!own.signal.aborted) {
        main.removeAttribute("aria-busy");
        scrollTo(0, 0);
        isFirst || main.querySelector("h1")?.focus({ preventScroll: true });
    }
}

document.querySelector(".skip").onclick = (event) => {
    event.preventDefault();
    main.focus();
};
addEventListener("hashchange", () => show(false));
addEventListener("pageshow", ({ persisted }) => persisted && show(true));
show(true);
