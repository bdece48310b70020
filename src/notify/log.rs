//! Tells the log of this process: what a bare installation shows.

use async_trait::async_trait;
use tracing::{error, info, warn};

use crate::domain::episode::EpisodeChange;
use crate::domain::rules::Severity;
use crate::notify::notifier::{Alert, AlertNotifier, NotifyError, Receipt};
use crate::notify::wording::headline;
use crate::protocol::episode::EpisodeUpdate;

/// Writes a line for each alert.
#[derive(Debug, Clone, Copy, Default)]
pub struct LogNotifier;

#[async_trait]
impl AlertNotifier for LogNotifier {
    async fn notify(&self, alert: &Alert) -> Result<Receipt, NotifyError> {
        let EpisodeUpdate { change, episode, .. } = &alert.notice.update;
        let line = headline(alert);
        let (id, name) = (episode.id.get(), alert.delivery_id.as_str());
        match (change, episode.severity) {
            (EpisodeChange::Acknowledged | EpisodeChange::Closed, _) | (_, Severity::Info) => {
                info!(episode.id = id, delivery.id = name, "{line}");
            }
            (_, Severity::Warning) => warn!(episode.id = id, delivery.id = name, "{line}"),
            (_, Severity::Critical) => error!(episode.id = id, delivery.id = name, "{line}"),
        }
        Ok(Receipt::silent())
    }
}
