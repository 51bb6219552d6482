//! What a second value for one instant tells of the clock that stamped it.
//!
//! It takes no value: the first of an instant stays. Invariant: one value too many makes at most the time up to the next
//! reading unknown, and no such time often.

use serde::{Deserialize, Serialize};

use super::Series;
use crate::interval::{
    basis::{Basis, GAP_PERIODS},
    known::{MARGIN, waver},
};

/// A clock that was set had been wrong by no more than this, ms: a zone, or a day.
const CLOCK_OFF_MS: i64 = 86_400_000;
/// Instants of a row are contradicted by no more than so many times each other.
const ROW: f64 = 2.0;

/// An instant for which two values came that are not of one time, as it seems.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(super) struct Contradicted {
    at_ms: i64,
    /// The higher one.
    value: f64,
    /// Such instants had come before it that were not of one row with it: a clock is set once.
    is_habit: bool,
}

impl Series {
    /// Another value came for the instant of a reading that is held. A higher one may be of another time: a clock was set
    /// back, and when the energy up to the next reading was used is not known; of several instants in a row that is the
    /// last. Where two speak for one meter, or values come at once that were held back, it is of the same time, and one value
    /// of each instant counts. Gives from where on energy is told anew.
    pub(crate) fn contradict(&mut self, at_ms: i64, value: f64, basis: &Basis<'_>) -> Option<i64> {
        let index = self.points.binary_search_by_key(&at_ms, |point| point.0).ok()?;
        let (held, (before_ms, before)) = (self.points[index].1, *self.points.get(index.checked_sub(1)?)?);
        if !self.is_of_other_time(index, value, basis) {
            return None;
        }
        let former = self.contradicted.replace(Contradicted {
            at_ms,
            value,
            is_habit: self.is_habit(at_ms, before_ms),
        });
        // In a row only its last instant is in doubt; one much less contradicted than the one before is of no row with it.
        let is_row = |former: &Contradicted| {
            former.at_ms == before_ms
                && (held < former.value - waver(held) || former.value - before <= ROW * (value - held))
        };
        let settled = former
            .filter(is_row)
            .and_then(|_| self.torn_ms.pop_if(|torn_ms| *torn_ms == before_ms));
        // What the next reading does not show was not counted before it.
        let is_shown = self
            .points
            .get(index + 1)
            .is_none_or(|next| next.1 >= value - waver(value));
        let period_kwh = (2.0 * self.learnt().usual(basis.lengths.gap_ms / i64::from(GAP_PERIODS))).max(held - before);
        let is_habit = self.contradicted.is_some_and(|contradicted| contradicted.is_habit);
        if is_shown && !(is_habit && value - held <= MARGIN * period_kwh) {
            self.tear(at_ms);
            return Some(settled.unwrap_or(at_ms));
        }
        settled
    }

    /// Whether a value is so much higher than the one held at `index` that it was not read at its instant.
    fn is_of_other_time(&self, index: usize, value: f64, basis: &Basis<'_>) -> bool {
        let (memory, gap_ms) = (self.learnt(), basis.lengths.gap_ms);
        let ((at_ms, held), last) = (self.points[index], self.points[self.points.len() - 1]);
        let least = memory
            .usual(gap_ms / i64::from(GAP_PERIODS))
            .max(memory.step())
            .max(waver(held));
        let is_own = value <= last.1 + memory.most(CLOCK_OFF_MS);
        // What was held back and comes at once has no rhythm.
        let rhythm_ms = gap_ms / (2 * i64::from(GAP_PERIODS))..=gap_ms;
        let is_in_rhythm = rhythm_ms.contains(&(at_ms - self.before(at_ms)));
        memory.has_risen() && value - held > least && is_own && is_in_rhythm
    }

    /// Whether others were contradicted lately that are not of one row with this one.
    fn is_habit(&self, at_ms: i64, before_ms: i64) -> bool {
        self.contradicted.is_some_and(|former| {
            if [at_ms, before_ms].contains(&former.at_ms) {
                former.is_habit
            } else {
                (at_ms - former.at_ms).abs() < CLOCK_OFF_MS
            }
        })
    }
}
