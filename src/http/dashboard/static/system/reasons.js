// Why the newest attempt of a delivery failed: lists do not tell it, so it is asked for, once for each attempt.

import { get } from "../shared/api.js";

/** As many as a list shows, several times over. */
const MOST = 200;

const reasons = new Map(); // from "id/attempts" to what was said; null: on its way, or nothing was said
const waiting = [];
let isAsking = false;

/** What is known of why a delivery is as it is; `known` is called when more has come to be. */
export function reasonOf({ id, state, reason, attempt_total: attempts }, known) {
  if (reason) return reason;
  if (attempts === 0 || (state !== "retrying" && state !== "uncertain")) return null;
  const key = `${id}/${attempts}`;
  if (!reasons.has(key)) {
    reasons.set(key, null);
    while (reasons.size > MOST) reasons.delete(reasons.keys().next().value);
    waiting.push({ id, key });
    askAll(known);
  }
  return reasons.get(key);
}

async function askAll(known) {
  if (isAsking) return;
  isAsking = true;
  while (waiting.length > 0) {
    const { id, key } = waiting.shift();
    try {
      const { attempts } = await get(`deliveries/${id}`);
      reasons.set(key, attempts.findLast(({ outcome }) => outcome !== null)?.detail ?? null);
    } catch {
      reasons.delete(key); // another time
    }
  }
  isAsking = false;
  known();
}
