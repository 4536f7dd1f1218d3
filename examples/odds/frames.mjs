/* The matches as frames of a feed: a frame is a minute of play, with the state of each match and the goals of that minute.
 *
 * The odds are made, not found: goals fall by Poisson's law, at a rate that a team's three matches before suggest, in the minutes that are
 * left. A bookmaker's margin is taken from them. */

import { MATCHES } from "./matches.mjs";

export const INTERVAL_MS = 1000;

const LENGTH = 90, MARGIN = 1.05, MEAN = 1.25, MOST = 10;
const PAUSE = 8; /* frames at half-time, and twice as many before all begins anew */

const slug = (teams) => teams.join("-").toLowerCase().replaceAll(" ", "-");

/* Goals that a team may be expected to score in a match: the mean of what it scored and the other conceded, drawn towards the mean of all teams. */
const rateOf = ({ before }, side) => (before[side][0] + before[1 - side][1] + 2 * MEAN) / 8;

function poisson(mean) {
    const chances = [Math.exp(-mean)];
    for (let n = 1; n <= MOST; n++) {
        chances.push(chances[n - 1] * mean / n);
    }
    return chances;
}

/* The chances of home, draw and away. */
function chancesOf(match, minute, score) {
    const left = Math.max(LENGTH - minute, 0) / LENGTH;
    const [home, away] = [0, 1].map((side) => poisson(rateOf(match, side) * left));
    const sums = [0, 0, 0];
    home.forEach((p, h) => away.forEach((q, a) => (sums[1 - Math.sign(score[0] + h - score[1] - a)] += p * q)));
    return sums;
}

/* The odds as bookmakers write them; null for what is as good as impossible. */
const oddsOf = (chance) => (chance < 0.001 ? null : Math.max(1.01, Math.round(100 / (chance * MARGIN)) / 100));

/* The state of a match after `minute`, and the goals that fell in it. */
function frameOf(match, minute, phase) {
    const goals = match.goals.filter((goal) => goal.minute <= minute);
    const score = [0, 1].map((side) => goals.filter((goal) => goal.side === side).length);
    const channel = `demos/odds/${slug(match.teams)}`;
    const isOver = phase === "full-time";
    const state = { teams: match.teams, minute, phase, score, goals, odds: isOver ? [null, null, null] : chancesOf(match, minute, score).map(oddsOf) };
    const news = phase === "play" ? goals.filter((goal) => goal.minute === minute) : [];
    return [...news.map((goal) => ({ channel, type: "goal", data: { ...goal, teams: match.teams, score } })), { channel, type: "odds", data: state }];
}

const times = [
    ...Array.from({ length: 46 }, (_, minute) => [minute, "play"]),
    ...Array(PAUSE).fill([45, "half-time"]),
    ...Array.from({ length: 45 }, (_, i) => [46 + i, "play"]),
    ...Array(2 * PAUSE).fill([90, "full-time"]),
];

export const FRAMES = times.map(([minute, phase]) => MATCHES.flatMap((match) => frameOf(match, minute, phase)));
