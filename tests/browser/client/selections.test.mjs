// What is wanted, as messages: without a network.

import assert from "node:assert/strict";
import test from "node:test";

import { Selections, streamQuery, subscribeText } from "../../../src/http/dashboard/static/client/selections.js";

const said = (selections, isHidden = false) =>
  [...selections.requests()].map((request) => JSON.parse(subscribeText(request, isHidden)));

function wanting(...selections) {
  const all = new Selections();
  selections.forEach((selection) => all.add(selection));
  return all;
}

test("what is wanted in the same way goes into one message, and the most particular comes first", () => {
  const violations = { filter: { types: ["violation"] } };
  const selections = wanting(
    { all: true, ...violations }, { characteristic_ids: [9], ...violations }, { groups: ["plant"] }, { characteristic_ids: [1, 2], history: true },
    { characteristic_ids: [3], history: true },
  );
  assert.deepEqual(said(selections), [
    { type: "subscribe", characteristic_ids: [9], filter: { types: ["violation"] } },
    { type: "subscribe", characteristic_ids: [1, 2, 3], history: true },
    { type: "subscribe", groups: ["plant"] },
    { type: "subscribe", all: true, filter: { types: ["violation"] } },
  ]);
});

test("what is said again holds from then on, and what is taken away is not said any more", () => {
  const selections = wanting({ characteristic_ids: [1, 2] }, { characteristic_ids: [2], history: true });
  assert.deepEqual(said(selections).map(({ characteristic_ids: ids }) => ids), [[1], [2]]);
  selections.remove({ characteristic_ids: [1, 2] });
  assert.ok(selections.isEmpty);
  assert.deepEqual(selections.takeNews(), []);
});

test("what was added together is said together, as far as it still holds", () => {
  const selections = wanting({ characteristic_ids: [1] }, { characteristic_ids: [2], snapshot: true }, { groups: ["a"] });
  selections.remove({ groups: ["a"] });
  const [request, ...others] = selections.takeNews();
  const { characteristic_ids: ids, snapshot, all } = request;
  assert.deepEqual([ids, snapshot, all, others], [[1, 2], true, undefined, []]);
  assert.deepEqual(selections.takeNews(), []);
});

test("a hidden page wants no samples", () => {
  const types = ["violation", "ack_update", "control_limits", "sample_update", "violation_update", "characteristic_update"];
  assert.deepEqual(said(wanting({ all: true }), true)[0].filter, { types });
  const chosen = wanting({ all: true, filter: { types: ["sample", "episode"], min_severity: "WARNING" } });
  assert.deepEqual(said(chosen, true)[0].filter, { types: ["episode"], min_severity: "WARNING" });
  assert.deepEqual(said(wanting({ all: true, filter: { types: ["sample"] } }), true)[0].filter, { types: ["ack_update"] });
});

test("no message is longer than the server takes", () => {
  const keys = Array.from({ length: 5_000 }, (_, i) => "ü".repeat(120) + i);
  const messages = said(wanting({ characteristic_keys: keys, groups: ["plant"] }));
  assert.equal(messages.flatMap(({ characteristic_keys: some = [] }) => some).length, 5_000);
  assert.ok(messages.every((message) => Buffer.byteLength(JSON.stringify(message)) < 1 << 20));
});

test("a refused message is halved until the name is found that was not known", () => {
  const selections = wanting({ characteristic_keys: ["a", "b", "c"], characteristic_ids: [7] });
  let [asked, refused] = [[...selections.requests()], []];
  while (asked.length > 0) {
    const request = asked.shift();
    if (!request.characteristic_keys?.includes("b")) continue;
    const halves = selections.halves(request);
    if (halves.length === 0) refused.push(request.characteristic_keys);
    asked.push(...halves);
  }
  assert.deepEqual(refused, [["b"]]);
  const again = said(selections);
  assert.deepEqual(again.map(({ characteristic_keys: keys }) => keys), [["a", "c"], ["b"]]);
});

test("a stream's query lets through what any selection wants", () => {
  const query = (...selections) => Object.fromEntries(streamQuery([...wanting(...selections).requests()], {}));
  assert.deepEqual(query({ characteristic_ids: [1, 2], groups: ["a", "b"] }), { characteristic_ids: "1,2", groups: "a,b" });
  assert.deepEqual(query({ all: true }, { characteristic_ids: [1], history: true }), { all: "true", history: "true" });
  const narrow = { filter: { types: ["violation"], min_severity: "CRITICAL", rule_ids: [1], sample_max_hz: 1 } };
  const wide = { filter: { types: ["sample"], min_severity: "WARNING", rule_ids: [2], sample_max_hz: 2 } };
  assert.deepEqual(query({ characteristic_ids: [1], ...narrow }, { characteristic_ids: [2], ...wide }), {
    characteristic_ids: "1,2", types: "violation,sample", min_severity: "WARNING", rule_ids: "1,2", sample_max_hz: "2",
  });
  const types = query({ characteristic_ids: [1], ...narrow }, { characteristic_ids: [2] });
  assert.ok(types.types.includes("characteristic_update") && !("min_severity" in types));
});
