// The view of episodes: what belongs together, and is one thing that somebody has to see to. What wants an answer first.

import { askAndAcknowledgeEpisode } from "../shared/acknowledge.js";
import { tellAgo } from "../shared/ages.js";
import { ROOT } from "../shared/api.js";
import { calmly, el, say } from "../shared/dom.js";
import { ago, count } from "../shared/format.js";
import { Newest } from "../shared/newest.js";
import { counted, nameOf, severityMark } from "../shared/violation-words.js";
import { episodeQuery } from "./filter.js";
import { cell, Grid } from "./grid.js";
import { showKeys } from "./keys.js";
import { whenParts } from "./rows.js";
import { Scan } from "./scan.js";

const PAGE = 100;
const MOST = 1_000;

/** In the order in which they are shown. */
const PARTS = [
  { name: "unanswered", query: { status: "open", acknowledged: false } },
  { name: "answered", query: { status: "open", acknowledged: true } },
  { name: "left", query: { status: "closed", acknowledged: false } },
];

const CLOSED_BY = {
  in_control: "back in control", new_limits: "new control limits", new_phase: "a new phase", withdrawn: "none of it held",
  retired: "the characteristic is retired", deleted: "the characteristic was deleted", stale: "nothing more was heard",
};

/** How an episode stands, in words. */
export function standing(episode) {
  const { status, acknowledged, lapsed_at: lapsed, ack_user: user, ack_reason: reason } = episode;
  const closed = status === "closed" ? `Over (${CLOSED_BY[episode.closing_reason] ?? episode.closing_reason})` : null;
  const answered = acknowledged ? `${user} answered: ${reason}` : lapsed ? "The answer did not help" : "Nobody has answered";
  return closed ? `${closed}. ${answered}` : answered;
}

/** The rules of an episode by name. */
export const rulesOf = ({ rules }) => [...new Set(rules.map(({ rule_name: name, chart }) =>
  chart === "dispersion" ? `${name} (of the spread)` : name))].join(", ") || "none holds";

/**
 * @param {{ client: any, complain: (error: Error) => void, onOpen: (id: number) => void }} page `onOpen`: shows one
 */
export function episodesView({ client, complain, onOpen }) {
  let filter = {};
  let isShown = false;
  let wanted = PAGE;
  const loads = new Newest();
  const heading = el("h2", { id: "episodes-title", tabindex: "-1" }, "Episodes");
  const explained = el("p", { class: "soft" }, "Violations of one characteristic that belong together are one episode: one thing to see to.");
  const empty = el("div", { class: "empty card", id: "episodes-empty", hidden: true, tabindex: "-1" },
    el("p", { class: "calm" }, "No episode is open."));
  const more = el("button", { type: "button", hidden: true, onclick: () => {
    wanted = Math.min(MOST, wanted + PAGE);
    load();
  } }, `Show ${PAGE} more`);
  const grid = new Grid({
    label: "Episodes, the unanswered first", columns: ["Severity", "Characteristic", "Violations", "Since", "Answer"],
    describe, name: (episode) => nameOf(episode),
    onOpen: ({ id }) => onOpen(id), onAcknowledge: ([episode]) => answer(episode),
  });
  grid.element.hidden = true; // until something is known
  const element = el("section", { "aria-labelledby": "episodes-title", id: "episodes" },
    el("div", { class: "toolbar" }, heading,
      el("button", { type: "button", class: "quiet keys-button", onclick: showKeys }, "Keys ", el("kbd", {}, "?"))),
    explained, grid.element, empty, el("div", { class: "bar below" }, more));

  function describe(episode) {
    const href = new URL(`alarms?view=episodes&episode=${episode.id}`, ROOT).href;
    const link = el("a", { href, onclick: (event) => {
      if (event.ctrlKey || event.metaKey || event.shiftKey) return;
      event.preventDefault();
      onOpen(episode.id);
    } }, nameOf(episode));
    return {
      marks: { severity: episode.severity, needsAnswer: String(!episode.acknowledged), status: episode.status },
      cells: [
        cell("severity-cell", severityMark(episode.severity)),
        cell("what-cell", el("strong", {}, link), el("span", { class: "whose" },
          el("span", {}, rulesOf(episode)), episode.group && el("span", { class: "soft" }, episode.group))),
        cell("value-cell", el("span", { class: "value" }, counted(episode.violation_total, "violation")),
          el("span", { class: "soft" }, episode.unacknowledged > 0 ? `${count(episode.unacknowledged)} wait` : "none waits")),
        cell("when-cell", ...whenParts(episode.opened_at)),
        cell("answer-cell", el("span", {}, standing(episode)),
          episode.acknowledged
            ? el("span", { class: "soft", "data-ago": episode.ack_timestamp }, ago(episode.ack_timestamp))
            : el("button", {
              type: "button", "aria-label": `Acknowledge the episode of ${nameOf(episode)}`, onclick: () => answer(episode),
            }, "Acknowledge"))],
    };
  }

  async function answer(episode) {
    if (episode.acknowledged) return;
    if (await askAndAcknowledgeEpisode(episode)) await load();
    if (document.activeElement === document.body) {
      if (grid.total > 0) grid.focus();
      else empty.focus();
    }
  }

  async function load() {
    const asked = filter;
    const isNewest = loads.ask();
    try {
      const scans = PARTS.map(({ query }) => new Scan("episodes", { ...episodeQuery(asked), ...query }));
      const found = await Promise.all(scans.map((scan) => scan.more(wanted)));
      if (asked !== filter || !isShown || !isNewest()) return;
      // What changed its part between two answers is in both.
      const items = [...new Map(found.flat().map((episode) => [episode.id, episode])).values()];
      grid.show(items);
      grid.element.hidden = items.length === 0;
      empty.hidden = items.length > 0;
      const [unanswered, answered, left] = scans.map(({ total }) => total);
      const parts = [`${counted(unanswered, "episode")} without an answer`, `${count(answered)} being seen to`,
        left > 0 && `${count(left)} over, and never answered`].filter(Boolean);
      say(heading, items.length === 0 ? "Episodes" : parts.join(" · "));
      more.hidden = wanted >= MOST || scans.every(({ isAtEnd }) => isAtEnd);
    } catch (error) {
      if (error.status !== 0) complain(error);
    }
  }

  const loadSoon = calmly(1_500, () => isShown && load());
  const told = ["episode", "violation", "violation_update", "ack_update", "characteristic_update", "resumed", "snapshot"];
  for (const type of told) client.on(type, loadSoon);
  client.on("subscribed", ({ recovered }) => !recovered && loadSoon());

  return {
    element,
    commands: grid.commands,
    tell: () => tellAgo(element),
    show(now) {
      filter = now;
      isShown = true;
      wanted = PAGE;
      return load();
    },
    hide() {
      isShown = false;
    },
  };
}
