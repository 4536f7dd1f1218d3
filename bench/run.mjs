// Measures freshet beside nchan, pushpin and the bare loops, and tells it in one table.
//
//     node bench/run.mjs [--rows cpu,flood] [--quick] [--repeat N] [--growth] [--resume]
//
// --resume goes on from what was measured before this program was ended, by the same commit. Server on core 0, load on core 1; the servers of a case take turns, so that what the machine does
// besides hits all of them. A figure whose run lost an event does not count and says so.

import { FRESHET, child, start } from "./servers.mjs";
import { growthOf, plot } from "./growth.mjs";
import { begin, done, progress } from "./progress.mjs";
import { markdown, text, write } from "./report.mjs";
import { openResults } from "./results.mjs";
import { rows } from "./rows.mjs";

const LOAD_CORE = "1";
const RUN_MS = 120_000; // what takes longer than this will not get better

/* Peers whose runs take this long are measured three times. Neither freshet nor what its aims name
 * as their measure ever is. */
const PEERS = ["nchan", "pushpin"];
const LONG_SECONDS = 20;
const LONG_REPEAT = 3;

function options(argv) {
    const given = { names: Object.keys(rows), quick: false, growth: false, resume: false };
    for (let i = 0; i < argv.length; i++) {
        if (argv[i] === "--rows" && argv[i + 1]) {
            given.names = argv[++i].split(",");
            given.some = true;
        } else if (argv[i] === "--repeat" && Number(argv[i + 1]) > 0) {
            given.repeat = Number(argv[++i]);
        } else if (["--quick", "--growth", "--resume"].includes(argv[i])) {
            given[argv[i].slice(2)] = true;
        } else {
            throw new Error(`what is ${argv[i]}?`);
        }
    }
    const unknown = given.names.filter((name) => !rows[name]);
    if (unknown.length) {
        throw new Error(`no such row: ${unknown}; there are ${Object.keys(rows).join(", ")}`);
    }
    return { ...given, repeat: given.repeat ?? (given.quick ? 1 : 3) };
}

/** One run of the load generator; what it printed. */
function load(args) {
    return new Promise((resolve, reject) => {
        const process_ = child("taskset", ["-c", LOAD_CORE, FRESHET, "bench", ...args, "--json"],
            { stdio: ["ignore", "pipe", "pipe"] });
        let out = "", err = "";
        process_.stdout.on("data", (data) => (out += data));
        process_.stderr.on("data", (data) => (err += data));
        const late = setTimeout(() => {
            process_.kill("SIGKILL");
            reject(new Error(`no end within ${RUN_MS / 1000} s`));
        }, RUN_MS);
        process_.once("error", reject);
        process_.once("close", () => {
            clearTimeout(late);
            try {
                resolve(JSON.parse(out));
            } catch {
                reject(new Error(err.trim() || "the load generator said nothing"));
            }
        });
    });
}

/** Starts the server, makes the load, stops it again. Throws when anything was lost. */
export async function measure(server, arguments_) {
    const running = await start(server);
    try {
        const result = await load([...running.load, ...arguments_.split(" ")]);
        if (!result.ok) {
            throw new Error(`${result.why || "not all came"} (${result.missing} missing, ` +
                `${result.repeated} repeated)`);
        }
        return result;
    } finally {
        await running.stop();
    }
}

/** What one figure is made from: runs of the load generator, and whatever else it takes. */
class Measuring {
    seconds = 0;

    constructor(results, prefix) {
        this.results = results;
        this.prefix = prefix;
    }

    /** Two figures that want the same of one repetition share it. */
    async take(name, make) {
        const entry = await this.results.take(`${this.prefix} ${name}`, make);
        this.seconds += entry.seconds;
        if (entry.failed) {
            throw new Error(entry.failed);
        }
        return entry.result;
    }

    run(server, arguments_) {
        return this.take(`${server}: ${arguments_}`, () => measure(server, arguments_));
    }
}

async function figure(name, what, measuring) {
    if (typeof what === "function") {
        return what((server, arguments_) => measuring.run(server, arguments_),
            (other, make) => measuring.take(other, make));
    }
    return what.value(await measuring.run(what.server ?? name, what.load));
}

function summary({ values, failed }) {
    if (failed) {
        return { failed };
    }
    const sorted = [...values].sort((a, b) => a - b);
    return { median: sorted[Math.floor(sorted.length / 2)], least: sorted[0], most: sorted.at(-1),
        count: sorted.length };
}

function outcome(case_, seen) {
    const figures = Object.fromEntries(
        Object.entries(seen).map(([name, it]) => [name, summary(it)]));
    const medians = Object.fromEntries(
        Object.entries(figures).map(([name, it]) => [name, it.median ?? NaN]));
    return { title: case_.title, unit: case_.unit, aim: case_.aim, figures,
        ratio: case_.ratio?.(medians), met: case_.met(medians) };
}

/** What failed once is not tried again, and what takes long is not tried as often. */
function isDone(name, it, nth) {
    return it.failed || (PEERS.includes(name) && it.longest > LONG_SECONDS && nth >= LONG_REPEAT);
}

/** One repetition: every server of every case once, in turn. */
async function repetition(row, nth, cases, seen, results) {
    for (const [c, case_] of cases.entries()) {
        for (const [name, what] of Object.entries(case_.figures)) {
            const it = seen[c][name];
            if (isDone(name, it, nth)) {
                continue;
            }
            progress(`${case_.title}: ${name}`);
            const measuring = new Measuring(results, `${row} ${nth + 1}`);
            try {
                it.values.push(await figure(name, what, measuring));
            } catch (error) {
                it.failed = error.message;
            }
            it.longest = Math.max(it.longest, measuring.seconds);
        }
    }
}

async function runRow(row, place, cases, repeat, results) {
    const seen = cases.map((case_) => Object.fromEntries(
        Object.keys(case_.figures).map((name) => [name, { values: [], longest: 0 }])));
    for (let nth = 0; nth < repeat; nth++) {
        begin(`${place}, ${row}, run ${nth + 1} of ${repeat}:`);
        await repetition(row, nth, cases, seen, results);
    }
    done();
    return cases.map((case_, c) => outcome(case_, seen[c]));
}

/** The pictures; what hinders gnuplot does not cost the table. */
async function grow(given, results, whole) {
    const pictures = await growthOf(given.names, (key) => new Measuring(results, key), given);
    try {
        await plot(pictures, whole);
    } catch (error) {
        console.error(`no plot: ${error.message}`);
    }
    return pictures;
}

async function main() {
    const given = options(process.argv.slice(2));
    const time = { seconds: given.quick ? 1 : 4, quick: given.quick };
    const whole = !given.some && !given.quick && given.repeat >= 3;
    const all = openResults(given.resume);
    const results = [];
    for (const [i, name] of given.names.entries()) {
        const row = rows[name];
        const n = given.quick && row.n > 100000 ? row.n / 10 : row.n;
        const place = `row ${i + 1} of ${given.names.length}`;
        const row_ = await runRow(name, place, row.cases(n, time), given.repeat, all);
        row_.forEach((result) => console.log(text(result, given)));
        results.push(...row_);
    }
    const pictures = whole || given.growth ? await grow(given, all, whole) : [];
    write(markdown(results, pictures, all, given), whole);
}

main().catch((error) => {
    console.error(error.message);
    process.exit(1);
});
