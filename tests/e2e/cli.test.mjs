// The command: pub, sub, version, help, and what it answers to wrong usage.

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import {
    BIN,
    page,
    publish,
    publishMany,
    request,
    startServer,
    temporaryFolder,
    sideBySide,
} from "./support/index.mjs";
import { MECHANISMS } from "./support/follow.mjs";
import { freePort, Program, run } from "./support/program.mjs";

const { test } = sideBySide(6);

const USAGE = 2; /* the exit code for wrong usage */
const FAILED = 1; /* the exit code where the server refuses or cannot be reached */

/** How pub and sub are told which server: in this one place. */
function at(url) {
    return ["--url", url];
}

function pub(t, server, args, options) {
    return run(t, ["pub", ...at(server.url), ...args], options);
}

function sub(t, server, args) {
    return new Program(t, ["sub", ...at(server.url), ...args]);
}

/** The events that a `sub` has printed so far, an envelope a line. */
function printed(program) {
    return program.lines.filter((line) => line !== "").map((line) => JSON.parse(line));
}

function idsOf(events) {
    return events.map((event) => event.id);
}

/** Waits until a `sub` has printed so many events. */
async function prints(program, count) {
    await program.until(() => printed(program).length >= count, `${count} events`);
    return printed(program);
}

/* ---- version, help, usage ---- */

test("version tells the program and its number", async (t) => {
    for (const args of [["version"], ["--version"]]) {
        const { code, stdout } = await run(t, args);
        assert.equal(code, 0);
        assert.match(stdout, /^freshet \d+\.\d+/);
    }
});

test("help names every command, and there is help for each", async (t) => {
    for (const args of [["help"], ["--help"]]) {
        const { code, stdout } = await run(t, args);
        assert.equal(code, 0);
        for (const command of ["serve", "pub", "sub", "webhook", "bench", "version", "help"]) {
            assert.match(stdout, new RegExp(`\\b${command}\\b`));
        }
    }
    for (const command of ["serve", "check", "init", "repair", "token", "pub", "sub", "presence", "webhook", "key", "bench", "version"]) {
        for (const args of [
            ["help", command],
            [command, "--help"],
        ]) {
            const { code, stdout } = await run(t, args);
            assert.equal(code, 0, args.join(" "));
            assert.match(stdout, new RegExp(`^Usage: freshet ${command}`, "m"));
        }
    }
});

test("the help of serve and sub names what they take", async (t) => {
    const serve = await run(t, ["help", "serve"]);
    for (const option of ["--listen", "--data", "--memory", "--config", "--threads"]) {
        assert.ok(serve.stdout.includes(option), `help serve does not tell ${option}`);
    }
    const subHelp = await run(t, ["help", "sub"]);
    for (const word of ["--via", "--after", "sse", "ndjson", "poll", "ws"]) {
        assert.ok(subHelp.stdout.includes(word), `help sub does not tell ${word}`);
    }
});

for (const args of [
    [],
    ["bogus"],
    ["--bogus"],
    ["help", "bogus"],
    ["pub"],
    ["sub"],
    ["pub", "--bogus", "a", "b"],
    ["sub", "--bogus", "a"],
    ["sub", "a", "--via", "pigeon"],
    ["sub", "a", "--via"],
    ["pub", "a", "b", "c"],
    ["version", "extra"],
    ["serve", "--bogus"],
    ["serve", "extra"],
    ["serve", "--memory", "--data", "somewhere"],
    ["serve", "--memory", "--threads", "0"],
    ["serve", "--memory", "--threads", "many"],
    ["serve", "--memory", "--threads", "-1"],
    ["serve", "--memory", "--listen", "nonsense"],
    ["serve", "--memory", "--listen", "127.0.0.1:99999"],
    ["serve", "--memory", "--listen"],
]) {
    test(`wrong usage ends with ${USAGE} and says what would be right: freshet ${args.join(" ")}`, async (t) => {
        const { code, stdout, stderr } = await run(t, args, { cwd: temporaryFolder(t) });
        assert.equal(code, USAGE, stderr);
        assert.match(stderr, /usage|help/i);
        assert.equal(stdout, "", "complaints belong on standard error");
    });
}

/* ---- pub ---- */

test("pub publishes its argument as text and tells the id", async (t) => {
    const server = await startServer(t);
    const { code, stdout, stderr } = await pub(t, server, ["news/today", "hello, wörld"]);
    assert.equal(code, 0, stderr);
    const [event] = await server.history("news/today");
    assert.equal(event.data, "hello, wörld");
    assert.ok(stdout.includes(event.id), `pub does not tell ${event.id}: ${stdout}`);
});

test("pub takes names that need encoding, and data that looks like an option after --", async (t) => {
    const server = await startServer(t);
    assert.equal((await pub(t, server, ["grüße/a b/50%", "data"])).code, 0);
    assert.equal((await server.history("grüße/a b/50%"))[0].data, "data");
    assert.equal((await pub(t, server, ["--", "x", "--not-an-option"])).code, 0);
    assert.equal((await server.history("x"))[0].data, "--not-an-option");
});

test("pub - publishes standard input line by line, in order", async (t) => {
    const server = await startServer(t);
    const lines = Array.from({ length: 2500 }, (_, n) => `line ${n} ${"ü".repeat(n % 50)}`);
    for (const [channel, input] of [
        ["ends", `${lines.join("\n")}\n`],
        ["ends-not", lines.join("\n")],
    ]) {
        const { code, stderr } = await pub(t, server, [channel, "-"], { input });
        assert.equal(code, 0, stderr);
        const events = [];
        for (let after = "earliest", more = true; more;) {
            const got = await page(server, `/channels/${channel}?limit=1000&after=${after}`);
            events.push(...got.events);
            ({ more, cursor: after } = got);
        }
        assert.deepEqual(
            events.map((event) => event.data),
            lines,
        );
    }
});

test("pub - publishes each line as it comes, before the input ends", async (t) => {
    const server = await startServer(t);
    const stream = await server.ndjson("/channels/x");
    await stream.next();
    const program = new Program(t, ["pub", ...at(server.url), "x", "-"]);
    for (const line of ["one", "two", "three"]) {
        program.child.stdin.write(`${line}\n`);
        assert.equal((await stream.event()).data, line);
    }
    program.child.stdin.end();
    assert.deepEqual(await program.exited, { code: 0, signal: null });
});

test("pub - of nothing publishes nothing", async (t) => {
    const server = await startServer(t);
    const { code } = await pub(t, server, ["x", "-"], { input: "" });
    assert.equal(code, 0);
    assert.deepEqual(await server.history("x"), []);
});

test("a publish that the server refuses ends pub with 1 and the reason", async (t) => {
    const server = await startServer(t);
    for (const channel of ["a//b", "a/*", "$server", "x".repeat(300)]) {
        const { code, stderr } = await pub(t, server, [channel, "data"]);
        assert.equal(code, FAILED, channel);
        assert.notEqual(stderr, "");
    }
});

test("a server that cannot be reached ends pub with 1 and names it", async (t) => {
    const port = await freePort();
    for (const [args, input] of [
        [["x", "data"], undefined],
        [["x", "-"], "one\ntwo\n"],
    ]) {
        const { code, stderr } = await run(t, ["pub", ...at(`http://127.0.0.1:${port}`), ...args], {
            input,
        });
        assert.equal(code, FAILED);
        assert.ok(stderr.includes(String(port)), `it does not say which server: ${stderr}`);
    }
});

/* ---- sub ---- */

for (const via of MECHANISMS) {
    test(`sub --via ${via} prints what was and what comes, an envelope a line`, async (t) => {
        const server = await startServer(t);
        const ids = await publishMany(server, "x", 3);
        const program = sub(t, server, ["x", "--via", via, "--after", "earliest"]);
        await prints(program, 3);
        ids.push(...(await publishMany(server, "x", 3)));
        const events = await prints(program, 6);
        assert.deepEqual(idsOf(events), ids);
        assert.deepEqual(events, await server.history("x"));
    });

    test(`sub --via ${via} takes several channels and patterns, and an id to begin after`, async (t) => {
        const server = await startServer(t);
        const { id } = await publish(server, "a", "before");
        const wanted = [];
        for (const channel of ["a", "b/1", "c", "b/1/2", "a"]) {
            const event = await publish(server, channel, channel);
            if (channel !== "c") {
                wanted.push(event.id);
            }
        }
        const program = sub(t, server, ["a", "b/**", "--via", via, "--after", id]);
        assert.deepEqual(idsOf(await prints(program, 4)), wanted);
    });

    test(`sub --via ${via} resumes by itself after a kill -9 of the server: nothing is lost or printed twice`, async (t) => {
        const port = await freePort();
        const server = await startServer(t, { data: true, listen: `127.0.0.1:${port}` });
        const ids = await publishMany(server, "x", 5);
        const program = sub(t, server, ["x", "--via", via, "--after", "earliest"]);
        await prints(program, 5);
        for (let round = 0; round < 2; round++) {
            await server.restart();
            ids.push(...(await publishMany(server, "x", 5)));
            await prints(program, ids.length);
        }
        assert.deepEqual(idsOf(printed(program)), ids);
    });

    test(`sub --via ${via} resumes where it was, also when nothing had come yet`, async (t) => {
        const port = await freePort();
        const server = await startServer(t, { data: true, listen: `127.0.0.1:${port}` });
        await publish(server, "x", "long ago");
        const program = sub(t, server, ["x", "y/**", "--via", via]);
        /* It is known to listen once it prints what is published again and again. */
        let id;
        while (printed(program).length === 0) {
            ({ id } = await publish(server, "y/mark", "mark"));
            await new Promise((resolve) => setImmediate(resolve));
        }
        await program.until(() => printed(program).at(-1).id === id, "the last mark");
        const before = printed(program).length;
        await server.terminate();
        await server.start();
        const ids = await publishMany(server, "x", 3);
        await prints(program, before + 3);
        assert.deepEqual(idsOf(printed(program).slice(before)), ids);
    });
}

test("sub without --via and --after begins now", async (t) => {
    const server = await startServer(t);
    await publish(server, "x", "long ago");
    const program = sub(t, server, ["x"]);
    while (printed(program).length === 0) {
        await publish(server, "x", "now");
        await new Promise((resolve) => setImmediate(resolve));
    }
    assert.equal(printed(program)[0].data, "now");
});

test("sub prints what any terminal can read: bytes that are no text stay in base64", async (t) => {
    const server = await startServer(t);
    await publish(server, "x", Buffer.from([0, 255, 10]), { "Content-Type": "image/png" });
    await publish(server, "x", "two\nlines");
    const program = sub(t, server, ["x", "--after", "earliest"]);
    const events = await prints(program, 2);
    assert.equal(events[0].data_base64, Buffer.from([0, 255, 10]).toString("base64"));
    assert.equal(events[1].data, "two\nlines");
});

test("sub of a bad name or a bad cursor ends with an error, and does not try for ever", async (t) => {
    const server = await startServer(t);
    for (const args of [["a//b"], ["x", "--after", "yesterday"]]) {
        const { code, stderr } = await run(t, ["sub", ...at(server.url), ...args]);
        assert.ok(code === FAILED || code === USAGE, `it ended with ${code}`);
        assert.notEqual(stderr, "");
    }
});

test("a sub whose reader has gone ends", async (t) => {
    const server = await startServer(t);
    await publishMany(server, "x", 100);
    const program = sub(t, server, ["x", "--after", "earliest"]);
    await prints(program, 1);
    program.child.stdout.destroy();
    while (program.child.exitCode === null && program.child.signalCode === null) {
        await publishMany(server, "x", 10);
        await new Promise((resolve) => setImmediate(resolve));
    }
});

test("pub piped into sub by way of the server loses nothing", async (t) => {
    const server = await startServer(t);
    const program = sub(t, server, ["x", "--after", "earliest", "--via", "sse"]);
    const lines = Array.from({ length: 1000 }, (_, n) => `line ${n}`);
    const { code } = await pub(t, server, ["x", "-"], { input: `${lines.join("\n")}\n` });
    assert.equal(code, 0);
    const events = await prints(program, 1000);
    assert.deepEqual(
        events.map((event) => event.data),
        lines,
    );
});

test("a command that cannot write to standard output ends with 1 and a reason", async (t) => {
    const server = await startServer(t);
    assert.equal((await request(server, "POST", "/webhooks", { body: { url: "http://127.0.0.1:1/", channels: ["x"] } })).status, 201);
    const sh = (command) => spawnSync("sh", ["-c", command],
        { encoding: "utf8", env: { ...process.env, FRESHET_URL: server.url }, cwd: server.dir });
    for (const args of ["pub x data", "sub x --after earliest --count 1", "webhook ls", "help", "help serve", "version", "--version",
        "help configuration"]) {
        for (const to of [">/dev/full", ">&-"]) {
            const { status, stderr } = sh(`"${BIN}" ${args} ${to}`);
            assert.equal(status, 1, `${args} ${to}: ${stderr}`);
            assert.match(stderr, /standard output: (No space left on device|Bad file descriptor)/, `${args} ${to}`);
        }
    }
});

test("a secret that is given once comes on standard error if standard output cannot be written", async (t) => {
    const server = await startServer(t);
    for (const to of [">/dev/full", ">&-"]) {
        const { status, stderr } = spawnSync("sh", ["-c",
            `"${BIN}" webhook add http://127.0.0.1:1/ x --url ${server.url} ${to}`], { encoding: "utf8" });
        assert.equal(status, 1);
        const [, secret] = /"secret":"(whsec_[^"]+)"/.exec(stderr);
        assert.ok(secret);
    }
    assert.equal((await server.get("/webhooks")).json().webhooks.length, 2);
});

test("pub - names the line that the server refuses, and publishes those before it", async (t) => {
    const server = await startServer(t, { config: "limits:\n  body_max: 20000\n" });
    const large = "l".repeat(20_000);
    for (const [n, lines, before] of [
        [3, ["one", "two", large, "four"], ["one", "two"]],
        [1, [large, "two"], []],
        [101, [...Array.from({ length: 100 }, (_, i) => `n${i}`), "\x01".repeat(5000), "after"], undefined], /* 30,000 once escaped */
    ]) {
        const channel = `large/${n}`;
        const { code, stderr } = await pub(t, server, [channel, "-"], { input: `${lines.join("\n")}\n` });
        assert.equal(code, FAILED);
        assert.match(stderr, new RegExp(`line ${n}: 413`), stderr);
        assert.deepEqual((await server.history(channel)).map(({ data }) => data), before ?? lines.slice(0, 100));
    }
});

test("pub - of lines that are too large together sends them one by one", async (t) => {
    const server = await startServer(t, { config: "limits:\n  body_max: 20000\n" });
    const lines = Array.from({ length: 30 }, (_, n) => `${n} ${"x".repeat(n % 3 ? 10 : 15_000)}`);
    const { code, stderr } = await pub(t, server, ["x", "-"], { input: lines.join("\n") });
    assert.equal(code, 0, stderr);
    assert.deepEqual((await server.history("x")).map(({ data }) => data), lines);
});

test("pub - counts blank lines too when it names one", async (t) => {
    const server = await startServer(t, { config: "limits:\n  body_max: 20000\n" });
    const { code, stderr } = await pub(t, server, ["x", "-", "--json"], { input: `1\n\n2\n\n"${"l".repeat(30_000)}"\n` });
    assert.equal(code, FAILED);
    assert.match(stderr, /line 5: 413/, stderr);
});
