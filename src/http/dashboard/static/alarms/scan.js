// Goes through a list of the server, newest first, while it changes: nothing twice, and nothing left out that stayed.
//
// The server pages by offset. What comes meanwhile pushes the rest down, what leaves lets it move up; so each page begins
// a little before where the last one ended, and further before if nothing is met that was seen already.

import { get } from "../shared/api.js";

/** How far a page reaches back into the one before. */
const OVERLAP = 20;

/** The most that the server tells at once. */
const MOST = 1_000;

export class Scan {
  #path;
  #query;
  #offset;
  #lastId;

  /**
   * @param {string} path such as `violations`; its items have falling ids
   * @param {Record<string, any>} query
   * @param {{ offset: number, lastId: number }} [from] a `position` of before
   */
  constructor(path, query, from = { offset: 0, lastId: Infinity }) {
    this.#path = path;
    this.#query = query;
    this.#offset = from.offset;
    this.#lastId = from.lastId;
    /** How many there are, as far as is known. */
    this.total = null;
    this.isAtEnd = false;
  }

  /** Where it stands. */
  get position() {
    return { offset: this.#offset, lastId: this.#lastId };
  }

  /**
   * The next ones, newest first. Fewer than wanted, if it is at its end.
   *
   * @param {number} wanted @param {AbortSignal} [signal]
   */
  async more(wanted, signal) {
    const found = [];
    let back = this.#offset === 0 ? 0 : OVERLAP;
    while (found.length < wanted && !this.isAtEnd) {
      const begin = Math.max(0, this.#offset - back);
      const limit = Math.min(MOST, wanted - found.length + (this.#offset - begin));
      const page = await get(this.#path, { ...this.#query, offset: begin, limit }, signal);
      this.total = page.total;
      const newer = page.items.findIndex(({ id }) => id < this.#lastId);
      const seen = newer === -1 ? page.items.length : newer;
      if (begin > 0 && seen === 0) {
        back = back * 4 + OVERLAP; // so many have left that something may lie before this page
        continue;
      }
      const further = page.items.slice(seen, seen + wanted - found.length);
      found.push(...further);
      const used = seen + further.length;
      this.#lastId = further.at(-1)?.id ?? this.#lastId;
      this.#offset = begin + used;
      this.isAtEnd = used === page.items.length && page.items.length < limit;
      back = OVERLAP;
    }
    if (this.total !== null && this.#offset >= this.total) this.isAtEnd = true;
    return found;
  }
}
