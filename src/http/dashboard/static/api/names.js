// Names for what the vendored drawing leaves without one, and a way to it without a mouse: screen readers call a
// choice without a label "combo box" and nothing else.

import { calmly } from "../shared/dom.js";

/** How long the drawing may change before it is looked at. */
const CALM_MS = 100;

/** Names what is there, and whatever comes later. */
export function nameParts(root) {
  const look = calmly(CALM_MS, () => {
    for (const choice of root.querySelectorAll("[data-param-name] :is(select, textarea):not([aria-label])")) {
      choice.setAttribute("aria-label", choice.closest("[data-param-name]").dataset.paramName);
    }
    for (const code of root.querySelectorAll("pre.microlight:not([tabindex])")) code.tabIndex = 0;
    for (const close of root.querySelectorAll(".close-modal:not([aria-label])")) close.setAttribute("aria-label", "Close");
    for (const button of root.querySelectorAll(".auth-btn-wrapper [aria-label]")) button.removeAttribute("aria-label"); // its text says it
  });
  new MutationObserver(look).observe(root, { childList: true, subtree: true });
}
