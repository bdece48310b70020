//! The payloads of foreign events: read and checked, so that what goes on holds together. Numbers are finite, texts
//! bounded, times as the settings say.

use chrono::{DateTime, Utc};
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

use crate::domain::characteristic::{is_line, is_text};
use crate::domain::chart::Chart;
use crate::domain::limits::LARGEST_VALUE;
use crate::domain::sample::{Judgement, Subgroup};
use crate::http::auth::Principal;
use crate::http::body;
use crate::http::error::{ApiError, Kind};
use crate::http::input::{self, acting_user, acting_user_if_known};
use crate::protocol::rest::{
    ExternalId, ForeignAcknowledgement, ForeignLimits, ForeignSample, ForeignViolation,
};
use crate::services::foreign_events::{ToldAcknowledgement, ToldLimits, ToldSample, ToldViolation};
use crate::services::{GivenLimits, Signed};

/// The most measurements of one foreign sample: other systems draw larger subgroups than ours.
const MAX_MEASUREMENTS: u32 = 1_000;
/// The most members of one pattern.
const MAX_INVOLVED: usize = 200;
const MAX_ID_CHARS: usize = 128;
const MAX_LINE_CHARS: usize = 200;
const MAX_LONG_CHARS: usize = 1_000;
const MAX_COMMENT_CHARS: usize = 4_000;

/// Reads payloads for a caller, at a time.
pub struct Reader<'a> {
    pub caller: &'a Principal,
    pub times: &'a input::Settings,
    pub now: DateTime<Utc>,
}

impl Reader<'_> {
    /// A sample.
    ///
    /// # Errors
    /// 422, naming the field.
    pub fn sample(&self, payload: &RawValue) -> Result<ToldSample, ApiError> {
        let told: ForeignSample = parsed(payload)?;
        let subgroup = subgroup(&told)?;
        numbers([("dispersion_value", told.dispersion_value), ("center_line", told.center_line)])?;
        numbers([("ucl", told.ucl), ("lcl", told.lcl)])?;
        lines([("batch", &told.batch), ("operator", &told.operator)])?;
        let judgement = judgement(&told)?;
        // Of one, the single measurement is what is plotted; of several, it is not told.
        let alone = || if subgroup.n == 1 { vec![subgroup.mean] } else { Vec::new() };
        Ok(ToldSample {
            external_id: told.sample_id.map(|id| external_id("sample_id", id)).transpose()?,
            measurements: told.measurements.filter(|values| !values.is_empty()).unwrap_or_else(alone),
            subgroup,
            dispersion_value: told.dispersion_value,
            timestamp: self.times.measured_at(&told.timestamp, self.now)?,
            judgement,
            out_of_spec: told.out_of_spec,
            mode: told.mode.unwrap_or_default(),
            batch: told.batch,
            operator: told.operator,
            metadata: told.metadata.map(|object| object.as_str().to_owned()),
        })
    }

    /// A violation; its id is the event's, where it has none of its own.
    ///
    /// # Errors
    /// 422, naming the field.
    pub fn violation(&self, payload: &RawValue, event_id: &str) -> Result<ToldViolation, ApiError> {
        let told: ForeignViolation = parsed(payload)?;
        numbers([("value", told.value), ("center_line", told.center_line)])?;
        numbers([("ucl", told.ucl), ("lcl", told.lcl), ("sigma", told.sigma)])?;
        line("rule_name", &told.rule_name)?;
        line("severity", &told.severity)?;
        if let Some(message) = &told.message
            && !is_line(message, MAX_LONG_CHARS)
        {
            return Err(invalid("message", "must be 1 to 1000 characters on one line"));
        }
        let involved = told.involved_sample_ids.unwrap_or_default();
        if involved.len() > MAX_INVOLVED {
            return Err(invalid("involved_sample_ids", "must name at most 200 samples"));
        }
        let own_id = told.violation_id.map(|id| external_id("violation_id", id)).transpose()?;
        Ok(ToldViolation {
            external_id: own_id.unwrap_or_else(|| event_id.to_owned()),
            external_sample_id: told.sample_id.map(|id| external_id("sample_id", id)).transpose()?,
            chart: told.chart.unwrap_or(Chart::Location),
            rule_id: told.rule_id,
            rule_name: told.rule_name,
            severity: told.severity,
            message: told.message,
            side: told.side,
            value: told.value,
            center_line: told.center_line,
            ucl: told.ucl,
            lcl: told.lcl,
            sigma: told.sigma,
            n: told.n,
            involved: involved
                .into_iter()
                .map(|id| external_id("involved_sample_ids", id))
                .collect::<Result<_, _>>()?,
            timestamp: self.times.measured_at(&told.timestamp, self.now)?,
            requires_acknowledgement: told.requires_acknowledgement.unwrap_or(true),
        })
    }

    /// An acknowledgement.
    ///
    /// # Errors
    /// 422, naming the field; 403, if the caller may not act for the user.
    pub fn acknowledgement(&self, payload: &RawValue) -> Result<ToldAcknowledgement, ApiError> {
        let told: ForeignAcknowledgement = parsed(payload)?;
        line("reason", &told.reason)?;
        text("comment", told.comment.as_ref(), MAX_COMMENT_CHARS)?;
        let time = |text: &String| self.times.measured_at(text, self.now);
        Ok(ToldAcknowledgement {
            external_id: external_id("violation_id", told.violation_id)?,
            user: acting_user(self.caller, told.user)?,
            reason: told.reason,
            comment: told.comment,
            timestamp: told.timestamp.as_ref().map(time).transpose()?,
        })
    }

    /// Control limits.
    ///
    /// # Errors
    /// 422, naming the field; 403, if the caller may not act for the user.
    pub fn limits(&self, payload: &RawValue) -> Result<ToldLimits, ApiError> {
        let ForeignLimits { center_line, ucl, lcl, sigma, reason, user } = parsed(payload)?;
        text("reason", reason.as_ref(), MAX_LONG_CHARS)?;
        let given = match sigma {
            Some(sigma) => GivenLimits::Told { center_line, ucl, lcl, sigma },
            None => GivenLimits::Limits { center_line, ucl, lcl },
        };
        let signed = Signed { user: acting_user_if_known(self.caller, user)?, reason };
        Ok(ToldLimits { given, signed })
    }
}

fn parsed<T: DeserializeOwned>(payload: &RawValue) -> Result<T, ApiError> {
    body::parse::<T, false>(payload.get().as_bytes())
}

/// What is plotted: as it was told, and else as it follows from the measurements.
fn subgroup(told: &ForeignSample) -> Result<Subgroup, ApiError> {
    let spreads = [("range_value", told.range_value), ("std_dev", told.std_dev)];
    numbers([("value", told.value)])?;
    numbers(spreads)?;
    if let Some((name, _)) = spreads.into_iter().find(|(_, spread)| spread.is_some_and(|s| s < 0.0)) {
        return Err(invalid(name, "must not be negative"));
    }
    if told.n == Some(0) {
        return Err(invalid("n", "must be at least 1"));
    }
    let computed = match told.measurements.as_deref() {
        None | Some([]) => None,
        Some(measurements) => Some(
            Subgroup::of(measurements, told.n.unwrap_or(1), told.n.unwrap_or(MAX_MEASUREMENTS)).map_err(
                |error| ApiError::field(Kind::InvalidMeasurements, "/measurements", error.to_string()),
            )?,
        ),
    };
    let Some(mean) = told.value.or(computed.map(|computed| computed.mean)) else {
        return Err(invalid("value", "is needed, or measurements, or both"));
    };
    Ok(Subgroup {
        n: computed.map_or(told.n.unwrap_or(1), |computed| computed.n),
        mean,
        range: told.range_value.or(computed.and_then(|computed| computed.range)),
        std_dev: told.std_dev.or(computed.and_then(|computed| computed.std_dev)),
    })
}

/// How the sender judged a sample. Nothing is concluded here: what it does not say is not known.
fn judgement(told: &ForeignSample) -> Result<Option<Judgement>, ApiError> {
    let ForeignSample { zone, ucl, center_line, lcl, .. } = *told;
    match told.in_control {
        Some(in_control) => Ok(Some(Judgement { limits_id: None, zone, in_control, ucl, center_line, lcl })),
        None if zone.is_none() && ucl.is_none() && center_line.is_none() && lcl.is_none() => Ok(None),
        None => Err(invalid("in_control", "is needed with zone, ucl, center_line and lcl")),
    }
}

fn invalid(name: &str, rule: &str) -> ApiError {
    ApiError::field(Kind::InvalidField, format!("/payload/{name}"), format!("{name} {rule}"))
}

fn external_id(name: &str, id: ExternalId) -> Result<String, ApiError> {
    let ExternalId(id) = id;
    let refuse = || invalid(name, "must be 1 to 128 characters on one line, or an integer");
    is_line(&id, MAX_ID_CHARS).then_some(id).ok_or_else(refuse)
}

fn numbers<const N: usize>(values: [(&str, Option<f64>); N]) -> Result<(), ApiError> {
    match values.into_iter().find(|(_, value)| value.is_some_and(|value| value.abs() > LARGEST_VALUE)) {
        Some((name, _)) => Err(invalid(name, "must be a number between -1e150 and 1e150")),
        None => Ok(()),
    }
}

fn line(name: &str, text: &str) -> Result<(), ApiError> {
    let refuse = || invalid(name, "must be 1 to 200 characters on one line");
    is_line(text, MAX_LINE_CHARS).then_some(()).ok_or_else(refuse)
}

fn lines<const N: usize>(texts: [(&str, &Option<String>); N]) -> Result<(), ApiError> {
    texts.into_iter().try_for_each(|(name, text)| text.as_ref().map_or(Ok(()), |text| line(name, text)))
}

fn text(name: &str, text: Option<&String>, max: usize) -> Result<(), ApiError> {
    let fits = text.is_none_or(|text| is_text(text, max));
    let refuse = || {
        let rule =
            format!("must be at most {max} characters, of control characters only line breaks and tabs");
        invalid(name, &rule)
    };
    fits.then_some(()).ok_or_else(refuse)
}
