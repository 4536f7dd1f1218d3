// The page that a person gets at /: wide and narrow, light and dark.

import assert from "node:assert/strict";
import { startServer, test } from "./support/index.mjs";
import { assertFits, LOOKS, openPage, skip } from "./support/pages.mjs";

for (const [what, options] of LOOKS) {
    test(`${what}, the page fits, and axe finds nothing`, { skip }, async (t) => {
        const server = await startServer(t, { config: "base: /rt\n" });
        const page = await openPage(server, "/rt/", options);
        await assertFits(page);
        assert.equal(await page.locator("[data-origin]").first().textContent(), `${server.url}/rt`);
        await page.getByText("All paths of this server").click();
        await page.locator(".door").first().click();
        await page.waitForURL("**/rt/playground");
        assert.deepEqual(page.complaints, []);
    });
}
