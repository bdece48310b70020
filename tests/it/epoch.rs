//! `andon epoch renew`: after a restore, positions that were told before mean nothing any more.

use andon::app::{AppError, renew_epoch};
use andon::store::{Settings, StoreError};
use serde_json::json;
use tempfile::TempDir;
use tokio::process::Command;

use crate::support::{Process, TestApp, address_of, on_postgres};

#[tokio::test]
async fn a_renewed_log_has_another_name_and_goes_on_counting() {
    let directory = std::sync::Arc::new(TempDir::new().expect("a temporary directory"));
    let database = directory.path().join("andon.db");
    let app = TestApp::builder().on_database_of(&directory).spawn().await;
    let bore = app.given_a_chart("Bore").await;
    let seq = app.measure(bore, 10.0).await["seq"].as_u64().expect("a position");
    let old = app.socket().await.welcome["payload"]["epoch"].clone();
    app.stop().await.expect("stops");

    let mut command = Command::new(env!("CARGO_BIN_EXE_andon"));
    let output = command.args(["epoch", "renew", "--database"]).arg(address_of(&database)).output().await;
    let output = output.expect("runs");
    let text = String::from_utf8(output.stdout).expect("text");
    assert!(output.status.success(), "{text}");
    let said: Vec<_> = text.lines().map(|line| line.split(' ').next_back().expect("a word")).collect();
    assert_eq!((said.len(), json!(said[0])), (2, old.clone()), "{text}");

    let app = TestApp::builder().on_database_of(&directory).spawn().await;
    let welcome = app.socket().await.welcome;
    assert_eq!(welcome["payload"]["epoch"], json!(said[1]));
    assert_ne!(welcome["payload"]["epoch"], old);
    assert_eq!(app.measure(bore, 10.0).await["seq"], seq + 1, "positions do not restart");
}

/// On PostgreSQL nothing keeps anybody from renewing: whoever runs must notice, also when it has nothing to write.
#[tokio::test]
async fn nobody_goes_on_with_a_log_that_was_renewed() {
    let app = TestApp::spawn().await;
    let settings = Settings { url: address_of(&app.database()), ..Settings::default() };
    let renewed = renew_epoch(&settings).await;
    if !on_postgres() {
        assert!(matches!(renewed, Err(AppError::Store(StoreError::InUse(_)))), "{renewed:?}");
        let mut command = Command::new(env!("CARGO_BIN_EXE_andon"));
        command.args(["epoch", "renew", "--database"]).arg(address_of(&app.database()));
        let (code, text) = Process::refused(command).await;
        assert!(code == Some(1) && text.contains("in use"), "{text}");
        return;
    }
    let renewed = renewed.expect("renewed");
    assert_ne!(renewed.old, renewed.new);
    let ended = app.ended().await;
    let told = ended.expect_err("it cannot go on");
    assert!(matches!(told, AppError::CannotGoOn { source: StoreError::Renewed, .. }), "{told:?}");
}

/// Whoever reads the log next finds it: its positions mean nothing to anybody any more.
#[tokio::test]
async fn clients_of_a_log_that_was_renewed_are_told_to_subscribe_afresh() {
    if !on_postgres() {
        return; // there nobody can renew it meanwhile
    }
    // So that the relay does not find it first.
    let app = TestApp::builder().with(|s| s.relay.poll_interval_ms = 3_600_000).spawn().await;
    let bore = app.given_a_chart("Bore").await;
    let mut listening = app.socket().await.subscribed_to([bore]).await;
    let mut idle = app.socket().await;
    let settings = Settings { url: address_of(&app.database()), ..Settings::default() };
    renew_epoch(&settings).await.expect("renewed");
    idle.send(&json!({"type": "subscribe", "characteristic_ids": [bore], "snapshot": true})).await;
    assert_eq!(idle.close_code().await, Some(4010));
    // Those of the other shard live on the bus alone, until the relay finds it.
    listening.send(&json!({"type": "subscribe", "characteristic_ids": [bore], "snapshot": true})).await;
    assert_eq!(listening.close_code().await, Some(4010));
    assert_eq!(app.metric("andon_connections_closed_total{reason=\"new_epoch\"}").await, 2.0);
}
