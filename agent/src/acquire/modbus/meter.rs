//! One meter on its bus: its rhythms, the registers that it refuses, and how long it has been silent.
//!
//! It owns no connection and never waits between polls. Invariants: a block that is refused twice, or that alone stays
//! without an answer or busy, is asked for in parts until the register that the meter does not give is known, and all
//! others go on (`parts.rs`); a meter that gives none of them is as silent as one that says nothing; a silent meter rests,
//! doubling its rest up to a minute, and costs its bus nothing meanwhile.

mod parts;

use std::{borrow::Cow, time::Duration};

use energy::{Name, Quality, Quantity, Reading, Sample};
use jiff::Timestamp;
use tracing::{info, warn};

use super::{
    Config, Limits, MeterPoints, Point, Table,
    balance::Balance,
    counts::Counts,
    decode,
    fault::Fault,
    link::Link,
    plan::Read,
    plausible,
    schedule::{Rhythm, later},
    sunspec::{self, Walk},
};
use crate::{
    acquire::Backoff,
    clock::{Clock, monotonic},
    health::Health,
};
use parts::Parts;

/// Rest of a meter that does not answer: long enough that one dead meter costs its bus less than a third of the usual
/// time-out of 500 ms a second at first and under 1 % in the end, short enough that a mended meter is back in a minute.
const METER_REST: Backoff = Backoff {
    first: Duration::from_secs(2),
    cap: Duration::from_mins(1),
};

/// A refusal costs its line next to nothing, so that a meter that is only busy is soon asked again.
const REFUSED_REST: Backoff = Backoff {
    cap: Duration::from_secs(10),
    ..METER_REST
};

/// Failures in a row after which a meter counts as silent and rests. One lost answer is daily life on a serial line and
/// costs nothing but its own poll.
pub(super) const SILENT_AFTER: u32 = 2;

/// A meter as its bus reads it.
pub(super) struct Meter {
    pub(super) name: Name,
    pub(super) unit: u8,
    limits: Limits,
    pub(super) points: Vec<Point>,
    /// The reads as planned, to go back to after refused registers.
    planned: Vec<Rhythm>,
    pub(super) rhythms: Vec<Rhythm>,
    /// What is not read as planned.
    parts: Parts,
    /// The block that went without an answer last.
    unanswered: Option<Block>,
    /// The read that failed last, for people; none where they all were answered, and more came.
    tried: Option<String>,
    /// Register of the SunSpec model's id, once the chain has been walked; addresses count from there.
    model_at: Option<u16>,
    /// Energy against power, over time.
    balance: Balance,
    /// The rule that the last poll's values broke.
    broken: Option<&'static str>,
    /// The newest value of each quantity since it last fell silent.
    last: Vec<Reading>,
    /// How long it is to be left alone after its last poll.
    pub(super) alone: Duration,
    /// How long answers may come yet because of which it was only asked something else, in vain.
    in_doubt: Option<Duration>,
    /// Failures in a row.
    pub(super) failures: u32,
    silent_since: Option<Timestamp>,
    /// Number of the last poll: whoever waits longest goes first among meters due at once.
    pub(super) last_poll: u64,
    counts: Counts,
}

/// A block as its meter is asked for it: table, first register, number of registers.
type Block = (Table, u16, u16);

/// The meter's reads, one rhythm for each `every`; all begin at `now`, so that slow beats fall on fast ones.
pub(super) fn rhythms(reads: &[Read], meter: usize, now: Timestamp) -> Vec<Rhythm> {
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
    /// Whether it is read as `points` say.
    pub(super) fn is_of(&self, points: &MeterPoints) -> bool {
        self.name == points.name
            && self.unit == points.unit
            && self.limits == points.limits
            && self.points == points.points
    }

    pub(super) fn new(config: &Config, index: usize, rhythms: Vec<Rhythm>, health: &Health) -> Self {
        let meter = &config.meters[index];
        Self {
            name: Name::clone(&meter.name),
            unit: meter.unit,
            limits: meter.limits.clone(),
            points: meter.points.clone(),
            planned: rhythms.clone(),
            rhythms,
            parts: Parts::default(),
            unanswered: None,
            tried: None,
            model_at: None,
            balance: Balance::default(),
            broken: None,
            last: Vec::new(),
            alone: Duration::ZERO,
            in_doubt: None,
            failures: 0,
            silent_since: None,
            last_poll: 0,
            counts: Counts::new(&config.name, &meter.name, health),
        }
    }

    /// Asks every block that is due at the sample's instant; no value stands where a late answer may have come instead.
    pub(super) async fn read_due(
        &mut self,
        link: &mut Link,
        limit: Duration,
        sample: &mut Sample,
    ) -> Result<(), Fault> {
        self.retry_planned_reads(sample.at);
        self.alone = Duration::ZERO;
        self.tried = None;
        link.begin(self.unit).await?;
        let outcome = self.read_blocks(link, limit, sample).await;
        self.alone = link.alone(self.unit);
        self.in_doubt = link.in_doubt(self.unit);
        if let Err(fault) = link.confirm(self.unit, limit).await {
            sample.readings.clear();
            self.model_at = None;
            return outcome.and(Err(fault));
        }
        outcome
    }

    /// Asks what is due; where all of that is refused, also what is not: it shows whether the meter gives anything at all.
    async fn read_blocks(&mut self, link: &mut Link, limit: Duration, sample: &mut Sample) -> Result<(), Fault> {
        let base = self.base(link, limit).await?;
        let (mut outcome, mut is_all_refused) = (Ok(()), false);
        for is_due in [true, false] {
            for nth in 0..self.rhythms.len() {
                if (self.rhythms[nth].due <= sample.at) == is_due && (is_due || is_all_refused) {
                    let of_rhythm = self.read_rhythm(nth, link, (base, limit), sample).await?;
                    outcome = of_rhythm.and(outcome);
                }
            }
            let is_refused = outcome.as_ref().is_err_and(Fault::may_pass_in_parts);
            is_all_refused = is_refused && sample.readings.is_empty();
        }
        outcome
    }

    /// Asks the blocks of a rhythm; the inner result is of a block that does not keep the others from their turn.
    async fn read_rhythm(
        &mut self,
        nth: usize,
        link: &mut Link,
        (base, limit): (u16, Duration),
        sample: &mut Sample,
    ) -> Result<Result<(), Fault>, Fault> {
        let (mut outcome, mut block) = (Ok(()), 0);
        while block < self.rhythms[nth].reads.len() {
            let read = &self.rhythms[nth].reads[block];
            let asked = monotonic();
            match link.read(&moved(read, base), limit, self.limits.pause).await {
                Ok(words) if self.is_elsewhere(read, &words) => return Err(self.look_again(base)),
                Ok(words) => {
                    self.counts.answer.set(link.answered_in.as_secs_f64());
                    self.unanswered.take_if(|unanswered| *unanswered == of(read));
                    decode_block(read, &self.points, &words, &mut sample.readings);
                    self.has_again(nth, block);
                    block += 1;
                }
                Err(fault) if fault.may_pass_in_parts() => {
                    let is_planned = self.planned[nth].reads.contains(read);
                    if !(is_planned && self.parts.is_worth_another_try(read)) {
                        self.take_apart(nth, block, &fault);
                        outcome = Err(fault);
                    }
                }
                Err(fault) if matches!(fault, Fault::Refused(_)) && self.parts.stays_busy(read) => {
                    self.take_apart(nth, block, &fault);
                    outcome = Err(fault);
                }
                Err(fault) => {
                    self.tried = Some(read.to_string());
                    if fault.is_silence() {
                        self.went_unanswered(nth, block, sample, &fault);
                    } else if matches!(fault, Fault::Unconfirmed { .. }) && !fault.is_unconfirmed_at_once() {
                        self.ask_last(nth, block);
                    }
                    // Noise in the awaited answer; what was waited for in vain may come late, and in another's place.
                    let is_noise = fault == Fault::Damaged && link.is_open() && monotonic() - asked < limit;
                    let is_left_out = matches!(fault, Fault::Refused(_)) || fault.is_unconfirmed_at_once();
                    if !is_noise && !is_left_out {
                        return Err(fault);
                    }
                    outcome = Err(fault);
                    block += 1;
                }
            }
        }
        Ok(outcome)
    }

    /// Asks for a block last from now on, so that it keeps no other from its turn; where it alone goes unanswered twice, in
    /// parts.
    fn went_unanswered(&mut self, nth: usize, block: usize, sample: &Sample, fault: &Fault) {
        let unanswered = of(&self.rhythms[nth].reads[block]);
        if !sample.readings.is_empty() && self.unanswered == Some(unanswered) {
            self.unanswered = None;
            self.take_apart(nth, block, fault);
            return;
        }
        self.unanswered = Some(unanswered);
        self.ask_last(nth, block);
    }

    fn ask_last(&mut self, nth: usize, block: usize) {
        let reads = &mut self.rhythms[nth].reads;
        reads[block..].rotate_left(1);
        self.rhythms[nth..].rotate_left(1);
        self.planned[nth..].rotate_left(1);
    }

    /// From where this meter's addresses count: 0, or where its SunSpec model begins. The chain is walked once, if a read
    /// shows the model's head ever after; else before each poll.
    async fn base(&mut self, link: &mut Link, limit: Duration) -> Result<u16, Fault> {
        let Some(id) = self.limits.sunspec else { return Ok(0) };
        let mut reads = self.rhythms.iter().flat_map(|rhythm| &rhythm.reads);
        let shows_head = reads.any(|read| read.at == 0 && read.table == Table::Holding);
        if let Some(at) = self.model_at.filter(|_| shows_head) {
            return Ok(at);
        }
        let mut walk = Walk::default();
        while let Some(at) = walk.asks() {
            let head = Read::of(self.unit, Table::Holding, at, sunspec::HEAD);
            match link.read(&head, limit, self.limits.pause).await {
                // Heads may well be alike; that of the model is looked at each time that it is read.
                Ok(words) | Err(Fault::Unconfirmed { words, .. }) => walk.came(Some(&words)),
                Err(Fault::Refused(_)) => walk.came(None),
                Err(fault) => return Err(fault),
            }
        }
        let Some(found) = walk.find(id) else {
            let ids: Vec<u16> = walk.models().iter().map(|model| model.id).collect();
            return Err(Fault::Layout(format!(
                "no SunSpec model {id} in the device, only {ids:?}; check the profile"
            )));
        };
        let (meter, unit, at) = (&*self.name, self.unit, found.at);
        if self.model_at.replace(at) != Some(at) {
            info!(meter, unit, model = id, at, "SunSpec model found in the device's chain");
        }
        Ok(at)
    }

    /// Whether a block that begins with a SunSpec model's head shows another model there.
    fn is_elsewhere(&self, read: &Read, words: &[u16]) -> bool {
        let wanted = self
            .limits
            .sunspec
            .filter(|_| read.at == 0 && read.table == Table::Holding);
        wanted.is_some() && words.first() != wanted.as_ref()
    }

    /// Forgets where the model stood; the next poll walks the chain again.
    fn look_again(&mut self, base: u16) -> Fault {
        self.model_at = None;
        Fault::Layout(format!(
            "the SunSpec model is no longer at {base}; the chain is walked again"
        ))
    }

    /// Marks values that cannot be of one load; says so when it begins and when it is over.
    pub(super) fn judge(&mut self, sample: &mut Sample) {
        if !self.limits.checks_values || sample.readings.is_empty() {
            return;
        }
        let broken = plausible::judge(&mut sample.readings);
        let [power_kw, register_kwh] = [Quantity::ActivePower, Quantity::EnergyImport].map(|of| sample.trusted(of));
        let mismatch = self.balance.take(sample.at, power_kw, register_kwh);
        let broken = broken.or_else(|| Some(plausible::doubt_energy(&mut sample.readings, mismatch?)));
        let meter = &*self.name;
        if let Some(plausible::Broken {
            rule,
            got_kw,
            wanted_kw,
        }) = broken
        {
            self.counts.implausible(rule);
            if self.broken.is_none() {
                warn!(
                    meter,
                    rule,
                    got_kw,
                    wanted_kw,
                    "the meter's values cannot be of one load and are marked bad; check types, word order and scale, or the profile"
                );
            }
        } else if sample.trusted(Quantity::ActivePower).is_none() {
            return; // a poll of slow values only says nothing
        } else if self.broken.is_some() {
            info!(meter, "the meter's values agree again");
        }
        self.broken = broken.map(|broken| broken.rule);
    }

    /// Keeps what it said, to say one day that it is old.
    pub(super) fn keep(&mut self, sample: &Sample) {
        for reading in &sample.readings {
            match self.last.iter_mut().find(|last| last.quantity == reading.quantity) {
                Some(last) => *last = *reading,
                None => self.last.push(*reading),
            }
        }
    }

    /// Its last values, which nobody vouches for any longer; once, until it gives others.
    pub(super) fn stale(&mut self, at: Timestamp) -> Option<Sample> {
        let mut readings = std::mem::take(&mut self.last);
        readings.retain(|reading| reading.quality < Quality::Stale);
        for reading in &mut readings {
            reading.quality = Quality::Stale;
        }
        (!readings.is_empty()).then(|| Sample {
            meter: Name::clone(&self.name),
            at,
            readings,
        })
    }

    pub(super) fn answered(&mut self, bus: &str, outcome: &Result<(), Fault>, at: Timestamp) {
        self.counts.poll(outcome.as_ref().err());
        self.counts.answering.set(1.0);
        self.failures = 0;
        self.tell_refused(at);
        self.goes_on();
        if let Some(since) = self.silent_since.take() {
            let silent_s = at.duration_since(since).as_secs();
            info!(
                bus,
                meter = &*self.name,
                unit = self.unit,
                silent_s,
                "meter answers again"
            );
            self.begin_anew(); // it may be another device now
        }
    }

    /// Its last values where it falls silent by this.
    pub(super) fn failed(&mut self, bus: &str, fault: &Fault, clock: &Clock) -> Option<Sample> {
        self.counts.poll(Some(fault));
        self.gives_nothing();
        if self.in_doubt.is_none() || self.failures < SILENT_AFTER {
            self.failures = self.failures.saturating_add(1);
        }
        if self.failures < SILENT_AFTER {
            return None;
        }
        let backoff = if fault.is_refused_at_once() {
            REFUSED_REST
        } else {
            METER_REST
        };
        let rest = backoff.after(self.failures + 1 - SILENT_AFTER, &self.name);
        // It may well answer what is read of it, when it can be asked for that again.
        let rest = rest.min(self.in_doubt.unwrap_or(rest));
        let now = clock.now();
        self.rest(rest, clock);
        if self.silent_since.is_none() {
            self.silent_since = Some(now);
            self.counts.answering.set(0.0);
            let (meter, unit, tried) = (&*self.name, self.unit, self.tried.as_deref());
            if self.parts.are_all_refused() && fault.may_pass_in_parts() {
                warn!(bus, meter, unit, tried, got = %fault, next_try = ?rest, "meter refuses every register and has no values until it gives some; check that a meter with this unit is there and has power (a gateway may answer in its place), then table (function 3 or 4) and addresses");
            } else if matches!(fault, Fault::TimedOut(_)) {
                warn!(bus, meter, unit, tried, got = %fault, next_try = ?rest, "meter is silent; it has no values until it answers; check its power and wiring, and lengthen timeout if it is only slow");
            } else {
                warn!(bus, meter, unit, tried, got = %fault, next_try = ?rest, "meter cannot be read; it has no values until it can");
            }
        }
        self.stale(now)
    }

    /// Is asked for nothing for so long, wall time.
    pub(super) fn rest(&mut self, rest: Duration, clock: &Clock) {
        let until = later(clock.now(), rest.mul_f64(clock.speed()));
        for rhythm in &mut self.rhythms {
            self.counts.rested.add(rhythm.rest_until(until));
        }
    }

    /// The line is down, the meter cannot answer: its last values.
    pub(super) fn is_cut_off(&mut self, at: Timestamp) -> Option<Sample> {
        self.counts.answering.set(0.0);
        self.stale(at)
    }
}

fn of(read: &Read) -> Block {
    (read.table, read.at, read.count)
}

/// A read of addresses that count from `base`, as it goes over the wire.
fn moved(read: &Read, base: u16) -> Cow<'_, Read> {
    if base == 0 {
        return Cow::Borrowed(read);
    }
    // The walk has seen that the model ends before the last register; a point beyond its end is the device's to refuse.
    Cow::Owned(Read {
        at: read.at.saturating_add(base),
        ..read.clone()
    })
}

fn decode_block(read: &Read, points: &[Point], words: &[u16], readings: &mut Vec<Reading>) {
    // The plan puts every point whole inside its read, and the reply's length has been checked.
    let of_points = read.points.iter().map(|&point| &points[point]);
    readings.extend(of_points.filter_map(|point| decode::reading(point, read.at, words)));
}
