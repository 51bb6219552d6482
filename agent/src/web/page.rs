//! The embedded dashboard: one page for every view, its parts under hashed names.
//!
//! It renders nothing. Invariant: a name with a hash never changes its content and may be kept for ever; the page
//! itself is asked for each time.

use axum::{
    extract::Path,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use rust_embed::RustEmbed;

use super::error::ApiError;

#[derive(RustEmbed)]
#[folder = "../dashboard/web/dist"]
struct Dist;

/// The page, for every view it knows.
pub(crate) async fn index() -> Response {
    file("index.html", "no-cache", StatusCode::OK)
}

/// The page for an address it does not know: it says so in the reader's language.
pub(crate) async fn unknown() -> Response {
    file("index.html", "no-cache", StatusCode::NOT_FOUND)
}

/// A script or style with a hash in its name.
pub(crate) async fn asset(Path(name): Path<String>) -> Response {
    file(
        &format!("assets/{name}"),
        "public, max-age=31536000, immutable",
        StatusCode::OK,
    )
}

fn file(name: &str, cache: &'static str, status: StatusCode) -> Response {
    let Some(file) = Dist::get(name) else {
        return ApiError::missing(format!("the dashboard has no file {name}")).into_response();
    };
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static(content_type(name))),
        (header::CACHE_CONTROL, HeaderValue::from_static(cache)),
    ];
    (status, headers, file.data.into_owned()).into_response()
}

fn content_type(name: &str) -> &'static str {
    match name.rsplit_once('.').map(|(_, ending)| ending) {
        Some("html") => "text/html; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("svg") => "image/svg+xml",
        Some("woff2") => "font/woff2",
        _ => "application/octet-stream",
    }
}
