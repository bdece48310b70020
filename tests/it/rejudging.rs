//! After any exclusions, what holds is what an engine finds that never saw the excluded points.

use std::collections::{BTreeMap, BTreeSet};

use andon::domain::chart::ChartKind;
use andon::domain::ids::{CharacteristicId, LimitsId, SampleId};
use andon::domain::phase::Phase;
use andon::domain::rules::{MAX_WINDOW, Preset, Rule, RuleSet, RuleSetting};
use andon::domain::sample::Sample;
use andon::services::{Answer, Decision, ExclusionError, GivenLimits, Signed};
use andon::settings::Settings;
use andon::spc::{Judging, PhaseLimits, PhaseState, Point, REACH, Stretch, compare};
use andon::store::{Page, SampleFilter, Store, ViolationFilter};
use proptest::prelude::*;
use proptest::sample::Index;
use tempfile::TempDir;

use crate::support::{Database, Ledger, Services, Step, TestServices, of_databases, plan, sample};

const ALL: Page = Page { offset: 0, limit: 1_000_000 };

/// Chart (0: location), rule and side of a signal, by its sample.
type Signals = BTreeMap<SampleId, BTreeSet<(u8, u32, String)>>;

/// What is stored about a sample, but for its signals: `in_control` and the dispersion chart's value.
type Verdicts = BTreeMap<SampleId, (Option<bool>, Option<f64>)>;

/// What somebody decides after a step.
#[derive(Debug, Clone)]
enum Decided {
    Exclude(Index),
    Include(Index),
    /// Acknowledges the newest violations of a characteristic, and excludes their samples.
    AnswerAndExclude(Index),
}

fn decision() -> impl Strategy<Value = Decided> {
    prop_oneof![
        3 => any::<Index>().prop_map(Decided::Exclude),
        2 => any::<Index>().prop_map(Decided::Include),
        1 => any::<Index>().prop_map(Decided::AnswerAndExclude),
    ]
}

/// A plan with decisions behind its steps. Rules are chosen first, since old points stay judged by those of their time.
fn decided_plan() -> impl Strategy<Value = Vec<(Step, Vec<Decided>)>> {
    plan(8..24).prop_flat_map(|mut steps| {
        steps.sort_by_key(|step| !matches!(step, Step::SetRules { .. }));
        let decisions = prop::collection::vec(prop::collection::vec(decision(), 0..4), steps.len());
        (Just(steps), decisions).prop_map(|(steps, decisions)| steps.into_iter().zip(decisions).collect())
    })
}

async fn samples_of(store: &Store, id: Option<CharacteristicId>) -> Vec<Sample> {
    let filter = SampleFilter { characteristic_id: id, ..SampleFilter::default() };
    let mut samples = store.newest(&filter, ALL).await.expect("read");
    samples.reverse();
    samples
}

/// What an engine finds that is fed with the points that count, phase by phase.
fn due(samples: &[Sample], phases: &BTreeMap<LimitsId, Phase>, judging: &Judging) -> (Signals, Verdicts) {
    let (mut signals, mut verdicts) = (Signals::new(), Verdicts::new());
    let (mut state, mut present) = (PhaseState::new(), None);
    for sample in samples {
        let limits_id = sample.judgement.and_then(|judgement| judgement.limits_id);
        if limits_id != present {
            (state, present) = (PhaseState::new(), limits_id);
        }
        if sample.is_excluded {
            state.break_moving_range();
            continue;
        }
        let limits = limits_id.map(|id| PhaseLimits::new(phases[&id].limits, phases[&id].dispersion));
        let point = Point { sample_id: sample.id, subgroup: sample.subgroup };
        let verdict = state.judge(&point, limits.as_ref(), judging);
        let fired = verdict.judged.map(|judged| judged.signals);
        verdicts.insert(sample.id, (fired.map(|fired| fired.is_empty()), verdict.dispersion_value));
        for signal in fired.iter().flat_map(|fired| fired.iter()) {
            let found = (signal.chart as u8, signal.rule.id(), format!("{:?}", signal.side));
            signals.entry(sample.id).or_default().insert(found);
        }
    }
    (signals, verdicts)
}

/// Compares what is stored of a characteristic with what an engine finds in its points.
async fn assert_as_if_never_seen(store: &Store, id: CharacteristicId) {
    let samples = samples_of(store, Some(id)).await;
    let record = store.characteristic(id).await.expect("read").expect("there");
    let characteristic = &record.characteristic;
    let phases = store.phases(id, ALL).await.expect("read").items;
    let phases = phases.into_iter().map(|phase| (phase.id, phase)).collect();
    let judging = Judging::new(characteristic.definition.chart, characteristic.rules);
    let (signals, verdicts) = due(&samples, &phases, &judging);

    let filter = ViolationFilter { characteristic_id: Some(id), ..ViolationFilter::default() };
    let rows = store.violations(&filter, ALL).await.expect("read").items;
    let mut stored = Signals::new();
    for violation in rows.iter().map(|record| &record.violation) {
        if violation.status == andon::domain::violation::ViolationStatus::Open {
            let found = (violation.chart as u8, violation.rule_id, format!("{:?}", violation.side));
            let is_new = stored.entry(violation.sample_id.expect("ours")).or_default().insert(found);
            assert!(is_new, "one row for each pattern: {violation:?}");
        }
    }
    assert_eq!(stored, signals, "what holds on {id}");
    let counting = || samples.iter().filter(|sample| !sample.is_excluded);
    let stored: Verdicts = counting()
        .map(|s| (s.id, (s.judgement.map(|judgement| judgement.in_control), s.dispersion_value)))
        .collect();
    assert_eq!(stored, verdicts, "the verdicts on {id}");

    let standing = record.standing;
    let open: Vec<_> = rows.iter().map(|record| &record.violation).filter(|v| v.is_open()).collect();
    assert_eq!(standing.open_violations, open.len() as u64);
    let waiting = open.iter().filter(|violation| violation.requires_acknowledgement).count();
    assert_eq!(standing.unacknowledged, waiting as u64);
    let collected = counting().filter(|sample| sample.id >= record.phase_from).count();
    assert_eq!(standing.samples_collected, collected as u64);
    let newest = counting().filter_map(|sample| sample.judgement).next_back();
    assert_eq!(standing.is_signalling, newest.map(|judgement| !judgement.in_control));
}

fn decision_about(sample_id: SampleId, is_excluded: bool) -> Decision {
    Decision { sample_id, is_excluded, reason: "slipped".to_owned(), user: Some("ann".to_owned()) }
}

async fn carry_out(decided: &Decided, services: &Services, store: &Store) {
    let (which, is_excluded) = match decided {
        Decided::Exclude(which) => (which, true),
        Decided::Include(which) => (which, false),
        Decided::AnswerAndExclude(which) => {
            let filter = ViolationFilter { acknowledged: Some(false), ..ViolationFilter::default() };
            let open = store.violations(&filter, ALL).await.expect("read").items;
            if !open.is_empty() {
                let answer = Answer {
                    user: "ann".to_owned(),
                    reason: "Other".to_owned(),
                    comment: None,
                    exclude_sample: true,
                };
                let id = which.get(&open).violation.id;
                services.alerts.acknowledge(id, answer).await.expect("committed").expect("not answered yet");
            }
            return;
        }
    };
    let of_that_kind: Vec<_> =
        samples_of(store, None).await.into_iter().filter(|s| s.is_excluded != is_excluded).collect();
    if !of_that_kind.is_empty() {
        let id = which.get(&of_that_kind).id;
        let decided = services.engine.decide(decision_about(id, is_excluded)).await;
        assert_eq!(decided.expect("committed").expect("there").sample.is_excluded, is_excluded);
    }
}

async fn play_and_compare(steps: Vec<(Step, Vec<Decided>)>, restart: Index) {
    let directory = TempDir::new().expect("a temporary directory");
    let settings = Settings::default();
    let mut running = TestServices::open(directory.path(), &settings).await;
    let ids = running.services.given_plan().await;
    let restart = restart.index(steps.len());
    for (place, (step, decisions)) in steps.into_iter().enumerate() {
        if place == restart {
            running.stop().await;
            running = TestServices::open(directory.path(), &settings).await;
        }
        running.services.play(&ids, &[step]).await;
        for decided in &decisions {
            carry_out(decided, &running.services, &running.store).await;
        }
    }
    for id in ids {
        assert_as_if_never_seen(&running.store, id).await;
    }
    running.stop().await;
    Ledger::read(&directory.path().join("andon.db")).await.assert_sound();
}

fn run<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime").block_on(future)
}

fn of_cases(cases: u32) -> ProptestConfig {
    ProptestConfig { cases, failure_persistence: None, max_shrink_iters: 60, ..ProptestConfig::default() }
}

fn any_rules() -> impl Strategy<Value = RuleSet> {
    prop::collection::vec(prop_oneof![3 => 2..=9u32, 1 => 10..=MAX_WINDOW], Rule::ALL.len()).prop_map(
        |lengths| {
            let settings = Rule::ALL.into_iter().zip(lengths).map(|(rule, m)| {
                let (k, m) = match rule {
                    Rule::Outlier => (None, None),
                    Rule::Alternation => (None, Some(m.max(3))),
                    _ if rule.counts_some() => (Some(1 + m / 2), Some(m)),
                    _ => (None, Some(m)),
                };
                RuleSetting::standard(rule).with_parameters(k, m).expect("within bounds")
            });
            settings.fold(RuleSet::default(), RuleSet::with)
        },
    )
}

proptest! {
    #![proptest_config(of_databases(24, 60))]

    #[test]
    fn what_holds_is_what_an_engine_finds_that_never_saw_the_excluded_points(
        steps in decided_plan(), restart in any::<Index>(),
    ) {
        run(play_and_compare(steps, restart));
    }
}

proptest! {
    #![proptest_config(of_cases(256))]

    /// The dispersion chart of individuals is judged here, too.
    #[test]
    fn a_stretch_tells_of_a_whole_phase_all_that_one_point_changes(
        values in prop::collection::vec((-8i32..=8, prop::bool::weighted(0.06)), 1..200),
        rules in any_rules(), dispersion in any::<bool>(), which in any::<Index>(),
    ) {
        let limits = andon::domain::limits::ControlLimits::from_sigma(0.0, 1.0, 1).expect("limits");
        let ranges = andon::spc::dispersion_limits(ChartKind::IMr, 0.8, 1);
        let limits = PhaseLimits::new(limits, ranges);
        let judging = Judging { dispersion, ..Judging::new(ChartKind::IMr, rules) };
        let which = which.index(values.len());
        let points: Vec<_> = (1..).zip(&values).enumerate().map(|(place, (number, (halves, is_excluded)))| {
            let value = f64::from(*halves) * 0.5;
            let subgroup = andon::domain::sample::Subgroup::of(&[value], 1, 1).expect("one");
            let sample_id = SampleId::try_from(number).expect("an id");
            (Point { sample_id, subgroup }, *is_excluded && place != which)
        }).collect();
        let whole = |leave_out: Option<usize>| {
            let mut state = PhaseState::new();
            points.iter().enumerate().map(|(place, (point, is_excluded))| {
                if *is_excluded || leave_out == Some(place) {
                    state.break_moving_range();
                    return None;
                }
                Some(state.judge(point, Some(&limits), &judging))
            }).collect::<Vec<_>>()
        };
        let (with, without) = (whole(None), whole(Some(which)));
        let counting = |range: std::ops::Range<usize>| {
            points[range].iter().filter(|(_, is_excluded)| !is_excluded).map(|(point, _)| *point).collect::<Vec<_>>()
        };
        let (mut before, mut after) = (counting(0..which), counting(which + 1..points.len()));
        before.drain(..before.len().saturating_sub(REACH as usize));
        after.truncate(REACH as usize);
        let breaks = points.iter().filter(|(_, is_excluded)| *is_excluded).map(|(point, _)| point.sample_id);
        let stretch = Stretch { before, point: points[which].0, after, breaks: breaks.collect() };
        let found = compare(&stretch, Some(&limits), &judging);
        prop_assert_eq!(Some(found.point.verdict), with[which]);
        let mut verdicts = found.after.iter().map(|(with, without)| (with.verdict, without.verdict));
        for (with, without) in with.iter().zip(&without).skip(which + 1) {
            let (Some(with), Some(without)) = (with, without) else { continue };
            match verdicts.next() {
                Some(found) => prop_assert_eq!(found, (*with, *without)),
                None => prop_assert_eq!(with, without, "beyond the stretch nothing changes"),
            }
        }
    }
}

/// An individuals chart around 0 with sigma 1 and these rules.
async fn given_individuals(services: &Services, rules: RuleSet) -> CharacteristicId {
    let id = services.given(ChartKind::IMr, 1..=1).await;
    services.catalog.set_rules(id, rules, None).await.expect("committed").expect("known");
    let given = GivenLimits::Sigma { center_line: 0.0, sigma: 1.0 };
    services.limits.set(id, given, Signed::default()).await.expect("committed").expect("limits");
    id
}

async fn measured(
    services: &Services,
    id: CharacteristicId,
    values: impl Iterator<Item = f64>,
) -> Vec<SampleId> {
    let mut queued = vec![];
    for value in values {
        queued.push(services.engine.queue(sample(id, vec![value], None)).await.expect("queued"));
    }
    let mut ids = vec![];
    for queued in queued {
        ids.push(queued.recorded().await.expect("committed").expect("taken").sample.id);
    }
    ids
}

#[tokio::test]
async fn the_longest_window_reaches_to_its_last_point_and_no_further() {
    let directory = TempDir::new().expect("a temporary directory");
    let running = TestServices::open(directory.path(), &Settings::default()).await;
    let (services, store) = (&running.services, &running.store);
    let longest = RuleSetting::standard(Rule::Shift).with_parameters(None, Some(MAX_WINDOW)).expect("64");
    let id = given_individuals(services, RuleSet::none().with(longest)).await;
    let below = |place: usize| if place == 1 { -0.5 } else { 0.5 };
    let ids = measured(services, id, (0..MAX_WINDOW as usize + 1).map(below)).await;
    assert_as_if_never_seen(store, id).await;
    for is_excluded in [true, false, true] {
        services.engine.decide(decision_about(ids[1], is_excluded)).await.expect("committed").expect("there");
        assert_as_if_never_seen(store, id).await;
    }
    let rows = store.violations(&ViolationFilter::default(), ALL).await.expect("read").items;
    let [only] = &rows[..] else { panic!("one row, however often it came and went: {rows:?}") };
    assert_eq!((only.violation.sample_id, only.violation.rejudged), (ids.last().copied(), true));
    assert_eq!(only.violation.involved_sample_ids.len(), MAX_WINDOW as usize);
    running.stop().await;
    Ledger::read(&directory.path().join("andon.db")).await.assert_sound();
}

#[tokio::test]
async fn an_old_point_of_a_long_phase_changes_nothing_beyond_the_longest_window() {
    let directory = TempDir::new().expect("a temporary directory");
    let running = TestServices::open(directory.path(), &Settings::default()).await;
    let services = &running.services;
    let id = given_individuals(services, RuleSet::preset(Preset::Nelson)).await;
    let ids =
        measured(services, id, (0..1_000).map(|i| if i == 500 { 9.0 } else { f64::from(i % 3) * 0.4 })).await;
    // What lies beyond is spoilt: judging it again would repair it.
    let mut database = Database::open(&directory.path().join("andon.db")).await;
    let (first, last) = (ids[500].get(), ids[500 + REACH as usize].get());
    database
        .run(&format!(
            "UPDATE samples SET zone = 'beyond_lcl', dispersion_value = 77 WHERE id < {first} OR id > {last}"
        ))
        .await;
    services.engine.decide(decision_about(ids[500], true)).await.expect("committed").expect("there");
    let spoilt = database.number("SELECT count(*) FROM samples WHERE dispersion_value = 77").await;
    assert_eq!(spoilt, 1_000 - 1 - i64::from(REACH));
    let updated = "SELECT count(*) FROM events WHERE type = 'violation_update'";
    assert!((1..=10).contains(&database.number(updated).await), "the outlier and what leaned on it");
    database.close().await;
    running.stop().await;
}

#[tokio::test]
async fn a_sample_can_be_excluded_in_the_transaction_that_stores_it() {
    let directory = TempDir::new().expect("a temporary directory");
    let running = TestServices::open(directory.path(), &Settings::default()).await;
    let (services, store) = (&running.services, &running.store);
    let id = given_individuals(services, RuleSet::preset(Preset::Nelson)).await;
    let about = |number: i64| decision_about(SampleId::try_from(number).expect("an id"), true);
    let engine = &services.engine;
    let value = |value: f64| engine.submit(sample(id, vec![value], None));
    let (_, _, excluded, _, unknown) =
        tokio::join!(value(0.1), value(9.0), engine.decide(about(2)), value(0.2), engine.decide(about(9)));
    assert!(excluded.expect("committed").expect("there").violations.is_empty());
    assert!(matches!(unknown.expect("committed"), Err(ExclusionError::Unknown(_))));
    assert_as_if_never_seen(store, id).await;
    assert_eq!(samples_of(store, Some(id)).await[2].dispersion_value, None);
    running.stop().await;
    Ledger::read(&directory.path().join("andon.db")).await.assert_sound();
}
