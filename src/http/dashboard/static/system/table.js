// Tables that are told anew every few seconds: rows that stay keep their elements, and with them focus and selection.

import { el, say } from "../shared/dom.js";
import { count } from "../shared/format.js";

/**
 * @typedef {{ title: string, class?: string, say?: (item: any) => string | number,
 *   make?: (cell: HTMLElement, current: () => any) => void, tell?: (cell: HTMLElement, item: any) => void }} Column
 *   `say` is for text; `make` builds what a cell has, once, and `tell` brings it up to date
 */
export class Table {
  #columns;
  #key;
  #mark;
  #body = el("tbody", { role: "rowgroup" });
  #rows = new Map();
  #none;

  /** @param {{ caption: string, columns: Column[], key: (item: any) => any, none: string, mark?: (row: HTMLElement, item: any) => void }} options */
  constructor({ caption, columns, key, none, mark = () => {} }) {
    this.#columns = columns;
    this.#key = key;
    this.#mark = mark;
    this.#none = el("p", { class: "soft none", hidden: true }, none);
    const titles = columns.map(({ title, class: name }) => el("th", { scope: "col", role: "columnheader", class: name }, title));
    // On a narrow screen rows become cards (system.css), and would lose what they are without the roles.
    this.table = el("table", { role: "table", class: "cards" },
      el("caption", { class: "unseen" }, caption),
      el("thead", { role: "rowgroup" }, el("tr", { role: "row" }, ...titles)),
      this.#body);
    this.scroll = el("div", { class: "scroll", role: "region", "aria-label": `Table: ${caption}`, tabindex: "0" }, this.table);
    this.element = el("div", {}, this.scroll, this.#none);
  }

  /** @param {any[]} items in their order; `none` says why there is none, if it is another reason than usual */
  show(items, none) {
    const focused = document.activeElement;
    const keys = new Set(items.map(this.#key));
    for (const [key, { row }] of this.#rows) {
      if (keys.has(key)) continue;
      row.remove();
      this.#rows.delete(key);
    }
    items.forEach((item, index) => {
      const { row, cells } = this.#tell(item);
      this.#mark(row, item);
      this.#columns.forEach((column, at) => (column.say ? say(cells[at], String(column.say(item))) : column.tell?.(cells[at], item)));
      if (this.#body.children[index] !== row) this.#body.insertBefore(row, this.#body.children[index] ?? null);
    });
    // A row that moves loses it.
    if (focused !== document.activeElement && focused?.isConnected) focused.focus({ preventScroll: true });
    if (none) say(this.#none, none);
    this.#none.hidden = items.length > 0;
    this.scroll.hidden = items.length === 0;
  }

  #tell(item) {
    const key = this.#key(item);
    const known = this.#rows.get(key);
    if (known) {
      known.item = item;
      return known;
    }
    const cells = this.#columns.map(({ title, class: name }) => el("td", { role: "cell", class: name, "data-title": title }));
    const made = { item, cells, row: el("tr", { role: "row" }, ...cells) };
    this.#columns.forEach((column, at) => column.make?.(cells[at], () => made.item));
    this.#rows.set(key, made);
    return made;
  }
}

/** Goes through a long list, page by page. */
export class Pages {
  #limit;
  #previous;
  #next;
  #text = el("span", { class: "soft", role: "status" });
  offset;

  /** @param {{ limit: number, offset: number, what: string, go: (offset: number) => void }} options */
  constructor({ limit, offset, what, go }) {
    this.#limit = limit;
    this.offset = offset;
    const turn = (by) => {
      this.offset = Math.max(0, this.offset + by);
      go(this.offset);
    };
    this.#previous = el("button", { type: "button", "aria-label": `Previous ${what}`, onclick: () => turn(-limit) }, "Previous");
    this.#next = el("button", { type: "button", "aria-label": `Next ${what}`, onclick: () => turn(limit) }, "Next");
    this.element = el("div", { class: "bar pages" }, this.#text, this.#previous, this.#next);
    this.element.hidden = true;
  }

  /** Goes back to the first page without asking. */
  rewind() {
    this.offset = 0;
  }

  /** @returns {boolean} whether there is no such page any more: then it has gone to the last one */
  show({ total, items }) {
    const isBeyond = items.length === 0 && total > 0 && this.offset > 0;
    if (isBeyond) this.offset = Math.floor((total - 1) / this.#limit) * this.#limit;
    const last = this.offset + items.length;
    say(this.#text, `${count(this.offset + 1)} to ${count(last)} of ${count(total)}`);
    this.#previous.disabled = this.offset === 0;
    this.#next.disabled = last >= total;
    this.element.hidden = total <= this.#limit && this.offset === 0;
    return isBeyond;
  }
}

/** A word with its symbol, in the colour of its tone. */
export function tell(element, { word, tone, explanation }, drawn) {
  if (element.dataset.word === word) return;
  element.dataset.word = word;
  element.replaceChildren(el("span", { class: "state", "data-tone": tone, title: explanation ?? null }, drawn, word));
}
