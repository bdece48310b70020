//! Explains what the routes of the settings would do with something, beside whoever serves the database.

use std::collections::BTreeSet;
use std::time::Duration;

use chrono::{DateTime, Utc};

use crate::clock::Clock;
use crate::domain::episode::EpisodeChange;
use crate::domain::rules::Severity;
use crate::domain::silence::{Alarm, Silence};
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
    /// Who is told.
    pub told: Vec<WouldBeTold>,
}

/// Somebody who would be told of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WouldBeTold {
    /// The receiver.
    pub receiver: String,
    /// At which step.
    pub step: u32,
    /// How long after; `None`: at once.
    pub after: Option<Duration>,
    /// How long after that they are reminded, and so on; `None`: never.
    pub remind_after: Option<Duration>,
    /// What holds it back then.
    pub silence: Option<Silence>,
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
    let mut inspection = Inspection::open(&settings.store).await?;
    let found = inspection.characteristic(&asked.characteristic).await?;
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
    let silences = inspection.silences().await?;
    let alarm = Alarm {
        characteristic_id: record.characteristic.id,
        group: definition.group.as_deref(),
        tags: &definition.tags,
        severity: Some(asked.severity),
    };
    let told = decision.told.iter().map(|told| {
        let holds = |it: &&Silence| {
            it.created_at <= at && at < it.ends_at && it.silenced.covers(&alarm, told.receiver)
        };
        WouldBeTold {
            receiver: told.receiver.to_owned(),
            step: told.step,
            after: told.after,
            remind_after: told.remind_after,
            silence: silences.iter().find(holds).cloned(),
        }
    });
    let told = told.collect();
    Ok(Explained { name: definition.name.clone(), routes, told })
}
