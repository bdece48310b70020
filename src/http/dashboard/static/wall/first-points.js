// Reads the first points of sparklines that are on screen: a few charts at a time, and again after a while if one fails.

import { get } from "../shared/api.js";
import { POINTS } from "./series.js";

/** Charts that are read at the same time. */
const READS_AT_ONCE = 6;
/** After a chart could not be read. */
const READ_AGAIN_MS = 5_000;

export class FirstPoints {
  #wanted = new Set();
  #reading = 0;
  #arrived;

  /** @param {(process: import("./process.js").Process) => void} arrived the points of a process are there */
  constructor(arrived) {
    this.#arrived = arrived;
  }

  /** The points of a process are looked at. `now` is a time of `performance.now()`. */
  want(process, now) {
    if (!process.series.isStale || process.series.mayReadAt > now) return;
    this.#wanted.add(process);
    this.#next();
  }

  /** They are looked at no more. */
  forget(process) {
    this.#wanted.delete(process);
  }

  #next() {
    while (this.#reading < READS_AT_ONCE && this.#wanted.size > 0) {
      const [process] = this.#wanted;
      this.#wanted.delete(process);
      this.#reading += 1;
      this.#read(process).finally(() => {
        this.#reading -= 1;
        this.#next();
      });
    }
  }

  async #read(process) {
    const { series, id } = process;
    series.begin();
    try {
      const { points } = await get(`characteristics/${id}/chart-data`, { limit: POINTS });
      series.fill(points);
    } catch {
      series.fail(performance.now() + READ_AGAIN_MS);
      return;
    }
    this.#arrived(process);
  }
}
