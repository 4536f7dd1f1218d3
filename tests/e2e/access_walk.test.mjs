// Every way in, with keys for every action on some channels, against a model that is written down here: who may do what
// is the same by HTTP, by WebSocket, in history, by cursor and by pattern. The list of ways is held against the paths
// that the server itself names.

import assert from "node:assert/strict";
import { request, startServer, test } from "./support/index.mjs";
import { run } from "./support/program.mjs";
import { Socket } from "./support/ws.mjs";

const ACTIONS = ["read", "publish", "presence", "webhooks", "admin"];
const RULES = `
webhooks: {allow: [127.0.0.1]}
access: {anybody: []}
namespaces:
  - prefix: open
    access: {anybody: [read]}
  - prefix: members
    access: {authenticated: [publish]}
`;

/** A server with a key that may do everything, and a way to make others. */
async function start(t, { config = "", ...options } = {}) {
    const { stdout, stderr } = await run(t, ["key", "generate"]);
    const [hash] = /fk_\w+:\w+/.exec(stderr);
    const all = `{channels: ["**", "$webhooks/**"], may: [${ACTIONS}]}`;
    const server = await startServer(t, { ...options, config: `${config}${RULES}keys: [{name: root, key: "${hash}", grants: [${all}]}]\n` });
    const root = stdout.trimEnd();
    const make = async (name, grants) => {
        const made = await server.request("POST", "/keys", {
            headers: bearer(root), body: JSON.stringify({ name, grants }),
        });
        assert.equal(made.status, 201, made.bytes.toString());
        return made.json().key;
    };
    return { server, root, make };
}

function bearer(key) {
    return key ? { Authorization: `Bearer ${key}` } : {};
}

/* The ways, by the path and method that GET / names. `on` is what is asked for; `**` the whole server. */
const WAYS = [
    ["GET /channels", "read", (c) => ["GET", `/channels/${c}`], (c) => c],
    ["GET /channels", "read", (c) => ["GET", `/channels/${c}?last=1`], (c) => c],
    ["GET /channels", "read", (c) => ["GET", `/channels/${c}?before=5`], (c) => c],
    ["GET /channels", "read", (c, id) => ["GET", `/channels/${c}?after=${id}`], (c) => c],
    ["GET /channels", "read", (c, id) => ["GET", `/channels/${c}`, { "Last-Event-ID": id }], (c) => c],
    ["GET /channels", "read", (c) => ["GET", `/channels?prefix=${c}/`], (c) => `${c}/**`],
    ["GET /events", "read", (c) => ["GET", `/events?channel=${c}`], (c) => c],
    ["GET /events", "read", (c, id) => ["GET", `/events?channel=open&channel=${c}/**&after=${id}`], (c) => `${c}/**`],
    ["GET /topics", "read", (c) => ["GET", `/topics/${c}`], (c) => c],
    ["POST /channels", "publish", (c) => ["POST", `/channels/${c}`, {}, "1"], (c) => c],
    ["POST /channels", "publish", (c) => ["POST", `/channels/${c}?ephemeral=1`, {}, "1"], (c) => c],
    ["POST /events", "publish", (c) => ["POST", "/events", {}, `[{"channel":"${c}","data":1}]`], (c) => c],
    ["GET /presence", "presence", (c) => ["GET", `/presence/${c}`], (c) => c],
    ["GET /presence", "presence", (c) => ["GET", `/presence/${c}?list=0&marks=1`], (c) => c],
    ["PUT /presence", "presence", (c) => ["PUT", `/presence/${c}/me`, {}, "{\"state\":1}"], (c) => c],
    ["DELETE /channels", "admin", (c) => ["DELETE", `/channels/${c}`], (c) => c],
    ["GET /configuration", "admin", () => ["GET", "/configuration"], () => "**"],
    ["GET /stats", "admin", () => ["GET", "/stats"], () => "**"],
    ["GET /metrics", "admin", () => ["GET", "/metrics"], () => "**"],
    ["GET /keys", "admin", () => ["GET", "/keys"], () => "**"],
    ["POST /keys", "admin", () => ["POST", "/keys", {}, "{\"name\":\"x\"}"], () => "**"],
    ["DELETE /keys", "admin", () => ["DELETE", "/keys/fk_none"], () => "**"],
    ["GET /revocations", "admin", () => ["GET", "/revocations"], () => "**"],
    ["POST /revocations", "admin", () => ["POST", "/revocations", {}, "{\"subject\":\"nobody\"}"], () => "**"],
    ["DELETE /revocations", "admin", () => ["DELETE", "/revocations?subject=nobody"], () => "**"],
    ["GET /subscribers", "admin", () => ["GET", "/subscribers"], () => "**"],
    ["DELETE /subscribers", "admin", () => ["DELETE", "/subscribers?subject=nobody"], () => "**"],
];

/* Ways that have tests of their own below, or that ask for nothing. */
const ELSEWHERE = ["GET /webhooks", "POST /webhooks", "PATCH /webhooks", "DELETE /webhooks", "POST /hub",
    "GET /inbound", "POST /inbound", "GET /healthz", "GET /readyz", "GET /errors", "GET /playground",
    "POST /playground/webhooks", "DELETE /playground/webhooks", "GET /freshet.js", "GET /freshet-presence.js", "GET /pages", "GET /console", "GET /demos",
    "GET /openapi.json", "GET /asyncapi.json", "GET /docs", "GET /"];

test("each path and method that the server names is among the ways", async (t) => {
    const { server } = await start(t);
    const { links } = (await server.get("/", { Accept: "application/json" })).json();
    const named = links.flatMap(({ path, access }) => Object.keys(access).map((method) => `${method} ${path}`));
    const known = new Set([...WAYS.map(([way]) => way), ...ELSEWHERE]);
    assert.deepEqual(named.filter((way) => !known.has(way)), []);
    for (const { path, access } of links) {
        for (const [way, action] of WAYS) {
            const [method, own] = way.split(" ");
            assert.ok(own !== path || access[method] === action, way);
        }
    }
});

/** The model: whether a key with an action on channels may do the action on what is asked for. */
function allows(key, action, asked) {
    const inside = asked.replace(/\/\*\*$/, "");
    if (action === "read" && inside === "open") {
        return true;
    }
    if (action === "publish" && inside === "members" && key) {
        return true;
    }
    if (!key || key.action !== action) {
        return false;
    }
    return key.channels.some((pattern) => pattern === "**" || pattern === asked ||
        (pattern.endsWith("/**") && asked.startsWith(pattern.slice(0, -2)) && asked !== pattern.slice(0, -3)));
}

test("every key on every way is allowed what the model allows, and refused the rest", async (t) => {
    const { server, root, make } = await start(t);
    const { id } = (await server.post("open", "1", bearer(root))).json();
    const keys = [undefined];
    for (const action of ACTIONS) {
        for (const channels of [["**"], ["room"], ["room/**"], ["other", "open"]]) {
            keys.push({ action, channels, text: await make(`${action}-${channels}`, [{ channels, may: [action] }]) });
        }
    }
    for (const key of keys) {
        for (const [way, action, request, on] of WAYS) {
            for (const channel of ["room", "open", "members"]) {
                const [method, target, headers = {}, body] = request(channel, id);
                const answer = await server.request(method, target, { headers: { ...headers, ...bearer(key?.text) }, body });
                const expected = allows(key, action, on(channel));
                const refused = answer.status === 401 || answer.status === 403;
                const about = `${way} ${target} by ${key ? `${key.action} on ${key.channels}` : "anybody"}: ${answer.status}`;
                assert.equal(refused, !expected, about);
                if (refused) {
                    assert.equal(answer.status, key ? 403 : 401, about);
                }
            }
        }
    }
});

test("with an address for management every way of it is refused elsewhere, and all others are answered as there", async (t) => {
    const { server, root } = await start(t, { listen: false, config: `listen: [127.0.0.1:0, {address: "127.0.0.1:0", admin: true}]\n` });
    const admin = { port: /and http:\/\/127\.0\.0\.1:(\d+)/.exec(server.out)[1] };
    const own = ["$audit", "$stats", "$webhooks/x"];
    const { id } = (await server.post("open", "1", bearer(root))).json();
    for (const key of [undefined, root]) {
        for (const [way, action, ask] of WAYS) {
            for (const channel of action === "read" ? ["room", "open", ...own] : ["room"]) {
                const [method, target, headers = {}, body] = ask(channel, id);
                const options = { headers: { ...headers, ...bearer(key) }, body };
                const there = await request(admin, method, target, options), here = await request(server, method, target, options);
                const about = `${way} ${target} by ${key ? "root" : "anybody"}: ${here.status} here, ${there.status} there`;
                if (action === "admin" || own.includes(channel)) {
                    assert.equal(here.status, 404, about);
                    assert.match(here.text, /managed at its admin address alone/, about);
                    assert.doesNotMatch(there.text, /admin address alone/, about);
                } else {
                    assert.equal(here.status, there.status, about);
                }
            }
        }
    }
});

test("streams and WebSockets ask as pages do, wherever the credential stands", async (t) => {
    const { server, make } = await start(t);
    const reader = await make("reader", [{ channels: ["room/**"], may: ["read"] }]);
    for (const format of ["sse", "ndjson", "raw"]) {
        assert.equal((await server.get(`/channels/room/1?stream=${format}`)).status, 401);
        assert.equal((await server.get(`/channels/other?stream=${format}&token=${reader}`)).status, 403);
    }
    (await server.sse(`/channels/room/1?token=${reader}`)).close();
    (await Socket.open(t, server, `/channels/room/1?token=${reader}`)).ws.close();
    await assert.rejects(Socket.open(t, server, "/channels/room/1"));
    await assert.rejects(Socket.open(t, server, `/channels/other?token=${reader}`));
    const socket = await Socket.open(t, server, "/events", { protocols: ["freshet.v1", `freshet.token.${reader}`] });
    assert.equal(socket.ws.protocol, "freshet.v1");
    const ask = asker(socket);
    assert.equal((await ask({ op: "subscribe", channels: ["room/**"] })).op, "ok");
    assert.equal((await ask({ op: "subscribe", channels: ["other"] })).problem.type, "/errors/forbidden");
    assert.equal((await ask({ op: "publish", channel: "room/1", data: 1 })).problem.type, "/errors/forbidden");
    assert.equal((await ask({ op: "publish", channel: "members", data: 1 })).op, "ok");
});

async function nextEvent(socket) {
    for (;;) {
        const { op, event } = JSON.parse((await socket.next("an event")).text);
        if (op === "event") {
            return event;
        }
    }
}

/** Sends a message and waits for its answer: events, beats and positions that come between are passed over. */
function asker(socket) {
    let ref = 0;
    return async (message) => {
        socket.send(JSON.stringify({ ...message, ref: ++ref }));
        for (;;) {
            const answer = JSON.parse((await socket.next("an answer")).text);
            if (answer.ref === ref) {
                return answer;
            }
        }
    };
}

test("auth gives a connection other rights, takes away what they lack, and leaves it alone if it fails", async (t) => {
    const { server, root, make } = await start(t);
    const wide = await make("wide", [{ channels: ["room/**", "news"], may: ["read"] }]);
    const narrow = await make("narrow", [{ channels: ["news"], may: ["read"] }]);
    const socket = await Socket.open(t, server, "/events", { protocols: ["freshet.v1"] });
    const ask = asker(socket);
    assert.equal((await ask({ op: "subscribe", channels: ["room/**"] })).problem.type, "/errors/unauthorized");
    assert.deepEqual((await ask({ op: "auth", token: wide })).lost, []);
    assert.equal((await ask({ op: "subscribe", channels: ["room/**", "news"] })).op, "ok");
    assert.equal((await ask({ op: "auth", token: "fk_forged" })).problem.type, "/errors/bad-credential");
    await server.post("room/1", "first", bearer(root));
    assert.equal((await nextEvent(socket)).channel, "room/1");
    assert.deepEqual((await ask({ op: "auth", token: narrow })).lost, ["room/**"]);
    await server.post("room/1", "second", bearer(root));
    await server.post("news", "third", bearer(root));
    assert.equal((await nextEvent(socket)).channel, "news");
    assert.equal((await ask({ op: "subscribe", channels: ["room/**"] })).problem.type, "/errors/forbidden");
});

test("auth lets a connection outlive the key that it began with, and end with the one it has", async (t) => {
    const { server, root, make } = await start(t);
    const first = await make("first", [{ channels: ["news"], may: ["read"] }]);
    const second = await make("second", [{ channels: ["news"], may: ["read"] }]);
    const socket = await Socket.open(t, server, `/events?channel=news&token=${first}`, { protocols: ["freshet.v1"] });
    assert.deepEqual((await asker(socket)({ op: "auth", token: second })).lost, []);
    await server.request("DELETE", `/keys/${first.split("_")[1]}`, { headers: bearer(root) });
    await server.post("news", "still here", bearer(root));
    assert.equal((await nextEvent(socket)).data, "still here");
    await server.request("DELETE", `/keys/${second.split("_")[1]}`, { headers: bearer(root) });
    assert.equal((await socket.closed()).code, 4401);
});

test("a webhook is there for those who may have one on all of its channels", async (t) => {
    const { server, root, make } = await start(t);
    const body = JSON.stringify({ url: "http://127.0.0.1:9/", channels: ["room/*"] });
    const grants = (channels) => [{ channels, may: ["webhooks", "read"] }];
    const owner = await make("owner", grants(["room/**"])), other = await make("other", grants(["room/1"]));
    const blind = await make("blind", [{ channels: ["room/**"], may: ["webhooks"] }]);
    const form = `hub.mode=subscribe&hub.topic=${server.url}/topics/room/2&hub.callback=http://127.0.0.1:9/`;
    for (const [key, status, may] of [[undefined, 401, "webhooks"], [other, 403, "webhooks"], [blind, 403, "read"]]) {
        for (const [path, sent, channel] of [["/webhooks", body, "room/*"], ["/hub", form, "room/2"]]) {
            const refused = await server.request("POST", path, { headers: bearer(key), body: sent });
            assert.equal(refused.status, status);
            assert.deepEqual([refused.json().may, refused.json().channel], [may, key && channel], path);
        }
    }
    const made = await server.request("POST", "/webhooks", { headers: bearer(owner), body });
    assert.equal(made.status, 201, made.bytes.toString());
    const { id } = made.json();
    const requests = [["GET", ""], ["PATCH", "", "{}"], ["POST", "/ping"], ["POST", "/pause"], ["POST", "/resume"],
        ["POST", "/rotate"], ["POST", "/replay", "{\"after\":\"now\"}"], ["POST", "/retry"], ["GET", "/deliveries"],
        ["GET", "/deliveries/1"], ["DELETE", "/deliveries/1"], ["POST", "/deliveries/1/retry"], ["DELETE", ""]];
    for (const [method, rest, sent] of requests) {
        const ask = (key, own) => server.request(method, `/webhooks/${own}${rest}`, { headers: bearer(key), body: sent });
        assert.equal((await ask(undefined, id)).status, 401, method + rest);
        const hidden = await ask(other, id), missing = await ask(other, "wh_0123456789012345678901");
        assert.equal(hidden.status, 404, method + rest);
        assert.equal(hidden.bytes.toString(), missing.bytes.toString(), method + rest);
    }
    const list = async (key) => (await server.get("/webhooks", bearer(key))).json().webhooks.map((webhook) => webhook.id);
    assert.deepEqual(await list(other), []);
    assert.deepEqual(await list(owner), [id]);
    assert.deepEqual(await list(root), [id]);
    assert.equal((await server.get(`/webhooks/${id}`, bearer(owner))).status, 200);
});

test("the list of channels tells the server's own only to those who may read them", async (t) => {
    const { server, root, make } = await start(t);
    await server.request("POST", "/webhooks", {
        headers: bearer(root), body: JSON.stringify({ url: "http://127.0.0.1:9/", channels: ["room"] }),
    });
    for (const channel of ["!first", "room", "zoo"]) {
        await server.post(encodeURIComponent(channel), "1", bearer(root));
    }
    const own = await make("own", [{ channels: ["**", "$webhooks/**"], may: ["read"] }]);
    /** Follows the links of a list, and returns all that was told. */
    const told = async (key, query) => {
        const names = [];
        for (let next = `?limit=1${query}`; next;) {
            const { status, headers, bytes } = await server.get(`/channels${next}`, bearer(key));
            assert.equal(status, 200, bytes.toString());
            names.push(...JSON.parse(bytes).channels.map(({ channel }) => channel));
            next = /<(.*)>/.exec(headers.link ?? "")?.[1];
            assert.ok(key === root || query.endsWith("/") || !/after=%24[a-z]/.test(next), next);
        }
        return names;
    };
    const all = await told(root, "");
    assert.deepEqual(all.filter((name) => !name.startsWith("$")), ["!first", "room", "zoo"]);
    assert.ok(all.includes("$audit"));
    assert.deepEqual(await told(own, ""), ["!first", "room", "zoo"]);
    assert.deepEqual(await told(own, "&prefix=$w"), []);
    assert.deepEqual(await told(own, "&prefix=$webhooks/"), all.filter((name) => name.startsWith("$webhooks/")));
});
