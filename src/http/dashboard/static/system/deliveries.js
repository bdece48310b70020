// What people were told, to whom, and how it went: first what went wrong.

import { ROOT, get } from "../shared/api.js";
import { now } from "../shared/clock.js";
import { byId, el, say } from "../shared/dom.js";
import { count, fullTime, time } from "../shared/format.js";
import { icon } from "../shared/icons.js";
import { retryButton, showDelivery, tellState } from "./delivery.js";
import { nameOf } from "./names.js";
import { place, placed, placedNumber } from "./place.js";
import { reasonOf } from "./reasons.js";
import { Refresh } from "./refresh.js";
import { Pages, Table } from "./table.js";
import { CHANGES, DELIVERY_STATES, TROUBLE_STATES, addressee } from "./words.js";

const LIMIT = 25;
/** How many of those in trouble, and of the others, are shown together. */
const [TROUBLES, OTHERS] = [12, 8];
/** How many of the newest are counted by state. */
const COUNTED = 100;
/** What failed for good longer ago is found by its state. */
const RECENT_MS = 24 * 3_600_000;

export function deliveries(everyMs) {
  const section = byId("deliveries");
  const state = el("select", { id: "delivery-state", onchange: chosen },
    el("option", { value: "" }, "any, what failed first"),
    ...Object.entries(DELIVERY_STATES).map(([word, { word: text }]) => el("option", { value: word, selected: placed("state") === word }, text)));
  const receiver = el("select", { id: "delivery-receiver", onchange: chosen }, el("option", { value: "" }, "anybody"));
  const counts = el("ul", { class: "counts", "aria-label": "By state" });
  const scope = el("p", { class: "soft" });
  const pages = new Pages({ limit: LIMIT, offset: placedNumber("deliveries_from", { fallback: 0 }), what: "deliveries", go: turned });
  const table = new Table({
    caption: "Deliveries",
    none: "Nobody had to be told yet.",
    key: ({ id }) => id,
    mark: (row, { state: word }) => { row.dataset.state = word; },
    columns: [
      { title: "State", tell: (cell, { state: word }) => tellState(cell, word) },
      { title: "About", class: "about", tell: tellSubject },
      { title: "To", class: "to", say: addressee },
      { title: "Reason", class: "reason", say: (item) => reasonOf(item, () => refresh.soon()) ?? "–" },
      { title: "Attempts", class: "number", say: ({ attempt_total: total }) => count(total) },
      { title: "Made", tell: (cell, { created_at: at }) => { say(cell, time(at)); cell.title = fullTime(at); } },
      { title: "Next attempt", tell: (cell, { due_at: at }) => { say(cell, time(at)); cell.title = at ? fullTime(at) : ""; } },
      { title: "Actions", class: "do", make: makeButtons, tell: (cell, item) => { cell.lastChild.hidden = !TROUBLE_STATES.includes(item.state); } },
    ],
  });
  section.append(counts,
    el("div", { class: "bar" }, el("label", { for: "delivery-state" }, "State"), state, el("label", { for: "delivery-receiver" }, "Told"), receiver),
    scope, table.element, pages.element);
  let newest = [];
  setReceivers([placed("receiver")].filter(Boolean));
  receiver.value = placed("receiver");

  const refresh = new Refresh({ section, everyMs, ask, show });
  if (placedNumber("delivery", { least: 1 })) open(placedNumber("delivery", { least: 1 }));

  async function ask(signal) {
    const to = receiver.value;
    const latest = await get("deliveries", { receiver: to, limit: COUNTED }, signal);
    if (state.value) {
      return { latest, page: await get("deliveries", { receiver: to, state: state.value, offset: pages.offset, limit: LIMIT }, signal) };
    }
    const from = new Date(now() - RECENT_MS).toISOString();
    const troubles = [];
    for (const word of TROUBLE_STATES) { // one after the other: this page is no reason for load
      const isOver = word === "dead" || word === "expired";
      troubles.push(await get("deliveries", { receiver: to, state: word, from: isOver ? from : null, limit: TROUBLES }, signal));
    }
    return { latest, troubles };
  }

  function show({ latest, page, troubles }) {
    newest = latest.items;
    tellCounts(latest);
    if (page) {
      if (pages.show(page)) return refresh.soon();
      say(scope, `${count(page.total)} in this state, the newest first.`);
      table.show(page.items, "No delivery is in this state.");
      return;
    }
    pages.element.hidden = true;
    const failed = troubles.flatMap(({ items }) => items).sort((a, b) => b.id - a.id).slice(0, TROUBLES);
    const total = troubles.reduce((sum, answer) => sum + answer.total, 0);
    const isFailed = new Set(failed.map(({ id }) => id));
    const others = latest.items.filter(({ id }) => !isFailed.has(id)).slice(0, OTHERS);
    say(scope, total === 0
      ? "Nothing fails, and nothing has failed for good within a day. The newest:"
      : `${count(total)} failed within a day, or are tried again${total > failed.length ? `; the newest ${count(failed.length)} of them, and the rest by their state` : ""}. Then the newest others:`);
    table.show([...failed, ...others]);
  }

  function tellCounts({ items, total }) {
    const byState = new Map();
    for (const { state: word } of items) byState.set(word, (byState.get(word) ?? 0) + 1);
    const told = JSON.stringify([...byState, total]);
    if (counts.dataset.told === told) return;
    counts.dataset.told = told;
    const label = total > items.length ? `Of the newest ${count(items.length)} of ${count(total)}:` : `Of ${count(total)}:`;
    counts.replaceChildren(el("li", { class: "soft" }, label),
      ...Object.entries(DELIVERY_STATES).filter(([word]) => byState.has(word)).map(([word, { word: text, tone, shape, explanation }]) =>
        el("li", { class: "state", "data-tone": tone, "data-state": word, title: explanation }, icon(shape), `${text} ${count(byState.get(word))}`)));
    counts.hidden = items.length === 0;
  }

  function tellSubject(cell, { change, characteristic_id: id }) {
    if (!cell.firstChild) cell.append(el("span", {}, CHANGES[change] ?? change), el("br"), el("a", { href: new URL(`characteristics/${id}`, ROOT).href }));
    say(cell.lastChild, nameOf(id, () => refresh.soon()));
  }

  function makeButtons(cell, current) {
    const { id } = current();
    cell.append(
      el("button", { type: "button", onclick: () => open(id), "aria-label": `Attempts of delivery ${id}` }, "Attempts"), " ",
      retryButton(id, () => refresh.changed()));
  }

  function open(id) {
    place("delivery", id);
    showDelivery(id, { changed: () => refresh.changed(), closed: () => place("delivery", null) });
  }

  function chosen() {
    pages.rewind();
    place("state", state.value);
    place("receiver", receiver.value);
    turned(0);
  }

  function turned(offset) {
    place("deliveries_from", offset);
    refresh.changed();
  }

  /** Whom one can choose: those of the metrics, and those that the newest deliveries are for. */
  function setReceivers(names) {
    const all = [...new Set([...names, ...newest.map(({ receiver: name }) => name), receiver.value].filter(Boolean))].sort();
    if (receiver.dataset.names === JSON.stringify(all)) return;
    receiver.dataset.names = JSON.stringify(all);
    const chosenNow = receiver.value;
    receiver.replaceChildren(el("option", { value: "" }, "anybody"), ...all.map((name) => el("option", { value: name }, name)));
    receiver.value = chosenNow;
  }

  return { refresh, setReceivers };
}
