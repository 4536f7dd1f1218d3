/* Requests to this server and streams of it, with the credential that the user has entered. The credential stays in this tab's
 * sessionStorage and goes into the Authorization header, never into a URL: URLs are logged, remembered and copied. */

import { isSilence, noteSilence, untilAnswers } from "../answering.js";

export const origin = location.origin + location.pathname.replace(/\/[^/]*$/, "");
const PLACE = `freshet.console ${origin}`;
const PAUSE_MS = 500;
const PAUSE_MOST_MS = 10_000;
const SILENCE_MS = 60_000; /* a stream has a heartbeat every 25 seconds */

export const credential = {
    get: () => sessionStorage.getItem(PLACE) ?? "",
    keep: (text) => sessionStorage.setItem(PLACE, text),
    forget: () => sessionStorage.removeItem(PLACE),
    /* An HTTP header cannot hold anything else. */
    isPossible: (text) => /^[\x21-\x7e]+$/.test(text),
};

/** An answer that is a problem document, as an error. */
export class Refused extends Error {
    constructor(status, problem) {
        super(problem.detail ?? problem.title ?? `The server answered ${status}.`);
        Object.assign(this, { status, problem, kind: (problem.type ?? "").split("/").at(-1) });
    }
}

/** A request that got no answer. */
export class Unreachable extends Error {
    constructor() {
        super("The server does not answer. It may be restarting.");
        noteSilence();
    }
}

/** `?a=1&b=2` of an object; members that are empty are left out, and arrays are repeated. */
export function query(members) {
    const pairs = Object.entries(members)
        .flatMap(([name, value]) => [value].flat().map((one) => [name, one]))
        .filter(([, value]) => value !== undefined && value !== null && value !== "" && value !== false)
        .map(([name, value]) => `${name}=${encodeURIComponent(value === true ? 1 : value)}`);
    return pairs.length ? `?${pairs.join("&")}` : "";
}

/** The path of a channel. */
export const channelPath = (name) => `/channels/${name.split("/").map(encodeURIComponent).join("/")}`;

async function request(method, path, { body, headers, signal }) {
    const text = credential.get();
    const own = text ? { Authorization: `Bearer ${text}` } : {};
    const response = await fetch(origin + path, { method, body, signal, cache: "no-store", headers: { ...own, ...headers } }).catch(
        (error) => {
            throw error instanceof TypeError ? new Unreachable() : error;
        },
    );
    if (isSilence(response)) {
        throw new Unreachable();
    }
    return response;
}

async function checked(response) {
    if (!response.ok) {
        throw new Refused(response.status, await response.json().catch(() => ({})));
    }
    return response;
}

/** Sends a request; gives its JSON, and throws `Refused` or `Unreachable`. `json` becomes the body; `exact` is for payloads. */
export async function send(method, path, { json, exact, ...rest } = {}) {
    const asJson = json === undefined ? {} : { body: JSON.stringify(json), headers: { "Content-Type": "application/json" } };
    const response = await checked(await request(method, path, { ...rest, ...asJson }));
    const text = await response.text();
    const answer = text ? parse(text, exact) : {};
    const next = /<([^>]*)>; rel="next"/.exec(response.headers.get("link") ?? "");
    return next ? Object.defineProperty(answer, "nextLink", { value: next[1] }) : answer;
}

export const get = (path, options) => send("GET", path, options);

/* Payloads are shown as they are: with `exact`, numbers keep their digits (1.50, 12345678901234567890), if the browser can do that. */
function parse(text, exact) {
    const keep = (name, value, context) =>
        typeof value === "number" && context?.source !== String(value) ? JSON.rawJSON(context.source) : value;
    return JSON.parse(text, exact && JSON.rawJSON ? keep : undefined);
}

/** The names of this page's own streams, as GET /subscribers has them. */
export const ownStreams = new Set();

export function sleep(ms, signal) {
    return new Promise((resolve) => {
        const timer = setTimeout(resolve, ms);
        signal?.addEventListener("abort", () => (clearTimeout(timer), resolve()), { once: true });
    });
}

/** Does something every `ms` while the page is seen and the server answers, and at once when it answers again. */
export async function every(ms, signal, run) {
    while (!signal.aborted) {
        await sleep(ms, signal);
        await untilAnswers(signal);
        signal.aborted || document.hidden || (await run());
    }
}

/* The records of a stream of server-sent events. `giveUp` is called when nothing came for too long: the connection is dead then. */
async function* records(response, exact, giveUp) {
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    const read = () => {
        const watch = setTimeout(giveUp, SILENCE_MS);
        return reader.read().finally(() => clearTimeout(watch));
    };
    let rest = "";
    for (let part = await read(); !part.done; part = await read()) {
        const blocks = (rest + part.value).split("\n\n");
        rest = blocks.pop();
        for (const block of blocks) {
            const fields = Object.fromEntries(block.split("\n").map((line) => line.split(/: (.*)/s, 2)));
            if (fields.data !== undefined) {
                yield { op: fields.event, record: parse(fields.data, exact) };
            }
        }
    }
}

/* A browser opens six connections to a host for all of its tabs, so a tab that nobody sees holds none of them. */
function untilSeen(signal) {
    return new Promise((resolve) => {
        const look = () => {
            if (!document.hidden || signal.aborted) {
                document.removeEventListener("visibilitychange", look);
                resolve();
            }
        };
        signal.addEventListener("abort", look, { once: true });
        document.addEventListener("visibilitychange", look);
        look();
    });
}

function whileSeen(signal) {
    const own = new AbortController();
    const hide = () => document.hidden && own.abort();
    document.addEventListener("visibilitychange", hide);
    signal.addEventListener("abort", () => own.abort(), { once: true });
    own.signal.addEventListener("abort", () => document.removeEventListener("visibilitychange", hide), { once: true });
    return own;
}

/**
 * Follows channels and patterns until `signal` is aborted, and comes back by its cursor. `last` is how many old events to begin
 * with, `exact` as for payloads. Calls event(envelope), gap(gap), live() and lost(); throws `Refused` when asking again would not help.
 */
export async function follow(channels, { after, last, exact, signal, event, gap, live, lost }) {
    let cursor = after,
        pause = PAUSE_MS;
    const handle = (op, record) => {
        pause = PAUSE_MS;
        cursor = record.id ?? record.cursor ?? cursor;
        if (op === "$beat") {
            record.connection && ownStreams.add(record.connection);
            live?.();
        } else if (op === "$gap") {
            cursor = record.reason === "unknown" ? "earliest" : (record.earliest ?? cursor);
            gap?.(record);
        } else if (!op) {
            event(record);
        }
    };
    /* A fault of a handler is none of the connection. */
    const take = (op, record) => {
        try {
            handle(op, record);
        } catch (error) {
            reportError(error);
        }
    };
    while (!signal.aborted) {
        await untilSeen(signal);
        if (signal.aborted) {
            return;
        }
        const own = whileSeen(signal);
        try {
            const path = `/events${query({ channel: channels, after: cursor, last: cursor ? "" : last })}`;
            const response = await checked(await request("GET", path, { headers: { Accept: "text/event-stream" }, signal: own.signal }));
            for await (const { op, record } of records(response, exact, () => own.abort())) {
                take(op, record);
            }
        } catch (error) {
            if (error.status === 410) {
                take("$gap", error.problem);
            } else if (error instanceof Refused && ![429, 503].includes(error.status)) {
                throw error;
            }
        }
        own.abort();
        if (!signal.aborted && !document.hidden) {
            lost?.();
            await sleep(pause, signal);
            await untilAnswers(signal);
            pause = Math.min(2 * pause, PAUSE_MOST_MS);
        }
    }
}
