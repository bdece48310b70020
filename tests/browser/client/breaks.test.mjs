// What a client does about a network that breaks, stalls, or loses what it should carry, and a server that comes back.

import assert from "node:assert/strict";
import test from "node:test";

import { Proxy } from "../proxy.mjs";
import { Listener, Server, WebSocket, needsBinary, seqs, until } from "./support.mjs";

async function listening(t, { own, ...options } = {}, ...selections) {
  const server = await (own && !needsBinary ? Server.of(t, own) : Server.common());
  const [bore, flow] = [await server.givenAChart(), await server.givenAChart()];
  const proxy = await Proxy.to(server.url);
  t.after(() => proxy.close());
  const wanted = selections.length > 0 ? selections : [{ characteristic_ids: [bore, flow] }];
  const listener = await Listener.live(t, { server: proxy.url, ...options }, ...wanted);
  const start = listener.client.position;
  const logged = async () => seqs(await server.log(start));
  return { server, bore, flow, proxy, listener, start, logged };
}

/** Waits until the client has lost its connection and found another one. */
async function isBack(listener, changes) {
  await listener.passes("disconnected", changes);
  await listener.isLive();
}

for (const transport of ["websocket", "events"]) {
  for (const reset of [false, true]) {
    test(`what was missed comes once after a ${reset ? "reset" : "goodbye"} over ${transport}`, async (t) => {
      const { server, bore, proxy, listener, logged } = await listening(t, { transport });
      await server.violate(bore);
      await listener.hears("violation");
      const changes = listener.states.length;
      proxy.cut({ reset });
      await server.acknowledge(await server.violate(bore));
      await isBack(listener, changes);
      await server.measure(bore, 10);
      await listener.heardSeq((await logged()).at(-1));
      assert.deepEqual(seqs(listener.events), await logged());
      assert.equal(listener.heard.findLast(({ type }) => type === "subscribed").recovered, true);
    });
  }

  test(`silence ends a connection over ${transport} and what was meant for it comes once`, { skip: needsBinary }, async (t) => {
    const { server, bore, proxy, listener, logged } = await listening(t, { transport });
    const changes = listener.states.length;
    const letThrough = proxy.delayPresent();
    await server.violate(bore);
    await listener.passes("disconnected", changes);
    assert.match(listener.states.findLast(({ state }) => state === "disconnected").reason, /silent/);
    await listener.isLive();
    await listener.hears("violation");
    letThrough();
    await server.violate(bore);
    await listener.heardSeq((await logged()).at(-1));
    assert.deepEqual(seqs(listener.events), await logged());
  });
}

/** One that cannot be told to be quiet: it says what comes even after it was closed, to whoever once listened. */
class LateSocket extends WebSocket {
  static heard = 0;
  static closed = 0;

  set onmessage(handler) {
    if (handler) this.addEventListener("message", (event) => (LateSocket.heard += 1, handler(event)));
  }

  set onclose(handler) {
    if (handler) this.addEventListener("close", (event) => (LateSocket.closed += 1, handler(event)));
  }

  close() {}

  terminate() {}
}

test("late words and the end of an old connection touch nothing of the new one", { skip: needsBinary }, async (t) => {
  const { server, bore, proxy, listener, logged } = await listening(t, { WebSocket: LateSocket });
  const letThrough = proxy.delayPresent();
  await server.violate(bore);
  await isBack(listener, listener.states.length);
  await listener.hears("violation");
  const [before, changes] = [LateSocket.heard, listener.states.length];
  letThrough();
  await until("it says what it held back", () => LateSocket.heard > before);
  letThrough.cut();
  await until("it ends", () => LateSocket.closed === 1);
  const present = listener.heard.findLast(({ type }) => type === "welcome").payload.connection_id;
  await server.violate(bore);
  await listener.heardSeq((await logged()).at(-1));
  assert.deepEqual(seqs(listener.events), await logged());
  assert.equal(listener.heard.findLast(({ type }) => type === "welcome").payload.connection_id, present);
  assert.equal(listener.states.length, changes);
});

/** Once, for the first event for which it holds. */
function once(matches, verdict) {
  let isDone = false;
  return (message) => {
    if (isDone || typeof message.revision !== "number" || !matches(message)) return "pass";
    isDone = true;
    return verdict;
  };
}

const isViolation = ({ type }) => type === "violation";

/** A heartbeat would notice some losses first. */
const RARELY = { own: { heartbeatSeconds: 10 } };

test("an alert that is lost on the way is missed by the next event and fetched", async (t) => {
  const { server, bore, proxy, listener, logged } = await listening(t, RARELY);
  proxy.onFrame = once(isViolation, "drop");
  const changes = listener.states.length;
  await server.violate(bore);
  await server.measure(bore, 10);
  await isBack(listener, changes);
  await listener.heardSeq((await logged()).at(-1));
  assert.deepEqual(seqs(listener.events), await logged());
  const { seq } = listener.events.find(isViolation);
  assert.equal(listener.gaps[0].characteristic_id, bore);
  assert.equal(listener.gaps[0].received, listener.gaps[0].expected + 1);
  assert.ok(listener.gaps[0].seq > seq);
});

test("an alert that is lost behind newer ones of others is fetched and those are not told again", async (t) => {
  const { server, bore, flow, proxy, listener, logged } = await listening(t, RARELY);
  proxy.onFrame = once(isViolation, "drop");
  await server.violate(bore);
  await server.violate(flow);
  await listener.hears("violation", ({ characteristic_id: id }) => id === flow);
  await server.measure(bore, 10);
  await listener.heardSeq((await logged()).at(-1));
  assert.deepEqual(seqs(listener.events).sort((a, b) => a - b), await logged());
  assert.equal(listener.gaps.length, 1);
});

test("the last word lost is noticed by a heartbeat", { skip: needsBinary }, async (t) => {
  const { server, bore, proxy, listener, logged } = await listening(t);
  proxy.onFrame = once(isViolation, "drop");
  const changes = listener.states.length;
  await server.violate(bore);
  await listener.passes("disconnected", changes);
  assert.match(listener.states[changes].reason, /did not arrive/);
  await listener.hears("violation");
  assert.deepEqual(seqs(listener.events), await logged());
  assert.deepEqual(listener.gaps, []);
});

test("what is always lost is let pass and the present state asked for", async (t) => {
  const { server, bore, proxy, listener } = await listening(t, RARELY);
  proxy.onFrame = (message) => (isViolation(message) && typeof message.revision === "number" ? "drop" : "pass");
  await server.violate(bore);
  await server.measure(bore, 10);
  const { payload } = await listener.hears("snapshot", ({ characteristic_id: id }) => id === bore);
  assert.equal(payload.open_total, 1);
  assert.equal(listener.gaps.length, 1);
  await server.measure(bore, 11);
  await listener.hears("sample", ({ payload: { value } }) => value === 11);
});

test("events that change places are handed out in their order", async (t) => {
  const { server, bore, proxy, listener, logged } = await listening(t);
  proxy.onFrame = once(({ type }) => type === "sample", "swap");
  await server.violate(bore);
  await listener.hears("violation");
  await listener.heardSeq((await logged()).at(-1));
  assert.deepEqual(seqs(listener.events), await logged());
});

test("alerts of two characteristics that change places are each handed out", async (t) => {
  const { server, bore, flow, proxy, listener, logged } = await listening(t);
  proxy.onFrame = once(({ type }) => type === "control_limits", "swap");
  await server.setLimits(bore, 11);
  await server.setLimits(flow, 11);
  await until("both", () => listener.events.length === 2);
  assert.deepEqual(seqs(listener.events).sort((a, b) => a - b), await logged());
});

test("a black hole is given up in time", async (t) => {
  const { server, bore, proxy, listener, logged } = await listening(t, { connectTimeoutMs: 300 });
  proxy.isBlackHole = true;
  const changes = listener.states.length;
  proxy.cut();
  await server.violate(bore);
  await until("two attempts", () => listener.states.slice(changes).filter(({ state }) => state === "connecting").length > 1);
  proxy.isBlackHole = false;
  await listener.isLive();
  await listener.hears("violation");
  assert.deepEqual(seqs(listener.events), await logged());
});

for (const signal of ["SIGTERM", "SIGKILL"]) {
  for (const transport of ["websocket", "events"]) {
    test(`a server that ends with ${signal} and comes back is gone on with over ${transport}`, { skip: needsBinary }, async (t) => {
      const { server, bore, proxy, listener, logged } = await listening(t, { transport, own: {} });
      await server.violate(bore);
      await listener.hears("violation");
      const changes = listener.states.length;
      await server.stop(signal);
      await listener.passes("disconnected", changes);
      await server.run();
      await server.violate(bore);
      await listener.isLive();
      await listener.heardSeq((await logged()).at(-1));
      assert.deepEqual(seqs(listener.events), await logged());
      assert.ok(proxy.requests.length < 60, "it does not hammer");
    });
  }
}

test("another log is begun anew with snapshots", { skip: needsBinary }, async (t) => {
  const { server, bore, proxy, listener } = await listening(t, { own: {} });
  await server.violate(bore);
  await listener.hears("violation");
  const before = listener.client.position;
  proxy.answers = [503, {}];
  await server.stop();
  await server.run("other.db");
  const again = await server.givenAChart();
  assert.equal(again, bore);
  proxy.answers = null;
  await listener.hears("subscribed", ({ recovered }) => recovered === false);
  await listener.isLive();
  await listener.hears("snapshot", ({ characteristic_id: id }) => id === bore);
  assert.notEqual(listener.client.position.epoch, before.epoch);
  const heard = listener.events.length;
  await server.violate(bore);
  await until("sample and violation", () => listener.events.length >= heard + 2);
  assert.deepEqual(listener.gaps, []);
});

class KnownSocket extends WebSocket {
  static newest;

  constructor(url) {
    super(url);
    KnownSocket.newest = this;
  }
}

test("who is told that the log is another one subscribes afresh", async (t) => {
  const { server, bore, listener } = await listening(t, { WebSocket: KnownSocket });
  await server.violate(bore);
  await listener.hears("violation");
  const before = listener.heard.length;
  KnownSocket.newest.onclose({ code: 4010, reason: "the log is another one: subscribe afresh" });
  assert.equal(listener.client.position, null);
  await listener.hears("snapshot", ({ characteristic_id: id }) => id === bore);
  assert.equal(listener.heard.slice(before).find(({ type }) => type === "subscribed").recovered, undefined);
});

class RecordedSocket extends WebSocket {
  static receipts = [];

  send(text) {
    const { type, seq } = JSON.parse(text);
    if (type === "received") RecordedSocket.receipts.push(seq);
    super.send(text);
  }
}

test("a receipt that cannot be sent is sent on the next connection", async (t) => {
  const { server, bore, proxy, listener } = await listening(t, { WebSocket: RecordedSocket, transport: "websocket" });
  const told = () => RecordedSocket.receipts.splice(0);
  await server.violate(bore);
  const { seq } = await listener.hears("violation");
  proxy.answers = [503, {}];
  proxy.cut();
  await listener.is("disconnected");
  listener.client.received(seq);
  listener.client.received(seq - 1);
  const missed = await server.violate(bore);
  proxy.answers = null;
  await listener.hears("violation", ({ payload: { id } }) => id === missed);
  await listener.isLive();
  const { connection_id: id } = await listener.client.status();
  assert.deepEqual(told(), [seq]);
  await until("the server knows", async () => (await server.get(`/connections/${id}`)).received_seq === seq);
  const changes = listener.states.length;
  proxy.cut();
  await isBack(listener, changes);
  await listener.client.ping();
  assert.deepEqual(told(), [], "it is said once");
});

test("a receipt of another log is never sent", { skip: needsBinary }, async (t) => {
  const { server, bore, proxy, listener } = await listening(t, { WebSocket: RecordedSocket, transport: "websocket", own: {} });
  RecordedSocket.receipts.splice(0);
  await server.violate(bore);
  const { seq } = await listener.hears("violation");
  proxy.answers = [503, {}];
  await server.stop();
  await listener.is("disconnected");
  listener.client.received(seq);
  await server.run("other.db");
  await server.givenAChart();
  proxy.answers = null;
  await listener.hears("subscribed", ({ recovered }) => recovered === false);
  await listener.isLive();
  await server.violate(bore);
  const { seq: next } = await listener.hears("violation", (event) => event.seq !== seq);
  listener.client.received(next);
  await until("a receipt", () => RecordedSocket.receipts.length > 0);
  assert.deepEqual(RecordedSocket.receipts, [next]);
});

test("another life of the program goes on at the position of the last one", async (t) => {
  const { server, bore, listener, logged } = await listening(t);
  await server.violate(bore);
  await listener.hears("violation");
  listener.client.stop();
  const { position } = listener.client;
  await server.violate(bore);
  const next = await Listener.live(t, { server: server.url, since: position }, { all: true });
  await next.heardSeq((await logged()).at(-1));
  assert.deepEqual(seqs(next.events), (await logged()).filter((seq) => seq > position.seq));
  listener.client.start();
  await listener.heardSeq((await logged()).at(-1));
  assert.deepEqual(seqs(listener.events), await logged());
});

test("selections with filters of their own resume each, and nothing is told twice", async (t) => {
  const { server, bore, flow, proxy, listener, start, logged } = await listening(
    t, {}, { all: true, filter: { types: ["violation"] } },
  );
  listener.client.subscribe({ characteristic_ids: [bore], filter: { types: ["sample", "violation"] } });
  await until("the answer", () => listener.heard.filter(({ type }) => type === "subscribed").length === 2);
  for (let round = 0; round < 4; round += 1) {
    const changes = listener.states.length;
    proxy.cut();
    for (const id of [flow, bore, flow]) await server.violate(id);
    await isBack(listener, changes);
  }
  const wanted = (await server.log(start)).filter(
    ({ type, characteristic_id: id }) => type === "violation" || (type === "sample" && id === bore),
  );
  await until("all", () => listener.events.length >= wanted.length);
  assert.deepEqual(seqs(listener.events).sort((a, b) => a - b), seqs(wanted));
  assert.deepEqual(listener.gaps, []);
  assert.ok((await logged()).length > wanted.length);
});
