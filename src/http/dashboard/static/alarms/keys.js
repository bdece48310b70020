// The keys of the alarm list, and the dialog that shows them. Who does not want single keys to do anything, as some who
// dictate do not, switches them off there.

import { el } from "../shared/dom.js";

const OFF = "andon.keys";

const KEYS = {
  j: "next", ArrowDown: "next", k: "previous", ArrowUp: "previous", PageDown: "pageDown", PageUp: "pageUp",
  Home: "first", End: "last", x: "choose", " ": "choose", a: "acknowledge", Enter: "open", d: "details",
  Escape: "clear", "/": "search", "?": "help",
};

/** Those that only mean something while a row has the focus: elsewhere they scroll, or press what is focused. */
const ONLY_IN_ROWS = new Set(["ArrowDown", "ArrowUp", "PageDown", "PageUp", "Home", "End", " ", "Enter"]);

const TOLD = [
  [["j", "↓"], "next row"], [["k", "↑"], "row before"], [["Home"], "first row"], [["End"], "last row"],
  [["x", "Space"], "choose the row, or not"], [["Shift", "↓"], "choose as far as the next row"],
  [["Ctrl", "A"], "choose all that are shown"], [["Esc"], "choose none"],
  [["a"], "acknowledge what is chosen, or else the row"], [["d"], "details of the row, and what to do"],
  [["Enter"], "open the chart, or the episode"], [["/"], "search a characteristic"], [["?"], "show these keys"],
];

/**
 * Listens to the keys.
 *
 * @param {() => Record<string, (event: KeyboardEvent) => any>} commandsNow what they do at the moment; without one that
 *   the page does not know, nothing
 */
export function listenToKeys(commandsNow) {
  document.addEventListener("keydown", (event) => {
    if (event.defaultPrevented || event.altKey || event.metaKey || document.querySelector("dialog[open]")) return;
    const { target, key } = event;
    if (target.isContentEditable || target.matches("textarea, select, input:not([type=checkbox])")) return;
    const isInRow = target.closest("tr[data-id]") !== null;
    const isAll = event.ctrlKey && key.toLowerCase() === "a" && isInRow;
    if (event.ctrlKey && !isAll) return;
    const name = isAll ? "chooseAll" : KEYS[key.length === 1 ? key.toLowerCase() : key];
    if (!name || (ONLY_IN_ROWS.has(key) && !isInRow) || (key.length === 1 && key !== " " && !isAll && areOff())) return;
    const command = commandsNow()[name];
    if (!command) return;
    if (key !== "Escape") event.preventDefault();
    command(event);
  });
}

const areOff = () => localStorage.getItem(OFF) === "off";

/** Shows which keys there are. */
export function showKeys() {
  if (document.querySelector("dialog[open]")) return;
  const on = el("input", { type: "checkbox", checked: !areOff(), onchange: () => localStorage.setItem(OFF, on.checked ? "on" : "off") });
  const dialog = el("dialog", { class: "keys", "aria-labelledby": "keys-title" },
    el("h2", { id: "keys-title" }, "Keys"),
    el("dl", {}, TOLD.map(([keys, what]) => el("div", {},
      el("dt", {}, keys.flatMap((key, index) => [index > 0 && " ", el("kbd", {}, key)])), el("dd", {}, what)))),
    el("p", {}, "In the dialog of an answer, 1 to 9 choose a reason and Enter sends it."),
    el("label", { class: "choice" }, on, " Single letters do this (arrows and Enter always do)"),
    el("form", { method: "dialog", class: "actions" }, el("button", { class: "primary" }, "Close")));
  dialog.addEventListener("close", () => dialog.remove());
  document.body.append(dialog);
  dialog.showModal();
}
