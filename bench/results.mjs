// What was measured, kept in build/bench/results.json after every run: whatever ends this program, it
// can go on from there with --resume, and whoever doubts a figure finds what it was made from.

import crypto from "node:crypto";
import fs from "node:fs";
import path from "node:path";
import { execFileSync } from "node:child_process";
import { FRESHET, LOOPS, ROOT, circumstances } from "./servers.mjs";

const FILE = path.join(ROOT, "build/bench/results.json");

/** The commit and the programs: results of others are not gone on from. */
function identity() {
    const hash = crypto.createHash("sha256");
    const scripts = path.join(ROOT, "bench");
    const files = [FRESHET, path.join(LOOPS, "bench_bare"), path.join(LOOPS, "bench_empty"),
        path.join(LOOPS, "bench_bare_tls"), path.join(LOOPS, "bench_handshakes"),
        ...fs.readdirSync(scripts).filter((name) => name.endsWith(".mjs")).sort()
            .map((name) => path.join(scripts, name))];
    files.forEach((file) => hash.update(fs.readFileSync(file)));
    const commit = execFileSync("git", ["-C", ROOT, "rev-parse", "HEAD"], { encoding: "utf8" });
    return `${commit.trim()} ${hash.digest("hex").slice(0, 16)}`;
}

function save(content) {
    fs.writeFileSync(`${FILE}.new`, JSON.stringify(content, null, 1));
    fs.renameSync(`${FILE}.new`, FILE);
}

function earlier(of) {
    const content = JSON.parse(fs.readFileSync(FILE, "utf8"));
    if (content.of !== of) {
        throw new Error("--resume: what build/bench/results.json holds is of another commit or build");
    }
    return content;
}

/** What is known by now, and how to come to know more. */
export function openResults(resume) {
    const of = identity();
    const content = resume ? earlier(of)
        : { of, begun: new Date().toISOString(), circumstances: circumstances(), runs: {} };
    const underWay = new Map();

    /* { seconds, result } or { seconds, failed } */
    async function make(key, measure) {
        const before = Date.now();
        const entry = {};
        try {
            entry.result = await measure();
        } catch (error) {
            entry.failed = error.message;
        }
        entry.seconds = (Date.now() - before) / 1000;
        content.runs[key] = entry;
        save(content);
        return entry;
    }

    return {
        circumstances: content.circumstances,
        begun: content.begun,
        /** What `measure` made, now or earlier under this key; failures are kept as well. */
        take(key, measure) {
            if (content.runs[key]) {
                return content.runs[key];
            }
            if (!underWay.has(key)) {
                underWay.set(key, make(key, measure));
            }
            return underWay.get(key);
        },
    };
}
