//! `/groups`: the tree that the characteristics' paths make, with how they stand.

use actix_web::web::Data;

use crate::http::answer::Done;
use crate::http::auth::{Authorized, Read};
use crate::http::error::ApiError;
use crate::http::input::NoQuery;
use crate::protocol::rest::GroupsView;
use crate::store::Store;

/// `GET /groups`.
pub async fn tree(_: Authorized<Read>, store: Data<Store>, _: NoQuery) -> Result<Done<GroupsView>, ApiError> {
    let mut tree = GroupsView::default();
    for count in store.group_counts().await? {
        tree.add(count.group.as_deref(), count.alarm_state, count.characteristics);
    }
    Ok(Done(tree))
}
