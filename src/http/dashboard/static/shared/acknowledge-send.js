// Sends answers. What was lost on the way is sent again under the same name, so that nobody loses a race against himself.

import { call, get } from "./api.js";

/** The most that the server takes at once. */
const CHUNK = 1_000;

/** Of how many lost races it is told who was first. */
const TOLD = 5;

/**
 * @typedef {{ reason: string, comment?: string, user?: string, exclude_sample?: boolean }} Answer
 * @typedef {{ user: string, reason: string, timestamp: string }} First
 * @typedef {{ answered: number, lost: number, firsts: First[], refused: number, why: string | null }} Outcome
 *   `lost`: somebody else was first; `refused`: any other reason, of which `why` is one
 */

/** A way to send one answer that may be tried again: the same request has the same name. */
export function sender() {
  const names = new Map();
  return (path, body) => {
    const request = `${path} ${JSON.stringify(body)}`;
    if (!names.has(request)) names.set(request, chance());
    return call("POST", path, { body, headers: { "Idempotency-Key": names.get(request) } });
  };
}

// Not `crypto.randomUUID`, which browsers have only where a page came by TLS or from this machine.
const chance = () => Array.from(crypto.getRandomValues(new Uint32Array(4)), (part) => part.toString(16)).join("-");

/**
 * Answers one violation or one episode.
 *
 * @param {ReturnType<typeof sender>} send
 * @param {string} path such as `violations/5/acknowledge`
 * @param {Answer} answer
 * @returns {Promise<Outcome>}
 */
export async function sendOne(send, path, answer) {
  try {
    await send(path, answer);
    return { answered: 1, lost: 0, firsts: [], refused: 0, why: null };
  } catch (error) {
    if (error.kind !== "already_acknowledged") throw error;
    return { answered: 0, lost: 1, firsts: [error.body.acknowledgement], refused: 0, why: null };
  }
}

/**
 * Answers many violations, a chunk at a time. Takes what is settled out of `waiting`, so that it may be called again
 * after it failed.
 *
 * @param {ReturnType<typeof sender>} send
 * @param {Set<number>} waiting their ids
 * @param {Answer} answer
 * @param {{ outcome: Outcome, isStopped: () => boolean, onProgress: () => void }} options `outcome` is added to
 */
export async function sendMany(send, waiting, answer, { outcome, isStopped, onProgress }) {
  const lost = [];
  while (waiting.size > 0 && !isStopped()) {
    const ids = [...waiting].slice(0, CHUNK);
    const { results } = await send("violations/batch-acknowledge", { violation_ids: ids, ...answer });
    for (const { violation_id: id, success, error } of results) {
      waiting.delete(id);
      if (success) outcome.answered += 1;
      else if (error.type.endsWith("already_acknowledged")) lost.push(id);
      else {
        outcome.refused += 1;
        outcome.why ??= error.detail;
      }
    }
    outcome.lost += lost.length;
    outcome.firsts.push(...await whoWasFirst(lost.splice(0), TOLD - outcome.firsts.length));
    onProgress();
  }
}

/** Who has answered these, as far as it can be found out: a batch does not tell. */
async function whoWasFirst(ids, most) {
  const found = await Promise.allSettled(ids.slice(0, Math.max(most, 0)).map((id) => get(`violations/${id}`)));
  return found.filter(({ status }) => status === "fulfilled").map(({ value }) =>
    ({ user: value.ack_user, reason: value.ack_reason, timestamp: value.ack_timestamp }));
}
