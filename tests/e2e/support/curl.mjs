// Runs curl itself: what a newcomer would type must work as typed.

import { spawn } from "node:child_process";
import { deadline } from "./wait.mjs";

/** Runs curl to its end: {code, stdout, stderr}, stdout as text. */
export async function curl(args, { input } = {}) {
    const child = spawn("curl", ["-sS", ...args], { stdio: ["pipe", "pipe", "pipe"] });
    let stdout = "";
    let stderr = "";
    child.stdout.setEncoding("utf8").on("data", (text) => (stdout += text));
    child.stderr.setEncoding("utf8").on("data", (text) => (stderr += text));
    child.stdin.on("error", () => {});
    child.stdin.end(input);
    const code = await deadline(
        new Promise((resolve, reject) => {
            child.once("error", reject);
            child.once("close", resolve);
        }),
        `curl ${args.join(" ")}`,
    );
    return { code, stdout, stderr };
}

/** A curl that goes on until the server ends; `until(pattern)` waits for its output to match. */
export function curlStream(server, args) {
    const child = spawn("curl", ["-sSN", ...args], { stdio: ["ignore", "pipe", "pipe"] });
    const stream = { stdout: "", stderr: "", child };
    let wake = () => {};
    child.stdout.setEncoding("utf8").on("data", (text) => {
        stream.stdout += text;
        wake();
    });
    child.stderr.setEncoding("utf8").on("data", (text) => (stream.stderr += text));
    stream.exited = new Promise((resolve) => child.once("close", (code) => resolve(code)));
    stream.until = (pattern) => {
        const look = async () => {
            while (!pattern.test(stream.stdout)) {
                await new Promise((resolve) => (wake = resolve));
            }
            return stream.stdout;
        };
        return deadline(look(), `${pattern} from curl ${args.join(" ")}; so far: ${stream.stdout}`);
    };
    server.onStop(() => child.kill("SIGKILL"));
    return stream;
}

/** The arguments in a line that begins with curl, as a shell has them; single quotes at most. */
export function argumentsOf(line) {
    const [program, ...args] = [...line.matchAll(/'([^']*)'|(\S+)/g)].map(([, quoted, plain]) => quoted ?? plain);
    return program === "curl" ? args : [];
}
