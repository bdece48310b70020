// What a client hears, and how it says what it wants.

import assert from "node:assert/strict";
import test from "node:test";

import { AndonClient, Listener, Server, seqs, until } from "./support.mjs";

/** As the log has it, which does not know what this client was not told. */
const asLogged = ({ skipped, ...event }) => event;

for (const transport of ["websocket", "events"]) {
  test(`what happens is handed out by its type and then as an event, over ${transport}`, async (t) => {
    const server = await Server.common();
    const bore = await server.givenAChart();
    const listener = await Listener.live(t, { server: server.url, transport }, { characteristic_ids: [bore] });
    const [order, before] = [[], listener.client.position];
    listener.client.on("violation", ({ seq }) => order.push(["violation", seq]));
    listener.client.on("event", ({ type, seq }) => type === "violation" && order.push(["event", seq]));
    const violation = await server.violate(bore);
    await server.acknowledge(violation);
    const { seq } = await listener.hears("ack_update");
    assert.deepEqual(listener.events.map(({ type }) => type), ["sample", "violation", "ack_update"]);
    assert.deepEqual(listener.events.map(asLogged), await server.log(before));
    assert.deepEqual(order, [["violation", seqs(listener.events)[1]], ["event", seqs(listener.events)[1]]]);
    assert.equal(listener.client.position.seq, seq);
  });

  test(`snapshots and later selections come over ${transport}`, async (t) => {
    const server = await Server.common();
    const [bore, flow] = [await server.givenAChart({ key: `bore-${transport}` }), await server.givenAChart()];
    const wanted = { characteristic_keys: [`bore-${transport}`], snapshot: true };
    const listener = await Listener.live(t, { server: server.url, transport }, wanted);
    await listener.hears("snapshot", ({ characteristic_id: id }) => id === bore);
    const due = [];
    listener.client.on("subscribed", () => due.push(...listener.client.snapshotsDue));
    listener.client.subscribe({ characteristic_ids: [flow], snapshot: true });
    await listener.hears("snapshot", ({ characteristic_id: id }) => id === flow);
    // Beside a stream of events, another one brings them, and promises them itself.
    assert.deepEqual([due, listener.client.snapshotsDue], [transport === "websocket" ? [flow] : [], []]);
    await listener.isLive();
    await server.measure(flow, 10);
    await listener.hears("sample", ({ characteristic_id: id }) => id === flow);
    listener.client.unsubscribe({ characteristic_ids: [flow] });
    if (transport === "websocket") await listener.hears("unsubscribed");
    await listener.isLive();
    await server.measure(flow, 10);
    await server.measure(bore, 10);
    await listener.hears("sample", ({ characteristic_id: id }) => id === bore);
    assert.equal(listener.events.length, 2);
  });
}

test("a filter holds, and what is said again replaces it", async (t) => {
  const server = await Server.common();
  const bore = await server.givenAChart();
  const wanted = { characteristic_ids: [bore], filter: { types: ["violation"] } };
  const listener = await Listener.live(t, { server: server.url }, wanted);
  await server.violate(bore);
  await listener.hears("violation");
  assert.equal(listener.events.length, 1);
  listener.client.subscribe({ characteristic_ids: [bore] });
  await until("the answer", () => listener.heard.filter(({ type }) => type === "subscribed").length === 2);
  await server.measure(bore, 10);
  await listener.hears("sample");
});

test("what a page asks for in one go is said in one message", async (t) => {
  const server = await Server.common();
  const bore = await server.givenAChart();
  const listener = await Listener.live(t, { server: server.url }, { characteristic_ids: [bore] });
  for (let i = 0; i < 1_000; i += 1) listener.client.subscribe({ characteristic_ids: [bore + i], history: true });
  await listener.hears("subscribed", ({ characteristic_ids: ids }) => ids.length === 1_000);
  assert.deepEqual(listener.errors, []);
});

test("who has left a characteristic still hears of answers there and misses nothing", async (t) => {
  const server = await Server.common();
  const bore = await server.givenAChart({ group: "plant/line4" });
  const listener = await Listener.live(t, { server: server.url }, { characteristic_ids: [bore] });
  const violation = await server.violate(bore);
  await listener.hears("violation");
  listener.client.unsubscribe({ characteristic_ids: [bore], filter: {} });
  await listener.hears("unsubscribed");
  await server.measure(bore, 10);
  await server.acknowledge(violation);
  await listener.hears("ack_update");
  assert.deepEqual(listener.gaps, []);
  listener.client.subscribe({ groups: ["plant"] });
  await listener.hears("subscribed", ({ groups }) => groups?.length === 1);
  const newcomer = await server.givenAChart({ group: "plant/line5" });
  await server.acknowledge(await server.violate(newcomer));
  await listener.hears("ack_update", ({ characteristic_id: id }) => id === newcomer);
  listener.client.unsubscribe({ groups: ["plant"] });
  await listener.hears("unsubscribed", ({ groups }) => groups?.length === 1);
  await server.acknowledge(await server.violate(newcomer));
  await until("the answer", () => listener.events.filter(({ type }) => type === "ack_update").length === 3);
  assert.deepEqual([listener.gaps, listener.errors], [[], []]);
});

test("selections with filters of their own each hear what they want", async (t) => {
  const server = await Server.common();
  const [bore, flow] = [await server.givenAChart(), await server.givenAChart()];
  const listener = await Listener.live(
    t, { server: server.url }, { all: true, filter: { types: ["violation"] } }, { characteristic_ids: [bore] },
  );
  await server.violate(bore);
  await server.violate(flow);
  await listener.hears("violation", ({ characteristic_id: id }) => id === flow);
  const heard = listener.events.map(({ type, characteristic_id: id }) => [type, id]);
  assert.deepEqual(heard, [["sample", bore], ["violation", bore], ["violation", flow]]);
});

test("who wants all and some by name hears each event once", async (t) => {
  const server = await Server.common();
  const bore = await server.givenAChart();
  const listener = await Listener.live(t, { server: server.url }, { all: true }, { characteristic_ids: [bore] });
  await server.acknowledge(await server.violate(bore));
  await listener.hears("ack_update", ({ characteristic_id: id }) => id === bore);
  assert.deepEqual(listener.events.map(({ type }) => type), ["sample", "violation", "ack_update"]);
  assert.deepEqual(listener.errors, []);
});

test("one unknown key is told and keeps the others from nothing", async (t) => {
  const server = await Server.common();
  const keys = ["press", "drill", "lathe"].map((name) => `${name}-${process.pid}-${Date.now()}`);
  const ids = [];
  for (const key of keys) ids.push(await server.givenAChart({ key }));
  const wanted = { characteristic_keys: [keys[0], "nobody's", keys[1], keys[2]], snapshot: true };
  const listener = await Listener.live(t, { server: server.url }, wanted);
  for (const id of ids) await server.violate(id);
  for (const id of ids) await listener.hears("violation", ({ characteristic_id }) => characteristic_id === id);
  for (const id of ids) await listener.hears("snapshot", ({ characteristic_id }) => characteristic_id === id);
  assert.equal(listener.errors.length, 1);
  assert.match(listener.errors[0].message, /nobody's/);
});

test("a handler that fails is reported and keeps nobody else from hearing", async (t) => {
  const server = await Server.common();
  const bore = await server.givenAChart();
  const reported = t.mock.method(console, "error", () => {});
  const listener = await Listener.live(t, { server: server.url }, { characteristic_ids: [bore] });
  const off = listener.client.on("sample", () => {
    throw new Error("of a page");
  });
  listener.client.on("sample", async () => {
    throw new Error("later");
  });
  await server.measure(bore, 10);
  await listener.hears("sample");
  await until("both are reported", () => reported.mock.callCount() === 2);
  off();
  await server.measure(bore, 10);
  await until("the next sample", () => listener.events.length === 2);
  await until("one is reported", () => reported.mock.callCount() === 3);
  assert.equal(listener.client.state, "live");
});

test("pings, the status, receipts and the lag are told", async (t) => {
  const server = await Server.common();
  const bore = await server.givenAChart();
  const listener = new Listener(t, { server: server.url });
  await assert.rejects(listener.client.ping(), /WebSocket/);
  listener.client.subscribe({ characteristic_ids: [bore] });
  listener.client.start();
  await listener.isLive();
  const pongs = await Promise.all([listener.client.ping(), listener.client.ping()]);
  assert.ok(pongs.every(({ type, round_trip_ms }) => type === "pong" && round_trip_ms > 0));
  const status = await listener.client.status();
  assert.equal(status.subscriptions, 1);
  await server.violate(bore);
  const { seq } = await listener.hears("violation");
  listener.client.received(seq);
  const connection = () => server.get(`/connections/${status.connection_id}`);
  await until("the receipt", async () => (await connection()).received_seq === seq);
  assert.equal(listener.client.lag === null || listener.client.lag >= 0, true);
  const asked = listener.client.ping();
  listener.client.stop();
  await assert.rejects(asked, /ended/);
});

test("what is no selection is refused at once", () => {
  const client = new AndonClient({ server: "http://127.0.0.1:1/" });
  assert.throws(() => client.subscribe({}), TypeError);
  assert.throws(() => client.on("event"), TypeError);
  assert.throws(() => new AndonClient({ server: "http://127.0.0.1:1/", transport: "pigeon" }), TypeError);
});
