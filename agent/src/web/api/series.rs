//! Readings of one quantity of one meter, in columns.

use axum::{
    Json,
    extract::{Query, State, rejection::QueryRejection},
};
use energy::Quantity;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::{meter, stretch};
use crate::web::{
    data::Web,
    downsample::{Columns, Stretch, columns, gaps, trusted},
    error::ApiError,
};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SeriesQuery {
    meter: String,
    quantity: Quantity,
    from: Option<Timestamp>,
    until: Option<Timestamp>,
    points: Option<usize>,
}

#[derive(Serialize)]
pub(crate) struct SeriesView {
    meter: String,
    quantity: Quantity,
    unit: &'static str,
    from: Timestamp,
    until: Timestamp,
    /// Trusted readings behind the columns.
    n_readings: usize,
    gaps: Vec<Stretch>,
    #[serde(flatten)]
    columns: Columns,
}

/// Columns when nothing is said: one a pixel of a usual chart.
const POINTS: usize = 1200;
/// Columns at most: a day of seconds, raw.
const MAX_POINTS: usize = 90_000;
/// Longest stretch: a month of seconds is 2.7 million readings; longer ones are asked as intervals.
const LONGEST: SignedDuration = SignedDuration::from_hours(31 * 24);

/// How far apart trusted readings may be, in multiples of `every`.
const GAP_FACTOR: f64 = 3.0;

/// `GET /api/v1/series`.
pub(crate) async fn series(
    State(web): State<Web>,
    query: Result<Query<SeriesQuery>, QueryRejection>,
) -> Result<Json<SeriesView>, ApiError> {
    let Query(query) = query?;
    let allowed_ms = allowed_gap_ms(meter(&web.site(), &query.meter)?.every);
    let (from, until) = stretch(&web, query.from, query.until, LONGEST)?;
    let points = query.points.unwrap_or(POINTS).clamp(2, MAX_POINTS);
    let answer = web.read(move |_, reader| {
        let rows = trusted(reader.series(&query.meter, query.quantity, from, until)?);
        let within = Stretch {
            since_ms: from.as_millisecond(),
            until_ms: until.as_millisecond(),
        };
        Ok(SeriesView {
            meter: query.meter,
            quantity: query.quantity,
            unit: query.quantity.row().unit,
            from,
            until,
            n_readings: rows.len(),
            gaps: gaps(&rows, within, allowed_ms),
            columns: columns(&rows, points),
        })
    });
    answer.await.map(Json)
}

/// Readings further apart than this leave a gap.
pub(crate) fn allowed_gap_ms(every: SignedDuration) -> i64 {
    (every.as_secs_f64() * 1000.0 * GAP_FACTOR) as i64
}
