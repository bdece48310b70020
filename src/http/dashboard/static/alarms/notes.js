// Short notes of what others do meanwhile: seen for a while in a corner, and read out when the reader has a pause.
//
// What comes in a burst is told in one note: three hundred answers to an episode are one thing that happened.

import { el } from "../shared/dom.js";
import { count } from "../shared/format.js";
import { counted } from "../shared/violation-words.js";

/** How long a burst is waited for, how much time is left to read what was said last, and how long a note is seen. */
const BURST_MS = 300;
const PACE_MS = 2_000;
const SEEN_MS = 12_000;

/** Notes that are seen at once. */
const MOST = 4;

/** Kinds of answers that one burst tells apart. */
const TOLD_APART = 20;

/** The corner of the notes. */
export function notes() {
  const list = el("div", { class: "notes", role: "log", "aria-live": "polite", "aria-label": "What has happened" });
  const answers = new Map();
  let fresh = 0;
  let timer = null;
  let toldAt = -Infinity;

  function say(text) {
    const note = el("p", {}, text);
    list.append(note);
    while (list.childElementCount > MOST) list.firstElementChild.remove();
    setTimeout(() => note.remove(), SEEN_MS);
  }

  function soon() {
    timer ??= setTimeout(() => {
      timer = null;
      toldAt = performance.now();
      for (const { user, reason, name, total } of answers.values()) {
        say(total === 1 ? `${user} acknowledged: ${reason}${name ? ` (${name})` : ""}`
          : `${user} acknowledged ${count(total)} violations: ${reason}`);
      }
      answers.clear();
      if (fresh > 0) say(`${counted(fresh, "new alarm")}`);
      fresh = 0;
    }, Math.max(BURST_MS, toldAt + PACE_MS - performance.now()));
  }

  return {
    element: list,
    say,
    /** Somebody has answered. */
    answered({ user, reason }, name) {
      const key = `${user}\n${reason}`;
      const known = answers.get(key);
      if (known) known.total += 1;
      else if (answers.size < TOLD_APART) answers.set(key, { user, reason, name, total: 1 });
      soon();
    },
    /** Something new alarms. */
    came() {
      fresh += 1;
      soon();
    },
  };
}
