// What somebody should look at, of all that is measured: the list in docs/OPERATING.md under "Metrics", as sentences.

import { byId, el } from "../shared/dom.js";
import { count, number } from "../shared/format.js";
import { icon } from "../shared/icons.js";
import { bytes, span } from "./words.js";

/** From here on a queue, or the open files, count as nearly full. */
const NEARLY_FULL = 0.8;
/** So long a delivery may wait: `notify.overdue_seconds` has the same default. */
const OVERDUE_SECONDS = 900;

/** @returns {{ tone: "bad" | "warn", text: string }[]} the worst first */
function findings(reading, history) {
  const found = [];
  const bad = (text) => found.push({ tone: "bad", text });
  const warn = (text) => found.push({ tone: "warn", text });
  const lasts = (metric) => (reading.sum(metric) ?? 0) > 0 && history.oldest !== reading && (history.oldest?.sum(metric) ?? 0) > 0;

  if (reading.sum("andon_database_writable") === 0) bad("The database takes no writes: nothing can be recorded.");
  const [depth, capacity] = [reading.sum("andon_command_queue_depth"), reading.sum("andon_command_queue_capacity")];
  if (capacity > 0 && depth >= NEARLY_FULL * capacity) bad(`${count(depth)} commands wait for the database; there is room for ${count(capacity)}.`);
  if (lasts("andon_relay_lag_events")) warn(`${count(reading.sum("andon_relay_lag_events"))} committed events are not on their way to clients yet.`);
  for (const { labels, value } of reading.all("andon_subscriber_lag_events")) {
    const before = history.oldest?.sum("andon_subscriber_lag_events", labels) ?? 0;
    if (value > 100 && before > 100) warn(`${labels.subscriber} is ${count(value)} events behind.`);
  }
  const failed = history.grown("andon_http_requests_total", { status: "5xx" });
  if (failed > 0) bad(`${count(failed)} requests failed in the last minutes (5xx).`);
  const [files, most] = [reading.sum("process_open_fds"), reading.sum("process_max_fds")];
  if (most > 0 && files >= NEARLY_FULL * most) bad(`${count(files)} of ${count(most)} files are open: soon nobody can connect.`);
  for (const { labels, value } of reading.all("andon_notify_breaker_open")) {
    if (value > 0) bad(`${labels.receiver} is left alone for a while: too many attempts to tell it have failed.`);
  }
  for (const { labels } of reading.all("andon_notify_attempts_total").filter(({ labels: { outcome } }) => outcome === "permanent")) {
    const refused = history.grown("andon_notify_attempts_total", labels);
    if (refused > 0) bad(`${labels.receiver} has refused ${count(refused)} messages for good in the last minutes.`);
  }
  for (const { labels, value } of reading.all("andon_notify_oldest_waiting_seconds")) {
    if (value >= OVERDUE_SECONDS) bad(`For ${span(value)} something waits to be told to ${labels.receiver}.`);
  }
  if (lasts("andon_notify_lag_events")) warn(`Of ${count(reading.sum("andon_notify_lag_events"))} events nobody has looked yet whom to tell.`);
  const expired = reading.sum("andon_notify_expired_total");
  if (expired > 0) bad(`${count(expired)} deliveries were given up since the start: those people were never told.`);
  const stalled = Math.max(0, ...reading.all("andon_client_stalled_seconds").map(({ value }) => value));
  if (stalled >= 5) warn(`A client has taken nothing of what waits for it for ${number(Math.round(stalled))} s.`);
  const unreceived = reading.sum("andon_violations_unreceived");
  if (unreceived > 0) warn(`${count(unreceived)} violations have reached no screen: no connected client has confirmed them.`);
  const free = reading.sum("andon_disk_free_bytes");
  if (free !== null && free < 256 * 2 ** 20) warn(`Only ${bytes(free)} are left on the disk of the database.`);
  return found.sort((a, b) => (a.tone === b.tone ? 0 : a.tone === "bad" ? -1 : 1));
}

export function attention() {
  const list = el("ul", { class: "findings" });
  byId("attention").append(list);
  let told = null;
  return {
    measured(reading, history) {
      const found = findings(reading, history);
      const text = JSON.stringify(found);
      if (text === told) return;
      told = text;
      const all = found.length ? found : [{ tone: "good", text: "Nothing is wrong with the server." }];
      const shape = { bad: "octagon", warn: "diamond", good: "check" };
      list.replaceChildren(...all.map(({ tone, text }) => el("li", { class: "state", "data-tone": tone }, icon(shape[tone]), el("span", {}, text))));
    },
  };
}
