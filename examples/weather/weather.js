/* The stations: each is a channel, and a reading carries where its station is. The page adds up what it reads: there is no server part. */

import { $, Line, afterPaint, announce, draw, make } from "../demo.js";
import { PLACES } from "./places.js";
import { HEIGHT, LAND, WIDTH, placeOf, project } from "./world.js";

const DAY_MS = 24 * 3600 * 1000;
const NEW = "";

const slug = (name) => name.toLowerCase().normalize("NFC").replace(/[^\p{L}\p{N}]+/gu, "-").replace(/^-+|-+$/g, "").slice(0, 40);
const degrees = (celsius) => `${celsius.toFixed(1).replace("-", "−")} °C`;

/* ---- the map ---- */

const markers = draw("g");
const cross = draw("path", { d: "M-14 0H14M0 -14V14", class: "cross", visibility: "hidden" });
const map = draw("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", "aria-label": "A map of the world; the table below has the same figures" },
    markers, cross);
$("map").append(map);
afterPaint(() => map.prepend(draw("path", { d: LAND, class: "land" })));

/* A click on the map places a station. Those who do not see it write latitude and longitude. */
map.onclick = ({ clientX, clientY }) => {
    const box = map.getBoundingClientRect();
    const [x, y] = [(clientX - box.left) * WIDTH / box.width, (clientY - box.top) * HEIGHT / box.height];
    const place = placeOf(x, y);
    $("lat").value = place.lat.toFixed(1);
    $("lon").value = place.lon.toFixed(1);
    choose(NEW);
    $("answer").textContent = "Give the place a name, and say how warm it is there.";
};

function placed() {
    const place = { lat: $("lat").valueAsNumber, lon: $("lon").valueAsNumber };
    const isNew = $("station").value === NEW && Number.isFinite(place.lat + place.lon);
    cross.setAttribute("visibility", isNew ? "visible" : "hidden");
    isNew && cross.setAttribute("transform", `translate(${project(place)})`);
}

/* From blue to red, by colours that both grounds of the page carry. */
const shade = (celsius) => `hsl(${Math.round(225 - Math.min(Math.max((celsius + 15) / 50, 0), 1) * 215)} 65% 48%)`;

/* ---- the stations ---- */

class Station {
    constructor(place) {
        Object.assign(this, place, { readings: [] });
        const [x, y] = project(place);
        this.circle = draw("circle", { r: 11, class: "station" });
        this.text = draw("text", { y: -17, class: "label" });
        this.mark = draw("g", { class: "station-mark", transform: `translate(${x.toFixed(1)} ${y.toFixed(1)})` }, draw("title", {}, place.station), this.circle, this.text);
        this.mark.onclick = (event) => (event.stopPropagation(), choose(this.station), $("celsius").focus());
        const name = make("button", { type: "button", className: "small", textContent: place.station, title: "Add a reading here" });
        name.onclick = () => (choose(this.station), $("celsius").focus());
        this.cells = Array.from({ length: 5 }, () => make("td", { className: "number", role: "cell" }));
        this.row = make("tr", { role: "row" }, make("td", { role: "cell" }, name), ...this.cells);
    }

    take(reading) {
        this.readings.push(reading);
        this.show();
    }

    forget(before) {
        this.readings = this.readings.filter(({ at }) => at >= before);
        this.readings.length ? this.show() : this.remove();
    }

    get now() {
        return this.readings.at(-1).celsius;
    }

    show() {
        const all = this.readings.map(({ celsius }) => celsius);
        const mean = all.reduce((sum, one) => sum + one, 0) / all.length;
        const shown = [...[this.now, mean, Math.min(...all), Math.max(...all)].map((one) => degrees(one).replace(" °C", "°")), all.length];
        shown.forEach((text, i) => (this.cells[i].textContent = text));
        this.circle.style.fill = shade(this.now);
        this.text.textContent = `${Math.round(this.now)}°`.replace("-", "−");
    }

    add() {
        markers.append(this.mark);
        const after = [...$("stations").tBodies[0].rows].find((row) => row.dataset.name > this.station);
        this.row.dataset.name = this.station;
        $("stations").tBodies[0].insertBefore(this.row, after ?? null);
        [...$("station").options].some(({ value }) => value === this.station) || addChoice(this.station);
    }

    remove() {
        this.mark.remove();
        this.row.remove();
        stations.delete(slug(this.station));
        PLACES.some(({ station }) => station === this.station) || removeChoice(this.station);
    }
}

const stations = new Map();

function isReading({ channel, type, data }) {
    const is = (value, least, most) => typeof value === "number" && value >= least && value <= most;
    return type === "reading" && is(data?.celsius, -90, 60) && is(data.lat, -57, 84) && is(data.lon, -180, 180) &&
        typeof data.station === "string" && data.station.length <= 40 && slug(data.station) && channel === `demos/weather/${slug(data.station)}`;
}

function take(event, isLive) {
    if (!isReading(event)) {
        return;
    }
    const { station, lat, lon, celsius } = event.data;
    const key = slug(station);
    if (!stations.has(key)) {
        stations.set(key, new Station({ station, lat, lon }));
        stations.get(key).add();
    }
    const it = stations.get(key);
    it.take({ at: Date.parse(event.time), celsius });
    if (isLive) {
        it.row.classList.remove("arrived");
        void it.row.offsetWidth; /* begins the animation anew */
        it.row.classList.add("arrived");
        announce(`${station}: ${degrees(celsius)}`);
    }
    summarize();
}

function summarize() {
    const all = [...stations.values()];
    $("nothing").hidden = all.length > 0;
    if (!all.length) {
        $("summary").textContent = "No readings yet. Add the first.";
        return;
    }
    const sorted = all.sort((a, b) => a.now - b.now);
    const mean = all.reduce((sum, { now }) => sum + now, 0) / all.length;
    const count = all.reduce((sum, { readings }) => sum + readings.length, 0);
    const [coldest, warmest] = [sorted[0], sorted.at(-1)];
    $("summary").textContent = `${count === 1 ? "One reading" : `${count} readings`} of ${all.length === 1 ? "one station" : `${all.length} stations`}; ` +
        `the mean is ${degrees(mean)}` + (all.length > 1 ? `, from ${coldest.station} (${degrees(coldest.now)}) to ${warmest.station} (${degrees(warmest.now)}).` : ".");
}

setInterval(() => {
    stations.forEach((station) => station.forget(Date.now() - DAY_MS));
    summarize();
}, 60_000);

/* ---- adding ---- */

function addChoice(station) {
    const options = [...$("station").options];
    const after = options.find(({ value }) => value === NEW || value > station);
    $("station").insertBefore(make("option", { value: station, textContent: station }), after ?? null);
}

function removeChoice(station) {
    [...$("station").options].find(({ value }) => value === station)?.remove();
    choose($("station").value);
}

function choose(station) {
    $("station").value = station;
    $("reading").querySelectorAll(".new").forEach((field) => (field.hidden = station !== NEW));
    placed();
}

const placeOfForm = () => ($("station").value === NEW
    ? { station: $("name").value.trim(), lat: $("lat").valueAsNumber, lon: $("lon").valueAsNumber }
    : stations.get(slug($("station").value)) ?? PLACES.find(({ station }) => station === $("station").value));

$("reading").onsubmit = async (submitted) => {
    submitted.preventDefault();
    const { station, lat, lon } = placeOfForm();
    const data = { station, lat, lon, celsius: $("celsius").valueAsNumber };
    if (!isReading({ channel: `demos/weather/${slug(station)}`, type: "reading", data })) {
        $("answer").textContent = "Not added: a station needs a name with letters, a place on the map, and degrees from −90 to 60.";
        return;
    }
    $("answer").textContent = "Adding …";
    try {
        const { id } = await line.publish(`demos/weather/${slug(station)}`, data, { type: "reading" });
        $("answer").textContent = `Added: ${station}, ${degrees(data.celsius)}. Its number in the log is ${id}.`;
        $("celsius").value = "";
    } catch (error) {
        $("answer").textContent = `Not added: ${error.message}.`;
    }
};

$("station").append(...PLACES.map(({ station }) => make("option", { value: station, textContent: station })),
    make("option", { value: NEW, textContent: "a new place …" }));
$("station").value = "London";
$("station").onchange = () => choose($("station").value);
$("lat").oninput = $("lon").oninput = placed;

const line = new Line([{ channels: ["demos/weather/*"], from: { after: new Date(Date.now() - DAY_MS).toISOString() }, event: take }], {
    clear: () => (stations.forEach((station) => station.remove()), summarize()),
});
