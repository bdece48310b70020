// A small line of the last minutes. It says nothing that does not stand beside it in numbers, so screen readers pass
// over it.

import { el } from "../shared/dom.js";
import { WINDOW_MS } from "./history.js";

const [WIDTH, HEIGHT] = [240, 48];

export class Sparkline {
  #line = el("svg:path", { class: "spark-line" });
  #area = el("svg:path", { class: "spark-area" });

  constructor() {
    this.element = el("svg:svg",
      { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", class: "spark", "aria-hidden": "true" },
      this.#area, this.#line);
  }

  /** @param {{ at: number, rate: number | null }[]} series oldest first @param {number} now milliseconds */
  show(series, now) {
    const highest = Math.max(...series.map(({ rate }) => rate ?? 0), 1e-9);
    let line = "";
    let area = "";
    let began = null;
    let last = null;
    for (const { at, rate } of series) {
      if (rate === null) {
        if (began !== null) area += `L${last} ${HEIGHT}L${began} ${HEIGHT}Z`;
        began = null;
        continue;
      }
      const x = (WIDTH * (1 - (now - at) / WINDOW_MS)).toFixed(1);
      const y = (HEIGHT - 2 - (HEIGHT - 6) * (rate / highest)).toFixed(1);
      const step = `${began === null ? "M" : "L"}${x} ${y}`;
      line += step;
      area += step;
      began ??= x;
      last = x;
    }
    if (began !== null) area += `L${last} ${HEIGHT}L${began} ${HEIGHT}Z`;
    this.#line.setAttribute("d", line || "M0 0");
    this.#area.setAttribute("d", area || "M0 0");
  }
}
