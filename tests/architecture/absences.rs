//! What may not be said where: the design's absences, each with a violation planted to prove that it is caught.

use crate::Finding;
use crate::names::{File, Name};

struct Absence {
    place: Place,
    /// Paths, or ends or middles of paths, that the code does not name; `*` stands for the rest of a word.
    unspoken: &'static [&'static str],
    /// Paths that are meant after all.
    but: &'static [&'static str],
    /// Holds for tests too.
    in_tests: bool,
    why: &'static str,
    /// Each has to be caught.
    planted: &'static [(&'static str, &'static str)],
    /// Each has to pass.
    clean: &'static [(&'static str, &'static str)],
}

enum Place {
    In(&'static [&'static str]),
    Outside(&'static [&'static str]),
}

const ABSENCES: [Absence; 12] = [
    Absence {
        place: Place::In(&["domain", "spc"]),
        unspoken: &["async", "await", "tokio*", "async_*", "futures*", "sqlx*", "actix*", "tracing*"],
        but: &[],
        in_tests: true,
        why: "the words and the statistics are pure: no waiting, no I/O, no logs",
        planted: &[
            ("src/domain/sample.rs", "async fn f() {}"),
            ("src/domain/sample.rs", "fn f() { tracing::info!(\"x\"); }"),
            ("src/spc/window.rs", "use tokio::sync::Mutex;"),
            ("src/spc/window.rs", "use {std::fmt, tokio_util::sync};"),
            ("src/spc/window.rs", "#[derive(sqlx::FromRow)] struct Row;"),
            ("src/spc/window.rs", "#[cfg(test)] mod tests { use actix_web::test; }"),
        ],
        clean: &[("src/spc/window.rs", "//! No tokio.\nconst X: &str = \"sqlx\"; // async\nfn f() {}")],
    },
    Absence {
        place: Place::Outside(&["store"]),
        unspoken: &["sqlx*", "rusqlite", "libsqlite3_sys", "tokio_postgres"],
        but: &[],
        in_tests: true,
        why: "only store/ says SQL",
        planted: &[
            ("src/http/samples.rs", "fn f() { sqlx::query(\"SELECT 1\"); }"),
            ("src/services/queue.rs", "use sqlx as database;"),
            ("src/notify/ledger.rs", "#[cfg(test)] mod tests { use sqlx::SqlitePool; }"),
        ],
        clean: &[("src/store/log.rs", "use sqlx::Row;")],
    },
    Absence {
        place: Place::In(&["broadcast", "http/ws"]),
        unspoken: &["crate::store"],
        but: &[],
        in_tests: false,
        why: "sockets are served from the bus and through the port `History`, never from the store",
        planted: &[
            ("src/broadcast/shard.rs", "use crate::store::Store;"),
            ("src/http/ws/mod.rs", "use crate::{protocol, store};"),
            ("src/http/ws.rs", "fn f(store: &crate::store::Store) {}"),
            ("src/http/ws/session.rs", "use super::super::super::store::Store;"),
        ],
        clean: &[("src/http/samples.rs", "use crate::store::Store;")],
    },
    Absence {
        place: Place::In(&["broadcast"]),
        unspoken: &["actix*"],
        but: &[],
        in_tests: false,
        why: "the broadcaster knows lanes and frames; whose socket they leave by is http/ws's affair",
        planted: &[("src/broadcast/session.rs", "use actix_http::ws::Parser;")],
        clean: &[("src/http/ws/mod.rs", "use actix_http::ws::Parser;")],
    },
    Absence {
        place: Place::In(&["notify"]),
        unspoken: &[
            "actix*",
            "*tungstenite*",
            "TcpStream",
            "TcpListener",
            "UdpSocket",
            "UnixStream",
            "tokio::net",
            "WebSocket",
        ],
        but: &[],
        in_tests: false,
        why: "notifiers are served from the ledger, and know no sockets",
        planted: &[
            ("src/notify/webhook/mod.rs", "use tokio::net::TcpStream;"),
            ("src/notify/dispatcher.rs", "use actix_http::ws::Parser;"),
            ("src/notify/dispatcher.rs", "use tokio_tungstenite::connect_async;"),
        ],
        clean: &[
            ("src/notify/webhook/mod.rs", "use std::net::IpAddr;"),
            ("src/notify/webhook/mod.rs", "#[cfg(test)] mod tests { use tokio::net::TcpListener; }"),
        ],
    },
    Absence {
        place: Place::In(&["http"]),
        unspoken: &["crate::spc", "crate::store::Transaction", "crate::store::*"],
        but: &[],
        in_tests: false,
        why: "handlers translate: they judge nothing, and only read the store",
        planted: &[
            ("src/http/samples.rs", "use crate::spc::PhaseState;"),
            ("src/http/limits.rs", "use crate::store; fn f(x: store::Transaction) {}"),
            ("src/http/limits.rs", "use crate::store::*;"),
        ],
        clean: &[("src/http/samples.rs", "use crate::store::{SampleFilter, Store};")],
    },
    Absence {
        place: Place::In(&["services"]),
        unspoken: &["bus", "notify", "broadcast", "publish", "EventBus", "AlertNotifier"],
        but: &[],
        in_tests: false,
        why: "services never publish and never notify: they commit",
        planted: &[
            ("src/services/queue.rs", "use crate::bus::EventBus;"),
            ("src/services/queue.rs", "fn f(bus: u8) {}"),
            ("src/services/queue.rs", "fn f() { self.out.publish(event); }"),
            ("src/services/queue.rs", "use tokio::sync::broadcast;"),
        ],
        clean: &[("src/services/queue.rs", "use tokio::sync::Notify; fn f() { self.wake.notify_one(); }")],
    },
    Absence {
        place: Place::Outside(&["cli", "main"]),
        unspoken: &["clap", "env::args", "env::args_os", "tokio::signal", "signal_hook*"],
        but: &[],
        in_tests: false,
        why: "only cli/ reads arguments and signals",
        planted: &[
            ("src/settings.rs", "use clap::Parser;"),
            ("src/app.rs", "fn f() { std::env::args(); }"),
            ("src/app.rs", "use std::env::{self, var}; fn f() { env::args_os(); }"),
            ("src/app.rs", "use tokio::{signal, sync}; "),
            ("src/app.rs", "async fn f() { tokio::signal::ctrl_c().await; }"),
        ],
        clean: &[
            ("src/cli/serve.rs", "use clap::Args; use tokio::signal;"),
            ("src/settings.rs", "fn f() { std::env::vars(); }"),
            ("src/spc/signal.rs", "fn f(signal: crate::spc::Signal) {}"),
        ],
    },
    Absence {
        place: Place::Outside(&["cli", "main"]),
        unspoken: &["anyhow", "eyre"],
        but: &[],
        in_tests: false,
        why: "errors are enums; only the commands sum them up",
        planted: &[("src/app.rs", "fn f() -> anyhow::Result<()> {}")],
        clean: &[
            ("src/cli/mod.rs", "use anyhow::Context as _;"),
            ("src/main.rs", "fn main() -> anyhow::Result<()> {}"),
        ],
    },
    Absence {
        place: Place::Outside(&[]),
        unspoken: &["unbounded", "unbounded_channel", "UnboundedSender", "UnboundedReceiver"],
        but: &[],
        in_tests: true,
        why: "queues are bounded and say what happens when full",
        planted: &[
            ("src/bus/ring.rs", "fn f() { let (a, b) = tokio::sync::mpsc::unbounded_channel::<u8>(); }"),
            ("src/app.rs", "use flume::unbounded;"),
            ("src/app.rs", "fn f(tx: UnboundedSender<u8>) {}"),
        ],
        clean: &[("src/app.rs", "fn f() { tokio::sync::mpsc::channel(1); } // unbounded_channel")],
    },
    Absence {
        place: Place::Outside(&["clock"]),
        unspoken: &["Utc::now", "Local::now", "SystemTime::now", "Instant::now"],
        but: &["tokio::time::Instant::now"],
        in_tests: false,
        why: "time comes in as an argument, from crate::clock; waiting goes by tokio's time",
        planted: &[
            ("src/services/queue.rs", "fn f() { chrono::Utc::now(); }"),
            ("src/services/queue.rs", "use std::time::Instant as Stopwatch; fn f() { Stopwatch::now(); }"),
            ("src/services/queue.rs", "fn f() { x.unwrap_or_else(Utc::now) }"),
            ("src/services/queue.rs", "use std::time; fn f() { time::SystemTime::now(); }"),
            ("src/services/queue.rs", "use super::*; fn f() { Instant::now(); }"),
        ],
        clean: &[
            ("src/clock.rs", "fn f() { Utc::now(); }"),
            ("src/bus/shutdown.rs", "use tokio::time::{Instant, sleep}; fn f() { Instant::now(); }"),
            ("src/bus/shutdown.rs", "fn f() { tokio::time::Instant::now(); }"),
            ("src/bus/shutdown.rs", "use tokio::time; fn f() { time::Instant::now(); }"),
            ("src/bus/shutdown.rs", "#[cfg(test)] mod tests { fn f() { std::time::Instant::now(); } }"),
        ],
    },
    Absence {
        place: Place::Outside(&["clock"]),
        unspoken: &["rand::rng", "rand::random", "thread_rng"],
        but: &[],
        in_tests: false,
        why: "chance comes in as an argument, from a seeded generator or crate::clock",
        planted: &[
            ("src/notify/retry.rs", "fn f() { rand::rng().random() }"),
            ("src/app.rs", "use rand::random;"),
        ],
        clean: &[("src/clock.rs", "fn f() { rand::random(); }"), ("src/notify/retry.rs", "use rand::Rng;")],
    },
];

pub fn check(file: &File) -> Vec<Finding> {
    let names = file.names();
    ABSENCES.iter().flat_map(|absence| absence.check(file, &names)).collect()
}

impl Absence {
    fn check(&self, file: &File, names: &[Name]) -> Vec<Finding> {
        if !self.place.holds(file) {
            return Vec::new();
        }
        let mut findings: Vec<Finding> = names
            .iter()
            .filter(|name| self.in_tests || !name.test_only)
            .filter(|name| self.unspoken.iter().any(|pattern| says(&name.segments, pattern)))
            .filter(|name| !self.but.iter().any(|pattern| says(&name.segments, pattern)))
            .map(|name| {
                let path = name.segments.join("::");
                Finding::new(file, name.line, format!("`{path}` is not said here: {}", self.why))
            })
            .collect();
        findings.dedup_by_key(|finding| finding.line);
        findings
    }
}

impl Place {
    fn holds(&self, file: &File) -> bool {
        let module = if file.path == "src/main.rs" { "main".to_owned() } else { file.module().join("/") };
        let within = |places: &[&str]| {
            places.iter().any(|place| {
                module.strip_prefix(place).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
            })
        };
        match self {
            Self::In(places) => within(places),
            Self::Outside(places) => !within(places),
        }
    }
}

/// Whether `pattern` stands somewhere in the path.
fn says(segments: &[String], pattern: &str) -> bool {
    let pattern: Vec<&str> = pattern.split("::").collect();
    segments
        .windows(pattern.len())
        .any(|part| part.iter().zip(&pattern).all(|(word, wanted)| reads(word, wanted)))
}

fn reads(word: &str, wanted: &str) -> bool {
    match (wanted.strip_prefix('*'), wanted.strip_suffix('*')) {
        (Some(""), _) => word == "*",
        (Some(end), Some(_)) => word.contains(end.trim_end_matches('*')),
        (_, Some(start)) => word.starts_with(start),
        _ => word == wanted,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_planted_violation_is_caught_by_its_own_rule() {
        for absence in &ABSENCES {
            assert!(!absence.planted.is_empty(), "nothing planted for: {}", absence.why);
            for (path, code) in absence.planted {
                let file = File::new(*path, format!("//! Header.\n\n{code}\n"));
                let findings = absence.check(&file, &file.names());
                assert_eq!(findings.len(), 1, "{path}: {code}\n{findings:?}");
                assert_eq!(findings[0].line, 3);
            }
        }
    }

    #[test]
    fn clean_code_passes_every_rule() {
        for (path, code) in ABSENCES.iter().flat_map(|absence| absence.clean) {
            let findings = check(&File::new(*path, *code));
            assert!(findings.is_empty(), "{path}: {code}\n{findings:?}");
        }
    }

    #[test]
    fn a_finding_says_where_what_and_why() {
        let file = File::new("src/http/samples.rs", "use crate::spc::PhaseState;");
        assert_eq!(
            check(&file)[0].to_string(),
            "src/http/samples.rs:1: `crate::spc::PhaseState` is not said here: \
             handlers translate: they judge nothing, and only read the store"
        );
    }
}
