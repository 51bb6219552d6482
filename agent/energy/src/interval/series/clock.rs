//! What a second value for one instant tells of the clock that stamped it.
//!
//! It takes no value: the first of an instant stays. Invariant: one value too many makes at most the time up to the next
//! reading unknown, and no such time often.

use super::Series;
use crate::interval::{
    basis::{Basis, GAP_PERIODS},
    grain::decimal,
    known::waver,
};

/// A clock that was set had been wrong by no more than this, ms: a zone, or a day.
const CLOCK_OFF_MS: i64 = 86_400_000;

impl Series {
    /// A higher value came for the instant of a reading that is held. It may be of another time: a clock was set back, and
    /// when the energy up to the next reading was used is not known. Where two speak for one meter, or values come at once
    /// that were held back, it is of the same: then one value of each instant counts. Gives from where on energy is told
    /// anew.
    pub(crate) fn contradict(&mut self, at_ms: i64, value: f64, basis: &Basis<'_>) -> Option<i64> {
        let index = self.points.binary_search_by_key(&at_ms, |point| point.0).ok()?;
        let (held, last) = (self.points[index].1, *self.points.last()?);
        let is_habit = self.is_habit(last.0);
        let memory = self.learnt();
        let least = if is_habit {
            memory.most(basis.lengths.gap_ms)
        } else {
            memory.usual(basis.lengths.gap_ms / i64::from(GAP_PERIODS))
        };
        // Two may be told in steps of their own; of several in a row one may be round.
        let before_ms = index.checked_sub(1).map(|index| self.points[index].0);
        let is_first = before_ms.is_none() || self.torn_ms.last().copied() != before_ms;
        let steps = if is_first {
            decimal(held).max(decimal(value))
        } else {
            0.0
        };
        let is_other_time = memory.has_risen() && value - held > least.max(steps).max(waver(held));
        let is_own = value <= last.1 + memory.most(CLOCK_OFF_MS);
        // What was held back and comes at once has no rhythm.
        let rhythm_ms = basis.lengths.gap_ms / (2 * i64::from(GAP_PERIODS))..=basis.lengths.gap_ms;
        let is_in_rhythm = before_ms.is_some_and(|before_ms| rhythm_ms.contains(&(at_ms - before_ms)));
        if !(is_other_time && is_own && is_in_rhythm) {
            return None;
        }
        // Of several in a row the time after the last is in doubt.
        let former = self.torn_ms.pop_if(|torn_ms| Some(*torn_ms) == before_ms);
        self.tear(at_ms);
        Some(former.unwrap_or(at_ms))
    }

    /// Whether held instants have been contradicted lately as time went on, and now again: a clock is set once.
    fn is_habit(&mut self, last_ms: i64) -> bool {
        let is_habit = self.contradicted.is_some_and(|(then_ms, was_habit)| {
            if then_ms == last_ms {
                was_habit
            } else {
                last_ms - then_ms < CLOCK_OFF_MS
            }
        });
        self.contradicted = Some((last_ms, is_habit));
        is_habit
    }
}
