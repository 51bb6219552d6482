//! `intervals.csv` and `repairs.csv` of `replay`: every interval with its raw side, and every repair with its reason.
//!
//! It computes nothing but the sum of what one repair gave to several intervals. Columns that outside programs rely on
//! come first and stay.

use std::{collections::BTreeMap, io, path::Path};

use energy::{
    Interval, Name, Quantity, Site,
    carbon::FuelUse,
    interval::{CHANGE_MS, Repair, RepairKind},
    site::Swap,
};
use jiff::{SignedDuration, Timestamp, tz::TimeZone};

use crate::report::words::reasons;

/// An instant in RFC 3339 with the zone's offset.
pub(super) fn local(at: Timestamp, zone: &TimeZone) -> String {
    at.to_zoned_datetime(zone.clone())
        .strftime("%Y-%m-%dT%H:%M:%S%:z")
        .to_string()
}

pub(super) fn cell(value: Option<f64>) -> String {
    value.map(|value| value.to_string()).unwrap_or_default()
}

pub(super) fn write_intervals(path: &Path, site: &Site, intervals: &[Interval]) -> io::Result<()> {
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
        "raw_energy_import_kwh",
        "raw_energy_export_kwh",
        "raw_reactive_energy_lag_kvarh",
        "raw_reactive_energy_lead_kvarh",
        "repairs",
    ])?;
    for interval in intervals {
        let mut repairs: Vec<&str> = interval.repairs.iter().map(|repair| repair.kind.name()).collect();
        repairs.dedup();
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
            cell(interval.raw.energy_import_kwh),
            cell(interval.raw.energy_export_kwh),
            cell(interval.raw.reactive_energy_lag_kvarh),
            cell(interval.raw.reactive_energy_lead_kvarh),
            repairs.join(" "),
        ])?;
    }
    csv.flush()
}

/// What makes an event one: until, meter, register, kind, since.
pub(super) type Event<'a> = (Timestamp, &'a Name, Quantity, RepairKind, Timestamp);

/// By time, each event once: one that several intervals share with what it gave to all of them, and the parts of a
/// standstill that is doubted, or of a stretch that is calculated, as one.
pub(super) fn events<'a>(
    intervals: impl Iterator<Item = &'a Interval>,
) -> BTreeMap<Event<'a>, (&'a Repair, Option<f64>)> {
    let mut events: BTreeMap<Event<'a>, (&Repair, Option<f64>)> = BTreeMap::new();
    // Meter and register → the newest part of a stretch, and the end of its interval.
    let mut stretches: BTreeMap<(&Name, Quantity), (Event<'a>, Timestamp)> = BTreeMap::new();
    for interval in intervals {
        for repair in &interval.repairs {
            let of = (&interval.meter, repair.quantity);
            let mut key = (repair.until, of.0, of.1, repair.kind, repair.since);
            let mut before = None;
            if repair.kind == RepairKind::Calculated || repair.why.contains_key("longest_s") {
                let goes_on = |(part, end): &&(Event<'a>, Timestamp)| {
                    part.3 == repair.kind
                        && (part.0 == repair.since || *end == interval.start && repair.amount.is_some())
                };
                if let Some((part, _)) = stretches.get(&of).filter(goes_on) {
                    before = events.remove(part).and_then(|(_, amount)| amount);
                    key.4 = part.4;
                }
                stretches.insert(of, (key, interval.end));
            }
            let (_, amount) = events.entry(key).or_insert((repair, before));
            if let Some(more) = repair.amount {
                *amount = Some(amount.unwrap_or(0.0) + more);
            }
        }
    }
    events
}

/// One row an event, those of fuel meters last.
pub(super) fn write_repairs(path: &Path, site: &Site, intervals: &[Interval], fuels: &[FuelUse]) -> io::Result<()> {
    let mut csv = csv::Writer::from_path(path)?;
    csv.write_record([
        "time",
        "meter",
        "quantity",
        "repair",
        "before",
        "after",
        "amount_kwh",
        "reason",
        "since",
    ])?;
    for ((_, meter, _, _, since), (repair, amount)) in events(intervals.iter()) {
        let whole = Repair {
            since,
            amount,
            ..repair.clone()
        };
        csv.write_record(row(site, meter, &whole))?;
    }
    for (fuel, repair) in fuels
        .iter()
        .flat_map(|fuel| fuel.repairs.iter().map(move |repair| (fuel, repair)))
    {
        csv.write_record(row(site, &fuel.meter, repair))?;
    }
    csv.flush()
}

fn row(site: &Site, meter: &str, repair: &Repair) -> [String; 9] {
    let mut why = reasons(repair);
    why.extend(entered_reason(site, meter, repair));
    [
        local(repair.until, &site.zone),
        meter.to_owned(),
        repair.quantity.name().to_owned(),
        repair.kind.name().to_owned(),
        repair.before.to_string(),
        repair.after.to_string(),
        cell(repair.amount.map(|amount| (amount * 1e6).round() / 1e6)),
        why.join(" "),
        local(repair.since, &site.zone),
    ]
}

/// What somebody wrote of a change of the meter.
fn entered_reason(site: &Site, meter: &str, repair: &Repair) -> Option<String> {
    let meter = site.meters.iter().find(|known| *known.name == *meter)?;
    if repair.kind != RepairKind::Swap {
        return None;
    }
    // The register's own change may lie off the entered instant.
    let off = |swap: &&Swap| {
        let before = repair.since.duration_since(swap.at).max(SignedDuration::ZERO);
        before.max(swap.at.duration_since(repair.until).max(SignedDuration::ZERO))
    };
    let nearest = meter.swaps.iter().min_by_key(off)?;
    (off(&nearest) <= SignedDuration::from_millis(CHANGE_MS))
        .then(|| nearest.reason.clone())
        .flatten()
}
