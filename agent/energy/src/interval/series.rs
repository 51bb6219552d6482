//! Readings of one register, held while an interval may still need them, and the energy between two instants.
//!
//! It decides nothing about meters or when intervals close. Invariants: points are ascending in time, one an instant;
//! the parts of adjoining stretches add up to the whole; a fall of a counter never becomes negative energy.

use serde::{Deserialize, Serialize};

use crate::sample::Quality;

/// One trusted reading: milliseconds since the epoch, value.
pub(crate) type Point = (i64, f64);

/// A counter that falls by less than this share of itself wavers; it was not reset. Seen on real meters: −0.007 kWh.
const WAVER_SHARE: f64 = 1e-6;
/// … and never less than this, in the counter's unit.
const WAVER_MIN: f64 = 0.01;

/// Ascending readings of one quantity of one meter.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Series {
    points: Vec<Point>,
    forgotten_ms: Option<i64>,
    /// Instants at which time itself was in doubt: what lies between the readings on both sides is not known.
    torn_ms: Vec<i64>,
}

/// What happened to a reading that was put in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Put {
    /// It is the newest.
    Newest,
    /// It stands between, or before, others.
    Between,
    /// The same value was there for the same instant.
    Duplicate,
    /// Another value was there for the same instant; the first stays.
    Conflict,
    /// It is older than anything still held.
    TooOld,
}

/// Energy of a stretch of time.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Part {
    /// Known amount; `None` when nothing is known.
    pub(crate) amount: Option<f64>,
    /// Milliseconds between trusted readings close enough together.
    pub(crate) covered_ms: i64,
    /// Worst quality of what the amount was made from.
    pub(crate) quality: Quality,
}

impl Part {
    const NOTHING: Self = Self {
        amount: None,
        covered_ms: 0,
        quality: Quality::Ok,
    };

    fn add(&mut self, amount: f64, covered_ms: i64, quality: Quality) {
        self.amount = Some(self.amount.unwrap_or(0.0) + amount);
        self.covered_ms += covered_ms;
        self.quality = self.quality.max(quality);
    }
}

impl Series {
    /// Puts a reading in its place.
    pub(crate) fn put(&mut self, at_ms: i64, value: f64) -> Put {
        if self.points.last().is_none_or(|last| last.0 < at_ms) {
            self.points.push((at_ms, value));
            return Put::Newest;
        }
        match self.points.binary_search_by_key(&at_ms, |point| point.0) {
            Ok(index) if self.points[index].1 == value => Put::Duplicate,
            Ok(_) => Put::Conflict,
            Err(_) if self.forgotten_ms.is_some_and(|forgotten_ms| at_ms < forgotten_ms) => Put::TooOld,
            Err(index) => {
                self.points.insert(index, (at_ms, value));
                Put::Between
            }
        }
    }

    /// Time was in doubt at `at_ms`. One such instant between two readings is enough.
    pub(crate) fn tear(&mut self, at_ms: i64) {
        if self.torn_ms.last() < self.last_ms().as_ref() {
            self.torn_ms.push(at_ms);
        }
    }

    fn is_torn(&self, from_ms: i64, to_ms: i64) -> bool {
        self.torn_ms.iter().any(|torn_ms| (from_ms..to_ms).contains(torn_ms))
    }

    /// Instant of the reading before `at_ms`.
    pub(crate) fn before(&self, at_ms: i64) -> Option<i64> {
        let index = self.points.partition_point(|point| point.0 < at_ms);
        index.checked_sub(1).map(|index| self.points[index].0)
    }

    pub(crate) fn clear(&mut self) {
        self.points.clear();
        self.torn_ms.clear();
    }

    /// Instant of the newest reading.
    pub(crate) fn last_ms(&self) -> Option<i64> {
        self.points.last().map(|point| point.0)
    }

    /// Readings before this have been forgotten; `None` = none have.
    pub(crate) fn forgotten_ms(&self) -> Option<i64> {
        self.forgotten_ms
    }

    /// Forgets readings before `before_ms`, all but the newest `keep`, and the one just before `before_ms`.
    pub(crate) fn prune(&mut self, before_ms: i64, keep: usize) {
        let old = self
            .points
            .partition_point(|point| point.0 < before_ms)
            .saturating_sub(1);
        let surplus = self.points.len().saturating_sub(keep);
        let n_gone = old.min(surplus);
        // Moving the rest costs as much as what is kept: wait until it is worth it.
        if n_gone > keep {
            self.points.drain(..n_gone);
            self.forgotten_ms = self.points.first().map(|point| point.0);
            self.torn_ms.retain(|torn_ms| Some(*torn_ms) >= self.forgotten_ms);
        }
    }

    /// Rise of a counter in `[from, to)`. Readings further apart than `gap_ms` still tell the energy between them:
    /// it is spread evenly and marked `estimated`, and does not count as covered.
    pub(crate) fn counter(&self, from: i64, to: i64, gap_ms: i64) -> Part {
        let mut part = Part::NOTHING;
        let points = self.around(from, to);
        let mut reference = points.first().map_or(0.0, |point| point.1);
        for pair in points.windows(2) {
            let ((start, _), (end, value)) = (pair[0], pair[1]);
            let (rise, quality) = rise(&mut reference, value);
            let overlap = end.min(to) - start.max(from);
            if overlap <= 0 || self.is_torn(start, end) {
                continue;
            }
            let share = overlap as f64 / (end - start) as f64;
            if end - start <= gap_ms {
                part.add(rise * share, overlap, quality);
            } else {
                part.add(rise * share, 0, quality.max(Quality::Estimated));
            }
        }
        part
    }

    /// Integral of the positive part of a power (`sign` 1) or of its negative part (`sign` −1) in `[from, to)`, in
    /// unit·hours. Between readings further apart than `gap_ms` nothing is known.
    pub(crate) fn power(&self, from: i64, to: i64, gap_ms: i64, sign: f64) -> Part {
        let mut part = Part::NOTHING;
        for pair in self.around(from, to).windows(2) {
            let ((start, first), (end, last)) = (pair[0], pair[1]);
            let (cut_from, cut_to) = (start.max(from), end.min(to));
            if cut_to <= cut_from || end - start > gap_ms || self.is_torn(start, end) {
                continue;
            }
            let at = |ms: i64| first + (last - first) * (ms - start) as f64 / (end - start) as f64;
            let mean = f64::midpoint(at(cut_from), at(cut_to));
            part.add(
                (mean * sign).max(0.0) * hours(cut_to - cut_from),
                cut_to - cut_from,
                Quality::Ok,
            );
        }
        part
    }

    /// The amount labelled with an interval's start.
    pub(crate) fn delta(&self, from: i64, to: i64) -> Part {
        match self.points.binary_search_by_key(&from, |point| point.0) {
            Ok(index) => Part {
                amount: Some(self.points[index].1),
                covered_ms: to - from,
                quality: Quality::Ok,
            },
            Err(_) => Part::NOTHING,
        }
    }

    /// The readings that enclose `[from, to)`.
    fn around(&self, from: i64, to: i64) -> &[Point] {
        let first = self.points.partition_point(|point| point.0 <= from).saturating_sub(1);
        let last = self.points.partition_point(|point| point.0 < to);
        &self.points[first..(last + 1).min(self.points.len())]
    }
}

/// How far a counter rose from `reference`, which then follows it. A fall within [`WAVER_SHARE`] is noise: the
/// reference stays, so that the way back up is not counted. A deeper fall is a reset: what was used around it is not
/// known, so nothing is added, and the interval says `restored`.
fn rise(reference: &mut f64, value: f64) -> (f64, Quality) {
    let rise = value - *reference;
    if rise >= 0.0 {
        *reference = value;
        return (rise, Quality::Ok);
    }
    if -rise > (reference.abs() * WAVER_SHARE).max(WAVER_MIN) {
        *reference = value;
        return (0.0, Quality::Restored);
    }
    (0.0, Quality::Ok)
}

/// Milliseconds as hours.
pub(crate) fn hours(ms: i64) -> f64 {
    ms as f64 / 3_600_000.0
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn series(points: &[Point]) -> Series {
        let mut series = Series::default();
        for &(at, value) in points {
            series.put(at, value);
        }
        series
    }

    #[test]
    fn a_reading_finds_its_place() {
        let mut series = series(&[(10, 1.0), (20, 2.0)]);
        for (at, value, expected) in [
            (30, 3.0, Put::Newest),
            (25, 2.5, Put::Between),
            (25, 2.5, Put::Duplicate),
            (25, 9.9, Put::Conflict),
            (5, 0.5, Put::Between),
        ] {
            assert_eq!(series.put(at, value), expected, "{at} {value}");
        }
        assert_eq!(series.before(25), Some(20));
    }

    #[test]
    fn counters_rise_waver_reset_and_bridge_gaps() {
        let check = |points: &[Point], from, to, expected: (Option<f64>, i64, Quality)| {
            let part = series(points).counter(from, to, 30);
            assert_eq!(
                (part.amount, part.covered_ms, part.quality),
                expected,
                "{points:?} {from}..{to}"
            );
        };
        check(
            &[(0, 100.0), (10, 101.0), (20, 103.0)],
            0,
            20,
            (Some(3.0), 20, Quality::Ok),
        );
        check(
            &[(0, 100.0), (10, 101.0), (20, 103.0)],
            5,
            15,
            (Some(1.5), 10, Quality::Ok),
        );
        check(
            &[(0, 100.0), (10, 99.993), (20, 100.5)],
            0,
            20,
            (Some(0.5), 20, Quality::Ok),
        );
        check(
            &[(0, 100.0), (10, 0.0), (20, 2.0)],
            0,
            20,
            (Some(2.0), 20, Quality::Restored),
        );
        check(&[(0, 100.0), (100, 110.0)], 0, 50, (Some(5.0), 0, Quality::Estimated));
        check(&[(0, 100.0)], 0, 50, (None, 0, Quality::Ok));
        check(&[], 0, 50, (None, 0, Quality::Ok));
    }

    #[test]
    fn power_is_integrated_only_between_close_readings() {
        let hour = 3_600_000;
        let check = |points: &[Point], sign, expected: (Option<f64>, i64)| {
            let part = series(points).power(0, 2 * hour, hour, sign);
            assert_eq!((part.amount, part.covered_ms), expected, "{points:?}");
        };
        check(&[(0, 10.0), (hour, 20.0)], 1.0, (Some(15.0), hour));
        check(&[(0, 10.0), (3 * hour, 20.0)], 1.0, (None, 0));
        check(&[(0, -10.0), (hour, -10.0)], 1.0, (Some(0.0), hour));
        check(&[(0, -10.0), (hour, -10.0)], -1.0, (Some(10.0), hour));
        check(&[(hour, 8.0), (2 * hour + hour / 2, 8.0)], 1.0, (None, 0));
    }

    #[test]
    fn nothing_is_known_across_an_instant_whose_time_was_in_doubt() {
        let mut series = series(&[(0, 100.0), (10, 101.0)]);
        for torn_ms in [12, 14, 16] {
            series.tear(torn_ms);
        }
        series.put(20, 150.0);
        series.put(30, 151.0);
        assert_eq!(series.torn_ms, [12], "one is enough");
        let known = |part: Part| (part.amount, part.covered_ms);
        assert_eq!(known(series.counter(0, 30, 15)), (Some(2.0), 20));
        assert_eq!(known(series.counter(10, 20, 15)), (None, 0));
        assert_eq!(known(series.power(10, 20, 15, 1.0)), (None, 0));
    }

    #[test]
    fn pruning_keeps_what_the_window_needs() {
        let mut series = series(&(0..100).map(|i| (i * 10, i as f64)).collect::<Vec<_>>());
        let whole = series.counter(500, 900, 30);
        series.prune(500, 4);
        assert_eq!(series.counter(500, 900, 30), whole);
        assert_eq!(series.put(5, 0.5), Put::TooOld, "older readings are gone");
    }

    proptest! {
        /// Energy is conserved: whatever is cut wherever, the parts add up to the counter's rise.
        #[test]
        fn parts_add_up(steps in prop::collection::vec((1i64..100, 0.0f64..50.0), 2..60), cut in 0.0f64..1.0) {
            let mut at = 0;
            let mut value = 0.0;
            let points: Vec<Point> = steps.iter().map(|(dt, dv)| { at += dt; value += dv; (at, value) }).collect();
            let series = series(&points);
            let (from, to) = (points[0].0, at);
            let middle = from + ((to - from) as f64 * cut) as i64;
            let amount = |a, b| series.counter(a, b, 40).amount.unwrap_or(0.0);
            let whole = value - points[0].1;
            prop_assert!((amount(from, middle) + amount(middle, to) - whole).abs() < 1e-6);
            prop_assert!((amount(from - 1000, to + 1000) - whole).abs() < 1e-6);
        }

        /// The order of arrival does not matter, and nothing is ever negative.
        #[test]
        fn order_does_not_matter(values in prop::collection::vec(0.0f64..1000.0, 3..30), seed in any::<u64>()) {
            let points: Vec<Point> = values.iter().enumerate().map(|(i, v)| (i as i64 * 10, *v)).collect();
            let mut shuffled = points[1..].to_vec();
            let mut random = seed;
            for i in (1..shuffled.len()).rev() {
                random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                shuffled.swap(i, (random >> 33) as usize % (i + 1));
            }
            shuffled.insert(0, points[0]);
            let (ordered, shuffled) = (series(&points), series(&shuffled));
            let end = points.len() as i64 * 10;
            prop_assert_eq!(ordered.counter(0, end, 30), shuffled.counter(0, end, 30));
            prop_assert!(ordered.counter(0, end, 30).amount.is_none_or(|amount| amount >= 0.0));
        }
    }
}
