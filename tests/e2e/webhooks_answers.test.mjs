// Answers that are none, or not whole: what a delivery attempt records, and how many requests an attempt may be.
// The receiver is a bare socket, which breaks connections where no HTTP server would.

import assert from "node:assert/strict";
import net from "node:net";
import { eventually, publish, startServer, sideBySide } from "./support/index.mjs";

const { test } = sideBySide(4);

/** Reads requests from bare connections; `answer(request, connection)` writes and closes as the test wants. */
async function rawReceiver(t, answer) {
    const requests = [];
    const sockets = new Set();
    const listener = net.createServer((socket) => {
        const connection = { socket, requests: 0 };
        let buffer = Buffer.alloc(0);
        sockets.add(socket);
        socket.on("error", () => {});
        socket.on("close", () => sockets.delete(socket));
        socket.on("data", (chunk) => {
            buffer = Buffer.concat([buffer, chunk]);
            const head = buffer.indexOf("\r\n\r\n");
            const length = /content-length: (\d+)/i.exec(buffer.toString("latin1"))?.[1];
            const end = head + 4 + Number(length);
            if (head < 0 || buffer.length < end) {
                return;
            }
            const body = JSON.parse(buffer.subarray(head + 4, end).toString("utf8"));
            buffer = buffer.subarray(end);
            connection.requests++;
            const request = { body, ping: body.type === "$ping", at: Date.now() };
            if (!request.ping) {
                requests.push(request);
            }
            answer(request, connection, requests);
        });
    });
    await new Promise((resolve) => listener.listen(0, "127.0.0.1", resolve));
    t.after(() => {
        for (const socket of sockets) {
            socket.destroy();
        }
        return new Promise((resolve) => listener.close(resolve));
    });
    return { requests, url: `http://127.0.0.1:${listener.address().port}/hook` };
}

const ok = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";

async function register(server, url, more = {}) {
    const answer = await server.request("POST", "/webhooks", { body: { url, channels: ["a"], ...more } });
    assert.equal(answer.status, 201, answer.text);
    return answer.json().id;
}

/** The one delivery of the webhook, once it is delivered. */
function delivered(server, id, count = 1) {
    return eventually(async () => {
        const { deliveries } = (await server.get(`/webhooks/${id}/deliveries?state=delivered`)).json();
        return deliveries.length === count && deliveries;
    }, `${count} deliveries on record`);
}

for (const how of ["end", "destroy", "resetAndDestroy"]) {
    test(`a kept connection that closes at a request is one failed attempt for one request (${how})`, async (t) => {
        const server = await startServer(t);
        /* The receiver keeps each connection, and closes it when the second event comes on one that was used before. */
        let broken = 0;
        const receiver = await rawReceiver(t, (request, connection) => {
            if (request.body.data === "second" && connection.requests > 1) {
                broken++;
                connection.socket[how]();
            } else {
                connection.socket.write(ok);
            }
        });
        const id = await register(server, receiver.url, { schedule: Array(8).fill(0.05) });
        await publish(server, "a", "first");
        await delivered(server, id);
        await publish(server, "a", "second");
        const [second, first] = await delivered(server, id, 2);
        assert.deepEqual(first.attempts.map(({ status }) => status), [200]);
        assert.ok(broken >= 1, "a kept connection was used");
        assert.equal(second.attempts.length, broken + 1);
        for (const attempt of second.attempts.slice(0, -1)) {
            assert.equal(attempt.status ?? null, null);
            assert.match(attempt.error, /closed the connection without an answer/);
        }
        assert.equal(second.attempts.at(-1).status, 200);
        assert.equal(receiver.requests.filter(({ body }) => body.id === second.event).length, second.attempts.length);
    });
}

test("with many kept connections that close, each request is an attempt on record", async (t) => {
    const server = await startServer(t);
    /* Every connection answers pings and its first events, then closes at each request: curl would try them all in turn. */
    let closing = false;
    const held = [];
    const receiver = await rawReceiver(t, (request, connection) => {
        if (request.ping) {
            connection.socket.write(ok);
        } else if (closing && connection.requests > 1) {
            connection.socket.end();
        } else if (request.body.data === "many") {
            held.push(connection);
        } else {
            connection.socket.write(ok);
        }
    });
    const answer = await server.request("POST", "/webhooks", {
        body: { url: receiver.url, channels: ["a"], ordered: false, schedule: Array(8).fill(0.02) },
    });
    const { id } = answer.json();
    await publish(server, "a", "one");
    await delivered(server, id);
    for (let i = 0; i < 6; i++) {
        await publish(server, "a", "many");
    }
    await eventually(async () => held.length === 6, "six connections at a time");
    for (const connection of held) {
        connection.socket.write(ok);
    }
    await delivered(server, id, 7);
    closing = true;
    const { id: event } = await publish(server, "a", "last");
    const [last] = await delivered(server, id, 8);
    assert.equal(last.event, event);
    const count = receiver.requests.filter(({ body }) => body.id === event).length;
    assert.ok(count >= 2, "the kept connections closed");
    assert.deepEqual(last.attempts.map(({ number }) => number), Array.from({ length: count }, (_, i) => i + 1));
});

const length = (status, body, more) => `HTTP/1.1 ${status} X\r\nContent-Length: ${body.length + more}\r\n\r\n${body}`;
const chunked = (status, chunks) => `HTTP/1.1 ${status} X\r\nTransfer-Encoding: chunked\r\n\r\n${chunks}`;

/* What is written before the connection closes, and the attempt that is recorded of it. */
const broken = [
    ["a body shorter than its length", length(500, "half of", 100), 500, "half of"],
    ["a body that never begins", length(422, "", 100), 422, undefined],
    ["a body that ends between chunks", chunked(503, "5\r\nfirst\r\n"), 503, "first"],
    ["a body that ends within a chunk", chunked(404, "ff\r\npart"), 404, "part"],
    ["a chunk without a length", chunked(500, "5\r\nfirst\r\nnot a length\r\n"), 500, "first"],
    ["a body behind an interim answer", `HTTP/1.1 103 Early Hints\r\n\r\n${length(502, "bad", 1)}`, 502, "bad"],
    ["a head that breaks off", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nX-Mo", null, undefined],
    ["a head that has begun only", "HTTP/1.1 200 OK\r\n", null, undefined],
    ["an interim answer alone", "HTTP/1.1 103 Early Hints\r\n\r\n", null, undefined],
];

test("of an answer that ends early the attempt has the status and what came of the body, and fails", async (t) => {
    const server = await startServer(t);
    for (const [name, bytes, status, body] of broken) {
        const receiver = await rawReceiver(t, (request, connection, requests) => {
            connection.socket.write(request.ping || requests.length > 1 ? ok : bytes);
            if (!request.ping && requests.length === 1) {
                connection.socket.end();
            }
        });
        const id = await register(server, receiver.url, { schedule: [0.01] });
        await publish(server, "a", name);
        const [{ attempts: [first, second] }] = await delivered(server, id);
        assert.equal(first.status, status, name);
        assert.equal(first.response, body, name);
        assert.match(first.error, status ? /^the body of the answer broke off$/ : /./, name);
        assert.equal(second.status, 200, name);
        await server.request("DELETE", `/webhooks/${id}`);
    }
});

const accepted = [
    ["a body shorter than its length", length(200, "half of", 100), "end", /broke off/],
    ["a body that ends within a chunk", chunked(202, "ff\r\npart"), "end", /broke off/],
    ["a connection that is reset behind the head", length(204 + 1, "", 5), "resetAndDestroy", /broke off|reset/],
    ["a body that never ends", length(200, "so far", 1), null, /did not end in time/],
];

test("a head that says 2xx accepts the event, though its body fails", async (t) => {
    const server = await startServer(t);
    for (const [name, bytes, how, error] of accepted) {
        const receiver = await rawReceiver(t, (request, connection) => {
            connection.socket.write(request.ping ? ok : bytes, () => {
                if (!request.ping && how) {
                    connection.socket[how]();
                }
            });
        });
        const id = await register(server, receiver.url, { schedule: [0.01], timeout: how ? 60 : 5 });
        await publish(server, "a", name);
        const [{ attempts }] = await delivered(server, id);
        assert.equal(attempts.length, 1, name);
        assert.equal(attempts[0].status, Number(bytes.slice(9, 12)), name);
        assert.match(attempts[0].error, error, name);
        const webhook = (await server.get(`/webhooks/${id}`)).json();
        assert.equal(webhook.failures, 0, name);
        assert.equal(webhook.last.status, attempts[0].status, name);
        assert.equal(receiver.requests.length, 1, name);
        await server.request("DELETE", `/webhooks/${id}`);
    }
});

test("a ping answers the status of an answer whose body breaks off, and why it is not whole", async (t) => {
    const server = await startServer(t);
    const receiver = await rawReceiver(t, (request, connection) => {
        connection.socket.write(length(500, "half of", 10));
        connection.socket.end();
    });
    const id = await register(server, receiver.url);
    const answer = (await server.request("POST", `/webhooks/${id}/ping`)).json();
    assert.equal(answer.ok, false);
    assert.equal(answer.status, 500);
    assert.match(answer.error, /broke off/);
});
