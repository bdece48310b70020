// The view of what is open: newest first, live, and answered from here.

import { askAndAcknowledge } from "../shared/acknowledge.js";
import { tellAgo } from "../shared/ages.js";
import { get } from "../shared/api.js";
import { el, say } from "../shared/dom.js";
import { ago, count } from "../shared/format.js";
import { forgetPlan } from "../shared/reaction-plans.js";
import { counted, nameOf } from "../shared/violation-words.js";
import { historyQuery } from "./filter.js";
import { Grid } from "./grid.js";
import { showKeys } from "./keys.js";
import { MOST, OpenList, PAGE } from "./open-list.js";
import { chartOf, describeViolation, violationDetails, violationName, VIOLATION_COLUMNS } from "./rows.js";

/**
 * @param {{ client: any, notes: ReturnType<typeof import("./notes.js").notes>, complain: (error: Error) => void,
 *   onTotal: (total: number | null) => void }} page
 */
export function openView({ client, notes, complain, onTotal }) {
  let filter = {};
  let isShown = false;
  const unseen = new Set(); // ids of what has come above what is on the screen

  const heading = el("h2", { id: "open-title", tabindex: "-1" }, "Open alarms");
  const acknowledge = el("button", {
    type: "button", class: "primary", id: "acknowledge", disabled: true, onclick: () => grid.acknowledge(),
  }, "Acknowledge");
  const none = el("button", { type: "button", id: "choose-none", hidden: true, onclick: () => grid.clearChoice() }, "Choose none");
  const above = el("button", { type: "button", class: "above", id: "new-above", hidden: true, onclick: toTop });
  const empty = el("div", { class: "empty card", id: "open-empty", tabindex: "-1", hidden: true });
  const more = el("button", { type: "button", id: "more", hidden: true, onclick: () => list.more() }, `Show ${PAGE} more`);
  const shown = el("p", { class: "soft", id: "open-shown" });

  const grid = new Grid({
    label: "Open alarms, the newest first", columns: VIOLATION_COLUMNS, canChoose: true,
    describe: describeViolation, name: violationName, details: violationDetails,
    onOpen: (violation) => location.assign(chartOf(violation)),
    onAcknowledge: answer,
    onChosen(total) {
      acknowledge.disabled = total === 0;
      say(acknowledge, total === 0 ? "Acknowledge" : `Acknowledge ${count(total)}`);
      none.hidden = total === 0;
    },
  });
  const list = new OpenList({ onChange: show, onError: complain, held: () => grid.held() });
  grid.element.hidden = true; // until something is known
  const element = el("section", { "aria-labelledby": "open-title", id: "open" },
    el("div", { class: "toolbar" }, heading, above, none, acknowledge,
      el("button", { type: "button", class: "quiet keys-button", id: "keys", onclick: showKeys }, "Keys ", el("kbd", {}, "?"))),
    grid.element, empty, el("div", { class: "bar below" }, more, shown));

  function show() {
    if (!isShown) return;
    const items = list.items();
    grid.show(items);
    const total = list.total ?? items.length;
    say(heading, total === 0 ? "Open alarms" : counted(total, "open alarm"));
    grid.element.hidden = items.length === 0;
    more.hidden = !list.hasMore || items.length === 0;
    const further = items.length >= MOST ? " Filter, or answer some, to see others." : "";
    say(shown, items.length < total ? `The newest ${count(items.length)} of ${count(total)} are shown.${further}` : "");
    onTotal(list.total);
    showEmpty(items.length === 0);
    tellAbove();
  }

  /** Nothing alarms: says since when. */
  async function showEmpty(isEmpty) {
    if (!isEmpty) {
      empty.hidden = true;
      return;
    }
    const isFiltered = Object.keys(filter).length > 0;
    const first = isFiltered ? "Nothing of what you filter is alarming." : "Nothing is alarming.";
    if (!empty.hidden && empty.firstChild.textContent === first) return;
    empty.hidden = false;
    const before = el("p", { class: "soft" });
    empty.replaceChildren(el("p", { class: "calm" }, first), before);
    try {
      const { items } = await get("violations", { ...historyQuery(filter), limit: 1 });
      const [last] = items;
      before.append(...(last
        ? ["The last alarm was ", el("span", { "data-ago": last.timestamp }, ago(last.timestamp)), ": ",
          el("a", { href: chartOf(last) }, nameOf(last))]
        : ["There has never been an alarm."]));
    } catch {
      // What is said is true without it.
    }
  }

  function tellAbove() {
    const top = grid.element.getBoundingClientRect().top;
    for (const id of unseen) if (!list.get(id)) unseen.delete(id);
    if (top > -40) unseen.clear();
    above.hidden = unseen.size === 0;
    if (unseen.size > 0) say(above, `↑ ${count(unseen.size)} new`);
  }

  function toTop() {
    unseen.clear();
    scrollTo({ top: 0, behavior: "instant" });
    grid.commands.first();
    tellAbove();
  }

  async function answer(violations) {
    const isAnswered = await askAndAcknowledge(violations);
    if (isAnswered) await list.reload(); // what is answered leaves; what is not stays chosen
    // What had the focus is gone: what has come into its place has it now.
    if (document.activeElement === document.body || document.activeElement === acknowledge) {
      if (grid.total > 0) grid.focus();
      else empty.focus();
    }
  }

  client.on("violation", ({ payload }) => {
    if (!list.came(payload)) return;
    if (unseen.size < MOST) unseen.add(payload.id);
    notes.came();
  });
  client.on("ack_update", ({ payload }) => {
    const gone = list.went(payload.violation_id);
    if (isShown || gone) notes.answered(payload, gone && nameOf(gone));
  });
  client.on("violation_update", ({ payload }) => {
    if (payload.status === "open") list.reloadSoon(); // it holds again
    else list.went(payload.violation_id);
  });
  client.on("characteristic_update", ({ payload }) => {
    forgetPlan(payload.characteristic_id);
    if (payload.changes.deleted) list.forget(payload.characteristic_id);
    else if (["name", "group", "unit", "decimals"].some((name) => name in payload.changes)) list.reloadSoon();
  });
  client.on("subscribed", ({ recovered }) => {
    if (!recovered) list.reloadSoon();
  });
  client.on("resumed", list.reloadSoon);
  client.on("snapshot", list.reloadSoon);
  addEventListener("scroll", tellAbove, { passive: true });

  return {
    element,
    commands: grid.commands,
    tell: () => tellAgo(element),
    show(now) {
      filter = now;
      isShown = true;
      empty.hidden = true;
      return list.look(now);
    },
    hide() {
      isShown = false;
    },
  };
}
