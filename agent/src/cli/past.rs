//! Where commands take a site's past from: the agent's store, or the folder that a replay wrote.
//!
//! It makes nothing of it. Invariant: a folder that is no replay's, and a row that cannot be read, are errors with their
//! place.

use std::{
    collections::BTreeMap,
    fs::File,
    path::{Path, PathBuf},
    process::ExitCode,
};

use energy::{Interval, Name, Quality, Quantity, Site, carbon::fuel::Register, interval::Raw};
use jiff::{SignedDuration, Timestamp};

use super::{INPUT, fail, replay_intervals::local};
use crate::{
    acquire::csv::{RowError, Rows},
    config::Config,
    language::Language,
    report::{
        Month,
        words::{repair_name, repaired_unit},
    },
    store::Reader,
};

/// The registers of electricity.
const COUNTERS: [Quantity; 4] = [
    Quantity::EnergyImport,
    Quantity::EnergyExport,
    Quantity::ReactiveEnergyLag,
    Quantity::ReactiveEnergyLead,
];

/// Arguments of commands that look at a site's past.
#[derive(Debug, clap::Args)]
pub struct PastArgs {
    /// The site's configuration.
    #[arg(long, short, value_name = "FILE", default_value = "/etc/wattwarden/wattwarden.toml")]
    pub config: PathBuf,
    /// Results of a replay, in place of the agent's store.
    #[arg(long, value_name = "DIR")]
    pub from: Option<PathBuf>,
}

/// Readings of the fuel meters' registers, by meter: those of `bounds` and around it, or all of a replay.
pub(super) fn registers(
    args: &PastArgs,
    config: &Config,
    bounds: (Timestamp, Timestamp),
) -> Result<BTreeMap<Name, Register>, ExitCode> {
    let meters = &config.site.fuel_meters;
    if meters.is_empty() {
        return Ok(BTreeMap::new());
    }
    match &args.from {
        Some(folder) => registers_of_replay(&folder.join("fuel.csv")).map_err(|why| fail(INPUT, why)),
        None => Reader::open(&config.store)
            .map_err(|error| error.to_string())
            .and_then(|reader| reader.registers(meters, bounds).map_err(|error| error.to_string()))
            .map_err(|why| fail(INPUT, format!("reading the store: {why}"))),
    }
}

fn registers_of_replay(path: &Path) -> Result<BTreeMap<Name, Register>, String> {
    let file = File::open(path).map_err(|error| format!("{}: {error}; run the replay again", path.display()))?;
    let rows = Rows::open(file, None);
    let failed = |error: &RowError| format!("{}: {error}", path.display());
    let rows = rows.map_err(|errors| errors.first().map_or_else(String::new, failed))?;
    let mut registers = BTreeMap::<Name, Register>::new();
    for row in rows {
        let row = row.map_err(|errors| errors.first().map_or_else(String::new, failed))?;
        if let Some(gas_m3) = row.sample.trusted(Quantity::Gas) {
            let register = registers.entry(row.sample.meter).or_default();
            register.push((row.sample.at, gas_m3));
        }
    }
    Ok(registers)
}

/// All intervals of a meter, or of all meters, ascending by start.
pub(super) fn intervals(args: &PastArgs, config: &Config, meter: Option<&str>) -> Result<Vec<Interval>, ExitCode> {
    intervals_within(args, config, meter, (Timestamp::UNIX_EPOCH, Timestamp::MAX))
}

/// As [`intervals`], of those that begin within `bounds`: a site's whole past is more than a gateway holds in memory.
pub(super) fn intervals_within(
    args: &PastArgs,
    config: &Config,
    meter: Option<&str>,
    (from, until): (Timestamp, Timestamp),
) -> Result<Vec<Interval>, ExitCode> {
    if let Some(folder) = &args.from {
        let mut all = of_replay(folder, &config.site, meter).map_err(|why| fail(INPUT, why))?;
        all.retain(|interval| from <= interval.start && interval.start < until);
        return Ok(all);
    }
    let reader = Reader::open(&config.store).map_err(|error| error.to_string());
    let found = reader.and_then(|reader| {
        let found = reader.intervals(meter, from, until);
        found.map_err(|error| error.to_string())
    });
    found.map_err(|why| fail(INPUT, format!("reading the store: {why}")))
}

/// How far time has gone on, up to which a period's coverage counts: a recording is over, what it does not hold is
/// missing; a store goes on after its newest interval.
pub(super) fn heard_until(args: &PastArgs, config: &Config) -> Result<Timestamp, ExitCode> {
    if args.from.is_some() {
        return Ok(Timestamp::MAX);
    }
    let reader = Reader::open(&config.store).map_err(|error| error.to_string());
    let heard = reader.and_then(|reader| {
        reader
            .heard_until(&config.site.meters)
            .map_err(|error| error.to_string())
    });
    let heard = heard.map_err(|why| fail(INPUT, format!("reading the store: {why}")))?;
    Ok(heard.unwrap_or(Timestamp::MAX))
}

fn of_replay(folder: &Path, site: &Site, meter: Option<&str>) -> Result<Vec<Interval>, String> {
    let path = folder.join("intervals.csv");
    let failed = |why: String| format!("{}: {why}; is it the folder that `replay --out` wrote?", path.display());
    let mut rows = csv::Reader::from_path(&path).map_err(|error| failed(error.to_string()))?;
    let header = rows.headers().map_err(|error| failed(error.to_string()))?.clone();
    let mut intervals = Vec::new();
    for row in rows.records() {
        let row = row.map_err(|error| failed(error.to_string()))?;
        let line = row.position().map_or(0, csv::Position::line);
        let cell = |name: &str| {
            header
                .iter()
                .position(|column| column == name)
                .and_then(|place| row.get(place))
        };
        let interval =
            interval(site, cell).map_err(|column| failed(format!("line {line}: {column:?} cannot be read")))?;
        if meter.is_none_or(|meter| *meter == *interval.meter) {
            intervals.push(interval);
        }
    }
    Ok(intervals)
}

/// The repairs of a meter's month that a replay wrote down, a line each; a folder of an older replay has none.
pub(super) fn repairs(
    folder: &Path,
    site: &Site,
    (meter, month): (&str, Month),
    language: Language,
) -> Result<Vec<String>, String> {
    let path = folder.join("repairs.csv");
    let failed = |why: String| format!("{}: {why}; run the replay again", path.display());
    let mut rows = csv::Reader::from_path(&path).map_err(|error| failed(error.to_string()))?;
    let (from, until) = month.bounds(&site.zone);
    let mut lines = Vec::new();
    for row in rows.records() {
        let row = row.map_err(|error| failed(error.to_string()))?;
        let cell = |place: usize| row.get(place).unwrap_or("");
        let instant = |place: usize| {
            let text = cell(place);
            text.parse::<Timestamp>()
                .map_err(|_| failed(format!("{text:?} is no instant")))
        };
        if cell(1) == meter && from <= instant(0)? && instant(8)? < until {
            let [quantity, repair, before, after] = [2, 3, 4, 5].map(cell);
            let amount = match cell(6) {
                "" => String::new(),
                amount => format!(", {amount} {}", Quantity::from_name(quantity).map_or("", repaired_unit)),
            };
            let why = match cell(7) {
                "" => String::new(),
                why => format!(" ({why})"),
            };
            lines.push(format!(
                "{} {quantity}: {}: {before} → {after}{amount}{why}",
                cell(0),
                repair_name(repair, language)
            ));
        }
    }
    Ok(lines)
}

/// What a register stood at, and when.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct RegisterEnds {
    /// Name of the quantity.
    pub quantity: String,
    /// Its first and its last reading of the month: instant and value.
    pub ends: [(String, String); 2],
}

/// First and last readings of a meter's electricity registers in a month.
pub(super) fn register_ends(
    args: &PastArgs,
    config: &Config,
    meter: &str,
    month: Month,
) -> Result<Vec<RegisterEnds>, ExitCode> {
    let found = match &args.from {
        Some(folder) => ends_of_replay(folder, meter, month),
        None => ends_of_store(config, meter, month),
    };
    found.map_err(|why| fail(INPUT, why))
}

fn ends_of_store(config: &Config, meter: &str, month: Month) -> Result<Vec<RegisterEnds>, String> {
    let (from, until) = month.bounds(&config.site.zone);
    let failed = |error: &dyn std::fmt::Display| format!("reading the store: {error}");
    let reader = Reader::open(&config.store).map_err(|error| failed(&error))?;
    let mut found = Vec::new();
    // The reading at the month's end closes it too.
    let until = until + SignedDuration::from_millis(1);
    for quantity in COUNTERS {
        let series = reader
            .series(meter, quantity, from, until)
            .map_err(|error| failed(&error))?;
        let readings = series.times.into_iter().zip(series.values).zip(series.qualities);
        let mut trusted = readings.filter(|(_, quality)| quality.is_trusted());
        let Some((first, _)) = trusted.next() else { continue };
        let last = trusted.next_back().map_or(first, |(last, _)| last);
        found.push(RegisterEnds {
            quantity: quantity.name().to_owned(),
            ends: [first, last].map(|(at, value)| (local(at, &config.site.zone), value.to_string())),
        });
    }
    Ok(found)
}

fn ends_of_replay(folder: &Path, meter: &str, month: Month) -> Result<Vec<RegisterEnds>, String> {
    let path = folder.join("registers.csv");
    let failed = |why: csv::Error| format!("{}: {why}; run the replay again", path.display());
    let mut found = Vec::new();
    for row in csv::Reader::from_path(&path).map_err(failed)?.records() {
        let row = row.map_err(failed)?;
        let cell = |place: usize| row.get(place).unwrap_or("").to_owned();
        let is_counter = COUNTERS.iter().any(|quantity| quantity.name() == cell(2));
        if is_counter && cell(0) == month.to_string() && cell(1) == meter {
            found.push(RegisterEnds {
                quantity: cell(2),
                ends: [(cell(3), cell(4)), (cell(5), cell(6))],
            });
        }
    }
    Ok(found)
}

/// One row of `intervals.csv`; else the name of the column that cannot be read.
fn interval<'r>(site: &Site, cell: impl Fn(&str) -> Option<&'r str>) -> Result<Interval, &'static str> {
    let instant = |name: &'static str| cell(name).and_then(|text| text.parse::<Timestamp>().ok()).ok_or(name);
    let number = |name: &'static str| match cell(name) {
        None | Some("") => Ok(None),
        Some(text) => text.parse::<f64>().map(Some).map_err(|_| name),
    };
    let known = |name: &str| {
        site.meters
            .iter()
            .find(|meter| *meter.name == *name)
            .map(|meter| meter.name.clone())
    };
    Ok(Interval {
        meter: cell("meter").and_then(known).ok_or("meter")?,
        start: instant("start")?,
        end: instant("end")?,
        energy_import_kwh: number("energy_import_kwh")?,
        energy_export_kwh: number("energy_export_kwh")?,
        reactive_energy_lag_kvarh: number("reactive_energy_lag_kvarh")?,
        reactive_energy_lead_kvarh: number("reactive_energy_lead_kvarh")?,
        quality: cell("quality").and_then(Quality::from_name).ok_or("quality")?,
        coverage: number("coverage")?.ok_or("coverage")?,
        revision: cell("revision").and_then(|text| text.parse().ok()).unwrap_or(0),
        raw: Raw {
            energy_import_kwh: number("raw_energy_import_kwh")?,
            energy_export_kwh: number("raw_energy_export_kwh")?,
            reactive_energy_lag_kvarh: number("raw_reactive_energy_lag_kvarh")?,
            reactive_energy_lead_kvarh: number("raw_reactive_energy_lead_kvarh")?,
        },
        // What was repaired, and why, stands in the folder's repairs.csv.
        repairs: Vec::new(),
    })
}
