//! The report for programs: the summary of a month with what a reader needs to check it.

use energy::{
    Site,
    finding::{Money, Title},
    tariff::{bill::Bill, contract_at},
};
use jiff::{ToSpan, civil::Date};
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
    /// By what money was counted, one row a stretch of days; empty without a contract.
    pub tariffs: Vec<UsedTariff>,
    /// Factors the emissions were made with.
    pub factors: Vec<UsedFactor>,
}

/// A contract, its tariff and the prices that held, over some days of the month.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct UsedTariff {
    /// First day.
    pub from: Date,
    /// The day after the last.
    pub to: Date,
    /// Name of the tariff's file.
    pub tariff: String,
    /// The tariff as people call it.
    pub title: Title,
    /// First day of the contract.
    pub contract_from: Date,
    /// Contract demand, kW.
    pub contract_kw: f64,
    /// The day to whose rules the contract is pinned; `None` = each day by its own.
    pub edition: Option<Date>,
    /// First day of the prices that held; `None` = none is known, and money neither.
    pub prices_from: Option<Date>,
    /// Who set the prices, and where they were found.
    pub source: Option<String>,
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
            tariffs: used_tariffs(site, month),
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

/// One row for each stretch of the month's days with the same contract and prices.
fn used_tariffs(site: &Site, month: Month) -> Vec<UsedTariff> {
    let what = |row: &UsedTariff| (row.contract_from, row.prices_from);
    let mut used: Vec<UsedTariff> = Vec::new();
    let days = (0..month.first.days_in_month()).map(|step| month.first.saturating_add(i64::from(step).days()));
    for row in days.filter_map(|day| tariff_of(site, day)) {
        match used.last_mut() {
            Some(last) if what(last) == what(&row) => last.to = row.to,
            _ => used.push(row),
        }
    }
    used
}

fn tariff_of(site: &Site, day: Date) -> Option<UsedTariff> {
    let contract = contract_at(&site.contracts, super::midnight(day, &site.zone))?;
    let prices = contract.edition_of(day).map(|edition| edition.prices);
    Some(UsedTariff {
        from: day,
        to: day.saturating_add(1.day()),
        tariff: contract.tariff_name.clone(),
        title: contract.tariff.title.clone(),
        contract_from: contract.from,
        contract_kw: contract.contract_kw,
        edition: contract.edition,
        prices_from: prices.map(|table| table.from),
        source: prices.map(|table| format!("{} · {}", table.authority, table.source)),
    })
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

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::{self, Secrets, diagnostic::Source};

    /// Days, tariff, contract, prices and edition of a month.
    fn check(month: &str, expected: &[&str]) {
        let text = "[site]\nname = 's'\nzone = 'Asia/Seoul'\nmain_meter = 'm'\n[[meter]]\nname = 'm'\n\
            [[contract]]\nfrom = '2024-11-01'\ntariff = 'kepco-industrial-b-high-a-2'\ncontract_kw = 900\n\
            [[contract]]\nfrom = '2026-09-10'\ntariff = 'kepco-industrial-b-high-a-1'\ncontract_kw = 500\nedition = '2025-02-01'\n";
        let loaded = config::parse(
            Source::new("w.toml", text),
            Path::new("/nonexistent"),
            Secrets::LeaveOut,
        );
        let site = loaded.expect("it is right").config.site;
        let shown = |row: UsedTariff| {
            let dates = [row.edition, row.prices_from].map(|day| day.map_or("-".to_owned(), |day| day.to_string()));
            format!(
                "{} {} {} {} {}",
                row.from,
                row.to,
                row.tariff,
                row.contract_kw,
                dates.join(" ")
            )
        };
        let month = month.parse().expect("a month");
        let found: Vec<String> = used_tariffs(&site, month).into_iter().map(shown).collect();
        assert_eq!(found, expected, "{month}");
    }

    #[test]
    fn money_is_said_to_come_from_the_contract_and_prices_of_its_days() {
        check("2024-10", &[]);
        check(
            "2026-03",
            &["2026-03-01 2026-04-01 kepco-industrial-b-high-a-2 900 - 2024-10-24"],
        );
        check(
            "2026-04",
            &[
                "2026-04-01 2026-04-16 kepco-industrial-b-high-a-2 900 - 2024-10-24",
                "2026-04-16 2026-05-01 kepco-industrial-b-high-a-2 900 - 2026-04-16",
            ],
        );
        check(
            "2026-09",
            &[
                "2026-09-01 2026-09-10 kepco-industrial-b-high-a-2 900 - 2026-04-16",
                "2026-09-10 2026-10-01 kepco-industrial-b-high-a-1 500 2025-02-01 2024-10-24",
            ],
        );
    }
}
