//! Takes in what other SPC backends have judged: their samples, violations, acknowledgements and limits.
//!
//! No rule of ours runs on it, and it enters no window and no baseline. Each event is a command of its own in the
//! commit queue, so that the sender's order is kept and only a culprit fails; it is taken once, however often and
//! from however many sides it comes, since its name is stored in the transaction of its effect.

mod acknowledgement;
mod limits;
mod sample;
mod told;
mod violation;

use std::collections::BTreeMap;

use serde::Deserialize;

pub use told::{ForeignEvent, Told, ToldAcknowledgement, ToldLimits, ToldSample, ToldViolation};

use crate::domain::characteristic::{Characteristic, CharacteristicKey, Definition, DefinitionError};
use crate::domain::chart::ChartKind;
use crate::domain::ids::{CharacteristicId, SampleId, ViolationId};
use crate::domain::limits::LimitsError;
use crate::domain::rules::{RuleSet, Severity};
use crate::metrics::Metrics;
use crate::services::lookups::Lookups;
use crate::services::once::{Claim, Keep, Kept, Once, Request};
use crate::services::queue::{Command, CommitError, CommitQueue, Promise};
use crate::services::spc_engine::CharacteristicRef;
use crate::services::warm::WarmState;
use crate::services::work::Work;
use crate::store::{StoreError, Taken};

/// What other systems may do here, and what their words mean.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// What other systems' words for a severity mean, such as `HIGH = "CRITICAL"`; case does not matter. Ours are
    /// always known.
    pub severities: BTreeMap<String, Severity>,
    /// Whether a characteristic that is named by an unknown key is created.
    pub create_characteristics: bool,
}

impl Settings {
    /// What a sender's word for a severity means; `None`: nobody has said.
    fn severity(&self, word: &str) -> Option<Severity> {
        let word = word.trim();
        let ours =
            [("CRITICAL", Severity::Critical), ("WARNING", Severity::Warning), ("INFO", Severity::Info)];
        let ours = ours.into_iter().find(|(name, _)| name.eq_ignore_ascii_case(word));
        let theirs = || self.severities.iter().find(|(name, _)| name.to_lowercase() == word.to_lowercase());
        ours.map(|(_, severity)| severity).or_else(|| theirs().map(|(_, severity)| *severity))
    }
}

/// What became of a foreign event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TakenEvent {
    /// Our own ids of what it is about.
    pub taken: Taken,
    /// It changed nothing: it, or what it tells, was here before.
    pub is_duplicate: bool,
}

/// Why a foreign event was not taken. Nothing of it was stored: it may come again under the same name.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum ForeignEventError {
    /// No such characteristic.
    #[error("{0}")]
    UnknownCharacteristic(CharacteristicRef),
    /// It takes nothing any more.
    #[error("characteristic {0} is retired and takes no events")]
    Retired(CharacteristicId),
    /// It would be created, but cannot have this key.
    #[error(transparent)]
    Key(#[from] DefinitionError),
    /// No violation of that system has this id.
    #[error("no violation {external_id:?} of {source_name:?} is known here")]
    UnknownViolation {
        /// The system.
        source_name: String,
        /// Its own id.
        external_id: String,
    },
    /// The sender's id of a thing belongs to a thing of another characteristic.
    #[error("{0} of this source belongs to characteristic {1}: an id must be unique within its source")]
    OtherCharacteristic(String, CharacteristicId),
    /// One rule, one sample, two violations.
    #[error("sample {sample_id} already has violation {violation_id} of rule {rule_id} on this chart")]
    SameRule {
        /// The sample.
        sample_id: SampleId,
        /// What it has.
        violation_id: ViolationId,
        /// Of which rule.
        rule_id: u32,
    },
    /// They cannot be limits.
    #[error(transparent)]
    Limits(#[from] LimitsError),
}

/// What became of an event, whether it was taken or not.
pub type EventAnswer = Result<TakenEvent, ForeignEventError>;

/// Takes foreign events. Cheap to clone.
#[derive(Debug, Clone)]
pub struct ForeignEvents {
    queue: CommitQueue,
    settings: Settings,
    metrics: Metrics,
}

/// An event that waits for its commit.
pub struct QueuedEvent<A> {
    promise: Promise<A>,
    /// Nobody has said what its word for the severity means: counted once it is taken.
    strange_severity: bool,
    metrics: Metrics,
}

impl ForeignEvents {
    /// Takes what comes and commits it through `queue`.
    pub fn new(queue: CommitQueue, settings: Settings, metrics: Metrics) -> Self {
        Self { queue, settings, metrics }
    }

    /// Queues one event, in the order of calls, so that several can share a transaction.
    ///
    /// # Errors
    /// [`CommitError`], if there is no place in the queue.
    pub async fn queue(&self, event: ForeignEvent) -> Result<QueuedEvent<EventAnswer>, CommitError> {
        let (command, strange_severity) = self.command(event);
        let promise = self.queue.submit(command).await?;
        Ok(QueuedEvent { promise, strange_severity, metrics: self.metrics.clone() })
    }

    /// The same for an event of a request that may be a repeat.
    ///
    /// # Errors
    /// As [`ForeignEvents::queue`].
    pub async fn queue_once(
        &self,
        event: ForeignEvent,
        keep: Keep<EventAnswer>,
    ) -> Result<QueuedEvent<Once<EventAnswer>>, CommitError> {
        let (command, strange_severity) = self.command(event);
        let promise = self.queue.submit(Kept { command, keep }).await?;
        Ok(QueuedEvent { promise, strange_severity, metrics: self.metrics.clone() })
    }

    /// Keeps what body a request has that may be a repeat, before its first event.
    ///
    /// # Errors
    /// [`CommitError`], if nothing could be stored.
    pub async fn claim(&self, request: Request) -> Result<Once<()>, CommitError> {
        self.queue.run(Claim(request)).await
    }

    /// The command, and whether nobody has said what the event's severity means.
    fn command(&self, event: ForeignEvent) -> (TakeEvent, bool) {
        let known = match &event.told {
            Told::Violation(_, violation) => Some(self.settings.severity(&violation.severity)),
            _ => None,
        };
        let (severity, strange) = (known.flatten().unwrap_or(Severity::Warning), known == Some(None));
        (TakeEvent { event, severity, may_create: self.settings.create_characteristics }, strange)
    }
}

impl QueuedEvent<EventAnswer> {
    /// Waits for the commit.
    ///
    /// # Errors
    /// [`CommitError`], if nothing could be stored; the inner [`ForeignEventError`], if it cannot be taken.
    pub async fn taken(self) -> Result<EventAnswer, CommitError> {
        let answer = self.promise.answer().await?;
        count(self.strange_severity, &answer, &self.metrics);
        Ok(answer)
    }
}

impl QueuedEvent<Once<EventAnswer>> {
    /// Waits for the commit.
    ///
    /// # Errors
    /// As [`QueuedEvent::taken`].
    pub async fn taken_once(self) -> Result<Once<EventAnswer>, CommitError> {
        let once = self.promise.answer().await?;
        if let Once::First(answer) = &once {
            count(self.strange_severity, answer, &self.metrics);
        }
        Ok(once)
    }
}

fn count(strange_severity: bool, answer: &EventAnswer, metrics: &Metrics) {
    if strange_severity && matches!(answer, Ok(TakenEvent { is_duplicate: false, .. })) {
        metrics.unknown_severities.inc();
    }
}

struct TakeEvent {
    event: ForeignEvent,
    /// What the violation's severity means here.
    severity: Severity,
    may_create: bool,
}

impl Command for TakeEvent {
    type Answer = EventAnswer;

    fn bytes(&self) -> usize {
        let told = match &self.event.told {
            Told::Sample(_, sample) => {
                8 * sample.measurements.len() + sample.metadata.as_ref().map_or(0, String::len)
            }
            Told::Violation(_, violation) => {
                violation.message.as_ref().map_or(0, String::len) + 16 * violation.involved.len()
            }
            Told::Acknowledgement(_, answer) => answer.comment.as_ref().map_or(0, String::len),
            Told::Limits(..) => 0,
        };
        1_200 + told
    }

    fn look_up(&self, lookups: &mut Lookups) {
        if let Some(named) = self.event.told.characteristic() {
            lookups.characteristic(named);
        }
    }

    async fn apply(&self, work: &mut Work<'_>) -> Result<EventAnswer, StoreError> {
        let id = &self.event.id;
        if let Some(taken) = work.transaction.foreign_event(id).await? {
            return Ok(Ok(TakenEvent { taken, is_duplicate: true }));
        }
        let answer = match &self.event.told {
            Told::Sample(named, told) => sample::take(self, named, told, work).await?,
            Told::Violation(named, told) => violation::take(self, named, told, work).await?,
            Told::Acknowledgement(named, told) => {
                acknowledgement::take(&id.source, named.as_ref(), told, work).await?
            }
            Told::Limits(named, told) => limits::take(self, named, told, work).await?,
        };
        if let Ok(TakenEvent { taken, .. }) = &answer {
            let now = work.now;
            work.transaction.insert_foreign_event(id, taken, now).await?;
        }
        Ok(answer)
    }
}

impl TakeEvent {
    /// Takes out the state of the characteristic that an event names; creates it where that is wanted. Whatever may
    /// still refuse the event must be asked before.
    async fn whose(
        &self,
        named: &CharacteristicRef,
        work: &mut Work<'_>,
    ) -> Result<Result<WarmState, ForeignEventError>, StoreError> {
        if let Some(state) = work.take_named(named).await? {
            if !state.characteristic.is_retired {
                return Ok(Ok(state));
            }
            let id = state.characteristic.id;
            work.give_back(state);
            return Ok(Err(ForeignEventError::Retired(id)));
        }
        let unknown = || ForeignEventError::UnknownCharacteristic(named.clone());
        let CharacteristicRef::Key(key) = named else { return Ok(Err(unknown())) };
        if !self.may_create {
            return Ok(Err(unknown()));
        }
        let definition = match CharacteristicKey::new(key.clone()) {
            Ok(key) => individuals(key),
            Err(error) => return Ok(Err(error.into())),
        };
        let id = work.transaction.next_characteristic_id();
        let (rules, created_at) = (RuleSet::default(), work.now);
        let created = Characteristic { id, definition, rules, created_at, is_retired: false };
        work.transaction.insert_characteristic(&created).await?;
        work.forget_keys();
        Ok(work.take(id).await?.ok_or_else(unknown))
    }
}

/// What is known of a characteristic of which only the key is.
fn individuals(key: CharacteristicKey) -> Definition {
    Definition {
        name: key.as_str().to_owned(),
        key: Some(key),
        description: None,
        chart: ChartKind::IMr,
        subgroup_size: 1,
        min_measurements: 1,
        unit: None,
        decimals: None,
        target: None,
        usl: None,
        lsl: None,
        group: None,
        tags: Vec::new(),
        reaction_plan: None,
        auto_limits_after: None,
    }
}

/// Whether a characteristic is the one that was named.
async fn is_named(
    named: &CharacteristicRef,
    id: CharacteristicId,
    work: &mut Work<'_>,
) -> Result<bool, StoreError> {
    Ok(match named {
        CharacteristicRef::Id(named) => *named == id,
        CharacteristicRef::Key(key) => work.id_of_key(key).await? == Some(id),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_for_a_severity_means_what_the_setting_says_and_ours_what_they_say() {
        let severities = [("Hoch".to_owned(), Severity::Critical), ("info".to_owned(), Severity::Critical)];
        let settings = Settings { severities: severities.into(), ..Settings::default() };
        assert_eq!(settings.severity("HOCH"), Some(Severity::Critical));
        assert_eq!(settings.severity(" warning "), Some(Severity::Warning));
        assert_eq!(settings.severity("INFO"), Some(Severity::Info));
        assert_eq!(settings.severity("dringend"), None);
    }
}
