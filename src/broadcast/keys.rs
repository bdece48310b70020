//! Characteristics that a client names by the integrator's own keys.
//!
//! Found by a port, [`Catalog`], since the broadcaster does not know the store. Each subscription asks anew: a key may
//! have gone to another characteristic. What a client has joined it leaves under the same key, whatever the key names
//! by then; that is remembered here, for each client by itself.
//!
//! * **Full**: a client has as many keys as subscriptions, at most; more are refused before anybody is asked.
//! * **Late**: waiting for the answer delays only this client's own messages.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use tracing::warn;

use super::ports::Catalog;
use crate::domain::ids::CharacteristicId;
use crate::error_chain::error_chain;
use crate::protocol::problem::shortened;
use crate::protocol::socket::{ClientMessage, ErrorCode, Refusal};

/// The most unknown keys that a refusal names.
const NAMED: usize = 5;

/// The keys that one client has used.
pub struct KnownKeys {
    catalog: Arc<dyn Catalog>,
    most: usize,
    joined: HashMap<String, CharacteristicId>,
}

impl KnownKeys {
    pub(super) fn new(catalog: Arc<dyn Catalog>, most: usize) -> Self {
        Self { catalog, most, joined: HashMap::new() }
    }

    /// The client has left these, by whatever name.
    pub fn forget(&mut self, left: &[CharacteristicId]) {
        self.joined.retain(|_, id| !left.contains(id));
    }

    /// The message with the ids that `keys` stand for.
    ///
    /// # Errors
    /// [`Refusal`], if there are too many, one is unknown, or they cannot be looked up now.
    pub async fn complete(
        &mut self,
        message: ClientMessage,
        keys: Vec<String>,
    ) -> Result<ClientMessage, Refusal> {
        let refuse = |code, text| Refusal { code, message: text, request: Some(message.name().to_owned()) };
        let is_leaving = matches!(message, ClientMessage::Unsubscribe(_));
        let keys: BTreeSet<String> = keys.into_iter().collect();
        let new = keys.iter().filter(|key| !self.joined.contains_key(*key)).count();
        if !is_leaving && self.joined.len() + new > self.most {
            let text = format!("a client may subscribe to {} characteristics", self.most);
            return Err(refuse(ErrorCode::TooManySubscriptions, text));
        }
        let remembered = |key: &String| is_leaving.then(|| self.joined.get(key).copied()).flatten();
        let asked: Vec<String> = keys.iter().filter(|key| remembered(key).is_none()).cloned().collect();
        let found = if asked.is_empty() { Ok(HashMap::new()) } else { self.catalog.ids(&asked).await };
        let found = found.map_err(|error| {
            warn!(error = %error_chain(&error), "keys of a subscription could not be looked up");
            let text = "characteristic_keys cannot be looked up now: try again, or say characteristic_ids";
            refuse(ErrorCode::InvalidField, text.to_owned())
        })?;
        let unknown: Vec<_> = asked.iter().filter(|key| !found.contains_key(*key)).take(NAMED).collect();
        if !unknown.is_empty() {
            let text = format!("characteristic_keys: no characteristic has the key {unknown:?}");
            return Err(refuse(ErrorCode::InvalidField, shortened(text)));
        }
        let ids: Vec<_> =
            keys.iter().filter_map(|k| remembered(k).or_else(|| found.get(k).copied())).collect();
        if is_leaving {
            self.joined.retain(|key, _| !keys.contains(key));
        } else {
            self.joined.extend(found);
        }
        Ok(message.with(ids))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use async_trait::async_trait;

    use super::*;
    use crate::broadcast::ports::CatalogError;
    use crate::protocol::socket::{Subscription, Unsubscription};

    fn id(id: i64) -> CharacteristicId {
        CharacteristicId::try_from(id).expect("positive")
    }

    #[derive(Default)]
    struct KeysOnly(Mutex<HashMap<String, CharacteristicId>>);

    type Groups = HashMap<CharacteristicId, Option<String>>;

    #[async_trait]
    impl Catalog for KeysOnly {
        async fn ids(&self, keys: &[String]) -> Result<HashMap<String, CharacteristicId>, CatalogError> {
            let all = self.0.lock().expect("nobody panics with it");
            Ok(keys.iter().filter_map(|key| Some((key.clone(), *all.get(key)?))).collect())
        }

        async fn groups_of(&self, _: &[CharacteristicId]) -> Result<Groups, CatalogError> {
            Ok(Groups::new())
        }

        async fn groups(&self) -> Result<Groups, CatalogError> {
            Ok(Groups::new())
        }
    }

    fn subscribe(ids: Vec<CharacteristicId>) -> ClientMessage {
        ClientMessage::Subscribe(Subscription::these(ids))
    }

    #[tokio::test]
    async fn a_client_leaves_what_it_joined_although_the_key_has_gone_to_another() {
        let catalog = Arc::new(KeysOnly::default());
        let mut known = KnownKeys::new(Arc::clone(&catalog) as Arc<dyn Catalog>, 2);
        let bore = || vec!["bore".to_owned()];
        catalog.0.lock().expect("free").insert("bore".to_owned(), id(1));
        assert_eq!(known.complete(subscribe(vec![id(9)]), bore()).await, Ok(subscribe(vec![id(9), id(1)])));
        catalog.0.lock().expect("free").insert("bore".to_owned(), id(2));
        let left = known.complete(ClientMessage::Unsubscribe(Unsubscription::default()), bore()).await;
        assert_eq!(left, Ok(ClientMessage::Unsubscribe(Unsubscription { ids: vec![id(1)], groups: vec![] })));
        assert_eq!(known.complete(subscribe(vec![]), bore()).await, Ok(subscribe(vec![id(2)])));
    }

    #[tokio::test]
    async fn keys_that_are_unknown_or_too_many_are_refused() {
        let mut known = KnownKeys::new(Arc::new(KeysOnly::default()), 2);
        let refusal =
            known.complete(subscribe(vec![]), vec!["nobody".to_owned()]).await.expect_err("unknown");
        assert_eq!((refusal.code, refusal.request.as_deref()), (ErrorCode::InvalidField, Some("subscribe")));
        assert!(refusal.message.contains("nobody"), "{}", refusal.message);
        let many = ["a", "b", "c"].map(str::to_owned).to_vec();
        let refusal = known.complete(subscribe(vec![]), many).await.expect_err("too many");
        assert_eq!(refusal.code, ErrorCode::TooManySubscriptions);
    }
}
