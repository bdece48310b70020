// The page of one control chart: puts its parts together, and keeps in the address what is looked at.

import { tellAgo } from "../shared/ages.js";
import { get, ROOT } from "../shared/api.js";
import { byId, calmly, el } from "../shared/dom.js";
import { Newest } from "../shared/newest.js";
import { complain, shell } from "../shared/shell.js";
import { ChartPoints } from "./data.js";
import { askAndExclude } from "./exclude.js";
import { listenToHands, listenToKeys } from "./gestures.js";
import { chartHeader } from "./header.js";
import { legend } from "./legend.js";
import { limitsPanel } from "./limits.js";
import { flagsOf, loadPhases, noteList } from "./notes.js";
import { ChartPlot } from "./plot.js";
import { readout } from "./readout.js";
import { pointTable } from "./table.js";
import { toolbar } from "./tools.js";
import { View } from "./view.js";
import { Violations, violationList } from "./violations.js";
import { facts, kindWords, sentence } from "./words.js";

const id = Number(/\/characteristics\/(\d+)\/?$/.exec(location.pathname)?.[1]);
const asked = new URLSearchParams(location.search);
const client = shell({ page: "chart" });

/** What the page knows; each part draws from it. */
const state = { characteristic: null, isGone: false, phases: [], chosen: null, hovered: null, pattern: new Set(), patternChart: null, preview: null };

const points = new ChartPoints(id, () => {
  view.grow(points.newest);
  load();
  if (!view.isFollowing) keepAddress(); // its end may have been loaded only now
  redraw();
});
const view = new View(Number(asked.get("points")) || Math.round(Math.min(innerWidth / 9, 150)), () => {
  points.lookedAt = view.isFollowing ? null : (view.first + view.last) / 2;
  load();
  keepAddress();
  redraw();
});
view.hasOwnSpan = asked.has("points");
const violations = new Violations(id, () => {
  if (state.characteristic) showHead();
  redraw();
}, (error) => tell(error));
const plot = new ChartPlot(byId("plots"), (number) => {
  if (state.hovered === number) return;
  state.hovered = number;
  requestDetails();
  showPoint();
});

const show = {
  head: chartHeader(byId("head"), () => acknowledge(violations.open)),
  legend: legend(byId("legend")),
  table: pointTable(byId("table")),
  notes: noteList(byId("notes"), (sampleId) => goTo(sampleId)),
  violations: violationList(byId("violations"), { choose: (violation) => chooseViolation(violation).catch(tell), acknowledge }),
  point: readout(byId("point"), {
    exclude: (point) => askAndExclude(point),
    acknowledge: (point) => acknowledge(violations.ofSample(point).filter((violation) => !violation.acknowledged)),
    release: () => choose(null),
  }),
};
const showHead = () => show.head(state.characteristic, violations.open.length > 0);
const limits = limitsPanel(byId("limits"), {
  id,
  characteristic: () => state.characteristic,
  preview: (lines) => {
    state.preview = lines;
    redraw();
  },
  numberOf: (sampleId) => points.ofSample(sampleId)?.number ?? null,
});
const tools = toolbar({ id, points, view, asked, openLimits: limits.open, inView: () => points.between(view.first, view.last), keepAddress: () => keepAddress(), characteristic: () => state.characteristic });

plot.onSurface = (surface) => listenToHands(surface, { view, plot, choose: (number) => choose(Math.min(points.last, Math.max(points.first, number))) });
listenToKeys(byId("plots"), { view, choose, chosen: () => state.chosen, ends: () => [Math.max(1, points.first), points.last] });

/**
 * An error of a call; where the process was deleted meanwhile, that is told already, or is to be told. That nobody
 * answers is said by the connection.
 */
function tell(error) {
  if (state.isGone || error.status === 0) return;
  if (error.kind === "unknown_characteristic" && state.characteristic) gone("This characteristic was deleted.");
  else complain(error);
}

/** Sees to it that what is in view is there. */
const load = () => points.ensure(view.first - 1, view.last).catch(tell);

function choose(number) {
  const point = number === null ? null : points.at(number);
  state.chosen = point?.number ?? null;
  if (point) view.reveal(point.number, point.number);
  requestDetails();
  keepAddress();
  redraw();
}

async function goTo(sampleId) {
  try {
    const number = await points.numberOf(sampleId);
    view.reveal(number, number);
    await points.ensure(view.first - 1, view.last);
    choose(number);
  } catch (error) {
    tell(error);
  }
}

async function chooseViolation(violation) {
  violations.chosenId = violation?.id ?? null;
  state.pattern = new Set(violation?.involved_sample_ids ?? []);
  state.patternChart = violation?.chart ?? null;
  keepAddress();
  redraw();
  if (!violation?.sample_id) return;
  const last = await points.numberOf(violation.sample_id);
  const oldest = points.ofSample(Math.min(...violation.involved_sample_ids, violation.sample_id));
  view.reveal(Math.max(1, Math.min(oldest?.number ?? last, last - violation.involved_sample_ids.length + 1)), last);
  await points.ensure(view.first - 1, view.last);
  choose(last);
}

async function acknowledge(chosen) {
  if (chosen.length === 0) return;
  try {
    const { askAndAcknowledge } = await import("../shared/acknowledge.js");
    if (await askAndAcknowledge(chosen)) violations.refresh();
  } catch (error) {
    tell(error);
  }
}

/** Batch, operator and what was answered are asked for when somebody rests on a point. */
const requestDetails = calmly(200, async () => {
  const point = shownPoint();
  if (!point) return;
  try {
    await violations.learnSample(point);
    if (!point.has_details) {
      const { batch, operator } = await get(`samples/${point.sample_id}`);
      Object.assign(point, { batch, operator, has_details: true });
    }
    showPoint();
  } catch {
    // The connection says why; what is known is shown.
  }
});

let isDue = false;

/** Draws with the next frame, however many things have changed. */
function redraw() {
  if (isDue) return;
  isDue = true;
  requestAnimationFrame(() => {
    isDue = false;
    const began = performance.now();
    draw();
    measure(began);
  });
}

/** How long drawing takes, for whoever looks into it; kept for the newest drawings alone. */
function measure(began) {
  if (!state.characteristic) return;
  if (performance.getEntriesByName("chart drawn").length === 0) performance.mark("chart drawn");
  if (performance.getEntriesByName("draw").length > 200) performance.clearMeasures("draw");
  performance.measure("draw", { start: began });
}

let flags = [];

function draw() {
  const { characteristic } = state;
  if (!characteristic) return;
  const shown = points.between(view.first - 1, view.last + 1);
  flags = flagsOf(shown, state.phases, violations.known, characteristic);
  const scene = {
    view: { first: view.first, last: view.last },
    points: shown, specification: specificationOf(characteristic), decimals: characteristic.decimals,
    preview: state.preview, pattern: state.pattern, patternChart: state.patternChart, chosen: state.chosen, flags,
  };
  byId("empty").hidden = points.newest > 0;
  plot.name(kindWords(characteristic.chart));
  plot.draw(scene);
  Object.assign(byId("plots").dataset, { first: shown[0]?.number ?? 0, last: shown.at(-1)?.number ?? 0, pattern: shown.filter((point) => state.pattern.has(point.sample_id)).length });
  show.legend(scene);
  show.notes(flags);
  show.table(shown, characteristic);
  show.violations(violations, characteristic.alarm_state);
  tools.show();
  showPoint();
}

/** What the customer wants is about single measurements: drawn beside means, it would mislead. */
function specificationOf({ chart, usl, lsl, target }) {
  if (chart !== "i_mr") return [];
  return [["USL", usl], ["Target", target], ["LSL", lsl]].filter(([, value]) => value !== null).map(([name, value]) => ({ name, value }));
}

const shownPoint = () => points.at(state.hovered ?? state.chosen ?? NaN) ?? points.at(state.chosen ?? NaN) ?? null;

function showPoint() {
  if (!state.characteristic) return;
  const point = shownPoint();
  const notes = point ? flags.find((flag) => flag.number === point.number)?.notes ?? [] : [];
  const told = (of) => facts(of, state.characteristic, violations.ofSample(of), notes);
  show.point(point, point ? told(point) : [], point !== null && point.number === state.chosen);
  const slider = byId("plots");
  const chosen = points.at(state.chosen ?? NaN);
  slider.setAttribute("aria-valuemin", Math.max(1, points.first));
  slider.setAttribute("aria-valuemax", Math.max(1, points.last));
  slider.setAttribute("aria-valuenow", chosen?.number ?? Math.max(1, points.last));
  slider.setAttribute("aria-valuetext", chosen ? sentence(chosen, told(chosen)) : "No point chosen");
}

const keepAddress = calmly(300, () => {
  const query = new URLSearchParams(tools.query());
  const end = view.isFollowing ? null : points.at(Math.floor(view.last));
  if (end) query.set("until", end.sample_id);
  if (view.hasOwnSpan || end) query.set("points", Math.round(view.span));
  if (violations.chosenId) query.set("violation", violations.chosenId);
  else if (state.chosen !== null && points.at(state.chosen)) query.set("sample", points.at(state.chosen).sample_id);
  const text = query.toString() && `?${query}`;
  if (text !== location.search) history.replaceState(null, "", text || location.pathname);
});

const loads = { characteristic: new Newest(), phases: new Newest() };

async function loadCharacteristic() {
  const isNewest = loads.characteristic.ask();
  const loaded = await get(`characteristics/${id}`);
  if (state.isGone || !isNewest()) return;
  state.characteristic = loaded;
  const { control_limits: inForce, subgroup_size: size } = state.characteristic;
  if (inForce) points.learnLimits(inForce, size);
  showHead();
  redraw();
}

const loadPhasesAnew = async () => {
  const isNewest = loads.phases.ask();
  const phases = await loadPhases(id);
  if (isNewest()) state.phases = phases;
};
const refreshHead = calmly(500, () => loadCharacteristic().catch(tell));
const refreshPoints = calmly(500, () => points.refresh().catch(tell));
const renewPoints = calmly(500, () => points.renew().catch(tell));
const refreshPhases = calmly(500, () => loadPhasesAnew().then(redraw).catch(tell));
let rejudged = null;
const reloadRejudged = calmly(300, () => points.reloadAround(rejudged).catch(tell));

function hear(message) {
  if (message.characteristic_id !== id || !state.characteristic) return; // answers come of all characteristics
  const { type, payload } = message;
  if (type === "control_limits") points.learnLimits(payload, state.characteristic?.subgroup_size ?? 1);
  points.hear(message);
  if (type === "sample") return hearSample(message);
  if (type === "characteristic_update" && payload.changes?.deleted) return gone("This characteristic was deleted.");
  refreshHead();
  if (["violation", "violation_update", "ack_update"].includes(type)) violations.refresh();
  if (type === "control_limits") {
    refreshPhases();
    renewPoints(); // which points were the baseline
  }
  if (type === "sample_update" || type === "violation_update") {
    rejudged = Math.min(payload.sample_id, rejudged ?? Infinity);
    reloadRejudged();
  }
}

let epoch = null;

/** What has happened before is not told unless it is said to be: then everything that is shown is asked for anew. */
function hearSubscribed({ recovered, epoch: present }) {
  if (epoch !== null && present !== epoch) forget();
  epoch = present;
  if (recovered === true) return;
  for (const refresh of [renewPoints, refreshHead, refreshPhases, violations.refresh]) refresh();
}

/** Another log tells of other samples, and of other violations, under the same numbers. */
function forget() {
  Object.assign(state, { chosen: null, hovered: null, pattern: new Set(), patternChart: null, phases: [] });
  for (const load of Object.values(loads)) load.forget(); // it was asked of the former one
  points.clear();
  violations.forget();
  view.toNewest();
}

function hearSample({ payload, skipped }) {
  const { characteristic } = state;
  if (skipped > 0 || points.lacksLimits) refreshPoints();
  if (!characteristic) return;
  const isNews = payload.sample_id > (characteristic.newest_sample?.sample_id ?? 0);
  if (isNews) characteristic.newest_sample = payload;
  const wasActive = characteristic.alarm_state.startsWith("active");
  if (payload.in_control === null || payload.in_control === wasActive) refreshHead();
  else refreshHeadNow();
}

const refreshHeadNow = calmly(100, () => state.characteristic && showHead());

function gone(words) {
  if (state.isGone) return;
  state.isGone = true;
  state.characteristic = null; // nothing is drawn any more
  byId("columns").remove();
  byId("head").append(el("p", {}, words), el("p", {}, el("a", { href: ROOT.href }, "To all processes")));
}

async function start() {
  try {
    await Promise.all([loadCharacteristic(), points.refresh(), loadPhasesAnew()]);
  } catch (error) {
    if (error.status !== 404 && Number.isInteger(id)) {
      tell(error);
      client.start(); // it says whether anybody is there
      setTimeout(start, 3_000); // a server that starts or is busy has an answer later
      return undefined;
    }
    document.title = "No such process · Andon";
    byId("name").textContent = "No such process";
    client.start();
    return gone(`There is no process with the number ${Number.isNaN(id) ? "that this address says" : id}. It may have been deleted.`);
  }
  byId("columns").hidden = false;
  violations.refresh();
  for (const type of ["sample", "violation", "ack_update", "sample_update", "control_limits", "violation_update", "characteristic_update"]) client.on(type, hear);
  client.on("subscribed", hearSubscribed);
  client.subscribe({ characteristic_ids: [id], history: true });
  client.start();
  setInterval(() => {
    if (!state.characteristic) return;
    showHead();
    tellAgo(byId("violations"));
  }, 15_000); // how long ago things were
  return followAddress();
}

async function followAddress() {
  try {
    if (asked.get("until")) {
      const last = await points.numberOf(Number(asked.get("until")));
      view.show(last - view.span + 1, last);
    }
    if (asked.get("violation")) {
      const violation = await violations.one(Number(asked.get("violation")));
      if (violation.characteristic_id !== id) throw new Error(`violation ${violation.id} belongs to another chart`);
      await chooseViolation(violation);
    } else if (asked.get("sample")) await goTo(Number(asked.get("sample")));
    await tools.followAddress();
  } catch (error) {
    tell(error);
  }
}

start();
