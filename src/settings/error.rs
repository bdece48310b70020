//! Why settings cannot be: in words of the person who wrote them, with the place where they stand.

use std::fmt;
use std::path::PathBuf;

use config::{Config, ConfigError};
use serde_json::{Map, Value};

use crate::settings::Settings;

/// What is said of a key that does not exist.
const NO_SUCH: &str = "no such setting;";

/// Settings that cannot be.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// The file is not there, cannot be read, or is not TOML; the message says which file.
    #[error(transparent)]
    Source(ConfigError),
    /// It may be a misspelt setting.
    #[error(
        "the environment variable {0} names no setting: they look like ANDON_HTTP__LISTEN, with two underscores \
         before the key; unset it if it is not meant for andon"
    )]
    UnknownVariable(String),
    /// Not UTF-8.
    #[error("the environment variable {0} is not valid UTF-8")]
    NoText(String),
    /// A key that does not exist, or a value of the wrong kind.
    #[error("{}", told(key, origin.as_ref(), problem))]
    Value {
        /// The setting, such as `http.listen`.
        key: String,
        /// Where it was said, as far as it is known.
        origin: Option<Origin>,
        /// What is wrong, and what would be right.
        problem: String,
    },
}

impl SettingsError {
    /// The same for those who may not see what the settings say: without values, and without lines of the file.
    pub fn without_values(&self) -> String {
        match self {
            Self::Source(ConfigError::FileParse { uri, cause }) => {
                let cause = cause.to_string();
                let first = cause.lines().next().unwrap_or_default(); // then comes the line of the file
                format!("{first} in {}", uri.as_deref().unwrap_or("the settings"))
            }
            Self::Value { key, origin, problem } => told(key, origin.as_ref(), &without_value(problem)),
            other => other.to_string(),
        }
    }
}

/// What would be right, of what is said about a value.
fn without_value(problem: &str) -> String {
    if problem.starts_with(NO_SUCH) {
        return problem.to_owned(); // it names keys
    }
    let expected = match problem.strip_prefix("expected ") {
        Some(rest) => rest.split(", found ").next(),
        None => problem.rsplit_once(", expected ").map(|(_, expected)| expected),
    };
    expected.map_or_else(|| "cannot be what it is".to_owned(), |expected| format!("expected {expected}"))
}

/// Where a setting was said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// In the settings file.
    File(PathBuf),
    /// In this environment variable.
    Variable(String),
    /// By a flag.
    CommandLine,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "in {}", path.display()),
            Self::Variable(name) => write!(f, "in the environment variable {name}"),
            Self::CommandLine => f.write_str("on the command line"),
        }
    }
}

fn told(key: &str, origin: Option<&Origin>, problem: &str) -> String {
    let key = if key.is_empty() { String::new() } else { format!(" {key}") };
    let origin = origin.map(|origin| format!(" {origin}")).unwrap_or_default();
    format!("the setting{key}{origin}: {problem}")
}

/// The key that an error is about and what is wrong with it.
pub(super) fn key_and_problem(error: &ConfigError, merged: &Config) -> (String, String) {
    let (key, problem) = as_told(error, merged);
    // The library says `unknown field `x`, expected one of `y`, `z``, of the table that holds it.
    let unknown = problem.strip_prefix("unknown field `").and_then(|rest| rest.split_once("`, expected "));
    match unknown {
        Some((name, expected)) => {
            let key = if key.is_empty() { name.to_owned() } else { format!("{key}.{name}") };
            let there_are = expected.trim_start_matches("one of ");
            (key, format!("{NO_SUCH} there are {there_are}"))
        }
        None => (key, problem),
    }
}

fn as_told(error: &ConfigError, merged: &Config) -> (String, String) {
    match error {
        ConfigError::At { error, key, .. } => {
            let (inner, problem) = as_told(error, merged);
            // The library leaves out the dot after an index.
            let key = key.clone().unwrap_or(inner).replace(']', "].").replace("..", ".").replace(".[", "[");
            let key = key.trim_end_matches('.').to_owned();
            let problem = better(&key, merged).filter(|_| is_about_an_enum(&problem)).unwrap_or(problem);
            (key, problem)
        }
        ConfigError::Type { unexpected, expected, key, .. } => {
            (key.clone().unwrap_or_default(), format!("expected {expected}, found {unexpected}"))
        }
        ConfigError::NotFound(key) => (key.clone(), "is missing".to_owned()),
        other => (String::new(), other.to_string()),
    }
}

/// The library speaks of enums and their constructors, and does not say which there are.
fn is_about_an_enum(problem: &str) -> bool {
    problem.starts_with("enum ") || problem.starts_with("value of enum ")
}

/// What another reader says of this one setting.
fn better(key: &str, merged: &Config) -> Option<String> {
    let (section, rest) = key.split_once('.')?;
    let name = rest.split(['.', '[']).next()?;
    let value: Value = merged.get(&format!("{section}.{name}")).ok()?;
    let table = Map::from_iter([(name.to_owned(), value)]);
    let only = Value::Object(Map::from_iter([(section.to_owned(), Value::Object(table))]));
    let error = serde_path_to_error::deserialize::<_, Settings>(&only).err()?;
    (error.path().to_string() == key)
        .then(|| error.inner().to_string().replace("unknown variant", "no such value:"))
}
