//! The report for programs: the summary of a month with what a reader needs to check it.

use energy::{
    Site,
    carbon::{Factor, Fuel, FuelUse, Toe, restate::Restatement},
    finding::{Money, Title},
    tariff::contract_at,
};
use jiff::{Timestamp, ToSpan, civil::Date, tz::TimeZone};
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
    /// By what money was counted, one row a stretch of days; empty without a contract.
    pub tariffs: Vec<UsedTariff>,
    /// Factors that emissions and toe were made with.
    pub factors: Vec<UsedFactor>,
    /// What of the month the data do not hold; absent where they hold all of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub part: Option<Part>,
    /// Restatements of the month's year, the oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub restatements: Vec<Restatement>,
}

/// A month of which the data hold a part. Its coverage is the share of the whole month, while it runs of what has passed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    /// When the data begin, where that is after the month does: RFC 3339 with offset.
    pub begins: Option<String>,
    /// When they end, where that is before the month does.
    pub ends: Option<String>,
    /// The month is not over yet.
    pub is_running: bool,
}

impl Part {
    fn of(zone: &TimeZone, month: Month, summary: &Summary, heard_until: Timestamp) -> Option<Self> {
        let (first, next) = month.bounds(zone);
        let is = |text: &str, holds: &dyn Fn(Timestamp) -> bool| text.parse().is_ok_and(holds);
        let period = summary.period.as_ref().filter(|_| !summary.total.complete)?;
        Some(Self {
            begins: Some(period.from.clone()).filter(|from| is(from, &|from| from > first)),
            ends: Some(period.to.clone()).filter(|to| is(to, &|to| to < next)),
            is_running: heard_until < next,
        })
    }
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

/// A factor as used.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct UsedFactor {
    /// Its id.
    pub id: String,
    /// Which figure it made.
    pub figure: Figure,
    /// The factor.
    pub value: f64,
    /// Its unit: `kgCO2e/kWh`, `toe/MWh`, `kgCO2/TJ`, gross `MJ/Nm³`.
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
    /// Fuels in tonnes of oil equivalent, by gross heat.
    FuelToe,
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
            tariffs: used_tariffs(site, month),
            factors: used_factors(site, &summary.total),
            part: Part::of(&site.zone, month, &summary, data.books.heard_until),
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
    let series = site.carbon.iter();
    let grid = series.clone().flat_map(|series| &series.factor).map(of_grid);
    let toe = series.flat_map(|series| &series.toe).map(of_toe);
    let electricity = grid.chain(toe).filter(|used| figures.factors.contains(&used.id));
    let is_in =
        |used: fn(&FuelUse) -> &[String], row: &Fuel| figures.fuels.iter().any(|fuel| used(fuel).contains(&row.id));
    let mut rows: Vec<&Fuel> = Vec::new();
    // Two meters of one fuel have the same rows.
    for row in site.fuel_meters.iter().flat_map(|meter| &meter.rows) {
        if !rows.iter().any(|known| known.id == row.id) {
            rows.push(row);
        }
    }
    let burnt = rows.iter().filter(|row| is_in(|fuel| &fuel.factors, row));
    let heat = rows.iter().filter(|row| is_in(|fuel| &fuel.toe_factors, row));
    electricity
        .chain(burnt.filter_map(|row| of_fuel(row)))
        .chain(heat.filter_map(|row| of_heat(row)))
        .collect()
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
    Some(of_row(fuel, Figure::Scope1, fuel.kgco2_per_tj?, "kgCO2/TJ".into()))
}

fn of_heat(fuel: &Fuel) -> Option<UsedFactor> {
    let unit = format!("MJ/{}", fuel.unit.name());
    Some(of_row(fuel, Figure::FuelToe, fuel.gross_mj()?, unit))
}

fn of_row(fuel: &Fuel, figure: Figure, value: f64, unit: String) -> UsedFactor {
    UsedFactor {
        id: fuel.id.clone(),
        figure,
        value,
        unit,
        use_from: fuel.use_from,
        use_to: fuel.use_to,
        authority: fuel.authority.clone(),
        source: fuel.source.clone(),
        status: fuel.status.clone(),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::{self, Secrets, diagnostic::Source};
    use crate::report::figures::Period;

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

    #[test]
    fn a_month_of_which_the_data_hold_a_part_says_so() {
        let check = |from: &str, to: &str, heard: &str, expected: Option<(bool, bool, bool)>| {
            let at = |day: &str| format!("{day}T00:00:00+00:00");
            let mut summary = Summary {
                period: Some(Period {
                    from: at(from),
                    to: at(to),
                }),
                ..Summary::default()
            };
            summary.total.complete = (from, to) == ("2026-03-01", "2026-04-01");
            let month = "2026-03".parse().expect("a month");
            let heard = at(heard).parse().expect("an instant");
            let part = Part::of(&jiff::tz::TimeZone::UTC, month, &summary, heard);
            let found = part.map(|part| (part.begins.is_some(), part.ends.is_some(), part.is_running));
            assert_eq!(found, expected, "{from} – {to}, {heard}");
        };
        check("2026-03-01", "2026-04-01", "2026-04-01", None);
        check("2026-03-05", "2026-04-01", "2026-04-09", Some((true, false, false)));
        check("2026-03-01", "2026-03-14", "2026-04-01", Some((false, true, false)));
        check("2026-03-01", "2026-03-14", "2026-03-14", Some((false, true, true)));
        check("2026-03-05", "2026-03-14", "2026-03-14", Some((true, true, true)));
    }
}
