//! Who is told what, and how patiently.

use chrono_tz::Tz;
use serde::Deserialize;

use crate::domain::episode::EpisodeChange;
use crate::domain::rules::Severity;
use crate::notify::email::{self, EmailError};
use crate::notify::heartbeat;
use crate::notify::mqtt::{self, MqttError};
use crate::notify::webhook::{self, WebhookError};
use crate::notify::windows::{NoTime, WindowSettings};

/// Receivers, routes to them, and the ledger between.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// Who can be told. None: the log of this process, and what the embedding program brings.
    pub receivers: Vec<ReceiverSettings>,
    /// What goes to whom, in order. None: everything to every receiver.
    pub routes: Vec<RouteSettings>,
    /// How often to look at the log and at the ledger without having been woken.
    pub poll_interval_ms: u64,
    /// Notices that are taken into the ledger in one transaction, at most.
    pub page_notices: u32,
    /// How long a stopping process waits for attempts under way: half of `stop.grace_ms` at most.
    pub stop_grace_ms: u64,
    /// How long the ledger keeps what is over; 0: for ever.
    pub kept_days: u32,
    /// How often the ledger is looked through for what is of no use any more, or has had its time.
    pub sweep_interval_ms: u64,
    /// What has been due for so long is told in the log as an error, and holds the heartbeat back.
    pub overdue_seconds: u32,
    /// The longest that a silence may last.
    pub silence_max_hours: u32,
    /// The most silences at a time.
    pub max_silences: u32,
    /// A page that is called as long as people can be told.
    pub heartbeat: heartbeat::Settings,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            receivers: Vec::new(),
            routes: Vec::new(),
            poll_interval_ms: 1_000,
            page_notices: 200,
            stop_grace_ms: 5_000,
            kept_days: 90,
            sweep_interval_ms: 10_000,
            overdue_seconds: 900,
            silence_max_hours: 7 * 24,
            max_silences: 1_000,
            heartbeat: heartbeat::Settings::default(),
        }
    }
}

impl Settings {
    /// The same, so that what is tried leaves nothing behind: a broker keeps no alarm that is not true, and does not take the
    /// serving process for gone.
    #[must_use]
    pub fn for_trial(mut self) -> Self {
        for mqtt in self.receivers.iter_mut().filter_map(|receiver| receiver.mqtt.as_mut()) {
            (mqtt.retain, mqtt.client_id, mqtt.status_topic) = (false, None, None);
        }
        self
    }
}

/// One receiver.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ReceiverSettings {
    /// What routes and the ledger call it.
    pub name: String,
    /// Whether it is the log of this process. One of a name that the embedding program has brought is that one.
    pub log: bool,
    /// The webhook that it is.
    pub webhook: Option<webhook::Settings>,
    /// The mails that it gets.
    pub email: Option<email::Settings>,
    /// The broker that it is.
    pub mqtt: Option<mqtt::Settings>,
    /// How long something waits for more that is told in the same message; 0: not at all.
    pub group_seconds: u32,
    /// The most messages in any `rate_seconds`; what is more is told in the next one. 0: as many as there are.
    pub rate_messages: u32,
    /// In how long.
    pub rate_seconds: u32,
    /// Attempts at a time.
    pub concurrency: u32,
    /// How long an attempt may take.
    pub timeout_ms: u64,
    /// The first wait after a failure is up to this long; each further one up to twice the one before.
    pub backoff_ms: u64,
    /// The longest wait after a failure, and the longest that a receiver may ask for.
    pub max_backoff_ms: u64,
    /// What came to nothing for so long is of no use any more.
    pub useful_minutes: u32,
    /// Failures in a row after which the receiver is left alone for a while.
    pub breaker_failures: u32,
    /// How long, until one attempt finds out whether it is back.
    pub breaker_pause_ms: u64,
}

impl Default for ReceiverSettings {
    fn default() -> Self {
        Self {
            name: String::new(),
            log: false,
            webhook: None,
            email: None,
            mqtt: None,
            group_seconds: 0,
            rate_messages: 0,
            rate_seconds: 60,
            concurrency: 4,
            timeout_ms: 30_000,
            backoff_ms: 1_000,
            max_backoff_ms: 300_000,
            useful_minutes: 24 * 60,
            breaker_failures: 5,
            breaker_pause_ms: 30_000,
        }
    }
}

/// What goes to whom. What is left out matches everything.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RouteSettings {
    /// Characteristics in one of these groups or below it.
    pub groups: Vec<String>,
    /// Characteristics with one of these ids or keys.
    pub characteristics: Vec<String>,
    /// Characteristics with one of these tags.
    pub tags: Vec<String>,
    /// Episodes in which one of these rules fired.
    pub rules: Vec<u32>,
    /// Episodes at least so severe.
    pub min_severity: Option<Severity>,
    /// Of their changes, these.
    pub notices: Vec<EpisodeChange>,
    /// Their times of the week: what happens in one of these windows.
    pub times: Vec<WindowSettings>,
    /// In which zone those are; left out: `site.time_zone`.
    pub time_zone: Option<Tz>,
    /// Who is told.
    pub receivers: Vec<String>,
    /// Who else is told as long as nobody answers, one step after the other.
    pub escalate: Vec<StepSettings>,
    /// How long after they were told they are reminded, again and again until somebody answers; 0: never.
    pub repeat_seconds: u64,
    /// Whether a pattern that is less severe than what they know of its episode goes to nobody.
    pub inhibit_lesser: bool,
    /// Whether later routes count, too, when this one matches.
    #[serde(rename = "continue")]
    pub goes_on: bool,
}

/// A step of an escalation.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct StepSettings {
    /// How long after the notice.
    pub after_seconds: u64,
    /// Who is told then.
    pub receivers: Vec<String>,
}

/// Settings that cannot work.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// A receiver without a usable name.
    #[error(
        "the setting notify.receivers[{0}].name must be 1 to 64 characters out of a-z, A-Z, 0-9, dot, hyphen and underscore"
    )]
    Name(usize),
    /// Two receivers of one name.
    #[error("the setting notify.receivers has {0:?} twice")]
    Twice(String),
    /// Nothing says what it is.
    #[error(
        "the receiver {0:?} in notify.receivers is of no kind: it needs `log = true`, `webhook`, `email`, `mqtt`, or a notifier of that name"
    )]
    NoKind(String),
    /// Two things say what it is.
    #[error(
        "the receiver {0:?} in notify.receivers is of two kinds: it may have `log = true`, `webhook`, `email`, `mqtt`, or a notifier of that name"
    )]
    TwoKinds(String),
    /// Nobody is reached by it, or somebody twice.
    #[error(
        "the receiver {0:?} must have recipients, each once, of at most 320 characters and without control characters"
    )]
    Recipients(String),
    /// A webhook that cannot be called.
    #[error("the webhook of the receiver {0:?} in notify.receivers cannot be called")]
    Webhook(String, #[source] WebhookError),
    /// A heartbeat that nobody can hear.
    #[error("the page in notify.heartbeat cannot be called")]
    Heartbeat(#[source] WebhookError),
    /// A mail that would wait for its chart until it is too late.
    #[error(
        "the setting email.chart_timeout_ms of the receiver {0:?} in notify.receivers must be less than its timeout_ms"
    )]
    ChartTimeout(String),
    /// Its messages tell one thing each.
    #[error(
        "the receiver {0:?} in notify.receivers cannot be told of several things in one message: group_seconds must be 0"
    )]
    Group(String),
    /// Mails that cannot be sent.
    #[error("the mails to the receiver {0:?} in notify.receivers cannot be sent")]
    Email(String, #[source] EmailError),
    /// A broker that cannot be told.
    #[error("the broker of the receiver {0:?} in notify.receivers cannot be told")]
    Mqtt(String, #[source] MqttError),
    /// Something has to be at least 1.
    #[error("the setting {key} of the receiver {receiver:?} in notify.receivers must be at least 1")]
    Zero {
        /// Whose.
        receiver: String,
        /// Which.
        key: &'static str,
    },
    /// A route to nobody.
    #[error("the setting {0} names nobody")]
    NoReceiver(String),
    /// No time of day.
    #[error("the setting notify.routes[{0}].times cannot be: {1}")]
    Time(usize, NoTime),
    /// Steps that go back.
    #[error(
        "the setting notify.routes[{0}].escalate must have steps of at least 1 second, each later than the one before"
    )]
    Steps(usize),
    /// A route to somebody who is not there.
    #[error("the setting {key} names {receiver:?}, which is none of: {known}")]
    UnknownReceiver {
        /// Which setting.
        key: String,
        /// Whom it names.
        receiver: String,
        /// Who is there.
        known: String,
    },
}
