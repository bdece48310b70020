//! Where a webhook goes, and what it looks like there.

use std::fmt;
use std::path::PathBuf;

use reqwest::Url;
use serde::Deserialize;

use crate::notify::secret::{Secret, SecretError};
use crate::notify::webhook::address;
use crate::notify::webhook::signature::{Key, KeyError};

/// What the receiver understands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Format {
    /// An event as Standard Webhooks has it: `type`, `timestamp`, `data`.
    #[default]
    Andon,
    /// The same as a CloudEvent 1.0, in structured mode.
    CloudEvents,
    /// A message of a Slack incoming webhook.
    Slack,
    /// An adaptive card for a workflow of Microsoft Teams.
    Teams,
    /// An alert for version 2 of the Alertmanager's API.
    Alertmanager,
}

/// A webhook. An address often is a secret, too: neither it nor a key is ever shown.
#[derive(Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// `https://` or `http://`.
    pub url: Option<String>,
    /// A file that holds it instead.
    pub url_file: Option<PathBuf>,
    /// The environment variable that holds it instead.
    pub url_env: Option<String>,
    /// What the body is.
    pub format: Format,
    /// Keys that sign, each `whsec_` and base64: all of them do, so that a receiver can go from one to the next.
    pub secrets: Vec<String>,
    /// Files that hold keys instead.
    pub secret_files: Vec<PathBuf>,
    /// Environment variables that hold keys instead.
    pub secret_envs: Vec<String>,
    /// Whether it may go to addresses that are not on the internet: loopback, private, link-local and so on.
    pub allow_private: bool,
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings").field("format", &self.format).finish_non_exhaustive()
    }
}

/// A webhook that cannot be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SettingsError {
    /// No address, or two.
    #[error("it needs one of `url`, `url_file` and `url_env`")]
    OneUrl,
    /// No address that can be called.
    #[error("its address must begin with https:// or http:// and name a host, without user and password")]
    Url,
    /// An address that is not on the internet.
    #[error("its address is not on the internet; if that is meant, say `allow_private = true`")]
    Private,
    /// A key that cannot sign.
    #[error("its secret number {0} {1}")]
    Key(usize, KeyError),
    /// A secret that cannot be read.
    #[error(transparent)]
    Secret(#[from] SecretError),
}

impl Settings {
    /// The address, wherever it stands.
    pub(super) fn read_url(&self) -> Result<Url, SettingsError> {
        let elsewhere = Secret::read(self.url_file.as_deref(), self.url_env.as_deref())?;
        let text = match (&self.url, &elsewhere) {
            (Some(url), None) => url,
            (None, Some(secret)) => secret.reveal(),
            _ => return Err(SettingsError::OneUrl),
        };
        let url: Url = text.trim().parse().map_err(|_| SettingsError::Url)?;
        let is_plain = matches!(url.scheme(), "https" | "http") && url.has_host();
        if !is_plain || !url.username().is_empty() || url.password().is_some() {
            return Err(SettingsError::Url);
        }
        if !self.allow_private && address::is_private_literal(&url) {
            return Err(SettingsError::Private);
        }
        Ok(url)
    }

    /// The keys, wherever they stand.
    pub(super) fn read_keys(&self) -> Result<Vec<Key>, SettingsError> {
        let mut texts = self.secrets.clone();
        for file in &self.secret_files {
            texts.push(Secret::of_file(file)?.reveal().to_owned());
        }
        for variable in &self.secret_envs {
            texts.push(Secret::of_variable(variable)?.reveal().to_owned());
        }
        let key = |(place, text): (usize, &String)| {
            text.trim().parse().map_err(|error| SettingsError::Key(place + 1, error))
        };
        texts.iter().enumerate().map(key).collect()
    }
}
