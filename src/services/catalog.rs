//! The catalog: which characteristics there are, which rules judge them, which reasons operators choose from.

use std::collections::HashSet;

use crate::domain::characteristic::{Characteristic, Definition, DefinitionError, is_line};
use crate::domain::event::{Changed, CharacteristicChange, Event};
use crate::domain::ids::CharacteristicId;
use crate::domain::rules::RuleSet;
use crate::services::queue::{Command, CommitError, CommitQueue};
use crate::services::warm::WarmState;
use crate::services::work::Work;
use crate::store::StoreError;

/// The longest reason, in characters.
pub const MAX_REASON_CHARS: usize = 200;
const MAX_REASON_CODES: usize = 200;

/// Why a characteristic was not created.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CreateError {
    /// Its definition does not hold together.
    #[error(transparent)]
    Definition(#[from] DefinitionError),
    /// Another one has its key.
    #[error("characteristic {id} already has the key {key:?}")]
    KeyTaken {
        /// The key.
        key: String,
        /// Who has it.
        id: CharacteristicId,
    },
}

/// Why rules were not set.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RulesUpdateError {
    /// No such characteristic.
    #[error("characteristic {0} does not exist")]
    Unknown(CharacteristicId),
}

/// Why a list of reason codes was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReasonCodesError {
    /// None, or too many.
    #[error("there must be from 1 to 200 reason codes")]
    Count,
    /// Blank, too long, or more than a line.
    #[error("reason code {0} must be 1 to 200 characters on one line")]
    NotALine(usize),
    /// Named twice.
    #[error("reason code {0} is named twice")]
    Twice(usize),
}

/// Creates characteristics and changes their rules. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Catalog {
    pub(super) queue: CommitQueue,
}

impl Catalog {
    /// A catalog that commits through `queue`.
    pub fn new(queue: CommitQueue) -> Self {
        Self { queue }
    }

    /// Defines a characteristic.
    ///
    /// # Errors
    /// [`CommitError`], if nothing could be stored; the inner [`CreateError`], if it cannot be.
    pub async fn create(
        &self,
        definition: Definition,
        rules: RuleSet,
    ) -> Result<Result<Characteristic, CreateError>, CommitError> {
        match definition.checked() {
            Ok(definition) => self.queue.run(Create { definition, rules }).await,
            Err(error) => Ok(Err(error.into())),
        }
    }

    /// Sets the run rules of a characteristic, from its next sample on.
    ///
    /// # Errors
    /// [`CommitError`], if nothing could be stored; the inner [`RulesUpdateError`], if there is no such one.
    pub async fn set_rules(
        &self,
        id: CharacteristicId,
        rules: RuleSet,
        user: Option<String>,
    ) -> Result<Result<(), RulesUpdateError>, CommitError> {
        self.queue.run(SetRules { id, rules, user }).await
    }

    /// Replaces the reason codes.
    ///
    /// # Errors
    /// [`CommitError`], if nothing could be stored; the inner [`ReasonCodesError`], if the list cannot be.
    pub async fn replace_reason_codes(
        &self,
        names: Vec<String>,
    ) -> Result<Result<(), ReasonCodesError>, CommitError> {
        if let Err(error) = check_reason_codes(&names) {
            return Ok(Err(error));
        }
        self.queue.run(ReplaceReasonCodes(names)).await.map(Ok)
    }
}

fn check_reason_codes(names: &[String]) -> Result<(), ReasonCodesError> {
    if !(1..=MAX_REASON_CODES).contains(&names.len()) {
        return Err(ReasonCodesError::Count);
    }
    let mut seen = HashSet::new();
    for (index, name) in names.iter().enumerate() {
        if !is_line(name, MAX_REASON_CHARS) {
            return Err(ReasonCodesError::NotALine(index));
        }
        if !seen.insert(name) {
            return Err(ReasonCodesError::Twice(index));
        }
    }
    Ok(())
}

struct Create {
    definition: Definition,
    rules: RuleSet,
}

impl Command for Create {
    type Answer = Result<Characteristic, CreateError>;

    async fn apply(&self, work: &mut Work<'_>) -> Result<Self::Answer, StoreError> {
        if let Err(taken) = check_key(&self.definition, work).await? {
            return Ok(Err(taken));
        }
        let characteristic = Characteristic {
            id: work.transaction.next_characteristic_id(),
            definition: self.definition.clone(),
            rules: self.rules,
            created_at: work.now,
            is_retired: false,
        };
        work.transaction.insert_characteristic(&characteristic).await?;
        Ok(Ok(characteristic))
    }
}

/// Whether the key of a definition is free.
pub(super) async fn check_key(
    definition: &Definition,
    work: &mut Work<'_>,
) -> Result<Result<(), CreateError>, StoreError> {
    if let Some(key) = &definition.key
        && let Some(id) = work.id_of_key(key.as_str()).await?
    {
        return Ok(Err(CreateError::KeyTaken { key: key.as_str().to_owned(), id }));
    }
    Ok(Ok(()))
}

struct SetRules {
    id: CharacteristicId,
    rules: RuleSet,
    user: Option<String>,
}

impl Command for SetRules {
    type Answer = Result<(), RulesUpdateError>;

    async fn apply(&self, work: &mut Work<'_>) -> Result<Self::Answer, StoreError> {
        let Some(mut state) = work.take(self.id).await? else {
            return Ok(Err(RulesUpdateError::Unknown(self.id)));
        };
        change_rules(&mut state, self.rules, self.user.as_deref(), work).await?;
        work.put(state);
        Ok(Ok(()))
    }
}

/// Sets the rules of a characteristic, unless they are those already.
pub(super) async fn change_rules(
    state: &mut WarmState,
    rules: RuleSet,
    user: Option<&str>,
    work: &mut Work<'_>,
) -> Result<(), StoreError> {
    if state.characteristic.rules != rules {
        work.transaction.update_rules(state.characteristic.id, &rules).await?;
        state.redefine(Characteristic { rules, ..Characteristic::clone(&state.characteristic) });
        announce(Changed::Rules(Box::new(rules)), state, user, work)?;
    }
    Ok(())
}

/// Logs what has become of a characteristic.
pub(super) fn announce(
    what: Changed,
    state: &mut WarmState,
    user: Option<&str>,
    work: &mut Work<'_>,
) -> Result<(), StoreError> {
    let (characteristic_id, user) = (state.characteristic.id, user.map(str::to_owned));
    let change = CharacteristicChange { characteristic_id, what, user, at: work.now };
    work.append(state, &Event::CharacteristicChanged(change)).map(drop)
}

struct ReplaceReasonCodes(Vec<String>);

impl Command for ReplaceReasonCodes {
    type Answer = ();

    async fn apply(&self, work: &mut Work<'_>) -> Result<(), StoreError> {
        work.transaction.replace_reason_codes(&self.0).await
    }
}
