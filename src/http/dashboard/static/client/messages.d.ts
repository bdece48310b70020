// What the server says, version 1 of the wire. Both sides only ever add: there may be more fields, and more types.

/** RFC 3339, UTC, with microseconds. */
export type Timestamp = string;
export type Severity = "INFO" | "WARNING" | "CRITICAL";
export type Chart = "location" | "dispersion";
export type Mode = "live" | "history" | "store";
export type AlarmState = "active_unacked" | "active_acked" | "returned_unacked" | "no_limits" | "normal" | "retired";
export type Zone =
  | "beyond_ucl" | "zone_a_upper" | "zone_b_upper" | "zone_c_upper" | "center"
  | "zone_c_lower" | "zone_b_lower" | "zone_a_lower" | "beyond_lcl";
export type ChartKind = "i_mr" | "xbar_r" | "xbar_s";

/** Where a client has come to: `seq` in the log that is called `epoch`. */
export interface Position {
  epoch: string;
  seq: number;
}

export interface ViolationBrief {
  violation_id: number;
  chart: Chart;
  rule_id: number;
  rule_name: string;
  severity: Severity;
}

export interface Sample {
  sample_id: number;
  characteristic_id: number;
  timestamp: Timestamp;
  received_at: Timestamp;
  value: number;
  n: number;
  range_value: number | null;
  std_dev: number | null;
  dispersion_value: number | null;
  zone: Zone | null;
  /** Null: not judged, which is not in control. */
  in_control: boolean | null;
  limits_id: number | null;
  ucl: number | null;
  center_line: number | null;
  lcl: number | null;
  out_of_spec: number | null;
  mode: Mode;
  violations: ViolationBrief[];
  key: string | null;
  source: string | null;
  external_id: string | null;
}

export interface Violation {
  id: number;
  violation_id: number;
  sample_id: number | null;
  characteristic_id: number;
  characteristic_name: string;
  characteristic_key: string | null;
  group: string | null;
  unit: string | null;
  decimals: number | null;
  chart: Chart;
  rule_id: number;
  rule_name: string;
  severity: Severity;
  message: string;
  side: "upper" | "lower" | null;
  value: number | null;
  center_line: number | null;
  ucl: number | null;
  lcl: number | null;
  sigma: number | null;
  n: number | null;
  involved_sample_ids: number[];
  timestamp: Timestamp;
  created_at: Timestamp;
  rejudged: boolean;
  status: "open" | "withdrawn";
  requires_acknowledgement: boolean;
  acknowledged: boolean;
  ack_user: string | null;
  ack_reason: string | null;
  ack_comment: string | null;
  ack_timestamp: Timestamp | null;
  source: string | null;
  external_id: string | null;
  external_sample_id: string | null;
  episode_id: number | null;
}

export interface Acknowledgement {
  violation_id: number;
  characteristic_id: number;
  sample_id: number | null;
  acknowledged: boolean;
  user: string | null;
  reason: string | null;
  comment: string | null;
  timestamp: Timestamp | null;
  source: string | null;
  external_id: string | null;
  ack_source: string | null;
}

export interface ControlLimits {
  characteristic_id: number;
  limits_id: number | null;
  center_line: number;
  ucl: number;
  lcl: number;
  sigma: number;
  dispersion: { statistic: "mr" | "r" | "s"; center_line: number; ucl: number; lcl: number } | null;
  method: "given" | "moving_range" | "range" | "std_dev";
  provisional: boolean;
  sample_count: number | null;
  first_sample_id: number | null;
  timestamp: Timestamp;
  reason: string | null;
  user: string | null;
}

export interface SampleUpdate {
  sample_id: number;
  characteristic_id: number;
  is_excluded: boolean;
  reason: string;
  user: string | null;
  timestamp: Timestamp;
}

export interface ViolationUpdate {
  violation_id: number;
  characteristic_id: number;
  sample_id: number | null;
  episode_id: number | null;
  status: "open" | "withdrawn";
  reason: string;
  timestamp: Timestamp;
}

export interface CharacteristicUpdate {
  characteristic_id: number;
  /** The new value of each field that is different. */
  changes: Partial<Characteristic> & { new_phase?: true; deleted?: true };
  user: string | null;
  timestamp: Timestamp;
}

export interface Rule {
  rule_id: number;
  rule_name: string;
  enabled: boolean;
  severity: Severity;
  requires_acknowledgement: boolean;
  parameters: { k?: number; m?: number };
}

export interface Characteristic {
  id: number;
  key: string | null;
  name: string;
  description: string | null;
  chart: ChartKind;
  subgroup_size: number;
  min_measurements: number;
  unit: string | null;
  decimals: number | null;
  target: number | null;
  usl: number | null;
  lsl: number | null;
  group: string | null;
  tags: string[];
  rules: Rule[];
  reaction_plan: string | null;
  auto_limits_after: number | null;
  retired: boolean;
  created_at: Timestamp;
}

export interface Episode {
  id: number;
  episode_id: number;
  characteristic_id: number;
  characteristic_name: string;
  characteristic_key: string | null;
  group: string | null;
  status: "open" | "closed";
  severity: Severity;
  rules: { chart: Chart; rule_id: number; rule_name: string }[];
  violation_total: number;
  unacknowledged: number;
  first_violation_id: number;
  newest_violation_id: number;
  opened_at: Timestamp;
  acknowledged: boolean;
  ack_user: string | null;
  ack_reason: string | null;
  ack_comment: string | null;
  ack_timestamp: Timestamp | null;
  lapsed_at: Timestamp | null;
  closed_at: Timestamp | null;
  closing_reason:
    | "in_control" | "new_limits" | "new_phase" | "withdrawn" | "retired" | "deleted" | "stale" | null;
}

export interface EpisodeChange extends Episode {
  change: "opened" | "worsened" | "acknowledged" | "lapsed" | "closed";
  timestamp: Timestamp;
}

export interface PresentState {
  characteristic: Characteristic;
  newest_sample: Sample | null;
  control_limits: ControlLimits | null;
  alarm_state: AlarmState;
  /** The newest 100. */
  open_violations: Violation[];
  open_total: number;
  open_episode: Episode | null;
}

/** What is logged. `seq` counts in the log, `revision` within the characteristic. */
interface Logged<Type extends string, Payload> {
  type: Type;
  seq: number;
  characteristic_id: number;
  revision: number;
  /** So many revisions of its characteristic before this one were not told to this client. */
  skipped?: number;
  payload: Payload;
}

export type SampleEvent = Logged<"sample", Sample>;
export type ViolationEvent = Logged<"violation", Violation>;
export type AckUpdateEvent = Logged<"ack_update", Acknowledgement>;
export type ControlLimitsEvent = Logged<"control_limits", ControlLimits>;
export type SampleUpdateEvent = Logged<"sample_update", SampleUpdate>;
export type ViolationUpdateEvent = Logged<"violation_update", ViolationUpdate>;
export type CharacteristicUpdateEvent = Logged<"characteristic_update", CharacteristicUpdate>;
export type EpisodeEvent = Logged<"episode", EpisodeChange>;

export type LoggedEvent =
  | SampleEvent | ViolationEvent | AckUpdateEvent | ControlLimitsEvent
  | SampleUpdateEvent | ViolationUpdateEvent | CharacteristicUpdateEvent | EpisodeEvent;

export type EventType = LoggedEvent["type"];

export interface SnapshotMessage {
  type: "snapshot";
  characteristic_id: number;
  seq: number;
  revision: number;
  payload: PresentState;
}

export interface WelcomeMessage {
  type: "welcome";
  payload: {
    connection_id: number;
    protocol: number;
    epoch: string;
    seq: number;
    heartbeat_seconds: number;
    server_time: Timestamp;
    user: string | null;
  };
}

export interface SubscribedMessage {
  type: "subscribed";
  characteristic_ids: number[];
  groups?: string[];
  all?: true;
  /** Where a position was resumed from: whether everything after it comes. If not, snapshots do. */
  recovered?: boolean;
  epoch: string;
  seq: number;
  /** Of each id, the revision that its next event follows. */
  revisions: Record<string, number>;
}

export interface UnsubscribedMessage {
  type: "unsubscribed";
  characteristic_ids: number[];
  groups?: string[];
}

export interface ResumedMessage {
  type: "resumed";
  seq: number;
  replayed: number;
}

export interface HeartbeatMessage {
  type: "heartbeat";
  epoch: string;
  seq: number;
  last_sent_seq: number;
  head_seq: number;
  server_time: Timestamp;
}

export interface TestMessage {
  type: "test";
  payload: {
    characteristic_id: number | null;
    severity: Severity;
    message: string;
    user: string | null;
    timestamp: Timestamp;
  };
}

export interface ErrorMessage {
  type: "error";
  code:
    | "invalid_json" | "unknown_type" | "invalid_field" | "too_many_subscriptions" | "forbidden" | "rate_limited"
    | (string & {});
  message: string;
  request: string | null;
}

export interface PongMessage {
  type: "pong";
  t?: unknown;
  server_time: Timestamp;
  seq: number;
}

export interface StatusMessage {
  type: "status";
  payload: ConnectionStatus;
}

export interface ConnectionStatus {
  connection_id: number;
  subscriptions: number;
  queued: number;
  skipped_samples: number;
  latency_ms: number | null;
  quality: "excellent" | "good" | "fair" | "poor" | "critical" | null;
}
