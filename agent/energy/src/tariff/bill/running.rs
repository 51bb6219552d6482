//! The running bill as detectors need it: each period's maxima so far, and what one more kW costs after them.
//!
//! It makes no bill of energy: that is done of all intervals, afterwards. Invariant: a maximum is noted only after the
//! detectors have seen the interval it lies in, so that a peak is priced by what was billed before it.

use std::collections::BTreeMap;

use jiff::{Timestamp, ToSpan, civil::Date};
use rust_decimal::{Decimal, prelude::FromPrimitive};
use serde::{Deserialize, Serialize};

use super::{Amount, BilledDemand, History, Usage, demand, month_of, ratchet, worth};
use crate::{
    interval::Interval,
    tariff::{Band, Contract, contract_at},
};

/// Months remembered: the longest ratchet looks back over twelve.
const MONTHS: i32 = 24;

/// Each month's highest demands, one by whether it counts for the billed one and by band; and the first month above the
/// contract.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Billing {
    maxima: BTreeMap<Date, Vec<Maximum>>,
    first_excess: Option<Date>,
}

#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
struct Maximum {
    counts: bool,
    band: Band,
    start: Timestamp,
    minutes: u16,
    kw: f64,
}

impl Billing {
    /// Notes an interval of the main meter.
    pub(crate) fn note(&mut self, contracts: &[Contract], interval: &Interval) {
        let at = interval.start;
        let (Some(kw), Some(month), Some(contract)) = (
            interval.demand_kw(),
            month_of(contracts, at),
            contract_at(contracts, at),
        ) else {
            return;
        };
        let Some(band) = contract.price_at(at).price.map(|price| price.demand_band) else {
            return;
        };
        let next = Maximum {
            counts: contract.demand_counts_at(at),
            band,
            start: at,
            minutes: interval.minutes(),
            kw,
        };
        let of_month = self.maxima.entry(month).or_default();
        let is_like = |maximum: &&mut Maximum| (maximum.counts, maximum.band) == (next.counts, next.band);
        match of_month.iter_mut().find(is_like) {
            Some(highest) if kw > highest.kw => *highest = next,
            Some(_) => {}
            None => of_month.push(next),
        }
        if demand::is_above(contract, Decimal::from_f64(kw).unwrap_or_default()) {
            self.first_excess.get_or_insert(month);
        }
        let oldest = month.saturating_sub(MONTHS.months());
        self.maxima.retain(|month, _| *month >= oldest);
    }

    /// What is billed at `at` so far; `None` before the first contract.
    pub(crate) fn billed(&self, contracts: &[Contract], at: Timestamp) -> Option<BilledDemand> {
        let contract = contract_at(contracts, at).filter(|contract| contract.rules.demand.is_some())?;
        Some(ratchet::billed(
            contract,
            month_of(contracts, at)?,
            &self.history(contracts),
        ))
    }

    /// On how many bills a maximum at `at` may count.
    pub(crate) fn n_bills(contracts: &[Contract], at: Timestamp) -> Option<u8> {
        let rule = contract_at(contracts, at)?.rules.demand.as_ref()?;
        Some(rule.n_bills(month_of(contracts, at)?))
    }

    /// What a demand of `to_kw` at `at` adds to this bill, were it `from_kw` without it; `None` without a price.
    pub(crate) fn cost(&self, contracts: &[Contract], at: Timestamp, (from_kw, to_kw): (f64, f64)) -> Option<Amount> {
        let month = month_of(contracts, at)?;
        let of_month = self.maxima.get(&month).into_iter().flatten();
        let mut usage: Vec<Usage> = of_month.map(Maximum::usage).collect();
        usage.sort_by_key(|row| row.start);
        let span = (Decimal::from_f64(from_kw)?, Decimal::from_f64(to_kw)?);
        worth::demand_cost(contracts, &self.history(contracts), &usage, at, span)
    }

    /// What is known of months so far, and what the contracts say of those before.
    fn history(&self, contracts: &[Contract]) -> History {
        let mut history = History::of(contracts);
        for (month, of_month) in &self.maxima {
            for maximum in of_month.iter().filter(|maximum| maximum.counts) {
                history.raise(*month, Decimal::from_f64(maximum.kw).unwrap_or_default());
            }
        }
        history.first_excess = self.first_excess;
        history
    }
}

impl Maximum {
    fn usage(&self) -> Usage {
        Usage {
            start: self.start,
            minutes: self.minutes,
            energy_kwh: Some(self.kw * f64::from(self.minutes) / 60.0),
            lag_kvarh: None,
            lead_kvarh: None,
            coverage: 1.0,
            quality: crate::Quality::Ok,
        }
    }
}
