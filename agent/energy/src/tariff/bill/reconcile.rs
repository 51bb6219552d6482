//! A bill beside the one that the supplier sent: what differs, and what can explain it.
//!
//! It decides nothing about who is right. Invariant: only bills of one month are compared, and only what was entered.

use std::collections::{BTreeMap, BTreeSet};

use jiff::civil::Date;
use rust_decimal::{Decimal, prelude::FromPrimitive};
use serde::{Deserialize, Deserializer, Serialize};

use super::{Bill, Line, month_name};
use crate::{
    finding::Title,
    tariff::{Contract, contract_at},
    unit::percent_seen,
};

/// A bill as somebody typed it in.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EnteredBill {
    /// A day of the month that it is the bill of, or the month alone, as `2026-10`.
    #[serde(deserialize_with = "day_of_month")]
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

fn day_of_month<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Date, D::Error> {
    let text = String::deserialize(deserializer)?;
    let day = if text.len() == "2026-10".len() {
        format!("{text}-01").parse()
    } else {
        text.parse()
    };
    day.map_err(|_| serde::de::Error::custom(format!("month is {text:?}: write a month, as \"2026-10\"")))
}

/// One difference.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Difference {
    /// The item, or `total`, `energy_import_kwh`, `billing_demand_kw`.
    pub item: String,
    /// As reckoned here; 0 where it is not charged.
    pub ours: Decimal,
    /// As on the entered bill.
    pub theirs: Decimal,
    /// Theirs less ours.
    pub difference: Decimal,
    /// What can explain it.
    pub reason: Title,
}

/// Why an entered bill cannot be compared.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EnteredError {
    /// It is the bill of another month.
    #[error(
        "the entered bill is that of {entered}, and {reckoned} was reckoned: ask for --month {entered}, or mend `month`"
    )]
    Month {
        /// Its month, `2026-10`.
        entered: String,
        /// The month of the reckoned bill.
        reckoned: String,
    },
    /// No bill by these rules has such an item.
    #[error(
        "`{item}` is no item of this tariff; there are {known}, and `other` for what the supplier charges beside them"
    )]
    UnknownItem {
        /// The name.
        item: String,
        /// All names, for people.
        known: String,
    },
}

/// Entered under this name: what a supplier charges that the tariff does not know (a late fee, a licence).
const OTHER: &str = "other";
/// Quantities this close are the same one, rounded: kWh and kW.
const ROUNDED: Decimal = Decimal::ONE;
/// Totals this close are: a supplier drops what is below its step, and each item's fractions add up.
const TOTAL_ROUNDED: Decimal = Decimal::from_parts(20, 0, 0, false, 0);

/// What differs between a bill and the entered one, in the bill's order; empty = nothing. Only what was entered is
/// compared.
pub fn reconcile(contracts: &[Contract], bill: &Bill, entered: &EnteredBill) -> Result<Vec<Difference>, EnteredError> {
    let month = entered.month.first_of_month();
    if month != bill.month {
        let [entered, reckoned] = [month, bill.month].map(month_name);
        return Err(EnteredError::Month { entered, reckoned });
    }
    let known = known_items(contracts, bill);
    if let Some(item) = entered.items.keys().find(|item| !known.contains(item.as_str())) {
        let known: Vec<&str> = known.into_iter().filter(|name| *name != OTHER).collect();
        return Err(EnteredError::UnknownItem {
            item: item.clone(),
            known: known.join(", "),
        });
    }
    let ours: BTreeMap<&str, Decimal> = bill
        .items
        .iter()
        .map(|item| (item.item.as_str(), item.amount))
        .collect();
    let mut differences = Vec::new();
    let energy_kwh = energy_kwh(bill);
    differences.extend(difference(
        "energy_import_kwh",
        energy_kwh,
        entered.energy_import_kwh,
        |theirs| energy_reason(energy_kwh, theirs, bill),
    ));
    let demand_kw = billed_kw(bill);
    differences.extend(difference(
        "billing_demand_kw",
        demand_kw,
        entered.billing_demand_kw,
        |theirs| demand_reason(demand_kw, theirs, bill, contracts),
    ));
    let theirs_only = entered.items.keys().filter(|item| !ours.contains_key(item.as_str()));
    for item in bill.items.iter().map(|item| &item.item).chain(theirs_only) {
        let ours = ours.get(item.as_str()).copied().unwrap_or_default();
        let theirs = entered.items.get(item).copied();
        differences.extend(difference(item, ours, theirs, |theirs| {
            item_reason(item, ours, theirs, bill)
        }));
    }
    differences.extend(difference("total", bill.total, Some(entered.total), |theirs| {
        total_reason(theirs, bill, entered)
    }));
    Ok(differences)
}

/// Every item that a bill by these rules can have.
fn known_items<'a>(contracts: &'a [Contract], bill: &'a Bill) -> BTreeSet<&'a str> {
    const ALWAYS: [&str; 6] = [
        "demand_charge",
        "excess_demand",
        "fixed",
        "power_factor_lag",
        "power_factor_lead",
        OTHER,
    ];
    let rules = || contracts.iter().map(|contract| &contract.rules);
    let discounts = rules().flat_map(|rules| &rules.discount).map(|row| row.item.as_str());
    let charges = rules().flat_map(|rules| &rules.per_kwh).map(|row| row.item.as_str());
    let levies = rules().flat_map(|rules| &rules.levy).map(|row| row.item.as_str());
    let named = bill.items.iter().map(|item| item.item.as_str());
    let all = named.chain(discounts).chain(charges).chain(levies);
    all.chain(ALWAYS).collect()
}

fn energy_kwh(bill: &Bill) -> Decimal {
    let energy = bill.items.iter().filter(|item| item.item.starts_with("energy_"));
    energy.flat_map(|item| &item.lines).map(|line| line.quantity).sum()
}

/// Demand as billed at the end of the period.
fn billed_kw(bill: &Bill) -> Decimal {
    let charge = bill.items.iter().find(|item| item.item == "demand_charge");
    let line = charge.and_then(|item| item.lines.last());
    line.map_or(bill.demand.billing_kw, |line| line.quantity)
}

fn difference(
    item: &str,
    ours: Decimal,
    theirs: Option<Decimal>,
    reason: impl FnOnce(Decimal) -> Title,
) -> Option<Difference> {
    let theirs = theirs.filter(|theirs| *theirs != ours)?;
    Some(Difference {
        item: item.to_owned(),
        ours,
        theirs,
        difference: (theirs - ours).normalize(),
        reason: reason(theirs),
    })
}

fn title(ko: String, en: String) -> Title {
    Title { ko, en }
}

/// How many times ours theirs is; 0 where ours is nothing.
fn ratio(ours: Decimal, theirs: Decimal) -> Decimal {
    let ratio = theirs.checked_div(ours).unwrap_or_default();
    ratio.round_dp(4).normalize()
}

/// Why the supplier counted another energy.
fn energy_reason(ours: Decimal, theirs: Decimal, bill: &Bill) -> Title {
    let difference = theirs - ours;
    let (from, last) = (bill.from, bill.to.yesterday().unwrap_or(bill.to));
    if difference.abs() < ROUNDED {
        return title("kWh 반올림 차이".into(), "rounded to whole kWh".into());
    }
    if difference > Decimal::ZERO && bill.unknown > 0.0 {
        let seen = percent_seen(1.0 - bill.unknown);
        let unseen = Decimal::from_f64(1.0 / (1.0 - bill.unknown) - 1.0).unwrap_or_default() * ours;
        let unseen = unseen.round_dp(0).normalize();
        return title(
            format!("자료 확보율 {seen}: 평균으로 보면 약 {unseen} kWh를 보지 못함"),
            format!("coverage is {seen}: at the mean about {unseen} kWh were not seen"),
        );
    }
    let ratio = ratio(ours, theirs);
    title(
        format!(
            "주계량기 값의 {ratio}배: {from} – {last}이 같은 검침 기간인지(reading_day), CT비와 배율이 맞는지 확인"
        ),
        format!(
            "{ratio} times what the main meter counted: compare the period ({from} to {last}, reading_day), the meter's \
             CT ratio and its multiplier"
        ),
    )
}

/// Why the supplier bills another demand: the first that fits.
fn demand_reason(ours: Decimal, theirs: Decimal, bill: &Bill, contracts: &[Contract]) -> Title {
    let demand = &bill.demand;
    let is_theirs = |kw: Decimal| (kw - theirs).abs() <= ROUNDED;
    if let Some((month, kw)) = demand.known_kw.iter().find(|(_, kw)| is_theirs(**kw)) {
        return title(
            format!("청구서는 {month}의 최대수요 {kw} kW와 같음"),
            format!("theirs fits the maximum of {month}, {kw} kW"),
        );
    }
    if is_theirs(demand.floor_kw) {
        return title(
            "청구서는 계약전력 하한과 같음".into(),
            "theirs fits the floor of the contract".into(),
        );
    }
    if let Some(peak) = demand.peak.filter(|peak| is_theirs(peak.kw)) {
        let contract = contract_at(contracts, peak.start);
        let at = contract.map_or(String::new(), |contract| {
            contract.local(peak.start).strftime("%m-%d %H:%M").to_string()
        });
        return title(
            format!("청구서는 모든 시간대의 최대수요({at})와 같음: 대상 시간대 확인"),
            format!("theirs fits the highest demand in any band, at {at}: compare which bands count"),
        );
    }
    if !demand.unknown.is_empty() {
        let months = demand.unknown.join(", ");
        return title(
            format!("최대수요를 모르는 달이 있음: {months}. earlier_peaks에 입력"),
            format!("the maxima of {months} are not known here: enter them as earlier_peaks"),
        );
    }
    let ratio = ratio(ours, theirs);
    title(
        format!("여기 값의 {ratio}배: CT비, 배율, 계약전력 확인"),
        format!("{ratio} times ours: compare the CT ratio, the multiplier and the contract demand"),
    )
}

/// Why an item has another amount; the first that fits.
fn item_reason(item: &str, ours: Decimal, theirs: Decimal, bill: &Bill) -> Title {
    let has = |code: &str| bill.notes.iter().any(|note| note.code == code);
    if (theirs - ours).abs() < Decimal::ONE {
        return title(
            "항목별 반올림 차이".into(),
            "items are rounded on the entered bill".into(),
        );
    }
    if item == OTHER || !bill.items.iter().any(|known| known.item == item) {
        return title("여기서는 청구하지 않는 항목".into(), "is not charged here".into());
    }
    if item.starts_with("power_factor") && (has("power_factor_notice") || has("power_factor_deemed")) {
        return title(
            "역률 예고 달이거나 무효전력량을 알 수 없음".into(),
            "a notice month, or reactive energy is not known here".into(),
        );
    }
    if theirs.is_zero() {
        return title("청구서에 없음".into(), "is not on the entered bill".into());
    }
    let lines = bill
        .items
        .iter()
        .filter(|known| known.item == item)
        .flat_map(|known| &known.lines);
    line_reason(&lines.collect::<Vec<_>>(), theirs, &bill.currency)
}

/// Why an item that both have has another amount, by the lines it is made of here.
fn line_reason(lines: &[&Line], theirs: Decimal, currency: &str) -> Title {
    if let [line] = lines
        && line.share == Decimal::ONE
        && !line.price.is_zero()
    {
        let (unit, price) = (&line.unit, line.price);
        let (fitting, quantity) = ((theirs / price).round_dp(1).normalize(), line.quantity.normalize());
        return if unit == currency {
            title(
                format!("{price}로 나누면 청구서의 과세 금액은 {fitting}, 여기서는 {quantity}: 다른 항목의 차이"),
                format!("at {price} theirs is of {fitting} {unit}, ours of {quantity}: follows from other items"),
            )
        } else {
            title(
                format!("단가 {price}이면 청구액은 {fitting} {unit}, 여기서는 {quantity} {unit}"),
                format!("at {price} their amount is {fitting} {unit}, ours {quantity} {unit}"),
            )
        };
    }
    let (n, unit) = (lines.len(), lines.first().map_or("", |line| line.unit.as_str()));
    let quantities: Vec<String> = lines.iter().map(|line| line.quantity.normalize().to_string()).collect();
    let quantities = quantities.join(" + ");
    title(
        format!("여기서는 {n}줄, {quantities} {unit}: --explain의 단가와 비교"),
        format!("ours is {quantities} {unit} in {n} lines: compare the prices and shares of --explain"),
    )
}

/// What of the total's difference the entered items leave open.
fn total_reason(theirs: Decimal, bill: &Bill, entered: &EnteredBill) -> Title {
    let ours = |item: &str| {
        let found = bill.items.iter().find(|known| known.item == item);
        found.map_or(Decimal::ZERO, |found| found.amount)
    };
    let explained: Decimal = entered.items.iter().map(|(item, amount)| *amount - ours(item)).sum();
    let open = theirs - bill.total - explained;
    if open.abs() < TOTAL_ROUNDED {
        return title(
            "위 항목들의 차이에서 따라옴".into(),
            "follows from the items above".into(),
        );
    }
    if entered.items.is_empty() && theirs > bill.total && bill.unknown > 0.0 {
        let seen = percent_seen(1.0 - bill.unknown);
        return title(
            format!("자료 확보율 {seen}: 보지 못한 사용량"),
            format!("coverage is {seen}: energy that was not seen"),
        );
    }
    let open = open.round_dp(2).normalize();
    let missing = bill.items.iter().filter(|item| !entered.items.contains_key(&item.item));
    let missing: Vec<&str> = missing.map(|item| item.item.as_str()).collect();
    if missing.is_empty() {
        return title(
            format!("이 중 {open}은(는) 어느 항목에도 없음: 합계의 절사, 여기에 없는 항목(other) 확인"),
            format!(
                "{open} of it lies in no item: compare how the total is rounded, and what else is charged (`other`)"
            ),
        );
    }
    let missing = missing.join(", ");
    title(
        format!("이 중 {open}은(는) 입력하지 않은 항목에 있음: {missing}"),
        format!("{open} of it lies in items that were not entered: {missing}"),
    )
}
