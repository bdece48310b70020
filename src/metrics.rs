//! Every metric there is, with its unit; rendered for Prometheus. Labels never hold ids.
//!
//! Named as Prometheus names things: base units (seconds, bytes), `_total` for counters. `docs/OPERATING.md` lists
//! what is rendered, and a test compares the two.

mod durations;
mod labels;
mod notifying;
mod process;
mod readings;

use std::sync::atomic::AtomicU64;
use std::time::Duration;

use prometheus_client::encoding::text::{encode, encode_registry};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
pub use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Registry, Unit};

pub use self::durations::{Durations, PUBLISH_SECONDS};
use self::labels::Build;
pub use self::labels::{Answered, Kind, Reason, Route, Shard, Skipped, Written};
pub use self::notifying::Notifying;
use self::process::Process;
use self::readings::Read;
pub use self::readings::Readings;

/// Seconds. A durable commit takes 0.2 ms in the median and 5 ms in the tail; over a second, something is wrong.
const COMMIT_SECONDS: [f64; 12] =
    [0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0];

/// Commands; a commit holds 512 of them by default.
const COMMIT_COMMANDS: [f64; 11] = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0, 1_024.0];

/// Seconds. A single sample is answered within 20 ms under load, a batch of 10,000 within a second.
const REQUEST_SECONDS: [f64; 11] = [0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 2.5, 10.0];

/// How the clients of a shard are, when it looks at them.
#[derive(Debug, Clone, Default)]
pub struct Waiting {
    /// Frames that wait for them.
    pub frames: Gauge,
    /// The bytes of these.
    pub bytes: Gauge,
    /// The longest time, in seconds, for which one of them has taken nothing of what waits for it.
    pub stalled: Seconds,
    /// Characteristics and groups that they name, and one for each that listens to all.
    pub subscriptions: Gauge,
}

/// A time that goes up and down.
pub type Seconds = Gauge<f64, AtomicU64>;

/// The counters and gauges, each to be touched where the thing happens. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Metrics {
    /// Transactions committed.
    pub commits: Counter,
    /// Commands whose transaction failed.
    pub commands_failed: Counter,
    /// Commands committed.
    pub commands: Counter,
    /// From the beginning of a transaction to the end of its commit.
    commit_duration: Histogram,
    /// Commands in one transaction.
    commit_commands: Histogram,
    /// Simulations of run lengths that were begun.
    pub run_length_simulations: Counter,
    /// Times a run length was asked for and too many rule sets were waiting.
    pub run_lengths_refused: Counter,
    /// Events handed to the bus, by kind.
    pub events_published: Family<Kind, Counter>,
    /// Times the relay had to read the log, because commits were not handed over in order.
    pub relay_catch_ups: Counter,
    /// Times a shard fell off the ring and read the log.
    pub shard_lags: Counter,
    /// Clients connected, by how they are spoken to.
    connections: Family<Kind, Gauge>,
    /// Events that were due to a client.
    deliveries_due: Family<Kind, Counter>,
    /// Events handed to a client's socket.
    deliveries: Family<Written, Counter>,
    /// Events that were due and not written, by reason.
    deliveries_skipped: Family<Skipped, Counter>,
    /// Times a client began to read the ring or the log for itself, by reason.
    replays: Family<Reason, Counter>,
    /// Snapshots read from the database.
    pub snapshots_read: Counter,
    /// Snapshots queued for clients.
    pub snapshots_sent: Counter,
    /// From the bus to a client's socket.
    pub publish_to_write: Durations,
    /// From the bus until a client confirmed.
    pub publish_to_received: Durations,
    /// Frames that wait for clients, of events and of replies.
    client_queue_frames: Family<Shard, Gauge>,
    /// Their bytes; a frame that waits for two clients counts twice.
    client_queue: Family<Shard, Gauge>,
    /// For how long the client that is worst off has taken nothing of what waits for it.
    client_stalled: Family<Shard, Seconds>,
    /// What clients listen to.
    subscriptions: Family<Shard, Gauge>,
    /// Times a client confirmed more than before.
    pub receipts: Counter,
    /// Connections ended, by reason.
    connections_closed: Family<Reason, Counter>,
    /// Connections that were not let in, by reason.
    connections_refused: Family<Reason, Counter>,
    /// Violations of other systems with a severity that no setting maps.
    pub unknown_severities: Counter,
    /// Messages of clients that were refused, by reason.
    messages_refused: Family<Reason, Counter>,
    /// Steps in which something was removed.
    pub retention_steps: Counter,
    /// Rows that had their time, by kind.
    pub rows_removed: Family<Kind, Counter>,
    /// Events up to this position are gone.
    pub log_floor: Gauge,
    /// Events in the log.
    pub log_rows: Gauge,
    /// Bytes that the database takes.
    pub database_size: Gauge,
    /// Bytes left on a disk; there is none where the database is elsewhere.
    disk_free: Family<Kind, Gauge>,
    /// Notices and their deliveries.
    pub notifying: Notifying,
    /// Requests answered.
    http_requests: Family<Answered, Counter>,
    /// From a request's head to the head of its answer.
    http_request_duration: Family<Route, Histogram, fn() -> Histogram>,
}

impl Default for Metrics {
    fn default() -> Self {
        Self {
            commits: Counter::default(),
            commands_failed: Counter::default(),
            commands: Counter::default(),
            commit_duration: Histogram::new(COMMIT_SECONDS),
            commit_commands: Histogram::new(COMMIT_COMMANDS),
            run_length_simulations: Counter::default(),
            run_lengths_refused: Counter::default(),
            events_published: Family::default(),
            relay_catch_ups: Counter::default(),
            shard_lags: Counter::default(),
            connections: Family::default(),
            deliveries_due: Family::default(),
            deliveries: Family::default(),
            deliveries_skipped: Family::default(),
            replays: reasons(&REPLAYS),
            snapshots_read: Counter::default(),
            snapshots_sent: Counter::default(),
            publish_to_write: Durations::default(),
            publish_to_received: Durations::default(),
            client_queue_frames: Family::default(),
            client_queue: Family::default(),
            client_stalled: Family::default(),
            subscriptions: Family::default(),
            receipts: Counter::default(),
            connections_closed: Family::default(),
            connections_refused: reasons(&CONNECTIONS_REFUSED),
            unknown_severities: Counter::default(),
            messages_refused: Family::default(),
            retention_steps: Counter::default(),
            rows_removed: removable_rows(),
            log_floor: Gauge::default(),
            log_rows: Gauge::default(),
            database_size: Gauge::default(),
            disk_free: Family::default(),
            notifying: Notifying::default(),
            http_requests: Family::default(),
            http_request_duration: Family::new_with_constructor(|| Histogram::new(REQUEST_SECONDS)),
        }
    }
}

/// Why a client reads for itself.
const REPLAYS: [&str; 3] = ["resume", "overflow", "lost"];

/// Why a connection is not let in.
const CONNECTIONS_REFUSED: [&str; 5] =
    ["not_ready", "full", "full_from_address", "too_fast", "too_fast_from_address"];

/// A counter for each of these, from the start at 0.
fn reasons(words: &[&'static str]) -> Family<Reason, Counter> {
    let family = Family::default();
    for reason in words.iter().copied() {
        drop(family.get_or_create(&Reason { reason }));
    }
    family
}

/// Every kind of rows that retention removes, from the start at 0.
fn removable_rows() -> Family<Kind, Counter> {
    let rows = Family::default();
    for kind in
        ["events", "answers", "samples", "violations", "episodes", "limits", "characteristics", "notices"]
    {
        drop(rows.get_or_create(&Kind { kind }));
    }
    rows
}

impl Metrics {
    /// A transaction was committed, `took` after it had begun.
    pub fn committed(&self, commands: usize, took: Duration) {
        self.commits.inc();
        self.commands.inc_by(commands as u64);
        self.commit_commands.observe(commands as f64);
        self.commit_duration.observe(took.as_secs_f64());
    }

    /// A request was answered, `took` after its head had been read.
    pub fn answered(&self, request: Answered, took: Duration) {
        let route = Route { route: request.route.clone(), method: request.method };
        self.http_request_duration.get_or_create(&route).observe(took.as_secs_f64());
        self.http_requests.get_or_create(&request).inc();
    }

    /// How many clients of a kind are connected.
    pub fn open(&self, kind: &'static str) -> Gauge {
        self.connections.get_or_create_owned(&Kind { kind })
    }

    /// How the clients of a shard are.
    pub fn waiting(&self, shard: &Shard) -> Waiting {
        Waiting {
            frames: self.client_queue_frames.get_or_create_owned(shard),
            bytes: self.client_queue.get_or_create_owned(shard),
            stalled: self.client_stalled.get_or_create_owned(shard),
            subscriptions: self.subscriptions.get_or_create_owned(shard),
        }
    }

    /// Events were due to clients.
    pub fn add_due(&self, kind: &'static str, events: u64) {
        self.deliveries_due.get_or_create(&Kind { kind }).inc_by(events);
    }

    /// Events were written.
    pub fn add_written(&self, how: Written, events: u64) {
        self.deliveries.get_or_create(&how).inc_by(events);
    }

    /// Events that were due were not written.
    pub fn add_skipped(&self, why: Skipped, events: u64) {
        self.deliveries_skipped.get_or_create(&why).inc_by(events);
    }

    /// A client began to read for itself.
    pub fn replays(&self, why: Reason) {
        self.replays.get_or_create(&why).inc();
    }

    /// A connection ended.
    pub fn closed(&self, reason: &'static str) {
        self.connections_closed.get_or_create(&Reason { reason }).inc();
    }

    /// A connection was not let in.
    pub fn connection_refused(&self, reason: &'static str) {
        self.connections_refused.get_or_create(&Reason { reason }).inc();
    }

    /// A client's message was refused.
    pub fn refused(&self, reason: &'static str) {
        self.messages_refused.get_or_create(&Reason { reason }).inc();
    }

    /// What is left on the disk of the database.
    pub fn set_disk_free_bytes(&self, bytes: u64) {
        let free = self.disk_free.get_or_create(&Kind { kind: "database" });
        free.set(i64::try_from(bytes).unwrap_or(i64::MAX));
    }

    fn register(&self, registry: &mut Registry) {
        let all = self.clone();
        registry.register(
            "build",
            "Which program this is",
            Info::new(Build { version: env!("CARGO_PKG_VERSION") }),
        );
        registry.register("commits", "Transactions committed", all.commits);
        registry.register("commands", "Commands committed", all.commands);
        registry.register("commands_failed", "Commands whose transaction failed", all.commands_failed);
        let help = "From the beginning of a transaction to the end of its commit, judging included";
        registry.register_with_unit("commit_duration", help, Unit::Seconds, all.commit_duration);
        registry.register("commit_commands", "Commands in one transaction", all.commit_commands);
        let help = "Simulations of run lengths begun";
        registry.register("run_length_simulations", help, all.run_length_simulations);
        let help = "Times a run length was asked for and too many rule sets were waiting";
        registry.register("run_lengths_refused", help, all.run_lengths_refused);
        registry.register("events_published", "Events handed to the bus", all.events_published);
        let help = "Times the relay read the log instead of being handed the rows";
        registry.register("relay_catch_ups", help, all.relay_catch_ups);
        registry.register("shard_lags", "Times a shard fell off the ring and read the log", all.shard_lags);
        registry.register("connections", "Clients connected", all.connections);
        registry.register("deliveries_due", "Events that were due to a client", all.deliveries_due);
        registry.register("deliveries", "Events handed to a client's socket", all.deliveries);
        let help =
            "Events that were due and not written; again: taken out of a full queue, and due a second time";
        registry.register("deliveries_skipped", help, all.deliveries_skipped);
        let help = "Times a client began to read the ring or the log for itself";
        registry.register("replays", help, all.replays);
        registry.register("snapshots_read", "Snapshots read from the database", all.snapshots_read);
        registry.register("snapshots_sent", "Snapshots queued for clients", all.snapshots_sent);
        let help = "From the bus to a client's socket, without replays";
        registry.register_with_unit("publish_to_write", help, Unit::Seconds, all.publish_to_write);
        let help = "From the bus until a client confirmed that it has processed the event";
        registry.register_with_unit("publish_to_received", help, Unit::Seconds, all.publish_to_received);
        let help = "Frames that wait for clients, of events and of replies";
        registry.register("client_queue_frames", help, all.client_queue_frames);
        let help = "Bytes of the frames that wait for clients; one that waits for two clients counts twice";
        registry.register_with_unit("client_queue", help, Unit::Bytes, all.client_queue);
        let help = "For how long the client that is worst off has taken nothing of what waits for it";
        registry.register_with_unit("client_stalled", help, Unit::Seconds, all.client_stalled);
        let help =
            "Characteristics and groups that clients name, and one for each client that listens to all";
        registry.register("subscriptions", help, all.subscriptions);
        let help = "Times a client confirmed that it has processed more than before";
        registry.register("receipts", help, all.receipts);
        let help = "Connections that ended; too_slow, no_pong and gone are clients in trouble";
        registry.register("connections_closed", help, all.connections_closed);
        let help = "Connections that were not let in: too many, too fast, or before the server was ready";
        registry.register("connections_refused", help, all.connections_refused);
        let help = "Violations of other systems with a severity that no setting maps";
        registry.register("unknown_severities", help, all.unknown_severities);
        registry.register("messages_refused", "Messages of clients that were refused", all.messages_refused);
        registry.register("retention_steps", "Steps in which retention removed rows", all.retention_steps);
        registry.register("retention_rows_removed", "Rows that retention removed", all.rows_removed);
        registry.register("log_floor_position", "Events up to this position were removed", all.log_floor);
        registry.register("log_rows", "Events in the log", all.log_rows);
        let help = "Bytes that the database takes";
        registry.register_with_unit("database", help, Unit::Bytes, all.database_size);
        let help = "Bytes left on the disk of the database; not there where it is elsewhere";
        registry.register_with_unit("disk_free", help, Unit::Bytes, all.disk_free);
        all.notifying.register(registry);
        registry.register("http_requests", "HTTP requests answered", all.http_requests);
        let help = "From the head of a request to the head of its answer";
        registry.register_with_unit("http_request_duration", help, Unit::Seconds, all.http_request_duration);
    }
}

/// What `/metrics` answers with.
#[derive(Debug)]
pub struct Exposition {
    ours: Registry,
    /// Named by custom, without our prefix.
    process: Registry,
}

impl Exposition {
    /// What is counted in `metrics`, and what `read` finds when somebody asks.
    pub fn new(metrics: &Metrics, read: impl Fn() -> Readings + Send + Sync + 'static) -> Self {
        let (mut ours, mut process) = (Registry::with_prefix("andon"), Registry::default());
        metrics.register(&mut ours);
        ours.register_collector(Box::new(Read(Box::new(read))));
        process.register_collector(Box::new(Process));
        Self { ours, process }
    }

    /// The text that Prometheus reads (OpenMetrics 1.0).
    pub fn render(&self) -> String {
        let mut text = String::new();
        encode_registry(&mut text, &self.process).expect("writing to a string cannot fail");
        encode(&mut text, &self.ours).expect("writing to a string cannot fail");
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_counted_and_what_is_read_is_rendered() {
        let metrics = Metrics::default();
        metrics.committed(3, Duration::from_millis(4));
        metrics.closed("too_slow");
        let read = || Readings {
            log_head: 12,
            relayed: 10,
            subscribers: vec![("shard-0".into(), 7)],
            ..Readings::default()
        };
        let text = Exposition::new(&metrics, read).render();
        for line in [
            "andon_commits_total 1",
            "andon_commands_total 3",
            "andon_commit_duration_seconds_bucket{le=\"0.0025\"} 0",
            "andon_commit_duration_seconds_bucket{le=\"0.005\"} 1",
            "andon_connections_closed_total{reason=\"too_slow\"} 1",
            "andon_log_head_position 12.0",
            "andon_relay_lag_events 2.0",
            "andon_subscriber_lag_events{subscriber=\"shard-0\"} 5.0",
            "# UNIT andon_start_time_seconds seconds",
        ] {
            assert!(text.lines().any(|rendered| rendered == line), "{line}\n{text}");
        }
        assert!(text.ends_with("# EOF\n"));
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn what_the_system_knows_of_this_process_is_read_anew() {
        let exposition = Exposition::new(&Metrics::default(), Readings::default);
        let open = || {
            let text = exposition.render();
            let value =
                text.lines().find_map(|line| line.strip_prefix("process_open_fds ")).map(str::to_owned);
            value.and_then(|value| value.parse::<f64>().ok()).expect("a number")
        };
        let before = open();
        let _files: Vec<_> = (0..50).map(|_| tempfile::tempfile().expect("a file")).collect();
        assert!(open() >= before + 40.0, "other tests open and close files meanwhile, but not so many");
    }
}
