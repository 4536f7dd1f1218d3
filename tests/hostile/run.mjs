// Attacks a server, with strangers beside, and judges by the server's own figures:
//
// - nobody waits for more than 100 ms for a worker's turn, for the log's lock, or for mail. The kernel may
//   stop a server for that long as well, but not in each of three runs: what fails for time alone is
//   run again, at most twice;
// - ten seconds after the attack the memory is back to within a tenth of what it was. What the server says that
//   it keeps for itself is left out: windows, channels, indexes and caches, which grow with what is published,
//   whoever publishes, up to bounds of their own;
// - nothing that was acknowledged to a stranger is lost, given twice or out of order;
// - the attack itself, where it looks for something, has not seen what must not be.
//
// With --table the results come once more, as rows for docs/hostile.md. With --sanitized the server is one
// that was built with a sanitizer: it is judged by what it says at its end and by what the strangers saw,
// not by its time and memory, which are the sanitizer's.
//
//     FRESHET_BIN=build/freshet node run.mjs [--long] [--table] [--sanitized] [NAME...]

import { spawn, execFileSync } from "node:child_process";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import readline from "node:readline";
import { fileURLToPath } from "node:url";
import { attacks } from "./attacks.mjs";
import { get, pause, request } from "./support.mjs";

process.setMaxListeners(0);
const HERE = path.dirname(fileURLToPath(import.meta.url));
const BIN = path.resolve(process.env.FRESHET_BIN ?? path.join(HERE, "../../build/freshet"));
const WAIT_MAX_MS = 100;
const MEMORY_SHARE = 1.1;
const MEMORY_SLACK = 4 << 20; /* threads' stacks, and what the allocator cannot give back */
const MEMORY_MS = 10_000;
const SETTLE_MS = 1_000;
const RUNS_MAX = 3;
const OUTPUT_MAX = 10_000;
const WARM_MIB = 24; /* fills the workers' windows, which are no peer's doing */

const long = process.argv.includes("--long");
const names = process.argv.slice(2).filter((word) => !word.startsWith("--"));
const sanitized = process.argv.includes("--sanitized");
const SECONDS = long ? 15 : sanitized ? 2 : 4;
/* Attackers get what the server and its strangers leave of the processors, and come before a clang-tidy that runs
 * beside sanitized builds. */
const ATTACKER_NICE = sanitized ? "10" : "19";

/** The setting `listen` with a port for each of the two, and a certificate. */
function tlsConfig(dir) {
    const [key, cert] = ["key.pem", "cert.pem"].map((name) => path.join(dir, name));
    execFileSync("openssl", ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", key,
        "-out", cert, "-days", "2", "-subj", "/CN=localhost"], { stdio: "pipe" });
    return `listen: [http://127.0.0.1:0, https://127.0.0.1:0]\ntls:\n  certificates:\n  - {cert: ${cert}, key: ${key}}\n`;
}

function startServer(dir, attack) {
    const args = ["serve", "--data", path.join(dir, "data"), "--threads", "2"];
    if (!attack.tls) {
        args.push("--listen", "127.0.0.1:0");
    }
    const config = (attack.tls ? tlsConfig(dir) : "") + (attack.config ?? "");
    if (config) {
        fs.writeFileSync(path.join(dir, "freshet.yaml"), config);
        args.push("--config", path.join(dir, "freshet.yaml"));
    }
    /* First among what runs here, where we may: judged is how the server shares its time out, not how the
     * kernel shares out the processors. */
    const child = spawn("nice", ["-n", "-15", BIN, ...args], { stdio: ["ignore", "pipe", "pipe"] });
    process.once("exit", () => child.kill("SIGKILL"));
    child.text = "";
    child.alive = true;
    child.stderr.on("data", (text) => (child.text += text));
    const ports = new Promise((resolve, reject) => {
        let said = "";
        child.stdout.on("data", (text) => {
            said += text;
            const [port, tlsPort] = ["http", "https"].map((scheme) => new RegExp(`\\b${scheme}://127\\.0\\.0\\.1:(\\d+)`).exec(said)?.[1]);
            if (port && (tlsPort || !attack.tls)) {
                resolve({ child, port: Number(port), tlsPort: Number(tlsPort ?? 0) });
            }
        });
        child.once("close", () => reject(new Error(`the server did not start: ${child.text}`)));
    });
    child.once("exit", () => (child.alive = false));
    child.ended = new Promise((resolve) => child.once("close", (code, signal) => resolve({ code, signal })));
    return ports;
}

/** What the server holds: its anonymous memory. Pages of the log's files belong to the kernel. A server
 *  that has ended holds nothing. */
function anonymous(child) {
    const status = child.alive ? fs.readFileSync(`/proc/${child.pid}/status`, "utf8") : "";
    return Number(/RssAnon:\s+(\d+)/.exec(status)?.[1] ?? 0) * 1024;
}

/** What the server keeps for itself, by its own account. Workers share the events in their windows, which
 *  `windows` counts for each. */
function kept({ workers, memory: { windows, windows_own: own, channels, keys, trims, index, patterns, sqlite } }) {
    return (windows - own) / workers + own + channels + keys + trims + index + patterns + sqlite;
}

/** The same without what it keeps for itself. Without an answer nothing is left out. */
async function memory(child, port) {
    const answer = await get(port, "/stats");
    return anonymous(child) - (answer.status === 200 ? kept(JSON.parse(answer.text)) : 0);
}

function attacker(what, name, { port, tlsPort }, seconds) {
    const child = spawn("nice", ["-n", ATTACKER_NICE, process.execPath, path.join(HERE, "attacks.mjs"), what, name,
        port, seconds, tlsPort], { stdio: ["ignore", "inherit", "inherit"] });
    return new Promise((resolve) => child.once("close", (code) => resolve(code)));
}

function startStrangers(port) {
    const child = spawn(process.execPath, [path.join(HERE, "strangers.mjs"), port], {
        stdio: ["pipe", "pipe", "inherit"],
    });
    const lines = readline.createInterface({ input: child.stdout })[Symbol.asyncIterator]();
    return {
        ready: lines.next(),
        /* What they saw, or nothing if they died. */
        async end() {
            child.stdin.on("error", () => undefined);
            child.stdin.write("end\n");
            const { value } = await lines.next();
            return value && JSON.parse(value);
        },
    };
}

/** Memory that is not judged needs no warming up, and nothing to settle. */
async function warmUp(port) {
    if (sanitized) {
        return;
    }
    for (let n = 0; n < WARM_MIB * 4; n++) {
        await request(port, "POST", "/channels/warm", { body: "w".repeat(256 << 10) });
    }
    await pause(SETTLE_MS);
}

async function memoryAfter(child, port, before) {
    const most = Math.max(before * MEMORY_SHARE, before + MEMORY_SLACK);
    let now = await memory(child, port);
    for (const until = Date.now() + MEMORY_MS; child.alive && now > most && Date.now() < until;) {
        await pause(200);
        now = await memory(child, port);
    }
    return { now, good: now <= most };
}

/** The last result of each attack, as a row. */
const rows = new Map();

function row(attack, stats, seen, peak, after) {
    const figures = [stats.turn_us.max, stats.lock_us.max, stats.mail_us.max].map(ms);
    return `| ${[attack.title, ...figures, mib(peak), mib(after), `${seen.healthz.max} ms`].join(" | ")} |`;
}

const mib = (bytes) => `${(bytes / (1 << 20)).toFixed(1)} MiB`;
const ms = (us) => `${(us / 1000).toFixed(1)} ms`;

function judgeWaits(stats) {
    return ["turn_us", "lock_us", "mail_us"].filter((name) => stats[name].max > WAIT_MAX_MS * 1000)
        .map((name) => `${name} reached ${ms(stats[name].max)}`);
}

function judgeMemory(before, after) {
    return after.good ? [] : [`memory went from ${mib(before)} to ${mib(after.now)} and stayed there`];
}

function judgeStrangers(seen) {
    if (!seen) {
        return ["the strangers died, see above"];
    }
    return ["lost", "twice", "disordered", "unanswered"].filter((name) => seen[name])
        .map((name) => `strangers: ${seen[name]} ${name}`);
}

/** What the server said, without the middle if that is much: a sanitizer's report begins with its cause. */
function output({ text }) {
    const middle = text.length - 2 * OUTPUT_MAX;
    const shown = middle > 0 ? `${text.slice(0, OUTPUT_MAX)}\n[${middle} bytes]\n${text.slice(-OUTPUT_MAX)}` : text;
    return shown ? `the server's own output:\n${shown}` : "the server said nothing";
}

/** How the server ended. `early`: before it was asked to. */
function judgeEnd(child, { code, signal }, early) {
    if (early || code !== 0) {
        const how = signal ? `by ${signal}` : `with exit status ${code}`;
        return [`the server ended ${how}${early ? ", although nobody had asked it to" : ""}; ${output(child)}`];
    }
    return [];
}

/** What was seen of a server that ended early beside its end follows from that, but for what strangers lost. */
function judgeWatched({ error, code, stats, seen, before, after }, early) {
    if (error) {
        return [early ? error.message : error.stack];
    }
    const faults = judgeStrangers(seen);
    if (!early) {
        faults.push(...judgeMemory(before, after));
        if (!stats) {
            faults.push("the server lives and does not answer GET /stats");
        }
        if (code) {
            faults.push("the attack itself saw what must not be, see above");
        }
    }
    return faults;
}

function printFigures(name, attack, { stats, seen, before, peak, after }) {
    if (stats && seen) {
        rows.set(name, row(attack, stats, seen, peak, after.now));
    }
    if (stats) {
        console.log(`    longest turn ${ms(stats.turn_us.max)}, lock ${ms(stats.lock_us.max)}, ` +
            `mail ${ms(stats.mail_us.max)}; memory ${mib(before)}, at most ${mib(peak)}, then ${mib(after.now)}`);
    }
    if (seen) {
        const waits = ["healthz", "publish", "delivery"].map((name) =>
            `${name} p50 ${seen[name].p50} p99 ${seen[name].p99} max ${seen[name].max} ms`);
        console.log(`    strangers: ${waits.join(", ")}, refused ${seen.refused}, cut off ${seen.cut}`);
    }
}

/** Attacks the server with strangers beside, and tells what was seen. */
async function watch(name, server) {
    const { child, port } = server;
    if (await attacker("prepare", name, server, 0)) {
        throw new Error("the attack could not be prepared, see above");
    }
    await warmUp(port);
    const strangers = startStrangers(port);
    await strangers.ready;
    await pause(sanitized ? 0 : SETTLE_MS);
    const before = await memory(child, port);
    let peak = 0;
    const peaks = setInterval(() => (peak = Math.max(peak, anonymous(child))), 50);
    const code = await attacker("attack", name, server, SECONDS);
    const after = sanitized ? { now: 0, good: true } : await memoryAfter(child, port, before);
    clearInterval(peaks);
    const seen = await strangers.end();
    const answer = await get(port, "/stats");
    const stats = answer.status === 200 ? JSON.parse(answer.text) : undefined;
    return { code, stats, seen, before, peak, after };
}

/** "held", "late" (for time alone), or "failed". */
async function runIn(dir, name) {
    const attack = attacks[name];
    const server = await startServer(dir, attack);
    const { child } = server;
    const watched = await watch(name, server).catch((error) => ({ error }));
    const early = !child.alive;
    child.kill("SIGTERM");
    const end = await child.ended;
    const faults = [...judgeEnd(child, end, early), ...judgeWatched(watched, early)];
    const waits = watched.stats && !sanitized ? judgeWaits(watched.stats) : [];
    const result = faults.length ? "failed" : waits.length ? "late" : "held";
    console.log(`${result}  ${name}: ${attack.title}`);
    printFigures(name, attack, watched);
    [...faults, ...waits].forEach((fault) => console.log(`    ${fault}`));
    return result;
}

async function run(name) {
    const dir = fs.mkdtempSync(path.join(os.tmpdir(), "freshet-hostile-"));
    try {
        return await runIn(dir, name);
    } catch (error) { /* a server that does not start, for example */
        console.log(`failed  ${name}: ${error.stack}`);
        return "failed";
    } finally {
        fs.rmSync(dir, { recursive: true, force: true });
    }
}

async function holds(name) {
    for (let n = 0; n < RUNS_MAX; n++) {
        const result = await run(name);
        if (result !== "late") {
            return result === "held";
        }
    }
    return false;
}

execFileSync("nice", ["--version"]);
let passed = 0, failed = 0;
for (const name of names.length ? names : Object.keys(attacks)) {
    if (await holds(name)) {
        passed++;
    } else {
        failed++;
    }
}
if (process.argv.includes("--table")) {
    console.log([...rows.values()].join("\n"));
}
console.log(`${passed} passed, ${failed} failed`);
process.exit(failed ? 1 : 0);
