// Challenges: what providers ask before they send webhooks, by the worked examples of docs/inbound.md, and what
// strangers must not get by them.

import assert from "node:assert/strict";
import { createHash, createHmac } from "node:crypto";
import fs from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { assertProblem, startServer, temporaryFolder, test } from "./support/index.mjs";
import { run } from "./support/program.mjs";

const DOCUMENT = path.join(path.dirname(fileURLToPath(import.meta.url)), "../../docs/inbound.md");

const hmac = (secret, text, encoding) => createHmac("sha256", secret).update(text).digest(encoding);
const nowS = () => Math.floor(Date.now() / 1000);

/* The variables of the document's examples. */
const ENV = {
    META_APP_SECRET: "the app's own secret", META_VERIFY_TOKEN: "meatyhamhock", DROPBOX_APP_SECRET: "dropbox secret",
    X_CONSUMER_SECRET: "MY SECRET", ZOOM_SECRET_TOKEN: "zoom secret", EBAY_VERIFICATION_TOKEN: "71745723-d031-455c-bfa5-f90d11b4f20a",
    PADDLE_SECRET: "pdl_ntfset_01gkpjp8bkm3tm53kdgkx6sms7_6h3qd3uFSi9YCD3OLYAShQI90XTI5vEI", GITHUB_SECRET: "github secret",
};

/** The sources of all examples of the document, as one configuration. */
function documented() {
    const blocks = fs.readFileSync(DOCUMENT, "utf8").matchAll(/^```yaml\n(.*?)^```/gms);
    return "inbound:\n" + [...blocks].map(([, block]) => block.replace(/^inbound:\n/, "")).join("");
}

const serve = (t) => startServer(t, { config: documented(), env: ENV });

function deliver(server, name, body, headers = {}, query = "") {
    return server.request("POST", `/inbound/${name}${query}`, { body, headers: { "Content-Type": "application/json", ...headers } });
}

function assertText(answer, text) {
    assert.equal(answer.status, 200, answer.text);
    assert.equal(answer.text, text);
    assert.match(answer.headers["content-type"], /^text\/plain\b/);
    assert.equal(answer.headers["x-content-type-options"], "nosniff");
}

function assertJson(answer, value) {
    assert.equal(answer.status, 200, answer.text);
    assert.deepEqual(answer.json(), value);
    assert.match(answer.headers["content-type"], /^application\/json\b/);
}

test("Meta: the token in a GET is sent back to who knows the verify token, and events are verified by the app's secret", async (t) => {
    const server = await serve(t);
    const ask = (query) => server.get(`/inbound/meta?${new URLSearchParams(query)}`);
    const right = { "hub.mode": "subscribe", "hub.challenge": "1158201444", "hub.verify_token": "meatyhamhock" };
    assertText(await ask(right), "1158201444");
    const head = await server.request("HEAD", `/inbound/meta?${new URLSearchParams(right)}`);
    assert.equal(head.status, 200);
    assert.equal(head.headers["content-length"], "10");
    for (const token of ["meatyhamhoc", "", "the app's own secret"]) {
        assert.match(assertProblem(await ask({ ...right, "hub.verify_token": token }), 403).type, /bad-signature$/);
    }
    assertProblem(await ask({ ...right, "hub.mode": "unsubscribe" }), 400);
    assertProblem(await server.get("/inbound/meta"), 400);
    const body = '{"object":"page","entry":[]}';
    assert.equal((await deliver(server, "meta", body, { "X-Hub-Signature-256": `sha256=${hmac(ENV.META_APP_SECRET, body, "hex")}` })).status, 201);
    assertProblem(await deliver(server, "meta", body, { "X-Hub-Signature-256": `sha256=${hmac(ENV.META_VERIFY_TOKEN, body, "hex")}` }), 403);
    assert.equal((await server.history("meta")).length, 1);
});

test("Dropbox: the token in a GET is sent back to anybody, as text that no browser takes for a page", async (t) => {
    const server = await serve(t);
    assertText(await server.get("/inbound/dropbox?challenge=abc123"), "abc123");
    assertText(await server.get(`/inbound/dropbox?challenge=${encodeURIComponent("<script>1</script>")}`), "<script>1</script>");
    assertProblem(await server.get(`/inbound/dropbox?challenge=${"a".repeat(1025)}`), 400);
    assertProblem(await server.get("/inbound/dropbox?challenge=a%0d%0ab"), 400);
    const body = '{"list_folder":{"accounts":["dbid:1"]}}';
    assert.equal((await deliver(server, "dropbox", body, { "X-Dropbox-Signature": hmac(ENV.DROPBOX_APP_SECRET, body, "hex") })).status, 201);
});

test("X: the HMAC of the token, base64 in JSON; and nobody gets an event signed by it", async (t) => {
    const server = await serve(t);
    const ask = (token) => server.get(`/inbound/x?crc_token=${encodeURIComponent(token)}&nonce=1`);
    assertJson(await ask("some_crc_token"), { response_token: "sha256=9UMMxS5wsjv6y0qcP/D/9KGmaIoodHyzAIsIQCWmmYQ=" });
    const send = (body, signature) => deliver(server, "x", body, { "X-Twitter-Webhooks-Signature": signature, "Content-Type": "text/plain" });
    const event = '{"for_user_id":"1"}';
    assert.equal((await send(event, `sha256=${hmac(ENV.X_CONSUMER_SECRET, event, "base64")}`)).status, 201);
    for (const forged of [event, "{}", '"text"', "[1]", "a b", "true", "17", "null", "dGV4dA==", "a-b_c.d~e"]) {
        const answer = await ask(forged);
        const signature = answer.status === 200 ? answer.json().response_token : `sha256=${"A".repeat(43)}=`;
        assertProblem(await send(forged, signature), 403);
    }
    assertProblem(await send("", `sha256=${hmac(ENV.X_CONSUMER_SECRET, "", "base64")}`), 403);
    assert.equal((await server.history("x")).length, 1);
});

test("Zoom: the token in a signed POST is sent back with its HMAC, and is no event", async (t) => {
    const server = await serve(t);
    const send = (body, at = nowS()) => deliver(server, "zoom", body, {
        "x-zm-request-timestamp": String(at), "x-zm-signature": `v0=${hmac(ENV.ZOOM_SECRET_TOKEN, `v0:${at}:${body}`, "hex")}`,
    });
    const question = '{"payload":{"plainToken":"qgg8vlvZRS6UYooatFL8Aw"},"event_ts":1654503849680,"event":"endpoint.url_validation"}';
    assertJson(await send(question), {
        plainToken: "qgg8vlvZRS6UYooatFL8Aw", encryptedToken: hmac(ENV.ZOOM_SECRET_TOKEN, "qgg8vlvZRS6UYooatFL8Aw", "hex"),
    });
    assertProblem(await send(question, nowS() - 301), 403);
    assertProblem(await deliver(server, "zoom", question), 403);
    assert.equal((await server.get("/inbound/zoom")).status, 405);
    assert.deepEqual(await server.history("zoom"), []);
    assert.equal((await send('{"event":"meeting.started","payload":{"plainToken":"x"}}')).status, 201);
    assert.deepEqual((await server.history("zoom")).map(({ type }) => type), ["zoom.meeting.started"]);
});

test("eBay: a hash of the token, a secret and the URL", async (t) => {
    const server = await serve(t);
    const code = "a8628072-3d33-45ee-9004-bee86830a22d";
    const url = /\{secret\}(https:\/\/[^"]+)/.exec(documented())[1];
    const hash = createHash("sha256").update(code + ENV.EBAY_VERIFICATION_TOKEN + url).digest("hex");
    assertJson(await server.get(`/inbound/ebay?challenge_code=${code}`), { challengeResponse: hash });
    assertProblem(await server.get("/inbound/ebay?challenge_code=%7B%7D"), 400);
});

test("Microsoft Graph: the token in the query of a POST is sent back decoded", async (t) => {
    const server = await serve(t);
    const token = "Validation: Testing client application reachability for subscription Request-Id: 522a8e7e";
    assertText(await deliver(server, "graph", "", {}, `?validationToken=${encodeURIComponent(token)}`), token);
    assert.deepEqual(await server.history("graph"), []);
    assert.equal((await deliver(server, "graph", '{"value":[{"subscriptionId":"1"}]}')).status, 201);
    assert.equal((await server.history("graph")).length, 1);
});

test("Paddle: a header of pairs, with one signature or several, in one line or in more", async (t) => {
    const server = await serve(t);
    let n = 0;
    const send = (header) => {
        const at = nowS();
        const body = JSON.stringify({ event_id: `evt_${n++}`, event_type: "transaction.completed" });
        const sign = (secret) => hmac(secret, `${at}:${body}`, "hex");
        return deliver(server, "paddle", body, { "Paddle-Signature": header(at, sign) });
    };
    for (const header of [
        (at, sign) => `ts=${at};h1=${sign(ENV.PADDLE_SECRET)}`,
        (at, sign) => `ts=${at};h1=${sign("another")};h1=${sign(ENV.PADDLE_SECRET)}`,
        (at, sign) => `ts=${at}; h1=${sign(ENV.PADDLE_SECRET)}, h2=00`,
        (at, sign) => [`ts=${at};h1=${sign("another")}`, `ts=${at};h1=${sign(ENV.PADDLE_SECRET)}`],
    ]) {
        const answer = await send(header);
        assert.equal(answer.status, 201, answer.text);
    }
    for (const header of [
        (at, sign) => `ts=${at};h1=${sign("another")}`,
        (at, sign) => `ts=${at - 1};h1=${sign(ENV.PADDLE_SECRET)}`,
        (at, sign) => `h1=${sign(ENV.PADDLE_SECRET)}`,
        (at) => `ts=${at}`,
        (at, sign) => `ts=${at};v1=${sign(ENV.PADDLE_SECRET)}`,
        (at, sign) => `t=${at},v1=${sign(ENV.PADDLE_SECRET)}`,
    ]) {
        assertProblem(await send(header), 403);
    }
    assert.deepEqual((await server.history("paddle")).map(({ type }) => type), Array(4).fill("paddle.transaction.completed"));
});

test("several signatures of one sender: joined by commas, or in lines of their own", async (t) => {
    const server = await serve(t);
    const body = "{}";
    const old = `sha256=${hmac("older", body, "hex")}`;
    const right = `sha256=${hmac(ENV.GITHUB_SECRET, body, "hex")}`;
    let n = 0;
    const send = (signature) => deliver(server, "github", body, { "X-Hub-Signature-256": signature, "X-GitHub-Delivery": String(n++) });
    for (const signature of [right, `${old},${right}`, `${right}, ${old}`, [old, right], [right, old], [`${old}, ${old}`, right]]) {
        assert.equal((await send(signature)).status, 201, String(signature));
    }
    for (const signature of [old, `${old},${old}`, [old, old], "", ",", right.slice(7), `${right}0`, `${old}${right}`]) {
        assertProblem(await send(signature), 403);
    }
});

test("a source without a challenge takes no GET, and an unknown one is not there", async (t) => {
    const server = await serve(t);
    const answer = await server.get("/inbound/github?challenge=1");
    assertProblem(answer, 405);
    assert.match(answer.headers.allow, /^POST\b/);
    assertProblem(await server.get("/inbound/nobody?challenge=1"), 404);
});

test("a challenge that cannot be is refused at the start, with its line, and no secret is told", async (t) => {
    const dir = temporaryFolder(t);
    const file = path.join(dir, "freshet.yaml");
    const SECRET = "a-secret-of-this-test";
    for (const [challenge, why] of [
        ["{method: PUT, value: '{query.a}'}", /method/],
        ["{method: GET}", /value/],
        ["{method: GET, value: '{query.a}', hash: md5}", /hash/],
        ["{method: GET, value: '{query.a}', proof: '{query.b}'}", /proof/],
        [`{method: GET, value: '{query.a}', secret: ${SECRET}}`, /secret/],
        [`{method: GET, value: '{query.a}', proof: '{query.b}', secret: ${SECRET.repeat(60)}}`, /secret/],
        ["{method: GET, value: '{query.a}', proof: '{query.b}', secret: 'env:NOT_THERE_AT_ALL'}", /NOT_THERE_AT_ALL/],
        ["{method: GET, value: '{query.a}', proof: '{query.b}', secret: 'file:/nowhere/at/all'}", /\/nowhere/],
        ["{method: GET, value: '{query.a}', json: 'a={secret}'}", /json/],
        ["{method: GET, value: '{query.a}', surprise: 1}", /surprise/],
        ["{method: GET, value: '{query.a}', when: }", /when/],
        ["[GET]", /challenge/],
    ]) {
        fs.writeFileSync(file, `inbound:\n  - source: x\n    kind: hmac\n    secrets: [${SECRET}]\n    challenge: ${challenge}\n`);
        const { code, stderr } = await run(t, ["check", "--config", file]);
        assert.equal(code, 2, `${challenge}: ${stderr}`);
        assert.match(stderr, why);
        assert.match(stderr, /:5\b/, "the line is not told");
        assert.ok(!stderr.includes(SECRET), "the secret is told");
    }
});
