// Tries a WebSocket now and then beside a stream of server-sent events that works. Times are in milliseconds.

import { Timers } from "./timers.js";

/** Where WebSockets have worked before, they failed in a short trouble of the network. */
const SOON = 0.1;

/** The time between attempts doubles so often at most. */
const MOST_DOUBLINGS = 4;

export class Probe {
  #timers = new Timers();
  #options;
  #failures = 0;
  #haveWorked = false;
  /** The attempt that is under way. */
  connection = null;

  /** `open(connection, onOpen)` opens a socket for it; what comes on it is told by `hear`. */
  constructor({ retryMs, timeoutMs, token, open, onWelcome }) {
    this.#options = { retryMs, timeoutMs, token, open, onWelcome };
  }

  /** WebSockets get through. */
  succeed() {
    this.#haveWorked = true;
    this.#failures = 0;
  }

  begin() {
    const { retryMs } = this.#options;
    const isSoon = this.#haveWorked && this.#failures === 0;
    const bound = retryMs * 2 ** Math.min(this.#failures, MOST_DOUBLINGS) * (isSoon ? SOON : 1);
    this.#timers.after("next", bound * (1 - Math.random() / 2), () => this.#try());
  }

  stop() {
    this.#timers.clear("next", "patience");
    const { connection } = this;
    this.connection = null;
    connection?.link?.close();
  }

  fail() {
    this.#failures += 1;
    this.stop();
    this.begin();
  }

  hear(message) {
    if (message.type !== "welcome") return;
    const { connection } = this;
    this.connection = null;
    this.stop();
    this.#options.onWelcome(connection, message);
  }

  async #try() {
    const { timeoutMs, token, open } = this.#options;
    const connection = { link: null, isAsked: false, isWelcomed: false };
    this.connection = connection;
    this.#timers.after("patience", timeoutMs, () => this.fail());
    try {
      connection.token = await token?.();
      if (this.connection !== connection) return;
      connection.link = open(connection, ({ send }) => {
        if (connection.token) send(JSON.stringify({ type: "auth", token: connection.token }));
      });
    } catch {
      if (this.connection === connection) this.fail();
    }
  }
}
