/* Whether the server of this page answers. While it does not, the page asks it by one small request at a time, ever more rarely, and all
 * that wants something of it waits for that answer. So an outage floods neither the server nor the browser's console. The page asks earlier
 * when the network is back, or somebody looks at the page, clicks or types. */

const FIRST_MS = 500;
const MOST_MS = 10_000;
const CALM_MS = 30_000; /* after so long without silence the pauses begin at the shortest again */
const PATIENCE_MS = 8_000; /* for an answer */
const REASONS = ["online", "focus", "visibilitychange", "pointerdown", "keydown"]; /* to ask before the pause has ended */

const base = location.pathname.replace(/\/[^/]*$/, "");
const listeners = new Set();
let outage = null; /* resolved when the server answers again */
let since = null; /* when the outage that listeners know began */
let pause = FIRST_MS;
let backAt = -Infinity;
let turn = null; /* the next answer, or that there is none */
let endPause = () => {};

/** An answer of a proxy whose server does not answer. */
export const isSilence = (response) =>
    [502, 503, 504].includes(response.status) && !/problem\+json/.test(response.headers.get("content-type"));

/** Calls `listener(since)` with the time at which the server fell silent, each time it was asked in vain, and `listener(null)` when it
 * answers again. */
export function onOutage(listener, signal) {
    listeners.add(listener);
    signal?.addEventListener("abort", () => listeners.delete(listener), { once: true });
    since && listener(since);
}

/** Whether the server answers a small request. */
export const answers = () =>
    fetch(`${base}/healthz`, { cache: "no-store", signal: AbortSignal.timeout(PATIENCE_MS) }).then(
        (response) => !isSilence(response),
        () => false,
    );

/** Notes a request that got no answer. The promise is resolved when the server answers again. */
export function noteSilence() {
    if (!outage) {
        pause = performance.now() - backAt < CALM_MS ? pause : FIRST_MS;
    }
    return (outage ??= comeBack(new Date()));
}

/** Whether a request may be worth while: none has failed since the last answer. */
export const isAnswering = () => outage === null;

/** Waits until the server answers, which is at once where no request has failed, or until `signal` is aborted. */
export async function untilAnswers(signal) {
    if (outage && !signal?.aborted) {
        await Promise.race([outage, new Promise((resolve) => signal?.addEventListener("abort", resolve, { once: true }))]);
    }
}

function tell(time) {
    since = time;
    listeners.forEach((listener) => listener(time));
}

/* A single request may fail for a reason of its own: the listeners hear of an outage when the next request fails too. */
async function comeBack(began) {
    for (let isBack = false; !isBack; pause = Math.min(2 * pause, MOST_MS)) {
        turn = rest(pause * (0.5 + Math.random() / 2)).then(answers);
        isBack = await turn;
        isBack || tell(since ?? began);
    }
    outage = null;
    backAt = performance.now();
    since && tell(null);
}

/* Waits for `ms`, or until there is a reason to ask earlier; FIRST_MS at least, however much somebody types. A tab that nobody sees waits
 * until somebody does. */
function rest(ms) {
    const least = performance.now() + FIRST_MS;
    return new Promise((resolve) => {
        let timer;
        const end = () => document.hidden || endPause();
        const within = (wait) => {
            clearTimeout(timer);
            timer = setTimeout(end, Math.max(wait, 0));
        };
        const hasten = () => within(least - performance.now());
        endPause = () => {
            clearTimeout(timer);
            REASONS.forEach((name) => removeEventListener(name, hasten));
            resolve();
        };
        REASONS.forEach((name) => addEventListener(name, hasten));
        within(ms);
    });
}

/** Asks at once. The promise is of whether the server has answered. */
export function tryNow() {
    endPause();
    return turn;
}

/* ---- what people see of it ---- */

const clock = (date) => date.toTimeString().slice(0, 8);

/** Lets `place` say since when the server does not answer, with a button to ask at once. */
export function showOutage(place) {
    const make = (name, properties) => place.appendChild(Object.assign(document.createElement(name), properties));
    const said = Object.assign(make("span"), { role: "status" });
    const asked = make("span", { className: "quiet number" }); /* changes too often to be read out */
    const button = make("button", { type: "button", className: "small", textContent: "Try now", hidden: true });
    button.onclick = async () => {
        button.textContent = "Trying …";
        await tryNow();
        button.textContent = "Try now";
    };
    onOutage((time) => {
        place.classList.toggle("away", time !== null);
        const text = time ? `The server has not answered since ${clock(time)}. This page asks again by itself. What you see is from before.` : "";
        said.textContent === text || (said.textContent = text);
        asked.textContent = time ? `Asked last at ${clock(new Date())}.` : "";
        document.activeElement === button && !time && document.querySelector("main").focus();
        button.hidden = !time;
    });
}
