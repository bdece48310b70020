// The system view, for the person who runs the server: puts the sections together and keeps them fresh.

import { getText } from "../shared/api.js";
import { byId, calmly } from "../shared/dom.js";
import { shell } from "../shared/shell.js";
import { attention } from "./attention.js";
import { connections } from "./connections.js";
import { deliveries } from "./deliveries.js";
import { drops } from "./dropped.js";
import { health } from "./health.js";
import { History } from "./history.js";
import { metricsText } from "./metrics-text.js";
import { parse } from "./openmetrics.js";
import { receivers } from "./receivers.js";
import { Refresh } from "./refresh.js";
import { silences } from "./silences.js";
import { testing } from "./test.js";
import { COUNTERS, traffic } from "./traffic.js";

/** What is cheap to ask is asked more often than what reads the database. */
const [OFTEN_MS, SOMETIMES_MS, SELDOM_MS] = [2_000, 3_000, 5_000];

const client = shell({ page: "system" });
const history = new History(COUNTERS);
const healthSection = health(client, OFTEN_MS);
const measured = [healthSection, attention(), traffic(), drops()];
const receiverSection = receivers();
const text = metricsText();
const connectionSection = connections(client, SOMETIMES_MS);
const deliverySection = deliveries(SELDOM_MS);
const silenceSection = silences(SELDOM_MS);
testing(client);

const metrics = new Refresh({
  section: byId("measured"),
  everyMs: OFTEN_MS,
  ask: (signal) => getText("metrics", signal),
  show(told) {
    const reading = parse(told, Date.now());
    history.add(reading);
    for (const section of measured) section.measured(reading, history);
    const names = receiverSection.measured(reading, history);
    deliverySection.setReceivers(names);
    silenceSection.setReceivers(names);
    text.read(told);
  },
});

for (const refresh of [healthSection.refresh, metrics, connectionSection, deliverySection.refresh, silenceSection.refresh]) refresh.soon();

// For the count in the header. Not violations themselves: what this page confirms would count as having reached somebody
// who sees to the process, and who sits here does not.
client.subscribe({ all: true, filter: { types: ["episode", "violation_update", "ack_update"] } });
client.on("episode", calmly(1_000, () => deliverySection.refresh.soon()));
client.start();
