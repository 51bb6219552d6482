//! `meter_reset`: a register was set back or leapt, and nobody has entered a change of the meter. `meter_stuck`: a
//! register stood still, or said nothing, for longer than `after` while energy was used, or said zero for more than a day
//! where it had counted, and nobody can tell whether it was reset.
//!
//! Both are told by the repairs of a meter's intervals; what those mean is decided in `interval/counter.rs`. Invariants:
//! a fault is told once no reading to come can explain it otherwise; consecutive standstills are one finding. The harm
//! is energy that is not known, so no kWh are claimed.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{
    Moment, Setting, SettingForm, Tick, after, default, episode::is_due, in_words, meter_after_ms, meter_finding,
    meter_machine, setting,
};
use crate::{
    finding::{Condition, Finding, Kind, Title},
    interval::{Interval, Patience, Repair, RepairKind, ZERO_MS},
    quantity::Quantity,
    sample::Name,
    site::{Machine, Meter, Site},
};

pub(super) const STUCK: &[Setting] = &[
    after(600.0),
    Setting {
        name: "doubt_after",
        form: SettingForm::Duration,
        default: Some(3600.0),
        doc: "a register beside which no power is read may stand still for so long at least",
    },
    Setting {
        name: "doubt_times",
        form: SettingForm::Number,
        default: Some(3.0),
        doc: "… and for so many times the longest that it has stood still before",
    },
    Setting {
        name: "doubt_known",
        form: SettingForm::Duration,
        default: Some(7.0 * 86_400.0),
        doc: "… and is not doubted before it has been followed for so long: a week has all the hours of a plant",
    },
];
pub(super) const RESET: &[Setting] = &[];

/// Confidence of a standstill that nothing proves: the meter may be stuck, or nothing was used, and neither is likelier.
const DOUBTED: f64 = 0.5;

/// How long a register of a meter at `machine` may stand still before it is doubted.
pub(crate) fn patience(machine: Option<&Machine>) -> Patience {
    let value = |name| match machine {
        Some(machine) => setting(machine, Kind::MeterStuck, name),
        None => default(Kind::MeterStuck, name),
    };
    let ms = |name| (value(name).unwrap_or(0.0) * 1000.0) as i64;
    Patience {
        least_ms: ms("doubt_after"),
        times: value("doubt_times").unwrap_or(1.0),
        known_ms: ms("doubt_known"),
    }
}

/// Faults of all meters that are not told yet.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct MeterFaults(BTreeMap<Name, Faults>);

/// Faults of one meter.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Faults {
    /// Start of the interval, ms → what was repaired in it.
    waiting: BTreeMap<i64, Vec<Fault>>,
    /// The standstill that lasts, as far as it is known.
    stuck: Option<Stuck>,
    /// End of the newest reset told, and of the newest standstill that is over, ms.
    reset_told_ms: Option<i64>,
    stuck_told_ms: Option<i64>,
    /// End of the newest interval in which the register of import counted, ms.
    counted_ms: Option<i64>,
}

/// A repair that is a meter's fault.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Fault {
    kind: Kind,
    quantity: Quantity,
    since_ms: i64,
    until_ms: i64,
    before: f64,
    after: f64,
    /// What the register rose by at a standstill's end, where it has ended.
    jump: Option<f64>,
    /// The longest standstill before, s, where this one is only doubted.
    longest_s: Option<f64>,
    /// The register says zero.
    is_zero: bool,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Stuck {
    since_ms: i64,
    until_ms: i64,
    detected_ms: Option<i64>,
    written_ms: Option<i64>,
    quantity: Quantity,
    before: f64,
    jump: Option<f64>,
    longest_s: Option<f64>,
    is_zero: bool,
    /// Its zeros were those of a register that was reset.
    is_reset: bool,
}

/// Where and when faults are told.
struct Place<'a> {
    meter: &'a Meter,
    site: &'a Site,
    at_ms: i64,
}

impl MeterFaults {
    /// Takes the intervals that closed or changed at a tick, and tells what is final. `settled_ms` says up to when
    /// nothing that is known of a meter will change by its next readings.
    pub(crate) fn tick(
        &mut self,
        tick: &Tick<'_>,
        intervals: &[Interval],
        settled_ms: impl Fn(&Name) -> i64,
        out: &mut Vec<Finding>,
    ) {
        for interval in intervals {
            self.note(interval);
        }
        let (site, at_ms) = (tick.site, tick.at_ms);
        for meter in &site.meters {
            let Some(faults) = self.0.get_mut(&meter.name) else {
                continue;
            };
            let place = Place { meter, site, at_ms };
            match tick.moment {
                Moment::Running => {
                    if intervals.iter().any(|interval| interval.meter == meter.name) {
                        faults.tell(&place, settled_ms(&meter.name), out);
                    }
                }
                // Nothing comes any more that could explain it; but should time go on, it is told in its turn.
                Moment::Last => faults.clone().tell(&place, i64::MAX, out),
            }
        }
    }

    fn note(&mut self, interval: &Interval) {
        let found: Vec<Fault> = interval.repairs.iter().filter_map(Fault::of).collect();
        let start_ms = interval.start.as_millisecond();
        if !found.is_empty() {
            let faults = self.0.entry(interval.meter.clone()).or_default();
            faults.waiting.insert(start_ms, found);
        } else if let Some(faults) = self.0.get_mut(&interval.meter) {
            faults.waiting.remove(&start_ms);
        }
        if interval.energy_import_kwh > Some(0.0)
            && let Some(faults) = self.0.get_mut(&interval.meter)
        {
            faults.counted_ms = faults.counted_ms.max(Some(interval.end.as_millisecond()));
        }
    }
}

impl Fault {
    fn of(repair: &Repair) -> Option<Self> {
        let why = |name| repair.why.get(name).copied();
        let until_ms = repair.until.as_millisecond();
        let mut since_ms = repair.since.as_millisecond();
        let is_zero = repair.kind == RepairKind::ZeroBurst;
        let kind = match repair.kind {
            RepairKind::Reset | RepairKind::Jump => Kind::MeterReset,
            RepairKind::Frozen => Kind::MeterStuck,
            RepairKind::ZeroBurst => {
                let lasted_ms = (why("lasted_s")? * 1000.0) as i64;
                since_ms = until_ms - lasted_ms;
                (lasted_ms > ZERO_MS).then_some(Kind::MeterStuck)?
            }
            _ => return None,
        };
        Some(Self {
            kind,
            quantity: repair.quantity,
            since_ms,
            until_ms,
            before: why("stood_at").unwrap_or(repair.before),
            after: repair.after,
            // What came back may be more than was told as energy.
            jump: why(if is_zero { "whole" } else { "jump" }).filter(|_| !is_zero || repair.amount.is_some()),
            longest_s: why("longest_s"),
            is_zero,
        })
    }
}

impl Faults {
    /// Tells the faults that ended by `settled_ms`.
    fn tell(&mut self, place: &Place<'_>, settled_ms: i64, out: &mut Vec<Finding>) {
        let mut settled = Vec::new();
        for faults in self.waiting.values_mut() {
            settled.extend(faults.extract_if(.., |fault| fault.until_ms <= settled_ms));
        }
        self.waiting.retain(|_, faults| !faults.is_empty());
        // Import stands first: it is the register that a bill is made from.
        settled.sort_by_key(|fault| (fault.since_ms, fault.quantity, fault.until_ms));
        let (resets, standstills): (Vec<Fault>, Vec<Fault>) =
            settled.into_iter().partition(|fault| fault.kind == Kind::MeterReset);
        for reset in resets {
            // A step over an interval's end is a repair of both, all registers of a meter are reset at once, and one that
            // leaps at each reading has one cause.
            let is_new = self.reset_told_ms.is_none_or(|told_ms| reset.since_ms > told_ms);
            self.reset_told_ms = self.reset_told_ms.max(Some(reset.until_ms));
            let zeros = self.stuck.as_mut().filter(|stuck| stuck.since_ms == reset.since_ms);
            if let Some(zeros) = zeros.filter(|_| reset.after == 0.0) {
                zeros.is_reset = true;
            }
            if is_new {
                out.extend(place.after_ms(Kind::MeterReset).map(|_| reset.finding(place)));
            }
        }
        let after_ms = place.after_ms(Kind::MeterStuck);
        for standstill in standstills {
            if self.stuck.as_ref().is_some_and(|stuck| stuck.is_over(&standstill)) {
                self.end(after_ms, place, out);
            }
            self.stand(&standstill);
        }
        let is_over = |stuck: &Stuck| stuck.until_ms < settled_ms && stuck.has_ended(self.counted_ms);
        if settled_ms < i64::MAX && self.stuck.as_ref().is_some_and(is_over) {
            self.end(after_ms, place, out);
        }
        let is_long = |stuck: &Stuck| after_ms.is_some_and(|after_ms| stuck.until_ms - stuck.since_ms >= after_ms);
        let Some(stuck) = self
            .stuck
            .as_mut()
            .filter(|stuck| stuck.detected_ms.is_some() || is_long(stuck))
        else {
            return;
        };
        if settled_ms == i64::MAX || is_due(stuck.since_ms, stuck.written_ms, place.at_ms) {
            stuck.detected_ms.get_or_insert(place.at_ms);
            stuck.written_ms = Some(place.at_ms);
            out.push(stuck.finding(Condition::Open, place));
        }
    }

    /// Begins a standstill, or lets it go on.
    fn stand(&mut self, standstill: &Fault) {
        let since_ms = standstill.since_ms.max(self.stuck_told_ms.unwrap_or(i64::MIN));
        if standstill.until_ms <= since_ms {
            return;
        }
        let stuck = self.stuck.get_or_insert(Stuck {
            since_ms,
            until_ms: standstill.until_ms,
            detected_ms: None,
            written_ms: None,
            quantity: standstill.quantity,
            before: standstill.before,
            jump: None,
            longest_s: standstill.longest_s,
            is_zero: standstill.is_zero,
            is_reset: false,
        });
        stuck.until_ms = stuck.until_ms.max(standstill.until_ms);
        if stuck.quantity == standstill.quantity {
            stuck.jump = standstill.jump.or(stuck.jump);
            stuck.longest_s = standstill.longest_s;
        }
    }

    fn end(&mut self, after_ms: Option<i64>, place: &Place<'_>, out: &mut Vec<Finding>) {
        let Some(mut stuck) = self.stuck.take() else { return };
        self.stuck_told_ms = Some(stuck.until_ms);
        let is_long = after_ms.is_some_and(|after_ms| stuck.until_ms - stuck.since_ms >= after_ms);
        if stuck.detected_ms.is_some() || is_long {
            stuck.detected_ms.get_or_insert(place.at_ms);
            out.push(stuck.finding(Condition::Closed, place));
        }
    }
}

impl Place<'_> {
    fn after_ms(&self, kind: Kind) -> Option<i64> {
        meter_after_ms(kind, self.meter, self.site)
    }

    fn finding(
        &self,
        kind: Kind,
        times_ms: (i64, i64, Option<i64>),
        title: Title,
        why: BTreeMap<String, f64>,
    ) -> Finding {
        let name = &self.meter.name;
        meter_finding(kind, times_ms, (name, meter_machine(name, self.site), name), title, why)
    }
}

/// The unit that a register counts in: the last word of its quantity's name.
fn unit(quantity: Quantity) -> &'static str {
    quantity.name().rsplit('_').next().unwrap_or("")
}

impl Fault {
    /// A reset is over as soon as it is known.
    fn finding(&self, place: &Place<'_>) -> Finding {
        let (name, quantity, unit) = (&place.meter.name, self.quantity, unit(self.quantity));
        let (before, after) = (self.before, self.after);
        let title = Title {
            ko: format!("계측기 {name}: {quantity} {before} → {after}: 초기화 또는 등록되지 않은 교체(swaps)"),
            en: format!(
                "meter {name}: {quantity} went from {before} to {after}: reset, or a change not entered in swaps"
            ),
        };
        let why = [(format!("before_{unit}"), before), (format!("after_{unit}"), after)];
        let times_ms = (self.since_ms, place.at_ms, Some(self.until_ms));
        place.finding(self.kind, times_ms, title, why.into())
    }
}

impl Stuck {
    /// Whether another standstill is none of this: the register stands elsewhere, or it is told by other signs.
    fn is_over(&self, next: &Fault) -> bool {
        let is_same = (self.quantity, self.before, self.is_zero) == (next.quantity, next.before, next.is_zero);
        self.until_ms < next.since_ms && !is_same
    }

    /// Whether the register counts again: a night in which nothing is used, or a silence, ends no standstill.
    fn has_ended(&self, counted_ms: Option<i64>) -> bool {
        let is_import = self.quantity == Quantity::EnergyImport && !self.is_zero;
        !is_import || self.jump.is_some() || counted_ms > Some(self.until_ms)
    }

    /// Of zeros: what was used meanwhile was told once the register came back, or is not known.
    fn title_of_zeros(&self, name: &Name, state: Condition) -> Title {
        let (quantity, unit, before) = (self.quantity, self.quantity.row().unit, self.before);
        let (ko, en) = in_words(self.until_ms - self.since_ms);
        let (used_ko, used_en) = match self.jump {
            Some(jump) => (
                format!("{jump:.1} {unit}를 계량해 둔 값으로 돌아옴, 그 시간에 나누어 추정함"),
                format!("it came back with {jump:.1} {unit} more, which are spread over that time"),
            ),
            None if self.is_reset => (
                "초기화되었고, 그동안 계량한 것이 없음".to_owned(),
                "it was reset, and has counted nothing in that time".to_owned(),
            ),
            None if state == Condition::Closed => (
                "게이트웨이가 계측기를 읽지 못했거나 초기화됨; 그동안의 사용량은 알 수 없음".to_owned(),
                "either its gateway could not read it, or it was reset; what was used meanwhile is not known"
                    .to_owned(),
            ),
            None => (
                "게이트웨이가 계측기를 읽지 못하거나 초기화됨; 다시 계량할 때까지 사용량을 알 수 없음".to_owned(),
                "either its gateway cannot read it, or it was reset; what was used is not known before it counts again"
                    .to_owned(),
            ),
        };
        Title {
            ko: format!("계측기 {name}: {quantity} 지시값이 {before}에서 0이 된 뒤 {ko} 동안 0: {used_ko}"),
            en: format!("meter {name}: {quantity} has said 0 for {en}, after {before}: {used_en}"),
        }
    }

    fn finding(&self, state: Condition, place: &Place<'_>) -> Finding {
        let (name, quantity) = (&place.meter.name, self.quantity);
        let stood_ms = self.until_ms - self.since_ms;
        let (ko, en) = in_words(stood_ms);
        let title = match self.longest_s {
            _ if self.is_zero => self.title_of_zeros(name, state),
            None => Title {
                ko: format!("계측기 {name}: 사용 중인데 {quantity} 지시값이 {ko} 동안 늘지 않음"),
                en: format!("meter {name}: {quantity} has not counted for {en} while energy was used"),
            },
            Some(_) => Title {
                ko: format!(
                    "계측기 {name}: {quantity} 지시값이 {ko} 동안, 지금까지보다 훨씬 오래 변하지 않음: 계측기나 \
                     게이트웨이가 멈췄거나, 설비가 그만큼 오래 꺼져 있었음(이 경우 조치 불필요)"
                ),
                en: format!(
                    "meter {name}: {quantity} has stood still for {en}, far longer than ever before: either the meter or \
                     its gateway is stuck, or the machine was off for so long and nothing needs to be done"
                ),
            },
        };
        let mut why = BTreeMap::from([
            ("stood_s".to_owned(), stood_ms as f64 / 1000.0),
            (format!("register_{}", unit(quantity)), self.before),
        ]);
        why.extend(self.longest_s.map(|longest_s| ("longest_s".to_owned(), longest_s)));
        why.extend(self.jump.map(|jump| (format!("spread_{}", unit(quantity)), jump)));
        let until_ms = (state == Condition::Closed).then_some(self.until_ms);
        let times_ms = (self.since_ms, self.detected_ms.unwrap_or(self.until_ms), until_ms);
        // A jump, or power beside it, proves a standstill; one that was only long may be the machine's.
        let is_doubted = self.jump.is_none() && (self.is_zero || self.longest_s.is_some());
        Finding {
            confidence: if is_doubted { DOUBTED } else { 1.0 },
            ..place.finding(Kind::MeterStuck, times_ms, title, why)
        }
    }
}
