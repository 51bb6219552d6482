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

/// Milliseconds as hours.
pub(crate) fn hours(ms: i64) -> f64 {
    ms as f64 / MS_PER_HOUR
}

/// Milliseconds since the epoch as an instant.
pub(crate) fn timestamp(ms: i64) -> Timestamp {
    Timestamp::from_millisecond(ms).expect("made from timestamps, so in their range")
}
