// What a row of a violation says, and what is behind it: what to do, and which points made the pattern.

import { get, ROOT } from "../shared/api.js";
import { el } from "../shared/dom.js";
import { ago, count, fullTime, number, quantity, time } from "../shared/format.js";
import { reactionPlan } from "../shared/reaction-plans.js";
import { limitsOf, nameOf, ruleSentence, severityMark, valueOf } from "../shared/violation-words.js";
import { cell } from "./grid.js";

/** Points of a pattern that are told one by one, the newest ones. */
const POINTS = 12;

/** The columns of `describeViolation`. */
export const VIOLATION_COLUMNS = ["Severity", "What fired", "Value", "When"];

/** Where the chart of a violation is. */
export const chartOf = ({ characteristic_id: id, violation_id: violation, id: itself }) =>
  new URL(`characteristics/${id}?violation=${violation ?? itself}`, ROOT).href;

/** Where the episode of a violation is. */
const episodeOf = ({ episode_id: id }) => new URL(`alarms?view=episodes&episode=${id}`, ROOT).href;

/** What the row's buttons are called after. */
export const violationName = (violation) => `${nameOf(violation)}: ${ruleSentence(violation)}`;

/** A row of the open list. */
export function describeViolation(violation) {
  const { group, timestamp, requires_acknowledgement: needsAnswer } = violation;
  return {
    marks: { severity: violation.severity, needsAnswer: String(needsAnswer) },
    cells: [
      cell("severity-cell", severityMark(violation.severity)),
      cell("what-cell",
        el("strong", {}, ruleSentence(violation)),
        !needsAnswer && el("span", { class: "tag" }, "needs no answer"),
        el("span", { class: "whose" }, el("a", { href: chartOf(violation) }, nameOf(violation)), group && el("span", { class: "soft" }, group))),
      cell("value-cell",
        el("span", { class: "value" }, valueOf(violation)),
        el("span", { class: "soft" }, `limits ${limitsOf(violation)}`)),
      cell("when-cell", ...whenParts(timestamp))],
  };
}

/** A time, and how long ago it is; `tellAgo` keeps that true. */
export function whenParts(timestamp) {
  return [
    el("time", { datetime: timestamp, title: fullTime(timestamp) }, time(timestamp)),
    el("span", { class: "soft", "data-ago": timestamp }, ago(timestamp))];
}

/** What is behind a row. What has to be asked for comes when it comes. */
export function violationDetails(violation) {
  const plan = el("p", { class: "plan" }, "…");
  const points = el("div", { class: "points" }, el("p", { class: "soft" }, "…"));
  showPlan(plan, violation.characteristic_id);
  showPoints(points, violation);
  return el("div", { class: "behind" },
    el("section", {}, el("h3", {}, "What to do"), plan,
      el("p", { class: "links" },
        el("a", { href: chartOf(violation) }, "Chart"),
        violation.episode_id && el("a", { href: episodeOf(violation) }, "Episode, and who was told"))),
    el("section", {}, el("h3", {}, involvedTitle(violation)), points),
    el("section", {}, el("h3", {}, "How it was judged"), facts(violation)));
}

async function showPlan(element, characteristicId) {
  try {
    const plan = await reactionPlan(characteristicId);
    element.textContent = plan ?? "Nobody has written down what to do when this characteristic alarms.";
    element.classList.toggle("soft", plan === null);
  } catch (error) {
    element.textContent = error.message;
  }
}

function involvedTitle({ involved_sample_ids: ids }) {
  return ids.length === 1 ? "The point" : `The ${count(ids.length)} points of the pattern`;
}

async function showPoints(element, violation) {
  const { involved_sample_ids: involved, decimals, unit, sample_id: newest } = violation;
  const ids = involved.length > 0 ? involved : [newest].filter(Boolean);
  const shown = ids.slice(-POINTS).reverse();
  const asked = await Promise.allSettled(shown.map((id) => get(`samples/${id}`)));
  const found = asked.filter(({ status }) => status === "fulfilled").map(({ value }) => value);
  if (found.length === 0) {
    element.replaceChildren(el("p", { class: "soft" },
      ids.length === 0 ? "The system that judged did not tell which." : "They are not kept any more."));
    return;
  }
  element.replaceChildren(
    el("table", {}, el("caption", { class: "unseen" }, "Points, the newest first"),
      el("thead", {}, el("tr", {}, el("th", { scope: "col" }, "Time"), el("th", { scope: "col", class: "number" }, "Value"))),
      el("tbody", {}, found.map((sample) => el("tr", {},
        el("td", {}, el("time", { datetime: sample.timestamp, title: fullTime(sample.timestamp) }, time(sample.timestamp)),
          sample.is_excluded && el("span", { class: "soft" }, " (excluded)")),
        el("td", { class: "number" }, quantity(sample.value, { decimals, unit })))))),
    ids.length > shown.length ? el("p", { class: "soft" }, `and ${count(ids.length - shown.length)} before`) : "");
}

function facts(violation) {
  const { decimals, rule_id: rule, rule_name: name, chart, center_line: center, ucl, lcl, sigma, n, source } = violation;
  const rows = [
    ["Rule", `${rule}, ${name}`],
    ["Chart", chart === "dispersion" ? "of the spread" : "of the location"],
    ["Upper control limit", number(ucl, decimals)],
    ["Center line", number(center, decimals)],
    ["Lower control limit", number(lcl, decimals)],
    ["Sigma", number(sigma)],
    ["Measurements", count(n)],
    ["Found", fullTime(violation.created_at)],
    violation.rejudged && ["Found when", "the samples were judged again"],
    source && ["Judged by", source],
  ].filter(Boolean);
  return el("dl", { class: "facts" }, rows.map(([term, value]) => el("div", {}, el("dt", {}, term), el("dd", {}, value))));
}
