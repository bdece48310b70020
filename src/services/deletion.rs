//! Deletes characteristics: from the commit on nobody knows them; their rows go later, in small steps.

use crate::domain::episode::ClosingReason;
use crate::domain::event::Changed;
use crate::domain::ids::CharacteristicId;
use crate::services::catalog::{Catalog, announce};
use crate::services::episodes;
use crate::services::queue::{Command, CommitError};
use crate::services::work::Work;
use crate::store::StoreError;

/// Which characteristic shall be no more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deletion {
    /// Which.
    pub id: CharacteristicId,
    /// Its samples may go with it.
    pub with_history: bool,
    /// Who says so.
    pub user: Option<String>,
}

/// Why a characteristic was not deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DeleteError {
    /// No such characteristic.
    #[error("characteristic {0} does not exist")]
    Unknown(CharacteristicId),
    /// Its samples would go with it, and nobody has said that they may.
    #[error("characteristic {0} has samples: say with_history=true to delete them, too, or retire it")]
    HasSamples(CharacteristicId),
}

impl Catalog {
    /// Deletes a characteristic with everything that belongs to it. Its key is free at once.
    ///
    /// # Errors
    /// [`CommitError`], if nothing could be stored; the inner [`DeleteError`], if it may not be.
    pub async fn delete(&self, deletion: Deletion) -> Result<Result<(), DeleteError>, CommitError> {
        self.queue.run(deletion).await
    }
}

impl Command for Deletion {
    type Answer = Result<(), DeleteError>;

    async fn apply(&self, work: &mut Work<'_>) -> Result<Self::Answer, StoreError> {
        let Some(mut state) = work.take(self.id).await? else {
            return Ok(Err(DeleteError::Unknown(self.id)));
        };
        work.transaction.flush().await?; // its first sample may have come in this very transaction
        if !self.with_history && work.transaction.has_samples(self.id).await? {
            work.give_back(state);
            return Ok(Err(DeleteError::HasSamples(self.id)));
        }
        work.transaction.mark_deleted(self.id).await?;
        episodes::close(ClosingReason::Deleted, &mut state, work)?;
        announce(Changed::Deleted, &mut state, self.user.as_deref(), work)?;
        work.bury(state);
        work.forget_keys();
        Ok(Ok(()))
    }
}
