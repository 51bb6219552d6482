//! A row of the log: [`Commit`] ⇄ bytes. Pure; it knows no database.
//!
//! `body` = deflate(postcard(`Row`)), `crc` = CRC-32 (IEEE) over format, seq and body, little-endian. Quantities and
//! qualities are written by their codes, meters through a dictionary of the row, findings as JSON text so that fields
//! may be added; everything else changes only with a new format number. Invariant: a row with any byte changed is an
//! error, never other data.

use std::{
    collections::HashMap,
    io::{Read, Write},
};

use energy::{Finding, Interval, Name, Quality, Quantity, Reading, Sample};
use flate2::{Compression, read::DeflateDecoder, write::DeflateEncoder};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Commit, Entry};

/// Format of the rows that this version writes.
pub(super) const FORMAT: u32 = 1;

/// A row larger than this is not ours: a second of 10,000 meters with 30 quantities takes 3 MB.
const LARGEST_ROW: u64 = 256 << 20;

/// A row as it lies in the table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Raw {
    pub(super) seq: u64,
    pub(super) format: u32,
    pub(super) crc: u32,
    pub(super) body: Vec<u8>,
}

/// Why a row cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum RowError {
    #[error("its checksum is {got:08x}, the row says {wanted:08x}")]
    Checksum { got: u32, wanted: u32 },
    #[error("it has format {0}, this version reads up to {FORMAT}")]
    Newer(u32),
    #[error("its content cannot be read: {0}")]
    Content(String),
}

#[derive(Serialize, Deserialize)]
struct Row {
    tick_ms: Option<i64>,
    meters: Vec<String>,
    origin_ms: i64,
    samples: Vec<RowSample>,
    intervals: Vec<RowInterval>,
    findings: Vec<String>,
    health: Vec<(String, f64)>,
}

#[derive(Serialize, Deserialize)]
struct RowSample {
    meter: u32,
    after_origin_ms: i64,
    readings: Vec<(u8, u8, f64)>,
}

#[derive(Serialize, Deserialize)]
struct RowInterval {
    meter: u32,
    start_ms: i64,
    end_ms: i64,
    energies: [Option<f64>; 4],
    quality: u8,
    coverage: f64,
    revision: u32,
}

/// The checksum of a row's parts.
pub(super) fn checksum(format: u32, seq: u64, body: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&format.to_le_bytes());
    hasher.update(&seq.to_le_bytes());
    hasher.update(body);
    hasher.finalize()
}

/// First and last data time of a commit's samples, ms.
pub(super) fn span_ms(commit: &Commit) -> Option<(i64, i64)> {
    let at = || commit.samples.iter().map(|sample| sample.at.as_millisecond());
    Some((at().min()?, at().max()?))
}

/// The row of a commit.
pub(super) fn encode(seq: u64, commit: &Commit) -> Raw {
    let plain = postcard::to_allocvec(&row_of(commit)).expect("a row has known lengths and no foreign serialiser");
    let mut encoder = DeflateEncoder::new(Vec::with_capacity(plain.len() / 2), Compression::fast());
    let body = encoder
        .write_all(&plain)
        .and_then(|()| encoder.finish())
        .expect("writing into memory does not fail");
    Raw {
        seq,
        format: FORMAT,
        crc: checksum(FORMAT, seq, &body),
        body,
    }
}

/// The entry of a row.
pub(super) fn decode(raw: &Raw) -> Result<Entry, RowError> {
    let got = checksum(raw.format, raw.seq, &raw.body);
    if got != raw.crc {
        return Err(RowError::Checksum { got, wanted: raw.crc });
    }
    if raw.format > FORMAT {
        return Err(RowError::Newer(raw.format));
    }
    let content = |error: &dyn std::fmt::Display| RowError::Content(error.to_string());
    let mut plain = Vec::new();
    DeflateDecoder::new(raw.body.as_slice())
        .take(LARGEST_ROW)
        .read_to_end(&mut plain)
        .map_err(|error| content(&error))?;
    let row: Row = postcard::from_bytes(&plain).map_err(|error| content(&error))?;
    entry_of(raw.seq, row)
}

/// Numbers of a row's meters, in the order of their first use.
#[derive(Default)]
struct Dictionary {
    names: Vec<String>,
    numbers: HashMap<Name, u32>,
}

impl Dictionary {
    fn number(&mut self, meter: &Name) -> u32 {
        if let Some(&number) = self.numbers.get(meter) {
            return number;
        }
        let number = self.names.len() as u32;
        self.names.push(meter.to_string());
        self.numbers.insert(Name::clone(meter), number);
        number
    }
}

fn row_of(commit: &Commit) -> Row {
    let mut meters = Dictionary::default();
    let origin_ms = commit.samples.first().map_or(0, |sample| sample.at.as_millisecond());
    let samples = commit
        .samples
        .iter()
        .map(|sample| RowSample {
            meter: meters.number(&sample.meter),
            after_origin_ms: sample.at.as_millisecond() - origin_ms,
            readings: sample.readings.iter().map(coded).collect(),
        })
        .collect();
    let intervals = commit
        .intervals
        .iter()
        .map(|interval| row_interval(interval, meters.number(&interval.meter)))
        .collect();
    Row {
        tick_ms: commit.tick.map(Timestamp::as_millisecond),
        meters: meters.names,
        origin_ms,
        samples,
        intervals,
        findings: commit.findings.iter().map(json).collect(),
        health: commit.health.clone(),
    }
}

fn coded(reading: &Reading) -> (u8, u8, f64) {
    (reading.quantity.code(), reading.quality as u8, reading.value)
}

fn row_interval(interval: &Interval, meter: u32) -> RowInterval {
    RowInterval {
        meter,
        start_ms: interval.start.as_millisecond(),
        end_ms: interval.end.as_millisecond(),
        energies: [
            interval.energy_import_kwh,
            interval.energy_export_kwh,
            interval.reactive_energy_lag_kvarh,
            interval.reactive_energy_lead_kvarh,
        ],
        quality: interval.quality as u8,
        coverage: interval.coverage,
        revision: interval.revision,
    }
}

/// A finding as text. JSON has no NaN: such a number would make the text unreadable, so that it becomes 0 or goes.
pub(super) fn json(finding: &Finding) -> String {
    let text = |finding: &Finding| serde_json::to_string(finding).expect("a finding has text keys only");
    if finding.confidence.is_finite() && finding.why.values().all(|value| value.is_finite()) {
        return text(finding);
    }
    let mut finite = finding.clone();
    finite.why.retain(|_, value| value.is_finite());
    if !finite.confidence.is_finite() {
        finite.confidence = 0.0;
    }
    text(&finite)
}

fn entry_of(seq: u64, row: Row) -> Result<Entry, RowError> {
    let meters: Vec<Name> = row.meters.iter().map(|name| Name::from(name.as_str())).collect();
    let meter = |number: u32| {
        meters
            .get(number as usize)
            .cloned()
            .ok_or_else(|| RowError::Content(format!("meter {number} of {}", meters.len())))
    };
    Ok(Entry {
        seq,
        tick: row.tick_ms.map(instant).transpose()?,
        samples: row
            .samples
            .into_iter()
            .map(|sample| {
                Ok(Sample {
                    meter: meter(sample.meter)?,
                    at: instant(row.origin_ms.saturating_add(sample.after_origin_ms))?,
                    readings: sample.readings.into_iter().map(reading).collect::<Result<_, _>>()?,
                })
            })
            .collect::<Result<_, RowError>>()?,
        intervals: row
            .intervals
            .into_iter()
            .map(|interval| interval_of(&interval, meter(interval.meter)?))
            .collect::<Result<_, RowError>>()?,
        findings: row
            .findings
            .iter()
            .map(|text| serde_json::from_str(text).map_err(|error| RowError::Content(error.to_string())))
            .collect::<Result<_, RowError>>()?,
        health: row.health,
    })
}

fn interval_of(row: &RowInterval, meter: Name) -> Result<Interval, RowError> {
    let [import, export, lag, lead] = row.energies;
    Ok(Interval {
        meter,
        start: instant(row.start_ms)?,
        end: instant(row.end_ms)?,
        energy_import_kwh: import,
        energy_export_kwh: export,
        reactive_energy_lag_kvarh: lag,
        reactive_energy_lead_kvarh: lead,
        quality: quality(row.quality)?,
        coverage: row.coverage,
        revision: row.revision,
    })
}

fn reading((code, quality_code, value): (u8, u8, f64)) -> Result<Reading, RowError> {
    Ok(Reading {
        quantity: Quantity::from_code(code).ok_or_else(|| RowError::Content(format!("no quantity has code {code}")))?,
        value,
        quality: quality(quality_code)?,
    })
}

/// The quality of a code.
pub(super) fn quality(code: u8) -> Result<Quality, RowError> {
    Quality::ALL
        .into_iter()
        .find(|quality| *quality as u8 == code)
        .ok_or_else(|| RowError::Content(format!("no quality has code {code}")))
}

fn instant(ms: i64) -> Result<Timestamp, RowError> {
    Timestamp::from_millisecond(ms).map_err(|error| RowError::Content(error.to_string()))
}
