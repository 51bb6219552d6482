//! `wattwarden energy`: a meter's kWh by month, day or interval, how much of it was seen, and the way back from one
//! figure to its registers, repairs, prices and factors. Beneath it the meters' tree and their register.
//!
//! It reckons nothing but sums; the intervals are the engine's.

use std::{collections::BTreeMap, process::ExitCode};

use clap::{Subcommand, ValueEnum};
use energy::{Interval, Quality, Site};
use jiff::{Timestamp, civil::Date};

use super::{
    INPUT, Lang, Secrets, fail, finish, load,
    past::{self, PastArgs},
    table::table,
};
use crate::{
    config::Config,
    language::Language,
    report::{
        Month, day_bounds,
        words::{grouped, seen},
    },
};

mod explain;
mod meters;
mod tree;

/// Arguments of `energy`.
#[derive(Debug, clap::Args)]
#[command(
    args_conflicts_with_subcommands = true,
    after_help = "Examples:\n  wattwarden energy --by day --month 2026-10\n  wattwarden energy --meter press-2 --explain\n  \
    wattwarden energy -c steel.toml --from steel-2018 --month 2018-03 --explain"
)]
pub struct EnergyArgs {
    #[command(subcommand)]
    command: Option<EnergyCommand>,
    #[command(flatten)]
    past: PastArgs,
    /// The meter; without it, the main meter.
    #[arg(long)]
    meter: Option<String>,
    /// Only this month, as 2026-10.
    #[arg(long)]
    month: Option<Month>,
    /// One line a month, a day or an interval.
    #[arg(long, value_enum, default_value_t = By::Month)]
    by: By,
    /// Walk the month's (or the newest month's) figure down to its registers.
    #[arg(long)]
    explain: bool,
    /// Language; else the configuration's.
    #[arg(long, value_enum)]
    lang: Option<Lang>,
}

#[derive(Debug, Subcommand)]
enum EnergyCommand {
    /// The meters as a tree: what each measured, what nobody below a meter measures, and whether they agree.
    Tree(tree::TreeArgs),
    /// The meter register: where each one hangs, how exact it is, when it must be calibrated.
    Meters(meters::MetersArgs),
}

/// What one line of the table is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum By {
    Month,
    Day,
    Interval,
}

/// Prints a meter's energy, or what the subcommand asks for.
pub fn run(args: &EnergyArgs) -> ExitCode {
    let text = match &args.command {
        None => made(args),
        Some(EnergyCommand::Tree(args)) => tree::made(args),
        Some(EnergyCommand::Meters(args)) => meters::made(args),
    };
    finish(text)
}

/// Why there is nothing to show.
fn unknown(meter: &str, month: Option<Month>, known: &[&Interval]) -> String {
    match (known.first(), known.last(), month) {
        (Some(first), Some(last), Some(month)) => format!(
            "nothing is known of meter {meter:?} in {month}, only from {} to {}",
            first.start, last.end
        ),
        _ => format!(
            "nothing is known of meter {meter:?} yet: its first demand interval is there once it is over and no reading \
             of it is awaited any more"
        ),
    }
}

fn made(args: &EnergyArgs) -> Result<String, ExitCode> {
    let config = load(&args.past.config, Secrets::LeaveOut)?;
    let language = args.lang.map_or(config.language, Language::from);
    let meter = named(args, &config)?;
    let all = past::intervals(&args.past, &config, Some(&meter))?;
    let newest = newest(&all);
    let zone = &config.site.zone;
    let month = match (args.month, newest.last()) {
        (Some(month), _) => Some(month),
        (None, Some(last)) if args.explain => Some(Month::of(last.start, zone)),
        _ => None,
    };
    let within = |interval: &&&Interval| {
        let bounds = month.map(|month| month.bounds(zone));
        bounds.is_none_or(|(from, until)| from <= interval.start && interval.start < until)
    };
    let chosen: Vec<&Interval> = newest.iter().filter(within).copied().collect();
    if chosen.is_empty() {
        let is_fuel = config.site.fuel_meters.iter().any(|fuel| *fuel.meter == *meter);
        let why = if is_fuel {
            format!("{meter:?} counts a fuel: `wattwarden factors use --month 2026-10 --explain` shows what, and how")
        } else {
            unknown(&meter, month, &newest)
        };
        return Err(fail(INPUT, why));
    }
    let heard_until = past::heard_until(&args.past, &config)?;
    match month.filter(|_| args.explain) {
        Some(month) => explain::explained(args, &config, (&meter, month, heard_until), &chosen, language),
        None => Ok(listed(&config.site, &chosen, heard_until, args.by, language)),
    }
}

/// The meter asked for, else the main meter.
fn named(args: &EnergyArgs, config: &Config) -> Result<String, ExitCode> {
    let names: Vec<&str> = config.site.meters.iter().map(|meter| &*meter.name).collect();
    match (&args.meter, &config.site.main_meter) {
        (Some(name), _) if names.contains(&name.as_str()) => Ok(name.clone()),
        (Some(name), _) => Err(fail(
            INPUT,
            format!("no meter is called {name:?}; there are {}", names.join(", ")),
        )),
        (None, Some(main)) => Ok(main.to_string()),
        (None, None) => Err(fail(
            INPUT,
            format!("say which meter: --meter {}", names.join(" | --meter ")),
        )),
    }
}

/// The newest revision of each interval, by start.
fn newest(all: &[Interval]) -> Vec<&Interval> {
    let mut newest: BTreeMap<Timestamp, &Interval> = BTreeMap::new();
    for interval in all {
        let kept = newest.entry(interval.start).or_insert(interval);
        if interval.revision >= kept.revision {
            *kept = interval;
        }
    }
    newest.into_values().collect()
}

/// What a stretch's intervals add up to.
#[derive(Debug, Default)]
struct Sums {
    energy_kwh: Option<f64>,
    peak_kw: Option<f64>,
    /// The meter itself did not say the peak.
    is_peak_estimated: bool,
    seen_min: f64,
    /// Energy of intervals that are not as the registers said it, kWh.
    repaired_kwh: f64,
    /// Intervals that are not as the registers said them.
    n_repaired: usize,
}

impl Sums {
    fn of(intervals: &[&Interval]) -> Self {
        let mut sums = Self::default();
        for interval in intervals {
            let minutes = interval.end.duration_since(interval.start).as_secs_f64() / 60.0;
            sums.seen_min += minutes * interval.coverage;
            sums.n_repaired += usize::from(interval.quality != Quality::Ok);
            if let Some(kwh) = interval.energy_import_kwh {
                sums.energy_kwh = Some(sums.energy_kwh.unwrap_or(0.0) + kwh);
                if interval.quality != Quality::Ok {
                    sums.repaired_kwh += kwh;
                }
            }
            if let Some(kw) = interval
                .demand_kw()
                .filter(|kw| sums.peak_kw.is_none_or(|peak_kw| *kw > peak_kw))
            {
                sums.peak_kw = Some(kw);
                sums.is_peak_estimated = interval.quality != Quality::Ok;
            }
        }
        sums
    }

    /// The share of a stretch that was seen; where the data hold a part of it, that is said.
    fn coverage(&self, span: &Span, language: Language) -> String {
        seen(self.seen_min / span.minutes, span.is_whole, language)
    }
}

/// The time that a coverage is a share of: a period, as far as it has passed.
struct Span {
    minutes: f64,
    /// Whether the data reach from its first instant to its last.
    is_whole: bool,
}

impl Span {
    /// Of a period in which `intervals` lie, at least one.
    fn of((from, until): (Timestamp, Timestamp), intervals: &[&Interval], heard_until: Timestamp) -> Self {
        let (first, last) = (intervals[0].start, intervals[intervals.len() - 1].end);
        let passed = until.min(heard_until.max(last)).duration_since(from);
        Self {
            minutes: passed.as_secs_f64() / 60.0,
            is_whole: first <= from && until <= last,
        }
    }
}

/// The month, day or interval that an interval is listed in.
fn period(site: &Site, by: By, interval: &Interval) -> (Timestamp, Timestamp) {
    match by {
        By::Month => Month::of(interval.start, &site.zone).bounds(&site.zone),
        By::Day => day_bounds(site.zone.to_datetime(interval.start).date(), &site.zone),
        By::Interval => (interval.start, interval.end),
    }
}

fn listed(site: &Site, intervals: &[&Interval], heard_until: Timestamp, by: By, language: Language) -> String {
    let head = match language {
        Language::Ko => ["기간", "kWh", "최대 kW", "확보율", "추정·복원 kWh", "그 구간"],
        Language::En => ["period", "kWh", "peak kW", "coverage", "estimated kWh", "in intervals"],
    };
    let estimated = match language {
        Language::Ko => " (추정)",
        Language::En => " (estimated)",
    };
    let mut rows = vec![head.map(str::to_owned).to_vec()];
    let day = |interval: &Interval| site.zone.to_datetime(interval.start).date();
    for chunk in intervals.chunk_by(|one, other| period(site, by, one) == period(site, by, other)) {
        let sums = Sums::of(chunk);
        rows.push(vec![
            name(site, by, day(chunk[0]), chunk[0].start),
            number(sums.energy_kwh),
            number(sums.peak_kw) + if sums.is_peak_estimated { estimated } else { "" },
            sums.coverage(&Span::of(period(site, by, chunk[0]), chunk, heard_until), language),
            number(Some(sums.repaired_kwh)),
            sums.n_repaired.to_string(),
        ]);
    }
    table(&rows, &[false, true, true, true, true, true])
}

fn name(site: &Site, by: By, day: Date, start: Timestamp) -> String {
    match by {
        By::Month => day.strftime("%Y-%m").to_string(),
        By::Day => day.to_string(),
        By::Interval => site.zone.to_datetime(start).strftime("%Y-%m-%d %H:%M").to_string(),
    }
}

/// `1,234.56`; `–` where nothing is known.
fn number(value: Option<f64>) -> String {
    value.map_or("–".to_owned(), |value| grouped(&format!("{value:.2}")))
}
