// Asks why a point is to count as never taken, or to count again, and says so to the server.

import { patch } from "../shared/api.js";
import { el, say } from "../shared/dom.js";
import { count } from "../shared/format.js";
import { loginName, rememberUser, userName } from "../shared/session.js";

/**
 * @param {{ number: number, sample_id: number, is_excluded: boolean }} point
 * @returns {Promise<boolean>} whether it was done
 */
export function askAndExclude(point) {
  const isBack = point.is_excluded;
  const reason = el("input", { id: "exclude-reason", required: true, maxlength: "200", autocomplete: "off" });
  const user = signature("exclude-user");
  const fault = el("p", { class: "complaint", role: "alert", hidden: true });
  const form = el("form", {},
    el("h2", { id: "exclude-title" }, isBack ? `Include point ${count(point.number)} again` : `Exclude point ${count(point.number)}`),
    el("p", {}, isBack
      ? "It will be judged again, together with the points whose patterns it is part of."
      : "It will count as never taken: part of no pattern and of no baseline. The points after it are judged again. Nothing is deleted."),
    el("label", { for: "exclude-reason" }, "Reason"), reason, ...user.parts, fault,
    el("div", { class: "actions" },
      el("button", { type: "button", onclick: () => dialog.close() }, "Cancel"),
      el("button", { class: "primary" }, isBack ? "Include again" : "Exclude")));
  const dialog = el("dialog", { "aria-labelledby": "exclude-title" }, form);
  document.body.append(dialog);
  return new Promise((resolve) => {
    let isDone = false;
    dialog.addEventListener("close", () => {
      dialog.remove();
      resolve(isDone);
    });
    form.addEventListener("submit", async (event) => {
      event.preventDefault();
      const submit = form.querySelector(".primary");
      submit.disabled = true;
      try {
        await patch(`samples/${point.sample_id}/exclude`, { is_excluded: !isBack, reason: reason.value.trim(), ...user.given() });
        isDone = true;
        dialog.close();
      } catch (error) {
        fault.hidden = false;
        say(fault, error.message);
        submit.disabled = false;
      }
    });
    dialog.showModal();
    reason.focus();
  });
}

/** A field for who does it, where no login says so; `given()` is what goes into the body. */
export function signature(id) {
  if (loginName() !== null) return { parts: [], given: () => ({}) };
  const input = el("input", { id, required: true, maxlength: "200", autocomplete: "name" });
  input.value = userName();
  const given = () => {
    rememberUser(input.value.trim());
    return { user: input.value.trim() };
  };
  return { parts: [el("label", { for: id }, "Your name"), input], given };
}
