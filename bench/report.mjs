// The table, for the terminal and for docs/benchmarks.md.

import fs from "node:fs";
import path from "node:path";
import { ROOT } from "./servers.mjs";

function number(value) {
    if (!Number.isFinite(value)) {
        return "-";
    }
    const size = Math.abs(value);
    return size >= 1000 ? Math.round(value).toLocaleString("en-US")
        : size >= 100 ? value.toFixed(0) : size >= 10 ? value.toFixed(1) : value.toFixed(2);
}

function told(figure) {
    if (figure.failed) {
        return `does not count: ${figure.failed}`;
    }
    const { median, least, most } = figure;
    return least === most ? number(median) : `${number(median)} (${number(least)}–${number(most)})`;
}

const verdict = (result) => result.met ? "met" : "not met";
const factor = (result) => Number.isFinite(result.ratio) ? result.ratio.toFixed(2) : "";

export function text(result) {
    const lines = Object.entries(result.figures).map(([name, figure]) =>
        `    ${name.padEnd(24)} ${told(figure)} ${figure.failed ? "" : result.unit}`);
    return `${result.title}\n${lines.join("\n")}\n    ${verdict(result)}: ${result.aim}` +
        `${factor(result) && `; ratio ${factor(result)}`}\n`;
}

function line(result) {
    const [[which, ours], ...others] = Object.entries(result.figures);
    const how = which.replace(/^freshet ?/, "");
    const rest = others.map(([name, figure]) => `${name} ${told(figure)}`).join("; ");
    return `| ${result.title} | ${how && `${how}: `}${told(ours)} ${result.unit} | ${rest} | ${factor(result)} | ` +
        `${result.aim} | ${verdict(result)} |`;
}

const intro = `# Benchmarks

Written by \`make bench\`; do not edit. The program that makes the load is \`freshet bench\`, which
measures any installation in the same way.

## How to read it

Absolute figures are of the machine below and of that day; what counts is the ratio between servers,
which took turns within one run. The server is pinned to one core and the load generator to the
other. Each figure is a median, with the least and the most behind it. Events have 100 bytes unless
the row says otherwise. Every subscriber checks that it gets every event of its channels once and in
order: a figure of a run in which one did not *does not count*.

*bare send* and *bare io_uring* are [a loop](../bench/bare.c) that does nothing but send each event to
each subscriber: nothing that sends each event for itself can be cheaper on ordinary TCP sockets.
*empty loop* is [one](../bench/empty_http.c) that reads requests and answers them. CPU is what all
processes of a server spent, user and system, by the scheduler's account. The ratio is between the
first figure and the one that the aim names, else the nearest peer.

pushpin spends so much on a delivery that at 100 events/s its queue would only grow; it is measured
at the rate that it bears. It acknowledges a publish before it delivers it. nchan, and freshet
where nothing else is said, keep events in memory; "durable" is on disk, synchronised, before it is
acknowledged. The fsync beside it is asked for as often as the load asks for one. A memory that is
"of server and kernel" is what the server's processes have written to, and the growth of the
kernel's socket buffers and slabs of the whole machine.
`;

export function markdown(results, circumstances, given) {
    const about = circumstances.map(([name, value]) => `| ${name} | ${value} |`).join("\n");
    return `${intro}
## The table

${given.repeat === 1 ? "One run each." : `Medians of ${given.repeat}.`} A server that lost something, or
did not come to an end, was not tried again in that row.

| what | freshet | beside it | ratio | aim | |
| --- | --- | --- | --- | --- | --- |
${results.map(line).join("\n")}

## Growth

Each of the above at a sixteenth, a quarter and all of its size.

![growth](growth.png)

## Machine, versions, settings

| | |
| --- | --- |
${about}

Settings are in [bench/servers.mjs](../bench/servers.mjs), loads in [bench/rows.mjs](../bench/rows.mjs):
freshet with one worker (\`--threads 1\`); nginx with one worker process, enough connections, no access
log and 4 GiB of shared memory for nchan; pushpin with \`message_rate\` and \`message_hwm\` at
10,000,000 and log level 0, its streams held by its own test target.
`;
}

/** In docs when everything was measured, else where nobody takes it for that. */
export function write(content, whole) {
    const file = path.join(ROOT, whole ? "docs/benchmarks.md" : "build/bench/benchmarks.md");
    fs.writeFileSync(file, content);
    console.log(`written: ${path.relative(process.cwd(), file)}`);
}
