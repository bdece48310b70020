// Notices when nothing is heard any more. Times are in milliseconds.

/**
 * Calls back once nothing was heard for `limitMs`: `connection.heardAt`, a time of `performance.now()`, says when something was.
 *
 * @param {import("./timers.js").Timers} timers whose timer "silence" this is
 */
export function watch(timers, connection, limitMs, onSilent) {
  const due = Math.max(limitMs - (performance.now() - connection.heardAt), 0);
  const expected = performance.now() + due;
  timers.after("silence", due, () => {
    const woken = performance.now();
    // A machine that slept, or a tab that was kept from running, may find in a moment what came meanwhile.
    const isLate = woken - expected > limitMs;
    if (isLate) connection.heardAt = woken - limitMs / 2;
    if (woken - connection.heardAt < limitMs) watch(timers, connection, limitMs, onSilent);
    else onSilent();
  });
}
