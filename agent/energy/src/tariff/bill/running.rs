//! The running bill as detectors need it: each month's counted maximum so far, and what one more kW costs after them.
//!
//! It makes no bill: that is done of all intervals, afterwards. Invariant: a maximum is noted only after the detectors
//! have seen the interval it lies in, so that a peak is priced by what was billed before it.

use std::collections::BTreeMap;

use jiff::{Timestamp, civil::Date};
use serde::{Deserialize, Serialize};

use super::{DemandWorth, History, demand_worth, month_of};
use crate::{
    interval::Interval,
    tariff::{Contract, contract_at},
};

/// Months remembered: the longest ratchet looks back over twelve.
const MONTHS: usize = 24;

/// Counted maxima by month, kW.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Billing(BTreeMap<Date, f64>);

impl Billing {
    /// Notes an interval of the main meter.
    pub(crate) fn note(&mut self, contracts: &[Contract], interval: &Interval) {
        let contract = contract_at(contracts, interval.start);
        let counts = contract.is_some_and(|contract| contract.demand_counts_at(interval.start));
        let month = month_of(contracts, interval.start);
        if let (Some(kw), Some(month), true) = (interval.demand_kw(), month, counts) {
            let highest = self.0.entry(month).or_insert(0.0);
            *highest = kw.max(*highest);
        }
        while self.0.len() > MONTHS {
            self.0.pop_first();
        }
    }

    /// What one more kW costs at `at`; `None` without a price or a demand meter.
    pub(crate) fn worth(&self, contracts: &[Contract], at: Timestamp) -> Option<DemandWorth> {
        demand_worth(contracts, &History::known(contracts, &self.0), at)
    }
}
