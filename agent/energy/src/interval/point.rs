//! A reading at its instant, and the spans of time that readings are judged by.
//!
//! It keeps nothing and decides nothing.

use jiff::Timestamp;

/// One trusted reading: milliseconds since the epoch, value.
pub(crate) type Point = (i64, f64);

/// Milliseconds of an hour.
pub(crate) const MS_PER_HOUR: f64 = 3_600_000.0;

pub(super) const MINUTE_MS: i64 = 60_000;

/// Energy that a register counted in a silence, or while it was frozen, is told again for so long back, ms: 40 days, more
/// than a month's bill. What is older stays in the repair's `whole`.
pub(super) const SPREAD_MS: i64 = 40 * 86_400_000;

/// Points as a snapshot holds them: each time as its distance from the one before. Written whole, times would be most of it.
pub(super) mod distances {
    use serde::{Deserialize as _, Deserializer, Serializer, ser::SerializeSeq as _};

    use super::Point;

    pub(in super::super) fn serialize<S: Serializer>(points: &[Point], serializer: S) -> Result<S::Ok, S::Error> {
        let mut seq = serializer.serialize_seq(Some(points.len()))?;
        let mut before_ms = 0;
        for (at_ms, value) in points {
            seq.serialize_element(&(at_ms - before_ms, value))?;
            before_ms = *at_ms;
        }
        seq.end()
    }

    pub(in super::super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Point>, D::Error> {
        let mut points = Vec::<Point>::deserialize(deserializer)?;
        let mut at_ms = 0_i64;
        for point in &mut points {
            at_ms = at_ms.saturating_add(point.0);
            point.0 = at_ms;
        }
        Ok(points)
    }
}

/// Milliseconds as hours.
pub(crate) fn hours(ms: i64) -> f64 {
    ms as f64 / MS_PER_HOUR
}

/// Whether time was in doubt at any of `torn_ms` in `[from, to)`.
pub(crate) fn is_torn(torn_ms: &[i64], from_ms: i64, to_ms: i64) -> bool {
    torn_ms.iter().any(|torn_ms| (from_ms..to_ms).contains(torn_ms))
}

/// Milliseconds since the epoch as an instant.
pub(crate) fn timestamp(ms: i64) -> Timestamp {
    Timestamp::from_millisecond(ms).expect("made from timestamps, so in their range")
}
