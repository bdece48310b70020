// The types of andon-client.js: what it takes, and what it hands out. The messages themselves are in messages.d.ts.

import type {
  AckUpdateEvent, CharacteristicUpdateEvent, ConnectionStatus, ControlLimitsEvent, EpisodeEvent, ErrorMessage, EventType,
  HeartbeatMessage, LoggedEvent, PongMessage, Position, ResumedMessage, SampleEvent, SampleUpdateEvent, Severity,
  SnapshotMessage, StatusMessage, SubscribedMessage, TestMessage, UnsubscribedMessage, ViolationEvent,
  ViolationUpdateEvent, WelcomeMessage,
} from "./messages.js";

export type * from "./messages.js";

export interface Filter {
  /** Without it: all but `episode`. Acknowledgements come in any case. */
  types?: EventType[];
  /** Of violations, only these and more severe ones. */
  min_severity?: Severity;
  /** Of violations, only those of these rules. */
  rule_ids?: number[];
  /** Of samples that come faster, the newest follows when its time has come. */
  sample_max_hz?: number;
}

export interface Names {
  characteristic_ids?: number[];
  characteristic_keys?: string[];
  groups?: string[];
}

export interface Selection extends Names {
  all?: boolean;
  filter?: Filter;
  /** Events of the past, too. */
  history?: boolean;
  /** First the present state of each. */
  snapshot?: boolean;
}

export interface Options {
  /** Andon's root, also below a path: `https://spc.example/andon/`. */
  server: string | URL;
  /** Asked at every connect. */
  token?: () => string | null | undefined | Promise<string | null | undefined>;
  /** Goes on where an earlier life of the program was. */
  since?: Position;
  /** In browsers: while the tab is hidden no samples are asked for; when it is shown again, snapshots come. */
  alertsOnlyWhileHidden?: boolean;
  /** `auto`, the default: server-sent events where WebSockets do not get through, until they do. */
  transport?: "auto" | "websocket" | "events";
  /** Node 20 has none: give the one of `ws`. */
  WebSocket?: new (url: string) => unknown;
  fetch?: typeof fetch;
  /** The bound of the first wait, which doubles with every failure (1000). */
  minBackoffMs?: number;
  /** Up to this (30000). */
  maxBackoffMs?: number;
  /** From the first packet to the welcome, and from a subscription to its answer (10000). */
  connectTimeoutMs?: number;
  /** The server counts as gone when it is silent for so long (2.5 heartbeats). */
  silenceMs?: number;
  /** How long server-sent events do before WebSockets are tried again, where those have never worked (60000). */
  websocketRetryMs?: number;
}

/**
 * `refused`: there is no token, or it is not good enough. The hook is asked again on `start()`.
 * `catching_up`: connected, and what was missed is being told.
 */
export type State = "stopped" | "connecting" | "catching_up" | "live" | "disconnected" | "refused";

export interface StateChange {
  state: State;
  since: Date;
  /** When the next attempt is made; of `disconnected`. */
  retryAt?: Date;
  reason?: string;
}

/** Events were missing. The client fetches them; `seq` is that of the event which showed it. */
export interface Gap {
  characteristic_id: number;
  expected: number;
  received: number;
  seq: number;
}

export interface EventMap {
  sample: SampleEvent;
  violation: ViolationEvent;
  ack_update: AckUpdateEvent;
  control_limits: ControlLimitsEvent;
  sample_update: SampleUpdateEvent;
  violation_update: ViolationUpdateEvent;
  characteristic_update: CharacteristicUpdateEvent;
  episode: EpisodeEvent;
  snapshot: SnapshotMessage;
  test: TestMessage;
  welcome: WelcomeMessage;
  subscribed: SubscribedMessage;
  unsubscribed: UnsubscribedMessage;
  resumed: ResumedMessage;
  heartbeat: HeartbeatMessage;
  pong: PongMessage;
  status: StatusMessage;
  error: ErrorMessage;
  /** Every logged event, after the handlers of its own type. */
  event: LoggedEvent;
  state: StateChange;
  gap: Gap;
}

export declare class AndonClient {
  constructor(options: Options);
  start(): this;
  /** Leaves nothing behind; `start()` goes on from the position. */
  stop(): void;
  /** At any time. It is kept and said again at every connect; what was said of the same names before holds no more. */
  subscribe(selection: Selection): void;
  unsubscribe(names: Names): void;
  /** Returns what takes the handler away. Types that are not known yet can be listened to, too. */
  on<K extends keyof EventMap>(type: K, handler: (message: EventMap[K]) => void | Promise<void>): () => void;
  on(type: string & {}, handler: (message: { type: string; [field: string]: unknown }) => void | Promise<void>): () => void;
  readonly state: State;
  /** What to give as `since` next time; null before the first welcome. */
  readonly position: Position | null;
  /** Events of the log that this client has not been told of yet; null before a heartbeat has said. */
  readonly lag: number | null;
  /** Ids of the characteristics whose snapshots were promised and have not come yet. */
  readonly snapshotsDue: number[];
  /**
   * Everything up to here was processed. Without a connection it is kept for the next one to the same log. Over
   * server-sent events nobody can be told.
   */
  received(seq: number): void;
  /** Needs a WebSocket. */
  ping(): Promise<PongMessage & { round_trip_ms: number }>;
  /** Needs a WebSocket. */
  status(): Promise<ConnectionStatus>;
}
