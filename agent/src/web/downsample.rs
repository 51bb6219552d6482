//! Readings → as many columns as a chart has pixels: mean, lowest and highest of each bucket, and the gaps.
//!
//! Pure. Invariants: no value is made up between readings; the lowest and highest reading of the whole stretch stay
//! in sight; a gap is where readings are further apart than they may be.

use crate::store::Series;
use serde::Serialize;

/// A stretch of time, Unix milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(crate) struct Stretch {
    pub(crate) since_ms: i64,
    pub(crate) until_ms: i64,
}

/// Readings in columns of equal length.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub(crate) struct Columns {
    /// Width of a bucket; `None` = each reading stands for itself.
    pub(crate) bucket_ms: Option<i64>,
    /// Instant of each reading, or start of each bucket; a bucket without readings is absent.
    pub(crate) times_ms: Vec<i64>,
    pub(crate) mean: Vec<f64>,
    pub(crate) min: Vec<f64>,
    pub(crate) max: Vec<f64>,
}

/// The trusted readings of a series.
pub(crate) fn trusted(series: Series) -> Vec<(i64, f64)> {
    let rows = series.times.into_iter().zip(series.values).zip(series.qualities);
    rows.filter(|(_, quality)| quality.is_trusted())
        .map(|((at, value), _)| (at.as_millisecond(), value))
        .collect()
}

/// At most `points` columns of `rows`, which are ascending in time.
pub(crate) fn columns(rows: &[(i64, f64)], points: usize) -> Columns {
    let (Some(&(first, _)), Some(&(last, _))) = (rows.first(), rows.last()) else {
        return Columns::default();
    };
    if rows.len() <= points {
        let values: Vec<f64> = rows.iter().map(|row| row.1).collect();
        return Columns {
            bucket_ms: None,
            times_ms: rows.iter().map(|row| row.0).collect(),
            min: values.clone(),
            max: values.clone(),
            mean: values,
        };
    }
    let bucket_ms = ((last - first) / points as i64 + 1).max(1);
    let bucket = |at: i64| (at - first) / bucket_ms;
    let mut columns = Columns {
        bucket_ms: Some(bucket_ms),
        ..Columns::default()
    };
    for rows in rows.chunk_by(|a, b| bucket(a.0) == bucket(b.0)) {
        let values = rows.iter().map(|row| row.1);
        columns.times_ms.push(first + bucket(rows[0].0) * bucket_ms);
        columns.mean.push(values.clone().sum::<f64>() / rows.len() as f64);
        columns.min.push(values.clone().fold(f64::INFINITY, f64::min));
        columns.max.push(values.fold(f64::NEG_INFINITY, f64::max));
    }
    columns
}

/// Where nothing trusted is known: between readings more than `allowed_ms` apart, and at both ends of `within`.
pub(crate) fn gaps(rows: &[(i64, f64)], within: Stretch, allowed_ms: i64) -> Vec<Stretch> {
    let edges = std::iter::once(within.since_ms)
        .chain(rows.iter().map(|row| row.0))
        .chain([within.until_ms]);
    let mut gaps = Vec::new();
    let mut before: Option<i64> = None;
    for edge in edges {
        if let Some(since_ms) = before.filter(|before| edge - before > allowed_ms) {
            gaps.push(Stretch {
                since_ms,
                until_ms: edge,
            });
        }
        before = Some(edge);
    }
    gaps
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use energy::Quality;
    use jiff::Timestamp;

    use super::*;

    fn check_gaps(times: &[i64], expected: &[(i64, i64)]) {
        let rows: Vec<(i64, f64)> = times.iter().map(|&at| (at, 1.0)).collect();
        let within = Stretch {
            since_ms: 0,
            until_ms: 10_000,
        };
        let found: Vec<(i64, i64)> = gaps(&rows, within, 3000)
            .iter()
            .map(|gap| (gap.since_ms, gap.until_ms))
            .collect();
        assert_eq!(found, expected, "{times:?}");
    }

    #[test]
    fn a_gap_is_longer_than_allowed() {
        check_gaps(&[1000, 4000, 7000, 9000], &[]);
        check_gaps(&[1000, 4001, 9000], &[(1000, 4001), (4001, 9000)]);
        check_gaps(&[5000], &[(0, 5000), (5000, 10_000)]);
        check_gaps(&[], &[(0, 10_000)]);
    }

    #[test]
    fn untrusted_readings_are_a_gap() {
        let at = |ms| Timestamp::from_millisecond(ms).expect("in range");
        let series = Series {
            times: vec![at(0), at(1000)],
            values: vec![5.0, 9.0],
            qualities: vec![Quality::Ok, Quality::Bad],
            damaged_rows: 0,
        };
        assert_eq!(trusted(series), [(0, 5.0)]);
    }

    proptest! {
        #[test]
        fn extremes_and_order_survive(values in prop::collection::vec(-1e3..1e3_f64, 1..400), points in 1_usize..100) {
            let rows: Vec<(i64, f64)> = values.iter().enumerate().map(|(i, &v)| (i as i64 * 1000, v)).collect();
            let columns = columns(&rows, points);
            prop_assert!(columns.times_ms.len() <= points.max(1));
            prop_assert!(columns.times_ms.is_sorted());
            let lowest = values.iter().copied().fold(f64::INFINITY, f64::min);
            let highest = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            prop_assert_eq!(columns.min.iter().copied().fold(f64::INFINITY, f64::min), lowest);
            prop_assert_eq!(columns.max.iter().copied().fold(f64::NEG_INFINITY, f64::max), highest);
        }
    }
}
