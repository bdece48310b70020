// Who wants to hear what. A handler that fails is reported, and keeps nobody else from hearing.

export class Handlers {
  #byType = new Map();

  /** Returns what takes the handler away again. */
  add(type, handler) {
    if (typeof handler !== "function") throw new TypeError("a handler is a function");
    const entry = { handler };
    const entries = this.#byType.get(type) ?? new Set();
    this.#byType.set(type, entries.add(entry));
    return () => {
      entries.delete(entry);
      if (entries.size === 0 && this.#byType.get(type) === entries) this.#byType.delete(type);
    };
  }

  emit(type, message) {
    for (const { handler } of [...(this.#byType.get(type) ?? [])]) {
      try {
        const done = handler(message);
        if (typeof done?.then === "function") done.then(undefined, report);
      } catch (error) {
        report(error);
      }
    }
  }
}

function report(error) {
  if (typeof globalThis.reportError === "function") globalThis.reportError(error);
  else console.error(error);
}
