// Growth: every row at a sixteenth, a quarter and all of its size, drawn by gnuplot.

import fs from "node:fs";
import path from "node:path";
import { execFileSync } from "node:child_process";
import { ROOT } from "./servers.mjs";
import { rows } from "./rows.mjs";

const started = Date.now();

/** A line that the next one takes the place of; nothing when nobody watches. */
export function progress(line) {
    const minutes = Math.round((Date.now() - started) / 60000);
    if (process.stderr.isTTY) {
        process.stderr.write(`\r\x1b[K${line && `${minutes} min  ${line}`}`);
    }
}

const PARTS = [1 / 16, 1 / 4, 1];

async function point(measure, server, grow, n, repeat, time) {
    const values = [];
    for (let i = 0; i < Math.min(repeat, 3); i++) {
        const load = grow.load(n);
        const timed = load.includes("--events") || load.includes("--waves");
        try {
            values.push(grow.value(await measure(server,
                timed ? load : `${load} --seconds ${time.seconds}`)));
        } catch {
            return NaN; // a run that lost an event does not count
        }
    }
    return values.sort((a, b) => a - b)[Math.floor(values.length / 2)];
}

/** { title, axis, unit, lines: { server: [[x, y]…] } } */
export async function growthOf(name, measure, repeat, time) {
    const grow = rows[name].grow;
    const lines = {};
    for (const part of PARTS) {
        const n = Math.max(1, Math.round(grow.n * part));
        for (const server of grow.servers) {
            progress(`growth of ${name}: ${n} ${grow.axis}, ${server}`);
            const value = await point(measure, server, grow, n, repeat, time);
            (lines[server] ??= []).push([n, value]);
        }
    }
    progress("");
    return { title: name, axis: grow.axis, unit: grow.unit, lines };
}

function script(pictures, file) {
    const columns = 3;
    const height = Math.ceil(pictures.length / columns);
    const quoted = (words) => `"${words.replaceAll('"', "")}"`;
    const drawn = pictures.map(({ title, axis, unit, lines }, i) => {
        const row = (point) => point.map((value) => value ?? "NaN").join(" ");
        const data = Object.values(lines).map((points, j) =>
            `$d${i}_${j} << EOD\n${points.map(row).join("\n")}\nEOD`).join("\n");
        const plots = Object.keys(lines).map((server, j) =>
            `$d${i}_${j} using 1:2 with linespoints lw 2 title ${quoted(server)}`).join(", ");
        return `${data}\nset title ${quoted(title)}\nset xlabel ${quoted(axis)}\n` +
            `set ylabel ${quoted(unit)}\nplot ${plots}`;
    }).join("\n");
    return `set terminal pngcairo noenhanced size ${columns * 480},${height * 340}\nset output "${file}"
set multiplot layout ${height},${columns}\nset yrange [0:*]\nset xrange [0:*]\nset key bottom right
set grid\nset format x "%.0s%c"\nset xtics nomirror autofreq\nset datafile missing "NaN"
${drawn}\nunset multiplot\n`;
}

export function plot(pictures, whole) {
    const file = path.join(ROOT, whole ? "docs/growth.png" : "build/bench/growth.png");
    const commands = path.join(ROOT, "build/bench/growth.gp");
    fs.writeFileSync(commands, script(pictures, file));
    execFileSync("gnuplot", [commands], { stdio: "inherit" });
    console.log(`written: ${path.relative(process.cwd(), file)}`);
}
