//! Whether charges a kWh, levies, discounts and roundings are within their bounds, and each stands there once.

use jiff::civil::Date;
use rust_decimal::Decimal;

use super::{LARGEST, Wrong, repeated};
use crate::{both, finding::Title, tariff::Rules};

/// Minor units of a currency are at most this many places.
const MOST_DECIMALS: u32 = 6;

/// The key at the file's top, which of its rows, and the least and the most that may stand there.
type Bounds = (&'static str, usize, (Decimal, Decimal));

/// What is wrong with them.
pub(super) fn charges(rules: &Rules) -> Vec<Wrong> {
    let mut found = Vec::new();
    let mut within = |bounds: Bounds, name: &Title, value| found.extend(beyond(bounds, name, value));
    let (share, step) = ((Decimal::ZERO, Decimal::ONE), (Decimal::new(1, 6), LARGEST));
    for (row, charge) in rules.per_kwh.iter().enumerate() {
        let name = both!("per_kwh {}({}부터)", "per_kwh {} from {}", charge.item, charge.from);
        within(("per_kwh", row, (-LARGEST, LARGEST)), &name, charge.price);
    }
    for (row, levy) in rules.levy.iter().enumerate() {
        let name = both!("levy {}({}부터)", "levy {} from {}", levy.item, levy.from);
        let of_share = both!([name], "{name}의 비율", "the share of {name}");
        within(("levy", row, share), &of_share, levy.share);
        let of_step = both!([name], "{name}의 단위", "the step of {name}");
        within(("levy", row, step), &of_step, levy.step);
    }
    for (row, discount) in rules.discount.iter().enumerate() {
        let name = both!("discount {}의 비율", "the share of discount {}", discount.item);
        within(("discount", row, share), &name, discount.share);
    }
    let rounding = &rules.rounding;
    let steps = [
        rounding.demand_kw,
        rounding.energy_kwh,
        rounding.power_factor_pct,
        rounding.total,
    ];
    let name = both!("[rounding]의 단위", "a step of [rounding]");
    for value in steps.into_iter().flatten() {
        within(("rounding", 0, step), &name, value);
    }
    let decimals = ("decimals", 0, (Decimal::ZERO, MOST_DECIMALS.into()));
    within(decimals, &Title::same("decimals"), rules.decimals.into());
    if let Some(unused) = rules.unused_share {
        within(("unused_share", 0, share), &Title::same("unused_share"), unused);
    }
    found.extend(twice(rules));
    found
}

fn beyond((key, row, (least, most)): Bounds, name: &Title, value: Decimal) -> Option<Wrong> {
    let why = || {
        both!(
            [name],
            "{name} 값은 {least}에서 {most} 사이여야 하는데 {value}입니다",
            "{name} must be {least} to {most}, not {value}"
        )
    };
    (!(least..=most).contains(&value)).then(|| Wrong::new(key, row, why()))
}

fn twice(rules: &Rules) -> impl Iterator<Item = Wrong> {
    let charges = repeated(rules.per_kwh.iter().map(|row| (&row.item, row.from)));
    let levies = repeated(rules.levy.iter().map(|row| (&row.item, row.from)));
    let wrong = |key: &'static str| {
        move |(row, (item, from)): (usize, (&String, Date))| {
            let why = both!(
                "{item} 항목이 같은 날짜({from}부터)로 두 번 있습니다",
                "{item} from {from} stands there twice"
            );
            Wrong::new(key, row, why)
        }
    };
    charges.map(wrong("per_kwh")).chain(levies.map(wrong("levy")))
}
