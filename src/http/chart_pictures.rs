//! `/characteristics/{id}/chart.svg` and `.png`: the control chart as a picture.

use actix_web::web::{Data, Path};

use crate::domain::ids::CharacteristicId;
use crate::http::answer::{PngPicture, SvgPicture};
use crate::http::auth::{Authorized, Read};
use crate::http::chart_data::charted;
use crate::http::error::{ApiError, Kind, internal};
use crate::http::input::{self, Query};
use crate::protocol::rest::{MAX_PICTURED, PictureQuery};
use crate::services::{Charted, PICTURED, Painter};
use crate::store::{Page, Store};

/// As SVG.
pub async fn svg(
    _: Authorized<Read>,
    store: Data<Store>,
    times: Data<input::Settings>,
    painter: Data<Painter>,
    id: Path<CharacteristicId>,
    query: Query<PictureQuery>,
) -> Result<SvgPicture, ApiError> {
    let charted = pictured(&store, &times, *id, query.0).await?;
    painter.svg(&charted).await.map(SvgPicture).map_err(|error| internal(&error))
}

/// As PNG.
pub async fn png(
    _: Authorized<Read>,
    store: Data<Store>,
    times: Data<input::Settings>,
    painter: Data<Painter>,
    id: Path<CharacteristicId>,
    query: Query<PictureQuery>,
) -> Result<PngPicture, ApiError> {
    let charted = pictured(&store, &times, *id, query.0).await?;
    painter.png(&charted).await.map(PngPicture).map_err(|error| internal(&error))
}

async fn pictured(
    store: &Store,
    times: &input::Settings,
    id: CharacteristicId,
    query: PictureQuery,
) -> Result<Charted, ApiError> {
    let PictureQuery { from, to, limit } = query;
    let limit = limit.unwrap_or(PICTURED.into());
    if !(1..=MAX_PICTURED).contains(&limit) {
        return Err(ApiError::new(Kind::InvalidQuery, format!("limit must be from 1 to {MAX_PICTURED}")));
    }
    let page = Page { offset: 0, limit: limit as u32 };
    charted(store, id, (times.bound("from", from.as_deref())?, times.bound("to", to.as_deref())?), page).await
}
