//! The operators' page: its files, as they lie in `static/`, inside the program.
//!
//! Serves files and knows nothing else: what the page shows it asks for itself, over REST and the WebSocket, as any
//! client does. So whoever may call sees it, and a page without a token shows nothing of a plant. All its addresses are
//! relative: it works below the path of a proxy that Andon does not know of.
//!
//! * **Late**: a browser asks whether what it has is still true, and is told in a few bytes (304).
//! * **Full**: each file is compressed once, when it is first asked for, away from the threads that serve.
//! * A debug build reads the files from the disk, so that who changes a page need not build.

mod files;

use actix_web::body::{EitherBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::StatusCode;
use actix_web::http::header::{
    CACHE_CONTROL, CONTENT_ENCODING, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, EntityTag, Header as _,
    IF_NONE_MATCH, IfNoneMatch, LOCATION, REFERRER_POLICY, VARY, X_CONTENT_TYPE_OPTIONS,
};
use actix_web::middleware::Next;
use actix_web::web::{self, Path};
use actix_web::{FromRequest, Handler, HttpRequest, HttpResponse, Resource, Responder};

use crate::domain::ids::CharacteristicId;
use crate::http::compression::takes_gzip;
use crate::http::dashboard::files::File;
use crate::http::error::{ApiError, Kind};

/// What a page may do: run our own scripts and talk to the server that it came from, and nothing else. Browsers take
/// `'self'` for the WebSocket, too.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; font-src 'self'; \
     connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'self'";

/// Each page and its file.
const PAGES: [(&str, &str); 4] =
    [("/", "wall.html"), ("/alarms", "alarms.html"), ("/system", "system.html"), ("/api", "api.html")];
const CHART: &str = "/characteristics/{id}";

/// Tells the server where the pages and their files are.
pub fn routes(config: &mut web::ServiceConfig) {
    for (path, file) in PAGES {
        config.service(read_only(
            path,
            move |request: HttpRequest| async move { answer(&request, file).await },
        ));
    }
    config.service(read_only(CHART, chart)).service(read_only("/assets/{file:.+}", asset));
}

fn read_only<F, Args>(path: &str, handler: F) -> Resource
where
    F: Handler<Args, Output: Responder + 'static>,
    Args: FromRequest + 'static,
{
    let wrong_method = || async {
        Err::<String, _>(ApiError::new(Kind::MethodNotAllowed("GET, HEAD"), "this path takes GET, HEAD"))
    };
    let resource = web::resource(path).default_service(web::to(wrong_method));
    resource.route(web::get().to(handler.clone())).route(web::head().to(handler))
}

async fn chart(request: HttpRequest, _: Path<CharacteristicId>) -> Result<HttpResponse, ApiError> {
    answer(&request, "chart.html").await
}

async fn asset(request: HttpRequest, file: Path<String>) -> Result<HttpResponse, ApiError> {
    answer(&request, &file).await
}

async fn answer(request: &HttpRequest, name: &str) -> Result<HttpResponse, ApiError> {
    let file = files::find(name).await.ok_or_else(|| ApiError::new(Kind::NotFound, "no such file"))?;
    let mut answer = HttpResponse::Ok();
    answer
        .insert_header((ETAG, EntityTag::new_strong(file.tag.clone())))
        .insert_header((CACHE_CONTROL, "no-cache")) // kept, but asked about: after an update nothing old is left
        .insert_header((VARY, "Accept-Encoding"))
        .insert_header((CONTENT_SECURITY_POLICY, POLICY))
        .insert_header((X_CONTENT_TYPE_OPTIONS, "nosniff"))
        .insert_header((REFERRER_POLICY, "same-origin"));
    if has_it_already(request, &file) {
        return Ok(answer.status(StatusCode::NOT_MODIFIED).finish());
    }
    answer.insert_header((CONTENT_TYPE, file.media_type));
    Ok(match &file.gzipped {
        Some(gzipped) if takes_gzip(request.headers()) => {
            answer.insert_header((CONTENT_ENCODING, "gzip")).body(gzipped.clone())
        }
        _ => answer.body(file.plain.clone()),
    })
}

fn has_it_already(request: &HttpRequest, file: &File) -> bool {
    let names = |tags: Vec<EntityTag>| tags.iter().any(|tag| tag.tag() == file.tag);
    request.headers().contains_key(IF_NONE_MATCH)
        && match IfNoneMatch::parse(request) {
            Ok(IfNoneMatch::Any) => true,
            Ok(IfNoneMatch::Items(tags)) => names(tags),
            Err(_) => false,
        }
}

/// Sends who asks for a page with a slash behind it to the page: from there, its relative addresses would lead nowhere.
/// Stands before the slash is taken away.
pub async fn without_slash<B: MessageBody>(
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<EitherBody<B>>, actix_web::Error> {
    match place_without_slash(request.path()) {
        Some(mut place) => {
            if !request.query_string().is_empty() {
                place = format!("{place}?{}", request.query_string());
            }
            let answer = HttpResponse::PermanentRedirect().insert_header((LOCATION, place)).finish();
            Ok(request.into_response(answer).map_into_right_body())
        }
        None => next.call(request).await.map(ServiceResponse::map_into_left_body),
    }
}

/// Seen from the path with the slash.
fn place_without_slash(path: &str) -> Option<String> {
    let page = path.strip_suffix('/').filter(|page| !page.is_empty() && !page.ends_with('/'))?;
    let is_page = PAGES.iter().any(|(path, _)| *path == page);
    let is_chart =
        page.strip_prefix("/characteristics/").is_some_and(|id| !id.is_empty() && !id.contains('/'));
    let last = page.rsplit('/').next()?;
    (is_page || is_chart).then(|| format!("../{last}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_with_a_slash_behind_it_leads_to_the_page() {
        assert_eq!(place_without_slash("/alarms/").as_deref(), Some("../alarms"));
        assert_eq!(place_without_slash("/characteristics/5/").as_deref(), Some("../5"));
        for other in [
            "/",
            "//",
            "/alarms",
            "/alarms//",
            "/characteristics/",
            "/api/v1/samples/",
            "/characteristics/5/x/",
        ] {
            assert_eq!(place_without_slash(other), None, "{other}");
        }
    }
}
