//! Which demand is billed: the highest of the months that count, or the floor.
//!
//! It knows maxima, not intervals. Invariant: a month whose maximum is not known is named, never taken as 0.

use jiff::{ToSpan, civil::Date};
use rust_decimal::{Decimal, prelude::FromPrimitive};

use super::{BilledDemand, History, month_name};
use crate::tariff::Contract;

/// The demand billed to `contract` in `month`, as far as maxima are known; without a demand meter, the contract's.
pub(super) fn billed(contract: &Contract, month: Date, history: &History) -> BilledDemand {
    let contract_kw = Decimal::from_f64(contract.contract_kw).unwrap_or_default();
    let Some(rule) = &contract.rules.demand else {
        return BilledDemand {
            billing_kw: contract_kw,
            floor_kw: contract_kw,
            ..BilledDemand::default()
        };
    };
    let floor_kw = (contract_kw * rule.floor_share).normalize();
    let mut demand = BilledDemand {
        billing_kw: floor_kw,
        floor_kw,
        ..BilledDemand::default()
    };
    let earlier = (1..i32::from(rule.months_back))
        .rev()
        .map(|back| month.saturating_sub(back.months()));
    for earlier in earlier.filter(|earlier| rule.ratchet_months.contains(&earlier.month())) {
        match history.peaks_kw.get(&earlier) {
            Some(kw) => {
                demand.known_kw.insert(month_name(earlier), *kw);
                demand.raise(earlier, *kw * rule.ratchet_share);
            }
            None => demand.unknown.push(month_name(earlier)),
        }
    }
    if let Some(kw) = history.peaks_kw.get(&month) {
        demand.raise(month, *kw);
    }
    demand
}

impl BilledDemand {
    fn raise(&mut self, month: Date, kw: Decimal) {
        if kw > self.billing_kw {
            self.billing_kw = kw.normalize();
            self.set_by = Some(month_name(month));
        }
    }
}
