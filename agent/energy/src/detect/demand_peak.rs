//! `demand_peak`: the running demand interval is about to exceed the target, or has.
//!
//! The forecast is the energy since the interval's start plus the power of the last minute until its end; it is
//! believed from `after` into the interval on, and not while the register has leapt by more than the plant can use: an
//! interval with such a leap is judged once no reading can take it back. Only intervals in bands that count for the billing demand matter, or
//! demand above the contract. Consecutive intervals above the target are one finding. The harm is kW, not kWh: the
//! cost is what one bill bears of it, that is of the kW above the target and above what was billed before, the surcharge
//! above the contract included. On how many more bills the ratchet may put it stands beside: what later months will draw
//! is not known.

use rust_decimal::{Decimal, RoundingStrategy, prelude::ToPrimitive};
use serde::{Deserialize, Serialize};

use super::{Detector, Setting, SettingForm, Tick, after, setting, setting_ms};
use crate::{
    finding::{Condition, Finding, Kind, Money, Severity, Title},
    interval::{Interval, meter::timestamp},
    now::DemandNow,
    sample::Quality,
    site::{Machine, Site},
    tariff::{Contract, bill::Billing, contract_at},
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

/// State of this detector at the site.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct DemandPeak(Option<Peak>);

/// One or more consecutive intervals above the target.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Peak {
    since_ms: i64,
    detected_ms: i64,
    forecast_kw: Option<f64>,
    /// What was billed when the peak began.
    billing: Billing,
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
        let (Some(demand_kw), Some(target_kw)) = (interval.demand_kw(), target(machine, tick.site, interval.start))
        else {
            return;
        };
        let (start_ms, end_ms) = (interval.start.as_millisecond(), interval.end.as_millisecond());
        let is_new = |peak: &Peak| peak.exceeded_until_ms.is_some_and(|until_ms| until_ms < start_ms);
        if self.0.as_ref().is_some_and(is_new) {
            self.write(tick, machine, Condition::Closed, out);
        }
        if demand_kw > target_kw && counts(tick.site, interval.start, demand_kw) {
            let peak = self.0.get_or_insert_with(|| Peak::new(tick, start_ms, None));
            peak.reach(demand_kw, interval.quality);
            peak.exceeded_until_ms = Some(end_ms);
            self.write(tick, machine, Condition::Open, out);
        } else if let Some(peak) = self.0.as_mut().filter(|peak| peak.since_ms <= start_ms) {
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
        if forecast_kw > target_kw && counts(tick.site, demand.start, forecast_kw) {
            let peak = self
                .0
                .get_or_insert_with(|| Peak::new(tick, start_ms, Some(forecast_kw)));
            raise(&mut peak.forecast_kw, forecast_kw);
            if !peak.is_written {
                self.write(tick, machine, Condition::Open, out);
            }
        } else if self.0.as_ref().is_some_and(|peak| peak.since_ms < start_ms) {
            self.write(tick, machine, Condition::Closed, out);
        }
    }

    fn write(&mut self, tick: &Tick<'_>, machine: &Machine, state: Condition, out: &mut Vec<Finding>) {
        let Some(peak) = &mut self.0 else { return };
        peak.is_written = true;
        out.push(peak.finding(tick, machine, state));
        if state == Condition::Closed {
            self.0 = None;
        }
    }
}

impl Peak {
    fn new(tick: &Tick<'_>, since_ms: i64, forecast_kw: Option<f64>) -> Self {
        Self {
            since_ms,
            detected_ms: tick.at_ms,
            forecast_kw,
            billing: tick.billing.clone(),
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

    fn finding(&self, tick: &Tick<'_>, machine: &Machine, state: Condition) -> Finding {
        let since = timestamp(self.since_ms);
        let target_kw = target(machine, tick.site, since).unwrap_or(0.0);
        let peak_kw = self.demand_kw.or(self.forecast_kw).unwrap_or(0.0);
        let excess_kw = (peak_kw - target_kw).max(0.0);
        let contracts = &tick.site.contracts;
        // Without a demand meter another kW costs nothing.
        let billed = self.billing.billed(contracts, since);
        let contract = contract_at(contracts, since).filter(|_| billed.is_some());
        let span = (target_kw.min(peak_kw), peak_kw);
        let cost = contract.and_then(|contract| Some((contract, self.billing.cost(contracts, since, span)?)));
        let mut why = vec![("target_kw", target_kw), ("excess_kw", excess_kw)];
        why.extend(self.forecast_kw.map(|kw| ("forecast_kw", kw)));
        why.extend(self.demand_kw.map(|kw| ("demand_kw", kw)));
        why.extend(contract.map(|contract| ("contract_kw", contract.contract_kw)));
        why.extend(billed.and_then(|billed| Some(("billed_kw", billed.billing_kw.to_f64()?))));
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
