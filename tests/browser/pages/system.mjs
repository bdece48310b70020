// The system view: it shows what REST and the metrics say, and what somebody does there happens.

import assert from "node:assert/strict";
import { createServer } from "node:http";
import { test } from "node:test";

import { ownServer } from "../own-server.mjs";
import { axe, call, eventually, givenACharacteristic, modules, open, sample, server } from "../support.mjs";

const WebSocket = modules("ws");
const fact = (page, name) => page.locator(`#health .facts div:has(dt:text-is("${name}")) dd`).textContent();

const code = new URL("../../../src/http/dashboard/static/", import.meta.url);

test("metrics are read as OpenMetrics writes them, and what cannot be read is passed over", async () => {
  const { parse } = await import(new URL("system/openmetrics.js", code));
  const reading = parse('# HELP a b\na_total{x="q\\"w\\\\,}",y="2"} 5 123 # {t="1"} 3\nno sense\nb NaN\nc{x="1" 5\nd_bucket{le="+Inf"} 3\nd_bucket{le="0.5"} 1\ne 1.5e3\n# EOF\n', 7);
  assert.equal(reading.sum("a_total", { x: 'q"w\\,}' }), 5);
  assert.deepEqual(reading.buckets("d"), [[0.5, 1], [Infinity, 3]]);
  assert.deepEqual([reading.sum("e"), reading.sum("b"), reading.sum("c"), reading.at], [1_500, null, null, 7]);
});

test("of the past it keeps five minutes, however long it runs, and starts anew with the server", async () => {
  const [{ parse }, { History, WINDOW_MS }] = await Promise.all([import(new URL("system/openmetrics.js", code)), import(new URL("system/history.js", code))]);
  const history = new History({ commits: { metric: "andon_commits_total" } });
  const read = (at, commits, started) => history.add(parse(`andon_commits_total ${commits}\nandon_start_time_seconds ${started}\n`, at));
  for (let second = 0; second < 4 * 3_600; second += 2) read(second * 1_000, 10 * second, 1);
  const { commits } = history.series;
  assert.ok(commits.length <= WINDOW_MS / 2_000 + 1, `${commits.length} points`);
  assert.equal(commits.at(-1).rate, 10);
  assert.ok(Math.abs(history.grown("andon_commits_total") - 3_000) <= 150, "since five minutes ago");
  read(4 * 3_600_000, 4, 2);
  assert.equal(commits.at(-1).rate, null, "another process counts from zero");
  assert.equal(history.grown("andon_commits_total"), 0);
});

test("health is what the server says of itself", async (t) => {
  const page = await open(t, "system");
  await page.locator("#health .status:has-text('Ready')").waitFor();
  const [{ head_seq: head }, version] = [await call("GET", "events?limit=1"), /andon_build_info\{version="([^"]+)"\}/.exec(await (await fetch(new URL("metrics", server))).text())[1]];
  await eventually(async () => Number((await fact(page, "Newest event")).replace(/\D/g, "")) >= head, "the head of the log");
  assert.equal(await fact(page, "Version"), version);
  assert.equal(await fact(page, "Database"), "takes writes");
  assert.match(await fact(page, "Running for"), /\d/);
  await eventually(async () => (await fact(page, "Log epoch")) === (await call("GET", "events?limit=1")).epoch, "the epoch");
});

test("samples that come show up in the rates", async (t) => {
  const { root, ask } = await ownServer(t);
  const { id } = await ask("POST", "characteristics", { body: { name: "Bore" } });
  const page = await open(t, "system", { at: root });
  const rate = page.locator("[data-rate=samples]");
  await eventually(async () => (await rate.textContent()) === "0/s", "nothing happens yet");
  await eventually(async () => {
    await ask("POST", "samples", { body: { characteristic_id: id, measurements: [10] } });
    return /^[1-9\d.,]+\/s$/.test(await rate.textContent()) && (await rate.textContent()) !== "0/s";
  }, "a rate");
  assert.match(await page.locator(".tile:has([data-rate=samples]) .spark-line").getAttribute("d"), /L/);
});

test("nothing is asked twice at once, and nothing while nobody can see it", async (t) => {
  const { root } = await ownServer(t);
  const page = await open(t, "assets/icon.svg", { at: root, expectedErrors: /404/ }); // browsers look for a favicon
  await page.clock.install(); // its timers are ours from here on
  let asked = 0;
  let underWay = 0;
  const isOurs = (request) => /\/(metrics|health\/ready|connections|deliveries|silences)\b/.test(new URL(request.url()).pathname);
  page.on("request", (request) => {
    if (!isOurs(request)) return;
    asked += 1;
    underWay += 1;
  });
  for (const over of ["requestfinished", "requestfailed"]) page.on(over, (request) => { underWay -= isOurs(request) ? 1 : 0; });
  await page.goto(new URL("system", root).href);
  await page.locator("#connections tbody tr").first().waitFor();

  let metrics = 0;
  let release;
  const held = new Promise((resolve) => { release = resolve; });
  await page.route("**/metrics", async (route) => {
    metrics += 1;
    await held;
    await route.continue();
  });
  await eventually(async () => {
    await page.clock.fastForward(500);
    return metrics > 0;
  }, "it asks again");
  for (let step = 0; step < 3; step += 1) await page.clock.fastForward(2_500); // less than what it waits for an answer
  assert.equal(metrics, 1, "not while it waits for an answer");
  release();
  await eventually(async () => {
    await page.clock.fastForward(500);
    return metrics > 1;
  }, "it asks again, once it has one");

  const see = (state) => page.evaluate((value) => {
    Object.defineProperty(document, "visibilityState", { configurable: true, get: () => value });
    document.dispatchEvent(new Event("visibilitychange"));
  }, state);
  await see("hidden");
  await eventually(async () => {
    const seen = asked;
    await page.clock.fastForward(60_000);
    return asked === seen && underWay === 0;
  }, "what was begun is finished");
  const before = asked;
  for (let step = 0; step < 5; step += 1) await page.clock.fastForward(60_000);
  assert.equal(asked, before);
  await see("visible");
  await eventually(() => asked >= before + 5, "it asks at once, for each section");
});

test("a connection is listed with what it is, and shown out", async (t) => {
  const { root } = await ownServer(t);
  const page = await open(t, "system", { at: root });
  const socket = new WebSocket(new URL("api/v1/ws", root).href.replace("http", "ws"));
  const welcome = await new Promise((resolve) => socket.once("message", (text) => resolve(JSON.parse(text))));
  socket.send(JSON.stringify({ type: "subscribe", groups: ["plant/line4"] }));
  const id = (welcome.payload ?? welcome).connection_id;
  const row = page.locator(`#connections tr:has-text("connection ${id}")`);
  await row.filter({ hasText: "plant/line4" }).waitFor();
  await page.locator("#connections tr:has-text('this page')").waitFor();
  const closed = new Promise((resolve) => socket.once("close", resolve));
  await row.getByRole("button", { name: `Disconnect connection ${id}` }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Cancel" }).click();
  assert.equal(socket.readyState, 1, "nothing happens without consent");
  await row.getByRole("button").click();
  await page.getByRole("dialog").getByRole("button", { name: "Disconnect" }).click();
  await closed;
  await row.waitFor({ state: "detached" });
});

test("a delivery that fails shows why, and can be tried again", async (t) => {
  let status = 422;
  let port = 0;
  const told = [];
  const receiver = createServer((request, answer) => {
    request.resume().on("end", () => {
      told.push(request.url);
      answer.writeHead(status).end();
    });
  });
  await new Promise((resolve) => receiver.listen(0, "127.0.0.1", resolve));
  t.after(() => receiver.close());
  port = receiver.address().port;
  const closed = await new Promise((resolve) => {
    const probe = createServer().listen(0, "127.0.0.1", () => {
      const { port: free } = probe.address();
      probe.close(() => resolve(free));
    });
  });
  const { root, ask } = await ownServer(t, `
    [[notify.receivers]]
    name = "mes"
    webhook = { url = "http://127.0.0.1:${port}/mes", allow_private = true }
    [[notify.receivers]]
    name = "night-shift"
    webhook = { url = "http://127.0.0.1:${closed}/night", allow_private = true }
    backoff_ms = 300000
  `);
  const { id } = await ask("POST", "characteristics", { body: { name: "Bore <b>9</b>" } });
  await ask("PUT", `characteristics/${id}/control-limits`, { body: { center_line: 10, sigma: 1 } });
  await ask("POST", "samples", { body: { characteristic_id: id, measurements: [20] } });

  const page = await open(t, "system?receiver=mes", { at: root });
  const refused = page.locator("#deliveries tr[data-state=dead]");
  await refused.filter({ hasText: "it answered 422" }).filter({ hasText: "Bore <b>9</b>" }).waitFor();
  assert.equal(await page.locator("#deliveries tbody tr").count(), 1, "those to mes only");
  await page.locator("#attention").getByText("mes has refused 1 messages for good").or(page.locator("#receivers tr:has-text('mes')").getByText("Never worked")).first().waitFor();

  await page.getByLabel("Told", { exact: true }).selectOption("");
  const retrying = page.locator("#deliveries tr[data-state=retrying]");
  await retrying.filter({ hasText: "night-shift" }).waitFor();
  const { items: [{ id: other }] } = await ask("GET", "deliveries?receiver=night-shift");
  const { attempts } = await ask("GET", `deliveries/${other}`);
  await retrying.filter({ hasText: attempts[0].detail }).waitFor();

  const listening = await page.evaluateHandle(() => {
    const there = new Set();
    const [add, remove] = [document.addEventListener, document.removeEventListener];
    document.addEventListener = (type, listener, ...rest) => {
      if (type === "visibilitychange") there.add(listener);
      add.call(document, type, listener, ...rest);
    };
    document.removeEventListener = (type, listener, ...rest) => {
      there.delete(listener);
      remove.call(document, type, listener, ...rest);
    };
    return there;
  });
  await refused.getByRole("button", { name: /^Attempts/ }).click();
  const dialog = page.getByRole("dialog");
  await dialog.getByText("Refused for good").first().waitFor();
  await dialog.locator("tbody tr").filter({ hasText: "422" }).waitFor();
  assert.match(page.url(), /delivery=\d+/, "it can be sent to somebody");
  status = 200;
  await dialog.getByRole("button", { name: /^Try again/ }).click();
  await dialog.getByText("Delivered").first().waitFor();
  await eventually(async () => (await dialog.locator("tbody tr").count()) === 2, "both attempts");
  assert.equal(told.length, 2);
  assert.equal(await listening.evaluate((there) => there.size), 1, "the open dialog asks when it is looked at");
  await dialog.getByRole("button", { name: "Close" }).click();
  await eventually(() => !page.url().includes("delivery="), "the address says so"); // a browser tells of it a little later
  assert.equal(await listening.evaluate((there) => there.size), 0, "a closed one does not");
  await page.getByLabel("State", { exact: true }).selectOption("delivered");
  await page.locator("#deliveries tr[data-state=delivered]").filter({ hasText: "mes" }).waitFor();
  await page.reload();
  await page.locator("#deliveries tr[data-state=delivered]").waitFor();
  assert.equal(await page.getByLabel("State", { exact: true }).inputValue(), "delivered");
});

test("a silence is begun and ended", async (t) => {
  const { id, name } = await givenACharacteristic();
  const page = await open(t, "system", { expectedErrors: /422/ });
  await page.getByRole("button", { name: "Begin a silence" }).click();
  const dialog = page.getByRole("dialog");
  await dialog.getByLabel("Reason", { exact: true }).fill(`Tool change ${id}`);
  await dialog.getByLabel("Your name").fill("ann");
  await dialog.getByRole("button", { name: "Begin the silence" }).click();
  await dialog.getByRole("alert").filter({ hasText: "name at least one of" }).waitFor();
  await dialog.getByLabel("Characteristics", { exact: true }).fill(name);
  await dialog.getByRole("button", { name: `Add ${name}` }).click();
  await dialog.getByLabel("For how long").selectOption({ label: "30 minutes" });
  await dialog.getByRole("button", { name: "Begin the silence" }).click();
  const row = page.locator("#silences tr").filter({ hasText: `Tool change ${id}` });
  await row.filter({ hasText: name }).waitFor();
  const { items } = await call("GET", "silences?in_force=true&limit=1000");
  const begun = items.find(({ reason }) => reason === `Tool change ${id}`);
  assert.deepEqual([begun.characteristic_ids, begun.author], [[id], "ann"]);
  assert.equal(Math.round((Date.parse(begun.ends_at) - Date.parse(begun.created_at)) / 60_000), 30);

  await row.getByRole("button", { name: `End silence ${begun.id}` }).click();
  assert.equal(await dialog.getByLabel("Your name").inputValue(), "ann", "it is remembered");
  await dialog.getByRole("button", { name: "End it" }).click();
  await row.waitFor({ state: "detached" });
  assert.equal((await call("GET", `silences/${begun.id}`)).ended_by, "ann");
  await page.locator("#silences-which").selectOption("over");
  await row.filter({ hasText: "ended by ann" }).waitFor();
});

test("a name that was not to be had is asked for another time", async (t) => {
  const { id, name } = await givenACharacteristic();
  await call("POST", "silences", { characteristic_ids: [id], reason: "Tool change", user: "Ann", minutes: 5 });
  const page = await open(t, "alarms", { expectedErrors: /503/ });
  let asked = 0;
  await page.route(new RegExp(`characteristics/${id}$`), (route) => {
    asked += 1;
    return asked === 1 ? route.fulfill({ status: 503, json: { detail: "busy" } }) : route.fallback();
  });
  await page.goto(new URL("system", server).href);
  await page.locator("#silences tr").getByText(name).waitFor();
  assert.equal(asked, 2);
});

test("a test message goes to every client, and is shown where it arrives", async (t) => {
  const [page, other] = [await open(t, "system"), await open(t, "system")];
  for (const opened of [page, other]) await opened.locator("#connection[data-state=live]").waitFor();
  const words = `Hear, hear ${process.pid} <i>`;
  await page.getByLabel("Message", { exact: true }).fill(words);
  await page.getByRole("button", { name: "Send to every client" }).click();
  await page.locator("#testing").getByText(/Sent to [\d,]+ clients?\./).waitFor();
  for (const opened of [page, other]) await opened.locator(".arrived li").filter({ hasText: words }).waitFor();
});

const TOKENS = `
  [[auth.tokens]]
  name = "display"
  token = "display-display-display"
  roles = ["read"]
  [[auth.tokens]]
  name = "backend"
  token = "backend-backend-backend"
  roles = ["ingest"]
`;
const REFUSED = /401|403|Unauthorized|Forbidden/;

test("who may only read sees everything, and is told what else would need", async (t) => {
  const { root } = await ownServer(t, TOKENS);
  const page = await open(t, "system", { at: root, expectedErrors: REFUSED });
  await page.getByRole("textbox", { name: "Token" }).fill("display-display-display");
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.locator("#health .status:has-text('Ready')").waitFor();
  await eventually(async () => (await fact(page, "Version")) !== "", "the metrics, which need the token");
  await page.locator("#connections tr:has-text('display')").waitFor();
  await page.locator("#connections tr").getByRole("button").first().click();
  await page.getByRole("dialog").getByRole("button", { name: "Disconnect" }).click();
  await page.getByRole("dialog").getByRole("alert").filter({ hasText: "admin" }).waitFor();
  await page.getByRole("dialog").getByRole("button", { name: "Cancel" }).click();
  await page.getByRole("button", { name: "Send to every client" }).click();
  await page.locator("#testing").getByText(/operate/).waitFor();
});

test("where the token may not even read, each section says so, and health goes on", async (t) => {
  const { root } = await ownServer(t, TOKENS);
  const page = await open(t, "system", { at: root, expectedErrors: REFUSED });
  await page.getByRole("textbox", { name: "Token" }).fill("backend-backend-backend");
  await page.getByRole("button", { name: "Sign in" }).click();
  for (const section of ["measured", "connections", "deliveries", "silences"]) {
    await page.locator(`#${section} .note`).filter({ hasText: "You may not see this" }).waitFor();
  }
  await page.locator("#health .status:has-text('Ready')").waitFor();
});

test("a server that is away is told from one that is there, and is found again", async (t) => {
  const own = await ownServer(t);
  const page = await open(t, "system", { at: own.root, expectedErrors: /ERR_|WebSocket|Failed to load/ });
  await page.locator("#health .status:has-text('Ready')").waitFor();
  await own.kill();
  await page.locator("#health .status:has-text('No answer')").waitFor();
  await page.locator("#health .age").filter({ hasText: "Nothing heard for" }).waitFor();
  await page.locator("#connections .note").filter({ hasText: "cannot be reached" }).waitFor();
  await own.start();
  await page.locator("#health .status:has-text('Ready')").waitFor();
  await page.locator("#connections .note").waitFor({ state: "hidden" });
  await page.locator("#connection[data-state=live]").waitFor();
});

test("everybody can use it, also on a telephone and in the dark", async (t) => {
  const { id } = await givenACharacteristic();
  await sample(id, 20);
  for (const options of [{ colorScheme: "light" }, { colorScheme: "dark", viewport: { width: 360, height: 740 } }]) {
    const page = await open(t, "system", options);
    for (const shown of ["#health[data-fresh=yes]", "#deliveries[data-fresh=yes]", "#connections tbody tr", "#latencies tbody tr"]) await page.locator(shown).first().waitFor();
    assert.deepEqual(await axe(page), []);
    assert.equal(await page.evaluate(() => document.documentElement.scrollWidth > innerWidth), false, "nothing sticks out");
    await page.getByRole("button", { name: "Begin a silence" }).click();
    assert.deepEqual(await axe(page), []);
  }
});
