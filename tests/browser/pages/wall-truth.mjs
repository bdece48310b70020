// The wall tells what the server would tell, also where events come late, twice, without their sample or not at all.

import assert from "node:assert/strict";
import { test } from "node:test";
import { ownServer } from "../own-server.mjs";
import { call, DEADLINE, eventually, givenACharacteristic, open, sample, server } from "../support.mjs";

/** A group of this run alone. */
const here = `truth-${process.pid}`;
const inState = (page, { id }, state) => page.locator(`.tile[data-id="${id}"][data-alarm="${state}"]`).waitFor();
const stateAtServer = async ({ id }) => (await call("GET", `characteristics/${id}`)).alarm_state;
let sent = 0;

/** What another system has judged. */
async function foreign(type, { id }, payload) {
  sent += 1;
  const { results: [result] } = await call("POST", "events", {
    source: "mes", id: `${here}-${sent}`, type, characteristic_id: id,
    payload: { timestamp: new Date().toISOString(), ...payload },
  });
  assert.equal(result.status, "accepted", JSON.stringify(result));
}
const violation = (severity, requires_acknowledgement) => ({ rule_id: 1, rule_name: "Outlier", severity, requires_acknowledgement });

test("an alarm of another system, without a sample, needs someone", async (t) => {
  const bore = await givenACharacteristic({ group: `${here}/a` }, null);
  const page = await open(t, `?group=${here}/a`);
  await inState(page, bore, "no_limits");
  await foreign("sample", bore, { value: 10, in_control: true });
  await inState(page, bore, "normal");
  await foreign("violation", bore, violation("CRITICAL", true));
  await inState(page, bore, "active_unacked");
  assert.equal(await stateAtServer(bore), "active_unacked");
});

test("a hundred violations that need no answer do not hide the one that does", async (t) => {
  const [before, meanwhile] = [await givenACharacteristic({ group: `${here}/b` }), await givenACharacteristic({ group: `${here}/b` })];
  const flood = async (bore) => {
    await sample(bore.id, 14);
    for (let n = 0; n < 105; n += 1) await foreign("violation", bore, violation("INFO", false));
    await sample(bore.id, 10);
  };
  await flood(before);
  const page = await open(t, `?group=${here}/b`);
  await inState(page, before, "returned_unacked");
  await inState(page, meanwhile, "normal");
  await flood(meanwhile);
  await inState(page, meanwhile, "returned_unacked");
  // Answered, it waits no more.
  const { items } = await call("GET", `violations?characteristic_id=${before.id}&severity=CRITICAL`);
  await call("POST", `violations/${items[0].id}/acknowledge`, { reason: "Other", user: "ann" });
  await inState(page, before, "normal");
});

test("that nobody is needed is not said before it is known", async (t) => {
  const bore = await givenACharacteristic({ group: `${here}/k` });
  await sample(bore.id, 10);
  const page = await open(t, "alarms");
  let letGo;
  const held = new Promise((resolve) => (letGo = resolve));
  await page.routeWebSocket(/\/ws/, (socket) => {
    const atServer = socket.connectToServer();
    atServer.onMessage(async (message) => {
      if (String(message).includes(`"type":"snapshot","characteristic_id":${bore.id},`)) await held;
      socket.send(message);
    });
  });
  await page.goto(new URL(`?group=${here}/k`, server).href);
  await page.locator("#headline", { hasText: "Asking how the processes stand …" }).waitFor();
  assert.equal(await page.locator("#headline").getAttribute("data-alarm"), "unknown");
  await page.locator("#empty").getByText("Asking how the processes stand …").waitFor();
  letGo();
  await page.locator("#headline", { hasText: "No process needs anyone" }).waitFor();
});

test("an old picture is not called a good one while the page catches up", async (t) => {
  await givenACharacteristic({ group: `${here}/n` });
  const page = await open(t, "alarms", { expectedErrors: /WebSocket|ERR_FAILED/ });
  await page.route("**/events/stream*", (route) => route.abort()); // there is no other way
  let mode = "live";
  let letGo;
  const held = new Promise((resolve) => (letGo = resolve));
  const sockets = [];
  await page.routeWebSocket(/\/ws/, (socket) => {
    if (mode === "broken") return socket.close();
    sockets.push(socket);
    const atServer = socket.connectToServer();
    const isSlow = mode === "slow";
    atServer.onMessage(async (message) => {
      if (isSlow && !String(message).includes('"type":"welcome"')) await held;
      socket.send(message);
    });
    return undefined;
  });
  await page.goto(new URL(`?group=${here}/n`, server).href);
  const headline = page.locator("#headline");
  await headline.getByText("No process needs anyone").waitFor();
  mode = "broken";
  for (const socket of sockets) await socket.close();
  await headline.getByText(/^Not live since/).waitFor();
  mode = "slow";
  await page.locator("#connection[data-state=catching_up]").waitFor({ timeout: 3 * DEADLINE }); // after its pause
  assert.match(await headline.innerText(), /^Not live since/);
  letGo();
  await headline.getByText("No process needs anyone").waitFor();
});

test("a process that is deleted before it was heard of is not waited for", async (t) => {
  const bore = await givenACharacteristic({ group: `${here}/l` });
  const page = await open(t, "alarms");
  await page.routeWebSocket(/\/ws/, (socket) => {
    const atServer = socket.connectToServer();
    atServer.onMessage((message) => {
      if (!String(message).includes(`"type":"snapshot","characteristic_id":${bore.id},`)) socket.send(message);
    });
  });
  await page.goto(new URL(`?group=${here}/l`, server).href);
  await page.locator("#headline", { hasText: "Asking how the processes stand …" }).waitFor();
  await call("DELETE", `characteristics/${bore.id}?with_history=true`);
  await page.locator("#headline", { hasText: /^Processes$/ }).waitFor();
});

test("chart data that come late do not bring back what a process was", async (t) => {
  const bore = await givenACharacteristic({ group: `${here}/m` });
  await sample(bore.id, 10);
  const page = await open(t, "alarms");
  let letGo;
  let isHeld = false;
  const held = new Promise((resolve) => (letGo = resolve));
  await page.route(`**/characteristics/${bore.id}/chart-data*`, async (route) => {
    const response = await route.fetch();
    if (!isHeld) {
      isHeld = true;
      await held;
    }
    await route.fulfill({ response }).catch(() => {}); // nobody wants it any more
  });
  await page.goto(new URL(`?group=${here}/m`, server).href);
  await eventually(() => isHeld, "the chart's data are asked for");
  await call("PATCH", `characteristics/${bore.id}`, { retired: true });
  await page.locator(`.tile[data-id="${bore.id}"]`).waitFor({ state: "detached" });
  await call("PATCH", `characteristics/${bore.id}`, { retired: false });
  await inState(page, bore, "normal");
  await sample(bore.id, 14);
  await inState(page, bore, "active_unacked");
  letGo();
  await page.locator(`.tile[data-id="${bore.id}"] .sparkline .out[d^="M"]`).waitFor({ state: "attached" });
  await inState(page, bore, "active_unacked");
});

test("a past that is judged changes how a process stands, and alarms nobody", async (t) => {
  const bore = await givenACharacteristic({ group: `${here}/c` });
  const page = await open(t, `?group=${here}/c`);
  await inState(page, bore, "normal");
  await call("POST", "samples", { characteristic_id: bore.id, measurements: [14], mode: "history" });
  await inState(page, bore, "active_acked");
  await page.locator(`.tile[data-id="${bore.id}"]`).getByText("Out of control").waitFor();
  assert.equal(await stateAtServer(bore), "active_acked");
});

test("an answer that is older than what was heard meanwhile changes nothing", async (t) => {
  const bore = await givenACharacteristic({ group: `${here}/d` });
  await sample(bore.id, 10);
  const page = await open(t, `?group=${here}/d`);
  await inState(page, bore, "normal");
  let letGo;
  const held = new Promise((resolve) => (letGo = resolve));
  let isHeld = false;
  await page.route(`**/api/v1/characteristics/${bore.id}`, async (route) => {
    const response = await route.fetch(); // how it is now
    isHeld = true;
    await held;
    await route.fulfill({ response });
  });
  await call("PATCH", `characteristics/${bore.id}`, { description: "asks the wall to look" });
  await eventually(() => isHeld, "the wall asks");
  await sample(bore.id, 14);
  await inState(page, bore, "active_unacked");
  letGo();
  const answered = page.waitForResponse(`**/api/v1/characteristics/${bore.id}`);
  await answered; // it asks again, since the first answer was of no use
  await inState(page, bore, "active_unacked");
});

test("what could not be asked is asked again", async (t) => {
  const bore = await givenACharacteristic({ group: `${here}/e` });
  const { sample_id } = await sample(bore.id, 14);
  const exclude = (is_excluded) => call("PATCH", `samples/${sample_id}/exclude`, { is_excluded, reason: "test", user: "ann" });
  await exclude(true);
  const page = await open(t, `?group=${here}/e`, { expectedErrors: /503/ });
  await page.locator(`.tile[data-id="${bore.id}"]`).waitFor();
  let refused = 0;
  await page.route(`**/api/v1/characteristics/${bore.id}`, (route) => {
    refused += 1;
    return refused > 2 ? route.continue() : route.fulfill({ status: 503, json: { detail: "busy" } });
  });
  await exclude(false); // the violation holds again, and only an answer tells
  await inState(page, bore, "active_unacked");
  assert.ok(refused > 2);
});

test("a wall that hears nothing says so, and forgets what is not there any more", async (t) => {
  const own = await ownServer(t);
  const { id } = await own.ask("POST", "characteristics", { body: { name: "Bore" } });
  const page = await open(t, "", { at: own.root, expectedErrors: /WebSocket|ERR_|404/ });
  await page.locator(`.tile[data-id="${id}"]`).waitFor();
  await own.kill();
  await page.getByRole("heading", { name: /^Not live since / }).waitFor();
  assert.equal(await page.title(), "(not live) Andon");
  await own.start("another.db");
  await page.locator("#connection[data-state=live]").waitFor();
  await page.locator(`.tile[data-id="${id}"]`).waitFor({ state: "detached" });
  await page.getByRole("heading", { name: "Processes" }).waitFor();
});
