//! A row of the log: [`Commit`] ⇄ bytes. Pure; it knows no database.
//!
//! `body` = deflate(postcard(`Row`), then, where an interval was repaired, postcard of its repairs), `crc` = CRC-32 (IEEE) over format, seq and body, little-endian. Quantities and
//! qualities are written by their codes, meters through a dictionary of the row, findings and repairs as JSON text so
//! that fields may be added; everything else changes only with a new format number. Invariant: a row with any byte changed is an
//! error, never other data.

use std::{
    collections::{BTreeMap, HashMap},
    io::{Read, Write},
};

use energy::{Finding, Interval, Name, Quality, Quantity, Reading, Sample};
use flate2::{Compression, read::DeflateDecoder, write::DeflateEncoder};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Commit, Entry, repaired::Repaired};

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

/// What was repaired in an interval of a row: its place in `intervals`, and [`Repaired`] as JSON.
type RowRepair = (u32, String);

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
    let mut plain = postcard::to_allocvec(&row_of(commit)).expect("a row has known lengths and no foreign serialiser");
    let repairs: Vec<RowRepair> = (0..)
        .zip(&commit.intervals)
        .filter_map(|(index, interval)| Some((index, Repaired::text(interval)?)))
        .collect();
    if !repairs.is_empty() {
        plain = postcard::to_extend(&repairs, plain).expect("as above");
    }
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
    content(raw.seq, &raw.body)
}

/// The entry in the bytes of a row.
pub(super) fn content(seq: u64, body: &[u8]) -> Result<Entry, RowError> {
    let content = |error: &dyn std::fmt::Display| RowError::Content(error.to_string());
    let mut plain = Vec::new();
    DeflateDecoder::new(body)
        .take(LARGEST_ROW)
        .read_to_end(&mut plain)
        .map_err(|error| content(&error))?;
    let (row, rest) = postcard::take_from_bytes::<Row>(&plain).map_err(|error| content(&error))?;
    let mut entry = entry_of(seq, row)?;
    let mut repairs = BTreeMap::new();
    if !rest.is_empty() {
        repairs.extend(postcard::from_bytes::<Vec<RowRepair>>(rest).map_err(|error| content(&error))?);
    }
    for (index, interval) in (0..).zip(&mut entry.intervals) {
        let text = repairs.get(&index).map(String::as_str);
        Repaired::restore(text, interval).map_err(|error| content(&error))?;
    }
    Ok(entry)
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
        raw: energy::interval::Raw::default(),
        repairs: vec![],
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

#[cfg(test)]
mod tests {
    use energy::{
        finding::{Condition, Kind, Money, Severity, Title},
        interval::{Repair, RepairKind},
    };
    use proptest::{prelude::*, strategy::ValueTree};
    use rust_decimal::Decimal;

    use super::*;

    /// Instants that the zone-free calendar of jiff holds, whole milliseconds.
    fn instants() -> impl Strategy<Value = Timestamp> {
        (-377_705_023_201_000_i64..=253_402_207_200_000).prop_map(|ms| Timestamp::from_millisecond(ms).unwrap())
    }

    fn qualities() -> impl Strategy<Value = Quality> {
        prop::sample::select(Quality::ALL.to_vec())
    }

    prop_compose! {
        fn samples()(
            meter in "\\PC{0,8}",
            at in instants(),
            readings in prop::collection::vec((0..energy::quantity::TABLE.len(), any::<f64>(), qualities()), 0..5),
        ) -> Sample {
            let readings = readings
                .into_iter()
                .map(|(row, value, quality)| Reading {
                    quantity: energy::quantity::TABLE[row].quantity,
                    value,
                    quality,
                })
                .collect();
            Sample { meter: meter.into(), at, readings }
        }
    }

    prop_compose! {
        fn intervals()(
            meter in "[a-c]",
            start in instants(),
            end in instants(),
            energies in prop::array::uniform4(prop::option::of(-1e9..1e9)),
            quality in qualities(),
            coverage in 0.0..1.0,
            revision: u32,
            kind in prop::option::of(prop::sample::select(RepairKind::ALL.to_vec())),
            raw in -1e9..1e9,
        ) -> Interval {
            let row = RowInterval {
                meter: 0,
                start_ms: start.as_millisecond(),
                end_ms: end.as_millisecond(),
                energies,
                quality: quality as u8,
                coverage,
                revision,
            };
            let mut interval = interval_of(&row, meter.into()).unwrap();
            Repaired::restore(None, &mut interval).unwrap();
            if let Some(kind) = kind {
                interval.raw.energy_import_kwh = Some(raw);
                interval.repairs = vec![Repair {
                    kind,
                    quantity: Quantity::EnergyImport,
                    since: start,
                    until: end,
                    before: raw,
                    after: 0.0,
                    amount: None,
                    why: [("fall".to_owned(), raw)].into(),
                }];
            }
            interval
        }
    }

    prop_compose! {
        fn findings()(
            kind in prop::sample::select(Kind::ALL.to_vec()),
            machine in "\\PC{1,8}",
            (since, detected_at) in (instants(), instants()),
            until in prop::option::of(instants()),
            energy_kwh in prop::option::of(prop::num::f64::NORMAL),
            // Money passes through f64 on its way into JSON: fifteen digits are exact.
            cents in prop::option::of(-999_999_999_999_999_i64..=999_999_999_999_999),
            confidence in 0.0..1.0,
            why in prop::collection::btree_map("[a-z_]{1,8}", prop::num::f64::NORMAL, 0..4),
            (ko, en) in ("\\PC{0,20}", any::<String>()),
        ) -> Finding {
            let cost = cents.map(|cents| Money { amount: Decimal::new(cents, 2), currency: "KRW".into() });
            Finding {
                id: Finding::id(kind, &machine, since),
                kind,
                machine: machine.as_str().into(),
                meter: machine.into(),
                since,
                detected_at,
                until,
                state: if until.is_some() { Condition::Closed } else { Condition::Open },
                severity: Severity::P2,
                energy_kwh,
                energy_kwh_low: energy_kwh,
                energy_kwh_high: None,
                cost_net: None,
                cost,
                kgco2e: energy_kwh,
                confidence,
                why,
                title: Title { ko, en },
            }
        }
    }

    prop_compose! {
        fn commits()(
            tick in prop::option::of(instants()),
            samples in prop::collection::vec(samples(), 0..6),
            intervals in prop::collection::vec(intervals(), 0..3),
            findings in prop::collection::vec(findings(), 0..3),
            health in prop::collection::vec((any::<String>(), any::<f64>()), 0..3),
        ) -> Commit {
            Commit { tick, samples, intervals, findings, health, now: None, snapshot: None }
        }
    }

    /// A commit with every kind of content.
    fn full() -> Commit {
        let at: Timestamp = "2026-08-28T08:10:00Z".parse().unwrap();
        let sample = |meter: &str, value| Sample {
            meter: meter.into(),
            at,
            readings: vec![Reading::new(Quantity::ActivePower, value)],
        };
        Commit {
            tick: Some(at),
            samples: vec![
                sample("press-1", 12.5),
                sample("press-2", 3.25),
                sample("press-1", 12.75),
            ],
            health: vec![("polls_total".into(), 3.0)],
            ..Commit::default()
        }
    }

    proptest! {
        #[test]
        fn a_row_reads_back_as_it_was_written(commit in commits(), seq: u64) {
            let entry = decode(&encode(seq, &commit)).unwrap();
            // Debug text, for NaN is not equal to itself; floats print exactly.
            prop_assert_eq!(format!("{:?}", entry.samples), format!("{:?}", commit.samples));
            prop_assert_eq!(format!("{:?}", entry.health), format!("{:?}", commit.health));
            prop_assert_eq!(entry.findings, commit.findings);
            prop_assert_eq!(entry.intervals, commit.intervals);
            prop_assert_eq!((entry.seq, entry.tick), (seq, commit.tick));
        }

        #[test]
        fn bytes_that_are_not_a_row_are_an_error_even_under_a_right_checksum(body: Vec<u8>, seq: u64) {
            let raw = Raw { seq, format: FORMAT, crc: checksum(FORMAT, seq, &body), body };
            if let Ok(entry) = decode(&raw) {
                prop_assert!(entry.samples.is_empty() && entry.findings.is_empty());
            }
        }
    }

    #[test]
    fn any_bit_changed_anywhere_is_an_error_and_never_other_data() {
        let raw = encode(7, &full());
        let check = |changed: Raw| {
            assert!(
                matches!(decode(&changed), Err(RowError::Checksum { .. })),
                "{changed:?}"
            );
        };
        for bit in 0..raw.body.len() * 8 {
            let mut changed = raw.clone();
            changed.body[bit / 8] ^= 1 << (bit % 8);
            check(changed);
        }
        for bit in 0..32 {
            check(Raw {
                crc: raw.crc ^ 1 << bit,
                ..raw.clone()
            });
            check(Raw {
                format: raw.format ^ 1 << bit,
                ..raw.clone()
            });
            check(Raw {
                seq: raw.seq ^ 1 << bit,
                ..raw.clone()
            });
        }
        for length in 0..raw.body.len() {
            check(Raw {
                body: raw.body[..length].to_vec(),
                ..raw.clone()
            });
        }
    }

    #[test]
    fn a_newer_format_is_named_and_not_guessed_at() {
        let raw = encode(7, &full());
        let newer = Raw {
            format: 2,
            crc: checksum(2, 7, &raw.body),
            ..raw
        };
        assert_eq!(decode(&newer), Err(RowError::Newer(2)));
    }

    #[test]
    fn a_finding_with_impossible_numbers_still_reads_back() {
        let mut runner = proptest::test_runner::TestRunner::deterministic();
        let mut finding = findings().new_tree(&mut runner).unwrap().current();
        finding.confidence = f64::NAN;
        finding.energy_kwh = Some(f64::INFINITY);
        finding.why = BTreeMap::from([("a_kw".into(), f64::NAN), ("b_kw".into(), 2.0)]);
        let commit = Commit {
            findings: vec![finding],
            ..Commit::default()
        };
        let read = decode(&encode(1, &commit)).unwrap().findings.remove(0);
        assert_eq!((read.confidence, read.energy_kwh), (0.0, None));
        assert_eq!(read.why, BTreeMap::from([("b_kw".into(), 2.0)]));
    }

    #[test]
    fn a_second_of_a_hundred_meters_stays_small() {
        let at: Timestamp = "2026-08-28T08:10:00Z".parse().unwrap();
        let samples = (0..100).map(|meter: u32| Sample {
            meter: format!("meter-{meter}").into(),
            at,
            readings: vec![
                Reading::new(Quantity::ActivePower, f64::from(meter) / 10.0),
                Reading::new(Quantity::EnergyImport, 12_345.0 + f64::from(meter)),
            ],
        });
        let raw = encode(
            1,
            &Commit {
                samples: samples.collect(),
                ..Commit::default()
            },
        );
        assert!(
            raw.body.len() < 100 * 2 * 12,
            "{} bytes for 200 readings",
            raw.body.len()
        );
    }
}
