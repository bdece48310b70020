// What a client can be told, and what holds where nothing is said. Times are in milliseconds.

const DEFAULTS = {
  transport: "auto",
  minBackoffMs: 1_000,
  maxBackoffMs: 30_000,
  // A lost packet costs TCP a second, then two, then four.
  connectTimeoutMs: 10_000,
  // How long server-sent events do before WebSockets are tried again, where these have never worked.
  websocketRetryMs: 60_000,
};

const TRANSPORTS = ["auto", "websocket", "events"];

/** Throws at once what would otherwise fail again and again. */
export function checked(options) {
  const given = Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined));
  const { WebSocket, fetch } = globalThis;
  const all = { WebSocket, fetch, ...DEFAULTS, ...given };
  if (!TRANSPORTS.includes(all.transport)) throw new TypeError(`transport is one of ${TRANSPORTS.join(", ")}`);
  if (all.transport === "websocket" && !all.WebSocket) {
    throw new TypeError("there is no WebSocket here: give one in the options");
  }
  const { fetch: read } = all;
  // A browser's `fetch` must not be called as a method of something else.
  return { ...all, fetch: (...request) => read(...request) };
}
