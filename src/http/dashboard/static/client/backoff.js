// How long to wait before trying again: longer each time, and not all clients at once. Times are in milliseconds.

/** The longest time that a server can make a client wait: it may say what it likes, but an alert may be due. */
const LONGEST_MS = 300_000;

/** A time given in whole seconds is given to many: they come spread over one more. */
const SPREAD_MS = 1_000;

/** Exponential, with full jitter ("Exponential Backoff And Jitter", AWS Architecture Blog, 2015). */
export class Backoff {
  #failures = 0;

  constructor(minMs, maxMs, random = Math.random) {
    Object.assign(this, { minMs, maxMs, random });
  }

  /** Counts a failure; how long to wait now. */
  next({ retryAfterMs, status }) {
    const bound = Math.min(this.maxMs, this.minMs * 2 ** Math.min(this.#failures, 30));
    this.#failures += 1;
    const wait = bound * this.random();
    if (retryAfterMs === undefined) return wait;
    return Math.min(retryAfterMs, LONGEST_MS) + (status ? Math.min(wait, SPREAD_MS) : 0);
  }

  reset() {
    this.#failures = 0;
  }
}
