//! Answers a whole episode: every violation of it that is still open, and the episode itself.

use std::sync::Arc;

use crate::domain::characteristic::Characteristic;
use crate::domain::episode::Episode;
use crate::domain::event::Event;
use crate::domain::ids::EpisodeId;
use crate::domain::violation::Acknowledgement;
use crate::services::alert_manager::{AlertManager, Answer};
use crate::services::episodes::announce;
use crate::services::once::{Keep, Kept, Once};
use crate::services::queue::{Command, CommitError};
use crate::services::work::Work;
use crate::store::StoreError;

/// The most violations that one answer reaches, oldest first; what is left waits for the next one.
const MAX_ANSWERED: u32 = 10_000;

/// Why an episode was not answered.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AcknowledgeEpisodeError {
    /// No such episode.
    #[error("episode {0} does not exist")]
    Unknown(EpisodeId),
    /// Somebody was first, and nothing of it has waited since.
    #[error("episode {id} was acknowledged by {} at {}", first.user, first.timestamp.format("%Y-%m-%dT%H:%M:%S%.3fZ"))]
    Already {
        /// Which.
        id: EpisodeId,
        /// Who was first, when and why.
        first: Box<Acknowledgement>,
    },
}

/// An episode with its answer, and the characteristic it is about.
#[derive(Debug, Clone, PartialEq)]
pub struct AcknowledgedEpisode {
    /// The episode.
    pub episode: Arc<Episode>,
    /// Whose.
    pub characteristic: Arc<Characteristic>,
}

/// What became of an answer to an episode.
pub type EpisodeAnswered = Result<AcknowledgedEpisode, AcknowledgeEpisodeError>;

impl AlertManager {
    /// Answers an episode, open or over, with all its open violations (the oldest 10,000, if there are more).
    ///
    /// # Errors
    /// [`CommitError`], if nothing could be stored; the inner [`AcknowledgeEpisodeError`], if there is nothing to
    /// answer.
    pub async fn acknowledge_episode(
        &self,
        id: EpisodeId,
        answer: Answer,
    ) -> Result<EpisodeAnswered, CommitError> {
        self.queue.run(AcknowledgeEpisode { id, answer }).await
    }

    /// The same for a request that may be a repeat.
    ///
    /// # Errors
    /// As [`AlertManager::acknowledge_episode`].
    pub async fn acknowledge_episode_once(
        &self,
        id: EpisodeId,
        answer: Answer,
        keep: Keep<EpisodeAnswered>,
    ) -> Result<Once<EpisodeAnswered>, CommitError> {
        self.queue.run(Kept { command: AcknowledgeEpisode { id, answer }, keep }).await
    }
}

struct AcknowledgeEpisode {
    id: EpisodeId,
    answer: Answer,
}

impl Command for AcknowledgeEpisode {
    type Answer = EpisodeAnswered;

    fn bytes(&self) -> usize {
        // About one log row for each: alone in its transaction.
        400 * MAX_ANSWERED as usize
    }

    async fn apply(&self, work: &mut Work<'_>) -> Result<Self::Answer, StoreError> {
        let id = self.id;
        work.transaction.flush().await?; // it may have been opened in this very transaction
        let Some(stored) = work.transaction.episode(id).await? else {
            return Ok(Err(AcknowledgeEpisodeError::Unknown(id)));
        };
        let Some(mut state) = work.take(stored.characteristic_id).await? else {
            return Ok(Err(AcknowledgeEpisodeError::Unknown(id)));
        };
        let Answer { user, reason, comment, .. } = self.answer.clone();
        let answer = Acknowledgement { user, reason, comment, timestamp: work.now, source: None };
        let open = work.transaction.acknowledge_in_episode(id, &answer, MAX_ANSWERED).await?;
        if let Some(first) = stored.acknowledgement.clone().filter(|_| open.is_empty()) {
            work.give_back(state);
            return Ok(Err(AcknowledgeEpisodeError::Already { id, first: Box::new(first) }));
        }
        let mut episode = stored;
        let change = episode.acknowledge(&answer);
        for mut violation in open {
            episode.answered(&violation, &answer);
            state.standing.close(violation.requires_acknowledgement);
            violation.acknowledgement = Some(answer.clone());
            work.append(&mut state, &Event::ViolationAcknowledged(Arc::new(violation)))?;
        }
        let episode = Arc::new(episode);
        if let Some(open) = state.episode.as_mut().filter(|open| open.id == id) {
            *open = Arc::clone(&episode);
        }
        announce(Arc::clone(&episode), change, &mut state, work)?;
        let characteristic = Arc::clone(&state.characteristic);
        work.put(state);
        Ok(Ok(AcknowledgedEpisode { episode, characteristic }))
    }
}
