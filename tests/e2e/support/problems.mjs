// What every error must look like (RFC 9457), wherever it comes from.

import assert from "node:assert/strict";
import { request } from "./http.mjs";

/** Asserts that an answer is a problem document with this status; answers the document. */
export function assertProblem(answer, status, about = undefined) {
    const text = answer.bytes.toString("utf8");
    const allowed = Array.isArray(status) ? status : [status];
    assert.ok(allowed.includes(answer.status),
        `expected ${allowed.join(" or ")}, got ${answer.status}: ${text.slice(0, 500)}`);
    assert.match(answer.headers["content-type"] ?? "", /^application\/problem\+json\b/);
    assert.match(answer.headers["cache-control"] ?? "", /\bno-store\b/);
    const problem = JSON.parse(text);
    assert.equal(typeof problem.type, "string");
    assert.match(problem.type, /\/errors\/[a-z0-9._-]+$/i);
    assert.equal(typeof problem.title, "string");
    assert.notEqual(problem.title, "");
    assert.equal(problem.status, answer.status);
    assert.equal(typeof problem.detail, "string");
    assert.notEqual(problem.detail, "");
    if (about !== undefined) {
        assert.match(problem.detail, about);
    }
    return problem;
}

/** The path of the page that a problem's `type` names (it may be relative or absolute). */
export function pathOfType(type) {
    const url = new URL(type, "http://127.0.0.1/");
    return url.pathname;
}

/** Asserts that the problem's `type` leads to a page. */
export async function assertTypeHasPage(server, problem) {
    const answer = await request(server, "GET", pathOfType(problem.type));
    assert.equal(answer.status, 200, `${problem.type} has no page: ${answer.status}`);
    assert.ok(answer.bytes.length > 0, `the page of ${problem.type} is empty`);
}
