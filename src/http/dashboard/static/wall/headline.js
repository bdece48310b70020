// Says in one sentence whether somebody is needed, and that it does not know, while nothing is heard of the processes, or of
// some of them not yet.

import { say } from "../shared/dom.js";
import { count, time } from "../shared/format.js";
import { byUrgency, urgencyOf } from "./urgency.js";

/** Processes that are named. */
const NAMED = 3;
/** A connection that is back sooner is nobody's trouble. */
const BLIND_AFTER_MS = 5_000;

/** The headline of the wall, and the title of its window. */
export class Headline {
  #element;
  #processes = [];
  #unheard = 0;
  /** When the connection was lost; attempts to mend it do not make that later. */
  #lostAt = null;
  #blinding = null;
  #isBlind = false;

  constructor(element, client) {
    this.#element = element;
    client.on("state", ({ state, since }) => this.#hear(state, since));
  }

  /** The processes that the wall is about have changed. Of `unheard` others it is not known how they stand. */
  tell(processes, unheard) {
    this.#processes = processes;
    this.#unheard = unheard;
    this.#show();
  }

  #hear(state, since) {
    if (state === "live") {
      clearTimeout(this.#blinding);
      this.#lostAt = null;
      this.#see(true);
    } else if (!this.#lostAt) {
      this.#lostAt = since;
      this.#blinding = setTimeout(() => this.#see(false), BLIND_AFTER_MS);
    }
  }

  /** Nobody may take an old picture for a good night. */
  #see(isSeeing) {
    if (this.#isBlind === !isSeeing) return;
    this.#isBlind = !isSeeing;
    document.documentElement.toggleAttribute("data-blind", !isSeeing);
    this.#show();
  }

  #show() {
    const { alarm, text, title } = this.#isBlind ? unknown(this.#lostAt) : newsOf(this.#processes, this.#unheard);
    this.#element.dataset.alarm = alarm;
    say(this.#element, text);
    document.title = title;
  }
}

const unknown = (since) => ({
  alarm: "unknown",
  text: `Not live since ${time(since)}: this is how it was then`,
  title: "(not live) Andon",
});

/** Without the number of those that are unheard: it would be read out each time that it changes. */
function newsOf(processes, unheard) {
  const of = (state) => processes.filter((process) => process.alarmState === state);
  const [needed, unanswered] = [of("active_unacked"), of("returned_unacked")];
  const title = needed.length > 0 ? `(${needed.length}) Andon` : "Andon";
  if (needed.length > 0) {
    const verb = needed.length === 1 ? "needs" : "need";
    const others = unheard > 0 ? " (not all are heard of yet)" : "";
    return { alarm: "active_unacked", text: `${numberOf(needed)} ${verb} someone: ${namesOf(needed)}${others}`, title };
  }
  if (unheard > 0) return { alarm: "unknown", text: "Asking how the processes stand …", title };
  if (unanswered.length > 0) {
    return { alarm: "returned_unacked", text: `${numberOf(unanswered)} not answered: ${namesOf(unanswered)}`, title };
  }
  if (processes.length === 0) return { alarm: "none", text: "Processes", title };
  return { alarm: "normal", text: "No process needs anyone", title };
}

const numberOf = ({ length }) => (length === 1 ? "1 process" : `${count(length)} processes`);

/** The first few, in the order of the wall. */
function namesOf(processes) {
  const names = processes.map(urgencyOf).sort(byUrgency).slice(0, NAMED).map(({ name }) => name);
  const others = processes.length - names.length;
  return others > 0 ? `${names.join(", ")} and ${count(others)} more` : names.join(", ");
}
