// What is around every page: where one can go, how the connection is, how many alarms wait, and how it looks.

import { AndonClient } from "../client/andon-client.js";
import { get, Problem, ROOT } from "./api.js";
import { follow } from "./clock.js";
import { byId, calmly, el, say } from "./dom.js";
import { count, TIME_ZONE, time } from "./format.js";
import { askForToken, forgetToken, knownAs, token } from "./session.js";

const PAGES = [["", "Wall"], ["alarms", "Alarms"], ["system", "System"]];
const THEMES = ["auto", "light", "dark"];
const THEME = "andon.theme";
/** Shown at a time, the newest first. */
const COMPLAINTS = 3;
const COUNT_EVERY_MS = 30_000;

/** What changes how many alarms wait. */
const ALARM_TYPES = ["violation", "violation_update", "ack_update"];

/**
 * Draws what is around the page, and makes its one connection, which the page then subscribes with and starts.
 *
 * @param {{ page: string, client?: Partial<import("../client/andon-client.js").Options> }} options `page`: the path of
 *   the entry that is current, or another word for none
 */
export function shell({ page, client: options = {} }) {
  const client = new AndonClient({ server: ROOT, token, ...options });
  const connection = el("p", { class: "connection", id: "connection", role: "status", "data-state": "connecting" });
  const waiting = el("span", { class: "badge", id: "waiting", hidden: true });
  const links = PAGES.map(([path, name]) =>
    el("a", { href: new URL(path, ROOT).href, "aria-current": path === page ? "page" : null },
      name, path === "alarms" && waiting));
  byId("shell").append(
    el("a", { class: "skip", href: "#main" }, "To the content"),
    el("a", { class: "brand", href: ROOT.href, "aria-label": "Andon, to the wall" }, "Andon"),
    el("nav", { "aria-label": "Pages" }, ...links),
    connection);
  const login = el("span", { id: "login" });
  byId("footing").append(el("span", {}, `Times in ${TIME_ZONE}`), login, themeButton());
  follow(client);
  tellConnection(client, connection);
  countAlarms(client, waiting);
  client.on("welcome", ({ payload: { user } }) => {
    knownAs(user);
    tellLogin(login, user);
  });
  if (page !== "system") confirmWhatIsShown(client);
  return client;
}

/** Shows an error of a call at the top of the page until somebody puts it away; the same one once. */
export function complain(error) {
  const text = error instanceof Problem ? error.message : `This page has a fault: ${error.message}`;
  if (!(error instanceof Problem)) console.error(error);
  const complaints = [...document.querySelectorAll(".complaint")];
  if (complaints.some(({ firstChild }) => firstChild.textContent === text)) return;
  const box = el("p", { class: "complaint", role: "alert" }, el("span", {}, text),
    el("button", { type: "button", onclick: () => box.remove() }, "Close"));
  byId("main").prepend(box);
  complaints.slice(COMPLAINTS - 1).forEach((old) => old.remove());
}

/** Who one is here, and the way out: another token may do more, and the next one at this screen is somebody else. */
function tellLogin(element, user) {
  if (!token()) return element.replaceChildren();
  const signOut = el("button", { type: "button", id: "sign-out", onclick: () => {
    forgetToken();
    location.reload();
  } }, "Sign out");
  return element.replaceChildren(user ? `Signed in as ${user} ` : "", signOut);
}

/** Tells the server which violations have come to a screen that is looked at, as far as a page can know. */
function confirmWhatIsShown(client) {
  let newest = null;
  function confirm() {
    if (newest === null || document.visibilityState === "hidden") return;
    client.received(newest);
    newest = null;
  }
  client.on("violation", ({ seq }) => {
    newest = seq;
    confirm();
  });
  document.addEventListener("visibilitychange", confirm);
}

function tellConnection(client, element) {
  const words = {
    live: () => "Live",
    catching_up: () => "Catching up",
    connecting: () => "Connecting",
    stopped: () => "Stopped",
    refused: () => "Not signed in",
    disconnected: (since) => `Disconnected since ${time(since)}`,
  };
  let lostAt = null; // trying anew does not make the silence shorter
  client.on("state", ({ state, since, reason }) => {
    if (state === "disconnected") lostAt ??= since;
    if (state === "live" || state === "catching_up") lostAt = null;
    const shown = state === "connecting" && lostAt ? "disconnected" : state;
    element.dataset.state = shown;
    say(element, words[shown](lostAt ?? since));
    if (state === "refused") askForToken(reason || "A token is needed to listen.").then(() => client.start());
  });
}

/**
 * Keeps the number beside "Alarms" true: counted by the server, whenever something about alarms is heard, and else once in
 * a while, since a page does not listen to everything.
 */
function countAlarms(client, badge) {
  let newest = 0;
  const ask = calmly(2_000, async () => {
    newest += 1;
    const asking = newest;
    const waiting = { status: "open", acknowledged: false, requires_acknowledgement: true, limit: 1 };
    const total = await get("violations", waiting).then((it) => it.total, () => null);
    if (asking !== newest) return;
    say(badge, total === null ? "?" : count(total));
    badge.hidden = total === 0;
    badge.setAttribute("aria-label", total === null ? "how many wait for an answer is not known" : `${count(total)} wait for an answer`);
  });
  for (const type of [...ALARM_TYPES, "episode", "subscribed", "resumed"]) client.on(type, ask);
  setInterval(() => document.visibilityState === "visible" && client.state === "live" && ask(), COUNT_EVERY_MS);
}

function themeButton() {
  let theme = THEMES.includes(localStorage.getItem(THEME)) ? localStorage.getItem(THEME) : "auto";
  const button = el("button", { type: "button", class: "quiet", id: "theme", onclick: next });
  function show() {
    if (theme === "auto") delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = theme;
    say(button, `Appearance: ${theme}`);
    document.dispatchEvent(new Event("themechange"));
  }
  function next() {
    theme = THEMES[(THEMES.indexOf(theme) + 1) % THEMES.length];
    localStorage.setItem(THEME, theme);
    show();
  }
  show();
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", show);
  return button;
}
