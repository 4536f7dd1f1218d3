// A disk that is full: publishers are told, nothing acknowledged is lost, reads go on, and all is well
// again once there is room. Needs a small file system of its own, which only root can mount.

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import fs from "node:fs";
import path from "node:path";
import { assertProblem, eventually, page, request, startServer, test } from "./support/index.mjs";
import { assertChained, assertIncreasing, readAll } from "./support/checks.mjs";
import { follow, MECHANISMS } from "./support/follow.mjs";

const SIZE = 48; /* MiB of the file system */
const BALLAST = 24; /* MiB of it that a file of ours takes, to be given back */

function mount(folder) {
    return spawnSync("mount", ["-t", "tmpfs", "-o", `size=${SIZE}m`, "none", folder], { encoding: "utf8" });
}

function umount(folder) {
    spawnSync("umount", ["-l", folder]);
}

/** Why it cannot be done here, or false. */
function whyNot() {
    if (process.getuid() !== 0) {
        return "mounting a small file system needs root";
    }
    const folder = fs.mkdtempSync("/tmp/freshet-mount-");
    const { status, stderr, error } = mount(folder);
    umount(folder);
    fs.rmdirSync(folder);
    return status === 0 ? false : `no file system can be mounted here: ${stderr || error?.message}`;
}

const skip = whyNot();

/** A server whose data lies on a small file system, which `ballast` already fills by half. */
async function startSmall(t) {
    const folder = fs.mkdtempSync("/tmp/freshet-mount-");
    assert.equal(mount(folder).status, 0);
    const ballast = path.join(folder, "ballast");
    fs.writeFileSync(ballast, Buffer.alloc(BALLAST * 1024 * 1024, 1));
    try {
        return { server: await startServer(t, { data: path.join(folder, "data") }), ballast };
    } finally {
        /* Hooks run in the order of their making: the server is stopped before. */
        t.after(() => {
            umount(folder);
            fs.rmdirSync(folder);
        });
    }
}

/** Publishes until it is refused; answers the refusal. `acked` gets id -> data. */
async function fill(server, acked, size = 200_000) {
    for (let n = 0; n < 5000; n++) {
        const body = `${n} ${"x".repeat(size)}`;
        const answer = await request(server, "POST", "/channels/x", { body });
        if (answer.status !== 201) {
            return answer;
        }
        acked.set(answer.json().id, body);
    }
    throw new Error("the disk never filled");
}

async function assertAllThere(server, acked) {
    const { events } = await readAll(server, "channel=x");
    assertIncreasing(events);
    assertChained(events);
    const byId = new Map(events.map((event) => [event.id, event.data]));
    for (const [id, data] of acked) {
        assert.ok(byId.has(id), `the acknowledged event ${id} is lost`);
        assert.ok(byId.get(id) === data, `the acknowledged event ${id} was changed`);
    }
    return events;
}

test("a publish to a full disk is refused with 507 or 503, again and again, and reads go on", { skip }, async (t) => {
    const { server } = await startSmall(t);
    const acked = new Map();
    const problem = assertProblem(await fill(server, acked), [507, 503]);
    assert.match(problem.detail, /disk|space|storage|full|write/i);
    assert.ok(acked.size > 10, `only ${acked.size} events fitted`);
    for (let n = 0; n < 20; n++) {
        assertProblem(await request(server, "POST", "/channels/x", { body: "y".repeat(200_000) }), [507, 503]);
        const { events } = await page(server, "/channels/x?last=1");
        assert.equal(events[0].id, [...acked.keys()].at(-1));
    }
    await assertAllThere(server, acked);
    const stats = await server.get("/stats");
    assert.equal(stats.status, 200);
});

test("once there is room again publishing goes on by itself, and subscribers missed nothing", { skip }, async (t) => {
    const { server, ballast } = await startSmall(t);
    const followers = await Promise.all(MECHANISMS.map((via) => follow(t, server, via, "x")));
    const acked = new Map();
    assertProblem(await fill(server, acked), [507, 503]);
    fs.rmSync(ballast);
    await eventually(async () => {
        const answer = await request(server, "POST", "/channels/x", { body: "room again" });
        if (answer.status === 201) {
            acked.set(answer.json().id, "room again");
        }
        return answer.status === 201;
    }, "a publish to be taken again");
    const events = await assertAllThere(server, acked);
    const ids = events.map((event) => event.id);
    for (const follower of followers) {
        await follower.until(() => follower.events.at(-1)?.id === ids.at(-1), "the newest event");
        assert.deepEqual(follower.events.map((event) => event.id), ids, follower.via);
    }
});

test("a full disk survives a kill -9: the server starts again and holds all that was acknowledged", { skip }, async (t) => {
    const { server, ballast } = await startSmall(t);
    const acked = new Map();
    assertProblem(await fill(server, acked), [507, 503]);
    await server.kill();
    fs.rmSync(ballast);
    await server.start();
    await assertAllThere(server, acked);
    const answer = await request(server, "POST", "/channels/x", { body: "after" });
    assert.equal(answer.status, 201, answer.text);
    assert.ok(answer.json().id > [...acked.keys()].at(-1));
});

test("many publishers against a full disk all get an answer, and those with 201 are there", { skip }, async (t) => {
    const { server, ballast } = await startSmall(t);
    const acked = new Map();
    let freed = false;
    await Promise.all(Array.from({ length: 16 }, async (_, who) => {
        let refused = 0;
        for (let n = 0; n < 2000 && !(freed && n % 10 === 9); n++) {
            const body = `${who}/${n} ${"x".repeat(50_000)}`;
            const answer = await request(server, "POST", "/channels/x", { body });
            if (answer.status === 201) {
                acked.set(answer.json().id, body);
            } else {
                assertProblem(answer, [507, 503]);
                refused++;
                if (refused === 5 && !freed) {
                    freed = true;
                    fs.rmSync(ballast);
                }
            }
        }
    }));
    await assertAllThere(server, acked);
});

test("a DELETE on a full disk is done at once though others publish, makes room, and survives a kill -9", { skip }, async (t) => {
    const { server } = await startSmall(t);
    const acked = new Map();
    assert.equal((await request(server, "POST", "/channels/small", { body: "kept" })).status, 201);
    for (const size of [200_000, 1_000, 0]) { /* not even a DELETE fits then */
        assertProblem(await fill(server, acked, size), [507, 503]);
    }
    let over = false;
    const publishing = Promise.all(Array.from({ length: 4 }, async () => {
        for (let n = 0; n < 1000 && !over; n++) {
            await request(server, "POST", "/channels/y", { body: "y".repeat(50_000) });
        }
    }));
    const deleted = await request(server, "DELETE", "/channels/x");
    over = true;
    await publishing;
    assert.equal(deleted.status, 204, deleted.text);
    assert.deepEqual((await page(server, "/channels/x?after=earliest")).events, []);
    await eventually(async () => {
        return (await request(server, "POST", "/channels/x", { body: "room again" })).status === 201;
    }, "a publish to be taken again");
    await server.kill();
    await server.start();
    const { events } = await page(server, "/channels/x?last=100");
    assert.ok(events.length >= 1 && events.every((event) => event.data === "room again"));
    assert.equal((await page(server, "/channels/small?last=1")).events[0].data, "kept");
});
