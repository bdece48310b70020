// One characteristic and how it stands, as far as a page knows. Bounded: the newest points, and some open violations.

import { Series } from "./series.js";

/** Open violations that are kept; those that need no answer go first. */
export const OPEN_AT_MOST = 100;

export class Process {
  constructor(definition) {
    this.definition = definition;
    this.newest = null;
    this.limits = null;
    /** Whether the newest judged sample signalled; null: none was judged yet. */
    this.isActive = null;
    /** Open violations by id, oldest first. */
    this.open = new Map();
    this.openTotal = 0;
    /** The server says that something waits for an answer which is not among `open`. */
    this.waitsUnseen = false;
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

  /** Open violations that wait for somebody, the newest last. */
  get waiting() {
    return [...this.open.values()].filter((violation) => violation.requires_acknowledgement);
  }

  /** As the server would say it. */
  get alarmState() {
    const waits = this.waitsUnseen || this.waiting.length > 0;
    if (this.isActive) return waits ? "active_unacked" : "active_acked";
    if (waits) return "returned_unacked";
    return this.limits || this.isActive === false ? "normal" : "no_limits";
  }

  /** What the server says of it at one moment, and its open violations, newest first. */
  stand(alarmState, limits, newestFirst, openTotal) {
    this.limits = limits;
    this.isActive = alarmState === "no_limits" || alarmState === "retired" ? null : alarmState.startsWith("active");
    this.open = new Map([...newestFirst].sort((a, b) => a.id - b.id).map((it) => [it.id, it]));
    this.openTotal = openTotal;
    this.waitsUnseen = alarmState.endsWith("_unacked") && this.waiting.length === 0;
  }

  /** A violation has fired. */
  add(violation) {
    if (!this.open.has(violation.id)) this.openTotal += 1;
    this.open.set(violation.id, violation);
    if (this.open.size <= OPEN_AT_MOST) return;
    const oldest = [...this.open.values()].find((it) => !it.requires_acknowledgement) ?? this.open.values().next().value;
    this.open.delete(oldest.id);
    if (oldest.requires_acknowledgement) this.waitsUnseen = true;
  }

  /** A violation is open no more; tells whether it was among those that are kept. */
  close(id) {
    const isKnown = this.open.delete(id);
    if (isKnown) this.openTotal -= 1;
    return isKnown;
  }
}
