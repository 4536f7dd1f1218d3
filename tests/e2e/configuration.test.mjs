// GET /configuration: what is in force, with defaults marked and without a secret.

import assert from "node:assert/strict";
import fs from "node:fs";
import path from "node:path";
import { eventually, startServer, test } from "./support/index.mjs";

const SECRETS = ["0123456789abcdef0123456789abcdef-of-tokens", "0123456789abcdef-of-a-source"];
const CONFIG = `limits: {body_max: 2MiB}
hosts: [rt.example.org]
namespaces:
  - {prefix: chat, retention: {age_s: 1h}}
tokens:
  - {secret: ${SECRETS[0]}, algorithm: HS256}
inbound:
  - {source: shop, kind: token, secrets: [${SECRETS[1]}]}
access: {anybody: [admin]}
`;

async function told(server) {
    const answer = await server.get("/configuration");
    assert.equal(answer.status, 200, answer.text);
    assert.match(answer.headers["content-type"], /json/);
    for (const secret of SECRETS) {
        assert.ok(!answer.text.includes(secret));
    }
    return new Map(answer.json().keys.map((row) => [row.key, row]));
}

test("keys are told with value, unit and whether they are the default", async (t) => {
    const server = await startServer(t, { config: CONFIG, args: ["--threads", "2"] });
    const keys = await told(server);
    assert.deepEqual({ ...keys.get("limits.body_max"), meaning: "" }, { key: "limits.body_max", value: 2 << 20, unit: "bytes", default: false, meaning: "" });
    assert.equal(keys.get("limits.batch_max").default, true);
    assert.equal(keys.get("limits.batch_max").value, 1000);
    assert.equal(keys.get("threads").value, 2);
    assert.equal(keys.get("memory").value, true);
    assert.deepEqual(keys.get("hosts").value, ["rt.example.org"]);
    assert.deepEqual(keys.get("listen").value, [{ address: "127.0.0.1:0" }]);
    assert.deepEqual(keys.get("namespaces").value, [{ prefix: "chat", retention: { age_s: 3600 } }]);
    assert.deepEqual(keys.get("tokens").value, [{ secret: "***", algorithm: "HS256" }]);
    assert.deepEqual(keys.get("inbound").value, [{ source: "shop", kind: "token", secrets: ["***"] }]);
    assert.ok([...keys.values()].every(({ meaning }) => meaning));
    assert.ok(keys.get("limits.connections_max").value > 0);
});

test("after a reload the new values are told", async (t) => {
    const server = await startServer(t, { config: CONFIG });
    await told(server);
    fs.writeFileSync(path.join(server.dir, "freshet.yaml"), CONFIG.replace("2MiB", "3MiB"));
    process.kill(server.pid, "SIGHUP");
    await eventually(async () => (await told(server)).get("limits.body_max").value === 3 << 20, "the reload");
});

test("after a reload the values that take a restart are told as they are in force, and that others wait", async (t) => {
    const server = await startServer(t, { config: `${CONFIG}log: {roll_s: 7}\n` });
    assert.ok(![...(await told(server)).values()].some((row) => "waits" in row));
    fs.writeFileSync(path.join(server.dir, "freshet.yaml"), `${CONFIG.replace("2MiB", "3MiB")}log: {roll_s: 8}\n`);
    process.kill(server.pid, "SIGHUP");
    await eventually(async () => (await told(server)).get("limits.body_max").value === 3 << 20, "the reload");
    const { value, waits } = (await told(server)).get("log.roll_s");
    assert.deepEqual({ value, waits }, { value: 7, waits: true });
});

test("reading the configuration takes admin", async (t) => {
    const server = await startServer(t, { config: "access: {anybody: [read, publish]}\n" });
    assert.equal((await server.get("/configuration")).status, 401);
});
