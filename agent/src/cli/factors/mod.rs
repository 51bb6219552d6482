//! `wattwarden factors`: what factors there are, what a period's use makes with them, and past years reckoned again.
//!
//! It reckons nothing itself; the crate `energy` does.

use std::process::ExitCode;

use clap::{Subcommand, ValueEnum};
use energy::{
    Interval,
    carbon::{Purpose, Used},
};
use jiff::{Timestamp, civil::Date};

use crate::{
    config::Config,
    report::{Month, figures},
};

mod list;
mod reckon;
mod restate;
mod rows;

/// Arguments of `factors`.
#[derive(Debug, clap::Args)]
pub struct FactorsArgs {
    #[command(subcommand)]
    command: FactorsCommand,
}

#[derive(Debug, Subcommand)]
enum FactorsCommand {
    /// List all factors, or those of one file.
    List(list::ListArgs),
    /// Print one factor with its split and sources.
    Show(list::ShowArgs),
    /// What the use of a year or month makes, and by which factors.
    Use(reckon::UseArgs),
    /// Reckon a past year with other factors; both values and the reason stay.
    Restate(restate::RestateArgs),
}

/// Runs the subcommand.
pub fn run(args: &FactorsArgs) -> ExitCode {
    match &args.command {
        FactorsCommand::List(args) => list::run(args),
        FactorsCommand::Show(args) => list::show(args),
        FactorsCommand::Use(args) => reckon::run(args),
        FactorsCommand::Restate(args) => restate::run(args),
    }
}

/// A purpose as said on the command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct AskedPurpose(Purpose);

impl ValueEnum for AskedPurpose {
    fn value_variants<'a>() -> &'a [Self] {
        &[
            Self(Purpose::EsgLocation),
            Self(Purpose::EtsAllocation),
            Self(Purpose::Supplier),
            Self(Purpose::Residual),
            Self(Purpose::Reference),
        ]
    }

    fn to_possible_value(&self) -> Option<clap::builder::PossibleValue> {
        Some(clap::builder::PossibleValue::new(self.0.name()))
    }
}

/// First instant of a year of a site, and of the next.
fn year_bounds(config: &Config, year: i16) -> Option<(Timestamp, Timestamp)> {
    let first = |year| {
        let first = Date::new(year, 1, 1).ok()?;
        Some(Month { first }.bounds(&config.site.zone).0)
    };
    Some((first(year)?, first(year.checked_add(1)?)?))
}

/// The use of the main meter in a stretch of time, and the share of it seen with trusted readings.
struct Stretch {
    used: Vec<Used>,
    /// Of the stretch, as far as it has passed.
    coverage: f64,
    /// Whether the data reach from its first instant to its last.
    is_whole: bool,
}

impl Stretch {
    fn of(config: &Config, intervals: &[Interval], heard_until: Timestamp, (from, to): (Timestamp, Timestamp)) -> Self {
        let newest = figures::newest_of_main_meter(&config.site, intervals);
        let mut used = Vec::new();
        let mut seen_s = 0.0;
        let first = newest.range(from..to).next().map_or(to, |(start, _)| *start);
        let mut last = from;
        for (start, interval) in newest.range(from..to) {
            let length = interval.end.duration_since(*start);
            last = interval.end;
            seen_s += interval.coverage * length.as_secs_f64();
            used.extend(
                interval
                    .energy_import_kwh
                    .map(|kwh| Used::new(*start, &config.site.zone, kwh)),
            );
        }
        Self {
            used,
            coverage: seen_s / to.min(heard_until.max(last)).duration_since(from).as_secs_f64(),
            is_whole: first <= from && to <= last,
        }
    }
}
