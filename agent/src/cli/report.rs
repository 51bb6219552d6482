//! `wattwarden report`: the figures of a month, as a page that prints or as JSON, from the store or from a replay.

use std::{fs, path::PathBuf, process::ExitCode};

use clap::ValueEnum;
use jiff::Timestamp;

use super::{INPUT, INTERNAL, Lang, Secrets, fail, language, load, print};
use crate::{
    language::Language,
    report::{Month, Origin, carbon, html, json},
    store::{FindingFilter, Reader, restatements},
};

/// Arguments of `report`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  wattwarden report --month 2026-11 --lang ko --format html --out november.html\n  \
    wattwarden report --month 2018-03 --from steel-2018 --format json"
)]
pub struct ReportArgs {
    /// The month, as 2026-11.
    #[arg(long)]
    pub month: Month,
    /// Language; else the configuration's, with --from that of LANG.
    #[arg(long, value_enum)]
    pub lang: Option<Lang>,
    /// Form.
    #[arg(long, value_enum, default_value_t = Format::Html)]
    pub format: Format,
    /// Results of a replay.
    #[arg(long, conflicts_with = "config", value_name = "DIR")]
    pub from: Option<PathBuf>,
    /// The agent's configuration, whose store is read.
    #[arg(long, short, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// The file to write; without it, standard output.
    #[arg(long, short, value_name = "FILE")]
    pub out: Option<PathBuf>,
}

/// Form of a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// A page that prints on A4.
    Html,
    /// For programs.
    Json,
}

/// Writes a report.
pub fn run(args: &ReportArgs) -> ExitCode {
    let made = match (&args.from, &args.config) {
        (Some(folder), _) => of_replay(folder, args.month).map(|report| (report, None)),
        (None, Some(config)) => of_store(config, args.month),
        (None, None) => Err(fail(
            INPUT,
            "say where the data is: --config FILE, or --from FOLDER of a replay",
        )),
    };
    let (report, site_language) = match made {
        Ok(made) => made,
        Err(status) => return status,
    };
    let language = args
        .lang
        .map_or_else(|| site_language.unwrap_or_else(|| language(None)), Language::from);
    let text = match args.format {
        Format::Html => html::render(&report, language).map_err(|error| error.to_string()),
        Format::Json => serde_json::to_string_pretty(&report)
            .map(|json| json + "\n")
            .map_err(|error| error.to_string()),
    };
    match (text, &args.out) {
        (Err(error), _) => fail(INTERNAL, error),
        (Ok(text), None) => {
            print(&text);
            ExitCode::SUCCESS
        }
        (Ok(text), Some(path)) => match fs::write(path, text) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => fail(INPUT, format!("writing {}: {error}", path.display())),
        },
    }
}

fn of_replay(folder: &std::path::Path, month: Month) -> Result<json::Report, ExitCode> {
    let path = folder.join(format!("reports/{month}.json"));
    let text = fs::read_to_string(&path).map_err(|error| {
        let mut known: Vec<String> = fs::read_dir(folder.join("reports"))
            .into_iter()
            .flatten()
            .filter_map(|file| Some(file.ok()?.path().file_stem()?.to_string_lossy().into_owned()))
            .collect();
        known.sort();
        let help = if known.is_empty() {
            "is it the folder that `replay --out` wrote?".into()
        } else {
            format!("it has {}", known.join(", "))
        };
        fail(INPUT, format!("reading {}: {error}; {help}", path.display()))
    })?;
    let mut report: json::Report = serde_json::from_str(&text)
        .map_err(|error| fail(INPUT, format!("{}: {error}; run the replay again", path.display())))?;
    let restatements = restatements(folder).map_err(|error| fail(INPUT, error))?;
    report.restatements = json::of_year(&restatements, month);
    Ok(report)
}

fn of_store(config: &std::path::Path, month: Month) -> Result<(json::Report, Option<Language>), ExitCode> {
    let config = load(config, Secrets::LeaveOut)?;
    let store = |error: &dyn std::fmt::Display| fail(INPUT, format!("reading the store: {error}"));
    let reader = Reader::open(&config.store).map_err(|error| store(&error))?;
    let (from, to) = month.bounds(&config.site.zone);
    let intervals = reader.intervals(None, from, to).map_err(|error| store(&error))?;
    let all = reader
        .intervals(config.site.main_meter.as_deref(), Timestamp::UNIX_EPOCH, to)
        .map_err(|error| store(&error))?;
    let filter = FindingFilter {
        from: Some(from),
        until: Some(to),
        ..FindingFilter::default()
    };
    let found = reader.findings(&filter).map_err(|error| store(&error))?;
    let findings: Vec<_> = found
        .into_iter()
        .map(|stored| stored.finding)
        .filter(|finding| from <= finding.since && finding.since < to)
        .collect();
    let registers = reader
        .registers(&config.site.fuel_meters, (from, to))
        .map_err(|error| store(&error))?;
    let heard_until = reader.heard_until(&config.site.meters).map_err(|error| store(&error))?;
    let heard_until = heard_until.unwrap_or(to);
    let data = json::Data {
        intervals: &intervals,
        findings: &findings,
        books: &carbon::books(&config.site, &all, heard_until, registers),
        restatements: &reader.restatements().map_err(|error| store(&error))?,
    };
    Ok((
        json::Report::new(&config.site, month, Origin::Plant, data),
        Some(config.language),
    ))
}
