//! Random days at the gauges: runs of samples in telling shapes, with changes of limits and rules in between.

use andon::domain::chart::ChartKind;
use andon::domain::ids::{CharacteristicId, ViolationId};
use andon::domain::rules::{MAX_WINDOW, Rule, RuleSet, RuleSetting};
use andon::services::{
    AcknowledgeError, Answer, Chosen, GivenLimits, LimitsChange, LimitsRefusal, Queued, Recalculated,
    RecordedSample, SampleAnswer, SampleError, Selection, Signed,
};
use proptest::collection::vec;
use proptest::prelude::*;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::services::{Services, sample};

/// The characteristics of every plan: charts and subgroup sizes.
const CHARTS: [(ChartKind, u32, u32); 3] =
    [(ChartKind::IMr, 1, 1), (ChartKind::XbarR, 2, 5), (ChartKind::XbarS, 1, 4)];

/// What somebody does.
#[derive(Debug, Clone)]
pub enum Step {
    Measure { of: usize, shape: Shape, count: u32, seed: u64 },
    SetLimits { of: usize, center_line: f64, sigma: f64 },
    Recalculate { of: usize, last_n: u32 },
    SetRules { of: usize, rules: RuleSet },
    Acknowledge { of: usize },
}

/// Values in sigmas around zero; each shape feeds other rules.
#[derive(Debug, Clone, Copy)]
pub enum Shape {
    Level(f64),
    Rising(f64),
    Alternating(f64),
    Scattered,
}

/// What came of a step.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    Sample(Result<RecordedSample, SampleError>),
    Limits(Result<LimitsChange, LimitsRefusal>),
    Recalculated(Box<Result<Recalculated, LimitsRefusal>>),
    Rules,
    Acknowledged(Vec<(ViolationId, Result<(), AcknowledgeError>)>),
}

impl Shape {
    fn values(self, count: u32, seed: u64) -> impl Iterator<Item = f64> {
        let mut rng = StdRng::seed_from_u64(seed);
        (0..count).map(move |i| match self {
            Self::Level(level) => level,
            Self::Rising(step) => -2.0 + step * f64::from(i),
            Self::Alternating(height) if i % 2 == 0 => height,
            Self::Alternating(height) => -height,
            Self::Scattered => f64::from(rng.random_range(-7..=7)) * 0.5,
        })
    }
}

impl Step {
    /// The measurements of a run: subgroups of all the sizes that are allowed.
    fn subgroups(&self) -> Vec<Vec<f64>> {
        let Self::Measure { of, shape, count, seed } = self else { return vec![] };
        let (_, min, max) = CHARTS[*of];
        let mut rng = StdRng::seed_from_u64(!seed);
        shape
            .values(*count, *seed)
            .map(|value| {
                let spread = f64::from(rng.random_range(0..4)) * 0.5;
                let place = |i: u32| value + spread * (f64::from(i % 2) - 0.5);
                if max == 1 { vec![value] } else { (0..rng.random_range(min..=max)).map(place).collect() }
            })
            .collect()
    }
}

fn rule_setting(rule: Rule) -> impl Strategy<Value = RuleSetting> {
    let shortest = if rule == Rule::Alternation { 3 } else { 2 };
    let parameters = match rule {
        Rule::Outlier => Just((None, None)).boxed(),
        Rule::ZoneA | Rule::ZoneB => {
            (shortest..=MAX_WINDOW, 1..=MAX_WINDOW).prop_map(|(m, k)| (Some(k.min(m)), Some(m))).boxed()
        }
        _ => prop_oneof![(shortest..12), (12..=MAX_WINDOW)].prop_map(|m| (None, Some(m))).boxed(),
    };
    let parameters = prop_oneof![1 => Just((None, None)), 3 => parameters];
    (any::<bool>(), parameters).prop_map(move |(enabled, (k, m))| {
        let setting = RuleSetting::standard(rule).with_parameters(k, m);
        let mut setting = setting.expect("parameters of this rule");
        setting.enabled = enabled;
        setting
    })
}

fn rule_set() -> impl Strategy<Value = RuleSet> {
    Rule::ALL
        .map(rule_setting)
        .into_iter()
        .fold(Just(RuleSet::none()).boxed(), |set, rule| (set, rule).prop_map(|(s, r)| s.with(r)).boxed())
}

fn step() -> impl Strategy<Value = Step> {
    let of = || 0..CHARTS.len();
    let half = |range: std::ops::Range<i32>| range.prop_map(|n| f64::from(n) * 0.5);
    let shape = prop_oneof![
        half(-8..9).prop_map(Shape::Level),
        half(-1..2).prop_map(|step| Shape::Rising(step * 0.2)),
        half(1..6).prop_map(Shape::Alternating),
        Just(Shape::Scattered),
    ];
    prop_oneof![
        12 => (of(), shape, 1u32..48, any::<u64>())
            .prop_map(|(of, shape, count, seed)| Step::Measure { of, shape, count, seed }),
        3 => (of(), half(-1..2), half(1..4))
            .prop_map(|(of, center_line, sigma)| Step::SetLimits { of, center_line, sigma }),
        1 => (of(), 5u32..40).prop_map(|(of, last_n)| Step::Recalculate { of, last_n }),
        4 => (of(), rule_set()).prop_map(|(of, rules)| Step::SetRules { of, rules }),
        1 => of().prop_map(|of| Step::Acknowledge { of }),
    ]
}

/// Steps after which every characteristic has limits most of the time.
pub fn plan(steps: std::ops::Range<usize>) -> impl Strategy<Value = Vec<Step>> {
    let first = |of| Step::SetLimits { of, center_line: 0.0, sigma: 1.0 };
    vec(step(), steps).prop_map(move |rest| [first(0), first(1)].into_iter().chain(rest).collect())
}

impl Services {
    /// Creates the characteristics of a plan.
    pub async fn given_plan(&self) -> Vec<CharacteristicId> {
        let mut ids = vec![];
        for (chart, min, max) in CHARTS {
            ids.push(self.given(chart, min..=max).await);
        }
        ids
    }

    /// Does the steps in order, as fast as the queue takes them, so that many share a transaction.
    pub async fn play(&self, ids: &[CharacteristicId], steps: &[Step]) -> Vec<Outcome> {
        let (mut outcomes, mut queued) = (vec![], vec![]);
        for step in steps {
            for measurements in step.subgroups() {
                let Step::Measure { of, .. } = step else { unreachable!("only measuring gives subgroups") };
                queued.push(self.engine.queue(sample(ids[*of], measurements, None)).await.expect("queued"));
            }
            if matches!(step, Step::Recalculate { .. }) {
                outcomes.extend(recorded(&mut queued).await); // it counts what is committed
            }
            if !matches!(step, Step::Measure { .. }) {
                // The change is queued behind the samples without waiting for them.
                let (samples, change) = tokio::join!(recorded(&mut queued), self.change(ids, step));
                outcomes.extend(samples);
                outcomes.push(change);
            }
        }
        outcomes.extend(recorded(&mut queued).await);
        outcomes
    }

    async fn change(&self, ids: &[CharacteristicId], step: &Step) -> Outcome {
        match *step {
            Step::Measure { .. } => unreachable!("measuring changes nothing"),
            Step::SetLimits { of, center_line, sigma } => {
                let given = GivenLimits::Sigma { center_line, sigma };
                Outcome::Limits(self.limits.set(ids[of], given, Signed::default()).await.expect("committed"))
            }
            Step::Recalculate { of, last_n } => {
                let selection = Selection { last_n: Some(last_n), min_samples: 5, ..Selection::default() };
                let recalculated = self.limits.recalculate(ids[of], selection, Signed::default()).await;
                Outcome::Recalculated(Box::new(recalculated.expect("committed")))
            }
            Step::SetRules { of, rules } => {
                self.catalog.set_rules(ids[of], rules, None).await.expect("committed").expect("known");
                Outcome::Rules
            }
            Step::Acknowledge { of } => {
                let chosen = Chosen::OpenOf { characteristic_id: ids[of], up_to_seq: u64::MAX, limit: 10 };
                let answer = Answer {
                    user: "ann".to_owned(),
                    reason: "Other".to_owned(),
                    comment: None,
                    exclude_sample: false,
                };
                let answered = self.alerts.acknowledge_many(chosen, answer).await;
                Outcome::Acknowledged(answered.expect("committed"))
            }
        }
    }
}

async fn recorded(queued: &mut Vec<Queued<SampleAnswer>>) -> Vec<Outcome> {
    let mut outcomes = Vec::with_capacity(queued.len());
    for sample in queued.drain(..) {
        outcomes.push(Outcome::Sample(sample.recorded().await.expect("committed")));
    }
    outcomes
}
