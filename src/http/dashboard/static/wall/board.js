// The tiles of what is shown, in sections by group, the most urgent first.
//
// What is different is said and drawn with the next frame, and only where it is on screen. Tiles change places when a state
// changes, not with every sample. A process has a tile only while it is among the most urgent of what is shown.

import { el } from "../shared/dom.js";
import { FirstPoints } from "./first-points.js";
import { Tile } from "./tile.js";
import { byGravity, byName, byUrgency, urgencyOf } from "./urgency.js";

const AGES_EVERY_MS = 10_000;
/** Between two drawings of a tile whose state is the same: nobody reads ten numbers in a second. */
const REST_MS = 250;
/** Tiles drawn with one frame: when many change at once, no frame is late for them. */
const DRAWN_AT_ONCE = 24;

export class Board {
  /** By the id of the characteristic. */
  #tiles = new Map();
  /** By the group's path. */
  #sections = new Map();
  #dirty = new Set();
  #frame = null;
  #root;
  #answer;
  #firstPoints = new FirstPoints((process) => this.want(process));
  #visibility = new IntersectionObserver((entries) => {
    for (const { target, isIntersecting } of entries) {
      const tile = this.#tiles.get(Number(target.dataset.id));
      if (!tile) continue;
      tile.isVisible = isIntersecting;
      if (isIntersecting) this.#wantTile(tile);
    }
  }, { rootMargin: "200px" });

  /**
   * @param {HTMLElement} root its sections stand in here
   * @param {(process: import("./process.js").Process) => void} answer somebody wants to answer its alarm
   */
  constructor(root, answer) {
    this.#root = root;
    this.#answer = answer;
    setInterval(() => {
      for (const tile of this.#tiles.values()) this.#wantTile(tile);
    }, AGES_EVERY_MS);
  }

  /** Shows these processes, and no others. */
  show(processes) {
    const focused = document.activeElement;
    const shown = new Set(processes.map(({ id }) => id));
    for (const id of [...this.#tiles.keys()]) if (!shown.has(id)) this.#remove(id);
    const byGroup = new Map();
    for (const process of processes) {
      const group = process.definition.group ?? "";
      if (!byGroup.has(group)) byGroup.set(group, []);
      byGroup.get(group).push({ process, urgency: urgencyOf(process) });
    }
    const ordered = [...byGroup].map(([group, members]) => ({ group, members: members.sort((a, b) => byUrgency(a.urgency, b.urgency)) }));
    // What belongs to no group comes last of those that are as urgent.
    const place = ({ group }) => Number(group === "");
    ordered.sort((a, b) =>
      byGravity(a.members[0].urgency, b.members[0].urgency) || place(a) - place(b) || byName(a.group, b.group));
    for (const [group, { element }] of this.#sections) {
      if (byGroup.has(group)) continue;
      element.remove();
      this.#sections.delete(group);
    }
    inOrder(this.#root, ordered.map(({ group }) => this.#section(group).element));
    for (const { group, members } of ordered) {
      const { element, list } = this.#section(group);
      element.dataset.size = members.length;
      inOrder(list, members.map(({ process }) => this.#tileOf(process).element));
    }
    if (focused !== document.activeElement && focused?.isConnected) focused.focus({ preventScroll: true });
  }

  /** Something is new about a process: said and drawn with the next frame, if its tile is on screen. */
  want(process) {
    const tile = this.#tiles.get(process.id);
    if (tile?.process === process) this.#wantTile(tile);
  }

  /** The id of the process whose tile has the focus, or undefined. */
  get focusedId() {
    const id = document.activeElement?.closest(".tile")?.dataset.id;
    return id === undefined ? undefined : Number(id);
  }

  #tileOf(process) {
    let tile = this.#tiles.get(process.id);
    if (!tile) {
      tile = new Tile(process, { answer: this.#answer });
      this.#tiles.set(process.id, tile);
      this.#visibility.observe(tile.element);
    } else if (tile.process !== process) { // it was gone, and is back
      this.#firstPoints.forget(tile.process);
      tile.process = process;
      this.#wantTile(tile);
    }
    return tile;
  }

  #remove(id) {
    const tile = this.#tiles.get(id);
    this.#visibility.unobserve(tile.element);
    tile.element.remove();
    this.#tiles.delete(id);
    this.#dirty.delete(tile);
    this.#firstPoints.forget(tile.process);
  }

  #wantTile(tile) {
    this.#dirty.add(tile);
    this.#frame ??= requestAnimationFrame((now) => this.#draw(now));
  }

  #draw(now) {
    this.#frame = null;
    let drawn = 0;
    for (const tile of this.#dirty) {
      if (drawn === DRAWN_AT_ONCE) break; // the others with the next frame
      const { process } = tile;
      const isNews = tile.element.dataset.alarm !== process.alarmState;
      if (tile.isVisible && !isNews && now - tile.drawnAt < REST_MS) continue;
      this.#dirty.delete(tile);
      if (!tile.isVisible) continue; // said when it comes on screen
      tile.drawnAt = now;
      drawn += 1;
      tile.update(process);
      this.#firstPoints.want(process, now);
    }
    if (this.#dirty.size > 0) this.#frame ??= requestAnimationFrame((next) => this.#draw(next));
  }

  #section(group) {
    if (!this.#sections.has(group)) {
      const list = el("ul", { class: "tiles" });
      const title = el("h2", {}, group ? group.split("/").join(" › ") : "Without a group");
      this.#sections.set(group, { element: el("section", { class: "group" }, title, list), list });
    }
    return this.#sections.get(group);
  }
}

/** Puts children in this order, moving only those that stand elsewhere. */
function inOrder(parent, children) {
  let next = parent.firstElementChild;
  for (const child of children) {
    if (child === next) next = next.nextElementSibling;
    else parent.insertBefore(child, next);
  }
}
