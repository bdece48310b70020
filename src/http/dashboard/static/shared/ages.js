// Keeps "3 min. ago" true.

import { say } from "./dom.js";
import { ago } from "./format.js";

/** Says anew how long ago things were: of each element with `data-ago`, the time that it holds. */
export function tellAgo(within) {
  for (const element of within.querySelectorAll("[data-ago]")) say(element, ago(element.dataset.ago));
}
