// GET /channels: what channels there are, in pages.

import assert from "node:assert/strict";
import { bothStores, request } from "./support/index.mjs";

async function publishTo(server, channels) {
    for (let at = 0; at < channels.length; at += 1000) {
        const events = channels.slice(at, at + 1000).map((channel) => ({ channel, data: "x" }));
        assert.equal((await request(server, "POST", "/events", { body: events })).status, 201);
    }
}

/** Follows rel="next" to the end; answers the names and the sizes of the pages. */
async function walk(server, target) {
    const names = [];
    const sizes = [];
    for (let next = target; next; ) {
        const answer = await request(server, "GET", next);
        assert.equal(answer.status, 200, answer.text);
        const { channels, more } = answer.json();
        names.push(...channels.map((channel) => channel.channel));
        sizes.push(channels.length);
        const link = /<(\?[^>]*)>; *rel="next"/.exec(answer.headers.link ?? "");
        assert.equal(link !== null, more, "a link where there is more, and only there");
        next = link && `/channels${link[1]}`;
    }
    return { names, sizes };
}

const names = Array.from({ length: 1001 }, (_, n) => `list/${String(n).padStart(4, "0")}`);

bothStores("every channel stands in the list once, however large its pages", async (t, server) => {
    await publishTo(server, [...names, "other", "list"]);
    for (const [limit, sizes] of [
        [1000, [1000, 1]],
        [1001 - 500, [501, 500]],
    ]) {
        const got = await walk(server, `/channels?prefix=list/&limit=${limit}`);
        assert.deepEqual(got.names, names);
        assert.deepEqual(got.sizes, sizes);
    }
    assert.equal((await request(server, "GET", "/channels?limit=1001")).status, 400);
});

bothStores("names that need escaping survive the link to the next page", async (t, server) => {
    const odd = ["a b", "a%2", "a&b=c", "a+b", "é", "日本/語", '"q"'].sort((x, y) =>
        Buffer.compare(Buffer.from(x), Buffer.from(y)),
    );
    await publishTo(server, odd);
    assert.deepEqual((await walk(server, "/channels?limit=1")).names, odd);
});
