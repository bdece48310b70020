//! A receiver of one's own: alerts as lines of a file, which a control system next door reads.
//!
//! `cargo run --example own_notifier` serves on 127.0.0.1:8080 until Ctrl-C and writes `alerts.jsonl`; send it a sample
//! beyond its limits as the README shows. `tests/it/own_notifier.rs` runs the public contract tests against it.

use std::path::PathBuf;
use std::sync::Arc;

use andon::app::App;
use andon::notify::{Alert, AlertNotifier, NotifyError, Receipt};
use andon::settings::Settings;
use async_trait::async_trait;
use serde_json::json;
use tokio::fs::OpenOptions;
use tokio::io::AsyncWriteExt as _;
use tokio_util::sync::CancellationToken;

/// Appends a line for each alert.
pub struct FileNotifier {
    /// Made when there is something to write.
    pub file: PathBuf,
}

#[async_trait]
impl AlertNotifier for FileNotifier {
    async fn notify(&self, alert: &Alert) -> Result<Receipt, NotifyError> {
        let episode = &alert.notice.update.episode;
        let line = json!({
            "id": alert.delivery_id, // the same with every attempt: who reads can leave repetitions out
            "change": alert.notice.update.change,
            "severity": episode.severity,
            "characteristic": episode.characteristic_name,
            "value": alert.notice.violation.as_ref().and_then(|violation| violation.value),
        });
        let mut file = OpenOptions::new()
            .create(true)
            .append(true)
            .open(&self.file)
            .await
            .map_err(NotifyError::transient)?; // nothing was written: to be tried again
        let written = file.write_all(format!("{line}\n").as_bytes()).await;
        written.map_err(NotifyError::uncertain)?; // part of it may be there
        file.sync_data().await.map_err(NotifyError::uncertain)?;
        Ok(Receipt::silent())
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let notifier = Arc::new(FileNotifier { file: "alerts.jsonl".into() });
    let app = App::builder(Settings::default()).notifier("control-system", notifier).build().await?;
    let stop = CancellationToken::new();
    let running = tokio::spawn(app.run(stop.clone()));
    tokio::signal::ctrl_c().await?;
    stop.cancel();
    Ok(running.await??)
}
