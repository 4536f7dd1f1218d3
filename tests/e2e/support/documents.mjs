// Code and configurations as they stand in the documents, so that tests run what people copy.

import assert from "node:assert/strict";
import fs from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";

const DOCS = path.resolve(path.dirname(fileURLToPath(import.meta.url)), "../../../docs");

/** The text of a document, by its name in docs/. */
export function documentText(name) {
    return fs.readFileSync(path.join(DOCS, name), "utf8");
}

/** [name, text] of each document in docs/, those of folders as well. */
export function documents() {
    const names = fs.readdirSync(DOCS, { recursive: true }).filter((name) => name.endsWith(".md"));
    return names.map((name) => [name, documentText(name)]);
}

/** The one fenced block of a language. */
export function fencedBlock(text, language) {
    const blocks = [...text.matchAll(new RegExp(`^\`\`\`${language}\\n([^]*?)^\`\`\`$`, "gm"))];
    assert.equal(blocks.length, 1, `blocks of ${language}`);
    return blocks[0][1];
}

/** The source of the function `follow` of docs/api.md. */
export function sourceOfFollow() {
    const [code] = /^ {4}function follow\(url, handlers\)[^]*?^ {4}\}$/m.exec(documentText("api.md"));
    return code;
}
