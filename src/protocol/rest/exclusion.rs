//! Exclusion of samples over REST.

use serde::Deserialize;
use utoipa::ToSchema;

use crate::protocol::schema::Line;

/// Body of `PATCH /samples/{id}/exclude`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(examples(json!({"is_excluded": true, "reason": "gauge was not set to zero", "user": "ann"})))]
pub struct Exclude {
    /// Whether the sample counts as never taken from now on, or counts again.
    pub is_excluded: bool,
    #[schema(value_type = Line)]
    pub reason: String,
    /// Who decides, where no login says who.
    #[schema(value_type = Option<Line>)]
    pub user: Option<String>,
}
