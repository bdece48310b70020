//! The schemas of foreign events: written out, since what `payload` holds hangs on `type`.

use serde_json::{Value, json};
use utoipa::openapi::schema::{ArrayBuilder, ObjectBuilder, OneOfBuilder, Schema, Type};
use utoipa::openapi::{Ref, RefOr};
use utoipa::{PartialSchema, ToSchema};

use crate::domain::ids::CharacteristicId;
use crate::protocol::rest::{
    ExternalId, ForeignAcknowledgement, ForeignEventRequest, ForeignEventsBody, ForeignEventsRequest,
    ForeignLimits, ForeignSample, ForeignViolation,
};
use crate::protocol::schema::{Key, Named};

/// The most events of one request, as `http` has it.
const MAX_EVENTS: usize = 1_000;

impl PartialSchema for ForeignEventsBody {
    fn schema() -> RefOr<Schema> {
        let event = || Ref::from_schema_name(ForeignEventRequest::name());
        let body = OneOfBuilder::new()
            .item(event())
            .item(ArrayBuilder::new().items(event()).max_items(Some(MAX_EVENTS)))
            .item(Ref::from_schema_name(ForeignEventsRequest::name()))
            .description(Some("One event, an array of them, or an object that holds the array."))
            .examples(examples());
        RefOr::T(Schema::OneOf(body.build()))
    }
}

fn examples() -> [Value; 1] {
    [json!({
        "source": "mes", "id": "e-1", "type": "violation", "characteristic_key": "P7:bore",
        "payload": {
            "rule_id": 1, "rule_name": "Outlier", "severity": "CRITICAL", "timestamp": "2026-01-31T12:00:00Z",
            "value": 74.1
        }
    })]
}

impl ToSchema for ForeignEventsBody {
    fn schemas(schemas: &mut Vec<Named>) {
        remember::<ForeignEventRequest>(schemas);
        remember::<ForeignEventsRequest>(schemas);
    }
}

impl PartialSchema for ForeignEventRequest {
    fn schema() -> RefOr<Schema> {
        let kinds = OneOfBuilder::new()
            .item(of_kind::<ForeignSample>("sample"))
            .item(of_kind::<ForeignViolation>("violation"))
            .item(of_kind::<ForeignAcknowledgement>("ack_update"))
            .item(of_kind::<ForeignLimits>("control_limits"))
            .description(Some(
                "One event of another system; `source` and `id` together are unique for ever. It names its \
                 characteristic by `characteristic_id` or `characteristic_key`; an `ack_update` need not.",
            ));
        RefOr::T(Schema::OneOf(kinds.build()))
    }
}

impl ToSchema for ForeignEventRequest {
    fn schemas(schemas: &mut Vec<Named>) {
        remember::<ForeignSample>(schemas);
        remember::<ForeignViolation>(schemas);
        remember::<ForeignAcknowledgement>(schemas);
        remember::<ForeignLimits>(schemas);
    }
}

fn of_kind<T: ToSchema>(kind: &str) -> Schema {
    let event = ObjectBuilder::new()
        .property("source", Ref::from_schema_name(Key::name()))
        .property("id", Ref::from_schema_name(Key::name()))
        .property("type", ObjectBuilder::new().schema_type(Type::String).enum_values(Some([kind])))
        .property("characteristic_id", nullable(CharacteristicId::name().as_ref()))
        .property("characteristic_key", nullable(Key::name().as_ref()))
        .property("payload", Ref::from_schema_name(T::name()))
        .additional_properties(Some(utoipa::openapi::schema::AdditionalProperties::<Schema>::FreeForm(
            false,
        )));
    let event = ["source", "id", "type", "payload"].into_iter().fold(event, ObjectBuilder::required);
    Schema::Object(event.build())
}

fn nullable(name: &str) -> Schema {
    let nothing = ObjectBuilder::new().schema_type(Type::Null);
    Schema::OneOf(OneOfBuilder::new().item(Ref::from_schema_name(name)).item(nothing).build())
}

impl PartialSchema for ExternalId {
    fn schema() -> RefOr<Schema> {
        let text = ObjectBuilder::new().schema_type(Type::String).min_length(Some(1)).max_length(Some(128));
        let id = OneOfBuilder::new().item(text).item(ObjectBuilder::new().schema_type(Type::Integer));
        let what =
            "The sender's own id of one of its things: a line of text, or a number that is kept as text.";
        RefOr::T(Schema::OneOf(id.description(Some(what)).build()))
    }
}

impl ToSchema for ExternalId {}

fn remember<T: ToSchema>(schemas: &mut Vec<Named>) {
    schemas.push((T::name().into_owned(), T::schema()));
    T::schemas(schemas);
}
