// Calls Andon's REST interface. All addresses are relative to where this file came from, so that a proxy may serve
// Andon below a path of its own.

import { askForToken, token } from "./session.js";

/** Andon's root: where `/` is. Ends with a slash. */
export const ROOT = new URL("../../", import.meta.url);

/** How long an answer may take, in milliseconds. */
const LONGEST_MS = 30_000;

/** An answer that is none of success: what RFC 9457 says of it. */
export class Problem extends Error {
  /** @param {number} status 0: there was no answer @param {any} body */
  constructor(status, body) {
    super(body.detail || body.title || `the server answered ${status}`);
    this.status = status;
    /** Such as "already_acknowledged". */
    this.kind = String(body.type ?? "").replace("urn:problem:andon:", "");
    this.body = body;
  }
}

/**
 * One call. A missing or wrong token is asked for, and the call is made again.
 *
 * @param {"GET" | "POST" | "PUT" | "PATCH" | "DELETE"} method
 * @param {string} path below `/api/v1/`, such as `characteristics/5`
 * @param {{ query?: Record<string, any>, body?: any, signal?: AbortSignal, headers?: Record<string, string> }} [options]
 *   what is null, undefined or "" in a query is left out
 * @returns {Promise<any>} the answer's JSON, or null where there is none
 * @throws {Problem}
 */
export async function call(method, path, { query = {}, body, signal, headers = {} } = {}) {
  const answer = await answered(method, address(path, query), { body, signal, headers });
  return answer.status === 204 ? null : read(answer, "json", signal);
}

/** The text of what lies below the root, such as `metrics`. */
export async function getText(path, signal) {
  return read(await answered("GET", new URL(path, ROOT), { signal, headers: {} }), "text", signal);
}

/** The rest of an answer, which may break off, or come from somebody between here and Andon. */
async function read(answer, as, signal) {
  try {
    return await answer[as]();
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new Problem(0, { title: "The answer broke off, or is none of Andon's." });
  }
}

async function answered(method, url, { body, signal, headers }) {
  for (;;) {
    const used = token();
    const answer = await send(method, url, body, used, signal, headers);
    if (answer.ok) return answer;
    const problem = new Problem(answer.status, await answer.json().catch(() => ({})));
    if (problem.status !== 401) throw problem;
    // Somebody else may have been asked meanwhile.
    if (token() === used) await askForToken(problem.message);
  }
}

/** The address of a call. */
export function address(path, query = {}) {
  const url = new URL(`api/v1/${path}`, ROOT);
  for (const [name, value] of Object.entries(query)) {
    if (value !== null && value !== undefined && value !== "") url.searchParams.set(name, value);
  }
  return url;
}

async function send(method, url, body, used, signal, given) {
  const headers = { ...given };
  if (used) headers.Authorization = `Bearer ${used}`;
  if (body !== undefined) headers["Content-Type"] = "application/json";
  // What never ends would be waited for as long: after a night asleep, or behind a firewall that forgets.
  const limit = AbortSignal.timeout(LONGEST_MS);
  const signals = signal ? AbortSignal.any([signal, limit]) : limit;
  try {
    return await fetch(url, { method, headers, signal: signals, body: body === undefined ? undefined : JSON.stringify(body) });
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new Problem(0, { title: "The server cannot be reached." });
  }
}

export const get = (path, query, signal) => call("GET", path, { query, signal });
export const post = (path, body) => call("POST", path, { body });
export const put = (path, body) => call("PUT", path, { body });
export const patch = (path, body) => call("PATCH", path, { body });
export const remove = (path, query) => call("DELETE", path, { query });
