// In a browser: hidden tabs, networks that come back. In a program: nothing is left behind.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import test from "node:test";
import { fileURLToPath } from "node:url";

import { Proxy } from "../proxy.mjs";
import { Listener, Server, until } from "./support.mjs";

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
