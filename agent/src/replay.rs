//! Recorded rows through the engine: the same steps as living through them, in data time.
//!
//! Rows are put in order of time over a bounded number of them, and every minute between them is ticked. An export of our own
//! log carries the tick each row came after, and is followed as it stands: what was late is late again. It reads no
//! file and writes none.

use std::{cmp::Reverse, collections::BinaryHeap};

use energy::{Engine, Finding, Interval, Quality, Reading, Sample, Site, detect::TICK_MS, engine::Step};
use jiff::{SignedDuration, Timestamp};

use crate::acquire::csv::{Order, Row};

/// Rows are put in order over so many: a recording of a year of minutes may stand in any order, and one by the second does
/// not fill the memory (about 150 MB). What comes later still is late, and taken while its interval can be opened again.
const ORDER_ROWS: usize = 600_000;

/// What came out of a replay.
#[derive(Debug, Default)]
pub struct Outcome {
    /// Every interval in its last revision, by start, then meter.
    pub intervals: Vec<Interval>,
    /// Every finding in its last state, by `since`, then id.
    pub findings: Vec<Finding>,
    /// What happened to the rows.
    pub tally: Tally,
}

/// What happened to the rows of a recording.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub struct Tally {
    /// Rows read.
    pub rows: u64,
    /// Rows older than a row before them, by more than a minute.
    pub late: u64,
    /// Readings that said the same again.
    pub duplicate: u64,
    /// Readings that said something else for an instant; the first stays.
    pub conflict: u64,
    /// Readings older than what could still be put in its place.
    pub too_old: u64,
    /// Energies of intervals that do not begin where a demand interval of the site does.
    pub off_grid: u64,
    /// Rows of a meter that the configuration does not have.
    pub unknown_meter: u64,
    /// Readings that cannot be true, or were marked so: kept as bad, and nothing is made of them.
    pub bad: u64,
}

/// A replay at work.
#[derive(Debug)]
pub struct Replay {
    engine: Engine,
    waiting: BinaryHeap<Reverse<Waiting>>,
    n_waited: u64,
    /// Newest instant, and newest due time.
    newest: Option<(Timestamp, Timestamp)>,
    tally: Tally,
    intervals: std::collections::BTreeMap<(Timestamp, energy::Name), Interval>,
    findings: std::collections::BTreeMap<(Timestamp, String), Finding>,
}

/// A sample in the order window; equal times keep the order of the file.
#[derive(Debug)]
struct Waiting {
    due: Timestamp,
    number: u64,
    sample: Sample,
}

impl Replay {
    /// A replay that has seen nothing yet.
    pub fn new(site: Site) -> Self {
        Self {
            engine: Engine::new(site),
            waiting: BinaryHeap::new(),
            n_waited: 0,
            newest: None,
            tally: Tally::default(),
            intervals: std::collections::BTreeMap::new(),
            findings: std::collections::BTreeMap::new(),
        }
    }

    /// Takes the next row.
    pub fn take(&mut self, row: Row) {
        self.tally.rows += 1;
        let is_bad = |reading: &&Reading| reading.quality == Quality::Bad;
        self.tally.bad += row.sample.readings.iter().filter(is_bad).count() as u64;
        let Row { sample, order } = row;
        if let Order::AsRecorded(tick) = order {
            self.engine.expect_all_meters();
            if let Some(tick) = tick {
                self.tick(tick);
            }
            let due = self.engine.due(&sample);
            self.tally.late += u64::from(self.engine.last_tick().is_some_and(|last| due <= last));
            self.note(sample.at, due);
            self.engine.take(sample);
            return;
        }
        let mut is_late = false;
        for sample in sample.parts() {
            let due = self.engine.due(&sample);
            is_late |= self
                .newest
                .is_some_and(|(at, newest)| minute(sample.at) < minute(at) && minute(due) < minute(newest));
            self.note(sample.at, due);
            self.n_waited += 1;
            self.waiting.push(Reverse(Waiting {
                due,
                number: self.n_waited,
                sample,
            }));
        }
        self.tally.late += u64::from(is_late);
        while self.waiting.len() > ORDER_ROWS {
            self.release();
        }
    }

    fn note(&mut self, at: Timestamp, due: Timestamp) {
        let (newest_at, newest_due) = self.newest.unwrap_or((at, due));
        self.newest = Some((newest_at.max(at), newest_due.max(due)));
    }

    /// Hands the oldest waiting row to the engine, every minute before it first.
    fn release(&mut self) {
        let Some(Reverse(Waiting { due, sample, .. })) = self.waiting.pop() else {
            return;
        };
        self.tick(due - SignedDuration::from_millis(1));
        self.engine.take(sample);
    }

    fn tick(&mut self, at: Timestamp) {
        if self.engine.last_tick().is_some_and(|tick| minute(at) <= tick) {
            return;
        }
        let step = self.engine.tick(at);
        self.keep(step);
    }

    fn keep(&mut self, step: Step) {
        self.tally.duplicate += step.counts.refused.duplicate;
        self.tally.conflict += step.counts.refused.conflict;
        self.tally.too_old += step.counts.refused.too_old;
        self.tally.off_grid += step.counts.refused.off_grid;
        self.tally.unknown_meter += step.counts.unknown_meter;
        self.intervals.extend(
            step.intervals
                .into_iter()
                .map(|interval| ((interval.start, interval.meter.clone()), interval)),
        );
        self.findings.extend(
            step.findings
                .into_iter()
                .map(|finding| ((finding.since, finding.id.clone()), finding)),
        );
    }

    /// Steps through what is left and closes what has been heard of; findings that go on stay open.
    pub fn finish(mut self) -> Outcome {
        while !self.waiting.is_empty() {
            self.release();
        }
        if let Some((_, newest)) = self.newest {
            self.tick(newest + SignedDuration::from_millis(TICK_MS - 1));
        }
        let step = self.engine.finish();
        self.keep(step);
        Outcome {
            intervals: self.intervals.into_values().collect(),
            findings: self.findings.into_values().collect(),
            tally: self.tally,
        }
    }
}

/// The whole minute at or before `at`.
fn minute(at: Timestamp) -> Timestamp {
    let ms = at.as_millisecond().div_euclid(TICK_MS) * TICK_MS;
    Timestamp::from_millisecond(ms).unwrap_or(at)
}

impl PartialEq for Waiting {
    fn eq(&self, other: &Self) -> bool {
        (self.due, self.number) == (other.due, other.number)
    }
}
impl Eq for Waiting {}
impl PartialOrd for Waiting {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Waiting {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.due, self.number).cmp(&(other.due, other.number))
    }
}
