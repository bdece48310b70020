//! The environment as settings: `ANDON_SECTION__KEY`, and which other names are let pass.
//!
//! A name that begins with `ANDON_` and names no setting is refused, as a misspelt one would otherwise be silence.
//! But Kubernetes itself puts such names into every container beside a service called `andon` (or `andon-...`):
//! those are ignored.

use std::collections::BTreeMap;
use std::env;
use std::ffi::OsString;

use crate::settings::SettingsError;

const PREFIX: &str = "ANDON_";
const SEPARATOR: &str = "__";

/// The variables of this process that concern us, by name.
#[derive(Debug, Default)]
pub(super) struct Environment {
    /// By the setting's key: the variable's name and its value.
    settings: BTreeMap<String, (String, String)>,
    /// Left alone.
    pub(super) ignored: Vec<String>,
}

impl Environment {
    /// Of this process.
    pub(super) fn of_process() -> Result<Self, SettingsError> {
        Self::of(env::vars_os())
    }

    pub(super) fn of(
        variables: impl IntoIterator<Item = (OsString, OsString)>,
    ) -> Result<Self, SettingsError> {
        let mut environment = Self::default();
        for (name, value) in variables {
            let Some(name) = name.to_str().filter(|name| name.to_ascii_uppercase().starts_with(PREFIX))
            else {
                continue;
            };
            let path = &name[PREFIX.len()..];
            match value.into_string() {
                Ok(value) if path.contains(SEPARATOR) => {
                    let key = path.to_ascii_lowercase().replace(SEPARATOR, ".");
                    environment.settings.insert(key, (name.to_owned(), value));
                }
                _ if is_of_kubernetes(name) => environment.ignored.push(name.to_owned()),
                Ok(_) => return Err(SettingsError::UnknownVariable(name.to_owned())),
                Err(_) => return Err(SettingsError::NoText(name.to_owned())),
            }
        }
        Ok(environment)
    }

    /// Keys and values.
    pub(super) fn settings(&self) -> impl Iterator<Item = (&str, &str)> {
        self.settings.iter().map(|(key, (_, value))| (key.as_str(), value.as_str()))
    }

    /// The variable that sets this key, or something below it.
    pub(super) fn variable(&self, key: &str) -> Option<&str> {
        let is_at =
            |set: &str| set.strip_prefix(key).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'));
        self.settings.iter().find(|(set, _)| is_at(set)).map(|(_, (name, _))| name.as_str())
    }
}

/// What Kubernetes sets for a service: `X_SERVICE_HOST`, `X_SERVICE_PORT`, `X_SERVICE_PORT_NAME`, `X_PORT` and
/// `X_PORT_8080_TCP` with `_PROTO`, `_PORT` and `_ADDR`.
///
/// Source: <https://kubernetes.io/docs/tutorials/services/connect-applications-service/#environment-variables>
/// and the links of Docker that it is compatible with.
fn is_of_kubernetes(name: &str) -> bool {
    let words: Vec<_> = name.split('_').collect();
    if words.iter().any(|word| word.is_empty()) {
        return false;
    }
    let is_number = |word: &str| word.parse::<u16>().is_ok();
    let is_protocol = |word: &str| matches!(word, "TCP" | "UDP" | "SCTP");
    // The service's own name may have several words; the first is ours.
    (1..words.len()).any(|end_of_name| match &words[end_of_name..] {
        ["SERVICE", "HOST"] | ["PORT"] | ["SERVICE", "PORT", ..] => true,
        ["PORT", number, protocol] => is_number(number) && is_protocol(protocol),
        ["PORT", number, protocol, "PROTO" | "PORT" | "ADDR"] => is_number(number) && is_protocol(protocol),
        _ => false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(pairs: &[(&str, &str)]) -> Result<Environment, SettingsError> {
        Environment::of(pairs.iter().map(|(name, value)| (name.into(), value.into())))
    }

    #[test]
    fn a_name_with_a_double_underscore_is_a_setting() {
        let environment = of(&[("ANDON_HTTP__ALLOWED_ORIGINS", "a,b"), ("PATH", "/bin")]).expect("settings");
        assert_eq!(environment.settings().collect::<Vec<_>>(), [("http.allowed_origins", "a,b")]);
        assert_eq!(environment.variable("http.allowed_origins"), Some("ANDON_HTTP__ALLOWED_ORIGINS"));
        assert_eq!(environment.variable("http"), Some("ANDON_HTTP__ALLOWED_ORIGINS"));
        assert_eq!(environment.variable("http.allowed"), None);
    }

    #[test]
    fn what_kubernetes_sets_for_a_service_of_our_name_is_ignored() {
        let names = [
            "ANDON_SERVICE_HOST",
            "ANDON_SERVICE_PORT",
            "ANDON_SERVICE_PORT_HTTP",
            "ANDON_PORT",
            "ANDON_PORT_8080_TCP",
            "ANDON_PORT_8080_TCP_PROTO",
            "ANDON_PORT_8080_TCP_PORT",
            "ANDON_PORT_8080_TCP_ADDR",
            "ANDON_POSTGRES_SERVICE_HOST",
            "ANDON_POSTGRES_PORT_5432_TCP",
        ];
        let environment = of(&names.map(|name| (name, "tcp://10.0.0.1:8080"))).expect("none is refused");
        assert_eq!(environment.ignored, names);
        assert_eq!(environment.settings().count(), 0);
    }

    #[test]
    fn any_other_name_of_ours_is_refused() {
        for name in ["ANDON_LISTEN", "ANDON_HTTP_LISTEN", "ANDON_PORT_X_TCP", "ANDON_SERVICE", "ANDON_"] {
            let error = of(&[(name, "x")]).expect_err(name).to_string();
            assert!(error.contains(name) && error.contains("ANDON_HTTP__LISTEN"), "{error}");
        }
    }
}
