//! Secrets that stand elsewhere than in the settings: in files, or in the environment. None is ever shown.

use std::path::{Path, PathBuf};
use std::{env, fmt, fs, io};

/// A secret that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SecretError {
    /// Its file cannot be read.
    #[error("the file {} cannot be read: {kind}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        kind: io::ErrorKind,
    },
    /// Its variable is not set, or is no text.
    #[error("the environment variable {0} is not set")]
    Variable(String),
    /// It may stand in one place.
    #[error("a secret stands either in a file or in the environment")]
    Two,
}

/// A login that cannot be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LoginError {
    /// A user without a password, or the other way round.
    #[error("`user` needs one of `password_file` and `password_env`, and they need `user`")]
    Half,
    /// The password cannot be read.
    #[error(transparent)]
    Secret(#[from] SecretError),
}

/// Who logs in, and by which password; `None`: nobody does.
///
/// # Errors
/// [`LoginError`].
pub fn login(
    user: Option<&str>,
    file: Option<&Path>,
    variable: Option<&str>,
) -> Result<Option<(String, Secret)>, LoginError> {
    match (user, Secret::read(file, variable)?) {
        (None, None) => Ok(None),
        (Some(user), Some(password)) => Ok(Some((user.to_owned(), password))),
        _ => Err(LoginError::Half),
    }
}

/// A secret.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

impl Secret {
    /// What stands in a file, without the line break at its end, or in an environment variable; `None`, if neither is named.
    ///
    /// # Errors
    /// [`SecretError`].
    pub fn read(file: Option<&Path>, variable: Option<&str>) -> Result<Option<Self>, SecretError> {
        match (file, variable) {
            (None, None) => Ok(None),
            (Some(path), None) => Self::of_file(path).map(Some),
            (None, Some(name)) => Self::of_variable(name).map(Some),
            (Some(_), Some(_)) => Err(SecretError::Two),
        }
    }

    /// What stands in a file, without the line break at its end.
    ///
    /// # Errors
    /// [`SecretError::File`].
    pub fn of_file(path: &Path) -> Result<Self, SecretError> {
        let text = fs::read_to_string(path)
            .map_err(|error| SecretError::File { path: path.to_owned(), kind: error.kind() })?;
        Ok(Self(text.trim_end_matches(['\r', '\n']).to_owned()))
    }

    /// What stands in an environment variable.
    ///
    /// # Errors
    /// [`SecretError::Variable`].
    pub fn of_variable(name: &str) -> Result<Self, SecretError> {
        env::var(name).map(Self).map_err(|_| SecretError::Variable(name.to_owned()))
    }

    /// The secret itself, for whoever it opens the door to.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_stands_in_one_place_and_is_not_shown() {
        let (name, value) = env::vars().find(|(_, value)| !value.is_empty()).expect("a variable");
        let file = tempfile::NamedTempFile::new().expect("a file");
        fs::write(file.path(), "a b \r\n").expect("written");
        assert_eq!(Secret::read(None, None), Ok(None));
        let secret = Secret::read(Some(file.path()), None).expect("readable").expect("one");
        assert_eq!((secret.reveal(), format!("{secret:?}").as_str()), ("a b ", "Secret"));
        assert_eq!(Secret::read(None, Some(&name)).expect("set").expect("one").reveal(), value);
        assert_eq!(Secret::read(Some(file.path()), Some(&name)), Err(SecretError::Two));
        let told = Secret::of_file(Path::new("/nowhere")).expect_err("none").to_string();
        assert_eq!(told, "the file /nowhere cannot be read: entity not found");
        assert!(Secret::of_variable("NOBODY_HAS_SET_THIS").is_err());
    }
}
