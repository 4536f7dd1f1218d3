// `freshet bench` measures, and a load of which anything was lost, repeated or reordered is no measure.

import assert from "node:assert/strict";
import http from "node:http";
import { spawnSync } from "node:child_process";
import { BIN, startServer, sideBySide } from "./support/index.mjs";
import { run } from "./support/program.mjs";

const { test } = sideBySide(4);

const FAILED = 1;
const USAGE = 2;

/** Runs a short load; its exit code and what it reports. Events that are late are waited for, longer than a busy machine takes. */
async function bench(t, url, args, patience = 20) {
    const { code, stdout, stderr } = await run(t, ["bench", url, "--json", "--warm-up", "0",
        "--patience", String(patience), ...args]);
    return { code, stderr, ...(stdout ? JSON.parse(stdout) : {}) };
}

for (const via of ["sse", "ndjson", "raw", "ws", "poll"]) {
    test(`a load by ${via} comes through whole`, async (t) => {
        const server = await startServer(t);
        const result = await bench(t, server.url, ["--via", via, "--subscribers", "20",
            "--channels", "3", "--publishers", "2", "--flat-out", "--events", "500"]);
        assert.equal(result.code, 0, JSON.stringify(result));
        assert.equal(result.published, 500);
        assert.equal(result.answered, 500);
        assert.equal(result.accepted, 500);
        assert.ok(result.delivered >= 500 * 6 && result.delivered === result.owed);
        assert.equal(result.latency_us.count, result.delivered);
    });
}

test("a load over shared connections of HTTP/2 comes through whole", async (t) => {
    const server = await startServer(t, { args: ["--threads", "1"] });
    const result = await bench(t, server.url, ["--streams", "7", "--subscribers", "20", "--channels", "3",
        "--flat-out", "--events", "500"]);
    assert.equal(result.code, 0, JSON.stringify(result));
    assert.ok(result.delivered >= 500 * 6 && result.delivered === result.owed);
});

test("a stream of HTTP/2 that the server refuses is reported with the status and the problem", async (t) => {
    const server = await startServer(t, { config: "access: {anybody: [publish]}\n" });
    const result = await bench(t, server.url, ["--streams", "2", "--subscribers", "3", "--events", "1"]);
    assert.equal(result.code, FAILED);
    assert.match(result.why, /a subscriber of .*: HTTP\/2 401: .*credential/);
});

test("a second of load at a fixed rate is a second's events", async (t) => {
    const server = await startServer(t);
    const result = await bench(t, server.url, ["--rate", "200", "--seconds", "1",
        "--subscribers", "3"]);
    assert.equal(result.code, 0, JSON.stringify(result));
    assert.ok(result.published > 0 && result.published <= 201);
    assert.equal(result.delivered, result.published * 3);
});

test("events in batches come through whole", async (t) => {
    const server = await startServer(t);
    const result = await bench(t, server.url, ["--batch", "25", "--subscribers", "20",
        "--channels", "3", "--publishers", "2", "--flat-out", "--events", "500", "--prime"]);
    assert.equal(result.code, 0, JSON.stringify(result));
    assert.equal(result.published, 503);
    assert.equal(result.answered, 503);
    assert.ok(result.delivered >= 500 * 6 && result.delivered === result.owed);
});

test("a run of single events reports the time until the last subscriber has each", async (t) => {
    const server = await startServer(t);
    const result = await bench(t, server.url, ["--waves", "3", "--subscribers", "10"]);
    assert.equal(result.code, 0, JSON.stringify(result));
    assert.equal(result.delivered, 30);
    assert.ok(result.wave_us > 0);
});

test("wide, patterned and late subscribers and sleepers are served together", async (t) => {
    const server = await startServer(t);
    const result = await bench(t, server.url, ["--channels", "4", "--subscribers", "8", "--wide",
        "2", "--pattern", "2", "--sleepers", "2", "--first", "10", "--late", "5", "--events", "50",
        "--rate", "1000"]);
    assert.equal(result.code, 0, JSON.stringify(result));
    assert.ok(result.late_ms > 0);
});

test("a channel has one to ten subscribers by names and by patterns alike", async (t) => {
    const server = await startServer(t);
    for (const matching of ["names", "patterns"]) {
        const result = await bench(t, server.url, ["--matching", matching, "--subscribers", "55",
            "--channels", "10", "--events", "20", "--rate", "1000"]);
        assert.equal(result.code, 0, JSON.stringify(result));
        assert.equal(result.delivered, 2 * 55);
    }
});

/** A server of one channel that hands on what `spoil(n, event)` makes of its nth event. */
async function fakeServer(t, spoil, status = 201) {
    const subscribers = new Set();
    let count = 0;
    const server = http.createServer(async (request, response) => {
        if (request.method === "GET") {
            response.writeHead(200, { "content-type": "text/event-stream" });
            response.write(": hello\n\n");
            subscribers.add(response);
            return;
        }
        let body = "";
        for await (const piece of request) {
            body += piece;
        }
        for (const event of spoil(count++, body)) {
            subscribers.forEach((one) => one.write(`data: ${event}\n\n`));
        }
        response.writeHead(status, { "content-length": 0 }).end();
    });
    await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
    t.after(() => {
        server.closeAllConnections();
        server.close();
    });
    return `http://127.0.0.1:${server.address().port}`;
}

const load = ["--events", "10", "--rate", "1000", "--subscribers", "3", "--in-flight", "1"];

test("a server that hands on every event passes", async (t) => {
    const result = await bench(t, await fakeServer(t, (_n, event) => [event]), load);
    assert.equal(result.code, 0, JSON.stringify(result));
    assert.equal(result.delivered, 30);
});

test("a server that loses an event fails", async (t) => {
    const url = await fakeServer(t, (n, event) => n === 4 ? [] : [event]);
    const result = await bench(t, url, load, 5);
    assert.equal(result.code, FAILED);
    assert.equal(result.ok, false);
    assert.equal(result.missing, 3);
});

test("a server that loses the last event fails", async (t) => {
    const url = await fakeServer(t, (n, event) => n === 9 ? [] : [event]);
    const result = await bench(t, url, load, 5);
    assert.equal(result.code, FAILED);
    assert.equal(result.missing, 3);
});

test("a server that repeats an event fails", async (t) => {
    const url = await fakeServer(t, (n, event) => n === 4 ? [event, event] : [event]);
    const result = await bench(t, url, load);
    assert.equal(result.code, FAILED);
    assert.equal(result.repeated, 3);
});

test("a server that swaps two events fails", async (t) => {
    let kept;
    const url = await fakeServer(t, (n, event) => {
        if (n === 4) {
            kept = event;
            return [];
        }
        return n === 5 ? [event, kept] : [event];
    });
    const result = await bench(t, url, load);
    assert.equal(result.code, FAILED);
    assert.equal(result.repeated, 3);
});

test("a server that refuses publishes fails", async (t) => {
    const result = await bench(t, await fakeServer(t, (_n, event) => [event], 503), load);
    assert.equal(result.code, FAILED);
    assert.equal(result.refused, 10);
    assert.deepEqual([result.answered, result.accepted, result.publishes_per_s, result.ack_us.count], [10, 0, 0, 0]);
    assert.match(result.why, /503 Service Unavailable/);
});

test("nobody there is told, and so is wrong usage", async (t) => {
    const nobody = await run(t, ["bench", "http://127.0.0.1:1"]);
    assert.equal(nobody.code, FAILED);
    assert.match(nobody.stderr, /refused/i);
    for (const args of [["--via", "pigeon"], ["--size", "10"], ["--subscribers", "x"], ["--nonsense"],
        ["ftp://a"], ["http://a", "http://b"], ["--wide", "1", "--via", "ws"]]) {
        const { code, stderr } = await run(t, ["bench", ...args]);
        assert.equal(code, USAGE, args.join(" "));
        assert.match(stderr, /^freshet bench: /);
    }
});

test("a run that takes longer says how far it is, in log lines or on the terminal", async (t) => {
    const server = await startServer(t);
    const load = ["bench", server.url, "--seconds", "2", "--rate", "50", "--subscribers", "2"];
    const plain = await run(t, load);
    assert.equal(plain.code, 0, plain.stderr);
    assert.match(plain.stderr, /event=progress what="seconds of load" done=\d of=\d/);
    assert.doesNotMatch(plain.stderr, /\r/);
    if (spawnSync("script", ["--version"]).status !== 0) {
        t.diagnostic("there is no script(1) to make a terminal with");
        return;
    }
    const line = [BIN, ...load].map((word) => `'${word}'`).join(" ");
    const shown = await run(t, ["-qec", line, "/dev/null"], { bin: "script" });
    assert.equal(shown.code, 0, shown.stdout);
    assert.match(shown.stdout, /\rfreshet bench: \d+ of \d+ seconds of load/);
    assert.match(shown.stdout, /\r {10,}\racknowledged publishes/);
});
