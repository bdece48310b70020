//! What another SPC backend has judged, under its own names.

use crate::domain::characteristic::{DefinitionError, is_visible};

/// Another system's name of one of its things. Unique within that system.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Origin {
    /// The system.
    pub source: String,
    /// Its own id; `None` where it told none.
    pub external_id: Option<String>,
}

/// The name that another system gives an event: `source` and `id` together are unique for ever.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ForeignEventId {
    /// The system.
    pub source: String,
    /// Its id of the event.
    pub id: String,
}

impl ForeignEventId {
    /// # Errors
    /// [`DefinitionError`], if either is not 1 to 128 visible characters.
    pub fn new(source: String, id: String) -> Result<Self, DefinitionError> {
        for (field, text) in [("source", &source), ("id", &id)] {
            if !is_visible(text) {
                return Err(DefinitionError { field, rule: "must be 1 to 128 visible characters" });
            }
        }
        Ok(Self { source, id })
    }
}
