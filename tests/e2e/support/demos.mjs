// The demos in a browser: their configuration, and what a visitor does in each.

import fs from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";

export const EXAMPLES = path.join(path.dirname(fileURLToPath(import.meta.url)), "../../../examples");
export const CONFIG = fs.readFileSync(path.join(EXAMPLES, "freshet.yaml"), "utf8");

export const addReading = async (page, station, celsius) => {
    await page.getByLabel("Station", { exact: true }).selectOption(station);
    await page.getByLabel("Degrees Celsius").fill(String(celsius));
    await page.getByRole("button", { name: "Add", exact: true }).click();
    await page.getByText(/^Added: /).waitFor();
};

/** Writes a note, and waits until the page has its text from the log: the label says nothing else, whereas the field shows what is typed. */
export async function write(page, text) {
    await page.getByRole("button", { name: "New note" }).click();
    await page.locator(".note textarea:focus").fill(text);
    await page.keyboard.press("Escape");
    await page.getByRole("group", { name: `: ${text}` }).waitFor();
}

export async function say(page, text) {
    await page.getByLabel("Message", { exact: true }).fill(text);
    await page.getByRole("button", { name: "Send" }).click();
}

/** Fills the page of each demo, by its path; resolves when it shows what it got. */
export const FILL = {
    "": async () => {},
    "ticker/": async (page) => {
        await page.getByRole("button", { name: "Start the feed" }).click();
        await page.locator(".change", { hasText: "%" }).first().waitFor();
    },
    "odds/": async (page) => {
        await page.getByRole("button", { name: "Start the feed" }).click();
        await page.locator(".match").nth(7).waitFor();
    },
    "weather/": async (page) => {
        await addReading(page, "London", 10);
        await addReading(page, "Cairo", 31);
    },
    "board/": async (page) => {
        await write(page, "buy tea, and whatever else goes with it on a rainy afternoon");
        await write(page, "water plants");
    },
    "chat/": async (page) => {
        await say(page, "a sentence that is long enough to be wrapped on a phone, twice even, if need be");
        await page.locator(".ticks.sent").waitFor();
    },
};
