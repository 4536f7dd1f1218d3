// freshet webhook: registering and looking after webhooks from the command line, and a receiver to
// try them with.

import assert from "node:assert/strict";
import fs from "node:fs";
import http from "node:http";
import path from "node:path";
import { Webhook } from "standardwebhooks";
import { eventually, publish, publishMany, request, startServer, temporaryFolder, test } from "./support/index.mjs";
import { Receiver } from "./support/receiver.mjs";
import { Program, run } from "./support/program.mjs";

const VERBS = ["add", "ls", "show", "deliveries", "pause", "resume", "ping", "rotate", "replay", "retry", "rm", "listen"];
const SECRET = `whsec_${Buffer.from("0123456789abcdef01234567").toString("base64")}`;

function webhook(t, server, args, options) {
    return run(t, ["webhook", ...args, "--url", server.url], options);
}

/** Runs a verb that must succeed and print JSON on one line. */
async function told(t, server, args) {
    const { code, stdout, stderr } = await webhook(t, server, args);
    assert.equal(code, 0, stderr);
    assert.match(stdout, /^[^\n]+\n$/);
    return JSON.parse(stdout);
}

/** A file whose first line is the secret. */
function secretFile(t, secret = SECRET) {
    const file = path.join(temporaryFolder(t), "secret");
    fs.writeFileSync(file, `${secret}\n`, { mode: 0o600 });
    return file;
}

/** Starts `listen` on a free port: the program and where it listens. */
async function listen(t, args = [], options) {
    const program = new Program(t, ["webhook", "listen", "127.0.0.1:0", ...args], options);
    const [, url] = await program.until((it) => /(http:\/\/127\.0\.0\.1:\d+\/)/.exec(it.err), "its address");
    program.url = url;
    program.deliveries = () => program.lines.map((line) => JSON.parse(line));
    program.delivered = async (count) => {
        await program.until(() => program.lines.length >= count, `${count} deliveries`);
        return program.deliveries();
    };
    return program;
}

/** A server that takes anything and keeps it: what the command says, whatever a server makes of it. */
async function stub(t, status, answer) {
    const requests = [];
    const server = http.createServer(async (req, res) => {
        const pieces = [];
        for await (const piece of req) {
            pieces.push(piece);
        }
        requests.push({ method: req.method, url: req.url, headers: req.headers, body: Buffer.concat(pieces).toString() });
        res.writeHead(status, { "Content-Type": "application/json" }).end(JSON.stringify(typeof answer === "function" ? answer(req.url) : answer));
    });
    await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
    t.after(() => new Promise((resolve) => {
        server.closeAllConnections?.();
        server.close(resolve);
    }));
    return { url: `http://127.0.0.1:${server.address().port}`, requests };
}

/* ---- usage ---- */

test("there is help for the command and for each verb", async (t) => {
    const all = await run(t, ["help", "webhook"]);
    assert.equal(all.code, 0);
    for (const verb of VERBS) {
        assert.match(all.stdout, new RegExp(`\\b${verb}\\b`));
        for (const args of [["webhook", verb, "--help"], ["help", "webhook", verb]]) {
            const { code, stdout } = await run(t, args);
            assert.equal(code, 0);
            assert.match(stdout, new RegExp(`^Usage: freshet webhook ${verb}`));
        }
    }
    assert.match((await run(t, ["help"])).stdout, /freshet webhook/);
});

test("wrong usage is told with where the verb's help is, and ends with 2", async (t) => {
    for (const args of [
        [], ["remove", "x"], ["add"], ["add", "http://x/"], ["show"], ["show", "a", "b"], ["ls", "x"], ["rm"], ["replay", "a"],
        ["retry", "a", "b"], ["add", "http://x/", "c", "--header", "no colon"], ["add", "http://x/", "c", "--set", "a=b"],
        ["add", "http://x/", "c", "--batch", "0"], ["ls", "--after", "1"], ["ls", "--url", "ftp://x"], ["ls", "--token", "t0k"],
        ["listen", "nowhere"], ["listen", "127.0.0.1:70000"], ["listen", "--secret-file", "/nowhere"], ["listen", "--secret", SECRET],
        ["add", "http://x/", "c", "--secret", SECRET], ["listen", "--status", "100"],
    ]) {
        const { code, stdout, stderr } = await run(t, ["webhook", ...args]);
        assert.equal(code, 2, `${args}: ${stderr}`);
        assert.equal(stdout, "");
        assert.match(stderr, /^freshet webhook: .+\nTry: freshet help webhook[ \w]*\n$/);
        assert.ok(!stderr.includes(SECRET), "a secret is not repeated");
    }
});

test("a server that is not there, and one that refuses, end it with 1 and a reason", async (t) => {
    const gone = await run(t, ["webhook", "ls", "--url", "http://127.0.0.1:9"]);
    assert.equal(gone.code, 1);
    assert.match(gone.stderr, /127\.0\.0\.1:9/);
    const server = await startServer(t);
    for (const args of [["show", "wh_nothing"], ["rm", "wh_nothing"], ["add", "ftp://x/", "c"]]) {
        const { code, stdout, stderr } = await webhook(t, server, args);
        assert.equal(code, 1, stderr);
        assert.equal(stdout, "");
        assert.match(stderr, /^freshet webhook: 40[04]: \S/);
    }
});

/* ---- what is said to the server ---- */

test("each verb is the request that the API has for it", async (t) => {
    const server = await stub(t, 200, { done: true });
    const expect = async (args, method, url, body) => {
        const { code, stderr } = await webhook(t, server, args, { env: { ...process.env, FRESHET_TOKEN: "t0k" } });
        assert.equal(code, 0, stderr);
        const got = server.requests.pop();
        assert.equal(`${got.method} ${got.url}`, `${method} ${url}`);
        assert.equal(got.headers.authorization, "Bearer t0k");
        assert.deepEqual(got.body === "" ? undefined : JSON.parse(got.body), body);
    };
    await expect(["ls"], "GET", "/webhooks");
    await expect(["show", "wh_1"], "GET", "/webhooks/wh_1");
    await expect(["show", "a/../b"], "GET", "/webhooks/a%2F..%2Fb");
    await expect(["rm", "wh_1"], "DELETE", "/webhooks/wh_1");
    for (const verb of ["pause", "resume", "ping", "rotate", "retry"]) {
        await expect([verb, "wh_1"], "POST", `/webhooks/wh_1/${verb}`);
    }
    await expect(["replay", "wh_1", "--after", "earliest"], "POST", "/webhooks/wh_1/replay", { after: "earliest" });
    await expect(["retry", "wh_1", "17"], "POST", "/webhooks/wh_1/deliveries/17/retry");
    await expect(["deliveries", "wh_1", "--state", "failed"], "GET", "/webhooks/wh_1/deliveries?state=failed");
    await expect(["add", "http://x/", "a", "b/**"], "POST", "/webhooks", { url: "http://x/", channels: ["a", "b/**"] });
    await expect([
        "add", "http://x/", "a", "--type", "t", "--type", "u", "--after", "earliest", "--description", 'say "hi"',
        "--header", "X-A: 1", "--header", "X-B:", "--secret-file", secretFile(t), "--batch", "10", "--unordered", "--asymmetric",
        "--format", "cloudevents", "--verify", "ping", "--set", 'x={"y":[1]}',
    ], "POST", "/webhooks", {
        url: "http://x/", channels: ["a"], types: ["t", "u"], after: "earliest", description: 'say "hi"',
        headers: { "X-A": "1", "X-B": "" }, secret: SECRET, batch: 10, ordered: false, asymmetric: true,
        format: "cloudevents", verify: "ping", x: { y: [1] },
    });
});

test("lists are printed a line an element", async (t) => {
    const server = await stub(t, 200, {
        webhooks: [{ id: "wh_1", state: "active", lag: 3, url: "http://x/", channels: ["a"] }, { id: "wh\n2" }],
        deliveries: [{ n: 1 }, { n: 2 }],
    });
    assert.equal((await webhook(t, server, ["ls"])).stdout,
        'wh_1\tactive\t3\thttp://x/\t["a"]\nwh 2\t-\t-\t-\t-\n');
    const json = (await webhook(t, server, ["ls", "--json"])).stdout.split("\n");
    assert.deepEqual(JSON.parse(json[0]).channels, ["a"]);
    assert.equal(json.length, 3);
    assert.equal((await webhook(t, server, ["deliveries", "wh_1"])).stdout, '{"n":1}\n{"n":2}\n');
});

test("deliveries are printed to the last page", async (t) => {
    const pages = {
        "/webhooks/wh_1/deliveries?state=failed": { deliveries: [{ n: 9 }, { n: 7 }], more: true, next: "?before=7&limit=2&state=failing&state=dead" },
        "/webhooks/wh_1/deliveries?before=7&limit=2&state=failing&state=dead": { deliveries: [], more: true, next: "?before=4&limit=2" },
        "/webhooks/wh_1/deliveries?before=4&limit=2": { deliveries: [{ n: 3 }], more: false },
    };
    const server = await stub(t, 200, (url) => pages[url]);
    assert.equal((await webhook(t, server, ["deliveries", "wh_1", "--state", "failed"])).stdout, '{"n":9}\n{"n":7}\n{"n":3}\n');
    assert.deepEqual(server.requests.map(({ url }) => url), Object.keys(pages));
});

test("all deliveries of a webhook are printed, however many pages they take", async (t) => {
    const server = await startServer(t);
    const receiver = await Receiver.start(t);
    const { id } = await told(t, server, ["add", receiver.url, "many"]);
    await publishMany(server, "many", 230);
    await receiver.events(230);
    await eventually(async () => (await webhook(t, server, ["deliveries", id])).stdout.trim().split("\n").length === 230, "230 lines");
});

test("an answer that is no JSON is no success", async (t) => {
    const server = http.createServer((req, res) => res.end("hello"));
    await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
    t.after(() => server.closeAllConnections?.() ?? server.close());
    const url = `http://127.0.0.1:${server.address().port}`;
    const { code, stderr } = await webhook(t, { url }, ["ls"]);
    server.close();
    assert.equal(code, 1);
    assert.match(stderr, /not JSON/);
});

/* ---- with the server ---- */

test("a webhook is added, listed, paused, resumed, rotated and deleted", async (t) => {
    const server = await startServer(t);
    const receiver = await Receiver.start(t);
    const made = await told(t, server, ["add", receiver.url, "a/**", "--description", "mine"]);
    assert.match(made.secret, /^whsec_/);
    assert.match((await webhook(t, server, ["ls"])).stdout, new RegExp(`^${made.id}\tactive\t0\t${receiver.url}\t`));
    assert.equal((await told(t, server, ["show", made.id])).description, "mine");
    assert.equal((await told(t, server, ["pause", made.id])).state, "paused");
    const ids = [(await publish(server, "a/1", "kept")).id];
    assert.equal((await told(t, server, ["resume", made.id])).state, "active");
    assert.deepEqual((await receiver.events(1)).map((event) => event.id), ids);
    const rotated = await told(t, server, ["rotate", made.id]);
    assert.match(rotated.secret, /^whsec_/);
    assert.notEqual(rotated.secret, made.secret);
    const { code, stdout } = await webhook(t, server, ["rm", made.id]);
    assert.deepEqual({ code, stdout }, { code: 0, stdout: "" });
    assert.equal((await webhook(t, server, ["ls"])).stdout, "");
});

test("listen verifies what the server signs and prints it, in order", async (t) => {
    const server = await startServer(t);
    const program = await listen(t, ["--secret-file", secretFile(t), "--count", "12"]);
    await told(t, server, ["add", program.url, "a", "--secret-file", secretFile(t)]);
    await program.delivered(1);
    const ids = await publishMany(server, "a", 11);
    const all = await program.delivered(12);
    assert.ok(all.every((one) => one.verified === true && one.answered === 204), JSON.stringify(all[0]));
    assert.deepEqual(all.slice(1).map((one) => one.body.id), ids);
    assert.equal((await program.exited).code, 0);
});

test("ping tells how the receiver answered", async (t) => {
    const server = await startServer(t);
    const program = await listen(t, ["--status", "503"]);
    const { id } = await told(t, server, ["add", program.url, "a"]);
    const answer = await told(t, server, ["ping", id]);
    assert.equal(answer.status, 503, JSON.stringify(answer));
});

test("deliveries are listed and sent again: one, or all from a position on", async (t) => {
    const server = await startServer(t);
    const program = await listen(t);
    const { id } = await told(t, server, ["add", program.url, "a"]);
    const ids = await publishMany(server, "a", 3);
    await program.delivered(4); /* with the first ping */
    const listed = await eventually(async () => {
        const { stdout } = await webhook(t, server, ["deliveries", id, "--state", "delivered"]);
        const lines = stdout.split("\n").filter(Boolean);
        return lines.length === 3 && lines.map((line) => JSON.parse(line));
    }, "the delivery log of three deliveries");
    await told(t, server, ["retry", id, String(listed[0].n)]);
    assert.ok(ids.includes((await program.delivered(5))[4].body.id));
    await told(t, server, ["replay", id, "--after", ids[0]]);
    assert.deepEqual((await program.delivered(7)).slice(5).map((one) => one.body.id), ids.slice(1));
    await told(t, server, ["retry", id]);
});

/* ---- the receiver by itself ---- */

test("a delivery not signed by the secret is answered 401 and reported as such", async (t) => {
    const program = await listen(t, [], { env: { FRESHET_WEBHOOK_SECRET: SECRET } });
    const other = new Webhook(`whsec_${Buffer.from("another one, of 24 bytes").toString("base64")}`);
    const own = new Webhook(SECRET);
    const send = (id, when, signature, body = '{"a":1}') => request(program.url, "POST", "/x?y=1", {
        body, headers: {
            "Content-Type": "application/json", "webhook-id": id, "webhook-timestamp": String(Math.floor(when / 1000)),
            "webhook-signature": signature,
        },
    });
    const now = new Date();
    const then = new Date(Date.now() - 400_000);
    assert.equal((await send("m1", now, own.sign("m1", now, '{"a":1}'))).status, 204);
    assert.equal((await send("m2", now, other.sign("m2", now, '{"a":1}'))).status, 401);
    assert.equal((await send("m3", now, own.sign("m3", now, '{"a":2}'))).status, 401);
    assert.equal((await send("m4", then, own.sign("m4", then, '{"a":1}'))).status, 401);
    assert.equal((await request(program.url, "POST", "/", { body: "{}" })).status, 401);
    const all = await program.delivered(5);
    assert.deepEqual(all.map((one) => one.verified), [true, false, false, false, false]);
    assert.deepEqual(all.map((one) => one.webhook_id), ["m1", "m2", "m3", "m4", undefined]);
    assert.deepEqual(all[0].body, { a: 1 });
    assert.equal(all[0].target, "/x?y=1");
    assert.match(all[3].why, /timestamp/);
    program.signal = program.child.kill("SIGTERM");
    assert.equal((await program.exited).code, 0);
});

test("any body is told on one line: JSON, text, bytes, chunks, nothing", async (t) => {
    const program = await listen(t);
    assert.match(program.err, /verifying nothing/);
    const post = (body, headers = {}) => request(program.url, "POST", "/", { body, headers });
    await post('{"a":\n 1}', { "Content-Type": "application/json" });
    await post("two\nlines");
    await post(Buffer.from([0xff, 0x00]));
    await post("");
    const chunked = await fetch(program.url, { method: "POST", duplex: "half", body: new Blob(["in ", "chunks"]).stream() });
    assert.equal(chunked.status, 204);
    const all = await program.delivered(5);
    assert.deepEqual(all.map((one) => one.body ?? one.text ?? one.body_base64), [{ a: 1 }, "two\nlines", "/wA=", undefined, "in chunks"]);
    assert.ok(all.every((one) => one.verified === undefined));
});

test("handshakes are answered as whoever asks wants it", async (t) => {
    const program = await listen(t);
    const slack = await request(program.url, "POST", "/", { body: { type: "url_verification", challenge: "3eZ" } });
    assert.deepEqual([slack.status, slack.text], [200, "3eZ"]);
    const intent = await request(program.url, "GET", "/?a=b&hub.mode=subscribe&hub.challenge=x%20y");
    assert.deepEqual([intent.status, intent.text], [200, "x y"]);
    const options = await request(program.url, "OPTIONS", "/");
    assert.equal(options.headers["webhook-allowed-origin"], "*");
    assert.equal((await request(program.url, "GET", "/")).status, 404);
});

test("bytes that are no HTTP are refused, and the next who comes is served", async (t) => {
    const program = await listen(t);
    const server = { port: Number(new URL(program.url).port) };
    const { RawConn } = await import("./support/raw.mjs");
    const conn = await RawConn.open(server.port);
    t.after(() => conn.destroy());
    await conn.send("this is no HTTP\r\n\r\n");
    const head = await conn.readHead();
    assert.equal(head.status, 400);
    assert.equal((await request(program.url, "POST", "/", { body: "x" })).status, 204);
});

test("listen ends when nobody reads what it prints", async (t) => {
    const program = await listen(t);
    program.child.stdout.destroy();
    await eventually(async () => {
        if (!program.end) {
            await request(program.url, "POST", "/", { body: "x", fresh: true }).catch(() => {});
        }
        return program.end;
    }, "listen to end");
    assert.equal(program.end.code, 0);
});
