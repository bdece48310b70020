// In a browser: hidden tabs, networks that come back. In a program: nothing is left behind.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import test from "node:test";
import { fileURLToPath } from "node:url";

import { Proxy } from "../proxy.mjs";
import { Listener, Server, needsBinary, until } from "./support.mjs";

/** As much of a browser as the client looks at. */
function givenAPage() {
  const [page, network] = [new EventTarget(), new EventTarget()];
  Object.assign(page, { visibilityState: "visible" });
  const listeners = { count: 0 };
  const counted = (target) => ({
    addEventListener: (...it) => ((listeners.count += 1), target.addEventListener(...it)),
    removeEventListener: (...it) => ((listeners.count -= 1), target.removeEventListener(...it)),
  });
  const document = counted(page);
  Object.defineProperty(document, "visibilityState", { get: () => page.visibilityState });
  Object.assign(globalThis, counted(network), { document });
  return {
    listeners,
    comesOnline: () => network.dispatchEvent(new Event("online")),
    is(visibilityState) {
      page.visibilityState = visibilityState;
      page.dispatchEvent(new Event("visibilitychange"));
    },
  };
}

for (const transport of ["websocket", "events"]) {
  test(`a hidden page is told of alerts alone, and a page that is shown of everything, over ${transport}`, async (t) => {
    const server = await Server.common();
    const [page, bore] = [givenAPage(), await server.givenAChart()];
    const options = { server: server.url, transport, alertsOnlyWhileHidden: true };
    const listener = await Listener.live(t, options, { characteristic_ids: [bore] });
    const answers = () => listener.heard.filter(({ type }) => type === "subscribed").length;
    const answeredAgain = async (before) => {
      await until("the answer", () => answers() > before);
      await listener.isLive();
    };
    await server.measure(bore, 10);
    await listener.hears("sample");
    let before = answers();
    page.is("hidden");
    await answeredAgain(before);
    await server.measure(bore, 10);
    await server.violate(bore);
    await listener.hears("violation");
    assert.deepEqual(listener.events.map(({ type }) => type), ["sample", "violation"]);
    before = answers();
    page.is("visible");
    await answeredAgain(before);
    const { payload } = await listener.hears("snapshot");
    assert.equal(payload.open_total, 1);
    await server.measure(bore, 11);
    await listener.hears("sample", ({ payload: { value } }) => value === 11);
    assert.deepEqual(listener.gaps, []);
    listener.client.stop();
    assert.equal(page.listeners.count, 0);
  });
}

/** Ends a stream of server-sent events behind the first message of a type. */
function cutBehind(type, response) {
  let told = "";
  const cut = new TransformStream({
    transform(chunk, out) {
      told += chunk;
      const message = new RegExp(`^[^]*?event: ?${type}\n[^]*?\n\n`).exec(told);
      if (!message) return;
      out.enqueue(message[0]);
      out.terminate();
    },
  });
  const body = response.body.pipeThrough(new TextDecoderStream()).pipeThrough(cut).pipeThrough(new TextEncoderStream());
  return new Response(body, { headers: response.headers });
}

/** A page over server-sent events whose snapshots meet trouble on their own stream: `trouble(reading, request)` answers. */
async function givenTroubleWithSnapshots(t, trouble, { ids = [], ...options } = {}) {
  const server = await Server.common();
  const [page, bore, flow] = [givenAPage(), await server.givenAChart(), await server.givenAChart()];
  const readings = [];
  const fetchIt = (url, request) => {
    if (!url.includes("snapshot=true")) return fetch(url, request);
    readings.push(url);
    return trouble(readings.length, () => fetch(url, request));
  };
  const more = { server: server.url, transport: "events", alertsOnlyWhileHidden: true, fetch: fetchIt, ...options };
  const listener = await Listener.live(t, more, { characteristic_ids: [bore, flow, ...ids] });
  page.is("hidden");
  await until("alerts alone", () => listener.heard.filter(({ type }) => type === "subscribed").length === 2);
  await server.violate(bore);
  await listener.hears("violation");
  page.is("visible");
  const isShown = (id) => listener.hears("snapshot", ({ characteristic_id }) => characteristic_id === id);
  return { server, page, bore, flow, listener, readings, isShown };
}

const TROUBLES = {
  "a server that is not ready": () => new Response("", { status: 503 }),
  "too many connections": () => new Response("", { status: 429, headers: { "Retry-After": "0" } }),
  "a broken connection": () => Promise.reject(new TypeError("terminated")),
  "a stream that ends before it has promised any": async (read) => cutBehind("welcome", await read()),
  "a stream that ends before the first has come": async (read) => cutBehind("subscribed", await read()),
  "a stream that ends before all have come": async (read) => cutBehind("snapshot", await read()),
};

for (const [what, trouble] of Object.entries(TROUBLES)) {
  test(`a page that is shown again asks for snapshots until all have come: ${what}`, async (t) => {
    const answer = (reading, read) => (reading <= 2 ? trouble(read) : read());
    const { bore, flow, listener, readings, isShown } = await givenTroubleWithSnapshots(t, answer);
    const { payload } = await isShown(bore);
    assert.equal(payload.open_total, 1);
    await isShown(flow);
    assert.ok(readings.length <= 3, `${readings}`);
    assert.equal(listener.client.state, "live");
    assert.ok(!listener.states.some(({ state }) => state === "disconnected"));
  });
}

test("snapshots over a silent stream are asked for again", { skip: needsBinary }, async (t) => {
  const silent = () => new Response(new ReadableStream({}), { headers: { "Content-Type": "text/event-stream" } });
  const answer = (reading, read) => (reading === 1 ? silent() : read());
  const { bore, isShown } = await givenTroubleWithSnapshots(t, answer, { connectTimeoutMs: 300, silenceMs: 2_000 });
  await isShown(bore);
});

test("snapshots of what does not exist are not asked for for ever", { skip: needsBinary }, async (t) => {
  const options = { ids: [2 ** 50], connectTimeoutMs: 300, silenceMs: 1_000 };
  const { bore, flow, readings, listener, isShown } = await givenTroubleWithSnapshots(t, (_, read) => read(), options);
  await Promise.all([isShown(bore), isShown(flow)]);
  const shown = performance.now();
  await until("some heartbeats", () => performance.now() - shown > 2_500);
  assert.equal(readings.length, 1);
  assert.equal(listener.client.state, "live");
});

test("a token that was refused for snapshots is asked for anew", async (t) => {
  let asked = 0;
  const answer = (reading, read) => (reading === 1 ? new Response("", { status: 401 }) : read());
  const { bore, listener, isShown } = await givenTroubleWithSnapshots(t, answer, { token: () => void (asked += 1) });
  await isShown(bore);
  assert.equal(asked, listener.states.filter(({ state }) => state === "connecting").length);
  assert.equal(listener.client.state, "live");
});

test("snapshots that never come are asked for less and less often, and not after the client has stopped", async (t) => {
  t.mock.method(Math, "random", () => 0.999);
  const times = [];
  const answer = () => (times.push(performance.now()), new Response("", { status: 503 }));
  const backoff = { minBackoffMs: 50, maxBackoffMs: 200 };
  const { listener, readings } = await givenTroubleWithSnapshots(t, answer, backoff);
  await until("five attempts", () => readings.length === 5);
  listener.client.stop();
  const waits = times.slice(1).map((time, i) => time - times[i]);
  [50, 100, 200, 200].forEach((least, i) => assert.ok(waits[i] > least * 0.9, `${waits}`));
  const stopped = performance.now();
  await until("another would have been made", () => performance.now() - stopped > 400);
  assert.equal(readings.length, 5);
});

test("a network that comes back is tried at once", async (t) => {
  const server = await Server.common();
  const page = givenAPage();
  const proxy = await Proxy.to(server.url);
  t.after(() => proxy.close());
  const backoff = { minBackoffMs: 600_000, maxBackoffMs: 600_000 };
  const listener = await Listener.live(t, { server: proxy.url, ...backoff }, { all: true });
  proxy.answers = [503, {}];
  proxy.cut();
  await listener.is("disconnected");
  proxy.answers = null;
  page.comesOnline();
  await listener.isLive();
  listener.client.stop();
  assert.equal(page.listeners.count, 0);
});

/** Runs a program that imports the client and the tests' support; it has to end by itself. */
async function endsByItself(t, server, text) {
  const support = fileURLToPath(new URL("./support.mjs", import.meta.url));
  const script = `import { AndonClient, WebSocket, until } from ${JSON.stringify(support)}; const server = "${server}"; ${text}`;
  const child = spawn(process.execPath, ["--input-type=module", "-e", script], { stdio: ["ignore", "inherit", "inherit"] });
  t.after(() => child.kill("SIGKILL"));
  const code = await until("it ends", () => (child.exitCode === null ? false : [child.exitCode]));
  assert.deepEqual(code, [0]);
}

for (const transport of ["websocket", "events"]) {
  test(`a program whose client has stopped can end, over ${transport}`, async (t) => {
    const server = await Server.common();
    await endsByItself(t, server.url, `
      const client = new AndonClient({ server, WebSocket, transport: "${transport}" });
      client.subscribe({ all: true, snapshot: true });
      client.on("state", ({ state }) => state === "live" && setImmediate(() => (client.received(1), client.stop())));
      client.start();
      await until("it has stopped", () => client.state === "stopped");
    `);
  });

  test(`a program whose client stops while it connects or waits can end, over ${transport}`, async (t) => {
    const server = await Server.common();
    const proxy = await Proxy.to(server.url);
    t.after(() => proxy.close());
    proxy.isBlackHole = true;
    await endsByItself(t, proxy.url, `
      const options = { WebSocket, transport: "${transport}", minBackoffMs: 600_000, maxBackoffMs: 600_000 };
      const connecting = new AndonClient({ server, ...options });
      connecting.subscribe({ all: true });
      connecting.start();
      const waiting = new AndonClient({ server: "http://127.0.0.1:1/", ...options }).start();
      await until("it waits", () => waiting.state === "disconnected" && connecting.state === "connecting");
      connecting.stop();
      waiting.stop();
    `);
  });
}
