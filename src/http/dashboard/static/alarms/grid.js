// A list of rows for who works with the keyboard: one row has the focus, any number are chosen, each may show details.
//
// Rows come and go while somebody reads. What is under the reader's hands stays where it is: see `place.js`.
// Knows nothing of violations: `describe` says what is in a row.

import { el } from "../shared/dom.js";
import { keepingPlace, settlePlace } from "./place.js";

/** Rows that PageUp and PageDown go over. */
const PAGE = 10;

const INSIDE = "a, button, input";

export class Grid {
  #options;
  #rows = new Map(); // of an item's id: { item, line, choice, details }
  #order = []; // ids as they are shown
  #active = null;
  #chosen = new Set();
  #lastChosen = null;
  #body = el("tbody", { role: "rowgroup" });

  /**
   * @param {{ label: string, columns: string[], describe: (item: any) => { cells: Node[], marks?: Record<string, string> },
   *   name: (item: any) => string, details?: (item: any) => Node, canChoose?: boolean, onOpen: (item: any) => void,
   *   onAcknowledge: (items: any[]) => void, onChosen?: (total: number) => void }} options `name`: what the row's own
   *   buttons are called after; `onAcknowledge` gets the chosen ones, or else the one with the focus
   */
  constructor(options) {
    this.#options = options;
    this.all = options.canChoose && el("input", { type: "checkbox", "aria-label": "Choose all that are shown", onchange: () => this.#chooseAll() });
    this.element = el("table", {
      role: "grid", class: "alarms", "aria-label": options.label, "aria-multiselectable": options.canChoose ? "true" : null,
      onkeydown: (event) => this.#key(event), onfocusin: (event) => this.#follow(event.target), onclick: (event) => this.#click(event),
    },
    el("thead", { role: "rowgroup" }, el("tr", { role: "row" },
      this.all && el("th", { role: "columnheader", scope: "col", class: "choice-cell" }, this.all),
      options.columns.map((name) => el("th", { role: "columnheader", scope: "col" }, name)),
      options.details && el("th", { role: "columnheader", scope: "col" }, el("span", { class: "unseen" }, "Details")))),
    this.#body);
    addEventListener("scroll", settlePlace, { passive: true });
  }

  /** How many are shown. */
  get total() {
    return this.#order.length;
  }

  /** Shows these, in this order. */
  show(items) {
    const hadFocus = this.hasFocus();
    const before = this.#order;
    const wanted = new Set(items.map(({ id }) => id));
    keepingPlace(this.#body, () => {
      for (const id of before) if (!wanted.has(id)) this.#drop(id);
      let next = this.#body.firstElementChild;
      for (const item of items) {
        const row = this.#rows.get(item.id) ?? this.#make(item);
        if (row.item !== item) this.#fill(row, item);
        for (const part of [row.line, row.details].filter(Boolean)) {
          if (part === next) next = next.nextElementSibling;
          else this.#body.insertBefore(part, next);
        }
      }
      this.#order = items.map(({ id }) => id);
      if (!this.#rows.has(this.#active)) this.#activate(nearest(before, this.#active, wanted) ?? this.#order[0] ?? null);
    });
    if (hadFocus && !this.hasFocus()) this.focus();
    this.#tellChosen();
  }

  /** Whether the focus is in a row. */
  hasFocus() {
    return this.#body.contains(document.activeElement);
  }

  /** Puts the focus on the row that had it last. */
  focus() {
    this.#rows.get(this.#active)?.line.focus({ preventScroll: true });
  }

  /** The chosen items, in order. */
  chosen() {
    return this.#order.filter((id) => this.#chosen.has(id)).map((id) => this.#rows.get(id).item);
  }

  /** Ids that must not be thrown away for want of room. */
  held() {
    return new Set(this.hasFocus() ? [...this.#chosen, this.#active] : this.#chosen);
  }

  clearChoice() {
    this.#chosen.clear();
    for (const id of this.#order) this.#mark(id);
    this.#tellChosen();
  }

  /** What the keys of the page do here. */
  commands = {
    next: (event) => this.#move(1, event),
    previous: (event) => this.#move(-1, event),
    pageDown: (event) => this.#move(PAGE, event),
    pageUp: (event) => this.#move(-PAGE, event),
    first: () => this.#go(this.#order[0]),
    last: () => this.#go(this.#order.at(-1)),
    choose: (event) => this.#options.canChoose && this.hasFocus() && this.#toggle(this.#active, event.shiftKey),
    chooseAll: () => this.#options.canChoose && this.#setAll(true),
    clear: () => this.clearChoice(),
    acknowledge: () => this.acknowledge(),
    open: () => this.hasFocus() && this.#options.onOpen(this.#rows.get(this.#active).item),
    details: () => this.hasFocus() && this.#options.details && this.#toggleDetails(this.#active),
  };

  /** Asks for an answer to what is chosen, or else to the row with the focus. */
  acknowledge() {
    const chosen = this.chosen();
    const active = this.hasFocus() ? this.#rows.get(this.#active)?.item : null;
    if (chosen.length > 0) this.#options.onAcknowledge(chosen);
    else if (active) this.#options.onAcknowledge([active]);
  }

  #make(item) {
    const choice = this.#options.canChoose && el("input", { type: "checkbox", tabindex: "-1" });
    const line = el("tr", { role: "row", tabindex: "-1", "data-id": item.id, "aria-selected": this.#options.canChoose ? "false" : null });
    const row = { item: null, line, choice, details: null };
    this.#rows.set(item.id, row);
    this.#fill(row, item);
    return row;
  }

  #fill(row, item) {
    const { cells, marks = {} } = this.#options.describe(item);
    row.item = item;
    Object.assign(row.line.dataset, marks);
    const name = this.#options.name(item);
    if (row.choice) row.choice.setAttribute("aria-label", `Choose ${name}`);
    row.line.replaceChildren(
      ...(row.choice ? [cell("choice-cell", row.choice)] : []),
      ...cells,
      ...(this.#options.details
        ? [cell("details-cell", el("button", {
          type: "button", class: "quiet disclose", "aria-expanded": String(row.details !== null), "aria-label": `Details of ${name}`,
        }, "▾"))]
        : []));
    this.#setTabbable(item.id, item.id === this.#active);
  }

  #drop(id) {
    const row = this.#rows.get(id);
    row.line.remove();
    row.details?.remove();
    this.#rows.delete(id);
    this.#chosen.delete(id);
  }

  #activate(id) {
    if (id === this.#active) return;
    this.#setTabbable(this.#active, false);
    this.#active = id;
    this.#setTabbable(id, true);
  }

  #setTabbable(id, isTabbable) {
    const row = this.#rows.get(id);
    if (!row) return;
    row.line.tabIndex = isTabbable ? 0 : -1;
    for (const part of row.line.querySelectorAll(INSIDE)) part.tabIndex = isTabbable ? 0 : -1;
  }

  #follow(target) {
    const id = this.#idOf(target);
    if (id !== null) this.#activate(id);
  }

  #idOf(target) {
    const line = target.closest("tr[data-id], tr.details");
    return line ? Number(line.dataset.id ?? line.dataset.of) : null;
  }

  #go(id) {
    if (id === undefined || id === null) return;
    this.#activate(id);
    const { line } = this.#rows.get(id);
    line.focus();
    line.scrollIntoView({ block: "nearest" });
  }

  #move(by, event) {
    if (this.#order.length === 0) return;
    const from = this.hasFocus() ? this.#order.indexOf(this.#active) : -Math.sign(by);
    const at = this.hasFocus() ? Math.min(Math.max(from + by, 0), this.#order.length - 1) : Math.max(0, this.#order.indexOf(this.#active));
    if (event?.shiftKey && this.#options.canChoose && this.hasFocus()) {
      this.#set(this.#active, true);
      this.#set(this.#order[at], true);
      this.#tellChosen();
    }
    this.#go(this.#order[at]);
  }

  #key(event) {
    // A checkbox answers to the space bar by itself, a link and a button to Enter.
    if (event.target.matches(INSIDE) && ["Enter", " "].includes(event.key)) event.stopPropagation();
  }

  #click(event) {
    const id = this.#idOf(event.target);
    if (id === null || event.target.closest("tr.details")) return;
    const row = this.#rows.get(id);
    if (event.target === row.choice) return this.#toggle(id, event.shiftKey, row.choice.checked);
    if (event.target.closest(".disclose")) return this.#toggleDetails(id);
    if (!event.target.closest(INSIDE) && String(getSelection()) === "") row.line.focus({ preventScroll: true });
  }

  #toggle(id, isRange, isChosen = !this.#chosen.has(id)) {
    const [from, to] = [this.#order.indexOf(this.#lastChosen), this.#order.indexOf(id)].sort((a, b) => a - b);
    if (isRange && from >= 0) for (const each of this.#order.slice(from, to + 1)) this.#set(each, isChosen);
    else this.#set(id, isChosen);
    this.#lastChosen = id;
    this.#tellChosen();
  }

  #set(id, isChosen) {
    if (isChosen) this.#chosen.add(id);
    else this.#chosen.delete(id);
    this.#mark(id);
  }

  #mark(id) {
    const { line, choice } = this.#rows.get(id);
    if (!choice) return;
    choice.checked = this.#chosen.has(id);
    line.setAttribute("aria-selected", String(choice.checked));
  }

  #chooseAll() {
    this.#setAll(this.all.checked);
  }

  #setAll(isChosen) {
    for (const id of this.#order) this.#set(id, isChosen);
    this.#tellChosen();
  }

  #tellChosen() {
    if (!this.all) return;
    this.all.checked = this.#order.length > 0 && this.#chosen.size === this.#order.length;
    this.all.indeterminate = this.#chosen.size > 0 && !this.all.checked;
    this.#options.onChosen?.(this.#chosen.size);
  }

  #toggleDetails(id) {
    const row = this.#rows.get(id);
    const button = row.line.querySelector(".disclose");
    if (row.details) {
      if (row.details.contains(document.activeElement)) row.line.focus();
      row.details.remove();
      row.details = null;
    } else {
      const columns = row.line.cells.length;
      row.details = el("tr", { role: "row", class: "details", "data-of": id },
        el("td", { role: "gridcell", colspan: columns }, this.#options.details(row.item)));
      row.line.after(row.details);
    }
    button.setAttribute("aria-expanded", String(row.details !== null));
  }
}

/** A cell of a row. */
export const cell = (className, ...children) => el("td", { role: "gridcell", class: className }, ...children);

/** What comes into the place of one that is gone: the next that stays, or else the one before. */
function nearest(order, gone, stays) {
  const at = order.indexOf(gone);
  if (at === -1) return null;
  return order.slice(at).find((id) => stays.has(id)) ?? order.slice(0, at).findLast((id) => stays.has(id)) ?? null;
}
