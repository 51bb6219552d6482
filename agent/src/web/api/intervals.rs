//! Demand intervals of one meter or of all, in columns.

use axum::{
    Json,
    extract::{Query, State, rejection::QueryRejection},
};
use energy::{Interval, Quality};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::{meter, stretch};
use crate::web::{data::Web, error::ApiError};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct IntervalsQuery {
    meter: Option<String>,
    from: Option<Timestamp>,
    until: Option<Timestamp>,
}

#[derive(Serialize)]
pub(crate) struct IntervalsView {
    from: Timestamp,
    until: Timestamp,
    interval_s: i64,
    meters: Vec<MeterColumns>,
}

#[derive(Serialize)]
struct MeterColumns {
    meter: String,
    starts_ms: Vec<i64>,
    energy_import_kwh: Vec<Option<f64>>,
    demand_kw: Vec<Option<f64>>,
    coverage: Vec<f64>,
    quality: Vec<Quality>,
}

/// Longest stretch: a leap year of quarter hours is 35,136 rows a meter.
const LONGEST: SignedDuration = SignedDuration::from_hours(366 * 24);

/// `GET /api/v1/intervals`.
pub(crate) async fn intervals(
    State(web): State<Web>,
    query: Result<Query<IntervalsQuery>, QueryRejection>,
) -> Result<Json<IntervalsView>, ApiError> {
    let Query(query) = query?;
    if let Some(name) = &query.meter {
        meter(&web.site(), name)?;
    }
    let (from, until) = stretch(&web, query.from, query.until, LONGEST)?;
    let answer = web.read(move |web, reader| {
        let mut rows = reader.intervals(query.meter.as_deref(), from, until)?;
        rows.sort_by(|a, b| (&a.meter, a.start).cmp(&(&b.meter, b.start)));
        Ok(IntervalsView {
            from,
            until,
            interval_s: web.site().demand_interval.as_secs(),
            meters: rows.chunk_by(|a, b| a.meter == b.meter).map(one_meter).collect(),
        })
    });
    answer.await.map(Json)
}

fn one_meter(rows: &[Interval]) -> MeterColumns {
    MeterColumns {
        meter: rows[0].meter.to_string(),
        starts_ms: rows.iter().map(|row| row.start.as_millisecond()).collect(),
        energy_import_kwh: rows.iter().map(|row| row.energy_import_kwh).collect(),
        demand_kw: rows.iter().map(Interval::demand_kw).collect(),
        coverage: rows.iter().map(|row| row.coverage).collect(),
        quality: rows.iter().map(|row| row.quality).collect(),
    }
}
