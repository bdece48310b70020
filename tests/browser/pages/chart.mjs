// The page of one control chart, in a real browser against the real server.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { availableParallelism, loadavg } from "node:os";
import { test } from "node:test";

import { axe, call, eventually, givenACharacteristic, open, sample, server } from "../support.mjs";

/** Opens a chart and waits until it is drawn. */
async function openChart(t, { id }, query = "", options = {}) {
  const page = await open(t, `characteristics/${id}${query}`, options);
  await page.locator("#plots canvas").first().waitFor();
  await page.locator("#connection[data-state=live]").waitFor();
  return page;
}

const slider = (page) => page.getByRole("slider", { name: "Points of the chart" });
const drawn = (page) => page.evaluate(() => ({ ...document.getElementById("plots").dataset }));
const drawnUpTo = (page, number) => eventually(async () => Number((await drawn(page)).last) === number, `point ${number} is drawn`);
const button = (page, name) => page.getByRole("button", { name, exact: true });
const samples = (id, values, more = () => ({})) =>
  call("POST", "samples/batch", { samples: values.map((value, index) => ({ characteristic_id: id, measurements: [value].flat(), ...more(index) })) });
const calm = (total) => Array.from({ length: total }, (_, index) => 10 + [0.3, -0.4, 0.8, -0.2, -0.9, 0.5][index % 6]);

/** Fails for being slow, unless the machine has so much else to do that nobody could be quick. */
function tooSlow(t, words) {
  if (loadavg()[0] > 2 * availableParallelism()) t.skip(`the machine is too busy to tell: ${words}`);
  else assert.fail(words);
}

/** How many pixels of the upper chart have one of the page's colours. */
const pixels = (page, colour) => page.evaluate((name) => {
  const canvas = document.querySelector("#plots canvas");
  const probe = document.createElement("canvas").getContext("2d");
  probe.fillStyle = getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
  probe.fillRect(0, 0, 1, 1);
  const [r, g, b] = probe.getImageData(0, 0, 1, 1).data;
  const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
  let total = 0;
  for (let at = 0; at < data.length; at += 4) if (data[at] === r && data[at + 1] === g && data[at + 2] === b) total += 1;
  return total;
}, colour);

test("the head tells the name, how the process is doing, its newest value and its limits", async (t) => {
  const bore = await givenACharacteristic({ group: "Plant/Line 4", key: `bore-${process.pid}`, reaction_plan: "Stop the spindle.", usl: 14, lsl: 6 });
  await sample(bore.id, 10.25);
  const page = await openChart(t, bore);
  assert.equal(await page.title(), `${bore.name} · Andon`);
  const head = page.locator("#head");
  for (const words of [bore.name, "Plant/Line 4", `bore-${process.pid}`, "Normal", "10.250 mm", "13.0000", "7.0000", "6.000 to 14.000", "I-MR chart"]) {
    await head.getByText(words).first().waitFor();
  }
  await head.getByText("What to do when it signals").click();
  await head.getByText("Stop the spindle.").waitFor();
});

test("a sample that is posted is drawn within half a second", async (t) => {
  const bore = await givenACharacteristic();
  const page = await openChart(t, bore);
  const took = [];
  for (let number = 1; number <= 6; number += 1) {
    const isDrawn = page.evaluate((wanted) => new Promise((resolve) => {
      const look = () => (Number(document.getElementById("plots").dataset.last) >= wanted ? resolve(Date.now()) : requestAnimationFrame(look));
      look();
    }), number);
    await sample(bore.id, 10 + number / 10);
    const stored = Date.now();
    took.push((await isDrawn) - stored);
  }
  // The machine of a test has other work, too; what the page itself takes is the least of it.
  if (Math.min(...took) >= 500) tooSlow(t, `drawn after ${took} ms`);
  await page.locator(".newest", { hasText: "10.600 mm" }).waitFor();
});

test("a chart is there within a second", async (t) => {
  const bore = await givenACharacteristic();
  await samples(bore.id, calm(500));
  const took = [];
  for (let time = 0; time < 4; time += 1) {
    const page = await openChart(t, bore);
    took.push(await page.evaluate(() => performance.getEntriesByName("chart drawn")[0].startTime));
    if (took.at(-1) < 1_000) return;
  }
  tooSlow(t, `drawn after ${took.map(Math.round)} ms, each time`);
});

test("signals are marked, answered ones hollow, excluded ones crossed, unjudged ones grey", async (t) => {
  const bore = await givenACharacteristic();
  await samples(bore.id, calm(8));
  const page = await openChart(t, bore, "", { colorScheme: "dark" }); // where limits are not of the colour of signals
  const before = await pixels(page, "alarm");
  const { sample_id: signalling, violations } = await sample(bore.id, 14);
  await drawnUpTo(page, 9);
  await page.getByText("Signals: the numbers are those of the rules").waitFor();
  const marked = await eventually(async () => {
    const now = await pixels(page, "alarm");
    return now > before + 60 && now;
  }, "the signal is marked");
  await call("POST", `violations/${violations[0].violation_id}/acknowledge`, { reason: "Tool wear", user: "Omar" });
  await page.getByText("Signalled, and is answered").waitFor();
  await eventually(async () => (await pixels(page, "alarm")) < marked, "the answered signal is hollow");
  await call("PATCH", `samples/${signalling}/exclude`, { is_excluded: true, reason: "dropped", user: "Omar" });
  await page.getByText("Excluded: counts as never taken").waitFor();
  await eventually(async () => (await pixels(page, "alarm")) <= before, "nothing signals any more");
  await samples(bore.id, [10], () => ({ mode: "store" }));
  await page.locator("#legend").getByText("Not judged").waitFor();
});

test("while limits are missing it says how many samples are there, and is never green", async (t) => {
  const bore = await givenACharacteristic({ auto_limits_after: 25 }, null);
  await samples(bore.id, calm(12));
  const page = await openChart(t, bore);
  const state = page.locator("#head .state");
  await state.filter({ hasText: "collecting 12 of 25" }).waitFor();
  const [colour, green] = await page.evaluate(() => {
    const probe = document.createElement("p");
    probe.style.color = "var(--normal)";
    document.body.append(probe);
    const colours = [getComputedStyle(document.querySelector("#head .state")).color, getComputedStyle(probe).color];
    probe.remove();
    return colours;
  });
  assert.notEqual(colour, green);
  await samples(bore.id, calm(13));
  await state.filter({ hasText: "Normal" }).waitFor();
  await page.locator("#head").getByText("provisional").waitFor();
});

test("arrow keys walk from point to point and say what each is", async (t) => {
  const bore = await givenACharacteristic({ usl: 13.5 });
  await samples(bore.id, [10, 11.5, 14], () => ({ batch: "B-77", operator: "Ines" }));
  const [violation] = (await call("GET", `violations?characteristic_id=${bore.id}`)).items;
  await call("POST", `violations/${violation.id}/acknowledge`, { reason: "Tool wear", comment: "insert changed", user: "Omar" });
  const page = await openChart(t, bore);
  const told = (words) => eventually(async () => {
    const text = await slider(page).getAttribute("aria-valuetext");
    return words.every((word) => text.includes(word));
  }, words.join(", ")).catch(async (error) => assert.fail(`${error.message}: ${await slider(page).getAttribute("aria-valuetext")}`));
  await slider(page).focus();
  await page.keyboard.press("End");
  await told(["Point 3", "14.000 mm", "above the upper control limit", "Point above the upper control limit (Outlier, rule 1)",
    "Acknowledged by Omar", "Tool wear", "insert changed", "outside the specification", "B-77", "Ines", "Moving range: 2.500 mm"]);
  await page.keyboard.press("ArrowLeft");
  await told(["Point 2", "11.500 mm", "zone B above", "7.0000 to 13.0000"]);
  assert.equal(await slider(page).getAttribute("aria-valuenow"), "2");
  await page.locator("#point").getByText("zone B above").waitFor();
  await page.keyboard.press("Home");
  await told(["Point 1", "exactly on the center line"]);
  await page.keyboard.press("Escape");
  await told(["No point chosen"]);
});

test("the point under the mouse is read out, and a click keeps it", async (t) => {
  const bore = await givenACharacteristic();
  await samples(bore.id, calm(20));
  const page = await openChart(t, bore);
  const surface = page.locator(".u-over").first();
  const { width } = await surface.boundingBox();
  await surface.hover({ position: { x: (width * 4.5) / 20, y: 50 } });
  await page.getByRole("heading", { name: "Point 5" }).waitFor();
  await surface.hover({ position: { x: (width * 9.5) / 20, y: 50 } });
  await page.getByRole("heading", { name: "Point 10" }).waitFor();
  // The cursor of the other chart goes along.
  const cursors = () => page.locator(".u-cursor-x").evaluateAll((lines) => lines.map((line) => line.style.transform));
  await eventually(async () => new Set(await cursors()).size === 1, "both cursors stand at one place");
  await surface.click({ position: { x: (width * 9.5) / 20, y: 50 } });
  await page.mouse.move(5, 5);
  await page.locator("#point").getByText("Let go").waitFor();
  await page.getByRole("heading", { name: "Point 10" }).waitFor();
  await page.waitForURL(/sample=\d+/);
});

test("choosing a violation shows its pattern, and a link to it brings it into view", async (t) => {
  const bore = await givenACharacteristic();
  await samples(bore.id, [...calm(6), ...Array.from({ length: 9 }, () => 10.4)]); // rule 2, with the last of the six
  await samples(bore.id, calm(700));
  const { items } = await call("GET", `violations?characteristic_id=${bore.id}&rule_id=2&limit=1000`);
  const shift = items.at(-1);
  const page = await openChart(t, bore, `?violation=${shift.id}`);
  await eventually(async () => (await drawn(page)).pattern === String(shift.involved_sample_ids.length), "the pattern is in view");
  await eventually(async () => (await slider(page).getAttribute("aria-valuenow")) === "14", "its last point is chosen");
  assert.ok(shift.involved_sample_ids.length >= 9);
  await page.getByRole("button", { name: "Newest", exact: true }).click();
  await drawnUpTo(page, 715);
  const listed = page.locator(`#violations li[data-id="${shift.id}"] button.violation`);
  if (await listed.count()) {
    await listed.click(); // lets go
    await listed.click();
    await eventually(async () => (await drawn(page)).pattern === String(shift.involved_sample_ids.length), "the pattern is in view again");
  }
  await page.waitForURL(new RegExp(`violation=${shift.id}`));
});

test("a violation is acknowledged from the list", async (t) => {
  const bore = await givenACharacteristic();
  await samples(bore.id, calm(5));
  const page = await openChart(t, bore);
  await page.getByText("Nothing waits for an answer.").waitFor();
  await sample(bore.id, 14);
  await page.locator("#violations").getByText("Point above the upper control limit (Outlier, rule 1).").waitFor();
  await page.locator("#head").getByText("Needs someone").waitFor();
  await page.locator("#violations").getByRole("button", { name: /^Acknowledge: / }).click();
  const dialog = page.getByRole("dialog");
  await dialog.getByRole("radio").first().check();
  await dialog.getByLabel("Your name").fill("Ines");
  await dialog.getByRole("button", { name: "Acknowledge", exact: true }).click();
  await dialog.waitFor({ state: "detached" });
  await page.getByText("Nothing waits for an answer.").waitFor();
  await page.locator("#head").getByText("Being seen to").waitFor();
  await page.getByText("Answers and limit changes in view").click();
  await page.locator("#notes").getByText("Acknowledged by Ines").waitFor();
});

test("history is panned through on demand, and what comes live does not pull the view away", async (t) => {
  const bore = await givenACharacteristic();
  await samples(bore.id, calm(1_600));
  const page = await openChart(t, bore, "?points=100");
  await drawnUpTo(page, 1_600);
  await page.mouse.move(400, 400);
  await button(page, "◀ Older").click();
  await eventually(async () => Number((await drawn(page)).last) < 1_540, "the view has moved");
  const { first } = await drawn(page);
  await samples(bore.id, [10, 10.1, 9.9]);
  const newest = page.getByRole("button", { name: "Newest (3 new)" });
  await newest.waitFor();
  assert.equal((await drawn(page)).first, first);
  for (let step = 0; step < 12; step += 1) await button(page, "◀ Older").click();
  await eventually(async () => Number((await drawn(page)).first) < 560, "older pages are loaded");
  await eventually(async () => Number((await drawn(page)).last) - Number((await drawn(page)).first) >= 99, "all of the view is loaded");
  await page.waitForURL(/until=\d+/);
  await newest.click();
  await drawnUpTo(page, 1_603);
  await button(page, "Newest").waitFor();
});

test("wheel and drag change what is shown", async (t) => {
  const bore = await givenACharacteristic();
  await samples(bore.id, calm(300));
  const page = await openChart(t, bore, "?points=100");
  await drawnUpTo(page, 300);
  const surface = page.locator(".u-over").first();
  const { x, y, width } = await surface.boundingBox();
  await page.mouse.move(x + width / 2, y + 40);
  await page.mouse.down();
  await page.mouse.move(x + width / 2 + 100, y + 40, { steps: 5 });
  await page.mouse.up();
  await eventually(async () => Number((await drawn(page)).last) < 295, "dragging goes back");
  const shown = async () => Number((await drawn(page)).last) - Number((await drawn(page)).first);
  const before = await shown();
  await page.mouse.wheel(0, -400);
  await eventually(async () => (await shown()) < before - 20, "the wheel shows fewer");
  await page.mouse.wheel(0, 900);
  await eventually(async () => (await shown()) > before, "the wheel shows more");
});

test("a range of dates is shown, and stands in the address", async (t) => {
  const bore = await givenACharacteristic();
  const start = Date.UTC(2026, 0, 10);
  await samples(bore.id, calm(1_200), (index) => ({ timestamp: new Date(start + index * 60_000).toISOString(), mode: "history" }));
  const page = await openChart(t, bore);
  await button(page, "Dates…").click();
  // The page's clock is Berlin's: an hour ahead.
  await page.getByLabel("From").fill("2026-01-10T02:40:00");
  await page.getByLabel("to", { exact: true }).fill("2026-01-10T04:20:00");
  await button(page, "Show").click();
  await page.getByText("100 samples.").waitFor();
  const inView = async () => {
    const { first, last } = await drawn(page);
    return Number(first) >= 99 && Number(first) <= 101 && Number(last) >= 200 && Number(last) <= 202;
  };
  await eventually(inView, "points 101 to 200 are in view");
  await page.waitForURL(/from=2026-01-10T01%3A40/);
  await page.reload();
  await eventually(inView, "the same range after a reload");
});

test("a point is excluded with a reason, and included again", async (t) => {
  const bore = await givenACharacteristic();
  await samples(bore.id, [...calm(5), 14, 10]);
  const page = await openChart(t, bore);
  await slider(page).focus();
  await page.keyboard.press("End");
  await page.keyboard.press("ArrowLeft");
  await button(page, "Exclude…").click();
  const dialog = page.getByRole("dialog");
  await dialog.getByLabel("Reason").fill("part was dropped");
  await dialog.getByLabel("Your name").fill("Ines");
  await button(dialog, "Exclude").click();
  await dialog.waitFor({ state: "detached" });
  await page.locator("#point").getByText("excluded: counts as never taken").waitFor();
  await page.getByText("Nothing waits for an answer.").waitFor();
  const stored = (await call("GET", `samples?characteristic_id=${bore.id}&limit=2`)).items[1];
  assert.equal(stored.is_excluded, true);
  await button(page, "Include again…").click();
  await dialog.getByLabel("Reason").fill("it was not");
  await button(dialog, "Include again").click();
  await page.locator("#violations").getByText(/Outlier, rule 1/).waitFor();
  await page.locator("#point").getByText("above the upper control limit").first().waitFor();
});

test("limits are calculated, looked at, and put in force; a refusal is told as the server says it", async (t) => {
  const bore = await givenACharacteristic({}, null);
  await samples(bore.id, calm(20));
  const page = await openChart(t, bore, "", { expectedErrors: /409|422/ });
  await button(page, "Control limits…").click();
  const panel = page.getByRole("region", { name: "Control limits" });
  await button(panel, "Preview").click();
  await panel.getByRole("alert").filter({ hasText: "20" }).waitFor();
  const before = await pixels(page, "accent");
  await panel.getByLabel("At least so many samples").fill("10");
  await button(panel, "Preview").click();
  await panel.getByText("Calculated from 20 samples, points 1 to 20").waitFor();
  await page.locator("#legend").getByText("Preview of new limits").waitFor();
  await eventually(async () => (await pixels(page, "accent")) > before + 200, "the preview is drawn");
  assert.equal((await call("GET", `characteristics/${bore.id}`)).control_limits, null, "a preview changes nothing");
  await panel.getByLabel("Reason").fill("first study");
  await panel.getByLabel("Your name").fill("Ada");
  await button(panel, "Put in force").click();
  await panel.waitFor({ state: "hidden" });
  const { control_limits: inForce } = await call("GET", `characteristics/${bore.id}`);
  assert.equal(inForce.user, "Ada");
  await page.locator("#head").getByText(inForce.ucl.toFixed(4)).waitFor();
  await page.locator("#legend").getByText("The limits in force were calculated from these").waitFor();
  // By hand.
  await button(page, "Control limits…").click();
  await button(panel, "Set by hand").click();
  await panel.getByLabel("Center line").fill("10");
  await panel.getByLabel("Upper control limit").fill("9");
  await panel.getByLabel("Lower control limit").fill("8");
  await button(panel, "Put in force").click();
  await panel.getByRole("alert").filter({ hasText: "lcl < center_line < ucl" }).waitFor();
  await panel.getByLabel("Upper control limit").fill("12.5");
  await button(panel, "Put in force").click();
  await page.locator("#head").getByText("12.5000").waitFor();
  await sample(bore.id, 10);
  await page.getByText("Answers and limit changes in view").click();
  await page.locator("#notes").getByText(/Control limits 8.0000 to 12.5000, center 10.0000 mm, set by hand by Ada/).waitFor();
});

test("subgroups show means and ranges, without the specification of single measurements", async (t) => {
  const shaft = await givenACharacteristic({ subgroup_size: 5, usl: 14, lsl: 6 });
  await samples(shaft.id, calm(10).map((value) => [value, value + 0.2, value - 0.2, value, value + 0.1]));
  const page = await openChart(t, shaft);
  await page.getByText("Mean of each subgroup").waitFor();
  await page.getByText("Range within the subgroup").waitFor();
  await page.locator("#head").getByText("for single measurements").waitFor();
  assert.equal(await page.locator("#legend").getByText("Specification and target").isVisible(), false);
  await slider(page).focus();
  await page.keyboard.press("End");
  await page.locator("#point").getByText("0.400 mm").first().waitFor();
  await sample(shaft.id, 9, 9.1, 9.2, 9.3, 15);
  await page.locator("#violations").getByText(/Range above its upper control limit/).waitFor();
});

test("points that were missed while the connection was broken come without a reload", async (t) => {
  const bore = await givenACharacteristic();
  await samples(bore.id, calm(5));
  const page = await openChart(t, bore);
  await page.evaluate(() => { window.hasStayed = true; });
  const { items } = await eventually(async () => {
    const found = await call("GET", `connections?characteristic_id=${bore.id}`);
    return found.items.length > 0 && found;
  }, "the page's connection is known");
  for (const { connection_id } of items) await call("DELETE", `connections/${connection_id}`);
  await samples(bore.id, [10.1, 10.2, 14]);
  await drawnUpTo(page, 8);
  await page.locator("#violations").getByText(/Outlier, rule 1/).waitFor();
  assert.equal(await page.evaluate(() => window.hasStayed), true);
});

test("an unknown number is told, and what is deleted says so", async (t) => {
  const page = await open(t, "characteristics/9007199254740991", { expectedErrors: /404/ });
  await page.getByText("There is no process with the number 9007199254740991").waitFor();
  await page.getByRole("link", { name: "To all processes" }).waitFor();
  const bore = await givenACharacteristic();
  const other = await openChart(t, bore, "", { expectedErrors: /404/ });
  await other.getByText("No samples yet. The first one appears here").waitFor();
  await call("DELETE", `characteristics/${bore.id}`);
  await other.getByText("This characteristic was deleted.").waitFor();
});

test("names are text, whatever they look like", async (t) => {
  const name = `<img src=x onerror="document.title='taken'"> ${process.pid}`;
  const odd = await givenACharacteristic({ name, description: "<b>bold</b>" });
  await samples(odd.id, [14], () => ({ batch: "<script>", operator: "=1+1" }));
  const page = await openChart(t, odd);
  await page.getByRole("heading", { name }).waitFor();
  assert.equal(await page.title(), `${name} · Andon`);
  assert.equal(await page.locator("#main img, #main b").count(), 0);
});

test("the points in view are there as a table, as CSV, and as a picture", async (t) => {
  const bore = await givenACharacteristic();
  await samples(bore.id, [10, 11.5, 14], () => ({ batch: "B,1", operator: "=1+1" }));
  const page = await openChart(t, bore);
  await page.getByText("Points as a table").click();
  const table = page.getByRole("table", { name: /3 points in the order of their arrival/ });
  await table.getByRole("row").nth(1).getByText("14.000").waitFor();
  await table.getByText("Outlier (rule 1)").waitFor();
  const [file] = await Promise.all([page.waitForEvent("download"), page.getByRole("button", { name: "The points in view as CSV" }).click()]);
  const lines = readFileSync(await file.path(), "utf8").trim().split("\r\n");
  assert.equal(lines.length, 4);
  assert.match(lines[3], /^3,\d+,20.*,14,1,.*"B,1",'=1\+1,1$/);
  const picture = await page.getByRole("link", { name: "SVG" }).getAttribute("href");
  assert.ok(picture.startsWith(new URL(`api/v1/characteristics/${bore.id}/chart.svg`, server).href));
  const svg = await fetch(picture);
  assert.equal(svg.status, 200);
  assert.match(await svg.text(), /<svg/);
});

test("five thousand points stay fluid, and what is kept is bounded", async (t) => {
  const bore = await givenACharacteristic();
  await samples(bore.id, calm(5_000).map((value, index) => (index % 400 === 0 ? 14 : value)), () => ({ mode: "history" }));
  const page = await openChart(t, bore, "?points=5000");
  await eventually(async () => Number((await drawn(page)).first) === 1, "all points are drawn");
  await drawnUpTo(page, 5_000);
  const took = await page.evaluate(async () => {
    const surface = document.querySelector(".u-over");
    const { left, width, top } = surface.getBoundingClientRect();
    performance.clearMeasures("draw");
    for (let step = 0; step < 20; step += 1) {
      surface.dispatchEvent(new WheelEvent("wheel", { deltaY: step % 2 ? 30 : -30, clientX: left + width / 2, clientY: top + 20, cancelable: true, bubbles: true }));
      await new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve)));
    }
    return performance.getEntriesByName("draw").map(({ duration }) => duration).sort((a, b) => a - b);
  });
  assert.ok(took.length >= 15, `${took.length} drawings`);
  if (took[Math.floor(took.length / 4)] >= 50) tooSlow(t, `drawn in ${took.map(Math.round)} ms`);
  const kept = await page.evaluate(async () => {
    const { ChartPoints, MAX_POINTS } = await import(new URL("../assets/chart/data.js", location.href).href);
    const points = new ChartPoints(1, () => {});
    let most = 0;
    for (let id = 1; id <= 20_000; id += 1) {
      points.hear({ type: "sample", payload: { sample_id: id, value: 10, n: 1, ucl: 13, center_line: 10, lcl: 7, in_control: false, range_value: null, dispersion_value: null, violations: [{ violation_id: id, rule_id: 1, chart: "location" }] } });
      most = Math.max(most, points.points.length);
    }
    return { most, allowed: MAX_POINTS + 501, newest: points.newest, first: points.first, last: points.last, isForgotten: points.ofSample(1) === undefined };
  });
  assert.ok(kept.most <= kept.allowed, `${kept.most} points`);
  assert.deepEqual([kept.newest, kept.last, kept.isForgotten], [20_000, 20_000, true]);
});

test("works without a mouse for everybody: axe finds nothing grave, and nothing is wider than a phone", async (t) => {
  const bore = await givenACharacteristic({ group: "Plant/Line 4 with a very long name that goes on/and on", reaction_plan: "Stop.", usl: 14, lsl: 6, target: 10 });
  await samples(bore.id, [...calm(40), 14, 10]);
  for (const colorScheme of ["light", "dark"]) {
    const page = await openChart(t, bore, "", { colorScheme });
    await page.locator("#violations li").first().waitFor();
    await slider(page).focus();
    await page.keyboard.press("End");
    await page.getByText("Points as a table").click();
    await page.getByText("Answers and limit changes in view").click();
    await button(page, "Dates…").click();
    await button(page, "Control limits…").click();
    await button(page, "Preview").click();
    await page.getByText(/Calculated from 42 samples/).waitFor();
    assert.deepEqual(await axe(page), [], colorScheme);
    await page.setViewportSize({ width: 360, height: 740 });
    const wide = () => page.evaluate(() => document.documentElement.scrollWidth);
    await eventually(async () => (await wide()) <= 360, "nothing is wider than the screen").catch(async (error) => assert.fail(`${error.message}: ${await wide()}`));
    assert.deepEqual(await axe(page), [], `${colorScheme}, narrow`);
  }
});

test("a live subgroup of another size brings its own limits, and limits without a spread ask for none", async (t) => {
  const shaft = await givenACharacteristic({ subgroup_size: 5, min_measurements: 2 });
  const page = await openChart(t, shaft);
  await sample(shaft.id, 10, 10.1, 9.9, 10, 10.2);
  await sample(shaft.id, 10, 10.4, 9.9);
  await drawnUpTo(page, 2);
  await slider(page).focus();
  await page.keyboard.press("End");
  const { dispersion } = await call("GET", `characteristics/${shaft.id}/chart-data`);
  await page.locator("#point").getByText(dispersion[1].limits.ucl.toFixed(4)).waitFor();

  const bore = await givenACharacteristic({}, { center_line: 10, ucl: 13, lcl: 7 });
  const other = await openChart(t, bore);
  await sample(bore.id, 10);
  await sample(bore.id, 10.2);
  await drawnUpTo(other, 2);
  let asked = 0;
  other.on("request", (request) => {
    if (request.url().includes("chart-data")) asked += 1;
  });
  for (let number = 3; number <= 8; number += 1) {
    await sample(bore.id, 10.1);
    await drawnUpTo(other, number);
  }
  assert.ok(asked <= 1, `asked ${asked} times`);
});
