//! REST requests and answers. A request refuses fields that it does not know, by name.

mod characteristic;
mod connection;
mod definition;
mod delivery;
mod event;
mod exclusion;
mod foreign;
mod foreign_schema;
mod group;
mod health;
mod limits;
mod query;
mod reload;
mod run_length;
mod sample;
mod silence;
mod stream;
mod violation;

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use utoipa::openapi::schema::{ArrayBuilder, ObjectBuilder, Schema};
use utoipa::openapi::{Ref, RefOr};
use utoipa::{PartialSchema, ToSchema};

use crate::protocol::schema::Named;

pub use characteristic::{
    CharacteristicView, CreateCharacteristic, DefinitionView, PresetRequest, RuleLengths, RuleParameters,
    RuleRequest, RuleView, RulesError, RulesRequest, RulesView, StandingView,
};
pub use connection::{
    ConnectionFeed, ConnectionNumber, ConnectionOrder, ConnectionQuery, ConnectionView, ListeningView,
    SubscribeRequest, TestRequest, TestedView, Transport, UnreceivedQuery, UnreceivedView,
    UnsubscribeRequest,
};
pub(super) use definition::given;
pub use definition::{PatchCharacteristic, PutCharacteristic};
pub use delivery::{
    AttemptView, DeliveryDetailView, DeliveryView, NoticeView, ReplayRequest, ReplayView, WhyView,
};
pub use event::{EventMessageView, EventsView};
pub use exclusion::Exclude;
pub use foreign::{
    ExternalId, ForeignAcknowledgement, ForeignEventItem, ForeignEventRequest, ForeignEventStatus,
    ForeignEventsBody, ForeignEventsRequest, ForeignEventsView, ForeignLimits, ForeignSample,
    ForeignViolation,
};
pub use group::{AlarmCounts, GroupView, GroupsView, UngroupedView};
pub use health::{Alive, AliveView, DatabaseState, DiskState, PartsView, ProcessStage, Ready, ReadyView};
pub use limits::{
    BaselineSignal, BaselineView, CalculationView, ChartDataView, ChartPoint, ChartRule, DispersionPoint,
    Recalculate, RecalculationView, SetLimits, SpecificationView, ZoneLinesView,
};
pub use query::{
    BatchQuery, CharacteristicQuery, ChartQuery, DeleteQuery, DeliveryQuery, EpisodeQuery, EventsQuery,
    MAX_PICTURED, PageQuery, PictureQuery, SampleQuery, StatsQuery, ViolationQuery,
};
pub use reload::ReloadedView;
pub use run_length::{InControlArl, RulesAnswer};
pub use sample::{BatchItem, BatchRequest, BatchView, ItemError, RecordedView, SampleRequest, SampleView};
pub use silence::{EndSilenceQuery, SilenceQuery, SilenceRequest, SilenceView};
pub use stream::EventStreamQuery;
pub use violation::{
    Acknowledge, AcknowledgeEpisode, AcknowledgedItem, BatchAcknowledge, BatchAcknowledgeView, ReasonCodes,
    RuleCount, SeverityCount, ViolationStatsView,
};

/// One page of a list.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PageView<T> {
    pub items: Vec<T>,
    pub total: u64,
    pub offset: u64,
    pub limit: u32,
}

/// Written out: a derived schema would have one name for the pages of all lists.
impl<T: ToSchema> PartialSchema for PageView<T> {
    fn schema() -> RefOr<Schema> {
        let items = ArrayBuilder::new().items(Ref::from_schema_name(T::name()));
        let page = ObjectBuilder::new()
            .property("items", items)
            .property("total", u64::schema())
            .property("offset", u64::schema())
            .property("limit", u32::schema())
            .description(Some("One page of a list; `total` counts all pages."));
        ["items", "total", "offset", "limit"].into_iter().fold(page, ObjectBuilder::required).build().into()
    }
}

impl<T: ToSchema> ToSchema for PageView<T> {
    fn name() -> Cow<'static, str> {
        format!("PageOf{}", T::name()).into()
    }

    fn schemas(schemas: &mut Vec<Named>) {
        schemas.push((T::name().into_owned(), T::schema()));
        T::schemas(schemas);
    }
}
