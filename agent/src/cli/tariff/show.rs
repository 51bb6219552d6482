//! `wattwarden tariff show`: the tariffs there are, and one of them as it stands on a day, with its sources.

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    path::PathBuf,
    process::ExitCode,
};

use energy::tariff::{Band, Contract, Edition, HourSpan, Rules, Tariff};
use jiff::civil::Date;
use rust_decimal::Decimal;

use crate::{
    cli::{
        INPUT, Lang, fail, language, print,
        table::{table, wrapped},
    },
    clock::Clock,
    config::{
        data::{DataFiles, Folder, load_alone},
        diagnostic::{Diagnostic, Paint},
    },
    language::Language,
    report::words::{band_name, item_name, season_name},
};

use super::rules;

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
        None => list(&data, language).map(Ok),
        Some(name) => one(args, &data, name, language),
    };
    match made {
        Ok(Err(why)) => fail(INPUT, why),
        Ok(Ok(text)) => {
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

/// The text of one tariff; inside, why a question that has no answer has none.
fn one(
    args: &ShowArgs,
    data: &DataFiles,
    name: &str,
    language: Language,
) -> Result<Result<String, String>, Vec<Diagnostic>> {
    let tariff: Tariff = load_alone(data, Folder::Tariffs, name)?;
    let rules: Rules = load_alone(data, Folder::TariffRules, &tariff.rules)?;
    let day = args
        .day
        .unwrap_or_else(|| rules.zone.to_datetime(Clock::system().now()).date());
    let contract = Contract::alone(name, tariff, rules, args.area.clone());
    let title = language.pick(&contract.tariff.title);
    let zone = contract.rules.zone.iana_name().unwrap_or("–");
    let head = format!("{title}\n{name} · {day} · {zone} · {}\n\n", contract.rules.currency);
    let edition = known_area(&contract).and_then(|()| edition_of(&contract, day));
    Ok(edition.map(|edition| head + &shown(&edition, language)))
}

/// Whether the area that was asked for has band tables of its own.
fn known_area(contract: &Contract) -> Result<(), String> {
    let Some(asked) = &contract.area else { return Ok(()) };
    let areas: BTreeSet<&str> = contract
        .rules
        .bands
        .iter()
        .filter_map(|table| table.area.as_deref())
        .collect();
    if areas.contains(asked.as_str()) {
        return Ok(());
    }
    let known: Vec<&str> = areas.into_iter().collect();
    let known = if known.is_empty() {
        "none".to_owned()
    } else {
        known.join(", ")
    };
    Err(format!(
        "--area {asked}: this tariff has no band table of that area; areas of its own: {known}"
    ))
}

fn edition_of(contract: &Contract, day: Date) -> Result<Edition<'_>, String> {
    let first = contract.tariff.price.first().map_or(Date::MAX, |row| row.from);
    contract.edition_of(day).ok_or_else(|| {
        let name = &contract.tariff_name;
        format!("no price table of {name} holds on {day}: the first one begins on {first}")
    })
}

fn shown(edition: &Edition<'_>, language: Language) -> String {
    let mut rows = prices(edition, language);
    let assumed = match language {
        Language::Ko => " (이어 쓴 값)",
        Language::En => " (carried on)",
    };
    for row in &edition.charges {
        let assumed = if row.assumed { assumed } else { "" };
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
    let prices = table(&rows, &[false, true, true, true, true]);
    let (hours, rules) = (hours(edition, language), rules::shown(edition, language));
    format!("{prices}\n{hours}\n{rules}\n{}", sources(edition, language))
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
        let mut row = vec![format!("{} ({months})", season_name(season, language))];
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
        let band = |(band, hours): (&Band, &Vec<HourSpan>)| format!("{} {}", band_name(*band, language), spans(hours));
        let mut row = vec![season_name(season, language).to_owned()];
        row.extend(hours.iter().map(band));
        row
    };
    let rows: Vec<Vec<String>> = edition.bands.hours.iter().map(row).collect();
    table(&rows, &[false; 5])
}

/// Where the prices, charges and levies were found; the rules say it each for itself.
fn sources(edition: &Edition<'_>, language: Language) -> String {
    let prices = edition.prices;
    let charges = edition.charges.iter().map(|row| (row.from, &row.item, &row.source));
    let levies = edition.levies.iter().map(|row| (row.from, &row.item, &row.source));
    let of_items = charges.chain(levies);
    let mut sources = vec![format!("{}: {}, {}", prices.from, prices.authority, prices.source)];
    sources.extend(of_items.map(|(from, item, source)| format!("{from}: {}, {source}", item_name(item, language))));
    sources.iter().map(|line| wrapped(line, 0)).collect()
}
