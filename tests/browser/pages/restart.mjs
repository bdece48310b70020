// The server is killed and comes back, or the network between breaks, stalls or lets no WebSocket through: pages say so,
// and go on where they were without a reload.

import assert from "node:assert/strict";
import { test } from "node:test";
import { ownServer } from "../own-server.mjs";
import { Proxy } from "../proxy.mjs";
import { eventually, open } from "../support.mjs";

/** A server whose heart beats so fast that a silence is soon noticed. */
const QUICK = "[broadcast]\nheartbeat_seconds = 1\n";
/** What a browser logs of connections that break. */
const BROKEN = /WebSocket|ERR_CONNECTION_REFUSED|ERR_EMPTY_RESPONSE|ERR_CONNECTION_RESET|ERR_CONNECTION_CLOSED|ERR_INCOMPLETE_CHUNKED_ENCODING|ERR_NETWORK/;

/** Samples whose way to the screen is timed. */
const TIMED = 21;

async function given(own) {
  const { id } = await own.ask("POST", "characteristics", { body: { name: "Bore", unit: "mm", decimals: 3 } });
  await own.ask("PUT", `characteristics/${id}/control-limits`, { body: { center_line: 10, sigma: 1 } });
  return id;
}
const sampled = (own, id, value) => own.ask("POST", "samples", { body: { characteristic_id: id, measurements: [value] } });

test("the server is killed: the wall and an open list say so, and catch up without a gap", async (t) => {
  const own = await ownServer(t);
  const id = await given(own);
  await sampled(own, id, 10);
  const expectedErrors = BROKEN;
  const wall = await open(t, "", { at: own.root, expectedErrors });
  const alarms = await open(t, "alarms", { at: own.root, expectedErrors });
  const chart = await open(t, `characteristics/${id}`, { at: own.root, expectedErrors });
  const pages = [wall, alarms, chart];
  for (const page of pages) {
    await page.locator("#connection[data-state=live]").waitFor();
    await page.evaluate(() => {
      window.isTheSamePage = true;
    });
  }
  const tile = wall.locator(`.tile[data-id="${id}"]`);
  await tile.getByText("10.000 mm").waitFor();

  await own.kill();
  for (const page of pages) await page.locator("#connection", { hasText: "Disconnected since" }).waitFor();
  await own.start();
  // Before the pages are back, or after: they hear of it once.
  await sampled(own, id, 10.5);
  await sampled(own, id, 14.25);
  for (const page of pages) await page.locator("#connection[data-state=live]").waitFor();
  await tile.getByText("14.250 mm").waitFor();
  await wall.locator(`.tile[data-id="${id}"][data-alarm="active_unacked"]`).waitFor();
  await alarms.getByText("above the upper control limit").first().waitFor();
  const { total } = await own.ask("GET", "violations?status=open&acknowledged=false");
  await eventually(async () => (await wall.locator("#waiting").textContent()) === String(total), "the badge is true");
  for (const page of pages) assert.equal(await page.evaluate(() => window.isTheSamePage), true);

  // And what happens from now on is heard as before.
  await sampled(own, id, 10.75);
  await tile.getByText("10.750 mm").waitFor();
});

test("through a network that breaks and stalls, the wall hears of each alarm", async (t) => {
  const own = await ownServer(t, QUICK);
  const id = await given(own);
  const proxy = await Proxy.to(own.root);
  t.after(() => proxy.close());
  const page = await open(t, "", { at: new URL(proxy.url), expectedErrors: BROKEN });
  const live = () => page.locator("#connection[data-state=live]").waitFor();
  await live();
  const tile = page.locator(`.tile[data-id="${id}"]`);
  const breaks = [() => proxy.cut(), () => proxy.cut({ reset: true }), () => proxy.stall("down")];
  for (const [turn, broken] of breaks.entries()) {
    await broken();
    await sampled(own, id, 14 + turn / 10); // nobody can hear of it now
    if (turn === 2) {
      await page.locator("#connection[data-state=disconnected]").waitFor(); // it has noticed the silence
      proxy.resume();
    }
    await tile.getByText(`${(14 + turn / 10).toFixed(3)} mm`).waitFor();
    await live();
  }
  await tile.getByText("(+").waitFor(); // of several alarms
  await page.context().close();
});

test("where WebSockets do not get through, the wall lives on server-sent events", async (t) => {
  const own = await ownServer(t);
  const id = await given(own);
  const proxy = await Proxy.to(own.root);
  t.after(() => proxy.close());
  proxy.refusesUpgrades = true;
  const page = await open(t, "", { at: new URL(proxy.url), expectedErrors: BROKEN });
  await page.locator("#connection[data-state=live]").waitFor();
  await sampled(own, id, 14.5);
  await page.locator(`.tile[data-id="${id}"][data-alarm="active_unacked"]`).getByText("14.500 mm").waitFor();
  const { items } = await own.ask("GET", "connections");
  assert.equal(items.length, 1);
  await page.context().close();
});

test("a sample is on the screen before half a second is over", async (t) => {
  const own = await ownServer(t);
  const id = await given(own);
  const page = await open(t, "", { at: own.root });
  await page.locator("#connection[data-state=live]").waitFor();
  const times = [];
  for (let n = 0; n < TIMED; n += 1) {
    const value = (9 + n / 16).toFixed(3);
    const drawn = page.locator(`.tile[data-id="${id}"]`).getByText(`${value} mm`).waitFor();
    const begun = performance.now();
    await sampled(own, id, Number(value));
    await drawn;
    times.push(performance.now() - begun);
  }
  times.sort((a, b) => a - b);
  const middle = times[(TIMED - 1) / 2];
  t.diagnostic(`from the request to the screen: median ${middle.toFixed(0)} ms, longest ${times.at(-1).toFixed(0)} ms`);
  // The median: one that came late tells of the machine.
  assert.ok(middle < 500, `median ${middle} ms`);
});
