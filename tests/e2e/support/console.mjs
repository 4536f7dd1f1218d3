// The console in a browser, and servers in which it has something to show and to do.

import * as jose from "jose";
import { openPage } from "./pages.mjs";
import { Receiver } from "./receiver.mjs";
import { startServer } from "./server.mjs";
import { eventually } from "./wait.mjs";

export const VIEWS = ["overview", "channels", "subscribers", "webhooks", "keys", "audit", "configuration", "credential"];

/** The console of `server` in a browser of its own, see openPage(). */
export async function open(t, server, hash = "", options = {}) {
    const page = await openPage(server, `/console${hash}`, options);
    await page.locator("h1").waitFor();
    return page;
}

/** Lets `begin` change the address to that of a view, and waits until that view has taken the place of the one before. */
export async function turn(page, begin) {
    await page.locator("#main:not([aria-busy]) h1").waitFor();
    await page.evaluate(() => document.querySelector("#main h1").setAttribute("data-before", ""));
    await begin();
    await page.locator("#main:not([aria-busy]) h1:not([data-before])").waitFor();
}

/** Goes to a view by its link, and waits until it is there. */
export async function go(page, title) {
    await page.getByRole("navigation").getByRole("link", { name: title, exact: true }).click();
    await page.getByRole("heading", { level: 1, name: title, exact: true }).waitFor();
}

export const said = (page, text) => page.locator("#said").getByText(text).waitFor();
export const button = (where, name) => where.getByRole("button", { name, exact: true });
export const post = (server, target, body, headers) => server.request("POST", target, { body, headers });

export const deliveries = async (server, { id }) => (await server.get(`/webhooks/${id}/deliveries`)).json().deliveries;

/** A server in which each view has something to show: {server, hook, receiver}. */
export async function furnished(t) {
    const server = await startServer(t);
    const receiver = await Receiver.start(t);
    receiver.answer = ({ body }) => (body.channel === "orders/bad" ? 500 : 204);
    for (const [name, data] of [["orders/17", { order: 17, items: [{ sku: "A-1", count: 2 }], note: "leave it at the door" }], ["trades/btc", { price: 67123.5 }], ["news", "hello"]]) {
        await server.publish(name, data, { "Event-Type": "created" });
    }
    const hook = (await post(server, "/webhooks", { url: receiver.url, channels: ["orders/**"], description: "the shop's backend" })).json();
    await server.publish("orders/18", { order: 18 });
    await server.publish("orders/bad", { order: "bad" });
    await post(server, "/keys", { name: "backend", grants: [{ channels: ["orders/**"], may: ["read", "publish"] }], expires_in_s: 86400 });
    await post(server, "/revocations", { subject: "mallory", reason: "left" });
    const stream = await server.sse("/events?channel=orders/**&channel=news");
    await server.ndjson("/channels/news");
    await server.publishMany("news", 20);
    await eventually(async () => (await deliveries(server, hook)).some(({ state }) => state === "failing"), "a failed delivery");
    return { server, receiver, hook, stream };
}

export const SECRET = "a secret of more than thirty-two bytes, for a test";
export const ALL = ["read", "publish", "presence", "webhooks", "admin"];

/** A token of `subject` that may do `may` to every channel. */
export const tokenFor = (may, subject = "operator") => new jose.SignJWT({ freshet: { grants: [{ channels: ["**"], may }] } }).setProtectedHeader({ alg: "HS256" })
    .setSubject(subject).setExpirationTime("1h").sign(Buffer.from(SECRET));

/** A server that lets nobody do anything without a token. */
export function closedServer(t, more = "") {
    return startServer(t, { env: { CONSOLE_SECRET: SECRET }, config: `access: {anybody: []}\ntokens:\n  - secret: env:CONSOLE_SECRET\n${more}` });
}
