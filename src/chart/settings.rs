//! What is the same for everything that people on site read.

use chrono_tz::Tz;
use serde::Deserialize;

/// The place where the processes are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// In which people there read times.
    pub time_zone: Tz,
}

impl Default for Settings {
    fn default() -> Self {
        Self { time_zone: Tz::UTC }
    }
}
