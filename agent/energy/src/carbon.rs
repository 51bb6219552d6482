//! Dated emission factors of electricity: which one holds at an instant, and for what purpose.
//!
//! Factors are data (`config/factors/*.toml`); none stands here. Invariant: a kWh is multiplied by the factor whose
//! period of use holds its instant, and the factor's id goes with the result.

use jiff::civil::Date;
use serde::{Deserialize, Serialize};

/// A named series of factors, one file of `config/factors`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FactorSeries {
    /// Name of the series for people.
    pub title: crate::finding::Title,
    /// The factors.
    pub factor: Vec<Factor>,
}

/// What a factor may be used for; one site needs several at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Purpose {
    /// Voluntary and ESG reporting, scope 2 location-based: the newest approval whose year is not after the year of use.
    EsgLocation,
    /// K-ETS and target management: the factor used at allocation.
    EtsAllocation,
    /// Published beside the official value, not for totals.
    Reference,
}

/// One published value.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Factor {
    /// Identifies the value and its version in every report.
    pub id: String,
    /// kgCO2e a kWh (= tCO2e a MWh), delivered (consumption side).
    pub kgco2e_per_kwh: f64,
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
    /// Set of warming potentials: SAR, AR5, AR6.
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
}

impl FactorSeries {
    /// The location-based factor for a day of use in the site's zone; `None` when no factor covers the day.
    pub fn location(&self, day: Date) -> Option<&Factor> {
        self.factor
            .iter()
            .filter(|factor| factor.purpose == Purpose::EsgLocation)
            .find(|factor| factor.use_from <= day && factor.use_to.is_none_or(|last| day <= last))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SERIES: &str = r#"
title = { ko = "시험", en = "test" }
[[factor]]
id = "a"
kgco2e_per_kwh = 0.4594
purpose = "esg_location"
use_from = "2018-01-01"
use_to = "2020-12-31"
authority = "test"
source = "test"
status = "verified"
[[factor]]
id = "reference"
kgco2e_per_kwh = 0.1
purpose = "reference"
use_from = "2018-01-01"
authority = "test"
source = "test"
status = "verified"
[[factor]]
id = "b"
kgco2e_per_kwh = 0.4781
purpose = "esg_location"
use_from = "2021-01-01"
authority = "test"
source = "test"
status = "verified"
"#;

    #[test]
    fn a_day_has_the_factor_of_its_period_and_purpose() {
        let series: FactorSeries = toml::from_str(SERIES).expect("valid");
        for (day, expected) in [
            ("2017-12-31", None),
            ("2018-01-01", Some("a")),
            ("2020-12-31", Some("a")),
            ("2021-01-01", Some("b")),
            ("2099-01-01", Some("b")),
        ] {
            let factor = series.location(day.parse().expect("valid"));
            assert_eq!(factor.map(|factor| factor.id.as_str()), expected, "{day}");
        }
    }
}
