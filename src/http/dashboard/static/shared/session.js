// Who sits before this page: the token, where the server wants one, and the name under which people answer.
//
// A token is kept for this tab alone, unless its owner says otherwise. Nothing else of the page asks for either.

import { el } from "./dom.js";

const TOKEN = "andon.token";
const USER = "andon.user";

let asking = null;
let login = null; // the name that the server knows us by, or null

/** The token of before, or null. */
export const token = () => sessionStorage.getItem(TOKEN) ?? localStorage.getItem(TOKEN);

/** Forgets the token, here and for other tabs. */
export function forgetToken() {
  sessionStorage.removeItem(TOKEN);
  localStorage.removeItem(TOKEN);
}

/** The server has said who we are; null: it does not ask who anybody is. */
export function knownAs(user) {
  login = user ?? null;
}

/** The name of the login, or null: then an answer has to say who gives it. */
export const loginName = () => login;

/** The name that was given last. */
export const userName = () => localStorage.getItem(USER) ?? "";

/** Keeps a name for the next answer. */
export const rememberUser = (name) => localStorage.setItem(USER, name);

/**
 * Asks for a token, once however many parts of the page want one. Resolves when there is one to try.
 *
 * @param {string} why what the server has said
 */
export function askForToken(why) {
  asking ??= ask(why).finally(() => {
    asking = null;
  });
  return asking;
}

function ask(why) {
  const input = el("input", { id: "token", type: "password", autocomplete: "current-password", required: true, spellcheck: "false" });
  const keep = el("input", { id: "keep-token", type: "checkbox" });
  const form = el("form", { method: "dialog" },
    el("h2", { id: "token-title" }, "This server asks for a token"),
    el("p", {}, why),
    el("label", { for: "token" }, "Token"), input,
    el("label", { class: "choice" }, keep, " Keep it on this device"),
    el("div", { class: "actions" }, el("button", { class: "primary" }, "Sign in")));
  const dialog = el("dialog", { "aria-labelledby": "token-title", class: "ask" }, form);
  document.body.append(dialog);
  dialog.addEventListener("cancel", (event) => event.preventDefault()); // without it there is nothing to see
  return new Promise((resolve) => {
    form.addEventListener("submit", () => {
      forgetToken();
      (keep.checked ? localStorage : sessionStorage).setItem(TOKEN, input.value.trim());
      dialog.remove();
      resolve();
    });
    dialog.showModal();
    input.focus();
  });
}
