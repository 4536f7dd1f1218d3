// docs/tutorial.md, from its beginning to its end: the lines of shell, the little server, and the page in Chromium.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import fs from "node:fs";
import path from "node:path";
import { eventually, startServer, temporaryFolder, test } from "./support/index.mjs";
import { documentText } from "./support/documents.mjs";
import { launch, newPage, skip } from "./support/pages.mjs";
import { freePort } from "./support/program.mjs";
import { blocksOf, forServer, runBlocks } from "./support/tour.mjs";

const blocks = blocksOf(documentText("tutorial.md"));
const all = (language, ...marks) => blocks.filter((block) => block.language === language && marks.includes(block.mark)).map(({ body }) => body);

/** The three files, as somebody has them who did what the tutorial says: what never ends stands last. */
function filesOf(server, port) {
    const page = all("js", "page");
    const last = page.findIndex((body) => body.startsWith("let next"));
    const script = [...page.slice(0, last), ...all("js", "early"), page[last]].join("\n\n");
    return {
        "index.html": all("html", "")[0],
        "page.js": forServer(server, script),
        "server.mjs": all("js", "server")[0].replaceAll("8000", String(port)),
    };
}

/** Starts server.mjs in a folder with the files; what it prints. */
async function startPage(t, files) {
    const dir = temporaryFolder(t);
    Object.entries(files).forEach(([name, text]) => fs.writeFileSync(path.join(dir, name), text));
    const child = spawn(process.execPath, ["server.mjs"], { cwd: dir, stdio: ["ignore", "pipe", "inherit"] });
    const terminal = { out: "" };
    child.stdout.on("data", (bytes) => (terminal.out += bytes));
    t.after(() => child.kill("SIGKILL"));
    await eventually(() => /http/.test(terminal.out), "server.mjs to start");
    return terminal;
}

test("the tutorial leads to a page that shows each order in four ways", { skip }, async (t) => {
    const server = await startServer(t, { data: true });
    const port = await freePort();
    const terminal = await startPage(t, filesOf(server, port));
    await runBlocks(server, blocks, { 8000: port });
    await eventually(() => /^webhook: it works$/m.test(terminal.out), "the ping");
    const page = await newPage(await launch(server));
    await page.goto(`http://localhost:${port}/`);
    const shows = (list, text) => eventually(async () => (await page.locator(`#${list} li`).allTextContents()).includes(text), `${text} in ${list}`);
    for (const list of ["stream", "poll", "socket"]) {
        await shows(list, "one espresso");
    }
    await page.getByRole("button", { name: "Order" }).click();
    for (const list of ["stream", "poll", "socket"]) {
        await shows(list, "two coffees");
    }
    await eventually(() => /^webhook: two coffees$/m.test(terminal.out), "the webhook");
    assert.deepEqual(page.complaints, []);
});
