//! What is the same for everything that people on site read: where they read it, and in which time.

use std::fmt;

use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use reqwest::Url;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};

use crate::domain::ids::{CharacteristicId, EpisodeId};

/// The place where the processes are.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// In which people there read times.
    pub time_zone: Tz,
    /// Where browsers on site find this server, also below a path. Links in mails begin with it.
    pub public_url: Option<PublicUrl>,
}

impl Default for Settings {
    fn default() -> Self {
        Self { time_zone: Tz::UTC, public_url: None }
    }
}

impl Settings {
    /// A time as people on site read it, with its zone: `2026-01-05 09:00:00 CET`.
    pub fn time(&self, time: DateTime<Utc>) -> String {
        time.with_timezone(&self.time_zone).format("%Y-%m-%d %H:%M:%S %Z").to_string()
    }
}

/// An address that begins with `http://` or `https://` and ends without a slash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicUrl(String);

/// It is no address that a browser can be sent to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must look like https://spc.example.com/andon, without a password, query or fragment")]
pub struct NoPublicUrl;

impl TryFrom<String> for PublicUrl {
    type Error = NoPublicUrl;

    fn try_from(text: String) -> Result<Self, NoPublicUrl> {
        let url = Url::parse(&text).map_err(|_| NoPublicUrl)?;
        let is_plain = matches!(url.scheme(), "http" | "https")
            && url.username().is_empty()
            && url.password().is_none()
            && url.query().is_none()
            && url.fragment().is_none();
        if is_plain { Ok(Self(url.as_str().trim_end_matches('/').to_owned())) } else { Err(NoPublicUrl) }
    }
}

impl<'de> Deserialize<'de> for PublicUrl {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.try_into().map_err(D::Error::custom)
    }
}

impl fmt::Display for PublicUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl PublicUrl {
    /// The page of a characteristic, with its control chart as it is when somebody looks.
    pub fn chart(&self, id: CharacteristicId) -> String {
        format!("{self}/characteristics/{id}")
    }

    /// The page of an episode.
    pub fn episode(&self, id: EpisodeId) -> String {
        format!("{self}/alarms?episode={id}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<String, NoPublicUrl> {
        PublicUrl::try_from(text.to_owned()).map(|url| url.to_string())
    }

    #[test]
    fn links_begin_with_the_address_as_browsers_have_it() {
        assert_eq!(read("https://spc.example.com"), Ok("https://spc.example.com".to_owned()));
        assert_eq!(read("http://spc:8080/andon/"), Ok("http://spc:8080/andon".to_owned()));
        for bad in [
            "spc.example.com",
            "ftp://spc",
            "https://",
            "https://a:b@spc",
            "https://spc/?a",
            "https://spc/#a",
        ] {
            assert_eq!(read(bad), Err(NoPublicUrl), "{bad}");
        }
    }

    #[test]
    fn times_are_those_of_the_site_and_say_so() {
        let at = |text: &str| text.parse::<DateTime<Utc>>().expect("a time");
        let site = Settings { time_zone: Tz::Europe__Berlin, ..Settings::default() };
        // The hour that is there twice.
        assert_eq!(site.time(at("2026-10-25T00:30:00Z")), "2026-10-25 02:30:00 CEST");
        assert_eq!(site.time(at("2026-10-25T01:30:00Z")), "2026-10-25 02:30:00 CET");
    }
}
