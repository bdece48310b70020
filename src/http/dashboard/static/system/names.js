// The names of characteristics, for lists that know their ids only. Asked for once, a few at a time.

import { get } from "../shared/api.js";

/** As many as any list of this page shows, several times over. */
const MOST = 500;

/** What a server that is well says: another time it would say the same. */
const FINAL = [403, 404];

const names = new Map(); // from id to name; null: on its way, or unknown
const waiting = [];
let isAsking = false;

/** The name if it is known; `known` is called when more have come to be. */
export function nameOf(id, known) {
  if (!names.has(id)) {
    names.set(id, null);
    while (names.size > MOST) names.delete(names.keys().next().value);
    waiting.push(id);
    askAll(known);
  }
  return names.get(id) ?? `Characteristic ${id}`;
}

async function askAll(known) {
  if (isAsking) return;
  isAsking = true;
  let isNews = false;
  while (waiting.length > 0) {
    const id = waiting.shift();
    try {
      names.set(id, (await get(`characteristics/${id}`)).name);
      isNews = true;
    } catch (error) {
      if (!FINAL.includes(error.status)) names.delete(id); // asked again when it is shown again
    }
  }
  isAsking = false;
  if (isNews) known();
}
