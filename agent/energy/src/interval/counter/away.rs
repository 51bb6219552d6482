//! Readings far from the register's place that come back: spikes within the hour, zeros however long they last.
//!
//! Part of the walk in `counter.rs`. Invariant: what is discarded gives and takes no energy; the register goes on from
//! where it stood. While nothing but zeros follows, nobody can tell whether it was reset.

use super::{Step, Walk, leap::LEAP};
use crate::interval::{
    grain::decimal,
    known::{MARGIN, limit_kw, waver},
    point::{MS_PER_HOUR, Point, SPREAD_MS, hours},
    repair::RepairKind,
};

/// Readings that left the register's place come back within this time …
pub(crate) const RETURN_MS: i64 = 3_600_000;
/// … or within this number of readings, if they are further apart.
pub(crate) const RETURN_READINGS: usize = 4;
/// Zeros and nothing else may last for longer than that before they come back. After a day they are told, as a fault of
/// the meter.
pub(crate) const ZERO_MS: i64 = 86_400_000;
/// They are back when they stand no further from their place than this share of how far they had left.
const RETURN_SHARE: f64 = 0.1;
/// Nothing is known before a register's first zeros. What follows them is energy up to this step of the register …
pub(crate) const FIRST_STEP: f64 = 10.0;
/// … or to a round number of kWh, so many times its decimal place at most: a register behind large transformers may count
/// in tens or in a hundred …
const FEW_STEPS: f64 = 9.0;
const LARGEST_STEP: f64 = 100.0;
/// … and what a plant draws, kW, where no power is known; beyond that the zeros were none.
const FIRST_KW: f64 = 1000.0;

impl Walk<'_> {
    /// Index of the reading at which the register is back where it stands at the reading `from`, if the one after that
    /// only left it.
    pub(super) fn returned(&self, from: usize) -> Option<usize> {
        self.returned_to(from, (self.since_ms, self.reference))
    }

    /// The same, where it has stood at `base` since `base_ms`.
    pub(super) fn returned_to(&self, from: usize, (base_ms, base): Point) -> Option<usize> {
        let first = from + 1;
        let (left_ms, left) = *self.points.get(first)?;
        let near = RETURN_SHARE * (left - base).abs();
        let mut is_zero = base > 0.0;
        for back in first + 1..self.points.len() {
            let ((before_ms, before), (ms, value)) = (self.points[back - 1], self.points[back]);
            is_zero &= before == 0.0;
            let is_late = ms - left_ms > RETURN_MS && back - first > RETURN_READINGS;
            if ms >= self.swap_ms || is_late && !(is_zero && ms - left_ms <= SPREAD_MS) {
                return None;
            }
            let (leap, off) = (value - before, value - base);
            // Low values that are no zeros may be another device's, and this one a spike of it.
            let is_low = left < base && left != 0.0 && self.limit_kw > 0.0;
            let is_risen = match is_late {
                true => self.is_plausible(off, ms - base_ms),
                false if is_low => self.is_plausible(off / LEAP, ms - base_ms) || self.is_step(off),
                false => off <= near || self.is_usual(off, ms - base_ms),
            };
            let is_back = off >= -waver(base) && is_risen;
            // Where it has gone past the first reading that left its place, that one was none of those.
            let is_leap = if leap < 0.0 {
                left > base && value < left && -leap > waver(base)
            } else if is_zero && self.limit_kw > 0.0 {
                self.has_zeroed(base, value, ms - before_ms)
            } else if self.limit_kw > 0.0 {
                left < base && !self.is_usual(leap, ms - before_ms)
            } else {
                left < base && leap > off.abs() / RETURN_SHARE
            };
            if is_back && is_leap {
                return Some(back);
            }
        }
        None
    }

    /// Whether zeros after `base` were none, because `value` follows them: the same again, which no register that was reset
    /// counts to, or more than it can have counted. That is told by what it has shown, if anything, however much is
    /// contracted: a new register stands so low that a large contract's power would bring it back.
    fn has_zeroed(&self, base: f64, value: f64, elapsed_ms: i64) -> bool {
        let is_same = (value - base).abs() <= waver(base) && base > 2.0 * self.step_to(base);
        let limit_kw = limit_kw(
            self.memory.peak_kw,
            self.rules.max_kw.filter(|_| self.memory.peak_kw == 0.0),
        );
        is_same || value * MS_PER_HOUR > limit_kw * elapsed_ms as f64
    }

    /// Steps over readings that left the register's place, to the one that is back.
    pub(super) fn discarded(&mut self, back: usize) -> Step {
        let (from_ms, reference) = (self.points[self.at].0, self.reference);
        let away = &self.points[self.at + 1..back];
        let to = self.points[back];
        let is_zero = reference > 0.0 && away.iter().all(|point| point.1 == 0.0);
        let furthest = away.iter().map(|point| point.1).fold(reference, |furthest, value| {
            if (value - reference).abs() > (furthest - reference).abs() {
                value
            } else {
                furthest
            }
        });
        let mut why = vec![
            ("n_readings", away.len() as f64),
            ("furthest", furthest),
            ("lasted_s", (to.0 - from_ms) as f64 / 1000.0),
        ];
        if is_zero {
            why.push(("stood_at", reference));
            why.push(("whole", (to.1 - reference).max(0.0)));
        }
        let kind = if is_zero {
            RepairKind::ZeroBurst
        } else {
            RepairKind::Spike
        };
        let rise = (to.1 - reference).max(0.0);
        let since_ms = self.since_ms;
        let step = self.repaired(back, kind, Some(rise), why);
        if rise == 0.0 {
            // Not a new value: the way back up from a waver is not counted, and a standstill goes on.
            self.reference = reference;
            self.since_ms = since_ms;
        }
        step
    }

    /// Index of the first reading that is no zero, where the next ones are some.
    pub(super) fn counts_again(&self) -> Option<usize> {
        let zeros = self.points[self.at + 1..].iter().take_while(|point| point.1 == 0.0);
        let index = self.at + 1 + zeros.count();
        self.points.get(index).filter(|point| point.0 < self.swap_ms)?;
        Some(index)
    }

    /// A fall to zero that no reading explains yet, or that is explained only by the first that is no zero: the register
    /// is back, with more than can be told, or another. `None` where it was reset.
    pub(super) fn zeroed(&mut self) -> Option<Step> {
        let before = (self.points[self.at].0, self.reference);
        let zeros = self.points[self.at + 1..].iter();
        let jump = self.at
            + 1
            + zeros
                .take_while(|point| point.1 == 0.0 && point.0 < self.swap_ms)
                .count();
        self.memory.zeroed = Some(before);
        match self.points.get(jump) {
            Some(point) if point.1 > 0.0 && self.is_changed(jump) && self.memory.back(point.1).is_none() => {
                return Some(self.swapped(jump));
            }
            Some(point) if point.0 < self.swap_ms => return self.back(jump),
            Some(_) => return Some(self.swapped(jump)),
            None => {}
        }
        let lasted_ms = self.points[self.at + 1].0 - before.0;
        let why = vec![("lasted_s", lasted_ms as f64 / 1000.0), ("stood_at", before.1)];
        Some(self.repaired(self.at + 1, RepairKind::ZeroBurst, None, why))
    }

    /// The step over zeros, whose meaning was not known, to the reading at `jump`. `None` where it shows that they were
    /// true, or where they are none.
    pub(super) fn back(&mut self, jump: usize) -> Option<Step> {
        let zeroed = self.memory.zeroed?;
        let to = *self.points.get(jump).filter(|point| point.0 < self.swap_ms)?;
        let elapsed_ms = to.0 - self.points[jump - 1].0;
        if self.memory.back(to.1).is_none() || !self.has_zeroed(zeroed.1, to.1, elapsed_ms) {
            self.memory.zeroed = None;
            return None;
        }
        Some(self.unzeroed(jump, zeroed))
    }

    /// A step over zeros back to where the register stood `before` them, at the reading `jump`. What it counted since then
    /// is spread over all that time.
    fn unzeroed(&mut self, jump: usize, (before_ms, before): Point) -> Step {
        let to = self.points[jump];
        let (from_ms, whole) = (self.points[self.at].0, (to.1 - before).max(0.0));
        let share = (to.0 - from_ms) as f64 / (to.0 - before_ms) as f64;
        let rise = self.is_plausible(whole, to.0 - before_ms).then_some(whole * share);
        let why = vec![
            ("lasted_s", (to.0 - before_ms) as f64 / 1000.0),
            ("stood_at", before),
            ("whole", whole),
        ];
        self.memory.zeroed = None;
        self.repaired(jump, RepairKind::ZeroBurst, rise, why)
    }

    /// Whether the reading at `jump` shows that the zeros before it, the first that was ever heard, were none.
    pub(super) fn is_awake(&self, jump: usize) -> bool {
        let Some(&(to_ms, value)) = self.points.get(jump).filter(|point| point.0 < self.swap_ms) else {
            return false;
        };
        let is_first = self.reference == 0.0 && self.memory.rise == 0.0;
        is_first
            && value > self.first_rise(to_ms - self.points[jump - 1].0)
            && !self.is_first_step(value, to_ms - self.since_ms)
            && self.returned(jump - 1).is_none()
    }

    /// Whether a new register of large steps has taken its first one: a round number of kWh, used since it was first heard.
    fn is_first_step(&self, value: f64, stood_ms: i64) -> bool {
        let limit_kw = self.rules.max_kw.map_or(MARGIN * FIRST_KW, |_| self.limit_kw);
        value <= LARGEST_STEP && value <= FEW_STEPS * decimal(value) && value <= limit_kw * hours(stood_ms)
    }

    /// What a register that has never risen may count in a step.
    pub(super) fn first_rise(&self, elapsed_ms: i64) -> f64 {
        let limit_kw = self.rules.max_kw.map_or(MARGIN * FIRST_KW, |_| self.limit_kw);
        FIRST_STEP + limit_kw * hours(elapsed_ms)
    }

    /// Steps over first zeros to the first true reading; what was used before it is not known.
    pub(super) fn awoken(&mut self, jump: usize) -> Step {
        let plausible = self.first_rise(self.points[jump].0 - self.points[jump - 1].0);
        let why = vec![
            ("n_readings", (jump - self.at) as f64),
            ("leap", self.points[jump].1),
            ("plausible", plausible),
        ];
        self.repaired(jump, RepairKind::ZeroBurst, None, why)
    }
}
