// One characteristic and how it stands, as far as a page knows. Bounded: the newest points, and some of what waits.

import { Series } from "./series.js";

/** Violations that are kept of those that wait for somebody, the newest. */
export const WAITING_AT_MOST = 100;

export class Process {
  /** Violations that wait for somebody by id, oldest first. */
  #waiting = new Map();

  constructor(definition) {
    this.definition = definition;
    this.newest = null;
    this.limits = null;
    /** What is known here is of before a break that the server cannot tell of. */
    this.isOfAnotherLog = false;
    /** Whether the newest judged sample signalled; null: none was judged yet. */
    this.isActive = null;
    /** How many wait, at most: not all of them need be known here. */
    this.waitingTotal = 0;
    /** Who answered, when nothing has fired since. */
    this.answer = null;
    this.collected = null;
    /** How many samples limits are made of; null, as `collected` is, where there are limits. */
    this.needed = null;
    this.series = new Series();
    /** Counts what was heard about alarms: an answer that was asked for before is older. */
    this.alertsHeard = 0;
  }

  get id() {
    return this.definition.id;
  }

  /** Violations that wait for somebody, the newest last. */
  get waiting() {
    return [...this.#waiting.values()];
  }

  /** Whether something waits that is not known here. */
  get waitsUnseen() {
    return this.waitingTotal > this.#waiting.size;
  }

  /** As the server would say it. */
  get alarmState() {
    const waits = this.waitingTotal > 0;
    if (this.isActive) return waits ? "active_unacked" : "active_acked";
    if (waits) return "returned_unacked";
    return this.limits || this.isActive === false ? "normal" : "no_limits";
  }

  /** What the server says of it at one moment, with the newest violations that wait, and how many do, as far as is known. */
  stand(alarmState, limits, waiting, waitingTotal) {
    this.limits = limits;
    this.isActive = alarmState === "no_limits" || alarmState === "retired" ? null : alarmState.startsWith("active");
    this.#waiting = new Map([...waiting].sort((a, b) => a.id - b.id).map((it) => [it.id, it]));
    this.waitingTotal = Math.max(waitingTotal, alarmState.endsWith("_unacked") ? 1 : 0);
  }

  /** A violation waits for somebody. */
  add(violation) {
    if (!this.#waiting.has(violation.id)) this.waitingTotal += 1;
    this.#waiting.set(violation.id, violation);
    if (this.#waiting.size > WAITING_AT_MOST) this.#waiting.delete(this.#waiting.keys().next().value);
  }

  /** A violation waits no more; tells whether it was among those that are kept. */
  close(id) {
    const isKnown = this.#waiting.delete(id);
    if (isKnown) this.waitingTotal -= 1;
    return isKnown;
  }
}
