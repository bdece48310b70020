//! `andon replay` as a user runs it: the binary against a running server.

use std::fmt::Write as _;
use std::path::Path;
use std::process::Output;
use std::time::Duration;

use serde_json::json;
use tokio::process::Command;

use crate::support::{DEADLINE, Database, TestApp, eventually};

fn command(app: &TestApp, file: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_andon"));
    command.arg("replay").arg(file).args(["--server", &app.url("")]).args(arguments).kill_on_drop(true);
    command
}

async fn replay(app: &TestApp, file: &Path, arguments: &[&str]) -> (bool, String) {
    let output = tokio::time::timeout(DEADLINE * 3, command(app, file, arguments).output());
    let Output { status, stderr, .. } = output.await.expect("ends in time").expect("starts");
    (status.success(), String::from_utf8_lossy(&stderr).into_owned())
}

fn file(directory: &tempfile::TempDir, name: &str, text: &str) -> std::path::PathBuf {
    let path = directory.path().join(name);
    std::fs::write(&path, text).expect("written");
    path
}

/// `rows` individuals around 10; every hundredth lies far out.
fn year(rows: u32) -> String {
    let mut text = "timestamp,value\n".to_owned();
    for row in 0..rows {
        let value = if row % 100 == 99 { 99.0 } else { 9.5 + f64::from(row % 7) / 7.0 };
        let (day, minute) = (row / 1_440, row % 1_440);
        let (month, day) = (1 + day / 28 % 12, 1 + day % 28);
        let time = format!("2025-{month:02}-{day:02}T{:02}:{:02}:00Z", minute / 60, minute % 60);
        writeln!(text, "{time},{value}").expect("a string");
    }
    text
}

#[tokio::test]
async fn subgroups_wide_and_long_files_find_their_characteristics() {
    let app = TestApp::spawn().await;
    let directory = tempfile::tempdir().expect("a directory");
    let rings = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/piston_rings.csv");
    let (ok, said) = replay(&app, &rings, &["--characteristic", "Piston rings", "--create"]).await;
    assert!(ok && said.contains("40 samples stored"), "{said}");
    let created = app.get("/characteristics?q=Piston").await;
    assert_eq!(
        [&created["items"][0]["subgroup_size"], &created["items"][0]["chart"]],
        [&json!(5), &json!("xbar_r")]
    );

    for (name, key) in [("Bore", "bore"), ("Flow", "flow")] {
        app.given_a_characteristic(&json!({"name": name, "key": key})).await;
    }
    let wide = file(
        &directory,
        "wide.csv",
        "Date,bore,flow\n2026-01-01T00:00:00Z,1.5,2.5\n2026-01-01T01:00:00Z,,3.5\n",
    );
    let (ok, said) = replay(&app, &wide, &[]).await;
    assert!(ok && said.contains("3 samples stored"), "an empty cell is no measurement: {said}");
    let long = file(&directory, "long.csv", "which;reading;who\nbore;7;ann\nFlow;8;bob\n");
    let maps = ["--map", "which=characteristic", "--map", "reading=value", "--map", "who=operator"];
    let (ok, said) = replay(&app, &long, &[&maps[..], &["--delimiter", ";"]].concat()).await;
    assert!(ok && said.contains("2 samples stored"), "{said}");
    let newest = app.get("/samples?limit=1").await;
    assert_eq!([&newest["items"][0]["operator"], &newest["items"][0]["key"]], ["bob", "long.csv:3"]);
}

#[tokio::test]
async fn what_is_wrong_is_told_by_line_and_the_rest_is_stored() {
    let app = TestApp::spawn().await;
    app.given_a_characteristic(&json!({"name": "Bore", "key": "bore"})).await;
    let directory = tempfile::tempdir().expect("a directory");
    let text = "timestamp,characteristic,value\n2026-01-01T00:00:00Z,bore,1\nyesterday,bore,2\n,bore,two\n,nobody,3\n,bore\n,bore,4\n";
    let (ok, said) = replay(&app, &file(&directory, "f.csv", text), &[]).await;
    assert!(!ok, "{said}");
    for line in
        ["line 3: ", "line 4, column value: \"two\" is no number", "line 5: no characteristic", "line 6: "]
    {
        assert!(said.contains(line), "{line:?} in {said}");
    }
    assert!(said.contains("2 samples stored, 0 were there already, 4 refused"), "{said}");
    assert_eq!(app.sample_total().await, 2);

    let (ok, said) = replay(&app, &directory.path().join("none.csv"), &[]).await;
    assert!(!ok && said.contains("none.csv"), "{said}");
    let (ok, said) = replay(&app, &file(&directory, "g.csv", "a,b\n1,2\n"), &["--map", "c=value"]).await;
    assert!(!ok && said.contains("the file has: a, b"), "{said}");
}

/// Loads a history, kills the replay in the middle, and starts it again.
async fn a_killed_history_is_completed(rows: u32) {
    let app = TestApp::spawn().await;
    let bore = app.given_a_chart("Bore").await;
    let mut listener = app.socket().await.subscribed_to([bore]).await;
    let directory = tempfile::tempdir().expect("a directory");
    let year = file(&directory, "year.csv", &year(rows));
    let arguments = ["--mode", "history", "--characteristic", "Bore"];
    let mut first =
        command(&app, &year, &arguments).stderr(std::process::Stdio::null()).spawn().expect("starts");
    eventually("a part is stored", async || (app.sample_total().await >= 1_000).then_some(())).await;
    first.kill().await.expect("killed");
    let before = app.sample_total().await;

    let (ok, said) = replay(&app, &year, &arguments).await;
    assert!(ok, "{said}");
    assert_eq!(
        app.sample_total().await,
        u64::from(rows),
        "none is missing, none is there twice; {before} came first"
    );
    assert!(said.contains("were there already, 0 refused"), "{said}");
    let head = app.measure(bore, 10.0).await["seq"].as_u64().expect("a position");
    let told = listener.all_up_to(head).await;
    assert_eq!(told.len(), 1, "of the past, nobody was told: {told:?}");
    let characteristic = app.get(&format!("/characteristics/{bore}")).await;
    assert_eq!(
        [&characteristic["open_violations"], &characteristic["alarm_state"]],
        [&json!(0), &json!("normal")]
    );
    assert!(app.get("/violations").await["total"].as_u64() >= Some(u64::from(rows) / 100), "it was judged");
}

#[tokio::test]
async fn a_history_that_was_killed_goes_on_without_a_duplicate() {
    a_killed_history_is_completed(5_000).await;
}

#[tokio::test]
#[ignore = "long: a year of history"]
async fn a_year_of_history_loads_without_one_notice() {
    a_killed_history_is_completed(100_000).await;
}

#[tokio::test]
async fn a_server_that_stores_nothing_for_a_while_is_waited_for() {
    let app = TestApp::builder()
        .with(|settings| {
            settings.store.busy_timeout_ms = 50;
            settings.services.probe_interval_ms = 20;
        })
        .spawn()
        .await;
    app.given_a_chart("Bore").await;
    let directory = tempfile::tempdir().expect("a directory");
    let year = file(&directory, "year.csv", &year(2_500));
    let mut somebody = Database::open(&app.database()).await;
    somebody.lock().await;
    let (replayed, ()) = tokio::join!(replay(&app, &year, &["--characteristic", "Bore"]), async {
        tokio::time::sleep(Duration::from_secs(1)).await; // several times what the server waits
        somebody.unlock().await;
    });
    let (ok, said) = replayed;
    assert!(ok && said.contains("0 refused"), "{said}");
    assert_eq!(app.sample_total().await, 2_500);
    let newest = app.get("/samples?limit=1").await;
    assert_eq!(newest["items"][0]["key"], "year.csv:2501", "in the order of the file");
}
