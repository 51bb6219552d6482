//! Stand-in for the store with its agreed face, kept in memory: pages and reports are built and tested against it.
//!
//! It makes nothing durable. Invariant: the signatures are the real store's.

use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use energy::{
    Finding, Interval, Now, Quality, Quantity, Sample,
    finding::{Condition, Kind},
};
use jiff::Timestamp;

use crate::health::Health;

/// Where the store lies.
#[derive(Debug, Clone)]
pub struct Config {
    /// Folder of the file `wattwarden.sqlite`.
    pub path: PathBuf,
    /// Bytes it may take.
    pub max_size: u64,
}

/// The store could not be opened.
#[derive(Debug, thiserror::Error)]
#[error("the store could not be opened: {0}")]
pub struct OpenError(pub String);

/// The store could not do what was asked.
#[derive(Debug, thiserror::Error)]
#[error("the store failed: {0}")]
pub struct StoreError(pub String);

/// The engine's state at an instant.
#[derive(Debug, Clone, Default)]
pub struct Snapshot {
    /// Data time.
    pub at: Timestamp,
    /// Version of the body.
    pub format: u32,
    /// The state.
    pub body: Vec<u8>,
}

/// What becomes durable in one transaction.
#[derive(Debug, Clone, Default)]
pub struct Commit {
    /// Whole minute of data time.
    pub tick: Option<Timestamp>,
    /// Samples.
    pub samples: Vec<Sample>,
    /// Closed intervals.
    pub intervals: Vec<Interval>,
    /// Transitions.
    pub findings: Vec<Finding>,
    /// Health series.
    pub health: Vec<(String, f64)>,
    /// The running moment.
    pub now: Option<Now>,
    /// State of the engine.
    pub snapshot: Option<Snapshot>,
}

/// A log row read back.
#[derive(Debug, Clone)]
pub struct Entry {
    /// Its number.
    pub seq: u64,
    /// Whole minute of data time.
    pub tick: Option<Timestamp>,
    /// Samples.
    pub samples: Vec<Sample>,
    /// Closed intervals.
    pub intervals: Vec<Interval>,
    /// Transitions.
    pub findings: Vec<Finding>,
    /// Health series.
    pub health: Vec<(String, f64)>,
}

/// Somebody has seen a finding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Acknowledged {
    /// When.
    pub at: Timestamp,
    /// Who.
    pub by: String,
    /// What they said.
    pub comment: Option<String>,
}

/// A finding and what people did with it.
#[derive(Debug, Clone)]
pub struct StoredFinding {
    /// The finding.
    pub finding: Finding,
    /// Its acknowledgement.
    pub acknowledged: Option<Acknowledged>,
}

/// Which findings are wanted; `None` = all.
#[derive(Debug, Clone, Default)]
pub struct FindingFilter {
    /// Open or closed.
    pub state: Option<Condition>,
    /// Of one kind.
    pub kind: Option<Kind>,
    /// Of one machine.
    pub machine: Option<String>,
    /// Begun at or after.
    pub from: Option<Timestamp>,
    /// Begun before.
    pub until: Option<Timestamp>,
    /// At most.
    pub limit: Option<usize>,
}

#[derive(Debug, Default)]
struct Inner {
    log: Vec<Commit>,
    acknowledged: BTreeMap<String, Acknowledged>,
}

/// The store's writing side.
#[derive(Debug, Clone)]
pub struct Store {
    inner: Arc<Mutex<Inner>>,
    committed: tokio::sync::watch::Sender<u64>,
}

/// The store's reading side.
#[derive(Debug, Clone)]
pub struct Reader(Arc<Mutex<Inner>>);

impl Store {
    /// Opens the store.
    pub fn open(_config: &Config, _health: &Health) -> Result<Self, OpenError> {
        Ok(Self {
            inner: Arc::default(),
            committed: tokio::sync::watch::Sender::new(0),
        })
    }

    /// Makes `commit` durable and says its number.
    #[allow(clippy::unused_async, reason = "the real store waits for the disk")]
    pub async fn commit(&self, commit: Commit) -> Result<u64, StoreError> {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        inner.log.push(commit);
        let seq = inner.log.len() as u64;
        self.committed.send_replace(seq);
        Ok(seq)
    }

    /// Records that somebody has seen a finding.
    #[allow(clippy::unused_async, reason = "the real store waits for the disk")]
    pub async fn acknowledge(
        &self,
        id: &str,
        by: &str,
        comment: Option<&str>,
        at: Timestamp,
    ) -> Result<(), StoreError> {
        let (by, comment) = (by.to_owned(), comment.map(str::to_owned));
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        inner
            .acknowledged
            .insert(id.to_owned(), Acknowledged { at, by, comment });
        Ok(())
    }

    /// A reading side of its own.
    pub fn reader(&self) -> Result<Reader, OpenError> {
        Ok(Reader(Arc::clone(&self.inner)))
    }

    /// Highest durable number.
    pub fn committed(&self) -> tokio::sync::watch::Receiver<u64> {
        self.committed.subscribe()
    }
}

type Read<T> = Result<T, StoreError>;

impl Reader {
    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Log rows from a number on.
    pub fn entries(&self, from: u64, limit: usize) -> Read<Vec<Entry>> {
        let row = |(index, commit): (usize, &Commit)| Entry {
            seq: index as u64 + 1,
            tick: commit.tick,
            samples: commit.samples.clone(),
            intervals: commit.intervals.clone(),
            findings: commit.findings.clone(),
            health: commit.health.clone(),
        };
        let inner = self.inner();
        let rows = inner.log.iter().enumerate().map(row);
        Ok(rows.filter(|entry| entry.seq >= from).take(limit).collect())
    }

    /// Highest number.
    pub fn last_seq(&self) -> Read<u64> {
        Ok(self.inner().log.len() as u64)
    }

    /// The running moment.
    pub fn now(&self) -> Read<Option<Now>> {
        Ok(self.inner().log.iter().rev().find_map(|commit| commit.now.clone()))
    }

    /// Findings in their last state.
    pub fn findings(&self, filter: &FindingFilter) -> Read<Vec<StoredFinding>> {
        let inner = self.inner();
        let mut latest = BTreeMap::new();
        for finding in inner.log.iter().flat_map(|commit| &commit.findings) {
            latest.insert(finding.id.clone(), finding.clone());
        }
        let wanted = |finding: &Finding| {
            filter.state.is_none_or(|state| finding.state == state)
                && filter.kind.is_none_or(|kind| finding.kind == kind)
                && filter.machine.as_deref().is_none_or(|name| &*finding.machine == name)
                && filter.from.is_none_or(|from| finding.since >= from)
                && filter.until.is_none_or(|until| finding.since < until)
        };
        Ok(latest
            .into_values()
            .filter(wanted)
            .take(filter.limit.unwrap_or(usize::MAX))
            .map(|finding| StoredFinding {
                acknowledged: inner.acknowledged.get(&finding.id).cloned(),
                finding,
            })
            .collect())
    }

    /// One finding.
    pub fn finding(&self, id: &str) -> Read<Option<StoredFinding>> {
        let all = self.findings(&FindingFilter::default())?;
        Ok(all.into_iter().find(|stored| stored.finding.id == id))
    }

    /// Intervals that start in `[from, until)`.
    pub fn intervals(&self, meter: Option<&str>, from: Timestamp, until: Timestamp) -> Read<Vec<Interval>> {
        let inner = self.inner();
        let mut latest = BTreeMap::new();
        for interval in inner.log.iter().flat_map(|commit| &commit.intervals) {
            let is_wanted = meter.is_none_or(|name| &*interval.meter == name);
            if is_wanted && (from..until).contains(&interval.start) {
                latest.insert((interval.meter.clone(), interval.start), interval.clone());
            }
        }
        Ok(latest.into_values().collect())
    }

    /// Readings of one quantity in `[from, until)`, in columns.
    pub fn series(
        &self,
        meter: &str,
        quantity: Quantity,
        from: Timestamp,
        until: Timestamp,
    ) -> Read<(Vec<Timestamp>, Vec<f64>, Vec<Quality>)> {
        let inner = self.inner();
        let mut columns = (Vec::new(), Vec::new(), Vec::new());
        for sample in inner.log.iter().flat_map(|commit| &commit.samples) {
            let reading = sample.readings.iter().find(|reading| reading.quantity == quantity);
            if let Some(reading) = reading.filter(|_| &*sample.meter == meter && (from..until).contains(&sample.at)) {
                columns.0.push(sample.at);
                columns.1.push(reading.value);
                columns.2.push(reading.quality);
            }
        }
        Ok(columns)
    }
}
