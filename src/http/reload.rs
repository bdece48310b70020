//! `/reload`: receivers and routes as the settings are by now.

use actix_web::web::Data;

use crate::http::answer::Done;
use crate::http::auth::{Admin, Authorized};
use crate::http::error::ApiError;
use crate::http::input::NoQuery;
use crate::notify::{Reloaded, Reloader};
use crate::protocol::rest::ReloadedView;

/// `POST /reload`.
pub async fn reload(
    _: Authorized<Admin>,
    reloader: Data<Reloader>,
    _: NoQuery,
) -> Result<Done<ReloadedView>, ApiError> {
    let Reloaded { receivers, needs_restart } = reloader.reload().await?;
    let needs_restart = needs_restart.into_iter().map(str::to_owned).collect();
    Ok(Done(ReloadedView { receivers, needs_restart }))
}
