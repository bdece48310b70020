//! Hands mails to the mail server, and says what became of each.
//!
//! The library speaks SMTP; here is what it does not tell: how far a conversation had come when it broke. Until the mail's
//! last byte was sent, it has not arrived. After that and before the answer, nobody knows.
//!
//! * **State**: connections at rest, each used by one mail at a time; as many as mails were under way at once.
//! * **Late**: the deliverer ends an attempt by dropping it, and with it the connection.
//! * **Refused**: what blames the recipient or the mail is for good. What blames the login, the sender or the machine is tried
//!   again: somebody will mend it. Many servers say all of that in answer to `RCPT`; the enhanced status (RFC 3463) tells it
//!   apart.

use std::fmt::Display;
use std::sync::Mutex;
use std::time::Duration;

use lettre::address::Envelope;
use lettre::transport::smtp::Error as SmtpError;
use lettre::transport::smtp::authentication::{Credentials, DEFAULT_MECHANISMS};
use lettre::transport::smtp::client::{AsyncSmtpConnection, TlsParameters};
use lettre::transport::smtp::commands::{Data, Mail, Rcpt};
use lettre::transport::smtp::extension::{ClientId, Extension, MailParameter};
use lettre::transport::smtp::response::{Code, Response, Severity};
use tokio::time::Instant;

use crate::notify::email::settings::{Encryption, Settings, SettingsError};
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

/// A conversation that did not end well.
enum Broken {
    /// There.
    At(Stage, SmtpError),
    /// With this answer, which fits nothing.
    Unclear(String),
}

impl Stage {
    fn of<T>(self, outcome: Result<T, SmtpError>) -> Result<T, Broken> {
        outcome.map_err(|error| Broken::At(self, error))
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
        let login =
            settings.login()?.map(|(user, password)| Credentials::new(user, password.reveal().to_owned()));
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
                Err(Broken::At(Stage::Greeting, _)) => {}
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
        let answer = outcome.map_err(|broken| match broken {
            Broken::At(stage, error) => judge(stage, &error),
            Broken::Unclear(answer) => NotifyError::uncertain(format!("to the mail it answered: {answer}")),
        })?;
        let since = Instant::now();
        self.resting.lock().expect("no panic").push(Resting { connection, since });
        Ok(told(&answer))
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
        let answer = Stage::Mail.of(connection.message(mail).await)?;
        // The library also takes 3xx for success; here it would be the answer to something else.
        let is_taken = answer.code().severity == Severity::PositiveCompletion;
        if is_taken { Ok(answer) } else { Err(Broken::Unclear(told(&answer))) }
    }
}

async fn say(
    connection: &mut AsyncSmtpConnection,
    stage: Stage,
    command: impl Display,
) -> Result<Response, Broken> {
    stage.of(connection.command(command).await)
}

/// What a server answered, in a line.
fn told(answer: &Response) -> String {
    format!("{} {}", answer.code(), answer.message().collect::<Vec<_>>().join(" "))
}

/// What a broken conversation means for the next attempt.
fn judge(stage: Stage, error: &SmtpError) -> NotifyError {
    let text = error.to_string(); // its causes are in there
    let is_for_good = match stage {
        Stage::Greeting => false,
        Stage::Recipient => error.is_permanent() && blames_recipient(error.status(), &text),
        Stage::Mail => error.is_permanent(),
    };
    match stage {
        _ if is_for_good => NotifyError::permanent(text),
        Stage::Mail if !error.is_transient() => NotifyError::uncertain(text),
        _ => NotifyError::transient(text),
    }
}

/// Whether a refusal is about the recipient: by its enhanced status, where there is one, and otherwise by its code.
fn blames_recipient(code: Option<Code>, text: &str) -> bool {
    let enhanced = text.split(|c: char| !c.is_ascii_digit() && c != '.').find_map(|word| {
        let numbers: Vec<u16> = word.split('.').map(str::parse).collect::<Result<_, _>>().ok()?;
        <[u16; 3]>::try_from(numbers).ok()
    });
    match enhanced {
        Some([5, 1, about]) => matches!(about, 1 | 2 | 3 | 6 | 10),
        Some([5, about, _]) => about == 2, // the mailbox
        Some(_) => false,
        None => code.is_some_and(|code| matches!(code.to_string().as_str(), "550" | "551" | "553")),
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
