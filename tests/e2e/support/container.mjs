// A container that systemd boots: this machine's own files below a layer that goes with the container, with processes and a loopback
// of its own. Services can be installed in it, killed and watched, and nothing of it is left.

import { spawn } from "node:child_process";
import fs from "node:fs";
import { BIN } from "./server.mjs";
import { installed, Service } from "./service.mjs";
import { deadline, eventually } from "./wait.mjs";

const BOOT_MS = 60_000; /* without a kernel that permits containers, nothing comes after that either */

/** What is missing here for a container, or false. */
export function lacksContainer() {
    if (process.getuid() !== 0)
        return "a container takes root";
    if (!installed("systemd-nspawn"))
        return "no systemd-nspawn";
    return !fs.existsSync("/lib/systemd/systemd") && "no systemd";
}

/** The ids of a process and of all below it. */
function family(pid) {
    try {
        const below = fs.readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").trim().split(" ");
        return [pid, ...below.filter(Boolean).flatMap((child) => family(Number(child)))];
    } catch {
        return []; /* it has ended meanwhile */
    }
}

/** The init of a container: the first process below that is number 1 to its own. */
function initOf(pid) {
    return family(pid).find((id) => {
        try {
            return /^NSpid:(\s+\d+)+\s+1$/m.test(fs.readFileSync(`/proc/${id}/status`, "utf8"));
        } catch {
            return false;
        }
    });
}

/* The layer over this machine's files is memory, in a mount namespace that ends with the container. systemd-nspawn has a layer of its
 * own (--volatile=overlay), but refuses the root folder for it. */
const LAYERED = `
mount -t tmpfs -o mode=755 tmpfs "$1/layer"
mkdir "$1/layer/new" "$1/layer/work"
mount -t overlay -o "lowerdir=/,upperdir=$1/layer/new,workdir=$1/layer/work" overlay "$1/root"
dir=$1; shift
exec systemd-nspawn --directory="$dir/root" --bind="$dir/share:/srv/freshet" "$@"`;

/* systemd-nspawn of Debian 12 does not know Landlock, and forbids what it does not know. */
const LANDLOCK = "--system-call-filter=landlock_create_ruleset landlock_add_rule landlock_restrict_self";

export class Container {
    /** Boots; the container's /srv/freshet is `dir`/share. Throws with what was said if this machine cannot have it. */
    static async boot(dir) {
        const container = new Container();
        for (const name of ["layer", "root", "share"])
            fs.mkdirSync(`${dir}/${name}`, { recursive: true });
        /* Without a systemd outside there is none that could give the container a unit. */
        const unit = fs.existsSync("/run/systemd/system") ? [] : ["--keep-unit"];
        container.service = new Service(dir, "unshare", ["--mount", "--propagation", "private", "sh", "-euc", LAYERED, "sh", dir,
            "--quiet", "--register=no", ...unit, `--machine=freshet-e2e-${process.pid}`, "--private-network", "--resolv-conf=off", "--timezone=off",
            "--link-journal=no", "--console=pipe", LANDLOCK, "--boot", "systemd.unit=basic.target", "systemd.show_status=no"]);
        try {
            await container.service.until(() => (container.init ??= initOf(container.service.child.pid)), "the container's init", BOOT_MS);
            await container.service.until(async () => (await container.run("systemctl is-active basic.target")).code === 0, "the boot", BOOT_MS);
        } catch (error) {
            await container.stop();
            throw error;
        }
        return container;
    }

    /** Runs lines of shell in /srv/freshet, in the container: {code, stdout, stderr}. */
    run(script, { input } = {}) {
        /* -r: below a chroot the root of a container's mounts is not that of its init. */
        const command = ["-t", `${this.init}`, "-r", "-m", "-u", "-i", "-n", "-p", "env", "-i", "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            "HOME=/root", "sh", "-euc", `cd /srv/freshet; ${script}`];
        const child = spawn("nsenter", command, { stdio: ["pipe", "pipe", "pipe"] });
        const result = { child, stdout: "", stderr: "" };
        child.stdin.on("error", () => {}).end(input);
        child.stdout.setEncoding("utf8").on("data", (text) => (result.stdout += text));
        child.stderr.setEncoding("utf8").on("data", (text) => (result.stderr += text));
        const ended = new Promise((resolve, reject) => {
            child.once("error", reject);
            child.once("close", (code, signal) => resolve(Object.assign(result, { code: code ?? signal })));
        });
        ended.soFar = result;
        return ended;
    }

    /** The same; what it prints. Fails unless it succeeds. */
    async shell(script, options) {
        const { code, stdout, stderr } = await deadline(this.run(script, options), script, BOOT_MS);
        if (code !== 0)
            throw new Error(`${script}\nended with ${code}\n${stdout}${stderr}\n${(await this.run("journalctl -n 50 --no-pager -u 'freshet*'")).stdout}`);
        return stdout;
    }

    /** Runs the lines until they succeed; what they print then. */
    until(script, what) {
        return eventually(async () => {
            const { code, stdout, stderr } = await this.run(script);
            if (code !== 0)
                throw new Error(stdout + stderr);
            return stdout || " ";
        }, what, BOOT_MS);
    }

    stop() {
        return this.service.stop();
    }
}

/** Puts the program under test and the files of dist/ into a container's share, where a checkout has them. */
export function layOut(dir) {
    fs.mkdirSync(`${dir}/share/build`, { recursive: true });
    fs.copyFileSync(BIN, `${dir}/share/build/freshet`);
    fs.cpSync(new URL("../../../dist", import.meta.url), `${dir}/share/dist`, { recursive: true });
}
