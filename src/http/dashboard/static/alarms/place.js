// Changes a list above and below of what somebody reads, while that stays where it is on the screen.
//
// Browsers do something like it by themselves, but not all of them, and none for the row under the pointer. Where the page
// is too short to scroll, room is made below it, which goes again when it is scrolled away.

import { el } from "../shared/dom.js";

let room = null;

/**
 * Changes the rows of a table's body.
 *
 * @param {HTMLElement} body @param {() => void} change
 */
export function keepingPlace(body, change) {
  const held = heldRow(body);
  if (!held) return change();
  // Where the row itself goes, the one that takes its place shall come to where it was.
  const heirs = [held, ...following(held), ...preceding(held)].slice(0, 50);
  const top = held.getBoundingClientRect().top;
  change();
  const stays = heirs.find((row) => row.isConnected);
  if (stays) scrollDownBy(stays.getBoundingClientRect().top - top);
}

/** The row that the reader has to do with: by focus, by pointer, or since the page is scrolled to it. */
function heldRow(body) {
  const focused = document.activeElement?.closest("tr");
  if (focused && body.contains(focused) && isOnScreen(focused)) return focused;
  const pointed = body.querySelector("tr:hover");
  if (pointed) return pointed;
  if (scrollY === 0 || body.getBoundingClientRect().top >= 0) return null;
  return [...body.rows].find((row) => row.getBoundingClientRect().bottom > 0) ?? null;
}

function isOnScreen(row) {
  const { top, bottom } = row.getBoundingClientRect();
  return bottom > 0 && top < innerHeight;
}

function* following(row) {
  for (let next = row.nextElementSibling; next; next = next.nextElementSibling) yield next;
}

function* preceding(row) {
  for (let next = row.previousElementSibling; next; next = next.previousElementSibling) yield next;
}

function scrollDownBy(distance) {
  if (distance === 0) return;
  const end = scrollY + distance + innerHeight;
  if (end > document.documentElement.scrollHeight) {
    room ??= document.body.appendChild(el("div", { class: "room", "aria-hidden": "true" }));
    reach(Math.ceil(end));
  }
  scrollBy({ top: distance, behavior: "instant" });
}

/** Takes away the room below that nobody sees any more. */
export function settlePlace() {
  if (!room) return;
  const end = Math.ceil(scrollY + innerHeight);
  if (end < Number.parseFloat(room.style.top)) reach(end);
}

const reach = (end) => {
  room.style.top = `${end - 1}px`;
};
