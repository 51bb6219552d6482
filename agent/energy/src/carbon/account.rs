//! What factors make of a stretch of use, and of how many intervals and kWh each made it.
//!
//! It picks no factor: who calls says which holds on a day. Invariants: the factor's id goes with the result, and energy
//! without a factor is told, never counted as nothing.

use jiff::{Timestamp, civil::Date, tz::TimeZone};
use serde::{Deserialize, Serialize};

use super::{Factor, Toe};
use crate::unit::Energy;

/// Energy that was used in an interval.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Used {
    /// Day of the interval's start in the site's zone.
    pub day: Date,
    /// kWh, known.
    pub energy_kwh: f64,
}

impl Used {
    /// What an interval used that starts at `start`.
    pub fn new(start: Timestamp, zone: &TimeZone, energy_kwh: f64) -> Self {
        Self {
            day: zone.to_datetime(start).date(),
            energy_kwh,
        }
    }
}

/// What one factor was applied to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Share {
    /// Id of the factor.
    pub factor: String,
    /// The factor, a kWh.
    pub rate_per_kwh: f64,
    /// Intervals that it was applied to.
    pub n_intervals: usize,
    /// Their energy, kWh.
    pub energy_kwh: f64,
}

impl Share {
    /// What the factor makes of the energy, in the factor's unit.
    pub fn amount(&self) -> f64 {
        self.energy_kwh * self.rate_per_kwh
    }
}

/// How a number was made of a stretch of use: one share a factor, in the order in which they were first used.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Account {
    /// By factor.
    pub shares: Vec<Share>,
    /// Energy of days without a factor, kWh.
    pub unknown_kwh: f64,
    /// Intervals of days without a factor.
    pub n_unknown: usize,
}

impl Account {
    /// Applies to each interval what `factor` (id, rate a kWh) names for its day.
    pub fn of<'f>(used: &[Used], factor: impl Fn(Date) -> Option<(&'f str, f64)>) -> Self {
        let mut account = Self::default();
        let mut held: Option<(Date, Option<(&str, f64)>)> = None;
        for used in used {
            let found = match held {
                Some((day, found)) if day == used.day => found,
                _ => factor(used.day),
            };
            held = Some((used.day, found));
            account.take(found, used.energy_kwh);
        }
        account
    }

    fn take(&mut self, factor: Option<(&str, f64)>, energy_kwh: f64) {
        let Some((id, rate_per_kwh)) = factor else {
            self.unknown_kwh += energy_kwh;
            self.n_unknown += 1;
            return;
        };
        let place = self.shares.iter().position(|share| share.factor == id);
        let place = place.unwrap_or_else(|| {
            self.shares.push(Share {
                factor: id.to_owned(),
                rate_per_kwh,
                n_intervals: 0,
                energy_kwh: 0.0,
            });
            self.shares.len() - 1
        });
        let share = &mut self.shares[place];
        share.n_intervals += 1;
        share.energy_kwh += energy_kwh;
    }

    /// What all factors make together; `None` of nothing, or when some energy has no factor.
    pub fn amount(&self) -> Option<f64> {
        let whole = self.n_unknown == 0 && !self.shares.is_empty();
        whole.then(|| self.shares.iter().map(Share::amount).sum())
    }

    /// All energy, that without a factor included, kWh.
    pub fn energy_kwh(&self) -> f64 {
        self.shares.iter().map(|share| share.energy_kwh).sum::<f64>() + self.unknown_kwh
    }
}

/// A factor as [`Account::of`] wants it.
pub fn rate(factor: &Factor) -> (&str, f64) {
    (&factor.id, factor.kgco2e_per_kwh)
}

/// A conversion into toe as [`Account::of`] wants it.
pub fn toe_rate(toe: &Toe) -> (&str, f64) {
    (&toe.id, Energy::Kwh.to(Energy::Mwh, toe.toe_per_mwh))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{
        super::tests::{day, three},
        *,
    };

    #[test]
    fn an_account_says_what_each_factor_was_applied_to() {
        let used = [("2020-12-31", 10.0), ("2021-01-01", 20.0), ("2021-01-02", 30.0)];
        let used: Vec<Used> = used
            .into_iter()
            .map(|(at, energy_kwh)| Used {
                day: day(at),
                energy_kwh,
            })
            .collect();
        let series = three();
        let account = Account::of(&used, |day| series.location(day).map(rate));
        let shares: Vec<_> = account
            .shares
            .iter()
            .map(|share| (share.factor.as_str(), share.n_intervals, share.energy_kwh))
            .collect();
        assert_eq!(shares, [("a", 1, 10.0), ("b", 2, 50.0)]);
        assert!((account.amount().expect("all known") - (4.594 + 23.905)).abs() < 1e-9);
        let none = Account::of(&used, |_| None::<(&str, f64)>);
        assert_eq!((none.amount(), none.unknown_kwh, none.n_unknown), (None, 60.0, 3));
        assert_eq!(
            Account::of(&[], |_| Some(("a", 1.0))).amount(),
            None,
            "nothing is not 0"
        );
    }

    proptest! {
        #[test]
        fn an_account_loses_no_energy(kwh in prop::collection::vec(0.0..500.0_f64, 0..100)) {
            let first = day("2017-12-01");
            let used: Vec<Used> = kwh.iter().zip(0..).map(|(kwh, n)| Used {
                day: first.saturating_add(jiff::Span::new().days(n * 40)),
                energy_kwh: *kwh,
            }).collect();
            let series = three();
            let account = Account::of(&used, |day| series.location(day).map(rate));
            prop_assert!((account.energy_kwh() - kwh.iter().sum::<f64>()).abs() < 1e-6);
            prop_assert_eq!(account.shares.iter().map(|share| share.n_intervals).sum::<usize>() + account.n_unknown, kwh.len());
        }
    }
}
