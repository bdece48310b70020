//! The sum of the parts' own settings: file, then environment, then flags; unknown keys are refused.
//!
//! A key is its path: `http.listen` in the file's `[http]` table, `ANDON_HTTP__LISTEN` in the environment.

use std::num::NonZeroUsize;
use std::path::Path;

use config::{Config, ConfigError, Environment, File, FileFormat};
use serde::Deserialize;

use crate::{backplane, broadcast, bus, http, services, store, telemetry};

/// Everything that can be set.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// How this server is reached.
    pub http: http::Settings,
    /// Who may call.
    pub auth: http::auth::Settings,
    /// How times of samples are taken.
    pub input: http::InputSettings,
    /// The database.
    pub store: store::Settings,
    /// How commands are gathered and judged.
    pub services: services::Settings,
    /// The event bus.
    pub bus: BusSettings,
    /// How the log is followed.
    pub relay: backplane::Settings,
    /// How clients are served.
    pub broadcast: broadcast::Settings,
    /// How this process stops.
    pub stop: StopSettings,
    /// What is logged.
    pub log: telemetry::Settings,
}

/// The bus knows nothing of settings files; this is its part.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct BusSettings {
    /// Events the ring keeps.
    pub capacity_events: NonZeroUsize,
}

impl Default for BusSettings {
    fn default() -> Self {
        Self { capacity_events: bus::Settings::default().capacity }
    }
}

/// How a process stops.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct StopSettings {
    /// How long clients and requests under way are waited for.
    pub grace_ms: u64,
}

impl Default for StopSettings {
    fn default() -> Self {
        Self { grace_ms: 10_000 }
    }
}

/// What the command line says, over everything else: keys and their values.
pub type Overrides = Vec<(&'static str, String)>;

impl Settings {
    /// Reads the file, if one is named, then the environment, then what the command line says.
    ///
    /// # Errors
    /// [`ConfigError`], naming the key that is unknown or has the wrong type.
    pub fn load(file: Option<&Path>, overrides: Overrides) -> Result<Self, ConfigError> {
        Self::merge(file, Environment::default(), overrides)
    }

    fn merge(
        file: Option<&Path>,
        environment: Environment,
        overrides: Overrides,
    ) -> Result<Self, ConfigError> {
        let mut builder = Config::builder();
        if let Some(path) = file {
            builder = builder.add_source(File::from(path).format(FileFormat::Toml));
        }
        let environment = environment
            .prefix("ANDON")
            .prefix_separator("_")
            .separator("__")
            .try_parsing(true)
            .list_separator(",")
            .with_list_parse_key("http.allowed_origins");
        builder = builder.add_source(environment);
        for (key, value) in overrides {
            builder = builder.set_override(key, value)?;
        }
        builder.build()?.try_deserialize()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    fn environment(pairs: &[(&str, &str)]) -> Environment {
        let source: HashMap<_, _> = pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        Environment::default().source(Some(source))
    }

    fn file(text: &str) -> tempfile::NamedTempFile {
        let file = tempfile::NamedTempFile::new().expect("a temporary file");
        std::fs::write(file.path(), text).expect("writable");
        file
    }

    #[test]
    fn flags_win_over_the_environment_and_that_over_the_file() {
        let file = file("[http]\nlisten = '1.1.1.1:1'\nworkers = 3\n[store]\nurl = 'sqlite://a.db'\n");
        let environment = environment(&[
            ("ANDON_HTTP__LISTEN", "2.2.2.2:2"),
            ("ANDON_STORE__URL", "sqlite://b.db"),
            ("ANDON_HTTP__ALLOWED_ORIGINS", "https://a,https://b"),
        ]);
        let overrides = vec![("http.listen", "3.3.3.3:3".to_owned())];
        let settings = Settings::merge(Some(file.path()), environment, overrides).expect("valid");
        assert_eq!(settings.http.listen, "3.3.3.3:3");
        assert_eq!(settings.store.url, "sqlite://b.db");
        assert_eq!((settings.http.workers, settings.http.allowed_origins.len()), (3, 2));
    }

    #[test]
    fn a_key_that_nothing_reads_is_refused_by_name() {
        let error = Settings::merge(Some(file("[http]\nlisten_on = 'x'\n").path()), environment(&[]), vec![]);
        let text = error.expect_err("unknown").to_string();
        assert!(text.contains("listen_on"), "{text}");
        let error = Settings::merge(None, environment(&[("ANDON_HTPP__LISTEN", "x")]), vec![]);
        assert!(error.expect_err("unknown").to_string().contains("htpp"));
    }

    #[test]
    fn a_value_of_the_wrong_type_is_refused() {
        let error = Settings::merge(None, environment(&[("ANDON_HTTP__WORKERS", "many")]), vec![]);
        assert!(error.expect_err("no number").to_string().contains("many"));
    }

    #[test]
    fn a_zone_is_named_as_in_the_tz_database() {
        let file = file("[input]\nnaive_timestamps = 'Europe/Berlin'\n");
        let settings = Settings::merge(Some(file.path()), environment(&[]), vec![]).expect("valid");
        assert_eq!(settings.input.naive_timestamps, Some(chrono_tz::Tz::Europe__Berlin));
    }
}
