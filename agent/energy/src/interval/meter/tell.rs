//! Telling a meter's intervals: each once when it closes, and again when later readings show that it was otherwise.
//!
//! Part of `meter.rs`, which says when. Invariants: an interval that is told again has the next revision; what can no
//! longer be reckoned stays as it was told.

use std::collections::BTreeMap;

use super::{KEEP_MS, MeterIntervals, Register, Source};
use crate::{
    interval::{
        Basis, Interval, Raw, Repair, RepairKind,
        cut::Part,
        older::keep_older,
        point::{SPREAD_MS, timestamp},
        series::Series,
    },
    quantity::Quantity,
    sample::Quality,
    unit::rounded,
};

impl MeterIntervals {
    pub(super) fn close(&mut self, start_ms: i64, end_ms: i64, basis: &Basis<'_>, out: &mut Vec<Interval>) {
        let parts = self.parts(start_ms, end_ms, basis);
        let mut doubted_ms = None;
        for (series, part) in self.series.iter_mut().zip(&parts) {
            if let Some(mark) = part.mark {
                series.keep_mark(mark);
            }
            doubted_ms = doubted_ms.or(part.doubted_ms.filter(|since_ms| series.doubt(*since_ms)));
        }
        if let Some(since_ms) = doubted_ms {
            self.soil(since_ms);
        }
        let interval = interval(start_ms, end_ms, basis, parts);
        out.push(interval.clone());
        self.closed.insert(start_ms, interval);
        self.open_ms = Some(end_ms);
    }

    /// Tells anew what was touched; what is not remembered only where no later reading can take it back.
    pub(super) fn reopen(&mut self, basis: &Basis<'_>, out: &mut Vec<Interval>) {
        let (Some(dirty_ms), Some(open_ms)) = (self.dirty_ms.take(), self.open_ms) else {
            return;
        };
        let is_unsettled = self.series.iter().any(|series| series.unsettled_ms().is_some());
        let kept_ms = if is_unsettled { KEEP_MS } else { SPREAD_MS };
        if is_unsettled && dirty_ms < open_ms - KEEP_MS {
            self.waiting_ms = Some(self.waiting_ms.map_or(dirty_ms, |waiting_ms| waiting_ms.min(dirty_ms)));
        }
        self.retell(dirty_ms.max(open_ms - kept_ms), basis, out);
    }

    /// Tells anew everything that was touched, at the end of a recording.
    pub(super) fn reopen_all(&mut self, basis: &Basis<'_>, out: &mut Vec<Interval>) {
        let dirty_ms = self.dirty_ms.take().into_iter().chain(self.waiting_ms.take()).min();
        if let (Some(dirty_ms), Some(open_ms)) = (dirty_ms, self.open_ms) {
            self.retell(dirty_ms.max(open_ms - SPREAD_MS), basis, out);
        }
    }

    fn retell(&mut self, from_ms: i64, basis: &Basis<'_>, out: &mut Vec<Interval>) {
        // What stands before the first reading still held cannot be reckoned again.
        let told_from_ms = Register::ALL.map(|register| self.told_from_ms(register, basis));
        let held_ms = self.series.iter().filter_map(Series::held_from_ms).max();
        let held_ms = held_ms.map_or(i64::MIN, |held_ms| basis.boundary(held_ms));
        let heard = Register::ALL
            .into_iter()
            .filter(|register| self.series[*register as usize].last().is_some());
        let heard: Vec<i64> = heard.map(|register| told_from_ms[register as usize]).collect();
        let first_ms = heard.iter().copied().min();
        let whole_ms = heard
            .into_iter()
            .max()
            .map_or(held_ms, |latest_ms| latest_ms.max(held_ms));
        let mut start_ms = basis.start_of(from_ms).max(first_ms.unwrap_or(i64::MIN));
        while self.open_ms.is_some_and(|open_ms| start_ms < open_ms) {
            let end_ms = basis.end_of(start_ms);
            let mut interval = interval(start_ms, end_ms, basis, self.parts(start_ms, end_ms, basis));
            let is_rest = self.rested_ms.is_some_and(|rested_ms| start_ms >= rested_ms);
            let rest = (is_rest && self.source == Source::Counter).then(|| self.rest((start_ms, end_ms), basis));
            let closed = self.closed.get(&start_ms).or(rest.as_ref());
            // Of one that is not remembered, all has to be reckoned again, or nothing.
            let is_reckoned = interval.energy_import_kwh.is_some() || !interval.repairs.is_empty();
            let is_told = closed.is_some() || start_ms >= whole_ms && is_reckoned;
            if let Some(closed) = closed {
                keep_older(
                    &mut interval,
                    closed,
                    told_from_ms.map(|told_from_ms| start_ms < told_from_ms),
                );
            }
            let revision = self.closed.get(&start_ms).map(|closed| closed.revision);
            interval.revision = revision.or(self.revisions.get(&start_ms).copied()).unwrap_or(0);
            if is_told && closed != Some(&interval) {
                interval.revision += 1;
                out.push(interval.clone());
                self.closed.insert(start_ms, interval);
            }
            start_ms = end_ms;
        }
    }

    /// An interval in which nothing was used, as every register that had been heard by then said.
    fn rest(&self, (start_ms, end_ms): (i64, i64), basis: &Basis<'_>) -> Interval {
        let parts = Register::ALL.map(|register| {
            let mut part = Part::nothing();
            let heard_from_ms = self.series[register as usize].heard_from_ms();
            if heard_from_ms.is_some_and(|heard_from_ms| heard_from_ms <= start_ms) {
                part.add(0.0, end_ms - start_ms, Quality::Ok);
            }
            part
        });
        let revision = self.revisions.get(&start_ms).copied().unwrap_or(0);
        Interval {
            revision,
            ..interval(start_ms, end_ms, basis, parts)
        }
    }

    /// Whether an interval says what [`MeterIntervals::rest`] would.
    pub(super) fn is_rest(&self, told: &Interval, basis: &Basis<'_>) -> bool {
        let span_ms = (told.start.as_millisecond(), told.end.as_millisecond());
        let revision = told.revision;
        self.source == Source::Counter
            && told.energy_import_kwh == Some(0.0)
            && *told
                == Interval {
                    revision,
                    ..self.rest(span_ms, basis)
                }
    }

    /// The first start of an interval whose amount of `register` can be reckoned again.
    fn told_from_ms(&self, register: Register, basis: &Basis<'_>) -> i64 {
        let rules = (self.source == Source::Counter).then(|| basis.rules(register.counter()));
        let told_from_ms = self.series[register as usize].told_from_ms(rules, &self.load);
        told_from_ms.map_or(i64::MIN, |ms| basis.boundary(ms))
    }

    /// That an amount of import is none of a register, but of power; or that power was used no longer, from within the
    /// interval on.
    fn calculated(&self, from_ms: i64, to_ms: i64, amount: Option<f64>) -> Option<Repair> {
        let power = &self.series[Register::Import as usize];
        let (first, last, amount) = if self.source == Source::Power {
            let (first, last) = power.ends(from_ms, to_ms)?;
            (first, last, Some(amount?))
        } else {
            let (last, until_ms) = self
                .calculated
                .filter(|(_, until_ms)| (from_ms..to_ms).contains(until_ms))?;
            (last, (until_ms, last.1), None)
        };
        Some(Repair {
            kind: RepairKind::Calculated,
            quantity: Quantity::ActivePower,
            since: timestamp(first.0.max(from_ms)),
            until: timestamp(last.0.min(to_ms)),
            before: printable(first.1),
            after: printable(last.1),
            amount: amount.map(printable),
            why: BTreeMap::new(),
        })
    }

    /// Import, export, lag and lead.
    fn parts(&self, start_ms: i64, end_ms: i64, basis: &Basis<'_>) -> [Part; 4] {
        let mut parts = Register::ALL.map(|register| self.part(register, start_ms, end_ms, basis));
        if self.source == Source::Power {
            let power = &self.series[Register::Import as usize];
            let gap_ms = self.gap_ms(Register::Import, basis);
            let export = power.power(start_ms, end_ms, gap_ms, -1.0);
            parts[Register::Export as usize].amount = export.amount.filter(|amount| *amount > 0.0);
        }
        parts
    }

    pub(super) fn gap_ms(&self, register: Register, basis: &Basis<'_>) -> i64 {
        match self.source {
            Source::Counter => basis.gap_ms(register.counter()),
            Source::Power => basis.gap_ms(Quantity::ActivePower),
            Source::IntervalEnergy => basis.lengths.gap_ms,
        }
    }

    pub(super) fn part(&self, register: Register, from_ms: i64, to_ms: i64, basis: &Basis<'_>) -> Part {
        let series = &self.series[register as usize];
        let mut part = match self.source {
            Source::Counter => {
                let rules = basis.rules(register.counter());
                let mut part = series.counter((from_ms, to_ms), rules, &self.load);
                let decimals = series.ends(from_ms, to_ms).map_or(9, |(_, last)| decimals(last.1));
                part.amount = part.amount.map(|amount| rounded(amount, decimals));
                part
            }
            Source::IntervalEnergy => series.delta(from_ms, to_ms),
            Source::Power => series.power(from_ms, to_ms, self.gap_ms(register, basis), 1.0),
        };
        if register == Register::Import {
            let calculated = self.calculated(from_ms, to_ms, part.amount);
            if part.repairs.is_empty() && self.source != Source::Power {
                part.raw = part.amount;
            }
            part.repairs.extend(calculated);
        }
        part.repairs.extend(series.spoilt(from_ms, to_ms, register.counter()));
        part
    }
}

fn interval(start_ms: i64, end_ms: i64, basis: &Basis<'_>, parts: [Part; 4]) -> Interval {
    let [import, export, lag, lead] = parts;
    // What was calculated from power no register says.
    let is_calculated = |repair: &Repair| repair.kind == RepairKind::Calculated && repair.amount.is_some();
    let has_registers = !import.repairs.iter().any(is_calculated);
    let raw = |part: &Part| if part.repairs.is_empty() { part.amount } else { part.raw }.map(printable);
    let mut told = Interval {
        meter: basis.meter.name.clone(),
        start: timestamp(start_ms),
        end: timestamp(end_ms),
        energy_import_kwh: import.amount.map(printable),
        energy_export_kwh: export.amount.map(printable),
        reactive_energy_lag_kvarh: lag.amount.map(printable),
        reactive_energy_lead_kvarh: lead.amount.map(printable),
        quality: if import.amount.is_some() {
            import.quality
        } else {
            Quality::Stale
        },
        coverage: import.covered_ms as f64 / (end_ms - start_ms) as f64,
        revision: 0,
        raw: Raw {
            energy_import_kwh: raw(&import),
            energy_export_kwh: raw(&export).filter(|_| has_registers),
            reactive_energy_lag_kvarh: raw(&lag),
            reactive_energy_lead_kvarh: raw(&lead),
        },
        repairs: [import, export, lag, lead]
            .into_iter()
            .flat_map(|part| part.repairs)
            .collect(),
    };
    Repair::sort(&mut told.repairs);
    told
}

/// An amount without the noise of floating-point sums: a micro-watt-hour is far below any register.
fn printable(amount: f64) -> f64 {
    rounded(amount, 9)
}

/// Decimals that a difference of readings as large as `value` knows: of an f64's fifteen digits those behind the point, but
/// one. A register of gigawatt-hours counts a tenth of a kWh as 0.1, so that half a kWh in a month is billed as such.
fn decimals(value: f64) -> i32 {
    let digits = value.abs().max(1.0).log10().floor() as i32 + 1;
    (14 - digits).clamp(0, 9)
}
