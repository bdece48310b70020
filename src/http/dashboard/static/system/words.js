// The words of the system view: what the server's own words mean to who runs it.

import { duration, number } from "../shared/format.js";

/** Such as "1.4 GB". */
export function bytes(value) {
  if (value === null || value === undefined) return "–";
  const units = ["byte", "kilobyte", "megabyte", "gigabyte", "terabyte"];
  const power = Math.min(units.length - 1, Math.max(0, Math.floor(Math.log10(Math.max(1, value)) / 3)));
  const options = { style: "unit", unit: units[power], unitDisplay: power === 0 ? "long" : "short", maximumFractionDigits: power < 2 ? 0 : 1 };
  return new Intl.NumberFormat(undefined, options).format(value / 1_000 ** power);
}

/** A length of time in its two largest units, such as "3 hrs, 12 mins". */
export function span(seconds) {
  if (seconds === null || seconds === undefined) return "–";
  const units = [["day", 86_400], ["hour", 3_600], ["minute", 60], ["second", 1]];
  const first = Math.max(0, units.findIndex(([, length]) => seconds >= length));
  let rest = Math.max(0, Math.floor(seconds));
  const parts = [];
  for (const [unit, length] of (seconds < 1 ? units.slice(-1) : units.slice(first, first + 2))) {
    const value = Math.floor(rest / length);
    rest -= value * length;
    if (value > 0 || parts.length === 0) {
      parts.push(new Intl.NumberFormat(undefined, { style: "unit", unit, unitDisplay: "short" }).format(value));
    }
  }
  return parts.join(", ");
}

/** Such as "12.3 a second", without the words. */
export const rate = (value) => (value === null || value === undefined ? "–" : number(value < 10 ? Math.round(value * 100) / 100 : Math.round(value)));

/** The bound of a duration, in seconds, such as "5 ms". */
export function within(seconds) {
  if (seconds === null || seconds === undefined) return "–";
  if (seconds === Infinity || seconds > 1e300) return "longer";
  return seconds < 0.001 ? `${number(seconds * 1_000)} ms` : duration(seconds * 1_000);
}

/** How far a delivery is: a word, a symbol of `icons.js`, and how much it matters. */
export const DELIVERY_STATES = {
  dead: { word: "Refused for good", shape: "octagon", tone: "bad", explanation: "the receiver will never take it" },
  expired: { word: "Given up", shape: "octagon", tone: "bad", explanation: "it came to nothing as long as it was of use" },
  uncertain: { word: "Uncertain", shape: "diamond", tone: "warn", explanation: "it may have arrived; it is sent again, under the same name" },
  retrying: { word: "Trying again", shape: "diamond", tone: "warn", explanation: "the newest attempt failed; there will be another" },
  leased: { word: "Being sent", shape: "half", tone: "busy", explanation: "an attempt is under way" },
  pending: { word: "Waiting", shape: "half", tone: "busy", explanation: "nobody has tried yet, or it is to be tried anew" },
  scheduled: { word: "Scheduled", shape: "dashed", tone: "none", explanation: "its time has not come, or a silence holds it back" },
  delivered: { word: "Delivered", shape: "check", tone: "good", explanation: "the receiver has taken it" },
  superseded: { word: "Not needed any more", shape: "dashed", tone: "none", explanation: "somebody answered before, it was over, or a newer notice took its place" },
  suppressed: { word: "Nobody told", shape: "dashed", tone: "none", explanation: "a silence or a route says so" },
};

/** Those of which somebody may have to do something. */
export const TROUBLE_STATES = ["dead", "expired", "uncertain", "retrying"];

/** What is new about an episode. */
export const CHANGES = {
  opened: "Alarm began",
  worsened: "Alarm got worse",
  acknowledged: "Somebody answered",
  lapsed: "Answer lapsed",
  closed: "Alarm is over",
};

/** How an attempt ended; null: it has not. */
export const OUTCOMES = {
  delivered: "Delivered",
  transient: "Failed, may work later",
  permanent: "Refused for good",
  uncertain: "Not known whether it arrived",
};

export const QUALITIES = {
  excellent: { word: "Excellent", tone: "good" },
  good: { word: "Good", tone: "good" },
  fair: { word: "Fair", tone: "none" },
  poor: { word: "Poor", tone: "warn" },
  critical: { word: "Critical", tone: "bad" },
};

/** Who is told by a delivery, and as what. */
export function addressee({ receiver, recipient, step, reminder, digest_id: digest }) {
  const as = [
    step > 0 && `step ${step} of the escalation`,
    reminder > 0 && `reminder ${reminder}`,
    digest && `in one message with others`,
  ].filter(Boolean);
  return `${receiver}${recipient ? `: ${recipient}` : ""}${as.length ? ` (${as.join(", ")})` : ""}`;
}
