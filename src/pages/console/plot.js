/* A plot of the last two minutes: a few lines, a scale that does not jump, and if wanted a line that should not be crossed. The
 * values of the second under the pointer are in the legend. */

import { h, setText, svg } from "./dom.js";

const WIDTH = 600,
    HEIGHT = 150,
    SECONDS = 120,
    HOLE_MS = 3500;

/* The smallest of 1, 2, 5, 10, 20, … that is not below `n`. */
function roundUp(n) {
    const step = 10 ** Math.floor(Math.log10(n));
    return [1, 2, 5, 10].map((m) => m * step).find((m) => m >= n * 0.999999);
}

export class Plot {
    /** `series` are {name, of(sample)}, in the order of their classes `line-0`, `line-1`; `line` is {at, name}; `least` the smallest scale. */
    constructor({ title, series, format, least, line }) {
        Object.assign(this, { series, format, least, line, samples: [] });
        this.lines = series.map((_, i) => svg("path", { class: `line line-${i}` }));
        this.mark = svg("path", { class: "mark" });
        this.bound = line && svg("path", { class: "bound" });
        this.values = series.map(() => h("b", { class: "number" }, "–"));
        this.scale = [h("span"), h("span"), h("span", {}, "0")];
        this.boundName = line && h("span", { class: "bound-name" }, line.name);
        const drawing = svg(
            "svg",
            {
                viewBox: `0 0 ${WIDTH} ${HEIGHT}`,
                preserveAspectRatio: "none",
                role: "img",
                "aria-label": `${title}, over the last two minutes`,
            },
            [0, 0.5, 1].map((part) => svg("path", { class: "grid", d: `M0 ${part * HEIGHT}H${WIDTH}` })),
            this.bound,
            this.lines,
            this.mark,
        );
        this.area = h("div", { class: "area" }, drawing, this.boundName);
        this.area.onpointermove = ({ clientX }) => {
            const { left, width } = this.area.getBoundingClientRect();
            this.at = ((clientX - left) / width) * WIDTH;
            this.draw();
        };
        this.area.onpointerleave = () => {
            this.at = undefined;
            this.draw();
        };
        const legend = h(
            "p",
            { class: "legend" },
            series.map(({ name }, i) => h("span", {}, h("i", { class: `key line-${i}` }), `${name} `, this.values[i])),
        );
        this.node = h(
            "figure",
            { class: "plot" },
            h("figcaption", {}, h("span", { class: "title" }, title), legend),
            h("div", { class: "drawing" }, h("div", { class: "scale", "aria-hidden": "true" }, this.scale), this.area),
            h("p", { class: "ends", "aria-hidden": "true" }, h("span", {}, "2 min ago"), h("span", {}, "now")),
        );
    }

    /** Shows `samples`, the newest last. Each has the time at which it came, in milliseconds, as `came`. */
    show(samples) {
        const newest = samples.at(-1)?.came;
        this.samples = samples.filter(({ came }) => newest - came < SECONDS * 1000);
        this.draw();
    }

    draw() {
        const { samples } = this;
        const top = roundUp(Math.max(this.least, ...samples.flatMap((sample) => this.series.map(({ of }) => of(sample) ?? 0))));
        const x = ({ came }) => WIDTH - (((samples.at(-1).came - came) / 1000) * WIDTH) / SECONDS;
        const y = (value) => HEIGHT * (1 - value / top);
        this.series.forEach(({ of }, n) => this.lines[n].setAttribute("d", pathOf(samples, of, x, y)));
        setText(this.scale[0], this.format(top).replace(".0", ""));
        setText(this.scale[1], this.format(top / 2).replace(".0", ""));
        if (this.line) {
            this.bound.setAttribute("d", `M0 ${y(this.line.at)}H${WIDTH}`);
            this.boundName.style.top = `${100 * (1 - this.line.at / top)}%`;
        }
        const sample = this.at === undefined ? samples.at(-1) : samples.findLast((one) => x(one) <= this.at);
        this.mark.setAttribute("d", this.at !== undefined && sample ? `M${x(sample)} 0V${HEIGHT}` : "");
        this.series.forEach(({ of }, n) => setText(this.values[n], sample && Number.isFinite(of(sample)) ? this.format(of(sample)) : "–"));
    }
}

/* A line through the samples, with a hole where there is no value, or nothing came for a while. */
function pathOf(samples, of, x, y) {
    let path = "",
        before = null;
    for (const sample of samples) {
        const value = of(sample);
        if (Number.isFinite(value)) {
            path += `${before && sample.came - before.came < HOLE_MS ? "L" : "M"}${x(sample).toFixed(1)} ${y(value).toFixed(1)}`;
            before = sample;
        } else {
            before = null;
        }
    }
    return path;
}
