// What did not go its usual way, by reason, since the server was started.

import { byId, el } from "../shared/dom.js";
import { count } from "../shared/format.js";
import { Table } from "./table.js";

/** Counters, their label, and what its words mean. What is on purpose is told apart from what is trouble. */
const COUNTERS = [
  ["andon_deliveries_skipped_total", "reason", {
    slow: ["Samples not sent, because newer ones took their place: the client was slow", "trouble"],
    again: ["Events taken out of a full queue, and read from the log again", "trouble"],
    ended: ["Events not sent, because the connection ended first", ""],
    pace: ["Samples not sent, because the client wants only so many a second", "wanted"],
    filter: ["Events not sent, because the client's filter leaves them out", "wanted"],
    history: ["Events of the past not sent: the client did not ask for them", "wanted"],
    snapshot: ["Events not sent, because a snapshot told them already", "wanted"],
    left: ["Events not sent, because the client had left the characteristic", "wanted"],
  }, "Events not sent"],
  ["andon_connections_refused_total", "reason", {
    not_ready: ["Connections not let in: the server was not ready", "trouble"],
    full: ["Connections not let in: there were too many", "trouble"],
    full_from_address: ["Connections not let in: too many from one address", "trouble"],
    too_fast: ["Connections not let in: too many at once", "trouble"],
    too_fast_from_address: ["Connections not let in: too many at once from one address", "trouble"],
  }, "Connections not let in"],
  ["andon_connections_closed_total", "reason", {
    too_slow: ["Clients let go: they took nothing for too long", "trouble"],
    no_pong: ["Clients let go: they were silent for too long", "trouble"],
    gone: ["Clients that vanished without a goodbye", "trouble"],
    flood: ["Clients let go: they sent too many messages", "trouble"],
    not_authenticated: ["Clients let go: no valid token", "trouble"],
    forbidden: ["Clients let go: their token may not listen", "trouble"],
    too_big: ["Clients let go: a message was too big", "trouble"],
    protocol_error: ["Clients let go: what they sent was no WebSocket frame", "trouble"],
    binary_frame: ["Clients let go: they sent a binary frame", "trouble"],
    invalid_utf8: ["Clients let go: their text was not UTF-8", "trouble"],
    too_many_connections: ["Clients let go: there were too many", "trouble"],
    new_epoch: ["Clients sent away: the log has another epoch", ""],
    going_away: null,
    normal: null,
  }, "Connections ended"],
  ["andon_messages_refused_total", "reason", {
    invalid_json: ["Messages of clients refused: no JSON", "trouble"],
    unknown_type: ["Messages of clients refused: of an unknown type", "trouble"],
    invalid_field: ["Messages of clients refused: a field was wrong", "trouble"],
    too_many_subscriptions: ["Messages of clients refused: too many subscriptions", "trouble"],
    forbidden: ["Messages of clients refused: the token may not", "trouble"],
    rate_limited: ["Messages of clients refused: too many", "trouble"],
    too_large: ["Messages of clients refused: too large", "trouble"],
  }, "Messages refused"],
  ["andon_commands_failed_total", null, ["Commands that failed with their transaction", "trouble"]],
  ["andon_notify_expired_total", null, ["Deliveries given up: they came to nothing as long as they were of use", "trouble"]],
  ["andon_notify_suppressed_total", "kind", {
    silenced: ["Deliveries to nobody, because of a silence", "wanted"],
    inhibited: ["Deliveries to nobody: they knew of something more severe", "wanted"],
  }, "Deliveries to nobody"],
  ["andon_receipts_forgotten_total", null, ["Violations nobody had confirmed yet, when newer ones took their place on the list", "trouble"]],
  ["andon_shard_lags_total", null, ["Times the server's workers fell behind and read the log", "trouble"]],
  ["andon_run_lengths_refused_total", null, ["Run lengths not simulated: too many were waiting", ""]],
  ["andon_unknown_severities_total", null, ["Violations of other systems with a severity that no setting knows: taken as warnings", "trouble"]],
];

/** @returns {{ key: string, text: string, kind: string, total: number, recent: number }[]} what has happened at all, trouble first */
export function dropped(reading, history) {
  const rows = [];
  for (const [metric, label, words, otherwise] of COUNTERS) {
    for (const { labels, value } of reading.all(metric)) {
      const word = label ? labels[label] : null;
      const meaning = label ? words[word] : words;
      if (value === 0 || meaning === null) continue;
      const [text, kind] = meaning ?? [`${otherwise}: ${word}`, ""];
      rows.push({ key: `${metric} ${word ?? ""}`, text, kind, total: value, recent: history.grown(metric, labels) });
    }
  }
  const failed = reading.sum("andon_http_requests_total", { status: "5xx" });
  if (failed > 0) {
    rows.push({ key: "5xx", text: "Requests that the server could not answer as it should (5xx)", kind: "trouble", total: failed, recent: history.grown("andon_http_requests_total", { status: "5xx" }) });
  }
  return rows.sort((a, b) => rank(a) - rank(b));
}

const rank = ({ kind }) => ["trouble", "", "wanted"].indexOf(kind);

export function drops() {
  const table = new Table({
    caption: "Dropped, refused and skipped, by reason",
    none: "Nothing was dropped or refused since the start.",
    key: ({ key }) => key,
    mark: (row, { kind }) => { row.dataset.kind = kind; },
    columns: [
      { title: "What", make: (cell, current) => cell.append(current().text, " ", current().kind === "wanted" ? el("small", { class: "soft" }, "(as it should be)") : "") },
      { title: "In the last minutes", class: "number", say: ({ recent }) => count(Math.max(0, recent)) },
      { title: "Since the start", class: "number", say: ({ total }) => count(total) },
    ],
  });
  byId("dropped").append(table.element);
  return { measured: (reading, history) => table.show(dropped(reading, history)) };
}
