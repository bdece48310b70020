// What a chart says in words: zones, kinds of charts, rules, and a point as a sentence.
//
// For people who never heard of control charts, and exact for those who draw them.

import { count, fullTime, number, quantity, severityWord } from "../shared/format.js";

const ZONES = {
  beyond_ucl: "above the upper control limit",
  zone_a_upper: "zone A above: between 2 and 3 sigma over the center line",
  zone_b_upper: "zone B above: between 1 and 2 sigma over the center line",
  zone_c_upper: "zone C above: less than 1 sigma over the center line",
  center: "exactly on the center line",
  zone_c_lower: "zone C below: less than 1 sigma under the center line",
  zone_b_lower: "zone B below: between 1 and 2 sigma under the center line",
  zone_a_lower: "zone A below: between 2 and 3 sigma under the center line",
  beyond_lcl: "below the lower control limit",
};

const RULES = ["", "Outlier", "Shift", "Trend", "Alternation", "Zone A", "Zone B", "Stratification", "Mixture"];

const KINDS = {
  i_mr: { name: "I-MR chart", location: "Individual values", dispersion: "Moving range", dispersionNote: "shown, not judged by the rules", about: "single values and how far each lies from the one before" },
  xbar_r: { name: "X̄-R chart", location: "Mean of each subgroup", dispersion: "Range within the subgroup", about: "subgroup means and the range within each subgroup" },
  xbar_s: { name: "X̄-S chart", location: "Mean of each subgroup", dispersion: "Standard deviation within the subgroup", about: "subgroup means and the standard deviation within each subgroup" },
};

const METHODS = { given: "set by hand or by another system", moving_range: "mean moving range", range: "subgroup ranges", std_dev: "subgroup standard deviations" };

/** The words of a kind of chart. */
export const kindWords = (kind) => KINDS[kind] ?? { name: kind, location: "Values", dispersion: "Dispersion", about: "" };

/** How limits came about. */
export const methodWords = (method) => METHODS[method] ?? method;

/** Where a point lies. */
export const zoneWords = (zone) => (zone ? ZONES[zone] ?? zone : "not judged: there were no control limits");

/** Limits are means: one place more than values have. */
export const limitDecimals = (decimals) => (decimals === null || decimals === undefined ? null : decimals + 1);

/** The name of a rule, from what is known of it. */
export const ruleName = ({ rule_id, rule_name }) => rule_name ?? RULES[rule_id] ?? `Rule ${rule_id}`;

/** A violation as a sentence, with the rule behind it. */
export function ruleSentence(violation) {
  const name = `${ruleName(violation)}, rule ${violation.rule_id}`;
  if (!violation.message) return `${name}${violation.chart === "dispersion" ? " on the dispersion chart" : ""}.`;
  return `${violation.message.charAt(0).toUpperCase()}${violation.message.slice(1)} (${name}).`;
}

/** Who answered a violation, and why; or null. */
export function answerSentence(violation) {
  if (!violation.acknowledged) return null;
  if (!violation.ack_timestamp) return "Acknowledged.";
  if (violation.ack_user === "andon" && violation.ack_reason === "history") return "Of the past: nobody had to answer.";
  const comment = violation.ack_comment ? `, “${violation.ack_comment}”` : "";
  return `Acknowledged by ${violation.ack_user ?? "somebody"} at ${fullTime(violation.ack_timestamp)}: ${violation.ack_reason ?? "no reason given"}${comment}.`;
}

/**
 * What is known of a point, as pairs of a term and its words.
 *
 * @param {object} point of `data.js`
 * @param {{ chart: string, unit: string | null, decimals: number | null }} characteristic
 * @param {object[]} violations those of the point, as far as their details are known
 * @param {object[]} notes the flags that stand at the point
 */
export function facts(point, characteristic, violations, notes) {
  const kind = kindWords(characteristic.chart);
  const isSingle = characteristic.chart === "i_mr";
  const fine = { ...characteristic, decimals: limitDecimals(characteristic.decimals) };
  const pairs = [
    [isSingle ? "Value" : "Mean", quantity(point.value, characteristic)],
    ["Time", fullTime(point.timestamp)],
  ];
  if (!isSingle || point.n > 1) pairs.push(["Measurements", count(point.n)]);
  if (point.dispersion !== null) pairs.push([kind.dispersion, quantity(point.dispersion, characteristic)]);
  if (point.range !== null && characteristic.chart !== "xbar_r") pairs.push(["Range", quantity(point.range, characteristic)]);
  pairs.push(["Zone", point.is_excluded ? "excluded: counts as never taken" : zoneWords(point.zone)]);
  if (point.ucl !== null) pairs.push(["Limits", limitsText(point, fine)]);
  if (point.dispersion_limits) pairs.push([`Limits, ${kind.dispersion.toLowerCase()}`, limitsText(point.dispersion_limits, fine)]);
  if (point.out_of_spec) pairs.push(["Specification", outOfSpec(point)]);
  for (const rule of point.rules) pairs.push(signal(rule, violations));
  if (point.batch) pairs.push(["Batch", point.batch]);
  if (point.operator) pairs.push(["Operator", point.operator]);
  if (point.mode && point.mode !== "live") pairs.push(["Recorded", point.mode === "history" ? "as history: nobody was alarmed" : "only stored, not judged"]);
  if (point.source) pairs.push(["Judged by", point.source]);
  for (const note of notes) if (note.kind === "limits") pairs.push(["Note", note.text]);
  return pairs;
}

function signal(rule, violations) {
  const known = violations.find((violation) => violation.violation_id === rule.violation_id);
  const told = { ...known, ...rule, rule_name: rule.rule_name ?? known?.rule_name, message: known?.message };
  const words = [ruleSentence(told), answerSentence(told)].filter(Boolean).join(" ");
  return [severityWord(rule.severity), words];
}

/** Three lines as text, from the top. */
export const limitsText = ({ ucl, center_line, lcl }, { decimals, unit }) =>
  `${number(lcl, decimals)} to ${number(ucl, decimals)}, center ${number(center_line, decimals)}${unit ? ` ${unit}` : ""}`;

const outOfSpec = ({ out_of_spec, n }) =>
  n === 1 ? "outside the specification" : `${count(out_of_spec)} of ${count(n)} measurements outside the specification`;

/** A point as one sentence, for who hears it. */
export const sentence = (point, pairs) => `Point ${count(point.number)}. ${pairs.map(([term, words]) => `${term}: ${words}`).join(". ")}`;
