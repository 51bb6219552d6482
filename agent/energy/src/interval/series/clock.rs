//! Several values for one instant, and what that tells of the clock that stamped them.
//!
//! Where instants come as often as usual the highest counts, whichever came first: of two gateways that deliver one meter it is
//! the one that is not late, and of values that were stamped when they came the newest. Where one comes more often a clock was
//! set, or something was sent again: then the highest counts that can be of it, by the readings on both sides. Invariant: where
//! the register goes on from a value that does not count, that step is unknown, never a peak and never a reset.

use serde::{Deserialize, Serialize};

use super::Series;
use crate::interval::{
    basis::GAP_PERIODS,
    known::{MARGIN, limit_kw, waver},
    point::{Point, hours},
};

/// A clock that was set had been wrong by no more than this, ms: a zone, or a day.
const CLOCK_OFF_MS: i64 = 86_400_000;
/// What is usual is told of so many instants …
const LATELY: usize = 16;
/// … once so many are known.
const KNOWN: usize = 8;
/// So many in a row that come less than half as often as usual are what is usual from there on.
const ALONE: u32 = 8;
/// No clock is set by a period again and again: what rises by that much more than the power shown is one that is cut.
const OFTEN_MARGIN: f64 = 1.6;
/// So many of the values that came for an instant are held.
const VALUES: usize = 8;
/// Another value is even where it leaves less than this share of the power that the one that counts does.
const EVEN: f64 = 0.7;
/// What rises beyond the higher value by so much of what that rose by goes on with it.
const GOES_ON: f64 = 0.75;

/// How often an instant comes: more often than once where two gateways deliver, or stamps are cut to the minute.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub(super) struct Repeats {
    /// How many values more than one come, equal ones too.
    values: Often,
    /// How many that differ.
    others: Often,
    /// So many instants before the newest are known.
    n_known: usize,
    /// The last in a row before the newest that came less than half as often as usual.
    n_short: u32,
    /// The last instant that went on from a value that does not count, ms.
    left_ms: Option<i64>,
}

/// How many of something an instant has.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
struct Often {
    /// As a rule.
    usual: u8,
    /// Of each instant before the newest, the last one last.
    lately: [u8; LATELY],
    /// Of the newest.
    newest: u8,
}

impl Often {
    /// Another instant has begun: `n_known` are known before it.
    fn next(&mut self, n_known: usize) {
        self.lately.rotate_left(1);
        self.lately[LATELY - 1] = std::mem::take(&mut self.newest);
        // Half of them have so many. That is usual until less than a quarter do.
        let mut counts = self.lately;
        counts.sort_unstable();
        let often = counts[LATELY - n_known.max(KNOWN) / 2];
        let n_usual = counts.iter().filter(|count| **count >= self.usual).count();
        if often > self.usual || 4 * n_usual < n_known {
            self.usual = often;
        }
    }
}

impl Repeats {
    /// Nothing came again of so many instants.
    fn after(n_known: usize) -> Self {
        Self {
            n_known: n_known.min(LATELY),
            ..Self::default()
        }
    }

    /// Another instant has begun.
    #[cold]
    fn next(&mut self) {
        let Often { usual, newest, .. } = self.values;
        self.n_short = if newest < usual - usual / 2 {
            self.n_short + 1
        } else {
            0
        };
        if self.n_short > ALONE {
            *self = Self {
                left_ms: self.left_ms,
                ..Self::after(LATELY)
            };
        }
        self.n_known = (self.n_known + 1).min(LATELY);
        self.values.next(self.n_known);
        self.others.next(self.n_known);
    }

    /// Whether the newest instant came more often than it should: what is sent again says nothing else than what came.
    fn is_extra(self, is_new: bool) -> bool {
        self.values.newest > self.values.usual && (is_new || self.others.newest > self.others.usual)
    }
}

/// An instant for which several values came.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Contradicted {
    at_ms: i64,
    /// The highest of them, ascending.
    values: Vec<f64>,
    /// Those of the instant before; none where only one came.
    before: Vec<f64>,
    /// It came more often than usual: a clock was set, perhaps.
    is_extra: bool,
}

impl Contradicted {
    fn highest(&self) -> f64 {
        self.values.last().copied().unwrap_or_default()
    }

    /// Whether the register goes on from a lower value than the one that counts, which itself went on from one of the instant
    /// before: that one was another clock's, and no fall.
    fn goes_on_lower(&self, held: Point, next: Point) -> bool {
        let has_risen = |value: f64, before: f64| value > before + waver(before);
        let highest = self.before.last();
        let highest_rose = highest.is_some_and(|before| has_risen(self.highest(), *before));
        let went_on = |value: f64| {
            let goes_on =
                |before: &f64| !is_below((held.0, value), *before) && (highest_rose || has_risen(value, *before));
            self.before.iter().any(goes_on)
        };
        // Zeros are no other clock's: a gateway has lost its meter.
        let is_lower = |value: &&f64| **value != 0.0 && is_below((held.0, **value), held.1);
        let mut lower = self.values.iter().filter(is_lower);
        lower.any(|value| !is_below(next, *value) && went_on(*value))
    }

    /// Which value leaves the least power on both sides, where that is much less than `held` does.
    fn evenest(&self, before: Point, held: Point, next: Point) -> Option<f64> {
        let kw = |value: f64| {
            let (rise, next_rise) = (value - before.1, next.1 - value);
            let kw = (rise / hours(held.0 - before.0)).max(next_rise / hours(next.0 - held.0));
            if rise.min(next_rise) < -waver(value) {
                f64::INFINITY
            } else {
                kw
            }
        };
        let least = self.values.iter().copied().min_by(|a, b| kw(*a).total_cmp(&kw(*b)))?;
        (kw(least) < EVEN * kw(held.1)).then_some(least)
    }
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
            let n_before = self.points.len() - 1;
            let repeats = self.repeats.get_or_insert_with(|| Repeats::after(n_before));
            repeats.values.newest = repeats.values.newest.saturating_add(1);
        }
    }

    /// Another value came for the instant of a reading that is held. Gives from where on energy is told anew, where it is.
    pub(crate) fn contradict(&mut self, at_ms: i64, value: f64, gap_ms: i64) -> Option<i64> {
        let index = self.points.binary_search_by_key(&at_ms, |point| point.0).ok()?;
        let held = self.points[index].1;
        let Some(&before) = index.checked_sub(1).and_then(|before| self.points.get(before)) else {
            let is_first = self.forgotten_ms.is_none() && self.points.len() == 1;
            self.points[index].1 = if is_first { held.max(value) } else { held };
            return None;
        };
        let shown_kw = self.shown_kw();
        // Where no power is known yet, the second is no worse than the first.
        if shown_kw > 0.0 && value > self.points.last()?.1 + limit_kw(shown_kw, None) * hours(CLOCK_OFF_MS) {
            return None;
        }
        let is_newest = index + 1 == self.points.len();
        let (mut row, is_new) = self.row_with(before, (at_ms, held), value);
        row.is_extra |= !is_newest || self.has_extra(row.values.len() - 1, is_new);
        let counts = self.counting(&row, before, gap_ms);
        let highest_before = row.before.last().copied().filter(|highest| is_below(before, *highest));
        let is_extra = row.is_extra;
        self.contradicted = Some(row);
        if counts == held {
            return None;
        }
        self.set(before, (at_ms, counts));
        if let Some(highest) = highest_before.filter(|_| is_newest) {
            return self.leave(highest, gap_ms).or(Some(before.0));
        } else if is_newest && !is_extra && self.most(before, at_ms, gap_ms).is_some_and(|most| counts > most) {
            return self
                .n_alone()
                .and_then(|n_alone| self.leave_out(n_alone))
                .or(Some(before.0));
        }
        Some(before.0)
    }

    /// Whether the newest instant, for which so many other values came, came more often than usual.
    fn has_extra(&mut self, n_others: usize, is_new: bool) -> bool {
        self.repeats.as_mut().is_some_and(|repeats| {
            repeats.others.newest = u8::try_from(n_others).unwrap_or(u8::MAX);
            repeats.is_extra(is_new)
        })
    }

    /// An instant with another value that came for it, and whether none was like it.
    fn row_with(&mut self, before: Point, (at_ms, held): Point, value: f64) -> (Contradicted, bool) {
        let mut row = match self.contradicted.take() {
            Some(row) if row.at_ms == at_ms => row,
            last => Contradicted {
                at_ms,
                values: vec![held],
                before: last
                    .filter(|last| last.at_ms == before.0)
                    .map_or_else(Vec::new, |last| last.values),
                is_extra: false,
            },
        };
        let is_new = !row.values.contains(&value);
        if is_new {
            let place = row.values.partition_point(|other| *other < value);
            row.values.insert(place, value);
        }
        let n_over = row.values.len().saturating_sub(VALUES);
        row.values.drain(..n_over);
        (row, is_new)
    }

    /// Which of the values for an instant counts.
    fn counting(&self, row: &Contradicted, before: Point, gap_ms: i64) -> f64 {
        let next = self.points.get(self.place(row.at_ms + 1)).copied();
        let most = self.most(before, row.at_ms, gap_ms);
        let can_be = |value: &&f64| {
            !is_below((row.at_ms, **value), before.1)
                && most.is_none_or(|most| **value <= most)
                && next.is_none_or(|next| !is_below(next, **value))
        };
        let fitting = row.values.iter().rev().find(can_be).filter(|_| row.is_extra);
        fitting.copied().unwrap_or(row.highest())
    }

    /// Where the register goes on from the highest value of the instant before, and a lower one counts there, nothing is known of that
    /// instant; nor of the time since, if no power makes so much: it was a clock that has been set. Gives from where on energy is
    /// told anew, where it is.
    fn leave(&mut self, highest: f64, gap_ms: i64) -> Option<i64> {
        let [.., earlier, before, newest] = self.points[..] else {
            return None;
        };
        let most = |since: Point| Some(self.most(since, newest.0, gap_ms)? - since.1);
        let used = most(before)?;
        let goes_on = newest.1 - before.1 > used && newest.1 - highest <= MARGIN * used;
        if !goes_on || !is_below(before, highest) || is_below(newest, highest) {
            return None;
        }
        let used = most(earlier).unwrap_or(0.0);
        let left_ms = self.repeats.as_mut()?.left_ms.replace(newest.0);
        let is_often =
            left_ms.is_some_and(|left_ms| left_ms < newest.0 && self.place(left_ms) + LATELY >= self.points.len());
        let margin = if is_often { OFTEN_MARGIN } else { 1.0 };
        if newest.1 - earlier.1 > margin * used {
            return self.tear(before.0);
        }
        self.points.remove(self.points.len() - 2);
        self.marks.retain(|mark| mark.at_ms <= earlier.0);
        Some(earlier.0)
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
        self.torn_ms.pop_if(|torn_ms| *torn_ms == before_ms);
        Some(before_ms)
    }

    /// A reading came, and instants have come more than once: what it shows of those before. Gives from where on energy is told
    /// anew, where it is.
    #[cold]
    pub(super) fn show_instants(&mut self, at_ms: i64, gap_ms: i64) -> Option<i64> {
        if self.last_ms() != Some(at_ms) {
            return None;
        }
        self.show_alone().or_else(|| self.show_row(gap_ms))
    }

    /// Where a late gateway spoke alone the register has not fallen.
    fn show_alone(&mut self) -> Option<i64> {
        let n_short = self.repeats?.n_short as usize;
        let (newest, alone) = self.points.split_last()?;
        let (before, alone) = alone.get(alone.len().checked_sub(n_short + 1)?..)?.split_first()?;
        let has_fallen = alone.iter().any(|point| is_below(*point, before.1)) && !is_below(*newest, before.1);
        has_fallen.then(|| self.leave_out(n_short))?
    }

    /// Where the register goes on below the value that counts for the instant before, that one was too high, if it came more often
    /// than usual; where it goes on from another one, the clock of one of them was wrong.
    fn show_row(&mut self, gap_ms: i64) -> Option<i64> {
        let [.., earlier, before, newest] = self.points[..] else {
            return None;
        };
        let row = self.contradicted.as_ref().filter(|row| row.at_ms == before.0)?;
        // Where a clock was ahead, silence comes before the row, and both values of each of its instants can be: the lower ones are
        // that clock's.
        let is_after_silence = 2 * (before.0 - earlier.0) > 3 * (newest.0 - before.0);
        if row.is_extra
            && !is_after_silence
            && self.repeats.is_some_and(|repeats| repeats.values.usual == 0)
            && let Some(counts) = row.evenest(earlier, before, newest)
        {
            return Some(self.set(earlier, (before.0, counts)));
        }
        if is_below(newest, before.1) && row.goes_on_lower(before, newest) {
            return self.tear(before.0);
        }
        let highest = row.is_extra.then(|| row.highest())?;
        self.leave(highest, gap_ms)
    }

    /// Another value counts for an instant. Gives from where on energy is told anew.
    fn set(&mut self, before: Point, at: Point) -> i64 {
        let index = self.place(at.0);
        self.points[index].1 = at.1;
        self.marks.retain(|mark| mark.at_ms < at.0);
        if !is_below(at, before.1) {
            self.torn_ms.pop_if(|torn_ms| *torn_ms == before.0);
        }
        before.0
    }

    /// Whether the newest reading goes on with the higher of two values that came for the instant before: the lower ones were
    /// those of a clock that has been set, or of a gateway that is late.
    pub(crate) fn leaves_row(&self) -> bool {
        let [.., (_, earlier), (before_ms, before), (_, last)] = self.points[..] else {
            return false;
        };
        let has_left = self.repeats.is_some_and(|repeats| repeats.left_ms == self.last_ms());
        has_left
            || self.contradicted.as_ref().is_some_and(|row| row.at_ms == before_ms)
                && last - before > (GOES_ON * (before - earlier)).max(waver(before))
    }

    /// Where the register stands at most, by the power that it has shown; `None` where that tells nothing. What is higher was
    /// read later, or the reading before earlier, than it says.
    fn most(&self, (before_ms, before): Point, at_ms: i64, gap_ms: i64) -> Option<f64> {
        let memory = self.learnt();
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
