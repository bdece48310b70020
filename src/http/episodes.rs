//! `/episodes`: violations that belong together, and what people answer to all of them.

use actix_web::http::StatusCode;
use actix_web::web::{Data, Path};

use crate::domain::ids::EpisodeId;
use crate::http::answer::{Done, Kept};
use crate::http::auth::{Authorized, Operate, Read};
use crate::http::deliveries::notice;
use crate::http::error::{ApiError, Kind};
use crate::http::idempotency::{Repeatable, again, keep, other_body, refusal, success};
use crate::http::input::{self, NoQuery, Query, page, page_of};
use crate::http::named::chosen;
use crate::http::violations::{answer, views};
use crate::protocol::episode::{EpisodeDetailView, EpisodeView};
use crate::protocol::rest::{AcknowledgeEpisode, EpisodeQuery, PageView};
use crate::services::{AcknowledgedEpisode, AlertManager, EpisodeAnswered, Once};
use crate::store::{EpisodeFilter, Page, Store, ViolationFilter};

/// The violations, and as many notices, that are told with an episode.
const NEWEST: Page = Page { offset: 0, limit: 100 };

/// `GET /episodes`, newest first.
pub async fn list(
    _: Authorized<Read>,
    store: Data<Store>,
    times: Data<input::Settings>,
    query: Query<EpisodeQuery>,
) -> Result<Done<PageView<EpisodeView>>, ApiError> {
    let query = query.0;
    let page = page(query.offset, query.limit)?;
    let named = (query.characteristic_id, query.characteristic_key);
    let filter = EpisodeFilter {
        characteristic_id: chosen(&store, named, Kind::InvalidQuery).await?,
        status: query.status,
        acknowledged: query.acknowledged,
        severity: query.severity,
        group: query.group,
        from: times.bound("from", query.from.as_deref())?,
        to: times.bound("to", query.to.as_deref())?,
    };
    let found = store.episodes(&filter, page).await?;
    let ids = found.items.iter().map(|episode| episode.characteristic_id);
    let known = store.characteristics_by_id(ids).await?;
    let view = |episode| Some(EpisodeView::new(episode, known.get(&episode.characteristic_id)?));
    let items = found.items.iter().filter_map(view).collect();
    Ok(Done(page_of(items, found.total, page)))
}

/// `GET /episodes/{id}`.
pub async fn one(
    _: Authorized<Read>,
    store: Data<Store>,
    id: Path<EpisodeId>,
    _: NoQuery,
) -> Result<Done<EpisodeDetailView>, ApiError> {
    let unknown = || ApiError::new(Kind::UnknownEpisode, format!("episode {id} does not exist"));
    let episode = store.episode(*id).await?.ok_or_else(unknown)?;
    let known = store.characteristics_by_id([episode.characteristic_id]).await?;
    let whose = known.get(&episode.characteristic_id).ok_or_else(unknown)?;
    let filter = ViolationFilter { episode_id: Some(*id), ..ViolationFilter::default() };
    let violations = views(&store, &store.violations(&filter, NEWEST).await?.items).await?;
    let notices = store.notices_of_episode(*id, NEWEST.limit).await?.into_iter().map(notice).collect();
    Ok(Done(EpisodeDetailView { episode: EpisodeView::new(&episode, whose), violations, notices }))
}

/// `POST /episodes/{id}/acknowledge`.
pub async fn acknowledge(
    caller: Authorized<Operate>,
    alerts: Data<AlertManager>,
    id: Path<EpisodeId>,
    sent: Repeatable<AcknowledgeEpisode>,
    _: NoQuery,
) -> Result<Kept<Done<EpisodeView>>, ApiError> {
    let AcknowledgeEpisode { reason, comment, user } = sent.body;
    let answer = answer(&caller.0, user, reason, comment)?;
    let Some(key) = sent.key else {
        return Ok(Kept::First(Done(view(&alerts.acknowledge_episode(*id, answer).await??))));
    };
    let request = key.request(&format!("POST /episodes/{id}/acknowledge"), &caller.0);
    let keep = keep(request, 0, |answered: &EpisodeAnswered| match answered {
        Ok(acknowledged) => Some(success(StatusCode::OK, &view(acknowledged))),
        Err(error) => refusal(&error.clone().into()),
    });
    match alerts.acknowledge_episode_once(*id, answer, keep).await? {
        Once::First(answered) => Ok(Kept::First(Done(view(&answered?)))),
        Once::Again(answered) => Ok(Kept::Again(again(answered))),
        Once::OtherBody => Err(other_body()),
    }
}

fn view(acknowledged: &AcknowledgedEpisode) -> EpisodeView {
    EpisodeView::new(&acknowledged.episode, &acknowledged.characteristic)
}
