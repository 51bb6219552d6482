//! What electricity costs: dated editions of prices, bands, demand ratchet, power factor, levies; all of it data
//! (`config/tariffs/*.toml`). This file is their schema and the answer to "what does one kWh cost now".
//!
//! It holds no price and no hour. Invariants: each table has the first day it holds; an instant is judged in the
//! tariff's own zone and calendar; a company's days off are not the tariff's.

use std::collections::BTreeMap;

use jiff::{Timestamp, civil::Date, tz::TimeZone};
use rust_decimal::{Decimal, RoundingStrategy};
use serde::Deserialize;

use crate::finding::Title;

pub mod bill;
mod check;
mod edition;
mod hours;
pub(crate) mod power_factor;
mod price;
mod usage;

pub use check::{Problem, Wrong, problems};
pub use edition::Edition;
pub use hours::{DayKind, HourSpan, HourSpanError};
pub use price::{Band, Price, PriceUntil};
pub use usage::Usage;

/// A tariff: one file of `config/tariffs`, joined with the rules file it names.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tariff {
    /// Its name for people.
    pub title: Title,
    /// Name of the rules file in `config/tariffs/rules`.
    pub rules: String,
    /// Supply at low voltage: the power-factor rules differ.
    #[serde(default)]
    pub low_voltage: bool,
    /// Which contracts it is for; absent = any.
    pub contract: Option<ContractLimits>,
    /// Dated prices, ascending.
    pub price: Vec<PriceTable>,
}

/// The contract demands that a tariff is for.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ContractLimits {
    /// At least, kW.
    #[serde(default)]
    pub least_kw: f64,
    /// Below, kW; absent = no limit.
    pub below_kw: Option<f64>,
    /// Where it was found.
    pub source: String,
}

impl ContractLimits {
    /// Whether a contract of `kw` is one of them.
    pub fn hold(&self, kw: f64) -> bool {
        kw >= self.least_kw && self.below_kw.is_none_or(|below_kw| kw < below_kw)
    }
}

/// Prices from a day on, before levies. In the currency of the rules.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PriceTable {
    /// First day.
    pub from: Date,
    /// Price of one kW of billing demand and month.
    pub demand_per_kw: Decimal,
    /// Prices of one kW of the month's own maximum in a band, beside the billing demand: season → band → steps.
    #[serde(default)]
    pub demand_by_band_per_kw: BTreeMap<String, BTreeMap<Band, Vec<DemandStep>>>,
    /// Price of a month, whatever is used.
    pub fixed_per_month: Option<Decimal>,
    /// Price of one kWh: season → band → price. A flat tariff has the one band `flat`.
    pub energy_per_kwh: BTreeMap<String, BTreeMap<Band, Decimal>>,
    /// Who set the prices.
    pub authority: String,
    /// Where they were found.
    pub source: String,
}

/// Price of the kW above a step, up to the next.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DemandStep {
    /// From here on, kW; the first step is 0.
    pub above_kw: Decimal,
    /// Price of one kW and month.
    pub per_kw: Decimal,
}

/// What a family of tariffs has in common: one file of `config/tariffs/rules`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rules {
    /// ISO 4217 code.
    pub currency: String,
    /// Decimal places the currency is counted in.
    pub decimals: u32,
    /// Zone in which its days and hours are meant.
    #[serde(deserialize_with = "jiff::fmt::serde::tz::required::deserialize")]
    pub zone: TimeZone,
    /// Calendar of its public holidays (`config/calendars`); ad-hoc days do not count.
    pub holidays: Option<String>,
    /// Season → months.
    pub seasons: BTreeMap<String, Vec<i8>>,
    /// Dated band tables, ascending.
    pub bands: Vec<BandTable>,
    /// Dated discounts on the energy price, e.g. at weekend noon.
    #[serde(default)]
    pub discount: Vec<Discount>,
    /// Dated charges on every kWh (climate, fuel adjustment).
    #[serde(default)]
    pub per_kwh: Vec<PerKwh>,
    /// Dated shares of the charge (VAT, power fund).
    #[serde(default)]
    pub levy: Vec<Levy>,
    /// How the demand that is billed is found; absent = no demand meter, the contract is billed.
    pub demand: Option<DemandRule>,
    /// Without a demand meter: share of the demand charge in a month without use, 0..1.
    pub unused_share: Option<Decimal>,
    /// To what quantities and totals are rounded before they are priced and paid.
    #[serde(default)]
    pub rounding: BillRounding,
    /// Dated power-factor rules.
    #[serde(default)]
    pub power_factor: Vec<PowerFactorRule>,
    /// What demand above the contract costs.
    pub excess: Option<ExcessRule>,
    /// Deferral of a reform for customers that applied for it.
    pub deferral: Option<Deferral>,
}

/// Hours of each band from a day on.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BandTable {
    /// First day.
    pub from: Date,
    /// Area it holds in; absent = everywhere no other table of the day names the contract's area.
    pub area: Option<String>,
    /// Season → band → stretches `"HH-HH"` of a working day. Every hour stands in exactly one band.
    pub hours: BTreeMap<String, BTreeMap<Band, Vec<HourSpan>>>,
    /// Saturday: band → the band its energy counts as (peak → mid in Korea).
    #[serde(default)]
    pub saturday: BTreeMap<Band, Band>,
    /// Band of all of a Saturday, for energy and demand; absent = by the hours.
    pub saturday_band: Option<Band>,
    /// Band of Sundays and public holidays, for energy and demand; absent = as on working days.
    pub sunday_and_holiday: Option<Band>,
    /// Who set the hours.
    pub authority: String,
    /// Where they were found.
    pub source: String,
}

/// A share off the energy price on some days and hours.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Discount {
    /// Name of the bill's item.
    pub item: String,
    /// First day.
    pub from: Date,
    /// Last day.
    pub to: Date,
    /// Months of the year in which it holds.
    pub months: Vec<i8>,
    /// On which of the days that are not working days.
    pub days: Vec<DayKind>,
    /// Stretches `"HH-HH"`.
    pub hours: Vec<HourSpan>,
    /// Share of the energy price taken off, 0..1.
    pub share: Decimal,
    /// Where it was found.
    pub source: String,
}

/// A price on each kWh, whatever the hour.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PerKwh {
    /// Name of the bill's item (`climate`, `fuel`).
    pub item: String,
    /// First day.
    pub from: Date,
    /// Price of one kWh.
    pub price: Decimal,
    /// Not published: carried on from before, and said so in bill and report.
    #[serde(default)]
    pub assumed: bool,
    /// Where it was found.
    pub source: String,
}

/// A share of the whole charge.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Levy {
    /// Name of the bill's item (`vat`, `fund`).
    pub item: String,
    /// First day.
    pub from: Date,
    /// Share of the charge, 0..1.
    pub share: Decimal,
    /// Amounts are rounded to a multiple of this.
    pub step: Decimal,
    /// Which way.
    pub rounding: Rounding,
    /// Where it was found.
    pub source: String,
}

/// Steps that a bill is rounded to; absent = exact. Quantities are rounded to the nearest, halves up.
#[derive(Debug, Clone, PartialEq, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BillRounding {
    /// Demand, contract demand and floor, kW.
    pub demand_kw: Option<Decimal>,
    /// Each priced amount of energy, kWh.
    pub energy_kwh: Option<Decimal>,
    /// A month's mean power factor, percent.
    pub power_factor_pct: Option<Decimal>,
    /// The total, in the currency.
    pub total: Option<Decimal>,
    /// Which way the total is rounded.
    pub total_rounding: Option<Rounding>,
    /// Where it was found.
    #[serde(default)]
    pub source: String,
}

/// Which way an amount is rounded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Rounding {
    /// Towards zero.
    Down,
    /// To the nearest, halves away from zero.
    HalfUp,
}

impl Rounding {
    /// `amount` as a multiple of `step`.
    pub(crate) fn to_step(self, amount: Decimal, step: Decimal) -> Decimal {
        let strategy = match self {
            Self::Down => RoundingStrategy::ToZero,
            Self::HalfUp => RoundingStrategy::MidpointAwayFromZero,
        };
        (amount / step).round_dp_with_strategy(0, strategy) * step
    }
}

/// The ratchet: which demand is billed.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DemandRule {
    /// Length of a demand interval, minutes.
    pub interval_min: u16,
    /// Only maxima in these bands count; empty = all hours.
    pub bands: Vec<Band>,
    /// Months whose maxima go on counting for `months_back` months.
    pub ratchet_months: Vec<i8>,
    /// How many months back, the month itself included.
    pub months_back: u8,
    /// Share of an earlier month's maximum that counts, 0..1.
    #[serde(default = "whole")]
    pub ratchet_share: Decimal,
    /// At least this share of the contract, 0..1.
    pub floor_share: Decimal,
    /// Where it was found.
    pub source: String,
}

fn whole() -> Decimal {
    Decimal::ONE
}

/// Surcharge and reduction for power factor, from a day on.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PowerFactorRule {
    /// First day.
    pub from: Date,
    /// Length of an interval, minutes.
    pub interval_min: u16,
    /// Hours judged by lagging power factor, `"HH-HH"`.
    pub lag_hours: HourSpan,
    /// Reference, percent.
    pub lag_reference_pct: Decimal,
    /// Interval values are clamped to this, percent: lower and upper.
    pub lag_clamp_pct: [Decimal; 2],
    /// Hours judged by leading power factor; absent = none.
    pub lead_hours: Option<HourSpan>,
    /// Reference, percent.
    pub lead_reference_pct: Option<Decimal>,
    /// Lower clamp, percent.
    pub lead_floor_pct: Option<Decimal>,
    /// Share of the demand charge for each percent.
    pub share_per_pct: Decimal,
    /// Contracts below this are not judged, kW; absent = all are.
    pub least_kw: Option<f64>,
    /// `verified`, or `unverified` when the text was not seen; the bill prints it.
    pub status: String,
    /// Where it was found.
    pub source: String,
}

/// What demand above the contract costs.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExcessRule {
    /// Rates by the excess's share of the contract: `[from share, rate]`, ascending.
    pub rates: Vec<[Decimal; 2]>,
    /// Where it was found.
    pub source: String,
}

/// A customer's right to keep the rules of the day before a reform.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Deferral {
    /// Day of the reform.
    pub reform: Date,
    /// Last day of the deferral.
    pub to: Date,
    /// Where it was found.
    pub source: String,
}

/// A dated supply contract of the site, with its tariff and rules looked up.
#[derive(Debug, Clone, PartialEq)]
pub struct Contract {
    /// First day.
    pub from: Date,
    /// Name of the tariff's file.
    pub tariff_name: String,
    /// The tariff.
    pub tariff: Tariff,
    /// Its rules.
    pub rules: Rules,
    /// Public holidays of the tariff's calendar, ad-hoc days left out.
    pub holidays: std::collections::BTreeSet<Date>,
    /// Contract demand, kW.
    pub contract_kw: f64,
    /// Bills run from this day of the month.
    pub reading_day: i8,
    /// The reform's deferral was applied for.
    pub deferred: bool,
    /// Monthly maxima before the data begin, kW, by first day of the month.
    pub earlier_peaks: BTreeMap<Date, f64>,
    /// Price everything by the rules of this day.
    pub edition: Option<Date>,
    /// Area of the tariff, e.g. `jeju`.
    pub area: Option<String>,
    /// Whether a reactive meter stands there.
    pub reactive_meter: bool,
}

impl Rules {
    /// The rules of a customer with or without a maximum-demand meter: without one the contract demand is billed, and nothing
    /// above it is known.
    #[must_use]
    pub fn with_demand_meter(self, has_one: bool) -> Self {
        Self {
            demand: self.demand.filter(|_| has_one),
            excess: self.excess.filter(|_| has_one),
            ..self
        }
    }
}

/// The contract that holds at `at`: the last one that has begun, in its own rules' zone.
pub fn contract_at(contracts: &[Contract], at: Timestamp) -> Option<&Contract> {
    contracts.iter().rev().find(|contract| contract.has_begun(at))
}
