// What people and limits have done, as flags along the top of the chart and as a list: answers, and other limits.

import { get } from "../shared/api.js";
import { el, say } from "../shared/dom.js";
import { count, fullTime } from "../shared/format.js";
import { answerSentence, limitDecimals, limitsText, methodWords } from "./words.js";

const MOST = 100;

/** The newest control limits, oldest first: each began a phase. */
export async function loadPhases(id) {
  const { items } = await get(`characteristics/${id}/control-limits`, { limit: MOST });
  return items.reverse();
}

/**
 * The flags of the points that are loaded.
 *
 * @param {object[]} points all that are loaded, oldest first @param {object[]} phases @param {(id: number) => object} known
 *   a violation, if its details are known @param {object} characteristic
 * @returns {{ number: number, sample_id: number, kinds: Set<string>, total: number, notes: object[] }[]}
 */
export function flagsOf(points, phases, known, characteristic) {
  const byNumber = new Map();
  const put = (point, note) => {
    const flag = byNumber.get(point.number) ?? { number: point.number, sample_id: point.sample_id, kinds: new Set(), total: 0, notes: [] };
    flag.kinds.add(note.kind);
    flag.total += 1;
    flag.notes.push(note);
    byNumber.set(point.number, flag);
  };
  const byLimits = new Map(phases.map((phase) => [phase.limits_id, phase]));
  points.forEach((point, index) => {
    const isFirst = point.limits_id !== null && index > 0 && points[index - 1].limits_id !== point.limits_id;
    const begins = isFirst || (index === 0 && point.number === 1 && point.limits_id !== null);
    if (begins) put(point, { kind: "limits", text: phaseText(byLimits.get(point.limits_id), characteristic), at: byLimits.get(point.limits_id)?.timestamp });
    for (const rule of point.rules) {
      if (!rule.acknowledged || point.mode === "history") continue; // of the past, nobody has to answer
      const violation = known(rule.violation_id);
      put(point, { kind: "answer", text: violation?.acknowledged ? answerSentence(violation) : "Acknowledged.", at: violation?.ack_timestamp });
    }
  });
  return [...byNumber.values()].sort((a, b) => a.number - b.number);
}

function phaseText(phase, characteristic) {
  if (!phase) return "Other control limits from here on.";
  const decimals = limitDecimals(characteristic.decimals);
  const who = phase.user ? ` by ${phase.user}` : "";
  const why = phase.reason ? `: ${phase.reason}` : "";
  const how = phase.method === "given" ? "set by hand" : `calculated from ${count(phase.sample_count)} samples (${methodWords(phase.method)})`;
  return `Control limits ${limitsText(phase, { decimals, unit: characteristic.unit })}, ${how}${who} at ${fullTime(phase.timestamp)}${why}.`;
}

/** The list of the flags in view, newest first; each leads to its point. */
export function noteList(box, go) {
  const summary = el("summary", {}, "Notes");
  const list = el("ol", { class: "notes" });
  const details = el("details", {}, summary, list);
  box.append(details);
  let told = "";
  let asked = null;
  const draw = () => {
    if (!details.open || !asked) return;
    const entries = asked.flatMap((flag) => flag.notes.map((note) => ({ ...note, flag }))).reverse().slice(0, MOST);
    const now = entries.map(({ flag, text }) => `${flag.number} ${text}`).join("\n");
    if (now === told) return;
    told = now;
    list.replaceChildren(...entries.map(({ flag, text }) => el("li", {},
      el("button", { type: "button", class: "quiet link", onclick: () => go(flag.sample_id) }, `Point ${count(flag.number)}`), " ", text)));
  };
  details.addEventListener("toggle", draw);
  return function show(flags) {
    asked = flags;
    const total = flags.reduce((sum, flag) => sum + flag.total, 0);
    box.hidden = total === 0;
    say(summary, `Answers and limit changes in view: ${count(total)}`);
    draw();
  };
}
