// How violations are told: severity, rule, value and limits, the same in the list, the dialog and the table of an episode.

import { el } from "./dom.js";
import { count, number, quantity, severityWord, SEVERITY_SHAPES } from "./format.js";
import { icon } from "./icons.js";

/** A severity as symbol, word and colour. */
export function severityMark(severity) {
  return el("span", { class: "severity", "data-severity": severity },
    icon(SEVERITY_SHAPES[severity] ?? "info"), severityWord(severity));
}

/** The rule that fired, as a sentence. */
export function ruleSentence({ message, rule_name: name, chart }) {
  const told = message || name;
  const sentence = told.charAt(0).toUpperCase() + told.slice(1);
  return chart === "dispersion" ? `${sentence} (of the spread)` : sentence;
}

/** The value that was plotted, with its unit. */
export const valueOf = ({ value, decimals, unit }) => quantity(value, { decimals, unit });

/** The control limits that judged it, such as "7.000 to 13.000 mm". A limit may lie at infinity, or be unknown. */
export function limitsOf({ lcl, ucl, decimals, unit }) {
  if (isNone(lcl) && isNone(ucl)) return "not told";
  const suffix = unit ? ` ${unit}` : "";
  if (isNone(lcl)) return `up to ${number(ucl, decimals)}${suffix}`;
  if (isNone(ucl)) return `from ${number(lcl, decimals)}${suffix}`;
  return `${number(lcl, decimals)} to ${number(ucl, decimals)}${suffix}`;
}

const isNone = (value) => value === null || value === undefined;

/** "1 violation", "7 violations". */
export const violations = (many) => counted(many, "violation");

/** Such as "3 characteristics". */
export const counted = (many, noun) => `${count(many)} ${noun}${many === 1 ? "" : "s"}`;

/** What people call a characteristic, from whatever tells of one. */
export const nameOf = ({ characteristic_name: name, characteristic_id: id }) => name ?? `Characteristic ${id}`;
