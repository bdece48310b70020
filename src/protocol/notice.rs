//! What receivers are told: the body of a notice.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::protocol::episode::EpisodeUpdate;
use crate::protocol::payload::ViolationView;
use crate::protocol::time;

/// People have to know something new of an episode: the episode as it is then, and a violation that shows it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Notice {
    #[serde(flatten)]
    pub update: EpisodeUpdate,
    /// What fired on the newest sample of the episode, the severest of it, as it was when the notice was made; null, if it
    /// is gone.
    pub violation: Option<ViolationView>,
    /// When the first of the samples was measured that the violation is about.
    #[serde(default, with = "time::optional")]
    pub pattern_began_at: Option<DateTime<Utc>>,
    /// What the owner of the characteristic wants to be done.
    #[serde(default)]
    pub reaction_plan: Option<String>,
}
