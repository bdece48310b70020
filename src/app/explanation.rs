//! Explains what the routes of the settings would do with something, beside whoever serves the database.

use std::collections::BTreeSet;
use std::time::Duration;

use chrono::{DateTime, Utc};

use crate::clock::Clock;
use crate::domain::episode::EpisodeChange;
use crate::domain::rules::Severity;
use crate::notify::{self, OwnNotifiers, Plan, RouteVerdict, Subject, Surroundings};
use crate::settings::Settings;
use crate::store::{Inspection, StoreError};

/// Something that might happen.
#[derive(Debug, Clone)]
pub struct Asked {
    /// The characteristic's id or key.
    pub characteristic: String,
    /// How severe its episode would be.
    pub severity: Severity,
    /// The rules that would have fired.
    pub rules: BTreeSet<u32>,
    /// What would be new about it.
    pub change: EpisodeChange,
    /// When; `None`: now.
    pub at: Option<DateTime<Utc>>,
}

/// What would follow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Explained {
    /// The characteristic's name.
    pub name: String,
    /// Of each route, whether it matches and why not, and its receivers.
    pub routes: Vec<(String, Vec<String>)>,
    /// Who is told: the receiver, the step, and how long after.
    pub told: Vec<(String, u32, Option<Duration>)>,
}

/// Why it cannot be explained.
#[derive(Debug, thiserror::Error)]
pub enum ExplainError {
    /// Receivers or routes that cannot work.
    #[error(transparent)]
    Settings(#[from] notify::SettingsError),
    /// The database cannot be looked at.
    #[error("could not read the database")]
    Store(#[from] StoreError),
    /// There is none of that id or key.
    #[error("there is no characteristic {0:?}")]
    Unknown(String),
}

/// Looks the characteristic up, and asks the routes.
///
/// # Errors
/// [`ExplainError`].
pub async fn explain(settings: &Settings, asked: Asked) -> Result<Explained, ExplainError> {
    let clock = Clock::system();
    let at = asked.at.unwrap_or_else(|| clock.now());
    let surroundings = Surroundings::without_pictures(clock, settings.site.clone());
    let plan = Plan::new(settings.notify.clone(), OwnNotifiers::new(), &surroundings)?;
    let found = Inspection::open(&settings.store).await?.characteristic(&asked.characteristic).await?;
    let record = found.ok_or_else(|| ExplainError::Unknown(asked.characteristic.clone()))?;
    let definition = &record.characteristic.definition;
    let decision = plan.routes().decide(&Subject {
        change: asked.change,
        at,
        severity: asked.severity,
        characteristic: record.characteristic.id.to_string(),
        key: definition.key.as_ref().map(|key| key.as_str()),
        group: definition.group.as_deref(),
        tags: &definition.tags,
        rules: asked.rules,
    });
    let verdict = |verdict: &RouteVerdict| verdict.to_string();
    let routes = decision.routes.iter().map(verdict).zip(plan.routes().receivers()).collect();
    let told = decision.told.iter().map(|it| (it.receiver.to_owned(), it.step, it.after)).collect();
    Ok(Explained { name: definition.name.clone(), routes, told })
}
