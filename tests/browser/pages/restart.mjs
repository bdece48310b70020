// The server is killed and comes back: pages say so, and go on where they were without a reload.

import assert from "node:assert/strict";
import { test } from "node:test";
import { ownServer } from "../own-server.mjs";
import { eventually, open } from "../support.mjs";

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
  const expectedErrors = /WebSocket|ERR_CONNECTION_REFUSED|ERR_EMPTY_RESPONSE|ERR_CONNECTION_RESET|ERR_INCOMPLETE_CHUNKED_ENCODING/;
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
