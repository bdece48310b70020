// A field in which a characteristic is searched by its name or key: what one writes is asked of the server.

import { get } from "../shared/api.js";
import { el } from "../shared/dom.js";

/** How long somebody may pause while writing. */
const PAUSE_MS = 200;

/** Found ones that are offered. */
const OFFERED = 12;

/**
 * @param {{ id: string, onChoose: (id: number | null) => void }} options
 * @returns {{ element: HTMLElement, input: HTMLInputElement, show: (id: number | undefined) => void }}
 */
export function chooseCharacteristic({ id, onChoose }) {
  let offered = [];
  let at = -1;
  let chosen = null; // { id, name }
  let pause = null;
  let asked = null;

  const list = el("ul", { role: "listbox", id: `${id}-list`, "aria-label": "Characteristics found", hidden: true });
  const input = el("input", {
    id, type: "text", role: "combobox", autocomplete: "off", spellcheck: "false", placeholder: "Name or key",
    "aria-autocomplete": "list", "aria-expanded": "false", "aria-controls": `${id}-list`,
    oninput: onInput, onkeydown: onKey, onblur: leave,
  });
  const told = el("span", { class: "unseen", role: "status" });
  const element = el("div", { class: "combobox" }, input, list, told);

  function onInput() {
    clearTimeout(pause);
    if (input.value.trim() === "") {
      close();
      if (chosen) choose(null);
      return;
    }
    pause = setTimeout(search, PAUSE_MS);
  }

  async function search() {
    asked?.abort();
    asked = new AbortController();
    try {
      const { items, total } = await get("characteristics", { q: input.value.trim(), limit: OFFERED }, asked.signal);
      if (document.activeElement !== input) return;
      offer(items, total);
    } catch (error) {
      if (error.name !== "AbortError") told.textContent = error.message;
    }
  }

  function offer(items, total) {
    offered = items;
    at = -1;
    list.replaceChildren(...items.map((item, index) => el("li", {
      role: "option", id: `${id}-${index}`, "aria-selected": "false",
      // Before the field loses the focus.
      onmousedown: (event) => {
        event.preventDefault();
        choose(item);
      },
    }, el("strong", {}, item.name), el("span", { class: "soft" }, [item.key, item.group].filter(Boolean).join(" · ")))));
    list.hidden = items.length === 0;
    input.setAttribute("aria-expanded", String(items.length > 0));
    told.textContent = total === 0 ? "None found" : `${total} found`;
    input.toggleAttribute("data-none", total === 0);
  }

  function close() {
    asked?.abort();
    clearTimeout(pause);
    offered = [];
    at = -1;
    list.hidden = true;
    list.replaceChildren();
    input.setAttribute("aria-expanded", "false");
    input.removeAttribute("aria-activedescendant");
    input.removeAttribute("data-none");
    told.textContent = "";
  }

  function onKey(event) {
    if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      if (offered.length === 0) return;
      event.preventDefault();
      mark((at + (event.key === "ArrowDown" ? 1 : offered.length - 1) + (at === -1 && event.key === "ArrowUp" ? 1 : 0)) % offered.length);
    } else if (event.key === "Enter") {
      event.preventDefault();
      if (offered.length > 0) choose(offered[Math.max(at, 0)]);
    } else if (event.key === "Escape") {
      event.stopPropagation();
      leave();
    }
  }

  function mark(index) {
    at = index;
    [...list.children].forEach((option, each) => option.setAttribute("aria-selected", String(each === index)));
    list.children[index].scrollIntoView({ block: "nearest" });
    input.setAttribute("aria-activedescendant", `${id}-${index}`);
  }

  function choose(item) {
    chosen = item && { id: item.id, name: item.name };
    leave();
    onChoose(chosen?.id ?? null);
  }

  /** What was written and not chosen is no filter: the field says what is. */
  function leave() {
    close();
    input.value = chosen?.name ?? "";
  }

  return {
    element,
    input,
    async show(wanted) {
      if ((chosen?.id ?? undefined) === wanted) return;
      chosen = wanted === undefined ? null : { id: wanted, name: `Characteristic ${wanted}` };
      leave();
      if (wanted === undefined) return;
      try {
        const { name } = await get(`characteristics/${wanted}`);
        if (chosen?.id === wanted) chosen = { id: wanted, name };
        if (chosen?.id === wanted && document.activeElement !== input) input.value = name;
      } catch {
        // Its number says enough.
      }
    },
  };
}
