//! What a bill must say beside its figures: what was assumed, waived or not known; in both languages.
//!
//! Codes are for programs and do not change; the sentences are for people.

use std::collections::BTreeSet;

use jiff::Timestamp;
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use super::{
    BilledDemand,
    charge::billed_contract_kw,
    names,
    period::Period,
    tally::{Quantity, Tally},
};
use crate::{
    finding::Title,
    tariff::PerKwh,
    unit::{percent_seen, share},
};

/// One remark.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Note {
    /// Names it for programs.
    pub code: String,
    /// Says it to people.
    pub text: Title,
}

fn note(code: &str, ko: impl Into<String>, en: impl Into<String>) -> Note {
    Note {
        code: code.to_owned(),
        text: Title {
            ko: ko.into(),
            en: en.into(),
        },
    }
}

/// Whether the data reach from the first instant of the period to its last.
pub(super) fn is_complete(tally: &Tally<'_>) -> bool {
    let (from, to) = bounds(tally);
    tally.bounds.0 <= from && to <= tally.bounds.1
}

/// Share of the period, or of what has passed of it, seen with trusted readings.
pub(super) fn coverage(tally: &Tally<'_>) -> f64 {
    share((tally.seen_min / minutes(tally)).clamp(0.0, 1.0))
}

/// Share of that time of which no energy is known.
pub(super) fn unknown(tally: &Tally<'_>) -> f64 {
    share(1.0 - (tally.known_min / minutes(tally)).clamp(0.0, 1.0))
}

/// The period, or what has passed of it, in minutes.
fn minutes(tally: &Tally<'_>) -> f64 {
    let (from, to) = bounds(tally);
    to.min(tally.heard_until).duration_since(from).as_secs_f64() / 60.0
}

/// First instant and end of what the bill is for: a contract that begins inside a period is billed from its first day.
fn bounds(tally: &Tally<'_>) -> (Timestamp, Timestamp) {
    let first = &tally.parts[0].part;
    let billed = Period {
        from: first.from,
        ..tally.period
    };
    billed.bounds(&first.edition.contract.rules.zone)
}

/// Remarks on the rules that the bill was made by and on the data it was made from.
pub(super) fn standing(tally: &Tally<'_>) -> Vec<Note> {
    let mut notes = Vec::new();
    if !is_complete(tally) {
        notes.push(note(
            "part_month",
            "청구 기간 전체의 자료가 아닙니다. 기본요금은 한 달 전액입니다.",
            "The data do not cover the whole period; the demand charge is that of the whole month.",
        ));
    }
    notes.extend(begun(tally));
    notes.extend(reading_day_changed(tally.period));
    notes.extend(seen(tally));
    notes.extend(estimated(tally));
    for tally in &tally.parts {
        let (edition, contract) = (&tally.part.edition, tally.part.edition.contract);
        if contract.rules.demand.is_none() && !edition.prices.demand_per_kw.is_zero() {
            let kw = billed_contract_kw(contract);
            notes.push(note(
                "contract_billed",
                format!("최대수요전력계가 없는 계약: 계약전력 {kw} kW가 요금적용전력입니다."),
                format!("Without a maximum-demand meter the contract demand is billed: {kw} kW."),
            ));
        }
        if let Some(day) = contract.edition {
            notes.push(note(
                "edition",
                format!("{day}의 요금표와 규정으로 계산했습니다."),
                format!("Priced by the tables and rules of {day}."),
            ));
        }
        if contract.deferral_on(tally.part.from).is_some() {
            notes.push(note(
                "deferred",
                "개편 유예: 개편 전 요금표를 적용했습니다.",
                "The reform is deferred for this contract: the earlier tables hold.",
            ));
        }
        for row in edition.charges.iter().filter(|row| row.assumed) {
            let Title { ko, en } = carried_on(row);
            notes.push(note("assumed", ko, en));
        }
        if let Some(rule) = edition.judged_power_factor().filter(|rule| rule.status != "verified") {
            notes.push(note(
                "unverified",
                format!("{}부터의 역률 규정은 원문으로 확인하지 못했습니다.", rule.from),
                format!(
                    "The power-factor rule from {} was not checked against its text.",
                    rule.from
                ),
            ));
        }
    }
    notes.extend(deemed(tally));
    // Two parts of a period often say the same.
    let mut said = BTreeSet::new();
    notes.retain(|note| said.insert(note.text.en.clone()));
    notes
}

/// A contract that begins inside the period is billed from then on.
fn begun(tally: &Tally<'_>) -> Option<Note> {
    let from = tally.parts[0].part.from;
    (from > tally.period.from).then(|| {
        note(
            "contract_begins",
            format!("계약이 {from}에 시작합니다: 그 전의 사용량은 들어 있지 않습니다."),
            format!("The contract begins on {from}: what was used before is not in this bill."),
        )
    })
}

/// That not all of the period was seen; what a register counted over a gap is billed all the same.
fn seen(tally: &Tally<'_>) -> Option<Note> {
    let (coverage, unknown) = (coverage(tally), unknown(tally));
    let seen = percent_seen(coverage);
    let (ko, en) = if unknown > 0.0 {
        (
            format!("자료 확보율 {seen}: 모르는 시간의 사용량은 들어 있지 않습니다."),
            format!("Coverage {seen}: what was used while nothing was known is not in this bill."),
        )
    } else if tally.still_min > 0.0 {
        let hours = (tally.still_min / 60.0 * 10.0).round() / 10.0;
        (
            format!(
                "자료 확보율 {seen}: 결측 시간의 사용량은 계기가 적산한 만큼만 들어 있습니다. 그중 {hours}시간은 지시값이 멈춰 있어, 쓴 것이 있어도 들어 있지 않습니다."
            ),
            format!(
                "Coverage {seen}: of the gaps only what the registers counted is in this bill. For {hours} h of them they stood still: if anything was used then, it is not."
            ),
        )
    } else {
        (
            format!("자료 확보율 {seen}: 결측 시간의 사용량은 계기 적산값으로 알고 있어 들어 있습니다."),
            format!("Coverage {seen}: what was used in the gaps is known by the registers, and in this bill."),
        )
    };
    (coverage < 1.0).then(|| note("coverage", ko, en))
}

/// How much of the energy is known in sum only.
fn estimated(tally: &Tally<'_>) -> Option<Note> {
    let estimated_kwh = tally.estimated_kwh();
    let energies = tally.parts.iter().flat_map(|part| &part.energy);
    let whole_kwh: Decimal = energies.map(Quantity::energy_kwh).sum();
    let pct = (estimated_kwh * Decimal::ONE_HUNDRED)
        .checked_div(whole_kwh)?
        .round_dp(1);
    let kwh = estimated_kwh.round_dp(0);
    (!estimated_kwh.is_zero()).then(|| {
        note(
            "estimated",
            format!("전력량 중 {kwh} kWh({pct} %)는 추정치입니다: 합계만 알아 시간에 고르게 나누었습니다."),
            format!("Of the energy {kwh} kWh ({pct} %) are estimated: known in sum, and spread evenly over the time."),
        )
    })
}

/// A period that is no month long, because the meter is read on another day from now on.
fn reading_day_changed(period: Period) -> Option<Note> {
    let (n_days, from, last) = (period.n_days(), period.from, period.to.yesterday().ok()?);
    (n_days != period.usual_days()).then(|| {
        note(
            "reading_day_changed",
            format!("검침일이 바뀐 달: {from} – {last}, {n_days}일분의 요금입니다."),
            format!("The reading day changed: this bill is for the {n_days} days from {from} to {last}."),
        )
    })
}

fn deemed(tally: &Tally<'_>) -> Option<Note> {
    let has_rule = tally
        .parts
        .iter()
        .any(|part| part.part.edition.judged_power_factor().is_some());
    let is_unknown = tally.power_factors.iter().any(|factors| factors.lag_pct.is_none());
    let is_unused = tally.known_min > 0.0 && tally.parts.iter().flat_map(|part| &part.energy).all(Quantity::is_zero);
    let (ko, en) = if is_unused {
        ("사용량이 없어", "Nothing was used")
    } else {
        ("무효전력량을 알 수 없어", "Reactive energy is not known")
    };
    (has_rule && is_unknown).then(|| {
        note(
            "power_factor_deemed",
            format!("{ko} 기준 역률로 보았습니다."),
            format!("{en}: the power factor is deemed to be the reference."),
        )
    })
}

/// Remarks on the demand that is billed.
pub(super) fn of_demand(demand: &BilledDemand) -> Option<Note> {
    let months = demand.unknown.join(", ");
    (!demand.unknown.is_empty()).then(|| {
        note(
            "ratchet_unknown",
            format!("최대수요를 모르는 달: {months}. 요금적용전력이 더 높을 수 있습니다."),
            format!("The maximum demand of {months} is not known: the billed demand may be higher."),
        )
    })
}

/// The first month ever with a surcharge for power factor.
pub(super) fn power_factor_notice() -> Note {
    note(
        "power_factor_notice",
        "역률 추가요금이 처음 생긴 달: 예고만 하고 청구하지 않습니다.",
        "First month with a surcharge for power factor: a notice, not charged.",
    )
}

/// The first month ever above the contract.
pub(super) fn excess_notice() -> Note {
    note(
        "excess_notice",
        "계약전력을 처음 초과한 달은 예고만 하고 초과사용부가금을 청구하지 않습니다.",
        "The first month above the contract demand is a notice: the surcharge is not charged.",
    )
}

/// Above the contract in the month in which it is raised.
pub(super) fn contract_raised() -> Note {
    note(
        "contract_raised",
        "계약전력을 올린 달에는 초과사용부가금이 없습니다.",
        "There is no surcharge above the contract in the month in which it is raised.",
    )
}

/// The rest of the period is a projection.
pub(super) fn projected() -> Note {
    note(
        "projected",
        "남은 기간은 최근 4주의 같은 종류의 날처럼 쓴다고 보았습니다.",
        "The rest of the period is taken to be as days of the same kind in the last four weeks.",
    )
}

/// That a price was carried on from before.
pub fn carried_on(row: &PerKwh) -> Title {
    let (ko, en) = names::item_name(&row.item).unwrap_or((&row.item, &row.item));
    let price = row.price;
    Title {
        ko: format!("{ko}: 단가 {price}은(는) 공표된 값이 아니라 이어 쓴 값입니다."),
        en: format!("{en}: the price {price} is not published: it was carried on."),
    }
}
