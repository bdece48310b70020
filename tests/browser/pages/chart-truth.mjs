// What the page of a control chart shows stays true: whatever comes late, fails, or has become another one meanwhile.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

import { ownServer } from "../own-server.mjs";
import { call, eventually, givenACharacteristic, open, sample, server } from "../support.mjs";

const OUT = 14; // beyond the upper control limit
const NEAR = 12.5; // beyond two sigma: two such ones make a signal that needs no answer
const RULES = [{ rule_id: 1 }, { rule_id: 5, severity: "INFO", requires_acknowledgement: false }];

async function openChart(t, { id }, query = "", options = {}) {
  const page = await open(t, `characteristics/${id}${query}`, options);
  await page.locator("#plots canvas").first().waitFor();
  await page.locator("#connection[data-state=live]").waitFor();
  return page;
}

const drawnUpTo = (page, number) =>
  eventually(async () => Number(await page.locator("#plots").getAttribute("data-last")) === number, `point ${number} is the newest that is drawn`);
const button = (page, name) => page.getByRole("button", { name, exact: true });
const samples = (id, values, more = {}, at = server) =>
  call("POST", "samples/batch", { samples: values.map((value) => ({ characteristic_id: id, measurements: [value], ...more })) }, at);
const frames = (page) => page.evaluate(() => new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(() => setTimeout(resolve)))));

/** Holds back the answer of the next call whose address is like this; `release` lets it arrive. */
async function holdNext(page, address) {
  let held = null;
  await page.route(address, async (route) => {
    if (held) return route.fallback();
    held = { route };
    held.response = await route.fetch();
    return undefined;
  });
  return {
    isHeld: () => eventually(() => held?.response, "a call is held back"),
    async release() {
      const arrives = page.waitForResponse((response) => response.request() === held.route.request());
      await held.route.fulfill({ response: held.response });
      await (await arrives).finished();
      await frames(page);
    },
  };
}

test("what waits is listed, however many came later that need no answer", async (t) => {
  const bore = await givenACharacteristic({ rules: RULES });
  await sample(bore.id, OUT);
  await samples(bore.id, Array(130).fill(NEAR));
  const { total } = await call("GET", `violations?characteristic_id=${bore.id}&status=open&acknowledged=false&limit=1`);
  assert.ok(total > 100, `${total} are open`);
  const page = await openChart(t, bore);
  const list = page.locator("#violations");
  await list.getByRole("button", { name: /^Acknowledge: Point above/ }).waitFor();
  await list.getByRole("heading", { name: "Violations: 1 open" }).waitFor();
  assert.equal(await list.getByText("Nothing waits").isVisible(), false);
  const { items: [waiting] } = await call("GET", `violations?characteristic_id=${bore.id}&rule_id=1`);
  await call("POST", `violations/${waiting.id}/acknowledge`, { reason: "Tool wear", user: "Omar" });
  await list.getByText("Nothing waits for an answer.").waitFor();
});

test("of more than are listed it says how many, and one that a link leads to is beside them", async (t) => {
  const bore = await givenACharacteristic({ rules: RULES });
  await samples(bore.id, Array(60).fill(OUT));
  const { items } = await call("GET", `violations?characteristic_id=${bore.id}&rule_id=1&limit=100`);
  const oldest = items.at(-1);
  const page = await openChart(t, bore, `?violation=${oldest.id}`);
  const list = page.locator("#violations");
  await list.getByRole("heading", { name: "Violations: 60 open" }).waitFor();
  await list.getByRole("button", { name: "Acknowledge the newest 50 of 60…", exact: true }).waitFor();
  const single = page.getByRole("list", { name: "The chosen violation" });
  await single.getByRole("button", { pressed: true }).waitFor();
  await single.getByRole("button", { name: /^Acknowledge: / }).waitFor();
  await call("POST", `violations/${oldest.id}/acknowledge`, { reason: "Tool wear", user: "Omar" });
  await single.getByText(/Omar/).waitFor();
  assert.equal(await single.getByRole("button", { name: /^Acknowledge: / }).count(), 0);
});

test("batch and operator of what came live are in the CSV", async (t) => {
  const bore = await givenACharacteristic();
  const page = await openChart(t, bore);
  await samples(bore.id, [10, 10.1, 9.9], { batch: "B-9", operator: "Ines" });
  await drawnUpTo(page, 3);
  const [file] = await Promise.all([page.waitForEvent("download"), page.getByRole("button", { name: "The points in view as CSV" }).click()]);
  const [, ...lines] = readFileSync(await file.path(), "utf8").trim().split("\r\n");
  assert.equal(lines.length, 3);
  for (const line of lines) assert.match(line, /,B-9,Ines,/);
});

test("after a restore, the chart shows what is there now and what comes then", async (t) => {
  const own = await ownServer(t);
  const at = own.root;
  const given = async (name) => {
    const { id } = await call("POST", "characteristics", { name }, at);
    await call("PUT", `characteristics/${id}/control-limits`, { center_line: 10, sigma: 1 }, at);
    return id;
  };
  const id = await given("Bore");
  await samples(id, Array(30).fill(10), {}, at);
  await samples(id, [OUT], {}, at);
  const page = await openChart(t, { id }, "", { at, expectedErrors: /ERR_|WebSocket|50\d|404/ });
  await drawnUpTo(page, 31);
  await page.evaluate(() => {
    window.hasStayed = true;
  });
  await own.kill();
  await page.locator('#connection[data-state="disconnected"]').waitFor();
  // The page does not ask before there is something to see.
  await page.context().setOffline(true);
  await own.start("another.db");
  assert.equal(await given("Shaft"), id);
  await samples(id, [10, 10.1, 10.2], {}, at);
  await page.context().setOffline(false);
  await page.getByRole("heading", { name: "Shaft" }).waitFor();
  await drawnUpTo(page, 3);
  await page.getByText("Nothing waits for an answer.").waitFor();
  await samples(id, [10.3], {}, at);
  await drawnUpTo(page, 4);
  assert.equal(await page.evaluate(() => window.hasStayed), true);
});

test("a point that the server does not have is gone once the newest are loaded", async (t) => {
  const bore = await givenACharacteristic();
  await samples(bore.id, Array(5).fill(10));
  const page = await open(t, "alarms");
  const { before, newest, last } = await page.evaluate(async (id) => {
    const { ChartPoints } = await import(new URL("assets/chart/data.js", location.href).href);
    const points = new ChartPoints(id, () => {});
    await points.refresh();
    points.hear({ type: "sample", payload: { sample_id: 2 ** 40, value: 10, n: 1, violations: [] } });
    const { newest: heard } = points;
    await points.refresh();
    return { before: heard, newest: points.newest, last: points.points.at(-1).number };
  }, bore.id);
  assert.deepEqual({ before, newest, last }, { before: 6, newest: 5, last: 5 });
});

test("it is said anew how long ago a violation was", async (t) => {
  const bore = await givenACharacteristic();
  await sample(bore.id, OUT);
  const page = await openChart(t, bore);
  const time = page.locator("#violations time").first();
  await time.waitFor();
  await time.evaluate((element) => {
    element.textContent = "long ago";
  });
  await eventually(async () => /sec|now|min/.test(await time.textContent()), "it is said anew");
});

test("an older answer that comes late does not show", async (t) => {
  const bore = await givenACharacteristic();
  const page = await openChart(t, bore);
  const held = await holdNext(page, new RegExp(`characteristics/${bore.id}$`));
  await call("PATCH", `characteristics/${bore.id}`, { description: "the first" });
  await held.isHeld();
  await call("PATCH", `characteristics/${bore.id}`, { description: "the second" });
  await page.locator("#head").getByText("the second").waitFor();
  await held.release();
  assert.equal(await page.locator("#head").getByText("the first").count(), 0);
});

test("nor does one of the violations", async (t) => {
  const bore = await givenACharacteristic();
  const page = await openChart(t, bore);
  await page.getByText("Nothing waits for an answer.").waitFor();
  const held = await holdNext(page, new RegExp(`violations\\?characteristic_id=${bore.id}.*status=open`));
  const { violations: [{ violation_id: id }] } = await sample(bore.id, OUT);
  await held.isHeld();
  await call("POST", `violations/${id}/acknowledge`, { reason: "Tool wear", user: "Omar" });
  await page.getByText("Nothing waits for an answer.").waitFor();
  await page.locator("#violations details").getByText(/Omar/).waitFor({ state: "attached" });
  await held.release();
  assert.equal(await page.locator("#violations").getByRole("heading", { name: "Violations", exact: true }).count(), 1);
});

test("a preview that was given up is not drawn", async (t) => {
  const bore = await givenACharacteristic();
  await samples(bore.id, Array.from({ length: 30 }, (_, index) => 10 + (index % 5) / 10));
  const page = await openChart(t, bore);
  const panel = page.getByRole("region", { name: "Control limits" });
  const preview = page.locator("#legend").getByText("Preview of new limits");
  for (const giveUp of [() => page.keyboard.press("Escape"), () => panel.getByLabel("At least so many samples").fill("12")]) {
    const held = await holdNext(page, /recalculate/);
    await button(page, "Control limits…").click();
    await button(panel, "Preview").click();
    await held.isHeld();
    await giveUp();
    await held.release();
    assert.equal(await preview.isVisible(), false);
    assert.equal(await panel.getByText("Calculated from").count(), 0);
  }
  await button(panel, "Preview").click();
  await preview.waitFor();
});

test("while nobody answers, the connection alone says so", async (t) => {
  const bore = await givenACharacteristic();
  const page = await openChart(t, bore, "", { expectedErrors: /ERR_/ });
  await page.getByText("Nothing waits for an answer.").waitFor();
  let failed = 0;
  page.on("requestfailed", () => {
    failed += 1;
  });
  await page.route(/api\/v1\/(characteristics|violations|samples)/, (route) => route.abort());
  await sample(bore.id, OUT);
  await drawnUpTo(page, 1);
  await eventually(() => failed >= 3, "calls fail");
  await frames(page);
  assert.deepEqual(await page.locator(".complaint").allTextContents(), []);
});

test("under new limits, no old point is said to be what they came from", async (t) => {
  const bore = await givenACharacteristic({}, null);
  const past = (first, total) => call("POST", "samples/batch", { samples: Array.from({ length: total }, (_, index) => ({
    characteristic_id: bore.id, measurements: [10 + (index % 5) / 10], mode: "history",
    timestamp: new Date(Date.UTC(2026, 0, 10) + (first + index) * 60_000).toISOString(),
  })) });
  await past(0, 100);
  await call("POST", `characteristics/${bore.id}/control-limits/recalculate`, { user: "Ada" });
  await past(100, 1_100);
  const page = await openChart(t, bore, "?points=1200");
  await eventually(async () => (await page.locator("#plots").getAttribute("data-first")) === "1", "all points are drawn");
  const baseline = page.locator("#legend").getByText("The limits in force were calculated from these");
  await baseline.waitFor();
  await call("PUT", `characteristics/${bore.id}/control-limits`, { center_line: 10, sigma: 1, user: "Ada" });
  await baseline.waitFor({ state: "hidden" });
});

test("a picture asks for a token where the one of before is not taken any more", async (t) => {
  const token = "operate-0123456789abcdef";
  const { root: at, ask } = await ownServer(t, `[[auth.tokens]]\nname = "ann"\ntoken = "${token}"\nroles = ["admin"]\n`);
  const { id } = await ask("POST", "characteristics", { body: { name: "Bore" }, token });
  await ask("POST", "samples", { body: { characteristic_id: id, measurements: [10] }, token });
  const page = await open(t, `characteristics/${id}`, { at, expectedErrors: /401|WebSocket/ });
  const signIn = async () => {
    await page.locator("#token").fill(token);
    await page.getByRole("button", { name: "Sign in" }).click();
  };
  await signIn();
  await page.locator("#connection[data-state=live]").waitFor();
  await drawnUpTo(page, 1);
  await page.evaluate(() => sessionStorage.setItem("andon.token", "another-0123456789abcdef"));
  const arrives = page.waitForEvent("download");
  await page.getByRole("link", { name: "SVG" }).click();
  await signIn();
  assert.match(readFileSync(await (await arrives).path(), "utf8"), /<svg/);
  assert.equal(await page.locator(".complaint").count(), 0);
});
