// The wall under load, for a long time: whether frames are dropped, and whether memory grows. Prints figures; the memory
// is held against a bound. `MINUTES`, `TILES`, `PER_SECOND` and `SCREEN` (such as 3840x2160) say how much; run by `.ci/long`.

import assert from "node:assert/strict";
import { test } from "node:test";
import { ownServer } from "../own-server.mjs";
import { open } from "../support.mjs";
import { feed } from "./load.mjs";

const [minutes, tiles, perSecond] = [["MINUTES", 2], ["TILES", 200], ["PER_SECOND", 10]].map(
  ([name, usual]) => Number(process.env[name] ?? usual));
const [width, height] = (process.env.SCREEN ?? "1920x1080").split("x").map(Number);
/** What the heap may have grown by from the first quarter to the last. */
const MOST_GROWTH = 1.2;
/** A frame of 60 a second, and half of the next one. */
const DROPPED_MS = 25;

test(`the wall with ${tiles} tiles at ${perSecond} samples a second each, for ${minutes} minutes`, async (t) => {
  const own = await ownServer(t);
  const load = await feed(own.ask, own.root, { tiles, perSecond });
  const page = await open(t, "", { at: own.root, viewport: { width, height } });
  await page.locator("#connection[data-state=live]").waitFor();
  const cdp = await page.context().newCDPSession(page);
  await cdp.send("Performance.enable");
  const heaps = [];
  for (let minute = 0; minute < minutes; minute += 1) {
    const [before, sent] = [await figures(cdp), load.sent()];
    const frames = await page.evaluate(framesFor, 60_000);
    const after = await figures(cdp);
    await cdp.send("HeapProfiler.collectGarbage");
    const { JSHeapUsedSize: heap, Nodes: nodes } = await figures(cdp);
    heaps.push(heap);
    const busy = (after.TaskDuration - before.TaskDuration) / (after.Timestamp - before.Timestamp);
    const dropped = frames.filter((took) => took > DROPPED_MS).length;
    t.diagnostic(
      `minute ${minute + 1}: ${((load.sent() - sent) / 60).toFixed(0)} samples/s; ${frames.length} frames, ${dropped} late, ` +
      `longest ${Math.max(...frames).toFixed(0)} ms; main thread ${(100 * busy).toFixed(0)} % busy; ` +
      `heap ${(heap / 1e6).toFixed(1)} MB, ${nodes} nodes`);
  }
  await load.stop();
  const quarter = Math.max(1, Math.floor(minutes / 4));
  const mean = (values) => values.reduce((sum, value) => sum + value, 0) / values.length;
  const growth = mean(heaps.slice(-quarter)) / mean(heaps.slice(0, quarter));
  t.diagnostic(`heap, last quarter to first: ${growth.toFixed(3)}`);
  assert.ok(growth < MOST_GROWTH, `the heap grew to ${growth.toFixed(2)} times`);
  await page.context().close();
});

async function figures(cdp) {
  const { metrics } = await cdp.send("Performance.getMetrics");
  return Object.fromEntries(metrics.map(({ name, value }) => [name, value]));
}

/** How long each frame took, in the page. */
function framesFor(milliseconds) {
  return new Promise((resolve) => {
    const frames = [];
    let last = performance.now();
    const end = last + milliseconds;
    requestAnimationFrame(function next(now) {
      frames.push(now - last);
      last = now;
      if (now < end) requestAnimationFrame(next);
      else resolve(frames);
    });
  });
}
