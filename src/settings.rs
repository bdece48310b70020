//! The sum of the parts' own settings: file, then environment, then flags; unknown keys are refused.
//!
//! A key is its path: `http.listen` in the file's `[http]` table, `ANDON_HTTP__LISTEN` in the environment.

mod environment;
mod error;

use std::num::NonZeroUsize;
use std::path::Path;

use config::builder::DefaultState;
use config::{Config, ConfigBuilder, ConfigError, File, FileFormat};
use serde::Deserialize;

use self::environment::Environment;
pub use self::error::{Origin, SettingsError};
use crate::{backplane, broadcast, bus, http, notify, services, site, store, telemetry};

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
    /// What other systems may do here.
    pub events: services::foreign_events::Settings,
    /// How long things are kept.
    pub retention: services::retention::Settings,
    /// The event bus.
    pub bus: BusSettings,
    /// How the log is followed.
    pub relay: backplane::Settings,
    /// How clients are served.
    pub broadcast: broadcast::Settings,
    /// Who is told of alerts, and how.
    pub notify: notify::Settings,
    /// The place where the processes are.
    pub site: site::Settings,
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
    /// The newest events of the log that are put in it at start, as many as it keeps at most; 0: none.
    pub preload_events: usize,
}

impl Default for BusSettings {
    fn default() -> Self {
        Self { capacity_events: bus::Settings::default().capacity, preload_events: 8_192 }
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

/// Settings that hold several values; in the environment these are separated by commas.
const LISTS: [&str; 2] = ["http.allowed_origins", "http.trusted_proxies"];

impl Settings {
    /// Reads the file, if one is named, then the environment, then what the command line says.
    ///
    /// # Errors
    /// [`SettingsError`], naming the setting that is unknown or has the wrong type, and where it stands.
    pub fn load(file: Option<&Path>, overrides: Overrides) -> Result<Self, SettingsError> {
        Self::merge(file, &Environment::of_process()?, &overrides)
    }

    /// The sections that say something else than others do.
    pub fn differing(&self, other: &Self) -> Vec<&'static str> {
        macro_rules! differing {
            ($($section:ident)*) => {{
                let Self { $($section),* } = self; // none is forgotten
                let sections = [$((stringify!($section), *$section != other.$section)),*];
                sections.into_iter().filter(|(_, differs)| *differs).map(|(section, _)| section).collect()
            }};
        }
        differing!(http auth input store services events retention bus relay broadcast notify site stop log)
    }

    fn merge(
        file: Option<&Path>,
        environment: &Environment,
        overrides: &[(&'static str, String)],
    ) -> Result<Self, SettingsError> {
        let from_file = match file {
            Some(path) => Config::builder().add_source(File::from(path).format(FileFormat::Toml)).build(),
            None => Config::builder().build(),
        };
        let from_file = from_file.map_err(SettingsError::Source)?;
        let mut builder = Config::builder().add_source(from_file.clone());
        for (key, value) in environment.settings() {
            let unknown = || environment.variable(key).unwrap_or_default().to_owned();
            builder = set(builder, key, value).map_err(|_| SettingsError::UnknownVariable(unknown()))?;
        }
        for (key, value) in overrides {
            builder = set(builder, key, value).map_err(SettingsError::Source)?;
        }
        let merged = builder.build().map_err(SettingsError::Source)?;
        merged.clone().try_deserialize().map_err(|error| {
            let (key, problem) = error::key_and_problem(&error, &merged);
            // One of a list in the environment stands in the variable of the whole list.
            let origin_of = |key: &str| match environment.variable(key.split('[').next().unwrap_or(key)) {
                _ if overrides.iter().any(|(overridden, _)| *overridden == key) => Some(Origin::CommandLine),
                Some(name) => Some(Origin::Variable(name.to_owned())),
                None if from_file.get::<config::Value>(key).is_ok() => {
                    file.map(|path| Origin::File(path.to_owned()))
                }
                None => None,
            };
            let origin = origin_of(&key);
            SettingsError::Value { key, origin, problem }
        })
    }
}

fn set(
    builder: ConfigBuilder<DefaultState>,
    key: &str,
    value: &str,
) -> Result<ConfigBuilder<DefaultState>, ConfigError> {
    if LISTS.contains(&key) {
        return builder.set_override(key, value.split(',').collect::<Vec<_>>());
    }
    builder.set_override(key, value)
}

/// The environment variables that look like ours and are Kubernetes': worth a word in the log.
pub fn ignored_variables() -> Vec<String> {
    Environment::of_process().map(|environment| environment.ignored).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::rules::Severity;

    fn environment(pairs: &[(&str, &str)]) -> Environment {
        let variables = pairs.iter().map(|(name, value)| (name.into(), value.into()));
        Environment::of(variables).expect("names of settings")
    }

    /// What is said of settings that cannot be.
    fn complaint(file: Option<&Path>, variables: &[(&str, &str)]) -> String {
        Settings::merge(file, &environment(variables), &[]).expect_err("refused").to_string()
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
        let overrides = [("http.listen", "3.3.3.3:3".to_owned())];
        let settings = Settings::merge(Some(file.path()), &environment, &overrides).expect("valid");
        assert_eq!(settings.http.listen, "3.3.3.3:3");
        assert_eq!(settings.store.url, "sqlite://b.db");
        assert_eq!((settings.http.workers, settings.http.allowed_origins.len()), (3, 2));
    }

    #[test]
    fn a_key_that_nothing_reads_is_refused_by_name_and_place() {
        let file = file("[http]\nlisten_on = 'x'\n");
        let text = complaint(Some(file.path()), &[]);
        let place =
            format!("the setting http.listen_on in {}: no such setting; there are ", file.path().display());
        assert!(text.starts_with(&place) && text.contains("`listen`, `workers`"), "{text}");
        let text = complaint(None, &[("ANDON_HTPP__LISTEN", "x")]);
        let place = "the setting htpp in the environment variable ANDON_HTPP__LISTEN: no such setting; there are `http`";
        assert!(text.starts_with(place), "{text}");
        let text = complaint(None, &[("ANDON_STORE__URI", "x")]);
        let place = "the setting store.uri in the environment variable ANDON_STORE__URI: no such setting; there are `url`";
        assert!(text.starts_with(place), "{text}");
    }

    #[test]
    fn a_value_of_the_wrong_kind_is_refused_by_name_and_place() {
        assert_eq!(
            complaint(None, &[("ANDON_HTTP__WORKERS", "many")]),
            "the setting http.workers in the environment variable ANDON_HTTP__WORKERS: expected an integer, found \
             string \"many\""
        );
        let overrides = [("auth.allow_anonymous", "perhaps".to_owned())];
        let text = Settings::merge(None, &environment(&[]), &overrides).expect_err("no boolean").to_string();
        assert!(
            text.starts_with("the setting auth.allow_anonymous on the command line: expected a bool"),
            "{text}"
        );
    }

    #[test]
    fn a_word_that_is_none_of_a_setting_is_refused_with_those_that_are() {
        let file = file("[log]\nformat = 'yaml'\n");
        assert_eq!(
            complaint(Some(file.path()), &[]),
            format!(
                "the setting log.format in {}: no such value: `yaml`, expected `text` or `json`",
                file.path().display()
            )
        );
        let file = self::file("[[auth.tokens]]\nname = 'a'\ntoken = 'b'\nroles = ['reed']\n");
        let text = complaint(Some(file.path()), &[]);
        assert!(text.starts_with("the setting auth.tokens[0].roles[0] in "), "{text}");
        assert!(text.contains("no such value: `reed`, expected one of `read`, `ingest`"), "{text}");
    }

    #[test]
    fn text_that_looks_like_a_number_stays_text() {
        let environment = environment(&[("ANDON_LOG__FILTER", "007"), ("ANDON_HTTP__WORKERS", "07")]);
        let settings = Settings::merge(None, &environment, &[]).expect("valid");
        assert_eq!((settings.log.filter.as_str(), settings.http.workers), ("007", 7));
    }

    #[test]
    fn a_severity_of_another_system_is_mapped_in_the_file_or_the_environment() {
        let file = file("[events.severities]\nHIGH = 'CRITICAL'\n");
        let environment = environment(&[("ANDON_EVENTS__SEVERITIES__LOW", "INFO")]);
        let settings = Settings::merge(Some(file.path()), &environment, &[]).expect("valid");
        let mapped = settings.events.severities.iter();
        let mapped: Vec<_> = mapped.map(|(word, severity)| (word.to_lowercase(), *severity)).collect();
        let expected = [("high", Severity::Critical), ("low", Severity::Info)];
        assert_eq!(mapped, expected.map(|(word, severity)| (word.to_owned(), severity)));
    }

    #[test]
    fn proxies_are_named_by_address_or_network() {
        let environment = environment(&[("ANDON_HTTP__TRUSTED_PROXIES", "10.0.0.7,fd00::/8")]);
        let settings = Settings::merge(None, &environment, &[]).expect("valid");
        assert_eq!(settings.http.trusted_proxies.len(), 2);
        let text = complaint(None, &[("ANDON_HTTP__TRUSTED_PROXIES", "10.0.0.7,proxy.example")]);
        let place =
            "the setting http.trusted_proxies[1] in the environment variable ANDON_HTTP__TRUSTED_PROXIES: ";
        assert!(text.starts_with(place) && text.contains("\"proxy.example\" is neither"), "{text}");
    }

    #[test]
    fn sections_that_differ_are_named() {
        let one = Settings::default();
        let mut other = one.clone();
        other.log.filter = "warn".to_owned();
        other.http.workers = 3;
        assert_eq!((one.differing(&one), one.differing(&other)), (vec![], vec!["http", "log"]));
    }

    #[test]
    fn what_is_wrong_can_be_told_without_what_the_settings_say() {
        let told = |text: &str, variables: &[(&str, &str)]| {
            let file = file(text);
            let refused = Settings::merge(Some(file.path()), &environment(variables), &[]).expect_err(text);
            assert!(text.is_empty() || refused.to_string().contains("hunter2"), "{refused}");
            refused.without_values().replace(&*file.path().to_string_lossy(), "FILE")
        };
        let text = told("[[auth.tokens]]\ntoken = \"hunter2\n", &[]);
        // Where the file is told from depends on where this runs.
        assert!(
            text.starts_with("TOML parse error at line 2, column ") && text.lines().count() == 1,
            "{text}"
        );
        assert!(!text.contains("hunter2"), "{text}");
        assert_eq!(
            told("[log]\nformat = 'hunter2, expected `x`'\n", &[]),
            "the setting log.format in FILE: expected `text` or `json`"
        );
        assert_eq!(
            told("[http]\nworkers = 'hunter2, expected x, found y'\n", &[]),
            "the setting http.workers in FILE: expected an integer"
        );
        assert_eq!(
            told("[http]\ntrusted_proxies = ['hunter2']\n", &[]),
            "the setting http.trusted_proxies[0] in FILE: cannot be what it is"
        );
        let text = told("", &[("ANDON_STORE__URI", "hunter2")]);
        assert!(
            text.starts_with("the setting store.uri in the environment variable ANDON_STORE__URI: no such")
        );
    }

    #[test]
    fn a_zone_is_named_as_in_the_tz_database() {
        let file = file("[input]\nnaive_timestamps = 'Europe/Berlin'\n");
        let settings = Settings::merge(Some(file.path()), &environment(&[]), &[]).expect("valid");
        assert_eq!(settings.input.naive_timestamps, Some(chrono_tz::Tz::Europe__Berlin));
    }
}
