//! Whether a tariff's data can be reckoned with: every hour in exactly one band, every band with a price, dates that
//! ascend, shares and steps within their bounds. Files come from outside, and a file of the user may override a shipped one.
//!
//! It prices nothing. Invariant: a tariff without problems gives a bill for any usage of a meter's range, without a panic.

use std::collections::BTreeSet;

use jiff::civil::Date;
use rust_decimal::Decimal;

use super::{Band, BandTable, PowerFactorRule, PriceTable, Rules, Tariff};

/// What makes a tariff unusable, and in which of its two files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Problem {
    /// In the file of prices.
    Tariff(String),
    /// In the file of rules.
    Rules(String),
}

/// Largest amount that a price or a step may be, in any currency.
const LARGEST: Decimal = Decimal::from_parts(1_000_000_000, 0, 0, false, 0);
/// Months that a ratchet may look back: no supplier remembers longer than three years.
const MOST_MONTHS_BACK: u8 = 36;
/// Minor units of a currency are at most this many places.
const MOST_DECIMALS: u32 = 6;

/// Everything that makes `tariff` and `rules` unusable together; empty = nothing.
pub fn problems(tariff: &Tariff, rules: &Rules) -> Vec<Problem> {
    let mut found = Vec::new();
    found.extend(currency(rules).map(Problem::Rules));
    found.extend(seasons(rules).into_iter().chain(bands(rules)).map(Problem::Rules));
    found.extend(charges(rules).into_iter().chain(demand(rules)).map(Problem::Rules));
    found.extend(power_factors(rules).into_iter().map(Problem::Rules));
    found.extend(
        limits(tariff)
            .into_iter()
            .chain(prices(tariff, rules))
            .map(Problem::Tariff),
    );
    found
}

fn currency(rules: &Rules) -> Option<String> {
    let (code, is_capital) = (&rules.currency, |letter: char| letter.is_ascii_uppercase());
    let is_code = code.len() == 3 && code.chars().all(is_capital);
    (!is_code).then(|| format!("currency must be three capital letters of ISO 4217, as KRW, not {code:?}"))
}

fn seasons(rules: &Rules) -> Option<String> {
    let mut months: Vec<i8> = rules.seasons.values().flatten().copied().collect();
    months.sort_unstable();
    (months != (1..=12).collect::<Vec<i8>>()).then(|| "[seasons] must hold each month from 1 to 12 once".into())
}

fn bands(rules: &Rules) -> Vec<String> {
    let mut found = Vec::new();
    if !rules.bands.is_sorted_by_key(|table| table.from) || rules.bands.is_empty() {
        found.push("[[bands]] must be there and ascend by \"from\"".into());
    }
    let twice = repeated(rules.bands.iter().map(|table| (table.from, &table.area)));
    found.extend(twice.map(|(from, _)| format!("bands from {from} stand twice for one area")));
    for table in &rules.bands {
        for season in rules.seasons.keys() {
            if let Err(why) = hours(table, season) {
                found.push(format!("bands from {}, season {season}: {why}", table.from));
            }
        }
    }
    found
}

/// Whether each is more than the one before it.
fn ascend<T: PartialOrd>(values: impl Iterator<Item = T>) -> bool {
    values.is_sorted_by(|one, next| one < next)
}

/// What stands there more than once.
fn repeated<T: Ord + Clone>(values: impl Iterator<Item = T>) -> impl Iterator<Item = T> {
    let mut seen = BTreeSet::new();
    values.filter(move |value| !seen.insert(value.clone()))
}

/// Every hour of a day of `season` stands in exactly one band.
fn hours(table: &BandTable, season: &str) -> Result<(), String> {
    let hours = table.hours.get(season).ok_or("no hours are given")?;
    let mut seen = [0usize; 24];
    for stretch in hours.values().flatten() {
        for (hour, times) in seen.iter_mut().enumerate() {
            *times += usize::from(stretch.contains(hour as i8));
        }
    }
    match seen.iter().position(|&times| times != 1) {
        Some(hour) if seen[hour] == 0 => Err(format!("hour {hour} stands in no band")),
        Some(hour) => Err(format!("hour {hour} stands in {} bands", seen[hour])),
        None => Ok(()),
    }
}

fn charges(rules: &Rules) -> Vec<String> {
    let mut found = Vec::new();
    let mut within = |name: String, value: Decimal, least: Decimal, most: Decimal| {
        if !(least..=most).contains(&value) {
            found.push(format!("{name} must be {least} to {most}, not {value}"));
        }
    };
    for row in &rules.per_kwh {
        within(
            format!("per_kwh {} from {}", row.item, row.from),
            row.price,
            -LARGEST,
            LARGEST,
        );
    }
    for row in &rules.levy {
        within(
            format!("the share of levy {} from {}", row.item, row.from),
            row.share,
            Decimal::ZERO,
            Decimal::ONE,
        );
        within(
            format!("the step of levy {} from {}", row.item, row.from),
            row.step,
            Decimal::new(1, 6),
            LARGEST,
        );
    }
    for row in &rules.discount {
        within(
            format!("the share of discount {}", row.item),
            row.share,
            Decimal::ZERO,
            Decimal::ONE,
        );
    }
    let rounding = &rules.rounding;
    let steps = [
        rounding.demand_kw,
        rounding.energy_kwh,
        rounding.power_factor_pct,
        rounding.total,
    ];
    for step in steps.into_iter().flatten() {
        within("a step of [rounding]".into(), step, Decimal::new(1, 6), LARGEST);
    }
    within(
        "decimals".into(),
        rules.decimals.into(),
        Decimal::ZERO,
        MOST_DECIMALS.into(),
    );
    if let Some(share) = rules.unused_share {
        within("unused_share".into(), share, Decimal::ZERO, Decimal::ONE);
    }
    let charges = repeated(rules.per_kwh.iter().map(|row| (&row.item, row.from)));
    let levies = repeated(rules.levy.iter().map(|row| (&row.item, row.from)));
    let twice = |(item, from): (&String, Date)| format!("{item} from {from} stands there twice");
    found.extend(charges.chain(levies).map(twice));
    found
}

fn demand(rules: &Rules) -> Vec<String> {
    let mut found = Vec::new();
    if let Some(rule) = &rules.demand {
        if !matches!(rule.interval_min, 1 | 5 | 10 | 15 | 30 | 60) {
            found.push(format!(
                "[demand] interval_min must be 1, 5, 10, 15, 30 or 60, not {}",
                rule.interval_min
            ));
        }
        if !(1..=MOST_MONTHS_BACK).contains(&rule.months_back) {
            found.push(format!(
                "[demand] months_back must be 1 to {MOST_MONTHS_BACK}, not {}",
                rule.months_back
            ));
        }
        for (name, share) in [("floor_share", rule.floor_share), ("ratchet_share", rule.ratchet_share)] {
            if !(Decimal::ZERO..=Decimal::ONE).contains(&share) {
                found.push(format!("[demand] {name} must be 0 to 1, not {share}"));
            }
        }
    }
    if rules
        .excess
        .as_ref()
        .is_some_and(|rule| !ascend(rule.rates.iter().map(|rate| rate[0])))
    {
        found.push("[excess] rates must ascend by the share from which they hold".into());
    }
    let rates = rules.excess.iter().flat_map(|rule| &rule.rates);
    found.extend(
        rates
            .filter(|[from, rate]| from.is_sign_negative() || !(Decimal::ZERO..=Decimal::ONE_HUNDRED).contains(rate))
            .map(|[from, rate]| {
                format!("[excess] a rate must be 0 to 100 from a share of 0 on, not {rate} from {from}")
            }),
    );
    found
}

fn power_factors(rules: &Rules) -> Vec<String> {
    let mut found: Vec<String> = rules.power_factor.iter().flat_map(power_factor).collect();
    if !ascend(rules.power_factor.iter().map(|rule| rule.from)) {
        found.push("[[power_factor]] must ascend by \"from\"".into());
    }
    found
}

fn power_factor(rule: &PowerFactorRule) -> Vec<String> {
    let mut found = Vec::new();
    let from = rule.from;
    if !matches!(rule.interval_min, 5 | 10 | 15 | 30 | 60) {
        found.push(format!(
            "power_factor from {from}: interval_min must be 5, 10, 15, 30 or 60, not {}",
            rule.interval_min
        ));
    }
    let [floor, ceiling] = rule.lag_clamp_pct;
    if floor.is_sign_negative() || floor > ceiling || ceiling > Decimal::ONE_HUNDRED {
        found.push(format!(
            "power_factor from {from}: lag_clamp_pct must be two numbers from 0 to 100, the lower first"
        ));
    }
    let percents = [
        Some(rule.lag_reference_pct),
        rule.lead_reference_pct,
        rule.lead_floor_pct,
    ];
    if percents
        .into_iter()
        .flatten()
        .any(|pct| !(Decimal::ZERO..=Decimal::ONE_HUNDRED).contains(&pct))
    {
        found.push(format!(
            "power_factor from {from}: references and floors are percents, 0 to 100"
        ));
    }
    if !(Decimal::ZERO..=Decimal::ONE).contains(&rule.share_per_pct) {
        found.push(format!("power_factor from {from}: share_per_pct must be 0 to 1"));
    }
    found
}

fn limits(tariff: &Tariff) -> Option<String> {
    let limits = tariff.contract.as_ref()?;
    let below_kw = limits.below_kw.unwrap_or(f64::INFINITY);
    let is_range = limits.least_kw >= 0.0 && limits.least_kw < below_kw;
    (!is_range).then(|| "contract: least_kw must not be negative, and lie below below_kw".into())
}

fn prices(tariff: &Tariff, rules: &Rules) -> Vec<String> {
    let mut found = Vec::new();
    if !ascend(tariff.price.iter().map(|table| table.from)) || tariff.price.is_empty() {
        found.push("[[price]] must be there and ascend by \"from\"".into());
    }
    for table in &tariff.price {
        let priced_seasons = table.energy_per_kwh.keys().chain(table.demand_by_band_per_kw.keys());
        let unknown: BTreeSet<&String> = priced_seasons
            .filter(|season| !rules.seasons.contains_key(*season))
            .collect();
        found.extend(unknown.into_iter().map(|season| {
            let seasons: Vec<_> = rules.seasons.keys().collect();
            format!(
                "prices from {}: no season is called {season:?}; there are {seasons:?}",
                table.from
            )
        }));
        for season in rules.seasons.keys() {
            if let Err(why) = priced(table, season, rules) {
                found.push(format!("prices from {}, season {season}: {why}", table.from));
            }
        }
        let steps = || {
            let bands = table.demand_by_band_per_kw.values();
            bands.flat_map(|bands| bands.values().flatten())
        };
        let demands = steps().map(|step| step.per_kw).chain([table.demand_per_kw]);
        if let Some(price) = demands.min().filter(Decimal::is_sign_negative) {
            found.push(format!(
                "prices from {}: no demand costs less than nothing, got {price}",
                table.from
            ));
        }
        let energies = table.energy_per_kwh.values().flat_map(|bands| bands.values());
        let amounts = steps()
            .map(|step| step.per_kw)
            .chain(energies.copied())
            .chain(table.fixed_per_month);
        if amounts.chain([table.demand_per_kw]).any(|price| price.abs() > LARGEST) {
            found.push(format!("prices from {}: no price may be above {LARGEST}", table.from));
        }
    }
    found
}

/// The bands that its hours and its days are in.
fn bands_of(table: &BandTable) -> impl Iterator<Item = Band> {
    let of_hours = table.hours.values().flat_map(|hours| hours.keys());
    let of_days = table
        .saturday
        .values()
        .chain(&table.saturday_band)
        .chain(&table.sunday_and_holiday);
    of_hours.chain(of_days).copied()
}

/// Whether each band that the hours of `season` know has a price, and each list of steps begins at 0.
fn priced(table: &PriceTable, season: &str, rules: &Rules) -> Result<(), String> {
    let known: BTreeSet<Band> = rules.bands.iter().flat_map(bands_of).collect();
    let priced: BTreeSet<Band> = table
        .energy_per_kwh
        .get(season)
        .into_iter()
        .flat_map(|p| p.keys())
        .copied()
        .collect();
    if priced != known {
        return Err(format!("a price for each of {known:?} is wanted, got {priced:?}"));
    }
    for (band, steps) in table.demand_by_band_per_kw.get(season).into_iter().flatten() {
        if !known.contains(band) {
            return Err(format!("a demand is priced in {band:?}, but the bands are {known:?}"));
        }
        let begins = steps.first().is_some_and(|step| step.above_kw.is_zero());
        if !begins || !ascend(steps.iter().map(|step| step.above_kw)) {
            return Err("the steps of a price by band begin with above_kw = 0 and ascend".into());
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULES: &str = r#"
currency = "EUR"
decimals = 2
zone = "Europe/Berlin"
seasons = { all = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12] }
levy = [{ item = "vat", from = "2020-01-01", share = 0.19, step = 0.01, rounding = "half-up", source = "test" }]
[[bands]]
from = "2020-01-01"
hours.all = { light = ["22-08"], peak = ["08-22"] }
authority = "test"
source = "test"
[demand]
interval_min = 15
bands = []
ratchet_months = []
months_back = 12
floor_share = 0.3
source = "test"
[[power_factor]]
from = "2020-01-01"
interval_min = 30
lag_hours = "08-22"
lag_reference_pct = 90
lag_clamp_pct = [60, 95]
share_per_pct = 0.002
status = "verified"
source = "test"
[rounding]
total = 0.01
"#;

    const TARIFF: &str = r#"
title = { ko = "시험", en = "test" }
rules = "test"
[[price]]
from = "2020-01-01"
demand_per_kw = 10
energy_per_kwh.all = { light = 0.1, peak = 0.2 }
demand_by_band_per_kw.all.peak = [{ above_kw = 0, per_kw = 2 }, { above_kw = 100, per_kw = 1 }]
authority = "test"
source = "test"
"#;

    fn check(change: (&str, &str), expected: &str) {
        let (from, to) = change;
        let rules = toml::from_str(&RULES.replace(from, to)).expect("still of the schema");
        let tariff = toml::from_str(&TARIFF.replace(from, to)).expect("still of the schema");
        let found = problems(&tariff, &rules);
        let told = found.iter().map(|problem| match problem {
            Problem::Tariff(why) | Problem::Rules(why) => why.as_str(),
        });
        assert_eq!(told.collect::<Vec<_>>().join("; "), expected, "{from} -> {to}");
    }

    /// What is written, what stands in its place, and what is said of that.
    const WRONG: &[(&str, &str, &str)] = &[
        ("[1, 2, ", "[2, ", "[seasons] must hold each month from 1 to 12 once"),
        (
            "[\"22-08\"]",
            "[\"23-08\"]",
            "bands from 2020-01-01, season all: hour 22 stands in no band",
        ),
        (
            "[\"22-08\"]",
            "[\"21-08\"]",
            "bands from 2020-01-01, season all: hour 21 stands in 2 bands",
        ),
        (
            "share = 0.19",
            "share = 19",
            "the share of levy vat from 2020-01-01 must be 0 to 1, not 19",
        ),
        (
            "total = 0.01",
            "total = 0",
            "a step of [rounding] must be 0.000001 to 1000000000, not 0",
        ),
        (
            "interval_min = 15",
            "interval_min = 7",
            "[demand] interval_min must be 1, 5, 10, 15, 30 or 60, not 7",
        ),
        (
            "months_back = 12",
            "months_back = 0",
            "[demand] months_back must be 1 to 36, not 0",
        ),
        (
            "interval_min = 30",
            "interval_min = 0",
            "power_factor from 2020-01-01: interval_min must be 5, 10, 15, 30 or 60, not 0",
        ),
        (
            "[60, 95]",
            "[95, 60]",
            "power_factor from 2020-01-01: lag_clamp_pct must be two numbers from 0 to 100, the lower first",
        ),
        (
            "light = 0.1, peak",
            "peak",
            "prices from 2020-01-01, season all: a price for each of {Light, Peak} is wanted, got {Peak}",
        ),
        (
            "above_kw = 0,",
            "above_kw = 1,",
            "prices from 2020-01-01, season all: the steps of a price by band begin with above_kw = 0 and ascend",
        ),
        (
            "\"EUR\"",
            "\"\"",
            "currency must be three capital letters of ISO 4217, as KRW, not \"\"",
        ),
        (
            "[demand]",
            "sunday_and_holiday = \"mid\"\n[demand]",
            "prices from 2020-01-01, season all: a price for each of {Light, Mid, Peak} is wanted, got {Light, Peak}",
        ),
        (
            "demand_by_band_per_kw.all.",
            "demand_by_band_per_kw.al.",
            "prices from 2020-01-01: no season is called \"al\"; there are [\"all\"]",
        ),
        (
            "demand_by_band_per_kw.all.peak",
            "demand_by_band_per_kw.all.mid",
            "prices from 2020-01-01, season all: a demand is priced in Mid, but the bands are {Light, Peak}",
        ),
        (
            "levy = [",
            "levy = [{ item = \"vat\", from = \"2020-01-01\", share = 0.07, step = 0.01, rounding = \"half-up\", source = \"test\" }, ",
            "vat from 2020-01-01 stands there twice",
        ),
        (
            "[rounding]",
            "[excess]\nrates = [[0.3, 2], [0, 1.5]]\nsource = \"test\"\n[rounding]",
            "[excess] rates must ascend by the share from which they hold",
        ),
        (
            "demand_per_kw = 10",
            "demand_per_kw = -10",
            "prices from 2020-01-01: no demand costs less than nothing, got -10",
        ),
        (
            "demand_per_kw = 10",
            "demand_per_kw = 10000000000",
            "prices from 2020-01-01: no price may be above 1000000000",
        ),
    ];

    #[test]
    fn what_cannot_be_reckoned_with_is_named() {
        check(("", ""), "");
        for (from, to, expected) in WRONG {
            check((from, to), expected);
        }
    }
}
