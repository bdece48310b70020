// The property above all: whatever the network does, each alert is handed out once, and none is missing.
//
// What TCP can do (break, stall, lead nowhere) leaves alerts in the order of the log. What it cannot (lose or exchange
// whole frames) leaves them in order within each characteristic: nothing shows that one was lost before another
// characteristic's next one was handed out. An answer on a characteristic that is not listened to is not missed at all:
// nobody tells its other revisions. CHAOS_SEED repeats a run.

import assert from "node:assert/strict";
import test from "node:test";

import { Proxy } from "../proxy.mjs";
import { ALERTS, Listener, Server, pause, seqs, until } from "./support.mjs";

const SEED = Number(process.env.CHAOS_SEED ?? Date.now() % 1_000_000);

/** Characteristics that are listened to, and one of which only acknowledgements come. */
const LISTENED = 3;

/** Mulberry32. */
function randomOf(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** Samples, violations, answers and limits on all of them, until it is told to end. */
function load(server, ids, random) {
  let [isOver, open] = [false, []];
  const pick = (list) => list[Math.floor(random() * list.length)];
  const running = (async () => {
    while (!isOver) {
      const dice = random();
      if (dice < 0.1) await server.setLimits(pick(ids), 10 + random());
      else if (dice < 0.4 && open.length > 0) await server.acknowledge(open.shift());
      else {
        const measured = Array.from({ length: 4 }, () => ({
          characteristic_id: pick(ids), measurements: [random() < 0.3 ? 99 : 10 + random()],
        }));
        const { results } = await server.post("/samples/batch", { samples: measured });
        assert.ok(results.every(({ error }) => !error));
        const { items } = await server.get("/violations?acknowledged=false&limit=20");
        open = items.map(({ id }) => id);
      }
      await pause(5);
    }
  })();
  return async () => {
    isOver = true;
    await running;
  };
}

/** What may happen to a connection; each gives the client something to recover from. */
const TROUBLES = {
  goodbye: (proxy) => proxy.cut(),
  reset: (proxy) => proxy.cut({ reset: true }),
  async stall(proxy, random) {
    proxy.stall(random() < 0.7 ? "down" : "up");
    await pause(random() * 1_200);
    proxy.resume();
  },
  async lateBytes(proxy, random, listener) {
    // The one before may be cut, and the client not know it yet.
    await until("a connection", () => proxy.connections > 0 && listener.client.state === "live");
    const changes = listener.states.length;
    const letThrough = proxy.delayPresent();
    await listener.passes("disconnected", changes);
    await listener.isLive();
    letThrough();
  },
  async blackHole(proxy, random) {
    proxy.isBlackHole = true;
    proxy.cut({ reset: random() < 0.5 });
    await pause(random() * 500);
    proxy.isBlackHole = false;
    proxy.cut();
  },
  async breakAtOnce(proxy, random) {
    proxy.cut();
    await until("it is back", () => proxy.connections > 0);
    await pause(random() * 30);
    proxy.cut({ reset: true });
  },
};

const FRAME_TROUBLES = ["drop", "swap"].map((verdict) => [
  verdict,
  async (proxy, random, listener, listened) => {
    const [changes, repeat] = [listener.states.length, Math.floor(random() * 5)];
    let events = 0;
    const isTheirs = ({ revision, characteristic_id: id }) => typeof revision === "number" && listened.includes(id);
    proxy.onFrame = (message) => (isTheirs(message) && events++ === repeat ? verdict : "pass");
    await until("it was lost", () => events > repeat);
    // Within a second, load and heartbeats show what is missing; what changed places may do no harm.
    const isNoticed = () => listener.states.length > changes;
    if (verdict === "drop") await until("it is noticed", isNoticed);
    proxy.onFrame = () => "pass";
  },
]);

async function goesThrough(t, { troubles, rounds, isOrdered, listenTo, ...options }) {
  t.diagnostic(`CHAOS_SEED=${SEED}`);
  const random = randomOf(SEED);
  const server = await Server.common();
  const ids = [];
  for (let i = 0; i <= LISTENED; i += 1) ids.push(await server.givenAChart());
  const proxy = await Proxy.to(server.url);
  t.after(() => proxy.close());
  Object.assign(proxy, { refusesUpgrades: options.transport === "auto" });
  const listened = ids.slice(0, LISTENED);
  const listener = await Listener.live(
    t, { server: proxy.url, connectTimeoutMs: 1_000, websocketRetryMs: 500, ...options },
    ...(listenTo ?? [{ characteristic_ids: listened }]),
  );
  const start = listener.client.position;
  const end = load(server, ids, random);
  let last = start.seq;
  try {
    for (let round = 0; round < rounds; round += 1) {
      const [name, trouble] = troubles[Math.floor(random() * troubles.length)];
      t.diagnostic(name);
      await trouble(proxy, random, listener, listened);
      await listener.isLive();
      await until("something is heard", () => (listener.events.at(-1)?.seq ?? 0) > last);
      last = Math.max(...seqs(listener.events));
    }
    await until("there is something to lose", () => listener.alerts.length > 20);
  } finally {
    await end();
  }
  await server.measure(listened[0], 10);
  const log = await server.log(start);
  const due = log.filter(
    ({ type, characteristic_id: id }) => ALERTS.includes(type) && (type === "ack_update" || listened.includes(id)),
  );
  await until(
    () => `alerts ${seqs(due).filter((seq) => !listener.alerts.some((alert) => alert.seq === seq))}`,
    () => listener.alerts.length >= due.length && listener.client.position.seq >= log.at(-1).seq,
  );
  const heard = seqs(listener.alerts);
  if (isOrdered) assert.deepEqual(heard, seqs(due));
  else {
    assert.deepEqual([...heard].sort((a, b) => a - b), seqs(due));
    for (const id of ids) {
      const own = seqs(listener.alerts.filter(({ characteristic_id }) => characteristic_id === id));
      assert.deepEqual(own, [...own].sort((a, b) => a - b));
    }
  }
  assert.equal(new Set(seqs(listener.events)).size, listener.events.length, "nothing comes twice, samples neither");
  return { listener, proxy };
}

const BREAKS = Object.entries(TROUBLES);

test("each alert comes once and in order over a WebSocket that breaks", async (t) => {
  const { listener } = await goesThrough(t, { troubles: BREAKS, rounds: 12, isOrdered: true, transport: "websocket" });
  assert.deepEqual(listener.gaps, []);
});

test("each alert comes once over a WebSocket that loses frames and exchanges them", async (t) => {
  const troubles = [...FRAME_TROUBLES, ...FRAME_TROUBLES, ...BREAKS];
  await goesThrough(t, { troubles, rounds: 12, transport: "websocket" });
});

test("each alert comes once and in order over server-sent events that break", async (t) => {
  const { listener } = await goesThrough(t, { troubles: BREAKS, rounds: 10, isOrdered: true, transport: "events" });
  assert.deepEqual(listener.gaps, []);
});

test("each alert comes once and in order where upgrades are refused", async (t) => {
  const { proxy } = await goesThrough(t, { troubles: BREAKS, rounds: 6, isOrdered: true, transport: "auto" });
  assert.ok(proxy.requests.some((line) => line.includes("/ws")), "it tries WebSockets now and then");
});
