//! What each extractor reads from a request, and what it refuses.
//!
//! A new extractor gets its [`Takes`] here, a new part of the application its [`Part`].

use actix_web::HttpRequest;
use actix_web::web::{Data, Path, Payload};
use serde_json::{Value, json};
use utoipa::openapi::path::{ParameterBuilder, ParameterIn};
use utoipa::openapi::{Ref, Required};
use utoipa::{IntoParams, PartialSchema as _, ToSchema};

use crate::broadcast::Broadcaster;
use crate::clock::Clock;
use crate::domain::ids::{CharacteristicId, DeliveryId, EpisodeId, SampleId, SilenceId, ViolationId};
use crate::health::Health;
use crate::http::InputSettings;
use crate::http::admission::Admitted;
use crate::http::auth::{Authorized, Needed, Role};
use crate::http::batch::Batch;
use crate::http::body::{Json, OptionalJson};
use crate::http::error::Kind;
use crate::http::event_stream::{LastEventId, StreamParts};
use crate::http::idempotency::Repeatable;
use crate::http::input::{NoQuery, Query};
use crate::http::openapi::contract::{Body, Caller, Contract, Takes};
use crate::http::openapi::document::Document;
use crate::http::ws::SocketParts;
use crate::metrics::Exposition;
use crate::notify::{PlanInForce, Reloader};
use crate::protocol::rest::{BatchRequest, ConnectionNumber};
use crate::protocol::schema::{HeaderKey, Key};
use crate::services::{
    AlertManager, Catalog, ControlLimitService, ForeignEvents, Painter, RunLengths, SpcEngine,
};
use crate::store::Store;

const ABOUT_BODIES: &[Kind] =
    &[Kind::InvalidJson, Kind::InvalidField, Kind::TooLarge, Kind::UnsupportedMediaType, Kind::Timeout];

impl<N: Needed> Takes for Authorized<N> {
    fn tell(contract: &mut Contract) {
        contract.caller = Caller::With(N::ROLE);
        contract.refuses(&[Kind::NotAuthenticated, Kind::Forbidden]);
    }
}

impl<T: ToSchema, const ARRAY: bool> Takes for Json<T, ARRAY> {
    fn tell(contract: &mut Contract) {
        takes_body::<T>(contract, true);
        contract.refuses(&[Kind::InvalidHeader]); // a key where no answer is kept
    }
}

impl<T: ToSchema> Takes for OptionalJson<T> {
    fn tell(contract: &mut Contract) {
        takes_body::<T>(contract, false);
        contract.refuses(&[Kind::InvalidHeader]);
    }
}

impl<T: ToSchema, const ARRAY: bool> Takes for Repeatable<T, ARRAY> {
    fn tell(contract: &mut Contract) {
        takes_body::<T>(contract, true);
        takes_key(contract);
    }
}

impl Takes for Batch {
    fn tell(contract: &mut Contract) {
        takes_body::<BatchRequest>(contract, true);
        let body = contract.body.as_mut().expect("just told");
        body.texts.push(("application/x-ndjson", "A sample, as one of `samples`, in each line."));
        takes_key(contract);
    }
}

fn takes_body<T: ToSchema>(contract: &mut Contract, is_required: bool) {
    let schema = contract.schema::<T>();
    contract.body = Some(Body { schema, is_required, texts: Vec::new() });
    contract.refuses(ABOUT_BODIES);
}

fn takes_key(contract: &mut Contract) {
    let what = "Repeats with the same key and body get the first answer again, for 24 hours.";
    let parameter = ParameterBuilder::new()
        .name("Idempotency-Key")
        .parameter_in(ParameterIn::Header)
        .required(Required::False)
        .description(Some(what))
        .schema(Some(Ref::from_schema_name(HeaderKey::name())));
    contract.parameters.push(parameter.build());
    contract.refuses(&[Kind::InvalidHeader, Kind::OtherBody]);
}

impl Takes for LastEventId {
    fn tell(contract: &mut Contract) {
        let what = "The position, EPOCH.SEQ, after which the stream goes on; counts more than `since`.";
        let parameter = ParameterBuilder::new()
            .name(Self::NAME)
            .parameter_in(ParameterIn::Header)
            .required(Required::False)
            .description(Some(what))
            .schema(Some(String::schema()));
        contract.parameters.push(parameter.build());
        contract.refuses(&[Kind::InvalidHeader]);
    }
}

impl<T: IntoParams> Takes for Query<T> {
    fn tell(contract: &mut Contract) {
        contract.parameters.extend(T::into_params(|| Some(ParameterIn::Query)));
        contract.refuses(&[Kind::InvalidQuery]);
    }
}

impl Takes for NoQuery {
    fn tell(contract: &mut Contract) {
        contract.refuses(&[Kind::InvalidQuery]);
    }
}

/// The one parameter of the path.
impl<T: Named> Takes for Path<T> {
    fn tell(contract: &mut Contract) {
        let (_, rest) =
            contract.path.split_once('{').expect("a handler that takes a path has one with a name");
        let (name, _) = rest.split_once('}').expect("the router would refuse it, too");
        let parameter = ParameterBuilder::new()
            .name(name)
            .parameter_in(ParameterIn::Path)
            .required(Required::True)
            .example(Some(T::example()))
            .schema(Some(Ref::from_schema_name(T::Schema::name())));
        contract.parameters.push(parameter.build());
        contract.refuses(&[Kind::NotFound]);
    }
}

/// What a path can name.
trait Named {
    /// How it looks there.
    type Schema: ToSchema;

    fn example() -> Value;
}

impl Named for String {
    type Schema = Key;

    fn example() -> Value {
        json!("P7:ring")
    }
}

macro_rules! ids {
    ($($name:ident: $example:literal,)*) => {$(
        impl Named for $name {
            type Schema = Self;

            fn example() -> Value {
                json!($example)
            }
        }
    )*};
}

ids! { CharacteristicId: 1, SampleId: 1, ViolationId: 4, EpisodeId: 1, DeliveryId: 1, SilenceId: 1, ConnectionNumber: 1, }

impl Takes for Admitted {
    fn tell(contract: &mut Contract) {
        contract.refuses(&[Kind::TooManyConnections]);
    }
}

impl Takes for HttpRequest {
    fn tell(_: &mut Contract) {}
}

impl Takes for Payload {
    fn tell(_: &mut Contract) {}
}

/// A part of the application that a handler works with.
trait Part {
    /// Tells what may go wrong with it.
    fn tell(_: &mut Contract) {}
}

impl<T: Part> Takes for Data<T> {
    fn tell(contract: &mut Contract) {
        T::tell(contract);
    }
}

impl Part for Broadcaster {}
impl Part for Clock {}
impl Part for Document {}
impl Part for Health {}
impl Part for InputSettings {}
impl Part for Exposition {}
impl Part for PlanInForce {}
impl Part for RunLengths {}
impl Part for StreamParts {}

impl Part for Painter {
    fn tell(contract: &mut Contract) {
        contract.refuses(&[Kind::Internal]);
    }
}

impl Part for Reloader {
    fn tell(contract: &mut Contract) {
        contract.refuses(&[Kind::NoSettingsSource, Kind::UnusableSettings, Kind::Busy, Kind::Unavailable]);
    }
}

impl Part for Store {
    fn tell(contract: &mut Contract) {
        contract.refuses(&[Kind::Unavailable, Kind::Internal]);
    }
}

impl Part for SocketParts {
    fn tell(contract: &mut Contract) {
        contract.caller = Caller::WithLater(Role::Read);
        contract.refuses(&[Kind::NotWebSocket, Kind::NotAuthenticated, Kind::Forbidden]);
    }
}

macro_rules! services {
    ($($name:ident)*) => {$(
        impl Part for $name {
            fn tell(contract: &mut Contract) {
                contract.refuses(&[Kind::Busy, Kind::Unavailable, Kind::Internal]);
            }
        }
    )*};
}

services! { AlertManager Catalog ControlLimitService ForeignEvents SpcEngine }

macro_rules! tuples {
    ($(($($part:ident)*))*) => {$(
        impl<$($part: Takes),*> Takes for ($($part,)*) {
            fn tell(_contract: &mut Contract) {
                $($part::tell(_contract);)*
            }
        }
    )*};
}

tuples! {
    () (A) (A B) (A B C) (A B C D) (A B C D E) (A B C D E F) (A B C D E F G) (A B C D E F G H)
    (A B C D E F G H I) (A B C D E F G H I J)
}
