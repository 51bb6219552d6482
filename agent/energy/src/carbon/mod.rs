//! Dated emission factors: which one holds on a day, and for what purpose.
//!
//! Factors are data (`config/factors/*.toml`); none stands here, and none is applied here: see `account`, `market` and
//! `fuel`. Invariant: a factor holds for the days of its period of use only, and for its own purpose.

use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use crate::{finding::Title, unit::Energy};

pub mod account;
pub mod fuel;
pub mod market;
pub mod restate;

pub use account::{Account, Share, Used, rate, toe_rate};
pub use fuel::{Fuel, FuelMeter, FuelUse};
pub use market::{Amount, Instrument, InstrumentKind};

/// One file of `config/factors`: any of the lists may be absent.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FactorSeries {
    /// Name of the series for people.
    pub title: Title,
    /// Factors of electricity.
    #[serde(default)]
    pub factor: Vec<Factor>,
    /// Electricity in tonnes of oil equivalent.
    #[serde(default)]
    pub toe: Vec<Toe>,
    /// Heat values and factors of fuels.
    #[serde(default)]
    pub fuel: Vec<Fuel>,
    /// Factors of district heat.
    #[serde(default)]
    pub heat: Vec<Heat>,
    /// Warming potentials.
    #[serde(default)]
    pub gwp: Vec<Gwp>,
}

/// What a factor of electricity may be used for; one site needs several at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Purpose {
    /// Voluntary and ESG reporting, scope 2 location-based: the newest approval whose year is not after the year of use.
    EsgLocation,
    /// K-ETS and target management: the factor used at allocation.
    EtsAllocation,
    /// Scope 2 market-based: what a supplier states for all its customers.
    Supplier,
    /// Scope 2 market-based: the mix that is left when all instruments are taken out.
    Residual,
    /// Published beside the official value, not for totals.
    Reference,
}

impl Purpose {
    /// Every purpose with its name in files and on the command line.
    pub const NAMES: &[(&str, Self)] = &[
        ("esg_location", Self::EsgLocation),
        ("ets_allocation", Self::EtsAllocation),
        ("supplier", Self::Supplier),
        ("residual", Self::Residual),
        ("reference", Self::Reference),
    ];

    /// Its name in files and on the command line.
    pub fn name(self) -> &'static str {
        let named = Self::NAMES.iter().find(|(_, purpose)| *purpose == self);
        named.map_or("", |(name, _)| name)
    }
}

/// Where the kWh is counted that a factor is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Side {
    /// Delivered to the user (소비단), losses of the grid included.
    #[default]
    Consumption,
    /// At the power station (발전단): not for a site's use.
    Generation,
}

/// One published value.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Factor {
    /// Identifies the value and its version in every report.
    pub id: String,
    /// kgCO2e a kWh (= tCO2e a MWh).
    pub kgco2e_per_kwh: f64,
    /// Where the kWh is counted.
    #[serde(default)]
    pub side: Side,
    /// Part of a country, where the series has several.
    pub region: Option<String>,
    /// What it may be used for.
    pub purpose: Purpose,
    /// First day of use, in the site's zone.
    pub use_from: Date,
    /// Last day of use; absent = until the next.
    pub use_to: Option<Date>,
    /// kgCO2 a kWh, where the split is published.
    pub kgco2_per_kwh: Option<f64>,
    /// kgCH4 a MWh, where the split is published.
    pub kgch4_per_mwh: Option<f64>,
    /// kgN2O a MWh, where the split is published.
    pub kgn2o_per_mwh: Option<f64>,
    /// Set of warming potentials: SAR, AR4, AR5, AR6.
    pub gwp: Option<String>,
    /// Years of the statistics behind it.
    pub statistics: Option<String>,
    /// When it was published.
    pub published: Option<Date>,
    /// Who approved it.
    pub authority: String,
    /// Where it was found.
    pub source: String,
    /// Whether it was checked against the original.
    pub status: String,
    /// What else a user must know.
    pub note: Option<String>,
}

impl Factor {
    /// Whether a day lies in its period of use.
    pub fn holds(&self, day: Date) -> bool {
        holds(self.use_from, self.use_to, day)
    }

    /// The value made from its split, kgCO2e a kWh; `None` where the split is not whole.
    pub fn from_split(&self, gwp: &Gwp) -> Option<f64> {
        let gases_per_mwh = self.kgch4_per_mwh? * gwp.ch4 + self.kgn2o_per_mwh? * gwp.n2o;
        Some(self.kgco2_per_kwh? + Energy::Kwh.to(Energy::Mwh, gases_per_mwh))
    }
}

/// Warming over 100 years of a kg of gas against a kg of CO2, as one report has it.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs, reason = "plain words; see the struct")]
pub struct Gwp {
    pub set: String,
    pub ch4: f64,
    pub n2o: f64,
    pub source: String,
    pub status: String,
    pub note: Option<String>,
}

/// By what electricity is turned into tonnes of oil equivalent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ToeBasis {
    /// Statutory filings: fuel burnt for a kWh delivered (소비기준).
    Consumption,
    /// Fuel burnt for a kWh at the power station (발전기준).
    Generation,
    /// Heat that the final user can make of it.
    FinalUse,
}

impl ToeBasis {
    /// Every basis, that of statutory filings first.
    pub const ALL: [Self; 3] = [Self::Consumption, Self::Generation, Self::FinalUse];
}

/// One kWh in tonnes of oil equivalent, as an edition of the law has it.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Toe {
    /// Identifies the value and its edition.
    pub id: String,
    /// By what it is meant.
    pub basis: ToeBasis,
    /// toe a MWh, as published.
    pub toe_per_mwh: f64,
    /// kcal a kWh, as published.
    pub kcal_per_kwh: f64,
    /// MJ a kWh, as published.
    pub mj_per_kwh: f64,
    /// First day of use.
    pub use_from: Date,
    /// Last day of use; absent = until the next.
    pub use_to: Option<Date>,
    /// Who set it.
    pub authority: String,
    /// Where it was found.
    pub source: String,
    /// Whether it was checked against the original.
    pub status: String,
}

/// District heat of one branch of a supplier.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Heat {
    /// Identifies the value and its version.
    pub id: String,
    /// Branch of the supplier.
    pub branch: String,
    /// kgCO2 a TJ of heat, as published.
    pub kgco2_per_tj: f64,
    /// First day of use.
    pub use_from: Date,
    /// Last day of use; absent = until the next.
    pub use_to: Option<Date>,
    /// Who published it.
    pub authority: String,
    /// Where it was found.
    pub source: String,
    /// Whether it was checked against the original.
    pub status: String,
    /// What else a user must know.
    pub note: Option<String>,
}

/// Whether a day lies in a period of use.
pub(crate) fn holds(use_from: Date, use_to: Option<Date>, day: Date) -> bool {
    use_from <= day && use_to.is_none_or(|last| day <= last)
}

impl FactorSeries {
    /// The location-based factor for a day of use in the site's zone; `None` when no factor covers the day.
    pub fn location(&self, day: Date) -> Option<&Factor> {
        self.on(Purpose::EsgLocation, day)
    }

    /// The factor of a purpose for a day of use; `None` when no factor covers the day.
    pub fn on(&self, purpose: Purpose, day: Date) -> Option<&Factor> {
        let of_purpose = self.factor.iter().filter(|factor| factor.purpose == purpose);
        let mut of_use = of_purpose.filter(|factor| factor.side == Side::Consumption);
        of_use.find(|factor| factor.holds(day))
    }

    /// The location-based factor for a day as it was known at `known`: the newest published by then whose year is not
    /// after the day's. It stands for the years after its own until the next one comes out.
    pub fn location_as_known(&self, day: Date, known: Date) -> Option<&Factor> {
        let of_use = |factor: &&Factor| {
            factor.purpose == Purpose::EsgLocation
                && factor.side == Side::Consumption
                && factor.use_from <= day
                && factor.published.is_none_or(|published| published <= known)
        };
        self.factor.iter().filter(of_use).max_by_key(|factor| factor.use_from)
    }

    /// Electricity in toe on a day.
    pub fn toe_on(&self, basis: ToeBasis, day: Date) -> Option<&Toe> {
        let mut of_basis = self.toe.iter().filter(|toe| toe.basis == basis);
        of_basis.find(|toe| holds(toe.use_from, toe.use_to, day))
    }

    /// The factor of an id.
    pub fn by_id(&self, id: &str) -> Option<&Factor> {
        self.factor.iter().find(|factor| factor.id == id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(super) fn day(text: &str) -> Date {
        text.parse().expect("a day")
    }

    /// A factor in one line: id, value, purpose, first day, last day or "", day of publication or "".
    pub(super) fn series(rows: &[(&str, f64, &str, &str, &str, &str)]) -> FactorSeries {
        let optional = |key: &str, value: &str| {
            if value.is_empty() {
                String::new()
            } else {
                format!("{key} = '{value}'\n")
            }
        };
        let row = |(id, value, purpose, from, to, published): &(&str, f64, &str, &str, &str, &str)| {
            format!(
                "[[factor]]\nid = '{id}'\nkgco2e_per_kwh = {value}\npurpose = '{purpose}'\nuse_from = '{from}'\n\
                 authority = 't'\nsource = 't'\nstatus = 'verified'\n{}{}",
                optional("use_to", to),
                optional("published", published)
            )
        };
        let text = "title = { ko = '시험', en = 'test' }\n".to_owned() + &rows.iter().map(row).collect::<String>();
        toml::from_str(&text).expect("valid")
    }

    pub(super) fn three() -> FactorSeries {
        series(&[
            ("a", 0.4594, "esg_location", "2018-01-01", "2020-12-31", "2019-01-02"),
            ("reference", 0.1, "reference", "2018-01-01", "", ""),
            ("b", 0.4781, "esg_location", "2021-01-01", "2023-12-31", "2022-01-10"),
            ("c", 0.4541, "esg_location", "2024-01-01", "", "2025-03-31"),
        ])
    }

    #[test]
    fn a_day_has_the_factor_of_its_period_and_purpose() {
        for (at, expected) in [
            ("2017-12-31", None),
            ("2018-01-01", Some("a")),
            ("2020-12-31", Some("a")),
            ("2021-01-01", Some("b")),
            ("2099-01-01", Some("c")),
        ] {
            let series = three();
            let factor = series.location(day(at));
            assert_eq!(factor.map(|factor| factor.id.as_str()), expected, "{at}");
        }
        assert_eq!(three().on(Purpose::EtsAllocation, day("2022-01-01")), None);
    }

    #[test]
    fn what_was_known_decides_what_was_reported() {
        for (at, known, expected) in [
            ("2024-06-01", "2025-01-31", Some("b")), // before the approval of 2024 was published
            ("2024-06-01", "2025-03-31", Some("c")),
            ("2021-06-01", "2022-01-09", Some("a")), // its period had ended, but there was no other
            ("2018-06-01", "2018-12-31", None),
            ("2019-06-01", "2026-01-01", Some("a")), // never a later year's
        ] {
            let series = three();
            let factor = series.location_as_known(day(at), day(known));
            assert_eq!(
                factor.map(|factor| factor.id.as_str()),
                expected,
                "{at} known at {known}"
            );
        }
    }

    #[test]
    fn a_factor_of_the_generation_side_is_never_used() {
        let mut series = three();
        series.factor.retain(|factor| factor.id == "c");
        series.factor[0].side = Side::Generation;
        assert_eq!(series.location(day("2024-06-01")), None);
        assert_eq!(series.location_as_known(day("2024-06-01"), day("2026-01-01")), None);
    }

    #[test]
    fn a_split_leads_to_the_value() {
        let mut series = three();
        let factor = &mut series.factor[0];
        let sar = Gwp {
            set: "SAR".into(),
            ch4: 21.0,
            n2o: 310.0,
            source: String::new(),
            status: String::new(),
            note: None,
        };
        assert_eq!(factor.from_split(&sar), None);
        (factor.kgco2_per_kwh, factor.kgch4_per_mwh, factor.kgn2o_per_mwh) = (Some(0.4567), Some(0.0036), Some(0.0085));
        // 0.4567 + (0.0036 × 21 + 0.0085 × 310) / 1000
        assert!((factor.from_split(&sar).expect("whole") - 0.459_410_6).abs() < 1e-12);
    }
}
