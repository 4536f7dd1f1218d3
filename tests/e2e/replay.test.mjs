// Real data through the running server: examples/replay publishes, four consumers of four mechanisms
// listen, and each must have got what stands in the data file, in its order.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { EventSource } from "eventsource";
import { deadline, startServer, sideBySide } from "./support/index.mjs";
import { assertChained, assertIncreasing } from "./support/checks.mjs";
import { freePort, Program, run } from "./support/program.mjs";
import { assertSigned, Receiver } from "./support/receiver.mjs";
import { Freshet } from "./support/ws.mjs";

const { bothStores, test } = sideBySide(3);

const HERE = path.dirname(fileURLToPath(import.meta.url));
const REPLAY = path.join(HERE, "../../examples/replay/replay.mjs");
const DATA = path.join(
    path.dirname(createRequire(import.meta.url).resolve("vega-datasets")),
    "../data",
);
const LONG = 240_000; /* ms */

function read(name) {
    return readFileSync(path.join(DATA, name), "utf8");
}

/*
 * What must arrive, read from the data files by other means than the replay's own: a list of {channel,
 * data} in the order of time, and within one instant in the order of the file.
 */
const EXPECTED = {
    stocks: () => {
        const month = (date) => {
            const [name, , year] = date.split(" ");
            return Number(year) * 12 + "JanFebMarAprMayJunJulAugSepOctNovDec".indexOf(name) / 3;
        };
        return read("stocks.csv")
            .trim()
            .split("\n")
            .slice(1)
            .map((line) => line.split(","))
            .map(([symbol, date, price], n) => ({
                n,
                at: month(date),
                channel: `stocks/${symbol}`,
                data: { symbol, date, price: Number(price) },
            }))
            .sort((a, b) => a.at - b.at || a.n - b.n);
    },
    weather: () => {
        const [head, ...lines] = read("seattle-weather.csv").trim().split("\n");
        const names = head.split(",");
        return lines.map((line) => ({
            channel: "weather/seattle",
            data: Object.fromEntries(
                line
                    .split(",")
                    .map((value, n) => [
                        names[n],
                        /^[\d.-]+$/.test(value) && n > 0 ? Number(value) : value,
                    ]),
            ),
        }));
    },
    earthquakes: () =>
        JSON.parse(read("earthquakes.json"))
            .features.map((feature, n) => ({
                n,
                at: feature.properties.time,
                channel: `earthquakes/${feature.properties.net}`,
                data: feature,
            }))
            .sort((a, b) => a.at - b.at || a.n - b.n),
};

/** The four consumers: each starts now, and answers the first `count` envelopes that it gets. */
const CONSUMERS = {
    "server-sent events": async (t, server, pattern, count) => {
        const source = new EventSource(
            `${server.url}/events?channel=${encodeURIComponent(pattern)}&after=earliest`,
        );
        t.after(() => source.close());
        const events = [];
        let done;
        const all = new Promise((resolve) => (done = resolve));
        source.onmessage = (message) => {
            const event = JSON.parse(message.data);
            assert.equal(message.lastEventId, event.id);
            events.push(event);
            if (events.length === count) {
                done(events);
            }
        };
        return { all };
    },
    "long-poll": async (t, server, pattern, count) => {
        const all = (async () => {
            const events = [];
            for (let query = "?after=earliest&wait=25"; events.length < count;) {
                const answer = await fetch(
                    `${server.url}/events${query}&channel=${encodeURIComponent(pattern)}`,
                );
                assert.equal(answer.status, 200);
                const got = await answer.json();
                events.push(...got.events);
                query = `?after=${got.cursor}&wait=25`;
            }
            return events;
        })();
        all.catch(() => {});
        return { all };
    },
    WebSocket: async (t, server, pattern, count) => {
        const socket = await Freshet.open(t, server);
        await socket.subscribe([pattern]);
        const all = (async () => {
            const events = [];
            while (events.length < count) {
                const message = await socket.notBeat("the next event of the replay", LONG);
                assert.equal(message.op, "event", JSON.stringify(message));
                events.push(message.event);
            }
            return events;
        })();
        all.catch(() => {});
        return { all };
    },
    webhook: async (t, server, pattern, count) => {
        const receiver = await Receiver.start(t);
        const answer = await server.request("POST", "/webhooks", {
            /* Pages come in the order of the log; single events, each channel in its own. */
            body: { url: receiver.url, channels: [pattern], batch: 10 },
        });
        assert.equal(answer.status, 201, answer.text);
        const { secret } = answer.json();
        const pages = () => receiver.requests.filter(({ body }) => body.events !== undefined);
        const events = () => pages().flatMap(({ body }) => body.events);
        const all = receiver
            .until(() => events().length >= count, `${count} events in pages`, LONG)
            .then(() => {
                pages().forEach((page) => assertSigned(page, secret));
                return events();
            });
        all.catch(() => {});
        return { all };
    },
};

function replay(t, server, dataset, seconds) {
    return new Program(
        t,
        [
            REPLAY,
            "--url",
            server.url,
            "--dataset",
            dataset,
            "--seconds",
            String(seconds),
            "--data",
            DATA,
            "--quiet",
        ],
        { bin: process.execPath },
    );
}

for (const [dataset, seconds] of [
    ["stocks", 5],
    ["weather", 4],
    ["earthquakes", 3],
]) {
    bothStores(
        `the ${dataset} reach four consumers of four mechanisms, every event, in the order of the file`,
        async (t, server) => {
            const expected = EXPECTED[dataset]();
            assert.ok(expected.length > 500, "the data file was not read");
            const reading = {};
            for (const [name, consume] of Object.entries(CONSUMERS)) {
                reading[name] = await consume(t, server, `${dataset}/*`, expected.length);
            }
            const program = replay(t, server, dataset, seconds);
            assert.deepEqual(
                await deadline(program.exited, "the replay to end", LONG),
                { code: 0, signal: null },
                program.told(),
            );
            let first;
            for (const [name, { all }] of Object.entries(reading)) {
                const events = await deadline(all, `all of the ${dataset} by ${name}`, LONG);
                assert.equal(events.length, expected.length, name);
                events.forEach((event, n) => {
                    assert.equal(event.channel, expected[n].channel, `event ${n} by ${name}`);
                    assert.deepEqual(event.data, expected[n].data, `event ${n} by ${name}`);
                });
                first ??= events;
                assert.deepEqual(events, first, `${name} differs`);
            }
            assertIncreasing(first);
            assertChained(first);
        },
    );
}

test("a replay goes on over a kill -9 of the server, and every event is there once", async (t) => {
    const server = await startServer(t, { data: true, listen: `127.0.0.1:${await freePort()}` });
    const stream = await server.ndjson("/events?channel=weather/**");
    const program = replay(t, server, "weather", 4);
    await stream.events(300);
    stream.close();
    await server.restart();
    assert.deepEqual(
        await deadline(program.exited, "the replay to end", LONG),
        { code: 0, signal: null },
        program.told(),
    );
    const events = [];
    for (let after = "earliest", more = true; more;) {
        const got = await server.page(`/channels/weather/seattle?limit=1000&after=${after}`);
        events.push(...got.events);
        ({ more, cursor: after } = got);
    }
    assert.deepEqual(
        events.map((event) => event.data),
        EXPECTED.weather().map(({ data }) => data),
    );
});

test("the replay says what it takes", async (t) => {
    const node = { bin: process.execPath };
    const help = await run(t, [REPLAY, "--help"], node);
    assert.equal(help.code, 0);
    assert.match(help.stdout, /usage/);
    for (const args of [
        ["--dataset", "none"],
        ["--seconds", "soon"],
        ["--bogus"],
        ["--url", "nonsense"],
        ["--data", "/nowhere"],
    ]) {
        const { code, stderr } = await run(t, [REPLAY, ...args], node);
        assert.ok(code > 0, args.join(" "));
        assert.match(stderr, /^\s*replay: /);
    }
});
