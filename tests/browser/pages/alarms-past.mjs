// The rest of the alarm list in real browsers: episodes, history, export, and servers that refuse or come back.

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { test } from "node:test";

import { csvCell, csvLine } from "../../../src/http/dashboard/static/shared/csv.js";
import { ownServer } from "../own-server.mjs";
import { Proxy } from "../proxy.mjs";
import { call, eventually, givenACharacteristic, open, sample, server } from "../support.mjs";

const OUT = 14;
const isLive = (page) => page.locator('#connection[data-state="live"]').waitFor();
const shownIds = (page) => page.locator("#history tr[data-id]").evaluateAll((all) => all.map((each) => Number(each.dataset.id)));
const idsOf = async (query) => (await call("GET", `violations?limit=1000&${query}`)).items.map(({ id }) => id);

test("a cell of a CSV file is what it was, and nothing that a spreadsheet calculates", () => {
  const cells = [["plain", "plain"], ['a "b", c', '"a ""b"", c"'], ["two\nlines", '"two\nlines"'], [null, ""], [-1.5, "-1.5"], [true, "true"],
    ["=1+1", "'=1+1"], ["+1", "'+1"], ["-1", "'-1"], ["@SUM(A1)", "'@SUM(A1)"], ["\tx", "'\tx"], ["\rx", '"\'\rx"'],
    ['=HYPERLINK("x","y")', '"\'=HYPERLINK(""x"",""y"")"'], ["a=b", "a=b"], ["", ""]];
  for (const [value, expected] of cells) assert.equal(csvCell(value), expected);
  assert.equal(csvLine(["a", 1, null]), "a,1,\r\n");
});

/** Violations of two rules and severities, of which some are answered and one is withdrawn. */
async function givenAPast() {
  const group = `plant/past ${process.pid}-${Math.random().toString(36).slice(2, 8)}`;
  const rules = [{ rule_id: 1, severity: "CRITICAL" }, { rule_id: 5, severity: "INFO" }];
  const characteristic = await givenACharacteristic({ name: `=Bore, "${group}"`, group, rules, unit: "mm", decimals: 1 });
  for (const value of [OUT, 12.5, 12.6, 6, 13.5]) await sample(characteristic.id, value);
  const { items } = await call("GET", `violations?group=${encodeURIComponent(group)}`);
  const outliers = items.filter(({ rule_id: rule }) => rule === 1);
  await call("POST", `violations/${outliers[0].id}/acknowledge`, { reason: "Tool Change", user: "Ann", comment: "=1+1\nsecond line" });
  await call("POST", `violations/${outliers[1].id}/acknowledge`, { reason: "Other", user: "bo" });
  await call("PATCH", `samples/${outliers[2].sample_id}/exclude`, { is_excluded: true, reason: "dropped", user: "bo" });
  return { characteristic, group, items };
}

test("the history is filtered as the server filters, and the address keeps it", async (t) => {
  const { characteristic, group, items } = await givenAPast();
  const inGroup = `group=${encodeURIComponent(group)}`;
  const page = await open(t, `alarms?view=history&${inGroup}`);
  const shows = async (query, what) => {
    const expected = await idsOf(`${inGroup}&${query}`);
    await eventually(async () => JSON.stringify(await shownIds(page)) === JSON.stringify(expected), `${what}: ${expected}`);
    return expected.length;
  };
  const all = await shows("", "all");
  assert.ok(all >= 5, "there is something to filter");

  await page.getByLabel("Severity").selectOption("Info");
  assert.ok(await shows("severity=INFO", "by severity") < all);
  await page.getByLabel("Severity").selectOption("All");
  await page.getByLabel("Rule", { exact: true }).fill("1");
  assert.ok(await shows("rule_id=1", "by rule") < all);
  await page.getByRole("button", { name: "No filter" }).click();
  await page.getByLabel("Group").fill(group);
  await shows("", "all of the group again");

  for (const [word, query] of [["Open", "status=open&acknowledged=false"], ["Acknowledged", "acknowledged=true"], ["Withdrawn", "status=withdrawn"]]) {
    await page.getByLabel("Status").selectOption(word);
    const found = await shows(query, word);
    assert.ok(found > 0 && found < all, `${word} tells some apart`);
  }
  await page.getByLabel("Status").selectOption("All");
  await page.getByLabel("Acknowledged by").fill("ann");
  const byAnn = (await call("GET", `violations?${inGroup}`)).items.filter(({ ack_user: user }) => user === "Ann").map(({ id }) => id);
  await eventually(async () => JSON.stringify(await shownIds(page)) === JSON.stringify(byAnn), "by who has answered");
  assert.equal(byAnn.length, 1);
  await page.reload();
  await eventually(async () => JSON.stringify(await shownIds(page)) === JSON.stringify(byAnn), "after a reload");
  await page.getByLabel("Acknowledged by").fill("");

  // The clock of the page is Berlin's.
  const [middle] = items.slice(2);
  const second = `${middle.timestamp.slice(0, 19)}Z`;
  const local = new Date(second).toLocaleString("sv-SE", { timeZone: "Europe/Berlin" }).replace(" ", "T");
  await page.getByLabel("From").fill(local);
  await shows(`from=${second}`, "from a time");
  assert.equal(new URL(page.url()).searchParams.get("from"), new Date(second).toISOString());
  await page.getByLabel("From").fill("");
  await page.getByLabel("Until").fill(local);
  await shows(`to=${second}`, "until a time");

  await page.goto(new URL(`alarms?view=history&characteristic=${characteristic.id}&status=withdrawn&severity=nonsense`, server).href);
  await page.locator("#history tr[data-id]").first().waitFor();
  assert.deepEqual(await shownIds(page), await idsOf(`characteristic_id=${characteristic.id}&status=withdrawn`));
});

test("the history is paged", async (t) => {
  const characteristic = await givenACharacteristic({ rules: [{ rule_id: 1 }] });
  await call("POST", "samples/batch", { samples: Array.from({ length: 215 }, () => ({ characteristic_id: characteristic.id, measurements: [OUT] })) });
  const all = await idsOf(`characteristic_id=${characteristic.id}`);
  const page = await open(t, `alarms?view=history&characteristic=${characteristic.id}`);
  const shows = (expected, where) => eventually(async () => JSON.stringify(await shownIds(page)) === JSON.stringify(expected)
    && await page.locator("#history-where").innerText() === where, where);
  await shows(all.slice(0, 100), "1 to 100 of 215");
  // What comes meanwhile pushes nothing from one page onto the next.
  await sample(characteristic.id, OUT);
  await page.getByRole("button", { name: "Older" }).click();
  await shows(all.slice(100, 200), "101 to 200 of 216");
  await page.getByRole("button", { name: "Older" }).click();
  await shows(all.slice(200), "201 to 215 of 216");
  assert.equal(await page.getByRole("button", { name: "Older" }).isDisabled(), true);
  await page.getByRole("button", { name: "Newer" }).click();
  await shows(all.slice(100, 200), "101 to 200 of 216");
});

test("what is filtered is exported, whole and harmless", async (t) => {
  const { group } = await givenAPast();
  const page = await open(t, `alarms?view=history&group=${encodeURIComponent(group)}`);
  await page.locator("#history tr[data-id]").first().waitFor();
  const [download] = await Promise.all([page.waitForEvent("download"), page.getByRole("button", { name: "Export as CSV" }).click()]);
  assert.match(download.suggestedFilename(), /^alarms \d{4}-\d\d-\d\d .*\.csv$/);
  const text = await readFile(await download.path(), "utf8");
  assert.ok(text.startsWith("\uFEFFviolation_id,timestamp,severity,"), "UTF-8 is marked");
  const [names, ...lines] = readCsv(text.slice(1));
  const { items } = await call("GET", `violations?group=${encodeURIComponent(group)}`);
  assert.equal(lines.length, items.length);
  lines.forEach((cells, index) => {
    const told = Object.fromEntries(names.map((name, at) => [name, cells[at]]));
    const item = items[index];
    for (const name of ["violation_id", "timestamp", "severity", "rule_id", "value", "ucl", "status", "acknowledged", "ack_user", "episode_id"]) {
      assert.equal(told[name], String(item[name] ?? ""), name);
    }
    assert.equal(told.characteristic_name, `'${item.characteristic_name}`);
    assert.equal(told.ack_comment, item.ack_comment ? `'${item.ack_comment}` : "");
    assert.match(told.timestamp, /Z$/);
  });
  await page.getByText(`${items.length} rows written.`).waitFor();
});

/** Cells of a file as RFC 4180 has it. */
function readCsv(text) {
  const lines = [[""]];
  let isQuoted = false;
  for (let at = 0; at < text.length; at += 1) {
    const cells = lines.at(-1);
    if (isQuoted) {
      if (text[at] === '"' && text[at + 1] === '"') cells[cells.length - 1] += text[++at];
      else if (text[at] === '"') isQuoted = false;
      else cells[cells.length - 1] += text[at];
    } else if (text[at] === '"') isQuoted = true;
    else if (text[at] === ",") cells.push("");
    else if (text.startsWith("\r\n", at)) {
      lines.push([""]);
      at += 1;
    } else cells[cells.length - 1] += text[at];
  }
  assert.deepEqual(lines.pop(), [""], "the last line ends, too");
  return lines;
}

test("it is said anew how long ago an answer was given", async (t) => {
  const { group } = await givenAPast();
  const page = await open(t, `alarms?view=history&group=${encodeURIComponent(group)}`);
  const answered = page.locator("#history .answer-cell [data-ago]").first();
  await answered.waitFor();
  await answered.evaluate((element) => {
    element.textContent = "long ago";
  });
  await eventually(async () => /sec|now|min/.test(await answered.textContent()), "it is said anew");
});

test("the history is looked at anew where what was missed is not told", async (t) => {
  const own = await ownServer(t);
  const given = async (value) => {
    const { id } = await call("POST", "characteristics", { name: `Bore ${value}`, rules: [{ rule_id: 1 }] }, own.root);
    await call("PUT", `characteristics/${id}/control-limits`, { center_line: 10, sigma: 1 }, own.root);
    await call("POST", "samples", { characteristic_id: id, measurements: [value] }, own.root);
  };
  await given(OUT);
  const proxy = await Proxy.to(own.root);
  t.after(() => proxy.close());
  const page = await open(t, "alarms?view=history", { at: new URL(proxy.url), expectedErrors: /ERR_|WebSocket|50\d/ });
  await isLive(page);
  await page.locator("#history tr[data-id]").getByText("Bore 14").waitFor();
  proxy.answers = [503, {}]; // nothing is heard of what happens until it has happened
  await own.kill();
  await page.locator('#connection[data-state="disconnected"]').waitFor();
  await own.start("another.db");
  await given(15);
  proxy.answers = null;
  await page.locator("#history tr[data-id]").getByText("Bore 15").waitFor();
});

test("of episodes, an older answer that comes late does not show", async (t) => {
  const { characteristic } = await givenAPast();
  const page = await open(t, `alarms?view=episodes&characteristic=${characteristic.id}`);
  await isLive(page);
  const waiting = page.locator("#episodes tr[data-needs-answer=true]");
  await waiting.waitFor();
  const { items: [episode] } = await call("GET", `episodes?characteristic_id=${characteristic.id}&status=open`);
  let held = null;
  await page.route(/episodes\?.*status=open.*acknowledged=false|episodes\?.*acknowledged=false.*status=open/, async (route) => {
    if (held) return route.fallback();
    held = { route };
    held.response = await route.fetch();
    return undefined;
  });
  await sample(characteristic.id, OUT);
  await eventually(() => held?.response, "a call is held back");
  await call("POST", `episodes/${episode.id}/acknowledge`, { reason: "Other", user: "bo" });
  await page.locator("#episodes tr[data-needs-answer=false]").waitFor();
  const arrives = page.waitForResponse((response) => response.request() === held.route.request());
  await held.route.fulfill({ response: held.response });
  await (await arrives).finished();
  await page.evaluate(() => new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(() => setTimeout(resolve)))));
  assert.equal(await waiting.count(), 0);
});

test("an export can be stopped", async (t) => {
  const characteristic = await givenACharacteristic({ rules: [{ rule_id: 1 }] });
  await sample(characteristic.id, OUT);
  const page = await open(t, `alarms?view=history&characteristic=${characteristic.id}`);
  await page.locator("#history tr[data-id]").first().waitFor();
  await page.route(/violations\?.*limit=1000/, () => {}); // never answered
  await page.getByRole("button", { name: "Export as CSV" }).click();
  await page.getByRole("button", { name: "Stop" }).click();
  await page.getByText("Stopped: nothing was written.").waitFor();
  assert.equal(await page.getByRole("button", { name: "Export as CSV" }).isEnabled(), true);
});

test("an episode is answered as a whole, and its address shows who was told", async (t) => {
  const characteristic = await givenACharacteristic({ rules: [{ rule_id: 1 }], reaction_plan: "Change the insert." });
  for (const value of [OUT, OUT + 1]) await sample(characteristic.id, value);
  const { items: [episode] } = await call("GET", `episodes?characteristic_id=${characteristic.id}`);
  const list = await open(t, `alarms?view=episodes&characteristic=${characteristic.id}`);
  const detail = await open(t, `alarms?episode=${episode.id}`);
  for (const page of [list, detail]) await isLive(page);

  const line = list.locator(`#episodes tr[data-id="${episode.id}"]`);
  for (const expected of ["Critical", "Outlier", "2 violations", "Nobody has answered"]) await line.getByText(expected).waitFor();
  await detail.getByRole("heading", { name: `Episode of ${characteristic.name}` }).waitFor();
  await detail.getByText("Change the insert.").waitFor();
  assert.equal(await detail.locator("#episode tr[data-id]").count(), 2);
  // Without receivers in the settings, the log is told.
  await detail.locator("#told").getByRole("row", { name: /log delivered .* 1$/ }).first().waitFor();

  await sample(characteristic.id, OUT + 2);
  await detail.locator("#episode tr[data-id]").nth(2).waitFor();
  await line.getByText("3 violations").waitFor();

  await line.focus();
  await list.keyboard.press("a");
  await list.locator("dialog").getByText("3 violations of 3 wait for an answer").waitFor();
  await list.getByRole("radio", { name: "Setup Adjustment" }).check();
  await list.getByLabel("Your name").fill("ann");
  await list.locator("dialog").getByRole("button", { name: "Acknowledge" }).click();
  await line.getByText("ann answered: Setup Adjustment").waitFor();
  await detail.locator("#episode-facts").getByText("ann answered: Setup Adjustment").waitFor();
  await detail.getByRole("button", { name: "Acknowledge the episode" }).waitFor({ state: "hidden" });
  const { total } = await call("GET", `violations?episode_id=${episode.id}&acknowledged=true`);
  assert.equal(total, 3);

  await line.getByRole("link").click();
  await list.getByRole("heading", { name: `Episode of ${characteristic.name}` }).waitFor();
  await list.goBack();
  await line.waitFor();
});

test("what a token may not do is said as the server says it", async (t) => {
  const { root: at, ask } = await ownServer(t, ["admin", "read"].map((role) =>
    `[[auth.tokens]]\nname = "the ${role}"\ntoken = "${role}-0123456789abcdef"\nroles = ["${role}"]\n`).join("\n"));
  const asAdmin = (method, route, body) => ask(method, route, { body, token: "admin-0123456789abcdef" });
  const { id } = await asAdmin("POST", "characteristics", { name: "Bore", rules: [{ rule_id: 1 }] });
  await asAdmin("PUT", `characteristics/${id}/control-limits`, { center_line: 10, sigma: 1 });
  await asAdmin("POST", "samples", { characteristic_id: id, measurements: [OUT] });

  const page = await open(t, "alarms", { at, expectedErrors: /40[13]/ });
  await page.locator("#token").fill("read-0123456789abcdef");
  await page.getByRole("button", { name: "Sign in" }).click();
  await isLive(page);
  await page.locator("#open tr[data-id]").first().focus();
  await page.keyboard.press("a");
  await page.getByRole("radio", { name: "Tool Change" }).check();
  assert.equal(await page.getByLabel("Your name").count(), 0, "the login says who");
  await page.locator("dialog").getByRole("button", { name: "Acknowledge" }).click();
  const trouble = page.locator("dialog .trouble");
  await trouble.waitFor();
  const refused = await fetch(new URL("api/v1/violations/1/acknowledge", at), {
    method: "POST", headers: { "Content-Type": "application/json", Authorization: "Bearer read-0123456789abcdef" }, body: '{"reason":"x"}',
  });
  assert.equal(refused.status, 403);
  assert.equal(await trouble.innerText(), (await refused.json()).detail);
  await page.keyboard.press("Escape");
  assert.equal(await page.locator("#open tr[data-id]").count(), 1);
});

test("after the server was away, the list is what it is now", async (t) => {
  const own = await ownServer(t);
  const at = own.root;
  const definition = { name: "Bore", rules: [{ rule_id: 1 }] };
  const { id } = await call("POST", "characteristics", definition, at);
  await call("PUT", `characteristics/${id}/control-limits`, { center_line: 10, sigma: 1 }, at);
  const { violations: [old] } = await call("POST", "samples", { characteristic_id: id, measurements: [OUT] }, at);
  const page = await open(t, "alarms", { at, expectedErrors: /ERR_|WebSocket|50\d/ });
  await isLive(page);
  await page.locator(`#open tr[data-id="${old.violation_id}"]`).waitFor();
  await page.evaluate(() => {
    window.isTheSamePage = true;
  });
  await own.kill();
  await page.locator('#connection[data-state="disconnected"]').waitFor();
  await own.start();
  await call("POST", `violations/${old.violation_id}/acknowledge`, { reason: "Other", user: "bo" }, at);
  const { violations: [fresh] } = await call("POST", "samples", { characteristic_id: id, measurements: [OUT] }, at);
  await page.locator(`#open tr[data-id="${old.violation_id}"]`).waitFor({ state: "detached" });
  await page.locator(`#open tr[data-id="${fresh.violation_id}"]`).waitFor();
  await isLive(page);

  // And if another database is behind it now, whose log tells nothing of what was.
  await own.kill();
  await page.locator('#connection[data-state="disconnected"]').waitFor();
  await own.start("another.db");
  await call("POST", "characteristics", { ...definition, name: "Shaft" }, at);
  await call("PUT", "characteristics/1/control-limits", { center_line: 10, sigma: 1 }, at);
  await call("POST", "samples", { characteristic_id: 1, measurements: [OUT] }, at);
  await page.locator("#open tr[data-id]").getByText("Shaft").waitFor();
  await page.getByRole("heading", { name: "1 open alarm", exact: true }).waitFor();
  assert.equal(await page.evaluate(() => window.isTheSamePage), true);
});
