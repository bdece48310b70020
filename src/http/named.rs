//! Characteristics by the integrator's own keys, wherever an id is taken.

use actix_web::web::{Data, Path};

use crate::domain::ids::CharacteristicId;
use crate::http::answer::{Done, PngPicture, SvgPicture};
use crate::http::auth::{Authorized, Read};
use crate::http::error::{ApiError, Kind};
use crate::http::input::{self, NoQuery, Query};
use crate::http::{characteristics, chart_data, chart_pictures};
use crate::protocol::rest::{CharacteristicView, ChartDataView, ChartQuery, PictureQuery};
use crate::services::{CharacteristicRef, Painter};
use crate::store::Store;

/// The characteristic that a request names by its id or its key, if it names one.
///
/// # Errors
/// `both`, if it names it by both; 404, if no characteristic has the key.
pub async fn chosen(
    store: &Store,
    (id, key): (Option<CharacteristicId>, Option<String>),
    both: Kind,
) -> Result<Option<CharacteristicId>, ApiError> {
    match (id, key) {
        (Some(_), Some(_)) => {
            Err(ApiError::new(both, "give characteristic_id or characteristic_key, not both"))
        }
        (id, None) => Ok(id),
        (None, Some(key)) => with_key(store, key).await.map(Some),
    }
}

/// The characteristic with a key.
///
/// # Errors
/// 404, if there is none.
pub async fn with_key(store: &Store, key: String) -> Result<CharacteristicId, ApiError> {
    let found = store.characteristic_ids_by_key(std::slice::from_ref(&key)).await?;
    found.get(&key).copied().ok_or_else(|| unknown_key(key))
}

/// The characteristics with these keys.
///
/// # Errors
/// 404 with one of them, if there is none that has it.
pub async fn with_keys(store: &Store, keys: Vec<String>) -> Result<Vec<CharacteristicId>, ApiError> {
    if keys.is_empty() {
        return Ok(Vec::new());
    }
    let found = store.characteristic_ids_by_key(&keys).await?;
    let one = |key: String| found.get(&key).copied().ok_or_else(|| unknown_key(key));
    keys.into_iter().map(one).collect()
}

/// 404, for a key that no characteristic has.
pub fn unknown_key(key: String) -> ApiError {
    ApiError::new(Kind::UnknownCharacteristic, CharacteristicRef::Key(key).to_string())
}

/// `GET /characteristics/by-key/{key}`.
pub async fn one(
    caller: Authorized<Read>,
    store: Data<Store>,
    key: Path<String>,
    no_query: NoQuery,
) -> Result<Done<CharacteristicView>, ApiError> {
    let id = with_key(&store, key.into_inner()).await?;
    characteristics::one(caller, store, id.into(), no_query).await
}

/// `GET /characteristics/by-key/{key}/chart-data`.
pub async fn chart_data(
    caller: Authorized<Read>,
    store: Data<Store>,
    times: Data<input::Settings>,
    key: Path<String>,
    query: Query<ChartQuery>,
) -> Result<Done<ChartDataView>, ApiError> {
    let id = with_key(&store, key.into_inner()).await?;
    chart_data::get(caller, store, times, id.into(), query).await
}

/// `GET /characteristics/by-key/{key}/chart.svg`.
pub async fn chart_svg(
    caller: Authorized<Read>,
    store: Data<Store>,
    times: Data<input::Settings>,
    painter: Data<Painter>,
    key: Path<String>,
    query: Query<PictureQuery>,
) -> Result<SvgPicture, ApiError> {
    let id = with_key(&store, key.into_inner()).await?;
    chart_pictures::svg(caller, store, times, painter, id.into(), query).await
}

/// `GET /characteristics/by-key/{key}/chart.png`.
pub async fn chart_png(
    caller: Authorized<Read>,
    store: Data<Store>,
    times: Data<input::Settings>,
    painter: Data<Painter>,
    key: Path<String>,
    query: Query<PictureQuery>,
) -> Result<PngPicture, ApiError> {
    let id = with_key(&store, key.into_inner()).await?;
    chart_pictures::png(caller, store, times, painter, id.into(), query).await
}
