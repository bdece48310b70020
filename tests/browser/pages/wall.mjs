// The wall shows which process needs somebody, as it happens.

import assert from "node:assert/strict";
import { test } from "node:test";
import { axe, call, eventually, givenACharacteristic, open, sample } from "../support.mjs";

/** A group of this run alone. */
const here = `wall-${process.pid}`;
const tileOf = (page, { id }) => page.locator(`.tile[data-id="${id}"]`);
const stateOf = (page, characteristic) => tileOf(page, characteristic).getAttribute("data-alarm");

test("a violation is seen, answered by somebody else, and over", async (t) => {
  const bore = await givenACharacteristic({ group: `${here}/a` });
  await sample(bore.id, 10);
  const page = await open(t, `?group=${here}/a`);
  await tileOf(page, bore).waitFor();
  assert.equal(await stateOf(page, bore), "normal");
  assert.match(await tileOf(page, bore).innerText(), /Normal[^]*10\.000 mm/);

  await sample(bore.id, 14);
  await page.locator(`.tile[data-id="${bore.id}"][data-alarm="active_unacked"]`).waitFor();
  const told = await tileOf(page, bore).innerText();
  assert.match(told, /Needs someone[^]*critical[^]*14\.000 mm[^]*Point above the upper control limit/i);
  await page.locator("#headline", { hasText: "1 process needs someone: Bore" }).waitFor();
  assert.match(await page.title(), /^\(\d+\) Andon$/);

  const { items } = await call("GET", `violations?characteristic_id=${bore.id}`);
  await call("POST", `violations/${items[0].id}/acknowledge`, { reason: "Tool Change", user: "ann" });
  await page.locator(`.tile[data-id="${bore.id}"][data-alarm="active_acked"]`).waitFor();
  assert.match(await tileOf(page, bore).innerText(), /Being seen to[^]*Answered by ann: Tool Change/);

  await sample(bore.id, 10);
  await page.locator(`.tile[data-id="${bore.id}"][data-alarm="normal"]`).waitFor();
});

test("what comes back by itself still waits for an answer, which can be given here", async (t) => {
  const bore = await givenACharacteristic({ group: `${here}/b` });
  const page = await open(t, `?group=${here}/b`);
  await tileOf(page, bore).waitFor();
  await sample(bore.id, 14);
  await sample(bore.id, 10);
  await page.locator(`.tile[data-id="${bore.id}"][data-alarm="returned_unacked"]`).waitFor();
  await tileOf(page, bore).getByRole("button", { name: "Acknowledge" }).click();
  const dialog = page.getByRole("dialog");
  await dialog.waitFor();
  assert.match(await dialog.innerText(), /above the upper control limit/i);
});

test("what has no limits is collecting, and never green", async (t) => {
  const bore = await givenACharacteristic({ group: `${here}/c` }, null);
  for (let n = 0; n < 3; n += 1) await sample(bore.id, 10 + n / 10);
  const page = await open(t, `?group=${here}/c`);
  const tile = tileOf(page, bore);
  await tile.getByText("Collecting 3 of 25").waitFor();
  await sample(bore.id, 10);
  await tile.getByText("Collecting 4 of 25").waitFor();
  assert.equal(await stateOf(page, bore), "no_limits");
  await call("PUT", `characteristics/${bore.id}/control-limits`, { center_line: 10, sigma: 1 });
  await page.locator(`.tile[data-id="${bore.id}"][data-alarm="normal"]`).waitFor();
});

test("the most urgent come first, whatever they are called", async (t) => {
  const group = `${here}/d`;
  const [calm, collecting] = [await givenACharacteristic({ group, name: "a" }), await givenACharacteristic({ group, name: "b" }, null)];
  const [back, taken, urgent] = [await givenACharacteristic({ group, name: "c" }), await givenACharacteristic({ group, name: "d" }), await givenACharacteristic({ group, name: "e" })];
  const page = await open(t, `?group=${group}`);
  await tileOf(page, urgent).waitFor();
  await sample(calm.id, 10);
  await sample(back.id, 14);
  await sample(back.id, 10);
  await sample(taken.id, 14);
  const { items } = await call("GET", `violations?characteristic_id=${taken.id}`);
  await call("POST", "violations/batch-acknowledge", { violation_ids: items.map(({ id }) => id), reason: "Other", user: "ann" });
  await sample(urgent.id, 14);
  const wanted = [urgent, back, taken, collecting, calm].map(({ id }) => String(id));
  const order = () => page.locator(".tile:visible").evaluateAll((tiles) => tiles.map((tile) => tile.dataset.id));
  await eventually(async () => String(await order()) === String(wanted), "they are in order");
});

test("what is shown can be chosen by state, group and words, and sent to somebody", async (t) => {
  const [mine, other] = [
    await givenACharacteristic({ group: `${here}/e/press`, tags: ["safety"] }), await givenACharacteristic({ group: `${here}/e/oven` }),
  ];
  const page = await open(t, `?group=${here}/e`);
  await tileOf(page, other).waitFor();
  await page.keyboard.press("/");
  await page.keyboard.type("safety");
  await tileOf(page, other).waitFor({ state: "hidden" });
  assert.ok(await tileOf(page, mine).isVisible());
  assert.equal(new URL(page.url()).search, `?q=safety&group=${encodeURIComponent(`${here}/e`)}`);
  await page.getByRole("searchbox").fill("");
  await tileOf(page, other).waitFor();
  await sample(other.id, 14);
  await page.getByRole("button", { name: /Needs someone/ }).click();
  await tileOf(page, mine).waitFor({ state: "hidden" });
  await page.reload();
  await tileOf(page, other).waitFor();
  assert.ok(await tileOf(page, mine).isHidden());
});

test("what is created, renamed, retired and deleted meanwhile comes and goes", async (t) => {
  const page = await open(t, `?group=${here}/f`);
  await page.locator("#connection[data-state=live]").waitFor();
  const bore = await givenACharacteristic({ group: `${here}/f` });
  await sample(bore.id, 10);
  await tileOf(page, bore).waitFor();
  await call("PATCH", `characteristics/${bore.id}`, { name: "Shaft <b>7</b>" });
  await tileOf(page, bore).getByText("Shaft <b>7</b>", { exact: true }).waitFor();
  await call("PATCH", `characteristics/${bore.id}`, { retired: true });
  await tileOf(page, bore).waitFor({ state: "detached" });
  await call("PATCH", `characteristics/${bore.id}`, { retired: false });
  await tileOf(page, bore).waitFor();
  await call("DELETE", `characteristics/${bore.id}?with_history=true`);
  await tileOf(page, bore).waitFor({ state: "detached" });
});

test("of very many the most urgent are shown, and the others if somebody wants them", async (t) => {
  const group = `${here}/many`;
  const all = [];
  while (all.length < 520) {
    all.push(...await Promise.all(Array.from({ length: 20 }, () => givenACharacteristic({ group }))));
  }
  const last = all.at(-1);
  const page = await open(t, `?group=${group}`);
  const shown = () => page.locator(".tile").count();
  await page.getByText("The 500 most urgent of 520 processes are shown.").waitFor();
  assert.equal(await shown(), 500);
  await page.getByRole("button", { name: "520 No limits" }).or(page.getByRole("button", { name: "520 Normal" })).waitFor();
  assert.equal(await tileOf(page, last).count(), 0);
  await sample(last.id, 14);
  await tileOf(page, last).waitFor();
  assert.equal(await page.locator(".tile").first().getAttribute("data-id"), String(last.id));
  assert.equal(await shown(), 500);
  // Who is at one of them stays there, whatever becomes more urgent.
  const at = await page.locator(".tile").last().getAttribute("data-id");
  await page.locator(".tile .into").last().focus();
  await sample(all.at(-2).id, 14);
  await tileOf(page, all.at(-2)).waitFor();
  assert.equal(await page.evaluate(() => document.activeElement.closest(".tile").dataset.id), at);
  await page.evaluate(() => document.activeElement.blur());
  await page.getByRole("button", { name: /^Show (19|20) more$/ }).click();
  await eventually(async () => (await shown()) === 520, "all are shown");
  await page.getByText("All 520 processes are shown.").waitFor();
  assert.equal(await page.evaluate(() => document.activeElement.id), "more", "the focus is not lost");
});

test("a tile leads to its chart, by the keyboard, too", async (t) => {
  const bore = await givenACharacteristic({ group: `${here}/g` });
  const page = await open(t, `?group=${here}/g`);
  await tileOf(page, bore).getByRole("link").focus();
  await page.keyboard.press("Enter");
  await page.waitForURL(`**/characteristics/${bore.id}`);
});

test("the sparkline is drawn: the past at once, and each sample as it comes", async (t) => {
  const bore = await givenACharacteristic({ group: `${here}/h` });
  for (let n = 0; n < 5; n += 1) await sample(bore.id, 10 + (n % 3) / 2);
  const page = await open(t, `?group=${here}/h`);
  const line = () => tileOf(page, bore).locator(".sparkline .values").getAttribute("d");
  const dots = () => tileOf(page, bore).locator(".sparkline .out").getAttribute("d");
  await eventually(async () => (await line())?.split("L").length === 5, "the past is drawn");
  assert.equal(await dots(), "");
  await sample(bore.id, 14);
  await eventually(async () => (await line()).split("L").length === 6, "the sample is drawn");
  assert.equal((await dots()).split("M").length - 1, 1, "it is marked, since it signals");
});

test("no serious or critical finding of axe, whatever the state", async (t) => {
  const [urgent, back] = [await givenACharacteristic({ group: `${here}/i` }), await givenACharacteristic({ group: `${here}/i` })];
  await givenACharacteristic({ group: `${here}/i` }, null);
  for (const [id, value] of [[urgent.id, 14], [back.id, 14], [back.id, 10]]) await sample(id, value);
  for (const colorScheme of ["light", "dark"]) {
    const page = await open(t, `?group=${here}/i`, { colorScheme });
    await tileOf(page, urgent).waitFor();
    assert.deepEqual(await axe(page), [], colorScheme);
  }
});
