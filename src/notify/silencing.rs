//! Beginning a silence: what the settings allow, and whom they know.

use std::time::Duration;

use chrono::{DateTime, Utc};

use crate::domain::silence::Silence;
use crate::notify::Plan;
use crate::store::{NewSilence, Store, StoreError};

/// Why there is no such silence.
#[derive(Debug, thiserror::Error)]
pub enum SilenceError {
    /// It is over before it begins.
    #[error("it must end after now")]
    Over,
    /// People would have to remember it for too long.
    #[error("it may last {0} hours at most")]
    TooLong(u32),
    /// Nobody of that name is told anything.
    #[error("there is no receiver {receiver:?}, only: {known}")]
    UnknownReceiver {
        /// Whom it names.
        receiver: String,
        /// Who is there.
        known: String,
    },
    /// As many as may be are in force.
    #[error("{0} silences are in force, which is all there may be")]
    TooMany(u32),
    /// The database cannot take it.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Plan {
    /// Begins a silence at `now`.
    ///
    /// # Errors
    /// [`SilenceError`].
    pub async fn silence(
        &self,
        store: &Store,
        new: NewSilence,
        now: DateTime<Utc>,
    ) -> Result<Silence, SilenceError> {
        let hours = self.settings.silence_max_hours;
        let longest = Duration::from_secs(60 * 60 * u64::from(hours));
        match (new.ends_at - now).to_std() {
            Ok(lasts) if lasts > longest => return Err(SilenceError::TooLong(hours)),
            Ok(lasts) if !lasts.is_zero() => {}
            _ => return Err(SilenceError::Over),
        }
        let named = &new.silenced.receivers;
        if let Some(receiver) = named.iter().find(|name| self.receivers.named(name).is_none()) {
            let known: Vec<_> = self.receivers.iter().map(|known| known.settings.name.as_str()).collect();
            return Err(SilenceError::UnknownReceiver {
                receiver: receiver.clone(),
                known: known.join(", "),
            });
        }
        let most = self.settings.max_silences;
        store.silence(new, most).await?.ok_or(SilenceError::TooMany(most))
    }
}
