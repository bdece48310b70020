// What the owner of a characteristic wants to be done when it alarms. Kept for a while: many violations share one plan.

import { get } from "./api.js";

/** Plans that are kept at most; the one asked for longest ago goes first. */
const KEPT = 200;

const plans = new Map(); // of a characteristic's id: the promise of its plan

/** The plan of a characteristic, or null where it has none. */
export function reactionPlan(characteristicId) {
  const known = plans.get(characteristicId);
  if (known) {
    plans.delete(characteristicId);
    plans.set(characteristicId, known);
    return known;
  }
  const asked = get(`characteristics/${characteristicId}`).then(({ reaction_plan: plan }) => plan ?? null);
  plans.set(characteristicId, asked);
  asked.catch(() => plans.delete(characteristicId));
  if (plans.size > KEPT) plans.delete(plans.keys().next().value);
  return asked;
}

/** Its definition has changed. */
export const forgetPlan = (characteristicId) => plans.delete(characteristicId);
