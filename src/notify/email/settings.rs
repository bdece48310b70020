//! How mails are sent, and to whom.

use std::path::PathBuf;

use lettre::message::Mailbox;
use serde::Deserialize;

use crate::notify::secret::{LoginError, Secret, login};

/// How the way to the mail server is encrypted. Without, nobody logs in.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Encryption {
    /// The connection begins in the clear and must then be encrypted (RFC 3207).
    #[default]
    Starttls,
    /// Encrypted from the beginning (RFC 8314).
    Tls,
    /// None.
    None,
}

impl Encryption {
    /// The port that servers have for it.
    pub(super) fn port(self) -> u16 {
        match self {
            Self::Starttls => 587,
            Self::Tls => 465,
            Self::None => 25,
        }
    }
}

/// Mails, one to each recipient.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// The mail server's name.
    pub server: String,
    /// Its port; left out: 587 for `starttls`, 465 for `tls`, 25 for `none`.
    pub port: Option<u16>,
    /// How the way there is encrypted.
    pub encryption: Encryption,
    /// Who logs in; left out: nobody does.
    pub user: Option<String>,
    /// A file that holds the password.
    pub password_file: Option<PathBuf>,
    /// The environment variable that holds the password.
    pub password_env: Option<String>,
    /// Whom mails are from, such as `Andon <andon@example.com>`.
    pub from: String,
    /// Who is told, such as `Ann <ann@example.com>`.
    pub to: Vec<String>,
    /// Whether the control chart goes with it.
    pub chart: bool,
    /// How long a mail waits for its chart before it leaves without.
    pub chart_timeout_ms: u64,
    /// A folder with templates of one's own: `subject.txt`, `body.txt`, `body.html`. One that is not there is Andon's.
    pub templates: Option<PathBuf>,
    /// A connection that was not used for so long is not used again.
    pub idle_ms: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            server: String::new(),
            port: None,
            encryption: Encryption::Starttls,
            user: None,
            password_file: None,
            password_env: None,
            from: String::new(),
            to: Vec::new(),
            chart: true,
            chart_timeout_ms: 3_000,
            templates: None,
            idle_ms: 30_000,
        }
    }
}

/// What is wrong with them.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// Nowhere to send to.
    #[error("`server` must name the mail server")]
    NoServer,
    /// Not an address.
    #[error("{key} has {text:?}, which is no address such as `Ann <ann@example.com>`")]
    Address {
        /// `from` or `to`.
        key: &'static str,
        /// What stands there.
        text: String,
    },
    /// A password in the clear.
    #[error("`user` needs `encryption`: a password is not sent in the clear")]
    InTheClear,
    /// Who logs in.
    #[error(transparent)]
    Login(#[from] LoginError),
}

impl Settings {
    /// Whom mails are from.
    pub(super) fn sender(&self) -> Result<Mailbox, SettingsError> {
        mailbox("from", &self.from)
    }

    /// Who is told.
    pub(super) fn recipients(&self) -> Result<Vec<Mailbox>, SettingsError> {
        self.to.iter().map(|text| mailbox("to", text)).collect()
    }

    /// Reads the password.
    pub(super) fn login(&self) -> Result<Option<(String, Secret)>, SettingsError> {
        let login = login(self.user.as_deref(), self.password_file.as_deref(), self.password_env.as_deref())?;
        if login.is_some() && self.encryption == Encryption::None {
            return Err(SettingsError::InTheClear);
        }
        Ok(login)
    }
}

fn mailbox(key: &'static str, text: &str) -> Result<Mailbox, SettingsError> {
    let wrong = || SettingsError::Address { key, text: text.to_owned() };
    let mailbox: Mailbox = text.parse().map_err(|_| wrong())?;
    // A line break would begin another header.
    if text.contains(char::is_control) { Err(wrong()) } else { Ok(mailbox) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_checked() {
        let to = |text: &str| Settings { to: vec![text.to_owned()], ..Settings::default() };
        for good in
            ["ann@example.com", "Ann <ann@example.com>", "\"Shift, 1\" <s1@example.com>", "ä@exämple.com"]
        {
            assert_eq!(to(good).recipients().expect(good).len(), 1);
        }
        for bad in ["", "ann", "ann@", "a@b.c\r\nBcc: x@y.z", "Ann\n <a@b.c>"] {
            let told = to(bad).recipients().expect_err(bad).to_string();
            assert!(
                told.starts_with("to has") && told.ends_with("such as `Ann <ann@example.com>`"),
                "{told}"
            );
        }
    }

    #[test]
    fn a_login_needs_both_halves_and_an_encrypted_way() {
        let password = std::env::vars().next().expect("a variable").0;
        let whole =
            Settings { user: Some("andon".to_owned()), password_env: Some(password), ..Settings::default() };
        assert!(whole.login().expect("a login").is_some());
        assert!(Settings::default().login().expect("none").is_none());
        let told = |settings: Settings| settings.login().expect_err("refused").to_string();
        assert!(told(Settings { user: None, ..whole.clone() }).contains("need `user`"));
        assert!(told(Settings { password_env: None, ..whole.clone() }).contains("needs one of"));
        assert!(told(Settings { encryption: Encryption::None, ..whole }).contains("in the clear"));
    }
}
