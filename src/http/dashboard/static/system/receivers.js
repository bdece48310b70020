// Who can be told, and how that goes: one line for each receiver that this process has had to do with.

import { byId } from "../shared/dom.js";
import { count } from "../shared/format.js";
import { icon } from "../shared/icons.js";
import { Table, tell } from "./table.js";
import { span } from "./words.js";

const ATTEMPTS = "andon_notify_attempts_total";

export function receivers() {
  const table = new Table({
    caption: "Receivers, with their attempts since the start",
    none: "Nobody had to be told since the start.",
    key: ({ name }) => name,
    columns: [
      { title: "Receiver", say: ({ name }) => name },
      { title: "State", class: "short", tell: (cell, receiver) => {
        const words = stateOf(receiver);
        tell(cell, words, icon(words.shape));
      } },
      { title: "Waiting", class: "number", say: ({ waiting }) => count(waiting) },
      { title: "Longest wait", class: "number", say: ({ waiting, oldest }) => (waiting > 0 ? span(oldest) : "–") },
      { title: "Worked", class: "number", say: ({ worked }) => count(worked) },
      { title: "Failed", class: "number", say: ({ attempts, worked }) => count(attempts - worked) },
    ],
  });
  byId("receivers").append(table.element);
  return {
    /** @returns {string[]} their names */
    measured(reading, history) {
      const names = [...new Set([...reading.words(ATTEMPTS, "receiver"), ...reading.words("andon_notify_waiting", "receiver"),
        ...reading.words("andon_notify_breaker_open", "receiver")])].sort();
      table.show(names.map((receiver) => ({
        name: receiver,
        isOpen: reading.sum("andon_notify_breaker_open", { receiver }) > 0,
        waiting: reading.sum("andon_notify_waiting", { receiver }) ?? 0,
        oldest: reading.sum("andon_notify_oldest_waiting_seconds", { receiver }),
        attempts: reading.sum(ATTEMPTS, { receiver }) ?? 0,
        worked: reading.sum(ATTEMPTS, { receiver, outcome: "delivered" }) ?? 0,
        workedLately: history.grown(ATTEMPTS, { receiver, outcome: "delivered" }),
        triedLately: history.grown(ATTEMPTS, { receiver }),
      })));
      return names;
    },
  };
}

function stateOf({ isOpen, waiting, workedLately, triedLately, attempts, worked }) {
  if (isOpen) return { word: "Left alone", tone: "bad", shape: "octagon", explanation: "too many attempts failed; it is tried again after a while" };
  if (triedLately > 0 && workedLately === 0) return { word: "Fails", tone: "bad", shape: "octagon", explanation: "no attempt of the last minutes worked" };
  if (triedLately === 0 && attempts > 0 && worked === 0) return { word: "Never worked", tone: "bad", shape: "octagon", explanation: "no attempt since the start worked" };
  if (triedLately > workedLately) return { word: "Fails at times", tone: "warn", shape: "diamond", explanation: "some attempts of the last minutes failed" };
  if (waiting > 0) return { word: "Something waits", tone: "busy", shape: "half" };
  return { word: "All told", tone: "good", shape: "check" };
}
