// WebSub: the hub at /hub, by the cases of websub.rocks (100 to 106) and by what these leave out:
// expiry, renewals that fail, denial, queries of callbacks.

import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import { assertProblem, deadline, eventually, parseLinks, publish, startServer, sideBySide } from "./support/index.mjs";
import { Subscriber } from "./support/subscriber.mjs";

const { bothStores, test } = sideBySide(6);

function topicOf(server, channel) {
    return `${server.url}/topics/${channel}`;
}

/** What a subscriber sends to the hub. */
function ask(server, mode, parameters) {
    const form = new URLSearchParams({ "hub.mode": mode });
    for (const [name, value] of Object.entries(parameters)) {
        form.append(name.includes(".") || name === "foo" ? name : `hub.${name}`, value);
    }
    return server.request("POST", "/hub", {
        body: form.toString(), headers: { "Content-Type": "application/x-www-form-urlencoded" },
    });
}

/** The subscriptions that the server has. */
async function subscriptions(server) {
    return (await server.get("/webhooks")).json().webhooks.filter(({ topic }) => topic !== undefined);
}

/** Subscribes and waits until that is in force; answers the question that the subscriber was asked. */
async function subscribe(server, subscriber, channel, more = {}) {
    const before = (await subscriptions(server)).map(({ id, lease_until }) => id + lease_until).join();
    const asked = subscriber.asked.length;
    const answer = await ask(server, "subscribe", { callback: subscriber.url, topic: topicOf(server, channel), ...more });
    assert.equal(answer.status, 202, answer.text);
    const question = await subscriber.question(asked);
    await eventually(async () =>
        (await subscriptions(server)).map(({ id, lease_until }) => id + lease_until).join() !== before, "the subscription");
    return question;
}

function assertDistributed(server, channel, got, body, type) {
    assert.equal(got.bytes.toString(), body);
    assert.equal(got.headers["content-type"], type);
    const links = parseLinks(got.headers.link);
    assert.equal(links.find(({ rel }) => rel === "hub").href, `${server.url}/hub`);
    assert.equal(links.find(({ rel }) => rel === "self").href, topicOf(server, channel));
    assert.ok(!Object.keys(got.headers).some((name) => name.startsWith("webhook-")), "not a webhook of ours");
}

bothStores("100: a subscriber is asked, and sent what is published from then on", async (t, server) => {
    const subscriber = await Subscriber.start(t);
    await publish(server, "news", "before");
    const question = await subscribe(server, subscriber, "news");
    assert.equal(question.mode, "subscribe");
    assert.equal(question.topic, topicOf(server, "news"));
    assert.ok(question.challenge.length >= 16);
    assert.equal(question.lease, "864000");
    await publish(server, "news", "hello");
    await publish(server, "other", "not this");
    await publish(server, "news", "again");
    const first = await subscriber.distribution(0);
    assertDistributed(server, "news", first, "hello", "text/plain; charset=utf-8");
    assert.equal(first.headers["x-hub-signature"], undefined, "signed although no secret was given");
    assertDistributed(server, "news", await subscriber.distribution(1), "again", "text/plain; charset=utf-8");
});

test("101: with a secret what is sent is signed by it, byte for byte", async (t) => {
    const server = await startServer(t);
    const subscriber = await Subscriber.start(t);
    await subscribe(server, subscriber, "news", { secret: "s3cr3t-websub" });
    await publish(server, "news", "hello\n");
    const { headers } = await subscriber.distribution(0);
    assert.equal(headers["x-hub-signature"], "sha256=374816c5b7413e4a2964d2734b52b4f60b977d0035cb7458b8cc06ff5a51e4f9");
    await publish(server, "news", Buffer.from([0, 255, 10]), { "Content-Type": "image/x-odd" });
    const odd = await subscriber.distribution(1);
    assert.deepEqual([...odd.bytes], [0, 255, 10]);
    assert.equal(odd.headers["content-type"], "image/x-odd");
    assert.equal(odd.headers["x-hub-signature"], `sha256=${createHmac("sha256", "s3cr3t-websub").update(odd.bytes).digest("hex")}`);
});

test("102: parameters that are not known are passed over", async (t) => {
    const server = await startServer(t);
    const subscriber = await Subscriber.start(t);
    await subscribe(server, subscriber, "news", { foo: "bar", "hub.verify": "sync" });
    await publish(server, "news", "hello");
    await subscriber.distribution(0);
});

test("103: who subscribes again is asked again, stays one subscription, and its secret is the new one", async (t) => {
    const server = await startServer(t);
    const subscriber = await Subscriber.start(t);
    await subscribe(server, subscriber, "news", { lease_seconds: 1000, secret: "old" });
    const [{ id }] = await subscriptions(server);
    assert.equal((await subscribe(server, subscriber, "news", { lease_seconds: 2000, secret: "new" })).lease, "2000");
    const all = await subscriptions(server);
    assert.deepEqual(all.map((one) => one.id), [id]);
    await publish(server, "news", "hello");
    const { headers, bytes } = await subscriber.distribution(0);
    assert.equal(headers["x-hub-signature"], `sha256=${createHmac("sha256", "new").update(bytes).digest("hex")}`);
    await subscribe(server, subscriber, "news", { lease_seconds: 3000 });
    await publish(server, "news", "unsigned");
    assert.equal((await subscriber.distribution(1)).headers["x-hub-signature"], undefined);
    assert.equal(subscriber.sent.length, 2);
});

test("104: who unsubscribes is asked, and sent nothing more; without its word nothing changes", async (t) => {
    const server = await startServer(t);
    const subscriber = await Subscriber.start(t);
    const other = await Subscriber.start(t);
    await subscribe(server, subscriber, "news");
    await subscribe(server, other, "news");
    const unsubscribe = () => ask(server, "unsubscribe", { callback: subscriber.url, topic: topicOf(server, "news"), lease_seconds: "x" });
    subscriber.confirms = () => ({ status: 404 });
    assert.equal((await unsubscribe()).status, 202);
    const question = await subscriber.question(1);
    assert.equal(question.mode, "unsubscribe");
    assert.equal(question.lease, undefined);
    await publish(server, "news", "still");
    await subscriber.distribution(0);
    subscriber.confirms = ({ challenge }) => ({ status: 200, body: challenge });
    assert.equal((await unsubscribe()).status, 202);
    await eventually(async () => (await subscriptions(server)).length === 1, "the subscription to go");
    await publish(server, "news", "no more");
    await other.distribution(1);
    assert.equal(subscriber.sent.length, 1);
    assert.ok(!subscriber.asked.some(({ mode }) => mode === "denied"));
});

for (const [n, body, type, sentAs] of [
    [105, "just text\r\nof two lines", "text/plain", "text/plain; charset=utf-8"],
    [106, '{"b":1.50,"a":[1e400]}', "application/json", "application/json"],
]) {
    test(`${n}: a topic of ${type} is sent as a GET of it answers: the same bytes, type and links`, async (t) => {
        const server = await startServer(t);
        const subscriber = await Subscriber.start(t);
        await subscribe(server, subscriber, "a/b%20c");
        await publish(server, "a/b c", body, { "Content-Type": type });
        const got = await subscriber.distribution(0);
        assertDistributed(server, "a/b%20c", got, body, sentAs);
        const topic = await server.get("/topics/a/b%20c");
        assert.equal(topic.status, 200);
        assert.equal(topic.text, body);
        assert.equal(topic.headers["content-type"], sentAs);
        const links = parseLinks(topic.headers.link);
        assert.equal(new URL(links.find(({ rel }) => rel === "hub").href, server.url).href, `${server.url}/hub`);
        assert.equal(new URL(links.find(({ rel }) => rel === "self").href, server.url).href, topicOf(server, "a/b%20c"));
    });
}

bothStores("a topic is the newest event of its channel, and there is none where there is no event", async (t, server) => {
    assertProblem(await server.get("/topics/news"), 404);
    assertProblem(await server.get("/topics/a//b"), 400);
    await publish(server, "news", "one");
    const { id } = await publish(server, "news", "two");
    await publish(server, "other", "three");
    const answer = await server.get("/topics/news");
    assert.equal(answer.text, "two");
    assert.equal(answer.headers.etag, `"${id}"`);
    assert.equal((await server.request("HEAD", "/topics/news")).headers["content-length"], "3");
});

test("reads of a channel tell the hub and the topic", async (t) => {
    const server = await startServer(t);
    await publish(server, "a/b c", "x");
    const links = parseLinks((await server.get("/channels/a/b%20c")).headers.link);
    assert.equal(links.find(({ rel }) => rel === "hub").href, "/hub");
    assert.equal(links.find(({ rel }) => rel === "self").href, "/topics/a/b%20c");
});

test("the URL of the channel is a topic as well, and is what the subscriber is told", async (t) => {
    const server = await startServer(t);
    const subscriber = await Subscriber.start(t);
    const topic = `${server.url}/channels/news`;
    await subscribe(server, subscriber, "news", { topic });
    await publish(server, "news", "hello");
    assert.ok((await subscriber.distribution(0)).headers.link.includes(`<${topic}>; rel="self"`));
});

test("the query of a callback is kept in questions and distributions, and ours follows it", async (t) => {
    const server = await startServer(t);
    const subscriber = await Subscriber.start(t);
    subscriber.url += "?a=b&hub.mode=mine&c";
    const { query, mode } = await subscribe(server, subscriber, "news");
    assert.deepEqual(query.slice(0, 4), [["a", "b"], ["hub.mode", "mine"], ["c", ""], ["hub.mode", "subscribe"]]);
    assert.equal(mode, "subscribe");
    await publish(server, "news", "hello");
    assert.equal((await subscriber.distribution(0)).path, "/callback?a=b&hub.mode=mine&c");
});

for (const [how, confirm] of Object.entries({
    "another text": ({ challenge }) => ({ status: 200, body: `${challenge}x` }),
    "nothing": () => ({ status: 200 }),
    "404": ({ challenge }) => ({ status: 404, body: challenge }),
    "a redirect": ({ challenge }) => ({ status: 302, body: challenge, headers: { Location: "/elsewhere" } }),
})) {
    test(`a subscriber that answers ${how} is none, and a renewal that fails so leaves all as it was`, async (t) => {
        const server = await startServer(t);
        const subscriber = await Subscriber.start(t);
        const other = await Subscriber.start(t);
        subscriber.confirms = confirm;
        const request = { callback: subscriber.url, topic: topicOf(server, "news") };
        assert.equal((await ask(server, "subscribe", request)).status, 202);
        await subscriber.question(0);
        await subscribe(server, other, "news");
        assert.equal((await subscriptions(server)).length, 1);
        subscriber.confirms = ({ challenge }) => ({ status: 200, body: challenge });
        await subscribe(server, subscriber, "news", { secret: "first", lease_seconds: 1000 });
        const before = (await subscriptions(server)).map(({ lease_until }) => lease_until);
        subscriber.confirms = confirm;
        assert.equal((await ask(server, "subscribe", { ...request, "hub.secret": "second" })).status, 202);
        await subscriber.question(2);
        await publish(server, "news", "hello");
        const { headers, bytes } = await subscriber.distribution(0);
        assert.equal(headers["x-hub-signature"], `sha256=${createHmac("sha256", "first").update(bytes).digest("hex")}`);
        assert.deepEqual((await subscriptions(server)).map(({ lease_until }) => lease_until), before);
        assert.ok(!subscriber.asked.some(({ path }) => path === "/elsewhere"), "a redirect was followed");
    });
}

bothStores("a lease ends, and with it the subscription; what is renewed goes on", async (t, server) => {
    const subscriber = await Subscriber.start(t);
    const lasting = await Subscriber.start(t);
    await subscribe(server, lasting, "news", { lease_seconds: 8 });
    await subscribe(server, lasting, "news", { lease_seconds: 1000 });
    /* When this one has ended, so would have the other's first. */
    assert.equal((await subscribe(server, subscriber, "news", { lease_seconds: 9 })).lease, "9");
    await eventually(async () => (await subscriptions(server)).length === 1, "the lease to end");
    await publish(server, "news", "after");
    await lasting.distribution(0);
    assert.equal(subscriber.sent.length, 0);
});

test("a subscription survives a kill -9, and one whose lease ended meanwhile does not", async (t) => {
    const server = await startServer(t, { data: true });
    const subscriber = await Subscriber.start(t);
    const topic = topicOf(server, "news");
    await subscribe(server, subscriber, "news", { secret: "kept" });
    const [{ id, lease_until }] = await subscriptions(server);
    await server.restart();
    const [after] = await subscriptions(server);
    assert.deepEqual([after.id, after.lease_until, after.topic], [id, lease_until, topic]);
    await publish(server, "news", "hello");
    const { headers, bytes } = await subscriber.distribution(0);
    assert.equal(headers["x-hub-signature"], `sha256=${createHmac("sha256", "kept").update(bytes).digest("hex")}`);
    const short = await Subscriber.start(t);
    await subscribe(server, short, "news", { lease_seconds: 8 });
    const ends = Date.now() + 8000; /* at the latest */
    await server.kill();
    await eventually(() => Date.now() > ends, "the lease to end");
    await server.start();
    await eventually(async () => (await subscriptions(server)).length === 1, "the lease to be seen as ended");
});

test("a subscription that the operator deletes is denied, with a reason", async (t) => {
    const server = await startServer(t);
    const subscriber = await Subscriber.start(t);
    await subscribe(server, subscriber, "news");
    const [{ id }] = await subscriptions(server);
    assert.equal((await server.request("DELETE", `/webhooks/${id}`)).status, 204);
    const { mode, topic, reason, challenge } = await subscriber.question(1);
    assert.equal(mode, "denied");
    assert.equal(topic, topicOf(server, "news"));
    assert.match(reason, /deleted/);
    assert.equal(challenge, undefined);
});

for (const limit of ["endpoints_max", "subject_endpoints_max"]) test(`a subscriber beyond ${limit} is denied, with a reason`, async (t) => {
    const server = await startServer(t, { config: `webhooks:\n  ${limit}: 1\n` });
    const subscriber = await Subscriber.start(t);
    const late = await Subscriber.start(t);
    await subscribe(server, subscriber, "news");
    assert.equal((await ask(server, "subscribe", { callback: late.url, topic: topicOf(server, "news") })).status, 202);
    const { mode, reason } = await late.question(1);
    assert.equal(mode, "denied");
    assert.match(reason, /as many subscribers/);
    assert.equal((await subscribe(server, subscriber, "news", { lease_seconds: 5000 })).lease, "5000", "a renewal is none more");
});

test("a subscriber that does not answer holds up neither others nor the end of the server", async (t) => {
    const server = await startServer(t, { data: true });
    const silent = await Subscriber.start(t);
    const heard = new Promise((resolve) => {
        silent.http.removeAllListeners("request");
        silent.http.on("request", resolve); /* and no answer */
    });
    const subscriber = await Subscriber.start(t);
    assert.equal((await ask(server, "subscribe", { callback: silent.url, topic: topicOf(server, "news") })).status, 202);
    await deadline(heard, "the question");
    await subscribe(server, subscriber, "news");
    await publish(server, "news", "hello");
    await subscriber.distribution(0);
    assert.deepEqual(await server.terminate(), { code: 0, signal: null });
});

test("a distribution that fails is repeated, and the next goes out after it", async (t) => {
    const server = await startServer(t);
    const subscriber = await Subscriber.start(t);
    subscriber.accepts = () => (subscriber.sent.length === 1 ? 500 : 200);
    await subscribe(server, subscriber, "news");
    await publish(server, "news", "one");
    await subscriber.distribution(0);
    await publish(server, "news", "two");
    await subscriber.distribution(2);
    assert.deepEqual(subscriber.sent.map(({ bytes }) => bytes.toString()), ["one", "one", "two"]);
});

test("trimmed events are no gap to a WebSub subscriber: a topic is its newest state", async (t) => {
    const server = await startServer(t);
    const subscriber = await Subscriber.start(t);
    await subscribe(server, subscriber, "news");
    const [{ id }] = await subscriptions(server);
    await server.request("POST", `/webhooks/${id}/pause`);
    await publish(server, "news", "gone");
    assert.equal((await server.request("DELETE", "/channels/news")).status, 204);
    await publish(server, "news", "here");
    await server.request("POST", `/webhooks/${id}/resume`);
    await subscriber.distribution(0);
    assert.deepEqual(subscriber.sent.map(({ bytes }) => bytes.toString()), ["here"]);
    assertProblem(await server.request("POST", `/webhooks/${id}/ping`), 400);
});

test("a publisher may name its topic by either parameter", async (t) => {
    const server = await startServer(t);
    for (const name of ["topic", "url"]) {
        assert.equal((await ask(server, "publish", { [name]: topicOf(server, "news") })).status, 202);
    }
    assertProblem(await ask(server, "publish", { topic: "http://elsewhere.example/" }), 400);
});

test("a request that is none is refused with a reason", async (t) => {
    const server = await startServer(t);
    const topic = topicOf(server, "news");
    const callback = "http://127.0.0.1:9/";
    for (const [mode, parameters, about] of [
        ["retrieve", { callback, topic }, /hub\.mode/],
        ["subscribe", { callback }, /hub\.topic/],
        ["subscribe", { topic }, /hub\.callback/],
        ["subscribe", { topic: `${server.url}/events`, callback }, /hub\.topic/],
        ["subscribe", { topic: `${topic}>; rel="x`, callback }, /hub\.topic/],
        ["subscribe", { topic, callback: "file:///etc/passwd" }, /hub\.callback/],
        ["subscribe", { topic, callback, secret: "x".repeat(200) }, /hub\.secret/],
        ["subscribe", { topic, callback, lease_seconds: "long" }, /hub\.lease_seconds/],
    ]) {
        assertProblem(await ask(server, mode, parameters), 400, about);
    }
    const forbidden = assertProblem(await ask(server, "subscribe", { topic, callback: "http://169.254.169.254/" }), 403);
    assert.match(forbidden.type, /forbidden-target$/);
    assert.equal((await server.get("/hub")).status, 405);
    assert.deepEqual(await subscriptions(server), []);
});

test("the log says why a subscription came to nothing, and does not let strangers fill it", async (t) => {
    const server = await startServer(t);
    const subscriber = await Subscriber.start(t);
    const callback = subscriber.url;
    const topic = topicOf(server, "news");
    const refusals = () => server.err.split("\n").filter((line) => line.includes("event=websub_refused"));
    const refused = async (mode, parameters, ...expected) => {
        const before = refusals().length;
        const { status } = await ask(server, mode, parameters);
        assert.ok([202, 400, 403].includes(status));
        await eventually(() => refusals().length > before, "the line");
        for (const text of expected) {
            assert.match(refusals().at(-1), text);
        }
    };
    subscriber.confirms = () => ({ status: 404 });
    await refused("subscribe", { callback, topic }, /mode=subscribe/, /status=404/, /2xx/, /callback="http:\/\/127/, /\/topics\/news"/);
    subscriber.confirms = () => ({ status: 200, body: "something else" });
    await refused("unsubscribe", { callback, topic }, /mode=unsubscribe/, /status=200/, /not the challenge/);
    await refused("subscribe", { callback: "http://127.0.0.1:1/", topic }, /status=0/, /detail="[^"]+"/);
    await refused("subscribe", { callback: "http://169.254.169.254/", topic }, /public addresses/);
    await refused("subscribe", { callback, topic: `${server.url}/nowhere` }, /hub\.topic/);
    await refused("subscribe", { callback: "file:///x\n level=error event=forged", topic }, /hub\.callback/);
    assert.ok(!/^.*level=error event=forged/m.test(server.err.replaceAll(/"[^"]*"/g, "")), "a line was forged");
    const many = 300;
    for (let n = 0; n < many; n++) {
        assertProblem(await ask(server, "retrieve", { callback, topic }), 400);
    }
    assert.ok(refusals().length < many / 2, `${refusals().length} lines`);
    await eventually(async () => {
        await ask(server, "retrieve", { callback, topic });
        return refusals().some((line) => Number(/left_out=(\d+)/.exec(line)[1]) > 0);
    }, "the number of those that were left out");
});

test("leases are moved into their bounds, not refused", async (t) => {
    const server = await startServer(t, { config: "websub: {lease_s: 2h, lease_least_s: 10m, lease_most_s: 1d}\n" });
    const subscriber = await Subscriber.start(t);
    const lease = async (lease_seconds) => (await subscribe(server, subscriber, "news", lease_seconds === undefined ? {} : { lease_seconds })).lease;
    for (const [asked, granted] of [
        [undefined, "7200"], ["0", "7200"], ["1", "600"], ["599", "600"], ["601", "601"], ["86400", "86400"], ["86401", "86400"],
        ["99999999999999999999999999", "86400"],
    ]) {
        assert.equal(await lease(asked), granted, `asked for ${asked}`);
    }
    for (const asked of ["-1", "1.5", "1d", " 1"]) {
        assertProblem(await ask(server, "subscribe", { callback: subscriber.url, topic: topicOf(server, "news"), lease_seconds: asked }), 400);
    }
});

bothStores("If-None-Match of a topic answers 304 until there is a newer event", async (t, server) => {
    await publish(server, "news", "one");
    const { headers: { etag, link } } = await server.get("/topics/news");
    for (const known of [etag, `W/${etag}`, `"other", ${etag}`, "*"]) {
        for (const method of ["GET", "HEAD"]) {
            const answer = await server.request(method, "/topics/news", { headers: { "If-None-Match": known } });
            assert.equal(answer.status, 304, known);
            assert.equal(answer.text, "");
            assert.equal(answer.headers.etag, etag);
            assert.equal(answer.headers.link, link);
            assert.equal(answer.headers["content-type"], undefined);
        }
    }
    for (const unknown of ['"other"', etag.slice(1, -1), etag.replace('"', '"0'), "", `${etag} x`]) {
        assert.equal((await server.get("/topics/news", { "If-None-Match": unknown })).status, 200, unknown);
    }
    await publish(server, "news", "two");
    const answer = await server.get("/topics/news", { "If-None-Match": etag });
    assert.equal(answer.status, 200);
    assert.equal(answer.text, "two");
    assertProblem(await server.get("/topics/other", { "If-None-Match": "*" }), 404);
});

for (const type of ["application/ld+json", 'application/activity+json; profile="https://example.org/x"', "application/problem+JSON"]) {
    bothStores(`${type} is kept as it came: in the topic, in distributions, webhooks and pages`, async (t, server) => {
        const subscriber = await Subscriber.start(t);
        const body = '{"@id": 1}';
        await subscribe(server, subscriber, "news");
        const hook = await server.request("POST", "/webhooks", { body: { url: `${subscriber.origin}/hook`, channels: ["news"], format: "data" } });
        assert.equal(hook.status, 201);
        await publish(server, "news", body, { "Content-Type": type });
        await subscriber.until(() => subscriber.sent.filter(({ bytes }) => bytes.toString() === body).length === 2, "both deliveries");
        for (const { headers } of subscriber.sent.filter(({ bytes }) => bytes.toString() === body)) {
            assert.equal(headers["content-type"], type);
        }
        const topic = await server.get("/topics/news");
        assert.equal(topic.headers["content-type"], type);
        assert.equal(topic.text, body);
        const [event] = await server.history("news");
        assert.equal(event.content_type, type);
        assert.deepEqual(event.data, { "@id": 1 });
        assert.ok(!("data_base64" in event));
        const many = await server.request("POST", "/events", { body: [{ channel: "many", data: { a: 1 }, content_type: type }, { channel: "many", data: { a: 1 } }] });
        assert.equal(many.status, 201, many.text);
        assert.deepEqual((await server.history("many")).map(({ content_type }) => content_type), [type, undefined]);
    });
}

test("plain JSON and text have no type beside their data", async (t) => {
    const server = await startServer(t);
    for (const type of ["application/json", "application/json; charset=utf-8", "text/html", "text/plain"]) {
        await publish(server, "plain", '{"a":1}', { "Content-Type": type });
    }
    for (const event of await server.history("plain")) {
        assert.ok(!("content_type" in event), JSON.stringify(event));
    }
    assert.equal((await server.get("/topics/plain")).headers["content-type"], "text/plain; charset=utf-8");
});
