//! A past year reckoned again, with other factors or other data: what was said, what is said now, and what explains it.
//!
//! It keeps nothing; who calls writes the result down and never over an old one. Invariants: the difference is the sum over
//! pairs of factors of kWh × (new − old), and of what other data made; each old value is the last new one.

use jiff::{Timestamp, civil::Date};
use serde::{Deserialize, Serialize};

use super::{Account, Factor, FactorSeries, Used, rate};
use crate::unit::rounded;

/// Places that are kept: what a sum of thousands of floats can promise, and what factors have.
const PLACES: i32 = 6;

/// A year's emissions as reckoned with one set of factors.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Reckoned {
    /// By which rule the factors were taken.
    pub basis: Basis,
    /// Location-based, kgCO2e.
    pub kgco2e: f64,
    /// By factor.
    pub account: Account,
}

/// Energy that one factor was replaced by another for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Moved {
    /// Id of the old factor.
    pub from: String,
    /// Id of the new factor.
    pub to: String,
    /// New less old, kgCO2e a kWh.
    pub kgco2e_per_kwh: f64,
    /// kWh that it was replaced for.
    pub energy_kwh: f64,
    /// What that changed, kgCO2e.
    pub kgco2e: f64,
}

/// What other data made of a year since it was last restated, by the factors of then.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Recounted {
    /// kWh now, less kWh then.
    pub energy_kwh: f64,
    /// What that changed, kgCO2e.
    pub kgco2e: f64,
}

/// One restatement: both values and the reason.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Restatement {
    /// The year.
    pub year: i16,
    /// When it was restated.
    pub at: Timestamp,
    /// Why, in the words of who did it.
    pub reason: String,
    /// Energy of both, kWh.
    pub energy_kwh: f64,
    /// Share of the year seen with trusted readings, 0..1.
    pub coverage: f64,
    /// As it was.
    pub old: Reckoned,
    /// As it is from now on.
    pub new: Reckoned,
    /// New less old, kgCO2e.
    pub difference_kgco2e: f64,
    /// The same as a percentage of the old value; `None` where that is 0.
    pub difference_pct: Option<f64>,
    /// What the difference is made of, beside other data.
    pub explained_by: Vec<Moved>,
    /// What other data made of it; `None` where they are the same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recounted: Option<Recounted>,
}

impl Restatement {
    /// With the value that was `last` kept as its old one: where the data have changed since, that is a part of the
    /// difference.
    #[must_use]
    pub fn after(mut self, last: &Self) -> Self {
        let recounted = Recounted {
            energy_kwh: rounded(self.energy_kwh - last.energy_kwh, PLACES),
            kgco2e: rounded(self.old.kgco2e - last.new.kgco2e, PLACES),
        };
        self.recounted = Some(recounted).filter(|it| it.energy_kwh != 0.0 || it.kgco2e != 0.0);
        self.old = last.new.clone();
        let (old, difference) = (self.old.kgco2e, self.new.kgco2e - self.old.kgco2e);
        self.difference_kgco2e = difference;
        self.difference_pct = (old != 0.0).then(|| difference / old * 100.0);
        self
    }

    /// Whether it says anything new.
    pub fn is_other(&self) -> bool {
        self.recounted.is_some() || self.explained_by.iter().any(|moved| moved.from != moved.to)
    }

    /// As it is kept: without the noise of sums.
    #[must_use]
    pub fn printable(mut self) -> Self {
        let figures = [&mut self.energy_kwh, &mut self.difference_kgco2e];
        let reckoned = [&mut self.old, &mut self.new].into_iter().flat_map(|reckoned| {
            let shares = reckoned.account.shares.iter_mut().map(|share| &mut share.energy_kwh);
            shares.chain([&mut reckoned.kgco2e])
        });
        // The rate is a difference of two factors: none has more places either.
        let moved = self.explained_by.iter_mut();
        let moved = moved.flat_map(|moved| [&mut moved.kgco2e_per_kwh, &mut moved.energy_kwh, &mut moved.kgco2e]);
        for figure in figures
            .into_iter()
            .chain(&mut self.difference_pct)
            .chain(reckoned)
            .chain(moved)
        {
            *figure = rounded(*figure, PLACES);
        }
        self
    }
}

/// What cannot be restated.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CannotRestate {
    /// There is no use.
    #[error("no use of the main meter is known in {0}")]
    NoUse(i16),
    /// A day has no factor.
    #[error("{day} has no factor {basis}")]
    NoFactor {
        /// The day.
        day: Date,
        /// By which rule none was found.
        basis: Basis,
    },
}

/// The rule by which a day gets its factor.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Basis {
    /// The location-based factor as it was known on a day.
    Known(Date),
    /// One factor for the whole year, by its id.
    Factor(String),
}

impl Basis {
    /// The factor of a day of use.
    pub fn factor<'f>(&self, series: &'f FactorSeries, day: Date) -> Option<&'f Factor> {
        match self {
            Self::Known(known) => series.location_as_known(day, *known),
            Self::Factor(id) => series.by_id(id),
        }
    }
}

impl std::fmt::Display for Basis {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Known(day) => write!(f, "as known on {day}"),
            Self::Factor(id) => write!(f, "by {id}"),
        }
    }
}

/// What a restatement is of.
#[derive(Debug, Clone, Copy)]
pub struct Year<'a> {
    /// The year.
    pub year: i16,
    /// Its use.
    pub used: &'a [Used],
    /// Share of it seen with trusted readings, 0..1.
    pub coverage: f64,
}

/// Reckons a year by both rules.
pub fn restate(
    series: &FactorSeries,
    year: Year<'_>,
    (old, new): (&Basis, &Basis),
    at: Timestamp,
    reason: &str,
) -> Result<Restatement, CannotRestate> {
    let (reckoned_old, reckoned_new) = (reckoned(series, year, old)?, reckoned(series, year, new)?);
    let difference_kgco2e = reckoned_new.kgco2e - reckoned_old.kgco2e;
    Ok(Restatement {
        year: year.year,
        at,
        reason: reason.to_owned(),
        energy_kwh: reckoned_new.account.energy_kwh(),
        coverage: year.coverage,
        difference_kgco2e,
        difference_pct: (reckoned_old.kgco2e != 0.0).then(|| difference_kgco2e / reckoned_old.kgco2e * 100.0),
        explained_by: moved(series, year.used, old, new),
        recounted: None,
        old: reckoned_old,
        new: reckoned_new,
    })
}

fn reckoned(series: &FactorSeries, year: Year<'_>, basis: &Basis) -> Result<Reckoned, CannotRestate> {
    let factor = |day| basis.factor(series, day);
    let account = Account::of(year.used, |day| factor(day).map(rate));
    let missing = || year.used.iter().find(|used| factor(used.day).is_none());
    let kgco2e = account.amount().ok_or_else(|| match missing() {
        None => CannotRestate::NoUse(year.year),
        Some(used) => CannotRestate::NoFactor {
            day: used.day,
            basis: basis.clone(),
        },
    })?;
    Ok(Reckoned {
        basis: basis.clone(),
        kgco2e,
        account,
    })
}

fn moved(series: &FactorSeries, used: &[Used], old: &Basis, new: &Basis) -> Vec<Moved> {
    let mut all: Vec<Moved> = Vec::new();
    for used in used {
        let (Some(from), Some(to)) = (old.factor(series, used.day), new.factor(series, used.day)) else {
            continue;
        };
        let kgco2e_per_kwh = to.kgco2e_per_kwh - from.kgco2e_per_kwh;
        let kgco2e = used.energy_kwh * kgco2e_per_kwh;
        match all.iter_mut().find(|moved| moved.from == from.id && moved.to == to.id) {
            Some(moved) => {
                moved.energy_kwh += used.energy_kwh;
                moved.kgco2e += kgco2e;
            }
            None => all.push(Moved {
                from: from.id.clone(),
                to: to.id.clone(),
                kgco2e_per_kwh,
                energy_kwh: used.energy_kwh,
                kgco2e,
            }),
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{
        super::tests::{day, series},
        *,
    };

    fn grid() -> FactorSeries {
        series(&[
            ("2018", 0.4594, "esg_location", "2018-01-01", "2020-12-31", "2019-01-02"),
            ("2021", 0.4781, "esg_location", "2021-01-01", "2023-12-31", "2022-01-10"),
            ("2024", 0.4541, "esg_location", "2024-01-01", "2024-12-31", "2025-03-31"),
        ])
    }

    fn known(at: &str) -> Basis {
        Basis::Known(day(at))
    }

    /// Restates a year of 100 kWh a month, known at two days: old and new value, and what moved.
    fn check(year: i16, old: &str, new: &str, expected: (f64, f64, &[(&str, &str)])) {
        let series = grid();
        let one = |month| Used {
            day: Date::new(year, month, 15).expect("a day"),
            energy_kwh: 100.0,
        };
        let used: Vec<Used> = (1..=12).map(one).collect();
        let year = Year {
            year,
            used: &used,
            coverage: 1.0,
        };
        let at = "2026-01-01T00:00:00Z".parse().expect("an instant");
        let told = restate(&series, year, (&known(old), &known(new)), at, "why").expect("known");
        assert!((told.old.kgco2e - expected.0).abs() < 1e-9, "{told:?}");
        assert!((told.new.kgco2e - expected.1).abs() < 1e-9, "{told:?}");
        let pairs: Vec<(&str, &str)> = told
            .explained_by
            .iter()
            .map(|moved| (moved.from.as_str(), moved.to.as_str()))
            .collect();
        assert_eq!(pairs, expected.2);
        assert_eq!(told.reason, "why");
    }

    /// 2022 to 2024 span three editions: 2021's approval came out in January 2022, 2024's in March 2025.
    #[test]
    fn three_years_by_three_editions_keep_both_values() {
        let one = Basis::Factor("2021".into());
        assert_eq!(
            one.factor(&grid(), day("2030-01-01"))
                .map(|factor| factor.kgco2e_per_kwh),
            Some(0.4781)
        );
        check(2022, "2022-01-09", "2025-12-31", (551.28, 573.72, &[("2018", "2021")]));
        check(2023, "2023-12-31", "2025-12-31", (573.72, 573.72, &[("2021", "2021")]));
        check(2024, "2025-03-30", "2025-12-31", (573.72, 544.92, &[("2021", "2024")]));
    }

    #[test]
    fn what_cannot_be_restated_says_why() {
        let series = grid();
        let at = Timestamp::UNIX_EPOCH;
        let (early, late) = (known("2018-06-01"), known("2026-01-01"));
        let used = [Used {
            day: day("2018-03-01"),
            energy_kwh: 1.0,
        }];
        let year = |used| Year {
            year: 2018,
            used,
            coverage: 1.0,
        };
        let error = restate(&series, year(&used), (&early, &late), at, "").expect_err("nothing was published");
        assert_eq!(error.to_string(), "2018-03-01 has no factor as known on 2018-06-01");
        let error = restate(&series, year(&[]), (&late, &late), at, "").expect_err("no use");
        assert_eq!(error, CannotRestate::NoUse(2018));
    }

    /// A year that was restated, and then its data changed: the value that was kept stands before the new one.
    #[test]
    fn a_chain_of_restatements_has_no_hole() {
        let (series, at) = (grid(), Timestamp::UNIX_EPOCH);
        let restated = |kwh: f64, old: &Basis, new: &Basis| {
            let used = [Used {
                day: day("2024-03-01"),
                energy_kwh: kwh,
            }];
            let year = Year {
                year: 2024,
                used: &used,
                coverage: 1.0,
            };
            restate(&series, year, (old, new), at, "why")
                .expect("known")
                .printable()
        };
        let (early, late, one) = (known("2024-12-31"), known("2026-01-01"), Basis::Factor("2018".into()));
        let first = restated(1000.0, &early, &late);
        let same = restated(1000.0, &late, &late).after(&first);
        assert_eq!((same.is_other(), same.recounted), (false, None));
        let other_data = restated(1100.0, &late, &late).after(&first);
        assert_eq!(other_data.old, first.new);
        let made = Recounted {
            energy_kwh: 100.0,
            kgco2e: 45.41,
        };
        assert_eq!((other_data.is_other(), other_data.recounted), (true, Some(made)));
        let both = restated(1100.0, &late, &one).after(&first);
        let moved: f64 = both.explained_by.iter().map(|moved| moved.kgco2e).sum();
        assert!((both.difference_kgco2e - moved - made.kgco2e).abs() < 1e-6, "{both:#?}");
        assert!((first.new.kgco2e + both.difference_kgco2e - 1100.0 * 0.4594).abs() < 1e-6);
    }

    proptest! {
        #[test]
        fn the_difference_is_explained_whole(kwh in prop::collection::vec(0.1..900.0_f64, 1..50)) {
            let series = grid();
            let first = day("2019-06-01");
            let used: Vec<Used> = kwh.iter().zip(0..).map(|(kwh, n)| Used {
                day: first.saturating_add(jiff::Span::new().days(n * 30)),
                energy_kwh: *kwh,
            }).collect();
            let year = Year { year: 2022, used: &used, coverage: 1.0 };
            let told = restate(&series, year, (&known("2020-01-01"), &known("2026-01-01")), Timestamp::UNIX_EPOCH, "")
                .expect("every day is covered by both");
            let explained: f64 = told.explained_by.iter().map(|moved| moved.kgco2e).sum();
            prop_assert!((explained - told.difference_kgco2e).abs() < 1e-6);
            prop_assert!((told.new.kgco2e - told.old.kgco2e - told.difference_kgco2e).abs() < 1e-9);
        }
    }
}
