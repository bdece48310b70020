//! A change of some fields of a definition: which are named, and what the others become of it.

use crate::domain::characteristic::{CharacteristicKey, Definition};
use crate::domain::chart::ChartKind;

/// New values of some fields. `None` leaves a field as it is; `Some(None)` clears it, or brings its default back.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct DefinitionChange {
    /// What people call it.
    pub name: Option<String>,
    /// The integrator's own id.
    pub key: Option<Option<CharacteristicKey>>,
    /// Free text.
    pub description: Option<Option<String>>,
    /// Which pair of charts; cleared: the usual one for the subgroup size.
    pub chart: Option<Option<ChartKind>>,
    /// Measurements of a full subgroup.
    pub subgroup_size: Option<u32>,
    /// The fewest measurements accepted; cleared: all of the subgroup.
    pub min_measurements: Option<Option<u32>>,
    /// Unit of the measurements.
    pub unit: Option<Option<String>>,
    /// Decimals to show.
    pub decimals: Option<Option<u32>>,
    /// The value aimed at.
    pub target: Option<Option<f64>>,
    /// Upper specification limit.
    pub usl: Option<Option<f64>>,
    /// Lower specification limit.
    pub lsl: Option<Option<f64>>,
    /// Where it belongs.
    pub group: Option<Option<String>>,
    /// Words to find it by.
    pub tags: Option<Option<Vec<String>>>,
    /// What to do when it signals.
    pub reaction_plan: Option<Option<String>>,
    /// When provisional limits are calculated.
    pub auto_limits_after: Option<Option<u32>>,
}

impl DefinitionChange {
    /// The definition that comes out; whether it holds together, [`Definition::checked`] says.
    ///
    /// `min_measurements` that are not named follow the subgroup size where full subgroups were asked for.
    #[must_use]
    pub fn applied_to(self, before: Definition) -> Definition {
        let subgroup_size = self.subgroup_size.unwrap_or(before.subgroup_size);
        let min_measurements = match self.min_measurements {
            Some(given) => given.unwrap_or(subgroup_size),
            None if before.min_measurements == before.subgroup_size => subgroup_size,
            None => before.min_measurements,
        };
        let chart = match self.chart {
            Some(given) => given.unwrap_or(ChartKind::default_for(subgroup_size)),
            None => before.chart,
        };
        Definition {
            name: self.name.unwrap_or(before.name),
            key: self.key.unwrap_or(before.key),
            description: self.description.unwrap_or(before.description),
            chart,
            subgroup_size,
            min_measurements,
            unit: self.unit.unwrap_or(before.unit),
            decimals: self.decimals.unwrap_or(before.decimals),
            target: self.target.unwrap_or(before.target),
            usl: self.usl.unwrap_or(before.usl),
            lsl: self.lsl.unwrap_or(before.lsl),
            group: self.group.unwrap_or(before.group),
            tags: self.tags.map_or(before.tags, Option::unwrap_or_default),
            reaction_plan: self.reaction_plan.unwrap_or(before.reaction_plan),
            auto_limits_after: self.auto_limits_after.unwrap_or(before.auto_limits_after),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bore(min_measurements: u32) -> Definition {
        Definition {
            name: "Bore diameter".to_owned(),
            key: None,
            description: None,
            chart: ChartKind::XbarR,
            subgroup_size: 5,
            min_measurements,
            unit: Some("mm".to_owned()),
            decimals: Some(3),
            target: None,
            usl: None,
            lsl: None,
            group: None,
            tags: vec!["safety".to_owned()],
            reaction_plan: None,
            auto_limits_after: None,
        }
    }

    #[test]
    fn what_is_not_named_stays_and_what_is_cleared_goes() {
        assert_eq!(DefinitionChange::default().applied_to(bore(3)), bore(3));
        let change = DefinitionChange { unit: Some(None), tags: Some(None), ..DefinitionChange::default() };
        assert_eq!(change.applied_to(bore(3)), Definition { unit: None, tags: vec![], ..bore(3) });
    }

    #[test]
    fn the_fewest_measurements_follow_the_subgroup_size_where_full_subgroups_were_asked_for() {
        let larger = DefinitionChange { subgroup_size: Some(8), ..DefinitionChange::default() };
        assert_eq!(larger.clone().applied_to(bore(5)).min_measurements, 8);
        assert_eq!(larger.clone().applied_to(bore(3)).min_measurements, 3);
        let given = DefinitionChange { min_measurements: Some(Some(4)), ..larger.clone() };
        assert_eq!(given.applied_to(bore(5)).min_measurements, 4);
        let cleared = DefinitionChange { min_measurements: Some(None), ..larger };
        assert_eq!(cleared.applied_to(bore(3)).min_measurements, 8);
    }

    #[test]
    fn a_cleared_chart_is_the_usual_one() {
        let change =
            DefinitionChange { chart: Some(None), subgroup_size: Some(12), ..DefinitionChange::default() };
        assert_eq!(change.applied_to(bore(5)).chart, ChartKind::XbarS);
    }
}
