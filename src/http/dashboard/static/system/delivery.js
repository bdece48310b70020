// One delivery with all its attempts, and how it is tried again.

import { Problem, get, post } from "../shared/api.js";
import { el, say } from "../shared/dom.js";
import { count, duration, fullTime, time } from "../shared/format.js";
import { icon } from "../shared/icons.js";
import { complain } from "../shared/shell.js";
import { openDialog } from "./ask.js";
import { Facts } from "./facts.js";
import { Refresh } from "./refresh.js";
import { Table, tell } from "./table.js";
import { CHANGES, DELIVERY_STATES, OUTCOMES, TROUBLE_STATES, addressee } from "./words.js";

const EVERY_MS = 2_000;

/** A button that tries a delivery again; says at once where that is refused. */
export function retryButton(id, done, refused = complain) {
  const button = el("button", { type: "button", "aria-label": `Try again: delivery ${id}`, async onclick() {
    button.disabled = true;
    try {
      await post(`deliveries/${id}/retry`);
      done();
    } catch (error) {
      refused(error);
    } finally {
      button.disabled = false;
    }
  } }, "Try again");
  return button;
}

/** Opens the dialog of a delivery. */
export function showDelivery(id, { changed, closed }) {
  const state = el("p", {});
  const facts = new Facts();
  const refusal = el("p", { class: "complaint", role: "alert", hidden: true });
  const attempts = new Table({
    caption: `Attempts of delivery ${id}`,
    none: "Nobody has tried yet.",
    key: ({ number }) => number,
    columns: [
      { title: "No.", class: "number", say: ({ number }) => count(number) },
      { title: "Began", say: ({ started_at: at }) => time(at) },
      { title: "Took", class: "number", say: ({ duration_ms: took }) => duration(took) },
      { title: "Outcome", say: ({ outcome }) => (outcome === null ? "Under way" : (OUTCOMES[outcome] ?? outcome)) },
      { title: "What was said", class: "reason", say: ({ detail }) => detail ?? "–" },
    ],
  });
  const again = retryButton(id, () => {
    refusal.hidden = true;
    refresh.changed();
    changed();
  }, (error) => {
    if (!(error instanceof Problem)) console.error(error);
    say(refusal, error.message);
    refusal.hidden = false;
  });
  const title = el("h2", { id: "delivery-title" }, `Delivery ${id}`);
  const dialog = el("dialog", { "aria-labelledby": "delivery-title", class: "wide" }, title, state, facts.element,
    el("h3", {}, "Attempts"), attempts.element, refusal,
    el("div", { class: "actions" }, again, el("button", { type: "button", class: "primary", autofocus: true, onclick: () => dialog.close() }, "Close")));
  again.hidden = true;
  const refresh = new Refresh({ section: dialog, everyMs: EVERY_MS, ask: (signal) => get(`deliveries/${id}`, {}, signal), show });
  openDialog(dialog, () => {
    refresh.stop();
    closed();
  });
  refresh.soon();

  function show(delivery) {
    tellState(state, delivery.state);
    facts.show("To", addressee(delivery));
    facts.show("About", CHANGES[delivery.change] ?? delivery.change);
    facts.show("Reason", delivery.reason);
    facts.show("Made", fullTime(delivery.created_at));
    facts.show("Next attempt", delivery.due_at && fullTime(delivery.due_at));
    facts.show("Of use until", fullTime(delivery.useful_until));
    facts.show("Over since", delivery.ended_at && fullTime(delivery.ended_at));
    facts.show("Held back by silence", delivery.silence_id);
    facts.show("Told in one message with delivery", delivery.digest_id);
    facts.show("Name for the receiver", delivery.name);
    attempts.show(delivery.attempts);
    again.hidden = !TROUBLE_STATES.includes(delivery.state);
  }
}

/** Shows how far a delivery is. */
export function tellState(cell, word) {
  const words = DELIVERY_STATES[word] ?? { word, tone: "none", shape: "dashed" };
  tell(cell, words, icon(words.shape));
}
