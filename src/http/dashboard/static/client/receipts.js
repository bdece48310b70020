// What was processed, until the server has been told of it. Cumulative, so one number for each log is enough.

import { Timers } from "./timers.js";

/** So often at most the server is told: a fifth of the messages that it takes. In milliseconds. */
const PACE_MS = 100;

export class Receipts {
  #connection;
  #timers = new Timers();
  #kept = null;

  /** `connection` gives the present one, `{ link, isWelcomed, epoch }`, or null. */
  constructor(connection) {
    this.#connection = connection;
  }

  /** Everything of this log up to `seq` was processed; the server is told soon. */
  add(epoch, seq) {
    this.#kept = { epoch, seq: this.#kept?.epoch === epoch ? Math.max(this.#kept.seq, seq) : seq };
    if (this.#connection()?.isWelcomed && !this.#timers.has("send")) this.#timers.after("send", PACE_MS, () => this.send());
  }

  /** Tells it now. What cannot be said now is kept for the next connection to the same log. */
  send() {
    const { link, isWelcomed, epoch } = this.#connection() ?? {};
    if (!this.#kept || !isWelcomed) return;
    const { epoch: log, seq } = this.#kept;
    if (log !== epoch || link.send(JSON.stringify({ type: "received", seq }))) this.#kept = null;
  }

  /** The last word before a goodbye. */
  flush() {
    if (this.#timers.has("send")) this.send();
  }

  /** The connection is over. */
  rest() {
    this.#timers.clear("send");
  }
}
