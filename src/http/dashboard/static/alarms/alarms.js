// The alarm list: what is open, what belongs together, and what has been. Which of it is seen stands in the address.

import { ROOT } from "../shared/api.js";
import { byId, el } from "../shared/dom.js";
import { count } from "../shared/format.js";
import { complain, shell } from "../shared/shell.js";
import { episodeView } from "./episode.js";
import { episodesView } from "./episodes.js";
import { filterForm } from "./filter-form.js";
import { FIELDS_OF, filterFrom, filterOf } from "./filter.js";
import { historyView } from "./history.js";
import { listenToKeys, showKeys } from "./keys.js";
import { notes as makeNotes } from "./notes.js";
import { openView } from "./open.js";

/** How often it is said anew how long ago things were. */
const TELL_AGO_MS = 15_000;

/** What the views listen to. */
const TYPES = ["violation", "violation_update", "episode", "characteristic_update"];

const NAMES = { open: "Open", episodes: "Episodes", history: "History" };

const client = shell({ page: "alarms" });
const notes = makeNotes();
const form = filterForm({ onChange: filterChanged });
const page = { client, notes, complain, onTotal: tellTitle, onOpen: (id) => go("episodes", id), onLeave: () => go("episodes") };
const views = { open: openView(page), episodes: episodesView(page), history: historyView(page), episode: episodeView(page) };
const tabs = Object.entries(NAMES).map(([view, name]) => el("a", { href: addressOf(view, null, {}), "data-view": view, onclick: (event) => {
  if (event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  go(view);
} }, name));

let view = "open";
let episode = null;
let filter = {};

byId("main").append(el("nav", { class: "views", "aria-label": "Views of the alarms" }, tabs), form.element,
  ...Object.values(views).map(({ element }) => element));
document.body.append(notes.element);

function readAddress() {
  const search = new URLSearchParams(location.search);
  const number = search.get("episode");
  episode = /^[1-9]\d{0,15}$/.test(number ?? "") ? Number(number) : null;
  view = episode ? "episodes" : Object.hasOwn(NAMES, search.get("view") ?? "") ? search.get("view") : "open";
  filter = filterFrom(search);
}

function addressOf(toView, toEpisode, withFilter) {
  const url = new URL("alarms", ROOT);
  if (toView !== "open") url.searchParams.set("view", toView);
  if (toEpisode) url.searchParams.set("episode", toEpisode);
  for (const name of FIELDS_OF[toView]) if (name in withFilter) url.searchParams.set(name, withFilter[name]);
  return url.href;
}

function go(toView, toEpisode = null) {
  view = toView;
  episode = toEpisode;
  history.pushState(null, "", addressOf(view, episode, filter));
  show();
  scrollTo({ top: 0, behavior: "instant" });
  views[shownName()].element.querySelector("h2").focus({ preventScroll: true });
}

function filterChanged(next) {
  filter = next;
  history.replaceState(null, "", addressOf(view, episode, filter));
  views[shownName()].show(filterOf(view, filter));
}

const shownName = () => (episode ? "episode" : view);

function show() {
  const name = shownName();
  for (const [each, { element, hide }] of Object.entries(views)) {
    element.hidden = each !== name;
    if (each !== name) hide();
  }
  for (const tab of tabs) {
    if (tab.dataset.view === view) tab.setAttribute("aria-current", "page");
    else tab.removeAttribute("aria-current");
    tab.href = addressOf(tab.dataset.view, null, filter);
  }
  form.element.hidden = name === "episode";
  form.show(view, filter);
  tellTitle(null);
  views[name].show(name === "episode" ? episode : filterOf(view, filter));
}

function tellTitle(total) {
  document.title = `${view === "open" && total ? `(${count(total)}) ` : ""}${episode ? "Episode" : NAMES[view]} · Alarms · Andon`;
}

addEventListener("popstate", () => {
  readAddress();
  show();
});
setInterval(() => views[shownName()].tell(), TELL_AGO_MS);
listenToKeys(() => ({
  ...views[shownName()].commands,
  help: showKeys,
  search: () => (form.element.hidden ? null : form.search()),
}));

readAddress();
show();
client.subscribe({ all: true, filter: { types: TYPES } });
client.start();
