// How every process stands, kept true by the events: what the wall shows.
//
// Begins with the snapshots that the server sends, and asks it again where an event does not tell everything. Knows
// nothing of how it is drawn.

import { get, Problem } from "../shared/api.js";
import { Process, WAITING_AT_MOST } from "./process.js";
import { Rereads } from "./rereads.js";

/** Snapshots come one after the other: so long after the last one it is asked what they do not tell. */
const ALL_TOLD_MS = 300;

/** All processes that are not retired. */
export class Plant {
  #processes = new Map();
  #changed;
  #client;
  #gone;
  #allTold;
  #rereads = new Rereads((id, isCurrent) => this.#read(id, isCurrent));

  /**
   * @param {import("../client/andon-client.js").AndonClient} client that listens to all
   * @param {{ changed: (process: Process, isAlarm: boolean) => void, gone: (id: number) => void }} hears `isAlarm`: more
   *   than a sample has happened
   */
  constructor(client, { changed, gone }) {
    this.#client = client;
    this.#changed = changed;
    this.#gone = gone;
    const hear = {
      snapshot: (process, payload) => this.#begin(process, payload),
      sample: (process, payload) => this.#sample(process, payload),
      violation: (process, payload) => this.#violation(process, payload),
      ack_update: (process, payload) => this.#acknowledged(process, payload),
      violation_update: (process, payload) => this.#violationUpdate(process, payload),
      control_limits: (process, payload) => this.#controlLimits(process, payload),
      sample_update: (process) => this.#sampleUpdate(process),
      characteristic_update: (process, payload) => this.#redefined(process, payload),
    };
    for (const [type, told] of Object.entries(hear)) {
      client.on(type, (message) => this.#hear(message, told));
    }
    client.on("subscribed", (message) => this.#keepOnly(message));
  }

  get processes() {
    return this.#processes.values();
  }

  /** Of how many it is not known yet how they stand; of the others, what happened while nobody looked was told. */
  get unheard() {
    return this.#client.snapshotsDue.filter((id) => this.#processes.get(id)?.isOfAnotherLog ?? true).length;
  }

  #hear({ type, characteristic_id: id, payload }, told) {
    let process = this.#processes.get(id);
    if (!process) {
      if (payload.changes?.deleted || payload.changes?.retired) return this.#forget(id);
      if (type === "ack_update") return; // of what is not shown
      if (type !== "snapshot") return this.#rereads.want(id); // it is new
      if (payload.characteristic.retired) return;
      process = new Process(payload.characteristic);
      this.#processes.set(id, process);
    }
    if (type !== "sample") process.alertsHeard += 1;
    told(process, payload);
    if (this.#processes.has(id)) this.#changed(process, type !== "sample");
  }

  /** Where the past cannot be told, what the server does not know any more is gone. */
  #keepOnly({ all, recovered, characteristic_ids: ids }) {
    if (!all || recovered === true) return;
    const known = new Set(ids);
    for (const [id, process] of [...this.#processes]) {
      if (!known.has(id)) this.#forget(id);
      else if (recovered === false) process.isOfAnotherLog = true;
    }
  }

  #begin(process, payload) {
    process.isOfAnotherLog = false;
    process.definition = payload.characteristic;
    process.newest = payload.newest_sample;
    const waiting = payload.open_violations.filter((violation) => violation.requires_acknowledgement);
    // Of those that it does not tell, all may wait: when the others are answered, it is asked.
    const untold = payload.alarm_state.endsWith("_unacked") ? payload.open_total - payload.open_violations.length : 0;
    process.stand(payload.alarm_state, payload.control_limits, waiting, waiting.length + untold);
    process.answer = answerOf(payload.open_episode);
    process.series.isStale = true;
    if (payload.characteristic.retired) return this.#forget(process.id);
    if (process.waitsUnseen && waiting.length === 0) this.#rereads.want(process.id);
    if (!process.limits) {
      clearTimeout(this.#allTold);
      this.#allTold = setTimeout(() => this.#readCollected(), ALL_TOLD_MS);
    }
    return undefined;
  }

  #sample(process, sample) {
    process.newest = sample;
    if (sample.in_control !== null) process.isActive = !sample.in_control;
    if (process.collected !== null && sample.mode !== "store") process.collected += 1;
    process.series.add(sample);
  }

  #violation(process, violation) {
    // It may come without its sample: to a hidden page, or from another system that judges.
    if (!violation.rejudged) process.isActive = true;
    if (violation.rejudged || violation.source !== null) this.#rereads.want(process.id);
    if (violation.acknowledged || violation.status !== "open") return;
    if (violation.requires_acknowledgement) process.add(violation);
    process.answer = null;
  }

  #acknowledged(process, { violation_id: id, user, reason, timestamp }) {
    process.answer = { user, reason, timestamp };
    this.#close(process, id);
  }

  #violationUpdate(process, { violation_id: id, status }) {
    if (status === "withdrawn") process.close(id);
    this.#rereads.want(process.id); // the newest point may be another now
  }

  #close(process, id) {
    if (!process.close(id) || process.waitsUnseen) this.#rereads.want(process.id);
  }

  #controlLimits(process, limits) {
    process.limits = limits;
    process.collected = process.needed = null;
  }

  #sampleUpdate(process) {
    process.series.isStale = true;
    this.#rereads.want(process.id);
  }

  #redefined(process, { changes }) {
    if (changes.deleted || changes.retired) return this.#forget(process.id);
    if (changes.new_phase) process.series.isStale = true;
    return this.#rereads.want(process.id);
  }

  #forget(id) {
    this.#processes.delete(id);
    this.#rereads.forget(id);
    this.#gone(id);
  }

  /** Asks how a process stands. Tells whether the answer was of use: what was heard meanwhile is newer. */
  async #read(id, isCurrent) {
    const known = this.#processes.get(id);
    const before = known?.alertsHeard;
    let view, waiting;
    try {
      [view, waiting] = await this.#ask(id);
    } catch (error) {
      if (!(error instanceof Problem && error.status === 404)) throw error;
      if (isCurrent()) this.#forget(id);
      return true;
    }
    if (!isCurrent()) return true;
    if (view.retired) {
      this.#forget(id);
      return true;
    }
    const process = this.#processes.get(id) ?? new Process(view);
    if (process !== known && known) return false;
    this.#processes.set(id, process);
    process.definition = view;
    const isOfUse = process.alertsHeard === (before ?? 0);
    if (isOfUse) {
      const { isActive } = process;
      const isNewer = (view.newest_sample?.sample_id ?? 0) >= (process.newest?.sample_id ?? 0);
      process.stand(view.alarm_state, view.control_limits, waiting.items, waiting.total);
      if (isNewer) process.newest = view.newest_sample;
      else process.isActive = isActive; // of a sample that the answer does not know
    }
    this.#collect(process, view);
    this.#changed(process, true);
    return isOfUse;
  }

  #ask(id) {
    const waiting = { characteristic_id: id, status: "open", acknowledged: false, requires_acknowledgement: true };
    return Promise.all([get(`characteristics/${id}`), get("violations", { ...waiting, limit: WAITING_AT_MOST })]);
  }

  /** How many samples those have that have no limits: snapshots do not tell. */
  async #readCollected() {
    try {
      for (let offset = 0; ; offset += 1_000) {
        const { items, total } = await get("characteristics", { alarm_state: "no_limits", limit: 1_000, offset });
        for (const view of items) {
          const process = this.#processes.get(view.id);
          if (!process) continue; // it is new
          this.#collect(process, view);
          this.#changed(process, true);
        }
        if (offset + items.length >= total || items.length === 0) return;
      }
    } catch {
      // Asked again with the next snapshots.
    }
  }

  #collect(process, view) {
    const isCollecting = view.limits_state === "none";
    process.collected = isCollecting ? view.samples_collected : null;
    process.needed = isCollecting ? view.samples_needed : null;
  }
}

const answerOf = (episode) =>
  episode?.acknowledged ? { user: episode.ack_user, reason: episode.ack_reason, timestamp: episode.ack_timestamp } : null;
