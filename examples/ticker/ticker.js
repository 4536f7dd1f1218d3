/* The ticker: a card for each currency that there is an event of. The newest 60 rates of each are kept for its plot. */

import { $, Line, draw, feedBar, make } from "../demo.js";
import { FRAMES, INTERVAL_MS } from "./frames.mjs";

const KEPT = 60;
const NAMES = {
    USD: "US dollar", GBP: "pound sterling", JPY: "Japanese yen", CHF: "Swiss franc", SEK: "Swedish krona", NOK: "Norwegian krone",
    AUD: "Australian dollar", PLN: "Polish zloty",
};

/* A plot of what was, without axes: WIDTH by HEIGHT units, the newest at the right. */
const WIDTH = 240, HEIGHT = 56;

class Price {
    constructor(currency) {
        this.rates = [];
        this.rate = make("strong", { className: "rate number" });
        this.change = make("span", { className: "change number" });
        this.path = draw("path", { class: "curve" });
        this.dot = draw("circle", { r: 3, class: "dot" });
        this.plot = draw("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", class: "plot" }, this.path, this.dot);
        this.range = make("span", { className: "quiet number range" });
        this.card = make("li", { className: "card price" },
            make("h2", {}, currency, " ", make("span", { className: "quiet", textContent: NAMES[currency] ?? "" })),
            make("p", { className: "figures" }, this.rate, this.change), this.plot, this.range);
    }

    take(rate) {
        const before = this.rates.at(-1);
        this.rates = [...this.rates, rate].slice(-KEPT);
        this.rate.textContent = digits(rate);
        const percent = before ? (rate / before - 1) * 100 : 0;
        const isUp = percent > 0.0005, isDown = percent < -0.0005;
        this.change.textContent = before ? `${isUp ? "▲" : isDown ? "▼" : "="} ${Math.abs(percent).toFixed(2)} %` : "";
        this.change.className = `change number ${isUp ? "up" : isDown ? "down" : ""}`;
        this.show();
    }

    show() {
        const least = Math.min(...this.rates), most = Math.max(...this.rates);
        const x = (i) => (i + KEPT - this.rates.length) * (WIDTH - 8) / (KEPT - 1) + 2;
        const y = (rate) => HEIGHT - 5 - (rate - least) / (most - least || 1) * (HEIGHT - 10);
        this.path.setAttribute("d", this.rates.map((rate, i) => `${i ? "L" : "M"}${x(i).toFixed(1)} ${y(rate).toFixed(1)}`).join(""));
        this.dot.setAttribute("cx", x(this.rates.length - 1));
        this.dot.setAttribute("cy", y(this.rates.at(-1)));
        this.plot.setAttribute("aria-label", `the last ${this.rates.length} rates, from ${digits(least)} to ${digits(most)}`);
        this.range.textContent = `${digits(least)} – ${digits(most)}`;
    }
}

const digits = (rate) => rate.toFixed(rate < 10 ? 4 : 2);

const prices = new Map();

function priceOf(currency) {
    if (!prices.has(currency)) {
        const price = new Price(currency);
        prices.set(currency, price);
        const after = [...$("prices").children].find((card) => card.dataset.currency > currency);
        price.card.dataset.currency = currency;
        $("prices").insertBefore(price.card, after ?? null);
    }
    return prices.get(currency);
}

const feed = feedBar(FRAMES, INTERVAL_MS);
new Line([{
    channels: ["demos/ticker/*"],
    from: { last: 480 },
    event(event, isLive) {
        if (event.type !== "rate" || typeof event.data?.rate !== "number") {
            return;
        }
        feed.hear(event, isLive);
        priceOf(event.channel.split("/").pop()).take(event.data.rate);
        $("date").textContent = `${event.data.date}: one euro was`;
    },
}], {
    onCut: feed.stop,
    onBack: feed.hasten,
    clear() {
        prices.clear();
        $("prices").replaceChildren();
        $("date").textContent = "No prices yet.";
    },
});
