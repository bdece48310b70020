// Tries whether messages arrive: sends one to every client, and shows those that come here, whoever has sent them.

import { Problem, post } from "../shared/api.js";
import { byId, el, say } from "../shared/dom.js";
import { count, fullTime, severityWord, SEVERITIES, time } from "../shared/format.js";

/** Test messages that are shown. */
const MOST = 20;

export function testing(client) {
  const section = byId("testing");
  const severity = el("select", { id: "test-severity" }, ...SEVERITIES.toReversed().map((word) => el("option", { value: word }, severityWord(word))));
  const message = el("input", { id: "test-message", required: true, maxlength: "4000", autocomplete: "off", value: "A test: please ignore." });
  const send = el("button", { class: "primary" }, "Send to every client");
  const told = el("p", { role: "status" });
  const none = el("p", { class: "soft" }, "No test message has arrived since this page was opened.");
  const list = el("ul", { class: "arrived", "aria-label": "Test messages that arrived" });
  const form = el("form", { class: "bar" },
    el("label", { for: "test-message" }, "Message"), message, el("label", { for: "test-severity" }, "Severity"), severity, send);
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    send.disabled = true;
    say(told, "");
    try {
      const { connections } = await post("broadcast/test", { severity: severity.value, message: message.value });
      say(told, `Sent to ${count(connections)} ${connections === 1 ? "client" : "clients"}.`);
    } catch (error) {
      if (!(error instanceof Problem)) console.error(error);
      say(told, error.message);
    } finally {
      send.disabled = false;
    }
  });
  section.append(form, told, none, list);
  client.on("test", ({ payload }) => {
    none.hidden = true;
    list.prepend(el("li", { title: fullTime(payload.timestamp) },
      el("strong", {}, severityWord(payload.severity)), " ", payload.message, " ",
      el("small", { class: "soft" }, `${payload.user ?? "somebody"}, ${time(payload.timestamp)}`)));
    while (list.children.length > MOST) list.lastChild.remove();
  });
}
