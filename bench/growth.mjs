// Growth: every row at a sixteenth, a quarter and all of its size, drawn by gnuplot.

import fs from "node:fs";
import path from "node:path";
import { execFileSync } from "node:child_process";
import { begin, done, progress } from "./progress.mjs";
import { ROOT } from "./servers.mjs";
import { rows } from "./rows.mjs";

const PARTS = [1 / 16, 1 / 4, 1];
const REPEAT_MOST = 3;

/** The median of some runs; NaN and why when one of them does not count. */
async function point(measuring, server, grow, n, given) {
    const values = [];
    const load = grow.load(n);
    const timed = load.includes("--events") || load.includes("--waves");
    for (let i = 0; i < Math.min(given.repeat, REPEAT_MOST); i++) {
        try {
            values.push(grow.value(await measuring(i).run(server,
                timed ? load : `${load} --seconds ${given.quick ? 1 : 3}`)));
        } catch (error) {
            return { value: NaN, failed: error.message };
        }
    }
    return { value: values.sort((a, b) => a - b)[Math.floor(values.length / 2)] };
}

async function picture(name, measuringOf, given) {
    const grow = rows[name].grow;
    const lines = {}, failures = [];
    for (const part of PARTS) {
        const n = Math.max(1, Math.round(grow.n * part));
        for (const server of grow.servers) {
            progress(`${n} ${grow.axis}, ${server}`);
            const measuring = (i) => measuringOf(`growth of ${name} ${i + 1}`);
            const { value, failed } = await point(measuring, server, grow, n, given);
            (lines[server] ??= []).push([n, value]);
            if (failed) {
                failures.push(`${grow.title}, ${server}, ${n}: ${failed}`);
            }
        }
    }
    return { ...grow, lines, failures };
}

/** [{ title, axis, unit, shape, lines: { server: [[x, y]…] }, failures }] */
export async function growthOf(names, measuringOf, given) {
    const pictures = [];
    const drawn = names.filter((name) => rows[name].grow);
    for (const [i, name] of drawn.entries()) {
        begin(`picture ${i + 1} of ${drawn.length}, ${name}:`);
        pictures.push(await picture(name, measuringOf, given));
    }
    done();
    return pictures;
}

/* ---- drawing ---------------------------------------------------------------------------------- */

const COLOURS = ["#1f4e9e", "#c8641e", "#2f8f4e"];
const COLUMNS = 3;

const quoted = (words) => `"${words.replaceAll('"', "")}"`;
const data = (points) => points.map((point) => point.join(" ")).join("\n");

/** What the first line would be if it were straight: through its ends, or at its mean. */
function straight({ shape, lines }) {
    const points = Object.values(lines)[0].filter(([, y]) => Number.isFinite(y));
    if (points.length < 2) {
        return [];
    }
    const mean = points.reduce((sum, [, y]) => sum + y, 0) / points.length;
    return shape === "flat" ? points.map(([x]) => [x, mean]) : [points[0], points.at(-1)];
}

function shortened(n) {
    return n >= 1e6 ? `${n / 1e6}M` : n >= 10000 ? `${Math.round(n / 100) / 10}k` : `${n}`;
}

/* Ticks where the points are; room above for the names of the lines. */
function drawn(it, i) {
    const points = Object.values(it.lines);
    const xs = points[0].map(([x]) => x);
    const top = Math.max(...points.flat().map(([, y]) => y).filter(Number.isFinite), 0);
    const line = straight(it);
    const blocks = [...points, line].map((block, j) =>
        `$d${i}_${j} << EOD\n${data(block) || "NaN NaN"}\nEOD`).join("\n");
    const plots = [
        `$d${i}_${points.length} using 1:2 with lines lw 1.5 dt 2 lc rgb "#999999" title "straight"`,
        ...Object.keys(it.lines).map((server, j) => `$d${i}_${j} using 1:2 with linespoints lw 2 ` +
            `pt 7 ps 0.9 lc rgb "${COLOURS[j]}" title ${quoted(server)}`)].join(", ");
    return `${blocks}
set title ${quoted(it.title)}
set xlabel ${quoted(it.axis)}
set ylabel ${quoted(it.unit)}
set xrange [0:${xs.at(-1) * 1.05}]
set yrange [0:${top > 0 ? top * 1.5 : 1}]
set xtics (${xs.map((x) => `${quoted(shortened(x))} ${x}`).join(", ")})
plot ${plots}`;
}

function script(pictures, file) {
    const height = Math.ceil(pictures.length / COLUMNS);
    return `set terminal pngcairo noenhanced font "sans,10" size ${COLUMNS * 480},${height * 340}
set output "${file}"
set multiplot layout ${height},${COLUMNS}
set key top left Left reverse samplen 2 spacing 1.1
set border 3
set grid ytics lt 1 lw 1 lc rgb "#e0e0e0"
set tics nomirror
set datafile missing "NaN"
${pictures.map(drawn).join("\n")}
unset multiplot
`;
}

export async function plot(pictures, whole) {
    const file = path.join(ROOT, whole ? "docs/growth.png" : "build/bench/growth.png");
    const commands = path.join(ROOT, "build/bench/growth.gp");
    fs.writeFileSync(commands, script(pictures, file));
    execFileSync("gnuplot", [commands], { stdio: "inherit" });
    console.log(`written: ${path.relative(process.cwd(), file)}`);
}
