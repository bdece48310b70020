// Of which processes nobody is told for a while, until when and why; begins such a silence, and ends it.

import { get, remove } from "../shared/api.js";
import { byId, el, say } from "../shared/dom.js";
import { ago, count, fullTime, severityWord, time } from "../shared/format.js";
import { actor, ask } from "./ask.js";
import { nameOf } from "./names.js";
import { place, placed, placedNumber } from "./place.js";
import { Refresh } from "./refresh.js";
import { beginSilence } from "./silence-form.js";
import { Pages, Table } from "./table.js";

const LIMIT = 20;
/** Names that are told of a longer list. */
const NAMED = 4;

export function silences(everyMs) {
  const section = byId("silences");
  let receivers = [];
  const which = el("select", { id: "silences-which", onchange: chosen },
    el("option", { value: "" }, "in force"), el("option", { value: "over", selected: placed("silences") === "over" }, "over"));
  const begin = el("button", { type: "button", class: "primary", onclick: () => beginSilence({ receivers, begun: () => refresh.changed() }) }, "Begin a silence");
  const pages = new Pages({ limit: LIMIT, offset: placedNumber("silences_from", { fallback: 0 }), what: "silences", go: turned });
  const table = new Table({
    caption: "Silences",
    none: "",
    key: ({ id }) => id,
    columns: [
      { title: "Nobody is told of", tell: (cell, silence) => say(cell, subject(silence)) },
      { title: "Reason", class: "reason", say: ({ reason }) => reason },
      { title: "By", say: ({ author }) => author },
      { title: "Begun", tell: (cell, { created_at: at }) => { say(cell, time(at)); cell.title = fullTime(at); } },
      { title: "Until", tell: (cell, { ends_at: at, in_force: holds, ended_by: by }) => {
        say(cell, holds ? `${time(at)} (${ago(at)})` : by ? `${time(at)}, ended by ${by}` : time(at));
        cell.title = fullTime(at);
      } },
      { title: "Actions", class: "do",
        make: (cell, current) => cell.append(el("button", { type: "button", onclick: () => end(current()), "aria-label": `End silence ${current().id}` }, "End")),
        tell: (cell, { in_force: holds }) => { cell.firstChild.hidden = !holds; } },
    ],
  });
  section.append(el("div", { class: "bar" }, el("label", { for: "silences-which" }, "Those"), which, begin), table.element, pages.element);

  const refresh = new Refresh({
    section,
    everyMs,
    ask: (signal) => get("silences", { in_force: which.value !== "over", offset: pages.offset, limit: LIMIT }, signal),
    show(answer) {
      if (pages.show(answer)) return refresh.soon();
      table.show(answer.items, which.value === "over" ? "No silence is over." : "No silence is in force: everybody is told of everything.");
    },
  });

  function chosen() {
    pages.rewind();
    place("silences", which.value);
    turned(0);
  }

  function turned(offset) {
    place("silences_from", offset);
    refresh.changed();
  }

  function subject({ characteristic_ids: ids, groups, tags, receivers: to, max_severity: severity }) {
    return [
      ids.length > 0 && listed(ids.map((id, index) => (index < NAMED ? nameOf(id, () => refresh.soon()) : ""))),
      groups.length > 0 && `${groups.length === 1 ? "group" : "groups"} ${listed(groups)}`,
      tags.length > 0 && `tagged ${listed(tags)}`,
      severity && severity !== "CRITICAL" && `up to ${severityWord(severity)}`,
      to.length > 0 && `only what goes to ${listed(to)}`,
    ].filter(Boolean).join("; ");
  }

  function end(silence) {
    const who = actor();
    ask({
      title: "End this silence?",
      content: [el("p", {}, `${subject(silence)}. Reason: ${silence.reason}.`),
        el("p", { class: "soft" }, "What it held back is told now, if it still waits for an answer."), ...who.content],
      action: "End it",
      async act() {
        await remove(`silences/${silence.id}`, { user: who.name() });
        who.keep();
        refresh.changed();
      },
    });
  }

  return { refresh, setReceivers: (names) => { receivers = names; } };
}

const listed = (names) => (names.length > NAMED ? `${names.slice(0, NAMED).join(", ")} and ${count(names.length - NAMED)} more` : names.join(", "));
