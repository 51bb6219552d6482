//! One priced line of a bill, and how its quantity is rounded.
//!
//! It knows no rule of what is charged. Invariant: what rounding changed is told beside the line.

use rust_decimal::{Decimal, prelude::FromPrimitive};

use super::{
    Line,
    tally::{PartTally, Tally},
};
use crate::{
    finding::Title,
    tariff::{Contract, Rounding},
};

/// A line, the item it belongs to, and the part it came from.
pub(super) struct Charge {
    pub(super) part: usize,
    pub(super) item: String,
    pub(super) line: Line,
}

impl Charge {
    /// The same, of which only a share (or a multiple) counts.
    pub(super) fn shared(mut self, share: Decimal) -> Self {
        self.line.share *= share;
        self.line.amount *= share;
        self
    }
}

/// A charge for kW, by the days of the part: a price is that of a month.
pub(super) fn by_days(
    tally: &Tally<'_>,
    part: &PartTally<'_>,
    item: &str,
    quantity_kw: Decimal,
    price: Decimal,
) -> Charge {
    let share = Decimal::from(part.part.n_days()) / Decimal::from(tally.period.usual_days());
    line(part, item, (quantity_kw, "kW"), price, share)
}

pub(super) fn line(
    tally: &PartTally<'_>,
    item: &str,
    quantity: (Decimal, &str),
    price: Decimal,
    share: Decimal,
) -> Charge {
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
pub(super) fn rounded_from(exact: Decimal, value: Decimal, unit: &str) -> Option<Title> {
    let exact = exact.round_dp(6).normalize();
    (exact != value).then(|| Title {
        ko: format!("{exact} {unit}의 끝수 처리"),
        en: format!("rounded from {exact} {unit}"),
    })
}

/// To the nearest multiple of `step`, halves up; exact without a step.
pub(super) fn nearest(value: Decimal, step: Option<Decimal>) -> Decimal {
    step.map_or(value, |step| Rounding::HalfUp.to_step(value, step))
}

/// A measured percentage as billed; what floating-point sums leave below a billionth is not a measurement.
pub(super) fn billed_pct(pct: f64, step: Option<Decimal>) -> Decimal {
    nearest(Decimal::from_f64(pct).unwrap_or_default().round_dp(9), step)
}

/// The contract's demand as bills take it.
pub(super) fn billed_contract_kw(contract: &Contract) -> Decimal {
    let exact = Decimal::from_f64(contract.contract_kw).unwrap_or_default();
    nearest(exact, contract.rules.rounding.demand_kw)
}
