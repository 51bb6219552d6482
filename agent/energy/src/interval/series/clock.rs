//! Two values for one instant, and what that tells of the clock that stamped them.
//!
//! The higher one counts, whichever came first: of two gateways that deliver one meter it is the one that is not late, and of
//! values that were stamped when they came the newest. Invariant: where it cannot be of its instant the time beside it is
//! unknown, never a peak; a clock that was set makes no more unknown than it had been wrong by, and a period.

use serde::{Deserialize, Serialize};

use super::Series;
use crate::interval::{
    basis::{Basis, GAP_PERIODS},
    known::{limit_kw, waver},
    point::{Point, hours},
};

/// A clock that was set had been wrong by no more than this, ms: a zone, or a day.
const CLOCK_OFF_MS: i64 = 86_400_000;
/// Instants of a row are contradicted by no more than so many times each other, where the lower value rises.
const ROW: f64 = 2.0;
/// What rises beyond the higher value by so much of what that rose by goes on with it.
const GOES_ON: f64 = 0.75;

/// An instant for which two values came.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(super) struct Contradicted {
    at_ms: i64,
    /// By how much the second one was higher.
    by: f64,
    /// The lower one stayed, since the register was read lower later.
    is_kept: bool,
}

impl Series {
    /// Another value came for the instant of a reading that is held. Gives from where on energy is told anew, where it is.
    pub(crate) fn contradict(&mut self, at_ms: i64, value: f64, basis: &Basis<'_>) -> Option<i64> {
        let index = self.points.binary_search_by_key(&at_ms, |point| point.0).ok()?;
        let (held, before) = (self.points[index].1, *self.points.get(index.checked_sub(1)?)?);
        let shown_kw = self.shown_kw();
        let is_own = shown_kw > 0.0 && value <= self.points.last()?.1 + limit_kw(shown_kw, None) * hours(CLOCK_OFF_MS);
        let (by, is_lower) = (value - held, |next: &Point| next.1 < value - waver(value));
        let is_kept = is_own && by > 0.0 && self.points.get(index + 1).is_some_and(is_lower);
        let former = self.contradicted.replace(Contradicted { at_ms, by, is_kept });
        let is_row = former.is_some_and(|former| {
            former.at_ms == before.0 && (by <= ROW * former.by || held <= before.1 + waver(before.1))
        });
        if by <= 0.0 || !is_own {
            return None;
        }
        if is_kept {
            return Some(self.keep_lower(before.0, (at_ms, held)));
        }
        if !is_row && self.is_of_other_time(before, (at_ms, value), basis) {
            self.tear(before.0);
        }
        self.points[index].1 = value;
        self.marks.retain(|mark| mark.at_ms < at_ms);
        Some(before.0)
    }

    /// A reading came after an instant with two values, and is held. Where it is below the higher one, and the lower ones rise,
    /// they are those of one clock, or of one device, and the higher one is of another time: it is taken back, and when the
    /// energy after the last of such instants was used is not known. Gives from where on energy is told anew.
    #[cold]
    pub(super) fn show_row(&mut self, at_ms: i64, gap_ms: i64) -> Option<i64> {
        let row = self.contradicted.filter(|row| row.by > 0.0 && !row.is_kept)?;
        let index = self.place(row.at_ms);
        let (before_ms, before) = *self.points.get(index.checked_sub(1)?)?;
        let [(_, higher), (next_ms, next)] = *self.points.get(index..)?.first_chunk()?;
        let lower = higher - row.by;
        let usual = self.learnt().usual(gap_ms / i64::from(GAP_PERIODS));
        let least = usual.max(1.5 * self.learnt().step()).max(waver(higher));
        let is_below = self.learnt().has_risen() && higher - next > least && next > lower + waver(lower);
        // What is below the reading before is a gateway that is late.
        let is_one_clock = lower >= before - waver(before);
        if next_ms != at_ms || !is_below || !is_one_clock || !is_in_rhythm(row.at_ms - before_ms, gap_ms) {
            return None;
        }
        self.contradicted = Some(Contradicted { is_kept: true, ..row });
        Some(self.keep_lower(before_ms, (row.at_ms, lower)))
    }

    /// A clock was set back over these readings, and the lower value stays: when the energy after the last of them was used is
    /// not known. Gives from where on energy is told anew.
    fn keep_lower(&mut self, before_ms: i64, (at_ms, lower): Point) -> i64 {
        let index = self.place(at_ms);
        self.points[index].1 = lower;
        self.marks.retain(|mark| mark.at_ms < at_ms);
        // Before the last of them it was known.
        self.torn_ms.pop_if(|torn_ms| *torn_ms == before_ms);
        self.tear(at_ms);
        before_ms
    }

    /// Whether the newest reading goes on with the higher of two values that came for the instant before: the lower ones were
    /// those of a clock that has been set, or of a gateway that is late.
    pub(crate) fn leaves_row(&self) -> bool {
        let [.., (_, earlier), (before_ms, before), (_, last)] = self.points[..] else {
            return false;
        };
        let is_contradicted = |contradicted: Contradicted| contradicted.at_ms == before_ms && contradicted.by > 0.0;
        self.contradicted.is_some_and(is_contradicted)
            && last - before > (GOES_ON * (before - earlier)).max(waver(before))
    }

    /// Whether the register cannot have counted so much since the reading before, by the power that it has shown: it was read
    /// later, or that one earlier, than it says.
    fn is_of_other_time(&self, (before_ms, before): Point, (at_ms, value): Point, basis: &Basis<'_>) -> bool {
        let (memory, gap_ms) = (self.learnt(), basis.lengths.gap_ms);
        let used = |kw: f64| kw * hours(at_ms - before_ms);
        let lasting = used(memory.lasting_kw());
        // A step that is more than what lasts is no power.
        let most = if memory.step() > lasting {
            lasting
        } else {
            used(self.shown_kw())
        };
        memory.has_risen() && is_in_rhythm(at_ms - before_ms, gap_ms) && value - before > most + 2.0 * memory.step()
    }
}

/// Whether readings so far apart are read one after the other: what was held back and comes at once has no rhythm.
fn is_in_rhythm(elapsed_ms: i64, gap_ms: i64) -> bool {
    (gap_ms / (2 * i64::from(GAP_PERIODS))..=gap_ms).contains(&elapsed_ms)
}
