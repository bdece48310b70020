//! Tells a receiver over HTTP: one `POST` for each alert.
//!
//! * **Success** is a status from 200 to 299 and nothing else. Redirects are not followed: nobody knows who is there.
//! * **Refused for good** are statuses that blame the request itself (400, 413, 414, 415, 422). 410 means that nothing is
//!   wanted any more. All others may be over one day: a wrong path, a missing permission, a maintenance page.
//! * **Signed** as Standard Webhooks says, if there are keys. `webhook-id` is the delivery's name.
//! * **Addresses** that are not on the internet are refused unless allowed, after names were resolved. Proxies of the
//!   environment are not used.
//! * **Answers** count by their heads. What they say is not read: it could take for ever, and many tell the address that was
//!   called, which is a secret.

mod address;
mod body;
mod settings;
mod signature;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use reqwest::header::{CONTENT_TYPE, RETRY_AFTER};
use reqwest::redirect::Policy;
use reqwest::{Client, Response, StatusCode, Url};
use rustls::RootCertStore;

use self::address::OnlyPublic;
use self::signature::Key;
use crate::clock::Clock;
use crate::notify::notifier::{Alert, AlertNotifier, NotifyError, Receipt};
use crate::tls;

pub use settings::{Format, Settings, SettingsError};

/// Tells one webhook.
pub struct WebhookNotifier {
    url: Url,
    format: Format,
    keys: Vec<Key>,
    http: Client,
    clock: Clock,
}

/// Why this machine cannot call a webhook, or which setting is wrong.
#[derive(Debug, thiserror::Error)]
pub enum WebhookError {
    /// A setting.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// It is encrypted, and nothing is trusted.
    #[error("nobody's certificate can be verified")]
    Trust(#[source] std::io::Error),
}

impl WebhookNotifier {
    /// A notifier that connects when there is something to tell. Reads the files that the settings name.
    ///
    /// # Errors
    /// [`WebhookError`].
    pub fn new(settings: &Settings, clock: Clock) -> Result<Self, WebhookError> {
        let keys = settings.read_keys()?;
        let (url, http) = connect(settings)?;
        Ok(Self { url, format: settings.format, keys, http, clock })
    }
}

/// Where a webhook is, and by what it is called.
pub(super) fn connect(settings: &Settings) -> Result<(Url, Client), WebhookError> {
    let url = settings.read_url()?;
    let roots = match url.scheme() {
        "https" => tls::trusted_roots().map_err(WebhookError::Trust)?,
        _ => RootCertStore::empty(),
    };
    let mut http = Client::builder()
        .tls_backend_preconfigured(tls::trusting(roots))
        .redirect(Policy::none())
        .no_proxy()
        .user_agent(concat!("andon/", env!("CARGO_PKG_VERSION")));
    if !settings.allow_private {
        http = http.dns_resolver(Arc::new(OnlyPublic));
    }
    let http = http.build().expect("TLS is configured, and nothing else can fail");
    Ok((url, http))
}

#[async_trait]
impl AlertNotifier for WebhookNotifier {
    async fn notify(&self, alert: &Alert) -> Result<Receipt, NotifyError> {
        let now = self.clock.now();
        let body = body::body(self.format, alert);
        let mut request = self
            .http
            .post(self.url.clone())
            .header(CONTENT_TYPE, body.media_type)
            .header("webhook-id", &alert.delivery_id)
            .header("webhook-timestamp", now.timestamp());
        if !self.keys.is_empty() {
            let signature =
                signature::signature(&self.keys, &alert.delivery_id, now.timestamp(), &body.bytes);
            request = request.header("webhook-signature", signature);
        }
        match request.body(body.bytes).send().await {
            Ok(response) => judge(&response, now),
            // Never arrived. The address may be a secret: it stands in no text.
            Err(error) if error.is_connect() || error.is_builder() => {
                Err(NotifyError::transient(error.without_url()))
            }
            Err(error) => Err(NotifyError::uncertain(error.without_url())),
        }
    }

    fn most_at_once(&self) -> u32 {
        match self.format {
            Format::Teams => 20, // it takes 28 KB
            _ => 100,
        }
    }
}

/// What an answer means.
fn judge(response: &Response, now: DateTime<Utc>) -> Result<Receipt, NotifyError> {
    let status = response.status();
    if status.is_success() {
        return Ok(Receipt::new(status.as_str()));
    }
    let text = format!("it answered {status}");
    Err(match (status, retry_after(response, now)) {
        (StatusCode::GONE, _) => NotifyError::gone(text),
        (
            StatusCode::BAD_REQUEST
            | StatusCode::PAYLOAD_TOO_LARGE
            | StatusCode::URI_TOO_LONG
            | StatusCode::UNSUPPORTED_MEDIA_TYPE
            | StatusCode::UNPROCESSABLE_ENTITY,
            _,
        ) => NotifyError::permanent(text),
        (_, Some(patience)) => NotifyError::busy(text, patience),
        (_, None) => NotifyError::transient(text),
    })
}

/// When it wants to be asked again: after so many seconds, or at a time.
fn retry_after(response: &Response, now: DateTime<Utc>) -> Option<Duration> {
    let text = response.headers().get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let at = DateTime::parse_from_rfc2822(text).ok()?;
    (at.to_utc() - now).to_std().ok()
}
