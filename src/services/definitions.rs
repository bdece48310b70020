//! Changes what its owner says about a characteristic, while samples come in.
//!
//! One command each, checked in this order: whether there is such a characteristic, whether the new definition holds
//! together, whether its key is free, and whether another chart or subgroup size needs a consent that is not given.
//! What differs is stored and announced; where nothing differs, nothing is. Points that were judged stay as they were.

use crate::domain::characteristic::{Characteristic, CharacteristicKey, Definition};
use crate::domain::definition_change::DefinitionChange;
use crate::domain::episode::ClosingReason;
use crate::domain::event::Changed;
use crate::domain::ids::CharacteristicId;
use crate::domain::rules::RuleSet;
use crate::services::catalog::{Catalog, CreateError, announce, change_rules, check_key};
use crate::services::episodes;
use crate::services::queue::{Command, CommitError};
use crate::services::warm::WarmState;
use crate::services::work::Work;
use crate::store::StoreError;

/// What a characteristic shall be.
#[derive(Debug, Clone, PartialEq)]
pub struct Redefinition<D> {
    /// Its definition, whole or as a change.
    pub definition: D,
    /// The run rules that judge it; `None`: those that do.
    pub rules: Option<RuleSet>,
    /// Retired or not; `None`: as it is.
    pub is_retired: Option<bool>,
    /// Consent to another chart or subgroup size although there are samples: the limits in force end with their phase,
    /// and the next one begins without.
    pub may_begin_phase: bool,
    /// Who says so.
    pub user: Option<String>,
}

/// Why a characteristic was not changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ChangeError {
    /// No such characteristic.
    #[error("characteristic {0} does not exist")]
    Unknown(CharacteristicId),
    /// Its definition does not hold together, or its key is taken.
    #[error(transparent)]
    Definition(#[from] CreateError),
    /// Its samples were taken for another chart.
    #[error(
        "characteristic {0} has samples: another chart or subgroup_size begins a new phase without control limits; \
         say new_phase: true if that is meant"
    )]
    HasSamples(CharacteristicId),
}

/// A characteristic that is as it was said to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Defined {
    /// Which.
    pub id: CharacteristicId,
    /// It was not there before.
    pub is_new: bool,
}

impl Catalog {
    /// Changes some of what is said about a characteristic.
    ///
    /// # Errors
    /// [`CommitError`], if nothing could be stored; the inner [`ChangeError`], if it cannot be so.
    pub async fn change(
        &self,
        id: CharacteristicId,
        to: Redefinition<DefinitionChange>,
    ) -> Result<Result<(), ChangeError>, CommitError> {
        self.queue.run(Change { id, to }).await
    }

    /// Makes the characteristic with this key what it shall be, and creates it if there is none.
    ///
    /// # Errors
    /// [`CommitError`], if nothing could be stored; the inner [`ChangeError`], if it cannot be so.
    pub async fn define(
        &self,
        key: CharacteristicKey,
        mut to: Redefinition<Definition>,
    ) -> Result<Result<Defined, ChangeError>, CommitError> {
        to.definition.key = Some(key.clone());
        match to.definition.checked() {
            Ok(definition) => self.queue.run(Define { key, to: Redefinition { definition, ..to } }).await,
            Err(error) => Ok(Err(CreateError::from(error).into())),
        }
    }
}

struct Change {
    id: CharacteristicId,
    to: Redefinition<DefinitionChange>,
}

impl Command for Change {
    type Answer = Result<(), ChangeError>;

    fn bytes(&self) -> usize {
        BYTES
    }

    async fn apply(&self, work: &mut Work<'_>) -> Result<Self::Answer, StoreError> {
        let Some(state) = work.take(self.id).await? else {
            return Ok(Err(ChangeError::Unknown(self.id)));
        };
        let before = state.characteristic.definition.clone();
        match self.to.definition.clone().applied_to(before).checked() {
            Ok(definition) => redefine(state, &self.to, definition, work).await,
            Err(error) => {
                work.give_back(state);
                Ok(Err(CreateError::from(error).into()))
            }
        }
    }
}

struct Define {
    key: CharacteristicKey,
    to: Redefinition<Definition>,
}

impl Command for Define {
    type Answer = Result<Defined, ChangeError>;

    fn bytes(&self) -> usize {
        BYTES
    }

    async fn apply(&self, work: &mut Work<'_>) -> Result<Self::Answer, StoreError> {
        let known = match work.id_of_key(self.key.as_str()).await? {
            Some(id) => work.take(id).await?,
            None => None,
        };
        if let Some(state) = known {
            let id = state.characteristic.id;
            let changed = redefine(state, &self.to, self.to.definition.clone(), work).await?;
            return Ok(changed.map(|()| Defined { id, is_new: false }));
        }
        let characteristic = Characteristic {
            id: work.transaction.next_characteristic_id(),
            definition: self.to.definition.clone(),
            rules: self.to.rules.unwrap_or_default(),
            created_at: work.now,
            is_retired: self.to.is_retired.unwrap_or(false),
        };
        work.transaction.insert_characteristic(&characteristic).await?;
        Ok(Ok(Defined { id: characteristic.id, is_new: true }))
    }
}

/// About what a definition with its texts adds to a transaction, and its event once more.
const BYTES: usize = 4_096;

async fn redefine<D>(
    mut state: WarmState,
    to: &Redefinition<D>,
    after: Definition,
    work: &mut Work<'_>,
) -> Result<Result<(), ChangeError>, StoreError> {
    let characteristic = Characteristic::clone(&state.characteristic);
    let (id, before) = (characteristic.id, characteristic.definition.clone());
    let revision = state.standing.revision;
    let has_new_key = after.key != before.key;
    if has_new_key && let Err(taken) = check_key(&after, work).await? {
        work.give_back(state);
        return Ok(Err(taken.into()));
    }
    let has_new_chart = (after.chart, after.subgroup_size) != (before.chart, before.subgroup_size);
    let mut new_phase = false;
    if has_new_chart {
        work.transaction.flush().await?; // its first sample may have come in this very transaction
        let has_samples = work.transaction.has_samples(id).await?;
        if has_samples && !to.may_begin_phase {
            work.give_back(state);
            return Ok(Err(ChangeError::HasSamples(id)));
        }
        // Limits without samples are not worth asking for, but they do not fit either.
        new_phase = has_samples || state.phase.is_some();
    }
    let is_retired = to.is_retired.filter(|is_retired| *is_retired != characteristic.is_retired);
    if after != before || is_retired.is_some() {
        let characteristic = Characteristic {
            definition: after.clone(),
            is_retired: is_retired.unwrap_or(characteristic.is_retired),
            ..characteristic
        };
        work.transaction.update_definition(&characteristic).await?;
        if is_retired == Some(true) {
            episodes::close(ClosingReason::Retired, &mut state, work)?;
        }
        if new_phase {
            episodes::close(ClosingReason::NewPhase, &mut state, work)?;
            let phase_from = work.transaction.clear_phase(id).await?;
            state.start_phase_without_limits(phase_from);
        }
        state.redefine(characteristic);
        let (before, after) = (Box::new(before), Box::new(after));
        let what = Changed::Definition { before, after, is_retired, new_phase };
        announce(what, &mut state, to.user.as_deref(), work)?;
    }
    if let Some(rules) = to.rules {
        change_rules(&mut state, rules, to.user.as_deref(), work).await?;
    }
    if has_new_key {
        work.forget_keys();
    }
    if state.standing.revision == revision {
        work.give_back(state);
    } else {
        work.put(state);
    }
    Ok(Ok(()))
}
