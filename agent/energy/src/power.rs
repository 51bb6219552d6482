//! Samples of one meter → stretches of power: what the detectors look at, however the meter measures.
//!
//! A meter with a power register is followed by that; else its interval energy or its counter tells mean powers. It
//! closes no intervals. Invariant: stretches of one meter never overlap and run forward; over a gap there is none.

use serde::{Deserialize, Serialize};

use crate::{
    interval::{grain::Grain, known::waver, point::hours},
    quantity::Quantity,
    sample::Sample,
};

/// Shortest stretch made of counter readings: a register of 0.01 kWh at 10 kW steps every 3.6 s, and a mean over less
/// than a minute would show the steps instead of the power.
const COUNTER_STRETCH_MS: i64 = 60_000;

/// Mean power between two instants, milliseconds since the epoch.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Stretch {
    pub(crate) from_ms: i64,
    pub(crate) to_ms: i64,
    pub(crate) kw: f64,
}

/// How a meter's power is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
enum Source {
    #[default]
    Counter,
    IntervalEnergy,
    Register,
}

/// Follows one meter's power.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Power {
    source: Source,
    /// Newest reading of the source: instant, value.
    last: Option<(i64, f64)>,
    /// Newest stretch's end and power.
    now: Option<(i64, f64)>,
    /// The counter's newest value, whether the one before it was the same, and in what steps it counts.
    counted_kwh: f64,
    has_stood: bool,
    grain: Grain,
}

impl Power {
    /// The stretch that a sample completes, if it does; `gap_ms` says how far apart readings of a quantity may be,
    /// `has_leapt` that its counter rose by more than the plant can have used: that is no power.
    pub(crate) fn take(
        &mut self,
        sample: &Sample,
        interval_ms: i64,
        gap_ms: impl Fn(Quantity) -> i64,
        has_leapt: bool,
    ) -> Option<Stretch> {
        if sample.is_clock_suspect() {
            // How long it was between the readings on both sides is not known.
            self.last = None;
        }
        if let Some(counted_kwh) = sample.trusted(Quantity::EnergyImport) {
            self.count(counted_kwh);
        }
        let (source, value) = self.reading(sample)?;
        if source > self.source {
            *self = Self {
                source,
                counted_kwh: self.counted_kwh,
                has_stood: self.has_stood,
                grain: self.grain,
                ..Self::default()
            };
        }
        let at_ms = sample.at.as_millisecond();
        if has_leapt && source == Source::Counter {
            self.last = Some((at_ms, value));
            return None;
        }
        let stretch = match source {
            Source::Register => self.between(at_ms, value, gap_ms(Quantity::ActivePower)),
            Source::IntervalEnergy => Some(Stretch {
                from_ms: at_ms,
                to_ms: at_ms + interval_ms,
                kw: value / hours(interval_ms),
            }),
            Source::Counter => self.rise(at_ms, value, gap_ms(Quantity::EnergyImport)),
        }?;
        if self.now.is_some_and(|(end_ms, _)| stretch.from_ms < end_ms) {
            return None;
        }
        self.now = Some((
            stretch.to_ms,
            if source == Source::Register { value } else { stretch.kw },
        ));
        Some(stretch)
    }

    /// Power at the end of the newest stretch, kW.
    pub(crate) fn kw(&self) -> Option<f64> {
        self.now.map(|(_, kw)| kw)
    }

    /// In what steps the meter's counter counts, kWh; 0 where it has none.
    pub(crate) fn step_kwh(&self) -> f64 {
        self.grain.step()
    }

    /// The same of the counter that power is made from; 0 where power itself is read.
    pub(crate) fn counted_step_kwh(&self) -> f64 {
        if self.is_counted() { self.step_kwh() } else { 0.0 }
    }

    /// Whether power is known from the counter alone.
    pub(crate) fn is_counted(&self) -> bool {
        self.source == Source::Counter
    }

    /// End of the newest stretch, ms.
    pub(crate) fn until_ms(&self) -> Option<i64> {
        self.now.map(|(end_ms, _)| end_ms)
    }

    fn count(&mut self, value: f64) {
        if value < self.counted_kwh - waver(self.counted_kwh) {
            // A register that was set back may be another meter's.
            self.grain = Grain::default();
        }
        if value != self.counted_kwh {
            self.grain.learn(self.counted_kwh, value, self.has_stood);
        }
        self.has_stood = value == self.counted_kwh;
        self.counted_kwh = value;
    }

    fn reading(&self, sample: &Sample) -> Option<(Source, f64)> {
        let known = [
            (Source::Register, Quantity::ActivePower),
            (Source::IntervalEnergy, Quantity::IntervalEnergy),
            (Source::Counter, Quantity::EnergyImport),
        ];
        known
            .into_iter()
            .filter(|(source, _)| *source >= self.source)
            .find_map(|(source, quantity)| sample.trusted(quantity).map(|value| (source, value)))
    }

    fn between(&mut self, at_ms: i64, kw: f64, gap_ms: i64) -> Option<Stretch> {
        if self.last.is_some_and(|(last_ms, _)| at_ms <= last_ms) {
            return None;
        }
        let (from_ms, last_kw) = self.last.replace((at_ms, kw))?;
        (at_ms - from_ms <= gap_ms).then(|| Stretch {
            from_ms,
            to_ms: at_ms,
            kw: f64::midpoint(last_kw, kw),
        })
    }

    fn rise(&mut self, at_ms: i64, value: f64, gap_ms: i64) -> Option<Stretch> {
        let (from_ms, last) = *self.last.get_or_insert((at_ms, value));
        if at_ms - from_ms < COUNTER_STRETCH_MS {
            return None;
        }
        self.last = Some((at_ms, value));
        let kw = (value - last) / hours(at_ms - from_ms);
        // A spike of the register is no power; a fall is none either.
        let is_power = value >= last && Quantity::ActivePower.is_plausible(kw);
        let is_whole = is_power && at_ms - from_ms <= gap_ms.max(3 * COUNTER_STRETCH_MS);
        is_whole.then_some(Stretch {
            from_ms,
            to_ms: at_ms,
            kw,
        })
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::sample::Reading;

    fn check(readings: &[(i64, Quantity, f64)], expected: &[(i64, i64, f64)]) {
        let mut power = Power::default();
        let stretches: Vec<_> = readings
            .iter()
            .filter_map(|&(at_s, quantity, value)| {
                let at = Timestamp::from_second(at_s).expect("small");
                power.take(
                    &Sample {
                        meter: "m".into(),
                        at,
                        readings: vec![Reading::new(quantity, value)],
                    },
                    900_000,
                    |_| 30_000,
                    value > 1e6,
                )
            })
            .map(|stretch| (stretch.from_ms / 1000, stretch.to_ms / 1000, stretch.kw))
            .collect();
        assert_eq!(stretches, expected, "{readings:?}");
    }

    #[test]
    fn a_register_gives_means_between_close_readings() {
        use Quantity::ActivePower as P;
        check(
            &[(0, P, 4.0), (10, P, 6.0), (20, P, 6.0)],
            &[(0, 10, 5.0), (10, 20, 6.0)],
        );
        check(&[(0, P, 4.0), (100, P, 6.0), (110, P, 8.0)], &[(100, 110, 7.0)]);
        check(&[(10, P, 4.0), (5, P, 9.0), (20, P, 4.0)], &[(10, 20, 4.0)]);
    }

    #[test]
    fn interval_energy_and_counters_give_mean_powers() {
        check(&[(0, Quantity::IntervalEnergy, 10.0)], &[(0, 900, 40.0)]);
        let counter = Quantity::EnergyImport;
        check(
            &[(0, counter, 100.0), (30, counter, 100.1), (60, counter, 100.5)],
            &[(0, 60, 30.0)],
        );
        check(
            &[(0, counter, 100.0), (60, counter, 3.0), (120, counter, 3.5)],
            &[(60, 120, 30.0)],
        );
        check(
            &[
                (0, counter, 100.0),
                (30, counter, 2e6),
                (90, counter, 100.5),
                (150, counter, 101.0),
            ],
            &[(90, 150, 30.0)],
        );
    }

    #[test]
    fn readings_tell_the_step_of_their_register() {
        let step = |values: &[f64]| {
            let mut power = Power::default();
            for value in values {
                power.count(*value);
            }
            power.step_kwh()
        };
        assert_eq!(step(&[1230.0, 1230.0, 1240.0, 1270.0]), 10.0);
        assert_eq!(step(&[1234.51, 1234.52, 30.0, 40.0]), 10.0, "another meter");
        let noisy: Vec<f64> = (0..40)
            .flat_map(|n| [1230.0 + 10.0 * f64::from(n), 1229.993 + 10.0 * f64::from(n)])
            .collect();
        let clean: Vec<f64> = (0..20).map(|n| 1000.0 + 10.0 * f64::from(n)).collect();
        assert_eq!(step(&[clean, noisy].concat()), 10.0, "noise");
    }

    #[test]
    fn a_register_once_seen_is_followed_alone() {
        use Quantity::{ActivePower as P, EnergyImport as E};
        check(
            &[(0, E, 1.0), (10, P, 4.0), (60, E, 9.0), (20, P, 4.0)],
            &[(10, 20, 4.0)],
        );
    }
}
