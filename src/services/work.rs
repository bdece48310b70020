//! What a command works with: the transaction, and copies of the warm states it touches.

use std::collections::{HashMap, HashSet};

use chrono::{DateTime, Utc};

use crate::domain::episode::EpisodePolicy;
use crate::domain::event::Event;
use crate::domain::ids::CharacteristicId;
use crate::services::lookups::{Found, Lookups, Stored};
use crate::services::spc_engine::CharacteristicRef;
use crate::services::warm::{Warm, WarmState};
use crate::store::{KeyedSample, StoreError, Transaction};

/// One batch in the making. Dropped without a commit, it never was.
pub(super) struct Work<'a> {
    pub(super) transaction: Transaction,
    pub(super) now: DateTime<Utc>,
    pub(super) policy: EpisodePolicy,
    warm: &'a mut Warm,
    copies: HashMap<CharacteristicId, WarmState>,
    deleted: HashSet<CharacteristicId>,
    found: Found,
}

impl<'a> Work<'a> {
    /// Begins a batch with what its commands ask for. States that other processes have changed are read again.
    pub(super) async fn begin(
        mut transaction: Transaction,
        lookups: Lookups,
        (now, policy): (DateTime<Utc>, EpisodePolicy),
        warm: &'a mut Warm,
    ) -> Result<Self, StoreError> {
        warm.forget(transaction.elsewhere());
        let found = Found::look_up(lookups, &mut transaction).await?;
        Ok(Self { transaction, now, policy, warm, copies: HashMap::new(), deleted: HashSet::new(), found })
    }

    /// Takes the copy of a characteristic's state out, to be given back with [`Work::put`];
    /// `None` if there is no such characteristic.
    pub(super) async fn take(&mut self, id: CharacteristicId) -> Result<Option<WarmState>, StoreError> {
        if self.deleted.contains(&id) {
            return Ok(None);
        }
        if let Some(state) = self.copies.remove(&id).or_else(|| self.warm.copy(id)) {
            return Ok(Some(state));
        }
        WarmState::load(&mut self.transaction, id).await
    }

    /// The characteristic with a key.
    pub(super) async fn id_of_key(&mut self, key: &str) -> Result<Option<CharacteristicId>, StoreError> {
        self.found.id_of_key(key, &mut self.transaction).await
    }

    /// [`Work::take`] for a characteristic by either name.
    pub(super) async fn take_named(
        &mut self,
        named: &CharacteristicRef,
    ) -> Result<Option<WarmState>, StoreError> {
        let id = match named {
            CharacteristicRef::Id(id) => Some(*id),
            CharacteristicRef::Key(key) => self.id_of_key(key).await?,
        };
        match id {
            Some(id) => self.take(id).await,
            None => Ok(None),
        }
    }

    /// The sample with a key, if it is there already.
    pub(super) async fn stored(&mut self, keyed: &KeyedSample) -> Result<Option<Stored>, StoreError> {
        self.found.sample(keyed, &mut self.transaction).await
    }

    /// A sample that this transaction stores under a key.
    pub(super) fn remember(&mut self, keyed: KeyedSample, stored: Stored) {
        self.found.remember(keyed, stored);
    }

    /// Keys may name other characteristics from now on.
    pub(super) fn forget_keys(&mut self) {
        self.found.forget_keys();
    }

    /// Gives a state back, as the next command shall find it, and stores what is counted in it.
    pub(super) fn put(&mut self, state: WarmState) {
        let id = state.characteristic.id;
        self.transaction.stand(id, state.standing, state.alarm_state());
        self.copies.insert(id, state);
    }

    /// Gives back a state in which nothing has changed.
    pub(super) fn give_back(&mut self, state: WarmState) {
        self.copies.insert(state.characteristic.id, state);
    }

    /// Stores what is counted in the state of a characteristic that is deleted, which nobody takes again.
    pub(super) fn bury(&mut self, state: WarmState) {
        let id = state.characteristic.id;
        self.transaction.stand(id, state.standing, state.alarm_state());
        self.deleted.insert(id);
    }

    /// Stores what is counted in a state, and then forgets it: the next command reads it again.
    pub(super) async fn reload(&mut self, state: WarmState) -> Result<WarmState, StoreError> {
        let id = state.characteristic.id;
        self.transaction.stand(id, state.standing, state.alarm_state());
        self.transaction.flush().await?;
        let read = WarmState::load(&mut self.transaction, id).await?;
        Ok(read.expect("nothing is deleted under the lock that this transaction holds"))
    }

    /// Adds an event of this characteristic to the log.
    pub(super) fn append(&mut self, state: &mut WarmState, event: &Event) -> Result<u64, StoreError> {
        self.transaction.append(event, self.now, &mut state.standing.revision)
    }

    /// Commits, and then makes the copies the state.
    pub(super) async fn commit(self) -> Result<(), StoreError> {
        match self.transaction.commit().await {
            Ok(_) => {
                self.warm.accept(self.copies);
                self.deleted.into_iter().for_each(|id| self.warm.drop_one(id));
                Ok(())
            }
            Err(error) => {
                self.warm.clear();
                Err(error)
            }
        }
    }
}
