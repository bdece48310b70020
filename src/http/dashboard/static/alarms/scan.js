// Goes through a list of the server, newest first, while it changes: nothing twice, and nothing left out that stayed.
//
// The server pages by offset. What comes meanwhile pushes the rest down, what leaves lets it move up; so each page begins
// a little before where the last one ended, and further before if nothing is met that was seen already.

import { get } from "../shared/api.js";

/** How far a page reaches back into the one before. */
const OVERLAP = 20;

/** The most that the server tells at once. */
const MOST = 1_000;

/** How many are looked at in one go, where most are left out. */
const LOOKED_AT = 20_000;

export class Scan {
  #path;
  #query;
  #keep;
  #offset;
  #lastId;

  /**
   * @param {string} path such as `violations`; its items have falling ids
   * @param {Record<string, any>} query
   * @param {((item: any) => boolean) | null} [keep] what the server cannot be asked for; null: everything
   * @param {{ offset: number, lastId: number }} [from] a `position` of before
   */
  constructor(path, query, keep = null, from = { offset: 0, lastId: Infinity }) {
    this.#path = path;
    this.#query = query;
    this.#keep = keep;
    this.#offset = from.offset;
    this.#lastId = from.lastId;
    /** How many there are by the query alone, as far as is known. */
    this.total = null;
    this.isAtEnd = false;
  }

  /** Where it stands. */
  get position() {
    return { offset: this.#offset, lastId: this.#lastId };
  }

  /** How many were passed. */
  get passed() {
    return this.#offset;
  }

  /**
   * The next ones, newest first. Fewer than wanted, if it is at its end, or has looked at very many.
   *
   * @param {number} wanted @param {AbortSignal} [signal]
   */
  async more(wanted, signal) {
    const found = [];
    let lookedAt = 0;
    let back = this.#offset === 0 ? 0 : OVERLAP;
    while (found.length < wanted && !this.isAtEnd && lookedAt < LOOKED_AT) {
      const begin = Math.max(0, this.#offset - back);
      const room = (this.#keep ? MOST : wanted - found.length) + (this.#offset - begin);
      const limit = Math.min(MOST, room);
      const page = await get(this.#path, { ...this.#query, offset: begin, limit }, signal);
      this.total = page.total;
      const newer = page.items.findIndex(({ id }) => id < this.#lastId);
      const seen = newer === -1 ? page.items.length : newer;
      if (begin > 0 && seen === 0) {
        back = back * 4 + OVERLAP; // so many have left that something may lie before this page
        continue;
      }
      let used = seen;
      for (const item of page.items.slice(seen)) {
        if (found.length === wanted) break;
        used += 1;
        lookedAt += 1;
        this.#lastId = item.id;
        if (!this.#keep || this.#keep(item)) found.push(item);
      }
      this.#offset = begin + used;
      this.isAtEnd = used === page.items.length && page.items.length < limit;
      back = OVERLAP;
    }
    if (this.total !== null && this.#offset >= this.total) this.isAtEnd = true;
    return found;
  }
}
