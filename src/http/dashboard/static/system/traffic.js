// How much happens, and how long it takes: rates with a line of the last minutes, and durations.

import { byId, el, say } from "../shared/dom.js";
import { count } from "../shared/format.js";
import { Sparkline } from "./sparkline.js";
import { Table } from "./table.js";
import { rate, within } from "./words.js";

/** What the rates are of. */
export const COUNTERS = {
  samples: { metric: "andon_events_published_total", labels: { kind: "sample" } },
  violations: { metric: "andon_events_published_total", labels: { kind: "violation" } },
  commits: { metric: "andon_commits_total" },
  messages: { metric: "andon_deliveries_total" },
  requests: { metric: "andon_http_requests_total" },
  cpu: { metric: "process_cpu_seconds_total" },
};
const TILES = [
  ["samples", "Samples", "judged, or kept, and told to who listens"],
  ["violations", "Violations", "signals of the rules, and of other systems"],
  ["commits", "Commits", "transactions of the database; one may hold many samples"],
  ["messages", "Events to clients", "an event that ten clients get counts ten times"],
  ["requests", "Requests", "over HTTP, this page's own among them"],
];
const LATENCIES = [
  ["Sample or command to disk", "andon_commit_duration_seconds", "one transaction, judging included"],
  ["Event to a client's socket", "andon_publish_to_write_seconds", "from the server's bus; catching up is not counted"],
  ["Event until a client confirms it", "andon_publish_to_received_seconds", "there and back, with what the client does in between"],
  ["Request until its answer", "andon_http_request_duration_seconds", "all requests over HTTP"],
];
const SHARES = [0.5, 0.99];

export function traffic() {
  const tiles = TILES.map(([name, title, explanation]) => {
    const value = el("dd", { class: "rate", "data-rate": name });
    const line = new Sparkline();
    return { name, value, line, element: el("div", { class: "tile", title: explanation }, el("dt", {}, title), value, line.element) };
  });
  byId("rates").append(el("dl", { class: "tiles" }, ...tiles.map(({ element }) => element)));
  const table = new Table({
    caption: "How long things take",
    none: "Nothing was measured yet.",
    key: ({ title }) => title,
    columns: [
      { title: "From … to", make: (cell, current) => cell.append(current().title, el("br"), el("small", { class: "soft" }, current().explanation)) },
      { title: "Half of them within", class: "number", say: ({ found }) => within(found.bounds[0]) },
      { title: "99 % within", class: "number", say: ({ found }) => within(found.bounds[1]) },
      { title: "Seen", class: "number", say: ({ found }) => `${count(found.seen)} ${found.isRecent ? "in the last minutes" : "since the start"}` },
    ],
  });
  byId("latencies").append(table.element);

  return {
    measured(reading, history) {
      for (const { name, value, line } of tiles) {
        const now = history.series[name].at(-1)?.rate ?? null;
        say(value, now === null ? "–" : `${rate(now)}/s`);
        line.show(history.series[name], reading.at);
      }
      const receivers = reading.words("andon_notify_attempt_seconds_count", "receiver")
        .map((receiver) => [`Telling ${receiver}`, "andon_notify_attempt_seconds", "one attempt", { receiver }]);
      const rows = [...LATENCIES, ...receivers]
        .map(([title, metric, explanation, labels]) => ({ title, explanation, found: history.quantiles(metric, labels, SHARES) }))
        .filter(({ found }) => found);
      table.show(rows);
    },
  };
}
