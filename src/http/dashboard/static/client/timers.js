// Timers by name: each runs once, and beginning one again puts it off. Times are in milliseconds.

export class Timers {
  #running = new Map();

  has(name) {
    return this.#running.has(name);
  }

  after(name, ms, reaction) {
    this.clear(name);
    const timer = setTimeout(() => {
      this.#running.delete(name);
      reaction();
    }, ms);
    this.#running.set(name, timer);
  }

  clear(...names) {
    for (const name of names) {
      clearTimeout(this.#running.get(name));
      this.#running.delete(name);
    }
  }
}
