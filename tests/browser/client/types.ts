// How a program uses the client, for `tsc --noEmit --strict --module nodenext --target es2022`. Never run.

import {
  AndonClient,
  type Acknowledgement, type Gap, type LoggedEvent, type Position, type Severity, type StateChange, type Violation,
} from "../../../src/http/dashboard/static/client/andon-client.js";

const worst = new Map<number, Severity>();

/** Each case has its own payload. */
export function onEvent(event: LoggedEvent): number | null {
  switch (event.type) {
    case "sample":
      return event.payload.in_control === null ? null : event.payload.value;
    case "violation":
      worst.set(event.characteristic_id, event.payload.severity);
      return event.payload.violation_id;
    case "ack_update":
      return event.payload.sample_id;
    case "control_limits":
      return event.payload.dispersion?.ucl ?? event.payload.ucl;
    case "sample_update":
      return event.payload.is_excluded ? event.payload.sample_id : null;
    case "violation_update":
      return event.payload.status === "withdrawn" ? event.payload.violation_id : null;
    case "characteristic_update":
      return event.payload.changes.deleted ? null : (event.payload.changes.subgroup_size ?? null);
    case "episode":
      return event.payload.change === "closed" ? null : event.payload.unacknowledged;
    default: {
      const nothingElse: never = event;
      return nothingElse;
    }
  }
}

export async function listen(since: Position | undefined, tokenOf: () => Promise<string | null>): Promise<Position | null> {
  const client = new AndonClient({
    server: new URL("https://spc.example/andon/"),
    token: tokenOf,
    transport: "auto",
    alertsOnlyWhileHidden: true,
    ...(since ? { since } : {}),
  });
  client.subscribe({ groups: ["plant/line4"], snapshot: true, filter: { types: ["violation", "episode"], min_severity: "WARNING" } });
  const open: Violation[] = [];
  const answers: Acknowledgement[] = [];
  const off = client.on("violation", ({ payload }) => void open.push(payload));
  client.on("ack_update", ({ payload, seq }) => {
    answers.push(payload);
    client.received(seq);
  });
  client.on("snapshot", ({ payload }) => open.push(...payload.open_violations) > 0 ? undefined : undefined);
  client.on("event", (event) => void onEvent(event));
  client.on("state", ({ state, retryAt }: StateChange) => {
    if (state === "disconnected") console.log("again at", retryAt?.toISOString());
  });
  client.on("gap", ({ expected, received }: Gap) => console.log(expected, received));
  client.on("subscribed", ({ recovered, revisions }) => console.log(recovered, Object.keys(revisions)));
  client.on("of_a_newer_server", (message) => console.log(message.type, message["payload"]));
  client.start();
  const { round_trip_ms: roundTripMs, seq } = await client.ping();
  const { quality, skipped_samples: skipped } = await client.status();
  console.log(roundTripMs, seq, quality, skipped, client.lag);
  client.unsubscribe({ groups: ["plant/line4"] });
  off();
  client.stop();
  return client.position;
}

// What is wrong is told before it runs.
const client = new AndonClient({ server: "/" });
// @ts-expect-error a payload of a sample has no rule
client.on("sample", ({ payload }) => payload.rule_id);
// @ts-expect-error there is no such severity
client.subscribe({ all: true, filter: { min_severity: "LOUD" } });
// @ts-expect-error it is told, not set
client.state = "live";
// @ts-expect-error somebody has to be named
client.unsubscribe({ all: true });
