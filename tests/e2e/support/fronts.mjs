// The proxies of docs/proxies.md, run in front of a server with the configurations that stand there.

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import fs from "node:fs";
import path from "node:path";
import { documentText, fencedBlock } from "./documents.mjs";
import { destroyAgent } from "./http.mjs";
import { freePort } from "./program.mjs";
import { destroyRawConns } from "./raw.mjs";
import { temporaryFolder } from "./server.mjs";
import { installed, listens, Service } from "./service.mjs";

const DOCUMENT = documentText("proxies.md");
const MODULES = "/usr/lib/apache2/modules";

/* What Debian switches on by itself, and what the document says to switch on. */
const APACHE_DEFAULT = ["authz_core", "authz_host", "alias", "deflate", "dir", "env", "filter", "mpm_event",
    "reqtimeout", "setenvif"];

function apacheMain(dir) {
    const enabled = [...DOCUMENT.matchAll(/`a2enmod ([a-z0-9_ ]+)`/g)].flatMap(([, names]) => names.split(" "));
    return [
        ...[...APACHE_DEFAULT, ...enabled].map((name) => `LoadModule ${name}_module ${MODULES}/mod_${name}.so`),
        `ServerRoot ${dir}`, `DefaultRuntimeDir ${dir}`, `PidFile ${dir}/pid`, "ServerName localhost",
        `ErrorLog ${dir}/error.log`, "User www-data", "Group www-data",
        /* Apache closes an idle connection after five seconds. On a busy machine a test may take as long, and then use it again. */
        "KeepAliveTimeout 120",
        /* What Debian switches on for them. */
        "AddOutputFilterByType DEFLATE text/html text/plain text/xml text/css text/javascript application/javascript application/json",
        "RequestReadTimeout header=20-40,minrate=500", "RequestReadTimeout body=10,minrate=500",
        `Include ${dir}/site.conf`, "",
    ].join("\n");
}

/* Each: the program, its file, what else it needs in its folder, and how it is started in the foreground. */
const KINDS = {
    nginx: {
        programs: ["nginx"], language: "nginx", file: "nginx.conf",
        args: (dir) => ["-p", dir, "-e", "stderr", "-c", `${dir}/nginx.conf`, "-g", `daemon off; pid ${dir}/pid;`],
        own: (text, dir) => text.replaceAll("/var/log/nginx/", `${dir}/`).replace("http {", `http {\n${
            ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"].map((kind) => `${kind}_temp_path ${dir}/${kind};`).join("\n")}`),
    },
    haproxy: {
        programs: ["haproxy"], language: "haproxy", file: "haproxy.cfg",
        args: (dir) => ["-db", "-f", `${dir}/haproxy.cfg`],
    },
    caddy: {
        programs: ["caddy"], language: "caddyfile", file: "Caddyfile",
        args: (dir) => ["run", "--adapter", "caddyfile", "--config", `${dir}/Caddyfile`],
        env: (dir) => ({ XDG_DATA_HOME: dir, XDG_CONFIG_HOME: dir }),
    },
    apache: {
        programs: ["apache2"], language: "apache", file: "site.conf",
        args: (dir) => ["-f", `${dir}/apache.conf`, "-DFOREGROUND"],
        more: (dir) => {
            fs.writeFileSync(path.join(dir, "apache.conf"), apacheMain(dir));
            fs.writeFileSync(path.join(dir, "away.asis"), fencedBlock(DOCUMENT, "http"));
        },
    },
};

export const PROXIES = Object.keys(KINDS);

/** What the document says that freshet must be told. */
export const CONFIG = fencedBlock(DOCUMENT, "yaml");

/** Why a test of this proxy is skipped: it is not installed. Where all is installed, in CI, nothing is skipped. */
export function lacks(name) {
    return !process.env.CI && !installed(...KINDS[name].programs) ? `${name} is not installed` : false;
}

/** The configuration as a section of the document changes it, by a table of what to write instead of what. */
export function changedBy(section, name) {
    const [, table] = new RegExp(`^## ${section}\\n([^]*?)(?=^## )`, "m").exec(`${DOCUMENT}\n## `);
    const rows = [...table.matchAll(new RegExp(`^\\| ${name} \\| \`(.*)\` \\| \`(.*)\` \\|$`, "gim"))];
    assert.notEqual(rows.length, 0, `rows for ${name} under ${section}`);
    return (text) => rows.reduce((changed, [, from, to]) => {
        assert.ok(changed.includes(from), `${name}: ${from}`);
        return changed.replace(from, to.replaceAll("`<br>`", "\n").replaceAll("\\|", "|"));
    }, text);
}

/** A certificate for loopback that nobody else signed, with its key, in one file. */
function makeCertificate(dir) {
    const file = path.join(dir, "tls.pem");
    const made = spawnSync("openssl", ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
        "-days", "2", "-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", "-"], { encoding: "utf8" });
    assert.equal(made.status, 0, made.stderr);
    fs.writeFileSync(file, made.stdout);
}

/**
 * Starts a proxy in front of `server`, which listens on a fixed port; the proxy ends with it. `change` makes another
 * configuration of the document's. Answers {name, port, url, onStop}, which helpers take for a server.
 */
export async function startFront(t, name, server, { change = (text) => text } = {}) {
    const { programs, language, file, args, own = (text) => text, env = () => ({}), more = () => {} } = KINDS[name];
    const dir = temporaryFolder(t);
    fs.chmodSync(dir, 0o755); /* workers run as somebody else */
    const port = await freePort();
    const text = change(fencedBlock(DOCUMENT, language));
    fs.writeFileSync(path.join(dir, file), own(text, dir).replaceAll("/etc/freshet/", `${dir}/`)
        .replaceAll("127.0.0.1:7070", `127.0.0.1:${server.port}`).replaceAll(/:(8080|8443)\b/g, `:${port}`));
    more(dir);
    if (text.includes("tls.pem")) {
        makeCertificate(dir);
    }
    const service = new Service(dir, programs[0], args(dir), env(dir));
    const front = { name, port, url: `http://127.0.0.1:${port}`, onStop: (fn) => server.onStop(fn), service };
    front.stop = async () => {
        destroyRawConns(port);
        destroyAgent(port);
        await service.stop();
    };
    server.services.push(service);
    server.onStop(front.stop);
    t.after(front.stop);
    await service.until(() => listens(port), `${name} to listen`);
    return front;
}
