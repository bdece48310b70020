//! A reload of the settings, over REST.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Answer of `POST /reload`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ReloadedView {
    /// The names of the receivers that can be told from now on.
    pub receivers: Vec<String>,
    /// Sections of the settings that have changed, too, and are not applied before a restart.
    pub needs_restart: Vec<String>,
}
