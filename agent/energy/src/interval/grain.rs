//! In what steps a register counts: what its values are whole multiples of, or lie apart by.
//!
//! It knows no time and no power. A register may begin anywhere: a pulse counter that was set to its meter's reading counts in
//! tens from any number. That shows where it stands still before it rises; what rises at each reading may rise alike because
//! its plant draws alike. Invariants: what it says is never less than the register's own step, as far as its values resolve
//! it; once it is known, noise beside its multiples does not change it.

use serde::{Deserialize, Serialize};

/// Finer than this no step is looked for, in the register's unit: thousandths are what most registers end at …
const FINEST: f64 = 0.001;
/// … and half a step of a 32-bit float, as share of its value, twice: that of both ends of a difference.
const FLOAT_SHARE: f64 = 1.2e-7;
/// So many rises after standstills that fit show from where a register counts, …
const SHOWN: u8 = 3;
/// … and so many values that fit make a step known.
const KNOWN: u8 = 10;
/// Beside a multiple of a known step, of ten times this at least, by so much lies noise: seen on real meters, −0.007 kWh.
const NOISE: f64 = 0.01;
/// What is not sure is less than such a part of a step; of what is no longer than so many times that, nothing is known.
const PARTS: f64 = 4.0;

/// What is known of a register's step.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub(crate) struct Grain {
    /// Its values lie whole steps from there: 0, or one of them.
    from: f64,
    /// In the register's unit; 0 = no value yet.
    step: f64,
    /// Over so many steps the step was measured: so exact it is.
    n_steps: f64,
    n_fitted: u8,
}

impl Grain {
    /// A value, unlike the one `before` it, at which the register had stood still or not. One that rests tells nothing.
    #[inline(never)] // seldom called, and costly within a walk over readings
    pub(crate) fn learn(&mut self, before: f64, value: f64, has_stood: bool) {
        let (off, unsure) = ((value - self.from).abs(), self.resolved(value));
        let is_shown = self.from == 0.0 || has_stood || self.n_fitted >= SHOWN;
        if self.step == 0.0 {
            self.is_of(value.abs(), value.abs());
        } else if self.step <= FINEST || off <= PARTS * unsure {
        } else if is_shown && self.fits(value) {
            self.refine(off, unsure);
            if self.from == 0.0 || has_stood {
                self.n_fitted = (self.n_fitted + 1).min(KNOWN);
            }
        } else if has_stood && self.from == 0.0 {
            self.from = before;
            self.is_of((value - before).abs(), (value - before).abs());
        } else if has_stood {
            self.is_of(common(self.step, off, unsure), off);
        } else {
            let step = match self.from {
                0.0 => self.step,
                from => common(self.step, from.abs(), FINEST),
            };
            self.from = 0.0;
            self.is_of(common(step, value.abs(), FINEST), value.abs());
        }
    }

    /// The step is about so much, and `off` a multiple of it.
    fn is_of(&mut self, step: f64, off: f64) {
        if step > 0.0 {
            let n_steps = (off / step).round().max(1.0);
            (self.step, self.n_steps, self.n_fitted) = (off / n_steps, n_steps, 0);
        }
    }

    /// A value that far away fits, and measures the step more exactly the further away it is.
    fn refine(&mut self, off: f64, unsure: f64) {
        let n_steps = (off / self.step).round();
        if n_steps > self.n_steps && (off - n_steps * self.step).abs() <= self.unsure_by(n_steps, unsure) {
            (self.step, self.n_steps) = (off / n_steps, n_steps);
        }
    }

    /// The register stands at `value` now, however it came there: its steps may begin anew.
    pub(crate) fn begin_at(&mut self, value: f64) {
        if self.from != 0.0 && !self.fits(value) {
            self.from = value;
        }
    }

    /// Whether there was no value yet.
    pub(crate) fn is_new(&self) -> bool {
        self.step == 0.0
    }

    /// The step, in the register's unit; 0 before any value, and a single one itself.
    pub(crate) fn step(&self) -> f64 {
        self.step
    }

    /// The step of a register that comes to `value`.
    #[inline(never)]
    pub(crate) fn step_to(&self, value: f64) -> f64 {
        if self.is_new() {
            value.abs()
        } else if self.fits(value) {
            self.step
        } else {
            common(self.step, (value - self.from).abs(), self.resolved(value))
        }
    }

    fn fits(&self, value: f64) -> bool {
        let off = (value - self.from).abs();
        let n_steps = (off / self.step).round();
        let beside = (off - n_steps * self.step).abs();
        let is_known = self.n_fitted == KNOWN && self.step >= 10.0 * NOISE;
        let noise = if is_known { NOISE } else { 0.0 };
        beside <= self.unsure_by(n_steps, self.resolved(value)).max(noise)
    }

    /// How exactly a value says where its register stands. Of one that has shown no step after a standstill, what a float would
    /// not resolve may be all that it counts.
    fn resolved(&self, value: f64) -> f64 {
        if self.from == 0.0 {
            FINEST
        } else {
            (value.abs() * FLOAT_SHARE).max(FINEST)
        }
    }

    /// By how much a value so many steps away may lie beside them.
    fn unsure_by(&self, n_steps: f64, unsure: f64) -> f64 {
        (unsure * (1.0 + n_steps / self.n_steps)).min(self.step / PARTS)
    }
}

/// The decimal place that a value ends at: of a single one, no more is known.
pub(crate) fn decimal(value: f64) -> f64 {
    let value = (value.abs() / FINEST).round() as u64;
    let mut place = 1;
    while value > 0 && value.is_multiple_of(10 * place) {
        place *= 10;
    }
    place as f64 * FINEST
}

/// The largest number that both are multiples of, where each may be off by `unsure`; [`FINEST`] where only such small ones
/// are left.
fn common(mut one: f64, mut other: f64, unsure: f64) -> f64 {
    let nothing = PARTS * unsure;
    if one.min(other) <= nothing {
        return FINEST;
    }
    while other > nothing {
        (one, other) = (other, (one - (one / other).round() * other).abs());
    }
    one
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The step that is learnt of values, each of which the register stood still at, or none.
    fn learnt(values: impl IntoIterator<Item = f64>, has_stood: bool) -> Grain {
        let (mut grain, mut before) = (Grain::default(), 0.0);
        for value in values {
            grain.learn(before, value, has_stood);
            before = value;
        }
        grain
    }

    fn check(values: impl IntoIterator<Item = f64> + Clone, has_stood: bool, expected: f64) {
        let step = learnt(values.clone(), has_stood).step();
        let n = values.into_iter().count();
        assert!(
            (step - expected).abs() <= 1e-4 * expected,
            "{step}, not {expected}, of {n} values"
        );
    }

    /// By one or three steps at a time.
    fn counted(from: f64, step: f64, n: i32) -> impl Iterator<Item = f64> + Clone {
        (0..n).map(move |n| from + step * f64::from(2 * n + n % 2))
    }

    #[test]
    fn values_tell_the_step_of_their_register() {
        for has_stood in [false, true] {
            check([], has_stood, 0.0);
            check([0.0, 0.0], has_stood, 0.0);
            check([0.0, 100.0, 200.0], has_stood, 100.0);
            check([1230.0, 1240.0, 1270.0], has_stood, 10.0);
            check([1234.5, 1235.2, 1236.07], has_stood, 0.01);
            check(counted(7500.0, 0.75, 60), has_stood, 0.75);
            check(counted(41.636_36 * 180.0, 41.636_36, 60), has_stood, 41.636_36);
            check([20_000.0, 20_001.67, 20_003.41, 20_005.02], has_stood, 0.01);
        }
    }

    #[test]
    fn steps_after_standstills_may_begin_anywhere_and_end_at_any_decimal() {
        let to_decimals = |value: f64, parts: f64| (value * parts).round() / parts;
        for (from, step) in [
            (12_343.0, 10.0),
            (123_430.0, 100.0),
            (12_345.345, 1.0),
            (20_000.003, 9.6),
            (7494.545, 41.636_36),
            (100_000.0, 40.0 / 3.0),
        ] {
            check(counted(from, step, 90), true, step);
            for parts in [1e3, 1e4] {
                let values = counted(from, step, 5000).map(|value| to_decimals(value, parts));
                let told = learnt(values, true).step();
                assert!((told - step).abs() < 1e-4, "{told} of {step}");
            }
        }
        // Once they have shown it, more than one step between two readings changes nothing; before, it may be the plant's.
        let mut grain = learnt(counted(12_343.0, 10.0, 9), true);
        grain.learn(12_513.0, 12_543.0, false);
        assert_eq!(grain.step(), 10.0);
        let mut grain = learnt(counted(1234.567, 25.0, 3), true);
        grain.learn(1334.567, 1359.567, false);
        for grain in [grain, learnt(counted(1234.567, 25.0, 60), false)] {
            assert!(grain.step() < 0.02, "{}", grain.step());
        }
    }

    #[test]
    fn a_float_of_32_bits_hides_no_step_that_it_resolves() {
        for (from, step) in [
            (1000.0, 9.6),
            (4000.0, 4.8),
            (20_000.0, 0.8),
            (100_000.0, 9.6),
            (250_000.0, 0.3),
        ] {
            let told = learnt(counted(from, step, 2000).map(|value| f64::from(value as f32)), true).step();
            assert!((told - step).abs() < 1e-3 * step, "{told} of {step}");
        }
    }

    /// Rises that are small beside a large value are none of its multiples.
    #[test]
    fn a_large_value_is_no_step() {
        for from in [234_567.0, 1_234_567.89, 12_345_678.12, 123_456_780.1] {
            for rise in [0.01, 0.1, 0.42, 1.67] {
                let values = (0..500).map(|n| from + (rise * f64::from(n + n % 3 / 2) * 100.0).round() / 100.0);
                let mut grain = learnt(values, false);
                assert!(grain.step() <= rise + FINEST, "{} of {rise} from {from}", grain.step());
                let leapt = grain.step_to(from + 1234.56);
                assert!(leapt <= rise + FINEST, "{leapt} of {rise} from {from}");
                grain.learn(from + 2000.0, from + 2000.0 + rise, true);
                assert!(grain.step() <= rise + FINEST, "{} of {rise} from {from}", grain.step());
            }
        }
    }

    #[test]
    fn noise_beside_a_known_step_is_none() {
        for (from, has_stood) in [(12_343.0, true), (12_340.0, true), (12_340.0, false)] {
            let tens = move |n: i32| from + 10.0 * f64::from(n);
            let noisy = move |n: i32| tens(n) - if n > 12 && n % 3 == 0 { 0.007 } else { 0.0 };
            check((0..90).map(noisy), has_stood, 10.0);
            // What is far beside it is none.
            let once = move |n: i32| tens(n) + if n == 40 { 3.0 } else { 0.0 };
            check((0..90).map(once), has_stood, 1.0);
            let finer = (0..90).map(|n| 20_000.0 + f64::from(n));
            check((0..90).map(tens).chain(finer), has_stood, 1.0);
        }
    }

    #[test]
    fn a_step_is_asked_of_the_value_too() {
        let mut grain = learnt((0..20).map(|n| 503.0 + 10.0 * f64::from(n)), true);
        for (value, expected) in [(903.0, 10.0), (902.993, 10.0), (908.0, 5.0), (908.5, 0.5)] {
            assert!((grain.step_to(value) - expected).abs() < 1e-9, "{value}");
        }
        grain.begin_at(12.0);
        assert!((grain.step_to(22.0) - 10.0).abs() < 1e-9, "set back, and as before");
        (0..20).for_each(|n| grain.learn(703.0, 703.0 + 0.003 * f64::from(n), false));
        let finest = grain.step_to(4703.21);
        assert!(finest < 0.01, "{finest}: what is fine now is fine");
    }

    #[test]
    fn a_single_value_tells_its_decimal_place() {
        for (value, expected) in [(1200.0, 100.0), (1200.5, 0.1), (0.0, 0.001), (7.0, 1.0)] {
            let place = decimal(value);
            assert!((place - expected).abs() < 1e-12, "{place} of {value}");
        }
    }
}
