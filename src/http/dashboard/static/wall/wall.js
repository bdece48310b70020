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
/** The server has said what there is. */
let isAnswered = false;

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
const rest = el("span", { role: "status" });
const showMore = el("button", { type: "button", onclick: showOthers });
const more = el("p", { id: "more", tabindex: "-1", hidden: true }, rest, " ", showMore);
byId("wall").append(empty, tiles, more);
const board = new Board(tiles, answer);
const arrange = calmly(ARRANGED_EVERY_MS, place);

/** Puts on the wall what is to be seen of the plant now. */
function place() {
  const about = [...plant.processes].filter((process) => filter.isAbout(process));
  const wanted = about.filter((process) => filter.shows(process));
  const shown = mostUrgent(wanted, most);
  const focused = wanted.find(({ id }) => id === board.focusedId);
  if (focused && !shown.includes(focused)) shown.push(focused); // what somebody is at stays
  board.show(shown);
  const { unheard } = plant;
  headline.tell(about, unheard);
  filter.tellStates(about);
  filter.offerGroups(plant.processes);
  empty.hidden = wanted.length > 0;
  if (isAnswered) say(empty, nothingShown(unheard));
  const left = wanted.length - shown.length;
  more.hidden = wanted.length <= TILES;
  say(rest, left > 0 ? `The ${count(shown.length)} most urgent of ${count(wanted.length)} processes are shown.` : `All ${count(wanted.length)} processes are shown.`);
  showMore.hidden = left === 0;
  say(showMore, `Show ${count(Math.min(TILES, left))} more`);
}

function nothingShown(unheard) {
  if (unheard > 0) return "Asking how the processes stand …";
  if (states.size > 0) return "Nothing here matches the filter.";
  return "There are no processes yet. What samples are sent of is shown here.";
}

function showOthers() {
  most += TILES;
  place();
  if (showMore.hidden) more.focus();
}

document.addEventListener("keydown", (event) => {
  const isTyping = event.target.closest("input, select, textarea, dialog");
  if (event.key !== "/" || isTyping || event.ctrlKey || event.metaKey || event.altKey) return;
  event.preventDefault();
  filter.search();
});

client.on("subscribed", () => {
  isAnswered = true;
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
