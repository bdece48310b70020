// Named figures, as a list that keeps its elements while they change.

import { el, say } from "../shared/dom.js";

export class Facts {
  #values = new Map();
  element = el("dl", { class: "facts" });

  /** Shows a figure under its name; null takes it away. */
  show(name, value, explanation = null) {
    let shown = this.#values.get(name);
    if (!shown) {
      shown = { box: el("div", { title: explanation }, el("dt", {}, name)), value: el("dd", {}) };
      shown.box.append(shown.value);
      this.#values.set(name, shown);
      this.element.append(shown.box);
    }
    shown.box.hidden = value === null || value === undefined;
    say(shown.value, String(value ?? ""));
  }
}
