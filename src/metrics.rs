//! Every metric there is, with its unit; rendered for Prometheus. Labels never hold ids.
//!
//! Named as Prometheus names things: base units (seconds, bytes), `_total` for counters. `docs/OPERATING.md` lists
//! what is rendered, and a test compares the two.

mod labels;
mod process;
mod readings;

use std::time::Duration;

use prometheus_client::encoding::text::{encode, encode_registry};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
pub use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Registry, Unit};

use self::labels::Build;
pub use self::labels::{Answered, Kind, Reason, Route, Shard};
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
    /// Clients connected.
    pub connections: Gauge,
    /// Event frames queued for clients, by kind.
    pub frames_queued: Family<Kind, Counter>,
    /// Frames that wait for clients, of events and of replies.
    pub client_queue_frames: Family<Shard, Gauge>,
    /// Their bytes; a frame that waits for two clients counts twice.
    pub client_queue: Family<Shard, Gauge>,
    /// Connections ended by the server, by reason.
    pub connections_closed: Family<Reason, Counter>,
    /// Violations of other systems with a severity that no setting maps.
    pub unknown_severities: Counter,
    /// Messages of clients that were refused, by reason.
    pub messages_refused: Family<Reason, Counter>,
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
            connections: Gauge::default(),
            frames_queued: Family::default(),
            client_queue_frames: Family::default(),
            client_queue: Family::default(),
            connections_closed: Family::default(),
            unknown_severities: Counter::default(),
            messages_refused: Family::default(),
            retention_steps: Counter::default(),
            rows_removed: removable_rows(),
            log_floor: Gauge::default(),
            log_rows: Gauge::default(),
            database_size: Gauge::default(),
            disk_free: Family::default(),
            http_requests: Family::default(),
            http_request_duration: Family::new_with_constructor(|| Histogram::new(REQUEST_SECONDS)),
        }
    }
}

/// Every kind of rows that retention removes, from the start at 0.
fn removable_rows() -> Family<Kind, Counter> {
    let rows = Family::default();
    for kind in ["events", "answers", "samples", "violations", "limits", "characteristics"] {
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
        registry.register("connections", "WebSocket clients connected", all.connections);
        registry.register("frames_queued", "Event frames queued for clients", all.frames_queued);
        let help = "Frames that wait for clients, of events and of replies";
        registry.register("client_queue_frames", help, all.client_queue_frames);
        let help = "Bytes of the frames that wait for clients; one that waits for two clients counts twice";
        registry.register_with_unit("client_queue", help, Unit::Bytes, all.client_queue);
        let help = "Connections that ended; too_slow, no_pong and gone are clients in trouble";
        registry.register("connections_closed", help, all.connections_closed);
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
        metrics.connections_closed.get_or_create(&Reason { reason: "too_slow" }).inc();
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
