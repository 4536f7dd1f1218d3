// examples/relay: an inquiry goes from a website's chat to a service desk and on to Slack, through
// nothing but configuration, once, whoever is down on the way.

import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import fs from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { assertProblem, eventually, request, startServer, temporaryFolder, test } from "./support/index.mjs";
import { freePort, Program, run } from "./support/program.mjs";

const RELAY = path.join(path.dirname(fileURLToPath(import.meta.url)), "../../examples/relay");
const CONFIG = fs.readFileSync(path.join(RELAY, "freshet.yaml"), "utf8");

/* A first retry that does not take its five seconds. */
const IMPATIENT = `webhooks:\n  schedule_ms: [200, 200, 200, 200, ${Array(12).fill(2000)}]\n`;

/** Starts one of the programs; it must say where it listens. */
async function start(t, name, args, env) {
    const program = new Program(t, [path.join(RELAY, `${name}.mjs`), ...args], { bin: process.execPath, env });
    const [, url] = await program.until((it) => /(http:\/\/127\.0\.0\.1:\d+)/.exec(it.out), `${name} to listen`);
    program.url = url;
    return program;
}

/** The whole relay, set up as its README says. */
async function relay(t, { withDesk = true } = {}) {
    const env = {
        CHAT_SECRET: randomBytes(24).toString("base64"),
        DESK_SECRET: `whsec_${randomBytes(24).toString("base64")}`,
        DESK_INBOX_SECRET: `whsec_${randomBytes(24).toString("base64")}`,
    };
    const port = await freePort();
    const server = await startServer(t, { data: true, listen: `127.0.0.1:${port}`, env, config: CONFIG + IMPATIENT });
    const deskPort = await freePort();
    const tickets = path.join(temporaryFolder(t), "tickets.ndjson");
    const desk = () => start(t, "desk", [String(deskPort), `${server.url}/inbound/desk`, tickets], env);
    const slack = await start(t, "slack", ["0"], env);
    const chat = await start(t, "chat", ["0", `${server.url}/inbound/chat`], env);
    const running = withDesk ? await desk() : undefined;
    const inbox = path.join(temporaryFolder(t), "inbox.secret");
    fs.writeFileSync(inbox, `${env.DESK_INBOX_SECRET}\n`);
    for (const args of [
        [`http://127.0.0.1:${deskPort}/`, "chat/sales", "--format", "data", "--secret-file", inbox],
        [`${slack.url}/`, "desk/tickets", "--type", "ticket.created", "--format", "data"],
    ]) {
        const { code, stderr } = await run(t, ["webhook", "add", ...args, "--url", server.url]);
        assert.equal(code, 0, stderr);
    }
    const ask = async (visitor, text, topic = "sales") => {
        const answer = await request(chat.url, "POST", "/messages", { body: { topic, visitor, text } });
        assert.equal(answer.status, 202);
    };
    return { server, slack, chat, desk, running, ask };
}

/** What Slack shows. */
function shown(slack) {
    return slack.lines.filter((line) => line.startsWith("#sales"));
}

test("an inquiry in the chat becomes a ticket, and the ticket a message in Slack", async (t) => {
    const { server, slack, ask } = await relay(t);
    await ask("Ada", "Do you ship to Iceland?");
    await slack.until(() => shown(slack).length === 1, "the first message");
    await ask("Bob", "And to the Faroes?");
    await slack.until(() => shown(slack).length === 2, "the second message");
    assert.deepEqual(shown(slack), [
        "#sales  Inquiry 1 from Ada: Do you ship to Iceland?",
        "#sales  Inquiry 2 from Bob: And to the Faroes?",
    ]);
    const events = (await server.page("/events?channel=chat/**&channel=desk/**")).events;
    assert.deepEqual(events.map(({ channel, type }) => [channel, type]), [
        ["chat/sales", "chat.inquiry"], ["desk/tickets", "ticket.created"],
        ["chat/sales", "chat.inquiry"], ["desk/tickets", "ticket.created"],
    ]);
    await ask("Eve", "Something else", "support");
    await eventually(async () => (await server.history("chat/support")).length === 1, "the inquiry on another topic");
    assertProblem(await server.request("POST", "/inbound/chat", { body: { topic: "sales", text: "forged" } }), 403);
    assert.equal(shown(slack).length, 2);
});

test("requests made while the desk was down become tickets once it is back, in order, once each", async (t) => {
    const { server, slack, desk, ask } = await relay(t, { withDesk: false });
    for (const text of ["one", "two", "three"]) {
        await ask("Ada", text);
        await eventually(async () => (await server.history("chat/sales")).some(({ data }) => data.text === text), "the inquiry");
    }
    const first = await desk();
    await slack.until(() => shown(slack).length === 3, "three messages");
    const expected = ["one", "two", "three"].map((text, n) => `#sales  Inquiry ${n + 1} from Ada: ${text}`);
    assert.deepEqual(shown(slack).sort(), expected);
    first.child.kill("SIGKILL");
    await first.exited;
    await ask("Ada", "four");
    await desk();
    await slack.until(() => shown(slack).length === 4, "the fourth message");
    assert.equal(shown(slack)[3], "#sales  Inquiry 4 from Ada: four");
});

test("requests made while freshet was down are there once it is back", async (t) => {
    const { server, slack, ask } = await relay(t);
    await server.kill();
    await ask("Ada", "Anybody there?");
    await server.start();
    await slack.until(() => shown(slack).length === 1, "the message");
    assert.deepEqual(shown(slack), ["#sales  Inquiry 1 from Ada: Anybody there?"]);
});
