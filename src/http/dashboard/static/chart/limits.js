// New control limits: calculated from samples or set by hand, looked at before they are put in force.
//
// It is no dialog that covers the page: the preview is drawn on the chart meanwhile.

import { post, put } from "../shared/api.js";
import { el } from "../shared/dom.js";
import { count, number } from "../shared/format.js";
import { signature } from "./exclude.js";
import { limitDecimals, methodWords } from "./words.js";

const LISTED = 20;

/**
 * @param {HTMLElement} box hidden until it is opened
 * @param {{ id: number, characteristic: () => object, preview: (limits: object | null) => void, numberOf: (sampleId: number) => number | null }} chart
 *   `numberOf`: of a sample that is loaded
 */
export function limitsPanel(box, { id, characteristic, preview, numberOf }) {
  let opener = null;
  let asking = null; // the preview that is on its way: forgotten as soon as it is not wanted any more
  let how = "calculate";

  function open(from) {
    opener = from;
    how = "calculate";
    draw();
    box.hidden = false;
    box.querySelector('[aria-pressed="true"]').focus();
    box.scrollIntoView({ block: "nearest" });
  }

  function close() {
    asking = null;
    preview(null);
    box.hidden = true;
    box.replaceChildren();
    opener?.focus();
  }

  function draw() {
    asking = null;
    preview(null);
    const ways = [["calculate", "Calculate from samples"], ["hand", "Set by hand"]];
    const tabs = ways.map(([way, words]) => el("button", { type: "button", "aria-pressed": String(way === how), onclick: () => {
      how = way;
      draw();
      box.querySelector('[aria-pressed="true"]').focus();
    } }, words));
    const form = how === "calculate" ? calculation() : byHand();
    box.replaceChildren(el("h2", {}, "Control limits"), el("div", { class: "bar", role: "group", "aria-label": "How" }, ...tabs), form);
  }

  function calculation() {
    const { chart } = characteristic();
    const which = select("limits-which", [["phase", "All points of the present phase"], ["last_n", "The newest points"], ["range", "A range of dates"]]);
    const newest = field("limits-newest", "How many", { type: "number", min: "2", max: "50000", value: "100" });
    const from = field("limits-from", "From", { type: "datetime-local", step: "1" });
    const to = field("limits-to", "To", { type: "datetime-local", step: "1" });
    const least = field("limits-least", "At least so many samples", { type: "number", min: "2", max: "50000", value: "25" });
    const methods = [["", "As the chart does"], ...(chart === "i_mr" ? ["moving_range", "std_dev"] : ["range", "std_dev"]).map((name) => [name, methodWords(name)])];
    const method = select("limits-method", methods);
    const leaveOut = el("input", { type: "checkbox", id: "limits-leave-out" });
    const reason = field("limits-reason", "Reason", { maxlength: "200" });
    const user = signature("limits-user");
    const result = el("div", { class: "result", "aria-live": "polite" });
    const show = () => {
      newest.box.hidden = which.value !== "last_n";
      from.box.hidden = to.box.hidden = which.value !== "range";
      forget();
    };
    const forget = () => {
      asking = null;
      preview(null);
      result.replaceChildren();
    };
    which.addEventListener("change", show);
    show();
    const asked = () => ({
      ...(which.value === "last_n" && { last_n: newest.input.valueAsNumber }),
      ...(which.value === "range" && from.input.value && { from: new Date(from.input.value).toISOString() }),
      ...(which.value === "range" && to.input.value && { to: new Date(to.input.value).toISOString() }),
      min_samples: least.input.valueAsNumber,
      ...(method.value && { method: method.value }),
      exclude_out_of_control: leaveOut.checked,
    });
    const calculate = async (body) => post(`characteristics/${id}/control-limits/recalculate`, body);
    const form = el("form", { class: "limits-form" },
      el("div", {}, el("label", { for: "limits-which" }, "From which points"), which),
      newest.box, from.box, to.box, least.box,
      el("div", {}, el("label", { for: "limits-method" }, "Sigma from"), method),
      el("label", { class: "choice", for: "limits-leave-out" }, leaveOut, " Leave out points beyond the limits they would make"),
      el("div", { class: "actions" }, el("button", { type: "button", onclick: close }, "Cancel"), el("button", { class: "primary" }, "Preview")),
      result);
    form.addEventListener("input", (event) => {
      if (!result.contains(event.target)) forget(); // what was calculated is about something else
    });
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      attempt(result, async () => {
        const body = asked();
        asking = body;
        const found = await calculate({ ...body, preview: true }).catch((error) => {
          if (asking === body) throw error;
        });
        if (asking !== body) return; // the answer is about something else
        preview(found.after);
        const put_in_force = el("button", { type: "button", class: "primary" }, "Put in force");
        put_in_force.addEventListener("click", () => once(form, result, async () => {
          if (!reportValidity(result)) return;
          await calculate({ ...body, ...(reason.input.value.trim() && { reason: reason.input.value.trim() }), ...user.given() });
          if (form.isConnected) close();
        }, false));
        result.replaceChildren(
          comparison(found, characteristic()), ...baselineWords(found, numberOf),
          ...(found.calculation.changed ? [reason.box, el("div", {}, ...user.parts),
            el("div", { class: "actions" }, el("button", { type: "button", onclick: close }, "Cancel"), put_in_force)] : [el("p", {}, "These are the limits in force already.")]));
      });
    });
    return form;
  }

  function byHand() {
    const limits = characteristic().control_limits;
    const center = field("limits-center", "Center line", { type: "number", step: "any", required: true, value: limits?.center_line });
    const upper = field("limits-ucl", "Upper control limit", { type: "number", step: "any", value: limits?.ucl });
    const lower = field("limits-lcl", "Lower control limit", { type: "number", step: "any", value: limits?.lcl });
    const sigma = field("limits-sigma", "Or sigma of single values, in place of both limits", { type: "number", step: "any" });
    const reason = field("limits-hand-reason", "Reason", { maxlength: "200" });
    const user = signature("limits-hand-user");
    const result = el("div", { class: "result", "aria-live": "polite" });
    const asked = () => {
      const center_line = center.input.valueAsNumber;
      if (sigma.input.value !== "") return { center_line, sigma: sigma.input.valueAsNumber };
      return { center_line, ucl: upper.input.valueAsNumber, lcl: lower.input.valueAsNumber };
    };
    const form = el("form", { class: "limits-form" },
      center.box, upper.box, lower.box, sigma.box, reason.box, el("div", {}, ...user.parts),
      el("p", { class: "soft wide" }, "Dashed lines on the chart show them. Control limits tell what the process does; what the customer wants is the specification."),
      result,
      el("div", { class: "actions" }, el("button", { type: "button", onclick: close }, "Cancel"), el("button", { class: "primary" }, "Put in force")));
    const show = () => {
      const { center_line, ucl, lcl, sigma: width } = asked();
      const reach = (3 * width) / Math.sqrt(characteristic().subgroup_size);
      const lines = width ? { center_line, ucl: center_line + reach, lcl: center_line - reach } : { center_line, ucl, lcl };
      preview(Object.values(lines).every(Number.isFinite) ? { ...lines, dispersion: null } : null);
    };
    form.addEventListener("input", show);
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      once(form, result, async () => {
        await put(`characteristics/${id}/control-limits`, { ...asked(), ...(reason.input.value.trim() && { reason: reason.input.value.trim() }), ...user.given() });
        if (form.isConnected) close();
      });
    });
    return form;
  }

  box.addEventListener("keydown", (event) => {
    if (event.key === "Escape") close();
  });
  return { open, close };
}

/** Puts limits in force, once at a time. The button stays enabled: it would lose the focus, and Escape go nowhere. */
async function once(form, result, call, clears) {
  if (form.ariaBusy === "true") return;
  form.ariaBusy = "true";
  await attempt(result, call, clears);
  form.ariaBusy = "false";
}

/** Runs an attempt; an error is told in the panel, as the server says it. */
async function attempt(result, call, clears = true) {
  result.querySelector(".complaint")?.remove();
  try {
    await call();
  } catch (error) {
    const told = el("p", { class: "complaint", role: "alert" }, error.message);
    if (clears) result.replaceChildren(told);
    else result.prepend(told);
  }
}

function reportValidity(within) {
  return [...within.querySelectorAll("input")].every((input) => input.reportValidity());
}

function comparison({ before, after }, { decimals, unit }) {
  const fine = limitDecimals(decimals);
  const rows = [["Upper control limit", "ucl"], ["Center line", "center_line"], ["Lower control limit", "lcl"], ["Sigma of single values", "sigma"]]
    .map(([name, field]) => [name, before?.[field], after[field]]);
  if (after.dispersion) {
    for (const [name, field] of [["Dispersion: upper limit", "ucl"], ["Dispersion: center line", "center_line"], ["Dispersion: lower limit", "lcl"]]) {
      rows.push([name, before?.dispersion?.[field], after.dispersion[field]]);
    }
  }
  return el("div", { class: "scroll" }, el("table", {},
    el("caption", {}, `Before and after${unit ? `, in ${unit}` : ""}`),
    el("thead", {}, el("tr", {}, el("td", {}), el("th", { scope: "col", class: "number" }, "In force"), el("th", { scope: "col", class: "number" }, "Calculated"))),
    el("tbody", {}, ...rows.map(([name, old, fresh]) => el("tr", {}, el("th", { scope: "row" }, name),
      el("td", { class: "number" }, number(old, fine)), el("td", { class: "number" }, number(fresh, fine)))))));
}

function baselineWords({ baseline, calculation, after }, numberOf) {
  const named = (ids) => {
    const words = ids.slice(0, LISTED).map((id) => (numberOf(id) ? count(numberOf(id)) : `sample ${id}`));
    return `${words.join(", ")}${ids.length > LISTED ? ` and ${count(ids.length - LISTED)} more` : ""}`;
  };
  const words = [`Calculated from ${count(after.sample_count ?? baseline.n)} samples, points ${named([baseline.first_sample_id])} to ${named([baseline.last_sample_id])}; sigma from the ${methodWords(calculation.method)}.`];
  if (baseline.left_out.length) words.push(`Left out, since they lay beyond the limits: ${count(baseline.left_out.length)} (${named(baseline.left_out)}).`);
  words.push(baseline.signals.length
    ? `Under these limits ${count(baseline.signals.length)} of them would signal: ${named(baseline.signals.map((signal) => signal.sample_id))}. Limits from a process that is not stable promise too much.`
    : "None of them would signal under these limits.");
  return words.map((text) => el("p", {}, text));
}

function field(id, label, attributes) {
  const input = el("input", { id, ...attributes });
  return { input, box: el("div", {}, el("label", { for: id }, label), input) };
}

const select = (id, options) => el("select", { id }, ...options.map(([value, words]) => el("option", { value }, words)));
