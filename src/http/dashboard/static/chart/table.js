// The points in view as a table, for who reads rather than looks, and as CSV, for who calculates.

import { BYTE_ORDER_MARK, csvLine } from "../shared/csv.js";
import { calmly, el, say } from "../shared/dom.js";
import { count, fullTime, number } from "../shared/format.js";
import { kindWords, limitDecimals, ruleName, zoneWords } from "./words.js";

const ROWS = 500; // more than anybody reads; the CSV has all

/** A table that is drawn while it is open. */
export function pointTable(box) {
  const summary = el("summary", {}, "Points as a table");
  const caption = el("caption", {});
  const head = el("tr");
  const body = el("tbody");
  const details = el("details", {}, summary, el("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Points as a table" },
    el("table", {}, caption, el("thead", {}, head), body)));
  box.append(details);
  let asked = null;
  const draw = calmly(500, () => {
    if (!details.open || !asked) return;
    const { points, characteristic } = asked;
    const { chart, decimals, unit } = characteristic;
    const kind = kindWords(chart);
    const shown = points.slice(-ROWS);
    say(caption, `${count(shown.length)} points in the order of their arrival, the newest first${shown.length < points.length ? "; older ones are in the CSV" : ""}${unit ? `. Values in ${unit}` : ""}.`);
    const names = ["Point", "Time", kind.location, kind.dispersion, "Lower limit", "Center line", "Upper limit", "Zone", "Signals"];
    if (head.textContent !== names.join("")) head.replaceChildren(...names.map((name) => el("th", { scope: "col" }, name)));
    const fine = limitDecimals(decimals);
    const numeric = (value, places) => el("td", { class: "number" }, number(value, places));
    body.replaceChildren(...shown.reverse().map((point) => el("tr", {},
      el("th", { scope: "row" }, count(point.number)), el("td", {}, fullTime(point.timestamp)),
      numeric(point.value, decimals), numeric(point.dispersion, decimals),
      numeric(point.lcl, fine), numeric(point.center_line, fine), numeric(point.ucl, fine),
      el("td", {}, point.is_excluded ? "excluded" : zoneWords(point.zone)), el("td", {}, signals(point)))));
  });
  details.addEventListener("toggle", draw);
  return function show(points, characteristic) {
    asked = { points, characteristic };
    draw();
  };
}

const signals = (point) => [
  ...point.rules.map((rule) => `${ruleName(rule)} (rule ${rule.rule_id}${rule.acknowledged ? ", acknowledged" : ""})`),
  ...(point.out_of_spec ? ["out of specification"] : []),
].join("; ");

const COLUMNS = ["sample_id", "timestamp", "value", "n", "dispersion", "range", "zone", "in_control", "lcl", "center_line", "ucl", "out_of_spec", "is_excluded", "batch", "operator"];

/** Points as CSV: numbers and times as the wire has them, whatever the reader's language. */
export function csvOf(points) {
  const line = (point) => csvLine([point.number, ...COLUMNS.map((name) => plain(point[name])),
    point.rules.map((rule) => rule.rule_id).join(" ")]);
  return BYTE_ORDER_MARK + csvLine(["number", ...COLUMNS, "rule_ids"]) + points.map(line).join("");
}

const plain = (value) => (typeof value === "boolean" ? String(value) : value);

/** Gives a text or a blob to the browser as a file. */
export function download(content, name, type) {
  const url = URL.createObjectURL(content instanceof Blob ? content : new Blob([content], { type }));
  const link = el("a", { href: url, download: name });
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(url), 10_000); // the browser has taken it by then
}
