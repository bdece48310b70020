// The metrics word for word, for who wants to see one that the page does not show: also where a token is needed, which
// a link could not send.

import { byId, el, say } from "../shared/dom.js";
import { time } from "../shared/format.js";

export function metricsText() {
  const text = el("pre", { tabindex: "0", "aria-label": "Metrics", role: "region" });
  const details = el("details", { id: "metrics-text" }, el("summary", {}, "The metrics as text"), text);
  let newest = "";
  const show = () => {
    if (details.open) say(text, newest);
    else say(text, "");
  };
  details.addEventListener("toggle", show);
  byId("more").append(details);
  return {
    read(told) {
      // It would be taken away from who is reading it.
      const isBeingRead = details.open && text.textContent !== "" && (text.scrollTop > 0 || !document.getSelection().isCollapsed);
      newest = `# As of ${time(new Date())}\n${told}`;
      if (!isBeingRead) show();
    },
  };
}
