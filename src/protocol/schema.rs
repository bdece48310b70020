//! What the words of the domain look like over the wire, for the OpenAPI document: ids, closed lists, texts.
//!
//! The domain knows no wire, so its schemas stand here, and so do the kinds of text that requests are held to. A
//! new id or enum that a request or an answer names gets its line in one of the two lists below; a variant that is
//! missing there does not compile. The patterns are ECMA-262 and say what `domain::characteristic` checks.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::{Value, json};
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{AdditionalProperties, KnownFormat, ObjectBuilder, Schema, SchemaFormat, Type};
use utoipa::{PartialSchema, ToSchema};

use crate::domain::alarm::AlarmState;
use crate::domain::chart::{Chart, ChartKind, DispersionStatistic, Side, Zone};
use crate::domain::delivery::{AttemptOutcome, DeliveryState, Replayable};
use crate::domain::episode::{ClosingReason, EpisodeChange, EpisodeStatus};
use crate::domain::ids::{
    CharacteristicId, DeliveryId, EpisodeId, LimitsId, MAX_ID, SampleId, SilenceId, ViolationId,
};
use crate::domain::limits::LARGEST_VALUE;
use crate::domain::phase::{LimitsMethod, LimitsState};
use crate::domain::rules::{Preset, Severity};
use crate::domain::run_length::RunLengthMethod;
use crate::domain::sample::Mode;
use crate::domain::violation::ViolationStatus;
use crate::protocol::event::EventKind;
use crate::protocol::json::{JsonObject, MAX_OBJECT_BYTES};
use crate::protocol::rest::{BatchAcknowledge, ConnectionNumber, ConnectionOrder, SampleRequest, SetLimits};
use crate::protocol::socket::Quality;

/// A schema by its name, as `ToSchema` collects them.
pub type Named = (String, RefOr<Schema>);

macro_rules! ids {
    ($($(#[doc = $doc:literal])+ $name:ident;)*) => {
        $(
            impl PartialSchema for $name {
                fn schema() -> RefOr<Schema> {
                    let id = ObjectBuilder::new().schema_type(Type::Integer).minimum(Some(1)).maximum(Some(MAX_ID));
                    id.description(Some(text(&[$($doc),+]))).build().into()
                }
            }
            impl ToSchema for $name {}
        )*

        fn ids() -> Vec<Named> {
            vec![$(named::<$name>()),*]
        }
    };
}

macro_rules! closed_lists {
    ($($(#[doc = $doc:literal])+ $name:ident { $($variant:ident)* })*) => {
        $(
            impl PartialSchema for $name {
                fn schema() -> RefOr<Schema> {
                    // Complete, or it does not compile.
                    let _ = |word: $name| match word { $($name::$variant => ()),* };
                    words(&text(&[$($doc),+]), &[$($name::$variant),*])
                }
            }
            impl ToSchema for $name {}
        )*

        fn closed_lists() -> Vec<Named> {
            vec![$(named::<$name>()),*]
        }
    };
}

macro_rules! texts {
    ($($(#[doc = $doc:literal])+ $name:ident: $fewest:literal to $most:literal, $pattern:expr;)*) => {
        $(
            $(#[doc = $doc])+
            pub enum $name {}

            impl PartialSchema for $name {
                fn schema() -> RefOr<Schema> {
                    let text_of = ObjectBuilder::new().schema_type(Type::String).pattern(Some($pattern));
                    let text_of = text_of.min_length(Some($fewest)).max_length(Some($most));
                    text_of.description(Some(text(&[$($doc),+]))).build().into()
                }
            }
            impl ToSchema for $name {}
        )*

        fn texts() -> Vec<Named> {
            vec![$(named::<$name>()),*]
        }
    };
}

ids! {
    /// One monitored quantity of one process: a control chart.
    CharacteristicId;
    /// One subgroup, or individual, that was measured.
    SampleId;
    /// One rule that fired on one sample.
    ViolationId;
    /// Violations of one characteristic that belong together.
    EpisodeId;
    /// One notice to one receiver: what is tried until it is over.
    DeliveryId;
    /// A while in which nobody is told of some processes.
    SilenceId;
    /// One set of control limits, which is also one phase of a characteristic.
    LimitsId;
    /// One connection to this process; never used twice by it.
    ConnectionNumber;
}

closed_lists! {
    /// The pair of charts: individuals and moving range, subgroup mean and range, or mean and standard deviation.
    ChartKind { IMr XbarR XbarS }
    /// What the dispersion chart plots: moving range of two, range, or standard deviation of the subgroup.
    DispersionStatistic { Mr R S }
    /// Which of a characteristic's two charts a signal stands on.
    Chart { Location Dispersion }
    /// Where a plotted point lies between the limits; a point on a line belongs to the inner zone.
    Zone { BeyondUcl ZoneAUpper ZoneBUpper ZoneCUpper Center ZoneCLower ZoneBLower ZoneALower BeyondLcl }
    /// The side of the center line that a signal is about.
    Side { Upper Lower }
    /// Where limits come from: given, or sigma estimated from moving ranges, ranges or standard deviations.
    LimitsMethod { Given MovingRange Range StdDev }
    /// Whether a characteristic has control limits; provisional ones, nobody has looked at yet.
    LimitsState { None Provisional InForce }
    /// What an operator sees first; active means that the newest judged sample signalled.
    AlarmState { NoLimits Normal ActiveUnacked ActiveAcked ReturnedUnacked Retired }
    /// How a sample is meant: as it happens, of the past, or only kept.
    Mode { Live History Store }
    /// Where a run length comes from: known without calculation, known of a preset, or estimated from simulated runs.
    RunLengthMethod { Exact Tabulated Simulation }
    /// How urgent a violation is, mildest first.
    Severity { Info Warning Critical }
    /// A named rule set: all eight; 1, 5, 6 and 2 with eight points; 1, 2, 5, 6 (the default); 1 alone.
    Preset { Nelson WesternElectric Balanced Outlier }
    /// What an event tells of.
    EventKind { Sample Violation AckUpdate ControlLimits SampleUpdate ViolationUpdate CharacteristicUpdate Episode }
    /// Whether a violation still holds, or re-judging found that it does not.
    ViolationStatus { Open Withdrawn }
    /// Whether violations may still join an episode, or it is over.
    EpisodeStatus { Open Closed }
    /// What people have to know of an episode.
    EpisodeChange { Opened Worsened Acknowledged Lapsed Closed }
    /// Why an episode is over: enough points in control, new limits, a new phase without any, none of its violations holds,
    /// its characteristic was retired or deleted, or nothing was heard of the process for too long.
    ClosingReason { InControl NewLimits NewPhase Withdrawn Retired Deleted Stale }
    /// How far a delivery is: its time has not come, nobody has tried (anew), somebody does, there will be another attempt (of the
    /// newest one it may not be known whether it arrived), the receiver has taken it, it never will, it came to nothing as
    /// long as it was of use, something else took its place, or a rule or a silence says that nobody is told.
    DeliveryState { Scheduled Pending Leased Retrying Uncertain Delivered Dead Expired Superseded Suppressed }
    /// How a delivery ended that may be told anew: the receiver has taken it, never would, or it came to nothing as long as it was of
    /// use.
    Replayable { Delivered Dead Expired }
    /// How an attempt ended: taken, not this time, never, or not known.
    AttemptOutcome { Delivered Transient Permanent Uncertain }
    /// How good a connection is by its newest round trip: below 20, 50, 100 or 200 ms, or slower.
    Quality { Excellent Good Fair Poor Critical }
    /// Which connections come first: those with the most bytes waiting, or those that have taken nothing for longest.
    ConnectionOrder { Queued Stalled }
}

texts! {
    /// One line of text: 1 to 200 characters, none of them a control character, not only blanks.
    Line: 1 to 200, r"^[^\u0000-\u001F\u007F-\u009F]*[^\s\u0000-\u001F\u007F-\u009F][^\u0000-\u001F\u007F-\u009F]*$";
    /// Text of at most 1000 characters; of control characters, it may hold line breaks and tabs.
    Note: 0 to 1_000, r"^[^\u0000-\u0008\u000B\u000C\u000E-\u001F\u007F-\u009F]*$";
    /// Text of at most 4000 characters; of control characters, it may hold line breaks and tabs.
    Text: 0 to 4_000, r"^[^\u0000-\u0008\u000B\u000C\u000E-\u001F\u007F-\u009F]*$";
    /// The integrator's own id: 1 to 128 visible characters.
    Key: 1 to 128, r"^[^\s\u0000-\u001F\u007F-\u009F]+$";
    /// The integrator's own id, as far as it can stand in a list.
    ListedKey: 1 to 128, r"^[^\s,\u0000-\u001F\u007F-\u009F]+$";
    /// A position in the event log: `EPOCH.SEQ`.
    LogPosition: 3 to 80, r"^[0-9A-Za-z]{1,64}\.[0-9]{1,15}$";
    /// What a caller calls its request: 1 to 128 visible ASCII characters.
    HeaderKey: 1 to 128, r"^[!-~]+$";
    /// A path of names that are not blank, such as `plant/line4/press`.
    GroupPath: 1 to 500, concat!(
        r"^[^/\u0000-\u001F\u007F-\u009F]*[^/\s\u0000-\u001F\u007F-\u009F][^/\u0000-\u001F\u007F-\u009F]*",
        r"(/[^/\u0000-\u001F\u007F-\u009F]*[^/\s\u0000-\u001F\u007F-\u009F][^/\u0000-\u001F\u007F-\u009F]*)*$",
    );
    /// The type of a problem: a name that is told nowhere else.
    ProblemType: 1 to 80, r"^urn:problem:andon:[a-z_]+$";
}

/// A time with its offset; answers are UTC.
pub enum Moment {}

impl PartialSchema for Moment {
    fn schema() -> RefOr<Schema> {
        let time = ObjectBuilder::new()
            .schema_type(Type::String)
            .format(Some(SchemaFormat::KnownFormat(KnownFormat::DateTime)));
        let what = "An RFC 3339 time with its offset. One without is refused, unless the server's setting \
                    `input.naive_timestamps` names a zone.";
        time.description(Some(what)).build().into()
    }
}

impl ToSchema for Moment {}

/// A value that is computed with, in the characteristic's own unit.
pub enum Quantity {}

impl PartialSchema for Quantity {
    fn schema() -> RefOr<Schema> {
        let number = ObjectBuilder::new().schema_type(Type::Number);
        let number = number.minimum(Some(-LARGEST_VALUE)).maximum(Some(LARGEST_VALUE));
        number.description(Some("A value in the characteristic's own unit.")).build().into()
    }
}

impl ToSchema for Quantity {}

impl PartialSchema for JsonObject {
    fn schema() -> RefOr<Schema> {
        let object = ObjectBuilder::new().schema_type(Type::Object);
        let object = object.additional_properties(Some(AdditionalProperties::FreeForm(true)));
        let what = format!(
            "The sender's own JSON object, at most {MAX_OBJECT_BYTES} bytes, given back as it came. \
             No name may stand twice in it."
        );
        object.description(Some(what)).build().into()
    }
}

impl ToSchema for JsonObject {}

/// What a schema says besides its members: which of them go together. To be joined with what is derived.
pub fn choices() -> Vec<(Cow<'static, str>, Value)> {
    const BY_SIGMA: &[&str] = &["sigma"];
    const BY_LIMITS: &[&str] = &["ucl", "lcl"];
    vec![
        (SampleRequest::name(), one_of(&[&["characteristic_id"], &["characteristic_key"]])),
        (SetLimits::name(), one_of(&[BY_LIMITS, BY_SIGMA])),
        (
            BatchAcknowledge::name(),
            one_of(&[
                &["violation_ids"],
                &["characteristic_id", "up_to_seq"],
                &["characteristic_key", "up_to_seq"],
            ]),
        ),
    ]
}

/// One of these sets of members is given, and nothing of the others.
fn one_of(sets: &[&[&str]]) -> Value {
    let chosen = |set: &&[&str]| {
        let mut members = BTreeMap::new();
        for name in sets.iter().copied().flatten() {
            let nothing = json!({"type": "null"});
            members.insert(*name, if set.contains(name) { json!({"not": nothing}) } else { nothing });
        }
        json!({"required": set, "properties": members})
    };
    json!({"oneOf": sets.iter().map(chosen).collect::<Vec<_>>()})
}

/// All schemas of this file: whatever refers to one finds it here.
pub fn vocabulary() -> Vec<Named> {
    let single = vec![named::<Moment>(), named::<Quantity>(), named::<JsonObject>()];
    [ids(), closed_lists(), texts(), single].concat()
}

fn named<T: ToSchema>() -> Named {
    (T::name().into_owned(), T::schema())
}

fn words<T: Serialize>(description: &str, words: &[T]) -> RefOr<Schema> {
    let told = words.iter().map(|word| serde_json::to_value(word).expect("a word is a string"));
    ObjectBuilder::new()
        .schema_type(Type::String)
        .enum_values(Some(told))
        .description(Some(description))
        .build()
        .into()
}

/// The lines of a doc comment as one text.
fn text(lines: &[&str]) -> String {
    lines.iter().map(|line| line.trim()).collect::<Vec<_>>().join(" ")
}
