// Which process needs somebody more than another.

import { ALARM_STATES, SEVERITIES } from "../shared/format.js";

/** The states that a process on the wall can be in, the most urgent first. */
export const STATES = Object.keys(ALARM_STATES).filter((state) => state !== "retired");

const RANKS = new Map(STATES.map((state, rank) => [state, rank]));
const SEVERITY_RANKS = new Map(SEVERITIES.map((severity, rank) => [severity, rank]));
const NAMES = new Intl.Collator(undefined, { numeric: true });

/** The violation that matters most: the gravest, and of those the newest. */
export function gravestOf(violations) {
  const rank = ({ severity }) => SEVERITY_RANKS.get(severity);
  return violations.reduce((best, it) => (best && rank(best) < rank(it) ? best : it), null);
}

/** What processes are sorted by. */
export function urgencyOf(process) {
  const gravest = gravestOf(process.waiting);
  const severity = gravest ? SEVERITY_RANKS.get(gravest.severity) : SEVERITY_RANKS.size;
  return { state: RANKS.get(process.alarmState), severity, name: process.definition.name };
}

/**
 * The most urgent of many, in no order. Of those that are as urgent the first ones: to compare all by name would take
 * longer than anybody waits.
 */
export function mostUrgent(processes, most) {
  const byRank = new Map();
  for (const process of processes) {
    const { state, severity } = urgencyOf(process);
    const rank = state * (SEVERITY_RANKS.size + 1) + severity;
    if (!byRank.has(rank)) byRank.set(rank, []);
    byRank.get(rank).push(process);
  }
  return [...byRank].sort(([a], [b]) => a - b).flatMap(([, some]) => some).slice(0, most);
}

/** Without looking at names. */
export const byGravity = (a, b) => a.state - b.state || a.severity - b.severity;

export const byUrgency = (a, b) => byGravity(a, b) || byName(a.name, b.name);

export const byName = NAMES.compare;
