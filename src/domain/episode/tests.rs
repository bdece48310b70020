//! What an episode makes of violations, points and answers.

use super::*;
use crate::domain::foreign::Origin;

const POLICY: EpisodePolicy = EpisodePolicy {
    close_points: NonZeroU32::new(3).expect("not zero"),
    lapse_points: NonZeroU32::new(2).expect("not zero"),
    stale_after: TimeDelta::hours(24),
};

fn at(minute: i64) -> DateTime<Utc> {
    DateTime::UNIX_EPOCH + TimeDelta::minutes(minute)
}

fn violation(id: i64, rule: Rule, severity: Severity) -> Violation {
    Violation {
        id: id.try_into().expect("positive"),
        sample_id: None,
        characteristic_id: 7.try_into().expect("positive"),
        episode_id: None,
        chart: Chart::Location,
        rule_id: rule.id(),
        rule_name: rule.name().to_owned(),
        severity,
        message: String::new(),
        side: None,
        value: None,
        center_line: None,
        ucl: None,
        lcl: None,
        sigma: None,
        n: None,
        involved_sample_ids: Vec::new(),
        timestamp: at(0),
        created_at: at(0),
        requires_acknowledgement: true,
        rejudged: false,
        is_history: false,
        origin: None,
        external_sample_id: None,
        status: ViolationStatus::Open,
        acknowledgement: None,
    }
}

fn warning(id: i64, rule: Rule) -> Violation {
    violation(id, rule, Severity::Warning)
}

fn by(user: &str) -> Acknowledgement {
    let (user, reason) = (user.to_owned(), "Tool Change".to_owned());
    Acknowledgement { user, reason, comment: None, timestamp: at(9), source: None }
}

fn opened(first: &Violation) -> Episode {
    Episode::open(1.try_into().expect("positive"), first, at(0))
}

#[test]
fn rules_that_tell_the_same_join_quietly_and_others_make_it_worse() {
    let mut episode = opened(&warning(1, Rule::ZoneB));
    assert_eq!(episode.join(&warning(2, Rule::ZoneA)), None);
    assert_eq!(episode.join(&warning(3, Rule::Shift)), None);
    assert_eq!(episode.join(&warning(4, Rule::Trend)), Some(EpisodeChange::Worsened), "it drifts, too");
    assert_eq!(episode.join(&warning(5, Rule::Trend)), None);
    let dispersion = Violation { chart: Chart::Dispersion, ..warning(6, Rule::Shift) };
    assert_eq!(episode.join(&dispersion), Some(EpisodeChange::Worsened), "the other chart");
    let severe = violation(7, Rule::ZoneA, Severity::Critical);
    assert_eq!(episode.join(&severe), Some(EpisodeChange::Worsened), "more severe");
    assert_eq!(episode.join(&violation(8, Rule::ZoneA, Severity::Info)), None);
    assert_eq!((episode.severity, episode.violations, episode.unacknowledged), (Severity::Critical, 8, 8));
    let rules: Vec<_> = episode.patterns.iter().map(|pattern| pattern.rule_id).collect();
    assert_eq!(rules, [6, 5, 2, 3, 2]);
    assert_eq!((episode.first_violation_id.get(), episode.newest_violation_id.get()), (1, 8));
}

#[test]
fn rules_of_another_system_are_no_family_and_have_an_end() {
    let foreign = |id: i64, rule_id: u32| {
        let origin = Some(Origin { source: "qdas".to_owned(), external_id: None });
        Violation { origin, rule_id, ..warning(id, Rule::Shift) }
    };
    let mut episode = opened(&warning(1, Rule::Shift));
    assert_eq!(episode.join(&foreign(2, Rule::Shift.id())), Some(EpisodeChange::Worsened));
    assert_eq!(episode.join(&foreign(3, Rule::Shift.id())), None);
    let renamed = Violation { rule_name: "x > 5.31".to_owned(), ..foreign(4, Rule::Shift.id()) };
    assert_eq!(episode.join(&renamed), None, "whatever it is called");
    let other = Some(Origin { source: "mes".to_owned(), external_id: None });
    let elsewhere = Violation { origin: other, ..foreign(5, Rule::Shift.id()) };
    assert_eq!(episode.join(&elsewhere), Some(EpisodeChange::Worsened), "another system's");
    for rule_id in 100..298 {
        episode.join(&foreign(rule_id.into(), rule_id));
    }
    assert_eq!((episode.patterns.len(), episode.violations), (MAX_FOREIGN + 1, 203));
    assert_eq!(episode.join(&foreign(400, 400)), None);
    assert_eq!(episode.join(&warning(401, Rule::Trend)), Some(EpisodeChange::Worsened), "ours have room");
}

#[test]
fn enough_points_in_control_in_a_row_close_it() {
    let mut episode = opened(&warning(1, Rule::Shift));
    assert_eq!([1, 2].map(|minute| episode.judged(true, &POLICY, at(minute))), [None, None]);
    episode.join(&warning(2, Rule::Shift));
    assert_eq!(episode.judged(false, &POLICY, at(3)), None);
    assert_eq!([4, 5].map(|minute| episode.judged(true, &POLICY, at(minute))), [None, None]);
    assert_eq!(episode.status(), EpisodeStatus::Open);
    assert_eq!(episode.judged(true, &POLICY, at(6)), Some(EpisodeChange::Closed));
    assert_eq!(episode.closing, Some(Closing { at: at(6), reason: ClosingReason::InControl }));
    assert_eq!(episode.unacknowledged, 2, "they still want an answer");
}

#[test]
fn the_last_answer_answers_it_and_it_lapses_when_that_has_not_helped() {
    let (first, second) = (warning(1, Rule::Shift), warning(2, Rule::Shift));
    let mut episode = opened(&first);
    episode.join(&second);
    assert_eq!(episode.answered(&first, &by("ann")), None);
    assert_eq!(episode.judged(false, &POLICY, at(2)), None, "nobody has answered it yet");
    assert_eq!(episode.answered(&second, &by("ben")), Some(EpisodeChange::Acknowledged));
    assert_eq!(episode.acknowledgement.as_ref().map(|answer| &*answer.user), Some("ben"));
    assert_eq!(episode.judged(false, &POLICY, at(3)), None);
    assert_eq!(episode.judged(true, &POLICY, at(4)), None);
    assert_eq!(episode.judged(false, &POLICY, at(5)), Some(EpisodeChange::Lapsed));
    assert_eq!((episode.acknowledgement.as_ref(), episode.lapsed_at), (None, Some(at(5))));
    assert_eq!(episode.judged(false, &POLICY, at(6)), None);
    assert_eq!(episode.acknowledge(&by("cid")), Some(EpisodeChange::Acknowledged));
}

#[test]
fn whoever_goes_on_answering_is_still_there() {
    let (first, second) = (warning(1, Rule::Shift), warning(2, Rule::Shift));
    let mut episode = opened(&first);
    assert_eq!(episode.answered(&first, &by("ann")), Some(EpisodeChange::Acknowledged));
    episode.judged(false, &POLICY, at(1));
    episode.join(&second);
    assert_eq!(episode.answered(&second, &by("ben")), None, "the first answer stands");
    assert_eq!(episode.acknowledgement.as_ref().map(|answer| &*answer.user), Some("ann"));
    assert_eq!(episode.judged(false, &POLICY, at(2)), None, "counted from the newest answer");
    let (third, fourth) = (warning(3, Rule::Shift), warning(4, Rule::Shift));
    episode.join(&third);
    episode.join(&fourth);
    assert_eq!(episode.answered(&third, &by("ben")), None);
    assert_eq!(episode.judged(false, &POLICY, at(3)), None, "also while others wait");
    assert_eq!(episode.judged(false, &POLICY, at(4)), Some(EpisodeChange::Lapsed));
}

#[test]
fn what_makes_it_worse_wants_another_answer() {
    let first = warning(1, Rule::Shift);
    let mut episode = opened(&first);
    episode.answered(&first, &by("ann"));
    let outlier = violation(2, Rule::Outlier, Severity::Critical);
    assert_eq!(episode.join(&outlier), Some(EpisodeChange::Worsened));
    assert_eq!(episode.acknowledgement, None);
    assert_eq!(episode.answered(&outlier, &by("ben")), Some(EpisodeChange::Acknowledged));
}

#[test]
fn what_wants_no_answer_waits_for_nobody() {
    let note = Violation { requires_acknowledgement: false, ..warning(1, Rule::Shift) };
    let mut episode = opened(&note);
    assert_eq!((episode.unacknowledged, episode.holding), (0, 1));
    assert_eq!(episode.judged(false, &POLICY, at(1)), None);
    assert_eq!(
        episode.answered(&note, &by("ann")),
        Some(EpisodeChange::Acknowledged),
        "somebody has said so"
    );
}

#[test]
fn it_is_over_with_the_last_violation_that_holds() {
    let (first, second) = (warning(1, Rule::Shift), warning(2, Rule::Shift));
    let mut episode = opened(&first);
    episode.join(&second);
    episode.withdraw(&first);
    assert!(!episode.is_void());
    assert_eq!(episode.restore(&first), None);
    assert_eq!((episode.holding, episode.unacknowledged, episode.violations), (2, 2, 2));
    episode.withdraw(&second);
    let answered = Violation { acknowledgement: Some(by("ann")), ..first };
    episode.answered(&warning(1, Rule::Shift), &by("ann"));
    episode.withdraw(&answered);
    assert!(episode.is_void());
    episode.close(ClosingReason::Withdrawn, at(5));
    assert!(!episode.is_void(), "it is over once");
    assert_eq!((episode.holding, episode.unacknowledged), (0, 0));
}

#[test]
fn what_was_not_heard_of_for_long_is_another_matter() {
    let mut episode = opened(&warning(1, Rule::Shift));
    assert!(!episode.is_stale(&POLICY, at(24 * 60)));
    assert!(episode.is_stale(&POLICY, at(24 * 60 + 1)));
    episode.judged(true, &POLICY, at(60));
    assert!(!episode.is_stale(&POLICY, at(25 * 60)));
}

#[test]
fn what_does_not_hold_any_more_makes_nothing_worse() {
    let mut episode = opened(&warning(1, Rule::Shift));
    let outlier = violation(2, Rule::Outlier, Severity::Critical);
    assert_eq!(episode.join(&outlier), Some(EpisodeChange::Worsened));
    episode.withdraw(&outlier);
    assert_eq!(episode.severity, Severity::Warning);
    assert_eq!(episode.patterns.iter().map(|pattern| pattern.rule_id).collect::<Vec<_>>(), [2]);
    let another = violation(3, Rule::Outlier, Severity::Critical);
    assert_eq!(episode.join(&another), Some(EpisodeChange::Worsened), "it is news again");
}

#[test]
fn one_that_an_answered_violation_opens_is_answered() {
    let answered = Violation { acknowledgement: Some(by("ann")), ..warning(1, Rule::Shift) };
    let episode = opened(&answered);
    assert_eq!((episode.unacknowledged, episode.acknowledgement), (0, Some(by("ann"))));
    assert!(!opened(&warning(2, Rule::Shift)).is_answered_unnoticed());
}
