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

use energy::{Interval, Name, Quantity, Site, carbon::fuel::Register};
use jiff::{SignedDuration, Timestamp};

use super::{
    INPUT, Lang, Secrets, fail, load, print,
    replay_intervals::{cell, local, write_intervals, write_repairs},
};
use crate::{
    acquire::csv::{Mapping, Row, RowError, Rows},
    config::mapping,
    language::Language,
    replay::{Outcome, Replay},
    report::{
        Figures, Month, Origin, Summary,
        carbon::{self, Books},
        figures, json,
    },
};

mod registers;
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
    let (outcome, registers, ends) = match step(&site, &args.csv, mapping.as_ref()) {
        Ok(stepped) => stepped,
        Err(error) => return fail(INPUT, error),
    };
    // A recording is over: what it does not hold of its months is missing.
    let books = carbon::books(&site, &outcome.intervals, Timestamp::MAX, registers);
    let summary = Figures::compute(&site, &outcome.intervals, &outcome.findings, &books);
    let written = write(&args.out, &site, &outcome, &summary, &books);
    if let Err(error) = written.and_then(|()| ends.write(&args.out.join("registers.csv"), &site)) {
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

/// Readings of the fuel meters' registers.
type Registers = BTreeMap<Name, Register>;

fn step(
    site: &Site,
    paths: &[PathBuf],
    mapping: Option<&Mapping>,
) -> Result<(Outcome, Registers, registers::Ends), String> {
    let mut recordings: Vec<Peekable<Recording>> = Vec::new();
    for path in paths {
        recordings.push(open(path, mapping).map_err(|errors| errors.join("\n"))?.peekable());
    }
    let mut replay = Replay::new(site.clone());
    let (mut registers, mut ends) = (Registers::new(), registers::Ends::default());
    while let Some(row) = earliest(&mut recordings) {
        let row = row.map_err(|errors| format!("a row has changed while it was read: {}", errors[0]))?;
        note_register(site, &row, &mut registers);
        ends.note(site, &row.sample);
        replay.take(row);
    }
    Ok((replay.finish(), registers, ends))
}

/// Keeps what a fuel meter's register stood at: the engine makes intervals of electricity only.
fn note_register(site: &Site, row: &Row, registers: &mut Registers) {
    let sample = &row.sample;
    let is_fuel = site.fuel_meters.iter().any(|fuel| fuel.meter == sample.meter);
    if let (true, Some(gas_m3)) = (is_fuel, sample.trusted(Quantity::Gas)) {
        let register = registers.entry(sample.meter.clone()).or_default();
        register.push((sample.at, gas_m3));
    }
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

fn write(out: &Path, site: &Site, outcome: &Outcome, summary: &Summary, books: &Books) -> io::Result<()> {
    let mut findings = BufWriter::new(File::create(out.join("findings.jsonl"))?);
    for finding in &outcome.findings {
        serde_json::to_writer(&mut findings, finding)?;
        findings.write_all(b"\n")?;
    }
    findings.flush()?;
    write_intervals(&out.join("intervals.csv"), site, &outcome.intervals)?;
    write_repairs(&out.join("repairs.csv"), site, &outcome.intervals, &summary.total.fuels)?;
    write_demand(&out.join("demand.csv"), site, &outcome.intervals)?;
    if !site.fuel_meters.is_empty() {
        write_fuel(&out.join("fuel.csv"), site, &books.registers)?;
    }
    fs::write(out.join("summary.json"), summary_json(summary, outcome)? + "\n")?;
    for month in summary
        .months
        .iter()
        .filter_map(|figures| figures.month.as_deref()?.parse::<Month>().ok())
    {
        let report = month_report(site, month, outcome, books);
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

fn month_report(site: &Site, month: Month, outcome: &Outcome, books: &Books) -> json::Report {
    let (from, to) = month.bounds(&site.zone);
    let within = |at: Timestamp| from <= at && at < to;
    let mut intervals = outcome.intervals.clone();
    intervals.retain(|interval| within(interval.start));
    let mut findings = outcome.findings.clone();
    findings.retain(|finding| within(finding.since));
    let data = json::Data {
        intervals: &intervals,
        findings: &findings,
        books,
        restatements: &[],
    };
    json::Report::new(site, month, Origin::Plant, data)
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

/// The fuel meters' registers, in canonical form.
fn write_fuel(path: &Path, site: &Site, registers: &Registers) -> io::Result<()> {
    let mut csv = csv::Writer::from_path(path)?;
    csv.write_record(["time", "meter", Quantity::Gas.name()])?;
    for (meter, register) in registers {
        for (at, gas_m3) in register {
            csv.write_record([figures::local(site, *at), meter.to_string(), gas_m3.to_string()])?;
        }
    }
    csv.flush()
}
