// The violations beside the chart: those that wait first. Choosing one shows its pattern in the chart.

import { get } from "../shared/api.js";
import { calmly, el, say } from "../shared/dom.js";
import { ago, count, fullTime, quantity } from "../shared/format.js";
import { Newest } from "../shared/newest.js";
import { severityMark } from "../shared/violation-words.js";
import { answerSentence, ruleSentence } from "./words.js";

/** Those that wait are listed up to so many, and the newest others. */
const LISTED = 50;

const MAX_KNOWN = 400;

export class Violations {
  /** Those that wait, newest first. */
  open = [];
  past = [];
  /** How many wait; null: nothing is known yet. */
  waiting = null;
  /** The one that was chosen, which need not be among those listed. */
  chosenId = null;
  #id;
  #changed;
  #known = new Map();
  #asked = new Set();
  #loads = new Newest();

  /** @param {number} id the characteristic @param {() => void} changed @param {(error: Error) => void} failed */
  constructor(id, changed, failed) {
    this.#id = id;
    this.#changed = changed;
    this.refresh = calmly(400, () => this.#load().catch(failed));
  }

  /** Nothing of what was known holds any more: it is another log now. */
  forget() {
    this.#known.clear();
    Object.assign(this, { open: [], past: [], waiting: null, chosenId: null });
    this.#loads.forget(); // it was asked of the former one
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
    const isNewest = this.#loads.ask();
    const about = { characteristic_id: this.#id, limit: LISTED };
    const thoseThatWait = { ...about, status: "open", acknowledged: false, requires_acknowledgement: true };
    const [waiting, { items: newest }] = await Promise.all([get("violations", thoseThatWait), get("violations", about)]);
    const isListed = [...waiting.items, ...newest].some(({ id }) => id === this.chosenId);
    const chosen = this.chosenId !== null && !isListed ? await get(`violations/${this.chosenId}`).catch(() => null) : null;
    if (!isNewest()) return;
    this.waiting = waiting.total;
    this.open = waiting.items;
    const listed = new Set(this.open.map((violation) => violation.id));
    this.past = newest.filter((violation) => !listed.has(violation.id));
    this.#learn([...this.past, ...this.open, ...(chosen ? [chosen] : [])]);
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
  const single = el("ol", { class: "violations", "aria-label": "The chosen violation" });
  const open = el("ol", { class: "violations", "aria-labelledby": "violations-title" });
  const none = el("p", { class: "soft", hidden: true });
  const past = el("ol", { class: "violations", "aria-label": "Answered and past violations" });
  const summary = el("summary", {}, "Answered and past");
  const history = el("details", { hidden: true }, summary, past);
  box.append(el("div", { class: "bar" }, heading, all), single, none, open, history);
  let shown = [];
  all.addEventListener("click", () => acknowledge(shown));

  /** @param {Violations} violations @param {string} alarmState of the characteristic, which may be known before the list */
  return function show(violations, alarmState) {
    const { waiting, chosenId } = violations;
    shown = violations.open;
    say(heading, waiting > 0 ? `Violations: ${count(waiting)} open` : "Violations");
    none.hidden = waiting !== 0;
    say(none, noneWaits(alarmState));
    all.hidden = shown.length < 2;
    say(all, shown.length < waiting ? `Acknowledge the newest ${count(shown.length)} of ${count(waiting)}…` : `Acknowledge ${count(shown.length)}…`);
    const entryOf = (violation) => entry(violation, chosenId, choose, waits(violation) ? acknowledge : null);
    const isListed = [...violations.open, ...violations.past].some(({ id }) => id === chosenId);
    const alone = chosenId === null || isListed ? null : violations.known(chosenId);
    keep(single, alone ? [alone] : [], entryOf);
    keep(open, violations.open, entryOf);
    history.hidden = violations.past.length === 0;
    if (violations.past.some((violation) => violation.id === chosenId)) history.open = true;
    keep(past, violations.past, entryOf);
  };
}

const waits = ({ status, acknowledged, requires_acknowledgement: needsAnswer }) => status === "open" && !acknowledged && needsAnswer;

/** That nothing waits is said only where nothing contradicts it. */
const noneWaits = (alarmState) =>
  (alarmState.endsWith("_unacked") ? "Something waits for an answer, and is being looked for." : "Nothing waits for an answer.");

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
      el("time", { datetime: violation.timestamp, title: fullTime(violation.timestamp), class: "soft", "data-ago": violation.timestamp }, ago(violation.timestamp))),
    el("span", {}, ruleSentence(violation)),
    isWithdrawn && el("span", { class: "soft" }, "Withdrawn: judged again, it holds no more."),
    answer && el("span", { class: "soft" }, answer));
  const state = [isChosen, violation.acknowledged, violation.status, violation.involved_sample_ids.length, acknowledge ? 1 : 0].join();
  return el("li", { "data-id": violation.id, "data-state": state },
    select,
    el("span", { class: "soft" }, violation.value === null ? "" : quantity(violation.value, violation)),
    acknowledge && el("button", { type: "button", class: "primary", "aria-label": `Acknowledge: ${ruleSentence(violation)}`, onclick: () => acknowledge([violation]) }, "Acknowledge"));
}
