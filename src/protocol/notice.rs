//! What receivers are told: the body of a notice.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::protocol::episode::EpisodeUpdate;
use crate::protocol::payload::ViolationView;

/// People have to know something new of an episode: the episode as it is then, and its newest violation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Notice {
    #[serde(flatten)]
    pub update: EpisodeUpdate,
    /// The newest violation of the episode, as it was when the notice was made; null, if it is gone.
    pub violation: Option<ViolationView>,
}
