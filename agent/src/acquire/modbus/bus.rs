//! One task owns one bus: it decides whose turn it is, polls that meter, and hands on one sample a poll.
//!
//! It neither judges values nor stores them. Invariants: one request at a time on one connection; a meter that does not
//! answer rests, doubling its rest, while the others keep their schedule; a sample carries the instant at which its
//! first request left and only values read by that poll; beats that pass are counted, never made up for.

use std::{io, time::Duration};

use energy::{Name, Sample};
use futures_util::future::join_all;
use jiff::{SignedDuration, Timestamp};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use super::{
    Config, MeterPoints, check,
    fault::Fault,
    link::{self, Link},
    meter::{Meter, SILENT_AFTER, rhythms},
    plan::plan,
    units::Units,
};
use crate::{
    acquire::{Backoff, Incoming, Intake, renewed},
    clock::Clock,
    health::{Counter, Health},
};

/// Wait between attempts to connect: a gateway that restarts is back within a minute, and 30 s spare its log.
const CONNECT_REST: Backoff = Backoff {
    first: Duration::from_millis(500),
    cap: Duration::from_secs(30),
};

/// The longest sleep at one go, in wall time: a clock set forward meanwhile is noticed this soon.
const LONGEST_NAP: Duration = Duration::from_secs(10);

/// Why reading paused.
#[derive(Debug, PartialEq, Eq)]
enum Ended {
    /// Nobody takes the samples any more.
    RecorderGone,
    /// There is another configuration.
    Renewed,
}

/// Runs one bus until `stop` is cancelled. A new value of `settings` is taken up between two polls: meters that it
/// changes begin anew, all others keep their schedule, their refused registers and their rest.
///
/// Counts `polls_total{bus,meter,result}`, `skipped_polls_total{bus}`, `refused_registers_total{bus,meter}`,
/// `implausible_polls_total{bus,meter,rule}` and `connects_total{bus,result}`; sets `meter_answering{bus,meter}`,
/// `answer_duration_s{bus,meter}` and `refused_register{bus,meter,table,at}`.
pub async fn run(
    mut settings: watch::Receiver<Config>,
    clock: Clock,
    intake: Intake,
    health: Health,
    stop: CancellationToken,
) {
    let mut buses: Vec<Bus> = Vec::new();
    loop {
        let config = settings.borrow_and_update().paced();
        if let Err(refused) = check(&config) {
            error!("{refused}");
        } else {
            let new = |part| Bus::new(part, settings.clone(), clock.clone(), intake.clone(), &health);
            buses = arranged(buses, config, new, &health).await;
        }
        for bus in &mut buses {
            (bus.settings, bus.is_old) = (settings.clone(), false);
        }
        let driving = join_all(buses.iter_mut().map(Bus::drive));
        match stop.run_until_cancelled(driving).await {
            Some(ended) if ended.contains(&Ended::Renewed) => {}
            Some(_) if !buses.is_empty() => {
                info!(bus = buses[0].config.name, "reading ends: the recorder is gone");
                break;
            }
            _ => break,
        }
    }
    for bus in &mut buses {
        bus.hang_up().await;
    }
}

/// The connections of a configuration: those there are, with what they know of meters that it leaves as they were.
async fn arranged(mut old: Vec<Bus>, config: Config, new: impl Fn(Config) -> Bus, health: &Health) -> Vec<Bus> {
    let mut known: Vec<Meter> = old.iter_mut().flat_map(|bus| bus.meters.drain(..)).collect();
    let mut old = old.into_iter();
    let mut buses = Vec::new();
    for part in connections(config) {
        let mut bus = old.next().unwrap_or_else(|| new(part.clone()));
        bus.take_up(part, &mut known, health).await;
        buses.push(bus);
    }
    for mut unused in old {
        unused.hang_up().await;
    }
    buses
}

/// The bus as its connections see it: the meters in turn, as `budget.rs` reckons.
fn connections(config: Config) -> Vec<Config> {
    let n = usize::from(config.connections.max(1)).min(config.meters.len().max(1));
    let mut parts = vec![
        Config {
            meters: vec![],
            ..config.clone()
        };
        n
    ];
    for (index, meter) in config.meters.into_iter().enumerate() {
        parts[index % n].meters.push(meter);
    }
    parts
}

struct Bus {
    config: Config,
    settings: watch::Receiver<Config>,
    /// `settings` holds another value than the one it runs by.
    is_old: bool,
    clock: Clock,
    intake: Intake,
    link: Option<Link>,
    /// What is known of an RTU line's units from earlier connections.
    units: Units,
    meters: Vec<Meter>,
    /// Samples on their way to the recorder.
    outbox: Vec<Sample>,
    polls: u64,
    failed_connects: u32,
    skipped: Counter,
    connected: Counter,
    unconnected: Counter,
}

impl Bus {
    /// A connection that is not open yet, without meters.
    fn new(config: Config, settings: watch::Receiver<Config>, clock: Clock, intake: Intake, health: &Health) -> Self {
        let label = [("bus", config.name.as_str())];
        let connects = |result| health.counter("connects_total", &[label[0], ("result", result)]);
        Self {
            skipped: health.counter("skipped_polls_total", &label),
            connected: connects("ok"),
            unconnected: connects("failed"),
            config,
            settings,
            is_old: false,
            clock,
            intake,
            link: None,
            units: Units::default(),
            meters: Vec::new(),
            outbox: Vec::new(),
            polls: 0,
            failed_connects: 0,
        }
    }

    /// Takes up a checked configuration, and what is `known` of its meters.
    async fn take_up(&mut self, config: Config, known: &mut Vec<Meter>, health: &Health) {
        let line = |config: &Config| (config.transport.clone(), config.timeout, config.any_transaction);
        if line(&self.config) != line(&config) {
            self.hang_up().await;
            self.units = Units::default();
            self.failed_connects = 0;
        }
        let reads = plan(&config.meters).map(|plan| plan.reads).unwrap_or_default();
        let now = self.clock.now();
        let meter = |(index, points): (usize, &MeterPoints)| match known.iter().position(|meter| meter.is_of(points)) {
            Some(place) => known.swap_remove(place),
            None => Meter::new(&config, index, rhythms(&reads, index, now), health),
        };
        self.meters = config.meters.iter().enumerate().map(meter).collect();
        // What is asked of each meter is the meter's own.
        self.config = Config {
            meters: Vec::new(),
            ..config
        };
    }

    async fn hang_up(&mut self) {
        if let Some(link) = self.link.take() {
            link.close().await;
        }
    }

    /// Reads until nobody takes the samples any more, or until there is another configuration.
    async fn drive(&mut self) -> Ended {
        loop {
            // Without a sender there will be no other.
            if self.is_old || self.settings.has_changed().unwrap_or(false) {
                return Ended::Renewed;
            }
            let Some((index, due)) = self.next() else {
                // No meters: nothing to read.
                let intake = self.intake.clone();
                tokio::select! {
                    () = intake.closed() => return Ended::RecorderGone,
                    () = self.renewed() => continue,
                }
            };
            let now = self.clock.now();
            if due > now {
                let nap_ms = LONGEST_NAP.mul_f64(self.clock.speed()).as_millis() as i64;
                let awake = due.min(now.saturating_add(SignedDuration::from_millis(nap_ms)).unwrap_or(due));
                let clock = self.clock.clone();
                tokio::select! {
                    () = clock.sleep_until(awake) => {}
                    () = self.renewed() => {}
                }
            } else {
                self.poll(index).await;
                for sample in std::mem::take(&mut self.outbox) {
                    let incoming = Incoming { sample, stored: None };
                    if self.intake.send(incoming).await.is_err() {
                        return Ended::RecorderGone;
                    }
                }
            }
        }
    }

    /// Ends when there is another configuration.
    async fn renewed(&mut self) {
        renewed(&mut self.settings).await;
        self.is_old = true;
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

    /// One poll of one meter, unless its unit owes an answer, to whichever meter's question.
    async fn poll(&mut self, index: usize) {
        let meter = &mut self.meters[index];
        let alone = self.link.as_mut().map_or(Duration::ZERO, |link| link.alone(meter.unit));
        if !alone.is_zero() {
            meter.rest(alone, &self.clock);
            return;
        }
        let is_reused = self.link.as_ref().is_some_and(|link| link.has_answered);
        let Some(mut polled) = self.attempt(index).await else {
            return;
        };
        if let (sample, Err(fault)) = &polled
            && is_reused
            && self.link.is_none()
            && sample.readings.is_empty()
            && fault.may_pass_on_a_fresh_link()
        {
            match self.attempt(index).await {
                Some(again) => polled = again,
                None => return,
            }
        }
        let (sample, outcome) = polled;
        self.settle(index, sample, outcome);
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
        meter.judge(&mut sample);
        if link.is_open() {
            self.link = Some(link);
        } else {
            self.units = link.into_units();
        }
        Some((sample, outcome))
    }

    /// The open connection, or a new one; after a failed attempt waits and gives none.
    async fn connected_link(&mut self) -> Option<Link> {
        if let Some(link) = self.link.take() {
            return Some(link);
        }
        match link::open(&self.config, &self.units).await {
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
        if self.failed_connects == SILENT_AFTER {
            let now = self.clock.now();
            self.outbox
                .extend(self.meters.iter_mut().filter_map(|meter| meter.is_cut_off(now)));
        }
        if self.failed_connects == 1 {
            let (bus, tried) = (&self.config.name, &self.config.transport);
            warn!(bus, %tried, got = %error, next_try = ?rest, "bus does not connect; check address, cable and whether another master holds it");
        }
        tokio::select! {
            () = tokio::time::sleep(rest) => {}
            // It may be the address that is mended.
            () = self.renewed() => {}
        }
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

    /// Books the outcome of a poll and passes its sample on if anything was read, or its last values if it falls silent.
    fn settle(&mut self, index: usize, sample: Sample, outcome: Result<(), Fault>) {
        self.polls += 1;
        self.meters[index].last_poll = self.polls;
        let was_dark = self.meters.iter().all(|meter| meter.failures >= SILENT_AFTER);
        let meter = &mut self.meters[index];
        let is_nothing_asked = outcome.is_ok() && meter.asks_nothing(sample.at);
        for rhythm in meter.rhythms.iter_mut().filter(|rhythm| rhythm.due <= sample.at) {
            self.skipped.add(rhythm.begin(sample.at));
        }
        if is_nothing_asked {
            return; // all of it is refused, and not to be tried again yet
        }
        if !meter.alone.is_zero() {
            meter.rest(meter.alone, &self.clock);
        }
        // A meter that gives some values is not silent, whatever ended the poll; one that only ever refuses gives none.
        let has_answered = outcome.is_ok() || !sample.readings.is_empty();
        meter.keep(&sample);
        let mut stale = None;
        if has_answered {
            meter.answered(&self.config.name, &outcome, sample.at);
            if was_dark {
                self.wake_all();
            }
        } else if let Err(fault) = outcome {
            stale = meter.failed(&self.config.name, &fault, &self.clock);
        }
        self.outbox
            .extend(Some(sample).filter(|sample| !sample.readings.is_empty()));
        self.outbox.extend(stale);
    }
}
