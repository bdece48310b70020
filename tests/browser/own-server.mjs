// A server of a test's own, where it needs settings that others must not have, or wants to stop it. `TEST_BINARY` is
// the program.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { closePages, DEADLINE } from "./support.mjs";

/**
 * Starts a server on a database of its own, and stops it with the test.
 *
 * @param {import("node:test").TestContext} test
 * @param {string} [settings] TOML; `http.listen` and the database are given by flags
 */
export async function ownServer(test, settings = "") {
  const folder = await mkdtemp(join(tmpdir(), "andon-page-"));
  await writeFile(join(folder, "andon.toml"), settings);
  let running = null;
  let listen = "127.0.0.1:0";

  /** Starts it again, where it was: on its database, or on another one. */
  async function start(name = "andon.db") {
    const database = `sqlite://${join(folder, name)}`;
    const child = spawn(process.env.TEST_BINARY, ["serve", "--config", join(folder, "andon.toml"), "--database", database, "--listen", listen],
      { stdio: ["ignore", "pipe", "pipe"] });
    const ended = new Promise((resolve) => child.once("exit", resolve));
    running = { child, ended };
    let said = "";
    const address = await new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error(`it does not listen:\n${said}`)), DEADLINE);
      const hear = (chunk) => {
        said += chunk;
        const found = /listening on http:\/\/([\d.:]+)/.exec(said);
        if (!found) return;
        clearTimeout(timer);
        said = "";
        resolve(found[1]);
      };
      child.stdout.on("data", hear);
      child.stderr.on("data", hear);
      child.once("error", reject);
      child.once("exit", (code) => reject(new Error(`it ended with ${code}:\n${said}`)));
    });
    listen = address; // a server that is started again is found where it was
    return new URL(`http://${address}/`);
  }

  async function kill() {
    running.child.kill("SIGKILL");
    await running.ended;
  }

  test.after(async () => {
    await closePages(test); // they would log that it is gone
    await kill();
    await rm(folder, { recursive: true, force: true });
  });
  const root = await start();
  return { root, kill, start, ask: (method, path, options) => ask(root, method, path, options) };
}

/** Calls a server's REST interface, with a token if one is given; anything but success fails. */
async function ask(root, method, path, { body, token } = {}) {
  const headers = { ...(token && { Authorization: `Bearer ${token}` }), ...(body !== undefined && { "Content-Type": "application/json" }) };
  const answer = await fetch(new URL(`api/v1/${path}`, root), { method, headers, body: body === undefined ? undefined : JSON.stringify(body) });
  assert.ok(answer.ok, `${method} ${path}: ${answer.status} ${answer.ok ? "" : await answer.clone().text()}`);
  return answer.status === 204 ? null : answer.json();
}
