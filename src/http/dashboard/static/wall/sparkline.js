// A sparkline with its limits. Drawn as a part of the page and not on a canvas of its own: two hundred canvases are two
// hundred layers, which a browser puts together anew with each frame.

import { el } from "../shared/dom.js";
import { POINTS } from "./series.js";

/** Its own measures, stretched to the room there is; strokes are not. */
const [WIDTH, HEIGHT, MARGIN] = [240, 58, 4];

/** The newest points of one process. */
export class Sparkline {
  #center = el("svg:path", { class: "center" });
  #limits = el("svg:path", { class: "limits" });
  #values = el("svg:path", { class: "values" });
  #out = el("svg:path", { class: "out" });

  constructor() {
    this.element = el("svg:svg", { class: "sparkline", viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", "aria-hidden": "true" },
      this.#center, this.#limits, this.#values, this.#out);
  }

  /** @param {import("./series.js").Series} series */
  draw({ points }) {
    const { low, high } = range(points);
    const x = (index) => (MARGIN + ((index + POINTS - points.length) / (POINTS - 1)) * (WIDTH - 2 * MARGIN)).toFixed(1);
    const y = (value) => (HEIGHT - MARGIN - ((value - low) / (high - low)) * (HEIGHT - 2 * MARGIN)).toFixed(1);
    const line = (of) => lineThrough(points.map(of), x, y);
    draw(this.#center, line(({ center }) => center));
    draw(this.#limits, line(({ ucl }) => ucl) + line(({ lcl }) => lcl));
    draw(this.#values, line(({ value }) => value));
    // Strokes of no length are dots: not only another colour.
    draw(this.#out, points.map(({ isOut, value }, index) => (isOut ? `M${x(index)} ${y(value)}h0` : "")).join(""));
    this.element.classList.toggle("unjudged", points.at(-1)?.ucl === null);
  }
}

function draw(path, d) {
  if (path.getAttribute("d") !== d) path.setAttribute("d", d);
}

function range(points) {
  let [low, high] = [Infinity, -Infinity];
  for (const { value, ucl, lcl } of points) {
    low = Math.min(low, value, lcl ?? value);
    high = Math.max(high, value, ucl ?? value);
  }
  return low < high ? { low, high } : { low: low - 1, high: high + 1 };
}

/** With a gap wherever there is no value. */
function lineThrough(values, x, y) {
  let [d, isDrawing] = ["", false];
  values.forEach((value, index) => {
    const isThere = value !== null && value !== undefined;
    if (isThere) d += `${isDrawing ? "L" : "M"}${x(index)} ${y(value)}`;
    isDrawing = isThere;
  });
  return d;
}
