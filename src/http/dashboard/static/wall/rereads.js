// Asks anew about things that changed: one question at a time about each, not too often, and again if it fails.
//
// An answer counts only if nothing came in between that it cannot know: whoever asks says so, and asks again.

/** Between two questions about the same thing. */
const PAUSE_MS = 1_000;
const LONGEST_PAUSE_MS = 60_000;

/** Questions that are under way or to be asked, by what they are about. */
export class Rereads {
  #ask;
  #entries = new Map();

  /**
   * @param {(id: number, isCurrent: () => boolean) => Promise<boolean>} ask asks and takes the answer, if it is current
   *   then; tells whether it was of use. Rejects where there was no answer
   */
  constructor(ask) {
    this.#ask = ask;
  }

  /** It has to be asked about: now, or after what is under way. */
  want(id) {
    const entry = this.#entries.get(id);
    if (entry) entry.isWanted = true;
    else {
      this.#entries.set(id, { isWanted: false, pause: PAUSE_MS });
      this.#run(id);
    }
  }

  /** It is gone: what is answered about it counts no more. */
  forget(id) {
    this.#entries.delete(id);
  }

  async #run(id) {
    const entry = this.#entries.get(id);
    const isCurrent = () => this.#entries.get(id) === entry;
    if (!entry) return;
    entry.isWanted = false;
    try {
      if (!(await this.#ask(id, isCurrent))) entry.isWanted = true;
      entry.pause = PAUSE_MS;
    } catch {
      entry.isWanted = true; // nothing else will bring it
      entry.pause = Math.min(2 * entry.pause, LONGEST_PAUSE_MS);
    }
    if (!isCurrent()) return;
    setTimeout(() => {
      if (!isCurrent()) return;
      if (entry.isWanted) this.#run(id);
      else this.#entries.delete(id);
    }, entry.pause);
  }
}
