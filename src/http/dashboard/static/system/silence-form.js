// Begins a silence: of which processes nobody is told, for how long, and why.

import { get, post } from "../shared/api.js";
import { el } from "../shared/dom.js";
import { actor, ask } from "./ask.js";
import { picker } from "./picker.js";

const LENGTHS = [[15, "15 minutes"], [30, "30 minutes"], [60, "1 hour"], [120, "2 hours"], [240, "4 hours"], [480, "8 hours"], [1_440, "24 hours"]];
const OTHER = "other";

/** @param {{ receivers: string[], begun: () => void }} options `receivers`: the names that are known */
export function beginSilence({ receivers, begun }) {
  const groups = picker({ id: "silence-groups", label: "Groups", hint: "with all that is below them", find: findGroups });
  const characteristics = picker({ id: "silence-characteristics", label: "Characteristics", find: findCharacteristics });
  const tags = el("input", { id: "silence-tags", autocomplete: "off", "aria-describedby": "silence-tags-hint" });
  const told = receivers.map((name, index) => ({ name, box: el("input", { type: "checkbox", id: `silence-receiver-${index}` }) }));
  const severity = el("select", { id: "silence-severity" },
    el("option", { value: "" }, "all alarms"), el("option", { value: "WARNING" }, "warnings and less; critical ones are told"), el("option", { value: "INFO" }, "infos only"));
  const length = el("select", { id: "silence-length", onchange: tellLength },
    ...LENGTHS.map(([minutes, text]) => el("option", { value: minutes, selected: minutes === 60 }, text)), el("option", { value: OTHER }, "until a certain time"));
  const until = el("input", { id: "silence-until", type: "datetime-local" });
  const untilField = el("div", { hidden: true }, el("label", { for: "silence-until" }, "Until"), until);
  const reason = el("input", { id: "silence-reason", required: true, maxlength: "200", autocomplete: "off" });
  const who = actor();

  function tellLength() {
    untilField.hidden = length.value !== OTHER;
    until.required = !untilField.hidden;
  }

  return ask({
    title: "Tell nobody for a while",
    content: [
      el("p", { class: "soft" }, "What happens is recorded and shown as ever; it is held back from mails and other receivers, and told afterwards if it still waits for an answer. Of what you name, all has to hold."),
      groups.element,
      characteristics.element,
      el("label", { for: "silence-tags" }, "Tags"), tags, el("small", { class: "soft", id: "silence-tags-hint" }, "several with commas"),
      told.length > 0 && el("fieldset", {}, el("legend", {}, "Only what goes to"),
        ...told.map(({ name, box }) => el("label", { class: "choice", for: box.id }, box, ` ${name}`))),
      el("label", { for: "silence-severity" }, "How severe"), severity,
      el("label", { for: "silence-length" }, "For how long"), length, untilField,
      el("label", { for: "silence-reason" }, "Reason"), reason,
      ...who.content,
    ].filter(Boolean),
    action: "Begin the silence",
    async act() {
      await post("silences", {
        characteristic_ids: characteristics.values(),
        groups: groups.values(),
        tags: tags.value.split(",").map((tag) => tag.trim()).filter(Boolean),
        receivers: told.filter(({ box }) => box.checked).map(({ name }) => name),
        max_severity: severity.value || undefined,
        reason: reason.value.trim(),
        ...(length.value === OTHER ? { ends_at: new Date(until.value).toISOString() } : { minutes: Number(length.value) }),
        user: who.name(),
      });
      who.keep();
      begun();
    },
  });
}

async function findCharacteristics(text) {
  const { items } = await get("characteristics", { q: text, limit: 10 });
  return items.map(({ id, name, group }) => ({ value: id, name: group ? `${name} (${group})` : name }));
}

async function findGroups(text) {
  const { groups } = await get("groups");
  const paths = [];
  const visit = (group) => {
    paths.push(group.path);
    group.groups.forEach(visit);
  };
  groups.forEach(visit);
  const sought = text.toLowerCase();
  return paths.filter((path) => path.toLowerCase().includes(sought)).map((path) => ({ value: path, name: path }));
}
