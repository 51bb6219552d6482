//! In what steps a register counts: the largest number that its values are whole multiples of.
//!
//! It knows no time and no power. Invariants: what it says is never less than the register's own step, as long as that is
//! a whole number of the parts looked for; once it is known, noise beside its multiples does not change it.

use serde::{Deserialize, Serialize};

/// Parts of a register's unit down to which its step is looked for: what registers of 32-bit floats still resolve …
pub(crate) const THOUSANDTHS: u64 = 1000;
/// … and what those that count behind transformers say.
pub(crate) const MILLIONTHS: u64 = 1_000_000;
/// So many values that fit make a step known.
const KNOWN: u8 = 10;
/// Beside a multiple of a known step, of ten times this at least, by this part of the unit lies noise: seen on real meters,
/// −0.007 kWh.
const NOISE: u64 = 100;

/// What is known of a register's step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(crate) struct Grain<const PARTS: u64> {
    /// The step, in parts of the register's unit; 0 = no value yet.
    parts: u64,
    n_fitted: u8,
}

impl<const PARTS: u64> Grain<PARTS> {
    /// A value, unlike the one before it: a register that rests tells nothing.
    pub(crate) fn learn(&mut self, value: f64) {
        if self.parts == 1 {
            return;
        }
        let value = in_parts(value, PARTS);
        if self.fits(value) {
            self.n_fitted = (self.n_fitted + 1).min(KNOWN);
        } else {
            *self = Self {
                parts: common(self.parts, value),
                n_fitted: 0,
            };
        }
    }

    /// Whether there was no value yet.
    pub(crate) fn is_new(&self) -> bool {
        self.parts == 0
    }

    /// The step, in the register's unit; 0 before any value.
    pub(crate) fn step(&self) -> f64 {
        self.parts as f64 / PARTS as f64
    }

    /// The step of a register that comes to `value`.
    pub(crate) fn step_to(&self, value: f64) -> f64 {
        let value = in_parts(value, PARTS);
        let step = if self.fits(value) {
            self.parts
        } else {
            common(self.parts, value)
        };
        step as f64 / PARTS as f64
    }

    fn is_known(&self) -> bool {
        self.n_fitted >= KNOWN
    }

    fn fits(&self, value: u64) -> bool {
        if self.parts == 0 {
            return false;
        }
        let above = value % self.parts;
        let beside = above.min(self.parts - above);
        beside == 0 || self.is_known() && beside <= PARTS / NOISE && self.parts >= 10 * PARTS / NOISE
    }
}

/// The decimal place that a value ends at: of a single one, no more is known.
pub(crate) fn decimal(value: f64) -> f64 {
    let value = in_parts(value, THOUSANDTHS);
    let mut place = 1;
    while value > 0 && value.is_multiple_of(10 * place) {
        place *= 10;
    }
    place as f64 / THOUSANDTHS as f64
}

fn in_parts(value: f64, parts: u64) -> u64 {
    (value.abs() * parts as f64).round() as u64
}

/// The largest number that both are multiples of.
fn common(mut a: u64, mut b: u64) -> u64 {
    while b > 0 {
        (a, b) = (b, a % b);
    }
    a
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(values: impl IntoIterator<Item = f64>, expected: f64) {
        let mut grain = Grain::<MILLIONTHS>::default();
        let values: Vec<f64> = values.into_iter().collect();
        for value in &values {
            grain.learn(*value);
        }
        assert_eq!(grain.step(), expected, "{values:?}");
    }

    #[test]
    fn values_tell_the_step_of_their_register() {
        check([], 0.0);
        check([0.0, 0.0], 0.0);
        check([1230.0, 1240.0, 1270.0], 10.0);
        check([1234.5, 1235.2, 1236.07], 0.01);
        check((0..60).map(|n| 7500.0 + 0.75 * f64::from(n)), 0.75);
        check((0..60).map(|n| 41.63636 * f64::from(180 + n)), 41.63636);
    }

    #[test]
    fn noise_beside_a_known_step_is_none() {
        let tens = |n: i32| 12_340.0 + 10.0 * f64::from(n);
        let noisy = move |n: i32| tens(n) - if n > 12 && n % 3 == 0 { 0.007 } else { 0.0 };
        check((0..90).map(noisy), 10.0);
        // What is far beside it is none.
        check((0..90).map(|n| tens(n) + if n == 40 { 3.0 } else { 0.0 }), 1.0);
        check((0..90).map(tens).chain((0..90).map(|n| 20_000.0 + f64::from(n))), 1.0);
    }

    #[test]
    fn a_step_is_asked_of_the_value_too() {
        let mut grain = Grain::<THOUSANDTHS>::default();
        (0..20).for_each(|n| grain.learn(500.0 + 10.0 * f64::from(n)));
        for (value, expected) in [(900.0, 10.0), (899.993, 10.0), (905.0, 5.0), (905.5, 0.5)] {
            assert_eq!(grain.step_to(value), expected, "{value}");
        }
    }

    #[test]
    fn a_single_value_tells_its_decimal_place() {
        for (value, expected) in [(1200.0, 100.0), (1200.5, 0.1), (0.0, 0.001), (7.0, 1.0)] {
            assert_eq!(decimal(value), expected, "{value}");
        }
    }
}
