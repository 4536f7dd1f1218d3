// What /stats says. Only the names asserted on here are relied on.

import assert from "node:assert/strict";
import { request } from "./http.mjs";

/** The whole of /stats. */
export async function stats(server) {
    const answer = await request(server, "GET", "/stats");
    assert.equal(answer.status, 200, answer.text);
    return answer.json();
}

/** How many subscribers of one mechanism there are: sse, ndjson, raw, poll, ws or webhook. */
export async function subscribersOf(server, mechanism) {
    const { subscribers } = await stats(server);
    assert.equal(typeof subscribers?.[mechanism], "number",
        `/stats tells no subscribers.${mechanism}: ${JSON.stringify(subscribers)}`);
    return subscribers[mechanism];
}
