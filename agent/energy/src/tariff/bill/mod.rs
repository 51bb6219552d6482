//! Usage of the main meter → bills, item by item, as the supplier would write them.
//!
//! It reads no meter and no file. Invariants: bills are made in order of time, because a ratchet remembers maxima and a
//! first excess is only a notice; every amount is exact, and each line says the quantity, price and share it was made
//! from; what had to be assumed stands in the notes.

use std::collections::BTreeMap;

use jiff::{Timestamp, civil::Date};
use rust_decimal::{Decimal, prelude::FromPrimitive};
use serde::{Deserialize, Serialize};

use super::{Contract, Usage};
use crate::{finding::Title, sample::Quality};

mod charge;
mod demand;
mod forecast;
mod items;
mod names;
mod notes;
mod period;
mod ratchet;
mod reconcile;
mod running;
mod tally;
mod worth;

pub use forecast::project;
pub use names::item_name;
pub use notes::{Note, carried_on};
pub use reconcile::{Difference, EnteredBill, EnteredError, reconcile};
pub use worth::{Amount, DemandStep, DemandWorth, LaterStep, demand_worth};

pub(crate) use running::Billing;
pub(crate) use worth::{PowerFactorBill, Standing};

use period::Period;
use tally::Tally;

/// The bill of one billing period.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Bill {
    /// First day of the month that it is the bill of.
    pub month: Date,
    /// First day of the period.
    pub from: Date,
    /// The day after its last.
    pub to: Date,
    /// Whether the data reach from the first instant of the period to its last.
    pub complete: bool,
    /// Share of the period seen with trusted readings, 0..1; of a running one, of what has passed.
    pub coverage: f64,
    /// Share of that time of which no energy is known: what was used in it is not in this bill.
    pub unknown: f64,
    /// Energy of intervals that were estimated, kWh: known in sum, by a register, and spread over a gap.
    pub estimated_kwh: Decimal,
    /// ISO 4217 code.
    pub currency: String,
    /// Lines of the bill, in its order.
    pub items: Vec<Item>,
    /// What is to be paid.
    pub total: Decimal,
    /// The same before taxes and levies.
    pub net: Decimal,
    /// How the billed demand was found.
    pub demand: BilledDemand,
    /// Mean lagging power factor by the tariff's rule, percent, as measured.
    pub power_factor_lag_pct: Option<f64>,
    /// Mean leading power factor by the tariff's rule, percent, as measured.
    pub power_factor_lead_pct: Option<f64>,
    /// What was assumed, waived or not known.
    pub notes: Vec<Note>,
}

/// One item of a bill.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Item {
    /// Its name, as the tariff's rules call it.
    pub item: String,
    /// The amount, exact.
    pub amount: Decimal,
    /// What it was made from.
    pub lines: Vec<Line>,
}

/// One product of an item: `quantity × price × share`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Line {
    /// First day that it counts.
    pub from: Date,
    /// The day after the last.
    pub to: Date,
    /// What is priced, rounded as the supplier does.
    pub quantity: Decimal,
    /// Its unit.
    pub unit: String,
    /// Price of one unit.
    pub price: Decimal,
    /// Share of the price that counts: days of the period, a discount, percents of power factor; 1 = all of it.
    pub share: Decimal,
    /// The product.
    pub amount: Decimal,
    /// First day and source of the row that the price stands in.
    pub rule: String,
    /// How the quantity, the share or the amount came about, where it is not plain: what it was before rounding.
    pub how: Option<Title>,
}

/// An instant's demand.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Peak {
    /// Mean power of the interval, kW, exact.
    pub kw: Decimal,
    /// Start of the interval.
    pub start: Timestamp,
    /// Quality of its energy: other than ok, the meter itself did not say it.
    #[serde(default)]
    pub quality: Quality,
}

/// How the billed demand was found.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct BilledDemand {
    /// The demand that is billed, as measured, kW: by the contract at the period's end.
    pub billing_kw: Decimal,
    /// Highest demand of the period in any band.
    pub peak: Option<Peak>,
    /// Highest demand of the period in bands that count.
    pub counted: Option<Peak>,
    /// Month (`2025-08`) whose maximum is billed; `None` = the floor or the contract.
    pub set_by: Option<String>,
    /// Share of the contract below which the billed demand does not go, kW.
    pub floor_kw: Decimal,
    /// Earlier months that count and are known, `2025-08` → kW.
    pub known_kw: BTreeMap<String, Decimal>,
    /// Earlier months that count and are not known.
    pub unknown: Vec<String>,
}

/// What earlier bills left behind.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct History {
    /// Month → highest counted demand, kW.
    peaks_kw: BTreeMap<Date, Decimal>,
    /// First month with a surcharge for power factor: a notice.
    first_surcharge: Option<Date>,
    /// First month above the contract: a notice.
    first_excess: Option<Date>,
}

impl History {
    /// What the contracts say of the time before the data.
    fn of(contracts: &[Contract]) -> Self {
        let earlier = contracts.iter().flat_map(|contract| &contract.earlier_peaks);
        let exact = |(month, kw): (&Date, &f64)| Some((*month, Decimal::from_f64(*kw)?));
        Self {
            peaks_kw: earlier.filter_map(exact).collect(),
            ..Self::default()
        }
    }

    fn raise(&mut self, month: Date, kw: Decimal) {
        let highest = self.peaks_kw.entry(month).or_default();
        *highest = kw.max(*highest);
    }
}

impl Bill {
    /// What rounding made of the total: as much must be added to the items.
    pub fn rounding(&self) -> Decimal {
        self.total - self.items.iter().map(|item| item.amount).sum::<Decimal>()
    }
}

/// Bills of every billing period with known usage and a price, in order of time, and what they leave behind for the next.
/// `usage` is the main meter's, ascending by start, the newest revision of each interval.
pub fn bills(contracts: &[Contract], usage: &[Usage]) -> (Vec<Bill>, History) {
    bills_until(contracts, usage, usage.last().map_or(Timestamp::MAX, Usage::end))
}

/// As [`bills`], where time has gone on to `heard_until` whether there is usage or not: so far a period is seen or not.
pub fn bills_until(contracts: &[Contract], usage: &[Usage], heard_until: Timestamp) -> (Vec<Bill>, History) {
    let mut history = History::of(contracts);
    let mut bills = Vec::new();
    for (period, rows) in by_period(contracts, usage) {
        let parts = period::parts(contracts, period);
        let Some(mut tally) = Tally::of(period, parts, rows) else {
            continue;
        };
        tally.heard_until = heard_until.max(tally.bounds.1);
        if let Some(counted) = tally.counted() {
            history.raise(period.month, counted.kw);
        }
        let is_known = rows.iter().any(|row| row.energy_kwh.is_some());
        if is_known && !tally.has_unpriced {
            bills.push(items::bill(contracts, &tally, &mut history));
        }
    }
    (bills, history)
}

/// Usage cut into billing periods; what lies before the first contract is in none.
fn by_period<'a>(contracts: &[Contract], usage: &'a [Usage]) -> Vec<(Period, &'a [Usage])> {
    let mut periods = Vec::new();
    let mut rest = usage;
    while let Some(first) = rest.first() {
        let Some(contract) = super::contract_at(contracts, first.start) else {
            rest = &rest[1..];
            continue;
        };
        let Some(period) = Period::at(contracts, contract.local(first.start).date()) else {
            break;
        };
        let (_, end) = period.bounds(&contract.rules.zone);
        let (rows, later) = rest.split_at(rest.partition_point(|row| row.start < end));
        periods.push((period, rows));
        rest = later;
    }
    periods
}

/// First day of the month whose bill an instant is on; `None` before the first contract.
pub fn month_of(contracts: &[Contract], at: Timestamp) -> Option<Date> {
    let contract = super::contract_at(contracts, at)?;
    Some(Period::at(contracts, contract.local(at).date())?.month)
}

/// A month as people write it.
fn month_name(month: Date) -> String {
    month.strftime("%Y-%m").to_string()
}
