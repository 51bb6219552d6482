//! A bill beside the one that the supplier sent: what differs, and what can explain it.
//!
//! It decides nothing about who is right. Invariant: the differences of the items add up to that of the net amount, as
//! far as both bills have them.

use std::collections::BTreeMap;

use jiff::civil::Date;
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use super::{Bill, Item};
use crate::finding::Title;

/// A bill as somebody typed it in.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EnteredBill {
    /// First day of the month that it is the bill of.
    pub month: Date,
    /// What is to be paid.
    pub total: Decimal,
    /// Items by the names that our bills use.
    #[serde(default)]
    pub items: BTreeMap<String, Decimal>,
    /// Billed energy, kWh.
    pub energy_import_kwh: Option<Decimal>,
    /// Billed demand, kW.
    pub billing_demand_kw: Option<Decimal>,
}

/// One difference.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Difference {
    /// The item, or `total`, `energy_import_kwh`, `billing_demand_kw`.
    pub item: String,
    /// As reckoned here.
    pub ours: Option<Decimal>,
    /// As on the entered bill.
    pub theirs: Option<Decimal>,
    /// Theirs less ours.
    pub difference: Decimal,
    /// What can explain it.
    pub reason: Title,
}

/// What differs between a bill and the entered one, in the bill's order; empty = nothing.
pub fn reconcile(bill: &Bill, entered: &EnteredBill) -> Vec<Difference> {
    let energy_kwh = energy_kwh(bill);
    let demand_kw = bill
        .items
        .iter()
        .find(|item| item.item == "demand_charge")
        .and_then(|item| item.lines.first());
    let mut differences = Vec::new();
    differences.extend(difference(
        "energy_import_kwh",
        Some(energy_kwh),
        entered.energy_import_kwh,
        bill,
    ));
    let demand_kw = demand_kw.map(|line| line.quantity);
    differences.extend(difference(
        "billing_demand_kw",
        demand_kw,
        entered.billing_demand_kw,
        bill,
    ));
    if !entered.items.is_empty() {
        let ours = bill.items.iter().map(|item| (item.item.as_str(), item.amount));
        let ours: BTreeMap<&str, Decimal> = ours.collect();
        let theirs_only = entered.items.keys().filter(|item| !ours.contains_key(item.as_str()));
        for item in bill.items.iter().map(|item| &item.item).chain(theirs_only) {
            let theirs = entered.items.get(item).copied();
            differences.extend(difference(
                item,
                ours.get(item.as_str()).copied(),
                theirs.or(Some(Decimal::ZERO)),
                bill,
            ));
        }
    }
    differences.extend(difference("total", Some(bill.total), Some(entered.total), bill));
    differences
}

fn energy_kwh(bill: &Bill) -> Decimal {
    let energy = bill.items.iter().filter(|item| item.item.starts_with("energy_"));
    energy.flat_map(|item| &item.lines).map(|line| line.quantity).sum()
}

fn difference(item: &str, ours: Option<Decimal>, theirs: Option<Decimal>, bill: &Bill) -> Option<Difference> {
    let theirs = theirs?;
    let difference = theirs - ours.unwrap_or_default();
    (!difference.is_zero()).then(|| Difference {
        item: item.to_owned(),
        ours,
        theirs: Some(theirs),
        difference: difference.normalize(),
        reason: reason(item, difference, theirs, bill),
    })
}

/// What can explain a difference; the first that fits.
fn reason(item: &str, difference: Decimal, theirs: Decimal, bill: &Bill) -> Title {
    let title = |ko: String, en: String| Title { ko, en };
    let has = |code: &str| bill.notes.iter().any(|note| note.code == code);
    let is_energy = item.starts_with("energy_");
    if difference.abs() < Decimal::ONE {
        return title(
            "항목별 반올림 차이".into(),
            "items are rounded on the entered bill".into(),
        );
    }
    if (is_energy || item == "total") && bill.coverage < 1.0 && difference > Decimal::ZERO {
        let pct = bill.coverage * 100.0;
        return title(
            format!("자료 확보율 {pct:.1} %: 보지 못한 사용량"),
            format!("coverage is {pct:.1} %: energy that was not seen"),
        );
    }
    if matches!(item, "demand_charge" | "billing_demand_kw") && has("ratchet_unknown") {
        let months = bill.demand.unknown.join(", ");
        return title(
            format!("최대수요를 모르는 달이 있음: {months}"),
            format!("the maxima of {months} are not known here: enter them as earlier_peaks"),
        );
    }
    if item.starts_with("power_factor") && (has("power_factor_notice") || has("power_factor_deemed")) {
        return title(
            "역률 예고 달이거나 무효전력량을 알 수 없음".into(),
            "a notice month, or reactive energy is not known here".into(),
        );
    }
    let found = bill.items.iter().find(|known| known.item == item);
    let line = found.and_then(|found| single_line(found, &bill.currency));
    if let Some((quantity, price)) = line {
        let fitting = (theirs / price).round_dp(1);
        return title(
            format!("청구액은 단가 {price}에서 {fitting}에 해당, 여기서는 {quantity}"),
            format!("at {price} their amount fits {fitting}, ours is {quantity}"),
        );
    }
    title(
        "다른 항목의 차이에서 따라옴, 또는 여기에 없는 항목".into(),
        "follows from other items, or is not charged here".into(),
    )
}

/// Quantity and price of an item that was made of one whole line; a levy is a share of others and has none.
fn single_line(item: &Item, currency: &str) -> Option<(Decimal, Decimal)> {
    match item.lines.as_slice() {
        [line] if line.share == Decimal::ONE && line.unit != currency && !line.price.is_zero() => {
            Some((line.quantity, line.price))
        }
        _ => None,
    }
}
