// What the tests of the pages share: a real Chromium, the real server, and a look at everything that goes wrong unseen.
//
// `TEST_SERVER` is the server's root, `TEST_NODE_MODULES` a folder with `playwright-core` and `axe-core`, and
// `TEST_CHROMIUM` the browser's program. A page that logs an error, or asks another host for anything, fails its test.

import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { after, before } from "node:test";

export const modules = createRequire(`${process.env.TEST_NODE_MODULES}/`);
const { chromium } = modules("playwright-core");

/** The server's root, with a slash at its end. */
export const server = new URL(process.env.TEST_SERVER.replace(/\/*$/, "/"));

/** How long anything may take that is expected to happen: the machine may be busy. */
export const DEADLINE = 20_000;

let browser;
before(async () => {
  browser = await chromium.launch({ executablePath: process.env.TEST_CHROMIUM, args: ["--no-sandbox"] });
});
after(async () => {
  await browser?.close();
});

/** The browser itself, for tests that need more than a page. */
export const theBrowser = () => browser;

/**
 * Opens a page of the server in a context of its own, and closes it with the test.
 *
 * @param {import("node:test").TestContext} test
 * @param {string} path such as "characteristics/5", relative to the server's root
 * @param {{ at?: URL, expectedErrors?: RegExp } & object} [options] `at`: another root; the rest is Playwright's
 */
export async function open(test, path, { at = server, expectedErrors, ...options } = {}) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 800 }, locale: "en-GB", timezoneId: "Europe/Berlin", ...options });
  context.setDefaultTimeout(DEADLINE);
  const page = await context.newPage();
  const wrong = [];
  page.on("pageerror", (error) => wrong.push(`error: ${error.stack ?? error}`));
  page.on("console", (message) => {
    if (message.type() === "error" && !expectedErrors?.test(message.text()) && !isOfADeletedOne(message)) wrong.push(`console: ${message.text()}`);
  });
  page.on("request", (request) => {
    const url = new URL(request.url());
    if (!["data:", "blob:"].includes(url.protocol) && url.host !== at.host) wrong.push(`asks ${url.host} for ${url.pathname}`);
  });
  contexts.set(test, [...(contexts.get(test) ?? []), context]);
  test.after(async () => {
    await context.close();
    assert.deepEqual(wrong, [], "the page had errors");
  });
  await page.goto(new URL(path, at).href);
  return page;
}

/**
 * A page that listens to everything may ask about what another test has just deleted. The page takes that for an answer,
 * and the browser for an error.
 */
const isOfADeletedOne = (message) =>
  message.text().includes("404") && /\/api\/v1\/characteristics\/\d+(\/chart-data)?(\?|$)/.test(message.location().url);

const contexts = new WeakMap();

/** Closes what a test has opened, before something is stopped that its pages would miss. */
export const closePages = (test) => Promise.all((contexts.get(test) ?? []).map((context) => context.close()));

/** Calls the REST interface; anything but success fails. */
export async function call(method, path, body, at = server) {
  const answer = await fetch(new URL(`api/v1/${path}`, at), {
    method,
    headers: body === undefined ? {} : { "Content-Type": "application/json" },
    body: body === undefined ? undefined : JSON.stringify(body),
  });
  assert.ok(answer.ok, `${method} ${path}: ${answer.status} ${answer.ok ? "" : await answer.clone().text()}`);
  return answer.status === 204 ? null : answer.json();
}

let named = 0;

/** A characteristic of this test alone, with limits at 10 ± 3 sigma of 1 unless `limits` is null. */
export async function givenACharacteristic(definition = {}, limits = { center_line: 10, sigma: 1 }) {
  const name = `Bore ${process.pid}-${++named}`;
  const characteristic = await call("POST", "characteristics", { name, unit: "mm", decimals: 3, ...definition });
  if (limits) await call("PUT", `characteristics/${characteristic.id}/control-limits`, limits);
  return characteristic;
}

/** Sends one sample of one measurement. */
export const sample = (id, ...measurements) => call("POST", "samples", { characteristic_id: id, measurements });

/** Waits until something holds; `look` gives what is true of it, or something false. */
export async function eventually(look, what, deadline = DEADLINE) {
  const end = Date.now() + deadline;
  for (;;) {
    const seen = await look();
    if (seen) return seen;
    if (Date.now() > end) assert.fail(`${what}: not within ${deadline} ms`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/** What axe finds that is serious or critical. */
export async function axe(page) {
  // Evaluated, not added as an element: the page's own policy would refuse that, as it should.
  await page.evaluate(modules("fs").readFileSync(modules.resolve("axe-core/axe.min.js"), "utf8"));
  const { violations } = await page.evaluate(() => window.axe.run());
  const grave = violations.filter(({ impact }) => impact === "serious" || impact === "critical");
  return grave.map(({ id, nodes }) => `${id}: ${nodes.slice(0, 3).map((node) => node.html).join(" | ")}`);
}
