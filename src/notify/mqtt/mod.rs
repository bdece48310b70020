//! Tells an MQTT 5 broker: one message for each alert, with quality of service 1; the broker's acknowledgement is success.
//!
//! * **State**: one connection, held by [`run`](AlertNotifier::run) as long as the deliverer lives, and begun anew when it
//!   breaks. Each has a session of its own, so that nothing is sent again by anybody but the ledger.
//! * **Retained**: the topic of a characteristic holds its newest alarm for who comes later. What is late about an older
//!   episode, as far as this process knows, or what an escalation tells, is sent and not retained.
//! * **Not there**: an alert waits a little for the connection, and is tried again later.
//! * **Breaks**: what was not acknowledged is sent once more over the next connection, as MQTT's own sessions do; after that
//!   it is uncertain.
//! * **Ends**: says `offline`, and goodbye. If it cannot, the broker says so: that is its last will.

mod link;
mod settings;
mod topic;

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::Duration;

use async_trait::async_trait;
use rumqttc::mqttbytes::v5::{PubAckReason, PublishProperties};
use rumqttc::{ClientError, PublishNoticeError, PublishOptions, PublishResult};
use serde_json::json;
use tokio_util::sync::CancellationToken;

use self::link::Link;
use self::topic::Topic;
use crate::clock;
use crate::domain::ids::{CharacteristicId, EpisodeId};
use crate::notify::event::event;
use crate::notify::notifier::{Alert, AlertNotifier, NotifyError, Receipt};
use crate::protocol::episode::EpisodeView;

pub use self::settings::{Encryption, Settings, SettingsError};
pub use self::topic::TopicError;

/// Why a broker cannot be told.
#[derive(Debug, thiserror::Error)]
pub enum MqttError {
    /// A setting.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// It is encrypted, and nothing is trusted.
    #[error("nobody's certificate can be verified")]
    Trust(#[source] std::io::Error),
}

/// Tells one broker.
pub struct MqttNotifier {
    link: Link,
    topic: Topic,
    retain: bool,
    /// The newest episode that was told of each characteristic, by this process.
    newest: Mutex<HashMap<CharacteristicId, EpisodeId>>,
}

impl MqttNotifier {
    /// A notifier that connects once it runs. Reads the password, and whom the machine trusts.
    ///
    /// # Errors
    /// [`MqttError`].
    pub fn new(settings: &Settings) -> Result<Self, MqttError> {
        let (topic, status) = settings.topics()?;
        let link = Link::new(settings, status)?;
        Ok(Self { link, topic, retain: settings.retain, newest: Mutex::default() })
    }

    /// Whether the broker keeps what is said of an episode.
    fn is_retained(&self, episode: &EpisodeView) -> bool {
        let mut newest = self.newest.lock().expect("no panic");
        let newest = newest.entry(episode.characteristic_id).or_insert(episode.id);
        *newest = (*newest).max(episode.id);
        self.retain && *newest == episode.id
    }

    fn options(&self, alert: &Alert) -> PublishOptions {
        let properties = PublishProperties {
            payload_format_indicator: Some(1), // UTF-8
            content_type: Some("application/json".to_owned()),
            user_properties: vec![("delivery_id".to_owned(), alert.delivery_id.clone())],
            ..PublishProperties::default()
        };
        let options = PublishOptions::at_least_once().properties(properties);
        // What an escalation tells may be older than what the others were told.
        let is_state = alert.step == 0 && self.is_retained(&alert.notice.update.episode);
        if is_state { options.retained() } else { options }
    }
}

#[async_trait]
impl AlertNotifier for MqttNotifier {
    async fn notify(&self, alert: &Alert) -> Result<Receipt, NotifyError> {
        let topic = self.topic.of(&alert.notice.update.episode);
        let (payload, options) = (payload(alert), self.options(alert));
        let mut lost = None;
        loop {
            let (client, is_first) = match (self.link.client().await, lost.take()) {
                (Ok(client), first) => (client, first.is_none()),
                (Err(_), Some(lost)) => return Err(lost), // what is known of the first time still is
                (Err(error), None) => return Err(error),
            };
            let error = match client.publish_tracked(topic.clone(), payload.clone(), options.clone()).await {
                Ok(notice) => match judge(notice.wait_async().await) {
                    Verdict::Told(outcome) => return outcome,
                    Verdict::Lost(error) => error,
                },
                Err(error @ ClientError::InvalidRequest(_)) => {
                    return Err(NotifyError::permanent(error.to_string()));
                }
                // Not taken up: the connection has just ended.
                Err(error) => NotifyError::transient(error.to_string()),
            };
            if !is_first {
                return Err(error);
            }
            self.link.has_lost(&client);
            lost = Some(error);
        }
    }

    async fn run(&self, stop: CancellationToken) {
        self.link.hold(stop).await;
    }
}

/// What an alert says: the notice, as a webhook has it, under the delivery's name.
fn payload(alert: &Alert) -> String {
    let mut payload = event(alert);
    payload["delivery_id"] = json!(alert.delivery_id);
    payload.to_string()
}

/// What became of a message.
enum Verdict {
    /// The broker has answered.
    Told(Result<Receipt, NotifyError>),
    /// The connection broke before it had.
    Lost(NotifyError),
}

fn judge(outcome: Result<PublishResult, PublishNoticeError>) -> Verdict {
    let reason = match outcome {
        Ok(PublishResult::Qos1(acknowledgement)) => acknowledgement.reason,
        Err(PublishNoticeError::V5PubAck(reason)) => reason,
        Err(error @ PublishNoticeError::RetainNotSupported) => {
            return Verdict::Told(Err(NotifyError::transient(error.to_string())));
        }
        Ok(other) => return Verdict::Lost(NotifyError::uncertain(format!("no acknowledgement: {other:?}"))),
        Err(error) => return Verdict::Lost(NotifyError::uncertain(format!("no acknowledgement: {error}"))),
    };
    Verdict::Told(match reason {
        PubAckReason::Success => Ok(Receipt::new("acknowledged")),
        PubAckReason::NoMatchingSubscribers => Ok(Receipt::new("acknowledged, nobody listens")),
        PubAckReason::TopicNameInvalid | PubAckReason::PayloadFormatInvalid => {
            Err(NotifyError::permanent(format!("the broker refuses it: {reason:?}")))
        }
        // Somebody will mend it: a permission, a quota, a setting of the broker.
        _ => Err(NotifyError::transient(format!("the broker does not take it: {reason:?}"))),
    })
}

/// A name by chance.
fn some_client_id() -> String {
    format!("andon-{:016x}", clock::nonce() as u64)
}

/// From settings.
fn ms(number: u64) -> Duration {
    Duration::from_millis(number)
}
