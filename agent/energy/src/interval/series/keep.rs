//! Which readings of a register are kept, and which are forgotten.
//!
//! Part of `series.rs`. Invariant: what the readings forgotten have taught stays, and so does the beginning of a standstill
//! or of zeros that last, so that their time can be told again.

use super::Series;
use crate::interval::{
    counter::{RETURN_MS, RETURN_READINGS, ZERO_MS, changing_ms},
    known::{Mark, Rules},
    point::Point,
};

/// Readings that stay although no interval needs them any more, so that late ones still find their place.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Keep {
    /// Those no older than the newest by more than this, ms …
    pub(crate) ms: i64,
    /// … at least so many, however far apart …
    pub(crate) n_least: usize,
    /// … and never more.
    pub(crate) n_most: usize,
}

impl Series {
    /// Which reading is the first to stay, where those before `before_ms` are needed no more but to `keep`.
    fn first_kept(&self, before_ms: i64, keep: Keep) -> Option<usize> {
        let (n_held, last_ms) = (self.points.len(), self.last_ms()?);
        let n_before = |ms: i64| self.place(ms + 1).saturating_sub(1);
        let n_late = n_before(last_ms - keep.ms)
            .min(n_held.saturating_sub(keep.n_least))
            .max(n_held.saturating_sub(keep.n_most));
        let n_gone = n_before(before_ms).min(n_late);
        // Moving the rest costs as much as what is kept: wait until it is worth it.
        (n_gone > keep.n_least.max(n_held / 4)).then_some(n_gone)
    }

    /// Forgets what no interval needs any more: readings before `before_ms`, all but those to `keep`, and the one just
    /// before them.
    pub(crate) fn prune(&mut self, before_ms: i64, keep: Keep) {
        if let Some(n_gone) = self.first_kept(before_ms, keep) {
            let first_ms = self.points[n_gone].0;
            self.points.drain(..n_gone);
            self.torn_ms.retain(|torn_ms| *torn_ms >= first_ms);
            self.bad.drain(..self.bad.partition_point(|point| point.0 < first_ms));
            self.forgotten_ms = Some(first_ms);
        }
    }

    /// As [`Series::prune`], of a counter: what the readings have taught stays, and so does the beginning of a
    /// standstill that lasts, with the interval it lies in, or at the oldest start that can be told again, `oldest_ms`.
    pub(crate) fn prune_counter(&mut self, before_ms: i64, keep: Keep, oldest_ms: i64, start_of: impl Fn(i64) -> i64) {
        let before_ms = before_ms.min(self.unsettled_ms().unwrap_or(before_ms));
        let Some(n_gone) = self.first_kept(before_ms, keep) else {
            return;
        };
        let cut_ms = self.points[n_gone].0;
        let Some(mark) = self.marks.iter().rfind(|mark| mark.at_ms <= cut_ms).copied() else {
            return;
        };
        let (first, first_ms) = (self.place(mark.at_ms), mark.at_ms);
        let Some(last_gone) = first.checked_sub(1) else { return };
        self.first_ms = self.heard_from_ms();
        // Zeros begin at the reading before them.
        let from_ms = |since_ms| mark.memory.zeroed().map_or(since_ms, |(before_ms, _)| before_ms);
        match mark.memory.since_ms.filter(|since_ms| *since_ms < first_ms) {
            Some(since_ms) if start_of(from_ms(since_ms)) >= oldest_ms => {
                self.points.drain(self.place(since_ms + 1)..first);
                self.marks
                    .retain(|mark| mark.at_ms <= since_ms || mark.at_ms >= first_ms);
                let start_ms = start_of(from_ms(since_ms));
                if let Some(head) = self.marks.iter().rfind(|mark| mark.at_ms <= start_ms).copied() {
                    self.begin_at(head);
                }
            }
            Some(_) if oldest_ms < first_ms => {
                self.points[last_gone] = (oldest_ms, mark.memory.reference_or(self.points[first].1));
                self.begin_at(Mark {
                    at_ms: oldest_ms,
                    ..mark
                });
                self.marks.retain(|mark| mark.at_ms >= first_ms);
            }
            _ => self.begin_at(mark),
        }
        self.bad.drain(..self.bad.partition_point(|point| point.0 < first_ms));
        self.torn_ms.retain(|torn_ms| *torn_ms >= first_ms);
        // Of a standstill whose beginning is the last mark left, the rest has been forgotten already.
        self.forgotten_ms = self.forgotten_ms.max(Some(first_ms));
    }

    /// Forgets that something was unusual once no later reading can explain it: zeros, while they last, for a day.
    pub(crate) fn settle(&mut self) {
        let (Some(mut unsettled), Some(last_ms)) = (self.unsettled, self.last_ms()) else {
            return;
        };
        let is_zero = |point: &Point| point.1 == 0.0;
        let n_zeros = self.points.iter().rev().take_while(|point| is_zero(point)).count();
        let zeros = &self.points[self.points.len() - n_zeros..];
        if n_zeros < self.points.len()
            && let Some((since_ms, _)) = zeros.first()
            && last_ms - since_ms <= ZERO_MS
        {
            return;
        }
        let n_after = self.points.len() - self.points.partition_point(|point| point.0 <= unsettled.by_ms);
        if last_ms - unsettled.by_ms > RETURN_MS && n_after > RETURN_READINGS {
            self.unsettled = None;
            return;
        }
        // One unusual reading after the other must not keep all of them; a standstill is told as a whole.
        let n_back = self.points.len().saturating_sub(3 * RETURN_READINGS);
        let n_back = n_back.min(self.place(last_ms - 3 * RETURN_MS));
        unsettled.from_ms = unsettled.from_ms.max(self.points[self.stood_from(n_back)].0);
        self.unsettled = Some(unsettled);
    }

    /// Leaves the mark that no closing interval can where something unusual recurs: at the last place up to `settled_ms`,
    /// after which anything may be told anew, that is neither within zeros nor about a change of the meter, which is looked
    /// for by what was known before it. What stands before it can be forgotten.
    pub(crate) fn mark_settled(&mut self, settled_ms: i64, rules: Rules<'_>) {
        let mut walk = self.walk(settled_ms, rules);
        let mut mark = None;
        while let Some(at_ms) = walk.at_ms().filter(|at_ms| *at_ms <= settled_ms) {
            if walk.learnt().zeroed().is_none() && changing_ms(rules.swaps, at_ms).is_none() {
                mark = Some(walk.mark());
            }
            if walk.next().is_none() {
                break;
            }
        }
        self.marks
            .extend(mark.filter(|mark| self.marks.last().is_none_or(|last| last.at_ms < mark.at_ms)));
    }

    /// From when on nothing is missing that this register said, but for the same again, ms. `None` = from its first.
    pub(crate) fn held_from_ms(&self) -> Option<i64> {
        self.forgotten_ms.and(self.points.first()).map(|first| first.0)
    }

    /// From when on none of its readings has been forgotten, ms. `None` = it has none.
    pub(crate) fn held_whole_from_ms(&self) -> Option<i64> {
        self.forgotten_ms.or(self.points.first().map(|first| first.0))
    }

    /// Instant of its first reading, forgotten or not.
    pub(crate) fn heard_from_ms(&self) -> Option<i64> {
        self.first_ms.or(self.points.first().map(|first| first.0))
    }

    /// Forgets the readings before a mark.
    fn begin_at(&mut self, mark: Mark) {
        self.points.drain(..self.place(mark.at_ms));
        self.marks.retain(|later| later.at_ms > mark.at_ms);
        self.memory = mark.memory;
    }
}
