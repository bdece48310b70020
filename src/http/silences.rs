//! `/silences`: for a while nobody is told of some processes.

use actix_web::web::{Data, Path};
use chrono::TimeDelta;
use tracing::info;

use crate::clock::Clock;
use crate::domain::characteristic::{is_group_path, is_line};
use crate::domain::ids::SilenceId;
use crate::domain::silence::Silenced;
use crate::http::answer::{Created, Done};
use crate::http::auth::{Authorized, Operate, Read};
use crate::http::body::Json;
use crate::http::error::{ApiError, Kind};
use crate::http::input::{self, NoQuery, Query, acting_user, page, page_of};
use crate::notify::{PlanInForce, SilenceError};
use crate::protocol::rest::{EndSilenceQuery, PageView, SilenceQuery, SilenceRequest, SilenceView};
use crate::store::{NewSilence, Store};

/// Characters of a reason, of a tag and of a receiver's name, at most.
const MAX_CHARS: usize = 200;
/// Characteristics that a silence names, at most.
const MAX_CHARACTERISTICS: usize = 1_000;
/// Entries of its other lists, at most.
const MAX_NAMES: usize = 100;

/// `POST /silences`.
pub async fn begin(
    caller: Authorized<Operate>,
    store: Data<Store>,
    plan: Data<PlanInForce>,
    clock: Data<Clock>,
    times: Data<input::Settings>,
    body: Json<SilenceRequest>,
    _: NoQuery,
) -> Result<Created<SilenceView>, ApiError> {
    let SilenceRequest { reason, ends_at, minutes, user, .. } = body.0.clone();
    let silenced = silenced(body.0)?;
    if !is_line(&reason, MAX_CHARS) {
        return Err(refused("reason", "must be 1 to 200 characters on one line"));
    }
    let now = clock.now();
    let ends_at = match (times.field("ends_at", ends_at.as_deref())?, minutes) {
        (Some(at), None) => at,
        (None, Some(minutes)) => now + TimeDelta::minutes(minutes.into()),
        _ => return Err(refused("ends_at", "or minutes must be given, and not both")),
    };
    let of = silenced.characteristic_ids.iter().copied();
    let known = store.characteristics_by_id(of).await?;
    if let Some(unknown) = silenced.characteristic_ids.iter().find(|id| !known.contains_key(*id)) {
        let text = format!("characteristic {unknown} does not exist");
        return Err(ApiError::new(Kind::UnknownCharacteristic, text));
    }
    let author = acting_user(&caller.0, user)?;
    let silence = plan.get().silence(&store, NewSilence { silenced, reason, author, ends_at }, now).await?;
    info!(silence.id = %silence.id, author = silence.author, "silence {} begins, until {}", silence.id, silence.ends_at);
    let location = format!("/api/v1/silences/{}", silence.id);
    Ok(Created { location, view: SilenceView::new(silence, now) })
}

/// What a request is about, if that can be.
fn silenced(request: SilenceRequest) -> Result<Silenced, ApiError> {
    let SilenceRequest { characteristic_ids, groups, tags, receivers, max_severity, .. } = request;
    let silenced = Silenced { characteristic_ids, groups, tags, receivers, max_severity };
    if silenced.characteristic_ids.len() > MAX_CHARACTERISTICS {
        return Err(refused("characteristic_ids", "must name at most 1000 characteristics"));
    }
    let is_fine = |list: &[String], is_usable: fn(&str) -> bool| {
        list.len() <= MAX_NAMES && list.iter().all(|name| is_usable(name))
    };
    let lists = [
        ("groups", is_fine(&silenced.groups, is_group_path)),
        ("tags", is_fine(&silenced.tags, is_name)),
        ("receivers", is_fine(&silenced.receivers, is_name)),
    ];
    if let Some((field, _)) = lists.into_iter().find(|(_, is_fine)| !is_fine) {
        return Err(refused(field, "must be at most 100 names"));
    }
    let names_something = !Silenced { max_severity: None, ..silenced.clone() }.is_everything();
    names_something.then_some(silenced).ok_or_else(|| {
        let text = "name at least one of characteristic_ids, groups, tags and receivers";
        ApiError::field(Kind::InvalidField, "", text)
    })
}

fn is_name(text: &str) -> bool {
    is_line(text, MAX_CHARS)
}

fn refused(field: &str, rule: &str) -> ApiError {
    ApiError::field(Kind::InvalidField, format!("/{field}"), format!("{field} {rule}"))
}

/// `GET /silences`, newest first.
pub async fn list(
    _: Authorized<Read>,
    store: Data<Store>,
    clock: Data<Clock>,
    query: Query<SilenceQuery>,
) -> Result<Done<PageView<SilenceView>>, ApiError> {
    let page = page(query.0.offset, query.0.limit)?;
    let found = store.silences(query.0.in_force, page).await?;
    let now = clock.now();
    let items = found.items.into_iter().map(|silence| SilenceView::new(silence, now)).collect();
    Ok(Done(page_of(items, found.total, page)))
}

/// `GET /silences/{id}`.
pub async fn one(
    _: Authorized<Read>,
    store: Data<Store>,
    clock: Data<Clock>,
    id: Path<SilenceId>,
    _: NoQuery,
) -> Result<Done<SilenceView>, ApiError> {
    let silence = store.one_silence(*id).await?.ok_or_else(|| unknown(*id))?;
    Ok(Done(SilenceView::new(silence, clock.now())))
}

/// `DELETE /silences/{id}`: it ends now, and stays in the list.
pub async fn end(
    caller: Authorized<Operate>,
    store: Data<Store>,
    clock: Data<Clock>,
    id: Path<SilenceId>,
    query: Query<EndSilenceQuery>,
) -> Result<Done<SilenceView>, ApiError> {
    let user = acting_user(&caller.0, query.0.user)?;
    let silence = store.end_silence(*id, user.clone()).await?.ok_or_else(|| unknown(*id))?;
    info!(silence.id = %id, user, "silence {id} was ended");
    Ok(Done(SilenceView::new(silence, clock.now())))
}

fn unknown(id: SilenceId) -> ApiError {
    ApiError::new(Kind::UnknownSilence, format!("silence {id} does not exist"))
}

impl From<SilenceError> for ApiError {
    fn from(error: SilenceError) -> Self {
        let text = error.to_string();
        match error {
            SilenceError::Over | SilenceError::TooLong(_) => {
                Self::field(Kind::InvalidField, "/ends_at", format!("ends_at: {text}"))
            }
            SilenceError::UnknownReceiver { .. } => Self::new(Kind::UnknownReceiver, text),
            SilenceError::TooMany(_) => Self::new(Kind::TooManySilences, text),
            SilenceError::Store(error) => error.into(),
        }
    }
}
