// Several workers, one log: what is promised holds across them, on either way of sending.

import assert from "node:assert/strict";
import { page, publish, publishMany, request, startServer, sideBySide } from "./support/index.mjs";
import { assertChained, assertIncreasing, readAll } from "./support/checks.mjs";
import { follow, MECHANISMS } from "./support/follow.mjs";
import { Freshet, Socket } from "./support/ws.mjs";

const { test } = sideBySide(2);

const WAYS = { "io_uring where the kernel allows": {}, "plain sends": { FRESHET_NO_URING: "1" } };

/** One test for each way of sending: `body(t, server)` with four workers. */
function onFourWorkers(name, options, body) {
    for (const [way, env] of Object.entries(WAYS)) {
        test(`${name} (${way})`, async (t) => {
            await body(t, await startServer(t, { ...options, args: ["--threads", "4"], env }));
        });
    }
}

for (const options of [{ memory: true }, { data: true }]) {
    const store = Object.keys(options)[0];

    onFourWorkers(
        `sixteen publishers and forty subscribers of all mechanisms agree on one order [${store}]`,
        options,
        async (t, server) => {
            const each = 100;
            const followers = await Promise.all(
                Array.from({ length: 40 }, (_, n) =>
                    follow(
                        t,
                        server,
                        MECHANISMS[n % 4],
                        n % 8 < 4 ? "x" : { channels: ["x", "y/*"] },
                    ),
                ),
            );
            await Promise.all(
                Array.from({ length: 16 }, async (_, who) => {
                    for (let n = 0; n < each; n++) {
                        const channel = who % 4 === 3 ? `y/${who}` : "x";
                        const answer = await request(server, "POST", `/channels/${channel}`, {
                            body: `${who}/${n}`,
                            fresh: n % 10 === 0,
                        });
                        assert.equal(answer.status, 201, answer.text);
                    }
                }),
            );
            const all = (await readAll(server, "channel=x&channel=y/*")).events;
            const x = all.filter((event) => event.channel === "x");
            assert.equal(all.length, 16 * each);
            assertIncreasing(all);
            assertChained(all);
            for (const [n, follower] of followers.entries()) {
                const wanted = n % 8 < 4 ? x : all;
                await follower.has(wanted.length);
                assert.deepEqual(follower.events, wanted, `subscriber ${n} by ${follower.via}`);
            }
            /* What one publisher sent one after the other stands in that order. */
            for (let who = 0; who < 16; who++) {
                const own = all
                    .map((event) => event.data)
                    .filter((data) => data.startsWith(`${who}/`));
                assert.deepEqual(
                    own,
                    Array.from({ length: each }, (_, n) => `${who}/${n}`),
                );
            }
        },
    );

    onFourWorkers(
        `after its answer every read on any connection includes the event [${store}]`,
        options,
        async (t, server) => {
            const reads = [
                (channel) => page(server, `/channels/${channel}`),
                (channel) => page(server, `/channels/${channel}?last=1`),
                (channel) => page(server, `/events?channel=${channel.split("/")[0]}/*&last=5`),
                (channel) => page(server, `/channels/${channel}?wait=25`),
            ];
            await Promise.all(
                Array.from({ length: 8 }, async (_, who) => {
                    for (let n = 0; n < 60; n++) {
                        const channel = `${who}/c`;
                        const answer = await request(server, "POST", `/channels/${channel}`, {
                            body: String(n),
                            fresh: true,
                        });
                        assert.equal(answer.status, 201, answer.text);
                        const { id } = answer.json();
                        const answers = await Promise.all([
                            request(server, "GET", `/channels/${channel}?last=1`, {
                                fresh: true,
                            }).then((got) => got.json()),
                            request(
                                server,
                                "GET",
                                `/channels/${channel}?before=9007199254740991&limit=1`,
                                { fresh: true },
                            ).then((got) => got.json()),
                            reads[n % reads.length](channel),
                        ]);
                        for (const got of answers) {
                            assert.equal(
                                got.events.at(-1)?.id,
                                id,
                                `event ${n} of ${channel} is not there yet`,
                            );
                        }
                    }
                }),
            );
        },
    );
}

onFourWorkers(
    "a subscription made after a publish was answered begins after it; one made before hears of it",
    { memory: true },
    async (t, server) => {
        for (let n = 0; n < 40; n++) {
            const via = MECHANISMS[n % 4];
            const before = await follow(t, server, via, `c/${n}`);
            const { id } = await publish(server, `c/${n}`, "one");
            const after = await follow(t, server, via, `c/${n}`);
            const second = await publish(server, `c/${n}`, "two");
            await before.has(2);
            await after.has(1);
            assert.deepEqual(
                before.events.map((event) => event.id),
                [id, second.id],
            );
            assert.deepEqual(
                after.events.map((event) => event.id),
                [second.id],
                via,
            );
            before.stop();
            after.stop();
        }
    },
);

onFourWorkers(
    "of those who append only if nobody else did, one wins each time",
    { memory: true },
    async (t, server) => {
        let { id: head } = await publish(server, "counter", 0);
        const start = head;
        const won = [];
        await Promise.all(
            Array.from({ length: 8 }, async (_, who) => {
                let seen = start;
                for (let tries = 0; tries < 40; tries++) {
                    const answer = await request(server, "POST", "/channels/counter", {
                        body: { who, tries },
                        headers: { "If-Match": `"${seen}"` },
                        fresh: tries % 3 === 0,
                    });
                    if (answer.status === 201) {
                        seen = answer.json().id;
                        won.push([seen, answer.json()]);
                    } else {
                        assert.equal(answer.status, 412, answer.text);
                        seen = (await page(server, "/channels/counter?last=1")).events[0].id;
                    }
                }
            }),
        );
        const { events } = await readAll(server, "channel=counter");
        assertChained(events);
        assert.deepEqual(
            events.slice(1).map((event) => event.id),
            won.map(([id]) => id).sort(),
        );
        head = events.at(-1).id;
        const late = await request(server, "POST", "/channels/counter", {
            body: "late",
            headers: { "If-Match": `"${start}"` },
        });
        assert.equal(late.status, 412, `appended after ${start} though ${head} is newest`);
    },
);

onFourWorkers(
    "the same key sent over many connections at once appends once",
    { memory: true },
    async (t, server) => {
        for (let round = 0; round < 20; round++) {
            const answers = await Promise.all(
                Array.from({ length: 16 }, () =>
                    request(server, "POST", "/channels/once", {
                        body: `round ${round}`,
                        headers: { "Idempotency-Key": `"k${round}"` },
                        fresh: true,
                    }),
                ),
            );
            const ids = new Set(answers.map((answer) => answer.json().id));
            assert.equal(ids.size, 1, "one key was given two ids");
            assert.equal(answers.filter((answer) => answer.status === 201).length, 1);
            assert.equal(
                answers.filter(
                    (answer) => answer.status === 200 && answer.json().duplicate === true,
                ).length,
                15,
            );
        }
        assert.equal((await server.history("once")).length, 20);
    },
);

onFourWorkers(
    "an ephemeral event reaches subscribers on every worker",
    { memory: true },
    async (t, server) => {
        const sockets = await Promise.all(
            Array.from({ length: 24 }, () => Socket.open(t, server, "/channels/x")),
        );
        const streams = await Promise.all(
            Array.from({ length: 24 }, () => follow(t, server, "ndjson", "x")),
        );
        const answer = await server.post("x", "typing", {}, "?ephemeral=1");
        assert.equal(answer.status, 202);
        for (const socket of sockets) {
            assert.equal((await socket.event()).data, "typing");
        }
        for (const stream of streams) {
            await stream.has(1);
            assert.equal(stream.events[0].data, "typing");
        }
    },
);

onFourWorkers(
    "a chat over sockets on all workers has one order, and echo=0 leaves out its sender alone",
    { memory: true },
    async (t, server) => {
        const all = await Promise.all(
            Array.from({ length: 12 }, (_, n) =>
                Socket.open(t, server, `/channels/chat${n % 2 ? "?echo=0" : ""}`),
            ),
        );
        const each = 50;
        all.forEach((socket, who) => {
            for (let n = 0; n < each; n++) {
                socket.ws.send(`${who}/${n}`);
            }
        });
        const wanted = await all[0].events(12 * each);
        assertIncreasing(wanted);
        assertChained(wanted);
        for (const [who, socket] of all.entries()) {
            const mine =
                who % 2 ? wanted.filter((event) => !event.data.startsWith(`${who}/`)) : wanted;
            if (who > 0) {
                assert.deepEqual(await socket.events(mine.length), mine, `socket ${who}`);
            }
        }
    },
);

onFourWorkers(
    "a thousand subscribers of one channel, more than a slice of sends, get every event",
    { memory: true },
    async (t, server) => {
        const followers = await Promise.all(
            Array.from({ length: 1000 }, (_, n) =>
                follow(t, server, ["sse", "ndjson", "ws"][n % 3], "x", { keep: false }),
            ),
        );
        const ids = await publishMany(server, "x", 50);
        for (const follower of followers) {
            await follower.has(50);
            assert.equal(follower.cursor, ids.at(-1));
        }
    },
);

onFourWorkers(
    "a connection that selects many channels gets them in the order of the log, whoever published them",
    { data: true },
    async (t, server) => {
        const socket = await Freshet.open(t, server);
        const channels = Array.from({ length: 60 }, (_, n) => `c/${n}`);
        await socket.subscribe(channels);
        await Promise.all(
            channels.map(async (channel) => {
                for (let n = 0; n < 10; n++) {
                    await publish(server, channel, { n });
                }
            }),
        );
        const events = await socket.pushed(600);
        assertIncreasing(events);
        assert.deepEqual(events, (await readAll(server, "channel=c/*")).events);
    },
);

test("workers that spin before they sleep serve all mechanisms, across workers, too", async (t) => {
    const server = await startServer(t, { args: ["--threads", "2"], config: "spin_us: 2000\n" });
    const followers = await Promise.all(
        [...MECHANISMS, ...MECHANISMS].map((via) => follow(t, server, via, "x")));
    const ids = await publishMany(server, "x", 20);
    for (const follower of followers) {
        await follower.has(20);
        assert.deepEqual(
            follower.events.map((event) => event.id),
            ids,
        );
    }
});

test("any number of workers will do", async (t) => {
    for (const threads of ["1", "2", "3", "8"]) {
        const server = await startServer(t, { args: ["--threads", threads] });
        const followers = await Promise.all(MECHANISMS.map((via) => follow(t, server, via, "x")));
        const ids = await publishMany(server, "x", 20);
        for (const follower of followers) {
            await follower.has(20);
            assert.deepEqual(
                follower.events.map((event) => event.id),
                ids,
            );
        }
        await server.stop();
    }
});
