//! All operations: each line is the route and what is told about it in the OpenAPI document.
//!
//! Paths are matched in this order, so a fixed one stands before one with a parameter in the same place.

use std::sync::LazyLock;

use actix_web::{Resource, web};

use crate::http::error::{ApiError, Kind};
use crate::http::openapi::{self, Operation, delete, get, head, patch, post, put};
use crate::http::{
    batch, characteristics, chart_data, chart_pictures, connections, control_limits, definitions, deliveries,
    episodes, event_stream, events, exclusion, foreign_events, groups, live, named, reload, samples,
    silences, unreceived, violations, ws,
};

/// What the operations belong to.
pub const TAGS: &[(&str, &str)] = &[
    (CHARACTERISTICS, "What is monitored, and by which rules."),
    (CONTROL_LIMITS, "What each characteristic is judged by."),
    (SAMPLES, "What was measured."),
    (VIOLATIONS, "What fired, and what people answer."),
    (EPISODES, "Violations that belong together."),
    (DELIVERIES, "What people were told, to whom, and how it went."),
    (SILENCES, "Of which processes nobody is told for a while."),
    (EVENTS, "What happens, as it happens."),
    (CONNECTIONS, "Who listens, to what, and how well."),
    (SERVER, "How this server is."),
];
const CHARACTERISTICS: &str = "characteristics";
const CONTROL_LIMITS: &str = "control limits";
const SAMPLES: &str = "samples";
const VIOLATIONS: &str = "violations";
const EPISODES: &str = "episodes";
const DELIVERIES: &str = "deliveries";
const SILENCES: &str = "silences";
const EVENTS: &str = "events";
const CONNECTIONS: &str = "connections";
const SERVER: &str = "server";

/// All operations, in the order in which their paths are matched.
pub static OPERATIONS: LazyLock<Vec<Operation>> = LazyLock::new(|| {
    let groups = [
        server("", ""),
        server("/api/v1", "api_"),
        characteristics(),
        control_limits(),
        samples(),
        violations(),
        episodes(),
        deliveries(),
        silences(),
        reloads(),
        happenings(),
        connections(),
    ];
    groups.into_iter().flatten().collect()
});

/// What answers at the root, too: for whatever looks after the process.
fn server(prefix: &str, id: &str) -> Vec<Operation> {
    let path = |path: &str| format!("{prefix}{path}");
    let id = |name: &str| format!("{id}{name}");
    let mut operations = vec![
        get(&path("/health/live"), &id("health_live"), live::alive)
            .says("Tells that the process answers", "Open to everybody.")
            .always_answers(),
        head(&path("/health/live"), &id("health_live_head"), live::alive)
            .says("Tells that the process answers, without a body", "Open to everybody.")
            .always_answers(),
        get(&path("/health/ready"), &id("health_ready"), live::ready)
            .says("Tells whether the process takes work", "503 with what it lacks. Open to everybody.")
            .always_answers(),
        head(&path("/health/ready"), &id("health_ready_head"), live::ready)
            .says("Tells whether the process takes work, without a body", "Open to everybody.")
            .always_answers(),
        get(&path("/openapi.json"), &id("openapi"), openapi::serve)
            .says("Gives this document", "Open to everybody: it tells nothing of a plant."),
    ];
    if prefix.is_empty() {
        let metrics = get("/metrics", "metrics", live::metrics);
        operations.push(metrics.says("Counts what has happened", "For Prometheus, as OpenMetrics text."));
    }
    operations.into_iter().map(|operation| operation.tagged(SERVER)).collect()
}

fn reloads() -> Vec<Operation> {
    let reload = post("/api/v1/reload", "reload", reload::reload).says(
        "Reads the settings again",
        "And puts what they say of receivers and routes in force, all or nothing, without a restart; what else has changed is \
         named, and needs one. As SIGHUP does.",
    );
    vec![reload.tagged(SERVER)]
}

fn characteristics() -> Vec<Operation> {
    let operations = [
        get("/api/v1/characteristics", "list_characteristics", characteristics::list)
            .says("Lists characteristics", "Each with how it stands: limits, open violations, newest sample."),
        post("/api/v1/characteristics", "create_characteristic", characteristics::create)
            .says("Creates a characteristic", "It is judged once it has control limits.")
            .refuses(&[Kind::KeyTaken])
            .leads_to("get_characteristic", "id", "$response.body#/id")
            .leads_to("get_rules", "id", "$response.body#/id")
            .leads_to("set_rules", "id", "$response.body#/id")
            .leads_to("set_control_limits", "id", "$response.body#/id")
            .leads_to("list_control_limits", "id", "$response.body#/id")
            .leads_to("recalculate_control_limits", "id", "$response.body#/id")
            .leads_to("get_chart_data", "id", "$response.body#/id")
            .leads_to("change_characteristic", "id", "$response.body#/id")
            .leads_to("delete_characteristic", "id", "$response.body#/id"),
        get("/api/v1/characteristics/by-key/{key}", "get_characteristic_by_key", named::one)
            .says("Tells one characteristic by its key", "As by its id.")
            .refuses(&[Kind::UnknownCharacteristic]),
        put("/api/v1/characteristics/by-key/{key}", "define_characteristic", definitions::define)
            .says(
                "Creates a characteristic, or changes the one with this key",
                "The body is the whole definition: what is left out has its default. Another chart or subgroup size \
                 needs consent (`new_phase`) once there are samples.",
            )
            .refuses(&[Kind::UnknownCharacteristic, Kind::KeyTaken, Kind::HasSamples])
            .leads_to("get_characteristic_by_key", "key", "$request.path.key")
            .leads_to("get_chart_data_by_key", "key", "$request.path.key")
            .leads_to("delete_characteristic", "id", "$response.body#/id"),
        get("/api/v1/characteristics/by-key/{key}/chart-data", "get_chart_data_by_key", named::chart_data)
            .says("Tells everything that a control chart draws, by key", "As by its id.")
            .refuses(&[Kind::UnknownCharacteristic]),
        get("/api/v1/characteristics/by-key/{key}/chart.svg", "get_chart_svg_by_key", named::chart_svg)
            .says("Draws the control chart, by key", "As by its id.")
            .refuses(&[Kind::UnknownCharacteristic]),
        get("/api/v1/characteristics/by-key/{key}/chart.png", "get_chart_png_by_key", named::chart_png)
            .says("Paints the control chart, by key", "As by its id.")
            .refuses(&[Kind::UnknownCharacteristic]),
        get("/api/v1/characteristics/{id}", "get_characteristic", characteristics::one)
            .says("Tells one characteristic", "With how it stands: limits, open violations, newest sample.")
            .refuses(&[Kind::UnknownCharacteristic]),
        patch("/api/v1/characteristics/{id}", "change_characteristic", definitions::change)
            .says(
                "Changes some of a characteristic's definition",
                "What is left out stays. Another chart or subgroup size needs consent (`new_phase`) once there are \
                 samples.",
            )
            .refuses(&[Kind::UnknownCharacteristic, Kind::KeyTaken, Kind::HasSamples]),
        delete("/api/v1/characteristics/{id}", "delete_characteristic", definitions::delete)
            .says("Deletes a characteristic", "With samples only if `with_history` says so.")
            .refuses(&[Kind::UnknownCharacteristic, Kind::HasSamples]),
        get("/api/v1/groups", "get_groups", groups::tree)
            .says("Tells the tree of groups", "Each with how many characteristics are in which alarm state."),
        get("/api/v1/characteristics/{id}/rules", "get_rules", characteristics::rules)
            .says("Tells how each of the eight run rules is set", "")
            .refuses(&[Kind::UnknownCharacteristic]),
        put("/api/v1/characteristics/{id}/rules", "set_rules", characteristics::set_rules)
            .says(
                "Sets the run rules",
                "Rules that are not named are off. They act from the next sample, and count the points already in \
                 the phase.",
            )
            .refuses(&[Kind::UnknownCharacteristic]),
        get("/api/v1/characteristics/{id}/chart-data", "get_chart_data", chart_data::get)
            .says(
                "Tells everything that a control chart draws",
                "The newest points of a range, oldest first, each with the limits that judged it.",
            )
            .refuses(&[Kind::UnknownCharacteristic]),
        get("/api/v1/characteristics/{id}/chart.svg", "get_chart_svg", chart_pictures::svg)
            .says(
                "Draws the control chart",
                "Zones, limits as they judged each point, signals with the numbers of their rules, and times on site.",
            )
            .refuses(&[Kind::UnknownCharacteristic]),
        get("/api/v1/characteristics/{id}/chart.png", "get_chart_png", chart_pictures::png)
            .says("Paints the control chart", "The same picture for where SVG is not shown, such as in a mail.")
            .refuses(&[Kind::UnknownCharacteristic]),
    ];
    operations.into_iter().map(|operation| operation.tagged(CHARACTERISTICS)).collect()
}

fn control_limits() -> Vec<Operation> {
    const PATH: &str = "/api/v1/characteristics/{id}/control-limits";
    let recalculate = format!("{PATH}/recalculate");
    let operations = [
        get(PATH, "list_control_limits", control_limits::list)
            .says("Lists the control limits of a characteristic", "All phases, newest first.")
            .refuses(&[Kind::UnknownCharacteristic]),
        put(PATH, "set_control_limits", control_limits::set)
            .says(
                "Puts given control limits in force",
                "A center line with `ucl` and `lcl`, or with `sigma`. Repeating those in force changes nothing.",
            )
            .refuses(&[Kind::UnknownCharacteristic, Kind::InvalidLimits, Kind::NoVariation]),
        post(&recalculate, "recalculate_control_limits", control_limits::recalculate)
            .says(
                "Calculates control limits from samples",
                "And puts them in force, unless it is a preview. The body may be left out.",
            )
            .refuses(&[
                Kind::UnknownCharacteristic,
                Kind::InvalidLimits,
                Kind::NoVariation,
                Kind::TooFewSamples,
            ]),
    ];
    operations.into_iter().map(|operation| operation.tagged(CONTROL_LIMITS)).collect()
}

fn samples() -> Vec<Operation> {
    let operations = [
        get("/api/v1/samples", "list_samples", samples::list)
            .says("Lists samples", "Newest first.")
            .refuses(&[Kind::UnknownCharacteristic]),
        post("/api/v1/samples", "record_sample", samples::record)
            .says("Records a sample", "Answered once it is judged and stored together with its events.")
            .refuses(&[
                Kind::UnknownCharacteristic,
                Kind::Retired,
                Kind::KeyTaken,
                Kind::InvalidMeasurements,
                Kind::InvalidTimestamp,
            ])
            .leads_to("get_sample", "id", "$response.body#/sample_id")
            .leads_to("exclude_sample", "id", "$response.body#/sample_id"),
        post("/api/v1/samples/batch", "record_samples", batch::record).says(
            "Records up to 10,000 samples",
            "In order, committed in chunks. What is wrong with one sample is told in its result, and stops no \
             other.",
        ),
        get("/api/v1/samples/{id}", "get_sample", samples::one)
            .says("Tells one sample", "With its measurements, how it was judged, and what fired on it.")
            .refuses(&[Kind::UnknownSample]),
        patch("/api/v1/samples/{id}/exclude", "exclude_sample", exclusion::exclude)
            .says(
                "Excludes a sample, or includes it again",
                "It then counts as never taken: the points after it are judged again.",
            )
            .refuses(&[Kind::UnknownSample]),
        post("/api/v1/events", "take_events", foreign_events::take).says(
            "Takes events that another SPC backend has judged",
            "Up to 1,000. Each is taken once by its `source` and `id`. What is wrong with one event is told in its \
             result, and stops no other. `ack_update` and `control_limits` need the role `operate`, too.",
        ),
    ];
    operations.into_iter().map(|operation| operation.tagged(SAMPLES)).collect()
}

fn episodes() -> Vec<Operation> {
    let operations = [
        get("/api/v1/episodes", "list_episodes", episodes::list)
            .says("Lists episodes", "Newest first.")
            .refuses(&[Kind::UnknownCharacteristic]),
        get("/api/v1/episodes/{id}", "get_episode", episodes::one)
            .says("Tells one episode", "With its newest violations, and what people were told about it.")
            .refuses(&[Kind::UnknownEpisode]),
        post("/api/v1/episodes/{id}/acknowledge", "acknowledge_episode", episodes::acknowledge)
            .says(
                "Acknowledges an episode",
                "And every open violation of it, the oldest 10,000 if there are more: every connected client hears of \
                 each. 409 says who was first, if nothing has waited since.",
            )
            .refuses(&[Kind::UnknownEpisode, Kind::AlreadyAcknowledged]),
    ];
    operations.into_iter().map(|operation| operation.tagged(EPISODES)).collect()
}

fn deliveries() -> Vec<Operation> {
    let operations = [
        get("/api/v1/deliveries", "list_deliveries", deliveries::list)
            .says("Lists deliveries", "Notices to receivers, each tried until it is over; newest first."),
        post("/api/v1/deliveries/replay", "replay_deliveries", deliveries::replay).says(
            "Tells a receiver anew what has ended in a stretch of time",
            "Each delivery alone, under its name, and those about one episode in their order: for a receiver that has lost what it \
             took, or could not be told. At most 10,000 at a time.",
        )
        .refuses(&[Kind::UnknownReceiver]),
        get("/api/v1/deliveries/{id}", "get_delivery", deliveries::one)
            .says("Tells one delivery", "With its attempts.")
            .refuses(&[Kind::UnknownDelivery]),
        post("/api/v1/deliveries/{id}/retry", "retry_delivery", deliveries::retry)
            .says(
                "Tries a delivery again",
                "Whether it is over or waits: now, or when those before it about its episode are over. The receiver gets it \
                 under the same name as before.",
            )
            .refuses(&[Kind::UnknownDelivery, Kind::DeliveryUnderWay]),
        get("/api/v1/violations/{id}/deliveries", "list_deliveries_of_violation", deliveries::of_violation)
            .says(
                "Lists the deliveries of a violation",
                "Of the notices about its episode that came after it; newest first.",
            )
            .refuses(&[Kind::UnknownViolation]),
        get("/api/v1/violations/{id}/why", "explain_violation", deliveries::why)
            .says(
                "Explains who was told of a violation",
                "What was new about its episode from then on, which routes matched that and which did not, and what became of it.",
            )
            .refuses(&[Kind::UnknownViolation]),
    ];
    operations.into_iter().map(|operation| operation.tagged(DELIVERIES)).collect()
}

fn silences() -> Vec<Operation> {
    let operations = [
        get("/api/v1/silences", "list_silences", silences::list)
            .says("Lists silences", "Those in force and those that are over; newest first."),
        post("/api/v1/silences", "begin_silence", silences::begin)
            .says(
                "Begins a silence",
                "Until it ends, nobody is told that an episode that it is about has opened, become worse or lapsed; who was \
                 not told of an episode does not hear of its answer either. What still waits for an answer when it ends \
                 is told then. Everything else goes on: violations, events, acknowledgements.",
            )
            .refuses(&[Kind::UnknownCharacteristic, Kind::UnknownReceiver, Kind::TooManySilences]),
        get("/api/v1/silences/{id}", "get_silence", silences::one)
            .says("Tells one silence", "")
            .refuses(&[Kind::UnknownSilence]),
        delete("/api/v1/silences/{id}", "end_silence", silences::end)
            .says("Ends a silence", "Now. It stays in the list, with who has ended it; one that is over stays as it is.")
            .refuses(&[Kind::UnknownSilence, Kind::InvalidField]),
    ];
    operations.into_iter().map(|operation| operation.tagged(SILENCES)).collect()
}

fn violations() -> Vec<Operation> {
    let operations = [
        get("/api/v1/violations", "list_violations", violations::list)
            .says("Lists violations", "Newest first.")
            .refuses(&[Kind::UnknownCharacteristic]),
        get("/api/v1/violations/stats", "get_violation_stats", violations::stats)
            .says("Counts violations", "In all, unacknowledged, by rule and by severity.")
            .refuses(&[Kind::UnknownCharacteristic]),
        get("/api/v1/violations/reason-codes", "get_reason_codes", violations::reason_codes)
            .says("Tells the reason codes", "What people choose from when they acknowledge; free text is taken, too."),
        put("/api/v1/violations/reason-codes", "set_reason_codes", violations::replace_reason_codes)
            .says("Replaces the reason codes", ""),
        get("/api/v1/violations/unreceived", "list_unreceived_violations", unreceived::list).says(
            "Lists violations that no connected client has confirmed",
            "Oldest first; of those that have happened since this server started. Clients confirm with `received`; \
             what somebody acknowledges leaves the list, too.",
        ),
        post("/api/v1/violations/batch-acknowledge", "acknowledge_violations", violations::acknowledge_many).says(
            "Acknowledges many violations",
            "Named ones, or the oldest open ones of a characteristic up to a position in the event log. One that \
             cannot be acknowledged is told in its result, and stops no other.",
        )
            .refuses(&[Kind::UnknownCharacteristic]),
        get("/api/v1/violations/{id}", "get_violation", violations::one)
            .says("Tells one violation", "")
            .refuses(&[Kind::UnknownViolation]),
        post("/api/v1/violations/{id}/acknowledge", "acknowledge_violation", violations::acknowledge)
            .says("Acknowledges a violation", "Every connected client hears of it. 409 says who was first.")
            .refuses(&[Kind::UnknownViolation, Kind::AlreadyAcknowledged]),
    ];
    operations.into_iter().map(|operation| operation.tagged(VIOLATIONS)).collect()
}

fn happenings() -> Vec<Operation> {
    let missed = get("/api/v1/events", "list_events", events::list)
        .says(
            "Tells the events after a position",
            "For those who were away: the same messages as over the WebSocket, oldest first. One call looks at no more \
             than 10,000 events: `next` is how far it got, whether it found something or not.",
        )
        .refuses(&[Kind::LogPassed, Kind::UnknownCharacteristic])
        .leads_to("list_events", "after", "$response.body#/next");
    let sockets = [("/api/v1/ws", "listen"), ("/ws", "listen_at_root"), ("/ws/samples", "listen_to_samples")];
    let upgrade = |(path, id)| {
        get(path, id, ws::upgrade).says(
            "Begins a WebSocket",
            "A handshake of RFC 6455, with its headers. What is said then stands in `docs/PROTOCOL.md`. A browser, \
             which cannot send the token's header, says who it is in its first message.",
        )
    };
    let stream = get("/api/v1/events/stream", "stream_events", event_stream::begin)
        .says(
            "Tells events as server-sent events",
            "What a `subscribe` over the WebSocket would say stands in the query. Never ends by itself: a client that \
             comes back says with `Last-Event-ID` how far it was, and misses nothing.",
        )
        .refuses(&[Kind::UnknownCharacteristic]);
    [missed, stream]
        .into_iter()
        .chain(sockets.map(upgrade))
        .map(|operation| operation.tagged(EVENTS))
        .collect()
}

fn connections() -> Vec<Operation> {
    const PATH: &str = "/api/v1/connections/{id}";
    let (subscribe, unsubscribe) = (format!("{PATH}/subscribe"), format!("{PATH}/unsubscribe"));
    let operations = [
        get("/api/v1/connections", "list_connections", connections::list)
            .says("Lists connections to this server", "By number, or those first that are worst off.")
            .refuses(&[Kind::UnknownCharacteristic]),
        get(PATH, "get_connection", connections::one)
            .says("Tells one connection", "What it listens to, what waits for it, and how good it is.")
            .refuses(&[Kind::UnknownConnection]),
        delete(PATH, "disconnect", connections::disconnect)
            .says("Ends a connection", "With close code 1000; most clients connect again.")
            .refuses(&[Kind::UnknownConnection]),
        post(&subscribe, "subscribe_connection", connections::subscribe)
            .says(
                "Subscribes in a client's place",
                "The client gets the answer, as if it had asked. A client that is still told what it missed is \
                 waited for, a while.",
            )
            .refuses(&[Kind::UnknownConnection, Kind::UnknownCharacteristic, Kind::Busy]),
        post(&unsubscribe, "unsubscribe_connection", connections::unsubscribe)
            .says("Unsubscribes in a client's place", "The client gets the answer, as if it had asked.")
            .refuses(&[Kind::UnknownConnection, Kind::UnknownCharacteristic]),
        post("/api/v1/broadcast/test", "test_broadcast", connections::test)
            .says(
                "Sends a test message to connected clients",
                "To those that listen to a characteristic, or to all. It is never logged or counted.",
            )
            .refuses(&[Kind::UnknownCharacteristic]),
    ];
    operations.into_iter().map(|operation| operation.tagged(CONNECTIONS)).collect()
}

/// A path with its operations and the methods that they take.
struct Path {
    template: &'static str,
    allowed: String,
    operations: Vec<&'static Operation>,
}

static PATHS: LazyLock<Vec<Path>> = LazyLock::new(|| {
    let mut paths: Vec<Path> = Vec::new();
    for operation in OPERATIONS.iter() {
        match paths.iter_mut().find(|path| path.template == operation.path()) {
            Some(path) => {
                path.allowed += &format!(", {}", operation.method);
                path.operations.push(operation);
            }
            None => paths.push(Path {
                template: operation.path(),
                allowed: operation.method.to_string(),
                operations: vec![operation],
            }),
        }
    }
    paths
});

/// Tells the server all routes.
pub fn routes(config: &mut web::ServiceConfig) {
    for path in PATHS.iter() {
        config.service(resource(path));
    }
    config
        .app_data(web::PathConfig::default().error_handler(|_, _| {
            let detail = "the path names nothing: an id is an integer from 1 to 9007199254740991";
            ApiError::new(Kind::NotFound, detail).into()
        }))
        .default_service(web::to(nothing_here));
}

/// A path with the methods that it takes, as the others are told.
fn resource(path: &'static Path) -> Resource {
    let resource = web::resource(path.template).default_service(web::to(|| wrong_method(&path.allowed)));
    path.operations.iter().fold(resource, |resource, operation| resource.route(operation.route()))
}

async fn nothing_here() -> Result<String, ApiError> {
    Err(ApiError::new(Kind::NotFound, "no such path; the API is under /api/v1"))
}

async fn wrong_method(methods: &'static str) -> Result<String, ApiError> {
    Err(ApiError::new(Kind::MethodNotAllowed(methods), format!("this path takes {methods}")))
}
