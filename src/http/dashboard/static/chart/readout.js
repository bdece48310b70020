// What is known of the point under the cursor, or of the chosen one, with what can be done about it.

import { el, say } from "../shared/dom.js";
import { count } from "../shared/format.js";

/**
 * @param {HTMLElement} box
 * @param {{ exclude: (point: object) => void, acknowledge: (point: object) => void, release: () => void }} on
 */
export function readout(box, { exclude, acknowledge, release }) {
  const heading = el("h2", {}, "Point");
  const hint = el("p", { class: "soft" },
    "Point at the chart, or walk along it with the arrow keys, to read a point. A click keeps it here.");
  const list = el("dl", { class: "facts" });
  const take = el("button", { type: "button" });
  const answer = el("button", { type: "button", class: "primary" }, "Acknowledge…");
  const let_go = el("button", { type: "button", class: "quiet" }, "Let go");
  const actions = el("div", { class: "bar" }, answer, take, let_go);
  let shown = null;
  let drawn = "";
  take.addEventListener("click", () => exclude(shown));
  answer.addEventListener("click", () => acknowledge(shown));
  let_go.addEventListener("click", release);
  box.append(heading, hint, actions, list); // what can be done stays in sight, however much is known

  /** @param {object | null} point @param {[string, string][]} pairs @param {boolean} isChosen rather than passed over */
  return function show(point, pairs, isChosen) {
    shown = point;
    say(heading, point ? `Point ${count(point.number)}` : "Point");
    hint.hidden = point !== null;
    actions.hidden = !isChosen || point === null;
    box.dataset.chosen = String(isChosen);
    if (point) {
      say(take, point.is_excluded ? "Include again…" : "Exclude…");
      answer.hidden = point.is_excluded || point.rules.every((rule) => rule.acknowledged);
    }
    const now = JSON.stringify(pairs);
    if (now === drawn) return;
    drawn = now;
    list.replaceChildren(...pairs.map(([term, words]) => el("div", {}, el("dt", {}, term), el("dd", {}, words))));
  };
}
