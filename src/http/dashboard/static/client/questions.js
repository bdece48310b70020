// Questions to the server that it answers in their order: each answer finds the one that asked.

/** More than that nobody asks at once: the server would take it for a flood. */
const MAX_WAITING = 100;

export class Questions {
  #waiting = { ping: [], status: [] };

  ask(type, timeoutMs, send) {
    const waiting = this.#waiting[type];
    if (waiting.length >= MAX_WAITING) return Promise.reject(new Error(`too many a ${type} waits for an answer`));
    return new Promise((resolve, reject) => {
      const question = { resolve, reject, askedAt: performance.now() };
      // It stays in line: its answer may still come, and is not another one's.
      question.timer = setTimeout(() => reject(new Error(`no answer to ${type} in time`)), timeoutMs);
      waiting.push(question);
      send(JSON.stringify({ type }));
    });
  }

  answer(type, message) {
    this.#settle(type, ({ resolve, askedAt }) => {
      resolve({ ...message, round_trip_ms: performance.now() - askedAt });
    });
  }

  refuse(type, reason) {
    this.#settle(type, ({ reject }) => reject(new Error(reason)));
  }

  /** The connection has ended: nobody answers any more. */
  drop() {
    for (const type of Object.keys(this.#waiting)) {
      while (this.#waiting[type].length > 0) this.refuse(type, "the connection ended");
    }
  }

  #settle(type, settle) {
    const question = this.#waiting[type].shift();
    if (!question) return;
    clearTimeout(question.timer);
    settle(question);
  }
}
