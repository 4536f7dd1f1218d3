// Peers that vanish without a word: no FIN, no RST, no ACK, as behind a cable that was pulled. Their connections end within the time
// that the documents give, whatever they were doing, and what they held comes back.

import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { eventually, startServer, stats, sideBySide } from "./support/index.mjs";
import { Certificates } from "./support/certificates.mjs";
import { filesOf, isSanitized, memoryOf } from "./support/checks.mjs";
import { Program } from "./support/program.mjs";

const { test } = sideBySide(2);

const SCRIPT = fileURLToPath(new URL("support/vanish.py", import.meta.url));
const COUNT = 20;
const TICK_S = 20; /* what timers, a loaded machine and this test's own looks may add */

/* In seconds, by the limits below: what ends a connection of each kind. A stream's peer is asked for each heartbeat, and is
   gone when it has acknowledged nothing for two and a half; the look that finds this may be one heartbeat later. */
const BEAT = 5, IDLE = 15, HEAD = 15, BODY = 15, HANDSHAKE = 15, MESSAGE = 15, WAIT = 5;
const DESERTED = 2.5 * BEAT + BEAT;
const KINDS = {
    sse: DESERTED, ndjson: DESERTED, raw: DESERTED, websocket: DESERTED, freshet_v1: DESERTED, tls: DESERTED, http2: DESERTED,
    half_message: DESERTED, poll: WAIT + IDLE, http2_poll: WAIT + IDLE, idle: IDLE, http2_idle: IDLE,
    half_head: HEAD + 1, half_body: BODY + 1, half_handshake: HANDSHAKE, silent: IDLE,
};
const LIMITS = `limits: {idle_ms: ${IDLE}s, head_ms: ${HEAD}s, body_ms: ${BODY}s, handshake_ms: ${HANDSHAKE}s, message_ms: ${MESSAGE}s, stall_ms: 3s}\n`;

async function start(t) {
    const certificates = new Certificates(t);
    certificates.make("a", "DNS:localhost");
    return startServer(t, { listen: ["127.0.0.1:0", "https://127.0.0.1:0"], config: LIMITS + certificates.config(["a"]), args: ["--threads", "2"] });
}

/** Opens the connections, and returns what makes them vanish. */
async function open(t, server, kinds) {
    const args = [SCRIPT, `${server.port}`, `${server.portOf("https")}`, `${COUNT}`, ...kinds];
    const program = new Program(t, args, { bin: "python3" });
    await program.until(({ lines }) => lines.includes("ready"), "the clients to be connected");
    return async () => {
        program.child.stdin.write("\n");
        await program.until(({ lines }) => lines.includes("vanished"), "the clients to vanish");
        return Date.now();
    };
}

/** How long it takes until the connections of peers that vanish in this way are gone, in seconds. */
async function timeToEnd(t, kind) {
    const server = await start(t);
    await server.publish("v", "first");
    const files = filesOf(server.pid);
    const vanish = await open(t, server, [kind]);
    await eventually(() => filesOf(server.pid) >= files + COUNT - 2, `${kind} to be connected`); /* 2: of the test's own requests */
    const at = await vanish();
    await eventually(async () => filesOf(server.pid) <= files + 2 && (await stats(server)).subscribers.total === 0, `${kind} to be gone`, 120_000);
    return (Date.now() - at) / 1000;
}

test("connections of peers that vanish end in time, whatever they were doing", { timeout: 300_000 }, async (t) => {
    const took = Object.fromEntries(await Promise.all(Object.keys(KINDS).map(async (kind) => [kind, await timeToEnd(t, kind)])));
    t.diagnostic(JSON.stringify(took));
    for (const [kind, seconds] of Object.entries(KINDS))
        assert.ok(took[kind] <= seconds + TICK_S, `${kind} took ${took[kind]} s, and is to be gone within ${seconds}`);
});

test("events that vanished peers do not take cost no more than they may, and the memory comes back", { timeout: 300_000 }, async (t) => {
    const server = await start(t);
    const kinds = Object.keys(KINDS);
    await server.publish("v", "first");
    const files = filesOf(server.pid);
    await (await open(t, server, kinds))();
    const before = (await stats(server)).memory;
    for (let n = 0; n < 200; n++)
        await server.publish("v", "x".repeat(20_000)); /* 4 MB for each stream */
    await eventually(async () => filesOf(server.pid) <= files + 2 && (await stats(server)).subscribers.total === 0, "all of them to be gone", 120_000);
    const { memory, limits } = await stats(server);
    for (const [name, bytes] of Object.entries(memory.held ?? {}))
        assert.ok(bytes <= (before.held[name] ?? 0) + (1 << 20), `memory.held.${name}: ${before.held[name]} and ${bytes} now`);
    assert.ok(limits.peers_gone >= COUNT, JSON.stringify(limits));
    if (!isSanitized(server.pid))
        assert.ok(memoryOf(server.pid) < 200 << 20, `${memoryOf(server.pid)}`);
});
