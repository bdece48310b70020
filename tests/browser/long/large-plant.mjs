// A plant that is large: how long the wall takes until it knows how every process stands, and how soon it then tells of an
// alarm. Prints figures; what they have to be true of is asserted. `PROCESSES` says how many; run by `.ci/long`.

import assert from "node:assert/strict";
import { test } from "node:test";
import { ownServer } from "../own-server.mjs";
import { eventually, open } from "../support.mjs";

const processes = Number(process.env.PROCESSES ?? 20_000);
const CHUNK = 5_000;
const LIMITS = { center_line: 10, sigma: 1 };

test(`the wall of ${processes} processes, half of them without limits`, async (t) => {
  const own = await ownServer(t);
  const { limited, ids } = await plant(own);
  const every = 400;
  const values = new Map(limited.map((id, index) => [id, index % every === 0 ? 14 : 10]));
  for (let at = 0; at < ids.length; at += CHUNK) {
    const samples = ids.slice(at, at + CHUNK).map((id) => ({ characteristic_id: id, measurements: [values.get(id) ?? 10] }));
    await own.ask("POST", "samples/batch", { body: { samples } });
  }

  const begun = performance.now();
  const page = await open(t, "", { at: own.root, viewport: { width: 1920, height: 1080 } });
  const headline = page.locator("#headline");
  const urgent = Math.ceil(limited.length / every);
  await eventually(async () => {
    const told = await headline.innerText();
    assert.doesNotMatch(told, /^No process/, "it is not said before it is known");
    return told.startsWith(`${urgent} processes need someone`) && !told.includes("not all are heard of");
  }, "all are heard of", 120_000);
  t.diagnostic(`all heard of after ${((performance.now() - begun) / 1_000).toFixed(1)} s; ${await page.locator(".tile").count()} tiles`);

  const id = limited.find((candidate) => values.get(candidate) === 10);
  const sent = performance.now();
  await own.ask("POST", "samples", { body: { characteristic_id: id, measurements: [14] } });
  await page.locator(`.tile[data-id="${id}"][data-alarm=active_unacked]`).waitFor();
  t.diagnostic(`an alarm on the wall after ${(performance.now() - sent).toFixed(0)} ms`);
  const searched = performance.now();
  await page.getByRole("searchbox").fill("Process 77");
  await eventually(() => page.locator(".tile").evaluateAll((tiles) =>
    tiles.length > 0 && tiles.every((tile) => tile.innerText.includes("Process 77"))), "only those are shown");
  t.diagnostic(`searched in ${(performance.now() - searched).toFixed(0)} ms`);
});

/** Every second process has limits. */
async function plant(own) {
  const [ids, limited] = [[], []];
  let next = 0;
  const make = async () => {
    while (next < processes) {
      next += 1;
      const hasLimits = next % 2 === 0;
      const body = { name: `Process ${next}`, group: `plant/line ${next % 100}`, unit: "mm", decimals: 3, rules: [{ rule_id: 1 }] };
      const { id } = await own.ask("POST", "characteristics", { body });
      if (hasLimits) {
        await own.ask("PUT", `characteristics/${id}/control-limits`, { body: LIMITS });
        limited.push(id);
      }
      ids.push(id);
    }
  };
  await Promise.all(Array.from({ length: 16 }, make));
  return { ids, limited };
}
