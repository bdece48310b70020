//! The simple style: two functions, one for each thing that most receivers want to know.

use async_trait::async_trait;

use crate::domain::episode::EpisodeChange;
use crate::notify::notifier::{Alert, AlertNotifier, NotifyError, Receipt};
use crate::protocol::episode::EpisodeView;
use crate::protocol::payload::ViolationView;

/// Tells a receiver about violations and their acknowledgement; made a notifier by [`Adapted`].
#[async_trait]
pub trait ViolationNotifier: Send + Sync {
    /// Something is wrong, or still, or worse: `violation` is the newest one of its episode.
    ///
    /// # Errors
    /// As [`AlertNotifier::notify`].
    async fn notify_violation_created(
        &self,
        violation: &ViolationView,
        episode: &EpisodeView,
    ) -> Result<(), NotifyError>;

    /// Somebody sees to it.
    ///
    /// # Errors
    /// As [`AlertNotifier::notify`].
    async fn notify_violation_acknowledged(
        &self,
        violation: &ViolationView,
        episode: &EpisodeView,
    ) -> Result<(), NotifyError>;
}

/// A notifier made of two functions. That an episode is over is told to nobody.
#[derive(Debug, Clone)]
pub struct Adapted<N>(pub N);

#[async_trait]
impl<N: ViolationNotifier> AlertNotifier for Adapted<N> {
    async fn notify(&self, alert: &Alert) -> Result<Receipt, NotifyError> {
        let episode = &alert.notice.update.episode;
        let Some(violation) = &alert.notice.violation else {
            return Ok(Receipt::new("nothing to tell: the violation is gone"));
        };
        match alert.notice.update.change {
            EpisodeChange::Opened | EpisodeChange::Worsened | EpisodeChange::Lapsed => {
                self.0.notify_violation_created(violation, episode).await?;
            }
            EpisodeChange::Acknowledged => self.0.notify_violation_acknowledged(violation, episode).await?,
            EpisodeChange::Closed => return Ok(Receipt::new("nothing to tell: the episode is over")),
        }
        Ok(Receipt::silent())
    }
}
