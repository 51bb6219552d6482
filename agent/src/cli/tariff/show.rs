//! `wattwarden tariff show`: the tariffs there are, and one of them as it stands on a day, with its sources.

use std::{collections::BTreeMap, io, path::PathBuf, process::ExitCode};

use energy::tariff::{Band, Contract, Edition, HourSpan, Rules, Tariff};
use jiff::civil::Date;
use rust_decimal::Decimal;

use crate::{
    cli::{INPUT, Lang, language, print, table::table},
    clock::Clock,
    config::{
        data::{DataFiles, Folder, load_alone},
        diagnostic::{Diagnostic, Paint},
    },
    language::Language,
    report::words::{band_name, item_name},
};

/// Arguments of `tariff show`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  wattwarden tariff show\n  wattwarden tariff show kepco-industrial-b-high-a-2 --day 2026-04-16"
)]
pub(super) struct ShowArgs {
    /// Name of a tariff; without it, all are listed.
    name: Option<String>,
    /// The day, as 2026-04-16; without it, today.
    #[arg(long)]
    day: Option<Date>,
    /// Area with band tables of its own, as jeju.
    #[arg(long)]
    area: Option<String>,
    /// Folder whose tariffs/ and calendars/ override the shipped ones.
    #[arg(long, value_name = "DIR", default_value = "/etc/wattwarden")]
    beside: PathBuf,
    /// Language; else that of LANG.
    #[arg(long, value_enum)]
    lang: Option<Lang>,
}

/// Prints a tariff, or the list.
pub(super) fn run(args: &ShowArgs) -> ExitCode {
    let language = language(args.lang);
    let data = DataFiles::beside(&args.beside);
    let made = match &args.name {
        None => list(&data, language),
        Some(name) => one(args, &data, name, language),
    };
    match made {
        Ok(text) => {
            print(&text);
            ExitCode::SUCCESS
        }
        Err(found) => {
            let paint = Paint::of(&io::stderr());
            for diagnostic in found {
                eprintln!("{}", diagnostic.render(paint));
            }
            ExitCode::from(INPUT)
        }
    }
}

fn list(data: &DataFiles, language: Language) -> Result<String, Vec<Diagnostic>> {
    let mut rows = Vec::new();
    for name in data.names(Folder::Tariffs) {
        let tariff: Tariff = load_alone(data, Folder::Tariffs, &name)?;
        rows.push(vec![name, language.pick(&tariff.title).to_owned()]);
    }
    Ok(table(&rows, &[false, false]))
}

fn one(args: &ShowArgs, data: &DataFiles, name: &str, language: Language) -> Result<String, Vec<Diagnostic>> {
    let tariff: Tariff = load_alone(data, Folder::Tariffs, name)?;
    let rules: Rules = load_alone(data, Folder::TariffRules, &tariff.rules)?;
    let day = args
        .day
        .unwrap_or_else(|| rules.zone.to_datetime(Clock::system().now()).date());
    let contract = Contract::alone(name, tariff, rules, args.area.clone());
    let title = language.pick(&contract.tariff.title);
    let head = format!("{title}\n{name} · {day} · {}\n\n", contract.rules.currency);
    let none = if language == Language::Ko {
        "이 날의 요금표가 없습니다.\n"
    } else {
        "No price table holds on this day.\n"
    };
    let body = contract.edition_of(day).map(|edition| shown(&edition, language));
    Ok(head + &body.unwrap_or_else(|| none.to_owned()))
}

fn shown(edition: &Edition<'_>, language: Language) -> String {
    let rules = &edition.contract.rules;
    let mut rows = prices(edition, language);
    for row in &edition.charges {
        let assumed = if row.assumed { " (assumed)" } else { "" };
        rows.push(vec![
            item_name(&row.item, language).into(),
            format!("{} /kWh{assumed}", row.price),
        ]);
    }
    for row in &edition.levies {
        rows.push(vec![
            item_name(&row.item, language).into(),
            format!("{} %", (row.share * Decimal::ONE_HUNDRED).normalize()),
        ]);
    }
    let mut text = table(&rows, &[false, true, true, true, true]) + "\n" + &hours(edition, language);
    text += &demand(rules, language);
    text + "\n" + &sources(edition)
}

/// How the billed demand is found, in a line.
fn demand(rules: &Rules, language: Language) -> String {
    let Some(rule) = &rules.demand else {
        return String::new();
    };
    let bands: Vec<&str> = rule.bands.iter().map(|band| band_name(*band, language)).collect();
    let months: Vec<String> = rule.ratchet_months.iter().map(ToString::to_string).collect();
    let (bands, months, minutes) = (bands.join(", "), months.join(", "), rule.interval_min);
    let floor = (rule.floor_share * Decimal::ONE_HUNDRED).normalize();
    match language {
        Language::Ko => format!(
            "최대수요 {minutes}분 · 대상 시간대 [{bands}] · 기억하는 달 [{months}]\n하한 계약전력의 {floor} %\n"
        ),
        Language::En => format!(
            "demand of {minutes} min · bands that count [{bands}] · months remembered [{months}]\n\
             floor {floor} % of the contract\n"
        ),
    }
}

fn prices(edition: &Edition<'_>, language: Language) -> Vec<Vec<String>> {
    let bands: Vec<Band> = Band::ALL
        .into_iter()
        .filter(|band| {
            edition
                .prices
                .energy_per_kwh
                .values()
                .any(|prices| prices.contains_key(band))
        })
        .collect();
    let mut rows = vec![vec![
        item_name("demand_charge", language).to_owned(),
        format!("{} /kW", edition.prices.demand_per_kw),
    ]];
    let mut head = vec!["/kWh".to_owned()];
    head.extend(bands.iter().map(|band| band_name(*band, language).to_owned()));
    rows.push(head);
    for (season, prices) in &edition.prices.energy_per_kwh {
        let months = edition
            .contract
            .rules
            .seasons
            .get(season)
            .map_or(String::new(), |months| {
                months.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")
            });
        let mut row = vec![format!("{season} ({months})")];
        row.extend(
            bands
                .iter()
                .map(|band| prices.get(band).map_or("–".to_owned(), ToString::to_string)),
        );
        rows.push(row);
    }
    rows
}

fn hours(edition: &Edition<'_>, language: Language) -> String {
    let spans = |spans: &[HourSpan]| spans.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ");
    let row = |(season, hours): (&String, &BTreeMap<Band, Vec<HourSpan>>)| {
        let bands = hours
            .iter()
            .map(|(band, hours)| format!("{} {}", band_name(*band, language), spans(hours)));
        vec![season.clone(), bands.collect::<Vec<_>>().join(" · ")]
    };
    let rows: Vec<Vec<String>> = edition.bands.hours.iter().map(row).collect();
    table(&rows, &[false, false])
}

fn sources(edition: &Edition<'_>) -> String {
    let (prices, bands) = (edition.prices, edition.bands);
    let mut sources = vec![
        format!("{}: {}, {}", prices.from, prices.authority, prices.source),
        format!("{}: {}, {}", bands.from, bands.authority, bands.source),
    ];
    sources.extend(
        edition
            .charges
            .iter()
            .map(|row| format!("{}: {}, {}", row.from, row.item, row.source)),
    );
    sources.extend(
        edition
            .levies
            .iter()
            .map(|row| format!("{}: {}, {}", row.from, row.item, row.source)),
    );
    sources.extend(
        edition
            .power_factor
            .map(|rule| format!("{}: power factor, {} ({})", rule.from, rule.source, rule.status)),
    );
    sources.into_iter().map(|line| line + "\n").collect()
}
