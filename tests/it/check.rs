//! `andon check`: finds what was planted, and nothing in a sound database, also beside a running server.

use std::path::Path;
use std::sync::Arc;

use tokio::process::Command;

use crate::support::{Database, TestApp, address_of, on_postgres};

/// Its exit code, and what it printed.
pub async fn check(database: &Path) -> (Option<i32>, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_andon"));
    command.args(["check", "--database"]).arg(address_of(database)).env("ANDON_STORE__MIN_FREE_BYTES", "0");
    let output = command.output().await.expect("runs");
    (output.status.code(), String::from_utf8(output.stdout).expect("text"))
}

async fn assert_finds(database: &Path, name: &str, what: &str) {
    let (code, text) = check(database).await;
    let failed: Vec<_> = text.lines().filter(|line| line.starts_with("FAILED")).collect();
    assert_eq!((code, failed.len()), (Some(1), 1), "{text}");
    assert!(failed[0].contains(name) && failed[0].contains(what), "{text}");
}

#[tokio::test]
async fn a_sound_database_passes_beside_a_running_server_and_what_is_planted_is_found() {
    let app = TestApp::spawn().await;
    let bore = app.given_a_chart("Bore").await;
    app.measure_all(bore, &[10.0, 99.0, 10.0, 99.0]).await;
    let (_directory, database) = (Arc::clone(app.directory()), app.database());
    let (code, text) = check(&database).await;
    assert_eq!(code, Some(0), "{text}");
    let checks = if on_postgres() { 10 } else { 12 };
    assert_eq!(text.lines().filter(|line| line.starts_with("ok")).count(), checks, "{text}");
    app.measure(bore, 10.0).await;
    app.stop().await.expect("stops");
    let (code, text) = check(&database).await;
    assert_eq!(code, Some(0), "also while nobody serves it: {text}");

    let mut other = Database::open(&database).await;
    other.run("UPDATE characteristics SET open_violations = 7").await;
    assert_finds(&database, "counts", "open_violations of characteristic 1 is 7, recounted 2").await;
    other.run("UPDATE characteristics SET open_violations = 2").await;

    for column in ["unacknowledged", "holding"] {
        other.run(&format!("UPDATE episodes SET {column} = 1")).await;
        assert_finds(&database, "counts", "the open episode of characteristic 1 does not count").await;
        other.run(&format!("UPDATE episodes SET {column} = 2")).await;
    }

    other.run("UPDATE log_head SET next_sample_id = 3").await;
    assert_finds(&database, "ids", "the next sample would get id 3, and there is 5 already").await;
    other.run("UPDATE log_head SET next_sample_id = 6").await;

    other.run("UPDATE events SET revision = 9 WHERE seq = 2").await;
    assert_finds(&database, "log", "revision 9 of characteristic 1 follows revision 1").await;
    other.run("UPDATE events SET revision = 2 WHERE seq = 2").await;
    assert_eq!(check(&database).await.0, Some(0), "all was put right");

    other.run("DELETE FROM events WHERE seq = 4").await;
    assert_finds(&database, "log", "position 4 of the log is missing").await;
    other.run("DELETE FROM events WHERE seq > 3").await;
    assert_finds(&database, "log", "the log ends at position 3, its head says 9").await;

    other.run("UPDATE _sqlx_migrations SET version = 9999 WHERE version = (SELECT max(version) FROM _sqlx_migrations)").await;
    assert_finds(&database, "schema", "of the schema is missing").await;
}

#[tokio::test]
async fn what_cannot_be_served_is_told() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let settings = directory.path().join("andon.toml");
    for (text, what) in [
        ("[http]\nlisten_on = 'x'\n", "listen_on"),
        ("[http]\nlisten = '0.0.0.0:80'\n[store]\nurl = 'sqlite:///nowhere/at/all.db'\n", "FAILED  address"),
        ("[store]\nurl = 'sqlite:///nowhere/at/all.db'\n", "FAILED  database"),
        ("[[auth.tokens]]\nname = 'x'\ntoken = 'short'\nroles = ['read']\n", "FAILED  tokens"),
        ("[broadcast]\nping_interval_ms = 0\n", "FAILED  settings"),
        ("[http]\nkeep_alive_ms = 0\nrequest_timeout_ms = 0\n", "http.request_timeout_ms"),
    ] {
        std::fs::write(&settings, text).expect("written");
        let mut command = Command::new(env!("CARGO_BIN_EXE_andon"));
        let output =
            command.arg("check").arg("--config").arg(&settings).current_dir(directory.path()).output();
        let output = output.await.expect("runs");
        let said = String::from_utf8(output.stdout).expect("text");
        assert!(output.status.code() == Some(1) && said.contains(what), "{text}: {said}");
    }
}
