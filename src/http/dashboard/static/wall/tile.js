// A tile of the wall: one process, its state by colour, shape and word, its newest value and a sparkline.

import { ROOT } from "../shared/api.js";
import { el, say } from "../shared/dom.js";
import { ago, ALARM_STATES, count, fullTime, quantity } from "../shared/format.js";
import { icon } from "../shared/icons.js";
import { Sparkline } from "./sparkline.js";
import { gravestOf } from "./urgency.js";

/** One process on the wall. */
export class Tile {
  #state = null;
  #icon = el("span", { class: "symbol" });
  #word = el("span", { class: "word" });
  #severity = el("span", { class: "severity" });
  #name = el("span", { class: "name" });
  #value = el("span", { class: "value" });
  #told = el("span", { class: "told" });
  #age = el("time", { class: "age" });
  #sparkline = new Sparkline();
  #answer;

  /**
   * @param {import("./plant.js").Process} process
   * @param {{ answer: (process: import("./plant.js").Process) => void }} calls when somebody wants to answer its alarm
   */
  constructor(process, { answer }) {
    this.process = process;
    this.isVisible = false;
    /** The frame's time. */
    this.drawnAt = -Infinity;
    this.link = el("a", { href: new URL(`characteristics/${process.id}`, ROOT).href, class: "into" },
      el("span", { class: "state" }, this.#icon, this.#word, this.#severity), this.#name, this.#value);
    this.#answer = el("button", { type: "button", class: "answer", onclick: () => answer(this.process) }, "Acknowledge");
    this.element = el("li", { class: "tile", "data-id": process.id },
      this.link, this.#age, this.#sparkline.element, el("p", { class: "foot" }, this.#told, this.#answer));
    this.update(process);
  }

  /** Says and draws anew what is different. */
  update(process) {
    this.process = process;
    const { definition, newest } = process;
    const state = process.alarmState;
    if (this.#state !== state) {
      this.#state = state;
      this.element.dataset.alarm = state;
      this.#icon.replaceChildren(icon(ALARM_STATES[state].shape));
    }
    const waiting = process.waiting;
    const gravest = gravestOf(waiting);
    say(this.#word, wordOf(state, process));
    say(this.#severity, gravest && gravest.severity === "CRITICAL" ? "critical" : "");
    say(this.#name, definition.name);
    this.#name.title = definition.name;
    say(this.#value, newest ? quantity(newest.value, definition) : "no samples yet");
    say(this.#told, told(process, gravest));
    this.#told.title = this.#told.textContent; // where there is no room for all of it
    this.#answer.hidden = waiting.length === 0;
    this.#answer.setAttribute("aria-label", `Acknowledge the alarm of ${definition.name}`);
    this.#sparkline.draw(process.series);
    this.tellAge();
  }

  /** How long ago the newest sample was measured. */
  tellAge() {
    const time = this.process.newest?.timestamp;
    say(this.#age, time ? ago(time) : "");
    if (time) {
      this.#age.dateTime = time;
      this.#age.title = fullTime(time);
    }
  }
}

function wordOf(state, process) {
  if (state === "no_limits") return collecting(process);
  // It signals, and nobody has to answer: then nobody may be there.
  if (state === "active_acked" && !process.answer) return "Out of control";
  return ALARM_STATES[state].word;
}

/** Such as "Collecting 12 of 25". */
function collecting({ collected, needed }) {
  if (collected === null || collected >= needed) return ALARM_STATES.no_limits.word;
  return `Collecting ${count(collected)} of ${count(needed)}`;
}

function told(process, gravest) {
  if (gravest) {
    const others = process.waiting.length - 1;
    const orMore = process.waitsUnseen ? " or more" : "";
    const sentence = gravest.message.charAt(0).toUpperCase() + gravest.message.slice(1);
    return others > 0 ? `${sentence} (+${count(others)}${orMore})` : sentence;
  }
  if (process.isActive && process.answer) {
    const { user, reason } = process.answer;
    return `Answered${user ? ` by ${user}` : ""}${reason ? `: ${reason}` : ""}`;
  }
  return "";
}
