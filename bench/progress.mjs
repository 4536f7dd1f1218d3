// How far it is, on standard error: for somebody who watches, and for a log.

const begun = Date.now();
const watched = process.stderr.isTTY;
let stage = "";

function elapsed() {
    const seconds = Math.floor((Date.now() - begun) / 1000);
    return `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`;
}

/** What begins now; a line of its own in a log. */
export function begin(what) {
    stage = what;
    if (!watched) {
        console.error(`${elapsed()} ${stage}`);
    }
}

/** What is being done for it: a line that the next one takes the place of, when somebody watches. */
export function progress(step) {
    if (watched) {
        process.stderr.write(`\r\x1b[K${elapsed()} ${stage} ${step}`.slice(0, process.stderr.columns));
    }
}

/** Makes way for what is printed. */
export function done() {
    if (watched) {
        process.stderr.write("\r\x1b[K");
    }
}
