//! Changes of the meter, as entered: where in a register's readings each one lies, and what was used across it.
//!
//! Part of the walk in `counter.rs`. People enter the instant from memory or from a sheet, so the register's own fall or
//! leap nearest to it counts. Invariants: a change is applied once; an entered reading that the register's own
//! contradict neither gives nor takes energy.

use super::{Step, Walk, leap::LEAP};
use crate::{
    interval::{
        known::{MARGIN, waver},
        point::{MS_PER_HOUR, Point},
        repair::RepairKind,
    },
    quantity::Quantity,
    site::Swap,
};

/// A change of the meter may have been entered so far off, ms, and may take as long, on either side.
pub const CHANGE_MS: i64 = 2 * 3_600_000;
/// What came within that time may still prove to be a spike for so long, ms.
const SURE_MS: i64 = 3_600_000;

/// From when on a register read at `at_ms` may be told anew, because of a change of the meter about then, ms.
pub(crate) fn changing_ms(swaps: &[Swap], at_ms: i64) -> Option<i64> {
    let mut entered = swaps.iter().map(|swap| swap.at.as_millisecond());
    let entered_ms = entered.find(|ms| (ms - CHANGE_MS..ms + CHANGE_MS + SURE_MS).contains(&at_ms))?;
    Some(entered_ms - CHANGE_MS)
}

impl<'a> Walk<'a> {
    /// The next change of the meter is looked for where it may first be: whatever the walk began at, it has learnt the same
    /// by then.
    pub(super) fn expect_swap(&mut self) {
        let at_ms = self.at_ms().unwrap_or(i64::MAX);
        let mut entered = self.coming().iter().map(|swap| swap.at.as_millisecond());
        let next_ms = entered.find(|entered_ms| entered_ms.saturating_add(CHANGE_MS) > at_ms);
        (self.swap_ms, self.swapped_to_ms) = (i64::MAX, i64::MIN);
        self.look_ms = next_ms.map_or(i64::MAX, |entered_ms| entered_ms - CHANGE_MS);
    }

    /// Looks for the reading from which on the next change of the meter counts.
    #[cold]
    pub(super) fn look_for_swap(&mut self) {
        self.look_ms = i64::MAX;
        let (Some(at_ms), Some(next_ms), Some(&(last_ms, _))) = (self.at_ms(), self.next_ms(), self.points.last())
        else {
            return;
        };
        for swap in self.coming() {
            let entered_ms = swap.at.as_millisecond();
            if entered_ms + CHANGE_MS <= at_ms {
                continue;
            }
            if entered_ms - CHANGE_MS > next_ms {
                self.look_ms = entered_ms - CHANGE_MS;
                return;
            }
            if let Some(changed_ms) = self.change(swap, self.at) {
                let index = self.points.partition_point(|point| point.0 < changed_ms);
                self.expect_at(index, swap);
                return;
            }
            if entered_ms > at_ms {
                // Where the register shows none it is as entered; until that is sure, it goes on.
                if last_ms >= entered_ms + CHANGE_MS {
                    self.swap_ms = entered_ms;
                }
                return;
            }
        }
    }

    /// The changes that have not been applied.
    fn coming(&self) -> &'a [Swap] {
        let (swaps, done_ms) = (self.rules.swaps, self.memory.swapped_ms);
        let is_done = |swap: &Swap| done_ms.is_some_and(|done_ms| swap.at.as_millisecond() <= done_ms);
        &swaps[swaps.partition_point(is_done)..]
    }

    /// Instant of the reading after `from` by which the register shows the change: the fall or leap that stayed, nearest
    /// to the entered instant.
    fn change(&self, swap: &Swap, from: usize) -> Option<i64> {
        let entered_ms = swap.at.as_millisecond();
        let mut nearest: Option<(i64, i64)> = None;
        let mut index = from + 1;
        while index < self.points.len() && self.points[index - 1].0 < entered_ms + CHANGE_MS {
            let (before, to) = (self.points[index - 1], self.points[index]);
            let rise = to.1 - before.1;
            let is_far = rise < -waver(before.1) || rise > 0.0 && !self.is_usual(rise, to.0 - before.0);
            if let Some(back) = is_far.then(|| self.returned_to(index - 1, before)).flatten() {
                index = back + 1;
                continue;
            }
            let is_change = is_far && self.is_change(before, to, swap);
            let after = if is_change {
                self.after_zeros(index, swap)
            } else {
                index
            };
            let to_ms = self.points[after].0;
            if is_change && to_ms > entered_ms - CHANGE_MS {
                let off_ms = off_ms(entered_ms, (before.0, to_ms)).abs();
                if nearest.is_none_or(|(nearest_ms, _)| off_ms < nearest_ms) {
                    nearest = Some((off_ms, to_ms));
                }
            }
            index = after + 1;
        }
        nearest.map(|(_, to_ms)| to_ms)
    }

    /// The change lies before the new device's first reading, at `index`. The index of the first reading that is not the old
    /// one's own.
    fn expect_at(&mut self, index: usize, swap: &Swap) -> usize {
        let first = self.stale_since(index, swap).unwrap_or(index);
        (self.swap_ms, self.swapped_to_ms) = (self.points[first].0, self.points[index].0);
        first
    }

    /// Index of the reading from which on a gateway has said the old device's last value again, which was gone by then: the
    /// new one, first read at `end`, has counted more than it ever did since the reading before. `None` where that one was
    /// the old device's own.
    fn stale_since(&self, end: usize, swap: &Swap) -> Option<usize> {
        let (to, last) = (self.points[end], self.points[end - 1]);
        let counted = to.1 - swap.first_kwh;
        let most_kw = if self.memory.peak_kw > 0.0 {
            self.memory.peak_kw
        } else {
            self.limit_kw
        };
        let needed_ms = (counted * MS_PER_HOUR / most_kw) as i64;
        if self.rules.quantity != Quantity::EnergyImport || last.1 == 0.0 || needed_ms <= to.0 - last.0 {
            return None;
        }
        let entered_ms = swap.at.as_millisecond();
        let since_ms = entered_ms
            .min(to.0.saturating_sub(needed_ms))
            .max(entered_ms - CHANGE_MS);
        let n_equal = self.points[..end]
            .iter()
            .rev()
            .take_while(|point| point.1 == last.1)
            .count();
        let first = self.points.partition_point(|point| point.0 < since_ms);
        let first = first.max(end - n_equal).max(self.at + 1);
        let is_stale = first < end && self.is_usual(counted, to.0 - self.points[first - 1].0);
        is_stale.then_some(first)
    }

    /// Whether another register may have begun between two readings that are far apart.
    fn is_change(&self, (before_ms, before): Point, (ms, value): Point, swap: &Swap) -> bool {
        let (rise, elapsed_ms) = (value - before, ms - before_ms);
        if rise < 0.0 {
            let over_top = self.rules.rollover.filter(|top| *top >= before).map(|top| top + rise);
            return !over_top.is_some_and(|rise| self.is_plausible(rise, elapsed_ms));
        }
        if self.is_step(rise) {
            return false;
        }
        match self.rules.quantity {
            Quantity::EnergyImport => (value - swap.first_kwh).abs() < rise / 2.0,
            _ if self.limit_kw > 0.0 => rise * MS_PER_HOUR > LEAP * self.limit_kw / MARGIN * elapsed_ms as f64,
            _ => self.is_impossible(rise, elapsed_ms),
        }
    }

    /// While a meter is changed, its gateway may say zeros: the first reading that cannot have been counted from them, or
    /// that the new device was entered to begin at; else the zero that comes first after the change.
    fn after_zeros(&self, index: usize, swap: &Swap) -> usize {
        let n_zeros = self.points[index..].iter().take_while(|point| point.1 == 0.0).count();
        let next = index + n_zeros;
        match self.points.get(next) {
            Some(&(ms, value))
                if n_zeros > 0
                    && (!self.is_usual(value, ms - self.points[next - 1].0) || self.begins_above_zero(value, swap)) =>
            {
                next
            }
            _ => {
                let entered_ms = swap.at.as_millisecond();
                let last_zero = next.saturating_sub(1).max(index);
                self.points
                    .partition_point(|point| point.0 < entered_ms)
                    .clamp(index, last_zero)
            }
        }
    }

    /// Whether the new device was entered to begin above zero, and `value` is no less.
    fn begins_above_zero(&self, value: f64, swap: &Swap) -> bool {
        let first_kwh = swap.first_kwh;
        self.rules.quantity == Quantity::EnergyImport && first_kwh > waver(0.0) && value >= first_kwh - waver(first_kwh)
    }

    /// Another meter, or several one after the other, between the last reading and the one at `index`, or the first after it
    /// that is the new device's.
    pub(super) fn swapped(&mut self, index: usize) -> Step {
        let index = index.max(self.points.partition_point(|point| point.0 < self.swapped_to_ms));
        let (coming, to) = (self.coming(), self.points[index]);
        let unseen = coming[1..]
            .iter()
            .take_while(|swap| swap.at.as_millisecond() <= to.0 && self.change(swap, index).is_none());
        let swaps = &coming[..=unseen.count()];
        let from_ms = self.points[self.at].0;
        let (rise, mut why) = self.across(to, swaps);
        let off_ms = off_ms(swaps[0].at.as_millisecond(), (from_ms, to.0));
        if off_ms != 0 {
            why.push(("off_s", off_ms as f64 / 1000.0));
        }
        self.memory.zeroed = None;
        self.memory.swapped_ms = swaps.last().map(|swap| swap.at.as_millisecond());
        let step = self.repaired(index, RepairKind::Swap, rise, why);
        self.expect_swap();
        step
    }

    /// Whether a change of the meter lies between the reading at `index` and the one before. Where zeros came before it, only
    /// the new device's first reading tells.
    pub(super) fn is_changed(&self, index: usize) -> bool {
        let (Some(&to), Some(swap)) = (self.points.get(index), self.coming().first()) else {
            return false;
        };
        let before = self.points[index - 1];
        let entered_ms = swap.at.as_millisecond();
        if off_ms(entered_ms, (before.0, to.0)).abs() > CHANGE_MS {
            return false;
        }
        if before.1 == 0.0 && self.rules.quantity == Quantity::EnergyImport {
            let rise = to.1 - swap.first_kwh;
            return rise >= -waver(to.1) && self.is_usual(rise, to.0 - before.0 + CHANGE_MS);
        }
        to.0 >= self.swap_ms || self.change(swap, index - 1) == Some(to.0)
    }

    /// A step over a standstill that lasts until a change of the meter, at the reading `jump`, where the entered last reading
    /// says that it was none: its share of what the register had not counted. `None` where it had, or may have since its
    /// last reading.
    pub(super) fn frozen_until_swap(&mut self, jump: usize) -> Option<Step> {
        let swap = self.coming().first().filter(|_| self.is_changed(jump))?;
        let is_found = self.points[jump].0 >= self.swap_ms;
        let jump = if is_found { jump } else { self.expect_at(jump, swap) };
        if jump == self.at + 1 {
            return Some(self.swapped(jump));
        }
        let owed = swap.last_kwh - self.reference;
        let (since_ms, last_ms, to_ms) = (self.points[self.at].0, self.points[jump - 1].0, self.points[jump].0);
        let most_kw = if self.memory.peak_kw > 0.0 {
            MARGIN * self.memory.peak_kw
        } else {
            self.limit_kw
        };
        let is_owed = self.rules.quantity == Quantity::EnergyImport
            && owed * MS_PER_HOUR > most_kw * (to_ms - last_ms) as f64
            && self.is_plausible(owed, to_ms - since_ms)
            && !self.is_step(owed);
        if !is_owed {
            return None;
        }
        // The old device counted until it was changed.
        let changed_ms = swap.at.as_millisecond().clamp(last_ms, to_ms);
        let rise = owed * (last_ms - since_ms) as f64 / (changed_ms - since_ms) as f64;
        let why = vec![
            ("unchanged_s", (last_ms - since_ms) as f64 / 1000.0),
            ("n_readings", (jump - self.at) as f64),
            ("last_kwh", self.reference + owed),
        ];
        let stood_at = self.reference;
        let step = self.repaired(jump - 1, RepairKind::Frozen, Some(rise), why);
        self.reference = stood_at + rise;
        Some(step)
    }

    /// What was used from the last reading of one device to the first of another, and the numbers it is made from. The
    /// entered readings are those of the import register; of the others only the new zero is known.
    fn across(&self, to: Point, swaps: &[Swap]) -> (Option<f64>, Vec<(&'static str, f64)>) {
        let (seen_ms, seen) = self.memory.zeroed.unwrap_or((self.points[self.at].0, self.reference));
        let elapsed_ms = to.0 - seen_ms;
        let plain = Some(to.1 - seen).filter(|rise| *rise >= 0.0 && self.is_usual(*rise, elapsed_ms));
        if self.rules.quantity != Quantity::EnergyImport {
            return (plain, vec![]);
        }
        let (mut sum, mut zero, mut is_contradicted) = (0.0, seen, false);
        let ends = swaps
            .iter()
            .map(|swap| (swap.last_kwh, swap.first_kwh))
            .chain([(to.1, 0.0)]);
        for (last, first) in ends {
            let rise = last - zero;
            if rise >= -waver(zero) && self.is_plausible(rise, elapsed_ms) {
                sum += rise.max(0.0);
            } else {
                is_contradicted = true;
            }
            zero = first;
        }
        let mut why: Vec<_> = swaps
            .last()
            .map(|swap| vec![("last_kwh", swap.last_kwh), ("first_kwh", swap.first_kwh)])
            .unwrap_or_default();
        if is_contradicted {
            why.push(("seen_kwh", seen));
        }
        (plain.filter(|_| is_contradicted).or(Some(sum)), why)
    }
}

/// How much later than entered a step across the change lies, ms; 0 = the entered instant lies in it.
fn off_ms(entered_ms: i64, (from_ms, to_ms): (i64, i64)) -> i64 {
    (from_ms - entered_ms).max(0) + (to_ms - entered_ms).min(0)
}
