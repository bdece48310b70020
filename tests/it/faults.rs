//! A full disk, a locked database: nothing is stored, everybody is told, and it passes by itself.

use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::time::Instant;

use crate::support::{Database, Ledger, TestApp, eventually};

/// The status and body of `GET` without the API's prefix.
async fn health(app: &TestApp, which: &str) -> (u16, Value) {
    let response = reqwest::get(app.url(&format!("/health/{which}"))).await.expect("an answer");
    (response.status().as_u16(), response.json().await.expect("JSON"))
}

async fn eventually_ready(app: &TestApp) {
    eventually("it is ready again, without any request that writes", async || {
        (health(app, "ready").await.0 == 200).then_some(())
    })
    .await;
}

fn assert_unavailable((status, body): &(u16, Value)) {
    assert_eq!((*status, &body["type"]), (503, &json!("urn:problem:andon:unavailable")), "{body}");
}

#[tokio::test]
async fn a_database_locked_by_somebody_else_is_told_and_passes_by_itself() {
    let app = TestApp::builder()
        .with(|settings| {
            settings.store.busy_timeout_ms = 200;
            settings.services.probe_interval_ms = 20;
        })
        .spawn()
        .await;
    let bore = app.given_a_chart("Bore").await;
    let recorded = app.measure(bore, 10.0).await;
    let mut other = Database::open(&app.database()).await;

    other.lock().await;
    let sample = json!({"characteristic_id": bore, "measurements": [99.0]});
    let asked = Instant::now();
    assert_unavailable(&app.post("/samples", &sample).await);
    assert!(asked.elapsed() < Duration::from_secs(2), "told within the busy timeout");
    let (status, batch) = app.post("/samples/batch", &json!({"samples": [sample, sample]})).await;
    assert_eq!((status, &batch["failed"]), (200, &json!(2)), "{batch}");
    assert_eq!(batch["results"][0]["error"]["status"], 503, "{batch}");
    let (status, ready) = health(&app, "ready").await;
    assert_eq!((status, &ready["parts"]["database"]), (503, &json!("unavailable")), "{ready}");
    assert_eq!(health(&app, "live").await.0, 200);
    let sample_path = format!("/samples/{}", recorded["sample_id"]);
    assert_eq!(app.get(&sample_path).await["value"], 10.0, "reading goes on");

    other.unlock().await;
    eventually_ready(&app).await;
    assert_eq!(app.measure(bore, 10.5).await["seq"], json!(3), "the failed ones took no place");
    Ledger::read(&app.database()).await.assert_sound();
}

/// A file system of 2 MB; gone with the value.
struct SmallDisk(Arc<TempDir>);

impl SmallDisk {
    /// `None`, told aloud, where it may not be mounted; in CI that is a failure.
    #[expect(clippy::print_stderr, reason = "whoever runs the tests shall know that one did not run")]
    fn mount() -> Option<Self> {
        let directory = TempDir::new().expect("a temporary directory");
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", "size=2m", "tmpfs"]).arg(directory.path());
        match mount.output() {
            Ok(output) if output.status.success() => Some(Self(Arc::new(directory))),
            refused => {
                assert_ne!(std::env::var("CI").as_deref(), Ok("true"), "CI can mount: {refused:?}");
                eprintln!("\n!!!! SKIPPED: no small disk can be mounted here: {refused:?}");
                None
            }
        }
    }

    /// Takes all the space that is left.
    fn fill(&self) {
        std::fs::write(self.0.path().join("ballast"), vec![1; 4 << 20]).expect_err("it is full then");
    }

    /// Gives it back.
    fn free(&self) {
        std::fs::remove_file(self.0.path().join("ballast")).expect("removed");
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.0.path()).status();
    }
}

#[tokio::test]
async fn a_full_disk_is_told_and_passes_by_itself_and_nothing_answered_is_lost() {
    let Some(disk) = SmallDisk::mount() else { return };
    let app = TestApp::builder()
        .with(|settings| settings.services.probe_interval_ms = 20)
        .on_database_of(&disk.0)
        .spawn()
        .await;
    let bore = app.given_a_chart("Bore").await;
    let mut answered = vec![];
    for value in [90.0, 91.0, 92.0] {
        let sample = json!({"characteristic_id": bore, "measurements": [value]});
        disk.fill();
        let refused = eventually("the disk is full", async || {
            let (status, body) = app.post("/samples", &sample).await;
            if status == 201 {
                answered.push(body["sample_id"].as_i64().expect("an id"));
            }
            (status != 201).then_some((status, body))
        })
        .await;
        assert_unavailable(&refused);
        assert_eq!(health(&app, "ready").await.0, 503);
        assert_eq!(health(&app, "live").await.0, 200);
        assert_eq!(app.get("/samples").await["total"], answered.len(), "reading goes on");

        disk.free();
        eventually_ready(&app).await;
        answered.push(app.measure(bore, 10.0).await["sample_id"].as_i64().expect("an id"));
    }
    let database = app.database();
    app.stop().await.expect("stops");
    let ledger = Ledger::read(&database).await;
    ledger.assert_sound();
    assert!(ledger.samples.keys().eq(&answered), "what was answered, and nothing else, is stored");
}
