// Where webhooks may go: the address that is really connected to counts, however it is spelt.

import assert from "node:assert/strict";
import http from "node:http";
import { eventually, request, startServer, test } from "./support/index.mjs";
import { Receiver } from "./support/receiver.mjs";

const register = (server, url, more = {}) =>
    request(server, "POST", "/webhooks", { body: { url, channels: ["a"], ...more } });

/** Waits until an endpoint's delivery stands in the record as one that failed. */
function refused(server, id) {
    return eventually(async () => {
        const { deliveries } = (await server.get(`/webhooks/${id}/deliveries`)).json();
        return deliveries.some((delivery) => delivery.state !== "delivered");
    }, "the delivery to be refused");
}

/** A plain server on loopback that counts who connects, whatever they say. */
async function trap(t) {
    const server = http.createServer((req, res) => res.end()).listen(0, "127.0.0.1");
    const told = { connections: 0 };
    server.on("connection", () => told.connections++);
    await new Promise((resolve) => server.once("listening", resolve));
    t.after(() => server.close());
    told.port = server.address().port;
    return told;
}

test("a server that strangers may reach sends nothing to its own machine, however that is spelt", async (t) => {
    const told = await trap(t);
    const { port } = told;
    const server = await startServer(t, { args: ["--insecure"] });
    for (const host of [
        "127.0.0.1", "127.1", "127.8.8.8", "2130706433", "0x7f.1", "0x7f000001", "0177.0.0.1", "0.0.0.0", "0", "[::1]", "[::]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]",
        "[64:ff9b::7f00:1]", "[2002:7f00:1::]", "[0:0:0:0:0:0:0:1]", "169.254.169.254", "[::ffff:a9fe:a9fe]", "[fe80::1]",
        "10.0.0.1", "192.168.1.1", "172.16.0.1", "100.64.0.1", "[fc00::1]", "224.0.0.1", "255.255.255.255",
    ]) {
        for (const verify of ["none", "ping"]) {
            const answer = await register(server, `http://${host}:${port}/`, { verify });
            assert.ok(answer.status >= 400 && answer.status < 500, `${host}, verify ${verify}: ${answer.status} ${answer.text}`);
        }
    }
    assert.deepEqual((await server.get("/webhooks")).json().webhooks, []);
    /* What a name leads to is known when it is connected to, each time. */
    for (const name of ["localhost", "LOCALHOST", "localhost."]) {
        const url = `http://${name}:${port}/`;
        assert.ok((await register(server, url, { verify: "ping" })).status >= 400, name);
        assert.equal((await register(server, url)).status, 201);
    }
    await server.publish("a", "x");
    for (const { id } of (await server.get("/webhooks")).json().webhooks) {
        await refused(server, id);
    }
    assert.equal(told.connections, 0);
});

test("addresses that the configuration allows may be reached, and no others", async (t) => {
    const receiver = await Receiver.start(t);
    const server = await startServer(t, {
        args: ["--insecure"],
        config: "webhooks:\n  allow: [127.0.0.1, 10.0.0.0/8]\n",
    });
    assert.equal((await register(server, receiver.url, { verify: "ping" })).status, 201);
    await server.publish("a", "x");
    await receiver.events(1);
    assert.equal((await register(server, "http://10.1.2.3/")).status, 201);
    for (const host of ["127.0.0.2", "[::1]", "11.0.0.1.example.invalid", "192.168.0.1", "169.254.169.254"]) {
        const { status } = await register(server, `http://${host}/`, { verify: host.includes("example") ? "ping" : "none" });
        assert.ok(status >= 400 && status < 600, `${host}: ${status}`);
    }
});

test("a place that is allowed no more is not connected to once the server is back", async (t) => {
    const told = await trap(t);
    const server = await startServer(t, { data: true });
    /* The ping has been answered by then. */
    const url = `http://127.0.0.1:${told.port}/`;
    assert.equal((await register(server, url, { verify: "ping" })).status, 201);
    const before = told.connections;
    server.args.push("--insecure");
    await server.terminate();
    await server.start();
    await server.publish("a", "x");
    const { webhooks: [{ id }] } = (await server.get("/webhooks")).json();
    await refused(server, id);
    assert.equal(told.connections, before);
});

test("proxies of the environment are not used", async (t) => {
    const proxy = await trap(t);
    const receiver = await Receiver.start(t);
    const url = `http://127.0.0.1:${proxy.port}`;
    const server = await startServer(t, { env: { http_proxy: url, HTTP_PROXY: url, all_proxy: url, ALL_PROXY: url } });
    assert.equal((await register(server, receiver.url, { verify: "ping" })).status, 201);
    await server.publish("a", "x");
    await receiver.events(1);
    assert.equal(proxy.connections, 0);
});

test("a redirect is not followed", async (t) => {
    const told = await trap(t);
    const receiver = await Receiver.start(t);
    const server = await startServer(t);
    const answers = { status: 302, headers: { Location: `http://127.0.0.1:${told.port}/` } };
    receiver.answer = () => answers;
    assert.equal((await register(server, receiver.url)).status, 201);
    await server.publish("a", "x");
    await receiver.until(() => receiver.deliveries.length >= 1, "a delivery");
    assert.equal(told.connections, 0);
});
