//! `demand_peak`: the running demand interval is about to exceed the target, or has.
//!
//! The forecast is the energy since the interval's start plus the power of the last minute until its end; it is
//! believed from `after` into the interval on, where the step of the meter's register does not decide it, and not while
//! the register has leapt by more than the plant can use: an interval with such a leap is judged once no reading can take
//! it back. A closed interval begins a finding where it is above the target by more than the step of the register can have
//! put there: a counter tells an interval's energy to one step, and what lies within that cannot be told, though the bill
//! takes it as metered. Only intervals in bands that count for the billing demand matter, or demand above the contract.
//! Consecutive intervals above the target are one finding. The harm is kW, not kWh: the cost is what the bills that the
//! finding lies on bear of all its intervals, that is of the kW above the target and above what was billed before it, the
//! surcharge above the contract included. On how many more bills the ratchet may put it stands beside: what later months
//! will draw is not known.

use std::collections::BTreeMap;

use rust_decimal::{Decimal, RoundingStrategy, prelude::ToPrimitive};
use serde::{Deserialize, Serialize};

use super::{Detector, Setting, SettingForm, Tick, after, setting, setting_ms};
use crate::{
    finding::{Condition, Finding, Kind, Money, Severity, Title},
    interval::{
        Interval,
        point::{hours, timestamp},
    },
    now::DemandNow,
    sample::Quality,
    site::{Machine, Site},
    tariff::{
        Contract, Usage,
        bill::{Amount, Billing},
        contract_at,
    },
    unit::rounded,
};

pub(super) const SETTINGS: &[Setting] = &[
    // A third of a quarter hour: earlier the forecast hangs on one start-up.
    after(300.0),
    Setting {
        name: "target_kw",
        form: SettingForm::Power,
        default: None,
        doc: "demand that no interval shall exceed; unset: the contract demand",
    },
];

/// Peaks that are over are remembered for so long, ms: 40 days, as long as an interval may be told again.
const TOLD_MS: i64 = 40 * 86_400_000;

/// State of this detector at the site.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct DemandPeak {
    now: Option<Peak>,
    /// Peaks that are over, by when they began, ms: their intervals may be told again.
    over: BTreeMap<i64, Peak>,
}

/// One or more consecutive intervals above the target.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Peak {
    since_ms: i64,
    detected_ms: i64,
    forecast_kw: Option<f64>,
    /// What was billed when it began, as last said, kW.
    billed_kw: Option<f64>,
    /// Highest demand of an interval that has ended, kW.
    demand_kw: Option<f64>,
    /// The meter itself did not say it: it was spread, or repaired.
    is_estimated: bool,
    /// End of the newest interval that ended above the target, ms.
    exceeded_until_ms: Option<i64>,
    is_written: bool,
}

impl Detector for DemandPeak {
    fn tick(&mut self, tick: &Tick<'_>, machine: &Machine, out: &mut Vec<Finding>) {
        for interval in tick.retold {
            self.take_retold(tick, interval, machine, out);
        }
        if !tick.retold.is_empty() {
            self.bill_again(tick, machine, out);
        }
        for interval in tick.closed {
            self.take_closed(tick, interval, machine, out);
        }
        if let Some(demand) = tick.demand {
            self.take_running(tick, demand, machine, out);
        }
    }
}

impl DemandPeak {
    fn take_closed(&mut self, tick: &Tick<'_>, interval: &Interval, machine: &Machine, out: &mut Vec<Finding>) {
        let Some(Judged {
            demand_kw,
            exceeds,
            is_sure,
        }) = Judged::of(tick, interval, machine)
        else {
            return;
        };
        let (start_ms, end_ms) = (interval.start.as_millisecond(), interval.end.as_millisecond());
        // It was held back until its peak, a forecast, was over.
        let is_over = self.over.contains_key(&start_ms);
        if is_over || self.now.is_none() && self.over_at(start_ms, exceeds).is_some() {
            self.write(tick, machine, Condition::Closed, out);
            self.take_retold(tick, interval, machine, out);
            return;
        }
        let is_new = |peak: &Peak| peak.exceeded_until_ms.is_some_and(|until_ms| until_ms < start_ms);
        if self.now.as_ref().is_some_and(is_new) {
            self.write(tick, machine, Condition::Closed, out);
        }
        // What cannot be told begins no peak, and ends none.
        if is_sure || exceeds && self.now.as_ref().is_some_and(|peak| peak.since_ms <= start_ms) {
            let peak = self.now.get_or_insert_with(|| Peak::new(tick, start_ms, None));
            peak.reach(demand_kw, interval.quality);
            peak.exceeded_until_ms = Some(end_ms);
            self.write(tick, machine, Condition::Open, out);
        } else if let Some(peak) = self.now.as_mut().filter(|peak| peak.since_ms <= start_ms) {
            if peak.exceeded_until_ms.is_none() {
                // The forecast did not come true.
                peak.reach(demand_kw, interval.quality);
                peak.exceeded_until_ms = Some(end_ms);
            }
            self.write(tick, machine, Condition::Closed, out);
        }
    }

    fn take_running(&mut self, tick: &Tick<'_>, demand: &DemandNow, machine: &Machine, out: &mut Vec<Finding>) {
        let start_ms = demand.start.as_millisecond();
        let (Some(forecast_kw), Some(target_kw)) = (demand.forecast_kw, target(machine, tick.site, demand.start))
        else {
            return;
        };
        if tick.at_ms - start_ms < setting_ms(machine, Kind::DemandPeak, "after") {
            return;
        }
        let exceeds = |kw: f64| kw > target_kw && counts(tick.site, demand.start, kw);
        if exceeds(forecast_kw - tick.error_kw) {
            let peak = self
                .now
                .get_or_insert_with(|| Peak::new(tick, start_ms, Some(forecast_kw)));
            raise(&mut peak.forecast_kw, forecast_kw);
            if !peak.is_written {
                self.write(tick, machine, Condition::Open, out);
            }
        } else if !exceeds(forecast_kw + tick.error_kw)
            && self.now.as_ref().is_some_and(|peak| peak.since_ms < start_ms)
        {
            self.write(tick, machine, Condition::Closed, out);
        }
    }

    /// An interval that was told before, or was not known, is told otherwise: what was said of it is said anew, and a peak
    /// that only this shows is one that is over.
    fn take_retold(&mut self, tick: &Tick<'_>, interval: &Interval, machine: &Machine, out: &mut Vec<Finding>) {
        let Some(Judged { exceeds, is_sure, .. }) = Judged::of(tick, interval, machine) else {
            return;
        };
        let (start_ms, end_ms) = (interval.start.as_millisecond(), interval.end.as_millisecond());
        if let Some(now) = self.now.as_mut().filter(|peak| peak.since_ms <= start_ms) {
            now.reach_again(tick, (start_ms, end_ms), exceeds);
            return;
        }
        let since_ms = match self.over_at(start_ms, exceeds) {
            Some(since_ms) => since_ms,
            None if is_sure => start_ms,
            None => return,
        };
        let new = || Peak::new(tick, since_ms, None);
        let peak = self.over.entry(since_ms).or_insert_with(new);
        peak.reach_again(tick, (start_ms, end_ms), exceeds);
        out.push(peak.finding(tick, machine, Condition::Closed));
    }

    /// Says anew the peaks that are over and before which another demand was billed, as intervals are told now.
    fn bill_again(&mut self, tick: &Tick<'_>, machine: &Machine, out: &mut Vec<Finding>) {
        for peak in self.over.values_mut() {
            let billed_kw = peak.billed_before(tick);
            if billed_kw != peak.billed_kw {
                out.push(peak.finding(tick, machine, Condition::Closed));
            }
        }
    }

    /// When the peak that is over began, ms, of which the interval that begins at `start_ms` is one, or the next.
    fn over_at(&self, start_ms: i64, exceeds: bool) -> Option<i64> {
        let (since_ms, peak) = self.over.range(..=start_ms).next_back()?;
        let is_next = exceeds && peak.exceeded_until_ms == Some(start_ms);
        (is_next || peak.holds(start_ms)).then_some(*since_ms)
    }

    fn write(&mut self, tick: &Tick<'_>, machine: &Machine, state: Condition, out: &mut Vec<Finding>) {
        let Some(peak) = &mut self.now else { return };
        peak.is_written = true;
        out.push(peak.finding(tick, machine, state));
        if state == Condition::Closed {
            self.over.extend(self.now.take().map(|peak| (peak.since_ms, peak)));
            self.over.retain(|since_ms, _| tick.at_ms - since_ms <= TOLD_MS);
        }
    }
}

/// How a closed interval lies to the target.
struct Judged {
    demand_kw: f64,
    /// As metered, it is above it and matters.
    exceeds: bool,
    /// … by more than the step of the register.
    is_sure: bool,
}

impl Judged {
    /// `None` where its demand or the target is not known.
    fn of(tick: &Tick<'_>, interval: &Interval, machine: &Machine) -> Option<Self> {
        let (demand_kw, at) = (interval.demand_kw()?, interval.start);
        let target_kw = target(machine, tick.site, at)?;
        let exceeds = |kw: f64| kw > target_kw && counts(tick.site, at, kw);
        let step_kw = tick.step_kwh / hours(interval.end.as_millisecond() - at.as_millisecond());
        Some(Self {
            demand_kw,
            exceeds: exceeds(demand_kw),
            is_sure: exceeds(demand_kw - step_kw),
        })
    }
}

impl Peak {
    fn new(tick: &Tick<'_>, since_ms: i64, forecast_kw: Option<f64>) -> Self {
        Self {
            since_ms,
            detected_ms: tick.at_ms,
            forecast_kw,
            billed_kw: None,
            demand_kw: None,
            is_estimated: false,
            exceeded_until_ms: None,
            is_written: false,
        }
    }

    /// An interval has ended.
    fn reach(&mut self, demand_kw: f64, quality: Quality) {
        if self.demand_kw.is_none_or(|highest_kw| demand_kw > highest_kw) {
            self.demand_kw = Some(demand_kw);
            self.is_estimated = quality != Quality::Ok;
        }
    }

    /// Whether the interval that begins at `start_ms` is one of it: the first, or one up to its end.
    fn holds(&self, start_ms: i64) -> bool {
        self.since_ms == start_ms || self.exceeded_until_ms.is_some_and(|until_ms| start_ms < until_ms)
    }

    /// One of its intervals is told again: of all, the highest counts as they are told now.
    fn reach_again(&mut self, tick: &Tick<'_>, (start_ms, end_ms): (i64, i64), exceeds: bool) {
        let is_only = start_ms == self.since_ms && self.exceeded_until_ms.is_none_or(|until_ms| until_ms <= end_ms);
        if exceeds || is_only {
            self.exceeded_until_ms = self.exceeded_until_ms.max(Some(end_ms));
        }
        self.demand_kw = None;
        let until_ms = self.exceeded_until_ms.unwrap_or(end_ms);
        for usage in tick.billing.usage(self.since_ms, until_ms) {
            if let Some(demand_kw) = usage.demand_kw() {
                self.reach(demand_kw, usage.quality);
            }
        }
    }

    /// What was billed when it began, by what was drawn before, kW; `None` without a demand meter: there another kW costs
    /// nothing.
    fn billed_before(&self, tick: &Tick<'_>) -> Option<f64> {
        let billed = tick.billing.billed(&tick.site.contracts, timestamp(self.since_ms))?;
        billed.billing_kw.to_f64()
    }

    /// What the bills bear of what lies above the target; of a forecast, were it to come true.
    fn cost(&self, tick: &Tick<'_>, machine: &Machine) -> Option<Amount> {
        let Tick { site, billing, .. } = tick;
        let forecast = || {
            let minutes = u16::try_from(site.demand_interval.as_mins()).ok()?;
            Some(Usage::of_demand(timestamp(self.since_ms), minutes, self.forecast_kw?))
        };
        let intervals = match self.exceeded_until_ms {
            Some(until_ms) => billing.highest(self.since_ms, until_ms),
            None => forecast().into_iter().collect(),
        };
        let cap_kw = |at| target(machine, site, at).unwrap_or(f64::INFINITY);
        billing.cost(&site.contracts, timestamp(self.since_ms), &intervals, cap_kw)
    }

    fn finding(&mut self, tick: &Tick<'_>, machine: &Machine, state: Condition) -> Finding {
        self.billed_kw = self.billed_before(tick);
        let since = timestamp(self.since_ms);
        let target_kw = target(machine, tick.site, since).unwrap_or(0.0);
        let peak_kw = self.demand_kw.or(self.forecast_kw).unwrap_or(0.0);
        let excess_kw = (peak_kw - target_kw).max(0.0);
        let contracts = &tick.site.contracts;
        let contract = contract_at(contracts, since).filter(|_| self.billed_kw.is_some());
        let cost = contract.and_then(|contract| Some((contract, self.cost(tick, machine)?)));
        let mut why = vec![("target_kw", target_kw), ("excess_kw", excess_kw)];
        why.extend(self.forecast_kw.map(|kw| ("forecast_kw", kw)));
        why.extend(self.demand_kw.map(|kw| ("demand_kw", kw)));
        why.extend(contract.map(|contract| ("contract_kw", contract.contract_kw)));
        why.extend(self.billed_kw.map(|kw| ("billed_kw", kw)));
        why.extend(Billing::n_bills(contracts, since).map(|n| ("n_bills", f64::from(n))));
        Finding {
            id: Finding::id(Kind::DemandPeak, &machine.name, since),
            kind: Kind::DemandPeak,
            machine: machine.name.clone(),
            meter: machine.meter.clone(),
            since,
            detected_at: timestamp(self.detected_ms),
            until: (state == Condition::Closed).then(|| timestamp(self.exceeded_until_ms.unwrap_or(tick.at_ms))),
            state,
            severity: Severity::P1,
            energy_kwh: None,
            energy_kwh_low: None,
            energy_kwh_high: None,
            cost: cost.map(|(contract, cost)| money(contract, cost.gross)),
            cost_net: cost.map(|(contract, cost)| money(contract, cost.net)),
            kgco2e: None,
            confidence: if self.demand_kw.is_some() && !self.is_estimated {
                1.0
            } else {
                0.7
            },
            why: why
                .into_iter()
                .map(|(name, value)| (name.to_owned(), rounded(value, 3)))
                .collect(),
            title: self.title(machine, target_kw),
        }
    }

    fn title(&self, machine: &Machine, target_kw: f64) -> Title {
        let name = &machine.name;
        let forecast_kw = self.forecast_kw.unwrap_or(0.0);
        let (ko, en) = if self.is_estimated {
            (" (추정)", " (estimated)")
        } else {
            ("", "")
        };
        match self.demand_kw {
            Some(kw) if kw > target_kw => Title {
                ko: format!("{name}: 최대수요 {kw:.0} kW{ko}, 목표 {target_kw:.0} kW 초과"),
                en: format!("{name}: demand reached {kw:.0} kW{en}, above the target of {target_kw:.0} kW"),
            },
            Some(kw) => Title {
                ko: format!(
                    "{name}: 최대수요 {forecast_kw:.0} kW 예상에서 {kw:.0} kW{ko}로 그침 (목표 {target_kw:.0} kW)"
                ),
                en: format!(
                    "{name}: demand forecast at {forecast_kw:.0} kW ended at {kw:.0} kW{en} (target {target_kw:.0} kW)"
                ),
            },
            None => Title {
                ko: format!("{name}: 최대수요 {forecast_kw:.0} kW 예상, 목표 {target_kw:.0} kW 초과"),
                en: format!("{name}: demand heading for {forecast_kw:.0} kW, above the target of {target_kw:.0} kW"),
            },
        }
    }
}

fn raise(highest: &mut Option<f64>, kw: f64) {
    *highest = Some(highest.map_or(kw, |known| known.max(kw)));
}

/// The demand not to exceed: as set, else the contract's.
pub(crate) fn target(machine: &Machine, site: &Site, at: jiff::Timestamp) -> Option<f64> {
    setting(machine, Kind::DemandPeak, "target_kw")
        .or_else(|| contract_at(&site.contracts, at).map(|contract| contract.contract_kw))
}

/// Whether a demand at this instant can raise the bill: its band counts, or it exceeds the contract. Without a
/// contract every demand counts.
fn counts(site: &Site, at: jiff::Timestamp, demand_kw: f64) -> bool {
    let Some(contract) = contract_at(&site.contracts, at) else {
        return true;
    };
    contract.rules.demand.is_none() || contract.demand_counts_at(at) || demand_kw > contract.contract_kw
}

fn money(contract: &Contract, exact: Decimal) -> Money {
    Money {
        amount: exact.round_dp_with_strategy(contract.rules.decimals, RoundingStrategy::MidpointAwayFromZero),
        currency: contract.rules.currency.clone(),
    }
}
