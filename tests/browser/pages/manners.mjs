// What every page has in common: it fits the screen and the place behind a proxy, asks for a token where it needs one,
// and is not large.

import assert from "node:assert/strict";
import http from "node:http";
import { before, test } from "node:test";
import { ownServer } from "../own-server.mjs";
import { call, eventually, givenACharacteristic, open, sample, server } from "../support.mjs";

/** All that a page may bring along, compressed. */
const MOST_BYTES = 300_000;

let bore;
before(async () => {
  bore = await givenACharacteristic({ name: "Bore with a name that is rather long for a telephone", group: "plant/line with a long name/cell 7", unit: "mm" });
  for (const value of [10, 10.5, 9.5, 14, 10]) await sample(bore.id, value);
});

const pages = () => ["", `characteristics/${bore.id}`, "alarms", "system"];
const live = (page) => page.locator("#connection[data-state=live]").waitFor();

test("nothing hangs over the edge, from a telephone to a wall", async (t) => {
  for (const path of pages()) {
    const page = await open(t, path);
    await live(page);
    for (const width of [360, 768, 1280, 3840]) {
      await page.setViewportSize({ width, height: 800 });
      const hangsOver = () => page.evaluate(() => document.documentElement.scrollWidth > document.documentElement.clientWidth);
      await eventually(async () => !(await hangsOver()), `/${path} fits into ${width} pixels`);
    }
    await page.context().close();
  }
});

test("a page brings less than 300 KB along, compressed", async (t) => {
  for (const path of pages()) {
    const page = await open(t, "system"); // something to begin from
    const client = await page.context().newCDPSession(page);
    await client.send("Network.enable");
    await client.send("Network.setCacheDisabled", { cacheDisabled: true });
    let bytes = 0;
    client.on("Network.loadingFinished", ({ encodedDataLength }) => {
      bytes += encodedDataLength;
    });
    await page.goto(new URL(path, server).href);
    await live(page);
    await page.waitForLoadState("networkidle");
    t.diagnostic(`/${path}: ${bytes} bytes`);
    assert.ok(bytes > 10_000 && bytes < MOST_BYTES, `/${path}: ${bytes} bytes`);
  }
});

test("below a path of a proxy, everything is found", async (t) => {
  const proxy = await behindAPath(t, "/plant/andon");
  for (const path of pages()) {
    const page = await open(t, path, { at: proxy });
    await live(page);
    await page.context().close(); // before the proxy is
  }
  const page = await open(t, "", { at: proxy });
  await page.locator(`.tile[data-id="${bore.id}"]`).getByRole("link").click();
  await page.waitForURL(`${proxy}characteristics/${bore.id}`);
  await live(page);
  await page.getByRole("navigation").getByRole("link", { name: /Alarms/ }).click();
  await page.waitForURL(`${proxy}alarms**`);
  await live(page);
  await page.context().close();
});

test("a page whose address ends with a slash is found, too", async (t) => {
  const proxy = await behindAPath(t, "/andon");
  const page = await open(t, `characteristics/${bore.id}/`, { at: proxy });
  assert.equal(page.url(), `${proxy}characteristics/${bore.id}`);
  await live(page);
  await page.context().close();
});

test("where the server wants a token, it is asked for once, and kept for this tab", async (t) => {
  const token = "a-token-that-is-long-enough-1234";
  const own = await ownServer(t, `[[auth.tokens]]\nname = "ann"\ntoken = "${token}"\nroles = ["operate"]\n`);
  const page = await open(t, "", { at: own.root, expectedErrors: /401|WebSocket/ });
  const dialog = page.getByRole("dialog");
  await dialog.waitFor();
  await page.keyboard.type("not it");
  await page.keyboard.press("Enter");
  const field = page.locator("#token");
  await eventually(async () => (await field.inputValue()) === "", "it was wrong, and is asked for again");
  await field.fill(token);
  await page.keyboard.press("Enter");
  await live(page);
  assert.equal(await page.getByRole("dialog").count(), 0);
  await page.getByRole("link", { name: /Alarms/ }).click();
  await page.waitForURL("**/alarms**");
  await live(page);
  assert.equal(await page.evaluate(() => localStorage.getItem("andon.token")), null);
});

test("numbers and times are the reader's own, with the zone", async (t) => {
  const page = await open(t, "", { locale: "de-DE", timezoneId: "America/New_York" });
  await page.locator(`.tile[data-id="${bore.id}"]`).getByText("10,000 mm").waitFor();
  await page.getByText("Times in America/New_York").waitFor();
});

test("light and dark can be chosen, and are kept", async (t) => {
  const page = await open(t, "", { colorScheme: "light" });
  const paper = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
  const light = await paper();
  const button = page.locator("#theme");
  await button.click();
  assert.equal(await paper(), light); // auto, and then light by choice
  await button.click();
  assert.notEqual(await paper(), light);
  await page.reload();
  await live(page);
  assert.notEqual(await paper(), light);
});

test("on a telephone, one answers from the head of a chart", async (t) => {
  const shaft = await givenACharacteristic();
  const page = await open(t, `characteristics/${shaft.id}`, { viewport: { width: 390, height: 844 } });
  await live(page);
  const acknowledge = page.locator("#head").getByRole("button", { name: "Acknowledge…" });
  assert.ok(await acknowledge.isHidden(), "nothing waits");
  await sample(shaft.id, 14);
  await page.getByRole("heading", { name: "Violations: 1 open" }).waitFor({ state: "attached" });
  await acknowledge.waitFor({ timeout: 2_000 });
  await acknowledge.click();
  await page.getByRole("dialog").getByText(/above the upper control limit/).first().waitFor();
  await page.setViewportSize({ width: 1280, height: 800 });
  assert.ok(await acknowledge.isHidden(), "beside the chart there is room for the list");
});

test("the number of alarms that wait is the server's, on every page", async (t) => {
  const page = await open(t, "system");
  await live(page);
  const silent = await givenACharacteristic({ rules: [{ rule_id: 1, requires_acknowledgement: false }] });
  const shaft = await givenACharacteristic();
  for (const { id } of [silent, shaft]) await sample(id, 14);
  await eventually(async () => {
    const { total } = await call("GET", "violations?status=open&acknowledged=false&requires_acknowledgement=true&limit=1");
    return (await page.locator("#waiting").textContent()) === new Intl.NumberFormat("en-GB").format(total);
  }, "the badge is true");
});

/** A proxy that serves Andon below a path, as nginx does; the path is not passed on. */
async function behindAPath(t, path) {
  const passOn = (request) => ({
    host: server.hostname, port: server.port, method: request.method, path: request.url.slice(path.length),
    headers: request.headers,
  });
  const proxy = http.createServer((request, response) => {
    if (!request.url.startsWith(`${path}/`)) return response.writeHead(404).end();
    const onward = http.request(passOn(request), (answer) => {
      response.writeHead(answer.statusCode, answer.headers);
      answer.pipe(response);
    });
    onward.on("error", () => response.destroy());
    request.pipe(onward);
  });
  proxy.on("upgrade", (request, socket, head) => {
    const onward = http.request(passOn(request));
    onward.on("upgrade", (answer, behind, first) => {
      const headers = Object.entries(answer.headers).map(([name, value]) => `${name}: ${value}\r\n`);
      socket.write(`HTTP/1.1 101 Switching Protocols\r\n${headers.join("")}\r\n`);
      socket.write(first);
      behind.write(head);
      behind.pipe(socket).pipe(behind);
      for (const end of [behind, socket]) end.on("error", () => [behind, socket].forEach((it) => it.destroy()));
    });
    onward.on("response", () => socket.destroy());
    onward.on("error", () => socket.destroy());
    onward.end();
  });
  await new Promise((resolve) => proxy.listen(0, "127.0.0.1", resolve));
  t.after(() => {
    proxy.closeAllConnections();
    proxy.close();
  });
  return new URL(`http://127.0.0.1:${proxy.address().port}${path}/`);
}
