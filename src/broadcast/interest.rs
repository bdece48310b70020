//! Which events of a characteristic a client wants, and from where on.

use std::rc::Rc;
use std::time::Duration;

use super::frame::Run;
use crate::protocol::event::{EventKind, Fired, LoggedEvent};
use crate::protocol::socket::Filter;

/// What a connection wants of a characteristic.
#[derive(Debug, Clone, Default)]
pub(super) struct Interest {
    /// Events of the past, too.
    pub(super) history: bool,
    /// Only some events.
    pub(super) filter: Option<Rc<Filter>>,
    /// Events up to this position were told, or were not asked for.
    pub(super) after: u64,
}

/// Why an event is not told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unwanted {
    /// It is of the past.
    History,
    /// The filter leaves it out.
    Filtered,
}

impl Interest {
    /// Whether an event is told. Acknowledgements pass every filter: they go to all clients.
    ///
    /// # Errors
    /// [`Unwanted`], if it is not.
    pub(super) fn admit(&self, event: &LoggedEvent) -> Result<(), Unwanted> {
        if event.is_history && !self.history {
            return Err(Unwanted::History);
        }
        if self.admits(event.kind, event.fired) { Ok(()) } else { Err(Unwanted::Filtered) }
    }

    /// Whether every event of a run is told, whatever they are.
    pub(super) fn admits_all(&self, run: &Run) -> bool {
        let is_told = |event: &LoggedEvent| !event.kind.is_asked_for() && (self.history || !event.is_history);
        self.filter.is_none()
            && run.first().seq > self.after
            && run.frames.iter().all(|frame| is_told(&frame.event))
    }

    fn admits(&self, kind: EventKind, fired: Option<Fired>) -> bool {
        let Some(filter) = self.filter.as_deref() else { return !kind.is_asked_for() };
        let is_of_type = match &filter.types {
            Some(types) => types.contains(&kind),
            None => !kind.is_asked_for(),
        };
        let is_severe = filter.min_severity.is_none_or(|least| fired.is_none_or(|it| it.severity >= least));
        let is_of_rule =
            filter.rule_ids.as_ref().is_none_or(|ids| fired.is_none_or(|it| ids.contains(&it.rule_id)));
        is_of_type && is_severe && is_of_rule
    }

    /// Whether a violation of the present is told.
    pub(super) fn admits_violation(&self, fired: Fired) -> bool {
        self.admits(EventKind::Violation, Some(fired))
    }

    /// The time between two samples, where they shall not come faster.
    pub(super) fn sample_pace(&self) -> Option<Duration> {
        let hz = self.filter.as_deref()?.sample_max_hz?;
        Some(Duration::from_secs_f64(1.0 / hz))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::rules::Severity;
    use crate::protocol::event::EventHeader;

    fn event(kind: EventKind, is_history: bool, payload: &str) -> LoggedEvent {
        let characteristic_id = 1.try_into().expect("positive");
        LoggedEvent::new(EventHeader { seq: 1, characteristic_id, revision: 1, kind, is_history }, payload)
    }

    fn violation(severity: &str, rule_id: u32) -> LoggedEvent {
        let payload = format!(r#"{{"id":4,"rule_id":{rule_id},"severity":"{severity}"}}"#);
        event(EventKind::Violation, false, &payload)
    }

    fn wants(filter: Filter, event: &LoggedEvent) -> bool {
        Interest { filter: Some(Rc::new(filter)), ..Interest::default() }.admit(event).is_ok()
    }

    #[test]
    fn a_filter_lets_through_what_it_names() {
        let types = |types: &[EventKind]| Filter { types: Some(types.to_vec()), ..Filter::default() };
        let sample = event(EventKind::Sample, false, "{}");
        assert!(wants(types(&[EventKind::Sample]), &sample));
        assert!(!wants(types(&[EventKind::Violation]), &sample));
        let episode = event(EventKind::Episode, false, "{}");
        assert!(wants(types(&[EventKind::Episode]), &episode));
        assert!(!wants(Filter::default(), &episode), "only who asks for them is told of episodes");
        assert_eq!(Interest::default().admit(&episode), Err(Unwanted::Filtered));
        let severe = || Filter { min_severity: Some(Severity::Warning), ..Filter::default() };
        let seen = ["INFO", "WARNING", "CRITICAL"].map(|word| wants(severe(), &violation(word, 1)));
        assert_eq!(seen, [false, true, true]);
        assert!(wants(severe(), &sample), "severities are those of violations");
        let rules = || Filter { rule_ids: Some(vec![1, 5]), ..Filter::default() };
        assert_eq!([1, 2, 5].map(|rule| wants(rules(), &violation("INFO", rule))), [true, false, true]);
    }

    #[test]
    fn the_past_comes_only_to_who_asks_for_it() {
        let old = event(EventKind::Sample, true, "{}");
        assert_eq!(Interest::default().admit(&old), Err(Unwanted::History));
        assert_eq!(Interest { history: true, ..Interest::default() }.admit(&old), Ok(()));
    }
}
