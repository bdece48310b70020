// Which stretch of the points is looked at: zooming, panning, and following the newest.

const FEWEST = 5;
const MOST = 5_000;
const ROOM = 20; // the first few points are not drawn as wide as the screen

export class View {
  first = 1;
  last = ROOM;
  /** The newest points stay in view as they come. */
  isFollowing = true;
  /** Somebody has chosen how many points are shown. */
  hasOwnSpan = false;
  /** How many points there were when the view was taken away from the newest. */
  #left = 0;
  #span;
  #newest = 0;
  #changed;

  /** @param {number} span how many points to show at first @param {() => void} changed */
  constructor(span, changed) {
    this.#span = clamp(span, FEWEST, MOST);
    this.#changed = changed;
    this.#follow();
  }

  get span() {
    return this.#span;
  }

  /** How many points have come since somebody looked away. */
  get unseen() {
    return this.isFollowing ? 0 : Math.max(0, this.#newest - this.#left);
  }

  /** There are so many points now. */
  grow(newest) {
    this.#newest = newest;
    if (newest < this.last) this.isFollowing = true; // after a restore there may be fewer
    if (this.isFollowing) this.#follow();
  }

  /** As many points as before, so many later, or earlier where negative. */
  pan(by) {
    this.show(this.first + by, this.last + by);
  }

  /** So many times as many points, the one at `around` staying where it is. Whether anything has changed. */
  zoom(factor, around = this.isFollowing ? this.last : (this.first + this.last) / 2) {
    const shown = this.last - this.first + 1;
    const most = Math.min(MOST, Math.max(this.#newest, ROOM));
    const span = clamp(shown * factor, FEWEST, Math.max(most, FEWEST));
    if (Math.abs(span - shown) < 0.01) return false;
    const share = (around - this.first + 0.5) / shown;
    const first = around - share * span + 0.5;
    this.hasOwnSpan = true;
    this.show(first, first + span - 1);
    return true;
  }

  /** Exactly these, as far as there are such. */
  show(first, last) {
    const span = clamp(last - first + 1, FEWEST, MOST);
    const end = Math.max(this.#newest, 1);
    if (last >= end - 0.001) {
      this.#span = span;
      this.isFollowing = true;
      this.#follow();
    } else {
      if (this.isFollowing) this.#left = this.#newest;
      this.isFollowing = false;
      this.#span = span;
      this.first = Math.max(1, first);
      this.last = this.first + span - 1;
      if (this.last >= end) this.toNewest();
    }
    this.#changed();
  }

  /** Brings points into view that are not, as many as before where they fit. */
  reveal(first, last) {
    if (first >= this.first && last <= this.last) return;
    const span = Math.max(this.#span, (last - first + 1) * 1.5);
    const middle = (first + last) / 2;
    this.show(middle - span / 2, middle + span / 2);
  }

  toNewest() {
    this.isFollowing = true;
    this.#follow();
    this.#changed();
  }

  #follow() {
    this.first = Math.max(1, this.#newest - this.#span + 1);
    this.last = Math.max(this.#newest, this.first + Math.min(this.#span, ROOM) - 1);
  }
}

const clamp = (value, least, most) => Math.min(most, Math.max(least, value));
