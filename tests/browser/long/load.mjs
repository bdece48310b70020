// Processes that live: samples at a rate, in control but for one in a while, which is answered.

import { request } from "node:http";

/** An agent of its own would share the connections of the pages' tests. */
function post(root, path, body) {
  const text = JSON.stringify(body);
  return new Promise((resolve, reject) => {
    const asked = request(new URL(`api/v1/${path}`, root), {
      method: "POST", headers: { "Content-Type": "application/json", "Content-Length": Buffer.byteLength(text) },
    }, (answer) => {
      let said = "";
      answer.setEncoding("utf8").on("data", (chunk) => (said += chunk)).on("end", () => {
        if (answer.statusCode < 300) resolve(JSON.parse(said));
        else reject(new Error(`${path}: ${answer.statusCode} ${said}`));
      });
    });
    asked.on("error", reject);
    asked.end(text);
  });
}

/** Normal, but within the limits and without patterns worth a signal, most of the time. */
function measured() {
  const normal = Math.sqrt(-2 * Math.log(1 - Math.random())) * Math.cos(2 * Math.PI * Math.random());
  return 10 + Math.max(-1.4, Math.min(1.4, normal * 0.7));
}

/**
 * Feeds `tiles` characteristics with `perSecond` samples each until `stop` is called.
 *
 * @returns {Promise<{ ids: number[], sent: () => number, stop: () => Promise<void> }>}
 */
export async function feed(ask, root, { tiles, perSecond }) {
  const ids = [];
  for (let n = 0; n < tiles; n += 1) {
    const body = { name: `Process ${n + 1}`, group: `plant/line ${1 + (n % 10)}`, unit: "mm", decimals: 3, rules: [{ rule_id: 1 }] };
    const { id } = await ask("POST", "characteristics", { body });
    await ask("PUT", `characteristics/${id}/control-limits`, { body: { center_line: 10, sigma: 1 } });
    ids.push(id);
  }
  let [isGoing, sent, round] = [true, 0, 0];
  const going = (async () => {
    let due = performance.now();
    while (isGoing) {
      round += 1;
      const samples = ids.map((id) => ({ characteristic_id: id, measurements: [measured()] }));
      if (round % 50 === 0) samples[round % tiles].measurements = [14];
      await post(root, "samples/batch", { samples });
      sent += samples.length;
      if (round % 50 === 25) await answer(ask);
      due += 1_000 / perSecond;
      const wait = due - performance.now();
      if (wait > 0) await new Promise((resolve) => setTimeout(resolve, wait));
      else due = performance.now(); // too slow; the figures say so
    }
  })();
  const stop = async () => {
    isGoing = false;
    await going;
  };
  return { ids, sent: () => sent, stop };
}

async function answer(ask) {
  const { items } = await ask("GET", "violations?status=open&acknowledged=false&limit=1000");
  if (items.length === 0) return;
  const violation_ids = items.map(({ id }) => id);
  await ask("POST", "violations/batch-acknowledge", { body: { violation_ids, reason: "Other", user: "ann" } });
}
