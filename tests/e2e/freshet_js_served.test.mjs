// The module that the server serves is the one in clients/js, made small, and is a module that a page can load.

import assert from "node:assert/strict";
import fs from "node:fs";
import { gzipSync } from "node:zlib";
import { minify } from "terser";
import { startServer, test } from "./support/index.mjs";

const file = (name) => fs.readFileSync(new URL(`../../clients/js/${name}`, import.meta.url), "utf8");

for (const [name, most] of [["freshet", 5000], ["freshet-presence", 1500]]) {
    test(`${name}.min.js is what terser makes of ${name}.js, and below ${most} bytes compressed`, async () => {
        const { code } = await minify(file(`${name}.js`), JSON.parse(file("terser.json")));
        assert.ok(file(`${name}.min.js`).trim() === code.trim(), "make it anew: npm run build in clients/js");
        const { length } = gzipSync(file(`${name}.min.js`), { level: 9 });
        assert.ok(length < most, `${length} bytes`);
    });
}

test("no name of the module's users is among those that are made short", () => {
    const { regex } = JSON.parse(file("terser.json")).mangle.properties;
    const short = new RegExp(regex);
    const declared = file("freshet.d.ts").replace(/\/\*\*[^]*?\*\//g, "").match(/\b\w+(?=\??[:(])/g);
    assert.ok(declared.length > 50);
    assert.deepEqual(declared.filter((name) => short.test(name)), []);
    /* What freshet-presence.js uses of the client, and what tabs of another version say to each other. */
    for (const name of ["insist", "json", "options", "subscribe", "subscriptions", "channels", "presence", "add", "remove", "greet", "renew", "follow", "wish", "tab", "spilt"]) {
        assert.ok(!short.test(name), name);
    }
});

test("/freshet-presence.js is its file", async (t) => {
    const server = await startServer(t);
    const answer = await server.get("/freshet-presence.js", { Origin: "http://localhost:3000" });
    assert.equal(answer.headers["content-type"], "text/javascript; charset=utf-8");
    assert.equal(answer.headers["access-control-allow-origin"], "http://localhost:3000");
    assert.equal(answer.text, file("freshet-presence.min.js"));
});

test("/freshet.js is that file, for pages of every site that may use the server, and is asked for again only if it has changed", async (t) => {
    const server = await startServer(t);
    const answer = await server.get("/freshet.js", { Origin: "http://localhost:3000" });
    assert.equal(answer.status, 200);
    assert.equal(answer.headers["content-type"], "text/javascript; charset=utf-8");
    assert.equal(answer.headers["access-control-allow-origin"], "http://localhost:3000");
    assert.equal(answer.headers["cache-control"], "no-cache");
    assert.equal(answer.text, file("freshet.min.js"));
    const { etag } = answer.headers;
    const known = await server.get("/freshet.js", { "If-None-Match": etag });
    assert.equal(known.status, 304);
    assert.equal(known.headers.vary, (await server.get("/freshet.js")).headers.vary, "RFC 9110, section 15.4.5");
    assert.match(known.headers.vary, /Accept-Encoding/);
    assert.equal((await server.get("/freshet.js", { "If-None-Match": `W/"x", ${etag}` })).status, 304);
    assert.equal((await server.get("/freshet.js", { "If-None-Match": '"x"' })).status, 200);
    for (const path of ["/freshet.js/x", "/pages/", "/pages/nothing", "/pages/../api.c", "/pages/%2e%2e/x"]) {
        assert.equal((await server.get(path)).status, 404, path);
    }
});

test("below a base path, and with access rules, the pages are there too", async (t) => {
    const server = await startServer(t, { args: ["--base", "/rt"], config: "access: {anybody: []}\n" });
    for (const path of ["/rt/playground", "/rt/freshet.js", "/rt/pages/style.css"]) {
        assert.equal((await server.get(path)).status, 200, path);
    }
    assert.equal((await server.get("/playground")).status, 404);
});
