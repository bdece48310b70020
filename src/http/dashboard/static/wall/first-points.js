// Reads the first points of sparklines that are on screen: a few charts at a time, and again after a while if one fails.

import { get } from "../shared/api.js";
import { POINTS } from "./series.js";

/** Charts that are read at the same time. */
const READS_AT_ONCE = 6;
/** After a chart could not be read. */
const READ_AGAIN_MS = 5_000;

export class FirstPoints {
  #wanted = new Set();
  /** What stops each of those that are under way. */
  #reading = new Map();
  #arrived;

  /** @param {(process: import("./process.js").Process) => void} arrived the points of a process are there */
  constructor(arrived) {
    this.#arrived = arrived;
  }

  /** The points of a process are looked at. `now` is a time of `performance.now()`. */
  want(process, now) {
    if (!process.series.isStale || process.series.mayReadAt > now || this.#reading.has(process)) return;
    this.#wanted.add(process);
    this.#next();
  }

  /** They are looked at no more. */
  forget(process) {
    this.#wanted.delete(process);
    this.#reading.get(process)?.abort();
    this.#reading.delete(process);
    process.series.forget();
    this.#next();
  }

  #next() {
    while (this.#reading.size < READS_AT_ONCE && this.#wanted.size > 0) {
      const [process] = this.#wanted;
      this.#wanted.delete(process);
      this.#read(process);
    }
  }

  async #read(process) {
    const { series, id } = process;
    const stop = new AbortController();
    this.#reading.set(process, stop);
    series.begin();
    try {
      const { points } = await get(`characteristics/${id}/chart-data`, { limit: POINTS }, stop.signal);
      if (stop.signal.aborted) return;
      series.fill(points);
    } catch {
      if (stop.signal.aborted) return;
      series.fail(performance.now() + READ_AGAIN_MS);
    }
    this.#reading.delete(process);
    this.#arrived(process);
    this.#next();
  }
}
