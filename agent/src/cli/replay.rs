//! `wattwarden replay`: recorded data through the same engine; findings, intervals, demand, figures and reports out.
//!
//! The recording is read twice: first every row is checked, and when one cannot be read all such rows are listed and
//! nothing is written; then the rows are stepped through. Exit status: 0 ran, 2 bad input, 1 internal error.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{self, BufReader, BufWriter, Write},
    iter::Peekable,
    path::{Path, PathBuf},
    process::ExitCode,
};

use energy::{Interval, Name, Site, tariff::bill::Bill};
use jiff::{SignedDuration, Timestamp, tz::TimeZone};

use super::{INPUT, Lang, Secrets, fail, load, print};
use crate::{
    acquire::csv::{Mapping, Row, RowError, Rows},
    config::mapping,
    language::Language,
    replay::{Outcome, Replay},
    report::{Figures, Month, Origin, Summary, figures, json},
};

mod survey;
mod told;

/// Arguments of `replay`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example:\n  wattwarden replay --config config/examples/steel.toml \\\n    \
    --map config/examples/steel.map.toml --csv steel.csv --out steel-2018"
)]
pub struct ReplayArgs {
    /// The site.
    #[arg(long, short, value_name = "FILE")]
    pub config: PathBuf,
    /// A recording; may be given several times.
    #[arg(long, required = true, value_name = "FILE")]
    pub csv: Vec<PathBuf>,
    /// How to read the recordings; without it they are in canonical form.
    #[arg(long, value_name = "FILE")]
    pub map: Option<PathBuf>,
    /// Folder for the results; made if it is not there.
    #[arg(long, short, value_name = "DIR")]
    pub out: PathBuf,
    /// Language of what is printed; else the configuration's.
    #[arg(long, value_enum)]
    pub lang: Option<Lang>,
}

type Recording = Rows<BufReader<File>>;

/// Replays recordings.
pub fn run(args: &ReplayArgs) -> ExitCode {
    let config = match load(&args.config, Secrets::LeaveOut) {
        Ok(config) => config,
        Err(status) => return status,
    };
    let load_mapping = |path| mapping::load(path, &config.site);
    let mapping = match args.map.as_deref().map(load_mapping).transpose() {
        Ok(mapping) => mapping,
        Err(found) => {
            let paint = crate::config::diagnostic::Paint::of(&io::stderr());
            for diagnostic in found {
                eprintln!("{}", diagnostic.render(paint));
            }
            return ExitCode::from(INPUT);
        }
    };
    let every = match survey::steps(&args.csv, mapping.as_ref(), &config.site) {
        Ok(every) => every,
        Err(why) => return fail(INPUT, why),
    };
    let not_written = |error| fail(INPUT, format!("--out {}: {error}", args.out.display()));
    if let Err(error) = fs::create_dir_all(args.out.join("reports")) {
        return not_written(error);
    }
    let language = args.lang.map_or(config.language, Language::from);
    let site = with_steps(config.site, &every);
    let outcome = match step(&site, &args.csv, mapping.as_ref()) {
        Ok(outcome) => outcome,
        Err(error) => return fail(INPUT, error),
    };
    let bills = figures::bills(&site, &outcome.intervals);
    let summary = Figures::compute(&site, &outcome.intervals, &outcome.findings, &bills);
    if let Err(error) = write(&args.out, &site, &outcome, &summary, &bills) {
        return not_written(error);
    }
    let told = told::Told {
        summary: &summary,
        tally: outcome.tally,
        currency: figures::currency(&site),
        out: &args.out,
    };
    print(&told.text(language));
    ExitCode::SUCCESS
}

fn open(path: &Path, mapping: Option<&Mapping>) -> Result<Recording, Vec<String>> {
    let file = File::open(path).map_err(|error| vec![format!("{}: {error}", path.display())])?;
    Rows::open(BufReader::new(file), mapping).map_err(|errors| {
        errors
            .iter()
            .map(|error| format!("{}: {error}", path.display()))
            .collect()
    })
}

/// The site with each meter's `every` at least the recording's own step, at most a demand interval: a recording knows
/// how it was made, but readings further apart tell no energy.
fn with_steps(mut site: Site, every: &BTreeMap<Name, SignedDuration>) -> Site {
    for meter in &mut site.meters {
        if let Some(&step) = every.get(&meter.name) {
            meter.every = meter.every.max(step.min(site.demand_interval));
        }
    }
    site
}

fn step(site: &Site, paths: &[PathBuf], mapping: Option<&Mapping>) -> Result<Outcome, String> {
    let mut recordings: Vec<Peekable<Recording>> = Vec::new();
    for path in paths {
        recordings.push(open(path, mapping).map_err(|errors| errors.join("\n"))?.peekable());
    }
    let mut replay = Replay::new(site.clone());
    while let Some(row) = earliest(&mut recordings) {
        let row = row.map_err(|errors| format!("a row has changed while it was read: {}", errors[0]))?;
        replay.take(row);
    }
    Ok(replay.finish())
}

/// The next row of the recording whose next row is earliest.
fn earliest(recordings: &mut [Peekable<Recording>]) -> Option<Result<Row, Vec<RowError>>> {
    let at = |recording: &mut Peekable<Recording>| match recording.peek()? {
        Ok(row) => Some(row.sample.at),
        Err(_) => Some(Timestamp::MIN),
    };
    let ats = recordings
        .iter_mut()
        .enumerate()
        .filter_map(|(index, recording)| Some((at(recording)?, index)));
    let (_, index) = ats.min()?;
    recordings[index].next()
}

fn write(out: &Path, site: &Site, outcome: &Outcome, summary: &Summary, bills: &[Bill]) -> io::Result<()> {
    let mut findings = BufWriter::new(File::create(out.join("findings.jsonl"))?);
    for finding in &outcome.findings {
        serde_json::to_writer(&mut findings, finding)?;
        findings.write_all(b"\n")?;
    }
    findings.flush()?;
    write_intervals(&out.join("intervals.csv"), site, &outcome.intervals)?;
    write_demand(&out.join("demand.csv"), site, &outcome.intervals)?;
    fs::write(out.join("summary.json"), summary_json(summary, outcome)? + "\n")?;
    for month in summary
        .months
        .iter()
        .filter_map(|figures| figures.month.as_deref()?.parse::<Month>().ok())
    {
        let report = month_report(site, month, outcome, bills);
        fs::write(
            out.join(format!("reports/{month}.json")),
            serde_json::to_string_pretty(&report)? + "\n",
        )?;
    }
    Ok(())
}

fn summary_json(summary: &Summary, outcome: &Outcome) -> serde_json::Result<String> {
    let mut document = serde_json::to_value(summary)?;
    document["rows"] = serde_json::to_value(outcome.tally)?;
    serde_json::to_string_pretty(&document)
}

fn month_report(site: &Site, month: Month, outcome: &Outcome, bills: &[Bill]) -> json::Report {
    let (from, to) = month.bounds(&site.zone);
    let within = |at: Timestamp| from <= at && at < to;
    let mut intervals = outcome.intervals.clone();
    intervals.retain(|interval| within(interval.start));
    let mut findings = outcome.findings.clone();
    findings.retain(|finding| within(finding.since));
    let data = json::Data {
        intervals: &intervals,
        findings: &findings,
        bills,
    };
    json::Report::new(site, month, Origin::Plant, data)
}

/// An instant in RFC 3339 with the zone's offset.
pub(super) fn local(at: Timestamp, zone: &TimeZone) -> String {
    at.to_zoned_datetime(zone.clone())
        .strftime("%Y-%m-%dT%H:%M:%S%:z")
        .to_string()
}

fn cell(value: Option<f64>) -> String {
    value.map(|value| value.to_string()).unwrap_or_default()
}

fn write_intervals(path: &Path, site: &Site, intervals: &[Interval]) -> io::Result<()> {
    let mut csv = csv::Writer::from_path(path)?;
    csv.write_record([
        "start",
        "end",
        "meter",
        "energy_import_kwh",
        "quality",
        "coverage",
        "energy_export_kwh",
        "reactive_energy_lag_kvarh",
        "reactive_energy_lead_kvarh",
        "revision",
    ])?;
    for interval in intervals {
        csv.write_record([
            local(interval.start, &site.zone),
            local(interval.end, &site.zone),
            interval.meter.to_string(),
            cell(interval.energy_import_kwh),
            interval.quality.name().to_owned(),
            interval.coverage.to_string(),
            cell(interval.energy_export_kwh),
            cell(interval.reactive_energy_lag_kvarh),
            cell(interval.reactive_energy_lead_kvarh),
            interval.revision.to_string(),
        ])?;
    }
    csv.flush()
}

fn write_demand(path: &Path, site: &Site, intervals: &[Interval]) -> io::Result<()> {
    let mut csv = csv::Writer::from_path(path)?;
    csv.write_record(["start", "end", "demand_kw", "coverage"])?;
    for interval in intervals
        .iter()
        .filter(|interval| Some(&interval.meter) == site.main_meter.as_ref())
    {
        csv.write_record([
            local(interval.start, &site.zone),
            local(interval.end, &site.zone),
            cell(interval.demand_kw()),
            interval.coverage.to_string(),
        ])?;
    }
    csv.flush()
}
