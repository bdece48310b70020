//! What goes to whom: routes are looked at in order; the first that matches counts, and later ones as long as it says so.
//!
//! Pure: what a notice is about is given, receivers are names.

use std::collections::BTreeSet;

use crate::domain::episode::EpisodeChange;
use crate::domain::rules::Severity;
use crate::notify::receivers::Receivers;
use crate::notify::settings::{RouteSettings, SettingsError};
use crate::protocol::episode::EpisodeUpdate;

/// What routes look at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subject<'a> {
    /// What is new about the episode.
    pub change: EpisodeChange,
    /// How severe the episode is.
    pub severity: Severity,
    /// The characteristic's id, as text.
    pub characteristic: String,
    /// Its key.
    pub key: Option<&'a str>,
    /// The path of its group.
    pub group: Option<&'a str>,
    /// Its tags.
    pub tags: &'a [String],
    /// The rules that fired in the episode.
    pub rules: BTreeSet<u32>,
}

impl<'a> Subject<'a> {
    /// What is new of an episode, of a characteristic with these tags.
    pub fn of(update: &'a EpisodeUpdate, tags: &'a [String]) -> Self {
        let episode = &update.episode;
        Self {
            change: update.change,
            severity: episode.severity,
            characteristic: episode.characteristic_id.to_string(),
            key: episode.characteristic_key.as_deref(),
            group: episode.group.as_deref(),
            tags,
            rules: episode.rules.iter().map(|rule| rule.rule_id).collect(),
        }
    }
}

/// The routes of the settings.
#[derive(Debug, Clone)]
pub struct Routes {
    routes: Vec<RouteSettings>,
}

impl Routes {
    /// Routes to these receivers; without any, everything goes to all of them.
    ///
    /// # Errors
    /// [`SettingsError`], if one leads to nobody.
    pub fn new(routes: &[RouteSettings], receivers: &Receivers) -> Result<Self, SettingsError> {
        let known: Vec<_> = receivers.iter().map(|receiver| receiver.settings.name.clone()).collect();
        for (place, route) in routes.iter().enumerate() {
            if route.receivers.is_empty() {
                return Err(SettingsError::NoReceiver(place));
            }
            if let Some(receiver) = route.receivers.iter().find(|name| !known.contains(name)) {
                return Err(SettingsError::UnknownReceiver {
                    route: place,
                    receiver: receiver.clone(),
                    known: known.join(", "),
                });
            }
        }
        let everything = || vec![RouteSettings { receivers: known, ..RouteSettings::default() }];
        Ok(Self { routes: if routes.is_empty() { everything() } else { routes.to_vec() } })
    }

    /// Who is told, each once.
    pub fn receivers_of(&self, subject: &Subject<'_>) -> Vec<&str> {
        let mut found: Vec<&str> = Vec::new();
        for route in self.routes.iter().filter(|route| matches(route, subject)) {
            for name in &route.receivers {
                if !found.contains(&name.as_str()) {
                    found.push(name);
                }
            }
            if !route.goes_on {
                break;
            }
        }
        found
    }
}

fn matches(route: &RouteSettings, subject: &Subject<'_>) -> bool {
    let any = |wanted: &[String], has: &dyn Fn(&str) -> bool| {
        wanted.is_empty() || wanted.iter().any(|one| has(one))
    };
    any(&route.groups, &|group| subject.group.is_some_and(|path| is_within(path, group)))
        && any(&route.characteristics, &|named| named == subject.characteristic || Some(named) == subject.key)
        && any(&route.tags, &|tag| subject.tags.iter().any(|known| known == tag))
        && (route.rules.is_empty() || route.rules.iter().any(|rule| subject.rules.contains(rule)))
        && route.min_severity.is_none_or(|least| subject.severity >= least)
        && (route.notices.is_empty() || route.notices.contains(&subject.change))
}

/// Whether a group is another one or lies below it.
fn is_within(path: &str, group: &str) -> bool {
    path.strip_prefix(group).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::clock::Clock;
    use crate::notify::log::LogNotifier;
    use crate::notify::notifier::AlertNotifier;
    use crate::notify::settings::Settings;
    use crate::notify::surroundings::Surroundings;
    use crate::site;

    fn routes(routes: Vec<RouteSettings>) -> Result<Routes, SettingsError> {
        let notifier = |name: &str| (name.to_owned(), Arc::new(LogNotifier) as Arc<dyn AlertNotifier>);
        let own = ["a", "b", "log"].map(notifier).into();
        let surroundings = Surroundings::without_pictures(Clock::system(), site::Settings::default());
        let receivers = Receivers::new(&Settings::default(), own, &surroundings).expect("valid");
        Routes::new(&routes, &receivers)
    }

    fn to(receivers: &[&str]) -> RouteSettings {
        RouteSettings { receivers: texts(receivers), ..RouteSettings::default() }
    }

    fn texts(texts: &[&str]) -> Vec<String> {
        texts.iter().map(|text| (*text).to_owned()).collect()
    }

    fn subject(tags: &[String]) -> Subject<'_> {
        Subject {
            change: EpisodeChange::Opened,
            severity: Severity::Warning,
            characteristic: "7".to_owned(),
            key: Some("P7:bore"),
            group: Some("plant/line4"),
            tags,
            rules: [1, 5].into(),
        }
    }

    #[test]
    fn without_routes_everybody_is_told_everything() {
        assert_eq!(routes(vec![]).expect("valid").receivers_of(&subject(&[])), ["a", "b", "log"]);
    }

    #[test]
    fn the_first_that_matches_counts_and_later_ones_if_it_says_so() {
        let first = |goes_on| RouteSettings { goes_on, ..to(&["a"]) };
        assert_eq!(routes(vec![first(false), to(&["b"])]).expect("valid").receivers_of(&subject(&[])), ["a"]);
        let both = routes(vec![first(true), to(&["b", "a"]), to(&["log"])]).expect("valid");
        assert_eq!(both.receivers_of(&subject(&[])), ["a", "b"], "each once");
    }

    #[test]
    fn each_condition_must_hold_and_one_of_its_values_is_enough() {
        let tags = texts(&["safety"]);
        let matching = [
            RouteSettings { groups: texts(&["other", "plant"]), ..to(&["a"]) },
            RouteSettings { groups: texts(&["plant/line4"]), ..to(&["a"]) },
            RouteSettings { characteristics: texts(&["7"]), ..to(&["a"]) },
            RouteSettings { characteristics: texts(&["P7:bore"]), ..to(&["a"]) },
            RouteSettings { tags: texts(&["x", "safety"]), ..to(&["a"]) },
            RouteSettings { rules: vec![2, 5], ..to(&["a"]) },
            RouteSettings { min_severity: Some(Severity::Warning), ..to(&["a"]) },
            RouteSettings { notices: vec![EpisodeChange::Opened], ..to(&["a"]) },
        ];
        let others = [
            RouteSettings { groups: texts(&["pla", "plant/line", "plant/line4/press"]), ..to(&["a"]) },
            RouteSettings { characteristics: texts(&["8", "bore"]), ..to(&["a"]) },
            RouteSettings { tags: texts(&["safe"]), ..to(&["a"]) },
            RouteSettings { rules: vec![2], ..to(&["a"]) },
            RouteSettings { min_severity: Some(Severity::Critical), ..to(&["a"]) },
            RouteSettings { notices: vec![EpisodeChange::Closed], ..to(&["a"]) },
        ];
        for route in &matching {
            let found = routes(vec![route.clone()]).expect("valid");
            assert_eq!(found.receivers_of(&subject(&tags)), ["a"], "{route:?}");
        }
        for other in &others {
            let found = routes(vec![other.clone(), to(&["b"])]).expect("valid");
            assert_eq!(found.receivers_of(&subject(&tags)), ["b"], "{other:?}");
        }
        let mut both = matching[0].clone();
        both.min_severity = Some(Severity::Critical);
        let found = routes(vec![both, to(&["b"])]).expect("valid");
        assert_eq!(found.receivers_of(&subject(&tags)), ["b"], "one of two holds");
    }

    #[test]
    fn a_route_to_nobody_is_refused() {
        let told = routes(vec![to(&["a"]), to(&[])]).expect_err("nobody").to_string();
        assert_eq!(told, "the setting notify.routes[1].receivers names nobody");
        let told = routes(vec![to(&["a", "mail"])]).expect_err("nobody").to_string();
        assert_eq!(
            told,
            "the setting notify.routes[0].receivers names \"mail\", which is none of: a, b, log"
        );
    }
}
