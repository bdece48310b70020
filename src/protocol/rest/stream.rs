//! What a stream of server-sent events is asked for: a `subscribe`, said in a query. Lists are separated by commas.

use serde::Deserialize;
use utoipa::IntoParams;

use crate::domain::ids::CharacteristicId;
use crate::domain::rules::Severity;
use crate::protocol::event::EventKind;
use crate::protocol::schema::{GroupPath, ListedKey, LogPosition};
use crate::protocol::socket::{Chosen, Filter, Position, Subscription};

/// `GET /events/stream`. A name that holds a comma cannot stand in a list.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub struct EventStreamQuery {
    /// Whose events; ids that do not exist (yet) are fine.
    #[param(value_type = Option<Vec<CharacteristicId>>, style = Form, explode = false)]
    pub characteristic_ids: Option<String>,
    /// Besides, those of the characteristics with these keys.
    #[param(value_type = Option<Vec<ListedKey>>, style = Form, explode = false)]
    pub characteristic_keys: Option<String>,
    /// Besides, those of every characteristic in these groups or below them, later ones included.
    #[param(value_type = Option<Vec<GroupPath>>, style = Form, explode = false)]
    pub groups: Option<String>,
    /// Those of every characteristic, later ones included; stands alone.
    pub all: Option<bool>,
    /// First what was missed after this position, EPOCH.SEQ. `Last-Event-ID` counts more.
    #[param(value_type = Option<LogPosition>)]
    pub since: Option<String>,
    /// First the present state of each characteristic.
    pub snapshot: Option<bool>,
    /// Events of the past, too.
    pub history: Option<bool>,
    /// Only events of these types; acknowledgements come in any case. Without it: all but `episode`.
    #[param(value_type = Option<Vec<EventKind>>, style = Form, explode = false)]
    pub types: Option<String>,
    /// Of violations, only these and more severe ones.
    pub min_severity: Option<Severity>,
    /// Of violations, only those of these rules.
    #[param(value_type = Option<Vec<u32>>, style = Form, explode = false)]
    pub rule_ids: Option<String>,
    /// Samples of each characteristic in a second, at most; the newest of those that came too soon follows.
    #[param(minimum = 0.001, maximum = 1000)]
    pub sample_max_hz: Option<f64>,
}

impl EventStreamQuery {
    /// What is subscribed to, and the keys whose characteristics still have to be added.
    ///
    /// # Errors
    /// The sentence to be answered.
    pub fn subscription(self) -> Result<(Subscription, Vec<String>), String> {
        let id = |text: &str| text.parse().ok().and_then(|id: i64| CharacteristicId::try_from(id).ok());
        let word = |text: &str| Some(text.to_owned());
        let ids = list("characteristic_ids", self.characteristic_ids.as_deref(), id)?;
        let keys = list("characteristic_keys", self.characteristic_keys.as_deref(), word)?;
        let groups = list("groups", self.groups.as_deref(), word)?;
        let names_some = ids.is_some() || keys.is_some() || groups.is_some();
        let chosen = match (self.all.unwrap_or(false), names_some) {
            (true, false) => Chosen::All,
            (false, true) => Chosen::These(ids.unwrap_or_default()),
            _ => {
                return Err(
                    "say characteristic_ids, characteristic_keys or groups, or else all=true".to_owned()
                );
            }
        };
        let since = self.since.as_deref().map(str::parse::<Position>).transpose();
        let filter = Filter {
            types: list("types", self.types.as_deref(), EventKind::from_name)?,
            min_severity: self.min_severity,
            rule_ids: list("rule_ids", self.rule_ids.as_deref(), |text| text.parse().ok())?,
            sample_max_hz: self.sample_max_hz,
        };
        let subscription = Subscription {
            chosen,
            groups: groups.unwrap_or_default(),
            since: since.map_err(|error| format!("since: {error}"))?,
            snapshot: self.snapshot.unwrap_or(false),
            history: self.history.unwrap_or(false),
            filter: (filter != Filter::default()).then_some(filter),
        };
        subscription.check()?;
        Ok((subscription, keys.unwrap_or_default()))
    }
}

/// A list that names at least one thing; `None`, where it is not there.
fn list<T>(
    name: &str,
    text: Option<&str>,
    read: impl Fn(&str) -> Option<T>,
) -> Result<Option<Vec<T>>, String> {
    let item = |text: &str| {
        let is_something = !text.is_empty();
        is_something
            .then(|| read(text))
            .flatten()
            .ok_or_else(|| format!("{name}: {text:?} cannot stand here"))
    };
    text.map(|text| text.split(',').map(item).collect()).transpose()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn query() -> EventStreamQuery {
        EventStreamQuery::default()
    }

    fn some(text: &str) -> Option<String> {
        Some(text.to_owned())
    }

    #[test]
    fn a_query_says_what_a_subscribe_says() {
        let asked = EventStreamQuery {
            characteristic_ids: some("1,7"),
            characteristic_keys: some("P7:bore"),
            groups: some("plant/line4,plant/line5"),
            since: some("3f2a.9"),
            snapshot: Some(true),
            history: Some(true),
            types: some("violation,ack_update"),
            min_severity: Some(Severity::Warning),
            rule_ids: some("1,5"),
            sample_max_hz: Some(0.5),
            ..query()
        };
        let ids = [1, 7].map(|id| CharacteristicId::try_from(id).expect("positive")).to_vec();
        let filter = Filter {
            types: Some(vec![EventKind::Violation, EventKind::AckUpdate]),
            min_severity: Some(Severity::Warning),
            rule_ids: Some(vec![1, 5]),
            sample_max_hz: Some(0.5),
        };
        let due = Subscription {
            chosen: Chosen::These(ids),
            groups: vec!["plant/line4".to_owned(), "plant/line5".to_owned()],
            since: Some(Position { epoch: "3f2a".to_owned(), seq: 9 }),
            snapshot: true,
            history: true,
            filter: Some(filter),
        };
        assert_eq!(asked.subscription(), Ok((due, vec!["P7:bore".to_owned()])));
        let all = EventStreamQuery { all: Some(true), ..query() };
        assert_eq!(all.subscription(), Ok((Subscription::all(), vec![])));
    }

    #[test]
    fn what_cannot_be_is_refused_by_its_name() {
        let one = || EventStreamQuery { characteristic_ids: some("1"), ..query() };
        for (name, asked) in [
            ("all=true", query()),
            ("all=true", EventStreamQuery { all: Some(false), ..query() }),
            ("all=true", EventStreamQuery { all: Some(true), ..one() }),
            ("characteristic_ids", EventStreamQuery { characteristic_ids: some("1,"), ..query() }),
            ("characteristic_ids", EventStreamQuery { characteristic_ids: some("0"), ..query() }),
            ("characteristic_ids", EventStreamQuery { characteristic_ids: some("1, 2"), ..query() }),
            ("characteristic_keys", EventStreamQuery { characteristic_keys: some(""), ..query() }),
            ("groups", EventStreamQuery { groups: some("a//b"), ..query() }),
            ("types", EventStreamQuery { types: some("weather"), ..one() }),
            ("rule_ids", EventStreamQuery { rule_ids: some("-1"), ..one() }),
            ("sample_max_hz", EventStreamQuery { sample_max_hz: Some(0.0), ..one() }),
            ("since", EventStreamQuery { since: some("12"), ..one() }),
        ] {
            let refusal = asked.subscription().expect_err("refused");
            assert!(refusal.contains(name), "{name}: {refusal}");
        }
    }
}
