// Waiting for a thing to happen, never for time to pass.

import { setTimeout as pause } from "node:timers/promises";

/** How long a test waits for what must happen: generous, since a slow machine is no failure. */
export const DEADLINE_MS = Number(process.env.FRESHET_E2E_DEADLINE_MS ?? 60_000);

/** Settles as `promise` does, or fails after `ms` naming what was waited for. */
export async function deadline(promise, what, ms = DEADLINE_MS) {
    let timer;
    const late = new Promise((_, reject) => {
        timer = setTimeout(() => reject(new Error(`waited ${ms} ms in vain for ${what}`)), ms);
    });
    try {
        return await Promise.race([promise, late]);
    } finally {
        clearTimeout(timer);
    }
}

/** Calls `probe` until it answers something truthy (which is returned) or the deadline passes. */
export async function eventually(probe, what, ms = DEADLINE_MS) {
    const end = Date.now() + ms;
    let last;
    for (;;) {
        try {
            last = await probe();
            if (last) {
                return last;
            }
        } catch (error) {
            last = error;
        }
        if (Date.now() > end) {
            throw new Error(`waited ${ms} ms in vain for ${what}; last seen: ${show(last)}`);
        }
        await pause(15);
    }
}

function show(value) {
    return value instanceof Error ? value.message : JSON.stringify(value);
}
