// Which events are new, what is missing, and where to resume: without a network.

import assert from "node:assert/strict";
import test from "node:test";

import { Progress } from "../../../src/http/dashboard/static/client/progress.js";

const event = (id, seq, revision, more = {}) => ({ type: "violation", characteristic_id: id, seq, revision, ...more });
const ack = (id, seq, revision) => event(id, seq, revision, { type: "ack_update" });

function subscribed(progress, revisions, { since, recovered, epoch = "e", seq = 0, ...more } = {}) {
  progress.ask({ wishes: [], since, ...more });
  const ids = Object.keys(revisions).map(Number);
  return progress.subscribed({ characteristic_ids: ids, revisions, epoch, seq, recovered, ...more });
}

function begun(revisions, more) {
  const progress = new Progress();
  progress.connect();
  progress.welcome({ epoch: "e", seq: 0 });
  subscribed(progress, revisions, more);
  return progress;
}

test("withheld revisions are no gap and missing ones are", () => {
  const progress = begun({ 7: 4 });
  assert.equal(progress.take(event(7, 10, 5)), "new");
  assert.equal(progress.take(event(7, 20, 9, { skipped: 3 })), "new");
  assert.deepEqual(progress.take(event(7, 30, 11)), { characteristic_id: 7, expected: 10, received: 11, seq: 30 });
  assert.equal(progress.position.seq, 20, "what shows a gap is not handed out");
});

test("an alert that overtakes the samples of others moves the position, and the samples are new all the same", () => {
  const progress = begun({ 7: 4, 8: 2 });
  assert.equal(progress.take(event(7, 100, 5)), "new");
  assert.equal(progress.take(event(8, 90, 3, { type: "sample" })), "new");
  assert.equal(progress.position.seq, 100);
  assert.equal(progress.take(event(8, 90, 3, { type: "sample" })), "old");
});

test("after a gap it goes back to where that characteristic was complete and hands out nothing twice", () => {
  const progress = begun({ 7: 4, 8: 2 });
  progress.take(event(8, 10, 3));
  progress.take(event(7, 20, 5));
  const gap = progress.take(event(8, 30, 5));
  assert.equal(gap.expected, 4);
  progress.goBack(gap);
  assert.equal(progress.position.seq, 10);
  progress.connect();
  subscribed(progress, { 7: 4, 8: 3 }, { since: { epoch: "e", seq: 10 }, seq: 10, recovered: true });
  assert.equal(progress.take(event(7, 20, 5)), "old");
  assert.equal(progress.take(event(8, 25, 4)), "new");
  assert.equal(progress.take(event(8, 30, 5)), "new");
  assert.equal(progress.position.seq, 30);
});

test("a gap that resuming does not fill is let pass once and suspected", () => {
  const progress = begun({ 7: 4 });
  for (const due of ["gap", "new"]) {
    const place = progress.take(event(7, 30, 6));
    assert.equal(typeof place === "string" ? place : "gap", due);
    if (due === "gap") {
      assert.equal(progress.takeSuspicion(), false);
      progress.goBack(place);
      progress.connect();
      subscribed(progress, { 7: 4 }, { since: { ...progress.position }, recovered: true });
    }
  }
  assert.equal(progress.takeSuspicion(), true);
  assert.deepEqual([...progress.due], [7]);
});

test("samples that fell away with a connection are no gap on the next one", () => {
  const progress = begun({ 7: 4 });
  progress.take(event(7, 10, 5));
  progress.connect();
  subscribed(progress, { 7: 9 }, { since: { epoch: "e", seq: 10 }, seq: 10, recovered: true });
  assert.equal(progress.take(event(7, 40, 10)), "new");
  assert.equal(progress.take(event(7, 50, 12, { skipped: 1 })), "new");
});

test("revisions count within a connection although newer ones were handed out before", () => {
  const progress = begun({ 7: 4 });
  for (const revision of [5, 6, 7]) progress.take(event(7, revision * 10, revision));
  progress.connect();
  subscribed(progress, { 7: 5 }, { since: { epoch: "e", seq: 50 }, seq: 50, recovered: true });
  assert.equal(progress.take(event(7, 60, 6)), "old");
  assert.equal(progress.take(event(7, 90, 9, { skipped: 2 })), "new", "6, then 7 and 8 withheld");
});

test("an acknowledgement before the answer to a resumption is handed out in its place", () => {
  const progress = begun({ 7: 4 });
  progress.take(event(7, 10, 5));
  progress.connect();
  const since = { epoch: "e", seq: 10 };
  progress.ask({ wishes: [], since });
  assert.ok(progress.isEarly());
  assert.ok(progress.keep(ack(7, 30, 7)));
  assert.equal(progress.position.seq, 10, "what is missing lies before it");
  progress.subscribed({ characteristic_ids: [7], revisions: { 7: 5 }, epoch: "e", seq: 10, recovered: true });
  assert.ok(!progress.isEarly());
  assert.deepEqual([...progress.turn(20)], []);
  assert.equal(progress.take(event(7, 20, 6)), "new");
  assert.deepEqual([...progress.turn(40)].map(({ seq }) => seq), [30]);
  assert.equal(progress.take(event(7, 40, 8, { skipped: 1 })), "new", "the server counts the early one as skipped");
});

test("of several resumptions none moves the position over what another one still brings", () => {
  const progress = begun({ 7: 4 });
  progress.take(event(7, 10, 5));
  progress.connect();
  const since = { epoch: "e", seq: 10 };
  progress.ask({ wishes: [], since });
  progress.ask({ wishes: [], since });
  const answer = (id, revision) =>
    progress.subscribed({ characteristic_ids: [id], revisions: { [id]: revision }, epoch: "e", seq: 10, recovered: true });
  answer(7, 5);
  progress.take(event(7, 50, 6));
  progress.resumed(50);
  assert.equal(progress.position.seq, 10);
  answer(8, 0);
  assert.equal(progress.take(event(8, 20, 1)), "new");
  assert.equal(progress.position.seq, 10);
  progress.resumed(60);
  assert.equal(progress.position.seq, 60);
  assert.ok(progress.isCaughtUp);
});

test("another log begins anew and its first revisions are not old", () => {
  const progress = begun({ 7: 4 });
  progress.take(event(7, 10, 5));
  progress.connect();
  const lost = { since: { epoch: "e", seq: 10 }, epoch: "f", seq: 3, recovered: false };
  assert.ok(subscribed(progress, { 7: 1 }, lost).isLost);
  assert.deepEqual(progress.position, { epoch: "f", seq: 3 });
  assert.equal(progress.take(event(7, 4, 2)), "new");
  assert.deepEqual([...progress.due], [7]);
});

test("acknowledgements of what is not subscribed to are told once and checked for no gap", () => {
  const progress = begun({ 7: 4 });
  assert.equal(progress.take(ack(9, 10, 80)), "new");
  assert.equal(progress.take(ack(9, 10, 80)), "old");
  assert.equal(progress.take(ack(9, 20, 95)), "new");
});

test("who listens to all counts a new characteristic from its beginning", () => {
  const progress = begun({ 7: 4 }, { all: true });
  assert.equal(progress.take(event(8, 5, 1)), "new");
  assert.equal(progress.take(event(9, 6, 2)).expected, 1);
});

test("who comes into a group counts from there and who leaves it counts no more", () => {
  const progress = begun({ 8: 2 }, { groups: ["plant"] });
  assert.equal(progress.take(ack(9, 5, 90)), "new");
  assert.equal(progress.take(event(9, 6, 94)), "new", "it came into the group");
  assert.equal(progress.take(event(9, 7, 96)).expected, 95);
  const moved = { type: "characteristic_update", payload: { changes: { group: "depot" } } };
  assert.equal(progress.take(event(8, 8, 3, moved)), "new");
  assert.equal(progress.take(ack(8, 9, 50)), "new", "of another group");
});

test("what is remembered of strangers is bounded", () => {
  const progress = begun({ 7: 4 });
  for (let id = 100; id < 60_100; id += 1) assert.equal(progress.take(ack(id, id, 1)), "new");
  assert.equal(progress.take(ack(100, 100, 1)), "old", "forgotten, but not beyond what was forgotten");
  assert.equal(progress.take(ack(60_099, 60_099, 1)), "old");
});
