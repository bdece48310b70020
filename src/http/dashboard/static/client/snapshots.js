// Reads snapshots beside a stream of server-sent events: that one brings them or what was missed, not both.
// Times are in milliseconds.

import { openStream } from "./links.js";

/**
 * Hands out each snapshot as it comes. `missing` are the ids that are waited for until the server names its own.
 *
 * `onEnd({missing, failure?})` is told once, unless it was closed before; `failure` says why not all has come. Of ids
 * that do not exist nothing comes: a stream that lives and brought no snapshot for `silenceMs` has said all.
 * Returns `{close}`.
 */
export function readSnapshots({ url, fetch, token, missing, patienceMs, silenceMs, onPromised, onSnapshot, onEnd }) {
  let isOver = false;
  let isAlive = false;
  let patience;
  const close = () => {
    isOver = true;
    clearTimeout(patience);
    stream.close();
  };
  const end = (failure) => {
    if (isOver) return;
    close();
    onEnd({ missing: [...missing], failure });
  };
  const wait = (ms, onSilence) => {
    isAlive = false;
    clearTimeout(patience);
    patience = setTimeout(onSilence, ms);
  };
  const goOn = () => {
    if (isOver) return;
    if (missing.size === 0) end();
    else wait(silenceMs, () => end(isAlive ? undefined : { reason: "the snapshots' stream is silent" }));
  };
  const reactions = {
    subscribed({ characteristic_ids: ids }) {
      missing = new Set(ids);
      onPromised(ids);
      goOn();
    },
    snapshot(message) {
      missing.delete(message.characteristic_id);
      onSnapshot(message);
      goOn();
    },
  };
  const nothing = () => {};
  const on = {
    open: nothing,
    alive: () => (isAlive = true),
    position: nothing,
    message: (message) => reactions[message.type]?.(message),
    end,
  };
  missing = new Set(missing);
  wait(patienceMs, () => end({ reason: "no snapshots in time" }));
  const stream = openStream({ url, fetch, token, on });
  return { close };
}
