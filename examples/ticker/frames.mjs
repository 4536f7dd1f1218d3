/* The rates as frames of a feed: a frame is a trading day, with an event for each currency. */

import { CURRENCIES, DAYS } from "./rates.mjs";

export const INTERVAL_MS = 1000;

export const FRAMES = DAYS.map(({ date, rates }) => CURRENCIES.map((currency, i) => ({
    channel: `demos/ticker/${currency}`,
    type: "rate",
    data: { date, rate: rates[i] },
})));
