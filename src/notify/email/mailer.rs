//! Hands mails to the mail server, and says what became of each.
//!
//! The library speaks SMTP; here is what it does not tell: how far a conversation had come when it broke. Until the mail's
//! last byte was sent, it has not arrived. After that and before the answer, nobody knows.
//!
//! * **State**: connections at rest, each used by one mail at a time; as many as mails were under way at once.
//! * **Late**: the deliverer ends an attempt by dropping it, and with it the connection.
//! * **Refused**: what blames the recipient or the mail (5xx after `RCPT` or the mail) is for good. What blames the login, the
//!   sender or the machine is tried again: somebody will mend it.

use std::fmt::Display;
use std::sync::Mutex;
use std::time::Duration;

use lettre::address::Envelope;
use lettre::transport::smtp::Error as SmtpError;
use lettre::transport::smtp::authentication::{Credentials, DEFAULT_MECHANISMS};
use lettre::transport::smtp::client::{AsyncSmtpConnection, TlsParameters};
use lettre::transport::smtp::commands::{Data, Mail, Rcpt};
use lettre::transport::smtp::extension::{ClientId, Extension, MailParameter};
use lettre::transport::smtp::response::Response;
use tokio::time::Instant;

use crate::notify::email::settings::{Encryption, Login, Settings, SettingsError};
use crate::notify::notifier::NotifyError;

/// The way to one mail server.
pub struct Mailer {
    server: (String, u16),
    encryption: Encryption,
    tls: Option<TlsParameters>,
    login: Option<Credentials>,
    hello: ClientId,
    idle: Duration,
    resting: Mutex<Vec<Resting>>,
}

/// A connection that has nothing to do since then.
struct Resting {
    connection: AsyncSmtpConnection,
    since: Instant,
}

/// How far a conversation has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// Getting ready: nothing of it blames the mail.
    Greeting,
    /// The mail is announced: whom it is for.
    Recipient,
    /// All of the mail is on its way.
    Mail,
}

/// A conversation that broke.
struct Broken {
    stage: Stage,
    error: SmtpError,
}

impl Stage {
    fn of<T>(self, outcome: Result<T, SmtpError>) -> Result<T, Broken> {
        outcome.map_err(|error| Broken { stage: self, error })
    }
}

impl Mailer {
    /// Connects when there is something to send. Reads whom the machine trusts.
    pub fn new(settings: &Settings) -> Result<Self, MailerError> {
        if settings.server.trim().is_empty() {
            return Err(SettingsError::NoServer.into());
        }
        let tls = match settings.encryption {
            Encryption::None => None,
            Encryption::Starttls | Encryption::Tls => {
                Some(TlsParameters::new(settings.server.clone()).map_err(MailerError::Tls)?)
            }
        };
        let login = settings
            .login()?
            .map(|Login { user, password }| Credentials::new(user, password.reveal().to_owned()));
        Ok(Self {
            server: (settings.server.clone(), settings.port.unwrap_or(settings.encryption.port())),
            encryption: settings.encryption,
            tls,
            login,
            hello: ClientId::default(),
            idle: Duration::from_millis(settings.idle_ms),
            resting: Mutex::default(),
        })
    }

    /// Sends one mail to one recipient; says what the server answered.
    pub async fn send(&self, envelope: &Envelope, mail: &[u8]) -> Result<String, NotifyError> {
        if let Some(mut connection) = self.rested() {
            match self.converse(&mut connection, envelope, mail).await {
                // It has rested for too long in the server's eyes.
                Err(Broken { stage: Stage::Greeting, .. }) => {}
                outcome => return self.end(connection, outcome),
            }
        }
        let mut connection = self.connect().await.map_err(|error| judge(Stage::Greeting, &error))?;
        let outcome = self.converse(&mut connection, envelope, mail).await;
        self.end(connection, outcome)
    }

    fn end(
        &self,
        connection: AsyncSmtpConnection,
        outcome: Result<Response, Broken>,
    ) -> Result<String, NotifyError> {
        let answer = outcome.map_err(|Broken { stage, error }| judge(stage, &error))?;
        let since = Instant::now();
        self.resting.lock().expect("no panic").push(Resting { connection, since });
        let text = answer.message().collect::<Vec<_>>().join(" ");
        Ok(format!("{} {text}", answer.code()))
    }

    /// The connection that was used last; those that nobody has used for too long are closed.
    fn rested(&self) -> Option<AsyncSmtpConnection> {
        let mut resting = self.resting.lock().expect("no panic");
        resting.retain(|it| it.since.elapsed() < self.idle);
        resting.pop().map(|it| it.connection)
    }

    async fn connect(&self) -> Result<AsyncSmtpConnection, SmtpError> {
        let (server, port) = &self.server;
        let from_the_beginning = self.tls.clone().filter(|_| self.encryption == Encryption::Tls);
        let address = (server.as_str(), *port);
        // The deliverer watches over the time.
        let mut connection =
            AsyncSmtpConnection::connect_tokio1(address, None, &self.hello, from_the_beginning, None).await?;
        if let (Encryption::Starttls, Some(tls)) = (self.encryption, &self.tls) {
            connection.starttls(tls.clone(), &self.hello).await?;
        }
        if let Some(credentials) = &self.login {
            connection.auth(DEFAULT_MECHANISMS, credentials).await?;
        }
        Ok(connection)
    }

    async fn converse(
        &self,
        connection: &mut AsyncSmtpConnection,
        envelope: &Envelope,
        mail: &[u8],
    ) -> Result<Response, Broken> {
        let mut parameters = Vec::new();
        let mut addresses = envelope.from().into_iter().chain(envelope.to());
        let is_international = addresses.any(|address| !AsRef::<str>::as_ref(address).is_ascii());
        // A server that does not know such addresses refuses them by itself.
        if is_international && connection.server_info().supports_feature(Extension::SmtpUtfEight) {
            parameters.push(MailParameter::SmtpUtfEight);
        }
        say(connection, Stage::Greeting, Mail::new(envelope.from().cloned(), parameters)).await?;
        for recipient in envelope.to() {
            say(connection, Stage::Recipient, Rcpt::new(recipient.clone(), Vec::new())).await?;
        }
        say(connection, Stage::Recipient, Data).await?;
        Stage::Mail.of(connection.message(mail).await)
    }
}

async fn say(
    connection: &mut AsyncSmtpConnection,
    stage: Stage,
    command: impl Display,
) -> Result<Response, Broken> {
    stage.of(connection.command(command).await)
}

/// What a broken conversation means for the next attempt.
fn judge(stage: Stage, error: &SmtpError) -> NotifyError {
    let text = error.to_string(); // its causes are in there
    match stage {
        Stage::Greeting => NotifyError::transient(text),
        Stage::Recipient | Stage::Mail if error.is_permanent() => NotifyError::permanent(text),
        Stage::Mail if !error.is_transient() => NotifyError::uncertain(text),
        Stage::Recipient | Stage::Mail => NotifyError::transient(text),
    }
}

/// Why no mail can leave.
#[derive(Debug, thiserror::Error)]
pub enum MailerError {
    /// A setting.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// It is encrypted, and that cannot be.
    #[error("the way to the mail server cannot be encrypted")]
    Tls(#[source] SmtpError),
}
