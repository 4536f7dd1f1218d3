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

/** `repeat`: how many runs are not worth a word. */
function told(figure, repeat) {
    if (figure.failed) {
        return `does not count: ${figure.failed}`;
    }
    const { median, least, most, count } = figure;
    const fewer = count < repeat ? `; ${count} runs` : "";
    return least === most ? number(median)
        : `${number(median)} (${number(least)}–${number(most)}${fewer})`;
}

const verdict = (result) => result.met ? "met" : "not met";
const factor = (result) => Number.isFinite(result.ratio) ? result.ratio.toFixed(2) : "";

export function text(result, { repeat }) {
    const lines = Object.entries(result.figures).map(([name, figure]) =>
        `    ${name.padEnd(24)} ${told(figure, repeat)} ${figure.failed ? "" : result.unit}`);
    return `${result.title}\n${lines.join("\n")}\n    ${verdict(result)}: ${result.aim}` +
        `${factor(result) && `; ratio ${factor(result)}`}\n`;
}

function line(result, repeat) {
    const [[, ours], ...others] = Object.entries(result.figures);
    const rest = others.map(([name, figure]) => `${name} ${told(figure, repeat)}`).join("; ");
    return `| ${result.title} | ${told(ours, repeat)} ${ours.failed ? "" : result.unit} | ${rest} | ${factor(result)} | ` +
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
*empty loop* is [one](../bench/empty_http.c) that reads requests and answers them, and *bare, TLS* is
[one](../bench/bare_tls.c) that seals each event for each subscriber and sends all by one submission. CPU is what all
processes of a server spent, user and system, by the scheduler's account. The ratio is between the
first figure and the one that the aim names, else the nearest peer.

pushpin spends so much on a delivery that at 100 events/s its queue would only grow; it is measured
at the rate that it bears, 4 events/s, and 20/s where latency is. What is published within about 20 ms
of a channel's first event it loses: instead of flat out it is measured one event at a time, each as
soon as all have the one before. It acknowledges a publish before it delivers it. nchan and freshet in
memory keep events as long as the process lives; "durable" is on disk, synchronised, before it is
acknowledged.

What failed once is not tried again. A peer whose run takes more than 20 seconds is measured three
times, which is said beside its figure.

What a subscriber of a hundred channels costs is measured at a rate at which nothing waits, so that
no two events are sent together, and with so many of them that nine deliveries in ten are theirs. It
is held against as many deliveries of as many events to subscribers of one channel that is as busy.

A thousand who poll a channel with 100 events/s are answered and ask again 100,000 times a second, which
is nearly all the kernel's work. nchan, whose core is full with it, may answer with all that it has
(\`nchan_longpoll_multipart_response\`): its answers come later and hold several events, which makes
its deliveries cheaper; one event an answer, as is its default, it falls behind by a second.
freshet's answers to one connection come up to 25 ms apart while its worker is busy for a quarter of
its time or more; *unpaced* has \`poll_pace_ms: 0\`: each is sent as soon as there is something.

The sleepers' row is judged with the log on disk, as anyone has it who does not say \`--memory\`:
100 MB of events in memory are memory of the server, sleepers or not, and are told beside it. The
kernel's part is what TCP holds in buffers and what its slabs grew by, without the cache of files;
both are of the whole machine, the sleepers' own ends of the connections included.

The memory of channels is measured with a log that has room for all of them (\`log.bytes_max: 8GiB\`):
within its default bound a log in memory drops events for channels, and holds as much either way.

Those who reconnect are opened 64 at a time and read with what the load generator has left over from
the others: how long ten thousand streams waited for it would else stand in the others' latency.

Latency on an idle server is of 1,200 events a run, 5 ms apart. The load generator spins meanwhile
instead of sleeping, so that its own waking up is not in it; what else may keep it from its core shows
beside *bare send* too. *freshet, spinning* has \`spin_us: 10000\`: its worker does not sleep between
events either. The disk's fsync beside the durable one is asked for as often as well: a disk that is
asked without a pause answers in half the time.
`;

function growth(pictures) {
    const failures = pictures.flatMap((picture) => picture.failures)
        .map((failure) => `\n- does not count: ${failure}`).join("");
    return pictures.length ? `
## Growth

Each of the above at a sixteenth, a quarter and all of a size; medians of up to three runs. The dashed
line is what freshet's would be if it were straight: flat where nothing ought to depend on the size,
through both ends where it ought to be so much for each.

![growth](growth.png)
${failures}
` : "";
}

export function markdown(results, pictures, { circumstances, begun }, given) {
    const about = circumstances.map(([name, value]) => `| ${name} | ${value} |`).join("\n");
    return `${intro}
## The table

${given.repeat === 1 ? "One run each." : `Medians of ${given.repeat}.`}

| what | freshet | beside it | ratio | aim | |
| --- | --- | --- | --- | --- | --- |
${results.map((result) => line(result, given.repeat)).join("\n")}
${growth(pictures)}
## Machine, versions, settings

| | |
| --- | --- |
| begun | ${begun} |
${about}

Settings are in [bench/servers.mjs](../bench/servers.mjs), loads in [bench/rows.mjs](../bench/rows.mjs):
freshet with one worker (\`--threads 1\`) and no other settings but those named; nginx with one worker process, enough connections, no access
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
