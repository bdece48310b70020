// A real server to test against, and a client whose words are written down.
//
// TEST_BINARY is a server to start, whose heart beats fast, on a database of its own. Without it, TEST_SERVER is the
// address of one that runs, and tests that must have their own are skipped. TEST_NODE_MODULES is a
// folder with `ws`; without it, Node's own WebSocket is used.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import net from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after } from "node:test";

import { AndonClient } from "../../../src/http/dashboard/static/client/andon-client.js";

export { AndonClient };

/** How long anything may take on a slow machine. */
export const DEADLINE_MS = 15_000;

export const ALERTS = ["violation", "ack_update", "control_limits"];

const { TEST_BINARY, TEST_SERVER, TEST_NODE_MODULES } = process.env;

export const WebSocket = TEST_NODE_MODULES
  ? createRequire(import.meta.url)(join(TEST_NODE_MODULES, "ws")).WebSocket
  : globalThis.WebSocket;
assert.ok(WebSocket, "this Node has no WebSocket: say in TEST_NODE_MODULES where `ws` is");
assert.ok(TEST_BINARY || TEST_SERVER, "say a server in TEST_SERVER, or its program in TEST_BINARY");

/** For tests that need a server with settings of their own, or one that dies. */
export const needsBinary = TEST_BINARY ? false : "TEST_BINARY is not set";

/** Waits until it is so, and gives what it gave. */
export async function until(what, look, deadlineMs = DEADLINE_MS) {
  const deadline = performance.now() + deadlineMs;
  for (;;) {
    const found = await look();
    if (found) return found;
    if (performance.now() > deadline) assert.fail(`in vain: ${typeof what === "function" ? what() : what}`);
    await pause(10);
  }
}

export const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

async function freePort() {
  const server = net.createServer();
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address();
  await new Promise((resolve) => server.close(resolve));
  return port;
}

export class Server {
  #child = null;
  #headers = {};

  static #common = null;

  /** The one for all tests of a file. */
  static async common() {
    if (!TEST_BINARY) return Object.assign(new Server(), { url: new URL("/", TEST_SERVER).href });
    Server.#common ??= Server.start();
    return Server.#common;
  }

  static async endCommon() {
    await (await Server.#common)?.end();
    Server.#common = null;
  }

  /** One of the test's own. */
  static async of(test, settings) {
    const server = await Server.start(settings);
    test.after(() => server.end());
    return server;
  }

  static async start({ heartbeatSeconds = 0.5, settings = "", token } = {}) {
    const server = new Server();
    if (token) server.#headers = { Authorization: `Bearer ${token}` };
    server.folder = await mkdtemp(join(tmpdir(), "andon-client-"));
    server.port = await freePort();
    server.url = `http://127.0.0.1:${server.port}/`;
    server.settings = `[broadcast]\nheartbeat_seconds = ${heartbeatSeconds}\nreturn_window_ms = 50\n${settings}`;
    await server.run();
    return server;
  }

  async end() {
    await this.stop("SIGKILL");
    await rm(this.folder, { recursive: true, force: true });
  }

  async run(database = "andon.db") {
    const config = join(this.folder, "andon.toml");
    await writeFile(config, this.settings);
    const listen = ["--listen", `127.0.0.1:${this.port}`, "--database", `sqlite://${join(this.folder, database)}`];
    // Whatever else begins with ANDON_ would be taken for a setting.
    const env = { PATH: process.env.PATH };
    this.#child = spawn(TEST_BINARY, ["serve", "--config", config, ...listen], { env, stdio: "ignore" });
    await until("the server starts", async () => {
      assert.equal(this.#child.exitCode, null, "the server ended");
      return fetch(`${this.url}health/ready`).then((answer) => answer.ok, () => false);
    });
  }

  async stop(signal = "SIGTERM") {
    const child = this.#child;
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    const ended = new Promise((resolve) => child.once("exit", resolve));
    child.kill(signal);
    await ended;
  }

  async request(method, path, body, token) {
    const headers = { "Content-Type": "application/json", ...this.#headers };
    if (token) headers.Authorization = `Bearer ${token}`;
    const text = body === undefined ? undefined : JSON.stringify(body);
    const answer = await fetch(`${this.url}api/v1${path}`, { method, headers, body: text });
    const said = await answer.json().catch(() => null);
    assert.ok(answer.ok, `${method} ${path}: ${answer.status} ${JSON.stringify(said)}`);
    return said;
  }

  get(path) {
    return this.request("GET", path);
  }

  post(path, body) {
    return this.request("POST", path, body);
  }

  /** A characteristic with limits 7 and 13, whose outliers are violations. */
  async givenAChart(more = {}) {
    const { id } = await this.post("/characteristics", { name: "Bore", rules: { preset: "outlier" }, ...more });
    await this.setLimits(id, 10);
    return id;
  }

  setLimits(id, center) {
    return this.request("PUT", `/characteristics/${id}/control-limits`, { center_line: center, sigma: 1 });
  }

  measure(id, value) {
    return this.post("/samples", { characteristic_id: id, measurements: [value] });
  }

  async violate(id) {
    const { violations } = await this.measure(id, 99);
    return violations[0].violation_id;
  }

  acknowledge(violation) {
    return this.post(`/violations/${violation}/acknowledge`, { reason: "Tool Change", user: "ann" });
  }

  /** What the log holds after a position. */
  async log({ epoch, seq }, query = "") {
    const events = [];
    for (let after = `${epoch}.${seq}`; ;) {
      const { items, next } = await this.get(`/events?after=${after}&limit=1000${query}`);
      events.push(...items);
      if (next === after) return events;
      after = next;
    }
  }
}

after(() => Server.endCommon());

/** A client that writes down what it hears, and ends with its test. */
export class Listener {
  heard = [];
  events = [];
  states = [];
  gaps = [];
  errors = [];

  constructor(test, options) {
    this.client = new AndonClient({
      WebSocket, minBackoffMs: 20, maxBackoffMs: 200, connectTimeoutMs: 3_000, ...options,
    });
    const { client } = this;
    test.after(() => client.stop());
    client.on("event", (event) => this.events.push(event));
    client.on("state", (change) => this.states.push(change));
    client.on("gap", (gap) => this.gaps.push(gap));
    client.on("error", (error) => this.errors.push(error));
    for (const type of ["welcome", "subscribed", "resumed", "snapshot", "heartbeat", "test", "unsubscribed"]) {
      client.on(type, (message) => this.heard.push(message));
    }
  }

  static async live(test, options, ...selections) {
    const listener = new Listener(test, options);
    selections.forEach((selection) => listener.client.subscribe(selection));
    listener.client.start();
    await listener.isLive();
    return listener;
  }

  isLive() {
    return this.is("live");
  }

  is(state) {
    return until(() => `${state}, it is ${JSON.stringify(this.states.at(-1))}`, () => this.client.state === state);
  }

  /** The first message of a type from some place on. */
  hears(type, matches = () => true) {
    return until(type, () => [...this.heard, ...this.events].find((said) => said.type === type && matches(said)));
  }

  /** Has been in this state since so many changes. */
  passes(state, from = 0) {
    return until(state, () => this.states.slice(from).find((change) => change.state === state));
  }

  heardSeq(seq) {
    return until(() => `${seq} of ${this.events.map((event) => event.seq)}`, () => this.events.some((event) => event.seq === seq));
  }

  get alerts() {
    return this.events.filter(({ type }) => ALERTS.includes(type));
  }
}

export const seqs = (events) => events.map(({ seq }) => seq);
