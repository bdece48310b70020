//! The published data sets, as a program that embeds Andon would send them.

use std::io::{self, Write as _};
use std::time::Duration;

use anyhow::Context as _;
use tokio_util::sync::CancellationToken;

use crate::domain::characteristic::Definition;
use crate::domain::chart::ChartKind;
use crate::domain::ids::CharacteristicId;
use crate::domain::rules::RuleSet;
use crate::domain::sample::Mode;
use crate::services::{
    AlertManager, Answer, Catalog, CharacteristicRef, ControlLimitService, NewSample, RecordedSample,
    Selection, Signed, SpcEngine,
};

/// 40 subgroups of 5 (Montgomery, Introduction to Statistical Quality Control).
const PISTON_RINGS: &str = include_str!("../../../tests/data/piston_rings.csv");
/// 10 values (NIST/SEMATECH e-Handbook of Statistical Methods, 6.3.2.2).
const FLOW_RATE: &str = include_str!("../../../tests/data/flow_rate.csv");
/// The subgroups that set the limits of the piston rings.
const BASELINE: usize = 25;

/// What people are told to do.
const REACTION_PLAN: &str = "Stop the machine and set the last box aside. Measure five more parts. If they are beyond the \
                             limits, too, call maintenance.";

/// Who answers where nobody else does.
const OPERATOR: &str = "demo operator";

/// What a feeder talks to.
pub struct Services {
    pub alerts: AlertManager,
    pub catalog: Catalog,
    pub limits: ControlLimitService,
    pub engine: SpcEngine,
}

/// Defines the piston rings and sets limits from the first 25 subgroups.
pub async fn piston_rings(services: &Services) -> anyhow::Result<CharacteristicId> {
    let rings = services.define("Piston ring diameter", ChartKind::XbarR, 5, ("mm", 3)).await?;
    for measurements in rows(PISTON_RINGS).take(BASELINE) {
        services.record(rings, measurements).await?;
    }
    services.set_limits(rings, BASELINE).await?;
    Ok(rings)
}

/// Sends the other 15 subgroups, one after each `pause`, and tells where rule 1 fired. Then an operator answers, if nobody
/// has, the tool is mended, and rings are again as the first 25 were, until the episode is over.
pub async fn later_rings(
    services: &Services,
    rings: CharacteristicId,
    pause: Duration,
    stop: &CancellationToken,
) -> anyhow::Result<()> {
    let (mut beyond, mut episode) = (Vec::new(), None);
    for (subgroup, measurements) in (1..).zip(rows(PISTON_RINGS)).skip(BASELINE) {
        let Some(recorded) = services.record_after(pause, stop, rings, measurements).await? else {
            return Ok(());
        };
        if recorded.violations.iter().any(|violation| violation.rule_id == 1) {
            beyond.push(subgroup.to_string());
        }
        episode = recorded.violations.iter().find_map(|violation| violation.episode_id).or(episode);
    }
    let beyond = beyond.join(", ");
    writeln!(io::stdout(), "-- all 40 piston ring subgroups are in; beyond the limits (rule 1): {beyond}")?;
    if let Some(episode) = episode {
        let reason = "Tool Change".to_owned();
        let answer = Answer { user: OPERATOR.to_owned(), reason, comment: None, exclude_sample: false };
        let _ = services.alerts.acknowledge_episode(episode, answer).await?; // refused: somebody was first
        writeln!(io::stdout(), "-- the tool is changed, and rings are as the first {BASELINE} were")?;
    }
    for measurements in rows(PISTON_RINGS).take(BASELINE) {
        if services.record_after(pause, stop, rings, measurements).await?.is_none() {
            break;
        }
    }
    Ok(())
}

/// Defines the flow rate and sets limits from its ten values.
pub async fn flow_rate(services: &Services) -> anyhow::Result<CharacteristicId> {
    let flow = services.define("Flow rate", ChartKind::IMr, 1, ("l/min", 1)).await?;
    let values: Vec<_> = rows(FLOW_RATE).collect();
    let count = values.len();
    for measurements in values {
        services.record(flow, measurements).await?;
    }
    services.set_limits(flow, count).await?;
    Ok(flow)
}

/// The measurements of each line, without the first column (the number of the line).
fn rows(csv: &str) -> impl Iterator<Item = Vec<f64>> {
    let number = |cell: &str| cell.parse().expect("the data in this repository is numbers");
    csv.lines().skip(1).map(move |line| line.split(',').skip(1).map(number).collect())
}

impl Services {
    async fn define(
        &self,
        name: &str,
        chart: ChartKind,
        subgroup_size: u32,
        (unit, decimals): (&str, u32),
    ) -> anyhow::Result<CharacteristicId> {
        let definition = Definition {
            name: name.to_owned(),
            key: None,
            description: None,
            chart,
            subgroup_size,
            min_measurements: subgroup_size,
            unit: Some(unit.to_owned()),
            decimals: Some(decimals),
            target: None,
            usl: None,
            lsl: None,
            group: Some("demo".to_owned()),
            tags: Vec::new(),
            reaction_plan: Some(REACTION_PLAN.to_owned()),
            auto_limits_after: None,
        };
        Ok(self.catalog.create(definition, RuleSet::default()).await??.id)
    }

    /// `None`: it was stopped before.
    async fn record_after(
        &self,
        pause: Duration,
        stop: &CancellationToken,
        id: CharacteristicId,
        measurements: Vec<f64>,
    ) -> anyhow::Result<Option<RecordedSample>> {
        tokio::select! {
            () = stop.cancelled() => Ok(None),
            () = tokio::time::sleep(pause) => Ok(Some(self.record(id, measurements).await?)),
        }
    }

    async fn record(&self, id: CharacteristicId, measurements: Vec<f64>) -> anyhow::Result<RecordedSample> {
        Ok(self.engine.submit(sample(id, measurements)).await??)
    }

    async fn set_limits(&self, id: CharacteristicId, samples: usize) -> anyhow::Result<()> {
        let selection = Selection { min_samples: u32::try_from(samples)?, ..Selection::default() };
        let signed = Signed { user: Some("demo".to_owned()), reason: None };
        self.limits.recalculate(id, selection, signed).await?.context("the published data gives limits")?;
        Ok(())
    }
}

/// A sample that was measured now.
pub fn sample(id: CharacteristicId, measurements: Vec<f64>) -> NewSample {
    NewSample {
        characteristic: CharacteristicRef::Id(id),
        measurements,
        timestamp: None,
        mode: Mode::Live,
        key: None,
        batch: None,
        operator: None,
        metadata: None,
    }
}
