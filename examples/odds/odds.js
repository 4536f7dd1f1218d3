/* The board: a card for each match. Every event of type `odds` has the whole state of its match, so the newest one is all that a page needs; those
 * before it are for the little plot of who is expected to win. */

import { $, Line, draw, feedBar, make } from "../demo.js";
import { FRAMES, INTERVAL_MS } from "./frames.mjs";

const KEPT = 100, GOALS = 6, WIDTH = 240, HEIGHT = 40;
const PHASES = { "play": (minute) => `${minute}′`, "half-time": () => "half-time", "full-time": () => "full time" };

const minuteOf = ({ minute, added }) => `${minute}${added ? `+${added}` : ""}′`;
const byWhom = (goal) => `${goal.by}${goal.penalty ? " (pen.)" : ""}${goal.own ? " (own goal)" : ""} ${minuteOf(goal)}`;

class Match {
    constructor(teams) {
        this.was = [];
        this.history = [];
        this.clock = make("span", { className: "clock number" });
        this.score = [0, 1].map(() => make("strong", { className: "number goals" }));
        this.names = [0, 1].map((side) => make("p", { className: "quiet scorers" }));
        this.prices = [0, 1, 2].map(() => make("span", { className: "price number" }));
        this.path = draw("path", { class: "curve" });
        this.plot = draw("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, class: "plot", role: "img" }, draw("path", { d: `M0 ${HEIGHT / 2}H${WIDTH}`, class: "middle" }), this.path);
        const team = (side) => make("div", { className: "team" }, make("h2", { textContent: teams[side] }), this.score[side], this.names[side]);
        const price = (label, i) => make("div", { className: "odd", title: label }, make("span", { className: "quiet", textContent: "1X2"[i], ariaHidden: "true" }),
            make("span", { className: "hidden", textContent: `${label}: ` }), this.prices[i]);
        this.card = make("li", { className: "card match" }, this.clock, team(0), team(1),
            make("div", { className: "odds" }, ...[`${teams[0]} wins`, "draw", `${teams[1]} wins`].map(price)), this.plot);
    }

    take({ minute, phase, score, goals, odds, teams }, isLive) {
        if (minute < this.minute) {
            this.history = [];
        }
        this.minute = minute;
        this.clock.textContent = PHASES[phase]?.(minute) ?? phase;
        this.card.classList.toggle("over", phase === "full-time");
        score.forEach((count, side) => {
            if (isLive && this.shown && count > this.shown[side]) {
                flash(this.card);
            }
            this.score[side].textContent = count;
            this.names[side].textContent = goals.filter((goal) => goal.side === side).map(byWhom).join(", ");
        });
        this.shown = score;
        odds.forEach((price, i) => this.priced(i, price));
        this.draw(odds, teams);
    }

    priced(i, price) {
        const before = this.was[i];
        const cell = this.prices[i];
        const isUp = before && price > before, isDown = before && price && price < before;
        cell.textContent = price ? `${isUp ? "▲" : isDown ? "▼" : ""} ${price.toFixed(price >= 100 ? 0 : price >= 10 ? 1 : 2)}` : "–";
        cell.className = `price number ${isUp ? "up" : isDown ? "down" : ""}`;
        this.was[i] = price;
    }

    /* The chance of the first team less that of the second, from 1 at the top to -1 at the bottom. */
    draw([home, , away], teams) {
        if (home || away) {
            this.history = [...this.history, (home ? 1 / home : 0) - (away ? 1 / away : 0)].slice(-KEPT);
        }
        const x = (i) => i * WIDTH / (KEPT - 1), y = (lead) => HEIGHT / 2 - lead * (HEIGHT / 2 - 3);
        this.path.setAttribute("d", this.history.map((lead, i) => `${i ? "L" : "M"}${x(i).toFixed(1)} ${y(lead).toFixed(1)}`).join(""));
        const lead = this.history.at(-1) ?? 0;
        this.plot.setAttribute("aria-label", `expected to win: ${Math.abs(lead) < 0.05 ? "open" : teams[lead > 0 ? 0 : 1]}; above the middle ${teams[0]}, below ${teams[1]}`);
    }
}

function flash(element) {
    element.classList.remove("arrived");
    void element.offsetWidth; /* begins the animation anew */
    element.classList.add("arrived");
}

const matches = new Map();

function matchOf(channel, teams) {
    if (!matches.has(channel)) {
        const match = new Match(teams);
        matches.set(channel, match);
        match.card.dataset.channel = channel;
        const after = [...$("matches").children].find((card) => card.dataset.channel > channel);
        $("matches").insertBefore(match.card, after ?? null);
    }
    return matches.get(channel);
}

/* Only the new line is added, so that only this one is read out. */
function goal({ teams, score, ...goal }) {
    const list = $("goals");
    list.children.length || list.replaceChildren();
    list.prepend(make("span", { textContent: `${teams[0]} ${score[0]}–${score[1]} ${teams[1]}: ${byWhom(goal)}` }));
    list.children.length > GOALS && list.lastChild.remove();
}

const feed = feedBar(FRAMES, INTERVAL_MS);
new Line([{
    channels: ["demos/odds/*"],
    from: { last: 1000 },
    event(event, isLive) {
        if (!Array.isArray(event.data?.teams) || !Array.isArray(event.data.score)) {
            return;
        }
        feed.hear(event, isLive);
        event.type === "goal" ? goal(event.data) : matchOf(event.channel, event.data.teams).take(event.data, isLive);
    },
}], {
    onCut: feed.stop,
    onBack: feed.hasten,
    clear() {
        matches.clear();
        $("matches").replaceChildren();
        $("goals").textContent = "No goals yet.";
    },
});
