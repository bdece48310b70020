// What the signs of the chart mean: those that are in view.

import { el } from "../shared/dom.js";

const SIGNS = [
  ["good", "In control", (s) => s.append(shape("circle", { cx: 8, cy: 8, r: 4, class: "good" }))],
  ["signal", "Signals: the numbers are those of the rules", (s) => s.append(shape("path", { d: "M8 1.5L14.5 8 8 14.5 1.5 8z", class: "signal" }))],
  ["answered", "Signalled, and is answered", (s) => s.append(shape("path", { d: "M8 2L14 8 8 14 2 8z", class: "answered" }))],
  ["excluded", "Excluded: counts as never taken", (s) => s.append(shape("path", { d: "M4 4l8 8M4 12l8-8", class: "excluded" }))],
  ["unjudged", "Not judged", (s) => s.append(shape("circle", { cx: 8, cy: 8, r: 4, class: "unjudged" }))],
  ["spec", "Out of specification", (s) => s.append(shape("rect", { x: 2, y: 2, width: 12, height: 12, class: "spec" }))],
  ["limits", "Control limits", (s) => s.append(shape("path", { d: "M0 8h16", class: "limits" }))],
  ["center", "Center line", (s) => s.append(shape("path", { d: "M0 8h16", class: "center" }))],
  ["zones", "Zones of one sigma", (s) => s.append(shape("rect", { x: 0, y: 1, width: 16, height: 14, class: "zones" }))],
  ["specification", "Specification and target", (s) => s.append(shape("path", { d: "M0 8h16", class: "specification" }))],
  ["baseline", "The limits in force were calculated from these", (s) => s.append(shape("path", { d: "M0 12h16", class: "baseline" }))],
  ["preview", "Preview of new limits", (s) => s.append(shape("path", { d: "M0 8h16", class: "preview" }))],
];

const shape = (name, attributes) => el(`svg:${name}`, attributes);

export function legend(box) {
  const items = new Map(SIGNS.map(([name, words, draw]) => {
    const svg = el("svg:svg", { viewBox: "0 0 16 16", "aria-hidden": "true" });
    draw(svg);
    return [name, el("li", { hidden: true }, svg, words)];
  }));
  box.append(...items.values());

  /** @param {object} scene what the chart draws */
  return function show({ points, specification, preview }) {
    const counted = points.filter((point) => !point.is_excluded);
    const signalling = counted.filter((point) => point.rules.length > 0);
    const isAnswered = (point) => point.rules.every((rule) => rule.acknowledged);
    const hasLimits = points.some((point) => point.ucl !== null);
    const seen = {
      good: counted.some((point) => point.rules.length === 0 && point.in_control !== null),
      signal: signalling.some((point) => !isAnswered(point)),
      answered: signalling.some(isAnswered),
      excluded: counted.length < points.length,
      unjudged: counted.some((point) => point.in_control === null),
      spec: points.some((point) => point.out_of_spec > 0),
      limits: hasLimits, center: hasLimits, zones: hasLimits,
      specification: specification.length > 0,
      baseline: points.some((point) => point.baseline),
      preview: Boolean(preview),
    };
    for (const [name, item] of items) item.hidden = !seen[name];
  };
}
