// Dialogs of the system view: something is done only once the server has agreed, and what it refuses it says there.

import { Problem } from "../shared/api.js";
import { el, say } from "../shared/dom.js";
import { loginName, rememberUser, userName } from "../shared/session.js";

/**
 * Asks before something is done, and does it.
 *
 * @param {{ title: string, content: Node[], action: string, act: () => Promise<void>, closed?: () => void }} options
 *   the dialog stays open until `act` has succeeded
 */
export function ask({ title, content, action, act, closed = () => {} }) {
  const id = `ask-${Math.random().toString(36).slice(2)}`;
  const refusal = el("p", { class: "complaint", role: "alert", hidden: true });
  const go = el("button", { class: "primary" }, action);
  const cancel = el("button", { type: "button", onclick: () => dialog.close() }, "Cancel");
  const form = el("form", { method: "dialog" }, el("h2", { id }, title), ...content, refusal, el("div", { class: "actions" }, cancel, go));
  const dialog = el("dialog", { "aria-labelledby": id, class: "ask" }, form);
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    go.disabled = true;
    refusal.hidden = true;
    try {
      await act();
      dialog.close();
    } catch (error) {
      if (!(error instanceof Problem)) console.error(error);
      say(refusal, error.message);
      refusal.hidden = false;
    } finally {
      go.disabled = false;
    }
  });
  return openDialog(dialog, closed);
}

/** Opens a dialog; it is gone from the page once it is closed, and focus goes back to where it was. */
export function openDialog(dialog, closed = () => {}) {
  const before = document.activeElement;
  dialog.addEventListener("close", () => {
    dialog.remove();
    if (before?.isConnected) before.focus();
    closed();
  });
  document.body.append(dialog);
  dialog.showModal();
  return dialog;
}

/** A field for the name of who acts, or nothing where a login says it. */
export function actor() {
  if (loginName() !== null) return { content: [], name: () => null, keep: () => {} };
  const input = el("input", { id: "actor", required: true, maxlength: "200", autocomplete: "name", value: userName() });
  const name = () => input.value.trim();
  return { content: [el("label", { for: "actor" }, "Your name"), input], name, keep: () => rememberUser(name()) };
}
