//! What shows people that an episode is what it is: read for a page of notices at once, so that a flood of them costs a
//! few reads.

use std::cmp::Reverse;
use std::collections::HashMap;

use chrono::{DateTime, Utc};

use crate::domain::ids::{SampleId, ViolationId};
use crate::domain::violation::Violation;
use crate::protocol::episode::EpisodeView;
use crate::store::{Store, StoreError};

/// What was found about some episodes.
#[derive(Debug, Default)]
pub(super) struct Evidence {
    newest: HashMap<ViolationId, Violation>,
    fired: HashMap<SampleId, Vec<Violation>>,
    measured: HashMap<SampleId, DateTime<Utc>>,
}

impl Evidence {
    /// Reads what there is about these, except what is about deleted characteristics.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn about(store: &Store, episodes: &[&EpisodeView]) -> Result<Self, StoreError> {
        let newest =
            store.violations_by_id(episodes.iter().map(|episode| episode.newest_violation_id)).await?;
        let fired = store.violations_of_samples(newest.values().filter_map(|it| it.sample_id)).await?;
        let mut evidence = Self { newest, fired, measured: HashMap::new() };
        let shown = episodes.iter().filter_map(|episode| evidence.violation(episode));
        let first = shown.filter_map(|violation| violation.involved_sample_ids.first().copied());
        let first: Vec<_> = first.collect();
        evidence.measured = store.measured_at(first).await?;
        Ok(evidence)
    }

    /// The severest of what fired on the newest sample of an episode; of several, the one of the first rule.
    pub fn violation(&self, episode: &EpisodeView) -> Option<&Violation> {
        let newest = self.newest.get(&episode.newest_violation_id)?;
        let fired = newest.sample_id.and_then(|sample| self.fired.get(&sample));
        let of_episode =
            fired.into_iter().flatten().filter(|violation| violation.episode_id == Some(episode.id));
        Some(of_episode.min_by_key(|it| (Reverse(it.severity), it.id)).unwrap_or(newest))
    }

    /// When the first of the samples was measured that a violation is about.
    pub fn began_at(&self, violation: &Violation) -> Option<DateTime<Utc>> {
        self.measured.get(violation.involved_sample_ids.first()?).copied()
    }
}
