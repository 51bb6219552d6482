//! The report for people: one HTML file with its style inside, in Korean or English, that prints on A4.
//!
//! It computes nothing but how a number is written. Invariant: what is not known is written "—", and a total stands
//! beside its coverage.

use askama::Template;
use energy::{
    Quality,
    carbon::{FuelUse, market::Covered, restate::Restatement},
    finding::Money,
    tariff::bill::{Bill, Item},
    unit::{Carbon, percent_seen},
};
use jiff::civil::Date;
use rust_decimal::{Decimal, prelude::ToPrimitive};

use super::{
    Language, MonthFigures,
    html_words::{EN, KO, Words},
    json::{Figure, Part, Report, UsedFactor, UsedTariff},
    words::{grouped, item_name, kind_name, money, status_name},
};

/// The page could not be written.
#[derive(Debug, thiserror::Error)]
#[error("the report could not be written: {0}")]
pub struct RenderError(#[from] askama::Error);

/// The report as a page.
pub fn render(report: &Report, language: Language) -> Result<String, RenderError> {
    let words = match language {
        Language::Ko => &KO,
        Language::En => &EN,
    };
    let page = Page {
        report,
        words,
        language,
        rows: rows(report, words, language),
        bands: bands(report, words),
        waste: waste(report, language),
        bill: report.summary.total.bill.as_ref().map(|bill| bill_of(bill, language)),
        tariffs: tariffs(report, words, language),
        period: report
            .summary
            .period
            .as_ref()
            .map(|period| (readable(&period.from), readable(&period.to))),
        coverage: percent_seen(report.summary.total.coverage),
        part: report.part.as_ref().map(|part| part_of(part, language)),
        restated: report
            .restatements
            .iter()
            .map(|restated| told(restated, language))
            .collect(),
    };
    Ok(page.render()?)
}

#[derive(Template)]
#[template(path = "month.html")]
struct Page<'a> {
    report: &'a Report,
    words: &'static Words,
    language: Language,
    rows: Vec<Row>,
    bands: Vec<Row>,
    waste: Vec<Waste>,
    bill: Option<BillPart>,
    tariffs: Vec<TariffRow>,
    period: Option<(String, String)>,
    coverage: String,
    part: Option<String>,
    restated: Vec<String>,
}

impl Page<'_> {
    /// `2018-01-01 – 2020-12-31`; open at the end while the factor is in use.
    fn used(factor: &UsedFactor) -> [String; 2] {
        let last = factor.use_to.map(|day| day.to_string()).unwrap_or_default();
        [format!("{} –", factor.use_from), last]
    }

    fn status<'a>(&self, factor: &'a UsedFactor) -> &'a str {
        status_name(&factor.status, self.language)
    }
}

/// One figure: what it is, its value, the coverage of what it was made from, a remark.
struct Row {
    name: &'static str,
    value: String,
    coverage: String,
    note: String,
}

struct Waste {
    kind: &'static str,
    count: usize,
    energy: String,
    cost: String,
    carbon: String,
}

/// A bill as it is printed.
struct BillPart {
    period: String,
    coverage: String,
    demand: String,
    items: Vec<(String, String)>,
    total: String,
    notes: Vec<String>,
}

/// By what money was counted.
struct TariffRow {
    days: [String; 2],
    title: String,
    name: String,
    contract: String,
    contract_from: Date,
    prices: String,
    source: String,
}

const UNKNOWN: &str = "—";

/// When the peak was, and whether the meter itself said it.
fn peak_note(total: &MonthFigures, words: &Words) -> String {
    let start = total.peak_demand_start.as_deref().map_or(String::new(), readable);
    match total.peak_demand_quality {
        None | Some(Quality::Ok) => start,
        Some(_) => format!("{start} · {}", words.estimated),
    }
}

fn rows(report: &Report, words: &Words, language: Language) -> Vec<Row> {
    let total = &report.summary.total;
    let seen = total.figure_coverage;
    let row = |name, value: Option<String>, coverage: Option<f64>, note: String| Row {
        name,
        value: value.unwrap_or_else(|| UNKNOWN.to_owned()),
        coverage: coverage.map_or_else(String::new, percent_seen),
        note,
    };
    let mut rows = vec![
        row(
            words.energy,
            total.energy_import_kwh.map(|v| unit(v, 1, "kWh")),
            seen.energy,
            String::new(),
        ),
        row(
            words.peak,
            total.peak_demand_kw.map(|v| unit(v, 1, "kW")),
            seen.peak_demand,
            peak_note(total, words),
        ),
        row(
            words.load_factor,
            total.load_factor.map(percent),
            total.load_factor.and(seen.energy),
            String::new(),
        ),
        row(
            words.cost,
            report.energy_cost.as_ref().map(|cost| money(cost, language)),
            seen.energy_cost,
            words.cost_note.into(),
        ),
        row(
            words.carbon,
            total.kgco2e.location.map(tonnes),
            seen.carbon,
            ids(report, Figure::Location),
        ),
        row(
            words.carbon_market,
            total.kgco2e.market.map(tonnes),
            seen.carbon.filter(|_| total.kgco2e.market.is_some()),
            market_note(&total.instruments, words),
        ),
        row(
            words.toe,
            total.toe.map(|toe| unit(toe, 3, "toe")),
            seen.energy.filter(|_| total.toe.is_some()),
            toe_note(report, words, language),
        ),
        row(
            words.coverage,
            Some(percent_seen(total.coverage)),
            None,
            words.coverage_note.into(),
        ),
    ];
    if !total.fuels.is_empty() {
        let note = fuel_note(report, words);
        rows.insert(6, row(words.scope_1, total.kgco2e.scope_1.map(tonnes), None, note));
    }
    rows
}

/// What of the month the data do not hold: `part month: data begin 2018-01-11 10:00`.
fn part_of(part: &Part, language: Language) -> String {
    let (head, begin, end) = match (language, part.is_running) {
        (Language::Ko, true) => ("진행 중인 달", "자료 시작", "집계 시점"),
        (Language::Ko, false) => ("월 일부", "자료 시작", "자료 끝"),
        (Language::En, true) => ("month still running", "data begin", "counted up to"),
        (Language::En, false) => ("part month", "data begin", "data end"),
    };
    let ends = [(begin, &part.begins), (end, &part.ends)];
    let told: Vec<String> = ends
        .into_iter()
        .filter_map(|(what, at)| Some(format!("{what} {}", readable(at.as_deref()?))))
        .collect();
    format!("{head}: {}", told.join(", "))
}

fn tonnes(kg: f64) -> String {
    unit(Carbon::Kg.to(Carbon::T, kg), 3, "tCO₂e")
}

/// Ids of the factors that made a figure.
fn ids(report: &Report, figure: Figure) -> String {
    let of_figure = report.factors.iter().filter(|factor| factor.figure == figure);
    of_figure
        .map(|factor| factor.id.as_str())
        .collect::<Vec<_>>()
        .join(", ")
}

/// `rec-2024 1,200.0 kWh (미사용 300.0 kWh)`.
fn market_note(instruments: &[Covered], words: &Words) -> String {
    if instruments.is_empty() {
        return words.market_note.into();
    }
    let one = |covered: &Covered| {
        let unused = covered.unused_kwh.filter(|kwh| *kwh > 0.0);
        let unused = unused.map_or(String::new(), |kwh| {
            format!(" ({} {})", words.unused, unit(kwh, 1, "kWh"))
        });
        format!("{} {}{unused}", covered.instrument, unit(covered.energy_kwh, 1, "kWh"))
    };
    instruments.iter().map(one).collect::<Vec<_>>().join(", ")
}

/// The conversion of electricity with its value, as `0.229 toe/MWh`, and the rows of fuels' gross heat.
fn toe_note(report: &Report, words: &Words, language: Language) -> String {
    let of_toe = report.factors.iter().filter(|factor| factor.figure == Figure::Toe);
    let values: Vec<String> = of_toe
        .map(|factor| format!("{} {}", factor.value, factor.unit))
        .collect();
    let electricity = format!("{} {}", words.toe_note, values.join(", "));
    let fuels = report.factors.iter().filter(|factor| factor.figure == Figure::FuelToe);
    let fuels: Vec<String> = fuels
        .map(|factor| {
            let status = status_name(&factor.status, language);
            format!("{} {} {} ({status})", factor.id, factor.value, factor.unit)
        })
        .collect();
    if fuels.is_empty() {
        return electricity;
    }
    format!("{electricity}; {} {}", words.toe_fuel_note, fuels.join(", "))
}

/// `gas 1,000.0 m³ = 980.0 Nm³, 99.0 %`: meter, amount, coverage.
fn fuel_note(report: &Report, words: &Words) -> String {
    let amount = |value: Option<f64>, name| value.map_or(UNKNOWN.to_owned(), |value| unit(value, 1, name));
    let one = |fuel: &FuelUse| {
        format!(
            "{} {} = {}, {} {}",
            fuel.meter,
            amount(fuel.gas_m3, "m³"),
            amount(fuel.gas_nm3, "Nm³"),
            words.coverage,
            percent_seen(fuel.coverage)
        )
    };
    let fuels = report.summary.total.fuels.iter().map(one).collect::<Vec<_>>();
    format!(
        "{} · {} · {}",
        words.scope_1_note,
        fuels.join(", "),
        ids(report, Figure::Scope1)
    )
}

/// One restatement in a sentence: both values, what changed, why.
fn told(restated: &Restatement, language: Language) -> String {
    let (old, new) = (tonnes(restated.old.kgco2e), tonnes(restated.new.kgco2e));
    let moved = restated.explained_by.iter();
    let moved = moved.map(|moved| format!("{} → {}: {}", moved.from, moved.to, unit(moved.energy_kwh, 1, "kWh")));
    let recounted = restated.recounted.iter().map(|recounted| {
        let kwh = unit(recounted.energy_kwh, 1, "kWh");
        match language {
            Language::Ko => format!("달라진 자료: {kwh}"),
            Language::En => format!("other data: {kwh}"),
        }
    });
    let moved: Vec<String> = moved.chain(recounted).collect();
    let (moved, reason, year) = (moved.join(", "), &restated.reason, restated.year);
    match language {
        Language::Ko => format!("{year}년 {old} → {new} ({moved}). 사유: {reason}"),
        Language::En => format!("{year}: {old} → {new} ({moved}). Reason: {reason}"),
    }
}

fn bands(report: &Report, words: &Words) -> Vec<Row> {
    let total = &report.summary.total;
    let Some((bands, all)) = total.energy_by_band_kwh.zip(total.energy_import_kwh) else {
        return Vec::new();
    };
    // A month may hold a contract with bands and one without; no tariff has all of them.
    let named = [
        (words.light, bands.light),
        (words.mid, bands.mid),
        (words.peak_band, bands.peak),
        (words.flat, bands.flat.unwrap_or(0.0)),
    ];
    let row = |(name, kwh): (&'static str, f64)| Row {
        name,
        value: unit(kwh, 1, "kWh"),
        coverage: total.figure_coverage.energy.map_or_else(String::new, percent_seen),
        note: if all > 0.0 { percent(kwh / all) } else { String::new() },
    };
    named.into_iter().filter(|(_, kwh)| *kwh > 0.0).map(row).collect()
}

fn bill_of(bill: &Bill, language: Language) -> BillPart {
    let amount = |amount: Decimal| {
        let currency = bill.currency.clone();
        let amount = amount.round_dp(2);
        money(&Money { amount, currency }, language)
    };
    let item = |item: &Item| (item_name(&item.item, language).to_owned(), amount(item.amount));
    let rounding = bill.rounding().round_dp(2);
    let rounding = (!rounding.is_zero()).then(|| (item_name("rounding", language).to_owned(), amount(rounding)));
    BillPart {
        period: format!("{} – {}", bill.from, last(bill.to)),
        coverage: percent_seen(bill.coverage),
        demand: unit(bill.demand.billing_kw.to_f64().unwrap_or(0.0), 1, "kW"),
        items: bill.items.iter().map(item).chain(rounding).collect(),
        total: amount(bill.total),
        notes: bill
            .notes
            .iter()
            .map(|note| language.pick(&note.text).to_owned())
            .collect(),
    }
}

fn tariffs(report: &Report, words: &Words, language: Language) -> Vec<TariffRow> {
    let row = |used: &UsedTariff| TariffRow {
        days: [format!("{} –", used.from), last(used.to).to_string()],
        title: language.pick(&used.title).to_owned(),
        name: used.tariff.clone(),
        contract: format!("{} kW", grouped(&used.contract_kw.to_string())),
        contract_from: used.contract_from,
        prices: match (used.prices_from, used.edition) {
            (None, _) => UNKNOWN.to_owned(),
            (Some(from), None) => format!("{} {from}", words.prices_from),
            (Some(from), Some(day)) => format!("{} {from}, {} {day}", words.prices_from, words.pinned),
        },
        source: used.source.clone().unwrap_or_default(),
    };
    report.tariffs.iter().map(row).collect()
}

/// The last day of a stretch that ends before `to`.
fn last(to: Date) -> Date {
    to.yesterday().unwrap_or(to)
}

fn waste(report: &Report, language: Language) -> Vec<Waste> {
    let or_unknown = |text: Option<String>| text.unwrap_or_else(|| UNKNOWN.to_owned());
    let row = |figures: &super::figures::KindFigures| Waste {
        kind: kind_name(figures.kind, language),
        count: figures.count,
        energy: or_unknown(figures.energy_kwh.map(|kwh| number(kwh, 1))),
        cost: or_unknown(
            figures
                .cost
                .zip(report.currency.clone())
                .map(|(amount, currency)| money(&Money { amount, currency }, language)),
        ),
        carbon: or_unknown(figures.kgco2e.map(|kg| number(kg, 1))),
    };
    report.summary.findings.iter().map(row).collect()
}

/// `1,234.5 kWh`.
fn unit(value: f64, decimals: usize, unit: &str) -> String {
    format!("{} {unit}", number(value, decimals))
}

fn number(value: f64, decimals: usize) -> String {
    grouped(&format!("{value:.decimals$}"))
}

fn percent(share: f64) -> String {
    format!("{:.1} %", share * 100.0)
}

/// `2026-08-28T09:15:00+09:00` → `2026-08-28 09:15`: local time as the summary has it, without what a reader knows.
fn readable(instant: &str) -> String {
    instant.replacen('T', " ", 1).chars().take(16).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::{MonthFigures, Summary, figures::FigureCoverage};

    fn report(total: MonthFigures) -> Report {
        Report {
            site: "ansan-1".into(),
            month: "2026-08".into(),
            zone: "Asia/Seoul".into(),
            currency: None,
            demo: false,
            summary: Summary {
                period: None,
                total,
                months: Vec::new(),
                running_bill: None,
                findings: Vec::new(),
            },
            energy_cost: None,
            tariffs: Vec::new(),
            factors: Vec::new(),
            part: None,
            restatements: Vec::new(),
        }
    }

    #[test]
    fn a_bill_is_printed_item_by_item_with_its_total_and_its_remarks() {
        let bill = serde_json::json!({
            "month": "2026-08-01", "from": "2026-08-01", "to": "2026-09-01", "complete": false, "coverage": 0.75,
            "unknown": 0.25, "estimated_kwh": 0, "currency": "KRW", "total": 1_234_567, "net": 1_100_000.5,
            "items": [
                {"item": "demand_charge", "amount": 1_000_000, "lines": []},
                {"item": "own_item", "amount": -12.345, "lines": []},
            ],
            "demand": {"billing_kw": 612.5, "peak": null, "counted": null, "set_by": null, "floor_kw": 0,
                       "known_kw": {}, "unknown": []},
            "power_factor_lag_pct": null, "power_factor_lead_pct": null,
            "notes": [{"code": "part_month", "text": {"ko": "일부 기간", "en": "part of it"}}],
        });
        let mut report = report(MonthFigures {
            bill: serde_json::from_value(bill).expect("a bill"),
            ..MonthFigures::default()
        });
        let ko = [
            "기본요금</th><td class=\"n\">1,000,000원",
            "끝수 처리</th><td class=\"n\">234,579.34원",
            "청구금액</th><td class=\"n\">1,234,567원",
            "<li>일부 기간</li>",
        ];
        let en = [
            "Demand charge</th><td class=\"n\">1,000,000 KRW",
            "own_item</th><td class=\"n\">-12.34 KRW",
            "2026-08-01 – 2026-08-31 · billed demand 612.5 kW · Coverage 75.0 %",
            "<li>part of it</li>",
        ];
        for (language, texts) in [(Language::Ko, &ko[..]), (Language::En, &en[..])] {
            let page = render(&report, language).expect("it is written into memory");
            for text in texts {
                assert!(page.contains(text), "{text}\n{page}");
            }
        }
        report.summary.total.bill = None;
        let page = render(&report, Language::En).expect("it is written into memory");
        assert!(!page.contains(EN.bill), "no bill, no heading");
    }

    #[test]
    fn a_total_stands_beside_the_coverage_of_what_it_was_made_from() {
        let report = report(MonthFigures {
            energy_import_kwh: Some(1000.0),
            peak_demand_kw: Some(80.0),
            peak_demand_start: Some("2026-08-28T09:15:00+09:00".to_owned()),
            peak_demand_quality: Some(Quality::Estimated),
            coverage: 0.9,
            figure_coverage: FigureCoverage {
                energy: Some(0.5),
                peak_demand: Some(0.25),
                energy_cost: None,
                carbon: Some(0.125),
            },
            ..MonthFigures::default()
        });
        let page = render(&report, Language::En).expect("it is written into memory");
        assert!(page.contains("09:15 · estimated<"), "{page}");
        for (name, value, coverage) in [
            (EN.energy, "1,000.0 kWh", "50.0 %"),
            (EN.peak, "80.0 kW", "25.0 %"),
            (EN.load_factor, "—", ""),
            (EN.cost, "—", ""),
            (EN.carbon, "—", "12.5 %"),
        ] {
            let row = format!(
                "<tr><th scope=\"row\">{name}</th><td class=\"n\">{value}</td><td class=\"n quiet\">{coverage}</td>"
            );
            assert!(page.contains(&row), "{row}\n{page}");
        }
    }

    #[test]
    fn an_instant_is_read_as_local_time() {
        assert_eq!(readable("2026-08-28T09:15:00+09:00"), "2026-08-28 09:15");
    }
}
