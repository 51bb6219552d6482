//! `wattwarden factors use`: what the use of a year or month makes, and of how many intervals, kWh and which factors.

use std::process::ExitCode;

use energy::{
    Site,
    carbon::{self, Account, FactorSeries, Purpose, ToeBasis, Used},
    unit::{rounded, share},
};
use jiff::{SignedDuration, Timestamp};

use super::{AskedPurpose, Stretch, year_bounds};
use crate::{
    cli::{
        INPUT, Lang, Secrets, fail, finish, load,
        past::{self, PastArgs},
        table::{table, wrapped},
    },
    config::Config,
    language::Language,
    report::{
        Figures, Month, MonthFigures,
        carbon::books,
        figures,
        words::{grouped, repair_text, seen, status_name},
    },
};

/// Arguments of `factors use`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  wattwarden factors use --year 2026\n  \
    wattwarden factors use --from steel-2018 --month 2018-03 --explain\n  \
    wattwarden factors use --year 2026 --purpose reference")]
#[command(group = clap::ArgGroup::new("period").required(true))]
pub(super) struct UseArgs {
    #[command(flatten)]
    past: PastArgs,
    /// The year.
    #[arg(long, group = "period")]
    year: Option<i16>,
    /// The month, as 2026-10.
    #[arg(long, group = "period")]
    month: Option<Month>,
    /// By the factors of this purpose only.
    #[arg(long, value_enum)]
    purpose: Option<AskedPurpose>,
    /// Intervals, kWh and factor of every line.
    #[arg(long)]
    explain: bool,
    /// Language.
    #[arg(long, value_enum)]
    lang: Option<Lang>,
}

/// Prints what a period makes.
pub(super) fn run(args: &UseArgs) -> ExitCode {
    finish(made(args))
}

fn made(args: &UseArgs) -> Result<String, ExitCode> {
    let config = load(&args.past.config, Secrets::LeaveOut)?;
    let language = args.lang.map_or(config.language, Language::from);
    let bounds = match (args.year, args.month) {
        (Some(year), _) => year_bounds(&config, year),
        (None, month) => month.map(|month| month.bounds(&config.site.zone)),
    };
    let bounds = bounds.ok_or_else(|| fail(INPUT, "there is no such year"))?;
    let Some(series) = &config.site.carbon else {
        return Err(fail(INPUT, "[site] has no carbon: say which file of factors/ holds"));
    };
    let all = past::intervals(&args.past, &config, config.site.main_meter.as_deref())?;
    let heard_until = past::heard_until(&args.past, &config)?;
    let stretch = Stretch::of(&config, &all, heard_until, bounds);
    if stretch.used.is_empty() {
        return Err(fail(INPUT, nothing_known(&config, &all, bounds)));
    }
    let mut accounts = accounts(series, &stretch.used, args.purpose.map(|asked| asked.0));
    if let (true, Some(asked)) = (accounts.is_empty(), args.purpose) {
        let help = "`wattwarden factors list` says which there are, and from when to when";
        return Err(fail(
            INPUT,
            format!("no factor for {} holds in this period; {help}", asked.0.name()),
        ));
    }
    if args.purpose.is_none() {
        // Filings are by consumption; the two other conversions of the law are for whoever walks the figure down.
        let bases = if args.explain {
            &ToeBasis::ALL[..]
        } else {
            &ToeBasis::ALL[..1]
        };
        accounts.extend(bases.iter().map(|basis| toe(series, &stretch.used, *basis)));
    }
    let (mut rows, mut registers) = (Vec::new(), String::new());
    for (name, unit, account) in &accounts {
        rows.extend(shown(name, unit, account, args.explain, language));
    }
    if args.purpose.is_none() {
        let figures = figures(args, &config, (&all, heard_until), bounds)?;
        rows.extend(market(&figures, args.explain, language));
        rows.extend(fuels(&config.site, &figures, stretch.is_whole, language));
        if args.explain {
            let of_register = |fuel| of_register(&config.site, fuel, language);
            registers = figures.fuels.iter().map(of_register).collect();
        }
        if let (false, Some(toe)) = (figures.fuels.is_empty(), figures.toe) {
            let of_what = if language == Language::Ko {
                "전력 + 연료"
            } else {
                "electricity and fuels"
            };
            rows.push(vec![
                "toe".to_owned(),
                format!("{} toe", number(toe, 3)),
                of_what.to_owned(),
            ]);
        }
    }
    Ok(head(&stretch, language) + &table(&rows, &[false, true, false]) + &registers)
}

/// Why there is nothing to reckon, and what there would be.
fn nothing_known(config: &Config, all: &[energy::Interval], (from, until): (Timestamp, Timestamp)) -> String {
    let day = |at: Timestamp| config.site.zone.to_datetime(at).date();
    let last = day(until - SignedDuration::from_secs(1));
    let asked = format!("nothing is known of the main meter's use from {} to {last}", day(from));
    match (all.first(), all.last()) {
        (Some(first), Some(newest)) => {
            format!(
                "{asked}: there is use from {} to {}",
                day(first.start),
                day(newest.start)
            )
        }
        _ => asked,
    }
}

type Named = (String, &'static str, Account);

/// By purpose; reference factors each on its own, because several hold on one day.
fn accounts(series: &FactorSeries, used: &[Used], asked: Option<Purpose>) -> Vec<Named> {
    if asked == Some(Purpose::Reference) {
        let references = series.factor.iter().filter(|f| f.purpose == Purpose::Reference);
        let one = |factor: &carbon::Factor| {
            let account = Account::of(used, |day| factor.holds(day).then(|| carbon::rate(factor)));
            (factor.id.clone(), "kgCO2e", account)
        };
        return references
            .map(one)
            .filter(|(_, _, account)| !account.shares.is_empty())
            .collect();
    }
    let of = |purpose: Purpose| {
        let account = Account::of(used, |day| series.on(purpose, day).map(carbon::rate));
        (purpose.name().to_owned(), "kgCO2e", account)
    };
    let known = |(_, purpose): &&(&str, Purpose)| match asked {
        Some(asked) => *purpose == asked,
        None => *purpose != Purpose::Reference && series.factor.iter().any(|f| f.purpose == *purpose),
    };
    Purpose::NAMES
        .iter()
        .filter(known)
        .map(|(_, purpose)| of(*purpose))
        .collect()
}

fn toe(series: &FactorSeries, used: &[Used], basis: ToeBasis) -> Named {
    let rate = |day| series.toe_on(basis, day).map(carbon::toe_rate);
    let name = match basis {
        ToeBasis::Consumption => "toe",
        ToeBasis::Generation => "toe_generation",
        ToeBasis::FinalUse => "toe_final_use",
    };
    (name.into(), "toe", Account::of(used, rate))
}

fn number(value: f64, decimals: usize) -> String {
    grouped(&format!("{value:.decimals$}"))
}

fn head(stretch: &Stretch, language: Language) -> String {
    let kwh: f64 = stretch.used.iter().map(|used| used.energy_kwh).sum();
    let (kwh, n, seen) = (
        number(kwh, 1),
        stretch.used.len(),
        seen(stretch.coverage, stretch.is_whole, language),
    );
    match language {
        Language::Ko => format!("전력 사용량 {kwh} kWh · 구간 {n}개 · 자료 확보율 {seen}\n\n"),
        Language::En => format!("electricity used {kwh} kWh · {n} intervals · coverage {seen}\n\n"),
    }
}

fn shown(name: &str, unit: &str, account: &Account, explain: bool, language: Language) -> Vec<Vec<String>> {
    let ko = language == Language::Ko;
    let all_kwh = account.energy_kwh();
    let share = |kwh: f64| if all_kwh > 0.0 { kwh / all_kwh * 100.0 } else { 0.0 };
    let of = |share_pct: f64, id: &str| format!("{id} {share_pct:.1} %");
    let ids: Vec<String> = account
        .shares
        .iter()
        .map(|one| of(share(one.energy_kwh), &one.factor))
        .collect();
    let amount = account.amount().map_or("–".to_owned(), |amount| number(amount, 3));
    let mut rows = vec![vec![name.to_owned(), format!("{amount} {unit}"), ids.join(", ")]];
    if account.n_unknown > 0 {
        let (n, kwh) = (account.n_unknown, number(account.unknown_kwh, 1));
        let why = if ko {
            format!("계수 없음: 구간 {n}개, {kwh} kWh")
        } else {
            format!("no factor: {n} intervals, {kwh} kWh")
        };
        rows.push(vec![String::new(), String::new(), why]);
    }
    if explain {
        rows.extend(account.shares.iter().flat_map(|one| {
            let intervals = if ko { "구간" } else { "intervals" };
            let how = format!(
                "{} kWh × {} ({} {intervals})",
                number(one.energy_kwh, 3),
                rounded(one.rate_per_kwh, 12),
                one.n_intervals,
            );
            [
                vec![String::new(), number(one.amount(), 3), how],
                vec![String::new(), String::new(), one.factor.clone()],
            ]
        }));
    }
    rows
}

/// The figures of the period, as the report has them.
fn figures(
    args: &UseArgs,
    config: &Config,
    (all, heard_until): (&[energy::Interval], Timestamp),
    bounds: (Timestamp, Timestamp),
) -> Result<MonthFigures, ExitCode> {
    let registers = past::registers(&args.past, config, bounds)?;
    // What comes after the period must not change it, what came before has used instruments up.
    let until: Vec<_> = all.iter().filter(|one| one.start < bounds.1).cloned().collect();
    let of_period: Vec<_> = until.iter().filter(|one| bounds.0 <= one.start).cloned().collect();
    let books = books(&config.site, &until, heard_until, registers);
    let mut figures = Figures::compute(&config.site, &of_period, &[], &books).total;
    // Figures are of the months in which data lie, and so is their coverage.
    let ends = of_period
        .iter()
        .map(|one| one.end)
        .max()
        .zip(of_period.iter().map(|one| one.start).min());
    if let Some((last, first)) = ends {
        let (from, to) = figures::whole(&config.site, (first, last), heard_until);
        let asked_s = bounds
            .1
            .min(heard_until.max(last))
            .duration_since(bounds.0)
            .as_secs_f64();
        for fuel in &mut figures.fuels {
            fuel.coverage = share(fuel.coverage * to.duration_since(from).as_secs_f64() / asked_s);
        }
    }
    Ok(figures)
}

fn market(figures: &MonthFigures, explain: bool, language: Language) -> Vec<Vec<String>> {
    let ko = language == Language::Ko;
    let amount = figures.kgco2e.market.map_or("–".to_owned(), |kg| number(kg, 3));
    let why = match (figures.instruments.is_empty(), ko) {
        (true, true) => "계약 수단 자료 없음",
        (true, false) => "no contractual instruments on file",
        (false, _) => "",
    };
    let mut rows = vec![vec!["market".to_owned(), format!("{amount} kgCO2e"), why.to_owned()]];
    for covered in &figures.instruments {
        let unused = covered.unused_kwh.map_or(String::new(), |kwh| {
            format!(", {} {} kWh", if ko { "미사용" } else { "unused" }, number(kwh, 1))
        });
        let how = format!("{} {} kWh{unused}", covered.instrument, number(covered.energy_kwh, 1));
        let kg = if explain {
            number(covered.kgco2e, 3)
        } else {
            String::new()
        };
        rows.push(vec![String::new(), kg, how]);
    }
    rows.extend(uncovered(figures, explain, language));
    rows
}

/// What no instrument covers, so that the lines make up the figure.
fn uncovered(figures: &MonthFigures, explain: bool, language: Language) -> Option<Vec<String>> {
    let (whole_kg, whole_kwh) = figures.kgco2e.market.zip(figures.energy_import_kwh)?;
    let covered = figures.instruments.iter();
    let (kg, kwh) = covered.fold((whole_kg, whole_kwh), |(kg, kwh), covered| {
        (kg - covered.kgco2e, kwh - covered.energy_kwh)
    });
    let rest = if language == Language::Ko { "나머지" } else { "rest" };
    let kg = if explain { number(kg.max(0.0), 3) } else { String::new() };
    let how = format!("{rest} {} kWh", number(kwh.max(0.0), 1));
    (!figures.instruments.is_empty()).then(|| vec![String::new(), kg, how])
}

/// Rows that a heat was made with: `kr-toe-city-gas-lng-2022 (unverified)`.
fn by_rows(site: &Site, ids: &[String], language: Language) -> Vec<String> {
    let rows = || site.fuel_meters.iter().flat_map(|meter| &meter.rows);
    let named = |id: &String| {
        let status = rows().find(|row| row.id == *id).map_or("", |row| &row.status);
        format!("  {id} ({})", status_name(status, language))
    };
    ids.iter().map(named).collect()
}

fn fuels(site: &Site, figures: &MonthFigures, is_whole: bool, language: Language) -> Vec<Vec<String>> {
    let or_unknown = |value: Option<f64>| value.map_or("–".to_owned(), |value| number(value, 3));
    let words = match language {
        Language::Ko => ["자료 확보율", "순발열량", "총발열량"],
        Language::En => ["coverage", "net heat", "gross heat"],
    };
    let rows = |fuel: &carbon::FuelUse| {
        let amount = format!("{} kgCO2", or_unknown(fuel.kgco2));
        let gas = format!("{} m³ = {} Nm³", or_unknown(fuel.gas_m3), or_unknown(fuel.gas_nm3));
        let mut how = vec![format!("{} {}", words[0], seen(fuel.coverage, is_whole, language))];
        how.push(format!("{} {} GJ", words[1], or_unknown(fuel.net_gj)));
        how.extend(by_rows(site, &fuel.factors, language));
        how.push(format!("{} {} toe", words[2], or_unknown(fuel.toe)));
        how.extend(by_rows(site, &fuel.toe_factors, language));
        let mut rows = vec![vec!["scope_1".to_owned(), amount, format!("{}: {gas}", fuel.meter)]];
        rows.extend(how.into_iter().map(|how| vec![String::new(), String::new(), how]));
        rows
    };
    figures.fuels.iter().flat_map(rows).collect()
}

/// Where a fuel meter's register stood at both ends, and what was done to its readings.
fn of_register(site: &Site, fuel: &carbon::FuelUse, language: Language) -> String {
    let head = match language {
        Language::Ko => format!("\n{} 레지스터\n", fuel.meter),
        Language::En => format!("\nregister of {}\n", fuel.meter),
    };
    let readings = fuel.register.into_iter().flatten();
    let readings = readings.map(|reading| format!("{} {} m³", figures::local(site, reading.at), reading.gas_m3));
    let repairs = fuel.repairs.iter().map(|repair| {
        let at = figures::local(site, repair.until);
        format!("{at} {}", repair_text(repair, language))
    });
    readings
        .chain(repairs)
        .fold(head, |text, line| text + &wrapped(&line, 2))
}
