//! Demand intervals of one meter: which readings feed them, when they close, when they open again.
//!
//! Sources in order of trust: counter, interval energy, power; the better one, once seen, is the only one. An interval
//! closes at the first tick at which the meter was heard at or beyond its end, or three times `every` after it. Late
//! readings open it again while they can still be put in their place. It does not judge what the energy means.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{
    Interval,
    series::{Part, Put, Series},
};
use crate::{
    detect::rounded,
    quantity::Quantity,
    sample::{Name, Quality, Sample},
};

/// Readings held beyond the running and the last interval: a day of quarter hours, so that a logger that delivers
/// late can still be put in order.
const KEEP_READINGS: usize = 96;
/// Closed intervals remembered, to tell what late data changed and to count revisions: a day of quarter hours.
const KEEP_INTERVALS: usize = 96;

/// Lengths that rule a meter's intervals, milliseconds.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Lengths {
    /// Demand interval.
    pub(crate) interval_ms: i64,
    /// Readings further apart than this are a gap: three times `every`.
    pub(crate) gap_ms: i64,
}

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
pub(crate) struct MeterIntervals {
    source: Source,
    import: Series,
    export: Series,
    lag: Series,
    lead: Series,
    /// End of the newest stretch heard, ms.
    heard_ms: Option<i64>,
    /// Start of the first interval that has not closed, ms.
    open_ms: Option<i64>,
    /// Late data touched the time from here on, ms.
    dirty_ms: Option<i64>,
    closed: BTreeMap<i64, Interval>,
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
}

impl MeterIntervals {
    /// Takes the energy-bearing readings of a sample.
    pub(crate) fn take(&mut self, sample: &Sample, lengths: Lengths, refused: &mut Refused) {
        let at_ms = sample.at.as_millisecond();
        let mut heard_ms = at_ms;
        if sample.is_clock_suspect() {
            for series in [&mut self.import, &mut self.export, &mut self.lag, &mut self.lead] {
                series.tear(at_ms);
            }
        }
        for reading in sample.readings.iter().filter(|reading| reading.quality.is_trusted()) {
            let Some(source) = source_of(reading.quantity) else {
                continue;
            };
            if !self.admits(source) {
                continue;
            }
            if source == Source::IntervalEnergy {
                heard_ms = at_ms + lengths.interval_ms;
            }
            let series = self.series_mut(reading.quantity);
            // A rise is spread over the time since the reading before; an interval's energy concerns it alone.
            let from_ms = if source == Source::IntervalEnergy {
                None
            } else {
                series.before(at_ms)
            }
            .unwrap_or(at_ms);
            match series.put(at_ms, reading.value) {
                Put::Newest | Put::Between => self.touch(from_ms, at_ms, lengths),
                Put::Duplicate => refused.duplicate += 1,
                Put::Conflict => refused.conflict += 1,
                Put::TooOld => refused.too_old += 1,
            }
        }
        self.heard_ms = self.heard_ms.max(Some(heard_ms));
    }

    /// Whether readings of `source` are used; a better source drops what a worse one had gathered.
    fn admits(&mut self, source: Source) -> bool {
        if source > self.source {
            self.source = source;
            self.import.clear();
            self.export.clear();
        }
        source == self.source
    }

    fn series_mut(&mut self, quantity: Quantity) -> &mut Series {
        match quantity {
            Quantity::EnergyExport => &mut self.export,
            Quantity::ReactiveEnergyLag | Quantity::IntervalReactiveLag => &mut self.lag,
            Quantity::ReactiveEnergyLead | Quantity::IntervalReactiveLead => &mut self.lead,
            _ => &mut self.import,
        }
    }

    /// Notes that energy between `from_ms` and `at_ms` is known anew.
    fn touch(&mut self, from_ms: i64, at_ms: i64, lengths: Lengths) {
        match self.open_ms {
            None => self.open_ms = Some(floor(at_ms, lengths.interval_ms)),
            Some(open_ms) if from_ms < open_ms && self.closed.is_empty() => {
                self.open_ms = Some(floor(from_ms, lengths.interval_ms));
            }
            Some(open_ms) if from_ms < open_ms => {
                self.dirty_ms = Some(self.dirty_ms.map_or(from_ms, |dirty_ms| dirty_ms.min(from_ms)));
            }
            Some(_) => {}
        }
    }

    /// Closes what can be closed at `tick_ms` and opens again what late data changed.
    pub(crate) fn tick(&mut self, meter: &Name, tick_ms: i64, lengths: Lengths, out: &mut Vec<Interval>) {
        if let Some(dirty_ms) = self.dirty_ms.take() {
            self.reopen(meter, floor(dirty_ms, lengths.interval_ms), lengths, out);
        }
        while let Some(start_ms) = self.open_ms {
            let end_ms = start_ms + lengths.interval_ms;
            let is_heard = self.heard_ms.is_some_and(|heard_ms| heard_ms >= end_ms);
            if end_ms > tick_ms || !(is_heard || tick_ms >= end_ms + lengths.gap_ms) {
                break;
            }
            self.close(meter, start_ms, lengths, out);
        }
        self.prune(lengths);
    }

    /// Closes everything that has been heard of, at the end of a recording.
    pub(crate) fn finish(&mut self, meter: &Name, lengths: Lengths, out: &mut Vec<Interval>) {
        while let (Some(start_ms), Some(heard_ms)) = (self.open_ms, self.heard_ms) {
            if start_ms >= heard_ms {
                break;
            }
            self.close(meter, start_ms, lengths, out);
        }
    }

    fn close(&mut self, meter: &Name, start_ms: i64, lengths: Lengths, out: &mut Vec<Interval>) {
        let interval = self.interval(meter, start_ms, lengths, 0);
        out.push(interval.clone());
        self.closed.insert(start_ms, interval);
        self.open_ms = Some(start_ms + lengths.interval_ms);
    }

    fn reopen(&mut self, meter: &Name, from_ms: i64, lengths: Lengths, out: &mut Vec<Interval>) {
        // What stands before the first reading still held cannot be reckoned again.
        let held_ms = self
            .import
            .forgotten_ms()
            .map_or(from_ms, |ms| floor(ms, lengths.interval_ms) + lengths.interval_ms);
        let mut start_ms = from_ms.max(held_ms);
        while self.open_ms.is_some_and(|open_ms| start_ms < open_ms) {
            let revision = self.closed.get(&start_ms).map_or(0, |closed| closed.revision);
            let mut interval = self.interval(meter, start_ms, lengths, revision);
            if self.closed.get(&start_ms) != Some(&interval) {
                interval.revision += 1;
                out.push(interval.clone());
                self.closed.insert(start_ms, interval);
            }
            start_ms += lengths.interval_ms;
        }
    }

    fn interval(&self, meter: &Name, start_ms: i64, lengths: Lengths, revision: u32) -> Interval {
        let end_ms = start_ms + lengths.interval_ms;
        let import = self.import(start_ms, end_ms, lengths);
        let amount = |series: &Series| self.part(series, start_ms, end_ms, lengths).amount;
        let export = match self.source {
            Source::Power => Some(self.import.power(start_ms, end_ms, lengths.gap_ms, -1.0))
                .filter(|part| part.amount.is_some_and(|amount| amount > 0.0))
                .and_then(|part| part.amount),
            _ => amount(&self.export),
        };
        Interval {
            meter: meter.clone(),
            start: timestamp(start_ms),
            end: timestamp(end_ms),
            energy_import_kwh: import.amount.map(printable),
            energy_export_kwh: export.map(printable),
            reactive_energy_lag_kvarh: amount(&self.lag).map(printable),
            reactive_energy_lead_kvarh: amount(&self.lead).map(printable),
            quality: if import.amount.is_some() {
                import.quality
            } else {
                Quality::Stale
            },
            coverage: import.covered_ms as f64 / lengths.interval_ms as f64,
            revision,
        }
    }

    fn import(&self, from_ms: i64, to_ms: i64, lengths: Lengths) -> Part {
        self.part(&self.import, from_ms, to_ms, lengths)
    }

    fn part(&self, series: &Series, from_ms: i64, to_ms: i64, lengths: Lengths) -> Part {
        match self.source {
            Source::Counter => series.counter(from_ms, to_ms, lengths.gap_ms),
            Source::IntervalEnergy => series.delta(from_ms, to_ms),
            Source::Power => series.power(from_ms, to_ms, lengths.gap_ms, 1.0),
        }
    }

    /// Energy between two instants, as far as it is known.
    pub(crate) fn between(&self, from_ms: i64, to_ms: i64, lengths: Lengths) -> Part {
        self.import(from_ms, to_ms, lengths)
    }

    /// Start of the first interval that has not closed, ms.
    pub(crate) fn open_ms(&self) -> Option<i64> {
        self.open_ms
    }

    /// Begins anew: what was heard before has nothing to do with what comes.
    pub(crate) fn begin_anew(&mut self) {
        *self = Self {
            source: self.source,
            ..Self::default()
        };
    }

    /// Whether the energy comes ready by interval: then nothing is known of a running one.
    pub(crate) fn is_by_interval(&self) -> bool {
        self.source == Source::IntervalEnergy
    }

    /// Keeps the last interval that has readings whole, however long the meter has been silent: when it is heard
    /// again, the energy since then is spread from there on.
    fn prune(&mut self, lengths: Lengths) {
        let Some(open_ms) = self.open_ms else { return };
        for series in [&mut self.import, &mut self.export, &mut self.lag, &mut self.lead] {
            let Some(last_ms) = series.last_ms() else { continue };
            let needed_ms = open_ms.min(floor(last_ms, lengths.interval_ms)) - lengths.interval_ms;
            series.prune(needed_ms, KEEP_READINGS);
        }
        while self.closed.len() > KEEP_INTERVALS {
            self.closed.pop_first();
        }
    }
}

fn source_of(quantity: Quantity) -> Option<Source> {
    match quantity {
        Quantity::EnergyImport
        | Quantity::EnergyExport
        | Quantity::ReactiveEnergyLag
        | Quantity::ReactiveEnergyLead => Some(Source::Counter),
        Quantity::IntervalEnergy | Quantity::IntervalReactiveLag | Quantity::IntervalReactiveLead => {
            Some(Source::IntervalEnergy)
        }
        Quantity::ActivePower => Some(Source::Power),
        _ => None,
    }
}

/// An amount without the noise of floating-point sums: a micro-watt-hour is far below any register.
fn printable(amount: f64) -> f64 {
    rounded(amount, 9)
}

/// Start of the interval that holds `at_ms`. Zones lie whole quarter hours from UTC, so the clock-aligned quarter
/// hour is the same everywhere.
pub(crate) fn floor(at_ms: i64, interval_ms: i64) -> i64 {
    at_ms.div_euclid(interval_ms) * interval_ms
}

pub(crate) fn timestamp(ms: i64) -> Timestamp {
    Timestamp::from_millisecond(ms).expect("made from timestamps, so in their range")
}
