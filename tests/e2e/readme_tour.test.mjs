// The tour in README.md is run as it is written; support/tour.mjs says how its blocks are marked.

import assert from "node:assert/strict";
import fs from "node:fs";
import { test } from "./support/index.mjs";
import { blocksOf, runBlocks, startDocumented } from "./support/tour.mjs";

const README = new URL("../../README.md", import.meta.url);

test("every line of the tour does what the README says", async (t) => {
    const server = await startDocumented(t, { data: true });
    const text = fs.readFileSync(README, "utf8");
    const blocks = blocksOf(/^## A tour.*?^(?=## )/ms.exec(text)?.[0] ?? "");
    assert.ok(blocks.length > 0, "the README has no tour");
    await runBlocks(server, blocks);
});
