// The wall: every process as a tile, those that need somebody first.
//
// Events change the plant; what is different is said and drawn with the next frame, and only where it is on screen.
// Tiles change places when a state changes, not with every sample.

import { askAndAcknowledge } from "../shared/acknowledge.js";
import { get } from "../shared/api.js";
import { byId, calmly, el, say } from "../shared/dom.js";
import { ALARM_STATES, count } from "../shared/format.js";
import { icon } from "../shared/icons.js";
import { complain, shell } from "../shared/shell.js";
import { Headline } from "./headline.js";
import { Plant } from "./plant.js";
import { POINTS } from "./series.js";
import { Chime } from "./sound.js";
import { Tile } from "./tile.js";
import { byGravity, byName, byUrgency, STATES, urgencyOf } from "./urgency.js";

/** Charts that are read at the same time, for their first points. */
const READS_AT_ONCE = 6;
/** After a chart could not be read. */
const READ_AGAIN_MS = 5_000;
const AGES_EVERY_MS = 10_000;
/** Between two drawings of a tile whose state is the same: nobody reads ten numbers in a second. */
const REST_MS = 250;
/** Tiles drawn with one frame: when many change at once, no frame is late for them. */
const DRAWN_AT_ONCE = 24;

const client = shell({ page: "", client: { alertsOnlyWhileHidden: true } });
const plant = new Plant(client, { changed, gone });
const chime = new Chime();
/** Tiles, and the states in which processes were heard of last, by id. */
const [tiles, states] = [new Map(), new Map()];
const sections = new Map();
const [dirty, toRead] = [new Set(), new Set()];
const filter = readFilter();
let frame = null;
let reading = 0;

const headline = new Headline(byId("headline"), client);
const choices = el("div", { class: "states", role: "group", "aria-label": "Show only" });
const search = el("input", { type: "search", id: "search", placeholder: "Name, key, group or tag", value: filter.q, "aria-label": "Search" });
const groups = el("select", { id: "group", "aria-label": "Group" });
const fullScreen = el("button", { type: "button", onclick: toggleFullScreen }, "Full screen");
const empty = el("p", { class: "soft", id: "empty" }, "Waiting for the server …");
byId("tools").append(choices, search, groups, chime.button, fullScreen);
byId("wall").append(empty);
const stateButtons = new Map(STATES.map((state) => [state, stateButton(state)]));
choices.append(...[...stateButtons.values()].map(({ button }) => button));
fullScreen.hidden = !document.fullscreenEnabled;

const visibility = new IntersectionObserver((entries) => {
  for (const { target, isIntersecting } of entries) {
    const tile = tiles.get(Number(target.dataset.id));
    if (!tile) continue;
    tile.isVisible = isIntersecting;
    if (isIntersecting) want(tile);
  }
}, { rootMargin: "200px" });
const arrange = calmly(200, () => {
  placeTiles();
  headline.tell([...plant.processes].filter(isOfPlace));
  tellGroups();
});

search.addEventListener("input", () => {
  filter.q = search.value;
  keepFilter();
});
groups.addEventListener("change", () => {
  filter.group = groups.value;
  keepFilter();
});
document.addEventListener("keydown", (event) => {
  const isTyping = event.target.closest("input, select, textarea, dialog");
  if (event.key !== "/" || isTyping || event.ctrlKey || event.metaKey || event.altKey) return;
  event.preventDefault();
  search.focus();
});
setInterval(() => {
  for (const tile of tiles.values()) if (tile.isVisible) want(tile);
}, AGES_EVERY_MS);

client.on("subscribed", () => {
  say(empty, "There are no processes yet. What samples are sent of is shown here.");
  arrange();
});
client.subscribe({ all: true, history: true, snapshot: true }); // what is judged of the past changes how a process stands
client.start();

/** The plant has heard something of a process. */
function changed(process, isAlarm) {
  const { id, alarmState: state } = process;
  const before = states.get(id);
  states.set(id, state);
  if (!tiles.has(id)) {
    const tile = new Tile(process, { answer });
    tiles.set(id, tile);
    visibility.observe(tile.element);
  }
  if (isAlarm || before !== state) arrange();
  // A first snapshot tells how it was already; only what happens now is heard.
  if (state === "active_unacked" && before && before !== state) chime.play();
  want(tiles.get(id), process);
}

function gone(id) {
  const tile = tiles.get(id);
  if (!tile) return;
  visibility.unobserve(tile.element);
  tile.element.remove();
  tiles.delete(id);
  states.delete(id);
  dirty.delete(tile);
  toRead.delete(tile);
  arrange();
}

async function answer(process) {
  try {
    await askAndAcknowledge(process.waiting.reverse());
  } catch (error) {
    complain(error);
  }
}

/** To be said and drawn with the next frame, if it is on screen. */
function want(tile, process = tile.process) {
  tile.process = process;
  dirty.add(tile);
  frame ??= requestAnimationFrame(draw);
}

function draw(now) {
  frame = null;
  let drawn = 0;
  for (const tile of dirty) {
    if (drawn === DRAWN_AT_ONCE) break; // the others with the next frame
    const isNews = tile.element.dataset.alarm !== states.get(tile.process.id);
    if (tile.isVisible && !isNews && now - tile.drawnAt < REST_MS) continue;
    dirty.delete(tile);
    if (!tile.isVisible) continue; // said when it comes on screen
    tile.drawnAt = now;
    drawn += 1;
    tile.update(tile.process);
    const { series } = tile.process;
    if (series.isStale && series.mayReadAt <= now) toRead.add(tile);
  }
  if (dirty.size > 0) frame ??= requestAnimationFrame(draw);
  readNext();
}

/** Reads the first points of what is on screen, a few charts at a time. */
function readNext() {
  while (reading < READS_AT_ONCE && toRead.size > 0) {
    const tile = toRead.values().next().value;
    toRead.delete(tile);
    reading += 1;
    read(tile).finally(() => {
      reading -= 1;
      readNext();
    });
  }
}

async function read(tile) {
  const { series, id } = tile.process;
  series.isStale = false; // what makes it stale meanwhile is read again
  try {
    series.fill((await get(`characteristics/${id}/chart-data`, { limit: POINTS })).points);
  } catch {
    series.isStale = true;
    series.mayReadAt = performance.now() + READ_AGAIN_MS;
    return;
  }
  want(tile);
}

/** Sections by their gravest process, tiles by how much they need somebody. */
function placeTiles() {
  const byGroup = new Map();
  const totals = Object.fromEntries(STATES.map((state) => [state, 0]));
  let shown = 0;
  for (const tile of tiles.values()) {
    const state = tile.process.alarmState;
    const isMeant = isOfPlace(tile.process);
    if (isMeant) totals[state] += 1;
    const isShown = isMeant && (!filter.state || filter.state === state);
    tile.element.hidden = !isShown;
    if (!isShown) continue;
    shown += 1;
    const group = tile.process.definition.group ?? "";
    if (!byGroup.has(group)) byGroup.set(group, []);
    byGroup.get(group).push({ tile, urgency: urgencyOf(tile.process) });
  }
  for (const [state, { button, number }] of stateButtons) {
    say(number, count(totals[state]));
    button.hidden = totals[state] === 0 && filter.state !== state;
    button.setAttribute("aria-pressed", String(filter.state === state));
  }
  const focused = document.activeElement;
  const ordered = [...byGroup].map(([group, members]) => ({ group, members: members.sort((a, b) => byUrgency(a.urgency, b.urgency)) }));
  // What belongs to no group comes last of those that are as urgent.
  const place = ({ group }) => Number(group === "");
  ordered.sort((a, b) =>
    byGravity(a.members[0].urgency, b.members[0].urgency) || place(a) - place(b) || byName(a.group, b.group));
  inOrder(byId("wall"), [empty, ...ordered.map(({ group }) => section(group).element)]);
  for (const { group, members } of ordered) inOrder(section(group).list, members.map(({ tile }) => tile.element));
  for (const [group, { element }] of sections) {
    if (byGroup.has(group)) continue;
    element.remove();
    sections.delete(group);
  }
  if (focused !== document.activeElement && focused?.isConnected) focused.focus({ preventScroll: true });
  empty.hidden = shown > 0;
  if (tiles.size > 0) say(empty, "Nothing here matches the filter.");
}

/** Puts children in this order, moving only those that stand elsewhere. */
function inOrder(parent, children) {
  let next = parent.firstElementChild;
  for (const child of children) {
    if (child === next) next = next.nextElementSibling;
    else parent.insertBefore(child, next);
  }
}

function section(group) {
  if (!sections.has(group)) {
    const list = el("ul", { class: "tiles" });
    const title = el("h2", {}, group ? group.split("/").join(" › ") : "Without a group");
    sections.set(group, { element: el("section", { class: "group" }, title, list), list });
  }
  return sections.get(group);
}

/** Whether the wall is about this process at all, in whatever state it is. */
function isOfPlace({ definition }) {
  const group = definition.group ?? "";
  if (filter.group && group !== filter.group && !group.startsWith(`${filter.group}/`)) return false;
  const told = [definition.name, definition.key ?? "", group, ...definition.tags].join("\n").toLowerCase();
  return told.includes(filter.q.trim().toLowerCase());
}

function tellGroups() {
  const paths = new Set();
  for (const { process } of tiles.values()) {
    const parts = process.definition.group?.split("/") ?? [];
    parts.forEach((_, index) => paths.add(parts.slice(0, index + 1).join("/")));
  }
  if (filter.group) paths.add(filter.group);
  const wanted = ["", ...[...paths].sort()];
  if (wanted.join("\n") === [...groups.options].map((option) => option.value).join("\n")) return;
  groups.replaceChildren(...wanted.map((path) => el("option", { value: path }, path || "All groups")));
  groups.value = filter.group;
}

function stateButton(state) {
  const number = el("span", { class: "count" }, "0");
  const button = el("button", { type: "button", "data-alarm": state, title: ALARM_STATES[state].explanation, onclick: choose },
    el("span", { class: "state" }, icon(ALARM_STATES[state].shape), number, ALARM_STATES[state].word));
  function choose() {
    filter.state = filter.state === state ? "" : state;
    keepFilter();
  }
  return { button, number };
}

function readFilter() {
  const query = new URLSearchParams(location.search);
  const state = query.get("state") ?? "";
  return { q: query.get("q") ?? "", group: query.get("group") ?? "", state: STATES.includes(state) ? state : "" };
}

/** What is shown stands in the address, so that it can be sent to somebody. */
function keepFilter() {
  const query = new URLSearchParams(Object.entries(filter).filter(([, value]) => value));
  history.replaceState(null, "", query.size > 0 ? `?${query}` : location.pathname);
  arrange();
}

function toggleFullScreen() {
  const change = document.fullscreenElement ? document.exitFullscreen() : document.documentElement.requestFullscreen();
  change.catch(() => {}); // the browser does not want to
}
