//! What a second value for one instant tells of the clock that stamped it.
//!
//! It takes no value: the first of an instant stays. Invariant: one value too many makes at most the time up to the next
//! reading unknown, and no such time often.

use super::Series;
use crate::interval::{
    basis::{Basis, GAP_PERIODS},
    known::waver,
};

/// A clock that was set had been wrong by no more than this, ms: a zone, or a day.
const CLOCK_OFF_MS: i64 = 86_400_000;

impl Series {
    /// Another value came for the instant of a reading that is held. A higher one may be of another time: a clock was set
    /// back, and when the energy up to the next reading was used is not known; of several instants in a row that is the
    /// last. Where two speak for one meter, or values come at once that were held back, it is of the same time, and one value
    /// of each instant counts. Gives from where on energy is told anew.
    pub(crate) fn contradict(&mut self, at_ms: i64, value: f64, basis: &Basis<'_>) -> Option<i64> {
        let index = self.points.binary_search_by_key(&at_ms, |point| point.0).ok()?;
        let before_ms = index.checked_sub(1).map(|index| self.points[index].0);
        let is_habit = self.is_habit(at_ms, before_ms);
        let memory = self.learnt();
        let least = if is_habit {
            memory.most(basis.lengths.gap_ms)
        } else {
            memory.usual(basis.lengths.gap_ms / i64::from(GAP_PERIODS))
        };
        let (held, last) = (self.points[index].1, *self.points.last()?);
        let is_other_time = memory.has_risen() && value - held > least.max(memory.step()).max(waver(held));
        let is_own = value <= last.1 + memory.most(CLOCK_OFF_MS);
        // What was held back and comes at once has no rhythm.
        let rhythm_ms = basis.lengths.gap_ms / (2 * i64::from(GAP_PERIODS))..=basis.lengths.gap_ms;
        let is_in_rhythm = before_ms.is_some_and(|before_ms| rhythm_ms.contains(&(at_ms - before_ms)));
        let former = self.torn_ms.pop_if(|torn_ms| Some(*torn_ms) == before_ms);
        if is_other_time && is_own && is_in_rhythm {
            self.tear(at_ms);
            return Some(former.unwrap_or(at_ms));
        }
        former
    }

    /// Whether instants have been contradicted lately that are not of one row with this one: a clock is set once.
    fn is_habit(&mut self, at_ms: i64, before_ms: Option<i64>) -> bool {
        let is_habit = self.contradicted.is_some_and(|(then_ms, was_habit)| {
            if then_ms == at_ms || Some(then_ms) == before_ms {
                was_habit
            } else {
                (at_ms - then_ms).abs() < CLOCK_OFF_MS
            }
        });
        self.contradicted = Some((at_ms, is_habit));
        is_habit
    }
}
