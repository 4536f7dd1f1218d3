// Certificates for tests, made by openssl: an authority, and those that it signs.

import { execFileSync } from "node:child_process";
import fs from "node:fs";
import path from "node:path";
import { temporaryFolder } from "./server.mjs";

const KEYS = { ec: ["ec", "-pkeyopt", "ec_paramgen_curve:P-256"], rsa: ["rsa:2048"] };

export class Certificates {
    constructor(t) {
        this.dir = temporaryFolder(t);
        this.#openssl("req", "-x509", "-newkey", ...KEYS.ec, "-nodes", "-keyout", "ca.key", "-out", "ca.pem", "-days", "30",
            "-subj", "/CN=the authority");
    }

    #openssl(...args) {
        execFileSync("openssl", args, { cwd: this.dir, stdio: "pipe" });
    }

    path(name) {
        return path.join(this.dir, name);
    }

    get ca() {
        return fs.readFileSync(this.path("ca.pem"));
    }

    /** Makes NAME.pem and NAME.key for these names (`DNS:a.example,IP:127.0.0.1`; null: none); answers both as texts. */
    make(name, san, { key = "ec", subject = `/CN=${name}` } = {}) {
        fs.writeFileSync(this.path(`${name}.ext`), san === null ? "basicConstraints=CA:FALSE\n" : `subjectAltName=${san}\n`);
        this.#openssl("req", "-newkey", ...KEYS[key], "-nodes", "-keyout", `${name}.key`, "-out", `${name}.csr`, "-subj", subject);
        this.#openssl("x509", "-req", "-in", `${name}.csr`, "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "30",
            "-extfile", `${name}.ext`, "-out", `${name}.pem`);
        return { cert: fs.readFileSync(this.path(`${name}.pem`)), key: fs.readFileSync(this.path(`${name}.key`)) };
    }

    /** Signs NAME anew, for a time that ends at `end`, a Date. Answers the certificate as text. */
    endAt(name, end) {
        const config = "[ca]\ndefault_ca=d\n[d]\ndatabase=index\nserial=serial\nnew_certs_dir=.\ndefault_md=sha256\npolicy=p\n[p]\ncommonName=supplied\n";
        fs.writeFileSync(this.path("ca.cnf"), config);
        fs.writeFileSync(this.path("index"), "");
        fs.writeFileSync(this.path("serial"), "7000");
        const until = end.toISOString().replace(/[-:T]|\.\d+/g, "").slice(2);
        this.#openssl("ca", "-batch", "-notext", "-config", "ca.cnf", "-cert", "ca.pem", "-keyfile", "ca.key",
            "-enddate", until, "-in", `${name}.csr`, "-out", `${name}.pem`);
        return fs.readFileSync(this.path(`${name}.pem`));
    }

    /** The setting `tls` with these certificates, and more lines. */
    config(names, more = "") {
        const pairs = names.map((name) => `  - {cert: ${this.path(`${name}.pem`)}, key: ${this.path(`${name}.key`)}}\n`);
        return `tls:\n  certificates:\n${pairs.join("")}${more}`;
    }
}
