//! The operators' page in a real browser, and the JavaScript client in Node, against the real program.
//!
//! What they do stands in `tests/browser/`, in their own language; here the server is started, and their verdict heard.
//! `.ci/test` prepares what they need and says where it is. Without that, CI fails and others skip.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use tempfile::TempDir;
use tokio::process::Command;
use tokio::time::timeout;

use crate::interop::prepared;
use crate::support::Process;

/// As long as CI gives to all of them.
const LIMIT: Duration = Duration::from_secs(600);

/// Runs a file of tests against a server of its own.
async fn run(file: &str) {
    let (Some(modules), Some(chromium)) = (prepared("TEST_NODE_MODULES"), prepared("TEST_CHROMIUM")) else {
        return;
    };
    let directory = TempDir::new().expect("a directory");
    let server = Process::start(Process::serve(&directory.path().join("andon.db"))).await;
    let running = Command::new("node")
        .args(["--test", "--test-reporter=spec"])
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/browser").join(file))
        .env("ANDON_SERVER", format!("http://{}", server.address))
        .env("ANDON_BINARY", env!("CARGO_BIN_EXE_andon"))
        .env("TEST_NODE_MODULES", modules)
        .env("TEST_CHROMIUM", chromium)
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let output = timeout(LIMIT, running).await.expect("they end in time").expect("node starts");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{file}:\n{said}\n{}", String::from_utf8_lossy(&output.stderr));
    assert!(said.contains("pass ") && !said.contains("ℹ pass 0\n"), "{file} tests nothing:\n{said}");
}

macro_rules! files {
    ($($name:ident => $file:literal;)*) => {$(
        #[tokio::test]
        async fn $name() {
            run($file).await;
        }
    )*};
}

files! {
    the_client => "client/client.mjs";
    the_wall => "pages/wall.mjs";
    the_chart => "pages/chart.mjs";
    the_alarms => "pages/alarms.mjs";
    the_system => "pages/system.mjs";
    all_pages => "pages/manners.mjs";
    what_breaks => "pages/restart.mjs";
}
