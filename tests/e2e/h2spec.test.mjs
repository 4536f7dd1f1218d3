// h2spec against the server: all cases of RFC 7540 and RFC 7541 pass, but those that docs/http2.md names. Go builds it, once.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import fs from "node:fs";
import path from "node:path";
import { promisify } from "node:util";
import { startServer, test } from "./support/index.mjs";
import { documentText } from "./support/documents.mjs";
import { GO, installedByGo } from "./support/go.mjs";

const run = promisify(execFile);
const MODULE = "github.com/summerwind/h2spec/cmd/h2spec@v2.2.1+incompatible";

/** The cases that the document excuses, as h2spec numbers them: "5.1.11" is case 11 of section 5.1. */
function excused() {
    const table = /## Conformance.*?\n\n(\| case.*)/s.exec(documentText("http2.md"))[1];
    return new Set([...table.matchAll(/^\| ([0-9., ]+), /gm)].flatMap(([, cases]) => cases.split(", ")));
}

/** The cases that failed, by the report in JUnit's form. */
function failures(report) {
    const failed = [];
    for (const [, suite, cases] of report.matchAll(/<testsuite [^>]*package="([^"]*)"[^>]*>(.*?)<\/testsuite>/gs)) {
        let number = 0;
        for (const [, body] of cases.matchAll(/<testcase [^>]*?(?:\/>|>(.*?)<\/testcase>)/gs)) {
            number += 1;
            if (/<failure|<error/.test(body ?? "")) {
                failed.push(`${suite.replace(/^http2\//, "")}.${number} ${body.slice(0, 400)}`);
            }
        }
    }
    return failed;
}

test("h2spec finds nothing but what the document excuses", { skip: GO ? false : "Go is not installed", timeout: 600_000 }, async (t) => {
    const program = await installedByGo(MODULE);
    const server = await startServer(t);
    const report = path.join(server.dir, "report.xml");
    const { stdout } = await run(program, ["-h", "127.0.0.1", "-p", `${server.port}`, "-P", "/events", "-j", report], { maxBuffer: 1 << 24 })
        .catch((error) => error); /* its status tells of failures */
    const count = Number(/(\d+) tests/.exec(stdout)?.[1]);
    assert.ok(count > 140, `h2spec has run ${count} tests\n${stdout}`);
    const known = excused();
    assert.ok(known.size >= 4);
    assert.deepEqual(failures(fs.readFileSync(report, "utf8")).filter((text) => !known.has(text.split(" ")[0])), []);
});
