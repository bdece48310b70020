// What is around every page: where one can go, how the connection is, how many alarms wait, and how it looks.

import { get, Problem, ROOT } from "./api.js";
import { AndonClient } from "../client/andon-client.js";
import { byId, calmly, el, say } from "./dom.js";
import { count, TIME_ZONE, time } from "./format.js";
import { askForToken, knownAs, token } from "./session.js";

const PAGES = [["", "Wall"], ["alarms", "Alarms"], ["system", "System"]];
const THEMES = ["auto", "light", "dark"];
const THEME = "andon.theme";

/** What changes how many alarms wait. */
export const ALARM_TYPES = ["violation", "violation_update", "ack_update"];

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
  byId("footing").append(el("span", {}, `Times in ${TIME_ZONE}`), themeButton());
  tellConnection(client, connection);
  countAlarms(client, waiting);
  client.on("welcome", (message) => knownAs(message.payload.user));
  if (page !== "system") confirmWhatIsShown(client);
  return client;
}

/** Shows an error of a call at the top of the page until somebody puts it away. */
export function complain(error) {
  const text = error instanceof Problem ? error.message : `This page has a fault: ${error.message}`;
  if (!(error instanceof Problem)) console.error(error);
  const box = el("p", { class: "complaint", role: "alert" }, text,
    el("button", { type: "button", onclick: () => box.remove() }, "Close"));
  byId("main").prepend(box);
  while (document.querySelectorAll(".complaint").length > 3) document.querySelector(".complaint:last-of-type").remove();
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

/** Keeps the number beside "Alarms" true: counted by the server, whenever something about alarms has happened. */
function countAlarms(client, badge) {
  const ask = calmly(2_000, async () => {
    try {
      const { total } = await get("violations", { status: "open", acknowledged: false, limit: 1 });
      say(badge, count(total));
      badge.hidden = total === 0;
      badge.setAttribute("aria-label", `${count(total)} open`);
    } catch {
      badge.hidden = true; // the connection says why
    }
  });
  for (const type of [...ALARM_TYPES, "episode", "subscribed", "resumed"]) client.on(type, ask);
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
