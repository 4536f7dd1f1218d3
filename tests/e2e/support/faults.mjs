// A server on a disk whose calls fail now and then, which is killed and started again on it; and numbers that look
// random and are the same for a seed, so that a round that failed can be played again.

import fs from "node:fs";
import path from "node:path";
import { BIN } from "./server.mjs";

/* tests/faults/disk.c, which stands before the server's calls to write and sync. */
const LIBRARY = path.join(path.dirname(BIN), "tests/libfreshet_disk.so");

/** Options of a test that needs the library. */
export const ON_A_FAILING_DISK = { skip: fs.existsSync(LIBRARY) ? false : `${LIBRARY} is not built` };

/** How many rounds there are, and the seed of the first. */
export const ROUNDS = Number(process.env.FAULT_ROUNDS ?? 2);
export const SEED = Number(process.env.FAULT_SEED ?? 1);

/** Numbers that look random, the same for a seed. */
export function randomOf(seed) {
    let state = BigInt(seed) * 0x9e3779b97f4a7c15n;
    return (below) => {
        state = (state * 6364136223846793005n + 1442695040888963407n) & 0xffffffffffffffffn;
        return Number((state >> 33n) % BigInt(below));
    };
}

/** The environment in which a server's disk fails. One seed in five has so many faults that fates remain unknown, but
    for the calls of the start. */
export function faultsOf(server, random, seed) {
    const env = {
        LD_PRELOAD: LIBRARY, DISK_FOLDER: path.join(server.dir, "data"),
        DISK_RATE: String(10 + random(41)), DISK_ERRNO: String([5, 28, 0][random(3)]),
    };
    return seed % 5 === 0 ? { ...env, DISK_RATE: "250", DISK_AFTER: "150" } : env;
}

/** Starts the server; a disk that fails may keep it from starting, and then from starting again. */
export async function startFailing(server, env, seed) {
    for (let n = 0; ; n++) {
        server.env = { ...env, DISK_SEED: String(seed * 1000 + n) };
        try {
            return await server.start();
        } catch (error) {
            if (n === 30) {
                throw error;
            }
        }
    }
}

/** The server was killed while somebody waited for its answer. */
export class Gone extends Error {}

/** Waits for somebody who goes on until the server is gone. */
export async function untilGone(promise) {
    try {
        await promise;
    } catch (error) {
        if (!(error instanceof Gone)) {
            throw error;
        }
    }
}

/** The answer of a server that may be killed meanwhile: then `lost` is called, and Gone thrown. */
export async function orGone(answer, lost = () => {}) {
    try {
        return await answer;
    } catch (error) {
        if (!["ECONNRESET", "ECONNREFUSED", "EPIPE"].includes(error.code)) {
            throw error; /* no answer in time is a fault of the server */
        }
        lost();
        throw new Gone();
    }
}
