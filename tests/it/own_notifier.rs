//! The example of an integrator's own notifier, against the public contract.

#[path = "../../examples/own_notifier.rs"]
#[allow(dead_code, unreachable_pub, reason = "its main is not run here")]
mod example;

use std::path::PathBuf;

use andon::notify::contract::{self, FarEnd, Mood};
use async_trait::async_trait;
use serde_json::Value;
use tempfile::TempDir;

use self::example::FileNotifier;

/// A directory that is there or not.
struct Directory {
    path: PathBuf,
    _kept: TempDir,
}

#[async_trait]
impl FarEnd for Directory {
    async fn set(&self, mood: Mood) -> bool {
        match mood {
            Mood::Takes => std::fs::create_dir_all(&self.path).is_ok(),
            Mood::Absent => {
                let _ = std::fs::remove_dir_all(&self.path);
                true
            }
            // A file takes what it is given.
            Mood::Busy | Mood::Refuses | Mood::Hangs | Mood::Breaks => false,
        }
    }

    async fn taken(&self) -> Vec<String> {
        let text = std::fs::read_to_string(self.path.join("alerts.jsonl")).unwrap_or_default();
        let id = |line: &str| -> String {
            let line: Value = serde_json::from_str(line).expect("each line is JSON");
            line["id"].as_str().expect("a name").to_owned()
        };
        text.lines().map(id).collect()
    }
}

#[tokio::test]
async fn the_example_keeps_the_contract() {
    let kept = tempfile::tempdir().expect("a directory");
    let path = kept.path().join("control-system");
    let notifier = FileNotifier { file: path.join("alerts.jsonl") };
    let made =
        contract::check(&notifier, &Directory { path, _kept: kept }).await.expect("keeps the contract");
    assert_eq!(made.len(), 6, "{made:#?}");
}
