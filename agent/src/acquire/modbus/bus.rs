//! One task owns one bus: it decides whose turn it is, polls that meter, and hands on one sample a poll.
//!
//! It neither judges values nor stores them. Invariants: one request at a time on one connection; a meter that does not
//! answer rests, doubling its rest, while the others keep their schedule; a sample carries the instant at which its
//! first request left and only values read by that poll; beats that pass are counted, never made up for.

use std::{collections::BTreeSet, io, time::Duration};

use energy::{Name, Reading, Sample};
use jiff::{SignedDuration, Timestamp};
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use super::{
    Config, Point, Table, check, decode,
    link::{self, Fault, Link},
    plan::Read,
    schedule::{Rhythm, later},
};
use crate::{
    acquire::{Backoff, Incoming, Intake},
    clock::Clock,
    health::{Counter, Gauge, Health},
};

/// Rest of a meter that does not answer: long enough that one dead meter costs its bus less than a third of the usual
/// time-out of 500 ms a second at first and under 1 % in the end, short enough that a mended meter is back in a minute.
const METER_REST: Backoff = Backoff {
    first: Duration::from_secs(2),
    cap: Duration::from_mins(1),
};

/// Wait between attempts to connect: a gateway that restarts is back within a minute, and 30 s spare its log.
const CONNECT_REST: Backoff = Backoff {
    first: Duration::from_millis(500),
    cap: Duration::from_secs(30),
};

/// Failures in a row after which a meter counts as silent and rests. One lost answer is daily life on a serial line and
/// costs nothing but its own poll.
const SILENT_AFTER: u32 = 2;

/// Data time after which registers that a meter refused are tried again: soon, for a gateway that was starting, then ever
/// more seldom, for a meter that may be configured or replaced one day.
const RETRY_REFUSED: Backoff = Backoff {
    first: Duration::from_secs(10),
    cap: Duration::from_hours(1),
};

/// The longest sleep at one go, in wall time: a clock set forward meanwhile is noticed this soon.
const LONGEST_NAP: Duration = Duration::from_secs(10);

/// The recorder is gone; nothing is left to read for.
struct RecorderGone;

/// Runs one bus until `stop` is cancelled.
///
/// Counts `polls_total{bus,meter,result}`, `skipped_polls_total{bus}`, `refused_registers_total{bus,meter}` and
/// `connects_total{bus,result}`; sets `meter_answering{bus,meter}`.
pub async fn run(config: Config, clock: Clock, intake: Intake, health: Health, stop: CancellationToken) {
    let mut bus = match Bus::new(config, clock, intake, &health) {
        Ok(bus) => bus,
        Err(refused) => return error!("{refused}"),
    };
    if let Some(RecorderGone) = stop.run_until_cancelled(bus.drive()).await {
        info!(bus = bus.config.name, "reading ends: the recorder is gone");
    }
    if let Some(link) = bus.link.take() {
        link.close().await;
    }
}

struct Bus {
    config: Config,
    clock: Clock,
    intake: Intake,
    link: Option<Link>,
    meters: Vec<Meter>,
    polls: u64,
    failed_connects: u32,
    skipped: Counter,
    connected: Counter,
    unconnected: Counter,
}

struct Meter {
    name: Name,
    unit: u8,
    points: Vec<Point>,
    /// The reads as planned, to go back to after refused registers.
    planned: Vec<Rhythm>,
    rhythms: Vec<Rhythm>,
    /// First registers of points that the meter refuses.
    refused: BTreeSet<(Table, u16)>,
    retry_refused_at: Option<Timestamp>,
    /// Retries in a row after which something was refused still.
    refused_retries: u32,
    /// Failures in a row.
    failures: u32,
    silent_since: Option<Timestamp>,
    /// Number of the last poll: whoever waits longest goes first among meters due at once.
    last_poll: u64,
    counts: Counts,
}

struct Counts {
    ok: Counter,
    rested: Counter,
    refused: Counter,
    answering: Gauge,
    faults: Vec<(&'static str, Counter)>,
}

impl Bus {
    fn new(mut config: Config, clock: Clock, intake: Intake, health: &Health) -> Result<Self, super::ConfigError> {
        for point in config.meters.iter_mut().flat_map(|meter| &mut meter.points) {
            point.every.get_or_insert(config.every);
        }
        let plan = check(&config)?;
        let now = clock.now();
        let meters = (0..config.meters.len())
            .map(|index| Meter::new(&config, index, rhythms(&plan.reads, index, now), health))
            .collect();
        let label = [("bus", config.name.as_str())];
        let connects = |result| health.counter("connects_total", &[label[0], ("result", result)]);
        Ok(Self {
            skipped: health.counter("skipped_polls_total", &label),
            connected: connects("ok"),
            unconnected: connects("failed"),
            config,
            clock,
            intake,
            link: None,
            meters,
            polls: 0,
            failed_connects: 0,
        })
    }

    /// Reads for ever; ends only when nobody takes the samples any more.
    async fn drive(&mut self) -> RecorderGone {
        loop {
            let Some((index, due)) = self.next() else {
                self.intake.closed().await; // no meters: nothing to read
                return RecorderGone;
            };
            let now = self.clock.now();
            if due > now {
                let nap_ms = LONGEST_NAP.mul_f64(self.clock.speed()).as_millis() as i64;
                let awake = due.min(now.saturating_add(SignedDuration::from_millis(nap_ms)).unwrap_or(due));
                self.clock.sleep_until(awake).await;
            } else if let Some(sample) = self.poll(index).await {
                let incoming = Incoming { sample, stored: None };
                if self.intake.send(incoming).await.is_err() {
                    return RecorderGone;
                }
            }
        }
    }

    /// The meter whose turn is next, and when.
    fn next(&self) -> Option<(usize, Timestamp)> {
        let turn = |(index, meter): (usize, &Meter)| {
            let due = meter.rhythms.iter().map(|rhythm| rhythm.due).min()?;
            Some((due, meter.last_poll, index))
        };
        let (due, _, index) = self.meters.iter().enumerate().filter_map(turn).min()?;
        Some((index, due))
    }

    /// One poll of one meter: what it said, if anything.
    async fn poll(&mut self, index: usize) -> Option<Sample> {
        let is_reused = self
            .link
            .as_ref()
            .is_some_and(|link| link.is_open() && link.has_answered);
        let (sample, outcome) = self.attempt(index).await?;
        let outcome = match outcome {
            Err(fault) if is_reused && sample.readings.is_empty() && fault.may_pass_on_a_fresh_link() => {
                let (sample, outcome) = self.attempt(index).await?;
                return self.settle(index, sample, outcome);
            }
            outcome => outcome,
        };
        self.settle(index, sample, outcome)
    }

    /// Asks the meter's due blocks once; `None` when there is no connection.
    async fn attempt(&mut self, index: usize) -> Option<(Sample, Result<(), Fault>)> {
        let mut link = self.connected_link().await?;
        let meter = &mut self.meters[index];
        let mut sample = Sample {
            meter: Name::clone(&meter.name),
            at: self.clock.now(),
            readings: Vec::with_capacity(meter.points.len()),
        };
        let outcome = meter.read_due(&mut link, self.config.timeout, &mut sample).await;
        if link.is_open() {
            self.link = Some(link);
        }
        Some((sample, outcome))
    }

    /// The open connection, or a new one; after a failed attempt waits and gives none.
    async fn connected_link(&mut self) -> Option<Link> {
        if let Some(link) = self.link.take().filter(Link::is_open) {
            return Some(link);
        }
        match link::open(&self.config.transport, self.config.timeout).await {
            Ok(link) => {
                self.connected.one();
                if self.failed_connects > 0 {
                    info!(
                        bus = self.config.name,
                        attempts = self.failed_connects + 1,
                        "bus connected again"
                    );
                    self.failed_connects = 0;
                    self.wake_all();
                }
                Some(link)
            }
            Err(error) => {
                self.rest_after_failed_connect(&error).await;
                None
            }
        }
    }

    async fn rest_after_failed_connect(&mut self, error: &io::Error) {
        self.unconnected.one();
        self.failed_connects += 1;
        let rest = CONNECT_REST.after(self.failed_connects, &self.config.name);
        if self.failed_connects == 1 {
            let (bus, tried) = (&self.config.name, &self.config.transport);
            warn!(bus, %tried, got = %error, next_try = ?rest, "bus does not connect; check address, cable and whether another master holds it");
        }
        tokio::time::sleep(rest).await;
    }

    /// What held all meters up is over: nobody needs to rest any longer.
    fn wake_all(&mut self) {
        let now = self.clock.now();
        for meter in self.meters.iter_mut().filter(|meter| meter.failures >= SILENT_AFTER) {
            for rhythm in &mut meter.rhythms {
                rhythm.due = now;
            }
        }
    }

    /// Books the outcome of a poll and passes its sample on if anything was read.
    fn settle(&mut self, index: usize, sample: Sample, outcome: Result<(), Fault>) -> Option<Sample> {
        self.polls += 1;
        self.meters[index].last_poll = self.polls;
        let was_dark = self.meters.iter().all(|meter| meter.failures >= SILENT_AFTER);
        let meter = &mut self.meters[index];
        for rhythm in meter.rhythms.iter_mut().filter(|rhythm| rhythm.due <= sample.at) {
            self.skipped.add(rhythm.begin(sample.at));
        }
        match outcome {
            Ok(()) | Err(Fault::Refused(_)) => {
                meter.answered(&self.config.name, &outcome, sample.at);
                if was_dark {
                    self.wake_all();
                }
            }
            Err(fault) => meter.failed(&self.config.name, &fault, &self.clock),
        }
        (!sample.readings.is_empty()).then_some(sample)
    }
}

/// The meter's reads, one rhythm for each `every`; all begin at `now`, so that slow beats fall on fast ones.
fn rhythms(reads: &[Read], meter: usize, now: Timestamp) -> Vec<Rhythm> {
    let mut rhythms: Vec<Rhythm> = Vec::new();
    for read in reads.iter().filter(|read| read.meter == meter) {
        let every = read.every.unwrap_or_default();
        match rhythms.iter_mut().find(|rhythm| rhythm.every == every) {
            Some(rhythm) => rhythm.reads.push(read.clone()),
            None => rhythms.push(Rhythm {
                every,
                due: now,
                reads: vec![read.clone()],
            }),
        }
    }
    rhythms
}

impl Meter {
    fn new(config: &Config, index: usize, rhythms: Vec<Rhythm>, health: &Health) -> Self {
        let meter = &config.meters[index];
        let labels = [("bus", config.name.as_str()), ("meter", &*meter.name)];
        let polls = |result| health.counter("polls_total", &[labels[0], labels[1], ("result", result)]);
        let faults = ["timeout", "lost", "foreign", "length", "gateway", "exception"];
        Self {
            name: Name::clone(&meter.name),
            unit: meter.unit,
            points: meter.points.clone(),
            planned: rhythms.clone(),
            rhythms,
            refused: BTreeSet::new(),
            retry_refused_at: None,
            refused_retries: 0,
            failures: 0,
            silent_since: None,
            last_poll: 0,
            counts: Counts {
                ok: polls("ok"),
                rested: polls("rested"),
                refused: health.counter("refused_registers_total", &labels),
                answering: health.gauge("meter_answering", &labels),
                faults: faults.map(|result| (result, polls(result))).into(),
            },
        }
    }

    /// Asks every block that is due at the sample's instant. A block with a refused address is asked for in parts.
    async fn read_due(&mut self, link: &mut Link, limit: Duration, sample: &mut Sample) -> Result<(), Fault> {
        if self.retry_refused_at.is_some_and(|at| at <= sample.at) {
            self.refused_retries += 1;
            self.restore_planned_reads();
        }
        let mut outcome = Ok(());
        for nth in 0..self.rhythms.len() {
            let mut block = 0;
            while self.rhythms[nth].due <= sample.at && block < self.rhythms[nth].reads.len() {
                let read = &self.rhythms[nth].reads[block];
                match link.read(read, limit).await {
                    Ok(words) => {
                        decode_block(read, &self.points, &words, &mut sample.readings);
                        self.has_again(nth, block);
                        block += 1;
                    }
                    Err(fault) if fault.may_pass_in_parts() => {
                        self.take_apart(nth, block, sample.at, &fault);
                        outcome = Err(fault);
                    }
                    Err(fault @ Fault::Refused(_)) => {
                        outcome = Err(fault);
                        block += 1;
                    }
                    Err(fault) => return Err(fault),
                }
            }
        }
        outcome
    }

    /// Replaces a refused block by its halves; one that holds a single value is left out and remembered.
    fn take_apart(&mut self, nth: usize, block: usize, at: Timestamp, fault: &Fault) {
        let reads = &mut self.rhythms[nth].reads;
        if let Some(halves) = reads[block].halves(&self.points) {
            reads.splice(block..=block, halves);
            return;
        }
        let read = reads.remove(block);
        let wait = RETRY_REFUSED.after(self.refused_retries + 1, &self.name);
        self.retry_refused_at = Some(later(at, wait));
        let point = &self.points[read.points[0]];
        if self.refused.insert((point.table, point.at)) {
            self.counts.refused.one();
            let quantity = point.quantity.name();
            warn!(meter = &*self.name, unit = self.unit, quantity, tried = %read, got = %fault, next_try = ?wait, "the meter refuses this register; its other values go on");
        }
    }

    /// Forgets that registers were refused which a block has just given.
    fn has_again(&mut self, nth: usize, block: usize) {
        if self.refused.is_empty() {
            return;
        }
        let read = &self.rhythms[nth].reads[block];
        for point in read.points.iter().map(|&point| &self.points[point]) {
            if self.refused.remove(&(point.table, point.at)) {
                let quantity = point.quantity.name();
                info!(
                    meter = &*self.name,
                    unit = self.unit,
                    quantity,
                    "the meter gives this register again"
                );
            }
        }
        if self.refused.is_empty() {
            self.refused_retries = 0;
        }
    }

    fn restore_planned_reads(&mut self) {
        self.retry_refused_at = None;
        for (rhythm, planned) in self.rhythms.iter_mut().zip(&self.planned) {
            rhythm.reads.clone_from(&planned.reads);
        }
    }

    fn answered(&mut self, bus: &str, outcome: &Result<(), Fault>, at: Timestamp) {
        self.count(outcome.as_ref().err());
        self.counts.answering.set(1.0);
        self.failures = 0;
        if let Some(since) = self.silent_since.take() {
            let silent_s = at.duration_since(since).as_secs();
            info!(
                bus,
                meter = &*self.name,
                unit = self.unit,
                silent_s,
                "meter answers again"
            );
            self.refused_retries = 0; // it may be another device now
            self.restore_planned_reads();
        }
    }

    fn failed(&mut self, bus: &str, fault: &Fault, clock: &Clock) {
        self.count(Some(fault));
        self.failures = self.failures.saturating_add(1);
        if self.failures < SILENT_AFTER {
            return;
        }
        let rest = METER_REST.after(self.failures + 1 - SILENT_AFTER, &self.name);
        let now = clock.now();
        let until = later(now, rest.mul_f64(clock.speed()));
        for rhythm in &mut self.rhythms {
            self.counts.rested.add(rhythm.rest_until(until));
        }
        if self.silent_since.is_none() {
            self.silent_since = Some(now);
            self.counts.answering.set(0.0);
            let tried = self.rhythms.iter().flat_map(|rhythm| &rhythm.reads).next();
            let tried = tried.map(ToString::to_string);
            let (meter, unit) = (&*self.name, self.unit);
            if matches!(fault, Fault::TimedOut(_)) {
                warn!(bus, meter, unit, tried, got = %fault, next_try = ?rest, "meter is silent; it has no values until it answers");
            } else {
                warn!(bus, meter, unit, tried, got = %fault, next_try = ?rest, "meter cannot be read; it has no values until it can");
            }
        }
    }

    fn count(&self, fault: Option<&Fault>) {
        match fault {
            None => self.counts.ok.one(),
            Some(fault) => {
                let count = self.counts.faults.iter().find(|(result, _)| *result == fault.result());
                count.expect("every result has its counter, made at the start").1.one();
            }
        }
    }
}

fn decode_block(read: &Read, points: &[Point], words: &[u16], readings: &mut Vec<Reading>) {
    // The plan puts every point whole inside its read, and the reply's length has been checked.
    let of_points = read.points.iter().map(|&point| &points[point]);
    readings.extend(of_points.filter_map(|point| decode::reading(point, read.at, words)));
}
