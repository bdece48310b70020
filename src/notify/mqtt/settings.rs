//! Which broker is told, how, and on which topics.

use std::path::PathBuf;

use serde::Deserialize;

use crate::notify::mqtt::topic::{Topic, TopicError};
use crate::notify::secret::{LoginError, Secret, login};

/// How the way to the broker is encrypted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Encryption {
    /// TLS from the beginning.
    #[default]
    Tls,
    /// None: whatever is said on the way can be read there, a password too.
    None,
}

/// A broker of MQTT 5.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// The broker's name.
    pub server: String,
    /// Its port; left out: 8883 for `tls`, 1883 for `none`.
    pub port: Option<u16>,
    /// How the way there is encrypted.
    pub encryption: Encryption,
    /// Who logs in; left out: nobody does.
    pub user: Option<String>,
    /// A file that holds the password.
    pub password_file: Option<PathBuf>,
    /// The environment variable that holds the password.
    pub password_env: Option<String>,
    /// What this client is called, one name for each process; left out: one by chance.
    pub client_id: Option<String>,
    /// The topic of a characteristic's alarms, with `{group}`, `{characteristic}` (its id) and `{key}` (or its id).
    pub topic: String,
    /// Whether the broker keeps the newest alarm of each characteristic for who comes later.
    pub retain: bool,
    /// Where `online` and `offline` stand, retained: the broker itself says `offline` when the connection breaks.
    pub status_topic: Option<String>,
    /// How long a silent connection stays without a ping.
    pub keep_alive_seconds: u16,
    /// How long connecting may take, and an alert waits for a connection.
    pub connect_timeout_ms: u64,
    /// The first wait before connecting again is up to this long; each further one up to twice the one before.
    pub reconnect_ms: u64,
    /// The longest.
    pub max_reconnect_ms: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            server: String::new(),
            port: None,
            encryption: Encryption::Tls,
            user: None,
            password_file: None,
            password_env: None,
            client_id: None,
            topic: "andon/{group}/{characteristic}/alarm".to_owned(),
            retain: true,
            status_topic: Some("andon/status".to_owned()),
            keep_alive_seconds: 30,
            connect_timeout_ms: 5_000,
            reconnect_ms: 1_000,
            max_reconnect_ms: 30_000,
        }
    }
}

/// What is wrong with them.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// Nowhere to go.
    #[error("`server` must name the broker")]
    NoServer,
    /// No topic.
    #[error("`{key}` {error}")]
    Topic {
        /// Which.
        key: &'static str,
        /// Why.
        error: TopicError,
    },
    /// A time that cannot be.
    #[error("`{0}` must be at least {1}")]
    TooShort(&'static str, u32),
    /// Who logs in.
    #[error(transparent)]
    Login(#[from] LoginError),
}

impl Settings {
    /// The port, wherever it comes from.
    pub(super) fn port(&self) -> u16 {
        self.port.unwrap_or(match self.encryption {
            Encryption::Tls => 8883,
            Encryption::None => 1883,
        })
    }

    /// The topics, checked, and the numbers with them.
    pub(super) fn topics(&self) -> Result<(Topic, Option<String>), SettingsError> {
        if self.server.trim().is_empty() {
            return Err(SettingsError::NoServer);
        }
        if self.keep_alive_seconds < 5 {
            return Err(SettingsError::TooShort("keep_alive_seconds", 5));
        }
        let times = [
            ("connect_timeout_ms", self.connect_timeout_ms),
            ("reconnect_ms", self.reconnect_ms),
            ("max_reconnect_ms", self.max_reconnect_ms),
        ];
        for (key, ms) in times {
            if ms == 0 {
                return Err(SettingsError::TooShort(key, 1));
            }
        }
        let topic =
            |key, text: &str| text.parse::<Topic>().map_err(|error| SettingsError::Topic { key, error });
        let status = self.status_topic.as_deref().map(|text| topic("status_topic", text)).transpose()?;
        if status.as_ref().is_some_and(Topic::has_placeholders) {
            return Err(SettingsError::Topic { key: "status_topic", error: TopicError::Placeholder });
        }
        let alarms = topic("topic", &self.topic)?;
        if !alarms.tells_apart() {
            return Err(SettingsError::Topic { key: "topic", error: TopicError::Same });
        }
        Ok((alarms, status.map(|status| status.text())))
    }

    /// Reads the password.
    pub(super) fn login(&self) -> Result<Option<(String, Secret)>, SettingsError> {
        let (file, variable) = (self.password_file.as_deref(), self.password_env.as_deref());
        Ok(login(self.user.as_deref(), file, variable)?)
    }
}
