// What time it is at the server: the reader's own clock may be wrong by minutes, and "3 min. ago" with it.

let aheadMs = 0;

/** Takes the server's time from what it says on a connection. */
export function follow(client) {
  const hear = (serverTime) => {
    const told = Date.parse(serverTime);
    if (Number.isFinite(told)) aheadMs = told - Date.now();
  };
  client.on("welcome", ({ payload }) => hear(payload.server_time));
  client.on("heartbeat", (message) => hear(message.server_time));
}

/** Milliseconds since 1970, at the server. */
export const now = () => Date.now() + aheadMs;
