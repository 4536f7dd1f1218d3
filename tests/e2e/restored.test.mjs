// A folder that was restored from a backup lacks the newest events. Readers that have had some of these are told; all others go on.

import assert from "node:assert/strict";
import fs from "node:fs";
import path from "node:path";
import WebSocket from "ws";
import { connect } from "../../clients/js/freshet.js";
import { assertProblem, eventually, startServer, sideBySide } from "./support/index.mjs";

const { test } = sideBySide(4);

/** A server that has lost what was published after its backup: `kept` is in it, `lost` is not. */
async function restored(t) {
    const server = await startServer(t, { data: true });
    const data = path.join(server.dir, "data"), backup = path.join(server.dir, "backup");
    const idle = (await server.page("/channels/a")).cursor;
    const kept = (await server.publish("a", "kept")).id;
    await server.stop();
    fs.cpSync(data, backup, { recursive: true });
    await server.start();
    const lost = (await server.publish("a", "lost")).id;
    await server.stop();
    fs.rmSync(data, { recursive: true });
    fs.renameSync(backup, data);
    await server.start();
    return { server, idle, kept, lost };
}

/** What a stream begins with, which must be a gap. */
async function gapOf(stream) {
    const record = await stream.notBeat();
    const gap = record.data ? JSON.parse(record.data) : record;
    assert.ok(record.event === "$gap" || record.op === "gap", JSON.stringify(record));
    return gap;
}

test("a reader of what a restored backup lacks is told of a gap by every mechanism, once, and gets what follows", async (t) => {
    const { server, lost } = await restored(t);
    const page = await server.get(`/channels/a?after=${lost}`);
    assertProblem(page, 410);
    const { reason, after, earliest, next } = page.json();
    assert.deepEqual([reason, after], ["lost", lost]);
    assert.ok(earliest > lost);
    const streams = [await server.sse(`/channels/a?after=${lost}`), await server.ndjson(`/channels/a?after=${lost}`)];
    for (const stream of streams) {
        assert.deepEqual(await gapOf(stream).then((gap) => [gap.reason, gap.after, gap.earliest]), ["lost", lost, earliest]);
    }
    const { id } = await server.publish("a", "new");
    for (const stream of streams) {
        assert.equal((await stream.event()).id, id);
    }
    assert.deepEqual((await server.page(`/channels/a${next}`)).events.map((event) => event.id), [id], "the link goes on");
    const later = await server.ndjson(`/channels/a?after=${lost}`);
    assert.equal((await gapOf(later)).reason, "lost");
    assert.equal((await later.event()).id, id, "what came after the restart is not passed over");
});

test("positions of the backup, and of the beginning of a run without events, are no gap", async (t) => {
    const { server, idle, kept } = await restored(t);
    assert.deepEqual((await server.page(`/channels/a?after=${idle}`)).events.map(({ data }) => data), ["kept"]);
    assert.deepEqual((await server.page(`/channels/a?after=${kept}`)).events, []);
    for (let run = 0; run < 3; run++) { /* each begins above the one before, and no event says where */
        const { cursor } = await server.page("/channels/a?after=now");
        await server.stop();
        await server.start();
        assert.deepEqual((await server.page(`/channels/a?after=${cursor}`)).events, []);
    }
    await server.kill();
    await server.start();
    assert.deepEqual((await server.page(`/channels/a?after=${kept}`)).events, []);
});

test("freshet.js is told of what is lost once, by every mechanism, and goes on", async (t) => {
    const { server, lost } = await restored(t);
    for (const mechanism of ["ws", "sse", "poll"]) {
        const client = connect(server.url, { WebSocket, mechanisms: [mechanism] });
        t.after(() => client.close());
        const got = [], gaps = [];
        let live = 0;
        client.subscribe("b", { event: ({ data }) => got.push(data), gap: ({ reason }) => gaps.push(reason), live: () => live++ }, { after: lost });
        await eventually(() => live, "to be live");
        await server.publish("b", mechanism);
        await eventually(() => got.at(-1) === mechanism, "the event");
        assert.deepEqual(gaps, ["lost"]);
    }
});
