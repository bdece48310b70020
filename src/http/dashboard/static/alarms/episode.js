// One episode: how it stands, its violations, and who was told of it. Mails and messages lead here.

import { askAndAcknowledge, askAndAcknowledgeEpisode } from "../shared/acknowledge.js";
import { tellAgo } from "../shared/ages.js";
import { get, ROOT } from "../shared/api.js";
import { now } from "../shared/clock.js";
import { calmly, el, say } from "../shared/dom.js";
import { ago, count, fullTime } from "../shared/format.js";
import { Newest } from "../shared/newest.js";
import { reactionPlan } from "../shared/reaction-plans.js";
import { nameOf, severityMark, violations as violationsWord } from "../shared/violation-words.js";
import { rulesOf, standing } from "./episodes.js";
import { cell, Grid } from "./grid.js";
import { chartOf, describeViolation, violationDetails, violationName, VIOLATION_COLUMNS } from "./rows.js";

/** Nobody tells when a message has arrived: it is asked for as long as one is under way. */
const ASK_AGAIN_MS = 5_000;

const CHANGES = { opened: "Opened", worsened: "Worse", acknowledged: "Answered", lapsed: "The answer did not help", closed: "Over" };
const UNDER_WAY = ["pending", "leased", "retrying", "uncertain"];
const DELIVERIES = {
  scheduled: "later, if nobody answers", pending: "about to be sent", leased: "being sent", retrying: "did not arrive yet, is tried again",
  uncertain: "perhaps arrived, is tried again", delivered: "delivered", dead: "refused", expired: "came to nothing",
  superseded: "not needed any more", suppressed: "held back",
};

/**
 * @param {{ client: any, complain: (error: Error) => void, onLeave: () => void }} page
 */
export function episodeView({ client, complain, onLeave }) {
  let id = null;
  let episode = null;
  const loads = new Newest();
  const heading = el("h2", { id: "episode-title", tabindex: "-1" }, "Episode");
  const facts = el("div", { class: "card", id: "episode-facts" });
  const told = el("div", { id: "told" });
  const shown = el("p", { class: "soft" });
  const acknowledge = el("button", { type: "button", class: "primary", id: "acknowledge-episode", onclick: answer }, "Acknowledge the episode");
  const chosen = el("button", { type: "button", hidden: true, onclick: () => grid.acknowledge() }, "Acknowledge");
  const grid = new Grid({
    label: "Violations of the episode, the newest first", columns: [...VIOLATION_COLUMNS, "Answer"], canChoose: true,
    describe: describeWithAnswer, name: violationName, details: violationDetails,
    onOpen: (violation) => location.assign(chartOf(violation)),
    onAcknowledge: answerSome,
    onChosen(total) {
      chosen.hidden = total === 0;
      say(chosen, `Acknowledge ${count(total)}`);
    },
  });
  const element = el("section", { "aria-labelledby": "episode-title", id: "episode" },
    el("div", { class: "toolbar" },
      el("a", { class: "button", href: new URL("alarms?view=episodes", ROOT).href, onclick: (event) => {
        event.preventDefault();
        onLeave();
      } }, "← All episodes"),
      heading, chosen, acknowledge),
    facts,
    el("h3", {}, "Its violations"), shown, grid.element,
    el("h3", {}, "Who was told"), told);

  function describeWithAnswer(violation) {
    const { cells, marks } = describeViolation(violation);
    const { acknowledged, ack_user: user, ack_reason: reason, ack_comment: comment, ack_timestamp: at, status } = violation;
    const words = status === "withdrawn" ? "Withdrawn: it does not hold" : acknowledged ? `${user}: ${reason}` : "Open";
    const answered = cell("answer-cell", el("span", {}, words),
      acknowledged && el("span", { class: "soft", title: fullTime(at), "data-ago": at }, ago(at)),
      comment && el("span", { class: "comment" }, comment));
    return { marks: { ...marks, open: String(isOpen(violation)) }, cells: [...cells, answered] };
  }

  async function load() {
    const wanted = id;
    if (wanted === null) return;
    const isNewest = loads.ask();
    try {
      const found = await get(`episodes/${wanted}`);
      if (wanted !== id || !isNewest()) return;
      episode = found;
      show();
    } catch (error) {
      if (wanted !== id || error.status === 0) return;
      if (error.status === 404) {
        facts.replaceChildren(el("p", {}, "There is no such episode, or it is not kept any more."));
        acknowledge.hidden = true;
      } else complain(error);
    }
  }

  function show() {
    const { violations, notices, opened_at: opened, closed_at: closed } = episode;
    const chart = new URL(`characteristics/${episode.characteristic_id}?violation=${episode.newest_violation_id}`, ROOT);
    say(heading, `Episode of ${nameOf(episode)}`);
    acknowledge.hidden = episode.acknowledged && episode.unacknowledged === 0;
    facts.replaceChildren(...[
      el("p", { class: "lead" }, severityMark(episode.severity), " ", el("strong", {}, rulesOf(episode))),
      el("p", {}, el("a", { href: chart.href }, nameOf(episode)),
        episode.group && el("span", { class: "soft" }, ` in ${episode.group}`)),
      el("p", {}, `${violationsWord(episode.violation_total)}, ${count(episode.unacknowledged)} without an answer, since `,
        el("time", { datetime: opened }, fullTime(opened)), " (", el("span", { "data-ago": opened }, ago(opened)), ")",
        closed && [", until ", el("time", { datetime: closed }, fullTime(closed))]),
      el("p", {}, el("strong", {}, standing(episode)), episode.acknowledged && `, ${fullTime(episode.ack_timestamp)}`),
      episode.ack_comment && el("blockquote", {}, episode.ack_comment),
      plan].filter(Boolean));
    grid.show([...violations].sort((a, b) => b.id - a.id));
    say(shown, violations.length < episode.violation_total ? `The newest ${count(violations.length)} of ${count(episode.violation_total)}.` : "");
    showTold(notices);
  }

  const plan = el("div", {});
  async function showPlan(characteristicId) {
    const text = await reactionPlan(characteristicId).catch(() => null);
    plan.replaceChildren(...(text ? [el("h3", {}, "What to do"), el("p", { class: "plan" }, text)] : []));
  }

  function showTold(notices) {
    if (notices.length === 0) {
      told.replaceChildren(el("p", { class: "soft" }, "Nobody was told yet."));
      return;
    }
    told.replaceChildren(el("ol", { class: "told-list" }, notices.map(noticeCard)));
  }

  async function answer() {
    if (await askAndAcknowledgeEpisode(episode)) await load();
    if (document.activeElement === document.body) heading.focus();
  }

  async function answerSome(violations) {
    const open = violations.filter(isOpen);
    if (open.length > 0 && await askAndAcknowledge(open)) {
      grid.clearChoice();
      await load();
    }
    if (document.activeElement === document.body) grid.focus();
  }

  const loadSoon = calmly(1_000, load);
  const isOurs = ({ characteristic_id: of }) => episode !== null && of === episode.characteristic_id;
  for (const type of ["episode", "violation", "violation_update", "ack_update"]) {
    client.on(type, ({ payload }) => isOurs(payload) && loadSoon());
  }
  client.on("resumed", loadSoon);
  client.on("subscribed", ({ recovered }) => !recovered && loadSoon());
  setInterval(() => {
    const isUnderWay = episode?.notices.some(({ deliveries }) => deliveries.some(({ state }) => UNDER_WAY.includes(state)));
    const isYoung = episode && now() - new Date(episode.opened_at) < 60_000; // its first notice may not be written yet
    if (id !== null && (isUnderWay || isYoung) && document.visibilityState === "visible") load();
  }, ASK_AGAIN_MS);

  return {
    element,
    commands: grid.commands,
    tell: () => tellAgo(element),
    async show(wanted) {
      if (wanted !== id) {
        episode = null;
        grid.show([]);
        say(heading, "Episode");
        for (const part of [facts, told, plan]) part.replaceChildren();
        acknowledge.hidden = true;
      }
      id = wanted;
      await load();
      if (episode) showPlan(episode.characteristic_id);
    },
    hide() {
      id = null;
      episode = null;
    },
  };
}

const isOpen = ({ status, acknowledged }) => status === "open" && !acknowledged;

/** What was new, and who was told of it. */
function noticeCard({ change, timestamp, deliveries, routes }) {
  const word = CHANGES[change] ?? change;
  const nobody = routes.length === 0 ? "there are no routes in the settings" : [...new Set(routes)].join("; ");
  return el("li", { class: "card" },
    el("p", {}, el("strong", {}, word), " ", el("time", { datetime: timestamp, class: "soft" }, fullTime(timestamp))),
    deliveries.length === 0
      ? el("p", { class: "soft" }, `To nobody: ${nobody}.`)
      : el("div", { class: "scroll", tabindex: "0", role: "group", "aria-label": `Deliveries: ${word}` },
        deliveriesTable(deliveries)));
}

function deliveriesTable(deliveries) {
  return el("table", {}, el("caption", { class: "unseen" }, "Deliveries"),
    el("thead", {}, el("tr", {}, ["To", "What became of it", "When", "Attempts"].map((name) => el("th", { scope: "col" }, name)))),
    el("tbody", {}, deliveries.map((delivery) => el("tr", { "data-state": delivery.state },
      el("td", {}, [delivery.recipient, delivery.receiver].filter(Boolean).join(", by "),
        delivery.step > 0 && el("span", { class: "soft" }, ` (escalation ${delivery.step})`),
        delivery.reminder > 0 && el("span", { class: "soft" }, ` (reminder ${delivery.reminder})`)),
      el("td", {}, el("strong", {}, DELIVERIES[delivery.state] ?? delivery.state),
        delivery.reason && el("span", { class: "soft" }, `: ${delivery.reason}`)),
      el("td", {}, fullTime(delivery.ended_at ?? delivery.due_at)),
      el("td", {}, count(delivery.attempt_total))))));
}
