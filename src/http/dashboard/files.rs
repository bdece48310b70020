//! The files of the page: each with its name by content, and compressed once.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock};

use actix_web::web;
use bytes::Bytes;
use flate2::Compression;
use rust_embed::RustEmbed;
use tokio::sync::OnceCell;

use crate::http::compression::gzip;

#[derive(RustEmbed)]
#[folder = "src/http/dashboard/static"]
struct Static;

/// A file as it is sent.
pub struct File {
    /// Of its content.
    pub tag: String,
    pub media_type: &'static str,
    pub plain: Bytes,
    /// `None`, where that would make it no smaller.
    pub gzipped: Option<Bytes>,
}

/// What has been asked for: as many as there are files.
static FILES: LazyLock<HashMap<String, OnceCell<Arc<File>>>> =
    LazyLock::new(|| Static::iter().map(|name| (name.into_owned(), OnceCell::new())).collect());

/// The file with this name; its folders are part of it.
pub async fn find(name: &str) -> Option<Arc<File>> {
    if cfg!(debug_assertions) {
        return prepare(name.to_owned()).await; // it may have changed
    }
    let cell = FILES.get(name)?;
    cell.get_or_try_init(|| async { prepare(name.to_owned()).await.ok_or(()) }).await.ok().cloned()
}

async fn prepare(name: String) -> Option<Arc<File>> {
    let read = move || {
        let found = Static::get(&name)?;
        let plain = match found.data {
            std::borrow::Cow::Borrowed(bytes) => Bytes::from_static(bytes),
            std::borrow::Cow::Owned(bytes) => Bytes::from(bytes),
        };
        let tag = found.metadata.sha256_hash()[..16].iter().map(|byte| format!("{byte:02x}")).collect();
        let gzipped = Some(gzip(&plain, Compression::best())).filter(|gzipped| gzipped.len() < plain.len());
        Some(Arc::new(File { tag, media_type: media_type(&name), plain, gzipped }))
    };
    web::block(read).await.ok().flatten()
}

fn media_type(name: &str) -> &'static str {
    match name.rsplit('.').next() {
        Some("html") => "text/html; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("svg") => "image/svg+xml",
        Some("json") => "application/json",
        _ => "text/plain; charset=utf-8",
    }
}
