// Who may listen, when to come back, and by which way.

import assert from "node:assert/strict";
import test from "node:test";

import { Backoff } from "../../../src/http/dashboard/static/client/backoff.js";
import { Proxy } from "../proxy.mjs";
import { Listener, Server, needsBinary, seqs, until } from "./support.mjs";

const [READ, INGEST, ADMIN] = ["read-0123456789abcdef", "ingest-0123456789abcdef", "admin-0123456789abcdef"];

const token = (name, token, role) => `[[auth.tokens]]\nname = "${name}"\ntoken = "${token}"\nroles = ["${role}"]\n`;

const TOKENS = {
  settings: token("screen", READ, "read") + token("gateway", INGEST, "ingest") + token("root", ADMIN, "admin"),
  token: ADMIN,
};

async function proxied(t, options) {
  const server = await (options ? Server.of(t, options) : Server.common());
  const proxy = await Proxy.to(server.url);
  t.after(() => proxy.close());
  return { server, proxy };
}

for (const transport of ["websocket", "events", "auto"]) {
  test(`a token is asked for at every connect over ${transport}`, { skip: needsBinary }, async (t) => {
    const { server, proxy } = await proxied(t, TOKENS);
    const bore = await server.givenAChart();
    let asked = 0;
    const hook = async () => ((asked += 1), READ);
    const options = { server: proxy.url, transport, token: hook };
    const listener = await Listener.live(t, options, { characteristic_ids: [bore], snapshot: true });
    assert.equal((await listener.hears("welcome")).payload.user, "screen");
    await listener.hears("snapshot");
    const changes = listener.states.length;
    proxy.cut();
    await listener.passes("disconnected", changes);
    await listener.isLive();
    await server.violate(bore);
    await listener.hears("violation");
    assert.equal(asked, listener.states.filter(({ state }) => state === "connecting").length);
    assert.deepEqual(listener.errors, []);
  });

  for (const [what, said] of [["no token", null], ["a wrong token", "wrong-0123456789abcdef"], ["one that may not listen", INGEST]]) {
    test(`${what} is refused over ${transport}, until it is started again`, { skip: needsBinary }, async (t) => {
      const { proxy } = await proxied(t, TOKENS);
      let now = said;
      const listener = new Listener(t, { server: proxy.url, transport, token: () => now });
      listener.client.subscribe({ all: true });
      listener.client.start();
      await listener.is("refused");
      assert.ok(listener.states.at(-1).reason);
      assert.equal(proxy.requests.length, 1);
      now = READ;
      listener.client.start();
      await listener.isLive();
    });
  }
}

test("who wants nothing yet is refused all the same", { skip: needsBinary }, async (t) => {
  const { server } = await proxied(t, TOKENS);
  const listener = new Listener(t, { server: server.url, connectTimeoutMs: 60_000 });
  listener.client.start();
  await listener.is("refused");
});

test("a token where none is wanted does no harm", async (t) => {
  const server = await Server.common();
  const bore = await server.givenAChart();
  const listener = await Listener.live(t, { server: server.url, token: () => READ }, { characteristic_ids: [bore] });
  await server.violate(bore);
  await listener.hears("violation");
  assert.deepEqual(listener.errors, []);
});

test("a hook that fails is tried again", async (t) => {
  const server = await Server.common();
  let asked = 0;
  const hook = () => {
    asked += 1;
    if (asked < 3) throw new Error("no identity provider");
    return null;
  };
  const listener = await Listener.live(t, { server: server.url, token: hook }, { all: true });
  assert.match(listener.states.find(({ state }) => state === "disconnected").reason, /no identity provider/);
});

test("the server's time to come back is kept", async (t) => {
  const { proxy } = await proxied(t);
  proxy.answers = [503, { "Retry-After": "7" }];
  const listener = new Listener(t, { server: proxy.url, transport: "events" });
  listener.client.subscribe({ all: true });
  const before = Date.now();
  listener.client.start();
  await listener.is("disconnected");
  const { retryAt } = listener.states.at(-1);
  assert.ok(retryAt - before >= 7_000 && retryAt - before < 12_000, `${retryAt - before}`);
});

for (const transport of ["websocket", "events"]) {
  test(`a server that stops says when to come back over ${transport}`, { skip: needsBinary }, async (t) => {
    const server = await Server.of(t);
    const options = { server: server.url, transport, minBackoffMs: 600_000, maxBackoffMs: 600_000 };
    const listener = await Listener.live(t, options, { all: true });
    await server.stop();
    await listener.is("disconnected");
    const { retryAt, since } = listener.states.find(({ state }) => state === "disconnected");
    assert.ok(retryAt - since < 1_000, `${retryAt - since}`);
  });
}

test("waits double up to the longest and begin anew after success", () => {
  const backoff = new Backoff(100, 2_000, () => 1);
  const waits = (count) => Array.from({ length: count }, () => backoff.next({}));
  assert.deepEqual(waits(7), [100, 200, 400, 800, 1_600, 2_000, 2_000]);
  backoff.reset();
  assert.deepEqual(waits(1), [100]);
  assert.equal(backoff.next({ retryAfterMs: 40 }), 40);
  assert.equal(backoff.next({ retryAfterMs: 1e9 }), 300_000, "it may say what it likes, but an alert may be due");
});

test("a welcome alone is no success: who is turned away after it waits longer each time", async (t) => {
  const { proxy } = await proxied(t);
  t.mock.method(Math, "random", () => 0.999);
  proxy.onFrame = ({ type }) => (type === "welcome" ? "pass" : (setImmediate(() => proxy.cut()), "drop"));
  const listener = new Listener(t, { server: proxy.url, transport: "websocket", minBackoffMs: 10, maxBackoffMs: 10_000 });
  listener.client.subscribe({ all: true });
  listener.client.start();
  const lost = () => listener.states.filter(({ state }) => state === "disconnected");
  await until("four attempts", () => lost().length >= 4);
  const waits = lost().slice(0, 4).map(({ retryAt, since }) => Math.round((retryAt - since) / 10));
  assert.deepEqual(waits, [1, 2, 4, 8]);
});

test("where WebSockets do not get through the events come, and WebSockets again once they do", async (t) => {
  const { server, proxy } = await proxied(t);
  const bore = await server.givenAChart();
  proxy.refusesUpgrades = true;
  const listener = await Listener.live(t, { server: proxy.url, websocketRetryMs: 200 }, { characteristic_ids: [bore] });
  const start = listener.client.position;
  await server.violate(bore);
  await listener.hears("violation");
  await until("another attempt", () => proxy.requests.filter((line) => line.includes("/ws")).length > 2);
  assert.equal(listener.client.state, "live");
  proxy.refusesUpgrades = false;
  await until("a WebSocket", () => listener.client.ping().then(() => true, () => false));
  await listener.isLive();
  await server.violate(bore);
  const due = seqs(await server.log(start));
  await listener.heardSeq(due.at(-1));
  assert.deepEqual(seqs(listener.events), due);
  assert.ok(!listener.states.some(({ state }, i) => i > 3 && state === "disconnected"));
});
