// Measures freshet beside nchan, pushpin and the bare loops, and tells it in one table.
//
//     node bench/run.mjs [--rows cpu,flood] [--quick] [--repeat N] [--growth] [--resume]
//
// Server on core 0, load on core 1; the servers of a case take turns, so that what the machine does
// besides hits all of them. A figure whose run lost an event does not count and says so. What a row
// gave is kept in build/bench/results.json, and --resume goes on behind it.

import fs from "node:fs";
import path from "node:path";
import { FRESHET, ROOT, child, circumstances, start } from "./servers.mjs";
import { growthOf, plot, progress } from "./growth.mjs";
import { markdown, text, write } from "./report.mjs";
import { rows } from "./rows.mjs";

const LOAD_CORE = "1";
const RUN_MS = 120_000; // what takes longer than this will not get better
const KEPT = path.join(ROOT, "build/bench/results.json");

function options(argv) {
    const given = { names: Object.keys(rows), quick: false, growth: false };
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
    return { ...given, repeat: given.repeat ?? (given.quick ? 1 : 5) };
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

/** The same, but what two cases of a repetition want alike is measured once. */
function remembering() {
    const known = new Map();
    return (server, arguments_) => {
        const key = `${server} ${arguments_}`;
        if (!known.has(key)) {
            known.set(key, measure(server, arguments_));
        }
        return known.get(key);
    };
}

async function figure(name, what, measured) {
    if (typeof what === "function") {
        return what(measured);
    }
    return what.value(await measured(name, what.load));
}

function summary({ values, failed }) {
    if (failed) {
        return { failed };
    }
    const sorted = [...values].sort((a, b) => a - b);
    return { median: sorted[Math.floor(sorted.length / 2)], least: sorted[0], most: sorted.at(-1) };
}

function outcome(case_, seen) {
    const figures = Object.fromEntries(
        Object.entries(seen).map(([name, it]) => [name, summary(it)]));
    const medians = Object.fromEntries(
        Object.entries(figures).map(([name, it]) => [name, it.median ?? NaN]));
    return { title: case_.title, unit: case_.unit, aim: case_.aim, figures,
        ratio: case_.ratio?.(medians), met: case_.met(medians) };
}

/** Every server of every case once in every repetition, in turn. */
async function runRow(cases, repeat) {
    const seen = cases.map((case_) => Object.fromEntries(
        Object.keys(case_.figures).map((name) => [name, { values: [] }])));
    for (let i = 0; i < repeat; i++) {
        const measured = remembering();
        for (const [c, case_] of cases.entries()) {
            for (const [name, what] of Object.entries(case_.figures)) {
                if (seen[c][name].failed) {
                    continue;
                }
                progress(`${i + 1}/${repeat} ${case_.title}: ${name}`);
                try {
                    seen[c][name].values.push(await figure(name, what, measured));
                } catch (error) {
                    seen[c][name].failed = error.message;
                }
            }
        }
    }
    progress("");
    return cases.map((case_, c) => outcome(case_, seen[c]));
}

/* What an interrupted run has measured already: of the same program and the same options. */
function kept(given, about) {
    const fresh = { about, repeat: given.repeat, quick: given.quick, rows: {}, growth: {} };
    if (!given.resume || !fs.existsSync(KEPT)) {
        return fresh;
    }
    const old = JSON.parse(fs.readFileSync(KEPT, "utf8"));
    const same = (key) => JSON.stringify(old[key]) === JSON.stringify(fresh[key]);
    return ["about", "repeat", "quick"].every(same) ? old : fresh;
}

/* Measures what is not known yet, and keeps it. */
async function known(results, part, name, measured) {
    if (!results[part][name]) {
        results[part][name] = await measured();
        fs.writeFileSync(KEPT, JSON.stringify(results));
    }
    return results[part][name];
}

async function main() {
    const given = options(process.argv.slice(2));
    const time = { seconds: given.quick ? 1 : 3, quick: given.quick };
    const results = kept(given, circumstances());
    const all = [], pictures = [];
    for (const name of given.names) {
        const row = rows[name];
        const n = given.quick && row.n > 100000 ? row.n / 10 : row.n;
        const row_ = await known(results, "rows", name,
            () => runRow(row.cases(n, time), given.repeat));
        row_.forEach((result) => console.log(text(result)));
        all.push(...row_);
    }
    const whole = !given.some && !given.quick;
    if (whole || given.growth) {
        for (const name of given.names) {
            pictures.push(await known(results, "growth", name,
                () => growthOf(name, measure, given.repeat, time)));
        }
        plot(pictures, whole);
    }
    write(markdown(all, results.about, given), whole);
}

main().catch((error) => {
    console.error(error.message);
    process.exit(1);
});
