//! `wattwarden factors restate`: a past year reckoned again, with other factors or data; both values are printed and kept.
//!
//! What is kept is only ever added to; reports that show the year print both values.

use std::{path::PathBuf, process::ExitCode};

use energy::carbon::{
    FactorSeries,
    restate::{Basis, Reckoned, Restatement, Year, restate},
};
use energy::unit::{Carbon, percent_seen};
use jiff::civil::Date;

use super::{Stretch, year_bounds};
use crate::{
    cli::{
        INPUT, Lang, Secrets, fail, finish, load,
        past::{self, PastArgs},
        table::table,
    },
    clock::Clock,
    config::Config,
    language::Language,
    report::words::grouped,
    store::{keep_restatement, restatements},
};

/// Arguments of `factors restate`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    wattwarden factors restate --year 2024 --reason \"approval of 2025-03-31\"\n  \
    wattwarden factors restate --year 2025 --factor kr-grid-2025-mean \\\n      --reason \"the group reports with the mean\"\n\n\
    The old value is that of the last restatement of the year; without one, what was\n\
    known when the year ended, or on the day of --reported.")]
pub(super) struct RestateArgs {
    #[command(flatten)]
    past: PastArgs,
    /// The year.
    #[arg(long)]
    year: i16,
    /// Why: kept with both values.
    #[arg(long)]
    reason: String,
    /// The day of the old report, by the factors that were known then; for the first restatement of a year.
    #[arg(long, value_name = "DAY")]
    reported: Option<Date>,
    /// The new factor, by its id; without it, what is known today.
    #[arg(long, value_name = "ID")]
    factor: Option<String>,
    /// Folder it is kept in; without it, the replay's or the store's.
    #[arg(long, short, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Language.
    #[arg(long, value_enum)]
    lang: Option<Lang>,
}

/// Restates a year.
pub(super) fn run(args: &RestateArgs) -> ExitCode {
    finish(made(args))
}

fn made(args: &RestateArgs) -> Result<String, ExitCode> {
    let config = load(&args.past.config, Secrets::LeaveOut)?;
    let language = args.lang.map_or(config.language, Language::from);
    if args.reason.trim().is_empty() {
        return Err(fail(INPUT, "--reason is empty: a restatement is kept with its reason"));
    }
    let Some(series) = &config.site.carbon else {
        return Err(fail(INPUT, "[site] has no carbon: say which file of factors/ holds"));
    };
    let folder = args
        .out
        .as_ref()
        .or(args.past.from.as_ref())
        .unwrap_or(&config.store.path);
    let kept = restatements(folder).map_err(|error| fail(INPUT, error))?;
    let restated = reckoned(args, &config, series, &kept)?.printable();
    keep_restatement(folder, &restated)
        .map_err(|error| fail(INPUT, format!("writing to {}: {error}", folder.display())))?;
    Ok(shown(&restated, language))
}

fn reckoned(
    args: &RestateArgs,
    config: &Config,
    series: &FactorSeries,
    kept: &[Restatement],
) -> Result<Restatement, ExitCode> {
    let bounds = year_bounds(config, args.year).ok_or_else(|| fail(INPUT, "there is no such year"))?;
    let now = Clock::system().now();
    if now < bounds.1 {
        let why = format!(
            "{} is not over: what has not been reported yet cannot be restated",
            args.year
        );
        return Err(fail(INPUT, why));
    }
    let last = last(kept, args.year);
    if let (Some(last), Some(day)) = (&last, args.reported) {
        let why = format!(
            "--reported {day}: {} was restated before, and its old value is now that by {}; leave --reported out",
            args.year, last.new.basis
        );
        return Err(fail(INPUT, why));
    }
    let reported = args.reported.or_else(|| Date::new(args.year, 12, 31).ok());
    let old = last.as_ref().map(|last| last.new.basis.clone());
    let old = old.or_else(|| reported.map(Basis::Known));
    let old = old.ok_or_else(|| fail(INPUT, "there is no such year"))?;
    let new = match &args.factor {
        None => Basis::Known(config.site.zone.to_datetime(now).date()),
        Some(id) if series.by_id(id).is_some() => Basis::Factor(id.clone()),
        Some(id) => {
            let help = "`wattwarden factors list` says which there are";
            return Err(fail(
                INPUT,
                format!("the site's factor series has no id {id:?}; {help}"),
            ));
        }
    };
    let all = past::intervals(&args.past, config, config.site.main_meter.as_deref())?;
    let stretch = Stretch::of(config, &all, past::heard_until(&args.past, config)?, bounds);
    let year = Year {
        year: args.year,
        used: &stretch.used,
        coverage: stretch.coverage,
    };
    let restated = restate(series, year, (&old, &new), now, args.reason.trim()).map_err(|error| {
        fail(
            INPUT,
            format!("{error}; for a first restatement --reported DAY takes what was known on another day"),
        )
    })?;
    let restated = match last {
        Some(last) => restated.printable().after(last),
        None => restated,
    };
    if !restated.is_other() {
        let help = "--reported names the day of the old report, --factor another factor";
        let why = format!(
            "{old} and {new}, {} has the same factors and data: nothing was kept; {help}",
            args.year
        );
        return Err(fail(INPUT, why));
    }
    Ok(restated)
}

/// The year's last restatement.
fn last(kept: &[Restatement], year: i16) -> Option<&Restatement> {
    kept.iter().rev().find(|restated| restated.year == year)
}

fn shown(restated: &Restatement, language: Language) -> String {
    let ko = language == Language::Ko;
    let word = |korean: &str, english: &str| if ko { korean } else { english }.to_owned();
    let tonnes = |kg: f64| grouped(&format!("{:.3}", Carbon::Kg.to(Carbon::T, kg)));
    let basis = |reckoned: &Reckoned| match (&reckoned.basis, ko) {
        (Basis::Known(day), true) => format!("{day} 기준"),
        (Basis::Factor(id), true) => id.clone(),
        (basis, false) => basis.to_string(),
    };
    let mut rows = vec![
        vec![word("이전", "old"), tonnes(restated.old.kgco2e), basis(&restated.old)],
        vec![word("재산정", "new"), tonnes(restated.new.kgco2e), basis(&restated.new)],
    ];
    let pct = restated
        .difference_pct
        .map_or(String::new(), |pct| format!("{pct:+.2} %"));
    rows.push(vec![
        word("차이", "difference"),
        tonnes(restated.difference_kgco2e),
        pct,
    ]);
    for moved in &restated.explained_by {
        let how = format!(
            "{} → {}: {} kWh × {:+.4}",
            moved.from,
            moved.to,
            grouped(&format!("{:.1}", moved.energy_kwh)),
            moved.kgco2e_per_kwh
        );
        rows.push(vec![String::new(), tonnes(moved.kgco2e), how]);
    }
    if let Some(recounted) = restated.recounted {
        let kwh = grouped(&format!("{:.1}", recounted.energy_kwh));
        let how = format!("{}: {kwh} kWh", word("달라진 자료", "other data"));
        rows.push(vec![String::new(), tonnes(recounted.kgco2e), how]);
    }
    let kwh = grouped(&format!("{:.1}", restated.energy_kwh));
    let head = format!(
        "{} · {kwh} kWh · {} {} · tCO2eq\n",
        restated.year,
        word("자료 확보율", "coverage"),
        percent_seen(restated.coverage)
    );
    head + &table(&rows, &[false, true, false]) + &format!("{}: {}\n", word("사유", "reason"), restated.reason)
}
