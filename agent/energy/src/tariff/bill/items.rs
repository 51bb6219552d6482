//! A period's tally → the items of its bill: quantities rounded, priced, charged for power factor and excess, levied.
//!
//! Invariants: only quantities and the last total are rounded, each by the rules' own step; a demand charge is shared
//! between parts by days; a first surcharge, and a first excess over the contract, stand with 0.

use jiff::civil::Date;
use rust_decimal::{Decimal, prelude::FromPrimitive};

use super::{
    Bill, BilledDemand, History, Item, Line, Note, notes, ratchet,
    tally::{PartTally, Quantity, Tally},
};
use crate::{
    finding::Title,
    tariff::{Band, BillRounding, Contract, Levy, PowerFactorRule, Rounding},
};

/// A line, the item it belongs to, and the part it came from.
struct Charge {
    part: usize,
    item: String,
    line: Line,
}

impl Charge {
    /// The same, of which only a share (or a multiple) counts.
    fn shared(mut self, share: Decimal) -> Self {
        self.line.share *= share;
        self.line.amount *= share;
        self
    }
}

/// The bill of a tally with at least one part.
pub(super) fn bill(contracts: &[Contract], tally: &Tally<'_>, history: &mut History) -> Bill {
    let mut notes = notes::standing(tally);
    let demands: Vec<BilledDemand> = tally
        .parts
        .iter()
        .map(|part| billed_demand(tally, part, history))
        .collect();
    let mut charges = demand_charges(tally, &demands);
    let power_factors = power_factor_charges(tally, &charges, history, &mut notes);
    charges.extend(energy_charges(tally));
    charges.extend(discounts(tally));
    charges.extend(power_factors);
    charges.extend(kwh_charges(tally));
    charges.extend(excess_charges(contracts, tally, history, &mut notes));
    charges.extend(other_charges(tally));
    let rules = &tally.parts[tally.parts.len() - 1].part.edition.contract.rules;
    let mut items = items(tally, &charges);
    let net = exact_sum(charges.iter().map(|charge| &charge.line), tally);
    let levies = levies(tally, &charges, net);
    let sum = net + levies.iter().map(|item| item.amount).sum::<Decimal>();
    items.extend(levies);
    let demand = demands.into_iter().next_back().unwrap_or_default();
    notes.extend(notes::of_demand(&demand));
    // Two power-factor rules in one period have no common mean.
    let shown = tally.power_factors.first().filter(|_| tally.power_factors.len() == 1);
    Bill {
        month: tally.period.month,
        from: tally.period.from,
        to: tally.period.to,
        complete: notes::is_complete(tally),
        coverage: notes::coverage(tally),
        currency: rules.currency.clone(),
        items,
        total: total(&rules.rounding, sum),
        net,
        demand,
        power_factor_lag_pct: shown.and_then(|factors| factors.lag_pct),
        power_factor_lead_pct: shown.and_then(|factors| factors.lead_pct),
        notes,
    }
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

fn demand_charges(tally: &Tally<'_>, demands: &[BilledDemand]) -> Vec<Charge> {
    let mut quantities = tally.parts.iter().flat_map(|part| &part.energy);
    let is_unused = quantities.all(|quantity| quantity.energy_kwh().is_zero());
    let charge = |(part, demand): (&PartTally<'_>, &BilledDemand)| {
        let prices = part.part.edition.prices;
        let rules = &part.part.edition.contract.rules;
        let unused = rules.unused_share.filter(|_| is_unused && rules.demand.is_none());
        let (demand_kw, share) = (rounded_demand(part, demand), unused.unwrap_or(Decimal::ONE));
        let mut charge = by_days(tally, part, "demand_charge", demand_kw, prices.demand_per_kw).shared(share);
        charge.line.how = rounded_from(demand.billing_kw.max(demand.floor_kw), demand_kw, "kW");
        charge
    };
    let has_price = |(part, _): &(&PartTally<'_>, _)| !part.part.edition.prices.demand_per_kw.is_zero();
    tally.parts.iter().zip(demands).filter(has_price).map(charge).collect()
}

/// A charge for kW, shared by the days of the part.
fn by_days(tally: &Tally<'_>, part: &PartTally<'_>, item: &str, quantity_kw: Decimal, price: Decimal) -> Charge {
    let share = Decimal::from(part.part.n_days()) / Decimal::from(tally.period.n_days());
    line(part, item, (quantity_kw, "kW"), price, share)
}

fn line(tally: &PartTally<'_>, item: &str, quantity: (Decimal, &str), price: Decimal, share: Decimal) -> Charge {
    let prices = tally.part.edition.prices;
    Charge {
        part: tally.index,
        item: item.to_owned(),
        line: Line {
            from: tally.part.from,
            to: tally.part.to,
            quantity: quantity.0,
            unit: quantity.1.to_owned(),
            price,
            share,
            amount: quantity.0 * price * share,
            rule: format!("{}: {}", prices.from, prices.source),
            how: None,
        },
    }
}

/// What a number was before it became `value`; nothing where it stayed as it was.
fn rounded_from(exact: Decimal, value: Decimal, unit: &str) -> Option<Title> {
    let exact = exact.round_dp(6).normalize();
    (exact != value).then(|| Title {
        ko: format!("{exact} {unit}의 끝수 처리"),
        en: format!("rounded from {exact} {unit}"),
    })
}

/// Each priced amount of energy, rounded by itself, at its full price; a band that was not used stands with 0.
fn energy_charges(tally: &Tally<'_>) -> Vec<Charge> {
    let mut charges = Vec::new();
    for band in Band::ALL {
        for part in &tally.parts {
            let edition = &part.part.edition;
            let prices = edition.prices.energy_per_kwh.get(edition.season);
            let Some(price) = prices.and_then(|prices| prices.get(&band)) else {
                continue;
            };
            let of_band = part.energy.iter().filter(|quantity| quantity.band == band);
            let exact: Vec<Decimal> = of_band.map(Quantity::energy_kwh).collect();
            let energy_kwh: Decimal = exact.iter().map(|exact| priced_kwh(part, *exact)).sum();
            let item = format!("energy_{}", band.name());
            let mut charge = line(part, &item, (energy_kwh, "kWh"), *price, Decimal::ONE);
            charge.line.how = rounded_from(exact.into_iter().sum(), energy_kwh, "kWh");
            charges.push(charge);
        }
    }
    charges
}

fn discounts(tally: &Tally<'_>) -> Vec<Charge> {
    let mut charges = Vec::new();
    for part in &tally.parts {
        for quantity in &part.energy {
            if let Some(discount) = quantity.discount {
                let energy_kwh = priced_kwh(part, quantity.energy_kwh());
                let mut charge = line(
                    part,
                    &discount.item,
                    (energy_kwh, "kWh"),
                    quantity.per_kwh,
                    -discount.share,
                );
                charge.line.rule = format!("{}: {}", discount.from, discount.source);
                charges.push(charge);
            }
        }
    }
    charges
}

/// Climate, fuel and the like: on the sum of the rounded amounts of energy.
fn kwh_charges(tally: &Tally<'_>) -> Vec<Charge> {
    let mut charges = Vec::new();
    for part in &tally.parts {
        let energy_kwh: Decimal = part
            .energy
            .iter()
            .map(|quantity| priced_kwh(part, quantity.energy_kwh()))
            .sum();
        for row in &part.part.edition.charges {
            let mut charge = line(part, &row.item, (energy_kwh, "kWh"), row.price, Decimal::ONE);
            charge.line.rule = format!("{}: {}", row.from, row.source);
            charges.push(charge);
        }
    }
    charges
}

fn priced_kwh(part: &PartTally<'_>, energy_kwh: Decimal) -> Decimal {
    nearest(energy_kwh, part.part.edition.contract.rules.rounding.energy_kwh)
}

/// Surcharge or reduction of the demand charge; the first month with a surcharge is a notice.
fn power_factor_charges(
    tally: &Tally<'_>,
    demand: &[Charge],
    history: &mut History,
    notes: &mut Vec<Note>,
) -> Vec<Charge> {
    let mut charges = Vec::new();
    for part in &tally.parts {
        let Some(rule) = part.part.edition.power_factor else {
            continue;
        };
        let contract = part.part.edition.contract;
        let factors = tally.power_factors[part.group];
        let lag = (factors.lag_pct, rule.lag_reference_pct);
        charges.extend(percents(part, demand, rule, ("power_factor_lag", lag, Decimal::MIN)));
        if let (false, Some(reference), Some(_)) = (
            contract.tariff.low_voltage || !contract.reactive_meter,
            rule.lead_reference_pct,
            rule.lead_hours,
        ) {
            let lead = (factors.lead_pct, reference);
            charges.extend(percents(part, demand, rule, ("power_factor_lead", lead, Decimal::ZERO)));
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
    part: &PartTally<'_>,
    demand: &[Charge],
    rule: &PowerFactorRule,
    (item, (measured_pct, reference_pct), least_pct): (&str, (Option<f64>, Decimal), Decimal),
) -> Option<Charge> {
    let of_part = &demand.iter().find(|charge| charge.part == part.index)?.line;
    let step = part.part.edition.contract.rules.rounding.power_factor_pct;
    let below_pct = measured_pct.map_or(Decimal::ZERO, |pct| {
        (reference_pct - billed_pct(pct, step)).max(least_pct)
    });
    let share = of_part.share * rule.share_per_pct * below_pct;
    let mut charge = line(part, item, (of_part.quantity, "kW"), of_part.price, share);
    charge.line.rule = format!("{}: {}", rule.from, rule.source);
    charge.line.how = measured_pct.map(|pct| {
        let (exact, billed) = (billed_pct(pct, None).round_dp(3), billed_pct(pct, step));
        let per_pct = (rule.share_per_pct * Decimal::ONE_HUNDRED).normalize();
        Title {
            ko: format!("역률 {exact} % → {billed} %, 기준 {reference_pct} %: 1 %마다 {per_pct} %"),
            en: format!(
                "power factor {exact} % → {billed} %, reference {reference_pct} %: {per_pct} % for each percent"
            ),
        }
    });
    Some(charge)
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
fn excess_charges(
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
        let contract_kw = nearest(Decimal::from_f64(contract.contract_kw).unwrap_or_default(), step);
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

/// Whether a contract with more kW than the one before it begins in `from..to`.
fn is_raised(contracts: &[Contract], from: Date, to: Date) -> bool {
    let raises = |pair: &[Contract]| (from..to).contains(&pair[1].from) && pair[1].contract_kw > pair[0].contract_kw;
    contracts.windows(2).any(raises)
}

/// What tariffs elsewhere charge beside: a price of the month, and prices of the month's own maxima by band, in steps.
fn other_charges(tally: &Tally<'_>) -> Vec<Charge> {
    let mut charges = Vec::new();
    for part in &tally.parts {
        let edition = &part.part.edition;
        let bands = edition.prices.demand_by_band_per_kw.get(edition.season);
        for (band, steps) in bands.into_iter().flatten() {
            let peak_kw = tally.parts.iter().map(|part| part.band_peak_kw(*band)).max();
            let peak_kw = nearest(peak_kw.unwrap_or_default(), edition.contract.rules.rounding.demand_kw);
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

/// Charges gathered by item, in their order.
fn items(tally: &Tally<'_>, charges: &[Charge]) -> Vec<Item> {
    let by_item = charges.chunk_by(|one, other| one.item == other.item);
    let mut items: Vec<Item> = Vec::new();
    for charges in by_item {
        let lines: Vec<Line> = charges.iter().map(|charge| charge.line.clone()).collect();
        match items.iter_mut().find(|item| item.item == charges[0].item) {
            Some(item) => item.lines.extend(lines),
            None => items.push(Item {
                item: charges[0].item.clone(),
                amount: Decimal::ZERO,
                lines,
            }),
        }
    }
    for item in &mut items {
        item.amount = exact_sum(&item.lines, tally);
    }
    items
}

/// Sum of lines, whose shares are parts of the period's days: multiplied out first, so that ten and twenty-one days of a
/// month add up to it.
fn exact_sum<'a>(lines: impl IntoIterator<Item = &'a Line>, tally: &Tally<'_>) -> Decimal {
    let n_days = Decimal::from(tally.period.n_days());
    let whole = |line: &Line| line.quantity * line.price * (line.share * n_days).round_dp(20);
    let sum: Decimal = lines.into_iter().map(whole).sum();
    (sum / n_days).normalize()
}

/// VAT, funds: shares of the charge, each of its own part's where they changed inside the period.
fn levies(tally: &Tally<'_>, charges: &[Charge], net: Decimal) -> Vec<Item> {
    let mut rows: Vec<&Levy> = Vec::new();
    for row in tally.parts.iter().flat_map(|part| &part.part.edition.levies) {
        if !rows.contains(row) {
            rows.push(row);
        }
    }
    let mut items: Vec<Item> = Vec::new();
    for row in rows {
        let holds = |part: &PartTally<'_>| part.part.edition.levies.contains(&row);
        let base = if tally.parts.iter().all(holds) {
            net
        } else {
            let of_part = charges.iter().filter(|charge| holds(&tally.parts[charge.part]));
            exact_sum(of_part.map(|charge| &charge.line), tally)
        };
        let (exact, currency) = (base * row.share, &tally.parts[0].part.edition.contract.rules.currency);
        let amount = row.rounding.to_step(exact, row.step);
        let line = Line {
            from: tally.period.from,
            to: tally.period.to,
            quantity: base,
            unit: currency.clone(),
            price: row.share,
            share: Decimal::ONE,
            amount,
            rule: format!("{}: {}", row.from, row.source),
            how: rounded_from(exact, amount, currency),
        };
        match items.iter_mut().find(|item| item.item == row.item) {
            Some(item) => {
                item.amount += line.amount;
                item.lines.push(line);
            }
            None => items.push(Item {
                item: row.item.clone(),
                amount: line.amount,
                lines: vec![line],
            }),
        }
    }
    items
}

fn total(rounding: &BillRounding, sum: Decimal) -> Decimal {
    rounding.total.map_or(sum, |step| {
        rounding.total_rounding.unwrap_or(Rounding::HalfUp).to_step(sum, step)
    })
}

/// To the nearest multiple of `step`, halves up; exact without a step.
fn nearest(value: Decimal, step: Option<Decimal>) -> Decimal {
    step.map_or(value, |step| Rounding::HalfUp.to_step(value, step))
}

/// A measured percentage as billed; what floating-point sums leave below a billionth is not a measurement.
pub(crate) fn billed_pct(pct: f64, step: Option<Decimal>) -> Decimal {
    nearest(Decimal::from_f64(pct).unwrap_or_default().round_dp(9), step)
}
