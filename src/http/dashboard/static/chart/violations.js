// The violations beside the chart: those that wait first. Choosing one shows its pattern in the chart.

import { get } from "../shared/api.js";
import { answerSentence, ruleSentence } from "./words.js";
import { calmly, el, say } from "../shared/dom.js";
import { ago, count, fullTime, quantity } from "../shared/format.js";
import { complain } from "../shared/shell.js";
import { severityMark } from "../shared/violation-words.js";

const LISTED = 50;
const MAX_KNOWN = 400;

export class Violations {
  /** Those that wait, and the newest others. */
  open = [];
  past = [];
  openTotal = 0;
  #id;
  #changed;
  #known = new Map();
  #asked = new Set();

  /** @param {number} id the characteristic @param {() => void} changed */
  constructor(id, changed) {
    this.#id = id;
    this.#changed = changed;
    this.refresh = calmly(400, () => this.#load().catch(complain));
  }

  /** What is known of a violation, or undefined. */
  known = (id) => this.#known.get(id);

  /** One violation, asked for where it is not known. */
  async one(id) {
    if (!this.#known.has(id)) this.#learn([await get(`violations/${id}`)]);
    return this.#known.get(id);
  }

  /** What is known of those of a sample. */
  ofSample = (point) => point.rules.map((rule) => this.#known.get(rule.violation_id)).filter(Boolean);

  /** Sees to it that those of a sample are known. */
  async learnSample(point) {
    if (point.rules.every((rule) => this.#known.has(rule.violation_id)) || this.#asked.has(point.sample_id)) return;
    this.#asked.add(point.sample_id); // once; what changes later is told
    try {
      const { items } = await get("violations", { characteristic_id: this.#id, sample_id: point.sample_id });
      this.#learn(items);
      this.#changed();
    } finally {
      this.#asked.delete(point.sample_id);
    }
  }

  async #load() {
    const about = { characteristic_id: this.#id, limit: LISTED };
    const [open, newest] = await Promise.all([
      get("violations", { ...about, status: "open", acknowledged: false }),
      get("violations", about),
    ]);
    const waits = (violation) => violation.requires_acknowledgement;
    this.open = open.items.filter(waits);
    this.openTotal = open.items.every(waits) ? open.total : this.open.length;
    const listed = new Set(this.open.map((violation) => violation.id));
    this.past = newest.items.filter((violation) => !listed.has(violation.id));
    this.#learn([...this.past, ...this.open]);
    this.#changed();
  }

  #learn(violations) {
    for (const violation of violations) {
      this.#known.delete(violation.id);
      this.#known.set(violation.id, violation);
    }
    while (this.#known.size > MAX_KNOWN) this.#known.delete(this.#known.keys().next().value);
  }
}

/**
 * The list, with a heading. Elements stay while their violation does, so that focus stays, too.
 *
 * @param {HTMLElement} box @param {{ choose: (violation: object | null) => void, acknowledge: (violations: object[]) => void }} on
 */
export function violationList(box, { choose, acknowledge }) {
  const all = el("button", { type: "button", hidden: true });
  const heading = el("h2", { id: "violations-title" }, "Violations");
  const open = el("ol", { class: "violations", "aria-labelledby": "violations-title" });
  const none = el("p", { class: "soft" }, "Nothing waits for an answer.");
  const past = el("ol", { class: "violations", "aria-label": "Answered and past violations" });
  const summary = el("summary", {}, "Answered and past");
  const history = el("details", { hidden: true }, summary, past);
  box.append(el("div", { class: "bar" }, heading, all), none, open, history);
  let shown = [];
  all.addEventListener("click", () => acknowledge(shown));

  return function show(violations, chosenId) {
    shown = violations.open;
    say(heading, violations.openTotal ? `Violations: ${count(violations.openTotal)} open` : "Violations");
    none.hidden = violations.open.length > 0;
    all.hidden = violations.open.length < 2;
    say(all, `Acknowledge ${count(violations.open.length)}…`);
    keep(open, violations.open, (violation) => entry(violation, chosenId, choose, acknowledge));
    history.hidden = violations.past.length === 0;
    if (violations.past.some((violation) => violation.id === chosenId)) history.open = true;
    keep(past, violations.past, (violation) => entry(violation, chosenId, choose, null));
  };
}

/** Makes a list hold these entries, and leaves alone the elements of what is the same as before. */
function keep(list, violations, make) {
  const before = new Map([...list.children].map((item) => [item.dataset.id, item]));
  const focused = document.activeElement?.closest?.("li")?.dataset.id;
  const items = violations.map((violation) => {
    const made = make(violation);
    const old = before.get(made.dataset.id);
    return old && old.dataset.state === made.dataset.state ? old : made;
  });
  const isSame = items.length === list.children.length && items.every((item, index) => list.children[index] === item);
  if (isSame) return;
  const hadFocus = list.contains(document.activeElement);
  list.replaceChildren(...items);
  if (hadFocus) list.querySelector(`[data-id="${focused}"] button`)?.focus();
}

function entry(violation, chosenId, choose, acknowledge) {
  const isChosen = violation.id === chosenId;
  const answer = answerSentence(violation);
  const isWithdrawn = violation.status === "withdrawn";
  const select = el("button", { type: "button", class: "violation", "aria-pressed": String(isChosen), onclick: () => choose(isChosen ? null : violation) },
    el("span", { class: "violation-head" }, severityMark(violation.severity),
      el("time", { datetime: violation.timestamp, title: fullTime(violation.timestamp), class: "soft" }, ago(violation.timestamp))),
    el("span", {}, ruleSentence(violation)),
    isWithdrawn && el("span", { class: "soft" }, "Withdrawn: judged again, it holds no more."),
    answer && el("span", { class: "soft" }, answer));
  const state = [isChosen, violation.acknowledged, violation.status, violation.involved_sample_ids.length, acknowledge ? 1 : 0].join();
  return el("li", { "data-id": violation.id, "data-state": state },
    select,
    el("span", { class: "soft" }, violation.value === null ? "" : quantity(violation.value, violation)),
    acknowledge && el("button", { type: "button", class: "primary", "aria-label": `Acknowledge: ${ruleSentence(violation)}`, onclick: () => acknowledge([violation]) }, "Acknowledge"));
}
