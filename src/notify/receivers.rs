//! Who can be told: the receivers of the settings, and those that the embedding program brings.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::Notify;

use crate::notify::email::EmailNotifier;
use crate::notify::log::LogNotifier;
use crate::notify::mqtt::MqttNotifier;
use crate::notify::notifier::AlertNotifier;
use crate::notify::settings::{ReceiverSettings, Settings, SettingsError};
use crate::notify::surroundings::Surroundings;
use crate::notify::webhook::WebhookNotifier;

/// The receiver of a bare installation.
const LOG: &str = "log";

/// Notifiers that the embedding program brings, by the name of their receiver.
pub type OwnNotifiers = BTreeMap<String, Arc<dyn AlertNotifier>>;

/// One receiver, ready to be told.
#[derive(Clone)]
pub struct Receiver {
    /// How patiently; its name is in there.
    pub settings: ReceiverSettings,
    /// How it is told.
    pub notifier: Arc<dyn AlertNotifier>,
    /// Whom it reaches.
    pub recipients: Vec<String>,
    /// A hint that something is due to it.
    pub(super) wake: Arc<Notify>,
    /// It is left alone for now, or wants nothing any more.
    pub(super) is_out_of_reach: Arc<AtomicBool>,
}

impl fmt::Debug for Receiver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Receiver").field("settings", &self.settings).finish_non_exhaustive()
    }
}

impl Receiver {
    /// Asks the notifier once whom it reaches: nothing that it says later can confuse the ledger.
    fn new(settings: ReceiverSettings, notifier: Arc<dyn AlertNotifier>) -> Result<Self, SettingsError> {
        let recipients = notifier.recipients();
        let each_once: BTreeSet<_> = recipients.iter().collect();
        let is_text = |recipient: &String| recipient.len() <= 320 && !recipient.contains(char::is_control);
        if recipients.is_empty() || each_once.len() < recipients.len() || !recipients.iter().all(is_text) {
            return Err(SettingsError::Recipients(settings.name));
        }
        if settings.group_seconds > 0 && notifier.most_at_once() < 2 {
            return Err(SettingsError::Group(settings.name));
        }
        Ok(Self { settings, notifier, recipients, wake: Arc::default(), is_out_of_reach: Arc::default() })
    }
}

/// All receivers, in the order of the settings.
#[derive(Debug, Clone)]
pub struct Receivers(Vec<Receiver>);

impl Receivers {
    /// The receivers that the settings and the embedding program name. One that only the program names has the defaults.
    ///
    /// # Errors
    /// [`SettingsError`].
    pub fn new(
        settings: &Settings,
        mut own: OwnNotifiers,
        surroundings: &Surroundings,
    ) -> Result<Self, SettingsError> {
        let mut receivers = Vec::new();
        let mut names = BTreeSet::new();
        for (place, receiver) in settings.receivers.iter().enumerate() {
            check_name(place, &receiver.name)?;
            check_numbers(receiver)?;
            if !names.insert(receiver.name.clone()) {
                return Err(SettingsError::Twice(receiver.name.clone()));
            }
            let notifier = notifier(receiver, own.remove(&receiver.name), surroundings)?;
            receivers.push(Receiver::new(receiver.clone(), notifier)?);
        }
        for (place, (name, notifier)) in own.into_iter().enumerate() {
            check_name(place, &name)?;
            let settings = ReceiverSettings { name, ..ReceiverSettings::default() };
            receivers.push(Receiver::new(settings, notifier)?);
        }
        if settings.receivers.is_empty() && receivers.iter().all(|receiver| receiver.settings.name != LOG) {
            let settings =
                ReceiverSettings { name: LOG.to_owned(), log: true, ..ReceiverSettings::default() };
            receivers.push(Receiver::new(settings, Arc::new(LogNotifier))?);
        }
        Ok(Self(receivers))
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &Receiver> {
        self.0.iter()
    }

    /// Those that cannot be told just now.
    pub fn out_of_reach(&self) -> Vec<String> {
        let them = self.0.iter().filter(|receiver| receiver.is_out_of_reach.load(Ordering::Relaxed));
        them.map(|receiver| receiver.settings.name.clone()).collect()
    }

    /// The one of this name.
    pub fn named(&self, name: &str) -> Option<&Receiver> {
        self.0.iter().find(|receiver| receiver.settings.name == name)
    }
}

/// The one notifier that a receiver is told by.
fn notifier(
    receiver: &ReceiverSettings,
    own: Option<Arc<dyn AlertNotifier>>,
    surroundings: &Surroundings,
) -> Result<Arc<dyn AlertNotifier>, SettingsError> {
    let name = || receiver.name.clone();
    let ReceiverSettings { log, webhook, email, mqtt, .. } = receiver;
    let mut kinds: Vec<Arc<dyn AlertNotifier>> = own.into_iter().collect();
    if *log {
        kinds.push(Arc::new(LogNotifier));
    }
    if let Some(webhook) = webhook {
        let notifier = WebhookNotifier::new(webhook, surroundings.clock.clone());
        kinds.push(Arc::new(notifier.map_err(|error| SettingsError::Webhook(name(), error))?));
    }
    if let Some(email) = email {
        if email.chart && email.chart_timeout_ms >= receiver.timeout_ms {
            return Err(SettingsError::ChartTimeout(name()));
        }
        let notifier = EmailNotifier::new(email, surroundings.clone());
        kinds.push(Arc::new(notifier.map_err(|error| SettingsError::Email(name(), error))?));
    }
    if let Some(mqtt) = mqtt {
        let notifier = MqttNotifier::new(mqtt);
        kinds.push(Arc::new(notifier.map_err(|error| SettingsError::Mqtt(name(), error))?));
    }
    match (kinds.pop(), kinds.is_empty()) {
        (Some(notifier), true) => Ok(notifier),
        (Some(_), false) => Err(SettingsError::TwoKinds(name())),
        (None, _) => Err(SettingsError::NoKind(name())),
    }
}

fn check_name(place: usize, name: &str) -> Result<(), SettingsError> {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    let is_usable = (1..=64).contains(&name.len()) && name.chars().all(is_plain);
    is_usable.then_some(()).ok_or(SettingsError::Name(place))
}

fn check_numbers(receiver: &ReceiverSettings) -> Result<(), SettingsError> {
    let numbers = [
        ("concurrency", receiver.concurrency.into()),
        ("timeout_ms", receiver.timeout_ms),
        ("backoff_ms", receiver.backoff_ms),
        ("max_backoff_ms", receiver.max_backoff_ms),
        ("useful_minutes", receiver.useful_minutes.into()),
        ("rate_seconds", receiver.rate_seconds.into()),
        ("breaker_failures", receiver.breaker_failures.into()),
        ("breaker_pause_ms", receiver.breaker_pause_ms),
    ];
    match numbers.into_iter().find(|(_, number)| *number == 0u64) {
        Some((key, _)) => Err(SettingsError::Zero { receiver: receiver.name.clone(), key }),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Clock;
    use crate::notify::webhook;
    use crate::site;

    fn named(name: &str) -> ReceiverSettings {
        ReceiverSettings { name: name.to_owned(), log: true, ..ReceiverSettings::default() }
    }

    fn built(receivers: Vec<ReceiverSettings>, own: &[&str]) -> Result<Vec<String>, String> {
        let settings = Settings { receivers, ..Settings::default() };
        let notifier = |name: &&str| ((*name).to_owned(), Arc::new(LogNotifier) as Arc<dyn AlertNotifier>);
        let surroundings = Surroundings::without_pictures(Clock::system(), site::Settings::default());
        let built = Receivers::new(&settings, own.iter().map(notifier).collect(), &surroundings);
        let built = built.map_err(|error| error.to_string())?;
        Ok(built.iter().map(|receiver| receiver.settings.name.clone()).collect())
    }

    #[test]
    fn a_bare_installation_tells_its_log_and_whom_the_program_brings() {
        assert_eq!(built(vec![], &[]), Ok(vec!["log".to_owned()]));
        assert_eq!(built(vec![], &["scada"]), Ok(vec!["scada".to_owned(), "log".to_owned()]));
        assert_eq!(built(vec![], &["log"]), Ok(vec!["log".to_owned()]), "its own");
        assert_eq!(built(vec![named("night")], &[]), Ok(vec!["night".to_owned()]));
    }

    #[test]
    fn a_receiver_of_no_kind_of_two_or_twice_is_refused() {
        let refused = |receivers, own: &[&str]| built(receivers, own).expect_err("refused");
        let silent = ReceiverSettings { log: false, ..named("scada") };
        assert!(refused(vec![silent.clone()], &[]).contains("\"scada\" in notify.receivers is of no kind"));
        assert_eq!(built(vec![silent], &["scada"]), Ok(vec!["scada".to_owned()]));
        assert!(refused(vec![named("scada")], &["scada"]).contains("is of two kinds"));
        let webhook = webhook::Settings { url: Some("https://example.com".to_owned()), ..Default::default() };
        let both = ReceiverSettings { webhook: Some(webhook), ..named("a") };
        assert!(refused(vec![both], &[]).contains("is of two kinds"));
        assert!(refused(vec![named("a"), named("a")], &[]).contains("\"a\" twice"));
        for bad in ["", "a b", "a/b", "é", &"x".repeat(65)] {
            assert!(refused(vec![named("a"), named(bad)], &[]).contains("receivers[1].name"), "{bad}");
        }
        let zero = ReceiverSettings { timeout_ms: 0, ..named("a") };
        let told = refused(vec![zero], &[]);
        assert_eq!(
            told,
            "the setting timeout_ms of the receiver \"a\" in notify.receivers must be at least 1"
        );
    }
}
