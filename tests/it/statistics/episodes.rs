//! How many episodes a shift makes, by simulation with a fixed seed: what people are told of it.

use std::num::NonZeroU32;

use andon::domain::chart::ChartKind;
use andon::domain::episode::{Episode, EpisodePolicy};
use andon::domain::rules::{Preset, RuleSet, Severity};
use andon::domain::violation::{Violation, ViolationStatus};
use andon::services;
use andon::spc::{Judging, NormalDeviates, PhaseState, Signal};
use chrono::{DateTime, TimeDelta, Utc};

use super::support::{point, standard_limits};

/// Samples in control before a shift, and samples of it.
const BEFORE: u32 = 64;
const SHIFT_SAMPLES: u32 = 48;

/// Of each shift, in the mean.
#[derive(Debug)]
struct Told {
    violations: f64,
    episodes: f64,
    notices: f64,
}

fn violation(signal: &Signal, id: i64, severity: Severity) -> Violation {
    Violation {
        id: id.try_into().expect("positive"),
        sample_id: None,
        characteristic_id: 1.try_into().expect("positive"),
        episode_id: None,
        chart: signal.chart,
        rule_id: signal.rule.id(),
        rule_name: signal.rule.name().to_owned(),
        severity,
        message: String::new(),
        side: signal.side,
        value: None,
        center_line: None,
        ucl: None,
        lcl: None,
        sigma: None,
        n: None,
        involved_sample_ids: Vec::new(),
        timestamp: DateTime::UNIX_EPOCH,
        created_at: DateTime::UNIX_EPOCH,
        requires_acknowledgement: true,
        rejudged: false,
        is_history: false,
        origin: None,
        external_sample_id: None,
        status: ViolationStatus::Open,
        acknowledgement: None,
    }
}

/// Shifts of `sigmas` in a process that was in control, under all eight rules. Nobody answers.
fn shifts(count: u32, sigmas: f64, policy: &EpisodePolicy, seed: u64) -> Told {
    let rules = RuleSet::preset(Preset::Nelson);
    let (limits, judging) = (standard_limits(), Judging::new(ChartKind::IMr, rules));
    let mut normal = NormalDeviates::seeded(seed);
    let (mut violations, mut episodes, mut notices) = (0_u32, 0_u32, 0_u32);
    let mut now: DateTime<Utc> = DateTime::UNIX_EPOCH;
    for _ in 0..count {
        let mut state = PhaseState::new();
        let mut open: Option<Episode> = None;
        for number in 1..=BEFORE + SHIFT_SAMPLES {
            now += TimeDelta::minutes(1);
            let is_shifted = number > BEFORE;
            let value = normal.draw() + if is_shifted { sigmas } else { 0.0 };
            let verdict = state.judge(&point(number as usize, value, 1), Some(&limits), &judging);
            if !is_shifted {
                continue;
            }
            let signals = verdict.judged.expect("there are limits").signals;
            for signal in signals.iter() {
                violations += 1;
                let found = violation(signal, violations.into(), rules.get(signal.rule).severity);
                match &mut open {
                    Some(episode) => notices += u32::from(episode.join(&found).is_some()),
                    None => {
                        (episodes, notices) = (episodes + 1, notices + 1);
                        let id = i64::from(episodes).try_into().expect("positive");
                        open = Some(Episode::open(id, &found, now));
                    }
                }
            }
            if let Some(episode) = &mut open
                && episode.judged(signals.is_empty(), policy, now).is_some()
            {
                notices += 1;
                open = None; // nobody answers here: it was closed
            }
        }
    }
    let each = |counted: u32| f64::from(counted) / f64::from(count);
    Told { violations: each(violations), episodes: each(episodes), notices: each(notices) }
}

#[test]
fn a_shift_is_about_one_episode() {
    let settings = services::Settings::default();
    let policy = EpisodePolicy {
        close_points: settings.episode_close_points,
        lapse_points: settings.episode_lapse_points,
        stale_after: TimeDelta::hours(settings.episode_stale_hours.get().into()),
    };
    let told = shifts(2_000, 1.5, &policy, 7);
    // Some fifty rows: who were told of each would soon look at none.
    assert!((50.0..56.0).contains(&told.violations), "{told:?}");
    assert!((1.1..1.35).contains(&told.episodes), "{told:?}");
    assert!(told.notices < 3.0, "{told:?}");
    let hasty = shifts(2_000, 1.5, &EpisodePolicy { close_points: NonZeroU32::MIN, ..policy }, 7);
    assert!(hasty.episodes > 4.0, "points in control are no rarity after a shift: {hasty:?}");
}
