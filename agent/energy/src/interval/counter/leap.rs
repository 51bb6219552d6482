//! Leaps: rises far beyond what the register has ever counted, and what it does after them.
//!
//! Part of the walk in `counter.rs`. Invariant: a leap is energy only where the register goes on at its power, or where
//! so little is known of it that any power may be its own.

use super::{IMPOSSIBLE, Step, Walk};
use crate::{
    interval::{
        known::{FLOAT_STEP, MARGIN, limit_kw, waver},
        point::{MS_PER_HOUR, Point, hours},
        repair::RepairKind,
    },
    quantity::Quantity,
};

/// Where no power is known, kW: no factory feeder carries more (see the table of quantities).
const ANY_KW: f64 = 1e5;
/// A register has shown what it counts once it has been followed for a day, ms.
pub(super) const LEARNT_MS: i64 = 86_400_000;
/// A rise is a leap beyond this times what the highest power makes, learnt or rated.
pub(super) const LEAP: f64 = 3.0;
/// … or by so many times what it has shown, where little is known.
pub(super) const FAR: f64 = 10.0;
/// A leap is a power that goes on where what follows is at least this share of it.
pub(super) const GOES_ON_SHARE: f64 = 0.5;

impl Walk<'_> {
    /// What a rise may be, in the register's unit: by the highest power known, or by any.
    pub(super) fn plausible(&self, elapsed_ms: i64) -> f64 {
        let limit_kw = if self.limit_kw > 0.0 {
            self.limit_kw
        } else {
            MARGIN * ANY_KW
        };
        limit_kw * hours(elapsed_ms)
    }

    /// No power makes this rise.
    pub(super) fn is_impossible(&self, rise: f64, elapsed_ms: i64) -> bool {
        rise > impossible_kw(self.memory.peak_kw, self.rules.max_kw) * hours(elapsed_ms)
    }

    /// How much a register that came to `value` may count at once.
    pub(super) fn step_to(&self, value: f64) -> f64 {
        self.memory.grain.step_to(value).max(value * FLOAT_STEP / 2.0)
    }

    /// Whether a rise is no more than the register makes at a time: one of large steps rises by one of them in no time. A
    /// difference of two floats is known to one step of a float.
    pub(super) fn is_step(&self, rise: f64) -> bool {
        let value = self.reference + rise;
        rise <= 2.0 * self.step_to(value) + value * FLOAT_STEP / 2.0
    }

    /// A rise that is no energy; `None` where it is, or may be.
    pub(super) fn leapt(&mut self, to: Point, rise: f64) -> Option<Step> {
        let elapsed_ms = to.0 - self.points[self.at].0;
        let next = self.points[self.at + 1..].iter().find(|next| next.1 != to.1).copied();
        let span_ms = if self.is_step(rise) {
            to.0 - self.since_ms
        } else {
            elapsed_ms
        };
        let is_impossible = self.is_impossible(rise, span_ms) && !self.is_large_step(to, rise, next);
        let is_energy = !self.is_leap(to, rise) || goes_on(rise, elapsed_ms, to, next);
        if is_energy && !is_impossible {
            return None;
        }
        if self.is_mistimed() {
            return Some(self.catches_up(to, rise));
        }
        let why = vec![("rise", rise), ("plausible", self.plausible(elapsed_ms))];
        // Until the register has said anything after it, it may as well come back.
        let is_last = self.at + 2 == self.points.len() && !is_impossible;
        let kind = if is_last { RepairKind::Spike } else { RepairKind::Jump };
        self.memory.leapt_to = Some(to);
        Some(self.repaired(self.at + 1, kind, None, why))
    }

    /// Whether the register counts in steps so large, though its values do not tell: it can have used this one since the one
    /// before, and counted nothing else meanwhile, or the next one is like it.
    fn is_large_step(&self, to: Point, rise: f64, next: Option<Point>) -> bool {
        let is_after = |(then_ms, then): Point| {
            (to.1 - then - rise).abs() <= waver(to.1) && self.is_plausible(rise, to.0 - then_ms)
        };
        let is_before = |next: Point| {
            (GOES_ON_SHARE * rise..=rise / GOES_ON_SHARE).contains(&(next.1 - to.1))
                && self.is_plausible(next.1 - to.1, next.0 - to.0)
        };
        self.memory.leapt_to.is_some_and(is_after)
            || self.is_plausible(rise, to.0 - self.since_ms) && next.is_some_and(is_before)
    }

    /// Far beyond what a register that is known counts in the time since its last reading, and in that since it stood
    /// still more than usual.
    fn is_leap(&self, to: Point, rise: f64) -> bool {
        // What is fed back goes by the weather, and nothing is rated: a few days have not shown it.
        let (times, known_ms) = match self.rules.quantity {
            Quantity::EnergyExport => (FAR, self.rules.patience.known_ms),
            _ => (LEAP, LEARNT_MS),
        };
        let most_kw = times * self.limit_kw / MARGIN;
        self.memory.known_ms >= known_ms
            && !self.is_step(rise)
            && rise * MS_PER_HOUR > most_kw * (to.0 - self.points[self.at].0) as f64
            && !self.is_usual(rise, to.0 - self.since_ms)
    }
}

/// No power is higher, kW: by the highest known, or by what a factory's feeder carries.
pub(crate) fn impossible_kw(peak_kw: f64, max_kw: Option<f64>) -> f64 {
    max_kw.map_or(MARGIN * ANY_KW, |_| IMPOSSIBLE * limit_kw(peak_kw, max_kw))
}

/// Whether the register goes on from `to` as it rose to it.
fn goes_on(rise: f64, elapsed_ms: i64, to: Point, next: Option<Point>) -> bool {
    // next rise ÷ its time ≥ share × (rise ÷ its time)
    next.is_some_and(|next| (next.1 - to.1) * elapsed_ms as f64 >= GOES_ON_SHARE * rise * (next.0 - to.0) as f64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::interval::{
        Patience,
        known::{Memory, Rules},
    };

    /// Whether a rise between two readings is one or two steps of a register read to a tenth.
    fn check(before: f64, after: f64, expected: bool) {
        let rules = Rules {
            quantity: crate::Quantity::EnergyImport,
            rollover: None,
            max_kw: None,
            swaps: &[],
            days_off: None,
            patience: Patience::default(),
            gap_ms: 3_600_000,
        };
        let points = [(0, before), (60_000, after)];
        let mut memory = Memory::default();
        for value in [0.1, 66.5, before] {
            memory.grain.learn(value, value, false);
        }
        let walk = Walk::new(&points, memory, rules);
        assert_eq!(walk.is_step(after - before), expected, "{before} {after}");
    }

    #[test]
    fn two_steps_are_two_steps_whatever_a_float_makes_of_them() {
        check(66.7, 66.8, true);
        check(66.7, 66.9, true);
        check(66.7, 67.0, false);
        check(f64::from(66.7_f32), f64::from(66.9_f32), true);
        check(98_765.4, 98_765.6, true);
        check(98_765.4, 98_765.7, false);
    }
}
