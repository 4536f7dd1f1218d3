// The rows of the table: what load each is, what is read from its result, and what it ought to be.
//
// A row has cases, each a line of the table. A case measures several servers, one after the other in
// every repetition: { server: { load, value } }, or a function for what is not one run of the load
// generator. `aim` is a sentence for the reader and `met`, given the medians by server, says whether.

import fs from "node:fs";
import path from "node:path";
import { cpuOfHandshakes } from "./handshakes.mjs";
import { presenceCost } from "./presence.mjs";
import { returns } from "./returns.mjs";
import { DISK, folder } from "./servers.mjs";

const perDelivery = (r) => r.cpu_us_per_delivery;
const perPublish = (r) => r.cpu_us_per_publish;
const wave = (r) => r.wave_us / 1000;
const perSubscriber = (r) => (r.opened.data_bytes - r.empty.data_bytes) / r.subscribers;

/* Up to here an event is out before the next one comes; later, events that wait for each other are
 * sent together, which makes each of them cheaper. */
const PROMPT_MS = 10;

function prompt(servers, load) {
    return {
        title: "the same, p50 of latency",
        unit: "ms",
        figures: on(servers, load, (r) => r.latency_us.p50 / 1000),
        aim: `< ${PROMPT_MS} ms, else events are sent together and the line above is too low`,
        met: (m) => m.freshet < PROMPT_MS,
    };
}

/** The same load on several servers. */
function on(servers, load, value, own = {}) {
    return Object.fromEntries(servers.map((name) => [name, { load: own[name] ?? load, value }]));
}

const ratio = (a, b) => (medians) => medians[a] / medians[b];
const atMost = (factor, a, b) => ({ ratio: ratio(a, b), met: (m) => m[a] <= factor * m[b] });
const atLeast = (factor, a, b) => ({ ratio: ratio(a, b), met: (m) => m[a] >= factor * m[b] });

/* pushpin needs 50 to 130 µs a delivery, starts to deliver a second after the first subscription,
 * takes connections a few at a time, and loses what is published within about 20 ms of the first event
 * of a channel. */
const gently = "--settle 3000 --opening 50 --in-flight 1 --warm-up 3000 --patience 60";

/* As many subscribers as 20,000 descriptors leave room for, beside those for webhooks and files. */
export const MOST = 18900;

function cpu(n, t) {
    const load = (via) => `--via ${via} --subscribers ${n} --rate 100 --seconds ${t.seconds}`;
    const pushpin = (via) => `${load(via)} ${gently}`.replace("--rate 100", "--rate 4");
    return ["sse", "ws"].flatMap((via) => [{
        title: `CPU per delivery, ${via === "sse" ? "SSE" : "WebSocket"}, ` +
            `${n} subscribers, 100 events/s`,
        unit: "µs",
        figures: on(["freshet", "bare send", "bare io_uring", "nchan", "pushpin"], load(via),
            perDelivery, { pushpin: pushpin(via) }),
        aim: "≤ 1.15 × bare io_uring",
        ...atMost(1.15, "freshet", "bare io_uring"),
    }, prompt(["freshet", "bare send", "bare io_uring", "nchan"], load(via))]);
}

function flood(n, t) {
    const load = `--subscribers ${n} --flat-out --in-flight 64 --seconds ${t.seconds}`;
    return [{
        title: `deliveries/s, ${n} subscribers, 64 publishes in flight`,
        unit: "/s",
        more: true,
        figures: on(["freshet", "bare send", "bare io_uring", "nchan", "pushpin"], load,
            (r) => r.deliveries_per_s,
            { pushpin: `--subscribers ${n} --waves ${t.quick ? 50 : 200} ${gently}` }),
        aim: "≥ 2,000,000",
        ratio: ratio("freshet", "bare send"),
        met: (m) => m.freshet >= 2e6,
    }];
}

function one(n, t) {
    const load = `--subscribers ${n} --waves ${t.quick ? 5 : 20}`;
    return [{
        title: `one event to ${n} subscribers, until the last has it`,
        unit: "ms",
        figures: on(["freshet", "freshet 2 workers", "bare send", "bare io_uring", "nchan",
            ...t.quick ? [] : ["pushpin"]], load, wave,
            { pushpin: `--subscribers ${n} --waves 3 ${gently}` }),
        aim: "≤ 1.15 × bare io_uring; two workers faster again",
        ratio: ratio("freshet", "bare io_uring"),
        met: (m) => m.freshet <= 1.15 * m["bare io_uring"] &&
            m["freshet 2 workers"] < m.freshet,
    }, {
        title: "the same, CPU per delivery",
        unit: "µs",
        figures: on(["freshet", "freshet 2 workers", "bare send", "bare io_uring", "nchan"], load,
            perDelivery),
        aim: "≤ 1.15 × bare io_uring",
        ...atMost(1.15, "freshet", "bare io_uring"),
    }];
}

/* Streams that share connections of HTTP/2, beside connections of HTTP/1.1 for each. */
function http2(n, t) {
    const load = `--via sse --subscribers ${n} --rate 100 --seconds ${t.seconds}`;
    const names = ["freshet, HTTP/2", "freshet"];
    const pair = (streams) => ({
        [names[0]]: { server: "freshet", load: `${load} --streams ${streams}`, value: perDelivery },
        [names[1]]: { load, value: perDelivery },
    });
    const title = (how) => `CPU per delivery, SSE, ${n} subscribers, 100 events/s, ${how}`;
    return [
        { title: title("100 streams an HTTP/2 connection"), unit: "µs", figures: pair(100),
            aim: "≤ 0.3 × HTTP/1.1", ...atMost(0.3, ...names) },
        { title: title("a stream an HTTP/2 connection"), unit: "µs", figures: pair(1),
            aim: "≤ 1.1 × HTTP/1.1", ...atMost(1.1, ...names) },
        { title: `memory per idle subscriber, SSE, ${MOST}, 100 streams an HTTP/2 connection`,
            unit: "B", figures: { freshet: { value: perSubscriber,
                load: `--via sse --subscribers ${MOST} --waves 1 --streams 100` } },
            aim: "≤ 1024 B, nghttp2's included", met: (m) => m.freshet <= 1024 },
    ];
}

/* Memory of a connection that is OpenSSL's: what the bare loop has for each beside its own few bytes. */
function tls(n, t) {
    const load = `--via sse --subscribers ${n} --rate 80 --seconds ${t.seconds}`;
    const servers = ["freshet, TLS", "bare, TLS", "freshet"];
    return [{
        title: `CPU per delivery over TLS, SSE, ${n} subscribers, 80 events/s`,
        unit: "µs",
        figures: on(servers, load, perDelivery),
        aim: "≤ 1.1 × the bare loop over TLS",
        ...atMost(1.1, "freshet, TLS", "bare, TLS"),
    }, {
        title: "the same, p50 of latency",
        unit: "ms",
        figures: on(servers, load, (r) => r.latency_us.p50 / 1000),
        aim: `< ${PROMPT_MS} ms, else events are sent together and the line above is too low`,
        met: (m) => m["freshet, TLS"] < PROMPT_MS,
    }, {
        title: "the same, 640 events/s in batches of 8, each of which is one record",
        unit: "µs",
        figures: on(["freshet, TLS", "freshet"], `${load.replace("--rate 80", "--rate 640")} --batch 8 --size 84`, perDelivery),
        aim: "≤ 2 × without TLS",
        ...atMost(2, "freshet, TLS", "freshet"),
    }, {
        title: `memory per idle subscriber over TLS, SSE, ${4 * n} of them`,
        unit: "B",
        figures: on(["freshet, TLS", "bare, TLS"], `--via sse --subscribers ${4 * n} --opening 16 --waves 1`, perSubscriber),
        aim: "≤ 2,048 B beside OpenSSL's own",
        ratio: ratio("freshet, TLS", "bare, TLS"),
        met: (m) => m["freshet, TLS"] <= m["bare, TLS"] + 2048,
    }];
}

/* CPU, since a lone client cannot keep a server busy. Each handshake brings a small request, at both. */
function handshakes(n, t) {
    const kinds = [["TLS", "ECDSA P-256"], ["RSA", "RSA 2048"]];
    return kinds.flatMap(([kind, key]) => ["full", "resumed"].map((how) => {
        const names = [`freshet, ${kind}`, `nginx, ${kind}`];
        const figure = (server) => (_measure, take) =>
            take(`handshakes ${server} ${how}`, () => cpuOfHandshakes(server, how === "resumed", t.quick ? 2 : 6));
        return {
            title: `CPU per handshake, ${how}, ${key}, with a request`,
            unit: "µs",
            figures: Object.fromEntries(names.map((name) => [name, figure(name)])),
            aim: "≤ 1.1 × nginx",
            ...atMost(1.1, ...names),
        };
    }));
}

function idle(n, t) {
    return ["sse", "ws"].map((via) => ({
        title: `memory per idle subscriber, ${via === "sse" ? "SSE" : "WebSocket"}, ${n} of them`,
        unit: "B",
        figures: on(["freshet", "nchan", ...n <= 1000 ? ["pushpin"] : []],
            `--via ${via} --subscribers ${n} --waves 1`, perSubscriber,
            { pushpin: `--via ${via} --subscribers ${n} --waves 1 ${gently}` }),
        aim: "≤ 512 B, flat",
        ratio: ratio("freshet", "nchan"),
        met: (m) => m.freshet <= 512,
    }));
}

/* A view, a selection and a channel's entry for each, as with user/N/inbox. */
function ownChannel(n) {
    return [{
        title: `memory per idle subscriber of a channel of its own, SSE, ${n} of them`,
        unit: "B",
        figures: on(["freshet", "nchan"], `--channels ${n} --subscribers ${n} --waves 1`,
            perSubscriber),
        aim: "≤ 1,024 B",
        ratio: ratio("freshet", "nchan"),
        met: (m) => m.freshet <= 1024,
    }];
}

/* As many events on few channels and on many: what is more is the channels, if the log has room for
 * both: what a log in memory holds is bounded, channels included. */
function channels(n) {
    const load = (many) => `--subscribers 0 --publishers 4 --in-flight 64 --flat-out ` +
        `--channels ${many} --events ${n} --patience 60`;
    const figure = (server) => async (measure) => {
        const few = await measure(server, load(100));
        const many = await measure(server, load(n));
        return (many.end.data_bytes - few.end.data_bytes) / (n - 100);
    };
    return [{
        title: `memory per idle channel, ${n} of them`,
        unit: "B",
        figures: { "freshet": figure("freshet, roomy"), "nchan": figure("nchan") },
        aim: "≤ 200 B",
        ratio: ratio("freshet", "nchan"),
        met: (m) => m.freshet > 0 && m.freshet <= 200,
    }];
}

/* One subscriber to a hundred channels at both ends, so that an event costs the same deliveries. */
function distinct(n, t) {
    const load = (many) => `--prime --random --channels ${many} --subscribers ${many / 100} ` +
        `--rate 20000 --seconds ${t.seconds} --in-flight 256 --patience 60`;
    const figure = (many) => async (measure) => perPublish(await measure("freshet", load(many)));
    return [{
        title: `CPU per event, random ones of ${n} channels`,
        unit: "µs",
        figures: { "freshet": figure(n), "freshet, 1,000 channels": figure(1000) },
        aim: "≤ 1.15 × 1,000 channels",
        ...atMost(1.15, "freshet", "freshet, 1,000 channels"),
    }];
}

function patterns(n, t) {
    const load = (kind) => `--matching ${kind} --subscribers ${n} --rate 1000 ` +
        `--channels ${Math.ceil(n / 55) * 10} --random --seconds ${t.seconds}`;
    const figure = (kind) => async (measure) => perPublish(await measure("freshet", load(kind)));
    return [{
        title: `CPU per event, ${n} patterns, one to ten match`,
        unit: "µs",
        figures: { "freshet": figure("patterns"), "freshet, names": figure("names") },
        aim: "≤ 2 × exact names",
        ...atMost(2, "freshet", "freshet, names"),
    }];
}

const publishLoad = (many, inFlight, t) => `--subscribers 0 --publishers 64 --flat-out ` +
    `--channels ${many} --in-flight ${inFlight}${t ? ` --seconds ${t.seconds}` : ""}`;
const publishesOf = (r) => r.publishes_per_s;

function publishes(n, t) {
    return [{
        title: "acknowledged publishes/s, 64 publishers, 16 in flight, 1,000 channels",
        unit: "/s",
        more: true,
        figures: on(["freshet", "freshet durable", "empty loop", "nchan"],
            publishLoad(1000, 16, t), publishesOf),
        aim: "≥ 1,000,000; durable ≥ 400,000",
        ratio: ratio("freshet", "empty loop"),
        met: (m) => m.freshet >= 1e6 && m["freshet durable"] >= 4e5,
    }, {
        title: "events/s in batches of 100 events of 130 bytes, 64 publishers, 4 requests in flight",
        unit: "/s",
        more: true,
        figures: on(["freshet", "freshet durable"],
            `${publishLoad(1000, 4, t)} --batch 100 --size 84`, publishesOf),
        aim: "≥ 2,000,000; durable ≥ 800,000",
        met: (m) => m.freshet >= 2e6 && m["freshet durable"] >= 8e5,
    }, {
        title: "the server's CPU per publish, 64 publishers, 16 in flight",
        unit: "µs",
        figures: on(["freshet", "freshet durable", "empty loop"],
            publishLoad(1000, 16, t), perPublish),
        aim: "≤ 1; durable ≤ 2.5",
        ratio: ratio("freshet", "empty loop"),
        met: (m) => m.freshet <= 1 && m["freshet durable"] <= 2.5,
    }, {
        title: "the server's CPU per event in batches of 100",
        unit: "µs",
        figures: on(["freshet", "freshet durable"],
            `${publishLoad(1000, 4, t)} --batch 100 --size 84`, perPublish),
        aim: "≤ 0.5; durable ≤ 1.25",
        met: (m) => m.freshet <= 0.5 && m["freshet durable"] <= 1.25,
    }, {
        title: "a lone publish until its receipt, p99",
        unit: "ms",
        figures: on(["freshet", "freshet durable"],
            `--spin --subscribers 0 --rate 200 --seconds ${t.quick ? 1 : 6}`,
            (r) => r.ack_us.p99 / 1000),
        aim: "≤ 1 ms in memory",
        met: (m) => m.freshet <= 1,
    }, {
        title: "the same, 1 in flight",
        unit: "/s",
        more: true,
        figures: on(["freshet", "freshet durable", "empty loop", "nchan"],
            publishLoad(1000, 1, t), publishesOf),
        aim: "≥ 0.6 × the empty loop",
        ...atLeast(0.6, "freshet", "empty loop"),
    }];
}

function publishesOver(n, t) {
    const one = (server, many) => async (measure) =>
        publishesOf(await measure(server, publishLoad(many, 16, t)));
    return [["freshet", "in memory"], ["freshet durable", "durable"]].map(([server, how]) => ({
        title: `publishes/s over ${n} channels, ${how}`,
        unit: "/s",
        more: true,
        figures: { [server]: one(server, n), [`${server}, 1,000 channels`]: one(server, 1000) },
        aim: "≥ 0.8 × 1,000 channels",
        ...atLeast(0.8, server, `${server}, 1,000 channels`),
    }));
}

const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/* The disk's own: a page appended and synchronised, in milliseconds. In every repetition it comes
 * right after the durable server, on the same disk and as often as the load asks for one, since a
 * disk, like a core, is faster when it is asked without a pause. */
async function fsync() {
    const dir = folder(DISK);
    const file = fs.openSync(path.join(dir, "probe"), "w");
    const page = Buffer.alloc(4096, "x");
    const times = [];
    for (let i = 0; i < 400; i++) {
        await sleep(5);
        const before = process.hrtime.bigint();
        fs.writeSync(file, page);
        fs.fdatasyncSync(file);
        times.push(Number(process.hrtime.bigint() - before) / 1e6);
    }
    fs.closeSync(file);
    fs.rmSync(dir, { recursive: true });
    return times.sort((a, b) => a - b)[times.length / 2];
}

function latency(n, t) {
    /* A p99 wants a thousand events and more; 5 ms apart they still find the server idle. */
    const load = `--spin --subscribers 1 --rate 200 --seconds ${t.quick ? 1 : 6}`;
    const slowly = `${load} ${gently}`.replace("--rate 200", "--rate 20");
    const at = (quantile) => (r) => r.latency_us[quantile] / 1000;
    return [{
        title: "publish to delivery on an idle server, p50",
        unit: "ms",
        figures: on(["freshet", "freshet, spinning", "bare send", "nchan", "pushpin"], load, at("p50"),
            { pushpin: slowly }),
        aim: "≤ 0.150 ms",
        ratio: ratio("freshet", "bare send"),
        met: (m) => m.freshet <= 0.15,
    }, {
        title: "the same, p99",
        unit: "ms",
        figures: on(["freshet", "freshet, spinning", "bare send", "nchan", "pushpin"], load, at("p99"),
            { pushpin: slowly }),
        aim: "≤ 1 ms",
        ratio: ratio("freshet", "bare send"),
        met: (m) => m.freshet <= 1,
    }, {
        title: "the same, durable, p50",
        unit: "ms",
        figures: { ...on(["freshet durable"], load, at("p50")), "the disk's fsync": (_measure, take) => take("fsync", fsync) },
        aim: "≤ 2 × the disk's fsync",
        ...atMost(2, "freshet durable", "the disk's fsync"),
    }];
}

/* Among n subscribers of one channel, a hundred that have all hundred channels: of the deliveries of
 * an event nine in ten are theirs. Beside it, as many deliveries of as many events to subscribers of
 * one channel. All have that same channel, since a connection that is used all the time is cheaper
 * to send to than one that is used now and then, and those of the hundred are. */
function wide(n, t) {
    const MANY = 100;
    const common = `--rate 200 --seconds ${t.seconds}`;
    const each = n / MANY + MANY;
    const single = `freshet, ${each} of one`;
    return [["wide", "100 channels by name"], ["pattern", "one pattern over 100 channels"]].map(
        ([kind, title]) => ({
            title: `CPU per delivery, ${MANY} subscribers of ${title} among ${n} of one channel, ` +
                "beside as many deliveries on one channel alone; order checked",
            unit: "µs",
            figures: {
                "freshet": { value: perDelivery,
                    load: `${common} --channels 100 --subscribers ${n} --${kind} ${MANY}` },
                [single]: { server: "freshet", value: perDelivery,
                    load: `${common} --channels 1 --subscribers ${each}` } },
            aim: "≤ 1.5 × of one channel",
            ...atMost(1.5, "freshet", single),
        }));
}

const sleepersMemory = (r) =>
    (r.end.data_bytes + r.end.kernel_bytes - r.empty.kernel_bytes) / 2 ** 20;

/* Judged with the log on disk, as a server is run that keeps 100 MB: in memory they are its own. */
function sleepers(n, t) {
    const load = `--sleepers ${n} --subscribers 50 --size 1000 --rate 10000 --in-flight 64 ` +
        `--events ${t.quick ? 20000 : 100000} --patience 60`;
    const figures = (value) => ({
        "freshet": { server: "freshet durable", load, value },
        "freshet, log in memory": { server: "freshet", load, value },
        ...on(["nchan"], load, value) });
    return [{
        title: `${n} sleepers, ${t.quick ? 20 : 100} MB published, log on disk: ` +
            "memory of server and kernel",
        unit: "MiB",
        figures: figures(sleepersMemory),
        aim: "≤ 256 MiB",
        ratio: ratio("freshet", "nchan"),
        met: (m) => m.freshet <= 256,
    }, {
        title: "the same, the others' p99",
        unit: "ms",
        figures: figures((r) => r.latency_us.p99 / 1000),
        aim: "< 100 ms",
        ratio: ratio("freshet", "nchan"),
        met: (m) => m.freshet < 100,
    }];
}

function late(n) {
    const live = `--first 100 --late ${n} --channels 2 --subscribers 100 --rate 100 --seconds 3 ` +
        "--opening 4000 --in-flight 256 --patience 60";
    const alone = `--first 100 --late ${n} --subscribers 0 --rate 1 --events 1 --opening 4000`;
    return [{
        title: `${n} reconnect at once, 100 events behind, until all have caught up`,
        unit: "ms",
        figures: { ...on(["freshet"], live, (r) => r.late_ms),
            ...on(["bare, history"], alone, (r) => r.late_ms) },
        aim: "≤ 2 × bare",
        ...atMost(2, "freshet", "bare, history"),
    }, {
        title: `the same: live p99 of others`,
        unit: "ms",
        figures: on(["freshet"], live, (r) => r.latency_us.p99 / 1000),
        aim: "< 100 ms",
        met: (m) => m.freshet < 100,
    }];
}

/* A client missed twenty events, each in another file. */
function back(n, t) {
    const clients = t.quick ? n / 10 : n, files = t.quick ? 20 : 200;
    const figure = (value) => async (_measure, take) =>
        value(await take(`returns ${clients} ${files}`, () => returns(clients, files)));
    return [{
        title: `${clients} clients of channels of their own come back at once, ${files} files ` +
            "behind, until all have caught up",
        unit: "ms",
        figures: { "freshet durable": figure((r) => r.ms) },
        aim: "≤ 0.05 ms a file that has something",
        met: (m) => m["freshet durable"] <= files * 1000 * 0.05,
    }, {
        title: "the same, CPU per file that has something",
        unit: "µs",
        figures: { "freshet durable": figure((r) => r.cpu_us_per_file) },
        aim: "≤ 50 µs",
        met: (m) => m["freshet durable"] <= 50,
    }];
}

/* Of the one channel a thousand joins are told, and then counts; of the many, each join. Memory is measured
 * where these events are not kept, since they are the log's and not a member's. */
function presence(n) {
    const figure = (server, shape, value) => async (_measure, take) =>
        value(await take(`presence ${server} ${shape}`, () => presenceCost(server, shape, n)));
    return [["one", `one channel of ${n}`], ["many", `${Math.round(n / 10)} channels of ten`]].flatMap(([shape, what]) => [{
        title: `presence, CPU of a join beside its subscription, ${what}`,
        unit: "µs",
        figures: { freshet: figure("freshet, presence", shape, (r) => r.cpu_us) },
        aim: "≤ 10 µs",
        met: (m) => m.freshet <= 10,
    }, {
        title: `presence, memory of an idle member beside its subscriber, ${what}`,
        unit: "B",
        figures: { freshet: figure("freshet, presence unlogged", shape, (r) => r.bytes) },
        aim: "≤ 128 B",
        met: (m) => m.freshet <= 128,
    }]);
}

function poll(n, t) {
    const load = `--via poll --subscribers ${n} --rate 100 --seconds ${t.seconds}`;
    const each = (value) => on(["freshet", "freshet, unpaced", "nchan"], load, value);
    const latency = (p) => each((r) => r.latency_us[p] / 1000);
    return [{
        title: `long-poll, CPU per delivery, ${n} pollers, 100 events/s`,
        unit: "µs",
        figures: each(perDelivery),
        aim: "≤ 0.5 × nchan",
        ...atMost(0.5, "freshet", "nchan"),
    }, {
        title: "the same, p50 of latency",
        unit: "ms",
        figures: latency("p50"),
        aim: "≤ 25 ms, what answers are apart",
        met: (m) => m.freshet <= 25,
    }, {
        title: "the same, p99 of latency",
        unit: "ms",
        figures: latency("p99"),
        aim: "< 100 ms",
        met: (m) => m.freshet < 100,
    }];
}

/* What is plotted: a load of growing size, what is read from it, and what a straight line is: "flat"
 * when nothing ought to depend on the size, "line" when it ought to be so much for each. */
const some = (n) => `--subscribers ${n}`;
const rate = (total, n) => `--rate ${Math.max(1, Math.round(total / n))}`;

/** `n`: the size in the table. `grow`: what is plotted, if anything, at a sixteenth, a quarter and all
 *  of its n. */
export const rows = {
    cpu: { cases: cpu, n: 1000, grow: { title: "CPU per delivery, SSE, about 100,000/s", n: 16000,
        axis: "subscribers", load: (n) => `${some(n)} ${rate(100000, n)}`, value: perDelivery,
        unit: "µs a delivery", shape: "flat", servers: ["freshet", "bare io_uring"] } },
    flood: { cases: flood, n: 200, grow: { title: "Deliveries flat out", n: 800,
        axis: "subscribers", load: (n) => `${some(n)} --flat-out --in-flight 64`,
        value: (r) => r.deliveries_per_s / 1e6, unit: "million deliveries/s", shape: "flat",
        servers: ["freshet"] } },
    one: { cases: one, n: MOST, grow: { title: "One event until the last has it", n: MOST,
        axis: "subscribers", load: (n) => `${some(n)} --waves 10`, value: wave, unit: "ms",
        shape: "line", servers: ["freshet", "bare io_uring"] } },
    idle: { cases: (n, t) => [...idle(1000, t), ...idle(n, t), ...ownChannel(n)], n: MOST,
        grow: { title: "Memory of idle subscribers, SSE", n: MOST, axis: "subscribers",
            load: (n) => `${some(n)} --waves 1`,
            value: (r) => (r.opened.data_bytes - r.empty.data_bytes) / 2 ** 20, unit: "MiB",
            shape: "line", servers: ["freshet"] } },
    http2: { cases: http2, n: 1000, grow: { title: "CPU per delivery, SSE, HTTP/2, about 100,000/s",
        n: 16000, axis: "subscribers, 100 a connection",
        load: (n) => `${some(n)} ${rate(100000, n)} --streams 100`, value: perDelivery,
        unit: "µs a delivery", shape: "flat", servers: ["freshet"] } },
    tls: { cases: tls, n: 1000 },
    handshakes: { cases: handshakes, n: 1 },
    channels: { cases: channels, n: 1000000, grow: { title: "Memory with a million events",
        n: 1000000, axis: "channels", load: (n) => "--subscribers 0 --publishers 4 --in-flight 64 " +
            `--flat-out --channels ${n} --events 1000000`,
        value: (r) => r.end.data_bytes / 2 ** 20, unit: "MiB", shape: "line",
        servers: ["freshet, roomy"] } },
    distinct: { cases: distinct, n: 1000000, grow: { title: "Publish to random channels",
        n: 1000000, axis: "channels", load: (n) => `--prime --random --channels ${n} ` +
            `--subscribers ${Math.round(n / 100)} --rate 20000 --in-flight 256`,
        value: perPublish, unit: "µs CPU an event", shape: "flat", servers: ["freshet"] } },
    patterns: { cases: patterns, n: 10000, grow: { title: "Publish where patterns match",
        n: 10000, axis: "patterns", load: (n) => `--matching patterns --subscribers ${n} ` +
            `--rate 1000 --random --channels ${Math.ceil(n / 55) * 10}`,
        value: perPublish, unit: "µs CPU an event", shape: "flat", servers: ["freshet"] } },
    publishes: { cases: publishes, n: 64, grow: { title: "Publishes/s, 16 in flight each", n: 256,
        axis: "publishers", load: (n) => `--subscribers 0 --publishers ${n} --flat-out ` +
            "--channels 1000 --in-flight 16", value: (r) => publishesOf(r) / 1000,
        unit: "thousand/s", shape: "flat", servers: ["freshet", "freshet durable"] } },
    over: { cases: publishesOver, n: 100000, grow: { title: "Publishes/s over channels",
        n: 100000, axis: "channels, none of them new",
        load: (n) => `${publishLoad(n, 16)} --prime`, unit: "thousand/s",
        value: (r) => publishesOf(r) / 1000, shape: "flat",
        servers: ["freshet", "freshet durable"] } },
    latency: { cases: latency, n: 1, grow: { title: "Publish to delivery, p50", n: 1600,
        axis: "events/s", load: (n) => `--spin --subscribers 1 --rate ${n}`,
        value: (r) => r.latency_us.p50, unit: "µs", shape: "flat",
        servers: ["freshet", "bare send"] } },
    wide: { cases: wide, n: 1000, grow: { title: "CPU per delivery, 100 with 100 channels each",
        n: 1600, axis: "single-channel subscribers beside them",
        load: (n) => `--channels 100 --subscribers ${n} --rate 200 --wide 50 --pattern 50`,
        value: perDelivery, unit: "µs a delivery", shape: "flat", servers: ["freshet"] } },
    sleepers: { cases: sleepers, n: 1000, grow: { title: "Memory with sleepers, 50 MB, log on disk",
        n: 1000, axis: "sleepers", load: (n) => `--sleepers ${n} --subscribers 50 --size 1000 ` +
            "--rate 10000 --events 50000 --in-flight 64", unit: "MiB of server and kernel",
        value: sleepersMemory, shape: "line", servers: ["freshet durable"] } },
    late: { cases: late, n: 10000, grow: { title: "Reconnected, until all have caught up",
        n: 10000, axis: "reconnecting", load: (n) => `--first 100 --late ${n} --subscribers 0 ` +
            "--rate 1 --events 1 --opening 4000", value: (r) => r.late_ms, unit: "ms",
        shape: "line", servers: ["freshet", "bare, history"] } },
    back: { cases: back, n: 10000 },
    presence: { cases: presence, n: 100000 },
    poll: { cases: poll, n: 1000, grow: { title: "CPU per delivery, long-poll, 10 events/s",
        n: 4000, axis: "pollers", load: (n) => `--via poll ${some(n)} --rate 10`,
        value: perDelivery, unit: "µs a delivery", shape: "flat", servers: ["freshet"] } },
};
