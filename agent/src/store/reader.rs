//! Reading the store on a connection of one's own, also while no agent runs.
//!
//! Nothing is written. The methods block for the disk: call them from a thread of your own or through
//! [`SharedReader`]. Invariants: a log row whose checksum fails is reported by its number and never handed out; a
//! reader can go on behind it.

use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
};

use energy::{
    Finding, Interval, Name, Now, Quality, Quantity,
    carbon::{FuelMeter, fuel::Register, restate::Restatement},
    finding::Kind,
    interval::Raw,
    site::Meter,
};
use jiff::{SignedDuration, Timestamp};
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::{
    Acknowledgement, Config, DeadLetter, Entry, KeptLetter, OpenError, SeqRange, Snapshot, StoreError, log,
    repaired::Repaired, schema,
};

/// A read-only connection to the store.
#[derive(Debug)]
pub struct Reader {
    db: Connection,
    folder: PathBuf,
}

/// Why rows of the log could not be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LogError {
    /// One row is lost: count it and go on at `seq + 1`.
    #[error("log row {seq} is damaged: {reason}")]
    Damaged {
        /// The row.
        seq: u64,
        /// What is wrong with it.
        reason: String,
    },
    /// The store could not be read at all.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<rusqlite::Error> for LogError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Store(error.into())
    }
}

/// Which findings are wanted; the default wants all.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct FindingFilter {
    /// Still going on at or after this instant.
    pub from: Option<Timestamp>,
    /// Begun before this instant.
    pub until: Option<Timestamp>,
    /// Of this kind.
    pub kind: Option<Kind>,
    /// Of this machine.
    pub machine: Option<String>,
    /// Only those that have not ended: `Some(Open)`; only those that have: `Some(Closed)`.
    pub state: Option<energy::finding::Condition>,
    /// At most so many, the newest `since` first; `None` = all.
    pub limit: Option<usize>,
}

/// A finding in its last state, with what people said.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredFinding {
    /// The finding.
    pub finding: Finding,
    /// The last acknowledgement.
    pub acknowledged: Option<Acknowledgement>,
}

/// An entry of the audit trail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Audit {
    /// What was done: `acknowledge`.
    pub what: String,
    /// By whom, about which finding, when.
    pub entry: Acknowledgement,
}

/// Values of one quantity of one meter, ascending in time; three columns of equal length.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Series {
    /// When.
    pub times: Vec<Timestamp>,
    /// The values, in the quantity's unit.
    pub values: Vec<f64>,
    /// How far each can be trusted.
    pub qualities: Vec<Quality>,
    /// Log rows that could not be read: their values are missing here.
    pub damaged_rows: u64,
}

const FINDING: &str = "SELECT f.json, a.at_ms, a.who, a.comment FROM finding f
    LEFT JOIN audit a ON a.id = (SELECT max(id) FROM audit WHERE finding = f.id AND what = 'acknowledge')";

impl Reader {
    /// Opens a connection, with or without a running [`super::Store`].
    pub fn open(config: &Config) -> Result<Self, OpenError> {
        super::folder(&config.path)?;
        let db = schema::open_for_reading(&config.file())?;
        let folder = config.path.clone();
        Ok(Self { db, folder })
    }

    /// Up to `limit` rows of the log from `from` on, in order. A damaged row ends the list early; met first, it is the
    /// error, and the caller goes on behind it. Rows that gave way to `max_size` are passed over.
    pub fn entries(&self, from: u64, limit: usize) -> Result<Vec<Entry>, LogError> {
        // One moment for both statements: a row that gives way between them would look damaged.
        let _moment = self.db.unchecked_transaction()?;
        let mut statement = self
            .db
            .prepare_cached("SELECT seq, format, crc, body FROM log WHERE seq >= ?1 ORDER BY seq LIMIT ?2")?;
        let mut rows = statement.query(params![from, limit])?;
        let mut expected = from.max(self.first_seq()?);
        let mut entries = Vec::new();
        while let Some(row) = rows.next()? {
            match next_entry(row, expected) {
                Ok(entry) => entries.push(entry),
                Err(error) if entries.is_empty() => return Err(error),
                Err(_) => break,
            }
            expected += 1;
        }
        Ok(entries)
    }

    /// The oldest row still there; 1 in an empty log.
    pub fn first_seq(&self) -> Result<u64, StoreError> {
        // One statement, one moment: a row that is written between two would be passed over by who asks.
        let first = "SELECT coalesce(min(seq), 1) FROM log";
        Ok(self.db.query_row(first, [], |row| row.get(0))?)
    }

    /// The newest durable row; 0 in an empty log.
    pub fn last_seq(&self) -> Result<u64, StoreError> {
        let last = "SELECT coalesce(max(seq), 0) FROM log";
        Ok(self.db.query_row(last, [], |row| row.get(0))?)
    }

    /// The running moment as last committed; `None` before the first, or when another version wrote it.
    pub fn now(&self) -> Result<Option<Now>, StoreError> {
        let body: Option<Vec<u8>> = self
            .db
            .query_row("SELECT body FROM now", [], |row| row.get(0))
            .optional()?;
        Ok(body.and_then(|body| postcard::from_bytes(&body).ok()))
    }

    /// The engine's last state and the row it was committed with; rows after it are to be stepped again.
    pub fn snapshot(&self) -> Result<Option<(u64, Snapshot)>, StoreError> {
        let row = self
            .db
            .query_row("SELECT seq, crc, at_ms, format, body FROM snapshot", [], |row| {
                let at = instant(row, 2)?;
                let snapshot = Snapshot {
                    at,
                    format: row.get(3)?,
                    body: row.get(4)?,
                };
                Ok((row.get::<_, u64>(0)?, row.get::<_, u32>(1)?, snapshot))
            })
            .optional()?;
        let Some((seq, crc, snapshot)) = row else {
            return Ok(None);
        };
        let got = log::checksum(snapshot.format, seq, &snapshot.body);
        if got != crc {
            let reason = format!("the snapshot's checksum is {got:08x}, wanted {crc:08x}");
            return Err(StoreError::Damaged(reason));
        }
        Ok(Some((seq, snapshot)))
    }

    /// Findings that pass the filter, newest `since` first.
    pub fn findings(&self, filter: &FindingFilter) -> Result<Vec<StoredFinding>, StoreError> {
        let state = filter.state.map(|state| match state {
            energy::finding::Condition::Open => "open",
            energy::finding::Condition::Closed => "closed",
        });
        let mut statement = self.db.prepare_cached(&format!(
            "{FINDING} WHERE (?1 IS NULL OR f.until_ms IS NULL OR f.until_ms >= ?1) AND (?2 IS NULL OR f.since_ms < ?2)
                AND (?3 IS NULL OR f.kind = ?3) AND (?4 IS NULL OR f.machine = ?4) AND (?5 IS NULL OR f.state = ?5)
             ORDER BY f.since_ms DESC, f.id LIMIT ?6"
        ))?;
        let rows = statement.query_map(
            params![
                filter.from.map(Timestamp::as_millisecond),
                filter.until.map(Timestamp::as_millisecond),
                filter.kind.map(Kind::name),
                filter.machine,
                state,
                filter.limit.map_or(-1, |limit| limit as i64),
            ],
            stored_finding,
        )?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// The finding of an id.
    pub fn finding(&self, id: &str) -> Result<Option<StoredFinding>, StoreError> {
        let mut statement = self.db.prepare_cached(&format!("{FINDING} WHERE f.id = ?1"))?;
        Ok(statement.query_row([id], stored_finding).optional()?)
    }

    /// What people did about a finding, oldest first.
    pub fn audit(&self, id: &str) -> Result<Vec<Audit>, StoreError> {
        let mut statement = self
            .db
            .prepare_cached("SELECT what, finding, who, comment, at_ms FROM audit WHERE finding = ?1 ORDER BY id")?;
        let rows = statement.query_map([id], |row| {
            Ok(Audit {
                what: row.get(0)?,
                entry: Acknowledgement {
                    id: row.get(1)?,
                    by: row.get(2)?,
                    comment: row.get(3)?,
                    at: instant(row, 4)?,
                },
            })
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// Intervals that start in `from..until`, of one meter or of all, ordered by start, then meter.
    pub fn intervals(
        &self,
        meter: Option<&str>,
        from: Timestamp,
        until: Timestamp,
    ) -> Result<Vec<Interval>, StoreError> {
        let columns = "meter, start_ms, end_ms, energy_import_kwh, energy_export_kwh, reactive_energy_lag_kvarh,
            reactive_energy_lead_kvarh, quality, coverage, revision, json";
        let of_meter = if meter.is_some() { "meter = ?3" } else { "?3 IS NULL" };
        let mut statement = self.db.prepare_cached(&format!(
            "SELECT {columns} FROM interval LEFT JOIN repair USING (meter, start_ms, revision)
             WHERE start_ms >= ?1 AND start_ms < ?2 AND {of_meter}
             ORDER BY start_ms, meter"
        ))?;
        let rows = statement.query_map(params![from.as_millisecond(), until.as_millisecond(), meter], interval)?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// End of the newest interval of these meters: so far time has gone on for the site; `None` before the first.
    pub fn heard_until(&self, meters: &[Meter]) -> Result<Option<Timestamp>, StoreError> {
        let newest = "SELECT end_ms FROM interval WHERE meter = ?1 ORDER BY start_ms DESC LIMIT 1";
        let mut statement = self.db.prepare_cached(newest)?;
        let mut until_ms = None;
        for meter in meters {
            let of_meter: Option<i64> = statement.query_row([&*meter.name], |row| row.get(0)).optional()?;
            until_ms = until_ms.max(of_meter);
        }
        Ok(until_ms.and_then(|ms| Timestamp::from_millisecond(ms).ok()))
    }

    /// What a reader has saved as still to do; empty when it has saved nothing yet.
    pub fn cursor(&self, reader: &str) -> Result<Vec<SeqRange>, StoreError> {
        let mut statement = self
            .db
            .prepare_cached("SELECT from_seq, to_seq FROM cursor WHERE reader = ?1 ORDER BY from_seq")?;
        let rows = statement.query_map([reader], |row| {
            Ok(SeqRange {
                from: row.get(0)?,
                to: row.get(1)?,
            })
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// Whether a reader has delivered this message.
    pub fn is_delivered(&self, reader: &str, message: &str) -> Result<bool, StoreError> {
        let mut statement = self
            .db
            .prepare_cached("SELECT EXISTS (SELECT 1 FROM delivered WHERE reader = ?1 AND message = ?2)")?;
        Ok(statement.query_row([reader, message], |row| row.get(0))?)
    }

    /// Values of one quantity of one meter in `from..until`, ascending in time.
    pub fn series(
        &self,
        meter: &str,
        quantity: Quantity,
        from: Timestamp,
        until: Timestamp,
    ) -> Result<Series, StoreError> {
        let mut statement = self.db.prepare_cached(
            "SELECT seq, format, crc, body FROM log WHERE last_ms >= ?1 AND first_ms < ?2 ORDER BY seq",
        )?;
        let mut rows = statement.query(params![from.as_millisecond(), until.as_millisecond()])?;
        let (mut points, mut damaged_rows) = (Vec::new(), 0);
        while let Some(row) = rows.next()? {
            let Ok(entry) = log::decode(&raw(row)?) else {
                damaged_rows += 1;
                continue;
            };
            let wanted = entry
                .samples
                .iter()
                .filter(|sample| &*sample.meter == meter && from <= sample.at && sample.at < until);
            for sample in wanted {
                let readings = sample.readings.iter().filter(|reading| reading.quantity == quantity);
                points.extend(readings.map(|reading| (sample.at, reading.value, reading.quality)));
            }
        }
        // Late samples lie in later rows; a stable sort keeps the order of arrival within an instant.
        points.sort_by_key(|point| point.0);
        let mut series = Series {
            damaged_rows,
            ..Series::default()
        };
        for (at, value, quality) in points {
            series.times.push(at);
            series.values.push(value);
            series.qualities.push(quality);
        }
        Ok(series)
    }

    /// Trusted readings of the registers of fuel meters in `from..until` and a day around it, so that use at the edges
    /// can be told.
    pub fn registers(
        &self,
        meters: &[FuelMeter],
        (from, until): (Timestamp, Timestamp),
    ) -> Result<BTreeMap<Name, Register>, StoreError> {
        let day = SignedDuration::from_hours(24);
        let from = from.saturating_sub(day).unwrap_or(from);
        let until = until.saturating_add(day).unwrap_or(until);
        let mut registers = BTreeMap::new();
        for meter in meters {
            let series = self.series(&meter.meter, Quantity::Gas, from, until)?;
            let readings = series.times.into_iter().zip(series.values).zip(series.qualities);
            let trusted = readings.filter(|(_, quality)| quality.is_trusted());
            registers.insert(meter.meter.clone(), trusted.map(|(reading, _)| reading).collect());
        }
        Ok(registers)
    }

    /// Restatements of past years, the oldest first.
    pub fn restatements(&self) -> Result<Vec<Restatement>, StoreError> {
        super::restatements(&self.folder).map_err(|error| StoreError::Io(error.to_string()))
    }

    /// The newest dead letters, newest first, and how many there are.
    pub fn dead_letters(&self, limit: usize) -> Result<(Vec<DeadLetter>, u64), StoreError> {
        let count = self
            .db
            .query_row("SELECT count(*) FROM dead_letter", [], |row| row.get(0))?;
        let letters = self.kept_letters("ORDER BY id DESC LIMIT ?1", u64::try_from(limit).unwrap_or(u64::MAX))?;
        Ok((letters.into_iter().map(|kept| kept.letter).collect(), count))
    }

    /// All dead letters, newest first: at most [`DeadLetter::COUNT_LIMIT`], each with its payload.
    pub fn all_dead_letters(&self) -> Result<Vec<KeptLetter>, StoreError> {
        self.kept_letters("ORDER BY id DESC LIMIT ?1", DeadLetter::COUNT_LIMIT)
    }

    /// The dead letter of this number.
    pub fn dead_letter(&self, id: u64) -> Result<Option<KeptLetter>, StoreError> {
        Ok(self.kept_letters("WHERE id = ?1", id)?.pop())
    }

    fn kept_letters(&self, which: &str, number: u64) -> Result<Vec<KeptLetter>, StoreError> {
        // SQLite counts to 2^63 - 1; no table has a row beyond.
        let number = number.min(i64::MAX as u64);
        let query = format!("SELECT id, at_ms, source, reason, payload FROM dead_letter {which}");
        let mut statement = self.db.prepare_cached(&query)?;
        let rows = statement.query_map([number], |row| {
            let letter = DeadLetter {
                at: instant(row, 1)?,
                source: row.get(2)?,
                reason: row.get(3)?,
                payload: row.get(4)?,
            };
            Ok(KeptLetter {
                id: row.get(0)?,
                letter,
            })
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }
}

/// A reader that tasks share: each call runs on a thread that may block.
#[derive(Debug, Clone)]
pub struct SharedReader(Arc<Mutex<Reader>>);

impl SharedReader {
    /// Wraps a reader.
    pub fn new(reader: Reader) -> Self {
        Self(Arc::new(Mutex::new(reader)))
    }

    /// Runs `read` on the reader, one call at a time.
    pub async fn read<T: Send + 'static>(&self, read: impl FnOnce(&Reader) -> T + Send + 'static) -> T {
        let reader = Arc::clone(&self.0);
        let reading = tokio::task::spawn_blocking(move || read(&reader.lock().unwrap_or_else(PoisonError::into_inner)));
        match reading.await {
            Ok(result) => result,
            Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
            // Cancelled: the runtime is going down, and the caller with it.
            Err(_) => std::future::pending().await,
        }
    }
}

fn next_entry(row: &Row<'_>, expected: u64) -> Result<Entry, LogError> {
    let raw = raw(row)?;
    if raw.seq != expected {
        return Err(LogError::Damaged {
            seq: expected,
            reason: format!("it is missing, the next row is {}", raw.seq),
        });
    }
    log::decode(&raw).map_err(|error| LogError::Damaged {
        seq: raw.seq,
        reason: error.to_string(),
    })
}

fn raw(row: &Row<'_>) -> rusqlite::Result<log::Raw> {
    Ok(log::Raw {
        seq: row.get(0)?,
        format: row.get(1)?,
        crc: row.get(2)?,
        body: row.get(3)?,
    })
}

fn stored_finding(row: &Row<'_>) -> rusqlite::Result<StoredFinding> {
    let json: String = row.get(0)?;
    let finding: Finding = serde_json::from_str(&json).map_err(|error| unreadable(0, error))?;
    let acknowledged = match row.get::<_, Option<i64>>(1)? {
        None => None,
        Some(_) => Some(Acknowledgement {
            id: finding.id.clone(),
            by: row.get(2)?,
            comment: row.get(3)?,
            at: instant(row, 1)?,
        }),
    };
    Ok(StoredFinding { finding, acknowledged })
}

fn interval(row: &Row<'_>) -> rusqlite::Result<Interval> {
    let mut interval = Interval {
        meter: row.get::<_, String>(0)?.into(),
        start: instant(row, 1)?,
        end: instant(row, 2)?,
        energy_import_kwh: row.get(3)?,
        energy_export_kwh: row.get(4)?,
        reactive_energy_lag_kvarh: row.get(5)?,
        reactive_energy_lead_kvarh: row.get(6)?,
        quality: log::quality(row.get(7)?).map_err(|error| unreadable(7, error))?,
        coverage: row.get(8)?,
        revision: row.get(9)?,
        raw: Raw::default(),
        repairs: vec![],
    };
    let repaired: Option<String> = row.get(10)?;
    Repaired::restore(repaired.as_deref(), &mut interval).map_err(|error| unreadable(10, error))?;
    Ok(interval)
}

fn instant(row: &Row<'_>, column: usize) -> rusqlite::Result<Timestamp> {
    Timestamp::from_millisecond(row.get(column)?).map_err(|error| unreadable(column, error))
}

fn unreadable(column: usize, error: impl std::error::Error + Send + Sync + 'static) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(column, rusqlite::types::Type::Text, Box::new(error))
}
