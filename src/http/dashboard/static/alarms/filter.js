// What of the alarms is looked at: said by the address, asked of the server, and asked of what comes live.

import { SEVERITIES } from "../shared/format.js";

/** The rules of Andon, by their numbers; other systems have others. */
export const RULES = ["Outlier", "Shift", "Trend", "Alternation", "Zone A", "Zone B", "Stratification", "Mixture"];

export const STATUSES = { open: "Open", acknowledged: "Acknowledged", withdrawn: "Withdrawn" };

const FIELDS = {
  characteristic: (text) => (/^[1-9]\d{0,15}$/.test(text) ? Number(text) : null),
  group: (text) => text,
  severity: (text) => (SEVERITIES.includes(text) ? text : null),
  rule: (text) => (/^\d{1,9}$/.test(text) ? Number(text) : null),
  needs: (text) => (text === "answer" ? text : null),
  status: (text) => (Object.hasOwn(STATUSES, text) ? text : null),
  by: (text) => text,
  from: instant,
  to: instant,
};

/** Which of them a view knows. */
export const FIELDS_OF = {
  open: ["characteristic", "group", "severity", "rule", "needs"],
  episodes: ["characteristic", "group", "severity"],
  history: ["characteristic", "group", "severity", "rule", "status", "by", "from", "to"],
};

function instant(text) {
  const date = new Date(text);
  return Number.isNaN(date.getTime()) ? null : date.toISOString();
}

/** The filter that an address says; what makes no sense in it is left out. */
export function filterFrom(search) {
  const filter = {};
  for (const [name, read] of Object.entries(FIELDS)) {
    const text = search.get(name);
    const value = text ? read(text) : null;
    if (value !== null && value !== "") filter[name] = value;
  }
  return filter;
}

/** What of a filter a view knows. */
export const filterOf = (view, filter) =>
  Object.fromEntries(Object.entries(filter).filter(([name]) => FIELDS_OF[view].includes(name)));

/** The query for the open ones. */
export const openQuery = (filter) => ({
  status: "open", acknowledged: false, requires_acknowledgement: filter.needs ? true : undefined, ...commonQuery(filter),
});

/** The query for whatever has been. */
export function historyQuery(filter) {
  const { status, by, from, to } = filter;
  const asked = { ...commonQuery(filter), ack_user: by, from, to };
  if (status === "open") Object.assign(asked, { status: "open", acknowledged: false });
  if (status === "acknowledged") asked.acknowledged = true;
  if (status === "withdrawn") asked.status = "withdrawn";
  return asked;
}

/** The query for episodes. */
export const episodeQuery = (filter) => {
  const { rule_id: _, ...asked } = commonQuery(filter);
  return asked;
};

const commonQuery = ({ characteristic, group, severity, rule }) =>
  ({ characteristic_id: characteristic, group, severity, rule_id: rule });

/** Whether a violation, or an episode, is one of those that are looked at. Times are not asked. */
export function matches(filter, item) {
  const { characteristic, group, severity, rule, needs } = filter;
  return (!characteristic || item.characteristic_id === characteristic)
    && (!group || item.group === group || (item.group ?? "").startsWith(`${group}/`))
    && (!severity || item.severity === severity)
    && (rule === undefined || item.rule_id === rule)
    && (!needs || item.requires_acknowledgement);
}
