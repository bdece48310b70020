//! What goes to whom: routes are looked at in order; the first that matches counts, and later ones as long as it says so.
//!
//! Pure: what a notice is about is given, receivers are names.

use std::collections::BTreeSet;
use std::fmt;
use std::time::Duration;

use chrono::{DateTime, Utc};
use chrono_tz::Tz;

use crate::domain::episode::EpisodeChange;
use crate::domain::rules::Severity;
use crate::domain::silence::is_within;
use crate::notify::receivers::Receivers;
use crate::notify::settings::{RouteSettings, SettingsError};
use crate::notify::windows::Window;
use crate::protocol::episode::EpisodeUpdate;

/// What routes look at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subject<'a> {
    /// What is new about the episode.
    pub change: EpisodeChange,
    /// When that was.
    pub at: DateTime<Utc>,
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
            at: update.timestamp,
            severity: episode.severity,
            characteristic: episode.characteristic_id.to_string(),
            key: episode.characteristic_key.as_deref(),
            group: episode.group.as_deref(),
            tags,
            rules: episode.rules.iter().map(|rule| rule.rule_id).collect(),
        }
    }
}

/// Who is told of something, and when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Told<'a> {
    /// The receiver's name.
    pub receiver: &'a str,
    /// By which route, in their order.
    pub route: u32,
    /// Of that route's escalation; 0: the first.
    pub step: u32,
    /// How long after the notice, if nobody has answered by then; `None`: at once.
    pub after: Option<Duration>,
    /// How long after that it is told again, and so on until somebody answers; `None`: never.
    pub remind_after: Option<Duration>,
    /// Whether it is not told of what is less severe than what it knows of the episode.
    pub inhibits: bool,
}

/// What a route has to do with something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RouteVerdict {
    /// It counts.
    Matches,
    /// This condition of it does not hold.
    Lacks(&'static str),
    /// A route before it was the last that counts.
    NotReached,
}

impl fmt::Display for RouteVerdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Matches => f.write_str("matches"),
            Self::Lacks(condition) => write!(f, "does not match: {condition}"),
            Self::NotReached => f.write_str("not reached: one before it matches and does not continue"),
        }
    }
}

/// Who is told of something, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision<'a> {
    /// Each receiver once at each step.
    pub told: Vec<Told<'a>>,
    /// Of each route, in order.
    pub routes: Vec<RouteVerdict>,
}

/// The routes of the settings.
#[derive(Debug, Clone)]
pub struct Routes(Vec<Route>);

#[derive(Debug, Clone)]
struct Route {
    settings: RouteSettings,
    windows: Vec<Window>,
    time_zone: Tz,
}

impl Routes {
    /// Routes to these receivers, with times of this zone; without any, everything goes to all of them.
    ///
    /// # Errors
    /// [`SettingsError`], if one leads to nobody or is at no time.
    pub fn new(
        routes: &[RouteSettings],
        receivers: &Receivers,
        time_zone: Tz,
    ) -> Result<Self, SettingsError> {
        let known: Vec<_> = receivers.iter().map(|receiver| receiver.settings.name.clone()).collect();
        let everything = || vec![RouteSettings { receivers: known.clone(), ..RouteSettings::default() }];
        let routes = if routes.is_empty() { everything() } else { routes.to_vec() };
        let checked = routes.into_iter().enumerate().map(|(place, settings)| {
            check_names(&format!("notify.routes[{place}].receivers"), &settings.receivers, &known)?;
            for (step, escalation) in settings.escalate.iter().enumerate() {
                let key = format!("notify.routes[{place}].escalate[{step}].receivers");
                check_names(&key, &escalation.receivers, &known)?;
            }
            let is_later = settings.escalate.is_sorted_by(|a, b| a.after_seconds < b.after_seconds);
            if !is_later || settings.escalate.first().is_some_and(|first| first.after_seconds == 0) {
                return Err(SettingsError::Steps(place));
            }
            let windows = settings.times.iter().map(Window::new).collect::<Result<_, _>>();
            let windows = windows.map_err(|error| SettingsError::Time(place, error))?;
            Ok(Route { windows, time_zone: settings.time_zone.unwrap_or(time_zone), settings })
        });
        checked.collect::<Result<_, _>>().map(Self)
    }

    /// The receivers of each route, without its escalation.
    pub fn receivers(&self) -> impl Iterator<Item = Vec<String>> {
        self.0.iter().map(|route| route.settings.receivers.clone())
    }

    /// Who is told of something.
    pub fn decide(&self, subject: &Subject<'_>) -> Decision<'_> {
        let mut decision = Decision { told: Vec::new(), routes: Vec::new() };
        let mut is_over = false;
        for (place, route) in (0..).zip(&self.0) {
            let verdict = match route.lacks(subject) {
                _ if is_over => RouteVerdict::NotReached,
                Some(condition) => RouteVerdict::Lacks(condition),
                None => RouteVerdict::Matches,
            };
            decision.routes.push(verdict);
            if verdict == RouteVerdict::Matches {
                is_over = !route.settings.goes_on;
                route.tell(place, subject.change, &mut decision.told);
            }
        }
        decision
    }
}

impl Route {
    /// The first condition that does not hold.
    fn lacks(&self, subject: &Subject<'_>) -> Option<&'static str> {
        let any = |wanted: &[String], has: &dyn Fn(&str) -> bool| {
            wanted.is_empty() || wanted.iter().any(|one| has(one))
        };
        let route = &self.settings;
        let is_named = |named: &str| named == subject.characteristic || Some(named) == subject.key;
        let is_at = |window: &Window| window.contains(subject.at, self.time_zone);
        let conditions = [
            ("groups", any(&route.groups, &|group| subject.group.is_some_and(|path| is_within(path, group)))),
            ("characteristics", any(&route.characteristics, &is_named)),
            ("tags", any(&route.tags, &|tag| subject.tags.iter().any(|known| known == tag))),
            ("rules", route.rules.is_empty() || route.rules.iter().any(|rule| subject.rules.contains(rule))),
            ("min_severity", route.min_severity.is_none_or(|least| subject.severity >= least)),
            ("notices", route.notices.is_empty() || route.notices.contains(&subject.change)),
            ("times", self.windows.is_empty() || self.windows.iter().any(is_at)),
        ];
        conditions.into_iter().find(|(_, holds)| !holds).map(|(name, _)| name)
    }

    /// A receiver that is called at the same step by several routes is called by the earliest of them, and reminded as often
    /// as one of them wants.
    fn tell<'a>(&'a self, route: u32, change: EpisodeChange, told: &mut Vec<Told<'a>>) {
        let settings = &self.settings;
        let seconds = Some(settings.repeat_seconds).filter(|seconds| *seconds > 0 && !change.is_answer());
        let (remind_after, inhibits) = (seconds.map(Duration::from_secs), settings.inhibit_lesser);
        let mut tell = |receiver: &'a String, step: u32, after: Option<Duration>| {
            let same = |it: &&mut Told<'_>| it.receiver == receiver && it.step == step;
            let Some(known) = told.iter_mut().find(same) else {
                return told.push(Told { receiver, route, step, after, remind_after, inhibits });
            };
            if after < known.after {
                (known.route, known.after) = (route, after);
            }
            known.remind_after = [known.remind_after, remind_after].into_iter().flatten().min();
            known.inhibits &= inhibits;
        };
        settings.receivers.iter().for_each(|name| tell(name, 0, None));
        if change.is_answer() {
            return; // nobody is waited for
        }
        for (step, escalation) in (1..).zip(&settings.escalate) {
            let after = Some(Duration::from_secs(escalation.after_seconds));
            escalation.receivers.iter().for_each(|name| tell(name, step, after));
        }
    }
}

fn check_names(key: &str, names: &[String], known: &[String]) -> Result<(), SettingsError> {
    if names.is_empty() {
        return Err(SettingsError::NoReceiver(key.to_owned()));
    }
    match names.iter().find(|name| !known.contains(name)) {
        Some(receiver) => Err(SettingsError::UnknownReceiver {
            key: key.to_owned(),
            receiver: receiver.clone(),
            known: known.join(", "),
        }),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::clock::Clock;
    use crate::notify::log::LogNotifier;
    use crate::notify::notifier::AlertNotifier;
    use crate::notify::settings::{Settings, StepSettings};
    use crate::notify::surroundings::Surroundings;
    use crate::site;

    fn routes(routes: Vec<RouteSettings>) -> Result<Routes, SettingsError> {
        let notifier = |name: &str| (name.to_owned(), Arc::new(LogNotifier) as Arc<dyn AlertNotifier>);
        let own = ["a", "b", "log"].map(notifier).into();
        let surroundings = Surroundings::without_pictures(Clock::system(), site::Settings::default());
        let receivers = Receivers::new(&Settings::default(), own, &surroundings).expect("valid");
        Routes::new(&routes, &receivers, Tz::UTC)
    }

    fn told(routes: &Routes, tags: &[String]) -> Vec<String> {
        routes.decide(&subject(tags)).told.iter().map(|told| told.receiver.to_owned()).collect()
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
            at: "2026-01-05T12:00:00Z".parse().expect("a time"),
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
        assert_eq!(told(&routes(vec![]).expect("valid"), &[]), ["a", "b", "log"]);
    }

    #[test]
    fn the_first_that_matches_counts_and_later_ones_if_it_says_so() {
        let first = |goes_on| RouteSettings { goes_on, ..to(&["a"]) };
        assert_eq!(told(&routes(vec![first(false), to(&["b"])]).expect("valid"), &[]), ["a"]);
        let both = routes(vec![first(true), to(&["b", "a"]), to(&["log"])]).expect("valid");
        assert_eq!(told(&both, &[]), ["a", "b"], "each once");
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
            assert_eq!(told(&found, &tags), ["a"], "{route:?}");
        }
        for other in &others {
            let found = routes(vec![other.clone(), to(&["b"])]).expect("valid");
            assert_eq!(told(&found, &tags), ["b"], "{other:?}");
        }
        let mut both = matching[0].clone();
        both.min_severity = Some(Severity::Critical);
        let found = routes(vec![both, to(&["b"])]).expect("valid");
        assert_eq!(told(&found, &tags), ["b"], "one of two holds");
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

    #[test]
    fn a_decision_tells_of_each_route_why() {
        let day = |from: &str, to: &str| crate::notify::WindowSettings {
            from: Some(from.to_owned()),
            to: Some(to.to_owned()),
            ..Default::default()
        };
        let routes = routes(vec![
            RouteSettings { times: vec![day("00:00", "06:00")], ..to(&["a"]) },
            RouteSettings { times: vec![day("00:00", "06:00"), day("11:00", "13:00")], ..to(&["b"]) },
            to(&["log"]),
        ]);
        let routes = routes.expect("valid");
        let decision = routes.decide(&subject(&[]));
        assert_eq!(
            decision.routes,
            [RouteVerdict::Lacks("times"), RouteVerdict::Matches, RouteVerdict::NotReached]
        );
        assert_eq!(
            decision.told,
            [Told { receiver: "b", route: 1, step: 0, after: None, remind_after: None, inhibits: false }]
        );
    }

    #[test]
    fn an_escalation_goes_on_from_what_waits_for_an_answer() {
        let step =
            |after_seconds, receivers: &[&str]| StepSettings { after_seconds, receivers: texts(receivers) };
        let escalating =
            RouteSettings { escalate: vec![step(60, &["b"]), step(90, &["b", "log"])], ..to(&["a"]) };
        let routes = |escalate| routes(vec![RouteSettings { escalate, ..escalating.clone() }]);
        let all = routes(escalating.escalate.clone()).expect("valid");
        let after = |seconds| Some(Duration::from_secs(seconds));
        let told = |receiver, step, after| Told {
            receiver,
            route: 0,
            step,
            after,
            remind_after: None,
            inhibits: false,
        };
        assert_eq!(
            all.decide(&subject(&[])).told,
            [told("a", 0, None), told("b", 1, after(60)), told("b", 2, after(90)), told("log", 2, after(90))]
        );
        let sooner = RouteSettings { escalate: vec![step(30, &["b"])], ..to(&["a"]) };
        let both =
            self::routes(vec![RouteSettings { goes_on: true, ..escalating.clone() }, sooner]).expect("valid");
        let first = both.decide(&subject(&[])).told[1];
        assert_eq!((first.route, first.after), (1, after(30)), "the earlier one");
        for change in [EpisodeChange::Acknowledged, EpisodeChange::Closed] {
            let subject = Subject { change, ..subject(&[]) };
            assert_eq!(all.decide(&subject).told, [told("a", 0, None)], "{change:?}");
        }
        for bad in [vec![step(0, &["b"])], vec![step(60, &["b"]), step(60, &["log"])]] {
            let error = routes(bad).expect_err("no order").to_string();
            assert!(error.contains("notify.routes[0].escalate must have steps"), "{error}");
        }
        let error = routes(vec![step(1, &["chief"])]).expect_err("nobody").to_string();
        assert!(error.contains("notify.routes[0].escalate[0].receivers names \"chief\""), "{error}");
    }
}
