//! What a second value for one instant tells of the clock that stamped it.
//!
//! It takes no value: the first of an instant stays. Invariant: one value too many makes at most the time up to the next
//! reading unknown, and no such time often.

use serde::{Deserialize, Serialize};

use super::Series;
use crate::interval::{
    basis::{Basis, GAP_PERIODS},
    known::{MARGIN, waver},
    point::Point,
};

/// A clock that was set had been wrong by no more than this, ms: a zone, or a day.
const CLOCK_OFF_MS: i64 = 86_400_000;
/// Instants of a row are contradicted by no more than so many times each other.
const ROW: f64 = 2.0;
/// A clock that was set back contradicts as many instants as it had been wrong for: a row over which the register rose by so
/// many times more than that has another reason.
const LONG_ROW: f64 = 4.0;
/// A register that rises beyond the other value by so much of what it rose by before is no longer told late.
const CAUGHT_UP_SHARE: f64 = 0.75;

/// An instant for which two values came that are not of one time, as it seems.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(super) struct Contradicted {
    at_ms: i64,
    /// The higher one.
    value: f64,
    /// Where the register stood at the first instant of its row.
    row_from: f64,
    /// Others came before it that were not of one row with it, or the row is too long: a clock is set once.
    is_habit: bool,
}

impl Series {
    /// Another value came for the instant of a reading that is held. A higher one may be of another time: a clock was set
    /// back, and when the energy up to the next reading was used is not known; of several instants in a row that is the
    /// last. Where two speak for one meter, or values come at once that were held back, it is of the same time, and one value
    /// of each instant counts. Gives from where on energy is told anew.
    pub(crate) fn contradict(&mut self, at_ms: i64, value: f64, basis: &Basis<'_>) -> Option<i64> {
        let index = self.points.binary_search_by_key(&at_ms, |point| point.0).ok()?;
        let (held, before) = (self.points[index].1, *self.points.get(index.checked_sub(1)?)?);
        if !self.is_of_other_time(index, value, basis) {
            return None;
        }
        let contradicted = self.contradicted_at((at_ms, held), value, before.0);
        let former = self.contradicted.replace(contradicted);
        // One much less contradicted than the one before it is of no row with it.
        let is_row =
            |former: &Contradicted| former.at_ms == before.0 && former.value - before.1 <= ROW * (value - held);
        let settled = former.filter(is_row).and_then(|former| self.settle_row(former.at_ms));
        let period_kwh =
            (2.0 * self.learnt().usual(basis.lengths.gap_ms / i64::from(GAP_PERIODS))).max(held - before.1);
        // What is used between the two is counted in whole steps, one more than it makes.
        let most_kwh = MARGIN * period_kwh + 2.0 * self.learnt().step();
        let is_usual = contradicted.is_habit && value - held <= most_kwh;
        let is_shown = self
            .points
            .get(index + 1)
            .is_none_or(|next| !contradicted.is_later(next.1));
        if is_shown && !is_usual {
            self.tear(at_ms);
            return Some(settled.unwrap_or(at_ms));
        }
        settled
    }

    /// A reading came after an instant that was contradicted, and is held: what it does not show was not counted before it. One
    /// that is past the other value ends a long row of values that were late: what was used in two times lies between the last
    /// of them and this one. Gives from where on energy is told anew.
    #[cold]
    pub(super) fn show_row(&mut self, at_ms: i64) -> Option<i64> {
        let row = self.contradicted.filter(|row| row.at_ms == self.before(at_ms))?;
        let [(_, before), (_, held), (next_ms, next)] = *self
            .points
            .get(self.place(row.at_ms).checked_sub(1)?..)?
            .first_chunk()?;
        if next_ms != at_ms {
            return None;
        }
        if row.is_later(next) {
            return self.settle_row(row.at_ms);
        }
        let is_past = next - row.value > (CAUGHT_UP_SHARE * (held - before)).max(waver(next));
        if row.is_long(held) && is_past {
            self.tear(row.at_ms)
        } else {
            None
        }
    }

    /// The time after an instant in doubt is known after all, if it is the last in doubt.
    fn settle_row(&mut self, at_ms: i64) -> Option<i64> {
        self.torn_ms.pop_if(|torn_ms| *torn_ms == at_ms)
    }

    fn contradicted_at(&self, (at_ms, held): Point, value: f64, before_ms: i64) -> Contradicted {
        let former = self.contradicted;
        let row = former.filter(|former| [at_ms, before_ms].contains(&former.at_ms));
        let row_from = row.map_or(held, |row| row.row_from);
        let is_habit = match (row, former) {
            (Some(row), _) => row.is_habit,
            (None, former) => former.is_some_and(|former| (at_ms - former.at_ms).abs() < CLOCK_OFF_MS),
        };
        let mut contradicted = Contradicted {
            at_ms,
            value,
            row_from,
            is_habit,
        };
        contradicted.is_habit |= contradicted.is_long(held);
        contradicted
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
}

impl Contradicted {
    /// Whether it was read later than a register that stands at `value`.
    fn is_later(self, value: f64) -> bool {
        value < self.value - waver(value)
    }

    /// Whether its row is longer than that of a clock that was set back, where the register is held at `held`.
    fn is_long(self, held: f64) -> bool {
        held - self.row_from > LONG_ROW * (self.value - held)
    }
}
