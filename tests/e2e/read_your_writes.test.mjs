// After the answer to a publish, every read on that node includes the event.

import assert from "node:assert/strict";
import { bothStores } from "./support/index.mjs";

for (const threads of ["1", "4"]) {
    const options = { args: ["--threads", threads] };

    bothStores(`a page on another connection has what was just published, ${threads} threads`, options,
        async (t, server) => {
            let after = "earliest";
            for (let n = 0; n < 100; n++) {
                const { id } = await server.publish("a", `${n}`);
                const answer = await server.get(`/channels/a?after=${after}`, {}, { fresh: true });
                const { events, cursor } = answer.json();
                assert.deepEqual(events.map((event) => event.id), [id], `at ${n}`);
                assert.equal(cursor, id);
                after = cursor;
            }
        });

    bothStores(`a stream opened after the answer has it in its past, ${threads} threads`, options,
        async (t, server) => {
            for (let n = 0; n < 30; n++) {
                const { id } = await server.publish("a", `${n}`);
                const past = await server.ndjson("/channels/a?last=1");
                assert.equal((await past.event()).id, id);
                const now = await server.ndjson("/channels/a");
                const first = await now.next();
                assert.equal(first.op, "beat");
                assert.ok(first.cursor >= id, `now was ${first.cursor}, behind ${id}`);
                past.close();
                now.close();
            }
        });

    bothStores(`a batch, a delete and a newest id are seen at once, ${threads} threads`, options,
        async (t, server) => {
            for (let n = 0; n < 30; n++) {
                const body = [{ channel: "a", data: n }, { channel: "b", data: n }];
                const answer = await server.request("POST", "/events", { body });
                assert.equal(answer.status, 201);
                const [a, b] = answer.json().events;
                const read = await server.get("/events?channel=*", {}, { fresh: true });
                assert.deepEqual(read.json().events.map((event) => event.id), [a.id, b.id]);
                const match = { headers: { "If-Match": `"${b.id}"` }, body: "next", fresh: true };
                assert.equal((await server.request("POST", "/channels/b", match)).status, 201);
                await server.request("DELETE", "/channels/a");
                await server.request("DELETE", "/channels/b");
                const gone = await server.get("/events?channel=*", {}, { fresh: true });
                assert.deepEqual(gone.json().events, []);
            }
        });

    bothStores(`many publishers each read their own writes, ${threads} threads`, options,
        async (t, server) => {
            await Promise.all(Array.from({ length: 16 }, async (_, who) => {
                for (let n = 0; n < 15; n++) {
                    const { id } = await server.publish(`c/${who}`, `${n}`);
                    const events = await server.history(`c/${who}`, "?last=1");
                    assert.equal(events[0].id, id);
                }
            }));
        });
}
