//! Times, pages and people: what many requests have in common.

use actix_web::dev::Payload;
use actix_web::error::QueryPayloadError;
use actix_web::{FromRequest, HttpRequest, web};
use chrono::{DateTime, Datelike as _, NaiveDateTime, TimeDelta, Utc};
use chrono_tz::Tz;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::domain::characteristic::is_line;
use crate::domain::ids::MAX_ID;
use crate::http::auth::Principal;
use crate::http::error::{ApiError, Kind};
use crate::protocol::rest::PageView;
use crate::store::Page;

/// How times of samples are taken.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// The IANA zone of times without one, such as `Europe/Berlin`; without it they are refused.
    pub naive_timestamps: Option<Tz>,
    /// How far ahead of this machine's clock a time may be.
    pub max_future_seconds: u32,
}

impl Default for Settings {
    fn default() -> Self {
        Self { naive_timestamps: None, max_future_seconds: 300 }
    }
}

impl Settings {
    /// The time of a measurement.
    ///
    /// # Errors
    /// 422, for a time that cannot be read or lies too far ahead.
    pub fn measured_at(&self, text: &str, now: DateTime<Utc>) -> Result<DateTime<Utc>, ApiError> {
        let fail = |detail| ApiError::field(Kind::InvalidTimestamp, "/timestamp", detail);
        let time = self.time(text).map_err(fail)?;
        let latest = now + TimeDelta::seconds(i64::from(self.max_future_seconds));
        if time > latest {
            let most = self.max_future_seconds;
            return Err(fail(format!("{text} lies more than {most} seconds ahead of the server's clock")));
        }
        Ok(time)
    }

    /// A bound of a time range in a query.
    ///
    /// # Errors
    /// 422, for a time that cannot be read.
    pub fn bound(&self, name: &str, text: Option<&str>) -> Result<Option<DateTime<Utc>>, ApiError> {
        let read = |text: &str| {
            // In a query, the plus of an offset arrives as a blank.
            let with_plus = text.trim().rsplit_once(' ').map(|(time, offset)| format!("{time}+{offset}"));
            self.time(text).or_else(|error| with_plus.and_then(|text| self.time(&text).ok()).ok_or(error))
        };
        let time = text.map(read).transpose();
        time.map_err(|detail| ApiError::new(Kind::InvalidQuery, format!("{name}: {detail}")))
    }

    /// A bound of a time range in a body.
    ///
    /// # Errors
    /// 422, for a time that cannot be read.
    pub fn field(&self, name: &str, text: Option<&str>) -> Result<Option<DateTime<Utc>>, ApiError> {
        let time = text.map(|text| self.time(text)).transpose();
        time.map_err(|detail| ApiError::field(Kind::InvalidField, format!("/{name}"), detail))
    }

    fn time(&self, text: &str) -> Result<DateTime<Utc>, String> {
        let text = text.trim();
        let time = match DateTime::parse_from_rfc3339(text) {
            Ok(time) => time.to_utc(),
            Err(_) => self.naive_time(text)?,
        };
        // In another zone, a time at the edge may fall into a year that RFC 3339 cannot write.
        let is_writable = (0..=9999).contains(&time.year());
        is_writable.then_some(time).ok_or_else(|| format!("{text:?} is out of the years 0000 to 9999 in UTC"))
    }

    fn naive_time(&self, text: &str) -> Result<DateTime<Utc>, String> {
        let Ok(naive) = text.replacen(' ', "T", 1).parse::<NaiveDateTime>() else {
            return Err(format!("{text:?} is no RFC 3339 time such as 2026-01-31T12:00:00Z"));
        };
        let Some(zone) = self.naive_timestamps else {
            return Err(format!("{text:?} has no zone; say for example {text}Z"));
        };
        // When clocks go back, the hour comes twice: the first is meant.
        let time = naive.and_local_timezone(zone).earliest();
        time.map(|time| time.to_utc()).ok_or_else(|| format!("{text:?} does not exist in {zone}"))
    }
}

/// The page that `offset` and `limit` of a query ask for.
///
/// # Errors
/// 422, for a limit outside 1 to 1000, or an offset beyond all ids there can be.
pub fn page(offset: Option<u64>, limit: Option<u64>) -> Result<Page, ApiError> {
    let fail = || ApiError::new(Kind::InvalidQuery, "limit must be from 1 to 1000");
    let offset = offset.unwrap_or(0);
    if offset > MAX_ID as u64 {
        return Err(ApiError::new(Kind::InvalidQuery, format!("offset must be at most {MAX_ID}")));
    }
    let limit = u32::try_from(limit.unwrap_or(100)).ok().filter(|limit| (1..=1000).contains(limit));
    limit.map(|limit| Page { offset, limit }).ok_or_else(fail)
}

/// The answer to a request for a page: its items, and how many there are in all.
pub fn page_of<T>(items: Vec<T>, total: u64, page: Page) -> PageView<T> {
    PageView { items, total, offset: page.offset, limit: page.limit }
}

/// A query string of type `T`.
pub struct Query<T>(pub T);

impl<T: DeserializeOwned> FromRequest for Query<T> {
    type Error = ApiError;
    type Future = std::future::Ready<Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let parsed = web::Query::<T>::from_query(request.query_string());
        std::future::ready(parsed.map(|query| Self(query.into_inner())).map_err(|error| match error {
            QueryPayloadError::Deserialize(error) => ApiError::new(Kind::InvalidQuery, error.to_string()),
            other => ApiError::new(Kind::InvalidQuery, other.to_string()),
        }))
    }
}

/// The query string of a path that takes none: names are refused here, too, rather than passed over.
pub struct NoQuery;

impl FromRequest for NoQuery {
    type Error = ApiError;
    type Future = std::future::Ready<Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let is_empty = request.query_string().is_empty();
        let refuse = || ApiError::new(Kind::InvalidQuery, "this path takes no query");
        std::future::ready(is_empty.then_some(Self).ok_or_else(refuse))
    }
}

/// Who does it: whoever is logged in, or whom the body names where no login says who.
///
/// # Errors
/// 422 for a name that is missing or not a line, 403 if a login says that it is somebody else.
pub fn acting_user(principal: &Principal, named: Option<String>) -> Result<String, ApiError> {
    let user = acting_user_if_known(principal, named)?;
    user.ok_or_else(|| ApiError::field(Kind::InvalidField, "/user", "user is required: no login says who"))
}

/// The same where nobody need be named.
///
/// # Errors
/// As [`acting_user`], except for a missing name.
pub fn acting_user_if_known(
    principal: &Principal,
    named: Option<String>,
) -> Result<Option<String>, ApiError> {
    let Some(named) = named else { return Ok(principal.name.clone()) };
    if !is_line(&named, 200) {
        return Err(ApiError::field(
            Kind::InvalidField,
            "/user",
            "user must be 1 to 200 characters on one line",
        ));
    }
    match &principal.name {
        Some(name) if *name != named && !principal.acts_for_users => {
            Err(ApiError::new(Kind::Forbidden, "this token may not act for another user"))
        }
        _ => Ok(Some(named)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().expect("a time")
    }

    #[test]
    fn a_time_needs_a_zone_unless_one_is_set() {
        let strict = Settings::default();
        assert_eq!(strict.time("2026-01-31T12:00:00+02:00"), Ok(at("2026-01-31T10:00:00Z")));
        let in_a_query = strict.bound("from", Some("2026-01-31T12:00:00 02:00"));
        assert_eq!(in_a_query, Ok(Some(at("2026-01-31T10:00:00Z"))));
        assert!(strict.time("2026-01-31T12:00:00 02:00").is_err());
        assert!(strict.time("0000-01-01T00:00:00+23:00").is_err());
        assert!(strict.time("2026-01-31T12:00:00").is_err());
        let berlin = Settings { naive_timestamps: Some(Tz::Europe__Berlin), ..strict };
        assert_eq!(berlin.time("2026-01-31T12:00:00"), Ok(at("2026-01-31T11:00:00Z")));
        assert_eq!(berlin.time("2026-10-25T02:30:00"), Ok(at("2026-10-25T00:30:00Z")));
        assert!(berlin.time("2026-03-29T02:30:00").is_err());
    }

    #[test]
    fn the_past_is_unlimited_and_the_future_is_not() {
        let (settings, now) = (Settings::default(), at("2026-01-31T12:00:00Z"));
        assert!(settings.measured_at("0001-01-01T00:00:00Z", now).is_ok());
        assert!(settings.measured_at("2026-01-31T12:05:00Z", now).is_ok());
        assert!(settings.measured_at("2026-01-31T12:05:01Z", now).is_err());
    }

    #[test]
    fn a_body_cannot_speak_for_somebody_else() {
        let token = |acts_for_users| Principal {
            name: Some("ann".to_owned()),
            acts_for_users,
            ..Principal::anonymous()
        };
        assert_eq!(acting_user(&Principal::anonymous(), Some("bob".to_owned())), Ok("bob".to_owned()));
        assert!(acting_user(&Principal::anonymous(), None).is_err());
        assert_eq!(acting_user(&token(false), None), Ok("ann".to_owned()));
        assert!(acting_user(&token(false), Some("bob".to_owned())).is_err());
        assert_eq!(acting_user(&token(true), Some("bob".to_owned())), Ok("bob".to_owned()));
    }
}
