/* The figures of `$stats` in the last minutes. The channel is followed from the first view that wants it until the page goes, so that
 * the plots have no holes when one comes back to them. */

import { follow } from "./api.js";

const KEPT = 240;
const samples = [];
const listeners = new Set();
let following;

/** Calls `listener(samples)` for each second, until `signal` is aborted. A refusal is given to `refused`. */
export function watchRates(listener, refused, signal) {
    listeners.add(listener);
    signal.addEventListener("abort", () => listeners.delete(listener), { once: true });
    listener(samples);
    following ??= begin(refused);
}

/** Forgets what was seen: it was seen with another credential. */
export function forgetRates() {
    following?.abort();
    following = undefined;
    samples.length = 0;
}

function begin(refused) {
    const control = new AbortController();
    const event = ({ data }) => {
        samples.push({ ...data, came: Date.now() });
        samples.splice(0, samples.length - KEPT);
        listeners.forEach((listener) => listener(samples));
    };
    follow(["$stats"], { event, signal: control.signal }).catch((error) => {
        following = undefined;
        refused(error);
    });
    return control;
}
