// A small HTTP client for the ordinary cases: node's own, with nothing hidden.

import assert from "node:assert/strict";
import http from "node:http";
import { deadline } from "./wait.mjs";

const agents = new Map(); // port -> http.Agent

function agentOf(port) {
    if (!agents.has(port)) {
        agents.set(port, new http.Agent({ keepAlive: true }));
    }
    return agents.get(port);
}

/** Closes the idle connections to a port. */
export function destroyAgent(port) {
    agents.get(port)?.destroy();
    agents.delete(port);
}

/** The port of a server, of a URL, or of "http://host:port". */
function portOf(base) {
    return typeof base === "object" && "port" in base && base.port ? Number(base.port)
        : Number(new URL(String(base)).port);
}

/** A channel's name as it stands in a path: each segment encoded, the slashes kept. */
export function encodeChannel(channel) {
    return channel.split("/").map(encodeURIComponent).join("/");
}

/**
 * One request, one whole answer: {status, headers, bytes, text, json(), links}. Objects are sent as
 * JSON; strings and buffers as they are, with no Content-Type but the one in `headers`.
 */
export function request(base, method, path, { headers = {}, body, ms, fresh = false } = {}) {
    const port = portOf(base);
    const sent = { ...headers };
    let bytes = body;
    if (body !== undefined && typeof body !== "string" && !Buffer.isBuffer(body)) {
        bytes = JSON.stringify(body);
        if (!Object.keys(sent).some((name) => name.toLowerCase() === "content-type")) {
            sent["Content-Type"] = "application/json";
        }
    }
    if (bytes !== undefined) {
        sent["Content-Length"] = Buffer.byteLength(bytes);
    } else if (method === "POST" || method === "PUT" || method === "PATCH") {
        sent["Content-Length"] = 0;
    }
    const options = {
        host: "127.0.0.1", port, method, path, headers: sent, agent: fresh ? false : agentOf(port),
    };
    const answer = new Promise((resolve, reject) => {
        const req = http.request(options, (res) => {
            const chunks = [];
            res.on("data", (chunk) => chunks.push(chunk));
            res.on("error", reject);
            res.on("end", () => resolve(answerOf(res, Buffer.concat(chunks))));
        });
        req.on("error", reject);
        req.end(bytes);
    });
    return deadline(answer, `the answer to ${method} ${path}`, ms);
}

function answerOf(res, bytes) {
    return {
        status: res.statusCode,
        headers: res.headers,
        rawHeaders: res.rawHeaders,
        bytes,
        get text() {
            return bytes.toString("utf8");
        },
        json() {
            return JSON.parse(bytes.toString("utf8"));
        },
        get links() {
            return parseLinks(res.headers.link);
        },
    };
}

/** Reads a Link header (RFC 8288) into [{href, rel, type, …}]. */
export function parseLinks(header) {
    const links = [];
    const link = /\s*<([^>]*)>((?:\s*;\s*[\w!#$&+.^`|~*-]+(?:\s*=\s*(?:"(?:[^"\\]|\\.)*"|[^\s;,"]+))?)*)\s*(?:,|$)/gy;
    const text = header ?? "";
    while (link.lastIndex < text.length) {
        const at = link.lastIndex;
        const match = link.exec(text);
        assert.ok(match, `not a Link header from ${JSON.stringify(text.slice(at))}`);
        const found = { href: match[1] };
        for (const [, name, quoted, bare] of
            match[2].matchAll(/;\s*([^\s=;]+)(?:\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s;,"]+)))?/g)) {
            found[name.toLowerCase()] = quoted ?? bare ?? "";
        }
        links.push(found);
    }
    return links;
}

/** The one link with this rel (a rel may hold several words), or undefined. */
export function linkOf(answer, rel, type) {
    return answer.links.find(
        (link) => (link.rel ?? "").split(" ").includes(rel) && (type === undefined || link.type === type));
}

/** POSTs to a channel and answers whatever came back. */
export function post(base, channel, data, headers = {}, query = "") {
    return request(base, "POST", `/channels/${encodeChannel(channel)}${query}`,
        { headers, body: data });
}

/** Publishes and must succeed: answers {id, channel, time}. */
export async function publish(base, channel, data, headers = {}, query = "") {
    const answer = await post(base, channel, data, headers, query);
    assert.equal(answer.status, 201, `publish to ${channel}: ${answer.status} ${answer.text}`);
    return answer.json();
}

/** Publishes data(0) … data(count-1) in one batch per 1,000; answers the ids in order. */
export async function publishMany(base, channel, count, data = (n) => ({ n })) {
    const ids = [];
    for (let from = 0; from < count; from += 1000) {
        const size = Math.min(1000, count - from);
        const events = Array.from({ length: size }, (_, n) => ({ channel, data: data(from + n) }));
        const answer = await request(base, "POST", "/events", { body: events });
        assert.equal(answer.status, 201, answer.text);
        ids.push(...answer.json().events.map((event) => event.id));
    }
    return ids;
}

/** A GET that must answer a page: {events, cursor, more, next}, with the whole answer in `answer`. */
export async function page(base, path, headers = {}) {
    const answer = await request(base, "GET", path, { headers });
    assert.equal(answer.status, 200, `GET ${path}: ${answer.status} ${answer.text}`);
    assert.match(answer.headers["content-type"], /^application\/json\b/);
    const body = answer.json();
    Object.defineProperty(body, "answer", { value: answer, enumerable: false });
    return body;
}
