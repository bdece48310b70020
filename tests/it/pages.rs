//! The operators' page in a real browser, and the JavaScript client in Node, against the real program.
//!
//! What they do stands in `tests/browser/`, in their own language; here the server is started, and their verdict heard.
//! `.ci/test` prepares what they need and says where it is. Without that, CI fails and others skip.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tempfile::TempDir;
use tokio::process::Command;
use tokio::time::timeout;

use crate::interop::prepared;
use crate::support::Process;

/// As long as CI gives to all of them.
const LIMIT: Duration = Duration::from_secs(600);

/// Runs files of tests against a server of their own.
async fn run(files: &[&str]) {
    let (Some(modules), Some(chromium)) = (prepared("TEST_NODE_MODULES"), prepared("TEST_CHROMIUM")) else {
        return;
    };
    let directory = TempDir::new().expect("a directory");
    let server = Process::start(Process::serve(&directory.path().join("andon.db"))).await;
    let mut node = Command::new("node");
    node.args(["--test", "--test-reporter=spec", "--test-concurrency=2"])
        .args(files.iter().map(|file| tests().join(file)))
        .env("TEST_SERVER", format!("http://{}", server.address))
        .env("TEST_BINARY", env!("CARGO_BIN_EXE_andon"))
        .env("TEST_NODE_MODULES", modules)
        .env("TEST_CHROMIUM", chromium);
    let said = verdict(node, &format!("{files:?}")).await;
    assert!(said.contains("pass ") && !said.contains("ℹ pass 0\n"), "{files:?} test nothing:\n{said}");
}

fn tests() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/browser")
}

/// What a program says that is to end well.
async fn verdict(mut command: Command, what: &str) -> String {
    let running = command.stdin(Stdio::null()).kill_on_drop(true).output();
    let output = timeout(LIMIT, running).await.expect("it ends in time").expect("it starts");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{what}:\n{said}\n{}", String::from_utf8_lossy(&output.stderr));
    said
}

macro_rules! files {
    ($($name:ident => $($file:literal),+;)*) => {$(
        #[tokio::test]
        async fn $name() {
            run(&[$($file),+]).await;
        }
    )*};
}

files! {
    the_client_listens => "client/hears.test.mjs", "client/page.test.mjs", "client/progress.test.mjs", "client/selections.test.mjs";
    the_client_goes_on => "client/breaks.test.mjs", "client/chaos.test.mjs", "client/refusals.test.mjs";
    the_wall => "pages/wall.mjs", "pages/wall-truth.mjs";
    the_chart => "pages/chart.mjs", "pages/chart-truth.mjs";
    the_alarms => "pages/alarms.mjs", "pages/alarms-past.mjs";
    the_system => "pages/system.mjs", "pages/system-api.mjs";
    all_pages => "pages/manners.mjs";
    what_breaks => "pages/restart.mjs";
}

#[tokio::test]
async fn the_client_is_what_its_types_say() {
    let Some(modules) = prepared("TEST_NODE_MODULES") else { return };
    let mut compiler = Command::new(Path::new(&modules).join(".bin/tsc"));
    compiler
        .args(["--noEmit", "--strict", "--module", "nodenext", "--target", "es2022", "--lib", "es2022,dom"])
        .arg(tests().join("client/types.ts"));
    verdict(compiler, "types.ts").await;
}
