//! Whether a meter's energy register counts what its power makes: kWh against ∫ kW. Pure.
//!
//! It repairs nothing; a register that stands still is the engine's matter (`meter_stuck`). A scale ten times too high, Wh
//! taken for kWh or one half of a 64-bit number look possible in every poll; over an hour they do not. Invariants: a
//! stretch that was not seen whole tells nothing; it takes two stretches in a row to doubt a register, and one to trust it
//! again.

use jiff::Timestamp;

/// Bounds of energy counted / energy that the power made: power is seen at instants only, and a load that switches
/// between them may look half as large (default).
const SHARE: std::ops::RangeInclusive<f64> = 0.5..=2.0;
/// Steps of the register that a stretch must be worth: fewer say nothing of its scale.
const STEPS: f64 = 20.0;
/// Polls with power that a stretch must have.
const POLLS: u32 = 20;
/// The least length of a stretch, ms.
const STRETCH_MS: i64 = 600_000;
/// Two polls further apart leave a gap, ms.
const GAP_MS: i64 = 300_000;
const MS_PER_HOUR: f64 = 3_600_000.0;

/// What a register counts beside what its power makes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Mismatch {
    /// Mean power by the register, kW.
    pub(super) counted_kw: f64,
    /// Mean power by the power register, kW.
    pub(super) drawn_kw: f64,
}

/// One meter's stretch so far.
#[derive(Debug, Clone, Default)]
pub(super) struct Balance {
    power: Option<(Timestamp, f64)>,
    register_kwh: Option<f64>,
    /// The smallest rise that was ever seen: the register's resolution, or a multiple of it.
    step_kwh: Option<f64>,
    since: Option<Timestamp>,
    polls: u32,
    drawn_kwh: f64,
    counted_kwh: f64,
    found: Option<Mismatch>,
    is_told: bool,
}

impl Balance {
    /// Takes what a poll said of imported power and of the import register; gives the mismatch that holds, if any.
    pub(super) fn take(&mut self, at: Timestamp, power_kw: Option<f64>, register_kwh: Option<f64>) -> Option<Mismatch> {
        if let Some(kw) = power_kw {
            self.draw(at, kw.max(0.0));
        }
        if let (Some(kwh), Some(_)) = (register_kwh, self.power) {
            self.count(at, kwh);
        }
        self.found.filter(|_| self.is_told)
    }

    fn draw(&mut self, at: Timestamp, kw: f64) {
        if let Some((last, last_kw)) = self.power.replace((at, kw)) {
            let ms = at.duration_since(last).as_millis() as i64;
            if !(0..=GAP_MS).contains(&ms) {
                return self.begin(None);
            }
            self.drawn_kwh += f64::midpoint(kw, last_kw) * ms as f64 / MS_PER_HOUR;
            self.polls += 1;
        }
    }

    fn count(&mut self, at: Timestamp, kwh: f64) {
        let Some((rise, since)) = self.register_kwh.map(|last| kwh - last).zip(self.since) else {
            return self.begin(Some((at, kwh)));
        };
        if rise < 0.0 {
            return self.begin(Some((at, kwh)));
        }
        self.register_kwh = Some(kwh);
        self.counted_kwh += rise;
        if rise > 0.0 {
            self.step_kwh = Some(self.step_kwh.map_or(rise, |step| step.min(rise)));
        }
        let ms = at.duration_since(since).as_millis() as i64;
        let is_enough = |step: f64| self.counted_kwh.max(self.drawn_kwh) >= STEPS * step;
        if ms >= STRETCH_MS && self.polls >= POLLS && self.step_kwh.is_some_and(is_enough) {
            let hours = ms as f64 / MS_PER_HOUR;
            let mismatch = Mismatch {
                counted_kw: self.counted_kwh / hours,
                drawn_kw: self.drawn_kwh / hours,
            };
            let is_wrong = self.drawn_kwh <= 0.0 || !SHARE.contains(&(self.counted_kwh / self.drawn_kwh));
            self.is_told = is_wrong && self.found.is_some();
            self.found = is_wrong.then_some(mismatch);
            self.begin(Some((at, kwh)));
        }
    }

    /// A new stretch from a reading of the register, or from the next one.
    fn begin(&mut self, from: Option<(Timestamp, f64)>) {
        self.since = from.map(|(at, _)| at);
        self.register_kwh = from.map(|(_, kwh)| kwh);
        (self.polls, self.drawn_kwh, self.counted_kwh) = (0, 0.0, 0.0);
    }
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;
    use proptest::prelude::*;

    use super::*;

    /// A meter of this power, polled every `every_s`, its register read every fifth time, `scale` times what it should be
    /// and in steps of `step_kwh`; the share of polls in the last four of sixteen hours in which it was doubted.
    fn doubted(kw: impl Fn(i64) -> f64, every_s: i64, scale: f64, step_kwh: f64) -> f64 {
        let (mut balance, mut kwh, mut n_doubted) = (Balance::default(), 1000.0, 0);
        let polls = 16 * 3600 / every_s;
        for n in 0..polls {
            let at = Timestamp::UNIX_EPOCH + SignedDuration::from_secs(n * every_s);
            kwh += kw(n * every_s).max(0.0) * every_s as f64 / 3600.0 * scale;
            let register = (n % 5 == 0).then_some((kwh / step_kwh).floor() * step_kwh);
            let found = balance.take(at, Some(kw(n * every_s)), register);
            n_doubted += i64::from(found.is_some() && n >= polls * 3 / 4);
        }
        n_doubted as f64 / (polls / 4) as f64
    }

    #[test]
    fn a_register_is_doubted_when_it_counts_something_else() {
        for (scale, expected) in [
            (1.0, 0.0),
            (0.8, 0.0),
            (1.3, 0.0),
            (10.0, 1.0),
            (0.1, 1.0),
            (1000.0, 1.0),
        ] {
            assert_eq!(doubted(|_| 40.0, 1, scale, 0.01), expected, "{scale}");
            assert_eq!(doubted(|_| 40.0, 60, scale, 0.1), expected, "{scale} by the minute");
        }
        // A load that is on for half of each ten minutes, and one that gives back.
        assert_eq!(doubted(|s| if s % 600 < 300 { 60.0 } else { 0.0 }, 10, 1.0, 0.1), 0.0);
        assert_eq!(doubted(|_| -40.0, 10, 1.0, 0.1), 0.0);
        // A register of whole kWh under a small load says little, and is not doubted for it.
        assert_eq!(doubted(|_| 2.0, 10, 1.0, 1.0), 0.0);
    }

    #[test]
    fn a_gap_and_a_register_that_falls_begin_anew() {
        let mut balance = Balance::default();
        for n in 0..100_000_i64 {
            // Away for an hour in each two, while the register goes on; it is replaced now and then.
            let at = Timestamp::UNIX_EPOCH + SignedDuration::from_secs(n * 5 + n / 700 * 3600);
            let register = (n % 30_000) as f64 * 0.05 + (n / 700) as f64 * 36.0;
            assert_eq!(balance.take(at, Some(36.0), Some(register)), None, "{n}");
        }
    }

    proptest! {
        /// Whatever comes, in whatever order, nothing panics and nothing is doubted that has not been seen for two stretches.
        #[test]
        fn it_never_panics(polls in prop::collection::vec((0_i64..2_000_000, prop::option::of(-1e9..1e9_f64), prop::option::of(-1e12..1e12_f64)), 0..200)) {
            let mut balance = Balance::default();
            for (n, (s, kw, kwh)) in polls.into_iter().enumerate() {
                let found = balance.take(Timestamp::UNIX_EPOCH + SignedDuration::from_secs(s), kw, kwh);
                prop_assert!(found.is_none() || n >= 2 * POLLS as usize);
            }
        }
    }
}
