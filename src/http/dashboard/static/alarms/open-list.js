// What is open: the newest of it, as the server told it last and as it has changed since. Knows nothing of the page.

import { get } from "../shared/api.js";
import { calmly } from "../shared/dom.js";
import { matches, openQuery } from "./filter.js";
import { Scan } from "./scan.js";

/** Rows that one look brings. */
export const PAGE = 100;

/** Rows that are held at most, however often somebody wants more. */
export const MOST = 1_000;

/** What comes live is shown in steps, so that a storm of alarms leaves the page time to be read. */
const STEP_MS = 120;

export class OpenList {
  #filter = {};
  #items = new Map(); // of an id: the violation
  #wanted = PAGE;
  #scan = null;
  #loading = null;
  #again = false;
  #meanwhile = null; // what came and what went while the server was asked
  #timer = null;
  #options;

  /** @param {{ onChange: () => void, onError: (error: Error) => void, held: () => Set<number> }} options */
  constructor(options) {
    this.#options = options;
    this.total = null;
    this.reloadSoon = calmly(1_000, () => this.reload());
    this.#countSoon = calmly(2_000, () => this.#count());
  }

  #countSoon;

  /** The newest open ones, newest first. */
  items() {
    return [...this.#items.values()].sort((a, b) => b.id - a.id);
  }

  get(id) {
    return this.#items.get(id);
  }

  /** Whether more can be shown. */
  get hasMore() {
    return this.#scan !== null && !this.#scan.isAtEnd && this.#wanted < MOST;
  }

  /** Looks at others. */
  look(filter) {
    this.#filter = filter;
    this.#items.clear();
    this.#wanted = PAGE;
    this.total = null;
    return this.reload();
  }

  /** Shows further ones below. */
  more() {
    this.#wanted = Math.min(MOST, this.#wanted + PAGE);
    return this.reload();
  }

  /** Asks the server for everything that is shown. */
  reload() {
    this.#again = this.#loading !== null;
    this.#loading ??= this.#load().finally(() => {
      this.#loading = null;
      if (this.#again) this.reload();
    });
    return this.#loading;
  }

  async #load() {
    const filter = this.#filter;
    this.#meanwhile = { came: new Map(), went: new Set() };
    try {
      const scan = new Scan("violations", openQuery(filter));
      const found = await scan.more(this.#wanted);
      if (filter !== this.#filter) {
        this.#again = true;
        return;
      }
      const held = scan.isAtEnd ? [] : await this.#stillOpen(found.at(-1)?.id ?? Infinity);
      const { came, went } = this.#meanwhile;
      this.#items = new Map([...found, ...held, ...came.values()].filter(({ id }) => !went.has(id)).map((item) => [item.id, item]));
      this.#scan = scan;
      this.total = scan.total;
      this.#options.onChange();
    } catch (error) {
      if (error.status !== 0) this.#options.onError(error); // who is not there is told of by the connection
    } finally {
      this.#meanwhile = null;
    }
  }

  /** What somebody has chosen below of what is shown otherwise, and is still open. */
  async #stillOpen(beforeId) {
    const held = this.#options.held();
    const below = [...this.#items.keys()].filter((id) => id < beforeId && held.has(id)).slice(0, PAGE);
    const asked = await Promise.allSettled(below.map((id) => get(`violations/${id}`)));
    return asked.filter(({ status }) => status === "fulfilled").map(({ value }) => value).filter((item) => this.#isWanted(item));
  }

  #isWanted(violation) {
    return !violation.acknowledged && violation.status === "open" && matches(this.#filter, violation);
  }

  /** A violation has come. Whether it is one of those that are looked at. */
  came(violation) {
    if (!this.#isWanted(violation)) return false;
    const isNew = !this.#items.has(violation.id);
    this.#items.set(violation.id, violation);
    this.#meanwhile?.came.set(violation.id, violation);
    if (isNew && this.total !== null) this.total += 1;
    this.#changed();
    return isNew;
  }

  /** It is answered, or holds no more. What it was, if it was shown. */
  went(id) {
    const gone = this.#items.get(id);
    this.#meanwhile?.went.add(id);
    this.#items.delete(id);
    if (gone && this.total !== null) this.total -= 1;
    this.#changed();
    return gone;
  }

  /** Nothing is known of this characteristic any more. */
  forget(characteristicId) {
    for (const { id, characteristic_id: of } of this.#items.values()) if (of === characteristicId) this.went(id);
  }

  #changed() {
    this.#countSoon();
    this.#timer ??= setTimeout(() => {
      this.#timer = null;
      this.#trim();
      this.#options.onChange();
      // So many have been answered that the list would look shorter than it is.
      if (this.#items.size < PAGE / 2 && this.total > this.#items.size) this.reloadSoon();
    }, STEP_MS);
    if (this.#items.size > 2 * MOST) this.#trim();
  }

  /** What came pushes what is oldest out, but nothing that somebody has chosen. */
  #trim() {
    const surplus = this.#items.size - this.#wanted - PAGE;
    if (surplus <= 0) return;
    const held = this.#options.held();
    const oldest = this.items().reverse().filter(({ id }) => !held.has(id)).slice(0, surplus + PAGE);
    for (const { id } of oldest) this.#items.delete(id);
    if (this.#scan) this.#scan.isAtEnd = false;
  }

  /** The server knows best how many there are. */
  async #count() {
    const filter = this.#filter;
    try {
      const { total } = await get("violations", { ...openQuery(filter), limit: 1 });
      if (filter !== this.#filter || total === this.total) return;
      this.total = total;
      this.#options.onChange();
    } catch {
      // The next event asks again.
    }
  }
}
