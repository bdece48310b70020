//! What only a database in a file knows: it has one process, its disk may be full, and it may be no database at all.
//!
//! These tests are about SQLite, and are left out where all others run on PostgreSQL.

use std::process::Command;
use std::sync::Arc;

use serde_json::json;
use tempfile::TempDir;

use crate::faults::{assert_unavailable, eventually_ready, health};
use crate::refusals_to_start::{assert_names, complaint, temporary};
use crate::support::{Database, Ledger, Process, TestApp, eventually};

#[tokio::test]
async fn a_second_process_on_the_same_file_is_refused_and_the_first_undisturbed() {
    let (_directory, file) = temporary();
    let first = Process::start(Process::serve(&file)).await;
    let complaint = complaint(Process::serve(&file)).await;
    assert_names(&complaint, &file);
    assert!(complaint.contains("in use by another andon process"), "{complaint}");
    let ready = reqwest::get(format!("http://{}/health/ready", first.address)).await.expect("an answer");
    assert_eq!(ready.status(), 200);
    first.terminate().await;
    assert!(first.end().await.0.success());
}

#[tokio::test]
async fn another_name_of_the_same_file_is_the_same_file() {
    let (directory, file) = temporary();
    let other_name = directory.path().join("other.db");
    let first = Process::start(Process::serve(&file)).await;
    std::os::unix::fs::symlink(&file, &other_name).expect("a link");
    let complaint = complaint(Process::serve(&other_name)).await;
    assert!(complaint.contains("in use by another andon process"), "{complaint}");
    first.kill().await;
}

#[tokio::test]
async fn a_process_that_was_killed_leaves_no_lock_behind() {
    let (_directory, file) = temporary();
    Process::start(Process::serve(&file)).await.kill().await;
    let second = Process::start(Process::serve(&file)).await;
    second.terminate().await;
    assert!(second.end().await.0.success());
}

#[tokio::test]
async fn a_file_that_is_no_database_is_named_and_left_alone() {
    let (_directory, file) = temporary();
    let text = "These are my notes.\n".repeat(500);
    std::fs::write(&file, &text).expect("written");
    let complaint = complaint(Process::serve(&file)).await;
    assert_names(&complaint, &file);
    assert!(complaint.contains("not a database"), "{complaint}");
    assert_eq!(std::fs::read_to_string(&file).expect("readable"), text);
}

#[tokio::test]
async fn a_database_with_torn_pages_is_refused() {
    let (_directory, file) = temporary();
    let first = Process::start(Process::serve(&file)).await;
    first.terminate().await;
    assert!(first.end().await.0.success());
    // Where a reading connection was the last to close, the log still stands there, and would mend every page.
    let _ = std::fs::remove_file(file.with_extension("db-wal"));
    let mut bytes = std::fs::read(&file).expect("readable");
    bytes[100..].fill(0xA5); // the header stands, nothing else
    std::fs::write(&file, bytes).expect("written");
    let complaint = complaint(Process::serve(&file)).await;
    assert_names(&complaint, &file);
    assert!(complaint.contains("malformed"), "{complaint}");
}

#[tokio::test]
async fn a_directory_that_does_not_exist_is_named() {
    let (directory, _) = temporary();
    let file = directory.path().join("nowhere/andon.db");
    let complaint = complaint(Process::serve(&file)).await;
    assert_names(&complaint, &file);
    assert!(complaint.contains("No such file or directory"), "{complaint}");
}

/// Where root may write anyway, a file in place of the directory stands for one that nobody may write to.
#[tokio::test]
async fn a_place_that_cannot_be_written_is_named() {
    let (directory, _) = temporary();
    let file = directory.path().join("file/andon.db");
    std::fs::write(directory.path().join("file"), "").expect("written");
    let complaint = complaint(Process::serve(&file)).await;
    assert_names(&complaint, &file);
    assert!(complaint.contains("Not a directory"), "{complaint}");
}

#[tokio::test]
async fn a_database_that_somebody_else_locks_for_too_long_is_refused() {
    let (_directory, file) = temporary();
    let mut database = Database::create(&file).await;
    database.lock().await;
    let mut command = Process::serve(&file);
    command.env("ANDON_STORE__BUSY_TIMEOUT_MS", "100");
    let complaint = complaint(command).await;
    assert_names(&complaint, &file);
    assert!(complaint.contains("locked"), "{complaint}");
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
