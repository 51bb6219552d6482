//! What a period's demand costs: the billed demand, its surcharge or reduction for power factor, the excess over the
//! contract, and maxima by band.
//!
//! It prices no energy. Invariants: a demand charge is shared between parts by days; a first surcharge, and a first excess
//! over the contract, stand with 0.

use jiff::civil::Date;
use rust_decimal::Decimal;

use super::{
    Amount, BilledDemand, History, Note,
    charge::{Charge, billed_contract_kw, billed_pct, by_days, line, nearest, rounded_from},
    month_name, notes, ratchet,
    tally::{PartTally, Tally},
};
use crate::{
    finding::Title,
    tariff::{Contract, PowerFactorRule},
};

/// What a period's demand costs, all told: every charge that a higher maximum raises.
pub(super) fn cost(contracts: &[Contract], tally: &Tally<'_>, history: &mut History, notes: &mut Vec<Note>) -> Amount {
    let mut charges = demand_charges(tally, &billed_demands(tally, history));
    let power_factors = power_factor_charges(tally, &charges, history, notes);
    charges.extend(power_factors);
    charges.extend(excess_charges(contracts, tally, history, notes));
    charges.extend(other_charges(tally));
    levied(tally, charges.iter())
}

/// The sum of charges, each with the levies of its part.
pub(super) fn levied<'a>(tally: &Tally<'_>, charges: impl Iterator<Item = &'a Charge>) -> Amount {
    charges
        .map(|charge| Amount::levied(charge.line.amount, &tally.parts[charge.part].part.edition))
        .sum()
}

pub(super) fn billed_demands(tally: &Tally<'_>, history: &History) -> Vec<BilledDemand> {
    let of_part = |part| billed_demand(tally, part, history);
    tally.parts.iter().map(of_part).collect()
}

fn billed_demand(tally: &Tally<'_>, part: &PartTally<'_>, history: &History) -> BilledDemand {
    BilledDemand {
        peak: tally.peak(|_| true),
        counted: tally.counted(),
        ..ratchet::billed(part.part.edition.contract, tally.period.month, history)
    }
}

/// Demand of a part as billed: the measured one and the floor, each rounded.
fn rounded_demand(part: &PartTally<'_>, demand: &BilledDemand) -> Decimal {
    let step = part.part.edition.contract.rules.rounding.demand_kw;
    nearest(demand.billing_kw, step).max(nearest(demand.floor_kw, step))
}

pub(super) fn demand_charges(tally: &Tally<'_>, demands: &[BilledDemand]) -> Vec<Charge> {
    let mut quantities = tally.parts.iter().flat_map(|part| &part.energy);
    let is_unused = quantities.all(|quantity| quantity.energy_kwh().is_zero());
    let charge = |(part, demand): (&PartTally<'_>, &BilledDemand)| {
        let prices = part.part.edition.prices;
        let rules = &part.part.edition.contract.rules;
        let unused = rules.unused_share.filter(|_| is_unused && rules.demand.is_none());
        let (demand_kw, share) = (rounded_demand(part, demand), unused.unwrap_or(Decimal::ONE));
        let mut charge = by_days(tally, part, "demand_charge", demand_kw, prices.demand_per_kw).shared(share);
        let rounded = rounded_from(demand.billing_kw.max(demand.floor_kw), demand_kw, "kW");
        charge.line.how = Some(joined(basis(tally, part, demand), rounded));
        charge
    };
    let has_price = |(part, _): &(&PartTally<'_>, _)| !part.part.edition.prices.demand_per_kw.is_zero();
    tally.parts.iter().zip(demands).filter(has_price).map(charge).collect()
}

/// What the billed demand was taken from.
fn basis(tally: &Tally<'_>, part: &PartTally<'_>, demand: &BilledDemand) -> Title {
    let contract = part.part.edition.contract;
    let contract_kw = contract.contract_kw;
    let Some(rule) = &contract.rules.demand else {
        return Title {
            ko: format!("계약전력 {contract_kw} kW"),
            en: format!("the contract's {contract_kw} kW"),
        };
    };
    let of_this_month = demand
        .counted
        .filter(|_| demand.set_by == Some(month_name(tally.period.month)));
    match (&demand.set_by, of_this_month) {
        (_, Some(peak)) => {
            let at = contract.local(peak.start).strftime("%m-%d %H:%M").to_string();
            Title {
                ko: format!("반영 시간대의 이달 최대: {at}부터의 구간"),
                en: format!("this month's highest in the hours that count: interval from {at}"),
            }
        }
        (Some(month), None) => {
            let share = shown_share(rule.ratchet_share);
            Title {
                ko: format!("{month} 최대수요{share}"),
                en: format!("the maximum of {month}{share}"),
            }
        }
        (None, None) => {
            let pct = (rule.floor_share * Decimal::ONE_HUNDRED).normalize();
            Title {
                ko: format!("하한: 계약전력 {contract_kw} kW의 {pct} %"),
                en: format!("the floor: {pct} % of the contract's {contract_kw} kW"),
            }
        }
    }
}

/// ` × 80 %`; nothing for the whole.
fn shown_share(share: Decimal) -> String {
    if share == Decimal::ONE {
        return String::new();
    }
    format!(" × {} %", (share * Decimal::ONE_HUNDRED).normalize())
}

/// One remark after the other.
fn joined(first: Title, next: Option<Title>) -> Title {
    match next {
        None => first,
        Some(next) => Title {
            ko: format!("{}; {}", first.ko, next.ko),
            en: format!("{}; {}", first.en, next.en),
        },
    }
}

/// Surcharge or reduction of the demand charge; the first month with a surcharge is a notice.
pub(super) fn power_factor_charges(
    tally: &Tally<'_>,
    demand: &[Charge],
    history: &mut History,
    notes: &mut Vec<Note>,
) -> Vec<Charge> {
    let mut charges = Vec::new();
    for part in &tally.parts {
        let Some(rule) = part.part.edition.judged_power_factor() else {
            continue;
        };
        let contract = part.part.edition.contract;
        let factors = &tally.power_factors[part.group];
        let lag = (factors.lag_pct, factors.n_lag, rule.lag_reference_pct);
        charges.extend(percents(
            tally,
            part,
            demand,
            rule,
            ("power_factor_lag", lag, Decimal::MIN),
        ));
        if let (false, Some(reference), Some(_)) = (
            contract.tariff.low_voltage || !contract.reactive_meter,
            rule.lead_reference_pct,
            rule.lead_hours,
        ) {
            let lead = (factors.lead_pct, factors.n_lead, reference);
            charges.extend(percents(
                tally,
                part,
                demand,
                rule,
                ("power_factor_lead", lead, Decimal::ZERO),
            ));
        }
    }
    charges.sort_by(|one, other| one.item.cmp(&other.item));
    if charges.iter().any(|charge| charge.line.amount > Decimal::ZERO) {
        let first = *history.first_surcharge.get_or_insert(tally.period.month);
        if first == tally.period.month {
            notes.push(notes::power_factor_notice());
            waive(&mut charges);
        }
    }
    charges
}

/// A part's charge for each percent of power factor below the reference; above it, a reduction, down to `least_pct`.
fn percents(
    tally: &Tally<'_>,
    part: &PartTally<'_>,
    demand: &[Charge],
    rule: &PowerFactorRule,
    (item, (measured_pct, n, reference_pct), least_pct): (&str, (Option<f64>, u32, Decimal), Decimal),
) -> Option<Charge> {
    let of_part = &demand.iter().find(|charge| charge.part == part.index)?.line;
    let step = part.part.edition.contract.rules.rounding.power_factor_pct;
    let below_pct = measured_pct.map_or(Decimal::ZERO, |pct| {
        (reference_pct - billed_pct(pct, step)).max(least_pct)
    });
    let share = of_part.share * rule.share_per_pct * below_pct;
    let mut charge = line(part, item, (of_part.quantity, "kW"), of_part.price, share);
    charge.line.rule = format!("{}: {}", rule.from, rule.source);
    let stretch_min = tally.power_factors[part.group].stretch_min;
    charge.line.how = Some(judged((measured_pct, n, stretch_min), (reference_pct, step), rule));
    Some(charge)
}

/// What a power factor is the mean of, and what it costs.
fn judged(
    (measured_pct, n, stretch_min): (Option<f64>, u32, i64),
    (reference_pct, step): (Decimal, Option<Decimal>),
    rule: &PowerFactorRule,
) -> Title {
    let Some(pct) = measured_pct else {
        return Title {
            ko: "역률을 알 수 없음: 이 시간대의 무효전력량 자료 없음".to_owned(),
            en: "no power factor is known: no reactive energy in its hours".to_owned(),
        };
    };
    let (exact, billed) = (billed_pct(pct, None).round_dp(3), billed_pct(pct, step));
    let per_pct = (rule.share_per_pct * Decimal::ONE_HUNDRED).normalize();
    let (ko_of, en_of) = match n {
        0 => ("월 합계".to_owned(), "of the month's sums".to_owned()),
        n => (
            format!("{stretch_min}분 구간 {n}개의 평균"),
            format!("mean of {n} stretches of {stretch_min} min"),
        ),
    };
    Title {
        ko: format!("역률 {exact} % ({ko_of}) → {billed} %, 기준 {reference_pct} %: 1 %마다 {per_pct} %"),
        en: format!(
            "power factor {exact} % ({en_of}) → {billed} %, reference {reference_pct} %: {per_pct} % for each percent"
        ),
    }
}

/// A notice: what would be added is 0, what is taken off stays.
fn waive(charges: &mut [Charge]) {
    for charge in charges.iter_mut().filter(|charge| charge.line.amount > Decimal::ZERO) {
        charge.line.share = Decimal::ZERO;
        charge.line.amount = Decimal::ZERO;
    }
}

/// Demand of any hour above the contract, at one rate for the whole excess; none in a month in which the contract is
/// raised, and the first month ever is a notice.
pub(super) fn excess_charges(
    contracts: &[Contract],
    tally: &Tally<'_>,
    history: &mut History,
    notes: &mut Vec<Note>,
) -> Vec<Charge> {
    let mut charges = Vec::new();
    for part in &tally.parts {
        let contract = part.part.edition.contract;
        let Some(rule) = &contract.rules.excess else { continue };
        let step = contract.rules.rounding.demand_kw;
        let contract_kw = billed_contract_kw(contract);
        let is_alike = |other: &PartTally<'_>| other.part.edition.contract.contract_kw == contract.contract_kw;
        let peak_kw = tally
            .peak(is_alike)
            .map_or(Decimal::ZERO, |peak| nearest(peak.kw, step));
        let excess_kw = peak_kw - contract_kw;
        if excess_kw <= Decimal::ZERO || contract_kw <= Decimal::ZERO {
            continue;
        }
        let ratio = excess_kw / contract_kw;
        let rate = rule
            .rates
            .iter()
            .rev()
            .find(|[from, _]| *from <= ratio)
            .map_or(Decimal::ZERO, |[_, rate]| *rate);
        let price = part.part.edition.prices.demand_per_kw;
        let mut charge = by_days(tally, part, "excess_demand", excess_kw, price).shared(rate);
        charge.line.rule.clone_from(&rule.source);
        let (pct, rate) = ((ratio * Decimal::ONE_HUNDRED).round_dp(2).normalize(), rate.normalize());
        charge.line.how = Some(Title {
            ko: format!("최대수요 {peak_kw} kW − 계약전력 {contract_kw} kW = {pct} % 초과, 배율 {rate}"),
            en: format!("{peak_kw} kW − contract of {contract_kw} kW = {pct} % above it, at {rate} times the price"),
        });
        charges.push(charge);
    }
    if charges.is_empty() {
        return charges;
    }
    let first = *history.first_excess.get_or_insert(tally.period.month);
    if is_raised(contracts, tally.period.from, tally.period.to) {
        notes.push(notes::contract_raised());
        return Vec::new();
    }
    if first == tally.period.month {
        notes.push(notes::excess_notice());
        waive(&mut charges);
    }
    charges
}

/// Whether a demand is an excess over the contract.
pub(super) fn is_above(contract: &Contract, kw: Decimal) -> bool {
    contract.rules.excess.is_some() && nearest(kw, contract.rules.rounding.demand_kw) > billed_contract_kw(contract)
}

/// Whether a contract with more kW than the one before it begins in `from..to`.
fn is_raised(contracts: &[Contract], from: Date, to: Date) -> bool {
    let raises = |pair: &[Contract]| (from..to).contains(&pair[1].from) && pair[1].contract_kw > pair[0].contract_kw;
    contracts.windows(2).any(raises)
}

/// What tariffs elsewhere charge beside: a price of the month, and prices of the month's own maxima by band, in steps.
pub(super) fn other_charges(tally: &Tally<'_>) -> Vec<Charge> {
    let mut charges = Vec::new();
    for part in &tally.parts {
        let edition = &part.part.edition;
        let bands = edition.prices.demand_by_band_per_kw.get(edition.season);
        for (band, steps) in bands.into_iter().flatten() {
            let peak_kw = nearest(tally.band_peak_kw(*band), edition.contract.rules.rounding.demand_kw);
            let ends = steps.iter().skip(1).map(|next| next.above_kw).chain([Decimal::MAX]);
            for (step, end) in steps.iter().zip(ends) {
                let kw = (peak_kw.min(end) - step.above_kw).max(Decimal::ZERO);
                charges.push(by_days(
                    tally,
                    part,
                    &format!("demand_{}", band.name()),
                    kw,
                    step.per_kw,
                ));
            }
        }
        if let Some(price) = edition.prices.fixed_per_month {
            let mut charge = by_days(tally, part, "fixed", Decimal::ONE, price);
            "month".clone_into(&mut charge.line.unit);
            charges.push(charge);
        }
    }
    charges.sort_by(|one, other| one.item.cmp(&other.item));
    charges
}
