//! Tells people by mail: one to each recipient, in one conversation for each episode, with the control chart in it.
//!
//! * **The chart** is drawn when the mail leaves, and shows what is known then. A mail does not wait for it for long, and
//!   leaves without.
//! * **Each recipient** is a delivery of its own: one that the server refuses keeps nothing from the others.

mod mailer;
mod message;
mod settings;
mod templates;

use std::collections::BTreeMap;
use std::time::Duration;

use async_trait::async_trait;
use lettre::message::Mailbox;
use tokio::time::timeout;

use self::mailer::{Mailer, MailerError};
use self::message::{CHART, message};
use self::templates::{Chart, TemplateError, Templates};
use crate::domain::ids::CharacteristicId;
use crate::notify::notifier::{Alert, AlertNotifier, NotifyError, Receipt};
use crate::notify::surroundings::Surroundings;

pub use self::settings::{Encryption, Settings, SettingsError};

/// Why no mail can be sent.
#[derive(Debug, thiserror::Error)]
pub enum EmailError {
    /// A setting.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// The way to the mail server.
    #[error(transparent)]
    Mailer(#[from] MailerError),
    /// What mails say.
    #[error(transparent)]
    Template(#[from] TemplateError),
    /// Mails have links, and there is nowhere that they lead to.
    #[error("its mails link to this server: say in `site.public_url` where browsers find it")]
    NoPublicUrl,
}

/// Sends mails.
pub struct EmailNotifier {
    from: Mailbox,
    to: BTreeMap<String, Mailbox>,
    mailer: Mailer,
    templates: Templates,
    /// How long a mail waits for its chart; `None`: it has none.
    chart_timeout: Option<Duration>,
    surroundings: Surroundings,
}

impl EmailNotifier {
    /// A notifier that connects when there is something to tell. Reads templates, the password, and whom the machine trusts.
    ///
    /// # Errors
    /// [`EmailError`].
    pub fn new(settings: &Settings, surroundings: Surroundings) -> Result<Self, EmailError> {
        if surroundings.site.public_url.is_none() {
            return Err(EmailError::NoPublicUrl);
        }
        let to = settings.recipients()?.into_iter().map(|to| (to.email.to_string(), to)).collect();
        Ok(Self {
            from: settings.sender()?,
            to,
            mailer: Mailer::new(settings)?,
            templates: Templates::new(settings.templates.as_deref(), surroundings.site.clone())?,
            chart_timeout: settings.chart.then(|| Duration::from_millis(settings.chart_timeout_ms)),
            surroundings,
        })
    }

    async fn chart(&self, id: CharacteristicId) -> Option<Vec<u8>> {
        timeout(self.chart_timeout?, self.surroundings.pictures.control_chart(id)).await.ok()?
    }
}

#[async_trait]
impl AlertNotifier for EmailNotifier {
    async fn notify(&self, alert: &Alert) -> Result<Receipt, NotifyError> {
        // Who has left the settings gets no more; what was due to them before is tried until it is of no use any more.
        let to = self
            .to
            .get(&alert.recipient)
            .ok_or_else(|| NotifyError::permanent(format!("{} is no recipient any more", alert.recipient)))?;
        let chart = self.chart(alert.notice.update.episode.characteristic_id).await;
        let shown = match (&chart, self.chart_timeout) {
            (Some(_), _) => Chart::Part(CHART),
            (None, Some(_)) => Chart::Missing,
            (None, None) => Chart::Unwanted,
        };
        let said = self.templates.say(alert, shown);
        let between = (self.from.clone(), to.clone());
        let now = self.surroundings.clock.now().into();
        let mail = message(alert, between, now, said, chart).map_err(NotifyError::permanent)?;
        self.mailer.send(mail.envelope(), &mail.formatted()).await.map(Receipt::new)
    }

    fn recipients(&self) -> Vec<String> {
        self.to.keys().cloned().collect()
    }

    fn most_at_once(&self) -> u32 {
        100
    }
}
