//! How the agent itself fares: its counters, and whether it is alive and ready.

use std::collections::BTreeMap;

use axum::{
    Json,
    extract::State,
    http::header,
    response::{IntoResponse, Response},
};
use serde::Serialize;

use crate::web::{data::Web, error::ApiError};

#[derive(Serialize)]
pub(crate) struct HealthView {
    /// Highest durable row of the log.
    last_seq: u64,
    series: Vec<SeriesView>,
}

#[derive(Serialize)]
struct SeriesView {
    name: &'static str,
    labels: BTreeMap<&'static str, String>,
    value: f64,
}

/// `GET /api/v1/health`.
pub(crate) async fn health(State(web): State<Web>) -> Json<HealthView> {
    let series = web.parts.health.snapshot();
    let view = |(series, value): (crate::health::Series, f64)| SeriesView {
        name: series.name,
        labels: series.labels.into_iter().collect(),
        value,
    };
    Json(HealthView {
        last_seq: *web.parts.store.committed().borrow(),
        series: series.into_iter().map(view).collect(),
    })
}

/// `GET /metrics`, the Prometheus text format.
pub(crate) async fn metrics(State(web): State<Web>) -> Response {
    let form = [(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")];
    (form, web.parts.health.exposition()).into_response()
}

/// `GET /healthz`: this thread answers.
pub(crate) async fn alive() -> &'static str {
    "ok\n"
}

/// `GET /readyz`: the store can be read, and what is taken in gets into it.
pub(crate) async fn ready(State(web): State<Web>) -> Result<&'static str, ApiError> {
    if web.parts.health.gauge("cannot_commit", &[]).get() > 0.0 {
        return Err(ApiError::unavailable(
            "what is taken in cannot be written to the store now",
        ));
    }
    web.read(|_, reader| reader.last_seq()).await?;
    Ok("ready\n")
}
