//! The running bill as detectors need it: the main meter's newest intervals as they are told now, each period's maxima,
//! and what one more kW costs after them.
//!
//! It makes no bill of energy: that is done of all intervals, afterwards. Invariants: an interval told again counts as it
//! was told last, as long as it may be told; what is asked of an instant counts what was drawn before it alone.

use std::collections::BTreeMap;

use jiff::{Timestamp, ToSpan, civil::Date};
use rust_decimal::{Decimal, prelude::FromPrimitive};
use serde::{Deserialize, Serialize};

use super::{Amount, BilledDemand, History, PowerFactorBill, demand, month_of, period::Period, ratchet, worth};
use crate::{
    interval::{Interval, point::timestamp},
    sample::Quality,
    tariff::{Band, Contract, Usage, contract_at},
};

/// Months remembered: the longest ratchet looks back over twelve.
const MONTHS: i32 = 24;
/// Intervals remembered: three months of quarter hours, or one of five minutes. None is told again after forty days, and no
/// period is longer.
const ROWS: usize = 9000;

/// What the main meter has drawn, by billing month.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Billing(BTreeMap<Date, Month>);

/// A billing month.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Month {
    /// Intervals that may be told again, by start, ms.
    rows: BTreeMap<i64, Row>,
    /// Highest demands of those that are not remembered, one by whether it counts for the billed one and by band.
    maxima: Vec<Maximum>,
    /// One of those lay above the contract.
    has_excess: bool,
}

/// An interval as told last.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Row {
    minutes: u16,
    energy_kwh: Option<f64>,
    lag_kvarh: Option<f64>,
    lead_kvarh: Option<f64>,
    coverage: f64,
    quality: Quality,
    /// Whether its demand counts, and its band; `None` without a price.
    class: Option<(bool, Band)>,
    is_excess: bool,
}

#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
struct Maximum {
    class: (bool, Band),
    start_ms: i64,
    minutes: u16,
    kw: f64,
}

impl Billing {
    /// Notes an interval of the main meter, in place of what it was told to be before.
    pub(crate) fn note(&mut self, contracts: &[Contract], interval: &Interval) {
        let at = interval.start;
        let (Some(month), Some(contract)) = (month_of(contracts, at), contract_at(contracts, at)) else {
            return;
        };
        let usage = Usage::from(interval);
        let price = contract.price_at(at).price;
        let is_above = |kw| demand::is_above(contract, Decimal::from_f64(kw).unwrap_or_default());
        let row = Row {
            minutes: usage.minutes,
            energy_kwh: usage.energy_kwh,
            lag_kvarh: usage.lag_kvarh,
            lead_kvarh: usage.lead_kvarh,
            coverage: usage.coverage,
            quality: usage.quality,
            is_excess: price.is_some() && interval.demand_kw().is_some_and(is_above),
            class: price.map(|price| (contract.demand_counts_at(at), price.demand_band)),
        };
        self.0.entry(month).or_default().rows.insert(at.as_millisecond(), row);
        while self.0.values().map(|month| month.rows.len()).sum::<usize>() > ROWS {
            let Some(oldest) = self.0.values_mut().find(|month| !month.rows.is_empty()) else {
                break;
            };
            oldest.settle_first();
        }
        let oldest = month.saturating_sub(MONTHS.months());
        self.0.retain(|month, _| *month >= oldest);
    }

    /// The intervals from `from_ms` to before `to_ms`, ascending, as far as they are remembered.
    pub(crate) fn usage(&self, from_ms: i64, to_ms: i64) -> impl Iterator<Item = Usage> {
        let months = self.0.values();
        months
            .flat_map(move |month| month.rows.range(from_ms..to_ms.max(from_ms)))
            .map(|(start_ms, row)| row.usage(*start_ms))
    }

    /// Of those intervals the highest of each month and band, ascending: what a bill of demand needs of them.
    pub(crate) fn highest(&self, from_ms: i64, to_ms: i64) -> Vec<Usage> {
        let of_month = |month: &Month| {
            let mut maxima = Vec::new();
            for (start_ms, row) in month.rows.range(from_ms..to_ms.max(from_ms)) {
                raise(&mut maxima, row.maximum(*start_ms));
            }
            ascending(&maxima)
        };
        self.0.values().flat_map(of_month).collect()
    }

    /// What is billed at `at` so far; `None` before the first contract.
    pub(crate) fn billed(&self, contracts: &[Contract], at: Timestamp) -> Option<BilledDemand> {
        let contract = contract_at(contracts, at).filter(|contract| contract.rules.demand.is_some())?;
        let history = self.history(contracts, at.as_millisecond());
        Some(ratchet::billed(contract, month_of(contracts, at)?, &history))
    }

    /// On how many bills a maximum at `at` may count.
    pub(crate) fn n_bills(contracts: &[Contract], at: Timestamp) -> Option<u8> {
        let rule = contract_at(contracts, at)?.rules.demand.as_ref()?;
        Some(rule.n_bills(month_of(contracts, at)?))
    }

    /// What the demands of intervals, ascending, add to the bills that they lie on, had none been above `cap_kw` of its
    /// start without it. What was drawn before `since` alone stands beside; `None` without a price, or an interval.
    pub(crate) fn cost(
        &self,
        contracts: &[Contract],
        since: Timestamp,
        intervals: &[Usage],
        cap_kw: impl Fn(Timestamp) -> f64,
    ) -> Option<Amount> {
        intervals.first()?;
        let since_ms = since.as_millisecond();
        let month = self.0.get(&month_of(contracts, since)?);
        let before = month.map(|month| ascending(&month.maxima_before(since_ms)));
        let before = before.unwrap_or_default();
        let history = self.history(contracts, since_ms);
        let cost = |kw: &dyn Fn(Timestamp, f64) -> f64| {
            let demand = |row: &Usage| {
                Some(Usage::of_demand(
                    row.start,
                    row.minutes,
                    kw(row.start, row.demand_kw()?),
                ))
            };
            let drawn = intervals.iter().filter_map(demand);
            let usage: Vec<Usage> = before.iter().copied().chain(drawn).collect();
            worth::demand_cost(contracts, history.clone(), &usage)
        };
        let without = cost(&|at, kw| kw.min(cap_kw(at)))?;
        Some(cost(&|_, kw| kw)?.less(without))
    }

    /// How the power factors of the period that is running, or over, at `until` are billed by what was drawn before it;
    /// `first_surcharge` is the month that had the first before it.
    pub(crate) fn power_factors<'a>(
        &self,
        contracts: &'a [Contract],
        until: Timestamp,
        first_surcharge: Option<Date>,
    ) -> Option<PowerFactorBill<'a>> {
        let until_ms = until.as_millisecond();
        let last = timestamp(until_ms - 1);
        let period = Period::at(contracts, contract_at(contracts, last)?.local(last).date())?;
        let rows = self.0.get(&period.month)?.rows.range(..until_ms);
        let usage: Vec<Usage> = rows.map(|(start_ms, row)| row.usage(*start_ms)).collect();
        let history = History {
            first_surcharge,
            ..self.history(contracts, until_ms)
        };
        worth::power_factors(contracts, history, period, &usage)
    }

    /// What is known of months before an instant, and what the contracts say of those before.
    fn history(&self, contracts: &[Contract], at_ms: i64) -> History {
        let mut history = History::of(contracts);
        for (date, month) in &self.0 {
            for maximum in month.maxima_before(at_ms).iter().filter(|maximum| maximum.class.0) {
                history.raise(*date, Decimal::from_f64(maximum.kw).unwrap_or_default());
            }
        }
        let mut months = self.0.iter();
        history.first_excess = months
            .find(|(_, month)| month.has_excess_before(at_ms))
            .map(|(date, _)| *date);
        history
    }
}

impl Month {
    /// Remembers of its oldest interval no more than whether it was the highest.
    fn settle_first(&mut self) {
        if let Some((start_ms, row)) = self.rows.pop_first() {
            self.has_excess |= row.is_excess;
            raise(&mut self.maxima, row.maximum(start_ms));
        }
    }

    fn maxima_before(&self, at_ms: i64) -> Vec<Maximum> {
        let mut maxima = self.maxima.clone();
        for (start_ms, row) in self.rows.range(..at_ms) {
            raise(&mut maxima, row.maximum(*start_ms));
        }
        maxima
    }

    fn has_excess_before(&self, at_ms: i64) -> bool {
        self.has_excess || self.rows.range(..at_ms).any(|(_, row)| row.is_excess)
    }
}

/// Maxima as usage, by start.
fn ascending(maxima: &[Maximum]) -> Vec<Usage> {
    let mut usage: Vec<Usage> = maxima.iter().map(Maximum::usage).collect();
    usage.sort_by_key(|row| row.start);
    usage
}

/// Keeps the first of equals.
fn raise(maxima: &mut Vec<Maximum>, next: Option<Maximum>) {
    let Some(next) = next else { return };
    match maxima.iter_mut().find(|maximum| maximum.class == next.class) {
        Some(highest) if next.kw > highest.kw => *highest = next,
        Some(_) => {}
        None => maxima.push(next),
    }
}

impl Row {
    fn maximum(&self, start_ms: i64) -> Option<Maximum> {
        Some(Maximum {
            class: self.class?,
            start_ms,
            minutes: self.minutes,
            kw: self.usage(start_ms).demand_kw()?,
        })
    }

    fn usage(&self, start_ms: i64) -> Usage {
        Usage {
            start: timestamp(start_ms),
            minutes: self.minutes,
            energy_kwh: self.energy_kwh,
            lag_kvarh: self.lag_kvarh,
            lead_kvarh: self.lead_kvarh,
            coverage: self.coverage,
            quality: self.quality,
        }
    }
}

impl Maximum {
    fn usage(&self) -> Usage {
        Usage::of_demand(timestamp(self.start_ms), self.minutes, self.kw)
    }
}
