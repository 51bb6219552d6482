//! Several values for one instant, and what that tells of the clock that stamped them.
//!
//! The highest counts, whichever came first: of two gateways that deliver one meter it is the one that is not late, and of values
//! that were stamped when they came the newest. Invariant: where an instant comes more often than usual, and the highest cannot
//! be of it, the time beside it is unknown, never a peak; a clock that was set makes no more unknown than it had been wrong by,
//! and a period.

use serde::{Deserialize, Serialize};

use super::Series;
use crate::interval::{
    basis::{Basis, GAP_PERIODS},
    known::{limit_kw, waver},
    point::{Point, hours},
};

/// A clock that was set had been wrong by no more than this, ms: a zone, or a day.
const CLOCK_OFF_MS: i64 = 86_400_000;
/// So many instants that come more often than usual, soon after each other, make that usual …
const MORE: u32 = 3;
/// … which so many in a row that do not forget, and so many in a row that come less often.
const FEWER: u32 = 8;
/// What rises beyond the higher value by so much of what that rose by goes on with it.
const GOES_ON: f64 = 0.75;

/// How often an instant comes: more often than once where two gateways deliver, or stamps are cut to the minute.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub(super) struct Repeats {
    /// So many values more than one, as a rule.
    usual: u32,
    /// So many came for the newest instant, equal ones too.
    newest: u32,
    /// Instants lately that came more often than usual, and how many have come since the last of them.
    n_more: u32,
    n_since: u32,
    /// The last instants in a row that came less often than usual, and the most values of one of them.
    n_fewer: u32,
    most_of_fewer: u32,
    /// The last in a row before the newest that came less than half as often.
    n_short: u32,
}

impl Repeats {
    /// Another instant has begun.
    #[cold]
    fn next(&mut self) {
        let newest = std::mem::take(&mut self.newest);
        self.n_short = if newest < self.usual - self.usual / 2 {
            self.n_short + 1
        } else {
            0
        };
        (self.n_more, self.n_since) = match self.n_since + 1 {
            _ if newest > self.usual => (self.n_more + 1, 0),
            FEWER.. => (0, FEWER),
            n_since => (self.n_more, n_since),
        };
        (self.n_fewer, self.most_of_fewer) = if newest < self.usual {
            (self.n_fewer + 1, self.most_of_fewer.max(newest))
        } else {
            (0, 0)
        };
        if self.n_more >= MORE {
            (self.usual, self.n_more) = (newest, 0);
        } else if self.n_fewer >= FEWER {
            (self.usual, self.n_fewer, self.most_of_fewer) = (self.most_of_fewer, 0, 0);
        }
    }

    /// Whether the newest instant came more often than it should.
    fn is_extra(self) -> bool {
        self.newest > self.usual
    }
}

/// An instant for which two values came.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(super) struct Contradicted {
    at_ms: i64,
    /// By how much the higher one was higher.
    by: f64,
    /// It came more often than usual: a clock was set, perhaps.
    is_extra: bool,
    /// The lower one stayed, since the register was read lower later.
    is_kept: bool,
}

impl Series {
    /// Another instant begins.
    pub(super) fn begin_instant(&mut self) {
        if let Some(repeats) = &mut self.repeats {
            repeats.next();
        }
    }

    /// A value came for an instant that is held.
    pub(super) fn repeat(&mut self, at_ms: i64) {
        if self.last_ms() == Some(at_ms) {
            self.repeats.get_or_insert_default().newest += 1;
        }
    }

    /// Another value came for the instant of a reading that is held. Gives from where on energy is told anew, where it is.
    pub(crate) fn contradict(&mut self, at_ms: i64, value: f64, basis: &Basis<'_>) -> Option<i64> {
        let index = self.points.binary_search_by_key(&at_ms, |point| point.0).ok()?;
        let held = self.points[index].1;
        let Some(&before) = index.checked_sub(1).and_then(|before| self.points.get(before)) else {
            let is_first = self.forgotten_ms.is_none() && self.points.len() == 1;
            self.points[index].1 = if is_first { held.max(value) } else { held };
            return None;
        };
        let is_extra = index + 1 < self.points.len() || self.repeats.is_some_and(Repeats::is_extra);
        let shown_kw = self.shown_kw();
        let most = self.points.last()?.1 + limit_kw(shown_kw, None) * hours(CLOCK_OFF_MS);
        // Where no power is known yet, the second is no worse than the first.
        let is_own = shown_kw == 0.0 || value <= most;
        let former = self.contradicted.filter(|former| former.is_extra);
        let lower = former
            .filter(|former| former.at_ms == at_ms && former.by > 0.0)
            .map_or(held, |former| held - former.by);
        let by = if value > held { value - lower } else { value - held };
        let is_kept = is_own && by > 0.0 && self.points.get(index + 1).is_some_and(|next| is_below(*next, value));
        self.contradicted = Some(Contradicted {
            at_ms,
            by,
            is_extra,
            is_kept,
        });
        if by <= 0.0 || !is_own {
            return None;
        }
        if is_kept {
            return Some(self.keep_lower(before.0, (at_ms, held)));
        }
        self.points[index].1 = value;
        self.marks.retain(|mark| mark.at_ms < at_ms);
        let row = former.filter(|former| former.at_ms == before.0);
        let most = self
            .most(before, at_ms, basis)
            .filter(|most| row.is_none() && value > *most);
        let n_alone = self.n_alone().filter(|_| most.is_some() && !is_extra);
        if let Some(from_ms) = n_alone.and_then(|n_alone| self.leave_out(n_alone)) {
            return Some(from_ms);
        }
        // Where the lower value cannot be of its instant either, the register counts more than ever. What goes on with the higher
        // values after the lower ones is of another clock.
        let is_of_other_time = is_extra && most.is_some_and(|most| lower <= most);
        if is_of_other_time || row.is_some_and(|row| row.is_kept) {
            self.tear(before.0);
        }
        Some(before.0)
    }

    /// How many of the readings just before the newest that a gateway made alone must be left out, so that the newest is no more
    /// than the power shown makes. `None` where none was made so.
    fn n_alone(&self) -> Option<usize> {
        let n_short = self.repeats?.n_short as usize;
        let (newest, earlier) = self.points.split_last()?;
        let most_kw = limit_kw(self.shown_kw(), None);
        let fits = |n_out: &usize| {
            let before = earlier.len().checked_sub(1 + n_out).map(|before| earlier[before]);
            before.is_some_and(|before| newest.1 - before.1 <= most_kw * hours(newest.0 - before.0))
        };
        (n_short > 0).then(|| (1..n_short).find(fits).unwrap_or(n_short))
    }

    /// Leaves out so many readings just before the newest, a late gateway's perhaps: what was used is told from the one before
    /// them. Gives from where on energy is told anew.
    fn leave_out(&mut self, n_out: usize) -> Option<i64> {
        self.repeats.as_mut()?.n_short = 0;
        let newest = self.points.len() - 1;
        let first = newest.checked_sub(n_out).filter(|first| *first > 0)?;
        self.points.drain(first..newest);
        let (before_ms, _) = self.points[first - 1];
        self.marks.retain(|mark| mark.at_ms <= before_ms);
        Some(before_ms)
    }

    /// A reading came, and instants have come more than once: what it shows of those before. Gives from where on energy is told
    /// anew, where it is.
    #[cold]
    pub(super) fn show_instants(&mut self, at_ms: i64) -> Option<i64> {
        if self.last_ms() != Some(at_ms) {
            return None;
        }
        self.show_alone().or_else(|| self.show_too_high())
    }

    /// Where a late gateway spoke alone the register has not fallen.
    fn show_alone(&mut self) -> Option<i64> {
        let n_short = self.repeats?.n_short as usize;
        let (newest, alone) = self.points.split_last()?;
        let (before, alone) = alone.get(alone.len().checked_sub(n_short + 1)?..)?.split_first()?;
        let has_fallen = alone.iter().any(|point| is_below(*point, before.1)) && !is_below(*newest, before.1);
        has_fallen.then(|| self.leave_out(n_short))?
    }

    /// Where the register went on below the higher value of an instant that came more often than usual, that one was too high, and
    /// is taken back.
    fn show_too_high(&mut self) -> Option<i64> {
        let [.., (before_ms, _), (high_ms, higher), next, _] = self.points[..] else {
            return None;
        };
        let is_open = |row: &Contradicted| row.is_extra && row.by > 0.0 && !row.is_kept && row.at_ms == high_ms;
        let row = self.contradicted.filter(is_open)?;
        let lower = higher - row.by;
        if !is_below(next, higher) || is_below(next, lower) {
            return None;
        }
        self.contradicted = Some(Contradicted { is_kept: true, ..row });
        Some(self.keep_lower(before_ms, (high_ms, lower)))
    }

    /// A clock was set back over these readings, or one was too high, and the lower value stays. Gives from where on energy is told
    /// anew.
    fn keep_lower(&mut self, before_ms: i64, (at_ms, lower): Point) -> i64 {
        let index = self.place(at_ms);
        self.points[index].1 = lower;
        self.marks.retain(|mark| mark.at_ms < at_ms);
        self.torn_ms.pop_if(|torn_ms| *torn_ms == before_ms);
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

    /// Where the register stands at most, by the power that it has shown; `None` where that tells nothing. What is higher was
    /// read later, or the reading before earlier, than it says.
    fn most(&self, (before_ms, before): Point, at_ms: i64, basis: &Basis<'_>) -> Option<f64> {
        let (memory, gap_ms) = (self.learnt(), basis.lengths.gap_ms);
        let used = |kw: f64| kw * hours(at_ms - before_ms);
        let lasting = used(memory.lasting_kw());
        // A step that is more than what lasts is no power.
        let most = if memory.step() > lasting {
            lasting
        } else {
            used(self.shown_kw())
        };
        let tells = memory.has_risen() && is_in_rhythm(at_ms - before_ms, gap_ms);
        tells.then_some(before + most + 2.0 * memory.step())
    }
}

/// Whether the register goes on below a value that it would have stood at.
fn is_below(next: Point, value: f64) -> bool {
    next.1 < value - waver(value)
}

/// Whether readings so far apart are read one after the other: what was held back and comes at once has no rhythm.
fn is_in_rhythm(elapsed_ms: i64, gap_ms: i64) -> bool {
    (gap_ms / (2 * i64::from(GAP_PERIODS))..=gap_ms).contains(&elapsed_ms)
}
