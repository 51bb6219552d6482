//! The table of routes and the layers around them.
//!
//! Invariant: what stands here stands in `openapi.json`, and the other way round; a test compares them.

use std::time::Duration;

use axum::{
    Router,
    extract::DefaultBodyLimit,
    http::StatusCode,
    middleware,
    routing::{MethodRouter, get, post},
};
use tower_http::{compression::CompressionLayer, timeout::TimeoutLayer};

use super::{api, data::Web, guard, page, stream};

/// Longest body: an acknowledgement with a long comment in Korean takes 2 kB.
const MAX_BODY: usize = 16 * 1024;

/// Longest wait for an answer: a month's report on a gateway's card takes a few seconds. The stream's own head comes
/// at once and is not cut.
const ANSWER_WITHIN: Duration = Duration::from_secs(30);

type Route = (&'static str, &'static str, MethodRouter<Web>);

/// Every route of the contract: method, path, handler.
fn contract() -> [Route; 14] {
    [
        ("get", "/api/v1/site", get(api::site::site)),
        ("get", "/api/v1/now", get(api::now::now)),
        ("get", "/api/v1/findings", get(api::findings::list)),
        ("get", "/api/v1/findings/{id}", get(api::findings::one)),
        ("get", "/api/v1/findings/{id}/evidence", get(api::evidence::evidence)),
        (
            "post",
            "/api/v1/findings/{id}/acknowledge",
            post(api::findings::acknowledge),
        ),
        ("get", "/api/v1/series", get(api::series::series)),
        ("get", "/api/v1/intervals", get(api::intervals::intervals)),
        ("get", "/api/v1/report", get(api::report::report)),
        ("get", "/api/v1/health", get(api::health::health)),
        ("get", "/api/v1/stream", get(stream::stream)),
        ("get", "/metrics", get(api::health::metrics)),
        ("get", "/healthz", get(api::health::alive)),
        ("get", "/readyz", get(api::health::ready)),
    ]
}

/// Method and path of every route of the contract.
pub fn paths() -> Vec<(&'static str, &'static str)> {
    contract().into_iter().map(|(method, path, _)| (method, path)).collect()
}

pub(crate) fn router(web: Web) -> Router {
    let contract = contract()
        .into_iter()
        .fold(Router::new(), |router, (_, path, handler)| router.route(path, handler));
    contract
        .route("/", get(page::index))
        .route("/waste/{id}", get(page::index))
        .route("/assets/{name}", get(page::asset))
        .route("/api/{*rest}", get(api::unknown))
        .fallback(page::unknown)
        .layer(DefaultBodyLimit::max(MAX_BODY))
        .layer(TimeoutLayer::with_status_code(
            StatusCode::GATEWAY_TIMEOUT,
            ANSWER_WITHIN,
        ))
        .layer(CompressionLayer::new().gzip(true))
        .layer(middleware::from_fn(guard::guard))
        .with_state(web)
}
