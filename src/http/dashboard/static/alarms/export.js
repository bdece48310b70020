// Writes what is filtered to a file: all pages, with how far it has come, and a way to stop.

import { BYTE_ORDER_MARK, csvLine } from "../shared/csv.js";
import { el, say } from "../shared/dom.js";
import { count } from "../shared/format.js";
import { Scan } from "./scan.js";

/** Rows of one file, at most: some 15 MB. */
const MOST_ROWS = 50_000;

/** Rows that are asked for at once. */
const PAGE = 1_000;

const COLUMNS = ["violation_id", "timestamp", "severity", "rule_id", "rule_name", "chart", "message", "side", "characteristic_id",
  "characteristic_name", "characteristic_key", "group", "unit", "value", "center_line", "ucl", "lcl", "sigma", "n", "sample_id",
  "involved_sample_ids", "episode_id", "status", "requires_acknowledgement", "acknowledged", "ack_user", "ack_reason", "ack_comment",
  "ack_timestamp", "rejudged", "source", "external_id", "external_sample_id", "created_at"];

const cellOf = (violation, name) => (Array.isArray(violation[name]) ? violation[name].join(" ") : violation[name]);

/**
 * The button that exports, with its progress.
 *
 * @param {{ query: () => object, complain: (error: Error) => void }} options
 */
export function exportButton({ query, complain }) {
  let stop = null;
  const button = el("button", { type: "button", id: "export", onclick: run }, "Export as CSV");
  const cancel = el("button", { type: "button", id: "export-cancel", hidden: true, onclick: () => stop?.abort() }, "Stop");
  const told = el("span", { class: "soft", role: "status", id: "export-told" });
  const bar = el("progress", { hidden: true, "aria-label": "Export" });

  async function run() {
    stop = new AbortController();
    button.disabled = true;
    cancel.hidden = false;
    try {
      const { parts, rows, isAll } = await collect(new Scan("violations", query()), stop.signal, tell);
      save(new Blob(parts, { type: "text/csv;charset=utf-8" }), `alarms ${fileTime(new Date())}.csv`);
      const rest = `There are more: a file holds ${count(MOST_ROWS)} at most, the newest. Filter by time for the others.`;
      say(told, `${count(rows)} rows written.${isAll ? "" : ` ${rest}`}`);
    } catch (error) {
      say(told, error.name === "AbortError" ? "Stopped: nothing was written." : "");
      if (error.name !== "AbortError") complain(error);
    } finally {
      stop = null;
      button.disabled = false;
      cancel.hidden = true;
      bar.hidden = true;
    }
  }

  function tell(rows, total) {
    bar.hidden = false;
    bar.max = Math.max(1, Math.min(total, MOST_ROWS));
    bar.value = Math.min(rows, bar.max);
    say(told, `${count(rows)} of ${count(total)} rows`);
  }

  return el("span", { class: "export" }, button, cancel, bar, told);
}

async function collect(scan, signal, tell) {
  const parts = [BYTE_ORDER_MARK, csvLine(COLUMNS)];
  let rows = 0;
  while (!scan.isAtEnd && rows < MOST_ROWS) {
    const found = await scan.more(Math.min(PAGE, MOST_ROWS - rows), signal);
    parts.push(found.map((violation) => csvLine(COLUMNS.map((name) => cellOf(violation, name)))).join(""));
    rows += found.length;
    tell(rows, scan.total);
  }
  return { parts, rows, isAll: scan.isAtEnd };
}

function save(blob, name) {
  const url = URL.createObjectURL(blob);
  el("a", { href: url, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(url), 60_000); // the browser reads it after the click
}

/** The time here, as a file's name may hold it. */
const fileTime = (date) => date.toLocaleString("sv-SE").replaceAll(":", ".");
