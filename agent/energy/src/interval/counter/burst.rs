//! Readings that come later than they were taken: a counter then seems to rise in no time.
//!
//! Part of the walk in `counter.rs`. A message without a time of its own is stamped when it arrives; what a broker held back in a
//! cut of the line arrives at once, and a slow answer tells of a later time than its request. Invariant: such a rise is
//! energy, spread over the silence before it where there was one, and says nothing of the plant's power.

use super::{
    Step, Walk,
    leap::{LEAP, impossible_kw},
};
use crate::interval::{
    known::{MARGIN, waver},
    point::{MINUTE_MS, MS_PER_HOUR, Point},
};

/// A rise may be told so many times the longest ordinary distance of readings too early or too late, or a minute: no answer
/// is awaited for longer.
const LATE_GAPS: i64 = 2;
/// Readings closer than this part of the longest ordinary distance, three quarters of a period, crowd.
const CROWDED: i64 = 4;

impl Walk<'_> {
    /// Index of the last reading that tells of the silence before the next one: soon after that one the register rises by
    /// more than its power makes in that time, and not by more than it makes in all of it. `None` where it goes on as usual.
    pub(super) fn held_back(&self) -> Option<usize> {
        if self.reference <= 0.0 || self.memory.zeroed.is_some() {
            return None; // what follows zeros is no energy of a silence
        }
        let (from_ms, first) = (self.points[self.at].0, self.at + 1);
        let most_kw = MARGIN * self.memory.peak_kw;
        let until_ms = (self.points[first].0 + self.rules.gap_ms).min(self.swap_ms);
        let mut last = None;
        for index in first + 1..self.points.partition_point(|point| point.0 < until_ms) {
            let (before, to) = (self.points[index - 1], self.points[index]);
            let (rise, whole) = (to.1 - before.1, to.1 - self.reference);
            let is_of_silence = whole * MS_PER_HOUR <= most_kw * (to.0 - from_ms) as f64;
            if rise < -waver(before.1) || before.1 < self.reference || !is_of_silence {
                return None;
            }
            if !self.is_usual(rise, to.0 - before.0) {
                last = Some(index);
            }
        }
        last
    }

    /// Whether the rise to the next reading is more than the register has ever counted in that time only because of when the
    /// last few readings, and the next, were stamped.
    pub(super) fn is_mistimed(&self) -> bool {
        let (next_ms, near_ms) = (
            self.points[self.at + 1].0,
            (LATE_GAPS * self.rules.gap_ms).max(MINUTE_MS),
        );
        let first = self.points.partition_point(|point| point.0 < next_ms - near_ms);
        let end = self.points.partition_point(|point| point.0 <= next_ms + near_ms);
        let near = &self.points[first..end];
        let (from, to) = (near[0], near[near.len() - 1]);
        let is_crowded = next_ms - self.points[self.at].0 < self.rules.gap_ms / CROWDED;
        let most_kw = match self.memory.peak_kw {
            // Of a register that has shown nothing yet only the site's file says anything, and that a late answer comes close
            // to the next one; what follows zeros is no energy.
            0.0 if self.reference > 0.0 && is_crowded && self.limit_kw > 0.0 => LEAP * self.limit_kw,
            0.0 if self.reference > 0.0 && is_crowded => impossible_kw(0.0, None),
            peak_kw => MARGIN * peak_kw,
        };
        first <= self.at
            && to.0 < self.swap_ms
            && near.is_sorted_by(|one, next| one.1 <= next.1)
            && (to.1 - from.1) * MS_PER_HOUR <= most_kw * (to.0 - from.0) as f64
    }

    /// A rise to the next reading that tells of a longer time than lies before it.
    pub(super) fn catches_up(&mut self, to: Point, rise: f64) -> Step {
        let (from_ms, before) = (self.points[self.at].0, self.reference);
        self.stands(to);
        self.at += 1;
        Step::plain((from_ms, to.0), (before, to.1), rise)
    }
}
