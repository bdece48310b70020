// The API page: draws the whole OpenAPI document, and what is tried there really happens.

import assert from "node:assert/strict";
import { createServer, request as ask } from "node:http";
import { test } from "node:test";

import { ownServer } from "../own-server.mjs";
import { axe, call, eventually, open } from "../support.mjs";

/** What the vendored drawing says of each deep link with an underscore. */
const VENDORED = /escaping deep link whitespace/;

/** A proxy that serves a server below a path of its own. */
async function below(t, path, root) {
  const proxy = createServer((incoming, answer) => {
    if (!incoming.url.startsWith(path)) return answer.writeHead(418).end();
    const { method, headers } = incoming;
    const outgoing = ask(new URL(incoming.url.slice(path.length - 1), root), { method, headers }, (got) => {
      answer.writeHead(got.statusCode, got.headers);
      got.pipe(answer);
    });
    outgoing.on("error", () => answer.destroy());
    incoming.pipe(outgoing);
  });
  await new Promise((resolve) => proxy.listen(0, "127.0.0.1", resolve));
  t.after(() => {
    proxy.closeAllConnections();
    proxy.close();
  });
  return new URL(`http://127.0.0.1:${proxy.address().port}${path}`);
}

test("every operation of the document is there", async (t) => {
  const page = await open(t, "api");
  const { paths } = await call("GET", "openapi.json");
  const operations = Object.values(paths).flatMap((path) => Object.keys(path).filter((name) => ["get", "put", "post", "patch", "delete", "head"].includes(name)));
  await eventually(async () => (await page.locator(".opblock").count()) === operations.length, `all ${operations.length} operations`);
});

test("below the path of a proxy, what is tried reaches this server with the token of the session", async (t) => {
  const own = await ownServer(t, `
    [[auth.tokens]]
    name = "ann"
    token = "ann-ann-ann-ann-ann-ann"
    roles = ["admin"]
  `);
  const at = await below(t, "/plant/andon/", own.root);
  const page = await open(t, "api#/characteristics/create_characteristic", { at, expectedErrors: /WebSocket|escaping deep link|401/ });
  await page.getByRole("textbox", { name: "Token" }).fill("ann-ann-ann-ann-ann-ann");
  await page.getByRole("button", { name: "Sign in" }).click();
  const operation = page.locator("#operations-characteristics-create_characteristic");
  await operation.getByRole("button", { name: "Try it out" }).click(); // the address has opened it
  await operation.getByLabel("Request body").fill('{"name": "Made by hand"}');
  await operation.getByRole("button", { name: "Execute" }).click();
  await operation.locator(".live-responses-table .response-col_status").filter({ hasText: "201" }).first().waitFor();
  const { items } = await own.ask("GET", "characteristics", { token: "ann-ann-ann-ann-ann-ann" });
  assert.deepEqual(items.map(({ name }) => name), ["Made by hand"]);
  assert.doesNotMatch(await operation.textContent(), /ann-ann/, "the token is not shown");
});

test("everybody can use it, also on a telephone and in the dark", async (t) => {
  for (const options of [{ colorScheme: "light" }, { colorScheme: "dark", viewport: { width: 360, height: 740 } }]) {
    const page = await open(t, "api#/deliveries/list_deliveries", { ...options, expectedErrors: VENDORED });
    const operation = page.locator("#operations-deliveries-list_deliveries");
    await operation.getByRole("button", { name: "Try it out" }).click();
    await operation.getByRole("button", { name: "Execute" }).click();
    await operation.locator(".live-responses-table").waitFor();
    await eventually(async () => (await axe(page)).length === 0 || null, `axe: ${await axe(page)}`);
    assert.equal(await page.evaluate(() => document.documentElement.scrollWidth > innerWidth), false, "nothing sticks out");
  }
});
