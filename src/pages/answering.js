/* Whether the server of this page answers. While it does not, the page asks it by one small request at a time, ever more rarely, and all
 * that wants something of it waits for that answer. So an outage floods neither the server nor the browser's console. */

const FIRST_MS = 500;
const MOST_MS = 10_000;
const CALM_MS = 30_000; /* after so long without silence the pauses begin at the shortest again */
const PATIENCE_MS = 8_000; /* for an answer */

const base = location.pathname.replace(/\/[^/]*$/, "");
const listeners = new Set();
let outage = null; /* resolved when the server answers again */
let since = null; /* when the outage that listeners know began */
let pause = FIRST_MS;
let backAt = -Infinity;

/** An answer of a proxy whose server does not answer. */
export const isSilence = (response) =>
    [502, 503, 504].includes(response.status) && !/problem\+json/.test(response.headers.get("content-type"));

/** Calls `listener(since)` with the time at which the server fell silent, and `listener(null)` when it answers again. */
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
        await rest(pause * (0.5 + Math.random() / 2));
        isBack = await answers();
        isBack || since || tell(began);
    }
    outage = null;
    backAt = performance.now();
    since && tell(null);
}

/* Waits for `ms`, or until the tab is looked at again or the computer has a network again. A tab that nobody sees waits until then. */
function rest(ms) {
    return new Promise((resolve) => {
        const end = () => {
            if (!document.hidden) {
                clearTimeout(timer);
                document.removeEventListener("visibilitychange", end);
                removeEventListener("online", end);
                resolve();
            }
        };
        const timer = setTimeout(end, ms);
        document.addEventListener("visibilitychange", end);
        addEventListener("online", end);
    });
}
