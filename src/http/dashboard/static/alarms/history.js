// The view of what has been: found by filters, paged, and exported.

import { tellAgo } from "../shared/ages.js";
import { calmly, el, say } from "../shared/dom.js";
import { ago, count, fullTime } from "../shared/format.js";
import { limitsOf, nameOf, ruleSentence, severityMark, valueOf } from "../shared/violation-words.js";
import { exportButton } from "./export.js";
import { historyQuery } from "./filter.js";
import { chartOf, whenParts } from "./rows.js";
import { Scan } from "./scan.js";

/** Rows of a page. */
const PAGE = 100;

const COLUMNS = ["Severity", "When", "Characteristic", "What fired", "Value", "Control limits", "Answer"];

/**
 * @param {{ client: any, complain: (error: Error) => void }} page
 */
export function historyView({ client, complain }) {
  let filter = {};
  let isShown = false;
  let begins = []; // where each page up to this one begins: { position, number of rows before }
  let shownIds = new Set();
  let stop = null;

  const heading = el("h2", { id: "history-title", tabindex: "-1" }, "History");
  const where = el("p", { class: "soft", id: "history-where", role: "status" });
  const previous = el("button", { type: "button", id: "previous", onclick: () => turn(-1) }, "← Newer");
  const next = el("button", { type: "button", id: "next", onclick: () => turn(1) }, "Older →");
  const again = el("button", { type: "button", onclick: () => load() }, "Look again");
  const body = el("tbody", { role: "rowgroup" });
  const table = el("table", { role: "table", class: "alarms history" },
    el("caption", { class: "unseen" }, "Violations that were found, the newest first"),
    el("thead", { role: "rowgroup" }, el("tr", { role: "row" }, COLUMNS.map((name) => el("th", { role: "columnheader", scope: "col" }, name)))),
    body);
  const empty = el("div", { class: "empty card", id: "history-empty", hidden: true }, el("p", { class: "calm" }, "Nothing was found."));
  const element = el("section", { "aria-labelledby": "history-title", id: "history" },
    el("div", { class: "toolbar" }, heading, again,
      exportButton({ query: () => historyQuery(filter), complain })),
    table, empty, el("div", { class: "bar below" }, previous, next, where));

  let ahead = null; // where the page after this one begins

  async function load() {
    stop?.abort();
    stop = new AbortController();
    const { signal } = stop;
    const begin = begins.at(-1);
    element.setAttribute("aria-busy", "true");
    try {
      const scan = new Scan("violations", historyQuery(filter), begin?.position);
      const found = await scan.more(PAGE, signal);
      if (signal.aborted) return;
      const before = begin?.before ?? 0;
      ahead = scan.isAtEnd ? null : { position: scan.position, before: before + found.length };
      show(found, before, scan);
    } catch (error) {
      if (error.name !== "AbortError" && error.status !== 0) complain(error);
    } finally {
      if (!signal.aborted) element.removeAttribute("aria-busy");
    }
  }

  function show(found, before, scan) {
    shownIds = new Set(found.map(({ id }) => id));
    body.replaceChildren(...found.map(line));
    table.hidden = found.length === 0;
    empty.hidden = found.length > 0 || ahead !== null;
    previous.disabled = begins.length <= 1;
    next.disabled = ahead === null;
    const rows = found.length === 0 ? "None" : `${count(before + 1)} to ${count(before + found.length)}`;
    say(where, `${rows} of ${count(scan.total)}`);
  }

  async function turn(by) {
    if (by < 0 && begins.length > 1) begins.pop();
    else if (by > 0 && ahead) begins.push(ahead);
    await load();
    scrollTo({ top: 0, behavior: "instant" });
    heading.focus({ preventScroll: true });
  }

  const loadSoon = calmly(1_500, () => isShown && load());
  for (const type of ["ack_update", "violation_update"]) {
    client.on(type, ({ payload }) => isShown && shownIds.has(payload.violation_id) && loadSoon());
  }
  client.on("subscribed", ({ recovered }) => recovered !== true && loadSoon()); // what was missed is not told

  return {
    element,
    commands: {},
    tell: () => tellAgo(element),
    show(now) {
      filter = now;
      isShown = true;
      begins = [{ position: undefined, before: 0 }];
      return load();
    },
    hide() {
      isShown = false;
    },
  };
}

function line(violation) {
  const { acknowledged, status, ack_user: user, ack_reason: reason, ack_comment: comment, ack_timestamp: at } = violation;
  const cell = (name, ...children) => el("td", { role: "cell", class: name }, ...children);
  const words = [status === "withdrawn" && "Withdrawn", acknowledged && `${user}: ${reason}`].filter(Boolean).join("; ")
    || (violation.requires_acknowledgement ? "Open" : "Needs none");
  const isOpen = !acknowledged && status === "open";
  return el("tr", { role: "row", "data-id": violation.id, "data-severity": violation.severity, "data-open": String(isOpen) },
    cell("severity-cell", severityMark(violation.severity)),
    cell("when-cell", ...whenParts(violation.timestamp)),
    cell("whose-cell", el("a", { href: chartOf(violation) }, nameOf(violation)), violation.group && el("span", { class: "soft" }, violation.group)),
    cell("what-cell", ruleSentence(violation)),
    cell("value-cell", el("span", { class: "value" }, valueOf(violation))),
    cell("limits-cell", limitsOf(violation)),
    cell("answer-cell", el("span", {}, words),
      at && el("span", { class: "soft", title: fullTime(at), "data-ago": at }, ago(at)),
      comment && el("span", { class: "comment" }, comment)));
}
