// Numbers and times as the reader's own language writes them, and the words for what Andon knows.

import { now } from "./clock.js";

/** The reader's time zone, as it is shown beside times. */
export const TIME_ZONE = Intl.DateTimeFormat().resolvedOptions().timeZone;

const TIME = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", second: "2-digit" });
const DATE_TIME = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" });
const WITH_ZONE = new Intl.DateTimeFormat(undefined, {
  year: "numeric", month: "short", day: "numeric", hour: "2-digit", minute: "2-digit", second: "2-digit",
  timeZoneName: "short",
});
const AGO = new Intl.RelativeTimeFormat(undefined, { numeric: "auto", style: "short" });
const COUNT = new Intl.NumberFormat();

const asDate = (time) => (time instanceof Date ? time : new Date(time));

/** The time of today, or else date and time; the page says elsewhere in which zone. */
export function time(value) {
  if (!value) return "–";
  const date = asDate(value);
  return date.toDateString() === new Date().toDateString() ? TIME.format(date) : DATE_TIME.format(date);
}

/** Date, time and zone. */
export const fullTime = (value) => (value ? WITH_ZONE.format(asDate(value)) : "–");

/** Such as "3 min. ago". */
export function ago(value, at = now()) {
  const seconds = (asDate(value).getTime() - at) / 1000;
  for (const [unit, length] of [["day", 86_400], ["hour", 3_600], ["minute", 60]]) {
    if (Math.abs(seconds) >= length) return AGO.format(Math.trunc(seconds / length), unit);
  }
  return AGO.format(Math.trunc(seconds), "second");
}

/** A duration in milliseconds, in the unit that suits it. */
export function duration(milliseconds) {
  if (milliseconds === null || milliseconds === undefined) return "–";
  if (milliseconds < 1_000) return `${COUNT.format(Math.round(milliseconds))} ms`;
  return `${new Intl.NumberFormat(undefined, { maximumFractionDigits: 1 }).format(milliseconds / 1_000)} s`;
}

/** A count. */
export const count = (value) => (value === null || value === undefined ? "–" : COUNT.format(value));

const numberFormats = new Map();

/** A measured value with the characteristic's decimals (null: six significant digits), without its unit. */
export function number(value, decimals = null) {
  if (value === null || value === undefined) return "–";
  const isFree = decimals === null || decimals === undefined;
  const key = isFree ? "free" : decimals;
  if (!numberFormats.has(key)) {
    const options = isFree
      ? { maximumSignificantDigits: 6 }
      : { minimumFractionDigits: decimals, maximumFractionDigits: decimals };
    numberFormats.set(key, new Intl.NumberFormat(undefined, options));
  }
  return numberFormats.get(key).format(value);
}

/** A measured value with its unit. */
export function quantity(value, { decimals = null, unit = null } = {}) {
  const text = number(value, decimals);
  return unit && value !== null && value !== undefined ? `${text} ${unit}` : text;
}

/**
 * What each alarm state is called, in the order of urgency. `shape` names the symbol in `icons.js`: nobody has to tell
 * colours apart.
 */
export const ALARM_STATES = {
  active_unacked: { word: "Needs someone", shape: "octagon", explanation: "out of control, and nobody has answered" },
  returned_unacked: { word: "Not answered", shape: "diamond", explanation: "back in control, but nobody has answered" },
  active_acked: { word: "Being seen to", shape: "half", explanation: "out of control, and somebody has answered" },
  no_limits: { word: "No limits yet", shape: "dashed", explanation: "not judged, since there are no control limits" },
  normal: { word: "Normal", shape: "check", explanation: "in control" },
  retired: { word: "Retired", shape: "dashed", explanation: "takes no samples any more" },
};

/** Severities, the gravest first. */
export const SEVERITIES = ["CRITICAL", "WARNING", "INFO"];

/** Such as "Critical". */
export const severityWord = (severity) => severity.charAt(0) + severity.slice(1).toLowerCase();

/** The symbol in `icons.js` of each severity. */
export const SEVERITY_SHAPES = { CRITICAL: "octagon", WARNING: "diamond", INFO: "info" };
