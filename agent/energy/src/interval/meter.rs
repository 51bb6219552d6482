//! Demand intervals of one meter: which readings feed them, when they close, when they open again.
//!
//! Sources in order of trust: counter, interval energy, power; the better one, once seen, is the only one. An interval
//! closes at the first tick at which the meter was heard at or beyond its end, or three times `every` after it. Late
//! readings open it again while they can still be put in their place. It does not judge what the energy means.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

mod tell;

use super::{
    Basis, Interval,
    counter::impossible_kw,
    cut::Part,
    load::Load,
    point::{Point, SPREAD_MS, hours},
    series::{Keep, Put, Series},
};
use crate::{
    quantity::Quantity,
    sample::{Quality, Reading, Sample},
};

/// Closed intervals are remembered for so long, ms, to tell what late data changed and to count revisions: a day, as long
/// as a reading may be late or zeros may last, and an hour.
const KEEP_MS: i64 = 25 * 3_600_000;
/// Intervals remembered at most while a register stands still: 40 days of five minutes, and an hour. Of shorter ones memory
/// does not hold as much.
const KEPT_STILL: usize = 40 * 288 + 12;

/// Readings held beyond the running and the last interval, so that a logger that delivers late can still be put in
/// order: as long as its intervals are remembered, a day of quarter hours at least, and a day of minutes at most, because
/// memory and snapshots hold them; of meters that are read every few seconds little more than those two intervals. What
/// comes later is refused as too old, and counted: read each 10 s, after four hours.
fn keep(basis: &Basis<'_>) -> Keep {
    Keep {
        ms: KEEP_MS,
        n_least: 96,
        n_most: if basis.lengths.gap_ms < FAST_GAP_MS { 600 } else { 1500 },
    }
}
/// Between readings of a meter that is read every few seconds there is a gap from here on, ms.
const FAST_GAP_MS: i64 = 10_000;

/// Where a meter's energy comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
enum Source {
    #[default]
    Power,
    IntervalEnergy,
    Counter,
}

/// Running state of one meter's intervals.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct MeterIntervals {
    source: Source,
    /// Readings of import, export, lag and lead, in the order of [`Register::ALL`].
    series: [Series; 4],
    /// Power beside a counter.
    load: Load,
    /// The last power that energy was calculated from, and when something better came, ms.
    calculated: Option<(Point, i64)>,
    /// End of the newest stretch that energy was heard of, ms.
    heard_ms: Option<i64>,
    /// Start of the first interval that has not closed, ms.
    open_ms: Option<i64>,
    /// Late data touched the time from here on, ms.
    dirty_ms: Option<i64>,
    closed: BTreeMap<i64, Interval>,
    /// Revisions above 0 of intervals that are remembered no more, but may be told again.
    revisions: BTreeMap<i64, u32>,
    /// From here on every interval that is remembered no more said rest, ms; `None` while none is forgotten.
    rested_ms: Option<i64>,
    /// Time before what is remembered is to be told from here on, once no later reading can take that back, ms.
    waiting_ms: Option<i64>,
}

/// What an interval's four amounts are made from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Register {
    Import,
    Export,
    Lag,
    Lead,
}

impl Register {
    pub(super) const ALL: [Self; 4] = [Self::Import, Self::Export, Self::Lag, Self::Lead];

    /// Its counter.
    pub(super) fn counter(self) -> Quantity {
        match self {
            Self::Import => Quantity::EnergyImport,
            Self::Export => Quantity::EnergyExport,
            Self::Lag => Quantity::ReactiveEnergyLag,
            Self::Lead => Quantity::ReactiveEnergyLead,
        }
    }
}

/// How many readings of a sample were not taken, and why.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Refused {
    /// The same value for the same instant again.
    pub duplicate: u64,
    /// Another value for the same instant.
    pub conflict: u64,
    /// Older than what can still be put in its place.
    pub too_old: u64,
    /// Energy of an interval that does not begin where a demand interval of the site does.
    pub off_grid: u64,
}

impl MeterIntervals {
    /// Takes the energy-bearing readings of a sample.
    pub fn take(&mut self, sample: &Sample, basis: &Basis<'_>, refused: &mut Refused) {
        let at_ms = sample.at.as_millisecond();
        for reading in &sample.readings {
            if !reading.quality.is_trusted() || is_impossible(reading, basis) {
                self.distrust(at_ms, reading, basis);
                continue;
            }
            let Some((source, register)) = place_of(reading.quantity) else {
                continue;
            };
            if source == Source::Power {
                self.witness(at_ms, reading.value);
            }
            if !self.admits(source, at_ms) {
                continue;
            }
            if source == Source::IntervalEnergy && basis.start_of(at_ms) != at_ms {
                refused.off_grid += 1;
                continue;
            }
            let until_ms = match source {
                Source::IntervalEnergy => at_ms + basis.lengths.interval_ms,
                Source::Counter | Source::Power => at_ms,
            };
            self.heard_ms = self.heard_ms.max(Some(until_ms));
            let series = &mut self.series[register as usize];
            match series.put(at_ms, reading.value) {
                Put::Newest | Put::Between => {
                    let from_ms = match source {
                        Source::Counter => series.told_anew_ms(at_ms, basis.rules(register.counter())),
                        Source::Power => series.before(at_ms),
                        Source::IntervalEnergy => at_ms,
                    };
                    self.touch(from_ms, at_ms, basis);
                }
                Put::Duplicate => refused.duplicate += 1,
                Put::Conflict => {
                    refused.conflict += 1;
                    let rules = basis.rules(register.counter());
                    if source == Source::Counter
                        && let Some(known_ms) = series.contradict(at_ms, reading.value, rules.gap_ms)
                    {
                        let told_ms = series.told_anew_ms(at_ms, rules);
                        self.touch(told_ms.min(known_ms), at_ms, basis);
                    }
                }
                Put::TooOld => refused.too_old += 1,
            }
        }
    }

    /// A reading that cannot be real is no energy; that it was there is said, though nothing else was ever heard. One whose
    /// time is in doubt says that time was.
    #[cold]
    fn distrust(&mut self, at_ms: i64, reading: &Reading, basis: &Basis<'_>) {
        if reading.quality == Quality::ClockSuspect {
            let torn = self.series.iter_mut().filter_map(|series| series.tear(at_ms));
            if let Some(torn_ms) = torn.min() {
                self.soil_remembered(torn_ms);
            }
        }
        let Some((_, register)) = place_of(reading.quantity).filter(|(source, _)| *source >= self.source) else {
            return;
        };
        let series = &mut self.series[register as usize];
        let is_bad = reading.quality == Quality::Bad || reading.quality.is_trusted();
        if is_bad && reading.value.is_finite() {
            series.spoil(at_ms, reading.value);
            self.touch(at_ms, at_ms, basis);
            self.soil_remembered(at_ms);
        }
    }

    /// Power beside a counter tells whether the counter stands still rightly.
    fn witness(&mut self, at_ms: i64, kw: f64) {
        self.load.note(at_ms, kw);
        if self.source == Source::Counter {
            self.soil_remembered(at_ms);
        }
    }

    /// Whether readings of `source` are used; a better source drops what a worse one had gathered.
    fn admits(&mut self, source: Source, at_ms: i64) -> bool {
        if source > self.source {
            // What was calculated from power stays so; the interval in which something better begins is its alone.
            let is_told = self.source == Source::Power && !self.closed.is_empty();
            let last = self.series[Register::Import as usize].last().filter(|_| is_told);
            self.calculated = last.map(|last| (last, at_ms));
            self.source = source;
            for register in [Register::Import, Register::Export] {
                self.series[register as usize].clear(last.map(|_| at_ms));
            }
        }
        source == self.source
    }

    /// Notes that energy between `from_ms` and `at_ms` is known anew.
    fn touch(&mut self, from_ms: i64, at_ms: i64, basis: &Basis<'_>) {
        match self.open_ms {
            None => {
                let first_bad_ms = self.series.iter().filter_map(|series| series.bad_ms()?.0.into()).min();
                self.open_ms = Some(basis.start_of(first_bad_ms.map_or(at_ms, |bad_ms: i64| bad_ms.min(at_ms))));
            }
            Some(open_ms) if from_ms < open_ms && self.closed.is_empty() => {
                self.open_ms = Some(basis.start_of(from_ms));
            }
            Some(open_ms) if from_ms < open_ms => self.soil(from_ms),
            Some(_) => {}
        }
    }

    /// Tells anew what lies around `at_ms`, if that has closed and is remembered.
    fn soil_remembered(&mut self, at_ms: i64) {
        if self
            .open_ms
            .is_some_and(|open_ms| (open_ms - KEEP_MS..open_ms).contains(&at_ms))
        {
            self.soil(at_ms);
        }
    }

    fn soil(&mut self, from_ms: i64) {
        self.dirty_ms = Some(self.dirty_ms.map_or(from_ms, |dirty_ms| dirty_ms.min(from_ms)));
    }

    /// Closes what can be closed at `tick_ms` and opens again what late data changed.
    pub fn tick(&mut self, tick_ms: i64, basis: &Basis<'_>, out: &mut Vec<Interval>) {
        self.reopen(basis, out);
        let mut has_closed = false;
        while let Some(start_ms) = self.open_ms {
            let end_ms = basis.end_of(start_ms);
            let is_heard = self.heard_ms.is_some_and(|heard_ms| heard_ms >= end_ms);
            if end_ms > tick_ms || !(is_heard || tick_ms >= end_ms + self.gap_ms(Register::Import, basis)) {
                break;
            }
            self.close(start_ms, end_ms, basis, out);
            has_closed = true;
        }
        // A standstill that is doubted now is doubted from its beginning on.
        self.reopen(basis, out);
        if has_closed {
            self.prune(basis);
        }
    }

    /// Closes everything that has been heard of, at the end of a recording.
    pub fn finish(&mut self, basis: &Basis<'_>, out: &mut Vec<Interval>) {
        self.reopen_all(basis, out);
        // The last reading may be one that cannot be real, and has a name.
        let last_bad_ms = self
            .series
            .iter()
            .filter_map(|series| Some(series.bad_ms()?.1 + 1))
            .max();
        let heard_ms = self.heard_ms.max(last_bad_ms);
        while let (Some(start_ms), Some(heard_ms)) = (self.open_ms, heard_ms) {
            if start_ms >= heard_ms {
                break;
            }
            self.close(start_ms, basis.end_of(start_ms), basis, out);
        }
        self.reopen_all(basis, out);
    }

    /// Energy between two instants, as far as it is known.
    pub(crate) fn between(&self, from_ms: i64, to_ms: i64, basis: &Basis<'_>) -> Part {
        self.part(Register::Import, from_ms, to_ms, basis)
    }

    /// Start of the first interval that has not closed, ms.
    pub(crate) fn open_ms(&self) -> Option<i64> {
        self.open_ms
    }

    /// Up to when nothing that is known will be told otherwise by readings to come, ms; late ones may.
    pub(crate) fn settled_ms(&self) -> i64 {
        let unsettled_ms = self.series.iter().filter_map(Series::unsettled_ms);
        let to_be_told_ms = self.open_ms.into_iter().chain(self.waiting_ms).chain(self.dirty_ms);
        unsettled_ms.chain(to_be_told_ms).min().unwrap_or(i64::MAX)
    }

    /// Begins anew: what was heard before has nothing to do with what comes.
    pub(crate) fn begin_anew(&mut self) {
        *self = Self {
            source: self.source,
            ..Self::default()
        };
    }

    /// When the register last leapt, as long as later readings may take that back, ms.
    pub(crate) fn leapt_ms(&self) -> Option<i64> {
        self.series[Register::Import as usize].leapt_ms()
    }

    /// Whether the register's newest reading goes on from the higher of two values for the instant before.
    pub(crate) fn leaves_row(&self) -> bool {
        self.series[Register::Import as usize].leaves_row()
    }

    /// Whether the energy comes ready by interval: then nothing is known of a running one.
    pub(crate) fn is_by_interval(&self) -> bool {
        self.source == Source::IntervalEnergy
    }

    /// Keeps the last interval that has readings whole, however long the meter has been silent, and the beginning of a
    /// standstill: when it is heard again, the energy since then is spread from there on.
    fn prune(&mut self, basis: &Basis<'_>) {
        let Some(open_ms) = self.open_ms else { return };
        let is_counter = self.source == Source::Counter;
        if is_counter {
            for register in Register::ALL {
                let series = &mut self.series[register as usize];
                series.settle();
                if let Some(settled_ms) = series.unsettled_ms() {
                    let told_ms = self
                        .waiting_ms
                        .map_or(settled_ms, |waiting_ms| waiting_ms.min(settled_ms));
                    series.mark_settled(basis.start_of(told_ms), basis.rules(register.counter()));
                }
            }
        }
        let is_settled = self.series.iter().all(|series| series.unsettled_ms().is_none());
        if let Some(waiting_ms) = self.waiting_ms.take_if(|_| is_settled) {
            self.soil(waiting_ms);
            return;
        }
        let oldest_ms = basis.boundary(open_ms - SPREAD_MS);
        for series in &mut self.series {
            let Some(last_ms) = series.last_ms() else { continue };
            let needed_ms = open_ms.min(basis.start_of(last_ms)) - basis.lengths.interval_ms;
            if is_counter {
                series.prune_counter(needed_ms, keep(basis), oldest_ms, |at_ms| basis.start_of(at_ms));
            } else {
                series.prune(needed_ms, keep(basis));
            }
        }
        self.forget(open_ms, basis);
    }

    /// From when on one of these registers stands still, or is silent, that may turn out not to have: all of that time may be
    /// told again.
    fn still_ms(&self, registers: &[Register], basis: &Basis<'_>) -> Option<i64> {
        let stood_ms = registers
            .iter()
            .filter_map(|register| self.series[*register as usize].stood_ms(*register == Register::Import));
        stood_ms.chain(self.waiting_ms).min().map(|ms| basis.start_of(ms))
    }

    /// Of intervals that closed long ago nothing is remembered but how often they were told, where that may be asked. While
    /// a register stands still, those that do not say rest are: of the others only that one can be reckoned again.
    fn forget(&mut self, open_ms: i64, basis: &Basis<'_>) {
        // Of what stands before the readings that are held, nothing is reckoned again.
        let held_ms = self.series.iter().filter_map(Series::held_whole_from_ms).min();
        let held_ms = basis.start_of(held_ms.unwrap_or(open_ms).min(open_ms - 4 * basis.lengths.interval_ms));
        let kept_ms = held_ms.max(open_ms - KEEP_MS);
        let witness_ms = self.still_ms(&[Register::Import, Register::Export], basis);
        self.load
            .forget(witness_ms.map_or(kept_ms, |still_ms| still_ms.min(kept_ms)));
        let still_ms = self.still_ms(&Register::ALL, basis);
        let still_ms = still_ms.unwrap_or(kept_ms).max(open_ms - SPREAD_MS);
        let is_needed = |interval: &Interval| {
            let start_ms = interval.start.as_millisecond();
            start_ms >= still_ms && !self.is_rest(interval, basis)
        };
        let old = self.closed.range(..kept_ms);
        let needed: Vec<bool> = old.map(|(_, interval)| is_needed(interval)).collect();
        let mut n_over = needed
            .iter()
            .filter(|needed| **needed)
            .count()
            .saturating_sub(KEPT_STILL);
        let starts: Vec<i64> = self.closed.range(..kept_ms).map(|(start_ms, _)| *start_ms).collect();
        for (start_ms, is_needed) in starts.into_iter().zip(needed) {
            if is_needed && n_over == 0 {
                continue;
            }
            n_over -= usize::from(is_needed);
            self.forget_one(start_ms, basis);
        }
        let held_ms = self.series[Register::Import as usize].held_from_ms();
        let oldest_ms = held_ms.unwrap_or(i64::MIN).max(open_ms - SPREAD_MS);
        self.revisions.retain(|start_ms, _| *start_ms >= oldest_ms);
    }

    fn forget_one(&mut self, start_ms: i64, basis: &Basis<'_>) {
        let Some(interval) = self.closed.remove(&start_ms) else {
            return;
        };
        self.rested_ms = if self.is_rest(&interval, basis) {
            self.rested_ms.or(Some(start_ms))
        } else {
            self.rested_ms.max(Some(interval.end.as_millisecond()))
        };
        if interval.revision > 0 {
            self.revisions.insert(start_ms, interval.revision);
        }
    }
}

/// Whether no power that can be makes this power, or this energy of an interval. What a counter does is told by its walk.
/// What is fed back has nothing to do with what was contracted.
#[inline(never)] // within `take`, the compiler reckons the limit for counters, too, of what a `None` holds: at worst a slow denormal
pub(crate) fn is_impossible(reading: &Reading, basis: &Basis<'_>) -> bool {
    let kw = match reading.quantity {
        Quantity::ActivePower => reading.value,
        Quantity::IntervalEnergy => reading.value / hours(basis.lengths.interval_ms),
        _ => return false,
    };
    kw.abs() > impossible_kw(0.0, basis.max_kw.filter(|_| kw > 0.0))
}

/// What a quantity tells, and of which register; `None` where it is no energy.
#[inline]
fn place_of(quantity: Quantity) -> Option<(Source, Register)> {
    Some(match quantity {
        Quantity::EnergyImport => (Source::Counter, Register::Import),
        Quantity::EnergyExport => (Source::Counter, Register::Export),
        Quantity::ReactiveEnergyLag => (Source::Counter, Register::Lag),
        Quantity::ReactiveEnergyLead => (Source::Counter, Register::Lead),
        Quantity::IntervalEnergy => (Source::IntervalEnergy, Register::Import),
        Quantity::IntervalReactiveLag => (Source::IntervalEnergy, Register::Lag),
        Quantity::IntervalReactiveLead => (Source::IntervalEnergy, Register::Lead),
        Quantity::ActivePower => (Source::Power, Register::Import),
        _ => return None,
    })
}
