// Questions to the operator's servers wait for their turn: neither an address that asks much nor a site that is slow
// keeps others from being asked about.

import assert from "node:assert/strict";
import { once } from "node:events";
import fs from "node:fs";
import http from "node:http";
import path from "node:path";
import { assertProblem, eventually, startServer, test } from "./support/index.mjs";
import { run } from "./support/program.mjs";

const SECRET = `whsec_${Buffer.alloc(32, "k").toString("base64")}`;

/** An operator's server that allows everything, once `answer` has let it. */
async function site(t, answer) {
    const it = { asked: 0 };
    const server = http.createServer(async (request, response) => {
        if (!request.headers["webhook-id"]) /* a stranger, who means a server that had this port before */
            return response.writeHead(404).end();
        let body = "";
        for await (const part of request)
            body += part;
        it.asked++;
        await answer(JSON.parse(body).address);
        return response.end('{"allow":true}');
    });
    server.keepAliveTimeout = 0; /* no question meets a connection that is being closed, and comes twice */
    await once(server.listen(0, "127.0.0.1"), "listening");
    t.after(() => server.closeAllConnections() ?? server.close());
    it.port = server.address().port;
    return it;
}

/** Sites that hold their answers to questions of `slow` addresses until they are released. Each has a namespace of its
    name. Clients have any address, as if a proxy told it. */
async function slowSites(t, names, { slow = () => false, limits = "" } = {}) {
    let release;
    const held = new Promise((resolve) => { release = resolve; });
    const sites = {};
    for (const name of names)
        sites[name] = await site(t, (address) => slow(name, address) && held);
    const { stdout, stderr } = await run(t, ["key", "generate"]);
    const [hash] = /fk_\w+:\w+/.exec(stderr), admin = { Authorization: `Bearer ${stdout.trimEnd()}` };
    const rest = `keys: [{name: root, key: "${hash}", grants: [{channels: ["**"], may: [admin]}]}]\n` +
        `trusted_proxies: [127.0.0.1]\nlimits: {publish_ms: 600000${limits}}\n`;
    const authorize = (name) => `{url: "http://127.0.0.1:${sites[name].port}/may", secret: ${SECRET}, timeout_ms: 60000}`;
    const server = await startServer(t, {
        config: `namespaces:\n${names.map((name) => `  - {prefix: ${name}, authorize: ${authorize(name)}}\n`).join("")}${rest}`,
    });
    const get = (channel, address) => server.get(`/channels/${channel}?last=1`, { "X-Forwarded-For": address });
    const stats = async () => (await server.get("/stats", admin)).json().access.authorize;
    const flood = async (count, channel, address) => {
        const answers = Array.from({ length: count }, (_, i) => get(`${channel}/${i}`, address(i)));
        await eventually(async () => (await stats()).waiting === count, `${count} questions`);
        return answers;
    };
    return { sites, server, get, stats, flood, release, rest };
}

async function allAllowed(answers) {
    for (const answer of await Promise.all(answers))
        assert.equal(answer.status, 200);
}

test("a site that is slow to an address that asks much answers others, and so do other sites", async (t) => {
    const busy = "192.0.2.1", slow = (name, address) => address === busy && name === "slow";
    const { sites, get, flood, release } = await slowSites(t, ["slow", "other"], { slow });
    const flooded = await flood(80, "slow", () => busy);
    await allAllowed([get("slow/x", "192.0.2.2"), get("slow/x", "192.0.2.3"), get("other/x", busy), get("other/x", "192.0.2.2")]);
    await eventually(() => sites.slow.asked === 36 + 2, "the places of a site that one address may have");
    release();
    await allAllowed(flooded);
    assert.equal(sites.slow.asked, 80 + 2);
});

test("a site that answers nobody leaves places to other sites", async (t) => {
    const { sites, get, flood, release } = await slowSites(t, ["slow", "other"], { slow: (name) => name === "slow" });
    const flooded = await flood(80, "slow", (i) => `192.0.2.${i}`);
    await allAllowed([get("other/x", "192.0.2.1"), get("other/x", "198.51.100.1")]);
    await eventually(() => sites.slow.asked === 48, "the places of a site");
    release();
    await allAllowed(flooded);
    assert.equal(sites.slow.asked, 80);
});

test("a client that leaves while its question waits for its turn keeps nobody else from theirs", async (t) => {
    const { sites, server, get, stats, flood, release } =
        await slowSites(t, ["slow"], { slow: () => true, limits: ", authorize_site_max: 1" });
    const first = await flood(1, "slow", () => "192.0.2.1");
    const leaving = http.get(`${server.url}/channels/slow/gone?last=1`, { headers: { "X-Forwarded-For": "192.0.2.2" } });
    leaving.on("error", () => {});
    await eventually(async () => (await stats()).waiting === 2, "a question that waits for its turn");
    leaving.destroy();
    const last = get("slow/last", "192.0.2.3");
    await eventually(async () => (await stats()).waiting === 3, "a question behind it");
    await eventually(() => sites.slow.asked === 1, "the question whose turn it is");
    release();
    await allAllowed([...first, last]);
    await eventually(async () => (await stats()).waiting === 0, "no question");
});

test("questions that wait for their turn are answered, though a reload takes their site away", async (t) => {
    const { sites, server, flood, release, rest } =
        await slowSites(t, ["slow"], { slow: () => true, limits: ", authorize_site_max: 1" });
    const waiting = await flood(3, "slow", (i) => `192.0.2.${i}`);
    fs.writeFileSync(path.join(server.dir, "freshet.yaml"), `access: {anybody: [read]}\n${rest}`);
    server.signal("SIGHUP");
    await server.logged(/event=reloaded/);
    await eventually(() => sites.slow.asked === 1, "the question whose turn it is");
    release();
    for (const answer of await Promise.all(waiting)) /* the permission of a site that is gone does not count */
        assertProblem(answer, 401);
    assert.equal(sites.slow.asked, 3);
});

test("the server stops while questions wait for their turn", async (t) => {
    const { server, flood } = await slowSites(t, ["slow"], { slow: () => true, limits: ", authorize_site_max: 1, drain_ms: 1" });
    const waiting = await flood(20, "slow", (i) => `192.0.2.${i}`);
    waiting.forEach((answer) => answer.catch(() => {}));
    assert.equal((await server.terminate()).code, 0);
});
