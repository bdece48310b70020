// The head of the page: which process this is, how it is doing, and what to do about it.

import { el, say } from "../shared/dom.js";
import { ago, ALARM_STATES, count, fullTime, number, quantity } from "../shared/format.js";
import { icon } from "../shared/icons.js";
import { kindWords, limitDecimals, methodWords } from "./words.js";

/**
 * Fills the head; gives a function that shows a characteristic as it is now, and whether something can be answered.
 *
 * @param {HTMLElement} box @param {() => void} answer somebody wants to answer what waits
 */
export function chartHeader(box, answer) {
  const title = box.querySelector("h1");
  const where = el("p", { class: "soft where" });
  const state = el("p", { class: "state", role: "status" });
  const value = el("p", { class: "newest" });
  // On a narrow screen, where one answers otherwise lies far below.
  const toAnswer = el("button", { type: "button", class: "primary answer", hidden: true, onclick: answer }, "Acknowledge…");
  const facts = el("dl", { class: "facts" });
  const plan = el("details", { class: "plan", hidden: true }, el("summary", {}, "What to do when it signals"), el("p", {}));
  box.append(
    el("div", { class: "head-words" }, title, where, plan),
    el("div", { class: "head-now" }, state, value, toAnswer),
    facts);
  let drawn = "";

  return function show(characteristic, canAnswer) {
    const { name, group, key, alarm_state, newest_sample: newest, reaction_plan } = characteristic;
    document.title = `${name} · Andon`;
    say(title, name);
    say(where, [group, key && `key ${key}`, characteristic.description].filter(Boolean).join(" · "));
    // Who comes because it signals sees what to do; who closes it has read it.
    if (box.dataset.alarm !== alarm_state) plan.open = alarm_state.startsWith("active");
    box.dataset.alarm = alarm_state;
    const { shape } = ALARM_STATES[alarm_state] ?? ALARM_STATES.no_limits;
    if (state.dataset.told !== stateText(characteristic)) {
      state.dataset.told = stateText(characteristic);
      state.replaceChildren(icon(shape), el("span", {}, stateText(characteristic)));
    }
    say(value, newest ? quantity(newest.value, characteristic) : "No samples yet");
    value.title = newest ? fullTime(newest.timestamp) : "";
    toAnswer.hidden = !canAnswer;
    plan.hidden = !reaction_plan;
    say(plan.lastElementChild, reaction_plan ?? "");
    const pairs = factsOf(characteristic);
    if (drawn === JSON.stringify(pairs)) return;
    drawn = JSON.stringify(pairs);
    facts.replaceChildren(...pairs.map(([term, words]) => el("div", {}, el("dt", {}, term), el("dd", {}, words))));
  };
}

function stateText({ alarm_state, samples_collected, samples_needed }) {
  const { word, explanation } = ALARM_STATES[alarm_state] ?? { word: alarm_state, explanation: "" };
  if (alarm_state !== "no_limits") return `${word}: ${explanation}`;
  return samples_collected < samples_needed
    ? `${word}: collecting ${count(samples_collected)} of ${count(samples_needed)}`
    : `${word}: ${count(samples_collected)} samples collected, limits can be calculated`;
}

function factsOf(characteristic) {
  const { control_limits: limits, newest_sample: newest, chart, unit, subgroup_size, target, usl, lsl } = characteristic;
  const decimals = limitDecimals(characteristic.decimals);
  const pairs = [];
  if (limits) {
    pairs.push(["Upper limit", number(limits.ucl, decimals)], ["Center line", number(limits.center_line, decimals)], ["Lower limit", number(limits.lcl, decimals)]);
    pairs.push(["Limits from", `${limits.sample_count ? `${count(limits.sample_count)} samples, ` : ""}${methodWords(limits.method)}${limits.provisional ? ", provisional" : ""}`]);
  }
  if (usl !== null || lsl !== null) {
    const of = (value) => number(value, characteristic.decimals);
    const about = chart === "i_mr" ? "" : ", for single measurements";
    const range = usl === null ? `at least ${of(lsl)}` : lsl === null ? `at most ${of(usl)}` : `${of(lsl)} to ${of(usl)}`;
    pairs.push(["Specification", `${range}${target === null ? "" : `, target ${of(target)}`}${about}`]);
  } else if (target !== null) pairs.push(["Target", number(target, characteristic.decimals)]);
  pairs.push(["Chart", `${kindWords(chart).name}${subgroup_size > 1 ? `, subgroups of ${count(subgroup_size)}` : ""}`]);
  if (unit) pairs.push(["Unit", unit]);
  if (newest) pairs.push(["Newest sample", ago(newest.timestamp)]);
  return pairs;
}
