//! The report for programs: the summary of a month with what a reader needs to check it.

use energy::{
    Site,
    carbon::{Factor, Fuel, Toe, restate::Restatement},
    finding::Money,
};
use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use super::{Figures, Month, MonthFigures, Origin, Summary, carbon::Books, figures::currency};

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
    /// Factors that emissions and toe were made with.
    pub factors: Vec<UsedFactor>,
    /// Restatements of the month's year, the oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub restatements: Vec<Restatement>,
}

/// A factor as used.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct UsedFactor {
    /// Its id.
    pub id: String,
    /// Which figure it made.
    pub figure: Figure,
    /// The factor.
    pub value: f64,
    /// Its unit: `kgCO2e/kWh`, `toe/MWh`, `kgCO2/TJ`.
    pub unit: String,
    /// First day of its use.
    pub use_from: Date,
    /// Last day of its use; `None` = until the next.
    pub use_to: Option<Date>,
    /// Who approved it.
    pub authority: String,
    /// Where it was found.
    pub source: String,
    /// Whether it was checked against the original.
    pub status: String,
}

/// A figure that factors make.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Figure {
    /// Scope 2, location-based.
    Location,
    /// Electricity in tonnes of oil equivalent.
    Toe,
    /// Scope 1.
    #[serde(rename = "scope_1")]
    Scope1,
}

impl Report {
    /// The report of `month` from its intervals and findings.
    pub fn new(site: &Site, month: Month, origin: Origin, data: Data<'_>) -> Self {
        let summary = Figures::compute(site, data.intervals, data.findings, data.books);
        Self {
            site: site.name.to_string(),
            month: month.to_string(),
            zone: site.zone.iana_name().unwrap_or("UTC").to_owned(),
            currency: currency(site).map(str::to_owned),
            demo: origin == Origin::Demo,
            energy_cost: summary.total.energy_cost.clone(),
            factors: used_factors(site, &summary.total),
            summary,
            restatements: of_year(data.restatements, month),
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
    /// What of other months the figures need.
    pub books: &'a Books,
    /// All restatements there are.
    pub restatements: &'a [Restatement],
}

/// The restatements that concern a month.
pub fn of_year(restatements: &[Restatement], month: Month) -> Vec<Restatement> {
    let of_year = restatements
        .iter()
        .filter(|restated| restated.year == month.first.year());
    of_year.cloned().collect()
}

fn used_factors(site: &Site, figures: &MonthFigures) -> Vec<UsedFactor> {
    let series = site.carbon.iter();
    let grid = series.clone().flat_map(|series| &series.factor).map(of_grid);
    let toe = series.flat_map(|series| &series.toe).map(of_toe);
    let electricity = grid.chain(toe).filter(|used| figures.factors.contains(&used.id));
    let is_burnt = |row: &&Fuel| figures.fuels.iter().any(|fuel| fuel.factors.contains(&row.id));
    let burnt = site.fuel_meters.iter().flat_map(|meter| &meter.rows).filter(is_burnt);
    electricity.chain(burnt.filter_map(of_fuel)).collect()
}

fn of_grid(factor: &Factor) -> UsedFactor {
    UsedFactor {
        id: factor.id.clone(),
        figure: Figure::Location,
        value: factor.kgco2e_per_kwh,
        unit: "kgCO2e/kWh".into(),
        use_from: factor.use_from,
        use_to: factor.use_to,
        authority: factor.authority.clone(),
        source: factor.source.clone(),
        status: factor.status.clone(),
    }
}

fn of_toe(toe: &Toe) -> UsedFactor {
    UsedFactor {
        id: toe.id.clone(),
        figure: Figure::Toe,
        value: toe.toe_per_mwh,
        unit: "toe/MWh".into(),
        use_from: toe.use_from,
        use_to: toe.use_to,
        authority: toe.authority.clone(),
        source: toe.source.clone(),
        status: toe.status.clone(),
    }
}

fn of_fuel(fuel: &Fuel) -> Option<UsedFactor> {
    Some(UsedFactor {
        id: fuel.id.clone(),
        figure: Figure::Scope1,
        value: fuel.kgco2_per_tj?,
        unit: "kgCO2/TJ".into(),
        use_from: fuel.use_from,
        use_to: fuel.use_to,
        authority: fuel.authority.clone(),
        source: fuel.source.clone(),
        status: fuel.status.clone(),
    })
}
