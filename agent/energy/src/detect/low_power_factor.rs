//! `low_power_factor`: the month's mean power factor, as the tariff's rule takes it, stands below the reference.
//!
//! Lagging by day and leading by night are two findings. At the end of each day the running month is billed as it is told
//! then (see `Billing`), and what that bill says is said: what is missing after its rounding, and what it adds, which is
//! nothing in the first month ever, a notice. A finding opens once `after` of the month has been seen, and ends with the
//! month, or when nothing is missing any more. Of a month that is over the finding stays as it stood at its end, and its
//! bill says what became of it. The harm is money, not kWh. It sizes no capacitor.

use jiff::civil::Date;
use rust_decimal::{Decimal, RoundingStrategy, prelude::ToPrimitive};
use serde::{Deserialize, Serialize};

use super::{Detector, Moment, Setting, Tick, after, setting_ms};
use crate::{
    finding::{Condition, Finding, Kind, Money, Severity, Title},
    interval::{Interval, point::timestamp},
    site::Machine,
    tariff::{
        bill::{PowerFactorBill, Standing, month_of},
        contract_at,
    },
    unit::rounded,
};

/// Five days hold two hundred half hours: enough that a Monday's start-up is not taken for the month.
pub(super) const SETTINGS: &[Setting] = &[after(5.0 * 86_400.0)];

/// State of this detector at the site.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct LowPowerFactor {
    month: Option<Date>,
    /// End of the newest interval, ms.
    until_ms: i64,
    lag: Side,
    lead: Side,
    /// First billing month that ended with a surcharge: a notice.
    first_surcharge: Option<Date>,
}

/// One of the two means.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Side {
    /// Start of the first interval that counts, ms.
    since_ms: Option<i64>,
    detected_ms: Option<i64>,
}

impl Detector for LowPowerFactor {
    fn tick(&mut self, tick: &Tick<'_>, machine: &Machine, out: &mut Vec<Finding>) {
        for interval in tick.closed {
            let month = month_of(&tick.site.contracts, interval.start);
            if month != self.month {
                self.judge(tick, machine, true, out);
                *self = Self {
                    month,
                    first_surcharge: self.first_surcharge,
                    ..Self::default()
                };
            }
            if self.take(tick, interval) {
                self.judge(tick, machine, false, out);
            }
        }
        if tick.moment == Moment::Last {
            self.judge(tick, machine, false, out);
        }
    }
}

impl LowPowerFactor {
    /// Takes an interval; whether a day ends with it.
    fn take(&mut self, tick: &Tick<'_>, interval: &Interval) -> bool {
        self.until_ms = interval.end.as_millisecond();
        let Some(contract) = contract_at(&tick.site.contracts, interval.start) else {
            return false;
        };
        let (start, end) = (contract.local(interval.start), contract.local(interval.end));
        let edition = contract.edition_of(start.date());
        let Some(rule) = edition.and_then(|edition| edition.judged_power_factor()) else {
            return false;
        };
        for (side, hours) in [(&mut self.lag, Some(rule.lag_hours)), (&mut self.lead, rule.lead_hours)] {
            if hours.is_some_and(|hours| hours.contains(start.hour())) {
                side.since_ms.get_or_insert(interval.start.as_millisecond());
            }
        }
        start.date() != end.date()
    }

    /// Opens, renews and closes findings as the month is billed now.
    fn judge(&mut self, tick: &Tick<'_>, machine: &Machine, is_over: bool, out: &mut Vec<Finding>) {
        let until = timestamp(self.until_ms);
        let billed = tick
            .billing
            .power_factors(&tick.site.contracts, until, self.first_surcharge);
        let Some(bill) = billed else { return };
        let is_known = bill.seen_ms >= setting_ms(machine, Kind::LowPowerFactor, "after");
        for standing in &bill.standings {
            let side = if standing.is_leading {
                &mut self.lead
            } else {
                &mut self.lag
            };
            let is_missing = standing.missing_pct > Decimal::ZERO;
            if is_known && is_missing {
                side.detected_ms.get_or_insert(tick.at_ms);
            }
            let (Some(since_ms), Some(detected_ms)) = (side.since_ms, side.detected_ms) else {
                continue;
            };
            let state = if is_over || !is_missing {
                *side = Side::default();
                Condition::Closed
            } else {
                Condition::Open
            };
            let times_ms = (since_ms, detected_ms, self.until_ms);
            out.push(finding(machine, &bill, standing, times_ms, state));
        }
        if is_over {
            self.first_surcharge = bill.first_surcharge;
        }
    }
}

fn finding(
    machine: &Machine,
    bill: &PowerFactorBill<'_>,
    standing: &Standing,
    (since_ms, detected_ms, until_ms): (i64, i64, i64),
    state: Condition,
) -> Finding {
    let since = timestamp(since_ms);
    let rules = &bill.contract.rules;
    let money = |amount: Decimal| Money {
        amount: amount.round_dp_with_strategy(rules.decimals, RoundingStrategy::MidpointAwayFromZero),
        currency: rules.currency.clone(),
    };
    let number = |value: Decimal| value.to_f64().unwrap_or(0.0);
    let is_notice = bill.is_notice && standing.missing_pct > Decimal::ZERO;
    let why = [
        ("power_factor_pct", standing.measured_pct),
        ("reference_pct", number(standing.reference_pct)),
        ("missing_pct", number(standing.missing_pct)),
        ("is_leading", f64::from(u8::from(standing.is_leading))),
        ("is_notice", f64::from(u8::from(is_notice))),
        ("duration_s", (until_ms - since_ms) as f64 / 1000.0),
        ("billed_kw", number(bill.billed_kw)),
    ];
    Finding {
        id: Finding::id(Kind::LowPowerFactor, &machine.name, since),
        kind: Kind::LowPowerFactor,
        machine: machine.name.clone(),
        meter: machine.meter.clone(),
        since,
        detected_at: timestamp(detected_ms),
        until: (state == Condition::Closed).then(|| timestamp(until_ms)),
        state,
        severity: Severity::P3,
        energy_kwh: None,
        energy_kwh_low: None,
        energy_kwh_high: None,
        cost: Some(money(standing.surcharge.gross)),
        cost_net: Some(money(standing.surcharge.net)),
        kgco2e: None,
        confidence: rounded(bill.seen_ms as f64 / (until_ms - since_ms).max(1) as f64, 2).min(1.0),
        why: why.map(|(name, value)| (name.to_owned(), rounded(value, 3))).into(),
        title: title(machine, standing, is_notice),
    }
}

fn title(machine: &Machine, standing: &Standing, is_notice: bool) -> Title {
    let (name, pct, reference) = (&machine.name, standing.measured_pct, standing.reference_pct);
    let (side_ko, side_en) = if standing.is_leading {
        ("야간 진상역률", "leading power factor by night")
    } else {
        ("주간 지상역률", "lagging power factor by day")
    };
    let (note_ko, note_en) = if is_notice {
        (", 예고 달", ", a notice this month")
    } else if standing.missing_pct.is_zero() {
        (", 청구 역률은 기준 이상", ", not below it as billed")
    } else {
        ("", "")
    };
    Title {
        ko: format!("{name}: 이번 달 {side_ko} {pct:.1} % (기준 {reference} %{note_ko})"),
        en: format!("{name}: {side_en} {pct:.1} % this month (reference {reference} %{note_en})"),
    }
}
