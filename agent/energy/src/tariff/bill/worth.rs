//! What one more kW of demand would cost at an instant, and on how many bills.
//!
//! It does not forecast demand. Invariant: below what is billed anyway another kW costs nothing.

use jiff::Timestamp;
use rust_decimal::Decimal;

use super::{BilledDemand, History, period::Period, ratchet};
use crate::tariff::{Contract, contract_at};

/// The price of a kW of demand, in the currency of the contract's rules.
#[derive(Debug, Clone, PartialEq)]
pub struct DemandWorth {
    /// Whether a demand at this instant can raise the billed one.
    pub counts: bool,
    /// What is billed so far; only a demand above it costs more.
    pub billed: BilledDemand,
    /// One kW more on one bill, before levies.
    pub net_per_kw: Decimal,
    /// With the levies of the day.
    pub gross_per_kw: Decimal,
    /// On how many bills at the most, this one included: maxima of some months are remembered.
    pub n_bills: u8,
}

impl Contract {
    /// Whether a demand at `at` can raise the billed one; false without a price or a demand meter.
    pub fn demand_counts_at(&self, at: Timestamp) -> bool {
        self.counts(at).unwrap_or(false)
    }

    fn counts(&self, at: Timestamp) -> Option<bool> {
        let rule = self.rules.demand.as_ref()?;
        let local = self.local(at);
        let edition = self.edition_of(local.date())?;
        let slot = edition.slot(self.day_kind(local.date()), local.month(), local.hour())?;
        Some(rule.bands.is_empty() || rule.bands.contains(&slot.demand_band))
    }
}

/// What one more kW would cost at `at`, after what `history` holds; `None` without a price, or where the contract is
/// billed whatever the demand.
pub fn demand_worth(contracts: &[Contract], history: &History, at: Timestamp) -> Option<DemandWorth> {
    let contract = contract_at(contracts, at)?;
    let local = contract.local(at);
    let edition = contract.edition_of(local.date())?;
    let rule = contract.rules.demand.as_ref()?;
    let month = Period::of(local.date(), contract.reading_day).month;
    let net_per_kw = edition.prices.demand_per_kw;
    Some(DemandWorth {
        counts: contract.demand_counts_at(at),
        billed: ratchet::billed(contract, month, history),
        net_per_kw,
        gross_per_kw: net_per_kw * edition.levy_factor(),
        n_bills: if rule.ratchet_months.contains(&month.month()) {
            rule.months_back
        } else {
            1
        },
    })
}
