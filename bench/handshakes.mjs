// The server's CPU for a handshake of TLS, from /proc, while bench_handshakes makes one after the other.

import { execFile } from "node:child_process";
import fs from "node:fs";
import path from "node:path";
import { LOOPS, start } from "./servers.mjs";

/** Microseconds of all threads of these processes. */
function cpuOf(pids) {
    const tasks = pids.flatMap((pid) => fs.readdirSync(`/proc/${pid}/task`).map((task) => `/proc/${pid}/task/${task}/schedstat`));
    return tasks.reduce((sum, file) => sum + Number(fs.readFileSync(file, "utf8").split(" ")[0]) / 1000, 0);
}

function make(port, seconds, more) {
    return new Promise((resolve, reject) => execFile("taskset", ["-c", "1", path.join(LOOPS, "bench_handshakes"), `${port}`, `${seconds}`, ...more],
        (error, out) => (error ? reject(error) : resolve(Number(out)))));
}

export async function cpuOfHandshakes(server, resumed, seconds) {
    const running = await start(server);
    try {
        const more = resumed ? ["resumed"] : [];
        await make(running.port, 1, more); // what is loaded at the first is not counted
        const before = cpuOf(running.family);
        const count = await make(running.port, seconds, more);
        return (cpuOf(running.family) - before) / count;
    } finally {
        await running.stop();
    }
}
