// Reads snapshots beside a stream of server-sent events: that one brings them or what was missed, not both.

import { openStream } from "./links.js";

/** Hands out each snapshot until all have come, or none comes for so long. Returns `{close}`. */
export function readSnapshots({ url, fetch, token, patienceMs, onPromised, onSnapshot }) {
  const waiting = new Set();
  let patience;
  const close = () => {
    clearTimeout(patience);
    stream.close();
  };
  const wait = () => {
    clearTimeout(patience);
    patience = setTimeout(close, patienceMs);
  };
  const reactions = {
    subscribed({ characteristic_ids: ids }) {
      ids.forEach((id) => waiting.add(id));
      onPromised(ids);
      if (ids.length === 0) close();
    },
    snapshot(message) {
      waiting.delete(message.characteristic_id);
      if (waiting.size > 0) wait();
      else close(); // of ids that do not exist, none comes: then patience ends it
      onSnapshot(message);
    },
  };
  const nothing = () => {};
  const on = {
    open: nothing,
    alive: nothing,
    position: nothing,
    message: (message) => reactions[message.type]?.(message),
    end: () => clearTimeout(patience),
  };
  wait();
  const stream = openStream({ url, fetch, token, on });
  return { close };
}
