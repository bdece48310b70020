//! Tells a receiver something that is not true, to see whether it can be told.

use std::time::Duration;

use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::app::AppError;
use crate::clock::{self, Clock};
use crate::domain::episode::EpisodeChange;
use crate::error_chain::error_chain;
use crate::notify::{OwnNotifiers, Plan, Surroundings, sample_alert};
use crate::settings::Settings;

/// The characteristic that the sample is about: nobody shall take it for one of theirs.
const NAME: &str = "Test by andon notify (no such process)";

/// How a receiver took it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tried {
    /// One of its addresses; empty, if it has no several.
    pub recipient: String,
    /// What it answered, or what went wrong.
    pub outcome: Result<String, String>,
}

/// Sends an alert about a process that does not exist to each recipient of a receiver; no ledger knows of it. `None`: there is no
/// receiver of that name.
///
/// # Errors
/// [`AppError::NotifySettings`].
pub async fn try_receiver(settings: &Settings, name: &str) -> Result<Option<Vec<Tried>>, AppError> {
    let surroundings = Surroundings::without_pictures(Clock::system(), settings.site.clone());
    let plan = Plan::new(settings.notify.clone().for_trial(), OwnNotifiers::new(), &surroundings)?;
    let Some(receiver) = plan.receivers().named(name) else { return Ok(None) };
    let limit = Duration::from_millis(receiver.settings.timeout_ms);
    let mut tried = Vec::new();
    for recipient in receiver.recipients.clone() {
        let id = format!("test-{:016x}", clock::nonce() as u64);
        let alert = sample_alert(&id, &recipient, EpisodeChange::Opened, NAME);
        let told = async {
            let stop = CancellationToken::new();
            let told = async {
                let _stops = stop.clone().drop_guard();
                receiver.notifier.notify(&alert).await
            };
            tokio::join!(told, receiver.notifier.run(stop.clone())).0
        };
        let outcome = match timeout(limit, told).await {
            Ok(Ok(receipt)) => Ok(receipt.answer().unwrap_or_default().to_owned()),
            Ok(Err(error)) => Err(error_chain(&error).to_string()),
            Err(_) => Err(format!("no answer within {limit:?}")),
        };
        tried.push(Tried { recipient, outcome });
    }
    Ok(Some(tried))
}
