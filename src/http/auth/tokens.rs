//! Bearer tokens from the settings. Only their digests are kept, and compared.

use std::collections::HashMap;
use std::path::PathBuf;
use std::{fmt, fs, io};

use async_trait::async_trait;
use serde::Deserialize;
use sha2::{Digest as _, Sha256};

use crate::http::auth::{Authorizer, NotAuthenticated, Principal, Role};

const SHORTEST: usize = 16;

/// Who may call.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// The tokens; none: everybody may do everything, and only this machine may connect.
    pub tokens: Vec<TokenSettings>,
    /// Listen on other than loopback addresses without any token.
    pub allow_anonymous: bool,
}

/// One token.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TokenSettings {
    /// Who has it: the user of what is done with it.
    pub name: String,
    /// The token, at least 16 characters.
    #[serde(default)]
    pub token: Option<String>,
    /// A file that holds it instead, as secrets are handed to containers; read once, at the start.
    #[serde(default)]
    pub token_file: Option<PathBuf>,
    /// What it may do.
    pub roles: Vec<Role>,
    /// Whether it may name the user it acts for.
    #[serde(default)]
    pub acts_for_users: bool,
}

impl TokenSettings {
    /// The token, wherever it stands; a file may end with a line break.
    fn read(&self) -> Result<String, TokenError> {
        match (&self.token, &self.token_file) {
            (Some(token), None) => Ok(token.clone()),
            (None, Some(file)) => {
                let unreadable = |error: io::Error| TokenError::File {
                    name: self.name.clone(),
                    file: file.clone(),
                    kind: error.kind(),
                };
                Ok(fs::read_to_string(file).map_err(unreadable)?.trim_end().to_owned())
            }
            _ => Err(TokenError::OnePlace(self.name.clone())),
        }
    }
}

impl fmt::Debug for TokenSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenSettings")
            .field("name", &self.name)
            .field("roles", &self.roles)
            .finish_non_exhaustive()
    }
}

/// Tokens that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// Easily guessed.
    #[error("the token of {0:?} is shorter than 16 characters")]
    TooShort(String),
    /// Two names, one token.
    #[error("the token of {0:?} is the token of somebody else, too")]
    Twice(String),
    /// May do nothing.
    #[error("the token of {0:?} has no role; roles are read, ingest, operate, admin")]
    NoRole(String),
    /// It is said twice, or not at all.
    #[error("{0:?} needs either token or token_file")]
    OnePlace(String),
    /// The file cannot be read.
    #[error("could not read the token of {name:?} from {}: {kind}", file.display())]
    File {
        /// Whose token.
        name: String,
        /// Where it should be.
        file: PathBuf,
        /// Why it cannot be read.
        kind: io::ErrorKind,
    },
}

/// Knows the tokens of the settings.
pub struct TokenAuthorizer {
    principals: HashMap<[u8; 32], Principal>,
}

impl TokenAuthorizer {
    /// # Errors
    /// [`TokenError`], naming whose token cannot be used.
    pub fn new(settings: &Settings) -> Result<Self, TokenError> {
        let mut principals = HashMap::new();
        for settings in settings.tokens.clone() {
            let token = settings.read()?;
            let TokenSettings { name, roles, acts_for_users, .. } = settings;
            if token.chars().count() < SHORTEST {
                return Err(TokenError::TooShort(name));
            }
            if roles.is_empty() {
                return Err(TokenError::NoRole(name));
            }
            let principal = Principal { name: Some(name.clone()), roles, acts_for_users };
            if principals.insert(digest(&token), principal).is_some() {
                return Err(TokenError::Twice(name));
            }
        }
        Ok(Self { principals })
    }

    /// Whether everybody may do everything.
    pub fn is_open(&self) -> bool {
        self.principals.is_empty()
    }
}

fn digest(token: &str) -> [u8; 32] {
    Sha256::digest(token.as_bytes()).into()
}

#[async_trait]
impl Authorizer for TokenAuthorizer {
    async fn principal(&self, token: Option<&str>) -> Result<Principal, NotAuthenticated> {
        if self.is_open() {
            return Ok(Principal::anonymous());
        }
        let known = token.and_then(|token| self.principals.get(&digest(token)));
        known.cloned().ok_or(NotAuthenticated)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(name: &str, token: &str, roles: Vec<Role>) -> Settings {
        let token = TokenSettings {
            name: name.to_owned(),
            token: Some(token.to_owned()),
            token_file: None,
            roles,
            acts_for_users: false,
        };
        Settings { tokens: vec![token], allow_anonymous: false }
    }

    #[tokio::test]
    async fn a_token_tells_who_calls() {
        let known = settings("line4", "0123456789abcdef", vec![Role::Ingest]);
        let authorizer = TokenAuthorizer::new(&known).expect("usable");
        let principal = authorizer.principal(Some("0123456789abcdef")).await.expect("known");
        assert_eq!((principal.name.as_deref(), principal.may(Role::Read)), (Some("line4"), false));
        assert_eq!(authorizer.principal(Some("0123456789abcdeX")).await, Err(NotAuthenticated));
        assert_eq!(authorizer.principal(None).await, Err(NotAuthenticated));
    }

    #[test]
    fn tokens_that_protect_nothing_are_refused_and_never_shown() {
        let short = settings("ann", "short", vec![Role::Read]);
        assert_eq!(TokenAuthorizer::new(&short).err(), Some(TokenError::TooShort("ann".to_owned())));
        let idle = settings("ann", "0123456789abcdef", vec![]);
        assert_eq!(TokenAuthorizer::new(&idle).err(), Some(TokenError::NoRole("ann".to_owned())));
        assert!(!format!("{idle:?}").contains("0123456789abcdef"));
    }
    #[tokio::test]
    async fn a_token_may_stand_in_a_file_of_its_own() {
        let file = tempfile::NamedTempFile::new().expect("a file");
        fs::write(file.path(), "0123456789abcdef\n").expect("written");
        let mut known = settings("line4", "", vec![Role::Read]);
        known.tokens[0].token_file = Some(file.path().to_owned());
        assert_eq!(TokenAuthorizer::new(&known).err(), Some(TokenError::OnePlace("line4".to_owned())));
        known.tokens[0].token = None;
        let authorizer = TokenAuthorizer::new(&known).expect("usable");
        assert!(authorizer.principal(Some("0123456789abcdef")).await.is_ok());
        known.tokens[0].token_file = Some("/nowhere/token".into());
        let refused = TokenAuthorizer::new(&known).err().expect("no such file").to_string();
        assert!(refused.contains("line4") && refused.contains("/nowhere/token"), "{refused}");
        known.tokens[0].token_file = None;
        assert_eq!(TokenAuthorizer::new(&known).err(), Some(TokenError::OnePlace("line4".to_owned())));
    }
}
