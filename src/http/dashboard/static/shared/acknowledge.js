// The dialog in which people answer alarms. Pages give it what is to be answered, and get back whether it is.

import { sender, sendMany, sendOne } from "./acknowledge-send.js";
import { get, Problem } from "./api.js";
import { el, say } from "./dom.js";
import { ago, count, fullTime } from "./format.js";
import { reactionPlan } from "./reaction-plans.js";
import { loginName, rememberUser, userName } from "./session.js";
import { counted, limitsOf, nameOf, ruleSentence, severityMark, valueOf, violations as violationsWord } from "./violation-words.js";

document.head.append(el("link", { rel: "stylesheet", href: new URL("acknowledge.css", import.meta.url).href }));

/** How long the reasons are taken for what they were: somebody answers one alarm after another. */
const REASONS_KEPT_MS = 60_000;

let reasons = { asked: null, at: -Infinity };

/** The reasons that people choose from. */
function reasonCodes() {
  if (performance.now() - reasons.at > REASONS_KEPT_MS) {
    reasons = { asked: get("violations/reason-codes").then(({ reason_codes: codes }) => codes), at: performance.now() };
    reasons.asked.catch(() => {
      reasons.at = -Infinity;
    });
  }
  return reasons.asked;
}

/** Names of characteristics that are listed when many violations are answered at once. */
const LISTED = 6;

let isAsking = false;

/**
 * Asks how these violations are to be answered, and answers them.
 *
 * @param {any[]} violations as the server tells them
 * @returns {Promise<boolean>} whether there is an answer now, be it this one or that of somebody who was first; false:
 *   it was cancelled
 */
export async function askAndAcknowledge(violations) {
  if (violations.length === 0) return false;
  if (violations.length > 1) return ask(many(violations));
  return ask(one(violations[0]));
}

/** The same for all of an episode that waits. */
export async function askAndAcknowledgeEpisode(episode) {
  const { id, characteristic_id: characteristicId, unacknowledged, violation_total: total } = episode;
  const waiting = unacknowledged > 0 ? `${violationsWord(unacknowledged)} of ${count(total)} wait for an answer` : "nothing waits for an answer";
  const rules = episode.rules.map((rule) => rule.rule_name).join(", ");
  return ask({
    title: "Acknowledge the whole episode",
    about: [
      el("p", {}, severityMark(episode.severity), " ", el("strong", {}, nameOf(episode)), groupOf(episode)),
      el("p", {}, `${rules ? `${rules}; ` : ""}${waiting}, since ${fullTime(episode.opened_at)}`)],
    characteristicId,
    mayExclude: false,
    send: (post, answer) => sendOne(post, `episodes/${id}/acknowledge`, answer),
  });
}

function one(violation) {
  return {
    title: "Acknowledge this violation",
    about: [
      el("p", {}, severityMark(violation.severity), " ", el("strong", {}, nameOf(violation)), groupOf(violation)),
      el("p", { class: "told" }, ruleSentence(violation)),
      el("p", {}, `${valueOf(violation)} · control limits ${limitsOf(violation)} · `,
        el("time", { datetime: violation.timestamp, title: fullTime(violation.timestamp) }, ago(violation.timestamp)))],
    characteristicId: violation.characteristic_id,
    mayExclude: violation.sample_id !== null,
    send: (post, answer) => sendOne(post, `violations/${violation.id}/acknowledge`, answer),
  };
}

function many(violations) {
  const totals = new Map(); // of a characteristic's id
  for (const violation of violations) {
    const of = totals.get(violation.characteristic_id) ?? { name: nameOf(violation), total: 0 };
    of.total += 1;
    totals.set(violation.characteristic_id, of);
  }
  const listed = [...totals.values()].slice(0, LISTED);
  const newest = violations.reduce((newer, it) => (it.id > newer.id ? it : newer));
  const waiting = new Set(violations.map(({ id }) => id));
  const outcome = { answered: 0, lost: 0, firsts: [], refused: 0, why: null };
  return {
    title: `Acknowledge ${violationsWord(violations.length)}`,
    about: [
      el("p", { class: "told" }, `${violationsWord(violations.length)} of ${counted(totals.size, "characteristic")}`),
      el("ul", {}, listed.map(({ name, total }) => el("li", {}, `${name}: ${count(total)}`)),
        totals.size > LISTED && el("li", { class: "soft" }, `and ${count(totals.size - LISTED)} more`)),
      totals.size === 1 && el("p", {}, `The newest: ${ruleSentence(newest)} ${valueOf(newest)}, control limits ${limitsOf(newest)}`)],
    characteristicId: totals.size === 1 ? violations[0].characteristic_id : null,
    mayExclude: false,
    hasBegun: () => outcome.answered + outcome.lost + outcome.refused > 0,
    async send(post, answer, isStopped, progress) {
      const onProgress = () => progress(`${count(violations.length - waiting.size)} of ${count(violations.length)} done`);
      await sendMany(post, waiting, answer, { outcome, isStopped, onProgress });
      return outcome;
    },
  };
}

const groupOf = ({ group }) => group && el("span", { class: "soft" }, ` in ${group}`);

async function ask(subject) {
  if (isAsking) return false;
  isAsking = true;
  try {
    return await new Dialog(subject).result;
  } finally {
    isAsking = false;
  }
}

class Dialog {
  #subject;
  #post = sender();
  #isSending = false;
  #isStopped = false;
  #settle;

  constructor(subject) {
    this.#subject = subject;
    this.result = new Promise((resolve) => {
      this.#settle = resolve;
    });
    this.other = el("input", { id: "ack-other", maxlength: 200, autocomplete: "off", oninput: () => this.#choose(null) });
    this.comment = el("textarea", { id: "ack-comment", rows: 2, maxlength: 4_000 });
    this.user = loginName() === null && el("input", { id: "ack-user", maxlength: 200, autocomplete: "name", required: true, value: userName() });
    this.exclude = subject.mayExclude && el("input", { id: "ack-exclude", type: "checkbox" });
    this.reasons = el("div", { class: "reasons" });
    this.trouble = el("p", { class: "trouble", role: "alert", hidden: true });
    this.progress = el("p", { class: "soft", role: "status" });
    this.sendButton = el("button", { class: "primary" }, "Acknowledge");
    this.form = el("form", { novalidate: true, onsubmit: (event) => this.#submit(event) },
      el("h2", { id: "ack-title" }, subject.title),
      el("div", { class: "about" }, subject.about),
      el("fieldset", {}, el("legend", {}, "Reason"), this.reasons,
        el("label", { for: "ack-other" }, "Another reason"), this.other),
      el("label", { for: "ack-comment" }, "Comment", el("span", { class: "soft" }, " (if there is more to say)")), this.comment,
      this.user && [el("label", { for: "ack-user" }, "Your name"), this.user],
      this.exclude && el("label", { class: "choice" }, this.exclude,
        " Exclude the sample: it counts as never taken, and its neighbours are judged again"),
      el("div", { class: "actions" }, this.trouble, this.progress,
        el("button", { type: "button", onclick: () => this.#cancel() }, "Cancel"), this.sendButton));
    this.dialog = el("dialog", {
      class: "acknowledge", tabindex: "-1", "aria-labelledby": "ack-title", onkeydown: (event) => this.#key(event),
    }, this.form);
    this.dialog.addEventListener("cancel", (event) => {
      event.preventDefault();
      this.#cancel();
    });
    document.body.append(this.dialog);
    this.dialog.showModal();
    this.dialog.focus(); // and not the first field: digits choose a reason there is none of yet
    this.#showReasons();
    this.#showPlan();
  }

  async #showReasons() {
    let codes = [];
    try {
      codes = await reasonCodes();
    } catch (error) {
      this.#complain(error);
    }
    this.reasons.append(...codes.map((code, index) => el("label", { class: "reason" },
      el("input", { type: "radio", name: "ack-reason", value: code, onchange: () => this.#chosen() }),
      index < 9 && el("kbd", { "aria-hidden": "true" }, index + 1), el("span", {}, code))));
    // Who has begun to write meanwhile goes on.
    if (!this.dialog.querySelector("input:focus, textarea:focus")) (this.reasons.querySelector("input") ?? this.other).focus();
  }

  async #showPlan() {
    const { characteristicId } = this.#subject;
    if (characteristicId === null) return;
    const plan = await reactionPlan(characteristicId).catch(() => null); // the answer matters more
    if (plan) {
      this.dialog.querySelector(".about")?.append(
        el("h3", {}, "What to do"), el("p", { class: "plan" }, plan));
    }
  }

  /** A digit chooses a reason, unless somebody writes. */
  #key(event) {
    if (event.target.matches("textarea, input:not([type=radio]):not([type=checkbox])")) return;
    if (event.ctrlKey || event.altKey || event.metaKey || !/^[1-9]$/.test(event.key)) return;
    const chosen = this.reasons.querySelectorAll("input")[Number(event.key) - 1];
    if (!chosen) return;
    event.preventDefault();
    chosen.checked = true;
    chosen.focus();
    this.#chosen();
  }

  #chosen() {
    this.other.value = "";
    this.#quiet();
  }

  #choose(radio) {
    for (const each of this.reasons.querySelectorAll("input")) each.checked = each === radio;
    this.#quiet();
  }

  async #submit(event) {
    event.preventDefault();
    if (this.#isSending) return;
    const reason = this.other.value.trim() || this.reasons.querySelector("input:checked")?.value;
    if (!reason) return this.#miss("Choose a reason, or write one.", this.reasons.querySelector("input") ?? this.other);
    const user = this.user ? this.user.value.trim() : null;
    if (user === "") return this.#miss("Say who you are: the answer is kept with your name.", this.user);
    if (user) rememberUser(user);
    const answer = { reason };
    if (this.comment.value.trim()) answer.comment = this.comment.value.trim();
    if (user) answer.user = user;
    if (this.exclude && this.exclude.checked) answer.exclude_sample = true;
    await this.#send(answer);
  }

  async #send(answer) {
    this.#quiet();
    this.#isSending = true;
    this.sendButton.disabled = true;
    say(this.progress, "Sending …");
    try {
      const outcome = await this.#subject.send(this.#post, answer, () => this.#isStopped, (text) => say(this.progress, text));
      if (outcome.lost + outcome.refused === 0 || this.#isStopped) this.#close(true);
      else this.#tell(outcome);
    } catch (error) {
      this.#isSending = false;
      this.sendButton.disabled = false;
      say(this.progress, "");
      if (this.#isStopped) this.#close(this.#hasBegun());
      else this.#complain(error);
    }
  }

  /** What has not gone as was wished; the rest is done. */
  #tell({ answered, lost, firsts, refused, why }) {
    const close = el("button", { type: "button", class: "primary", onclick: () => this.#close(answered + lost > 0) }, "Close");
    const title = answered === 0 && lost > 0 ? "Somebody was first" : "Not all was answered";
    this.form.replaceChildren(
      el("h2", { id: "ack-title" }, title),
      el("div", { role: "alert" },
        answered > 0 && el("p", {}, `You have answered ${violationsWord(answered)}.`),
        lost > 0 && el("p", {}, answered + refused > 0 || lost > 1
          ? `${violationsWord(lost)} had been answered before:` : "It had been answered before:"),
        el("ul", {}, distinct(firsts).map(({ user, reason, timestamp }) =>
          el("li", {}, el("strong", {}, user), `: ${reason}, ${ago(timestamp)} (`, el("time", { datetime: timestamp }, fullTime(timestamp)), ")"))),
        refused > 0 && el("p", {}, `${violationsWord(refused)} could not be answered: ${why}`)),
      el("div", { class: "actions" }, close));
    this.#isSending = false;
    close.focus();
  }

  #cancel() {
    if (this.#isSending) {
      this.#isStopped = true; // what is on its way arrives
      say(this.progress, "Stopping …");
      return;
    }
    // Behind a result, Escape closes it.
    const close = this.form.querySelector(".actions button.primary[type=button]");
    if (close) close.click();
    else this.#close(this.#hasBegun());
  }

  #hasBegun() {
    return this.#subject.hasBegun?.() ?? false;
  }

  #miss(text, where) {
    this.#complain(new Problem(0, { title: text }));
    where.focus();
  }

  #complain(error) {
    if (!(error instanceof Problem)) console.error(error);
    this.trouble.hidden = false;
    say(this.trouble, error.message);
  }

  #quiet() {
    this.trouble.hidden = true;
    say(this.trouble, "");
  }

  #close(isAnswered) {
    this.dialog.close(); // the browser gives the focus back to where it was
    this.dialog.remove();
    this.#settle(isAnswered);
  }
}

/** One of several that say the same. */
function distinct(firsts) {
  const key = ({ user, reason, timestamp }) => `${user}\n${reason}\n${timestamp}`;
  return [...new Map(firsts.filter(Boolean).map((first) => [key(first), first])).values()];
}
