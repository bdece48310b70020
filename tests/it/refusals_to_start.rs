//! `andon serve` that cannot serve: it says why in one line, names the culprit, and exits with 1.

use std::path::{Path, PathBuf};

use tempfile::TempDir;
use tokio::process::Command;

use crate::support::{Database, Process, TestApp, on_postgres};

pub fn temporary() -> (TempDir, PathBuf) {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let file = directory.path().join("andon.db");
    (directory, file)
}

/// The last line of a process that refuses to start.
pub async fn complaint(command: Command) -> String {
    let (code, text) = Process::refused(command).await;
    assert_eq!(code, Some(1), "{text}");
    let complaint = text.lines().last().expect("a line");
    assert!(complaint.starts_with("andon: "), "{text}");
    assert!(!text.contains("panicked"), "{text}");
    complaint.to_owned()
}

pub fn assert_names(complaint: &str, file: &Path) {
    assert!(complaint.contains(&*file.to_string_lossy()), "names the file: {complaint}");
}

#[tokio::test]
async fn a_port_in_use_is_named() {
    let (_directory, file) = temporary();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address").to_string();
    let complaint = complaint(Process::serve_at(&address, &file)).await;
    assert!(complaint.contains(&format!("could not listen on {address}")), "{complaint}");
    assert!(complaint.to_lowercase().contains("in use"), "{complaint}");
}

#[tokio::test]
async fn a_schema_of_a_newer_version_is_refused() {
    let (_directory, file) = temporary();
    let first = Process::start(Process::serve(&file)).await;
    first.terminate().await;
    assert!(first.end().await.0.success());
    let mut database = Database::open(&file).await;
    database
        .run(
            "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) \
             VALUES (99991231235959, 'of tomorrow', TRUE, '', 0)",
        )
        .await;
    database.close().await;
    let complaint = complaint(Process::serve(&file)).await;
    if on_postgres() {
        assert!(complaint.contains("cannot use postgres://...@"), "{complaint}");
    } else {
        assert_names(&complaint, &file);
    }
    assert!(complaint.contains("schema") && complaint.contains("99991231235959"), "{complaint}");
}

#[tokio::test]
async fn a_setting_that_nothing_reads_is_named() {
    let (directory, file) = temporary();
    let mut command = Process::serve(&file);
    command.env("ANDON_STORE__URI", "sqlite://x.db");
    assert!(complaint(command).await.contains("store.uri in the environment variable ANDON_STORE__URI"));

    let settings = directory.path().join("andon.toml");
    std::fs::write(&settings, "[htpp]\nlisten = '127.0.0.1:0'\n").expect("written");
    let mut command = Process::serve(&file);
    command.arg("--config").arg(&settings);
    assert!(complaint(command).await.contains(&format!("htpp in {}", settings.display())));

    let mut command = Process::serve(&file);
    command.env("ANDON_LISTEN", "127.0.0.1:0");
    assert!(complaint(command).await.contains("the environment variable ANDON_LISTEN names no setting"));
}

#[tokio::test]
async fn what_kubernetes_puts_into_the_environment_is_ignored_with_a_warning() {
    let (_directory, file) = temporary();
    let mut command = Process::serve(&file);
    command.envs([("ANDON_SERVICE_HOST", "10.0.0.1"), ("ANDON_PORT_8080_TCP", "tcp://10.0.0.1:8080")]);
    let process = Process::start(command).await;
    let log = process.log();
    let warning = log.lines().find(|line| line.contains("Kubernetes")).expect("a warning");
    assert!(warning.contains("WARN") && warning.contains("ANDON_SERVICE_HOST"), "{warning}");
    process.kill().await;
}

#[tokio::test]
async fn settings_that_cannot_work_together_are_refused_by_name() {
    let slow = TestApp::builder().with(|s| s.broadcast.ping_interval_ms = s.broadcast.pong_timeout_ms);
    let endless = TestApp::builder().with(|s| s.broadcast.heartbeat_seconds = f64::INFINITY);
    let slash = TestApp::builder().with(|s| s.http.allowed_origins = vec!["https://spc.example/".to_owned()]);
    let nobody = TestApp::builder().with(|s| s.http.connections = 0);
    let never = TestApp::builder().with(|s| s.http.connects_per_second_per_address = f64::NAN);
    for (builder, culprit) in [
        (nobody, "http.connections "),
        (never, "http.connects_per_second_per_address"),
        (slow, "broadcast.ping_interval_ms"),
        (endless, "broadcast.heartbeat_seconds"),
        (slash, "http.allowed_origins"),
    ] {
        let error = builder.try_spawn().await.err().expect("refused");
        assert!(error.to_string().contains(culprit), "{error}");
    }
}
