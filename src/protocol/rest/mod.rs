//! REST requests and answers. A request refuses fields that it does not know, by name.

mod characteristic;
mod limits;
mod query;
mod sample;
mod violation;

use serde::{Deserialize, Serialize};

pub use characteristic::{
    CharacteristicView, CreateCharacteristic, LimitsState, PresetRequest, RuleParameters, RuleRequest,
    RuleView, RulesError, RulesRequest, RulesView, Standing,
};
pub use limits::{
    BaselineSignal, BaselineView, CalculationView, ChartDataView, ChartPoint, ChartRule, DispersionPoint,
    Recalculate, RecalculationView, SetLimits, SpecificationView, ZoneLinesView,
};
pub use query::{CharacteristicQuery, ChartQuery, PageQuery, SampleQuery, StatsQuery, ViolationQuery};
pub use sample::{BatchItem, BatchRequest, BatchView, ItemError, RecordedView, SampleRequest, SampleView};
pub use violation::{
    Acknowledge, AcknowledgedItem, BatchAcknowledge, BatchAcknowledgeView, ReasonCodes, RuleCount,
    SeverityCount, ViolationStatsView,
};

/// One page of a list.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PageView<T> {
    pub items: Vec<T>,
    pub total: u64,
    pub offset: u64,
    pub limit: u32,
}
