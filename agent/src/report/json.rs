//! The report for programs: the summary of a month with what a reader needs to check it.

use energy::{Site, finding::Money, tariff::bill::Bill};
use serde::{Deserialize, Serialize};

use super::{Figures, Month, MonthFigures, Origin, Summary, figures::currency};

/// The monthly report as JSON.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Report {
    /// Name of the site.
    pub site: String,
    /// `2026-08`.
    pub month: String,
    /// IANA name of the site's zone.
    pub zone: String,
    /// ISO 4217 code of the costs by kind; `None` without a contract.
    pub currency: Option<String>,
    /// Made from a simulated plant.
    pub demo: bool,
    /// The figures, shaped as `summary.json`.
    pub summary: Summary,
    /// Energy at the price of its interval, with levies, without demand charge.
    pub energy_cost: Option<Money>,
    /// Factors the emissions were made with.
    pub factors: Vec<UsedFactor>,
}

/// An emission factor as used.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct UsedFactor {
    /// Its id.
    pub id: String,
    /// kgCO2e a kWh.
    pub kgco2e_per_kwh: f64,
    /// Who approved it.
    pub authority: String,
    /// Where it was found.
    pub source: String,
}

impl Report {
    /// The report of `month` from its intervals and findings.
    pub fn new(site: &Site, month: Month, origin: Origin, data: Data<'_>) -> Self {
        let summary = Figures::compute(site, data.intervals, data.findings, data.bills);
        Self {
            site: site.name.to_string(),
            month: month.to_string(),
            zone: site.zone.iana_name().unwrap_or("UTC").to_owned(),
            currency: currency(site).map(str::to_owned),
            demo: origin == Origin::Demo,
            energy_cost: summary.total.energy_cost.clone(),
            factors: used_factors(site, &summary.total),
            summary,
        }
    }
}

/// What a month's report is made from.
#[derive(Debug, Clone, Copy)]
pub struct Data<'a> {
    /// Intervals that start in the month.
    pub intervals: &'a [energy::Interval],
    /// Findings that began in the month.
    pub findings: &'a [energy::Finding],
    /// Bills, that of the month among them.
    pub bills: &'a [Bill],
}

fn used_factors(site: &Site, figures: &MonthFigures) -> Vec<UsedFactor> {
    let series = site.carbon.iter().flat_map(|series| &series.factor);
    series
        .filter(|factor| figures.factors.contains(&factor.id))
        .map(|factor| UsedFactor {
            id: factor.id.clone(),
            kgco2e_per_kwh: factor.kgco2e_per_kwh,
            authority: factor.authority.clone(),
            source: factor.source.clone(),
        })
        .collect()
}
