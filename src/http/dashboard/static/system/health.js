// Whether the server takes work, for how long it runs, where its log stands, and what it needs of the machine.

import { Problem, get } from "../shared/api.js";
import { now } from "../shared/clock.js";
import { byId, el, say } from "../shared/dom.js";
import { count, fullTime, number, time } from "../shared/format.js";
import { icon } from "../shared/icons.js";
import { Facts } from "./facts.js";
import { startOf } from "./history.js";
import { Refresh } from "./refresh.js";
import { bytes, span } from "./words.js";

const STATUS = {
  ready: { word: "Ready", tone: "good", shape: "check", sentence: "It accepts samples." },
  degraded: { word: "Degraded", tone: "warn", shape: "diamond", sentence: "It accepts samples, but that may end soon." },
  not_ready: { word: "Not ready", tone: "bad", shape: "octagon", sentence: "It takes no work at the moment." },
  away: { word: "No answer", tone: "bad", shape: "octagon", sentence: "The server cannot be reached." },
};
const PARTS = {
  process: ["Process", { starting: "starting", running: "running", stopping: "stopping" }],
  database: ["Database", { writable: "takes writes", unavailable: "takes no writes" }],
  disk: ["Disk", { low: "little room is left" }],
};

export function health(client, everyMs) {
  const section = byId("health");
  const status = el("p", { class: "status", role: "status" });
  const age = el("p", { class: "age soft", hidden: true });
  const facts = new Facts();
  section.append(status, age, facts.element);
  let epoch = null;
  const heard = ({ epoch: newer }) => {
    epoch = newer ?? epoch;
  };
  client.on("welcome", (message) => heard(message.payload ?? message));
  client.on("heartbeat", (message) => heard(message.payload ?? message));

  function tell(name, parts = {}) {
    const { word, tone, shape, sentence } = STATUS[name] ?? { word: name, tone: "warn", shape: "diamond", sentence: "" };
    section.dataset.tone = tone;
    const told = `${word}. ${sentence}`;
    if (status.dataset.told !== told) {
      status.dataset.told = told;
      status.replaceChildren(el("strong", { class: "state", "data-tone": tone }, icon(shape), word), " ", sentence);
    }
    for (const [part, [title, words]] of Object.entries(PARTS)) {
      facts.show(title, parts[part] === undefined ? null : (words[parts[part]] ?? parts[part]));
    }
  }

  const refresh = new Refresh({
    section,
    everyMs,
    // Not ready is an answer, too.
    ask: async (signal) => get("health/ready", {}, signal).catch((error) => {
      if (error instanceof Problem && error.body.parts) return error.body;
      throw error;
    }),
    show: ({ status: name, parts }) => tell(name, parts),
    failed: () => tell("away"),
  });
  setInterval(() => {
    const seconds = refresh.lastAt ? (Date.now() - refresh.lastAt) / 1_000 : 0;
    age.hidden = seconds < 2 * (everyMs / 1_000) + 3;
    if (!age.hidden) say(age, `Nothing heard for ${span(seconds)}, since ${time(refresh.lastAt)}: everything on this page is at least so old.`);
  }, 1_000);

  return {
    refresh,
    /** @param {import("./openmetrics.js").Reading} reading @param {import("./history.js").History} history */
    measured(reading, history) {
      const started = startOf(reading);
      facts.show("Version", reading.words("andon_build_info", "version")[0] ?? null);
      facts.show("Running for", started && span(now() / 1_000 - started), started && `since ${fullTime(started * 1_000)}`);
      facts.show("Newest event", count(reading.sum("andon_log_head_position")), "the position of the newest event in the log");
      facts.show("Log begins after", count(reading.sum("andon_log_floor_position")), "events up to this position were removed; who missed more gets snapshots");
      facts.show("Log epoch", epoch, "positions of another epoch mean nothing");
      facts.show("Database size", bytes(reading.sum("andon_database_bytes")));
      const free = reading.sum("andon_disk_free_bytes");
      facts.show("Free on its disk", free === null ? null : bytes(free));
      const memory = reading.sum("process_resident_memory_bytes");
      facts.show("Memory", memory === null ? null : bytes(memory));
      const files = reading.sum("process_open_fds");
      facts.show("Open files", files === null ? null : `${count(files)} of ${count(reading.sum("process_max_fds"))}`);
      const cpu = history.series.cpu.at(-1)?.rate ?? null;
      facts.show("Processor", cpu === null ? null : `${number(Math.round(cpu * 1_000) / 10)} %`, "of one processor");
    },
  };
}
