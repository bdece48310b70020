// What of the plant the wall is about: chosen by words, group and state, and kept in the address, to be sent to somebody.

import { el, say } from "../shared/dom.js";
import { ALARM_STATES, count } from "../shared/format.js";
import { icon } from "../shared/icons.js";
import { STATES } from "./urgency.js";

/** The filter, with the fields and buttons that set it. */
export class Filter {
  #chosen = readAddress();
  #changed;
  #search = el("input", { type: "search", id: "search", placeholder: "Name, key, group or tag", value: this.#chosen.q, "aria-label": "Search", oninput: () => this.#choose({ q: this.#search.value }) });
  #groups = el("select", { id: "group", "aria-label": "Group", onchange: () => this.#choose({ group: this.#groups.value }) });
  #states = new Map(STATES.map((state) => [state, this.#stateButton(state)]));

  /** @param {() => void} changed somebody has chosen something else */
  constructor(changed) {
    this.#changed = changed;
    const states = [...this.#states.values()].map(({ button }) => button);
    this.elements = [el("div", { class: "states", role: "group", "aria-label": "Show only" }, states), this.#search, this.#groups];
  }

  /** Puts the focus where words are searched. */
  search() {
    this.#search.focus();
  }

  /** Whether the wall is about this process at all, in whatever state it is. */
  isAbout({ definition: { name, key, group, tags } }) {
    const { q, group: chosen } = this.#chosen;
    if (chosen && group !== chosen && !(group ?? "").startsWith(`${chosen}/`)) return false;
    const words = q.trim().toLowerCase();
    return words === "" || [name, key ?? "", group ?? "", ...tags].join("\n").toLowerCase().includes(words);
  }

  /** Whether it is in a state that is shown. */
  shows({ alarmState }) {
    return !this.#chosen.state || this.#chosen.state === alarmState;
  }

  /** Says of the processes that the wall is about how many are in each state. */
  tellStates(processes) {
    const totals = Object.fromEntries(STATES.map((state) => [state, 0]));
    for (const { alarmState } of processes) totals[alarmState] += 1;
    for (const [state, { button, number }] of this.#states) {
      say(number, count(totals[state]));
      button.hidden = totals[state] === 0 && this.#chosen.state !== state;
      button.setAttribute("aria-pressed", String(this.#chosen.state === state));
    }
  }

  /** Offers the groups that there are, and those above them. */
  offerGroups(processes) {
    const own = new Set();
    for (const { definition } of processes) if (definition.group) own.add(definition.group);
    if (this.#chosen.group) own.add(this.#chosen.group);
    const paths = new Set();
    for (const group of own) {
      const parts = group.split("/");
      parts.forEach((_, index) => paths.add(parts.slice(0, index + 1).join("/")));
    }
    const offered = ["", ...[...paths].sort()];
    if (offered.join("\n") === [...this.#groups.options].map((option) => option.value).join("\n")) return;
    this.#groups.replaceChildren(...offered.map((path) => el("option", { value: path }, path || "All groups")));
    this.#groups.value = this.#chosen.group;
  }

  #choose(part) {
    Object.assign(this.#chosen, part);
    const query = new URLSearchParams(Object.entries(this.#chosen).filter(([, value]) => value));
    history.replaceState(null, "", query.size > 0 ? `?${query}` : location.pathname);
    this.#changed();
  }

  #stateButton(state) {
    const number = el("span", { class: "count" }, "0");
    const { shape, word, explanation } = ALARM_STATES[state];
    const choose = () => this.#choose({ state: this.#chosen.state === state ? "" : state });
    const button = el("button", { type: "button", "data-alarm": state, title: explanation, onclick: choose },
      el("span", { class: "state" }, icon(shape), number, word));
    return { button, number };
  }
}

function readAddress() {
  const query = new URLSearchParams(location.search);
  const state = query.get("state") ?? "";
  return { q: query.get("q") ?? "", group: query.get("group") ?? "", state: STATES.includes(state) ? state : "" };
}
