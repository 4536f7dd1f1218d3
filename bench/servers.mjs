// Starts each server with the settings that serve it best, pinned to a core, and sees to its end.

import { execFileSync, spawn } from "node:child_process";
import fs from "node:fs";
import net from "node:net";
import os from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";

export const ROOT = path.resolve(path.dirname(fileURLToPath(import.meta.url)), "..");
export const FRESHET = path.resolve(process.env.FRESHET_BIN ?? path.join(ROOT, "build/freshet"));
export const DISK = process.env.BENCH_DISK ?? os.tmpdir(); // where durable logs are kept
export const LOOPS = path.join(ROOT, "build/bench");
const SERVER_CORE = "0";

/* ---- children, none of which outlives this program -------------------------------------------- */

const groups = new Set(); // process groups
const folders = new Set();

function killGroup(pid, signal) {
    try {
        process.kill(-pid, signal);
        return true;
    } catch {
        return false; // gone
    }
}

process.on("exit", () => {
    groups.forEach((pid) => killGroup(pid, "SIGKILL"));
    folders.forEach((dir) => fs.rmSync(dir, { recursive: true, force: true }));
});
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) {
    process.once(signal, () => process.exit(130)); // else "exit" is not told
}

/** A child in a process group of its own, so that its children go with it. */
export function child(command, args, options = {}) {
    const process_ = spawn(command, args, { stdio: "ignore", ...options, detached: true });
    if (process_.pid) {
        groups.add(process_.pid);
    }
    return process_;
}

const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

async function end(pid) {
    killGroup(pid, "SIGTERM");
    for (let i = 0; i < 300 && killGroup(pid, 0); i++) {
        await sleep(i < 20 ? 5 : 20);
    }
    killGroup(pid, "SIGKILL");
    groups.delete(pid);
}

export function folder(parent = os.tmpdir()) {
    const dir = fs.mkdtempSync(path.join(parent, "freshet-bench-"));
    folders.add(dir);
    return dir;
}

function freePort() {
    return new Promise((resolve) => {
        const server = net.createServer().listen(0, "127.0.0.1", () => {
            const { port } = server.address();
            server.close(() => resolve(port));
        });
    });
}

function accepts(port) {
    return new Promise((resolve) => {
        const socket = net.connect(port, "127.0.0.1");
        socket.once("connect", () => resolve(socket.destroy() && true));
        socket.once("error", () => resolve(false));
    });
}

async function listening(port, name) {
    for (let i = 0; i < 500; i++) {
        if (await accepts(port)) {
            return;
        }
        await sleep(20);
    }
    throw new Error(`${name} does not listen on port ${port}`);
}

function parentOf(pid) {
    try {
        const stat = fs.readFileSync(`/proc/${pid}/stat`, "utf8");
        return Number(stat.slice(stat.lastIndexOf(")") + 2).split(" ")[1]);
    } catch {
        return undefined; // gone
    }
}

/** The process and its descendants: what the server's CPU and memory are. */
function familyOf(pid) {
    const all = fs.readdirSync("/proc").filter((name) => /^\d+$/.test(name)).map(Number);
    const parents = new Map(all.map((one) => [one, parentOf(one)]));
    const family = [pid];
    for (const one of family) { // grows while it is walked
        family.push(...all.filter((other) => parents.get(other) === one));
    }
    return family;
}

/* ---- the servers ------------------------------------------------------------------------------ */

function nginxConfig(dir, port) {
    const location = (via, kind, first, more = "") => `location = /${via} { nchan_subscriber ${kind};
        nchan_channel_id $arg_id; nchan_subscriber_first_message ${first}; ${more}}`;
    return `daemon off; worker_processes 1; worker_rlimit_nofile 20000; pid ${dir}/pid;
load_module /usr/lib/nginx/modules/ngx_nchan_module.so;
error_log ${dir}/error.log warn;
events { worker_connections 65536; use epoll; multi_accept on; }
http {
    access_log off; tcp_nodelay on; keepalive_requests 1000000000; keepalive_timeout 3600s;
    client_body_buffer_size 16k; client_body_temp_path ${dir}/body; proxy_temp_path ${dir}/proxy;
    fastcgi_temp_path ${dir}/fastcgi; uwsgi_temp_path ${dir}/uwsgi; scgi_temp_path ${dir}/scgi;
    nchan_shared_memory_size 4096M; nchan_max_channel_id_length 128;
    nchan_message_buffer_length 1000; nchan_message_timeout 60s;
    server {
        listen 127.0.0.1:${port} backlog=4096;
        location = /pub { nchan_publisher; nchan_channel_id $arg_id; }
        ${location("sse", "eventsource", "newest")}
        ${location("ws", "websocket", "newest")}
        ${location("raw", "http-raw-stream", "newest")}
        ${location("poll", "longpoll", "oldest", "nchan_longpoll_multipart_response raw; ")}
    }
}
`;
}

/** A certificate for this machine, with a key of this kind; the names of both files. */
function certificate(dir, kind) {
    const key = { ec: ["ec", "-pkeyopt", "ec_paramgen_curve:P-256"], rsa: ["rsa:2048"] }[kind];
    const files = { cert: `${dir}/cert.pem`, key: `${dir}/key.pem` };
    execFileSync("openssl", ["req", "-x509", "-newkey", ...key, "-nodes", "-days", "30", "-keyout", files.key, "-out", files.cert,
        "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"], { stdio: "ignore" });
    fs.chmodSync(files.key, 0o644);
    return files;
}

function freshetTls(dir, ports, kind) {
    const { cert, key } = certificate(dir, kind);
    fs.writeFileSync(`${dir}/freshet.yaml`, `tls:\n  certificates:\n  - {cert: ${cert}, key: ${key}}\n`);
    return { command: FRESHET, tls: true, args: ["serve", "--config", `${dir}/freshet.yaml`, "--memory",
        "--threads", "1", "--listen", `https://127.0.0.1:${ports[0]}`] };
}

function nginxTls(dir, ports, kind) {
    const { cert, key } = certificate(dir, kind);
    fs.writeFileSync(`${dir}/nginx.conf`, `daemon off; worker_processes 1; pid ${dir}/pid; error_log ${dir}/error.log warn;
events { worker_connections 16384; use epoll; }
http {
    access_log off; client_body_temp_path ${dir}/body; proxy_temp_path ${dir}/proxy;
    fastcgi_temp_path ${dir}/fastcgi; uwsgi_temp_path ${dir}/uwsgi; scgi_temp_path ${dir}/scgi;
    server {
        listen 127.0.0.1:${ports[0]} ssl backlog=4096;
        ssl_certificate ${cert}; ssl_certificate_key ${key}; ssl_protocols TLSv1.2 TLSv1.3;
        location / { return 200 "ok"; }
    }
}
`);
    return { command: "nginx", tls: true, args: ["-c", `${dir}/nginx.conf`, "-p", dir], settled: 300 };
}

function pushpinConfig(dir, ports) {
    return `[global]
include={libdir}/internal.conf
rundir=${dir}
ipc_prefix=bench-
[runner]
services=condure,pushpin-proxy,pushpin-handler
http_port=127.0.0.1:${ports[0]}
logdir=${dir}
log_level=0
client_buffer_size=8192
client_maxconn=50000
condure_bin=condure
[proxy]
routesfile=${dir}/routes
[handler]
push_in_spec=tcp://127.0.0.1:${ports[2]}
push_in_http_addr=127.0.0.1
push_in_http_port=${ports[1]}
push_in_http_max_headers_size=10000
push_in_http_max_body_size=1000000
command_spec=tcp://127.0.0.1:${ports[3]}
stats_spec=ipc://{rundir}/{ipc_prefix}stats
message_rate=10000000
message_hwm=10000000
connection_subscription_max=20
`;
}

function configured(dir, ports, config) {
    fs.writeFileSync(`${dir}/freshet.yaml`, config);
    return { command: FRESHET, args: ["serve", "--config", `${dir}/freshet.yaml`, "--memory",
        "--threads", "1", "--listen", `127.0.0.1:${ports[0]}`] };
}

/* Members by streams of HTTP/2, more than there are descriptors. */
const MANY_STREAMS = "limits: {http2_streams_max: 2000, held_max: 8GiB}\n";

/** What to run, given a folder of its own and free ports. */
const kinds = {
    "freshet": (dir, ports) => ({ command: FRESHET,
        args: ["serve", "--memory", "--threads", "1", "--listen", `127.0.0.1:${ports[0]}`] }),
    "freshet durable": (dir, ports) => ({ command: FRESHET,
        args: ["serve", "--data", dir, "--threads", "1", "--listen", `127.0.0.1:${ports[0]}`] }),
    "freshet, small files": (dir, ports) => {
        fs.writeFileSync(`${dir}/freshet.yaml`, "log:\n  roll_bytes: 131072\n");
        return { command: FRESHET, args: ["serve", "--config", `${dir}/freshet.yaml`, "--data", dir,
            "--threads", "1", "--listen", `127.0.0.1:${ports[0]}`] };
    },
    "freshet, unpaced": (dir, ports) => configured(dir, ports, "limits:\n  poll_pace_ms: 0\n"),
    "freshet, spinning": (dir, ports) => configured(dir, ports, "spin_us: 10000\n"),
    "freshet, absence": (dir, ports) => configured(dir, ports, MANY_STREAMS),
    "freshet, presence": (dir, ports) => configured(dir, ports, `${MANY_STREAMS}namespaces: [{prefix: p, presence: true}]\n`),
    "freshet, presence unlogged": (dir, ports) => configured(dir, ports, `${MANY_STREAMS}namespaces: [{prefix: p, presence: true}, ` +
        "{prefix: $presence, ephemeral: true}, {prefix: $occupied, ephemeral: true}]\n"),
    "freshet, roomy": (dir, ports) => configured(dir, ports, "log:\n  bytes_max: 8GiB\n"),
    "freshet 2 workers": (dir, ports) => ({ command: FRESHET, cores: "0,1",
        args: ["serve", "--memory", "--threads", "2", "--listen", `127.0.0.1:${ports[0]}`] }),
    "freshet, TLS": (dir, ports) => freshetTls(dir, ports, "ec"),
    "freshet, RSA": (dir, ports) => freshetTls(dir, ports, "rsa"),
    "nginx, TLS": (dir, ports) => nginxTls(dir, ports, "ec"),
    "nginx, RSA": (dir, ports) => nginxTls(dir, ports, "rsa"),
    "bare, TLS": (dir, ports) => {
        const { cert, key } = certificate(dir, "ec");
        return { command: path.join(LOOPS, "bench_bare_tls"), target: "bare", tls: true, args: [`${ports[0]}`, cert, key] };
    },
    "bare send": (dir, ports) => ({ command: path.join(LOOPS, "bench_bare"), target: "bare",
        args: [`${ports[0]}`, "send"] }),
    "bare io_uring": (dir, ports) => ({ command: path.join(LOOPS, "bench_bare"), target: "bare",
        args: [`${ports[0]}`, "uring"] }),
    "bare, history": (dir, ports) => ({ command: path.join(LOOPS, "bench_bare"), target: "bare",
        args: [`${ports[0]}`, "send", "keep"] }),
    "empty loop": (dir, ports) => ({ command: path.join(LOOPS, "bench_empty"), target: "bare",
        args: [`${ports[0]}`] }),
    "nchan": (dir, ports) => {
        fs.writeFileSync(`${dir}/nginx.conf`, nginxConfig(dir, ports[0]));
        return { command: "nginx", target: "nchan", args: ["-c", `${dir}/nginx.conf`, "-p", dir],
            settled: 300 };
    },
    "pushpin": (dir, ports) => {
        fs.writeFileSync(`${dir}/pushpin.conf`, pushpinConfig(dir, ports));
        fs.writeFileSync(`${dir}/routes`, "* test\n");
        return { command: "pushpin", target: "pushpin", args: [`--config=${dir}/pushpin.conf`],
            publish: ports[1], settled: 2000 };
    },
};

/** Starts one; `load` are the arguments that tell `freshet bench` where and what it is. */
export async function start(name) {
    const durable = ["freshet durable", "freshet, small files"].includes(name);
    const dir = folder(durable ? DISK : undefined);
    fs.chmodSync(dir, 0o777); // nginx's worker is another user
    const ports = await Promise.all([freePort(), freePort(), freePort(), freePort()]);
    const what = kinds[name](dir, ports);
    const process_ = child("taskset", ["-c", what.cores ?? SERVER_CORE, what.command, ...what.args],
        { cwd: dir });
    const stop = async () => {
        const family = familyOf(process_.pid);
        await end(process_.pid);
        for (const pid of family) {
            await end(pid); // pushpin's children lead groups of their own
        }
        fs.rmSync(dir, { recursive: true, force: true });
        folders.delete(dir);
    };
    try {
        await listening(what.publish ?? ports[0], name);
        await sleep(what.settled ?? 100);
    } catch (error) {
        await stop();
        throw error;
    }
    const family = familyOf(process_.pid);
    family.forEach((pid) => groups.add(pid));
    const load = [`${what.tls ? "https" : "http"}://127.0.0.1:${ports[0]}`, "--target", what.target ?? "freshet",
        ...what.tls ? ["--insecure"] : [], ...family.flatMap((pid) => ["--pid", `${pid}`])];
    if (what.publish) {
        load.push("--publish-url", `http://127.0.0.1:${what.publish}`);
    }
    return { name, dir, load, stop, port: ports[0], family };
}

function firstLine(command, args) {
    try {
        return execFileSync(command, args, { encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] })
            .split("\n")[0];
    } catch {
        return "not there";
    }
}

/** What a reader must know of the machine and the versions. */
export function circumstances() {
    const version = (name) => firstLine("dpkg-query", ["-W", "-f=${Version}", name]);
    const model = /model name\s*: (.*)/.exec(fs.readFileSync("/proc/cpuinfo", "utf8"))?.[1];
    return [
        ["machine", `${os.cpus().length} × ${model ?? os.arch()}, ` +
            `${Math.round(os.totalmem() / 2 ** 30)} GiB`],
        ["kernel", os.release()],
        ["congestion control", firstLine("sysctl", ["-n", "net.ipv4.tcp_congestion_control"])],
        ["file limit", firstLine("sh", ["-c", "ulimit -Hn"])],
        ["disk of durable logs", firstLine("sh", ["-c", `df --output=fstype ${DISK} | tail -n 1`])],
        ["freshet", firstLine(FRESHET, ["version"])],
        ["commit", firstLine("git", ["-C", ROOT, "describe", "--always", "--dirty"])],
        ["nginx, nchan", `${version("nginx")}, ${version("libnginx-mod-nchan")}`],
        ["pushpin", version("pushpin")],
    ];
}
