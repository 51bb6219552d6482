//! What demand costs: one more kW at an instant, and on how many bills; all that a stretch of time drew; and what the
//! power factor of the running month adds.
//!
//! It forecasts nothing. Invariant: the answer is the bill's own line, or the difference of two bills, one with a demand of
//! so many kW and one with less; below what is billed anyway another kW costs nothing.

use std::iter::Sum;

use jiff::{Timestamp, ToSpan, civil::Date};
use rust_decimal::{Decimal, prelude::FromPrimitive};

use super::{
    BilledDemand, History, Note, by_period,
    charge::{Charge, billed_pct},
    demand,
    period::{self, Period},
    ratchet,
    tally::{PartTally, Tally},
};
use crate::tariff::{Band, Contract, DemandRule, Usage, contract_at, edition::Edition};

/// An amount in the currency of the contract's rules.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Amount {
    /// Before levies.
    pub net: Decimal,
    /// With the levies of the day.
    pub gross: Decimal,
}

impl Amount {
    pub(super) fn levied(net: Decimal, edition: &Edition<'_>) -> Self {
        Self {
            net,
            gross: net * edition.levy_factor(),
        }
    }

    pub(super) fn less(self, other: Self) -> Self {
        Self {
            net: (self.net - other.net).normalize(),
            gross: (self.gross - other.gross).normalize(),
        }
    }
}

impl Sum for Amount {
    fn sum<I: Iterator<Item = Self>>(amounts: I) -> Self {
        amounts.fold(Self::default(), |sum, one| Self {
            net: sum.net + one.net,
            gross: sum.gross + one.gross,
        })
    }
}

/// The price of a kW of demand at an instant.
#[derive(Debug, Clone, PartialEq)]
pub struct DemandWorth {
    /// Whether a demand at this instant can raise the billed one.
    pub counts: bool,
    /// What is billed so far.
    pub billed: BilledDemand,
    /// From where on another kW costs more, ascending; empty where it never does.
    pub steps: Vec<DemandStep>,
    /// On how many later bills it may count, ascending by demand; empty in a month that is not remembered.
    pub later: Vec<LaterStep>,
    /// What it costs on each of those, at the prices of the day.
    pub later_per_kw: Amount,
    /// Why what lies above the contract costs no more on this bill, where that is so.
    pub waived: Option<Note>,
}

/// One more kW on the running bill.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DemandStep {
    /// The demand above which it costs so much, kW.
    pub above_kw: Decimal,
    /// Its cost, all told: by days, with the power factor so far and the surcharge above the contract.
    pub per_kw: Amount,
}

/// One more kW on bills to come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LaterStep {
    /// The demand above which so many bear it, kW.
    pub above_kw: Decimal,
    /// How many, unless later months draw more themselves.
    pub n_bills: u8,
}

/// Places in which what a kW costs is compared: more than any currency has, fewer than a division of decimals leaves.
const COST_PLACES: u32 = 6;

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
        Some(rule.counts(slot.demand_band))
    }
}

impl DemandRule {
    /// Whether a demand in `band` can raise the billed one.
    pub(super) fn counts(&self, band: Band) -> bool {
        self.bands.is_empty() || self.bands.contains(&band)
    }

    /// On how many bills at the most a maximum of `month` counts.
    pub(super) fn n_bills(&self, month: Date) -> u8 {
        if self.ratchet_months.contains(&month.month()) {
            self.months_back
        } else {
            1
        }
    }
}

/// What one more kW would cost at `at`, after what `history` holds and `usage` of the running period, ascending; `None`
/// without a price, or where the contract is billed whatever the demand.
pub fn demand_worth(contracts: &[Contract], history: &History, usage: &[Usage], at: Timestamp) -> Option<DemandWorth> {
    let mut running = Running::of(contracts, history, usage, at)?;
    let contract = running.contract;
    let edition = contract.edition_of(contract.local(at).date())?;
    let rule = contract.rules.demand.as_ref()?;
    let month = running.tally.period.month;
    let billed = ratchet::billed(contract, month, &running.history);
    let later = running.later(rule);
    let (steps, waived) = running.steps(&edition, rule);
    Some(DemandWorth {
        counts: contract.demand_counts_at(at),
        billed,
        steps,
        later_per_kw: Amount::levied(edition.prices.demand_per_kw * rule.ratchet_share, &edition),
        later,
        waived,
    })
}

/// What the demands of `usage` cost on the bills they lie on, ascending, after what `history` holds; `None` without a price.
pub(super) fn demand_cost(contracts: &[Contract], mut history: History, usage: &[Usage]) -> Option<Amount> {
    let of_period = |(period, rows)| {
        let tally = Tally::of(period, period::parts(contracts, period), rows)?;
        if let Some(counted) = tally.counted() {
            history.raise(period.month, counted.kw);
        }
        Some(demand::cost(contracts, &tally, &mut history, &mut Vec::new()))
    };
    by_period(contracts, usage).into_iter().map(of_period).sum()
}

/// How a period's power factors are billed.
#[derive(Debug)]
pub(crate) struct PowerFactorBill<'a> {
    /// The contract that they are judged by.
    pub(crate) contract: &'a Contract,
    /// Demand whose charge is raised, kW.
    pub(crate) billed_kw: Decimal,
    /// Time seen with trusted readings, ms.
    pub(crate) seen_ms: i64,
    /// A surcharge is waived: it is the first ever.
    pub(crate) is_notice: bool,
    /// First month with a surcharge, this one included.
    pub(crate) first_surcharge: Option<Date>,
    /// Lagging, then leading, as far as they are known.
    pub(crate) standings: Vec<Standing>,
}

/// One mean power factor.
#[derive(Debug)]
pub(crate) struct Standing {
    pub(crate) is_leading: bool,
    /// As measured, percent.
    pub(crate) measured_pct: f64,
    pub(crate) reference_pct: Decimal,
    /// Percents below the reference, as billed.
    pub(crate) missing_pct: Decimal,
    /// What the bill adds for it; 0 in the month of the notice.
    pub(crate) surcharge: Amount,
}

/// How power factors are billed for a period, after what `history` holds and `usage` of it, ascending; `None` without a rule
/// or anything measured.
pub(super) fn power_factors<'a>(
    contracts: &'a [Contract],
    mut history: History,
    period: Period,
    usage: &[Usage],
) -> Option<PowerFactorBill<'a>> {
    let tally = Tally::of(period, period::parts(contracts, period), usage)?;
    let demands = demand::billed_demands(&tally, &history);
    let of_demand = demand::demand_charges(&tally, &demands);
    let charges = demand::power_factor_charges(&tally, &of_demand, &mut history, &mut Vec::new());
    let factors_of = |part: &PartTally<'_>| tally.power_factors[part.group];
    let is_measured = |part: &&PartTally<'_>| factors_of(part).lag_pct.or(factors_of(part).lead_pct).is_some();
    let part = tally.parts.iter().rev().find(is_measured)?;
    let (contract, rule) = (part.part.edition.contract, part.part.edition.judged_power_factor()?);
    let factors = factors_of(part);
    let standing = |is_leading, measured_pct: Option<f64>, reference_pct: Option<Decimal>| {
        let (measured_pct, reference_pct) = (measured_pct?, reference_pct?);
        let item = if is_leading {
            "power_factor_lead"
        } else {
            "power_factor_lag"
        };
        let is_surcharge = |charge: &&Charge| charge.item == item && charge.line.amount > Decimal::ZERO;
        let billed_pct = billed_pct(measured_pct, contract.rules.rounding.power_factor_pct);
        Some(Standing {
            is_leading,
            measured_pct,
            reference_pct,
            missing_pct: (reference_pct - billed_pct).max(Decimal::ZERO),
            surcharge: demand::levied(&tally, charges.iter().filter(is_surcharge)),
        })
    };
    let lag = standing(false, factors.lag_pct, Some(rule.lag_reference_pct));
    let lead = standing(true, factors.lead_pct, rule.lead_reference_pct);
    let billed = &demands[part.index];
    Some(PowerFactorBill {
        contract,
        billed_kw: billed.billing_kw.max(billed.floor_kw),
        seen_ms: (tally.seen_min * 60_000.0) as i64,
        is_notice: history.first_surcharge == Some(period.month),
        first_surcharge: history.first_surcharge,
        standings: lag.into_iter().chain(lead).collect(),
    })
}

/// The running period with a demand at an instant, raised step by step.
struct Running<'a> {
    contracts: &'a [Contract],
    contract: &'a Contract,
    at: Timestamp,
    tally: Tally<'a>,
    history: History,
    /// What the newest bill says beside its figures.
    notes: Vec<Note>,
}

impl<'a> Running<'a> {
    fn of(contracts: &'a [Contract], history: &History, usage: &[Usage], at: Timestamp) -> Option<Self> {
        let contract = contract_at(contracts, at)?;
        let period = Period::at(contracts, contract.local(at).date())?;
        let (from, to) = period.bounds(&contract.rules.zone);
        let first = usage.partition_point(|row| row.start < from);
        let end = usage.partition_point(|row| row.start < to);
        let tally = Tally::of(period, period::parts(contracts, period), &usage[first..end])?;
        Some(Self {
            contracts,
            contract,
            at,
            tally,
            history: history.clone(),
            notes: Vec::new(),
        })
    }

    /// Demand charges of the period with a demand of `kw` at the instant.
    fn raised(&mut self, kw: Decimal) -> Amount {
        self.tally.raise(self.at, kw);
        if let Some(counted) = self.tally.counted() {
            self.history.raise(self.tally.period.month, counted.kw);
        }
        self.notes.clear();
        // What a first month leaves behind is not of the bills before it.
        demand::cost(self.contracts, &self.tally, &mut self.history.clone(), &mut self.notes)
    }

    fn step(&mut self, above_kw: Decimal) -> DemandStep {
        let before = self.raised(above_kw);
        let per_kw = self.raised(above_kw + Decimal::ONE).less(before);
        DemandStep { above_kw, per_kw }
    }

    /// From where on another kW costs another amount, and why the excess is waived if it is: each demand at which some
    /// part of the period begins to be billed more is tried.
    fn steps(&mut self, edition: &Edition<'_>, rule: &DemandRule) -> (Vec<DemandStep>, Option<Note>) {
        let month = self.tally.period.month;
        let local = self.contract.local(self.at);
        let slot = edition.slot(self.contract.day_kind(local.date()), local.month(), local.hour());
        let band = slot.map(|slot| slot.demand_band);
        let mut tried: Vec<Decimal> = Vec::new();
        for part in &self.tally.parts {
            let contract = part.part.edition.contract;
            if band.is_some_and(|band| rule.counts(band)) {
                tried.push(ratchet::billed(contract, month, &self.history).billing_kw);
            }
            if contract.rules.excess.is_some() {
                tried.extend(Decimal::from_f64(contract.contract_kw).map(|kw| kw.max(self.highest_kw())));
            }
        }
        let by_band = edition.prices.demand_by_band_per_kw.get(edition.season);
        let of_band = band.filter(|band| by_band.is_some_and(|bands| bands.contains_key(band)));
        tried.extend(of_band.map(|band| self.tally.band_peak_kw(band)));
        tried.sort_unstable();
        tried.dedup();
        let mut steps: Vec<DemandStep> = Vec::new();
        for above_kw in tried {
            // The one before was looked at a kW above where it begins.
            let step = self.step(above_kw.max(steps.last().map_or(above_kw, |last| last.above_kw + Decimal::ONE)));
            let before = steps.last().map_or(Decimal::ZERO, |last| last.per_kw.net);
            // By days a kW costs what divisions by the days of the month leave: the same twice but for its last places.
            if step.per_kw.net.round_dp(COST_PLACES) != before.round_dp(COST_PLACES) {
                steps.push(DemandStep { above_kw, ..step });
            }
        }
        let is_waiver = |note: &Note| note.code == "excess_notice" || note.code == "contract_raised";
        let waived = self.notes.drain(..).find(is_waiver);
        (steps, waived)
    }

    /// How many later bills a demand of this month may be billed on: each until the maxima known beside it are higher.
    fn later(&self, rule: &DemandRule) -> Vec<LaterStep> {
        let month = self.tally.period.month;
        if !rule.ratchet_months.contains(&month.month()) || !self.contract.demand_counts_at(self.at) {
            return Vec::new();
        }
        let billed_kw = |ahead: u8| {
            let later = month.saturating_add(i32::from(ahead).months());
            ratchet::billed(self.contract, later, &self.history).billing_kw / rule.ratchet_share
        };
        let mut above_kw: Vec<Decimal> = (1..rule.months_back).map(billed_kw).collect();
        above_kw.sort_unstable();
        let mut steps: Vec<LaterStep> = Vec::new();
        for (kw, n_bills) in above_kw.into_iter().zip(1..) {
            match steps.last_mut() {
                Some(last) if last.above_kw == kw => last.n_bills = n_bills,
                _ => steps.push(LaterStep { above_kw: kw, n_bills }),
            }
        }
        steps
    }

    /// Highest demand of any hour under the instant's contract, kW.
    fn highest_kw(&self) -> Decimal {
        let is_alike = |part: &PartTally<'_>| part.part.edition.contract.contract_kw == self.contract.contract_kw;
        self.tally.peak(is_alike).map_or(Decimal::ZERO, |peak| peak.kw)
    }
}
