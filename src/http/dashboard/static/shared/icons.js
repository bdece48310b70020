// Symbols, drawn: none is known by its colour alone.

import { el } from "./dom.js";

const SHAPES = {
  octagon: () => [path("M5 1h6l4 4v6l-4 4H5l-4-4V5z", "fill"), path("M8 4v5M8 11v1.2", "cut")],
  diamond: () => [path("M8 1l7 7-7 7-7-7z", "fill"), path("M8 5v4M8 10.4v1.1", "cut")],
  half: () => [path("M8 1.5a6.5 6.5 0 1 0 0 13a6.5 6.5 0 1 0 0-13z", "line"), path("M8 1.5a6.5 6.5 0 0 1 0 13z", "fill")],
  dashed: () => [path("M8 1.5a6.5 6.5 0 1 0 0 13a6.5 6.5 0 1 0 0-13z", "line dashes")],
  info: () => [path("M8 1.5a6.5 6.5 0 1 0 0 13a6.5 6.5 0 1 0 0-13z", "line"), path("M8 7.2v4.2M8 4.4v.6", "line")],
  check: () => [path("M8 1.5a6.5 6.5 0 1 0 0 13a6.5 6.5 0 1 0 0-13z", "line"), path("M5 8.2l2.2 2.2L11 6.2", "line")],
};

const path = (d, className) => el("svg:path", { d, class: className });

/** The symbol of a shape, for beside a word that says the same: screen readers pass over it. */
export function icon(shape) {
  return el("svg:svg", { viewBox: "0 0 16 16", class: "icon", "aria-hidden": "true", "data-shape": shape }, ...SHAPES[shape]());
}
