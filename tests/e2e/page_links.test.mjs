// The pages of the server lead to each other, wherever the server hangs, and work where it has no https.

import assert from "node:assert/strict";
import { startServer, test } from "./support/index.mjs";
import { launch, skip } from "./support/pages.mjs";

const OTHERS = ["playground", "demos/", "console", "docs", "errors/"];
const PAGES = ["", ...OTHERS, "errors/gap", "demos/chat/", "demos/ticker/", "demos/odds/", "demos/weather/", "demos/board/"];

/** The addresses that a page links to. */
async function linksOf(url) {
    const answer = await fetch(url, { headers: { Accept: "text/html" } });
    assert.equal(answer.status, 200, url);
    const links = [...(await answer.text()).matchAll(/<a [^>]*href="([^"#]+)/g)].map(([, href]) => new URL(href, answer.url).href);
    return new Set(links);
}

for (const base of ["", "/rt"]) {
    test(`below "${base}/", each page leads to the first page and to all others`, async (t) => {
        const server = await startServer(t, base ? { args: ["--base", base] } : {});
        for (const page of PAGES) {
            const links = await linksOf(`${server.url}${base}/${page}`);
            const missing = ["", ...OTHERS].filter((other) => other !== page && !links.has(`${server.url}${base}/${other}`));
            assert.deepEqual(missing, [], `/${page} does not lead there`);
        }
    });
}

test("the path of a page with a slash too many, or that of the server with one too few, leads to the page", async (t) => {
    const server = await startServer(t, { args: ["--base", "/x/rt"] });
    const leadsTo = async (path) => {
        const { status, headers } = await server.get(path);
        return status === 308 && new URL(headers.location, server.url + path).pathname;
    };
    assert.equal(await leadsTo("/x/rt"), "/x/rt/");
    for (const page of ["playground", "console", "docs"]) {
        assert.equal(await leadsTo(`/x/rt/${page}/`), `/x/rt/${page}`);
    }
    for (const path of ["/x", "/x/", "/x/rt//", "/x/rtxconsole/", "/x/rt/healthz/", "/x/rt/nowhere/", "/console/"]) {
        assert.equal((await server.get(path)).status, 404, path);
    }
    assert.equal((await server.request("POST", "/x/rt/console/", { body: "x" })).status, 404);
});

/* Over http, under another name than localhost, pages have no navigator.clipboard. */
test("lines are copied on pages of plain http, too", { skip }, async (t) => {
    const server = await startServer(t, { config: "hosts: [rt.example]\n" });
    const browser = await launch(server, "--host-resolver-rules=MAP rt.example 127.0.0.1");
    const context = await browser.newContext({ permissions: [] });
    const pasted = await context.newPage();
    await pasted.setContent("<textarea></textarea>");
    for (const [path, line] of [["playground", ".way .curl"], ["docs#publish", "#publish .curl"], ["console#/credential", ".command pre"]]) {
        const page = await context.newPage();
        await page.goto(`http://rt.example:${server.port}/${path}`);
        await page.locator(line).first().waitFor();
        assert.equal(await page.evaluate(() => typeof navigator.clipboard), "undefined");
        await page.getByRole("button", { name: "Copy", exact: true }).and(page.locator(":visible")).first().click();
        await page.getByText(/^Copied\.?$/).first().waitFor();
        const text = await page.locator(line).first().textContent();
        await page.close();
        await pasted.locator("textarea").fill("");
        await pasted.locator("textarea").press("Control+v");
        assert.equal((await pasted.locator("textarea").inputValue()).trim(), text.trim(), path);
    }
});
