//! `low_power_factor`: the month's mean power factor, as the tariff's rule takes it, stands below the reference.
//!
//! Lagging by day and leading by night are two findings. Intervals of the running month that are told again are added up
//! again; of a month that is over the finding stays as it stood at its end, and its bill says what became of it. It speaks once `after` of the billing period has been seen, and
//! its finding ends with the period, or when the mean itself, not the rounded one, has come back to the reference. The harm is money, not kWh: the cost is what the
//! bill would add as the month stands, nothing in the first month ever, which is a notice. It sizes no capacitor.

use jiff::{Timestamp, civil::Date};
use rust_decimal::{Decimal, RoundingStrategy, prelude::ToPrimitive};
use serde::{Deserialize, Serialize};

use super::{Detector, Moment, Setting, Tick, after, setting_ms};
use crate::{
    finding::{Condition, Finding, Kind, Money, Severity, Title},
    interval::{Interval, meter::timestamp},
    site::{Machine, Site},
    tariff::{
        Contract, PowerFactorRule,
        bill::{Usage, month_of},
        contract_at,
        power_factor::{Judge, PowerFactors},
    },
    unit::rounded,
};

/// Five days hold two hundred half hours: enough that a Monday's start-up is not taken for the month.
pub(super) const SETTINGS: &[Setting] = &[after(5.0 * 86_400.0)];

/// State of this detector at the site.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct LowPowerFactor {
    month: Option<Date>,
    factors: PowerFactors,
    seen_ms: i64,
    /// Start of the first interval taken and end of the newest, ms.
    from_ms: i64,
    until_ms: i64,
    /// An interval of the month has been told again since they were judged.
    is_retold: bool,
    lag: Side,
    lead: Side,
    /// First billing month with a surcharge: a notice.
    first_surcharge: Option<Date>,
}

/// One of the two means.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Side {
    /// Start of the first interval that counts, ms.
    since_ms: Option<i64>,
    detected_ms: Option<i64>,
    /// Percents below the reference as last written.
    written: Option<i64>,
}

/// Which mean, and how it stands.
#[derive(Clone, Copy)]
struct Standing {
    is_leading: bool,
    measured_pct: f64,
    reference: Decimal,
    /// Whole percents below the reference.
    missing: Decimal,
}

impl Standing {
    fn has_recovered(&self) -> bool {
        self.reference
            .to_f64()
            .is_some_and(|reference_pct| self.measured_pct >= reference_pct)
    }
}

impl Detector for LowPowerFactor {
    fn tick(&mut self, tick: &Tick<'_>, machine: &Machine, out: &mut Vec<Finding>) {
        for interval in tick.closed {
            self.take_closed(tick, interval, machine, out);
        }
        let contracts = &tick.site.contracts;
        let is_of_month = |interval: &Interval| month_of(contracts, interval.start) == self.month;
        self.is_retold |= tick.retold.iter().any(is_of_month);
        if !tick.closed.is_empty() || tick.moment == Moment::Last {
            self.judge(tick, machine, out);
        }
    }
}

impl LowPowerFactor {
    fn take_closed(&mut self, tick: &Tick<'_>, interval: &Interval, machine: &Machine, out: &mut Vec<Finding>) {
        let month = month_of(&tick.site.contracts, interval.start);
        if month != self.month {
            self.end(tick, machine, out);
            *self = Self {
                month,
                first_surcharge: self.first_surcharge,
                ..Self::default()
            };
        }
        self.take(tick.site, &Usage::from(interval));
    }

    fn take(&mut self, site: &Site, usage: &Usage) {
        let Some((contract, rule)) = rule_at(site, usage.start) else {
            return;
        };
        let (local, start_ms) = (contract.local(usage.start), usage.start.as_millisecond());
        let length_ms = i64::from(usage.minutes) * 60_000;
        if self.until_ms == 0 {
            self.from_ms = start_ms;
        }
        self.until_ms = start_ms + length_ms;
        for (side, hours) in [(&mut self.lag, Some(rule.lag_hours)), (&mut self.lead, rule.lead_hours)] {
            if hours.is_some_and(|hours| hours.contains(local.hour())) {
                side.since_ms.get_or_insert(start_ms);
            }
        }
        let judge = Judge {
            rule,
            is_low_voltage: contract.tariff.low_voltage,
        };
        self.factors.take(judge, usage, local.hour(), i64::from(local.minute()));
        self.seen_ms += (usage.coverage * length_ms as f64) as i64;
    }

    /// Adds the month up anew, as its intervals are told now.
    fn take_again(&mut self, tick: &Tick<'_>) {
        (self.factors, self.seen_ms) = (PowerFactors::default(), 0);
        for usage in tick.billing.usage(self.from_ms, self.until_ms) {
            self.take(tick.site, &usage);
        }
    }

    /// Opens, renews and closes findings as the means stand.
    fn judge(&mut self, tick: &Tick<'_>, machine: &Machine, out: &mut Vec<Finding>) {
        if std::mem::take(&mut self.is_retold) {
            self.take_again(tick);
        }
        if self.seen_ms < setting_ms(machine, Kind::LowPowerFactor, "after") {
            return;
        }
        for standing in self.standings(tick.site) {
            let side = if standing.is_leading {
                &mut self.lead
            } else {
                &mut self.lag
            };
            let missing = standing.missing.to_i64().unwrap_or(0);
            if missing > 0 {
                side.detected_ms.get_or_insert(tick.at_ms);
                self.first_surcharge = self.first_surcharge.or(self.month);
                if side.written != Some(missing) || tick.moment == Moment::Last {
                    side.written = Some(missing);
                    out.extend(self.finding(tick, machine, standing, Condition::Open));
                }
            } else if side.detected_ms.is_some() && standing.has_recovered() {
                out.extend(self.finding(tick, machine, standing, Condition::Closed));
                let side = if standing.is_leading {
                    &mut self.lead
                } else {
                    &mut self.lag
                };
                *side = Side::default();
            }
        }
    }

    /// The period is over: what is open closes as it stands.
    fn end(&mut self, tick: &Tick<'_>, machine: &Machine, out: &mut Vec<Finding>) {
        for standing in self.standings(tick.site) {
            let side = if standing.is_leading { &self.lead } else { &self.lag };
            if side.detected_ms.is_some() {
                out.extend(self.finding(tick, machine, standing, Condition::Closed));
            }
        }
    }

    fn standings(&self, site: &Site) -> Vec<Standing> {
        let Some((contract, rule)) = rule_at(site, timestamp(self.until_ms - 1)) else {
            return Vec::new();
        };
        let factors = self.factors.factors(rule);
        let lag = factors.lag_pct.map(|pct| (false, pct, rule.lag_reference_pct));
        let lead = factors
            .lead_pct
            .zip(rule.lead_reference_pct)
            .map(|(pct, reference)| (true, pct, reference));
        let step = contract.rules.rounding.power_factor_pct;
        let standing = |(is_leading, measured_pct, reference)| Standing {
            is_leading,
            measured_pct,
            reference,
            missing: reference - crate::tariff::bill::billed_pct(measured_pct, step),
        };
        lag.into_iter().chain(lead).map(standing).collect()
    }

    fn finding(&self, tick: &Tick<'_>, machine: &Machine, standing: Standing, state: Condition) -> Option<Finding> {
        let side = if standing.is_leading { &self.lead } else { &self.lag };
        let since = timestamp(side.since_ms?);
        let until = timestamp(self.until_ms);
        let missing = standing.missing.max(Decimal::ZERO);
        let is_notice = self.first_surcharge == self.month;
        let charge = charge(tick, timestamp(self.until_ms - 1), missing);
        let money = |pick: fn(&Charge) -> Decimal| {
            let charge = charge.as_ref()?;
            let amount = if is_notice { Decimal::ZERO } else { pick(charge) };
            let decimals = charge.decimals;
            Some(Money {
                amount: amount.round_dp_with_strategy(decimals, RoundingStrategy::MidpointAwayFromZero),
                currency: charge.currency.clone(),
            })
        };
        let number = |value: Decimal| value.to_f64().unwrap_or(0.0);
        let mut why = vec![
            ("power_factor_pct", standing.measured_pct),
            ("reference_pct", number(standing.reference)),
            ("missing_pct", number(missing)),
            ("is_leading", f64::from(u8::from(standing.is_leading))),
            ("is_notice", f64::from(u8::from(is_notice))),
            ("duration_s", (self.until_ms - side.since_ms?) as f64 / 1000.0),
        ];
        why.extend(charge.as_ref().map(|charge| ("billed_kw", number(charge.billed_kw))));
        Some(Finding {
            id: Finding::id(Kind::LowPowerFactor, &machine.name, since),
            kind: Kind::LowPowerFactor,
            machine: machine.name.clone(),
            meter: machine.meter.clone(),
            since,
            detected_at: timestamp(side.detected_ms?),
            until: (state == Condition::Closed).then_some(until),
            state,
            severity: Severity::P3,
            energy_kwh: None,
            energy_kwh_low: None,
            energy_kwh_high: None,
            cost: money(|charge| charge.gross),
            cost_net: money(|charge| charge.net),
            kgco2e: None,
            confidence: rounded(self.seen_ms as f64 / (self.until_ms - side.since_ms?).max(1) as f64, 2).min(1.0),
            why: why
                .into_iter()
                .map(|(name, value)| (name.to_owned(), rounded(value, 3)))
                .collect(),
            title: title(machine, standing, is_notice),
        })
    }
}

/// The contract and its power-factor rule; `None` where power factor is not charged for.
fn rule_at(site: &Site, at: Timestamp) -> Option<(&Contract, &PowerFactorRule)> {
    let contract = contract_at(&site.contracts, at).filter(|contract| contract.reactive_meter)?;
    let edition = contract.edition_of(contract.local(at).date())?;
    Some((contract, edition.judged_power_factor()?))
}

/// What the bill would add.
struct Charge {
    billed_kw: Decimal,
    net: Decimal,
    gross: Decimal,
    decimals: u32,
    currency: String,
}

fn charge(tick: &Tick<'_>, at: Timestamp, missing: Decimal) -> Option<Charge> {
    let (contract, rule) = rule_at(tick.site, at)?;
    let billed_kw = tick.billing.billed(&tick.site.contracts, at)?.billing_kw;
    let (net_per_kw, gross_per_kw) = contract.demand_price_at(at)?;
    let share = rule.share_per_pct * missing;
    Some(Charge {
        billed_kw,
        net: billed_kw * net_per_kw * share,
        gross: billed_kw * gross_per_kw * share,
        decimals: contract.rules.decimals,
        currency: contract.rules.currency.clone(),
    })
}

fn title(machine: &Machine, standing: Standing, is_notice: bool) -> Title {
    let (name, pct, reference) = (&machine.name, standing.measured_pct, standing.reference);
    let (side_ko, side_en) = if standing.is_leading {
        ("야간 진상역률", "leading power factor by night")
    } else {
        ("주간 지상역률", "lagging power factor by day")
    };
    let (notice_ko, notice_en) = if is_notice {
        (", 예고 달", ", a notice this month")
    } else {
        ("", "")
    };
    Title {
        ko: format!("{name}: 이번 달 {side_ko} {pct:.1} % (기준 {reference} %{notice_ko})"),
        en: format!("{name}: {side_en} {pct:.1} % this month (reference {reference} %{notice_en})"),
    }
}
