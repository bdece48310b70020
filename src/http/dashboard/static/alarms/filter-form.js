// The form in which people say what of the alarms they want to see.

import { get } from "../shared/api.js";
import { el } from "../shared/dom.js";
import { SEVERITIES, severityWord, TIME_ZONE } from "../shared/format.js";
import { chooseCharacteristic } from "./choose-characteristic.js";
import { FIELDS_OF, filterOf, RULES, STATUSES } from "./filter.js";

/** How long somebody may pause while writing. */
const PAUSE_MS = 350;

/** Groups that are offered. */
const GROUPS = 500;

/**
 * @param {{ onChange: (filter: Record<string, any>) => void }} options
 */
export function filterForm({ onChange }) {
  let view = "open";
  let filter = {};
  let pause = null;
  let written = {}; // what is being written, and is no filter yet

  const characteristic = chooseCharacteristic({ id: "filter-characteristic", onChoose: (id) => set("characteristic", id) });
  const groups = el("datalist", { id: "groups" });
  const rules = el("datalist", { id: "rules" }, RULES.map((name, index) => el("option", { value: index + 1, label: `${index + 1} ${name}` })));
  const inputs = {
    group: el("input", { list: "groups", autocomplete: "off", placeholder: "plant/line4", oninput: onWrite("group") }),
    severity: select("severity", SEVERITIES.map((severity) => [severity, severityWord(severity)])),
    rule: el("input", { list: "rules", inputmode: "numeric", autocomplete: "off", placeholder: "Number", oninput: onWrite("rule") }),
    needs: select("needs", [["answer", "Those that need one"]]),
    status: select("status", Object.entries(STATUSES)),
    by: el("input", { autocomplete: "off", oninput: onWrite("by") }),
    from: el("input", { type: "datetime-local", step: 1, onchange: onTime("from") }),
    to: el("input", { type: "datetime-local", step: 1, onchange: onTime("to") }),
  };
  const labels = {
    characteristic: "Characteristic", group: "Group", severity: "Severity", rule: "Rule", needs: "Answer", status: "Status",
    by: "Acknowledged by", from: `From (${TIME_ZONE})`, to: `Until (${TIME_ZONE})`,
  };
  const fields = {};
  for (const [name, label] of Object.entries(labels)) {
    const input = name === "characteristic" ? characteristic.input : inputs[name];
    input.id = `filter-${name}`;
    fields[name] = el("div", { class: "field", "data-field": name }, el("label", { for: input.id }, label),
      name === "characteristic" ? characteristic.element : input);
  }
  const clear = el("button", { type: "button", id: "filter-clear", onclick: clearAll }, "No filter");
  const summary = el("summary", {}, "Filter");
  const element = el("details", { class: "filters card" }, summary,
    el("form", { role: "search", "aria-label": "Filter of the alarms", onsubmit: (event) => event.preventDefault() },
      Object.values(fields), groups, rules, el("div", { class: "field end" }, clear)));
  element.open = matchMedia("(min-width: 60rem)").matches;
  offerGroups();

  function select(name, options) {
    return el("select", { onchange: (event) => set(name, event.target.value) },
      el("option", { value: "" }, "All"), options.map(([value, word]) => el("option", { value }, word)));
  }

  function onWrite(name) {
    return (event) => {
      clearTimeout(pause);
      const text = event.target.value.trim();
      if (name !== "rule") written[name] = text;
      else if (/^\d{0,9}$/.test(text)) written[name] = text === "" ? "" : Number(text);
      pause = setTimeout(() => change(filter), PAUSE_MS);
    };
  }

  function onTime(name) {
    return (event) => {
      const { value } = event.target;
      set(name, value ? new Date(value).toISOString() : null); // written as the clock here shows it
    };
  }

  function set(name, value) {
    change({ ...filter, [name]: value });
  }

  function change(wanted) {
    clearTimeout(pause);
    const next = Object.fromEntries(Object.entries({ ...wanted, ...written })
      .filter(([, value]) => value !== null && value !== "" && value !== undefined));
    written = {};
    filter = next;
    show(view, next);
    onChange(next);
  }

  function clearAll() {
    written = {};
    change({});
  }

  function show(nextView, next) {
    view = nextView;
    filter = next;
    for (const [name, field] of Object.entries(fields)) field.hidden = !FIELDS_OF[view].includes(name);
    characteristic.show(next.characteristic);
    for (const [name, input] of Object.entries(inputs)) {
      if (document.activeElement === input && input.matches("input")) continue; // it is being written
      input.value = input.type === "datetime-local" ? localTime(next[name]) : next[name] ?? "";
    }
    const inForce = Object.keys(filterOf(view, next)).length;
    clear.hidden = inForce === 0;
    summary.textContent = inForce === 0 ? "Filter" : `Filter (${inForce})`;
  }

  async function offerGroups() {
    const paths = [];
    const collect = (nodes) => {
      for (const { path, groups: inner } of nodes) {
        if (paths.length < GROUPS) paths.push(path);
        collect(inner);
      }
    };
    try {
      collect((await get("groups")).groups);
    } catch {
      return; // they can still be written
    }
    groups.replaceChildren(...paths.map((path) => el("option", { value: path })));
  }

  return {
    element,
    show,
    /** Puts the focus where a characteristic is searched. */
    search() {
      element.open = true;
      characteristic.input.focus();
      characteristic.input.select();
    },
  };
}

/** A time as the field wants it: as the clock here shows it. */
function localTime(instant) {
  if (!instant) return "";
  const date = new Date(instant);
  const two = (part) => String(part).padStart(2, "0");
  const day = [date.getFullYear(), two(date.getMonth() + 1), two(date.getDate())].join("-");
  return `${day}T${[date.getHours(), date.getMinutes(), date.getSeconds()].map(two).join(":")}`;
}
