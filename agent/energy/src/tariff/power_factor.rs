//! A month's power factor as a tariff's rule wants it: of energies by the half hour, not of a register's readings.
//!
//! It charges nothing. Invariants: a half hour with an unknown quarter is left out, and so is one without any use;
//! leading counts only where it exceeds lagging; what was never measured is `None`.

use jiff::{SignedDuration, Timestamp};
use rust_decimal::{Decimal, prelude::ToPrimitive};

use super::{PowerFactorRule, Usage};

/// Power factors of a billing period, percent, as measured.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(crate) struct PowerFactor {
    pub(crate) lag_pct: Option<f64>,
    pub(crate) lead_pct: Option<f64>,
    /// How many stretches each is the mean of; 0 = it is one of sums.
    pub(crate) n_lag: u32,
    pub(crate) n_lead: u32,
    /// How long those are, minutes: the rule's, or the demand interval where that is longer.
    pub(crate) stretch_min: i64,
}

/// A rule, and whether the supply is at low voltage, which is judged by the sums of the month, not by half hours.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Judge<'a> {
    pub(crate) rule: &'a PowerFactorRule,
    pub(crate) is_low_voltage: bool,
}

/// A period's usage so far, under one rule.
#[derive(Debug, Clone, Default)]
pub(crate) struct PowerFactors {
    running: Option<Stretch>,
    lag: Mean,
    lead: Mean,
    sums: Option<(f64, f64)>,
    stretch_min: i64,
}

/// The running half hour.
#[derive(Debug, Clone, Copy)]
struct Stretch {
    start: Timestamp,
    hour: i8,
    minutes: i64,
    energy_kwh: Option<f64>,
    lag_kvarh: Option<f64>,
    lead_kvarh: Option<f64>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Mean {
    sum: f64,
    n: u32,
}

impl Mean {
    fn add(&mut self, value: f64) {
        self.sum += value;
        self.n += 1;
    }

    fn value(self) -> Option<f64> {
        (self.n > 0).then(|| self.sum / f64::from(self.n))
    }
}

impl PowerFactors {
    /// Takes the next interval, which starts `minute` minutes into the clock hour `hour`.
    pub(crate) fn take(&mut self, judge: Judge<'_>, usage: &Usage, hour: i8, minute: i64) {
        if judge.is_low_voltage {
            if let (Some(energy_kwh), Some(lag_kvarh)) = (usage.energy_kwh, usage.lag_kvarh) {
                let (energy, lag) = self.sums.unwrap_or_default();
                self.sums = Some((energy + energy_kwh, lag + lag_kvarh));
            }
            return;
        }
        let length_min = i64::from(judge.rule.interval_min);
        let start = usage.start - SignedDuration::from_mins(minute % length_min);
        if self.running.is_some_and(|running| running.start != start) {
            self.close(judge.rule);
        }
        let next = Stretch {
            start,
            hour,
            minutes: i64::from(usage.minutes),
            energy_kwh: usage.energy_kwh,
            lag_kvarh: usage.lag_kvarh,
            lead_kvarh: usage.lead_kvarh,
        };
        let running = self.running.map_or(next, |running| running.plus(next));
        self.running = Some(running);
        if running.minutes >= length_min {
            self.close(judge.rule);
        }
    }

    /// Judges the running half hour, if all of it is there.
    fn close(&mut self, rule: &PowerFactorRule) {
        let Some(stretch) = self.running.take() else { return };
        if stretch.minutes < i64::from(rule.interval_min) {
            return;
        }
        self.stretch_min = stretch.minutes;
        let [floor, ceiling] = rule.lag_clamp_pct.map(percent);
        if rule.lag_hours.contains(stretch.hour)
            && let Some(lag_pct) = factor_pct(stretch.energy_kwh, stretch.lag_kvarh)
        {
            self.lag.add(lag_pct.clamp(floor, ceiling));
        }
        if rule.lead_hours.is_some_and(|hours| hours.contains(stretch.hour))
            && let Some(lead_pct) = stretch.lead_pct()
        {
            self.lead.add(lead_pct.max(rule.lead_floor_pct.map_or(0.0, percent)));
        }
    }

    /// The period's power factors, as far as half hours are whole.
    pub(crate) fn factors(&self, rule: &PowerFactorRule) -> PowerFactor {
        let [floor, ceiling] = rule.lag_clamp_pct.map(percent);
        let of_sums = self.sums.and_then(|(energy, lag)| factor_pct(Some(energy), Some(lag)));
        PowerFactor {
            lag_pct: self.lag.value().or(of_sums.map(|pct| pct.clamp(floor, ceiling))),
            lead_pct: self.lead.value(),
            n_lag: self.lag.n,
            n_lead: self.lead.n,
            stretch_min: self.stretch_min,
        }
    }
}

/// Two energies that differ by less are the same: noise of floating-point sums, far below any register.
const SAME_KVARH: f64 = 1e-6;

impl Stretch {
    fn plus(self, next: Self) -> Self {
        let sum = |one: Option<f64>, other: Option<f64>| Some(one? + other?);
        Self {
            minutes: self.minutes + next.minutes,
            energy_kwh: sum(self.energy_kwh, next.energy_kwh),
            lag_kvarh: sum(self.lag_kvarh, next.lag_kvarh),
            lead_kvarh: sum(self.lead_kvarh, next.lead_kvarh),
            ..self
        }
    }

    /// 100 where it does not lead, else of energy and the leading register alone.
    fn lead_pct(&self) -> Option<f64> {
        let (energy_kwh, lag_kvarh, lead_kvarh) = (self.energy_kwh?, self.lag_kvarh?, self.lead_kvarh?);
        if energy_kwh <= 0.0 && lag_kvarh <= 0.0 && lead_kvarh <= 0.0 {
            None
        } else if lead_kvarh - lag_kvarh <= SAME_KVARH {
            Some(100.0)
        } else {
            factor_pct(Some(energy_kwh), Some(lead_kvarh))
        }
    }
}

/// Power factor of two energies, percent; `None` when unknown or when nothing was used.
fn factor_pct(energy_kwh: Option<f64>, reactive_kvarh: Option<f64>) -> Option<f64> {
    let (energy_kwh, reactive_kvarh) = (energy_kwh?, reactive_kvarh?);
    let apparent = energy_kwh.hypot(reactive_kvarh);
    (apparent > 0.0).then(|| 100.0 * energy_kwh / apparent)
}

fn percent(value: Decimal) -> f64 {
    value.to_f64().unwrap_or(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULE: &str = r#"
from = "2025-02-01"
interval_min = 30
lag_hours = "08-22"
lag_reference_pct = 92
lag_clamp_pct = [60, 97]
lead_hours = "22-08"
lead_reference_pct = 95
lead_floor_pct = 60
share_per_pct = 0.002
status = "verified"
source = "test"
"#;

    /// Quarter hours from `hour` on, as kWh, lagging and leading kvarh.
    fn check(hour: i8, quarters: &[(f64, f64, f64)], is_low_voltage: bool, expected: (Option<f64>, Option<f64>)) {
        let rule: PowerFactorRule = toml::from_str(RULE).expect("valid");
        let (mut factors, judge) = (
            PowerFactors::default(),
            Judge {
                rule: &rule,
                is_low_voltage,
            },
        );
        let first: Timestamp = format!("2026-03-03T{hour:02}:00:00+09:00").parse().expect("valid");
        for (index, &(energy, lag, lead)) in quarters.iter().enumerate() {
            let minutes = 15 * index as i64;
            let start = first + SignedDuration::from_mins(minutes);
            let known = |value: f64| (!value.is_nan()).then_some(value);
            let usage = Usage {
                start,
                minutes: 15,
                energy_kwh: known(energy),
                lag_kvarh: known(lag),
                lead_kvarh: known(lead),
                coverage: 1.0,
                quality: crate::Quality::Ok,
            };
            factors.take(judge, &usage, hour + (minutes / 60) as i8, minutes % 60);
        }
        let found = factors.factors(&rule);
        assert_eq!((found.lag_pct, found.lead_pct), expected, "{hour}: {quarters:?}");
    }

    #[test]
    fn half_hours_are_judged_one_by_one_in_their_hours() {
        // 3-4-5: 80 %; without reactive energy: clamped to 97 %.
        check(
            10,
            &[(2.0, 1.5, 0.0), (2.0, 1.5, 9.0), (5.0, 0.0, 0.0), (5.0, 0.0, 0.0)],
            false,
            (Some(88.5), None),
        );
        // The sums of the half hour count, not the quarters; below 60 % is 60 %.
        check(10, &[(3.0, 8.0, 0.0), (0.0, 0.0, 0.0)], false, (Some(60.0), None));
        // At night leading counts where it exceeds lagging; else 100.
        check(
            23,
            &[(8.0, 1.0, 6.0), (0.0, 0.0, 0.0), (8.0, 7.0, 6.0), (0.0, 0.0, 0.0)],
            false,
            (None, Some(90.0)),
        );
        // Reactive energy without active: 60; nothing at all, unknown, or half of a half hour: left out.
        check(10, &[(0.0, 1.0, 0.0), (0.0, 0.0, 0.0)], false, (Some(60.0), None));
        check(23, &[(0.0, 0.0, 1.0), (0.0, 0.0, 0.0)], false, (None, Some(60.0)));
        check(10, &[(0.0, 0.0, 0.0), (0.0, 0.0, 0.0)], false, (None, None));
        check(10, &[(1.0, f64::NAN, 0.0), (1.0, 0.0, 0.0)], false, (None, None));
        check(10, &[(1.0, 0.0, 0.0)], false, (None, None));
    }

    #[test]
    fn low_voltage_is_judged_by_its_sums_at_all_hours() {
        check(
            7,
            &[(1.0, 3.0, 0.0), (7.0, 3.0, 0.0), (f64::NAN, 9.0, 0.0)],
            true,
            (Some(80.0), None),
        );
        check(7, &[(8.0, 0.0, 5.0)], true, (Some(97.0), None));
    }
}
