// Where Andon's doors are, below the address that a program was given.

export class Addresses {
  #root;

  constructor(server) {
    this.#root = new URL(server, globalThis.location?.href);
    if (!this.#root.pathname.endsWith("/")) this.#root.pathname += "/";
    this.#root.search = this.#root.hash = "";
  }

  get socket() {
    const url = new URL("api/v1/ws", this.#root);
    url.protocol = url.protocol === "https:" || url.protocol === "wss:" ? "wss:" : "ws:";
    return url.href;
  }

  stream(query) {
    const url = new URL("api/v1/events/stream", this.#root);
    url.search = query;
    return url.href;
  }
}
