// How every process stands, kept true by the events: what the wall shows.
//
// Begins with the snapshots that the server sends, and asks it again where an event does not tell everything. Knows
// nothing of how it is drawn. Bounded: of each process the newest points and the newest 100 open violations.

import { get, Problem } from "../shared/api.js";
import { calmly } from "../shared/dom.js";
import { Series } from "./series.js";

const OPEN_AT_MOST = 100;
/** What is asked anew after something changed is asked for at most this often, for each process. */
const REREAD_MS = 1_000;

/** One characteristic and how it stands. */
export class Process {
  constructor(definition) {
    this.definition = definition;
    this.newest = null;
    this.limits = null;
    this.isActive = false;
    /** Open violations by id, oldest first. */
    this.open = new Map();
    this.openTotal = 0;
    this.answer = null;
    this.collected = null;
    /** How many samples limits are made of; null, as `collected` is, where there are limits. */
    this.needed = null;
    this.series = new Series();
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
    const waits = this.waiting.length > 0;
    if (this.isActive) return waits ? "active_unacked" : "active_acked";
    if (waits) return "returned_unacked";
    return this.limits ? "normal" : "no_limits";
  }
}

/** All processes that are not retired. */
export class Plant {
  #client;
  #processes = new Map();
  #changed;
  #gone;
  #rereads = new Map();

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
      sample_update: (process, payload) => this.#sampleUpdate(process, payload),
      characteristic_update: (process, payload) => this.#redefined(process, payload),
    };
    for (const [type, told] of Object.entries(hear)) {
      client.on(type, (message) => this.#hear(message, told));
    }
  }

  get processes() {
    return this.#processes.values();
  }

  /** @returns {Process | undefined} */
  process(id) {
    return this.#processes.get(id);
  }

  #hear({ type, characteristic_id: id, payload }, told) {
    let process = this.#processes.get(id);
    if (!process) {
      if (type === "ack_update" || payload.changes?.deleted) return; // of what is not shown
      if (type !== "snapshot") return this.reread(id); // it is new
      if (payload.characteristic.retired) return;
      process = new Process(payload.characteristic);
      this.#processes.set(id, process);
    }
    told(process, payload);
    if (this.#processes.has(id)) this.#changed(process, type !== "sample");
  }

  #begin(process, payload) {
    process.definition = payload.characteristic;
    process.newest = payload.newest_sample;
    process.limits = payload.control_limits;
    process.isActive = payload.alarm_state.startsWith("active");
    const newestFirst = payload.open_violations;
    process.open = new Map([...newestFirst].sort((a, b) => a.id - b.id).map((it) => [it.id, it]));
    process.openTotal = payload.open_total;
    process.answer = answerOf(payload.open_episode);
    process.series.isStale = true;
    if (payload.characteristic.retired) this.#forget(process.id);
    else if (!process.limits) this.#readCollected(); // a snapshot does not tell
  }

  #sample(process, sample) {
    process.newest = sample;
    if (sample.in_control !== null) process.isActive = !sample.in_control;
    if (process.collected !== null && sample.mode !== "store") process.collected += 1;
    process.series.add(sample);
  }

  #violation(process, violation) {
    if (violation.acknowledged || violation.status !== "open") return;
    process.open.set(violation.id, violation);
    process.openTotal += 1;
    process.answer = null;
    if (process.open.size > OPEN_AT_MOST) process.open.delete(process.open.keys().next().value);
  }

  #acknowledged(process, { violation_id: id, user, reason, timestamp }) {
    process.answer = { user, reason, timestamp };
    this.#close(process, id);
  }

  #violationUpdate(process, { violation_id: id, status }) {
    if (status === "withdrawn") this.#close(process, id);
    this.reread(process.id); // the newest point may be another now
  }

  #close(process, id) {
    process.open.delete(id);
    process.openTotal = Math.max(0, process.openTotal - 1);
    // The newest hundred are answered, and older ones are not.
    if (process.open.size === 0 && process.openTotal > 0) this.reread(process.id);
  }

  #controlLimits(process, limits) {
    process.limits = limits;
    process.collected = process.needed = null;
  }

  #sampleUpdate(process) {
    process.series.isStale = true;
    this.reread(process.id);
  }

  #redefined(process, { changes }) {
    if (changes.deleted || changes.retired) return this.#forget(process.id);
    if (changes.new_phase) process.series.isStale = true;
    this.reread(process.id);
  }

  #forget(id) {
    this.#processes.delete(id);
    this.#rereads.delete(id);
    this.#gone(id);
  }

  /** Asks how a process stands, now and once more if it is wanted again meanwhile. */
  reread(id) {
    if (!this.#rereads.has(id)) this.#rereads.set(id, calmly(REREAD_MS, () => this.#read(id)));
    this.#rereads.get(id)();
  }

  async #read(id) {
    try {
      const [view, open] = await Promise.all([
        get(`characteristics/${id}`),
        get("violations", { characteristic_id: id, status: "open", acknowledged: false, limit: OPEN_AT_MOST }),
      ]);
      if (view.retired) return this.#forget(id);
      const process = this.#processes.get(id) ?? new Process(view);
      this.#processes.set(id, process);
      process.definition = view;
      process.newest = view.newest_sample;
      process.limits = view.control_limits;
      process.isActive = view.alarm_state.startsWith("active");
      process.open = new Map([...open.items].reverse().map((it) => [it.id, it]));
      process.openTotal = open.total;
      this.#collect(process, view);
      this.#changed(process, true);
    } catch (error) {
      if (error instanceof Problem && error.status === 404) this.#forget(id);
      // Otherwise the connection is broken, and when it is mended, what was missed comes.
    }
  }

  /** How many samples those have that have no limits: events do not tell. */
  #readCollected = calmly(REREAD_MS, async () => {
    try {
      for (let offset = 0; ; offset += 1_000) {
        const { items, total } = await get("characteristics", { alarm_state: "no_limits", limit: 1_000, offset });
        for (const view of items) {
          const process = this.#processes.get(view.id);
          if (!process) continue; // its snapshot is on its way
          this.#collect(process, view);
          this.#changed(process, true);
        }
        if (offset + items.length >= total || items.length === 0) return;
      }
    } catch {
      // Asked again with the next snapshots.
    }
  });

  #collect(process, view) {
    const isCollecting = view.limits_state === "none";
    process.collected = isCollecting ? view.samples_collected : null;
    process.needed = isCollecting ? view.samples_needed : null;
  }
}

const answerOf = (episode) =>
  episode?.acknowledged ? { user: episode.ack_user, reason: episode.ack_reason, timestamp: episode.ack_timestamp } : null;
