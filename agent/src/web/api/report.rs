//! The monthly report, as a page that prints or as JSON.

use axum::{
    Json,
    extract::{Query, State, rejection::QueryRejection},
    http::{HeaderValue, header},
    response::{Html, IntoResponse, Response},
};
use jiff::Timestamp;
use serde::Deserialize;

use crate::{
    report::{Language, Month, MonthError, carbon, html, json},
    store::FindingFilter,
    web::{data::Web, error::ApiError, guard::REPORT_POLICY},
};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ReportQuery {
    month: Option<String>,
    lang: Option<Language>,
    format: Option<Format>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Format {
    Html,
    Json,
}

/// `GET /api/v1/report`: the running month where none is named.
pub(crate) async fn report(
    State(web): State<Web>,
    query: Result<Query<ReportQuery>, QueryRejection>,
) -> Result<Response, ApiError> {
    let Query(query) = query?;
    let month = match query.month {
        Some(text) => text
            .parse()
            .map_err(|error: MonthError| ApiError::bad(error.to_string()))?,
        None => web.this_month(),
    };
    let report = made(&web, month).await?;
    if query.format == Some(Format::Json) {
        return Ok(Json(report).into_response());
    }
    let page = html::render(&report, query.lang.unwrap_or(web.parts.language))
        .map_err(|error| ApiError::unavailable(error.to_string()))?;
    let policy = (header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(REPORT_POLICY));
    Ok(([policy], Html(page)).into_response())
}

async fn made(web: &Web, month: Month) -> Result<json::Report, ApiError> {
    let answer = web.read(move |web, reader| {
        let site = &*web.site();
        let (from, until) = month.bounds(&site.zone);
        // Bills remember the months before.
        let all = reader.intervals(site.main_meter.as_deref(), Timestamp::UNIX_EPOCH, until)?;
        let intervals = &all[all.partition_point(|interval| interval.start < from)..];
        let filter = FindingFilter {
            from: Some(from),
            until: Some(until),
            ..FindingFilter::default()
        };
        let stored = reader.findings(&filter)?;
        // The store also hands over what began earlier and still went on: that belongs to its own month.
        let findings = stored.into_iter().map(|stored| stored.finding);
        let findings: Vec<_> = findings.filter(|finding| finding.since >= from).collect();
        let heard_until = reader.heard_until(&site.meters)?.unwrap_or(until);
        let registers = reader.registers(&site.fuel_meters, (from, until))?;
        let data = json::Data {
            intervals,
            findings: &findings,
            books: &carbon::books(site, &all, heard_until, registers),
            restatements: &reader.restatements()?,
        };
        Ok(json::Report::new(site, month, web.parts.origin, data))
    });
    answer.await
}
