//! A period's tally → the items of its bill: quantities rounded, priced, levied.
//!
//! What the demand costs is made in `demand`. Invariant: only quantities and the last total are rounded, each by the
//! rules' own step.

use rust_decimal::Decimal;

use super::{
    Bill, History, Item, Line,
    charge::{Charge, line, nearest, rounded_from},
    demand, notes,
    tally::{PartTally, Quantity, Tally},
};
use crate::{
    finding::Title,
    tariff::{Band, BillRounding, Contract, Levy, Rounding},
    unit::rounded,
};

/// The bill of a tally with at least one part.
pub(super) fn bill(contracts: &[Contract], tally: &Tally<'_>, history: &mut History) -> Bill {
    let mut notes = notes::standing(tally);
    let demands = demand::billed_demands(tally, history);
    let mut charges = demand::demand_charges(tally, &demands);
    let power_factors = demand::power_factor_charges(tally, &charges, history, &mut notes);
    charges.extend(energy_charges(tally));
    charges.extend(discounts(tally));
    charges.extend(power_factors);
    charges.extend(kwh_charges(tally));
    charges.extend(demand::excess_charges(contracts, tally, history, &mut notes));
    charges.extend(demand::other_charges(tally));
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
        unknown: notes::unknown(tally),
        estimated_kwh: tally.estimated_kwh(),
        currency: rules.currency.clone(),
        items,
        total: total(&rules.rounding, sum),
        net,
        demand,
        power_factor_lag_pct: shown.and_then(|factors| factors.lag_pct).map(shown_pct),
        power_factor_lead_pct: shown.and_then(|factors| factors.lead_pct).map(shown_pct),
        notes,
    }
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
            charge.line.how = rounded_apart(part, &exact);
            charges.push(charge);
        }
    }
    charges
}

/// What amounts of energy were before each was rounded by itself; nothing where all stayed as they were.
fn rounded_apart(part: &PartTally<'_>, exact: &[Decimal]) -> Option<Title> {
    if let [exact] = exact {
        return rounded_from(*exact, priced_kwh(part, *exact), "kWh");
    }
    let shown = |exact: &Decimal| {
        format!(
            "{} → {}",
            exact.round_dp(6).normalize(),
            priced_kwh(part, *exact).normalize()
        )
    };
    let is_rounded = exact.iter().any(|exact| priced_kwh(part, *exact) != *exact);
    let each = exact.iter().map(shown).collect::<Vec<_>>().join(" + ");
    is_rounded.then(|| Title {
        ko: format!("각각 끝수 처리: {each} kWh"),
        en: format!("each rounded by itself: {each} kWh"),
    })
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
                charge.line.how = rounded_from(quantity.energy_kwh(), energy_kwh, "kWh");
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

/// Sum of lines, whose shares are parts of a month's days: multiplied out first, so that ten and twenty-one days of a
/// month add up to it.
fn exact_sum<'a>(lines: impl IntoIterator<Item = &'a Line>, tally: &Tally<'_>) -> Decimal {
    let n_days = Decimal::from(tally.period.usual_days());
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
        let days = tally.parts.iter().filter(|part| holds(part)).map(|part| &part.part);
        let (from, to) = days.fold((tally.period.to, tally.period.from), |(from, to), part| {
            (from.min(part.from), to.max(part.to))
        });
        let base = if tally.parts.iter().all(holds) {
            net
        } else {
            let of_part = charges.iter().filter(|charge| holds(&tally.parts[charge.part]));
            exact_sum(of_part.map(|charge| &charge.line), tally)
        };
        let (exact, currency) = (base * row.share, &tally.parts[0].part.edition.contract.rules.currency);
        let amount = row.rounding.to_step(exact, row.step);
        let line = Line {
            from,
            to,
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

/// A measured percentage as shown: without the noise of floating-point sums.
fn shown_pct(pct: f64) -> f64 {
    rounded(pct, 9)
}
