// The wall: every process as a tile, those that need somebody first. Events change the plant, the plant is put on the board.

import { askAndAcknowledge } from "../shared/acknowledge.js";
import { byId, calmly, el, say } from "../shared/dom.js";
import { count } from "../shared/format.js";
import { complain, shell } from "../shared/shell.js";
import { Board } from "./board.js";
import { Filter } from "./filter.js";
import { Headline } from "./headline.js";
import { Plant } from "./plant.js";
import { Chime } from "./sound.js";
import { mostUrgent } from "./urgency.js";

/** Tiles that stand on the wall, until somebody wants more: nobody looks through thousands. */
const TILES = 500;
/** Between two arrangements of the board. */
const ARRANGED_EVERY_MS = 200;

const client = shell({ page: "", client: { alertsOnlyWhileHidden: true } });
const plant = new Plant(client, { changed, gone });
const chime = new Chime();
/** In which state each process was when it was heard of last. */
const states = new Map();
let most = TILES;

const headline = new Headline(byId("headline"), client);
const filter = new Filter(() => {
  most = TILES;
  arrange();
});
const fullScreen = el("button", { type: "button", onclick: toggleFullScreen }, "Full screen");
fullScreen.hidden = !document.fullscreenEnabled;
byId("tools").append(...filter.elements, chime.button, fullScreen);

const empty = el("p", { class: "soft", id: "empty" }, "Waiting for the server …");
const tiles = el("div", { class: "groups" });
const rest = el("span", {});
const more = el("p", { id: "more", hidden: true }, rest, " ", el("button", { type: "button", onclick: showMore }, `Show ${count(TILES)} more`));
byId("wall").append(empty, tiles, more);
const board = new Board(tiles, answer);

const arrange = calmly(ARRANGED_EVERY_MS, () => {
  const about = [...plant.processes].filter((process) => filter.isAbout(process));
  const wanted = about.filter((process) => filter.shows(process));
  const shown = mostUrgent(wanted, most);
  board.show(shown);
  headline.tell(about);
  filter.tellStates(about);
  filter.offerGroups(plant.processes);
  empty.hidden = wanted.length > 0;
  if (states.size > 0) say(empty, "Nothing here matches the filter.");
  more.hidden = shown.length === wanted.length;
  say(rest, `The ${count(shown.length)} most urgent of ${count(wanted.length)} processes are shown.`);
});

function showMore() {
  most += TILES;
  arrange();
}

document.addEventListener("keydown", (event) => {
  const isTyping = event.target.closest("input, select, textarea, dialog");
  if (event.key !== "/" || isTyping || event.ctrlKey || event.metaKey || event.altKey) return;
  event.preventDefault();
  filter.search();
});

client.on("subscribed", () => {
  say(empty, "There are no processes yet. What samples are sent of is shown here.");
  arrange();
});
client.on("snapshot", () => arrange()); // also one that changes nothing was waited for
client.subscribe({ all: true, history: true, snapshot: true }); // what is judged of the past changes how a process stands
client.start();

/** The plant has heard something of a process. */
function changed(process, isAlarm) {
  const { id, alarmState: state } = process;
  const before = states.get(id);
  states.set(id, state);
  if (isAlarm || before !== state) arrange();
  // A first snapshot tells how it was already; only what happens now is heard.
  if (state === "active_unacked" && before && before !== state) chime.play();
  board.want(process);
}

function gone(id) {
  states.delete(id);
  arrange();
}

async function answer(process) {
  try {
    await askAndAcknowledge(process.waiting.reverse());
  } catch (error) {
    complain(error);
  }
}

function toggleFullScreen() {
  const change = document.fullscreenElement ? document.exitFullscreen() : document.documentElement.requestFullscreen();
  change.catch(() => {}); // the browser does not want to
}
