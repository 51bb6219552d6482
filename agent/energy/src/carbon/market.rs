//! Scope 2, market-based: which kWh which contractual instrument covers, and what the rest is reckoned with.
//!
//! Order: certificates (REC, green premium), power purchase agreements, supplier contracts; among those by last day, so
//! that what is bought for a month is not left over because something for the year came before it; then by first day, kind
//! and name. Each covers what is still uncovered of its own period, in order of time, so that what was reported of a
//! month does not change with the months after it. The rest takes the supplier's rate, else the residual mix, else the
//! location factor. Invariants: no kWh is covered twice, nothing is negative, what is covered and the rest add up to
//! the use; an instrument larger than the use covers no more than the use.

use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use super::{Factor, FactorSeries, Purpose, Used, holds};
use crate::sample::Name;

/// Kinds of instrument, in the order in which they are applied.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum InstrumentKind {
    /// Certificates: REC, GO and their like.
    Rec,
    /// 녹색프리미엄: a premium paid to the utility for renewable power.
    GreenPremium,
    /// A power purchase agreement.
    Ppa,
    /// A supplier's own product.
    Supplier,
}

impl InstrumentKind {
    /// Every kind with its name in files.
    pub const NAMES: &[(&str, Self)] = &[
        ("rec", Self::Rec),
        ("green_premium", Self::GreenPremium),
        ("ppa", Self::Ppa),
        ("supplier", Self::Supplier),
    ];
}

/// How much an instrument covers.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Amount {
    /// So much over its whole period, kWh.
    Energy(f64),
    /// This share of each interval's use, 0..1.
    Share(f64),
}

/// A contractual instrument on file.
#[derive(Debug, Clone, PartialEq)]
pub struct Instrument {
    /// Its name.
    pub name: Name,
    /// What it is.
    pub kind: InstrumentKind,
    /// First day whose use it may cover, in the site's zone.
    pub from: Date,
    /// Last day.
    pub to: Date,
    /// How much it covers.
    pub amount: Amount,
    /// Its factor, kgCO2e a kWh; 0 for most renewable ones.
    pub kgco2e_per_kwh: f64,
    /// The paper behind it.
    pub source: String,
}

/// How the use of one interval is covered.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Split {
    /// Place of an instrument in the list handed over, and what it covers, kWh.
    pub covered: Vec<(usize, f64)>,
    /// What nothing covers, kWh.
    pub rest_kwh: f64,
}

impl Split {
    /// Emissions of the interval, kgCO2e; `None` when the rest has no factor.
    pub fn kgco2e(&self, instruments: &[Instrument], rest: Option<&Factor>) -> Option<f64> {
        let of_rest = if self.rest_kwh > 0.0 {
            self.rest_kwh * rest?.kgco2e_per_kwh
        } else {
            0.0
        };
        let covered = self.covered.iter();
        Some(
            of_rest
                + covered
                    .map(|(place, kwh)| kwh * instruments[*place].kgco2e_per_kwh)
                    .sum::<f64>(),
        )
    }
}

/// The factor of what no instrument covers on a day.
pub fn rest_factor(series: &FactorSeries, day: Date) -> Option<&Factor> {
    [Purpose::Supplier, Purpose::Residual, Purpose::EsgLocation]
        .into_iter()
        .find_map(|purpose| series.on(purpose, day))
}

/// Covers the use, one [`Split`] an interval. `used` is in order of time, from the first day of the earliest instrument.
pub fn allocate(used: &[Used], instruments: &[Instrument]) -> Vec<Split> {
    let whole = |used: &Used| Split {
        covered: Vec::new(),
        rest_kwh: used.energy_kwh.max(0.0),
    };
    let mut splits: Vec<Split> = used.iter().map(whole).collect();
    for place in order(instruments) {
        let instrument = &instruments[place];
        let mut left_kwh = match instrument.amount {
            Amount::Energy(kwh) => kwh,
            Amount::Share(_) => f64::INFINITY,
        };
        for (used, split) in used.iter().zip(&mut splits) {
            if !holds(instrument.from, Some(instrument.to), used.day) {
                continue;
            }
            let wanted_kwh = match instrument.amount {
                Amount::Energy(_) => left_kwh,
                Amount::Share(share) => used.energy_kwh.max(0.0) * share,
            };
            let kwh = wanted_kwh.min(split.rest_kwh).min(left_kwh);
            if kwh > 0.0 {
                split.covered.push((place, kwh));
                split.rest_kwh -= kwh;
                left_kwh -= kwh;
            }
        }
    }
    splits
}

fn order(instruments: &[Instrument]) -> Vec<usize> {
    let mut places: Vec<usize> = (0..instruments.len()).collect();
    places.sort_by_key(|place| {
        let Instrument {
            kind, from, to, name, ..
        } = &instruments[*place];
        let is_certificate = matches!(kind, InstrumentKind::Rec | InstrumentKind::GreenPremium);
        let class = if is_certificate { InstrumentKind::Rec } else { *kind };
        (class, *to, *from, *kind, name.clone())
    });
    places
}

/// What an instrument did over a stretch of time.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Covered {
    /// Its name.
    pub instrument: String,
    /// What it covered, kWh.
    pub energy_kwh: f64,
    /// kgCO2e of that.
    pub kgco2e: f64,
    /// What of its amount is unused at the end of the stretch, kWh; `None` for a share.
    pub unused_kwh: Option<f64>,
}

/// What each instrument covered of the intervals in `stretch` (places in `splits`); the ones before it have used it up
/// too. Instruments that cover nothing are listed.
pub fn covered(splits: &[Split], stretch: std::ops::Range<usize>, instruments: &[Instrument]) -> Vec<Covered> {
    let sum = |splits: &[Split], place: usize| {
        let covered = splits.iter().flat_map(|split| &split.covered);
        // The sum of no floats is -0.
        covered
            .filter(|(of, _)| *of == place)
            .fold(0.0, |sum, (_, kwh)| sum + kwh)
    };
    let one = |(place, instrument): (usize, &Instrument)| {
        let energy_kwh = sum(&splits[stretch.clone()], place);
        Covered {
            instrument: instrument.name.to_string(),
            energy_kwh,
            kgco2e: energy_kwh * instrument.kgco2e_per_kwh,
            unused_kwh: match instrument.amount {
                Amount::Energy(kwh) => Some((kwh - sum(&splits[..stretch.end], place)).max(0.0)),
                Amount::Share(_) => None,
            },
        }
    };
    instruments.iter().enumerate().map(one).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{
        super::tests::{day, series},
        *,
    };

    fn instrument(
        name: &str,
        kind: InstrumentKind,
        (from, to): (&str, &str),
        amount: Amount,
        factor: f64,
    ) -> Instrument {
        Instrument {
            name: name.into(),
            kind,
            from: day(from),
            to: day(to),
            amount,
            kgco2e_per_kwh: factor,
            source: "contract".into(),
        }
    }

    fn used(rows: &[(&str, f64)]) -> Vec<Used> {
        let one = |(at, energy_kwh): &(&str, f64)| Used {
            day: day(at),
            energy_kwh: *energy_kwh,
        };
        rows.iter().map(one).collect()
    }

    fn check(used: &[Used], instruments: &[Instrument], expected: &[(&[(usize, f64)], f64)]) {
        let got = allocate(used, instruments);
        let shown: Vec<(&[(usize, f64)], f64)> = got
            .iter()
            .map(|split| (split.covered.as_slice(), split.rest_kwh))
            .collect();
        assert_eq!(shown, expected);
    }

    #[test]
    fn certificates_go_before_contracts_and_time_goes_forward() {
        let use_of_three_days = used(&[("2024-01-01", 100.0), ("2024-01-02", 100.0), ("2024-01-03", 100.0)]);
        let year = ("2024-01-01", "2024-12-31");
        let ppa = instrument("solar", InstrumentKind::Ppa, year, Amount::Share(0.25), 0.0);
        let rec = instrument("rec", InstrumentKind::Rec, year, Amount::Energy(180.0), 0.0);
        check(
            &use_of_three_days,
            &[ppa.clone(), rec],
            &[
                (&[(1, 100.0)], 0.0),
                (&[(1, 80.0), (0, 20.0)], 0.0),
                (&[(0, 25.0)], 75.0),
            ],
        );
        let only_second = instrument(
            "x",
            InstrumentKind::Rec,
            ("2024-01-02", "2024-01-02"),
            Amount::Energy(500.0),
            0.0,
        );
        let instruments = [only_second];
        check(
            &use_of_three_days,
            &instruments,
            &[(&[], 100.0), (&[(0, 100.0)], 0.0), (&[], 100.0)],
        );
        let told = covered(&allocate(&use_of_three_days, &instruments), 0..3, &instruments);
        assert_eq!((told[0].energy_kwh, told[0].unused_kwh), (100.0, Some(400.0)));
        check(&use_of_three_days[..1], &[], &[(&[], 100.0)]);
    }

    /// What is bought for a month is not left over because something for the whole year came first.
    #[test]
    fn what_ends_first_goes_first() {
        let january = ("2024-01-01", "2024-01-31");
        let rec = instrument(
            "rec",
            InstrumentKind::Rec,
            ("2024-01-01", "2024-12-31"),
            Amount::Energy(50.0),
            0.0,
        );
        let premium = instrument(
            "premium",
            InstrumentKind::GreenPremium,
            january,
            Amount::Energy(30.0),
            0.0,
        );
        let use_of_two_months = used(&[("2024-01-15", 40.0), ("2024-02-15", 100.0)]);
        check(
            &use_of_two_months,
            &[rec, premium],
            &[(&[(1, 30.0), (0, 10.0)], 0.0), (&[(0, 40.0)], 60.0)],
        );
    }

    #[test]
    fn the_rest_takes_the_residual_mix_else_the_location_factor() {
        let series = series(&[
            ("grid", 0.4, "esg_location", "2023-01-01", "", ""),
            ("rest", 0.6, "residual", "2024-01-01", "", ""),
        ]);
        let ppa = instrument(
            "p",
            InstrumentKind::Ppa,
            ("2023-01-01", "2024-12-31"),
            Amount::Energy(40.0),
            0.1,
        );
        let split = Split {
            covered: vec![(0, 40.0)],
            rest_kwh: 60.0,
        };
        for (at, expected) in [("2023-06-01", 4.0 + 24.0), ("2024-06-01", 4.0 + 36.0)] {
            let got = split.kgco2e(std::slice::from_ref(&ppa), rest_factor(&series, day(at)));
            assert!((got.expect("known") - expected).abs() < 1e-9, "{at}");
        }
        assert_eq!(split.kgco2e(&[ppa], None), None, "a rest without a factor is not known");
    }

    fn any_instrument() -> impl Strategy<Value = Instrument> {
        let amount = prop_oneof![
            (0.0..5_000.0_f64).prop_map(Amount::Energy),
            (0.0..=1.0_f64).prop_map(Amount::Share)
        ];
        (0..4_usize, 0..60_i64, 0..60_i64, amount, 0.0..1.0_f64, "[a-c]{1,3}").prop_map(
            |(kind, from, length, amount, kgco2e_per_kwh, name)| {
                let first = day("2024-01-01");
                let after = |days: i64| first.saturating_add(jiff::Span::new().days(days));
                Instrument {
                    name: name.as_str().into(),
                    kind: InstrumentKind::NAMES[kind].1,
                    from: after(from),
                    to: after(from + length),
                    amount,
                    kgco2e_per_kwh,
                    source: String::new(),
                }
            },
        )
    }

    proptest! {
        /// Energy is conserved, nothing is negative, no instrument gives more than it has, only its days are covered,
        /// and what comes later changes nothing before it.
        #[test]
        fn allocation_conserves_energy(
            kwh in prop::collection::vec(0.0..200.0_f64, 0..90),
            instruments in prop::collection::vec(any_instrument(), 0..6),
            cut in 0.0..1.0_f64,
        ) {
            let first = day("2024-01-01");
            let used: Vec<Used> = kwh.iter().zip(0..).map(|(kwh, n)| Used {
                day: first.saturating_add(jiff::Span::new().days(n)),
                energy_kwh: *kwh,
            }).collect();
            let splits = allocate(&used, &instruments);
            for (used, split) in used.iter().zip(&splits) {
                let covered: f64 = split.covered.iter().map(|(_, kwh)| kwh).sum();
                prop_assert!((covered + split.rest_kwh - used.energy_kwh).abs() < 1e-9);
                prop_assert!(split.rest_kwh >= 0.0);
                for (place, kwh) in &split.covered {
                    prop_assert!(*kwh > 0.0);
                    prop_assert!(holds(instruments[*place].from, Some(instruments[*place].to), used.day));
                }
            }
            for (told, instrument) in covered(&splits, 0..splits.len(), &instruments).iter().zip(&instruments) {
                if let (Amount::Energy(amount), Some(unused)) = (instrument.amount, told.unused_kwh) {
                    prop_assert!((told.energy_kwh + unused - amount).abs() < 1e-6);
                }
            }
            let n_early = (used.len() as f64 * cut) as usize;
            prop_assert_eq!(&allocate(&used[..n_early], &instruments)[..], &splits[..n_early]);
        }
    }
}
