// Chooses some of many: what is typed is looked for, and what was chosen stands below.

import { calmly, el } from "../shared/dom.js";

const SHOWN = 8;

/**
 * @param {{ id: string, label: string, hint?: string, find: (text: string) => Promise<{ value: any, name: string }[]> }} options
 * @returns {{ element: HTMLElement, values: () => any[], add: (choice: { value: any, name: string }) => void }}
 */
export function picker({ id, label, hint, find }) {
  const chosen = new Map();
  const input = el("input", { id, type: "search", autocomplete: "off", "aria-describedby": hint ? `${id}-hint` : null });
  const found = el("ul", { class: "found", "aria-label": `Found for ${label.toLowerCase()}` });
  const list = el("ul", { class: "chosen", "aria-label": `Chosen: ${label.toLowerCase()}` });
  const look = calmly(250, async () => {
    const text = input.value.trim();
    const choices = text === "" ? [] : await find(text).catch(() => []);
    if (text !== input.value.trim()) return; // meanwhile something else is looked for
    found.replaceChildren(...choices.filter(({ value }) => !chosen.has(value)).slice(0, SHOWN).map((choice) =>
      el("li", {}, el("button", { type: "button", onclick: () => take(choice) }, `Add ${choice.name}`))));
    if (text !== "" && found.children.length === 0) found.append(el("li", { class: "soft" }, "Nothing found."));
  });
  input.addEventListener("input", look);
  input.addEventListener("keydown", (event) => {
    if (event.key !== "Enter") return;
    event.preventDefault(); // it would send the form
    found.querySelector("button")?.click();
  });

  function take(choice) {
    add(choice);
    input.value = "";
    found.replaceChildren();
    input.focus();
  }

  function add({ value, name }) {
    if (chosen.has(value)) return;
    const entry = el("li", {}, name, " ", el("button", { type: "button", class: "quiet", "aria-label": `Remove ${name}`, onclick() {
      chosen.delete(value);
      entry.remove();
      input.focus();
    } }, "✕"));
    chosen.set(value, name);
    list.append(entry);
  }

  return {
    element: el("div", { class: "picker" }, el("label", { for: id }, label), input,
      hint && el("small", { class: "soft", id: `${id}-hint` }, hint), found, list),
    values: () => [...chosen.keys()],
    add,
  };
}
