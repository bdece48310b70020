// The alarm list in real browsers: what is open, answered together, and seen by everybody at once.

import assert from "node:assert/strict";
import { test } from "node:test";

import { axe, call, eventually, givenACharacteristic, open, sample } from "../support.mjs";

const OUT = 14; // one point beyond the upper control limit: rule 1 alone

/** A characteristic with this many open violations, the oldest first. */
async function givenOpenViolations(many, definition) {
  const characteristic = await givenACharacteristic({ rules: [{ rule_id: 1 }], ...definition });
  const violations = [];
  for (let each = 0; each < many; each += 1) {
    const { violations: fired } = await sample(characteristic.id, OUT + each / 100);
    violations.push(await call("GET", `violations/${fired[0].violation_id}`));
  }
  return { characteristic, violations };
}

const rows = (page) => page.locator("#open tr[data-id]");
const row = (page, { id }) => page.locator(`#open tr[data-id="${id}"]`);
const isLive = (page) => page.locator('#connection[data-state="live"]').waitFor();

async function openList(context, characteristic, options) {
  const page = await open(context, `alarms?characteristic=${characteristic.id}`, options);
  await isLive(page);
  return page;
}

async function answer(page, { reason = "Tool Change", user = "kim", comment } = {}) {
  await page.getByRole("radio", { name: reason }).check();
  await page.getByLabel("Your name").fill(user);
  if (comment) await page.getByLabel("Comment").fill(comment);
  await page.locator("dialog").getByRole("button", { name: "Acknowledge" }).click();
}

const focusedId = (page) => page.evaluate(() => document.activeElement.closest("tr")?.dataset.id ?? null);

test("a violation appears by itself, and leaves the list of everybody when one answers it", async (t) => {
  const { characteristic } = await givenOpenViolations(0, { unit: "mm", decimals: 2, group: "plant/line 4", reaction_plan: "Check the insert." });
  const [here, there] = [await openList(t, characteristic), await openList(t, characteristic)];
  await here.getByText("Nothing of what you filter is alarming.").waitFor();

  const { violations: [fired] } = await sample(characteristic.id, OUT);
  for (const page of [here, there]) await row(page, { id: fired.violation_id }).waitFor();
  const text = await row(here, { id: fired.violation_id }).innerText();
  for (const expected of ["Critical", "Point above the upper control limit", characteristic.name, "plant/line 4", "14.00 mm", "7.00 to 13.00 mm"]) {
    assert.ok(text.includes(expected), `${expected} in ${text}`);
  }
  const link = row(here, { id: fired.violation_id }).getByRole("link");
  assert.match(await link.getAttribute("href"), new RegExp(`/characteristics/${characteristic.id}\\?violation=${fired.violation_id}$`));
  await row(here, { id: fired.violation_id }).getByRole("button", { name: /Details/ }).click();
  await here.locator("tr.details").getByText("Check the insert.").waitFor();
  await here.locator("tr.details").getByRole("cell", { name: "14.00 mm" }).waitFor();

  await row(here, { id: fired.violation_id }).getByRole("checkbox").check();
  await here.getByRole("button", { name: "Acknowledge 1" }).click();
  await here.locator("dialog").getByText("Check the insert.").waitFor();
  await answer(here, { user: "ann", comment: "insert 3" });
  for (const page of [here, there]) {
    await row(page, { id: fired.violation_id }).waitFor({ state: "detached" });
    await page.getByText("Nothing of what you filter is alarming.").waitFor();
  }
  await there.locator(".notes").getByText("ann acknowledged: Tool Change").waitFor();
  assert.equal(await there.locator(".notes").getAttribute("aria-live"), "polite");
  const kept = await call("GET", `violations/${fired.violation_id}`);
  assert.deepEqual([kept.ack_user, kept.ack_reason, kept.ack_comment], ["ann", "Tool Change", "insert 3"]);
  await there.getByText("The last alarm was").waitFor();
});

test("who loses a race is told who was first", async (t) => {
  const { characteristic, violations: [violation] } = await givenOpenViolations(1);
  const page = await openList(t, characteristic, { expectedErrors: /409/ });
  await row(page, violation).focus();
  await page.keyboard.press("a");
  await page.locator("dialog").waitFor();
  await call("POST", `violations/${violation.id}/acknowledge`, { reason: "False Alarm", user: "bo" });
  await row(page, violation).waitFor({ state: "detached" });
  await answer(page);
  await page.getByRole("heading", { name: "Somebody was first" }).waitFor();
  assert.match(await page.locator("dialog [role=alert]").innerText(), /bo: False Alarm, .*\d{4}/s);
  await page.keyboard.press("Enter");
  await page.locator("dialog").waitFor({ state: "detached" });
  assert.equal((await call("GET", `violations/${violation.id}`)).ack_user, "bo");
});

test("of several, who loses a race for one has answered the others", async (t) => {
  const { characteristic, violations } = await givenOpenViolations(3);
  const page = await openList(t, characteristic);
  await rows(page).nth(2).waitFor();
  await page.getByRole("checkbox", { name: "Choose all that are shown" }).check();
  await page.getByRole("button", { name: "Acknowledge 3" }).click();
  await page.locator("dialog").getByText("3 violations of 1 characteristic").waitFor();
  await call("POST", `violations/${violations[1].id}/acknowledge`, { reason: "Other", user: "bo" });
  await answer(page);
  const told = page.locator("dialog [role=alert]");
  await told.getByText("You have answered 2 violations.").waitFor();
  assert.match(await told.innerText(), /1 violation had been answered before:\s+bo: Other/);
  await page.getByRole("button", { name: "Close" }).click();
  const users = await Promise.all(violations.map(async ({ id }) => (await call("GET", `violations/${id}`)).ack_user));
  assert.deepEqual(users, ["kim", "bo", "kim"]);
});

test("an answer that was lost on the way is sent again, and nobody loses a race against himself", async (t) => {
  const { characteristic, violations: [violation] } = await givenOpenViolations(1);
  const page = await openList(t, characteristic, { expectedErrors: /ERR_FAILED/ });
  let lost = 0;
  await page.route(/\/acknowledge$/, async (route) => {
    if (lost > 0) return route.continue();
    lost += 1;
    await route.fetch();
    return route.abort();
  });
  await row(page, violation).focus();
  await page.keyboard.press("a");
  await answer(page);
  await page.locator("dialog").getByText("The server cannot be reached.").waitFor();
  await page.locator("dialog").getByRole("button", { name: "Acknowledge" }).click();
  await page.locator("dialog").waitFor({ state: "detached" });
  assert.equal(lost, 1);
});

test("several are answered by the keyboard alone, and the focus is where the work goes on", async (t) => {
  const { characteristic, violations } = await givenOpenViolations(4);
  const page = await openList(t, characteristic);
  await rows(page).nth(3).waitFor();
  const [reason] = (await call("GET", "violations/reason-codes")).reason_codes;
  const newestFirst = violations.map(({ id }) => String(id)).reverse();

  await page.keyboard.press("j");
  assert.equal(await focusedId(page), newestFirst[0]);
  await page.keyboard.press("x");
  await page.keyboard.press("ArrowDown");
  await page.keyboard.press(" ");
  await page.keyboard.press("j");
  await page.keyboard.press("k");
  assert.equal(await focusedId(page), newestFirst[1]);
  assert.equal(await page.locator('#open tr[aria-selected="true"]').count(), 2);
  await page.keyboard.press("a");
  await page.locator("input[type=radio]:focus").waitFor();
  await page.keyboard.press("1");
  await page.keyboard.press("Enter");
  await page.locator("dialog").getByText("Say who you are").waitFor();
  await page.keyboard.type("kim");
  await page.keyboard.press("Enter");
  await page.locator("dialog").waitFor({ state: "detached" });
  await row(page, violations[3]).waitFor({ state: "detached" });
  await eventually(async () => (await focusedId(page)) === newestFirst[2], "the focus is on the next row");
  for (const { id } of violations.slice(2)) {
    const { ack_user: user, ack_reason: given } = await call("GET", `violations/${id}`);
    assert.deepEqual([user, given], ["kim", reason]);
  }
  assert.equal(await rows(page).count(), 2);

  // The name is remembered, so one row is three keys.
  await page.keyboard.press("a");
  await page.locator("input[type=radio]:focus").waitFor();
  await page.keyboard.press("2");
  await page.keyboard.press("Enter");
  await eventually(async () => (await focusedId(page)) === newestFirst[3], "the focus is on the last row");

  await page.keyboard.press("Enter");
  await page.waitForURL(/characteristics\/\d+\?violation=\d+$/);
});

test("what comes above leaves the row under the reader's hands where it is, and chosen what is chosen", async (t) => {
  const { characteristic, violations } = await givenOpenViolations(4);
  const page = await openList(t, characteristic);
  await rows(page).nth(3).waitFor();
  await row(page, violations[3]).focus();
  await page.keyboard.press("x");
  const before = await row(page, violations[3]).boundingBox();

  const { violations: [fired] } = await sample(characteristic.id, OUT);
  await row(page, { id: fired.violation_id }).waitFor({ state: "attached" });
  const after = await row(page, violations[3]).boundingBox();
  assert.ok(Math.abs(after.y - before.y) < 1.5, `moved from ${before.y} to ${after.y}`);
  assert.equal(await focusedId(page), String(violations[3].id));
  assert.equal(await row(page, violations[3]).getAttribute("aria-selected"), "true");
  assert.deepEqual(await rows(page).evaluateAll((all) => all.map((each) => Number(each.dataset.id))),
    [fired.violation_id, ...violations.map(({ id }) => id).reverse()]);

  // And what leaves above, too.
  await call("POST", `violations/${fired.violation_id}/acknowledge`, { reason: "Other", user: "bo" });
  await row(page, { id: fired.violation_id }).waitFor({ state: "detached" });
  assert.ok(Math.abs((await row(page, violations[3]).boundingBox()).y - before.y) < 1.5);
  assert.equal(await focusedId(page), String(violations[3].id));
});

test("nor does the row under the pointer move", async (t) => {
  const { characteristic, violations } = await givenOpenViolations(4);
  const page = await openList(t, characteristic);
  await rows(page).nth(3).waitFor();
  await row(page, violations[1]).hover();
  const before = await row(page, violations[1]).boundingBox();
  const samples = Array.from({ length: 12 }, () => ({ characteristic_id: characteristic.id, measurements: [OUT] }));
  await call("POST", "samples/batch", { samples });
  await rows(page).nth(15).waitFor({ state: "attached" });
  assert.ok(Math.abs((await row(page, violations[1]).boundingBox()).y - before.y) < 1.5);
  // What is above the screen is told of, and one step away.
  await page.getByRole("button", { name: "↑ 12 new" }).click();
  await page.locator("#open tr[data-id]:first-child:focus").waitFor();
  assert.equal(await page.getByRole("button", { name: /new/ }).count(), 0);
});

test("the focus goes to the next row when somebody else answers the one that has it", async (t) => {
  const { characteristic, violations } = await givenOpenViolations(3);
  const page = await openList(t, characteristic);
  await row(page, violations[1]).focus();
  await call("POST", `violations/${violations[1].id}/acknowledge`, { reason: "Other", user: "bo" });
  await eventually(async () => (await focusedId(page)) === String(violations[0].id), "the focus is on the next row");
});

test("a hundred are shown at first, more when asked for, and a range is chosen with shift", async (t) => {
  const characteristic = await givenACharacteristic({ rules: [{ rule_id: 1 }] });
  const samples = Array.from({ length: 130 }, () => ({ characteristic_id: characteristic.id, measurements: [OUT] }));
  await call("POST", "samples/batch", { samples });
  const page = await openList(t, characteristic);
  await page.getByRole("heading", { name: "130 open alarms" }).waitFor();
  assert.equal(await rows(page).count(), 100);
  await page.getByText("The newest 100 of 130 are shown.").waitFor();
  await page.getByRole("button", { name: "Show 100 more" }).click();
  await rows(page).nth(129).waitFor();
  await page.getByRole("button", { name: "Show 100 more" }).waitFor({ state: "hidden" });

  await rows(page).nth(2).getByRole("checkbox").click();
  await rows(page).nth(120).getByRole("checkbox").click({ modifiers: ["Shift"] });
  await page.getByRole("button", { name: "Acknowledge 119" }).click();
  await answer(page);
  await page.locator("dialog").waitFor({ state: "detached" });
  await page.getByRole("heading", { name: "11 open alarms" }).waitFor();
  const { total } = await call("GET", `violations?characteristic_id=${characteristic.id}&acknowledged=true&limit=1`);
  assert.equal(total, 119);
});

test("what needs no answer is told apart, and what is withdrawn is not open", async (t) => {
  const { characteristic } = await givenOpenViolations(0, { rules: [{ rule_id: 1, requires_acknowledgement: false }] });
  const page = await openList(t, characteristic);
  const { sample_id: sampleId, violations: [fired] } = await sample(characteristic.id, OUT);
  await row(page, { id: fired.violation_id }).getByText("needs no answer").waitFor();
  await page.getByLabel("Answer", { exact: true }).selectOption("Those that need one");
  await row(page, { id: fired.violation_id }).waitFor({ state: "detached" });
  await page.getByLabel("Answer", { exact: true }).selectOption("All");
  await row(page, { id: fired.violation_id }).waitFor();
  await call("PATCH", `samples/${sampleId}/exclude`, { is_excluded: true, reason: "dropped", user: "bo" });
  await row(page, { id: fired.violation_id }).waitFor({ state: "detached" });
  // And when it holds again, it is back.
  await call("PATCH", `samples/${sampleId}/exclude`, { is_excluded: false, reason: "it was not", user: "bo" });
  await row(page, { id: fired.violation_id }).waitFor();
});

test("what needs an answer is found, however much that needs none came after it", async (t) => {
  const { characteristic, violations: [waiting] } = await givenOpenViolations(1);
  await call("PUT", `characteristics/${characteristic.id}/rules`, [{ rule_id: 1, requires_acknowledgement: false }]);
  const samples = Array.from({ length: 150 }, () => ({ characteristic_id: characteristic.id, measurements: [OUT] }));
  await call("POST", "samples/batch", { samples });
  const page = await open(t, `alarms?characteristic=${characteristic.id}`);
  await page.getByRole("heading", { name: "151 open alarms" }).waitFor();
  assert.equal(await row(page, waiting).count(), 0);
  await page.getByLabel("Answer", { exact: true }).selectOption("Those that need one");
  await page.getByRole("heading", { name: "1 open alarm", exact: true }).waitFor();
  await row(page, waiting).waitFor();
});

test("an answer can exclude the sample", async (t) => {
  const { characteristic, violations: [violation] } = await givenOpenViolations(1);
  const page = await openList(t, characteristic);
  await row(page, violation).focus();
  await page.keyboard.press("a");
  await page.getByLabel(/Exclude the sample/).check();
  await answer(page, { reason: "Measurement Error" });
  await page.locator("dialog").waitFor({ state: "detached" });
  assert.equal((await call("GET", `samples/${violation.sample_id}`)).is_excluded, true);
});

test("the search finds a characteristic by its name, and the address says what is filtered", async (t) => {
  const { characteristic, violations: [violation] } = await givenOpenViolations(1);
  const { violations: [other] } = await givenOpenViolations(1);
  const page = await open(t, "alarms");
  await row(page, other).waitFor();
  await page.keyboard.press("/");
  await page.keyboard.type(characteristic.name);
  await page.getByRole("option", { name: characteristic.name }).first().waitFor();
  await page.keyboard.press("ArrowDown");
  await page.keyboard.press("Enter");
  await row(page, other).waitFor({ state: "detached" });
  await row(page, violation).waitFor();
  assert.match(page.url(), new RegExp(`\\?characteristic=${characteristic.id}$`));
  await page.reload();
  await row(page, violation).waitFor();
  await eventually(async () => (await page.getByRole("combobox", { name: "Characteristic" }).inputValue()) === characteristic.name, "the field says the name");
  assert.equal(await rows(page).count(), 1);
});

test("the keys are told, and single letters can be switched off", async (t) => {
  const { characteristic, violations: [violation] } = await givenOpenViolations(1);
  const page = await openList(t, characteristic);
  await row(page, violation).focus();
  await page.keyboard.press("?");
  await page.getByRole("heading", { name: "Keys" }).waitFor();
  await page.getByLabel(/Single letters/).uncheck();
  await page.keyboard.press("Escape");
  await page.locator("dialog").waitFor({ state: "detached" });
  assert.equal(await focusedId(page), String(violation.id));
  await page.keyboard.press("x");
  assert.equal(await row(page, violation).getAttribute("aria-selected"), "false");
  await page.keyboard.press(" ");
  assert.equal(await row(page, violation).getAttribute("aria-selected"), "true");
});

for (const colorScheme of ["light", "dark"]) {
  test(`nothing grave is found by axe, ${colorScheme}`, async (t) => {
    const { characteristic, violations: [violation] } = await givenOpenViolations(2, { group: "plant/axe", reaction_plan: "Stop." });
    const page = await openList(t, characteristic, { colorScheme });
    await row(page, violation).getByRole("button", { name: /Details/ }).click();
    await page.locator("tr.details").getByText("Stop.").waitFor();
    await row(page, violation).getByRole("checkbox").check();
    assert.deepEqual(await axe(page), [], "the open list");
    await row(page, violation).focus();
    await page.keyboard.press("a");
    await page.locator("input[type=radio]:focus").waitFor();
    assert.deepEqual(await axe(page), [], "the dialog");
    await page.keyboard.press("Escape");
    for (const [view, what] of [["history", "#history tr[data-id]"], ["episodes", "#episodes tr[data-id]"]]) {
      await page.goto(new URL(`alarms?view=${view}&characteristic=${characteristic.id}`, page.url()).href);
      await page.locator(what).first().waitFor();
      assert.deepEqual(await axe(page), [], view);
    }
    await page.goto(new URL(`alarms?episode=${violation.episode_id}`, page.url()).href);
    await page.locator("#episode tr[data-id]").first().waitFor();
    assert.deepEqual(await axe(page), [], "an episode");
  });
}

test("on a telephone nothing is wider than the screen", async (t) => {
  const { characteristic, violations: [violation] } = await givenOpenViolations(1, { group: "plant/line/with/a/long/path/of/names" });
  const page = await openList(t, characteristic, { viewport: { width: 360, height: 740 } });
  await row(page, violation).getByRole("button", { name: /Details/ }).click();
  await page.locator("tr.details dd").first().waitFor();
  const widths = () => page.evaluate(() => [document.documentElement.scrollWidth, innerWidth]);
  const [content, screen] = await widths();
  assert.ok(content <= screen, `${content} on ${screen}`);
  for (const path of [`alarms?view=history&characteristic=${characteristic.id}`, `alarms?episode=${violation.episode_id}`]) {
    await page.goto(new URL(path, page.url()).href);
    await page.locator("tr[data-id]").first().waitFor();
    const [wide, narrow] = await widths();
    assert.ok(wide <= narrow, `${path}: ${wide} on ${narrow}`);
  }
});
